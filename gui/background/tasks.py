"""The jobs that may change a store, each a core function with the window's progress and cancel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hermes_rescue.core import api
from hermes_rescue.core.audit.store_audit import Audit
from hermes_rescue.core.audit.workers import Cancelled
from hermes_rescue.core.base import files
from hermes_rescue.core.base.errors import RescueError
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.merge.choices import OUTDATED, Choices
from hermes_rescue.core.repair import vault
from hermes_rescue.core.repair.planned import PlannedSession
from hermes_rescue.core.repair.vault import Vault
from hermes_rescue.core.report import diff, excerpts, report
from hermes_rescue.core.report import export as exports
from hermes_rescue.gui.background import conversation_pdf
from hermes_rescue.gui.background.jobs import Context
from hermes_rescue.gui.background.reader import raw_lines
from hermes_rescue.gui.background.report_pdf import pdf_of
from hermes_rescue.gui.view_model.diff_outline import Outline, outlined

PDF = "pdf"
"""The form of a report that only the window makes."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which report is wanted: its form (one of :data:`core.report.report.FORMATS`, or ``PDF``), its file, and whether
    the texts of messages are in it, or nothing that could be anybody's; ``session_ids``: of which sessions, empty for
    all.
    """

    form: str
    path: Path
    texts: bool = False
    is_anonymous: bool = False
    session_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions of a session compared, as a comparison is shown; ``raw``: both as JSON lines."""

    outline: Outline
    fields: tuple[diff.FieldRow, ...]
    raw: tuple[str, str]


def plan_repair(
    store: Store, session_ids: Sequence[str] | None, choices: Mapping[str, Choices]
) -> Callable[[Context], api.Plan]:
    """A dry run for some sessions, or for all that have one right answer."""
    return lambda context: api.plan(
        store, session_ids, choices=choices, progress=context.progress, should_cancel=context.should_cancel
    )


@dataclass(frozen=True, slots=True)
class Rest:
    """What was confirmed, and waits until the WebUI stops: ``sessions`` as they are to be written, of a repair of
    ``session_ids`` (None for all) with ``choices``. ``how_to_stop``: the WebUI, in words.
    """

    store: Store
    session_ids: Sequence[str] | None
    choices: Mapping[str, Choices]
    sessions: tuple[PlannedSession, ...]
    how_to_stop: str


def plan_rest(rest: Rest) -> Callable[[Context], api.Plan]:
    """A dry run of what waited. It holds what would be written exactly as it was confirmed; all else of it is refused,
    or still forbidden.
    """

    def work(context: Context) -> api.Plan:
        plan = plan_repair(rest.store, rest.session_ids, rest.choices)(context)
        confirmed = {each.session_id: (each.before, each.after) for each in rest.sessions}
        same = tuple(s for s in plan.sessions if confirmed.get(s.session_id) == (s.before, s.after))
        forbidden = tuple(each for each in plan.forbidden if each.session_id in confirmed)
        done = {each.session_id for each in (*same, *forbidden)}
        refused = {sid: plan.refused.get(sid, OUTDATED) for sid in confirmed if sid not in done}
        return replace(plan, sessions=same, forbidden=forbidden, refused=refused, questions=())

    return work


def plan_copy(store: Store, session_id: str, choices: Choices | None) -> Callable[[Context], api.Plan]:
    """A dry run of restoring a session under a new id."""
    return lambda context: api.copy_plan(
        store, session_id, choices, progress=context.progress, should_cancel=context.should_cancel
    )


def plan_import(store: Store, files: Sequence[Path]) -> Callable[[Context], api.Plan]:
    """A dry run of bringing in what files add, which are among the further places of the store."""
    return lambda context: api.import_plan(store, files, progress=context.progress, should_cancel=context.should_cancel)


def run_repair(plan: api.Plan) -> Callable[[Context], api.Result]:
    """Carry out a plan. What comes back into the session list alone counts too, when that is built at the end."""

    def work(context: Context) -> api.Result:
        def progress(done: float, total: int) -> None:
            context.progress(done, total + len(plan.relisted))

        return api.apply(plan, progress=progress, should_cancel=context.should_cancel)

    return work


