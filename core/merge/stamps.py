"""When two stamps are one, and which of them is later. All times in seconds."""

from __future__ import annotations

from collections.abc import Iterable

STAMP = 4e-7
"""Seconds within which two files mean the same stamp: they hold it to the microsecond."""

WHOLE = 1.0
"""Seconds by which a stamp is early that was cut to whole ones."""


def is_same(time: float | None, other: float | None) -> bool:
    """Whether two stamps are one."""
    return time is not None and other is not None and abs(time - other) <= STAMP


def is_after(time: float | None, other: float) -> bool:
    """Whether a time is later than a stamp."""
    return time is not None and time > other + STAMP


def earliest(times: Iterable[float | None]) -> float | None:
    """The earliest of the times that are known."""
    return min((time for time in times if time is not None), default=None)
