"""Which copies of which sessions lie in a store: where each is, without what it says."""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from sys import intern
from typing import Any, NamedTuple, Self, TypeVar

from hermes_rescue.core.base.errors import UnreadableError
from hermes_rescue.core.base.files import sentence
from hermes_rescue.core.hermes import held_up, journals, left_out, sidecar
from hermes_rescue.core.hermes.database.lineage import Known, Lineage
from hermes_rescue.core.hermes.database.statedb_rows import SessionRow
from hermes_rescue.core.hermes.held_up import HeldUp
from hermes_rescue.core.hermes.journals import Index
from hermes_rescue.core.hermes.left_out import LeftOut
from hermes_rescue.core.hermes.places.candidate import Places
from hermes_rescue.core.hermes.session_files import OneFileEach, SomeFilesEach
from hermes_rescue.core.hermes.store import Store, is_safe_session_id, is_session_name

_TEMP_NAME = re.compile(
    r"([0-9A-Za-z_-]+)(?:\.tmp\..+|\.json\.recover\.tmp|\.json\.(?:reconcile|bak)\.tmp\..+)", re.DOTALL
)
"""The WebUI's own unfinished writes: of a save, of its recovery, of a backup."""

FRESH_TEMP = 60.0
"""Seconds for which a temp of a running WebUI may still be on its way."""

_T = TypeVar("_T")
Rows = Mapping[str, tuple[SessionRow, ...]]
"""Session rows by the id of the sidecar that they are about."""


@dataclass(frozen=True, slots=True)
class Listing:
    """From the id of a session to each of its copies that is there. ``rows`` has the session rows of each database by
    its name, ``lineage`` what their parents say, ``places`` where else copies lie; ``deletions_unknown``: the list of
    deleted sessions could not be read, or not in full. ``left_out``: the messages that a person left out of repairs;
    ``held_up``: the repairs that a running WebUI held up.
    """

    sidecars: OneFileEach = field(default_factory=OneFileEach)
    backups: OneFileEach = field(default_factory=OneFileEach)
    temps: SomeFilesEach = field(default_factory=SomeFilesEach)
    turn_journals: SomeFilesEach = field(default_factory=SomeFilesEach)
    run_journals: SomeFilesEach = field(default_factory=SomeFilesEach)
    index: Index = field(default_factory=Index)
    deleted: frozenset[str] = frozenset()
    deletions_unknown: bool = False
    rows: Mapping[str, Rows] = field(default_factory=dict)
    lineage: Lineage = field(default_factory=Lineage)
    places: Places = field(default_factory=Places)
    left_out: Mapping[str, LeftOut] = field(default_factory=dict)
    held_up: Mapping[str, HeldUp] = field(default_factory=dict)

    def of(self, session_ids: Iterable[str]) -> Self:
        """The part that is about some sessions: small enough to go to another process."""
        ids = frozenset(session_ids)
        return replace(
            self,
            sidecars=self.sidecars.of(ids),
            backups=self.backups.of(ids),
            temps=self.temps.of(ids),
            turn_journals=self.turn_journals.of(ids),
            run_journals=self.run_journals.of(ids),
            index=replace(self.index, rows=_only(ids, self.index.rows)),
            deleted=ids & self.deleted,
            rows={name: _only(ids, rows) for name, rows in self.rows.items()},
            lineage=self.lineage.of(ids),
            places=self.places.only(ids),
            left_out=_only(ids, self.left_out),
            held_up=_only(ids, self.held_up),
        )

    def known(self, sessions_dir: Path) -> Known:
        """What of the WebUI knows an id, also one that is none of those listed."""
        sidecars = _Files(sessions_dir, ".json")
        kept = _Files(sessions_dir, ".json.bak"), self.temps, self.index.rows
        others = self.turn_journals, self.run_journals, self.deleted

        def fields(session_id: str) -> Mapping[str, Any]:
            found = dict(self.index.row(session_id) or {})
            if session_id in sidecars:
                with suppress(OSError, UnreadableError):
                    head = sidecar.read_head(sessions_dir / f"{session_id}.json")
                    found |= {name: piece.value for name, piece in head.items()}
            return found

        return Known(sidecars, kept, others, fields)


