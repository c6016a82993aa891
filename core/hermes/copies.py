"""Every copy of one session, gathered: live file, leftover temps, backup, database rows, journals, index row.

Each copy is read on its own; one that cannot be read is a fact to report, never the end of the scan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from hermes_rescue.core.base.jsontext import LargeElement, Piece
from hermes_rescue.core.base.progress import Steps
from hermes_rescue.core.hermes import sidecar
from hermes_rescue.core.hermes.database import lineage
from hermes_rescue.core.hermes.database.continuation import goes_on_in_turn
from hermes_rescue.core.hermes.database.database_copy import DatabaseCopy, database_copy
from hermes_rescue.core.hermes.database.lineage import SNAPSHOT_FIELD, Doubt
from hermes_rescue.core.hermes.database.statedb import DatabaseDamage, DatabaseFact, Numbered, StateDB, open_statedb
from hermes_rescue.core.hermes.database.statedb_rows import MessageRow, RawMessageRow, SessionRow, StoredRow, Wanted
from hermes_rescue.core.hermes.held_up import HeldUp
from hermes_rescue.core.hermes.left_out import LeftOut
from hermes_rescue.core.hermes.listing import Listing
from hermes_rescue.core.hermes.message import Message, MessageIdentity, message
from hermes_rescue.core.hermes.places import forms
from hermes_rescue.core.hermes.places.candidate import Candidate, FurtherCopy
from hermes_rescue.core.hermes.runs.earlier_runs import earlier_runs
from hermes_rescue.core.hermes.runs.run_journal import Done, RunJournal
from hermes_rescue.core.hermes.runs.turn_journal import SubmittedTurn, read_turn_journal, turn_events
from hermes_rescue.core.hermes.sidecar import SidecarFile
from hermes_rescue.core.hermes.store import Store

if TYPE_CHECKING:
    from hermes_rescue.core.hermes.places.reader import FurtherReader

LIVE, BACKUP, TEMP, DATABASE, RUN, INDEX, TURNS = (
    "live",
    "backup",
    "temp",
    "database",
    "run journal",
    "index",
    "turn journal",
)
"""Names of the copies; a second temp or database has its number or profile after the name."""

_FILE, _ROWS = 0.2, 0.4
"""The share of what is left to do for a session that reading its file takes, and reading its rows, about."""

_T = TypeVar("_T")
_R = TypeVar("_R", bound=Numbered)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCopies:
    """What the files say of one session. ``databases_unknown``: there is no database, or one could not be read, so a
    missing row proves nothing; ``deletions_unknown``: nor does it prove anything that no tombstone could be read.
    ``problems``: what could not be read in the journals, a sentence each. ``journal`` describes its runs, ``killed``
    has the events of each that did not come to an end, by its stream. ``goes_on``: the session that holds this
    conversation and goes on with it. ``is_side_run``: a ``/btw`` or ``/background`` run, whose file was not meant to
    stay (None: nothing says). ``is_sibling``: another session continues the same conversation. ``away``: why its file
    may well be somewhere else.
    """

    session_id: str
    live: SidecarFile | None
    temps: tuple[SidecarFile, ...]
    backup: SidecarFile | None
    journal: RunJournal
    run: Done | None
    killed: Mapping[str, Sequence[Mapping[str, Any]]]
    turns: tuple[SubmittedTurn, ...]
    index_row: Mapping[str, Any] | None
    deleted: bool
    deletions_unknown: bool
    databases_unknown: bool
    problems: tuple[str, ...]
    goes_on: str | None
    is_side_run: bool | None
    is_sibling: bool
    away: Doubt | None

    @property
    def leading(self) -> SidecarFile | None:
        """The most trusted file that holds messages."""
        return sidecar.leading((self.live, *self.temps, self.backup))

    @property
    def are_turns_ended(self) -> bool:
        """Whether every turn in the turn journal is known to have come to an end."""
        return all(turn.ended for turn in self.turns)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCopies(FileCopies):
    """All that is known of one session. ``leading_messages``: those of the leading file. ``goes_on_in_turn``: the
    session that goes on with it does so within a turn, or nothing says that this one was meant to stay beside it.
    ``further``: copies from other places, which only ever offer something. ``left_out``, ``held_up``: of its repairs.
    """

    databases: tuple[DatabaseCopy, ...]
    leading_messages: tuple[Message, ...]
    goes_on_in_turn: bool
    further: tuple[FurtherCopy, ...] = ()
    left_out: LeftOut = field(default_factory=dict)
    held_up: HeldUp | None = None

    @property
    def doubt(self) -> Doubt | None:
        """Why bringing it back would be a question although its copies agree; None where nothing speaks against it.
        A session with a file is in doubt only as the hidden part of another one.
        """
        if self.goes_on_in_turn:
            return Doubt.GOES_ON
        if self.live is not None:
            return None
        if self.away is not None or not self.rows:
            return self.away
        if not any(row.is_certain for row in self.rows):
            return Doubt.TAKEN_OVER if any(row.can_be_taken_over for row in self.rows) else Doubt.NO_SOURCE
        if self.is_sibling:
            return Doubt.SIBLING
        is_one_run = all(copy.is_one_run for copy in self.databases)
        return Doubt.SIDE_RUN if self.is_side_run is None and is_one_run else None

    @property
    def rows(self) -> tuple[SessionRow, ...]:
        """The rows of the session that are the WebUI's."""
        return tuple(copy.row for copy in self.databases if copy.row.is_webui)


