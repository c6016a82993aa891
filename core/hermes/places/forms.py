"""The forms in which a session lies outside its own files, each read as a sidecar: a sidecar or the WebUI's export, the
agent's snapshot, a line of ``hermes sessions export``, and a spool of one message a line.
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from hermes_rescue.core.base import files, jsontext
from hermes_rescue.core.base.errors import UnreadableError
from hermes_rescue.core.base.json_lines import LineFile
from hermes_rescue.core.base.jsontext import LIST_FIELD, Piece, number
from hermes_rescue.core.hermes import sidecar
from hermes_rescue.core.hermes.database.statedb_rows import message_row
from hermes_rescue.core.hermes.places.candidate import Candidate, Form
from hermes_rescue.core.hermes.sidecar import Sidecar
from hermes_rescue.core.hermes.store import is_session_name
from hermes_rescue.core.hermes.workspace_tag import untag

LARGEST = 2**30
"""Bytes of a file beyond which it is no session, packed or not."""

REFUSED = "pending-"
"""What the names of files with refused messages begin with."""

_HEAD = 64 * 1024
_GZIP = b"\x1f\x8b"
_BLOCK = 2**20

_SNAPSHOT = frozenset({"session_start", "platform"})
_ROW = frozenset({"id", "source", "started_at"})


_BEGINNINGS = (b"{", b"[", _GZIP, b"SQLite format 3", codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b"\0")
"""Of JSON in whatever encoding or damaged, of what is packed, and of a database."""


class Head(NamedTuple):
    """What the beginning of a file says: whose session it is, which program it belongs to, and whether there is a list
    of messages at all.
    """

    session_id: str | None = None
    platform: str | None = None
    is_session: bool = False


def head(path: Path) -> Head:
    """The head of a file that may hold a session; one that says nothing where it cannot be read."""
    try:
        data = files.read_regular(path, _HEAD)
        if data.startswith(_GZIP):
            data = zlib.decompressobj(31).decompress(data, _HEAD)
    except (OSError, UnreadableError, zlib.error):
        return Head()
    document = jsontext.parse_object(sidecar.without_messages(data))
    fields = document.fields
    facts = {name: fields[name].value for name in ("session_id", "id", "platform") if name in fields}
    inner, platform = facts.get("session_id"), facts.get("platform")
    if inner is None and "source" in fields:
        inner = facts.get("id")
    return Head(
        inner if is_session_name(inner) else None,
        platform if isinstance(platform, str) else None,
        document.elements is not None,
    )


def is_known(path: Path) -> bool:
    """Whether a file begins like one that is read here, or as nothing that could be told apart. Raises OSError."""
    with path.open("rb") as file:
        begin = file.read(_BLOCK).removeprefix(codecs.BOM_UTF8).lstrip()
    return not begin or begin.startswith(_BEGINNINGS)


def may_add(candidate: Candidate, messages: int) -> bool:
    """Whether a place is read for a session whose file has so many messages: one near it always, any other where
    nothing says that it has not more.
    """
    return candidate.is_near or not messages or candidate.count is None or candidate.count > messages


def read(path: Path, session_id: str) -> Sidecar | None:
    """The session of that id in a file of any form, None where it holds none of it. Raises OSError, UnreadableError."""
    data = contents(path)
    if not _is_lines(path.name):
        found = _of_object(sidecar.parse(data), session_id)
        if found is not None:
            return found
    return next((found for key, found in _sessions_in_lines(data, path.name) if key == session_id), None)


class Refused(NamedTuple):
    """A message that a database refused: whose it is, what orders it among the others, and what it says."""

    session_id: str
    order: tuple[float, float, str]
    message: dict[str, Any]


def refused(path: Path) -> Refused | None:
    """The message in a file of ``pending_messages``; None where it holds none of a session."""
    try:
        fields = jsontext.parse_object(files.read_regular(path, LARGEST)).fields
    except (OSError, UnreadableError):
        return None
    facts = {name: fields[name].value for name in ("ts", "seq", "data") if name in fields}
    data = facts.get("data")
    session_id, value = (data.get("session_id"), data.get("message")) if isinstance(data, dict) else (None, None)
    if not is_session_name(session_id) or not isinstance(value, dict) or not isinstance(value.get("role"), str):
        return None
    order = number(facts.get("ts")) or 0.0, number(facts.get("seq")) or 0.0, path.name
    return Refused(session_id, order, value)


def read_refused(folder: Path, session_id: str) -> Sidecar | None:
    """All messages of a session in such a folder. Raises OSError."""
    found = [each for path in folder.iterdir() if path.name.startswith(REFUSED) and (each := refused(path)) is not None]
    own = sorted((each for each in found if each.session_id == session_id), key=lambda each: each.order)
    pieces = [_spooled(k, each.message) for k, each in enumerate(own)]
    return _made({"session_id": session_id}, pieces) if pieces else None


def _spooled(k: int, value: Mapping[str, Any]) -> Piece:
    """A message as the agent has it, as one of a sidecar."""
    return sidecar.message_piece(message_row(k, {name: _as_text(each) for name, each in value.items()}).message)


def may_have_lines(path: Path) -> bool:
    """Whether the beginning of a file of lines looks like sessions or messages. Raises OSError, UnreadableError."""
    data = files.read_regular(path, _HEAD)
    return data.startswith(_GZIP) or b'"messages"' in data or b'"role"' in data or len(data) == _HEAD


def ids_in_lines(path: Path) -> Iterator[str]:
    """The sessions that the lines of a file hold. Raises OSError, UnreadableError."""
    for session_id, _ in _sessions_in_lines(contents(path), path.name):
        yield session_id


def contents(path: Path) -> bytes:
    """The bytes of a file, unpacked. Raises OSError, UnreadableError."""
    if path.stat().st_size > LARGEST:
        raise UnreadableError(f"{files.shown(path)} is too large for a session.")
    data = files.read_regular(path)
    if not data.startswith(_GZIP):
        return data
    unpacked = bytearray()
    try:
        with gzip.GzipFile(fileobj=BytesIO(data)) as packed:
            while block := packed.read(_BLOCK):
                unpacked += block
                if len(unpacked) > LARGEST:
                    raise UnreadableError(f"{files.shown(path)} is too large for a session when it is unpacked.")
    except (OSError, EOFError, zlib.error):
        if not unpacked:
            raise UnreadableError(f"{files.shown(path)} is a damaged gzip file.") from None
    return bytes(unpacked)  # of a torn one what is whole


def contents_of(candidates: Iterable[Candidate]) -> Iterator[bytes]:
    """The bytes of those candidates that are files and can be read."""
    for each in candidates:
        if each.form is not Form.DATABASE:
            with suppress(OSError, UnreadableError):
                yield contents(each.path)


def _is_lines(name: str) -> bool:
    return name.lower().removesuffix(".gz").endswith(".jsonl")


def _of_object(found: Sidecar, session_id: str) -> Sidecar | None:
    inner = found.get("session_id")
    if not found.is_session and not found.messages:
        return None
    if inner is None and found.head.keys() >= _ROW:
        inner = found.get("id")
    if inner != session_id and not (inner is None and found.messages):
        return None
    if found.head.keys() >= _ROW:
        values = {name: piece.value for name, piece in found.head.items()}
        return _of_row(values, [piece.value for piece in found.messages], session_id)
    return _of_snapshot(found, session_id) if found.head.keys() & _SNAPSHOT else found


def _of_snapshot(found: Sidecar, session_id: str) -> Sidecar:
    """The agent's snapshot as a sidecar: prompts without the workspace tag, which names the workspace."""
    messages, workspace = [], None
    for piece in found.messages:
        value = piece.value
        if isinstance(value, dict) and value.get("role") == "user":
            text, tagged = untag(value.get("content"))
            workspace = tagged or workspace
            piece = piece if text == value.get("content") else sidecar.message_piece({**value, "content": text})
        messages.append(piece)
    fields: dict[str, Any] = {"session_id": session_id, "model": found.get("model"), "workspace": workspace}
    fields |= {"created_at": _seconds(found.get("session_start")), "updated_at": _seconds(found.get("last_updated"))}
    return _made(fields, messages)


