"""Notices that somebody else has changed the sessions while the window is open."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QFileSystemWatcher, QObject, QTimer, Signal

QUIET = 500
"""Milliseconds without a further change after which one is reported."""


class Watcher(QObject):
    """Watches one folder; ``changed`` comes once for a burst of changes."""

    changed = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._files = QFileSystemWatcher(self)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(QUIET)
        self._timer.timeout.connect(self.changed)
        self._files.directoryChanged.connect(lambda _: self._timer.start())

    def watch(self, folder: Path) -> None:
        """Watch a folder from now on; what happened before is known."""
        self.rest()
        self._files.addPath(str(folder))

    def rest(self) -> None:
        """Watch nothing: what changes now is our own doing."""
        watched = self._files.directories()
        if watched:
            self._files.removePaths(watched)
        self._timer.stop()
