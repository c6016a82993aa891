"""What the copies from other places add: to one session, and of each place to a whole store."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hermes_rescue.core.audit.findings import SessionAudit
from hermes_rescue.core.base.files import shown
from hermes_rescue.core.base.words import counted
from hermes_rescue.core.hermes.places.candidate import Candidate, Form, Places
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.merge.intent import FROM_ELSEWHERE, Reason

if TYPE_CHECKING:
    from hermes_rescue.core.merge.item import Item
    from hermes_rescue.core.merge.proposal import Proposal

_READ_ALL = "To have all of it read, name it with --also, or choose Add a backup."


def added_by(proposal: Proposal, copy: str) -> int:
    """How many messages a copy from another place offers, or has more of."""
    asked = sum(item.reason in FROM_ELSEWHERE and copy in item.copies for item in proposal.items)
    return asked + sum(copy in names for names in proposal.fuller)


def copies_apart(items: Iterable[Item]) -> tuple[str, ...]:
    """The copies with one of these items that may be of another conversation."""
    return tuple(sorted({name for item in items if item.reason is Reason.APART for name in item.copies}))


def apart_words(names: Sequence[str]) -> str:
    """What such copies may be, for a person."""
    return f"No message of {listed(names)} is in the session: it may be another conversation."


def listed(names: Iterable[str]) -> str:
    """Copies within a sentence."""
    *first, last = (f"the {name}" for name in names)
    return f"{', '.join(first)} and {last}" if first else last


@dataclass(frozen=True, slots=True)
class FoundPlace:
    """A file, folder, archive or database other than a store's own that holds copies of sessions.

    ``is_given``: a person named it. ``sessions``: of how many it has a copy; ``adds``: the sessions to which it offers
    messages, with how many. ``is_unread``: no session needed it, so it was not looked into, or only for ``sessions``
    that did; ``is_torn``: it could not be read, or not in full.
    """

    path: Path
    is_given: bool
    sessions: int = 0
    adds: Mapping[str, int] = field(default_factory=dict)
    is_unread: bool = False
    is_torn: bool = False

    @property
    def words(self) -> str:
        """What it adds, for a person."""
        if not self.sessions:
            if self.is_torn:
                return "could not be read."
            if self.is_unread:
                return f"not looked into, since no session is lost or larger in it. {_READ_ALL}"
            return "adds nothing: nothing in it can be read as a session of Hermes WebUI."
        part = " It could not be read in full." if self.is_torn else ""
        part += f" The rest of it was not looked into. {_READ_ALL}" if self.is_unread else ""
        where = "that were looked at in it" if self.is_unread else "in it"
        if not self.adds:
            return f"adds nothing to the {counted(self.sessions, 'session')} {where}.{part}"
        adds = f"adds {counted(sum(self.adds.values()), 'message')} to {counted(len(self.adds), 'session')}"
        return f"{adds}{f', of {self.sessions} {where}' if len(self.adds) < self.sessions else ''}.{part}"

    @property
    def sentence(self) -> str:
        """The same with where it is."""
        return f"{shown(str(self.path))}: {self.words}"


def found_places(store: Store, places: Places, sessions: Iterable[SessionAudit]) -> tuple[FoundPlace, ...]:
    """Every place that was named or found, those that add something first."""
    of: dict[Path, set[str]] = {path: set() for path in (*store.also, *places.torn)}
    adds: dict[Path, dict[str, int]] = {}
    offered = {session.session_id: session.offered for session in sessions}
    for session_id, candidates in places.of.items():
        for each in candidates:
            place = _place(each)
            of.setdefault(place, set()).add(session_id)
            if n := offered.get(session_id, {}).get(each.name):
                found = adds.setdefault(place, {})
                found[session_id] = max(found.get(session_id, 0), n)
    given, unread = {*store.also}, places.partly.union(places.unread)
    made = [
        FoundPlace(path, path in given, len(ids), adds.get(path, {}), path in unread - given, path in places.torn)
        for path, ids in of.items()
    ]
    made += [FoundPlace(path, is_given=False, is_unread=True) for path in unread if path not in of]
    return tuple(sorted(made, key=lambda place: (not place.adds, not place.is_given, os.fspath(place.path))))


def _place(candidate: Candidate) -> Path:
    """What a person calls the place: what was named, an archive, a database, or the folder of a file."""
    if candidate.root is not None:
        return candidate.root
    return candidate.path if candidate.form is Form.DATABASE else candidate.path.parent
