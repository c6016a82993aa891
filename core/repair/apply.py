"""Apply, verify, undo: the only part of the engine that changes a store (through :mod:`core.repair.vault`).

Applying a plan (:mod:`core.repair.plan`) merges each session again, unless nothing that the plan read of it has changed
(:mod:`core.repair.prepared`), and writes only if what the file was and what it is to be are still so; each result is
read back from disk, and what cannot be read is rolled back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
from hermes_rescue.core.audit import written_over
from hermes_rescue.core.audit.session import merge_session
from hermes_rescue.core.audit.workers import Progress
from hermes_rescue.core.audit.written_over import Brought
from hermes_rescue.core.base import files
from hermes_rescue.core.base.errors import ChangedMeanwhileError, RescueError, UnreadableError
from hermes_rescue.core.base.owner import require_owner
from hermes_rescue.core.base.progress import Cancelled, Steps
from hermes_rescue.core.hermes import held_up, journals
from hermes_rescue.core.hermes.copies import SessionCopies
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.left_out import Act
from hermes_rescue.core.hermes.sidecar import Write, plan_writes, serialise
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.hermes.webui_status import WebUIStatus, webui_status
from hermes_rescue.core.merge.lasting import is_believed
from hermes_rescue.core.merge.proposal import Proposal
from hermes_rescue.core.merge.sidecar_copies import session_of
from hermes_rescue.core.repair import rebuild_index, vault
from hermes_rescue.core.repair.as_copy import copied
from hermes_rescue.core.repair.outcomes import Outcome, Result, RunBrokenError, State
from hermes_rescue.core.repair.plan import Plan, interrupted_runs, left_out_act, refusal_of, to_write, unnoticed
from hermes_rescue.core.repair.planned import PlannedSession
from hermes_rescue.core.repair.rebuild_index import NO_ROWS, KnownRow
from hermes_rescue.core.repair.run_record import Operation, Run
from hermes_rescue.core.repair.together import Together
from hermes_rescue.core.repair.vault import UndoResult, Vault

_COPY_CHANGED = "A copy of the session has changed since the plan was made. Look at it again."

_AT_A_TIME = 8
_SMALL = 4 << 20
"""Sessions that are written at the same time, and the most bytes of each that are read and written for that."""

_STEP = 0.3
"""The share of what is left to do for a session that merging it takes, and each write, about."""


def apply(plan: Plan, *, progress: Progress | None = None, should_cancel: Callable[[], bool] | None = None) -> Result:
    """Carry out a plan. Cancelling takes effect before anything of a session is written; what is done stays and can be
    undone.

    Raises BusyError where another Hermes Rescue works on the store, VaultError where nothing can be kept;
    RunBrokenError where the run could not go on.
    """
    if plan.is_empty and not plan.held_up:
        return Result(None, (), index_rebuilt=False)
    require_owner(plan.store.folders)
    if plan.is_empty:
        with Vault.of(plan.store).lock():
            _remember_held_up(plan, ())
        return Result(None, (), index_rebuilt=False)
    webui = webui_status(plan.store)  # it may have been started since the plan was made
    work = _Work(plan, webui, progress, should_cancel)
    plan.store.sessions_dir.mkdir(parents=True, exist_ok=True)  # where all sessions are lost, their folder may be too
    try:
        return _carried_out(work)
    except (RescueError, OSError) as error:
        if work.run_id is None:
            raise
        reason = str(error) if isinstance(error, RescueError) else f"{error.strerror or error}."
        raise RunBrokenError(reason, work.run_id, work.repaired, len(plan.sessions)) from error
    finally:
        if plan.prepared is not None:
            plan.prepared.close()


@dataclass(slots=True)
class _Work:
    """A plan that is being carried out: how far it is, and who is informed and asked."""

    plan: Plan
    webui: WebUIStatus
    progress: Progress | None
    should_cancel: Callable[[], bool] | None
    run_id: str | None = None
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    brought: dict[str, Brought] = field(default_factory=dict)
    rows: dict[str, KnownRow] = field(default_factory=dict)
    is_stopped: bool = False

    @property
    def repaired(self) -> int:
        """How many sessions are written and verified."""
        return sum(outcome.state is State.REPAIRED for outcome in self.outcomes.values())

    def show(self, under_way: float) -> None:
        """Report how far the session is that is under way, from 0 to 1."""
        if self.progress is not None:
            self.progress(len(self.outcomes) + under_way, len(self.plan.sessions))

    def is_cancelled(self) -> bool:
        """Whether nothing more is to be begun."""
        self.is_stopped = self.is_stopped or (self.should_cancel is not None and self.should_cancel())
        return self.is_stopped


def _carried_out(work: _Work) -> Result:
    plan, store = work.plan, work.plan.store
    kept = Vault.of(store)
    with kept.lock(), ExitStack() as finished:
        died = [finished.enter_context(kept.finish_run(run.run_id)) for run in interrupted_runs(store)]
        made = {sid: file.after for run in reversed(died) for sid, file in _live_files(run).items()}
        wanted = {each.source for each in plan.sessions} | made.keys()
        with (
            # a database that has been damaged since is no danger: only what the plan has seen is written
            Inventory(store, plan.databases, wanted) as inventory,
            kept.begin_run(_places(store), plan.bytes_needed + _index_room(store), len(plan.sessions)) as run_,
        ):
            work.run_id = run_.run_id
            _repair_each(work, inventory, run_, made)
            outcomes = tuple(work.outcomes[planned.session_id] for planned in plan.sessions)
            written = {each.session_id for each in plan.sessions if each.is_written}
            done = [o.session_id for o in outcomes if o.state in (State.REPAIRED, State.FAILED)]
            changed = [sid for sid in done if sid in written]
            changed += made
            _move_backups(died, inventory, run_)
            new = _new_index(store, changed, plan.remaining, work.rows) if changed or plan.rebuild_index else None
            rebuilt = new is not None and _write_index(run_, new, {sid: plan.titles[sid] for sid in plan.relisted})
            has = journals.read_index(store.sessions_dir).rows.keys() if rebuilt else frozenset()
        _remember(store, work.brought)
        _remember_held_up(plan, work.brought)
        work.show(0.0)
        relisted = has - new.had - {*changed} if new is not None else ()
        return Result(run_.run_id, outcomes, rebuilt, work.is_stopped, tuple(sorted(relisted)))


def _live_files(run: Run) -> dict[str, Operation]:
    """Session id -> what a run last did to its file, where it did that whole."""
    return {
        each.session_id: each
        for each in run.operations
        if each.session_id is not None and each.path == f"{each.session_id}.json" and each.state == "done"
    }


def _move_backups(died: Iterable[Run], inventory: Inventory, run: vault.ActiveRun) -> None:
    """Move the larger backups to the vault that lie beside what a run that died had repaired, but not those that it
    made itself because a person left messages out."""
    for old_run in died:
        left = {each.path for each in old_run.operations if each.state == "done" and each.action != "remove"}
        for sid, made in _live_files(old_run).items():
            copies = inventory.copies(sid)
            live, backup = session_of(copies.live), session_of(copies.backup)
            if copies.live is None or copies.live.digest != made.after or f"{sid}.json.bak" in left:
                continue
            if not (live and backup and copies.backup) or is_believed(live, backup):
                continue
            if len(backup.messages) > len(live.messages):
                _require(run.remove(sid, copies.backup.path.name, str(copies.backup.digest), info=made.info))


def _require(operation: Operation) -> None:
    """Where this fails the run stays open, and is offered to be finished."""
    if operation.state == "failed":
        raise RescueError(f"The repair could not be completed. {operation.note} Fix this, then run the repair again.")


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A session that still is what the plan saw: what is written, and the SHA-256 of the backup that moves then.
    ``decided``: the messages that a person left out of it, or brought back, until now; ``brought``: what the file has
    then and had not before, ``row`` its row in the session list, where that is known.
    """

    writes: tuple[Write, ...]
    backup: str | None
    decided: Act | None = None
    brought: Brought | None = None
    row: Mapping[str, Any] | None = None


