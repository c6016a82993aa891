"""How the entries of a list are painted: what is common to those of a comparison and those of a conversation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from hermes_rescue.gui.background.deferred_free import Release
from hermes_rescue.gui.view_model.diff_outline import Entry
from hermes_rescue.gui.view_model.entry_rows import EntryRows, Index
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import QLineF, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

_CACHED_BLOCKS = 150


@dataclass(frozen=True, slots=True)
class Label:
    """A text of one line."""

    rect: QRectF
    text: str
    font: QFont
    ink: str


class AnyBlock(Protocol):
    """A laid-out entry. ``targets``: what a click does, and where."""

    height: float

    @property
    def targets(self) -> Sequence[tuple[QRectF, str]]:
        """What a click does, and where."""


B = TypeVar("B", bound=AnyBlock)
B_co = TypeVar("B_co", bound=AnyBlock, covariant=True)


class Maker(Protocol[B_co]):
    """Lays out the entries of one model. Blocks from before its theme or font was set are of no use."""

    theme: Theme
    line: int

    def set_font(self, font: QFont) -> None:
        """Lay out with another font."""

    def usual_height(self, width: float) -> int:
        """About the height of a message, without laying any out."""

    def block(self, at: int, width: float) -> B_co:
        """Lay out an entry at a width."""


class EntryDelegate(QStyledItemDelegate, Generic[B]):
    """Keeps the layout of the entries that were painted last."""

    def __init__(self, rows: EntryRows, maker: Maker[B], theme: Theme) -> None:
        super().__init__(rows)
        self._rows, self._maker, self._theme = rows, maker, theme
        self._blocks: dict[Entry, B] = {}
        self._release = Release(self)
        self._width = 0

    @property
    def line(self) -> int:
        """The height of a line of text."""
        return self._maker.line

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
        self._release.take([*self._blocks.values()])
        self._blocks.clear()

    def drop(self, first: Entry, last: Entry) -> None:
        """Lay the entries from one to another out anew."""
        self._blocks = {entry: block for entry, block in self._blocks.items() if not first <= entry <= last}

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """Called by the view: the size of an entry at the width of ``option.rect``."""
        width = option.rect.width()
        return QSize(width, math.ceil(self.block(index.row(), width).height))

    def usual_height(self, width: int) -> int:
        """About the height of a message, without laying any out."""
        return self._maker.usual_height(width)

    def target_at(self, at: int, width: int, point: QPointF) -> str | None:
        """What a click does at a point, seen from the entry's corner; None where it does nothing."""
        return next((what for rect, what in self.block(at, width).targets if rect.contains(point)), None)

    def block(self, at: int, width: int) -> B:
        """An entry as it is laid out at a width."""
        if width != self._width:
            self.forget()
            self._width = width
        entry = self._rows.entries[at]
        if entry not in self._blocks:
            while len(self._blocks) >= _CACHED_BLOCKS:  # one by one: many at once take long to be freed
                del self._blocks[next(iter(self._blocks))]
            self._blocks[entry] = self._maker.block(at, width)
        return self._blocks[entry]

    def labels(self, painter: QPainter, labels: Iterable[Label]) -> None:
        """Draw texts of one line."""
        for label in labels:
            painter.setFont(label.font)
            painter.setPen(self._theme.color(label.ink))
            painter.drawText(label.rect, Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine, label.text)

    def faint(self) -> QColor:
        """Background of a tool call: the text colour at 6 % opacity."""
        faint = QColor(self._theme.color("text"))
        faint.setAlphaF(0.06)
        return faint

    def hatch(self, painter: QPainter, rect: QRectF) -> None:
        """Draw thin lines across what is left out."""
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

    def triangle(self, painter: QPainter, rect: QRectF, is_open: bool) -> None:
        """Draw the sign of something that is open or can be opened."""
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
