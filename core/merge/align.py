"""Which message of one copy is which of another: two transcripts aligned as sequences of turns (recovery.md, section
2).

A turn is a prompt and what follows until the next one. Turns are aligned first: those that are equal and stand once on
both sides are anchors (patience), then those that share a tool call or the very stamp of their prompt, and what is left
between them by dynamic programming. The messages of two aligned turns are aligned within these. Other times decide
between candidates that are equal in everything else, and never deny that two messages are the same: the server stamps a
turn when it ends, the agent as it works.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Container, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import floor, inf
from operator import itemgetter
from typing import TypeAlias

from hermes_rescue.core.hermes.message import LONG_ID, Message, MessageIdentity
from hermes_rescue.core.merge import pairing
from hermes_rescue.core.merge.likeness import Look, alike, fewer_calls, likeness
from hermes_rescue.core.merge.pairing import Pair
from hermes_rescue.core.merge.turns import (
    SLACK,
    UNIT,
    LookedTurn,
    Turn,
    is_apart,
    is_at_once,
    is_one_prompt,
    nearness,
    turn_likeness,
    turns,
)

GAP_CELLS = 250_000
"""Pairs of turns between two anchors up to which they are aligned exactly; beyond, equal ones are paired in order."""

Gap: TypeAlias = tuple[int, int, int, int]
"""From where to where in the first, and in the second sequence (the end is not in it)."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """Pairs of positions (in the first, in the second sequence). ``pairs`` rise on both sides; ``moved`` are messages
    that both have at places that cross.
    """

    pairs: tuple[Pair, ...]
    moved: tuple[Pair, ...]


def align(
    a: Sequence[Message], b: Sequence[Message], *, is_torn: bool = False, is_torn_there: bool = False
) -> Alignment:
    """Align two transcripts. Near-linear where most turns occur once; what is one object at both ends costs nothing.
    ``is_torn``, ``is_torn_there``: what followed the second, and the first, is lost.
    """
    head = _common(a, b)
    while head and head < len(a) and head < len(b) and not (a[head].role == b[head].role == "user"):
        head -= 1  # a turn is aligned whole
    tail = _common(a[head:][::-1], b[head:][::-1])
    while tail and a[len(a) - tail].role != "user":
        tail -= 1
    before = next((a[k].time for k in range(head - 1, -1, -1) if a[k].role == "user"), None)
    after = a[len(a) - tail].time if tail else None
    inner = _align(a[head : len(a) - tail], b[head : len(b) - tail], before, after)
    pairs = [(k, k) for k in range(head)]
    pairs += ((i + head, j + head) for i, j in inner.pairs)
    pairs += ((len(a) - k, len(b) - k) for k in range(tail, 0, -1))
    moved = [(i + head, j + head) for i, j in inner.moved]
    if is_torn_there and not moved and (end := _cut_off(a, b, pairs)) is not None:
        pairs.append(end)
    elif is_torn and not moved and (end := _cut_off(b, a, [pair[::-1] for pair in pairs])) is not None:
        pairs.append(end[::-1])
    return Alignment(tuple(pairs), tuple(moved))


def _cut_off(torn: Sequence[Message], whole: Sequence[Message], pairs: Sequence[Pair]) -> Pair | None:
    """The prompt with which a torn transcript ends, right behind what is paired, and what it is in the other one: the
    next prompt or the only one that says the same. How long its turn went on is lost, and so how late its row can be.
    """
    i, j = pairs[-1] if pairs else (-1, -1)
    end = next((k for k in range(i + 1, len(torn)) if torn[k].role == "user"), None)
    if end is None or end < len(torn) - 1:
        return None
    prompts = [k for k in range(j + 1, len(whole)) if whole[k].role == "user"]
    same = [k for k in prompts if whole[k].folded_identity == torn[end].folded_identity]
    return (end, same[0]) if same and (len(same) == 1 or same[0] == prompts[0]) else None


def align_all(
    there: Sequence[Message],
    sequences: Mapping[str, Sequence[Message]],
    torn: Container[str] = (),
    *,
    is_torn_there: bool = False,
) -> dict[str, Alignment]:
    """How each of these is aligned with what is there, the one that shares most first, of equals the one whose prompts
    are nearer in time: another copy can say the same at another time. Those of the same messages are aligned once.
    ``torn``: the names of those that are, ``is_torn_there`` as for :func:`align`.
    """
    known: dict[tuple[int, ...], Alignment] = {}
    found = {}
    for name, sequence in sequences.items():
        same = tuple(map(id, sequence))
        if same not in known:
            known[same] = align(there, sequence, is_torn=name in torn, is_torn_there=is_torn_there)
        found[name] = known[same]
    rank = {name: (-len(each.pairs), _apart_in_all(there, sequences[name], each)) for name, each in found.items()}
    return {name: found[name] for name in sorted(found, key=rank.__getitem__)}


def _apart_in_all(a: Sequence[Message], b: Sequence[Message], found: Alignment) -> float:
    """Seconds between the prompts of two transcripts that are aligned, all together."""
    pairs = ((a[i], b[j]) for i, j in found.pairs if a[i].role == "user")
    return sum(abs(one.time - other.time) for one, other in pairs if one.time is not None and other.time is not None)


def _common(a: Sequence[Message], b: Sequence[Message]) -> int:
    """How many messages both begin with that are one object."""
    differing = (k for k, (one, other) in enumerate(zip(a, b, strict=False)) if one is not other)
    return next(differing, min(len(a), len(b)))


def _align(a: Sequence[Message], b: Sequence[Message], before: float | None, after: float | None) -> Alignment:
    if not a or not b:
        return Alignment((), ())
    pairs: list[Pair] = []
    in_a, in_b = turns(a), turns(b)
    equal = _equal_turns(a, b, in_a, in_b)
    same = set(equal)
    for i, j in _paired_turns(a, b, in_a, in_b, equal, (before, after)):
        one, other = in_a[i], in_b[j]
        if (i, j) in same and not (_has_summary(a, one) or _has_summary(b, other)):
            pairs += zip(range(one.start, one.end), range(other.start, other.end), strict=True)
        else:
            pairs += _within(a, b, one, other)
    return Alignment(tuple(pairs), tuple(_moved(a, b, pairs)))


def _paired_turns(
    a: Sequence[Message],
    b: Sequence[Message],
    in_a: list[Turn],
    in_b: list[Turn],
    equal: Sequence[Pair],
    around: tuple[float | None, float | None],
) -> list[Pair]:
    """Which turn is which, rising on both sides, of which these are known. ``around``: when the prompts before and
    after them were sent.
    """
    pairs = list(equal)
    gaps: list[Gap] = []
    for gap in _between((0, len(in_a), 0, len(in_b)), equal):
        i0, i1, j0, j1 = gap
        mine, theirs = in_a[i0:i1], in_b[j0:j1]
        anchors = pairing.anchors(
            _known_turns(a, mine, _cut_stamps(b, theirs)), _known_turns(b, theirs, _cut_stamps(a, mine))
        )
        anchors = [(i + i0, j + j0) for i, j in anchors]
        pairs += anchors
        gaps += _between(gap, anchors)
    again = _said_again(a) | _said_again(b) if gaps else ()
    rise = (_rising(a, in_a, around), _rising(b, in_b, around)) if gaps else None

    def of_one_clock(found: Sequence[Pair]) -> dict[Pair, bool]:
        return {(i, j): _are_of_one_clock(a, b, in_a[i], in_b[j]) for i, j in found}

    known = of_one_clock(pairs)
    one_clock = 2 * sum(known.values()) >= len(pairs)  # another clock can have the moment of one turn all the same

    def is_of_one_clock(gap: Gap) -> bool:
        i0, i1, j0, j1 = gap
        return one_clock and known.get((i0 - 1, j0 - 1), True) and known.get((i1, j1), True)

    while gaps:
        i0, i1, j0, j1 = gap = gaps.pop()
        if (i1 - i0, j1 - j0) == (1, 1) and is_one_prompt(a, b, in_a[i0], in_b[j0]):
            pairs.append((i0, j0))
            continue
        is_timed = is_of_one_clock(gap)
        found = _in_gap(a, b, in_a, in_b, gap, again, rise if is_timed else None)
        pairs += found
        if is_timed:  # what was found can show that the clocks differ
            known |= of_one_clock(found)
            gaps += (rest for rest in _between(gap, found) if not is_of_one_clock(rest))
    return sorted(pairs)


def _are_of_one_clock(a: Sequence[Message], b: Sequence[Message], one: Turn, other: Turn) -> bool:
    """Whether two turns, which are one, were stamped by one clock as far as they show: one began with the other or
    while it went on, and neither was answered after the other's next prompt.
    """
    mine, theirs = a[one.start].time, b[other.start].time
    if mine is None or theirs is None:
        return False
    my_last, their_last = _last_time(a, one), _last_time(b, other)
    is_begun = is_at_once(mine, theirs) or (mine <= their_last if mine > theirs else theirs <= my_last)
    my_next, their_next = _next_time(a, one, my_last), _next_time(b, other, their_last)
    return is_begun and my_last <= their_next + SLACK and their_last <= my_next + SLACK


def _last_time(messages: Sequence[Message], turn: Turn) -> float:
    """The latest time in a turn that has one."""
    return max(m.time for m in messages[turn.start : turn.end] if m.time is not None)


def _next_time(messages: Sequence[Message], turn: Turn, last: float) -> float:
    """When the prompt after a turn was sent; never, where nothing says it or the clock was set back before it."""
    sent = messages[turn.end].time if turn.end < len(messages) else None
    return inf if sent is None or sent < last else sent


def _equal_turns(a: Sequence[Message], b: Sequence[Message], in_a: list[Turn], in_b: list[Turn]) -> list[Pair]:
    """Turns that are equal to the letter, stand once on both sides and are distinctive."""
    once_a, once_b = pairing.once([_whole(a, t) for t in in_a]), pairing.once([_whole(b, t) for t in in_b])
    found = sorted((i, once_b[key]) for key, i in once_a.items() if key in once_b)
    return pairing.rising(
        [(i, j) for i, j in found if any(m.is_distinctive for m in a[in_a[i].content.start : in_a[i].end])]
    )


def _whole(messages: Sequence[Message], turn: Turn) -> tuple[Hashable, ...]:
    """The turn to the letter, without the summary of a compaction that stands in it."""
    rest = (m[1:5] for m in messages[turn.start + 1 : turn.end] if m.role != "user")
    return ((messages[turn.start][1:5], *rest),)


def _has_summary(messages: Sequence[Message], turn: Turn) -> bool:
    """Whether a user's message stands in a turn that does not begin it: that of a compaction."""
    return any(messages[k].role == "user" for k in range(turn.start + 1, turn.end))


