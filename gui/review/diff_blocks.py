"""Where in an entry of a comparison everything is: a message in one column or in two, or the line of a run.

An entry is laid out once for a width and a font and then only painted. Texts are clipped by characters before they are
laid out, so that no message is too long to be shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from hermes_rescue.core.hermes.message import Message
from hermes_rescue.core.report.diff import Change, MessageRow
from hermes_rescue.gui.review.entry_delegate import Label
from hermes_rescue.gui.view_model import diff_text
from hermes_rescue.gui.view_model.diff_outline import FOLD, Entry
from hermes_rescue.gui.view_model.diff_rows import CALL, CHECK, REASONING, RUN, TEXT, DiffRows, Side, Span, cut
from hermes_rescue.gui.view_model.diff_text import message_of, plain, translate
from hermes_rescue.gui.view_model.formatting import counted, number
from hermes_rescue.gui.widgets.markdown_text import units
from hermes_rescue.gui.widgets.theme import Theme, fixed_font
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QFont, QFontMetricsF, QTextCharFormat, QTextLayout, QTextOption

CLIPPED_LINES, ENOUGH_LINES = 6, 8
"""Lines of a clipped text; one that ends within the second number of lines is not clipped."""

LINE_LENGTH = 110
"""Average characters of a line beyond which a wide window makes no longer lines."""

_CLIPPED_CHARACTERS = 2_500
_LEAD = 80
"""Characters that are shown before the first changed word where a text is clipped."""

SIGNS = {
    Change.SAME: "",
    Change.ADDED: "+",
    Change.REMOVED: "−",
    Change.CHANGED: "~",
    Change.MOVED: "›",
    Change.LEFT_OUT: "/",
}
INK = {
    Change.SAME: "muted",
    Change.ADDED: "add",
    Change.REMOVED: "del",
    Change.CHANGED: "chg",
    Change.MOVED: "chg",
    Change.LEFT_OUT: "muted",
}
_BACK = {
    Change.SAME: "surface",
    Change.ADDED: "add-bg",
    Change.REMOVED: "del-bg",
    Change.CHANGED: "chg-bg",
    Change.MOVED: "chg-bg",
    Change.LEFT_OUT: "raised",
}


class Mode(StrEnum):
    """One column for both versions, or one for each."""

    UNIFIED = "unified"
    SPLIT = "split"


@dataclass(slots=True)
class Half:
    """A column of a block, and the colour of its ground."""

    rect: QRectF
    back: str
    hatched: bool = False


@dataclass(slots=True)
class Block:
    """A laid-out entry, its top left corner at 0, 0. ``targets``: what a click does, and where."""

    halves: list[Half] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    texts: list[tuple[QTextLayout, QPointF, str]] = field(default_factory=list)
    chips: list[QRectF] = field(default_factory=list)
    triangles: list[tuple[QRectF, bool]] = field(default_factory=list)
    targets: list[tuple[QRectF, str]] = field(default_factory=list)
    box: QRectF | None = None
    height: float = 0.0


class BlockMaker:
    """Lays out the entries of one model. ``mode`` and ``theme`` (marked words are laid out with their colours) may be
    set at any time; blocks from before are of no use then.
    """

    def __init__(self, rows: DiffRows, theme: Theme, font: QFont) -> None:
        self.mode = Mode.UNIFIED
        self.theme = theme
        self._rows = rows
        self.set_font(font)

    def set_font(self, font: QFont) -> None:
        """Lay out with another font; everything else follows its size."""
        self._font, self._bold = QFont(font), QFont(font)
        self._bold.setWeight(QFont.Weight.DemiBold)
        self._mono = fixed_font(font)
        self._metrics = QFontMetricsF(self._font)
        self.line = math.ceil(max(self._metrics.height(), QFontMetricsF(self._mono).height()) * 1.12)
        self._em = self._metrics.height()
        self._pad = round(self._em * 0.5)
        self._margin = round(self._em * 0.95)

    def usual_height(self, width: float) -> int:
        """About the height of a message, from some of those that there are, without laying them out."""
        half = width / 2 if self.mode is Mode.SPLIT else width
        columns = self._text_width(half) / self._metrics.averageCharWidth()
        some = self._rows.sample
        lines = sum(min(ENOUGH_LINES, math.ceil(length / columns)) + calls for length, calls in some)
        return 2 * self._pad + self.line + round(lines * self.line / max(len(some), 1))

    def block(self, at: int, width: float) -> Block:
        """Lay out an entry at a width."""
        entry = self._rows.entries[at]
        if entry.part == FOLD:
            return self._fold_block(at, width)
        block = Block()
        row, change = self._rows.rows[entry.row], self._rows.change_of(entry.row)
        if self.mode is Mode.UNIFIED:
            self._half(block, QRectF(0, 0, width, 0), at, message_of(row), Side.BOTH, is_last=True)
        else:
            middle = math.floor(width / 2)
            right = None if change is Change.REMOVED else row.right or row.left
            self._half(block, QRectF(0, 0, middle, 0), at, row.left, Side.LEFT, is_last=right is None)
            self._half(block, QRectF(middle, 0, width - middle, 0), at, right, Side.RIGHT, is_last=True)
        if entry.part == 0:
            self._add_box(block, at)
        for half in block.halves:
            half.rect.setHeight(block.height)
        return block

    def _fold_height(self) -> float:
        return self.line + self._pad * 0.9

    def _fold_block(self, at: int, width: float) -> Block:
        run = self._rows.run_at(at)
        assert run is not None
        height = math.ceil(self._fold_height())
        is_open = self._rows.is_open(run)
        block = Block(halves=[Half(QRectF(0, 0, width, height), "fold")], height=height)
        size = self._em * 0.5
        block.triangles.append((QRectF(self._margin, (height - size) / 2, size, size), is_open))
        word = translate("Difference", "Fold") if is_open else translate("Difference", "Show")
        action = self._metrics.horizontalAdvance(word)
        right = QRectF(width - self._margin - action, 0, action + 1, height)
        block.labels.append(Label(right, word, self._font, "accent"))
        block.targets.append((QRectF(0, 0, width, height), RUN))
        if self._rows.has_box(at):
            self._add_box(block, at)
        left = self._text_left() if block.box is not None else self._margin + self._em
        words = self._rows.run_words(run)
        sentence = diff_text.reason_sentence(self._rows.rows[run.start])
        if sentence and self._rows.rows[run.start].change is not Change.ADDED:
            words = f"{words}. {sentence}"
        rect = QRectF(left, 0, right.left() - left - self._em, height)
        words = self._metrics.elidedText(words, Qt.TextElideMode.ElideRight, rect.width())
        block.labels.append(Label(rect, words, self._font, "muted"))
        return block

    def _text_left(self) -> float:
        """Where the text begins in a column: after the sign and the box."""
        return self._margin + self._em * (3.0 if self._rows.choosing else 1.3)

    def _text_width(self, column: float) -> float:
        return max(self._em * 4, column - self._text_left() - self._margin)

    def _add_box(self, block: Block, at: int) -> None:
        """The check box, in the column of the right version."""
        if not self._rows.has_box(at):
            return
        side = round(self._em * 0.8)
        half = block.halves[-1].rect
        top = (block.height - side) / 2 if self._rows.run_at(at) is not None else self._pad + (self.line - side) / 2
        block.box = QRectF(round(half.left() + self._margin + self._em * 1.45), round(top), side, side)
        block.targets.insert(0, (block.box.adjusted(-4, -4, 4, 4), CHECK))

    def _half(self, block: Block, rect: QRectF, at: int, m: Message | None, side: Side, *, is_last: bool) -> None:
        """One column of a message; ``is_last``: it shows what happened and where the message is from."""
        entry = self._rows.entries[at]
        change = self._rows.change_of(entry.row)
        if m is None:
            block.halves.append(Half(rect, "bg"))
            block.height = max(block.height, 2 * self._pad + self.line if entry.part == 0 else 1)
            return
        back = "surface" if side is Side.LEFT and change is Change.LEFT_OUT else _BACK[change]
        block.halves.append(Half(rect, back, hatched=change is Change.LEFT_OUT))
        column = _Column(rect.left() + self._text_left(), rect.left() + rect.width() - self._margin, self._pad)
        if entry.part == 0:
            self._header(block, column, at, m, with_origin=is_last)
            sign = QRectF(rect.left() + self._margin, self._pad, self._em, self.line)
            block.labels.append(Label(sign, SIGNS[change], self._bold, INK[change]))
        else:
            column.y = 0
        quiet = change is Change.LEFT_OUT
        self._text(
            block, column, entry, side, "muted" if quiet else "text", self._mono if m.role == "tool" else self._font
        )
        if self._rows.is_last_part(entry):
            self._details(block, column, entry.row, m)
            column.y += self._pad
        block.height = max(block.height, math.ceil(column.y))

    def _header(self, block: Block, column: _Column, at: int, m: Message, *, with_origin: bool) -> None:
        row, change = self._rows.rows[self._rows.entries[at].row], self._rows.change_of(self._rows.entries[at].row)
        x = self._label(block, column, column.left, diff_text.speaker(m), self._bold, "text")
        time = diff_text.time_of(row)
        if time is not None:
            words = diff_text.clock(time, with_date=self._rows.shows_date(at))
            x = self._label(block, column, x + self._em * 0.5, words, self._font, "muted")
        if with_origin:
            self._origin(block, column, x + self._em, row, change)
        column.y += self.line
        reason = diff_text.reason_sentence(row) if change in (Change.LEFT_OUT, Change.REMOVED) else ""
        if reason and with_origin:
            is_question = row.item is not None and row.item.reason is not None and row.item.reason.is_question
            self._wrapped(block, column, [(Change.SAME, reason)], self._font, "ask" if is_question else "muted", 3)

    def _origin(self, block: Block, column: _Column, left: float, row: MessageRow, change: Change) -> None:
        """What happened and where the message is from, at the right end of the first line."""
        word, origin = diff_text.change_word(change), diff_text.provenance(row, change)
        room = column.right - left
        word_width = self._metrics.horizontalAdvance(word)
        if word and origin and room > word_width + 4 * self._em:
            origin = " · " + origin
        elif word:
            origin = ""
        origin = self._metrics.elidedText(origin, Qt.TextElideMode.ElideRight, room - word_width)
        origin_width = self._metrics.horizontalAdvance(origin)
        start = column.right - origin_width - word_width
        if start < left - self._em:
            return
        self._label(block, column, start, word, self._font, INK[change])
        self._label(block, column, start + word_width, origin, self._font, "muted")

    def _label(self, block: Block, column: _Column, x: float, text: str, font: QFont, ink: str) -> float:
        """A label in the line that the column is at, elided at its end; where it ends."""
        metrics = QFontMetricsF(font)
        room = max(0.0, column.right - x)
        text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, room + 1)
        width = min(room, metrics.horizontalAdvance(text))
        if text:
            block.labels.append(Label(QRectF(x, column.y, width + 2, self.line), text, font, ink))
        return x + width

    def _text(self, block: Block, column: _Column, entry: Entry, side: Side, ink: str, font: QFont) -> None:
        if self._rows.is_opened(entry.row, TEXT):
            self._wrapped(block, column, self._rows.part_of(entry, side), font, ink, None)
            is_long = entry.part > 0 or (block.texts and block.texts[-1][0].lineCount() > ENOUGH_LINES)
            if is_long and self._rows.is_last_part(entry):
                self._link(block, column, translate("Difference", "Show less"), TEXT)
            return
        spans, is_whole = _beginning(self._rows.spans(entry.row, side))
        is_complete = self._wrapped(block, column, spans, font, ink, CLIPPED_LINES)
        if not (is_whole and is_complete):
            length = sum(len(text) for _, text in self._rows.spans(entry.row, side))
            words = translate("Difference", "Show all ({} characters)").format(number(length))
            self._link(block, column, words, TEXT)

    def _link(self, block: Block, column: _Column, words: str, what: str) -> None:
        end = self._label(block, column, column.left, words, self._font, "accent")
        block.targets.append((QRectF(column.left, column.y, end - column.left, self.line), what))
        column.y += self.line

    def _details(self, block: Block, column: _Column, row: int, m: Message) -> None:
        """Calls, attachments and reasoning, each in a line that opens."""
        for k, call in enumerate(diff_text.calls_of(m)):
            what = f"{CALL}{k}"
            top, left = column.y, column.left + self._em * 0.9
            name = self._label(block, column, left + 4, call.name, self._mono, "text")
            end = self._label(block, column, name + self._em * 0.6, call.line, self._mono, "muted")
            block.chips.append(QRectF(left - 1, top + 1, end + 6 - left, self.line - 2))
            self._opening(block, column, what, end, row, call.arguments, self._mono)
        attached = diff_text.attachments_of(m)
        if attached:
            words = translate("Difference", "attached: {}").format(", ".join(attached))
            self._label(block, column, column.left, words, self._font, "muted")
            column.y += self.line
        reasoning = diff_text.reasoning_of(m)
        if reasoning:
            count = reasoning.count(" ") + reasoning.count("\n") + 1  # about; to split a huge text takes too long
            words = translate("Difference", "reasoning, {}").format(counted(count, "word"))
            end = self._label(block, column, column.left + self._em * 0.9, words, self._font, "muted")
            self._opening(block, column, REASONING, end, row, reasoning, self._font)

    def _opening(self, block: Block, column: _Column, what: str, end: float, row: int, text: str, font: QFont) -> None:
        """The triangle of the line that the column is at, and below it what it opens."""
        size, is_open = self._em * 0.5, self._rows.is_opened(row, what)
        block.triangles.append((QRectF(column.left, column.y + (self.line - size) / 2, size, size), is_open))
        block.targets.append((QRectF(column.left - 4, column.y, end - column.left + 8, self.line), what))
        column.y += self.line
        if is_open:
            inner = _Column(column.left + self._em * 0.9, column.right, column.y)
            self._wrapped(block, inner, [(Change.SAME, diff_text.clipped(text))], font, "muted", None)
            column.y = inner.y + self._pad * 0.5

    def _wrapped(
        self, block: Block, column: _Column, spans: Iterable[Span], font: QFont, ink: str, max_lines: int | None
    ) -> bool:
        """A wrapped text from where the column is at; whether all of it found room in ``max_lines``."""
        pieces = [(change, plain(text).replace("\n", "\u2028")) for change, text in spans]
        text = "".join(piece for _, piece in pieces)
        if not text.strip("\u2028 "):
            return True
        layout = QTextLayout(text, font)
        option = QTextOption()
        option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        layout.setTextOption(option)
        layout.setCacheEnabled(True)
        layout.setFormats(self._marks(pieces))
        average = QFontMetricsF(font).averageCharWidth()
        width = max(self._em * 4, min(column.right - column.left, LINE_LENGTH * average))
        limit = ENOUGH_LINES if max_lines == CLIPPED_LINES else max_lines
        is_complete = self._break_lines(layout, width, limit)
        if not is_complete and limit != max_lines:
            self._break_lines(layout, width, max_lines)
        block.texts.append((layout, QPointF(column.left, column.y), ink))
        column.y += layout.lineCount() * self.line
        return is_complete

    def _break_lines(self, layout: QTextLayout, width: float, max_lines: int | None) -> bool:
        """Break a text into at most so many lines; whether that was all of it."""
        count = end = 0
        layout.beginLayout()
        while count != max_lines and (line := layout.createLine()).isValid():
            line.setLineWidth(width)
            line.setPosition(QPointF(0, count * self.line + (self.line - line.height()) / 2))
            count, end = count + 1, line.textStart() + line.textLength()
        layout.endLayout()
        return end >= units(layout.text())

    def _marks(self, pieces: Iterable[Span]) -> list[QTextLayout.FormatRange]:
        marks = []
        at = 0
        for change, text in pieces:
            length = units(text)
            if change is not Change.SAME:
                mark = QTextLayout.FormatRange()
                mark.start, mark.length = at, length
                mark.format = QTextCharFormat()
                is_added = change is Change.ADDED
                mark.format.setBackground(self.theme.color("add-word" if is_added else "del-word"))
                mark.format.setFontStrikeOut(not is_added)
                marks.append(mark)
            at += length
        return marks


@dataclass(slots=True)
class _Column:
    """Where the next line of a column goes."""

    left: float
    right: float
    y: float


def _beginning(spans: tuple[Span, ...]) -> tuple[list[Span], bool]:
    """What is laid out of a clipped text: from shortly before its first changed word on; whether it is all."""
    length = sum(len(text) for _, text in spans)
    start = 0
    if len(spans) > 1 and spans[0][0] is Change.SAME and len(spans[0][1]) > 4 * _LEAD:
        start = len(spans[0][1]) - _LEAD
    shown = list(cut(spans, start, start + _CLIPPED_CHARACTERS))
    if start:
        shown.insert(0, (Change.SAME, "… "))
    return shown, start == 0 and length <= _CLIPPED_CHARACTERS
