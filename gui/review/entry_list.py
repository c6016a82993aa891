"""The list that shows entries, of a comparison or of a conversation.

Of QListView only the surface is used: model, current entry, keyboard and screen readers. Where an entry lies is worked
out here. QListView asks for the height of every row before it shows one (even with batches, the last row cannot be
reached before the last batch), and forgets the scroll position when a height turns out to be another one. Here a row
that was never in view has the usual height; it is laid out when it comes into view, and what is in view already
stays in its place. A window that changes its width lays out what is in view, no matter how many rows there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hermes_rescue.gui.review.entry_delegate import EntryDelegate
from hermes_rescue.gui.view_model.diff_heights import Heights
from hermes_rescue.gui.view_model.diff_outline import Entry
from hermes_rescue.gui.view_model.entry_rows import EntryRows, Index
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import (
    QEvent,
    QItemSelectionModel,
    QModelIndex,
    QPoint,
    QPointF,
    QRect,
    QSignalBlocker,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import QAbstractItemView, QListView, QStyleOptionViewItem, QWidget

_CONTEXT_LINES = 2
"""Lines that stay in view above an entry that was jumped to."""

_SCROLLED_LINES = 3
_PLAIN = (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier)


class EntryList(QListView):
    """The entries of one model, each painted at its own height. ``current_changed`` is emitted when another entry
    becomes the current one, ``view_changed`` when other rows are in view.
    """

    current_changed = Signal()
    view_changed = Signal()

    def __init__(
        self, rows: EntryRows, delegate: EntryDelegate[Any], theme: Theme, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._rows, self._delegate, self._theme = rows, delegate, theme
        delegate.set_font(self.font())
        self._known: dict[Entry, int] = {}
        self._heights = Heights(0, 1, {})
        self._width = 0
        self._awaited = -1
        self._covered = 0
        self._does: dict[Qt.Key, Callable[[int], None]] = {
            Qt.Key.Key_Return: self._toggle,
            Qt.Key.Key_Enter: self._toggle,
            Qt.Key.Key_Right: self._open,
            Qt.Key.Key_Left: self._close,
        }
        self.setItemDelegate(self._delegate)
        self.setModel(rows)
        rows.rowsInserted.connect(self._restructure)
        rows.rowsRemoved.connect(self._restructure)
        self.setFrameShape(QListView.Shape.NoFrame)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)  # or no screen reader reads the entry
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setAutoScroll(False)
        self.setTabKeyNavigation(False)
        self.setMouseTracking(True)

    def set_theme(self, theme: Theme) -> None:
        """Paint with other colours."""
        self._theme = theme
        self._delegate.set_theme(theme)
        self.viewport().update()

    # Where the entries are

    def current(self) -> int:
        """The current entry; -1 where there is none."""
        return self.currentIndex().row()

    def entries_in_view(self) -> tuple[int, int]:
        """The first and the last entry of which something can be seen; the last is less than the first where there are
        none.
        """
        return self._in_view(self.verticalOffset())

    def jump_to(self, at: int) -> None:
        """Make an entry the current one, near the top unless all of it is in view already."""
        self.setCurrentIndex(self._rows.index(at))
        self.show_entry(at)

    def show_entry(self, at: int) -> None:
        """Scroll so that an entry begins near the top, unless all of it is in view already. A hidden list does so when
        it is shown: nothing is laid out for a page that nobody looks at.
        """
        if not self.isVisible():
            self._awaited = at
            return
        self._measure(at)
        if self._is_in_view(at):  # as far as the heights of the others are known
            self._settle(self.verticalOffset())
        if not self._is_in_view(at):
            self._settle(self._heights.top(at) - _CONTEXT_LINES * self._delegate.line, hold=at)

    def make_room_below(self, covered: int) -> None:
        """Something lies over the foot of the viewport, so many points of it: what is at the end can be scrolled above
        it. Nothing moves for that, unless it was there and it goes.
        """
        self._covered = covered
        self._settle(self.verticalOffset())

    def visualRect(self, index: Index) -> QRect:
        """Called by Qt: where an entry is in the viewport."""
        at = index.row()
        if not 0 <= at < len(self._heights):
            return QRect()
        return QRect(0, self._heights.top(at) - self.verticalOffset(), self.viewport().width(), self._heights[at])

    def indexAt(self, point: QPoint) -> QModelIndex:
        """Called by Qt: the entry at a point of the viewport."""
        y = point.y() + self.verticalOffset()
        return self._rows.index(self._entry_at(y)) if 0 <= y < self._heights.total else QModelIndex()

    def scrollTo(self, index: Index, hint: QAbstractItemView.ScrollHint = QListView.ScrollHint.EnsureVisible) -> None:
        """Called by Qt: scroll as little as brings an entry into view; one that is too high shows its beginning."""
        at = index.row()
        if not 0 <= at < len(self._heights):
            return
        self._measure(at)
        top, height = self._heights.top(at), self._uncovered()
        offset = self.verticalOffset()
        if top < offset or hint == QListView.ScrollHint.PositionAtTop:
            self._settle(top, hold=at)
        elif top + self._heights[at] > offset + height:
            self._settle(min(top, top + self._heights[at] - height), hold=at)
        else:
            self._settle(offset)

    def verticalOffset(self) -> int:
        """Called by Qt: how far the viewport is scrolled, in pixels."""
        return self.verticalScrollBar().value()

    def horizontalOffset(self) -> int:
        """Called by Qt: every entry is as wide as the viewport."""
        return 0

    def isIndexHidden(self, index: Index) -> bool:
        """Called by Qt: folding takes entries out of the model, it hides none."""
        return False

    def _entry_at(self, y: int) -> int:
        return self._heights.entry_at(y)

    def _in_view(self, offset: int) -> tuple[int, int]:
        if not self._heights:
            return 0, -1
        return self._entry_at(offset), self._entry_at(offset + max(0, self.viewport().height() - 1))

    def _is_in_view(self, at: int) -> bool:
        rect = self.visualRect(self._rows.index(at))
        return rect.top() >= 0 and rect.bottom() < self._uncovered()

    def _uncovered(self) -> int:
        """The height of the viewport that can be seen."""
        return max(1, self.viewport().height() - self._covered)

    # Heights

    def _rebuild(self) -> None:
        """Entries came or went: known heights are kept."""
        entries = self._rows.entries
        places = ((entries.last_until(entry), entry) for entry in self._known)
        known = {at: self._known[entry] for at, entry in places if at >= 0 and entries[at] == entry}
        self._heights = Heights(len(entries), self._delegate.usual_height(self.viewport().width()), known)
        self._delegate.forget()

    def _measure(self, *entries: int) -> None:
        """Lay out entries that have only the usual height."""
        option = QStyleOptionViewItem()
        option.rect = QRect(0, 0, self.viewport().width(), 1)
        found = {at: self._delegate.sizeHint(option, self._rows.index(at)).height() for at in entries}
        self._known |= {self._rows.entries[at]: height for at, height in found.items()}
        self._heights.learn(found)

    def _measure_anew(self) -> None:
        """Width, font or mode are others: nothing is known any more. What is at the top of the view stays there."""
        at = self._entry_at(self.verticalOffset())
        y = self._heights.top(at) - self.verticalOffset() if at >= 0 else 0
        self._width = self.viewport().width()
        self._known.clear()
        self._rebuild()
        self._settle(self._heights.top(at) - y if at >= 0 else 0, hold=at)

    def _settle(self, offset: int, *, hold: int | None = None) -> None:
        """Scroll to an offset and lay out what is in view there, so that the entry ``hold`` (else one that is in view
        and known) is where the offset puts it. A hidden list that is to show another entry lays nothing out before.
        """
        if self._awaited >= 0:
            return
        height = self._uncovered()
        held = self._heights.top(hold) - offset if hold is not None else 0
        while True:
            offset = max(0, min(offset, self._heights.total - height))
            first, last = self._in_view(offset)
            seen = range(first, last + 1)
            fresh = [at for at in seen if self._rows.entries[at] not in self._known]
            if not fresh:
                break
            if hold is not None and hold in seen:
                still, y = hold, held  # also where the end of the list seemed nearer than it is
            else:
                still = next((at for at in seen if at not in fresh), first)
                y = self._heights.top(still) - offset
            self._measure(*fresh)
            offset = self._heights.top(still) - y
        self._scroll(offset)

    def _scroll(self, offset: int) -> None:
        bar, height = self.verticalScrollBar(), self.viewport().height()
        with QSignalBlocker(bar):
            bar.setRange(0, max(0, self._heights.total - self._uncovered()))
            bar.setPageStep(height)
            bar.setSingleStep(self._delegate.line)
            bar.setValue(offset)
        self.viewport().update()
        self.view_changed.emit()

    def _restructure(self, _parent: Index, start: int) -> None:
        """Entries came or went after the one before ``start``, which stays where it is."""
        above = start - 1
        y = self._heights.top(above) - self.verticalOffset()
        self._rebuild()
        self._settle(self._heights.top(above) - y, hold=above)

    # Events from Qt

    def reset(self) -> None:
        """Called by Qt when the model has other rows. Nothing is laid out before somebody says which are to be seen."""
        super().reset()
        self._awaited = -1
        self._known.clear()
        self._rebuild()
        self._scroll(self.verticalOffset())

    def rowsAboutToBeRemoved(self, parent: Index, start: int, end: int) -> None:
        """Called by Qt when a run folds: what was current in it is now in the line above."""
        if start <= self.current() <= end:
            self.setCurrentIndex(self._rows.index(start - 1))
        super().rowsAboutToBeRemoved(parent, start, end)

    def dataChanged(self, first: Index, last: Index, roles: list[int] | None = None) -> None:  # type: ignore[override]
        """Called by Qt when entries say something else; they may be higher or lower now."""
        super().dataChanged(first, last, roles or [])
        lowest, highest = self._rows.entries[first.row()], self._rows.entries[last.row()]
        self._known = {entry: height for entry, height in self._known.items() if not lowest <= entry <= highest}
        self._delegate.drop(lowest, highest)
        self._settle(self.verticalOffset(), hold=first.row())

    def currentChanged(self, current: Index, previous: Index) -> None:
        """Called by Qt when another entry is the current one."""
        super().currentChanged(current, previous)
        self.viewport().update()
        self.current_changed.emit()

    def setSelection(self, rect: QRect, command: QItemSelectionModel.SelectionFlag) -> None:
        """Called by Qt after a key: the current entry, and no other, stays selected."""

    def doItemsLayout(self) -> None:
        """Called by Qt instead of its own layout."""
        self.updateGeometries()

    def updateGeometries(self) -> None:
        """Called by Qt when the size of the viewport is another one."""
        if self.viewport().width() != self._width:
            self._measure_anew()
        else:
            self._settle(self.verticalOffset())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Called by Qt: a current entry that was in view stays so."""
        rect = self.visualRect(self.currentIndex())
        was_in_view = rect.top() >= 0 and 0 < rect.bottom() < event.oldSize().height()
        QAbstractItemView.resizeEvent(self, event)  # QListView's own would lay out its way
        if was_in_view:
            self.scrollTo(self.currentIndex())

    def showEvent(self, event: QShowEvent) -> None:
        """Called by Qt: go where somebody wanted to go meanwhile."""
        super().showEvent(event)
        at, self._awaited = self._awaited, -1
        if 0 <= at < len(self._rows.entries):
            self.show_entry(at)

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        """Called by Qt when the scroll bar has moved."""
        self._settle(self.verticalOffset())

    def changeEvent(self, event: QEvent) -> None:
        """Called by Qt, among others when the font is another one."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._delegate.set_font(self.font())
            self._measure_anew()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Called by Qt: paint the entries in view."""
        painter = QPainter(self.viewport())
        painter.fillRect(self.viewport().rect(), self._theme.color("surface"))
        option = QStyleOptionViewItem()
        self.initViewItemOption(option)
        first, last = self.entries_in_view()
        for at in range(first, last + 1):
            index = self._rows.index(at)
            option.rect = self.visualRect(index)
            self._delegate.paint(painter, option, index)
            if at == self.current():
                self.paint_current(painter, option.rect)

    def paint_current(self, painter: QPainter, rect: QRect) -> None:
        """Mark the current entry."""
        bar = QRect(rect)
        bar.setWidth(3)
        painter.fillRect(bar, self._theme.color("accent" if self.hasFocus() else "handle"))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Called by Qt: the entry under the mouse becomes the current one."""
        index = self.indexAt(event.position().toPoint())
        if index.isValid():
            self.setCurrentIndex(index)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Called by Qt: do what is under the mouse, where the button went down on the same entry."""
        index = self.indexAt(event.position().toPoint())
        what = self.target_at(event.position())
        if event.button() == Qt.MouseButton.LeftButton and what is not None and index.row() == self.current():
            self._rows.act(index.row(), what)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Called by Qt: the second click of two counts like the first."""
        self.mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Called by Qt: a hand where a click does something."""
        shape = (
            Qt.CursorShape.ArrowCursor
            if self.target_at(event.position()) is None
            else Qt.CursorShape.PointingHandCursor
        )
        self.viewport().setCursor(shape)

    def target_at(self, point: QPointF) -> str | None:
        """What a click at a point of the viewport does (a name of gui.diff_rows); None for nothing."""
        index = self.indexAt(point.toPoint())
        if not index.isValid():
            return None
        corner = self.visualRect(index).topLeft()
        return self._delegate.target_at(index.row(), self.viewport().width(), point - QPointF(corner))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Called by Qt. An entry that is higher than the view is scrolled through before the next one is current."""
        at, key = self.current(), event.key()
        if event.matches(QKeySequence.StandardKey.Copy):
            if at >= 0:
                QGuiApplication.clipboard().setText(self._rows.copied_text(at))
        elif at >= 0 and event.modifiers() in _PLAIN and key in self._does:
            self._does[Qt.Key(key)](at)
        elif key in (Qt.Key.Key_Up, Qt.Key.Key_Down) and event.modifiers() in _PLAIN and self._scrolls_inside(at, key):
            step = _SCROLLED_LINES * self._delegate.line
            bar = self.verticalScrollBar()
            bar.setValue(bar.value() + (step if key == Qt.Key.Key_Down else -step))
        else:
            super().keyPressEvent(event)
            if self.current() != at:
                self.scrollTo(self.currentIndex())

    def _scrolls_inside(self, at: int, key: int) -> bool:
        rect = self.visualRect(self.currentIndex())
        height = self.viewport().height()
        if at < 0 or rect.bottom() < 0 or rect.top() >= height:
            return False
        return rect.bottom() >= height if key == Qt.Key.Key_Down else rect.top() < 0

    def moveCursor(self, action: QAbstractItemView.CursorAction, modifiers: Qt.KeyboardModifier) -> QModelIndex:
        """Called by Qt: the entry that a key leads to."""
        last, at = len(self._heights) - 1, self.current()
        page = self.viewport().height()
        actions = QAbstractItemView.CursorAction
        if last < 0:
            return QModelIndex()
        if at < 0 or action == actions.MoveHome:
            to = 0
        elif action == actions.MoveEnd:
            to = last
        elif action in (actions.MovePageUp, actions.MovePageDown):
            down = action == actions.MovePageDown
            to = self._entry_at(self._heights.top(at) + (page if down else -page))
            to = max(to, at + 1) if down else min(to, at - 1)
        else:
            to = at + {actions.MoveUp: -1, actions.MovePrevious: -1, actions.MoveDown: 1, actions.MoveNext: 1}.get(
                action, 0
            )
        return self._rows.index(max(0, min(to, last)))

    def _toggle(self, at: int) -> None:
        self._rows.expand(at, not self._rows.is_expanded(at))

    def _open(self, at: int) -> None:
        self._rows.expand(at, True)

    def _close(self, at: int) -> None:
        """Close what is open; where nothing is, go to the line of the run that the entry is in."""
        if self._rows.is_expanded(at):
            self._rows.expand(at, False)
        elif (run := self._rows.run_of(at)) is not None:
            self.jump_to(run)