def _known_turns(messages: Sequence[Message], found: Sequence[Turn], cut: Container[float]) -> list[list[Hashable]]:
    """What makes each turn known: its calls with its prompt, as ids are unique within a turn only; and the stamp of its
    prompt, which newer servers give to the row too, unless the server has moved some of them, or else when it was sent.
    ``cut``: stamps of the other copy that are cut to whole seconds.
    """
    times = [time for turn in found if turn.has_prompt and (time := messages[turn.start].time) is not None]
    is_rising = times == sorted(times)
    return [[*_calls(messages, turn), *_stamps(messages[turn.start], cut, is_moved=not is_rising)] for turn in found]


def _calls(messages: Sequence[Message], turn: Turn) -> Iterator[Hashable]:
    calls = [call for k in turn.content for call in messages[k].calls if len(call) >= LONG_ID]
    prompt = messages[turn.start].folded_identity if calls and turn.has_prompt else None
    return ((prompt, call) for call in calls)


def _stamps(prompt: Message, cut: Container[float], *, is_moved: bool) -> Iterator[Hashable]:
    time = prompt.sent
    if time is None and not is_moved:
        time = prompt.time
    if prompt.role == "user" and time is not None:
        yield prompt.folded_identity, time
        if floor(time) in cut:
            yield prompt.folded_identity, floor(time)


