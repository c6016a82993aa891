"""What the window is doing, as one value, the one function that says what may follow, and what is known of its store.

Nothing here knows of a widget or of a thread.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from enum import StrEnum

from hermes_rescue.core.audit.findings import Category
from hermes_rescue.core.audit.store_audit import Audit
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.merge.choices import Choices
from hermes_rescue.core.repair.apply import undoable
from hermes_rescue.core.repair.run_record import Run
from hermes_rescue.core.report.export import FORMS
from hermes_rescue.gui.background.store_location import StoreLocation


class Phase(StrEnum):
    """What the window is doing."""

    NO_STORE = "no store"
    SCANNING = "scanning"
    READY = "ready"
    PREPARING = "preparing"
    WRITING = "writing"
    CLOSING = "closing"


class Event(StrEnum):
    """What can happen to it."""

    OPEN = "another store is to be shown"
    SCAN = "the sessions are to be checked"
    SCANNED = "the check has come to an end"
    LOST = "there is no store, or it cannot be read"
    PREPARE = "something is planned or asked about"
    WRITE = "something is to be written"
    END = "what was prepared or written has come to an end"
    CLOSE = "the window is to close"


@dataclass(frozen=True, slots=True)
class State:
    """``store`` is NO_STORE, SCANNING or READY, whatever goes on beside it; ``work`` is PREPARING, WRITING or CLOSING,
    None for none of them. ``token`` is another one for each store that is opened: a result that bears an older one is
    about a store that is no longer shown. ``next``: the store to open when the writing has ended.
    """

    store: Phase = Phase.NO_STORE
    work: Phase | None = None
    token: int = 0
    next: StoreLocation | None = None

    @property
    def phase(self) -> Phase:
        """What the window is doing; work goes before the check that may go on beside it."""
        return self.work or self.store


def after(state: State, event: Event, place: StoreLocation | None = None) -> State | None:
    """The state that an event leads to; None where it changes nothing, because it cannot come now. ``place`` is what
    OPEN is about.
    """
    if state.work is Phase.CLOSING:
        return None
    match event:
        case Event.OPEN if state.work is Phase.WRITING:  # its results are about the store of now
            return replace(state, next=place)
        case Event.OPEN:
            return State(Phase.SCANNING, token=state.token + 1)
        case Event.SCAN if state.work is None:
            return replace(state, store=Phase.SCANNING)
        case Event.SCANNED if state.store is Phase.SCANNING:
            return replace(state, store=Phase.READY)
        case Event.LOST:
            return replace(state, store=Phase.NO_STORE)
        case Event.PREPARE if state.work is None and state.store is not Phase.NO_STORE:
            return replace(state, work=Phase.PREPARING)
        case Event.WRITE if state.work is not Phase.WRITING:
            return replace(state, work=Phase.WRITING)
        case Event.END if state.work is not None:
            return replace(state, work=None)
        case Event.CLOSE:
            return replace(state, work=Phase.CLOSING)
    return None


_NONE = Choices()


@dataclass(slots=True)
class Shown:
    """What is known of the store in the window: another store begins with a new one, so nothing of it is left.
    ``choices`` are what a person chose, by session id, ``earlier`` what it was before each of them, the newest last;
    ``last_run`` is the run that the result on show can undo, ``last_done`` what was done last and ``checked`` what was
    checked, in words; ``webui`` is the address of its running WebUI, "" where none is known.
    """

    place: StoreLocation
    store: Store | None = None
    audit: Audit | None = None
    runs: tuple[Run, ...] = ()
    choices: dict[str, Choices] = field(default_factory=dict)
    earlier: list[tuple[str, Choices]] = field(default_factory=list)
    last_run: str = ""
    last_done: str = ""
    checked: str = ""
    webui: str = ""

    def outdate(self) -> None:
        """It is checked again: what the check before said is no longer so. What a person chose stays."""
        self.audit, self.runs = None, ()

    def choose(self, session_id: str, choices: Choices) -> None:
        """Remember what was chosen of a session."""
        before = self.choices.get(session_id, _NONE)
        if choices != before and not (choices.are_none and before.are_none):
            self.earlier.append((session_id, before))
            self._set(session_id, choices)

    def take_back(self) -> str:
        """Take back what was chosen last; the session that it was chosen of, "" where there is nothing to take back."""
        if not self.earlier:
            return ""
        session_id, before = self.earlier.pop()
        self._set(session_id, before)
        return session_id

    def _set(self, session_id: str, choices: Choices) -> None:
        self.choices.pop(session_id, None)
        if not choices.are_none:
            self.choices[session_id] = choices

    def forget(self, *session_ids: str) -> None:
        """What was chosen of these sessions no longer counts."""
        for session_id in session_ids:
            self.choices.pop(session_id, None)
        self.earlier = [each for each in self.earlier if each[0] not in session_ids]


def possible(state: State, shown: Shown, repairable: int, *, selected: Collection[str]) -> dict[str, bool]:
    """Which actions (names of gui.commands) can be done now, with so many sessions that have one right answer, and
    those that are ``selected``.
    """
    has_selected = len(selected) > 0
    is_idle = state.work is None
    is_free = shown.store is not None and state.store is not Phase.NO_STORE and is_idle
    of_store = shown.audit.store_findings if shown.audit is not None else ()
    is_unfinished = any(run.status == "interrupted" for run in shown.runs)
    is_wanted = repairable > 0 or is_unfinished or any(f.category is Category.REPAIRABLE for f in of_store)
    return {
        "repair_all": is_free and is_wanted,
        "repair": is_free and has_selected,
        "repair_copy": is_free and len(selected) == 1,
        "reset_choices": is_free and not shown.choices.keys().isdisjoint(selected),
        "undo": is_free and bool(shown.earlier or undoable(shown.runs)),
        "export": is_free and shown.audit is not None,
        "export_selected": is_free and shown.audit is not None and has_selected,
        "rescan": is_idle,
        "add_backup": is_free,
        "add_folder": is_free,
        "import": is_free,
        "demo": is_idle,
        **{f"save_{form}": is_free and has_selected for form in FORMS},
        "copy_id": has_selected,
        "copy_command": has_selected,
        "compare": has_selected,
        "history": shown.store is not None,
    }
