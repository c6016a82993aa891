"""The list of sessions: a table with one row a session, and a face of its own while it has nothing to show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from html import escape
from itertools import groupby
from typing import Final

from hermes_rescue.core.audit.findings import SessionAudit
from hermes_rescue.core.hermes.heads import Glance
from hermes_rescue.gui.faces import ActiveFace
from hermes_rescue.gui.session_model import Index, Role, SessionModel
from hermes_rescue.gui.session_rows import COUNTS, Column
from hermes_rescue.gui.session_status import unexamined
from hermes_rescue.gui.theme import Theme
from hermes_rescue.gui.wording import number
from PySide6.QtCore import (
    QElapsedTimer,
    QEvent,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QContextMenuEvent, QFocusEvent, QFont, QFontMetrics, QHelpEvent, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
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
_IF_THERE_IS_ROOM: Final = (Column.UPDATED, Column.PROFILE, Column.SIZE, Column.ID)
_PADDING: Final = 9  # points on the left and right of a cell, as in the header's style
_BAR: Final = 3  # points, the accent bar of a selected row
_ICON: Final = 16  # points
_Flag = QItemSelectionModel.SelectionFlag


class SessionTable(QTableView):
    """The table; ``sessions`` is its model.

    ``current_changed`` carries the id of the session that has the keyboard, or nothing. The texts of sessions are shown
    as they are, never as markup.
    """

    current_changed = Signal(str)
    selection_changed = Signal(list)
    context_menu_requested = Signal(QPoint)
    """Carries a place on the screen; the row that the menu is for is selected."""
    clear_filter_requested = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.sessions = SessionModel(theme, self)
        self._typed, self._typing = "", QElapsedTimer()
        self._current, self._selected = "", list[str]()  # as told by the signals
        self._anchor: tuple[str, int] | None = None  # a session, and where on the screen it must stay
        self._is_rearranging = False
        self._columns_are_chosen = False
        self._widths: dict[Column, int] = {}
        self.setModel(self.sessions)
        self.sessions.rearranging.connect(self._before_rearranging)
        self.sessions.rearranged.connect(self._after_rearranging)
        self._delegate = _Delegate(theme, self)
        self.setItemDelegate(self._delegate)
        self._face = ActiveFace(self.tr("Clear filter"), self)
        self._face.button.clicked.connect(self.clear_filter_requested)
        self._set_up_view()
        self._set_up_header()
        self._fit_to_font()
        self.columns_menu = self._make_columns_menu()
        self.selectionModel().selectionChanged.connect(self._tell)
        self.selectionModel().currentChanged.connect(self._tell)
        self._show_face()

    def _set_up_view(self) -> None:
        self.setAccessibleName(self.tr("Sessions"))
        self.setAccessibleDescription(self.tr("What was found, one session a row. Type to go to a title."))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setCornerButtonEnabled(False)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)

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

    def add(self, sessions: Sequence[SessionAudit | Glance]) -> None:
        """Take in sessions as their model does; columns become as wide as their numbers."""
        bold = self.font()
        bold.setBold(True)
        most = max(map(_largest_count, sessions), default=0)
        needed = QFontMetrics(bold).horizontalAdvance(number(most)) + 2 * _PADDING + 2
        for column in COUNTS:
            if needed > self._widths[column]:
                self._widths[column] = needed
                if not self.isColumnHidden(column):
                    self.setColumnWidth(column, max(needed, self.columnWidth(column)))
        self.sessions.add(sessions)

    # What is chosen

    @property
    def current_id(self) -> str:
        """The id of the session with the keyboard, or nothing."""
        index = self.currentIndex()
        return self.sessions.id_at(index.row()) if index.isValid() else ""

    def selected_ids(self) -> list[str]:
        """The ids of the selected sessions, from the top."""
        ranges = sorted((r.top(), r.bottom()) for r in self.selectionModel().selection().toList())
        return [session_id for first, last in ranges for session_id in map(self.sessions.id_at, range(first, last + 1))]

    def select(self, session_id: str) -> bool:
        """Go to a session and select it alone; False where it does not show."""
        row = self.sessions.row_of(session_id)
        if row >= 0:
            self._go_to(row)
        return row >= 0

    def _go_to(self, row: int) -> None:
        index = self.sessions.index(row, max(self.currentIndex().column(), 0))
        self.selectionModel().setCurrentIndex(index, _Flag.ClearAndSelect | _Flag.Rows)
        self.scrollTo(index)

    def _tell(self) -> None:
        """Tell of a change of the current session or of the selection, once."""
        if self._is_rearranging:
            return
        current, selected = self.current_id, self.selected_ids()
        is_new_current, is_new_selection = current != self._current, selected != self._selected
        self._current, self._selected = current, selected
        if is_new_selection:
            self.selection_changed.emit(selected)
        if is_new_current:
            self.current_changed.emit(current)

    # Rows that come, go and move

    def _before_rearranging(self) -> None:
        self._is_rearranging = True
        self._anchor = self._find_anchor()
        # Qt would follow each selected cell; a selection of many rows is told apart faster by its ids.
        self.selectionModel().clearSelection()

    def _after_rearranging(self, asked: bool) -> None:
        selection = QItemSelection()
        for first, last in _runs(self.sessions.rows_of(self._selected)):
            selection.select(self.sessions.index(first, 0), self.sessions.index(last, len(Column) - 1))
        self.selectionModel().select(selection, _Flag.ClearAndSelect)
        self.executeDelayedItemsLayout()
        if asked:
            self.scrollTo(self.currentIndex()) if self.currentIndex().isValid() else self.scrollToTop()
        elif self._anchor is not None:
            session_id, top = self._anchor
            row = self.sessions.row_of(session_id)
            if row >= 0:
                bar = self.verticalScrollBar()
                bar.setValue(bar.value() + self.rowViewportPosition(row) - top)
        self._is_rearranging = False
        self._show_face()
        self._tell()

    def _find_anchor(self) -> tuple[str, int] | None:
        """The current session if it is in sight, else the topmost, unless the view is at its top."""
        row = self.currentIndex().row()
        height = self.viewport().height()
        if row < 0 or not -self.rowHeight(row) < self.rowViewportPosition(row) < height:
            row = self.rowAt(0) if self.verticalScrollBar().value() > 0 else -1
        return (self.sessions.id_at(row), self.rowViewportPosition(row)) if row >= 0 else None

    def _show_face(self) -> None:
        self._face.setVisible(not self.sessions.visible_count)
        if self.sessions.visible_count:
            return
        if self.sessions.total_count:
            self._face.say(self.tr("No session matches the filter."), can_act=True)
        elif self.sessions.is_scanning:
            self._face.say(self.tr("Looking for sessions…"))
        else:
            self._face.say(self.tr("There are no sessions here."))

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
        titles = self.fontMetrics().averageCharWidth() * 40
        room = (
            self.viewport().width()
            - titles
            - sum(self.columnWidth(c) for c in Column if c is not Column.TITLE and c not in _IF_THERE_IS_ROOM)
        )
        for column in _IF_THERE_IS_ROOM:
            room -= self._widths[column]
            self.setColumnHidden(column, room < 0)
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
            Column.UPDATED: text("00.00.0000 00:00") + room,
            Column.SIZE: text("1000.0 MiB") + room,
            Column.ID: text("0123456789abcdef") + room,
        }
        for column, width in self._widths.items():
            self.setColumnWidth(column, width)
        self._fit_title()

    # What Qt tells

    def set_theme(self, theme: Theme) -> None:
        """Look like another theme."""
        self._delegate.theme = theme
        self.sessions.set_theme(theme)
        self.viewport().update()

    def moveCursor(self, action: QAbstractItemView.CursorAction, modifiers: Qt.KeyboardModifier) -> QModelIndex:
        """Called by Qt: Home and End go to the first and last session, not to the first and last column."""
        ends = {QAbstractItemView.CursorAction.MoveHome: 0, QAbstractItemView.CursorAction.MoveEnd: -1}
        rows = self.sessions.visible_count
        if action in ends and rows:
            return self.sessions.index(ends[action] % rows, max(self.currentIndex().column(), 0))
        return super().moveCursor(action, modifiers)

    def keyboardSearch(self, search: str) -> None:
        """Called by Qt for what is typed: go to the next title that begins so."""
        goes_on = self._typing.isValid() and self._typing.elapsed() < QApplication.keyboardInputInterval()
        self._typed = self._typed + search if goes_on else search
        self._typing.start()
        row = self.sessions.row_titled(self._typed, max(self.currentIndex().row() + (not goes_on), 0))
        if row >= 0:
            self._go_to(row)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Called by Qt; the keyboard comes to a selected row. While a scan runs it waits for what will be on top."""
        super(QAbstractItemView, self).focusInEvent(event)  # a view's own would go to a row that is not selected
        if not self.currentIndex().isValid() and self.sessions.visible_count and not self.sessions.is_scanning:
            self._go_to(0)
        self.viewport().update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Called by Qt; the ring of the focus goes."""
        super().focusOutEvent(event)
        self.viewport().update()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Called by Qt for a right click, and for the menu key, whose menu belongs to the current row."""
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            at = self.viewport().mapToGlobal(self.visualRect(self.currentIndex()).bottomLeft())
        else:
            at = event.globalPos()
        self.context_menu_requested.emit(at)

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


def _largest_count(session: SessionAudit | Glance) -> int:
    if isinstance(session, Glance):
        return session.live or 0
    return max(session.live or 0, session.backup or 0, session.database or 0, session.after or 0)


def _runs(rows: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The first and last of each unbroken run in rising numbers."""
    for _, run in groupby(enumerate(rows), key=lambda pair: pair[1] - pair[0]):
        numbers = [row for _, row in run]
        yield numbers[0], numbers[-1]


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
