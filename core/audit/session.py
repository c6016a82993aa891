"""One session examined: its copies read and merged, and what the merge would change as findings."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
from hermes_rescue.core.audit.cache import RowsDigest
from hermes_rescue.core.audit.diagnosis import diagnose
from hermes_rescue.core.audit.elsewhere import added_by
from hermes_rescue.core.audit.findings import Category, Counts, Finding, SessionAudit, finding
from hermes_rescue.core.audit.webui_audit import facts_of
from hermes_rescue.core.base.files import shown
from hermes_rescue.core.base.jsontext import NOTHING, Damage, number
from hermes_rescue.core.base.progress import Steps
from hermes_rescue.core.hermes.copies import CopyReader, FileCopies, SessionCopies
from hermes_rescue.core.hermes.database.lineage import Doubt
from hermes_rescue.core.hermes.listing import FRESH_TEMP
from hermes_rescue.core.hermes.places.candidate import Form
from hermes_rescue.core.hermes.places.forms import contents_of, may_add
from hermes_rescue.core.hermes.sidecar import FIELD_DEFAULTS, Sidecar
from hermes_rescue.core.hermes.webui_recovery import FileFacts
from hermes_rescue.core.hermes.webui_status import WebUIStatus
from hermes_rescue.core.hermes.worktree import Worktree, state_of
from hermes_rescue.core.merge.choices import Choices
from hermes_rescue.core.merge.evidence import FLEETING
from hermes_rescue.core.merge.fast_path import up_to_date
from hermes_rescue.core.merge.intent import TAKEN_BACK, Reason
from hermes_rescue.core.merge.lasting import lasts
from hermes_rescue.core.merge.metadata import is_profile_gone
from hermes_rescue.core.merge.proposal import Proposal, propose
from hermes_rescue.core.merge.sidecar_copies import session_of

_MERGE = 0.4
"""The share of what is left to do for a session that the merge of its copies takes, about."""


@dataclass(frozen=True, slots=True)
class Examined:
    """A session with its copies and what a repair would make of them. ``audited`` is None for a name that is no session
    after all.
    """

    audited: SessionAudit | None
    copies: SessionCopies
    proposal: Proposal


def examine(
    reader: CopyReader,
    webui: WebUIStatus,
    session_id: str,
    choices: Choices | None = None,
    *,
    steps: Steps | None = None,
) -> Examined:
    """Read the copies of one session that have come to rest, merge them, and say what that would change.

    ``steps`` hears how far it is; Cancelled comes from there.
    """
    merged = merge_session(reader, webui, session_id, choices, steps=steps or Steps())
    return Examined(_audited(*merged, reader, webui), *merged)


def merge_session(
    reader: CopyReader, webui: WebUIStatus, session_id: str, choices: Choices | None = None, *, steps: Steps
) -> tuple[SessionCopies, Proposal]:
    """The same without the findings, for what only takes the transcript."""
    return _merged(_settled(reader.files(session_id, steps), webui), reader, webui, choices, steps)


def examine_unless_up_to_date(
    reader: CopyReader, webui: WebUIStatus, session_id: str, steps: Steps, seen: RowsDigest | None = None
) -> Examined | SessionAudit:
    """The same, but only the findings, without a merge, where no copy has anything to add to the live file.

    ``seen`` gets the rows on which that was seen.
    """
    files = _settled(reader.files(session_id, steps), webui)
    rows = reader.raw_message_rows(session_id, steps)
    places = reader.listing.places.of.get(session_id, ())
    found = None
    if not any(each.is_near for each in places):
        found = up_to_date(files, rows if seen is None else seen.over(rows), contents_of(places))
    if found is not None:
        wanted = [each for each in places if each.form is Form.DATABASE and may_add(each, found.messages)]
        if wanted and up_to_date(files, reader.further.raw_message_rows(session_id, wanted, steps)) is None:
            found = None
    if found is None:
        merged = _merged(files, reader, webui, None, steps)
        return Examined(_audited(*merged, reader, webui), *merged)
    index_row = files.index_row or {}
    value = lambda name: index_row.get(name) if found.head.get(name) in NOTHING else found.head[name]  # noqa: E731
    numbers = (found.messages, None, found.rows, found.messages)
    facts = FileFacts(found.messages) if files.are_turns_ended else _facts(files, reader)
    row = _row(files, reader, (), numbers, value, facts, is_loaded=True)
    return msgspec.structs.replace(row, proposed=found.messages)


def _merged(
    files: FileCopies, reader: CopyReader, webui: WebUIStatus, choices: Choices | None, steps: Steps
) -> tuple[SessionCopies, Proposal]:
    copies = reader.with_databases(files, steps)
    proposal = propose(copies, choices, stream_is_live=stream_is_live(copies, webui))
    if choices is None and not lasts(copies, proposal):
        proposal = dataclasses.replace(proposal, doubt=FLEETING)
    steps.step(_MERGE, may_cancel=False)
    return copies, proposal


def stream_is_live(copies: FileCopies, webui: WebUIStatus) -> bool:
    """Whether a running WebUI may be writing an answer into this session right now ("unknown" counts as yes)."""
    live = session_of(copies.live)
    return webui.may_be_writing and live is not None and live.get("active_stream_id") not in NOTHING


def _settled(files: FileCopies, webui: WebUIStatus) -> FileCopies:
    """Without the temps that a running WebUI has just written."""
    if not webui.running:
        return files
    return dataclasses.replace(files, temps=tuple(t for t in files.temps if time.time() - t.mtime > FRESH_TEMP))


def _audited(copies: SessionCopies, proposal: Proposal, reader: CopyReader, webui: WebUIStatus) -> SessionAudit | None:
    """The findings of one session; None for a file that turns out to be no session and that no other copy knows."""
    live, backup = session_of(copies.live), session_of(copies.backup)
    if _is_stranger(copies):
        return None
    counts = (_count(live), _count(backup))
    found = diagnose(copies, proposal, counts, streaming=stream_is_live(copies, webui))
    rows = (len(copy.messages) - len(copy.rewound | copy.hidden) for copy in copies.databases if copy.row.is_webui)
    proposed = proposal.sidecar if any(f.category is Category.REPAIRABLE for f in found) else None
    after = len(proposed.messages) if proposed is not None else counts[0]
    sid = copies.session_id
    is_loaded = live is not None and live.damage is None and live.get("session_id", sid) == sid
    numbers = (*counts, max(rows, default=None), after)
    value = partial(_value, copies, proposal)
    row = _row(copies, reader, found, numbers, value, _facts(copies, reader), is_loaded=is_loaded)
    taken_back = [item.reason for item in proposal.items if item.reason in TAKEN_BACK and not item.included]
    offered = {copy.name: n for copy in copies.further if (n := added_by(proposal, copy.name))}
    row = msgspec.structs.replace(
        row,
        left_out=len(taken_back),
        is_cleared=Reason.CLEARED in taken_back,
        offered=offered,
        left_out_by_you=proposal.left_out_before,
        proposed=len(proposal.included),
    )
    if all(f.category is Category.INFO for f in found):
        return row
    live_file = copies.live.digest if copies.live is not None else None
    return msgspec.structs.replace(row, basis=f"{proposal.fingerprint}-{(live_file or 'none')[:16]}")


def _facts(files: FileCopies, reader: CopyReader) -> FileFacts:
    return facts_of(files, reader.listing.turn_journals.get(files.session_id, ()))


def _row(
    files: FileCopies,
    reader: CopyReader,
    found: tuple[Finding, ...],
    numbers: tuple[int | None, int | None, int | None, int | None],
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
        current = value(name)
        return current if isinstance(current, str) and current else None

    counts = numbers[0], numbers[1]
    created = number(value("created_at"))
    place = path, *_ = text("worktree_path"), text("worktree_branch"), text("worktree_repo_root")
    state = state_of(*place)
    if state in (Worktree.GONE, Worktree.BRANCH_LEFT):
        branch = "Its branch is still there." if state is Worktree.BRANCH_LEFT else "Its branch was not found either."
        evidence = f"The worktree folder is gone. {branch}"
        found += (finding("worktree_gone", files.session_id, evidence, counts=counts, path=path),)
    profile = text("profile")
    if files.live is not None and is_profile_gone(reader.store, profile):
        evidence = f"The profile {profile!r:.80} does not exist, so the WebUI does not list its sessions."
        found += (finding("profile_gone", files.session_id, evidence, counts=counts),)
    has_loss = any(f.category is not Category.INFO for f in found)
    found += tuple(_index_findings(files, reader, is_loaded=is_loaded, has_loss=has_loss, counts=counts))
    return SessionAudit(
        files.session_id,
        text("title") or "Untitled",
        found,
        *numbers,
        files.backup.mtime if files.backup is not None else None,
        number(value("updated_at")) or created,
        files.live.size if files.live is not None else 0,
        profile,
        *place,
        state,
        seen,
        created=created,
    )


def _is_stranger(copies: SessionCopies) -> bool:
    """A JSON document without anything of a session, a name that only an empty place is left of, or a side run."""
    if copies.is_side_run:
        return True  # its file was removed when it ended
    if copies.temps or copies.backup or copies.rows or copies.run or copies.turns or copies.index_row or copies.further:
        return False
    if copies.live is None:
        return True
    parsed = copies.live.sidecar
    return parsed is not None and parsed.damage is Damage.WRONG_SHAPE and not parsed.is_session


def _count(session: Sidecar | None) -> int | None:
    return None if session is None or (session.damage is not None and not session.complete) else len(session.messages)


def _index_findings(
    files: FileCopies, reader: CopyReader, *, is_loaded: bool, has_loss: bool, counts: Counts
) -> Iterator[Finding]:
    index = reader.listing.index
    if index.digest is None or index.problem is not None:
        return
    if is_loaded and files.index_row is None:
        yield finding(
            "index_missing_entry", files.session_id, "The session list does not have this session.", counts=counts
        )
    if files.live is None and files.index_row is not None and not has_loss:
        yield _gone(files, reader, files.index_row, counts)


def _gone(files: FileCopies, reader: CopyReader, row: Mapping[str, Any], counts: Counts) -> Finding:
    """Of a session that only its row in the session list is left of."""
    places = reader.listing.places
    if files.away is Doubt.IN_CLOUD:
        evidence = "Only a placeholder of the file is on this disk; its content is in iCloud."
        return finding("in_cloud", files.session_id, evidence, counts=counts)
    looked = (reader.store.sessions_dir, *reader.store.databases, *places.looked)
    where = ", ".join(dict.fromkeys(shown(str(path)) for path in looked))
    is_nothing = not row.get("message_count") and row.get("title") in (*NOTHING, FIELD_DEFAULTS["title"])
    evidence = f"The session list has this session, but its file and every copy are gone. Looked in {where}."
    category = Category.REPAIRABLE if is_nothing else None
    return finding("index_missing_file", files.session_id, evidence, counts=counts, category=category)


def _value(copies: SessionCopies, proposal: Proposal, name: str) -> Any:
    for session in (proposal.sidecar, session_of(copies.live), session_of(copies.backup)):
        if session is not None and session.get(name) not in NOTHING:
            return session.get(name)
    if copies.index_row is not None or not copies.further:
        return (copies.index_row or {}).get(name)
    return next(iter(proposal.offers.get(name, {}).values()), None)
