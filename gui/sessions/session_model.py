"""The model of the list of sessions: what its cells say and how they look."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final, NamedTuple, TypeAlias

from hermes_rescue.core.audit.findings import SessionAudit, Standing
from hermes_rescue.core.hermes.heads import SessionHeader
from hermes_rescue.core.hermes.worktree import Worktree
from hermes_rescue.core.merge.choices import Choices
from hermes_rescue.gui.view_model.formatting import day, moment, number, sentences
from hermes_rescue.gui.view_model.session_rows import (
    COUNTS,
    KEYS,
    NO_CHOICES,
    STEP,
    Arrangement,
    Column,
    Order,
    Row,
    SessionRows,
    Wanted,
    one_line,
    row_for,
)
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import (
    QAbstractTableModel,
    QCoreApplication,
    QLocale,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QColor, QIcon

Index: TypeAlias = QModelIndex | QPersistentModelIndex
Role: TypeAlias = Qt.ItemDataRole

NOTHING: Final = "–"
_NO_INDEX: Final = QModelIndex()

_NOT_IN_HEADS: Final = (Column.BACKUP, Column.DATABASE, Column.AFTER, Column.SIZE, Column.LOSS)
_NAMED: Final = (Standing.REPAIRABLE, Standing.REVIEW, Standing.DELETED)
"""How sessions stand for which a repair that names them does something."""
_COLUMNS: Final = tuple(Column)
_RIGHT: Final = (*COUNTS, Column.SIZE, Column.LOSS)
_ALIGNMENTS: Final = {
    column: Qt.AlignmentFlag.AlignVCenter
    | (Qt.AlignmentFlag.AlignRight if column in _RIGHT else Qt.AlignmentFlag.AlignLeft)
    for column in _COLUMNS
}
_FLAGS: Final = {column: (found | Qt.TextFlag.TextSingleLine).value for column, found in _ALIGNMENTS.items()}


class Look(NamedTuple):
    """How one cell looks, all at once: painting asks for it several hundred times a frame. ``flags`` are those with
    which its text is drawn.
    """

    text: str
    color: QColor
    icon: QIcon | None
    flags: int
    is_bold: bool


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
        self._wanted = Arrangement()
        self._rows = SessionRows(self._wanted)
        self._steps: Generator[None, None, Order] | None = None  # of an order that is being made
        self._stepping = QTimer(self, interval=0)
        self._stepping.timeout.connect(self._step)
        self._is_asked = False  # whether a person asked for that order
        self._waiting: list[SessionAudit | SessionHeader] = []  # for the end of that, or of the hold
        self._unseen: set[str] = set()  # ids that the running scan has not come to yet
        self._is_held = False
        self._keeps_order = False
        self._choices: Mapping[str, Choices] = {}
        self.is_scanning = False

    # What is in it

    @property
    def total_count(self) -> int:
        """How many sessions there are."""
        return self._rows.total_count

    @property
    def visible_count(self) -> int:
        """How many sessions the filter lets through."""
        return len(self._rows)

    @property
    def is_arranging(self) -> bool:
        """Whether a new order of many rows is still being made."""
        return self._steps is not None

    def counts(self) -> dict[Standing, int]:
        """How many sessions stand how, whatever the filter says, also those that wait for a hand to go."""
        new = {each.session_id: each for each in self._waiting if isinstance(each, SessionAudit)}
        counts = self._rows.counts + Counter(s.standing for s in new.values() if self._rows.known(s.session_id) is None)
        return {standing: counts[standing] for standing in Standing}

    def known(self, session_id: str) -> Row | None:
        """A session, whether it shows or not."""
        return self._rows.known(session_id)

    def every(self) -> Iterator[Row]:
        """All sessions in the order of now, whether they show or not."""
        return self._rows.every()

    def id_at(self, row: int) -> str:
        """The id of the session that shows in a row. Raises IndexError."""
        return self._rows[row].session.session_id

    def row_at(self, row: int) -> Row:
        """The session that shows in a row. Raises IndexError."""
        return self._rows[row]

    def row_of(self, session_id: str) -> int:
        """The row that shows a session, -1 where none does."""
        return self._rows.position_of(session_id)

    def rows_of(self, session_ids: Collection[str]) -> list[int]:
        """The rows that show some sessions, from the top; those that do not show are left out."""
        return self._rows.positions_of(session_ids)

    def next_open(self, start: int) -> int:
        """The first row from ``start`` on, around the end, that can be repaired or asks something; else -1."""
        n = len(self._rows)
        open_ones = (Standing.REPAIRABLE, Standing.REVIEW)
        if not any(self._rows.counts[standing] for standing in open_ones):
            return -1
        rows = (row % n for row in range(start, start + n))
        return next((row for row in rows if self._rows[row].standing in open_ones), -1)

    def with_worktree(self) -> list[int]:
        """The rows whose sessions have a worktree, from the top."""
        return self._rows.positions_with_worktree()

    def repairable(self, session_ids: Collection[str]) -> int:
        """How many of some sessions a repair that names them begins with: beside those that wait for no decision the
        others are not checked at first. About how many, where all wait.
        """
        known = [row for row in map(self._rows.known, session_ids) if row is not None]
        certain = sum(row.standing is Standing.REPAIRABLE or row.is_decided for row in known)
        return certain or sum(row.standing in _NAMED or row.session.has_repair for row in known)

    def row_titled(self, beginning: str, start: int) -> int:
        """The first row from ``start`` on, around the end, whose title begins so, however it is written; else -1."""
        beginning, n = beginning.casefold(), len(self._rows)
        rows = (row % n for row in range(start, start + n))
        return next((row for row in rows if self._rows[row].folded.startswith(beginning)), -1)

    # What comes and goes

    def begin_scan(self, *, keeps_order: bool = False) -> None:
        """A scan begins. The rows of the last one stay until they are seen again, or the scan ends without them; where
        the order is kept, they also stay in their places, until a person sorts, filters or scans again.
        """
        self._keeps_order = keeps_order
        if not keeps_order:
            self.let_go()
        with self._rearrangement():
            self.is_scanning = True
            self._unseen = self._rows.ids()

    def end_scan(self, *, complete: bool = True) -> None:
        """The scan has ended. After a complete one, sessions that it did not come to are gone."""
        with self._rearrangement():
            self.is_scanning = False
            if complete:
                self._rows.forget(self._unseen)
            self._unseen = set()

    def clear(self) -> None:
        """Forget every session; filter and sorting stay."""
        with self._rearrangement():
            self._rows = SessionRows(self._wanted)
            self._unseen, self._waiting = set(), []

    def add(self, sessions: Sequence[SessionAudit | SessionHeader]) -> None:
        """Take in sessions, new ones or newer states of known ones. A glance says nothing new of an examined one."""
        if self._steps is not None:
            self._waiting += sessions
            return
        if self._is_held:
            self._waiting += [each for each in sessions if self._rows.known(each.session_id) is None]
            sessions = [each for each in sessions if self._rows.known(each.session_id) is not None]
        made = (row_for(each, self._choices.get(each.session_id, NO_CHOICES)) for each in sessions)
        rows = [row for row in made if row.is_examined or not self._is_examined(row)]
        if rows:
            with self._rearrangement():
                for row in rows:
                    self._rows.put(row, keeps_place=self._is_held or self._keeps_order)
                    (self._unseen.discard if row.is_examined else self._unseen.add)(row.session.session_id)

    def show_choices(self, choices: Mapping[str, Choices]) -> None:
        """Say on the rows what a person has chosen of the messages of their sessions."""
        before, self._choices = self._choices, dict(choices)
        turned = (sid for sid in before.keys() | choices.keys() if before.get(sid) != choices.get(sid))
        known = (row for row in map(self._rows.known, turned) if row is not None)
        self.add([row.session for row in known if row.is_examined])

    def hold(self) -> None:
        """A hand is at the rows: they keep their places, and new ones wait."""
        self._is_held = bool(self._rows)

    def let_go(self) -> None:
        """No hand is at the rows any more: they go where they belong."""
        self._is_held = False
        if self._rows.is_stale and not self._keeps_order:
            self._make_order(asked=False)
        elif self._steps is None:
            waiting, self._waiting = self._waiting, []
            self.add(waiting)

    def _is_examined(self, row: Row) -> bool:
        known = self._rows.known(row.session.session_id)
        return known is not None and known.is_examined

    # What shows, and in which order

    def set_standing(self, standing: Wanted) -> None:
        """Show only the sessions that stand so; ``ALL``: of any."""
        self._arrange(replace(self._wanted, standing=standing))

    @property
    def is_filtered(self) -> bool:
        """Whether only sessions of one state show."""
        return self._wanted.is_filtered

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by the native values of a column."""
        is_descending = order == Qt.SortOrder.DescendingOrder
        self._arrange(replace(self._wanted, column=Column(column), is_descending=is_descending))

    def set_theme(self, theme: Theme) -> None:
        """Show icons and colours of another theme."""
        self._theme = theme
        if self._rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self._rows) - 1, len(Column) - 1))

    def _arrange(self, wanted: Arrangement) -> None:
        """Show another choice of rows: at once, or where they are many, step by step between other events."""
        if wanted != self._wanted:
            self._wanted = wanted
            self._keeps_order = False
            self._make_order(asked=True)

    def _make_order(self, *, asked: bool) -> None:
        self._is_asked = asked
        self._steps = self._rows.arranged(self._wanted)
        if self.total_count > STEP:
            self._stepping.start()
        else:
            self._finish()

    def _step(self) -> None:
        assert self._steps is not None
        try:
            next(self._steps)
        except StopIteration as made:
            self._steps = None
            self._stepping.stop()
            with self._rearrangement(asked=self._is_asked):
                self._rows.show(made.value)
            waiting, self._waiting = self._waiting, []
            self.add(waiting)

    def _finish(self) -> None:
        while self._steps is not None:
            self._step()

    @contextmanager
    def _rearrangement(self, *, asked: bool = False) -> Iterator[None]:
        """Tells the views what is about to change, and afterwards where the rows that they hold on to have gone."""
        self._finish()
        self.rearranging.emit()
        self.layoutAboutToBeChanged.emit()
        held = [(index, self.id_at(index.row())) for index in self.persistentIndexList()]
        yield
        for index, session_id in held:
            self.changePersistentIndex(index, self.index(self.row_of(session_id), index.column()))
        self.layoutChanged.emit()
        self.rearranged.emit(asked)

    # What Qt asks for

    def rowCount(self, parent: Index = _NO_INDEX) -> int:
        """Called by Qt."""
        return 0 if parent.isValid() else len(self._rows)

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
        row, column = self._rows[index.row()], _COLUMNS[index.column()]
        color = self._theme.color(self._token(row, column))
        is_bold = column is Column.AFTER and row.after != row.session.live
        return Look(self._text(row, column), color, self._icon(row, column), _FLAGS[column], is_bold)

    def data(self, index: Index, role: int = Role.DisplayRole) -> Any:
        """Called by Qt."""
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        row, column = self._rows[index.row()], _COLUMNS[index.column()]
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
            case Column.LOSS:
                return self.tr("Lost"), self.tr("Messages that the session file lacks and other copies have")

    def _text(self, row: Row, column: Column) -> str:
        session = row.session
        match column:
            case _ if not row.is_examined and column in _NOT_IN_HEADS:
                return ""
            case Column.STATUS:
                return row.status.text
            case Column.TITLE:
                return one_line(session.title)
            case Column.LIVE | Column.BACKUP | Column.DATABASE | Column.AFTER:
                count = COUNTS[column](row)
                return number(count) if count is not None else NOTHING
            case Column.WORKTREE:
                return one_line(_last_part(session.worktree_path)) if session.worktree_path else NOTHING
            case Column.PROFILE:
                return one_line(session.profile) if session.profile else self.tr("default")
            case Column.UPDATED:
                return day(session.updated) or NOTHING
            case Column.SIZE:
                return QLocale().formattedDataSize(session.size, 1) if session.size else NOTHING
            case Column.ID:
                return one_line(session.session_id)
            case Column.LOSS:
                return number(row.status.at_stake) if row.status.at_stake else NOTHING

    def _token(self, row: Row, column: Column) -> str:
        session = row.session
        match column:
            case Column.STATUS:
                return row.status.token
            case Column.TITLE:
                return "text"
            case Column.AFTER:
                return "muted" if row.after == session.live else "text"
            case Column.LIVE | Column.BACKUP | Column.DATABASE:
                return "muted" if KEYS[column](row) < 0 else "text"
            case Column.WORKTREE:
                return "text" if session.worktree is Worktree.THERE else "muted"
        return "muted"

    def _icon(self, row: Row, column: Column) -> QIcon | None:
        if column is Column.STATUS:
            return self._theme.icon(row.status.icon, row.status.token)
        if column is Column.WORKTREE and row.session.worktree is not Worktree.NONE:
            is_there = row.session.worktree is Worktree.THERE
            return self._theme.icon("healthy", "ok") if is_there else self._theme.icon("missing", "muted")
        return None

    def _tip(self, row: Row, column: Column) -> str | None:
        session = row.session
        match column:
            case Column.STATUS if not row.is_examined:
                return self.tr("Its copies have not been compared yet.")
            case Column.WORKTREE if not row.is_examined:
                return session.worktree_path
            case Column.STATUS:
                evidence = [one_line(finding.evidence) for finding in session.findings]
                return "\n".join(evidence) or self.tr("Nothing to repair.")
            case Column.BACKUP if session.backup_time is not None:
                when = self.tr("Saved {date}, {age}.")
                return when.format(date=moment(session.backup_time), age=_age(time.time() - session.backup_time))
            case Column.UPDATED:
                return moment(session.updated) or None
            case Column.WORKTREE if session.worktree_path:
                return f"{one_line(session.worktree_path)}\n{self._worktree_state(session)}"
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

    def _read_out(self, row: Row, column: Column) -> str:
        text = self._text(row, column)
        return self.tr("none") if text == NOTHING else text or self.tr("not known yet")

    def _sentence(self, row: Row) -> str:
        sentence = self.tr(
            "{live} live, {backup} in the backup, {database} in the database, {after} after repair."
        ).format(
            **{column.name.lower(): self._read_out(row, column) for column in COUNTS},
        )
        title = f"{row.status.text}: {one_line(row.session.title)}"
        worktree = "" if row.session.worktree is Worktree.NONE else self._worktree_state(row.session)
        return sentences((title, day(row.session.updated), sentence, worktree))


def _last_part(path: str) -> str:
    """The last part of a path of any system."""
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1] or path


def _age(seconds: float) -> str:
    translate = QCoreApplication.translate
    minutes = max(int(seconds // 60), 0)
    if minutes < 1:
        return translate("Age", "just now")
    if minutes < 60:
        return translate("Age", "%n min ago", "", minutes)
    if minutes < 48 * 60:
        return translate("Age", "%n h ago", "", minutes // 60)
    return translate("Age", "%n days ago", "", minutes // (24 * 60))
