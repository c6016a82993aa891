"""A database is read without a trace and as far as it is whole; what cannot be read is unknown, not absent."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core.hermes.database.statedb import StateDB, open_statedb

SCHEMA = """
CREATE TABLE sessions (id TEXT PRIMARY KEY, source TEXT);
CREATE TABLE messages (id INTEGER PRIMARY KEY, session_id TEXT, role TEXT, content TEXT, active INTEGER DEFAULT 1);
CREATE INDEX of_session ON messages(session_id, active);
"""
BARE = "CREATE TABLE messages (session_id, role, content);"
SID = "a1b2c3d4e5f6"
APPEND = f"INSERT INTO messages (session_id, role, content) VALUES ('{SID}', 'user', 'text 3')"
Snapshot = Callable[[Path], object]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def private_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where private copies go; empty again after each test, whatever happened in it."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert not list(folder.iterdir()), "a private copy was left behind"
    folder.rmdir()


def make(home: Path, mode: str = "wal", *, schema: str = SCHEMA, count: int = 3) -> Path:
    """A database with one WebUI session, whose messages say their number."""
    path = home / "state.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"PRAGMA journal_mode = {mode}")
        database.executescript(schema)
        if schema == SCHEMA:
            database.execute("INSERT INTO sessions VALUES (?, 'webui')", (SID,))
        say = "INSERT INTO messages (session_id, role, content) VALUES (?, 'user', ?)"
        database.executemany(say, [(SID, text) for text in numbers(count)])
    return path


@contextmanager
def other_process(path: Path, *statements: str, die: bool = False) -> Iterator[None]:
    """Another process that ran these statements, and still holds the database or died with it open."""
    end = "os._exit(0)" if die else "print('ready', flush=True); sys.stdin.read()"
    code = f"""
import os, sqlite3, sys
database = sqlite3.connect({str(path)!r}, isolation_level=None)
for statement in {statements!r}:
    database.execute(statement).fetchall()
{end}"""
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        if die:
            assert process.wait() == 0
        else:
            assert process.stdout.readline() == b"ready\n" or process.wait()
        yield
        process.stdin.close()


def texts(database: StateDB, session_id: str = SID) -> list[Any]:
    return [row.message["content"] for row in database.messages(session_id, list)]


def numbers(count: int) -> list[str]:
    return [f"text {number}" for number in range(count)]


# --- no trace, whatever lies on disk -------------------------------------------------------------------------------


def clean(home: Path) -> int:
    make(home)
    return 3


def empty_log(home: Path) -> int:
    make(home)
    (home / "state.db-wal").touch()
    return 3


def empty_log_and_stale_index(home: Path) -> int:
    with other_process(make(home), APPEND, "PRAGMA wal_checkpoint(TRUNCATE)", die=True):
        assert (home / "state.db-wal").stat().st_size == 0
        assert (home / "state.db-shm").exists()
    return 4


def killed_with_log(home: Path) -> int:
    with other_process(make(home), APPEND, die=True):
        assert (home / "state.db-shm").exists()
    return 4


def killed_with_log_without_index(home: Path) -> int:
    killed_with_log(home)
    (home / "state.db-shm").unlink()
    return 4


def rollback_journal(home: Path) -> int:
    make(home, "delete")
    return 3


def half_done_transaction(home: Path) -> int:
    """A process died while it was writing pages into the database: the journal has to be played back."""
    path = make(home, "delete", count=4000)
    small_cache = ("PRAGMA cache_size = 5", "BEGIN", "UPDATE messages SET content = 'never said'")
    with other_process(path, *small_cache, die=True):
        assert b"never said" in path.read_bytes()
    return 4000


def long_name(home: Path) -> int:
    """SQLite itself opens no path of more than 512 bytes."""
    folder = home
    while len(bytes(folder)) < 600:
        folder /= "f" * 100
    folder.mkdir(parents=True)
    shutil.move(make(home), folder / "state.db")
    (home / "state.db").symlink_to(folder / "state.db")
    return 3


SCENES = [
    clean,
    empty_log,
    empty_log_and_stale_index,
    killed_with_log,
    killed_with_log_without_index,
    rollback_journal,
    half_done_transaction,
    long_name,
]


@pytest.mark.parametrize("scene", SCENES)
def test_reading_leaves_no_trace(scene: Callable[[Path], int], home: Path, snapshot: Snapshot) -> None:
    count = scene(home)
    before = snapshot(home)
    with open_statedb(home / "state.db") as database:
        assert (database.fact.state, database.fact.reason) == ("ok", "")
        assert texts(database) == numbers(count)
    assert snapshot(home) == before


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Root may write everywhere; become somebody who may not."""
    if os.geteuid() != 0:
        yield
        return
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs POSIX permissions")
@pytest.mark.parametrize("scene", SCENES)
def test_a_folder_without_write_permission(scene: Callable[[Path], int], snapshot: Snapshot) -> None:
    home = Path(tempfile.mkdtemp(dir="/tmp"))  # the folders of pytest are closed to others
    try:
        count = scene(home)
        for path in home.rglob("*"):
            path.chmod(0o555 if path.is_dir() else 0o444)
        home.chmod(0o555)
        before = snapshot(home)
        with ordinary_user(), open_statedb(home / "state.db") as database:
            assert database.fact.state == "ok"
            assert texts(database) == numbers(count)
        assert snapshot(home) == before
    finally:
        for path in (home, *home.rglob("*")):
            path.chmod(0o755)
        shutil.rmtree(home)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs POSIX permissions")
