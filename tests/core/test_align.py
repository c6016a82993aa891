"""What must hold for aligning two transcripts and merging a copy into one, whatever is in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from hermes_rescue.core.hermes.message import Message, message
from hermes_rescue.core.hermes.sidecar import message_piece
from hermes_rescue.core.merge.align import align
from hermes_rescue.core.merge.likeness import Look, alike, likeness
from hermes_rescue.core.merge.transcript import Entry, entry, merge
from hypothesis import given, settings
from hypothesis import strategies as st

TEXTS = ("continue", "ok", "да 🚀", "Error code: 429. The provider is overloaded, please try again in a few moments.")

relaxed = settings(derandomize=True, max_examples=200, deadline=None, database=None)


def said(number: int, role: str, text: str, gap: float = 20.0) -> Message:
    return message(message_piece({"role": role, "content": text, "timestamp": 1_784_000_000.0 + number * gap}))


@st.composite
def transcripts(draw: st.DrawFn, gap: float = 20.0) -> tuple[Message, ...]:
    """A conversation in which most texts were said before, 20 seconds between two of the same side."""
    texts = draw(st.lists(st.sampled_from(TEXTS) | st.text(min_size=1, max_size=5), max_size=25))
    roles = ("user", "assistant")
    return tuple(said(k, roles[k % 2], text, gap) for k, text in enumerate(texts))


@st.composite
def parts(draw: st.DrawFn, whole: Sequence[Message], drift: float = 0.0) -> tuple[tuple[int, ...], tuple[Message, ...]]:
    """What is left of a transcript in a copy that lost turns, and was torn or pruned: the places and the messages."""
    kept = {k // 2: draw(st.booleans()) for k in range(len(whole))}
    places = tuple(k for k in range(len(whole)) if kept[k // 2])
    places = places[draw(st.integers(0, 1)) : len(places) - draw(st.integers(0, 1))]
    return places, tuple(later(whole[k], drift) for k in places)


def later(m: Message, seconds: float) -> Message:
    return message(message_piece({**m.value, "timestamp": m.value["timestamp"] + seconds}))


drifts = st.sampled_from((0.0, 0.2, 1.0, 3.0))


def entries(messages: Sequence[Message], copy: str = "live") -> list[Entry]:
    return [entry(copy, m, k) for k, m in enumerate(messages)]


def times(merged: Sequence[Entry]) -> list[float | None]:
    return [e.merged.time for e in merged]


@relaxed
@given(transcripts(), transcripts(gap=7.0))
def test_pairs_rise_on_both_sides_and_name_no_message_twice(a: Sequence[Message], b: Sequence[Message]) -> None:
    found = align(a, b)
    for (i, j), (k, m) in pairwise(found.pairs):
        assert i < k
        assert j < m
    for side, length in ((0, len(a)), (1, len(b))):
        named = [pair[side] for pair in (*found.pairs, *found.moved)]
        assert len(set(named)) == len(named)
        assert all(0 <= place < length for place in named)


@relaxed
@given(transcripts())
def test_a_transcript_is_all_of_itself(a: Sequence[Message]) -> None:
    found = align(a, a)
    assert found.pairs == tuple((k, k) for k in range(len(a)))
    assert found.moved == ()


@relaxed
@given(st.data(), transcripts(), drifts)
def test_a_part_is_paired_with_its_own_messages_by_time(
    data: st.DataObject, a: Sequence[Message], drift: float
) -> None:
    places, part = data.draw(parts(a, drift))
    assert align(a, part).pairs == tuple((place, k) for k, place in enumerate(places))
    assert align(part, a).pairs == tuple((k, place) for k, place in enumerate(places))


@relaxed
@given(st.data(), transcripts(), drifts)
def test_two_parts_make_a_transcript_again_with_nothing_twice_and_nothing_lost(
    data: st.DataObject, whole: Sequence[Message], drift: float
) -> None:
    ours, first = data.draw(parts(whole))
    theirs, second = data.draw(parts(whole, drift))
    merged = merge(entries(first), "database", second)
    numbers = [whole_number(e) for e in merged]
    assert numbers == sorted({*ours, *theirs})
    both = [whole_number(e) for e in merged if len(e.versions) == 2]
    assert both == sorted({*ours} & {*theirs})


def whole_number(e: Entry) -> int:
    """Which message of a transcript with 20 seconds between two messages an entry is."""
    assert e.merged.time is not None
    return int(e.merged.time - 1_784_000_000.0) // 20


@relaxed
@given(st.data(), transcripts(), drifts)
def test_merging_the_same_copy_again_adds_nothing(data: st.DataObject, whole: Sequence[Message], drift: float) -> None:
    _, first = data.draw(parts(whole))
    _, second = data.draw(parts(whole, drift))
    once = merge(entries(first), "database", second)
    before = [(e.merged, len(e.versions)) for e in once]
    again = merge(once, "database", second)
    assert [(e.merged, len(e.versions)) for e in again] == before


@relaxed
@given(transcripts(), transcripts(gap=7.0))
def test_a_merge_keeps_every_message_and_both_orders(a: Sequence[Message], b: Sequence[Message]) -> None:
    """Also of two copies that have little to do with each other; only messages at crossing places give way."""
    crossing = {j for _, j in align(a, b).moved}
    merged = merge(entries(a), "database", b)
    for name, messages in (("live", a), ("database", b)):
        there = Counter(id(e.versions[name]) for e in merged if name in e.versions)
        assert there == Counter(id(m) for m in messages)
    assert [id(e.versions["live"]) for e in merged if "live" in e.versions] == [id(m) for m in a]
    moved = {id(b[j]) for j in crossing}
    order = [id(e.versions["database"]) for e in merged if "database" in e.versions]
    assert [key for key in order if key not in moved] == [id(m) for j, m in enumerate(b) if j not in crossing]


looks = st.builds(
    lambda role, text, call: Look(message(message_piece({"role": role, "content": text, **call}))),
    st.sampled_from(("user", "assistant", "tool")),
    st.text(alphabet="ab *.é", max_size=9)
    | st.sampled_from(("x" * 70, "x" * 60 + "y" * 10, "z" + "x" * 69, "sk-abcd...wxyz", "sk-abcdefghwxyz", "")),
    st.sampled_from(({}, {"tool_call_id": "call_1"}, {"tool_calls": [{"id": "call_1"}]})),
)


@relaxed
@given(st.lists(looks, min_size=9, max_size=14), st.lists(looks, min_size=9, max_size=14))
def test_no_message_that_is_like_another_is_passed_over(one: Sequence[Look], other: Sequence[Look]) -> None:
    every = {
        (i, j, sure) for i, x in enumerate(one) for j, y in enumerate(other) if (sure := likeness(Look(x.m), Look(y.m)))
    }
    assert set(alike(one, other)) == every
