"""Whether every copy of a session says what its live file says: then there is nothing to merge.

Most sessions are whole, and to see that takes far less than to merge. The answer is sound and not complete: where a
copy has anything that the live file lacks, or has it in another form, or where in doubt, the merge finds out
(``tests/core/test_agreement.py`` holds the two together).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from core.copies import SessionCopies
from core.jsontext import LIST_FIELD, NOTHING, Piece
from core.message import JSON_PREFIX, NEAR, SPEAKERS
from core.sidecar import IDLE_STREAM
from core.statedb_rows import SpokenRow
from core.workspace_tag import strip_workspace_tag

_EMPTY = frozenset((b"", b"null", b'""', b"[]", b"{}"))
_TAG = "[Workspace"


class _Call(msgspec.Struct, gc=False):
    id: str | None = None
    call_id: str | None = None


class _Said(msgspec.Struct, gc=False):
    """A message of a sidecar; one of another form does not decode."""

    role: str
    content: str | None = None
    timestamp: float | None = None
    tool_call_id: str | None = None
    tool_calls: list[_Call] | None = None
    reasoning: Raw = Raw()
    reasoning_content: Raw = Raw()
    reasoning_details: Raw = Raw()


_HEAD = (
    *("session_id", "workspace", "message_count", *IDLE_STREAM),  # what must be right
    *("title", "profile", "updated_at", "worktree_path", "worktree_branch", "worktree_repo_root"),  # what a list shows
)
_SESSION: Any = msgspec.json.Decoder(
    msgspec.defstruct(
        "_Session",
        [(LIST_FIELD, list[_Said]), *((name, Raw | UnsetType, UNSET) for name in _HEAD)],
        gc=False,
    )
)
_CALLS = msgspec.json.Decoder(list[_Call])


@dataclass(frozen=True, slots=True)
class Whole:
    """A session that no copy has anything to add to: what a list shows of it, and the number of its messages."""

    head: dict[str, Piece]
    messages: int

    def get(self, field: str) -> Any:
        """The value of a metadata field, None where it is absent."""
        piece = self.head.get(field)
        return None if piece is None else piece.value


def whole(files: SessionCopies, rows: Iterable[Sequence[SpokenRow]]) -> Whole | None:
    """The session, if a merge of its files with these rows of each database would change nothing; else None."""
    data = files.live.data if files.live is not None else None
    others = files.backup or files.temps or files.run or files.problems or not all(turn.ended for turn in files.turns)
    if data is None or others:
        return None
    try:
        if not data.isascii():
            data.decode()  # msgspec does not look at the strings that it passes over
        session = _SESSION.decode(data)
        said: list[_Said] = session.messages
        agreed = not any(map(_is_dressed, said)) and all(_says(said, spoken) for spoken in rows)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    head = {name: Piece(raw) for name in _HEAD if (raw := getattr(session, name)) is not UNSET}
    found = Whole(head, len(said))
    return found if agreed and _is_at_rest(found, files.session_id) else None


def _is_at_rest(found: Whole, session_id: str) -> bool:
    """Whether the head says what it should: the session's own id, a workspace, the right count, and no stream."""
    return (
        found.get("session_id") == session_id
        and ("workspace" not in found.head or found.get("workspace") is not None)
        and found.get("message_count") in (None, found.messages)
        and all(found.get(name) in NOTHING for name in IDLE_STREAM)
    )


def _is_dressed(said: _Said) -> bool:
    """Whether the live file may itself have a text in the form of the database, which a merge would clean."""
    text = said.content or ""
    return text.startswith(JSON_PREFIX) or (said.role == "user" and text.startswith(_TAG))


def _says(said: Sequence[_Said], rows: Iterable[SpokenRow]) -> bool:
    """Whether every row is one of the messages, in that order."""
    left = iter(said)
    return all(any(_is_same(one, row) for one in left) for row in rows)


def _is_same(said: _Said, row: SpokenRow) -> bool:
    """Whether a row is this message and has nothing more."""
    if said.role != row.role or said.role not in SPEAKERS or not row.plain:
        return False
    if said.timestamp is None or not isinstance(row.timestamp, float) or abs(said.timestamp - row.timestamp) > NEAR:
        return False
    if (said.tool_call_id or None) != (row.tool_call_id or None):
        return False
    ids = _ids(said.tool_calls)
    if ids != _ids(_CALLS.decode(row.tool_calls) if row.tool_calls else None):
        return False
    if row.has_reasoning and _EMPTY.issuperset(
        map(bytes, (said.reasoning, said.reasoning_content, said.reasoning_details))
    ):
        return False
    text = row.content or ""
    if row.role == "user" and text.startswith(_TAG):
        text, _ = strip_workspace_tag(text)
    return text == (said.content or "") and bool(text or ids or row.tool_call_id)


def _ids(calls: list[_Call] | None) -> list[str]:
    return [call.id or call.call_id or "" for call in calls or ()]
