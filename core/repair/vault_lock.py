"""The lock of a vault: who holds it, and whether it can be had."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hermes_rescue.core.base import files
from hermes_rescue.core.base.errors import BusyError, VaultError

_NAME = "lock"
_WAIT = 0.2  # seconds: whoever looks whether the lock is free holds it for an instant


@contextmanager
def held(root: Path) -> Iterator[None]:
    """Hold the vault in ``root`` for this thread, which may take it again inside.

    Raises :class:`BusyError` while anybody else holds it, :class:`VaultError` where it cannot be locked, ``OSError``.
    """
    from filelock import FileLock, Timeout  # not on the way to a list of findings

    path = root / _NAME
    lock = FileLock(path, mode=0o600, is_singleton=True)
    files.look(path)  # a lock that is a link or a pipe is not opened
    try:
        lock.acquire(timeout=_WAIT, poll_interval=_WAIT / 10)
    except Timeout:
        raise BusyError(_busy(path)) from None
    except NotImplementedError:
        raise VaultError(f"{files.shown(root)} has no file locks; repairing is not safe.") from None
    try:
        yield
    finally:
        with suppress(OSError):  # the end of the process gives it back at the latest
            lock.release()


def is_held(root: Path) -> bool:
    """Whether anybody holds the vault. Leaves no trace."""
    path = root / _NAME
    if sys.platform == "win32":
        from filelock import FileLock, Timeout

        if not path.exists():
            return False
        try:
            with FileLock(path, mode=0o600, is_singleton=True).acquire(blocking=False):
                return False
        except Timeout:
            return True
    import fcntl

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | files.NOT_FOLLOWED)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _busy(path: Path) -> str:
    """Who holds a lock, and what to do."""
    pid = _holder(path)
    if pid is None:
        return "Another Hermes Rescue is working on this store. Wait until it is done."
    if _is_suspended(pid):
        return (
            f"Another Hermes Rescue (process {pid}) holds this store, but is suspended. Let it go on (fg in its"
            f" terminal, or kill -CONT {pid}) and wait until it is done."
        )
    return f"Another Hermes Rescue (process {pid}) is working on this store. Wait until it is done."


def _holder(path: Path) -> int | None:
    """The process that holds a lock, where the system knows it."""
    if sys.platform != "linux":
        return None
    with suppress(OSError, ValueError, IndexError):
        status = os.stat(path)
        file = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
        with open("/proc/locks", encoding="ascii", errors="replace") as locks:
            for line in locks:  # number, kind, mode, access, process, file, start, end
                fields = line.split()
                if fields[1] == "FLOCK" and fields[5] == file:
                    return int(fields[4])
    return None


def _is_suspended(pid: int) -> bool:
    with suppress(OSError, IndexError), open(f"/proc/{pid}/stat", "rb") as stat:
        return stat.read().rpartition(b")")[2].split()[0] in (b"T", b"t")  # the name before it can be anything
    return False
