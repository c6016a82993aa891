"""Lets go of long sessions a part at a time: to free 100,000 messages at once stops every thread for 0.2 seconds."""

from __future__ import annotations

import time
from typing import Any

from PySide6.QtCore import QObject, QTimer

FEW = 50
"""Objects that are let go at a time: painting gives the interpreter away with every stroke, and waits for it."""

SLICE = 0.004
"""Seconds for which the window lets go of such before other events have their turn."""


def release(parts: list[object]) -> None:
    """Empty a list of which nothing else holds the objects, and let other threads in between."""
    while parts:
        del parts[-FEW:]


class Release(QObject):
    """Does the same in the GUI thread, between other events."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._lists: list[list[Any]] = []
        self._timer = QTimer(self, interval=0)
        self._timer.timeout.connect(self._go_on)

    def take(self, *lists: list[Any]) -> None:
        """Let go soon of what is in these, from the last one on. What holds very many of the others, which takes a
        moment by itself, is in a list of its own.
        """
        self._lists += filter(None, lists)
        self._timer.start()

    def _go_on(self) -> None:
        end = time.perf_counter() + SLICE
        while self._lists and time.perf_counter() < end:
            del self._lists[-1][-FEW:]
            if not self._lists[-1]:
                del self._lists[-1]
        if not self._lists:
            self._timer.stop()
