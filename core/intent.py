"""What the user shrank on purpose: the marks of a sidecar, and which copies and messages they put aside.

The rules are those of formats.md, "Marks of intent". A mark that is malformed or only half there suppresses nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from core.jsontext import LIST_FIELD, number
from core.message import CLOSE, NEAR
from core.sidecar import Sidecar
from core.transcript import Entry

_UUID4 = re.compile(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}")
_MANUAL = "manual"
_GENERATION = re.compile(r"[0-9a-f]{32}")


class Reason(StrEnum):
    """Why a message that a copy holds is left out of the recovered transcript."""

    CLEARED = "cleared"
    UNDONE = "undone"
    COMPRESSED = "compressed"
    REWOUND = "rewound"
    HIDDEN = "hidden"
    SUMMARY = "summary"
    OLD_UNDO = "old_undo"
    EARLIER_UNDO = "earlier_undo"
    UNANSWERED = "unanswered"
    CHOSEN = "chosen"

    @property
    def is_question(self) -> bool:
        """Only the user knows whether the message was taken back."""
        return self in (Reason.OLD_UNDO, Reason.EARLIER_UNDO, Reason.UNANSWERED)

    @property
    def sentence(self) -> str:
        """The reason in words for a person."""
        return _SENTENCES[self]


_SENTENCES = {
    Reason.CLEARED: "You cleared the conversation after this message.",
    Reason.UNDONE: "You took this message back (undo, retry, edit or truncate).",
    Reason.COMPRESSED: "You compressed the conversation; this message is part of the summary.",
    Reason.REWOUND: "You took this message back; the database marks it so.",
    Reason.HIDDEN: "The program wrote this message for itself and does not show it.",
    Reason.SUMMARY: "A compression wrote this summary; it is not part of the conversation.",
    Reason.OLD_UNDO: "An undo of an older version would have cut the session here; only you know whether it was one.",
    Reason.EARLIER_UNDO: "You shortened this session at least once; only you know whether this turn was taken back.",
    Reason.UNANSWERED: "You sent this prompt, but no copy of the session holds it and no answer is known.",
    Reason.CHOSEN: "You chose to leave this message out.",
}


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of one sidecar, as far as they are well formed. Times in seconds. ``compressed``: a compression
    shortened it, ``by_hand``: surely one that the user asked for.
    """

    watermark: float | None = None
    boundary: float | None = None
    clear_generation: str | None = None
    shrink_generation: str | None = None
    shrink_malformed: bool = False
    compressed: bool = False
    by_hand: bool = False

    @property
    def cleared(self) -> bool:
        """Everything before was taken back: a clear, or an undo of the very first turn."""
        generation = self.clear_generation or self.shrink_generation
        return self.watermark == 0.0 and self.boundary == 0.0 and generation is not None

    @property
    def window(self) -> tuple[float, float] | None:
        """Boundary and watermark of the last undo, retry, edit or truncate."""
        if self.shrink_generation is None or self.boundary is None or self.watermark is None:
            return None
        return (self.boundary, self.watermark) if 0.0 < self.boundary <= self.watermark else None

    @property
    def old_undo(self) -> float | None:
        """The watermark of an undo from before generations existed: the time of the last message that was kept."""
        return (
            self.watermark if self.watermark and self.shrink_generation is None and not self.shrink_malformed else None
        )

    @property
    def shortened(self) -> bool:
        """The session was shortened on purpose at some time, perhaps more than once."""
        return self.shrink_generation is not None or self.old_undo is not None

    def supersede(self, older: Marks) -> bool:
        """Whether a copy with the marks ``older`` is from before what these marks record."""
        if self.cleared and self.clear_generation is not None and self.clear_generation != older.clear_generation:
            return True
        if self.shrink_generation is not None and self.shrink_generation != older.shrink_generation:
            return not older.shrink_malformed
        return self.compressed and not older.compressed


MARK_FIELDS = ("truncation_watermark", "truncation_boundary", "clear_generation", "intentional_shrink_generation")
"""The fields of a sidecar that hold its marks; they only mean something together."""


def marks(sidecar: Sidecar) -> Marks:
    """Read the marks of a sidecar, also of a torn one (they stand before the messages)."""
    clear, shrink = sidecar.get("clear_generation"), sidecar.get("intentional_shrink_generation")
    well_formed = isinstance(shrink, str) and _UUID4.fullmatch(shrink) is not None
    return Marks(
        number(sidecar.get("truncation_watermark")),
        number(sidecar.get("truncation_boundary")),
        clear if isinstance(clear, str) and _GENERATION.fullmatch(clear) else None,
        shrink if well_formed else None,
        shrink is not None and not well_formed,
        _is_compressed(sidecar),
        sidecar.get("compression_anchor_mode") == _MANUAL,
    )


def tells_marks(sidecar: Sidecar) -> bool:
    """Whether what is left of a sidecar says what the user shrank: it is whole, or torn behind its marks."""
    behind = LIST_FIELD in sidecar.head or "intentional_shrink_generation" in sidecar.head
    return sidecar.complete or behind or marks(sidecar).cleared


