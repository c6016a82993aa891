"""The findings of a store, by content: each session's copies are merged, and what the merge would change is the
finding.

Nothing is written. One finding a session and kind; one bad session never stops the rest.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hermes_rescue.core.audit.cache import AuditCache, Kept, RowsDigest, digest_of, keys_of
from hermes_rescue.core.audit.diagnosis import diagnose
from hermes_rescue.core.audit.findings import Category, Finding, SessionAudit, finding
from hermes_rescue.core.audit.webui_audit import Reported, facts_of, webui_items
from hermes_rescue.core.audit.workers import Failure, Progress, over_sessions
from hermes_rescue.core.base.jsontext import NOTHING, Damage, number
from hermes_rescue.core.hermes.copies import CopyReader, Inventory, SessionCopies
from hermes_rescue.core.hermes.listing import FRESH_TEMP
from hermes_rescue.core.hermes.sidecar import Sidecar
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.hermes.webui_recovery import FileFacts
from hermes_rescue.core.hermes.webui_status import WebUIStatus, webui_status
from hermes_rescue.core.hermes.worktree import Worktree, state_of
from hermes_rescue.core.merge.choices import Choices
from hermes_rescue.core.merge.fast_path import Whole, whole
from hermes_rescue.core.merge.metadata import is_profile_gone
from hermes_rescue.core.merge.proposal import Proposal, propose, session_of

_MERGE = 0.4
"""The share of what is left to do for a session that the merge of its copies takes, about."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found in a store. ``session_files`` counts the names that the WebUI takes for session files;
    ``webui_items`` are what its own audit has to say, where that was asked for.
    """

    store: Store
    webui: WebUIStatus
    sessions: tuple[SessionAudit, ...]
    store_findings: tuple[Finding, ...]
    seconds: float
    session_files: int = 0
    webui_items: tuple[Reported, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, those of the store last."""
        return (*(f for s in self.sessions for f in s.findings), *self.store_findings)

    def of(self, category: Category | None) -> tuple[SessionAudit, ...]:
        """The sessions whose most urgent finding is of a category (None: the healthy ones)."""
        return tuple(s for s in self.sessions if s.category is category)


def audit(
    store: Store,
    *,
    cache: AuditCache | None = None,
    progress: Progress | None = None,
    should_cancel: Callable[[], bool] | None = None,
) -> Audit:
    """Audit a whole store, with the items of the WebUI's own audit; with a cache, what cannot have changed since the
    last time is not read again.

    Raises :class:`core.audit.workers.Cancelled` when ``should_cancel`` says so.
    """
    start = time.monotonic()
    webui = webui_status(store)
    cache = cache or AuditCache(store)
    with Inventory(store, cache.whole_databases) as inventory:
        sessions: list[SessionAudit] = []
        for batch in audit_sessions(inventory, webui, cache, progress=progress, should_cancel=should_cancel):
            sessions += batch
        items = webui_items(inventory, sessions)
        found = whole_audit(inventory, webui, sessions, time.monotonic() - start)
        return dataclasses.replace(found, webui_items=items)


def audit_sessions(
    inventory: Inventory,
    webui: WebUIStatus,
    cache: AuditCache,
    *,
    progress: Progress | None = None,
    should_cancel: Callable[[], bool] | None = None,
) -> Iterator[list[SessionAudit]]:
    """Audit every session of a store: in the first batch what the cache knows, then the others in batches as
    :func:`core.audit.workers.over_sessions` gives them.
    """
    ids = inventory.session_ids()
    keys = keys_of(inventory, webui, ids)
    known = {each: kept for each, kept in cache.known(keys).items() if _stands(kept.answer)}
    kept = dict(known) if cache.rows_are_same else {}
    yield [each.answer for each in kept.values() if each.answer is not None]
    left = [each for each in ids if each not in kept]
    look = partial(_look, known={each: known[each] for each in left if each in known})

    def report(done: float, _: int) -> None:
        if progress is not None:
            progress(len(ids) - len(left) + done, len(ids))

    for batch in over_sessions(look, inventory, webui, left, progress=report, should_cancel=should_cancel):
        found = [_not_examined(each, inventory) if isinstance(each, Failure) else each.answer for each in batch]
        yield [session for session in found if session is not None]
        kept |= {each.session_id: each for each in batch if isinstance(each, Kept)}
    for session_id, each in kept.items():
        each.key = keys.get(session_id, b"")
    cache.replace((each for each in kept.values() if each.key), inventory)


