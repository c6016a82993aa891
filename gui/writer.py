"""Everything that changes a store or writes a file: planned, asked for, carried out in a thread, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from core import repair as repairs
from core import vault
from core.audit import Audit
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
    whether it is good, and the run that can be undone ("" for none); ``store_changed`` comes with it where the store
    may be another now. ``about_to_write`` comes before the first write, so that whoever reads the store can let go of
    it.
    """

    started = Signal(str)
    progressed = Signal(str, int, int)
    ended = Signal()
    about_to_write = Signal()
    told = Signal(str, bool, str)
    store_changed = Signal()
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

    def repair(self, store: Store, session_ids: Sequence[str] | None, choices: Mapping[str, Choices]) -> None:
        """Plan, ask, and repair."""
        self._run(self.tr("Preparing the repair…"), plan_repair(store, session_ids, choices), self._confirm)

    def _confirm(self, plan: repairs.Plan) -> None:
        dialog = RepairDialog(plan, self.theme, self._window)
        dialog.finished.connect(dialog.deleteLater)
        if dialog.exec() == RepairDialog.DialogCode.Accepted:
            self.about_to_write.emit()
            self._run(self.tr("Repairing…"), run_repair(plan), self._on_repaired)

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
        self.about_to_write.emit()
        self._run(self.tr("Putting back…"), run_undo(store, run_id, session_id or None), self._on_undone)

    def _on_undone(self, result: vault.UndoResult) -> None:
        n = len(result.undone)
        text = (self.tr("1 session put back.") if n == 1 else self.tr("{} sessions put back.")).format(n)
        for session_id, reason in result.refused.items():
            text += f" {session_id}: {reason}"
        self.told.emit(text, not result.refused, "")
        self.store_changed.emit()

    def export(self, store: Store, audit: Audit | None, run_id: str) -> None:
        """Ask for a form and a file, and write the report of a run, or of the audit."""
        dialog = ReportDialog(self.theme, self._window, run_id=run_id)
        dialog.finished.connect(dialog.deleteLater)
        chosen = dialog.ask()
        if chosen is not None:
            form, path = chosen
            work = write_report(store, audit, run_id or None, form, path)
            self._run(self.tr("Writing the report…"), work, self._on_exported)

    def _on_exported(self, path: Path) -> None:
        self.told.emit(self.tr("The report is in {}.").format(path), True, "")

    def make_demo(self, folder: Path) -> None:
        """Make a demo store in a folder."""
        self._run(self.tr("Making the demo store…"), make_demo(folder), self.demo_made.emit)

    def _run(self, text: str, work: Callable[[Context], object], done: Callable[..., object]) -> None:
        job = self.jobs.prepare(KEY, work)
        self._job = job
        job.progressed.connect(lambda at, total: self.progressed.emit(text, at, total))
        job.done.connect(lambda result: self._ended(done, result))
        job.failed.connect(lambda error: self._ended(self._on_failed, error))
        job.cancelled.connect(lambda: self._ended(self.store_changed.emit))
        self.started.emit(text)
        job.start()

    def _ended(self, then: Callable[..., object], *results: object) -> None:
        self._job = None
        self.ended.emit()
        then(*results)

    def _on_failed(self, error: Exception) -> None:
        self.failed.emit(error)
        self.store_changed.emit()
