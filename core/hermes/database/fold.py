"""Which rows of one copy say a message that an earlier row of it says already.

The agent writes the same message more than once: a flush that writes the whole transcript again, a retry after a flush
that failed half-way, a prompt at the start and at the end of its turn, and above all a compaction, which writes what it
carries over anew (:mod:`core.hermes.database.blocks`). A copy is folded before it is aligned with others (recovery.md,
section 2).

People repeat themselves as well ("continue" ten times, each time "Done."), so equal texts alone prove nothing. What
does, in falling strength:

1. **The place.** What stands around the summary of a compaction in the order of the context is a copy, whatever its
   time.
2. **The moment.** No two messages have the same role, text, calls and time.
3. **The call.** A call has one result. Its id names it within a turn only: some providers count from 0 in each.
4. **The second.** Nobody says the same again within a second with nothing between, and no model gives the same long
   answer or makes the same calls twice within one. A short turn that stands there twice was written again if the turn
   journal knows of one prompt.

For a file not even all of the last three hold: the server stamps different messages with one time, and hands the ids
of a call on to the answer.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from itertools import pairwise
from typing import NamedTuple

from hermes_rescue.core.base.jsontext import Piece
from hermes_rescue.core.hermes.database.blocks import SECOND, Pair, Rows, within
from hermes_rescue.core.hermes.database.statedb_rows import Status
from hermes_rescue.core.hermes.message import Message, message

LONG = 64
"""Characters of an answer that no model gives twice to the letter within a second."""


class Folded(NamedTuple):
    """A message of a copy: ``first`` is the position at which it stands first; ``message`` is that one with the fullest
    text of all its repeats; ``status`` says whether it is taken back.
    """

    first: int
    message: Message
    status: Status


def fold(
    messages: Sequence[Message], statuses: Sequence[Status], links: Collection[int] = (), sent: Sequence[float] = ()
) -> tuple[Folded, ...]:
    """The messages of a copy, each once (arguments as for :func:`repeated`; ``sent``: when prompts were sent, as far as
    that is known), in the order in which they stand first. One that only the block of a compaction still has comes
    after the message that it follows there.

    The latest row decides whether the user took a message back: a rewind takes back the rows that are live, so of a
    message that was carried over only the last copy, while the rows before it stay summarised away.
    """
    rows = _Folding(messages, statuses, links, sent)
    again: dict[int, list[int]] = {}
    for p, q in rows.first.items():
        again.setdefault(q, [q]).append(p)
    moved: dict[int, list[int]] = {}
    for p, q in rows.after.items():
        if p not in rows.first:
            moved.setdefault(rows.first.get(q, q), []).append(p)
    found: list[Folded] = []
    left = [p for p in range(len(messages) - 1, -1, -1) if p not in rows.first and p not in rows.after]
    while left:
        p = left.pop()
        found.append(
            _one(p, messages, statuses, sorted(again[p])) if p in again else Folded(p, messages[p], statuses[p])
        )
        left += reversed(moved.get(p, ()))
    return tuple(found)


def repeated(
    messages: Sequence[Message], statuses: Sequence[Status] = (), links: Collection[int] = ()
) -> dict[int, int]:
    """The rows of one copy, in the order of their ids, that say a message which an earlier row says: each such position
    with the one at which that message stands first.

    ``statuses`` has one for each row (all are live without it). ``links`` are positions at which another session goes
    on (formats.md, "Lineage"), where the rows of a chain of sessions come as one sequence. Near-linear.
    """
    return _Folding(messages, statuses or ["active"] * len(messages), links, ()).first


def _one(first: int, messages: Sequence[Message], statuses: Sequence[Status], places: Sequence[int]) -> Folded:
    status = statuses[places[-1]]
    if status == "compacted" and any(statuses[p] == "active" for p in places):
        status = "active"
    return Folded(first, _fullest([messages[p] for p in places]), status)


def _fullest(found: Sequence[Message]) -> Message:
    """The first message of several that are one; where a later row has more of the same result, with that text."""
    first = found[0]
    fuller = (
        max(found, key=lambda m: len(m.text)) if first.answers and len({m.text_token for m in found}) > 1 else first
    )
    if fuller is first:
        return first
    value = {**fuller.value, **({} if first.time is None else {"timestamp": first.time})}
    return message(Piece(None, value, 2), is_brief=not isinstance(fuller.text_token, str))


class _Folding:
    """The rows of one copy, folded: ``first`` has for each repeat the position of the first row that says it,
    ``after`` has what only a block still has, with the position of the row that it follows.

    The rows come in segments: each begins with a block, and what was said after it follows. What a segment holds,
    without repeats and what was taken back, is the context that the next compaction began with.
    """

    def __init__(
        self, messages: Sequence[Message], statuses: Sequence[Status], links: Collection[int], sent: Sequence[float]
    ) -> None:
        self._messages = messages
        self._statuses = statuses
        self._sent_at = sent
        self._rows = Rows(messages, statuses, links)
        self.first: dict[int, int] = {}
        self.after: dict[int, int] = {}
        self._turn: dict[Hashable, int] = {}  # where each call of the turn of the moment stands first
        self._sent: set[int] = set()  # what the context of the moment holds, by the first positions
        self._fold()
        for p in sorted(self.first):
            self.first[p] = self.first.get(self.first[p], self.first[p])

    def _fold(self) -> None:
        rows = self._rows
        context: list[int] = []
        begin = done = 0
        marks = rows.marks()
        while marks:
            mark = marks.pop()
            context += self._fold_segment(done, earliest := max(done, rows.earliest(begin, mark, marks)))
            done = earliest
            start = rows.start(context, done, mark, marks)
            if start is None:
                continue
            context += self._fold_segment(done, start)
            done = start
            self._note(rows.copies(context, start, mark, marks))
            context, begin = [], start
            self._sent.clear()
        self._fold_segment(done, len(self._messages))

    def _note(self, copies: Sequence[Pair]) -> None:
        self.first.update((p, self.first.get(q, q)) for p, q in copies)
        for (p, q), (following, _) in pairwise(copies):
            if self._rows.summaries.isdisjoint(range(p + 1, following + 1)):
                self.after.update(dict.fromkeys(range(p + 1, following), q))

    def _fold_segment(self, done: int, end: int) -> list[int]:
        """Fold what a segment holds from ``done`` on, and give what the model was sent of it."""
        kept: list[int] = []
        for p in range(done, end):
            if p in self.first:  # carried over by a compaction
                kept.append(p)
            elif (same := self._rows.at_time.get(p)) is not None:
                self.first[p] = self.first.get(same, same)
                if self.first[p] not in self._sent:  # carried over with its time
                    kept.append(p)
            elif (same := self._same_in_turn(kept[-1] if kept else p, p)) is not None:
                self.first[p] = same
            else:
                kept.append(p)
            self._sent.add(self.first.get(p, p))
        return [p for p in self._without_retries(kept) if self._statuses[p] != "rewound"]

    def _same_in_turn(self, before: int, p: int) -> int | None:
        """The row that says the same in the same turn: the one before within a second, or one of the same call."""
        m = self._messages[p]
        is_back = self._statuses[p] == "rewound"
        if before != p and self._is_repeat(before, p):
            return before
        if m.answers:
            first = self._turn.setdefault((m.answers, is_back), p)
            return first if first != p else None
        if m.role == "user" and p not in self._rows.alone:
            self._turn.clear()
        if m.calls:
            first = self._turn.setdefault((self._rows.exact[p], is_back), p)
            if first != p and self._messages[first].part("tool_calls") == m.part("tool_calls"):
                return first
            for call in m.calls:  # what answers another call of the same id is another result
                self._turn.pop((call, is_back), None)
        return None

    def _without_retries(self, rows: Sequence[int]) -> list[int]:
        """The rows without those that a flush wrote a second time within a second of the first."""
        kept: list[int] = []
        prompts: dict[Hashable, dict[int, int]] = {}
        k = 0
        while k < len(rows):
            m = self._messages[rows[k]]
            length = 0
            if m.role == "user" and m.time is not None:
                second = int(m.time)
                seen = prompts.setdefault(self._rows.exact[rows[k]], {})
                q = max(seen.get(second + x, -1) for x in (-1, 0, 1)) if seen else -1
                length = k - q if q >= 0 and self._is_retry(rows, q, k) else 0
                seen[second] = k
            if length:
                self.first.update(zip(rows[k : k + length], rows[k - length : k], strict=True))
            else:
                kept.append(rows[k])
            k += length or 1
        return kept

    def _is_retry(self, rows: Sequence[int], q: int, k: int) -> bool:
        """Whether what stands from ``q`` to ``k`` stands from ``k`` on once more, and is nothing that a person and a
        model can say twice within a second.
        """
        length = k - q
        if k + length > len(rows) or not all(self._is_repeat(rows[x], rows[x + length]) for x in range(q, k)):
            return False
        turn = [self._messages[p] for p in rows[q:k]]
        first, begun, before = turn[0].time, self._messages[rows[k]].time, turn[-1].time
        if begun is not None and before is not None and begun < before:
            return True  # nobody says it again before it is answered
        if first is not None and begun is not None and sum(first - SECOND < t <= begun for t in self._sent_at) == 1:
            return True
        return any(m.calls or (m.role == "assistant" and len(m.text) > LONG) for m in turn)

    def _is_repeat(self, p: int, again: int) -> bool:
        """Whether two rows that nothing has carried over say the same within a second, both or none taken back."""
        return (
            self._rows.exact[p] == self._rows.exact[again]
            and within(self._messages[p], self._messages[again], SECOND)
            and (self._statuses[p] == "rewound") == (self._statuses[again] == "rewound")
            and self.first.keys().isdisjoint((p, again))
        )
