"""The sessions of a plan as a table: what is done to each, to check and to sort."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from functools import partial
from typing import Any

from hermes_rescue.core.base.files import shown
from hermes_rescue.core.repair.planned import PlannedSession, waiting
from hermes_rescue.gui.view_model.diff_text import one_line
from hermes_rescue.gui.view_model.formatting import counted, number, plain_tip
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import QAbstractTableModel, QLocale, QModelIndex, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

Index = QModelIndex | QPersistentModelIndex


class Column(IntEnum):
    """The columns of the table."""

    TITLE = 0
    WHY = 1
    BEFORE = 2
    AFTER = 3
    LOST = 4
    SIZE = 5


_NUMBERS = (Column.BEFORE, Column.AFTER, Column.SIZE)


class PlannedSessions(QAbstractTableModel):
    """The sessions of a plan, a row each, with a box where there are several. Beside others, those that are asked about
    are not checked at first. ``chosen_changed`` is emitted after one was checked or unchecked.
    """

    chosen_changed = Signal()

    def __init__(self, sessions: Sequence[PlannedSession], theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._sessions = sessions
        self._theme = theme
        self._asked = frozenset(each.session_id for each in sessions if each.is_asked)
        self._left = {*waiting(sessions)}

    @property
    def chosen(self) -> tuple[PlannedSession, ...]:
        """The sessions that are checked, in the order of their ids, as a plan has them."""
        found = (each for each in self._sessions if each.session_id not in self._left)
        return tuple(sorted(found, key=lambda each: each.session_id))

    @property
    def left(self) -> tuple[str, ...]:
        """The ids of the sessions that are not."""
        return tuple(each.session_id for each in self._sessions if each.session_id in self._left)

    @property
    def waiting(self) -> frozenset[str]:
        """The ids of the sessions that are asked about and not checked."""
        return self._asked & self._left

    def turn(self, row: int) -> None:
        """Check a session, or uncheck it."""
        if len(self._sessions) > 1:
            self._left ^= {self._sessions[row].session_id}
            self.dataChanged.emit(self.index(row, 0), self.index(row, len(Column) - 1))
            self.chosen_changed.emit()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Called by Qt: sort by what a column is about. It keeps to the row that is current."""
        if column < 0:
            return
        self.layoutAboutToBeChanged.emit()
        before = [*self._sessions]
        old = self.persistentIndexList()
        descending = order is Qt.SortOrder.DescendingOrder
        self._sessions = sorted(before, key=partial(_sort_key, Column(column)), reverse=descending)
        places = {id(each): row for row, each in enumerate(self._sessions)}
        new = [self.index(places[id(before[each.row()])], each.column()) for each in old]
        self.changePersistentIndexList(old, new)
        self.layoutChanged.emit()

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Called by Qt."""
        has_box = index.column() == Column.TITLE and len(self._sessions) > 1
        return super().flags(index) | (Qt.ItemFlag.ItemIsUserCheckable if has_box else Qt.ItemFlag.NoItemFlags)

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Called by Qt when the box of a session is clicked."""
        if role != Qt.ItemDataRole.CheckStateRole:
            return False
        self.turn(index.row())
        return True

    def set_theme(self, theme: Theme) -> None:
        """Answer with other colours."""
        self._theme = theme
        self.dataChanged.emit(self.index(0, 0), self.index(self.rowCount() - 1, len(Column) - 1))

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 (Qt's own default)
        """Called by Qt."""
        return 0 if parent.isValid() else len(self._sessions)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Called by Qt."""
        return 0 if parent.isValid() else len(Column)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> str | Qt.AlignmentFlag | None:
        """Called by Qt."""
        if orientation is not Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(Column(section))
        heads = (
            self.tr("Session"),
            self.tr("Why"),
            self.tr("Messages"),
            self.tr("After"),
            self.tr("Lost"),
            self.tr("File"),
        )
        return heads[section] if role == Qt.ItemDataRole.DisplayRole else None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Called by Qt."""
        session, column = self._sessions[index.row()], Column(index.column())
        if role == Qt.ItemDataRole.DisplayRole:
            return self._words(session, column)
        if role == Qt.ItemDataRole.CheckStateRole and column is Column.TITLE and len(self._sessions) > 1:
            is_left = session.session_id in self._left
            return Qt.CheckState.Unchecked if is_left else Qt.CheckState.Checked
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip(self._words(session, column))
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column)
        if role == Qt.ItemDataRole.ForegroundRole and column is Column.LOST:
            return self._theme.color("lost" if session.messages_lost else "muted")
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{self.headerData(column, Qt.Orientation.Horizontal)}: {self._words(session, column)}"
        return None

    def _words(self, session: PlannedSession, column: Column) -> str:
        if column is Column.TITLE:
            return title_of(session)
        if column is Column.WHY:
            return shown(session.why)
        if column is Column.BEFORE:
            return number(session.messages_before) if session.messages_before is not None else "–"
        if column is Column.AFTER:
            return number(session.messages_after)
        if column is Column.LOST:
            n = session.messages_lost
            return counted(n, "message") if n else self.tr("nothing")
        after = QLocale().formattedDataSize(session.size_after, 1)
        before = QLocale().formattedDataSize(session.size_before, 1)
        return after if session.before is None else self.tr("{before} → {after}").format(before=before, after=after)


def title_of(session: PlannedSession) -> str:
    """The title of a session in one line, its id where it has none."""
    return one_line(session.title) or session.session_id


def _sort_key(column: Column, session: PlannedSession) -> str | int:
    if column is Column.TITLE:
        return title_of(session).casefold()
    if column is Column.WHY:
        return session.why
    if column is Column.BEFORE:
        return -1 if session.messages_before is None else session.messages_before
    if column is Column.AFTER:
        return session.messages_after
    return session.messages_lost if column is Column.LOST else session.size_after


class SessionsTable(QTableView):
    """The table of them. Space checks the session of the row, whatever its column."""

    def __init__(self, sessions: PlannedSessions) -> None:
        super().__init__()
        self._sessions = sessions
        self.setModel(sessions)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setStyleSheet("QTableView::item { padding: 0 6px; }")
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(round(self.fontMetrics().height() * 1.9))
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setResizeContentsPrecision(200)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(Column.TITLE, QHeaderView.ResizeMode.Stretch)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)  # at first in the order of the plan
        self.setSortingEnabled(True)

    def sizeHintForColumn(self, column: int) -> int:
        """Called by Qt: many reasons leave room for the title."""
        hint = super().sizeHintForColumn(column)
        return min(hint, self.viewport().width() // 4) if column == Column.WHY else hint

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Called by Qt: who comes by key sees which row that is about."""
        super().focusInEvent(event)
        if not self.selectionModel().hasSelection():
            self.selectRow(self.currentIndex().row())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Called by Qt."""
        if event.key() == Qt.Key.Key_Space and self.currentIndex().isValid():
            self._sessions.turn(self.currentIndex().row())
        else:
            super().keyPressEvent(event)


def _alignment(column: Column) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column in _NUMBERS else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter
