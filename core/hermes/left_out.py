"""The messages that a person left out of repairs: remembered beside the repairs, by what they are and not by place, so
that they are known again whatever Hermes does with the session.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from hermes_rescue.core.base.jsontext import number
from hermes_rescue.core.hermes import remembered
from hermes_rescue.core.hermes.message import Message

NAME = "left_out.json"

Identity: TypeAlias = str
"""A digest of what a message says, and how many messages before it in the conversation say the same."""

LeftOut: TypeAlias = Mapping[Identity, tuple[float, int]]
"""Messages that are left out, each with the time (seconds) by which it was said, and how many messages of the whole
conversation said the same by then.
"""


class Act(NamedTuple):
    """What one repair of a session left ``out`` of it, and brought ``back`` that was left out before. ``until``: when
    it was, or the time of the last message that it left out, whichever is later. With each that is out, how many
    messages said the same until then.
    """

    run_id: str
    until: float
    out: Mapping[Identity, int]
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


def decided(run_id: str, now: float, messages: Sequence[Message], out: Sequence[int], back: Iterable[int]) -> Act:
    """What a repair does ``now`` that leaves the messages at some places ``out``, and brings others ``back``."""
    known = _identities(messages)
    until = max([now, *(messages[k].time or 0.0 for k in out)])
    alike = _alike(messages, known, until)
    return Act(run_id, until, {known[k]: alike[_key(known[k])] for k in out}, tuple(known[k] for k in back))


def known_again(messages: Sequence[Message], left: LeftOut) -> list[int]:
    """The places of the messages that are left out. Where more or fewer say the same than then, nobody knows which of
    them it was. Folds every text where anything is left out.
    """
    known = _identities(messages) if left else []
    alike = {until: _alike(messages, known, until) for until in {until for until, _ in left.values()}}
    found = []
    for k, identity in enumerate(known):
        until, count = left.get(identity, (-math.inf, 0))
        if (messages[k].time or 0.0) <= until and alike[until][_key(identity)] == count:
            found.append(k)
    return found


def _identities(messages: Iterable[Message]) -> list[Identity]:
    seen = Counter[str]()
    found = []
    for m in messages:
        digest = hashlib.sha256(repr(m.folded_identity).encode(errors="backslashreplace")).hexdigest()[:24]
        found.append(f"{digest}-{seen[digest]}")
        seen[digest] += 1
    return found


def _alike(messages: Iterable[Message], known: Iterable[Identity], until: float) -> Counter[str]:
    """How many messages said each thing until then."""
    both = zip(messages, known, strict=True)
    return Counter(_key(identity) for m, identity in both if (m.time or 0.0) <= until)


def _key(identity: Identity) -> str:
    return identity.rpartition("-")[0]


def _sum(acts: Iterable[Act]) -> LeftOut:
    found: dict[Identity, tuple[float, int]] = {}
    for act in acts:
        found |= {identity: (act.until, count) for identity, count in act.out.items()}
        for each in act.back:
            found.pop(each, None)
    return found


def _acts(path: Path) -> dict[str, list[Act]]:
    found = {sid: [*_read(of)] for sid, of in remembered.read(path).items() if isinstance(of, list)}
    return {sid: acts for sid, acts in found.items() if acts}


def _read(listed: Iterable[Any]) -> Iterator[Act]:
    for each in listed:
        entry = each if isinstance(each, dict) else {}
        run_id, until, out, back = entry.get("run"), number(entry.get("until")), entry.get("out"), entry.get("back")
        if isinstance(run_id, str) and until is not None and isinstance(out, dict) and isinstance(back, list):
            counted = {identity: count for identity, count in out.items() if isinstance(count, int)}
            yield Act(run_id, until, counted, tuple(each for each in back if isinstance(each, str)))


def _keep(vault_root: Path, acts: Mapping[str, Iterable[Act]]) -> None:
    entry = {
        sid: [{"run": act.run_id, "until": act.until, "out": act.out, "back": act.back} for act in of]
        for sid, of in acts.items()
    }
    remembered.keep(path_of(vault_root), {sid: of for sid, of in entry.items() if of})
