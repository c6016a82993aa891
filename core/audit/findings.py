"""The kinds of findings (recovery.md, section 5): stable names, how serious they are, and what a person should know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from sys import intern
from typing import Any, TypeAlias

import msgspec
from hermes_rescue.core.base.words import plural
from hermes_rescue.core.hermes.webui_recovery import NO_FILES, FileFacts
from hermes_rescue.core.hermes.worktree import Worktree
from msgspec.structs import force_setattr, replace


class Category(StrEnum):
    """What a repair does about a finding."""

    REPAIRABLE = "repairable"
    REVIEW = "review"
    INFO = "info"

    @property
    def webui(self) -> str:
        """The name that Hermes WebUI's own audit gives it."""
        return "unsafe_to_repair" if self is Category.REVIEW else str(self)


class Standing(StrEnum):
    """How a session stands, as every list and every total names it. ``LEFT``: as it is, by a person's decision;
    ``PARTLY_READ``: healthy as far as its copies could be read; ``LEFT_OUT``: healthy but for messages that the user
    took back or left out.
    """

    REPAIRABLE = "repairable"
    REVIEW = "review"
    LEFT = "left"
    LEFT_OUT = "left_out"
    DELETED = "deleted"
    PARTLY_READ = "partly_read"
    NOTE = "note"
    HEALTHY = "healthy"


ONE_STANDS = {
    Standing.REPAIRABLE: "can be repaired",
    Standing.REVIEW: "your decision",
    Standing.LEFT: "left as it is",
    Standing.LEFT_OUT: "partly left out",
    Standing.DELETED: "deleted by you",
    Standing.PARTLY_READ: "partly read",
    Standing.NOTE: "note",
    Standing.HEALTHY: "healthy",
}
"""How a session stands, for a person."""

_STAND = {  # one session, and more
    Standing.REPAIRABLE: ("can be repaired",) * 2,
    Standing.REVIEW: ("needs your decision", "need your decision"),
    Standing.LEFT: ("left as it is (by you)", "left as they are (by you)"),
    Standing.LEFT_OUT: ("with parts that you took back or left out",) * 2,
    Standing.DELETED: ("deleted by you",) * 2,
    Standing.PARTLY_READ: ("healthy as far as it could be read", "healthy as far as they could be read"),
    Standing.NOTE: ("with a note",) * 2,
    Standing.HEALTHY: ("healthy",) * 2,
}


def how_they_stand(n: int, standing: Standing) -> str:
    """The same after the number of the sessions that stand so."""
    return plural(n, *_STAND[standing])


DELETED_BY_USER = "state_db_deleted_webui_tombstone"
COPY_DAMAGED, COPY_DENIED = "damaged_file", "copy_denied"
OTHER_STATE_DIR = "other_state_dir"


@dataclass(frozen=True, slots=True)
class Kind:
    """What holds for every finding of one kind. ``recommendation`` is the WebUI audit's own word where it has one."""

    name: str
    category: Category
    label: str
    recommendation: str
    severity_text: str
    advice: str
    effect: str
    usable_meanwhile: str


Counts: TypeAlias = tuple[int | None, int | None]
"""The messages in the live file and in the backup, None where there is nothing readable."""

Story: TypeAlias = tuple[str | float, ...]
"""What happened (:mod:`core.audit.story`): texts, and between them times in seconds since 1970."""


class Finding(msgspec.Struct, frozen=True, gc=False):
    """One finding of one session (``session_id`` None: of the store). ``evidence`` is a plain sentence; counts are None
    where the file is absent or unreadable. ``category`` can be another than the kind's own. ``story`` is empty where
    the evidence says as much.
    """

    name: str
    category: Category
    session_id: str | None
    evidence: str
    live_messages: int | None = None
    bak_messages: int | None = None
    details: Mapping[str, Any] = msgspec.field(default_factory=dict)
    story: Story = ()

    def text(self, moment: Callable[[float], str]) -> str:
        """What happened, for a person. ``moment`` writes a time as it stands after "at" or "between"."""
        return "".join(part if isinstance(part, str) else moment(part) for part in self.story) or self.evidence

    def with_more(self, sentence: str) -> Finding:
        """The same with one more sentence about it."""
        story = (*self.story, f" {sentence}") if self.story else ()
        return replace(self, evidence=f"{self.evidence} {sentence}", story=story)

    @property
    def kind(self) -> Kind:
        """What holds for every finding of its name."""
        return KINDS[self.name]

    @property
    def label(self) -> str:
        """What it is, in a few words."""
        return "repair written over" if self.details.get(WRITTEN_OVER) else self.kind.label

    @property
    def advice(self) -> str:
        """What to do about it, also where its category is another than that of its kind."""
        if self.details.get(LEFT):
            return _LEFT
        if self.details.get(WRITTEN_OVER):
            return _OVER
        if self.category is self.kind.category:
            return self.kind.advice
        return {Category.REVIEW: _DECIDE, Category.REPAIRABLE: _REPAIR, Category.INFO: _LATER}[self.category]


