"""What the tables of state.db say, whatever version or hand wrote them, in the form that sidecars have."""

from __future__ import annotations

import itertools
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core.hermes.database.statedb import StateDB, open_statedb
from hermes_rescue.core.hermes.database.statedb_rows import MessageRow
from hermes_rescue.core.hermes.workspace_tag import strip_workspace_tag

# The schema of agent 0.19.0, as far as it is about sessions and messages.
SCHEMA = """
CREATE TABLE sessions (
    id TEXT PRIMARY KEY, source TEXT NOT NULL, user_id TEXT, session_key TEXT, chat_id TEXT, chat_type TEXT,
    thread_id TEXT, display_name TEXT, origin_json TEXT, expiry_finalized INTEGER DEFAULT 0, model TEXT,
    model_config TEXT, system_prompt TEXT, parent_session_id TEXT, started_at REAL NOT NULL, ended_at REAL,
    end_reason TEXT, message_count INTEGER DEFAULT 0, tool_call_count INTEGER DEFAULT 0, input_tokens INTEGER DEFAULT 0,
    output_tokens INTEGER DEFAULT 0, cwd TEXT, git_branch TEXT, git_repo_root TEXT, title TEXT, profile_name TEXT,
    rewind_count INTEGER NOT NULL DEFAULT 0, archived INTEGER NOT NULL DEFAULT 0,
    FOREIGN KEY (parent_session_id) REFERENCES sessions(id)
);
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL REFERENCES sessions(id), role TEXT NOT NULL,
    content TEXT, tool_call_id TEXT, tool_calls TEXT, tool_name TEXT, effect_disposition TEXT, timestamp REAL NOT NULL,
    token_count INTEGER, finish_reason TEXT, reasoning TEXT, reasoning_content TEXT, reasoning_details TEXT,
    codex_reasoning_items TEXT, codex_message_items TEXT, platform_message_id TEXT, observed INTEGER DEFAULT 0,
    active INTEGER NOT NULL DEFAULT 1, compacted INTEGER NOT NULL DEFAULT 0, api_content TEXT
);
CREATE INDEX idx_messages_session ON messages(session_id, timestamp);
CREATE INDEX idx_messages_session_active ON messages(session_id, active, timestamp);
CREATE UNIQUE INDEX idx_sessions_title_unique ON sessions(title) WHERE title IS NOT NULL;
CREATE VIRTUAL TABLE messages_fts USING fts5(content);
CREATE TRIGGER messages_fts_insert AFTER INSERT ON messages BEGIN
    INSERT INTO messages_fts(rowid, content) VALUES (new.id, COALESCE(new.content, ''));
END;
"""
SID = "a1b2c3d4e5f6"
Snapshot = Callable[[Path], object]


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as raw, raw:
        yield raw


def insert(raw: sqlite3.Connection, table: str, **columns: object) -> None:
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    raw.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(columns.values()))


def fill(raw: sqlite3.Connection, count: int = 3) -> None:
    """One WebUI session with ``count`` user messages that say their number."""
    insert(raw, "sessions", id=SID, source="webui", started_at=1.0)
    for number in range(count):
        insert(raw, "messages", session_id=SID, role="user", content=f"text {number}", timestamp=float(number))


def make(tmp_path: Path, *, schema: str = SCHEMA, count: int = 3) -> Path:
    path = tmp_path / "state.db"
    with writing(path) as raw:
        raw.execute("PRAGMA journal_mode = wal")
        raw.executescript(schema)
        if schema == SCHEMA:
            fill(raw, count)
    return path


def change(path: Path, *statements: str) -> None:
    with writing(path) as raw:
        for statement in statements:
            raw.execute(statement)


def texts(database: StateDB, session_id: str = SID) -> list[Any]:
    return [row.message["content"] for row in database.messages(session_id, list)]


def numbers(count: int) -> list[str]:
    return [f"text {number}" for number in range(count)]


def only(path: Path) -> MessageRow:
    with open_statedb(path) as database:
        (row,) = database.messages(SID, list)
    return row


# --- what versions and hostile hands make of the tables ------------------------------------------------------------


def test_a_table_of_ids_alone(tmp_path: Path) -> None:
    path = make(tmp_path, schema=f"CREATE TABLE sessions (id TEXT); INSERT INTO sessions VALUES ('{SID}')")
    with open_statedb(path) as database:
        row = database.sessions()[SID]
        assert row.is_webui
        assert (row.title, row.cwd, row.started_at) == (None, None, None)
        assert (database.fact.state, database.messages(SID, list)) == ("ok", ())


