"""The keys, and what the words mean."""

from __future__ import annotations

from collections.abc import Sequence

from hermes_rescue.gui.widgets.commands import CONTEXT, Command
from hermes_rescue.gui.widgets.fitting import resize_within_screen
from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)


class HelpDialog(QDialog):
    """What the keys do."""

    def __init__(self, commands: Sequence[Command], parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Keyboard shortcuts and terms"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        grid = QGridLayout()
        grid.setHorizontalSpacing(24)
        grid.setColumnStretch(1, 1)
        of_commands = [(command.shortcuts, QCoreApplication.translate(CONTEXT, command.tip)) for command in commands]
        for row, (shortcuts, tip) in enumerate(line for line in (*self._of_lists(), *of_commands) if line[0]):
            native = QKeySequence.SequenceFormat.NativeText
            keys = ", ".join(QKeySequence(k).toString(native) for k in shortcuts)
            grid.addWidget(QLabel(keys), row, 0)
            grid.addWidget(QLabel(tip), row, 1)
        inside = QWidget()
        inside.setLayout(grid)
        area = QScrollArea()
        area.setWidget(inside)
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setAccessibleName(self.tr("Keys and what they do"))
        words = QLabel(
            self.tr(
                "Live: the file that Hermes WebUI shows. Backup: what it kept before its last shrinking save. "
                "Database: the agent's own copy. After: the messages that a repair leaves."
            )
        )
        words.setWordWrap(True)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(10)
        column.addWidget(area, 1)
        column.addWidget(words)
        column.addWidget(buttons)
        resize_within_screen(self, inside.sizeHint().width() + 80, 620)

    def _of_lists(self) -> tuple[tuple[tuple[str, ...], str], ...]:
        """What the keys do where the sessions or their messages have the keyboard."""
        return (
            (("Return",), self.tr("Go from a session to its conversation; there, open or close what is folded")),
            (
                ("Space",),
                self.tr("Scroll the conversation of the session; among the changes, check the message or not"),
            ),
            (("Shift+Space",), self.tr("Scroll the conversation of the session back")),
            (("Escape",), self.tr("Select one session only; then show all of them again; then put the result away")),
            (("F3", "Shift+F3"), self.tr("Go to the next or the previous hit in the conversation")),
        )
