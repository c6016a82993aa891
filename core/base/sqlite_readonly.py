"""Reading an SQLite database without leaving a trace, and all that is whole in a damaged one.

``mode=ro`` alone makes ``-wal`` and ``-shm`` files beside a database in WAL mode, and ``immutable`` sees neither the
write-ahead log nor a lock. So what lies on disk decides (measured.md, last table):

==================================  ==============================================================================
``-wal`` there                      ``mode=ro&readonly_shm=1``: SQLite's own locks hold, nothing is made or changed
... that fails, no frames in it     ``mode=ro&immutable=1``
... that fails, frames in it        a copy of database and log in a private folder (after a crash there is no ``-shm``)
no ``-wal``, header says WAL        ``mode=ro&immutable=1``; whoever reads looks afterwards whether anything changed
no ``-wal``, rollback journal       ``mode=ro``, which makes no files there; a copy where a journal is to be played back
==================================  ==============================================================================
"""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import sqlite3
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

from hermes_rescue.core.base.orphan_pages import Column, CutOffRows, Values
from hermes_rescue.core.base.private_folder import private_folder

_SHARED, _FROZEN, _LOCKING, _OWN = "mode=ro&readonly_shm=1", "mode=ro&immutable=1", "mode=ro", "mode=rw"
_WAL_HEADER = 32
"""Bytes of a write-ahead log without a frame."""

_LEGACY_FORMAT = 1
"""Byte 18 of the header of a database with a rollback journal; 2 is WAL (SQLite file format, section 1.3.3)."""

_TRIES = 3
_ROOM_LEFT = 16 << 20
"""Bytes that a private copy leaves free on its disk."""

_BATCH_ROWS = 100
"""Rows that are read in one go."""

_OPERATIONS = 20_000
"""Steps of SQLite's virtual machine between two looks at the clock: some milliseconds."""

_SEARCHED_A_SECOND = 5_000_000
"""Bytes in which rows that were cut off can be found in a second, on a slow or busy computer."""

_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")

_LAST_ROWID = 2**63 - 1
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_TOOBIG})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

Row = tuple[Any, ...]
_Marks = tuple[tuple[int, int, int] | None, ...]


class KeepsChangingError(Exception):
    """A database was written to each time it was copied or read."""


def is_busy(error: BaseException) -> bool:
    """Somebody else holds the database."""
    return _code(error) in _BUSY


def is_damage(error: BaseException) -> bool:
    """Part of the database is damaged; other parts may be whole."""
    return _code(error) in _DAMAGE


def is_foreign(error: BaseException) -> bool:
    """The file is no SQLite database, or is one no more (overwritten, encrypted)."""
    return _code(error) == sqlite3.SQLITE_NOTADB


def was_stopped(error: BaseException) -> bool:
    """The time limit set by :meth:`ReadOnlyDatabase.limit` stopped a query."""
    return _code(error) == sqlite3.SQLITE_INTERRUPT