def _look(reader: CopyReader, webui: WebUIStatus, session_id: str, *, known: Mapping[str, Kept]) -> Kept:
    """One session: what is known of it if its rows are the same, else what it is now."""
    old = known.get(session_id)
    if old is not None and old.rows:
        read = reader.spoken if old.is_short else reader.rows
        if digest_of(read(session_id)) == old.rows:
            return old
    seen = RowsDigest()
    audited, found = examine_unless_whole(reader, webui, session_id, seen)
    if isinstance(found, Whole):
        return Kept(session_id, audited, is_short=True, rows=seen.value)
    del found  # a session can be large
    return Kept(session_id, audited, is_short=False, rows=digest_of(reader.rows(session_id)))


def _stands(answer: SessionAudit | None) -> bool:
    """Whether the part of an answer that is about the worktree, and so about no copy of the session, is still true."""
    if answer is None:
        return True
    return answer.worktree is state_of(answer.worktree_path, answer.worktree_branch, answer.worktree_repo_root)


def whole_audit(inventory: Inventory, webui: WebUIStatus, sessions: Sequence[SessionAudit], seconds: float) -> Audit:
    """All sessions of a store, in the order of their ids, and the findings that are about none of them."""
    found = tuple(sorted(sessions, key=lambda session: session.session_id))
    files = len(inventory.listing.sidecars) + sum(name.endswith(".json") for name, _ in inventory.strangers)
    return Audit(inventory.store, webui, found, _store_findings(inventory, found), seconds, files)


def examine_unless_whole(
    reader: CopyReader, webui: WebUIStatus, session_id: str, seen: RowsDigest | None = None
) -> tuple[SessionAudit | None, Whole | tuple[SessionCopies, Proposal]]:
    """The same as :func:`examine`, but without a merge where no copy has anything to add to the live file.

    ``seen`` gets the rows on which that was seen.
    """
    files = _settled(reader.files(session_id), webui)
    rows = reader.spoken(session_id)
    found = whole(files, rows if seen is None else seen.over(rows))
    if found is None:
        merged = _merged(reader.with_databases(files), webui)
        reader.steps.step(_MERGE)
        return audit_session(*merged, reader, webui), merged
    index_row = files.index_row or {}
    value = lambda name: index_row.get(name) if found.head.get(name) in NOTHING else found.head[name]  # noqa: E731
    numbers = (found.messages, -1, found.rows, found.messages)
    return _row(files, reader, (), numbers, value, FileFacts(found.messages), is_loaded=True), found


def examine(
    reader: CopyReader, webui: WebUIStatus, session_id: str, choices: Choices | None = None
) -> tuple[SessionAudit | None, SessionCopies, Proposal]:
    """One session with its copies and the proposal (SessionAudit is None for a name that is no session after all)."""
    copies, proposal = merge_session(reader, session_id, webui, choices)
    return audit_session(copies, proposal, reader, webui), copies, proposal


def merge_session(
    reader: CopyReader, session_id: str, webui: WebUIStatus, choices: Choices | None = None
) -> tuple[SessionCopies, Proposal]:
    """Read the copies of one session that have come to rest, and merge them."""
    return _merged(reader.with_databases(_settled(reader.files(session_id), webui)), webui, choices)


def _merged(
    copies: SessionCopies, webui: WebUIStatus, choices: Choices | None = None
) -> tuple[SessionCopies, Proposal]:
    return copies, propose(copies, choices, stream_is_live=stream_is_live(copies, webui))


def stream_is_live(copies: SessionCopies, webui: WebUIStatus) -> bool:
    """Whether a running WebUI may be writing an answer into this session right now ("unknown" counts as yes)."""
    live = session_of(copies.live)
    return webui.may_be_writing and live is not None and live.get("active_stream_id") not in NOTHING


def _settled(copies: SessionCopies, webui: WebUIStatus) -> SessionCopies:
    """Without the temps that a running WebUI has just written."""
    if not webui.running:
        return copies
    return dataclasses.replace(copies, temps=tuple(t for t in copies.temps if time.time() - t.mtime > FRESH_TEMP))


def audit_session(
    copies: SessionCopies, proposal: Proposal, reader: CopyReader, webui: WebUIStatus
) -> SessionAudit | None:
    """The findings of one session; None for a file that turns out to be no session and that no other copy knows."""
    live, backup = session_of(copies.live), session_of(copies.backup)
    if _is_stranger(copies):
        return None
    counts = (_count(live), _count(backup))
    found = diagnose(copies, proposal, counts, streaming=stream_is_live(copies, webui))
    rows = (len(copy.messages) - len(copy.rewound | copy.hidden) for copy in copies.databases if copy.row.is_webui)
    proposed = proposal.sidecar if any(f.category is Category.REPAIRABLE for f in found) else None
    after = len(proposed.messages) if proposed is not None else counts[0]
    is_loaded = live is not None and live.damage is None
    numbers = (*counts, max(rows, default=-1), after)
    seen = facts_of(copies, reader.listing.turn_journals.get(copies.session_id, ()))
    return _row(copies, reader, found, numbers, partial(_value, copies, proposal), seen, is_loaded=is_loaded)


