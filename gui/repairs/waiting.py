"""Repairs that were confirmed and wait until the WebUI stops: the window says so, and they can be called off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hermes_rescue.core.hermes.webui_status import WebUIStatus
from hermes_rescue.gui.background.tasks import Rest
from hermes_rescue.gui.repairs.writer import Writer
from hermes_rescue.gui.view_model.formatting import breakable, counted
from hermes_rescue.gui.widgets.banners import Notice
from PySide6.QtCore import QObject, Slot


class Waiting(QObject):
    """It gets every look at the WebUI, and begins as soon as that does not run and ``prepare`` allows it, which
    turns the window to a work and answers whether it could.
    """

    def __init__(self, writer: Writer, notice: Notice, prepare: Callable[[], bool], parent: QObject) -> None:
        super().__init__(parent)
        self._writer = writer
        self._notice = notice
        self._prepare = prepare
        self._rests: list[Rest] = []
        writer.postponed.connect(self._begin)
        notice.buttons[0].clicked.connect(self.drop)

    @Slot()
    def drop(self) -> None:
        """Wait for nothing any more."""
        self._rests.clear()
        self._show()

    @Slot(object)
    def look(self, webui: WebUIStatus) -> None:
        """Repair what waits longest, if that can be done now."""
        if self._rests and not webui.running and self._prepare():
            rest = self._rests.pop(0)
            self._show()
            self._writer.repair_rest(rest)

    @Slot(object)
    def _begin(self, rest: Rest) -> None:
        newer = {each.session_id for each in rest.sessions}
        older = (
            replace(each, sessions=tuple(s for s in each.sessions if s.session_id not in newer)) for each in self._rests
        )
        self._rests = [*(each for each in older if each.sessions), rest]
        self._show()

    def _show(self) -> None:
        if not self._rests:
            self._notice.hide()
            return
        n = sum(len(rest.sessions) for rest in self._rests)
        waiting = counted(n, self.tr("session waits"), self.tr("sessions wait"))
        text = self.tr("{} until Hermes WebUI stops, and then the repair is done as you confirmed it. Stop it: {}.")
        self._notice.show_text(text.format(waiting, breakable(self._rests[-1].how_to_stop)), "info")