def quoted(name: str) -> str:
    """A table or column name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


class ReadOnlyDatabase:
    """An open database. ``damaged``: its schema or size is wrong, and SQLite was set to read it all the same.
    ``torn``: pages of its schema are damaged, not only unknown to this SQLite. ``copy``: the private copy that is read
    in its place, which another process of this user can read as long as this one has it open.

    Texts that are invalid UTF-8 come with replacement characters, blobs as bytes.
    """

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        cleanup: ExitStack,
        seen: _Marks | None,
        copy: Path | None,
        damaged: bool,
        torn: bool,
    ):
        self.damaged = damaged
        self.torn = torn
        self.copy = copy
        self.cut_off: dict[str, CutOffRows] = {}
        self._path = path
        self._connection = connection
        self._cleanup = cleanup
        self._seen = seen
        self._seconds = self._end = 0.0

    def limit(self, seconds: float) -> None:
        """Let the queries from now on have the processor for this long together; what takes more is stopped
        (:func:`was_stopped`). A query does not run away because a computer is busy with something else.
        """
        self._seconds = seconds
        self._end = time.thread_time() + seconds
        self._connection.set_progress_handler(self.is_late, _OPERATIONS)

    def is_late(self) -> bool:
        """Whether the limit has passed."""
        return time.thread_time() > self._end

    def query(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run one SELECT or PRAGMA. Raises ``sqlite3.Error``, as reading from the cursor does."""
        return self._connection.execute(sql, values)

    def exact_rows(self, sql: str, values: Sequence[Any] = (), texts: type[str] | type[bytes] = str) -> Iterator[Row]:
        """The rows of one SELECT, faster, with texts as they are stored where they are asked for as bytes.

        Raises ``sqlite3.OperationalError`` also for a text that is asked for as such, and is no UTF-8.
        """
        lenient = self._connection.text_factory
        cursor = self._connection.execute(sql, values)
        while True:
            self._connection.text_factory = texts  # and back, since somebody else may query between two rows
            try:
                rows = cursor.fetchmany(_BATCH_ROWS)
            finally:
                self._connection.text_factory = lenient
            yield from rows
            if len(rows) < _BATCH_ROWS:
                return

    def changed(self) -> bool:
        """Whether somebody wrote to the database since it was opened, in a way that SQLite's own locks do not cover.

        What was read until now may then mix two states: open the database anew.
        """
        return self._seen is not None and _marks(self._path) != self._seen

    def find_cut_off(self, table: str, key: Sequence[str], missing: Sequence[int]) -> None:
        """Look for rows that no query finds, in a private copy, and note them in ``cut_off``. Without an index over the
        columns ``key`` that names them there are none. Raises ``sqlite3.Error``, ``OSError``."""
        vouched = self._vouched(table, key, frozenset(missing))
        columns = self._columns(table)
        if vouched and columns:
            self.copy = self.copy or _private_copy(self._path, self._cleanup)
            _fold(self.copy)
            with self.copy.open("rb") as file:
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            usual = self._seconds
            self.limit(usual + len(data) / _SEARCHED_A_SECOND)
            self._cleanup.callback(self.cut_off.clear)  # and so the map, before its file is removed
            self.cut_off[table] = CutOffRows(data, columns, *vouched, self.is_late)
            self.limit(usual)

    def _vouched(
        self, table: str, key: Sequence[str], missing: frozenset[int]
    ) -> tuple[tuple[str, ...], dict[int, Values]] | None:
        """An index over all columns of ``key``: its columns, and its values for the missing rows."""
        for _, name, _, _, partial_, *_ in self.query(f"PRAGMA main.index_list({quoted(table)})").fetchall():
            names = [each for _, _, each in self.query(f"PRAGMA main.index_info({quoted(name)})")]
            if partial_ or None in names or not {*key} <= {each.lower() for each in names}:
                continue
            found: dict[int, Values] = {}
            chosen = ", ".join(["_rowid_", *map(quoted, names)])
            try:
                for rowid, *values in self.query(f"SELECT {chosen} FROM {quoted(table)} INDEXED BY {quoted(name)}"):
                    if rowid in missing:
                        found[rowid] = tuple(values)
            except sqlite3.Error as error:  # what it named before its own damage is there
                if not is_damage(error):
                    raise
            return tuple(each.lower() for each in names), found
        return None

    def _columns(self, table: str) -> list[Column]:
        """The columns of a table as its records have them; none where some are computed."""
        found = self.query(f"PRAGMA main.table_xinfo({quoted(table)})").fetchall()
        keys = [each for each in found if each[5]]
        if any(each[6] for each in found):
            return []
        return [
            Column(str(name).lower(), len(keys) == 1 and bool(pk) and str(kind).upper() == "INTEGER", default)
            for _, name, kind, _, default, pk, _ in found
        ]

    def close(self) -> None:
        """Close the connection and remove the private copy, if there is one."""
        self._cleanup.close()


def open_without_trace(path: Path, *, timeout: float, copy: Path | None = None) -> ReadOnlyDatabase:
    """Open a database that is a regular file, waiting ``timeout`` seconds for a lock. ``copy``: the private copy that
    somebody else made of it, to be read instead.

    Raises ``sqlite3.Error`` or ``OSError`` where it cannot be read, and :class:`KeepsChangingError`.

    The header is read before there is a connection: closing a plain handle drops this process's locks on the file. A
    second connection that reads a rollback-mode database in this very moment loses its lock; its ``changed`` shows it.
    """
    path = path.resolve()  # as SQLite does: the log lies beside the file that a symlink leads to
    if copy is not None:
        ways: tuple[str, ...] = (_OWN,)
    else:
        _require_regular_beside(path)
        log = _size(path.with_name(path.name + "-wal"))
        if log is not None:
            ways = (_SHARED, _OWN if log > _WAL_HEADER else _FROZEN)
        else:
            ways = (_LOCKING if _is_rollback_mode(path) else _FROZEN, _OWN)
    with ExitStack() as cleanup:
        for way in ways:
            if way == _OWN and copy is None:
                copy = _private_copy(path, cleanup)
            try:
                return _open(path, way, timeout, copy, cleanup)
            except sqlite3.Error as error:
                if is_busy(error) or is_foreign(error):
                    raise
                failure = error
                # A stale wal-index can look like damage; without one, damage is in the database and a copy has it too.
                if is_damage(error) and way != _SHARED:
                    break
        if not is_damage(failure):
            raise failure
        return _open(path, way, timeout, copy, cleanup, damaged=True)


