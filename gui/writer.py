"""Everything that changes a store or writes a file: planned, asked for, carried out in a thread, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QMessageBox, QWidget

from core import repair as repairs
from core import vault
from core.audit import Audit
from core.errors import BusyError
from core.proposal import Choices
from core.store import Store
from gui.jobs import Context, Job, Jobs
from gui.place import make_demo
from gui.repair_dialog import RepairDialog
from gui.report_dialog import ReportDialog
from gui.theme import Theme
from gui.work import plan_repair, run_repair, run_undo, write_report

KEY = "work"


class Writer(QObject):
    """Carries out what a person asks for.

    ``started`` and ``ended`` frame each work, ``progressed`` tells how far it is. ``told`` is the outcome in words,
    whether it is good, and the run that can be undone ("" for none). ``about_to_write`` comes before the first write,
    so that whoever reads the store can let go of it; after it always comes ``store_changed``, or ``store_untouched``
    where nothing was done because somebody else works on the store. ``refused`` carries a run and the sessions that an
    undo left as they are, each with the reason.
    """

    started = Signal(str)
    progressed = Signal(str, float, int)
    ended = Signal()
    about_to_write = Signal()
    told = Signal(str, bool, str)
    store_changed = Signal()
    store_untouched = Signal()
    refused = Signal(str, object)
    failed = Signal(object)
    demo_made = Signal(object)

    def __init__(self, window: QWidget, theme: Theme) -> None:
        super().__init__(window)
        self.theme = theme
        self.jobs = Jobs(self)
        self._window = window
        self._job: Job | None = None

    @property
    def is_busy(self) -> bool:
        """Whether something is being written, or prepared."""
        return self._job is not None

    def cancel(self) -> None:
        """Stop at the next safe point."""
        self.jobs.cancel(KEY)

    def ask_to_stop(self) -> bool:
        """Ask whether what is being written may stop at the next safe point."""
        question = self.tr("Something is being written. Stop after the current file and close?")
        buttons = QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.No
        no = QMessageBox.StandardButton.No
        title = self._window.windowTitle()
        return QMessageBox.question(self._window, title, question, buttons, no) == QMessageBox.StandardButton.Yes

    def repair(self, store: Store, session_ids: Sequence[str] | None, choices: Mapping[str, Choices]) -> None:
        """Plan, ask, and repair."""
        self._run(self.tr("Preparing the repair…"), plan_repair(store, session_ids, choices), self._confirm)

    def _confirm(self, plan: repairs.Plan) -> None:
        dialog = RepairDialog(plan, self.theme, self._window)
        dialog.finished.connect(dialog.deleteLater)
        if dialog.exec() == RepairDialog.DialogCode.Accepted:
            self._write(self.tr("Repairing…"), run_repair(plan), self._on_repaired)

    def _on_repaired(self, result: repairs.Result) -> None:
        n = result.count(repairs.State.REPAIRED)
        others = [o for o in result.outcomes if o.state is not repairs.State.REPAIRED]
        text = self.tr("1 session repaired and verified.") if n == 1 else self.tr("{} sessions repaired and verified.")
        text = text.format(n)
        if others:
            reason = others[0].reason or str(others[0].state)
            text += " " + self.tr("{} not repaired: {}").format(len(others), reason)
        self.told.emit(text, not others, (result.run_id or "") if n else "")
        self.store_changed.emit()

    def undo(self, store: Store, run_id: str, session_id: str) -> None:
        """Put back a run, or one session of it."""
        self._write(self.tr("Putting back…"), run_undo(store, run_id, session_id or None), self._on_undone)

    def _on_undone(self, result: vault.UndoResult) -> None:
        n = len(result.undone)
        text = (self.tr("1 session put back.") if n == 1 else self.tr("{} sessions put back.")).format(n)
        if result.refused:
            text += " " + next(iter(result.refused.values()))
        if (more := len(result.refused) - 1) > 0:
            text += " " + self.tr("{} more were left as they are; the history says why.").format(more)
        self.told.emit(text, not result.refused, "")
        self.store_changed.emit()
        if result.refused:
            self.refused.emit(result.run_id, result.refused)

    def export(self, store: Store, audit: Audit | None, run_id: str) -> None:
        """Ask for a form and a file, and write the report of a run, or of the audit."""
        dialog = ReportDialog(self.theme, self._window, run_id=run_id)
        dialog.finished.connect(dialog.deleteLater)
        wanted = dialog.ask()
        if wanted is not None:
            self._run(
                self.tr("Writing the report…"), write_report(store, audit, run_id or None, wanted), self._on_exported
            )

    def _on_exported(self, path: Path) -> None:
        self.told.emit(self.tr("The report is in {}.").format(path), True, "")

    def make_demo(self, folder: Path) -> None:
        """Make a demo store in a folder."""
        self._run(self.tr("Making the demo store…"), make_demo(folder), self.demo_made.emit)

    def _write(self, text: str, work: Callable[[Context], object], done: Callable[..., object]) -> None:
        self.about_to_write.emit()
        self._run(text, work, done, self._on_write_failed)

    def _run(
        self,
        text: str,
        work: Callable[[Context], object],
        done: Callable[..., object],
        failed: Callable[[Exception], object] | None = None,
    ) -> None:
        job = self.jobs.prepare(KEY, work)
        self._job = job
        job.progressed.connect(lambda at, total: self.progressed.emit(text, at, total))
        job.done.connect(lambda result: self._ended(done, result))
        job.failed.connect(lambda error: self._ended(failed or self.failed.emit, error))
        job.cancelled.connect(lambda: self._ended(lambda: None))
        self.started.emit(text)
        job.start()

    def _ended(self, then: Callable[..., object], *results: object) -> None:
        self._job = None
        self.ended.emit()
        then(*results)

    def _on_write_failed(self, error: Exception) -> None:
        if isinstance(error, BusyError):
            self.told.emit(self.tr("{} Nothing was changed; try again then.").format(error), False, "")
            self.store_untouched.emit()
        else:
            self.failed.emit(error)
            self.store_changed.emit()
