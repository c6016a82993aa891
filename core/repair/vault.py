"""The vault: what a run replaced, kept; and the undo of runs.

A run is begun with :meth:`Vault.begin_run`, and its :class:`ActiveRun` is the one door through which files change: it
keeps a verified copy of the old bytes and puts the intent on record before it touches a file, and the outcome after. So
a run that died anywhere can be undone (:meth:`Vault.undo`) or closed as it is (:meth:`Vault.finish_run`), by another
process, at any time, and again if that died too. The layout of a run's folder is that of :mod:`core.repair.run_record`.
Folders in the vault are 0700 and files 0600, whatever the umask.
"""

from __future__ import annotations

import calendar
import itertools
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from hermes_rescue.core.base import files
from hermes_rescue.core.base.errors import ChangedMeanwhileError, RescueError, UnreadableError, VaultError
from hermes_rescue.core.base.owner import usual_mode
from hermes_rescue.core.base.private_folder import make_private
from hermes_rescue.core.hermes import left_out
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.repair import put_back, room, run_record, temp_cleanup, vault_lock
from hermes_rescue.core.repair.run_record import Action, Operation, Run, State, Status

APPEARED = "sidecar_appeared_during_reconcile"
"""The note of a creation that was skipped because the file was there by then."""

_RUNS = "runs"
_RUN_ID = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-([0-9a-f]+)", re.ASCII)
_TICKS = 1 << 24  # a second

_Change = Callable[[Path, Operation], object]
"""Changes the file of an operation that is on record."""


@dataclass(frozen=True, slots=True)
class UndoResult:
    """What an undo came to.

    ``undone`` are the sessions that are as they were before the run; ``refused`` gives a reason for each that is not.
    ``index_stale`` asks for the index to be rebuilt: it was not put back, or no longer fits; ``index_problem`` says why
    that was not possible. ``left`` are the sessions that were not begun, since the caller asked to stop.
    """

    run_id: str
    undone: tuple[str, ...]
    refused: Mapping[str, str]
    index_stale: bool
    left: tuple[str, ...] = ()
    index_problem: str = ""


