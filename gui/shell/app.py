"""Start-up of the window: settings, and an exception hook that shows what went wrong."""

from __future__ import annotations

import gc
import sys
from contextlib import suppress
from importlib.resources import files
from types import TracebackType

from hermes_rescue.core.base.errors import RescueError
from hermes_rescue.core.base.program import NAME, version
from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.shell.main_window import MainWindow
from hermes_rescue.gui.start import Options
from PySide6.QtCore import QSettings
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication

SWITCH_INTERVAL = 0.00005
"""Seconds after which a busy worker lets the window have the interpreter. Painting gives it away with every stroke, and
with Python's usual 5 ms each of them could wait as long.
"""

YOUNG_ONLY = (700, 10, 2**31 - 1)
"""When Python looks for cycles: among young objects as usual, among the old ones never. They are the rows of the store,
which make none, and looking through those of 100,000 sessions stops the window for a third of a second.
"""


def main(asked: Options) -> None:
    """Open the window that was asked for; raises SystemExit with the status of its event loop when it is closed."""
    place = StoreLocation(asked.home, asked.session_dir, asked.state_dbs, asked.also)
    with suppress(RescueError):  # which the window shows; here root becomes the owner, before it makes files anywhere
        place.find()
    let_the_window_go_first()
    application = QApplication(["hermes-rescue-gui"])
    application.setApplicationName(NAME)
    application.setApplicationDisplayName("Hermes Rescue")
    application.setApplicationVersion(version())
    application.setDesktopFileName(NAME)  # Wayland and desktop shells find icon and windows by it
    application.setWindowIcon(QIcon(str(files("hermes_rescue.resources").joinpath("icons", "app.svg"))))
    settings = QSettings(NAME, NAME)
    if asked.reset_settings:
        settings.clear()
    window = MainWindow(place, settings)
    show_what_goes_wrong_in(window)
    window.show()
    status = application.exec()
    window.jobs.wait()
    raise SystemExit(status)


def let_the_window_go_first() -> None:
    """Set up the interpreter so that nothing that goes on beside the window holds it up."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.set_threshold(*YOUNG_ONLY)


def show_what_goes_wrong_in(window: MainWindow) -> None:
    """An exception that nobody handled ends in a dialog, never in a vanished window."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        sys.__excepthook__(kind, error, trace)
        window.report_error(error)

    sys.excepthook = hook
