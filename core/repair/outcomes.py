"""What became of a run and of each of its sessions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hermes_rescue.core.base.errors import RescueError
from hermes_rescue.core.base.words import counted


class State(StrEnum):
    """What became of a session in a run."""

    REPAIRED = "repaired"
    SKIPPED = "skipped"
    FAILED = "failed"
    ROLLED_BACK = "rolled back"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one session, with the reason where it was not repaired."""

    session_id: str
    state: State
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """A run that was done. ``run_id`` is None where nothing had to be written; ``relisted``: sessions that only the
    session list lacked, which has them again.
    """

    run_id: str | None
    outcomes: tuple[Outcome, ...]
    index_rebuilt: bool
    cancelled: bool = False
    relisted: tuple[str, ...] = ()

    def count(self, state: State) -> int:
        """How many sessions came to a state."""
        return sum(outcome.state is state for outcome in self.outcomes)


class RunBrokenError(RescueError):
    """A run ended before its end: ``repaired`` sessions of ``count`` are written and verified; it can be finished, or
    rolled back by its ``run_id``.
    """

    def __init__(self, reason: str, run_id: str, repaired: int, count: int) -> None:
        done_so_far = f"{repaired} of {counted(count, 'session was', 'sessions were')} repaired"
        super().__init__(f"{reason} {done_so_far}; the repair {run_id} is not finished.")
        self.run_id = run_id
