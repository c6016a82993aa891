"""Writes what is left of lives into a Hermes home, as the real programs lay it out (formats.md)."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from hermes_rescue.core.demo.demo_store import SCHEMA

from . import forms
from .left import Left
from .said import WORKSPACE, Value
from .state import START, SUMMARY


def write(home: Path, lefts: Sequence[Left]) -> None:
    """A Hermes home with these sessions; ``home`` is made."""
    sessions = home / "webui" / "sessions"
    sessions.mkdir(parents=True)
    index: list[Value] = []
    with closing(sqlite3.connect(home / "state.db")) as database, database:
        database.execute("PRAGMA synchronous = OFF")
        database.executescript(SCHEMA)
        for left in lefts:
            _write_files(sessions, left)
            _write_rows(database, left)
            if left.index is not None:
                index.append(forms.index_row(left.world, left.index))
    if index or not lefts:
        index.sort(key=lambda row: float(row["updated_at"]), reverse=True)
        (sessions / "_index.json").write_bytes(forms.written(index))
    deleted = sorted(left.world.session_id for left in lefts if left.world.deleted)
    if deleted:
        value = {"version": 1, "ids": deleted}
        (sessions / "_deleted_webui_sessions.json").write_text(json.dumps(value), "utf-8")


def _write_files(sessions: Path, left: Left) -> None:
    sid = left.world.session_id
    if left.live is not None:
        (sessions / f"{sid}.json").write_bytes(left.live.data)
    if left.backup is not None:
        (sessions / f"{sid}.json.bak").write_bytes(left.backup.data)
    if left.temp is not None:
        path = sessions / f"{sid}.tmp.4242.140001"
        path.write_bytes(left.temp.data)
        os.utime(path, (left.temp.state.updated,) * 2)
    if left.turns:
        (sessions / "_turn_journal").mkdir(exist_ok=True)
        (sessions / "_turn_journal" / f"{sid}~4242.jsonl").write_text(forms.turn_lines(left.world, left.turns), "utf-8")
    for run in left.runs:
        folder = sessions / "_run_journal" / sid
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{run.stream}.jsonl"
        path.write_text(forms.run_lines(left.world, run), "utf-8")
        os.utime(path, (run.events[-1][0],) * 2)


def _write_rows(database: sqlite3.Connection, left: Left) -> None:
    world = left.world
    if not left.rows:
        return
    session = {"id": world.session_id, "source": "webui", "model": "m", "cwd": WORKSPACE, "started_at": START}
    count = sum(row.active for row in left.rows)
    _insert(database, "sessions", {**session, "title": f"Life {world.session_id}", "message_count": count})
    for row in left.rows:
        if row.number == SUMMARY:
            value: Value = {"role": "user", "content": forms.SUMMARY_TEXT}
        else:
            value = world.said[row.number].in_row(api_content=world.era.api_content)
        flags = {"timestamp": row.time, "active": int(row.active), "compacted": int(row.compacted)}
        _insert(database, "messages", {"session_id": world.session_id, **value, **flags})


def _insert(database: sqlite3.Connection, table: str, values: Value) -> None:
    places = ", ".join("?" * len(values))
    database.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})", list(values.values()))
