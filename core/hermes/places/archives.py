"""Archives of a home, unpacked where only this program looks.

What an archive says of itself is never trusted: names become no paths, links and devices are passed over, sizes are
counted while they are unpacked, and there must be room.
"""

from __future__ import annotations

import lzma
import os
import re
import shutil
import stat
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from hermes_rescue.core.base.files import shown
from hermes_rescue.core.base.words import counted, plural, some_of
from hermes_rescue.core.hermes.places.forms import LARGEST

MOST_MEMBERS = 100_000
"""Members of one archive that are looked at."""

PASSED_OVER = frozenset(
    {"rescue", "node_modules", ".git", ".worktrees", "attachments", "_run_journal", "_turn_journal"}
)
"""Folders in which no session files are: the vault of this program has copies of its own kind, and the journals are no
transcripts."""

_ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
_WANTED = re.compile(r"\.jsonl?(?![0-9A-Za-z])|\.json\b|\.db\b|(?:^|/)state\.db", re.IGNORECASE)
_PART = re.compile(r"[^0-9A-Za-z._ ()'-]")
_BLOCK = 2**20
_SPARED = 256 * 2**20
"""Bytes of the disk that stay free."""

_RATIO, _SMALL = 200, 64 * 2**20
"""How many times its packed size a member of more than so many bytes may have: what is more is a bomb."""

_LARGEST_DATABASE = 2**36

_LINKED = "links and devices in it are passed over"
_MOST_TOLD = 5
"""Problems of one archive that a person is told."""


class Unpacked(NamedTuple):
    """A file of an archive: where it lies now, its name in the archive, and when it was changed (seconds)."""

    path: Path
    name: str
    changed: float


class _Member(NamedTuple):
    name: str
    size: int
    packed: int | None
    checksum: int | None
    changed: float
    open: Callable[[], IO[bytes] | None]


class ArchiveError(Exception):
    """An archive cannot be unpacked, or not in full; the text says why."""


def is_archive(path: Path) -> bool:
    """Whether the name of a file is that of an archive."""
    return _is_archive_name(path.name)


def _is_archive_name(name: str) -> bool:
    return name.lower().endswith(_ENDINGS)


def not_read(names: Sequence[str]) -> str:
    """That these archives, which lie in a place, are not read, and what helps."""
    is_not, them = plural(len(names), "is not", "are not"), plural(len(names), "it", "them")
    return f"the {plural(len(names), 'archive')} in it ({some_of(names)}) {is_not} read; unpack {them}"


def is_packed(path: Path) -> bool:
    """Whether a file is an archive by what is in it."""
    try:
        return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError):
        return False


def may_hold_sessions(name: str) -> bool:
    """Whether a file of this name may hold sessions."""
    return _WANTED.search(name) is not None and not name.startswith(("_", "."))


def sizes_in(archive: Path) -> Mapping[str, int]:
    """The names and sizes of the files in a zip, as its list has them; of those of one name the largest. Of another
    archive none, which would have to be unpacked.
    """
    sizes: dict[str, int] = {}
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                for info in packed.infolist()[:MOST_MEMBERS]:
                    name = PurePosixPath(info.filename).name
                    sizes[name] = max(info.file_size, sizes.get(name, 0))
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        pass
    return sizes


