"""Files that are damaged, and files that only look like it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.errors import HeadOnlySaveError
from core.sidecar import parse, read_head, serialise


@pytest.mark.parametrize("value", ["NaN", '"\\ud83d"', "9" * 400, "1e999", '"\\u0000"'])
def test_odd_but_loadable_values_make_no_session_damaged(hermes: Any, value: str) -> None:
    data = hermes.write_live(hermes.turns("a"), odd="HERE")
    hermes.live.write_bytes(data.replace(b'"HERE"', value.encode()))
    assert hermes.kinds() == []


def test_a_duplicate_key_means_its_last_value(hermes: Any) -> None:
    data = hermes.write_live(hermes.turns("a"))
    hermes.live.write_bytes(data.replace(b'"title": "Notes"', b'"title": "First",\n  "title": "Notes"'))
    assert hermes.kinds() == []
    assert hermes.audit().sessions[0].title == "Notes"


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.decode().encode("utf-16"),
        lambda data: data.decode().encode("utf-16-le"),
        lambda data: data + b"\0" * 512,
        lambda data: data + data[40:],
        lambda data: data.replace(b"ask a", b"ask\x01 a"),
        lambda data: data.rstrip(b"}\n ]"),
    ],
    ids=["bom", "utf-16", "utf-16-le", "zero tail", "old tail", "control", "no end"],
)
def test_a_file_that_only_looks_broken_is_decoded_whole(hermes: Any, damage: Any) -> None:
    turns = hermes.turns("a", "é", "日本")
    data = hermes.write_live(turns, truncation_watermark=None, context_messages=[])
    hermes.live.write_bytes(damage(data))
    hermes.repair()
    assert [t.replace("\x01", "") for t in hermes.texts()] == hermes.said(turns)


def test_a_hole_in_the_middle_loses_only_what_stood_there(hermes: Any) -> None:
    turns = hermes.turns("a", "b", "c", "d")
    data = hermes.write_live(turns)
    at = data.index(b"ask b")
    hermes.live.write_bytes(data[:at] + b"\0" * 200 + data[at + 200 :])
    hermes.repair()
    assert set(hermes.texts()) >= {"ask a", "answer a", "ask d", "answer d"}
    hermes.write_rows(turns)
    hermes.repair()
    assert hermes.texts() == hermes.said(turns)


def test_every_whole_message_before_a_tear_is_found_wherever_it_tears(hermes: Any) -> None:
    turns = hermes.turns("a", 'q"uote\\', "日本 🚀")
    data = hermes.write_live(turns, **hermes.cleared)
    ends = [data.index(json.dumps(m["content"], ensure_ascii=False)[1:-1].encode()) for m in turns]
    for cut in range(len(data)):
        torn = parse(data[:cut])
        assert torn.damage is not None
        found = [piece.value for piece in torn.messages]
        assert found == turns[: len(found)]
        assert len(found) >= sum(data.find(b"}", end) < cut for end in ends)
        assert all(torn.get(name) == value for name, value in hermes.cleared.items() if name in torn.head)
    assert parse(data).damage is None
    assert serialise(parse(data)) == data


@given(st.binary(max_size=300), st.integers(0, 400))
def test_no_bytes_make_the_reader_stumble(noise: bytes, at: int) -> None:
    whole = b'{"session_id": "s", "messages": [{"role": "user", "content": "x"}, {"role": "assistant"}], "k": [1]}'
    for data in (noise, whole[:at] + noise, whole[:at] + noise + whole[at:]):
        found = parse(data)
        serialise(found)
        assert found.damage is not None or json.loads(data)["messages"] == [p.value for p in found.messages]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=12,
    ),
    st.booleans(),
)
def test_whatever_python_writes_is_read_and_keeps_its_bytes(value: Any, ascii_only: bool) -> None:
    document = {
        "session_id": "s",
        "odd": value,
        "messages": [{"role": "user", "content": value}, value],
        "message_count": 2,
    }
    try:
        data = json.dumps(document, indent=2, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:
        assume(False)
    found = parse(data)
    assert found.damage is None
    assert serialise(found) == data


def test_deep_nesting_costs_only_the_message_it_is_in(hermes: Any) -> None:
    turns = hermes.turns("a", "b")
    data = hermes.write_live(turns)
    deep = b"[" * 100_000 + b"]" * 100_000
    hermes.live.write_bytes(data.replace(b'"ask b"', deep))
    assert hermes.kinds() == ["malformed_live"]
    hermes.repair()
    assert hermes.texts() == ["ask a", "answer a", "answer b"]


def test_a_head_is_read_without_its_messages(hermes: Any) -> None:
    hermes.write_live([{"role": "user", "content": "x" * 200_000}])
    head = read_head(hermes.live)
    assert head.get("title") == "Notes"
    assert head.get("message_count") == 1
    assert head.messages == ()
    with pytest.raises(HeadOnlySaveError):
        serialise(head)
    with pytest.raises(HeadOnlySaveError):
        serialise(head.with_fields({"title": "New"}).with_messages([]))


def test_a_part_of_a_torn_message_is_not_taken_for_a_message(hermes: Any) -> None:
    quoting = {"role": "user", "content": [{"role": "system", "content": "quoted"}], "timestamp": 2.0}
    data = hermes.write_live([*hermes.turns("a"), quoting])
    torn = data[: data.index(b'"timestamp": 2.0')]
    assert [piece.value for piece in parse(torn).messages] == hermes.turns("a")
