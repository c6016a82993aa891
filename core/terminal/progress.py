"""How far a command is, as lines of JSON on stderr for the program that called it."""

from __future__ import annotations

import sys
import time

from hermes_rescue.core.audit.workers import Progress
from hermes_rescue.core.report.report import answer_of

PAUSE = 0.5
"""Seconds between two lines at least; the last one always comes."""


def as_lines(task: str) -> Progress:
    """Tells how far a piece of work is, which is named for a person."""
    due, last = 0.0, (-1.0, -1)

    def report(done: float, total: int) -> None:
        nonlocal due, last
        if (done < total and time.monotonic() < due) or (done, total) == last:
            return
        due, last = time.monotonic() + PAUSE, (done, total)
        facts = {"event": "progress", "task": task, "done": round(done, 3), "total": total}
        print(answer_of(facts, indent=None), file=sys.stderr, flush=True)

    return report
