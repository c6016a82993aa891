"""Repairs that had one right answer and that a running WebUI held up: remembered beside the repairs.

What such a WebUI saves until it stops may have no mark any more of what was taken back, as versions without marks save
it. Nobody can have taken back since what the file did not have by then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from hermes_rescue.core.hermes import remembered
from hermes_rescue.core.hermes.message import Message

NAME = "held_up.json"

_REMEMBERED = 90 * 86_400.0
"""Seconds: a WebUI runs for weeks before it is stopped."""


class HeldUp(msgspec.Struct, frozen=True):
    """What a repair was about that was held up ``at`` (seconds since 1970): how many messages the session file ``had``,
    how many it was to ``have``, digests of both, and what its ``backup`` is known by.
    """

    at: float
    had: int
    file: str
    have: int
    whole: str
    backup: str


def path_of(vault_root: Path) -> Path:
    """Where that is kept."""
    return vault_root / NAME


def read(vault_root: Path) -> dict[str, HeldUp]:
    """The repair of each session that was held up. What cannot be read is as if nothing had been."""
    try:
        return msgspec.convert(remembered.read(path_of(vault_root)), dict[str, HeldUp])
    except (msgspec.ValidationError, RecursionError):
        return {}


def keep(vault_root: Path, sessions: Mapping[str, HeldUp], now: float) -> None:
    """Write that down instead, without what is too old to matter; the vault is locked. Raises RescueError, OSError."""
    kept = {sid: each for sid, each in sessions.items() if now - _REMEMBERED < each.at <= now}
    if kept != read(vault_root):
        remembered.keep(path_of(vault_root), msgspec.to_builtins(kept))


def held_up(file: Sequence[Message], whole: Sequence[Message], backup: str, now: float) -> HeldUp:
    """What is to be remembered of a repair that would make a file with messages have the whole transcript."""
    return HeldUp(now, len(file), _digest(file), len(whole), _digest(whole), backup)


def is_the_same(held: HeldUp, file: Sequence[Message], whole: Sequence[Message], backup: str) -> bool:
    """Whether it still is that repair, but for what was said in the file since. A backup that has changed since tells
    that something was taken back, or restored meanwhile.
    """
    new = len(file) - held.had
    return (
        backup == held.backup
        and 0 <= new == len(whole) - held.have
        and _digest(file[: held.had]) == held.file
        and _digest(whole[: held.have]) == held.whole
        and _digest(file[held.had :]) == _digest(whole[held.have :])
    )


def _digest(messages: Sequence[Message]) -> str:
    digest = hashlib.sha256()
    for m in messages:
        digest.update(repr(m.folded_identity).encode(errors="backslashreplace"))
    return digest.hexdigest()
