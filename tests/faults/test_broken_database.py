"""A broken state.db: what lies beyond the damage comes back, and nothing that was deleted does."""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.demo.demo_store import SCHEMA
from hermes_rescue.core.hermes.database.statedb import StateDB, open_statedb
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.repair.outcomes import State

PAGE = 4096
SIDS = ["aaa000000001", "bbb000000002", "ccc000000003"]
DELETED = "ddd000000004"
COUNT = 300
FILLS = [b"\0", b"\xff", b"junk"]
Rescue = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def private_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where private copies go; empty again after each test."""
    folder = tmp_path / "private"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    assert list(folder.iterdir()) == []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database of the agent: three sessions, one that was deleted, and a version of some rows that is no more."""
    path = tmp_path / "hermes" / "state.db"
    (path.parent / "webui" / "sessions").mkdir(parents=True)
    make(path)
    return path


def make(path: Path, *more: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA secure_delete = OFF")
        database.executescript(SCHEMA)
        for statement in more:
            database.execute(statement)
        for sid in (*SIDS, DELETED):
            database.execute("INSERT INTO sessions (id, source, started_at) VALUES (?, 'webui', 1777000000.0)", (sid,))
            add(database, sid, "new" if sid in SIDS[:2] else "old")
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        old = path.read_bytes()
        database.execute("DELETE FROM messages WHERE session_id = ?", (SIDS[2],))
        add(database, SIDS[2], "new")
        database.execute("DELETE FROM messages WHERE session_id = ?", (DELETED,))
        database.execute("DELETE FROM sessions WHERE id = ?", (DELETED,))
        database.execute("UPDATE messages SET active = 0 WHERE content LIKE '%taken back%'")
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    keep_on_a_free_page(path, old, text(SIDS[2], 100, "old"))
    assert f"{DELETED} 100 old".encode() in path.read_bytes(), "nothing that could come back"


def keep_on_a_free_page(path: Path, old: bytes, words: str) -> None:
    """Let the page that once had these words be the last of the free ones."""
    at = old.index(words.encode()) // PAGE * PAGE
    data = bytearray(path.read_bytes())
    (trunk,) = struct.unpack_from(">I", data, 32)
    (listed,) = struct.unpack_from(">I", data, (trunk - 1) * PAGE + 4)
    last = max(struct.unpack_from(f">{listed}I", data, (trunk - 1) * PAGE + 8))
    data[(last - 1) * PAGE : last * PAGE] = old[at : at + PAGE]
    path.write_bytes(data)


def add(database: sqlite3.Connection, sid: str, version: str) -> None:
    """The rows of a session with ids of their own, the seventh longer than a page."""
    for k in range(COUNT):
        number = (sorted((*SIDS, DELETED)).index(sid) * COUNT + k + 1) * 2
        row = (number, sid, ("user", "assistant")[k % 2], text(sid, k, version), 1_777_000_000.0 + k)
        database.execute("INSERT INTO messages (id, session_id, role, content, timestamp) VALUES (?, ?, ?, ?, ?)", row)


def text(sid: str, k: int, version: str = "new") -> str:
    taken_back = " taken back" if k == COUNT - 2 else ""
    return f"{sid} {k} {version}{taken_back} " + "word " * (2500 if k == 7 else 40)


TRUTH = {sid: [text(sid, k) for k in range(COUNT)] for sid in SIDS}


def damage(path: Path, page: int, fill: bytes, begin: int = 0) -> None:
    """Overwrite a page (counted from 1), or what is behind its first bytes."""
    data = bytearray(path.read_bytes())
    start, end = (page - 1) * PAGE + begin, page * PAGE
    data[start:end] = (fill * PAGE)[: end - start]
    path.write_bytes(data)


def root(path: Path, name: str) -> int:
    with closing(sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    assert path.read_bytes()[(page - 1) * PAGE] in (2, 5), "a branch"
    return int(page)


def leaf(path: Path, words: str) -> int:
    page = path.read_bytes().index(words.encode()) // PAGE + 1
    assert path.read_bytes()[(page - 1) * PAGE] == 13
    return page


def texts(database: StateDB, sid: str) -> list[Any]:
    return [row.message["content"] for row in database.messages(sid, list)]


@pytest.mark.parametrize("fill", FILLS)
def test_rows_below_a_branch_that_is_gone_come_back(path: Path, fill: bytes, snapshot: Callable[[Path], Any]) -> None:
    """No query finds a single row; the pages with the rows are whole, and an index still names them."""
    damage(path, root(path, "messages"), fill)
    before = snapshot(path.parent)
    with open_statedb(path) as database:
        assert {sid: texts(database, sid) for sid in SIDS} == TRUTH
        assert DELETED not in database.sessions()
        for sid in SIDS:
            rewound = [row.message["content"] for row in database.messages(sid, list) if row.status == "rewound"]
            assert rewound == [TRUTH[sid][-2]]
            assert database.has_messages(database.sessions()[sid])
        assert (database.fact.state, database.fact.salvaged, database.fact.lost_rows) == ("malformed", True, 0)
        assert str(len(SIDS) * COUNT) in database.fact.reason
    assert snapshot(path.parent) == before


def test_also_with_what_is_only_in_the_log(path: Path) -> None:
    """The agent died: its last rows never reached the database file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA wal_autocheckpoint = 0")
        last = (SIDS[0], "assistant", "the last words", 1_777_009_999.0)
        database.execute("INSERT INTO messages (session_id, role, content, timestamp) VALUES (?, ?, ?, ?)", last)
        log = path.with_name("state.db-wal").read_bytes()
        broken = root(path, "messages")
    path.with_name("state.db-wal").write_bytes(log)
    damage(path, broken, b"\0")
    with open_statedb(path) as opened:
        assert texts(opened, SIDS[0]) == [*TRUTH[SIDS[0]], "the last words"]
        assert texts(opened, SIDS[1]) == TRUTH[SIDS[1]]


@pytest.mark.parametrize("fill", FILLS)
def test_a_leaf_costs_its_own_rows_only(path: Path, fill: bytes) -> None:
    page = leaf(path, text(SIDS[1], 100))
    gone = path.read_bytes()[(page - 1) * PAGE : page * PAGE].decode("latin-1")
    damage(path, page, fill)
    with open_statedb(path) as database:
        for sid in SIDS:
            assert texts(database, sid) == [each for each in TRUTH[sid] if each not in gone]


def test_without_an_index_too(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    make(path, "DROP INDEX idx_messages_session", "DROP INDEX idx_messages_session_active")
    page = leaf(path, text(SIDS[1], 100))
    gone = path.read_bytes()[(page - 1) * PAGE : page * PAGE].decode("latin-1")
    damage(path, page, b"\0")
    with open_statedb(path) as database:
        for sid in SIDS:
            assert texts(database, sid) == [each for each in TRUTH[sid] if each not in gone]


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_a_file_that_was_cut_short_gives_what_is_left(path: Path, part: float) -> None:
    size = int(path.stat().st_size * part) // PAGE * PAGE
    path.write_bytes(path.read_bytes()[:size])
    with open_statedb(path) as database:
        found = {sid: texts(database, sid) for sid in SIDS}
        assert database.fact.state == "malformed"
    assert sum(map(len, found.values())) > 0
    assert all(set(found[sid]) <= set(TRUTH[sid]) for sid in SIDS)


@pytest.mark.parametrize("begin", [0, 100])
def test_without_a_schema_nobody_can_say_what_a_row_means(path: Path, begin: int, rescue: Rescue) -> None:
    """Neither which table it is from nor whether it was taken back: unknown, and no session comes of it."""
    damage(path, 1, b"\0", begin)
    with open_statedb(path) as database:
        assert (database.fact.state, database.sessions()) == ("malformed", {})
    assert rescue("repair", "--all", "--yes", "--home", path.parent)[0] == 0
    assert list((path.parent / "webui" / "sessions").iterdir()) == []


@pytest.mark.parametrize("fill", FILLS)
def test_a_schema_that_is_damaged_behind_our_tables_hides_none_of_their_rows(tmp_path: Path, fill: bytes) -> None:
    path = tmp_path / "state.db"
    make(path, *(f"CREATE TABLE extra{number} (a, b, c)" for number in range(200)))
    assert path.read_bytes()[100] == 5, "a schema on several pages"
    damage(path, leaf(path, "CREATE TABLE extra199"), fill)
    with open_statedb(path) as database:
        assert {sid: texts(database, sid) for sid in SIDS} == TRUTH
        assert set(database.sessions()) == set(SIDS)
        assert database.fact.state == "malformed"


def test_where_the_free_pages_are_not_known_nothing_is_taken_from_pages_that_nothing_leads_to(path: Path) -> None:
    broken = root(path, "messages")
    (first,) = struct.unpack_from(">I", path.read_bytes(), 32)
    assert first > 1
    damage(path, first, b"\xff")
    damage(path, broken, b"\0")
    with open_statedb(path) as database:
        assert [texts(database, sid) for sid in SIDS] == [[], [], []]
        assert database.fact.lost_rows == len(SIDS) * COUNT


def test_of_two_versions_of_a_row_none_is_guessed(path: Path) -> None:
    """The header says that no page is free, so an old version of some rows lies there like the new one."""
    damage(path, root(path, "messages"), b"\0")
    data = path.read_bytes()
    path.write_bytes(data[:32] + bytes(8) + data[40:])
    with open_statedb(path) as database:
        assert [texts(database, sid) for sid in SIDS[:2]] == [TRUTH[sid] for sid in SIDS[:2]]
        found = texts(database, SIDS[2])
        assert 0 < len(found) < COUNT
        assert set(found) < set(TRUTH[SIDS[2]])
        assert TRUTH[SIDS[2]][100] not in found
        assert DELETED not in database.sessions()


def test_an_index_that_does_not_tell_what_was_taken_back_vouches_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    make(path, "DROP INDEX idx_messages_session_active")
    damage(path, root(path, "messages"), b"\0")
    with open_statedb(path) as database:
        assert [texts(database, sid) for sid in SIDS] == [[], [], []]
        assert database.fact.lost_rows == len(SIDS) * COUNT


def test_a_column_that_is_younger_than_the_row(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    make(path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("ALTER TABLE messages ADD COLUMN display_kind TEXT DEFAULT 'hidden'")
    damage(path, root(path, "messages"), b"\0")
    with open_statedb(path) as opened:
        assert all(row.hidden for row in opened.messages(SIDS[0], list))
        assert texts(opened, SIDS[0]) == TRUTH[SIDS[0]]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_pages_are_gone_nothing_deleted_comes_back(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    pages = path.stat().st_size // PAGE
    for page in chance.sample(range(2, pages + 1), 6):
        damage(path, page, chance.choice(FILLS))
    with open_statedb(path) as database:
        for sid, row in database.sessions().items():
            assert not row.is_webui or sid in SIDS
            short = [each for each in texts(database, sid) if len(each) < PAGE // 2]  # the rest is on pages of its own
            assert set(short) <= set(TRUTH.get(sid, []))


@pytest.mark.parametrize("fill", FILLS)
def test_only_what_was_planned_is_written_where_pages_break_after_the_plan(path: Path, fill: bytes) -> None:
    store = find_store(home=path.parent)
    plan = api.plan(store)
    assert [each.session_id for each in plan.sessions] == SIDS
    meant = {f"{each.session_id}.json": each.after for each in plan.sessions}
    whole = path.read_bytes()
    for page in (1, 2, *range(3, len(whole) // PAGE + 1, 4)):
        path.write_bytes(whole)
        damage(path, page, fill)
        result = api.apply(plan)
        for file in store.sessions_dir.glob("*.json"):
            assert hashlib.sha256(file.read_bytes()).hexdigest() == meant[file.name]
            file.unlink()
        assert {each.state for each in result.outcomes} <= {State.REPAIRED, State.SKIPPED}


def test_a_lost_session_is_rebuilt_from_a_database_that_no_query_can_read(path: Path, rescue: Rescue) -> None:
    damage(path, root(path, "messages"), b"\xff")
    status, out, _ = rescue("audit", "--json", "--home", path.parent)
    (fact,) = [item for item in json.loads(out)["items"] if item["kind"] == "state_db_unreadable"]
    assert (status, fact["state"], fact["salvaged"], fact["lost_rows"]) == (1, "malformed", True, 0)
    assert rescue("repair", "--all", "--yes", "--home", path.parent)[0] == 0
    for sid in SIDS:
        sidecar = json.loads((path.parent / "webui" / "sessions" / f"{sid}.json").read_bytes())
        told = [message["content"] for message in sidecar["messages"]]
        assert told == [each for each in TRUTH[sid] if "taken back" not in each]
