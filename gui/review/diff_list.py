"""The list that shows the entries of a comparison."""

from __future__ import annotations

from hermes_rescue.gui.review.diff_blocks import Mode
from hermes_rescue.gui.review.diff_delegate import DiffDelegate
from hermes_rescue.gui.review.entry_list import EntryList
from hermes_rescue.gui.view_model.diff_rows import CHECK, DiffRows
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget


class DiffList(EntryList):
    """The entries of one comparison, in one column or in two."""

    def __init__(self, rows: DiffRows, theme: Theme, parent: QWidget | None = None) -> None:
        self._diff_delegate = DiffDelegate(rows, theme)
        super().__init__(rows, self._diff_delegate, theme, parent)
        self._does[Qt.Key.Key_Space] = lambda at: rows.act(at, CHECK)
        self.setAccessibleName(self.tr("Messages"))
        self.setAccessibleDescription(
            self.tr(
                "Space takes a message in or leaves it out, Right and Left open and close it, Ctrl+C copies its text."
            )
        )

    @property
    def mode(self) -> Mode:
        """One column or two."""
        return self._diff_delegate.mode

    def set_mode(self, mode: Mode) -> None:
        """Show the same entries in one column or in two."""
        if mode is not self._diff_delegate.mode:
            self._diff_delegate.set_mode(mode)
            self._measure_anew()
