"""Reads what the vault records of past repairs, outside the GUI thread."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.repair.vault import Vault
from hermes_rescue.gui.background.jobs import Job, Jobs
from hermes_rescue.gui.background.tasks import check_undo
from hermes_rescue.gui.repairs.changes_dialog import ChangesDialog
from hermes_rescue.gui.repairs.history_panel import HistoryPanel
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtWidgets import QWidget

RUNS, CHECK = "runs", "check"


class HistoryController(QObject):
    """Answers the history panel: which repairs there are, what of one can still be undone, what changed since.

    ``runs_read`` carries the runs of the store, newest first; ``shown``: the panel has something to show; ``failed``
    carries an exception.
    """

    runs_read = Signal(object)
    shown = Signal()
    failed = Signal(object)

    def __init__(self, panel: HistoryPanel, jobs: Jobs, window: QWidget, theme: Theme) -> None:
        super().__init__(window)
        self.theme = theme
        self._jobs = jobs
        self._panel = panel
        self._window = window
        self._store: Store | None = None
        self._reading: Job | None = None
        panel.check_requested.connect(self._check)
        panel.changes_requested.connect(self.show_changes)

    def read(self, store: Store) -> None:
        """Read the runs of a store anew."""
        self._store = store
        self._jobs.cancel(CHECK)
        job = self._reading = self._jobs.prepare(RUNS, lambda _: Vault.of(store).list_runs())
        job.done.connect(self._on_read)
        job.failed.connect(self._on_failed)
        job.start()

    def clear(self) -> None:
        """Another store is shown: nothing is known of its runs yet."""
        self._store, self._reading = None, None
        self._panel.set_runs(())

    @property
    def is_reading(self) -> bool:
        """Whether the runs are still being read."""
        return self._reading is not None

    @Slot(object)
    def _on_read(self, runs: object) -> None:
        self._reading = None
        self.runs_read.emit(runs)

    @Slot(object)
    def _on_failed(self, error: object) -> None:
        self._reading = None
        self.failed.emit(error)

    @Slot(str)
    def _check(self, run_id: str) -> None:
        if self._store is not None:
            job = self._jobs.prepare(CHECK, check_undo(self._store, run_id))
            job.done.connect(partial(self._panel.set_refusals, run_id))
            job.failed.connect(self.failed)
            job.start()

    @Slot(str, str, str)
    def show_changes(self, run_id: str, session_id: str, reason: str) -> None:
        """Show a session before a run, after it, and now; ``reason`` is what is wrong with it."""
        if self._store is not None:
            dialog = ChangesDialog(self._store, run_id, session_id, self._jobs, self.theme, self._window)
            dialog.show_reason(self._panel.title_of(run_id, session_id), reason)
            dialog.open()

    @Slot(str, object)
    def show_refused(self, run_id: str, reasons: Mapping[str, str]) -> None:
        """Show what stands in the way of an undo: in the panel, and where it is one session, in full."""
        (session_id, reason), *others = reasons.items()
        self._panel.select(run_id, session_id)
        self.shown.emit()
        if not others:
            self.show_changes(run_id, session_id, reason)
