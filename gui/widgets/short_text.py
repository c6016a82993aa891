"""A label of a fixed number of lines that opens the whole of its text where that does not fit."""

from __future__ import annotations

from hermes_rescue.gui.view_model.formatting import breakable
from hermes_rescue.gui.widgets.tips import show_tip
from PySide6.QtCore import QPoint, QSize, Qt
from PySide6.QtGui import QResizeEvent, QTextLayout
from PySide6.QtWidgets import QFrame, QLabel, QSizePolicy, QToolButton, QVBoxLayout

_GAP = 6  # points between the text and the button


class ShortText(QLabel):
    """An untrusted text of always as many lines. Of what does not fit it shows the beginning and ``more``, a button
    that opens all of it over the window.
    """

    def __init__(self) -> None:
        super().__init__(textFormat=Qt.TextFormat.PlainText, wordWrap=True)
        self._whole = ""
        self._lines = 1
        self.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.more = QToolButton(self)
        self.more.setText(self.tr("More"))
        self.more.setAccessibleName(self.tr("Show the whole sentence"))
        self.more.setProperty("link", True)
        self.more.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.more.clicked.connect(self._open)
        self.popup = QFrame(self, Qt.WindowType.Popup)
        self.popup.setProperty("card", True)
        self.popup.setAccessibleName(self.more.accessibleName())
        self.text_of_popup = QLabel(textFormat=Qt.TextFormat.PlainText, wordWrap=True)
        self.text_of_popup.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        QVBoxLayout(self.popup).addWidget(self.text_of_popup)

    def set_lines(self, lines: int) -> None:
        """How many lines it has from now on."""
        if lines != self._lines:
            self._lines = lines
            self.updateGeometry()
            self._fit()

    def sizeHint(self) -> QSize:
        """As high as its lines."""
        return QSize(40 * self.fontMetrics().averageCharWidth(), self._lines * self.fontMetrics().lineSpacing() + 2)

    def minimumSizeHint(self) -> QSize:
        """Half as wide."""
        return QSize(self.sizeHint().width() // 2, self.sizeHint().height())

    def heightForWidth(self, width: int) -> int:
        """The same for every width."""
        return self.sizeHint().height()

    def show_text(self, text: str) -> None:
        """Say something else."""
        self._whole = breakable(text)
        self.setAccessibleName(text)
        self.popup.hide()
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Called by Qt."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Show what there is room for."""
        room, metrics = self.contentsRect().width(), self.fontMetrics()
        layout = QTextLayout(self._whole, self.font())
        layout.beginLayout()
        starts: list[int] = []
        while len(starts) <= self._lines and (line := layout.createLine()).isValid():
            line.setLineWidth(room)
            starts.append(line.textStart())
        layout.endLayout()
        is_cut = len(starts) > self._lines
        if is_cut:
            self.more.resize(self.more.sizeHint().width(), metrics.lineSpacing() + 2)
            self.more.move(room - self.more.width(), self.sizeHint().height() - self.more.height() - 1)
            last = starts[self._lines - 1]
            rest = metrics.elidedText(self._whole[last:], Qt.TextElideMode.ElideRight, self.more.x() - _GAP)
            self.setText(f"{self._whole[:last].rstrip()}\n{rest}")
        else:
            self.setText(self._whole)
        self.more.setVisible(is_cut)
        show_tip(self, self._whole if is_cut else "")

    def _open(self) -> None:
        """Show the whole text in the place of its beginning; Escape or a click beside it closes it."""
        self.text_of_popup.setText(self._whole)
        self.popup.setFixedWidth(self.width())
        self.popup.resize(self.width(), self.popup.heightForWidth(self.width()))
        self.popup.move(self.mapToGlobal(QPoint()))
        self.popup.show()
        self.text_of_popup.setFocus(Qt.FocusReason.PopupFocusReason)
