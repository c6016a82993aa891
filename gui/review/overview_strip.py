"""A narrow strip that shows where in a whole transcript the changes are, and which part of it is in view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hermes_rescue.gui.view_model.formatting import counted, number
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget


@dataclass(frozen=True, slots=True)
class Mark:
    """Where something is: the first position, the one after the last, and the colour token of what it is."""

    start: int
    stop: int
    token: str


class OverviewStrip(QWidget):
    """Draws marks along ``total`` positions. ``picked`` carries the position that a person pointed at.

    It is for the mouse; the keyboard goes from change to change.
    """

    picked = Signal(int)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._marks: Sequence[Mark] = ()
        self._total = 0
        self._view = range(0)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setToolTip(self.tr("Where the changes are. Click to go there."))
        self.setAccessibleName(self.tr("Overview of the changes"))

    def set_theme(self, theme: Theme) -> None:
        """Paint with other colours."""
        self._theme = theme
        self.update()

    def set_marks(self, marks: Sequence[Mark], total: int) -> None:
        """Show other marks, along so many positions."""
        self._marks, self._total = marks, total
        self.setAccessibleDescription(
            self.tr("{} of {} differ").format(number(sum(m.stop - m.start for m in marks)), counted(total, "message"))
        )
        self.update()

    def set_view(self, view: range) -> None:
        """Frame the positions that are in view."""
        if view != self._view:
            self._view = view
            self.update()

    def sizeHint(self) -> QSize:
        """Called by Qt: as wide as a letter."""
        return QSize(self.fontMetrics().horizontalAdvance("n") + 4, 0)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Called by Qt."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._theme.color("bg"))
        lane = QRectF(self.rect()).adjusted(2, 0, -1, 0)
        drawn = (-1.0, "")
        for mark in self._marks:
            rect = self._rect(lane, mark.start, mark.stop)
            if (rect.bottom(), mark.token) != drawn:  # of many marks in one pixel, one is enough
                painter.fillRect(rect, self._theme.color(mark.token))
                drawn = (rect.bottom(), mark.token)
        if self._view and len(self._view) < self._total:
            painter.setPen(QPen(self._theme.color("text"), 1))
            frame = self._rect(QRectF(self.rect()), self._view.start, self._view.stop)
            painter.drawRect(frame.adjusted(0.5, 0.5, -0.5, -0.5))

    def _rect(self, lane: QRectF, start: int, stop: int) -> QRectF:
        scale = self.height() / max(1, self._total)
        top = round(min(start * scale, self.height() - 3))
        return QRectF(lane.left(), top, lane.width(), max(3, round(stop * scale) - top))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Called by Qt."""
        if self._total and event.buttons() & Qt.MouseButton.LeftButton:
            at = int(event.position().y() * self._total / max(1, self.height()))
            self.picked.emit(max(0, min(at, self._total - 1)))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Called by Qt while a button is down."""
        self.mousePressEvent(event)
