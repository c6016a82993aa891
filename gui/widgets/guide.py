"""The guide in a window of its own, beside the one that it is about."""

from __future__ import annotations

from typing import Any

from hermes_rescue.gui.view_model import guide_pages
from hermes_rescue.gui.widgets.fitting import resize_within_screen
from PySide6.QtCore import QEvent, QSize, Qt, QUrl, Slot
from PySide6.QtGui import QImage, QTextCursor, QTextDocument, QTextFrameFormat, QTextLength, QTextTable
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QPushButton,
    QStyle,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

_SCHEME = "guide"
_SIZE = QSize(760, 720)
_MARGIN = 16


class Pages(QTextBrowser):
    """Shows the pages of the guide and follows the links between them. Nothing else is loaded, from the disk or from
    the net.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Guide"))
        self.document().setDocumentMargin(_MARGIN)
        self.sourceChanged.connect(self._on_source)

    @property
    def place(self) -> str:
        """The page that is shown, with the heading that was asked for."""
        url = self.source()
        return "#".join(filter(None, (url.fileName(), url.fragment())))

    def show_place(self, place: str) -> None:
        """Go to a page, or to a heading of one."""
        self.setSource(QUrl(f"{_SCHEME}:/{place}"))

    def loadResource(self, kind: int, name: QUrl | str) -> Any:
        """Called by Qt for a page or a picture of it."""
        url = self.source().resolved(QUrl(name))
        if url.scheme() != _SCHEME:
            return None
        if kind == QTextDocument.ResourceType.ImageResource.value:
            return self._fitted(QImage.fromData(guide_pages.picture(url.fileName())))
        return guide_pages.text_of(url.fileName())

    def changeEvent(self, event: QEvent) -> None:
        """Called by Qt. The colours of the links stand in the text, so other colours need it anew."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self.source().isValid():
            self.reload()

    def _fitted(self, image: QImage) -> QImage:
        """A picture no wider than the page."""
        beside = 2 * _MARGIN + self.style().pixelMetric(QStyle.PixelMetric.PM_ScrollBarExtent)
        width = max(self.width(), _SIZE.width() // 2) - beside
        if image.width() <= width:
            return image
        scale = self.devicePixelRatioF()
        fitted = image.scaledToWidth(int(width * scale), Qt.TransformationMode.SmoothTransformation)
        fitted.setDevicePixelRatio(scale)
        return fitted

    @Slot(QUrl)
    def _on_source(self, url: QUrl) -> None:
        target = None
        self._frame_tables()
        block = self.document().begin()
        while block.isValid():
            form = block.blockFormat()
            if form.headingLevel():
                form.setTopMargin(_MARGIN if block.blockNumber() else 0)
                QTextCursor(block).setBlockFormat(form)
                if guide_pages.anchor(block.text()) == url.fragment():
                    target = block
            elif form.nonBreakableLines():  # code
                form.setBackground(self.palette().alternateBase())
                QTextCursor(block).setBlockFormat(form)
            block = block.next()
        if target is not None:
            self.setTextCursor(QTextCursor(target))
            top = self.document().documentLayout().blockBoundingRect(target).top()
            self.verticalScrollBar().setValue(int(top) - _MARGIN)

    def _frame_tables(self) -> None:
        """Thin lines around the cells, and room within them."""
        for frame in self.document().rootFrame().childFrames():
            if isinstance(frame, QTextTable):
                form = frame.format()
                form.setBorder(1)
                form.setBorderBrush(self.palette().mid())
                form.setBorderStyle(QTextFrameFormat.BorderStyle.BorderStyle_Solid)
                form.setBorderCollapse(True)
                form.setCellPadding(5)
                form.setCellSpacing(0)
                form.setTopMargin(_MARGIN // 2)
                form.setWidth(QTextLength(QTextLength.Type.PercentageLength, 100))
                frame.setFormat(form)


class GuideWindow(QDialog):
    """The guide with the ways back, forward and to the index. It stays open beside the window."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Guide"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        resize_within_screen(self, _SIZE.width(), _SIZE.height())
        self.pages = Pages()
        self.back, self.forward = QPushButton(self.tr("&Back")), QPushButton(self.tr("&Forward"))
        self.index = QPushButton(self.tr("&Contents"))
        row = QHBoxLayout()
        for button, available, go in (
            (self.back, self.pages.backwardAvailable, self.pages.backward),
            (self.forward, self.pages.forwardAvailable, self.pages.forward),
        ):
            button.setEnabled(False)
            button.setAutoDefault(False)
            available.connect(button.setEnabled)
            button.clicked.connect(go)
            row.addWidget(button)
        self.index.setAutoDefault(False)
        self.index.clicked.connect(lambda: self.pages.show_place(guide_pages.INDEX))
        row.addWidget(self.index)
        row.addStretch(1)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        row.addWidget(buttons)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.pages, 1)
        row.setContentsMargins(12, 4, 12, 10)
        column.addLayout(row)
        self.pages.setFocus()

    def show_place(self, place: str) -> None:
        """Open it at a page, or bring it to the front with that page."""
        self.show()
        self.pages.show_place(place)
        self.raise_()
        self.activateWindow()
