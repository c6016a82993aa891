"""Plan, apply, verify: the only part of the engine that changes a store (through :mod:`core.vault`).

A plan is small: it holds what the files were and what they are to be as digests. Applying it merges each session again
and writes only if both are still so; each result is read back from disk, and what does not hold what was promised is
rolled back.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from core import index, journals, jsontext, sidecar, vault
from core.audit import Progress, SessionAudit, examine, merge_session, stream_is_live
from core.copies import Inventory, SessionCopies
from core.errors import ChangedMeanwhileError, RescueError, VaultError
from core.findings import KINDS, Category
from core.manifest import Operation, Run
from core.proposal import Choices, Proposal, propose
from core.sidecar import Sidecar
from core.store import Store, WebUIStatus, webui_status

BLOCKING = frozenset({"not_a_file", "id_mismatch"})
"""Kinds of findings with which nothing of the session is written."""

INDEX_KINDS = frozenset({"index_missing_entry", "index_missing_file", "malformed_index"})


class State(StrEnum):
    """What became of a session in a run."""

    REPAIRED = "repaired"
    SKIPPED = "skipped"
    FAILED = "failed"
    ROLLED_BACK = "rolled back"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class PlannedSession:
    """What a repair does to one session. ``before`` is the sha256 (hex) of the live file, None where it is created;
    ``after`` of what is written. Message counts are -1 where there is nothing readable; sizes in bytes.
    """

    session_id: str
    title: str
    kinds: tuple[str, ...]
    before: str | None
    after: str
    messages_before: int
    messages_after: int
    messages_lost: int
    size_before: int
    size_after: int
    backup_moves: bool
    backup_size: int

    @property
    def operations(self) -> tuple[str, ...]:
        """The file operations in words, in their order."""
        name = f"{self.session_id}.json"
        first = f"create {name}" if self.before is None else f"replace {name} (the old file is kept in the vault)"
        return (first, f"move {name}.bak to the vault") if self.backup_moves else (first,)


@dataclass(frozen=True, slots=True)
class Plan:
    """A dry run: ``refused`` maps sessions that cannot be repaired now to the reason; ``rebuild_index``: the session
    list needs it, whatever else is done; ``questions`` are the sessions that wait for a decision; ``force``: a
    running WebUI forbids nothing.
    """

    store: Store
    webui: WebUIStatus
    sessions: tuple[PlannedSession, ...]
    refused: Mapping[str, str]
    rebuild_index: bool
    choices: Mapping[str, Choices] = field(default_factory=dict)
    questions: tuple[str, ...] = ()
    force: bool = False

    @property
    def remaining(self) -> tuple[str, ...]:
        """Sessions that still have a finding when the plan is carried out."""
        return tuple(dict.fromkeys((*self.refused, *self.questions)))

    @property
    def is_empty(self) -> bool:
        """Nothing would be written."""
        return not self.sessions and not self.rebuild_index

    @property
    def bytes_needed(self) -> int:
        """Bytes that are kept and written (the index apart)."""
        return sum(s.size_before + s.size_after + s.backup_size for s in self.sessions)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one session, with the reason where it was not repaired."""

    session_id: str
    state: State
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """A run that was done. ``run_id`` is None where nothing had to be written."""

    run_id: str | None
    outcomes: tuple[Outcome, ...]
    index_rebuilt: bool
    cancelled: bool = False

    def count(self, state: State) -> int:
        """How many sessions came to a state."""
        return sum(outcome.state is state for outcome in self.outcomes)


def plan(
    store: Store,
    session_ids: Sequence[str] | None = None,
    *,
    choices: Mapping[str, Choices] | None = None,
    force: bool = False,
    progress: Progress | None = None,
    should_cancel: Callable[[], bool] | None = None,
) -> Plan:
    """What a repair would do; writes nothing.

    Without ``session_ids``: every session with one right answer. A session that is named is repaired with its questions
    answered (naming it is the decision), unless ``choices`` says more exactly what to take. ``force`` replaces files
    under a running WebUI as well. Raises :class:`core.audit.Cancelled`, RescueError for an unknown session.
    """
    webui = webui_status(store)
    chosen: dict[str, Choices] = dict(choices or {})
    if session_ids is not None:
        chosen = {session_id: chosen.get(session_id, Choices(answer_questions=True)) for session_id in session_ids}
    sessions: list[PlannedSession] = []
    refused: dict[str, str] = {}
    questions: list[str] = []
    with Inventory(store) as inventory:
        if session_ids is not None and (unknown := sorted(set(session_ids) - set(inventory.session_ids()))):
            raise RescueError(f"No copy of a session {', '.join(unknown)} is known in {store.sessions_dir}.")
        rebuild = inventory.index.problem is not None and inventory.index.data is not None
        for audited, copies, proposal in examine(
            inventory, webui, session_ids, progress=progress, should_cancel=should_cancel
        ):
            if audited is None:
                continue
            if copies.session_id in chosen:
                proposal = propose(copies, chosen[copies.session_id], stream_is_live=stream_is_live(copies, webui))
            rebuild |= any(f.kind.name in INDEX_KINDS for f in audited.findings)
            answered = copies.session_id in chosen and proposal.sidecar is not None
            if any(f.category is Category.REVIEW for f in audited.findings) and not answered:
                questions.append(copies.session_id)
            if not _is_wanted(audited, proposal, named=copies.session_id in chosen):
                continue
            planned = _planned(audited, copies, proposal)
            reason = None if force else _refusal(copies, planned, webui)
            if reason is None:
                sessions.append(planned)
            else:
                refused[copies.session_id] = reason
    return Plan(store, webui, tuple(sessions), refused, rebuild, chosen, tuple(questions), force)


