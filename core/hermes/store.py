"""A Hermes installation: where its data is (formats.md, section Where)."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeGuard

from hermes_rescue.core.base.errors import StoreNotFoundError, UnreadableError
from hermes_rescue.core.base.files import read_regular, shown
from hermes_rescue.core.base.owner import become_owner
from hermes_rescue.core.base.rights import cure

_SAFE_ID = re.compile(r"[0-9A-Za-z_-]{1,180}")
_SESSION_FILE = re.compile(r"([0-9A-Za-z_-]+)\.json(?:\.bak)?")
_STATE_DIR = re.compile(r"^(?:export )?STATE_DIR=['\"]?([^'\"\r\n]+)", re.MULTILINE)
_SNAPSHOT = "session_"
"""What the names of the agent's own snapshots begin with, in its folder of that name."""

_MAX_HEAD_BYTES = 65_536
"""Bytes read of the head of a sidecar."""

_FILES_TRIED = 50
_DOCKER_HOME = Path("/opt/data")


def is_safe_session_id(value: object) -> TypeGuard[str]:
    """Whether an id may become part of a path: ASCII letters, digits, ``_`` and ``-`` only, as the WebUI has it.

    At most 180 of them, so that ``<sid>.json.bak`` and the name of a temp beside it fit into 255 bytes.
    """
    return isinstance(value, str) and _SAFE_ID.fullmatch(value) is not None


def is_session_name(value: object) -> TypeGuard[str]:
    """Whether an id is safe and ``<id>.json`` a session to the WebUI: names that start with ``_`` are its own files."""
    return is_safe_session_id(value) and not value.startswith("_")


@dataclass(frozen=True, slots=True)
class Store:
    """Where the data of one installation is; paths as they were given, symlinks not resolved.

    ``home`` is None where only the sessions folder was named. ``databases``: every state.db there is, the root
    profile's first, then those of the named profiles. ``other_session_dirs``: other folders with a sidecar; ``also``:
    further places that a person named.
    """

    home: Path | None
    state_dir: Path
    sessions_dir: Path
    databases: tuple[Path, ...]
    other_session_dirs: tuple[Path, ...]
    also: tuple[Path, ...] = ()

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders whose owner uses it, the most reliable one first."""
        return _folders_of(self.sessions_dir, self.state_dir, self.home)

    @property
    def reach(self) -> Path:
        """The folder within which a link of a session file is followed: the home."""
        around = self.state_dir.parent
        return self.home or (around if is_home(around) else self.state_dir)

    @property
    def vault_root(self) -> Path:
        """Where what a repair replaced is kept: beside the sessions folder itself, however it was named, so that there
        is one vault and one lock of it."""
        if os.path.islink(self.sessions_dir):
            return Path(os.path.realpath(self.sessions_dir)).parent / "rescue"
        return self.state_dir / "rescue"


class _Place(NamedTuple):
    """Where a store would lie: ``base`` is the home of all profiles."""

    home: Path | None
    base: Path
    state_dir: Path


def find_store(
    *,
    home: Path | None = None,
    session_dir: Path | None = None,
    state_dbs: Sequence[Path] = (),
    also: Sequence[Path] = (),
    environ: Mapping[str, str] | None = None,
) -> Store:
    """Find an installation: what is named counts, else the environment, else the usual places of the platform.

    Without ``state_dbs`` the databases are looked for where they lie in that home, or beside the named sessions folder.
    A home is a store if it has a sessions folder, here or under another root, or a database. A folder that is named may
    be one level too deep or too high: what is in it decides. A front that runs as root becomes the owner of the place
    before anything there is opened (:mod:`core.base.owner`), but heads of session files to know a folder by. Raises
    RescueError, as :class:`StoreNotFoundError` with where it looked; nothing else takes the place of what was named.
    """
    if home is not None and session_dir is None:
        home, session_dir = _meant_by_home(home)
    if session_dir is not None:
        session_dir = _meant_by_sessions(session_dir.absolute())
        state_dir = session_dir.parent
        places = [_Place(home, _base_of(home) if home else state_dir.parent, state_dir)]
    elif home is not None:
        places = [_place(home, _base_of(home))]
    else:
        places = _usual_places(os.environ if environ is None else environ)
    for path in state_dbs:
        if not os.path.isfile(path):
            raise StoreNotFoundError(f"There is no database {shown(path)}.")
    for path in also:
        if not os.path.exists(path):
            raise StoreNotFoundError(f"There is no {shown(path)}.")
    for place in places:
        sessions_dir = session_dir or place.state_dir / "sessions"
        become_owner(_folders_of(sessions_dir, place.state_dir, place.home))
        databases = tuple(state_dbs) or _databases(place)
        if session_dir is None and (home is not None or not _is_named(environ)):
            place = _in_use(place)
        sessions_dir = session_dir or place.state_dir / "sessions"
        others = _with_sessions([root / "sessions" for root in _other_roots(place)], sessions_dir)
        if os.path.isdir(sessions_dir) or databases or others:
            return Store(place.home, place.state_dir, sessions_dir, databases, others, tuple(also))
    looked = [path for place in places for path in (place.state_dir / "sessions", place.base / "state.db")]
    if closed := next(filter(None, map(_refusal, looked)), ""):
        raise StoreNotFoundError(closed)
    raise StoreNotFoundError(
        f"No Hermes data found. Looked for {', '.join(map(shown, looked))}.",
        "Name the Hermes home with --home DIR, or the WebUI's sessions folder with --session-dir DIR.",
    )


def _refusal(path: Path) -> str:
    """Why this user may not look at a path, and what helps; "" where nobody refuses."""
    try:
        os.stat(path)
    except PermissionError:
        return cure(path)
    except OSError:
        pass
    return ""


def _meant_by_home(path: Path) -> tuple[Path | None, Path | None]:
    """The home that a person means by a folder, or the sessions folder: what is in it decides."""
    if is_home(path):
        return path, None
    for sessions in (path, path / "sessions"):
        if _has_session(sessions):
            base = sessions.parent.parent
            return (base if is_home(base) else None), sessions
    near = [path / ".hermes", path / "hermes", *([path.parent] if _is_agents(path) else [])]
    meant = next((each for each in near if is_home(each)), None)
    below = [each / "sessions" for each in _folders(path) if _has_session(each / "sessions")]
    return (None, below[0]) if meant is None and len(below) == 1 else (meant or path, None)


def is_home(path: Path) -> bool:
    """Whether a folder is a Hermes home, by what is in it."""
    return os.path.lexists(path / "state.db") or any(_has_any(root / "sessions") for root in _webui_folders(path))


def _is_agents(path: Path) -> bool:
    """Whether a folder has the agent's own snapshots, which lie beside the folder of the WebUI."""
    try:
        return any(name.startswith(_SNAPSHOT) for name in os.listdir(path))
    except OSError:
        return False


