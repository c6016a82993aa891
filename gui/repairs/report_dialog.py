"""Which report is to be written: in which form, to which file, and whether with what was said."""

from __future__ import annotations

import time
from pathlib import Path

from hermes_rescue.gui.background.work import PDF, Wanted
from hermes_rescue.gui.repairs.save_dialog import usual_folder
from hermes_rescue.gui.widgets.theme import Theme, heading_font
from PySide6.QtCore import QEvent, Qt, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QLabel,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)


class ReportDialog(QDialog):
    """Asks for the form and the file of a report: of a run, or else of what was found. It writes nothing itself.

    Texts of messages are in it only where somebody ticks the box.
    """

    def __init__(self, theme: Theme, parent: QWidget | None = None, *, run_id: str = "") -> None:
        super().__init__(parent)
        self._run_id = run_id
        self._path: Path | None = None
        self.setWindowTitle(self.tr("Export report"))
        self.heading = QLabel(self.tr("Report of a repair") if run_id else self.tr("Report of what was found"))
        self.contents, self.privacy = QLabel(self._contents()), QLabel()
        for label in (self.heading, self.contents, self.privacy):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(True)
        self.texts = QCheckBox(self.tr("Include message texts"))
        self.forms = {form: QRadioButton(words) for form, words in self._uses().items()}
        self.forms["html"].setChecked(True)
        self.cancel = QPushButton(self.tr("Cancel"))
        self.save = QPushButton(self.tr("Choose file…"))
        self.save.setProperty("primary", True)
        self._lay_out()
        self.set_theme(theme)
        self.cancel.clicked.connect(self.reject)
        self.save.clicked.connect(self._choose)
        self.texts.toggled.connect(self._tell_privacy)
        self._tell_privacy()
        self.save.setDefault(True)

    @property
    def form(self) -> str:
        """The chosen form: one of :data:`core.report.report.FORMATS`, or :data:`gui.work.PDF`."""
        return next(form for form, button in self.forms.items() if button.isChecked())

    @property
    def wanted(self) -> Wanted | None:
        """What was chosen; None as long as no file was."""
        return Wanted(self.form, self._path, self.texts.isChecked()) if self._path is not None else None

    def ask_path(self, suggested: Path, form: str) -> Path | None:
        """Ask the system's own dialog for a file to write; None where it was cancelled."""
        dialog = QFileDialog(self, self.tr("Export report"), str(suggested))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilters([f"{form.upper()} (*.{form})", self.tr("All files (*)")])
        dialog.setDefaultSuffix(form)
        dialog.selectFile(str(suggested))
        chosen = dialog.selectedFiles() if dialog.exec() == QDialog.DialogCode.Accepted else []
        return Path(chosen[0]) if chosen else None

    def suggested(self) -> Path:
        """Where the file would go if nobody says otherwise."""
        name = self._run_id or time.strftime("%Y-%m-%d")
        return usual_folder() / f"hermes-rescue-{name}.{self.form}"

    def set_theme(self, theme: Theme) -> None:
        """Paint in other colours."""
        self.save.setIcon(theme.icon("export", "accent-text"))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Called by Qt: no sentence is cut off."""
        super().resizeEvent(event)
        self._make_room()

    def changeEvent(self, event: QEvent) -> None:
        """Called by Qt: the heading stays larger than the text."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self.heading.setFont(heading_font(self.font()))

    @Slot()
    def _choose(self) -> None:
        self._path = self.ask_path(self.suggested(), self.form)
        if self._path is not None:
            self.accept()

    def _contents(self) -> str:
        if self._run_id:
            return self.tr(
                "It holds each session of the repair, the number of its messages before and after, and every file with"
                " what was done to it and its SHA-256 before and after."
            )
        return self.tr(
            "It holds every finding with its evidence, how serious it is and what to do, the number of messages in"
            " the file and its backup, and where the store and its databases are."
        )

    @Slot()
    def _tell_privacy(self) -> None:
        if not self.texts.isChecked():
            words = self.tr(
                "It holds no text of any message, but ids, paths and titles; a title can be how a message begins."
            )
        elif self._run_id:
            words = self.tr("Anyone you send it to can read the text of every message that the repair changed.")
        else:
            words = self.tr(
                "Anyone you send it to can read the text of every message that a repair would bring back, and of those"
                " that stay out, also the ones that you took back yourself."
            )
        self.privacy.setText(words)
        self._make_room()

    def _make_room(self) -> None:
        """Be as high as the sentences need at this width: Qt makes a dialog no higher than a part of the screen."""
        layout = self.layout()
        if layout is not None:
            self.setMinimumHeight(layout.totalHeightForWidth(self.width()))

    def _uses(self) -> dict[str, str]:
        return {
            "html": self.tr("HTML: to read, to print, to send; one file"),
            PDF: self.tr("PDF: pages, for a printer or an archive"),
            "md": self.tr("Markdown: for an issue or a note"),
            "json": self.tr("JSON: for programs"),
        }

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 18, 20, 16)
        layout.setSpacing(8)
        self.heading.setFont(heading_font(self.font()))
        layout.addWidget(self.heading)
        layout.addWidget(self.contents)
        layout.addSpacing(6)
        for button in self.forms.values():
            layout.addWidget(button)
        layout.addSpacing(6)
        layout.addWidget(self.texts)
        layout.addWidget(self.privacy)
        layout.addSpacing(6)
        layout.addStretch()
        buttons = QDialogButtonBox()
        buttons.addButton(self.cancel, QDialogButtonBox.ButtonRole.RejectRole)
        buttons.addButton(self.save, QDialogButtonBox.ButtonRole.AcceptRole)
        layout.addWidget(buttons)
        self.setMinimumWidth(70 * self.fontMetrics().averageCharWidth())
