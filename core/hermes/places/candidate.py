"""What a further copy of a session is: where it may lie, and what was read there."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain, count
from pathlib import Path

from hermes_rescue.core.hermes.database.database_copy import DatabaseCopy
from hermes_rescue.core.hermes.database.lineage import Doubt
from hermes_rescue.core.hermes.message import Message
from hermes_rescue.core.hermes.sidecar import Sidecar

_DATE = re.compile(r"(?<!\d)(20\d\d)-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])(?!\d)")
_DAY = re.compile(r"(?<=\bof )\d{1,2} [A-Z][a-z]+ \d+\b")
"""A day as the name of a copy has it."""

_CLOCK = re.compile(r"[-_T ]([01]\d|2[0-3])[-.:]?([0-5]\d)(?:[-.:]?[0-5]\d)?(?![0-9])")
"""A time of day as it follows the date in a file name."""

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)


class Form(StrEnum):
    """How a place holds sessions: one in a JSON file, or in lines; a message in each file of a folder; any number in a
    database."""

    FILE = "file"
    LINES = "lines"
    REFUSED = "refused"
    DATABASE = "database"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something outside a session's own files that may hold a copy of it.

    ``name`` is its name as a copy, ``shown`` where it lies, for people; ``saved`` when it was written (seconds),
    ``size`` in bytes. ``count``: how many messages it has at most, None where only reading it shows that. ``is_near``:
    it is read whenever its session is; any other only where the session needs it. ``root``: the place that a person
    named, or the archive that it is from.
    """

    name: str
    path: Path
    form: Form
    saved: float
    size: int
    is_near: bool
    shown: str
    count: int | None = None
    root: Path | None = None

    @property
    def clock(self) -> str:
        """The time of its day, as the file name says it that has its date, else as it was written; "" where only the
        day is known.
        """
        for name in (self.root.name if self.root is not None else "", self.path.name, self.path.parent.name):
            date = date_in(name)
            if date is not None and f" of {day(date)}" in self.name:
                return clock_in(name)
        return clock(self.saved)


@dataclass(frozen=True, slots=True)
class Places:
    """Where else sessions lie: from the id of each to what may hold a copy of it, and what was looked at, for people.

    ``misnamed``: from the name of a session file to the id that it carries, where it is the copy of that session;
    ``beside``: the same of every other file beside the session files. ``in_cloud``: sessions of which only a
    placeholder is on this disk, ``in_other`` those that have a file in another sessions folder only. ``notes`` says
    what could not be read, a sentence each; ``unread`` are the archives that no session needed, ``partly`` those that
    were looked into for some sessions only, ``torn`` the named places that could not be read, or not in full.
    """

    of: Mapping[str, tuple[Candidate, ...]] = field(default_factory=dict)
    looked: tuple[str, ...] = ()
    misnamed: Mapping[str, str] = field(default_factory=dict)
    beside: Mapping[str, str] = field(default_factory=dict)
    in_cloud: frozenset[str] = frozenset()
    in_other: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    unread: tuple[Path, ...] = ()
    partly: frozenset[Path] = frozenset()
    torn: frozenset[Path] = frozenset()

    def only(self, ids: Iterable[str]) -> Places:
        """The part that is about some sessions."""
        ids = {*ids}
        return Places(
            {each: self.of[each] for each in ids & self.of.keys()},
            self.looked,
            {name: inner for name, inner in self.misnamed.items() if name in ids},
            in_cloud=self.in_cloud & ids,
            in_other=self.in_other & ids,
        )

    def away(self, session_id: str) -> Doubt | None:
        """Why the file of a session that is not here may well be somewhere else."""
        if session_id in self.in_cloud:
            return Doubt.IN_CLOUD
        return Doubt.OTHER_FOLDER if session_id in self.in_other else None


@dataclass(frozen=True, slots=True)
class FurtherCopy:
    """A copy of a session from another place. ``session`` is what a file of it says, ``rows`` what a database does;
    ``messages`` are those of either that a person sees. ``is_run``: it is the session at the end of an earlier run,
    without marks; parts of a message that later runs show without them are no loss.
    """

    name: str
    shown: str
    saved: float
    session: Sidecar | None
    rows: DatabaseCopy | None
    messages: Sequence[Message]
    is_run: bool = False


def date_in(name: str) -> float | None:
    """The day that a file name gives, as seconds since 1970; None where it gives none."""
    found = _DATE.search(name)
    if found is None:
        return None
    try:
        return time.mktime((int(found[1]), int(found[2]), int(found[3]), 12, 0, 0, 0, 0, -1))
    except (OverflowError, ValueError):
        return None


def day(seconds: float) -> str:
    """A day for people."""
    try:
        when = time.localtime(seconds)
    except (OverflowError, ValueError, OSError):
        return "an unknown day"
    return f"{when.tm_mday} {_MONTHS[when.tm_mon - 1]} {when.tm_year}"


def clock_in(name: str) -> str:
    """The time of day that a file name gives after its day: "14:05"; "" where it gives none."""
    dated = _DATE.search(name)
    found = _CLOCK.match(name, dated.end()) if dated is not None else None
    return f"{found[1]}:{found[2]}" if found is not None else ""


def clock(seconds: float) -> str:
    """The time of day of a moment (seconds since 1970): "14:05"; "" for what is none."""
    try:
        return time.strftime("%H:%M", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return ""


def told_apart(copies: Sequence[tuple[str, str]]) -> list[str]:
    """The names of copies, all different, from the name and the time of day ("" for unknown) of each: those of one day
    with their times, "backup of 2 May 2026, 14:05", with a number where they have no time or the same one.
    """
    same, found = Counter(name for name, _ in copies), list[str]()
    for name, at in copies:
        full = _DAY.sub(rf"\g<0>, {at}", name, count=1) if at and same[name] > 1 else name
        found.append(next(n for n in chain([full], (f"{full} ({k})" for k in count(2))) if n not in found))
    return found


def free(name: str, taken: Iterable[str]) -> str:
    """The name, with a number where it is taken."""
    names = {*taken}
    return next(n for n in (name, *(f"{name} {k}" for k in range(2, len(names) + 3))) if n not in names)