def _repair_each(work: _Work, inventory: Inventory, run: vault.ActiveRun, made: Mapping[str, str | None]) -> None:
    """Repair one session after the other; the small ones that need no merge are written several at a time.

    ``made``: the digests that runs which died gave to live files, maybe after the plan was made.
    """
    with Together(_AT_A_TIME) as together:
        for planned in work.plan.sessions:
            sid = planned.session_id
            if work.is_cancelled():
                work.outcomes[sid] = Outcome(sid, State.CANCELLED)
                continue
            work.show(0.0)
            ready = _from_plan(work, planned, inventory)
            if ready is not None and planned.bytes_needed <= _SMALL:
                together.begin(partial(_write, work, ready, planned, run, Steps()))
                continue
            together.finish()
            steps = Steps(work.show, work.should_cancel)
            _repair_one(work, ready, planned, inventory, run, made, steps)


def _repair_one(
    work: _Work,
    ready: _Prepared | None,
    planned: PlannedSession,
    inventory: Inventory,
    run: vault.ActiveRun,
    made: Mapping[str, str | None],
    steps: Steps,
) -> Outcome:
    """Repair a session by itself; ``ready``: as the plan prepared it."""
    prepared = ready or _prepared(work.plan, planned, inventory, work.webui, made, steps, run.run_id)
    if isinstance(prepared, Outcome):
        work.outcomes[planned.session_id] = prepared
        work.is_stopped = prepared.state is State.CANCELLED
        return prepared
    return _write(work, prepared, planned, run, steps)


