"""The documents that the programs write: sidecar, journal events, row of the session list (formats.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from .said import WORKSPACE, Said, Value
from .state import START, SUMMARY, IndexRow, Marks, Run, State
from .world import World

MARK_KEYS = {
    "truncation_watermark": "watermark",
    "truncation_boundary": "boundary",
    "clear_generation": "clear",
    "intentional_shrink_generation": "shrink",
}
"""Key of a head -> field of Marks (and of Era, which says whether that version has it)."""
SUMMARY_TEXT = "[CONTEXT COMPACTION — REFERENCE ONLY] Earlier turns were compacted into the summary below.\nsummary"

_BEFORE: Value = {
    "session_id": "", "title": "", "workspace": WORKSPACE, "created_workspace": WORKSPACE, "model": "m",
    "model_provider": None, "model_explicit_pick_signature": None, "created_at": START, "updated_at": START,
    "pinned": False, "archived": False, "project_id": None, "profile": None, "input_tokens": 100, "output_tokens": 5,
    "estimated_cost": 0.0, "cache_read_tokens": 0, "cache_write_tokens": 0, "personality": None,
    "active_stream_id": None, "pending_user_message": None, "pending_attachments": [], "pending_started_at": None,
    "pending_user_source": None, "compression_anchor_visible_idx": None, "compression_anchor_message_key": None,
    "compression_anchor_summary": None, "pre_compression_snapshot": False, "context_engine": None,
    "compression_anchor_engine": None, "compression_anchor_mode": None, "compression_anchor_details": {},
    "context_engine_state": {}, "context_length": 200_000, "threshold_tokens": 150_000, "last_prompt_tokens": 100,
    "post_compression_context_tokens_estimate": None, "compression_recovery": {}, "recommended_recovery_action": None,
    "compression_recovery_source_session_id": None, "compression_recovery_action": None,
}  # fmt: skip
_BEHIND: Value = {
    "gateway_routing": None, "gateway_routing_history": [], "llm_title_generated": True, "manual_title": False,
    "parent_session_id": None, "worktree_path": None, "worktree_branch": None, "worktree_repo_root": None,
    "worktree_created_at": None, "is_cli_session": False, "source_tag": None, "raw_source": None,
    "session_source": None, "source_label": None, "read_only": False, "enabled_toolsets": None, "composer_draft": {},
    "process_wakeup_pause": {}, "share_token": None, "share_created_at": None,
}  # fmt: skip
_NOT_INDEXED = {
    "model_explicit_pick_signature", "pending_attachments", "pending_started_at", "pending_user_source",
    "compression_recovery_source_session_id", "compression_recovery_action", "llm_title_generated",
    "parent_session_id", "worktree_path", "worktree_branch", "worktree_repo_root", "worktree_created_at",
}  # fmt: skip
_INDEXED = tuple(key for key in (*_BEFORE, *_BEHIND) if key not in _NOT_INDEXED)


def written(value: object) -> bytes:
    """A document as the WebUI writes it: to the byte ``json.dumps(value, indent=2, ensure_ascii=False)``, but quick."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2)


def document(world: World, state: State) -> Value:
    """A sidecar."""
    head = {**_BEFORE, "session_id": world.session_id, "title": state.title, "updated_at": state.updated}
    if state.pending is not None:
        prompt = state.pending.prompt
        head |= {"active_stream_id": state.pending.stream, "pending_user_message": prompt.text}
        head |= {"pending_started_at": prompt.start, "pending_user_source": "webui"}
    if state.marks.anchor is not None:
        head |= _anchor(world, state)
    head |= {key: getattr(state.marks, name) for key, name in MARK_KEYS.items() if getattr(world.era, name)}
    values = list(messages(world, state))
    tail = {"tool_calls": list(cards(state)), "anchor_activity_scenes": {}}
    context = [
        {"role": "user", "content": SUMMARY_TEXT} if n == SUMMARY else world.said[n].in_context() for n in state.context
    ]
    count = {"message_count": len(values), "anchor_scene_index": {}}
    return {**head, **_BEHIND, **count, "messages": values, **tail, "context_messages": context}


