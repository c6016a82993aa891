"""The jobs that may change a store, each a core function with the window's progress and cancel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from core import files, report, vault
from core import repair as repairs
from core.audit import Audit
from core.proposal import Choices
from core.store import Store
from gui.jobs import Context


def plan_repair(
    store: Store, session_ids: Sequence[str] | None, choices: Mapping[str, Choices]
) -> Callable[[Context], repairs.Plan]:
    """A dry run for some sessions, or for all that have one right answer."""
    return lambda context: repairs.plan(
        store, session_ids, choices=choices, progress=context.progress, should_cancel=context.should_cancel
    )


def run_repair(plan: repairs.Plan) -> Callable[[Context], repairs.Result]:
    """Carry out a plan."""
    return lambda context: repairs.apply(plan, progress=context.progress, should_cancel=context.should_cancel)


def run_undo(store: Store, run_id: str, session_id: str | None) -> Callable[[Context], vault.UndoResult]:
    """Put back a run or one session of it."""
    return lambda _: repairs.undo(store, run_id, session_id)


def write_report(
    store: Store, audit: Audit | None, run_id: str | None, form: str, path: Path
) -> Callable[[Context], Path]:
    """Write the report of a run, or else of the audit, to a file; one that is there was agreed to be replaced."""

    def work(_: Context) -> Path:
        if run_id is not None:
            made = report.run_report(vault.read_run(store.vault_root, run_id))
        else:
            assert audit is not None
            made = report.audit_report(audit)
        data = report.render(made, form).encode("utf-8", "replace")
        there = files.look(path)
        if there is None:
            files.create_exclusive(path, data, mode=0o600)
        else:
            files.replace_if_unchanged(path, data, there.digest)
        return path

    return work
