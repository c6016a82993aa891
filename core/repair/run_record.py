"""The folder of a run: what it did and what it kept, and how that is read when it is torn, foreign or hostile.

It is ``<vault>/runs/<run id>`` and has ``manifest.json`` (written when the run starts, and again when it ends),
``journal.jsonl`` (a line before each change and one after it, each synced; of changes that are made at the same time
one for several) and ``files/`` (the kept bytes). The journal has the last word; the manifest repeats the operations for
whoever reads it without this program.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import threading
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
from hermes_rescue.core.base import files, jsontext, own_temps
from hermes_rescue.core.base.errors import ChangedMeanwhileError, UnreadableError, VaultError
from hermes_rescue.core.base.files import FileState
from hermes_rescue.core.base.jsontext import NotJSONError
from hermes_rescue.core.hermes.journals import INDEX_NAME
from hermes_rescue.core.hermes.store import is_session_name

VERSION = 1
MANIFEST = "manifest.json"
JOURNAL = "journal.jsonl"
KEPT = "files"

Action = Literal["replace", "create", "remove"]
State = Literal["planned", "done", "skipped", "failed", "undone"]
Status = Literal["running", "interrupted", "finished", "undone", "unreadable"]

_Value = TypeVar("_Value")

_RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
_SESSION_FILE = re.compile(r"(?!_)[0-9A-Za-z_-]+(\.json|\.json\.bak|\.tmp(\.[0-9A-Za-z_-]+)+)")
_KEPT_NAME = re.compile(r"\d{4,}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SIZE_LIMIT = 1 << 28  # bytes; far more than any run writes
_WRITE = os.O_WRONLY | files.NOT_FOLLOWED
LATEST = 253402300800.0
"""The year 10000, where dates end."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One change of one file.

    ``path`` is the file's bare name in the sessions folder; ``session_id`` is None for the index. ``before`` and
    ``after`` (SHA-256, hex) say what the file was and what the change makes of it, None where there is no file;
    ``kept`` names the copy of the old bytes. ``info`` is for lists and reports: counts, a title, kinds of findings,
    never message texts; that of the index has the sessions that it alone lacked, by their ids, with their titles.
    ``link``: where a link was replaced, what it said; ``before`` is of the file that it led to.
    """

    number: int
    session_id: str | None
    action: Action
    path: str
    before: FileState | None
    after: str | None
    kept: str | None
    state: State
    note: str
    info: Mapping[str, str | int]
    link: str | None = None

    @property
    def digest_before(self) -> str | None:
        """The SHA-256 of what the file was, None where there was none."""
        return self.before.digest if self.before else None

    @property
    def may_stand(self) -> bool:
        """Whether the file may be what this operation made of it, so that an undo has to look."""
        prepared = self.kept is not None or self.action == "create"
        return prepared and self.state in ("planned", "done", "failed")

    @property
    def may_have_changed(self) -> bool:
        """Whether the file may have been changed by this operation once, also where that was undone since."""
        return self.may_stand or self.state == "undone"

    def count(self, name: str) -> int | None:
        """A number of messages in ``info``; None where it gives none. A manifest can be edited by anybody."""
        found = self.info.get(name)
        return found if isinstance(found, int) and found >= 0 else None


@dataclass(frozen=True, slots=True)
class Turn:
    """A process took the run up (began it, undid it, closed it). The temps that it made then have higher numbers."""

    pid: int
    number: int


@dataclass(frozen=True, slots=True)
class Run:
    """A run as its folder records it. Times are seconds since 1970; ``stores`` are paths for people to read.

    ``problem`` says in a sentence why the folder cannot be read; the status is then ``unreadable``.
    """

    run_id: str
    created_at: float
    finished_at: float | None
    stores: tuple[str, ...]
    status: Status
    turns: tuple[Turn, ...]
    operations: tuple[Operation, ...]
    problem: str = ""

    @property
    def session_ids(self) -> tuple[str, ...]:
        """The sessions that the run has operations for, in their order."""
        return tuple(dict.fromkeys(each.session_id for each in self.operations if each.session_id is not None))

    @property
    def relisted(self) -> Mapping[str, str]:
        """The sessions that the run repaired by the session list alone, with their titles."""
        lists = (each for each in self.operations if each.session_id is None and each.state in ("done", "undone"))
        return {sid: str(title) for each in lists for sid, title in each.info.items() if is_session_name(sid)}

    @property
    def count(self) -> int:
        """How many sessions the run repaired, those by the session list alone among them."""
        return len({*self.session_ids, *self.relisted})

    @property
    def undone(self) -> tuple[str, ...]:
        """The sessions that were put back."""
        return self._sessions_of(each for each in self.operations if each.state == "undone")

    @property
    def standing(self) -> tuple[str, ...]:
        """The sessions that an undo of the run would put back. After the first one that was put back alone, the session
        list is no longer that of the run, and stays.
        """
        may_stand = [each for each in self.operations if each.may_stand]
        return self._sessions_of(each for each in may_stand if each.session_id is not None or not self.undone)

    def _sessions_of(self, operations: Iterable[Operation]) -> tuple[str, ...]:
        """The sessions of some operations; those of the one of the session list are all that it repaired alone."""
        found = ((each.session_id,) if each.session_id is not None else self.relisted for each in operations)
        return tuple(dict.fromkeys(itertools.chain.from_iterable(found)))

    def only(self, session_ids: Collection[str]) -> Run:
        """What it did to some of its sessions. Raises VaultError where one is none of them."""
        for session_id in session_ids:
            if session_id not in self.session_ids:
                name = files.shown(session_id)
                raise VaultError(f"The run {self.run_id} has not changed the session {name}.")
        return replace(self, operations=tuple(each for each in self.operations if each.session_id in session_ids))


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the journal: an operation that begins, or what became of one, or a process that takes the run up; or
    several of these, ``together``.
    """

    operation: Operation | None = None
    number: int = 0
    state: State = "planned"
    note: str = ""
    turn: Turn | None = None
    together: tuple[_Line, ...] = ()


