"""A label that cuts its text where there is no room for it."""

from __future__ import annotations

from hermes_rescue.core.base.files import shown
from hermes_rescue.gui.widgets.tips import show_tip
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget


class ElidedLabel(QLabel):
    """One line of an untrusted text, cut where there is no room for it; the tool tip then has all of it."""

    def __init__(self, mode: Qt.TextElideMode, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mode = mode
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)

    def show_text(self, text: str) -> None:
        """Show a text on one line."""
        self.setText(shown(" ".join(text.split())))

    def minimumSizeHint(self) -> QSize:
        """A few characters."""
        return QSize(min(self.sizeHint().width(), 6 * self.fontMetrics().averageCharWidth()), self.sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Called by Qt: the tip comes and goes with the room."""
        super().resizeEvent(event)
        show_tip(self, self.text() if self._elided() != self.text() else "")

    def paintEvent(self, event: QPaintEvent) -> None:
        """Called by Qt."""
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.drawText(self.contentsRect(), Qt.AlignmentFlag.AlignVCenter, self._elided())

    def _elided(self) -> str:
        return self.fontMetrics().elidedText(self.text(), self._mode, self.contentsRect().width())
