"""Operations of a run taken back: which ones still stand, and how their files become what they were."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from hermes_rescue.core.base import files
from hermes_rescue.core.base.errors import ChangedMeanwhileError, RescueError
from hermes_rescue.core.repair import run_record
from hermes_rescue.core.repair.run_record import Operation, Run, State


def newest_first_of(run: Run) -> dict[str | None, list[Operation]]:
    """What a run may have changed of each session, None being the index."""
    found: dict[str | None, list[Operation]] = {}
    for operation in reversed(run.operations):
        if operation.may_have_changed:
            found.setdefault(operation.session_id, []).append(operation)
    return found


def undo_steps(folder: Path, sessions_dir: Path, newest_first: Sequence[Operation]) -> list[tuple[Operation, bool]]:
    """The operations that an undo takes back together, and whether each stands in its file. Raises RescueError where a
    file is another by now, or what was kept of it is."""
    now: dict[str, str | None] = {}
    steps: list[tuple[Operation, bool]] = []
    for operation in newest_first:
        if not operation.may_stand:
            continue
        if operation.after == operation.digest_before:  # nothing was done to the file
            steps.append((operation, False))
            continue
        path = sessions_dir / operation.path
        found = now[operation.path] if operation.path in now else digest_at(path, operation.link)
        stands = found == operation.after and found != operation.digest_before
        if stands:
            if operation.before is not None:
                run_record.kept_bytes(folder, operation)
        elif operation.state == "failed":
            continue
        elif found != operation.digest_before:
            raise ChangedMeanwhileError(f"{files.shown(path)} has changed since the run; an undo leaves it as it is.")
        now[operation.path] = operation.digest_before if stands else found
        steps.append((operation, stands))
    return steps


def undo_together(
    folder: Path,
    sessions_dir: Path,
    newest_first: Sequence[Operation],
    note_outcome: Callable[[Operation, State], object],
) -> str | None:
    """Undo operations that belong together: all are checked before one is undone. Returns why not, or None."""
    path = sessions_dir
    try:
        for operation, stands in undo_steps(folder, sessions_dir, newest_first):
            path = sessions_dir / operation.path
            if stands:
                revert(folder, path, operation)
            note_outcome(operation, "undone")
    except (RescueError, OSError) as error:
        return files.sentence(error, path)
    return None


def revert(folder: Path, path: Path, operation: Operation) -> None:
    """Give the file of an operation back what it was; it holds what the operation made of it."""
    before, after = operation.before, operation.after
    aside = partial(run_record.keep_aside, folder, operation)
    if after is not None:
        aside(files.read_regular(path))
    if before is None:
        files.remove_if_unchanged(path, str(after), keep=aside)
    elif after is None:
        files.create_exclusive(
            path, run_record.kept_bytes(folder, operation), mode=before.mode, mtime_ns=before.mtime_ns
        )
    elif operation.link is not None:
        files.replace_by_link(path, operation.link, after, keep=aside)
    else:
        data = run_record.kept_bytes(folder, operation)
        files.replace_if_unchanged(path, data, after, mode=before.mode, mtime_ns=before.mtime_ns, keep=aside)


def digest_at(path: Path, link: str | None) -> str | None:
    """The SHA-256 of a file, None where there is none; ``link``: of a link that says so, that of what it leads to."""
    state = files.look(path, link)
    return state.digest if state else None
