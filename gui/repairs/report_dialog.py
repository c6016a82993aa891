"""Which report is to be written: in which form, to which file, and whether with what was said."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from hermes_rescue.gui.background.tasks import PDF, Wanted
from hermes_rescue.gui.repairs.save_dialog import usual_folder
from hermes_rescue.gui.view_model.formatting import number
from hermes_rescue.gui.view_model.session_rows import one_line
from hermes_rescue.gui.widgets.theme import Theme, heading_font
from PySide6.QtCore import QEvent, Qt, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QButtonGroup,
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

_TITLE = 50
"""Characters of a title in the dialog."""


class ReportDialog(QDialog):
    """Asks for the form and the file of a report: of a run, or else of what was found; ``some`` are the sessions, with
    their titles, that it can be about alone. It writes nothing itself, and suggests a ``folder`` that is there.

    Texts of messages are in it only where somebody ticks the box, and never in an anonymous one.
    """

    def __init__(
        self,
        theme: Theme,
        parent: QWidget | None = None,
        *,
        run_id: str = "",
        some: Mapping[str, str] = MappingProxyType({}),
        folder: Path | None = None,
    ) -> None:
        super().__init__(parent)
        self._run_id = run_id
        self._some = some
        self._folder = folder if folder is not None and folder.is_dir() else usual_folder()
        self._path: Path | None = None
        self.setWindowTitle(self.tr("Export report"))
        self.heading = QLabel(self.tr("Report of a repair") if run_id else self.tr("Report of what was found"))
        self.contents, self.privacy = QLabel(), QLabel()
        for label in (self.heading, self.contents, self.privacy):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(True)
        self.of_all, self.of_some = QRadioButton(self.tr("All sessions")), QRadioButton(self._some_words())
        self.texts = QCheckBox(self.tr("Include message texts"))
        self.anonymous = QCheckBox(self.tr("Anonymous, for a place where everybody reads it"))
        self.forms = {form: QRadioButton(words) for form, words in self._uses().items()}
        for choice in ((self.of_all, self.of_some), tuple(self.forms.values())):
            group = QButtonGroup(self)
            for button in choice:
                group.addButton(button)
            choice[0].setChecked(True)
        self.cancel = QPushButton(self.tr("Cancel"))
        self.save = QPushButton(self.tr("Choose file…"))
        self.save.setProperty("primary", True)
        self._lay_out()
        self.set_theme(theme)
        self.cancel.clicked.connect(self.reject)
        self.save.clicked.connect(self._choose)
        self.texts.toggled.connect(self._show_privacy)
        self.anonymous.toggled.connect(self._show_privacy)
        self._show_privacy()
        self.save.setDefault(True)

    @property
    def form(self) -> str:
        """The chosen form: one of :data:`core.report.report.FORMATS`, or :data:`gui.work.PDF`."""
        return next(form for form, button in self.forms.items() if button.isChecked())

    @property
    def wanted(self) -> Wanted | None:
        """What was chosen; None as long as no file was."""
        if self._path is None:
            return None
        is_anonymous = self.anonymous.isChecked()
        some = tuple(self._some) if self.of_some.isChecked() else ()
        return Wanted(self.form, self._path, self.texts.isChecked() and not is_anonymous, is_anonymous, some)

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
        return self._folder / f"hermes-rescue-{name}.{self.form}"

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

    def _some_words(self) -> str:
        if len(self._some) != 1:
            return self.tr("Only the {} selected sessions").format(number(len(self._some)))
        [title] = self._some.values()
        title = one_line(title)
        title = title if len(title) <= _TITLE else f"{title[:_TITLE]}…"
        return self.tr("Only “{}”").format(title).replace("&", "&&")

    def _contents(self) -> str:
        if self.anonymous.isChecked():
            return self.tr(
                "It holds the kinds of findings, the number of messages in each copy, which copy holds which of them,"
                " and versions."
            )
        if self._run_id:
            return self.tr(
                "It holds each session of the repair, the number of its messages before and after, and every file with"
                " what was done to it and its SHA-256 before and after."
            )
        return self.tr(
            "It holds every finding with its evidence, how serious it is and what to do, which copy holds which"
            " messages, and where the store and its databases are."
        )

    @Slot()
    def _show_privacy(self) -> None:
        is_anonymous = self.anonymous.isChecked()
        self.texts.setEnabled(not is_anonymous)
        if is_anonymous:
            words = self.tr("It holds no title, id, path or text: you can paste it into a public bug tracker.")
        elif not self.texts.isChecked():
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
        self.contents.setText(self._contents())
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
        if self._some:
            layout.addWidget(self.of_all)
            layout.addWidget(self.of_some)
            layout.addSpacing(6)
        for button in self.forms.values():
            layout.addWidget(button)
        layout.addSpacing(6)
        layout.addWidget(self.texts)
        layout.addWidget(self.anonymous)
        layout.addWidget(self.privacy)
        layout.addSpacing(6)
        layout.addStretch()
        buttons = QDialogButtonBox()
        buttons.addButton(self.cancel, QDialogButtonBox.ButtonRole.RejectRole)
        buttons.addButton(self.save, QDialogButtonBox.ButtonRole.AcceptRole)
        layout.addWidget(buttons)
        self.setMinimumWidth(70 * self.fontMetrics().averageCharWidth())