def test_without_marks_every_row_is_live(tmp_path: Path) -> None:
    path = make(tmp_path, schema="CREATE TABLE messages (id INTEGER PRIMARY KEY, session_id, role, content)")
    change(path, f"INSERT INTO messages VALUES (7, '{SID}', 'user', 'hello')")
    with open_statedb(path) as database:
        assert database.has_messages(database.sessions()[SID])
        assert database.messages(SID, list) == (
            MessageRow(7, "active", False, {"role": "user", "content": "hello"}, None, len("hello")),
        )


def test_columns_of_other_versions_are_used_where_they_are(tmp_path: Path) -> None:
    path = make(tmp_path)
    change(
        path,
        "ALTER TABLE sessions ADD COLUMN Worktree_Path TEXT",
        "ALTER TABLE messages ADD COLUMN display_kind TEXT",
        "UPDATE sessions SET worktree_path = '/repo/.worktrees/hermes-01234567', git_branch = 'main', started_at = 5",
        "UPDATE messages SET display_kind = 'hidden' WHERE id = 2",
    )
    with open_statedb(path) as database:
        row = database.sessions()[SID]
        assert row.columns["worktree_path"] == "/repo/.worktrees/hermes-01234567"
        assert (row.git_branch, row.started_at) == ("main", 5.0)
        assert [message.hidden for message in database.messages(SID, list)] == [False, True, False]


@pytest.mark.parametrize(
    "schema",
    [
        "CREATE VIEW sessions AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id FROM n",
        "CREATE VIRTUAL TABLE messages USING fts5(session_id, role, content)",
    ],
)
def test_what_only_looks_like_the_tables(schema: str, tmp_path: Path) -> None:
    with open_statedb(make(tmp_path, schema=schema)) as database:
        assert (database.fact.state, database.sessions()) == ("no_tables", {})


def test_wide_and_many_tables(tmp_path: Path) -> None:
    path = make(tmp_path)
    wide = ", ".join(f"c{number}" for number in range(1900))
    change(path, f"CREATE TABLE extra ({wide})", *(f"CREATE TABLE t{number} (a)" for number in range(300)))
    change(path, *(f"ALTER TABLE sessions ADD COLUMN x{number}" for number in range(40)))
    with open_statedb(path) as database:
        assert (database.fact.state, texts(database)) == ("ok", numbers(3))


def test_a_table_that_this_sqlite_cannot_parse(tmp_path: Path) -> None:
    """A newer SQLite knows more, or was built for more columns: what it wrote beside our tables hides nothing."""
    path = make(tmp_path)
    columns = ", ".join(f"c{number}" for number in range(10_000))
    change(
        path,
        "CREATE TABLE extra (a)",
        "PRAGMA writable_schema = ON",
        f"UPDATE sqlite_master SET sql = 'CREATE TABLE extra ({columns})' WHERE name = 'extra'",
    )
    with open_statedb(path) as database:
        assert (database.fact.state, texts(database)) == ("ok", numbers(3))


@pytest.mark.parametrize("is_indexed", [True, False])
@pytest.mark.parametrize("key", ["x'6162'", "x''", "-1", "1.5", "'odd'"])
def test_whether_a_session_has_messages_whatever_its_id_is(tmp_path: Path, key: str, is_indexed: bool) -> None:
    schema = (
        "CREATE TABLE sessions (id, source); CREATE TABLE messages (id INTEGER PRIMARY KEY, session_id, role, content);"
    )
    index = "CREATE INDEX of ON messages (session_id, id);" if is_indexed else ""
    path = make(tmp_path, schema=schema + index)
    change(path, f"INSERT INTO sessions VALUES ({key}, 'webui'), ('none', 'webui')")
    change(path, f"INSERT INTO messages VALUES (7, {key}, 'user', 'hello')")
    with open_statedb(path) as database:
        odd, none = sorted(database.sessions().values(), key=lambda row: row.id == "none")
        assert (database.has_messages(odd), database.has_messages(none), database.is_indexed) == (
            True,
            False,
            is_indexed,
        )


