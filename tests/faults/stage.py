"""Runs the real command with every file-system step under control: counted, refused, or its last.

The kernel itself stops the command at each system call that changes something (seccomp user notification) and asks what
is to be done. So nothing is missed, whether the call comes from Python, from C or from SQLite, and neither a debugger
nor a compiler is needed; Linux 5.8 and any user will do. :class:`Stage` is the side of the tests. The other side is a
process of its own that has the program loaded and forks off each command; it can also start the installed command.
:func:`command` runs one that nobody controls, for tests that are about what it does, not how it starts: loading the
program is most of what a small command costs.

A *step* is one of these calls on something below a given folder. A command that is killed goes before its n-th step,
so every state that a kill can leave on the disk is met; a torn kill writes half of what the step would have written.
Nothing is synced: a killed process does not take the page cache along, and the tests are about that.
"""

from __future__ import annotations

import atexit
import ctypes
import errno
import fcntl
import gc
import io
import itertools
import json
import os
import platform
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

# fmt: off
# name: (x86_64, aarch64, what is touched: "p<n>" a path, "d<n>" a path relative to the descriptor before it,
#        "f<n>" a descriptor); None where the machine has no such call.
CALLS: dict[str, tuple[int | None, int | None, str]] = {
    "open": (2, None, "p0"), "openat": (257, 56, "d1"), "creat": (85, None, "p0"),
    "write": (1, 64, "f0"), "pwrite64": (18, 68, "f0"), "writev": (20, 66, "f0"), "pwritev": (296, 70, "f0"),
    "sendfile": (40, 71, "f0"), "copy_file_range": (326, 285, "f2"), "fallocate": (285, 47, "f0"),
    "truncate": (76, 45, "p0"), "ftruncate": (77, 46, "f0"),
    "fsync": (74, 82, "f0"), "fdatasync": (75, 83, "f0"),
    "rename": (82, None, "p0 p1"), "renameat": (264, 38, "d1 d3"), "renameat2": (316, 276, "d1 d3"),
    "link": (86, None, "p0 p1"), "linkat": (265, 37, "d1 d3"),
    "symlink": (88, None, "p1"), "symlinkat": (266, 36, "d2"),
    "unlink": (87, None, "p0"), "unlinkat": (263, 35, "d1"), "rmdir": (84, None, "p0"),
    "mkdir": (83, None, "p0"), "mkdirat": (258, 34, "d1"), "mknod": (133, None, "p0"), "mknodat": (259, 33, "d1"),
    "chmod": (90, None, "p0"), "fchmod": (91, 52, "f0"), "fchmodat": (268, 53, "d1"),
    "chown": (92, None, "p0"), "fchown": (93, 55, "f0"), "lchown": (94, None, "p0"), "fchownat": (260, 54, "d1"),
    "utime": (132, None, "p0"), "utimes": (235, None, "p0"), "utimensat": (280, 88, "d1"),
    "flock": (73, 32, "f0"),
    "connect": (42, 203, ""), "sendto": (44, 206, ""),
    "read": (0, 63, "f0"), "pread64": (17, 67, "f0"),
}
# fmt: on
READS = ("read", "pread64")
OPENS = {"open": 1, "openat": 2}
"""Calls that change something only with certain flags, and which argument these are."""
CHANGING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

LONGEST = 600
"""Seconds after which a command is killed that hangs."""

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_SYS_SECCOMP = (317, 277)
_NEW_LISTENER, _CONTINUE = 8, 1
_RECEIVE, _ANSWER = 0xC0502100, 0xC0182101
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_APART = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc"]
"""The processes of others are not seen there: one of them may be a WebUI's that nobody may look at from there."""
_AT_FDCWD = 0xFFFFFF9C


@dataclass(frozen=True)
class Done:
    """How a command ended. ``status`` is its exit status, below zero the signal that killed it; ``steps`` are what it
    did below the folder, as ``call: path [path]``; ``peers`` the addresses that it connected to, whatever the folder.
    """

    status: int
    out: str
    err: str
    steps: tuple[str, ...]
    peers: tuple[str, ...]


