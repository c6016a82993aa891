"""What a repair would do: which sessions, to what, and why not. Writes nothing to the store.

A plan is small: it holds what the files were and what they are to be as digests. The bytes lie beside it for a while
(:mod:`core.repair.prepared`).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from hermes_rescue.core.audit import left, written_over
from hermes_rescue.core.audit.cache import keys_of
from hermes_rescue.core.audit.elsewhere import copies_apart
from hermes_rescue.core.audit.findings import DELETED_BY_USER, Category, Finding, SessionAudit, Standing
from hermes_rescue.core.audit.session import Examined, examine, examine_unless_up_to_date, stream_is_live
from hermes_rescue.core.audit.store_audit import no_folder
from hermes_rescue.core.audit.workers import Failure, Progress, over_sessions
from hermes_rescue.core.base import files, jsontext
from hermes_rescue.core.base.errors import UnknownSessionError
from hermes_rescue.core.base.files import shown
from hermes_rescue.core.base.progress import Steps
from hermes_rescue.core.hermes import left_out, sidecar
from hermes_rescue.core.hermes.copies import LIVE, CopyReader, SessionCopies
from hermes_rescue.core.hermes.held_up import HeldUp, held_up
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.left_out import Act
from hermes_rescue.core.hermes.sidecar import Sidecar
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.hermes.webui_status import WebUIStatus, webui_status
from hermes_rescue.core.merge.choices import OUTDATED, Choices
from hermes_rescue.core.merge.intent import Reason
from hermes_rescue.core.merge.lasting import moves_backup
from hermes_rescue.core.merge.proposal import Proposal, backup_known_by, propose
from hermes_rescue.core.repair import prepared, rebuild_index
from hermes_rescue.core.repair.planned import Done, PlannedSession, not_taken
from hermes_rescue.core.repair.prepared import Draft, Prepared, PreparedSessions
from hermes_rescue.core.repair.run_record import Run
from hermes_rescue.core.repair.vault import Vault

BLOCKING = frozenset({"not_a_file", "live_denied", "id_mismatch"})
"""Kinds of findings with which nothing of the session is written."""

INDEX_KINDS = frozenset({"index_missing_entry", "index_missing_file", "malformed_index"})


@dataclass(frozen=True, slots=True)
class Plan:
    """A dry run: ``refused`` maps sessions that cannot be repaired now to the reason; ``rebuild_index``: the session
    list needs it, whatever else is done; ``questions`` are the sessions that wait for a decision; ``force``: a running
    WebUI forbids nothing; ``forbidden``: what it forbids, as it would be written; ``unfinished``: runs that died and
    are finished on the way; ``unread``: databases, backups and temps that could not be read, each with the reason;
    ``titles`` of what is refused, waits or is relisted; ``problem``: why nothing can be planned; ``databases``: those
    that were found whole (:func:`core.hermes.database.statedb.open_statedb`); ``relisted``: sessions whose files stay,
    and which the session list gets back; ``has_list``: there is one; ``held_up``: what is to be remembered of what is
    forbidden and has one right answer; ``nothing``: what a person is told where it is empty; ``done``: see there;
    ``prepared``: sessions that need not be merged once more.
    """

    store: Store
    webui: WebUIStatus
    sessions: tuple[PlannedSession, ...]
    refused: Mapping[str, str]
    rebuild_index: bool
    choices: Mapping[str, Choices] = field(default_factory=dict)
    questions: tuple[str, ...] = ()
    force: bool = False
    unfinished: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    titles: Mapping[str, str] = field(default_factory=dict)
    databases: frozenset[Path] = frozenset()
    problem: str = ""
    forbidden: tuple[PlannedSession, ...] = ()
    relisted: tuple[str, ...] = ()
    has_list: bool = False
    held_up: Mapping[str, HeldUp] = field(default_factory=dict)
    nothing: str = "There is nothing to repair."
    done: Done = Done.REPAIRED
    prepared: PreparedSessions | None = field(default=None, compare=False, repr=False)

    @property
    def rebuilds_list(self) -> bool:
        """Whether the session list is built again; where there is none, the WebUI makes it itself."""
        return self.rebuild_index or (self.has_list and bool(self.sessions))

    @property
    def undo_waits(self) -> bool:
        """Whether what is written can be put back only once the WebUI is stopped, unless that is forced."""
        return bool(self.sessions) and self.webui.running is True

    @property
    def count(self) -> int:
        """How many sessions are repaired, whether their files are written or the session list gets them back."""
        return len(self.sessions) + len(self.relisted)

    @property
    def remaining(self) -> tuple[str, ...]:
        """Sessions that still have a finding when the plan is carried out."""
        return tuple(dict.fromkeys((*self.refused, *self.questions)))

    @property
    def is_empty(self) -> bool:
        """Nothing would be written."""
        return not (self.sessions or self.rebuild_index or self.unfinished)

    @property
    def bytes_needed(self) -> int:
        """Bytes that are kept and written (the index apart)."""
        return sum(planned.bytes_needed for planned in self.sessions)


def plan(
    store: Store,
    session_ids: Sequence[str] | None = None,
    *,
    choices: Mapping[str, Choices] | None = None,
    force: bool = False,
    prepare: bool = True,
    progress: Progress | None = None,
    should_cancel: Callable[[], bool] | None = None,
) -> Plan:
    """What a repair would do; writes nothing to the store.

    Without ``session_ids``: every session with one right answer that nobody left as it is. A session that is named is
    repaired with its questions answered (naming it is the decision), unless ``choices`` says more exactly which
    messages to take. A session with a choice that no copy can fulfil, or that was made on another proposal, is refused.
    ``force`` replaces files under a running WebUI as well; ``prepare``: it is made to be carried out. Raises
    :class:`core.audit.workers.Cancelled`, RescueError for an unknown session.
    """
    webui = webui_status(store)
    ready = PreparedSessions(store) if prepare and not webui.running else None
    chosen: dict[str, Choices] = dict(choices or {})
    if session_ids is not None:
        named = {session_id: chosen.get(session_id, Choices()) for session_id in session_ids}
        chosen = {sid: c if c.are_about_messages else replace(c, answer_questions=True) for sid, c in named.items()}
    looks: list[_Look] = []
    refused: dict[str, str] = {}
    with Inventory(store, only=None if session_ids is None else frozenset(session_ids)) as inventory:
        if session_ids is not None and (unknown := sorted(set(session_ids) - set(inventory.session_ids()))):
            raise UnknownSessionError(unknown, store.sessions_dir)
        problem = ""
        if session_ids is None and inventory.lacks_folder:
            problem = f"{no_folder(inventory)} Name it, or name the sessions that are to be built again."
        has_list = inventory.listing.index.digest is not None
        rebuild = inventory.listing.index.problem is not None and has_list
        wanted = inventory.session_ids() if session_ids is None else tuple(session_ids)
        folder = ready.folder if ready is not None else None
        look = partial(_look, choices=chosen, force=force, left_alone=left.read(store), folder=folder)
        for batch in over_sessions(look, inventory, webui, wanted, progress=progress, should_cancel=should_cancel):
            looks += (each for each in batch if isinstance(each, _Look))
            refused |= {each.session_id: each.reason for each in batch if isinstance(each, Failure)}
        whole = frozenset(database.path for database in inventory.databases if database.is_known)
        facts = [fact for fact in inventory.database_facts if fact.state not in ("ok", "absent")]
    looks.sort(key=lambda each: each.session_id)
    if ready is not None:
        ready.add(each.prepared for each in looks if each.prepared is not None)
    unread = [*(f"{fact.path}: {fact.reason}" for fact in facts), *(text for each in looks for text in each.unread)]
    refused |= {each.session_id: each.refusal for each in looks if each.refusal is not None}
    return Plan(
        store,
        webui,
        tuple(each.planned for each in looks if each.planned is not None),
        refused,
        rebuild or any(each.index_is_wrong for each in looks),
        chosen,
        tuple(each.session_id for each in looks if each.is_open_question),
        force,
        tuple(run.run_id for run in interrupted_runs(store)),
        tuple(unread),
        {x.session_id: x.title for x in looks if x.refusal is not None or x.is_open_question or x.is_relisted},
        whole,
        problem,
        tuple(each.forbidden for each in looks if each.forbidden is not None),
        tuple(each.session_id for each in looks if each.is_relisted),
        has_list,
        {each.session_id: each.held_up for each in looks if each.held_up is not None},
        prepared=ready,
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """What a plan has to know of a session about which there is something to know. ``planned`` is None where nothing is
    to be written, or it is refused; ``is_relisted``: it is repaired by the session list alone; ``forbidden``: what is
    refused only because the WebUI runs, ``held_up`` what is to be remembered of that; ``prepared``: what is to be
    written, where it was put by.
    """

    session_id: str
    title: str
    planned: PlannedSession | None
    refusal: str | None
    is_open_question: bool
    index_is_wrong: bool
    is_relisted: bool
    unread: tuple[str, ...]
    forbidden: PlannedSession | None
    held_up: HeldUp | None
    prepared: Prepared | None


def _look(
    reader: CopyReader,
    webui: WebUIStatus,
    session_id: str,
    steps: Steps,
    *,
    choices: Mapping[str, Choices],
    force: bool,
    left_alone: Mapping[str, str],
    folder: Path | None,
) -> _Look | None:
    began = time.time_ns()
    choice = choices.get(session_id)
    found: Examined | SessionAudit
    if choice is None:
        found = examine_unless_up_to_date(reader, webui, session_id, steps)
    else:
        found = examine(reader, webui, session_id, steps=steps)
        if _decides_something(choice, found.copies, found.proposal):
            proposal = propose(found.copies, choice, stream_is_live=stream_is_live(found.copies, webui))
            found = replace(found, proposal=proposal)
    audited = found.audited if isinstance(found, Examined) else found
    if audited is None or (choice is None and left.is_left(audited, left_alone)):
        return None
    planned, forbidden, held, ready = None, None, None, None
    refusal, blocked, answered, unread = None, None, False, tuple[str, ...]()
    if isinstance(found, Examined):
        copies, proposal = found.copies, found.proposal
        unread = tuple(file.problem for file in (*copies.temps, copies.backup) if file is not None and file.problem)
        decided = choice or Choices()
        matters = (f for f in audited.findings if choice is not None or f.category is not Category.INFO)
        blocked = next((f.evidence for f in matters if f.kind.name in BLOCKING), None)
        refusal = unfulfilled(decided, proposal) or blocked
        answered = refusal is None and decided.are_about_messages
        answered = answered and (proposal.sidecar is not None or bool(left_out_now(decided, proposal)))
        apart = _apart_left(decided, proposal)
        answered = answered and not apart
        if refusal is None and _is_wanted(audited, proposal, named=choice is not None):
            proposed = to_write(copies, proposal)
            planned = _planned(audited, copies, proposal, proposed, decided)
            forbids = None if force else refusal_of(copies, planned, webui)
            if forbids is not None and choice is None:
                held = _held_up(copies, proposal)
            draft = _draft(copies, proposal, proposed, planned, decided) if folder is not None else None
            del found, copies, proposal  # a session can be large
            data = sidecar.serialise(proposed)
            planned = replace(planned, after=files.digest_of(data), size_after=len(data))
            written = sidecar.parse(data)
            refusal = problem_of(written, proposed, steps)
            if refusal is None and forbids is not None:
                refusal, forbidden = forbids, planned
            elif refusal is None and folder is not None and draft is not None:
                draft = replace(draft, row=rebuild_index.row(session_id, written))
                ready = prepared.put_by(draft, data, folder, keys_of(reader, webui, (session_id,), began))
        elif refusal is None and choice is not None and proposal.sidecar is None:
            planned = _stays(audited, copies, proposal, decided)
            refusal = not_taken(apart) if planned is None and apart else None
    if not (audited.findings or unread or planned or refusal):
        return None
    listed = [f for f in audited.findings if f.kind.name in INDEX_KINDS]
    return _Look(
        session_id,
        audited.title,
        planned if refusal is None else None,
        refusal,
        not (answered or blocked)
        and any(f.category is Category.REVIEW for f in audited.findings if not _is_dropped(f, choice)),
        any(f.category is Category.REPAIRABLE or _is_dropped(f, choice) for f in listed),
        planned is None and refusal is None and audited.standing is Standing.REPAIRABLE,
        unread,
        forbidden,
        held,
        ready,
    )


def _draft(
    copies: SessionCopies, proposal: Proposal, after: Sidecar, planned: PlannedSession, decided: Choices
) -> Draft | None:
    """What is to be known of a session to write it later, where only its file is written: nothing that a person leaves
    out or takes back has to be remembered, and no save that shrinks it leaves a backup.
    """
    live = copies.live.sidecar if copies.live is not None else None
    if copies.live is not None and (live is None or len(after.messages) < len(live.messages)):
        return None
    if left_out_now(decided, proposal) or _brought_back(proposal):
        return None
    backup = copies.backup.digest if copies.backup is not None and planned.backup_moves else None
    return Draft(planned.session_id, backup, written_over.brought(copies.live, after, "", 0.0))


def _held_up(copies: SessionCopies, proposal: Proposal) -> HeldUp:
    """What is to be remembered of a repair that a running WebUI forbids."""
    file = [item.message for item in proposal.items if LIVE in item.copies]
    return held_up(file, [item.message for item in proposal.included], backup_known_by(copies), time.time())


def _is_dropped(f: Finding, choice: Choices | None) -> bool:
    """Whether it is about a row of the session list that is the last trace of a session, which was named."""
    return f.kind.name == "index_missing_file" and choice is not None


def _decides_something(choice: Choices, copies: SessionCopies, proposal: Proposal) -> bool:
    """Whether a choice can make another proposal of this one, which was made without any."""
    if choice.need_a_proposal or choice.fields:
        return True
    asked = any(item.reason is not None and item.reason.is_question for item in proposal.items)
    return choice.answer_questions and (asked or bool(proposal.masked) or copies.deleted)


def _is_wanted(audited: SessionAudit, proposal: Proposal, *, named: bool) -> bool:
    kinds = {f.kind.name for f in audited.findings}
    if proposal.sidecar is None or kinds & BLOCKING:
        return False
    return named or any(f.category is Category.REPAIRABLE for f in audited.findings if f.kind.name not in INDEX_KINDS)


def unfulfilled(decided: Choices, proposal: Proposal) -> str | None:
    """That something else was chosen from, which message was chosen that is not there, or which field from a copy that
    does not have it.
    """
    if proposal.is_outdated:
        return OUTDATED
    for position in sorted(decided.include | decided.exclude):
        if position >= len(proposal.items):
            return f"There is no message {position + 1}; all copies together have {len(proposal.items)}."
    for name, copy in decided.fields.items():
        if name not in proposal.chosen:
            known = ", ".join(proposal.offers.get(name, ()))
            where = f"It can be taken from: {known}." if known else "No copy can give it."
            return f"There is no {name} in '{copy}'. {where}"
    return None


def _planned(
    audited: SessionAudit, copies: SessionCopies, proposal: Proposal, after: Sidecar, decided: Choices
) -> PlannedSession:
    """What is planned for a session, whose file is ``after`` then, but for what is to be written; ``decided``: what a
    person chose of it.
    """
    messages = len(proposal.included)
    larger_backup = moves_backup(copies, proposal, after, is_decided=decided.are_about_messages)
    return PlannedSession(
        audited.session_id,
        audited.title,
        tuple(
            f.kind.name
            for f in audited.findings
            if (f.category is not Category.INFO or f.kind.name == DELETED_BY_USER) and f.kind.name not in INDEX_KINDS
        ),
        copies.live.digest if copies.live is not None else None,
        "",
        audited.live,
        messages,
        len(proposal.lost),
        copies.live.size if copies.live is not None else 0,
        0,
        larger_backup,
        copies.backup.size if copies.backup is not None and larger_backup else 0,
        proposal.chosen,
        left_out=proposal.left_out_before + len(left_out_now(decided, proposal)),
        link_to=shown(copies.live.target) if copies.live is not None and copies.live.target is not None else "",
        is_asked=bool(decided.imported and copies.deleted)
        or (audited.standing is not Standing.REPAIRABLE and not (decided.include or decided.exclude or decided.fields)),
        apart=copies_apart(proposal.gained),
        apart_left=_apart_left(decided, proposal),
    )


def _apart_left(decided: Choices, proposal: Proposal) -> tuple[str, ...]:
    """The copies that may be of another conversation, of which a session that was only named takes nothing."""
    left = (item for item in proposal.items if not item.included)
    return copies_apart(left) if decided.answer_questions else ()


def left_out_now(decided: Choices, proposal: Proposal) -> list[int]:
    """The positions of the messages that a person leaves out with these choices, and that would come back or be asked
    without them: what is excluded, and where something that is asked is included, all else that is asked.
    """
    items = proposal.items
    asked = {k for k, item in enumerate(items) if item.reason is not None and item.reason.is_question}
    is_answered = not (decided.imported or asked.isdisjoint(decided.include))
    excluded = {k for k in decided.exclude if k in asked or items[k].reason is Reason.CHOSEN}
    return sorted(excluded | (asked - decided.include if is_answered else set()))


def _brought_back(proposal: Proposal) -> list[int]:
    """The positions of the messages that come back although a person left them out before."""
    return [k for k, item in enumerate(proposal.items) if item.included and item.reason is Reason.LEFT_OUT]


def left_out_act(proposal: Proposal, choices: Choices | None, run_id: str) -> Act | None:
    """What a person who made these choices leaves out of a session that a run repairs, and what comes back that was
    left out before; None where that is nothing.
    """
    out, back = left_out_now(choices or Choices(), proposal), _brought_back(proposal)
    if not (out or back):
        return None
    return left_out.decided(run_id, time.time(), [item.message for item in proposal.items], out, back)


def _stays(audited: SessionAudit, copies: SessionCopies, proposal: Proposal, decided: Choices) -> PlannedSession | None:
    """What is planned for a session whose file is right, but would be replaced by its backup at the next start of the
    WebUI, or where a person leaves out what would come back; None for any other.
    """
    if not (audited.files.is_replaced or left_out_now(decided, proposal)) or BLOCKING & {
        f.kind.name for f in audited.findings
    }:
        return None
    if copies.live is None or copies.live.sidecar is None or copies.live.digest is None:
        return None
    planned = _planned(audited, copies, proposal, copies.live.sidecar, replace(decided, answer_questions=True))
    return replace(
        planned,
        kinds=("backup_would_return",) if audited.files.is_replaced else (),
        after=copies.live.digest,
        messages_after=len(copies.live.sidecar.messages),
        size_after=planned.size_before,
    )


def problem_of(found: Sidecar, promised: Sidecar, steps: Steps) -> str | None:
    """What is wrong with a file that is to be written, as it is ``found`` in its bytes: Hermes must be able to load
    them, and find every promised message and the right count. The digest says after the writing whether the file is
    these bytes.
    """
    both = zip(found.messages, promised.messages, strict=False)
    if (
        found.damage is not None
        or len(found.messages) != len(promised.messages)
        or any(written.raw != meant.raw for written, meant in both)
    ):
        return "What would be written does not hold the messages that are meant; please report this."
    if found.get("message_count", len(found.messages)) != len(found.messages):
        return "What would be written does not hold the right message count."
    try:
        pieces = (*found.head.values(), *found.messages)
        for piece in steps.over(pieces, len(pieces), 1.0):  # not all at once: a session can be large
            jsontext.loads_exactly(b'{"": [' + piece.raw + b"]}")
    except jsontext.NotJSONError:
        return "What would be written cannot be loaded by Hermes WebUI."
    return None


def to_write(copies: SessionCopies, proposal: Proposal) -> Sidecar:
    """The sidecar as it is written. Where a person leaves messages out, the file says that it was on purpose; otherwise
    the WebUI would bring them back from the backup that the save leaves.
    """
    assert proposal.sidecar is not None
    if not proposal.lost or copies.live is None or copies.live.digest is None:
        return proposal.sidecar
    generation = uuid.UUID(copies.live.digest[:32], version=4).hex
    return proposal.sidecar.with_fields({"intentional_shrink_generation": generation})


def refusal_of(copies: SessionCopies, planned: PlannedSession, webui: WebUIStatus) -> str | None:
    """Why a running WebUI forbids it: it reloads a file only when its message count grows, else it writes over it."""
    if not webui.running or copies.live is None or not planned.is_written:
        return None
    if stream_is_live(copies, webui):
        return "Hermes WebUI may be writing an answer into this session. Wait until it is done."
    if planned.messages_after <= (planned.messages_before or 0) or not webui.reloads:
        return unnoticed(webui)
    return None


def unnoticed(webui: WebUIStatus) -> str:
    """Why a file is not replaced that a running WebUI may have in its memory, and what to do."""
    who = "Hermes WebUI" if webui.is_certain else "What may be the Hermes WebUI of this store"
    return f"{who} is running and would not notice the change, but write over it. Stop it first: {webui.how_to_stop}."


def interrupted_runs(store: Store) -> tuple[Run, ...]:
    """Runs that died: a repair finishes them, an undo rolls them back."""
    return Vault.of(store).open_runs()
