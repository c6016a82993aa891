"""How many messages are there, come back, are asked about or stay out: of one session, and of all that a report has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hermes_rescue.core.audit.findings import SessionAudit, Standing
from hermes_rescue.core.report.coverage import Coverage, Hold

if TYPE_CHECKING:
    from hermes_rescue.core.repair.run_record import Operation

_PLACES = 600
"""How fine the picture of a session is."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """Numbers of messages. ``there``: in the session file, before and after; ``back``: that a repair brings, or has
    brought; ``asked``: only a person knows; ``left_out``: that copies hold and the session goes without.
    """

    there: int = 0
    back: int = 0
    asked: int = 0
    left_out: int = 0


def of_session(session: SessionAudit, seen: Coverage | None) -> Amounts:
    """Those of a session that was examined; ``seen`` is which copy holds what, where it was looked at."""
    standing = session.standing
    if seen is None or not seen.lanes:
        there = session.live or 0
        new = max(0, (session.after or 0) - there)
        asked, out = 0, session.left_out + session.left_out_by_you
    else:
        live, result = seen.lanes[0].holds, seen.lanes[-1].holds
        included = result.count(Hold.WHOLE)
        both = sum(a != Hold.NOTHING and b == Hold.WHOLE for a, b in zip(live, result, strict=True))
        there = both if session.live is not None else 0  # nobody can load it as it is
        new = included - there
        asked = sum(n for reason, n in seen.left_out.items() if reason is not None and reason.is_question)
        out = sum(seen.left_out.values()) - asked
    if standing is Standing.REPAIRABLE:
        return Amounts(there, new, asked, out)
    if standing is Standing.REVIEW:
        return Amounts(there, 0, asked + new, out)
    return Amounts(there, 0, 0, asked + out + new)


def of_operations(operations: Sequence[Operation]) -> Amounts:
    """Those of a session that a run has operations for."""
    before, after = operations[0].count("messages_before") or 0, operations[0].count("messages_after")
    if after is None or not any(each.state == "done" for each in operations):
        return Amounts(before)
    return Amounts(min(before, after), max(0, after - before))


def total(amounts: Iterable[Amounts]) -> Amounts:
    """All of them together."""
    found = Counter[str]()
    for each in amounts:
        found.update(asdict(each))
    return Amounts(**found)


def picture(seen: Coverage | None) -> dict[str, Any] | None:
    """Which copy holds what, as JSON: stretches of positions among all messages that any copy holds."""
    if seen is None or not seen.lanes:
        return None
    return {
        "messages": len(seen.lanes[0].holds),
        "copies": [
            {
                "copy": lane.name,
                "damaged": lane.is_damaged,
                "messages": lane.count,
                "spans": [[start, end, hold.name.lower()] for start, end, hold in lane.spans(_PLACES)],
            }
            for lane in seen.lanes
        ],
    }
