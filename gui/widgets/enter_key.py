"""Enter presses the button that has the keyboard, as the space bar does, in the window and in each of its dialogs."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication, QPushButton, QToolButton, QWidget


class EnterKey(QObject):
    """Qt leaves it to the desktop which keys press a button, and where it knows no desktop Enter is none of them: in
    the window it does nothing then, in a dialog it presses the default button instead.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        application.focusChanged.connect(self._follow)

    @Slot(QWidget, QWidget)
    def _follow(self, before: QWidget | None, now: QWidget | None) -> None:
        """Look at the keys of the one widget that has the keyboard: a look at all of them would cost each event."""
        if before is not None:
            before.removeEventFilter(self)
        if isinstance(now, QPushButton | QToolButton):
            now.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Called by Qt for every event of the button with the keyboard."""
        if not isinstance(watched, QPushButton | QToolButton) or not isinstance(event, QKeyEvent):
            return False
        if event.key() not in (Qt.Key.Key_Return, Qt.Key.Key_Enter) or event.type() is QEvent.Type.ShortcutOverride:
            return False
        if event.type() is QEvent.Type.KeyPress and not event.isAutoRepeat():
            watched.click()
        return True
