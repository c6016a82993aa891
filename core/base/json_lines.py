"""Files of JSON lines, read from whichever end says soonest what is asked.

A line is hostile until it is parsed: what is damaged is passed over and counted, what is not UTF-8 is read with
replacement characters and counted too. A file that cannot be read raises UnreadableError, as in ``core.base.files``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, TypeVar

import msgspec
from hermes_rescue.core.base import files, jsontext
from hermes_rescue.core.base.jsontext import NotJSONError, Piece
from hermes_rescue.core.base.words import counted

_BLOCK = 4 * 1024
_LARGEST_BLOCK = 2**20
_BLANK = b" \t\r\0"  # zero bytes are what a power failure leaves of a line that was never written

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


_T = TypeVar("_T")
Parse: TypeAlias = Callable[[bytes], tuple[_T | None, bool]]


class LineFile:
    """An open file of JSON lines, of which no more is read than is asked for. ``damaged`` counts the lines among those
    read so far that are no JSON objects, or not to the letter: of several readings that of the most.
    """

    def __init__(self, handle: BinaryIO, size: int) -> None:
        self.damaged = 0
        self._damaged = 0  # in this reading
        self._handle = handle
        self._size = size

    def forwards(self) -> Iterator[dict[str, Piece]]:
        """The objects from the first on."""
        return self._forwards(fields_of)

    def values(self) -> Iterator[dict[str, Any]]:
        """The same as plain values, where all of them are wanted."""
        return self._forwards(_plain)

    def _forwards(self, parse: Parse[_T]) -> Iterator[_T]:
        self._damaged = 0
        rest: list[bytes] = []
        end, block = 0, _BLOCK
        while data := self._read(end, min(end + block, self._size)):
            end, block = end + len(data), min(2 * block, _LARGEST_BLOCK)
            first, *lines = data.split(b"\n")
            rest.append(first)
            if lines:
                yield from self._objects([b"".join(rest), *lines[:-1]], parse)
                rest = lines[-1:]
        yield from self._objects([b"".join(rest)], parse)

    def backwards(self, parse: Parse[_T]) -> Iterator[_T]:
        """The objects from the last on. ``parse`` makes one of a line, None where it is none, and says whether the line
        is one to the letter.
        """
        self._damaged = 0
        rest: list[bytes] = []  # the end of a line that begins in an earlier block, last part first
        end, block = self._size, _BLOCK
        while end > 0:
            start = max(0, end - block)
            data = self._read(start, end)
            *lines, last = data.split(b"\n") if b"\n" in data else [data]  # to split looks at each byte by itself
            end, block = start, min(2 * block, _LARGEST_BLOCK)
            rest.append(last)
            if lines:
                yield from self._objects([b"".join(reversed(rest)), *reversed(lines[1:])], parse)
                rest = lines[:1]
        yield from self._objects([b"".join(reversed(rest))], parse)

    def beginning(self, size: int) -> bytes:
        """The first bytes, whether or not they end a line."""
        return self._read(0, min(size, self._size))

    def ending(self, size: int) -> bytes:
        """The last bytes, whether or not they begin a line."""
        return self._read(max(0, self._size - size), self._size)

    def whole(self) -> bytes:
        """All of it."""
        return self._read(0, self._size)

    def _read(self, start: int, end: int) -> bytes:
        self._handle.seek(start)
        return self._handle.read(end - start)

    def _objects(self, lines: list[bytes], parse: Parse[_T]) -> Iterator[_T]:
        for line in lines:
            if line and not line.isspace():
                found, is_whole = parse(line.strip(_BLANK))
                self._damaged += not is_whole or b"\0" in line
                self.damaged = max(self.damaged, self._damaged)
                if found is not None:
                    yield found


def objects(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Every object of a file as plain values, and how many lines are damaged. Raises FileNotFoundError,
    UnreadableError.
    """
    with files.open_regular(path) as (handle, status):
        lines = LineFile(handle, status.st_size)
        return [*lines.values()], lines.damaged


def damage(path: Path, lines: int) -> str:
    """What is wrong with a file of which so many lines are damaged, in a sentence."""
    return f"{files.shown(path)} has {counted(lines, 'damaged line')}."


def fields_of(line: bytes) -> tuple[dict[str, Piece] | None, bool]:
    """The fields of one line, unparsed where the fast parser understands it, None where it is no object; and whether it
    is one to the letter.
    """
    try:
        jsontext.require_utf8(line)
    except UnicodeDecodeError:
        return _unusual(line), False
    try:
        return {key: Piece(value) for key, value in _OBJECT.decode(line).items()}, True
    except (msgspec.MsgspecError, RecursionError):
        found = _unusual(line)
        return found, found is not None


def _plain(line: bytes) -> tuple[dict[str, Any] | None, bool]:
    """The same as plain values."""
    try:
        value = jsontext.loads(line.decode())
    except (UnicodeDecodeError, NotJSONError):
        found = _unusual(line)
        return None if found is None else {key: piece.value for key, piece in found.items()}, False
    return (value, True) if isinstance(value, dict) else (None, False)


def _unusual(line: bytes) -> dict[str, Piece] | None:
    """The same where the fast parser does not."""
    try:
        value = jsontext.loads(line.decode("utf-8", "replace"))
    except NotJSONError:
        return None
    return {key: Piece(None, inner) for key, inner in value.items()} if isinstance(value, dict) else None
