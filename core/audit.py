"""The findings of a store, by content: each session's copies are merged, and what the merge would change is the
finding.

Nothing is written. One finding a session and kind; one bad session never stops the rest.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from core.copies import BACKUP, DATABASE, LIVE, RUN, TEMP, Inventory, SessionCopies
from core.findings import Category, Finding, finding
from core.intent import Reason
from core.jsontext import NOTHING, Damage, number
from core.proposal import Choices, Proposal, propose, session_of
from core.sidecar import IDLE_STREAM, Sidecar, SidecarFile
from core.store import Store, WebUIStatus, webui_status
from core.worktree import Worktree, state_of

FRESH_TEMP = 60.0
"""Seconds for which a temp of a running WebUI may still be on its way."""

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the sessions done and the sessions in all."""


class Cancelled(Exception):
    """The caller asked to stop; nothing was left half done."""


@dataclass(frozen=True, slots=True)
class SessionAudit:
    """One session as a list shows it. Counts are -1 where a copy is absent or unreadable; times in seconds; ``after``
    is the number of messages that a repair leaves (the live count where there is nothing to repair).
    """

    session_id: str
    title: str
    findings: tuple[Finding, ...]
    live: int
    backup: int
    database: int
    after: int
    backup_time: float | None
    updated: float | None
    size: int
    profile: str | None
    worktree_path: str | None
    worktree: Worktree

    @property
    def category(self) -> Category | None:
        """The most urgent category of the findings; None for a healthy session."""
        found = {f.category for f in self.findings}
        return next((category for category in Category if category in found), None)


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found in a store."""

    store: Store
    webui: WebUIStatus
    sessions: tuple[SessionAudit, ...]
    store_findings: tuple[Finding, ...]
    seconds: float

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, those of the store last."""
        return (*(f for s in self.sessions for f in s.findings), *self.store_findings)

    def of(self, category: Category | None) -> tuple[SessionAudit, ...]:
        """The sessions whose most urgent finding is of a category (None: the healthy ones)."""
        return tuple(s for s in self.sessions if s.category is category)


def audit(store: Store, *, progress: Progress | None = None, should_cancel: Callable[[], bool] | None = None) -> Audit:
    """Audit a whole store. Raises :class:`Cancelled` when ``should_cancel`` says so."""
    start = time.monotonic()
    webui = webui_status(store)
    with Inventory(store) as inventory:
        sessions = []
        for session, _, _ in examine(inventory, webui, progress=progress, should_cancel=should_cancel):
            if session is not None:
                sessions.append(session)
        whole = tuple(sessions)
        return Audit(store, webui, whole, store_findings(inventory, whole), time.monotonic() - start)


def examine(
    inventory: Inventory,
    webui: WebUIStatus,
    session_ids: Sequence[str] | None = None,
    *,
    choices: Choices | None = None,
    progress: Progress | None = None,
    should_cancel: Callable[[], bool] | None = None,
) -> Iterator[tuple[SessionAudit | None, SessionCopies, Proposal]]:
    """Each session with its copies and the proposal (SessionAudit is None for a name that is no session after all)."""
    ids = inventory.session_ids() if session_ids is None else tuple(session_ids)
    for done, session_id in enumerate(ids):
        if should_cancel is not None and should_cancel():
            raise Cancelled
        if progress is not None:
            progress(done, len(ids))
        copies, proposal = merge_session(inventory, session_id, webui, choices)
        yield audit_session(copies, proposal, inventory, webui), copies, proposal
    if progress is not None:
        progress(len(ids), len(ids))


def merge_session(
    inventory: Inventory, session_id: str, webui: WebUIStatus, choices: Choices | None = None
) -> tuple[SessionCopies, Proposal]:
    """Read the copies of one session that have come to rest, and merge them."""
    copies = _settled(inventory.copies(session_id), webui)
    return copies, propose(copies, choices, stream_is_live=stream_is_live(copies, webui))


def stream_is_live(copies: SessionCopies, webui: WebUIStatus) -> bool:
    """Whether a running WebUI may be writing an answer into this session right now ("unknown" counts as yes)."""
    live = session_of(copies.live)
    return (
        webui.running and webui.active_streams != 0 and live is not None and live.get("active_stream_id") not in NOTHING
    )


def _settled(copies: SessionCopies, webui: WebUIStatus) -> SessionCopies:
    """Without the temps that a running WebUI has just written."""
    if not webui.running:
        return copies
    return dataclasses.replace(copies, temps=tuple(t for t in copies.temps if time.time() - t.mtime > FRESH_TEMP))


