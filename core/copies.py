"""Every copy of one session, gathered: live file, leftover temps, backup, database rows, journals, index row.

Each copy is read on its own; one that cannot be read is a fact to report, never the end of the scan.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from core import journals, sidecar
from core.errors import UnreadableError
from core.journals import Index, RunRecord, SubmittedTurn
from core.message import SPEAKERS, Message, message
from core.sidecar import SidecarFile
from core.statedb import DatabaseFact, StateDB, open_statedb
from core.statedb_rows import SessionRow, SpokenRow
from core.store import Store, is_safe_session_id

LIVE, BACKUP, TEMP, DATABASE, RUN, INDEX, TURNS = (
    "live",
    "backup",
    "temp",
    "database",
    "run journal",
    "index",
    "turn journal",
)
"""Names of the copies; a second temp or database has its number or profile behind the name."""

_TEMP_NAME = re.compile(r"([0-9A-Za-z_-]+)\.tmp\..+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class DatabaseCopy:
    """The rows of a session in one database: ``messages`` in id order (none where the row is not the WebUI's),
    ``rewound`` the positions that the user took back, ``hidden`` those that the program wrote for itself,
    ``workspaces`` the tags of the user rows, oldest first.
    """

    name: str
    path: Path
    profile: str | None
    row: SessionRow
    messages: tuple[Message, ...]
    rewound: frozenset[int]
    hidden: frozenset[int]
    workspaces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SessionCopies:
    """All that is known of one session. ``databases_unknown``: there is no database, or one could not be read, so a
    missing row proves nothing; ``deletions_unknown``: nor does it prove anything that no tombstone could be read.
    ``problems``: what could not be read in the journals, a sentence each.
    """

    session_id: str
    live: SidecarFile | None
    temps: tuple[SidecarFile, ...]
    backup: SidecarFile | None
    databases: tuple[DatabaseCopy, ...]
    run: RunRecord | None
    turns: tuple[SubmittedTurn, ...]
    index_row: Mapping[str, Any] | None
    deleted: bool
    deletions_unknown: bool
    databases_unknown: bool
    problems: tuple[str, ...]

    @property
    def rows(self) -> tuple[SessionRow, ...]:
        """The rows of the session that are the WebUI's."""
        return tuple(copy.row for copy in self.databases if copy.row.is_webui)


def temp_name(number: int) -> str:
    """The name of a leftover temp as a copy: ``temp``, ``temp 2``, ..."""
    return TEMP if number == 0 else f"{TEMP} {number + 1}"


class Inventory:
    """The copies that lie in a store, listed without reading their contents. A context manager: it holds the databases
    open.

    ``strangers`` are names in the sessions folder that look like a session's but are none, each with the reason;
    ``problems`` says what of the small files beside them cannot be read, a sentence each.
    """

    def __init__(self, store: Store, *, with_databases: bool = True) -> None:
        self.store = store
        self._stack = ExitStack()
        self._database_paths = store.databases if with_databases else ()
        self.sidecars: dict[str, Path] = {}
        self.backups: dict[str, Path] = {}
        self.temps: dict[str, list[Path]] = {}
        self.strangers: list[tuple[str, str]] = []
        self._list_folder()
        sessions_dir = store.sessions_dir
        self.index: Index = journals.read_index(sessions_dir)
        tombstones = journals.read_id_list(sessions_dir / journals.TOMBSTONES_NAME)
        self.deleted, self.deletions_unknown = tombstones.ids, tombstones.problem is not None
        turns, runs = journals.turn_journals(sessions_dir), journals.run_journals(sessions_dir)
        self.turn_journals, self.run_journals = turns.of, runs.of
        alone = (tombstones.problem, journals.projects_problem(store.state_dir))
        self.problems = (*filter(None, alone), *turns.problems, *runs.problems)
        self._databases: list[tuple[str, StateDB, dict[str, list[SessionRow]]]] = []

    def __enter__(self) -> Self:
        try:
            for path in self._database_paths:
                database = self._stack.enter_context(open_statedb(path))
                profile = _profile(path)
                usual = DATABASE if profile is None else f"{DATABASE} of {profile}"
                name = _free(usual, [taken for taken, _, _ in self._databases])
                rows: dict[str, list[SessionRow]] = {}
                for row in database.sessions().values():
                    rows.setdefault(row.sidecar_id or row.id, []).append(row)
                self._databases.append((name, database, rows))
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def database_facts(self) -> tuple[DatabaseFact, ...]:
        """How each database could be read."""
        return tuple(database.fact for _, database, _ in self._databases)

    @cached_property
    def webui_rows(self) -> frozenset[str]:
        """Ids of the sessions in the databases whose sidecars are meant to exist."""
        return frozenset(
            key for _, _, rows in self._databases for key, found in rows.items() if any(row.is_webui for row in found)
        )

    def session_ids(self) -> tuple[str, ...]:
        """Every session that any copy knows and that is meant to have a sidecar, sorted."""
        known = {
            *self.sidecars,
            *self.backups,
            *self.temps,
            *self.webui_rows,
            *self.turn_journals,
            *self.run_journals,
            *self.index.rows,
        }
        return tuple(sorted(key for key in known if is_safe_session_id(key) and not key.startswith("_")))

    def unsafe_ids(self) -> tuple[str, ...]:
        """Ids in the databases that must never become a path."""
        return tuple(sorted(key for key in self.webui_rows if not is_safe_session_id(key) or key.startswith("_")))

    def copies(self, session_id: str) -> SessionCopies:
        """Read every copy of one session."""
        return self.with_databases(self.files(session_id))

    def files(self, session_id: str) -> SessionCopies:
        """Read the copies of one session that are files."""
        runs = journals.Events(self.run_journals.get(session_id, ()))
        turns = journals.Events(self.turn_journals.get(session_id, ()))
        return SessionCopies(
            session_id,
            _read(self.sidecars.get(session_id)),
            tuple(found for path in self.temps.get(session_id, ()) if (found := _read(path)) is not None),
            _read(self.backups.get(session_id)),
            (),
            journals.last_done(session_id, runs),
            journals.submitted_turns(session_id, turns),
            self.index.rows.get(session_id),
            session_id in self.deleted,
            self.deletions_unknown,
            all(database.fact.state == "absent" for _, database, _ in self._databases)
            or any(database.fact.state not in ("ok", "absent") for _, database, _ in self._databases),
            (*runs.problems, *turns.problems),
        )

    def with_databases(self, files: SessionCopies) -> SessionCopies:
        """The same with what the databases hold of the session."""
        databases = []
        for name, database, rows in self._databases:
            for row in rows.get(files.session_id, ()):
                as_named = name if row.id == files.session_id else f"{name}, row {row.id}"
                databases.append(_database_copy(as_named, database, row))
        return replace(files, databases=tuple(databases))

    def spoken(self, session_id: str) -> list[list[SpokenRow]] | None:
        """The message rows of a session in each database, as they lie there; None where one takes a closer look."""
        found = []
        for _, database, rows in self._databases:
            for row in rows.get(session_id, ()):
                if row.is_webui:
                    spoken = database.spoken(row.id)
                    if spoken is None:
                        return None
                    found.append(spoken)
        return found

    def _list_folder(self) -> None:
        folder = self.store.sessions_dir
        try:
            names = sorted(os.listdir(folder))
        except FileNotFoundError:
            return
        except OSError as error:
            raise UnreadableError(
                f"{folder} cannot be read: {error.strerror}. Run this as the user of Hermes."
            ) from None
        for name in names:
            path = folder / name
            temp = _TEMP_NAME.fullmatch(name)
            for suffix, found in ((".json", self.sidecars), (".json.bak", self.backups)):
                if name.endswith(suffix) and not name.startswith("_"):
                    session_id = name.removesuffix(suffix)
                    if is_safe_session_id(session_id):
                        found[session_id] = path
                    else:
                        self.strangers.append((name, "its name is no session id"))
            if temp and is_safe_session_id(temp[1]) and not name.startswith("_"):
                self.temps.setdefault(temp[1], []).append(path)


def _read(path: Path | None) -> SidecarFile | None:
    if path is None:
        return None
    try:
        return sidecar.read(path)
    except FileNotFoundError:
        return None


def _profile(database: Path) -> str | None:
    """The named profile that a database belongs to, None for the root profile's."""
    return database.parent.name if database.parent.parent.name == "profiles" else None


def _free(name: str, taken: Sequence[str]) -> str:
    return next(n for n in (name, *(f"{name} {k}" for k in range(2, len(taken) + 3))) if n not in taken)


def _database_copy(name: str, database: StateDB, row: SessionRow) -> DatabaseCopy:
    rows = database.messages(row.id) if row.is_webui else ()
    messages = [message(sidecar.message_piece(r.message)) for r in rows]
    repeated = _copied_by_compression(messages, [r.status == "compacted" for r in rows])
    once = [(r, m) for k, (r, m) in enumerate(zip(rows, messages, strict=True)) if k not in repeated]
    path = database.fact.path
    return DatabaseCopy(
        name,
        path,
        _profile(path),
        row,
        tuple(m for _, m in once),
        frozenset(k for k, (r, _) in enumerate(once) if r.status == "rewound"),
        frozenset(k for k, (r, m) in enumerate(once) if r.hidden or m.role not in SPEAKERS or m.says_nothing),
        tuple(r.workspace for r in rows if r.workspace),
    )


def _copied_by_compression(messages: Sequence[Message], compacted: Sequence[bool]) -> set[int]:
    """Rows that repeat earlier ones: a compression archives every row and inserts the head, a summary and the tail
    anew.

    The copies stand right behind the archived rows, in the same order, around the summary.
    """
    if not any(compacted):
        return set()
    start = max(k for k, archived in enumerate(compacted) if archived) + 1
    archived = [m.key for m in messages[:start]]
    repeated: set[int] = set()
    at = 0
    for k in range(start, len(messages)):
        if messages[k].is_summary:
            continue
        try:
            at = archived.index(messages[k].key, at) + 1
        except ValueError:
            break
        repeated.add(k)
    return repeated
