"""Makes large stores to measure on: sidecars in the WebUI's layout, a state.db with the agent's schema, backups, and
damage of each kind. The same numbers give the same store.

    python tests/bench/stores.py FOLDER --sessions 2000 --messages 90 --bytes-per-message 5200
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
from pathlib import Path
from typing import Any

from core.demo import SCHEMA
from core.sidecar import FIELD_DEFAULTS

Value = dict[str, Any]

DAMAGED = 0.15
"""Share of the sessions that something is wrong with."""

WORDS = (
    "the session keeps its messages and their tool calls in order so that nothing is lost when two copies drift apart "
    "parse merge align repair backup journal database rows column index path branch stored line by line and in full "
    'def return import class yield raise except lambda assert "quoted" C:\\path tab\tnew\nline {json: [1, 2, 3]}'
)
FOREIGN = "größer naïve Füße 例えば 重要 → ≈ “so” …"
"""Every eighth text has some of this."""


class Writer:
    """Makes one store."""

    def __init__(self, home: Path, *, messages: int, bytes_per_message: int, seed: int = 1) -> None:
        self.sessions_dir = home / "webui" / "sessions"
        self.sessions_dir.mkdir(parents=True)
        self._messages = messages
        self._size = bytes_per_message
        self._chance = random.Random(seed)
        self._long = " ".join(self._chance.choices(WORDS.split(" "), k=300_000))
        self._number = 0
        self._index: list[Value] = []
        self._database = sqlite3.connect(home / "state.db")
        self._database.executescript("PRAGMA journal_mode = WAL;" + SCHEMA)

    def text(self, size: float) -> str:
        """About ``size`` characters that no other text is like."""
        self._number += 1
        start = self._chance.randrange(len(self._long) // 2)
        foreign = FOREIGN if self._number % 8 == 0 else ""
        return f"{self._number}: {foreign}{self._long[start : start + int(size)]}"

    def transcript(self, session: int) -> list[Value]:
        """Turns of a prompt, a tool call, its result and an answer."""
        found: list[Value] = []
        time = 1.75e9 + session * 10_000
        while len(found) < self._messages:
            call = f"call_{session}_{len(found)}"
            arguments = json.dumps({"command": self.text(self._size / 10)})
            found += [
                {"role": "user", "content": self.text(self._size / 20), "timestamp": time},
                {
                    "role": "assistant",
                    "content": "",
                    "timestamp": time + 4.25,
                    "reasoning": self.text(self._size / 4),
                    "tool_calls": [
                        {"id": call, "type": "function", "function": {"name": "terminal", "arguments": arguments}}
                    ],
                    "finish_reason": "tool_calls",
                },
                {
                    "role": "tool",
                    "content": self.text(self._size * 2.6),
                    "timestamp": time + 5.5,
                    "tool_call_id": call,
                    "name": "terminal",
                    "tool_name": "terminal",
                },
                {
                    "role": "assistant",
                    "content": self.text(self._size * 0.8),
                    "timestamp": time + 9.75,
                    "reasoning": self.text(self._size / 4),
                    "finish_reason": "stop",
                },
            ]
            time += 60
        return found[: self._messages]

    def add(self, session: int, damage: str = "") -> None:
        """One session, whole or damaged."""
        session_id = f"{session:012x}"
        transcript = self.transcript(session)
        self._rows(session_id, session, transcript)
        fields = {**FIELD_DEFAULTS, "session_id": session_id, "title": f"Session {session}", "workspace": "/srv/work"}
        fields |= {"created_at": transcript[0]["timestamp"], "updated_at": transcript[-1]["timestamp"], "model": "m"}
        live = self.sessions_dir / f"{session_id}.json"
        whole = _dumps({**fields, "message_count": len(transcript), "messages": transcript})
        kept = {"wiped": 0, "shrunken": len(transcript) // 2, "behind": len(transcript) - 4}.get(damage)
        if damage in ("wiped", "shrunken"):
            live.with_suffix(".json.bak").write_bytes(whole)
        if kept is not None:
            part = transcript[:kept]
            live.write_bytes(_dumps({**fields, "message_count": len(part), "messages": part}))
        elif damage == "torn":
            live.write_bytes(whole[: len(whole) * 2 // 3])
        elif damage != "missing":
            live.write_bytes(whole)
        row = {name: value for name, value in fields.items() if name not in ("messages", "tool_calls")}
        self._index.append({**row, "message_count": len(transcript)})

    def _rows(self, session_id: str, session: int, transcript: list[Value]) -> None:
        self._database.execute(
            "INSERT INTO sessions (id, source, model, started_at, message_count, title, cwd) VALUES (?,?,?,?,?,?,?)",
            (session_id, "webui", "m", transcript[0]["timestamp"], len(transcript), f"Session {session}", "/srv/work"),
        )
        self._database.executemany(
            "INSERT INTO messages (session_id, role, content, tool_call_id, tool_calls, tool_name, timestamp,"
            " finish_reason, reasoning) VALUES (?,?,?,?,?,?,?,?,?)",
            (
                (
                    session_id,
                    m["role"],
                    f"[Workspace::v1: /srv/work]\n{m['content']}" if m["role"] == "user" else m["content"],
                    m.get("tool_call_id"),
                    json.dumps(m["tool_calls"]) if "tool_calls" in m else None,
                    m.get("tool_name"),
                    m["timestamp"] + 0.5,
                    m.get("finish_reason"),
                    m.get("reasoning"),
                )
                for m in transcript
            ),
        )

    def close(self) -> None:
        """Write the index, and bring the database to rest."""
        (self.sessions_dir / "_index.json").write_bytes(_dumps(self._index[::-1]))
        self._database.commit()
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._database.close()


KINDS = ("wiped", "shrunken", "behind", "torn", "missing")


def make_store(home: Path, *, sessions: int, messages: int, bytes_per_message: int, damaged: float = DAMAGED) -> Path:
    """A store of so many sessions, a share of them damaged, in a new folder. Returns the folder."""
    writer = Writer(home, messages=messages, bytes_per_message=bytes_per_message)
    every = round(1 / damaged) if damaged else 0
    for session in range(sessions):
        is_damaged = every and session % every == 0
        writer.add(session, KINDS[session // every % len(KINDS)] if is_damaged else "")
    writer.close()
    return home


def _dumps(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sessions", type=int, default=2000)
    parser.add_argument("--messages", type=int, default=90)
    parser.add_argument("--bytes-per-message", type=int, default=5200)
    asked = parser.parse_args()
    make_store(
        asked.folder, sessions=asked.sessions, messages=asked.messages, bytes_per_message=asked.bytes_per_message
    )
