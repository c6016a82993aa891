"""The search of the window: titles at once, and what was said in every copy beside the window, as it is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from hermes_rescue.core.audit.findings import SessionAudit
from hermes_rescue.core.base.files import shown
from hermes_rescue.core.hermes.heads import SessionHeader
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.search.query import Query, QueryError
from hermes_rescue.core.search.store_search import Unread, search
from hermes_rescue.gui.background.jobs import Context, Job, Jobs
from hermes_rescue.gui.background.slices import Slices
from hermes_rescue.gui.sessions.search_hits import Found, HitList, HitModel
from hermes_rescue.gui.sessions.session_model import SessionModel
from hermes_rescue.gui.view_model.formatting import counted, number
from hermes_rescue.gui.widgets.banners import announce
from hermes_rescue.gui.widgets.elided_label import ElidedLabel
from hermes_rescue.gui.widgets.progress_bar import ProgressBar
from hermes_rescue.gui.widgets.theme import Theme
from hermes_rescue.gui.widgets.tips import show_tip
from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QWidget

KEY = "search"

PAUSE = 250
"""Milliseconds between the last key and the search in what was said."""

_MAX_UNREAD_SHOWN = 10
"""What could not be searched that is shown one by one."""


class SearchRow(QWidget):
    """What is searched, how far that is, and the way back. It has the height of the row whose place it takes."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("bar", True)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._text = ElidedLabel()
        self._text.setProperty("muted", True)
        self._bar = ProgressBar(self.tr("Progress of the search"), 10)
        policy = self._bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)
        self._bar.setSizePolicy(policy)
        self.clear = QPushButton(self.tr("Clear search"))
        self.clear.setProperty("link", True)
        row = QHBoxLayout(self)
        row.setContentsMargins(14, 8, 14, 8)
        row.addWidget(self._text)
        row.addStretch(1)
        row.addWidget(self._bar)
        row.addWidget(self.clear)

    @property
    def text(self) -> str:
        """What it says."""
        return self._text.text()

    @property
    def is_busy(self) -> bool:
        """Whether it shows progress."""
        return not self._bar.isHidden()

    def show_text(self, text: str, tip: str = "") -> None:
        """Show a sentence."""
        self._text.show_text(text)
        show_tip(self, tip)

    def progress(self, done: float, total: int) -> None:
        """Show how far the search is, without a total that it goes on."""
        self._bar.show_progress(done, total)

    def end(self) -> None:
        """Nothing is being searched."""
        self._bar.hide()


def searched(store: Store, query: Query) -> Callable[[Context], None]:
    """Search in every copy; what it hands over are lists of Found and Unread."""

    def work(context: Context) -> None:
        for batch in search(store, query, progress=context.progress, should_cancel=context.should_cancel):
            if batch:
                context.partial([each if isinstance(each, Unread) else Found.of(each) for each in batch])

    return work


