"""One session file: parse, count, salvage, serialise.

The field order and the rules of a save are those of Hermes WebUI (formats.md, "The sidecar"). Every write of a sidecar
goes through :func:`save`, which carries the WebUI's two guards: a head without its messages is never saved, and a save
that shrinks the transcript leaves the old file as its backup first.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from io import BytesIO
from pathlib import Path
from typing import Any

from hermes_rescue.core.base import files, jsontext
from hermes_rescue.core.base.errors import ChangedMeanwhileError, UnreadableError
from hermes_rescue.core.base.jsontext import (
    LIST_FIELD,
    MESSAGES_HERE,
    Damage,
    LargeElement,
    PackedObject,
    Piece,
    is_same,
)

HEAD_LIMIT = 64 * 1024
"""Bytes of a file that hold its metadata (they stand before the messages)."""

_BEGIN = b'{\n  "session_id": '
_LIST_BEGINS = b',\n  "messages": ['

FIELD_DEFAULTS: dict[str, Any] = {
    "session_id": None,
    "title": "Untitled",
    "workspace": None,
    "created_workspace": None,
    "model": None,
    "model_provider": None,
    "model_explicit_pick_signature": None,
    "created_at": None,
    "updated_at": None,
    "pinned": False,
    "archived": False,
    "project_id": None,
    "profile": None,
    "input_tokens": 0,
    "output_tokens": 0,
    "estimated_cost": None,
    "cache_read_tokens": 0,
    "cache_write_tokens": 0,
    "personality": None,
    "active_stream_id": None,
    "pending_user_message": None,
    "pending_attachments": [],
    "pending_started_at": None,
    "pending_user_source": None,
    "compression_anchor_visible_idx": None,
    "compression_anchor_message_key": None,
    "compression_anchor_summary": None,
    "pre_compression_snapshot": False,
    "context_engine": None,
    "compression_anchor_engine": None,
    "compression_anchor_mode": None,
    "compression_anchor_details": {},
    "context_engine_state": {},
    "context_length": None,
    "threshold_tokens": None,
    "last_prompt_tokens": None,
    "post_compression_context_tokens_estimate": None,
    "compression_recovery": {},
    "recommended_recovery_action": None,
    "compression_recovery_source_session_id": None,
    "compression_recovery_action": None,
    "truncation_watermark": None,
    "truncation_boundary": None,
    "clear_generation": None,
    "intentional_shrink_generation": None,
    "gateway_routing": None,
    "gateway_routing_history": [],
    "llm_title_generated": False,
    "manual_title": False,
    "parent_session_id": None,
    "worktree_path": None,
    "worktree_branch": None,
    "worktree_repo_root": None,
    "worktree_created_at": None,
    "is_cli_session": False,
    "source_tag": "webui",
    "raw_source": "webui",
    "session_source": "webui",
    "source_label": None,
    "read_only": False,
    "enabled_toolsets": None,
    "composer_draft": {},
    "process_wakeup_pause": {},
    "share_token": None,
    "share_created_at": None,
    "message_count": 0,
    "anchor_scene_index": {},
    LIST_FIELD: None,
    "tool_calls": [],
    "anchor_activity_scenes": {},
    "context_messages": [],
}
"""Every field of a sidecar in the WebUI's order, with what a new session has there."""

