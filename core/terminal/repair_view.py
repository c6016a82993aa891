"""How the terminal front draws what a repair or an undo is to do, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable

from hermes_rescue.core import api
from hermes_rescue.core.audit.findings import SessionAudit
from hermes_rescue.core.base.files import shown
from hermes_rescue.core.base.words import counted, plural
from hermes_rescue.core.repair.planned import PlannedSession
from hermes_rescue.core.repair.run_record import Run
from hermes_rescue.core.repair.vault import UndoResult
from hermes_rescue.core.report.plain_text import stamp
from hermes_rescue.core.terminal.table import Column, Table
from hermes_rescue.core.terminal.view import View, _count, _one_line, _short
from rich.text import Text

_PLAN = (
    Column("session"),
    Column("title", least=12),
    Column("lost", is_number=True, is_spare=True),
    Column("before", is_number=True, is_spare=True),
    Column("after", is_number=True, is_spare=True),
    Column("bytes", is_number=True, is_spare=True),
    Column("file", is_spare=True),
    Column("why", least=16),
)
_HISTORY = (
    Column("run"),
    Column("when", is_spare=True),
    Column("status"),
    Column("sessions", is_number=True),
    Column("undone", is_number=True),
    Column("", least=12),
)


class RepairView(View):
    """Draws repairs and undos."""

    def plan(self, plan: api.Plan) -> None:
        """The dry run: per session what comes back, what is lost, and the file operations."""
        if plan.sessions:
            table = Table(_PLAN)
            for s in plan.sessions:
                table.add_row(
                    Text(shown(s.session_id)), Text(_one_line(s.title)),
                    Text(str(s.messages_lost or "nothing"), "red" if s.messages_lost else ""),
                    _count(s.messages_before), _count(s.messages_after),
                    Text(f"{s.size_after:,}"),
                    Text(_file_work(s)), Text(shown(s.why)),
                )  # fmt: skip
            self.table(table)
            for s in plan.sessions:
                if s.warning:
                    look = self.command("show", s.source)
                    self.line(f"{shown(s.session_id)}: {s.warning} Look first: {look}")
            if n := sum(s.left_out for s in plan.sessions):
                self.line(f"{counted(n, 'message is', 'messages are')} left out, as you chose.")
            when = ", once Hermes WebUI is stopped" if plan.undo_waits else ""
            kept = f"The old files are kept in {plan.store.vault_root} and can be put back{when}"
            self.line(f"{kept}: {self.command('undo')}")
        for text in plan.unread:
            self.line(f"Copy not readable: {text}")
        for run_id in plan.unfinished:
            self.line(f"The interrupted repair {run_id} is finished.")
        if plan.rebuilds_list:
            lacking = f" It gets back: {', '.join(plan.relisted)}." if plan.relisted else ""
            self.line(f"The session list (_index.json) is rebuilt at the end.{lacking}")
        for sid, reason in plan.refused.items():
            self.line(f"Skipped: {sid}: {reason}")
        if plan.questions:
            self.line(
                f"Waiting for your decision: {', '.join(plan.questions)}. "
                f"Look: {self.command('show', 'SID')}    Repair one: {self.command('repair', 'SID')}"
            )
        if plan.is_empty and not plan.refused:
            self.line(plan.problem or plan.nothing)

    def question(self, plan: api.Plan, verb: str) -> str:
        """What a person is asked before a repair; ``verb`` is what is done with the sessions."""
        if any(each.copy_of for each in plan.sessions):
            return "Restore the session as a copy?"
        if plan.sessions:
            return f"{verb} {counted(plan.count, 'session')}?"
        return "Finish the interrupted repair?" if plan.unfinished else "Rebuild the session list?"

    def result(self, plan: api.Plan, result: api.Result) -> None:
        """What a repair came to."""
        titles = {s.session_id: s.title for s in plan.sessions}
        for outcome in result.outcomes:
            if outcome.state not in (api.State.REPAIRED, api.State.CANCELLED):
                self.line(
                    f"{outcome.state}: {outcome.session_id} {_short(titles[outcome.session_id], 40)}: {outcome.reason}"
                )
        n = result.count(api.State.REPAIRED)
        if result.cancelled:
            return
        listed = len(plan.relisted) if result.index_rebuilt else 0
        repaired, others = n + listed, len({*result.relisted} - {*plan.relisted})
        parts = (
            (f"{counted(repaired, 'session')} {plan.done} and verified.", repaired or not result.index_rebuilt),
            ("The session list was rebuilt.", result.index_rebuilt),
            (f"{listed} of them {plural(listed, 'was', 'were')} only missing there.", n and listed),
            (f"It has {counted(others, 'other session')} again that {plural(others, 'was', 'were')} missing.", others),
        )
        self.line(" ".join(text for text, is_so in parts if is_so))
        if result.run_id is not None and n:
            report = self.command("report", result.run_id)
            self.line(f"Undo: {self.command('undo', result.run_id)}    Report: {report}")
            if plan.force and plan.webui.running:
                self.restart(f"what was {plan.done}")

    def restart(self, what: str) -> None:
        """That a running WebUI does not know what was done by force."""
        self.line(f"Restart Hermes WebUI now: it has the old sessions in memory and can write over {what}.")

    def stopped(self, result: api.Result, again: str) -> str:
        """What a repair came to that was stopped; ``again`` is the command that goes on."""
        n = result.count(api.State.REPAIRED)
        text = f"Stopped after {n} of {len(result.outcomes)}. Finish: {again}"
        return f"{text}    Roll back: {self.command('undo', str(result.run_id))}" if n else text

    def broken(self, error: api.RunBrokenError, again: str) -> str:
        """What to do about a repair that could not go on."""
        return f"{error} Finish: {again}    Roll back: {self.command('undo', error.run_id)}"

    def undo_question(self, run: Run, session: str | None) -> str:
        """What a person is asked before an undo."""
        what = f"session {shown(session)}" if session else counted(len(run.standing), "session")
        return f"Put {what} back to what it was before the repair of {stamp(run.created_at)}?"

    def undone(self, result: UndoResult) -> None:
        """What an undo came to."""
        n = len(result.undone)
        if not result.left:
            self.line(f"{counted(n, 'session')} put back.")
        for sid, reason in result.refused.items():
            self.line(f"Not put back: {sid}: {reason}")
        if result.refused:
            self.line(f"What changed since: {self.command('diff', 'SID', '--run', result.run_id)}")
        if result.index_problem:
            self.line(f"The session list still has to be rebuilt. {result.index_problem}")
            self.line(f"Rebuild it: {self.command('repair', '--all')}")

    def undo_stopped(self, result: UndoResult, again: str) -> str:
        """What an undo came to that was stopped; ``again`` is the command that goes on."""
        n = len(result.undone)
        return f"Stopped after {n} of {n + len(result.refused) + len(result.left)}. Go on: {again}"

    def left(self, session: SessionAudit) -> None:
        """That a session stays as it is."""
        self.line(f"{_short(session.title, 60)} is left as it is, until one of its copies changes.")
        self.line(f"Take that back: {self.command('leave', session.session_id, '--forget')}")

    def taken_back(self, session_id: str, *, was_left: bool) -> None:
        """That a session counts again."""
        self.line(f"{session_id} counts again." if was_left else f"{session_id} was not left as it is.")

    def history(self, runs: Iterable[Run], older: int) -> None:
        """The runs, newest first; ``older`` are not among them."""
        table, runs = Table(_HISTORY), list(runs)
        for run in runs:
            table.add_row(
                Text(run.run_id), Text(stamp(run.created_at)), Text(run.status),
                _count(run.count), _count(len(run.undone)), Text(shown(run.problem)),
            )  # fmt: skip
        if table.rows:
            self.table(table)
            if older:
                self.line(f"{older} older: {self.command('history', '--all')}")
            undo = f"    Undo one: {self.command('undo', 'RUN')}" if api.undoable(runs) else ""
            self.line(f"What one did: {self.command('report', 'RUN')}{undo}")
        else:
            self.line("No repair was made yet.")


def _file_work(session: PlannedSession) -> str:
    """What is done to the files of a session, in short."""
    replaced = "link replaced" if session.link_to else "replaced"
    written = ("new" if session.before is None else replaced,) if session.is_written else ()
    return ", ".join((*written, *(("backup moves",) if session.backup_moves else ())))
