"""What the two views of the sessions, list and table, have in common: what is chosen, keys, and rows that come and go
without anything jumping.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final

from hermes_rescue.gui.sessions.session_model import SessionModel
from hermes_rescue.gui.view_model.session_rows import Column
from hermes_rescue.gui.widgets.placeholders import ActionPlaceholder
from PySide6.QtCore import (
    QElapsedTimer,
    QEvent,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPoint,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QContextMenuEvent, QFocusEvent, QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QAbstractItemView, QApplication

if TYPE_CHECKING:
    _View = QAbstractItemView
else:
    _View = object

HAND_AT_REST: Final = 2_000
"""Milliseconds after the last movement of the mouse over the rows until they may go to their places."""

_Flag = QItemSelectionModel.SelectionFlag


class SessionView(_View):
    """Goes before a view class of Qt in the bases. ``sessions`` is the model, which two views may share: of those, one
    ``is_active``.

    ``current_changed`` carries the id of the session that has the keyboard, or nothing; ``paged`` a direction, 1 or -1.
    The texts of sessions are shown as they are, never as markup.
    """

    current_changed = Signal(str)
    selection_changed = Signal(list)
    context_menu_requested = Signal(QPoint)
    """Carries a place on the screen; the row that the menu is for is selected."""
    clear_filter_requested = Signal()
    opened = Signal()
    paged = Signal(int)

    sessions: SessionModel

    def set_up(self, sessions: SessionModel) -> None:
        """Called once, at the end of the constructor of the view."""
        self.sessions = sessions
        self.is_active = True
        self._typed, self._typing = "", QElapsedTimer()
        self._current, self._selected = "", list[str]()  # as the signals have it
        self._anchor: tuple[str, int] | None = None  # a session, and where in the viewport it must stay
        self._is_rearranging = False
        self._hand = QTimer(self, singleShot=True, interval=HAND_AT_REST)
        self._hand.timeout.connect(sessions.let_go)
        self.setModel(sessions)
        sessions.rearranging.connect(self._before_rearranging)
        sessions.rearranged.connect(self._after_rearranging)
        self.setAccessibleName(self.tr("Sessions"))
        self.setAccessibleDescription(self.tr("What was found, one session a row. Type to go to a title."))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTabKeyNavigation(False)
        self.setMouseTracking(True)
        self._face = ActionPlaceholder(self.tr("Clear filter"), self)
        self._face.button.clicked.connect(self.clear_filter_requested)
        self.selectionModel().selectionChanged.connect(self._emit_changes)
        self.selectionModel().currentChanged.connect(self._emit_changes)
        self._show_face()

    # What is chosen

    @property
    def current_id(self) -> str:
        """The id of the session with the keyboard, or nothing."""
        index = self.currentIndex()
        return self.sessions.id_at(index.row()) if index.isValid() else ""

    def selected_ids(self) -> list[str]:
        """The ids of the selected sessions, from the top."""
        ranges = sorted((r.top(), r.bottom()) for r in self.selectionModel().selection().toList())
        return [session_id for first, last in ranges for session_id in map(self.sessions.id_at, range(first, last + 1))]

    def select(self, session_id: str) -> bool:
        """Go to a session and select it alone; False where it does not show."""
        row = self.sessions.row_of(session_id)
        if row >= 0:
            self._go_to(row)
        return row >= 0

    def take_over(self, other: SessionView) -> None:
        """Become the active one of two views, with what is chosen in the other."""
        selected, row = other.selected_ids(), other.currentIndex().row()
        other.is_active, self.is_active = False, True
        other.selectionModel().clear()
        self._current, self._selected = other._current, other._selected
        self._is_rearranging = True
        if row >= 0:
            self._go_to(row)
        self._select_ids(selected)
        self._is_rearranging = False
        self._show_face()
        self._emit_changes()

    def _go_to(self, row: int) -> None:
        index = self.sessions.index(row, max(self.currentIndex().column(), 0))
        self.selectionModel().setCurrentIndex(index, _Flag.ClearAndSelect | _Flag.Rows)
        self.scrollTo(index)

    def _select_ids(self, session_ids: Sequence[str]) -> None:
        selection = QItemSelection()
        for first, last in _runs(self.sessions.rows_of(session_ids)):
            selection.select(self.sessions.index(first, 0), self.sessions.index(last, len(Column) - 1))
        self.selectionModel().select(selection, _Flag.ClearAndSelect)

    def _emit_changes(self) -> None:
        """Tell of a change of the current session or of the selection, once."""
        if self._is_rearranging or not self.is_active:
            return
        current, selected = self.current_id, self.selected_ids()
        is_new_current, is_new_selection = current != self._current, selected != self._selected
        self._current, self._selected = current, selected
        if is_new_selection:
            self.selection_changed.emit(selected)
        if is_new_current:
            self.current_changed.emit(current)

    # Rows that come, go and move

    def _before_rearranging(self) -> None:
        if not self.is_active:
            return
        self._is_rearranging = True
        self._anchor = self._find_anchor()
        # Qt would follow each selected cell; a selection of many rows is compared faster by its ids.
        self.selectionModel().clearSelection()

    def _after_rearranging(self, asked: bool) -> None:
        if not self.is_active:
            return
        self._select_ids(self._selected)
        self.executeDelayedItemsLayout()
        if asked:
            self.scrollTo(self.currentIndex()) if self.currentIndex().isValid() else self.scrollToTop()
        elif self._anchor is not None:
            session_id, top = self._anchor
            row = self.sessions.row_of(session_id)
            if row >= 0:
                bar = self.verticalScrollBar()
                bar.setValue(bar.value() + self._top_of(row) - top)
        self._is_rearranging = False
        self._show_face()
        self._emit_changes()

    def _top_of(self, row: int) -> int:
        """Where a row begins in the viewport."""
        return self.visualRect(self.sessions.index(row, 0)).top()

    def _find_anchor(self) -> tuple[str, int] | None:
        """The current session if it is in sight, else the topmost, unless the view is at its top."""
        row = self.currentIndex().row()
        if row < 0 or not self.visualRect(self.sessions.index(row, 0)).intersects(self.viewport().rect()):
            row = self.indexAt(QPoint(0, 0)).row() if self.verticalScrollBar().value() > 0 else -1
        return (self.sessions.id_at(row), self._top_of(row)) if row >= 0 else None

    def _show_face(self) -> None:
        self._face.setGeometry(self.viewport().geometry())
        self._face.setVisible(not self.sessions.visible_count)
        if self.sessions.visible_count:
            return
        if self.sessions.total_count:
            self._face.show_text(self.tr("No session matches the filter."), can_act=True)
        elif self.sessions.is_scanning:
            self._face.show_text(self.tr("Looking for sessions…"))
        else:
            self._face.show_text(self.tr("There are no sessions here."))

    # Keyboard and mouse

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Called by Qt: Enter opens what is chosen, Space turns its pages, Escape chooses one of several and then
        takes the filter away; else it is the window's.
        """
        is_plain = event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)
        match event.key():
            case Qt.Key.Key_Return | Qt.Key.Key_Enter if is_plain:
                self.opened.emit()
            case Qt.Key.Key_Space if is_plain and not self._is_typing():
                self.paged.emit(1)
            case Qt.Key.Key_Space if event.modifiers() == Qt.KeyboardModifier.ShiftModifier:
                self.paged.emit(-1)
            case Qt.Key.Key_Escape if len(self._selected) > 1:
                self.select(self.current_id)
            case Qt.Key.Key_Escape if self.sessions.is_filtered:
                self.clear_filter_requested.emit()
            case _:
                super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        """Called by Qt: while a title is being typed, its letters are no keys of commands."""
        if (
            isinstance(event, QKeyEvent)
            and event.type() == QEvent.Type.ShortcutOverride
            and event.text().strip().isalnum()
            and self._is_typing()
        ):
            event.accept()
            return True
        return super().event(event)

    def _is_typing(self) -> bool:
        return self._typing.isValid() and self._typing.elapsed() < QApplication.keyboardInputInterval()

    def keyboardSearch(self, search: str) -> None:
        """Called by Qt for what is typed: go to the next title that begins so."""
        goes_on = self._is_typing()
        self._typed = self._typed + search if goes_on else search
        self._typing.start()
        row = self.sessions.row_titled(self._typed, max(self.currentIndex().row() + (not goes_on), 0))
        if row >= 0:
            self._go_to(row)

    def moveCursor(self, action: QAbstractItemView.CursorAction, modifiers: Qt.KeyboardModifier) -> QModelIndex:
        """Called by Qt: Home and End go to the first and last session, not to the first and last column."""
        ends = {QAbstractItemView.CursorAction.MoveHome: 0, QAbstractItemView.CursorAction.MoveEnd: -1}
        rows = self.sessions.visible_count
        if action in ends and rows:
            return self.sessions.index(ends[action] % rows, max(self.currentIndex().column(), 0))
        return super().moveCursor(action, modifiers)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Called by Qt; the keyboard comes to a selected row. While a scan runs it waits for what will be on top."""
        super(QAbstractItemView, self).focusInEvent(event)  # a view's own would go to a row that is not selected
        if not self.currentIndex().isValid() and self.sessions.visible_count and not self.sessions.is_scanning:
            self._go_to(0)
        self.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Called by Qt; the ring of the focus goes."""
        super().focusOutEvent(event)
        self.viewport().update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Called by Qt: rows keep their places while a hand is at them."""
        self.sessions.hold()
        self._hand.start()
        super().mouseMoveEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        """Called by Qt: the mouse has left."""
        super().leaveEvent(event)
        self._hand.stop()
        self.sessions.let_go()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Called by Qt for a right click, and for the menu key, whose menu belongs to the current row."""
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            at = self.viewport().mapToGlobal(self.visualRect(self.currentIndex()).bottomLeft())
        else:
            at = event.globalPos()
        self.context_menu_requested.emit(at)


def _runs(rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The first and last of each unbroken run in rising numbers."""
    for _, run in groupby(enumerate(rows), key=lambda pair: pair[1] - pair[0]):
        numbers = [row for _, row in run]
        yield numbers[0], numbers[-1]