def _write(work: _Work, prepared: _Prepared, planned: PlannedSession, run: vault.ActiveRun, steps: Steps) -> Outcome:
    outcome = _written(work, prepared, planned, run, steps)
    if outcome.state is State.REPAIRED and prepared.brought is not None:
        work.brought[planned.session_id] = prepared.brought
    work.outcomes[planned.session_id] = outcome
    return outcome


def _from_plan(work: _Work, planned: PlannedSession, inventory: Inventory) -> _Prepared | None:
    """What the plan prepared of a session; None where anything has changed since, or nothing was prepared."""
    ready = work.plan.prepared
    found = ready.unchanged(planned, inventory, work.webui) if ready is not None else None
    if found is None:
        return None
    draft, data = found
    brought = msgspec.structs.replace(draft.brought, at=time.time(), after=planned.after)
    write = Write(f"{planned.session_id}.json", data, planned.before)
    return _Prepared((write,), draft.backup, brought=brought, row=draft.row)


def _prepared(
    plan: Plan,
    planned: PlannedSession,
    inventory: Inventory,
    webui: WebUIStatus,
    made: Mapping[str, str | None],
    steps: Steps,
    run_id: str,
) -> _Prepared | Outcome:
    """Merge a session once more; what is to be written, or what came of it instead. Writes nothing."""
    sid = planned.session_id
    path = plan.store.sessions_dir / f"{sid}.json"
    try:
        copies, proposal = merge_session(
            inventory, webui, planned.source, plan.choices.get(planned.source), steps=steps
        )
        if planned.copy_of:
            return _prepared_copy(planned, copies, proposal)
        refusal = None if plan.force else refusal_of(copies, planned, webui)
        if refusal is not None:
            return Outcome(sid, State.SKIPPED, refusal)
        now = copies.live.digest if copies.live is not None else None
        if now is not None and now != planned.before and now == made.get(sid):
            return Outcome(sid, State.REPAIRED)
        if planned.before is None and copies.live is not None:
            return Outcome(sid, State.SKIPPED, vault.APPEARED)
        if (proposal.sidecar is None) is planned.is_written or now != planned.before:
            return Outcome(sid, State.SKIPPED, "The session has changed since the plan was made. Check it again.")
        backup = copies.backup.digest if planned.backup_moves and copies.backup is not None else None
        decided = left_out_act(proposal, plan.choices.get(sid), run_id)
        if not planned.is_written:
            return _Prepared((), backup, decided)
        live, proposed = copies.live, to_write(copies, proposal)
        del copies, proposal  # a session can be large
        writes = plan_writes(path, proposed, live)
        brought = written_over.brought(live, proposed, planned.after, time.time())
    except Cancelled:
        return Outcome(sid, State.CANCELLED)
    except (ChangedMeanwhileError, FileNotFoundError) as error:
        return Outcome(sid, State.SKIPPED, files.sentence(error, path))
    except (RescueError, OSError) as error:
        return Outcome(sid, State.FAILED, files.sentence(error, path))
    if not _are_meant(writes, planned):
        return Outcome(sid, State.SKIPPED, _COPY_CHANGED)
    return _Prepared(writes, backup, decided, brought)


