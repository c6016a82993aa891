"""Work outside the GUI thread: one runner, progress at most ten times a second, cancel, and results that cannot be
stale.

A job is a core function that takes a :class:`Context`. Starting one under a key that is still busy cancels the older
job; whatever that one still says is dropped. Signals cross from the worker's thread to the GUI thread through Qt's
queue.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, Qt, QThread, Signal, Slot

from core.workers import Cancelled

INTERVAL = 0.1
"""Seconds between two reports of progress."""


class Context:
    """What a job sees of the window: it reports through it, and asks whether to stop."""

    def __init__(self, thread: _Thread) -> None:
        self._thread = thread
        self._next = 0.0

    def should_cancel(self) -> bool:
        """Whether the job was cancelled."""
        return self._thread.isInterruptionRequested()

    def progress(self, done: float, total: int) -> None:
        """Report progress; the last step always gets through."""
        now = time.monotonic()
        if now >= self._next or done == total:
            self._next = now + INTERVAL
            self._thread.progressed.emit(done, total)

    def partial(self, result: object) -> None:
        """Hand over a part of the result before the job is done."""
        self._thread.told.emit(result)


class _Thread(QThread):
    """One job in a thread of its own. ``ended`` carries the result or the exception."""

    progressed = Signal(float, int)
    told = Signal(object)
    ended = Signal(object, object)

    def __init__(self, work: Callable[[Context], Any]) -> None:
        super().__init__()
        self._work = work

    def run(self) -> None:
        """Called by Qt in the new thread."""
        try:
            result = self._work(Context(self))
        except BaseException as error:  # shown by whoever started the job: nothing may vanish with a thread
            self.ended.emit(None, error)
        else:
            self.ended.emit(result, None)


class Job(QObject):
    """A job that was started. Its signals come in the GUI thread, and only while it is the newest under its key."""

    progressed = Signal(float, int)
    told = Signal(object)
    done = Signal(object)
    failed = Signal(object)
    cancelled = Signal()

    def __init__(self, key: str, work: Callable[[Context], Any], parent: QObject) -> None:
        super().__init__(parent)
        self.key = key
        self.is_current = True
        self._thread = _Thread(work)
        queued = Qt.ConnectionType.QueuedConnection
        self._thread.progressed.connect(self._on_progress, queued)
        self._thread.told.connect(self._on_told, queued)
        self._thread.ended.connect(self._on_ended, queued)

    def start(self) -> None:
        """Begin; connect to the signals first."""
        self._thread.start()

    def cancel(self) -> None:
        """Ask the job to stop at its next safe point."""
        self._thread.requestInterruption()

    def drop(self) -> None:
        """Cancel, and let nothing of it be heard any more."""
        self.is_current = False
        self.cancel()

    def wait(self) -> None:
        """Block until the thread has ended (at the end of the program only)."""
        self._thread.wait()

    @Slot(float, int)
    def _on_progress(self, done: float, total: int) -> None:
        if self.is_current:
            self.progressed.emit(done, total)

    @Slot(object)
    def _on_told(self, result: object) -> None:
        if self.is_current:
            self.told.emit(result)

    @Slot(object, object)
    def _on_ended(self, result: object, error: object) -> None:
        self._thread.wait()
        if self.is_current:
            if error is None:
                self.done.emit(result)
            elif isinstance(error, Cancelled):
                self.cancelled.emit()
            else:
                self.failed.emit(error)


class Jobs(QObject):
    """Starts jobs and keeps them until they have ended."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._running: list[Job] = []

    def prepare(self, key: str, work: Callable[[Context], Any]) -> Job:
        """A job that is ready to start, in place of an older one under the same key."""
        for job in self._running:
            if job.key == key:
                job.drop()
        job = Job(key, work, self)
        job._thread.finished.connect(self._forget, Qt.ConnectionType.QueuedConnection)
        self._running.append(job)
        return job

    def cancel(self, key: str) -> None:
        """Ask the job under a key to stop at its next safe point."""
        for job in self._running:
            if job.key == key:
                job.cancel()

    def stop(self) -> None:
        """Cancel everything and wait for it (each job stops at its next safe point)."""
        for job in self._running:
            job.drop()
        for job in self._running:
            job.wait()
        self._running.clear()

    @Slot()
    def _forget(self) -> None:
        ended = [job for job in self._running if job._thread.isFinished()]
        for job in ended:
            self._running.remove(job)
            job.deleteLater()
        if ended:
            self.changed.emit()
