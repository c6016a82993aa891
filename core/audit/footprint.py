"""What shows without reading that a store may have changed: identity, size and time of each of its files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from hermes_rescue.core.audit import left
from hermes_rescue.core.hermes import held_up, left_out
from hermes_rescue.core.hermes.store import Store

Footprint: TypeAlias = Mapping[str, tuple[int, int, int]]
"""Path -> inode, size in bytes, and time of the last change of contents (ns)."""


def footprint(store: Store) -> Footprint:
    """That of a store: everything below its sessions folder, its databases with their logs, what a person left as it
    is or out, and what was held up. Of other places only the names. What cannot be seen is as if it were not there.
    """
    found: dict[str, tuple[int, int, int]] = {}
    databases = (Path(f"{path}{end}") for path in store.databases for end in ("", "-wal", "-journal"))
    root = store.vault_root
    decided = left.path_of(store), left_out.path_of(root), held_up.path_of(root)
    for path in (*decided, *databases, *store.other_session_dirs, *store.also):
        with suppress(OSError):
            found[os.fspath(path)] = _stamp(os.stat(path))
    for entry in _below(store.sessions_dir):
        with suppress(OSError):
            found[entry.path] = _stamp(entry.stat(follow_symlinks=False))
    return found


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _below(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Everything in a folder and in the folders in it; links are not followed."""
    folders = [os.fspath(folder)]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
