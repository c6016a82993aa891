"""The findings of a store, by content: each session's copies are merged, and what the merge would change is the
finding.

Nothing is written. One finding a session and kind; one bad session never stops the rest.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from hermes_rescue.core.audit.cache import AuditCache, Kept, RowsDigest, digest_of, keys_of, marks_of
from hermes_rescue.core.audit.elsewhere import FoundPlace, found_places
from hermes_rescue.core.audit.findings import OTHER_STATE_DIR, Category, Finding, SessionAudit, Standing, finding
from hermes_rescue.core.audit.marker import marker
from hermes_rescue.core.audit.webui_audit import Reported, webui_items
from hermes_rescue.core.audit.workers import Failure, Progress, over_sessions
from hermes_rescue.core.base.files import shown
from hermes_rescue.core.base.jsontext import number
from hermes_rescue.core.base.progress import Steps
from hermes_rescue.core.base.rights import is_denied
from hermes_rescue.core.base.words import counted, plural, some_of
from hermes_rescue.core.hermes.copies import CopyReader
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.journals import INDEX_NAME
from hermes_rescue.core.hermes.listing import sessions_in
from hermes_rescue.core.hermes.places.beside import APPLE
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.hermes.webui_status import WebUIStatus, webui_status
from hermes_rescue.core.hermes.worktree import state_of

_APPLE = "Files of macOS in the sessions folder (no session is in them, so they can be deleted)"
_COPIES = "Copies of sessions in the sessions folder (what they add is offered)"


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found in a store. ``session_files`` counts the names that the WebUI takes for session files;
    ``webui_items`` are what its own audit has to say, where that was asked for; ``places`` where else copies lie.
    """

    store: Store
    webui: WebUIStatus
    sessions: tuple[SessionAudit, ...]
    store_findings: tuple[Finding, ...]
    seconds: float
    session_files: int = 0
    webui_items: tuple[Reported, ...] = ()
    places: tuple[FoundPlace, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, those of the store last."""
        return (*(f for s in self.sessions for f in s.findings), *self.store_findings)

    def only(self, session_ids: Collection[str]) -> Audit:
        """What was found in some of the sessions, without what is wrong with the store."""
        return dataclasses.replace(
            self,
            sessions=tuple(s for s in self.sessions if s.session_id in session_ids),
            store_findings=(),
            places=(),
        )

    @property
    def standings(self) -> Counter[Standing]:
        """How many sessions stand how."""
        return Counter(s.standing for s in self.sessions)

    def of(self, category: Category | None) -> tuple[SessionAudit, ...]:
        """The sessions whose most urgent finding is of a category (None: the healthy ones)."""
        return tuple(s for s in self.sessions if s.category is category)


def audit(
    store: Store,
    *,
    cache: AuditCache | None = None,
    progress: Progress | None = None,
    should_cancel: Callable[[], bool] | None = None,
) -> Audit:
    """Audit a whole store, with the items of the WebUI's own audit; with a cache, what cannot have changed since the
    last time is not read again.

    Raises :class:`core.audit.workers.Cancelled` when ``should_cancel`` says so.
    """
    start = time.monotonic()
    webui = webui_status(store)
    cache = cache or AuditCache(store)
    with Inventory(store, cache.whole_databases) as inventory:
        sessions: list[SessionAudit] = []
        for batch in audit_sessions(inventory, webui, cache, progress=progress, should_cancel=should_cancel):
            sessions += batch
        items = webui_items(inventory, sessions)
        found = whole_audit(inventory, webui, sessions, time.monotonic() - start)
        return dataclasses.replace(found, webui_items=items)


def audit_sessions(
    inventory: Inventory,
    webui: WebUIStatus,
    cache: AuditCache,
    *,
    progress: Progress | None = None,
    should_cancel: Callable[[], bool] | None = None,
) -> Iterator[list[SessionAudit]]:
    """Audit every session of a store: in the first batch what the cache knows, then the others in batches as
    :func:`core.audit.workers.over_sessions` gives them.
    """
    ids = inventory.session_ids()
    marked = marker(inventory, webui)
    keys = keys_of(inventory, webui, ids)
    known = {each: kept for each, kept in cache.known(keys).items() if _stands(kept.answer)}
    is_same = cache.rows_are_same
    marks = marks_of(inventory, ids) if cache.is_kept and not (is_same and len(known) == len(ids)) else {}
    kept = {each: old for each, old in known.items() if is_same or old.mark == marks.get(each)}
    yield [marked(each.answer) for each in kept.values() if each.answer is not None]
    others = [each for each in ids if each not in kept]
    left = {each: known[each] for each in others if each in known}
    look = partial(_look, known=left, is_digested=cache.is_kept and not marks)

    def report(done: float, _: int) -> None:
        if progress is not None:
            progress(len(ids) - len(others) + done, len(ids))

    with cache.renewed(inventory) as keep:
        keep(_at(each, keys, marks) for each in kept.values())
        for batch in over_sessions(look, inventory, webui, others, progress=report, should_cancel=should_cancel):
            found = [_not_examined(each, inventory) if isinstance(each, Failure) else each.answer for each in batch]
            yield [marked(session) for session in found if session is not None]
            keep(_at(each, keys, marks) for each in batch if isinstance(each, Kept))


def _at(kept: Kept, keys: dict[str, bytes], marks: dict[str, bytes]) -> Kept:
    """An answer with its key and mark, which nobody else asks for again."""
    kept.key, kept.mark = keys.pop(kept.session_id, b""), marks.pop(kept.session_id, kept.mark)
    return kept


def _look(
    reader: CopyReader,
    webui: WebUIStatus,
    session_id: str,
    steps: Steps,
    *,
    known: Mapping[str, Kept],
    is_digested: bool,
) -> Kept:
    """One session: what is known of it if its rows are the same, else what it is now. ``is_digested``: only a digest
    will tell next time whether they are.
    """
    from hermes_rescue.core.audit.session import examine_unless_up_to_date  # an audit that has it all cached needs none

    old = known.get(session_id)
    if old is not None and old.rows:
        read = reader.raw_message_rows if old.is_short else reader.rows
        if digest_of(read(session_id, Steps())) == old.rows:
            return old
    seen = RowsDigest() if is_digested else None
    found = examine_unless_up_to_date(reader, webui, session_id, steps, seen)
    if isinstance(found, SessionAudit):
        return Kept(session_id, found, is_short=True, rows=b"" if seen is None else seen.value)
    audited = found.audited
    del found  # a session can be large
    rows = digest_of(reader.rows(session_id, Steps())) if is_digested else b""
    return Kept(session_id, audited, is_short=False, rows=rows)


def _stands(answer: SessionAudit | None) -> bool:
    """Whether the part of an answer that is about the worktree, and so about no copy of the session, is still true."""
    if answer is None:
        return True
    return answer.worktree is state_of(answer.worktree_path, answer.worktree_branch, answer.worktree_repo_root)


def whole_audit(inventory: Inventory, webui: WebUIStatus, sessions: Sequence[SessionAudit], seconds: float) -> Audit:
    """All sessions of a store, in the order of their ids, and the findings that are about none of them."""
    found = tuple(sorted(sessions, key=lambda session: session.session_id))
    files = len(inventory.listing.sidecars) + sum(name.endswith(".json") for name, _ in inventory.unrecognised)
    places = found_places(inventory.store, inventory.listing.places, found)
    return Audit(inventory.store, webui, found, _store_findings(inventory, found), seconds, files, places=places)


def _not_examined(failure: Failure, inventory: Inventory) -> SessionAudit:
    """A session that could not be looked at, as a row that says why."""
    row = inventory.listing.index.row(failure.session_id) or {}
    title = row.get("title")
    return SessionAudit(
        failure.session_id,
        title if isinstance(title, str) and title else "Untitled",
        (finding("not_examined", failure.session_id, failure.reason),),
        updated=number(row.get("updated_at")),
        created=number(row.get("created_at")),
    )


def _store_findings(inventory: Inventory, sessions: Sequence[SessionAudit]) -> tuple[Finding, ...]:
    """The findings that are about no single session: ids, names, the index, the databases, other folders."""
    found = [
        finding("unsafe_id", None, f"The database has a session with the id {key!r:.80}.")
        for key in inventory.unsafe_ids()
    ]
    found += [finding("not_a_file", None, evidence) for evidence in _noise(inventory)]
    known = {s.session_id for s in sessions}
    if away := len(inventory.listing.places.in_cloud - known):
        are = f"{counted(away, 'session file')} that nothing else knows {plural(away, 'is', 'are')} in iCloud"
        found.append(finding("in_cloud", None, f"{are}: download the sessions folder, then look again."))
    index = inventory.listing.index
    if index.problem is not None and index.digest is None:
        denied = is_denied(inventory.store.sessions_dir / INDEX_NAME)
        found.append(finding("copy_denied" if denied else "not_a_file", None, index.problem))
    elif index.problem is not None:
        found.append(finding("malformed_index", None, f"The session list is unusable: {index.problem}."))
    found += [
        finding("damaged_file", None, problem) for problem in (*inventory.problems, *inventory.listing.places.notes)
    ]
    for fact in inventory.database_facts:
        if fact.state not in ("ok", "absent"):
            found.append(
                finding(
                    "copy_denied" if is_denied(fact.path) else "state_db_unreadable",
                    None,
                    f"{fact.path}: {fact.reason}",
                    path=str(fact.path),
                    state=fact.state,
                    salvaged=fact.salvaged,
                    lost_rows=fact.lost_rows,
                )
            )
    if inventory.lacks_folder:
        found.append(finding("no_sessions_folder", None, no_folder(inventory)))
    for folder in inventory.store.other_session_dirs:
        missing = {*sessions_in(folder)} - inventory.listing.sidecars.keys() - inventory.listing.deleted
        if missing:
            what = counted(len(missing), "session that has", "sessions that have")
            found.append(
                finding(
                    OTHER_STATE_DIR,
                    None,
                    f"{folder} holds {what} no file here.",
                    path=str(folder),
                    sessions=len(missing),
                )
            )
    return tuple(found)


def _noise(inventory: Inventory) -> Iterator[str]:
    """What lies in the sessions folder under names that are no session's, in one sentence for each kind of it."""
    copies, groups = inventory.listing.places.beside, dict[str, list[str]]()
    for name, reason in inventory.unrecognised:
        kind = _APPLE if name.startswith(APPLE) else _COPIES if name in copies else f"In the sessions folder {reason}"
        groups.setdefault(kind, []).append(name)
    for kind, names in groups.items():
        yield f"{kind}: {some_of(names)}."


def no_folder(inventory: Inventory) -> str:
    """That the sessions folder is not there, and where it was looked for."""
    store = inventory.store
    looked = ", ".join(dict.fromkeys(shown(path) for path in (store.sessions_dir, *store.other_session_dirs)))
    sessions = counted(len(inventory.webui_rows), "session")
    return f"The sessions folder is not here (looked in {looked}); the database has {sessions} of Hermes WebUI."
