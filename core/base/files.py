"""Durable writes that take nothing away from another writer, and reads that neither follow nor wait.

A write goes into a temp in the same folder, is synced, and only then gets the name that Hermes reads. A file is
replaced or removed only while it is what the caller looked at: it is first taken out of its name in one step, then
checked, and put back where it turns out to be somebody's newer save. Whatever raises leaves the file as it was found;
only where names cannot be exchanged, a folder that fails to be synced leaves what was just put there.

The system's own refusals (no space, no right, a read-only disk) pass through as :class:`OSError`.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from io import BufferedReader
from pathlib import Path
from typing import TypeAlias

from hermes_rescue.core.base import rights
from hermes_rescue.core.base.errors import ChangedMeanwhileError, RescueError, UnreadableError
from hermes_rescue.core.base.own_temps import temp_beside

NOT_FOLLOWED = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | NOT_FOLLOWED
_WRITE_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NOT_FOLLOWED

# How systems and file systems say that they cannot exchange two names, or give a file a second one. EPERM and EACCES
# come from system call filters and mandatory access control; a right that is really missing stops the other way too.
_NO_EXCHANGE = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM})
_NO_LINK = _NO_EXCHANGE | {errno.EACCES, errno.EMLINK}
# Some file systems cannot sync a folder, and a folder that may be written but not listed cannot be opened for it.
_NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EACCES})

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2

Keep = Callable[[bytes], object]
"""Gets the bytes of each save that a replacement or removal took out of its name by mistake. It was put back, but for a
moment something else could be seen there, and whoever read that can save it over what was put back."""

Stamp: TypeAlias = tuple[int, ...]
"""Device, inode, size, and the times of the last change of contents and of inode (ns)."""

_Identity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class FileState:
    """What a regular file was when it was looked at.

    ``digest`` is the SHA-256 of its bytes in hex, ``mode`` its permission bits, ``mtime_ns`` in nanoseconds since 1970.
    """

    digest: str
    size: int
    mode: int
    mtime_ns: int


def shown(path: Path | str) -> str:
    """A path as text that is safe to print: what could steer a terminal or has no UTF-8 form is escaped."""
    return "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in str(path))


def sentence(error: RescueError | OSError, path: Path) -> str:
    """What went wrong with the file at ``path``, in words for people."""
    if isinstance(error, RescueError):
        return str(error)
    if isinstance(error, FileExistsError):
        return f"{shown(path)} already exists; it was not changed."
    return _cured(f"{shown(path)}: {error.strerror or error}.", error, path)


def _cured(text: str, error: OSError, path: Path) -> str:
    """A sentence with what helps, where a right is missing."""
    place = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else path
    helps = rights.cure(place) if error.errno == errno.EACCES else ""
    return f"{text} {shown(helps)}" if helps else text


def digest_of(data: bytes) -> str:
    """The SHA-256 of ``data`` in hex, as in :attr:`FileState.digest`."""
    return hashlib.sha256(data).hexdigest()


def stamp(path: Path | str | bytes) -> Stamp | None:
    """The stamp of a file, or of what a link leads to; None where nothing can be seen."""
    try:
        found = os.lstat(path)
        found = os.stat(path) if stat.S_ISLNK(found.st_mode) else found
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def read_regular(path: Path, limit: int | None = None) -> bytes:
    """The bytes of a regular file, at most the first ``limit``.

    Raises :class:`UnreadableError` for anything that is not a regular file (symlinks are not followed, pipes not waited
    for), for a missing right and for a read error; ``FileNotFoundError`` where nothing is there.
    """
    with open_regular(path) as (handle, status):
        return handle.read(-1 if limit is None else min(limit, status.st_size))  # so much memory is taken at once


def read_dated(path: Path) -> tuple[bytes, float]:
    """The bytes of a regular file, and its modification time in seconds. Raises as :func:`read_regular`."""
    with open_regular(path) as (handle, status):
        return handle.read(), status.st_mtime_ns / 1e9


def link_at(path: Path) -> str | None:
    """What a link says, None where there is none."""
    try:
        return os.readlink(path)
    except OSError:
        return None


def snapshot(path: Path, link: str | None = None) -> tuple[FileState, bytes]:
    """A regular file's state and bytes, from one read; ``link`` as for :func:`look`. Raises as :func:`read_regular`."""
    with open_regular(_behind(path, link)) as (handle, status):
        data = handle.read()
    return _state(status, digest_of(data), len(data)), data