def test_statuses_and_the_order_of_ids(tmp_path: Path) -> None:
    path = make(tmp_path, schema=SCHEMA.replace("active INTEGER NOT NULL", "active INTEGER").split("CREATE VIRTUAL")[0])
    marks = [(1, 0), (None, 0), (0, 1), (0, 0), (0, 0), (1, 1)]
    with writing(path) as raw:
        for at, (active, compacted) in enumerate(marks):
            insert(
                raw, "messages", id=10 - at, session_id=SID, role="user", timestamp=float(at),
                active=active, compacted=compacted,
            )  # fmt: skip
    with open_statedb(path) as database:
        rows = database.messages(SID, list)
        assert [row.id for row in rows] == [5, 6, 7, 8, 9, 10]
        assert [row.status for row in rows] == ["active", "rewound", "rewound", "compacted", "active", "active"]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"source": "webui"}, True),
        ({"source": "api_server", "session_key": f"webui:{SID}"}, True),
        ({"source": "api_server", "session_key": "webui:another"}, True),
        ({"source": "api_server", "session_key": "webui:"}, False),
        ({"source": "api_server"}, False),
        *(({"source": source}, False) for source in ("cli", "telegram", "subagent", "cron", "WebUI", "", b"webui", 1)),
        ({"source": "webui", "title": "btw: a side question"}, False),
        ({"source": "webui", "title": "bg: a side run"}, False),
        ({"source": "webui", "title": "bg colours"}, True),
        ({"source": "webui", "model_config": '{"_delegate_from": "parent"}'}, False),
        ({"source": "webui", "model_config": '{"_delegate_from": "par'}, False),
        ({"source": "webui", "model_config": '{"_delegate_from": null, "temperature": 1}'}, True),
    ],
)
def test_whose_session_it_is(columns: dict[str, object], expected: bool, tmp_path: Path) -> None:
    path = make(tmp_path, schema=SCHEMA.split("CREATE VIRTUAL")[0])
    with writing(path) as raw:
        insert(raw, "sessions", id=SID, started_at=1.0, **columns)
    with open_statedb(path) as database:
        assert database.sessions()[SID].is_webui is expected


@pytest.mark.parametrize(
    "schema", [SCHEMA, "CREATE TABLE messages (id INTEGER PRIMARY KEY, session_id, role, content)"]
)
def test_messages_without_a_session_are_known_but_are_nobodys(schema: str, tmp_path: Path) -> None:
    path = make(tmp_path, schema=schema)
    with writing(path) as raw:
        times = {"timestamp": 1.0} if schema == SCHEMA else {}
        insert(raw, "messages", session_id="lost", role="user", content="hi", **times)
    with open_statedb(path) as database:
        assert not database.sessions()["lost"].is_webui
        assert texts(database, "lost") == ["hi"]


def test_ids_that_are_no_safe_text_are_kept(tmp_path: Path) -> None:
    path = make(
        tmp_path, schema="CREATE TABLE sessions (id, source); CREATE TABLE messages (session_id, role, content)"
    )
    ids = ["../evil", b"\xff\0", None, 12, "ok-1"]
    with writing(path) as raw:
        for value in ids:
            raw.execute("INSERT INTO sessions VALUES (?, 'webui')", (value,))
            raw.execute("INSERT INTO messages VALUES (?, 'user', 'hi')", (value,))
    with open_statedb(path) as database:
        assert set(database.sessions()) == {"../evil", "x'ff00'", "", "12", "ok-1"}
        assert all(texts(database, key) == ["hi"] for key in database.sessions())


def test_some_sessions_of_a_known_database_are_those_of_the_whole(tmp_path: Path) -> None:
    path = make(tmp_path, schema="CREATE TABLE sessions (id, source, session_key); CREATE TABLE messages (session_id)")
    rows = [("a", "webui", None), (12, "webui", None), ("api", "api_server", "webui:a"), ("b", "webui", None)]
    with writing(path) as raw:
        raw.executemany("INSERT INTO sessions VALUES (?, ?, ?)", rows)
    with open_statedb(path) as whole, open_statedb(path, is_known=True) as known:
        expected = {key: row for key, row in whole.sessions().items() if row.sidecar_id in ("a", "12")}
        some = known.sessions(["a", "12"])
    assert {key: row for key, row in some.items() if row.sidecar_id in ("a", "12")} == expected
    assert set(some) == {"a", "12", "api"}


