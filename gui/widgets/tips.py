"""Tips of widgets that show untrusted texts."""

from __future__ import annotations

from hermes_rescue.gui.view_model.formatting import plain_tip
from PySide6.QtWidgets import QWidget


def show_tip(widget: QWidget, text: str) -> None:
    """Give a widget a tip that shows a text as it is, "" for none. It is read out without the markup of the tip, which
    Qt would take for a description.
    """
    widget.setToolTip(plain_tip(text) if text else "")
    widget.setAccessibleDescription(text)
