"""The small files beside the sidecars: tombstones, index, projects, and which journals there are.

Shapes as in formats.md, "In the state dir". What is damaged is skipped and reported as a problem, in a sentence.
"""

from __future__ import annotations

import os
import re
import weakref
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from itertools import accumulate, islice
from pathlib import Path
from sys import intern
from tempfile import SpooledTemporaryFile
from threading import Lock
from typing import IO, Any, TypeVar

import msgspec
from hermes_rescue.core.base import files, jsontext
from hermes_rescue.core.base.errors import UnreadableError
from hermes_rescue.core.base.files import shown
from hermes_rescue.core.base.jsontext import LARGE, NotJSONError, Piece
from hermes_rescue.core.hermes.session_files import SomeFilesEach
from hermes_rescue.core.hermes.store import is_safe_session_id

INDEX_NAME = "_index.json"
TOMBSTONES_NAME = "_deleted_webui_sessions.json"
PROJECTS_NAME = "projects.json"
TURN_JOURNAL = "_turn_journal"
RUN_JOURNAL = "_run_journal"

_BETWEEN_ROWS = b"\n  },\n  {"
_CHUNK_BYTES = 2**20
"""Bytes of the index that are parsed in one go."""

_T = TypeVar("_T")

_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_QUOTED_ID = re.compile(rb'"([0-9A-Za-z_-]+)"')


@dataclass(frozen=True, slots=True)
class Index:
    """``_index.json``: a row per session, parsed when it is asked for. ``problem`` says why it is unusable; ``digest``
    is the SHA-256 of the file, None where nothing is there that can be read, and so nothing that could be replaced.
    ``unsafe`` are the ids in it that can be no file name (:func:`core.hermes.store.is_safe_session_id`); they have no
    rows.
    """

    rows: Mapping[str, Piece] = field(default_factory=dict)
    problem: str | None = None
    digest: str | None = None
    unsafe: frozenset[str] = frozenset()

    def row(self, session_id: str) -> dict[str, Any] | None:
        """The row of a session, None where there is none."""
        piece = self.rows.get(session_id)
        return None if piece is None else piece.value

    def updated(self, session_id: str) -> float:
        """When a session was last changed, as its row says (seconds since 1970); 0 where it does not."""
        if isinstance(self.rows, _SetAside):
            return self.rows.updated(session_id)
        return jsontext.number((self.row(session_id) or {}).get("updated_at")) or 0.0


class _SetAside(Mapping[str, Piece]):
    """The rows of an index in a private copy, which nobody else changes: each is read when it is asked for."""

    def __init__(self, copy: IO[bytes]) -> None:
        self._copy = copy
        self._lock = Lock()
        self._at: dict[str, int] = {}
        self._ends = array("Q", [0])
        self._updated = array("d")
        weakref.finalize(self, copy.close)

    def fill(self, parts: Iterable[bytes]) -> frozenset[str]:
        """Put the rows of some lists in; returns the ids that are not safe. Raises OSError, MsgspecError, TypeError."""
        found: dict[Any, int] = {}
        for part in parts:
            rows = [*map(bytes, _LIST.decode(part))]
            named = [*map(_ROW.decode, rows)]
            found |= {row.session_id: k for k, row in enumerate(named, len(self._ends))}
            self._updated.extend(jsontext.number(row.updated_at) or 0.0 for row in named)
            self._ends.extend(islice(accumulate(map(len, rows), initial=self._ends[-1]), 1, None))
            self._copy.write(b"".join(rows))
        self._at, unsafe = _by_safe_ids(found)
        return unsafe

    def __getitem__(self, session_id: str) -> Piece:
        at = self._at[session_id]
        start, end = self._ends[at - 1], self._ends[at]
        with self._lock:
            self._copy.seek(start)
            return Piece(self._copy.read(end - start))

    def updated(self, session_id: str) -> float:
        """See :meth:`Index.updated`; of all of them without reading their rows."""
        at = self._at.get(session_id)
        return 0.0 if at is None else self._updated[at - 1]

    def __contains__(self, session_id: object) -> bool:
        return session_id in self._at

    def __iter__(self) -> Iterator[str]:
        return iter(self._at)

    def __len__(self) -> int:
        return len(self._at)


class _Row(msgspec.Struct):
    session_id: Any = None
    updated_at: Any = None


_ROW = msgspec.json.Decoder(_Row)


def read_index(sessions_dir: Path) -> Index:
    """Read the index; a damaged one gives the rows that are still whole, with the problem."""
    try:
        data = files.read_regular(sessions_dir / INDEX_NAME)
    except FileNotFoundError:
        return Index()
    except UnreadableError as error:
        return Index(problem=str(error))
    try:
        jsontext.require_utf8(data)
        try:
            unsafe = (rows := _SetAside(SpooledTemporaryFile(LARGE))).fill(_parts(data))  # noqa: SIM115
        except OSError:  # nowhere is room for a file
            unsafe = (rows := _SetAside(BytesIO())).fill(_parts(data))
    except (UnicodeDecodeError, msgspec.MsgspecError, RecursionError, TypeError):
        return _unusual_index(data)
    return Index(rows, None, files.digest_of(data), unsafe)