def look(path: Path, link: str | None = None) -> FileState | None:
    """The state of a regular file, None where nothing is there. A link that says ``link`` stands for the file that it
    leads to. Otherwise raises as :func:`read_regular`.
    """
    try:
        with open_regular(_behind(path, link)) as (handle, status):
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
            return _state(status, digest, handle.tell())
    except FileNotFoundError:
        return None


def _behind(path: Path, link: str | None) -> Path:
    return Path(os.path.realpath(path)) if link is not None and link_at(path) == link else path


def replace_if_unchanged(
    path: Path,
    data: bytes,
    expected: str,
    *,
    link: str | None = None,
    mode: int | None = None,
    mtime_ns: int | None = None,
    keep: Keep | None = None,
    seen: FileState | None = None,
) -> None:
    """Put ``data`` in the place of a file whose SHA-256 is ``expected`` (hex), or of a link that says ``link`` and
    leads to such a file, which stays.

    The mode stays what it was unless ``mode`` says otherwise; ``mtime_ns`` None means now. ``seen``: as it was
    a moment ago, so that only what comes out of its place is looked at.
    Raises :class:`ChangedMeanwhileError` where the file is another or gone by now: it then holds the newest save of
    whoever changed it, also where that save came in the middle of this call; ``keep`` gets such a save.
    """
    old = seen or look(path, link)
    if old is None or old.digest != expected:
        raise _changed(path)
    try:
        with _written_temp(path, data, old.mode if mode is None else mode, mtime_ns) as temp:
            _swap_in(temp, path, expected, keep, link)
    except FileNotFoundError as error:
        raise _changed(path) from error


def replace_by_link(path: Path, link: str, expected: str, *, keep: Keep | None = None) -> None:
    """Put a link that says ``link`` in the place of a file whose SHA-256 is ``expected`` (hex). Raises as
    :func:`replace_if_unchanged`.
    """
    temp = temp_beside(path)
    os.symlink(link, temp)
    identity = _identity(os.lstat(temp))
    try:
        _swap_in(temp, path, expected, keep)
    except FileNotFoundError as error:
        raise _changed(path) from error
    finally:
        _unlink_if(temp, identity)


def create_exclusive(path: Path, data: bytes, *, mode: int | None = 0o600, mtime_ns: int | None = None) -> None:
    """Create a file that is not there. ``mode`` None: as the umask, or the access control list of the folder, has it.

    Raises ``FileExistsError`` where anything has that name by now. Where neither links exist nor a rename that spares
    what is there, the file is written in place, and a process that is killed meanwhile leaves a beginning of it, beside
    a temp that holds all of it.
    """
    with _written_temp(path, data, mode, mtime_ns) as temp:
        _give_name(temp, path)
    sync_folder(path.parent)


def write(path: Path, data: bytes, *, overwrite: bool, mode: int = 0o600) -> None:
    """Create a file, for its user alone where ``mode`` does not say otherwise. With ``overwrite`` one that is there is
    replaced, unless it changes meanwhile (ChangedMeanwhileError); without, the call raises ``FileExistsError``. An
    error of the system names a file.
    """
    try:
        there = look(path) if overwrite else None
        if there is None:
            create_exclusive(path, data, mode=mode)
        else:
            replace_if_unchanged(path, data, there.digest, mode=mode)
    except OSError as error:
        error.filename = error.filename or str(path)  # the disk can be full
        raise