# --- messages in the form of the sidecar ---------------------------------------------------------------------------


def test_rows_become_messages_in_the_sidecars_form(tmp_path: Path) -> None:
    calls = [{"id": "call_1", "type": "function", "function": {"name": "terminal", "arguments": '{"cmd": "ls"}'}}]
    path = make(tmp_path, count=0)
    with writing(path) as raw:
        text = "[Workspace::v1: /srv/proj-[wip\\]]\nlist the files"
        insert(raw, "messages", session_id=SID, role="user", content=text, timestamp=1.5)
        insert(
            raw, "messages", session_id=SID, role="assistant", timestamp=2.5, tool_calls=json.dumps(calls),
            finish_reason="tool_calls", reasoning="hm", reasoning_content="hm", reasoning_details='[{"text": "hm"}]',
            codex_message_items="[{}]", token_count=7,
        )  # fmt: skip
        insert(
            raw, "messages", session_id=SID, role="tool", content="a b", timestamp=3.5, tool_call_id="call_1",
            tool_name="terminal",
        )  # fmt: skip
    with open_statedb(path) as database:
        user, assistant, tool = database.messages(SID, list)
    assert list(user.message.items()) == [("role", "user"), ("content", "list the files"), ("timestamp", 1.5)]
    assert user.workspace == "/srv/proj-[wip]"
    assert list(assistant.message.items()) == [
        ("role", "assistant"),
        ("content", ""),
        ("timestamp", 2.5),
        ("reasoning", "hm"),
        ("reasoning_content", "hm"),
        ("reasoning_details", [{"text": "hm"}]),
        ("tool_calls", calls),
        ("finish_reason", "tool_calls"),
    ]
    assert list(tool.message.items()) == [
        ("role", "tool"),
        ("content", "a b"),
        ("timestamp", 3.5),
        ("tool_call_id", "call_1"),
        ("name", "terminal"),
        ("tool_name", "terminal"),
    ]


def test_parts_are_decoded_and_lose_the_tag_of_the_first_text(tmp_path: Path) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    tagged = {"type": "text", "text": "[Workspace::v1: /srv/proj]\nwhat is this?"}
    path = make(tmp_path, count=0)
    with writing(path) as raw:
        content = "\0json:" + json.dumps([image, tagged])
        insert(raw, "messages", session_id=SID, role="user", content=content, timestamp=1.0)
    row = only(path)
    assert row.message["content"] == [image, {"type": "text", "text": "what is this?"}]
    assert row.workspace == "/srv/proj"


def test_a_tag_in_an_answer_is_text(tmp_path: Path) -> None:
    path = make(tmp_path, count=0)
    with writing(path) as raw:
        text = "[Workspace::v1: /srv/proj]\nis the tag"
        insert(raw, "messages", session_id=SID, role="assistant", content=text, timestamp=1.0)
    assert (only(path).message["content"], only(path).workspace) == (text, None)


LOOSE = (
    "CREATE TABLE messages (id, session_id, role, content, tool_calls, tool_name, reasoning_details, timestamp, active)"
)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"role": "user", "content": b"caf\xc3\xa9 \xff"}, {"role": "user", "content": "café \ufffd"}),
        ({"role": None, "content": None}, {"role": "", "content": ""}),
        ({"role": 5, "content": 7.5}, {"role": "5", "content": "7.5"}),
        ({"role": "user", "content": "\0json:[tor"}, {"role": "user", "content": "[tor"}),
        ({"role": "user", "content": "\0json:{}"}, {"role": "user", "content": "{}"}),
        ({"role": "user", "content": "\0json:" + "[" * 200_000}, {"role": "user", "content": "[" * 200_000}),
        ({"role": "assistant", "tool_calls": '[{"id": '}, {"role": "assistant", "content": ""}),
        ({"role": "assistant", "tool_calls": '{"id": 1}'}, {"role": "assistant", "content": ""}),
        ({"role": "assistant", "tool_calls": b"[1]"}, {"role": "assistant", "content": "", "tool_calls": [1]}),
        ({"role": "assistant", "timestamp": "soon"}, {"role": "assistant", "content": ""}),
        ({"role": "assistant", "timestamp": float("inf")}, {"role": "assistant", "content": ""}),
        ({"role": "assistant", "reasoning_details": "[]"}, {"role": "assistant", "content": ""}),
        ({"id": "seven", "role": "user", "active": "yes"}, {"role": "user", "content": ""}),
        ({"id": b"\0", "role": "user", "active": b"\xff"}, {"role": "user", "content": ""}),
    ],
)
def test_one_bad_row_hides_no_other(columns: dict[str, object], expected: dict[str, object], tmp_path: Path) -> None:
    path = make(tmp_path, schema=LOOSE)
    with writing(path) as raw:
        insert(raw, "messages", id=0, session_id=SID, role="user", content="before")
        insert(raw, "messages", **{"id": 2, "session_id": SID, **columns})
        insert(raw, "messages", id=3, session_id=SID, role="user", content="behind")
    with open_statedb(path) as database:
        assert [row.message for row in database.messages(SID, list)] == [
            {"role": "user", "content": "before"},
            expected,
            {"role": "user", "content": "behind"},
        ]
        assert database.fact.state == "ok"