@dataclass(frozen=True, slots=True)
class _Ending:
    """All of a manifest that shows whether its run has ended."""

    status: Status


class _Unacceptable(ValueError):
    """A manifest or journal that this program has not written so."""


def is_run_id(name: str) -> bool:
    """Whether a name has the form of a run id, and so can be a folder of the vault."""
    return _RUN_ID.fullmatch(name) is not None


def is_operable(session_id: str | None, name: str) -> bool:
    """Whether a run may touch this file of the sessions folder: the index, or a session's sidecar, backup or temp."""
    if session_id is None:
        return name == INDEX_NAME
    return bool(is_session_name(session_id) and _SESSION_FILE.fullmatch(name))


def read(folder: Path, *, locked: bool) -> Run:
    """The run in a folder; never raises, creates nothing. ``locked``: somebody is working on this vault."""
    try:
        _require_folders(folder)
        run = _replayed(_read_manifest(folder), _read_journal(folder)[0])
        _check(run, folder.name)
    except (UnreadableError, _Unacceptable) as error:
        problem = (
            f"The run {files.shown(folder.name)} cannot be read: {error} What it kept is in {files.shown(folder)}."
        )
        return Run(folder.name, 0.0, None, (), "unreadable", (), (), problem)
    return replace(run, status="interrupted") if run.status == "running" and not locked else run


def is_running(folder: Path) -> bool:
    """Whether the manifest in a folder is that of a run which has not ended, far faster than :func:`read` (which says
    whether the run can be read at all)."""
    try:
        return msgspec.json.decode(_read(folder / MANIFEST), type=_Ending).status == "running"
    except (UnreadableError, _Unacceptable, msgspec.MsgspecError, RecursionError):
        return False


def write(folder: Path, run: Run) -> None:
    """Write the manifest of a run, in one step. Raises :class:`OSError`."""
    fields = {"version": VERSION, **msgspec.to_builtins(run)}
    del fields["problem"]
    data = jsontext.dumps(fields)
    path = folder / MANIFEST
    old = files.look(path)
    if old is None:
        files.create_exclusive(path, data)
    else:
        files.replace_if_unchanged(path, data, old.digest)


def note_outcome(folder: Path, operation: Operation, state: State, note: str = "") -> Operation:
    """Put on record, durably, what became of an operation; returns it so. Raises :class:`OSError`."""
    _append(folder, _outcome(operation, state, note))
    return replace(operation, state=state, note=note)


