"""Importing exported or copied sessions under their own ids."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

from tests.core.conftest import SID

Rescue = Callable[..., tuple[int, str, str]]


def test_importing_an_export_puts_the_session_back_and_can_be_undone(
    hermes: Any, tmp_path: Any, rescue: Rescue
) -> None:
    said = hermes.turns("one", "two")
    export = tmp_path / f"hermes-{SID} (1).json"
    hermes.write(export, hermes.session(said, title="Mine", pinned=True))
    assert "Import 1 session?" in rescue("import", export, "--home", hermes.home)[1]
    status, out, _ = rescue("import", export, "--yes", "--home", hermes.home)
    assert status == 0 and "1 session imported" in out
    assert hermes.texts() == hermes.said(said)
    assert (hermes.load()["title"], hermes.load()["pinned"]) == ("Mine", True)
    status, out, _ = rescue("import", export, "--yes", "--home", hermes.home)
    assert status == 0 and "adds no message" in out
    assert hermes.texts() == hermes.said(said)
    assert rescue("undo", "--yes", "--home", hermes.home)[0] == 0
    assert not hermes.live.exists()


def test_importing_merges_and_answers_no_other_question(hermes: Any, tmp_path: Any, rescue: Rescue) -> None:
    said = hermes.turns("one", "two", "three")
    hermes.write_live(said[:2])
    hermes.write(hermes.sessions / f"{SID} 2.json", hermes.session([*said[:2], *said[4:]]))
    export = tmp_path / "saved.json"
    hermes.write(export, hermes.session(said[:4]))
    rescue("import", export, "--yes", "--home", hermes.home)
    assert hermes.texts() == hermes.said(said[:4])
    assert hermes.kinds() == ["further_copy"]


def test_importing_a_lost_session_of_which_rows_are_left_creates_it(hermes: Any, tmp_path: Any, rescue: Rescue) -> None:
    said = hermes.turns("one", "two", "three")
    hermes.write_rows(said)
    last = said[3]["timestamp"]
    hermes.write_index({"session_id": SID, "message_count": 4, "last_message_at": last, "updated_at": last + 900})
    export = tmp_path / "saved.json"
    hermes.write(export, hermes.session(said[:4], **hermes.undo_marks(said[:4])))
    rescue("import", export, "--yes", "--home", hermes.home)
    assert hermes.texts() == hermes.said(said[:4])


def test_a_session_that_was_deleted_does_not_come_along_with_others(hermes: Any, tmp_path: Any, rescue: Rescue) -> None:
    deleted, lost = "d0d0d0d0d0d0", "105710571057"
    hermes.write(hermes.sessions / "_deleted_webui_sessions.json", {"version": 1, "ids": [deleted]})
    old = tmp_path / "old"
    old.mkdir()
    for sid in (deleted, lost):
        hermes.write(old / f"{sid}.json", hermes.session(hermes.turns("one"), session_id=sid))
    status, out, _ = rescue("import", old, "--yes", "--home", hermes.home)
    assert status == 1 and f"Waiting for your decision: {deleted}." in out
    assert (hermes.sessions / f"{lost}.json").exists() and not (hermes.sessions / f"{deleted}.json").exists()
    rescue("import", old / f"{deleted}.json", "--yes", "--home", hermes.home)
    assert (hermes.sessions / f"{deleted}.json").exists()


def test_importing_what_holds_no_session_says_so(hermes: Any, tmp_path: Any, rescue: Rescue) -> None:
    (tmp_path / "notes.json").write_text('{"a": 1}')
    status, _, error = rescue("import", tmp_path / "notes.json", "--yes", "--home", hermes.home)
    assert status == 3
    assert "No session" in error


def test_importing_what_was_taken_back_says_so_and_how_it_comes_back(
    hermes: Any, tmp_path: Any, rescue: Rescue
) -> None:
    said = hermes.turns("one", "two", "three")
    hermes.write_live(said[:4], **hermes.undo_marks(said[:4]))
    export = tmp_path / "saved.json"
    hermes.write(export, hermes.session(said, updated_at=said[-1]["timestamp"]))
    status, out, _ = rescue("import", export, "--yes", "--home", hermes.home)
    assert status == 1
    assert "2 messages that stay out" in out
    assert "You took this message back" in out
    look = shlex.split(out[out.index("hermes-rescue show") :])[1:]
    out = rescue(*look)[1]
    choose = shlex.split(out[out.index("hermes-rescue repair") : out.index(" NUMBERS")])[1:]
    assert rescue(*choose, "5,6", "--yes")[0] == 0
    assert hermes.texts() == hermes.said(said)


def test_importing_beside_rows_alone_leaves_out_what_was_taken_back(hermes: Any, tmp_path: Any, rescue: Rescue) -> None:
    said = hermes.turns("one", "two", "three")
    hermes.write_rows(said)
    export = tmp_path / "saved.json"
    hermes.write(export, hermes.session(said[:4], **hermes.undo_marks(said[:4])))
    rescue("import", export, "--yes", "--home", hermes.home)
    assert hermes.texts() == hermes.said(said[:4])
    assert hermes.kinds() == []


def test_importing_beside_rows_brings_the_fields_that_only_the_file_has(
    hermes: Any, tmp_path: Any, rescue: Rescue
) -> None:
    said = hermes.turns("one", "two")
    hermes.write_rows(said, title="By the rows")
    hermes.write(hermes.sessions / f"{SID} 2.json", hermes.session(said, archived=True))
    card = {"name": "read", "tid": "call_1", "assistant_msg_idx": 3, "done": True}
    only_there = {"pinned": True, "profile": "work", "worktree_path": "/srv/notes/.worktrees/hermes-0a1b2c3d"}
    export = tmp_path / "saved.json"
    hermes.write(export, hermes.session(said, title="Older", tool_calls=[card], **only_there))
    rescue("import", export, "--yes", "--home", hermes.home)
    found = hermes.load()
    assert hermes.texts() == hermes.said(said)
    assert {name: found[name] for name in only_there} == only_there
    assert found["tool_calls"] == [card]
    assert found["title"] == "By the rows"
    assert not found["archived"]  # of a copy that was not imported


def test_importing_brings_the_parts_of_messages_that_only_the_file_has(
    hermes: Any, tmp_path: Any, rescue: Rescue
) -> None:
    said = hermes.turns("one", "two")
    hermes.write_live(said)
    with_parts = [{**said[0], "attachments": ["plan.txt"]}, said[1], said[2], {**said[3], "reasoning": "why"}]
    hermes.write(hermes.sessions / f"{SID} 2.json", hermes.session([*said[:3], with_parts[3]]))
    export = tmp_path / "saved.json"
    hermes.write(export, hermes.session([with_parts[0], *said[1:]]))
    rescue("import", export, "--yes", "--home", hermes.home)
    assert hermes.load()["messages"] == [with_parts[0], *said[1:]]