def _is_wanted(audited: SessionAudit, proposal: Proposal, *, named: bool) -> bool:
    kinds = {f.kind.name for f in audited.findings}
    if proposal.sidecar is None or kinds & BLOCKING:
        return False
    return named or any(f.category is Category.REPAIRABLE for f in audited.findings if f.kind.name not in INDEX_KINDS)


def _planned(audited: SessionAudit, copies: SessionCopies, proposal: Proposal) -> PlannedSession:
    proposed = _to_write(copies, proposal)
    data = sidecar.serialise(proposed)
    larger_backup = audited.backup > len(proposed.messages) and not proposal.lost
    return PlannedSession(
        audited.session_id,
        audited.title,
        tuple(
            f.kind.name for f in audited.findings if f.category is not Category.INFO and f.kind.name not in INDEX_KINDS
        ),
        copies.live.digest if copies.live is not None else None,
        hashlib.sha256(data).hexdigest(),
        audited.live,
        len(proposed.messages),
        len(proposal.lost),
        copies.live.size if copies.live is not None else 0,
        len(data),
        larger_backup,
        copies.backup.size if copies.backup is not None and larger_backup else 0,
    )


def _to_write(copies: SessionCopies, proposal: Proposal) -> Sidecar:
    """The sidecar as it is written. Where a person leaves messages out, the file says that it was on purpose; otherwise
    the WebUI would bring them back from the backup that the save leaves.
    """
    assert proposal.sidecar is not None
    if not proposal.lost or copies.live is None or copies.live.digest is None:
        return proposal.sidecar
    generation = uuid.UUID(copies.live.digest[:32], version=4).hex
    return proposal.sidecar.with_fields({"intentional_shrink_generation": generation})


def _refusal(copies: SessionCopies, planned: PlannedSession, webui: WebUIStatus) -> str | None:
    """Why a running WebUI forbids it: it reloads a file only when its message count grows, else it writes over it."""
    if not webui.running or copies.live is None:
        return None
    if stream_is_live(copies, webui):
        return "Hermes WebUI may be writing an answer into this session. Wait until it is done."
    if planned.messages_after <= planned.messages_before:
        return "Hermes WebUI is running and would not notice the change, but write over it. Stop it first."
    return None


def apply(plan: Plan, *, progress: Progress | None = None, should_cancel: Callable[[], bool] | None = None) -> Result:
    """Carry out a plan. Cancelling takes effect between sessions; what is done stays and can be undone.

    Raises BusyError where another Hermes Rescue works on the store, VaultError where nothing can be kept.
    """
    if plan.is_empty:
        return Result(None, (), index_rebuilt=False)
    store = plan.store
    webui = webui_status(store)  # it may have been started since the plan was made
    outcomes: list[Outcome] = []
    cancelled = False
    store.sessions_dir.mkdir(parents=True, exist_ok=True)  # where all sessions are lost, their folder may be too
    with vault.lock(store.vault_root):
        for run in interrupted_runs(store):
            vault.finish_run(store.vault_root, store.sessions_dir, run.run_id)
        with (
            Inventory(store) as inventory,
            vault.begin_run(store.vault_root, store.sessions_dir, _places(store), plan.bytes_needed) as run_,
        ):
            for done, planned in enumerate(plan.sessions):
                cancelled = cancelled or (should_cancel is not None and should_cancel())
                if cancelled:
                    outcomes.append(Outcome(planned.session_id, State.CANCELLED))
                    continue
                if progress is not None:
                    progress(done, len(plan.sessions))
                outcomes.append(_repair_one(plan, planned, inventory, webui, run_))
            changed = [o.session_id for o in outcomes if o.state in (State.REPAIRED, State.FAILED)]
            rebuilt = (bool(changed) or plan.rebuild_index) and _write_index(store, run_, changed)
        if progress is not None:
            progress(len(plan.sessions), len(plan.sessions))
        return Result(run_.run_id, tuple(outcomes), rebuilt, cancelled)


class _Stopped(Exception):
    """An operation that did not come to pass."""

    def __init__(self, operation: Operation) -> None:
        super().__init__(operation.note)
        self.operation = operation


@dataclass(frozen=True, slots=True)
class _RunDoor:
    """Writes of one session through a run."""

    run: vault.ActiveRun
    session_id: str
    info: Mapping[str, str | int]

    def create(self, path: Path, data: bytes) -> None:
        self._check(self.run.create(self.session_id, path.name, data, info=self.info))

    def replace(self, path: Path, data: bytes, expected: str) -> None:
        self._check(self.run.replace(self.session_id, path.name, data, expected, info=self.info))

    def _check(self, operation: Operation) -> None:
        if operation.state != "done":
            raise _Stopped(operation)


