"""Files that are damaged, and files that only look like it."""

from __future__ import annotations

from typing import Any

import pytest


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
