"""What the last audit of a store found, kept outside it, so that the next one reads only what may have changed.

An answer holds as long as everything that it came from is the same: each file by its device, inode, size and times,
the rows in a database by those of the database. Where somebody wrote to it, the rows of a session are the same if an
index says so by their numbers, ids and times, which takes a fraction of reading them: a text that is written over in
place is not seen then (the agent writes none so). Where no index has these, a digest of the rows tells.
A file that was changed so recently that another change could leave the same time stamp is never kept. Deleting the
folder costs nothing but time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from itertools import chain, repeat
from pathlib import Path
from tempfile import NamedTemporaryFile, SpooledTemporaryFile
from typing import Any, Self, TypeAlias, TypeVar

import msgspec
import platformdirs
from hermes_rescue.core.audit.findings import SessionAudit
from hermes_rescue.core.base.errors import UnreadableError
from hermes_rescue.core.base.files import Stamp, read_regular, stamp
from hermes_rescue.core.base.jsontext import LARGE
from hermes_rescue.core.hermes.copies import CopyReader
from hermes_rescue.core.hermes.database.statedb import UnindexedReadError
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.listing import FRESH_TEMP
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.hermes.webui_status import WebUIStatus

FRESH = 2.0
"""Seconds for which a file counts as just changed: the coarsest time stamps of file systems in use."""

_BATCH_SESSIONS = 500  # sessions
_UNPACKABLE = (UnicodeError, OverflowError, RecursionError)  # a lone surrogate, a number too large, a value too deep
_CHECK = hashlib.sha256().digest_size
_LENGTH = 8  # bytes

_Row = TypeVar("_Row", bound=tuple[Any, ...])


class Kept(msgspec.Struct, array_like=True, gc=False):
    """The answer for one session, None where it is no session.

    ``mark`` is what indexes had of its message rows, empty where they have not all of it. Then ``rows`` is a digest of
    these (empty where there can be none), as they are in :meth:`core.hermes.copies.CopyReader.raw_message_rows` where
    ``is_short``, else with every column. ``key`` is a digest of all the rest that the answer came from.
    """

    session_id: str
    answer: SessionAudit | None
    is_short: bool
    rows: bytes
    mark: bytes = b""
    key: bytes = b""


_Stamps: TypeAlias = dict[bytes, tuple[Stamp | None, ...]]
_STAMPS = msgspec.msgpack.Decoder(_Stamps)
_SOME = msgspec.msgpack.Decoder(tuple[Kept, ...])
_Contents: TypeAlias = tuple[bytes, _Stamps, list[Kept]]
_NOTHING: _Contents = (b"", {}, [])


class AuditCache:
    """The answers of the last audit of one store, in a folder; without a folder there are none, and none are kept.

    What cannot be read is as if nothing had been kept, and what cannot be written is not kept: nothing about it raises.
    """

    def __init__(self, store: Store, folder: Path | None = None) -> None:
        place = repr((store.sessions_dir.absolute(), *store.databases, *store.also)).encode()
        self._path = None if folder is None else folder / f"{hashlib.sha256(place).hexdigest()[:32]}.audit"
        self._now = {os.fsencode(path): database_stamps(path) for path in store.databases}
        self._check, self._databases, kept = _NOTHING if self._path is None else _read(self._path)
        self._sessions = {each.session_id: each for each in kept}

    @property
    def is_kept(self) -> bool:
        """Whether answers are kept."""
        return self._path is not None

    @property
    def whole_databases(self) -> frozenset[Path]:
        """The databases that nobody has written to since they were found whole."""
        return frozenset(Path(os.fsdecode(name)) for name, at in self._now.items() if self._is_same(name, at))

    def _is_same(self, name: bytes, stamps: tuple[Stamp | None, ...] | None) -> bool:
        return stamps is not None and self._databases.get(name) == stamps

    @property
    def rows_are_same(self) -> bool:
        """Whether nobody has written to any database since."""
        return all(self._is_same(name, stamps) for name, stamps in self._now.items())

    def known(self, keys: Mapping[str, bytes]) -> dict[str, Kept]:
        """The answers that hold if the rows of their sessions are the same, by session."""
        kept = self._sessions
        return {each: kept[each] for each, key in keys.items() if key and each in kept and kept[each].key == key}

    @contextmanager
    def renewed(self, inventory: Inventory) -> Iterator[Callable[[Iterable[Kept]], None]]:
        """Takes answers as they come, and keeps those with a key instead at the end; none where a database was found to
        be damaged, or could not be read. The old ones stay where somebody stops before.
        """
        if self._path is None:
            yield lambda _: None
            return
        with _NewAnswers(self._path) as new:
            yield new.add
            if inventory.has_unread_databases:
                with suppress(OSError):
                    os.unlink(self._path)
                return
            whole = {os.fsencode(database.path) for database in inventory.databases if database.is_known}
            absent = {os.fsencode(fact.path) for fact in inventory.database_facts if fact.state == "absent"}
            databases = {name: at for name, at in self._now.items() if at is not None and name in whole | absent}
            new.replace(databases, self._check)


class _NewAnswers:
    """Answers on their way to a file: they wait on the disk, so that not all of them are in memory, in a file without a
    name, so that nothing is left of it whatever happens. What cannot be written is not kept.
    """

    def __init__(self, path: Path) -> None:
        with suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = path
        self._file = SpooledTemporaryFile(LARGE, dir=str(path.parent))  # noqa: SIM115
        self._digest = hashlib.sha256(_engine())
        self._some: list[Kept] = []
        self._is_whole = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._file.close()

    def add(self, answers: Iterable[Kept]) -> None:
        """Take more answers."""
        self._some += (each for each in answers if each.key)
        while len(self._some) >= _BATCH_SESSIONS:  # not all at once, so that nobody has to wait for that
            self._write(_packed(self._some[:_BATCH_SESSIONS]))
            del self._some[:_BATCH_SESSIONS]

    def replace(self, databases: _Stamps, old: bytes) -> None:
        """Put them in place of what is in the file, unless that is the same by its digest."""
        self._write(_packed(self._some))
        self._write(msgspec.msgpack.encode(databases))
        digest = self._digest.digest()
        if not self._is_whole or digest == old:
            return
        with suppress(OSError):
            file = NamedTemporaryFile(dir=self._path.parent, delete=False)  # noqa: SIM115
            try:
                with file:
                    file.write(digest)
                    self._file.seek(0)
                    shutil.copyfileobj(self._file, file)
                os.replace(file.name, self._path)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(file.name)

    def _write(self, part: bytes) -> None:
        """A part, with its length before it; nothing more where the disk is full."""
        if not self._is_whole:
            return
        for each in (len(part).to_bytes(_LENGTH, "big"), part):
            self._digest.update(each)
            try:
                self._file.write(each)
            except OSError:
                self._is_whole = False
                return


def usual_folder() -> Path | None:
    """Where the platform keeps what can be deleted at any time; None for a user who has no home."""
    folder = Path(platformdirs.user_cache_dir("hermes-rescue", appauthor=False))
    return folder if folder.is_absolute() else None


def keys_of(
    reader: CopyReader, webui: WebUIStatus, session_ids: Iterable[str], since: int | None = None
) -> dict[str, bytes]:
    """A digest of all that the answer for each session comes from but its message rows; empty where it is not to be
    kept. ``since``: where its files have been read already, when that began (ns since 1970): what changed from then on
    is just changed.
    """
    listing = reader.listing
    if reader.has_unread_databases:
        return {}
    states = [fact.state for fact in reader.database_facts]
    around = (
        *(states, listing.deletions_unknown, listing.index.digest is None, listing.index.problem),
        webui.may_be_writing,
    )
    now = time.time_ns() if since is None else since
    files = (listing.turn_journals, listing.run_journals, listing.sidecars, listing.backups)
    fresh, fresh_temp = now - int(FRESH * 1e9), now - int((FRESH_TEMP + FRESH) * 1e9)
    keys = {}
    for session_id in session_ids:
        temps = listing.temps.texts(session_id)
        paths = [*temps, *chain.from_iterable(each.texts(session_id) for each in files)]
        paths += [str(each.path) for each in listing.places.of.get(session_id, ())]
        stamps = [*map(stamp, paths)]
        # whether a fresh temp counts is a question of time
        borders = chain(repeat(fresh_temp, len(temps)), repeat(fresh))
        if any(each is None or max(each[3:]) > border for each, border in zip(stamps, borders, strict=False)):
            keys[session_id] = b""
            continue
        row = listing.index.rows.get(session_id)
        rows = [found.get(session_id, ()) for found in listing.rows.values()]
        left_out = sorted(listing.left_out.get(session_id, {}).items())
        decided = left_out, listing.held_up.get(session_id)
        where = session_id in listing.deleted, listing.places.away(session_id)
        about = where, listing.lineage.about(session_id), decided
        parts = (around, os.fsencode("\0".join(paths)), stamps, row and row.raw, about, rows)
        try:
            keys[session_id] = hashlib.sha256(msgspec.msgpack.encode(parts)).digest()
        except _UNPACKABLE:
            keys[session_id] = b""
    return keys


def marks_of(reader: CopyReader, session_ids: Iterable[str]) -> dict[str, bytes]:
    """What the indexes of every database have of the rows of each session, as a digest: as long as it stays the same,
    so do they, but for a text that is written over in place. Of none where a database has no such index.
    """
    marked = []
    for database, rows in zip(reader.state_dbs, reader.listing.rows.values(), strict=True):
        marks = {} if database.fact.state == "absent" else database.row_index.marks()
        if marks is None:
            return {}
        file = stamp(os.path.realpath(database.fact.path))
        marked.append((file and file[:2], marks, rows))  # another file under this name can have another text for an id

    def mark(session_id: str) -> bytes:
        of = [(file, [marks.get(row.id) for row in rows.get(session_id, ())]) for file, marks, rows in marked]
        return hashlib.sha256(msgspec.msgpack.encode(of)).digest()

    return {each: mark(each) for each in session_ids}


def _packed(sessions: Sequence[Kept]) -> bytes:
    """Some answers, without those that cannot be packed."""
    try:
        return msgspec.msgpack.encode(sessions)
    except _UNPACKABLE:
        if len(sessions) == 1:
            return msgspec.msgpack.encode(())
        middle = len(sessions) // 2
        left = [_SOME.decode(_packed(half)) for half in (sessions[:middle], sessions[middle:])]
        return msgspec.msgpack.encode([*left[0], *left[1]])


class RowsDigest:
    """A digest of the message rows of a session in each database, taken while somebody reads them."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def over(self, databases: Iterable[Iterable[_Row]]) -> Iterator[Iterator[_Row]]:
        """The same rows."""
        for rows in databases:
            self._hash.update(b"database")
            yield self._each(rows)

    def _each(self, rows: Iterable[_Row]) -> Iterator[_Row]:
        for row in rows:
            self._hash.update(msgspec.msgpack.encode(row))
            yield row

    @property
    def value(self) -> bytes:
        """The digest of the rows that were read until now."""
        return self._hash.digest()