def test_text_that_is_not_utf_8(tmp_path: Path) -> None:
    path = make(tmp_path)
    change(
        path,
        "UPDATE messages SET content = CAST(x'6f6bff' AS TEXT) WHERE id = 2",
        "UPDATE sessions SET title = CAST(x'ff' AS TEXT)",
    )
    with open_statedb(path) as database:
        assert texts(database) == ["text 0", "ok\ufffd", "text 2"]
        assert database.sessions()[SID].title == "\ufffd"


# --- the workspace tag ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[Workspace::v1: /srv/proj]\nhello", ("hello", "/srv/proj")),
        ("[Workspace: /srv/proj]\nhello", ("hello", "/srv/proj")),
        ("[Workspace::v1: /srv/a b/[x\\]\\\\]\n", ("", "/srv/a b/[x]\\")),
        ("[Workspace::v1: C:\\\\Users\\\\me]\nhi", ("hi", "C:\\Users\\me")),
        ("[Workspace: C:\\Users\\me]\nhi", ("hi", "C:\\Users\\me")),
        ("[Workspace::v1: \\\\\\\\nas\\\\share]\nhi", ("hi", "\\\\nas\\share")),
        ("[Workspace: \\\\nas\\share]\nhi", ("hi", "\\\\nas\\share")),
        ("[Workspace::v1: /srv]\n[Workspace::v1: /two]\nhi", ("[Workspace::v1: /two]\nhi", "/srv")),
        ("[Workspace::v1: /srv]\n\n  hi", ("\n  hi", "/srv")),
        *(
            (text, (text, None))
            for text in (
                "hello",
                "",
                "[Workspace::v1: proj]\nhello",
                "[Workspace::v1: ~/proj]\nhello",
                "[Workspace::v1: ]\nhello",
                "[Workspace::v1: /srv] is the tag",
                "[Workspace::v1: /srv",
                "[Workspace::v2: /srv]\nhello",
                "say [Workspace::v1: /srv]\nhello",
            )
        ),
    ],
)
def test_the_workspace_tag(text: str, expected: tuple[str, str | None]) -> None:
    assert strip_workspace_tag(text) == expected


# --- the real thing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "count"), [("a", 1300), ("b", 1406), ("c", 1862)])
def test_the_real_agents_databases(name: str, count: int, corpus: Callable[[str], Path], snapshot: Snapshot) -> None:
    store = corpus(name) / "store"
    before = snapshot(store)
    with open_statedb(store / "state.db") as database:
        rows = [row for session_id in database.sessions() for row in database.messages(session_id, list)]
        assert database.fact.state == "ok"
        assert len(rows) == count
        assert all(row.workspace for row in rows if row.message["role"] == "user")
        assert not any("Workspace::v1" in str(row.message["content"]) for row in rows)
    assert snapshot(store) == before


def many_rows(path: Path) -> Path:
    with writing(path) as raw:
        raw.executescript(SCHEMA)
        insert(raw, "sessions", id=SID, source="webui", started_at=1.0)
        raw.executemany(
            "INSERT INTO messages (session_id, role, content, timestamp) VALUES (?, 'user', 'x', ?)",
            ((SID, float(k)) for k in range(20_000)),
        )
    return path


def test_a_busy_computer_makes_no_database_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hours = itertools.count(step=3600)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(hours)))
    with open_statedb(many_rows(tmp_path / "state.db")) as database:
        assert len(database.messages(SID, list)) == 20_000
        assert database.fact.state == "ok"
