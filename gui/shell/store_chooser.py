"""The ways to another store: a dialog, the demo, the stores that were open last."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import mkdtemp

from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.shell.backups import Backups
from hermes_rescue.gui.shell.window_settings import WindowSettings
from hermes_rescue.gui.widgets.commands import Actions
from hermes_rescue.gui.widgets.path_dialogs import folder_dialog
from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QMenu, QWidget


class StoreChooser(QObject):
    """Lets a person choose; ``chosen`` carries the StoreLocation, ``demo_wanted`` the folder for a new demo store."""

    chosen = Signal(object)
    demo_wanted = Signal(object)

    def __init__(
        self, window: QWidget, menu: QMenu, actions: Actions, memory: WindowSettings, backups: Backups
    ) -> None:
        super().__init__(window)
        self._window, self._menu, self._actions, self._memory, self._places = (
            window,
            menu,
            actions,
            memory,
            backups.menu,
        )
        actions.connect("open", self.ask)
        actions.connect("demo", lambda: self.demo_wanted.emit(Path(mkdtemp(prefix="hermes-demo-"))))
        backups.open_wanted.connect(self.chosen)
        self._fill_menu()

    def opened(self, path: str) -> None:
        """A store was opened: it is the first of the recent ones."""
        self._memory.opened(path)
        self._fill_menu()

    def ask(self) -> None:
        """Ask for the folder of a store."""
        folder_dialog(self._window, self.tr("Choose a Hermes home or a sessions folder"), self._choose).open()

    def _choose(self, folder: Path) -> None:
        self.chosen.emit(StoreLocation.of(folder))

    def _fill_menu(self) -> None:
        self._menu.clear()
        for path in self._memory.recent:
            self._menu.addAction(path).triggered.connect(partial(self._choose, Path(path)))
        self._menu.addSeparator()
        self._menu.addActions([self._actions["open"], self._actions["demo"]])
        self._menu.addSeparator()
        self._menu.addActions([self._actions["add_backup"], self._actions["add_folder"]])
        self._menu.addMenu(self._places)
