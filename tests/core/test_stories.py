"""The mishaps that this project was started for, each as it happened, on real files."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.findings import Category
from hermes_rescue.core.audit.store_audit import audit
from hermes_rescue.core.base import files
from hermes_rescue.core.base.errors import ChangedMeanwhileError
from hermes_rescue.core.hermes import sidecar
from hermes_rescue.core.hermes.sidecar import Sidecar
from hermes_rescue.core.hermes.store import Store, find_store

SID = "3f2a9c51b7d0"


def messages(count: int, start: float = 1_777_000_000.0) -> list[dict[str, Any]]:
    roles = ("user", "assistant")
    return [{"role": roles[k % 2], "content": f"message {k}", "timestamp": start + k} for k in range(count)]


def session(listed: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    values = {
        "session_id": SID,
        "title": "Deploy notes",
        "workspace": "/srv/notes",
        "created_at": 1.0,
        "updated_at": 2.0,
    }
    return {**sidecar.FIELD_DEFAULTS, **values, "message_count": len(listed), **fields, "messages": listed}


def write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False), "utf-8")


def load(path: Path) -> dict[str, Any]:
    loaded = json.loads(path.read_text("utf-8"))
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home" / "webui" / "sessions").mkdir(parents=True)
    return tmp_path / "home"


@pytest.fixture
def sessions(home: Path) -> Path:
    return home / "webui" / "sessions"


def make_database(home: Path, rows: list[dict[str, Any]], columns: str = "", **session_columns: Any) -> None:
    """A state.db with one WebUI session; ``columns`` are further columns of ``sessions``."""
    with closing(sqlite3.connect(home / "state.db")) as database:
        database.execute(
            f"CREATE TABLE sessions (id TEXT PRIMARY KEY, source TEXT, title TEXT, cwd TEXT, started_at REAL{columns})"
        )
        database.execute(
            "CREATE TABLE messages (id INTEGER PRIMARY KEY, session_id TEXT, role TEXT, content TEXT, timestamp REAL)"
        )
        values = {"id": SID, "source": "webui", "title": "Deploy notes", "started_at": 1.0, **session_columns}
        names = ", ".join(values)
        database.execute(
            f"INSERT INTO sessions ({names}) VALUES ({', '.join('?' * len(values))})", list(values.values())
        )
        database.executemany(
            "INSERT INTO messages (session_id, role, content, timestamp) VALUES (?, ?, ?, ?)",
            [(SID, row["role"], row["content"], row["timestamp"]) for row in rows],
        )
        database.commit()


def repair_all(home: Path) -> api.Result:
    return api.apply(api.plan(find_store(home=home)))


def kinds(store: Store) -> dict[str, list[str]]:
    return {s.session_id: [f.kind.name for f in s.findings] for s in audit(store).sessions}


def save(path: Path, session: Sidecar) -> None:
    """Write a session file as a repair does, without a vault."""
    for write in sidecar.plan_writes(path, session, sidecar.read(path)):
        target = path.with_name(write.name)
        if write.expected is None:
            files.create_exclusive(target, write.data)
        else:
            files.replace_if_unchanged(target, write.data, write.expected)


def test_a_thousand_messages_wiped_by_a_head_only_save_come_back(home: Path, sessions: Path) -> None:
    """The save that started it all: metadata loaded without the messages, then saved. A file as it is before such a
    save becomes the backup, and the repair brings all of it back.
    """
    path = sessions / f"{SID}.json"
    write(path, session(messages(1000)))
    before = path.read_bytes()
    read = sidecar.read(path)
    assert read.sidecar is not None
    save(path, read.sidecar.with_messages(()))
    assert load(path)["messages"] == []
    assert (sessions / f"{SID}.json.bak").read_bytes() == before

    result = repair_all(home)
    assert result.count(api.State.REPAIRED) == 1
    assert load(path)["messages"] == messages(1000)
    assert load(path)["message_count"] == 1000


def test_a_growing_save_leaves_the_backup_alone(sessions: Path) -> None:
    path = sessions / f"{SID}.json"
    write(path, session(messages(2)))
    read = sidecar.read(path)
    assert read.sidecar is not None
    more = [*read.sidecar.messages, sidecar.message_piece({"role": "user", "content": "more"})]
    save(path, read.sidecar.with_messages(more))
    assert [m["content"] for m in load(path)["messages"]] == ["message 0", "message 1", "more"]
    assert [p.name for p in sessions.iterdir()] == [path.name]


def test_a_shrinking_save_of_a_file_that_somebody_saved_meanwhile_is_refused(sessions: Path) -> None:
    path = sessions / f"{SID}.json"
    write(path, session(messages(3)))
    read = sidecar.read(path)
    assert read.sidecar is not None
    write(path, session(messages(4)))
    with pytest.raises(ChangedMeanwhileError):
        sidecar.plan_writes(path, read.sidecar.with_messages(()), read)


@pytest.mark.parametrize(
    "odd", ["[1, 2, 3]", "17", "null", '"text"', "{}", '{"messages": 3}', "", "\0\0\0\0", "[" * 100_000]
)
def test_the_scan_that_died_on_a_list_goes_on(home: Path, sessions: Path, odd: str) -> None:
    """A start-up scan met a JSON file whose top level is a list, and no session at all was recovered that day."""
    (sessions / "notes.json").write_text(odd)
    (sessions / "_index.json").write_text("[]")
    write(sessions / f"{SID}.json", session([]))
    write(sessions / f"{SID}.json.bak", session(messages(4)))
    assert kinds(find_store(home=home))[SID][0] == "shrunken_live"
    repair_all(home)
    assert load(sessions / f"{SID}.json")["messages"] == messages(4)
    assert (sessions / "notes.json").read_text() == odd


def test_two_repairs_at_once_do_not_share_a_temporary_name(home: Path, sessions: Path) -> None:
    """Both wrote to ``<sid>.json.recover.tmp``, and one moved the other's half-written file into place."""
    path = sessions / f"{SID}.json"
    write(path, session([]))
    write(sessions / f"{SID}.json.bak", session(messages(200)))
    plans = [api.plan(find_store(home=home)) for _ in range(2)]
    start = threading.Barrier(2)
    results: list[object] = []

    def run(plan: api.Plan) -> None:
        start.wait()
        try:
            results.append(api.apply(plan))
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=run, args=(plan,)) for plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = [r for r in results if isinstance(r, api.Result) and r.count(api.State.REPAIRED)]
    assert len(done) == 1, results
    assert load(path)["messages"] == messages(200)
    assert not [p.name for p in sessions.iterdir() if "tmp" in p.name]


