"""Windows that are no larger than the screen."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

_FRAME = 40
"""Points that a title bar and its borders take at most; how many is known only when the window shows."""


def resize_within_screen(window: QWidget, width: int, height: int) -> None:
    """Give a window a size (points), or as much of it as its screen has room for."""
    room = window.screen().availableSize()
    window.resize(min(width, room.width()), min(height, room.height() - _FRAME))
