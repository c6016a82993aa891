"""The journals of a session as the WebUI writes them: the prompts that were sent, and a file of events for each run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from hermes_rescue.core.hermes.sidecar import FIELD_DEFAULTS

Value = dict[str, Any]

NEWEST = 2
"""The runs of most sessions that are in the journal: they had begun before the WebUI wrote one."""

_INTENT = ("truncation_watermark", "truncation_boundary", "clear_generation", "intentional_shrink_generation")
_OF_THE_MOMENT = {"is_streaming": False, "has_pending_user_message": False}
_PIECE = 400  # characters of a token event: the WebUI joins what comes at once


def write_journals(sessions_dir: Path, session: int, fields: Value, transcript: Sequence[Value]) -> None:
    """The journals of a session that said all of this. One in three has had them from its first turn on, the others for
    the newest turns; of one in 25 a run was killed, and the WebUI put back what it had said.
    """
    sid = fields["session_id"]
    begins = [k for k, message in enumerate(transcript) if message["role"] == "user"]
    ends = [*begins[1:], len(transcript)]
    turns = [*zip(begins, ends, strict=True)][0 if session % 3 == 0 else -NEWEST :]
    killed = turns[0] if session % 25 == 7 else None
    folder = sessions_dir / "_run_journal" / sid
    folder.mkdir(parents=True)
    sent: list[Value] = []
    for begin, end in turns:
        stream = hashlib.md5(f"{sid}{begin}".encode()).hexdigest()
        sent += _turn(fields, stream, transcript[begin], transcript[end - 1]["timestamp"])
        events = _answer(transcript[begin:end])
        if (begin, end) != killed:
            events += _end(fields, transcript[:end])
        _write(folder / f"{stream}.jsonl", ({**_numbered(sid, stream, k), **each} for k, each in enumerate(events, 1)))
    (sessions_dir / "_turn_journal").mkdir(exist_ok=True)
    _write(sessions_dir / "_turn_journal" / f"{sid}~8997.jsonl", sent)


def _turn(fields: Value, stream: str, prompt: Value, ended: float) -> list[Value]:
    """What the turn journal says of a turn: of a killed one the start of the WebUI says that it was interrupted."""
    same = {
        "stream_id": stream,
        "version": 1,
        "session_id": fields["session_id"],
        "turn_id": f"20260801T-{stream[:12]}",
    }
    content = prompt["content"] if isinstance(prompt["content"], str) else prompt["content"][0]["text"]
    submitted = {"role": "user", "content": content, "workspace": fields["workspace"], "model": fields["model"]}
    return [
        {"event": "submitted", **submitted, "created_at": prompt["timestamp"], **same},
        {"event": "worker_started", "created_at": prompt["timestamp"] + 0.1, **same},
        {"event": "completed", "terminal": True, "created_at": ended, **same},
    ]


def _answer(turn: Sequence[Value]) -> list[Value]:
    """The events of an answer while it comes."""
    found: list[Value] = [_event("context_status", turn[0]["timestamp"] + 0.2, {})]
    for message in turn[1:]:
        at = message["timestamp"]
        if message["role"] == "tool":
            preview = {"name": message["name"], "tid": message["tool_call_id"], "preview": message["content"][:120]}
            found.append(_event("tool_complete", at, {**preview, "is_error": False}))
            continue
        thought = message.get("reasoning", "")
        found += (_event("reasoning", at, {"text": text}) for text in _pieces(thought))
        found += (_event("token", at, {"text": text}) for text in _pieces(message["content"]))
        for call in message.get("tool_calls", ()):
            arguments = orjson.loads(call["function"]["arguments"])
            found.append(_event("tool", at, {"name": "terminal", "tid": call["id"], "preview": "", "args": arguments}))
    return found


def _end(fields: Value, said: Sequence[Value]) -> list[Value]:
    """The events of its end: the first holds the whole session, without marks of intent."""
    at = said[-1]["timestamp"] + 0.05
    known = {key: value for key, value in {**FIELD_DEFAULTS, **fields}.items() if key not in _INTENT}
    session = known | {"updated_at": at, "message_count": len(said), **_OF_THE_MOMENT, "messages": list(said)}
    return [
        {**_event("done", at, {"session": session, "usage": {}}), "terminal": True},
        _event("metering", at + 0.01, {"tps": 41.7}),
        {**_event("stream_end", at + 0.02, {"session_id": fields["session_id"]}), "terminal": True},
    ]


def _event(name: str, at: float, payload: Value) -> Value:
    return {"event": name, "type": name, "created_at": at, "terminal": False, "payload": payload}


def _numbered(sid: str, stream: str, number: int) -> Value:
    return {"version": 1, "event_id": f"{stream}:{number}", "seq": number, "run_id": stream, "session_id": sid}


def _pieces(text: str) -> list[str]:
    return [text[k : k + _PIECE] for k in range(0, len(text), _PIECE)]


def _write(path: Path, events: Any) -> None:
    path.write_bytes(b"".join(orjson.dumps(event) + b"\n" for event in events))
