"""Reads a store outside the GUI thread: the heads of its sessions, then each session as it is audited, and any one of
them in detail meanwhile.

One thread owns the open databases. Between two sessions of a scan it serves whoever asks for the detail of one, so that
a click is answered while the scan still runs. The newest question replaces the older ones.
"""

from __future__ import annotations

import json
import queue
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from hermes_rescue.core.audit.cache import AuditCache, usual_folder
from hermes_rescue.core.audit.findings import SessionAudit
from hermes_rescue.core.audit.marker import marker
from hermes_rescue.core.audit.session import examine
from hermes_rescue.core.audit.store_audit import audit_sessions, whole_audit
from hermes_rescue.core.audit.workers import Cancelled
from hermes_rescue.core.base.errors import RescueError
from hermes_rescue.core.base.private_folder import sweep
from hermes_rescue.core.base.progress import Steps
from hermes_rescue.core.hermes.copies import LIVE, SessionCopies
from hermes_rescue.core.hermes.heads import session_headers
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.hermes.webui_status import WebUIStatus, webui_status
from hermes_rescue.core.merge.choices import Choices
from hermes_rescue.core.merge.proposal import Proposal
from hermes_rescue.core.merge.sidecar_copies import session_of
from hermes_rescue.core.report import diff
from hermes_rescue.core.report.coverage import Coverage, coverage
from hermes_rescue.gui.background.deferred_free import Release, release
from hermes_rescue.gui.background.jobs import Context, Job, Jobs
from hermes_rescue.gui.view_model.diff_outline import Outline, outlined
from hermes_rescue.gui.view_model.session_sentence import sentence
from PySide6.QtCore import QObject, QTimer, Signal, Slot

KEY = "read"

BATCH = 0.1
"""Seconds between two batches of audited sessions."""

PAUSE = 25
"""Milliseconds between a click and the work for it: the window paints first, and keys that run through the list do not
leave a trail of work."""

PAINTING = 0.2
"""Seconds in which the window has shown a session, mostly."""

AT_ONCE = 150
"""Sessions that the window adds between two other events."""

USUAL_PAIR = (LIVE, diff.RECOVERED)

RAW_LIMIT = 200_000
"""Characters of a version's JSON lines that are shown. Little more of them is made."""

_JSON = json.JSONEncoder(ensure_ascii=False, indent=2)


@dataclass(frozen=True, slots=True)
class Detail:
    """One session in full: its audit, what a repair would write, which copy holds what, the names of its versions, and
    two of them compared.

    ``sentence`` says what happened and what comes back, ``fingerprint`` is that of the proposal. ``review`` is its
    outline, which a person can choose from; ``is_review``: it is what is compared. ``raw``: both as JSON lines.
    ``parts``: what there may be very many of in it, and after them each of what holds them, for
    :class:`deferred_free.Release`.
    """

    audited: SessionAudit
    proposal: Proposal
    sentence: str
    fingerprint: str
    coverage: Coverage
    versions: tuple[str, ...]
    pair: tuple[str, str]
    outline: Outline
    fields: tuple[diff.FieldRow, ...]
    raw: tuple[str, str]
    review: Outline
    parts: tuple[list[Any], ...]

    @property
    def is_review(self) -> bool:
        """Whether the two versions that are compared are the proposal and the live file."""
        return self.outline is self.review


@dataclass(frozen=True, slots=True)
class _Question:
    number: int
    session_id: str
    choices: Choices | None
    pair: tuple[str, str]


