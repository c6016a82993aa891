"""What a person decided about a proposal, and how that very proposal is known again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hermes_rescue.core.hermes import left_out
from hermes_rescue.core.hermes.left_out import LeftOut
from hermes_rescue.core.hermes.message import Message
from hermes_rescue.core.merge.intent import Reason
from hermes_rescue.core.merge.transcript import LIVE, Entry

_LENGTH = 12
"""Hexadecimal digits of a fingerprint: few enough to be typed."""

OUTDATED = "The copies of this session have changed since it was chosen what to take. Look at it again and choose anew."


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person decided for one session. ``include`` and ``exclude`` are positions in ``Proposal.items``;
    ``answer_questions`` includes whatever only the user can decide about; ``fields`` names the copy that a metadata
    field is to be taken from.

    ``made_on`` is the fingerprint of the proposal that was decided about: on another one nothing of this is carried
    out. Without it no position means anything, while answers and fields are about whatever there is.

    Who includes one message that is asked about has been asked about the others, which then stay out. An import asks
    nothing: ``imported`` names the copies from other places whose fields and parts of messages are taken, of no others.
    """

    include: frozenset[int] = frozenset()
    exclude: frozenset[int] = frozenset()
    answer_questions: bool = False
    fields: Mapping[str, str] = field(default_factory=dict)
    made_on: str = ""
    imported: frozenset[str] = frozenset()

    @property
    def are_about_messages(self) -> bool:
        """Whether it was decided which messages stay; also that an import answers no question."""
        return bool(self.include or self.exclude or self.answer_questions or self.imported)

    @property
    def are_none(self) -> bool:
        """Whether nothing was decided."""
        return not (self.are_about_messages or self.fields)

    @property
    def need_a_proposal(self) -> bool:
        """Whether they mean something only together with the proposal that they were made on."""
        return bool(self.made_on or self.include or self.exclude)


def left_out_before(entries: Sequence[Entry], known: LeftOut) -> dict[int, Reason]:
    """The entries (by identity) that the live file lacks because a person left them out of an earlier repair. Reads
    every message where there are any.
    """
    again = left_out.known_again([e.merged for e in entries], known)
    return {id(entries[k]): Reason.LEFT_OUT for k in again if LIVE not in entries[k].versions}


def fingerprint(
    messages: Iterable[Message], reasons: Iterable[Reason | None], offers: Mapping[str, Mapping[str, Any]]
) -> str:
    """What distinguishes a proposal from every other one: the bytes of its messages in their order, why each is left
    out unless a person says otherwise, and what each copy says of each field.
    """
    digest = hashlib.sha256(json.dumps(offers, default=repr).encode())  # a hostile row holds any bytes
    for m, reason in zip(messages, reasons, strict=True):
        raw = m.piece.raw
        digest.update(f"\0{reason or ''}\0{len(raw)}\0".encode())
        digest.update(raw)
    return digest.hexdigest()[:_LENGTH]
