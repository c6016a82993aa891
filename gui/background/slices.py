"""Long work in the GUI thread, a few milliseconds at a time between other events."""

from __future__ import annotations

import time
from collections.abc import Iterator

from PySide6.QtCore import QObject, QTimer, Signal

SLICE = 0.008
"""Seconds that the work takes before it lets other events in."""


class Slices(QObject):
    """Goes through an iterator whose steps are short each. ``ended`` is emitted at its end, not when it is stopped;
    ``paused`` after each slice.
    """

    ended = Signal()
    paused = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._steps: Iterator[object] | None = None
        self._timer = QTimer(self, interval=0)
        self._timer.timeout.connect(self._go_on)

    @property
    def is_busy(self) -> bool:
        """Whether there is more to do."""
        return self._steps is not None

    def run(self, steps: Iterator[object]) -> None:
        """Go through other steps, in place of those of before."""
        self._steps = steps
        self._timer.start()
        self._go_on()

    def stop(self) -> None:
        """Leave the rest."""
        self._steps = None
        self._timer.stop()

    def _go_on(self) -> None:
        end = time.perf_counter() + SLICE
        while self._steps is not None and time.perf_counter() < end:
            try:
                next(self._steps)
            except StopIteration:
                self.stop()
                self.ended.emit()
                return
        self.paused.emit()
