"""When two messages in the same place are the same one.

The rules are those of recovery.md, section 2: role, visible text and tool ids. Time says nothing here; it decides
between equal candidates, because people say "continue" ten times.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from math import ceil

from hermes_rescue.core.hermes.message import REASONING, SHORT, Message
from hermes_rescue.core.hermes.same_text import Text, compare

_ALIKE = 0.75
"""The share of a text that is the same at its ends where only a stretch in the middle was damaged."""

_GLIMPSE = int(SHORT * _ALIKE / 2)
"""Characters of which two such texts share as many at one end at least."""

_FEW = 64
"""Pairs of messages that are compared one by one."""


class Look:
    """A message with what to compare it with many others takes."""

    def __init__(self, m: Message) -> None:
        self.m = m

    @cached_property
    def text(self) -> Text:
        """The visible text."""
        return Text(self.m.folded_text)

    @cached_property
    def head(self) -> str:
        """Of two that are alike by their beginnings one has a head that begins with the other's."""
        text = self.text.folded[: min(_GLIMPSE, self.text.intact)]
        # a text that is missing can be any, but not beside a call
        return f"{self.m.role}\0{text}" if text or self.m.is_empty or self.text.folded else f"{self.m.role}\0\0"

    @cached_property
    def tail(self) -> str:
        """The same of their ends, backwards."""
        text = self.text.folded
        return f"{self.m.role}\0{text[: -_GLIMPSE - 1 : -1]}" if self.m.role == "user" or len(text) >= SHORT else ""

    @property
    def ids(self) -> Iterator[Hashable]:
        """One of these is the same in two messages of the same calls."""
        return filter(None, (self.m.answers, self.m.calls))


def likeness(one: Look, other: Look) -> int:
    """How surely two messages in the same place are the same one: 0 they are not, up to 4 beyond doubt.

    What one copy lost (tool calls, unmasked text, the end of an answer that was still being written, a stretch in the
    middle) does not make it another message.
    """
    a, b = one.m, other.m
    if a.role != b.role:
        return 0
    same_calls = a.answers == b.answers and a.calls == b.calls
    if same_calls and a.text_token == b.text_token:
        return 4
    same_call = (a.answers and a.answers == b.answers) or (a.calls and a.calls == b.calls)
    if ((a.answers and b.answers) or (a.calls and b.calls)) and not same_call:
        return 0
    text, theirs = one.text.folded, other.text.folded
    if same_calls and text == theirs:
        return 4
    if same_call or (text and text == theirs):
        return 3
    if not text or not theirs:
        return int(a.is_empty or b.is_empty)
    if (one.head.startswith(other.head) or other.head.startswith(one.head)) and compare(one.text, other.text):
        return 2
    if a.role == "user":  # the program may have added something of its own
        return 2 if text.endswith(theirs) or theirs.endswith(text) else 0
    return int(same_calls and _is_mostly_same(one.text, other.text))


def _is_mostly_same(one: Text, other: Text) -> bool:
    """Whether two texts are one of which a stretch in the middle was damaged."""
    longer, shorter = (one, other) if len(one.folded) > len(other.folded) else (other, one)
    if len(shorter.folded) < SHORT or len(longer.folded) > 2 * len(shorter.folded):
        return False
    least = ceil(_ALIKE * len(longer.folded)) - _equal(longer.folded, shorter.folded)
    return least <= 0 or longer.backwards[:least] == shorter.backwards[:least]


def _equal(one: str, other: str) -> int:
    """How many characters two texts begin with that are the same."""
    equal, end, step = 0, min(len(one), len(other)), 8
    while equal < end and one[equal : equal + step] == other[equal : equal + step]:
        equal, step = equal + step, 2 * step
    end = min(end, equal + step)
    while equal < end:
        middle = (equal + end + 1) // 2
        if one[equal:middle] == other[equal:middle]:
            equal = middle
        else:
            end = middle - 1
    return min(equal, end)


def alike(one: Sequence[Look], other: Sequence[Look]) -> Iterator[tuple[int, int, int]]:
    """Which messages of two lists can be the same one, by their places, and how surely they are."""
    if len(one) * len(other) <= _FEW:
        pairs = ((i, j, likeness(look, each)) for i, look in enumerate(one) for j, each in enumerate(other))
        yield from (found for found in pairs if found[2])
        return
    mine, theirs = _equal_once(one), _equal_once(other)
    looks = [other[places[0]] for places in theirs]
    candidates = _Candidates(looks)
    for places in mine:
        look = one[places[0]]
        for k in candidates.of(look):
            if sure := likeness(look, looks[k]):
                yield from ((i, j, sure) for i in places for j in theirs[k])


def _equal_once(looks: Sequence[Look]) -> list[list[int]]:
    """The places of messages that are like the same others, together."""
    places = defaultdict[Hashable, list[int]](list)
    for k, look in enumerate(looks):
        places[look.m.folded_identity, look.m.is_empty].append(k)
    return list(places.values())


def fewer_calls(one: Sequence[Message], other: Sequence[Message]) -> Iterator[tuple[int, int, int]]:
    """Which messages of one turn in two copies are the same one without some of its calls, as :func:`alike`: what
    nothing answered is taken out. Ids of calls count within a turn only; what is left of a message without words is
    known by its thought.
    """
    theirs = [(j, m, frozenset(m.calls)) for j, m in enumerate(other) if m.calls or _is_thought(m)]
    for i, mine, calls in ((i, m, frozenset(m.calls)) for i, m in enumerate(one) if m.calls or _is_thought(m)):
        for j, m, others in theirs:
            is_less = calls < others or others < calls
            if is_less and mine.text == m.text and ((calls and others) or _has_thought_of(mine, m)):
                yield i, j, 1


def _is_thought(m: Message) -> bool:
    """Whether a message has reasoning and nothing else."""
    return m.role == "assistant" and not m.text_token and any(part in m.parts for part in REASONING)


def _has_thought_of(one: Message, other: Message) -> bool:
    return any(part in one.parts and one.part(part) == other.part(part) for part in REASONING)


class _Candidates:
    """Messages to look among for those that can be like another one, without looking at each."""

    def __init__(self, looks: Sequence[Look]) -> None:
        self._heads = _Prefixes([look.head for look in looks])
        self._tails = _Prefixes([look.tail for look in looks])
        self._ids: dict[Hashable, list[int]] = defaultdict(list)
        for j, look in enumerate(looks):
            for each in look.ids:
                self._ids[each].append(j)

    def of(self, look: Look) -> set[int]:
        """The places of those that can be like this one."""
        linked = chain.from_iterable(self._ids.get(each, ()) for each in look.ids)
        return {*linked, *self._heads.beside(look.head), *(self._tails.beside(look.tail) if look.tail else ())}


class _Prefixes:
    """Texts to look among for those that begin with another one, or that it begins with."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._order = sorted(range(len(texts)), key=texts.__getitem__)
        self._texts = sorted(texts)
        self._lengths = sorted(set(map(len, texts)) - {0})

    def beside(self, text: str) -> Iterator[int]:
        """Their places; none is that of an empty text."""
        for length in self._lengths:
            if length < len(text):
                yield from self._from(text[:length], text[:length] + "\0")
        yield from self._from(text, text + chr(0x10FFFF))

    def _from(self, begin: str, end: str) -> Iterator[int]:
        return iter(self._order[bisect_left(self._texts, begin) : bisect_left(self._texts, end)])
