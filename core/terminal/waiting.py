"""Waiting for a WebUI to stop, for what cannot be repaired beside it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click
from hermes_rescue.core.terminal import stops
from hermes_rescue.core.terminal.call import again

if TYPE_CHECKING:
    from hermes_rescue.core import api
    from hermes_rescue.core.terminal.repair_view import RepairView

PAUSE = 1.0
"""Seconds between two looks."""


def repair_the_rest(
    plan: api.Plan, status: int, planned: Callable[[], api.Plan], view: RepairView, *, yes: bool
) -> int:
    """Repair what a running WebUI forbids once it has stopped; ``plan`` was carried out with this exit status before,
    ``planned`` makes a new one. Returns the exit status after all of it; a signal ends the wait.
    """
    from hermes_rescue.core.terminal.repairs import carry_out

    while plan.webui.running and plan.refused and (yes or _agrees(len(plan.refused))):
        stops.announce_at_stop(f"Stopped waiting; what was repaired until then stays. The rest: {again()}")
        if stops.is_requested():  # the signal came when the last session was done
            raise stops.Stopped
        _wait(plan, view)
        plan = planned()
        yes = True
        status = carry_out(plan, view, as_json=False, yes=True, dry_run=False)
    return status


def _agrees(n: int) -> bool:
    try:
        return click.confirm(f"Wait until Hermes WebUI stops, and repair the other {n} then?", default=False)
    except click.Abort:
        return False


def _wait(plan: api.Plan, view: RepairView) -> None:
    from hermes_rescue.core.hermes.webui_status import webui_status

    view.line(f"Waiting for Hermes WebUI to stop. {plan.webui.how_to_stop}")
    sys.stdout.flush()
    while webui_status(plan.store).running:
        time.sleep(PAUSE)
