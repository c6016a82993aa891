"""A second look at what was repaired beside a running WebUI, which may save an older state over it some time later."""

from __future__ import annotations

from functools import partial

from hermes_rescue.core.audit.findings import SessionAudit
from hermes_rescue.core.audit.marker import marker
from hermes_rescue.core.audit.session import examine
from hermes_rescue.core.audit.written_over import what_to_do
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.hermes.webui_status import WebUIStatus, webui_status
from hermes_rescue.core.repair.plan import Plan
from hermes_rescue.gui.background.jobs import Context, Jobs
from hermes_rescue.gui.background.timed_job import TimedJob
from hermes_rescue.gui.view_model.formatting import counted
from hermes_rescue.gui.view_model.session_rows import one_line
from PySide6.QtCore import QObject, Signal, Slot

KEY = "second look"

INTERVAL = 180_000
"""Milliseconds between the newest repair and the look: a turn or a rename comes within minutes."""


class SecondLook(QObject):
    """``noticed`` carries in words which repairs were written over, and what to do."""

    noticed = Signal(str)

    def __init__(self, jobs: Jobs, parent: QObject) -> None:
        super().__init__(parent)
        self._store: Store | None = None
        self._sessions: set[str] = set()
        self._next = TimedJob(jobs, KEY, INTERVAL, self)
        self._next.due.connect(self._look)
        self._next.done.connect(self._on_looked)

    @Slot(object, object)
    def expect(self, plan: Plan, session_ids: tuple[str, ...]) -> None:
        """Look at these sessions later, which were repaired by this plan."""
        self._store = plan.store
        self._sessions.update(session_ids)
        self._next.wait()

    def drop(self) -> None:
        """Another store is shown, or none."""
        self._next.stop()
        self._store = None
        self._sessions.clear()

    @Slot()
    def _look(self) -> None:
        assert self._store is not None
        sessions, self._sessions = frozenset(self._sessions), set()
        self._next.begin(partial(_written_over, self._store, sessions))

    @Slot(object)
    def _on_looked(self, found: tuple[WebUIStatus, tuple[SessionAudit, ...]]) -> None:
        webui, sessions = found
        if sessions:
            names = one_line(sessions[0].title) if len(sessions) == 1 else counted(len(sessions), "session")
            text = self.tr("{}: Hermes WebUI saved over the repair. {}")
            self.noticed.emit(text.format(names, what_to_do(webui)))


def _written_over(
    store: Store, session_ids: frozenset[str], context: Context
) -> tuple[WebUIStatus, tuple[SessionAudit, ...]]:
    """The sessions whose repair was written over; those that were deleted since are none."""
    webui, found = webui_status(store), []
    with Inventory(store, only=session_ids) as inventory:
        marked = marker(inventory, webui)
        for each in sorted(session_ids.intersection(inventory.session_ids())):
            if context.should_cancel():
                break
            audited = examine(inventory, webui, each).audited
            if audited is not None and (audited := marked(audited)).is_written_over:
                found.append(audited)
    return webui, tuple(found)
