"""A session around a repair: what an undo would put back, what the repair left, and what is there now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.repair.vault import Vault
from hermes_rescue.core.report.history import History, SessionVersions
from hermes_rescue.gui.background.jobs import Context, Job, Jobs
from hermes_rescue.gui.background.tasks import Comparison, compare_versions
from hermes_rescue.gui.review.diff_view import FIELDS, MESSAGES, DiffView
from hermes_rescue.gui.view_model.formatting import breakable
from hermes_rescue.gui.widgets.commands import COMMANDS
from hermes_rescue.gui.widgets.error_dialog import message_of
from hermes_rescue.gui.widgets.fitting import resize_within_screen
from hermes_rescue.gui.widgets.page_tabs import PageTabs
from hermes_rescue.gui.widgets.theme import Theme, heading_font
from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QVBoxLayout, QWidget

KEY = "changes"


class ChangesDialog(QDialog):
    """Reads a session around a run in a thread and compares any two of its versions. It changes nothing."""

    def __init__(self, store: Store, run_id: str, session_id: str, jobs: Jobs, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(self.tr("What changed since the repair"))
        self._jobs = jobs
        self._job: Job | None = None
        self._past: SessionVersions | None = None
        self.heading, self.notes = QLabel(), QLabel()
        self.heading.setFont(heading_font(self.font()))
        for label in (self.heading, self.notes):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(True)
        self.difference = DiffView(theme)
        self.tabs = PageTabs((self.tr("Changes"), self.tr("Fields"), self.tr("Raw")), counted=(MESSAGES, FIELDS))
        self.tabs.currentChanged.connect(self.difference.show_page)
        self.difference.page_shown.connect(self.tabs.setCurrentIndex)
        self.difference.counted.connect(self._show_counts)
        self.difference.versions_chosen.connect(self._compare)
        self._lay_out()
        self._run(lambda _: History(store, Vault.of(store).read_run(run_id)).versions(session_id), self._on_past)

    def show_reason(self, title: str, reason: str) -> None:
        """Say which session it is, and why an undo leaves it as it is ("" where nothing speaks against one)."""
        self.heading.setText(breakable(title))
        self._add_notes(reason)

    @property
    def is_busy(self) -> bool:
        """Whether something is still being read or compared."""
        return self._job is not None

    def done(self, result: int) -> None:
        """Called by Qt when the dialog closes: what is still being read is not waited for."""
        if self._job is not None:
            self._job.drop()
        super().done(result)

    def _run(self, work: Callable[[Context], Any], done: Callable[[Any], None]) -> None:
        self.difference.clear(self.tr("Reading…"))
        self._job = self._jobs.prepare(KEY, work)
        self._job.done.connect(done)
        self._job.failed.connect(self._on_failed)
        self._job.start()

    def _add_notes(self, *notes: str) -> None:
        self.notes.setText("\n".join(note for note in (self.notes.text(), *map(breakable, notes)) if note))
        self.notes.setVisible(bool(self.notes.text()))

    @Slot(object)
    def _on_past(self, past: SessionVersions) -> None:
        self._past = past
        self._add_notes(*past.notes)
        self.difference.set_versions(tuple(past.versions), *past.pair)
        self._compare(*past.pair)

    @Slot(str, str)
    def _compare(self, left: str, right: str) -> None:
        if self._past is not None:
            versions = self._past.versions
            self._run(compare_versions(versions[left], versions[right]), self._on_compared)

    @Slot(object)
    def _on_compared(self, found: Comparison) -> None:
        self._job = None
        self.difference.show_rows(found.outline, found.fields, found.raw, choosing=False)

    @Slot(object)
    def _on_failed(self, error: Exception) -> None:
        self._job = None
        self.difference.clear(message_of(error)[0])

    @Slot(int, int)
    def _show_counts(self, changes: int, fields: int) -> None:
        self.tabs.show_count(MESSAGES, changes)
        self.tabs.show_count(FIELDS, fields)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 18, 20, 16)
        layout.setSpacing(8)
        layout.addWidget(self.heading)
        layout.addWidget(self.notes)
        layout.addWidget(self.tabs)
        layout.addWidget(self.difference, 1)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout.addWidget(buttons)
        steps = {"next": self.difference.next_change, "previous": self.difference.previous_change}
        for command in COMMANDS:
            for keys in command.shortcuts if command.name in steps else ():
                QShortcut(QKeySequence(keys), self, steps[command.name])
        resize_within_screen(self, 1000, 680)
