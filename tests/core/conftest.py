"""A small Hermes home that a test fills with the copies of one session."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.session import examine
from hermes_rescue.core.audit.store_audit import Audit, audit
from hermes_rescue.core.demo.demo_store import SCHEMA
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.sidecar import FIELD_DEFAULTS
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.hermes.webui_status import webui_status
from hermes_rescue.core.merge.choices import Choices
from hermes_rescue.core.merge.intent import MARK_FIELDS

SID = "3f2a9c51b7d0"
START = 1_777_000_000.0
ACT = 5_000.0
"""Seconds after the start of the session at which a file with the marks of an act was saved."""

Value = dict[str, Any]


@dataclass(frozen=True)
class Hermes:
    """Writes files as Hermes does and reads them back as the WebUI would."""

    home: Path
    shrink = "f3ece896034044d595d19fdba191bbac"  # a uuid4, as the WebUI writes it
    clear = "419b3d535343911761a19ef3e1e41582"

    @property
    def cleared(self) -> Value:
        """The marks of a clear."""
        both = {"truncation_boundary": 0.0, "truncation_watermark": 0.0, "updated_at": START + ACT}
        return {**both, "clear_generation": self.clear, "intentional_shrink_generation": self.shrink}

    def undo_marks(self, kept: Sequence[Value], newest_prompt: float | None = None) -> Value:
        """The marks of an undo that kept these messages, after new prompts if there were any."""
        at = kept[-1]["timestamp"]
        marks = {"truncation_boundary": at, "truncation_watermark": newest_prompt or at, "updated_at": START + ACT}
        return {**marks, "intentional_shrink_generation": self.shrink}

    @staticmethod
    def said(messages: Sequence[Value]) -> list[Any]:
        """What the messages say."""
        return [message["content"] for message in messages]

    @property
    def sessions(self) -> Path:
        return self.home / "webui" / "sessions"

    @property
    def live(self) -> Path:
        return self.sessions / f"{SID}.json"

    def turns(self, *words: str, start: float = 0.0) -> list[Value]:
        """For each word a prompt and its answer, ten seconds apart, ``start`` seconds after the session began."""
        found = []
        for k, word in enumerate(words):
            at = START + start + 10 * k
            found.append({"role": "user", "content": f"ask {word}", "timestamp": at})
            found.append({"role": "assistant", "content": f"answer {word}", "timestamp": at + 4})
        return found

    def session(self, messages: Sequence[Any], **fields: Any) -> Value:
        usual = {
            "session_id": SID,
            "title": "Notes",
            "workspace": "/srv/notes",
            "created_at": START,
            "updated_at": max(_times(messages), default=START),
        }
        return {**FIELD_DEFAULTS, **usual, "message_count": len(messages), **fields, "messages": list(messages)}

    def listed(self, messages: Sequence[Any], **fields: Any) -> Value:
        """The row of such a session in the session list."""
        return {name: value for name, value in self.session(messages, **fields).items() if name != "messages"}

    def write_live(self, messages: Sequence[Any], **fields: Any) -> bytes:
        return self.write_new(self.live, messages, **fields)

    def write_backup(self, messages: Sequence[Any], **fields: Any) -> bytes:
        return self.write_new(self.sessions / f"{SID}.json.bak", messages, **fields)

    def write_new(self, path: Path, messages: Sequence[Any], **fields: Any) -> bytes:
        return self.write(path, self.session(messages, **fields))

    def write_temp(self, messages: Sequence[Any], **fields: Any) -> bytes:
        return self.write(self.sessions / f"{SID}.tmp.77.1403", self.session(messages, **fields))

    def write_old(self, path: Path, messages: Sequence[Any], **fields: Any) -> bytes:
        """A file of a version that knew no generations of acts."""
        session = self.session(messages, **fields)
        return self.write(path, {name: value for name, value in session.items() if "generation" not in name})

    def write_index(self, *rows: Value) -> None:
        self.write(self.sessions / "_index.json", list(rows))

    def write_rows(self, messages: Iterable[Value], sid: str = SID, **columns: Any) -> None:
        """Rows as the agent writes them: the tag of the workspace before each prompt, which is written at once, and the
        answer as the agent works, before the server stamps it (formats.md, "Stamps").

        A message may carry columns of its own (``active``, ``compacted``, ...).
        """
        path = self.home / "state.db"
        new = not path.exists()
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA synchronous = OFF")
            if new:
                database.executescript(SCHEMA)
            columns = {"source": "webui", "title": "Notes", "started_at": START, "cwd": "/srv/notes", **columns}
            _insert(database, "sessions", {"id": sid, **columns})
            sent = START
            for message in messages:
                at = message.get("timestamp", START)
                sent = at if message["role"] == "user" else sent
                row = {**message, "timestamp": sent + 0.8 * (at - sent)}
                if "name" in row:
                    row["tool_name"] = row.pop("name")
                if row["role"] == "user" and isinstance(row["content"], str):
                    row["content"] = f"[Workspace::v1: /srv/notes]\n{row['content']}"
                elif isinstance(row["content"], list):
                    row["content"] = "\0json:" + json.dumps(row["content"])
                if isinstance(row.get("tool_calls"), list):
                    row["tool_calls"] = json.dumps(row["tool_calls"])
                _insert(database, "messages", {"session_id": sid, **row})
            database.commit()

    def write_run(self, messages: Sequence[Any], stream: str = "9f86d081884c7d65", **fields: Any) -> None:
        """The journal of a run that ended: its ``done`` holds the whole session as it was then, without any marks."""
        session = self.session(messages, **fields)
        for name in MARK_FIELDS:
            session.pop(name, None)
        ended = session["updated_at"]
        self.write_events([("done", ended, {"session": session}), ("stream_end", ended, {})], stream)

    def write_events(self, events: Iterable[tuple[str, float, Value]], stream: str) -> None:
        """The journal of a run: for each event its name, its time and its payload."""
        folder = self.sessions / "_run_journal" / SID
        folder.mkdir(parents=True, exist_ok=True)
        lines = [
            {"version": 1, "event_id": f"{stream}:{seq}", "seq": seq, "run_id": stream, "session_id": SID}
            | {"event": name, "type": name, "created_at": at, "terminal": name == "stream_end", "payload": payload}
            for seq, (name, at, payload) in enumerate(events, 1)
        ]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / f"{stream}.jsonl").write_text(text, "utf-8")

    def tear_live(self, before: str) -> None:
        """Cut the live file off right before these words."""
        data = self.live.read_bytes()
        self.live.write_bytes(data[: data.index(before.encode())])

    def audit(self) -> Audit:
        return audit(find_store(home=self.home))

    def kinds(self) -> list[str]:
        """The kinds of the session's findings."""
        return [f.kind.name for s in self.audit().sessions if s.session_id == SID for f in s.findings]

    def repair(self, *sids: str) -> api.Result:
        """Repair everything, or the named sessions."""
        return api.apply(api.plan(find_store(home=self.home), sids or None))

    def choose(self, include: Iterable[int] = (), exclude: Iterable[int] = ()) -> dict[str, Choices]:
        """What a person chooses who looks at the session now, as a plan takes it."""
        store = find_store(home=self.home)
        with Inventory(store) as inventory:
            proposal = examine(inventory, webui_status(store), SID).proposal
        return {SID: Choices(frozenset(include), frozenset(exclude), made_on=proposal.fingerprint)}

    def load(self) -> Value:
        loaded = json.loads(self.live.read_bytes())
        assert isinstance(loaded, dict)
        assert loaded["message_count"] == len(loaded["messages"])
        return loaded

    def texts(self) -> list[Any]:
        return self.said(self.load()["messages"])

    @staticmethod
    def write(path: Path, value: Any) -> bytes:
        data = json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "surrogatepass")
        path.write_bytes(data)
        return data


def _times(messages: Sequence[Any]) -> list[float]:
    times = (m.get("timestamp") for m in messages if isinstance(m, dict))
    return [t for t in times if isinstance(t, int | float)]


def _insert(database: sqlite3.Connection, table: str, values: Value) -> None:
    places = ", ".join("?" * len(values))
    database.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})", list(values.values()))


@pytest.fixture(autouse=True)
def alone(no_servers: None) -> None:
    """What a running WebUI changes is shown in ``tests/faults`` and where its processes are looked for."""


@pytest.fixture
def hermes(tmp_path: Path) -> Hermes:
    home = tmp_path / "hermes"
    (home / "webui" / "sessions").mkdir(parents=True)
    return Hermes(home)
