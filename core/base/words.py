"""Words beside numbers, and those of a command, for every sentence of the engine, the terminal and the window."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence

_NAMED = 3
"""Names that a sentence about several files gives."""


def plural(n: int, one: str, many: str = "") -> str:
    """``one`` for a single thing, else ``many`` (by itself ``one`` with an s): what a number has beside it."""
    return one if n == 1 else many or f"{one}s"


def counted(n: int, one: str, many: str = "") -> str:
    """A number with its word: "1 message", "2 messages"."""
    return f"{n} {plural(n, one, many)}"


def some_of(names: Sequence[str]) -> str:
    """The first few names of files, quoted, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(f'{name!r:.80}' for name in names[:_NAMED])}{more}"


def typed(words: Iterable[str]) -> str:
    """A command as a person can copy it into a shell, whatever is in the names of files: in quotes where that needs
    any, and with bytes that are no text, and what steers a terminal, by their numbers.
    """
    return " ".join(shlex.quote(word) if word.isprintable() else f"$'{_numbered(word)}'" for word in words)


def _numbered(word: str) -> str:
    return "".join(sign if sign.isprintable() and sign not in "\\'" else _numbers(sign) for sign in word)


def _numbers(sign: str) -> str:
    try:
        return "".join(f"\\{byte:03o}" for byte in os.fsencode(sign))
    except UnicodeEncodeError:  # half a character, which no shell can be given
        return "?"