def messages(world: World, state: State) -> Iterator[Value]:
    """The message list of a sidecar."""
    newest = max((world.said[n].turn for n in state.numbers), default=0)
    for position, n in enumerate(state.numbers):
        said = world.said[n]
        if n in state.row_form:
            yield from_row(said, position)
            continue
        yield said.in_sidecar(
            position,
            newest=said.turn == newest,
            api_content=world.era.api_content,
            untimed=world.life.habits.untimed,
            modern=world.era.journals,
        )


def from_row(said: Said, position: int) -> Value:
    """A message that the server took from the database."""
    row = said.in_row(api_content=True)
    value: Value = {"id": position + 1, "role": said.role, "content": said.text, "timestamp": said.row_time}
    if said.image:
        value["content"] = f"{said.text}\n[screenshot]"
    value |= {k: row[k] for k in ("reasoning", "finish_reason", "tool_call_id", "tool_name") if row.get(k)}
    return value | ({"tool_calls": said.tool_calls} if said.calls else {})


def cards(state: State) -> Iterator[Value]:
    """The settled tool cards, each with the position of its message."""
    for call, position in state.cards:
        yield {"name": "terminal", "snippet": "…", "tid": call, "assistant_msg_idx": position, "args": {}}


def _anchor(world: World, state: State) -> Value:
    seen = [world.said[n] for n in state.marks.anchored]
    key = {"role": seen[-1].role, "ts": seen[-1].time, "text": seen[-1].text, "attachments": 0}
    return {
        "compression_anchor_visible_idx": len(seen) - 1,
        "compression_anchor_message_key": key,
        "compression_anchor_summary": "Approx request size: ~1,068 → ~890 tokens",
        "compression_anchor_mode": "manual",
    }


def index_row(world: World, row: IndexRow) -> Value:
    """A row of the session list."""
    state = State(marks=Marks(), title=row.title, updated=row.updated, pending=row.pending)
    head = document(world, state)
    value = {key: head[key] for key in _INDEXED}
    value |= {"message_count": row.count, "last_message_at": row.last, "user_message_count": row.users}
    value |= {"cache_hit_percent": None, "has_pending_user_message": row.pending is not None}
    return value | {"is_streaming": False}


def done(world: World, state: State) -> Value:
    """The session in a ``done``: all of it as it was then, secrets masked, none of the marks."""
    head = document(world, State(title=state.title, updated=state.updated))
    value = {k: v for k, v in head.items() if k in _INDEXED}
    values = [world.said[n].in_done(k) for k, n in enumerate(state.numbers)]
    last = world.said[state.numbers[-1]].time
    users = sum(world.said[n].is_user for n in state.numbers)
    value |= {"message_count": len(values), "last_message_at": last, "user_message_count": users}
    value |= {"cache_hit_percent": None, "has_pending_user_message": False}
    return value | {"is_streaming": False, "messages": values, "tool_calls": list(cards(state))}


def run_lines(world: World, run: Run) -> str:
    """A run's journal."""
    events = [(run.events[0][0], "context_status", {"session_id": world.session_id, "prefill": {}}), *run.events]
    if run.done is not None:
        session = done(world, run.done)
        events.append((run.done.updated, "done", {"session": session, "usage": {}}))
        events.append((run.done.updated, "stream_end", {"session_id": world.session_id}))
    lines = []
    for seq, (time, name, payload) in enumerate(events, 1):
        terminal = name in ("stream_end", "cancel")
        head: dict[str, Any] = {"version": 1, "event_id": f"{run.stream}:{seq}", "seq": seq, "run_id": run.stream}
        head |= {"session_id": world.session_id, "event": name, "type": name, "created_at": time}
        head |= {"terminal": terminal, "terminal_state": None}
        lines.append(json.dumps({**head, "payload": payload}, ensure_ascii=False, separators=(",", ":")))
    return "\n".join(lines) + "\n"


def turn_lines(world: World, turns: Sequence[Value]) -> str:
    """A session's turn journal."""
    more = {"version": 1, "session_id": world.session_id}
    turn = ((f"t-{event['stream_id'][-12:]}", event) for event in turns)
    lines = (
        json.dumps({**event, **more, "turn_id": i}, ensure_ascii=False, separators=(",", ":")) for i, event in turn
    )
    return "\n".join(lines) + "\n"
