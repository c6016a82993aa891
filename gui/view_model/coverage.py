"""Which copy holds what, along all messages that any copy holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum

from hermes_rescue.core.base.files import shown
from hermes_rescue.core.hermes.copies import BACKUP, DATABASE, LIVE, RUN, TEMP, TURNS
from hermes_rescue.core.merge.intent import Reason
from hermes_rescue.core.merge.proposal import PENDING, Proposal
from hermes_rescue.gui.view_model.wording import number
from PySide6.QtCore import QCoreApplication

translate = QCoreApplication.translate

_ORDER = (LIVE, TEMP, BACKUP, DATABASE, RUN, TURNS, PENDING)


class Hold(IntEnum):
    """What a copy has at one place. ``PART``: the message, and something of it that the file lacks; ``LEFT_OUT``: a
    message that the recovered transcript goes without; ``SOME``: not every message where several share a place.
    """

    NOTHING = 0
    WHOLE = 1
    PART = 2
    LEFT_OUT = 3
    SOME = 4


@dataclass(frozen=True, slots=True)
class Lane:
    """What one copy (or the result) holds: a :class:`Hold` for each position, and how many messages in all, None where
    there is no such file.
    """

    label: str
    holds: bytearray
    count: int | None
    is_result: bool = False

    @property
    def number(self) -> str:
        """The count in words."""
        return "–" if self.count is None else number(self.count)

    def at(self, start: int, end: int) -> Hold:
        """What it has from one position up to another."""
        held = set(self.holds[start:end])
        if Hold.PART in held:
            return Hold.PART
        if Hold.WHOLE in held:
            return Hold.WHOLE if len(held) == 1 else Hold.SOME
        return Hold.LEFT_OUT if Hold.LEFT_OUT in held else Hold.NOTHING


@dataclass(frozen=True, slots=True)
class Coverage:
    """The lanes of a proposal: the live file first, whatever it holds, the result last; and how many messages are left
    out for which reason.
    """

    lanes: tuple[Lane, ...] = ()
    left_out: Mapping[Reason | None, int] = field(default_factory=dict)


def coverage(proposal: Proposal, *, is_live_whole: bool = True, further: Collection[str] = ()) -> Coverage:
    """Look at every message of a proposal; takes a moment where they are many. ``is_live_whole``: the live file is
    there and can be loaded; ``further``: the names of the copies from other places, whose lanes follow those of the
    session's own.
    """
    items = proposal.items
    if not items:
        return Coverage()
    names = sorted({LIVE}.union(*(item.copies for item in items)), key=lambda name: (name in further, *_rank(name)))
    holds = {name: bytearray(len(items)) for name in names}
    result = bytearray(len(items))
    for position, item in enumerate(items):
        held = Hold.WHOLE if item.included else Hold.LEFT_OUT
        result[position] = held
        for name in item.copies:
            holds[name][position] = held
        if item.included:
            for name in item.enriched.values():
                if name != item.copies[0]:
                    holds[name][position] = Hold.PART
    made = [Lane(copy_label(name), holds[name], len(items) - holds[name].count(Hold.NOTHING)) for name in names]
    if not is_live_whole:  # as the list has it
        damaged = translate("CoverageMap", "Live, damaged")
        made[0] = replace(made[0], label=damaged) if made[0].count else replace(made[0], count=None)
    made.append(Lane(translate("CoverageMap", "Recovered"), result, result.count(Hold.WHOLE), is_result=True))
    return Coverage(tuple(made), Counter(item.reason for item in items if not item.included))


def copy_label(name: str) -> str:
    """The name of a copy as a heading: "Live", "Backup", "Database of work"."""
    words = {
        LIVE: translate("CoverageMap", "Live"),
        TEMP: translate("CoverageMap", "Temp"),
        BACKUP: translate("CoverageMap", "Backup"),
        DATABASE: translate("CoverageMap", "Database"),
        RUN: translate("CoverageMap", "Run journal"),
        TURNS: translate("CoverageMap", "Turn journal"),
        PENDING: translate("CoverageMap", "Pending prompt"),
    }
    known = next((known for known in _ORDER if name.startswith(known)), name[:1])
    return words.get(known, known.upper()) + shown(name[len(known) :])


def _rank(name: str) -> tuple[int, str]:
    return next((k for k, known in enumerate(_ORDER) if name.startswith(known)), len(_ORDER)), name
