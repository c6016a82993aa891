"""WebUI servers on this computer: what Linux shows of their processes, and what they answer to ``GET /health``.

Everything here is another program's word and may be hostile; nothing of it is followed beyond this computer.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401  # asked for by getaddrinfo, perhaps when no file may be read any more
import ipaddress
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from hermes_rescue.core.base.jsontext import NotJSONError, loads
from hermes_rescue.core.base.words import typed

DEFAULT_PORT = 8787

_PROC = Path("/proc")
_MAX_ANSWER_BYTES = 65_536
"""Bytes read of an answer."""

_SCRIPTS = frozenset({"server.py", "bootstrap.py"})
_PYTHON = re.compile(r"\.?(python|pypy)")
_INITIAL_PID_NAMESPACE = "pid:[4026531836]"  # the kernel's PROC_PID_INIT_INO
_CONTAINER = re.compile(r"(docker|libpod)[-/]([0-9a-f]{12})[0-9a-f]{52}")
_SERVICE = re.compile(r"/([\w@.-]*hermes[\w@.-]*\.service)$", re.IGNORECASE)
_VERSION = re.compile(r"(?:exp-)?v?(\d{1,5})\.(\d{1,5})\.(\d{1,5})")
_RELOADS_SINCE = (0, 51, 327)


@dataclass(frozen=True, slots=True)
class Process:
    """A process whose command line is that of a WebUI: ``tree`` is the folder of its code as it names it, ``owner`` its
    user id. ``environ`` is None where the system does not let us read it.
    """

    pid: int
    owner: int
    tree: str
    environ: Mapping[str, str] | None

    @property
    def port(self) -> int:
        """The port that it was set to listen on."""
        return port_of(self.environ or {}) or DEFAULT_PORT

    @property
    def host(self) -> str:
        """The host that it was set to listen on, "" where none was set."""
        return (self.environ or {}).get("HERMES_WEBUI_HOST", "").strip()

    @property
    def address(self) -> str | None:
        """Where it was set to listen."""
        return None if self.environ is None else _address(self.host or "127.0.0.1", self.port)

    def serves(self, folders: Sequence[Path]) -> bool | None:
        """Whether one of these is its state dir, or the sessions folder there; None where that cannot be seen."""
        if self.environ is None:
            return None
        home = self.environ.get("HERMES_HOME", "").strip() or "~/.hermes"
        path = self.environ.get("HERMES_WEBUI_STATE_DIR", "").strip() or os.path.join(home, "webui")
        if path.startswith("~/"):
            path = self.environ.get("HOME", "") + path[1:]
        state_dir = _seen_by(self.pid, path)
        return any(_is_same(place, folder) for place in (state_dir, f"{state_dir}/sessions") for folder in folders)

    def how_to_stop(self, *, is_noted: bool) -> str | None:
        """The command of what started it and would start it again, if that is known; ``is_noted``: by ``ctl.sh``."""
        try:
            groups = (_PROC / str(self.pid) / "cgroup").read_text("utf-8", "replace").splitlines()
        except OSError:
            groups = []
        for line in groups:
            if container := _CONTAINER.search(line):
                return f"{'docker' if container[1] == 'docker' else 'podman'} stop {container[2]}"
            if service := _SERVICE.search(line):
                return f"systemctl {'--user ' if '/user.slice/' in line else ''}stop {service[1]}"
        if is_noted and os.path.isfile(_seen_by(self.pid, f"{self.tree}/ctl.sh")):
            home = (self.environ or {}).get("HERMES_HOME")
            named = ("env", f"HERMES_HOME={home}") if home else ()
            return typed((*named, f"{self.tree}/ctl.sh", "stop"))
        return None


class Health(NamedTuple):
    """What a WebUI answered: where it was asked, its version and how many answers it is writing (None: unknown)."""

    address: str
    version: str | None
    active_streams: int | None


def processes() -> Iterator[Process]:
    """The WebUI processes that this system shows; none where it is not Linux."""
    try:
        numbers = sorted(int(name) for name in os.listdir(_PROC) if name.isdecimal())
    except OSError:
        return
    for pid in numbers:
        folder = f"{_PROC}/{pid}"
        try:
            script = _script(_strings(f"{folder}/cmdline"))
            if script is None:
                continue
            owner = os.stat(folder).st_uid
        except OSError:  # it has ended, or is hidden
            continue
        try:
            environ = dict(line.split("=", 1) for line in _strings(f"{folder}/environ") if "=" in line)
            tree = os.path.dirname(
                script if os.path.isabs(script) else os.path.join(os.readlink(f"{folder}/cwd"), script)
            )
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue
        except OSError:
            yield Process(pid, owner, "", None)
            continue
        if all(os.path.isdir(_seen_by(pid, f"{tree}/{name}")) for name in ("api", "static")):
            yield Process(pid, owner, tree, environ)  # others call theirs server.py too


def are_shown() -> bool:
    """Whether this system shows processes at all."""
    return os.path.exists(_PROC / "self" / "cmdline")


def are_all_shown(folder: Path) -> bool:
    """Whether :func:`processes` sees everyone who can write to a folder: not where others' processes are hidden, nor
    from within a container that shares the folder.
    """
    try:
        (_PROC / "1" / "cmdline").read_bytes()
        is_contained = os.readlink(_PROC / "self" / "ns" / "pid") != _INITIAL_PID_NAMESPACE
        return not (is_contained and _is_mounted(folder))
    except OSError:
        return False


def ask(port: int, host: str = "", *, timeout: float) -> Health | None:
    """What a WebUI on this computer answers to ``GET /health``, which needs no login; None for any other service, and
    where nothing answers in time. ``host``: where it was set to listen, "" if that is not known.
    """
    end = time.monotonic() + timeout
    for each in (host,) if _is_here(host) else ("127.0.0.1", "::1"):
        for scheme in ("http", "https"):
            answer = _answer(each, port, end, secure=scheme == "https")
            if answer is None:
                break  # nobody listens
            health = _understood(answer, f"{scheme}://{_address(each, port)}")
            if health is not None:
                return health
    return None


def reloads(version: str | None) -> bool:
    """Whether a WebUI of this version reads a session again whose count of messages has grown on disk. An older one
    goes on with what it has in memory, and saves that.
    """
    found = _VERSION.match(version or "")
    return found is not None and tuple(map(int, found.groups())) >= _RELOADS_SINCE


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def port_of(environ: Mapping[str, str]) -> int | None:
    """The port that an environment names for the WebUI."""
    return number(environ.get("HERMES_WEBUI_PORT", "").strip(), 65_535)


def number(text: str | None, largest: int) -> int | None:
    """A number from 1 to ``largest``; None for anything else (process 0 would be our own process group)."""
    if text is None or not re.fullmatch(r"[0-9]{1,10}", text):
        return None
    return int(text) if 1 <= int(text) <= largest else None


def _strings(path: str) -> list[str]:
    """What the system separates by NUL bytes in a file about a process."""
    with open(path, "rb", buffering=0) as file:
        return file.read().decode("utf-8", "surrogateescape").split("\0")


def _script(arguments: Sequence[str]) -> str | None:
    """The script of a command line that may be a WebUI's."""
    if _PYTHON.match(os.path.basename(arguments[0])) is None:
        return None
    for before, argument in pairwise(arguments):
        if os.path.basename(argument) in _SCRIPTS:
            return argument
        if before == "-m" and f"{argument}.py" in _SCRIPTS:
            return f"{argument}.py"
    return None


