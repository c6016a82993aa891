"""What the window is doing, without a window: what may follow what."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from hermes_rescue.core.merge.choices import Choices
from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.shell.state import Event, Phase, Shown, State, after, possible
from hypothesis import given
from hypothesis import strategies as st

events = st.lists(st.sampled_from(Event), max_size=30)
OTHER = StoreLocation(Path("/other"))


def lived(happened: list[Event]) -> list[State]:
    """The states that a row of events leads through."""
    states = [State()]
    for event in happened:
        states.append(after(states[-1], event, OTHER) or states[-1])
    return states


@given(events)
def test_what_is_written_is_about_the_store_that_is_shown(happened: list[Event]) -> None:
    states = lived(happened)
    for state, following in pairwise(states):
        if state.phase is Phase.WRITING and following.phase is Phase.WRITING:
            assert following.token == state.token
        assert following.token in (state.token, state.token + 1)


@given(events)
def test_a_window_that_closes_does_nothing_else_any_more(happened: list[Event]) -> None:
    closed = lived([*happened, Event.CLOSE])[-1]
    assert closed.phase is Phase.CLOSING
    assert [after(closed, event, OTHER) for event in Event] == [None] * len(Event)


@given(events, st.sampled_from([Event.PREPARE, Event.WRITE, Event.SCAN]))
def test_one_thing_is_done_at_a_time(happened: list[Event], event: Event) -> None:
    for state in lived(happened):
        if state.work in (Phase.WRITING, Phase.CLOSING):
            assert after(state, event) is None


@given(events)
def test_nothing_is_repaired_without_a_store(happened: list[Event]) -> None:
    for state in lived(happened):
        nothing = possible(state, Shown(OTHER), 9, selected=["0123456789ab"])
        assert not any(nothing[name] for name in ("repair_all", "repair", "undo", "export", "history"))


def test_a_check_that_ends_beside_a_repair_being_prepared_has_ended_after_it() -> None:
    states = lived([Event.OPEN, Event.PREPARE, Event.SCANNED, Event.END])
    assert [state.phase for state in states[1:]] == [Phase.SCANNING, Phase.PREPARING, Phase.PREPARING, Phase.READY]


def test_another_store_waits_for_what_is_written_and_for_nothing_else() -> None:
    writing = lived([Event.OPEN, Event.SCANNED, Event.PREPARE, Event.WRITE, Event.OPEN])[-1]
    assert (writing.phase, writing.next) == (Phase.WRITING, OTHER)
    assert lived([Event.OPEN, Event.SCANNED, Event.PREPARE, Event.OPEN])[-1] == State(Phase.SCANNING, token=2)


def test_a_choice_that_was_taken_back_is_none() -> None:
    shown = Shown(OTHER)
    shown.choose("a", Choices(exclude=frozenset({2}), made_on="f"))
    shown.choose("b", Choices(fields={"title": "backup"}, made_on="f"))
    shown.choose("a", Choices(made_on="f"))
    assert list(shown.choices) == ["b"]


def test_choices_are_taken_back_the_newest_first_whichever_session_they_are_about() -> None:
    shown = Shown(OTHER)
    first, second = (Choices(exclude=frozenset(each), made_on="f") for each in ({2}, {2, 3}))
    shown.choose("a", first)
    shown.choose("b", first)
    shown.choose("a", second)
    shown.choose("a", second)
    assert (shown.take_back(), shown.choices) == ("a", {"a": first, "b": first})
    assert (shown.take_back(), shown.choices) == ("b", {"a": first})
    assert (shown.take_back(), shown.choices) == ("a", {})
    assert shown.take_back() == ""


def test_what_no_longer_counts_cannot_be_taken_back() -> None:
    shown = Shown(OTHER)
    for session_id in ("a", "b"):
        shown.choose(session_id, Choices(exclude=frozenset({2}), made_on="f"))
    shown.forget("b")
    assert (shown.take_back(), shown.take_back(), shown.choices) == ("a", "", {})