_NONE: Mapping[str, int] = {}
_facts = lru_cache(FileFacts)


class SessionAudit(msgspec.Struct, frozen=True, gc=False):
    """One session as a list shows it. Counts are None where a copy is absent or unreadable; times in seconds; ``after``
    is the number of messages that a repair leaves (the live count where there is nothing to repair). ``left_out``:
    messages that other copies hold and the user took back, which a repair does not bring; ``is_cleared``: with a clear;
    ``left_out_by_you``: those that were left out of an earlier repair. ``files``: what the WebUI's own recovery sees in
    its files. ``basis`` is a digest of the file and of what a repair would make of it (empty where there is nothing to
    repair or decide). ``offered``: how many messages each copy from another place offers, by the name of the copy.
    ``proposed``: the number of messages that a repair by its name leaves where its questions stay open, None where
    nobody looked. ``is_partly_read``: a database that can hold more of it cannot be read.

    Nothing in it refers to it, so Python need not look for that: a store can have 100,000.
    """

    session_id: str
    title: str
    findings: tuple[Finding, ...]
    live: int | None = None
    backup: int | None = None
    database: int | None = None
    after: int | None = None
    backup_time: float | None = None
    updated: float | None = None
    size: int = 0
    profile: str | None = None
    worktree_path: str | None = None
    worktree_branch: str | None = None
    worktree_repo_root: str | None = None
    worktree: Worktree = Worktree.NONE
    files: FileFacts = NO_FILES
    left_out: int = 0
    is_cleared: bool = False
    basis: str = ""
    offered: Mapping[str, int] = _NONE
    created: float | None = None
    left_out_by_you: int = 0
    proposed: int | None = None
    is_partly_read: bool = False

    def __post_init__(self) -> None:
        """What many sessions have alike is held once, also where they come from another process."""
        force_setattr(self, "session_id", intern(self.session_id))
        force_setattr(self, "files", _facts(*self.files))
        force_setattr(self, "offered", self.offered or _NONE)

    @property
    def standing(self) -> Standing:
        """How the session stands."""
        names = {f.name for f in self.findings}
        if self.category in (Category.REPAIRABLE, Category.REVIEW):
            return Standing(str(self.category))
        if self.is_left:
            return Standing.LEFT
        if DELETED_BY_USER in names:
            return Standing.DELETED
        if self.is_partly_read or not names.isdisjoint((COPY_DAMAGED, COPY_DENIED)):
            return Standing.PARTLY_READ
        if (self.left_out or self.left_out_by_you) and not self.has_repair:
            return Standing.LEFT_OUT
        return Standing.NOTE if names else Standing.HEALTHY

    @property
    def fingerprint(self) -> str:
        """That of the proposal of a session (:mod:`core.merge.choices`); empty where there is nothing to repair or
        decide.
        """
        return self.basis.partition("-")[0]

    @property
    def is_left(self) -> bool:
        """Whether a person left it as it is (:mod:`core.audit.left`); its findings are notes then."""
        return any(LEFT in f.details for f in self.findings)

    @property
    def is_written_over(self) -> bool:
        """Whether a repair of it was written over (:mod:`core.audit.written_over`)."""
        return any(WRITTEN_OVER in f.details for f in self.findings)

    @property
    def category(self) -> Category | None:
        """The most urgent category of the findings; None for a healthy session."""
        if not self.findings:
            return None
        found = {f.category for f in self.findings}
        return next((category for category in Category if category in found), None)

    @property
    def main(self) -> Finding | None:
        """The first of the most urgent findings; None for a healthy session."""
        return next((f for f in self.findings if f.category is self.category), None)

    @property
    def has_repair(self) -> bool:
        """Whether something can be done about it when it is named."""
        return self.is_left or any(
            f.category is not Category.INFO or f.kind.recommendation == MOVE_BACKUP for f in self.findings
        )


LEFT = "left_by_you"
"""The detail of a finding of a session that a person left as it is."""

WRITTEN_OVER = "written_over"
"""The detail of a finding of a session whose repair was written over (:mod:`core.audit.written_over`)."""

_OVER = "Stop Hermes WebUI, then repair it again."
_LEFT = "Nothing: you left it as it is. That holds until a copy of the session changes."

NO_ADVICE = "Nothing."
"""What to do where nothing is to be done."""

