"""How an entry of a comparison is painted: the ground that tells what happened to it, its box, its texts."""

from __future__ import annotations

import math

from PySide6.QtCore import QLineF, QModelIndex, QPersistentModelIndex, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from gui.diff_blocks import Block, BlockMaker, Mode
from gui.diff_outline import Entry
from gui.diff_rows import DiffRows
from gui.theme import Theme

_CACHED_BLOCKS = 400

Index = QModelIndex | QPersistentModelIndex


class DiffDelegate(QStyledItemDelegate):
    """Paints the entries of one model, and keeps the layout of those that were painted last."""

    def __init__(self, rows: DiffRows, theme: Theme, font: QFont) -> None:
        super().__init__(rows)
        self._rows, self._theme = rows, theme
        self._maker = BlockMaker(rows, theme, font)
        self._blocks: dict[Entry, Block] = {}
        self._width = 0

    @property
    def mode(self) -> Mode:
        """One column or two."""
        return self._maker.mode

    @property
    def line(self) -> int:
        """The height of a line of text."""
        return self._maker.line

    def set_mode(self, mode: Mode) -> None:
        """Lay out in one column or in two."""
        self._maker.mode = mode
        self.forget()

    def set_theme(self, theme: Theme) -> None:
        """Paint with other colours."""
        self._theme = self._maker.theme = theme
        self.forget()

    def set_font(self, font: QFont) -> None:
        """Lay out with another font."""
        self._maker.set_font(font)
        self.forget()

    def forget(self) -> None:
        """Lay everything out anew when it is painted next."""
        self._blocks.clear()

    def drop(self, first: Entry, last: Entry) -> None:
        """Lay the entries from one to another out anew."""
        self._blocks = {entry: block for entry, block in self._blocks.items() if not first <= entry <= last}

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """Called by the view: the size of an entry at the width of ``option.rect``."""
        width = option.rect.width()
        return QSize(width, math.ceil(self._block(index.row(), width).height))

    def usual_height(self, width: int) -> int:
        """About the height of a message, without laying any out."""
        return self._maker.usual_height(width)

    def target_at(self, at: int, width: int, point: QPointF) -> str | None:
        """What a click does at a point, seen from the entry's corner; None where it does nothing."""
        return next((what for rect, what in self._block(at, width).targets if rect.contains(point)), None)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Called by the view: paint an entry into ``option.rect``."""
        block = self._block(index.row(), option.rect.width())
        painter.save()
        painter.translate(option.rect.topLeft())
        for half in block.halves:
            painter.fillRect(half.rect, self._theme.color(half.back))
            if half.hatched:
                self._hatch(painter, half.rect)
        line = QPen(self._theme.color("line"), 0)
        painter.setPen(line)
        if block.height > 1 and self._ends_here(index.row()):
            painter.drawLine(QLineF(0, block.height - 0.5, option.rect.width(), block.height - 0.5))
        for half in block.halves[1:]:
            painter.drawLine(QLineF(half.rect.left() + 0.5, 0, half.rect.left() + 0.5, block.height))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._faint())
        for rect in block.chips:
            painter.drawRoundedRect(rect, 3, 3)
        for rect, is_open in block.triangles:
            self._triangle(painter, rect, is_open)
        if block.box is not None:
            self._box(painter, block.box, self._rows.check_state(index.row()))
        for label in block.labels:
            painter.setFont(label.font)
            painter.setPen(self._theme.color(label.ink))
            painter.drawText(label.rect, Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine, label.text)
        for layout, corner, ink in block.texts:
            painter.setPen(self._theme.color(ink))
            layout.draw(painter, corner)
        painter.restore()

    def _ends_here(self, at: int) -> bool:
        """Whether a message or a run ends with this entry."""
        entries = self._rows.entries
        return at + 1 >= len(entries) or entries[at + 1].part <= 0

    def _block(self, at: int, width: int) -> Block:
        if width != self._width or len(self._blocks) > _CACHED_BLOCKS:
            self.forget()
            self._width = width
        entry = self._rows.entries[at]
        if entry not in self._blocks:
            self._blocks[entry] = self._maker.block(at, width)
        return self._blocks[entry]

    def _faint(self) -> QColor:
        """The ground of a call: a breath of the text's colour."""
        faint = QColor(self._theme.color("text"))
        faint.setAlphaF(0.06)
        return faint

    def _hatch(self, painter: QPainter, rect: QRectF) -> None:
        painter.save()
        painter.setClipRect(rect, Qt.ClipOperation.IntersectClip)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink = QColor(self._theme.color("handle"))
        ink.setAlphaF(0.35)  # texts stand on it
        painter.setPen(QPen(ink, 1))
        step, height = self.line * 0.55, rect.height()
        count = int((rect.width() + height) / step) + 1
        lines = [
            QLineF(x, rect.bottom(), x + height, rect.top())
            for x in (rect.left() - height + k * step for k in range(count))
        ]
        painter.drawLines(lines)
        painter.restore()

    def _triangle(self, painter: QPainter, rect: QRectF, is_open: bool) -> None:
        painter.setBrush(self._theme.color("muted"))
        painter.setPen(Qt.PenStyle.NoPen)
        c, r = rect.center(), rect.width() * 0.45
        path = QPainterPath()
        corners = (
            ((-r, -r * 0.7), (r, -r * 0.7), (0, r * 0.8)) if is_open else ((-r * 0.7, -r), (r * 0.8, 0), (-r * 0.7, r))
        )
        path.addPolygon([QPointF(c.x() + x, c.y() + y) for x, y in corners])
        path.closeSubpath()
        painter.drawPath(path)

    def _box(self, painter: QPainter, rect: QRectF, state: Qt.CheckState) -> None:
        is_empty = state is Qt.CheckState.Unchecked
        painter.setBrush(self._theme.color("surface" if is_empty else "accent"))
        painter.setPen(QPen(self._theme.color("muted" if is_empty else "accent"), 1.2))
        painter.drawRoundedRect(rect.adjusted(0.5, 0.5, -0.5, -0.5), 3, 3)
        if is_empty:
            return
        pen = QPen(self._theme.color("accent-text"), rect.width() * 0.13)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        painter.setPen(pen)
        tick = (
            ((0.26, 0.52), (0.44, 0.70), (0.76, 0.32)) if state is Qt.CheckState.Checked else ((0.28, 0.5), (0.72, 0.5))
        )
        painter.drawPolyline([QPointF(rect.left() + x * rect.width(), rect.top() + y * rect.height()) for x, y in tick])