class ReaderThread:
    """Scans a store once and then answers questions about its sessions, until it is stopped: the work of one job.

    What it hands over are pairs: the name of a signal of :class:`ReaderProxy`, and what comes with it; with
    ``detailed`` the number of the question and a Detail (None: the session is no longer there).
    """

    def __init__(self, find: Callable[[], Store]) -> None:
        self._find = find
        self._questions: queue.SimpleQueue[_Question | None] = queue.SimpleQueue()
        self._asked = 0
        self._batch: list[SessionAudit] = []
        self._last_emitted = 0.0
        self._context: Context

    def ask(self, session_id: str, choices: Choices | None, pair: tuple[str, str]) -> int:
        """Ask for one session in full, with two versions compared; returns the number of the question, larger than
        every one before.
        """
        self._asked += 1
        self._questions.put(_Question(self._asked, session_id, choices, pair))
        return self._asked

    def wake(self) -> None:
        """Let it see that it was cancelled, if it waits for a question."""
        self._questions.put(None)

    def run(self, context: Context) -> None:
        """Read, in a thread of its own, until that is cancelled."""
        self._context = context
        store = self._find()
        glances = session_headers(store)
        self._emit("listed", tuple(islice(glances, AT_ONCE)))
        webui = webui_status(store)
        self._emit("found", store, webui)
        while (some := tuple(islice(glances, AT_ONCE))) and not context.should_cancel():
            self._emit("listed", some)
        cache = AuditCache(store, usual_folder())
        sweep()  # what a killed window or command left of databases and archives
        with Inventory(store, cache.whole_databases) as inventory:
            self._scan(inventory, webui, cache)
            while not context.should_cancel():
                self._answer(inventory, webui, self._questions.get())

    def _emit(self, name: str, *what: object) -> None:
        self._context.partial((name, what))

    def _scan(self, inventory: Inventory, webui: WebUIStatus, cache: AuditCache) -> None:
        start = time.monotonic()
        sessions: list[SessionAudit] = []
        for batch in audit_sessions(
            inventory, webui, cache, progress=self._report, should_cancel=self._context.should_cancel
        ):
            sessions += batch
            self._batch += batch
            while not self._questions.empty():
                self._answer(inventory, webui, self._questions.get())
        self._flush()
        self._emit("scanned", whole_audit(inventory, webui, sessions, time.monotonic() - start))

    def _report(self, done: float, total: int) -> None:
        now = time.monotonic()
        if now - self._last_emitted >= BATCH or done == total:
            self._last_emitted = now
            self._flush()
            self._emit("progressed", done, total)

    def _flush(self) -> None:
        for at in range(0, len(self._batch), AT_ONCE):
            self._emit("audited", tuple(self._batch[at : at + AT_ONCE]))
        self._batch = []

    def _answer(self, inventory: Inventory, webui: WebUIStatus, question: _Question | None) -> None:
        if question is None or question.number != self._asked:
            return
        steps = Steps(should_cancel=lambda: self._context.should_cancel() or question.number != self._asked)
        found = None
        try:
            found = examine(inventory, webui, question.session_id, question.choices, steps=steps)
        except Cancelled:  # nobody waits for it any more
            return
        except (RescueError, OSError):
            pass
        if found is None or found.audited is None:
            self._emit("detailed", question.number, None)
            return
        audited = marker(inventory, webui)(found.audited)
        copies, proposal = found.copies, found.proposal
        versions: dict[str, diff.Version] = {}
        parts: list[object] = []
        if question.number == self._asked:
            versions = diff.versions(copies, proposal, (*question.pair, LIVE))
            further = tuple(copy.name for copy in copies.further)
            self._emit("detailed", question.number, _detail(audited, proposal, versions, question.pair, further))
        else:  # nobody waits for it any more
            parts += proposal.items
        parts += _parts(copies, versions)
        del found, copies, proposal, versions
        self._let_the_window_paint()
        release(parts)

    def _let_the_window_paint(self) -> None:
        """Wait for what was emitted to be shown, which takes twice as long beside other work, or for another
        question.
        """
        end = time.monotonic() + PAINTING
        while self._questions.empty() and time.monotonic() < end:
            time.sleep(0.005)


def _parts(copies: SessionCopies, versions: Mapping[str, diff.Version]) -> list[object]:
    """What there may be very many of in what was read of a session."""
    found: list[Sequence[object]] = [copies.leading_messages]
    found += (copy.messages for copy in copies.databases)
    found += (copy.messages for copy in copies.further)
    found += (version.messages for version in versions.values())
    files = map(session_of, (copies.live, *copies.temps, copies.backup))
    found += (session.messages for session in files if session is not None)
    return [*chain.from_iterable(found)]


