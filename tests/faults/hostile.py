"""A small Hermes home with one healthy session, and everything that can be put in the place of one of its files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from ..conftest import take_snapshot
from ..core.conftest import SID, START, Hermes

BOUND = 60.0
"""Seconds in which anything must have come to an end."""

HEALTHY = "aaaaaaaaaaaa"
DELETED = "dddddddddddd"

Make = Callable[[Path, bytes, Path], None]
Rescue = Callable[..., tuple[int, str, str]]

as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can do this")


@contextmanager
def bounded(seconds: float = BOUND) -> Iterator[None]:
    """What runs inside ends in time, or the test fails."""

    def late(_: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"not done after {seconds:g} s")

    old = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


# --- the home ---------------------------------------------------------------------------------------------------------


def sound_home(folder: Path) -> Hermes:
    """A home in which nothing is lost: ``SID`` with the same four messages in every kind of copy, ``HEALTHY`` beside it
    and ``DELETED``, which the user deleted."""
    home = folder / "hermes"
    (home / "webui" / "sessions").mkdir(parents=True)
    hermes = Hermes(home)
    said = hermes.turns("a", "b")
    hermes.write_live(said)
    hermes.write_backup(said)
    hermes.write_temp(said)
    hermes.write_rows(said)
    write_session(hermes, HEALTHY, said)
    deleted = hermes.session(said, session_id=DELETED)
    (hermes.sessions / f"{DELETED}.json.bak").write_text(json.dumps(deleted))
    rows = [{"session_id": sid, "title": "Notes", "updated_at": START} for sid in (SID, HEALTHY)]
    hermes.write_index(*rows)
    for name, value in POSITION_VALUES.items():
        path = POSITIONS[name](hermes)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value if isinstance(value, str) else json.dumps(value))
    return hermes


def write_session(hermes: Hermes, sid: str, messages: list[dict[str, Any]], **fields: Any) -> Path:
    """A session file as the WebUI writes it."""
    path = hermes.sessions / f"{sid}.json"
    path.write_text(json.dumps(hermes.session(messages, session_id=sid, **fields), indent=2))
    return path


def _lines(*events: dict[str, Any]) -> str:
    return "".join(json.dumps({"version": 1, "session_id": SID, **event}) + "\n" for event in events)


_TURN = {"turn_id": "t1", "created_at": START}
_HERMES = Hermes(Path())

POSITIONS: dict[str, Callable[[Hermes], Path]] = {
    "live": lambda hermes: hermes.live,
    "backup": lambda hermes: hermes.sessions / f"{SID}.json.bak",
    "temp": lambda hermes: hermes.sessions / f"{SID}.tmp.77.1403",
    "index": lambda hermes: hermes.sessions / "_index.json",
    "tombstones": lambda hermes: hermes.sessions / "_deleted_webui_sessions.json",
    "turn journal": lambda hermes: hermes.sessions / "_turn_journal" / f"{SID}~7.jsonl",
    "run journal": lambda hermes: hermes.sessions / "_run_journal" / SID / "s1.jsonl",
    "database": lambda hermes: hermes.home / "state.db",
    "projects": lambda hermes: hermes.home / "webui" / "projects.json",
}
"""Where each file of the home lies."""

OF_SESSION = ("live", "backup", "temp", "turn journal", "run journal")
"""Positions that a session has for itself; the others are those of the whole home."""

POSITION_VALUES: dict[str, Any] = {
    "tombstones": {"version": 1, "ids": [DELETED]},
    "turn journal": _lines(
        {**_TURN, "event": "submitted", "role": "user", "content": "ask a"}, {**_TURN, "event": "completed"}
    ),
    "run journal": _lines(
        {"event": "token", "payload": {"text": "answer"}},
        {
            "event": "done",
            "terminal": True,
            "created_at": START + 14,
            "payload": {"session": _HERMES.session(_HERMES.turns("a", "b"))},
        },
    ),
    "projects": [{"project_id": "p1", "name": "Work", "color": "#fff", "profile": None, "created_at": START}],
}

FOLDERS: dict[str, Callable[[Hermes], Path]] = {
    "turn journals": lambda hermes: hermes.sessions / "_turn_journal",
    "run journals": lambda hermes: hermes.sessions / "_run_journal",
    "a session's run journals": lambda hermes: hermes.sessions / "_run_journal" / SID,
}

# --- what is put there ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """``make(path, sound, outside)`` puts something at a path where nothing is; ``sound`` are the bytes that were
    there, ``outside`` a folder that nobody may touch. ``harmless``: the positions at which it still says all that the
    file has to say. ``special``: it is no regular file that can be read, so nobody may write in its place."""

    name: str
    make: Make
    harmless: frozenset[str] = frozenset()
    special: bool = False


def _content(name: str, change: Callable[[bytes], bytes], harmless: Collection[str] = ()) -> Case:
    def make(path: Path, sound: bytes, _: Path) -> None:
        path.write_bytes(change(sound))

    return Case(name, make, frozenset(harmless))


def fifo(path: Path, _: bytes, __: Path) -> None:
    os.mkfifo(path)


def bound_socket(path: Path, _: bytes, __: Path) -> None:
    """A socket file; bound by a short relative name, since the path of a socket may have only 108 bytes."""
    here = os.open(".", os.O_RDONLY)
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.fchdir(here)
        os.close(here)


def link_to(target: Callable[[Path, Path], Path | str]) -> Make:
    return lambda path, _, outside: path.symlink_to(target(path, outside))


def _link_outside(path: Path, sound: bytes, outside: Path) -> None:
    (outside / "target").write_bytes(sound)
    path.symlink_to(outside / "target")


def _hard_link(path: Path, sound: bytes, outside: Path) -> None:
    (outside / "target").write_bytes(sound)
    os.link(outside / "target", path)


def _folder(path: Path, _: bytes, __: Path) -> None:
    path.mkdir()
    (path / "inside.json").write_text("{}")


SPECIAL = (
    Case("fifo", fifo, special=True),
    Case("socket", bound_socket, special=True),
    Case("folder", _folder, special=True),
    Case("symlink loop", link_to(lambda path, _: path.name), special=True),
    Case("symlink dangling", link_to(lambda _, outside: outside / "missing"), special=True),
    Case("symlink to outside", _link_outside, frozenset({"database"}), special=True),
    Case("symlink to /dev/zero", link_to(lambda *_: "/dev/zero"), special=True),
    Case("symlink to a folder", link_to(lambda _, outside: outside), special=True),
)
"""What is no regular file; devices are made by root only and so stand apart."""

HARD_LINK = Case("hard link", _hard_link)


def _with_invalid_utf8(sound: bytes) -> bytes:
    """Two stray bytes inside a text."""
    inside = next(text for text in (b"nswer b", b"sk a", b"otes", b"ork", b"ddd", b"QLite") if text in sound)
    return sound.replace(inside, b"\xff\xc3" + inside, 1)


_JOURNALS = ("turn journal", "run journal")

RAW = (
    _content("empty", lambda _: b"", _JOURNALS),
    _content("one byte", lambda sound: sound[:1]),
    _content("white space", lambda _: b" \n\t\r\n", _JOURNALS),
    _content("zero bytes", lambda sound: bytes(len(sound))),
    _content("zero bytes behind", lambda sound: sound + bytes(4096), ["database"]),
    _content("zero bytes before", lambda sound: bytes(4096) + sound),
    _content("zero bytes in the middle", lambda sound: sound[: len(sound) // 3] + bytes(99) + sound[len(sound) // 2 :]),
    _content("torn in half", lambda sound: sound[: len(sound) // 2]),
    _content("last byte missing", lambda sound: sound.rstrip()[:-1], ["database"]),
    _content("first byte missing", lambda sound: sound[1:]),
    _content("twice", lambda sound: sound + sound, ["turn journal", "run journal", "database"]),
    _content("garbage behind", lambda sound: sound + b"}]}garbage\xff", ["database"]),
    _content("bom", lambda sound: b"\xef\xbb\xbf" + sound),
    _content("utf-16", lambda sound: sound.decode("latin-1").encode("utf-16")),
    _content("utf-16 without mark", lambda sound: sound.decode("latin-1").encode("utf-16-be")),
    _content("utf-32", lambda sound: sound.decode("latin-1").encode("utf-32")),
    _content("invalid utf-8", _with_invalid_utf8, ["database"]),
    _content("random bytes", lambda sound: bytes((k * k * 7 + k * 13 + k // 251) % 256 for k in range(3000))),
    _content("gzip", lambda _: b"\x1f\x8b\x08\x00" + bytes(range(256))),
)


def _odd(name: str, text: str, harmless: Collection[str] = ()) -> tuple[Case, Case]:
    """A value in a field that nobody knows: of the first object of the file, and of its first message."""
    value = text.encode()
    return (
        _content(name, lambda sound: sound.replace(b"{", b'{"odd": ' + value + b", ", 1), harmless),
        _content(
            f"{name}, in a message",
            lambda sound: sound.replace(b'"role"', b'"odd": ' + value + b', "role"', 1),
            harmless,
        ),
    )


def nested(depth: int) -> str:
    """So many lists inside each other."""
    return "[" * depth + "]" * depth


JSON = (
    *_odd("NaN", "NaN", POSITIONS),
    *_odd("infinities", "[Infinity, -Infinity, 1e999]", POSITIONS),
    *_odd("lone surrogates", '"\\ud83d \\udc00\\ud83d"', POSITIONS),
    *_odd("5,000 digits", "7" * 5000, POSITIONS),
    *_odd("a number with 5,000 places", "0." + "7" * 5000, POSITIONS),
    *_odd("line separators and zero characters", '"\\u2028\\u0000\u2029\\u0085"', POSITIONS),
    *_odd("the same key twice", '1, "odd": 2', POSITIONS),
    *_odd("nested 300 deep", nested(300), POSITIONS),
    *_odd("nested 800 deep", nested(800), POSITIONS),
    *(case for depth in (900, 960, 1000, 1023) for case in _odd(f"nested {depth} deep", nested(depth), POSITIONS)),
    *(case for depth in (1025, 3000, 20_000, 100_000) for case in _odd(f"nested {depth} deep", nested(depth))),
    *_odd("objects nested 100,000 deep", '{"a":' * 100_000 + "1" + "}" * 100_000),
    *_odd("100,000 brackets that never close", "[" * 100_000),
    *_odd("a control character in a text", '"a\x01b\nc"'),
    *_odd("a hundred thousand keys", "{" + ", ".join(f'"{k}": {k}' for k in range(100_000)) + "}", POSITIONS),
    *_odd("a word that is no value", "undefined"),
    *_odd("a comment", "/* hello */ 1"),
    *_odd("a single quote", "'x'"),
    _content("null", lambda _: b"null"),
    _content("a number", lambda _: b"7"),
    _content("a text", lambda _: b'"messages"'),
    _content("an empty object", lambda _: b"{}", _JOURNALS),
    _content("an empty list", lambda _: b"[]", ["projects"]),
    _content("a list of lists", lambda _: b"[[[], {}], 7, null]"),
    _content("another document", lambda _: b'{"hello": "world"}', _JOURNALS),
    _content("messages is a number", lambda _: b'{"session_id": "%s", "messages": 7}' % SID.encode(), _JOURNALS),
    _content("messages is an object", lambda _: b'{"session_id": "%s", "messages": {}}' % SID.encode(), _JOURNALS),
    _content(
        "messages of every type",
        lambda _: b'{"session_id": "%s", "messages": [7, null, "x", [], {}]}' % SID.encode(),
        _JOURNALS,
    ),
)


def put(case: Case, path: Path, outside: Path, sid: str = SID) -> None:
    """Put a case in the place of a file or folder of a session."""
    sound = path.read_bytes() if path.is_file() else b""
    if path.is_dir():
        path.rename(path.with_name("moved away"))
    else:
        path.unlink()
    case.make(path, sound, outside)
    if not case.special:
        path.write_bytes(path.read_bytes().replace(SID.encode(), sid.encode()))


def clone(hermes: Hermes, sids: Sequence[str]) -> None:
    """Sessions that are like ``SID`` in every copy, in its place; the ids must be as long as that one."""
    for name in ("_turn_journal", "_run_journal", ""):
        for path in sorted((hermes.sessions / name).glob(f"{SID}*")):
            for sid in sids:
                _copy(path, path.with_name(path.name.replace(SID, sid)), sid)
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    index = POSITIONS["index"](hermes)
    rows = json.loads(index.read_bytes())
    hermes.write_index(*(rows[0] | {"session_id": sid} for sid in sids), *rows[1:])
    with closing(sqlite3.connect(hermes.home / "state.db")) as database:
        for table in ("sessions", "messages"):
            names = [name for _, name, *_ in database.execute(f"PRAGMA table_info({table})")]
            mine = "id" if table == "sessions" else "session_id"
            kept = [name for name in names if name not in (mine, "id", "title")]
            for sid in sids:
                copied = f"SELECT ?, {', '.join(kept)} FROM {table} WHERE {mine} = ? ORDER BY {mine}"
                database.execute(f"INSERT INTO {table} ({mine}, {', '.join(kept)}) {copied}", (sid, SID))
        database.execute("DELETE FROM messages WHERE session_id = ?", (SID,))
        database.execute("DELETE FROM sessions WHERE id = ?", (SID,))
        database.commit()


def _copy(path: Path, target: Path, sid: str) -> None:
    if path.is_dir():
        target.mkdir()
        for inner in path.iterdir():
            _copy(inner, target / inner.name, sid)
    else:
        target.write_bytes(path.read_bytes().replace(SID.encode(), sid.encode()))


def everything(folder: Path) -> dict[str, Any]:
    """A snapshot that does not open what is no regular file, without the vault."""
    found = take_snapshot(folder)
    vault = {name for name in found if Path(name).is_relative_to("webui/rescue")}
    return {
        name: entry if entry[0] == "file" else (*entry[:2], entry[4])
        for name, entry in found.items()
        if name not in vault
    }
