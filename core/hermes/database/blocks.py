"""Which rows a compaction of the context wrote, and what each of them is a copy of.

A compaction (formats.md, "One message can have several active rows") writes a *block*: the first messages of what the
model was sent until then (the *head*), a summary, and the last of them (the *tail*). Either the rows before it are
archived, or it failed and they stay as they are. The copies have the times that their messages had, or all the moment
of the write, or some of each; results can be shortened, calls without a result lost, images replaced, and the summary
can be merged into the first message of the tail. So a copy is known by its place: it stands around a summary in the
order of the context. The times only decide where the texts leave it open ("continue" ten times, each time "Done.").
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TypeAlias

from hermes_rescue.core.hermes.database.statedb_rows import Status
from hermes_rescue.core.hermes.message import IMAGE, SUMMARY_PREFIX, Message, MessageIdentity
from hermes_rescue.core.hermes.workspace_tag import strip_workspace_tag

SECOND = 1.0
"""Seconds within which nobody says the same again."""

INSTANT = 0.02
"""Seconds that one row of a write takes: a microsecond in one transaction, some milliseconds where each has its own."""

_NEAREST = 16  # places of a repeated text that are tried where a block does not lie in one piece in the context
_MERGED = "[PRIOR CONTEXT"
_MERGED_HEADER = re.compile(r"(?:\[PRIOR CONTEXT[^\]]*\]?\s*)*")
_MERGED_END = "[END OF PRIOR CONTEXT"
_SUMMARY_END = re.compile(r"--- END OF CONTEXT SUMMARY[^\n]*---")
_SUMMARIES = (SUMMARY_PREFIX, "[CONTEXT SUMMARY]")
_STRIPPED_IMAGE = "[Attached image \N{EM DASH} stripped after compression]"

Pair: TypeAlias = tuple[int, int]
"""The positions of a copy and of what it is a copy of."""


def holds_summary(m: Message) -> bool:
    """Whether a message is the summary of a compaction, or has one merged into it."""
    return m.role != "tool" and m.text.lstrip().startswith((*_SUMMARIES, _MERGED))


def carried_text(m: Message) -> str | None:
    """The text of the message that a summary was merged into, white space folded; None where the summary stands alone.

    Newer agents put that text before the summary, those up to 0.17 after it.
    """
    text = m.text.lstrip()
    if text.startswith(_MERGED):
        text = _MERGED_HEADER.sub("", text, count=1).partition(_MERGED_END)[0]
    else:
        _, *parts = _SUMMARY_END.split(text)
        text = parts[-1] if parts else ""
        if not text.strip():
            return None
    return " ".join((strip_workspace_tag(text)[0] if m.role == "user" else text).split())


def within(a: Message, b: Message, seconds: float) -> bool:
    """Whether two messages have times that are less than so many seconds apart."""
    return a.time is not None and b.time is not None and abs(a.time - b.time) < seconds


class Rows:
    """The rows of one copy, by their positions in the order of their ids.

    ``exact`` is what makes each the message that it is, ``at_time`` has those that are, time and all, what an earlier
    row is (with the first such row), ``borders`` are the positions at which a block begins for sure.
    """

    def __init__(self, messages: Sequence[Message], statuses: Sequence[Status], links: Collection[int]) -> None:
        self.messages = messages
        self.statuses = statuses
        self.exact = _comparable(messages)
        self.at_time = _same_moment(self.exact, messages)
        self._texts: Mapping[int, str | None] = {p: carried_text(m) for p, m in enumerate(messages) if holds_summary(m)}
        self.summaries = self._texts.keys()
        """Where a summary stands, alone or merged into a message."""
        self.alone = {p for p, text in self._texts.items() if text is None}
        first = {self.exact[p]: p for p in reversed(self._texts)}
        self._new = {p for p in self._texts if first[self.exact[p]] == p}
        """Summaries that are no copy of another to the letter."""
        self._newest = [None, *accumulate((m.time for m in messages), _later)]
        self._next_new = [*range(len(messages))]
        """For each row the next one, itself included, that has a time of its own; itself where there is none."""
        for p in range(len(messages) - 2, -1, -1):
            if self._is_old(p) and not self._is_old(self._next_new[p + 1]):
                self._next_new[p] = self._next_new[p + 1]
        self._tokens: dict[int, Hashable] = {}
        archived = max((p for p, status in enumerate(statuses) if status == "compacted"), default=len(messages))
        live = next((p for p in range(archived, len(messages)) if statuses[p] == "active"), 0)
        self.borders = {*links, live} - {0}

    def marks(self) -> list[int]:
        """The positions that can mark a block, the last one first: the summaries and the borders."""
        return sorted({*self.summaries - self.at_time.keys(), *self.borders}, reverse=True)

    def earliest(self, begin: int, mark: int, marks: Sequence[int]) -> int:
        """Where the block of a mark can begin at the earliest, or that of the following mark where it can hold both, if
        the context begins at ``begin``; ``marks`` are those after it, the next one last.
        """
        if mark in self.borders:
            return mark
        following = [] if mark in self._new else marks[-1:]
        return min(self._written_before(begin, p).start for p in (mark, *following))

    def start(self, context: Sequence[int], done: int, mark: int, marks: Sequence[int]) -> int | None:
        """Where the block of a mark begins. ``context`` is what the model was sent before ``done``, which is not later
        than :meth:`earliest`. None for a summary that was itself carried over with the head of the next one's block.
        """
        if mark in self.borders:
            return mark
        if mark not in self._new and any(self._length_of_head(context, done, p) >= p - mark for p in marks[-1:]):
            return None
        if length := self._length_of_head(context, done, mark):
            return mark - length
        written = self._written_before(done, mark)
        before = [*context, *self._live(done, written.start)]
        copies = (p for p, _ in self._in_order(written, before))
        start = next((p for p in copies if p in self.summaries or self.messages[p].role == "user"), mark)
        return start if self._can_begin(start, mark, written, before) else mark

    def copies(self, context: Sequence[int], start: int, mark: int, marks: list[int]) -> list[Pair]:
        """The copies in the block of a mark, in order; ``context`` is what the model was sent before it. What stands
        in the block of the following marks is taken from these.
        """
        head = self._head(context, range(start, mark))
        while start in self.borders and self._can_belong(start, mark, marks[-1:]):
            longer = self._head(context, range(start, marks[-1]))
            if not longer:
                break
            head, mark = longer, marks.pop()
        found = head + self._tail(context[len(head) :], mark, marks)
        while marks and found and marks[-1] <= found[-1][0]:
            marks.pop()  # a summary that was carried over itself
        return found

    def _can_belong(self, start: int, mark: int, following: Sequence[int]) -> bool:
        """Whether a block that begins at a border can have its summary at the following mark."""
        if mark in self._new or not self.summaries >= {*following} or not following:
            return False
        return mark not in self._texts or self._written_before(start, following[0]).start == start

    def _is_old(self, p: int) -> bool:
        """Whether a row has no later time than one before it, or the time of one that says the same: it may have been
        written again with the time that it had.
        """
        time, newest = self.messages[p].time, self._newest[p]
        return p in self.at_time or (time is not None and newest is not None and time <= newest)

    def _written_before(self, begin: int, summary: int) -> range:
        """The rows before a summary that can by their times have come with it: each an instant before the next one that
        has a time of its own.
        """
        start = summary
        last = self._next_new[summary]
        while start > begin:
            if not self._is_old(start - 1):
                if not within(self.messages[start - 1], self.messages[last], INSTANT * (last - start + 1)):
                    break
                last = start - 1
            start -= 1
        return range(start, summary)

    def _written_after(self, rows: range, last: int | None, newest: float | None, reach: float) -> int:
        """How many rows can by their times have come with the summary before them: they are not newer than ``newest``,
        or take no more than ``reach`` seconds each, from ``last`` on if that is known.
        """
        for count, p in enumerate(rows):
            time = self.messages[p].time
            if time is None or p in self.at_time or (newest is not None and time <= newest):
                continue
            if last is not None and not within(self.messages[last], self.messages[p], reach * (p - last)):
                return count
            last = p
        return len(rows)

    def _length_of_head(self, context: Sequence[int], done: int, summary: int) -> int:
        """How many rows before a summary are the beginning of the context once more."""
        written = self._written_before(done, summary)
        before = [*context, *self._live(done, written.start)]
        lengths = _overlaps(self._tokens_of(before[: len(written)]), self._tokens_of(written))
        return next((k for k in lengths if self._can_begin(summary - k, summary, written, before)), 0)

    def _can_begin(self, start: int, summary: int, written: range, before: Sequence[int]) -> bool:
        """Whether a head can begin here: it is a part of the context, and not of what a flush has written again."""
        is_inside = start != written.start and self.at_time.get(start - 1, start) < self.at_time.get(start, -1)
        return summary - start < len(before) and not is_inside

    def _live(self, begin: int, end: int) -> list[int]:
        return [p for p in range(begin, end) if self.statuses[p] != "rewound"]

    def _head(self, context: Sequence[int], head: range) -> list[Pair]:
        """The copies from the start of a block to its summary. None where most of these rows are no copies."""
        if self._tokens_of(head) == self._tokens_of(context[: len(head)]):
            return _pairs(head, context)
        pairs = self._in_order(head, context)
        return pairs if 2 * len(pairs) > len(head) else []

    def _tail(self, context: Sequence[int], mark: int, marks: Sequence[int]) -> list[Pair]:
        """The copies after a summary: the end of the context, mostly in one piece.

        The times show how many rows have come with the summary; what was carried over is the longest end of the
        context that these begin with.
        """
        is_alone = mark in self.alone
        end = next((p for p in reversed(marks) if p in self._new or p not in self.summaries), len(self.messages))
        tail = range(mark + is_alone, end)[: len(context)]
        lengths = list(_overlaps(self._tokens_of(tail), self._tokens_of(context)))
        newest, before = self.messages[mark].time, self.messages[context[-1]].time if context else None
        is_new = is_alone or (newest is not None and before is not None and newest > before)
        written, longer = (
            self._written_after(tail, mark if is_new else None, _later(newest, before), reach)
            for reach in (INSTANT, SECOND)
        )
        length = next((k for limit in (written, longer, len(tail)) for k in lengths if k <= limit), 0)
        if length < written and not self._ends_before_prompt(tail, length, context):
            end = next((p for p in reversed(marks) if p in self._new or p not in self.alone), end)
            # what a flush wrote again since is no part of it
            rows = [p for p in range(tail.start, end)[:written] if self.at_time.get(p, -1) < mark]
            has_prompt = bool(rows) and self._is_new_prompt(rows[-1], context)
            scattered = self._in_order(rows[: -1 if has_prompt else None], context)
            new = [sum(p not in self.at_time for p in each) for each in ((p for p, _ in scattered), tail[:length])]
            if len(scattered) > length and (not length or new[0] > new[1]):  # else a flush wrote the rest again
                return scattered
        return _pairs(tail[:length], context[len(context) - length :])

    def _ends_before_prompt(self, tail: Sequence[int], length: int, context: Sequence[int]) -> bool:
        """Whether so many rows, which are the end of the context in one piece, are followed by a prompt that it does
        not have: then nothing after them was carried over.
        """
        if not 0 < length < len(tail) or self.messages[tail[length]].role != "user":
            return False
        return self._token(tail[length]) not in self._tokens_of(context)

    def _is_new_prompt(self, p: int, context: Sequence[int]) -> bool:
        """Whether the last row of a write is the prompt of that very turn, which no row has said before it."""
        return self.messages[p].role == "user" and self._tokens_of([p]) != self._tokens_of(context[-1:])

    def _in_order(self, rows: Sequence[int], context: Sequence[int]) -> list[Pair]:
        """Rows that stand in the context in the same order, but not in one piece: the user had taken back a part of
        it, or the compaction has changed some, which their place between two others then shows.
        """
        at_time = {self.at_time.get(p, p): j for j, p in enumerate(context)}
        sure = {i: j for i, p in enumerate(rows) if (j := at_time.get(self.at_time.get(p, p))) is not None}
        taken = {*sure.values()}
        where: dict[Hashable, list[int]] = {}
        for j, p in enumerate(context):
            if j not in taken:
                where.setdefault(self._token(p), []).append(j)
        both = [
            (i, j)
            for i, p in enumerate(rows)
            for j in ([sure[i]] if i in sure else where.get(self._token(p), ())[: -_NEAREST - 1 : -1])
        ]
        found: list[Pair] = []
        last_i = last_j = -1
        for i, j in _rising(both):
            gap = i - last_i - 1
            if gap and (gap == j - last_j - 1 if found else gap == 1):
                found += self._of_same_roles(rows[i - gap : i], context[max(j - gap, 0) : j])
            found.append((rows[i], context[j]))
            last_i, last_j = i, j
        return found

    def _of_same_roles(self, rows: Sequence[int], originals: Sequence[int]) -> list[Pair]:
        roles, others = ([p not in self.alone and self.messages[p].role for p in each] for each in (rows, originals))
        return _pairs(rows, originals) if roles == others else []

    def _tokens_of(self, rows: Sequence[int]) -> list[Hashable]:
        return [self._token(p) for p in rows]

    def _token(self, p: int) -> Hashable:
        """What a compaction leaves of a message in any case."""
        if p not in self._tokens:
            role, sign, answers, calls = self.exact[p]
            text = self._texts.get(p) or sign
            words = " ".join(text.replace(_STRIPPED_IMAGE, IMAGE).split()) if isinstance(text, str) else text
            self._tokens[p] = (role, answers, calls, "" if answers or calls else words)
        return self._tokens[p]


def _pairs(rows: Sequence[int], originals: Sequence[int]) -> list[Pair]:
    return list(zip(rows, originals, strict=False))


def _later(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else max(a, b)


def _comparable(messages: Sequence[Message]) -> list[MessageIdentity]:
    """What makes each message the one that it is, to the letter, in one form: a large copy holds its later texts as
    numbers, its first ones as they are.
    """
    if all(isinstance(m.text_token, str) for m in messages):
        return [m.strict_identity for m in messages]
    return [m.brief_identity for m in messages]


def _same_moment(exact: Sequence[MessageIdentity], messages: Sequence[Message]) -> dict[int, int]:
    """For each message that is the same as one before it, time and all: the first such one."""
    first: dict[tuple[MessageIdentity, float], int] = {}
    found: dict[int, int] = {}
    for p, (token, m) in enumerate(zip(exact, messages, strict=True)):
        if m.time is not None and (q := first.setdefault((token, m.time), p)) != p:
            found[p] = q
    return found


def _overlaps(pattern: Sequence[Hashable], text: Sequence[Hashable]) -> Iterator[int]:
    """The lengths, longest first, at which the beginning of one sequence is the end of another."""
    links = [0] * len(pattern)  # for each beginning of the pattern: the longest shorter one that it ends with
    k = 0
    for i in range(1, len(pattern)):
        k = links[i] = _longer(pattern, links, k, pattern[i])
    k = 0
    for token in text[max(len(text) - len(pattern), 0) :]:
        k = _longer(pattern, links, k, token)
    while k:
        yield k
        k = links[k - 1]


def _longer(pattern: Sequence[Hashable], links: Sequence[int], k: int, token: Hashable) -> int:
    """The longest beginning of the pattern that a text ends with, after one element more."""
    while k and (k == len(pattern) or pattern[k] != token):
        k = links[k - 1]
    return k + 1 if pattern and pattern[k] == token else 0


def _rising(pairs: Sequence[Pair]) -> list[Pair]:
    """The longest run of pairs that rises on both sides; those of one first position come with falling second ones."""
    ends: list[int] = []
    at: list[int] = []
    before: list[int] = []
    for x, (_, j) in enumerate(pairs):
        pile = bisect_left(ends, j)
        before.append(at[pile - 1] if pile else -1)
        if ends[pile : pile + 1] != [j]:
            ends[pile : pile + 1] = [j]
            at[pile : pile + 1] = [x]
    chain: list[Pair] = []
    x = at[-1] if at else -1
    while x >= 0:
        chain.append(pairs[x])
        x = before[x]
    return chain[::-1]
