"""A damaged Hermes home for trying the tool: one session for each typical mishap, each with a promise to check."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hermes_rescue.core.base.errors import RescueError
from hermes_rescue.core.base.files import shown
from hermes_rescue.core.demo.stories import Message, Scene, Sidecar, Story, digest, play_all, uuid4_hex
from hermes_rescue.core.hermes.sidecar import FIELD_DEFAULTS
from hermes_rescue.core.repair.rebuild_index import ROW_FIELDS

__all__ = ["DemoStore", "Story", "make_demo_store"]

# The columns that Hermes Agent 0.19.0 gives these tables.
SCHEMA = """
CREATE TABLE schema_version (version INTEGER NOT NULL);
INSERT INTO schema_version VALUES (22);
CREATE TABLE sessions (
    id TEXT PRIMARY KEY, source TEXT NOT NULL, user_id TEXT, session_key TEXT, chat_id TEXT, chat_type TEXT,
    thread_id TEXT, display_name TEXT, origin_json TEXT, expiry_finalized INTEGER DEFAULT 0,
    model TEXT, model_config TEXT, system_prompt TEXT, parent_session_id TEXT REFERENCES sessions(id),
    started_at REAL NOT NULL, ended_at REAL, end_reason TEXT,
    message_count INTEGER DEFAULT 0, tool_call_count INTEGER DEFAULT 0,
    input_tokens INTEGER DEFAULT 0, output_tokens INTEGER DEFAULT 0, cache_read_tokens INTEGER DEFAULT 0,
    cache_write_tokens INTEGER DEFAULT 0, reasoning_tokens INTEGER DEFAULT 0,
    cwd TEXT, git_branch TEXT, git_repo_root TEXT,
    billing_provider TEXT, billing_base_url TEXT, billing_mode TEXT,
    estimated_cost_usd REAL, actual_cost_usd REAL, cost_status TEXT, cost_source TEXT, pricing_version TEXT,
    title TEXT, api_call_count INTEGER DEFAULT 0, handoff_state TEXT, handoff_platform TEXT, handoff_error TEXT,
    compression_failure_cooldown_until REAL, compression_failure_error TEXT,
    compression_fallback_streak INTEGER NOT NULL DEFAULT 0, profile_name TEXT,
    rewind_count INTEGER NOT NULL DEFAULT 0, archived INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX idx_sessions_title_unique ON sessions(title) WHERE title IS NOT NULL;
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL REFERENCES sessions(id),
    role TEXT NOT NULL, content TEXT, tool_call_id TEXT, tool_calls TEXT, tool_name TEXT, effect_disposition TEXT,
    timestamp REAL NOT NULL, token_count INTEGER, finish_reason TEXT,
    reasoning TEXT, reasoning_content TEXT, reasoning_details TEXT,
    codex_reasoning_items TEXT, codex_message_items TEXT, platform_message_id TEXT,
    observed INTEGER DEFAULT 0, active INTEGER NOT NULL DEFAULT 1, compacted INTEGER NOT NULL DEFAULT 0,
    api_content TEXT
);
CREATE INDEX idx_messages_session ON messages(session_id, timestamp);
CREATE INDEX idx_messages_session_active ON messages(session_id, active, timestamp);
"""


@dataclass(frozen=True, slots=True)
class DemoStore:
    """A demo store on disk: the Hermes home, and for each session what a repair must give back."""

    home: Path
    stories: tuple[Story, ...]


def make_demo_store(folder: Path) -> DemoStore:
    """Make a damaged Hermes home in a folder that does not exist yet or is empty.

    The same sessions come out each time; only the paths in them follow the folder.

    Raises:
        RescueError: the folder holds something already, or cannot be written; or its name is no text, so that no
            session can name it.
    """
    home = Path(os.path.abspath(folder))
    try:
        os.fspath(home).encode()
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(home.iterdir()):
            raise RescueError(f"{home} is not empty. Name a new folder for the demo store.")
        played = play_all(home)
        _write([scene for _, scene in played], home)
    except UnicodeEncodeError:
        raise RescueError(f"{shown(home)} has a name that no session can hold. Name another folder.") from None
    except OSError as error:
        raise RescueError(f"The demo store could not be written to {home}: {error.strerror or error}.") from error
    return DemoStore(home, tuple(story for story, _ in played))


def _write(scenes: list[Scene], home: Path) -> None:
    sessions = home / "webui" / "sessions"
    journals = sessions / "_turn_journal"
    journals.mkdir(parents=True)
    for scene in scenes:
        sid = scene.session_id
        if scene.live:
            text = _serialise(_sidecar(scene.live))
            (sessions / f"{sid}.json").write_bytes(scene.harm(text) if scene.harm else text)
        if scene.backup:
            (sessions / f"{sid}.json.bak").write_bytes(_serialise(_sidecar(scene.backup)))
        if scene.temp:
            (sessions / f"{sid}.tmp.26564.140303735766451").write_bytes(_serialise(_sidecar(scene.temp)))
        if scene.prompts:
            lines = [json.dumps(event, ensure_ascii=False, separators=(",", ":")) for event in _submitted(scene)]
            _write_text(journals / f"{sid}~8997.jsonl", "\n".join(lines) + "\n")
        Path(scene.head["workspace"]).mkdir(parents=True, exist_ok=True)
    index = sorted((_index_row(scene.index) for scene in scenes if scene.index), key=lambda row: -row["updated_at"])
    (sessions / "_index.json").write_bytes(_serialise(index))
    tombstones = {"version": 1, "ids": sorted(scene.session_id for scene in scenes if scene.deleted)}
    (sessions / "_deleted_webui_sessions.json").write_bytes(_serialise(tombstones))
    for profile in {scene.head["profile"] for scene in scenes}:
        database = (home / "profiles" / profile if profile else home) / "state.db"
        _write_database(database, [scene for scene in scenes if scene.head["profile"] == profile])
    for repository in {scene.head["worktree_repo_root"] for scene in scenes if "worktree_repo_root" in scene.head}:
        heads = [scene.head for scene in scenes if scene.head.get("worktree_repo_root") == repository]
        _write_repository(Path(repository), heads)


def _serialise(document: Any) -> bytes:
    return json.dumps(document, indent=2, ensure_ascii=False).encode()


def _sidecar(fields: Sidecar) -> Sidecar:
    return FIELD_DEFAULTS | {"message_count": len(fields["messages"])} | fields


def _index_row(fields: Sidecar) -> dict[str, Any]:
    """The compact row of a sidecar; the worktree fields stand only in the row of a worktree."""
    sidecar, messages = _sidecar(fields), fields["messages"]
    row = sidecar | {
        "last_message_at": messages[-1]["timestamp"] if messages else sidecar["updated_at"],
        "cache_hit_percent": None,
        "user_message_count": sum(message["role"] == "user" for message in messages),
        "has_pending_user_message": sidecar["pending_user_message"] is not None,
        "is_streaming": False,
    }
    in_worktree = sidecar["worktree_path"] is not None
    return {name: row[name] for name in ROW_FIELDS if in_worktree or not name.startswith("worktree_")}


def _submitted(scene: Scene) -> Iterator[dict[str, Any]]:
    for prompt in scene.prompts:
        submitted_at = datetime.fromtimestamp(prompt["timestamp"], UTC)
        yield {
            "event": "submitted",
            "role": "user",
            "content": prompt["content"],
            "created_at": prompt["timestamp"],
            "stream_id": uuid4_hex(scene.story, "stream"),
            "workspace": scene.head["workspace"],
            "version": 1,
            "session_id": scene.session_id,
            "turn_id": f"{submitted_at:%Y%m%dT%H%M%SZ}-{digest(scene.story, 'turn').hex()[:12]}",
        }


def _write_database(path: Path, scenes: list[Scene]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=OFF")  # a demo that a power cut takes is made anew
        database.executescript(SCHEMA)
        for scene in scenes:
            if scene.rows is not None:
                _insert(database, "sessions", [_session_row(scene, scene.rows)])
                _insert(database, "messages", [_message_row(scene, message) for message in scene.rows])
        database.commit()


def _insert(database: sqlite3.Connection, table: str, rows: Iterable[dict[str, Any]]) -> None:
    for row in rows:
        places = ", ".join(f":{column}" for column in row)
        database.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", row)


def _session_row(scene: Scene, messages: list[Message]) -> dict[str, Any]:
    head = scene.head
    return {
        "id": scene.session_id,
        "source": "webui",
        "model": head["model"],
        "started_at": head["created_at"],
        "message_count": len(messages),
        "tool_call_count": sum(len(message.get("tool_calls", ())) for message in messages),
        "cwd": head["workspace"],
        "git_branch": head.get("worktree_branch"),
        "git_repo_root": head.get("worktree_repo_root"),
        # The agent names a session after its first turn.
        "title": head["title"] if messages else None,
        "profile_name": head["profile"],
    }


def _message_row(scene: Scene, message: Message) -> dict[str, Any]:
    calls = message.get("tool_calls")
    return {
        "session_id": scene.session_id,
        "role": message["role"],
        "content": _row_content(message, scene.head["workspace"]),
        "tool_call_id": message.get("tool_call_id"),
        "tool_calls": json.dumps(calls) if calls else None,
        "tool_name": message.get("tool_name"),
        "timestamp": message["timestamp"] + scene.lag,
        "reasoning": message.get("reasoning"),
    }


def _row_content(message: Message, workspace: str) -> str:
    """The text of a row: a user's is tagged with the workspace, a list of parts is marked as JSON."""
    content = message["content"]
    escaped = workspace.replace("\\", "\\\\").replace("]", "\\]")
    tag = f"[Workspace::v1: {escaped}]\n" if message["role"] == "user" else ""
    if isinstance(content, str):
        return tag + content
    text, *others = content
    return "\x00json:" + json.dumps([text | {"text": tag + text["text"]}, *others])