def audit_session(
    copies: SessionCopies, proposal: Proposal, inventory: Inventory, webui: WebUIStatus
) -> SessionAudit | None:
    """The findings of one session; None for a file that turns out to be no session and that no other copy knows."""
    live, backup = session_of(copies.live), session_of(copies.backup)
    if _is_stranger(copies):
        return None
    counts = (_count(live), _count(backup))
    found = list(_findings(copies, proposal, counts, streaming=stream_is_live(copies, webui)))
    problems = _problems_beside(copies, found)
    if problems:
        found.append(finding("damaged_file", copies.session_id, " ".join(problems), counts=counts))
    path = _text(copies, proposal, "worktree_path")
    state = state_of(path, _text(copies, proposal, "worktree_branch"), _text(copies, proposal, "worktree_repo_root"))
    if state in (Worktree.GONE, Worktree.BRANCH_LEFT):
        branch = "Its branch is still there." if state is Worktree.BRANCH_LEFT else "Its branch was not found either."
        found.append(
            finding(
                "worktree_gone", copies.session_id, f"The worktree folder is gone. {branch}", counts=counts, path=path
            )
        )
    found += _index_findings(
        copies, inventory, live, has_loss=any(f.category is not Category.INFO for f in found), counts=counts
    )
    rows = [len(copy.messages) - len(copy.rewound | copy.hidden) for copy in copies.databases if copy.row.is_webui]
    proposed = proposal.sidecar if any(f.category is Category.REPAIRABLE for f in found) else None
    return SessionAudit(
        copies.session_id,
        _text(copies, proposal, "title") or "Untitled",
        tuple(found),
        counts[0],
        counts[1],
        max(rows, default=-1),
        len(proposed.messages) if proposed is not None else counts[0],
        copies.backup.mtime if copies.backup is not None else None,
        number(_value(copies, proposal, "updated_at")),
        copies.live.size if copies.live is not None else 0,
        _text(copies, proposal, "profile"),
        path,
        state,
    )


def _is_stranger(copies: SessionCopies) -> bool:
    """A JSON document without anything of a session, or a name that only an empty place is left of."""
    if copies.temps or copies.backup or copies.rows or copies.run or copies.turns or copies.index_row:
        return False
    if copies.live is None:
        return True
    parsed = copies.live.sidecar
    return parsed is not None and parsed.damage is Damage.WRONG_SHAPE and not parsed.is_session


def _count(session: Sidecar | None) -> int:
    return -1 if session is None or (session.damage is not None and not session.complete) else len(session.messages)


def _findings(
    copies: SessionCopies, proposal: Proposal, counts: tuple[int, int], *, streaming: bool
) -> Iterator[Finding]:
    sid = copies.session_id
    live = session_of(copies.live)
    if copies.live is not None and copies.live.problem is not None:
        known = bool(copies.backup or copies.rows or copies.index_row)
        yield finding(
            "not_a_file", sid, copies.live.problem, counts=counts, category=Category.REVIEW if known else None
        )
    elif live is not None and isinstance(inner := live.get("session_id"), str) and inner != sid:
        yield finding("id_mismatch", sid, f"The file is named {sid}, but carries the id {inner}.", counts=counts)
    elif copies.live is None:
        yield from _missing(copies, proposal, counts)
    elif live is None or live.damage is not None:
        yield _malformed(copies.live, proposal, sid, counts)
    else:
        yield from _losses(proposal, live, counts, sid, streaming=streaming)
    yield from _questions(proposal, sid, counts)


def _problems_beside(copies: SessionCopies, found: Sequence[Finding]) -> list[str]:
    """What cannot be read of the copies beside the live file, a sentence each; not again what is a finding already."""
    told = any(f.kind.name == "malformed_orphan_backup" for f in found)
    problems = []
    for file in (*copies.temps, None if told else copies.backup):
        if file is not None and file.problem is not None:
            problems.append(file.problem)
        elif file is not None and file.sidecar is not None and file.sidecar.damage is not None:
            problems.append(f"{file.path.name}: {_DAMAGE[file.sidecar.damage]}.")
    return [*problems, *copies.problems]


