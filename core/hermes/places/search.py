"""Where in a Hermes home further copies of sessions lie (formats.md, "Other places where conversations lie")."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

from hermes_rescue.core.hermes.places import beside, forms
from hermes_rescue.core.hermes.places.archives import is_archive
from hermes_rescue.core.hermes.places.candidate import Candidate, Form, date_in, day, told_apart
from hermes_rescue.core.hermes.store import Store, is_home, is_session_name

_DATABASE = re.compile(r"state\b.*", re.IGNORECASE)
_COMPANION = ("-wal", "-shm", "-journal")
_SET_ASIDE = re.compile(r"state-snapshots|archive|backups?|state\.db\.retired.*", re.IGNORECASE)
"""Folders of a home in which databases are kept."""

_BACKUP = re.compile(r"hermes-backup-.*\.zip", re.IGNORECASE)
"""What ``hermes backup`` calls an archive, which it puts beside a home of the usual name."""

_MAGIC = b"SQLite format 3\0"
_MOST = 10_000
"""Names looked at in one folder."""


class Search:
    """What lies where, session by session. ``known``: the ids that anything of the WebUI knows, ``foreign`` those of
    other programs' sessions. ``root``: the place that a person named, or an archive, while what is in it is added.
    """

    def __init__(self, known: Collection[str], foreign: Collection[str]) -> None:
        self._known, self._foreign = known, foreign
        self._of: dict[str, dict[str, Candidate]] = {}
        self._real = cache(os.path.realpath)  # one database can hold every session
        self.root: Path | None = None
        self.looked: list[str] = []
        self.databases: list[Candidate] = []
        self.archives: list[Path] = []

    @property
    def found(self) -> dict[str, tuple[Candidate, ...]]:
        """From each session to what may hold it, under names that are all different."""
        result = {}
        for session_id, candidates in self._of.items():
            in_order = sorted(candidates.values(), key=lambda c: (not c.is_near, -c.saved))
            names = told_apart([(each.name, each.clock) for each in in_order])
            result[session_id] = tuple(replace(c, name=name) for c, name in zip(in_order, names, strict=True))
        return result

    def add(self, session_id: str, candidate: Candidate) -> None:
        """Take note of a candidate; of one place once."""
        candidate = replace(candidate, root=candidate.root or self.root)
        self._of.setdefault(session_id, {})[self._real(candidate.path)] = candidate

    def beside(self, folder: Path, names: Iterable[str]) -> dict[str, str]:
        """The copies beside the session files; of which session each is, by its name."""
        found = {}
        for session_id, each in beside.copies_in(folder, names):
            self.add(session_id, each)
            found[each.path.name] = session_id
        return found

    def misnamed(self, folder: Path, names: Iterable[str]) -> dict[str, str]:
        """The session files of these names that carry another session's id."""
        result = {}
        for name in names:
            path = folder / f"{name}.json"
            inner = forms.head(path).session_id
            if inner is not None and inner != name:
                result[name] = inner
                for session_id, each in beside.of_file(path):
                    self.add(session_id, each)
        return result

    def home(self, home: Path) -> None:
        """The agent's own files, set-aside databases and exports in the home of a profile."""
        self._agent_files(home / "sessions")
        self._refused(home / "pending_messages")
        self._set_aside(home)
        for path, status in _files(home):
            if is_archive(path):
                self.archives.append(path)
            elif path.name.lower().removesuffix(".gz").endswith(".jsonl") or path.name.startswith("hermes-"):
                for session_id, each in beside.of_file(path):
                    self.add(session_id, each)
            elif status.st_size and path.name != "state.db" and _is_database(path):
                self._database(path, status, "(set aside)")
        if home.name == ".hermes":
            self.archives += (path for path in _names(home.parent) if _BACKUP.fullmatch(path.name) and _is_file(path))

    def given(self, path: Path, where: str, date: float | None = None, *, is_near: bool = True) -> bool:
        """A file of whatever kind; one of many where there is a date, which their copies are named by. ``is_near``: a
        person named the place, and wants to know of everything in it. Returns whether it may hold a session.
        """
        status = os.lstat(path)
        if _is_database(path):
            self._database(path, status, "(added)" if is_near else "(in an archive)", date, where, is_near=is_near)
            return True
        found = False
        kind = "snapshot" if path.name.startswith("session_") else "backup"
        label = "" if date is None else f"{kind} of {day(date)}"
        for session_id, each in beside.of_file(path, shown=where, label=label, is_near=is_near):
            if kind == "backup" or session_id in self._known or forms.head(path).platform == "webui":
                self.add(session_id, each)
                found = True
        return found

    def _agent_files(self, folder: Path) -> None:
        """Snapshots and spools; those of the agent's other fronts are none of the WebUI's."""
        if not os.path.isdir(folder):
            return
        self.looked.append(str(folder))
        for path, status in _files(folder):
            stem = path.name.partition(".")[0]
            session_id = stem.removeprefix("session_")
            if path.name == f"session_{session_id}.json" and is_session_name(session_id):
                is_known = session_id in self._known
                if not is_known and (session_id in self._foreign or forms.head(path).platform != "webui"):
                    continue
                name = f"snapshot of {day(status.st_mtime)}"
                where = str(path)
                self.add(
                    session_id,
                    Candidate(name, path, Form.FILE, status.st_mtime, status.st_size, False, where),
                )
            elif path.name == f"{stem}.jsonl" and stem in self._known:
                self._spool(stem, path, status)

    def _refused(self, folder: Path) -> None:
        """Messages that the database refused, each in a file, and what an agent that ended could not save."""
        for path, status in _files(folder):
            if not path.name.startswith(forms.REFUSED):
                continue
            session_id = forms.head(path).session_id
            if session_id is not None and session_id in self._known:
                self._spool(session_id, path, status, Form.FILE)
            elif (found := forms.refused(path)) is not None and found.session_id in self._known:
                self._spool(found.session_id, folder, status, Form.REFUSED)

    def _spool(self, session_id: str, path: Path, status: os.stat_result, form: Form = Form.LINES) -> None:
        name = f"spool of {day(status.st_mtime)}"
        self.add(session_id, Candidate(name, path, form, status.st_mtime, status.st_size, True, str(path)))

    def _set_aside(self, home: Path) -> None:
        for folder in _folders(home):
            if _SET_ASIDE.fullmatch(folder.name):
                self.looked.append(str(folder))
                for path, status in (*_files(folder), *(f for inner in _folders(folder) for f in _files(inner))):
                    if is_archive(path):
                        self.archives.append(path)
                    elif _is_database(path):
                        dated = path.parent.name if path.parent != folder else path.name
                        self._database(path, status, "(set aside)", date_in(dated))

    def _database(
        self,
        path: Path,
        status: os.stat_result,
        what: str,
        date: float | None = None,
        where: str = "",
        *,
        is_near: bool = False,
    ) -> None:
        date = date or date_in(path.name) or status.st_mtime
        name = f"database of {day(date)} {what}".strip()
        where = where or str(path)
        found = Candidate(name, path, Form.DATABASE, date, status.st_size, is_near, where, root=self.root)
        self.databases.append(found)
        self.looked.append(where)


def homes_of(store: Store) -> list[Path]:
    """The home of all profiles, and that of each; also where only a sessions folder in it was named."""
    home = store.home or store.state_dir.parent
    if store.home is None and not is_home(home):
        return []
    base = home.parent.parent if home.parent.name == "profiles" else home
    return [base, *_folders(base / "profiles")]


def _is_database(path: Path) -> bool:
    """Whether a file is a database of the agent, also one whose beginning is damaged."""
    name = path.name.lower()
    if name.endswith(_COMPANION) or not (_DATABASE.fullmatch(name) or name.endswith(".db")):
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC or name.startswith("state.db")
    except OSError:
        return False


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """The regular files of a folder in the order of their names; none where it cannot be read."""
    for path in _names(folder):
        try:
            status = os.lstat(path)
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            yield path, status


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _folders(folder: Path) -> list[Path]:
    return [path for path in _names(folder) if not path.is_symlink() and path.is_dir()]


def _names(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in sorted(os.listdir(folder))[:_MOST]]
    except OSError:
        return []