IDLE_STREAM: dict[str, Any] = {
    "active_stream_id": None,
    "pending_user_message": None,
    "pending_attachments": [],
    "pending_started_at": None,
    "pending_user_source": None,
}
"""The stream fields of a session in which nothing runs."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A session as one file has it.

    ``head`` holds every field but the messages, in file order; ``messages`` each message as a piece (its bytes and its
    value). ``damage`` says why the WebUI could not load the file, ``complete`` that no part of it is missing all the
    same. ``after_end``, ``lost_bytes`` and ``encoding`` are those of a :class:`jsontext.Document`: messages that a
    longer file left after the end of this one, bytes of a damaged file that could not be understood, and the codec.
    """

    head: dict[str, Piece]
    messages: tuple[Piece, ...]
    damage: Damage | None = None
    complete: bool = True
    after_end: tuple[Piece, ...] = ()
    lost_bytes: int = 0
    encoding: str = "utf-8"

    def get(self, field: str, default: Any = None) -> Any:
        """The value of a metadata field; ``default`` where it is absent."""
        piece = self.head.get(field)
        return default if piece is None else piece.value

    @property
    def is_session(self) -> bool:
        """A whole or salvaged session; False for another kind of JSON document and for a file without any content."""
        return "session_id" in self.head or self.head.get(LIST_FIELD) is MESSAGES_HERE

    def with_fields(self, changes: Mapping[str, Any]) -> Sidecar:
        """The same with these values; unchanged values keep their bytes, new fields take their usual place."""
        head = dict(self.head)
        for field, value in changes.items():
            if field not in head or head[field].value != value:
                head[field] = Piece(None, value, 1)
        return replace(self, head=_in_order(head, self.head))

    def without(self, fields: Collection[str]) -> Sidecar:
        """The same without these fields."""
        return replace(self, head={name: piece for name, piece in self.head.items() if name not in fields})

    def with_messages(self, messages: Iterable[Piece]) -> Sidecar:
        """A whole session with another transcript and its count (an older file without a count stays without)."""
        changed = Sidecar(_in_order({**self.head, LIST_FIELD: MESSAGES_HERE}, self.head), tuple(messages))
        return (
            changed.with_fields({"message_count": len(changed.messages)}) if "message_count" in self.head else changed
        )


@dataclass(frozen=True)
class SidecarFile:
    """What lies at a path: the session in it, or why there is none. ``mtime`` in seconds; ``target``: what was read,
    where the path is a link; ``like``: a file of the same bytes that was read before.
    """

    path: Path
    data: bytes | None
    mtime: float = 0.0
    problem: str | None = None
    target: Path | None = None
    like: SidecarFile | None = None

    @cached_property
    def sidecar(self) -> Sidecar | None:
        """The session in it, parsed when it is asked for."""
        if self.like is not None:
            return self.like.sidecar
        return None if self.data is None else parse(self.data)

    @property
    def size(self) -> int:
        """Bytes that were read."""
        return len(self.data or b"")

    @cached_property
    def digest(self) -> str | None:
        """The SHA-256 of the bytes (hex), None where they could not be read."""
        return None if self.data is None else files.digest_of(self.data)


def messages_of(file: SidecarFile | None) -> tuple[Piece, ...]:
    """The messages of the session in a file that may be missing or unreadable."""
    return () if file is None or file.sidecar is None else file.sidecar.messages


def leading(files: Iterable[SidecarFile | None]) -> SidecarFile | None:
    """The first of some files that holds messages."""
    return next((file for file in files if messages_of(file)), None)


def equal_once(found: Iterable[SidecarFile]) -> Iterator[SidecarFile]:
    """The same files, of which bytes that several have are held and parsed once."""
    known: dict[bytes, SidecarFile] = {}
    for file in found:
        first = file if file.data is None else known.setdefault(file.data, file)
        yield file if first is file else replace(file, data=first.data, like=first)


def parse(data: bytes) -> Sidecar:
    """A session from the bytes of its file, salvaged where they are damaged; never raises.

    Fields with which the WebUI could not load or list the session say nothing and are left out.
    """
    document = jsontext.parse_object(data)
    unloadable = tuple(_unloadable(document.fields))
    return Sidecar(
        {key: piece for key, piece in document.fields.items() if key not in unloadable},
        document.elements or (),
        document.damage or (Damage.WRONG_SHAPE if unloadable else None),
        document.complete,
        after_end=document.after_end,
        lost_bytes=document.lost_bytes,
        encoding=document.encoding,
    )


