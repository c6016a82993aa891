"""The sessions that a search has found: a list with three lines a session, what was said and which copies have it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from hermes_rescue.core.base.files import shown
from hermes_rescue.core.hermes.copies import LIVE
from hermes_rescue.core.search.message_texts import Part
from hermes_rescue.core.search.query import Query
from hermes_rescue.core.search.session_search import Held, SessionHits
from hermes_rescue.gui.sessions.session_view import HAND_AT_REST
from hermes_rescue.gui.view_model.diff_text import copy_name
from hermes_rescue.gui.view_model.formatting import counted, day, number, plain_tip, sentences
from hermes_rescue.gui.view_model.session_rows import Row, one_line
from hermes_rescue.gui.widgets.markdown_text import units
from hermes_rescue.gui.widgets.placeholders import ActionPlaceholder
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QPointF,
    QRect,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import (
    QContextMenuEvent,
    QFocusEvent,
    QFont,
    QFontMetrics,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QResizeEvent,
    QTextCharFormat,
    QTextLayout,
)
from PySide6.QtWidgets import QAbstractItemView, QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem

Index: TypeAlias = QModelIndex | QPersistentModelIndex
Role: TypeAlias = Qt.ItemDataRole

_NO_INDEX: Final = QModelIndex()
_SIDE, _ICON, _ABOVE = 12, 16, 8
"""Points: beside a row, of its icon, and above its first line."""
_ONE_LINE: Final = (Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine).value
_BEFORE = 0.35
"""The part of a line that what stands before the words gets at most."""


@dataclass(frozen=True, slots=True)
class Found:
    """A session that was found. ``excerpt`` is what was said, "" where only its title or id has the words; ``counts``:
    the hits, by what has become of them, ``titles`` of them in the title; ``copies`` hold them; ``reason``: why the
    first of them is left out; ``program``: whose session it is, None for one of the WebUI's.
    """

    session_id: str
    title: str
    updated: float | None
    excerpt: str = ""
    counts: Mapping[Held, int] | None = None
    titles: int = 0
    copies: tuple[str, ...] = ()
    reason: str = ""
    program: str | None = None

    @classmethod
    def of(cls, hits: SessionHits) -> Found:
        """What the list shows of the hits of a session: little, for there may be many sessions."""
        in_text = [hit for hit in hits.hits if hit.part is not Part.TITLE]
        copies = tuple(dict.fromkeys(copy for hit in hits.hits for copy in hit.copies))
        excerpt = in_text[0].excerpt.text if in_text else ""
        reason = next((hit.reason for hit in hits.hits if hit.reason), "")
        titles = len(hits.hits) - len(in_text)
        counts = hits.counts
        return cls(hits.session_id, hits.title, hits.updated, excerpt, counts, titles, copies, reason, hits.program)


class HitModel(QAbstractListModel):
    """The sessions in the order in which they were found, until all are: see :meth:`arrange`.

    ``known`` gives the row of a session in the list of all sessions.
    """

    def __init__(self, known: Callable[[str], Row | None]) -> None:
        super().__init__()
        self.known = known
        self.query: Query | None = None
        self._found: list[Found] = []
        self._at: dict[str, int] = {}
        self._unseen: set[str] = set()

    def begin(self, query: Query | None, *, is_same: bool = False) -> None:
        """Another search begins, or none (None); the same one once more keeps its rows until it has ended."""
        self.query = query
        if is_same:
            self._unseen = set(self._at)
            return
        self.beginResetModel()
        self._found, self._at, self._unseen = [], {}, set()
        self.endResetModel()

    def add(self, found: Iterable[Found]) -> None:
        """Show more sessions, or more of those that show."""
        new: list[Found] = []
        for each in found:
            self._unseen.discard(each.session_id)
            at = self._at.get(each.session_id)
            if at is None:
                self._at[each.session_id] = len(self._found) + len(new)
                new.append(each)
            elif each.counts is not None or self._found[at].counts is None:
                self._found[at] = each
                self.dataChanged.emit(self.index(at), self.index(at))
        if new:
            self.beginInsertRows(_NO_INDEX, len(self._found), len(self._found) + len(new) - 1)
            self._found += new
            self.endInsertRows()

    def end(self) -> None:
        """Everything was searched: what was not found again is gone."""
        for at in sorted(map(self._at.__getitem__, self._unseen), reverse=True):
            self.beginRemoveRows(_NO_INDEX, at, at)
            del self._found[at]
            self.endRemoveRows()
        if self._unseen:
            self._at = {each.session_id: at for at, each in enumerate(self._found)}
            self._unseen = set()

    def arrange(self, session_ids: Iterable[str]) -> None:
        """Have the sessions in this order, and after them those of other programs as they were found."""
        places = {session_id: at for at, session_id in enumerate(session_ids)}
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        marked = [self._found[index.row()].session_id for index in before]
        self._found.sort(key=lambda found: places.get(found.session_id, len(places)))
        self._at = {each.session_id: at for at, each in enumerate(self._found)}
        self.changePersistentIndexList(before, [self.index(self._at[session_id]) for session_id in marked])
        self.layoutChanged.emit()

    def found(self, at: int) -> Found:
        """What shows in a row."""
        return self._found[at]

    def row_of(self, session_id: str) -> int:
        """The row that shows a session, -1 where none does."""
        return self._at.get(session_id, -1)

    def rowCount(self, parent: Index = _NO_INDEX) -> int:
        """Called by Qt."""
        return 0 if parent.isValid() else len(self._found)

    def data(self, index: Index, role: int = Role.DisplayRole) -> Any:
        """Called by Qt."""
        if not index.isValid() or index.row() >= len(self._found):
            return None
        found = self._found[index.row()]
        match role:
            case Role.DisplayRole:
                return one_line(found.title)
            case Role.ToolTipRole:
                return plain_tip("\n".join((self.excerpt_of(found), self.whereabouts(found)[0])))
            case Role.AccessibleTextRole:
                return sentences((one_line(found.title), self.excerpt_of(found), self.whereabouts(found)[0]))
        return None

    def excerpt_of(self, found: Found) -> str:
        """The second line: what was said, else how the session is."""
        if found.excerpt:
            return shown(found.excerpt)
        row = self.known(found.session_id)
        return row.status.text if row is not None else ""

    def whereabouts(self, found: Found) -> tuple[str, str]:
        """The third line, and its colour: how many messages have the words, what has become of them, which copies hold
        them.
        """
        if found.counts is None:
            return self.tr("Found by its title or its id"), "muted"
        count = sum(found.counts.values())
        parts = [self.tr("in the title")] if found.titles else []
        if messages := count - found.titles:
            parts.append(counted(messages, "message"))
        if found.program is not None:
            parts.append(self.tr("session of another program ({})").format(shown(found.program)))
            return " · ".join(parts), "info"
        words = {
            Held.LOST: self.tr("lost"),
            Held.LEFT_OUT: self.tr("left out"),
            Held.DELETED: self.tr("deleted by you"),
        }
        for held, text in words.items():
            if n := found.counts.get(held, 0):
                parts.append(text if n == count else f"{number(n)} {text}")
        is_damaged = Held.LOST in found.counts and Held.LIVE not in found.counts
        damaged = self.tr("damaged file")
        names = [damaged if is_damaged and copy == LIVE else copy_name(copy) for copy in found.copies]
        if len(names) == 1:
            parts.append(self.tr("only in the {}").format(names[0]))
        elif names:
            parts.append(self.tr("in {} and {}").format(", ".join(names[:-1]), names[-1]))
        if found.reason:
            parts.append(shown(found.reason))
        return " · ".join(parts), "repair" if Held.LOST in found.counts else "muted"


class HitList(QListView):
    """Shows them; several can be selected. ``current_changed`` carries the session that has the keyboard, ``opened``:
    somebody wants to read it, ``left``: Esc, or up from the first row.
    """

    current_changed = Signal(str)
    selection_changed = Signal()
    opened = Signal()
    left = Signal()
    context_menu_requested = Signal(QPoint)

    def __init__(self, model: HitModel, theme: Theme) -> None:
        super().__init__()
        self.hits = model
        self.setModel(model)
        self._delegate = _Delegate(theme, self)
        self.setItemDelegate(self._delegate)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setUniformItemSizes(True)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName(self.tr("Sessions that were found"))
        self.setMouseTracking(True)
        self._hand = QTimer(self, singleShot=True, interval=HAND_AT_REST)
        self.face = ActionPlaceholder(self.tr("Clear search"), self)
        self.activated.connect(lambda _: self.opened.emit())
        self.selectionModel().currentChanged.connect(self._emit_current)
        self.selectionModel().selectionChanged.connect(lambda *_: self.selection_changed.emit())

    @property
    def current_id(self) -> str:
        """The session that has the keyboard, or nothing."""
        index = self.currentIndex()
        return self.hits.found(index.row()).session_id if index.isValid() else ""

    def selected_ids(self) -> list[str]:
        """The selected sessions of the WebUI, from the top; nothing can be done with those of other programs."""
        rows = sorted(index.row() for index in self.selectedIndexes())
        ids = (self.hits.found(row).session_id for row in rows)
        return [session_id for session_id in ids if self.hits.known(session_id) is not None]

    @property
    def is_in_hand(self) -> bool:
        """Whether somebody is at its rows: then none of them moves. A mouse that only rests there is not."""
        return self.currentIndex().isValid() or self._hand.isActive()

    def enter(self) -> None:
        """Give the keyboard to the list, and to its first row where it was at none."""
        self.setFocus(Qt.FocusReason.OtherFocusReason)
        if not self.currentIndex().isValid() and self.hits.rowCount():
            self.setCurrentIndex(self.hits.index(0))

    def show_text(self, text: str, *, can_act: bool) -> None:
        """Show a sentence in place of rows; "" for none."""
        self.face.setVisible(bool(text))
        self.face.show_text(text, can_act=can_act)

    def set_theme(self, theme: Theme) -> None:
        """Paint with other colours."""
        self._delegate.theme = theme
        self.viewport().update()

    def _emit_current(self, index: QModelIndex) -> None:
        if index.isValid():
            self.current_changed.emit(self.current_id)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Called by Qt."""
        if event.key() == Qt.Key.Key_Escape or (event.key() == Qt.Key.Key_Up and self.currentIndex().row() <= 0):
            self.left.emit()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.opened.emit()
        else:
            super().keyPressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Called by Qt: a hand is at the rows."""
        self._hand.start()
        super().mouseMoveEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        """Called by Qt: the mouse has left."""
        super().leaveEvent(event)
        self._hand.stop()

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Called by Qt: where the keyboard comes to no row, none becomes the current one."""
        super(QAbstractItemView, self).focusInEvent(event)
        self.viewport().update()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Called by Qt for a right click, and for the menu key, whose menu belongs to the current row."""
        index = self.indexAt(event.pos())
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            at = self.viewport().mapToGlobal(self.visualRect(self.currentIndex()).center())
        else:
            at = event.globalPos()
            flag = QItemSelectionModel.SelectionFlag
            is_one_of_them = self.selectionModel().isSelected(index)
            self.selectionModel().setCurrentIndex(index, flag.NoUpdate if is_one_of_them else flag.ClearAndSelect)
        if self.currentIndex().isValid():
            self.context_menu_requested.emit(at)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Called by Qt."""
        super().resizeEvent(event)
        self.face.setGeometry(self.viewport().geometry())


