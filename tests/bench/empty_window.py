"""Opens the window without a store, and closes it as soon as it is idle."""

from __future__ import annotations

import sys

from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.shell import app
from hermes_rescue.gui.shell.main_window import MainWindow
from PySide6.QtCore import QSettings, QTimer
from PySide6.QtWidgets import QApplication

sys.setswitchinterval(app.SWITCH_INTERVAL)
application = QApplication(["ours"])
window = MainWindow(StoreLocation(), QSettings(app.NAME, app.NAME))
window.show()
QTimer.singleShot(0, window.close)
application.exec()
