"""A state.db made to hurt: nothing hangs, nothing beside it or elsewhere is written, what SQLite can still read is
taken, and the sessions that the other copies hold come back."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hermes_rescue.core.audit.store_audit import audit
from hermes_rescue.core.hermes.store import find_store

from ..conftest import some
from ..core.conftest import SID, START, Hermes
from .hostile import BOUND, HEALTHY, Rescue, bounded, everything, sound_home
from .test_hostile_files import SAID, run_json, transcript

pytestmark = pytest.mark.usefixtures("no_servers")

FILLER = 40


def lost_file(folder: Path) -> Hermes:
    """A home whose session ``SID`` has lost its file, with other sessions in a database of some thirty pages."""
    hermes = sound_home(folder)
    hermes.live.unlink()
    for k in range(FILLER):
        hermes.write_rows(hermes.turns("x" * 300, "y" * 900), sid=f"{k:012x}", title=None)
    return hermes


def holds(hermes: Hermes, rescue: Rescue) -> set[str]:
    """Audits and repairs; ``SID`` must come back, ``HEALTHY`` must stay. The kinds of findings about the database."""
    before = everything(hermes.home)
    with bounded():
        found = audit(find_store(home=hermes.home))
    assert everything(hermes.home) == before
    assert [s.findings for s in found.sessions if s.session_id == HEALTHY] == [()]
    with bounded():
        status, _, err = rescue("repair", SID, "--yes", "--home", hermes.home)
    assert status in (0, 1), err
    assert transcript(hermes, SID) == SAID
    after = everything(hermes.home)
    assert {name: entry for name, entry in after.items() if "state.db" in name} == {
        name: entry for name, entry in before.items() if "state.db" in name
    }
    return {f.evidence for f in found.store_findings}


def test_truncated_at_many_lengths(tmp_path: Path, rescue: Rescue) -> None:
    hermes = lost_file(tmp_path)
    path = hermes.home / "state.db"
    whole = path.read_bytes()
    lengths = {1, 15, 16, 17, 99, 100, 101, 511, 512, 4095, 4096, 4097, len(whole) - 4096}
    lengths |= {len(whole) * k // 16 for k in range(1, 16)}
    for length in some(sorted(lengths), 8):
        path.write_bytes(whole[:length])
        hermes.live.unlink(missing_ok=True)
        evidence = holds(hermes, rescue)
        assert evidence and not [text for text in evidence if "too long" in text], length


@pytest.mark.parametrize("damage", some(["flipped", "zeroed", "random"], 3))
def test_every_page_in_turn(tmp_path: Path, damage: str) -> None:
    """Each page of the database damaged as a whole: whatever that costs, the audit ends and the other copies count."""
    hermes = lost_file(tmp_path)
    path = hermes.home / "state.db"
    whole = path.read_bytes()
    size = 4096
    assert len(whole) // size > 20
    for at in range(0, len(whole), size):
        page = whole[at : at + size]
        junk = {
            "zeroed": bytes(size),
            "flipped": bytes(255 - b for b in page),
            "random": bytes((k * k + at) % 251 for k in range(size)),
        }
        path.write_bytes(whole[:at] + junk[damage] + whole[at + size :])
        with bounded():
            found = hermes.audit()
        known = {s.session_id: s for s in found.sessions}
        assert known[HEALTHY].findings == ()
        assert known[SID].after == 4, at
        assert path.read_bytes()[at : at + size] == junk[damage]
    assert sorted(p.name for p in hermes.home.iterdir()) == ["state.db", "webui"]


def execute(*statements: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as database:
            for statement in statements:
                database.execute(statement)
            database.commit()

    return change


def patched(offset: int, data: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        whole = bytearray(path.read_bytes())
        whole[offset : offset + len(data)] = data
        path.write_bytes(whole)

    return change


def with_schema(name: str, sql: str) -> Callable[[Path], None]:
    """The schema of a table replaced by hand."""

    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA writable_schema = ON")
            database.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (sql, name))
            database.commit()

    return change


RECURSIVE = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i"

UNREADABLE: dict[str, Callable[[Path], None]] = {
    "no tables": execute("DROP TABLE messages", "DROP TABLE sessions"),
    "a view named messages that never ends": execute(
        "DROP TABLE messages",
        "DROP TABLE sessions",
        f"CREATE VIEW messages AS {RECURSIVE} AS id, 'x' AS session_id FROM n",
    ),
    "a view named sessions that never ends": execute(
        "DROP TABLE messages", "DROP TABLE sessions", f"CREATE VIEW sessions AS {RECURSIVE} AS id FROM n"
    ),
    "virtual tables": execute(
        "DROP TABLE messages",
        "DROP TABLE sessions",
        "CREATE VIRTUAL TABLE messages USING fts5(id, session_id, content)",
        "CREATE VIRTUAL TABLE sessions USING rtree(id, a, b)",
    ),
    "a table without row ids": execute(
        "DROP TABLE messages",
        "CREATE TABLE messages (id TEXT PRIMARY KEY, session_id TEXT, content TEXT) WITHOUT ROWID",
    ),
    "a text column named _rowid_": execute(
        "DROP TABLE messages",
        "CREATE TABLE messages (_rowid_ TEXT, session_id TEXT, role TEXT, content TEXT)",
        "INSERT INTO messages VALUES ('b', 'x', 'user', 'z'), ('a', 'x', 'user', 'z'), (NULL, 'x', 'user', 'z')",
    ),
    "page size 7": patched(16, b"\x00\x07"),
    "page size 512": patched(16, b"\x02\x00"),
    "page size 65536": patched(16, b"\x00\x01"),
    "format of the future": patched(18, b"\x09\x09"),
    "reserved space": patched(20, b"\xff"),
    "another magic": patched(0, b"SQLite format 4\x00"),
    "encoding 9": patched(56, b"\x00\x00\x00\x09"),
    "utf-16 by the header only": patched(56, b"\x00\x00\x00\x02"),
    "a schema of 10,000 columns": with_schema(
        "messages", f"CREATE TABLE messages ({', '.join(f'c{k}' for k in range(10_000))}, session_id, content)"
    ),
    "a schema that is no SQL": with_schema("messages", "CREATE TABLE messages (((((("),
    "a schema with the page of another table": execute(
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE name = 'sessions')"
        " WHERE name = 'messages'",
    ),
    "a schema with a page that is not there": execute(
        "PRAGMA writable_schema = ON", "UPDATE sqlite_master SET rootpage = 999999 WHERE name = 'messages'"
    ),
}

READABLE: dict[str, Callable[[Path], None]] = {
    "triggers": execute(
        "CREATE TRIGGER evil AFTER INSERT ON messages BEGIN DELETE FROM sessions; END",
    ),
    "a view beside": execute(f"CREATE VIEW other AS {RECURSIVE} FROM n"),
    "a generated column": execute(
        "ALTER TABLE messages ADD COLUMN worse TEXT AS (printf('%.*c', 900000000, 'x')) VIRTUAL"
    ),
    "an index on an expression": execute("CREATE INDEX heavy ON messages (length(content || content))"),
    "a great many columns": execute(*(f"ALTER TABLE messages ADD COLUMN c{k}" for k in some(range(1900), 10))),
    "a text of 30 MB": execute(
        f"INSERT INTO sessions (id, source, started_at) VALUES ('{'e' * 12}', 'webui', 1)",
        "INSERT INTO messages (session_id, role, content, timestamp)"
        f" VALUES ('{'e' * 12}', 'user', printf('%.*c', 30000000, 'x'), 1)",
    ),
    "a freelist that is none": patched(32, b"\0\0\0\x09\0\0\xff\xff"),
    "a change counter of another time": patched(24, b"\xff\xff\xff\xff"),
    "an application id": patched(68, b"evil"),
    "in WAL mode by the header only": patched(18, b"\x02\x02"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_database_that_says_nothing(tmp_path: Path, rescue: Rescue, case: str) -> None:
    hermes = lost_file(tmp_path)
    UNREADABLE[case](hermes.home / "state.db")
    evidence = holds(hermes, rescue)
    # SQLite itself reads past these
    harmless = {"a schema with the page of another table", "utf-16 by the header only", "page size 512", "encoding 9"}
    assert case in harmless or [text for text in evidence if "state.db" in text], evidence


@pytest.mark.parametrize("case", READABLE)
def test_a_database_that_still_says_all(tmp_path: Path, rescue: Rescue, case: str) -> None:
    hermes = sound_home(tmp_path)
    for path in hermes.sessions.glob(f"{SID}*"):
        path.unlink()
    READABLE[case](hermes.home / "state.db")
    holds(hermes, rescue)


BESIDE: dict[str, Callable[[Path], object]] = {
    "fifo": os.mkfifo,
    "garbage": lambda path: path.write_bytes(bytes(k * k % 251 for k in range(9000))),
    "/dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "zero bytes": lambda path: path.write_bytes(bytes(9000)),
    "a header without frames": lambda path: path.write_bytes(b"\x37\x7f\x06\x82" + bytes(28)),
    "empty": lambda path: path.write_bytes(b""),
    "dangling": lambda path: path.symlink_to("nothing"),
    "folder": Path.mkdir,
    "loop": lambda path: path.symlink_to(path.name),
}

AUDITS = """
import sys
from hermes_rescue.core.terminal.commands import main
homes = sys.argv[1:]
for home in homes:
    sys.argv[1:] = ["audit", "--json", "--home", home]
    try:
        main()
    except SystemExit as ended:
        print(home, ended.code, file=sys.stderr)
