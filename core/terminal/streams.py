"""Standard input and output that never fail: closed ones, a terminal or reader that is gone, a full disk, any encoding.

A command does its work whoever reads of it. What could not be written is reported at the end, on stderr.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

_PLAIN = {"–": "-", "—": "-", "…": "...", "→": "->", "•": "*", "“": '"', "”": '"', "‘": "'", "’": "'", "×": "x"}


@contextmanager
def safe() -> Iterator[None]:
    """Makes the standard streams so. One that is closed is nowhere from then on: no file that is opened later gets its
    number, so nothing is written into that by mistake.
    """
    _open_closed()
    codecs.register_error("hermes-rescue", _plain)
    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdin = sys.stdin or _nowhere("r")
    sys.stdout = cast("TextIO", SafeStream(sys.stdout or _nowhere("w")))
    sys.stderr = cast("TextIO", SafeStream(sys.stderr or _nowhere("w")))
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdin, sys.stdout, sys.stderr = before


def problem_of(stream: TextIO) -> OSError | None:
    """Why something could not be written to a stream, with its place as ``filename`` where the system names it; None
    where all of it was written.
    """
    return getattr(stream, "problem", None)


class SafeStream:
    """A text stream on which writing never raises ``OSError``; ``problem`` is the first that there was."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.problem: OSError | None = None
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="hermes-rescue")

    def write(self, text: str) -> int:
        """As that of any stream; always counts as done."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._lose(error)
            return len(text)

    def flush(self) -> None:
        """As that of any stream."""
        try:
            self._stream.flush()
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        if self.problem is None:
            self.problem = error
            with suppress(OSError):
                place = os.readlink(f"/proc/self/fd/{self._stream.fileno()}")
                error.filename = place if place.startswith("/") else None
        with suppress(OSError):  # what is still to come, and what the stream has not written yet, goes nowhere
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _open_closed() -> None:
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one


def _nowhere(mode: str) -> TextIO:
    return cast("TextIO", open(os.devnull, mode, encoding="utf-8"))


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """What an encoding has no characters for: plain signs for typographic ones, else escaped."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    plain = "".join(_PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in text)
    return plain, error.end
