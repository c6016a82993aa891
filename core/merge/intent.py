"""What the user shrank on purpose: the marks of a sidecar, and the reasons why a message is left out.

The rules are those of formats.md, "Marks of intent". A malformed or partial mark counts for nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from hermes_rescue.core.base.jsontext import LIST_FIELD, number
from hermes_rescue.core.hermes.sidecar import Sidecar

_UUID4 = re.compile(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}")
_MANUAL = "manual"
_GENERATION = re.compile(r"[0-9a-f]{32}")


class Reason(StrEnum):
    """Why a message that a copy holds is left out of the recovered transcript."""

    CLEARED = "cleared"
    UNDONE = "undone"
    REWOUND = "rewound"
    HIDDEN = "hidden"
    SUMMARY = "summary"
    CONTAINED = "contained"
    OLD_UNDO = "old_undo"
    EARLIER_UNDO = "earlier_undo"
    UNDECIDED = "undecided"
    UNANSWERED = "unanswered"
    FURTHER = "further"
    APART = "apart"
    CHOSEN = "chosen"
    LEFT_OUT = "left_out"

    @property
    def is_question(self) -> bool:
        """Only the user knows whether the message was taken back."""
        return self in _QUESTIONS

    @property
    def is_answered_by_name(self) -> bool:
        """Who names the session wants the message back; one that may be of another conversation is chosen itself."""
        return self.is_question and self is not Reason.APART

    @property
    def sentence(self) -> str:
        """The reason in words for a person."""
        return _SENTENCES[self]


FROM_ELSEWHERE = frozenset((Reason.FURTHER, Reason.APART))
"""Only copies from other places have the message."""

_QUESTIONS = FROM_ELSEWHERE | {Reason.OLD_UNDO, Reason.EARLIER_UNDO, Reason.UNDECIDED, Reason.UNANSWERED}

TAKEN_BACK = frozenset((Reason.CLEARED, Reason.UNDONE, Reason.REWOUND))
"""The user took the message back, with certainty."""

_SENTENCES = {
    Reason.CLEARED: "You cleared the conversation after this message.",
    Reason.UNDONE: "You took this message back (undo, retry, edit or truncate).",
    Reason.REWOUND: "You took this message back; the database marks it so.",
    Reason.HIDDEN: "The program wrote this message for itself and does not show it.",
    Reason.SUMMARY: "A compression wrote this summary; it is not part of the conversation.",
    Reason.CONTAINED: "The file has this message as a part of another one.",
    Reason.OLD_UNDO: "You took these messages back with an older version, which left no mark, or they were lost; "
    "only you know.",
    Reason.EARLIER_UNDO: "You shortened this session more than once: you took this turn back, or it was lost; "
    "only you know.",
    Reason.UNDECIDED: "You took this message back, or it was lost; no copy that is left says which.",
    Reason.UNANSWERED: "You sent this prompt, but no copy of the session holds it and no answer is known.",
    Reason.FURTHER: "Only a copy from another place has this message: you took it back since, or it was lost.",
    Reason.APART: "Only a copy from another place has this message, and it shares none with the session: "
    "it may be another conversation.",
    Reason.CHOSEN: "You chose to leave this message out.",
    Reason.LEFT_OUT: "You left this message out of a repair.",
}


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of one sidecar, as far as they are well formed. Times in seconds.

    ``by_hand``: the user compressed it, which sets a watermark too; ``compressed``: when the last message with words
    was said that it saw. ``knows_watermark``: its version leaves one with an act; ``knows_acts``: a mark with every
    act, ``knows_generations``: a generation with every one (formats.md, the table of versions).
    """

    watermark: float | None = None
    boundary: float | None = None
    clear_generation: str | None = None
    shrink_generation: str | None = None
    shrink_malformed: bool = False
    by_hand: bool = False
    knows_watermark: bool = True
    knows_acts: bool = False
    knows_generations: bool = False
    compressed: float | None = None

    @property
    def records_acts(self) -> bool:
        """Whether a session without a mark was never shortened. The watermark of an older version stays when a newer
        one goes on with the file, and a compress by hand takes the place of the marks of a version without generations.
        """
        is_hidden = self.old_act is not None or (self.by_hand and not self.knows_generations)
        return self.knows_acts and (self.shrink_generation is not None or not is_hidden)

    @property
    def act(self) -> float | None:
        """The time of the last message that the newest act kept, 0.0 where it kept none; None without a mark of one.

        The watermark begins there and moves to each later prompt: of a clock that was set back, to an earlier time.
        """
        if self.boundary is None or self.watermark is None or min(self.boundary, self.watermark) < 0.0:
            return None
        if self.boundary > self.watermark and self.shrink_generation is None and self.knows_generations:
            return None
        if self.boundary == self.watermark == 0.0:
            return self.boundary if self.shrink_generation is not None or self._is_clear else None
        is_marked = self.shrink_generation is not None or not (self.knows_generations or self.by_hand)
        return self.boundary if is_marked else None

    @property
    def _is_clear(self) -> bool:
        return self.clear_generation is not None or not self.knows_generations

    @property
    def is_cleared(self) -> bool:
        """The newest act kept nothing: a clear, or an edit, retry or undo of the very first prompt."""
        return self.act == 0.0

    @property
    def is_fresh(self) -> bool:
        """No turn was saved since the newest act, as far as its marks show (those of a clear never move)."""
        return self.act is not None and self.watermark == self.boundary

    @property
    def old_act(self) -> float | None:
        """The watermark of an undo from before generations existed: the time of the last message that was kept. From
        before boundaries it is 0.0 where none was.
        """
        if self.by_hand or self.act is not None or self.shrink_malformed:
            return None
        return self.watermark or None if self.knows_acts else self.watermark

    @property
    def generations(self) -> tuple[str | None, str | None]:
        """What distinguishes the states after two acts."""
        return self.clear_generation, self.shrink_generation

    @property
    def is_marked(self) -> bool:
        """Whether they record an act at all, also one that another overwrote."""
        return self.act is not None or self.generations != (None, None) or self.old_act is not None

    def supersede(self, older: Marks) -> bool:
        """Whether a copy with the marks ``older`` is from before what these marks record."""
        if self.is_cleared and self.clear_generation is not None and self.clear_generation != older.clear_generation:
            return True
        if self.shrink_generation is not None and self.shrink_generation != older.shrink_generation:
            return not older.shrink_malformed
        if self.act is not None and self.shrink_generation is None:  # of a version that knew none of these
            return self.clear_generation == older.clear_generation and older.act != self.act
        return False