def _row(
    copies: SessionCopies,
    reader: CopyReader,
    found: tuple[Finding, ...],
    numbers: tuple[int, int, int, int],
    value: Callable[[str], Any],
    seen: FileFacts,
    *,
    is_loaded: bool,
) -> SessionAudit:
    """A session with these findings and those about its worktree and its index row. ``numbers`` of messages: live,
    backup, database, after a repair; ``seen``: what the WebUI's recovery sees in its files; ``is_loaded``: the WebUI
    can load the live file.
    """

    def text(name: str) -> str | None:
        said = value(name)
        return said if isinstance(said, str) and said else None

    counts = numbers[:2]
    place = path, *_ = text("worktree_path"), text("worktree_branch"), text("worktree_repo_root")
    state = state_of(*place)
    if state in (Worktree.GONE, Worktree.BRANCH_LEFT):
        branch = "Its branch is still there." if state is Worktree.BRANCH_LEFT else "Its branch was not found either."
        evidence = f"The worktree folder is gone. {branch}"
        found += (finding("worktree_gone", copies.session_id, evidence, counts=counts, path=path),)
    profile = text("profile")
    if copies.live is not None and is_profile_gone(reader.store, profile):
        evidence = f"The profile {profile!r:.80} does not exist, so the WebUI does not list its sessions."
        found += (finding("profile_gone", copies.session_id, evidence, counts=counts),)
    has_loss = any(f.category is not Category.INFO for f in found)
    found += tuple(_index_findings(copies, reader, is_loaded=is_loaded, has_loss=has_loss, counts=counts))
    return SessionAudit(
        copies.session_id,
        text("title") or "Untitled",
        found,
        *numbers,
        copies.backup.mtime if copies.backup is not None else None,
        number(value("updated_at")),
        copies.live.size if copies.live is not None else 0,
        profile,
        *place,
        state,
        seen,
    )


def _not_examined(failure: Failure, inventory: Inventory) -> SessionAudit:
    """A session that could not be looked at, as a row that says why."""
    row = inventory.listing.index.row(failure.session_id) or {}
    title = row.get("title")
    return SessionAudit(
        failure.session_id,
        title if isinstance(title, str) and title else "Untitled",
        (finding("not_examined", failure.session_id, failure.reason),),
        updated=number(row.get("updated_at")),
    )


def _is_stranger(copies: SessionCopies) -> bool:
    """A JSON document without anything of a session, a name that only an empty place is left of, or a side run."""
    if copies.is_side_run:
        return True  # its file was removed when it ended
    if copies.temps or copies.backup or copies.rows or copies.run or copies.turns or copies.index_row:
        return False
    if copies.live is None:
        return True
    parsed = copies.live.sidecar
    return parsed is not None and parsed.damage is Damage.WRONG_SHAPE and not parsed.is_session


def _count(session: Sidecar | None) -> int:
    return -1 if session is None or (session.damage is not None and not session.complete) else len(session.messages)


def _index_findings(
    copies: SessionCopies, reader: CopyReader, *, is_loaded: bool, has_loss: bool, counts: tuple[int, int]
) -> Iterator[Finding]:
    index = reader.listing.index
    if index.digest is None or index.problem is not None:
        return
    if is_loaded and copies.index_row is None:
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


def _store_findings(inventory: Inventory, sessions: Sequence[SessionAudit]) -> tuple[Finding, ...]:
    """The findings that are about no single session: ids, names, the index, the databases, other folders."""
    found = [
        finding("unsafe_id", None, f"The database has a session with the id {key!r:.80}.")
        for key in inventory.unsafe_ids()
    ]
    found += [
        finding("not_a_file", None, f"{name!r:.80} in the sessions folder: {reason}.")
        for name, reason in inventory.strangers
    ]
    index = inventory.listing.index
    if index.problem is not None and index.digest is None:
        found.append(finding("not_a_file", None, index.problem))
    elif index.problem is not None:
        found.append(finding("malformed_index", None, f"The session list is unusable: {index.problem}."))
    found += [finding("damaged_file", None, problem) for problem in inventory.problems]
    for fact in inventory.database_facts:
        if fact.state not in ("ok", "absent"):
            found.append(
                finding(
                    "state_db_unreadable",
                    None,
                    f"{fact.path}: {fact.reason}",
                    path=str(fact.path),
                    state=fact.state,
                    salvaged=fact.salvaged,
                    lost_rows=fact.lost_rows,
                )
            )
    known = {s.session_id for s in sessions}
    for folder in inventory.store.other_session_dirs:
        missing = sorted(set(_session_names(folder)) - known - inventory.listing.deleted)
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
