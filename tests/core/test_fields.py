"""Metadata, prompts and the session list: what a repair finds again, and what it leaves alone."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from hermes_rescue.core.hermes.journals import read_index
from hermes_rescue.core.hermes.sidecar import FIELD_DEFAULTS
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.merge import metadata
from hermes_rescue.core.merge.metadata import WORKTREE_FIELDS


def test_a_rename_after_the_backup_survives_the_loss_of_the_file(hermes: Any) -> None:
    turns = hermes.turns("a")
    hermes.write_backup(turns, title="Old name")
    hermes.write_index(
        {"session_id": hermes.live.stem, "title": "New name", "updated_at": 1_777_000_900.0, "pinned": True}
    )
    hermes.write_rows(turns)
    hermes.repair()
    got = hermes.load()
    assert (got["title"], got["pinned"], got["workspace"]) == ("New name", True, "/srv/notes")


def test_a_lost_worktree_is_found_in_the_index(hermes: Any) -> None:
    worktree = {
        "worktree_path": "/srv/r/.worktrees/hermes-00000001",
        "worktree_branch": "hermes/hermes-00000001",
        "worktree_repo_root": "/srv/r",
        "worktree_created_at": 5.0,
    }
    hermes.write_index(
        {"session_id": hermes.live.stem, "title": "T", "workspace": worktree["worktree_path"], **worktree}
    )
    hermes.live.write_bytes(b"")
    hermes.write_rows(hermes.turns("a"), cwd="/elsewhere")
    hermes.repair()
    assert {name: hermes.load()[name] for name in worktree} == worktree


TREE = "/srv/r/.worktrees/hermes-00000001"


@pytest.mark.parametrize("left", ["backup", "rows"])
def test_a_chat_in_the_worktree_of_another_session_does_not_become_its_owner(hermes: Any, left: str) -> None:
    """The server lets a session that owns a worktree delete it."""
    if left == "backup":
        hermes.write_backup(hermes.turns("a"), workspace=TREE)
    git = {"git_branch": "hermes/hermes-00000001", "git_repo_root": "/srv/r"}
    hermes.write_rows(hermes.turns("a"), cwd=TREE, **git)
    hermes.repair()
    got = hermes.load()
    assert {name: got[name] for name in got if name.startswith("worktree_")} == dict.fromkeys(WORKTREE_FIELDS)


def test_a_worktree_that_is_named_after_the_session_is_its_own(hermes: Any) -> None:
    tree = f"/srv/r/.worktrees/hermes-{hermes.live.stem[:8]}"
    hermes.write_rows(hermes.turns("a"), cwd=f"{tree}/src", git_branch="topic")
    hermes.repair()
    got = hermes.load()
    assert (got["worktree_path"], got["worktree_branch"], got["worktree_repo_root"]) == (tree, "topic", "/srv/r")


def test_the_worktree_columns_of_a_row_count_where_there_are_any(hermes: Any) -> None:
    hermes.write_rows(hermes.turns("a"))
    with closing(sqlite3.connect(hermes.home / "state.db")) as database:
        for name in WORKTREE_FIELDS:
            if name not in {column[1] for column in database.execute("PRAGMA table_info(sessions)")}:
                database.execute(f"ALTER TABLE sessions ADD COLUMN {name}")
        database.execute("UPDATE sessions SET worktree_path = ?, worktree_branch = 'hermes/x'", (TREE,))
        database.commit()
    hermes.repair()
    got = hermes.load()
    assert (got["worktree_path"], got["worktree_branch"], got["worktree_repo_root"]) == (TREE, "hermes/x", None)


def test_the_workspace_stands_in_what_the_model_was_sent(hermes: Any) -> None:
    """Since agent 0.19 the tag is in ``api_content`` and not in the text."""
    hermes.write_rows([])
    with closing(sqlite3.connect(hermes.home / "state.db")) as database:
        if "api_content" not in {column[1] for column in database.execute("PRAGMA table_info(messages)")}:
            database.execute("ALTER TABLE messages ADD COLUMN api_content")
        rows = [("first", "[Workspace::v1: /srv/old]\nfirst"), ("second", "[Workspace::v1: /srv/new]\nsecond")]
        for k, (text, sent) in enumerate(rows):
            values = (hermes.live.stem, "user", text, sent, 1_777_000_000.0 + 100 * k)
            names = "session_id, role, content, api_content, timestamp"
            database.execute(f"INSERT INTO messages ({names}) VALUES (?, ?, ?, ?, ?)", values)
        database.commit()
    hermes.repair()
    got = hermes.load()
    assert (got["workspace"], hermes.texts()) == ("/srv/new", ["first", "second"])


def test_what_only_a_journal_has_never_reaches_a_file(hermes: Any) -> None:
    turns = hermes.turns("a")
    journal = hermes.sessions / "_run_journal" / hermes.live.stem
    journal.mkdir(parents=True)
    session = {**hermes.session(turns), "is_streaming": False, "regeneration_revision": 4, "pinned": True}
    event = {"event": "done", "created_at": 1.0, "payload": {"session": session}}
    (journal / "r.jsonl").write_text(json.dumps(event) + "\n")
    hermes.repair(hermes.live.stem)
    got = hermes.load()
    assert got["pinned"] is True
    assert got.keys() <= FIELD_DEFAULTS.keys()


def test_an_empty_worktree_session_comes_back_from_the_index(hermes: Any) -> None:
    tree = dict(zip(WORKTREE_FIELDS, (TREE, "hermes/hermes-00000001", "/srv/r", 5.0), strict=True))
    hermes.write_index(
        {"session_id": hermes.live.stem, "title": "Untitled", "workspace": TREE, "message_count": 0, **tree}
    )
    assert hermes.kinds() == ["index_only_worktree", "worktree_gone"]
    hermes.repair()
    assert {name: hermes.load()[name] for name in (*tree, "messages")} == {**tree, "messages": []}


@pytest.mark.parametrize("newest", ["work", None])
def test_the_database_that_was_written_to_last_names_the_profile(hermes: Any, newest: str | None) -> None:
    profile = replace(hermes, home=hermes.home / "profiles" / "work")
    profile.home.mkdir(parents=True)
    old, new = hermes.turns("a", "b", "c"), hermes.turns("d", start=500)
    hermes.write_rows(old if newest else new)
    profile.write_rows(new if newest else old)
    hermes.repair()
    assert hermes.load()["profile"] == newest


def test_a_session_of_a_profile_that_is_gone_is_told(hermes: Any) -> None:
    before = hermes.write_live(hermes.turns("a"), profile="work")
    assert hermes.kinds() == ["profile_gone"]
    hermes.repair()
    assert hermes.live.read_bytes() == before


@pytest.mark.parametrize(
    ("profile", "expected"),
    [(None, False), ("", False), ("default", False), ("work", False), ("gone", True), ("../work", True), (7, False)],
)
def test_a_profile_without_a_folder_is_gone(hermes: Any, profile: object, expected: bool) -> None:
    (hermes.home / "profiles" / "work").mkdir(parents=True)
    assert metadata.is_profile_gone(find_store(home=hermes.home), profile) is expected


def test_unknown_fields_and_their_order_survive(hermes: Any) -> None:
    turns = hermes.turns("a", "b")
    values = {
        "future": {"x": [1]},
        "session_id": hermes.live.stem,
        "title": "T",
        "workspace": "/w",
        "updated_at": turns[1]["timestamp"],
        "truncation_watermark": None,
        "messages": turns[:2],
        "last": None,
    }
    hermes.live.write_text(json.dumps(values, indent=2))
    hermes.write_rows(turns)
    hermes.repair()
    got = json.loads(hermes.live.read_text())
    assert list(got) == list(values)
    assert hermes.said(got["messages"]) == hermes.said(turns)
    assert got["future"] == {"x": [1]}


def test_a_workspace_of_null_is_found_again(hermes: Any) -> None:
    """The WebUI cannot load a file whose workspace is null."""
    turns = hermes.turns("a")
    hermes.write_live(turns, workspace=None)
    hermes.write_rows(turns)
    assert hermes.kinds() == ["malformed_live"]
    hermes.repair()
    assert hermes.load()["workspace"] == "/srv/notes"
    assert hermes.kinds() == []


def test_positions_in_the_message_list_move_along(hermes: Any) -> None:
    lost, live = hermes.turns("a", "b"), hermes.turns("c", start=100)
    cards = [{"name": "terminal", "tid": "t1", "assistant_msg_idx": 1}, {"name": "odd"}]
    hermes.write_live(live, tool_calls=cards, anchor_activity_scenes={"s": {"message_index": 1}})
    hermes.write_backup(lost)
    hermes.repair()
    got = hermes.load()
    assert got["tool_calls"] == [{"name": "terminal", "tid": "t1", "assistant_msg_idx": 5}, {"name": "odd"}]
    assert got["anchor_activity_scenes"] == {"s": {"message_index": 5}}
    assert got["messages"][5] == live[1]


def test_the_model_sees_what_comes_back_behind_a_context_of_its_own(hermes: Any) -> None:
    old, lost = hermes.turns("a", "b"), hermes.turns("c", start=100)
    summary = {"role": "user", "content": "[CONTEXT COMPACTION — REFERENCE ONLY] a", "timestamp": 1_777_000_030.0}
    hermes.write_live(old, context_messages=[summary, *old[2:]])
    hermes.write_rows([*old, *lost])
    hermes.repair()
    assert hermes.said(hermes.load()["context_messages"]) == hermes.said([summary, *old[2:], *lost])


def test_a_stuck_session_keeps_its_messages_and_gets_its_prompt(hermes: Any) -> None:
    turns = hermes.turns("a")
    pending = {
        "active_stream_id": "s1",
        "pending_user_message": "are you there?",
        "pending_started_at": 1_777_000_100.0,
        "pending_attachments": ["x.png"],
    }
    hermes.write_live(turns, **pending)
    assert hermes.kinds() == ["stale_stream"]
    hermes.repair()
    got = hermes.load()
    assert got["messages"] == [
        *turns,
        {
            "role": "user",
            "content": "are you there?",
            "timestamp": 1_777_000_100.0,
            "_recovered": True,  # as the WebUI marks it
            "attachments": ["x.png"],
        },
    ]
    assert (got["active_stream_id"], got["pending_user_message"], got["pending_attachments"]) == (None, None, [])
    assert hermes.kinds() == []


def test_a_pending_prompt_that_arrived_is_not_said_twice(hermes: Any) -> None:
    turns = hermes.turns("a", "b")
    hermes.write_live(
        turns[:2], active_stream_id="s1", pending_user_message="ask b", pending_started_at=turns[2]["timestamp"]
    )
    hermes.write_rows(turns)
    hermes.repair()
    assert hermes.texts() == hermes.said(turns)


@pytest.mark.parametrize("backup", [True, False])
def test_the_turn_that_a_lost_file_waited_for_comes_back_where_the_session_list_tells_of_it(
    hermes: Any, backup: bool
) -> None:
    """The list counts what was there before; the answer came after the file was last saved."""
    said, newest = hermes.turns("a", "b"), hermes.turns("c", start=100)
    row = hermes.session(said) | {"updated_at": newest[0]["timestamp"], "last_message_at": newest[0]["timestamp"]}
    hermes.write_index(row | {"has_pending_user_message": True, "pending_user_message": newest[0]["content"]})
    if backup:
        hermes.write_backup(said)
    hermes.write_rows([*said, *newest])
    hermes.repair()
    assert hermes.texts() == hermes.said([*said, *newest])


def test_a_submitted_prompt_without_an_answer_is_a_question(hermes: Any) -> None:
    turns = hermes.turns("a", "b")
    hermes.write_live(turns)
    journal = hermes.sessions / "_turn_journal"
    journal.mkdir()
    events = [
        {
            "event": "submitted",
            "turn_id": "t1",
            "role": "user",
            "content": "ask a",
            "created_at": turns[0]["timestamp"],
        },
        {
            "event": "submitted",
            "turn_id": "t2",
            "role": "user",
            "content": "lost",
            "created_at": turns[0]["timestamp"] + 7,
        },
        {"event": "submitted", "turn_id": "t3", "role": "user", "content": "stopped", "created_at": 1_777_000_090.0},
        {"event": "interrupted", "turn_id": "t3", "created_at": 1_777_000_091.0},
    ]
    lines = [json.dumps(event) for event in events]
    (journal / f"{hermes.live.stem}~5.jsonl").write_text("\n".join([lines[0], "{torn", *lines[1:]]))
    assert hermes.kinds() == ["turn_journal_pending_turn", "damaged_file"]
    assert hermes.repair().run_id is None
    hermes.repair(hermes.live.stem)
    assert hermes.texts() == ["ask a", "answer a", "lost", "ask b", "answer b"]


def test_unanswered_prompts_stand_where_they_were_sent(hermes: Any) -> None:
    turns = hermes.turns("a", "b", "c")
    hermes.write_live(turns)
    a, b, c = (turns[k]["timestamp"] for k in (0, 2, 4))
    sent = [(a - 9, "early"), (a + 3, "same"), (a + 5, "same"), (b + 3, "same"), (b + 4, "later"), (c + 9, "last")]
    fields = {"event": "submitted", "role": "user"}
    events = [{**fields, "turn_id": f"t{k}", "content": say, "created_at": at} for k, (at, say) in enumerate(sent)]
    events += [{**fields, "turn_id": "there", "content": "ask b", "created_at": b}]
    journal = hermes.sessions / "_turn_journal"
    journal.mkdir()
    (journal / f"{hermes.live.stem}~5.jsonl").write_text("\n".join(map(json.dumps, events)))
    hermes.repair(hermes.live.stem)
    answers = [["ask a", "answer a"], ["ask b", "answer b"], ["ask c", "answer c"]]
    between = ["early"], ["same", "same"], ["same", "later"], ["last"]
    expected = [text for pair in zip(between, [*answers, []], strict=True) for each in pair for text in each]
    assert hermes.texts() == expected


def test_nothing_but_the_run_journal(hermes: Any) -> None:
    turns = hermes.turns("a")
    run = hermes.sessions / "_run_journal" / hermes.live.stem
    run.mkdir(parents=True)
    older = {"event": "done", "created_at": 1.0, "payload": {"session": hermes.session(turns[:1])}}
    newer = {"event": "done", "created_at": 2.0, "payload": {"session": hermes.session(turns)}}
    (run / "a.jsonl").write_text(json.dumps(newer))
    (run / "b.jsonl").write_text(json.dumps(older))
    assert hermes.kinds() == ["run_journal_only"]
    assert hermes.repair().run_id is None
    hermes.repair(hermes.live.stem)
    assert hermes.load()["messages"] == turns


def test_a_torn_index_gives_its_rows_and_is_built_again(hermes: Any) -> None:
    turns = hermes.turns("a")
    hermes.write_index(
        {"session_id": "000000000001", "title": "Gone"},
        {"session_id": hermes.live.stem, "title": "From the index", "updated_at": 1.0},
        {"session_id": "000000000002"},
    )
    path = hermes.sessions / "_index.json"
    path.write_bytes(path.read_bytes()[:-30])
    hermes.write_rows(turns, title=None)
    assert "malformed_index" in [f.kind.name for f in hermes.audit().store_findings]
    hermes.repair()
    assert hermes.load()["title"] == "From the index"
    rows = json.loads(path.read_text())
    assert [(r["session_id"], r["message_count"], r["user_message_count"]) for r in rows] == [(hermes.live.stem, 2, 1)]


def test_one_bad_file_never_stops_the_index(hermes: Any) -> None:
    hermes.write_live(hermes.turns("a"))
    (hermes.sessions / "bad.json").write_bytes(b"\0\0")
    (hermes.sessions / "list.json").write_text("[]")
    old = {"session_id": "bad", "title": "Its last trace", "updated_at": 9e9}
    hermes.write_index(old)
    hermes.repair()
    rows = json.loads((hermes.sessions / "_index.json").read_text())
    assert [r["session_id"] for r in rows] == ["bad", hermes.live.stem]
    assert rows[0] == old


def test_an_id_that_belongs_to_another_session_is_a_question(hermes: Any) -> None:
    before = hermes.write_live(hermes.turns("a"), session_id="0123456789ab")
    hermes.write_rows(hermes.turns("a", "b"))
    assert hermes.kinds() == ["id_mismatch"]
    assert hermes.repair().run_id is None
    assert hermes.repair(hermes.live.stem).run_id is None
    assert hermes.live.read_bytes() == before


@pytest.mark.parametrize("other", [b'{"session_id":"ffffffffffff", "cost": 18446744073709551616}', None])
def test_rows_of_other_sessions_keep_their_bytes(hermes: Any, other: bytes | None) -> None:
    """Also numbers that a fast parser bends, or that only Python reads."""
    hermes.write_live([])
    hermes.write_backup(hermes.turns("a"))
    healthy = hermes.session(hermes.turns("b"), session_id="ffffffffffff")
    (hermes.sessions / "ffffffffffff.json").write_text(json.dumps(healthy))
    index = hermes.sessions / "_index.json"
    row = other or json.dumps({"session_id": "ffffffffffff", "cost": float("nan")}, indent=2).encode()
    index.write_bytes(b"[%s]" % row)
    assert hermes.repair().index_rebuilt
    kept = row if other else row.replace(b"\n", b"\n  ")
    assert kept in index.read_bytes()
    assert {each["session_id"] for each in json.loads(index.read_bytes())} == {"ffffffffffff", hermes.live.stem}


@pytest.mark.parametrize("depth", [150, 400, 990, 1_100, 100_000])
def test_an_index_nested_too_deep_is_a_fact(hermes: Any, depth: int) -> None:
    hermes.write_live(hermes.turns("a"))
    row = b'{"session_id": "ffffffffffff", "title": "Deep", "deep": ' + b"[" * depth + b"]" * depth + b"}"
    (hermes.sessions / "_index.json").write_bytes(b'[{"session_id": "eeeeeeeeeeee", "title": "Flat"}, %s]' % row)
    index = read_index(hermes.sessions)
    assert index.problem is None or "damaged" in index.problem
    assert (index.row("eeeeeeeeeeee") or {})["title"] == "Flat"
    assert index.problem or (index.row("ffffffffffff") or {})["title"] == "Deep"
    hermes.repair()
