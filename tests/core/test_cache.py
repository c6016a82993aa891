"""What an audit keeps for the next one: never a stale answer, whatever is changed in between and however quietly."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

import pytest
from hermes_rescue.core.audit import cache
from hermes_rescue.core.audit import session as engine
from hermes_rescue.core.audit.cache import AuditCache
from hermes_rescue.core.audit.findings import SessionAudit
from hermes_rescue.core.audit.store_audit import Audit, audit
from hermes_rescue.core.base.progress import Cancelled
from hermes_rescue.core.demo.demo_store import make_demo_store
from hermes_rescue.core.hermes.store import Store, find_store

from ..conftest import LONG

AGO = 1_700_000_000


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_demo_store(tmp_path / "demo").home


@pytest.fixture
def old_agent(home: Path) -> None:
    """The database of an agent that had no index of active rows."""
    with closing(sqlite3.connect(find_store(home=home).databases[0])) as database:
        database.execute("DROP INDEX idx_messages_session_active")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sessions that were looked at, and not only remembered."""
    found: list[str] = []
    examine = engine.examine_unless_up_to_date

    def noted(reader: Any, webui: Any, session_id: str, *rest: Any) -> Any:
        found.append(session_id)
        return examine(reader, webui, session_id, *rest)

    monkeypatch.setattr(engine, "examine_unless_up_to_date", noted)
    return found


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as at rest as soon as they are written; two changes here are never within one tick of the clock."""
    monkeypatch.setattr(cache, "FRESH", 0.0)
    monkeypatch.setattr(cache, "FRESH_TEMP", 0.0)


def remembered(home: Path) -> Audit:
    return audit(find_store(home=home), cache=AuditCache(find_store(home=home), home.parent / "cache"))


def shown(found: Audit) -> tuple[Any, ...]:
    return found.sessions, found.store_findings


@pytest.mark.usefixtures("settled")
def test_where_nothing_changed_nothing_is_read_again(home: Path, examined: list[str]) -> None:
    first = remembered(home)
    assert first.of(None) and first.findings and examined
    examined.clear()
    again = remembered(home)
    assert examined == []
    assert shown(again) == shown(first) == shown(audit(find_store(home=home)))


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("agent", ["new", "old"])
def test_new_rows_of_one_session_do_not_touch_the_others(
    home: Path, examined: list[str], agent: str, request: pytest.FixtureRequest
) -> None:
    if agent == "old":
        request.getfixturevalue("old_agent")
    store = find_store(home=home)
    victim, other = remembered(home).of(None)[:2]
    with closing(sqlite3.connect(store.databases[0])) as database:
        database.execute(
            "INSERT INTO messages (session_id, role, content, timestamp) VALUES (?, 'user', 'more', 1.9e9)",
            (victim.session_id,),
        )
        database.commit()
    examined.clear()
    found = {s.session_id: s for s in remembered(home).sessions}
    assert victim.session_id in examined and other.session_id not in examined
    assert [f.kind.name for f in found[victim.session_id].findings] == ["state_db_ahead"]
    assert found[other.session_id] == other


def test_a_temp_that_may_be_on_its_way_is_looked_at_again(
    home: Path, examined: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "FRESH", 0.0)
    remembered(home)
    examined.clear()
    remembered(home)
    temps = find_store(home=home).sessions_dir.glob("*.tmp.*")
    assert {*examined} == {path.name.split(".tmp.")[0] for path in temps} != set()


def test_a_file_that_was_just_written_is_not_kept(home: Path, examined: list[str]) -> None:
    files = {s.session_id for s in remembered(home).sessions if s.live is not None}
    examined.clear()
    remembered(home)
    assert files <= {*examined}


Change = Callable[[Store, SessionAudit, random.Random], object]


def same_size_and_time(store: Store, session: SessionAudit, chance: random.Random) -> None:
    """Another text, written in place, with the old time stamp put back."""
    for path in store.sessions_dir.glob(f"{session.session_id}.json*"):
        before, data = path.stat(), path.read_bytes()
        at = data.find(b'"content": "')
        if at > 0:
            with path.open("r+b") as file:
                file.seek(at + 12)
                file.write(b"\\" if data[at + 12 : at + 13] != b"\\" else b"n")
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def cut(store: Store, session: SessionAudit, chance: random.Random) -> None:
    for path in store.sessions_dir.glob(f"{session.session_id}.json"):
        path.write_bytes(path.read_bytes()[: chance.randrange(1, 4000)])


def lost(store: Store, session: SessionAudit, chance: random.Random) -> None:
    for path in store.sessions_dir.glob(f"{session.session_id}.json"):
        path.unlink()


def wiped(store: Store, session: SessionAudit, chance: random.Random) -> None:
    path = store.sessions_dir / f"{session.session_id}.json"
    if path.exists():
        shutil.copy2(path, path.with_name(path.name + ".bak"))
        path.write_text(json.dumps({"session_id": session.session_id, "workspace": "/", "messages": []}))


def swapped(store: Store, session: SessionAudit, chance: random.Random) -> None:
    """The file of another session under this name, with all its time stamps."""
    other = chance.choice(sorted(store.sessions_dir.glob("[!_]*.json")))
    shutil.copy2(other, store.sessions_dir / f"{session.session_id}.json")


def deleted(store: Store, session: SessionAudit, chance: random.Random) -> None:
    path = store.sessions_dir / "_deleted_webui_sessions.json"
    path.write_text(json.dumps({"version": 1, "ids": [session.session_id]}))


def unlisted(store: Store, session: SessionAudit, chance: random.Random) -> None:
    path = store.sessions_dir / "_index.json"
    rows = [row for row in json.loads(path.read_bytes()) if row["session_id"] != session.session_id]
    path.write_text(json.dumps(rows))


def renamed(store: Store, session: SessionAudit, chance: random.Random) -> None:
    path = store.sessions_dir / "_index.json"
    rows = json.loads(path.read_bytes())
    path.write_text(json.dumps([{**row, "title": f"Now {chance.random()}"} for row in rows]))


def sent(store: Store, session: SessionAudit, chance: random.Random) -> None:
    folder = store.sessions_dir / "_turn_journal"
    folder.mkdir(exist_ok=True)
    event = {"event": "submitted", "turn_id": "t", "content": f"lost {chance.random()}", "created_at": 1.9e9}
    (folder / f"{session.session_id}.jsonl").write_text(json.dumps(event))


def in_database(sql: str) -> Change:
    def change(store: Store, session: SessionAudit, chance: random.Random) -> None:
        with closing(sqlite3.connect(store.databases[0])) as database:
            database.execute(sql, (session.session_id,))
            database.commit()

    return change


def quiet_in_database(store: Store, session: SessionAudit, chance: random.Random) -> None:
    """Another text of the same length, with the time stamp of the file put back."""
    path = store.databases[0]
    before = path.stat()
    in_database("UPDATE messages SET content = upper(content) WHERE session_id = ?")(store, session, chance)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def no_worktree(store: Store, session: SessionAudit, chance: random.Random) -> None:
    if session.worktree_path and Path(session.worktree_path).is_dir():
        shutil.rmtree(session.worktree_path)


CHANGES: tuple[Change, ...] = (
    *(same_size_and_time, cut, lost, wiped, swapped, deleted, unlisted, renamed, sent, no_worktree),
    in_database("UPDATE messages SET active = 0 WHERE session_id = ?"),
    in_database("UPDATE messages SET timestamp = timestamp + 0.001 WHERE session_id = ?"),
    in_database("UPDATE sessions SET source = 'cli' WHERE id = ?"),
    in_database("DELETE FROM messages WHERE id = (SELECT max(id) FROM messages WHERE session_id = ?)"),
    in_database("DELETE FROM sessions WHERE id = ?"),
)


IN_PLACE: tuple[Change, ...] = (
    quiet_in_database,
    in_database("UPDATE messages SET reasoning = NULL, tool_calls = NULL WHERE session_id = ?"),
)
"""What no agent does: the rows keep their ids and times, and say something else."""


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("seed", range(3 if LONG else 1))
def test_no_answer_is_ever_stale(home: Path, seed: int) -> None:
    check_changes(home, CHANGES, random.Random(seed))


@pytest.mark.usefixtures("settled", "old_agent")
@pytest.mark.parametrize("seed", range(3 if LONG else 1))
def test_no_answer_is_ever_stale_without_the_index(home: Path, seed: int) -> None:
    check_changes(home, (*CHANGES, *IN_PLACE), random.Random(seed))


def check_changes(home: Path, changes: Sequence[Change], chance: random.Random) -> None:
    store = find_store(home=home)
    for change in chance.sample(changes, len(changes)):
        sessions = remembered(home).sessions
        change(store, chance.choice(sessions), chance)
        assert shown(remembered(home)) == shown(audit(store)), change


@pytest.mark.usefixtures("settled")
def test_a_database_that_was_replaced_is_read_anew(home: Path, tmp_path: Path) -> None:
    """Its rows can have the ids and times of the old ones, and other texts."""
    store = find_store(home=home)
    victim = next(s for s in remembered(home).of(None) if s.database and s.live)
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(store.databases[0])) as database, closing(sqlite3.connect(other)) as copy:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.backup(copy)
        copy.execute("UPDATE messages SET content = 'something else' WHERE session_id = ?", (victim.session_id,))
        copy.commit()
    other.replace(store.databases[0])
    found = remembered(home)
    assert shown(found) == shown(audit(store))
    assert victim not in found.sessions


@pytest.mark.usefixtures("settled")
def test_a_text_that_was_written_over_in_place_is_seen_when_all_is_read(home: Path) -> None:
    store = find_store(home=home)
    victim = next(s for s in remembered(home).of(None) if s.database and s.live)
    with closing(sqlite3.connect(store.databases[0])) as database:
        database.execute("UPDATE messages SET content = 'something else' WHERE session_id = ?", (victim.session_id,))
        database.commit()
    assert victim not in audit(store).sessions


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("harm", ["table", "row", "index"])
def test_damage_of_a_database_is_told_each_time(home: Path, harm: str) -> None:
    path = find_store(home=home).databases[0]
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE messages SET content = ? WHERE id = (SELECT max(id) FROM messages)", ("MARK" * 9000,))
        database.commit()
        if harm == "index":
            database.execute("DROP INDEX idx_messages_session")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (size,) = database.execute("PRAGMA page_size").fetchone()
        root = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'messages'").fetchone()[0]
    data = bytearray(path.read_bytes())
    pages = {"table": [(root - 1) * size], "index": []}.get(
        harm, [at for at in range(0, len(data), size) if data[at + 4 : at + 804] == b"MARK" * 200]
    )
    for at in pages:
        data[at : at + size] = bytes(size)
    path.write_bytes(data)
    told = [shown(remembered(home)) for _ in range(3)]
    assert told == [shown(audit(find_store(home=home)))] * 3
    assert bool(told[0][1]) == (harm != "index")


@pytest.mark.usefixtures("settled")
def test_what_is_kept_lies_outside_the_home_for_this_user_alone(home: Path, snapshot: Callable[[Path], Any]) -> None:
    before = snapshot(home)
    remembered(home)
    assert snapshot(home) == before
    folder = home.parent / "cache"
    (file,) = folder.iterdir()
    assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize(
    "harm",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:],
        lambda data: data[32:],
    ],
)
def test_a_damaged_cache_is_none(home: Path, examined: list[str], harm: Callable[[bytes], bytes]) -> None:
    first = remembered(home)
    (file,) = (home.parent / "cache").iterdir()
    file.write_bytes(harm(file.read_bytes()))
    examined.clear()
    assert shown(remembered(home)) == shown(first)
    assert {s.session_id for s in first.sessions} <= {*examined}


@pytest.mark.usefixtures("settled")
def test_another_version_of_the_program_looks_for_itself(
    home: Path, examined: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = remembered(home)
    monkeypatch.setattr(cache, "_engine", lambda: b"another version")
    examined.clear()
    assert shown(remembered(home)) == shown(first)
    assert {s.session_id for s in first.sessions} <= {*examined}


@pytest.mark.usefixtures("settled")
def test_where_nothing_can_be_kept_the_audit_is_the_same(home: Path) -> None:
    (home.parent / "cache").write_text("a file, and no folder")
    assert shown(remembered(home)) == shown(audit(find_store(home=home)))


@pytest.mark.usefixtures("settled")
def test_an_audit_that_is_stopped_leaves_the_answers_of_the_last_one(home: Path, examined: list[str]) -> None:
    first = remembered(home)
    (file,) = (home.parent / "cache").iterdir()
    kept = file.read_bytes()
    for path in find_store(home=home).sessions_dir.glob("[!_]*.json"):
        os.utime(path)
    with pytest.raises(Cancelled):
        audit(
            find_store(home=home),
            cache=AuditCache(find_store(home=home), file.parent),
            should_cancel=lambda: len(examined) > len(first.sessions) + 3,
        )
    assert [*file.parent.iterdir()] == [file] and file.read_bytes() == kept


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize(("of", "step"), [(SpooledTemporaryFile, "write"), (shutil, "copyfileobj")])
def test_on_a_full_disk_the_answers_of_the_last_audit_stay(
    home: Path, of: object, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered(home)
    (file,) = (home.parent / "cache").iterdir()
    kept = file.read_bytes()
    for path in find_store(home=home).sessions_dir.glob("[!_]*.json"):
        os.utime(path)
    with monkeypatch.context() as full:
        full.setattr(of, step, lambda *_: Path("/dev/full").write_text("full"))
        assert shown(remembered(home)) == shown(audit(find_store(home=home)))
    assert [*file.parent.iterdir()] == [file] and file.read_bytes() == kept


@pytest.mark.usefixtures("settled")
def test_after_a_disk_was_full_nothing_more_is_written(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[object] = []

    def write(file: object, _: bytes) -> None:
        assert file not in failed  # Python's own file of this kind is unusable from then on
        failed.append(file)
        Path("/dev/full").write_text("full")

    with monkeypatch.context() as full:
        full.setattr(SpooledTemporaryFile, "write", write)
        assert shown(remembered(home)) == shown(audit(find_store(home=home)))
    assert failed and not [*(home.parent / "cache").iterdir()]


@pytest.mark.usefixtures("settled")
def test_of_an_audit_that_found_a_database_damaged_nothing_is_kept(home: Path, examined: list[str]) -> None:
    first = remembered(home)
    database = find_store(home=home).databases[0]
    whole = database.read_bytes()
    database.write_bytes(b"no database any more")
    remembered(home)
    database.write_bytes(whole)
    examined.clear()
    assert shown(remembered(home)) == shown(first)
    assert {s.session_id for s in first.sessions} <= {*examined}


def not_utf_8(home: Path) -> Path:
    odd = Path(os.fsdecode(os.fsencode(home) + b"\xff"))
    return home.rename(odd)


def title_with_half_a_character(home: Path) -> Path:
    path = sorted(find_store(home=home).sessions_dir.glob("[!_]*.json"))[0]
    path.write_text(json.dumps({**json.loads(path.read_text()), "title": "half \ud83d"}))
    return home


def row_of_the_list_with_odd_values(home: Path) -> Path:
    path = find_store(home=home).sessions_dir / "_index.json"
    rows = json.loads(path.read_text())
    rows[0] |= {"title": "half \ud83d", "message_count": 10**30}
    path.write_text(json.dumps(rows))
    return home


def a_pipe_in_its_place(home: Path) -> Path:
    remembered(home)
    (file,) = (home.parent / "cache").iterdir()
    file.unlink()
    os.mkfifo(file)
    return home


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize(
    "change", [not_utf_8, title_with_half_a_character, row_of_the_list_with_odd_values, a_pipe_in_its_place]
)
def test_what_cannot_be_kept_is_read_again_and_the_rest_is_remembered(
    home: Path, examined: list[str], change: Callable[[Path], Path]
) -> None:
    home = change(home)
    first = remembered(home)
    assert shown(first) == shown(audit(find_store(home=home)))
    examined.clear()
    assert shown(remembered(home)) == shown(first)
    assert len(examined) <= 1


@pytest.mark.usefixtures("settled")
def test_the_command_keeps_its_answers_unless_told_not_to(
    home: Path, rescue: Callable[..., tuple[int, str, str]], examined: list[str], tmp_path: Path
) -> None:
    status, told, _ = rescue("audit", "--home", home)
    examined.clear()
    assert rescue("audit", "--home", home)[:2] == (status, told)
    assert len(examined) < 5
    examined.clear()
    assert rescue("audit", "--home", home, "--no-cache")[:2] == (status, told)
    assert len(examined) > 10
