"""The status bar: what is going on, how far it is, and the history."""

from __future__ import annotations

import time

from hermes_rescue.gui.view_model.formatting import number
from hermes_rescue.gui.view_model.time_left import TimeLeft
from hermes_rescue.gui.widgets.banners import announce
from hermes_rescue.gui.widgets.commands import Actions
from hermes_rescue.gui.widgets.progress_bar import ProgressBar
from hermes_rescue.gui.widgets.rows import keep_width, row_layout
from hermes_rescue.gui.widgets.theme import ICON_SIZE, Theme
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLabel, QPushButton, QWidget


class StatusBar(QWidget):
    """What is going on, how far it is, a way to stop it, and the way to the history."""

    cancel_requested = Signal()

    def __init__(self, actions: Actions, theme: Theme) -> None:
        super().__init__()
        self.setProperty("foot", True)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        row = row_layout(self, margins=(14, 4, 14, 4))
        self._left = TimeLeft()
        self._text = QLabel()
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setProperty("muted", True)
        self._bar = ProgressBar(self.tr("Progress"), 14)
        self._cancel = QPushButton(self.tr("Cancel"))
        self._cancel.setProperty("flat", True)
        self._cancel.clicked.connect(self.cancel_requested)
        self.history = QPushButton(self.tr("History"))
        self.history.setProperty("flat", True)
        self.history.setIconSize(ICON_SIZE)
        self.history.clicked.connect(actions["history"].trigger)
        row.addWidget(self._text, 1)
        for widget in (self._bar, self._cancel, self.history):
            row.addWidget(widget)
        self.end("")
        self.set_theme(theme)

    @property
    def text(self) -> str:
        """What it says."""
        return self._text.text()

    def progress(self, text: str, done: float, total: int, *, can_cancel: bool = True) -> None:
        """Show how far something is and how long it still takes, with no total that it is going on."""
        if total > 1:
            text = self.tr("{} {} of {}").format(text, number(int(done)), number(total))
        left = self._left.words(done, total, time.monotonic())
        self._text.setText(" · ".join(filter(None, (text, left))))
        self._bar.show_progress(done, total)
        self._cancel.setVisible(can_cancel)

    def end(self, text: str) -> None:
        """Nothing runs any more; say what came of it, also aloud."""
        self.rest(text)
        announce(self, text)

    def rest(self, text: str) -> None:
        """Nothing runs while a person is asked; show a text meanwhile."""
        self._text.setText(text)
        self._bar.setVisible(False)
        self._cancel.setVisible(False)

    def _history_words(self, count: int) -> str:
        return self.tr("History: {}").format(number(count)) if count else self.tr("History")

    def show_runs(self, count: int) -> None:
        """Say how many repairs the history has."""
        self.history.setText(self._history_words(count))
        keep_width(self.history, self._history_words(99))

    def set_theme(self, theme: Theme) -> None:
        """Draw the icons anew."""
        self.history.setIcon(theme.icon("history", "muted"))
        keep_width(self.history, self._history_words(99))