def temp_name(number: int) -> str:
    """The name of a leftover temp as a copy: ``temp``, ``temp 2``, ..."""
    return TEMP if number == 0 else f"{TEMP} {number + 1}"


class Database(NamedTuple):
    """A database as a copy: the name of the copy, whether it was found to be whole already, and the private copy of it
    that somebody has open (:func:`core.hermes.database.statedb.open_statedb`).
    """

    name: str
    path: Path
    is_known: bool = False
    copy: Path | None = None


class CopyReader:
    """Reads every copy of the sessions in a listing. A context manager: it holds the databases open."""

    def __init__(self, store: Store, listing: Listing, databases: Iterable[Database]) -> None:
        self.store = store
        self.listing = listing
        self._stack = ExitStack()
        self._listed = tuple(databases)
        self._databases: dict[str, StateDB] = {}
        self._further: FurtherReader | None = None

    def __enter__(self) -> Self:
        try:
            for name, path, is_known, copy in self._listed:
                self._databases[name] = self._stack.enter_context(open_statedb(path, is_known=is_known, copy=copy))
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def databases(self) -> tuple[Database, ...]:
        """The databases that are open; another reader can have them for less."""
        return tuple(
            Database(name, found.fact.path, found.is_indexed, found.copy) for name, found in self._databases.items()
        )

    @property
    def state_dbs(self) -> tuple[StateDB, ...]:
        """The same, to be asked themselves."""
        return tuple(self._databases.values())

    @property
    def database_facts(self) -> tuple[DatabaseFact, ...]:
        """How each database could be read."""
        return tuple(database.fact for database in self._databases.values())

    @property
    def has_unread_databases(self) -> bool:
        """Whether a database can hold what was not read."""
        return not all(fact.state in ("ok", "absent") for fact in self.database_facts)

    def damages(self) -> tuple[DatabaseDamage, ...]:
        """What went wrong with each database while it was read."""
        return tuple(database.damage for database in self._databases.values())

    def merge_damage(self, damages: Iterable[DatabaseDamage]) -> None:
        """Take over what another reader of the same databases came upon."""
        for database, damage in zip(self._databases.values(), damages, strict=True):
            database.merge_damage(damage)

    def copies(self, session_id: str) -> SessionCopies:
        """Read every copy of one session."""
        steps = Steps()
        return self.with_databases(self.files(session_id, steps), steps)

    def files(self, session_id: str, steps: Steps) -> FileCopies:
        """Read the copies of one session that are files."""
        listing = self.listing
        journal = read_turn_journal(session_id, listing.turn_journals.get(session_id, ()))
        live = _read(listing.sidecars.get(session_id), self.store.reach)
        backup = _read(listing.backups.get(session_id))
        temps = tuple(sidecar.equal_once(filter(None, map(_read, listing.temps.get(session_id, ())))))
        said = lambda: sidecar.messages_of(sidecar.leading((live, *temps, backup)))  # noqa: E731
        runs = RunJournal(session_id, listing.run_journals.get(session_id, ()), journal, said)
        steps.step(_FILE)
        return FileCopies(
            session_id=session_id,
            live=live,
            temps=temps,
            backup=backup,
            journal=runs,
            run=runs.newest,
            killed={run.stream_id: runs.events(run) for run in runs.unended},
            turns=journal.turns,
            index_row=listing.index.row(session_id),
            deleted=session_id in listing.deleted,
            deletions_unknown=listing.deletions_unknown,
            databases_unknown=self.has_unread_databases or all(f.state == "absent" for f in self.database_facts),
            problems=(*runs.problems, *journal.problems),
            goes_on=listing.lineage.goes_on.get(session_id, (None,))[-1],
            is_side_run=False
            if live or backup or temps
            else self._is_side_run(session_id, runs, is_whole=not journal.problems),
            is_sibling=session_id in listing.lineage.doubtful,
            away=listing.places.away(session_id),
        )

    def _is_side_run(self, session_id: str, runs: RunJournal, *, is_whole: bool) -> bool | None:
        rows = chain.from_iterable(found.get(session_id, ()) for found in self.listing.rows.values())
        titles = ((self.listing.index.row(session_id) or {}).get("title"), *(row.title for row in rows))
        turns = chain.from_iterable(map(turn_events, self.listing.turn_journals.get(session_id, ())))
        events = chain.from_iterable(map(runs.events, runs.runs))
        return lineage.side_run(titles, turns, events, is_whole=is_whole)

    def with_databases(self, files: FileCopies, steps: Steps) -> SessionCopies:
        """The same with what the databases hold of the session."""
        pieces = sidecar.messages_of(files.leading)
        leading_messages = tuple(map(message, steps.over(pieces, len(pieces), _FILE)))
        parts = self.listing.lineage.parts.get(files.session_id, ())
        found = [
            (name if files.session_id in {row.id for row in rows} else f"{name}, row {rows[-1].id}", database, rows)
            for name, database in self._databases.items()
            for rows in lineage.conversations(self._rows_of(files, name), parts)
        ]
        known = (
            {m.strict_identity: m for m in leading_messages if m.role}
            if found and leading_messages and isinstance(leading_messages[0].piece, LargeElement)
            else {}
        )
        databases = tuple(self._database_copy(*each, files, known, steps) for each in found)
        seen = (leading_messages, *(copy.messages for copy in databases))
        return SessionCopies(
            **{each.name: getattr(files, each.name) for each in fields(FileCopies)},
            databases=databases,
            leading_messages=leading_messages,
            goes_on_in_turn=self._goes_on_in_turn(files, databases),
            further=(*self.elsewhere(files, steps), *earlier_runs(files.journal, seen)),
            left_out=self.listing.left_out.get(files.session_id, {}),
            held_up=self.listing.held_up.get(files.session_id),
        )

    def _rows_of(self, files: FileCopies, database: str) -> Sequence[SessionRow]:
        rows = self.listing.rows[database].get(files.session_id, ())
        live = files.live
        is_damaged = live is not None and (live.sidecar is None or live.sidecar.damage is not None)
        return lineage.beside_damage(rows) if is_damaged else rows

    def elsewhere(
        self, files: FileCopies, steps: Steps, is_wanted: Callable[[Candidate], bool] = lambda _: True
    ) -> tuple[FurtherCopy, ...]:
        """What other places hold of the session, as far as it needs them; ``is_wanted`` says which of them count."""
        found = self.listing.places.of.get(files.session_id)
        if found is None:
            return ()
        live = files.live.sidecar if files.live is not None else None
        have = len(live.messages) if live is not None and live.damage is None else 0
        wanted = [each for each in found if forms.may_add(each, have) and is_wanted(each)]
        return self.further.copies(files, wanted, steps) if wanted else ()

    @property
    def further(self) -> FurtherReader:
        """What reads the copies from other places; made when there are any."""
        from hermes_rescue.core.hermes.places.reader import FurtherReader

        if self._further is None:
            self._further = FurtherReader(self.store)
            self._stack.callback(self._further.close)
        return self._further

    def _database_copy(
        self,
        name: str,
        database: StateDB,
        rows: Sequence[SessionRow],
        files: FileCopies,
        known: Mapping[MessageIdentity, Message],
        steps: Steps,
    ) -> DatabaseCopy:
        def over(read: Iterator[MessageRow]) -> Iterator[MessageRow]:
            return steps.over(read, sum(row.message_count for row in rows), _ROWS)

        return database_copy(name, database, rows, files.session_id, known, files.turns, over)

    def _goes_on_in_turn(self, files: FileCopies, databases: Iterable[DatabaseCopy]) -> bool:
        rows = self.listing.lineage.goes_on.get(files.session_id)
        if rows is None:
            return False
        if files.live is None and (files.index_row or {}).get(SNAPSHOT_FIELD) is not True:
            return True  # its file may have been renamed to the other id
        before = {copy.path: copy.messages for copy in databases}
        return any(
            goes_on_in_turn(
                before.get(database.fact.path, ()),
                [[message(Piece(None, r.message, 2)) for r in database.messages(row, iter)] for row in rows],
            )
            for database in self._databases.values()
        )

    def messages_with(
        self,
        session_id: str,
        wanted: Wanted,
        read: Callable[[Iterator[MessageRow]], Iterable[_R]],
        steps: Steps,
    ) -> Iterator[tuple[str, SessionRow, tuple[_R, ...]]]:
        """What ``read`` makes of the messages of each row under this id, also those of other programs, with the name of
        the database and the row (:meth:`core.hermes.database.statedb.StateDB.messages_with`).
        """
        for name, database in self._databases.items():
            for row in self.listing.rows[name].get(session_id, ()):

                def wanted_now(rows: Iterator[StoredRow], count: int = row.message_count) -> Iterator[StoredRow]:
                    return wanted(steps.over(rows, count, _ROWS))

                yield name, row, database.messages_with(row.id, wanted_now, read)

    def raw_message_rows(self, session_id: str, steps: Steps) -> Iterator[Iterator[RawMessageRow]]:
        """The message rows of a session in each database, as they lie there. Raises UnindexedReadError."""
        return self._of_each(session_id, StateDB.raw_message_rows, steps)

    def rows(self, session_id: str, steps: Steps) -> Iterator[Iterator[tuple[Any, ...]]]:
        """The same with every column. Raises UnindexedReadError."""
        return self._of_each(session_id, StateDB.rows, steps)

    def _of_each(
        self, session_id: str, read: Callable[[StateDB, str], Iterator[_T]], steps: Steps
    ) -> Iterator[Iterator[_T]]:
        for name, database in self._databases.items():
            for row in self.listing.rows[name].get(session_id, ()):
                if row.is_webui:
                    yield steps.over(read(database, row.id), row.message_count, _ROWS)


def _read(path: Path | None, home: Path | None = None) -> SidecarFile | None:
    if path is None:
        return None
    try:
        return sidecar.read(path) if home is None else sidecar.read_linked(path, home)
    except FileNotFoundError:
        return None
