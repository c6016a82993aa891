"""The list model that an EntryList shows: entries in stretches, some of which a person opens and closes."""

from __future__ import annotations

from hermes_rescue.gui.view_model.diff_outline import Entries
from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex

Index = QModelIndex | QPersistentModelIndex


class EntryRows(QAbstractListModel):
    """A model of entries."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.entries = Entries()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  # as in Qt's own signature
        """Called by Qt: the number of entries."""
        return 0 if parent.isValid() else len(self.entries)

    def act(self, at: int, what: str) -> None:
        """Do what a click on a part of an entry does."""
        raise NotImplementedError

    def expand(self, at: int, is_open: bool) -> None:
        """Open or close an entry."""
        raise NotImplementedError

    def is_expanded(self, at: int) -> bool:
        """Whether anything of an entry is open."""
        raise NotImplementedError

    def run_of(self, at: int) -> int | None:
        """The entry of the open run that an entry is in."""
        raise NotImplementedError

    def copied_text(self, at: int) -> str:
        """What goes to the clipboard for an entry."""
        raise NotImplementedError

    def _build(self) -> Entries:
        """The entries as they are now."""
        raise NotImplementedError

    def _replace(self, at: int) -> None:
        """Build the entries again; only those right after the one at ``at`` come or go."""
        fresh = self._build()
        more = len(fresh) - len(self.entries)
        if more > 0:
            self.beginInsertRows(QModelIndex(), at + 1, at + more)
            self.entries = fresh
            self.endInsertRows()
        elif more < 0:
            self.beginRemoveRows(QModelIndex(), at + 1, at - more)
            self.entries = fresh
            self.endRemoveRows()

    def _changed(self, first: int, last: int) -> None:
        self.dataChanged.emit(self.index(first), self.index(last))
