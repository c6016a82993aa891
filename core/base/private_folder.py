"""Folders for private copies of what may not be touched, and the end of those whose process has died."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "hermes-rescue-"
_LOCK = "owner.lock"
_HELD = b"held\n"
"""What a lock says that was taken once."""

_YOUNG = 60.0  # seconds in which the lock of a folder may not have been taken yet


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder for this user alone, in the folder for temporary files; removed at the end. While it is used a lock in
    it is held, so that :func:`sweep` knows those that a killed process left. Raises ``OSError``.
    """
    from filelock import FileLock

    with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as name:
        lock = FileLock(Path(name) / _LOCK, mode=0o600, thread_local=False)
        with suppress(NotImplementedError):  # a file system without locks
            lock.acquire()
        with suppress(OSError):  # Windows keeps everybody from what is locked
            (Path(name) / _LOCK).write_bytes(_HELD)
        try:
            yield Path(name)
        finally:
            lock.release(force=True)


def make_private(folder: Path) -> None:
    """Close a folder to everybody but its user. A link in its place is not followed (OSError)."""
    from hermes_rescue.core.base.files import NOT_FOLLOWED

    if sys.platform == "win32":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | NOT_FOLLOWED)
    except PermissionError:  # then this is not root, and no link can lead to what is somebody else's
        folder.chmod(0o700)
        return
    try:
        os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)


def sweep() -> None:
    """Remove the private folders that processes of this user left when they were killed. What cannot be removed stays
    until the next time.
    """
    with suppress(OSError):
        for entry in os.scandir(tempfile.gettempdir()):
            if entry.name.startswith(_PREFIX):
                with suppress(OSError):
                    _sweep_one(Path(entry.path), entry.stat(follow_symlinks=False))


def _sweep_one(folder: Path, status: os.stat_result) -> None:
    is_ours = stat.S_ISDIR(status.st_mode) and (not hasattr(os, "geteuid") or status.st_uid == os.geteuid())
    if not is_ours or (time.time() - status.st_mtime < _YOUNG and not _was_locked(folder)):
        return
    from filelock import FileLock, Timeout  # which no command needs where nothing was left

    lock = FileLock(folder / _LOCK, mode=0o600)
    with suppress(Timeout, NotImplementedError), lock.acquire(blocking=False):
        shutil.rmtree(folder, ignore_errors=True)


def _was_locked(folder: Path) -> bool:
    """Whether the process of a folder got as far as to take its lock."""
    try:
        return (folder / _LOCK).stat().st_size > 0
    except OSError:
        return False
