"""What one database holds of a session, as a copy: its rows read, joined and folded to one message list."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from hermes_rescue.core.base.jsontext import LARGE, PackedObject, Piece
from hermes_rescue.core.hermes import sidecar
from hermes_rescue.core.hermes.database import gateway, lineage
from hermes_rescue.core.hermes.database.continuation import Segment, joined
from hermes_rescue.core.hermes.database.fold import fold
from hermes_rescue.core.hermes.database.statedb import StateDB
from hermes_rescue.core.hermes.database.statedb_rows import MessageRow, SessionRow, Status
from hermes_rescue.core.hermes.message import SPEAKERS, Message, MessageIdentity, asks_for_last_words, message
from hermes_rescue.core.hermes.runs.turn_journal import SubmittedTurn

_EMPTY = PackedObject({}, 2)
"""What a row of a large session is kept like that no message of its file is like."""


@dataclass(frozen=True, slots=True)
class DatabaseCopy:
    """The rows of a session in one database: ``messages`` in id order (none where it is not the WebUI's), ``rewound``
    the positions that the user took back, ``hidden`` those that the program wrote for itself, ``workspaces`` the tags
    of the user rows, oldest first. A conversation that lies under several ids is one copy; ``row`` describes all of it.
    """

    name: str
    path: Path
    profile: str | None
    row: SessionRow
    messages: tuple[Message, ...]
    rewound: frozenset[int]
    hidden: frozenset[int]
    workspaces: tuple[str, ...]

    @property
    def is_one_run(self) -> bool:
        """Whether just one prompt was sent in it."""
        shown = (m for k, m in enumerate(self.messages) if k not in self.hidden)
        return lineage.is_one_run(self.row.started_at, (m.time for m in shown if m.role == "user"))


class _Row(NamedTuple):
    id: int
    message: Message
    status: Status
    is_hidden: bool
    workspace: str | None


def database_copy(
    name: str,
    database: StateDB,
    sessions: Sequence[SessionRow],
    session_id: str,
    known: Mapping[MessageIdentity, Message],
    turns: Sequence[SubmittedTurn],
    over: Callable[[Iterator[MessageRow]], Iterator[MessageRow]],
) -> DatabaseCopy:
    """``sessions``: the rows whose messages are one sequence, parents first. ``known``: messages of a large file; what
    a row says as well is not held once more. ``turns``: the prompts in the turn journal. The rows are read through
    ``over``.
    """

    def read(found: Iterator[MessageRow]) -> Iterator[_Row]:
        held = LARGE if known else 0
        for r in over(found):
            held += r.size
            m = message(Piece(None, r.message, 2), is_brief=held >= LARGE)
            if held >= LARGE:
                like = known.get(m.strict_identity, m)
                piece = sidecar.message_piece(r.message, _EMPTY if like is m else like.piece)
                m = like if piece is like.piece else m._replace(piece=piece, text_token=like.text_token)
            yield _Row(r.id, m, r.status, r.hidden, r.workspace)

    sent = [turn.created_at for turn in turns if turn.created_at is not None]
    segments = [_once(database.messages(each.id, read), sent) for each in sessions if each.is_webui]
    places = joined([Segment([r.id for r in rows], [r.message for r in rows]) for rows in segments])
    once = [segments[k][at] for k, at in places]
    if any(each.is_gateway for each in sessions):
        shown = gateway.as_shown([r.message for r in once])
        once = [once[k]._replace(message=m, is_hidden=once[k].is_hidden or gateway.is_notice(m)) for k, m in shown]
    return DatabaseCopy(
        name,
        database.fact.path,
        profile_of(database.fact.path),
        lineage.as_one(sessions, session_id),
        tuple(r.message for r in once),
        frozenset(k for k, r in enumerate(once) if r.status == "rewound"),
        frozenset(k for k, r in enumerate(once) if r.is_hidden or not _is_shown(r.message)),
        tuple(r.workspace for r in once if r.workspace),
    )


def _once(rows: Sequence[_Row], sent: Sequence[float]) -> list[_Row]:
    """Rows under one id, each message once."""
    found = fold([r.message for r in rows], [r.status for r in rows], sent=sent)
    return [rows[each.first]._replace(message=each.message, status=each.status) for each in found]


def _is_shown(m: Message) -> bool:
    """Whether a message is one that a person sees, and has something to see."""
    return m.role in SPEAKERS and not m.is_empty and not asks_for_last_words(m)


def profile_of(database: Path) -> str | None:
    """The named profile that a database belongs to, None for the root profile's."""
    return database.parent.name if database.parent.parent.name == "profiles" else None
