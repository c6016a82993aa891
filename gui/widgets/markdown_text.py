"""Texts of a conversation as Qt's own documents: Markdown that runs, loads and follows nothing, and code in colours.

HTML in a text is shown as it was written. A picture of a text is shown by its words and its address; nothing is
fetched, from the net or from the disk. What would take too long to be laid out (a huge table, lists in lists in lists)
is shown as it was written too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

from hermes_rescue.gui.view_model.diff_text import plain, translate
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import QUrl
from PySide6.QtGui import (
    QFont,
    QTextBlock,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
    QTextFrameFormat,
    QTextLayout,
    QTextLength,
    QTextOption,
    QTextTable,
)

_Feature = QTextDocument.MarkdownFeature
_DIALECT = _Feature.MarkdownDialectGitHub | _Feature.MarkdownNoHTML

_BREAK = "\u2028"
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_PLAIN_LINE = re.compile(r"[^\W\d_][^|]*|[\"'(¿¡„“«]\S[^|]*")

_MOST_SIGNS = 600
_MOST_CELLS = 240
_DEEP = re.compile(r"^[ \t]*(?:(?:[-*+>]|\d{1,9}[.)])[ \t]*){9}|^[ \t]{40,}(?:[-*+]|\d{1,9}[.)])[ \t]", re.MULTILINE)
_SIGNS = "*_`[]&<~!\\"

_INK = (
    ("Comment", "muted"),
    ("Keyword", "chg"),
    ("Name.Function", "add"),
    ("Name.Class", "add"),
    ("Name.Builtin", "add"),
    ("Name.Tag", "add"),
    ("Name.Decorator", "add"),
    ("Literal.String", "ok"),
    ("Literal.Number", "del"),
    ("Operator.Word", "chg"),
    ("Generic.Inserted", "ok"),
    ("Generic.Deleted", "lost"),
)
"""The colour tokens of what code consists of, by the names that Pygments has for it."""


class StillDocument(QTextDocument):
    """A document that loads nothing, whatever its text asks for."""

    def loadResource(self, kind: int, name: QUrl | str) -> Any:
        """Called by Qt where a text names a picture or a style: there is none."""
        return None


@dataclass(frozen=True, slots=True)
class Code:
    """A block of code: its lines as blocks of the document, and its language ("" where nobody says)."""

    first: int
    last: int
    language: str


@dataclass(slots=True)
class Text:
    """A text that is laid out. ``quotes``: blocks of the document that quote somebody; ``plain_code``: the blocks of
    code that are not in colours yet.
    """

    document: QTextDocument
    code: list[Code] = field(default_factory=list)
    plain_code: list[Code] = field(default_factory=list)
    quotes: list[Code] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Style:
    """With what a text is laid out."""

    font: QFont
    mono: QFont
    theme: Theme


def words_of(source: str, *, is_markdown: bool) -> str:
    """The text that a person reads of a source, as its document has it."""
    return _parsed(source, is_markdown=is_markdown).toPlainText()


def units(text: str) -> int:
    """The length of a text as Qt counts it, in units of UTF-16."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def between(text: str, start: int, end: int) -> str:
    """The part of a text between two places as Qt counts them."""
    return text.encode("utf-16-le", "surrogatepass")[2 * start : 2 * end].decode("utf-16-le", "replace")


def laid_out(source: str, style: Style, width: float, *, is_markdown: bool) -> Text:
    """A text at a width. One that is not Markdown (code, what a tool said) is shown as it is."""
    document = _parsed(source, is_markdown=is_markdown)
    is_plain = not is_markdown or not is_tame(source)
    document.setDefaultFont(style.mono if is_plain else style.font)
    option = QTextOption()
    option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
    document.setDefaultTextOption(option)
    text = Text(document)
    if not is_plain:
        _dress(text, style, has_code="`" in source)
    document.setTextWidth(width)
    return text


def is_tame(source: str) -> bool:
    """Whether a text can be laid out as Markdown in no time."""
    if _DEEP.search(source) or source.count("|") > _MOST_CELLS:
        return False
    return sum(map(source.count, _SIGNS)) <= _MOST_SIGNS