def _seen_by(pid: int, path: str) -> str:
    """Where a path leads that a process names: it may live in a container."""
    return f"{_PROC}/{pid}/root{path}" if os.path.isabs(path) else f"{_PROC}/{pid}/cwd/{path}"


def _is_mounted(folder: Path) -> bool:
    return os.stat(folder).st_dev != os.stat("/").st_dev


def _is_same(one: str, other: Path) -> bool:
    try:
        return os.path.samestat(os.stat(one), os.stat(other))
    except OSError:  # where the folder is lost, its name is left
        with suppress(OSError):  # where the process has ended, nothing is: `realpath` fails on its root
            return os.path.realpath(one) == os.path.realpath(other)
        return False


def _is_here(host: str) -> bool:
    """Whether a literal address is one of this computer's."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if address.is_unspecified:
        return False
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as test:
            test.bind((host, 0))
    except OSError:
        return False
    return True


def _answer(host: str, port: int, end: float, *, secure: bool) -> bytes | None:
    """What comes back until a time (of ``time.monotonic``); None where nobody listens.

    Spoken over a bare socket: no proxy, no redirect, and one deadline for the whole answer however it trickles in.
    """
    answer = b""
    try:
        connection = socket.create_connection((host, port), max(end - time.monotonic(), 0.01))
    except OSError:
        return None
    with connection:
        try:
            with _secured(connection) if secure else connection as line:
                line.sendall(f"GET /health HTTP/1.0\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode())
                while len(answer) < _MAX_ANSWER_BYTES and (left := end - time.monotonic()) > 0:
                    line.settimeout(left)
                    if not (chunk := line.recv(_MAX_ANSWER_BYTES)):
                        break
                    answer += chunk
        except OSError:  # also too late: what has come may be whole
            pass
    return answer


def _secured(connection: socket.socket) -> socket.socket:
    """With TLS, whoever signed the certificate: it is this computer, and nothing secret is said."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection)


def _understood(answer: bytes, address: str) -> Health | None:
    """An answer that is a WebUI's: by its ``Server`` header, or where a proxy took that, by what it counts."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if re.match(rb"HTTP/1\.[01] [0-9]{3}\b", head) is None:
        return None
    named = re.search(rb"\r\nserver: *HermesWebUI(?:/([\x21-\x7e]{1,60}))?", head, re.IGNORECASE)
    try:
        reply = loads(body)
    except NotJSONError:
        reply = None
    streams = reply.get("active_streams") if isinstance(reply, dict) else None
    known = isinstance(streams, int) and not isinstance(streams, bool) and streams >= 0
    if named is None and not known:
        return None
    version = named[1].decode() if named is not None and named[1] else None
    return Health(address, version, streams if known else None)
