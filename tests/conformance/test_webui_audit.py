"""What the WebUI's own audit reports of a store, told from the facts.

With ``HERMES_WEBUI_TREE`` (a checkout of Hermes WebUI, and ``HERMES_WEBUI_PYTHON`` where this Python lacks what it
imports) the real audit is asked about the same stores.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core.demo.demo_store import SCHEMA, make_demo_store
from hermes_rescue.core.hermes import sidecar
from hermes_rescue.core.hermes.webui_recovery import (
    RecoveryFacts,
    RecoveryItem,
    file_facts,
    open_prompts,
    recovery_items,
)

TREE = os.environ.get("HERMES_WEBUI_TREE")
PYTHON = os.environ.get("HERMES_WEBUI_PYTHON", sys.executable)

ASK = """
import json, sys
from pathlib import Path
import api.models
from api.session_recovery import audit_session_recovery, recover_all_sessions_on_startup
home = Path(sys.argv[1])
report = audit_session_recovery(home / "webui/sessions", state_db_path=home / "state.db")
restored = recover_all_sessions_on_startup(home / "webui/sessions", state_db_path=home / "state.db")["details"]
print("REPORT" + json.dumps([report, [each["session_id"] for each in restored]]))
"""

SHRINK, OTHER_SHRINK = "f3ece896034044d595d19fdba191bbac", "0c2f9a1be7d34c5f8a6b7c8d9e0f1a2b"
CLEAR = "419b3d535343911761a19ef3e1e41582"
SUMMARY = {"role": "user", "content": "[CONTEXT COMPACTION] What was said before."}
NEVER_ENDED = [{"event": "submitted", "role": "user", "content": "and now?", "turn_id": "t1", "created_at": 5.0}]
STARTED = [*NEVER_ENDED, {"event": "worker_started", "turn_id": "t1", "created_at": 6.0}]
ENDED = [*NEVER_ENDED, {"event": "interrupted", "content": "and now?", "turn_id": "t1", "created_at": 6.0}]

Value = dict[str, Any]
Rescue = Callable[..., tuple[int, str, str]]


def said(count: int) -> list[Value]:
    return [{"role": "assistant" if k % 2 else "user", "content": f"text {k}"} for k in range(count)]


def session(count: int, **fields: Any) -> bytes:
    return json.dumps({"session_id": "s", "title": "Notes", **fields, "messages": said(count)}).encode()


def cleared(count: int, **fields: Any) -> bytes:
    idle = dict.fromkeys(("active_stream_id", "pending_user_message", "pending_started_at", "pending_user_source"))
    marks = {"truncation_watermark": 0.0, "truncation_boundary": 0.0, "clear_generation": CLEAR}
    return session(count, **{**idle, "pending_attachments": [], "context_messages": [], **marks, **fields})


@dataclass(frozen=True)
class Case:
    """One session: what lies there, and what the WebUI's audit has for it. ``row``: its source and message rows."""

    items: tuple[RecoveryItem, ...]
    live: bytes | None = None
    backup: bytes | None = None
    row: tuple[str, int] | None = None
    listed: bool = True
    deleted: bool = False
    journal: tuple[Value, ...] = ()
    active: int = 1


def shrunken(live: int, backup: int) -> tuple[RecoveryItem, ...]:
    return (RecoveryItem("shrunken_live", live, backup),)


MANUAL = {"compression_anchor_mode": "manual"}
LOST_ROW = RecoveryItem("state_db_missing_sidecar")
NO_FILE = RecoveryItem("index_missing_file")
PENDING = RecoveryItem("turn_journal_pending_turn", 2)

