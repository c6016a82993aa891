"""How far the work on one session is: one can be so large that somebody waits for it, and wants to stop it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

INTERVAL = 0.1
"""Seconds between two reports, and between two questions whether to stop."""

_T = TypeVar("_T")


class Cancelled(Exception):
    """The caller asked to stop; nothing was left half done."""


def stop_if_asked(should_cancel: Callable[[], bool] | None) -> None:
    """Raises :class:`Cancelled` where somebody is asked, and says so."""
    if should_cancel is not None and should_cancel():
        raise Cancelled


class Steps:
    """The way through one session. Each step takes a share of what is left, so that nobody has to know which steps will
    follow, and what is reported never goes back.

    ``show`` gets how much is done, from 0 to 1, at most ten times a second; ``should_cancel`` is asked as often.
    """

    def __init__(
        self, show: Callable[[float], object] | None = None, should_cancel: Callable[[], bool] | None = None
    ) -> None:
        self._done = 0.0
        self._show = show
        self._should_cancel = should_cancel
        self._next = time.monotonic() + INTERVAL

    def over(self, items: Iterable[_T], count: int, share: float) -> Iterator[_T]:
        """The same items, of which there are about ``count``: they are this share of what is left to do.

        Raises :class:`Cancelled`.
        """
        start, width = self._done, (1 - self._done) * share
        for k, item in enumerate(items):
            self._done = start + width * (k / count if k < count else 1)
            if time.monotonic() >= self._next:
                self._report(self._done)
            yield item

    def step(self, share: float, *, may_cancel: bool = True) -> None:
        """This share of what was left is done. Raises :class:`Cancelled`; not where what was made is to be handed back
        all the same, since it is too much to let go of at once.
        """
        self._report(self._done + (1 - self._done) * share, may_cancel=may_cancel)

    def commit(self) -> None:
        """From here on it goes to its end: nobody is asked any more."""
        self._should_cancel = None

    def _report(self, done: float, *, may_cancel: bool = True) -> None:
        self._done = done
        now = time.monotonic()
        if now >= self._next:
            self._next = now + INTERVAL
            if self._show is not None:
                self._show(done)
            if may_cancel:
                stop_if_asked(self._should_cancel)
