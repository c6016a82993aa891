"""How an entry of a comparison is painted: the ground that shows what happened to it, its box, its texts."""

from __future__ import annotations

from hermes_rescue.gui.review.diff_blocks import Block, BlockMaker, Mode
from hermes_rescue.gui.review.entry_delegate import EntryDelegate
from hermes_rescue.gui.view_model.diff_rows import DiffRows
from hermes_rescue.gui.view_model.entry_rows import Index
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QFont, QPainter, QPen
from PySide6.QtWidgets import QStyleOptionViewItem


class DiffDelegate(EntryDelegate[Block]):
    """Paints the entries of one comparison."""

    def __init__(self, rows: DiffRows, theme: Theme) -> None:
        self._diff_maker = BlockMaker(rows, theme, QFont())
        super().__init__(rows, self._diff_maker, theme)
        self._diff_rows = rows

    @property
    def mode(self) -> Mode:
        """One column or two."""
        return self._diff_maker.mode

    def set_mode(self, mode: Mode) -> None:
        """Lay out in one column or in two."""
        self._diff_maker.mode = mode
        self.forget()

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Called by the view: paint an entry into ``option.rect``."""
        block = self.block(index.row(), option.rect.width())
        painter.save()
        painter.translate(option.rect.topLeft())
        for half in block.halves:
            painter.fillRect(half.rect, self._theme.color(half.back))
            if half.hatched:
                self.hatch(painter, half.rect)
        line = QPen(self._theme.color("line"), 0)
        painter.setPen(line)
        if block.height > 1 and self._ends_here(index.row()):
            painter.drawLine(QLineF(0, block.height - 0.5, option.rect.width(), block.height - 0.5))
        for half in block.halves[1:]:
            painter.drawLine(QLineF(half.rect.left() + 0.5, 0, half.rect.left() + 0.5, block.height))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self.faint())
        for rect in block.chips:
            painter.drawRoundedRect(rect, 3, 3)
        for rect, is_open in block.triangles:
            self.triangle(painter, rect, is_open)
        if block.box is not None:
            self._box(painter, block.box, self._diff_rows.check_state(index.row()))
        self.labels(painter, block.labels)
        for layout, corner, ink in block.texts:
            painter.setPen(self._theme.color(ink))
            layout.draw(painter, corner)
        painter.restore()

    def _ends_here(self, at: int) -> bool:
        """Whether a message or a run ends with this entry."""
        entries = self._rows.entries
        return at + 1 >= len(entries) or entries[at + 1].part <= 0

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
