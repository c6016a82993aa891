"""Words beside numbers, for every sentence of the engine, the terminal and the window."""

from __future__ import annotations


def plural(n: int, one: str, many: str = "") -> str:
    """``one`` for a single thing, else ``many`` (by itself ``one`` with an s): what a number has beside it."""
    return one if n == 1 else many or f"{one}s"


def counted(n: int, one: str, many: str = "") -> str:
    """A number with its word: "1 message", "2 messages"."""
    return f"{n} {plural(n, one, many)}"
