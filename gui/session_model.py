"""The sessions of a store as rows: what their status is called, sorted by native values and filtered by words.

One list of positions says which sessions show and in which order. It is sorted in Python, since a proxy model that asks
Python for every comparison takes seconds for what takes milliseconds here.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from operator import attrgetter
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from PySide6.QtCore import (
    QAbstractTableModel,
    QCoreApplication,
    QLocale,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QIcon

from core.files import shown
from core.findings import Category, SessionAudit
from core.worktree import Worktree
from gui.session_status import Status, status_of
from gui.theme import Theme
from gui.wording import is_time, moment, number

ALL: Final = "all"
"""Stands for every category; None is the healthy sessions."""

Wanted: TypeAlias = Category | Literal["all"] | None
Index: TypeAlias = QModelIndex | QPersistentModelIndex
Role: TypeAlias = Qt.ItemDataRole

NOTHING: Final = "–"
_LIMIT: Final = 500  # characters of a text that are shown
_NO_INDEX: Final = QModelIndex()


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


COUNTS: Final = (Column.LIVE, Column.BACKUP, Column.DATABASE, Column.AFTER)
_COLUMNS: Final = tuple(Column)
_RIGHT: Final = (*COUNTS, Column.SIZE)
_ALIGNMENTS: Final = {
    column: Qt.AlignmentFlag.AlignVCenter
    | (Qt.AlignmentFlag.AlignRight if column in _RIGHT else Qt.AlignmentFlag.AlignLeft)
    for column in _COLUMNS
}


class Look(NamedTuple):
    """How one cell looks, all at once: painting asks for it several hundred times a frame."""

    text: str
    color: QColor
    icon: QIcon | None
    alignment: Qt.AlignmentFlag
    is_bold: bool


@dataclass(frozen=True, slots=True)
class _Row:
    """A session with what is asked of all rows at once: its category, its status, where that ranks it, and its folded
    texts, title first, one a line, for the filter and the type-ahead.
    """

    session: SessionAudit
    category: Category | None
    status: Status
    rank: float
    folded: str


def _row(session: SessionAudit) -> _Row:
    status = status_of(session)
    labels = (finding.kind.label for finding in session.findings)
    texts = (_line(session.title), session.session_id, session.worktree_path or "", status.text, *labels)
    return _Row(session, session.category, status, _rank(status, session.updated), "\n".join(texts).casefold())


def _rank(status: Status, updated: float | None) -> float:
    """Urgency, then messages at stake, then minutes, the newest first; one number sorts much faster than three."""
    minutes = max(_comparable(updated), 0) // 60
    return (status.urgency * 1e5 - min(status.at_stake, 99_999)) * 1e10 - minutes


def _line(text: str) -> str:
    """A text of a session as one line that is safe and quick to show."""
    text = text if len(text) <= _LIMIT else f"{text[:_LIMIT]}…"
    return text if text.isprintable() else shown(text)


def _comparable(seconds: float | None) -> float:
    """A time that can be compared; -1 where there is none, or one that no clock has shown."""
    return seconds if is_time(seconds) else -1.0


_WORKTREE_ORDER: Final = (Worktree.GONE, Worktree.BRANCH_LEFT, Worktree.THERE, Worktree.NONE)

_KEYS: Final[dict[Column, Callable[[_Row], Any]]] = {
    Column.STATUS: attrgetter("rank"),
    Column.TITLE: attrgetter("folded"),
    Column.LIVE: attrgetter("session.live"),
    Column.BACKUP: attrgetter("session.backup"),
    Column.DATABASE: attrgetter("session.database"),
    Column.AFTER: attrgetter("session.after"),
    Column.WORKTREE: lambda row: f"{_WORKTREE_ORDER.index(row.session.worktree)}{row.session.worktree_path or ''}",
    Column.PROFILE: lambda row: row.session.profile or "",
    Column.UPDATED: lambda row: _comparable(row.session.updated),
    Column.SIZE: attrgetter("session.size"),
    Column.ID: attrgetter("session.session_id"),
}


class SessionModel(QAbstractTableModel):
    """The rows of the list of sessions.

    ``rearranging`` comes before rows come, go or move, and ``rearranged`` after it, with whether somebody asked for it
    by sorting or filtering; otherwise the view should stay where it is.
    """

    rearranging = Signal()
    rearranged = Signal(bool)

    def __init__(self, theme: Theme, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._rows: list[_Row] = []
        self._places: dict[str, int] = {}  # session id -> position in _rows
        self._keys: list[Any] = []  # one for each row, of the sorted column
        self._order: list[int] = []  # positions of the rows that show, sorted
        self._counts: Counter[Category | None] = Counter()
        self._unseen: set[str] = set()  # ids that the running scan has not come to yet
        self._words: tuple[str, ...] = ()
        self._category: Wanted = ALL
        self._column, self._descending = Column.STATUS, False
        self.is_scanning = False

    # What is in it

    @property
    def total_count(self) -> int:
        """How many sessions there are."""
        return len(self._rows)

    @property
    def visible_count(self) -> int:
        """How many sessions the filter lets through."""
        return len(self._order)

    def counts(self) -> dict[Category | None, int]:
        """How many sessions of each category there are, whatever the filter says; None: healthy ones."""
        return {category: self._counts[category] for category in (*Category, None)}

    def session_at(self, row: int) -> SessionAudit:
        """The session that shows in a row. Raises IndexError."""
        return self._rows[self._order[row]].session

    def ids_between(self, first: int, last: int) -> list[str]:
        """The ids of the sessions that show from one row to another, both included."""
        return [self._rows[place].session.session_id for place in self._order[first : last + 1]]

    def row_of(self, session_id: str) -> int:
        """The row that shows a session, -1 where none does."""
        place = self._places.get(session_id)
        try:
            return self._order.index(place) if place is not None else -1
        except ValueError:
            return -1

    def rows_of(self, session_ids: Iterable[str]) -> list[int]:
        """The rows that show some sessions, from the top; those that do not show are left out."""
        wanted = {self._places[session_id] for session_id in session_ids if session_id in self._places}
        return [row for row, place in enumerate(self._order) if place in wanted] if wanted else []

    def row_titled(self, beginning: str, start: int) -> int:
        """The first row from ``start`` on, around the end, whose title begins so, however it is written; else -1."""
        beginning, n = beginning.casefold(), len(self._order)
        rows = (row % n for row in range(start, start + n))
        return next((row for row in rows if self._rows[self._order[row]].folded.startswith(beginning)), -1)

    # What comes and goes

    def begin_scan(self) -> None:
        """A scan begins. The rows of the last one stay until they are seen again, or the scan ends without them."""
        with self._rearrangement(asked=False):
            self.is_scanning = True
            self._unseen = set(self._places)

    def end_scan(self, *, complete: bool = True) -> None:
        """The scan has ended. After a complete one, sessions that it did not come to are gone."""
        with self._rearrangement(asked=False):
            self.is_scanning = False
            if complete and self._unseen:
                self._keep([row for row in self._rows if row.session.session_id not in self._unseen])
            self._unseen = set()

    def clear(self) -> None:
        """Forget every session; filter and sorting stay."""
        with self._rearrangement(asked=False):
            self._keep([])
            self._unseen = set()

    def add(self, sessions: Sequence[SessionAudit]) -> None:
        """Take in sessions, new ones or newer states of known ones."""
        if not sessions:
            return
        with self._rearrangement(asked=False):
            key = _KEYS[self._column]
            places = []
            replaced = set()
            for session in sessions:
                row = _row(session)
                place = self._places.setdefault(session.session_id, len(self._rows))
                if place == len(self._rows):
                    self._rows.append(row)
                    self._keys.append(key(row))
                else:
                    replaced.add(place)
                    self._counts[self._rows[place].category] -= 1
                    self._rows[place], self._keys[place] = row, key(row)
                self._counts[row.category] += 1
                places.append(place)
            self._unseen.difference_update(session.session_id for session in sessions)
            stay = [place for place in self._order if place not in replaced] if replaced else self._order
            self._order = stay + self._matching(dict.fromkeys(places))
            self._sort_order()

    def replace(self, session: SessionAudit) -> None:
        """Take in the newer state of one session."""
        self.add([session])

    # What shows, and in which order

    def set_filter(self, text: str) -> None:
        """Show only sessions with every word of a text in their title, id, worktree path or status."""
        words = tuple(text.casefold().split())
        if words != self._words:
            with self._rearrangement(asked=True):
                self._words = words
                self._filter()

    def set_category(self, category: Wanted) -> None:
        """Show only the sessions of a category; ``ALL``: of any."""
        if category != self._category:
            with self._rearrangement(asked=True):
                self._category = category
                self._filter()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by the native values of a column; what is equal there stays in the order in which it was found."""
        with self._rearrangement(asked=True):
            self._column, self._descending = Column(column), order == Qt.SortOrder.DescendingOrder
            self._keys = [_KEYS[self._column](row) for row in self._rows]
            self._filter()

    def set_theme(self, theme: Theme) -> None:
        """Show icons and colours of another theme."""
        self._theme = theme
        if self._order:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self._order) - 1, len(Column) - 1))

    @contextmanager
    def _rearrangement(self, *, asked: bool) -> Iterator[None]:
        """Tells the views what is about to change, and afterwards where the rows that they hold on to have gone."""
        self.rearranging.emit()
        self.layoutAboutToBeChanged.emit()
        held = [(index, self.session_at(index.row()).session_id) for index in self.persistentIndexList()]
        yield
        rows = {self.session_at(row).session_id: row for row in self.rows_of(session_id for _, session_id in held)}
        for index, session_id in held:
            self.changePersistentIndex(index, self.index(rows.get(session_id, -1), index.column()))
        self.layoutChanged.emit()
        self.rearranged.emit(asked)

    def _matching(self, places: Iterable[int]) -> list[int]:
        """Those of some rows that filter and category let through."""
        rows = self._rows
        if self._category != ALL:
            places = [place for place in places if rows[place].category is self._category]
        for word in self._words:
            places = [place for place in places if word in rows[place].folded]
        return list(places)

    def _keep(self, rows: list[_Row]) -> None:
        self._rows = rows
        self._places = {row.session.session_id: place for place, row in enumerate(rows)}
        self._keys = [_KEYS[self._column](row) for row in rows]
        self._counts = Counter(row.category for row in rows)
        self._filter()

    def _filter(self) -> None:
        self._order = self._matching(range(len(self._rows)))
        self._sort_order()

    def _sort_order(self) -> None:
        self._order.sort(key=self._keys.__getitem__, reverse=self._descending)

    # What Qt asks for

    def rowCount(self, parent: Index = _NO_INDEX) -> int:
        """Called by Qt."""
        return 0 if parent.isValid() else len(self._order)

    def columnCount(self, parent: Index = _NO_INDEX) -> int:
        """Called by Qt."""
        return 0 if parent.isValid() else len(Column)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Role.DisplayRole) -> Any:
        """Called by Qt."""
        if orientation is Qt.Orientation.Vertical or not 0 <= section < len(Column):
            return None
        column = Column(section)
        match role:
            case Role.DisplayRole:
                return self._heading(column)[0]
            case Role.ToolTipRole | Role.AccessibleDescriptionRole:
                return self._heading(column)[1]
            case Role.TextAlignmentRole:
                return _ALIGNMENTS[column]
        return None

    def look(self, index: Index) -> Look:
        """How a cell looks."""
        row, column = self._rows[self._order[index.row()]], _COLUMNS[index.column()]
        color = self._theme.color(self._token(row, column))
        is_bold = column is Column.AFTER and row.session.after != row.session.live
        return Look(self._text(row, column), color, self._icon(row, column), _ALIGNMENTS[column], is_bold)

    def data(self, index: Index, role: int = Role.DisplayRole) -> Any:
        """Called by Qt."""
        if not index.isValid() or index.row() >= len(self._order):
            return None
        row, column = self._rows[self._order[index.row()]], Column(index.column())
        match role:
            case Role.DisplayRole:
                return self._text(row, column)
            case Role.ForegroundRole:
                return self._theme.color(self._token(row, column))
            case Role.DecorationRole:
                return self._icon(row, column)
            case Role.TextAlignmentRole:
                return _ALIGNMENTS[column]
            case Role.ToolTipRole:
                return self._tip(row, column)
            case Role.AccessibleTextRole:
                return self._sentence(row) if column is Column.STATUS else self._read_out(row, column)
            case Role.AccessibleDescriptionRole:
                return self._tip(row, column)
        return None

    def _heading(self, column: Column) -> tuple[str, str]:
        match column:
            case Column.STATUS:
                return self.tr("Status"), self.tr("What is most urgent about the session")
            case Column.TITLE:
                return self.tr("Title"), self.tr("The title of the session")
            case Column.LIVE:
                return self.tr("Live"), self.tr("Messages in the session file")
            case Column.BACKUP:
                return self.tr("Backup"), self.tr("Messages in the backup of the session file")
            case Column.DATABASE:
                return self.tr("Database"), self.tr("Messages in the agent's database")
            case Column.AFTER:
                return self.tr("After"), self.tr("Messages after the repair")
            case Column.WORKTREE:
                return self.tr("Worktree"), self.tr("The git worktree of the session, and whether it is still there")
            case Column.PROFILE:
                return self.tr("Profile"), self.tr("The Hermes profile that the session belongs to")
            case Column.UPDATED:
                return self.tr("Updated"), self.tr("When the session last changed")
            case Column.SIZE:
                return self.tr("Size"), self.tr("The size of the session file")
            case Column.ID:
                return self.tr("Id"), self.tr("The id of the session")

    def _text(self, row: _Row, column: Column) -> str:
        session = row.session
        match column:
            case Column.STATUS:
                return row.status.text
            case Column.TITLE:
                return _line(session.title)
            case Column.LIVE | Column.BACKUP | Column.DATABASE | Column.AFTER:
                count = _KEYS[column](row)
                return number(count) if count >= 0 else NOTHING
            case Column.WORKTREE:
                return _line(_last_part(session.worktree_path)) if session.worktree_path else NOTHING
            case Column.PROFILE:
                return _line(session.profile) if session.profile else self.tr("default")
            case Column.UPDATED:
                return moment(session.updated) or NOTHING
            case Column.SIZE:
                return QLocale().formattedDataSize(session.size, 1) if session.size else NOTHING
            case Column.ID:
                return _line(session.session_id)

    def _token(self, row: _Row, column: Column) -> str:
        session = row.session
        match column:
            case Column.STATUS:
                return row.status.token
            case Column.TITLE:
                return "text"
            case Column.AFTER:
                return "muted" if session.after == session.live else "text"
            case Column.LIVE | Column.BACKUP | Column.DATABASE:
                return "muted" if _KEYS[column](row) < 0 else "text"
            case Column.WORKTREE:
                return "text" if session.worktree is Worktree.THERE else "muted"
        return "muted"

    def _icon(self, row: _Row, column: Column) -> QIcon | None:
        if column is Column.STATUS:
            return self._theme.icon(row.status.icon, row.status.token)
        if column is Column.WORKTREE and row.session.worktree is not Worktree.NONE:
            is_there = row.session.worktree is Worktree.THERE
            return self._theme.icon("healthy", "ok") if is_there else self._theme.icon("missing", "muted")
        return None

    def _tip(self, row: _Row, column: Column) -> str | None:
        session = row.session
        match column:
            case Column.STATUS:
                evidence = [_line(finding.evidence) for finding in session.findings]
                return "\n".join(evidence) or self.tr("Nothing to repair.")
            case Column.BACKUP if session.backup_time is not None:
                when = self.tr("Saved {date}, {age}.")
                return when.format(date=moment(session.backup_time), age=_age(time.time() - session.backup_time))
            case Column.WORKTREE if session.worktree_path:
                return f"{_line(session.worktree_path)}\n{self._worktree_state(session)}"
        return None

    def _worktree_state(self, session: SessionAudit) -> str:
        match session.worktree:
            case Worktree.THERE:
                return self.tr("The folder is there.")
            case Worktree.BRANCH_LEFT:
                return self.tr("The folder is gone; its branch is still there.")
            case Worktree.GONE:
                return self.tr("The folder is gone.")
        return self.tr("No worktree.")

    def _read_out(self, row: _Row, column: Column) -> str:
        text = self._text(row, column)
        return self.tr("none") if text == NOTHING else text

    def _sentence(self, row: _Row) -> str:
        sentence = self.tr(
            "{status}: {title}. {live} live, {backup} in the backup, {database} in the database, {after} after repair."
        ).format(
            status=row.status.text,
            title=_line(row.session.title),
            **{column.name.lower(): self._read_out(row, column) for column in COUNTS},
        )
        worktree = row.session.worktree
        return sentence if worktree is Worktree.NONE else f"{sentence} {self._worktree_state(row.session)}"


def _last_part(path: str) -> str:
    """The last part of a path of any system."""
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1] or path


def _age(seconds: float) -> str:
    say = QCoreApplication.translate
    minutes = max(int(seconds // 60), 0)
    if minutes < 1:
        return say("Age", "just now")
    if minutes < 60:
        return say("Age", "%n min ago", "", minutes)
    if minutes < 48 * 60:
        return say("Age", "%n h ago", "", minutes // 60)
    return say("Age", "%n days ago", "", minutes // (24 * 60))
