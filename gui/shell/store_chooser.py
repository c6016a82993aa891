"""The ways to another store: a dialog, the demo, the stores that were open last, a folder that is dropped."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from hermes_rescue.gui.background.place import Place
from hermes_rescue.gui.shell.memory import Memory
from hermes_rescue.gui.widgets.commands import Actions
from PySide6.QtCore import QEvent, QObject, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget


class StoreChooser(QObject):
    """Lets a person choose; ``chosen`` carries the Place, ``demo_wanted`` the folder for a new demo store."""

    chosen = Signal(object)
    demo_wanted = Signal(object)

    def __init__(self, window: QWidget, menu: QMenu, actions: Actions, memory: Memory) -> None:
        super().__init__(window)
        self._window, self._menu, self._actions, self._memory = window, menu, actions, memory
        actions.connect("open", self.ask)
        actions.connect("demo", self.ask_for_demo)
        window.setAcceptDrops(True)
        window.installEventFilter(self)
        self._fill_menu()

    def opened(self, path: str) -> None:
        """A store was opened: it is the first of the recent ones."""
        self._memory.opened(path)
        self._fill_menu()

    def ask(self) -> None:
        """Ask for the folder of a store."""
        words = self.tr("Choose a Hermes home or a sessions folder")
        if folder := QFileDialog.getExistingDirectory(self._window, words):
            self._choose(folder)

    def ask_for_demo(self) -> None:
        """Ask where a demo store is to be made."""
        words = self.tr("Choose a folder for the demo store")
        if folder := QFileDialog.getExistingDirectory(self._window, words):
            self.demo_wanted.emit(Path(folder))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Called by Qt for every event of the window: a folder that is dropped on it is opened."""
        if isinstance(event, QDropEvent):  # that something is dragged over it is an event of this kind too
            place = Place.dropped(event.mimeData())
            if place is not None and isinstance(event, QDragEnterEvent):
                event.acceptProposedAction()
            elif place is not None and event.type() == QEvent.Type.Drop:
                self.chosen.emit(place)
        return super().eventFilter(watched, event)

    def _choose(self, folder: str) -> None:
        self.chosen.emit(Place.of(Path(folder)))

    def _fill_menu(self) -> None:
        self._menu.clear()
        for path in self._memory.recent:
            self._menu.addAction(path).triggered.connect(partial(self._choose, path))
        self._menu.addSeparator()
        self._menu.addAction(self._actions["open"])
        self._menu.addAction(self._actions["demo"])
