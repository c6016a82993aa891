"""Reads the further copies of a session, and finds where they are for a whole store."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable, Iterator, Set
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from hermes_rescue.core.base.errors import UnreadableError
from hermes_rescue.core.base.files import read_regular, shown
from hermes_rescue.core.base.private_folder import private_folder, sweep
from hermes_rescue.core.base.progress import Steps
from hermes_rescue.core.hermes import sidecar
from hermes_rescue.core.hermes.copies import FileCopies
from hermes_rescue.core.hermes.database.statedb_rows import RawMessageRow
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.listing import Listing, SessionFiles, sessions_in
from hermes_rescue.core.hermes.message import message
from hermes_rescue.core.hermes.places import archives, beside, forms
from hermes_rescue.core.hermes.places.candidate import Candidate, Form, FurtherCopy, Places
from hermes_rescue.core.hermes.places.given import Given
from hermes_rescue.core.hermes.places.search import Search, homes_of
from hermes_rescue.core.hermes.sidecar import FIELD_DEFAULTS
from hermes_rescue.core.hermes.store import Store

_LARGE = 64 * 2**20
"""Bytes of a set-aside database from which on it is taken for whole until something else shows."""


_SMALL = 4096
"""Bytes of a session file that is looked into for whether it has a message at all; an empty one has fewer."""


class FurtherReader:
    """Reads what candidates hold of a session; keeps the databases open that it was asked for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stack = ExitStack()
        self._open: dict[Path, Inventory] = {}
        self._folder: Path | None = None
        self._made = 0

    def close(self) -> None:
        """Let go of the databases."""
        self._stack.close()

    def copies(self, of: FileCopies, candidates: Iterable[Candidate], steps: Steps) -> tuple[FurtherCopy, ...]:
        """What each candidate holds of a session; one that holds nothing of it gives none, but for a file that an act
        emptied.
        """
        found: list[FurtherCopy] = []
        for each in candidates:
            if each.form is Form.DATABASE:
                found += self._rows(of, each, steps)
            elif (copy := _file(of, each)) is not None:
                found.append(copy)
        return tuple(copy for copy in found if copy.messages or _is_emptied(copy))

    def raw_message_rows(
        self, session_id: str, candidates: Iterable[Candidate], steps: Steps
    ) -> Iterator[Iterator[RawMessageRow]]:
        """The message rows of a session in set-aside databases, as they lie there. Raises UnindexedReadError."""
        for each in candidates:
            yield from self.database(each).raw_message_rows(session_id, steps)

    def new_folder(self) -> Path:
        """A private folder that goes when this is closed."""
        if self._folder is None:
            sweep()  # a program that uses the engine may never do it otherwise
            self._folder = self._stack.enter_context(private_folder())
        self._made += 1
        folder = self._folder / f"archive{self._made}"
        folder.mkdir(mode=0o700)
        return folder

    def database(self, candidate: Candidate) -> Inventory:
        """A set-aside database as that of the store."""
        path = candidate.path
        if path not in self._open:
            store = Store(None, self._store.state_dir, self._store.sessions_dir, (path,), ())
            opened = Inventory(store, (path,) if candidate.size >= _LARGE else (), is_alone=True)
            self._open[path] = self._stack.enter_context(opened)
        return self._open[path]

    def _rows(self, of: FileCopies, candidate: Candidate, steps: Steps) -> Iterable[FurtherCopy]:
        for copy in self.database(candidate).with_databases(of, steps).databases:
            left_out = copy.rewound | copy.hidden
            shown = tuple(m for k, m in enumerate(copy.messages) if k not in left_out)
            if copy.row.is_webui:
                yield FurtherCopy(candidate.name, candidate.shown, candidate.saved, None, copy, shown)


def _is_emptied(copy: FurtherCopy) -> bool:
    return copy.session is not None and copy.session.get("truncation_boundary") == 0.0


def _file(of: FileCopies, candidate: Candidate) -> FurtherCopy | None:
    try:
        read = forms.read_refused if candidate.form is Form.REFUSED else forms.read
        session = read(candidate.path, of.session_id)
    except (OSError, UnreadableError):
        return None
    if session is None:
        return None
    shown = tuple(map(message, session.messages))
    return FurtherCopy(candidate.name, candidate.shown, candidate.saved, session, None, shown)


