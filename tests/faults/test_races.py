"""Somebody else writes at the same time: whatever lands when, no save of either side is lost."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.base import files
from hermes_rescue.core.demo.demo_store import SCHEMA
from hermes_rescue.core.hermes.sidecar import FIELD_DEFAULTS
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.repair import vault
from hermes_rescue.core.repair.outcomes import State
from hermes_rescue.core.repair.run_record import Operation
from hermes_rescue.core.repair.vault import Vault

from ..conftest import LONG
from .stage import command
from .webui import WebUI, webui_process

COLLISIONS = 1_000 if LONG else 8
"""How many saves must have come in between the plan and the replacement of a session before the storm ends."""

COMMAND = Path(sys.executable).with_name("hermes-rescue")
SIDS = [f"{number:012x}" for number in range(0xA00, 0xA18)]
SID = SIDS[0]


def rescue(home: Path, *arguments: str) -> tuple[int, Any, str]:
    """The real command in a process of its own: its exit status, its JSON and what it says on stderr."""
    ended = command(*arguments, "--home", home, "--json")
    return ended.status, json.loads(ended.out) if ended.out else None, ended.err


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Sessions that a stale save has halved; their backups have all of it."""
    sessions = tmp_path / "hermes" / "webui" / "sessions"
    sessions.mkdir(parents=True)
    for sid in SIDS:
        messages = [
            {"role": ("user", "assistant")[k % 2], "content": f"<{sid} began {k}>", "timestamp": 1_777_000_000.0 + k}
            for k in range(12)
        ]
        for name, held in ((f"{sid}.json.bak", messages), (f"{sid}.json", messages[:6])):
            fields = {"session_id": sid, "title": sid, "workspace": "/srv", "updated_at": 1_777_000_100.0}
            session = {**FIELD_DEFAULTS, **fields, "message_count": len(held), "messages": held}
            (sessions / name).write_text(json.dumps(session, indent=2))
    return tmp_path / "hermes"


def left(home: Path, sid: str) -> str:
    """Everything that is left of a session: its file, its backup, and what the vault keeps."""
    found = [path.read_bytes() for path in (home / "webui" / "sessions").glob(f"{sid}.*")]
    for path in (home / "webui" / "rescue").rglob("files/*"):
        found += [data] if sid.encode() in (data := path.read_bytes()) else []
    return b"".join(found).decode()


# --- saves --------------------------------------------------------------------------------------------------------


def test_no_save_is_lost_in_a_storm_of_repairs_and_undos(home: Path) -> None:
    """Saves are aimed: they come when a repair or an undo has its new file ready beside the old one."""
    found: Counter[str] = Counter()
    turn = 0
    with webui_process(home) as webui:
        webui.begin("storm", 4)
        while found["skipped"] < COLLISIONS or not found["put back"]:
            turn += 1
            assert turn < 1_000, f"the saves never met a repair: {found}"
            status, result, said = rescue(home, "repair", "--all", "--yes")
            assert status in (0, 1), said
            found.update(outcome["state"] for outcome in result.get("sessions", ()))
            if turn % 2:
                status, result, said = rescue(home, "undo", "--yes")
                assert status in (0, 1), said
                found.update({"put back": len(result["undone"]), "not put back": len(result["refused"])})
        account = webui.end()
    found["came out of an exchange"] = len(list((home / "webui" / "rescue").rglob("files/*.*")))
    found["saves"] = sum(map(len, account["saved"].values()))
    print(dict(found), account["aimed"])
    for sid in SIDS:
        wanted = [*(f"<{sid} began {k}>" for k in range(12)), *account["saved"].get(sid, ())]
        there = left(home, sid)
        assert [text for text in wanted if text not in there] == []
    assert not [name for name in os.listdir(home / "webui" / "sessions") if ".tmp." in name]
    assert found["repaired"]