CASES: Mapping[str, Case] = {
    "healthy": Case((), session(4), row=("webui", 4)),
    "grown": Case((), session(6), session(4)),
    "as_many": Case((), session(4), session(4)),
    "wiped": Case(shrunken(0, 4), session(0), session(4)),
    "nan": Case(shrunken(2, 4), session(2, estimated_cost=float("nan")), session(4)),
    "no_workspace": Case((), session(4, workspace=None), session(4)),
    "torn": Case(shrunken(-1, 4), session(8)[:-20], session(4)),
    "empty": Case(shrunken(-1, 0), b"", session(0)),
    "empty_alone": Case((), b""),
    "bom": Case(shrunken(-1, 2), b"\xef\xbb\xbf" + session(8), session(2)),
    "latin": Case(shrunken(-1, 2), session(8).replace(b"Notes", b"N\xf6tes"), session(2)),
    "control": Case(shrunken(-1, 2), session(8).replace(b"Notes", b"No\ntes"), session(2)),
    "trailing": Case(shrunken(-1, 2), session(8) + b"}", session(2)),
    "no_list": Case(shrunken(-1, 2), b'{"session_id": "no_list"}', session(2)),
    "torn_backup": Case((), session(2), session(4)[:-20]),
    "both_torn": Case((), session(2)[:-20], session(4)[:-20]),
    "undone": Case((), session(2, intentional_shrink_generation=SHRINK), session(4)),
    "undone_null": Case(
        (), session(2, intentional_shrink_generation=SHRINK), session(4, intentional_shrink_generation=None)
    ),
    "undone_twice": Case(
        (), session(2, intentional_shrink_generation=SHRINK), session(4, intentional_shrink_generation=OTHER_SHRINK)
    ),
    "undone_then_wiped": Case(
        shrunken(0, 4),
        session(0, intentional_shrink_generation=SHRINK),
        session(4, intentional_shrink_generation=SHRINK),
    ),
    "malformed": Case(shrunken(2, 4), session(2, intentional_shrink_generation=SHRINK.upper()), session(4)),
    "malformed_backup": Case(
        shrunken(2, 4), session(2, intentional_shrink_generation=SHRINK), session(4, intentional_shrink_generation="x")
    ),
    "only_times": Case(shrunken(2, 4), session(2, truncation_watermark=7.0, truncation_boundary=7.0), session(4)),
    "cleared": Case((), cleared(0), session(4)),
    "cleared_gone_on": Case((), cleared(2), session(4)),
    "cleared_then_wiped": Case(shrunken(2, 4), cleared(2), cleared(4)),
    "cleared_moved": Case(shrunken(2, 4), cleared(2, truncation_watermark=9.0), session(4)),
    "cleared_pending": Case(shrunken(0, 4), cleared(0, pending_user_message="more"), session(4)),
    "compressed": Case((), session(2, **MANUAL, context_messages=[SUMMARY]), session(4, context_messages=said(4))),
    "compressed_old": Case(
        (),
        session(2, context_messages=[SUMMARY], compression_anchor_summary="So far", compression_anchor_message_key={}),
        session(4, context_messages=said(4)),
    ),
    "compressed_times": Case(
        (), session(2, context_messages=[SUMMARY], truncation_watermark=7.0), session(4, context_messages=said(4))
    ),
    "not_anchored": Case(shrunken(2, 4), session(2, context_messages=[SUMMARY]), session(4, context_messages=said(4))),
    "compressed_then_wiped": Case(
        shrunken(2, 4),
        session(2, **MANUAL, context_messages=[SUMMARY]),
        session(4, **MANUAL, context_messages=[SUMMARY, *said(4)]),
    ),
    "compressed_no_context": Case(shrunken(2, 4), session(2, **MANUAL), session(4)),
    "orphan": Case((RecoveryItem("orphan_backup", -1, 4), NO_FILE, LOST_ROW), backup=session(4), row=("webui", 4)),
    "orphan_cli": Case((RecoveryItem("orphan_backup", -1, 4), NO_FILE), backup=session(4), row=("cli", 4)),
    "orphan_no_row": Case((RecoveryItem("orphan_backup_without_state_row", -1, 4),), backup=session(4), listed=False),
    "orphan_torn": Case((RecoveryItem("malformed_orphan_backup"), NO_FILE), backup=session(4)[:-20]),
    "orphan_deleted": Case(
        (RecoveryItem("state_db_deleted_webui_tombstone", -1, 4),), backup=session(4), row=("webui", 4), deleted=True
    ),
    "deleted": Case((RecoveryItem("state_db_deleted_webui_tombstone"),), row=("webui", 4), deleted=True),
    "deleted_torn": Case(
        (RecoveryItem("malformed_orphan_backup"), RecoveryItem("state_db_deleted_webui_tombstone")),
        backup=session(4)[:-20],
        row=("webui", 0),
        deleted=True,
    ),
    "deleted_came_back": Case((), session(4), deleted=True),
    "lost": Case((NO_FILE, LOST_ROW), row=("webui", 4)),
    "lost_rewound": Case((LOST_ROW,), row=("webui", 4), active=0, listed=False),
    "lost_empty": Case((RecoveryItem("state_db_orphan_webui_row"),), row=("webui", 0), listed=False),
    "lost_gateway": Case((), row=("api_server", 4), listed=False),
    "listed_only": Case((NO_FILE,)),
    "unlisted": Case((RecoveryItem("index_missing_entry", 4),), session(4), listed=False),
    "a copy (2)": Case((RecoveryItem("index_missing_entry", 4),), session(4), listed=False),
    "pending": Case((PENDING,), session(2), journal=tuple(NEVER_ENDED)),
    "pending_wiped": Case(
        (*shrunken(-1, 2), PENDING._replace(live_messages=-1)), b"", session(2), journal=tuple(NEVER_ENDED)
    ),
    "pending_lost": Case((NO_FILE, PENDING._replace(live_messages=-1)), journal=tuple(NEVER_ENDED)),
    "started": Case((), session(2), journal=tuple(STARTED)),
    "ended": Case((), session(2), journal=tuple(ENDED)),
    "answered": Case((), session(2), journal=({**NEVER_ENDED[0], "content": " text 0 "},)),
}