def run_undo(store: Store, run_id: str, session_id: str | None) -> Callable[[Context], vault.UndoResult]:
    """Put back a run or one session of it."""
    return lambda _: api.undo(store, run_id, session_id)


def leave_session(store: Store, session_id: str, *, is_left: bool) -> Callable[[Context], object]:
    """Leave a session as it is, or have it counted again."""
    return lambda _: api.leave(store, session_id) if is_left else api.take_back_leave(store, session_id)


def check_undo(store: Store, run_id: str) -> Callable[[Context], dict[str, str]]:
    """Why an undo of a run would be refused now, for each session where it would be."""

    def work(context: Context) -> dict[str, str]:
        refusals = {}
        run = Vault.of(store).read_run(run_id)
        for session_id, reason in Vault.of(store).undo_refusals(run):
            if context.should_cancel():
                raise Cancelled
            if reason is not None:
                refusals[session_id] = reason
        return refusals

    return work


def compare_versions(left: diff.Version, right: diff.Version) -> Callable[[Context], Comparison]:
    """What differs between two versions of a session."""

    def work(_: Context) -> Comparison:
        found = diff.compare(left, right)
        return Comparison(outlined(found.messages), found.fields, (raw_lines(left), raw_lines(right)))

    return work


def suggested_name(
    store: Store, session_id: str, form: str, name: str, choices: Mapping[str, Choices]
) -> Callable[[Context], str]:
    """The name of the file that a copy of a session would have. Raises RescueError where there is no such copy."""

    def work(context: Context) -> str:
        copies = exports.read_copies(
            store,
            (session_id,),
            name,
            choices=choices,
            progress=context.progress,
            should_cancel=context.should_cancel,
        )
        for found, _ in copies:
            if isinstance(found, exports.Copy):
                return exports.file_name(found, form)
            raise RescueError(found.reason)
        raise AssertionError(session_id)

    return work


def save_copies(
    store: Store, session_ids: Sequence[str], form: str, name: str, choices: Mapping[str, Choices], target: Path
) -> Callable[[Context], exports.Exported]:
    """Save one copy of each session; that a file of one is replaced was agreed to."""
    return lambda context: exports.export(
        store,
        session_ids,
        form,
        target,
        name,
        overwrite=len(session_ids) == 1,
        choices=choices,
        print_page=conversation_pdf.pdf_of,
        progress=context.progress,
        should_cancel=context.should_cancel,
    )


def write_report(store: Store, audit: Audit | None, run_id: str | None, wanted: Wanted) -> Callable[[Context], Path]:
    """Write the report of a run, or else of the audit, to a file; one that is there was agreed to be replaced, unless
    it is one of Hermes' own.
    """

    def work(context: Context) -> Path:
        made = _run_report(store, run_id, wanted, context) if run_id else _audit_report(audit, wanted, context)
        data = pdf_of(made) if wanted.form == PDF else report.render(made, wanted.form).encode("utf-8", "replace")
        if context.should_cancel():
            raise Cancelled
        exports.require_foreign(store, wanted.path)
        files.write(wanted.path, data, overwrite=True)
        return wanted.path

    return work


def _run_report(store: Store, run_id: str, wanted: Wanted, context: Context) -> report.Report:
    run = Vault.of(store).read_run(run_id)
    if wanted.session_ids:
        run = run.only(wanted.session_ids)
    details = excerpts.of_run(
        store, run, with_texts=wanted.texts, progress=context.progress, should_cancel=context.should_cancel
    )
    return report.run_report(run, details, home=store.home, is_anonymous=wanted.is_anonymous)


def _audit_report(audit: Audit | None, wanted: Wanted, context: Context) -> report.Report:
    assert audit is not None
    if wanted.session_ids:
        audit = audit.only(wanted.session_ids)
    details = excerpts.of_audit(
        audit, with_texts=wanted.texts, progress=context.progress, should_cancel=context.should_cancel
    )
    return report.audit_report(audit, details, is_anonymous=wanted.is_anonymous)