def _parsed(source: str, *, is_markdown: bool) -> QTextDocument:
    document = StillDocument()
    document.setUndoRedoEnabled(False)
    document.setDocumentMargin(0)
    if is_markdown and is_tame(source):
        document.setMarkdown(_with_breaks(plain(source)), _DIALECT)
        if "![" in source:
            _name_pictures(document)
    else:
        document.setPlainText(plain(source))
    return document


def _with_breaks(source: str) -> str:
    """A text of which the line breaks within a paragraph stay: people and agents mean them, Markdown does not."""
    lines = source.split("\n")
    joined = [lines[0]]
    fence = ""
    for before, line in pairwise(lines):
        if found := _FENCE.match(before):
            fence = found[1] if not fence else "" if found[1].startswith(fence) else fence
        is_inside = not fence and _PLAIN_LINE.fullmatch(before) and _PLAIN_LINE.fullmatch(line)
        joined += (_BREAK if is_inside else "\n", line)
    return "".join(joined)


def _name_pictures(document: QTextDocument) -> None:
    """Put words in the place of each picture that a text names."""
    found: list[tuple[int, str]] = []
    block = document.begin()
    while block.isValid():
        at = block.begin()
        while not at.atEnd():
            fragment = at.fragment()
            if (form := fragment.charFormat()).isImageFormat():
                image = form.toImageFormat()
                name = str(form.property(QTextFormat.Property.ImageAltText) or "")
                words = ": ".join(filter(None, (name, image.name()[:200])))
                words = translate("Conversation", "[picture {}]").format(words)
                found += [(fragment.position() + k, words) for k in range(fragment.length())]
            at += 1
        block = block.next()
    cursor = QTextCursor(document)
    for position, words in reversed(found):
        cursor.setPosition(position)
        cursor.setPosition(position + 1, QTextCursor.MoveMode.KeepAnchor)
        cursor.insertText(words, QTextCharFormat())


def _dress(text: Text, style: Style, *, has_code: bool) -> None:
    """Bring headings, code, quotes and tables into the form of the window."""
    document = text.document
    em = document.defaultFont().pointSizeF() if document.defaultFont().pointSizeF() > 0 else 10.0
    document.setIndentWidth(em * 1.8)
    headings: list[QTextBlock] = []
    block = document.begin()
    while block.isValid():
        form, at = block.blockFormat(), block.blockNumber()
        if form.nonBreakableLines():
            _add(text.code, at, str(form.property(QTextFormat.Property.BlockCodeLanguage) or ""))
        elif form.property(QTextFormat.Property.BlockQuoteLevel):
            _add(text.quotes, at, "")
        elif form.headingLevel():
            headings.append(block)
        if has_code and not form.nonBreakableLines():
            _fix_inline(block, style)
        block = block.next()
    for code in text.code:
        _form(document, code, style.mono, em * 0.7)
    text.plain_code = [code for code in text.code if code.language]
    for quote in text.quotes:
        _form(document, quote, None, em * 0.6)
    for block in headings:
        _heading(block, style.font)
    for frame in document.rootFrame().childFrames():
        if isinstance(frame, QTextTable):
            _table(frame, style)
    _close_up(text)


def _add(runs: list[Code], at: int, language: str) -> None:
    if runs and (runs[-1].last, runs[-1].language) == (at - 1, language):
        runs[-1] = Code(runs[-1].first, at, language)
    else:
        runs.append(Code(at, at, language))


def _fix_inline(block: QTextBlock, style: Style) -> None:
    """Code inside a sentence stands on a ground of its own."""
    at = block.begin()
    places = []
    while not at.atEnd():
        fragment = at.fragment()
        if fragment.charFormat().fontFixedPitch():
            places.append((fragment.position(), fragment.length()))
        at += 1
    form = QTextCharFormat()
    form.setFontFamilies(style.mono.families())
    form.setBackground(style.theme.color("fold"))
    for start, length in places:
        cursor = _selected(block.document(), start, start + length)
        cursor.mergeCharFormat(form)


def _selected(document: QTextDocument, start: int, end: int) -> QTextCursor:
    cursor = QTextCursor(document)
    cursor.setPosition(start)
    cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
    return cursor


