"""The same work over many sessions: in this process for a few, in processes of their own for a large store.

Threads gain nothing, since parsing holds the interpreter (measured.md). A worker only reads, so one that is not wanted
any more is simply ended; one that dies takes nothing with it but the session it died of. Where workers cannot be had,
this process does their work.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import tempfile
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TypeAlias, TypeVar

from hermes_rescue.core.base.private_folder import private_folder
from hermes_rescue.core.base.progress import Cancelled as Cancelled
from hermes_rescue.core.base.progress import Steps, stop_if_asked
from hermes_rescue.core.base.signals import GROUP_WIDE, deaf_children
from hermes_rescue.core.hermes.copies import CopyReader, Database
from hermes_rescue.core.hermes.database.statedb import DatabaseDamage
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.listing import Listing
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.hermes.webui_status import WebUIStatus

MANY = 1_000
LARGE = 32 * 2**20
"""Sessions, and bytes of their files, from which on processes are worth their start."""

MOST = 4
"""Processes at most: memory grows with them, and the disk is soon the limit."""

PATIENCE = 60.0
"""Seconds in which a worker has to say that it is there."""

ENOUGH = 3
"""Workers that never said so, after which no more are tried."""

TURN = 0.05
"""Seconds that a worker is given work for at a time: results and a wish to stop come through that often."""

_T = TypeVar("_T")
Task: TypeAlias = Callable[[CopyReader, WebUIStatus, str, Steps], _T]
"""Looks at one session, and says how far it is. It goes to other processes by its name, so it is a function of a
module; so are its results."""

Progress: TypeAlias = Callable[[float, int], None]
"""Called with the sessions done, and the sessions in all; one that is half done counts a half."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A session that the task failed at, with the reason for a person."""

    session_id: str
    reason: str


def over_sessions(
    task: Task[_T],
    inventory: Inventory,
    webui: WebUIStatus,
    session_ids: Sequence[str],
    *,
    progress: Progress | None = None,
    should_cancel: Callable[[], bool] | None = None,
    apart: bool = False,
) -> Iterator[list[_T | Failure]]:
    """The results of a task for each session, in batches as they are done, not in order. ``apart``: in processes also
    for a few sessions, since nothing else could stop the task.

    A batch comes several times a second, and is empty where there is nothing new, so that the caller can look after
    something else in between. Raises :class:`Cancelled` when ``should_cancel`` says so.
    """
    done, shown = 0, 0.0

    def show(under_way: float) -> None:
        nonlocal shown
        shown = max(shown, done + under_way)  # what a worker had done that died is done again
        if progress is not None:
            progress(shown, len(session_ids))

    if apart or _is_much(inventory, session_ids):
        batches = _in_processes(task, inventory, webui, session_ids, show, should_cancel)
    else:
        batches = _in_this_process(task, inventory, webui, session_ids, show, should_cancel)
    for batch in chain(([],), batches):
        yield batch
        done += len(batch)
        show(0.0)
        if done < len(session_ids):
            stop_if_asked(should_cancel)


def _is_much(inventory: Inventory, session_ids: Sequence[str]) -> bool:
    if len(session_ids) >= MANY:
        return True
    files = (
        found
        for paths in (inventory.listing.sidecars, inventory.listing.backups)
        for found in map(paths.get, session_ids)
    )
    return sum(_size(path) for path in files if path is not None) >= LARGE


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _in_this_process(
    task: Task[_T],
    inventory: Inventory,
    webui: WebUIStatus,
    session_ids: Iterable[str],
    show: Callable[[float], None],
    should_cancel: Callable[[], bool] | None,
) -> Iterator[list[_T | Failure]]:
    for session_id in session_ids:
        yield [_attempt(task, inventory, webui, session_id, Steps(show, should_cancel))]


def _in_processes(
    task: Task[_T],
    inventory: Inventory,
    webui: WebUIStatus,
    session_ids: Sequence[str],
    show: Callable[[float], None],
    should_cancel: Callable[[], bool] | None,
) -> Iterator[list[_T | Failure]]:
    """``show`` gets how much is done of the sessions that are under way, all together."""
    waiting = deque(session_ids)
    alone: deque[str] = deque()
    with ExitStack() as cleanup:
        # what a worker that is ended does not clear away itself
        folder = cleanup.enter_context(_temporary_folder())

        def hire() -> _Worker:
            worker = _Worker(task, inventory, webui, folder)
            cleanup.callback(worker.end)
            return worker

        crew = [hire() for _ in range(min(_processors(), len(session_ids)))]
        silent = 0
        while silent < ENOUGH and (waiting or alone or any(worker.busy_with for worker in crew)):
            for worker in crew:
                if not worker.busy_with and alone:
                    worker.give([alone.popleft()])
                elif not worker.busy_with and waiting:
                    worker.give([waiting.popleft() for _ in range(min(worker.pace, len(waiting)))])
            ready = wait([worker.pipe for worker in crew], timeout=2 * TURN)
            if not ready:
                yield []
            for k, worker in enumerate(crew):
                if worker.pipe in ready or worker.is_late:
                    try:
                        results: list[_T | Failure] = worker.take()
                    except (EOFError, OSError):
                        lost = worker.busy_with
                        worker.end()
                        crew[k] = hire()
                        results = []
                        if not worker.is_there:
                            silent += 1
                            waiting.extendleft(reversed(lost))
                        elif len(lost) == 1:
                            results = [_killed(lost[0])]
                        else:
                            alone.extend(lost)  # one of them killed it: each once more alone shows which
                    yield results
                    show(sum(each.part for each in crew))
        waiting.extendleft(each for worker in crew for each in worker.busy_with)
    yield [_killed(each) for each in alone]
    yield from _in_this_process(task, inventory, webui, waiting, show, should_cancel)


