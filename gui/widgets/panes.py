"""How the parts of the window stand together, and the way between them with one key."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QVBoxLayout, QWidget

ENTRY = "entry"
"""The property of a widget to which the way from pane to pane leads, whatever stands before it in its pane."""


def focus_next_pane(panes: Sequence[QWidget]) -> None:
    """Give the keyboard to the pane after the one that has it, else to the first; one that does not show, or where
    nothing takes the keyboard, is passed over. Of a pane that lies in another one the inner one counts.
    """
    focused = QApplication.focusWidget()
    has_it = [focused is not None and (pane is focused or pane.isAncestorOf(focused)) for pane in panes]
    at = max((k for k, has in enumerate(has_it) if has), default=-1)
    for pane in (*panes[at + 1 :], *panes[: at + 1]):
        target = _target(pane)
        if target is not None:
            target.setFocus(Qt.FocusReason.ShortcutFocusReason)
            return


def stacked(*parts: QWidget, growing: QWidget) -> QWidget:
    """Parts one above the other. One of them has all the room that the others leave, which come and go."""
    all_of_them = QWidget()
    column = QVBoxLayout(all_of_them)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(0)
    for part in parts:
        column.addWidget(part, int(part is growing))
    return all_of_them


def in_reading_order(*parts: QWidget) -> None:
    """Have the parts of a widget read out in this order, before its others."""
    for part in reversed(parts):
        part.lower()


def _target(pane: QWidget) -> QWidget | None:
    """What takes the keyboard in a pane: its entry, or the first widget in it that Tab would come to."""
    every = (pane, *pane.findChildren(QWidget)) if pane.isVisible() else ()
    stops = [w for w in every if w.isVisible() and w.isEnabled() and w.focusPolicy() & Qt.FocusPolicy.TabFocus]
    return next((w for w in stops if w.property(ENTRY)), stops[0] if stops else None)
