"""The sessions of a store as rows, sorted by native values and filtered by words: what shows, and where.

They are sorted in Python, since a proxy model that asks Python for every comparison takes seconds for what takes
milliseconds here. What comes in while rows show finds its place by halving; a new order of many rows is made in steps,
between which the window lives on.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from itertools import compress
from operator import attrgetter
from typing import Any, Final, Literal, TypeAlias

import msgspec
from hermes_rescue.core.audit.findings import SessionAudit, Standing
from hermes_rescue.core.base.files import shown
from hermes_rescue.core.hermes.heads import SessionHeader
from hermes_rescue.core.hermes.worktree import Worktree
from hermes_rescue.core.merge.choices import Choices
from hermes_rescue.gui.view_model.formatting import is_time
from hermes_rescue.gui.view_model.session_status import Status, status_of, unexamined

ALL: Final = "all"
"""Stands for every standing."""
UNEXAMINED: Final = "unexamined"
"""In place of the standing of a session of which only the head was read: what is wrong with it is not known yet."""

Wanted: TypeAlias = Standing | Literal["all", "unexamined"]

NO_CHOICES: Final = Choices()

STEP: Final = 10_000
"""Rows that are sorted or filtered in one step."""
_MAX_CHARACTERS: Final = 500  # characters of a text that are shown
_FEW: Final = 1_000  # rows that are looked for one by one rather than by going through all


class Column(IntEnum):
    """The columns, in the order in which they first appear."""

    STATUS = 0
    TITLE = 1
    LIVE = 2
    BACKUP = 3
    DATABASE = 4
    AFTER = 5
    WORKTREE = 6
    PROFILE = 7
    UPDATED = 8
    SIZE = 9
    ID = 10
    LOSS = 11


class Row(msgspec.Struct, frozen=True, gc=False):
    """A session with what is asked of all rows at once: its standing, its status, where that ranks it, and its folded
    title, for the order and the type-ahead. ``choices`` are what a person chose of its messages. Nothing in it refers
    to it, so that Python need not look for that: of 100,000 it takes a tenth of a second, in which the window stands.

    Where the standing is ``UNEXAMINED``, ``session`` holds what the head of the file says, and nothing else of it
    counts.
    """

    session: SessionAudit
    standing: Wanted
    status: Status
    rank: float
    folded: str
    choices: Choices = NO_CHOICES

    @property
    def after(self) -> int | None:
        """The number of messages that a repair leaves, as it was chosen."""
        after, proposed = self.session.after, self.session.proposed
        if self.choices.exclude or self.choices.include:
            after = after if proposed is None else proposed
        return None if after is None else after - len(self.choices.exclude) + len(self.choices.include)

    @property
    def is_decided(self) -> bool:
        """Whether a person chose what a repair gives it."""
        return bool(self.choices.include or self.choices.exclude or self.choices.fields)

    @property
    def is_examined(self) -> bool:
        """Whether what is wrong with the session is known."""
        return self.standing != UNEXAMINED


def row_for(found: SessionAudit | SessionHeader, choices: Choices = NO_CHOICES) -> Row:
    """The row of a session, with what a person chose of it. A glance ranks it among the healthy ones, so that most rows
    stay where they are when they have been examined.
    """
    if isinstance(found, SessionAudit):
        return _row(found, found.standing, status_of(found), choices)
    known = SessionAudit(
        found.session_id,
        found.title,
        (),
        found.live,
        after=found.live,
        updated=found.updated,
        profile=found.profile,
        worktree_path=found.worktree_path,
    )
    return _row(known, UNEXAMINED, unexamined())


def _row(session: SessionAudit, standing: Wanted, status: Status, choices: Choices = NO_CHOICES) -> Row:
    return Row(session, standing, status, _rank(status, session.updated), one_line(session.title).casefold(), choices)


def _rank(status: Status, updated: float | None) -> float:
    """Urgency, then messages at stake, then minutes, the newest first; one number sorts much faster than three."""
    minutes = max(_comparable(updated), 0) // 60
    return (status.urgency * 1e5 - min(status.at_stake, 99_999)) * 1e10 - minutes


def one_line(text: str) -> str:
    """A text of a session as one line that is safe and quick to show."""
    text = text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]}…"
    return text if text.isprintable() else shown(" ".join(text.split()))


def _comparable(seconds: float | None) -> float:
    """A time that can be compared; -1 where there is none, or one that no clock has shown."""
    return seconds if is_time(seconds) else -1.0


COUNTS: Final[dict[Column, Callable[[Row], int | None]]] = {
    Column.LIVE: attrgetter("session.live"),
    Column.BACKUP: attrgetter("session.backup"),
    Column.DATABASE: attrgetter("session.database"),
    Column.AFTER: attrgetter("after"),
}
"""The columns of message counts, None where nothing is known."""


def _counted(count: Callable[[Row], int | None], row: Row) -> int:
    messages = count(row)
    return -1 if messages is None else messages  # what is not known comes before nothing


_WORKTREE_ORDER: Final = (Worktree.GONE, Worktree.BRANCH_LEFT, Worktree.THERE, Worktree.NONE)

KEYS: Final[dict[Column, Callable[[Row], Any]]] = {
    Column.STATUS: attrgetter("rank"),
    Column.TITLE: attrgetter("folded"),
    **{column: partial(_counted, count) for column, count in COUNTS.items()},
    Column.WORKTREE: lambda row: f"{_WORKTREE_ORDER.index(row.session.worktree)}{row.session.worktree_path or ''}",
    Column.PROFILE: lambda row: row.session.profile or "",
    Column.UPDATED: lambda row: _comparable(row.session.updated),
    Column.SIZE: attrgetter("session.size"),
    Column.ID: attrgetter("session.session_id"),
    Column.LOSS: attrgetter("status.at_stake"),
}


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Which rows show, and in which order: sorted by a column, of one standing.
    What is equal in the column stays in the order in which it was found, turned round where that is.
    """

    column: Column = Column.STATUS
    is_descending: bool = False
    standing: Wanted = ALL

    @property
    def is_filtered(self) -> bool:
        """Whether rows may be left out."""
        return self.standing != ALL


