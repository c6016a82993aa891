"""The command ``watch`` of the terminal front: what changes in a store, as lines of JSON."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import click
from hermes_rescue.core.base.errors import RescueError
from hermes_rescue.core.terminal import streams
from hermes_rescue.core.terminal.call import Call, on_a_store
from hermes_rescue.core.terminal.commands import NOTHING_LEFT, _audited, _view, app

MOST_LOOKS = 30
"""Looks after which a store is audited although it has not settled, or has not changed: time alone makes an interrupted
save of one that was on its way, and a WebUI ends without a trace in the files."""

SHORTEST, LONGEST = 0.1, 86_400
"""Seconds between two looks that can be asked for."""

IDLE = 5.0
"""How many times as long as it works the command rests at least."""


def _seconds(text: str) -> float:
    """A time to wait. Raises BadParameter for what is none, or too short or long."""
    with suppress(ValueError):
        if SHORTEST <= (seconds := float(text)) <= LONGEST:
            return seconds
    raise click.BadParameter(f"{text} is not a number of seconds from {SHORTEST} to {LONGEST}.")


@app.command()
@click.option(
    "--interval", default=5.0, type=_seconds, metavar="SECONDS", help="How long to wait between two looks (default: 5)."
)
@on_a_store
def watch(call: Call, *, interval: float) -> int:
    """Audit again whenever the files of a store have settled; print a line of JSON for each change. Changes nothing.

    The first line says how the store stands. It runs until it is stopped (Ctrl+C, SIGTERM).
    """
    from hermes_rescue.core.report.report import answer_of

    for facts in _changes(call, interval):
        print(answer_of(facts, indent=None))
        sys.stdout.flush()
        if streams.problem_of(sys.stdout) is not None:  # nobody reads any more
            break
    return NOTHING_LEFT


def _changes(call: Call, interval: float) -> Iterator[Mapping[str, Any]]:
    """What is to be printed, without an end. Raises RescueError where the store cannot be looked at from the start."""
    from hermes_rescue.core.audit.footprint import footprint
    from hermes_rescue.core.report import changes

    view, store = _view(call), call.find_store()
    audited = footprint(store)
    found = _audited(view, store)
    yield changes.start(found, interval)
    began = time.monotonic()  # the first audit has to read everything, those that follow do not
    last, looks, problem = audited, 0, None
    while True:
        gc.collect()  # which is switched off for commands that end
        time.sleep(max(interval, IDLE * (time.monotonic() - began)))
        began = time.monotonic()
        now = footprint(store)
        is_settled, last, looks = now == last, now, looks + 1
        if looks < MOST_LOOKS and (now == audited or not is_settled):
            continue
        audited, looks, earlier = now, 0, problem
        try:
            store = call.find_store()
            before, found, problem = found, _audited(view, store), None
        except (RescueError, OSError) as error:
            problem = str(error)
        if problem != earlier:
            yield changes.problem(problem)
        if problem is None:
            yield from changes.changes(before, found)