def test_a_save_is_kept_although_what_stood_there_for_a_moment_was_read(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A save lands right before the exchange, and the WebUI reads the longer file that stands there right after it:
    what it saves next does not have the first save."""
    webui = WebUI(home)
    real = files._exchange
    said: list[str] = []

    def exchange(one: Path, other: Path) -> None:
        meet = other.name == f"{SID}.json" and not said
        if meet:
            said.append(webui.say(SID))
        real(one, other)
        if meet:
            said.append(webui.say(SID))

    monkeypatch.setattr(files, "_exchange", exchange)
    outcome = api.apply(api.plan(find_store(home=home), [SID])).outcomes[0]
    assert outcome.state is State.SKIPPED
    assert len(said) == 2
    assert said[0] not in (home / "webui" / "sessions" / f"{SID}.json").read_text()
    assert [text for text in said if text not in left(home, SID)] == []


def test_a_backup_is_kept_although_a_newer_one_came_while_it_was_away(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = find_store(home=home)
    backup = store.sessions_dir / f"{SID}.json.bak"
    first, second = b'{"first": 1}', b'{"second": 2}'
    real = os.rename

    def rename(one: Path, other: Path) -> None:
        if one == backup:
            backup.write_bytes(first)
        real(one, other)
        if one == backup:
            backup.write_bytes(second)

    with Vault.of(store).begin_run((), 0) as run:
        expected = files.digest_of(backup.read_bytes())
        monkeypatch.setattr(os, "rename", rename)
        assert run.remove(SID, backup.name, expected).state == "skipped"
    assert backup.read_bytes() == second
    assert first in [path.read_bytes() for path in store.vault_root.rglob("files/*")]


def test_a_save_right_after_the_repair_is_not_called_a_rollback(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    webui = WebUI(home)
    webui.get(SID)
    real = vault.ActiveRun.replace
    said: list[str] = []

    def replace(*arguments: Any, **options: Any) -> Operation:
        done = real(*arguments, **options)
        said.append(webui.say(SID))
        return done

    monkeypatch.setattr(vault.ActiveRun, "replace", replace)
    outcome = api.apply(api.plan(find_store(home=home), [SID])).outcomes[0]
    assert outcome.state is State.SKIPPED
    assert "saved" in outcome.reason
    assert said[0] in (home / "webui" / "sessions" / f"{SID}.json").read_text()


# --- more than one Hermes Rescue -------------------------------------------------------------------------------------


BUSY = "Another Hermes Rescue is working on this store. Wait until it is done."


def starting(home: Path, *arguments: str) -> subprocess.Popen[str]:
    words = [str(COMMAND), *arguments, "--home", str(home), "--json"]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def messages(home: Path, sid: str) -> list[str]:
    loaded = json.loads((home / "webui" / "sessions" / f"{sid}.json").read_bytes())
    return [message["content"] for message in loaded["messages"]]


def without_process(said: str) -> str:
    return re.sub(r" \(process \d+\)", "", said)


def test_two_repairs_at_once_repair_each_session_once(home: Path) -> None:
    with starting(home, "repair", "--all", "--yes") as one, starting(home, "repair", "--all", "--yes") as other:
        ended = [(*each.communicate(timeout=120), each.returncode) for each in (one, other)]
    repaired: list[str] = []
    for out, said, status in ended:
        if status == 3:
            assert without_process(said) == f"hermes-rescue: {BUSY}\n"
        else:
            assert status in (0, 1), said
            outcomes = json.loads(out).get("sessions", [])
            repaired += [each["session_id"] for each in outcomes if each["state"] == "repaired"]
    assert sorted(repaired) == SIDS
    for sid in SIDS:
        assert messages(home, sid) == [f"<{sid} began {k}>" for k in range(12)]
    runs = Vault.of(find_store(home=home)).list_runs()
    done = [each.session_id for run in runs for each in run.operations if each.session_id and each.state == "done"]
    assert sorted(done) == SIDS


def test_a_repair_and_an_undo_wait_for_one_that_works(home: Path) -> None:
    store = find_store(home=home)
    assert rescue(home, "repair", SID, "--yes")[0] == 0
    before = left(home, SID)
    with Vault.of(store).lock():
        for words in (("repair", "--all", "--yes"), ("undo", "--yes")):
            status, result, said = rescue(home, *words)
            assert (status, result, without_process(said)) == (3, None, f"hermes-rescue: {BUSY}\n")
    assert left(home, SID) == before
    assert rescue(home, "undo", "--yes")[1]["undone"] == [SID]


# --- the database --------------------------------------------------------------------------------------------------

AGENT = """
import select, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
database.execute("PRAGMA wal_autocheckpoint = 20")
print("begun", flush=True)
number = written = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    database.execute("BEGIN IMMEDIATE")
    for sid in sys.argv[2:]:
        if number % 50 == 0:
            row = (sid, ("user", "assistant")[written % 2], f"<{sid} row {written}>", 1_777_001_000.0 + written)
            database.execute("INSERT INTO messages (session_id, role, content, timestamp) VALUES (?, ?, ?, ?)", row)
        database.execute("UPDATE sessions SET input_tokens = ? WHERE id = ?", (number, sid))
    database.execute("COMMIT")
    written += number % 50 == 0
    number += 1
print(written)
"""

HOLDER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA locking_mode = EXCLUSIVE")
database.execute("BEGIN EXCLUSIVE")
database.execute("INSERT INTO messages (session_id, role, content, timestamp) VALUES ('x', 'user', '', 1.0)")
print("begun", flush=True)
sys.stdin.read()
"""


@contextmanager
def beside(code: str, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has begun its work, and ends with its stdin."""
    program = [sys.executable, "-c", code, *map(str, arguments)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        yield process
        process.stdin.close()


@pytest.fixture
def database(home: Path) -> Path:
    """The agent's database, which knows the first four sessions; of two of them it is all that is left."""
    path = home / "state.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(SCHEMA)
        for sid in SIDS[:4]:
            database.execute("INSERT INTO sessions (id, source, started_at) VALUES (?, 'webui', 1777000000.0)", (sid,))
        database.commit()
    for sid in SIDS[:2]:
        for name in (f"{sid}.json", f"{sid}.json.bak"):
            (home / "webui" / "sessions" / name).unlink()
    return path


def test_a_database_that_is_written_to_all_the_time_is_read_as_it_is_at_one_moment(home: Path, database: Path) -> None:
    """Rows come in while the command audits and repairs: what it restores is a beginning of them without a hole."""
    sids = SIDS[:4]
    with beside(AGENT, database, *sids) as agent:
        for _ in range(3 if LONG else 2):
            status, found, said = rescue(home, "audit")
            assert status in (0, 1), said
            assert "state_db_unreadable" not in [item["kind"] for item in found["items"]]
            status, _, said = rescue(home, "repair", "--all", "--yes")
            assert status in (0, 1), said
            for sid in sids:
                path = home / "webui" / "sessions" / f"{sid}.json"
                rows = [text for text in messages(home, sid) if " row " in text] if path.exists() else []
                assert rows == [f"<{sid} row {k}>" for k in range(len(rows))]
        assert agent.stdin is not None and agent.stdout is not None
        agent.stdin.close()
        written = int(agent.stdout.readline())
    assert rescue(home, "repair", "--all", "--yes")[0] == 0
    for sid in sids:
        assert [text for text in messages(home, sid) if " row " in text] == [f"<{sid} row {k}>" for k in range(written)]
    with closing(sqlite3.connect(database)) as opened:
        assert opened.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert opened.execute("SELECT count(*) FROM messages").fetchone() == (written * len(sids),)


def test_a_database_that_is_held_is_unknown_and_not_absent(home: Path, database: Path) -> None:
    sessions = home / "webui" / "sessions"
    orphan = SIDS[5]  # no row knows it, but while the database is held nobody can say so
    (sessions / f"{orphan}.json").unlink()
    with beside(HOLDER, database):
        status, found, _ = rescue(home, "audit")
        kinds = {item["kind"]: item for item in found["items"] if item["session_id"] in (None, orphan, *SIDS[:2])}
        assert status == 1
        assert kinds["state_db_unreadable"]["state"] == "locked"
        assert "state_db_missing_sidecar" not in kinds
        assert "orphan_backup_without_state_row" not in kinds
        assert rescue(home, "repair", "--all", "--yes")[0] == 0
        assert not [sid for sid in SIDS[:2] if (sessions / f"{sid}.json").exists()]
        for sid in SIDS[2:]:
            assert messages(home, sid) == [f"<{sid} began {k}>" for k in range(12)]
    status, found, _ = rescue(home, "audit")
    assert "state_db_unreadable" not in [item["kind"] for item in found["items"]]
