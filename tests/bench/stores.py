"""Makes large stores to measure on: sidecars in the WebUI's layout, a state.db with the agent's tables and indexes (its
full-text tables apart, which no audit reads), backups, journals, and damage of each kind. The same numbers give the
same store.

    python tests/bench/stores.py FOLDER --sessions 2000 --messages 90 --length 4800 [--no-journals]

Shares and shapes are those of stores that the real programs wrote: of the bytes of a file 9 % are not ASCII and almost
no text is without, half of the texts have an emoji; a line break, a tab and a quote for each 600 bytes; one message in
four is a tool's; in one session of five somebody sent a picture; lengths spread as theirs do. In one of ten the
agent wrote the rows of its last turn twice.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from hermes_rescue.core.demo.demo_store import SCHEMA
from hermes_rescue.core.hermes.sidecar import FIELD_DEFAULTS
from hermes_rescue.core.repair.rebuild_index import ROW_FIELDS
from journals import write_journals

Value = dict[str, Any]

KINDS = ("wiped", "shrunken", "behind", "torn", "missing", "empty", "unsaved")
"""What is wrong with a damaged session. All of it can be repaired without asking."""

INDEXES = """
CREATE INDEX idx_sessions_source ON sessions(source);
CREATE INDEX idx_sessions_started ON sessions(started_at DESC);
CREATE INDEX idx_messages_active_null ON messages(active) WHERE active IS NULL;
CREATE INDEX idx_messages_platform_msg_id ON messages(session_id, platform_message_id)
    WHERE platform_message_id IS NOT NULL;
"""

INSERT = (
    "INSERT INTO messages (session_id, role, content, tool_call_id, tool_calls, tool_name, timestamp, reasoning,"
    " active) VALUES (?,?,?,?,?,?,?,?,?)"
)

PLAIN = (
    "the session keeps its messages and their tool calls in order so that nothing is lost when two copies drift apart "
    "parse merge align repair backup journal database rows column index path branch stored line by line and in full "
    "def return import class yield raise except lambda assert"
)
FOREIGN = "größer naïve Füße 例えば 重要 → ≈ “so” сессия ошибка データ"
SPECIAL = ("tab\tnew\nline", '"said"', "C:\\path")


@cache
def _soup(ascii_only: bool) -> str:
    """A long text of such words, of which every other text is a part."""
    plain, foreign = PLAIN.split(" "), FOREIGN.split(" ")
    weights = [*[89 / len(plain)] * len(plain), *[0 if ascii_only else 9 / len(foreign)] * len(foreign), 1.1, 0.5, 0.1]
    return " ".join(random.Random(1).choices([*plain, *foreign, *SPECIAL], weights, k=350_000))


def mishap(session: int) -> str:
    """What became of a session: one of ``KINDS`` for 15 % of them; of the others some have lived through an undo."""
    damaged = session * 15 // 100
    if (session + 1) * 15 // 100 > damaged:
        return KINDS[damaged % len(KINDS)]
    return "undone" if session % 20 == 3 else ""


def session_id(session: int) -> str:
    """The id of a session, random as the WebUI's are."""
    return hashlib.sha256(b"%d" % session).hexdigest()[:12]


class Talk:
    """Makes up what is said in one session: the same whatever sessions there are besides."""

    def __init__(
        self, session: int, messages: int, length: float, *, spread: float = 0.5, ascii_only: bool = False
    ) -> None:
        self._session = session
        self._length = length
        self._ascii_only = ascii_only
        self._chance = random.Random(session)
        self._turns = max(2, round(messages / 4 * self._chance.lognormvariate(-(spread**2) / 2, spread)))
        self._texts = 0

    def transcript(self) -> list[Value]:
        """Turns of a prompt, a tool call, its result and an answer."""
        found: list[Value] = []
        for turn in range(self._turns):
            time = 1.75e9 + self._session * 1000 + turn * 61.3 + self._chance.random()
            with_picture = self._session % 5 == 1 and turn == self._turns // 2
            found += self._turn(f"call_{self._session}_{turn}", time, with_picture=with_picture)
        return found

    def _turn(self, call: str, time: float, *, with_picture: bool) -> list[Value]:
        arguments = json.dumps({"command": self._text(0.1)}, ensure_ascii=False)
        function = {"name": "terminal", "arguments": arguments}
        prompt: str | list[Value] = self._text(0.05)
        if with_picture:
            picture = {"url": "data:image/png;base64," + "iVBORw0KGgo" * int(self._length / 10)}
            prompt = [{"type": "text", "text": prompt}, {"type": "image_url", "image_url": picture}]
        return [
            {"role": "user", "content": prompt, "timestamp": round(time, 6)},
            {
                "role": "assistant",
                "content": "",
                "timestamp": round(time + 4.241, 6),
                "reasoning": self._text(0.25),
                "tool_calls": [{"id": call, "type": "function", "function": function}],
            },
            {
                "role": "tool",
                "content": self._text(2.7),
                "timestamp": round(time + 5.507, 6),
                "tool_call_id": call,
                "name": "terminal",
                "tool_name": "terminal",
            },
            {"role": "assistant", "content": self._text(0.9), "timestamp": round(time + 9.733, 6)},
        ]

    def _text(self, share: float) -> str:
        """A text that no other is like, around a share of the usual length of a message."""
        self._texts += 1
        soup, length = _soup(self._ascii_only), int(self._length * share * self._chance.uniform(0.1, 1.9))
        start = self._chance.randrange(max(1, len(soup) - length))
        sign = "*" if self._ascii_only else "🚀" if self._chance.random() < 0.55 else "✔"
        return f"{self._session}.{self._texts} {sign} {soup[start : start + length]}"


