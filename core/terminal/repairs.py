"""The commands ``repair``, ``undo``, ``leave`` and ``history`` of the terminal front."""

from __future__ import annotations

import sys
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

import click
from hermes_rescue.core.base.errors import RescueError
from hermes_rescue.core.base.words import counted
from hermes_rescue.core.terminal import stops, streams
from hermes_rescue.core.terminal.call import Call, again, on_a_store
from hermes_rescue.core.terminal.commands import (
    NOTHING_LEFT,
    REMAINS,
    USAGE,
    _confirm,
    _fail,
    _print_json,
    app,
    json_option,
    session_argument,
    yes_option,
)

if TYPE_CHECKING:
    from hermes_rescue.core import api
    from hermes_rescue.core.terminal.repair_view import RepairView


SHOWN_RUNS = 20
"""Runs that ``history`` shows where not all are asked for: each has to be read, and there can be thousands."""


@app.command()
@click.argument(
    "sids", nargs=-1, metavar="[SID]...", help="Sessions to repair. Naming a session also confirms its open questions."
)
@click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="NAME=COPY",
    help="Take a field from a copy, as show lists them; repeatable.",
)
@click.option(
    "--include",
    multiple=True,
    metavar="NUMBERS",
    help="Add messages that would be left out (numbers as in show): 3,7-9.",
)
@click.option(
    "--exclude", multiple=True, metavar="NUMBERS", help="Drop messages that would be kept (numbers as in diff)."
)
@click.option(
    "--proposal",
    default="",
    metavar="ID",
    help="The proposal that the numbers are from, as show and diff print it; if the copies have changed since,"
    " nothing is written.",
)
@click.option(
    "--as-copy",
    is_flag=True,
    help="Restore one session under a new id, as a copy beside it, which itself stays as it is.",
)
@click.option("--all", "everything", is_flag=True, help="Every session that has one right answer.")
@click.option("--dry-run", is_flag=True, help="Show the plan, change nothing.")
@yes_option
@click.option(
    "--force",
    is_flag=True,
    help="Replace files although Hermes WebUI is running: what it saves afterwards can undo the repair.",
)
@click.option(
    "--when-stopped",
    is_flag=True,
    help="Then wait until Hermes WebUI stops, and repair what could not be repaired beside it.",
)
@json_option
@on_a_store
def repair(
    call: Call,
    *,
    sids: tuple[str, ...],
    fields: tuple[str, ...],
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    proposal: str,
    as_copy: bool,
    everything: bool,
    dry_run: bool,
    yes: bool,
    force: bool,
    when_stopped: bool,
    as_json: bool,
) -> int:
    """Repair sessions. Shows the plan and asks; what is replaced is kept and can be undone."""
    from hermes_rescue.core import api
    from hermes_rescue.core.merge.choices import Choices
    from hermes_rescue.core.terminal.choose import choices_of, require_answer
    from hermes_rescue.core.terminal.names import sessions_named
    from hermes_rescue.core.terminal.waiting import repair_the_rest

    if bool(sids) == everything:
        _fail("Name the sessions to repair, or give --all.", USAGE)
    choices = choices_of(fields, include, exclude, proposal)
    has_chosen = choices != Choices()
    if has_chosen and len(set(sids)) != 1:
        _fail("--field, --include, --exclude and --proposal are for one session. Name it.", USAGE)
    if as_copy and (len(set(sids)) != 1 or when_stopped or force):
        _fail("--as-copy is for one session, and needs neither --force nor --when-stopped. Name it.", USAGE)
    if when_stopped and (as_json or dry_run):
        _fail("--when-stopped prints its progress; it cannot be used with --json or --dry-run.", USAGE)
    require_answer(as_json=as_json, is_quiet=call.is_quiet, yes=yes or dry_run)
    store, view = call.find_store(), repair_view(call)
    ids = sessions_named(call, store, sids)

    def planned() -> api.Plan:
        with view.progress("Checking sessions") as progress:
            if as_copy:
                return api.copy_plan(store, ids[0], choices, progress=progress, should_cancel=stops.is_requested)
            return api.plan(
                store,
                None if everything else ids,
                choices={ids[0]: choices} if has_chosen else None,
                force=force,
                prepare=not dry_run,
                progress=progress,
                should_cancel=stops.is_requested,
            )

    plan = planned()
    status = carry_out(plan, view, as_json=as_json, yes=yes, dry_run=dry_run)
    return repair_the_rest(plan, status, planned, view, yes=yes) if when_stopped else status


def carry_out(
    plan: api.Plan, view: RepairView, *, as_json: bool, yes: bool, dry_run: bool, verb: str = "Repair"
) -> int:
    """Show a plan, ask, and apply it. ``verb``: what is asked to be done with its sessions."""
    from hermes_rescue.core.report.report import plan_json

    if not as_json:
        view.plan(plan)
    if plan.is_empty or dry_run:
        if not dry_run:
            _hold_up(plan)
        if as_json:
            _print_json(plan_json(plan))
        return REMAINS if plan.remaining or plan.problem or not plan.is_empty else NOTHING_LEFT
    if not yes:
        _confirm(view.question(plan, verb))
    with stops.held(f"Stopped. What was {plan.done} until then stays. The rest: {again()}"):
        return _carried_out(plan, view, as_json=as_json)


def _hold_up(plan: api.Plan) -> None:
    """Have remembered what a running WebUI forbids, where it forbids all of it."""
    from hermes_rescue.core import api

    with suppress(RescueError, OSError):
        api.apply(plan)


