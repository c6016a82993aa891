"""Where a lost metadata field can be found again (formats.md, the table of that name)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hermes_rescue.core.base.jsontext import LIST_FIELD, NOTHING, number
from hermes_rescue.core.hermes import worktree
from hermes_rescue.core.hermes.copies import BACKUP, INDEX, LIVE, RUN, TURNS, SessionCopies, temp_name
from hermes_rescue.core.hermes.database.database_copy import DatabaseCopy
from hermes_rescue.core.hermes.database.statedb_rows import SessionRow
from hermes_rescue.core.hermes.sidecar import FIELD_DEFAULTS, IDLE_STREAM, Sidecar, is_loadable
from hermes_rescue.core.hermes.store import Store, is_safe_session_id
from hermes_rescue.core.merge.intent import MARK_FIELDS

WORKTREE_FIELDS = ("worktree_path", "worktree_branch", "worktree_repo_root", "worktree_created_at")
WORKSPACE_TAG = "workspace tag"

_OWN = frozenset({LIST_FIELD, "session_id", "message_count", *IDLE_STREAM, *MARK_FIELDS})
"""Fields that a copy never gives to another one by one: they are about the copy itself."""

_WITH_MESSAGES = frozenset(
    {
        "tool_calls",
        "anchor_activity_scenes",
        "anchor_scene_index",
        "context_messages",
        "pre_compression_snapshot",
        "_recovered_from_state_db",
        *(name for name in FIELD_DEFAULTS if name.startswith("compression_")),
    }
)
"""Fields that go with the messages of their copy: they point into them, or say what was done to them."""

POINTERS = frozenset({"tool_calls", "anchor_activity_scenes", "anchor_scene_index", "context_messages"})
"""Fields that point into the message list: see hermes_rescue.core.merge.pointers."""

_NOT_OFFERED = _OWN | _WITH_MESSAGES

_NEEDED = frozenset({"title", "workspace", "created_at", "updated_at"})
"""Fields without which a session is not whole."""

_RENAMED_BY_HAND = ("title", "pinned", "archived", "project_id")
"""Fields that change without a new message: the index row knows them better than an older backup."""

_SAME_IN_ROWS = (
    *(
        "title",
        "model",
        "parent_session_id",
        "input_tokens",
        "output_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
    ),
    *WORKTREE_FIELDS,
)
"""Columns of a database row that mean what the sidecar's field of that name means."""


@dataclass(frozen=True, slots=True)
class Found:
    """A value and the copy that it is from."""

    value: Any
    origin: str


def recover(copies: SessionCopies, live: Sidecar | None) -> dict[str, Found]:
    """Every field that a copy other than a healthy live file can give, each from the most trusted copy that says
    something.

    ``live`` is what could be read of the live file (a torn head counts), or None.
    """
    result: dict[str, Found] = {}
    lossy = live is not None and bool(live.get("_recovered_from_state_db"))
    for origin, fields in _sources(copies, live):
        for field, value in fields.items():
            # that a field says nothing is worth knowing from the live file only, and from it only where it may
            has_value = value not in NOTHING or (origin == LIVE and not lossy and field not in _NEEDED)
            if field not in _OWN and field not in POINTERS and field not in result and has_value:
                result[field] = Found(value, origin)
    if live is None:
        _prefer_newer_names(copies, result)
        if result.get("title", Found(None, "")).value == FIELD_DEFAULTS["title"]:
            del result["title"]
    _add_worktree(copies, result)
    if "workspace" in result and "created_workspace" not in result:
        result["created_workspace"] = result["workspace"]
    return result


def is_profile_gone(store: Store, profile: object) -> bool:
    """Whether a session's profile has no folder any more, which hides the session in the WebUI. The root profile (None,
    "", ``default``) is always there; where only a sessions folder is known, nothing says.
    """
    if store.home is None or not isinstance(profile, str) or profile in ("", "default"):
        return False
    base = store.home.parent.parent if store.home.parent.name == "profiles" else store.home
    return not (is_safe_session_id(profile) and os.path.isdir(base / "profiles" / profile))


def offers(copies: SessionCopies, live: Sidecar | None) -> dict[str, dict[str, Any]]:
    """What each copy says of each field that a person may take from any of them: field to copy to value, the most
    trusted copy first. ``live`` as in :func:`recover`.

    Not among them is what is about a copy itself: its id and count, its stream (which the repair sets to rest), its
    marks of intent (those of another copy would put messages aside, or bring them back, that this transcript says
    otherwise of; that is chosen message by message), and what goes with its messages. A needed field that says nothing
    is no offer either: the WebUI cannot load it.
    """
    result: dict[str, dict[str, Any]] = {}
    for origin, fields in _sources(copies, live):
        for field, value in fields.items():
            if field not in _NOT_OFFERED and not (field in _NEEDED and value in NOTHING):
                result.setdefault(field, {}).setdefault(origin, value)
    return result


