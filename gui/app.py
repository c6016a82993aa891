"""Start-up of the window, and a first window: it says what an audit finds and leaves the repair to the terminal."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings, Qt, QThread, Signal
from PySide6.QtGui import QCloseEvent, QKeySequence
from PySide6.QtWidgets import QApplication, QLabel, QMainWindow

from core.audit import Cancelled, audit
from core.errors import RescueError
from core.store import Store, find_store


class AuditThread(QThread):
    """Audits the store that ``find`` returns. ``told`` carries the result, or what was in the way, for a person."""

    told = Signal(str)

    def __init__(self, find: Callable[[], Store]) -> None:
        super().__init__()
        self._find = find

    def run(self) -> None:
        """Called by Qt in the new thread."""
        try:
            found = audit(self._find(), should_cancel=self.isInterruptionRequested)
        except (RescueError, Cancelled) as reason:
            self.told.emit(str(reason))
        else:
            counts = len(found.findings), len(found.sessions)
            self.told.emit(self.tr("{} findings in {} sessions. Nothing was changed.").format(*counts))


class MainWindow(QMainWindow):
    """Shows what ``thread`` finds. Its place on the screen is kept in ``settings``."""

    def __init__(self, thread: AuditThread, settings: QSettings) -> None:
        super().__init__()
        self.setWindowTitle("Hermes Rescue")
        self.audit_thread, self._settings = thread, settings
        self.resize(560, 240)
        self.label = QLabel(self.tr("Looking…"), margin=24, wordWrap=True, textFormat=Qt.TextFormat.PlainText)
        self.setCentralWidget(self.label)
        self.menuBar().addMenu(self.tr("&File")).addAction(self.tr("&Quit"), QKeySequence("Ctrl+Q"), self.close)
        if isinstance(geometry := settings.value("geometry"), QByteArray):
            self.restoreGeometry(geometry)
        thread.told.connect(self._tell)
        thread.start()

    def _tell(self, text: str) -> None:
        more = self.tr("The full window comes in the next version; the command hermes-rescue does everything already.")
        self.label.setText(f"{text}\n\n{more}")

    def closeEvent(self, event: QCloseEvent) -> None:
        """Stop the audit after the session it is at; remember the place on the screen."""
        self.audit_thread.requestInterruption()
        self.audit_thread.wait()
        self._settings.setValue("geometry", self.saveGeometry())
        super().closeEvent(event)


def main() -> None:
    """Open the window; raises SystemExit with the status of its event loop when it is closed."""
    parser = argparse.ArgumentParser(prog="hermes-rescue-gui", description="The window of Hermes Rescue.")
    parser.add_argument("--home", type=Path, help="the Hermes home, if not the usual one")
    parser.add_argument("--session-dir", type=Path, help="the sessions folder of a WebUI")
    parser.add_argument("--state-db", type=Path, action="append", default=[], help="a database of the agent")
    parser.add_argument("--reset-settings", action="store_true", help="forget the window's place and size")
    asked = parser.parse_args()
    application = QApplication([parser.prog])
    settings = QSettings("hermes-rescue", "hermes-rescue")
    if asked.reset_settings:
        settings.clear()
    find = partial(find_store, home=asked.home, session_dir=asked.session_dir, state_dbs=asked.state_db)
    window = MainWindow(AuditThread(find), settings)
    window.show()
    raise SystemExit(application.exec())