def _missing(copies: SessionCopies, proposal: Proposal, counts: tuple[int, int]) -> Iterator[Finding]:
    """Findings of a session without a file: one, by the best copy that is left."""
    sid = copies.session_id
    after = len(proposal.sidecar.messages) if proposal.sidecar is not None else 0
    backup = session_of(copies.backup)
    category, doubt = None, ""
    if copies.deletions_unknown:
        category, doubt = Category.REVIEW, " You may have deleted it: the list of deleted sessions is damaged."
    if copies.deleted:
        if copies.backup or copies.rows:
            yield finding(
                "state_db_deleted_webui_tombstone",
                sid,
                "You deleted this session; copies of it are left.",
                counts=counts,
            )
    elif any(session_of(temp) is not None for temp in copies.temps):
        yield finding(
            "unsaved_temp",
            sid,
            f"The file is missing; a temporary file of an interrupted save is left ({after} messages in all).{doubt}",
            counts=counts,
            category=category,
        )
    elif backup is not None and (copies.rows or copies.databases_unknown):
        yield finding(
            "orphan_backup",
            sid,
            f"The file is missing; the backup holds {counts[1]} messages, all copies together {after}.{doubt}",
            counts=counts,
            category=category,
        )
    elif backup is not None and backup.complete:
        yield finding(
            "orphan_backup_without_state_row",
            sid,
            f"The file is missing; the backup holds {counts[1]} messages and no database knows the session.",
            counts=counts,
        )
    elif copies.rows:
        if proposal.sidecar is not None:
            what = f"its {after} messages" if after else "an empty session with a worktree"
            yield finding(
                "state_db_missing_sidecar",
                sid,
                f"The file is missing; the database still has {what}.{doubt}",
                counts=counts,
                category=category,
            )
        else:
            yield finding(
                "state_db_orphan_webui_row",
                sid,
                "The database knows this session, but has no message of it.",
                counts=counts,
            )
    elif copies.backup is not None:
        yield finding(
            "malformed_orphan_backup",
            sid,
            f"The file is missing and the backup is damaged; {after} messages in it are whole.",
            counts=counts,
        )
    elif copies.run is not None:
        yield finding(
            "run_journal_only",
            sid,
            f"Only the run journal knows this session; it holds {after} messages.",
            counts=counts,
        )


_DAMAGE = {
    Damage.EMPTY: "The file is empty",
    Damage.NUL: "The file is filled with zero bytes",
    Damage.BOM: "The file begins with a byte order mark, which the WebUI cannot read",
    Damage.UTF16: "The file is UTF-16, which the WebUI cannot read",
    Damage.BAD_UTF8: "The file has bytes that are no UTF-8",
    Damage.TORN: "The file is torn",
    Damage.TRAILING: "The file goes on behind its end",
    Damage.TOO_DEEP: "The file is nested too deeply to be read",
    Damage.CONTROL: "The file has control characters inside a text",
    Damage.WRONG_SHAPE: "The file is not in the form of a session",
}


def _malformed(file: SidecarFile, proposal: Proposal, sid: str, counts: tuple[int, int]) -> Finding:
    what = _DAMAGE[file.sidecar.damage] if file.sidecar is not None and file.sidecar.damage else "The file is damaged"
    if proposal.sidecar is None:
        return finding(
            "malformed_live",
            sid,
            f"{what}, and no other copy of the session is left.",
            counts=counts,
            category=Category.REVIEW,
        )
    after = len(proposal.sidecar.messages)
    return finding("malformed_live", sid, f"{what}; all copies together hold {after} messages.", counts=counts)


def _losses(
    proposal: Proposal, live: Sidecar, counts: tuple[int, int], sid: str, *, streaming: bool
) -> Iterator[Finding]:
    """Findings of a file that the WebUI can load: what the merge gives back, each loss once, by the best copy that has
    it.
    """
    category = Category.INFO if streaming else None
    last = max((k for k, item in enumerate(proposal.items) if LIVE in item.copies), default=-1)
    gained: dict[str, int] = {}
    for k, item in enumerate(proposal.items):
        if item.included and LIVE not in item.copies and not (item.reason and item.reason.is_question):
            kind = _loss_kind(item.copies, live, behind=k > last)
            if kind:
                gained[kind] = gained.get(kind, 0) + 1
    if "shrunken_live" in gained and "state_db_gap" in gained:
        gained["shrunken_live"] += gained.pop("state_db_gap")
    words = {
        "shrunken_live": "{n} messages are missing from the file; other copies, the backup first, still have them.",
        "unsaved_temp": "{n} messages are in a temporary file of an interrupted save only.",
        "emptied_live": "The file is empty; the database has {n} messages.",
        "state_db_ahead": "The database has {n} messages behind the last one of the file.",
        "state_db_gap": "{n} messages before the last one of the file are in the database only.",
        "run_journal_ahead": "{n} messages are in the run journal only.",
    }
    for kind, n in gained.items():
        yield finding(kind, sid, words[kind].format(n=n), counts=counts, category=category, messages=n)
    if proposal.enriched:
        parts = sorted({part for item in proposal.enriched for part in item.enriched})
        n = len(proposal.enriched)
        yield finding(
            "lossy_rebuild",
            sid,
            f"{n} messages lack parts that other copies have: {', '.join(parts)}.",
            counts=counts,
            category=category,
            messages=n,
        )
    if not streaming and any(live.get(name) not in NOTHING for name in IDLE_STREAM):
        yield finding("stale_stream", sid, "The session is marked as running, but nothing runs it.", counts=counts)
    stated = live.get("message_count")
    if stated is not None and stated != len(live.messages):
        yield finding(
            "wrong_count",
            sid,
            f"The file says it has {stated!s:.20} messages; it has {len(live.messages)}.",
            counts=counts,
        )