class Stage:
    """A process that runs commands, one at a time. Use it as a context.

    ``own_mounts``: what is mounted in it is seen by it alone; :meth:`mount` mounts, :meth:`inside` is the way in.
    """

    def __init__(self, *, own_mounts: bool = False) -> None:
        command = [*(_APART if own_mounts else ()), sys.executable, __file__]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def inside(self, path: Path) -> Path:
        """What the commands find at ``path``, from outside."""
        return Path(f"/proc/{self._process.pid}/root{path}")

    def mount(self, words: str) -> str | None:
        """Run the shell command that mounts something; why it fails, None where it works."""
        done = self._ask({"shell": words})
        return done.err.strip() if done.status else None

    def run(self, *arguments: object, below: Path, **control: Any) -> Done:
        """Run ``hermes-rescue`` with these arguments. ``control``, all optional:

        ``kill=n``: kill it right before its n-th step (from 0), with ``torn=True`` after half of that step's bytes.
        ``refuse=(n, code)``: let the n-th step fail with this errno; ``lasting=True``: and all after it.
        ``never={call: code}``: let all these calls fail. ``reads=True``: reading is a step too. ``umask``: a number.
        ``installed=True``: start the installed command, not a fork. ``environ``: more variables. ``at_rest=True``: what
        was just written counts as if it had lain there for long; not with ``installed``.
        """
        return self._ask({"arguments": list(map(str, arguments)), "below": str(below), **control})

    def run_freely(self, *arguments: object, alone: bool = False, **environ: str) -> Done:
        """Run ``hermes-rescue`` as it would run by itself, in the environment of the tests and with these variables.
        ``alone``: as if no WebUI ran, whatever runs on this computer, other tests among it.
        """
        words = list(map(str, arguments))
        return self._ask({"arguments": words, "environ": {**os.environ, **environ}, "alone": alone})

    def _ask(self, request: dict[str, Any]) -> Done:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return Done(**{**answer, "steps": tuple(answer["steps"]), "peers": tuple(answer["peers"])})

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


def command(*arguments: object, alone: bool = False, **environ: str) -> Done:
    """Run ``hermes-rescue`` in a process that is forked off one which has it loaded; see :meth:`Stage.run_freely`."""
    return loaded().run_freely(*arguments, alone=alone, **environ)


@cache
def loaded() -> Stage:
    """The one that all tests share."""
    stage = Stage()
    atexit.register(stage.__exit__)
    return stage


@cache
def unavailable() -> str | None:
    """Why there is no stage on this machine, None where there is one."""
    if sys.platform != "linux" or platform.machine() not in _MACHINES:
        return "system calls can be stopped only on Linux (x86_64, aarch64)"
    tried = loaded().run("--version", below=Path("/nowhere"))
    return "this kernel or container forbids seccomp user notification" if tried.status else None


def mountless() -> str | None:
    """Why nobody may mount anything on this machine, None where it works."""
    try:
        tried = subprocess.run([*_APART, "true"], capture_output=True, text=True)
    except FileNotFoundError:
        return "there is no unshare command"
    return tried.stderr.strip() if tried.returncode else None


# The other side


def _filter(machine: int, arch: int, *, reads: bool) -> bytes:
    """A BPF program that notifies of the calls above and allows all others."""
    load, jump_if, jump_set, answer = 0x20, 0x15, 0x45, 0x06
    code = [(load, 0, 0, 4), (jump_if, 1, 0, arch), (answer, 0, 0, _ALLOW), (load, 0, 0, 0)]
    for name, numbers in CALLS.items():
        number = numbers[:2][machine]
        if number is None or (name in READS and not reads):
            continue
        if name in OPENS and not reads:
            flags = 16 + 8 * OPENS[name]
            code += [(jump_if, 0, 4, number), (load, 0, 0, flags), (jump_set, 0, 1, CHANGING), (answer, 0, 0, _NOTIFY)]
            code += [(answer, 0, 0, _ALLOW)]
        else:
            code += [(jump_if, 0, 1, number), (answer, 0, 0, _NOTIFY)]
    code.append((answer, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *each) for each in code)


