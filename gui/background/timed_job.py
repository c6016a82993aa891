"""A job that begins some time after it was wanted, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hermes_rescue.gui.background.jobs import Context, Job, Jobs
from PySide6.QtCore import QObject, QTimer, Signal, Slot


class TimedJob(QObject):
    """``due``: the time is over, and :meth:`begin` is wanted. ``done`` and ``failed`` are those of the job."""

    due = Signal()
    done = Signal(object)
    failed = Signal(object)

    def __init__(self, jobs: Jobs, key: str, interval: int, parent: QObject) -> None:
        super().__init__(parent)
        self._jobs, self._key = jobs, key
        self._job: Job | None = None
        self._timer = QTimer(self, singleShot=True, interval=interval)
        self._timer.timeout.connect(self.due)

    def wait(self) -> None:
        """Have the time begin, from now on."""
        self._timer.start()

    def begin(self, work: Callable[[Context], Any]) -> None:
        """Do the work outside the window's thread."""
        self._job = self._jobs.prepare(self._key, work)
        for ended in (self._job.done, self._job.failed):
            ended.connect(self._forget)
        self._job.done.connect(self.done)
        self._job.failed.connect(self.failed)
        self._job.start()

    @Slot()
    def _forget(self) -> None:
        self._job = None

    def stop(self) -> None:
        """Neither wait nor hear anything more."""
        self._timer.stop()
        if self._job is not None:
            self._job.drop()
            self._job = None