class _Delegate(QStyledItemDelegate):
    """Paints a row: title and date, what was said with the words marked, how many hits and where."""

    def __init__(self, theme: Theme, view: HitList) -> None:
        super().__init__(view)
        self.theme = theme
        self._view = view

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """Called by Qt."""
        return QSize(0, 3 * option.fontMetrics.lineSpacing() + 2 * _ABOVE + 1)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Called by Qt."""
        hits, rect = self._view.hits, QRect(option.rect)
        found = hits.found(index.row())
        row = hits.known(found.session_id)
        is_selected = QStyle.StateFlag.State_Selected in option.state
        painter.save()
        painter.fillRect(rect, self.theme.color("select" if is_selected else "surface"))
        painter.fillRect(rect.left(), rect.bottom(), rect.width(), 1, self.theme.color("line"))
        if is_selected:
            painter.fillRect(rect.left(), rect.top(), 3, rect.height(), self.theme.color("accent"))
            if self._view.hasFocus():
                painter.setPen(self.theme.color("accent"))
                painter.drawRect(rect.adjusted(0, 0, -1, -1))
        line = option.fontMetrics.lineSpacing()
        space = QRect(rect.left() + _SIDE, rect.top() + _ABOVE, rect.width() - 2 * _SIDE, line)
        icon = (row.status.icon, row.status.token) if row is not None else ("info", "info")
        side = QRect(space.left(), space.top() + (line - _ICON) // 2, _ICON, _ICON)
        pixmap = self.theme.icon(*icon).pixmap(side.size(), painter.device().devicePixelRatio())
        painter.drawPixmap(side, pixmap)
        space.setLeft(space.left() + _ICON + 8)
        self._paint_title(painter, option.font, space, found)
        space.translate(0, line)
        token = "muted" if found.excerpt or row is None else row.status.token
        self._paint_marked(painter, option.font, space, hits.excerpt_of(found), token, is_found=bool(found.excerpt))
        space.translate(0, line)
        text, token = hits.whereabouts(found)
        painter.setFont(option.font)
        painter.setPen(self.theme.color(token))
        elided = option.fontMetrics.elidedText(text, Qt.TextElideMode.ElideRight, space.width())
        painter.drawText(space, _ONE_LINE, elided)
        painter.restore()

    def _paint_title(self, painter: QPainter, font: QFont, space: QRect, found: Found) -> None:
        date = day(found.updated)
        painter.setFont(font)
        painter.setPen(self.theme.color("muted"))
        painter.drawText(space, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, date)
        bold = QFont(font)
        bold.setBold(True)
        room = space.adjusted(0, 0, -(QFontMetrics(font).horizontalAdvance(date) + 12), 0)
        title, query = one_line(found.title), self._view.hits.query
        is_found = query is not None and query.found_in((title,)) is not None
        self._paint_marked(painter, bold, room, title, "text", is_found=is_found)

    def _paint_marked(
        self, painter: QPainter, font: QFont, space: QRect, text: str, token: str, *, is_found: bool
    ) -> None:
        """A text on one line, with the words marked; what stands before the first of them makes room for it."""
        metrics, query = QFontMetrics(font), self._view.hits.query
        places = query.marked(text) if query is not None and is_found else []
        if places and metrics.horizontalAdvance(text[: places[0].end]) > space.width() * 0.8:
            start = places[0].start
            room = max(round(space.width() * _BEFORE), space.width() - metrics.horizontalAdvance(text[start:]))
            before = metrics.elidedText(text[:start], Qt.TextElideMode.ElideLeft, room)
            shift = len(before) - start
            places = [each._replace(start=each.start + shift, end=each.end + shift) for each in places]
            text = before + text[start:]
        elided = metrics.elidedText(text, Qt.TextElideMode.ElideRight, space.width())
        painter.setPen(self.theme.color(token))
        if not places:
            painter.setFont(font)
            painter.drawText(space, _ONE_LINE, elided)
            return
        layout = QTextLayout(elided, font)
        mark = QTextCharFormat()
        mark.setBackground(self.theme.color("add-word"))
        mark.setForeground(self.theme.color("text"))
        ranges = []
        for each in places:
            one = QTextLayout.FormatRange()
            one.start, one.format = units(elided[: each.start]), mark
            one.length = units(elided[each.start : each.end])
            if one.length > 0:
                ranges.append(one)
        layout.setFormats(ranges)
        layout.beginLayout()
        layout.createLine().setLineWidth(space.width() + metrics.averageCharWidth())
        layout.endLayout()
        top = space.top() + (space.height() - layout.boundingRect().height()) / 2
        layout.draw(painter, QPointF(space.left(), top))
