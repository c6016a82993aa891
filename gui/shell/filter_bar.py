"""The filter bar: a chip for each state of sessions, and whether the WebUI runs."""

from __future__ import annotations

from collections.abc import Mapping

from hermes_rescue.core.audit.findings import Standing
from hermes_rescue.core.hermes.webui_status import WebUIStatus
from hermes_rescue.gui.view_model.formatting import counted, number
from hermes_rescue.gui.widgets.elided_label import ElidedLabel
from hermes_rescue.gui.widgets.rows import row_layout
from hermes_rescue.gui.widgets.theme import ICON_SIZE, Theme
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QPushButton,
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


class FilterBar(QWidget):
    """How many sessions are in which state, to filter by, and whether the WebUI is running."""

    chosen = Signal(object)
    """A Standing, or "all"."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setProperty("bar", True)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        row = row_layout(self)
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
        self._webui.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
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
