"""What a repair does to one session, and what that is called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from hermes_rescue.core.audit.elsewhere import apart_words
from hermes_rescue.core.audit.findings import KINDS


class Done(StrEnum):
    """What the sessions of a plan are when it is carried out; restored: under a new id."""

    REPAIRED = "repaired"
    IMPORTED = "imported"
    RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class PlannedSession:
    """What a repair does to one session. ``before`` is the sha256 (hex) of the live file, None where it is created;
    ``after`` of what is written, the same where the file stays. ``messages_before`` is None where nothing
    was readable; sizes in bytes. ``fields_from``: the copies that a person chose for metadata fields. ``copy_of``: the
    session that is restored under the new id ``session_id``, "" where it keeps its own. ``left_out``: messages that
    stay out because a person wants it so, those of the file (``messages_lost``) among them. ``link_to``: where its file
    leads that is a link. ``is_asked``: nothing of it is certain, it is planned only because it was named; or it was
    deleted, and a file that is imported has it. ``apart``: the copies from other places that messages come from and
    that share none with the session, ``apart_left`` those of which nothing is taken because no message of them was
    chosen.
    """

    session_id: str
    title: str
    kinds: tuple[str, ...]
    before: str | None
    after: str
    messages_before: int | None
    messages_after: int
    messages_lost: int
    size_before: int
    size_after: int
    backup_moves: bool
    backup_size: int
    fields_from: Mapping[str, str]
    copy_of: str = ""
    left_out: int = 0
    link_to: str = ""
    is_asked: bool = False
    apart: tuple[str, ...] = ()
    apart_left: tuple[str, ...] = ()

    @property
    def warning(self) -> str:
        """What a person must know before it is done; "" where there is nothing."""
        if self.apart:
            return f"{apart_words(self.apart)} Its messages are put into this one."
        return not_taken(self.apart_left) if self.apart_left else ""

    @property
    def source(self) -> str:
        """The session whose copies are merged for it."""
        return self.copy_of or self.session_id

    @property
    def why(self) -> str:
        """Why the session is written, in words: what was found, and what was chosen."""
        if self.copy_of:
            return f"copy of {self.copy_of}"
        chosen = (f"{name} from {copy}" for name, copy in self.fields_from.items())
        return ", ".join(filter(None, (labels(self.kinds), *chosen))) or "your choice"

    @property
    def is_written(self) -> bool:
        """Whether the live file changes."""
        return self.before != self.after

    @property
    def bytes_needed(self) -> int:
        """Bytes that are kept and written for it."""
        return self.size_before + self.size_after + self.backup_size

    @property
    def changes_files(self) -> bool:
        """Whether a file changes: not where a person leaves out all that would come back."""
        return self.is_written or self.backup_moves

    @property
    def operations(self) -> tuple[str, ...]:
        """The file operations in words, in their order."""
        name = f"{self.session_id}.json"
        first = f"replace {name} (the old file is kept in the vault)"
        if self.before is None:
            first = f"create {name}"
        elif self.link_to:
            first = f"replace the link {name} by a file (what it leads to stays as it is: {self.link_to})"
        written = (first,) if self.is_written else ()
        return (*written, f"move {name}.bak to the vault") if self.backup_moves else written


def waiting(sessions: Sequence[PlannedSession]) -> frozenset[str]:
    """The ids of those of several sessions that wait for a decision; none where all do: then these are wanted."""
    asked = frozenset(each.session_id for each in sessions if each.is_asked)
    return asked if len(asked) < len(sessions) else frozenset()


def not_taken(names: Sequence[str]) -> str:
    """What is said of copies that may be of another conversation, where nothing of them is taken."""
    return f"{apart_words(names)} Nothing of it is taken unless you choose its messages."


def labels(kinds: Iterable[str]) -> str:
    """The names of kinds of findings in words, each once."""
    return ", ".join(dict.fromkeys(KINDS[kind].label for kind in kinds if kind in KINDS))