@dataclass(frozen=True, slots=True)
class Vault:
    """The vault of one sessions folder. ``root`` is its own folder, ``<state dir>/rescue``."""

    root: Path
    sessions_dir: Path

    @classmethod
    def of(cls, store: Store) -> Vault:
        """That of a store."""
        return cls(store.vault_root, store.sessions_dir)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the vault for this thread, which may take it again inside; creates the vault where there is none.

        Raises :class:`BusyError` while anybody else holds it, :class:`VaultError` where it cannot be locked.
        """
        with ExitStack() as cleanup:
            with _vault_errors(self.root):
                _private_folder(self.root)
                cleanup.enter_context(vault_lock.held(self.root))
            yield

    @property
    def runs_folder(self) -> Path:
        """Where the folders of the runs are."""
        return self.root / _RUNS

    def list_runs(self) -> tuple[Run, ...]:
        """All runs, newest first. One that cannot be read has a ``problem`` and stops nothing. Creates nothing."""
        return tuple(self.runs())

    def runs(self) -> Iterator[Run]:
        """The same, each read when it is asked for: there can be thousands."""
        with _vault_errors(self.root):
            locked = vault_lock.is_held(self.root)
            for name in self.run_ids():
                yield self._read(name, locked=locked)

    def read_run_or_none(self, run_id: str) -> Run | None:
        """One run, None where it cannot be read. Creates nothing."""
        run = self._read(run_id, locked=vault_lock.is_held(self.root))
        return None if run.problem else run

    def open_runs(self) -> tuple[Run, ...]:
        """Those of all runs that have not ended: they died, or are going on. What the others did is not read."""
        with _vault_errors(self.root):
            locked = vault_lock.is_held(self.root)
            names = [name for name in self.run_ids() if run_record.is_running(self.root / _RUNS / name)]
            runs = (self._read(name, locked=locked) for name in names)
            return tuple(run for run in runs if run.status in ("interrupted", "running"))

    def read_run(self, run_id: str) -> Run:
        """One run. Raises :class:`VaultError` where there is none, or none that can be read. Creates nothing."""
        return self._readable(run_id, locked=vault_lock.is_held(self.root))

    @contextmanager
    def begin_run(self, stores: Sequence[Path], bytes_needed: int, sessions: int = 0) -> Iterator[ActiveRun]:
        """A run for the changes made inside ``with``; finished at its end, and left to be undone where an error ends
        it.

        ``bytes_needed`` is what will be kept and written, of so many ``sessions``. ``stores`` are put on record for
        people to read. Raises :class:`BusyError`, and :class:`VaultError` where the disk has no room for it, or the
        vault cannot be written.
        """
        with self.lock():
            with _vault_errors(self.root):
                for place in (self.root, self.sessions_dir):
                    room.require(place, bytes_needed, sessions)
                for run_id in temp_cleanup.makers(self.sessions_dir, self.list_runs):
                    self._taken_up(run_id)
                folder = self._new_run_folder(stores)
            yield ActiveRun(folder, self.sessions_dir)
            with _vault_errors(self.root):
                self._finish(folder)

    @contextmanager
    def finish_run(self, run_id: str) -> Iterator[Run]:
        """Close a run that died: what it did stays and can be undone later. The run comes with the outcome of each
        change known; it counts as finished at the end of the ``with``, where what it left open has been done.

        Raises :class:`BusyError`, and :class:`VaultError` where it cannot be read or written.
        """
        with self.lock():
            with _vault_errors(self.root):
                folder, run = self._taken_up(run_id)
                for operation in run.operations:
                    if operation.state == "planned":
                        now = put_back.digest_at(self.sessions_dir / operation.path, operation.link)
                        if now == operation.after:
                            run_record.note_outcome(folder, operation, "done")
                        elif now == operation.digest_before:
                            run_record.note_outcome(folder, operation, "skipped", "The run ended before this was done.")
                        else:
                            run_record.note_outcome(folder, operation, "failed", "The file has changed since the run.")
                run = self._readable(run_id, locked=True)
            yield run
            with _vault_errors(self.root):
                self._finish(folder)

    def undo(
        self, run_id: str, session_id: str | None = None, should_cancel: Callable[[], bool] | None = None
    ) -> UndoResult:
        """Put back what a run changed, or what it changed of one session. Can be repeated, also after it died half-way,
        or was cancelled between two sessions.

        A session whose files are no longer what the run left is refused as a whole, before any of them is touched. Also
        clears away what the processes of this run left half-done. Until it is through, a finished run counts as one
        that is going on, so that an undo that died is found like a repair that died. Raises :class:`BusyError`, and
        :class:`VaultError` where the run cannot be read, does not know the session, or cannot be put on record.
        """
        with self.lock(), _vault_errors(self.root):
            folder, run = self._taken_up(run_id)
            of_session = put_back.newest_first_of(run)
            of_index = of_session.pop(None, [])
            if session_id is not None:
                if session_id not in of_session:
                    raise VaultError(f"The run {run_id} has not changed this session.")
                of_session = {session_id: of_session[session_id]}
            if run.status == "finished":
                run_record.write(folder, replace(run, status="running"))
            note = partial(run_record.note_outcome, folder)
            undone: list[str] = []
            refused: dict[str, str] = {}
            left = [each for each in of_session if each is not None]
            while left and not (should_cancel is not None and should_cancel()):
                each = left.pop(0)
                reason = put_back.undo_together(folder, self.sessions_dir, of_session[each], note)
                if reason is None:
                    undone.append(each)
                else:
                    refused[each] = reason
            whole = session_id is None and not (refused or left)
            left_out.forget(self.root, run_id, None if whole else undone)
            index_stale = any(operation.may_stand for operation in of_index) and not (
                whole and put_back.undo_together(folder, self.sessions_dir, of_index, note) is None
            )
            if whole or run.status == "finished":
                status: Status = "undone" if whole else "finished"
                run_record.write(folder, replace(self._readable(run_id, locked=True), status=status))
            return UndoResult(run_id, tuple(undone), refused, index_stale, tuple(left))

    def undo_refusals(self, run: Run) -> Iterator[tuple[str, str | None]]:
        """Each session that a run may have changed, with the reason why :meth:`Vault.undo` would refuse it now, or
        None. Changes nothing; the files are read as the iteration goes on."""
        folder = self.root / _RUNS / run.run_id
        for session_id, operations in put_back.newest_first_of(run).items():
            if session_id is None:
                continue
            try:
                put_back.undo_steps(folder, self.sessions_dir, operations)
            except RescueError as error:
                yield session_id, str(error)
            else:
                yield session_id, None

    def kept(self, run: Run, operation: Operation) -> bytes:
        """What the file of an operation held before the run changed it, checked; raises :class:`VaultError` where it
        was not kept, or is not what was kept."""
        if operation.kept is None:
            raise VaultError(f"The run {run.run_id} has kept nothing of {files.shown(operation.path)}.")
        return run_record.kept_bytes(self.root / _RUNS / run.run_id, operation)

    def _taken_up(self, run_id: str) -> tuple[Path, Run]:
        """A run that this process may go on with, cleared of what died with the ones before. The lock is held."""
        if not self.sessions_dir.is_dir():
            raise VaultError(f"There is no sessions folder {files.shown(self.sessions_dir)}.")
        run = self._readable(run_id, locked=True)
        folder = self.root / _RUNS / run_id
        run_record.take_up(folder)
        temp_cleanup.clear(folder, self.sessions_dir, run, self.list_runs)
        return folder, self._readable(run_id, locked=True)

    def run_ids(self) -> list[str]:
        """The names of all runs, newest first."""
        try:
            return sorted(filter(run_record.is_run_id, os.listdir(self.root / _RUNS)), reverse=True)
        except FileNotFoundError:
            return []

    def _new_run_folder(self, stores: Sequence[Path]) -> Path:
        """A folder for a new run, with its manifest. It gets its name when it is complete."""
        runs = self.root / _RUNS
        _private_folder(runs)
        now = time.time()
        newest = next((at for name in self.run_ids() if (at := _ticks_of(name)) is not None), 0)
        folder = runs / _run_id(max(int(now * _TICKS), newest + 1))  # a clock that was set back counts for nothing
        draft = runs / ".new"
        shutil.rmtree(draft, ignore_errors=True)
        _private_folder(draft)
        _private_folder(draft / run_record.KEPT)
        files.create_exclusive(draft / run_record.JOURNAL, b"")
        paths = tuple(str(store) for store in stores)
        run_record.write(draft, Run(folder.name, now, None, paths, "running", (run_record.this_turn(),), ()))
        os.rename(draft, folder)
        files.sync_folder(runs)
        return folder

    def _finish(self, folder: Path) -> None:
        run = self._readable(folder.name, locked=True)
        if run.status == "running":  # and not undone as a whole meanwhile
            run_record.write(folder, replace(run, status="finished", finished_at=time.time()))

    def _read(self, run_id: str, *, locked: bool) -> Run:
        return run_record.read(self.root / _RUNS / run_id, locked=locked)

    def _readable(self, run_id: str, *, locked: bool) -> Run:
        if not run_record.is_run_id(run_id):
            raise VaultError(f"{files.shown(run_id)} is not the id of a run.")
        run = self._read(run_id, locked=locked)
        if run.problem:
            raise VaultError(run.problem)
        return run


class ActiveRun:
    """A run that is going on. Each change is one file in the sessions folder, and never raises for that file: what came
    of it is in the :class:`Operation` that comes back (``done``; ``skipped``: it is no longer what was looked at;
    ``failed``), with a reason in its note. Only :class:`VaultError` is raised: without a vault nothing may be changed.
    Several threads may change files of different sessions at the same time.
    """

    def __init__(self, folder: Path, sessions_dir: Path) -> None:
        self.run_id = folder.name
        self._folder = folder
        self._root = folder.parent.parent
        self._sessions_dir = sessions_dir
        self._usual_mode = usual_mode(sessions_dir)
        self._journal = run_record.Journal(folder)
        self._kept = itertools.count(1)
        self._of: dict[str | None, list[Operation]] = {}  # the operations of a session so far

    def replace(
        self,
        session_id: str | None,
        name: str,
        data: bytes,
        expected: str,
        *,
        info: Mapping[str, str | int] | None = None,
        mtime_ns: int | None = None,
        digest: str | None = None,
    ) -> Operation:
        """Put ``data`` in the place of the file ``name`` while its SHA-256 is ``expected`` (hex). Where the name is a
        link, that is replaced, as the WebUI does it, and not what it leads to. ``digest``: that of ``data``, where the
        caller knows it.
        """
        draft = self._draft("replace", session_id, name, digest or files.digest_of(data), info)

        def change(path: Path, operation: Operation) -> None:
            link, keep, seen = operation.link, self._aside(operation), operation.before
            files.replace_if_unchanged(path, data, expected, link=link, mtime_ns=mtime_ns, keep=keep, seen=seen)

        return self._carry_out(draft, expected, change)

    def create(
        self,
        session_id: str | None,
        name: str,
        data: bytes,
        *,
        info: Mapping[str, str | int] | None = None,
        mtime_ns: int | None = None,
        digest: str | None = None,
    ) -> Operation:
        """Create the file ``name``; skipped, with the note :data:`APPEARED`, where it is there by now. ``digest`` as
        for :meth:`replace`.
        """
        draft = self._draft("create", session_id, name, digest or files.digest_of(data), info)
        create = partial(files.create_exclusive, mode=self._usual_mode, mtime_ns=mtime_ns)
        return self._carry_out(draft, None, lambda path, _: create(path, data))

    def remove(
        self, session_id: str | None, name: str, expected: str, *, info: Mapping[str, str | int] | None = None
    ) -> Operation:
        """Move the file ``name`` into the vault while its SHA-256 is ``expected`` (hex)."""
        draft = self._draft("remove", session_id, name, None, info)
        return self._carry_out(
            draft,
            expected,
            lambda path, operation: files.remove_if_unchanged(path, expected, keep=self._aside(operation)),
        )

    def confirm(self, session_id: str, name: str, expected: str, *, info: Mapping[str, str | int]) -> Operation:
        """Put on record that the file ``name`` is right as it is, while its SHA-256 is ``expected`` (hex): a choice
        that changes no file can be undone like any other.
        """
        draft = self._draft("replace", session_id, name, expected, info)
        return self._carry_out(draft, expected, lambda *_: None)

    def leave_out(self, session_id: str, act: left_out.Act) -> None:
        """Put down, before a session is changed, what a person leaves out of it."""
        with _vault_errors(self._root):
            left_out.remember(self._root, session_id, act)

    def take_back(self, session_id: str) -> str | None:
        """Undo what was done to a session, newest first. Returns the reason where that is refused, as
        :meth:`Vault.undo`."""
        newest_first = self._of.get(session_id, [])[::-1]
        refused = put_back.undo_together(self._folder, self._sessions_dir, newest_first, self._journal.note_outcome)
        with _vault_errors(self._root):
            left_out.forget(self._root, self.run_id, (session_id,))
        return refused

    def _aside(self, operation: Operation) -> files.Keep:
        return partial(run_record.keep_aside, self._folder, operation)

    def _draft(
        self,
        action: Action,
        session_id: str | None,
        name: str,
        after: str | None,
        info: Mapping[str, str | int] | None,
    ) -> Operation:
        if not run_record.is_operable(session_id, name):
            raise VaultError(f"{files.shown(name)} is not a file that a repair may change.")
        return Operation(0, session_id, action, name, None, after, None, "planned", "", dict(info or {}))

    def _carry_out(self, draft: Operation, expected: str | None, change: _Change) -> Operation:
        operation = self._carried_out(draft, expected, change)
        self._of.setdefault(draft.session_id, []).append(operation)
        return operation

    def _carried_out(self, draft: Operation, expected: str | None, change: _Change) -> Operation:
        path = self._sessions_dir / draft.path
        with _vault_errors(self._folder):
            try:
                operation = draft if expected is None else self._keep(draft, path, expected)
            except (ChangedMeanwhileError, UnreadableError, FileNotFoundError) as error:
                operation = replace(draft, state=_state_after(error), note=files.sentence(error, path))
            operation = self._journal.note_operation(operation)
            if operation.state != "planned":
                return operation
            try:
                change(path, operation)
            except (RescueError, OSError) as error:
                note = APPEARED if isinstance(error, FileExistsError) else files.sentence(error, path)
                return self._journal.note_outcome(operation, _state_after(error), note)
            return self._journal.note_outcome(operation, "done")

    def _keep(self, draft: Operation, path: Path, expected: str) -> Operation:
        link = files.link_at(path) if draft.action == "replace" else None
        before, data = files.snapshot(path, link)
        if before.digest != expected:
            raise ChangedMeanwhileError(
                f"{files.shown(path)} has changed since it was read; it was not changed by Hermes Rescue."
            )
        kept = f"{next(self._kept):04d}"
        run_record.keep(self._folder, kept, data, before.digest)
        return replace(draft, before=before, kept=kept, link=link)


def _run_id(ticks: int) -> str:
    """A time as a run id, such as ``20260503T141200Z-3f2a9c``: the fraction of the second sorts as well."""
    second, fraction = divmod(ticks, _TICKS)
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(second))}-{fraction:06x}"


def _ticks_of(run_id: str) -> int | None:
    """The time of a run id; None where there is no such time, or none after it."""
    found = _RUN_ID.fullmatch(run_id)
    if found is None:
        return None
    *parts, fraction = found.groups()
    try:
        ticks = calendar.timegm((*map(int, parts), 0, 0, 0)) * _TICKS + int(fraction, 16)
    except (ValueError, OverflowError):
        return None
    return ticks if ticks < int(run_record.LATEST - 1) * _TICKS else None


def _private_folder(path: Path) -> None:
    try:
        path.mkdir(0o700)
        files.sync_folder(path.parent)
    except FileExistsError:
        if not stat.S_ISDIR(path.lstat().st_mode):
            raise VaultError(
                f"{files.shown(path)} exists but is not a folder; the vault needs a folder there."
            ) from None
    make_private(path)


@contextmanager
def _vault_errors(place: Path) -> Iterator[None]:
    """Turn what the system refuses into a sentence."""
    try:
        yield
    except (OSError, UnreadableError) as error:
        raise VaultError(f"The vault cannot be used: {files.sentence(error, place)}") from error


def _state_after(error: Exception) -> State:
    lost_race = isinstance(error, ChangedMeanwhileError | FileExistsError | FileNotFoundError)
    return "skipped" if lost_race else "failed"