def _require_regular_beside(path: Path) -> None:
    """SQLite would wait for a pipe, and follow a link."""
    for suffix in ("-wal", "-shm", "-journal"):
        beside = path.with_name(path.name + suffix)
        if os.path.lexists(beside) and not stat.S_ISREG(beside.lstat().st_mode):
            raise OSError(errno.EINVAL, f"{beside.name} beside it is not a regular file")


def _open(
    path: Path, way: str, timeout: float, copy: Path | None, cleanup: ExitStack, *, damaged: bool = False
) -> ReadOnlyDatabase:
    """Open it one way; what ``cleanup`` has goes with the database. ``copy``: what is opened if it is ``_OWN``."""
    with ExitStack() as opened:
        seen = _marks(path) if way in (_FROZEN, _LOCKING) else None
        file = copy if copy is not None and way == _OWN else path
        # as_uri quotes what would end the path in a URI: "#", "?", "%".
        uri = f"{file.absolute().as_uri()}?{way}"
        connection = sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None, check_same_thread=False)
        opened.callback(connection.close)
        connection.text_factory = partial(str, encoding="utf-8", errors="replace")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")  # junk in a page is damage, not rows
        connection.execute("PRAGMA temp_store = MEMORY")
        if damaged:
            # Passes over what it does not understand in the schema, and over a file shorter than its header says.
            connection.execute("PRAGMA writable_schema = ON")
        torn = False
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            torn = damaged and is_damage(error)
            if not torn:  # else SQLite has taken in the schema as far as it is whole
                raise
        cleanup.enter_context(opened.pop_all())
        return ReadOnlyDatabase(path, connection, cleanup.pop_all(), seen, copy, damaged, torn)


def _private_copy(path: Path, cleanup: ExitStack) -> Path:
    """Copy a database with its log or journal, as they were at one moment, into a folder for this user alone. Raises
    OSError, also where the room would run out.
    """
    folder = cleanup.enter_context(private_folder())
    copy = folder / "state.db"
    for _ in range(_TRIES):
        before = _marks(path)
        needed = sum(each[1] for each in before if each is not None)
        if shutil.disk_usage(folder).free < needed + _ROOM_LEFT:
            raise OSError(errno.ENOSPC, f"there is no room for a private copy of it in {folder.parent}")
        for suffix in ("", "-wal", "-journal"):
            target = copy.with_name(copy.name + suffix)
            target.unlink(missing_ok=True)
            try:
                shutil.copyfile(path.with_name(path.name + suffix), target)
                target.chmod(0o600)
            except FileNotFoundError:
                if not suffix:
                    raise
        if _marks(path) == before:
            _forget_super_journal(copy.with_name(copy.name + "-journal"))
            return copy
    raise KeepsChangingError


def _fold(copy: Path) -> None:
    """Play the log or journal of a private copy into it."""
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")  # damage in the schema does not matter here
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def _forget_super_journal(journal: Path) -> None:
    """A rollback journal can end with the name of a file for a transaction over several databases. SQLite deletes that
    file once it has played the journal back, and it can be any file; Hermes has no such transactions."""
    if journal.exists():
        with journal.open("r+b") as file:
            whole = file.read()
            if whole.endswith(_JOURNAL_MAGIC):
                file.truncate(len(whole) - len(_JOURNAL_MAGIC))