class Journal:
    """The journal of a run that is going on, for several threads. What comes while a line is brought to the disk waits,
    and is then put on record together, in one line: so only the last line can be torn, and operations have the numbers
    of their order there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._waiting: deque[_Entry] = deque()
        self._writing = threading.Lock()

    def note_operation(self, operation: Operation) -> Operation:
        """Put an operation on record, durably, before its file is touched; returns it with its number. Raises
        :class:`OSError`."""
        record = {"operation": msgspec.to_builtins(operation)}
        self._put(record)
        return replace(operation, number=record["operation"]["number"])

    def note_outcome(self, operation: Operation, state: State, note: str = "") -> Operation:
        """The same for what became of one."""
        self._put(_outcome(operation, state, note))
        return replace(operation, state=state, note=note)

    def _put(self, record: dict[str, Any]) -> None:
        entry = _Entry(record)
        self._waiting.append(entry)
        with self._writing:
            if not entry.is_done:
                self._write([self._waiting.popleft() for _ in range(len(self._waiting))])
        if entry.error is not None:
            raise entry.error

    def _write(self, entries: Sequence[_Entry]) -> None:
        records = [each.record for each in entries]
        begun = [record["operation"] for record in records if "operation" in record]
        for number, operation in enumerate(begun, self._count + 1):
            operation["number"] = number
        error: BaseException | None = None
        try:
            _append(self._folder, records[0] if len(records) == 1 else {"together": records})
            self._count += len(begun)
        except BaseException as refused:
            error = refused
        for each in entries:
            each.error, each.is_done = error, True


@dataclass(slots=True)
class _Entry:
    """A record that waits for its line; ``error`` is why it is not on record."""

    record: dict[str, Any]
    is_done: bool = False
    error: BaseException | None = None


def take_up(folder: Path) -> None:
    """Make a run fit to be continued by this process: the torn end of a line that was cut off goes, the new turn is put
    on record. Raises :class:`OSError`; the run has been read before."""
    whole = _read_journal(folder)[1]
    _own(folder / JOURNAL)
    descriptor = os.open(folder / JOURNAL, _WRITE)
    try:
        os.ftruncate(descriptor, whole)
    finally:
        os.close(descriptor)
    _append(folder, {"turn": msgspec.to_builtins(this_turn())})


def this_turn() -> Turn:
    """A turn of this process that begins now."""
    return Turn(os.getpid(), own_temps.next_number())


def keep(folder: Path, name: str, data: bytes, digest: str) -> None:
    """Keep bytes in a run's folder and read them back: their SHA-256 is ``digest`` (hex). Raises :class:`VaultError`
    unless they lie there whole."""
    path = folder / KEPT / name
    try:
        there = files.look(path)
        if there is None:
            files.create_exclusive(path, data)
        elif there.digest != digest:  # an earlier attempt died while it wrote this
            files.replace_if_unchanged(path, data, there.digest)
        there = files.look(path)
    except (OSError, UnreadableError, ChangedMeanwhileError) as error:
        raise VaultError(f"What is replaced could not be kept, so it stays: {files.sentence(error, path)}") from error
    if there is None or there.digest != digest:
        raise VaultError(f"What is replaced was not kept whole in {files.shown(path)}, so it stays. Check the disk.")


def keep_aside(folder: Path, operation: Operation, data: bytes) -> None:
    """Keep what else turned up at an operation's file. It goes by what it is, so keeping it again changes nothing."""
    digest = files.digest_of(data)
    keep(folder, f"{operation.number:04d}.{digest[:16]}", data, digest)


def kept_bytes(folder: Path, operation: Operation) -> bytes:
    """The bytes that an operation's file had before. Raises :class:`VaultError` where they are not what was kept."""
    path = folder / KEPT / str(operation.kept)
    try:
        data = files.read_regular(path)
    except FileNotFoundError:
        raise VaultError(f"The kept copy {files.shown(path)} is missing.") from None
    if files.digest_of(data) != operation.digest_before:
        raise VaultError(f"The kept copy {files.shown(path)} is damaged.")
    return data


def _own(path: Path) -> None:
    """Give a file a body of its own where it has a second name (a snapshot made of links), before it is written to."""
    if os.lstat(path).st_nlink > 1:
        state, data = files.snapshot(path)
        files.replace_if_unchanged(path, data, state.digest, mtime_ns=state.mtime_ns)


def _outcome(operation: Operation, state: State, note: str) -> dict[str, Any]:
    return {"number": operation.number, "state": state, "note": note}


