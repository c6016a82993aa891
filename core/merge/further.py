"""What copies from other places add to a merged transcript: an offer, never more (recovery.md, section 1).

Such a copy may be older than what the user did since. So it changes nothing of what the session's own copies determine;
what only it has is asked, unless the witnesses of intent say that it was taken back. Only its marks of intent count for
them too, where the file is lost or empty and no own copy has any.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from hermes_rescue.core.base.jsontext import number
from hermes_rescue.core.hermes.copies import LIVE
from hermes_rescue.core.hermes.message import Message
from hermes_rescue.core.hermes.places.candidate import FurtherCopy
from hermes_rescue.core.hermes.sidecar import Sidecar
from hermes_rescue.core.merge import transcript
from hermes_rescue.core.merge.align import align
from hermes_rescue.core.merge.evidence import Evidence, FileState, Witness, is_untitled
from hermes_rescue.core.merge.intent import Reason, has_marks, marks
from hermes_rescue.core.merge.transcript import Entry
from hermes_rescue.core.merge.witnesses import judge

_TAKEN = frozenset({Reason.UNDONE, Reason.CLEARED, Reason.CONTAINED})
"""What the witnesses can say for certain of a message that only a further copy has."""

_NO_PART = frozenset({Reason.HIDDEN, Reason.SUMMARY, Reason.REWOUND})


@dataclass(frozen=True, slots=True)
class Offer:
    """A merged transcript with further copies in it. ``reasons`` (by identity) why what only they have is left out, or
    what they mark as taken back; ``fuller`` has the form that a message of the session's own copies would get from
    them, with the parts and whose.
    """

    entries: list[Entry]
    reasons: dict[int, Reason] = field(default_factory=dict)
    fuller: Mapping[int, tuple[Message, Mapping[str, str]]] = field(default_factory=dict)

    @property
    def fuller_in(self) -> tuple[frozenset[str], ...]:
        """Of each message that would get fuller, the copies that its parts are from."""
        return tuple(frozenset(parts.values()) for _, parts in self.fuller.values())

    def accept(self, but_from: Set[str] = frozenset()) -> None:
        """Take over what makes the session's own messages fuller, but nothing that has a part from these copies."""
        for e in self.entries:
            merged, parts = self.fuller.get(id(e), (e.merged, e.enriched))
            if but_from.isdisjoint(parts.values()):
                e.merged, e.enriched = merged, parts


def files(further: Sequence[FurtherCopy]) -> dict[str, Sidecar]:
    """Those that are files, by name."""
    return {copy.name: copy.session for copy in further if copy.session is not None}


def offer(
    entries: list[Entry],
    reasons: Mapping[int, Reason],
    further: Sequence[FurtherCopy],
    created: Mapping[str, object],
    evidence: Callable[[], Evidence],
) -> Offer:
    """What further copies add to the transcript (``entries``, with why some of it is left out), which stays as it is,
    but for what their marks take back. ``created``: when the session began, as each copy says; ``evidence``: what is
    known of it beside them.
    """
    if not further:
        return Offer(entries)
    own = {id(e): (e.merged, e.enriched) for e in entries}
    older = {copy.name: all(m.time is None for m in copy.messages) for copy in further}  # else the times decide
    merged = entries
    left = {copy.name: copy.messages for copy in further}
    while left:
        there = [e.merged for e in merged]
        found = {name: align(there, reasons) for name, reasons in left.items()}
        closest = max(found, key=lambda name: len(found[name].pairs))
        merged = transcript.merge(merged, closest, left.pop(closest), found[closest], older=older[closest])
    fuller = {}
    runs = {copy.name for copy in further if copy.is_run}
    for e in merged:
        if id(e) in own and own[id(e)][0] is not e.merged:
            if runs.isdisjoint(e.enriched.values()):
                fuller[id(e)] = e.merged, e.enriched
            e.merged, e.enriched = own[id(e)]
    known = evidence()
    newest = _newest_marked(further, known)
    if newest is not None and newest.marks is not None:
        was_cleared = is_untitled(files(further)[newest.name])
        known = replace(known, marks=newest.marks, marked=newest.saved, is_untitled=was_cleared or known.is_untitled)
    elif len(merged) == len(own):
        return Offer(merged, fuller=fuller)
    part = [e for e in merged if reasons.get(id(e)) not in _NO_PART]
    rows = frozenset(copy.name for copy in further if copy.rows is not None)
    seen = replace(known, others=(*known.others, *map(_witness, further)), databases=known.databases | rows)
    found_reasons = judge(part, seen).reasons
    apart = _apart(merged, own, further, created)
    asked = {}
    for k, e in enumerate(part):
        reason = found_reasons.get(k)
        if id(e) not in own:
            offered = Reason.APART if apart.issuperset(e.versions) else Reason.FURTHER
            asked[id(e)] = Reason.SUMMARY if e.merged.is_summary else reason if reason in _TAKEN else offered
        elif newest is not None and reason is not None and LIVE not in e.versions:
            asked[id(e)] = reason
    return Offer(merged, asked, fuller)


def _apart(
    entries: Sequence[Entry], own: Container[int], further: Sequence[FurtherCopy], created: Mapping[str, object]
) -> frozenset[str]:
    """The copies that may be of another conversation: they began at another moment than the session, and have no
    message in common with what its ``own`` copies hold (by identity), nor with another copy that has one.
    """
    names = frozenset(copy.name for copy in further)
    linked = {name for e in entries if id(e) in own for name in e.versions}
    if not linked:
        return frozenset()
    began = {value for name, value in created.items() if name not in names}
    linked |= {name for name in names if created.get(name) in began}
    linked |= {copy.name for copy in further if copy.name not in created and _says_whose(copy)}  # a spool
    rest = [e.versions.keys() for e in entries if id(e) not in own]
    while more := {name for held in rest if not linked.isdisjoint(held) for name in held} - linked:
        linked |= more
    return names - linked


def _says_whose(copy: FurtherCopy) -> bool:
    return copy.session is not None and copy.session.get("session_id") is not None


def _newest_marked(further: Sequence[FurtherCopy], known: Evidence) -> Witness | None:
    """The copy whose marks count for a session whose file is lost or empty, and of which no own copy has any."""
    if known.marks.is_marked or known.state not in (FileState.LOST, FileState.EMPTY):
        return None
    marked = (w for w in map(_witness, further) if w.marks is not None and w.marks.is_marked)
    return max(marked, key=lambda w: w.saved or 0.0, default=None)


def _witness(copy: FurtherCopy) -> Witness:
    session = copy.session
    if session is None or copy.is_run or "updated_at" not in session.head:
        return Witness(copy.name, copy.saved, has_marks=False)
    return Witness(copy.name, number(session.get("updated_at")), marks(session), session.complete, has_marks(session))
