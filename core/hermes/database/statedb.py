"""The agent's database, state.db, read without a trace and as far as it is whole.

Columns come and go between versions of the agent: what there is is asked of the database, never of a version number.
A database that cannot be read, or not in full, is a fact to report: "unknown" is not "absent".
"""

from __future__ import annotations

import json
import sqlite3
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from sys import intern
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, Self, TypeVar

from hermes_rescue.core.base import sqlite_readonly
from hermes_rescue.core.base.rights import cure, is_denied
from hermes_rescue.core.base.sqlite_readonly import KeepsChangingError, ReadOnlyDatabase, TableScan, quoted
from hermes_rescue.core.base.words import counted
from hermes_rescue.core.hermes.database.row_index import RowIndex
from hermes_rescue.core.hermes.database.statedb_rows import (
    MESSAGE_COLUMNS,
    SESSION_COLUMNS,
    MessageRow,
    RawMessageRow,
    SessionRow,
    StoredRow,
    Wanted,
    message_row,
)
from hermes_rescue.core.hermes.message import REASONING

_BYTES_A_SECOND = 50_000_000
"""Reading slower than this is a query that runs away, not a slow disk."""

_TRIES = 3
_BATCH_ROWS = 50  # rows; each can have megabytes
State = Literal["ok", "locked", "malformed", "unreadable", "absent", "no_tables"]


@dataclass(frozen=True, slots=True)
class DatabaseFact:
    """What could be learned of a database: only under "ok" and "absent" a row that is not there is truly not there.

    ``reason`` is a plain sentence ("" when all is well). ``salvaged``: rows are given although the database is damaged
    or was not read to its end. ``lost_rows`` is how many could not be read, None where that cannot be known.
    """

    path: Path
    state: State
    reason: str = ""
    salvaged: bool = False
    lost_rows: int | None = 0


class Numbered(Protocol):
    """Something that is made of a row."""

    @property
    def id(self) -> int:
        """The id of the row."""


_Row = TypeVar("_Row", bound=Numbered)


class DatabaseDamage(NamedTuple):
    """What went wrong with an open database: how it could be read, and the row ids of what could not."""

    fact: DatabaseFact
    unreadable: frozenset[int]


class UnindexedReadError(Exception):
    """Rows cannot be read the fast way: damage, no index, or changed meanwhile."""


def open_statedb(path: Path, *, deadline: float = 2.0, is_known: bool = False, copy: Path | None = None) -> StateDB:
    """Open a database, read its sessions and count their messages. Never raises for what is on disk: see ``fact``.

    ``deadline`` is how many seconds a lock may take, or a query of the processor's; a large database gets more.
    ``is_known``: it is known to be ``is_indexed``; sessions are read when they are asked for, nothing is counted.
    ``copy``: the :attr:`StateDB.copy` of another process.
    """
    return StateDB(path, deadline, is_known=is_known, copy=copy)