def _detail(
    audited: SessionAudit,
    proposal: Proposal,
    versions: dict[str, diff.Version],
    pair: tuple[str, str],
    further: tuple[str, ...],
) -> Detail:
    names = tuple(dict.fromkeys((LIVE, *versions, diff.RECOVERED)))
    left, right = (versions.get(name, diff.Version(name, (), {})) for name in pair)
    review = outlined(diff.review(versions.get(LIVE), proposal))
    outline = review if pair == USUAL_PAIR else outlined(diff.compare_messages(left.messages, right.messages))
    proposed = proposal.sidecar.messages if proposal.sidecar is not None else ()
    wholes = (outline.rows, review.rows, proposal.items, proposed)
    return Detail(
        audited,
        proposal,
        sentence(audited, proposal),
        proposal.fingerprint,
        coverage(proposal, is_live_whole=audited.live is not None, further=further),
        names,
        pair,
        outline,
        diff.compare_fields(left, right, proposal),
        (raw_lines(left), raw_lines(right)),
        review,
        ([*chain(*wholes)], *([whole] for whole in wholes)),
    )


def raw_lines(version: diff.Version) -> str:
    """The JSON lines of a version, as far as they are shown."""
    parts: list[str] = []
    length = 0
    for value in chain((version.fields,), (m.piece.value for m in version.messages)):
        parts.append(",\n" if parts else "")
        for part in _JSON.iterencode(value):
            parts.append(part)
            length += len(part)
            if length > RAW_LIMIT:
                return "".join(parts)
    return "".join(parts)


class ReaderProxy(QObject):
    """The reader of the moment: what a reader says that was replaced meanwhile is never heard.

    ``listed`` comes first, with tuples of glances, and ``found``, with the store and its WebUI; then ``audited`` with
    tuples of sessions and ``progressed``; ``scanned`` with the whole audit. ``failed`` carries the exception that ended
    the scan. They come one at a time, so that the window paints and answers in between. ``detailed`` overtakes them,
    and comes only for the newest question.
    """

    listed = Signal(object)
    found = Signal(object, object)
    audited = Signal(object)
    progressed = Signal(float, int)
    scanned = Signal(object)
    failed = Signal(object)
    detailed = Signal(object)

    def __init__(self, jobs: Jobs, parent: QObject) -> None:
        super().__init__(parent)
        self._jobs = jobs
        self._job: Job | None = None
        self._reader: ReaderThread | None = None
        self._news: deque[tuple[str, tuple[object, ...]]] = deque()
        self._emitting = QTimer(self, interval=0)
        self._emitting.timeout.connect(self._emit_next)
        self._wanted: tuple[str, Choices | None, tuple[str, str]] | None = None
        self._question = 0
        self._release = Release(self)
        self._pause = QTimer(self, singleShot=True, interval=PAUSE)
        self._pause.timeout.connect(self._send)

    def start(self, find: Callable[[], Store]) -> None:
        """Read a store, in place of the one before."""
        self.stop()
        self._reader = ReaderThread(find)
        self._job = self._jobs.prepare(KEY, self._reader.run)
        self._job.emitted.connect(self._on_emitted)
        self._job.failed.connect(self._on_failed)
        self._job.start()

    def stop(self) -> None:
        """Let go of the store as soon as that can be, and hear nothing more of it."""
        self._pause.stop()
        self._emitting.stop()
        self._news.clear()
        if self._job is not None and self._reader is not None:
            self._job.drop()
            self._reader.wake()
            self._job = self._reader = None

    def ask(self, session_id: str, choices: Choices | None, pair: tuple[str, str] = USUAL_PAIR) -> None:
        """Ask for one session in full, with two of its versions compared. What was asked before is no longer wanted."""
        if self._reader is not None:
            self._wanted, self._question = (session_id, choices, pair), 0
            self._pause.start()

    @Slot()
    def _send(self) -> None:
        if self._reader is not None and self._wanted is not None:
            self._question = self._reader.ask(*self._wanted)

    @Slot(object)
    def _on_emitted(self, news: tuple[str, tuple[object, ...]]) -> None:
        name, what = news
        if name != "detailed":
            self._news.append(news)
            self._emitting.start()
        elif what[0] == self._question:
            self.detailed.emit(what[1])
        elif isinstance(what[1], Detail):
            self._release.take(*what[1].parts, [what[1]])

    @Slot(object)
    def _on_failed(self, error: object) -> None:
        self._on_emitted(("failed", (error,)))

    @Slot()
    def _emit_next(self) -> None:
        name, what = self._news.popleft()
        if not self._news:
            self._emitting.stop()
        getattr(self, name).emit(*what)
