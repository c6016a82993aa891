"""The command ``import`` of the terminal front."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from hermes_rescue.core.terminal.call import Call, on_a_store, place
from hermes_rescue.core.terminal.commands import (
    app,
    json_option,
    yes_option,
)
from hermes_rescue.core.terminal.repairs import carry_out, repair_view

if TYPE_CHECKING:
    from hermes_rescue.core.repair.plan import Plan


@app.command("import")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=place,
    metavar="FILE...",
    help="Exports, session files, folders, databases, archives: whatever --also takes.",
)
@click.option("--dry-run", is_flag=True, help="Show the plan, change nothing.")
@yes_option
@click.option("--force", is_flag=True, help="Replace files although Hermes WebUI is running (see repair).")
@json_option
@on_a_store
def import_(call: Call, *, files: tuple[Path, ...], dry_run: bool, yes: bool, force: bool, as_json: bool) -> int:
    """Put sessions from files back under their own ids: created, or merged into what is there. Can be undone."""
    from hermes_rescue.core.repair.importing import import_plan
    from hermes_rescue.core.terminal.choose import require_answer

    require_answer(as_json=as_json, is_quiet=call.is_quiet, yes=yes or dry_run)
    call = replace(call, also=(*call.also, *files))
    store, view = call.find_store(), repair_view(call)
    with view.progress("Reading files") as progress:
        plan = _unasked(import_plan(store, files, force=force, progress=progress))
    status = carry_out(plan, view, as_json=as_json, yes=yes, dry_run=dry_run, verb="Import")
    if plan.is_empty and plan.refused and not as_json:
        view.line(f"What stays out, and how to take it: {view.command('show', next(iter(plan.refused)))}")
    return status


def _unasked(plan: Plan) -> Plan:
    """A plan in which the sessions that need a decision wait for it: an old home has those that were deleted, too."""
    from hermes_rescue.core.repair.planned import waiting

    asked = waiting(plan.sessions)
    sessions = tuple(each for each in plan.sessions if each.session_id not in asked)
    return replace(plan, sessions=sessions, questions=(*plan.questions, *sorted(asked)))