def _listen(program: bytes, syscall: int) -> int:
    """Put this process under the filter; returns the descriptor on which the kernel reports its calls."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(program, len(program))
    head = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(code)))
    if libc.prctl(38, 1, 0, 0, 0) != 0:  # no new privileges: what lets any user do this
        raise OSError(ctypes.get_errno(), "prctl")
    listener = libc.syscall(syscall, 1, _NEW_LISTENER, ctypes.byref(head))
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return int(listener)


class _Controlled:
    """One command that is running, and what the kernel asks about it."""

    def __init__(self, request: Mapping[str, Any], pid: int, listener: int, machine: int) -> None:
        self.steps: list[str] = []
        self.peers: list[str] = []
        self._request = request
        self._below = request["below"]
        self._pid = pid
        self._listener = listener
        self._is_killed = False
        self._names = {numbers[machine]: name for name, numbers in CALLS.items()}

    def follow(self) -> None:
        """Answer the kernel until the command has ended.

        Other threads of a command that was killed may still ask, and be gone before they have their answer."""
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        while True:
            ((_, event),) = poll.poll()
            if not event & select.POLLIN:
                return
            asked = bytearray(80)
            try:
                fcntl.ioctl(self._listener, _RECEIVE, asked)
                number, pid, _, call, _, _, *arguments = struct.unpack("=QIIiIQ6Q", asked)
                value, code = self._decide(self._names[call], pid, arguments)
                flags = _CONTINUE if value is None else 0
                fcntl.ioctl(self._listener, _ANSWER, bytearray(struct.pack("=QqiI", number, value or 0, -code, flags)))
            except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                continue

    def _decide(self, name: str, pid: int, arguments: list[int]) -> tuple[int | None, int]:
        """What a call gives back (None: let it happen) and with which error."""
        if self._is_killed:
            return 0, 0
        if name in ("connect", "sendto"):
            at, size = (arguments[1], arguments[2]) if name == "connect" else (arguments[4], arguments[5])
            if at:
                self.peers.append(_peer(_memory(pid, at, size)))
            return None, 0
        paths = [path for path in _touched(name, pid, arguments) if path.startswith(self._below)]
        if not paths:
            return None, 0
        step = len(self.steps)
        self.steps.append(f"{name}: {' '.join(os.path.relpath(path, self._below) for path in paths)}")
        if step == self._request.get("kill"):
            if self._request.get("torn") and name == "write":
                self._write_half(pid, arguments)
            os.kill(self._pid, signal.SIGKILL)
            self._is_killed = True
            return 0, 0
        code = self._refusal(name, step)
        if code:
            return 0, code
        return (0, 0) if name in ("fsync", "fdatasync") else (None, 0)

    def _refusal(self, name: str, step: int) -> int:
        never = self._request.get("never", {})
        if name in never:
            return int(never[name])
        at, code = self._request.get("refuse", (None, 0))
        is_now = at is not None and (step >= at if self._request.get("lasting") else step == at)
        return int(code) if is_now and possible(name, code) else 0

    def _write_half(self, pid: int, arguments: list[int]) -> None:
        descriptor = os.open(f"/proc/{pid}/fd/{arguments[0]}", os.O_WRONLY | os.O_APPEND)
        os.write(descriptor, _memory(pid, arguments[1], arguments[2] // 2))
        os.close(descriptor)


def possible(name: str, code: int) -> bool:
    """Whether a call can fail for this reason: what needs no room never lacks it, and a file is not refused once it is
    open."""
    makes = name in ("open", "openat", "creat", "mkdir", "mkdirat", "link", "linkat", "rename", "renameat")
    if code == errno.ENOSPC:
        return makes or name in ("write", "pwrite64", "writev", "fsync", "ftruncate")
    if code == errno.EMFILE:
        return name in OPENS
    if code == errno.EACCES:
        return name not in ("write", "read", "pread64", "fsync", "ftruncate", "fchmod", "fchown", "flock")
    if code == errno.EROFS:
        return name not in ("write", "read", "pread64", "fsync", "ftruncate", "flock")
    return True


def _touched(name: str, pid: int, arguments: list[int]) -> list[str]:
    found = []
    for word in CALLS[name][2].split():
        kind, place = word[0], int(word[1])
        if kind == "f":
            found.append(_descriptor(pid, arguments[place]))
            continue
        path = os.fsdecode(_memory(pid, arguments[place], 4096).split(b"\0")[0]) if arguments[place] else ""
        if not path.startswith("/"):
            folder = arguments[place - 1] & 0xFFFFFFFF if kind == "d" else _AT_FDCWD
            at = os.readlink(f"/proc/{pid}/cwd") if folder == _AT_FDCWD else _descriptor(pid, folder)
            path = os.path.join(at, path) if path else at
        found.append(path)
    return found


def _descriptor(pid: int, number: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/fd/{number}").removesuffix(" (deleted)")
    except FileNotFoundError:  # a bad one: the call will fail
        return ""


def _memory(pid: int, at: int, size: int) -> bytes:
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        memory.seek(at)
        data = b""
        while len(data) < size and (more := memory.read(min(size - len(data), 4096 - (at + len(data)) % 4096))):
            data += more
            if 0 in more and size == 4096:
                break
        return data


def _peer(address: bytes) -> str:
    family = struct.unpack_from("=H", address)[0]
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, address[4:8])
    return socket.inet_ntop(socket.AF_INET6, address[8:24]) if family == socket.AF_INET6 else f"family {family}"


def _serve() -> None:
    """Answer the requests on stdin."""
    _load()
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            mine, theirs = socket.socketpair()
            pid = os.fork()
            if pid == 0:
                mine.close()
                for descriptor, target in ((os.open(os.devnull, os.O_RDONLY), 0), (out.fileno(), 1), (err.fileno(), 2)):
                    os.dup2(descriptor, target)
                _become(request, theirs)
            theirs.close()
            controlled = _control(request, pid, mine) if "below" in request else None
            mine.close()
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode(errors="replace"))
        answer = {"status": status, "out": texts[0], "err": texts[1]}
        steps, peers = (controlled.steps, controlled.peers) if controlled else ((), ())
        print(json.dumps({**answer, "steps": steps, "peers": peers}), flush=True)


def _control(request: Mapping[str, Any], pid: int, channel: socket.socket) -> _Controlled | None:
    """Follow a command that has put itself under control, to its end; None where it may not."""
    _, listeners, *_ = socket.recv_fds(channel, 1, 1)
    for listener in listeners:
        controlled = _Controlled(request, pid, listener, _MACHINES[platform.machine()][0])
        controlled.follow()
        os.close(listener)
        return controlled
    return None


def _come_under_control(request: Mapping[str, Any], channel: socket.socket) -> None:
    machine, arch = _MACHINES[platform.machine()]
    listener = _listen(_filter(machine, arch, reads=request.get("reads", False)), _SYS_SECCOMP[machine])
    socket.send_fds(channel, [b"+"], [listener])
    os.close(listener)


def _load() -> None:
    """Load all of the program, so that a command which is forked off begins where the installed one has its imports."""
    from hermes_rescue.core.demo import demo_store
    from hermes_rescue.core.terminal import commands

    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        home = str(demo_store.make_demo_store(Path(folder)).home)
        for words in (["repair", "--all", "--dry-run"], ["undo", "--yes"], ["report", "--format", "md"]):
            sys.argv = ["hermes-rescue", *words, "--home", home]
            with suppress(SystemExit):
                commands.main()


def _become(request: Mapping[str, Any], channel: socket.socket) -> None:
    """Turn this fork into the command. Does not come back."""
    if "shell" in request:
        os.execvp("sh", ["sh", "-c", request["shell"]])
    from hermes_rescue.core.__main__ import main
    from hermes_rescue.core.audit import cache
    from hermes_rescue.core.base import own_temps
    from hermes_rescue.core.hermes import webui_servers
    from hermes_rescue.core.terminal import commands

    if request.get("alone"):
        webui_servers.processes = lambda: iter(())
    if request.get("at_rest"):
        cache.FRESH = 0.0
    own_temps._numbers = itertools.count(time.time_ns())  # as if it had been loaded only now
    sys.argv = [str(Path(sys.executable).with_name("hermes-rescue")), *request["arguments"]]
    if "below" in request:
        os.umask(request.get("umask", 0o022))
        os.environ.update(request.get("environ", {}))
        _come_under_control(request, channel)
    else:
        os.environ.clear()
        os.environ.update(request["environ"])
        os.chdir("/")  # a folder that whoever this becomes may enter
        tempfile.tempdir = None
    channel.close()
    signal.alarm(LONGEST)
    if request.get("installed"):
        os.execv(sys.argv[0], sys.argv)
    try:
        commands.main() if "below" in request else main()
    except SystemExit as ended:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(ended.code or 0))
    os._exit(99)


if __name__ == "__main__":
    _serve()
