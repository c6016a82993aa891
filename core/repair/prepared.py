"""What a plan has prepared of its sessions, so that they need not be merged once more when it is carried out.

It holds only while everything that it came from is the same, by the same signs as an answer of the last audit
(:mod:`core.audit.cache`). The bytes lie in a private folder outside the Hermes home, since a plan leaves no trace
there, and go with the plan; what a killed process left is swept by the next one. All that they are checked by stays in
memory: whoever could change the folder could not have anything written but what the plan promised.
"""

from __future__ import annotations

import os
import shutil
import weakref
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from hermes_rescue.core.audit.cache import database_stamps, keys_of
from hermes_rescue.core.audit.written_over import Brought
from hermes_rescue.core.base import files
from hermes_rescue.core.base.errors import RescueError
from hermes_rescue.core.base.private_folder import private_folder
from hermes_rescue.core.hermes.copies import CopyReader
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.hermes.webui_status import WebUIStatus
from hermes_rescue.core.repair.planned import PlannedSession

MOST = 1 << 28
"""Bytes that all sessions of a plan may take, since it can be kept for days; nor more than half of what is free. What
is beyond is merged once more."""

_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | files.NOT_FOLLOWED


class Place(NamedTuple):
    """Where bytes lie: the file in the folder, from where on, and how many."""

    name: str
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Draft:
    """What has to be known of a session to write its file later: the SHA-256 (hex) of the backup that moves then, what
    the file gets, whose time and digest come later, and its row in the session list (:func:`rebuild_index.row`), which
    is made of what is to be written.
    """

    session_id: str
    backup: str | None
    brought: Brought
    row: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prepared:
    """The same, and where the bytes lie. ``key`` is of what they came from (:func:`core.audit.cache.keys_of`)."""

    draft: Draft
    place: Place
    key: bytes


class PreparedSessions:
    """Those of one plan, by their ids. The folder goes when nobody holds this any more, or at the end of the program.

    Nothing about it raises: what cannot be kept, or is another by now, is as if it had not been prepared.
    """

    def __init__(self, store: Store) -> None:
        self.folder: Path | None = None
        self._databases = _stamps_of(store)
        self._sessions: dict[str, Prepared] = {}
        stack = ExitStack()
        with suppress(OSError):
            self.folder = stack.enter_context(private_folder())
        self._close = weakref.finalize(self, stack.close)

    def add(self, sessions: Iterable[Prepared]) -> None:
        """Take note of all that was put into the folder; where that is nothing, it goes."""
        self._sessions = {each.draft.session_id: each for each in sessions}
        if not self._sessions:
            self.close()

    def close(self) -> None:
        """Remove the folder."""
        self._sessions.clear()
        self._close()

    def unchanged(self, planned: PlannedSession, reader: CopyReader, webui: WebUIStatus) -> tuple[Draft, bytes] | None:
        """What was prepared of a session, and the bytes of its file, where everything that they came from is the same
        and no WebUI runs, which may forbid what was planned.
        """
        known = self._sessions.get(planned.session_id)
        if known is None or self.folder is None or webui.running or not planned.is_written:
            return None
        if None in self._databases.values() or self._databases != _stamps_of(reader.store):
            return None
        if keys_of(reader, webui, (planned.session_id,)).get(planned.session_id) != known.key:
            return None
        data = _read(self.folder, known.place)
        return (known.draft, data) if data is not None and files.digest_of(data) == planned.after else None


def put_by(draft: Draft, data: bytes, folder: Path, keys: Mapping[str, bytes]) -> Prepared | None:
    """Put the bytes of a session's file into a folder; None where there is no room for them, or it fails, or some of
    its copies were just changed.
    """
    key = keys.get(draft.session_id)
    place = _put(folder, data) if key else None
    return Prepared(draft, place, key) if key and place else None


def _put(folder: Path, data: bytes) -> Place | None:
    """Bytes at the end of the file of this process: one for each session takes far longer."""
    try:
        used = sum(entry.stat(follow_symlinks=False).st_size for entry in os.scandir(folder))
        if used + len(data) > MOST or len(data) > shutil.disk_usage(folder).free // 2:
            return None
        path = folder / f"{os.getpid()}.prepared"
        with open(os.open(path, _APPEND, 0o600), "ab") as file:
            start = file.seek(0, os.SEEK_END)
            file.write(data)
    except OSError:
        return None
    return Place(path.name, start, len(data))


def _read(folder: Path, place: Place) -> bytes | None:
    try:
        with files.open_regular(folder / place.name) as (file, _):
            file.seek(place.start)
            return file.read(place.size)
    except (RescueError, OSError):
        return None


def _stamps_of(store: Store) -> dict[Path, object]:
    """The stamps of each database, None for one that was just written to."""
    return {path: database_stamps(path) for path in store.databases}