class StateDB:
    """An open state.db, a context manager. ``fact`` says how far it could be read, and is final once it is open; only a
    message whose page is damaged can still change it. Without data (locked, foreign) it is empty."""

    def __init__(self, path: Path, deadline: float, *, is_known: bool, copy: Path | None) -> None:
        self.fact = DatabaseFact(path, "ok")
        self._copy = copy
        self._is_known = is_known
        self._deadline = deadline
        self._database: ReadOnlyDatabase | None = None
        self._forget()
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file. Sessions stay, messages can be read no more."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def sessions(self, only: Collection[str] | None = None) -> dict[str, SessionRow]:
        """Every session by its id, also those of which only messages are left (they have no columns). Those that belong
        to none of ``only`` may be left out.

        Ids are as untrusted as anything in a database. One that is no text comes as an SQL literal, "" for NULL: an
        integer apart, that is never a safe id.
        """
        if self._is_known and self._database is not None and not self._sessions:
            try:
                self._read_sessions(self._database, only)
            except sqlite3.Error as error:
                self._fail(error)
        return self._sessions

    def has_messages(self, row: SessionRow) -> bool:
        """Whether any message of a session can be read."""
        if self._rowids is not None:
            return row.id in self._rowids
        if self._database is None or "session_id" not in self._message_columns:
            return False
        self._database.limit(self._seconds)
        query = "SELECT 1 FROM messages WHERE session_id IS ? LIMIT 1"
        try:
            return self._database.query(query, (row.get("id"),)).fetchone() is not None
        except sqlite3.Error:
            return False

    @property
    def row_index(self) -> RowIndex:
        """What an index has of the rows; one that knows nothing where none can be asked."""
        database = self._database if self.is_indexed else None
        if database is not None:
            database.limit(self._seconds)
        return RowIndex(database, self._message_columns)

    @property
    def is_indexed(self) -> bool:
        """Whether it is whole, and an index names the messages of each session."""
        return self.fact.state == "ok" and self._rowids is None

    @property
    def copy(self) -> Path | None:
        """The private copy that is read in its place, if there is one."""
        return None if self._database is None else self._database.copy

    @property
    def damage(self) -> DatabaseDamage:
        """What went wrong until now, for another process that has the same database open."""
        return DatabaseDamage(self.fact, frozenset(self._unreadable))

    def merge_damage(self, damage: DatabaseDamage) -> None:
        """Take over what another process came upon."""
        for rowid in damage.unreadable:
            self._lose(rowid)
        if damage.fact.state not in ("ok", self.fact.state):
            self.fact = damage.fact

    def messages(self, session_id: str, read: Callable[[Iterator[MessageRow]], Iterable[_Row]]) -> tuple[_Row, ...]:
        """What ``read`` makes of the rows of a session that can be read, whatever their status, by id (by row id where
        there is no id). It gets them one after another, so that they are not in memory all at once.
        """
        found = [*read(self._message_rows(session_id))]
        if self._database is not None and self._database.changed():
            self._open()
            found = [*read(self._message_rows(session_id))]
        return tuple(sorted(found, key=attrgetter("id")))

    def raw_message_rows(self, session_id: str) -> Iterator[RawMessageRow]:
        """Every row of a session by id, far faster than :meth:`messages`. Raises :class:`UnindexedReadError`."""
        return map(RawMessageRow._make, self._exact_rows(self._text_columns, session_id))

    def rows(self, session_id: str) -> Iterator[StoredRow]:
        """The same with every column that a message is made of. Raises :class:`UnindexedReadError`."""
        return self._exact_rows(", ".join(map(quoted, self._message_columns)), session_id)

    def messages_with(
        self,
        session_id: str,
        wanted: Wanted,
        read: Callable[[Iterator[MessageRow]], Iterable[_Row]],
    ) -> tuple[_Row, ...]:
        """As :meth:`messages`, of those of the :meth:`rows` that are ``wanted``; of all where these cannot be read."""

        def found() -> Iterator[MessageRow]:
            for rowid, *values in wanted(self.rows(session_id)):
                texts = (v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values)
                yield message_row(rowid, dict(zip(self._message_columns, texts, strict=True)))

        try:
            return (*read(found()),)
        except UnindexedReadError:
            return self.messages(session_id, read)

    def _exact_rows(self, columns: str, session_id: str) -> Iterator[tuple[Any, ...]]:
        if self._database is None or not self.is_indexed:
            raise UnindexedReadError
        self._database.limit(self._seconds)
        # the ids are put in order first: to sort whole rows, SQLite holds all texts in memory
        ids = "SELECT _rowid_ FROM messages WHERE session_id = ?"
        query = f"SELECT _rowid_, {columns} FROM messages WHERE _rowid_ IN ({ids}) ORDER BY _rowid_"
        try:
            yield from self._database.exact_rows(query, (session_id,), bytes)
        except (sqlite3.Error, MemoryError):
            raise UnindexedReadError from None
        if self._database.changed():
            raise UnindexedReadError

    @property
    def _text_columns(self) -> str:
        """What :class:`RawMessageRow` is made of, where the table has it."""
        there = {*self._message_columns}
        plain = {
            "active": "coalesce(active, 1) = 1",
            "compacted": "coalesce(compacted, 0) = 0",
            "display_kind": "coalesce(display_kind, '') <> 'hidden'",
            "id": "id = _rowid_",
        }
        columns = ("role", "content", "tool_call_id", "tool_calls", "timestamp")
        reasoning = " OR ".join(f"{name} IS NOT NULL" for name in REASONING if name in there)
        return ", ".join(
            (
                *(name if name in there else "NULL" for name in columns),
                reasoning or "0",
                " AND ".join(test for name, test in plain.items() if name in there) or "1",
            )
        )

    def _forget(self) -> None:
        self._sessions: dict[str, SessionRow] = {}
        self._rowids: dict[str, list[int]] | None = None  # None: the index of the messages knows them
        self._unreadable: set[int] = set()
        self._cut_off = 0
        self._session_columns: tuple[str, ...] = ()
        self._message_columns: tuple[str, ...] = ()

    def _open(self) -> None:
        for _ in range(_TRIES):
            self.close()
            self._forget()
            try:
                size = self._regular_size()
                if size is None:
                    return
                self._seconds = self._deadline + size / _BYTES_A_SECOND
                self._database = sqlite_readonly.open_without_trace(
                    self.fact.path, timeout=self._deadline / 2, copy=self._copy
                )
                self._database.limit(self._seconds)
                self._load(self._database)
            except (sqlite3.Error, OSError) as error:
                self._fail(error)
            except KeepsChangingError:
                break
            if self._database is None or not self._database.changed():
                return
        self.close()
        self._forget()
        self._set("unreadable", "Another program keeps writing to it.")

    def _regular_size(self) -> int | None:
        """The file's size in bytes; None, and the fact set, where there is nothing to open."""
        try:
            status = self.fact.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            if self.fact.path.is_symlink():
                self._set("unreadable", "It is a symbolic link to nothing.")
            else:
                self._set("absent", "There is no such file.")
            return None
        if not stat.S_ISREG(status.st_mode):
            self._set("unreadable", "It is not a regular file.")
            return None
        if status.st_size == 0:
            self._set("malformed", "It is empty (0 bytes).")
            return None
        return status.st_size

    def _load(self, database: ReadOnlyDatabase) -> None:
        self._session_columns = sessions = _columns(database, "sessions", SESSION_COLUMNS)
        self._message_columns = messages = _columns(database, "messages", MESSAGE_COLUMNS)
        if not sessions and not messages:
            if database.damaged:
                self._set("malformed", "It is damaged, and its tables cannot be found.")
            else:
                self._set("no_tables", "It has neither sessions nor messages.")
            return
        if self._is_known:
            self._set("ok", "")
            return
        scans = self._read_sessions(database)
        if "session_id" in messages and not self._has_whole_index(database):
            scans.append(self._scan_messages(database))
        self._set("ok", "")
        table_lost = database.damaged and not (sessions and messages)
        if table_lost or database.torn or any(scan.damaged for scan in scans):
            losses = [scan.lost for scan in scans]
            self._cut_off = sum(scan.cut_off for scan in scans)
            self._damaged(None if table_lost or None in losses else sum(lost or 0 for lost in losses))

    def _read_sessions(self, database: ReadOnlyDatabase, only: Collection[str] | None = None) -> list[TableScan]:
        """Take note of every row of ``sessions`` that can be read; how that went, where there is such a table."""
        if "id" not in self._session_columns:
            return []
        scan = TableScan(database, "sessions", self._session_columns, ["id"])
        for _, *values in scan if only is None else self._rows_about(only, database):
            named = zip(self._session_columns, values, strict=True)
            columns = {name: value for name, value in named if value is not None}  # most are NULL
            session_id = _session_id(columns.get("id"))
            self._sessions[session_id] = SessionRow.of(session_id, columns)
        return [scan]

    def _rows_about(self, only: Collection[str], database: ReadOnlyDatabase) -> Iterable[tuple[Any, ...]]:
        """The rows of ``sessions`` that may belong to some: also those that a key or a parent names, and odd ids."""
        columns = ", ".join(["_rowid_", *map(quoted, self._session_columns)])
        tests = ["id IN (SELECT value FROM json_each(?))", "typeof(id) <> 'text'"]
        if "session_key" in self._session_columns:
            tests.append("session_key IS NOT NULL")
        if "parent_session_id" in self._session_columns:
            tests += ["parent_session_id IS NOT NULL", "id IN (SELECT parent_session_id FROM sessions)"]
        return database.query(f"SELECT {columns} FROM sessions WHERE {' OR '.join(tests)}", (json.dumps([*only]),))

    def _has_whole_index(self, database: ReadOnlyDatabase) -> bool:
        """Whether an index has the messages of each session, all of sessions that are there, and as many as the table.

        Counting the table walks all its pages, so that damage shows as it does when all rows are read.
        """
        grouped = "SELECT session_id, count(*) FROM messages GROUP BY session_id"
        try:
            plan = database.query(f"EXPLAIN QUERY PLAN {grouped}").fetchall()
            if database.damaged or database.torn or not any("COVERING INDEX" in step[-1] for step in plan):
                return False
            counts = {_session_id(key): n for key, n in database.query(grouped)}
            (rows,) = database.query("SELECT count(*) FROM messages NOT INDEXED").fetchone()
        except MemoryError:  # a damaged cell claims to be huge
            return False
        except sqlite3.Error as error:
            if not sqlite_readonly.is_damage(error):
                raise
            return False
        return counts.keys() <= self._sessions.keys() and sum(counts.values()) == rows

    def _scan_messages(self, database: ReadOnlyDatabase) -> TableScan:
        """Take note of every row of ``messages`` that can be read."""
        self._rowids = {}
        marks = [name for name in ("active", "compacted") if {"active", name} <= {*self._message_columns}]
        scan = TableScan(database, "messages", ["session_id", *marks], ["session_id", *marks[:1]])
        for rowid, key, *_ in scan:
            session_id = _session_id(key)
            self._sessions.setdefault(session_id, SessionRow.of(session_id, {}))
            self._rowids.setdefault(session_id, []).append(rowid)
        return scan

    def _rowids_of(self, session_id: str) -> Sequence[int]:
        if self._database is None or "session_id" not in self._message_columns:
            return ()
        if self._rowids is not None:
            return self._rowids.get(session_id, ())
        query = "SELECT _rowid_ FROM messages WHERE session_id = ? ORDER BY _rowid_"
        return [rowid for (rowid,) in self._database.query(query, (session_id,))]

    def _message_rows(self, session_id: str) -> Iterator[MessageRow]:
        if self._database is None:
            return
        self._database.limit(self._seconds)
        reader = TableScan(self._database, "messages", self._message_columns)
        try:
            rowids = self._rowids_of(session_id)
            for at in range(0, len(rowids), _BATCH_ROWS):
                some = rowids[at : at + _BATCH_ROWS]
                try:
                    rows = reader.rows(some)
                except sqlite3.Error as error:
                    if not sqlite_readonly.is_damage(error):
                        raise
                    rows = list(self._one_by_one(reader, some))
                for row in rows:
                    yield message_row(row[0], dict(zip(self._message_columns, row[1:], strict=True)))
        except sqlite3.Error as error:
            self._fail(error)

    def _one_by_one(self, reader: TableScan, rowids: Sequence[int]) -> Iterator[tuple[Any, ...]]:
        """The rows among which some are damaged, without those."""
        for rowid in rowids:
            try:
                row = reader.row(rowid)
            except sqlite3.Error as error:
                if not sqlite_readonly.is_damage(error):
                    raise
                self._lose(rowid)
            else:
                if row is not None:
                    yield row

    def _lose(self, rowid: int) -> None:
        if rowid not in self._unreadable:
            self._unreadable.add(rowid)
            self._damaged(None if self.fact.lost_rows is None else self.fact.lost_rows + 1)

    def _damaged(self, lost: int | None) -> None:
        count = "some rows" if lost is None else counted(lost, "row")
        reason = f"It is damaged: {count} could not be read." if lost != 0 else "It is damaged, but no row is lost."
        if self._cut_off:
            reason += f" Rows found on pages that the damage had cut off: {self._cut_off}."
        self._set("malformed", reason, salvaged=True, lost=lost)

    def _fail(self, error: sqlite3.Error | OSError) -> None:
        state: State = "malformed"
        if sqlite_readonly.is_busy(error):
            state, reason = "locked", "Another program holds it for itself alone."
        elif sqlite_readonly.is_foreign(error):
            reason = "It is no SQLite database, or was overwritten or encrypted."
        elif sqlite_readonly.is_damage(error):
            reason = "It is damaged, and nothing in it can be read."
        elif sqlite_readonly.was_stopped(error):
            state, reason = "unreadable", "Reading it took too long."
        elif denied := next(filter(is_denied, _files_of(self.fact.path)), None):
            state, reason = "unreadable", f"It may not be read (Permission denied). {cure(denied)}".rstrip()
        else:
            why = (error.strerror if isinstance(error, OSError) else None) or str(error)
            state, reason = "unreadable", f"It could not be read: {why}."
        self._set(state, reason, salvaged=bool(self._sessions), lost=None)

    def _set(self, state: State, reason: str, *, salvaged: bool = False, lost: int | None = 0) -> None:
        self.fact = DatabaseFact(self.fact.path, state, reason, salvaged, lost)


def _files_of(path: Path) -> tuple[Path, ...]:
    return path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal"))


def _columns(database: ReadOnlyDatabase, table: str, wanted: frozenset[str]) -> tuple[str, ...]:
    """The wanted columns that a table has; () where there is no such table (a view or a virtual table is none)."""
    real = "SELECT 1 FROM main.sqlite_master WHERE type = 'table' AND rootpage > 0 AND name = ? COLLATE NOCASE LIMIT 1"
    try:
        is_there = database.query(real, (table,)).fetchone() is not None
    except sqlite3.Error as error:
        if not sqlite_readonly.is_damage(error):
            raise
        is_there = False
    if not is_there:
        return ()
    names = [str(name).lower() for _, name, *_ in database.query(f"PRAGMA main.table_info({quoted(table)})")]
    if "_rowid_" in names:
        raise sqlite3.OperationalError(f"the table {table} hides the ids of its rows")
    return tuple(name for name in names if name in wanted)


def _session_id(value: object) -> str:
    if isinstance(value, str):
        return intern(value)
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    return "" if value is None else str(value)
