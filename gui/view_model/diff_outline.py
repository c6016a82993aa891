"""The shape of a comparison: where its changes are, which runs fold, and the entries that a list of it has.

Nothing here depends on how many messages there are, but for what :func:`outlined` finds out beforehand.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import NamedTuple, overload

from hermes_rescue.core.merge.intent import Reason
from hermes_rescue.core.merge.item import Item
from hermes_rescue.core.report.diff import Change, MessageRow, fold
from hermes_rescue.gui.view_model.diff_text import message_of

FOLD = -1
"""The part of an entry that stands for a run."""

LONG_RUN = 6
"""Rows that go or stay out which are shown before a longer run of them is folded; the last ``KEPT`` stay in view."""

KEPT = 3

_SAMPLE = 500
"""Messages from which the usual height of one is taken, at most."""


@dataclass(frozen=True, slots=True)
class Outline:
    """The rows of a comparison. ``changes``: neighbouring rows of one kind that differ; ``runs``: what folds. Both in
    rising order. ``overruled``: rows with which a person had it otherwise than the proposal would by itself.
    ``sample``: how many characters and calls some of the messages have. ``gaps``: what of a proposal stays out, as
    neighbouring rows with one reason. ``messages_hash`` is that of the messages, whatever becomes of them.
    """

    rows: Sequence[MessageRow]
    changes: tuple[range, ...]
    runs: tuple[range, ...]
    overruled: frozenset[int]
    sample: tuple[tuple[int, int], ...]
    messages_hash: int
    gaps: tuple[Gap, ...] = ()


class Gap(NamedTuple):
    """Neighbouring rows that stay out of the session, and why (None: nobody says)."""

    rows: range
    reason: Reason | None


def outlined(rows: Sequence[MessageRow]) -> Outline:
    """Find the shape of a comparison; takes a moment where it is long."""
    groups = list(_groups(rows))
    changes = tuple(run for change, _, run in groups if change is not Change.SAME)
    gaps = tuple(
        Gap(run, reason)
        for change, reason, run in groups
        if change in (Change.LEFT_OUT, Change.REMOVED) and rows[run.start].item is not None
    )
    runs = tuple(sorted(_foldable(rows), key=lambda run: run.start))
    overruled = (k for k, row in enumerate(rows) if row.item is not None and row.item.included != by_itself(row.item))
    some = map(message_of, rows[:: len(rows) // _SAMPLE + 1])
    sample = tuple((len(m.text), len(m.calls)) for m in some)
    messages_hash = 0
    for row in rows:  # all at once would stop every thread for as long
        messages_hash = hash((messages_hash, message_of(row).strict_identity))
    return Outline(rows, changes, runs, frozenset(overruled), sample, messages_hash, gaps)


def by_itself(item: Item) -> bool:
    """Whether a message is in the proposal as long as nobody says otherwise."""
    return item.reason in (None, Reason.CHOSEN)


class Entry(NamedTuple):
    """One line of the list. ``row``: the message row, or the first of a run; ``part``: FOLD for the line of a run, 0
    for a message, 1 and more for the rest of a long text.
    """

    row: int
    part: int


class Stretch(NamedTuple):
    """Entries that follow each other: that many messages from a row on, the line of a run, or the parts of one text."""

    first: Entry
    length: int
    is_text: bool = False


class Entries(Sequence[Entry]):
    """The entries of a list, rising, as stretches of them."""

    def __init__(self, stretches: Iterable[Stretch] = ()) -> None:
        self._stretches = [stretch for stretch in stretches if stretch.length]
        self._firsts = [stretch.first for stretch in self._stretches]
        self._ends = list(accumulate(stretch.length for stretch in self._stretches))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, at: int) -> Entry: ...
    @overload
    def __getitem__(self, at: slice) -> list[Entry]: ...
    def __getitem__(self, at: int | slice) -> Entry | list[Entry]:
        if isinstance(at, slice):
            return [self[k] for k in range(*at.indices(len(self)))]
        if not 0 <= at < len(self):
            raise IndexError(at)
        k = bisect_right(self._ends, at)
        (row, part), length, is_text = self._stretches[k]
        further = at - self._ends[k] + length
        return Entry(row, further) if is_text else Entry(row + further, part)

    def last_until(self, entry: Entry) -> int:
        """Where the last entry stands that is not after this one; -1 where there is none."""
        k = bisect_right(self._firsts, entry) - 1
        if k < 0:
            return -1
        first, length, is_text = self._stretches[k]
        further = entry.row - first.row
        if is_text:
            further = entry.part if further == 0 else length
        return self._ends[k] - length + min(further, length - 1)


def stretches(
    count: int, runs: Iterable[range], is_open: Callable[[range], bool], lengths: Mapping[int, int]
) -> Iterator[Stretch]:
    """The entries of ``count`` rows: each run in rising order a line and, if it is open, its rows; a row whose text is
    shown in full as many as ``lengths`` says.
    """
    at = 0
    for run in runs:
        yield from _messages(at, run.start, lengths)
        yield Stretch(Entry(run.start, FOLD), 1)
        if is_open(run):
            yield from _messages(run.start, run.stop, lengths)
        at = run.stop
    yield from _messages(at, count, lengths)


def _messages(start: int, stop: int, lengths: Mapping[int, int]) -> Iterator[Stretch]:
    for row in sorted(row for row in lengths if start <= row < stop):
        yield Stretch(Entry(start, 0), row - start)
        yield Stretch(Entry(row, 0), lengths[row], is_text=True)
        start = row + 1
    yield Stretch(Entry(start, 0), stop - start)


def overlaps(run: range, others: Iterable[range]) -> bool:
    """Whether a run has a row of any of the others."""
    return any(max(run.start, each.start) < min(run.stop, each.stop) for each in others)


def without(run: range, others: Iterable[range]) -> list[range]:
    """The others with the rows of a run taken out of them."""
    parts = (
        part
        for each in others
        for part in (range(each.start, min(each.stop, run.start)), range(max(each.start, run.stop), each.stop))
    )
    return list(filter(None, parts))


def _groups(rows: Sequence[MessageRow]) -> Iterator[tuple[Change, Reason | None, range]]:
    """Neighbouring rows with one change and, where they are left out, one reason."""

    def kind(at: int) -> tuple[Change, Reason | None]:
        row = rows[at]
        left_out = row.item is not None and not row.item.included
        return row.change, row.item.reason if row.item is not None and left_out else None

    for (change, reason), group in groupby(range(len(rows)), kind):
        run = tuple(group)
        yield change, reason, range(run[0], run[-1] + 1)


def _foldable(rows: Sequence[MessageRow]) -> Iterator[range]:
    """Runs to fold: unchanged rows but for those beside a change, and what goes or stays out, but for its last rows.
    What is added is never folded: it is what people look for.
    """
    at = 0
    for piece in fold(rows):
        length = piece if isinstance(piece, int) else 1
        if isinstance(piece, int) and length > 1:
            yield range(at, at + length)
        at += length
    for change, _, run in _groups(rows):
        if change in (Change.REMOVED, Change.LEFT_OUT) and len(run) > LONG_RUN:
            yield run[:-KEPT]
