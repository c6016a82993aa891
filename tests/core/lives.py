"""Random lives of a session (turns, intents, bugs and faults), played onto real files and a real database.

What a perfect repair gives back is worked out from what really happened, not from what the engine thinks. Where the
marks of intent leave it open, a message is neither wanted nor forbidden.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

Value: TypeAlias = dict[str, Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY, source TEXT NOT NULL, session_key TEXT, model TEXT, model_config TEXT, parent_session_id TEXT,
    started_at REAL NOT NULL, ended_at REAL, message_count INTEGER DEFAULT 0, cwd TEXT, git_branch TEXT,
    git_repo_root TEXT, title TEXT, profile_name TEXT, rewind_count INTEGER NOT NULL DEFAULT 0,
    archived INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL REFERENCES sessions(id), role TEXT NOT NULL,
    content TEXT, tool_call_id TEXT, tool_calls TEXT, tool_name TEXT, timestamp REAL NOT NULL, finish_reason TEXT,
    reasoning TEXT, active INTEGER NOT NULL DEFAULT 1, compacted INTEGER NOT NULL DEFAULT 0
);
"""
WORKSPACE = "/home/me/[projects]/café"
TAG = "[Workspace::v1: /home/me/[projects\\]/café]\n"
MARKS = ("truncation_watermark", "truncation_boundary", "clear_generation", "intentional_shrink_generation")

# --- what happens ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Turn:
    """A prompt and its answer, ``gap`` seconds after what was before; rows are stamped ``drift`` seconds later.

    A ``prompt`` or ``answer`` of None is a text that is said once only; ``tools``: the results of each round of calls.
    Providers that count their tool calls give the same ids again.
    """

    prompt: str | None = None
    answer: str | None = None
    tools: tuple[int, ...] = ()
    saved_in: Literal["both", "sidecar", "database"] = "both"
    drift: float = 0.0
    gap: int = 20
    image: bool = False
    ids: Literal["unique", "short", "counted"] = "unique"


@dataclass(frozen=True, slots=True)
class Stale:
    """A save from an older state: the last turns are gone from the file, its metadata stays."""

    turns: int


@dataclass(frozen=True, slots=True)
class Wipe:
    """A save of a head that was loaded without its messages."""


@dataclass(frozen=True, slots=True)
class Undo:
    """Undo of the last turns; ``rewinds``: the agent marks the rows too; ``again``: a retry or an edit."""

    turns: int
    rewinds: bool = False
    again: Turn | None = None


@dataclass(frozen=True, slots=True)
class Clear:
    """The user empties the conversation."""


@dataclass(frozen=True, slots=True)
class ClockStep:
    """The clock is set back or forward by these seconds."""

    seconds: int


Act: TypeAlias = Turn | Stale | Wipe | Undo | Clear | ClockStep
Fraction: TypeAlias = float
"""Where a file is torn, or which part of the rows is pruned: from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What happens to the copies at the end."""

    live: Literal["lose", "nul", "zero", "bom", "utf16"] | Fraction | None = None
    backup: Literal["lose"] | Fraction | None = None
    rows: Literal["all"] | Fraction | None = None
    index_row: Literal["lose"] | None = None
    temp: Turn | None = None
    lossy: bool = False
    count: int | None = None
    pending: str | None = None


@dataclass(frozen=True, slots=True)
class Life:
    """All that happens to one session."""

    acts: tuple[Act, ...]
    faults: Faults = field(default_factory=Faults)


