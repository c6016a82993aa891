"""The turns of a transcript, and when two of them are the same one (recovery.md, section 2).

A prompt carries its start in every copy; the answer is stamped when it ends, or as the agent works.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Hashable, Sequence
from functools import cached_property
from typing import NamedTuple

from hermes_rescue.core.hermes.message import LONG_ID, Message, MessageIdentity
from hermes_rescue.core.merge.likeness import Look, likeness
from hermes_rescue.core.merge.stamps import is_same

UNIT = 1_000_000
"""What one degree of likeness is worth beside nearness in time, which only decides between equals."""

SLACK = 4.0
"""Seconds between two stamps of one moment: written by two programs, one after the other, or cut to whole seconds."""

_MOMENT = 1.0
"""Seconds by which a row can be older or newer than the message that it is, where both came at the end of a turn."""


def is_at_once(one: float | None, other: float | None) -> bool:
    """Whether two stamps of a prompt are one: it carries its start in every copy (a cancelled one whole seconds)."""
    return one is not None and other is not None and abs(one - other) <= SLACK


def is_apart(one: float | None, other: float | None) -> bool:
    """Whether an answer was given twice, as the notice of an overloaded provider is, as far as times are known."""
    return one is not None and other is not None and not is_at_once(one, other)


class Turn(NamedTuple):
    """A prompt and what follows, from ``start`` up to ``end``; the beginning of some transcripts has no prompt."""

    start: int
    end: int
    has_prompt: bool

    @property
    def content(self) -> range:
        """The positions of its messages but the prompt."""
        return range(self.start + self.has_prompt, self.end)


def turns(messages: Sequence[Message]) -> list[Turn]:
    """The turns of a transcript, in order; every message is in one. A summary within a turn does not end it."""
    starts = [k for k, m in enumerate(messages) if m.role == "user" and not m.is_summary]
    if messages and (not starts or starts[0] != 0):
        starts.insert(0, 0)
    ends = [*starts[1:], len(messages)]
    return [Turn(start, end, messages[start].role == "user") for start, end in zip(starts, ends, strict=False)]


def is_one_prompt(a: Sequence[Message], b: Sequence[Message], one: Turn, other: Turn) -> bool:
    """Whether two turns with no other turn to choose have the same prompt at the same time: then they are one."""
    mine, theirs = a[one.start], b[other.start]
    both = one.has_prompt and other.has_prompt and is_at_once(mine.time, theirs.time)
    if not both or _are_answered(mine, theirs, a[one.end - 1], b[other.end - 1]):
        return False
    return likeness(Look(mine), Look(theirs)) > 1


def _are_answered(prompt: Message, again: Message, answer: Message, other: Message) -> bool:
    """Whether two prompts, by their stamps, were sent one after the other, and each has an answer of its own."""
    if prompt.time is None or again.time is None or is_same(prompt.time, again.time):
        return False
    if not (prompt.time % 1 and again.time % 1) or not (_is_end(answer) and _is_end(other)):
        return False  # one of them is cut to whole seconds
    return not likeness(Look(answer), Look(other))


def _is_end(m: Message) -> bool:
    """Whether a message is the end of an answer."""
    return m.role == "assistant" and not m.calls and bool(m.text)


class Alike(NamedTuple):
    """How surely two turns are one (0: they are not); ``is_apart``: two times of one clock would deny it."""

    score: int
    is_apart: bool


_UNLIKE = Alike(0, is_apart=False)


class LookedTurn:
    """A turn with what is asked of it for each turn of the other side."""

    def __init__(self, messages: Sequence[Message], turn: Turn, again: Container[MessageIdentity]) -> None:
        self.prompt = messages[turn.start] if turn.has_prompt else None
        self.messages = [messages[k] for k in turn.content if not messages[k].is_empty]
        if not self.messages and self.prompt is None:
            self.messages = [messages[k] for k in turn.content]
        self.calls = {call for m in self.messages for call in m.calls if call}
        self.long_calls = {call for call in self.calls if len(call) >= LONG_ID}
        self.letters = Counter(m.strict_identity for m in self.messages)
        known = {m.strict_identity: m for m in self.messages if m.is_distinctive and m.strict_identity not in again}
        # a tool gives the same result twice, and an id that counts from 0 in each turn is no proof beyond it
        self.results = {key for key, m in known.items() if 0 < len(m.answers) < LONG_ID}
        self.distinctive = {key: m for key, m in known.items() if key not in self.results}
        first = self.prompt or (self.messages[0] if self.messages else None)
        self.time = first.time if first is not None else None
        after = messages[turn.end].time if turn.end < len(messages) else None
        last = max((m.time for m in self.messages if m.time is not None), default=None)
        soon = last or self.time
        self.end = after or (None if soon is None else soon + SLACK)
        # of answers that have no stamps, as old servers left them, only the next prompt shows the end
        self.answered = after if last is None else last + _MOMENT

    def shared(self, other: LookedTurn) -> tuple[int, bool]:
        """How many messages both have, spelling aside, and whether one of them is distinctive, or several results are
        together.
        """
        common = self.letters & other.letters if not self.letters.keys().isdisjoint(other.letters) else Counter()
        found, is_distinctive = common.total(), any(key in common for key in self.distinctive)
        is_distinctive = is_distinctive or sum(key in common for key in self.results) > 1
        if found == len(self.messages) or found == len(other.messages):
            return found, is_distinctive  # their spelling makes no more of them the same
        found = 0 if self.folded.keys().isdisjoint(other.folded) else (self.folded & other.folded).total()
        return found, is_distinctive or (
            bool(found) and any(m.folded_identity in other.folded for m in self.distinctive.values())
        )

    @cached_property
    def folded(self) -> Counter[MessageIdentity]:
        """What is said in it, but for its spelling."""
        return Counter(m.folded_identity for m in self.messages)

    @property
    def marks(self) -> set[Hashable]:
        """Of these it has some in common with each turn that it shares messages or calls with."""
        return {*self.folded, *self.calls}

    @property
    def prompts(self) -> list[Look]:
        """Its prompt, where it has one."""
        return [] if self.prompt is None else [Look(self.prompt)]

    @property
    def last(self) -> list[Look]:
        """The last that was said in it."""
        return [Look(m) for m in self.messages[-3:]]

    def is_answered_beside(self, other: LookedTurn) -> bool:
        """Whether their prompts were sent one after the other, and each has an answer of its own."""
        if self.prompt is None or other.prompt is None or not self.messages or not other.messages:
            return False
        return _are_answered(self.prompt, other.prompt, self.messages[-1], other.messages[-1])

    def began_during(self, other: LookedTurn) -> bool:
        """Whether this turn began before the other one had ended, or nobody knows."""
        if self.time is None or other.time is None:
            return True
        end = other.end
        if self.prompt is not None and other.prompt is not None:  # no prompt is sent after its answer
            end = other.answered if other.messages else other.time + SLACK
        return end is None or other.time <= self.time < end


def turn_likeness(one: LookedTurn, other: LookedTurn, prompts: int, have_like_ends: bool) -> Alike:
    """How surely two turns are the same one, in units, and less than one for nearness in time.

    ``prompts`` says how surely their prompts are one, ``have_like_ends`` that some of their last messages can be. Two
    turns with the same prompt and answers that have nothing in common are two: people say "continue" ten times. Where
    what they have in common can be chance, two times of one clock keep them apart.
    """
    if one.prompt is None and other.prompt is None:
        prompts = 1
    shared, distinctive = one.shared(other)
    calls = one.calls & other.calls
    distinctive = distinctive and not (one.calls and other.calls and not calls)
    shared, distinctive = shared + len(calls), distinctive or not calls.isdisjoint(one.long_calls)
    is_one = prompts > 0 or one.prompt is None or other.prompt is None
    if not shared and is_one and one.messages and other.messages:
        shared = have_like_ends
    if not distinctive and one.is_answered_beside(other):
        return _UNLIKE
    if not is_one and not distinctive:
        return _UNLIKE
    at_once = is_at_once(one.time, other.time)
    if shared:
        same = 10 + min(shared, 50) + prompts if is_one else shared
    elif prompts > 1 and (not one.messages or not other.messages):
        same = prompts
    elif prompts > 1 and at_once:
        same = 1
    else:
        return _UNLIKE
    is_apart = not (at_once or one.began_during(other) or other.began_during(one))
    is_known = distinctive if is_one else not calls.isdisjoint(one.long_calls)
    return Alike(same * UNIT + nearness(one.time, other.time), is_apart and not is_known)


def nearness(one: float | None, other: float | None) -> int:
    """1000 for equal times, less the farther they are; never 0 for times that are known."""
    if one is None or other is None:
        return 0
    return int(1000 / (1 + abs(one - other) / 10)) + 1