def find_places(
    inventory: Inventory, reader: FurtherReader, files: SessionFiles, only: Collection[str] | None
) -> Places:
    """Where else in a home the sessions of a store lie, or ``only`` some of them. ``files``: what lies in the sessions
    folder.
    """
    store, listing = inventory.store, inventory.listing
    known = inventory.known_ids
    foreign = {each for rows in listing.rows.values() for each in rows} - known
    search = Search(known, foreign)
    copies = search.beside(store.sessions_dir, files.others)
    odd = (sid for sid in files.all_sidecars if sid not in listing.index.rows or not beside.is_usual(sid))
    misnamed = search.misnamed(store.sessions_dir, odd)
    for home in homes_of(store):
        search.home(home)
    given = Given(search, reader.new_folder)
    for path in store.also:
        given.add(path)
    needy = _needy(inventory) if search.archives else frozenset[str]()
    unopened: list[Path] = []
    for path in search.archives:
        packed, unknown_there = _packed_sessions(path, known | foreign | listing.deleted)
        lost = needy | unknown_there
        ours = packed.keys() & known - listing.deleted
        fuller = {each for each in ours if packed[each] > _size(listing, each)}
        if only is not None:
            unknown = {*only} - known  # a database in there may have it
            lost, fuller = lost.intersection(only) | unknown, fuller.intersection(only)
        if lost or fuller:
            given.archive(path, lost | fuller, with_databases=bool(lost))
        else:
            unopened.append(path)
    unread = tuple(_add_databases(search, reader, inventory))
    in_cloud = frozenset(filter(None, map(beside.placeholder_of, files.others)))
    in_other = frozenset(each for folder in store.other_session_dirs for each in sessions_in(folder))
    return Places(
        search.found,
        tuple(search.looked),
        misnamed,
        copies,
        in_cloud,
        in_other.difference(files.all_sidecars),
        (*given.notes, *unread),
        tuple(unopened),
        frozenset(given.partly),
        frozenset(given.torn),
    )


def _needy(inventory: Inventory) -> frozenset[str]:
    """The sessions that need a large place to be looked through: they have no file, or one without any message, which
    is no new chat.
    """
    listing = inventory.listing
    kept = listing.backups.keys() | listing.temps.keys() | inventory.webui_rows
    lost = {each for each in listing.index.rows if each not in listing.sidecars and each not in kept}
    return frozenset(lost | {each for each in listing.sidecars if _is_emptied_file(listing, each)})


def _is_emptied_file(listing: Listing, session_id: str) -> bool:
    if _size(listing, session_id) >= _SMALL:
        return False
    try:
        found = sidecar.parse(read_regular(listing.sidecars[session_id]))
    except (OSError, UnreadableError):
        return False
    return not found.messages and found.get("title") != FIELD_DEFAULTS["title"]


def _packed_sessions(archive: Path, known: Set[str]) -> tuple[dict[str, int], frozenset[str]]:
    """The sessions in an archive that its list names, with the bytes of the largest file of each; and which of them
    are not ``known``, by the form of the id. A home has many other files that are called like a session, and the
    agent's snapshots are mostly of its other fronts.
    """
    found: dict[str, int] = {}
    lost = set()
    for name, size in archives.sizes_in(archive).items():
        if session_id := beside.session_in(name):
            found[session_id] = max(size, found.get(session_id, 0))
            if not name.startswith("session_") and beside.is_usual(session_id) and session_id not in known:
                lost.add(session_id)
    return found, frozenset(lost)


def _size(listing: Listing, session_id: str) -> int:
    """The bytes of a session file, 0 where there is none; more than any has where it cannot be looked at."""
    if session_id not in listing.sidecars:
        return 0
    try:
        return listing.sidecars[session_id].lstat().st_size
    except OSError:
        return sys.maxsize


def _add_databases(search: Search, reader: FurtherReader, inventory: Inventory) -> Iterator[str]:
    """Add the sessions of each set-aside database, with the number of their messages that it counts; what of them
    cannot be read at all, a sentence each. The number of one that has rows which those of the store lack proves
    nothing.
    """
    own = {os.path.realpath(path) for path in inventory.store.databases}
    for candidate in search.databases:
        if os.path.realpath(candidate.path) in own:
            continue
        found = reader.database(candidate)
        for fact in found.database_facts:
            if fact.state not in ("ok", "absent", "no_tables") and not fact.salvaged:
                yield f"{shown(candidate.shown)}: {fact.reason}"
        lacking = frozenset(_with_other_rows(found, inventory))
        own_rows = found.webui_rows
        for rows in found.listing.rows.values():
            for session_id in own_rows & rows.keys():
                parts = rows[session_id]
                is_known = lacking.isdisjoint(row.id for row in parts)
                count = sum(row.message_count for row in parts) if is_known else None
                search.add(session_id, replace(candidate, count=count))


def _with_other_rows(found: Inventory, inventory: Inventory) -> Iterator[str]:
    """The rows of sessions that have messages in set-aside databases which none of a store has, by their ids."""
    for database in found.state_dbs:
        for row_id, extent in database.row_index.extents().items():
            if all(own.row_index.extent_until(row_id, extent.newest) != extent for own in inventory.state_dbs):
                yield row_id
