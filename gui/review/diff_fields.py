"""Two plain pages beside the messages of a comparison: the metadata fields that differ, and the JSON as it stands."""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import partial
from typing import Any

from hermes_rescue.core.report.diff import Change, FieldRow
from hermes_rescue.gui.background.reader import RAW_LIMIT
from hermes_rescue.gui.view_model.diff_text import change_word, copy_name, listed, plain, title_of
from hermes_rescue.gui.view_model.field_words import LEFT, RIGHT, field_name, offered_words, raw_value, value_words
from hermes_rescue.gui.view_model.formatting import number, plain_tip
from hermes_rescue.gui.widgets.placeholders import Placeholder
from hermes_rescue.gui.widgets.theme import Theme, fixed_font
from PySide6.QtCore import QAbstractTableModel, QEvent, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal, Slot
from PySide6.QtGui import QActionGroup, QContextMenuEvent, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QMenu,
    QPlainTextEdit,
    QSplitter,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

_RAW_LINE = 4_000
"""Characters of one line of it: a text widget is slow where a single line is very long."""

_TIP_LIMIT = 2_000

_OFFER_LIMIT = 60
"""Characters of a value in a menu."""

FROM = 3
"""The column that says where a value is from, and lets choose."""

Index = QModelIndex | QPersistentModelIndex
_ROOT = QModelIndex()