def _cut_stamps(messages: Sequence[Message], found: Sequence[Turn]) -> set[float]:
    """The stamps of prompts that can be cut to whole seconds, as those of cancelled and of recovered turns are."""
    times = (messages[turn.start].time for turn in found)
    return {time for time in times if time is not None and time == floor(time)}


def _between(gap: Gap, anchors: Iterable[Pair]) -> Iterator[Gap]:
    i0, i1, j0, j1 = gap
    for i, j in (*anchors, (i1, j1)):
        if i0 < i and j0 < j:
            yield i0, i, j0, j
        i0, j0 = i + 1, j + 1


def _in_gap(
    a: Sequence[Message],
    b: Sequence[Message],
    in_a: list[Turn],
    in_b: list[Turn],
    gap: Gap,
    again: Container[MessageIdentity],
    timed: tuple[Container[int], Container[int]] | None,
) -> list[Pair]:
    """The turns between two anchors, so that their likeness is greatest together. ``again``: what one of them says more
    than once; ``timed``: which turns of each side a time can keep apart, None where their clocks differ.
    """
    i0, i1, j0, j1 = gap
    if (i1 - i0) * (j1 - j0) > GAP_CELLS:
        return _in_order(a, b, in_a, in_b, gap)
    one = [LookedTurn(a, turn, again) for turn in in_a[i0:i1]]
    other = [LookedTurn(b, turn, again) for turn in in_b[j0:j1]]
    prompts = _surest([x.prompts for x in one], [y.prompts for y in other])
    ends = _surest([x.last for x in one], [y.last for y in other])
    score = [[0] * len(other) for _ in one]
    apart: dict[Pair, int] = {}
    for i, j in {*prompts, *ends, *_sharing([x.marks for x in one], [y.marks for y in other])}:
        alike_prompts, have_like_ends = prompts.get((i, j), 0), (i, j) in ends
        found = turn_likeness(one[i], other[j], alike_prompts, have_like_ends)
        if found.is_apart and timed is not None and i + i0 in timed[0] and j + j0 in timed[1]:
            apart[i, j] = found.score
        else:
            score[i][j] = found.score
    pairs = pairing.best(score)
    if len(apart) > 1:
        by_place = pairing.best(
            [[apart.get((i, j), each) for j, each in enumerate(row)] for i, row in enumerate(score)]
        )
        denied = [(one[i].time, other[j].time) for i, j in by_place if (i, j) in apart]
        if 2 * len(denied) > len(by_place) and _alternate(denied):
            pairs = by_place
    return [(i + i0, j + j0) for i, j in pairs]


