"""Lets go of long sessions a part at a time: to free 100,000 messages at once stops every thread for 0.2 seconds."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer

AT_ONCE = 2_000
"""Objects that are let go at a time between other events, which takes some milliseconds."""

BESIDE = 50
"""The same while other threads are at work: painting gives the interpreter away with every stroke, and waits for it."""


def release(parts: list[object]) -> None:
    """Empty a list of which nothing else holds the objects, and let other threads in between."""
    while parts:
        del parts[-BESIDE:]


class Release(QObject):
    """Does the same in the GUI thread, between other events."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._parts: list[object] = []
        self._timer = QTimer(self, interval=0)
        self._timer.timeout.connect(self._go_on)

    def take(self, parts: list[object]) -> None:
        """Let go of these, soon; small lists at once."""
        self._parts += parts
        del parts[:]
        self._timer.start()
        self._go_on()

    def _go_on(self) -> None:
        del self._parts[-AT_ONCE:]
        if not self._parts:
            self._timer.stop()