def _parts(data: bytes) -> Iterator[bytes]:
    """A list in shorter ones, for a long one would hold up every other thread while it is parsed. It is cut where the
    WebUI's layout shows that a row ends, and left whole where that is not seen.
    """
    start, before = 0, b""
    while (cut := data.find(_BETWEEN_ROWS, start + _CHUNK_BYTES)) >= 0:
        end = cut + _BETWEEN_ROWS.index(b",")
        yield before + data[start:end] + b"]"
        start, before = end + 1, b"["
    yield before + data[start:]


def _unusual_index(data: bytes) -> Index:
    """An index that the fast parser refuses: the rows that are whole, and what is wrong with it."""
    pieces: Iterable[Piece] = ()
    problem = None
    try:
        listed = jsontext.loads_exactly(data.decode())
        if isinstance(listed, list):
            pieces = [Piece(None, row, 1) for row in listed]
        else:
            problem = f"{INDEX_NAME} is not a list"
    except (UnicodeDecodeError, NotJSONError):
        # the walker reads lists only as the messages of an object: dress the list up as one
        document = jsontext.parse_object(b'{"messages": ' + data.lstrip(b"\xef\xbb\xbf").strip(b"\0") + b"}")
        pieces, problem = document.elements or (), f"{INDEX_NAME} is damaged"
    rows = {
        session_id: piece
        for piece in pieces
        if isinstance(piece.value, dict) and isinstance(session_id := piece.value.get("session_id"), str)
    }
    safe, unsafe = _by_safe_ids(rows)
    return Index(safe, problem, files.digest_of(data), unsafe)


def _by_safe_ids(found: Mapping[Any, _T]) -> tuple[dict[str, _T], frozenset[str]]:
    """What was found under safe ids, and the other ids."""
    safe = {intern(session_id): each for session_id, each in found.items() if is_safe_session_id(session_id)}
    others = (session_id for session_id in found if session_id not in safe) if len(safe) < len(found) else ()
    return safe, frozenset(each for each in others if isinstance(each, str))


@dataclass(frozen=True, slots=True)
class IdList:
    """The ids of a tombstone file. With a ``problem`` there may be more of them than could be read."""

    ids: frozenset[str] = frozenset()
    problem: str | None = None


def read_id_list(path: Path) -> IdList:
    """Read a tombstone file; a damaged one names whoever can still be read in it, a missing one nobody."""
    try:
        data = files.read_regular(path)
    except FileNotFoundError:
        return IdList()
    except UnreadableError as error:
        return IdList(problem=str(error))
    try:
        listed = jsontext.loads(data.decode())
        ids = listed.get("ids") if isinstance(listed, dict) else None
        if isinstance(ids, list):
            return IdList(frozenset(filter(is_safe_session_id, ids)))
    except (UnicodeDecodeError, NotJSONError):
        pass
    return IdList(frozenset(found.decode() for found in _QUOTED_ID.findall(data)), f"{shown(path)} is damaged.")


def projects_problem(state_dir: Path) -> str | None:
    """Why the list of projects cannot be read; None where it can, or is missing."""
    path = state_dir / PROJECTS_NAME
    try:
        listed = jsontext.loads(files.read_regular(path).decode())
    except FileNotFoundError:
        return None
    except UnreadableError as error:
        return str(error)
    except (UnicodeDecodeError, NotJSONError):
        return f"{shown(path)} is damaged."
    whole = isinstance(listed, list) and all(isinstance(project, dict) for project in listed)
    return None if whole else f"{shown(path)} is not a list of projects."


@dataclass(frozen=True, slots=True)
class JournalFiles:
    """The journal files of each session, and why others cannot be listed."""

    of: SomeFilesEach
    problems: tuple[str, ...]


def turn_journals(sessions_dir: Path) -> JournalFiles:
    """The turn journals: ``<sid>~<pid>.jsonl`` and the older ``<sid>.jsonl``, also of an id that is not safe."""
    found: dict[str, list[str]] = {}
    folder = sessions_dir / TURN_JOURNAL
    names, problems = _listed(str(folder))
    for name in names:
        if name.endswith(".jsonl"):
            found.setdefault(intern(name.removesuffix(".jsonl").split("~")[0]), []).append(name)
    return JournalFiles(SomeFilesEach.named(folder, found), problems)


def run_journals(sessions_dir: Path) -> JournalFiles:
    """The run journals: ``<sid>/<stream>.jsonl``."""
    found: dict[str, list[str]] = {}
    folder = sessions_dir / RUN_JOURNAL
    session_ids, problems = _listed(str(folder))
    for session_id in filter(is_safe_session_id, session_ids):
        # to make a path object of each folder takes longer than to list it
        listed, more = _listed(f"{folder}{os.sep}{session_id}")
        problems += more
        found[intern(session_id)] = [f"{session_id}/{name}" for name in listed if name.endswith(".jsonl")]
    return JournalFiles(SomeFilesEach.named(folder, found), problems)


def _listed(folder: str) -> tuple[list[str], tuple[str, ...]]:
    """The names in a folder that is none by a link, and why it cannot be listed."""
    try:
        files.require_folder(folder)
        return sorted(os.listdir(folder)), ()
    except FileNotFoundError:
        return [], ()
    except UnreadableError as error:
        return [], (str(error),)
    except OSError as error:
        return [], (f"{shown(folder)} cannot be read ({error.strerror}).",)
