"""What the window remembers from one time to the next."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QByteArray, QSettings

_RECENT = 8


class WindowSettings:
    """Typed access to the settings; whatever is not of the expected kind counts as forgotten."""

    def __init__(self, settings: QSettings) -> None:
        self._settings = settings

    @property
    def theme(self) -> str:
        """The theme that the person chose: "system", or one of gui.theme.NAMES."""
        return str(self._settings.value("theme", "system"))

    @theme.setter
    def theme(self, choice: str) -> None:
        self._settings.setValue("theme", choice)

    @property
    def zoom(self) -> float:
        """The size of the text as a share of the system's."""
        value = self._settings.value("zoom", 1.0)
        try:
            zoom = float(str(value))
        except ValueError:
            return 1.0
        return 1.0 if math.isnan(zoom) else min(max(zoom, 0.5), 3.0)

    @zoom.setter
    def zoom(self, zoom: float) -> None:
        self._settings.setValue("zoom", zoom)

    @property
    def mode(self) -> str:
        """How differences are shown, "unified" or "split"."""
        return "split" if self._settings.value("mode") == "split" else "unified"

    @mode.setter
    def mode(self, mode: str) -> None:
        self._settings.setValue("mode", mode)

    @property
    def is_table(self) -> bool:
        """Whether the sessions are shown as a table."""
        return bool(self._settings.value("sessions") == "table")

    @is_table.setter
    def is_table(self, on: bool) -> None:
        self._settings.setValue("sessions", "table" if on else "list")

    @property
    def recent(self) -> list[str]:
        """The places that were opened last, newest first."""
        value = self._settings.value("recent", [])
        return [str(path) for path in value] if isinstance(value, list) else [str(value)] if value else []

    def opened(self, path: str) -> None:
        """A place was opened."""
        self._settings.setValue("recent", [path, *(other for other in self.recent if other != path)][:_RECENT])

    def choices(self, store: str) -> str:
        """What was chosen of the sessions of a store, as it was kept; "" for nothing."""
        value = self._settings.value(f"choices/{store}", "")
        return value if isinstance(value, str) else ""

    def keep_choices(self, store: str, choices: str) -> None:
        """Keep what is chosen of the sessions of a store."""
        if choices:
            self._settings.setValue(f"choices/{store}", choices)
        else:
            self._settings.remove(f"choices/{store}")

    def state(self, name: str) -> QByteArray | None:
        """The state of a part of the window, as it was kept."""
        value = self._settings.value(name)
        return value if isinstance(value, QByteArray) else None

    def keep(self, states: Sequence[tuple[str, QByteArray]]) -> None:
        """Keep the states of parts of the window."""
        for name, state in states:
            self._settings.setValue(name, state)
