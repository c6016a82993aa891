"""What the heads of the session files say before any content is compared: the rows that a list begins with.

Nothing here is a finding. A head shows what was true when its file was saved; whether it still is, the audit sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec
from hermes_rescue.core.base import files, jsontext
from hermes_rescue.core.base.errors import UnreadableError
from hermes_rescue.core.hermes.listing import session_ids
from hermes_rescue.core.hermes.sidecar import HEAD_LIMIT, without_messages
from hermes_rescue.core.hermes.store import Store

_MOST = 10**9  # messages; a head that claims more is not to be believed


@dataclass(frozen=True, slots=True)
class SessionHeader:
    """A session that nobody has examined yet. ``live`` is the number of messages that the head of its file gives,
    None where it gives none; ``updated`` is in seconds.
    """

    session_id: str
    title: str
    live: int | None
    updated: float | None
    profile: str | None
    worktree_path: str | None


class _Head(msgspec.Struct):
    """The fields of a head that are looked at; the others are passed over."""

    title: Any = None
    message_count: Any = None
    updated_at: Any = None
    profile: Any = None
    worktree_path: Any = None


_DECODER = msgspec.json.Decoder(_Head)
_NOTHING_KNOWN = _Head()


def session_headers(store: Store) -> Iterator[SessionHeader]:
    """Every session file of a store, in the order of the ids; each is looked at when it is asked for.

    A file that cannot be read, or is no session's, comes with nothing but its id. Nothing is raised.
    """
    with suppress(OSError):  # of the folder
        for session_id in session_ids(store.sessions_dir):
            try:
                head = _head(files.read_regular(store.sessions_dir / f"{session_id}.json", HEAD_LIMIT))
            except (OSError, UnreadableError):
                head = _NOTHING_KNOWN
            count = head.message_count
            yield SessionHeader(
                session_id,
                _text(head.title) or "Untitled",
                count if type(count) is int and 0 <= count <= _MOST else None,
                jsontext.number(head.updated_at),
                _text(head.profile),
                _text(head.worktree_path),
            )


def _head(data: bytes) -> _Head:
    """The head of a session file of which this is the beginning."""
    head = without_messages(data)
    try:
        return _DECODER.decode(head)
    except (msgspec.MsgspecError, RecursionError):  # another layout, what only Python reads, or a damaged head
        fields = jsontext.parse_object(head).fields
    return _Head(**{name: fields[name].value for name in _Head.__struct_fields__ if name in fields})


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