_PATH_FIELDS = ("workspace", "created_workspace", "worktree_path", "worktree_repo_root")
_ID_FIELDS = ("session_id", "parent_session_id", "active_stream_id")
_COUNT_FIELDS = ("message_count", "post_compression_context_tokens_estimate", "input_tokens", "cache_read_tokens")
_NO_PATH = re.compile("[\0\ud800-\udc7f\udd00-\udfff]")
"""Characters that no path can have: Python keeps bytes that are no UTF-8 as U+DC80 to U+DCFF in it."""


def _unloadable(fields: Mapping[str, Piece]) -> Iterator[str]:
    """The fields that the WebUI cannot load."""
    for name in (*_PATH_FIELDS, *_ID_FIELDS, *_COUNT_FIELDS, "self"):
        if name in fields and not _is_plain_text(fields[name].raw) and not is_loadable(name, fields[name].value):
            yield name
    if "self" in fields and _is_plain_text(fields["self"].raw):
        yield "self"


def is_loadable(name: str, value: Any) -> bool:
    """Whether the WebUI's ``Session.load`` and its session list take this value of a field (tried with exp-v0.52.262).

    It makes paths of some, numbers of others, and uses ids as keys. A field named ``self`` is an argument too many.
    """
    if name in _PATH_FIELDS:
        is_text = isinstance(value, str) and not _NO_PATH.search(value)
        return is_text or not (value or name == "workspace")
    if name in _ID_FIELDS:
        return not (isinstance(value, (list, dict)) and value)
    if name in _COUNT_FIELDS:
        return value not in (math.inf, -math.inf)
    return name != "self"


def _is_plain_text(raw: bytes) -> bool:
    return raw.startswith(b'"') and b"\\u" not in raw


def read(path: Path) -> SidecarFile:
    """Read one session file. Links, FIFOs, folders and unreadable files come back with a ``problem``, not as errors.

    Raises FileNotFoundError.
    """
    try:
        data, mtime = files.read_dated(path)
    except UnreadableError as error:
        return SidecarFile(path, None, problem=str(error))
    return SidecarFile(path, data, mtime)


def read_linked(path: Path, home: Path) -> SidecarFile:
    """The same; a link within a home is read as the WebUI reads it. Raises FileNotFoundError."""
    found = read(path)
    if found.problem is None or not path.is_symlink():
        return found
    target = Path(os.path.realpath(path))
    if not target.is_relative_to(os.path.realpath(home)):
        words = f"{files.shown(path)} is a symbolic link that leads out of the Hermes home, to {files.shown(target)}."
        return replace(found, problem=words)
    try:
        linked = read(target)
    except FileNotFoundError:  # what it leads to may come back, say with its disk
        words = f"{files.shown(path)} is a symbolic link to {files.shown(target)}, where nothing is."
        return replace(found, problem=words)
    return replace(linked, path=path, target=target) if linked.problem is None else found


def read_head(path: Path) -> Mapping[str, Piece]:
    """The metadata of a session, from the first ``HEAD_LIMIT`` bytes of its file. It is no :class:`Sidecar`, so that
    nobody can save it: that would empty the session.

    Raises FileNotFoundError, UnreadableError.
    """
    return jsontext.parse_object(files.read_regular(path, HEAD_LIMIT)).fields


def without_messages(data: bytes) -> bytes:
    """What stands before the messages in the beginning of a session file, as a session without any. In another layout
    than the WebUI's it is all of it, where to find what was cut off within a message takes long.
    """
    head, found, _ = data.partition(_LIST_BEGINS) if data.startswith(_BEGIN) else (data, b"", b"")
    return head + found + b"]}" if found else data


def new(session_id: str, fields: Mapping[str, Any], messages: Iterable[Piece]) -> Sidecar:
    """A sidecar for a session that has none, with the WebUI's defaults where ``fields`` says nothing."""
    values = {**FIELD_DEFAULTS, **fields, "session_id": session_id}
    head = {key: Piece(None, value, 1) for key, value in values.items()}
    return Sidecar(_in_order(head, {}), ()).with_messages(messages)


