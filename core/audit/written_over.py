"""Repairs that were written over: a WebUI saved what it had in its memory, and what the repair had brought is gone.

Beside the repairs lies what each of them brought into which session file, as a few digests. Where a session has lost
something again and what was brought is not all there, it is that repair that was lost.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import msgspec
from hermes_rescue.core.audit.findings import WRITTEN_OVER, Category, SessionAudit
from hermes_rescue.core.hermes import remembered, sidecar
from hermes_rescue.core.hermes.message import Message, message
from hermes_rescue.core.hermes.sidecar import Sidecar
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.hermes.webui_status import WebUIStatus

NAME = "repaired.json"
_SIGNS = 32
"""Messages that are remembered of what a repair brought: an older state of the file lacks the last of them at least."""

_REMEMBERED = 90 * 86_400.0
"""Seconds: a WebUI runs for weeks with what it has in its memory."""

_LOSSES = frozenset(
    {"shrunken_live", "shrunken_live_unmarked", "emptied_live", "state_db_ahead", "state_db_gap", "lossy_rebuild",
     "unsaved_temp", "run_journal_ahead"}
)  # fmt: skip


class Brought(msgspec.Struct, frozen=True):
    """What a repair brought into a session file: when (seconds since 1970), the SHA-256 (hex) of what it wrote, and
    digests of messages that the file had not before, or not so rich.
    """

    at: float
    after: str
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


def signs(before: Sidecar | None, after: Sidecar) -> tuple[str, ...]:
    """Digests of messages that a file has and had not before, the first and the last among them."""
    old = {hash(piece.raw) for piece in before.messages} if before is not None else ()  # a session can be large
    new = [piece for piece in after.messages if hash(piece.raw) not in old]
    step = max(1, -(-len(new) // _SIGNS))
    return tuple(_sign(message(piece)) for piece in new[::-1][::step][::-1])


def _is_lost_again(session: SessionAudit, brought: Brought, store: Store) -> bool:
    """Whether messages that a repair brought into a session are gone. Reads its file where that can be."""
    if session.live is None or session.basis.endswith(f"-{brought.after[:16]}"):
        return False
    if _LOSSES.isdisjoint(f.name for f in session.findings if f.category is not Category.INFO):
        return False
    live = sidecar.read(store.sessions_dir / f"{session.session_id}.json").sidecar
    return live is not None and not {_sign(message(piece)) for piece in live.messages}.issuperset(brought.signs)


def marked(session: SessionAudit, brought: Mapping[str, Brought], store: Store, webui: WebUIStatus) -> SessionAudit:
    """The session, with its loss as that of its newest repair where that was written over."""
    known = brought.get(session.session_id)
    if known is None or not _is_lost_again(session, known, store):
        return session
    main = session.main
    assert main is not None
    over = ("Hermes WebUI saved over the repair of ", known.at, f". {what_to_do(webui)} ")
    evidence = replace(main, story=over).told(lambda at: time.strftime("%Y-%m-%d %H:%M", time.localtime(at)))
    told = replace(
        main,
        evidence=evidence + main.evidence,
        story=(*over, *(main.story or (main.evidence,))),
        details={**main.details, WRITTEN_OVER: True},
    )
    return replace(session, findings=tuple(told if f is main else f for f in session.findings))


def what_to_do(webui: WebUIStatus) -> str:
    """How a repair that was written over is made to last."""
    if webui.running:
        return f"Stop it ({webui.how_to_stop}), then repair again."
    return "Repair again before you start it." if webui.running is False else "If it runs, stop it; then repair again."


def _sign(m: Message) -> str:
    """What a message says and has, in short, however it is written down."""
    return blake2b(repr((*m.folded_identity, m.parts)).encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