def test_temporary_names_differ_between_threads_of_one_process(sessions: Path) -> None:
    seen: set[str] = set()
    real = os.link

    def link(source: Any, target: Any, **options: Any) -> None:
        seen.add(Path(source).name)
        real(source, target, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "link", link)
        threads = [
            threading.Thread(target=files.create_exclusive, args=(sessions / f"s{k}.json", b"{}")) for k in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(seen) == 8
    assert all(str(os.getpid()) in name and not name.endswith(".json") for name in seen)


def test_a_sidecar_that_appears_between_check_and_link_wins(
    home: Path, sessions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session was missing when the repair looked; Hermes wrote it a moment later."""
    make_database(home, messages(4))
    path = sessions / f"{SID}.json"
    newer = json.dumps(session(messages(6)))
    real = os.link

    def link(source: Any, target: Any, **options: Any) -> None:
        if Path(target) == path and not path.exists():
            path.write_text(newer)
        real(source, target, **options)

    monkeypatch.setattr(os, "link", link)
    result = repair_all(home)
    assert [(o.state, o.reason) for o in result.outcomes] == [(api.State.SKIPPED, "sidecar_appeared_during_reconcile")]
    assert path.read_text() == newer


def test_a_worktree_session_rebuilt_from_rows_keeps_its_worktree(home: Path, sessions: Path) -> None:
    tree = f"/srv/repo/.worktrees/hermes-{SID[:8]}"
    make_database(
        home,
        messages(4),
        ", git_branch TEXT, git_repo_root TEXT",
        cwd=tree,
        git_branch=f"hermes/hermes-{SID[:8]}",
        git_repo_root="/srv/repo",
    )
    repair_all(home)
    got = load(sessions / f"{SID}.json")
    assert [got[name] for name in ("workspace", "worktree_path", "worktree_branch", "worktree_repo_root")] == [
        tree,
        tree,
        f"hermes/hermes-{SID[:8]}",
        "/srv/repo",
    ]
    assert got["worktree_created_at"] == 1.0
    assert got["messages"] == messages(4)
    assert got["message_count"] == 4


def test_an_empty_worktree_session_does_not_vanish_from_the_sidebar(home: Path, sessions: Path) -> None:
    """Untitled, nothing said yet: only its worktree path keeps the sidebar from hiding it."""
    tree = f"/srv/repo/.worktrees/hermes-{SID[:8]}"
    make_database(home, [], ", git_branch TEXT", cwd=tree, git_branch=f"hermes/hermes-{SID[:8]}", title=None)
    repair_all(home)
    got = load(sessions / f"{SID}.json")
    assert got["messages"] == []
    assert got["title"] == "Untitled"
    assert got["worktree_path"] == tree
    assert kinds(find_store(home=home))[SID] == ["worktree_gone"]


def test_an_empty_row_without_a_worktree_is_a_question(home: Path, sessions: Path) -> None:
    make_database(home, [], cwd="/srv/notes")
    assert kinds(find_store(home=home)) == {SID: ["state_db_orphan_webui_row"]}
    assert api.plan(find_store(home=home)).is_empty


def test_a_database_without_the_new_columns_is_enough(home: Path, sessions: Path) -> None:
    with closing(sqlite3.connect(home / "state.db")) as database:
        database.execute("CREATE TABLE sessions (id TEXT)")
        database.execute("CREATE TABLE messages (id INTEGER PRIMARY KEY, session_id TEXT, role TEXT, content TEXT)")
        database.execute("INSERT INTO sessions VALUES (?)", (SID,))
        database.executemany(
            "INSERT INTO messages (session_id, role, content) VALUES (?, ?, ?)",
            [(SID, "user", "[Workspace::v1: /srv/a\\]b]\nhello"), (SID, "assistant", "hi")],
        )
        database.commit()
    assert api.plan(find_store(home=home)).is_empty  # without a source nobody knows whose it is
    api.apply(api.plan(find_store(home=home), [SID]))
    got = load(sessions / f"{SID}.json")
    assert [(m["role"], m["content"]) for m in got["messages"]] == [("user", "hello"), ("assistant", "hi")]
    assert got["workspace"] == "/srv/a]b"


def test_a_row_alone_shows_that_an_orphan_backup_was_not_deleted(home: Path, sessions: Path) -> None:
    with closing(sqlite3.connect(home / "state.db")) as database:
        database.execute("CREATE TABLE sessions (id TEXT)")
        database.execute("INSERT INTO sessions VALUES (?)", (SID,))
        database.commit()
    write(sessions / f"{SID}.json.bak", session(messages(4)))
    write(sessions / "0123456789ab.json.bak", session(messages(4), session_id="0123456789ab"))
    found = {s.session_id: (s.findings[0].kind.name, s.category) for s in audit(find_store(home=home)).sessions}
    assert found == {
        SID: ("orphan_backup", Category.REPAIRABLE),
        "0123456789ab": ("orphan_backup_without_state_row", Category.REVIEW),
    }


def test_a_deleted_session_stays_deleted(home: Path, sessions: Path, snapshot: Callable[[Path], Any]) -> None:
    make_database(home, messages(4))
    write(sessions / f"{SID}.json.bak", session(messages(4)))
    write(sessions / "_deleted_webui_sessions.json", {"version": 1, "ids": [SID]})
    before = snapshot(home)
    assert kinds(find_store(home=home)) == {SID: ["state_db_deleted_webui_tombstone"]}
    assert repair_all(home).run_id is None
    assert snapshot(home) == before


def test_a_larger_backup_cannot_undo_the_repair(home: Path, sessions: Path) -> None:
    """The WebUI restores a backup that holds more messages than the file. After an undo on purpose the file is the
    smaller one; when something else about it is repaired, a backup that a version wrote which believes no mark of that
    goes to the vault.
    """
    kept, gone = messages(4), messages(6)[4:]
    marks = {
        "truncation_watermark": kept[-1]["timestamp"],
        "truncation_boundary": kept[-1]["timestamp"],
        "intentional_shrink_generation": "f3ece896034044d595d19fdba191bbac",
        "updated_at": gone[-1]["timestamp"] + 60,
    }
    path = sessions / f"{SID}.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(session(kept, **marks)).encode())
    older = {name: value for name, value in session([*kept, *gone]).items() if "generation" not in name}
    write(sessions / f"{SID}.json.bak", older)
    result = repair_all(home)
    assert load(path)["messages"] == kept
    assert not (sessions / f"{SID}.json.bak").exists()
    assert result.run_id is not None
    assert api.undo(find_store(home=home), result.run_id).undone == (SID,)
    assert (sessions / f"{SID}.json.bak").exists()
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")


def test_a_torn_file_is_not_replaced_by_an_empty_backup(home: Path, sessions: Path) -> None:
    path = sessions / f"{SID}.json"
    text = json.dumps(session(messages(20)), indent=2)
    path.write_text(text[: text.index("message 15")])
    write(sessions / f"{SID}.json.bak", session([]))
    repair_all(home)
    assert load(path)["messages"] == messages(15)


def test_an_unreadable_database_never_counts_as_an_empty_one(home: Path, sessions: Path) -> None:
    (home / "state.db").write_bytes(b"\0" * 8192)
    write(sessions / f"{SID}.json.bak", session(messages(4)))
    found = audit(find_store(home=home))
    assert [f.kind.name for f in found.store_findings] == ["state_db_unreadable"]
    assert [f.kind.name for f in found.sessions[0].findings] == ["orphan_backup"]
    repair_all(home)
    assert load(sessions / f"{SID}.json")["messages"] == messages(4)


def test_a_store_that_was_moved_can_still_be_undone(home: Path, tmp_path: Path, sessions: Path) -> None:
    path = sessions / f"{SID}.json"
    write(path, session([]))
    before = path.read_bytes()
    write(sessions / f"{SID}.json.bak", session(messages(4)))
    result = repair_all(home)
    moved = tmp_path / "elsewhere"
    shutil.move(home, moved)
    assert result.run_id is not None
    api.undo(find_store(home=moved), result.run_id)
    assert (moved / "webui" / "sessions" / path.name).read_bytes() == before