# --- what is known of it --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Said:
    """A message that was really said: ``value`` as a sidecar holds it, ``row_time`` as the database stamps it."""

    number: int
    value: Value
    row_time: float

    @property
    def time(self) -> float:
        return float(self.value["timestamp"])

    @property
    def is_user(self) -> bool:
        return bool(self.value["role"] == "user")

    @property
    def text(self) -> str:
        content = self.value["content"]
        return str(content[0]["text"] if isinstance(content, list) else content)


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of intent of a save."""

    watermark: float | None = None
    boundary: float | None = None
    clear: str | None = None
    shrink: str | None = None

    @property
    def cleared(self) -> bool:
        return self.watermark == 0.0 and self.boundary == 0.0

    def fields(self) -> Value:
        return dict(zip(MARKS, (self.watermark, self.boundary, self.clear, self.shrink), strict=True))


@dataclass(frozen=True, slots=True)
class Saved:
    """A state of the sidecar."""

    messages: tuple[Said, ...] = ()
    marks: Marks = Marks()


@dataclass(frozen=True, slots=True)
class OnDisk:
    """A copy as the faults left it: the messages in it that are whole, its marks (None: unreadable), whether a pending
    prompt can be read, and whether nothing is missing."""

    messages: tuple[Said, ...] = ()
    marks: Marks | None = None
    pending: bool = False
    complete: bool = False


@dataclass(frozen=True, slots=True)
class Truth:
    """What must hold for a session after a repair of everything that has one right answer.

    ``wanted``: the messages in their order, each with the fullest value that a copy still has; ``forbidden``: those
    that must not be there; ``times`` finds a message by its stamp, ``calls`` the call of a tool result; ``orders``: the
    copies as they are, which alone decide about order after a clock step; ``untouched``: the file, or its absence,
    stays as it is.
    """

    session_id: str
    wanted: dict[int, Value]
    forbidden: frozenset[int]
    times: dict[float, int]
    calls: dict[int, int]
    orders: tuple[tuple[int, ...], ...]
    stepped: bool
    untouched: bool


class Player:
    """Plays the acts of one life; the sidecar is kept in memory and written at the end."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.clock = 1_784_000_000
        self.said: list[Said] = []
        self.calls: dict[int, int] = {}
        self.live = Saved()
        self.backup: Saved | None = None
        self.rows: list[Said] = []
        self.taken: set[int] = set()
        self.rewound: set[int] = set()
        self.last_kept = -1
        self.stepped = False
        self.generations = 0

    def play(self, act: Act) -> None:
        match act:
            case Turn():
                self.turn(act)
            case Stale():
                self.save(replace(self.live, messages=self.without_turns(act.turns)))
            case Wipe():
                self.save(replace(self.live, messages=()))
            case Undo() if self.live.messages:
                self.undo(act)
            case Clear():
                self.taken |= {said.number for said in self.said}
                self.last_kept = -1
                self.save(Saved((), Marks(0.0, 0.0, self.generation(), self.generation())))
            case ClockStep():
                self.clock += act.seconds
                self.stepped = True

    def turn(self, turn: Turn) -> None:
        fresh = self.say(turn)
        if turn.saved_in != "sidecar":
            self.rows += fresh
        if turn.saved_in != "database":
            marks = self.live.marks
            if marks.watermark:  # 0.0 stays: it stands for everything that was there
                marks = replace(marks, watermark=fresh[0].time)
            self.save(Saved((*self.live.messages, *fresh), marks))

    def undo(self, act: Undo) -> None:
        kept = self.without_turns(act.turns)
        gone = self.live.messages[len(kept) :]
        self.taken |= {said.number for said in gone}
        if act.rewinds:
            self.rewound |= {said.number for said in gone}
        boundary = kept[-1].time if kept else 0.0
        self.last_kept = kept[-1].number if kept else -1
        self.save(Saved(kept, Marks(boundary, boundary, self.live.marks.clear, self.generation())))
        if act.again is not None:
            self.turn(replace(act.again, prompt=act.again.prompt or gone[0].text))

    def without_turns(self, turns: int) -> tuple[Said, ...]:
        starts = [k for k, said in enumerate(self.live.messages) if said.is_user]
        return self.live.messages[: starts[-turns] if turns <= len(starts) else 0]

    def save(self, state: Saved) -> None:
        if len(state.messages) < len(self.live.messages):
            self.backup = self.live
        self.live = state

    def generation(self) -> str:
        self.generations += 1
        return uuid.UUID(int=(self.generations << 96) + hash_of(self.session_id), version=4).hex

    def say(self, turn: Turn) -> list[Said]:
        """The messages of a turn, stamped; nothing is repeated so soon that two messages could be taken for one."""
        self.clock += turn.gap
        first = len(self.said)
        prompt = turn.prompt or f"Frage {first}: wo hängt\tder\nWorker? 索引 🚀"
        prompt = self.distinct("user", prompt)
        content: Any = prompt
        if turn.image:
            content = [{"type": "text", "text": prompt}, {"type": "image_url", "image_url": {"url": f"data:,{first}"}}]
        self.tell({"role": "user", "content": content}, turn.drift)
        self.clock += 3
        for step, results in enumerate(turn.tools):
            styles = {"unique": f"call_{first:06x}", "short": "c", "counted": "functions.terminal:"}
            near = any(not m.is_user and abs(m.time - self.clock) < 20 for m in self.said[:first])
            ids = [f"{styles['unique' if near else turn.ids]}{2 * step + k}" for k in range(results)]
            call = [
                {"id": i, "type": "function", "function": {"name": "terminal", "arguments": f'{{"n": {first}}}'}}
                for i in ids
            ]
            at = len(self.said)
            self.clock += 2
            self.tell({"role": "assistant", "content": "", "reasoning": f"Думаю {at}", "tool_calls": call}, turn.drift)
            for i in ids:
                self.clock += 1
                self.calls[len(self.said)] = at
                self.tell({"role": "tool", "content": "done", "tool_call_id": i, "tool_name": "terminal"}, turn.drift)
        self.clock += 3
        answer = self.distinct("assistant", turn.answer or f"Antwort {first}: naïve “café” エラー")
        self.tell({"role": "assistant", "content": answer, "reasoning": f"because {first}"}, turn.drift)
        return self.said[first:]

    def distinct(self, role: str, text: str) -> str:
        near = any((m.value["role"], m.text) == (role, text) and abs(m.time - self.clock) < 20 for m in self.said)
        return f"({len(self.said)}) {text}" if near else text

    def tell(self, value: Value, drift: float) -> None:
        number = len(self.said)
        time = round(self.clock + number / 1000, 3)
        self.said.append(Said(number, {**value, "timestamp": time}, round(time + drift, 3)))