@dataclass(frozen=True, slots=True)
class Order:
    """Rows arranged, by their places. ``keys`` has one for each place; ``every`` place in use stands sorted, and so do
    those that are ``shown`` (the same list where nothing is filtered).
    """

    arrangement: Arrangement
    keys: list[Any]
    every: list[int]
    shown: list[int]

    def lists(self) -> Iterable[list[int]]:
        """The lists of places."""
        return (self.every,) if self.shown is self.every else (self.every, self.shown)

    def key(self, place: int) -> tuple[Any, int]:
        """What a place is sorted by."""
        return self.keys[place], place

    def find(self, places: list[int], place: int) -> int:
        """Where a place stands in one of the lists; -1 where it does not."""
        at = bisect_left(places, self.key(place), key=self.key)
        return at if at < len(places) and places[at] == place else -1


class SessionRows:
    """The rows of all sessions, and those that show, counted from the top. A place says which row is meant, whatever
    shows.
    """

    def __init__(self, arrangement: Arrangement) -> None:
        self._rows: list[Row] = []
        self._places: dict[str, int] = {}  # session id -> place
        self._with_worktree = bytearray()  # by place
        every: list[int] = []
        self._order = Order(arrangement, [], every, [] if arrangement.is_filtered else every)
        self.is_stale = False
        """Whether rows have kept a place where they would not be put now."""
        self.counts: Counter[Wanted] = Counter()

    @property
    def arrangement(self) -> Arrangement:
        """What shows, and in which order."""
        return self._order.arrangement

    @property
    def total_count(self) -> int:
        """How many sessions there are."""
        return len(self._places)

    def __len__(self) -> int:
        return len(self._order.shown)

    def __getitem__(self, at: int) -> Row:
        order = self._order
        return self._rows[order.shown[~at if order.arrangement.is_descending else at]]

    def __iter__(self) -> Iterator[Row]:
        return map(self.__getitem__, range(len(self)))

    def known(self, session_id: str) -> Row | None:
        """The row of a session, whether it shows or not."""
        place = self._places.get(session_id)
        return None if place is None else self._rows[place]

    def every(self) -> Iterator[Row]:
        """The rows of all sessions in the order of now, whether they show or not."""
        places = self._order.every[:: -1 if self.arrangement.is_descending else 1]
        return map(self._rows.__getitem__, places)

    def ids(self) -> set[str]:
        """The ids of all sessions."""
        return set(self._places)

    def position_of(self, session_id: str) -> int:
        """Where a session shows; -1 where it does not."""
        place = self._places.get(session_id)
        at = -1 if place is None else self._order.find(self._order.shown, place)
        return len(self) - 1 - at if at >= 0 and self.arrangement.is_descending else at

    def positions_of(self, session_ids: Collection[str]) -> list[int]:
        """Where some sessions show, from the top; those that do not are left out."""
        if len(session_ids) <= _FEW:
            return sorted(at for at in map(self.position_of, session_ids) if at >= 0)
        wanted = set(session_ids)
        return [at for at, row in enumerate(self) if row.session.session_id in wanted]

    def positions_with_worktree(self) -> list[int]:
        """Where the sessions that have a worktree show, from the top."""
        shown = self._order.shown
        if 1 not in self._with_worktree:
            return []
        found = list(compress(range(len(shown)), map(self._with_worktree.__getitem__, shown)))
        return [len(shown) - 1 - at for at in reversed(found)] if self.arrangement.is_descending else found

    def put(self, row: Row, *, keeps_place: bool = False) -> None:
        """Take in a session, or the newer state of a known one, which may keep its place whatever that says."""
        order = self._order
        place = self._places.setdefault(row.session.session_id, len(self._rows))
        key = KEYS[order.arrangement.column](row)
        self.counts[row.standing] += 1
        if place == len(self._rows):
            self._rows.append(row)
            self._with_worktree.append(bool(row.session.worktree_path))
            order.keys.append(key)
        else:
            self.counts[self._rows[place].standing] -= 1
            self._with_worktree[place] = bool(row.session.worktree_path)
            is_same = key == order.keys[place] and not order.arrangement.is_filtered
            if is_same or keeps_place:  # most sessions turn out to be healthy, and stay where they are
                self._rows[place] = row
                self.is_stale |= not is_same
                return
            self._take_out(place)
            self._rows[place], order.keys[place] = row, key
        for places in order.lists():
            if places is order.every or _matching(self._rows, (place,), order.arrangement):
                insort(places, place, key=order.key)

    def forget(self, session_ids: Iterable[str]) -> None:
        """These sessions are gone. Their places stay empty."""
        for session_id in session_ids:
            place = self._places.pop(session_id)
            self.counts[self._rows[place].standing] -= 1
            self._take_out(place)

    def arranged(self, wanted: Arrangement) -> Generator[None, None, Order]:
        """Sort and filter anew, a step at a time, for :meth:`show`. Until then nothing may come or go."""
        keys, every = self._order.keys, self._order.every
        if self.is_stale or wanted.column != self.arrangement.column:
            keys = []
            for some in _pieces(self._rows):
                keys += map(KEYS[wanted.column], some)
                yield
            every = yield from _sorted_in_steps(tuple(self._places.values()), keys)
        shown = every
        if wanted.is_filtered:
            shown = []
            for some in _pieces(every):
                shown += _matching(self._rows, some, wanted)
                yield
        return Order(wanted, keys, every, shown)

    def show(self, order: Order) -> None:
        """Show an order that was made."""
        self._order = order
        self.is_stale = False

    def _take_out(self, place: int) -> None:
        for places in self._order.lists():
            at = self._order.find(places, place)
            if at >= 0:
                del places[at]


def _pieces(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (values[at : at + STEP] for at in range(0, len(values), STEP))


def _sorted_in_steps(places: Sequence[int], keys: list[Any]) -> Generator[None, None, list[int]]:
    """Rising places, sorted by their keys: pieces first, then neighbours together."""
    runs = [list(some) for some in _pieces(places)]
    for run in runs:
        run.sort(key=keys.__getitem__)
        yield
    while len(runs) > 1:
        pairs = [runs[at : at + 2] for at in range(0, len(runs), 2)]
        runs = []
        for pair in pairs:
            runs.append([place for run in pair for place in run])
            runs[-1].sort(key=keys.__getitem__)  # takes notice of the two sorted halves
            yield
    return runs[0] if runs else []


def _matching(rows: Sequence[Row], places: Iterable[int], wanted: Arrangement) -> list[int]:
    """Those of some places whose rows show."""
    return [place for place in places if not wanted.is_filtered or rows[place].standing == wanted.standing]
