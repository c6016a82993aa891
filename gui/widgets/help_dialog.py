"""The keys, and what the words mean."""

from __future__ import annotations

from collections.abc import Sequence

from hermes_rescue.gui.widgets.commands import CONTEXT, Command
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
        for row, command in enumerate(c for c in commands if c.shortcuts):
            native = QKeySequence.SequenceFormat.NativeText
            keys = ", ".join(QKeySequence(k).toString(native) for k in command.shortcuts)
            grid.addWidget(QLabel(keys), row, 0)
            grid.addWidget(QLabel(QCoreApplication.translate(CONTEXT, command.tip)), row, 1)
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
        self.resize(inside.sizeHint().width() + 80, 620)
