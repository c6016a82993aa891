"""The left side of the window: the sessions as a list or as a table, how many show, and what they are sorted by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hermes_rescue.core.audit.findings import SessionAudit
from hermes_rescue.core.hermes.heads import SessionHeader
from hermes_rescue.gui.sessions.session_list import SessionList
from hermes_rescue.gui.sessions.session_model import SessionModel
from hermes_rescue.gui.sessions.session_table import SessionTable
from hermes_rescue.gui.view_model.formatting import counted, number
from hermes_rescue.gui.view_model.session_rows import Column, Wanted
from hermes_rescue.gui.widgets.panes import ENTRY
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QActionGroup
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMenu, QStackedWidget, QToolButton, QVBoxLayout, QWidget

_Order = Qt.SortOrder
_SORTED_BY: Final = {
    Column.STATUS: _Order.AscendingOrder,
    Column.UPDATED: _Order.DescendingOrder,
    Column.LOSS: _Order.DescendingOrder,
    Column.TITLE: _Order.AscendingOrder,
}
"""What a list can be sorted by, with the order that puts first what people look for."""


class SessionPane(QWidget):
    """Both views of the sessions, of which one shows. The signals are those of the view."""

    current_changed = Signal(str)
    selection_changed = Signal(list)
    context_menu_requested = Signal(QPoint)
    clear_filter_requested = Signal()
    opened = Signal()
    paged = Signal(int)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.sessions = SessionModel(theme, self)
        self.list = SessionList(self.sessions, theme)
        self.table = SessionTable(self.sessions, theme)
        self.view: SessionList | SessionTable = self.list
        self.table.is_active = False
        self._views = QStackedWidget()
        for view in (self.list, self.table):
            self._views.addWidget(view)
            view.setProperty(ENTRY, True)
            for name in (
                "current_changed", "selection_changed", "context_menu_requested", "clear_filter_requested", "opened",
                "paged",
            ):  # fmt: skip
                getattr(view, name).connect(getattr(self, name))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._build_top())
        column.addWidget(self._views, 1)
        self.setTabOrder(self._order, self.list)
        self.setTabOrder(self.list, self.table)
        self.sessions.rearranged.connect(lambda _: self._show_count())
        self.table.horizontalHeader().sortIndicatorChanged.connect(lambda *_: self._show_order())
        self._show_count()
        self._show_order()

    def _build_top(self) -> QWidget:
        """The line above the sessions."""
        top = QWidget()
        top.setProperty("bar", True)
        top.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._count = QLabel(textFormat=Qt.TextFormat.PlainText)
        self._count.setProperty("muted", True)
        self.order_menu = QMenu(self)
        group = QActionGroup(self)
        for column, words in self._orders().items():
            action = group.addAction(self.order_menu.addAction(words))
            action.setCheckable(True)
            action.setData(int(column))
            action.triggered.connect(lambda _, column=column: self.sort(column, _SORTED_BY[column]))
        self._order = QToolButton(popupMode=QToolButton.ToolButtonPopupMode.InstantPopup)
        self._order.setProperty("flat", True)
        self._order.setMenu(self.order_menu)
        self._order.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        row = QHBoxLayout(top)
        row.setContentsMargins(14, 2, 6, 2)
        row.addWidget(self._count, 1)
        row.addWidget(self._order)
        return top

    def _orders(self) -> dict[Column, str]:
        return {
            Column.STATUS: self.tr("Sort by status"),
            Column.UPDATED: self.tr("Sort by date"),
            Column.LOSS: self.tr("Sort by loss"),
            Column.TITLE: self.tr("Sort by title"),
        }

    # What it holds

    def add(self, sessions: Sequence[SessionAudit | SessionHeader]) -> None:
        """Take in sessions, new ones or newer states of known ones."""
        self.table.make_room(sessions)
        self.sessions.add(sessions)

    @property
    def current_id(self) -> str:
        """The id of the session with the keyboard, or nothing."""
        return self.view.current_id

    def selected_ids(self) -> list[str]:
        """The ids of the selected sessions, from the top."""
        return self.view.selected_ids()

    def select(self, session_id: str) -> bool:
        """Go to a session and select it alone; False where it does not show."""
        return self.view.select(session_id)

    def show_only(self, standing: Wanted) -> None:
        """Show only the sessions that stand so; where the current one does not, go to the first that does."""
        self.sessions.set_standing(standing)
        if not self.current_id:
            self.select_beside("", 1)

    def select_next_open(self) -> bool:
        """Go to the next session that can be repaired or asks something; False where there is none."""
        row = self.sessions.next_open(self.view.currentIndex().row() + 1)
        return row >= 0 and self.select(self.sessions.id_at(row))

    def select_beside(self, session_id: str, direction: int) -> str:
        """Go to the session after (1) or before (-1) one; its id, "" where there is none."""
        row = self.sessions.row_of(session_id) + direction
        found = self.sessions.id_at(row) if 0 <= row < self.sessions.visible_count else ""
        return found if found and self.select(found) else ""

    def sort(self, column: Column, order: Qt.SortOrder = _Order.AscendingOrder) -> None:
        """Sort both views by the values of a column."""
        self.table.sortByColumn(column, order)

    # What shows

    @property
    def is_table(self) -> bool:
        """Whether the table shows, not the list."""
        return self.view is self.table

    def show_table(self, on: bool) -> None:
        """Show the table, or the list."""
        if on is not self.is_table:
            before, self.view = self.view, self.table if on else self.list
            self._views.setCurrentWidget(self.view)
            self.view.take_over(before)
            if before.hasFocus():
                self.view.setFocus()

    def _show_count(self) -> None:
        total, visible = self.sessions.total_count, self.sessions.visible_count
        text = counted(total, "session")
        if visible != total:
            text = self.tr("{} of {}").format(number(visible), text)
        self._count.setText(text if total else "")

    def _show_order(self) -> None:
        column = self.table.horizontalHeader().sortIndicatorSection()
        words = self._orders().get(Column(column)) or self.tr("Sorted by {}").format(
            self.sessions.headerData(column, Qt.Orientation.Horizontal)
        )
        self._order.setText(words)
        for action in self.order_menu.actions():
            action.setChecked(action.data() == column)

    def save_state(self) -> bytes:
        """The columns of the table, and the sorting."""
        return self.table.save_state()

    def restore_state(self, state: bytes) -> bool:
        """Take over what :meth:`save_state` returned; False for what it cannot have returned."""
        return self.table.restore_state(state)

    def set_theme(self, theme: Theme) -> None:
        """Look like another theme."""
        self.sessions.set_theme(theme)
        self.list.set_theme(theme)
        self.table.set_theme(theme)
