"""Further places to look for copies in: chosen or dropped on the window, what they add, and the import of sessions.

They are remembered for the store that is open, and only read. Nothing is written before a dialog was answered.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from hermes_rescue.core.audit.elsewhere import FoundPlace
from hermes_rescue.core.base.files import shown
from hermes_rescue.gui.background.store_location import StoreLocation, dropped_paths
from hermes_rescue.gui.shell.state import Shown
from hermes_rescue.gui.view_model.formatting import breakable, counted, plain_tip
from hermes_rescue.gui.widgets.banners import Notice
from hermes_rescue.gui.widgets.commands import Actions
from hermes_rescue.gui.widgets.path_dialogs import files_dialog, folder_dialog
from hermes_rescue.gui.widgets.tips import show_tip
from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QMenu, QWidget

_MAX_PLACES_SHOWN = 3
"""Places that the notice shows; the menu has all of them."""

_IN_TIP = 20
"""Places that its tip shows."""

_WIDTH = 70
"""Characters of a place in the menu."""


class Backups(QObject):
    """The further places of the store that is shown; where they are others now, it is checked again. ``import_wanted``
    carries a Store and the paths whose sessions are to be brought in, ``open_wanted`` the StoreLocation of what was
    dropped where no store is shown, ``session_wanted`` the id of a session to show.
    """

    import_wanted = Signal(object, object)
    open_wanted = Signal(object)
    session_wanted = Signal(str)

    def __init__(self, window: QWidget, actions: Actions, notice: Notice, shown: Callable[[], Shown]) -> None:
        super().__init__(window)
        self._window, self._notice, self._shown = window, notice, shown
        self._check_again = actions["rescan"].trigger
        self._asked: tuple[Path, ...] = ()
        self.menu = QMenu(self.tr("&Copies in other places"), window)
        self.menu.setToolTipsVisible(True)
        actions.connect("add_backup", partial(self._ask_for_files, self.tr("Add a backup"), self.add))
        actions.connect("add_folder", self._ask_for_folder)
        actions.connect("import", partial(self._ask_for_files, self.tr("Import sessions"), self._import))
        notice.buttons[0].clicked.connect(lambda: self._import(self._shown().place.also))
        self.show_places(())
        window.setAcceptDrops(True)
        window.installEventFilter(self)

    def add(self, paths: Sequence[Path]) -> None:
        """Look into further places as well."""
        known = self._shown()
        own = {os.path.realpath(folder) for folder in known.store.folders} if known.store is not None else set()
        new = [path for path in paths if path not in known.place.also and os.path.realpath(path) not in own]
        self._asked = tuple(path for path in paths if path not in new)
        known.place = replace(known.place, also=(*known.place.also, *new))
        self._check_again()

    def show_places(self, places: Sequence[FoundPlace]) -> None:
        """Tell of each place whether it adds anything: of those that were added or add something above the list, of all
        of them in the menu.
        """
        self._fill_menu(places)
        given = self._shown().place.also
        told = [_line_of(place) for place in places if place.is_given or place.adds]
        sentences = [*told]
        sentences += [
            self.tr("{}: it is no longer there.").format(shown(p.name)) for p in given if not os.path.exists(p)
        ]
        sentences += [self.tr("{}: it is looked into already.").format(shown(path.name)) for path in self._asked]
        self._asked = ()
        self._notice.buttons[0].setVisible(any(place.is_given and place.adds for place in places))
        if not sentences:
            self._notice.hide()
            return
        lines = [breakable(line) for line in sentences[:_MAX_PLACES_SHOWN]]
        n = sum(bool(place.adds) for place in places)
        if told or len(sentences) > 1:  # what the notice shows as long as it is folded
            some = self.tr("{} messages.").format(counted(n, "place adds", "places add"))
            lines.insert(0, some if n else self.tr("No place that was looked into adds anything."))
        if (more := len(sentences) - _MAX_PLACES_SHOWN) > 0:
            lines.append(self.tr("{} in the menu of the store.").format(counted(more, "more is", "more are")))
        self._notice.show_text("\n".join(lines), "info")
        show_tip(self._notice, "\n".join(place.sentence for place in places[:_IN_TIP]))

    def _fill_menu(self, places: Sequence[FoundPlace]) -> None:
        self.menu.clear()
        given = self._shown().place.also
        self.menu.setEnabled(bool(places or given))
        metrics = self.menu.fontMetrics()
        for place in places:
            room = metrics.averageCharWidth() * _WIDTH
            words = metrics.elidedText(_line_of(place), Qt.TextElideMode.ElideMiddle, room)
            action = self.menu.addAction(words.replace("&", "&&"))
            action.setToolTip(plain_tip(place.sentence))
            action.setEnabled(bool(place.adds))
            if place.adds:
                action.triggered.connect(partial(self.session_wanted.emit, min(place.adds)))
        if given:
            self.menu.addSeparator()
            self.menu.addAction(self.tr("&Forget what was added")).triggered.connect(self._forget)

    def _ask_for_files(self, title: str, use: Callable[[Sequence[Path]], None]) -> None:
        files_dialog(self._window, title, use).open()

    def _ask_for_folder(self) -> None:
        folder_dialog(self._window, self.tr("Add a backup folder"), lambda path: self.add((path,))).open()

    def _import(self, paths: Sequence[Path]) -> None:
        store = self._shown().store
        there = tuple(path for path in paths if os.path.exists(path))
        if store is not None and there:
            also = tuple(dict.fromkeys((*store.also, *there)))
            self.import_wanted.emit(replace(store, also=also), there)

    def _forget(self) -> None:
        known = self._shown()
        known.place = replace(known.place, also=())
        self._check_again()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Called by Qt for every event of the window: what is dropped on it is a further place of its store; where no
        store is shown, it is opened.
        """
        if isinstance(event, QDropEvent):  # that something is dragged over it is an event of this kind too
            paths = dropped_paths(event.mimeData())
            if paths and isinstance(event, QDragEnterEvent):
                event.acceptProposedAction()
            elif paths and event.type() == QEvent.Type.Drop:
                event.acceptProposedAction()
                self.add(paths) if self._shown().store is not None else self.open_wanted.emit(
                    StoreLocation.of(paths[0])
                )
        return super().eventFilter(watched, event)


def _line_of(place: FoundPlace) -> str:
    """What a place adds: one that was added by its name, one that was found with that of its folder as well."""
    parts = place.path.parts
    return f"{shown(parts[-1] if place.is_given else '/'.join(parts[-2:]))}: {place.words}"
