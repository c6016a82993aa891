"""The rows around the two panes: actions, chips with counts, the foot with its progress."""

from __future__ import annotations

import time
from collections.abc import Mapping

from hermes_rescue.core.audit.findings import Standing
from hermes_rescue.core.hermes.webui_status import WebUIStatus
from hermes_rescue.gui.view_model.time_left import TimeLeft
from hermes_rescue.gui.view_model.wording import counted, number
from hermes_rescue.gui.widgets.commands import Actions
from hermes_rescue.gui.widgets.elided_label import ElidedLabel
from hermes_rescue.gui.widgets.notices import announce
from hermes_rescue.gui.widgets.theme import ICON_SIZE, Theme
from hermes_rescue.gui.widgets.tips import show_tip
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QWidget,
)

_CHIPS: tuple[tuple[Standing, str, str], ...] = (
    (Standing.REPAIRABLE, "repair", "warning"),
    (Standing.REVIEW, "ask", "question"),
    (Standing.LEFT, "info", "left-out"),
    (Standing.LEFT_OUT, "info", "left-out"),
    (Standing.DELETED, "info", "deleted"),
    (Standing.PARTLY_READ, "info", "missing"),
    (Standing.NOTE, "info", "info"),
    (Standing.HEALTHY, "ok", "healthy"),
)
"""Standing, token and icon of each chip."""

_ALWAYS = (Standing.REPAIRABLE, Standing.REVIEW, Standing.HEALTHY)
"""The chips that show also where there are no such sessions."""


_PARTS = 1000
"""Steps of the progress bar for each session: one of them can take long."""


def _row(parent: QWidget, *, margins: tuple[int, int, int, int] = (14, 8, 14, 8)) -> QHBoxLayout:
    row = QHBoxLayout(parent)
    row.setContentsMargins(*margins)
    row.setSpacing(8)
    return row


def _keep_width(button: QPushButton, text: str) -> None:
    """Let a button be as wide as with a longer text, so that what is beside it stays where it is."""
    said = button.text()
    button.setText(text)
    button.setMinimumWidth(button.sizeHint().width())
    button.setText(said)


