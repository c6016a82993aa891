"""Joins the rows of one conversation that lie under several session ids (formats.md, "Lineage").

A compaction by rotation writes under the child's id again what the model goes on with: the head of the conversation, a
summary, and its tail, with new times as a rule. What is a copy shows in the sequence: it says what the rows before it
say, and its tail ends where they end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import merge
from itertools import islice, pairwise, takewhile
from typing import NamedTuple

from hermes_rescue.core.hermes.message import Message

_PRIOR = "[PRIOR CONTEXT"
_PRIOR_ENDS = "[END OF PRIOR CONTEXT"
_SUMMARIES = ("[CONTEXT COMPACTION", "[CONTEXT SUMMARY]:", _PRIOR)
"""What a compaction's summary begins with; the last one has the first message of the tail in it, before the summary."""

_NOTES = ("[Your active task list was preserved", "[Result from earlier conversation")
"""What else a compaction writes."""

HEAD = 16
"""Messages among which a compaction's summary is looked for; it keeps fewer of the beginning."""

_SOON = 2.0
"""Seconds within which a compaction has written everything."""

Place = tuple[int, int]
_Identity = tuple[str, str, tuple[str, ...]]


class Segment(NamedTuple):
    """The rows of a conversation under one session id, by id: ``ids`` and, as long, ``messages``."""

    ids: Sequence[int]
    messages: Sequence[Message]


def joined(segments: Sequence[Segment]) -> list[Place]:
    """The messages of a conversation in order and without copies, each as (segment, position in it).

    ``segments`` are the rows under each id of :attr:`core.hermes.database.lineage.Lineage.parts`, parents before their
    children, of one database; what is repeated within one of them should be folded before. The order is that in which
    the rows were written, so also right where an old id was taken up again; an import can give the parent's rows the
    newer ids, then the order of the segments counts. Summaries stay, for they are known as such.
    """
    begins = [segment.ids[0] for segment in segments if segment.ids]
    places = [[(id_, k, at) for at, id_ in enumerate(segment.ids)] for k, segment in enumerate(segments)]
    is_in_order = all(one < other for one, other in pairwise(begins))
    found: list[Place] = []
    before: list[Message] = []
    copies: frozenset[int] = frozenset()
    for _, k, at in merge(*places) if is_in_order else (place for each in places for place in each):
        if at == 0:
            copies = copied(before, segments[k].messages)
            newest = k
        if k == newest and at in copies:
            continue
        found.append((k, at))
        before.append(segments[k].messages[at])
    return found


def goes_on_in_turn(before: Sequence[Message], children: Iterable[Sequence[Message]]) -> bool:
    """Whether a conversation was compacted within a turn: what its children, in order, have beyond the copies begins
    with no prompt.
    """
    held = [*before]
    for child in children:
        copies = copied(held, child)
        new = [m for at, m in enumerate(child) if at not in copies]
        first = next((m for m in new if not _is(m, _SUMMARIES)), None)
        if first is not None:
            return first.role != "user"
        held += new
    return False


def begins_with_summary(messages: Iterable[Message]) -> bool:
    """Whether a compaction wrote the beginning of these messages."""
    return any(_is(m, _SUMMARIES) for m in islice(messages, HEAD))


def copied(before: Sequence[Message], child: Sequence[Message]) -> frozenset[int]:
    """Which messages at the beginning of a child a compaction copied or wrote for itself, as positions.

    ``before``: the conversation up to there. The summary is not among them. A tail that could end at two places,
    because the same was said again, ends where the times say, else at the first: nothing said is lost so.
    """
    if not before:
        return frozenset()
    old = [_identity(m) for m in before]
    known = set(old)
    summary = next((at for at, m in enumerate(child[:HEAD]) if _is(m, _SUMMARIES)), -1)
    end = summary + 1
    while (
        end < len(child)
        and not _is(child[end], _SUMMARIES)
        and (_is_note(child[end]) or _identity(child[end]) in known)
    ):
        end += 1
    end = _tail_end(old, child[:end], summary)
    return frozenset(at for at, m in enumerate(child[:end]) if _identity(m) in known or (_is_made(m) and at != summary))


def _tail_end(old: Sequence[_Identity], child: Sequence[Message], summary: int) -> int:
    """The position after the copied tail of a child, which begins after the summary.

    ``old``: the conversation before; prompts at its end that were never answered may be missing in the tail.
    ``child``: as much of its beginning as may be copied.
    """
    begin = summary + 1
    start = child[max(summary, 0)].time if child else None
    times = [m.time for m in child]
    if start is None or None in times:
        soon = len(child)
    else:  # the copy was written at once, or has kept its old times
        soon = next((at for at in range(begin, len(child)) if (times[at] or 0.0) > start + _SOON), len(child))
    tail = [None if _is_note(m) else _identity(m) for m in child[begin:soon]]
    seen = len(old) - next((n for n, each in enumerate(reversed(old)) if each[0] != "user"), 0)  # by the model
    ends = next(filter(None, (_anchored(each, tail) for each in (old, old[:seen]))), [])
    if summary < 0:  # not even the summary is left: only what nobody would say again counts
        return next((end for end in ends if end > 1 and any(m.role != "user" for m in child[:end])), 0)
    if None in times:
        return begin + min(ends, default=0)
    return begin + (ends[0] if ends else _block(old, tail))  # a file that lagged gave the model an older end


def _anchored(old: Sequence[_Identity], tail: Sequence[_Identity | None]) -> list[int]:
    """How long a tail can be that ends as the conversation before it ends, the longest first."""
    return [n for n in range(len(tail), 0, -1) if old and _ends_alike(old, tail[:n])]


def _ends_alike(old: Sequence[_Identity], tail: Sequence[_Identity | None]) -> bool:
    """Whether a tail, notes (None) apart, is in the conversation before it, in order, and ends where that ends."""
    if tail[-1] is not None and tail[-1] != old[-1]:
        return False
    left = [each for each in tail if each is not None]
    if not left or left[-1] != old[-1]:
        return False
    for each in reversed(old):
        if left and left[-1] == each:
            left.pop()
    return not left


def _block(old: Sequence[_Identity], tail: Sequence[_Identity | None]) -> int:
    """How much of the beginning of a tail stands in one piece in the conversation before it; nothing without the id of
    a call, for what has none may just have been said again.
    """
    most = 0
    for at in (at for at, each in enumerate(old) if tail and each == tail[0]):
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old[at:], tail, strict=False)))
        if any(each is not None and (each[0] == "tool" or each[2]) for each in tail[:same]):
            most = max(most, same)
    return most


def _identity(m: Message) -> _Identity:
    """What a compaction keeps of a message: it shortens results and the arguments of calls, never their ids."""
    if m.answers or m.calls:
        return m.role, m.answers, m.calls
    text = m.folded_text
    if text.startswith(_PRIOR):
        text = text.partition("]")[2].partition(_PRIOR_ENDS)[0].strip()
    return m.role, text, ()


def _is(m: Message, begins: tuple[str, ...]) -> bool:
    return m.text.lstrip().startswith(begins)


def _is_note(m: Message) -> bool:
    return _is(m, _NOTES)


def _is_made(m: Message) -> bool:
    return _is(m, (*_SUMMARIES[:-1], *_NOTES))