@contextmanager
def _temporary_folder() -> Iterator[str | None]:
    """A folder for temporary files; None where there can be none."""
    with ExitStack() as cleanup:
        try:
            folder = str(cleanup.enter_context(private_folder()))
        except OSError:
            folder = None
        yield folder


class _Worker:
    """A process that does one task for session after session. ``is_there``: it said that it has started, and can read
    the databases that this process can.
    """

    def __init__(self, task: Task[_T], inventory: Inventory, webui: WebUIStatus, folder: str | None) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.busy_with: list[str] = []
        self.part = 0.0
        self.pace = 1
        self.is_there = False
        self._inventory = inventory
        self._started = self._hired = time.monotonic()
        arguments = (other, task, inventory.store, inventory.databases, webui, folder)
        self._process: BaseProcess = context.Process(target=_work, args=arguments, daemon=True)
        # without the interpreter's own words on processes that cannot be started
        quiet = warnings.catch_warnings(action="ignore", category=UserWarning)
        with suppress(OSError), quiet, _safe_path(), deaf_children():
            self._process.start()
        other.close()

    @property
    def is_late(self) -> bool:
        """Whether it has not said in time that it is there."""
        return not self.is_there and time.monotonic() - self._hired > PATIENCE

    def give(self, session_ids: list[str]) -> None:
        """Hand over some sessions. Whether the process has died by then is reported by :meth:`take`."""
        self.busy_with = session_ids
        self._started = time.monotonic()
        with suppress(OSError):
            self.pipe.send((session_ids, self._inventory.listing.of(session_ids)))

    def take(self) -> list[_T | Failure]:
        """The results of the sessions that were handed over; none yet where it only sent how far they are (``part``).
        Raises EOFError or OSError where the process has died, is late, or cannot read a database.
        """
        if not self.pipe.poll():
            raise TimeoutError
        received: float | tuple[list[_T | Failure], tuple[DatabaseDamage, ...]] = self.pipe.recv()
        if isinstance(received, float):
            self.part = received
            return []
        results, damages = received
        if not self.is_there:
            mine = self._inventory.database_facts
            if any(its.fact.state not in ("ok", own.state) for its, own in zip(damages, mine, strict=True)):
                raise EOFError
            self.is_there = True
            return []
        self.part = 0.0
        self._inventory.merge_damage(damages)
        took = max(time.monotonic() - self._started, 1e-6)
        # as many as fit into a turn, but no leap: the next ones may be larger
        self.pace = max(1, min(4 * self.pace, int(len(self.busy_with) * TURN / took)))
        self.busy_with = []
        return results

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self.pipe.close()
        if self._process.pid is not None:
            self._process.kill()
            self._process.join()


@contextmanager
def _safe_path() -> Iterator[None]:
    """Python does not look for modules in the current folder, which is anybody's."""
    name = "PYTHONSAFEPATH"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _work(
    pipe: Connection,
    task: Task[_T],
    store: Store,
    databases: Sequence[Database],
    webui: WebUIStatus,
    folder: str | None,
) -> None:
    """What runs in a worker, until the other end of the pipe is closed."""
    for number in GROUP_WIDE:  # also where there are no signal masks
        signal.signal(number, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(5)  # the window, and whatever else this machine does, comes first
    gc.disable()  # as in core.__main__
    tempfile.tempdir = folder
    with CopyReader(store, Listing(), databases) as reader:
        try:
            pipe.send(([], reader.damages()))
        except OSError:
            return
        while True:
            try:
                session_ids, reader.listing = pipe.recv()
                results: list[_T | Failure] = []
                for session_id in session_ids:
                    steps = Steps(partial(_send, pipe, len(results)))
                    results.append(_attempt(task, reader, webui, session_id, steps))
                pipe.send((results, reader.damages()))
            except (EOFError, OSError):
                return


def _send(pipe: Connection, before: int, done: float) -> None:
    pipe.send(before + done)


def _attempt(task: Task[_T], reader: CopyReader, webui: WebUIStatus, session_id: str, steps: Steps) -> _T | Failure:
    try:
        return task(reader, webui, session_id, steps)
    except Cancelled:
        raise
    except Exception as error:  # one bad session never stops the rest
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
        return Failure(session_id, f"Internal error while reading this session ({where}). Its files were not changed.")


def _killed(session_id: str) -> Failure:
    return Failure(
        session_id, "The worker process was killed, possibly because memory ran out; its files were not changed."
    )


def _processors() -> int:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MOST)