class Search(QObject):
    """Looks for what is typed into a field.

    ``begun`` and ``ended``: whether the sessions that are found show in place of all; ``chosen`` carries the session
    that somebody goes to, ``opened`` that the conversation wants the keyboard, ``passed`` that the sessions want it:
    somebody goes on from the field without having typed anything.
    """

    begun = Signal()
    ended = Signal()
    chosen = Signal(str)
    opened = Signal()
    passed = Signal()

    def __init__(self, jobs: Jobs, field: QLineEdit, sessions: SessionModel, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self.row = SearchRow()
        self.hits = HitModel(sessions.known)
        self.list = HitList(self.hits, theme)
        self._jobs, self._field, self._sessions = jobs, field, sessions
        self._store: Store | None = None
        self._query: Query | None = None
        self._words = ""
        self._job: Job | None = None
        self._total = 0
        self._unread: list[Unread] = []
        self._titles = Slices(self)
        self._pause = QTimer(self, singleShot=True, interval=PAUSE)
        self._pause.timeout.connect(self._search)
        field.installEventFilter(self)
        field.textChanged.connect(self._look_for)
        self.row.clear.clicked.connect(self.clear)
        self.list.face.button.clicked.connect(self.clear)
        self.list.left.connect(lambda: field.setFocus(Qt.FocusReason.OtherFocusReason))
        self.list.current_changed.connect(self.chosen)
        self.list.opened.connect(self.opened)
        self._show_result()

    @property
    def words(self) -> str:
        """What is looked for; "" for nothing."""
        return self._words

    @property
    def is_busy(self) -> bool:
        """Whether there may be more."""
        return self._titles.is_busy or self._pause.isActive() or self._job is not None

    @Slot()
    def clear(self) -> None:
        """Look for nothing."""
        self._field.clear()

    def show_store(self, store: Store | None) -> None:
        """Another store is shown (None: it is still being looked for), or the same once more."""
        if store is None:
            self._stop()
            self.hits.begin(self._query)
        self._store = store
        self._show_result()

    def add(self, sessions: Sequence[SessionAudit | SessionHeader]) -> None:
        """Sessions have come to be known: their titles count too."""
        if self._query is not None:
            self.hits.add(each for session in sessions if (each := self._titled(self._query, session)))

    def again(self) -> None:
        """Look for the same once more: the store may have changed."""
        if self._query is not None:
            self._begin(self._query, is_same=True)
            self._search()

    def stop(self) -> None:
        """Leave the rest of a search: the store is about to change, or the window to close."""
        self._stop()
        self._show_result()

    # Looking

    @Slot(str)
    def _look_for(self, text: str) -> None:
        was_on = self._query is not None
        try:
            query = Query.parsed(text)
        except QueryError:
            query, text = None, ""
        self._words = " ".join(text.split())
        self._stop()
        self.list.setCurrentIndex(self.hits.index(-1))
        if query is None:
            self._query = None
            self.hits.begin(None)
            if was_on:
                self.ended.emit()
            return
        self._begin(query)
        if not was_on:
            self.begun.emit()
        self._pause.start()
        self._show_result()

    def _begin(self, query: Query, *, is_same: bool = False) -> None:
        self._query = query
        self._unread, self._total = [], 0
        self.hits.begin(query, is_same=is_same)
        self._titles.run(self._look_in_titles(query))

    def _look_in_titles(self, query: Query) -> Iterator[None]:
        for row in self._sessions.every():
            if each := self._titled(query, row.session):
                self.hits.add((each,))
            yield

    @staticmethod
    def _titled(query: Query, session: SessionAudit | SessionHeader) -> Found | None:
        texts = (session.title, session.session_id, session.worktree_path or "")
        if query.found_in(texts) is None:
            return None
        return Found(session.session_id, session.title, session.updated)

    @Slot()
    def _search(self) -> None:
        if self._query is None or self._store is None:
            return
        self._pause.stop()
        # one after the other: what was typed before may still be finding out which sessions there are
        job = self._job = self._jobs.prepare(KEY, searched(self._store, self._query), after=KEY)
        job.progressed.connect(self._on_progress)
        job.emitted.connect(self._on_found)
        job.done.connect(self._on_done)
        job.failed.connect(self._on_failed)
        job.start()
        self._show_result()

    def _stop(self) -> None:
        self._pause.stop()
        self._titles.stop()
        if self._job is not None:
            self._job.drop()
            self._job = None

    @Slot(float, int)
    def _on_progress(self, done: float, total: int) -> None:
        self._total = total
        self.row.progress(done, total)
        self._show_result()

    @Slot(object)
    def _on_found(self, batch: Sequence[Found | Unread]) -> None:
        self.hits.add(each for each in batch if isinstance(each, Found))
        self._unread += (each for each in batch if isinstance(each, Unread))
        self._show_result()

    @Slot()
    def _on_done(self) -> None:
        self._job = None
        self.hits.end()
        if not self.list.is_in_hand:  # what was lost comes first there
            self.hits.arrange(row.session.session_id for row in self._sessions.every())
        self._show_result()
        announce(self._field, self.row.text)

    @Slot(object)
    def _on_failed(self, error: Exception) -> None:
        self._job = None
        self._show_result()
        self.row.show_text(self.tr("The search has stopped: {}").format(error))

    # What it says

    def _show_result(self) -> None:
        n = self.hits.rowCount()
        is_over = self._job is None and not self._pause.isActive()
        text = self._sentence(n, is_over=is_over)
        reasons = [f"{each.session_id or ''} {each.reason}".strip() for each in self._unread[:_MAX_UNREAD_SHOWN]]
        self.row.show_text(text, "\n".join(reasons))
        if is_over:
            self.row.end()
        elif self._job is None or not self._total:
            self.row.progress(0, 0)
        self.list.show_text("" if n else text, can_act=is_over)

    def _sentence(self, n: int, *, is_over: bool) -> str:
        words = shown(self._words)
        own = self._sessions.total_count
        if not is_over:
            return self.tr("Searching for “{}” in every copy of {}… {} found").format(
                words, counted(own, "session"), number(n)
            )
        others = max(self._total - own, 0)
        where = self.tr("in every copy of {}").format(counted(own, "session"))
        if others:
            where = self.tr("{} and {} of other programs").format(where, number(others))
        if n == 0:
            text = self.tr("No session has “{}”: titles and messages were searched, {}.").format(words, where)
        else:
            text = self.tr("{} “{}”, {}.").format(counted(n, "session has", "sessions have"), words, where)
        if self._unread:
            text += " " + self.tr("{} could not be searched.").format(number(len(self._unread)))
        return text

    # Keys of the field

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Called by Qt for every event of the field: Enter and Down go into the list, Esc looks for nothing, and all of
        them to the sessions where nothing was typed. Where nothing that was typed can be undone, the key is left to the
        window.
        """
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride:
            if event.matches(QKeySequence.StandardKey.Undo) and not self._field.isUndoAvailable():
                event.ignore()
                return True
        elif isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            keys = Qt.Key
            goes_on = event.key() in (keys.Key_Return, keys.Key_Enter, keys.Key_Down)
            if goes_on or event.key() == keys.Key_Escape:
                if not self._words:
                    self.passed.emit()
                elif not goes_on:
                    self.clear()
                elif self._query is not None:
                    self.list.enter()
                return True
        return super().eventFilter(watched, event)

    def set_theme(self, theme: Theme) -> None:
        """Paint in other colours."""
        self.list.set_theme(theme)
