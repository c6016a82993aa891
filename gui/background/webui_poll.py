"""Whether the WebUI of a store runs, looked at again and again in a thread of its own."""

from __future__ import annotations

from functools import partial

from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.hermes.webui_status import WebUIStatus, webui_status
from hermes_rescue.gui.background.jobs import Context, Jobs
from hermes_rescue.gui.background.timed_job import TimedJob
from PySide6.QtCore import QObject, Signal, Slot

KEY = "webui"

INTERVAL = 4_000
"""Milliseconds between the end of one look and the next: a server that does not answer makes a look long."""


class WebUIPoll(QObject):
    """``looked`` carries the WebUIStatus of the store that is watched, each time; ``changed`` where it is another one
    than before.
    """

    looked = Signal(object)
    changed = Signal(object)

    def __init__(self, jobs: Jobs, parent: QObject) -> None:
        super().__init__(parent)
        self._store: Store | None = None
        self._known: WebUIStatus | None = None
        self._next = TimedJob(jobs, KEY, INTERVAL, self)
        self._next.due.connect(self._look)
        self._next.done.connect(self._on_looked)
        self._next.failed.connect(self._next.wait)

    def watch(self, store: Store, known: WebUIStatus) -> None:
        """Watch the WebUI of a store, of which this is known."""
        self.rest()
        self._store = store
        self._next.wait()
        self._emit(known)

    def rest(self) -> None:
        """Watch nothing."""
        self._next.stop()
        self._store = self._known = None

    @Slot()
    def _look(self) -> None:
        assert self._store is not None
        self._next.begin(partial(_status_of, self._store))

    @Slot(object)
    def _on_looked(self, status: WebUIStatus) -> None:
        self._next.wait()
        if status != self._known:
            self._emit(status)
        self.looked.emit(status)

    def _emit(self, status: WebUIStatus) -> None:
        self._known = status
        self.changed.emit(status)


def _status_of(store: Store, _: Context) -> WebUIStatus:
    return webui_status(store)