def _loss_kind(names: Sequence[str], live: Sidecar, *, behind: bool) -> str | None:
    if BACKUP in names:
        return "shrunken_live"
    if any(name.startswith(TEMP) for name in names):
        return "unsaved_temp"
    if any(name.startswith(DATABASE) for name in names):
        return "emptied_live" if not live.messages else "state_db_ahead" if behind else "state_db_gap"
    return "run_journal_ahead" if RUN in names else None


_QUESTIONS = {
    Reason.OLD_UNDO: ("shrunken_live_unmarked", "{n} messages behind the end of the file are in other copies; {why}"),
    Reason.EARLIER_UNDO: ("state_db_gap", "{n} messages are in other copies only. {why}"),
    Reason.UNANSWERED: ("turn_journal_pending_turn", "A prompt that you sent is in no copy of the session."),
}
"""What asks about messages that are left out for a reason: the kind of finding, and its evidence."""


def _questions(proposal: Proposal, sid: str, counts: tuple[int, int]) -> Iterator[Finding]:
    asked = [item.reason for item in proposal.items]
    for reason, (kind, words) in _QUESTIONS.items():
        n = asked.count(reason)
        if n:
            evidence = words.format(n=n, why=reason.sentence)
            yield finding(kind, sid, evidence, counts=counts, category=Category.REVIEW, messages=n)


def _index_findings(
    copies: SessionCopies, inventory: Inventory, live: Sidecar | None, *, has_loss: bool, counts: tuple[int, int]
) -> Iterator[Finding]:
    if inventory.index.data is None or inventory.index.problem is not None:
        return
    if live is not None and live.damage is None and copies.index_row is None:
        yield finding(
            "index_missing_entry", copies.session_id, "The session list does not have this session.", counts=counts
        )
    if copies.live is None and copies.index_row is not None and not has_loss:
        yield finding(
            "index_missing_file",
            copies.session_id,
            "The session list has this session, but its file and every copy are gone.",
            counts=counts,
        )


def store_findings(inventory: Inventory, sessions: Sequence[SessionAudit]) -> tuple[Finding, ...]:
    """The findings that are about no single session: ids, names, the index, the databases, other folders."""
    found = [
        finding("unsafe_id", None, f"The database has a session with the id {key!r:.80}.")
        for key in inventory.unsafe_ids()
    ]
    found += [
        finding("not_a_file", None, f"{name!r:.80} in the sessions folder: {reason}.")
        for name, reason in inventory.strangers
    ]
    index = inventory.index
    if index.problem is not None and index.data is None:
        found.append(finding("not_a_file", None, index.problem))
    elif index.problem is not None:
        found.append(finding("malformed_index", None, f"The session list is unusable: {index.problem}."))
    found += [finding("damaged_file", None, problem) for problem in inventory.problems]
    for fact in inventory.database_facts:
        if fact.state not in ("ok", "absent"):
            found.append(
                finding(
                    "state_db_unreadable", None, f"{fact.path}: {fact.reason}", path=str(fact.path), state=fact.state
                )
            )
    known = {s.session_id for s in sessions}
    for folder in inventory.store.other_session_dirs:
        missing = sorted(set(_session_names(folder)) - known - inventory.deleted)
        if missing:
            found.append(
                finding(
                    "other_state_dir",
                    None,
                    f"{folder} holds {len(missing)} sessions that this store lacks.",
                    path=str(folder),
                    sessions=len(missing),
                )
            )
    return tuple(found)


def _session_names(folder: Path) -> Iterator[str]:
    try:
        for path in folder.glob("*.json"):
            if not path.name.startswith("_"):
                yield path.stem
    except OSError:
        return


def _value(copies: SessionCopies, proposal: Proposal, name: str) -> Any:
    for session in (proposal.sidecar, session_of(copies.live), session_of(copies.backup)):
        if session is not None and session.get(name) not in NOTHING:
            return session.get(name)
    return copies.index_row.get(name) if copies.index_row is not None else None


def _text(copies: SessionCopies, proposal: Proposal, name: str) -> str | None:
    value = _value(copies, proposal, name)
    return value if isinstance(value, str) and value else None
