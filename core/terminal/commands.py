"""The terminal front: every command of the engine. ``hermes-rescue --help`` lists them.

Exit status: 0 nothing (left) to do, 1 findings or differences remain, 2 wrong usage, 3 it could not be done (one line
on stderr says why and what to do), 129, 130, 143 stopped by SIGHUP, SIGINT (Ctrl+C), SIGTERM.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from hermes_rescue.core.base.errors import RescueError, UnknownSessionError, VaultError
from hermes_rescue.core.base.private_folder import sweep
from hermes_rescue.core.base.words import counted
from hermes_rescue.core.terminal import saving, stops, streams
from hermes_rescue.core.terminal.call import Call, again, named, on_a_store, place
from hermes_rescue.core.terminal.help import Commands

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hermes_rescue.core.audit.findings import SessionAudit
    from hermes_rescue.core.audit.store_audit import Audit
    from hermes_rescue.core.hermes.copies import SessionCopies
    from hermes_rescue.core.hermes.store import Store
    from hermes_rescue.core.merge.proposal import Proposal
    from hermes_rescue.core.repair.run_record import Run
    from hermes_rescue.core.terminal.session_view import SessionView
    from hermes_rescue.core.terminal.view import View

NOTHING_LEFT, REMAINS, USAGE, FAILED = 0, 1, 2, 3

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
session_argument = click.argument(
    "sid", metavar="SID", help="A session: its id (the name of its file), how the id begins, or its title."
)


def _print_version(context: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if is_asked:
        from hermes_rescue.core.base.program import NAME, version

        print(NAME, version())
        context.exit()


@click.group(
    "hermes-rescue",
    cls=Commands,
    epilog="Exit status: 0 nothing (left) to do, 1 findings or differences remain, 2 wrong usage, 3 it could not be"
    " done, 130 stopped by Ctrl+C (129 by a closed terminal, 143 by SIGTERM).",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version",
    is_flag=True,
    help="Print the version.",
    is_eager=True,
    expose_value=False,
    callback=_print_version,
)
def app() -> None:
    """Find and repair damaged Hermes sessions: merged from every copy, verified, undoable."""


def main() -> None:
    """Run the command line; always ends in SystemExit, never in a traceback."""
    from hermes_rescue.core.terminal import about as about
    from hermes_rescue.core.terminal import export as export
    from hermes_rescue.core.terminal import find as find
    from hermes_rescue.core.terminal import importing as importing
    from hermes_rescue.core.terminal import listing as listing
    from hermes_rescue.core.terminal import repairs as repairs
    from hermes_rescue.core.terminal import vault as vault
    from hermes_rescue.core.terminal import watch as watch

    with streams.safe():
        try:
            with stops.watched():
                _run()
        except stops.Stopped:  # also where the watch begins or ends
            _fail(stops.sentence(), stops.status())


def _run() -> None:
    try:
        sweep()
        status = app(sys.argv[1:] or ["--help"], standalone_mode=False)
        _end(status if isinstance(status, int) else NOTHING_LEFT)
    except RescueError as error:
        _fail(str(error))
    except (KeyboardInterrupt, click.Abort):
        _fail(stops.sentence(), stops.status())
    except Exception as error:
        _unexpected(error)


def _end(status: int) -> None:
    sys.stdout.flush()
    problem = streams.problem_of(sys.stdout)
    if problem is not None and not isinstance(problem, BrokenPipeError):  # else whoever read has seen enough
        place = problem.filename or "standard output"
        _fail(f"The output could not be written to {place}: {problem.strerror}.")
    raise SystemExit(status)


def _fail(text: str, status: int = FAILED) -> None:
    from hermes_rescue.core.terminal.prose import announce

    announce(text, status)
    raise SystemExit(status)


def _unexpected(error: Exception) -> None:
    from hermes_rescue.core.audit.workers import Cancelled

    if isinstance(error, click.ClickException):
        text = error.format_message()
        _fail(f"{text if text.endswith(('.', '?')) else text + '.'} See: {_help_on(error)}", USAGE)
    if isinstance(error, Cancelled) or stops.is_ending():
        _fail(stops.sentence(), stops.status())
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        _fail(f"{place}{error.strerror or error}. Check the place and its rights, then try again.")
    if os.environ.get("HERMES_RESCUE_DEBUG"):
        raise error
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace is not None else "?"
    _fail(f"An error of this program ({type(error).__name__} at {where}). HERMES_RESCUE_DEBUG=1 shows it in full.")


def _help_on(error: Exception) -> str:
    """The command that says how what was typed wrongly is typed."""
    words, context = ["--help"], getattr(error, "ctx", None)
    while context is not None and context.parent is not None:
        words.insert(0, context.info_name)
        context = context.parent
    return again(words)


@app.command()
@json_option
@click.option("--no-cache", is_flag=True, help="Ignore the cache and read everything again.")
@click.option(
    "--metrics",
    type=named,
    metavar="FILE",
    help="Also write the totals as metrics for Prometheus; the file's name says which store it is."
    " - prints them, and nothing else.",
)
@on_a_store
def audit(call: Call, *, as_json: bool, no_cache: bool, metrics: str | None) -> int:
    """List what is wrong with the sessions of a store. Changes nothing."""
    from hermes_rescue.core.audit.findings import Category
    from hermes_rescue.core.terminal.prose import announce

    if as_json and metrics == saving.STDOUT:
        _fail("--json and --metrics - both print. Name a file for the metrics.", USAGE)
    store, view = call.find_store(), _view(call)
    found = _audited(view, store, is_cached=not no_cache)
    if metrics is not None:
        saving.save_metrics(found, time.time(), metrics)
    if as_json:
        from hermes_rescue.core.report.report import audit_json

        _print_json(audit_json(found))
    elif metrics != saving.STDOUT:
        try:
            interrupted = _interrupted(store)
        except VaultError as error:  # no more than that cannot be known
            interrupted = ()
            announce(str(error))
        view.audit(found, interrupted)
    return REMAINS if any(f.category is not Category.INFO for f in found.findings) else NOTHING_LEFT


@app.command()
@session_argument
@json_option
@on_a_store
def show(call: Call, *, sid: str, as_json: bool) -> int:
    """Show one session: its copies, what is wrong, what a repair gives back and what it leaves out. Changes nothing."""
    from hermes_rescue.core.audit.findings import Category
    from hermes_rescue.core.terminal.names import session_named

    store = call.find_store()
    with _examined(call, store, session_named(call, store, sid)) as (audited, copies, proposal):
        if as_json:
            from hermes_rescue.core.report.report import session_json

            _print_json(session_json(audited, copies, proposal))
        else:
            _session_view(call).session(audited, copies, proposal)
        return REMAINS if any(f.category is not Category.INFO for f in audited.findings) else NOTHING_LEFT


@app.command()
@session_argument
@click.option(
    "--from",
    "left",
    metavar="COPY",
    help="live (default), backup, temp, database, run journal, index or recovered; with --run: before (what an"
    " undo puts back; default), after (what the run left) or now.",
)
@click.option("--to", "right", metavar="COPY", help="The same; the other side (default: recovered; with --run: now).")
@click.option("--run", metavar="RUN", help="Compare the session around a run (see history).")
@click.option("--full", is_flag=True, help="Show whole texts, and unchanged messages too.")
@json_option
@on_a_store
def diff(
    call: Call, *, sid: str, left: str | None, right: str | None, run: str | None, full: bool, as_json: bool
) -> int:
    """Show what differs between two copies of a session: messages, fields, words. Changes nothing."""
    from hermes_rescue.core.report import diff as differences
    from hermes_rescue.core.terminal import names

    store = call.find_store()
    notes: tuple[str, ...] = ()
    if run is not None:
        from hermes_rescue.core.repair.vault import Vault
        from hermes_rescue.core.report.history import History

        done = Vault.of(store).read_run(names.run_named(call, store, run))
        sid = names.session_of_run(call, done, sid)
        past = History(store, done).versions(sid)
        known, notes, proposal = past.versions, past.notes, None
        pair = (left or past.pair[0], right or past.pair[1])
    else:
        sid = names.session_named(call, store, sid)
        pair = (left or "live", right or "recovered")
        with _examined(call, store, sid) as (_, copies, proposal):
            known = {"live": differences.Version("live", (), {}), **differences.versions(copies, proposal, pair)}
    for name in pair:
        if name not in known:
            raise RescueError(f"This session has no copy '{name}'. It has: {', '.join(known)}.")
    found = differences.compare(known[pair[0]], known[pair[1]], proposal)
    proposed = proposal if pair == ("live", "recovered") else None
    if proposed is not None:  # with the numbers of the messages, to choose by
        reviewed = differences.review(known["live"], proposed)
        shown = tuple(row for row in reviewed if row.change is not differences.Change.LEFT_OUT)
        found = dataclasses.replace(found, messages=shown)
    if as_json:
        from hermes_rescue.core.report.report import difference_json

        _print_json(difference_json(sid, found))
    else:
        view = _session_view(call)
        view.difference(found, full=full, notes=notes)
        if proposed is not None and found.messages:
            view.how_to_choose(sid, proposed, ("--include NUMBERS", "--exclude NUMBERS"))
    return NOTHING_LEFT if found.is_empty else REMAINS


@app.command()
@click.argument("run", required=False, metavar="[RUN]", help="A run (see history); without it: an audit of now.")
@click.option(
    "--format", "given_form", metavar="json|md|html", help="The form of the report (default: as -o FILE ends, else md)."
)
@click.option(
    "--texts",
    is_flag=True,
    help="Add what was said: the messages that a repair brings back or leaves out, or that the run changed.",
)
@click.option(
    "--sid",
    "sids",
    multiple=True,
    metavar="SID",
    help="Only this session, by its id or title; can be given more than once.",
)
@click.option("--anonymous", is_flag=True, help="Without any title, id or path, for a place where everybody reads it.")
@click.option("--output", "-o", type=place, metavar="FILE", help="Write it to a file instead of the terminal.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it is there.")
@on_a_store
def report(
    call: Call,
    *,
    run: str | None,
    given_form: str | None,
    texts: bool,
    sids: tuple[str, ...],
    anonymous: bool,
    output: Path | None,
    overwrite: bool,
) -> int:
    """Report what was found, or what a run did; without any message text unless --texts asks for them."""
    from hermes_rescue.core.repair.vault import Vault
    from hermes_rescue.core.report import excerpts
    from hermes_rescue.core.report.report import FORMATS, audit_report, render, run_report
    from hermes_rescue.core.terminal import names

    form = saving.form_of(given_form, output, (*FORMATS, "pdf"))
    if anonymous and texts:
        _fail("--anonymous leaves out every text, so --texts cannot be given with it.", USAGE)
    if form == "pdf":
        _fail("The window makes the PDF: hermes-rescue-gui, then Export report. Here: --format html, to print.", USAGE)
    if form not in FORMATS:
        _fail(f"--format is one of: {', '.join(FORMATS)}.", USAGE)
    store, view = call.find_store(), _view(call)
    asked = dataclasses.replace(call, is_quiet=call.is_quiet or anonymous)  # which session is meant is not shown
    if run is not None:
        done = Vault.of(store).read_run(names.run_named(asked, store, run))
        if sids:
            done = done.only([names.session_of_run(asked, done, sid) for sid in sids])
        with view.progress("Reading sessions") as progress:
            details = excerpts.of_run(store, done, with_texts=texts, progress=progress)
        made = run_report(done, details, home=store.home, is_anonymous=anonymous)
    else:
        only = names.sessions_named(asked, store, sids)
        found = _audited(view, store)
        if only:
            found = found.only(only)
        with view.progress("Reading sessions") as progress:
            details = excerpts.of_audit(found, with_texts=texts, progress=progress)
        made = audit_report(found, details, is_anonymous=anonymous)
    text = render(made, form)
    if output is None or str(output) == saving.STDOUT:
        sys.stdout.write(text)
    else:
        saving.save(store, output, text, overwrite=overwrite)
    return NOTHING_LEFT


@app.command()
@click.argument("folder", type=place, metavar="DIR", help="A new or empty folder.")
@json_option
def demo(*, folder: Path, as_json: bool) -> int:
    """Make a damaged store to try everything on."""
    from hermes_rescue.core.demo.demo_store import make_demo_store

    made = make_demo_store(folder)
    if as_json:
        _print_json({"home": str(made.home), "sessions": len(made.stories)})
        return NOTHING_LEFT
    print(f"{counted(len(made.stories), 'session is', 'sessions are')} in {made.home}. Look at them with:")
    print(Call(made.home).command("audit"))
    return NOTHING_LEFT


def _view(call: Call) -> View:
    from hermes_rescue.core.terminal.view import View

    return View(call)


def _session_view(call: Call) -> SessionView:
    from hermes_rescue.core.terminal.session_view import SessionView

    return SessionView(call)


def _interrupted(store: Store) -> tuple[Run, ...]:
    """The repairs that were interrupted. Where nothing was ever repaired, what reads them is not loaded. Raises
    VaultError.
    """
    try:
        store.vault_root.lstat()
    except FileNotFoundError:
        return ()
    except OSError:
        pass  # the vault finds it too, and says it in a sentence
    from hermes_rescue.core.repair.vault import Vault

    return Vault.of(store).open_runs()


def _audited(view: View, store: Store, *, is_cached: bool = True) -> Audit:
    """What is found in a store; ``is_cached``: with what the last audit kept."""
    from hermes_rescue.core.audit.cache import AuditCache, usual_folder
    from hermes_rescue.core.audit.store_audit import audit

    cache = AuditCache(store, usual_folder() if is_cached else None)
    with view.progress("Checking sessions") as progress:
        return audit(store, cache=cache, progress=progress, should_cancel=stops.is_requested)


@contextmanager
def _examined(call: Call, store: Store, sid: str) -> Iterator[tuple[SessionAudit, SessionCopies, Proposal]]:
    from hermes_rescue.core.audit.marker import marker
    from hermes_rescue.core.audit.session import examine
    from hermes_rescue.core.base.progress import Steps
    from hermes_rescue.core.hermes.inventory import Inventory
    from hermes_rescue.core.hermes.webui_status import webui_status

    with Inventory(store, only=(sid,)) as inventory:
        with _view(call).progress("Reading the session") as progress:
            steps = Steps(lambda done: progress(done, 1))
            is_known = sid in inventory.session_ids()
            webui = webui_status(store)
            found = examine(inventory, webui, sid, steps=steps) if is_known else None
        if found is None or found.audited is None:
            raise RescueError(f"{UnknownSessionError((sid,), store.sessions_dir)} See: {call.command('audit')}")
        yield marker(inventory, webui)(found.audited), found.copies, found.proposal


def _confirm(question: str) -> None:
    try:
        agreed = click.confirm(question, default=False)
    except click.Abort:
        raise RescueError(
            "Nothing was changed: there was no answer. Give --yes to go on without being asked."
        ) from None
    if not agreed:
        raise RescueError("Nothing was changed.")


def _print_json(facts: Mapping[str, Any]) -> None:
    from hermes_rescue.core.report.report import answer_of

    print(answer_of(facts))
