"""A label that cuts its text where there is no room for it."""

from __future__ import annotations

from collections.abc import Sequence

from hermes_rescue.core.base.files import shown
from hermes_rescue.gui.widgets.tips import show_tip
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget


class ElidedLabel(QLabel):
    """One line of an untrusted text; where there is no room for it a shorter one, or it is cut. The tool tip then has
    all of it.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._texts: Sequence[str] = ()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)

    def show_text(self, *texts: str) -> None:
        """Show the first of some texts that there is room for, the longest first."""
        self._texts = [shown(" ".join(text.split())) for text in texts]
        self.setText(self._texts[0] if texts else "")
        self._show_tip()

    def minimumSizeHint(self) -> QSize:
        """The shortest of several texts, a few characters of one."""
        least = 6 * self.fontMetrics().averageCharWidth()
        if len(self._texts) > 1:
            least = max(least, self.fontMetrics().horizontalAdvance(self._texts[-1]) + 1)
        return QSize(min(self.sizeHint().width(), least), self.sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Called by Qt: the tip comes and goes with the room."""
        super().resizeEvent(event)
        self._show_tip()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Called by Qt."""
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.drawText(self.contentsRect(), self.alignment(), self._elided())

    def _elided(self) -> str:
        room, metrics = self.contentsRect().width(), self.fontMetrics()
        shortest = self._texts[-1] if self._texts else ""
        fitting = (text for text in self._texts if metrics.horizontalAdvance(text) <= room)
        return next(fitting, metrics.elidedText(shortest, Qt.TextElideMode.ElideRight, room))

    def _show_tip(self) -> None:
        show_tip(self, self.text() if self._elided() != self.text() else "")