def _prepared_copy(planned: PlannedSession, copies: SessionCopies, proposal: Proposal) -> _Prepared | Outcome:
    """The same for a session that is restored under a new id."""
    made = copied(copies, proposal, planned.session_id)
    if made is not None:
        writes = (Write(f"{planned.session_id}.json", serialise(made), None),)
        if _are_meant(writes, planned):
            return _Prepared(writes, None)
    return Outcome(planned.session_id, State.SKIPPED, _COPY_CHANGED)


def _are_meant(writes: tuple[Write, ...], planned: PlannedSession) -> bool:
    """Whether what would be written is what the plan promised."""
    return files.digest_of(writes[-1].data) == planned.after


def _written(work: _Work, prepared: _Prepared, planned: PlannedSession, run: vault.ActiveRun, steps: Steps) -> Outcome:
    """Write what was prepared, and read it back."""
    steps.commit()
    sid = planned.session_id
    if prepared.decided is not None:
        run.leave_out(sid, prepared.decided)
    info: dict[str, str | int] = {
        "title": planned.title,
        "kinds": " ".join(planned.kinds),
        "messages_after": planned.messages_after,
    }
    if planned.left_out:
        info["left_out"] = planned.left_out
    if planned.messages_before is not None:
        info["messages_before"] = planned.messages_before
    for operation in _operations(prepared, planned, run, info):
        steps.step(_STEP)
        if operation.state != "done":
            return _put_back(run, sid, State.SKIPPED if operation.state == "skipped" else State.FAILED, operation.note)
    steps.step(_STEP)
    try:
        path = work.plan.store.sessions_dir / f"{sid}.json"
        stamp = files.stamp(path)
        written = files.look(path, None if prepared.writes else files.link_at(path))  # what is written is no link
    except UnreadableError as error:
        return _put_back(run, sid, State.ROLLED_BACK, str(error))
    if written is None or written.digest != planned.after:
        return Outcome(sid, State.SKIPPED, "Another program saved this session right after the repair. Check it again.")
    if prepared.row is not None:
        work.rows[sid] = KnownRow(prepared.row, stamp)
    if prepared.backup is not None:
        moved = run.remove(sid, f"{sid}.json.bak", prepared.backup, info=info)
        if moved.state == "failed":
            return _put_back(run, sid, State.ROLLED_BACK, moved.note)
        if moved.state != "done" and not prepared.writes:
            return _put_back(run, sid, State.SKIPPED, moved.note)
    return Outcome(sid, State.REPAIRED)


def _operations(
    prepared: _Prepared, planned: PlannedSession, run: vault.ActiveRun, info: Mapping[str, str | int]
) -> Iterator[Operation]:
    """Write the files of a session, each when it is asked for; put on record where a choice changes nothing in them."""
    sid = planned.session_id
    for write in prepared.writes:
        digest = planned.after if write is prepared.writes[-1] else None  # that was checked
        if write.expected is None:
            yield run.create(sid, write.name, write.data, info=info, digest=digest)
        else:
            yield run.replace(sid, write.name, write.data, write.expected, info=info, digest=digest)
    if prepared.decided is not None and not prepared.writes:
        yield run.confirm(sid, f"{sid}.json", planned.after, info=info)


def _put_back(run: vault.ActiveRun, sid: str, state: State, problem: str) -> Outcome:
    """Undo what the run has done to a session. ``state`` is what that comes to."""
    refused = run.take_back(sid)
    if refused is not None:
        return Outcome(sid, State.FAILED, f"{problem} It could not be put back either: {refused}")
    return Outcome(sid, state, problem)


class _NewIndex(NamedTuple):
    """The bytes of an index that was built again; SHA-256 and sessions of the one that they replace."""

    data: bytes
    old: str
    had: frozenset[str]


