"""What lies in a whole store: which sessions there are, and where each copy of each is."""

from __future__ import annotations

import os
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Self

from hermes_rescue.core.base.jsontext import Piece
from hermes_rescue.core.hermes.copies import DATABASE, CopyReader, Database
from hermes_rescue.core.hermes.database import lineage
from hermes_rescue.core.hermes.database.continuation import HEAD, begins_with_summary
from hermes_rescue.core.hermes.database.database_copy import profile_of
from hermes_rescue.core.hermes.database.lineage import Known
from hermes_rescue.core.hermes.database.statedb import StateDB
from hermes_rescue.core.hermes.database.statedb_rows import SessionRow
from hermes_rescue.core.hermes.listing import Rows, listed, session_files
from hermes_rescue.core.hermes.message import message
from hermes_rescue.core.hermes.places.candidate import free
from hermes_rescue.core.hermes.store import Store, is_session_name


class Inventory(CopyReader):
    """The whole of a store, or what of it is about ``only`` some sessions. ``unrecognised`` are names in the sessions
    folder that look like a session's but are none, each with the reason; ``problems`` says what of the small files
    beside them cannot be read, a sentence each. ``known`` are the databases that are known to be whole
    (:func:`core.hermes.database.statedb.open_statedb`); ``is_alone``: no other places are looked for.
    """

    def __init__(
        self,
        store: Store,
        known: Container[Path] = (),
        only: Collection[str] | None = None,
        *,
        is_alone: bool = False,
    ) -> None:
        self._only = only
        self._is_alone = is_alone
        self._files = files = session_files(store.sessions_dir, only)
        self.unrecognised = files.unrecognised
        listing, self.problems = listed(store, files)
        super().__init__(store, listing, _named(store.databases, known))

    def __enter__(self) -> Self:
        super().__enter__()
        sessions = {name: database.sessions(self._only) for name, database in self._databases.items()}
        known = self.listing.known(self.store.sessions_dir)
        found = lineage.trace([*sessions.values()], known, self._begins_with_summary)
        rows = {name: self._by_sidecar(each.values(), known, found.parts) for name, each in sessions.items()}
        # a run that ends under another id than it began with is in the journal of the first one
        runs = self.listing.run_journals.with_parts(found.parts)
        self.listing = replace(self.listing, rows=rows, lineage=found, run_journals=runs)
        if not self._is_alone:
            from hermes_rescue.core.hermes.places.reader import find_places

            places = find_places(self, self.further, self._files, self._only)
            self.listing = replace(self.listing, places=places if self._only is None else places.only(self._only))
        return self

    @property
    def known_ids(self) -> frozenset[str]:
        """The ids that a file, a journal, the session list or a row of the WebUI's knows."""
        listing = self.listing
        files = (listing.sidecars, listing.backups, listing.temps, listing.turn_journals, listing.run_journals)
        return frozenset(each for found in (*files, self.webui_rows, listing.index.rows) for each in found)

    def _begins_with_summary(self, session_id: str) -> bool:
        first = (db.messages(session_id, lambda rows: islice(rows, HEAD)) for db in self._databases.values())
        return any(begins_with_summary(message(Piece(None, row.message, 2)) for row in rows) for rows in first)

    def _by_sidecar(self, rows: Iterable[SessionRow], known: Known, parts: Mapping[str, Sequence[str]]) -> Rows:
        wanted = (
            self._only if self._only is None else {part for sid in self._only for part in (sid, *parts.get(sid, ()))}
        )
        found: dict[str, tuple[SessionRow, ...]] = {}
        for each in rows:
            if wanted is not None and each.id not in wanted and each.session_key is None:
                continue  # it names no other session than its own; most rows need no closer look
            row, key = lineage.recognised(each, known)
            if wanted is None or key in wanted:
                found[key] = (*found.get(key, ()), row)
        whole = {sid: tuple(row.as_known() for part in of for row in found.get(part, ())) for sid, of in parts.items()}
        found |= {sid: of for sid, of in whole.items() if of}
        return found if self._only is None else {sid: of for sid, of in found.items() if sid in self._only}

    @cached_property
    def lacks_folder(self) -> bool:
        """Whether a database has sessions of the WebUI, and the folder of their files is not there: then they are not
        lost one by one.
        """
        return not os.path.isdir(self.store.sessions_dir) and bool(self.webui_rows)

    @property
    def webui_rows(self) -> frozenset[str]:
        """Ids of the sessions in the databases whose sidecars are meant to exist."""
        return frozenset(chain.from_iterable(self.listing.rows.values())) - self._foreign_rows

    @cached_property
    def _foreign_rows(self) -> frozenset[str]:
        """The other ids: they are few in most stores."""
        found, is_own = self.listing.rows.values(), self.listing.lineage.is_own
        return frozenset(
            key
            for rows in found
            for key in rows
            if not is_own(key) or not any(row.is_webui for each in found for row in each.get(key, ()))
        )

    @property
    def active_database(self) -> StateDB | None:
        """The database of the profile that the WebUI of this store runs under, which is the only one that its own
        recovery reads; None where there is none.
        """
        store = self.store
        named = os.path.realpath((store.home or store.state_dir.parent) / "state.db")
        found = [database for database in self._databases.values() if profile_of(database.fact.path) is None]
        own = (each for each in self._databases.values() if os.path.realpath(each.fact.path) == named)
        return next(own, found[0] if found else None)

    def session_ids(self) -> tuple[str, ...]:
        """Every session that any copy knows and that is meant to have a sidecar, sorted; of a store that lacks the
        folder only those that were asked for.
        """
        listing = self.listing
        if self.lacks_folder and self._only is None:
            return ()
        files = (listing.sidecars, listing.backups, listing.temps, listing.turn_journals, listing.run_journals)
        # in the order of the files, which is nearly that of the ids: putting those in order holds nobody up
        further = (each for each in listing.places.of if each not in listing.deleted or self._only is not None)
        known = {each: None for found in (*files, self.webui_rows, listing.index.rows, further) for each in found}
        is_own = listing.lineage.is_own
        return tuple(sorted(each for each in known if is_session_name(each) and is_own(each)))

    def unsafe_ids(self) -> tuple[str, ...]:
        """Ids in the databases that must never become a path."""
        return tuple(sorted(key for key in self.webui_rows if not is_session_name(key)))


def _named(paths: Iterable[Path], known: Container[Path]) -> list[Database]:
    found: list[Database] = []
    for path in paths:
        profile = profile_of(path)
        usual = DATABASE if profile is None else f"{DATABASE} of {profile}"
        found.append(Database(free(usual, [each.name for each in found]), path, path in known))
    return found