GENERATIONS = ("clear_generation", "intentional_shrink_generation")
"""The fields that only a version writes which marks every act."""

MARK_FIELDS = ("truncation_watermark", "truncation_boundary", *GENERATIONS)
"""The fields of a sidecar that hold its marks; they only mean something together."""


def marks(sidecar: Sidecar) -> Marks:
    """Read the marks of a sidecar, also of a torn one (they stand before the messages)."""
    clear, shrink = sidecar.get("clear_generation"), sidecar.get("intentional_shrink_generation")
    well_formed = isinstance(shrink, str) and _UUID4.fullmatch(shrink) is not None
    knows_generations = "intentional_shrink_generation" in sidecar.head
    by_hand, seen = sidecar.get("compression_anchor_mode") == _MANUAL, sidecar.get("compression_anchor_message_key")
    return Marks(
        number(sidecar.get("truncation_watermark")),
        number(sidecar.get("truncation_boundary")),
        clear if isinstance(clear, str) and _GENERATION.fullmatch(clear) else None,
        shrink if well_formed else None,
        shrink is not None and not well_formed,
        by_hand,
        "truncation_watermark" in sidecar.head,
        knows_generations or {"truncation_boundary", "clear_generation"} <= sidecar.head.keys(),
        knows_generations,
        number(seen.get("ts")) if by_hand and isinstance(seen, dict) else None,
    )


def has_marks(sidecar: Sidecar) -> bool:
    """Whether what is left of a sidecar says what the user shrank: it is whole, or torn after its marks."""
    has_marks_field = LIST_FIELD in sidecar.head or "intentional_shrink_generation" in sidecar.head
    return sidecar.complete or has_marks_field or marks(sidecar).act is not None