def message_piece(value: Any, like: Piece | None = None) -> Piece:
    """A message that no sidecar holds yet, in the layout of the message list. ``like``: one that says much the same;
    where that is one of a large list, so is the new one, or it is that one, where both say the same to the letter.
    """
    if isinstance(like, LargeElement) and isinstance(value, dict):
        try:
            return like if is_same(value, like.value) else PackedObject(value, 2, like)
        except (UnicodeEncodeError, OverflowError):  # a lone surrogate, a huge integer
            return Piece(None, value, 2)
    return Piece(None, value, 2)


def serialise(sidecar: Sidecar) -> bytes:
    """The bytes of the session's file in the WebUI's layout; pieces that were not changed are spliced as they were."""
    data = BytesIO()
    data.writelines(_parts(sidecar))  # to join them would have all parts in memory beside the whole
    return data.getvalue()


def _parts(sidecar: Sidecar) -> Iterator[bytes]:
    before = b"{\n  "
    for key, piece in sidecar.head.items():
        yield before + jsontext.dumps(key) + b": "
        before = b",\n  "
        if key == LIST_FIELD:
            yield from _list_parts(sidecar.messages)
        else:
            yield piece.raw
    yield b"\n}"


def _list_parts(messages: Sequence[Piece]) -> Iterator[bytes]:
    before = b"[\n    "
    for piece in messages:
        yield before
        yield piece.raw
        before = b",\n    "
    yield b"\n  ]" if messages else b"[]"


@dataclass(frozen=True, slots=True)
class Write:
    """One file of the sessions folder that is to be written: created where ``expected`` is None, else in the place of
    the file with this SHA-256 (hex).
    """

    name: str
    data: bytes
    expected: str | None


def plan_writes(path: Path, sidecar: Sidecar, replaced: SidecarFile | None) -> tuple[Write, ...]:
    """What has to be written, in this order, so that ``path`` holds ``sidecar``: a new file (``replaced`` None), or one
    in the place of exactly what ``replaced`` was read from. Writes nothing.

    As the WebUI does it, a replacement that holds fewer messages first leaves the old bytes as ``<sid>.json.bak``; a
    growing one makes no backup. Raises :class:`ChangedMeanwhileError` where the file is another by now,
    :class:`UnreadableError` where it could not be read, FileNotFoundError.
    """
    write = partial(Write, path.name, serialise(sidecar))
    if replaced is None:
        return (write(None),)
    if replaced.digest is None:
        raise UnreadableError(replaced.problem)
    if replaced.sidecar is None or len(sidecar.messages) >= len(replaced.sidecar.messages):
        return (write(replaced.digest),)
    now, old = files.snapshot(replaced.target or path)
    if now.digest != replaced.digest:
        raise ChangedMeanwhileError(
            f"{files.shown(path)} has changed since it was read; it was not changed by Hermes Rescue."
        )
    backup = backup_path(path)
    older = files.look(backup)
    return Write(backup.name, old, older.digest if older else None), write(replaced.digest)


def backup_path(path: Path) -> Path:
    """Where the WebUI keeps the one backup of a session file."""
    return path.with_name(path.name + ".bak")


def _in_order(head: dict[str, Piece], original: Mapping[str, Piece]) -> dict[str, Piece]:
    """The fields in the order of the file they come from; those it lacks where the WebUI would have put them."""
    order = [key for key in original if key in head]
    rank = {key: i for i, key in enumerate(FIELD_DEFAULTS)}
    for key in head:
        if key not in original:
            known = rank.get(key, rank[LIST_FIELD] - 0.5)
            at = next((i for i, other in enumerate(order) if rank.get(other, -1) > known), len(order))
            order.insert(at, key)
    return {key: head[key] for key in order}
