"""What a file that is written must hold so that a second look leaves out of it what the repair left out, and asks what
that asked (recovery.md, section 4).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hermes_rescue.core.base.jsontext import number
from hermes_rescue.core.hermes.copies import LIVE
from hermes_rescue.core.hermes.sidecar import Sidecar
from hermes_rescue.core.merge.intent import FROM_ELSEWHERE, GENERATIONS, Reason, marks
from hermes_rescue.core.merge.item import Item

_ACTS = frozenset((Reason.UNDONE, Reason.CLEARED, Reason.CHOSEN, Reason.LEFT_OUT))
_OF_ACTS = _ACTS | {Reason.OLD_UNDO, Reason.EARLIER_UNDO, Reason.UNDECIDED}
"""What an act took back, or what it may have taken back."""


def has_act(items: Sequence[Item]) -> bool:
    """Whether the user took back what is left out, for certain: only then may the file say so to the server."""
    reasons = {item.reason for item in items if item.reason is not None and not item.included}
    return not reasons.isdisjoint(_ACTS) and not any(r.is_question for r in reasons if r not in FROM_ELSEWHERE)


def goes_on_after_act(items: Sequence[Item]) -> bool:
    """Whether what was taken back stands between the end of the live file and what comes back: its marks are older."""
    end = max((k for k, item in enumerate(items) if LIVE in item.copies), default=-1)
    later = max((k for k, item in enumerate(items) if item.included), default=end)
    return any(item.reason in _ACTS and not item.included for item in items[end + 1 : later])


def knows_acts(items: Sequence[Item], copy: str, *, is_whole: bool) -> bool:
    """Whether the marks of a copy record all acts: the live file's, or those of one that can be read to its end and of
    which nothing is left out.
    """
    return copy == LIVE or (is_whole and not any(item.reason in _ACTS and copy in item.copies for item in _out(items)))


def leaves_out(items: Sequence[Item]) -> bool:
    """Whether anything is left out because of an act that is known or possible."""
    return bool(_out(items))


def asks_no_more(items: Sequence[Item], again: Sequence[Item]) -> bool:
    """Whether something is asked because an act is possible, of which a second look asks nothing, for whatever reason:
    the end of an earlier run can show it as well.
    """
    asked = Counter(item.message.folded_identity for item in _asked(items))
    still = (item for item in again if item.reason is not None and item.reason.is_question and not item.included)
    return not asked <= Counter(item.message.folded_identity for item in still)


def date(items: Sequence[Item], run: Sidecar | None) -> float:
    """The earliest date of a file with these messages: of an earlier file the next repair would take what is left out
    for something that was said since. ``run``: the session at the end of the newest run.
    """
    out = _out(items)
    times = [item.message.time for item in (*out, *(item for item in items if item.included))]
    if out and run is not None:
        times.append(number(run.get("updated_at")))
    return max((time for time in times if time is not None), default=0.0)


def without_claim(proposed: Sidecar, items: Sequence[Item]) -> Sidecar:
    """The same file, but where an act is possible and has no mark, without the fields that would say there was none."""
    return proposed.without(GENERATIONS) if _asked(items) and not marks(proposed).is_marked else proposed


def _out(items: Sequence[Item]) -> list[Item]:
    return [item for item in items if item.reason in _OF_ACTS and not item.included]


def _asked(items: Sequence[Item]) -> list[Item]:
    """Those of them for an act that is possible and not known."""
    return [item for item in _out(items) if item.reason not in _ACTS]
