"""The right side: what is wrong with the selected session, which copy holds what, and the difference message by
message.
"""

from __future__ import annotations

import json
from typing import Any

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QSplitter, QVBoxLayout, QWidget

from core import diff
from core.copies import LIVE
from core.proposal import Choices
from gui.coverage_map import CoverageMap
from gui.diff_view import DiffView
from gui.reader import Detail
from gui.session_head import SessionHead
from gui.theme import Theme


class ReviewPane(QWidget):
    """Shows one session in full. ``choices_changed`` carries its id and what the person chose."""

    choices_changed = Signal(str, object)
    next_session_wanted = Signal(int)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.head = SessionHead(theme)
        self.coverage = CoverageMap(theme)
        self.difference = DiffView(theme)
        self._detail: Detail | None = None
        top = QWidget()
        layout = QVBoxLayout(top)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.head)
        layout.addWidget(self.coverage)
        self.splitter = QSplitter(Qt.Orientation.Vertical)
        self.splitter.addWidget(top)
        self.splitter.addWidget(self.difference)
        self.splitter.setStretchFactor(1, 1)
        self.splitter.setChildrenCollapsible(False)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.splitter)
        self.coverage.jumped.connect(self.difference.go_to_position)
        self.difference.versions_chosen.connect(self._compare)
        self.difference.choice_changed.connect(self._on_choice)
        self.difference.end_reached.connect(self.next_session_wanted)
        self.clear("")

    @property
    def session_id(self) -> str:
        """The session that is shown, "" for none."""
        return self._detail.audited.session_id if self._detail is not None else ""

    def show_detail(self, detail: Detail) -> None:
        """Show a session that was read."""
        self._detail = detail
        self._show_summary()
        right = diff.RECOVERED if diff.RECOVERED in detail.versions else LIVE
        self._compare(LIVE, right)

    def update_summary(self, detail: Detail) -> None:
        """The same session after a choice: what is counted changes, the list of messages stays where it is."""
        self._detail = detail
        self._show_summary()

    def clear(self, text: str) -> None:
        """Nothing is selected, or it is being read, or cannot be."""
        self._detail = None
        self.head.clear()
        self.coverage.set_proposal(None)
        self.difference.clear(text)

    def _show_summary(self) -> None:
        assert self._detail is not None
        self.head.show_session(self._detail.audited, self._detail.proposal)
        self.coverage.set_proposal(self._detail.proposal)

    @Slot(str, str)
    def _compare(self, left: str, right: str) -> None:
        detail = self._detail
        if detail is None:
            return
        names = [LIVE, *(name for name in detail.versions if name != LIVE)]
        empty = diff.Version(LIVE, (), {})
        sides = [detail.versions.get(name, empty) for name in (left, right)]
        found = diff.compare(sides[0], sides[1], detail.proposal)
        choosing = (left, right) == (LIVE, diff.RECOVERED)
        rows = detail.review if choosing else found.messages
        self.difference.set_versions(names, left, right)
        self.difference.show_rows(rows, found.fields, (_raw(sides[0]), _raw(sides[1])), choosing=choosing)

    @Slot(object)
    def _on_choice(self, choices: Choices) -> None:
        if self._detail is not None:
            self.choices_changed.emit(self.session_id, choices)

    def set_theme(self, theme: Theme) -> None:
        """Draw everything anew."""
        for part in (self.head, self.coverage, self.difference):
            part.set_theme(theme)


def _raw(version: diff.Version) -> str:
    """The JSON lines of a version."""
    document: dict[str, Any] = {**version.fields, "messages": [m.piece.value for m in version.messages]}
    return json.dumps(document, ensure_ascii=False, indent=2)