def digest_of(databases: Iterable[Iterable[tuple[Any, ...]]]) -> bytes:
    """The digest of all rows, empty where they cannot be read at once."""
    digest = RowsDigest()
    try:
        for rows in digest.over(databases):
            for _ in rows:
                pass
    except UnindexedReadError:
        return b""
    return digest.value


def database_stamps(path: Path) -> tuple[Stamp | None, ...] | None:
    """Those of a database, its log and its journal; None while it was just written to."""
    real = os.path.realpath(path)
    # SQLite gives the log to the owner of the database each time that root opens it, which moves the last of its times
    stamps = (stamp(real), *(found and found[:-1] for found in (stamp(real + "-wal"), stamp(real + "-journal"))))
    newest = time.time_ns() - int(FRESH * 1e9)
    return None if any(each is not None and max(each[3:]) > newest for each in stamps) else stamps


def _read(path: Path) -> _Contents:
    """What is kept: a digest of it all, the databases, and the answers."""
    try:
        whole = memoryview(read_regular(path))
        check, data = bytes(whole[:_CHECK]), whole[_CHECK:]
        digest = hashlib.sha256(_engine())
        digest.update(data)
        if check == digest.digest():
            *sessions, databases = _parts(data)
            return check, _STAMPS.decode(databases), [each for some in sessions for each in _SOME.decode(some)]
    except (OSError, UnreadableError, msgspec.MsgspecError, *_UNPACKABLE):
        pass
    return _NOTHING


def _parts(data: memoryview) -> Iterator[memoryview]:
    """The parts, as they were written."""
    at = 0
    while at < len(data):
        start = at + _LENGTH
        at = start + int.from_bytes(data[at:start], "big")
        yield data[start:at]


@cache
def _engine() -> bytes:
    """What distinguishes one version of this program from another, also while it is being worked on."""
    is_bundle = getattr(sys, "frozen", False)  # it has no files of source
    files = [Path(sys.executable)] if is_bundle else sorted(Path(__file__).parent.glob("*.py"))
    return repr((sys.version, [(path.name, stamp(path)) for path in files])).encode()
