"""Where the entries of a list lie, however many there are.

What was laid out has its own height, all else the usual one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from itertools import accumulate


class Heights:
    """The heights of ``count`` entries: those that are ``known``, and the ``usual`` one for each that is not."""

    def __init__(self, count: int, usual: int, known: dict[int, int]) -> None:
        self._count = count
        self._usual = usual
        self._known = dict(known)
        self._places = sorted(known)
        self._add_up()

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, at: int) -> int:
        return self._known.get(at, self._usual)

    @property
    def total(self) -> int:
        """The height of all of them."""
        return self.top(self._count)

    def top(self, at: int) -> int:
        """Where an entry begins."""
        return at * self._usual + self._more[bisect_left(self._places, at)]

    def entry_at(self, y: int) -> int:
        """The entry at a height; the first or last one where it is above or below all of them."""
        return min(bisect_right(range(self._count), max(0, y), key=self.top) - 1, self._count - 1)

    def learn(self, heights: dict[int, int]) -> None:
        """These entries were laid out."""
        for at in heights:
            if at not in self._known:
                insort(self._places, at)
        self._known |= heights
        self._add_up()

    def _add_up(self) -> None:
        self._more = list(accumulate((self._known[at] - self._usual for at in self._places), initial=0))