def hash_of(session_id: str) -> int:
    """A number for an id that is the same in every run."""
    return int(session_id, 16)


# --- onto the disk --------------------------------------------------------------------------------------------------


def write(home: Path, lives: Sequence[Life]) -> list[Truth]:
    """Plays the lives into a new Hermes home; what must hold for each after a repair."""
    sessions = home / "webui" / "sessions"
    sessions.mkdir(parents=True)
    index: list[Value] = []
    truths = []
    with closing(sqlite3.connect(home / "state.db")) as database, database:
        database.executescript(SCHEMA)
        for number, life in enumerate(lives):
            player = Player(f"{number:012x}")
            for act in life.acts:
                player.play(act)
            truths.append(_write_one(sessions, database, index, player, life.faults))
    (sessions / "_index.json").write_text(json.dumps(index, ensure_ascii=False, indent=2), "utf-8")
    return truths


def _write_one(
    sessions: Path, database: sqlite3.Connection, index: list[Value], player: Player, faults: Faults
) -> Truth:
    sid, live = player.session_id, player.live
    last = live.messages[-1].time if live.messages else 1_784_000_000
    if faults.index_row is None:
        index.append(_head(sid, last, live) | {"message_count": len(live.messages)})
    prompt: Said | None = None
    head = _head(sid, last, live)
    if faults.pending is not None and faults.temp is None:
        prompt = _prompt(player, faults.pending)
        head |= {"active_stream_id": "stream-1", "pending_user_message": faults.pending, "pending_attachments": []}
        head |= {"pending_started_at": prompt.time, "pending_user_source": "webui"}
    values = [said.value for said in live.messages]
    if faults.lossy:
        values = [{k: v for k, v in value.items() if k not in ("tool_calls", "reasoning")} for value in values]
        head["_recovered_from_state_db"] = True
    data = _document(head, values)
    if faults.count is not None:
        data["message_count"] = faults.count
    on_disk = _write_file(sessions / f"{sid}.json", data, live, faults.live)
    backup = None
    if player.backup is not None:
        old = _document(_head(sid, last, player.backup), [said.value for said in player.backup.messages])
        backup = _write_file(sessions / f"{sid}.json.bak", old, player.backup, faults.backup)
    temp = None
    if faults.temp is not None:
        before = player.live
        player.turn(replace(faults.temp, saved_in="both" if faults.temp.saved_in == "both" else "sidecar"))
        state, player.live = player.live, before
        path = sessions / f"{sid}.tmp.4242.140001"
        temp = _write_file(path, _document(_head(sid, last, state), [s.value for s in state.messages]), state, None)
    rows = list(player.rows)
    if isinstance(faults.rows, float):
        rows = rows[int(len(rows) * faults.rows) :]
    if faults.rows == "all":
        rows = []
    else:
        _insert(database, sid, rows, player.rewound)
    return _Judge(player, faults, on_disk, backup, temp, rows, prompt).truth()


def _prompt(player: Player, text: str) -> Said:
    """A prompt whose turn never ended; only the head of the file knows it."""
    player.clock += 20
    time = player.clock + 0.999  # like no other
    said = Said(len(player.said), {"role": "user", "content": text, "timestamp": time}, time)
    player.said.append(said)
    player.clock += 20
    return said