def test_a_database_that_may_not_be_read_is_unknown() -> None:
    home = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        home.chmod(0o755)
        make(home).chmod(0)
        with ordinary_user(), open_statedb(home / "state.db") as database:
            assert database.fact.state == "unreadable"
            assert "Permission denied" in database.fact.reason
    finally:
        shutil.rmtree(home)


@pytest.mark.parametrize(
    "folder", ["a#b", "what?mode=rw", "100%41", "two words", "数据库 ✅", "quote'\"", "back\\slash"]
)
@pytest.mark.parametrize("scene", [clean, killed_with_log, killed_with_log_without_index, rollback_journal])
def test_any_path(folder: str, scene: Callable[[Path], int], home: Path, snapshot: Snapshot) -> None:
    place = home / folder
    place.mkdir()
    count = scene(place)
    before = snapshot(home)
    with open_statedb(place / "state.db") as database:
        assert texts(database) == numbers(count)
    assert snapshot(home) == before


def test_a_symlink_is_read_with_the_log_beside_its_target(home: Path, snapshot: Snapshot) -> None:
    (home / "real").mkdir()
    count = killed_with_log(home / "real")
    (home / "state.db").symlink_to("real/state.db")
    before = snapshot(home)
    with open_statedb(home / "state.db") as database:
        assert texts(database) == numbers(count)
        assert database.fact.path == home / "state.db"
    assert snapshot(home) == before


def test_beside_a_working_agent(home: Path, snapshot: Snapshot) -> None:
    path = make(home)
    with other_process(path, APPEND):
        before = snapshot(home)
        with open_statedb(path) as database:
            assert texts(database) == numbers(4)
        assert snapshot(home) == before


def test_a_writer_that_shuts_others_out_of_writing_only(home: Path, snapshot: Snapshot) -> None:
    path = make(home)
    with other_process(path, "BEGIN EXCLUSIVE", APPEND):
        before = snapshot(home)
        with open_statedb(path) as database:
            assert (database.fact.state, texts(database)) == ("ok", numbers(3))
        assert snapshot(home) == before


def test_an_agent_that_starts_while_the_database_is_open(home: Path) -> None:
    path = make(home)
    with open_statedb(path) as database:
        assert texts(database) == numbers(3)
        with other_process(path, APPEND, "PRAGMA wal_checkpoint(TRUNCATE)"):
            assert texts(database) == numbers(4)
            assert database.has_messages(database.sessions()[SID])


