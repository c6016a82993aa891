"""Search in what was said: in every copy of every session, also in what is lost, left out or deleted, and in the
sessions of other programs in the database. Nothing that is read is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from hermes_rescue.core.audit.workers import Failure, Progress, over_sessions
from hermes_rescue.core.base.files import shown
from hermes_rescue.core.base.progress import stop_if_asked
from hermes_rescue.core.hermes.database.statedb_rows import SessionRow
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.hermes.webui_status import webui_status
from hermes_rescue.core.search.query import Query
from hermes_rescue.core.search.session_search import Looked, SessionHits, look


@dataclass(frozen=True, slots=True)
class Unread:
    """What could not be searched, or not in full: a session, or a file (None: the reason names it)."""

    session_id: str | None
    reason: str


def search(
    store: Store,
    query: Query,
    *,
    progress: Progress | None = None,
    should_cancel: Callable[[], bool] | None = None,
) -> Iterator[list[SessionHits | Unread]]:
    """What is found in a store, in batches as it is found, the newest sessions first; a batch comes several times a
    second, and can be empty. Changes nothing.

    Raises :class:`core.audit.workers.Cancelled` when ``should_cancel`` says so; closing the iterator stops the search
    too.
    """
    webui = webui_status(store)
    inventory = Inventory(store)  # of very many sessions it takes a while to know them all
    stop_if_asked(should_cancel)
    with inventory:
        stop_if_asked(should_cancel)
        found = over_sessions(
            partial(look, query=query),
            inventory,
            webui,
            _session_ids(inventory),
            progress=progress,
            should_cancel=should_cancel,
            apart=query.is_pattern,  # nothing else stops one that takes for ever
        )
        for batch in found:
            yield [each for looked in batch for each in _hits(looked)]
        facts = (fact for fact in inventory.database_facts if fact.state not in ("ok", "absent"))
        problems = (*inventory.problems, *(f"{shown(fact.path)}: {fact.reason}" for fact in facts))
        yield [Unread(None, problem) for problem in problems]


def _hits(looked: Looked | Failure) -> Iterator[SessionHits | Unread]:
    if isinstance(looked, Failure):
        yield Unread(looked.session_id, looked.reason)
        return
    if looked.hits is not None:
        yield looked.hits
    yield from (Unread(looked.session_id, problem) for problem in looked.problems)


def _session_ids(inventory: Inventory) -> list[str]:
    """The sessions of the store and those of other programs, the newest first as far as the session list shows."""
    listing = inventory.listing
    own = dict.fromkeys(inventory.session_ids())
    rows = [*listing.rows.values()]
    others = {each for found in rows for each in found if each not in own}
    for each in [*others]:
        owner = listing.lineage.owners.get(each)
        if owner is not None and all(_ids(found.get(each, ())) <= _ids(found.get(owner, ())) for found in rows):
            others.discard(each)  # read as a part of the other one

    return [*sorted(own, key=lambda session_id: -listing.index.updated(session_id)), *sorted(others)]


def _ids(rows: Iterable[SessionRow]) -> set[str]:
    return {row.id for row in rows}
