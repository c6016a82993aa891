"""What a person chooses of the session on show, and the way back from it; both outlive the window."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable
from hashlib import sha256

import msgspec
from hermes_rescue.core.audit.findings import SessionAudit
from hermes_rescue.core.audit.store_audit import Audit
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.merge.choices import Choices
from hermes_rescue.gui.background.reader import Detail, ReaderProxy
from hermes_rescue.gui.review.review_pane import ReviewPane
from hermes_rescue.gui.sessions.session_pane import SessionPane
from hermes_rescue.gui.shell.state import Shown
from hermes_rescue.gui.shell.window_settings import WindowSettings
from hermes_rescue.gui.view_model.formatting import counted
from PySide6.QtCore import QObject, QTimer, Signal, Slot

_QUIET = 500
"""Milliseconds without a further choice after which they are written."""


class Choosing(QObject):
    """Remembers choices in ``shown`` and has the session read with them. ``changed``: there are others now;
    ``outdated``: some no longer count, in words.

    They are kept in the person's own settings, by store, since a look at a store leaves no trace in it. Each is bound
    to the proposal that it was made on, so what has changed meanwhile gets none of it.
    """

    changed = Signal()
    outdated = Signal(str)

    def __init__(
        self,
        table: SessionPane,
        review: ReviewPane,
        reading: ReaderProxy,
        memory: WindowSettings,
        shown: Callable[[], Shown],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._table, self._review, self._reading, self._shown = table, review, reading, shown
        self._memory = memory
        self._dropped: set[str] = set()
        self._restored: Shown | None = None
        self._pause = QTimer(self, singleShot=True, interval=_QUIET)
        self._pause.timeout.connect(self.keep)
        self.changed.connect(self._pause.start)
        self.changed.connect(lambda: table.sessions.show_choices(self._shown().choices))
        review.choices_changed.connect(self._choose)
        reading.found.connect(self._restore)
        reading.audited.connect(self._compare)
        reading.scanned.connect(self._show_dropped)
        reading.detailed.connect(self._on_detail)

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
            self.changed.emit()
        return True

    def reset(self, session_ids: Iterable[str]) -> None:
        """Choose nothing of these sessions any more; that can be taken back, session by session."""
        for session_id in session_ids:
            self._shown().choose(session_id, Choices())
        self._review.outdate()
        self._read(self._table.current_id)

    def forget(self, session_ids: Collection[str]) -> None:
        """What was chosen of these sessions no longer counts."""
        self._shown().forget(*session_ids)
        self.changed.emit()

    def keep(self) -> None:
        """Write what is chosen where the next window finds it."""
        self._pause.stop()
        known = self._shown()
        if known.store is not None:
            kept = json.dumps(msgspec.to_builtins(known.choices)) if known.choices else ""
            self._memory.keep_choices(_name_of(known.store), kept)

    @Slot(object)
    def _restore(self, store: Store) -> None:
        """A store is shown: what was chosen of it in another window counts again, and can be taken back session by
        session.
        """
        known = self._shown()
        if known is self._restored:
            return  # it is only checked again
        self._restored = known
        for session_id, choices in _choices_in(self._memory.choices(_name_of(store))).items():
            known.choose(session_id, choices)
        self.changed.emit()

    @Slot(object)
    def _compare(self, sessions: tuple[SessionAudit, ...]) -> None:
        """Some sessions were checked: drop what was chosen of another state of them, where that shows already."""
        choices = self._shown().choices
        gone = [
            each.session_id
            for each in sessions
            if each.basis and each.session_id in choices and each.fingerprint != choices[each.session_id].made_on
        ]
        self._drop(gone)

    def _drop(self, session_ids: Collection[str]) -> None:
        self._dropped.update(session_ids)
        if session_ids:
            self.forget(session_ids)

    @Slot(object)
    def _show_dropped(self, audit: Audit) -> None:
        if choices := self._shown().choices:
            known = {each.session_id for each in audit.sessions}
            self._drop([each for each in choices if each not in known])
        if self._dropped:
            words = self.tr("The copies of {} have changed since you chose. Your choices no longer count.")
            self.outdated.emit(words.format(counted(len(self._dropped), "session")))
        self._dropped.clear()

    @Slot(object)
    def _on_detail(self, detail: Detail | None) -> None:
        if detail is not None and detail.proposal.is_outdated:
            self.forget((detail.audited.session_id,))
            self.outdated.emit(
                self.tr("The copies of this session have changed since you chose. Your choices no longer count.")
            )

    def _read(self, session_id: str) -> None:
        self._reading.ask(session_id, self._shown().choices.get(session_id), self._review.pair)
        self.changed.emit()


def _name_of(store: Store) -> str:
    """What the choices of a store are kept under."""
    return sha256(os.fsencode(store.sessions_dir.absolute())).hexdigest()[:32]


def _choices_in(kept: str) -> dict[str, Choices]:
    """What was kept, as far as it is what this program keeps."""
    try:
        return msgspec.json.decode(kept, type=dict[str, Choices]) if kept else {}
    except msgspec.MsgspecError:
        return {}
