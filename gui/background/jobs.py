"""Work outside the GUI thread: one runner, progress at most ten times a second, cancel, and results that cannot be
stale.

A job is a function that takes a :class:`Context`. Starting one under a key that is still busy cancels the older job;
whatever that one still says is dropped, as is all that a job says for whose store there is another one now. Signals
cross from the worker's thread to the GUI thread through Qt's queue. Nothing here waits for a thread, but
:meth:`Jobs.wait`, at the end of the program.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from hermes_rescue.core.audit.workers import Cancelled
from PySide6.QtCore import QCoreApplication, QObject, Qt, QThread, Signal, Slot

INTERVAL = 0.1
"""Seconds between two reports of progress."""


class Context:
    """What a job sees of the window: it reports through it, and asks whether to stop."""

    def __init__(self, thread: _Thread) -> None:
        self._thread = thread
        self._next = 0.0

    def should_cancel(self) -> bool:
        """Whether the job was cancelled."""
        return self._thread.is_cancelled.is_set()

    def progress(self, done: float, total: int) -> None:
        """Report progress; the last step always gets through."""
        now = time.monotonic()
        if now >= self._next or done == total:
            self._next = now + INTERVAL
            self._thread.progressed.emit(done, total)

    def partial(self, result: object) -> None:
        """Hand over a part of the result before the job is done."""
        self._thread.emitted.emit(result)


class _Thread(QThread):
    """One job in a thread of its own. ``ended`` carries the result or the exception.

    It belongs to the application and goes when it has ended: it may outlive its window, and its job.
    """

    progressed = Signal(float, int)
    emitted = Signal(object)
    ended = Signal(object, object)

    def __init__(self, work: Callable[[Context], Any]) -> None:
        super().__init__(QCoreApplication.instance())
        self._work = work
        self.is_cancelled = threading.Event()
        self.is_over = threading.Event()
        self.finished.connect(self.deleteLater)

    def run(self) -> None:
        """Called by Qt in the new thread."""
        try:
            result = self._work(Context(self))
        except Cancelled:
            self.ended.emit(None, Cancelled())  # one that holds nothing of the work, which goes here, not in the window
        except BaseException as error:  # shown by whoever started the job: nothing may vanish with a thread
            self.ended.emit(None, error)
        else:
            self.ended.emit(result, None)
        self.is_over.set()


class Job(QObject):
    """A job that was started. Its signals come in the GUI thread, and only while it is the newest under its key, and
    its store is the one of now.
    """

    progressed = Signal(float, int)
    emitted = Signal(object)
    done = Signal(object)
    failed = Signal(object)
    cancelled = Signal()

    def __init__(self, key: str, work: Callable[[Context], Any], jobs: Jobs) -> None:
        super().__init__(jobs)
        self.key = key
        self.token = jobs.token
        self._is_dropped = False
        self._thread = _Thread(work)
        queued = Qt.ConnectionType.QueuedConnection
        self._thread.progressed.connect(self._on_progress, queued)
        self._thread.emitted.connect(self._on_emitted, queued)
        self._thread.ended.connect(self._on_ended, queued)
        self._thread.finished.connect(self._on_finished, queued)

    @property
    def _jobs(self) -> Jobs:
        """Those that it is one of: a parent, which no child may keep alive."""
        jobs = self.parent()
        assert isinstance(jobs, Jobs)
        return jobs

    @property
    def is_current(self) -> bool:
        """Whether it is heard."""
        return not self._is_dropped and self.token == self._jobs.token

    def start(self) -> None:
        """Begin; connect to the signals first."""
        self._thread.start()

    def cancel(self) -> None:
        """Ask the job to stop at its next safe point."""
        self._thread.is_cancelled.set()

    def drop(self) -> None:
        """Cancel, and let nothing of it be heard any more."""
        self._is_dropped = True
        self.cancel()

    def wait(self) -> None:
        """Block until it has ended: never in the GUI thread."""
        self._thread.is_over.wait()

    @Slot(float, int)
    def _on_progress(self, done: float, total: int) -> None:
        if self.is_current:
            self.progressed.emit(done, total)

    @Slot(object)
    def _on_emitted(self, result: object) -> None:
        if self.is_current:
            self.emitted.emit(result)

    @Slot(object, object)
    def _on_ended(self, result: object, error: object) -> None:
        if self.is_current:
            if error is None:
                self.done.emit(result)
            elif isinstance(error, Cancelled):
                self.cancelled.emit()
            else:
                self.failed.emit(error)

    @Slot()
    def _on_finished(self) -> None:
        self._jobs.forget(self)


class Jobs(QObject):
    """Starts jobs and keeps them until they have ended. ``token`` stands for the store that they are about."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.token = 0
        self._running: list[Job] = []

    def turn_to(self, token: int) -> None:
        """Another store is shown: nothing is heard any more of what is about the one before, and it need not go on."""
        self.token = token
        for job in self._running:
            if not job.is_current:
                job.cancel()

    def prepare(self, key: str, work: Callable[[Context], Any], *, after: str = "") -> Job:
        """A job that is ready to start, in place of an older one under the same key. It begins when those under
        ``after`` have ended, of which nobody wants anything any more.
        """
        before = [job for job in self._running if job.key == after]

        def run(context: Context) -> Any:
            for job in before:
                job.wait()
            return work(context)

        for job in self._running:
            if job.key == key:
                job.drop()
        job = Job(key, run if before else work, self)
        self._running.append(job)
        return job

    def cancel(self, key: str) -> None:
        """Ask the job under a key to stop at its next safe point."""
        for job in self._running:
            if job.key == key:
                job.cancel()

    def stop(self) -> None:
        """Cancel everything, and hear nothing of it any more."""
        for job in self._running:
            job.drop()

    def forget(self, job: Job) -> None:
        """A job has ended."""
        self._running.remove(job)
        job.deleteLater()

    @staticmethod
    def wait() -> None:
        """Block until every thread has ended: for the end of the program, when no window is left that could freeze."""
        app = QCoreApplication.instance()
        for thread in app.findChildren(_Thread) if app is not None else ():
            thread.wait()
