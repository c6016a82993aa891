"""The sessions as a table: one row a session, columns to sort by, to move and to hide."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from html import escape
from typing import Final

from hermes_rescue.core.audit.findings import SessionAudit
from hermes_rescue.core.hermes.heads import SessionHeader
from hermes_rescue.gui.sessions.session_model import Index, Role, SessionModel
from hermes_rescue.gui.sessions.session_view import SessionView
from hermes_rescue.gui.view_model.formatting import number
from hermes_rescue.gui.view_model.session_rows import COUNTS, Column
from hermes_rescue.gui.view_model.session_status import unexamined
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import (
    QEvent,
    QItemSelectionModel,
    QRect,
    QSize,
    Qt,
)
from PySide6.QtGui import QFont, QFontMetrics, QHelpEvent, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QToolTip,
    QWidget,
)

_STATE_TAGS: Final = {is_chosen: f"sessions-{len(Column)}-{is_chosen:d}:".encode() for is_chosen in (False, True)}
"""Before the header's own state: whether a person chose the columns."""
_IF_THERE_IS_ROOM: Final = (
    Column.DATABASE, Column.BACKUP, Column.WORKTREE, Column.LOSS, Column.PROFILE, Column.SIZE, Column.ID
)  # fmt: skip
_TITLE: Final = 18  # characters that a title has room for before any of these columns shows
_WIDE_TITLE: Final = 32  # the same, before any that has no count
_PADDING: Final = 9  # points on the left and right of a cell, as in the header's style
_BAR: Final = 3  # points, the accent bar of a selected row
_ICON: Final = 16  # points
_Flag = QItemSelectionModel.SelectionFlag


