"""Repairs that were written over: a WebUI saved what it had in its memory, and what the repair had brought is gone.

Beside the repairs lies what each of them brought into which session file, as a few digests. Where a session has lost
something again and what was brought is not all there, it is that repair that was lost.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec
from hermes_rescue.core.audit.findings import WRITTEN_OVER, Category, SessionAudit
from hermes_rescue.core.base.jsontext import Piece
from hermes_rescue.core.hermes import remembered, sidecar
from hermes_rescue.core.hermes.message import Message, message
from hermes_rescue.core.hermes.same_text import folded
from hermes_rescue.core.hermes.sidecar import Sidecar, SidecarFile
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.hermes.webui_status import WebUIStatus
from hermes_rescue.core.merge.intent import GENERATIONS
from msgspec.structs import replace

NAME = "repaired.json"
_SIGNS = 32
"""Messages that are remembered of what a repair brought: an older state of the file lacks the last of them at least."""

_REMEMBERED = 90 * 86_400.0
"""Seconds: a WebUI runs for weeks with what it has in its memory."""

_LOSSES = frozenset(
    {"shrunken_live", "shrunken_live_unmarked", "emptied_live", "state_db_ahead", "state_db_gap", "lossy_rebuild",
     "unsaved_temp", "run_journal_ahead"}
)  # fmt: skip

_ACT_FIELDS = ("truncation_boundary", *GENERATIONS)


class Brought(msgspec.Struct, frozen=True):
    """What a repair brought into a session file: when (seconds since 1970), the SHA-256 (hex) of what it wrote, digests
    of the acts of the user that this or the file before records, and of messages that it had not before, or not so
    rich.
    """

    at: float
    after: str
    acts: tuple[str, ...]
    signs: tuple[str, ...]


def path_of(store: Store) -> Path:
    """Where that of a store lies."""
    return store.vault_root / NAME


def read(store: Store) -> dict[str, Brought]:
    """What the newest repair of each session brought. What cannot be read is as if nothing had been repaired."""
    try:
        return msgspec.convert(remembered.read(path_of(store)), dict[str, Brought])
    except (msgspec.ValidationError, RecursionError):
        return {}


def keep(store: Store, sessions: Mapping[str, Brought], now: float) -> None:
    """Write that down instead, without what is too old to matter. Raises RescueError, OSError."""
    kept = {sid: each for sid, each in sessions.items() if now - _REMEMBERED < each.at <= now}
    remembered.keep(path_of(store), msgspec.to_builtins(kept))


def brought(before: SidecarFile | None, after: Sidecar, digest: str, at: float) -> Brought:
    """What a repair brings that makes a file ``after``, with that SHA-256 (hex): of its messages that were not in it
    before the first and the last, and some between.
    """
    was = before.sidecar if before is not None else None
    new: Sequence[Piece] = after.messages
    if was is not None and was.messages:
        old = {hash(piece.raw) for piece in was.messages}  # a session can be large
        new = [piece for piece in new if hash(piece.raw) not in old]
    step = max(1, -(-len(new) // _SIGNS))
    signs = tuple(_sign(message(piece)) for piece in new[::-1][::step][::-1])
    acts = tuple({_act(each) for each in (was, after) if each is not None})
    return Brought(at, digest, acts, signs)


def _is_lost_again(session: SessionAudit, brought: Brought, store: Store) -> bool:
    """Whether messages that a repair brought into a session are gone. Reads its file where that can be."""
    if session.live is None or session.category is not Category.REPAIRABLE:
        return False  # of a question nobody knows whether anything was lost
    if _LOSSES.isdisjoint(f.name for f in session.findings if f.category is Category.REPAIRABLE):
        return False
    try:
        file = sidecar.read(store.sessions_dir / f"{session.session_id}.json")
    except FileNotFoundError:  # it has gone since the session was examined
        return False
    if file.sidecar is None or file.digest == brought.after or file.mtime < brought.at:
        return False  # an older file that was put back keeps its time, one that is saved has a new one
    if _act(file.sidecar) not in brought.acts:
        return False  # something was taken back since: nobody knows what else went with that
    return not {_sign(message(piece)) for piece in file.sidecar.messages}.issuperset(brought.signs)


def marked(session: SessionAudit, brought: Mapping[str, Brought], store: Store, webui: WebUIStatus) -> SessionAudit:
    """The session, with its loss as that of its newest repair where that was written over."""
    known = brought.get(session.session_id)
    if known is None or not _is_lost_again(session, known, store):
        return session
    main = session.main
    assert main is not None
    over = ("Hermes WebUI saved over the repair of ", known.at, f". {what_to_do(webui)} ")
    evidence = replace(main, story=over).text(lambda at: time.strftime("%Y-%m-%d %H:%M", time.localtime(at)))
    renamed = replace(
        main,
        evidence=evidence + main.evidence,
        story=(*over, *(main.story or (main.evidence,))),
        details={**main.details, WRITTEN_OVER: True},
    )
    return replace(session, findings=tuple(renamed if f is main else f for f in session.findings))


def what_to_do(webui: WebUIStatus) -> str:
    """How a repair that was written over is made to last."""
    if webui.running:
        return f"Stop it ({webui.how_to_stop}), then repair again."
    return "Repair again before you start it." if webui.running is False else "If it runs, stop it; then repair again."


def _act(file: Sidecar) -> str:
    """The newest act of the user that a file records, in short; saving the file with new prompts changes nothing."""
    return blake2b(repr([file.get(name) for name in _ACT_FIELDS]).encode("utf-8", "replace"), digest_size=6).hexdigest()


def _sign(m: Message) -> str:
    """What a message says and has, in short, however it is written down. Nothing of its text is held for later: where
    a repair asks, most of what it needs is in memory.
    """
    said = (m.role, folded(m.text), m.answers, m.calls, m.parts)
    return blake2b(repr(said).encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