def _rising(
    messages: Sequence[Message], found: Sequence[Turn], around: tuple[float | None, float | None]
) -> Container[int]:
    """The turns whose times rise as they stand, with those ``around`` them; where they do not, a clock was set back, or
    they were stamped by another one.
    """
    times = enumerate((around[0], *(messages[turn.start].time for turn in found), around[1]), -1)
    return {k for k, _ in pairing.rising([(k, time) for k, time in times if time is not None])}


def _alternate(times: Sequence[tuple[float | None, float | None]]) -> bool:
    """Whether two turns of each side that only times keep apart were said by turns: no loss takes every other turn."""
    sides = [(time, side) for pair in times for side, time in enumerate(pair) if time is not None]
    return sum(one[1] != other[1] for one, other in pairwise(sorted(sides))) > 2


def _said_again(messages: Sequence[Message]) -> set[MessageIdentity]:
    """What one copy says more than once, as the notice of an overloaded provider: it makes no turn known."""
    found = Counter(m.strict_identity for m in messages if m.is_distinctive)
    return {each for each, count in found.items() if count > 1}


def _surest(one: Sequence[Sequence[Look]], other: Sequence[Sequence[Look]]) -> dict[Pair, int]:
    """Pairs of turns of which some of these messages are alike, and how surely the surest are."""
    mine, theirs = ([(k, look) for k, looks in enumerate(each) for look in looks] for each in (one, other))
    found: dict[Pair, int] = {}
    for i, j, sure in alike([look for _, look in mine], [look for _, look in theirs]):
        pair = mine[i][0], theirs[j][0]
        found[pair] = max(sure, found.get(pair, 0))
    return found


def _sharing(one: Sequence[Iterable[Hashable]], other: Sequence[Iterable[Hashable]]) -> Iterator[Pair]:
    """Pairs of turns that have one of these in common."""
    places: dict[Hashable, list[int]] = {}
    for j, marks in enumerate(other):
        for mark in marks:
            places.setdefault(mark, []).append(j)
    return ((i, j) for i, marks in enumerate(one) for mark in marks for j in places.get(mark, ()))


def _in_order(a: Sequence[Message], b: Sequence[Message], in_a: list[Turn], in_b: list[Turn], gap: Gap) -> list[Pair]:
    """Equal turns of a gap that is too large for anything else: each of the side that has fewer of them with the next
    one of the other side, the nearer in time of those that a person's repetition made.
    """
    i0, i1, j0, j1 = gap
    places: dict[tuple[MessageIdentity, ...], tuple[list[int], list[int]]] = {}
    for i in range(i0, i1):
        places.setdefault(_keys(a, in_a[i]), ([], []))[0].append(i)
    for j in range(j0, j1):
        places.setdefault(_keys(b, in_b[j]), ([], []))[1].append(j)
    pairs: list[Pair] = []
    for mine, theirs in places.values():
        one, other = [a[in_a[i].start].time for i in mine], [b[in_b[j].start].time for j in theirs]
        if len(mine) <= len(theirs):
            pairs += ((mine[n], theirs[k]) for n, k in enumerate(_near(one, other)))
        else:
            pairs += ((mine[k], theirs[n]) for n, k in enumerate(_near(other, one)))
    return pairing.rising(sorted(pairs))