class FieldsModel(QAbstractTableModel):
    """The fields that differ between two versions: name, left value, right value, the copy the right one is from.

    ``choices_changed`` is emitted after a person took a field from another copy, or left it to the proposal again.
    """

    choices_changed = Signal()

    def __init__(self, theme: Theme, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._fields: Sequence[FieldRow] = ()
        self._titles = ("", "")
        self._choosing = False
        self.chosen: dict[str, str] = {}
        """The fields that a person chose, with the copy of each."""

    def set_theme(self, theme: Theme) -> None:
        """Paint with other colours."""
        self._theme = theme
        if self._fields:
            self.dataChanged.emit(self.index(0, 0), self.index(self.rowCount() - 1, self.columnCount() - 1))

    def show(self, fields: Sequence[FieldRow], left: str, right: str, *, choosing: bool) -> None:
        """Take over the fields of a comparison of two versions, given by their names. ``choosing``: a person can take
        them from other copies. The same fields as before (after a choice) leave the selection where it is.
        """
        titles = (title_of(left), title_of(right))
        again = titles == self._titles and [row.field for row in fields] == [row.field for row in self._fields]
        if not again:
            self.beginResetModel()
        self._fields, self._titles, self._choosing = fields, titles, choosing
        self.chosen = {row.field: row.origin for row in fields if row.chosen and row.origin is not None}
        if not again:
            self.endResetModel()
        elif fields:
            self.dataChanged.emit(self.index(0, 0), self.index(len(fields) - 1, FROM))

    def offers(self, row: int) -> list[tuple[str, str, bool]]:
        """What a person can choose from for a field: each copy with its value in short, and whether it is the one."""
        field = self._fields[row]
        if not self._choosing:
            return []
        return [
            (copy, offered_words(value, _OFFER_LIMIT), copy == field.origin) for copy, value in field.offers.items()
        ]

    def is_chosen(self, row: int) -> bool:
        """Whether a person chose where a field is from."""
        return self._fields[row].field in self.chosen

    def choose(self, row: int, copy: str | None, _is_checked: bool = False) -> None:
        """Take a field from a copy, or (None) as the proposal has it."""
        name = self._fields[row].field
        if copy != self.chosen.get(name):
            self.chosen = {**self.chosen, name: copy} if copy else {n: c for n, c in self.chosen.items() if n != name}
            self.choices_changed.emit()

    def rowCount(self, parent: Index = _ROOT) -> int:
        """Called by Qt."""
        return 0 if parent.isValid() else len(self._fields)

    def columnCount(self, parent: Index = _ROOT) -> int:
        """Called by Qt."""
        return 0 if parent.isValid() else 4

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Called by Qt."""
        if orientation != Qt.Orientation.Horizontal or role != Qt.ItemDataRole.DisplayRole:
            return None
        return (self.tr("Field"), *self._titles, self.tr("From"))[section]

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Called by Qt: the value in one line; in full in the tool tip; the whole row in words for a screen reader."""
        if not index.isValid():
            return None
        row, column = self._fields[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return (field_name(row.field), value_words(row, LEFT), value_words(row, RIGHT), self._origin(row))[column]
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return self._sentence(row) if column == 0 else self.data(index)
        if role == Qt.ItemDataRole.ToolTipRole and column == 0:
            return plain_tip(row.field)  # as the terminal takes it
        if role == Qt.ItemDataRole.ToolTipRole and column in (LEFT, RIGHT):
            tip = plain(raw_value(row, column)[:_TIP_LIMIT])
            return f"<p style='white-space: pre-wrap'>{html.escape(tip)}</p>" if tip else None  # never as markup
        if role == Qt.ItemDataRole.ToolTipRole and column == FROM and self.offers(index.row()):
            return self.tr("Take this field from another copy (Enter)")
        is_same = row.change is Change.SAME
        has_value = column in (LEFT, RIGHT) and raw_value(row, column)
        if role == Qt.ItemDataRole.BackgroundRole and has_value and not is_same:
            return self._theme.color("del-bg" if column == LEFT else "add-bg")
        if role == Qt.ItemDataRole.ForegroundRole and (is_same or column == FROM) and not row.chosen:
            return self._theme.color("muted")
        if role == Qt.ItemDataRole.DecorationRole and column == FROM and self.offers(index.row()):
            return self._theme.icon("expand", "muted")
        return None

    def _origin(self, row: FieldRow) -> str:
        words = copy_name(row.origin) if row.origin else ""
        return self.tr("{}, chosen").format(words) if row.chosen else words

    def _sentence(self, row: FieldRow) -> str:
        parts = (
            change_word(row.change),
            field_name(row.field),
            self.tr("left: {}").format(value_words(row, LEFT)),
            self.tr("right: {}").format(value_words(row, RIGHT)),
            self.tr("from {}").format(self._origin(row)) if row.origin else "",
            self.tr("can be taken from {}").format(listed(map(copy_name, row.offers)))
            if self._choosing and row.offers
            else "",
        )
        return ", ".join(filter(None, parts))


class _SourceDelegate(QStyledItemDelegate):
    """Draws the arrow of a menu after the text, where there is one."""

    def initStyleOption(self, option: QStyleOptionViewItem, index: Index) -> None:
        """Called by Qt."""
        super().initStyleOption(option, index)
        option.decorationPosition = QStyleOptionViewItem.Position.Right


class FieldsTable(QTableView):
    """The fields that differ, as a table. A click on where a value is from, or Enter, opens what to choose from."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.fields = FieldsModel(theme, self)
        self.setModel(self.fields)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setWordWrap(False)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setStyleSheet("QTableView::item { padding: 0 8px; }")  # as much as the header has
        self.verticalHeader().hide()
        header = self.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(FROM, QHeaderView.ResizeMode.ResizeToContents)
        self.setItemDelegateForColumn(FROM, _SourceDelegate(self))
        self.setAccessibleName(self.tr("Fields that differ"))
        self.clicked.connect(self._on_clicked)
        self._face = Placeholder(self)
        self._face.show_text(self.tr("No field differs."))
        self.fields.modelReset.connect(self._show_face)
        self._fit_to_font()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Called by Qt."""
        super().resizeEvent(event)
        self._face.setGeometry(self.viewport().geometry())

    def changeEvent(self, event: QEvent) -> None:
        """Called by Qt: the rows are as high as the text needs."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit_to_font()

    def _fit_to_font(self) -> None:
        self.verticalHeader().setDefaultSectionSize(round(self.fontMetrics().height() * 1.9))

    def _show_face(self) -> None:
        is_empty = not self.fields.rowCount()
        self._face.setVisible(is_empty)
        self.setAccessibleDescription(self._face.text if is_empty else "")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Called by Qt: Enter and Space open the copies that the current field can be taken from."""
        keys = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space, Qt.Key.Key_F4)
        if event.key() in keys and self.currentIndex().isValid():
            self.open_sources(self.currentIndex().row())
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Called by Qt: the menu key and right click do the same."""
        index = self.currentIndex()
        if event.reason() is QContextMenuEvent.Reason.Mouse:
            index = self.indexAt(event.pos())
        if index.isValid():
            self.open_sources(index.row())

    def open_sources(self, row: int) -> None:
        """Open the menu of the copies that a field can be taken from; none, if there is nothing to choose."""
        offers = self.fields.offers(row)
        if not offers:
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        name = self.fields.index(row, 0).data()
        menu.setAccessibleName(self.tr("Where {} is taken from").format(name))
        group = QActionGroup(menu)
        for copy, value, is_current in offers:
            action = group.addAction(self.tr("{}: {}").format(title_of(copy), value).replace("&", "&&"))
            action.setCheckable(True)
            action.setChecked(is_current)
            action.triggered.connect(partial(self.fields.choose, row, copy))
        menu.addActions(group.actions())
        menu.addSeparator()
        proposed = menu.addAction(self.tr("As proposed"))
        proposed.setEnabled(self.fields.is_chosen(row))
        proposed.triggered.connect(partial(self.fields.choose, row, None))
        at = self.visualRect(self.fields.index(row, FROM))
        menu.popup(self.viewport().mapToGlobal(at.bottomLeft()))
        menu.setActiveAction(group.checkedAction() or group.actions()[0])

    @Slot(QModelIndex)
    def _on_clicked(self, index: QModelIndex) -> None:
        if index.column() == FROM:
            self.open_sources(index.row())


class RawPage(QSplitter):
    """The JSON of two versions side by side; one of them alone where the other has none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setChildrenCollapsible(False)
        self.pages = tuple(QPlainTextEdit(readOnly=True) for _ in range(2))
        self._texts = ("", "")
        for page in self.pages:
            page.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
            page.setTabChangesFocus(True)
            self.addWidget(page)
        self._fit_to_font()

    def changeEvent(self, event: QEvent) -> None:
        """Called by Qt: the text is as large as every other."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit_to_font()

    def _fit_to_font(self) -> None:
        for page in self.pages:
            page.setFont(fixed_font(self.font()))

    def show_raw(self, texts: tuple[str, str], left: str, right: str) -> None:
        """Show the JSON of two versions, given by their names; not read before the page is seen."""
        self._texts = texts
        for page, name in zip(self.pages, (left, right), strict=True):
            page.setAccessibleName(self.tr("JSON of {}").format(copy_name(name)))
            page.clear()
        if self.isVisible():
            self.fill()

    def fill(self) -> None:
        """Put the texts into the pages, if they are not there yet."""
        for page, text in zip(self.pages, self._texts, strict=True):
            page.setVisible(bool(text) or not any(self._texts))
            if text and page.document().isEmpty():
                page.setPlainText(self._clipped(text))

    def _clipped(self, text: str) -> str:
        lines = [
            line
            if len(line) <= _RAW_LINE
            else self.tr("{} … ({} more characters)").format(line[:_RAW_LINE], number(len(line) - _RAW_LINE))
            for line in text[:RAW_LIMIT].splitlines()
        ]
        if len(text) > RAW_LIMIT:
            lines.append(self.tr("… only the first {} characters are shown.").format(number(RAW_LIMIT)))
        return plain("\n".join(lines))
