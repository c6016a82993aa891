"""Where a copy of a conversation is to go: the system's own dialogs, in a folder that exists."""

from __future__ import annotations

from pathlib import Path

from hermes_rescue.gui.view_model.formatting import counted
from PySide6.QtCore import QCoreApplication, QStandardPaths
from PySide6.QtWidgets import QFileDialog, QWidget

translate = QCoreApplication.translate


def usual_folder() -> Path:
    """The documents of the person where there is such a folder, else the home."""
    documents = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
    return Path(documents) if documents and Path(documents).is_dir() else Path.home()


def form_words(form: str) -> str:
    """One of :data:`core.report.export.FORMS`, for people."""
    return {
        "md": translate("SaveDialog", "Markdown"),
        "html": translate("SaveDialog", "Web page"),
        "pdf": translate("SaveDialog", "PDF"),
        "json": translate("SaveDialog", "JSON of Hermes WebUI"),
    }[form]


def file_dialog(window: QWidget, suggested: Path, form: str) -> QFileDialog:
    """Asks for the file of one conversation; it asks itself before a file is replaced."""
    dialog = QFileDialog(window, translate("SaveDialog", "Save a copy"), str(suggested.parent))
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setNameFilters([f"{form_words(form)} (*.{form})", translate("SaveDialog", "All files (*)")])
    dialog.setDefaultSuffix(form)
    dialog.selectFile(suggested.name)
    return dialog


def folder_dialog(window: QWidget, count: int, folder: Path) -> QFileDialog:
    """Asks for the folder of several conversations."""
    words = translate("SaveDialog", "Choose a folder for the copies of {}").format(counted(count, "session"))
    dialog = QFileDialog(window, words, str(folder))
    dialog.setFileMode(QFileDialog.FileMode.Directory)
    dialog.setOption(QFileDialog.Option.ShowDirsOnly)
    return dialog
