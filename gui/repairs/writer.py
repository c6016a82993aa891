"""Everything that changes a store or writes a file: planned, asked for, carried out by a job, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from hermes_rescue.core import api
from hermes_rescue.core.audit.store_audit import Audit
from hermes_rescue.core.base.errors import BusyError, RescueError
from hermes_rescue.core.base.files import shown
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.merge.choices import OUTDATED, Choices
from hermes_rescue.core.repair import vault
from hermes_rescue.core.repair.planned import PlannedSession
from hermes_rescue.core.repair.run_record import Run
from hermes_rescue.core.repair.vault import Vault
from hermes_rescue.core.report.export import Exported
from hermes_rescue.gui.background import reader
from hermes_rescue.gui.background.jobs import Context, Job, Jobs
from hermes_rescue.gui.background.store_location import make_demo
from hermes_rescue.gui.background.tasks import (
    Rest,
    leave_session,
    plan_copy,
    plan_import,
    plan_repair,
    plan_rest,
    run_repair,
    run_undo,
    save_copies,
    suggested_name,
    write_report,
)
from hermes_rescue.gui.repairs.copy_dialog import CopyDialog
from hermes_rescue.gui.repairs.import_dialog import ImportDialog
from hermes_rescue.gui.repairs.repair_dialog import RepairDialog
from hermes_rescue.gui.repairs.report_dialog import ReportDialog
from hermes_rescue.gui.repairs.save_dialog import file_dialog, folder_dialog, usual_folder
from hermes_rescue.gui.repairs.undo_dialog import UndoDialog
from hermes_rescue.gui.view_model.formatting import counted, now, number
from hermes_rescue.gui.view_model.session_rows import one_line
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QDialog, QFileDialog, QMessageBox, QWidget

KEY = "work"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a work came to: in words ("" where there is nothing to say), whether that is good, and the run that can be
    undone ("" for none). ``error``: it failed. ``is_outdated``: what is shown of the store is to be read again;
    ``sessions``: those that were changed. ``refused``: a run, and the sessions that an undo of it left as they are,
    each with the reason. ``demo``: the home of a demo store that was made; ``saved``: the
    file that was written, or the folder of several; ``done``: what has happened to the store, in a few words;
    ``beside``: the end of ``text`` that holds only while the WebUI runs.
    """

    text: str = ""
    good: bool = True
    run_id: str = ""
    error: Exception | None = None
    is_outdated: bool = False
    sessions: tuple[str, ...] = ()
    refused: tuple[str, Mapping[str, str]] = field(default_factory=lambda: ("", {}))
    demo: Path | None = None
    saved: Path | None = None
    done: str = ""
    beside: str = ""