def _meant_by_sessions(path: Path) -> Path:
    """The sessions folder that a person means by a folder. Raises StoreNotFoundError where there is no such folder."""
    if not os.path.isdir(path):
        raise StoreNotFoundError(f"There is no folder {shown(path)}. Name the sessions folder of a WebUI.")
    if _has_session(path) or any(name.startswith("_") for name in os.listdir(path)):
        return path
    near = (path / "sessions", path / "webui" / "sessions", path.parent, path.parent / "webui" / "sessions")
    below = [each for inner in _folders(path) for each in (inner, inner / "sessions") if _has_session(each)]
    return next((each for each in near if _has_session(each)), below[0] if len(below) == 1 else path)


def _in_use(place: _Place) -> _Place:
    """The place with the state dir that is in use: where the usual one has no session, the one that the notes of the
    WebUI's launcher name, or the only one in the home that has.
    """
    if _has_any(place.state_dir / "sessions"):
        return place
    noted = _noted_state_dir(place.base)
    if noted is not None and _has_session(noted / "sessions"):
        return place._replace(state_dir=noted)
    full = [root for root in _webui_roots(place.base) if _has_session(root / "sessions")]
    return place._replace(state_dir=full[0]) if len(full) == 1 else place


def _webui_roots(home: Path) -> list[Path]:
    """Folders of the WebUI's in a home, also in one that was put into itself by mistake."""
    return [*_webui_folders(home), *_webui_folders(home / ".hermes")]


def _webui_folders(folder: Path) -> list[Path]:
    return [each for each in _folders(folder) if each.name.startswith("webui")]


def _noted_state_dir(home: Path) -> Path | None:
    """The state dir that the notes of the WebUI's launcher name."""
    try:
        text = read_regular(home / "webui.ctl.env", _MAX_HEAD_BYTES).decode("utf-8", "replace")
    except (OSError, UnreadableError):
        return None
    found = _STATE_DIR.search(text)
    return Path(found[1]).expanduser() if found else None


def _is_named(environ: Mapping[str, str] | None) -> bool:
    """Whether the environment names the state dir."""
    return _path(os.environ if environ is None else environ, "HERMES_WEBUI_STATE_DIR") is not None


