"""Why a session is as it is and what a repair does: the answers to four questions, shown over the window on demand."""

from __future__ import annotations

from collections.abc import Sequence

from hermes_rescue.core.audit.findings import Finding
from hermes_rescue.gui.view_model.formatting import breakable, sentences
from hermes_rescue.gui.widgets.banners import announce
from PySide6.QtCore import QEvent, QPoint, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QFrame, QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

_GAP = 10  # points between the boxes
_WIDTH = 110  # average characters


class AnswerBoxes(QWidget):
    """Questions with their answers, each in a box; as many beside each other as make it the least high."""

    def __init__(self, questions: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._boxes = [QFrame(self) for _ in questions]
        self._answers: list[QLabel] = []
        for box, question in zip(self._boxes, questions, strict=True):
            box.setProperty("card", True)
            layout = QVBoxLayout(box)
            layout.setContentsMargins(10, 7, 10, 8)
            layout.setSpacing(2)
            head, answer = QLabel(question), QLabel()
            head.setProperty("muted", True)
            for label in (head, answer):
                label.setTextFormat(Qt.TextFormat.PlainText)
                label.setWordWrap(True)
                layout.addWidget(label)
            layout.addStretch()
            self._answers.append(answer)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def show_answers(self, answers: Sequence[str]) -> None:
        """Show an answer to each question."""
        for label, answer in zip(self._answers, answers, strict=True):
            label.setText(answer)
        self.updateGeometry()
        if self.isVisible():  # else when it is shown
            self._place()

    def showEvent(self, event: QShowEvent) -> None:
        """Called by Qt."""
        super().showEvent(event)
        self._place()

    def hasHeightForWidth(self) -> bool:
        """The text wraps."""
        return True

    def heightForWidth(self, width: int) -> int:
        """The height of all rows."""
        return self._height(self._columns(width), width)

    def sizeHint(self) -> QSize:
        """Two boxes wide."""
        width = 60 * self.fontMetrics().averageCharWidth()
        return QSize(width, self.heightForWidth(width))

    def minimumSizeHint(self) -> QSize:
        """One box wide."""
        return QSize(self._narrowest(), self.fontMetrics().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Called by Qt."""
        self._place()

    def event(self, event: QEvent) -> bool:
        """A box that needs another height (its font has changed) says so to its parent, not to the layout above."""
        if event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
            self._place()
        return super().event(event)

    def _narrowest(self) -> int:
        return max(box.minimumSizeHint().width() for box in self._boxes)

    def _columns(self, width: int) -> int:
        """How many boxes stand in a row: none is narrower than a short line or its longest word."""
        line = 15 * self.fontMetrics().averageCharWidth()
        least = max(self._narrowest(), line)
        fitting = [n for n in (4, 2) if self._box_width(n, width) >= least]
        return min(fitting or [1], key=lambda n: self._height(n, width))

    @staticmethod
    def _box_width(columns: int, width: int) -> int:
        return (width - (columns - 1) * _GAP) // columns

    def _rows(self, columns: int, width: int) -> list[int]:
        heights = [box.heightForWidth(self._box_width(columns, width)) for box in self._boxes]
        return [max(heights[k : k + columns]) for k in range(0, len(heights), columns)]

    def _height(self, columns: int, width: int) -> int:
        rows = self._rows(columns, width)
        return sum(rows) + (len(rows) - 1) * _GAP

    def _place(self) -> None:
        columns = self._columns(self.width())
        width, top = self._box_width(columns, self.width()), 0
        for row, height in enumerate(self._rows(columns, self.width())):
            for k, box in enumerate(self._boxes[row * columns : (row + 1) * columns]):
                box.setGeometry(k * (width + _GAP), top, width, height)
            top += height + _GAP


class AnswersPopup(QFrame):
    """All that was found of a session, most urgent first, and the answers for the first; Escape or a click beside it
    closes it. ``guide_wanted``: somebody wants to read more about it.
    """

    guide_wanted = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setProperty("card", True)
        self.setAccessibleName(self.tr("Why? What happens?"))
        self.evidence = QLabel(textFormat=Qt.TextFormat.PlainText, wordWrap=True)
        self.answers = AnswerBoxes(
            (
                self.tr("How serious?"),
                self.tr("What should I do?"),
                self.tr("What happens?"),
                self.tr("Can I keep using this session?"),
            )
        )
        self.guide = QToolButton()
        self.guide.setText(self.tr("More about it in the guide"))
        self.guide.setProperty("link", True)
        self.guide.clicked.connect(self._leave_for_the_guide)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 12, 14, 14)
        column.setSpacing(_GAP)
        column.addWidget(self.evidence)
        column.addWidget(self.answers)
        column.addWidget(self.guide, alignment=Qt.AlignmentFlag.AlignLeft)

    def show_findings(self, findings: Sequence[Finding]) -> None:
        """Say what was found, the main finding first; there is at least one."""
        main = findings[0]
        self.evidence.setText("\n".join(breakable(finding.evidence) for finding in findings))
        self.answers.show_answers((main.kind.severity_text, main.advice, main.kind.effect, main.kind.usable_meanwhile))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Called by Qt: the key of the guide opens it from here too."""
        if event.matches(QKeySequence.StandardKey.HelpContents):
            self._leave_for_the_guide()
        else:
            super().keyPressEvent(event)

    def _leave_for_the_guide(self) -> None:
        self.hide()
        self.guide_wanted.emit()

    def open_below(self, widget: QWidget) -> None:
        """Show it below a widget, ending where that ends, inside the window."""
        window = widget.window()
        width = min(_WIDTH * self.fontMetrics().averageCharWidth(), window.width())
        self.setFixedWidth(width)
        self.resize(width, self.heightForWidth(width))
        corner = widget.mapTo(window, QPoint(widget.width(), widget.height()))
        self.move(window.mapToGlobal(QPoint(max(0, corner.x() - width), corner.y())))
        self.show()
        self.guide.setFocus(Qt.FocusReason.PopupFocusReason)
        announce(widget, sentences(label.text() for label in self.findChildren(QLabel)))  # which come to no popup