def _form(document: QTextDocument, run: Code, font: QFont | None, pad: float) -> None:
    """Room around a block of code or a quote, which the delegate paints the ground of."""
    first, last = document.findBlockByNumber(run.first), document.findBlockByNumber(run.last)
    cursor = _selected(document, first.position(), last.position() + last.length() - 1)
    form = QTextBlockFormat()
    form.setNonBreakableLines(False)
    form.setLeftMargin(pad * 1.6)
    form.setRightMargin(pad if font is not None else 0)
    cursor.mergeBlockFormat(form)
    if font is not None:
        letters = QTextCharFormat()
        letters.setFont(font, QTextCharFormat.FontPropertiesInheritanceBehavior.FontPropertiesSpecifiedOnly)
        letters.clearForeground()
        cursor.mergeCharFormat(letters)
    for block, edge in ((first, "top"), (last, "bottom")):
        form = QTextBlockFormat()
        (form.setTopMargin if edge == "top" else form.setBottomMargin)(pad * (1.8 if font is not None else 0.8))
        QTextCursor(block).mergeBlockFormat(form)


def _heading(block: QTextBlock, font: QFont) -> None:
    larger = {1: 1.3, 2: 1.15}.get(block.blockFormat().headingLevel(), 1.0)
    pieces = []
    at = block.begin()
    while not at.atEnd():
        fragment = at.fragment()
        pieces.append((fragment.position(), fragment.length(), fragment.charFormat()))
        at += 1
    for start, length, letters in pieces:
        letters.clearProperty(QTextFormat.Property.FontSizeAdjustment)
        if font.pointSizeF() > 0:
            letters.setFontPointSize(font.pointSizeF() * larger)
        _selected(block.document(), start, start + length).setCharFormat(letters)


def _table(table: QTextTable, style: Style) -> None:
    form = table.format()
    form.setBorder(1)
    form.setBorderBrush(style.theme.color("line"))
    form.setBorderStyle(QTextFrameFormat.BorderStyle.BorderStyle_Solid)
    form.setBorderCollapse(True)
    form.setCellPadding(4)
    form.setCellSpacing(0)
    form.setTopMargin(4)
    form.setBottomMargin(6)
    form.setWidth(QTextLength())
    table.setFormat(form)


def _close_up(text: Text) -> None:
    """No room above the first line and below the last one."""
    document = text.document
    code = {number for run in text.code for number in (run.first, run.last)}
    for block, edge in ((document.begin(), "top"), (document.lastBlock(), "bottom")):
        if block.blockNumber() in code:
            continue
        form = QTextBlockFormat()
        (form.setTopMargin if edge == "top" else form.setBottomMargin)(0)
        QTextCursor(block).mergeBlockFormat(form)


# Code in colours


def code_text(text: Text, code: Code) -> str:
    """The lines of a block of code."""
    blocks = range(code.first, code.last + 1)
    return "\n".join(text.document.findBlockByNumber(number).text() for number in blocks)


@lru_cache(maxsize=400)
def highlighted(source: str, language: str) -> tuple[tuple[tuple[int, int, str], ...], ...]:
    """For each line of a piece of code what of it has a colour: start, length, colour token. Takes a moment; none for
    a language that nobody knows.
    """
    from pygments.lexers import get_lexer_by_name  # not on the way to a window without code
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return ()
    lines: list[list[tuple[int, int, str]]] = [[]]
    at = 0
    for kind, value in lexer.get_tokens(source):
        ink = _ink_of(str(kind))
        for k, piece in enumerate(value.split("\n")):
            if k:
                lines.append([])
                at = 0
            length = units(piece)
            if ink and length:
                lines[-1].append((at, length, ink))
            at += length
    return tuple(map(tuple, lines))


@cache
def _ink_of(kind: str) -> str:
    return next((ink for name, ink in _INK if kind.startswith(f"Token.{name}")), "")


def colour(text: Text, code: Code, lines: Sequence[Sequence[tuple[int, int, str]]], theme: Theme) -> None:
    """Show a piece of code in colours; it stays as high as it is."""
    for number, spans in enumerate(lines[: code.last - code.first + 1], code.first):
        ranges = []
        for start, length, ink in spans:
            span = QTextLayout.FormatRange()
            span.start, span.length = start, length
            span.format = QTextCharFormat()
            span.format.setForeground(theme.color(ink))
            ranges.append(span)
        if ranges:
            block = text.document.findBlockByNumber(number)
            block.layout().setFormats(ranges)
            text.document.markContentsDirty(block.position(), block.length())
