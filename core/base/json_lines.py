"""Files of JSON lines, read from whichever end says soonest what is asked.

A line is hostile until it is parsed: what is damaged is passed over and counted, what is not UTF-8 is read with
replacement characters and counted too. A file that cannot be read raises UnreadableError, as in ``core.base.files``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from hermes_rescue.core.base import files, jsontext
from hermes_rescue.core.base.jsontext import NotJSONError, Piece

_BLOCK = 4 * 1024
_LARGEST_BLOCK = 2**20
_BLANK = b" \t\r\0"  # zero bytes are what a power failure leaves of a line that was never written

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


class LineFile:
    """An open file of JSON lines, of which no more is read than is asked for. ``damaged`` counts the lines among those
    read so far that are no JSON objects, or not to the letter.
    """

    def __init__(self, handle: BinaryIO, size: int) -> None:
        self.damaged = 0
        self._handle = handle
        self._size = size

    def forwards(self) -> Iterator[dict[str, Piece]]:
        """The objects from the first on."""
        rest: list[bytes] = []
        end, block = 0, _BLOCK
        while data := self._read(end, min(end + block, self._size)):
            end, block = end + len(data), min(2 * block, _LARGEST_BLOCK)
            first, *lines = data.split(b"\n")
            rest.append(first)
            if lines:
                yield from self._objects([b"".join(rest), *lines[:-1]])
                rest = lines[-1:]
        yield from self._objects([b"".join(rest)])

    def backwards(self) -> Iterator[dict[str, Piece]]:
        """The objects from the last on."""
        rest: list[bytes] = []  # the end of a line that begins in an earlier block, last part first
        end, block = self._size, _BLOCK
        while end > 0:
            start = max(0, end - block)
            *lines, last = self._read(start, end).split(b"\n")
            end, block = start, min(2 * block, _LARGEST_BLOCK)
            rest.append(last)
            if lines:
                yield from self._objects([b"".join(reversed(rest)), *reversed(lines[1:])])
                rest = lines[:1]
        yield from self._objects([b"".join(reversed(rest))])

    def beginning(self, size: int) -> bytes:
        """The first bytes, whether or not they end a line."""
        return self._read(0, min(size, self._size))

    def _read(self, start: int, end: int) -> bytes:
        self._handle.seek(start)
        return self._handle.read(end - start)

    def _objects(self, lines: list[bytes]) -> Iterator[dict[str, Piece]]:
        for line in lines:
            if line and not line.isspace():
                found = _object(line.strip(_BLANK))
                self.damaged += found is None or b"\0" in line or not _is_utf8(line)
                if found is not None:
                    yield found


def objects(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Every object of a file as plain values, and how many lines are damaged. Raises FileNotFoundError,
    UnreadableError.
    """
    with files.open_regular(path) as (handle, size):
        lines = LineFile(handle, size)
        return [{key: piece.value for key, piece in found.items()} for found in lines.forwards()], lines.damaged


def damage(path: Path, lines: int) -> str:
    """What is wrong with a file of which so many lines are damaged, in a sentence."""
    return f"{files.shown(path)} has {lines} damaged line{'' if lines == 1 else 's'}."


def _object(line: bytes) -> dict[str, Piece] | None:
    """The fields of one line, unparsed where the fast parser understands it; None where it is no object."""
    try:
        jsontext.require_utf8(line)
        return {key: Piece(value) for key, value in _OBJECT.decode(line).items()}
    except (UnicodeDecodeError, msgspec.MsgspecError, RecursionError):
        pass
    try:
        value = jsontext.loads(line.decode("utf-8", "replace"))
    except NotJSONError:
        return None
    return {key: Piece(None, inner) for key, inner in value.items()} if isinstance(value, dict) else None


def _is_utf8(line: bytes) -> bool:
    try:
        jsontext.require_utf8(line)
    except UnicodeDecodeError:
        return False
    return True
