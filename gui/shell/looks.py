"""How the window looks as its person chose it: the colours, and the size of every text."""

from __future__ import annotations

from functools import partial

from hermes_rescue.gui.shell.window_settings import WindowSettings
from hermes_rescue.gui.widgets import theme as themes
from hermes_rescue.gui.widgets.commands import Actions
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QFontInfo, QGuiApplication, QWheelEvent
from PySide6.QtWidgets import QApplication, QWidget

_STEPS = (0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0)
"""Sizes of the text, as shares of the system's."""

_USUAL = 1.0

_SIZE = "systemPointSize"
"""The property of the application that has the size of the system, once there was another one."""


class Looks(QObject):
    """``themed`` carries the Theme to draw everything with. Over ``zoomed`` and what is in it the wheel changes the
    size of the text while Ctrl is held.
    """

    themed = Signal(object)

    def __init__(self, memory: WindowSettings, parent: QObject) -> None:
        super().__init__(parent)
        self._memory = memory
        self.theme: Theme = themes.load(themes.name_of(memory.theme))
        self._set_size(memory.zoom)
        # Qt itself tells the widgets only while its event loop runs; those to come take the font of the window.
        QApplication.sendEvent(parent, QEvent(QEvent.Type.ApplicationFontChange))

    def show(self, actions: Actions) -> None:
        """Draw everything so, and let the actions change it."""
        self._actions = actions
        for name in ("system", *themes.NAMES):
            actions.connect(f"theme_{name}", partial(self._choose, name))
        for name, steps in (("zoom_in", 1), ("zoom_out", -1)):
            actions.connect(name, partial(self._zoom_by, steps))
        actions.connect("zoom_usual", lambda: self._zoom_to(_USUAL))
        QGuiApplication.styleHints().colorSchemeChanged.connect(lambda _: self._choose(self._memory.theme))
        self._draw()

    def zoom_over(self, zoomed: QWidget) -> None:
        """Let the wheel change the size of the text over this widget."""
        zoomed.installEventFilter(self)

    def _choose(self, choice: str) -> None:
        self._memory.theme = choice
        self.theme = themes.load(themes.name_of(choice))
        self._draw()

    def _draw(self) -> None:
        app = QApplication.instance()
        if isinstance(app, QApplication):
            themes.apply(app, self.theme)
        self.themed.emit(self.theme)
        self._actions[f"theme_{self._memory.theme}"].setChecked(True)

    def _zoom_by(self, steps: int) -> None:
        zoom = self._memory.zoom
        at = min(range(len(_STEPS)), key=lambda k: abs(_STEPS[k] - zoom))
        self._zoom_to(_STEPS[max(0, min(at + steps, len(_STEPS) - 1))])

    def _zoom_to(self, zoom: float) -> None:
        if zoom != self._memory.zoom:
            self._memory.zoom = zoom
            self._set_size(zoom)
            self._draw()  # the sizes in the style sheet follow the font

    def _set_size(self, zoom: float) -> None:
        app, font = QApplication.instance(), QApplication.font()
        if app is None or (zoom == _USUAL and app.property(_SIZE) is None):
            return
        usual = app.property(_SIZE) or QFontInfo(font).pointSizeF()
        app.setProperty(_SIZE, usual)
        font.setPointSizeF(usual * zoom)
        QApplication.setFont(font)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Called by Qt for every event of the widgets over which the wheel zooms."""
        if isinstance(event, QWheelEvent) and event.modifiers() == Qt.KeyboardModifier.ControlModifier:
            if turned := event.angleDelta().y():
                self._zoom_by(1 if turned > 0 else -1)
            return True
        return super().eventFilter(watched, event)
