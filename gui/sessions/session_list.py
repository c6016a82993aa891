"""The sessions as a list: for each two lines, title and date, then what happened to it and how many messages it has; a
third for its worktree.

Rows are painted as they come into view; where they lie is worked out from how many above have a third line.
"""

from __future__ import annotations

from html import escape

from hermes_rescue.core.hermes.worktree import Worktree
from hermes_rescue.gui.sessions.session_model import Index, Role, SessionModel
from hermes_rescue.gui.sessions.session_view import SessionView
from hermes_rescue.gui.view_model.diff_heights import Heights
from hermes_rescue.gui.view_model.session_line import Line, line_of
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import QEvent, QItemSelection, QItemSelectionModel, QModelIndex, QPoint, QRect, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QHelpEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QRegion,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyle,
    QStyleOptionButton,
    QToolTip,
    QWidget,
)

_ICON, _BAR, _BOX = 16, 3, 14  # points
_SIDE, _TEXT, _END, _ABOVE = 12, 40, 14, 9  # points: the icon, the text, what is free on the right and above
_LEAD = 3  # points between two lines
_GAP = 10  # points between what is written on the left and on the right of a line

_Flag = QItemSelectionModel.SelectionFlag
_Action = QAbstractItemView.CursorAction


class SessionList(SessionView, QListView):
    """The list; where several sessions are chosen, each row has a box."""

    def __init__(self, sessions: SessionModel, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._heights = Heights(0, 1, {})
        self._hovered = -1
        self.set_up(sessions)
        self.setFrameShape(QListView.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.selection_changed.connect(lambda _: self.viewport().update())

    def set_theme(self, theme: Theme) -> None:
        """Look like another theme."""
        self._theme = theme
        self.viewport().update()

    # Where the rows are

    def doItemsLayout(self) -> None:
        """Called by Qt instead of its own layout, which would ask for the height of every row."""
        line = self.fontMetrics().height()
        usual = 2 * line + 2 * _ABOVE + _LEAD
        higher = dict.fromkeys(self.sessions.with_worktree(), usual + line + _LEAD)
        self._heights = Heights(self.sessions.visible_count, usual, higher)
        self.updateGeometries()
        self.viewport().update()

    def updateGeometries(self) -> None:
        """Called by Qt when the size of the viewport is another one."""
        bar, height = self.verticalScrollBar(), self.viewport().height()
        bar.setRange(0, max(0, self._heights.total - height))
        bar.setPageStep(height)
        bar.setSingleStep(self.fontMetrics().height())

    def visualRect(self, index: Index) -> QRect:
        """Called by Qt: where a row is in the viewport."""
        at = index.row()
        if not 0 <= at < len(self._heights):
            return QRect()
        return QRect(0, self._heights.top(at) - self.verticalOffset(), self.viewport().width(), self._heights[at])

    def indexAt(self, point: QPoint) -> QModelIndex:
        """Called by Qt: the row at a point of the viewport."""
        y = point.y() + self.verticalOffset()
        is_row = 0 <= y < self._heights.total and len(self._heights) == self.sessions.visible_count
        return self.sessions.index(self._heights.entry_at(y), 0) if is_row else QModelIndex()

    def scrollTo(self, index: Index, hint: QAbstractItemView.ScrollHint = QListView.ScrollHint.EnsureVisible) -> None:
        """Called by Qt: scroll as little as brings a row into view."""
        self.executeDelayedItemsLayout()
        rect, height = self.visualRect(index), self.viewport().height()
        bar = self.verticalScrollBar()
        if rect.top() < 0:
            bar.setValue(bar.value() + rect.top())
        elif rect.bottom() >= height:
            bar.setValue(bar.value() + rect.bottom() + 1 - height)

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        """Called by Qt when the scroll bar has moved."""
        self.viewport().update()

    def verticalOffset(self) -> int:
        """Called by Qt: how far the viewport is scrolled, in pixels."""
        return self.verticalScrollBar().value()

    def horizontalOffset(self) -> int:
        """Called by Qt: every row is as wide as the viewport."""
        return 0

    def isIndexHidden(self, index: Index) -> bool:
        """Called by Qt: no row is hidden."""
        return False

    def visualRegionForSelection(self, selection: QItemSelection) -> QRegion:
        """Called by Qt for what is to be painted anew; all that is in view costs little."""
        return QRegion(self.viewport().rect())

    def setSelection(self, rect: QRect, command: QItemSelectionModel.SelectionFlag) -> None:
        """Called by Qt: choose the rows that a rectangle of the viewport touches."""
        offset = self.verticalOffset()
        area = rect.normalized()
        first, last = (self._heights.entry_at(y + offset) for y in (area.top(), area.bottom()))
        chosen = QItemSelection()
        if len(self._heights):
            chosen.select(self.sessions.index(first, 0), self.sessions.index(last, 0))
        self.selectionModel().select(chosen, command | _Flag.Rows)

    def moveCursor(self, action: QAbstractItemView.CursorAction, modifiers: Qt.KeyboardModifier) -> QModelIndex:
        """Called by Qt: the row that a key leads to."""
        last, at, page = self.sessions.visible_count - 1, self.currentIndex().row(), self.viewport().height()
        if last < 0:
            return QModelIndex()
        top = self._heights.top(max(at, 0))
        steps = {
            _Action.MoveUp: at - 1,
            _Action.MovePrevious: at - 1,
            _Action.MoveDown: at + 1,
            _Action.MoveNext: at + 1,
        }
        steps |= {_Action.MoveHome: 0, _Action.MoveEnd: last}
        steps |= {
            _Action.MovePageUp: min(self._heights.entry_at(top + self._heights[at] - 1 - page), at - 1),
            _Action.MovePageDown: max(self._heights.entry_at(top + page), at + 1),
        }
        return self.sessions.index(max(0, min(steps.get(action, at), last)), 0)

    # Mouse

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Called by Qt: the row under the mouse shows its box."""
        self._hover(self.indexAt(event.position().toPoint()).row())
        super().mouseMoveEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        """Called by Qt: no row is under the mouse any more."""
        self._hover(-1)
        super().leaveEvent(event)

    def _hover(self, row: int) -> None:
        if row != self._hovered:
            self._hovered = row
            self.viewport().update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Called by Qt: a click on a box chooses one more, or one less."""
        at = event.position().toPoint()
        index = self.indexAt(at)
        if event.button() == Qt.MouseButton.LeftButton and index.isValid() and at.x() < _TEXT:
            self.selectionModel().setCurrentIndex(index, _Flag.Toggle | _Flag.Rows)
        else:
            super().mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Called by Qt; what a box did is done."""
        if event.position().x() >= _TEXT:
            super().mouseReleaseEvent(event)

    def viewportEvent(self, event: QEvent) -> bool:
        """Called by Qt: the tip of a row, never read as markup."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            index = self.indexAt(event.pos())
            tip = self._tip(index.row()) if index.isValid() else ""
            QToolTip.showText(event.globalPos(), f"<p>{escape(tip)}</p>".replace("\n", "<br>") if tip else "", self)
            return True
        return super().viewportEvent(event)

    def _tip(self, row: int) -> str:
        """The title where it is cut off, what was found, and all of the worktree."""
        line = line_of(self.sessions.row_at(row))
        found = self.sessions.index(row, 0).data(Role.ToolTipRole)
        return "\n".join(filter(None, (line.title if self._is_cut(line) else "", found, line.worktree_tip)))

    def _is_cut(self, line: Line) -> bool:
        room = self._room(QRect(0, 0, self.viewport().width(), 1), line.date)
        return _bold_metrics(self.font()).horizontalAdvance(line.title) > room

    # Painting

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Called by Qt. The row that a person is at stays in view where a notice takes the foot of the list."""
        rect, current = self.visualRect(self.currentIndex()), self.currentIndex()
        was_in_view = 0 <= rect.top() <= rect.bottom() < event.oldSize().height()
        QAbstractItemView.resizeEvent(self, event)  # QListView's own would lay out its way
        self.updateGeometries()
        if was_in_view:
            self.scrollTo(current)
        self._face.setGeometry(self.viewport().geometry())

    def changeEvent(self, event: QEvent) -> None:
        """Called by Qt, among others when the font is another one."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self.scheduleDelayedItemsLayout()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Called by Qt: paint the rows in view."""
        painter = QPainter(self.viewport())
        painter.fillRect(self.viewport().rect(), self._theme.color("surface"))
        if not len(self._heights) or len(self._heights) != self.sessions.visible_count:
            return
        offset, height = self.verticalOffset(), self.viewport().height()
        chosen, has_boxes = self.selectionModel(), len(self._selected) > 1
        for at in range(self._heights.entry_at(offset), self._heights.entry_at(offset + height - 1) + 1):
            index = self.sessions.index(at, 0)
            rect = self.visualRect(index)
            self._paint(painter, rect, at, is_chosen=chosen.isSelected(index), has_box=has_boxes)

    def _paint(self, painter: QPainter, rect: QRect, at: int, *, is_chosen: bool, has_box: bool) -> None:
        color, line = self._theme.color, line_of(self.sessions.row_at(at))
        is_hovered = at == self._hovered
        painter.fillRect(rect, color("select" if is_chosen else "hover" if is_hovered else "surface"))
        painter.fillRect(rect.left(), rect.bottom(), rect.width(), 1, color("line"))
        if is_chosen:
            painter.fillRect(rect.left(), rect.top(), _BAR, rect.height(), color("accent"))
        if at == self.currentIndex().row() and self.hasFocus():
            painter.setPen(color("accent"))
            painter.drawRect(rect.adjusted(0, 0, -1, -1))
        metrics, plain = self.fontMetrics(), self.font()
        step = metrics.height()
        first = QRect(rect.left() + _TEXT, rect.top() + _ABOVE, rect.width() - _TEXT - _END, step)
        second, third = first.translated(0, step + _LEAD), first.translated(0, 2 * (step + _LEAD))
        ratio = painter.device().devicePixelRatio()
        icon = QRect(rect.left() + _SIDE, first.center().y() - _ICON // 2 + 1, _ICON, _ICON)
        painter.drawPixmap(icon, self._theme.icon(line.icon, line.token).pixmap(QSize(_ICON, _ICON), ratio))
        if has_box or is_hovered:
            self._paint_box(painter, QRect(icon.left() + 1, second.center().y() - _BOX // 2 + 1, _BOX, _BOX), is_chosen)
        room = self._room(rect, line.date)
        _text(painter, first, line.date, color("muted"), plain, right=True)
        _text(painter, first.adjusted(0, 0, room - first.width(), 0), line.title, color("text"), _bold(plain))
        self._paint_state(painter, second, line)
        if line.worktree:
            mark = QRect(third.left(), third.center().y() - 6, 13, 13)
            token = "muted" if self.sessions.row_at(at).session.worktree is Worktree.THERE else "repair"
            painter.drawPixmap(mark, self._theme.icon("worktree", token).pixmap(mark.size(), ratio))
            state = f" · {line.worktree_state}"
            wide = metrics.horizontalAdvance(state)
            room = third.width() - 18 - wide - metrics.averageCharWidth()  # for roundings
            path = metrics.elidedText(line.worktree, Qt.TextElideMode.ElideLeft, room)
            _text(painter, third.adjusted(18, 0, 0, 0), path + state, color("muted"), plain)

    def _paint_state(self, painter: QPainter, rect: QRect, line: Line) -> None:
        """What happened in its colour, then which copies have how much; on the right the messages now and then."""
        color, plain, metrics = self._theme.color, self.font(), self.fontMetrics()
        bold = _bold(plain)
        after = _bold_metrics(plain).horizontalAdvance(line.after)
        before = metrics.horizontalAdvance(line.before)
        _text(painter, rect, line.after, color("text"), bold, right=True)
        _text(painter, rect.adjusted(0, 0, -after, 0), line.before, color("muted"), plain, right=True)
        left = rect.adjusted(0, 0, -(after + before + _GAP), 0)
        _text(painter, left, line.state, color(line.token), plain)
        _text(
            painter, left.adjusted(metrics.horizontalAdvance(line.state), 0, 0, 0), line.detail, color("muted"), plain
        )

    def _paint_box(self, painter: QPainter, rect: QRect, is_checked: bool) -> None:
        option = QStyleOptionButton()
        option.initFrom(self)
        option.rect = rect
        option.state |= QStyle.StateFlag.State_On if is_checked else QStyle.StateFlag.State_Off
        primitive = QStyle.PrimitiveElement.PE_IndicatorItemViewItemCheck
        self.style().drawPrimitive(primitive, option, painter, self)

    def _room(self, rect: QRect, date: str) -> int:
        """Points for a title beside a date."""
        return rect.width() - _TEXT - _END - self.fontMetrics().horizontalAdvance(date) - _GAP


def _bold(font: QFont) -> QFont:
    bold = QFont(font)
    bold.setWeight(QFont.Weight.DemiBold)
    return bold


def _bold_metrics(font: QFont) -> QFontMetrics:
    return QFontMetrics(_bold(font))


def _text(painter: QPainter, rect: QRect, text: str, color: QColor, font: QFont, *, right: bool = False) -> None:
    """One line of text, cut where there is no room."""
    if text and rect.width() > 0:
        painter.setFont(font)
        painter.setPen(color)
        side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
        shown = QFontMetrics(font).elidedText(text, Qt.TextElideMode.ElideRight, rect.width())
        painter.drawText(rect, (side | Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine).value, shown)
