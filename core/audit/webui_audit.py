"""The items that Hermes WebUI's own audit has of a whole store, so that ``audit --json`` can have each of them too.

The files of a session are read once, where it is examined (:func:`facts_of`); what the recovery sees beside them (the
session list, the tombstones, the rows of one database, names that are no session ids) is put together at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from hermes_rescue.core.audit.findings import SessionAudit
from hermes_rescue.core.base.errors import UnreadableError
from hermes_rescue.core.base.json_lines import objects
from hermes_rescue.core.hermes import sidecar
from hermes_rescue.core.hermes.copies import FileCopies
from hermes_rescue.core.hermes.database.statedb_rows import SessionRow
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.sidecar import Sidecar
from hermes_rescue.core.hermes.webui_recovery import (
    FileFacts,
    RecoveryFacts,
    RecoveryItem,
    file_facts,
    open_prompts,
    recovery_items,
)


class Reported(NamedTuple):
    """An item of the WebUI's audit, and the session that it is about; its id need not be safe."""

    session_id: str
    item: RecoveryItem


def facts_of(copies: FileCopies, turn_journal: Iterable[Path]) -> FileFacts:
    """What the files of a session say to the WebUI's recovery. ``turn_journal``: its files."""
    live, backup = (None if file is None else file.sidecar for file in (copies.live, copies.backup))
    is_open = not copies.are_turns_ended  # else no prompt can be open: its journal is not read again
    return file_facts(live, backup, _prompts(turn_journal) if is_open else ())


def webui_items(inventory: Inventory, sessions: Iterable[SessionAudit]) -> tuple[Reported, ...]:
    """The items of a whole store, by session; ``sessions`` are those that were examined. Reads the files of the other
    names that the WebUI takes for sessions.
    """
    names = _Names.of(inventory)
    listing = inventory.listing
    known = {each.session_id: each.files for each in sessions}
    database = inventory.active_database
    rows: Mapping[str, SessionRow] = database.sessions() if database is not None else {}
    # the WebUI asks a damaged database for one row, and mostly gets its answer
    is_read = database is not None and (database.fact.state == "ok" or database.fact.salvaged)
    listed = None if listing.index.digest is None and listing.index.problem is None else names.listed

    def facts(name: str) -> RecoveryFacts:
        row = rows.get(name)
        has_file = name in names.live
        lost = row if row is not None and row.source == "webui" and not has_file else None
        return RecoveryFacts(
            known[name] if name in known else names.read(name),
            has_file,
            name in names.backups,
            True if row is not None and row.places else False if is_read else None,
            database.has_messages(lost) if database is not None and lost is not None else None,
            name in listing.deleted and not listing.deletions_unknown,
            None if listed is None else name in listed,
        )

    own = (name for name, row in rows.items() if row.source == "webui")
    every = {*names.live, *names.backups, *names.journals, *(listed or ()), *own}
    return tuple(Reported(name, item) for name in sorted(every) for item in recovery_items(facts(name)))


@dataclass(frozen=True)
class _Names:
    """The names that the WebUI's recovery takes for sessions, safe or not; ``listed`` are the ids in its session list.
    ``live_files`` and ``backup_files`` are those of the store and of other names.
    """

    live_files: tuple[Mapping[str, Path], ...]
    backup_files: tuple[Mapping[str, Path], ...]
    journals: Mapping[str, tuple[Path, ...]]
    listed: frozenset[str]

    @classmethod
    def of(cls, inventory: Inventory) -> _Names:
        listing, index, folder = inventory.listing, inventory.listing.index, inventory.store.sessions_dir
        others = [(Path(name.removesuffix(".bak")).stem, folder / name) for name, _ in inventory.unrecognised]
        return cls(
            (listing.sidecars, {name: path for name, path in others if path.suffix != ".bak"}),
            (listing.backups, {name: path for name, path in others if path.suffix == ".bak"}),
            listing.turn_journals,
            frozenset() if index.problem is not None else index.unsafe.union(index.rows),
        )

    @cached_property
    def live(self) -> frozenset[str]:
        """The names that have a file."""
        return frozenset().union(*self.live_files)

    @cached_property
    def backups(self) -> frozenset[str]:
        """The names that have a backup."""
        return frozenset().union(*self.backup_files)

    def read(self, name: str) -> FileFacts:
        """The facts of a name that is no session which was examined."""
        prompts = _prompts(self.journals.get(name, ()))
        return file_facts(_session(self.live_files, name), _session(self.backup_files, name), prompts)


def _session(files: Iterable[Mapping[str, Path]], name: str) -> Sidecar | None:
    path = next((each[name] for each in files if name in each), None)
    try:
        return None if path is None else sidecar.read(path).sidecar
    except FileNotFoundError:
        return None


def _prompts(paths: Iterable[Path]) -> tuple[str, ...]:
    return open_prompts(event for path in paths for event in _events(path))


def _events(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        yield from objects(path)[0]
    except (FileNotFoundError, UnreadableError):  # reported where the session is examined
        return
