"""What a person asks to have done with the store, on its way to the writer: which sessions it is about, and whether it
can be done now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from hermes_rescue.core import api
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.gui.repairs.writer import Writer
from hermes_rescue.gui.shell.search_places import SearchPlaces
from hermes_rescue.gui.shell.state import Shown


class Requests:
    """``shown`` answers with what is known of the store; ``prepare`` turns the window to a work, and answers whether it
    could.
    """

    def __init__(
        self, writer: Writer, places: SearchPlaces, shown: Callable[[], Shown], prepare: Callable[[], bool]
    ) -> None:
        self._writer = writer
        self._places = places
        self._shown = shown
        self._prepare = prepare

    def repair(self, session_ids: Sequence[str] | None) -> None:
        """Repair some sessions; None for all that have one right answer."""
        store, choices = self._shown().store, self._shown().choices
        if store is not None and session_ids != [] and self._prepare():
            chosen = {sid: c for sid, c in choices.items() if session_ids is None or sid in session_ids}
            self._writer.repair(store, session_ids, chosen)

    def repair_copy(self) -> None:
        """Restore the selected session under a new id."""
        store, selected = self._shown().store, self._places.selected_ids()
        if store is not None and len(selected) == 1 and self._prepare():
            self._writer.repair_copy(store, selected[0], self._shown().choices.get(selected[0]))

    def import_files(self, store: Store, files: Sequence[Path]) -> None:
        """Bring in what files add."""
        if self._prepare():
            self._writer.import_files(store, files)

    def undo(self, run_id: str, session_id: str) -> None:
        """Put back a run ("" for the newest), or one session of it ("" for all)."""
        undoable = api.undoable(self._shown().runs)
        run_id = run_id or (undoable[0].run_id if undoable else "")
        store = self._shown().store
        if store is not None and run_id and self._prepare():
            self._writer.ask_undo(store, run_id, session_id)

    def leave(self, session_id: str, is_left: bool) -> None:
        """Leave a session as it is, or have it asked about again."""
        store = self._shown().store
        if store is not None and self._prepare():
            self._writer.leave(store, session_id, is_left=is_left)

    def save_copies(self, form: str, name: str) -> None:
        """Save one copy of each selected session."""
        store, selected = self._shown().store, self._places.selected_ids()
        if store is not None and selected and self._prepare():
            chosen = {sid: c for sid, c in self._shown().choices.items() if sid in selected}
            self._writer.save_copies(store, selected, form, name, chosen)

    def export(self, run_id: str, session_id: str = "", *, is_chosen: bool = True) -> None:
        """Write a report of a run, or of the audit ("")."""
        store, audit = self._shown().store, self._shown().audit
        sessions = [session_id] if session_id else [] if run_id else self._places.selected_ids()
        if store is not None and (run_id or audit is not None) and self._prepare():
            self._writer.export(store, audit, run_id, sessions, is_chosen=is_chosen)
