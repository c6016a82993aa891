"""A report on paper: the page of its HTML form, laid out by Qt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from hermes_rescue.core.report.report import Report, render
from hermes_rescue.gui.widgets import theme
from PySide6.QtCore import QBuffer, QIODevice, QMarginsF
from PySide6.QtGui import QFont, QPageSize, QPdfWriter, QTextBlockFormat, QTextCharFormat, QTextCursor, QTextDocument

POINTS = 9.5
"""Size of the text."""

_UNITS = 1200 / 96
"""Qt takes the side margins of paragraphs in units of the printer, and everything else in those of a screen."""

_COLOR = re.compile(r"@([a-z-]+)")
_MARGIN = re.compile(r"(margin-(?:left|right)): (\d+)px")
_STYLE = re.compile(r"<style>.*?</style>", re.DOTALL)
_PARTS = re.compile(r"(?=<section|<h2>|<p class=\"who\">)")
"""Where the page can be taken apart. What sessions say is escaped in it, so these tags are its own."""

_TABLES = (
    ("<dl>", "<table>"),
    ("<dt>", '<tr><td class="note">'),
    ("</dt><dd>", "</td><td>"),
    ("</dd>", "</td></tr>"),
    ("</dl>", "</table>"),
)
"""Qt knows no grid: the lists of facts become tables."""

_PAPER = """
h1 { font-size: 18pt; margin-bottom: 10px; }
h2 { font-size: 14pt; margin-top: 22px; margin-bottom: 4px; }
h3 { font-size: 11pt; margin-top: 14px; margin-bottom: 4px; }
p { margin-top: 4px; margin-bottom: 4px; }
pre { font-size: 8.5pt; margin-left: 12px; margin-top: 2px; margin-bottom: 6px; white-space: pre-wrap; }
code { font-size: 7pt; }
td, th { padding-top: 2px; padding-bottom: 2px; padding-right: 10px; }
th { text-align: left; font-weight: normal; }
.file { white-space: nowrap; }
.id, .note, th { color: @muted; }
.chip { color: @accent; }
"""


def pdf_of(report: Report) -> bytes:
    """The report as PDF, with numbered pages. May be called in any thread."""
    return printed(report.title, document_of(report))


def document_of(report: Report) -> QTextDocument:
    """What is printed."""
    return laid_out(_parts(report), _PAPER)


def printed(title: str, document: QTextDocument) -> bytes:
    """A document as PDF, with numbered pages. May be called in any thread."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    writer = QPdfWriter(buffer)
    writer.setTitle(title)
    writer.setPageSize(QPageSize(QPageSize.PageSizeId.A4))
    writer.setPageMargins(QMarginsF(0, 0, 0, 0))  # the document brings its own
    document.print_(writer)
    return bytes(buffer.data().data())


def laid_out(parts: Iterable[str], style: str) -> QTextDocument:
    """A document from the parts of a page: Qt keeps Python waiting while it reads one, and the window with it. In the
    style sheet ``@name`` is a colour of the light theme.
    """
    document = QTextDocument()
    document.setUndoRedoEnabled(False)
    font = QFont("sans-serif")  # not the desktop's own: the terminal makes the same pages
    font.setPointSizeF(POINTS)
    document.setDefaultFont(font)
    colors = theme.load("light")
    style = _COLOR.sub(lambda name: colors.color(name[1]).name(), style)
    document.setDefaultStyleSheet(_MARGIN.sub(lambda it: f"{it[1]}: {round(int(it[2]) * _UNITS)}px", style))
    gap = QTextBlockFormat()
    gap.setTopMargin(POINTS)
    cursor = QTextCursor(document)
    for number, part in enumerate(parts):
        cursor.movePosition(QTextCursor.MoveOperation.End)
        if number:
            cursor.insertBlock(gap, QTextCharFormat())
        cursor.insertHtml(part)
    return document


def _parts(report: Report) -> Iterator[str]:
    page = _STYLE.sub("", render(report, "html"))
    for tag, other in _TABLES:
        page = page.replace(tag, other)
    return iter(_PARTS.split(page))
