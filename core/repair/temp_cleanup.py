"""The temps that a process left in the sessions folder when it died in the middle of a run, put in order.

Before a temp goes, the vault has what it holds, and the file beside which it lies has what belongs there. Two things
may have been cut off half-way (see :mod:`core.base.files`): a creation in place, which leaves a beginning of the temp
under the file's name and is completed; and the return of somebody's newer save, which is then in the temp.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from hermes_rescue.core.base import files, own_temps
from hermes_rescue.core.base.errors import RescueError
from hermes_rescue.core.base.files import FileState
from hermes_rescue.core.base.own_temps import OwnTemp
from hermes_rescue.core.repair import run_record
from hermes_rescue.core.repair.run_record import Operation, Run

Runs: TypeAlias = Callable[[], Iterable[Run]]
"""Reads all runs of a vault; asked only where there are temps at all."""


def clear(folder: Path, sessions_dir: Path, run: Run, all_runs: Runs) -> None:
    """Put the temps of one run in order; ``folder`` is the run's own, ``all_runs`` are those of its vault.

    The caller holds the vault, so whoever made a temp has ended. What fails leaves its temp until the next time: no
    file that Hermes reads depends on it.
    """
    for temp, name, maker in _temps(sessions_dir, all_runs):
        on_target = [operation for operation in run.operations if operation.path == temp.target]
        if on_target and maker == run.run_id:
            with suppress(RescueError, OSError):
                is_link = files.link_at(sessions_dir / name) in _links(on_target)
                if not temp.partial and not is_link:  # what a link says is on record
                    _settle(folder, sessions_dir / name, sessions_dir / temp.target, on_target)
                (sessions_dir / name).unlink()


def makers(sessions_dir: Path, all_runs: Runs) -> set[str]:
    """The ids of the runs that have left temps."""
    return {maker for _, _, maker in _temps(sessions_dir, all_runs) if maker is not None}


def _temps(sessions_dir: Path, all_runs: Runs) -> Iterator[tuple[OwnTemp, str, str | None]]:
    """Each temp in a folder, its name, and the id of the run that it is from, where that is known."""
    temps = [
        (temp, name) for name in sorted(os.listdir(sessions_dir)) if (temp := own_temps.own_temp(name)) is not None
    ]
    turns = [(turn.pid, turn.number, each.run_id) for each in all_runs() for turn in each.turns] if temps else []
    for temp, name in temps:
        yield temp, name, _made_by(temp, turns)


def _made_by(temp: OwnTemp, turns: Iterable[tuple[int, int, str]]) -> str | None:
    """The id of the run that its process had taken up last by then. Process ids come again, but numbers only grow."""
    before = ((number, run_id) for pid, number, run_id in turns if pid == temp.pid and number < temp.number)
    return max(before, default=(0, None))[1]


def _settle(folder: Path, path: Path, target: Path, on_target: Sequence[Operation]) -> None:
    last = on_target[-1]
    state, data = files.snapshot(path)
    run_record.keep_aside(folder, last, data)
    link = files.link_at(target)
    link = link if link in _links(on_target) else None
    there = files.look(target, link)
    known = {digest for operation in on_target for digest in (operation.digest_before, operation.after)}
    if state.digest in known:
        if last.action != "replace" and there is not None:
            _complete(target, there, state, data)
    elif (there.digest if there else None) in known:
        if last.state == "planned":
            run_record.note_outcome(folder, last, "skipped", "A newer save was there; it was put back.")
        if there is None:
            files.create_exclusive(target, data, mode=state.mode, mtime_ns=state.mtime_ns)
        else:
            run_record.keep_aside(folder, last, files.snapshot(target, link)[1])
            files.replace_if_unchanged(target, data, there.digest, link=link, mode=state.mode, mtime_ns=state.mtime_ns)


def _links(operations: Sequence[Operation]) -> set[str]:
    return {operation.link for operation in operations if operation.link is not None}


def _complete(target: Path, there: FileState, whole: FileState, data: bytes) -> None:
    """Make all of ``data`` of a file that is only a beginning of it, or has not yet its mode and time."""
    if there != whole and data.startswith(files.read_regular(target)):
        files.replace_if_unchanged(target, data, there.digest, mode=whole.mode, mtime_ns=whole.mtime_ns)
