"""The tool bar: the actions, the store that is shown, the field to search in."""

from __future__ import annotations

from hermes_rescue.gui.view_model.formatting import counted
from hermes_rescue.gui.widgets.commands import Actions
from hermes_rescue.gui.widgets.rows import keep_width, row_layout
from hermes_rescue.gui.widgets.theme import ICON_SIZE, Theme
from hermes_rescue.gui.widgets.tips import show_tip
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QLineEdit,
    QMenu,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QWidget,
)


class ToolBar(QWidget):
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
        row = row_layout(self)
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
        self.filter.setAccessibleDescription(self.tr("Words in any order, a phrase in quotes, in every copy"))
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
        keep_width(self._buttons["repair_all"], self._repair_words(99))
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
