"""The tabs above the pages of a session, each with how many things there are on its page."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hermes_rescue.gui.view_model.formatting import number
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QFont, QFontMetrics
from PySide6.QtWidgets import QTabBar, QWidget

_BESIDE, _ABOVE = 12, 5
"""Points around the name of a tab, as in the style sheet."""

_LETTERS = 2
"""Of a name, in the smallest window."""


class PageTabs(QTabBar):
    """Tabs with these names; ``counted`` are those that get a count. None of them moves when another count comes."""

    def __init__(self, names: Sequence[str], counted: Collection[int], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names, self._counted = tuple(names), counted
        self.setExpanding(False)
        self.setDrawBase(False)
        self.setUsesScrollButtons(False)
        self.setElideMode(Qt.TextElideMode.ElideRight)
        self.setAccessibleName(self.tr("Pages of the session"))
        for name in names:
            self.addTab(name)

    def show_count(self, at: int, count: int) -> None:
        """Say how many things there are on a page."""
        text = f"{self._names[at]} {number(count)}" if count else self._names[at]
        if text != self.tabText(at):  # every text makes all tabs find their places
            self.setTabText(at, text)

    def tabSizeHint(self, index: int) -> QSize:
        """Called by Qt: room for the name in bold, so that no tab moves when it becomes the current one, and for a
        count of two digits.
        """
        font = QFont(self.font())
        font.setWeight(QFont.Weight.DemiBold)
        metrics = QFontMetrics(font)
        usual = f"{self._names[index]} {number(99)}" if index in self._counted else self._names[index]
        width = max(map(metrics.horizontalAdvance, (usual, self.tabText(index))))
        return QSize(width + 2 * _BESIDE + 4, metrics.height() + 2 * _ABOVE + 4)

    def minimumTabSizeHint(self, index: int) -> QSize:
        """Called by Qt where there is little room: half of it, but some letters of the name at least."""
        usual = self.tabSizeHint(index)
        letters = self.fontMetrics().horizontalAdvance("m" * _LETTERS) + 2 * _BESIDE + 4
        return QSize(min(usual.width(), max(usual.width() // 2, letters)), usual.height())
