"""How large a vault is, and the end of its old runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from hermes_rescue.core.repair.vault import Vault

KEPT_RUNS = 10
"""The newest runs, which stay whatever their age."""

_GONE = ".gone-"


def size_of(folder: Path) -> int:
    """The bytes of all files in a folder; what cannot be looked at counts nothing. Reads none of them."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except OSError:
                continue
    return total


def prunable(vault: Vault, before: float) -> tuple[str, ...]:
    """The runs that began before a time (seconds since 1970), have ended and are none of the newest, newest first. An
    undo of any other run needs nothing of them.
    """
    old = (vault.read_run_or_none(run_id) for run_id in vault.run_ids()[KEPT_RUNS:])
    ended = (run for run in old if run is not None and run.status in ("finished", "undone"))
    return tuple(run.run_id for run in ended if run.created_at < before)


def prune(vault: Vault, run_ids: Iterable[str]) -> int:
    """Delete what runs have kept; they cannot be undone afterwards. Returns how many are gone.

    A run is no run from the first moment on, so one that is half deleted is never offered. Raises BusyError, OSError.
    """
    runs = vault.runs_folder
    count = 0
    with vault.lock():
        for run_id in run_ids:
            os.rename(runs / run_id, runs / f"{_GONE}{run_id}")
            count += 1
        for name in os.listdir(runs) if runs.is_dir() else ():
            if name.startswith(_GONE):
                shutil.rmtree(runs / name, ignore_errors=True)
    return count
