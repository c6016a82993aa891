"""Whether the WebUI of a store is running, which version, and how to stop it (formats.md, section Where)."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hermes_rescue.core.base.errors import UnreadableError
from hermes_rescue.core.base.files import read_regular, shown
from hermes_rescue.core.base.rights import user
from hermes_rescue.core.hermes import webui_servers
from hermes_rescue.core.hermes.store import Store, is_usual
from hermes_rescue.core.hermes.webui_servers import DEFAULT_PORT, Health, Process, number, port_of

_MAX_NOTE_BYTES = 65_536
"""Bytes read of a note."""


@dataclass(frozen=True, slots=True)
class Server:
    """A WebUI that serves a store. None is unknown; ``address``: where it answers or was set to listen; ``stop``: the
    command that stops it; ``hidden_of``: the id of its user, where the system does not let us see whom it serves.
    """

    pid: int | None
    address: str | None
    version: str | None
    active_streams: int | None
    answers: bool
    stop: str | None
    hidden_of: int | None = None

    @property
    def named(self) -> str:
        """Which process it is, and where it listens."""
        return ", ".join(filter(None, (f"process {self.pid}" if self.pid else "", shown(self.address or ""))))


@dataclass(frozen=True, slots=True)
class WebUIStatus:
    """Whether the WebUI of a store is running: None where there is no sign of one, but not every sign could be seen.
    ``evidence``: in words, for a person. More than one can run on one store.
    """

    running: bool | None
    servers: tuple[Server, ...]
    evidence: str

    @property
    def is_certain(self) -> bool:
        """Whether one of the servers is known to serve this store, and not only taken for one that does."""
        return any(server.hidden_of is None for server in self.servers)

    @property
    def active_streams(self) -> int | None:
        """How many answers are being written; None means unknown."""
        known = [server.active_streams for server in self.servers if server.active_streams is not None]
        return sum(known) if known and len(known) == len(self.servers) else None

    @property
    def may_be_writing(self) -> bool:
        """Whether a server may be writing an answer."""
        return bool(self.running) and self.active_streams != 0

    @property
    def reloads(self) -> bool:
        """Whether every server reads a session again whose count of messages has grown on disk."""
        return all(webui_servers.reloads(server.version) for server in self.servers)

    @property
    def how_to_stop(self) -> str:
        """What stops the servers, and which they are."""
        return " and ".join(
            f"{server.stop} ({server.named})" if server.stop else f"the WebUI at {server.named}"
            for server in self.servers
        )


@dataclass(frozen=True, slots=True)
class _Notes:
    """What ``ctl.sh`` left in a home of the server that it started. ``is_anothers``: its state dir is another folder of
    this computer, so the notes came along with a copied store. ``is_elsewhere``: its state dir is no folder of this
    computer, so it runs in a container, and its process number means nothing here.
    """

    pids: tuple[int, ...] = ()
    port: int = DEFAULT_PORT
    host: str = ""
    is_elsewhere: bool = False
    is_anothers: bool = False


def webui_status(store: Store, *, timeout: float = 1.0) -> WebUIStatus:
    """Find out whether the WebUI of this store is running, waiting at most ``timeout`` seconds for each answer.

    On Linux the processes themselves say it. What they do not say, the notes of ``ctl.sh`` may, and a port that
    answers. An answer does not say whose it is, so it counts only where no process of another store explains it, and a
    port is asked only for a noted process that lives, for a container, and for the store that a WebUI started without a
    word would use: nothing else may keep anyone from repairing a copy.
    """
    notes = _read_notes(store)
    own: list[Process] = []
    others: list[Process] = []
    is_unclear = False
    for process in webui_servers.processes():
        serves = process.serves((store.state_dir, store.sessions_dir))
        if serves or (serves is None and (process.pid in notes.pids or process.owner == _owner(store))):
            own.append(process)
        elif serves is None:
            is_unclear = True
        else:
            others.append(process)
    if own:
        return _running([_server_of(process, notes, timeout) for process in own])
    noted = next(filter(_is_alive, notes.pids), None)
    places: list[tuple[int | None, int, str]] = []
    if noted is not None or notes.is_elsewhere:
        places.append((noted, notes.port, notes.host))
    if is_usual(store):
        places.append((None, port_of(os.environ) or DEFAULT_PORT, os.environ.get("HERMES_WEBUI_HOST", "")))
    for pid, port, host in places:
        is_anothers = any(process.port == port for process in others)
        health = None if is_anothers else webui_servers.ask(port, host, timeout=timeout)
        if health is not None or (pid is not None and not webui_servers.are_shown()):
            return _running([_server(pid, health, _kill(pid) if pid is not None else None)])
    is_known = not is_unclear and webui_servers.are_all_shown(store.state_dir)
    return WebUIStatus(False if is_known else None, (), _no_sign(store, notes, noted))


def _no_sign(store: Store, notes: _Notes, noted: int | None) -> str:
    evidence = f"No sign of a running Hermes WebUI in {shown(_home(store))}; if yours runs, stop it first."
    if notes.is_anothers:
        return f"{evidence} The recorded WebUI serves another folder."
    if noted is not None:
        return f"{evidence} The recorded process, {noted}, is another program now."
    return f"{evidence} The recorded process, {notes.pids[0]}, has ended." if notes.pids else evidence


def _running(servers: Sequence[Server]) -> WebUIStatus:
    sentences = []
    for server in servers:
        if server.hidden_of is not None:
            who = f"What looks like a Hermes WebUI of {user(server.hidden_of)} is running ({server.named})"
            sentences.append(f"{who}; whether it serves this store, only that user can see.")
            continue
        version = f" {shown(server.version)}" if server.version else ""
        lacks = [text for text in ("" if version else "version unknown", "" if server.answers else "no answer") if text]
        sentences.append(f"Hermes WebUI{version} is running ({', '.join(filter(None, (server.named, *lacks)))}).")
    return WebUIStatus(True, tuple(servers), " ".join(sentences))


def _server_of(process: Process, notes: _Notes, timeout: float) -> Server:
    health = webui_servers.ask(process.port, process.host, timeout=timeout)
    stop = process.how_to_stop(is_noted=process.pid in notes.pids)
    found = _server(process.pid, health, stop or _kill(process.pid), process.address)
    is_hidden = process.environ is None and process.pid not in notes.pids
    return replace(found, hidden_of=process.owner if is_hidden else None)


def _server(pid: int | None, health: Health | None, stop: str | None, address: str | None = None) -> Server:
    if health is None:
        return Server(pid, address, None, None, answers=False, stop=stop)
    return Server(pid, health.address, health.version, health.active_streams, answers=True, stop=stop)


def _kill(pid: int) -> str:
    return f"taskkill /F /PID {pid}" if sys.platform == "win32" else f"kill {pid}"


def _home(store: Store) -> Path:
    return store.home or store.state_dir.parent


def _owner(store: Store) -> int | None:
    try:
        return os.stat(store.state_dir).st_uid
    except OSError:
        return None


def _read_notes(store: Store) -> _Notes:
    """The notes in the home of a store; all hostile."""
    texts = []
    for name in ("webui.ctl.env", "webui.pid"):
        try:
            texts.append(
                read_regular(_home(store) / name, _MAX_NOTE_BYTES).decode("utf-8", "replace").replace("\0", " ")
            )
        except (OSError, UnreadableError):
            texts.append("")
    lines = (line.strip().removeprefix("export ").partition("=") for line in texts[0].splitlines())
    sentences = {key.strip(): _unquoted(value.strip()) for key, _, value in lines}
    state_dir = os.path.realpath(os.path.expanduser(sentences.get("STATE_DIR") or store.state_dir))
    is_own = state_dir == os.path.realpath(store.state_dir)
    if not is_own and os.path.isdir(state_dir):
        return _Notes(is_anothers=True)
    pids = (number(text, 2**31 - 1) for text in (texts[1].strip(), sentences.get("PID"))) if is_own else ()
    return _Notes(
        tuple(dict.fromkeys(pid for pid in pids if pid is not None)),
        number(sentences.get("PORT"), 65_535) or DEFAULT_PORT,
        sentences.get("HOST", ""),
        is_elsewhere=not is_own,
    )


def _unquoted(value: str) -> str:
    """A value as the shell understands it."""
    try:
        words = shlex.split(value)
    except ValueError:
        words = []
    return words[0] if len(words) == 1 else value


def _is_alive(pid: int) -> bool:
    if sys.platform == "win32":  # os.kill would end the process there
        import ctypes

        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(0x1000, False, pid)  # PROCESS_QUERY_LIMITED_INFORMATION
        if not handle:
            return bool(kernel.GetLastError() == 5)  # ERROR_ACCESS_DENIED: it lives, and is somebody else's
        status = ctypes.c_ulong()
        kernel.GetExitCodeProcess(handle, ctypes.byref(status))
        kernel.CloseHandle(handle)
        return status.value == 259  # STILL_ACTIVE
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
