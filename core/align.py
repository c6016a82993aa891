"""Which message of one copy is which of another: aligning two transcripts as sequences.

Texts that occur once in both copies are the anchors (patience), to the letter first and then, between those, with white
space folded; the gaps that are left are aligned by dynamic programming on :func:`core.message.likeness`, the nearer
time deciding between equal candidates. Copies are never compared as sets.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import TypeAlias

from core.message import NEAR, Key, Message, distance, likeness

GAP_CELLS = 250_000
"""Cells of a gap up to which it is aligned exactly; beyond, equal texts are paired by time alone."""

SMALL_GAP = 64
"""Cells of a gap up to which anchors in it would gain nothing."""

SURE = 3

_AT_ONCE = 10_000
_EXACT = itemgetter(slice(1, 5))  # Message.exact of many, in a third of the time

Pair: TypeAlias = tuple[int, int]
Gap: TypeAlias = tuple[int, int, int, int]
"""From where to where in the first, and in the second sequence (the end is not in it)."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """Pairs of positions (in the first, in the second sequence). ``pairs`` rise on both sides; ``moved`` are messages
    that both have at places that cross.
    """

    pairs: tuple[Pair, ...]
    moved: tuple[Pair, ...]


def align(a: Sequence[Message], b: Sequence[Message]) -> Alignment:
    """Align two transcripts. Near-linear where most texts occur once; what is one object at both ends costs nothing."""
    head = _common(a, b)
    tail = _common(a[head:][::-1], b[head:][::-1])
    inner = _align(a[head : len(a) - tail], b[head : len(b) - tail])
    if not head and not tail:
        return inner
    pairs = [(k, k) for k in range(head)]
    pairs += ((i + head, j + head) for i, j in inner.pairs)
    pairs += ((len(a) - k, len(b) - k) for k in range(tail, 0, -1))
    return Alignment(tuple(pairs), tuple((i + head, j + head) for i, j in inner.moved))


def _common(a: Sequence[Message], b: Sequence[Message]) -> int:
    """How many messages both begin with that are one object."""
    differing = (k for k, (one, other) in enumerate(zip(a, b, strict=False)) if one is not other)
    return next(differing, min(len(a), len(b)))


def _align(a: Sequence[Message], b: Sequence[Message]) -> Alignment:
    pairs: list[Pair] = []
    for gap in _gaps(pairs, a, b, (0, len(a), 0, len(b)), _EXACT):
        is_small = (gap[1] - gap[0]) * (gap[3] - gap[2]) <= SMALL_GAP
        for rest in (gap,) if is_small else _gaps(pairs, a, b, gap, attrgetter("key")):
            pairs += _in_gap(a, b, *rest)
    pairs.sort()
    return Alignment(tuple(pairs), tuple(_moved(a, b, pairs)))


def _gaps(
    pairs: list[Pair], a: Sequence[Message], b: Sequence[Message], within: Gap, key: Callable[[Message], Key]
) -> Iterator[Gap]:
    """The gaps between the anchors within a gap, which are added to the pairs."""
    i0, i1, j0, j1 = within
    anchors = _anchors(a, b, within, key)
    pairs += anchors
    for i, j in (*anchors, (i1, j1)):
        if i0 < i and j0 < j:
            yield i0, i, j0, j
        i0, j0 = i + 1, j + 1


def _anchors(a: Sequence[Message], b: Sequence[Message], within: Gap, key: Callable[[Message], Key]) -> list[Pair]:
    """Messages that occur once on both sides."""
    i0, i1, j0, j1 = within
    last_a, again_a = _last(map(key, a[i0:i1]), range(i0, i1))
    last_b, again_b = _last(map(key, b[j0:j1]), range(j0, j1))
    both = zip(last_a.values(), map(last_b.get, last_a), strict=True)
    once = [(i, j) for i, j in both if j is not None and i not in again_a and j not in again_b]
    return _rising([pair for pair in once if distance(a[pair[0]], b[pair[1]]) <= NEAR])


def _last(keys: Iterable[Key], places: range) -> tuple[dict[Key, int], set[int]]:
    """The last place of each key, and which of these are not the first one too. Keys that occur once are in the order
    of their places.
    """
    listed = list(keys)
    last = _place_of(listed, places)
    if len(last) == len(listed):
        return last, set()
    first = _place_of(listed[::-1], places[::-1])
    return last, set(last.values()).difference(first.values())


def _place_of(keys: Sequence[Key], places: range) -> dict[Key, int]:
    """The last place of each key; taken in by parts, so that nobody has to wait for all of them at once."""
    found: dict[Key, int] = {}
    for at in range(0, len(keys), _AT_ONCE):
        found.update(zip(keys[at : at + _AT_ONCE], places[at : at + _AT_ONCE], strict=True))
    return found


def _rising(pairs: list[Pair]) -> list[Pair]:
    """The longest run of pairs that rises on both sides (the pairs come sorted by their first position)."""
    if pairs == sorted(pairs, key=itemgetter(1)):  # as nearly always
        return pairs
    tails: list[int] = []
    at: list[int] = []
    before: list[int] = []
    for k, (_, j) in enumerate(pairs):
        pile = bisect_left(tails, j)
        before.append(at[pile - 1] if pile else -1)
        if pile == len(tails):
            tails.append(j)
            at.append(k)
        else:
            tails[pile], at[pile] = j, k
    chain: list[Pair] = []
    k = at[-1] if at else -1
    while k >= 0:
        chain.append(pairs[k])
        k = before[k]
    return chain[::-1]


def _in_gap(a: Sequence[Message], b: Sequence[Message], i0: int, i1: int, j0: int, j1: int) -> list[Pair]:
    rows, columns = i1 - i0, j1 - j0
    if rows * columns > GAP_CELLS:
        return _rising(_nearest(a, b, range(i0, i1), range(j0, j1)))
    best = [[0.0] * (columns + 1) for _ in range(rows + 1)]
    score: dict[Pair, float] = {}
    for i in range(rows - 1, -1, -1):
        here, below = best[i], best[i + 1]
        for j in range(columns - 1, -1, -1):
            value = max(below[j], here[j + 1])
            sure = likeness(a[i0 + i], b[j0 + j])
            if sure:
                score[i, j] = 1000.0 * sure - min(distance(a[i0 + i], b[j0 + j]), 900.0)
                value = max(value, score[i, j] + below[j + 1])
            here[j] = value
    pairs: list[Pair] = []
    i = j = 0
    while i < rows and j < columns:
        if (i, j) in score and best[i][j] == score[i, j] + best[i + 1][j + 1]:
            pairs.append((i0 + i, j0 + j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _nearest(
    a: Sequence[Message], b: Sequence[Message], in_a: range | list[int], in_b: range | list[int]
) -> list[Pair]:
    """Pairs of equal messages, each with the nearest in time that is still free, sorted by the first position."""
    keys = [a[i].key for i in in_a]
    places: dict[Key, list[int]] = {key: [] for key in keys}
    for j in in_b:
        if (equal := places.get(b[j].key)) is not None:
            equal.append(j)
    free = {key: _Free(b, equal) for key, equal in places.items() if equal}
    pairs = []
    for i, key in zip(in_a, keys, strict=True):
        candidates = free.get(key)
        found = candidates.nearest(a[i].time) if candidates is not None else None
        if candidates is not None and found is not None and likeness(a[i], b[found]) > SURE:
            candidates.take(found)
            pairs.append((i, found))
    return pairs


class _Free:
    """Equal messages by their places, of which the nearest in time is found without looking at each: a program can
    repeat itself a hundred thousand times."""

    def __init__(self, b: Sequence[Message], places: Sequence[int]) -> None:
        self._untimed = deque(j for j in places if b[j].time is None)
        timed = sorted((time, j) for j in places if (time := b[j].time) is not None)
        self._times = [time for time, _ in timed]
        self._places = [j for _, j in timed]
        self._rank = {j: k for k, j in enumerate(self._places)}
        # where the search for a free one goes on from a rank, upwards and downwards; the ends stay free
        self._up = list(range(len(timed) + 1))
        self._down = list(range(len(timed) + 1))

    def nearest(self, time: float | None) -> int | None:
        """The place of the free message that is nearest to a time; one without a time is near to all. None: no more."""
        if time is None or not self._times:
            return self._untimed[0] if self._untimed else self._place(_end(self._up, 0))
        at = bisect_left(self._times, time)
        above, below = _end(self._up, at), _end(self._down, at) - 1
        timed = [k for k in (below, above) if 0 <= k < len(self._times)]
        near = min(timed, key=lambda k: abs(self._times[k] - time), default=len(self._times))
        if self._untimed and not (timed and self._times[near] == time):
            return self._untimed[0]
        return self._place(near)

    def take(self, j: int) -> None:
        """The message at a place that :meth:`nearest` gave is free no more."""
        if j in self._rank:
            k = self._rank[j]
            self._up[k], self._down[k + 1] = k + 1, k
        else:
            self._untimed.popleft()

    def _place(self, rank: int) -> int | None:
        return self._places[rank] if rank < len(self._places) else None


def _end(links: list[int], k: int) -> int:
    """The end of a chain of links, which gets shorter for the next who follows it."""
    while links[k] != k:
        links[k] = links[links[k]]
        k = links[k]
    return k


def _moved(a: Sequence[Message], b: Sequence[Message], pairs: Sequence[Pair]) -> list[Pair]:
    """What stayed unpaired on both sides although it is the same: the copies disagree about its place."""
    left_a, left_b = (
        sorted(set(range(len(each))).difference(map(itemgetter(side), pairs))) for side, each in enumerate((a, b))
    )
    return _nearest(a, b, left_a, left_b) if left_a and left_b else []
