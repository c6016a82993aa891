"""``_index.json`` built again from the sidecars: a row per session, newest first, as the WebUI writes it.

A row that is there and still fits keeps its bytes; a file that cannot be read keeps its old row, since that row is the
last place of its metadata.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
from hermes_rescue.core.base import files
from hermes_rescue.core.base.jsontext import Piece, number
from hermes_rescue.core.hermes import sidecar
from hermes_rescue.core.hermes.journals import Index
from hermes_rescue.core.hermes.listing import session_ids
from hermes_rescue.core.hermes.message import message
from hermes_rescue.core.hermes.sidecar import Sidecar
from hermes_rescue.core.hermes.store import Store

# fmt: off
ROW_FIELDS = (
    "session_id", "title", "workspace", "model", "model_provider", "message_count", "created_at", "updated_at",
    "last_message_at", "pinned", "archived", "project_id", "profile", "input_tokens", "output_tokens",
    "estimated_cost", "cache_read_tokens", "cache_write_tokens", "cache_hit_percent", "personality",
    "compression_anchor_visible_idx", "compression_anchor_message_key", "compression_anchor_summary",
    "pre_compression_snapshot", "context_engine", "compression_anchor_engine", "compression_anchor_mode",
    "compression_anchor_details", "context_engine_state", "context_length", "threshold_tokens", "last_prompt_tokens",
    "post_compression_context_tokens_estimate", "compression_recovery", "recommended_recovery_action",
    "gateway_routing", "gateway_routing_history", "manual_title", "created_workspace", "worktree_path",
    "worktree_branch", "worktree_repo_root", "worktree_created_at", "user_message_count", "active_stream_id",
    "pending_user_message", "has_pending_user_message", "is_cli_session", "source_tag", "raw_source",
    "session_source", "source_label", "read_only", "enabled_toolsets", "composer_draft", "process_wakeup_pause",
    "share_token", "share_created_at", "is_streaming",
)
# fmt: on
"""Fields of a row in the WebUI's order; the worktree fields stand there only where the session has a worktree."""

_WORKTREE = tuple(name for name in ROW_FIELDS if name.startswith("worktree_"))


_OF_WEBUI = ("cache_hit_percent",)
"""What only the WebUI can compute: it is taken from the old row."""


class KnownRow(NamedTuple):
    """The row of a session, as :func:`row` has it, and the stamp of the file that it is of."""

    row: Mapping[str, Any]
    stamp: files.Stamp | None


NO_ROWS: Mapping[str, KnownRow] = MappingProxyType({})


class _Said(msgspec.Struct, gc=False):
    """All of a message that a row says something of; one of another form does not decode."""

    role: str = ""
    timestamp: float | None = None


_SAID = msgspec.json.Decoder(_Said)


def rebuilt(
    index: Index,
    store: Store,
    changed: Iterable[str] = (),
    waiting: Iterable[str] = (),
    known: Mapping[str, KnownRow] = NO_ROWS,
) -> bytes:
    """The bytes of the index for the session files that are there.

    ``changed`` names the sessions whose old row no longer fits, ``waiting`` those that wait for a decision: the row of
    one without a file stays, since it says how far the session went. ``known`` are rows of files that need not be read
    again. One bad file never stops the others.
    """
    stale = frozenset(changed)
    there = [*session_ids(store.sessions_dir)]
    lost = frozenset(waiting).difference(there)
    rows = [piece for session_id, piece in index.rows.items() if session_id in lost]
    for session_id in there:
        old = index.rows.get(session_id)
        if old is not None and session_id not in stale:
            rows.append(old)
            continue
        path = store.sessions_dir / f"{session_id}.json"
        ready = known.get(session_id)
        if ready is not None and files.stamp(path) == ready.stamp:
            rows.append(_piece(ready.row, index.row(session_id)))
            continue
        try:
            session = sidecar.read_linked(path, store.reach).sidecar
        except FileNotFoundError:
            continue
        if session is not None and session.get("session_id", session_id) != session_id and old is None:
            continue  # a copy of another session
        if session is not None and session.is_session and session.damage is None:
            rows.append(_piece(row(session_id, session), index.row(session_id)))
        elif old is not None:
            rows.append(old)
    rows.sort(key=lambda piece: number(piece.value.get("updated_at")) or 0.0, reverse=True)
    return b"[\n  " + b",\n  ".join(piece.raw for piece in rows) + b"\n]" if rows else b"[]"


def row(session_id: str, session: Sidecar) -> dict[str, Any]:
    """The index row of one session, without what only the WebUI can compute."""
    said = [*map(_said, session.messages)]
    times = (time for _, time in reversed(said))
    computed = {
        "session_id": session_id,
        "message_count": len(said),
        "last_message_at": next((time for time in times if time is not None), session.get("updated_at")),
        "user_message_count": sum(role == "user" for role, _ in said),
        "has_pending_user_message": bool(session.get("pending_user_message")),
        "is_streaming": False,
        **dict.fromkeys(_OF_WEBUI),
    }
    fields = (name for name in ROW_FIELDS if name not in _WORKTREE or session.get("worktree_path"))
    return {name: computed[name] if name in computed else session.get(name) for name in fields}


def _piece(row: Mapping[str, Any], old: Mapping[str, Any] | None) -> Piece:
    return Piece(None, {**row, **{name: (old or {}).get(name) for name in _OF_WEBUI}}, 1)


def _said(piece: Piece) -> tuple[str, float | None]:
    """Who a message is from, and its stamp: most of the time of a message goes into its text."""
    try:
        found = _SAID.decode(piece.raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        read = message(piece)
        return read.role, read.time
    return found.role, number(found.timestamp)