def write_case(home: Path, name: str, case: Case) -> None:
    folder = home / "webui" / "sessions"
    for suffix, data in ((".json", case.live), (".json.bak", case.backup)):
        if data is not None:
            (folder / f"{name}{suffix}").write_bytes(data)
    if case.journal:
        lines = "".join(json.dumps({**event, "session_id": name}) + "\n" for event in case.journal)
        (folder / "_turn_journal" / f"{name}~77.jsonl").write_text(lines, "utf-8")


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hermes home with every case in it, which no test may change."""
    home = tmp_path_factory.mktemp("cases")
    folder = home / "webui" / "sessions"
    (folder / "_turn_journal").mkdir(parents=True)
    with closing(sqlite3.connect(home / "state.db")) as database:
        database.executescript(SCHEMA)
        for name, case in CASES.items():
            write_case(home, name, case)
            source, count = case.row or ("", 0)
            if case.row:
                database.execute("INSERT INTO sessions (id, source, started_at) VALUES (?, ?, 1.0)", (name, source))
            for k in range(count):
                values = (name, f"text {k}", 1.0 + k, case.active)
                database.execute(
                    "INSERT INTO messages (session_id, role, content, timestamp, active) VALUES (?, 'user', ?, ?, ?)",
                    values,
                )
        database.commit()
    deleted = [name for name, case in CASES.items() if case.deleted]
    (folder / "_deleted_webui_sessions.json").write_text(json.dumps({"version": 1, "ids": deleted}), "utf-8")
    index = [{"session_id": name} for name, case in CASES.items() if case.listed]
    (folder / "_index.json").write_text(json.dumps(index), "utf-8")
    return home


@pytest.fixture(scope="module")
def case_facts(cases: Path) -> dict[str, RecoveryFacts]:
    return facts_of(cases)


@pytest.fixture
def home(cases: Path, tmp_path: Path) -> Path:
    """A private copy of that home."""
    return Path(shutil.copytree(cases, tmp_path / "home"))


def facts_of(home: Path) -> dict[str, RecoveryFacts]:
    """The facts of every name in a home, read straight from the disk."""
    folder = home / "webui" / "sessions"
    names = {path.name.removesuffix(".json") for path in folder.glob("*.json")}
    names |= {path.name.removesuffix(".json.bak") for path in folder.glob("*.json.bak")}
    events = dict(journals(folder))
    index = index_ids(folder)
    rows, messages = rows_of(home / "state.db")
    deleted = json_of(folder / "_deleted_webui_sessions.json")
    tombstones = set(deleted["ids"]) if isinstance(deleted, dict) else set()
    found = {}
    for name in sorted({name for name in names if not name.startswith("_")} | {*(index or ()), *messages, *events}):
        path, backup = folder / f"{name}.json", folder / f"{name}.json.bak"
        found[name] = RecoveryFacts(
            file_facts(
                sidecar.read(path).sidecar if path.exists() else None,
                sidecar.read(backup).sidecar if backup.exists() else None,
                open_prompts(events.get(name, ())),
            ),
            path.exists(),
            backup.exists(),
            None if rows is None else name in rows,
            messages.get(name),
            name in tombstones,
            None if index is None else name in index,
        )
    return found


def journals(folder: Path) -> Iterator[tuple[str, list[Value]]]:
    paths = sorted((folder / "_turn_journal").glob("*.jsonl"))
    for name in {path.stem.split("~")[0] for path in paths}:
        lines = [line for path in paths if path.stem.split("~")[0] == name for line in path.read_text().splitlines()]
        events = [event for line in lines if isinstance(event := parsed(line), dict)]
        yield name, sorted(events, key=lambda event: event["created_at"])


def index_ids(folder: Path) -> set[str] | None:
    if not (folder / "_index.json").exists():
        return None
    index = json_of(folder / "_index.json")
    return {row["session_id"] for row in index} if isinstance(index, list) else set()


def json_of(path: Path) -> Any:
    return parsed(path.read_text("utf-8")) if path.exists() else None


def parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def rows_of(path: Path) -> tuple[set[str] | None, dict[str, bool]]:
    """The ids of all session rows, and of the WebUI's whether they have message rows."""
    if not path.exists():
        return None, {}
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        try:
            ids = {row[0] for row in database.execute("SELECT id FROM sessions")}
            counted = database.execute(
                "SELECT id, (SELECT count(*) FROM messages WHERE session_id = sessions.id) "
                "FROM sessions WHERE source = 'webui'"
            )
            return ids, {name: count > 0 for name, count in counted}
        except sqlite3.DatabaseError:
            return None, {}