class Writer(QObject):
    """Carries out what a person asks for.

    ``started`` says what a work is, ``progressed`` how far it is, ``asked`` that it waits for the person, and
    ``ended`` carries its Outcome.
    ``about_to_write`` comes before anything is written, and says whether it is the store that changes: from here on a
    work is not abandoned, but stopped.
    """

    started = Signal(str)
    progressed = Signal(str, float, int)
    asked = Signal()
    postponed = Signal(object)
    """Carries a Rest: what was confirmed for the time when the WebUI has stopped."""
    repaired_beside = Signal(object, object)
    """Carries a plan that was carried out while the WebUI ran, and the ids of the sessions that were repaired."""
    about_to_write = Signal(bool)
    ended = Signal(object)

    def __init__(self, jobs: Jobs, window: QWidget, theme: Theme) -> None:
        super().__init__(window)
        self.theme = theme
        self._jobs = jobs
        self._window = window
        self._job: Job | None = None
        self._dialog: QDialog | None = None
        self._question = ""
        self._folder = usual_folder()
        """Where the last file was saved."""

    @property
    def is_busy(self) -> bool:
        """Whether something is being written, prepared or asked."""
        return self._job is not None or self._dialog is not None

    def cancel(self) -> None:
        """Stop at the next safe point."""
        self._jobs.cancel(KEY)

    def abandon(self) -> None:
        """Forget what is being prepared or asked: nothing of it was written, and nobody waits for it any more."""
        job, self._job = self._job, None
        dialog, self._dialog = self._dialog, None
        if job is not None:
            job.drop()
        if dialog is not None:
            dialog.reject()

    def ask_to_stop(self) -> bool:
        """Ask whether what is being written may stop at the next safe point."""
        buttons = QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.No
        no = QMessageBox.StandardButton.No
        title = self._window.windowTitle()
        return QMessageBox.question(self._window, title, self._question, buttons, no) == QMessageBox.StandardButton.Yes

    # --- repair and undo ----------------------------------------------------------------------------------------------

    def repair(self, store: Store, session_ids: Sequence[str] | None, choices: Mapping[str, Choices]) -> None:
        """Plan, ask, and repair."""

        def postpone(plan: api.Plan) -> None:
            self.postponed.emit(Rest(store, session_ids, choices, plan.forbidden, plan.webui.how_to_stop))

        confirm = partial(self._confirm, postpone=postpone)
        self._run(self.tr("Preparing the repair…"), plan_repair(store, session_ids, choices), confirm)

    def repair_rest(self, rest: Rest) -> None:
        """Repair what was confirmed and had to wait; where a WebUI runs again, it waits on."""

        def repair(plan: api.Plan) -> None:
            if waiting := {each.session_id for each in plan.forbidden}:
                sessions = tuple(each for each in rest.sessions if each.session_id in waiting)
                self.postponed.emit(replace(rest, sessions=sessions, how_to_stop=plan.webui.how_to_stop))
            if plan.sessions:
                self._carry_out(plan, tuple(plan.refused.values()))
            else:
                text = self._not_done(plan, tuple(plan.refused.values()))
                self._end(Outcome(text, good=False, is_outdated=True))

        self._run(self.tr("Preparing the repair…"), plan_rest(rest), repair)

    def repair_copy(self, store: Store, session_id: str, choices: Choices | None) -> None:
        """Plan, ask, and restore a session under a new id."""
        work = plan_copy(store, session_id, choices)
        self._run(self.tr("Preparing the repair…"), work, partial(self._confirm, kind=CopyDialog))

    def import_files(self, store: Store, files: Sequence[Path]) -> None:
        """Plan, ask, and bring in what files add, which are among the further places of the store."""
        self._run(self.tr("Reading the files…"), plan_import(store, files), partial(self._confirm, kind=ImportDialog))

    def _confirm(
        self,
        plan: api.Plan,
        kind: type[RepairDialog] = RepairDialog,
        postpone: Callable[[api.Plan], None] | None = None,
    ) -> None:
        def answer() -> None:
            is_accepted = dialog.result() == QDialog.DialogCode.Accepted
            if is_accepted and dialog.waits.isChecked() and postpone is not None:
                postpone(plan)
            if is_accepted and not dialog.plan.is_empty:
                self._carry_out(dialog.plan)
            else:
                self._end(Outcome(is_outdated=OUTDATED in plan.refused.values()))

        dialog = kind(plan, self.theme, self._window)
        self._ask(dialog, answer)

    def _carry_out(self, plan: api.Plan, untold: tuple[str, ...] = ()) -> None:
        """Repair; ``untold``: why sessions of it are not repaired, which nobody has seen yet."""
        match plan.done:
            case api.Done.IMPORTED:
                label = self.tr("Importing…")
                self._question = self.tr("An import is running. Stop after the current session and quit?")
            case api.Done.RESTORED:
                label = self.tr("Restoring…")
                self._question = self.tr("A session is being restored. Quit as soon as it is done?")
            case _:
                label = self.tr("Repairing…")
                self._question = self.tr("A repair is running. Stop after the current session and quit?")
        self._write(label, run_repair(plan), partial(self._on_repaired, plan, untold))

    def _not_done(self, plan: api.Plan, reasons: Sequence[str]) -> str:
        return self.tr("{} not {}: {}").format(number(len(reasons)), plan.done, reasons[0]) if reasons else ""

    def _on_repaired(self, plan: api.Plan, untold: tuple[str, ...], result: api.Result) -> None:
        changed = tuple(o.session_id for o in result.outcomes if o.state is api.State.REPAIRED)
        planned = [each for each in plan.sessions if each.session_id in changed]
        others = [o.reason or str(o.state) for o in result.outcomes if o.state is not api.State.REPAIRED]
        others += untold
        listed = len(plan.relisted) if result.index_rebuilt else 0
        n = len(changed) + listed
        text = self.tr("{} {} at {}, and verified.").format(counted(n, "session"), plan.done, now())
        if listed:
            text += self.tr(" {} of them only in the session list.").format(number(listed))
        if any(each.changes_files and each.before is not None for each in planned):
            text += self.tr(" The old files are kept.")
        if n == 1 and changed:
            text = self._one_repaired(plan, planned[0])
        elif not changed:
            text = self._relisted(plan, n)
        if n and (others_listed := len({*result.relisted} - {*plan.relisted})):
            words = self.tr(" {} in the session list again.")
            text += words.format(counted(others_listed, "other session is", "other sessions are"))
        if others:
            text = " ".join(filter(None, (text if n else "", self._not_done(plan, others))))
        beside = self.tr(" Reload the page of Hermes WebUI in your browser.") if changed and plan.webui.running else ""
        if n and plan.webui.running:
            self.repaired_beside.emit(plan, changed)
        can_undo = any(each.changes_files for each in planned)
        run_id = (result.run_id or "") if can_undo else ""
        done = self.tr("{} {} at {}.").format(number(n), plan.done, now()) if n else ""
        text += beside
        self._end(Outcome(text, not others, run_id, done=done, is_outdated=True, sessions=changed, beside=beside))

    def _relisted(self, plan: api.Plan, n: int) -> str:
        """What came of a repair that changed no session file: ``n`` sessions are in the session list again."""
        if n == 1:
            text = self.tr("{title} is back in the session list, {when}. Its file is as it was.")
            return text.format(title=one_line(plan.titles.get(plan.relisted[0], plan.relisted[0])), when=now())
        if n:
            text = self.tr("{n} back in the session list, {when}. Their files are as they were.")
            return text.format(n=counted(n, "session is", "sessions are"), when=now())
        return self.tr("No session file had to be changed, {when}.").format(when=now())

    def _one_repaired(self, plan: api.Plan, planned: PlannedSession) -> str:
        title = one_line(planned.title)
        if not planned.changes_files:
            text = self.tr("{title} stays as it is: {n} left out of it, {when}.")
            return text.format(title=title, n=counted(planned.left_out, "message"), when=now())
        if planned.messages_after > (planned.messages_before or 0):
            text = self.tr("{title} is back: {n}, {done} at {when}.")
        else:
            text = self.tr("{title} is {done}: {n}, {when}.")
        kept = self.tr(" The old file is kept.") if planned.before is not None else ""
        n = counted(planned.messages_after, "message")
        return text.format(title=title, n=n, done=plan.done, when=now()) + kept

    def ask_undo(self, store: Store, run_id: str, session_id: str) -> None:
        """Ask whether a run, or one session of it, is to be put back, and do it."""

        def confirm(run: Run) -> None:
            dialog = UndoDialog(run, session_id, self._window)

            def answer() -> None:
                if dialog.clickedButton() is dialog.undo:
                    self.undo(store, run_id, session_id)
                else:
                    self._end(Outcome())

            self._ask(dialog, answer)

        self._run(self.tr("Reading what would be put back…"), lambda _: Vault.of(store).read_run(run_id), confirm)

    def undo(self, store: Store, run_id: str, session_id: str) -> None:
        """Put back a run, or one session of it."""
        self._question = self.tr("An undo is running. Quit as soon as it is done?")
        self._write(self.tr("Putting back…"), run_undo(store, run_id, session_id or None), self._on_undone)

    def _on_undone(self, result: vault.UndoResult) -> None:
        n = len(result.undone)
        text = self.tr("{} put back.").format(counted(n, "session"))
        if result.refused:
            text += " " + next(iter(result.refused.values()))
        if (more := len(result.refused) - 1) > 0:
            text += " " + self.tr("{} not changed; see History for the reasons.").format(
                counted(more, "more was", "more were")
            )
        refused = (result.run_id, result.refused)
        good = not result.refused
        done = self.tr("{} put back at {}.").format(number(n), now()) if n else ""
        self._end(Outcome(text, good, done=done, is_outdated=True, sessions=tuple(result.undone), refused=refused))

    def leave(self, store: Store, session_id: str, *, is_left: bool) -> None:
        """Remember that a session stays as it is, or forget it."""
        self._question = self.tr("Your answer is being remembered. Quit as soon as it is done?")
        text = self.tr("The session asks again.")
        if is_left:
            text = self.tr("The session is left as it is. It asks again when one of its copies changes.")
        work = leave_session(store, session_id, is_left=is_left)
        self._write(self.tr("Remembering…"), work, lambda _: self._end(Outcome(text, is_outdated=True)))

    # --- files --------------------------------------------------------------------------------------------------------

    def export(
        self, store: Store, audit: Audit | None, run_id: str, session_ids: Sequence[str], *, is_chosen: bool
    ) -> None:
        """Ask for a form and a file, and write the report of a run, or of the audit: of all its sessions, or of some,
        which ``is_chosen`` suggests.
        """

        def answer() -> None:
            if dialog.result() == QDialog.DialogCode.Accepted and dialog.wanted is not None:
                self._folder = dialog.wanted.path.parent
                self._question = self.tr("A report is being written. Stop and quit without it?")
                self.about_to_write.emit(False)
                work = write_report(store, audit, run_id or None, dialog.wanted)
                self._run(self.tr("Writing the report…"), work, self._on_exported)
            else:
                self._end(Outcome())

        titles = {each.session_id: each.title for each in audit.sessions} if audit is not None else {}
        some = {session_id: titles.get(session_id, session_id) for session_id in session_ids}
        dialog = ReportDialog(self.theme, self._window, run_id=run_id, some=some, folder=self._folder)
        dialog.of_some.setChecked(bool(some) and is_chosen)
        self._ask(dialog, answer)

    def save_copies(
        self, store: Store, session_ids: Sequence[str], form: str, name: str, choices: Mapping[str, Choices]
    ) -> None:
        """Ask for a file, or a folder for several sessions, and save a copy of each."""
        save = partial(self._save_to, store, session_ids, form, name, choices)
        if len(session_ids) > 1:
            save(folder_dialog(self._window, len(session_ids), self._folder))
            return
        self._run(
            self.tr("Reading the session…"),
            suggested_name(store, session_ids[0], form, name, choices),
            lambda suggested: save(file_dialog(self._window, self._folder / suggested, form)),
            shows_errors=True,
        )

    def _save_to(
        self,
        store: Store,
        session_ids: Sequence[str],
        form: str,
        name: str,
        choices: Mapping[str, Choices],
        dialog: QFileDialog,
    ) -> None:
        def answer() -> None:
            if dialog.result() != QDialog.DialogCode.Accepted or not dialog.selectedFiles():
                self._end(Outcome())
                return
            target = Path(dialog.selectedFiles()[0])
            self._folder = target if len(session_ids) > 1 else target.parent
            self._question = self.tr("A copy is being written. Stop and quit without it?")
            self.about_to_write.emit(False)
            work = save_copies(store, session_ids, form, name, choices, target)
            self._run(self.tr("Saving…"), work, partial(self._on_saved, target), shows_errors=True)

        self._ask(dialog, answer)

    def _on_saved(self, target: Path, exported: Exported) -> None:
        n, failed = len(exported.written), exported.failed
        text = self.tr("Saved: {}.").format(shown(target)) if n == 1 and not target.is_dir() else ""
        if n and not text:
            text = self.tr("{} saved in {}.").format(counted(n, "copy", "copies"), shown(target))
        if failed:
            which = f"{failed[0].session_id}: " if n + len(failed) > 1 else ""
            text += f" {self.tr('{} not saved: {}').format(number(len(failed)), which + shown(failed[0].reason))}"
        self._end(Outcome(text.strip(), not failed, saved=target if n else None))

    def _on_exported(self, path: Path) -> None:
        self._end(Outcome(self.tr("The report is in {}.").format(shown(path)), saved=path))

    def make_demo(self, folder: Path) -> None:
        """Make a demo store in a folder."""
        self._question = self.tr("The demo store is being made. Quit as soon as it is done?")
        self.about_to_write.emit(False)
        self._run(self.tr("Making the demo store…"), make_demo(folder), lambda home: self._end(Outcome(demo=home)))

    # --- all of them --------------------------------------------------------------------------------------------------

    def _ask(self, dialog: QDialog, answer: Callable[[], None]) -> None:
        """Open a dialog; its answer counts unless it was abandoned."""

        def finish() -> None:
            if self._dialog is dialog:
                self._dialog = None
                answer()

        self._dialog = dialog
        dialog.finished.connect(finish)
        dialog.finished.connect(dialog.deleteLater)
        self.asked.emit()
        dialog.open()

    def _write(self, text: str, work: Callable[[Context], object], done: Callable[[Any], None]) -> None:
        """Change the store: whoever reads it has let go of it by then, and what is shown of it is no longer so."""
        self.about_to_write.emit(True)
        self._run(text, work, done, after=reader.KEY, is_outdated=True)

    def _run(
        self,
        text: str,
        work: Callable[[Context], object],
        done: Callable[[Any], None],
        *,
        after: str = "",
        is_outdated: bool = False,
        shows_errors: bool = False,
    ) -> None:
        def finish(result: object) -> None:
            self._job = None
            done(result)

        def fail(error: Exception) -> None:
            self._job = None
            if isinstance(error, BusyError):
                text = self.tr("{} Nothing was changed; try again then.").format(error)
                self._end(Outcome(text, good=False, is_outdated=is_outdated))
            elif shows_errors and isinstance(error, RescueError):
                self._end(Outcome(self.tr("Not saved. {}").format(shown(str(error))), good=False))
            else:
                self._end(Outcome(error=error, is_outdated=is_outdated))

        def give_up() -> None:
            self._job = None
            self._end(Outcome(is_outdated=is_outdated))

        job = self._job = self._jobs.prepare(KEY, work, after=after)
        job.progressed.connect(lambda at, total: self.progressed.emit(text, at, total))
        job.done.connect(finish)
        job.failed.connect(fail)
        job.cancelled.connect(give_up)
        self.started.emit(text)
        job.start()

    def _end(self, outcome: Outcome) -> None:
        self.ended.emit(outcome)
