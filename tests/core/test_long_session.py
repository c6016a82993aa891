"""A session of hundreds of megabytes: what it takes to look at it and to repair it, in proportion to its file."""

from __future__ import annotations

import json
import math
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.session import examine
from hermes_rescue.core.base.jsontext import PackedObject, Piece, loads_exactly
from hermes_rescue.core.demo.demo_store import make_demo_store
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.message import message
from hermes_rescue.core.hermes.sidecar import message_piece
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.hermes.webui_status import webui_status

SID = "3f2a9c51b7d0"
PROSE = "Reading the ≈ 例えば größere files again 🚀 and keeping what they say. " * 210
"""In memory a text with an emoji has four bytes for each character."""


@pytest.fixture
def long_session(hermes: Any) -> list[dict[str, Any]]:
    """A session whose file lacks the last messages that the database has; its messages."""
    said = hermes.turns(*(f"{k} {PROSE}" for k in range(400)))
    for k, answer in enumerate(said[1::4]):
        call = {"id": f"call-{k}", "type": "function", "function": {"name": "read", "arguments": json.dumps(PROSE)}}
        answer |= {"content": "", "tool_calls": [call], "reasoning": PROSE}
    hermes.write_live(said[:-6])
    hermes.write_rows(said)
    return said


@pytest.fixture
def loaded(tmp_path: Path) -> None:
    """The modules that an audit and a repair need: they take memory once, however long a session is."""
    store = find_store(home=make_demo_store(tmp_path / "demo").home)
    api.apply(api.plan(store))


@contextmanager
def at_most(times: float, size: int) -> Iterator[None]:
    """What is done inside takes no more memory than so many times the size, at any moment."""
    tracemalloc.start(1)
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < times * size
    finally:
        tracemalloc.stop()


@pytest.mark.usefixtures("loaded")
def test_looking_at_a_long_session_takes_little_more_than_its_file(
    hermes: Any, long_session: list[dict[str, Any]]
) -> None:
    store = find_store(home=hermes.home)
    with Inventory(store) as inventory, at_most(2, hermes.live.stat().st_size):
        proposal = examine(inventory, webui_status(store), SID).proposal
    assert len(proposal.gained) == 6
    assert hermes.said([item.message.value for item in proposal.included]) == hermes.said(long_session)


@pytest.mark.usefixtures("loaded")
def test_repairing_a_long_session_takes_little_more_than_the_old_file_and_the_new(
    hermes: Any, long_session: list[dict[str, Any]]
) -> None:
    store = find_store(home=hermes.home)
    size = hermes.live.stat().st_size
    with at_most(2.5, size):
        plan = api.plan(store)
    with at_most(2.5, size):
        result = api.apply(plan)
    assert result.count(api.State.REPAIRED) == 1
    assert hermes.texts() == hermes.said(long_session)


@pytest.mark.usefixtures("loaded")
def test_rebuilding_a_long_session_takes_little_more_than_its_rows_and_the_new_file(
    hermes: Any, long_session: list[dict[str, Any]]
) -> None:
    store = find_store(home=hermes.home)
    size = hermes.live.stat().st_size
    hermes.live.unlink()
    with at_most(2.8, size):
        plan = api.plan(store)
    with at_most(2.8, size):
        api.apply(plan)
    assert hermes.texts() == hermes.said(long_session)


def test_a_small_file_meets_many_long_rows(hermes: Any, long_session: list[dict[str, Any]]) -> None:
    """The texts of the file are held, those of most rows are not: they still are the same messages."""
    there = [*long_session[:4], *long_session[-4:]]
    hermes.write_live(there)
    api.apply(api.plan(find_store(home=hermes.home)))
    assert hermes.texts() == hermes.said(long_session)


def packed(value: Any) -> Piece:
    """A message of a large list."""
    return message_piece(value, PackedObject({}, 2))


VALUES: dict[str, Callable[[], Any]] = {
    "a plain text": lambda: {"role": "assistant", "content": PROSE},
    "parts": lambda: {"role": "user", "content": [{"type": "text", "text": PROSE}], "attachments": ["a.png"]},
    "half a surrogate pair": lambda: {"role": "tool", "content": "\ud83d", "tool_call_id": "1"},
    "half a pair as a name": lambda: {"role": "user", "content": "", "\ud83d": 1},
    "a huge number": lambda: {"role": "assistant", "content": PROSE, "n": 2**70},
    "no number": lambda: {"role": "assistant", "content": PROSE, "n": [math.nan, math.inf]},
    "deep": lambda: {"role": "assistant", "content": PROSE, "n": loads_exactly("[" * 150 + "]" * 150)},
    "nothing": lambda: {"role": None, "content": None},
}


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("beside", [None, *VALUES])
def test_a_message_that_is_kept_small_still_says_everything(kind: str, beside: str | None) -> None:
    """Also where much of it is kept once with that of another copy."""
    value = VALUES[kind]()
    piece = message_piece(value, packed({} if beside is None else VALUES[beside]()))
    for _ in range(2):
        assert repr(piece.value) == repr(value)  # the order of the fields, and what is not equal to itself
        assert piece.raw == message_piece(value).raw
    assert repr(loads_exactly(piece.raw)) == repr(value)


@pytest.mark.parametrize("value", ["text", 5, None, [{"role": "user"}]], ids=str)
def test_what_is_no_object_is_kept_as_it_is(value: Any) -> None:
    piece = packed(value)
    assert (piece.value, loads_exactly(piece.raw)) == (value, value)
    assert message(piece).text == piece.raw.decode()


def test_what_is_only_nearly_the_same_is_kept_apart() -> None:
    one = {"role": "user", "content": PROSE, "n": 1, "list": [1, {"a": 1, "b": 2}], "time": 2.0}
    other = {"role": "user", "content": PROSE, "n": True, "list": [True, {"b": 2, "a": 1}], "time": 2}
    assert repr(message_piece(other, packed(one)).value) == repr(other)
    assert repr(message_piece(one, packed(other)).value) == repr(one)


@pytest.mark.parametrize(
    "text", ["short", PROSE, PROSE.replace(" ", "\n  "), "[Workspace::v1: /srv]\n" + PROSE, "\ud83d" * 99]
)
def test_a_message_tells_its_whole_text_whatever_its_length(text: str) -> None:
    plain = text.removeprefix("[Workspace::v1: /srv]\n")
    m = message(packed({"role": "user", "content": text}))
    assert (m.text, m.folded_text) == (plain, " ".join(plain.split()))
    assert message(packed({"role": "user", "content": text})).strict_identity == m.strict_identity
    assert message(packed({"role": "user", "content": text + "!"})).strict_identity != m.strict_identity


def test_a_row_that_says_what_its_message_in_the_file_says_is_that_message(
    hermes: Any, long_session: list[dict[str, Any]]
) -> None:
    with Inventory(find_store(home=hermes.home)) as inventory:
        copies = inventory.copies(SID)
    pairs = list(zip(copies.leading_messages, copies.databases[0].messages, strict=False))[200:]  # the first are held
    same = [(one, other) for one, other in pairs if json.dumps(one.value) == json.dumps(other.value)]
    assert len(same) > len(pairs) / 3
    assert all(one is other for one, other in same)
    assert all(one is not other for one, other in pairs if one.value != other.value)
