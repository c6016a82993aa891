"""The engine on what is left of lives, by its public functions only: audit, plan, apply, once more, undo."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hermes_rescue.core import api
from hermes_rescue.core.audit.findings import Category
from hermes_rescue.core.audit.store_audit import Audit, audit
from hermes_rescue.core.hermes.store import Store, find_store

from . import Left, Life, Truth, life, play, truth
from .judge import judge, transcript
from .said import Identity
from .store import write

INDEX_KINDS = frozenset({"index_missing_entry", "index_missing_file", "malformed_index"})
"""Findings that are about the session list, not about the session."""

BATCH = 32
"""Sessions of one home."""

Tree = dict[str, tuple[int, int, bytes]]


@dataclass(frozen=True, slots=True)
class Wrong:
    """What was wrong with a session, in words; "" where nothing was. ``first`` of these is what counts it."""

    offered: str = ""
    repaired: str = ""
    again: str = ""
    undone: str = ""

    @property
    def first(self) -> str:
        """The first of them."""
        return self.offered or self.repaired or self.again or self.undone


def tree(store: Store) -> Tree:
    """Name -> (mode, modification time in ns, bytes) of all that lies in the home, the vault apart."""
    assert store.home is not None
    found: Tree = {}
    for folder, _, names in os.walk(store.home):
        if Path(folder).is_relative_to(store.vault_root):
            continue
        for path in (Path(folder), *(Path(folder, name) for name in names)):
            status = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
            found[str(path.relative_to(store.home))] = (status.st_mode, status.st_mtime_ns, content)
    return found


def contents(of: Tree) -> dict[str, tuple[int, bytes]]:
    """Without the times, which an undo cannot give back."""
    return {name: (mode, content) for name, (mode, _, content) in of.items()}


def asked(audited: Audit) -> set[str]:
    """The ids of the sessions that have a question."""
    questions = ((s.session_id, f) for s in audited.sessions for f in s.findings if f.category is Category.REVIEW)
    return {session_id for session_id, finding in questions if finding.name not in INDEX_KINDS}


def offered(audited: Audit, truths: Sequence[Truth]) -> dict[str, str]:
    """Session id -> what the audit says of a session that needs nothing, although it should not."""
    found: dict[str, str] = {}
    healthy = {t.session_id: t for t in truths if t.is_healthy}
    for session in audited.sessions:
        wanted = healthy.get(session.session_id)
        if wanted is None:
            continue
        told = [f for f in session.findings if f.name not in INDEX_KINDS]
        loud = [
            f for f in told if f.category is Category.REPAIRABLE or (wanted.quiet and f.category is Category.REVIEW)
        ]
        if loud:
            found[session.session_id] = "offered: " + ", ".join(f"{f.name} ({f.evidence})" for f in loud)
    return found


def trial(home: Path, lefts: Sequence[Left], truths: Sequence[Truth]) -> list[Wrong]:
    """Writes a home with these sessions, and what is wrong with each after everything that can be done to it."""
    write(home, lefts)
    store = find_store(home=home)
    places = {t.session_id: store.sessions_dir / f"{t.session_id}.json" for t in truths}
    before = tree(store)
    old = {sid: _bytes(path) for sid, path in places.items()}
    audited = audit(store)
    loud, questions = offered(audited, truths), asked(audited)
    plan = api.plan(store)
    looked = contents(tree(store)) == contents(before)
    result = api.apply(plan)
    new = {sid: _bytes(path) for sid, path in places.items()}
    again = api.apply(api.plan(store))
    newer = {sid: _bytes(path) for sid, path in places.items()}
    for run in (again, result):
        if run.run_id is not None:
            api.undo(store, run.run_id)
    undone = {sid: _bytes(path) for sid, path in places.items()}
    back = contents(tree(store)) == contents(before)
    found = []
    for t in truths:
        sid = t.session_id
        found.append(
            Wrong(
                loud.get(sid, "") if looked else "looking left a trace",
                judge(t, old[sid], new[sid], asks=sid in questions),
                "" if new[sid] == newer[sid] else "a second repair changed it",
                "" if undone[sid] == old[sid] and (back or new != old) else "undo did not give it back",
            )
        )
    if not back and not any(wrong.undone for wrong in found):
        found = [Wrong(w.offered, w.repaired, w.again, "undo left something else") for w in found]
    return found


def tried(seeds: range, act: str = "", damage: str = "") -> Iterator[tuple[Life, Truth, Wrong]]:
    """Each life with what is right for it and what was wrong."""
    for first in range(seeds.start, seeds.stop, BATCH):
        lives = [life(seed, act, damage) for seed in range(first, min(first + BATCH, seeds.stop))]
        lefts = [play(each, number) for number, each in enumerate(lives)]
        truths = [truth(left) for left in lefts]
        with tempfile.TemporaryDirectory() as folder:
            yield from zip(lives, truths, trial(Path(folder) / "home", lefts, truths), strict=True)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the engine makes of a session: its findings (name, category), its part of the plan (kinds, number of
    messages after it), and the transcript that a repair leaves (None: no readable file)."""

    findings: tuple[tuple[str, str], ...]
    plan: tuple[tuple[str, ...], int] | None
    transcript: tuple[Identity, ...] | None


def outcome(home: Path, session_id: str) -> Outcome:
    """What the engine makes of a session of a home that is written; it is repaired then."""
    store = find_store(home=home)
    session = next((s for s in audit(store).sessions if s.session_id == session_id), None)
    plan = api.plan(store)
    planned = next((p for p in plan.sessions if p.session_id == session_id), None)
    api.apply(plan)
    return Outcome(
        tuple(sorted((f.name, str(f.category)) for f in session.findings)) if session else (),
        (planned.kinds, planned.messages_after) if planned else None,
        transcript(_bytes(store.sessions_dir / f"{session_id}.json")),
    )


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
