"""How the window is divided, and what of it is remembered."""

from __future__ import annotations

from typing import Final

from hermes_rescue.gui.review.diff_view import DiffView
from hermes_rescue.gui.sessions.session_pane import SessionPane
from hermes_rescue.gui.shell.window_settings import WindowSettings
from hermes_rescue.gui.widgets.commands import Actions
from hermes_rescue.gui.widgets.fitting import resize_within_screen
from PySide6.QtCore import QByteArray, QEvent, QObject, Slot
from PySide6.QtWidgets import QMainWindow, QSplitter

_WIDTH, _HEIGHT = 1280, 800
_LIST: Final = 404  # points
_LINE: Final = 62
"""Average characters of a line of the list: it is as wide where the window is wide enough. A table has half of it."""
_SHARE: Final = 0.3
"""The part of a window that the list has at most, but for its points."""

_MOST: Final = 0.35
"""The part that it has at most where the window has few points."""


class WindowLayout(QObject):
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
        super().__init__(window)
        self._is_line_moved = False
        self._window, self._splitter, self._sessions, self._difference = window, splitter, sessions, difference
        self._actions, self._memory = actions, memory
        actions["table"].toggled.connect(self.show_table)
        splitter.splitterMoved.connect(self._on_line_moved)
        splitter.installEventFilter(self)

    def show_table(self, on: bool) -> None:
        """Show the sessions as a table, or as a list, each with the width that it needs."""
        self._sessions.show_table(on)
        self._share_width()

    def _share_width(self) -> None:
        width = self._splitter.width()
        line = round(min(_LINE * self._sessions.fontMetrics().averageCharWidth(), _SHARE * width))
        left = width // 2 if self._sessions.is_table else min(max(_LIST, line), round(_MOST * width))
        self._splitter.setSizes([left, width - left])

    @Slot()
    def _on_line_moved(self) -> None:
        self._is_line_moved = True

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Called by Qt: in a window of another size each part has its share, unless a person moved the line between
        them.
        """
        if event.type() == QEvent.Type.Resize and not self._is_line_moved:
            self._share_width()
        return super().eventFilter(watched, event)

    def restore(self) -> None:
        """As it was left; at first so that it fits the screen."""
        memory = self._memory
        resize_within_screen(self._window, _WIDTH, _HEIGHT)
        if (geometry := memory.state("geometry")) is not None:
            self._window.restoreGeometry(geometry)
        self.show_table(memory.is_table)
        self._actions["table"].setChecked(memory.is_table)
        if (sizes := memory.state("splitter")) is not None:
            self._is_line_moved = self._splitter.restoreState(sizes)
        if (columns := memory.state("columns")) is not None:
            self._sessions.restore_state(bytes(columns.data()))
        self._difference.set_mode(memory.mode)
        self._actions[memory.mode].setChecked(True)

    def save(self) -> None:
        """Remember it for the next time."""
        states = [("geometry", self._window.saveGeometry()), ("columns", QByteArray(self._sessions.save_state()))]
        if self._is_line_moved:
            states.append(("splitter", self._splitter.saveState()))
        self._memory.keep(states)
        self._memory.is_table = self._sessions.is_table
        self._memory.mode = self._difference.mode
