"""The small files beside the sidecars: turn journal, run journal, tombstones, index. Damaged lines are passed over.

Shapes as in formats.md, "In the state dir".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core import files, jsontext
from core.errors import UnreadableError
from core.jsontext import NotJSONError, Piece, number
from core.message import visible_text
from core.store import is_safe_session_id

INDEX_NAME = "_index.json"
TOMBSTONES_NAME = "_deleted_webui_sessions.json"
TURN_JOURNAL = "_turn_journal"
RUN_JOURNAL = "_run_journal"

ENDED = frozenset({"completed", "interrupted", "cancelled", "failed", "error"})


@dataclass(frozen=True, slots=True)
class SubmittedTurn:
    """A prompt that the user sent. ``ended``: its turn is known to have come to an end."""

    turn_id: str
    content: Any
    attachments: tuple[Any, ...]
    workspace: str | None
    created_at: float | None
    ended: bool

    @property
    def text(self) -> str:
        """The prompt as a person sees it."""
        return visible_text(self.content, "user")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The newest whole session that a run journal holds: metadata and messages as pieces."""

    path: Path
    fields: dict[str, Piece]
    messages: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """``_index.json``: a row per session. ``problem`` says why it cannot be read; ``digest`` is None where it is
    missing.
    """

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    problem: str | None = None
    data: bytes | None = None


def read_index(sessions_dir: Path) -> Index:
    """Read the index; a damaged one gives the rows that are still whole, with the problem."""
    try:
        data = files.read_regular(sessions_dir / INDEX_NAME)
    except FileNotFoundError:
        return Index()
    except UnreadableError as error:
        return Index(problem=str(error))
    problem = None
    try:
        listed = jsontext.loads(data.decode())
        if not isinstance(listed, list):
            listed, problem = [], f"{INDEX_NAME} is not a list"
    except (UnicodeDecodeError, NotJSONError):
        # the walker reads lists only as the messages of an object: dress the list up as one
        document = jsontext.parse_object(b'{"messages": ' + data.lstrip(b"\xef\xbb\xbf").strip(b"\0") + b"}")
        listed, problem = [piece.value for piece in document.elements or ()], f"{INDEX_NAME} is damaged"
    rows = {
        row["session_id"]: row for row in listed if isinstance(row, dict) and is_safe_session_id(row.get("session_id"))
    }
    return Index(rows, tuple(rows), problem, data)


def read_id_list(path: Path) -> frozenset[str]:
    """The ids of a tombstone file; what is damaged or missing names nobody."""
    try:
        listed = jsontext.loads(files.read_regular(path).decode("utf-8", "replace"))
    except (FileNotFoundError, UnreadableError, NotJSONError):
        return frozenset()
    ids = listed.get("ids") if isinstance(listed, dict) else None
    return frozenset(filter(is_safe_session_id, ids)) if isinstance(ids, list) else frozenset()


def turn_journals(sessions_dir: Path) -> dict[str, tuple[Path, ...]]:
    """The turn journal files of each session: ``<sid>~<pid>.jsonl`` and the older ``<sid>.jsonl``."""
    found: dict[str, list[Path]] = {}
    for path in _listed(sessions_dir / TURN_JOURNAL):
        session_id = path.name.removesuffix(".jsonl").split("~")[0]
        if path.name.endswith(".jsonl") and is_safe_session_id(session_id):
            found.setdefault(session_id, []).append(path)
    return {session_id: tuple(paths) for session_id, paths in found.items()}


def run_journals(sessions_dir: Path) -> dict[str, tuple[Path, ...]]:
    """The run journal files of each session: ``<sid>/<stream>.jsonl``."""
    found = {}
    for folder in _listed(sessions_dir / RUN_JOURNAL):
        if is_safe_session_id(folder.name) and folder.is_dir() and not folder.is_symlink():
            paths = tuple(path for path in _listed(folder) if path.name.endswith(".jsonl"))
            if paths:
                found[folder.name] = paths
    return found


def submitted_turns(session_id: str, paths: tuple[Path, ...]) -> tuple[SubmittedTurn, ...]:
    """The prompts of a session in the order in which they were sent."""
    turns: dict[str, dict[str, Any]] = {}
    ended: set[str] = set()
    for event in _events(paths):
        turn_id = event.get("turn_id")
        if not isinstance(turn_id, str) or event.get("session_id", session_id) != session_id:
            continue
        if event.get("event") == "submitted" and event.get("role", "user") == "user":
            turns.setdefault(turn_id, event)
        if event.get("terminal") is True or event.get("event") in ENDED:
            ended.add(turn_id)
    result = []
    for turn_id, event in turns.items():
        attachments, workspace = event.get("attachments"), event.get("workspace")
        result.append(
            SubmittedTurn(
                turn_id,
                event.get("content"),
                tuple(attachments) if isinstance(attachments, list) else (),
                workspace if isinstance(workspace, str) and workspace else None,
                number(event.get("created_at")),
                turn_id in ended,
            )
        )
    return tuple(sorted(result, key=lambda turn: turn.created_at or 0.0))


def last_done(session_id: str, paths: tuple[Path, ...]) -> RunRecord | None:
    """The newest ``done`` event that carries the whole session."""
    newest: tuple[float, RunRecord] | None = None
    for path in paths:
        for event in _events((path,)):
            payload = event.get("payload")
            session = payload.get("session") if event.get("event") == "done" and isinstance(payload, dict) else None
            if not isinstance(session, dict) or session.get("session_id", session_id) != session_id:
                continue
            messages = session.get("messages")
            if not isinstance(messages, list):
                continue
            when = number(event.get("created_at")) or 0.0
            if newest is None or when >= newest[0]:
                fields = {key: Piece(None, value, 1) for key, value in session.items() if key != jsontext.LIST_FIELD}
                newest = when, RunRecord(path, fields, tuple(Piece(None, m, 2) for m in messages))
    return newest[1] if newest else None


def _events(paths: tuple[Path, ...]) -> Iterator[dict[str, Any]]:
    for path in paths:
        try:
            yield from jsontext.lines(files.read_regular(path))
        except (FileNotFoundError, UnreadableError):
            continue


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []
    except OSError:
        return []