def _append(folder: Path, record: dict[str, Any]) -> None:
    _own(folder / JOURNAL)
    descriptor = os.open(folder / JOURNAL, _WRITE | os.O_APPEND)
    try:
        size = os.fstat(descriptor).st_size
        rest = memoryview(json.dumps(record).encode() + b"\n")
        try:
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        except BaseException:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def _require_folders(folder: Path) -> None:
    for place in (folder.parent, folder, folder / KEPT):
        try:
            files.require_folder(place)
        except OSError:
            raise _Unacceptable(f"{files.shown(place)} is not a folder.") from None


def _read_manifest(folder: Path) -> Run:
    fields = _loaded(_read(folder / MANIFEST))
    version = fields.get("version") if isinstance(fields, dict) else None
    if type(version) is int and version > VERSION:
        raise _Unacceptable("It was written by a newer version of this program.")
    run = _converted(fields, Run)
    if type(version) is not int or version != VERSION or run.status not in ("running", "finished", "undone"):
        raise _Unacceptable("Its manifest has no known version or status.")
    return replace(run, problem="")


def _read_journal(folder: Path) -> tuple[list[_Line], int]:
    """The whole lines, and the bytes that they take. Only the last line can be torn: each is synced before the next."""
    lines: list[_Line] = []
    texts = _read(folder / JOURNAL).splitlines(keepends=True)
    for place, text in enumerate(texts, start=1):
        try:
            if not text.endswith(b"\n"):
                raise _Unacceptable("Its journal is torn.")
            line = _converted(_loaded(text), _Line)
            lines += line.together or (line,)
        except _Unacceptable:
            if place < len(texts):
                raise _Unacceptable(f"Line {place} of its journal is damaged.") from None
            return lines, sum(map(len, texts[:-1]))
    return lines, sum(map(len, texts))


def _read(path: Path) -> bytes:
    try:
        data = files.read_regular(path, _SIZE_LIMIT + 1)
    except FileNotFoundError:
        raise _Unacceptable(f"It has no {path.name}.") from None
    if len(data) > _SIZE_LIMIT:
        raise _Unacceptable(f"Its {path.name} is too large.")
    return data


def _loaded(text: bytes) -> Any:
    try:
        return jsontext.loads_exactly(text)
    except NotJSONError:
        raise _Unacceptable("It is not JSON.") from None


def _converted(fields: Any, kind: type[_Value]) -> _Value:
    try:
        return msgspec.convert(fields, kind)
    except (msgspec.ValidationError, RecursionError, UnicodeError):
        raise _Unacceptable("It has not the fields that it should have.") from None


def _replayed(run: Run, lines: list[_Line]) -> Run:
    operations = {each.number: each for each in run.operations}
    turns = list(run.turns)
    for line in lines:
        if line.turn is not None:
            turns.append(line.turn)
        elif line.operation is not None:
            operations[line.operation.number] = line.operation
        elif line.number in operations:
            operations[line.number] = replace(operations[line.number], state=line.state, note=line.note)
        else:
            raise _Unacceptable("Its journal speaks of an operation that never began.")
    return replace(run, operations=tuple(operations.values()), turns=tuple(dict.fromkeys(turns)))


def _check(run: Run, name: str) -> None:
    times = (run.created_at, run.created_at if run.finished_at is None else run.finished_at)
    if run.run_id != name or not is_run_id(name):
        raise _Unacceptable("Its manifest is that of another run.")
    if not all(math.isfinite(time) and 0 <= time < LATEST for time in times):
        raise _Unacceptable("Its times are impossible.")
    if [each.number for each in run.operations] != list(range(1, len(run.operations) + 1)):
        raise _Unacceptable("Its operations are not all there.")
    for operation in run.operations:
        if not (is_operable(operation.session_id, operation.path) and _is_sound(operation)):
            raise _Unacceptable(f"Its operation {operation.number} is not one that this program does.")


def _is_sound(operation: Operation) -> bool:
    before, after, kept = operation.before, operation.after, operation.kept
    if before and not (
        _DIGEST.fullmatch(before.digest) and 0 <= before.mode <= 0o7777 and -(2**63) <= before.mtime_ns < 2**63
    ):
        return False
    if (after is not None and not _DIGEST.fullmatch(after)) or (kept is not None and not _KEPT_NAME.fullmatch(kept)):
        return False
    if (after is None) != (operation.action == "remove"):
        return False
    if operation.link is not None and (operation.action != "replace" or not operation.link or "\0" in operation.link):
        return False
    # What was skipped or failed at the first look has nothing kept.
    looked_only = operation.state in ("skipped", "failed") and before is None and kept is None
    return looked_only or (before is None) == (kept is None) == (operation.action == "create")
