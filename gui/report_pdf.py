"""A report on paper: the page of its HTML form, laid out by Qt."""

from __future__ import annotations

import re
from collections.abc import Iterator

from PySide6.QtCore import QBuffer, QIODevice, QMarginsF
from PySide6.QtGui import QFont, QPageSize, QPdfWriter, QTextBlockFormat, QTextCharFormat, QTextCursor, QTextDocument

from core.report import Report, render
from gui import theme

POINTS = 9.5
"""Size of the text."""

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
h1 {{ font-size: 18pt; margin-bottom: 10px; }}
h2 {{ font-size: 14pt; margin-top: 22px; margin-bottom: 4px; }}
h3 {{ font-size: 11pt; margin-top: 14px; margin-bottom: 4px; }}
p {{ margin-top: 4px; margin-bottom: 4px; }}
pre {{ font-size: 8.5pt; margin-left: 12px; margin-top: 2px; margin-bottom: 6px; white-space: pre-wrap; }}
code {{ font-size: 7pt; }}
td, th {{ padding-top: 2px; padding-bottom: 2px; padding-right: 10px; }}
th {{ text-align: left; font-weight: normal; }}
.file {{ white-space: nowrap; }}
.id, .note, th {{ color: {muted}; }}
.chip {{ color: {accent}; }}
"""


def pdf_of(report: Report) -> bytes:
    """The report as PDF, with numbered pages. May be called in any thread."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    writer = QPdfWriter(buffer)
    writer.setTitle(report.title)
    writer.setPageSize(QPageSize(QPageSize.PageSizeId.A4))
    writer.setPageMargins(QMarginsF(0, 0, 0, 0))  # the document brings its own
    document_of(report).print_(writer)
    return bytes(buffer.data().data())


def document_of(report: Report) -> QTextDocument:
    """What is printed."""
    document = QTextDocument()
    document.setUndoRedoEnabled(False)
    font = QFont()
    font.setPointSizeF(POINTS)
    document.setDefaultFont(font)
    colors = theme.load("light")
    document.setDefaultStyleSheet(
        _PAPER.format(muted=colors.color("muted").name(), accent=colors.color("accent").name())
    )
    gap = QTextBlockFormat()
    gap.setTopMargin(POINTS)
    cursor = QTextCursor(document)
    for number, part in enumerate(_parts(report)):
        cursor.movePosition(QTextCursor.MoveOperation.End)
        if number:
            cursor.insertBlock(gap, QTextCharFormat())
        cursor.insertHtml(part)
    return document


def _parts(report: Report) -> Iterator[str]:
    """The page in parts, because Qt keeps Python waiting while it reads one, and the window with it."""
    page = _STYLE.sub("", render(report, "html"))
    for tag, other in _TABLES:
        page = page.replace(tag, other)
    return iter(_PARTS.split(page))
