"""A second look at what was repaired beside a running WebUI, which may save an older state over it some time later."""

from __future__ import annotations

from functools import partial

from hermes_rescue.core.hermes import sidecar
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.repair.plan import Plan, PlannedSession
from hermes_rescue.gui.background.jobs import Context, Jobs
from hermes_rescue.gui.background.timed_job import TimedJob
from hermes_rescue.gui.view_model.session_rows import one_line
from hermes_rescue.gui.view_model.wording import counted
from PySide6.QtCore import QObject, Signal, Slot

KEY = "second look"

INTERVAL = 180_000
"""Milliseconds between the newest repair and the look: a turn or a rename comes within minutes."""


class SecondLook(QObject):
    """``noticed`` carries in words which repaired sessions have fewer messages than the repair wrote."""

    noticed = Signal(str)

    def __init__(self, jobs: Jobs, parent: QObject) -> None:
        super().__init__(parent)
        self._store: Store | None = None
        self._how_to_stop = ""
        self._sessions: dict[str, PlannedSession] = {}
        self._next = TimedJob(jobs, KEY, INTERVAL, self)
        self._next.due.connect(self._look)
        self._next.done.connect(self._on_looked)

    @Slot(object, object)
    def expect(self, plan: Plan, session_ids: tuple[str, ...]) -> None:
        """Look at these sessions later, which were repaired by this plan."""
        self._store, self._how_to_stop = plan.store, plan.webui.how_to_stop
        self._sessions |= {each.session_id: each for each in plan.sessions if each.session_id in session_ids}
        self._next.wait()

    def drop(self) -> None:
        """Another store is shown, or none."""
        self._next.stop()
        self._store = None
        self._sessions.clear()

    @Slot()
    def _look(self) -> None:
        assert self._store is not None
        sessions, self._sessions = tuple(self._sessions.values()), {}
        self._next.begin(partial(_shrunken, self._store, sessions))

    @Slot(object)
    def _on_looked(self, shrunken: tuple[PlannedSession, ...]) -> None:
        if not shrunken:
            return
        names = one_line(shrunken[0].title) if len(shrunken) == 1 else counted(len(shrunken), "session")
        text = self.tr(
            "{}: fewer messages again than the repair wrote. If you took none back, Hermes WebUI saved over them. "
            "Stop it ({}), then repair again."
        )
        self.noticed.emit(text.format(names, self._how_to_stop))


def _shrunken(store: Store, sessions: tuple[PlannedSession, ...], context: Context) -> tuple[PlannedSession, ...]:
    """The sessions whose files have fewer messages than the repair wrote; those that were deleted since are none."""
    found = []
    for each in sessions:
        if context.should_cancel():
            break
        now = sidecar.read(store.sessions_dir / f"{each.session_id}.json").sidecar
        if now is not None and len(now.messages) < each.messages_after:
            found.append(each)
    return tuple(found)