def _near(fewer: Sequence[float | None], more: Sequence[float | None]) -> Iterator[int]:
    """For each of these times the place of one of the others, rising."""
    timed = [k for k, time in enumerate(more) if time is not None]
    k = 0
    for n, time in enumerate(fewer):
        # as long as there are more than the rest needs, one that is nearer in time is waited for
        last, at = len(more) - len(fewer) + n, bisect_right(timed, k)
        while at < len(timed) and timed[at] <= last and _is_nearer(time, more[timed[at]], more[k]):
            k, at = timed[at], at + 1
        yield k
        k += 1


def _is_nearer(time: float | None, one: float | None, other: float | None) -> bool:
    return time is not None and one is not None and (other is None or abs(one - time) < abs(other - time))


def _keys(messages: Sequence[Message], turn: Turn) -> tuple[MessageIdentity, ...]:
    return tuple(messages[k].folded_identity for k in range(turn.start, turn.end))


def _within(a: Sequence[Message], b: Sequence[Message], one: Turn, other: Turn) -> list[Pair]:
    """The messages of two turns that are the same one."""
    pairs: list[Pair] = []
    if one.has_prompt and other.has_prompt and likeness(Look(a[one.start]), Look(b[other.start])):
        pairs.append((one.start, other.start))
    mine, theirs = one.content, other.content
    head = 0
    while head < len(mine) and head < len(theirs) and a[mine[head]].strict_identity == b[theirs[head]].strict_identity:
        pairs.append((mine[head], theirs[head]))
        head += 1
    mine, theirs = mine[head:], theirs[head:]
    if not mine or not theirs:
        return pairs
    anchors = pairing.anchors([(a[k].strict_identity,) for k in mine], [(b[k].strict_identity,) for k in theirs])
    pairs += [(mine[i], theirs[j]) for i, j in anchors]
    for i0, i1, j0, j1 in _between((0, len(mine), 0, len(theirs)), anchors):
        left, right = [a[k] for k in mine[i0:i1]], [b[k] for k in theirs[j0:j1]]
        if len(left) * len(right) > GAP_CELLS:
            alike = pairing.anchors([(m.folded_identity,) for m in left], [(m.folded_identity,) for m in right])
            found = pairing.rising(sorted(alike))
        else:
            found = _best_in_turn(left, right)
        pairs += [(mine[i + i0], theirs[j + j0]) for i, j in found]
    return sorted(pairs)


def _best_in_turn(one: Sequence[Message], other: Sequence[Message]) -> list[Pair]:
    """The messages between two anchors of a turn, so that their likeness is greatest together."""
    score = [[0] * len(other) for _ in one]
    for i, j, sure in (*fewer_calls(one, other), *alike(list(map(Look, one)), list(map(Look, other)))):
        score[i][j] = sure * UNIT + nearness(one[i].time, other[j].time)
    return pairing.best(score)


def _moved(a: Sequence[Message], b: Sequence[Message], pairs: Sequence[Pair]) -> list[Pair]:
    """What stayed unpaired on both sides although it is the same: the copies disagree about its place.

    Only what nobody says twice: the same text and ids with the same stamp, the same calls or long answer, or an answer
    to the same call, and what follows these on both sides.
    """
    left_a, left_b = (
        sorted(set(range(len(each))).difference(map(itemgetter(side), pairs))) for side, each in enumerate((a, b))
    )
    if not left_a or not left_b:
        return []
    times = {a[k].time for k in left_a} & {b[k].time for k in left_b} - {None}
    once_a, once_b = (
        pairing.once([_known_by(each[k], times) for k in left]) for each, left in ((a, left_a), (b, left_b))
    )
    found = {left_a[i]: left_b[once_b[key]] for key, i in once_a.items() if key in once_b}
    found = {i: j for i, j in found.items() if a[i].calls or a[i].answers or not is_apart(a[i].time, b[j].time)}
    free_a, free_b = {*left_a} - found.keys(), {*left_b} - {*found.values()}
    for i, j in sorted(found.items()):
        while (i := i + 1) in free_a and (j := j + 1) in free_b and a[i].strict_identity == b[j].strict_identity:
            found[i] = j
    return sorted(found.items())


def _known_by(m: Message, times: Container[float | None]) -> Iterator[Hashable]:
    """What makes a message known wherever it stands; ``times``: of those that can be the same to the stamp."""
    if m.time in times and not m.is_empty:
        yield m.folded_identity, m.time
    ids = (m.answers,) if m.answers else m.calls
    if m.role != "user" and m.is_distinctive and min(map(len, ids), default=LONG_ID) >= LONG_ID:
        yield m.answers or m.folded_identity
