"""What is known of a session beside its messages, and what is concluded from it (recovery.md, section 4)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from itertools import pairwise

from hermes_rescue.core.hermes.copies import LIVE, RUN, SessionCopies
from hermes_rescue.core.hermes.database.blocks import SECOND, carried_text, within
from hermes_rescue.core.hermes.message import asks_for_last_words
from hermes_rescue.core.hermes.sidecar import FIELD_DEFAULTS, Sidecar
from hermes_rescue.core.merge.intent import Marks, Reason, has_marks
from hermes_rescue.core.merge.stamps import is_same
from hermes_rescue.core.merge.transcript import Entry
from hermes_rescue.core.merge.turns import Turn, turns

UNDECIDED = "You took messages back and went on; which of those that are left came after that, no copy says."
BEGINNING = "The newest answer was given without what was said before it: you took that back, or it was lost before."
OLDER = (
    "The newest answer was given without messages that the file has: the file is from before you took them back, or "
    "they had been lost by then."
)
SHORTENED = "The file was shortened after the last answer, on purpose or by damage; no copy that is left says which."
UNREAD = "No copy has a message of it, and not all of the file can be read: it was empty, or they are lost."
CONTRADICTED = (
    "The file held messages when it was saved, and all that the copies hold seems to have been taken back before that: "
    "these are the ones that it held, or they are lost."
)
FLEETING = "Once the file is repaired, no copy will show what you took back and what was lost."
"""What can be in doubt about a whole session."""


class FileState(StrEnum):
    """What is left of the live file. ``WHOLE``: it can be loaded and holds messages."""

    WHOLE = "whole"
    EMPTY = "empty"
    TORN = "torn"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Witness:
    """A copy that holds a transcript as it once stood: saved when (seconds), with which marks (None: it has none to
    say). ``is_whole``: nothing of it is missing; ``has_marks``: it is not torn before its marks.
    """

    name: str
    saved: float | None
    marks: Marks | None = None
    is_whole: bool = True
    has_marks: bool = True


class Witnesses(tuple[Witness, ...]):
    """Copies that are asked of many messages: leftover temps can be thousands."""

    @cached_property
    def names(self) -> frozenset[str]:
        """Their names."""
        return frozenset(w.name for w in self)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a session beside its messages. Times in seconds, None where nobody says.

    ``marks`` are those of the file, or of the newest copy that has any, which was saved at ``marked``; ``saved``: when
    the file was last saved; ``pending``: when the ``prompt`` was sent that was still unanswered then; ``sent``: when
    the newest one was that the journals know, the ``sent_prompt``; ``is_set_back``: these know that the clock was set
    back before the prompt of ``run``. ``count`` and ``last``: how many messages it had when it was saved, and the stamp
    of the last one; ``is_of_head``: its own head counts them, which is never late. ``prompts``: how many prompts the
    session list counted when it last wrote its row, which is never late either. ``backup`` is the act's own backup
    or another file from before or after, ``run`` the newest finished run, ``others`` further files, the newest first.
    ``is_untitled``: the file, of a lost one the list, has the title of a new session, as a clear leaves it;
    ``has_title_of_turn``: it has another one, and not from a person; ``is_missing``: there is no file at all.
    ``listed``: when the session list last wrote its row; ``is_listed_first``: that is before it says that the session
    was created, so a clock was set back.
    """

    state: FileState
    marks: Marks
    marked: float | None = None
    saved: float | None = None
    pending: float | None = None
    count: int | None = None
    last: float | None = None
    backup: Witness | None = None
    run: Witness | None = None
    others: tuple[Witness, ...] = ()
    is_untitled: bool = False
    is_missing: bool = False
    databases: frozenset[str] = frozenset()
    sent: float | None = None
    prompt: str = ""
    listed: float | None = None
    is_set_back: bool = False
    has_title_of_turn: bool = False
    is_listed_first: bool = False
    is_of_head: bool = False
    sent_prompt: str = ""
    prompts: int | None = None

    @property
    def was_emptied_after_turn(self) -> bool:
        """Whether an empty file was cleared, and has the title of a turn since: it was emptied once more, and nothing
        counts what it had.
        """
        is_cleared = self.marks.is_cleared and self.marks.clear_generation is not None
        is_empty = self.state is FileState.EMPTY and self.pending is None and not self.count
        return is_empty and is_cleared and self.has_title_of_turn

    @property
    def is_whole_untitled(self) -> bool:
        """Whether the file can be loaded and has the title of a new session, which the first turn takes away."""
        return self.is_untitled and self.state in (FileState.WHOLE, FileState.EMPTY)

    @property
    def was_named_empty(self) -> bool:
        """Whether a file that was cleared has a title that no turn gave it, but a person: the session list knows it as
        empty as it is, and there is no backup, which a save of fewer messages would have left.
        """
        is_cleared = self.marks.is_cleared and self.marks.clear_generation is not None
        return is_cleared and self.was_seen_empty and not self.has_title_of_turn and self.backup is None

    @property
    def can_have_held_messages(self) -> bool:
        """Whether a file is there that is damaged, and nothing counts that it was empty."""
        return not self.is_missing and self.state in (FileState.LOST, FileState.TORN) and self.count != 0

    @property
    def counts_messages(self) -> bool:
        """Whether a torn file held messages when it was saved: its head counts them, or the list its prompts."""
        return self.state is FileState.TORN and bool(self.count if self.is_of_head else self.prompts)

    @property
    def is_torn_unmarked(self) -> bool:
        """Whether the file is torn and has no mark of an act, of a version that does not mark every act."""
        return self.state is FileState.TORN and self.marks.act is None and not self.marks.records_acts

    @property
    def is_torn_untitled(self) -> bool:
        """Whether a file that is torn before its marks has that title, or the session list, which knows of no prompt
        that was sent since.
        """
        return self.is_untitled and self.state is FileState.LOST and self.pending is None

    @property
    def is_behind_list(self) -> bool:
        """Whether the session list knows of a message from after the file was saved, empty."""
        is_later = self.last is not None and self.saved is not None and self.last > self.saved
        return self.state is FileState.EMPTY and is_later

    @property
    def was_seen_empty(self) -> bool:
        """Whether the session list knows of the file as it was saved, empty: it was not emptied since."""
        return self.state is FileState.EMPTY and self.is_listed_empty

    @property
    def is_listed_empty(self) -> bool:
        """Whether the session list knows of a save of no messages: then the last one has the date of the save."""
        return self.count == 0 and self.saved is not None and self.last == self.saved


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why messages are left out, by their position. ``doubt`` names both readings where the whole is in question;
    ``base`` is the copy that holds the transcript as it was last saved; ``origin`` too, or one from right before the
    newest act. ``again`` are the messages of the file that were said after that act, whatever the copies from before it
    (``older``) have of the same words.
    """

    reasons: Mapping[int, Reason] = field(default_factory=dict)
    doubt: str | None = None
    base: str | None = None
    origin: str | None = None
    again: frozenset[int] = frozenset()
    older: frozenset[str] = frozenset()


def state_of(live: Sidecar | None) -> FileState:
    """What is left of a live file."""
    if live is None:
        return FileState.LOST
    if live.damage is not None and not has_all_messages(live):
        return FileState.TORN if has_marks(live) else FileState.LOST
    return FileState.WHOLE if live.messages else FileState.EMPTY


def has_all_messages(file: Sidecar) -> bool:
    """Whether no message of a file is missing: it is complete, or has as many as its head counts."""
    return file.complete or len(file.messages) == file.get("message_count")


def is_untitled(live: Sidecar | None) -> bool:
    """Whether the file has the title of a new session, as a clear leaves it, or that of an unanswered prompt."""
    title = live.get("title") if live is not None else None
    pending = live.get("pending_user_message") if live is not None else None
    begun = isinstance(pending, str) and isinstance(title, str) and bool(title) and pending.startswith(title)
    return begun or title == FIELD_DEFAULTS["title"]


def has_title_of_turn(live: Sidecar | None) -> bool:
    """Whether a turn gave the file its title: a clear takes that away, and says that no person gave it."""
    title = live.get("title") if live is not None else None
    is_named = isinstance(title, str) and bool(title) and not is_untitled(live)
    return is_named and live is not None and live.get("manual_title") is not True


def reasons_of_rows(
    entries: Sequence[Entry], copies: SessionCopies, live: Sidecar | None, files: Collection[str]
) -> dict[int, Reason]:
    """Why rows say themselves that a message (by position) is not to be shown, or to be shown once. ``files``: the
    copies that are sidecars.
    """
    is_whole = state_of(live) is FileState.WHOLE  # then it has the summaries that the server wanted in it
    reason_of = {
        id(m): Reason.REWOUND if k in copy.rewound else Reason.HIDDEN if k in copy.hidden else None
        for copy in copies.databases
        for k, m in enumerate(copy.messages)
    }
    databases = {copy.name for copy in copies.databases}
    found: dict[int, Reason] = {}
    for turn, beside in written_again(entries, databases):
        if not entries[beside.start].versions.keys() <= databases:  # a copy that was made of the whole session knows
            found |= dict.fromkeys(range(turn.start, turn.end), Reason.CONTAINED)
    for k, e in enumerate(entries):
        if LIVE in e.versions or (asks_for_last_words(e.merged) and not e.versions.keys() <= databases):
            continue  # an old server shows what the agent asked for itself
        rows = [version for version in e.versions.values() if id(version) in reason_of]
        # a row that has lost its text says nothing about the message that another copy still has
        found_reasons = [
            reason_of[id(v)] for v in rows if not v.is_empty or e.merged.is_empty or reason_of[id(v)] == Reason.REWOUND
        ]
        if found_reasons and None not in found_reasons:
            found[k] = next(reason for reason in found_reasons if reason is not None)
        elif e.merged.is_summary and (
            not any(name in files and not _is_row(e, name, databases) for name in e.versions)
            or (is_whole and carried_text(e.merged) is None)
        ):
            found[k] = Reason.SUMMARY
    return found


def _is_row(e: Entry, name: str, databases: Set[str]) -> bool:
    """Whether what a run has of a summary is the row itself, to the stamp: what is sent to the page has the rows that
    the file lacks, and a summary that the file has got its stamp when the turn ended.
    """
    rows = (v.time for database, v in e.versions.items() if database in databases)
    return name == RUN and any(is_same(time, e.versions[name].time) for time in rows)


def written_again(entries: Sequence[Entry], databases: Set[str]) -> Iterator[tuple[Turn, Turn]]:
    """The turns that only rows have and that a flush may have written again, each with the turn beside it: rows of one
    database within a second say both.

    Rows alone do not distinguish it from what a program said again so fast.
    """
    for pair in pairwise(turns([e.merged for e in entries])):
        for turn, beside in (pair, pair[::-1]):
            again, first = entries[turn.start : turn.end], entries[beside.start : beside.end]
            is_of_rows = turn.has_prompt and all(e.versions.keys() <= databases for e in again)
            if is_of_rows and any(_is_written_again(again, first, name) for name in again[0].versions):
                yield turn, beside


def _is_written_again(again: Sequence[Entry], first: Sequence[Entry], database: str) -> bool:
    told = ([e for e in turn if not e.merged.is_summary] for turn in (again, first))  # a compaction is no part of it
    one, other = ([e.versions[database] for e in turn if database in e.versions] for turn in told)
    return [m.strict_identity for m in one] == [m.strict_identity for m in other] and within(one[0], other[0], SECOND)