def _sources(copies: SessionCopies, live: Sidecar | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if live is not None:
        yield LIVE, {key: piece.value for key, piece in live.head.items()}
    for number_, temp in enumerate(copies.temps):
        if temp.sidecar is not None and temp.sidecar.is_session:
            yield temp_name(number_), {key: piece.value for key, piece in temp.sidecar.head.items()}
    if copies.backup is not None and copies.backup.sidecar is not None and copies.backup.sidecar.is_session:
        yield BACKUP, {key: piece.value for key, piece in copies.backup.sidecar.head.items()}
    # what only the index or a journal has is none of a sidecar's fields
    if copies.index_row is not None:
        yield INDEX, {key: value for key, value in copies.index_row.items() if _is_kept(key, value)}
    if copies.run is not None:
        yield RUN, {key: piece.value for key, piece in copies.run.fields.items() if _is_kept(key, piece.value)}
    databases = sorted((copy for copy in copies.databases if copy.row.is_webui), key=_newest, reverse=True)
    for copy in databases:
        if copy.workspaces:
            yield WORKSPACE_TAG, {"workspace": copy.workspaces[-1]}
        # the root profile has no name: that of an older database would take its place
        yield copy.name, row_fields(copy.row, copy.profile if copy is databases[0] else None)
    for turn in reversed(copies.turns):
        if turn.workspace:
            yield TURNS, {"workspace": turn.workspace}
            break
    for further in copies.further:
        if further.session is not None:
            head = further.session.head
            yield further.name, {key: piece.value for key, piece in head.items() if _is_kept(key, piece.value)}
        if further.rows is not None:
            tags = {"workspace": further.rows.workspaces[-1]} if further.rows.workspaces else {}
            yield further.name, row_fields(further.rows.row, further.rows.profile) | tags


def _newest(copy: DatabaseCopy) -> tuple[float, int]:
    """Of two databases the one that was written to last knows more of a session, of equals the one with more of it: a
    cleared session may have changed its profile, and rows can lie in the wrong one.
    """
    times = (m.time for m in copy.messages if m.time is not None)
    return max(times, default=copy.row.started_at or 0.0), len(copy.messages)


def row_fields(row: SessionRow, profile: str | None) -> dict[str, Any]:
    """What the row of a session says of a sidecar's fields."""
    columns = row.columns
    fields = {name: columns[name] for name in _SAME_IN_ROWS if isinstance(columns.get(name), str | int | float)}
    columns_of = {"created_at": number(columns.get("started_at")), "profile": profile}
    fields |= {name: value for name, value in columns_of.items() if value is not None}
    if "archived" in columns:
        fields["archived"] = columns["archived"] in (1, True)
    for name in ("workspace", "cwd"):
        if isinstance(columns.get(name), str):
            fields.setdefault("workspace", columns[name])
    return fields


def _is_kept(name: str, value: Any) -> bool:
    return name in FIELD_DEFAULTS and is_loadable(name, value)


def _prefer_newer_names(copies: SessionCopies, result: dict[str, Found]) -> None:
    """A rename after the backup was written is in the index only."""
    row = copies.index_row
    if row is None:
        return
    for field in _RENAMED_BY_HAND:
        found = result.get(field)
        if found is None or found.origin != BACKUP or copies.backup is None or copies.backup.sidecar is None:
            continue
        indexed, kept = number(row.get("updated_at")), number(copies.backup.sidecar.get("updated_at"))
        newer = indexed is not None and kept is not None and indexed >= kept
        if newer and row.get(field) not in (*NOTHING, FIELD_DEFAULTS["title"]):
            result[field] = Found(row[field], INDEX)


def _add_worktree(copies: SessionCopies, result: dict[str, Found]) -> None:
    """The worktree of a session of which only rows are left: one that carries the session's own id in its name.

    Any other that a row was in says nothing: new chats inherit the last workspace, and the server lets a session that
    owns a worktree delete it (formats.md, "Worktrees").
    """
    if "worktree_path" in result:
        return
    for copy in copies.databases:
        row = copy.row
        shape = worktree.worktree_path_of(row.cwd) if row.is_webui else None
        if shape is not None and shape.is_of(copies.session_id):
            found = {
                "worktree_path": shape.path,
                "worktree_branch": row.git_branch or shape.usual_branch,
                "worktree_repo_root": row.git_repo_root or shape.root,
                "worktree_created_at": row.started_at,
                "workspace": shape.path,
            }
            for field, value in found.items():
                if value is not None:
                    result.setdefault(field, Found(value, copy.name))
            return