class _Files(Container[str]):
    """The sessions of which a folder has a file, looked up one by one."""

    def __init__(self, folder: Path, suffix: str) -> None:
        self._folder, self._suffix = folder, suffix

    def __contains__(self, session_id: object) -> bool:
        return is_safe_session_id(session_id) and os.path.lexists(self._folder / f"{session_id}{self._suffix}")


def _only(ids: Iterable[str], of: Mapping[str, _T]) -> dict[str, _T]:
    return {session_id: of[session_id] for session_id in ids if session_id in of}


class SessionFiles(NamedTuple):
    """What lies in a sessions folder. ``unrecognised`` are names that look like a session's but are none, each with the
    reason; ``others`` all those that are no file of the WebUI's own, the unrecognised among them; ``all_sidecars`` the
    sessions that have a file, also where only some were asked for.
    """

    sidecars: OneFileEach
    backups: OneFileEach
    temps: SomeFilesEach
    unrecognised: tuple[tuple[str, str], ...]
    others: tuple[str, ...]
    all_sidecars: tuple[str, ...]


def session_ids(folder: Path) -> Iterator[str]:
    """The sessions whose files lie in a folder, in the order of the names: a cheap form of :func:`session_files`.
    Raises OSError.
    """
    for name in sorted(os.listdir(folder)):
        session_id = name.removesuffix(".json")
        if session_id != name and is_session_name(session_id):
            yield session_id


def sessions_in(folder: Path) -> tuple[str, ...]:
    """The same; none where the folder cannot be read."""
    try:
        return tuple(session_ids(folder))
    except OSError:
        return ()


def session_files(folder: Path, only: Container[str] | None = None) -> SessionFiles:
    """List a sessions folder (nothing where there is none), or what of ``only`` some sessions is there. Raises
    UnreadableError.
    """
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        names = []
    except OSError as error:
        raise UnreadableError(sentence(error, folder)) from None
    sidecars: dict[str, None] = {}
    backups: dict[str, None] = {}
    temps: dict[str, list[str]] = {}
    unrecognised, others, stems = [], [], []
    for name in names:
        if name.startswith("_"):
            continue
        session_id, _, ending = name.partition(".")
        is_own = is_safe_session_id(session_id)
        temp = _TEMP_NAME.fullmatch(name) if is_own else None
        if is_own and (ending in ("json", "json.bak") or temp):
            session_id = intern(session_id)
            if ending == "json":
                stems.append(session_id)
            if only is not None and session_id not in only:
                continue
            if temp:
                temps.setdefault(session_id, []).append(name)
            else:
                (sidecars if ending == "json" else backups)[session_id] = None
            continue
        others.append(name)
        if name.endswith((".json", ".json.bak")) and only is None:
            unrecognised.append((name, "under a name that is no session id"))
    return SessionFiles(
        OneFileEach(folder, ".json", sidecars),
        OneFileEach(folder, ".json.bak", backups),
        SomeFilesEach.named(folder, temps),
        tuple(unrecognised),
        tuple(others),
        tuple(stems),
    )


def listed(store: Store, files: SessionFiles) -> tuple[Listing, tuple[str, ...]]:
    """These files with what lies beside them, apart from the databases; and what of that cannot be read, a sentence
    each.
    """
    sessions_dir = store.sessions_dir
    tombstones = journals.read_id_list(sessions_dir / journals.TOMBSTONES_NAME)
    index = journals.read_index(sessions_dir)  # first, as nothing else takes as much memory for a moment
    turns, runs = journals.turn_journals(sessions_dir), journals.run_journals(sessions_dir)
    unknown = tombstones.problem is not None
    left, held = left_out.read(store.vault_root), held_up.read(store.vault_root)
    listing = Listing(*files[:3], turns.of, runs.of, index, tombstones.ids, unknown, left_out=left, held_up=held)
    problems = (tombstones.problem, journals.projects_problem(store.state_dir))
    return listing, (*filter(None, problems), *turns.problems, *runs.problems)