def real_audit(home: Path) -> tuple[Value, list[str]]:
    """What the real WebUI reports of a home, and which sessions it restores there when it starts. Skips without it."""
    if TREE is None:
        pytest.skip("HERMES_WEBUI_TREE names no checkout of Hermes WebUI")
    state = home.parent / "real"
    environment = {**os.environ, "HERMES_HOME": str(state), "PYTHONPATH": TREE, "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run([PYTHON, "-c", ASK, home], capture_output=True, text=True, env=environment, check=False)
    if "REPORT" not in run.stdout:
        pytest.skip(f"the WebUI cannot be imported here: {run.stderr[-200:]}")
    report, restored = json.loads(run.stdout.partition("REPORT")[2])
    return report, restored


def items_of(report: Value) -> set[tuple[str, RecoveryItem]]:
    keys = ("kind", "live_messages", "bak_messages")
    return {(item["session_id"], RecoveryItem(*(item[key] for key in keys))) for item in report["items"]}


@pytest.mark.parametrize("name", CASES)
def test_a_session_has_the_items_of_the_webui(case_facts: dict[str, RecoveryFacts], name: str) -> None:
    assert recovery_items(case_facts.get(name, RecoveryFacts())) == CASES[name].items


def test_the_real_webui_reports_the_same_of_every_case(home: Path) -> None:
    report, restored = real_audit(home)
    assert items_of(report) == {(name, item) for name, case in CASES.items() for item in case.items}
    assert report["summary"]["ok"] == sum(case.live is not None for case in CASES.values())
    replaced = {name for name in restored if CASES[name].live is not None}
    assert replaced == {name for name, case in CASES.items() if "shrunken_live" in {item.kind for item in case.items}}


@pytest.mark.parametrize("damage", ["{", "{}", None])
def test_without_a_session_list_or_with_a_broken_one(home: Path, damage: str | None) -> None:
    index = home / "webui" / "sessions" / "_index.json"
    index.unlink() if damage is None else index.write_text(damage, "utf-8")
    found = {name: recovery_items(each) for name, each in facts_of(home).items()}
    listed = {name for name, items in found.items() if "index_missing_entry" in {item.kind for item in items}}
    assert listed == ({name for name, case in CASES.items() if case.live is not None} if damage else set())
    report, _ = real_audit(home)
    assert items_of(report) == {(name, item) for name, items in found.items() for item in items}


@pytest.mark.parametrize("name", ["demo", "a", "b", "c"])
def test_the_real_webui_reports_the_same_of_whole_stores(
    corpus: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    home = make_demo_store(tmp_path / "demo").home if name == "demo" else corpus(name) / "store"
    facts = facts_of(home)
    report, restored = real_audit(home)
    assert items_of(report) == {(sid, item) for sid, each in facts.items() for item in recovery_items(each)}
    replaced = {sid for sid, each in facts.items() if each.live_exists and each.files.is_replaced}
    assert {sid for sid in restored if facts[sid].live_exists} == replaced


@pytest.mark.parametrize("name", ["cases", "demo", "a", "b", "c"])
def test_audit_json_has_an_item_wherever_the_webui_has_one(
    request: pytest.FixtureRequest, rescue: Rescue, tmp_path: Path, name: str
) -> None:
    if name == "cases":
        home = request.getfixturevalue("home")
    elif name == "demo":
        home = make_demo_store(tmp_path / "demo").home
    else:
        home = request.getfixturevalue("corpus")(name) / "store"
    _, out, _ = rescue("audit", "--json", "--home", home)
    report = json.loads(out)
    ours = {(item["session_id"], item["kind"]) for item in report["items"]}
    theirs = {(sid, item.kind) for sid, each in facts_of(home).items() for item in recovery_items(each)}
    assert theirs - ours == set()
    files = [path for path in (home / "webui" / "sessions").glob("*.json") if not path.name.startswith("_")]
    assert report["summary"]["ok"] == len(files)


def test_what_only_the_webui_reports_is_a_note_and_changes_no_session(home: Path, rescue: Rescue) -> None:
    report = json.loads(rescue("audit", "--json", "--home", home)[1])
    added = [item for item in report["items"] if item.get("webui")]
    assert {item["category"] for item in added} == {"info"}
    assert all(item["evidence"] and item["recommendation"] for item in added)
    own = {(item["session_id"], item["kind"]) for item in report["items"] if not item.get("webui")}
    assert own.isdisjoint((item["session_id"], item["kind"]) for item in added)
    told = {session["session_id"] for session in report["sessions"] if session["category"] == "healthy"}
    assert told.isdisjoint(session_id for session_id, _ in own)


def test_names_that_are_no_session_ids_have_their_items_too(tmp_path: Path, rescue: Rescue) -> None:
    folder = tmp_path / "webui" / "sessions"
    (folder / "_turn_journal").mkdir(parents=True)
    (folder / "a copy (2).json").write_bytes(session(2))
    (folder / "a copy (2).json.bak").write_bytes(session(4))
    (folder / "lost one.json.bak").write_bytes(session(4))
    (folder / ".hidden.json").write_bytes(b"")
    (folder / "folder.json").mkdir()
    (folder / "notes.json").write_bytes(b"[1, 2]")
    (folder / "link.json").symlink_to("notes.json")
    event = {**NEVER_ENDED[0], "session_id": "a.dot"}
    (folder / "_turn_journal" / "a.dot~77.jsonl").write_text(json.dumps(event), "utf-8")
    (folder / "_index.json").write_text(json.dumps([{"session_id": "gone away"}, {"session_id": None}, 7]), "utf-8")
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        database.executescript(SCHEMA)
        database.execute("INSERT INTO sessions (id, source, started_at) VALUES ('../evil', 'webui', 1.0)")
        database.commit()
    report = json.loads(rescue("audit", "--json", "--home", tmp_path)[1])
    items = {(item["session_id"], item["kind"]) for item in report["items"]}
    unlisted = ("a copy (2)", ".hidden", "folder", "notes", "link")
    assert items >= {
        ("a copy (2)", "shrunken_live"),
        ("lost one", "orphan_backup_without_state_row"),
        ("gone away", "index_missing_file"),
        ("../evil", "state_db_orphan_webui_row"),
        ("a.dot", "turn_journal_pending_turn"),
        *((name, "index_missing_entry") for name in unlisted),
    }
    assert report["summary"]["ok"] == len(unlisted)


def test_only_the_database_of_the_active_profile_counts(tmp_path: Path, rescue: Rescue) -> None:
    folder = tmp_path / "webui" / "sessions"
    folder.mkdir(parents=True)
    (folder / "s.json.bak").write_bytes(session(4))
    for place, row in ((tmp_path, "other"), (tmp_path / "profiles" / "work", "s")):
        place.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(place / "state.db")) as database:
            database.executescript(SCHEMA)
            database.execute("INSERT INTO sessions (id, source, started_at) VALUES (?, 'webui', 1.0)", (row,))
            database.commit()
    report = json.loads(rescue("audit", "--json", "--home", tmp_path)[1])
    items = {(item["session_id"], item["kind"]) for item in report["items"]}
    assert ("s", "orphan_backup_without_state_row") in items
    assert ("s", "state_db_missing_sidecar") not in {
        (i["session_id"], i["kind"]) for i in report["items"] if "webui" in i
    }
