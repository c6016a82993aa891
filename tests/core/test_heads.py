"""What a list can show before any content is compared: what the heads of the session files say, whatever lies there."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core.demo.demo_store import make_demo_store
from hermes_rescue.core.hermes.heads import SessionHeader, session_headers
from hermes_rescue.core.hermes.sidecar import FIELD_DEFAULTS, HEAD_LIMIT
from hermes_rescue.core.hermes.store import find_store

Snapshot = Callable[[Path], dict[str, Any]]
SID = "3f2a9c51b7d0"
NOTHING = SessionHeader(SID, "Untitled", None, None, None, None)


def glances(hermes: Any) -> list[SessionHeader]:
    return list(session_headers(find_store(home=hermes.home)))


def test_the_head_tells_what_a_list_shows(hermes: Any) -> None:
    place = "/srv/notes/.worktrees/hermes-0a1b2c3d"
    hermes.write_live(hermes.turns("a", "b"), title="Größe 📦", profile="work", worktree_path=place, updated_at=1.5e9)
    assert glances(hermes) == [SessionHeader(SID, "Größe 📦", 4, 1.5e9, "work", place)]


def test_every_session_file_of_a_store_comes_in_the_order_of_the_ids_and_nothing_is_touched(
    tmp_path: Path, snapshot: Snapshot
) -> None:
    home = make_demo_store(tmp_path / "demo").home
    before = snapshot(home)
    store = find_store(home=home)
    files = sorted(p.stem for p in store.sessions_dir.glob("*.json") if not p.name.startswith("_"))
    assert [each.session_id for each in session_headers(store)] == files
    assert snapshot(home) == before


def test_messages_are_not_read(hermes: Any) -> None:
    """However long they are, and whatever they say: the head counts."""
    message = {"role": "user", "content": '",\n  "messages": [{"title": "Wrong"}' + "x" * 3_000_000}
    hermes.write_live([message], message_count=7)
    assert [(each.title, each.live) for each in glances(hermes)] == [("Notes", 7)]


@pytest.mark.parametrize("indent", [None, 1, 4])
def test_another_layout_says_the_same(hermes: Any, indent: int | None) -> None:
    session = hermes.session(hermes.turns(*"abcdefgh" * 200))
    hermes.live.write_text(json.dumps(session, indent=indent))
    assert hermes.live.stat().st_size > 2 * HEAD_LIMIT
    assert glances(hermes) == [SessionHeader(SID, "Notes", 3200, session["updated_at"], None, None)]


def test_messages_may_stand_first(hermes: Any) -> None:
    fields = hermes.session(hermes.turns("a"))
    hermes.write(hermes.live, {"messages": fields["messages"], **{k: v for k, v in fields.items() if k != "messages"}})
    assert [(each.title, each.live) for each in glances(hermes)] == [("Notes", 2)]


def test_a_torn_file_still_has_its_head(hermes: Any) -> None:
    data = hermes.write_live(hermes.turns("a", "b"))
    for length in range(data.index(b'"messages"'), len(data), 7):
        hermes.live.write_bytes(data[:length])
        assert [(each.title, each.live) for each in glances(hermes)] == [("Notes", 4)]


def test_a_file_torn_anywhere_is_told_as_far_as_it_goes(hermes: Any) -> None:
    data = hermes.write_live([])
    for length in range(0, data.index(b'"messages"'), 11):
        hermes.live.write_bytes(data[:length])
        (found,) = glances(hermes)
        assert found.session_id == SID
        assert found.title in ("Notes", "Untitled")


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 5000, b"[]", b"null", b"\xff\xfe\xfa", b"[" * 100_000, b'{"a":' * 100_000, b"\xef\xbb\xbf", b'"x"'],
)
def test_what_is_no_session_says_nothing(hermes: Any, content: bytes) -> None:
    hermes.live.write_bytes(content)
    assert glances(hermes) == [NOTHING]


@pytest.mark.parametrize(
    "odd",
    [
        {"title": 7, "message_count": "9", "updated_at": "yesterday", "profile": [], "worktree_path": {}},
        {"title": "", "message_count": -1, "updated_at": True, "profile": "", "worktree_path": None},
        {"title": None, "message_count": 1.5, "updated_at": float("nan"), "profile": 0, "worktree_path": False},
        {"title": ["x"], "message_count": True, "updated_at": float("inf"), "profile": {}, "worktree_path": [1]},
        {"title": {}, "message_count": 10**30, "updated_at": None, "profile": None, "worktree_path": ""},
        {"title": {}, "message_count": None, "updated_at": 10**400, "profile": 1, "worktree_path": 1e9},
    ],
)
def test_values_of_another_kind_say_nothing(hermes: Any, odd: dict[str, Any]) -> None:
    hermes.write(hermes.live, {**FIELD_DEFAULTS, "session_id": SID, **odd, "messages": []})
    assert glances(hermes) == [NOTHING]


def test_what_only_pythons_json_reads_is_read(hermes: Any) -> None:
    hermes.live.write_text(json.dumps(hermes.session([], title="\ud83d!", estimated_cost=float("nan")), indent=2))
    assert [each.title for each in glances(hermes)] == ["\ud83d!"]


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _link(path: Path) -> None:
    target = path.with_name("elsewhere.txt")
    target.write_text(json.dumps({"session_id": SID, "title": "Followed", "messages": []}))
    path.symlink_to(target)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        here = Path.cwd()
        os.chdir(path.parent)  # the path of a socket must be short
        try:
            opened.bind(path.name)
        finally:
            os.chdir(here)


@pytest.mark.parametrize("make", [_fifo, _link, _socket, Path.mkdir])
def test_what_is_no_file_is_neither_waited_for_nor_followed(hermes: Any, make: Callable[[Path], None]) -> None:
    make(hermes.live)
    assert glances(hermes) == [NOTHING]


def test_names_that_are_no_session_are_left_out(hermes: Any) -> None:
    hermes.write_live([])
    hermes.write_index()
    for name in ("a b.json", "é.json", ".json", "_x.json", f"{SID}.json.bak", f"{SID}.tmp.1.2", "notes.txt"):
        (hermes.sessions / name).write_text("{}")
    assert [each.session_id for each in glances(hermes)] == [SID]


def test_a_file_that_goes_meanwhile_is_no_reason_to_stop(hermes: Any) -> None:
    for name in ("a", "b", "c"):
        hermes.write(hermes.sessions / f"{name}.json", hermes.session([], title=f"Title {name}"))
    coming = session_headers(find_store(home=hermes.home))
    assert next(coming).title == "Title a"
    (hermes.sessions / "b.json").unlink()
    assert [each.title for each in coming] == ["Untitled", "Title c"]


def test_a_store_without_a_folder_has_no_heads(hermes: Any) -> None:
    hermes.write_rows(hermes.turns("a"))
    hermes.sessions.rmdir()
    assert glances(hermes) == []