def _is_compressed(sidecar: Sidecar) -> bool:
    if sidecar.get("compression_anchor_mode") == _MANUAL:
        return True
    context = sidecar.get("context_messages")
    if not isinstance(context, list) or not context or len(context) >= len(sidecar.messages):
        return False
    anchored = sidecar.get("compression_anchor_summary") and sidecar.get("compression_anchor_message_key")
    return bool(anchored) or number(sidecar.get("truncation_watermark")) is not None


def taken_back(
    entries: Sequence[Entry],
    kept: Callable[[Entry], bool],
    superseded: Callable[[Entry], bool],
    current: Marks,
    *,
    whole: bool,
) -> dict[int, Reason]:
    """The positions of the merged transcript that the marks of the live file put aside.

    ``kept(entry)``: a copy from after the act holds it; ``superseded(entry)``: a sidecar copy from before the act does.
    ``whole``: the live file has lost nothing of its own, so it says itself what it kept.
    """
    mine = [i for i, e in enumerate(entries) if kept(e)]
    if current.cleared:
        return _before(entries, kept, superseded)
    result: dict[int, Reason] = {}
    if current.compressed and mine:
        reason = Reason.COMPRESSED if current.by_hand else Reason.EARLIER_UNDO
        result = {i: Reason.COMPRESSED if superseded(entries[i]) else reason for i in range(mine[-1])}
    last = mine[-1] if mine else -1
    if current.window is not None:
        boundary, watermark = current.window
        last = _last_kept(entries, mine, boundary)
        result |= dict.fromkeys(_window(entries, kept, last, boundary, watermark), Reason.UNDONE)
    elif current.old_undo is not None and whole and mine and _at(entries[last], current.old_undo):
        result |= dict.fromkeys(range(last + 1, len(entries)), Reason.OLD_UNDO)
    if current.window is None or (whole and last in mine):
        result |= {i: Reason.UNDONE for i, e in enumerate(entries) if superseded(e) and i not in result}
    if current.shortened and whole:
        missing = _whole_turns(entries, mine, last)
        if current.clear_generation is not None and mine:  # a clear came before the undo that its marks gave way to
            missing += range(mine[0])
        result |= {i: Reason.EARLIER_UNDO for i in missing if i not in result}
    return {i: reason for i, reason in result.items() if not kept(entries[i])}


def _before(
    entries: Sequence[Entry], kept: Callable[[Entry], bool], superseded: Callable[[Entry], bool]
) -> dict[int, Reason]:
    """What a clear took back: whatever no copy has behind a message that is known to be from after it."""
    newer: set[str] = set()
    result: dict[int, Reason] = {}
    for i, e in enumerate(entries):
        if kept(e):
            newer.update(e.versions)
        elif superseded(e) or newer.isdisjoint(e.versions):
            result[i] = Reason.CLEARED
    return result


def _window(
    entries: Sequence[Entry], kept: Callable[[Entry], bool], last: int, boundary: float, watermark: float
) -> Iterator[int]:
    """What an undo took back: behind the message at ``last`` from a user message on, unless a copy has it behind a
    message that is known to be newer. Where no such message is left, the watermark tells when the conversation went
    on.
    """
    newer: set[str] = set()
    started = False
    for i in range(last + 1, len(entries)):
        e, time = entries[i], entries[i].merged.time
        prompt = e.merged.role == "user"
        if kept(e):
            if prompt or newer:
                newer.update(e.versions)
            continue
        if prompt and not newer and boundary < watermark and time is not None and time >= watermark - 1.0:
            return
        # at a user message, or well behind the boundary if the user message is lost
        started = started or prompt or (time is not None and time > boundary + NEAR)
        if started and newer.isdisjoint(e.versions):
            yield i


def _at(e: Entry, time: float) -> bool:
    return any(v.time is not None and abs(v.time - time) < 1e-3 for v in e.versions.values())


def _last_kept(entries: Sequence[Entry], mine: Sequence[int], boundary: float) -> int:
    """The position of the last message that the act kept: the boundary is its time, exactly in a sidecar, nearly in a
    row.
    """
    exact = [i for i in mine if _at(entries[i], boundary)]
    if exact:
        return exact[-1]
    times = [(i, e.merged.time) for i, e in enumerate(entries) if e.merged.time is not None]
    near = [(abs(time - boundary), i) for i, time in times if abs(time - boundary) <= CLOSE]
    if near:
        return min(near)[1]
    return max((i for i, time in times if time <= boundary), default=-1)


def _whole_turns(entries: Sequence[Entry], mine: Sequence[int], last: int) -> list[int]:
    """Whole turns that are missing between two messages of the live file, up to the one at ``last``.

    Two losses look alike there, a turn that an earlier undo took back (its marks are overwritten by the next one) and a
    turn that a stale save dropped.
    """
    result: list[int] = []
    for i, j in pairwise(mine):
        if j <= last and j - i > 1 and entries[i + 1].merged.role == entries[j].merged.role == "user":
            result += range(i + 1, j)
    return result
