"""Where in an entry of a conversation everything is: who speaks and when, the texts, the folded lines, the pictures."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

from hermes_rescue.core.base.words import plural
from hermes_rescue.core.hermes.message import Message
from hermes_rescue.core.report.diff import Change
from hermes_rescue.gui.background.errands import Errands
from hermes_rescue.gui.review.diff_blocks import LINE_LENGTH
from hermes_rescue.gui.review.entry_delegate import Label
from hermes_rescue.gui.review.pictures import size_of, small_picture
from hermes_rescue.gui.view_model import conversation_outline as outlines
from hermes_rescue.gui.view_model import diff_text
from hermes_rescue.gui.view_model.conversation_rows import RESULT, TAKE, ConversationRows, Passage
from hermes_rescue.gui.view_model.diff_outline import FOLD, Entry
from hermes_rescue.gui.view_model.diff_rows import CALL, REASONING, RUN, TEXT
from hermes_rescue.gui.view_model.diff_text import message_of, translate
from hermes_rescue.gui.view_model.formatting import number
from hermes_rescue.gui.widgets import markdown_text
from hermes_rescue.gui.widgets.markdown_text import Style, Text
from hermes_rescue.gui.widgets.theme import Theme, fixed_font
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetricsF, QImage

MARGIN = 18
"""Points left free beside every message."""

BAR = 3


class Tone(StrEnum):
    """How a message stands in the conversation."""

    USUAL = "usual"
    BACK = "back"
    OUT = "out"
    GAP = "gap"


@dataclass(slots=True)
class Placed:
    """A text and where it stands."""

    passage: Passage
    text: Text
    rect: QRectF
    ink: str


@dataclass(slots=True)
class ConversationBlock:
    """A laid-out entry, its top left corner at 0, 0. ``targets``: what a click does, and where."""

    tone: Tone = Tone.USUAL
    height: float = 0.0
    room: float = 0.0
    """Points at the bottom that belong to no message."""
    labels: list[Label] = field(default_factory=list)
    texts: list[Placed] = field(default_factory=list)
    chips: list[QRectF] = field(default_factory=list)
    triangles: list[tuple[QRectF, bool]] = field(default_factory=list)
    targets: list[tuple[QRectF, str]] = field(default_factory=list)
    pictures: list[tuple[QRectF, str]] = field(default_factory=list)


class Studio:
    """Makes what takes a moment beside the window: small pictures, and code in colours."""

    def __init__(self, errands: Errands) -> None:
        self._errands = errands
        self.pictures: dict[str, QImage] = {}
        self._coloured: dict[tuple[str, str], tuple[tuple[tuple[int, int, str], ...], ...]] = {}
        errands.made.connect(self._on_made)

    def ask_for_picture(self, address: str, side: int) -> str:
        """Have a picture made; the name under which it will be found."""
        name = hashlib.sha256(address.encode("utf-8", "replace")).hexdigest()
        if name not in self.pictures:
            self._errands.ask(name, partial(small_picture, address, side))
        return name

    def colour(self, text: Text, theme: Theme) -> None:
        """Show the code of a text in colours, now or as soon as they are known."""
        for code in tuple(text.plain_code):
            key = (markdown_text.code_text(text, code), code.language)
            if key in self._coloured:
                markdown_text.colour(text, code, self._coloured[key], theme)
                text.plain_code.remove(code)
            else:
                self._errands.ask(key, partial(markdown_text.highlighted, *key))

    def _on_made(self, key: str | tuple[str, str], made: object) -> None:
        if isinstance(made, QImage) and isinstance(key, str):
            self.pictures[key] = made
        elif isinstance(made, tuple) and isinstance(key, tuple):
            self._coloured[key] = made


class ConversationMaker:
    """Lays out the entries of one conversation."""

    def __init__(self, rows: ConversationRows, studio: Studio, theme: Theme) -> None:
        self.theme = theme
        self._rows, self._studio = rows, studio
        self.set_font(QFont())

    def set_font(self, font: QFont) -> None:
        """Lay out with another font; everything else follows its size."""
        self._font, self._bold = QFont(font), QFont(font)
        self._bold.setWeight(QFont.Weight.DemiBold)
        self._mono = fixed_font(font)
        self._metrics = QFontMetricsF(self._font)
        self._em = self._metrics.height()
        self.line = math.ceil(self._em * 1.2)
        self._pad = round(self._em * 0.45)
        self._left = MARGIN + BAR + round(self._em * 0.85)

    @property
    def _style(self) -> Style:
        return Style(self._font, self._mono, self.theme)

    def usual_height(self, width: float) -> int:
        """About the height of a message, from some of those that there are, without laying them out."""
        columns = self._text_width(width) / self._metrics.averageCharWidth()
        some = self._rows.sample
        lines = sum(min(40, math.ceil(length / columns)) + calls for length, calls in some)
        return 2 * self._pad + self.line + round(lines * self.line / max(len(some), 1))

    def _text_width(self, width: float) -> float:
        room = width - self._left - MARGIN
        return max(self._em * 4, min(room, LINE_LENGTH * self._metrics.averageCharWidth()))

    def block(self, at: int, width: float) -> ConversationBlock:
        """Lay out an entry at a width."""
        entry = self._rows.entries[at]
        return self._gap_block(at, width) if entry.part == FOLD else self._message_block(at, entry, width)

    # What stays out

    def _gap_block(self, at: int, width: float) -> ConversationBlock:
        """One line: what it is, and what can be done about it."""
        gap = self._rows.gap_at(at)
        assert gap is not None
        block = ConversationBlock(Tone.GAP, height=math.ceil(self.line + 2.6 * self._pad))
        y = (block.height - self.line) / 2
        is_open = self._rows.is_open(gap.rows)
        restore = plural(
            len(gap.rows), translate("Conversation", "restore it"), translate("Conversation", "restore them")
        )
        actions = (
            (translate("Conversation", "hide") if is_open else translate("Conversation", "show"), RUN),
            (restore, TAKE),
        )
        dot = "  ·  "
        needed = sum(self._metrics.horizontalAdvance(dot + words) for words, _ in actions)
        x = float(MARGIN + round(self._em * 0.9))
        room = width - x - MARGIN - self._pad - needed
        words = self._metrics.elidedText(outlines.gap_words(gap, self._rows.rows), Qt.TextElideMode.ElideRight, room)
        x = self._put(block, x, y, words, self._font, "muted")
        for words, what in actions:
            x = self._put(block, x, y, dot, self._font, "muted")
            end = self._put(block, x, y, words, self._font, "accent")
            block.targets.append((QRectF(x - 3, 0, end - x + 6, block.height), what))
            x = end
        return block

    # A message

    def _message_block(self, at: int, entry: Entry, width: float) -> ConversationBlock:
        row = self._rows.rows[entry.row]
        m, change = message_of(row), self._rows.boxes.change_of(entry.row)
        block = ConversationBlock(self._tone(change))
        is_result = m.role == "tool"
        y = 0.0
        if entry.part == 0 and not is_result:
            y = self._header(block, at, entry.row, m, width)
        elif entry.part == 0:
            y = self._result_line(block, entry.row, m, width)
        shown = {passage.what: passage for passage in self._rows.passages(entry)}
        if entry.part == 0:
            y = self._reasoning(block, entry.row, m, shown.get(REASONING), y, width)
        if text := shown.get(TEXT) or shown.get(RESULT):
            y = self._text(block, text, y, width)
        y = self._show_all(block, entry, y)
        if self._rows.is_last_part(entry):
            y = self._after_text(block, entry.row, m, shown, y, width)
            is_followed = self._rows.goes_on(entry.row)
            block.room = 0 if is_followed else 2
            y += (1 if is_followed else self._pad) + block.room
        block.height = math.ceil(y)
        return block

    @staticmethod
    def _tone(change: Change) -> Tone:
        if change in (Change.LEFT_OUT, Change.REMOVED):
            return Tone.OUT
        return Tone.USUAL if change is Change.SAME else Tone.BACK

    def _header(self, block: ConversationBlock, at: int, row: int, m: Message, width: float) -> float:
        """Who speaks, when, and at the right end where the message comes from."""
        y = float(self._pad)
        x = self._put(block, self._left, y, outlines.speaker(m), self._bold, "text", width / 2)
        time = diff_text.time_of(self._rows.rows[row])
        if time is not None:
            words = diff_text.clock(time, with_date=self._rows.shows_date(at))
            x = self._put(block, x + self._em * 0.45, y, words, self._font, "muted")
        self._origin(block, self._rows.origin_of(row), x, y, width)
        return y + self.line

    def _origin(self, block: ConversationBlock, words: str, left: float, y: float, width: float) -> None:
        room = width - MARGIN - left - self._em
        words = self._metrics.elidedText(words, Qt.TextElideMode.ElideRight, room)
        if words and room > self._em * 3:
            self._put(block, width - MARGIN - self._metrics.horizontalAdvance(words), y, words, self._font, "muted")

    def _result_line(self, block: ConversationBlock, row: int, m: Message, width: float) -> float:
        """The line that a tool's result is folded to."""
        y = 0.0 if row and self._rows.goes_on(row - 1) else float(self._pad)
        is_open = self._rows.is_opened(row, RESULT)
        end = self._chip(
            block, y, RESULT, outlines.opening_words(m, self._rows.text_of(row)), "", is_open=is_open, width=width
        )
        origin = self._rows.origin_of(row)
        if not row or origin != self._rows.origin_of(row - 1):
            self._origin(block, origin, end, y, width)
        return y + self.line + 2

    def _reasoning(
        self, block: ConversationBlock, row: int, m: Message, opened: Passage | None, y: float, width: float
    ) -> float:
        """The line that a reasoning is folded to, and below it the reasoning where it is open."""
        text = diff_text.reasoning_of(m)
        if not text:
            return y
        words = outlines.reasoning_words(text)
        self._chip(block, y, REASONING, words, "", is_open=opened is not None, width=width)
        y += self.line + 2
        return self._text(block, opened, y, width) if opened is not None else y

    def _after_text(
        self, block: ConversationBlock, row: int, m: Message, opened: Mapping[str, Passage], y: float, width: float
    ) -> float:
        """Calls, each in a line that opens, attachments and pictures."""
        for k, call in enumerate(diff_text.calls_of(m)):
            what = f"{CALL}{k}"
            self._chip(block, y, what, call.name, call.line, is_open=what in opened, width=width)
            y += self.line + 2
            if what in opened:
                y = self._text(block, opened[what], y, width)
        attached = diff_text.attachments_of(m)
        if attached:
            words = translate("Conversation", "attached: {}").format(", ".join(attached))
            self._put(block, self._left, y, words, self._font, "muted", width - MARGIN)
            y += self.line
        return self._pictures(block, row, y, width)

    def _pictures(self, block: ConversationBlock, row_at: int, y: float, width: float) -> float:
        side, x, row = round(self._em * 7), float(self._left), 0
        for address in self._rows.content_of(row_at).pictures:
            size = size_of(address)
            size = size.scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio) if size.isValid() else QSize(side, side)
            if x > self._left and x + size.width() > width - MARGIN:
                x, y, row = float(self._left), y + row + 6, 0
            rect = QRectF(QPointF(x, y + 3), size.expandedTo(QSize(12, 12)).toSizeF())
            block.pictures.append((rect, self._studio.ask_for_picture(address, side * 2)))
            x, row = rect.right() + 8, max(row, round(rect.height()))
        return y + row + 6 if row else y

    def _text(self, block: ConversationBlock, passage: Passage, y: float, width: float) -> float:
        """A text below the line at ``y``."""
        if not passage.source.strip():
            return y
        inset = 0.0 if passage.what == TEXT else self._em * 0.8
        text = markdown_text.laid_out(
            passage.source, self._style, self._text_width(width) - inset, is_markdown=passage.is_markdown
        )
        self._studio.colour(text, self.theme)
        size = text.document.size()
        quiet = passage.what != TEXT or block.tone is Tone.OUT
        rect = QRectF(self._left + inset, y, self._text_width(width) - inset, math.ceil(size.height()))
        block.texts.append(Placed(passage, text, rect, "muted" if quiet else "text"))
        return rect.bottom() + (self._pad * 0.5 if passage.what != TEXT else 0)

    def _show_all(self, block: ConversationBlock, entry: Entry, y: float) -> float:
        """The line below a text that is clipped, or at the end of one that is shown in full."""
        what = next((p.passage.what for p in block.texts if p.passage.what in (TEXT, RESULT)), "")
        if not what or not self._rows.is_last_part(entry):
            return y
        if entry.part or (what == TEXT and self._rows.is_opened(entry.row, TEXT)):
            words, act = translate("Conversation", "Show less"), what
        elif what == TEXT and self._rows.is_long(entry.row):
            length = len(self._rows.text_of(entry.row))
            words, act = translate("Conversation", "Show all ({n} characters)").format(n=number(length)), what
        else:
            return y
        end = self._put(block, self._left, y, words, self._font, "accent")
        block.targets.append((QRectF(self._left, y, end - self._left, self.line), act))
        return y + self.line

    def _chip(
        self, block: ConversationBlock, y: float, what: str, words: str, more: str, *, is_open: bool, width: float
    ) -> float:
        """A folded line; where it ends."""
        size, left = self._em * 0.45, self._left
        x = left + self._em * 0.3
        block.triangles.append((QRectF(x, y + 1 + (self.line - size) / 2, size, size), is_open))
        right = width - MARGIN - self._em
        end = self._put(block, x + size + self._em * 0.35, y + 1, words, self._mono, "text", right)
        if more:
            end = self._put(block, end + self._em * 0.5, y + 1, more, self._mono, "muted", right)
        rect = QRectF(left, y + 1, end + self._em * 0.4 - left, self.line)
        block.chips.append(rect)
        block.targets.append((rect, what))
        return rect.right()

    def _put(
        self,
        block: ConversationBlock,
        x: float,
        y: float,
        text: str,
        font: QFont,
        ink: str,
        right: float = math.inf,
    ) -> float:
        """A text of one line, elided before ``right``; where it ends."""
        metrics = QFontMetricsF(font)
        width = metrics.horizontalAdvance(text)
        if x + width > right:
            text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, max(0.0, right - x))
            width = metrics.horizontalAdvance(text)
        if text:
            block.labels.append(Label(QRectF(x, y, width + 2, self.line), text, font, ink))
        return x + width

    def place_at(self, block: ConversationBlock, point: QPointF) -> tuple[int, int]:
        """The passage (its rank) and the character that are nearest to a point of an entry."""
        if not block.texts:
            return 0, 0
        placed = min(block.texts, key=lambda p: max(p.rect.top() - point.y(), point.y() - p.rect.bottom(), 0.0))
        if point.y() < placed.rect.top():
            return placed.passage.rank, 0
        inside = point - placed.rect.topLeft()
        if point.y() > placed.rect.bottom():
            return placed.passage.rank, placed.text.document.characterCount() - 1
        found = placed.text.document.documentLayout().hitTest(inside, Qt.HitTestAccuracy.FuzzyHit)
        return placed.passage.rank, max(0, found)

    def link_at(self, block: ConversationBlock, point: QPointF) -> str:
        """The address of the link at a point of an entry; empty where there is none."""
        for placed in block.texts:
            if placed.rect.contains(point):
                return placed.text.document.documentLayout().anchorAt(point - placed.rect.topLeft())
        return ""

    @staticmethod
    def line_of(placed: Placed, position: int) -> float:
        """Where in an entry the line begins that has a character of a text."""
        block = placed.text.document.findBlock(position)
        top = placed.text.document.documentLayout().blockBoundingRect(block).top()
        line = block.layout().lineForTextPosition(position - block.position())
        return placed.rect.top() + top + (line.y() if line.isValid() else 0)
