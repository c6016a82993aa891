"""What a person chooses of the session on show, and the way back from it."""

from __future__ import annotations

from collections.abc import Callable

from hermes_rescue.core.merge.choices import Choices
from hermes_rescue.gui.background.reader import Reading
from hermes_rescue.gui.review.review_pane import ReviewPane
from hermes_rescue.gui.sessions.session_pane import SessionPane
from hermes_rescue.gui.shell.state import Shown
from PySide6.QtCore import QObject, Signal, Slot


class Choosing(QObject):
    """Remembers choices in ``shown`` and has the session read with them. ``changed``: there are others now."""

    changed = Signal()

    def __init__(
        self, table: SessionPane, review: ReviewPane, reading: Reading, shown: Callable[[], Shown], parent: QObject
    ) -> None:
        super().__init__(parent)
        self._table, self._review, self._reading, self._shown = table, review, reading, shown
        review.choices_changed.connect(self._choose)

    @Slot(str, object)
    def _choose(self, session_id: str, choices: Choices) -> None:
        self._shown().choose(session_id, choices)
        self._read(session_id)

    def take_back(self) -> bool:
        """Take back what was chosen last and show its session; False where nothing was chosen."""
        session_id = self._shown().take_back()
        if not session_id:
            return False
        self._review.outdate()  # the boxes on show are those of what was chosen
        if session_id == self._table.current_id:
            self._read(session_id)
        else:
            self._table.select(session_id)  # which has it read
        return True

    def _read(self, session_id: str) -> None:
        self._reading.ask(session_id, self._shown().choices.get(session_id), self._review.pair)
        self.changed.emit()
