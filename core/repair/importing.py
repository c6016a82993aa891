"""Importing: what a place that a person names adds to sessions is the choice; planned and applied like a repair."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from hermes_rescue.core.audit.session import merge_session
from hermes_rescue.core.audit.workers import Failure, Progress, over_sessions
from hermes_rescue.core.base.errors import RescueError
from hermes_rescue.core.base.files import shown
from hermes_rescue.core.base.progress import Steps
from hermes_rescue.core.hermes.copies import CopyReader, Inventory
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.hermes.webui_status import WebUIStatus, webui_status
from hermes_rescue.core.merge.choices import Choices
from hermes_rescue.core.merge.intent import Reason
from hermes_rescue.core.repair.plan import Plan, plan


def import_plan(
    store: Store,
    files: Iterable[Path],
    *,
    force: bool = False,
    progress: Progress | None = None,
    should_cancel: Callable[[], bool] | None = None,
) -> Plan:
    """What importing files would do, which are among the store's further places (``also``); writes nothing.

    Only what these files add is taken; other questions of the sessions stay open. Raises RescueError where they hold no
    session, and as :func:`core.repair.plan.plan`.
    """
    roots = frozenset(files)
    webui = webui_status(store)
    choices: dict[str, Choices] = {}
    with Inventory(store) as inventory:
        of = inventory.listing.places.of
        names = {sid: frozenset(each.name for each in found if each.root in roots) for sid, found in of.items()}
        ids = sorted(sid for sid, copies in names.items() if copies)
        if not ids:
            notes = " ".join(inventory.listing.places.notes)
            raise RescueError(f"No session was found in {', '.join(map(shown, roots))}. {notes}".strip())
        look = partial(_chosen, names=names)
        for batch in over_sessions(look, inventory, webui, ids, progress=progress, should_cancel=should_cancel):
            choices |= dict(each for each in batch if not isinstance(each, Failure) and each[1].include)
    if not choices:
        return replace(plan(store, (), force=force), rebuild_index=False)
    return plan(store, [*choices], choices=choices, force=force, should_cancel=should_cancel)


def _chosen(
    reader: CopyReader, webui: WebUIStatus, session_id: str, steps: Steps, *, names: dict[str, frozenset[str]]
) -> tuple[str, Choices]:
    """The choice of everything that only the named copies of a session have."""
    _, proposal = merge_session(reader, webui, session_id, steps=steps)
    added = (
        k
        for k, item in enumerate(proposal.items)
        if item.reason is Reason.FURTHER and not names[session_id].isdisjoint(item.copies)
    )
    return session_id, Choices(include=frozenset(added), made_on=proposal.fingerprint, leaves_open=True)