def _marks(path: Path) -> _Marks:
    """What changes when a database, its log or its journal is written: inode, size, modification time (ns)."""
    found: list[tuple[int, int, int] | None] = []
    name = str(path)
    for suffix in ("", "-wal", "-journal"):
        try:
            status = os.stat(name + suffix)
        except OSError:
            found.append(None)
        else:
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(found)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _is_rollback_mode(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(19)[18:] == bytes([_LEGACY_FORMAT])


def _code(error: BaseException) -> int:
    """The primary result code of an SQLite error, 0 where the module itself raised it."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


class TableScan:
    """Iterates over every row of a table that can still be read, as ``(rowid, *columns)``, in the order of the row ids.

    Damaged pages are stepped over; rows that only an index still knows come last, also those on pages that were cut off
    (:mod:`core.base.orphan_pages`) where an index over the columns ``key`` has them. After the iteration ``damaged``
    says whether anything was stepped over, ``cut_off`` how many rows were on such pages, and ``lost`` how many could
    not be read (None where no whole index shows that). Damage apart, reading raises ``sqlite3.Error``.
    """

    def __init__(self, database: ReadOnlyDatabase, table: str, columns: Sequence[str], key: Sequence[str] = ()) -> None:
        self.damaged = False
        self.lost: int | None = 0
        self.cut_off = 0
        self._database = database
        self._name = table
        self._columns = columns
        self._key = key
        self._table = quoted(table)
        self._select = f"SELECT {', '.join(['_rowid_', *map(quoted, columns)])} FROM {self._table}"

    def __iter__(self) -> Iterator[Row]:
        seen: set[int] = set()
        position: int | None = -(2**63)
        while position is not None:
            try:
                for row in self._database.query(f"{self._select} WHERE _rowid_ > ? ORDER BY _rowid_", (position,)):
                    rowid = row[0]
                    if rowid not in seen:
                        seen.add(rowid)
                        if rowid > position:
                            position = rowid
                        yield row
                break
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
                self.damaged = True
                # The module reads a row ahead: the one right before the damage was not handed out.
                while row := self._next(position):
                    position = row[0]
                    if position not in seen:
                        seen.add(position)
                        yield row
                position = self._behind_damage(max(position, 0))
        if self.damaged:
            yield from self._known_to_an_index(seen)

    def _behind_damage(self, position: int) -> int | None:
        """The smallest row id after which reading works again, found with ever longer steps and then by halving."""
        step = 1
        while self._next(position + step) is None:
            step *= 2
            if position + step > _LAST_ROWID or self._database.is_late():
                return None
        bad = step // 2
        while step - bad > 1:
            middle = (bad + step) // 2
            if self._next(position + middle) is None:
                bad = middle
            else:
                step = middle
        return position + step

    def _next(self, position: int) -> Row | None:
        """The first row after a position, () at the end, None where damage is next: there can be a row of an earlier
        place, which would lead around in a circle.
        """
        query = f"{self._select} WHERE _rowid_ > ? ORDER BY _rowid_ LIMIT 1"
        try:
            row: Row = self._database.query(query, (position,)).fetchone() or ()
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            return None
        return row if not row or row[0] > position else None

    def _known_to_an_index(self, seen: set[int]) -> Iterator[Row]:
        self.lost = None
        known: list[int] = []
        whole = False
        try:
            # Answered from the smallest index, where the table has one, without touching the table's own pages.
            known.extend(rowid for (rowid,) in self._database.query(f"SELECT _rowid_ FROM {self._table}"))
            whole = True
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
        missing: list[int] = []
        for rowid in sorted(set(known) - seen):
            try:
                row = self.row(rowid)
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
                row = None
            if row is None:
                missing.append(rowid)
            else:
                yield row
        if self._key and missing:
            self._database.find_cut_off(self._name, self._key, missing)
        found = [row for rowid in missing if (row := self._cut_off(rowid)) is not None]
        yield from found
        self.cut_off = len(found)
        self.lost = len(missing) - len(found) if whole else None

    def rows(self, rowids: Sequence[int]) -> list[Row]:
        """Some rows, without those that are gone. Raises as :meth:`row` does."""
        places = ", ".join("?" * len(rowids))
        query = f"{self._select} WHERE _rowid_ IN ({places}) ORDER BY _rowid_"
        try:
            found = list(self._database.exact_rows(query, rowids))
        except sqlite3.OperationalError:  # a text that is no UTF-8, or what the slow way runs into as well
            found = self._database.query(query, rowids).fetchall()
        missing = {*rowids} - {row[0] for row in found}
        return found + [row for rowid in sorted(missing) if (row := self._cut_off(rowid)) is not None]

    def row(self, rowid: int) -> Row | None:
        """One row, None where it is gone. Raises ``sqlite3.Error``, also for damage."""
        row = self._cut_off(rowid)
        if row is None:
            row = self._database.query(f"{self._select} WHERE _rowid_ = ?", (rowid,)).fetchone()
        return row

    def _cut_off(self, rowid: int) -> Row | None:
        rows = self._database.cut_off.get(self._name)
        return None if rows is None else rows.row(rowid, self._columns)
