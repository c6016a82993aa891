"""Which places of two sequences belong together, rising on both sides."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Iterable, Sequence
from itertools import pairwise
from typing import TypeAlias, TypeVar

Pair: TypeAlias = tuple[int, int]
"""A place in the one sequence and one in the other."""

Number = TypeVar("Number", int, float)


def anchors(a: Sequence[Iterable[Hashable]], b: Sequence[Iterable[Hashable]]) -> list[Pair]:
    """Places that have a key which occurs at one place only on both sides, rising on both."""
    once_a, once_b = once(a), once(b)
    found = sorted({(i, once_b[key]) for key, i in once_a.items() if key in once_b})
    return rising(found)


def once(keys: Sequence[Iterable[Hashable]]) -> dict[Hashable, int]:
    """The place of each key that stands at one place only."""
    place: dict[Hashable, int] = {}
    again: set[Hashable] = set()
    for k, found in enumerate(keys):
        for key in found:
            if place.setdefault(key, k) != k:
                again.add(key)
    for key in again:
        del place[key]
    return place


def rising(pairs: list[tuple[int, Number]]) -> list[tuple[int, Number]]:
    """The longest run of pairs that rises strictly on both sides (the pairs come sorted)."""
    if all(one[0] < other[0] and one[1] < other[1] for one, other in pairwise(pairs)):
        return pairs  # as nearly always
    # of the pairs of one place the later comes first, so that a run can hold only one of them
    pairs = sorted(pairs, key=lambda pair: (pair[0], -pair[1]))
    tails: list[Number] = []
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
    chain: list[tuple[int, Number]] = []
    k = at[-1] if at else -1
    while k >= 0:
        chain.append(pairs[k])
        k = before[k]
    return chain[::-1]


def best(score: list[list[int]]) -> list[Pair]:
    """The pairs that rise on both sides and score most together."""
    rows, columns = len(score), len(score[0])
    best = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows - 1, -1, -1):
        here, below, row = best[i], best[i + 1], score[i]
        for j in range(columns - 1, -1, -1):
            value = max(below[j], here[j + 1])
            if row[j]:
                value = max(value, row[j] + below[j + 1])
            here[j] = value
    pairs: list[Pair] = []
    i = j = 0
    while i < rows and j < columns:
        if score[i][j] and best[i][j] == score[i][j] + best[i + 1][j + 1]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs
