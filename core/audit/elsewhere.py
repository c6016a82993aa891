"""What the copies from other places add: to one session, and of each place to a whole store."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hermes_rescue.core.audit.findings import SessionAudit
from hermes_rescue.core.base.files import shown
from hermes_rescue.core.hermes.places.candidate import Candidate, Form, Places
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.merge.intent import Reason
from hermes_rescue.core.merge.proposal import Proposal


def added_by(proposal: Proposal, copy: str) -> int:
    """How many messages a copy from another place offers, or has more of."""
    asked = sum(item.reason is Reason.FURTHER and copy in item.copies for item in proposal.items)
    return asked + sum(copy in names for names in proposal.fuller)


@dataclass(frozen=True, slots=True)
class FoundPlace:
    """A file, folder, archive or database other than a store's own that holds copies of sessions.

    ``is_given``: a person named it. ``sessions``: of how many it has a copy; ``adds``: the sessions to which it offers
    messages, with how many. ``is_unread``: no session needed it, so it was not looked into.
    """

    path: Path
    is_given: bool
    sessions: int = 0
    adds: Mapping[str, int] = field(default_factory=dict)
    is_unread: bool = False

    @property
    def sentence(self) -> str:
        """What it adds, for a person."""
        of = _count(self.sessions, "session")
        if self.is_unread:
            what = "not looked into, since no session needs it."
        elif not self.sessions:
            what = "adds nothing: it has no session of Hermes WebUI."
        elif not self.adds:
            what = f"adds nothing to the {of} in it."
        else:
            what = f"adds {_count(sum(self.adds.values()), 'message')} to {_count(len(self.adds), 'session')}"
            what += f", of {self.sessions} in it." if len(self.adds) < self.sessions else "."
        return f"{shown(str(self.path))}: {what}"


def found_places(store: Store, places: Places, sessions: Iterable[SessionAudit]) -> tuple[FoundPlace, ...]:
    """Every place that was named or found, those that add something first."""
    of: dict[Path, set[str]] = {path: set() for path in store.also}
    adds: dict[Path, dict[str, int]] = {}
    offered = {session.session_id: session.offered for session in sessions}
    for session_id, candidates in places.of.items():
        for each in candidates:
            place = _place(each)
            of.setdefault(place, set()).add(session_id)
            if n := offered.get(session_id, {}).get(each.name):
                found = adds.setdefault(place, {})
                found[session_id] = max(found.get(session_id, 0), n)
    given = {*store.also}
    made = [FoundPlace(path, path in given, len(ids), adds.get(path, {})) for path, ids in of.items()]
    made += [FoundPlace(path, is_given=False, is_unread=True) for path in places.unread if path not in of]
    return tuple(sorted(made, key=lambda place: (not place.adds, not place.is_given, os.fspath(place.path))))


def _place(candidate: Candidate) -> Path:
    """What a person calls the place: what was named, an archive, a database, or the folder of a file."""
    if candidate.root is not None:
        return candidate.root
    return candidate.path if candidate.form is Form.DATABASE else candidate.path.parent


def _count(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"
