"""What the rows of controls around the panes have in common."""

from __future__ import annotations

from PySide6.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QWidget,
)


def row_layout(parent: QWidget, *, margins: tuple[int, int, int, int] = (14, 8, 14, 8)) -> QHBoxLayout:
    """The layout of a row of controls."""
    row = QHBoxLayout(parent)
    row.setContentsMargins(*margins)
    row.setSpacing(8)
    return row


def keep_width(button: QPushButton, text: str) -> None:
    """Let a button be as wide as with a longer text, so that what is beside it stays where it is."""
    label = button.text()
    button.setText(text)
    button.setMinimumWidth(button.sizeHint().width())
    button.setText(label)
