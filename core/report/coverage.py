"""Which copy holds what, along all messages that any copy holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum

from hermes_rescue.core.hermes.copies import BACKUP, DATABASE, LIVE, RUN, TEMP, TURNS
from hermes_rescue.core.merge.intent import Reason
from hermes_rescue.core.merge.proposal import Proposal
from hermes_rescue.core.merge.restored_turns import PENDING
from hermes_rescue.core.report.diff import RECOVERED, Change, MessageRow
from hermes_rescue.core.report.history import AFTER, BEFORE

COPIES = (LIVE, TEMP, BACKUP, DATABASE, RUN, TURNS, PENDING)
"""What the name of a copy of a session's own begins with, in the order of trust."""


class Hold(IntEnum):
    """What a copy has at one place. ``PART``: the message, and something of it that the file lacks; ``LEFT_OUT``: a
    message that the recovered transcript goes without; ``SOME``: not every message where several share a place.
    """

    NOTHING = 0
    WHOLE = 1
    PART = 2
    LEFT_OUT = 3
    SOME = 4


_HOLDS = tuple(Hold)


@dataclass(frozen=True, slots=True)
class Lane:
    """What one copy (or the result) holds: a :class:`Hold` for each position, and how many messages in all, None where
    there is no such file. ``is_damaged``: it is there, and cannot be loaded.
    """

    name: str
    holds: bytearray
    count: int | None
    is_result: bool = False
    is_damaged: bool = False

    def at(self, start: int, end: int) -> Hold:
        """What it has from one position up to another."""
        holds = self.holds[start:end]
        if holds and holds.count(holds[0]) == len(holds):  # as nearly everywhere
            return _HOLDS[holds[0]]
        held = set(holds)
        if Hold.PART in held:
            return Hold.PART
        if Hold.WHOLE in held:
            return Hold.WHOLE if len(held) == 1 else Hold.SOME
        return Hold.LEFT_OUT if Hold.LEFT_OUT in held else Hold.NOTHING

    def spans(self, most: int) -> Iterator[tuple[int, int, Hold]]:
        """The stretches in which it has the same, of at ``most`` so many places."""
        step = max(1, -(-len(self.holds) // most))
        begin, last = 0, Hold.NOTHING
        for start in range(0, len(self.holds), step):
            hold = self.at(start, start + step)
            if hold is not last:
                if last:
                    yield begin, start, last
                begin, last = start, hold
        if last:
            yield begin, len(self.holds), last


@dataclass(frozen=True, slots=True)
class Coverage:
    """The lanes of a proposal: the live file first, whatever it holds, the result last; and how many messages are left
    out for which reason.
    """

    lanes: tuple[Lane, ...] = ()
    left_out: Mapping[Reason | None, int] = field(default_factory=dict)


def coverage(proposal: Proposal, *, is_live_whole: bool = True, further: Collection[str] = ()) -> Coverage:
    """Look at every message of a proposal; takes a moment where they are many. ``is_live_whole``: the live file is
    there and can be loaded; ``further``: the names of the copies from other places, whose lanes follow those of the
    session's own.
    """
    items = proposal.items
    if not items:
        return Coverage()
    names = sorted({LIVE}.union(*(item.copies for item in items)), key=lambda name: (name in further, *_rank(name)))
    holds = {name: bytearray(len(items)) for name in names}
    result = bytearray(len(items))
    for position, item in enumerate(items):
        held = Hold.WHOLE if item.included else Hold.LEFT_OUT
        result[position] = held
        for name in item.copies:
            holds[name][position] = held
        if item.included:
            for name in item.enriched.values():
                if name != item.copies[0]:
                    holds[name][position] = Hold.PART
    made = [Lane(name, holds[name], len(items) - holds[name].count(Hold.NOTHING)) for name in names]
    made[0] = _found(made[0], is_whole=is_live_whole)
    made.append(Lane(RECOVERED, result, result.count(Hold.WHOLE), is_result=True))
    return Coverage(tuple(made), Counter(item.reason for item in items if not item.included))


def change_of(rows: Sequence[MessageRow], *, was_whole: bool = True) -> Coverage:
    """What a session held before a repair and after it, of the comparison of the two. ``was_whole``: there was a file
    that could be loaded.
    """
    before, after = (bytearray(len(rows)) for _ in range(2))
    for position, row in enumerate(rows):
        before[position] = Hold.WHOLE if row.left is not None else Hold.NOTHING
        after[position] = Hold.WHOLE if row.right is not None else Hold.NOTHING
        if row.change is Change.CHANGED:
            after[position] = Hold.PART
    old, new = (
        Lane(name, holds, len(rows) - holds.count(Hold.NOTHING)) for name, holds in ((BEFORE, before), (AFTER, after))
    )
    return Coverage((_found(old, is_whole=was_whole), new))


def _found(lane: Lane, *, is_whole: bool) -> Lane:
    """The lane of a session file as the list has it: damaged, or none, where it cannot be loaded."""
    if is_whole:
        return lane
    return replace(lane, is_damaged=True) if lane.count else replace(lane, count=None)


def _rank(name: str) -> tuple[int, str]:
    return next((k for k, known in enumerate(COPIES) if name.startswith(known)), len(COPIES)), name
