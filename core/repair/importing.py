"""Importing: what a place that a person names adds to sessions is the choice; planned and applied like a repair."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from hermes_rescue.core.audit.session import merge_session
from hermes_rescue.core.audit.workers import Failure, Progress, over_sessions
from hermes_rescue.core.base.errors import RescueError
from hermes_rescue.core.base.files import shown
from hermes_rescue.core.base.progress import Steps
from hermes_rescue.core.base.words import counted, plural
from hermes_rescue.core.hermes.copies import CopyReader
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.hermes.webui_status import WebUIStatus, webui_status
from hermes_rescue.core.merge.choices import Choices
from hermes_rescue.core.merge.intent import FROM_ELSEWHERE, TAKEN_BACK, Reason
from hermes_rescue.core.repair.plan import Plan, plan
from hermes_rescue.core.repair.planned import Done

_BY_A_PERSON = frozenset((*TAKEN_BACK, Reason.LEFT_OUT))
"""Why messages stay out that a person may want back after all."""


def import_plan(
    store: Store,
    files: Iterable[Path],
    *,
    force: bool = False,
    progress: Progress | None = None,
    should_cancel: Callable[[], bool] | None = None,
) -> Plan:
    """What importing files would do, which are among the store's further places (``also``); writes nothing.

    Only what these files add is taken; other questions of the sessions stay open. Where they add nothing but messages
    that a person took back or left out, these are refused. Raises RescueError where they hold no session, and as
    :func:`core.repair.plan.plan`.
    """
    roots = frozenset(files)
    webui = webui_status(store)
    found: list[_Found] = []
    with Inventory(store) as inventory:
        of = inventory.listing.places.of
        names = {sid: frozenset(each.name for each in found if each.root in roots) for sid, found in of.items()}
        ids = sorted(sid for sid, copies in names.items() if copies)
        if not ids:
            notes = " ".join(inventory.listing.places.notes)
            raise RescueError(f"No session was found in {', '.join(map(shown, roots))}. {notes}".strip())
        look = partial(_chosen, names=names)
        for batch in over_sessions(look, inventory, webui, ids, progress=progress, should_cancel=should_cancel):
            found += (each for each in batch if not isinstance(each, Failure))
    choices = {each.session_id: each.choices for each in found if each.adds}
    made = plan(store, [*choices], choices=choices, force=force, should_cancel=should_cancel)
    nothing = f"{plural(len(roots), 'The file adds', 'The files add')} no message to the sessions that are here."
    made = replace(made, done=Done.IMPORTED, nothing=nothing)
    if not choices:
        refused = {each.session_id: each.refusal for each in found if each.left_out}
        return replace(made, rebuild_index=False, refused=refused)
    return made


@dataclass(frozen=True, slots=True)
class _Found:
    """What the named copies have for a session: the choice of everything that only they have, and the reason of each
    message that stays out, since a person took it back or left it out. ``adds``: something comes of it, be it the file
    that was missing.
    """

    session_id: str
    choices: Choices
    left_out: Sequence[Reason]
    adds: bool

    @property
    def refusal(self) -> str:
        """Why nothing is taken, where messages stay out."""
        they = counted(len(self.left_out), "message")
        why = " ".join(dict.fromkeys(reason.sentence for reason in self.left_out))
        return f"The files add only {they} that {plural(len(self.left_out), 'stays', 'stay')} out. {why}"


def _chosen(
    reader: CopyReader, webui: WebUIStatus, session_id: str, steps: Steps, *, names: dict[str, frozenset[str]]
) -> _Found:
    copies, proposal = merge_session(reader, webui, session_id, steps=steps)
    named = names[session_id]
    held = {k: i.reason for k, i in enumerate(proposal.items) if not named.isdisjoint(i.copies)}
    added = frozenset(k for k, reason in held.items() if reason in FROM_ELSEWHERE)
    choices = Choices(include=added, made_on=proposal.fingerprint, imported=named)
    is_missing = copies.live is None and bool(proposal.included)
    adds = is_missing or bool(added) or any(not named.isdisjoint(each) for each in proposal.fuller)
    return _Found(session_id, choices, [reason for reason in held.values() if reason in _BY_A_PERSON], adds)
