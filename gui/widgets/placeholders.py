"""What the window shows in the place of what cannot be shown."""

from __future__ import annotations

from hermes_rescue.gui.view_model.formatting import breakable
from hermes_rescue.gui.widgets.banners import announce
from hermes_rescue.gui.widgets.commands import Actions
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)


class Placeholder(QWidget):
    """A sentence in the place of what cannot be shown."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._label = QLabel(textFormat=Qt.TextFormat.PlainText, alignment=Qt.AlignmentFlag.AlignCenter, wordWrap=True)
        self._label.setProperty("muted", True)
        self._label.setMargin(12)
        self._column = QVBoxLayout(self)
        self._column.setSpacing(12)
        self._column.addStretch(2)
        self._column.addWidget(self._label)
        self._column.addStretch(3)

    @property
    def text(self) -> str:
        """What it says."""
        return self._label.text()

    def show_text(self, text: str) -> None:
        """Show a sentence."""
        self._label.setText(text)


class ActionPlaceholder(Placeholder):
    """The same with a button below, for what can be done about it at times."""

    def __init__(self, action: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.button = QPushButton(action)
        self._column.insertWidget(2, self.button, alignment=Qt.AlignmentFlag.AlignHCenter)

    def show_text(self, text: str, *, can_act: bool = False) -> None:
        """Show a sentence, with the button or without."""
        super().show_text(text)
        self.button.setVisible(can_act)


class NoStore(QWidget):
    """There is no store, it has no sessions, or it cannot be read: where was looked, or which file it is and why, and
    what to do now.
    """

    def __init__(self, actions: Actions, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._is_found = False
        self._icon = QLabel()
        self._title = QLabel()
        self._title.setProperty("title", True)
        self._text = QLabel()
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setWordWrap(True)
        self._text.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self._text.setFixedWidth(self.fontMetrics().horizontalAdvance("m") * 44)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._retry = QPushButton(self.tr("Try again"))
        self._retry.setProperty("primary", True)
        self._retry.clicked.connect(actions["rescan"].trigger)
        self._choose = QPushButton(self.tr("Choose folder…"))
        self._choose.clicked.connect(actions["open"].trigger)
        self._add = QPushButton(actions["add_backup"].text().replace("&", ""))
        self._add.clicked.connect(actions["add_backup"].trigger)
        self._demo = QPushButton(self.tr("Try with a demo store"))
        self._demo.clicked.connect(actions["demo"].trigger)
        row = QHBoxLayout()
        for button in (self._retry, self._choose, self._add, self._demo):
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.setSpacing(14)
        column.addStretch(2)
        for widget in (self._icon, self._title, self._text):
            column.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addLayout(row)
        column.setAlignment(row, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(3)
        self.set_theme(theme)

    @property
    def text(self) -> str:
        """What it says, title first."""
        return f"{self._title.text()}\n{self._text.text()}"

    def show_missing(self, text: str) -> None:
        """No store was found: say where was looked."""
        self._show(self.tr("No Hermes conversations found"), text, is_found=False)

    def show_empty(self, folder: str) -> None:
        """The store has no session: say which folder it is, and where conversations may be instead."""
        text = self.tr(
            "{} has no sessions, and no backup, database or journal beside it has any. Choose another folder, or add "
            "a backup that may hold them."
        )
        self._show(self.tr("There are no conversations here"), text.format(folder), is_found=False, can_add=True)

    def show_unreadable(self, text: str) -> None:
        """The store cannot be read: say which file, why, and what to do."""
        self._show(self.tr("The conversations cannot be read"), text, is_found=True)

    def _show(self, title: str, text: str, *, is_found: bool, can_add: bool = False) -> None:
        self._is_found = is_found
        self._title.setText(title)
        self._text.setText(breakable(text))
        self._text.setFixedHeight(self._text.heightForWidth(self._text.width()))
        self._retry.setVisible(is_found)
        self._add.setVisible(can_add)
        self._demo.setVisible(not is_found)
        self._choose.setProperty("primary", not is_found)
        self._choose.style().polish(self._choose)
        self.set_theme(self._theme)
        announce(self, self.text)

    def set_theme(self, theme: Theme) -> None:
        """Draw the icon anew."""
        self._theme = theme
        icon = theme.icon("missing", "lost") if self._is_found else theme.icon("store", "muted")
        self._icon.setPixmap(icon.pixmap(QSize(48, 48)))
