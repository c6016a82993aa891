"""Names and values made to hurt: of files, of sessions, and in every field of everything that Hermes writes."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.store_audit import Audit
from hermes_rescue.core.hermes.database.statedb_rows import MESSAGE_COLUMNS, SESSION_COLUMNS
from hermes_rescue.core.hermes.sidecar import FIELD_DEFAULTS
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.repair.rebuild_index import ROW_FIELDS

from ..conftest import some
from ..core.conftest import SID, START, Hermes, Value
from .hostile import DELETED, HEALTHY, POSITION_VALUES, POSITIONS, Rescue, bounded, everything, nested, sound_home
from .test_hostile_files import SAID, run_json, transcript

pytestmark = pytest.mark.usefixtures("no_servers")

NAMES = (
    b"../evil",
    b"..",
    b".",
    b"",
    b"/etc/passwd",
    b"a/b",
    b"_hidden",
    b"-rf",
    b"~root",
    b"CON",
    b"nul.txt",
    b"a b",
    b"line\nbreak",
    b"bell\x07",
    b"\x1b[2Jred",
    b"\xff\xfe",
    b"caf\xc3\xa9",
    b"\xe2\x80\xae",
    b"a" * 300,
    b"a" * 181,
    b"%2e%2e%2f",
    b"$(id)",
    b"`id`",
    b"'; DROP TABLE sessions; --",
    b"[bold]x[/]",
    b":smile:",
    b"a\x00b",
    b"\xf0\x9f\x9a\x80",
)
"""What no session is called, except CON and the one that begins with a dash, which a path can hold."""

SAFE = {b"CON", b"-rf"}

VALUES: dict[str, Any] = {
    "a list": [[1], {}],
    "null": None,
    "true": True,
    "a large number": 2**70,
    "a text": "\ud83d\x00\u202e",
    "a fraction": 1e300,
    "a path": "../../evil",
    "a long text": "x" * 100_000,
    "an object": {"a": {"b": 1}},
    "an empty text": "",
    "an empty list": [],
    "deep": json.loads(nested(150)),
    "a number": -7,
}


@pytest.fixture
def evil_place(tmp_path: Path) -> Iterator[Path]:
    """A folder two levels above the sessions in which nobody may write."""
    yield tmp_path
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hermes"]


def healthy(audit: Audit) -> bool:
    return [s.findings for s in audit.sessions if s.session_id == HEALTHY] == [()]


@pytest.mark.parametrize("suffix", [b".json", b".json.bak", b".tmp.77.1403"])
def test_names_of_files(evil_place: Path, rescue: Rescue, suffix: bytes) -> None:
    hermes = sound_home(evil_place)
    folder = os.fsencode(hermes.sessions)
    made = 0
    for name in NAMES:
        path = os.path.join(folder, name + suffix)
        if b"/" not in name and b"\0" not in name and len(name + suffix) <= 255:
            with open(path, "wb") as file:
                file.write(json.dumps(hermes.session(hermes.turns("z"))).encode())
            made += 1
    assert made > 15
    before = everything(hermes.home)
    with bounded():
        audit = hermes.audit()
    assert healthy(audit)
    assert everything(hermes.home) == before
    reported = " ".join(f.evidence for f in audit.findings)
    assert reported.isprintable()
    run_json(rescue, hermes, "repair", "--all", "--yes")
    kept = {name: entry for name, entry in everything(hermes.home).items() if not name.endswith("CON.json")}
    names = {name for name in before if not name.endswith(("CON.json", "_index.json"))}
    assert {name: kept.get(name) for name in names if not name.endswith("-rf.json")} == {
        name: before[name] for name in names if not name.endswith("-rf.json")
    }


@pytest.mark.parametrize(
    ("name", "shown"),
    [(b"line\nbreak", "line\\nbreak"), (b"\xff\xfe", "\\udcff"), (b"a b", "a b.json"), (b"\x1b[2Jred", "\\x1b[2Jred")],
)
def test_a_name_is_told_so_that_it_does_nothing_to_a_screen(evil_place: Path, name: bytes, shown: str) -> None:
    hermes = sound_home(evil_place)
    Path(os.fsdecode(os.path.join(os.fsencode(hermes.sessions), name + b".json"))).write_text("{}")
    assert any(shown in f.evidence and f.evidence.isprintable() for f in hermes.audit().findings)


@pytest.mark.parametrize("place", ["database", "index", "tombstones", "live", "turn journal", "run journal"])
def test_ids(evil_place: Path, rescue: Rescue, place: str) -> None:
    """An id from a file or a row becomes a path only if it is safe; nothing is written anywhere else."""
    hermes = sound_home(evil_place)
    names = [name.decode("utf-8", "replace") for name in NAMES]
    if place == "database":
        for name in names:
            hermes.write_rows(hermes.turns("a"), sid=name, title=name or None)
    elif place == "index":
        hermes.write_index(
            *({"session_id": name, "title": name, "updated_at": START} for name in (*names, SID, HEALTHY))
        )
    elif place == "tombstones":
        POSITIONS[place](hermes).write_text(json.dumps({"version": 1, "ids": [*names, DELETED]}))
    elif place == "live":
        for k, name in enumerate(names):
            (hermes.sessions / f"{k:012x}.json").write_text(json.dumps(hermes.session([], session_id=name)))
    else:
        sound = str(POSITION_VALUES[place])
        POSITIONS[place](hermes).write_text(
            sound + "".join(sound.replace(SID, json.dumps(name)[1:-1]) for name in names)
        )
    sound_files = {path.name for path in hermes.sessions.iterdir()}
    with bounded():
        assert healthy(hermes.audit())
        status, _, err = rescue("repair", "--all", "--yes", "--home", hermes.home)
    assert status in (0, 1), err
    new = {path.name for path in hermes.sessions.iterdir()} - sound_files
    assert new == ({f"{name.decode()}.json" for name in SAFE} if place == "database" else set())
    assert transcript(hermes, SID) == SAID
    for name in some(names, 9):
        assert rescue("show", "--home", hermes.home, "--", name)[0] in (0, 1, 3)
        assert rescue("repair", "--yes", "--home", hermes.home, "--", name)[0] in (0, 1, 3)
        assert rescue("undo", "--yes", "--home", hermes.home, "--", name)[0] == 3
        assert rescue("report", "--home", hermes.home, "--", name)[0] == 3
    assert {path.name for path in hermes.sessions.iterdir()} - sound_files == new


def sessions_with(hermes: Hermes, heads: dict[str, Value], said: list[Value] | None = None) -> None:
    """For each id a live file with these fields and the first half of what its backup holds."""
    whole = hermes.turns("a", "b")
    for sid, head in heads.items():
        both = (("", (said or whole[:2])), (".bak", whole))
        for suffix, messages in both:
            fields = {"session_id": sid, **(head if not suffix else {})}
            value = {**hermes.session(messages, session_id=sid), **fields}
            (hermes.sessions / f"{sid}.json{suffix}").write_text(json.dumps(value, indent=2))


def repair_twice(hermes: Hermes) -> api.Result:
    with bounded(60):
        assert healthy(hermes.audit())
        result = hermes.repair()
        assert api.plan(find_store(home=hermes.home)).is_empty
    assert {o.session_id: o for o in result.outcomes if o.state is not api.State.REPAIRED} == {}
    return result


@pytest.mark.parametrize("value", some(VALUES, 6))
def test_every_field_of_a_sidecar_has_the_wrong_type(tmp_path: Path, rescue: Rescue, value: str) -> None:
    """A session a field: what the backup holds comes back whatever stands in one field of the live file."""
    hermes = sound_home(tmp_path)
    fields = [name for name in FIELD_DEFAULTS if name != "session_id"]
    heads = {f"{k:012x}": {name: VALUES[value]} for k, name in enumerate(fields)}
    sessions_with(hermes, heads)
    rescue("repair", "--all", "--yes", "--home", hermes.home)
    wrong = {next(iter(heads[sid])) for sid in heads if transcript(hermes, sid) != SAID}
    assert wrong <= {"truncation_watermark"}, "only that may be the mark of an undo, and so a question"
    repair_again(hermes)


def repair_again(hermes: Hermes) -> None:
    with bounded(60):
        assert api.plan(find_store(home=hermes.home)).is_empty


@pytest.mark.parametrize("value", some(VALUES, 6))
def test_every_field_of_a_message_has_the_wrong_type(tmp_path: Path, value: str) -> None:
    hermes = sound_home(tmp_path)
    names = (
        "role",
        "content",
        "timestamp",
        "tool_calls",
        "tool_call_id",
        "tool_name",
        "name",
        "reasoning",
        "id",
        "reasoning_content",
        "reasoning_details",
        "finish_reason",
        "attachments",
        "anything else",
    )
    for k, name in enumerate(names):
        odd = {"role": "assistant", "content": "odd", "timestamp": START + 5, name: VALUES[value]}
        calls = {
            "role": "assistant",
            "content": "",
            "timestamp": START + 6,
            "tool_calls": [{"id": VALUES[value], "function": {name: VALUES[value]}}],
        }
        parts = {
            "role": "user",
            "content": [{"type": VALUES[value], "text": VALUES[value]}, VALUES[value]],
            "timestamp": START + 7,
        }
        sessions_with(hermes, {f"{k:012x}": {}}, [odd, calls, parts])
    repair_twice(hermes)
    for k in range(len(names)):
        live = json.loads((hermes.sessions / f"{k:012x}.json").read_bytes())
        assert [said for said in (m.get("content") for m in live["messages"]) if said in SAID] == SAID
        assert (
            len(live["messages"]) == live["message_count"] >= 6
        )  # one that says nothing may be a part of its neighbour


@pytest.mark.parametrize("value", some(VALUES, 6))
def test_every_field_of_an_index_row_has_the_wrong_type(tmp_path: Path, rescue: Rescue, value: str) -> None:
    """With the session files gone, so that the rows are the newest place of their metadata."""
    hermes = sound_home(tmp_path)
    sids = {f"{k:012x}": name for k, name in enumerate(ROW_FIELDS) if name != "session_id"}
    sessions_with(hermes, {sid: {} for sid in sids})
    for sid in sids:
        (hermes.sessions / f"{sid}.json").unlink()
        hermes.write_rows([], sid=sid, title=None)
    rows = [{"session_id": sid, "updated_at": START + 1, name: VALUES[value]} for sid, name in sids.items()]
    hermes.write_index({"session_id": VALUES[value]}, *rows, {"session_id": HEALTHY}, {"session_id": SID})
    repair_twice(hermes)
    assert {name for sid, name in sids.items() if transcript(hermes, sid) != SAID} == set()


@pytest.mark.parametrize("value", some(VALUES, 6))
@pytest.mark.parametrize("place", ["turn journal", "run journal"])
def test_every_field_of_a_journal_line_has_the_wrong_type(
    tmp_path: Path, rescue: Rescue, place: str, value: str
) -> None:
    hermes = sound_home(tmp_path)
    hermes.live.unlink()
    path = POSITIONS[place](hermes)
    sound = [json.loads(line) for line in path.read_text().splitlines()]
    odd = [{**event, name: VALUES[value]} for event in sound for name in (*event, "attachments", "workspace", "model")]
    for event in sound:
        if isinstance(event.get("payload"), dict) and isinstance(event["payload"].get("session"), dict):
            session = event["payload"]["session"]
            odd += [{**event, "payload": {"session": {**session, name: VALUES[value]}}} for name in session]
    path.write_text("".join(json.dumps(event) + "\n" for event in (*odd, *sound)))
    with bounded(30):
        assert healthy(hermes.audit())
        assert rescue("repair", "--all", "--yes", "--home", hermes.home)[0] in (0, 1)
    assert transcript(hermes, SID) == SAID


SQL_VALUES: dict[str, Any] = {
    "null": None,
    "a number": -7,
    "a fraction": 1e300,
    "a blob": b"\xff\x00\xfe",
    "an empty text": "",
    "a path": "../../evil",
    "a text": "\x00\u202e",
    "a long blob": bytes(100_000),
    "json": '\x00json:[{"type": "text", "text": 7}, 8]',
    "deep": nested(100_000),
}


@pytest.mark.parametrize("value", some(SQL_VALUES, 4))
@pytest.mark.parametrize("table", ["sessions", "messages"])
def test_every_column_has_the_wrong_type(tmp_path: Path, rescue: Rescue, table: str, value: str) -> None:
    """A session a column, in a database without constraints that has every column that any version had."""
    hermes = sound_home(tmp_path)
    columns = sorted(SESSION_COLUMNS if table == "sessions" else MESSAGE_COLUMNS)
    sids = {f"{k:012x}": name for k, name in enumerate(columns)}
    sessions_with(hermes, {sid: {} for sid in sids})
    (hermes.home / "state.db").unlink()
    with closing(sqlite3.connect(hermes.home / "state.db")) as database:
        database.execute(f"CREATE TABLE sessions ({', '.join(sorted(SESSION_COLUMNS))})")
        database.execute(f"CREATE TABLE messages ({', '.join(sorted(MESSAGE_COLUMNS))})")
        for sid, name in sids.items():
            row = {"id": sid, "source": "webui", "started_at": START}
            insert(database, "sessions", {**row, name: SQL_VALUES[value]} if table == "sessions" else row)
            for said in hermes.turns("a", "b"):
                line = {"session_id": sid, **said, "timestamp": said["timestamp"] + 1}
                insert(database, "messages", {**line, name: SQL_VALUES[value]} if table == "messages" else line)
        # invalid UTF-8 in a text, which no parameter can be
        database.execute("UPDATE sessions SET user_id = CAST(x'ff61fe' AS TEXT)")
        database.commit()
    with bounded(60):
        assert healthy(hermes.audit())
        assert rescue("repair", "--all", "--yes", "--home", hermes.home)[0] in (0, 1)
    wrong = {name for sid, name in sids.items() if transcript(hermes, sid) != SAID}
    # what has no text, or another time, is another message, and comes back beside the one that it was
    assert wrong <= {"content", "timestamp"}
    for name in wrong:
        back = transcript(hermes, next(sid for sid in sids if sids[sid] == name))
        assert back is not None
        assert ({*back} == {*SAID} and back[-4:] == SAID) or back[:4] == SAID
    repair_again(hermes)


def insert(database: sqlite3.Connection, table: str, values: Value) -> None:
    places = ", ".join("?" * len(values))
    database.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})", list(values.values()))
