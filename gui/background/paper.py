"""A document on paper: where each page ends, so that headings stay with their texts and no page is half empty."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from hermes_rescue.gui.widgets import theme
from PySide6.QtCore import QBuffer, QIODevice, QMarginsF, QPointF, QRectF, QSizeF, Qt
from PySide6.QtGui import (
    QAbstractTextDocumentLayout,
    QFont,
    QFontMetricsF,
    QPageSize,
    QPainter,
    QPdfWriter,
    QTextBlock,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
)

POINTS = 9.5
"""Size of the text."""

EMPTY = 1 / 3
"""The share of a page that may stay empty, so that what belongs together stays together."""

_MARGIN_MM, _FOOT_MM = 18, 10
_TOP = 4.0  # points of what is above the first line of a page, such as the edge of a box
_DPI = 1200
_UNITS = _DPI / 96
"""Qt takes the side margins of paragraphs in units of the printer, and everything else in those of a screen."""

_COLOR = re.compile(r"@([a-z-]+)")
_HEADING = re.compile(r"(?:\s|<article>)*<h([1-6])\b")
_GAPS = {2: 20.0, 3: 14.0}
"""The space above a heading that begins a part, by its level."""

_MARGIN = re.compile(r"(margin-(?:left|right)): (\d+)px")


@dataclass(frozen=True, slots=True)
class Row:
    """What no page may divide: a line, with all that stands beside it. ``is_heading``: it belongs to what follows."""

    top: float
    bottom: float
    is_heading: bool = False


def laid_out(parts: Iterable[str], style: str) -> QTextDocument:
    """A document from the parts of a page: Qt keeps Python waiting while it reads one, and the window with it. In the
    style sheet ``@name`` is a colour of the light theme.
    """
    document = QTextDocument()
    document.setUndoRedoEnabled(False)
    document.setDocumentMargin(0)
    font = QFont("sans-serif")  # not the desktop's own: the terminal makes the same pages
    font.setPointSizeF(POINTS)
    document.setDefaultFont(font)
    colors = theme.load("light")
    style = _COLOR.sub(lambda name: colors.color(name[1]).name(), style)
    document.setDefaultStyleSheet(_MARGIN.sub(lambda it: f"{it[1]}: {round(int(it[2]) * _UNITS)}px", style))
    cursor = QTextCursor(document)
    for number, part in enumerate(parts):
        cursor.movePosition(QTextCursor.MoveOperation.End)
        if number:
            heading = _HEADING.match(part)  # Qt puts the first paragraph into the block that is there
            gap = QTextBlockFormat()
            gap.setHeadingLevel(int(heading[1]) if heading else 0)
            gap.setTopMargin(_GAPS.get(gap.headingLevel(), POINTS))
            cursor.insertBlock(gap, QTextCharFormat())
        cursor.insertHtml(part)
    return document


def printed(title: str, document: QTextDocument) -> bytes:
    """A document as PDF, with numbered pages. May be called in any thread."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    writer = QPdfWriter(buffer)
    writer.setTitle(title)
    writer.setResolution(_DPI)
    writer.setPageSize(QPageSize(QPageSize.PageSizeId.A4))
    writer.setPageMargins(QMarginsF(0, 0, 0, 0))  # the pages bring their own
    margin = _MARGIN_MM / 25.4 * _DPI
    room = QSizeF(writer.width() - 2 * margin, writer.height() - 2 * margin)
    document.documentLayout().setPaintDevice(writer)
    document.setTextWidth(room.width())
    pages = list(pages_of(rows_of(document), room.height(), _TOP / 72 * _DPI))
    painter = QPainter(writer)
    for number, (top, bottom) in enumerate(pages, 1):
        if number > 1:
            writer.newPage()
        painter.save()
        painter.translate(margin, margin - top)
        area = QRectF(0, top, room.width(), bottom - top)
        painter.setClipRect(area)
        context = QAbstractTextDocumentLayout.PaintContext()
        context.clip = area
        document.documentLayout().draw(painter, context)
        painter.restore()
        foot = QRectF(margin, writer.height() - margin, room.width(), _FOOT_MM / 25.4 * _DPI)
        _paint_foot(painter, foot, title, f"{number} / {len(pages)}")
    painter.end()
    return bytes(buffer.data().data())


def _paint_foot(painter: QPainter, area: QRectF, title: str, number: str) -> None:
    font = QFont("sans-serif")
    font.setPointSizeF(POINTS * 0.8)
    painter.setFont(font)
    painter.setPen(theme.load("light").color("muted"))
    metrics = QFontMetricsF(font, painter.device())
    painter.drawText(area, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignBottom, number)
    title = metrics.elidedText(title, Qt.TextElideMode.ElideRight, area.width() - 2 * metrics.horizontalAdvance(number))
    painter.drawText(area, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom, title)


def rows_of(document: QTextDocument) -> list[Row]:
    """The rows of a document that has been laid out, from top to bottom."""
    lines = sorted((line for block in _blocks(document) for line in _lines(document, block)), key=lambda line: line.top)
    rows: list[Row] = []
    for line in lines:
        if rows and line.top < rows[-1].bottom - 1:  # beside it, in another column
            last = rows[-1]
            rows[-1] = Row(last.top, max(last.bottom, line.bottom), last.is_heading and line.is_heading)
        else:
            rows.append(line)
    return rows


def pages_of(rows: Sequence[Row], height: float, above: float = 0.0) -> Iterator[tuple[float, float]]:
    """Top and bottom of each page. No heading stands at the foot of one, apart from what it is about; a section that
    fits on a page is kept together where that leaves no more than a part of the page empty.
    """
    starts = _sections(rows)
    first = 0
    top = 0.0
    while first < len(rows):
        after = first
        while after < len(rows) and rows[after].bottom <= top + height:
            after += 1
        if after == len(rows):
            yield top, top + height
            return
        if after == first:  # higher than a page
            yield top, top + height
            top += height
            continue
        first = _better(rows, starts, first, after, top + height, height)
        yield top, rows[first].top
        top = max(rows[first - 1].bottom, rows[first].top - above)


def _better(rows: Sequence[Row], starts: Sequence[int], first: int, after: int, bottom: float, height: float) -> int:
    """The row that the next page begins with, where the one at ``after`` has no room."""
    start = starts[after]
    end = next((k for k in range(after, len(rows)) if starts[k] != start), len(rows)) - 1
    fits = rows[end].bottom - rows[start].top <= height
    if start > first and fits and bottom - rows[start].top <= EMPTY * height:
        return start
    while after - 1 > first and rows[after - 1].is_heading:
        after -= 1
    if after - 2 > first and rows[after - 2].is_heading and starts[after - 2] == starts[after]:
        return starts[after]  # one line below its heading is as good as none
    return after


def _sections(rows: Sequence[Row]) -> list[int]:
    """For each row the one that its section begins with: the first of the headings above it."""
    starts = []
    start = 0
    for k, row in enumerate(rows):
        if row.is_heading and not (k and rows[k - 1].is_heading):
            start = k
        starts.append(start)
    return starts


def _blocks(document: QTextDocument) -> Iterator[QTextBlock]:
    block = document.begin()
    while block.isValid():
        yield block
        block = block.next()


def _lines(document: QTextDocument, block: QTextBlock) -> Iterator[Row]:
    origin: QPointF = document.documentLayout().blockBoundingRect(block).topLeft()
    layout = block.layout()
    is_heading = block.blockFormat().headingLevel() > 0
    for k in range(layout.lineCount()):
        line = layout.lineAt(k)
        top = origin.y() + line.y()
        yield Row(top, top + line.height(), is_heading)