def _head(sid: str, last: float, state: Saved) -> Value:
    return {
        "session_id": sid, "title": f"Life {sid}", "workspace": WORKSPACE, "created_workspace": WORKSPACE, "model": "m",
        "created_at": 1_784_000_000.0, "updated_at": last, "pinned": False, "archived": False, "profile": None,
        "active_stream_id": None, "pending_user_message": None, "pending_attachments": [], "pending_started_at": None,
        "pending_user_source": None, **state.marks.fields(), "gateway_routing": None, "source_tag": "webui",
    }  # fmt: skip


def _document(head: Value, messages: Sequence[Value]) -> Value:
    tail: Value = {"tool_calls": [], "anchor_activity_scenes": {}, "context_messages": []}
    return {**head, "message_count": len(messages), "messages": list(messages), **tail}


def _write_file(path: Path, document: Value, state: Saved, fault: str | Fraction | None) -> OnDisk:
    """Writes one sidecar with its fault; what is left in it."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    whole = OnDisk(state.messages, state.marks, pending=True, complete=True)
    data = text.encode()
    match fault:
        case "lose":
            return OnDisk()
        case "zero" | "nul":
            path.write_bytes(b"" if fault == "zero" else bytes(len(data)))
            return OnDisk()
        case "bom" | "utf16":
            path.write_bytes(b"\xef\xbb\xbf" + data if fault == "bom" else text.encode("utf-16"))
            return whole
        case float():
            at = min(int(len(data) * fault), len(data) - 1)
            pending, marks = data.index(b'"pending_user_message"'), data.index(b'"truncation_watermark"')
            generations, behind = data.index(b'"clear_generation"'), data.index(b'"gateway_routing"')
            for first, last in ((pending, marks), (generations, behind)):
                at = first if first < at < last else at  # these are cut off together
            path.write_bytes(data[:at])
            left = tuple(_whole(data, at, document, state))
            return OnDisk(left, state.marks if at >= behind else None, pending=at >= marks)
    path.write_bytes(data)
    return whole


def _whole(data: bytes, at: int, document: Value, state: Saved) -> Iterable[Said]:
    """The messages that end before the tear."""
    end = data.index(b'"messages": [')
    for said, value in zip(state.messages, document["messages"], strict=True):
        piece = json.dumps(value, indent=2, ensure_ascii=False).replace("\n", "\n    ").encode()
        end = data.index(piece, end) + len(piece)
        if end <= at:
            yield said


def _insert(database: sqlite3.Connection, sid: str, rows: Sequence[Said], rewound: set[int]) -> None:
    database.execute(
        "INSERT INTO sessions (id, source, started_at, title, cwd, message_count) VALUES (?, 'webui', ?, ?, ?, ?)",
        (sid, 1_784_000_000.0, f"Life {sid}", WORKSPACE, len(rows)),
    )
    for said in rows:
        value = said.value
        content = value["content"]
        if isinstance(content, list):
            content = "\0json:" + json.dumps([{**content[0], "text": TAG + content[0]["text"]}, *content[1:]])
        elif said.is_user:
            content = TAG + content
        calls = value.get("tool_calls")
        database.execute(
            "INSERT INTO messages (session_id, role, content, tool_call_id, tool_calls, tool_name, timestamp,"
            " reasoning, active) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                sid, value["role"], content, value.get("tool_call_id"), json.dumps(calls) if calls else None,
                value.get("tool_name"), said.row_time, value.get("reasoning"), said.number not in rewound,
            ),
        )  # fmt: skip


# --- the truth ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Judge:
    player: Player
    faults: Faults
    live: OnDisk
    backup: OnDisk | None
    temp: OnDisk | None
    rows: Sequence[Said]
    prompt: Said | None

    def truth(self) -> Truth:
        player = self.player
        copies = [copy.messages for copy in (self.live, self.temp, self.backup) if copy is not None]
        copies.append(tuple(self.rows))
        verdicts = {said.number: self.verdict(said) for said in player.said if any(said in copy for copy in copies)}
        if self.prompt is not None and self.live.pending:
            before = [said.text for said in player.said[: self.prompt.number]]
            repeated = player.stepped and self.prompt.text in before  # it may be the one that has arrived
            verdicts[self.prompt.number] = "open" if repeated else "wanted"
        if self.waits_for_a_person():
            verdicts = dict.fromkeys(verdicts, "open")
        wanted = {n: self.fullest(player.said[n]) for n, v in sorted(verdicts.items()) if v == "wanted"}
        mine = {said.number for said in self.live.messages}
        healthy = self.faults.live is None and not self.faults.lossy and self.prompt is None
        healthy = healthy and self.faults.count in (None, len(mine))
        return Truth(
            player.session_id,
            wanted,
            frozenset(n for n, v in verdicts.items() if v == "forbidden"),
            {round(time, 3): said.number for said in player.said for time in (said.time, said.row_time)},
            player.calls,
            tuple(tuple(said.number for said in copy) for copy in copies),
            player.stepped,
            self.waits_for_a_person()
            or (healthy and "open" not in verdicts.values() and wanted.keys() <= mine),
        )  # fmt: skip

    def waits_for_a_person(self) -> bool:
        """A lost file that no database knows: only the user knows whether it was deleted."""
        return self.faults.live == "lose" and self.faults.rows == "all" and self.temp is None

    def fullest(self, said: Said) -> Value:
        poor = self.faults.lossy and said in self.live.messages
        elsewhere = said in self.rows or any(said in c.messages for c in (self.temp, self.backup) if c is not None)
        if poor and not elsewhere:
            return {k: v for k, v in said.value.items() if k not in ("tool_calls", "reasoning")}
        return said.value

    def verdict(self, said: Said) -> str:
        """ "wanted", "forbidden", or "open" where nobody can know."""
        player = self.player
        if said in self.live.messages or (self.temp is not None and said in self.temp.messages):
            return "wanted"
        if said.number in player.rewound and said in self.rows:
            return "forbidden"
        marks = self.temp.marks if self.temp is not None else self.live.marks
        taken = said.number in player.taken
        if marks is None:
            return "open" if taken else self.without_marks(said)
        if marks.shrink is None:
            return "wanted"
        old = self.backup
        if old is not None and said in old.messages and old.marks is not None and old.marks.shrink == marks.shrink:
            return "wanted"
        if marks.cleared:
            return self.behind_a_clear(said, taken=taken)
        return self.behind_an_undo(said, marks, taken=taken)

    def without_marks(self, said: Said) -> str:
        """The marks are lost with the live file: what the copies hold counts, as far as the backup leaves it open."""
        if self.backup is None or said in self.backup.messages:
            return "wanted"
        marks = self.backup.marks
        if marks is None or marks.shrink is None:
            return "wanted"
        if marks.cleared:
            return self.behind_something_newer(said, self.backup)
        return "open" if self.player.stepped or self.in_window(said.row_time, marks) else "wanted"

    def behind_something_newer(self, said: Said, copy: OnDisk) -> str:
        """With both marks at 0.0 every row is taken back, but for those behind a row from after the clear."""
        anchored = any(m in self.rows and m.number < said.number for m in copy.messages)
        return "wanted" if said in self.rows and anchored else "open"

    def in_window(self, time: float, marks: Marks) -> bool:
        """Whether the marks say of a message of this time that it was taken back."""
        assert marks.boundary is not None
        assert marks.watermark is not None
        return marks.boundary < time and (marks.boundary == marks.watermark or time < marks.watermark)

    def behind_a_clear(self, said: Said, *, taken: bool) -> str:
        if taken:
            return "forbidden"
        if said.number < max((m.number for m in self.live.messages), default=-1):
            return self.between(said)
        return self.behind_something_newer(said, self.live)

    def behind_an_undo(self, said: Said, marks: Marks, *, taken: bool) -> str:
        mine = {m.number for m in self.live.messages}
        certain = not self.player.stepped or (self.live.complete and marks.boundary == marks.watermark)
        if said.number > self.player.last_kept:
            if taken:
                return "forbidden" if certain else "open"
            return "open" if self.in_window(said.time, marks) or self.player.stepped else "wanted"
        if min(mine, default=said.number) < said.number < max(mine, default=-1):
            return self.between(said)
        return "open" if taken or self.player.stepped else "wanted"

    def between(self, said: Said) -> str:
        """A whole turn that is missing between two kept ones of a session that was shortened: the user is asked."""
        mine = {m.number for m in self.live.messages}
        held = {m.number for c in (self.backup, self.temp) if c is not None for m in c.messages}
        held |= {m.number for m in self.rows}
        first = said.number
        while first - 1 not in mine:
            if first == 0:
                return "open"
            first -= 1
        run = [n for n in range(first, said.number + 1) if n in held]
        whole = self.live.complete and self.player.said[run[0]].is_user
        return "forbidden" if whole else "open"
