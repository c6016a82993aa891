"""What a repaired file must hold so that the WebUI goes on with it rightly.

Whenever the WebUI shows a session or sends its next prompt, it merges the active rows of the database into the file.
What keeps a row out that the user took back are the marks of the act, and what keeps a message from standing there
twice is that both say the same: the calls to the letter, and for a prompt that was said more than once, the token of
its turn.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hermes_rescue.core.base.jsontext import Piece
from hermes_rescue.core.hermes import sidecar
from hermes_rescue.core.hermes.copies import BACKUP, RUN, SessionCopies
from hermes_rescue.core.hermes.message import TURN_TOKEN, message
from hermes_rescue.core.hermes.runs.turn_journal import SubmittedTurn
from hermes_rescue.core.hermes.webui_recovery import marks_that_keep_out, marks_that_supersede
from hermes_rescue.core.merge.transcript import Entry


def marks(entries: Sequence[Entry], copies: SessionCopies) -> dict[str, Any]:
    """The marks that keep out what the recovered transcript (``entries``) leaves out of the databases and of the
    backup, or of the newest run alone; none where there is nothing.
    """
    transcript = [(e.merged.role, e.merged.time) for e in entries]
    found = None
    for copy in copies.databases:
        shown = (k for k in range(len(copy.messages)) if k not in copy.rewound and k not in copy.hidden)
        found = found or marks_that_keep_out(transcript, _held(entries, copy.name, shown))
    backup = copies.backup.sidecar if copies.backup is not None else None
    if backup is not None:
        found = marks_that_supersede(transcript, _held(entries, BACKUP, range(len(backup.messages))), found)
    if found is None and copies.run is not None:  # the server does not merge it, but the next repair does
        found = marks_that_supersede(transcript, _held(entries, RUN, range(len(copies.run.messages))), found)
    if found is None:
        return {}
    digest = hashlib.sha256(repr((copies.session_id, found)).encode()).hexdigest()
    return {
        "truncation_watermark": found[0],
        "truncation_boundary": found[1],
        "intentional_shrink_generation": uuid.UUID(digest[:32], version=4).hex,
    }


def _held(entries: Sequence[Entry], name: str, places: Iterable[int]) -> list[int | None]:
    """For each place in a copy that of its message in the transcript, None for one that is left out."""
    at = {e.places[name]: k for k, e in enumerate(entries) if name in e.places}
    return [at.get(place) for place in places]


def with_tokens(
    pieces: Sequence[Piece], turns: Sequence[SubmittedTurn], *, untouched: Sequence[Piece] = ()
) -> list[Piece]:
    """The messages, each prompt with the token of its turn where the turn journal has it; ``untouched`` stay as they
    are.
    """
    sent = {turn.created_at: turn.stream_id for turn in turns if turn.created_at is not None and turn.stream_id}
    same = set(map(id, untouched))
    return [piece if id(piece) in same else _with_token(piece, sent) for piece in pieces] if sent else [*pieces]


def _with_token(piece: Piece, sent: Mapping[float, str]) -> Piece:
    value = piece.value
    if not isinstance(value, dict) or value.get("role") != "user" or TURN_TOKEN in value:
        return piece
    stream = sent.get(value.get("timestamp"))  # type: ignore[arg-type]  # whatever stands there: it is only looked up
    return (
        piece
        if stream is None
        else sidecar.message_piece({**value, TURN_TOKEN: f"{stream}:{value['timestamp']:.17g}"}, piece)
    )


def take_calls(e: Entry, names: Sequence[str]) -> None:
    """Take the calls of a message from a row that makes the same ones: in a run journal their secrets are masked."""
    calls = e.merged.part("tool_calls")
    rows = (e.versions[name] for name in names if name in e.versions)
    row = next((m for m in rows if m.calls == e.merged.calls), None)
    if calls and row is not None and (written := row.part("tool_calls")) and written != calls:
        e.merged = message(sidecar.message_piece({**e.merged.value, "tool_calls": written}, e.merged.piece))