class SessionTable(SessionView, QTableView):
    """The table; a row for each session, a column for each thing that is known of it."""

    def __init__(self, sessions: SessionModel, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.set_up(sessions)
        self._columns_are_chosen = False
        self._widths: dict[Column, int] = {}
        self._delegate = _Delegate(theme, self)
        self.setItemDelegate(self._delegate)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setCornerButtonEnabled(False)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self._set_up_header()
        self._fit_to_font()
        self.columns_menu = self._make_columns_menu()

    def _set_up_header(self) -> None:
        header = self.horizontalHeader()
        header.setAccessibleName(self.tr("Columns of the sessions"))
        header.setSectionsMovable(True)
        header.setHighlightSections(False)
        # Else the header asks for every row whether it is selected, each time that it is painted.
        header.setSelectionModel(QItemSelectionModel(self.sessions, header))
        header.setSectionResizeMode(Column.TITLE, QHeaderView.ResizeMode.Fixed)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(lambda at: self.columns_menu.popup(header.mapToGlobal(at)))
        header.sectionResized.connect(self._section_resized)
        header.setSortIndicator(Column.STATUS, Qt.SortOrder.AscendingOrder)
        for column in _IF_THERE_IS_ROOM:
            self.setColumnHidden(column, True)
        self.setSortingEnabled(True)

    def _make_columns_menu(self) -> QMenu:
        menu = QMenu(self.tr("Columns"), self)
        for column in Column:
            action = menu.addAction(self._heading(column))
            action.setCheckable(True)
            action.setChecked(not self.isColumnHidden(column))
            action.setEnabled(column is not Column.TITLE)
            action.triggered.connect(lambda shown, column=column: self._choose_column(column, shown))
        return menu

    def make_room(self, sessions: Sequence[SessionAudit | SessionHeader]) -> None:
        """Make columns as wide as the numbers of sessions that come in."""
        bold = self.font()
        bold.setBold(True)
        most = max(map(_largest_count, sessions), default=0)
        needed = QFontMetrics(bold).horizontalAdvance(number(most)) + 2 * _PADDING + 2
        for column in COUNTS:
            if needed > self._widths[column]:
                self._widths[column] = needed
                if not self.isColumnHidden(column):
                    self.setColumnWidth(column, max(needed, self.columnWidth(column)))

    # Columns

    def save_state(self) -> bytes:
        """Order, widths and visibility of the columns, and the sorting."""
        return _STATE_TAGS[self._columns_are_chosen] + self.horizontalHeader().saveState().data()

    def restore_state(self, state: bytes) -> bool:
        """Take over what :meth:`save_state` returned; False for what it cannot have returned, then nothing changes."""
        header = self.horizontalHeader()
        is_chosen = next((chosen for chosen, tag in _STATE_TAGS.items() if state.startswith(tag)), None)
        if is_chosen is None or not header.restoreState(state.removeprefix(_STATE_TAGS[is_chosen])):
            return False
        self._columns_are_chosen = is_chosen
        self._check_columns()
        self.sessions.sort(header.sortIndicatorSection(), header.sortIndicatorOrder())
        self._fit_title()
        return True

    def _heading(self, column: Column) -> str:
        return str(self.sessions.headerData(column, Qt.Orientation.Horizontal))

    def _choose_column(self, column: Column, shown: bool) -> None:
        self._columns_are_chosen = True
        self.setColumnHidden(column, not shown)
        self._fit_title()

    def _show_what_fits(self) -> None:
        """As long as nobody chose the columns, the less important ones show where the titles keep enough room."""
        if self._columns_are_chosen:
            return
        character = self.fontMetrics().averageCharWidth()
        others = (c for c in Column if c is not Column.TITLE and c not in _IF_THERE_IS_ROOM)
        room = self.viewport().width() - sum(map(self.columnWidth, others))
        for column in _IF_THERE_IS_ROOM:
            room -= self._widths[column]
            title = _TITLE if column in COUNTS else _WIDE_TITLE
            self.setColumnHidden(column, room < title * character)
        self._check_columns()

    def _check_columns(self) -> None:
        for column, action in zip(Column, self.columns_menu.actions(), strict=True):
            action.setChecked(not self.isColumnHidden(column))

    def _section_resized(self, column: int) -> None:
        if column != Column.TITLE:
            self._fit_title()

    def _fit_title(self) -> None:
        """Give the titles what the other columns leave."""
        others = sum(self.columnWidth(column) for column in Column if column is not Column.TITLE)
        least = self.fontMetrics().averageCharWidth() * 14
        self.setColumnWidth(Column.TITLE, max(self.viewport().width() - others, least))

    def _fit_to_font(self) -> None:
        """Sensible widths and heights for the font."""
        self._fitted_to = self.fontMetrics()
        self.verticalHeader().setDefaultSectionSize(round(self._fitted_to.height() * 2.1))
        text = self.fontMetrics().horizontalAdvance
        room = 2 * _PADDING + 2
        self._widths = {column: text(self._heading(column)) + room for column in Column} | {
            Column.STATUS: max(text(self.tr("Deleted by you")), text(unexamined().text)) + room + _ICON + 6,
            Column.WORKTREE: text("hermes-0d") + room + _ICON + 6,
            Column.PROFILE: max(text(self._heading(Column.PROFILE)), text(self.tr("default"))) + room,
            Column.UPDATED: text("00.00.0000") + room,
            Column.SIZE: text("1000.0 MiB") + room,
            Column.ID: text("0123456789abcdef") + room,
            Column.LOSS: text(number(99_999)) + room,
        }
        for column, width in self._widths.items():
            self.setColumnWidth(column, width)
        self._fit_title()

    # Events from Qt

    def set_theme(self, theme: Theme) -> None:
        """Look like another theme."""
        self._delegate.theme = theme
        self.viewport().update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Called by Qt."""
        super().resizeEvent(event)
        self._show_what_fits()
        self._fit_title()
        self._face.setGeometry(self.viewport().geometry())

    def changeEvent(self, event: QEvent) -> None:
        """Called by Qt when the font of the system changes, among others."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and self.fontMetrics() != self._fitted_to:
            self._fit_to_font()


def _largest_count(session: SessionAudit | SessionHeader) -> int:
    if isinstance(session, SessionHeader):
        return session.live or 0
    return max(session.live or 0, session.backup or 0, session.database or 0, session.after or 0)


class _Delegate(QStyledItemDelegate):
    """Paints a cell: a calm background, a hairline below, an accent bar at the left of what is selected."""

    def __init__(self, theme: Theme, table: SessionTable) -> None:
        super().__init__(table)
        self.theme = theme
        self._table = table

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Called by Qt."""
        look = self._table.sessions.look(index)
        rect: QRect = option.rect
        is_selected = QStyle.StateFlag.State_Selected in option.state
        painter.save()
        painter.fillRect(rect, self.theme.color("select" if is_selected else "surface"))
        painter.fillRect(rect.left(), rect.bottom(), rect.width(), 1, self.theme.color("line"))
        if is_selected or index.row() == self._table.currentIndex().row():
            self._paint_marks(painter, rect, index, is_selected=is_selected)
        if look.icon is not None:
            ratio = painter.device().devicePixelRatio()
            painter.drawPixmap(_icon_rect(rect), look.icon.pixmap(QSize(_ICON, _ICON), ratio))
        font = painter.font()
        font.setBold(look.is_bold or (is_selected and index.column() == Column.TITLE))
        painter.setFont(font)
        space = _text_rect(rect, has_icon=look.icon is not None)
        painter.setPen(look.color)
        painter.drawText(space, look.flags, _elided(font, look.text, index.column(), space.width()))
        painter.restore()

    def _paint_marks(self, painter: QPainter, rect: QRect, index: Index, *, is_selected: bool) -> None:
        """The bar of a selected row, and the ring around the row that has the keyboard."""
        header = self._table.horizontalHeader()
        shown = [c for v in range(header.count()) if not header.isSectionHidden(c := header.logicalIndex(v))]
        accent = self.theme.color("accent")
        if is_selected and index.column() == shown[0]:
            painter.fillRect(rect.left(), rect.top(), _BAR, rect.height(), accent)
        if self._table.hasFocus() and index.row() == self._table.currentIndex().row():
            painter.fillRect(rect.left(), rect.top(), rect.width(), 1, accent)
            painter.fillRect(rect.left(), rect.bottom(), rect.width(), 1, accent)
            if index.column() == shown[0]:
                painter.fillRect(rect.left(), rect.top(), 1, rect.height(), accent)
            if index.column() == shown[-1]:
                painter.fillRect(rect.right(), rect.top(), 1, rect.height(), accent)

    def helpEvent(self, event: QHelpEvent, view: QAbstractItemView, option: QStyleOptionViewItem, index: Index) -> bool:
        """Called by Qt: the tip of a cell, else its text where that does not fit. Never read as markup."""
        if event.type() != QEvent.Type.ToolTip:
            return super().helpEvent(event, view, option, index)
        look = self._table.sessions.look(index)
        space = _text_rect(option.rect, has_icon=look.icon is not None)
        tip = index.data(Role.ToolTipRole)
        if not tip and self._table.fontMetrics().horizontalAdvance(look.text) > space.width():
            tip = look.text
        QToolTip.showText(event.globalPos(), f"<p>{escape(tip)}</p>".replace("\n", "<br>") if tip else "", view)
        return True


@lru_cache(maxsize=2048)
def _elided(font: QFont, text: str, column: int, width: int) -> str:
    # Worktrees begin alike and differ at the end.
    mode = Qt.TextElideMode.ElideLeft if column == Column.WORKTREE else Qt.TextElideMode.ElideRight
    return QFontMetrics(font).elidedText(text, mode, width)


def _icon_rect(cell: QRect) -> QRect:
    return QRect(cell.left() + _PADDING, cell.top() + (cell.height() - _ICON) // 2, _ICON, _ICON)


def _text_rect(cell: QRect, *, has_icon: bool) -> QRect:
    return cell.adjusted(_PADDING + (_ICON + 5 if has_icon else 0), 0, -_PADDING, 0)
