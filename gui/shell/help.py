"""What the menu Help opens: the guide at what is selected, the keys, what this program is."""

from __future__ import annotations

from collections.abc import Callable

from hermes_rescue.gui.sessions.session_pane import SessionPane
from hermes_rescue.gui.shell.about import AboutDialog
from hermes_rescue.gui.shell.state import Shown
from hermes_rescue.gui.view_model import guide_pages
from hermes_rescue.gui.widgets.commands import COMMANDS, Actions
from hermes_rescue.gui.widgets.guide import GuideWindow
from hermes_rescue.gui.widgets.help_dialog import HelpDialog
from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget


class Help(QObject):
    """``shown`` gives what is known of the store, ``table`` which session is selected."""

    def __init__(self, window: QWidget, actions: Actions, table: SessionPane, shown: Callable[[], Shown]) -> None:
        super().__init__(window)
        self._window, self._table = window, table
        actions.connect("guide", self._open_guide)
        actions.connect("help", lambda: HelpDialog(COMMANDS, window).open())
        actions.connect("about", lambda: AboutDialog(shown().audit, window).open())

    def _open_guide(self) -> None:
        guide = self._window.findChild(GuideWindow) or GuideWindow(self._window)
        guide.show_place(self._place())

    def _place(self) -> str:
        """Where the guide explains the most urgent finding of the selected session; its index where there is none."""
        row = self._table.sessions.known(self._table.current_id)
        main = row.session.main if row is not None and row.is_examined else None
        return guide_pages.INDEX if main is None else guide_pages.place_of(main.name)
