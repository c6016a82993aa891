"""A report on paper: a page of its own, laid out by Qt."""

from __future__ import annotations

from collections.abc import Iterator

from hermes_rescue.core.report.report import Report, written
from hermes_rescue.gui.background.paper import laid_out, printed
from hermes_rescue.gui.widgets import theme
from PySide6.QtCore import QObject, QRect, QRectF, QSizeF
from PySide6.QtGui import QPainter, QPyTextObject, QTextDocument, QTextFormat

_PART = "<!--part-->"
"""Where the page can be taken apart. What sessions say is escaped in it, so this is its own."""

_COLORS = {
    "": "fold",
    "back": "add",
    "whole": "add",
    "some": "add",
    "part": "repair",
    "asked": "ask",
    "left_out": "info",
}
"""The colour of each stretch of a bar (:class:`core.report.outline.Bar`), and of its ground."""

_PAPER = """
h1 { font-size: 18pt; margin-top: 0px; margin-bottom: 8px; }
h2 { font-size: 14pt; margin-top: 20px; margin-bottom: 6px; }
h3 { font-size: 11pt; margin-top: 14px; margin-bottom: 2px; }
h6 { font-size: 9.5pt; font-weight: normal; margin-top: 4px; margin-bottom: 2px; }
p { margin-top: 4px; margin-bottom: 4px; }
pre { font-size: 8.5pt; margin-left: 12px; margin-top: 2px; margin-bottom: 6px; white-space: pre-wrap; }
code { font-size: 7pt; }
td { padding-top: 1px; padding-bottom: 1px; padding-right: 8px; }
.listed td, .lanes td { vertical-align: middle; }
.listed td { font-size: 9pt; }
.one { white-space: nowrap; }
.muted, .id, .note { color: @muted; }
.id, .note { font-size: 8.5pt; }
.healthy, .done, .added, .changed { color: @ok; }
.repairable, .planned, .skipped { color: @repair; }
.unsafe_to_repair { color: @ask; }
.failed, .removed { color: @lost; }
.info { color: @info; }
"""


def pdf_of(report: Report) -> bytes:
    """The report as PDF, with numbered pages. May be called in any thread."""
    document = document_of(report)
    bars = _Bars(document)
    document.documentLayout().registerHandler(QTextFormat.ObjectTypes.ImageObject, bars)
    return printed(report.title, document)


def document_of(report: Report) -> QTextDocument:
    """What is printed."""
    return laid_out(_parts(report), _PAPER)


def _parts(report: Report) -> Iterator[str]:
    return iter(written(report, "pdf").split(_PART))


class _Bars(QPyTextObject):
    """Paints the bars of the pictures, which the page has as images by a name that says all of it."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        light = theme.load("light")
        self._colors = {name: light.color(token) for name, token in _COLORS.items()}
        self._colors["there"] = light.color("muted").lighter(165)

    def intrinsicSize(self, document: QTextDocument, position: int, fmt: QTextFormat) -> QSizeF:
        """Called by Qt: the size in units of the paper."""
        image = fmt.toImageFormat()
        device = document.documentLayout().paintDevice()
        scale = device.logicalDpiX() / 96 if device is not None else 1.0
        return QSizeF(image.width() * scale, image.height() * scale)

    def drawObject(
        self, painter: QPainter, rect: QRectF | QRect, document: QTextDocument, position: int, fmt: QTextFormat
    ) -> None:
        """Called by Qt."""
        _, length, areas = fmt.toImageFormat().name().split(":")
        rect = QRectF(rect)
        painter.fillRect(rect, self._colors[""])
        across, down = rect.width() / max(1, int(length)), rect.height() / 12
        for area in filter(None, areas.split(";")):
            x, y, width, height, kind = area.split(",")
            left, top = rect.left() + int(x) * across, rect.top() + int(y) * down
            painter.fillRect(QRectF(left, top, int(width) * across, int(height) * down), self._colors[kind])