def remove_if_unchanged(path: Path, expected: str, *, keep: Keep | None = None) -> None:
    """Remove a file whose SHA-256 is ``expected`` (hex).

    Raises :class:`ChangedMeanwhileError` where it is another by now (it stays, and ``keep`` gets one that came in the
    middle of this call), ``FileNotFoundError`` where it is gone.
    """
    old = look(path)
    if old is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    if old.digest != expected:
        raise _changed(path)
    aside = temp_beside(path)
    os.rename(path, aside)
    try:
        if not _holds(aside, expected):
            raise _changed(path)
        sync_folder(path.parent)
    except BaseException:
        came_out = _bytes_of(aside)
        with suppress(FileExistsError):  # yet a newer save has the name: it supersedes the one that was taken out
            _give_name(aside, path)
        _keep([came_out], expected, keep)
        aside.unlink(missing_ok=True)
        sync_folder(path.parent)
        raise
    aside.unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable, on systems that know such a thing."""
    if sys.platform == "win32":
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


@contextmanager
def open_regular(path: Path) -> Iterator[tuple[BufferedReader, os.stat_result]]:
    """A regular file, open for reading, and what it was when it was opened. Raises as :func:`read_regular`, also for
    what goes wrong while it is read.
    """
    try:
        # Opening a device can already do something, so the look comes first; the descriptor says what was opened.
        _require_regular(path, os.lstat(path))
        descriptor = os.open(path, _READ)
        try:
            status = os.fstat(descriptor)
            _require_regular(path, status)
            with open(descriptor, "rb", closefd=False) as handle:
                yield handle, status
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = "is a symbolic link" if error.errno == errno.ELOOP else f"cannot be read ({error.strerror})"
        raise UnreadableError(_cured(f"{shown(path)} {reason}.", error, path)) from error


def require_folder(path: Path | str) -> None:
    """Raises :class:`UnreadableError` for anything but a folder (a link to one is none), ``FileNotFoundError`` where
    nothing is there, ``OSError``."""
    _require(path, os.lstat(path), stat.S_IFDIR)


def _require_regular(path: Path, status: os.stat_result) -> None:
    _require(path, status, stat.S_IFREG)


_KINDS = {
    stat.S_IFREG: "a regular file",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
}


def _require(path: Path | str, status: os.stat_result, wanted: int) -> None:
    found = stat.S_IFMT(status.st_mode)
    if found != wanted:
        raise UnreadableError(f"{shown(path)} is {_KINDS.get(found, 'a device')}, not {_KINDS[wanted]}.")


def _state(status: os.stat_result, digest: str, size: int) -> FileState:
    return FileState(digest, size, stat.S_IMODE(status.st_mode), status.st_mtime_ns)


def _changed(path: Path) -> ChangedMeanwhileError:
    return ChangedMeanwhileError(f"{shown(path)} has changed since it was read; it was not changed by Hermes Rescue.")


def _holds(temp: Path, expected: str, link: str | None = None) -> bool:
    """Whether what was taken out of its name is what was expected there."""
    if link is not None and link_at(temp) != link:
        return False
    try:
        state = look(temp, link)
    except UnreadableError as error:
        if isinstance(error.__cause__, OSError):  # nobody knows; what is no file at all is certainly another
            raise
        return False
    # Hermes sweeps old temps away. A newer save is not old, so what has gone was the file that was looked at.
    return link is None if state is None else state.digest == expected


@contextmanager
def _written_temp(path: Path, data: bytes, mode: int | None, mtime_ns: int | None) -> Iterator[Path]:
    """A whole and synced temp beside ``path``. It is removed afterwards, unless its name came to hold another file."""
    temp = temp_beside(path)
    # While it grows it has yet another name: whoever finds a temp after a crash knows whether it is whole.
    part = temp.with_name(f"{temp.name}.part")
    identity = _write_new(part, data, mode, mtime_ns)
    try:
        os.rename(part, temp)
        yield temp
    finally:
        for name in (part, temp):
            _unlink_if(name, identity)


def _write_new(path: Path, data: bytes, mode: int | None, mtime_ns: int | None) -> _Identity:
    """Create ``path`` (``FileExistsError`` where something is there), write and sync it; all of it or nothing."""
    descriptor = os.open(path, _WRITE_NEW, 0o666 if mode is None else 0o600)
    identity = _identity(os.fstat(descriptor))
    target = descriptor if os.utime in os.supports_fd else path
    try:
        with open(descriptor, "wb") as handle:
            handle.write(data)
            handle.flush()
            if mode is not None:
                os.chmod(target, mode)  # as it is meant, whatever the umask
            if mtime_ns is not None:
                os.utime(target, ns=(mtime_ns, mtime_ns))
            os.fsync(descriptor)
    except BaseException:
        _unlink_if(path, identity)
        raise
    return identity


def _identity(status: os.stat_result) -> _Identity:
    return status.st_dev, status.st_ino


def _unlink_if(path: Path, identity: _Identity) -> None:
    with suppress(FileNotFoundError):
        if _identity(os.lstat(path)) == identity:
            path.unlink()


def _give_name(source: Path, path: Path) -> None:
    """Give what is at ``source`` the name ``path``; it may lose its own. ``FileExistsError`` where that is taken."""
    try:
        os.link(source, path)
        return
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
    try:
        _rename_to_free(source, path)
    except OSError as error:
        if error.errno not in _NO_EXCHANGE:
            raise
        state, data = snapshot(source)
        _write_new(path, data, state.mode, state.mtime_ns)


def _swap_in(temp: Path, path: Path, expected: str, keep: Keep | None, link: str | None = None) -> None:
    """Exchange the two names, keep it so where ``expected`` came out, else undo it. The temp's name is free afterwards,
    unless an error left in it what belongs to somebody else."""
    if sys.platform != "linux":
        _replace_after_look(temp, path, expected, link)
        return
    with ExitStack() as pins:
        placed = _pinned(temp, pins)
        try:
            _exchange(temp, path)
        except OSError as error:
            if error.errno not in _NO_EXCHANGE:
                raise
            _replace_after_look(temp, path, expected, link)
            return
        try:
            if not _holds(temp, expected, link):
                raise _changed(path)
            sync_folder(path.parent)
        except BaseException:
            _keep(_swap_back(temp, path, placed, pins), expected, keep)
            temp.unlink()
            sync_folder(path.parent)
            raise
        temp.unlink(missing_ok=True)


def _swap_back(temp: Path, path: Path, placed: _Identity, pins: ExitStack) -> list[bytes | None]:
    """Give ``path`` back what came out of it into ``temp``, and return the bytes of all that came out.

    ``placed`` is what was put there instead. If something else comes out now, that is a save which landed in between
    and is newer than the one just put back: it goes in again, until nothing newer comes out.
    """
    came_out: list[bytes | None] = []
    while True:
        newest = _pinned(temp, pins)
        came_out.append(_bytes_of(temp))
        try:
            _exchange(temp, path)
        except FileNotFoundError:  # they removed the file meanwhile, and so it stays
            break
        if _pinned(temp, pins) == placed:
            break
        placed = newest
    return came_out


def _bytes_of(path: Path) -> bytes | None:
    try:
        return read_regular(path)
    except (UnreadableError, FileNotFoundError):
        return None


def _keep(came_out: list[bytes | None], expected: str, keep: Keep | None) -> None:
    for data in came_out:
        if keep is not None and data is not None and digest_of(data) != expected:
            keep(data)


def _replace_after_look(temp: Path, path: Path, expected: str, link: str | None) -> None:
    """The closest thing where names cannot be exchanged: a last look right before the replacement."""
    state = look(path, link)
    if state is None or state.digest != expected:
        raise _changed(path)
    os.replace(temp, path)
    sync_folder(path.parent)


def _pinned(path: Path, pins: ExitStack) -> _Identity:
    """The identity of whatever is at ``path``, which no other file can get before ``pins`` closes."""
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    pins.callback(os.close, descriptor)
    return _identity(os.fstat(descriptor))


def _exchange(one: Path, other: Path) -> None:
    """Exchange two names in one step. Raises :class:`OSError`, ENOSYS where the system has no such call."""
    _renameat2(one, other, _RENAME_EXCHANGE)


def _rename_to_free(source: Path, path: Path) -> None:
    """Rename in one step, never over anything. Raises as :func:`_exchange`, and ``FileExistsError``."""
    _renameat2(source, path, _RENAME_NOREPLACE)


@cache
def _system_library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _renameat2(one: Path, other: Path, flags: int) -> None:
    try:
        renameat2 = _system_library().renameat2
    except (AttributeError, TypeError):  # TypeError: Windows has no such library
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from None
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), ctypes.c_uint(flags)):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(other))