def _repair_one(
    plan: Plan, planned: PlannedSession, inventory: Inventory, webui: WebUIStatus, run: vault.ActiveRun
) -> Outcome:
    sid = planned.session_id
    try:
        copies, proposal = merge_session(inventory, sid, webui, plan.choices.get(sid))
        refusal = None if plan.force else _refusal(copies, planned, webui)
        if refusal is not None:
            return Outcome(sid, State.SKIPPED, refusal)
        if planned.before is None and copies.live is not None:
            return Outcome(sid, State.SKIPPED, vault.APPEARED)
        now = copies.live.digest if copies.live is not None else None
        if proposal.sidecar is None or now != planned.before:
            return Outcome(sid, State.SKIPPED, "The session has changed since the plan was made. Look at it again.")
        proposed = _to_write(copies, proposal)
        if hashlib.sha256(sidecar.serialise(proposed)).hexdigest() != planned.after:
            return Outcome(
                sid, State.SKIPPED, "A copy of the session has changed since the plan was made. Look at it again."
            )
        path = plan.store.sessions_dir / f"{sid}.json"
        info: dict[str, str | int] = {
            "title": planned.title,
            "kinds": " ".join(planned.kinds),
            "messages_before": planned.messages_before,
            "messages_after": planned.messages_after,
        }
        sidecar.save(path, proposed, copies.live, _RunDoor(run, sid, info))
        problem = _problem(path, proposed)
        if problem is not None:
            vault.undo(plan.store.vault_root, plan.store.sessions_dir, run.run_id, sid)
            return Outcome(sid, State.ROLLED_BACK, problem)
        if planned.backup_moves and copies.backup is not None and copies.backup.digest is not None:
            run.remove(sid, f"{sid}.json.bak", copies.backup.digest, info=info)
        return Outcome(sid, State.REPAIRED)
    except _Stopped as stopped:
        state = State.SKIPPED if stopped.operation.state == "skipped" else State.FAILED
        return Outcome(sid, state, stopped.operation.note)
    except (ChangedMeanwhileError, FileNotFoundError) as error:
        return Outcome(sid, State.SKIPPED, str(error))
    except VaultError:
        raise
    except (RescueError, OSError) as error:
        return Outcome(sid, State.FAILED, str(error))


def _problem(path: Path, promised: Sidecar) -> str | None:
    """What is wrong with a file that was just written: it must load, and hold every promised message and the right
    count.
    """
    found = sidecar.read(path).sidecar
    if found is None or found.damage is not None:
        return f"{path.name} could not be read back after it was written."
    if [piece.raw for piece in found.messages] != [piece.raw for piece in promised.messages]:
        return f"{path.name} does not hold the messages that were written to it."
    if found.get("message_count", len(found.messages)) != len(found.messages):
        return f"{path.name} does not hold the right message count."
    try:
        jsontext.loads_exactly(sidecar.serialise(found))
    except jsontext.NotJSONError:
        return f"{path.name} cannot be loaded by Hermes WebUI."
    return None


def _write_index(store: Store, run: vault.ActiveRun, changed: Iterable[str]) -> bool:
    """Build the index again, last of all. Where there is none, the WebUI makes it itself."""
    old = journals.read_index(store.sessions_dir)
    if old.data is None:
        return False
    with Inventory(store, with_databases=False) as inventory:
        data = index.rebuilt(old, inventory.sidecars, changed)
    if data == old.data:
        return False
    return run.replace(None, journals.INDEX_NAME, data, hashlib.sha256(old.data).hexdigest()).state == "done"


def _places(store: Store) -> tuple[Path, ...]:
    return (store.sessions_dir, *store.databases)


def interrupted_runs(store: Store) -> tuple[Run, ...]:
    """Runs that died: a repair finishes them, an undo rolls them back."""
    return tuple(run for run in vault.list_runs(store.vault_root) if run.status in ("interrupted", "running"))


def undoable(runs: Iterable[Run]) -> tuple[Run, ...]:
    """The runs that still have something to undo, newest first."""
    return tuple(run for run in runs if any(each.session_id and each.may_stand for each in run.operations))


def undo(store: Store, run_id: str, session_id: str | None = None) -> vault.UndoResult:
    """Put back what a run changed, or what it changed of one session; the index is rebuilt where it no longer fits.

    Raises BusyError, VaultError.
    """
    with vault.lock(store.vault_root):
        result = vault.undo(store.vault_root, store.sessions_dir, run_id, session_id)
        if result.index_stale:
            with vault.begin_run(store.vault_root, store.sessions_dir, _places(store), 0) as run:
                _write_index(store, run, result.undone)
        return result


def labels(kinds: Iterable[str]) -> str:
    """The names of kinds of findings in words."""
    return ", ".join(KINDS[kind].label for kind in kinds if kind in KINDS)