def _carried_out(plan: api.Plan, view: RepairView, *, as_json: bool) -> int:
    """Carry out a plan, and report what came of it, whoever reads it."""
    from hermes_rescue.core import api
    from hermes_rescue.core.report.report import result_json

    try:
        with view.progress("Importing" if plan.done is api.Done.IMPORTED else "Repairing") as progress:
            result = api.apply(plan, progress=progress, should_cancel=stops.is_requested)
    except api.RunBrokenError as error:
        raise RescueError(view.broken(error, again())) from error
    if as_json:
        _print_json(result_json(plan, result))
    else:
        view.result(plan, result)
    if result.cancelled:
        _fail(view.stopped(result, again()), stops.status())
    n = result.count(api.State.REPAIRED)
    all_of_them = counted(len(plan.sessions), "session was", "sessions were")
    _announce_unread(f"{n} of {all_of_them} {plan.done}. Undo: {view.command('undo', str(result.run_id))}")
    return REMAINS if plan.remaining or n < len(plan.sessions) else NOTHING_LEFT


def _announce_unread(text: str) -> None:
    """What was done, for the person who sees stderr only: the output had an end before that."""
    sys.stdout.flush()
    if streams.problem_of(sys.stdout) is not None:
        from hermes_rescue.core.terminal.prose import announce

        announce(f"The output was cut off. {text}")


@app.command()
@click.argument("run", required=False, metavar="[RUN]", help="The run to undo (default: the newest).")
@click.option("--session", metavar="SID", help="Undo only this session.")
@yes_option
@click.option(
    "--force",
    is_flag=True,
    help="Put files back although Hermes WebUI is running: what it saves afterwards can undo that.",
)
@json_option
@on_a_store
def undo(call: Call, *, run: str | None, session: str | None, yes: bool, force: bool, as_json: bool) -> int:
    """Put back what a repair changed. Refused, with the reason, where a file has changed since."""
    from hermes_rescue.core import api
    from hermes_rescue.core.hermes.webui_status import webui_status
    from hermes_rescue.core.repair.vault import Vault
    from hermes_rescue.core.terminal import names
    from hermes_rescue.core.terminal.choose import require_answer

    require_answer(as_json=as_json, is_quiet=call.is_quiet, yes=yes)
    store, view = call.find_store(), repair_view(call)
    if run is None:
        last = next((each for each in Vault.of(store).runs() if each.problem or api.undoable([each])), None)
        if last is None:
            if as_json:
                _print_json({"run": None, "undone": [], "refused": {}})
            else:
                view.line("There is nothing to undo.")
            return NOTHING_LEFT
        run = last.run_id
    chosen = Vault.of(store).read_run(names.run_named(call, store, run))
    if session is not None:
        session = names.session_of_run(call, chosen, session)
    if not yes:
        _confirm(view.undo_question(chosen, session))
    with stops.held(f"Stopped. What was put back until then stays. See: {view.command('history')}"):
        result = api.undo(store, chosen.run_id, session, force=force, should_cancel=stops.is_requested)
        if as_json:
            _print_json({"run": result.run_id, "undone": list(result.undone), "refused": dict(result.refused)})
        else:
            view.undone(result)
            if force and result.undone and webui_status(store).running:
                view.restart("what was put back")
        if result.left:
            words = [word for word in sys.argv[1:] if word != run]
            words.insert(words.index("undo") + 1, result.run_id)
            _fail(view.undo_stopped(result, again(words)), stops.status())
        _announce_unread(f"{counted(len(result.undone), 'session was', 'sessions were')} put back.")
    return REMAINS if result.refused or result.index_problem else NOTHING_LEFT


@app.command()
@session_argument
@click.option("--forget", is_flag=True, help="Take that back: the session counts again.")
@json_option
@on_a_store
def leave(call: Call, *, sid: str, forget: bool, as_json: bool) -> int:
    """Leave a session as it is: it counts no more until one of its copies changes. Nothing of it is changed."""
    from hermes_rescue.core import api
    from hermes_rescue.core.terminal.names import session_named

    store, view = call.find_store(), repair_view(call)
    sid = session_named(call, store, sid)
    left = None if forget else api.leave(store, sid)
    has_changed = left is not None or api.take_back_leave(store, sid)
    if as_json:
        _print_json({"session_id": sid, "left": left is not None, "changed": has_changed})
    elif left is not None:
        view.left(left)
    else:
        view.taken_back(sid, was_left=has_changed)
    return NOTHING_LEFT


@app.command()
@click.option("--all", "everything", is_flag=True, help=f"Every repair, not only the newest {SHOWN_RUNS}.")
@json_option
@on_a_store
def history(call: Call, *, everything: bool, as_json: bool) -> int:
    """List the repairs that were made. Changes nothing."""
    from hermes_rescue.core.repair.vault import Vault
    from hermes_rescue.core.report.report import run_report

    store = call.find_store()
    kept = Vault.of(store)
    n = len(kept.run_ids())
    runs = list(islice(kept.runs(), n if everything or as_json else SHOWN_RUNS))
    if as_json:
        _print_json({"runs": [dict(run_report(run, home=store.home).facts) for run in runs]})
    else:
        repair_view(call).history(runs, older=n - len(runs))
    return NOTHING_LEFT


def repair_view(call: Call) -> RepairView:
    """What shows plans, results and past repairs of the store of a call."""
    from hermes_rescue.core.terminal.repair_view import RepairView

    return RepairView(call)