class ToolRow(QWidget):
    """The store, the actions that matter, and the field of the search."""

    def __init__(self, actions: Actions, theme: Theme) -> None:
        super().__init__()
        self.setProperty("bar", True)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._buttons: dict[str, QPushButton] = {}
        self.store_menu = QMenu(self)
        self.store_button = QPushButton()
        self.store_button.setMenu(self.store_menu)
        self.store_button.setIconSize(ICON_SIZE)
        self.store_button.setAccessibleName(self.tr("Store"))
        row = _row(self)
        row.addWidget(self.store_button)
        for name in ("add_backup", "rescan", "repair_all", "undo", "export"):
            button = QPushButton()
            button.setIconSize(ICON_SIZE)
            action = actions[name]
            if name == "repair_all":
                button.clicked.connect(lambda: actions[self._repairs].trigger())
            else:
                button.clicked.connect(action.trigger)
            button.setEnabled(action.isEnabled())
            action.enabledChanged.connect(button.setEnabled)
            button.setToolTip(action.toolTip())
            self._buttons[name] = button
            row.addWidget(button)
        self._buttons["repair_all"].setProperty("primary", True)
        add_menu = QMenu(self)
        add_menu.addActions([actions["add_backup"], actions["add_folder"]])
        self._buttons["add_backup"].setMenu(add_menu)
        self.filter = QLineEdit()
        self.filter.setClearButtonEnabled(True)
        self.filter.setAcceptDrops(False)  # a file that is dropped here is dropped on the window
        for clear in self.filter.findChildren(QToolButton):
            clear.setAccessibleName(self.tr("Clear search"))
        self.filter.setPlaceholderText(self.tr("Search titles and messages"))
        self.filter.setAccessibleName(self.tr("Search titles and messages"))
        self.filter.setMinimumWidth(self.fontMetrics().horizontalAdvance("m") * 12)
        self.filter.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._search = self.filter.addAction(theme.icon("search", "muted"), QLineEdit.ActionPosition.LeadingPosition)
        self._search.setText(self.tr("Search"))  # the name of its picture
        row.addWidget(self.filter, 1)
        self._words = {
            "add_backup": self.tr("Add a backup…"),
            "rescan": self.tr("Rescan"),
            "undo": self.tr("Undo"),
            "export": self.tr("Export report…"),
        }
        for name, words in self._words.items():
            self._buttons[name].setAccessibleName(words)
        actions.connect("find", self._look)
        self.show_repairable(0)
        self.show_no_store()
        self.set_theme(theme)

    def minimumSizeHint(self) -> QSize:
        """As narrow as it is with icons alone."""
        hint = super().minimumSizeHint()
        spare = sum(self._buttons[name].sizeHint().width() - self._bare_width(name) for name in self._words)
        return QSize(hint.width() - spare, hint.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Called by Qt."""
        super().resizeEvent(event)
        self._fit()

    def _bare_width(self, name: str) -> int:
        """The width of a button without its words."""
        button = self._buttons[name]
        return button.sizeHint().width() - button.fontMetrics().horizontalAdvance(button.text())

    def _fit(self) -> None:
        """Let the buttons that are known by their icon have words only where there is room for all of them."""
        _keep_width(self._buttons["repair_all"], self._repair_words(99))
        for name, words in self._words.items():
            self._buttons[name].setText(words)
        if super().minimumSizeHint().width() > self.width():
            for name in self._words:
                self._buttons[name].setText("")

    def show_repairable(self, count: int, *, of_selection: bool = False) -> None:
        """Say on the button how many sessions it repairs: the selected ones, or all that have one right answer."""
        self._repairs = "repair" if of_selection else "repair_all"
        self._buttons["repair_all"].setText(self._repair_words(count))
        self._fit()

    def _repair_words(self, count: int) -> str:
        return self.tr("Repair {}…").format(counted(count, "session")) if count else self.tr("Repair…")

    def _look(self) -> None:
        """Give the keyboard to the search, to type something else."""
        self.filter.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.filter.selectAll()

    def show_store(self, text: str, tip: str) -> None:
        """Name the store on its button."""
        room = self.fontMetrics().horizontalAdvance("m") * 16
        self.store_button.setText(self.fontMetrics().elidedText(text, Qt.TextElideMode.ElideMiddle, room))
        show_tip(self.store_button, tip)
        self._fit()

    def show_no_store(self) -> None:
        """Name none."""
        self.show_store(self.tr("Choose store"), "")

    def set_theme(self, theme: Theme) -> None:
        """Draw the icons anew."""
        icons = {"add_backup": "text", "rescan": "text", "undo": "text", "export": "text", "repair_all": "accent-text"}
        for name, token in icons.items():
            self._buttons[name].setIcon(
                theme.icon({"repair_all": "repair", "add_backup": "add"}.get(name, name), token)
            )
        self.store_button.setIcon(theme.icon("store"))
        self._fit()
        self._search.setIcon(theme.icon("search", "muted"))


class ChipRow(QWidget):
    """How many sessions are in which state, to filter by, and whether the WebUI is running."""

    chosen = Signal(object)
    """A Standing, or "all"."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setProperty("bar", True)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        row = _row(self)
        self._chips: dict[Standing, QPushButton] = {}
        self._numbers: dict[Standing, str] = {}
        for standing, token, _ in _CHIPS:
            chip = QPushButton()
            chip.setCheckable(True)
            chip.setProperty("chip", token)
            chip.setIconSize(ICON_SIZE)
            chip.clicked.connect(lambda checked, standing=standing: self._choose(standing, checked))
            self._chips[standing] = chip
            row.addWidget(chip)
        row.addStretch(1)
        self._webui = ElidedLabel()
        self._webui.setProperty("muted", True)
        row.addWidget(self._webui)
        self.show_counts({})
        self.set_theme(theme)

    def show_counts(self, counts: Mapping[Standing, int]) -> None:
        """Put the numbers on the chips."""
        words = {
            Standing.REPAIRABLE: (self.tr("can be repaired"), ""),
            Standing.REVIEW: (self.tr("needs your decision"), self.tr("need your decision")),
            Standing.LEFT: (self.tr("left as it is"), self.tr("left as they are")),
            Standing.LEFT_OUT: (self.tr("with parts left out"), ""),
            Standing.DELETED: (self.tr("deleted by you"), ""),
            Standing.PARTLY_READ: (self.tr("partly read"), ""),
            Standing.NOTE: (self.tr("note"), self.tr("notes")),
            Standing.HEALTHY: (self.tr("healthy"), ""),
        }
        for standing, chip in self._chips.items():
            n = counts.get(standing, 0)
            self._numbers[standing] = number(n)
            one, many = words[standing]
            text = counted(n, one, many or one)
            chip.setToolTip(text)
            chip.setAccessibleName(text)
            chip.setAccessibleDescription(self.tr("Show only these sessions"))
            chip.setEnabled(n > 0 or chip.isChecked())
            chip.setVisible(chip.isEnabled() or standing in _ALWAYS)
        self._fit()

    def minimumSizeHint(self) -> QSize:
        """As narrow as it is with numbers alone."""
        hint, shown = super().minimumSizeHint(), [s for s, chip in self._chips.items() if not chip.isHidden()]
        words = [(self._chips[s].text(), self._numbers[s]) for s in shown]
        spare = sum(
            self.fontMetrics().horizontalAdvance(text) - self.fontMetrics().horizontalAdvance(n) for text, n in words
        )
        return QSize(hint.width() - spare, hint.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Called by Qt."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Words on the chips where there is room for all of them, else numbers: icons, tips and names say the rest."""
        for chip in self._chips.values():
            chip.setText(chip.toolTip())
        if super().minimumSizeHint().width() > self.width():
            for standing, chip in self._chips.items():
                chip.setText(self._numbers[standing])

    def show_webui(self, webui: WebUIStatus) -> None:
        """Say whether the WebUI is running."""
        if webui.running:
            self._webui.show_text(self.tr("Hermes WebUI is running"), self.tr("WebUI is running"))
        else:
            no_sign = self.tr("No sign of a running Hermes WebUI; if yours runs, stop it first")
            self._webui.show_text(no_sign, self.tr("No sign of a running Hermes WebUI"), self.tr("No WebUI seen"))

    def clear(self) -> None:
        """Show every session again."""
        self._choose(Standing.HEALTHY, checked=False)

    def reset(self) -> None:
        """Another store: nothing is known of its sessions yet, and all of them show."""
        self.clear()
        self.show_counts({})
        self._webui.show_text("")

    def _choose(self, standing: Standing, checked: bool) -> None:
        for other, chip in self._chips.items():
            chip.setChecked(checked and other is standing)
        self.chosen.emit(standing if checked else "all")

    def set_theme(self, theme: Theme) -> None:
        """Draw the icons anew."""
        for standing, token, icon in _CHIPS:
            self._chips[standing].setIcon(theme.icon(icon, token))


class FootRow(QWidget):
    """What is going on, how far it is, a way to stop it, and the way to the history."""

    cancel_requested = Signal()

    def __init__(self, actions: Actions, theme: Theme) -> None:
        super().__init__()
        self.setProperty("foot", True)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        row = _row(self, margins=(14, 4, 14, 4))
        self._left = TimeLeft()
        self._text = QLabel()
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setProperty("muted", True)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setFixedWidth(self.fontMetrics().horizontalAdvance("m") * 14)
        self._bar.setAccessibleName(self.tr("Progress"))
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
        self._bar.setRange(0, total * _PARTS)
        self._bar.setValue(int(done * _PARTS))
        self._bar.setVisible(True)
        self._cancel.setVisible(can_cancel)

    def end(self, text: str) -> None:
        """Nothing runs any more; say what came of it, also aloud."""
        self._text.setText(text)
        announce(self, text)
        self._bar.setVisible(False)
        self._cancel.setVisible(False)

    def _history_words(self, count: int) -> str:
        return self.tr("History: {}").format(number(count)) if count else self.tr("History")

    def show_runs(self, count: int) -> None:
        """Say how many repairs the history has."""
        self.history.setText(self._history_words(count))
        _keep_width(self.history, self._history_words(99))

    def set_theme(self, theme: Theme) -> None:
        """Draw the icons anew."""
        self.history.setIcon(theme.icon("history", "muted"))
        _keep_width(self.history, self._history_words(99))