def _write_repository(repository: Path, heads: list[dict[str, Any]]) -> None:
    """A real git repository of one empty commit, with a locked worktree for each session, made without git."""
    git = repository / ".git"
    tree = _write_object(git, "tree", b"")
    author = "Demo <demo@example.invalid> 1777766400 +0000"
    commit = f"tree {tree}\nauthor {author}\ncommitter {author}\n\nStart\n"
    tip = _write_object(git, "commit", commit.encode()) + "\n"
    _write_text(git / "HEAD", "ref: refs/heads/main\n")
    _write_text(git / "config", "[core]\n\trepositoryformatversion = 0\n\tbare = false\n")
    _write_text(git / "refs" / "heads" / "main", tip)
    for head in heads:
        worktree, branch = Path(head["worktree_path"]), f"refs/heads/{head['worktree_branch']}"
        admin = git / "worktrees" / worktree.name
        _write_text(git / branch, tip)
        _write_text(admin / "HEAD", f"ref: {branch}\n")
        _write_text(admin / "commondir", "../..\n")
        _write_text(admin / "gitdir", f"{(worktree / '.git').as_posix()}\n")
        _write_text(admin / "locked", "hermes pid=26564")
        _write_text(worktree / ".git", f"gitdir: {admin.as_posix()}\n")


def _write_object(git: Path, kind: str, body: bytes) -> str:
    data = f"{kind} {len(body)}\0".encode() + body
    name = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    path = git / "objects" / name[:2] / name[2:]
    path.parent.mkdir(parents=True)
    path.write_bytes(zlib.compress(data))
    return name


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
