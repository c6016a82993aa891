"""Whether a disk has room for what a run keeps and writes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from hermes_rescue.core.base import files
from hermes_rescue.core.base.errors import VaultError

LEAST, MOST = 1 << 20, 64 << 20
"""Bytes that a run leaves free at least and at most, so that Hermes can go on writing: a quarter of what it needs. Full
disks are where losses come from, so it asks for no more than that."""

_FILES_A_SESSION = 3
"""Those that are kept of a session, and its new one."""

_FILES_A_RUN = 8
_RECORDS = 16 << 10  # bytes a session: its lines in manifest and journal, and whole blocks of what is kept


def require(place: Path, bytes_needed: int, sessions: int) -> None:
    """Raises :class:`VaultError` where the disk of ``place`` has not that much room and some reserve, or too few files
    left for so many sessions; ``OSError``.
    """
    bytes_needed += _RECORDS * sessions
    wanted = bytes_needed + min(max(bytes_needed // 4, LEAST), MOST)
    free = shutil.disk_usage(place).free
    if free < wanted:
        raise VaultError(
            f"The disk of {files.shown(place)} has {_mib(free)} MiB free, but {_mib(wanted)} MiB are needed to keep"
            " what is replaced and to write what takes its place. Free some space and try again; nothing was changed."
        )
    if not hasattr(os, "statvfs"):
        return
    status = os.statvfs(place)
    entries = _FILES_A_RUN + _FILES_A_SESSION * sessions
    if status.f_files and status.f_favail < entries:  # a file system that makes them as needed says 0
        raise VaultError(
            f"The disk of {files.shown(place)} has room for {status.f_favail} more files, but {entries} are needed (No"
            " space left on device). Remove some files and try again; nothing was changed."
        )


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.1f}"
