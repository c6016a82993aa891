"""A small store in which a repair does one of everything, and a stage to run the command on."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core.demo.demo_store import SCHEMA
from hermes_rescue.core.hermes.sidecar import FIELD_DEFAULTS

from .stage import Stage, loaded, unavailable

MARKER = "quetzal-2741"
"""Stands in every message text of the small store and nowhere else."""

HEALTHY, WIPED, MARKED, LOST = (f"{k}c51b7d03f2a" for k in range(4))
"""The sessions: nothing to do; to be replaced; replaced, its backup moved to the vault; created from the database."""

_START = 1_777_000_000.0
_SHRINK = "f3ece896034044d595d19fdba191bbac"


def small_store(home: Path, more: int = 0) -> Path:
    """Make the store in ``home``; returns its sessions folder. Every file is old, and one has a mode of its own.
    ``more``: so many other sessions that were wiped.
    """
    sessions = home / "webui" / "sessions"
    sessions.mkdir(parents=True)
    _write(sessions / f"{HEALTHY}.json", _session(HEALTHY, _talk(2)))
    _write(sessions / f"{WIPED}.json", _session(WIPED, []))
    _write(sessions / f"{WIPED}.json.bak", _session(WIPED, _talk(3)))
    for sid in (f"{k:012x}" for k in range(more)):
        _write(sessions / f"{sid}.json", _session(sid, []))
        _write(sessions / f"{sid}.json.bak", _session(sid, _talk(3)))
    kept = _talk(2)
    at = kept[-1]["timestamp"]
    marks = {"truncation_boundary": at, "truncation_watermark": at, "intentional_shrink_generation": _SHRINK}
    _write(sessions / f"{MARKED}.json", {**_session(MARKED, kept, **marks), "message_count": 9})
    backup = _session(MARKED, _talk(5))
    del backup["intentional_shrink_generation"]  # of a version that would put it in the place of the file
    _write(sessions / f"{MARKED}.json.bak", backup)
    listed = {HEALTHY: 4, WIPED: 0}
    rows = [
        {"session_id": sid, "title": "Notes", "message_count": n, "updated_at": _START} for sid, n in listed.items()
    ]
    _write(sessions / "_index.json", rows)
    with closing(sqlite3.connect(home / "state.db")) as database:
        database.executescript(SCHEMA)
        database.execute(
            "INSERT INTO sessions (id, source, title, started_at) VALUES (?, 'webui', 'Lost', ?)", (LOST, _START)
        )
        for each in _talk(3):
            values = (LOST, each["role"], each["content"], each["timestamp"] + 1)
            database.execute("INSERT INTO messages (session_id, role, content, timestamp) VALUES (?, ?, ?, ?)", values)
        database.commit()
    for k, path in enumerate(sorted(sessions.iterdir())):
        os.utime(path, ns=(int(_START) * 10**9 + k, int(_START) * 10**9 + k))
    (sessions / f"{WIPED}.json").chmod(0o640)
    return sessions


def _talk(turns: int) -> list[dict[str, Any]]:
    found = []
    for k in range(turns):
        at = _START + 60 * k
        found.append({"role": "user", "content": f"{MARKER} question {k}", "timestamp": at})
        found.append({"role": "assistant", "content": f"{MARKER} answer {k}", "timestamp": at + 4})
    return found


def _session(session_id: str, messages: Sequence[Any], **fields: Any) -> dict[str, Any]:
    head = {"session_id": session_id, "title": "Notes", "workspace": "/srv/notes"}
    times = {"created_at": _START, "updated_at": _START + 3600, "message_count": len(messages)}
    return {**FIELD_DEFAULTS, **head, **times, **fields, "messages": list(messages)}


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False))


@pytest.fixture(scope="session")
def stage() -> Stage:
    """Skips where the machine has none."""
    reason = unavailable()
    if reason is not None:
        pytest.skip(reason)
    return loaded()