def _new_index(
    store: Store, changed: Iterable[str], waiting: Iterable[str], known: Mapping[str, KnownRow] = NO_ROWS
) -> _NewIndex | None:
    """The index built again; ``waiting`` are the sessions that still have a finding, ``known`` rows that need not be
    made. None where the old one fits, or there is none: the WebUI makes it itself.
    """
    old = journals.read_index(store.sessions_dir)
    if old.digest is None:
        return None
    data = rebuild_index.rebuilt(old, store, changed, waiting, known)
    return _NewIndex(data, old.digest, frozenset(old.rows)) if files.digest_of(data) != old.digest else None


def _write_index(run: vault.ActiveRun, new: _NewIndex, relisted: Mapping[str, str] = MappingProxyType({})) -> bool:
    """Write the index, last of all. ``relisted``: the titles of the sessions that are repaired by that alone."""
    written = run.replace(None, journals.INDEX_NAME, new.data, new.old, info=relisted)
    _require(written)
    return written.state == "done"


def _remember(store: Store, brought: Mapping[str, Brought], undone: Container[str] = ()) -> None:
    """Remember what a repair brought, no more what an undo took away. Where that cannot be kept, no more is lost than
    that a later audit takes a repair that was written over for a fresh loss.
    """
    old = written_over.read(store)
    new = {**{sid: each for sid, each in old.items() if sid not in undone}, **brought}
    if new != old:
        with suppress(RescueError, OSError):
            written_over.keep(store, new, time.time())


def _remember_held_up(plan: Plan, repaired: Container[str]) -> None:
    """Remember what a running WebUI held up of a plan, no more what is ``repaired`` now. Where that cannot be kept, no
    more is lost than that a later repair may ask.
    """
    root = plan.store.vault_root
    old = {sid: each for sid, each in held_up.read(root).items() if sid not in repaired}
    with suppress(RescueError, OSError):
        held_up.keep(root, {**old, **plan.held_up}, time.time())


def _index_room(store: Store) -> int:
    """Bytes for the old list of the sessions, which is kept, and the new one."""
    try:
        return 2 * (store.sessions_dir / journals.INDEX_NAME).lstat().st_size
    except OSError:
        return 0


def _places(store: Store) -> tuple[Path, ...]:
    return (store.sessions_dir, *store.databases)


def undoable(runs: Iterable[Run]) -> tuple[Run, ...]:
    """The runs that still have something to undo, newest first."""
    return tuple(
        run
        for run in runs
        if run.status == "interrupted" or any(each.session_id and each.may_stand for each in run.operations)
    )


def undo(
    store: Store,
    run_id: str,
    session_id: str | None = None,
    *,
    force: bool = False,
    should_cancel: Callable[[], bool] | None = None,
) -> UndoResult:
    """Put back what a run changed, or what it changed of one session; the index is rebuilt where it no longer fits.

    ``force`` does so under a running WebUI as well. Cancelling takes effect between two sessions; the same undo goes on
    later. What was put back before is not in the result. Raises BusyError, VaultError, RescueError where the WebUI
    runs.
    """
    require_owner(store.folders)
    if not force and (webui := webui_status(store)).running:
        raise RescueError(unnoticed(webui))  # what comes back is shorter, or no file at all
    kept = Vault.of(store)
    with kept.lock():
        run_before = kept.read_run(run_id)
        stood = {each.session_id for each in run_before.operations if each.may_stand}
        result = kept.undo(run_id, session_id, should_cancel)
        _remember(store, {}, result.undone)
        back = result.undone
        listed = {*run_before.relisted}.intersection(kept.read_run(run_id).undone)
        undone = [sid for sid in back if sid in stood]
        result = replace(result, undone=(*undone, *sorted(listed.difference(run_before.undone))))
        new = _new_index(store, back, frozenset()) if result.index_stale else None
        if new is None:
            return result
        try:
            with kept.begin_run(_places(store), _index_room(store)) as run:
                _write_index(run, new)
        except RescueError as error:  # the sessions are back all the same
            return replace(result, index_problem=str(error))
        return result