class Writer:
    """Writes one store."""

    def __init__(self, home: Path, *, journals: bool) -> None:
        self._has_journals = journals
        self.sessions_dir = home / "webui" / "sessions"
        self.sessions_dir.mkdir(parents=True)
        self._index: list[bytes] = []
        self._database = sqlite3.connect(home / "state.db")
        self._database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;" + SCHEMA + INDEXES)

    def add(self, session: int, transcript: list[Value], kind: str = "") -> None:
        """One session, and what became of it."""
        sid = session_id(session)
        workspace = f"/home/hermes/projects/{sid[:4]}"
        last_turn = max(k for k, message in enumerate(transcript) if message["role"] == "user")
        kept = {"wiped": 0, "shrunken": last_turn // 2, "behind": -2, "unsaved": -2, "undone": last_turn}.get(kind)
        fields = {
            "session_id": sid,
            "title": f"Session {session}",
            "workspace": workspace,
            "created_workspace": workspace,
            "model": "anthropic/claude-sonnet-5",
            "created_at": transcript[0]["timestamp"],
            "updated_at": transcript[-1]["timestamp"],
        }
        path = self.sessions_dir / f"{sid}.json"
        whole = _sidecar(fields, transcript)
        if self._has_journals:
            write_journals(self.sessions_dir, session, fields, transcript)
        if kind in ("wiped", "shrunken", "undone"):
            path.with_suffix(".json.bak").write_bytes(whole)
        elif kind == "unsaved":
            path.with_suffix(".tmp.8997.140303735766451").write_bytes(whole)
        if kind == "undone":
            end = transcript[last_turn - 1]["timestamp"]
            fields |= {"truncation_watermark": end, "truncation_boundary": end}
            fields["intentional_shrink_generation"] = UUID(bytes=hashlib.md5(sid.encode()).digest(), version=4).hex
        if kind != "missing":
            text = whole if kept is None else _sidecar(fields, transcript[:kept])
            path.write_bytes({"torn": text[: len(text) * 2 // 3], "empty": b""}.get(kind, text))
        self._add_row(fields, transcript[:kept] if kind == "undone" else transcript)
        self._add_rows(fields, transcript, taken_back=last_turn if kind == "undone" else len(transcript))
        if session % 10 == 4 and kind != "undone":
            self._write_rows(fields, transcript[last_turn:])

    def add_foreign(self, sessions: int, rows: int) -> None:
        """Sessions of another front, with so many rows each."""
        for number in range(sessions):
            sid = f"telegram-{number}"
            self._add_session(sid, "telegram", 1.7e9 + number, rows, None, None)
            said = ({"role": ("user", "assistant")[k % 2], "content": _soup(True)[k : k + 80]} for k in range(rows))
            stamped = ({**message, "timestamp": 1.7e9 + k} for k, message in enumerate(said))
            self._database.executemany(INSERT, (row_of(sid, "/srv", message) for message in stamped))

    def close(self) -> None:
        """Write the index, newest first, and bring the database to rest."""
        (self.sessions_dir / "_index.json").write_bytes(b"[\n" + b",\n".join(self._index[::-1]) + b"\n]")
        self._database.commit()
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._database.close()

    def _add_row(self, fields: Value, messages: list[Value]) -> None:
        """The row of the session list."""
        last = messages[-1]["timestamp"]
        known = {**FIELD_DEFAULTS, **fields, "message_count": len(messages), "last_message_at": last}
        known |= {"user_message_count": sum(message["role"] == "user" for message in messages)}
        known |= {"cache_hit_percent": None, "has_pending_user_message": False, "is_streaming": False}
        row = {name: known[name] for name in ROW_FIELDS if not name.startswith("worktree_")}
        self._index.append(b"  " + _dumps(row).replace(b"\n", b"\n  "))

    def _add_session(self, *values: object) -> None:
        self._database.execute(
            "INSERT INTO sessions (id, source, started_at, message_count, title, cwd) VALUES (?,?,?,?,?,?)", values
        )

    def _add_rows(self, fields: Value, transcript: list[Value], *, taken_back: int) -> None:
        sid, workspace = fields["session_id"], fields["workspace"]
        self._add_session(sid, "webui", fields["created_at"], taken_back, fields["title"], workspace)
        self._write_rows(fields, transcript[:taken_back])
        self._write_rows(fields, transcript[taken_back:], active=False)

    def _write_rows(self, fields: Value, messages: list[Value], *, active: bool = True) -> None:
        sid, workspace = fields["session_id"], fields["workspace"]
        self._database.executemany(INSERT, (row_of(sid, workspace, message, active=active) for message in messages))


def row_of(sid: str, workspace: str, message: Value, *, active: bool = True) -> tuple[object, ...]:
    """A message as the agent writes it to its database, a little later for one session in three."""
    content = message["content"]
    if message["role"] == "user":
        tag = f"[Workspace::v1: {workspace}]\n"
        if isinstance(content, str):
            content = tag + content
        else:
            first, *others = content
            content = "\0json:" + json.dumps([{**first, "text": tag + first["text"]}, *others])
    calls = json.dumps(message["tool_calls"]) if "tool_calls" in message else None
    time = message["timestamp"] + (1.7 if sid[-1] in "01234" else 0.0)
    named = (message.get("tool_call_id"), calls, message.get("tool_name"))
    return (sid, message["role"], content, *named, time, message.get("reasoning"), int(active))


def say_more(home: Path, session: int) -> None:
    """Go on with a session as the programs do: two more messages in its file, in the list and in the database."""
    sid = session_id(session)
    path = home / "webui" / "sessions" / f"{sid}.json"
    sidecar = orjson.loads(path.read_bytes())
    time = sidecar["messages"][-1]["timestamp"]
    said = [
        {"role": "user", "content": f"And after {time}?", "timestamp": time + 30},
        {"role": "assistant", "content": f"Then comes {time + 31}.", "timestamp": time + 31},
    ]
    sidecar["messages"] += said
    sidecar |= {"message_count": len(sidecar["messages"]), "updated_at": time + 31}
    _replace(path, sidecar)
    rows = orjson.loads(path.with_name("_index.json").read_bytes())
    row = next(row for row in rows if row["session_id"] == sid)
    row |= {name: sidecar[name] for name in ("message_count", "updated_at")} | {"last_message_at": time + 31}
    _replace(path.with_name("_index.json"), [row, *(other for other in rows if other is not row)])
    with closing(sqlite3.connect(home / "state.db")) as database, database:
        database.executemany(INSERT, (row_of(sid, sidecar["workspace"], message) for message in said))


def make_store(
    home: Path,
    *,
    sessions: Iterable[int],
    messages: int,
    length: float,
    spread: float = 0.5,
    ascii_only: bool = False,
    became: Callable[[int], str] = mishap,
    foreign_rows: int = 0,
    journals: bool = True,
) -> Path:
    """A store in a new folder, which is returned.

    ``sessions`` are numbers, each of which stands for the same session in every store; ``messages`` how many one has on
    average, and ``spread`` how far from that (0: all have as many); ``length`` the characters of a message on average,
    which real ones have not only of ASCII.
    ``became`` says what became of each; ``foreign_rows`` are rows of sessions that another front made;
    ``journals``: as the WebUI writes them, one for each run.
    """
    writer = Writer(home, journals=journals)
    for session in sessions:
        talk = Talk(session, messages, length, spread=spread, ascii_only=ascii_only)
        writer.add(session, talk.transcript(), became(session))
    writer.add_foreign(foreign_rows // 100, 100)
    writer.close()
    return home


def _sidecar(fields: Value, messages: list[Value]) -> bytes:
    return _dumps({**FIELD_DEFAULTS, **fields, "message_count": len(messages), "messages": messages})


def _dumps(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2)  # the same bytes as the standard json with indent=2


def _replace(path: Path, value: object) -> None:
    temp = path.with_suffix(".tmp.8997.1")
    temp.write_bytes(_dumps(value))
    temp.replace(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sessions", type=int, default=2000)
    parser.add_argument("--messages", type=int, default=90, help="of a session, on average")
    parser.add_argument("--length", type=int, default=4800, help="characters of a message, on average")
    parser.add_argument("--no-journals", dest="journals", action="store_false")
    asked = parser.parse_args()
    sessions = range(asked.sessions)
    shape = {"messages": asked.messages, "length": asked.length, "journals": asked.journals}
    make_store(asked.folder, sessions=sessions, **shape)
