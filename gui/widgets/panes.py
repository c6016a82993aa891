"""How the parts of the window stand together, and the way between them with one key."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QVBoxLayout, QWidget


def focus_next_pane(panes: Sequence[QWidget]) -> None:
    """Give the keyboard to the pane after the one that has it, else to the first; one that does not show, or where
    nothing takes the keyboard, is passed over.
    """
    focused = QApplication.focusWidget()
    at = next(
        (k for k, pane in enumerate(panes) if focused is not None and (pane is focused or pane.isAncestorOf(focused))),
        -1,
    )
    for pane in (*panes[at + 1 :], *panes[: at + 1]):
        target = _target(pane)
        if target is not None:
            target.setFocus(Qt.FocusReason.ShortcutFocusReason)
            return


def stacked(part: QWidget, foot: QWidget) -> QWidget:
    """A part above its foot, which comes and goes: nothing but the lower edge of the part moves."""
    both = QWidget()
    column = QVBoxLayout(both)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(0)
    column.addWidget(part, 1)
    column.addWidget(foot)
    return both


def _target(pane: QWidget) -> QWidget | None:
    """What takes the keyboard in a pane: itself, or the first widget in it that Tab would come to."""
    every = (pane, *pane.findChildren(QWidget)) if pane.isVisible() else ()
    return next(
        (w for w in every if w.isVisible() and w.isEnabled() and w.focusPolicy() & Qt.FocusPolicy.TabFocus), None
    )
