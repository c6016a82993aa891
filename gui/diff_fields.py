"""Two plain pages beside the messages of a comparison: the metadata fields that differ, and the JSON as it stands."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QPlainTextEdit, QSplitter, QTableView, QWidget

from core.diff import Change, FieldRow
from core.jsontext import dumps
from gui.diff_text import change_word, copy_name, one_line, plain, title_of
from gui.theme import Theme
from gui.wording import number

RAW_LIMIT = 200_000
"""Characters of the JSON that are shown."""

_RAW_LINE = 4_000
"""Characters of one line of it: a text widget is slow where a single line is very long."""

_TIP_LIMIT = 2_000

Index = QModelIndex | QPersistentModelIndex
_ROOT = QModelIndex()


class FieldsModel(QAbstractTableModel):
    """The fields that differ between two versions: name, left value, right value, the copy the right one is from."""

    def __init__(self, theme: Theme, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._fields: Sequence[FieldRow] = ()
        self._titles = ("", "")

    def set_theme(self, theme: Theme) -> None:
        """Paint with other colours."""
        self._theme = theme
        if self._fields:
            self.dataChanged.emit(self.index(0, 0), self.index(self.rowCount() - 1, self.columnCount() - 1))

    def show(self, fields: Sequence[FieldRow], left: str, right: str) -> None:
        """Take over the fields of a comparison of two versions, given by their names."""
        self.beginResetModel()
        self._fields, self._titles = fields, (title_of(left), title_of(right))
        self.endResetModel()

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
            return (plain(row.field), _short(row, 1), _short(row, 2), copy_name(row.origin) if row.origin else "")[
                column
            ]
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return self._sentence(row) if column == 0 else self.data(index)
        if role == Qt.ItemDataRole.ToolTipRole and column in (1, 2):
            tip = plain(_told(row, column)[:_TIP_LIMIT])
            return f"<p style='white-space: pre-wrap'>{html.escape(tip)}</p>" if tip else None  # never as markup
        if role == Qt.ItemDataRole.BackgroundRole and column in (1, 2) and _told(row, column):
            return self._theme.color("del-bg" if column == 1 else "add-bg")
        if role == Qt.ItemDataRole.ForegroundRole and column == 3:
            return self._theme.color("muted")
        return None

    def _sentence(self, row: FieldRow) -> str:
        parts = (
            change_word(row.change),
            plain(row.field),
            self.tr("left: {}").format(_short(row, 1)),
            self.tr("right: {}").format(_short(row, 2)),
            self.tr("from {}").format(copy_name(row.origin)) if row.origin else "",
        )
        return ", ".join(filter(None, parts))


class FieldsTable(QTableView):
    """The fields that differ, as a table."""

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
        self.verticalHeader().setDefaultSectionSize(round(self.fontMetrics().height() * 1.9))
        header = self.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(3, QHeaderView.ResizeMode.ResizeToContents)
        self.setAccessibleName(self.tr("Fields that differ"))


class RawPage(QSplitter):
    """The JSON of two versions side by side; one of them alone where the other has none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setChildrenCollapsible(False)
        self._pages = tuple(QPlainTextEdit(readOnly=True) for _ in range(2))
        self._texts = ("", "")
        for page in self._pages:
            page.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
            page.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
            page.setTabChangesFocus(True)
            self.addWidget(page)

    def show_raw(self, texts: tuple[str, str], left: str, right: str) -> None:
        """Show the JSON of two versions, given by their names; not read before the page is seen."""
        self._texts = texts
        for page, name in zip(self._pages, (left, right), strict=True):
            page.setAccessibleName(self.tr("JSON of {}").format(copy_name(name)))
            page.clear()
        if self.isVisible():
            self.fill()

    def fill(self) -> None:
        """Put the texts into the pages, if they are not there yet."""
        for page, text in zip(self._pages, self._texts, strict=True):
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
            lines.append(
                self.tr("… only the first {} of {} characters are shown.").format(number(RAW_LIMIT), number(len(text)))
            )
        return plain("\n".join(lines))


def _told(row: FieldRow, column: int) -> str:
    """A value as text: nothing where that side has no such field or null in it, JSON for all but texts."""
    missing = Change.ADDED if column == 1 else Change.REMOVED
    value = row.left if column == 1 else row.right
    if row.change is missing or value is None:
        return ""
    return value if isinstance(value, str) else dumps(value).decode("utf-8", "replace")


def _short(row: FieldRow, column: int) -> str:
    return one_line(_told(row, column)) or "–"
