"""What an error says."""

from __future__ import annotations

import traceback

from hermes_rescue.core.base.errors import RescueError
from hermes_rescue.core.base.files import shown
from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtWidgets import (
    QMessageBox,
    QWidget,
)


def message_of(error: BaseException) -> tuple[str, str]:
    """What to say about an error, and the details to copy (for an error of this program: where it was)."""
    if isinstance(error, RescueError):
        return str(error), ""
    if isinstance(error, OSError):
        return f"{error.strerror or error}: {shown(error.filename or '')}", ""
    text = QCoreApplication.translate(
        "ErrorDialog", "Something went wrong in this program. Your files are as they were."
    )
    frames = traceback.extract_tb(error.__traceback__)
    where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return text, "\n".join([type(error).__name__, *where])


def show_error(window: QWidget, error: BaseException) -> None:
    """An error in a dialog of a window, with details that can be copied."""
    text, details = message_of(error)
    box = QMessageBox(QMessageBox.Icon.Warning, window.windowTitle(), text, QMessageBox.StandardButton.Close, window)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setDetailedText(details)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.open()
