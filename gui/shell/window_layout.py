"""How the window is divided, and what of it is remembered."""

from __future__ import annotations

from typing import Final

from hermes_rescue.gui.review.diff_view import DiffView
from hermes_rescue.gui.sessions.session_pane import SessionPane
from hermes_rescue.gui.shell.window_settings import WindowSettings
from hermes_rescue.gui.widgets.commands import Actions
from PySide6.QtCore import QByteArray
from PySide6.QtWidgets import QMainWindow, QSplitter, QStyle

_WIDTH, _HEIGHT = 1280, 800
_LIST: Final = 404  # points; a table has half of the width


class WindowLayout:
    """The sizes of a window and its parts, whether the sessions are a table, and how differences are shown."""

    def __init__(
        self,
        window: QMainWindow,
        splitter: QSplitter,
        sessions: SessionPane,
        difference: DiffView,
        actions: Actions,
        memory: WindowSettings,
    ) -> None:
        self._window, self._splitter, self._sessions, self._difference = window, splitter, sessions, difference
        self._actions, self._memory = actions, memory
        actions["table"].toggled.connect(self.show_table)

    def show_table(self, on: bool) -> None:
        """Show the sessions as a table, or as a list, each with the width that it needs."""
        self._sessions.show_table(on)
        width = self._window.width()
        self._splitter.setSizes([width // 2, width // 2] if on else [_LIST, width - _LIST])

    def restore(self) -> None:
        """As it was left; at first so that it fits the screen."""
        memory = self._memory
        room = self._window.screen().availableSize()
        frame = self._window.style().pixelMetric(QStyle.PixelMetric.PM_TitleBarHeight)
        self._window.resize(min(_WIDTH, room.width()), min(_HEIGHT, room.height() - frame))
        if (geometry := memory.state("geometry")) is not None:
            self._window.restoreGeometry(geometry)
        self.show_table(memory.is_table)
        self._actions["table"].setChecked(memory.is_table)
        if (sizes := memory.state("splitter")) is not None:
            self._splitter.restoreState(sizes)
        if (columns := memory.state("columns")) is not None:
            self._sessions.restore_state(bytes(columns.data()))
        self._difference.set_mode(memory.mode)
        self._actions[memory.mode].setChecked(True)

    def save(self) -> None:
        """Remember it for the next time."""
        columns = QByteArray(self._sessions.save_state())
        self._memory.keep(
            [
                ("geometry", self._window.saveGeometry()),
                ("splitter", self._splitter.saveState()),
                ("columns", columns),
            ]
        )
        self._memory.is_table = self._sessions.is_table
        self._memory.mode = self._difference.mode