def _has_any(folder: Path) -> bool:
    """Whether a folder has a file of the WebUI's own, also a list of sessions that are gone."""
    try:
        names = (name for name in os.listdir(folder) if not name.startswith(_SNAPSHOT))
        return any(name.startswith("_") or _SESSION_FILE.match(name) for name in names)
    except OSError:
        return False


def has_any_session(store: Store) -> bool:
    """Whether anything there may hold a session: a file in its folder, a database, a place that was added."""
    return bool(store.databases or store.also) or _has_any(store.sessions_dir)


def is_usual(store: Store) -> bool:
    """Whether a WebUI that is started without a word would use this store."""
    own = os.path.realpath(store.state_dir)
    return any(os.path.realpath(place.state_dir) == own for place in _usual_places(os.environ))


def _folders_of(sessions_dir: Path, state_dir: Path, home: Path | None) -> tuple[Path, ...]:
    return (sessions_dir, state_dir) if home is None else (sessions_dir, state_dir, home)


def _usual_places(environ: Mapping[str, str]) -> list[_Place]:
    """Where an installation lies that nobody named, most likely first; only one where the environment names it."""
    state_dir = _path(environ, "HERMES_WEBUI_STATE_DIR")
    base = _path(environ, "HERMES_BASE_HOME")
    home = _path(environ, "HERMES_HOME") or base
    user = _path(environ, "USERPROFILE" if sys.platform == "win32" else "HOME") or Path.home()
    if home:
        homes = [home]
    elif sys.platform == "win32":
        local = _path(environ, "LOCALAPPDATA") or user / "AppData" / "Local"
        homes = [local / "hermes", user / ".hermes"]
    else:
        homes = [user / ".hermes", _DOCKER_HOME]
    return [_place(each, base or _base_of(each), state_dir) for each in homes]


def _path(environ: Mapping[str, str], name: str) -> Path | None:
    value = environ.get(name, "").strip()
    return Path(value).expanduser() if value else None


def _base_of(home: Path) -> Path:
    """The home of all profiles: a named profile's own home is ``<base>/profiles/<name>``."""
    return home.parent.parent if home.parent.name == "profiles" else home


def _place(home: Path, base: Path, state_dir: Path | None = None) -> _Place:
    """One sessions folder serves all profiles, so a profile's own counts only where there is one."""
    own = home / "webui"
    return _Place(home, base, state_dir or (own if os.path.isdir(own / "sessions") else base / "webui"))


def _databases(place: _Place) -> tuple[Path, ...]:
    homes = [place.base, *_profiles(place.base), place.home or place.base]
    found: dict[str, Path] = {}
    for path in (home / "state.db" for home in homes):
        if os.path.lexists(path):  # also what is no regular file: a database that cannot be read is a fact to report
            found.setdefault(os.path.realpath(path), path)
    return tuple(found.values())


def _profiles(base: Path) -> list[Path]:
    return _folders(base / "profiles")


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if os.path.isdir(path))
    except OSError:
        return []


def _other_roots(place: _Place) -> Iterator[Path]:
    """State dirs that launchers, profiles and checkouts are known to have used."""
    for home in (place.base, *_profiles(place.base)):
        yield from (home / "webui", home / "webui-mvp", *_webui_roots(home))
    noted = _noted_state_dir(place.base)
    if noted is not None:
        yield noted
    for sibling in _folders(place.state_dir.parent):
        yield from (sibling, sibling / "data")


def _with_sessions(folders: Sequence[Path], own: Path) -> tuple[Path, ...]:
    found = {os.path.realpath(own): own}
    for folder in folders:
        real = os.path.realpath(folder)
        if real not in found and _has_session(folder):
            found[real] = folder
    return tuple(found.values())[1:]


def is_sessions_folder(folder: Path) -> bool:
    """Whether a folder is that of the sessions of any WebUI: that is what it is called, and what is in it."""
    real = Path(os.path.realpath(folder))
    return real.name == "sessions" and _has_session(real)


def _has_session(folder: Path) -> bool:
    """Whether a folder holds a sidecar or a backup; other programs keep other ``*.json`` in folders named sessions."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return False
    likely = [
        name
        for name in names
        if (match := _SESSION_FILE.fullmatch(name)) and is_session_name(match[1]) and not name.startswith(_SNAPSHOT)
    ]
    return any(_looks_like_session(folder / name) for name in likely[:_FILES_TRIED])


def _looks_like_session(path: Path) -> bool:
    try:
        head = read_regular(path, _MAX_HEAD_BYTES)
    except (OSError, UnreadableError):
        return False
    return b'"session_id"' in head and b'"messages"' in head
