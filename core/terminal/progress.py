"""How far a command is and what it has to say, as lines of JSON on stderr for the program that called it."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hermes_rescue.core.audit.workers import Progress

OPTION = "--json-progress"

PAUSE = 0.5
"""Seconds between two lines at least; the last one always comes."""


def is_asked() -> bool:
    """Whether this command reports to a program; also where what was typed is wrong otherwise."""
    return OPTION in sys.argv[1:]


def notice(text: str, status: int | None = None) -> str:
    """The line for a sentence; ``status`` is the exit status where the command ends with it."""
    return _line({"event": "notice", "text": text, "exit_status": status})


def as_lines(task: str) -> Progress:
    """Tells how far a piece of work is, which is named for a person."""
    due, last = 0.0, (-1.0, -1)

    def report(done: float, total: int) -> None:
        nonlocal due, last
        if (done < total and time.monotonic() < due) or (done, total) == last:
            return
        due, last = time.monotonic() + PAUSE, (done, total)
        facts = {"event": "progress", "task": task, "done": round(done, 3), "total": total}
        print(_line(facts), file=sys.stderr, flush=True)

    return report


def _line(facts: dict[str, Any]) -> str:
    from hermes_rescue.core.report.report import answer_of  # not on the way to what was typed wrongly

    return answer_of(facts, indent=None)
