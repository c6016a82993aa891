"""Small pieces of work for what is in view (a picture, colours of code), done beside the window in their order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hermes_rescue.gui.background.jobs import Context, Job, Jobs
from PySide6.QtCore import QObject, QTimer, Signal

_KEY = "errands"


class Errands(QObject):
    """Runs what it is asked for. ``made`` carries the key of an errand and its result, while it is still wanted."""

    made = Signal(object, object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._jobs = Jobs(self)
        self._job: Job | None = None
        self._waiting: dict[object, Callable[[], Any]] = {}
        self._start = QTimer(self, singleShot=True, interval=0)
        self._start.timeout.connect(self._run)

    def ask(self, key: object, work: Callable[[], Any]) -> None:
        """Have something made, once for a key."""
        self._waiting.setdefault(key, work)
        if self._job is None:
            self._start.start()

    def drop(self) -> None:
        """Want nothing any more."""
        self._waiting.clear()
        self._start.stop()
        if self._job is not None:
            self._job.drop()
            self._job = None

    def stop(self) -> None:
        """Want nothing any more, and wait for what is being made."""
        self.drop()
        self._jobs.stop()

    def _run(self) -> None:
        errands, self._waiting = self._waiting, {}

        def work(context: Context) -> None:
            for key, each in errands.items():
                if context.should_cancel():
                    return
                context.partial((key, each()))

        self._job = self._jobs.prepare(_KEY, work)
        self._job.emitted.connect(lambda emitted: self.made.emit(*emitted))
        self._job.done.connect(self._on_done)
        self._job.start()

    def _on_done(self, _result: object) -> None:
        self._job = None
        if self._waiting:
            self._start.start()
