"""How an entry of a conversation is painted: its ground, its bar, its texts with what is selected and found in them."""

from __future__ import annotations

from collections.abc import Mapping

from hermes_rescue.gui.review.conversation_blocks import (
    BAR,
    MARGIN,
    ConversationBlock,
    ConversationMaker,
    Placed,
    Studio,
    Tone,
)
from hermes_rescue.gui.review.entry_delegate import EntryDelegate
from hermes_rescue.gui.view_model.conversation_outline import Spot
from hermes_rescue.gui.view_model.conversation_rows import ConversationRows
from hermes_rescue.gui.view_model.diff_outline import Entry
from hermes_rescue.gui.view_model.entry_rows import Index
from hermes_rescue.gui.widgets.markdown_text import Code
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import (
    QAbstractTextDocumentLayout,
    QColor,
    QLinearGradient,
    QPainter,
    QPalette,
    QPen,
    QTextCharFormat,
    QTextCursor,
)
from PySide6.QtWidgets import QStyleOptionViewItem

Marks = Mapping[tuple[int, int, int], list[tuple[int, int]]]
"""What was found: for a row, a part of its text and a passage where it begins and how long it is."""


class ConversationDelegate(EntryDelegate[ConversationBlock]):
    """Paints the entries of one conversation. ``selection``: the two ends of what is selected, in order; ``marks``:
    what was found, ``mark`` the one of it that is looked at.
    """

    def __init__(self, rows: ConversationRows, studio: Studio, theme: Theme) -> None:
        self.maker = ConversationMaker(rows, studio, theme)
        super().__init__(rows, self.maker, theme)
        self._studio = studio
        self.selection: tuple[Spot, Spot] | None = None
        self.marks: Marks = {}
        self.mark: Spot | None = None

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Called by the view: paint an entry into ``option.rect``."""
        block = self.block(index.row(), option.rect.width())
        entry = self._rows.entries[index.row()]
        painter.save()
        painter.translate(option.rect.topLeft())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._ground(painter, block, QRectF(0, 0, option.rect.width(), block.height - block.room))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self.faint())
        for rect in block.chips:
            painter.drawRoundedRect(rect, 3, 3)
        for rect, is_open in block.triangles:
            self.triangle(painter, rect, is_open)
        self.labels(painter, block.labels)
        for placed in block.texts:
            self._text(painter, placed, entry)
        for rect, name in block.pictures:
            self._picture(painter, rect, name)
        painter.restore()

    def _ground(self, painter: QPainter, block: ConversationBlock, rect: QRectF) -> None:
        inner = rect.adjusted(MARGIN, 0, -MARGIN, 0)
        if block.tone is Tone.GAP:
            painter.setPen(QPen(self._theme.color("handle"), 1, Qt.PenStyle.DashLine))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(inner.adjusted(0.5, 3.5, -0.5, -3.5), 5, 5)
        elif block.tone is Tone.OUT:
            self.hatch(painter, inner)
        elif block.tone is Tone.BACK:
            fading = QLinearGradient(inner.topLeft(), inner.topRight())
            clear = QColor(self._theme.color("add-bg"))
            clear.setAlpha(0)
            fading.setColorAt(0, self._theme.color("add-bg"))
            fading.setColorAt(0.55, clear)
            painter.fillRect(inner, fading)
            painter.fillRect(QRectF(inner.left(), inner.top(), BAR, inner.height()), self._theme.color("add"))

    def _text(self, painter: QPainter, placed: Placed, entry: Entry) -> None:
        document = placed.text.document
        self._studio.colour(placed.text, self._theme)
        painter.save()
        painter.translate(placed.rect.topLeft())
        for code in placed.text.code:
            self._code_ground(painter, placed, code)
        for quote in placed.text.quotes:
            rect = self._lines(placed, quote)
            painter.fillRect(QRectF(1, rect.top(), 2, rect.height()), self._theme.color("handle"))
        context = QAbstractTextDocumentLayout.PaintContext()
        palette = QPalette()
        palette.setColor(QPalette.ColorRole.Text, self._theme.color(placed.ink))
        context.palette = palette
        context.clip = QRectF(0, 0, placed.rect.width(), placed.rect.height())
        context.selections = self._found_in(placed, entry) + self._selected_in(placed, entry)
        painter.setClipRect(context.clip, Qt.ClipOperation.IntersectClip)
        document.documentLayout().draw(painter, context)
        painter.restore()

    def _lines(self, placed: Placed, code: Code) -> QRectF:
        document = placed.text.document
        layout = document.documentLayout()
        first = layout.blockBoundingRect(document.findBlockByNumber(code.first))
        return first.united(layout.blockBoundingRect(document.findBlockByNumber(code.last)))

    def _code_ground(self, painter: QPainter, placed: Placed, code: Code) -> None:
        lines, pad = self._lines(placed, code), self.line * 0.35
        rect = QRectF(0.5, lines.top() - pad, placed.rect.width() - 1, lines.height() + 2 * pad)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.color("fold"))
        painter.drawRoundedRect(rect, 5, 5)

    def _found_in(self, placed: Placed, entry: Entry) -> list[QAbstractTextDocumentLayout.Selection]:
        place = (entry.row, entry.part, placed.passage.rank)
        found = []
        for start, length in self.marks.get(place, ()):
            is_looked_at = self.mark == Spot(*place, start)
            found.append(self._span(placed, start, start + length, *_FOUND[is_looked_at]))
        return found

    def _selected_in(self, placed: Placed, entry: Entry) -> list[QAbstractTextDocumentLayout.Selection]:
        if self.selection is None:
            return []
        first, last = self.selection
        place = (entry.row, entry.part, placed.passage.rank)
        if not first[:3] <= place <= last[:3]:
            return []
        end = placed.text.document.characterCount() - 1
        start = first.position if place == first[:3] else 0
        stop = last.position if place == last[:3] else end
        return [self._span(placed, start, min(stop, end), "accent", "accent-text")]

    def _span(
        self, placed: Placed, start: int, end: int, ground: str, ink: str
    ) -> QAbstractTextDocumentLayout.Selection:
        span = QAbstractTextDocumentLayout.Selection()
        cursor = QTextCursor(placed.text.document)
        cursor.setPosition(start)
        cursor.setPosition(end, QTextCursor.MoveMode.KeepAnchor)
        form = QTextCharFormat()
        form.setBackground(self._theme.color(ground))
        form.setForeground(self._theme.color(ink))
        span.cursor = cursor
        span.format = form
        return span

    def _picture(self, painter: QPainter, rect: QRectF, name: str) -> None:
        image = self._studio.pictures.get(name)
        if image is None or image.isNull():
            painter.setPen(QPen(self._theme.color("line"), 1))
            painter.setBrush(self._theme.color("fold"))
            painter.drawRoundedRect(rect.adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
            icon = self._theme.icon("missing" if image is not None else "info", "muted")
            icon.paint(painter, QRectF(rect.center() - QPointF(10, 10), rect.center() + QPointF(10, 10)).toRect())
            return
        size = image.size().scaled(rect.size().toSize(), Qt.AspectRatioMode.KeepAspectRatio)
        size = size.boundedTo(image.size() * 4)  # a picture of a few points is no wall
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(QRectF(rect.topLeft(), size.toSizeF()), image)


_FOUND = (("add-word", "text"), ("accent", "accent-text"))
"""Ground and ink of what was found, and of the one of it that is looked at."""
