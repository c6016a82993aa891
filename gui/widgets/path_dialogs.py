"""Dialogs that ask for what is there: they begin in the home and show what is hidden, as a Hermes home is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QDir, Qt
from PySide6.QtWidgets import QFileDialog, QWidget


def folder_dialog(window: QWidget, title: str, use: Callable[[Path], object]) -> QFileDialog:
    """Asks for one folder, and hands it on."""
    dialog = _dialog(window, title)
    dialog.setFileMode(QFileDialog.FileMode.Directory)
    dialog.fileSelected.connect(lambda path: use(Path(path)))
    return dialog


def files_dialog(window: QWidget, title: str, use: Callable[[Sequence[Path]], object]) -> QFileDialog:
    """Asks for files, and hands them on."""
    dialog = _dialog(window, title)
    dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
    dialog.filesSelected.connect(lambda paths: use(tuple(map(Path, paths))))
    return dialog


def _dialog(window: QWidget, title: str) -> QFileDialog:
    dialog = QFileDialog(window, title, str(Path.home()))
    dialog.setOption(
        QFileDialog.Option.DontUseNativeDialog
    )  # those of the systems cannot be made to show what is hidden
    dialog.setFilter(QDir.Filter.AllEntries | QDir.Filter.Hidden | QDir.Filter.AllDirs | QDir.Filter.NoDotAndDotDot)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    return dialog
