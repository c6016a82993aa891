"""What a repaired file must hold so that the WebUI goes on with it rightly.

Whenever the WebUI shows a session or sends its next prompt, it merges the active rows of the database into the file.
What keeps a row out that the user took back are the marks of the act, and what keeps a message from standing there
twice is that both say the same: the calls to the letter, and for a prompt that was said more than once, the token of
its turn.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from core import sidecar
from core.copies import DatabaseCopy
from core.jsontext import Piece
from core.message import message
from core.transcript import Entry
from core.turn_journal import SubmittedTurn
from core.webui_recovery import marks_that_keep_out

TOKEN = "_active_turn_token"
_STAMP = 1e-3


def marks(entries: Sequence[Entry], databases: Sequence[DatabaseCopy], session_id: str) -> dict[str, Any]:
    """The marks that keep out the rows which the recovered transcript (``entries``) leaves out; none where there are
    none.
    """
    transcript = [(e.merged.role, e.merged.time) for e in entries]
    for copy in databases:
        at = {e.places[copy.name]: k for k, e in enumerate(entries) if copy.name in e.places}
        rows = [at.get(k) for k in range(len(copy.messages)) if k not in copy.rewound and k not in copy.hidden]
        found = marks_that_keep_out(transcript, rows)
        if found is not None:
            digest = hashlib.sha256(repr((session_id, found)).encode()).hexdigest()
            return {
                "truncation_watermark": found[0],
                "truncation_boundary": found[1],
                "intentional_shrink_generation": uuid.UUID(digest[:32], version=4).hex,
            }
    return {}


def with_tokens(
    pieces: Sequence[Piece], turns: Sequence[SubmittedTurn], *, untouched: Sequence[Piece] = ()
) -> list[Piece]:
    """The messages, each prompt with the token of its turn where the turn journal tells it; ``untouched`` stay as they
    are.
    """
    sent = {turn.created_at: turn.stream_id for turn in turns if turn.created_at is not None and turn.stream_id}
    same = set(map(id, untouched))
    return [piece if id(piece) in same else _with_token(piece, sent) for piece in pieces] if sent else [*pieces]


def _with_token(piece: Piece, sent: Mapping[float, str]) -> Piece:
    value = piece.value
    if not isinstance(value, dict) or value.get("role") != "user" or TOKEN in value:
        return piece
    stream = sent.get(value.get("timestamp"))  # type: ignore[arg-type]  # whatever stands there: it is only looked up
    return (
        piece
        if stream is None
        else sidecar.message_piece({**value, TOKEN: f"{stream}:{value['timestamp']:.17g}"}, piece)
    )


def take_calls(e: Entry, names: Sequence[str]) -> None:
    """Take the calls of a message from a row that makes the same ones: in a run journal their secrets are masked."""
    calls = e.merged.part("tool_calls")
    rows = (e.versions[name] for name in names if name in e.versions)
    row = next((m for m in rows if m.calls == e.merged.calls), None)
    if calls and row is not None and (said := row.part("tool_calls")) and said != calls:
        e.merged = message(sidecar.message_piece({**e.merged.value, "tool_calls": said}, e.merged.piece))
