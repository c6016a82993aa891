"""Which messages of a proposal a person wants: one set of boxes, whichever page shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hermes_rescue.core.hermes.copies import LIVE
from hermes_rescue.core.merge.choices import Choices
from hermes_rescue.core.report.diff import Change, MessageRow
from hermes_rescue.gui.view_model.diff_outline import Outline, by_itself
from PySide6.QtCore import QObject, Signal


class Boxes(QObject):
    """The boxes of the rows of a review. ``turned`` carries the rows whose boxes a person has checked or unchecked."""

    turned = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: Sequence[MessageRow] = ()
        self._overruled: frozenset[int] = frozenset()
        self._turned: set[int] = set()

    def show(self, outline: Outline) -> None:
        """Take over the rows of a proposal, each box as the proposal has it; of one that is there already as it is."""
        if outline.rows is not self._rows:
            self._rows, self._overruled = outline.rows, outline.overruled
            self._turned.clear()

    @property
    def turned_rows(self) -> frozenset[int]:
        """The rows whose box is not as it was shown."""
        return frozenset(self._turned)

    def is_checked(self, row: int) -> bool:
        """Whether a message is to be in the session after a repair."""
        item = self._rows[row].item
        return (item is None or item.included) is not (row in self._turned)

    def count_turned(self, run: range) -> int:
        """How many boxes of a run are not as they were shown."""
        return sum(each in run for each in self._turned)

    def change_of(self, row: int) -> Change:
        """What happens to a message, with the boxes as they are now."""
        shown = self._rows[row]
        if shown.item is None or row not in self._turned:
            return shown.change
        in_live = LIVE in shown.item.copies
        if not shown.item.included:
            return Change.ADDED if not in_live else Change.CHANGED if shown.item.enriched else Change.SAME
        return Change.REMOVED if in_live else Change.LEFT_OUT

    def set_checked(self, rows: Iterable[int], checked: bool) -> None:
        """Check or uncheck the boxes of some rows."""
        changed = tuple(row for row in rows if self.is_checked(row) is not checked)
        self._turned.symmetric_difference_update(changed)
        if changed:
            self.turned.emit(changed)

    def choices(self) -> Choices:
        """The boxes that differ from what the proposal would do by itself."""
        include: set[int] = set()
        exclude: set[int] = set()
        for at in self._overruled | self._turned:
            row, checked = self._rows[at], self.is_checked(at)
            if row.item is not None and row.position is not None and checked != by_itself(row.item):
                (include if checked else exclude).add(row.position)
        return Choices(frozenset(include), frozenset(exclude))
