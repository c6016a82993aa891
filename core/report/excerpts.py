"""What a report takes from the sessions themselves: which copy holds what, and, where somebody asks for them, the texts
of the messages that a repair would bring back or leaves out, or that a run changed. The texts are bounded, however much
was said; what is cut is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hermes_rescue.core.audit.session import examine
from hermes_rescue.core.audit.store_audit import Audit
from hermes_rescue.core.audit.workers import Progress
from hermes_rescue.core.base.errors import VaultError
from hermes_rescue.core.base.progress import stop_if_asked
from hermes_rescue.core.hermes.copies import LIVE
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.message import called
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.merge.sidecar_copies import session_of
from hermes_rescue.core.repair.run_record import Run
from hermes_rescue.core.report import diff
from hermes_rescue.core.report.coverage import Coverage, change_of, coverage
from hermes_rescue.core.report.diff import Change, MessageRow
from hermes_rescue.core.report.history import AFTER, BEFORE, History

TEXT_LIMIT, SESSION_LIMIT, REPORT_LIMIT = 20_000, 500_000, 4_000_000
"""Characters of one text, of one session and of a whole report; what is beyond is only counted."""

_COST = 100
"""Characters that a message takes in a report besides its text."""

_NAMES, _NAME = 20, 80
"""How many functions that a message calls are named, and the characters of a name or a role."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """One message. ``before`` and ``after`` are its texts in the file, None where it is not in it; what is left out has
    its text in ``before``. ``parts`` are those that differ, ``calls`` the functions that it calls; ``cut``: characters
    of the texts that are left away.
    """

    change: Change
    role: str
    time: float | None
    before: str | None
    after: str | None
    parts: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    reason: str = ""
    cut: int = 0


@dataclass(frozen=True, slots=True)
class SessionExcerpts:
    """The messages of one session that a report is about. ``left_off``: how many more there are that have no room;
    ``note``: why there are none.
    """

    session_id: str
    title: str
    messages: tuple[Excerpt, ...] = ()
    left_off: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Details:
    """What is read of the sessions of a report: ``texts``, None where nobody asked for them, and ``pictures`` of who
    holds what, by session id.
    """

    texts: tuple[SessionExcerpts, ...] | None = None
    pictures: Mapping[str, Coverage] = field(default_factory=dict)


def of_audit(
    audit: Audit,
    *,
    with_texts: bool = True,
    progress: Progress | None = None,
    should_cancel: Callable[[], bool] | None = None,
) -> Details:
    """What the copies hold of each session that something can be done about, and what a repair of each with findings
    would bring back or leave out. Reads the sessions again, and changes nothing. Raises Cancelled.
    """
    ids = [s.session_id for s in audit.sessions if s.findings and (with_texts or s.has_repair)]
    pictures: dict[str, Coverage] = {}

    def found() -> Iterator[tuple[str, str, Iterable[MessageRow], str]]:
        with Inventory(audit.store, only=frozenset(ids)) as inventory:
            for session_id in _one_by_one(ids, progress, should_cancel):
                found = examine(inventory, audit.webui, session_id)
                session, copies, proposal = found.audited, found.copies, found.proposal
                if session is None:
                    continue
                further = {copy.name for copy in copies.further}
                pictures[session_id] = coverage(proposal, is_live_whole=session.live is not None, further=further)
                if not with_texts:
                    continue
                live = session_of(copies.live)
                rows = diff.review(diff.version_of(LIVE, live) if live is not None else None, proposal)
                if proposal.sidecar is None:  # nothing would be written
                    rows = tuple(row for row in rows if row.change is Change.LEFT_OUT)
                yield session.session_id, session.title, rows, ""

    texts = _excerpts_of(found())
    return Details(texts if with_texts else None, pictures)


def of_run(
    store: Store,
    run: Run,
    *,
    with_texts: bool = True,
    progress: Progress | None = None,
    should_cancel: Callable[[], bool] | None = None,
) -> Details:
    """What a run changed, as far as what it left is still there. Changes nothing. Raises Cancelled."""
    history = History(store, run)
    titles = {each.session_id: str(each.info.get("title", "")) for each in reversed(run.operations)}
    ids = list(dict.fromkeys(each.session_id for each in run.operations if each.session_id and each.may_have_changed))
    whole = {each.session_id for each in run.operations if each.count("messages_before") is not None}
    pictures: dict[str, Coverage] = {}

    def found() -> Iterator[tuple[str, str, Iterable[MessageRow], str]]:
        for session_id in _one_by_one(ids, progress, should_cancel):
            rows: Sequence[MessageRow] = ()
            note = ""
            try:
                past = history.versions(session_id)
            except VaultError as error:
                note = str(error)
            else:
                note = " ".join(past.notes)
                if BEFORE in past.versions and AFTER in past.versions:
                    rows = diff.compare(past.versions[BEFORE], past.versions[AFTER]).messages
                    pictures[session_id] = change_of(rows, was_whole=session_id in whole)
            yield session_id, titles[session_id], rows, note

    texts = _excerpts_of(found())
    return Details(texts if with_texts else None, pictures)


def _one_by_one(
    session_ids: Sequence[str], progress: Progress | None, should_cancel: Callable[[], bool] | None
) -> Iterator[str]:
    for done, session_id in enumerate(session_ids):
        stop_if_asked(should_cancel)
        if progress is not None:
            progress(done, len(session_ids))
        yield session_id
    if progress is not None:
        progress(len(session_ids), len(session_ids))


def _excerpts_of(sessions: Iterable[tuple[str, str, Iterable[MessageRow], str]]) -> tuple[SessionExcerpts, ...]:
    """The sessions that have something to excerpt or to note, within the limits."""
    room = REPORT_LIMIT
    result = []
    for session_id, title, rows, note in sessions:
        excerpts = []
        left_off = 0
        left = min(room, SESSION_LIMIT)
        for row in rows:
            if row.change is Change.SAME:
                continue
            excerpt = _excerpt(row)
            size = _COST + sum(len(text) for text in (excerpt.before, excerpt.after) if text is not None)
            if left_off or size > left:
                left_off += 1
            else:
                excerpts.append(excerpt)
                left -= size
                room -= size
        if excerpts or left_off or note:
            result.append(SessionExcerpts(session_id, title, tuple(excerpts), left_off, note))
    return tuple(result)


def _excerpt(row: MessageRow) -> Excerpt:
    shown = row.right or row.left
    assert shown is not None
    sides = (shown, None) if row.change is Change.LEFT_OUT else (row.left, row.right)
    texts = [diff.text_of(m) if m is not None else None for m in sides]
    before, after = (text[:TEXT_LIMIT] if text is not None else None for text in texts)
    cut = sum(max(0, len(text) - TEXT_LIMIT) for text in texts if text is not None)
    calls = tuple(name[:_NAME] for name in called(shown)[:_NAMES])
    reason = row.item.reason.sentence if row.item is not None and row.item.reason is not None else ""
    return Excerpt(row.change, shown.role[:_NAME], shown.time, before, after, row.parts, calls, reason, cut)
