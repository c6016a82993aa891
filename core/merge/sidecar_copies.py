"""The copies of a session that are sidecars: its files, and the session in the newest run that ended."""

from __future__ import annotations

from collections.abc import Mapping

from hermes_rescue.core.hermes.copies import BACKUP, LIVE, RUN, SessionCopies, temp_name
from hermes_rescue.core.hermes.sidecar import Sidecar, SidecarFile
from hermes_rescue.core.merge.intent import has_marks, marks


def session_of(file: SidecarFile | None) -> Sidecar | None:
    """The session in a file that may be missing, unreadable or something else."""
    return file.sidecar if file is not None and file.sidecar is not None and file.sidecar.is_session else None


def sidecar_copies(copies: SessionCopies) -> dict[str, Sidecar]:
    """The copies that hold a whole session with its fields, by name, the most trusted first."""
    found = {LIVE: session_of(copies.live)}
    found |= {temp_name(k): session_of(temp) for k, temp in enumerate(copies.temps)}
    found[BACKUP] = session_of(copies.backup)
    if copies.run is not None:
        found[RUN] = Sidecar(copies.run.fields, copies.run.messages)
    return {name: copy for name, copy in found.items() if copy is not None}


def raw_copies(copies: SessionCopies) -> frozenset[str]:
    """The names of the copies that were made of rows as they were."""
    files = sidecar_copies(copies).items()
    return frozenset(name for name, copy in files if copy.get("_recovered_from_state_db"))


def marked_copy(sidecars: Mapping[str, Sidecar]) -> str | None:
    """The copy whose marks count: the live file, or the next best where it is torn before them.

    Marks never go away, so a file without any is older than one that has some, although it was saved later.
    """
    marks_of = {name: marks(copy) for name, copy in sidecars.items() if has_marks(copy)}
    first = next(iter(marks_of), None)
    if first is None or not marks_of[first].records_acts or marks_of[first].is_marked:
        return first
    return next((name for name, found in marks_of.items() if found.is_marked), first)
