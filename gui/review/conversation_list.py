"""The list that shows a conversation: what is selected in its texts, across messages too, and the keys."""

from __future__ import annotations

from collections.abc import Iterator

from hermes_rescue.gui.background.slices import Slices
from hermes_rescue.gui.review import conversation_copy
from hermes_rescue.gui.review.conversation_blocks import Studio
from hermes_rescue.gui.review.conversation_delegate import ConversationDelegate
from hermes_rescue.gui.review.entry_list import EntryList
from hermes_rescue.gui.view_model.conversation_outline import Spot
from hermes_rescue.gui.view_model.conversation_rows import ConversationRows
from hermes_rescue.gui.view_model.diff_outline import Entry
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPen,
    QTextCursor,
)
from PySide6.QtWidgets import QWidget

_END = 2**30
"""Behind every part, passage and character."""

_Standard = QKeySequence.StandardKey
_OWN_KEYS = (_Standard.Find, _Standard.FindNext, _Standard.FindPrevious, _Standard.SelectAll, _Standard.Copy)


class ConversationList(EntryList):
    """The messages of one conversation. ``find_requested``: a person wants to find words; ``step_requested``: the next
    (1) or previous (-1) of what was found; ``menu_requested``: where, and for which entry; ``left``: Esc.
    """

    find_requested = Signal()
    step_requested = Signal(int)
    menu_requested = Signal(QPoint, int)
    left = Signal()

    def __init__(self, rows: ConversationRows, studio: Studio, theme: Theme, parent: QWidget | None = None) -> None:
        self._conversation = rows
        self.delegate = ConversationDelegate(rows, studio, theme)
        self._anchor: Spot | None = None
        self._held: tuple[Entry, int, Entry | None] | None = None
        super().__init__(rows, self.delegate, theme, parent)
        self.setViewportMargins(0, 6, 0, 0)
        self._copying = Slices(self)
        self._dragged = QPoint()
        self._drag = QTimer(self, interval=40)
        self._drag.timeout.connect(self._drag_on)
        rows.modelAboutToBeReset.connect(self._hold)
        rows.modelReset.connect(self._restore)  # the last one: before it Qt forgets which entry was current
        self.setAccessibleName(self.tr("Conversation"))
        self.setAccessibleDescription(
            self.tr(
                "Enter opens and closes what is folded, Ctrl+C copies, Ctrl+F finds; the menu key has what can be done."
            )
        )

    # What stays in view when messages are taken in or left out

    def _hold(self) -> None:
        first, last = self.entries_in_view()
        entries, at = self._rows.entries, self.current()
        if first <= last:
            y = self.visualRect(self._rows.index(first)).top()
            self._held = (entries[first], y, entries[at] if at >= 0 else None)

    def _restore(self) -> None:
        held, self._held = self._held, None
        self.select(None)
        if held is not None and self._conversation.is_same and self._rows.entries:
            entry, y, current = held
            at = max(0, self._rows.entries.last_until(entry))
            if current is not None:
                self.setCurrentIndex(self._rows.index(max(0, self._rows.entries.last_until(current))))
            self._settle(self._heights.top(at) - y, hold=at)

    # What is selected

    @property
    def selection(self) -> tuple[Spot, Spot] | None:
        """The two ends of what is selected, in order; None where nothing is."""
        return self.delegate.selection

    def select(self, head: Spot | None) -> None:
        """Select from where the mouse or the keys began up to a place; None: nothing any more."""
        if head is None:
            self._anchor = None
        ends = sorted((self._anchor, head)) if self._anchor is not None and head is not None else []
        self.delegate.selection = (ends[0], ends[1]) if ends and ends[0] != ends[1] else None
        self.viewport().update()

    def select_all(self) -> None:
        """Select the whole conversation."""
        self._anchor = Spot(0, -1, 0, 0)
        self.select(Spot(len(self._conversation.rows) - 1, _END, _END, _END))

    def spot_at(self, point: QPoint) -> Spot | None:
        """The place in a text that is nearest to a point of the viewport."""
        if not self._rows.entries:
            return None
        at = max(0, self._entry_at(max(0, point.y() + self.verticalOffset())))
        entry = self._rows.entries[at]
        rect = self.visualRect(self._rows.index(at))
        block = self.delegate.block(at, self.viewport().width())
        return Spot(*entry, *self.delegate.maker.place_at(block, QPointF(point - rect.topLeft())))

    def show_spot(self, at: int, spot: Spot) -> None:
        """Scroll as little as brings a place in the text of an entry into view."""
        self.show_entry(at)
        block = self.delegate.block(at, self.viewport().width())
        placed = next((p for p in block.texts if p.passage.rank == spot.passage), None)
        if placed is not None:
            y = self._heights.top(at) + self.delegate.maker.line_of(placed, spot.position)
            bar, height = self.verticalScrollBar(), self._uncovered()
            if not bar.value() <= y < bar.value() + height - 2 * self.delegate.line:
                self._settle(round(y) - height // 3, hold=at)

    def link_at(self, point: QPoint) -> str:
        """The address of the link at a point of the viewport; empty where there is none."""
        index = self.indexAt(point)
        if not index.isValid():
            return ""
        block = self.delegate.block(index.row(), self.viewport().width())
        return self.delegate.maker.link_at(block, QPointF(point - self.visualRect(index).topLeft()))

    def copy(self) -> None:
        """Copy what is selected, else the current message."""
        if self.selection is not None:
            self.put_on_clipboard(conversation_copy.selected(self._conversation, *self.selection))
        elif self.current() >= 0:
            QGuiApplication.clipboard().setText(self._rows.copied_text(self.current()))

    def put_on_clipboard(self, texts: Iterator[str]) -> None:
        """Copy texts; of a whole long conversation that takes a moment, in which the window goes on."""
        found: list[str] = []

        def steps() -> Iterator[None]:
            for text in texts:
                if text:
                    found.append(text)
                yield
            QGuiApplication.clipboard().setText("\n\n".join(found))

        self._copying.run(steps())

    def stop(self) -> None:
        """Leave what is being copied, and what the mouse is at."""
        self._copying.stop()
        self._drag.stop()

    # Events from Qt

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Called by Qt: a message becomes the current one; from here on text is selected."""
        super().mousePressEvent(event)
        if event.button() != Qt.MouseButton.LeftButton:
            return
        spot = self.spot_at(event.position().toPoint())
        if self.target_at(event.position()) is not None:
            self.select(None)
        elif event.modifiers() & Qt.KeyboardModifier.ShiftModifier and self._anchor is not None:
            self.select(spot)
        else:
            self._anchor = spot
            self.select(spot)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Called by Qt: a word is selected."""
        super().mouseDoubleClickEvent(event)
        spot = self.spot_at(event.position().toPoint())
        if spot is None or self.target_at(event.position()) is not None:
            return
        block = self.delegate.block(self.current(), self.viewport().width())
        placed = next((p for p in block.texts if p.passage.rank == spot.passage), None)
        if placed is not None:
            cursor = QTextCursor(placed.text.document)
            cursor.setPosition(spot.position)
            cursor.select(QTextCursor.SelectionType.WordUnderCursor)
            self._anchor = spot._replace(position=cursor.selectionStart())
            self.select(spot._replace(position=cursor.selectionEnd()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Called by Qt: select, or show what a click would do."""
        point = event.position().toPoint()
        if event.buttons() & Qt.MouseButton.LeftButton and self._anchor is not None:
            self._dragged = point
            self.select(self.spot_at(point))
            if not self.viewport().rect().contains(point):
                self._drag.start()
            return
        super().mouseMoveEvent(event)
        link = self.link_at(point)
        self.viewport().setToolTip(link if not link.startswith("<") else "")
        if self.target_at(event.position()) is None and self._is_on_text(point):
            self.viewport().setCursor(Qt.CursorShape.IBeamCursor)

    def _is_on_text(self, point: QPoint) -> bool:
        index = self.indexAt(point)
        if not index.isValid():
            return False
        inside = QPointF(point - self.visualRect(index).topLeft())
        block = self.delegate.block(index.row(), self.viewport().width())
        return any(placed.rect.contains(inside) for placed in block.texts)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Called by Qt: the end of a selection, or a click."""
        self._drag.stop()
        if self.selection is None:
            super().mouseReleaseEvent(event)

    def _drag_on(self) -> None:
        """The mouse is held above or below the view: scroll, and select what comes into it."""
        height, y = self.viewport().height(), self._dragged.y()
        beyond = y if y < 0 else max(0, y - height)
        self.verticalScrollBar().setValue(self.verticalScrollBar().value() + beyond)
        self.select(self.spot_at(self._dragged))
        if not beyond:
            self._drag.stop()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Called by Qt: what can be done with the message under the mouse, or with the current one."""
        if event.reason() == QContextMenuEvent.Reason.Mouse:
            at, where = self.indexAt(event.pos()).row(), event.globalPos()
        else:
            at = self.current()
            where = self.viewport().mapToGlobal(self.visualRect(self.currentIndex()).topLeft() + QPoint(40, 20))
        if at >= 0:
            self.setCurrentIndex(self._rows.index(at))
            self.menu_requested.emit(where, at)

    def event(self, event: QEvent) -> bool:
        """Called by Qt: its own keys go before those of the window."""
        if (
            isinstance(event, QKeyEvent)
            and event.type() == QEvent.Type.ShortcutOverride
            and any(map(event.matches, _OWN_KEYS))
        ):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Called by Qt."""
        if event.matches(_Standard.Copy):
            self.copy()
        elif event.matches(_Standard.SelectAll):
            self.select_all()
        elif event.matches(_Standard.Find):
            self.find_requested.emit()
        elif event.matches(_Standard.FindNext) or event.matches(_Standard.FindPrevious):
            self.step_requested.emit(1 if event.matches(_Standard.FindNext) else -1)
        elif event.key() == Qt.Key.Key_Escape:
            self.select(None)
            self.left.emit()
        elif event.modifiers() == Qt.KeyboardModifier.ShiftModifier and event.key() in (
            Qt.Key.Key_Up,
            Qt.Key.Key_Down,
        ):
            self._extend(1 if event.key() == Qt.Key.Key_Down else -1)
        else:
            super().keyPressEvent(event)

    def _extend(self, step: int) -> None:
        """Select one message more, or one less."""
        at = self.current()
        if at < 0:
            return
        if self._anchor is None or self.selection is None:
            row = self._rows.entries[at].row
            self._anchor = Spot(row, -1, 0, 0) if step > 0 else Spot(row, _END, _END, _END)
            self.select(Spot(row, _END, _END, _END) if step > 0 else Spot(row, -1, 0, 0))
            return
        to = max(0, min(at + step, len(self._rows.entries) - 1))
        self.jump_to(to)
        row = self._rows.entries[to].row
        is_below = row >= self._anchor.row
        self.select(Spot(row, _END, _END, _END) if is_below else Spot(row, -1, 0, 0))

    def paint_current(self, painter: QPainter, rect: QRect) -> None:
        """A ring around the current message, where the keys go to it."""
        if self.hasFocus():
            painter.save()
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(self._theme.color("accent"), 2))
            painter.drawRoundedRect(QRectF(rect).adjusted(9, 1, -9, -2), 5, 5)
            painter.restore()
