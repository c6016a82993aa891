"""The messages that a person left out of repairs: remembered beside the repairs, by what they are and not by place, so
that they are known again whatever Hermes does with the session.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from hermes_rescue.core.base.jsontext import number
from hermes_rescue.core.hermes import remembered
from hermes_rescue.core.hermes.message import Message

NAME = "left_out.json"

Identity: TypeAlias = str
"""A digest of what a message says, and how many messages before it in the conversation say the same."""

LeftOut: TypeAlias = Mapping[Identity, float]
"""Messages that are left out; what was said after the time (seconds) that belongs to one is another message."""


class Act(NamedTuple):
    """What one repair of a session left ``out`` of it, and brought ``back`` that was left out before. ``until``: when
    it was, or the time of the last message that it left out, whichever is later.
    """

    run_id: str
    until: float
    out: tuple[Identity, ...]
    back: tuple[Identity, ...] = ()


def read(vault_root: Path) -> dict[str, LeftOut]:
    """What is left out of each session. What cannot be read is as if nothing were."""
    return {sid: _sum(acts) for sid, acts in _acts(path_of(vault_root)).items()}


def path_of(vault_root: Path) -> Path:
    """Where that is kept."""
    return vault_root / NAME


def remember(vault_root: Path, session_id: str, act: Act) -> None:
    """Put down what a repair leaves out; the vault is locked. Raises RescueError, OSError."""
    acts = _acts(path_of(vault_root))
    acts[session_id] = [*acts.get(session_id, ()), act]
    _keep(vault_root, acts)


def forget(vault_root: Path, run_id: str, session_ids: Collection[str] | None = None) -> None:
    """The repairs of these sessions (None: of all) by a run are undone: what was left out before counts again. The
    vault is locked. Raises RescueError, OSError.
    """
    acts = _acts(path_of(vault_root))
    undone = acts.keys() if session_ids is None else acts.keys() & set(session_ids)
    kept = {sid: [act for act in acts[sid] if sid not in undone or act.run_id != run_id] for sid in acts}
    if kept != acts:
        _keep(vault_root, kept)


def identities(messages: Iterable[Message]) -> Iterator[Identity]:
    """What each message of a conversation is known by. Folds every text."""
    seen = Counter[str]()
    for m in messages:
        digest = hashlib.sha256(repr(m.folded_identity).encode(errors="backslashreplace")).hexdigest()[:24]
        yield f"{digest}-{seen[digest]}"
        seen[digest] += 1


def _sum(acts: Iterable[Act]) -> LeftOut:
    found: dict[Identity, float] = {}
    for act in acts:
        found |= dict.fromkeys(act.out, act.until)
        for each in act.back:
            found.pop(each, None)
    return found


def _acts(path: Path) -> dict[str, list[Act]]:
    found = {sid: [*_read(of)] for sid, of in remembered.read(path).items() if isinstance(of, list)}
    return {sid: acts for sid, acts in found.items() if acts}


def _read(listed: Iterable[Any]) -> Iterator[Act]:
    for each in listed:
        told = each if isinstance(each, dict) else {}
        run_id, until, out, back = told.get("run"), number(told.get("until")), told.get("out"), told.get("back")
        if isinstance(run_id, str) and until is not None and isinstance(out, list) and isinstance(back, list):
            yield Act(run_id, until, *(tuple(i for i in some if isinstance(i, str)) for some in (out, back)))


def _keep(vault_root: Path, acts: Mapping[str, Iterable[Act]]) -> None:
    told = {
        sid: [{"run": act.run_id, "until": act.until, "out": act.out, "back": act.back} for act in of]
        for sid, of in acts.items()
    }
    remembered.keep(path_of(vault_root), {sid: of for sid, of in told.items() if of})