def test_a_database_that_changes_with_every_copy_is_unknown(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed_with_log_without_index(home)
    copy = shutil.copyfile

    def copy_beside_a_writer(source: Path, target: Path) -> None:
        copy(source, target)
        with (home / "state.db-wal").open("ab") as log:
            log.write(b"\0" * 512)

    monkeypatch.setattr(shutil, "copyfile", copy_beside_a_writer)
    with open_statedb(home / "state.db") as database:
        assert database.fact.state == "unreadable"
        assert not database.sessions()


def test_no_room_for_a_private_copy(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed_with_log_without_index(home)

    def full(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with open_statedb(home / "state.db") as database:
        assert database.fact.state == "unreadable"
        assert "No space left" in database.fact.reason


# --- unknown is not absent -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "statements"),
    [
        ("delete", ["BEGIN EXCLUSIVE"]),
        ("delete", ["BEGIN EXCLUSIVE", APPEND]),
        ("wal", ["PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE", APPEND]),
        ("wal", ["PRAGMA locking_mode = EXCLUSIVE", APPEND]),
    ],
)
def test_an_exclusive_lock(mode: str, statements: list[str], home: Path, snapshot: Snapshot) -> None:
    path = make(home, mode)
    with other_process(path, *statements):
        before = snapshot(home)
        with open_statedb(path, deadline=0.2) as database:
            assert database.fact.state == "locked"
            assert not database.sessions()
            assert not database.messages(SID, list)
        assert snapshot(home) == before
    with open_statedb(path) as database:
        assert database.fact.state == "ok"


def overwrite(content: Callable[[int], bytes]) -> Callable[[Path], object]:
    """Replace the database by bytes that a function makes for its size."""
    return lambda path: path.write_bytes(content(path.stat().st_size))


def replace(make_other: Callable[[Path], object]) -> Callable[[Path], object]:
    """Put something else in the place of the database."""

    def damage(path: Path) -> None:
        path.unlink()
        make_other(path)

    return damage


@pytest.mark.parametrize(
    ("damage", "state"),
    [
        (overwrite(lambda size: b""), "malformed"),
        (overwrite(lambda size: b"\0" * size), "malformed"),
        (overwrite(random.Random(7).randbytes), "malformed"),
        (overwrite(lambda size: b"SQLite format 3\0" + b"\0" * size), "malformed"),
        (overwrite(lambda size: b"SQLite format 3\0"), "malformed"),
        (overwrite(lambda size: b"not a database, but long enough to hold a header " * 100), "malformed"),
        (Path.unlink, "absent"),
        (replace(Path.mkdir), "unreadable"),
        pytest.param(
            replace(lambda path: os.mkfifo(path)),
            "unreadable",
            marks=pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no pipes with names"),
        ),
    ],
)
@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_no_database(damage: Callable[[Path], object], state: str, mode: str, home: Path, snapshot: Snapshot) -> None:
    path = make(home, mode)
    damage(path)
    before = snapshot(home)
    with open_statedb(path) as database:
        assert database.fact.state == state
        assert database.fact.reason
        assert (database.sessions(), database.messages(SID, list)) == ({}, ())
    assert snapshot(home) == before


def test_a_database_of_something_else(home: Path) -> None:
    path = home / "state.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE notes (text)")
    with open_statedb(path) as opened:
        assert (opened.fact.state, opened.sessions()) == ("no_tables", {})


def test_a_truncated_database_gives_what_is_left(home: Path, snapshot: Snapshot) -> None:
    path = make(home, count=2000)
    os.truncate(path, path.stat().st_size // 3)
    before = snapshot(home)
    with open_statedb(path) as database:
        assert (database.fact.state, database.fact.salvaged) == ("malformed", True)
        assert SID in database.sessions()
        assert 0 < len(texts(database)) < 2000
        assert set(texts(database)) < set(numbers(2000))
    assert snapshot(home) == before


def damage_page(path: Path, text: str, content: bytes) -> None:
    """Overwrite the page of the table ``messages`` that holds this text."""
    with closing(sqlite3.connect(path)) as database:
        (size,) = database.execute("PRAGMA page_size").fetchone()
    data = bytearray(path.read_bytes())
    at = data.index(text.encode()) // size * size
    assert data[at] == 13, "a leaf of a table"
    data[at : at + size] = content * (size // len(content))
    path.write_bytes(data)


@pytest.mark.parametrize("content", [b"\0", b"\xff", b"junk"])
def test_rows_around_damaged_pages(content: bytes, home: Path, snapshot: Snapshot) -> None:
    path = make(home, count=2000)
    for text in ("text 500", "text 1200", "text 1999"):
        damage_page(path, text, content)
    before = snapshot(home)
    with open_statedb(path) as database:
        found = texts(database)
        lost = set(numbers(2000)) - set(found)
        assert found == [text for text in numbers(2000) if text not in lost]
        assert {"text 500", "text 1200", "text 1999"} <= lost
        assert len(lost) < 500
        assert (database.fact.state, database.fact.salvaged) == ("malformed", True)
        assert database.fact.lost_rows == len(lost)
        assert str(len(lost)) in database.fact.reason
    assert snapshot(home) == before


@pytest.mark.parametrize("text", ["text 0", "text 700", "text 1999"])
def test_damage_without_an_index_to_count_by(text: str, home: Path) -> None:
    path = make(home, schema=BARE, count=2000)
    damage_page(path, text, b"\0")
    with open_statedb(path) as database:
        assert text not in texts(database)
        assert {"text 0", "text 300", "text 1000", "text 1999"} - {text} <= set(texts(database))
        assert (database.fact.salvaged, database.fact.lost_rows) == (True, None)


def test_a_damaged_message_in_a_table_that_is_whole(home: Path) -> None:
    """Only the message itself leads to its overflow pages, so the damage shows when it is read."""
    path = make(home, schema=BARE)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE messages SET content = ? WHERE content = 'text 1'", ("long " * 5000,))
    data = path.read_bytes()
    first = data.index(b"long " * 700) // 4096 * 4096  # an overflow page begins with the number of the next
    path.write_bytes(data[:first] + b"\xff" * 4 + data[first + 4 :])
    with open_statedb(path) as opened:
        assert opened.fact.state == "ok"
        assert texts(opened) == ["text 0", "text 2"]
        assert texts(opened) == ["text 0", "text 2"]
        assert (opened.fact.state, opened.fact.salvaged, opened.fact.lost_rows) == ("malformed", True, 1)


@pytest.mark.parametrize("seed", range(30))
def test_no_damage_raises_or_invents_sessions(seed: int, home: Path, snapshot: Snapshot) -> None:
    path = make(home, count=300)
    chance = random.Random(seed)
    data = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(data) // 4096) * 4096 + chance.choice([0, 0, chance.randrange(4096)])
        junk = chance.choice([b"\0" * 512, b"\xff" * 64, chance.randbytes(4096)])
        data[at : at + len(junk)] = junk[: len(data) - at]
    path.write_bytes(data)
    before = snapshot(home)
    with open_statedb(path) as database:
        for session_id in database.sessions():
            database.messages(session_id, list)
        assert {key for key, row in database.sessions().items() if row.is_webui} <= {SID}
        if database.fact.state == "ok":
            assert SID in database.sessions()
    assert snapshot(home) == before


def test_a_query_that_runs_away_is_stopped(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(home, schema=BARE, count=30_000)
    ticks = iter(range(1_000_000))
    monkeypatch.setattr(time, "thread_time", lambda: float(next(ticks)))
    with open_statedb(path) as database:
        assert database.fact.state == "unreadable"
        assert (database.fact.salvaged, database.fact.lost_rows) == (True, None)