def _of_row(row: Mapping[str, Any], listed: list[Any], session_id: str) -> Sidecar:
    """A session of ``hermes sessions export``: its row, and a row for each message."""
    messages, workspace = [], None
    for k, each in enumerate(listed):
        if isinstance(each, dict):
            texts = {name: _as_text(value) for name, value in each.items()}
            made = message_row(k, texts)
            workspace = made.workspace or workspace
            if made.status != "rewound" and not made.hidden:
                messages.append(sidecar.message_piece(made.message))
    fields = {name: row.get(name) for name in ("title", "model", "parent_session_id")}
    fields |= {"session_id": session_id, "workspace": workspace or row.get("cwd")}
    return _made({**fields, "created_at": number(row.get("started_at"))}, messages)


def _as_text(value: Any) -> Any:
    """A list in an export is what its column holds as JSON."""
    return jsontext.dumps(value).decode() if isinstance(value, list | dict) else value


def _made(fields: Mapping[str, Any], messages: list[Piece]) -> Sidecar:
    head_ = {name: Piece(None, value, 1) for name, value in fields.items() if value is not None}
    return Sidecar({**head_, LIST_FIELD: jsontext.MESSAGES_HERE}, tuple(messages))


def _sessions_in_lines(data: bytes, name: str) -> Iterator[tuple[str, Sidecar]]:
    """The sessions in the lines of a file: one a line, or the messages of one, which its lines or its name identify."""
    spooled: dict[str, list[Piece]] = {}
    own = name.partition(".")[0]
    for fields in LineFile(BytesIO(data), len(data)).forwards():
        line = {key: piece.value for key, piece in fields.items()}
        key = line.get("session_id") or line.get("id") if LIST_FIELD in line else line.get("session_id", own)
        if not is_session_name(key):
            continue
        if isinstance(line.get(LIST_FIELD), list):
            is_row = line.keys() >= _ROW
            yield key, _of_row(line, line[LIST_FIELD], key) if is_row else _of_line(line, key)
        elif isinstance(line.get("role"), str):
            spooled.setdefault(key, []).append(_spooled(len(spooled), line))
    for key, messages in spooled.items():
        yield key, _made({"session_id": key}, messages)


def _of_line(line: Mapping[str, Any], key: str) -> Sidecar:
    fields = {name: value for name, value in line.items() if name != LIST_FIELD}
    return _made({**fields, "session_id": key}, [sidecar.message_piece(each) for each in line[LIST_FIELD]])


def _seconds(text: Any) -> float | None:
    """A time as a snapshot has it: a number, or an ISO date in local time."""
    if isinstance(text, str):
        with suppress(ValueError, OverflowError, OSError):
            return datetime.fromisoformat(text).timestamp()
        return None
    return number(text)