_MERGE = "Every copy is merged into the file, in order. The old file is kept and can be put back."
_REBUILD = "The session file is written again from every copy that is left. Nothing is overwritten."
_WAIT = "No. A new message could overwrite what can still be recovered."
_YES = "Yes."
_YES_CARE = "Yes, but do not compress or clear this session before it is repaired."
_NOTHING = "Nothing is changed."
_REPAIR = "Repair it."
_LATER = "Wait until Hermes has finished its answer, then look again."
_DECIDE = "Look at the messages and decide."
_GIVE = "Give it the right owner, as the evidence says, then look again."
_MANUAL = "manual_review"

MOVE_BACKUP = "move_backup"
"""The recommendation of a note about which something can be done all the same."""

_R, _V, _I = Category.REPAIRABLE, Category.REVIEW, Category.INFO

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("shrunken_live", _R, "messages lost", "restore_from_bak", "Messages are missing from the session; the backup still has them.",
             _REPAIR, _MERGE, _YES_CARE),
        Kind("shrunken_live_unmarked", _V, "shortened", _MANUAL,
             "The backup holds messages after the end of the session. An undo of an older version looks the same as a loss.",
             _DECIDE, _MERGE, _YES),
        Kind("emptied_live", _R, "emptied", "materialize_from_state_db", "The session is empty; the database still has its messages.",
             _REPAIR, _MERGE, _WAIT),
        Kind("orphan_backup", _R, "file missing", "restore_from_bak", "The session file is gone; its backup is left.",
             _REPAIR, _REBUILD, "The session does not show up until it is repaired."),
        Kind("orphan_backup_without_state_row", _V, "backup only", _MANUAL,
             "The session file is gone and no database knows the session: it was deleted, or everything but the backup is lost.",
             "Restore it if you miss it, else leave it.", _REBUILD, _YES),
        Kind("malformed_orphan_backup", _V, "damaged backup", _MANUAL, "Only a damaged backup is left of the session.",
             "Restore what is whole in it, or leave it.", _REBUILD, _YES),
        Kind("malformed_live", _R, "file damaged", "restore_from_bak", "The WebUI cannot load the session file.",
             _REPAIR, "What is whole in the file is merged with every other copy. The damaged file is kept in the vault.",
             "The session cannot be opened until it is repaired."),
        Kind("state_db_missing_sidecar", _R, "file missing", "materialize_from_state_db",
             "The session file is gone; the database still has the session.", _REPAIR, _REBUILD,
             "The session does not show up until it is repaired."),
        Kind("state_db_orphan_webui_row", _V, "empty row", _MANUAL, "The database knows an empty session that has no file: there is nothing to lose.",
             "Leave it.", _NOTHING, _YES),
        Kind("state_db_ahead", _R, "ahead in the database", "materialize_from_state_db",
             "The last messages of the session are in the database only.", _REPAIR, _MERGE, _YES_CARE),
        Kind("state_db_gap", _R, "messages missing", "materialize_from_state_db",
             "Messages from the middle or the beginning of the session are in the database only.", _REPAIR, _MERGE, _YES_CARE),
        Kind("lossy_rebuild", _R, "parts missing", "materialize_from_state_db",
             "Messages have lost parts of themselves: tool calls, reasoning, attachments or text.", _REPAIR,
             "The missing parts come back from the other copies.", _YES),
        Kind("unsaved_temp", _R, "unsaved", "restore_from_temp", "A save was interrupted; what it was to save lies in a temporary file.",
             _REPAIR, _MERGE, _WAIT),
        Kind("run_journal_ahead", _R, "ahead in the run journal", "restore_from_run_journal",
             "The last messages of the session are in the run journal only.", _REPAIR, _MERGE, _YES_CARE),
        Kind("backup_would_return", _I, "old backup", MOVE_BACKUP, "The next start of Hermes WebUI will replace this session with its backup.",
             "Repair it before you restart Hermes WebUI.", "The backup moves to the vault; the session file is not changed.",
             "Yes, until Hermes WebUI is restarted."),
        Kind("stale_stream", _R, "stuck", "clear_stale_stream", "The session is still marked as generating a reply, but nothing is running.",
             _REPAIR, "The stuck state is cleared. A prompt that is in no copy becomes a message. Every message stays.",
             "It may refuse new messages until it is repaired."),
        Kind("turn_journal_pending_turn", _V, "unanswered prompt", "audit_only_pending_turn_journal",
             "A prompt that you sent was not answered, and is not in the conversation.", "Restore it if you want it back in the conversation.",
             "The prompt is added as your message.", _YES),
        Kind("further_copy", _V, "copy elsewhere", _MANUAL, "A copy in another place has messages that the session's own copies lack.",
             "Look at the messages and restore them if you miss them.", "The messages that you miss are merged into the session. The copy stays where it is.",
             _YES),
        Kind("run_journal_only", _V, "run journal only", _MANUAL, "Only the run journal is left of the session; secrets in it may be masked.",
             "Restore it if you miss it, else leave it.", _REBUILD, _YES),
        Kind(DELETED_BY_USER, _I, "deleted by you", "deleted_session_skipped",
             "You deleted the session; copies of it are left.", NO_ADVICE, _NOTHING, _YES),
        Kind("index_only_worktree", _R, "file missing", "restore_from_index",
             "The session file is gone; the session list still has the session and its worktree.", _REPAIR,
             "The session file is written again, without messages; the session keeps its worktree.",
             "The session does not show up until it is repaired."),
        Kind("index_missing_entry", _R, "not listed", "rebuild_index", "The session list does not have the session.",
             _REPAIR, "The session list is built again from the session files.", _YES),
        Kind("index_missing_file", _V, "listed without file", "rebuild_index", "The session list has a session of which nothing is left.",
             "Look for a backup and add it; repair the session by name to take it from the list.", "The session list is built again from the session files; the old list is kept in the vault.", _YES),
        Kind("malformed_index", _R, "list damaged", "rebuild_index", "The session list cannot be read.", _REPAIR,
             "The session list is built again from the session files.", _YES),
        Kind("in_cloud", _V, "in iCloud", _MANUAL, "The content of the session file is not on this disk.",
             "Download the file from iCloud, then look again.", _NOTHING, "No."),
        Kind("id_mismatch", _I, "wrong id", _MANUAL, "The file carries the id of another session.",
             "Nothing. What it adds is offered where the session is.", _NOTHING, "Use the session that it is a copy of."),
        Kind("wrong_count", _R, "wrong count", "rewrite_head", "The message count in the file is not the number of its messages.",
             _REPAIR, "The count is corrected.", _YES),
        Kind("unsafe_id", _I, "unsafe id", _MANUAL, "The database has a session whose id cannot be a file name.", NO_ADVICE, _NOTHING, _YES),
        Kind("worktree_gone", _I, "worktree gone", "none", "The folder of the session's worktree is gone.",
             "Make the worktree again from its branch if you need the files.", _NOTHING, "You can read it; its tools have no folder to work in."),
        Kind("profile_gone", _I, "profile gone", "none", "The profile of the session does not exist, so the WebUI hides the session.",
             "Make the profile again, or give the session another one.", _NOTHING, "Not before its profile exists."),
        Kind(OTHER_STATE_DIR, _V, "another folder", _MANUAL, "Another folder holds sessions that this one lacks.",
             "Check which folder your WebUI uses; hermes-rescue import FOLDER takes its sessions over.", _NOTHING, _YES),
        Kind("no_sessions_folder", _V, "sessions folder missing", _MANUAL, "The folder of the session files is not where it should be.",
             "Name it with --session-dir if it is elsewhere; sessions that are named are built again from the database.", _NOTHING,
             "No. Hermes WebUI would begin with an empty list."),
        Kind("state_db_unreadable", _I, "database unreadable", _MANUAL, "A database cannot be read, so what it holds is unknown.",
             "Close whatever locks it, or restore it, and look again.", "Sessions are recovered from the other copies.", _YES),
        Kind("not_examined", _V, "not examined", _MANUAL, "This session could not be looked at, so what is wrong with it is unknown.",
             "Try again; if it stays so, report it with the evidence.", _NOTHING, _YES),
        Kind(COPY_DAMAGED, _I, "other file damaged", _MANUAL, "A file beside the session file cannot be read, or not in full.",
             "Nothing, unless you miss what only that file can hold.", "What is whole in it is used; the file stays as it is.", _YES),
        Kind("live_denied", _V, "no permission", _MANUAL, "The session file may not be read by the user that runs this.",
             _GIVE, _NOTHING, "Hermes may not be able to open it either."),
        Kind(COPY_DENIED, _I, "copy not permitted", _MANUAL, "A copy, or the database, may not be read by the user that runs this.",
             _GIVE, "What it holds stays unknown; the other copies are used.", _YES),
        Kind("not_a_file", _I, "not a file", _MANUAL, "Something that is no ordinary file has the name of a session file.",
             "Move it away if you did not put it there.", _NOTHING, _YES),
    )
}  # fmt: skip


def finding(
    kind: str,
    session_id: str | None,
    evidence: str,
    *,
    counts: Counts = (None, None),
    category: Category | None = None,
    story: Story = (),
    **details: Any,
) -> Finding:
    """A finding of a kind, with its evidence. ``counts``: messages in the live file and in the backup."""
    return Finding(kind, category or KINDS[kind].category, session_id, evidence, *counts, details, story)
