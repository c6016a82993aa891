"""Which copy holds what: a lane for each copy and one for the result, along all messages that any copy holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from hermes_rescue.core.base.files import shown
from hermes_rescue.core.merge.intent import Reason
from hermes_rescue.core.merge.item import Item
from hermes_rescue.core.merge.proposal import Proposal
from hermes_rescue.core.report.coverage import Coverage, Hold, Lane
from hermes_rescue.gui.view_model.conversation_outline import left_out_words
from hermes_rescue.gui.view_model.coverage import copy_label, lane_count, lane_label
from hermes_rescue.gui.view_model.formatting import moment, number, plain_tip, sentences
from hermes_rescue.gui.widgets.banners import announce
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import QCoreApplication, QEvent, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QBrush,
    QFont,
    QFontMetrics,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QTransform,
)
from PySide6.QtWidgets import QLabel, QSizePolicy, QToolTip, QWidget

translate = QCoreApplication.translate

_GAP_FROM = 6  # a tick that is at least so wide (points) has a gap after it
_SPACE = 10  # points between the labels, the lanes and the counts
_SIDE, _ENDS = 16, 8  # points left free beside, and above and below the lanes


class CoverageMap(QLabel):
    """The picture that explains the damage, a label for screen readers. ``jumped`` carries the position in
    ``Proposal.items`` that was chosen.

    Where it shows through a smaller view, the first lane and the last one (the live file and the result) stay at the
    edges of that, and the others scroll between them.
    """

    jumped = Signal(int)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._items: tuple[Item, ...] = ()
        self._lanes: tuple[Lane, ...] = ()
        self._legend: tuple[tuple[Hold, str], ...] = ()
        self._session_id = ""
        self._current: int | None = None
        self._widest = (0, 0, 0)  # points: of the labels, of the counts, of the legend
        self._spans: tuple[int, list[list[tuple[int, int, Hold]]]] = (-1, [])
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAccessibleName(self.tr("Which copy holds what"))
        self.set_proposal(None, Coverage())

    def set_theme(self, theme: Theme) -> None:
        """Paint in other colours."""
        self._theme = theme
        self.update()

    def set_proposal(self, proposal: Proposal | None, made: Coverage) -> None:
        """Show the copies of a session, with what :func:`coverage` made of them; None shows nothing. The mark stays
        where the session is the same.
        """
        session_id = proposal.session_id if proposal is not None else ""
        current = self._current if session_id == self._session_id else None
        self._session_id = session_id
        self._items = proposal.items if proposal is not None else ()
        self._lanes = made.lanes
        self._legend = tuple(self._legend_lines(made.left_out))
        self._measure()
        self._spans = (-1, [])
        self.set_current(current)
        self.setAccessibleDescription(self._sentence())
        self.updateGeometry()  # nobody listens to a hidden one
        self.setVisible(bool(self._lanes))
        self.updateGeometry()
        self.update()

    @property
    def current(self) -> int | None:
        """The marked position."""
        return self._current

    def set_current(self, position: int | None) -> None:
        """Mark a message by its position; None, or a position that is none, marks nothing."""
        known = position is not None and 0 <= position < len(self._items)
        self._current = position if known else None
        self.update()

    def message_words(self, position: int) -> str:
        """What there is to say about one message: where it is, who spoke and when, who holds it, why it is left out."""
        item = self._items[position]
        place = self.tr("Message {at} of {of}").format(at=number(position + 1), of=number(len(self._items)))
        when = moment(item.message.time) if item.message.time is not None else ""
        lines = [" · ".join(part for part in (place, shown(item.message.role), when) if part)]
        lines.append(self.tr("In: {copies}").format(copies=", ".join(map(copy_label, item.copies))))
        gains: dict[str, list[str]] = {}
        for part, name in item.enriched.items():
            if name != item.copies[0]:
                gains.setdefault(copy_label(name), []).append(shown(part))
        for name, fields in gains.items():
            lines.append(self.tr("Taken from {copy}: {parts}").format(copy=name, parts=", ".join(fields)))
        if not item.included:
            lines.append(self.tr("Left out. {reason}").format(reason=item.reason.sentence if item.reason else ""))
        return "\n".join(lines)

    def position_at(self, x: int) -> int | None:
        """The message at a distance (points) from the left edge; None beside the lanes."""
        track = self._track()
        if not self._items or not track.left() <= x <= track.right():
            return None
        return (x - track.left()) * len(self._items) // track.width()

    def sizeHint(self) -> QSize:
        """As high as the lanes and the legend are."""
        areas = self._legend_areas()
        bottom = areas[-1].bottom() + 1 if areas else self._track().bottom() + 1
        return QSize(60 * self.fontMetrics().averageCharWidth(), bottom + _ENDS if self._lanes else 0)

    def minimumSizeHint(self) -> QSize:
        """Half as wide; the height is always needed."""
        return QSize(self.sizeHint().width() // 2, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Called by Qt."""
        if not self._lanes:
            return
        painter = QPainter(self)
        track, tops = self._track(), self._tops()
        ends = (0, len(self._lanes) - 1)
        self._paint_lanes(painter, track, {row: tops[row] for row in ends})
        painter.save()
        painter.setClipRect(0, tops[0] + self._pitch(), self.width(), tops[-1] - tops[0] - self._pitch())
        self._paint_lanes(painter, track, {row: top for row, top in enumerate(tops) if row not in ends})
        painter.restore()
        self._paint_marks(painter, track)
        for area, (hold, words) in zip(self._legend_areas(), self._legend, strict=True):
            self._paint_legend(painter, area, hold, words)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose the message that is under the mouse."""
        self._follow(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """With the button held, choose as the mouse goes; else show where a click does something."""
        self._follow(event)
        is_on_track = self.position_at(event.position().toPoint().x()) is not None
        self.setCursor(Qt.CursorShape.PointingHandCursor if is_on_track else Qt.CursorShape.ArrowCursor)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Left, Right, Home and End choose a message."""
        last = len(self._items) - 1
        current = self._current
        steps = {
            Qt.Key.Key_Left: last if current is None else max(0, current - 1),
            Qt.Key.Key_Right: 0 if current is None else min(last, current + 1),
            Qt.Key.Key_Home: 0,
            Qt.Key.Key_End: last,
        }
        target = steps.get(Qt.Key(event.key()))
        if target is None or last < 0:
            super().keyPressEvent(event)
            return
        self._choose(target)
        announce(self, self.message_words(target))

    def event(self, event: QEvent) -> bool:
        """Answers a tool tip with what is known of the message under the mouse, or a line of the legend in full."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            lines = zip(self._legend_areas(), self._legend, strict=True)
            words = next((words for area, (_, words) in lines if area.contains(event.pos())), "")
            position = self.position_at(event.pos().x())
            if not words and position is not None:
                words = self.message_words(position)
            QToolTip.showText(event.globalPos(), plain_tip(words) if words else "", self)
            return True
        if event.type() == QEvent.Type.FontChange:
            self._measure()
            self.updateGeometry()
        return super().event(event)

    def _follow(self, event: QMouseEvent) -> None:
        position = self.position_at(event.position().toPoint().x())
        if event.buttons() & Qt.MouseButton.LeftButton and position is not None and position != self._current:
            self._choose(position)

    def _choose(self, position: int) -> None:
        self.set_current(position)
        self.jumped.emit(position)

    def _legend_lines(self, left_out: Mapping[Reason | None, int]) -> Iterator[tuple[Hold, str]]:
        if any(lane.holds.count(Hold.PART) for lane in self._lanes):
            yield Hold.PART, self.tr("messages completed from this copy")
        yield from ((Hold.LEFT_OUT, words) for words in left_out_words(left_out))

    def _sentence(self) -> str:
        if not self._lanes:
            return ""
        total = number(len(self._items))
        held = [
            self.tr("{copy} holds {n} of {total}").format(copy=lane_label(lane), n=lane_count(lane), total=total)
            for lane in self._lanes
        ]
        return sentences(("; ".join(held), *(words for _, words in self._legend)))

    def _pitch(self) -> int:
        """The height of a lane with the space around it."""
        return round(self.fontMetrics().height() * 1.3)

    def _measure(self) -> None:
        """How wide the words are: a layout asks for that again and again."""
        bold, plain = QFontMetrics(self._bold(), self), self.fontMetrics()
        self._widest = (
            max((bold.horizontalAdvance(lane_label(lane)) for lane in self._lanes), default=0) + 2,  # for roundings
            max((bold.horizontalAdvance(lane_count(lane)) for lane in self._lanes), default=0),
            max((plain.horizontalAdvance(words) for _, words in self._legend), default=0),
        )

    def _track(self) -> QRect:
        """Where the lanes lie: between the labels and the counts."""
        labels, counts, _ = self._widest
        left = _SIDE + min(labels, max(18 * self.fontMetrics().averageCharWidth(), self.width() // 3)) + _SPACE
        width = self.width() - left - counts - _SPACE - _SIDE
        return QRect(left, _ENDS, max(1, width), len(self._lanes) * self._pitch())

    def _tops(self) -> list[int]:
        """Where each lane begins (points from above), with the first and the last one in view."""
        pitch, frame = self._pitch(), self.parentWidget()
        view = self.rect() if frame is None else self.rect() & frame.rect().translated(-self.pos())
        tops = [_ENDS + row * pitch for row in range(len(self._lanes))]
        tops[0] = max(tops[0], view.top() + _ENDS)
        tops[-1] = max(tops[0], min(tops[-1], view.bottom() + 1 - _ENDS - pitch))
        return tops

    def _legend_areas(self) -> list[QRect]:
        """Where the words of the legend are, one below the other."""
        pitch, swatch, widest = self._pitch(), self._bar_height() + _SPACE, self._widest[2]
        right, top = self.width() - _SIDE, self._track().bottom() + 1
        left = max(_SIDE, min(self._track().left(), right - swatch - widest - 1)) + swatch
        return [QRect(left, top + k * pitch, max(1, right - left), pitch) for k in range(len(self._legend))]

    def _bold(self) -> QFont:
        font = QFont(self.font())
        font.setBold(True)
        return font

    def _paint_words(self, painter: QPainter, top: int, lane: Lane, track: QRect) -> None:
        pitch = self._pitch()
        painter.setFont(self._bold() if lane.is_result else self.font())
        painter.setPen(self._theme.color("text" if lane.is_result else "muted"))
        label = QRect(_SIDE, top, track.left() - _SPACE - _SIDE, pitch)
        elided = painter.fontMetrics().elidedText(lane_label(lane), Qt.TextElideMode.ElideRight, label.width())
        painter.drawText(label, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, elided)
        count = QRect(track.right() + 1 + _SPACE, top, self.width() - track.right(), pitch)
        painter.setPen(self._theme.color("text"))
        painter.drawText(count, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, lane_count(lane))

    def _paint_lanes(self, painter: QPainter, track: QRect, tops: Mapping[int, int]) -> None:
        """Some lanes, by their number, each from its top on; in pixels of the screen, so that every edge is sharp."""
        for row, top in tops.items():
            self._paint_words(painter, top, self._lanes[row], track)
        ratio = self.devicePixelRatioF()
        left, width = round(track.left() * ratio), round(track.width() * ratio)
        if self._spans[0] != width:
            gap = round(ratio) if track.width() >= _GAP_FROM * len(self._items) else 0
            self._spans = (width, [list(_spans(lane, width, gap)) for lane in self._lanes])
        painter.save()
        painter.scale(1 / ratio, 1 / ratio)
        margin = (self._pitch() - self._bar_height()) // 2
        for row, begin in tops.items():
            lane, spans = self._lanes[row], self._spans[1][row]
            top = round((begin + margin) * ratio)
            height = round(self._bar_height() * ratio)
            painter.fillRect(left, top, width, height, self._theme.color("fold"))
            for start, end, hold in spans:
                area = QRect(left + start, top, end - start, height)
                self._paint_hold(painter, area, hold, "ok" if lane.is_result else "add", ratio)
        painter.restore()

    def _paint_hold(self, painter: QPainter, area: QRect, hold: Hold, token: str, ratio: float) -> None:
        if hold is Hold.LEFT_OUT:
            hatched = QBrush(self._theme.color("muted"), Qt.BrushStyle.BDiagPattern)
            hatched.setTransform(QTransform.fromScale(ratio, ratio))
            painter.fillRect(area, hatched)
            painter.setPen(self._theme.color("muted"))
            painter.drawRect(area.adjusted(0, 0, -1, -1))
            return
        if hold is Hold.SOME:
            area = area.adjusted(0, area.height() // 2, 0, 0)
        painter.fillRect(area, self._theme.color("chg" if hold is Hold.PART else token))

    def _paint_marks(self, painter: QPainter, track: QRect) -> None:
        if self._current is not None:
            width = track.width() / len(self._items)
            left = track.left() + width * self._current
            if width < _GAP_FROM:
                left, width = left + width / 2 - 1, 2.0
            mark = QRectF(left, track.top(), width, track.height())
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self._theme.color("surface"))
            for edge in (mark.left() - 1.5, mark.right() - 1.5):
                painter.drawRect(QRectF(edge, mark.top(), 3, mark.height()))
            painter.setPen(QPen(self._theme.color("text"), 1.5))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(mark)
        if self.hasFocus():
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(self._theme.color("accent"), 2))
            painter.drawRoundedRect(track.adjusted(-4, -1, 4, 1), 4, 4)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=False)

    def _paint_legend(self, painter: QPainter, area: QRect, hold: Hold, words: str) -> None:
        side = self._bar_height()
        swatch = QRect(area.left() - _SPACE - side, area.top() + (self._pitch() - side) // 2, side, side)
        painter.fillRect(swatch, self._theme.color("fold"))
        self._paint_hold(painter, swatch, hold, "add", 1.0)
        painter.setFont(self.font())
        painter.setPen(self._theme.color("muted"))
        elided = self.fontMetrics().elidedText(words, Qt.TextElideMode.ElideRight, area.width())
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter, elided)

    def _bar_height(self) -> int:
        """The height of a lane's bar, and the side of a legend's swatch."""
        return round(self.fontMetrics().height() * 0.75)


def _spans(lane: Lane, width: int, gap: int) -> Iterator[tuple[int, int, Hold]]:
    """Start, end (pixels) and content of what is to be painted of a lane. With a ``gap`` each message is for itself,
    else neighbours with the same content are one span."""
    n = len(lane.holds)
    if gap:
        for position, hold in enumerate(lane.holds):
            if hold:
                yield position * width // n, (position + 1) * width // n - gap, Hold(hold)
        return
    if n and lane.holds.count(lane.holds[0]) == n:  # as in most lanes
        if hold := lane.at(0, n):
            yield 0, width, hold
        return
    start, held = 0, Hold.NOTHING
    for pixel, hold in enumerate(_pixels(lane, width)):
        if hold is not held:
            if held:
                yield start, pixel, held
            start, held = pixel, hold
    if held:
        yield start, width, held


def _pixels(lane: Lane, width: int) -> Iterable[Hold]:
    n = len(lane.holds)
    for pixel in range(width):
        start = pixel * n // width
        yield lane.at(start, max(start + 1, (pixel + 1) * n // width))