def unpack(archive: Path, folder: Path, wanted: Callable[[str], bool] = lambda _: True) -> Iterator[Unpacked]:
    """The files of an archive that may hold sessions and are ``wanted`` by their names, each as it is unpacked into a
    folder of its own in ``folder``. Raises ArchiveError at the end where not all could be had.
    """
    problems: list[str] = []
    inner_archives: list[str] = []
    places: dict[str, Path] = {}
    try:
        for k, member in enumerate(_members(archive, problems)):
            if k >= MOST_MEMBERS:
                problems.append(f"it has more than {MOST_MEMBERS} members")
                break
            name = member.name.replace("\\", "/")
            base = _PART.sub("_", PurePosixPath(name).name)[:150]
            parent = PurePosixPath(name).parent
            is_inner = _is_archive_name(base)
            if not PASSED_OVER.isdisjoint(parent.parts) or not (is_inner or may_hold_sessions(base)):
                continue
            if not wanted(base):
                continue
            if is_inner:
                inner_archives.append(name)
                continue
            inner = str(parent)
            target = places.setdefault(inner, folder / str(len(places)))
            target.mkdir(mode=0o700, exist_ok=True)
            path = target / base
            if not path.exists() and _write(member, path, problems):
                yield Unpacked(path, name, member.changed)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError, RuntimeError, ValueError):
        problems.append("it is damaged")
    except NotImplementedError:
        problems.append("it is packed in a way that is not known here")
    if inner_archives:
        problems.append(not_read(inner_archives))
    if problems:
        raise ArchiveError(f"{shown(archive)} was not read in full: {_in_words(problems)}.")


def _in_words(problems: Sequence[str]) -> str:
    """What was wrong, each once; of many the first, for a hostile archive can have as many as members."""
    found = [*dict.fromkeys(problems)]
    more = [f"and {counted(n, 'more problem')}"] if (n := len(found) - _MOST_TOLD) > 0 else []
    return "; ".join((*found[:_MOST_TOLD], *more))


def _members(archive: Path, problems: list[str]) -> Iterator[_Member]:
    yield from _in_zip(archive, problems) if zipfile.is_zipfile(archive) else _in_tar(archive, problems)


def _in_zip(archive: Path, problems: list[str]) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as packed:
        for info in packed.infolist():
            if info.is_dir():
                continue
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
                problems += _passed_over(info.filename)
                continue
            if info.flag_bits & 1:
                problems.append("it is encrypted")
                continue
            sizes = info.file_size, info.compress_size
            yield _Member(info.filename, *sizes, info.CRC, _time(info), partial(packed.open, info))


def _in_tar(archive: Path, problems: list[str]) -> Iterator[_Member]:
    with tarfile.open(archive) as packed:
        for info in packed:
            if info.isreg():
                yield _Member(info.name, info.size, None, None, info.mtime, partial(packed.extractfile, info))
            elif not info.isdir():
                problems += _passed_over(info.name)


def _passed_over(name: str) -> list[str]:
    """What is said of a link or device: something only where it is called like a session."""
    return [_LINKED] if may_hold_sessions(PurePosixPath(name).name) else []


def _time(info: zipfile.ZipInfo) -> float:
    try:
        return time.mktime((*info.date_time, 0, 0, -1))
    except (OverflowError, ValueError):
        return 0.0


def _write(member: _Member, path: Path, problems: list[str]) -> bool:
    """Unpack one member; not where it is too large, or there is no room for it."""
    limit = _LARGEST_DATABASE if ".db" in path.name else LARGEST
    if member.size > limit or (member.packed is not None and member.size > max(_SMALL, _RATIO * member.packed)):
        problems.append(f"{member.name!r:.80} is far too large")
        return False
    if shutil.disk_usage(path.parent).free < member.size + _SPARED:
        problems.append(f"there is no room to unpack {member.name!r:.80} in {shown(path.parent)}")
        return False
    written = checksum = 0
    is_whole = True
    try:
        source = member.open()
        if source is None:
            return False
        vars(source)["_expected_crc"] = None  # else the end of what is damaged could not be read
        with source, open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as target:
            while block := source.read(_BLOCK):
                written += len(block)
                if written > member.size:
                    raise zipfile.BadZipFile
                checksum = zlib.crc32(block, checksum)
                target.write(block)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError, RuntimeError):
        is_whole = False
    if not is_whole or member.checksum not in (None, checksum):
        problems.append(f"{member.name!r:.80} is damaged (what is whole of it was read)")
    if not written:
        path.unlink(missing_ok=True)
        return False
    changed = member.changed if 0 < member.changed < 1e11 else 0.0
    os.utime(path, (changed, changed))
    return True
