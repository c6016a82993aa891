"""How far something is, as a bar without words."""

from __future__ import annotations

from PySide6.QtWidgets import QProgressBar

_PARTS = 1000
"""Steps for each session: one of them can take long."""


class ProgressBar(QProgressBar):
    """A bar for the sessions that are done. ``name`` is for those who hear it; ``letters``: how wide it is.

    It is drawn when all else is: Qt's own is drawn at each step at once, together with whatever waits to be drawn.
    """

    def __init__(self, name: str, letters: int) -> None:
        super().__init__()
        self.setTextVisible(False)
        self.setFixedWidth(self.fontMetrics().horizontalAdvance("m") * letters)
        self.setAccessibleName(name)

    def show_progress(self, done: float, total: int) -> None:
        """Show how many sessions are done, without a total that it goes on."""
        self.setUpdatesEnabled(False)
        self.setRange(0, total * _PARTS)
        self.setValue(int(done * _PARTS))
        self.setUpdatesEnabled(True)
        self.show()