"""


SUFFIXES, MODES = ("-wal", "-shm", "-journal"), ("delete", "wal")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("mode", MODES)
def test_what_lies_beside_the_database(tmp_path: Path, rescue: Rescue, mode: str, suffix: str) -> None:
    """Audited in a process of its own: SQLite waits for a pipe where no signal of ours gets through."""
    tried = some(BESIDE, 3, first=SUFFIXES.index(suffix) + MODES.index(mode))
    homes = {case: sound_home(tmp_path / str(number)) for number, case in enumerate(tried)}
    for case, hermes in homes.items():
        hermes.live.unlink()
        path = hermes.home / "state.db"
        with closing(sqlite3.connect(path)) as database:
            database.execute(f"PRAGMA journal_mode = {mode}")
        BESIDE[case](path.with_name(path.name + suffix))
    before = everything(tmp_path)
    command = [sys.executable, "-c", AUDITS, *(str(hermes.home) for hermes in homes.values())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3 * BOUND)
    assert done.stderr.splitlines() == [f"{hermes.home} 1" for hermes in homes.values()]
    assert everything(tmp_path) == before
    for case, hermes in homes.items():
        with bounded():
            assert rescue("repair", "--all", "--yes", "--home", hermes.home)[0] in (0, 1), case
        assert transcript(hermes, SID) == SAID, case


def hot_journal(path: Path, super_journal: bytes) -> None:
    """A rollback journal that is to be played back and names a file that SQLite would delete afterwards."""
    pages = path.stat().st_size // 4096
    magic = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
    header = magic + (0).to_bytes(4, "big") + (7).to_bytes(4, "big") + pages.to_bytes(4, "big")
    header += (512).to_bytes(4, "big") + (4096).to_bytes(4, "big")
    tail = (0).to_bytes(4, "big") + super_journal + len(super_journal).to_bytes(4, "big")
    locking_page = (2**30 // 4096 + 1).to_bytes(4, "big")
    tail = locking_page + tail[4:] + (sum(super_journal) & 0xFFFFFFFF).to_bytes(4, "big") + magic
    path.with_name(path.name + "-journal").write_bytes(header.ljust(512, b"\0") + tail)


def test_a_hot_journal_cannot_delete_a_file_elsewhere(tmp_path: Path, rescue: Rescue) -> None:
    hermes = sound_home(tmp_path)
    hermes.live.unlink()
    victim = tmp_path / "victim"
    victim.write_text("something that is dear to somebody")
    hot_journal(hermes.home / "state.db", os.fsencode(victim))
    holds(hermes, rescue)
    assert victim.read_text() == "something that is dear to somebody"


def test_what_sqlite_itself_does_with_that_journal(tmp_path: Path) -> None:
    """The test above tries something real: SQLite, opening the database as anybody does, deletes the file."""
    hermes = sound_home(tmp_path)
    victim = tmp_path / "victim"
    victim.write_text("something that is dear to somebody")
    hot_journal(hermes.home / "state.db", os.fsencode(victim))
    with closing(sqlite3.connect(hermes.home / "state.db")) as database:
        database.execute("SELECT count(*) FROM messages").fetchone()
    assert not victim.exists()


def test_blobs_and_invalid_text_in_rows(tmp_path: Path, rescue: Rescue) -> None:
    hermes = sound_home(tmp_path)
    execute(
        "INSERT INTO sessions (id, source, started_at, title)"
        " VALUES (x'00ff', 'webui', 'never', CAST(x'fffe' AS TEXT))",
        f"INSERT INTO messages (session_id, role, content, timestamp) VALUES ('{SID}', x'75736572', x'ff00fe', x'00')",
        "INSERT INTO messages (session_id, role, content, timestamp)"
        f" VALUES ('{SID}', 'user', CAST(x'61ff62' AS TEXT), {START + 60})",
    )(hermes.home / "state.db")
    run_json(rescue, hermes, "repair", "--all", "--yes")
    assert transcript(hermes, SID) == SAID
    said = hermes.texts()
    assert "a\ufffdb" in said
    assert run_json(rescue, hermes, "repair", "--all", "--yes").get("run") is None
