"""The window: sessions on the left, the selected one on the right, and what may be done with them above.

It puts the parts together and carries their wishes to the reader and the jobs; it reads and writes no store itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from hermes_rescue.core.audit.findings import SessionAudit, Standing
from hermes_rescue.core.audit.store_audit import Audit
from hermes_rescue.core.base.errors import RescueError, StoreNotFoundError
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.hermes.webui_status import WebUIStatus
from hermes_rescue.core.repair.run_record import Run
from hermes_rescue.gui.background.jobs import Jobs
from hermes_rescue.gui.background.reader import USUAL_PAIR, Detail, ReaderProxy
from hermes_rescue.gui.background.store_location import StoreLocation, page_of, short_path
from hermes_rescue.gui.background.watcher import Watcher
from hermes_rescue.gui.background.webui_poll import WebUIPoll
from hermes_rescue.gui.repairs.history_controller import HistoryController
from hermes_rescue.gui.repairs.history_panel import HistoryPanel
from hermes_rescue.gui.repairs.second_look import SecondLook
from hermes_rescue.gui.repairs.waiting import Waiting
from hermes_rescue.gui.repairs.writer import Outcome, Writer
from hermes_rescue.gui.review.review_pane import ReviewPane
from hermes_rescue.gui.sessions.search import Search
from hermes_rescue.gui.sessions.session_pane import SessionPane
from hermes_rescue.gui.shell.backups import Backups
from hermes_rescue.gui.shell.choosing import Choosing
from hermes_rescue.gui.shell.filter_bar import FilterBar
from hermes_rescue.gui.shell.help import Help
from hermes_rescue.gui.shell.looks import Looks
from hermes_rescue.gui.shell.requests import Requests
from hermes_rescue.gui.shell.search_places import SearchPlaces
from hermes_rescue.gui.shell.session_actions import SessionActions
from hermes_rescue.gui.shell.state import Event, Phase, Shown, State, after, possible
from hermes_rescue.gui.shell.status_bar import StatusBar
from hermes_rescue.gui.shell.store_chooser import StoreChooser
from hermes_rescue.gui.shell.toolbar import ToolBar
from hermes_rescue.gui.shell.window_layout import WindowLayout
from hermes_rescue.gui.shell.window_settings import WindowSettings
from hermes_rescue.gui.view_model.formatting import counted, now
from hermes_rescue.gui.widgets.banners import ResultBar, StoreNotices
from hermes_rescue.gui.widgets.commands import Actions
from hermes_rescue.gui.widgets.enter_key import EnterKey
from hermes_rescue.gui.widgets.error_dialog import message_of, show_error
from hermes_rescue.gui.widgets.panes import focus_next_pane, in_reading_order, stacked
from hermes_rescue.gui.widgets.placeholders import NoStore
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import QSettings, Qt, Slot
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QMainWindow, QSplitter, QStackedWidget


class MainWindow(QMainWindow):
    """One store in a window. ``place`` says which; what the window remembers is in ``settings``."""

    def __init__(self, place: StoreLocation, settings: QSettings) -> None:
        super().__init__()
        self.setWindowTitle(self.tr("Hermes Rescue"))
        self._memory = WindowSettings(settings)
        self.state = State()
        self.shown = Shown(place)
        self.jobs = Jobs(self)
        self.reading = ReaderProxy(self.jobs, self)
        self.watcher = Watcher(self)
        self.webui = WebUIPoll(self.jobs, self)
        self.looks = Looks(self._memory, self)
        self.writer = Writer(self.jobs, self, self.looks.theme)
        self.actions_ = Actions(self, self.looks.theme)
        self._build()
        self._connect()
        self.layout_ = WindowLayout(
            self, self.splitter, self.table, self.review.difference, self.actions_, self._memory
        )
        self.layout_.restore()
        self.looks.show(self.actions_)
        self.enter_key = EnterKey(self)
        self.open(place)

    # --- building ---------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        theme = self.looks.theme
        self.actions_.fill(self.menuBar())
        self.tools = ToolBar(self.actions_, theme)
        self.chips = FilterBar(theme)
        self.notices = StoreNotices(theme)
        self.backups = Backups(self, self.actions_, self.notices.places, lambda: self.shown)
        self.chooser = StoreChooser(self, self.tools.store_menu, self.actions_, self._memory, self.backups)
        self.table = SessionPane(theme)
        self.review = ReviewPane(theme)
        self.choosing = Choosing(self.table, self.review, self.reading, self._memory, lambda: self.shown, self)
        self.history = HistoryPanel(theme)
        self.history_controller = HistoryController(self.history, self.jobs, self, theme)
        self.no_store = NoStore(self.actions_, theme)
        self.search = Search(self.jobs, self.tools.filter, self.table.sessions, theme, self)
        self.places = SearchPlaces(self.search, self.table, self.chips, self.review)
        of_session = (self.places.selected_ids, lambda: self.shown, lambda: self.review.copies)
        self.of_sessions = SessionActions(self, self.actions_, *of_session)
        self.requests = Requests(self.writer, self.places, lambda: self.shown, partial(self._turn, Event.PREPARE))
        self.waiting = Waiting(self.writer, self.notices.waiting, partial(self._turn, Event.PREPARE), self)
        self.second_look = SecondLook(self.jobs, self)
        self.help = Help(self, self.actions_, self.table, lambda: self.shown)
        self.review.head.add_button(self.of_sessions.save_button)
        self.foot = StatusBar(self.actions_, theme)
        self.side = QStackedWidget()  # the history comes second: its action, checked or not, is the index
        self.side.addWidget(self.review)
        self.side.addWidget(self.history)
        right = stacked(self.side, growing=self.side)
        self.result = ResultBar(theme, right)  # a stack would hide it from screen readers
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        left = stacked(self.places.left, self.notices, growing=self.places.left)
        for part in (left, right):
            self.splitter.addWidget(part)
        in_reading_order(left, right)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setStretchFactor(0, 0)  # more room is for the conversation
        self.splitter.setStretchFactor(1, 1)
        self.middle = QStackedWidget()
        self.middle.addWidget(self.splitter)
        self.middle.addWidget(self.no_store)
        self.setCentralWidget(stacked(self.tools, self.places.above, self.middle, self.foot, growing=self.middle))

    def _connect(self) -> None:
        slots: dict[str, Callable[[], object]] = {
            "rescan": self.rescan,
            "export": lambda: self.requests.export("", is_chosen=False),
            "export_selected": lambda: self.requests.export(""),
            "quit": self.close,
            "repair_all": lambda: self.requests.repair(None),
            "repair": lambda: self.requests.repair(self.places.selected_ids()),
            "repair_copy": self.requests.repair_copy,
            "next_open": self.table.select_next_open,
            "pane": lambda: focus_next_pane((self.places.left, self.side, self.review.pages)),
            "next": self.review.difference.next_change,
            "previous": self.review.difference.previous_change,
            "undo": self._take_back,
            "reset_choices": lambda: self.choosing.reset(self.places.selected_ids()),
            **{name: partial(self.review.difference.set_mode, name) for name in ("unified", "split")},
        }
        for name, slot in slots.items():
            self.actions_.connect(name, slot)
        self.search.list.context_menu_requested.connect(self.of_sessions.show_menu)
        self.chips.chosen.connect(self.table.show_only)
        self.table.current_changed.connect(self._show_session)
        self.places.selection_changed.connect(self._enable)
        self.table.context_menu_requested.connect(self.of_sessions.show_menu)
        self.table.clear_filter_requested.connect(self.chips.clear)
        self.table.opened.connect(self.review.focus_page)
        self.table.paged.connect(self.review.turn_page)
        self.reading.listed.connect(self.table.add)
        self.reading.listed.connect(self.search.add)
        self.reading.found.connect(self._on_found)
        self.reading.audited.connect(self._on_audited)
        self.reading.progressed.connect(partial(self.foot.progress, self.tr("Checking sessions…")))
        self.reading.scanned.connect(self._on_scanned)
        self.reading.detailed.connect(self._on_detail)
        self.reading.failed.connect(self._on_scan_failed)
        self.choosing.changed.connect(self._enable)
        self.choosing.outdated.connect(lambda text: self.result.show_outcome(text, good=False))
        self.review.comparison_wanted.connect(self._compare)
        self.review.next_session_wanted.connect(self._next_session)
        self.of_sessions.save_wanted.connect(self.requests.save_copies)
        self.review.repair_wanted.connect(self.actions_["repair"].trigger)
        self.review.leave_wanted.connect(self.requests.leave)
        self.review.head.popup.guide_wanted.connect(self.actions_["guide"].trigger)
        self.result.undo_requested.connect(lambda: self.requests.undo(self.shown.last_run, ""))
        self.result.covering.connect(self.review.make_room_below)
        self.result.left.connect(partial(focus_next_pane, (self.places.left,)))
        self.result.export_requested.connect(lambda: self.requests.export(self.shown.last_run))
        self.foot.cancel_requested.connect(self._cancel)
        self.history_controller.runs_read.connect(self._on_runs)
        self.history_controller.failed.connect(self.report_error)
        self.history_controller.shown.connect(lambda: self.actions_["history"].setChecked(True))
        self.actions_["history"].toggled.connect(self.side.setCurrentIndex)
        self.actions_["history"].triggered.connect(lambda: self.middle.setCurrentWidget(self.splitter))
        self.history.undo_requested.connect(self.requests.undo)
        self.history.report_requested.connect(self.requests.export)
        self.history.finish_requested.connect(lambda _: self.requests.repair(None))
        self.history.show_requested.connect(self.table.select)
        self.watcher.changed.connect(self.notices.show_changed)
        self.webui.changed.connect(self._on_webui)
        self.webui.looked.connect(self.waiting.look)
        self.writer.repaired_beside.connect(self.second_look.expect)
        self.second_look.noticed.connect(self._on_written_over)
        self.writer.started.connect(lambda text: self.foot.progress(text, 0, 0))
        self.writer.progressed.connect(self.foot.progress)
        self.writer.asked.connect(lambda: self.foot.rest(self._status()))
        self.writer.about_to_write.connect(self._on_about_to_write)
        self.writer.ended.connect(self._on_work_ended)
        self.notices.rescan_requested.connect(self.rescan)
        self.chooser.chosen.connect(self.open)
        self.chooser.demo_wanted.connect(self._make_demo)
        self.backups.import_wanted.connect(self.requests.import_files)
        self.backups.session_wanted.connect(self.table.select)
        self.looks.themed.connect(self._draw)
        self.looks.zoom_over(self.review.conversation.list.viewport())

    # --- the store --------------------------------------------------------------------------------------------------

    def _turn(self, event: Event, place: StoreLocation | None = None) -> bool:
        """Go on to what an event leads to; whether it leads anywhere."""
        state = after(self.state, event, place)
        if state is None:
            return False
        self.state = state
        self._enable()
        return True

    def open(self, place: StoreLocation) -> None:
        """Look at another store; where one is being written to, as soon as that has ended."""
        if not self._turn(Event.OPEN, place):
            return
        if self.state.phase is Phase.WRITING:
            self.result.show_outcome(self.tr("The other store is opened as soon as this is done."), good=True)
            return
        self.writer.abandon()
        self.jobs.turn_to(self.state.token)
        self.webui.rest()
        self.waiting.drop()
        self.second_look.drop()
        self.choosing.keep()
        self.shown = Shown(place)
        self.tools.filter.setFocus()  # a word of what was said is what people know of a lost conversation
        self.result.hide()
        self.notices.reset()
        self.history_controller.clear()
        self.search.show_store(None)
        self.chips.reset()
        self.foot.show_runs(0)
        self.table.sessions.clear()
        self.review.clear("")  # which lets go of the session before
        self._scan()

    @Slot()
    def rescan(self) -> None:
        """Check every session again; what is selected stays selected."""
        self._check_again(keeps_order=False)

    def _check_again(self, *, keeps_order: bool) -> None:
        if self._turn(Event.SCAN):
            self._scan(keeps_order=keeps_order)

    def _scan(self, *, keeps_order: bool = False) -> None:
        self.shown.outdate()
        self.middle.setCurrentWidget(self.splitter)
        self.notices.begin()
        self.review.outdate()
        if not self.review.session_id:
            words = self.tr("The sessions are being checked"), self.tr("Select one to read it meanwhile.")
            self.review.show_text(*words)
        self.table.sessions.begin_scan(keeps_order=keeps_order)
        self.foot.progress(self.tr("Looking for sessions…"), 0, 0)
        self.reading.start(self.shown.place.find)
        self._enable()

    @Slot(object, object)
    def _on_found(self, store: Store, webui: WebUIStatus) -> None:
        self.shown.store = store
        self.search.show_store(store)
        self.tools.show_store(short_path(store), str(store.sessions_dir))
        self.webui.watch(store, webui)
        self.history_controller.read(store)
        self.chooser.opened(str(store.home or store.sessions_dir))

    @Slot(object)
    def _on_webui(self, webui: WebUIStatus) -> None:
        self.shown.webui = next((each.address for each in webui.servers if each.answers and each.address), "")
        self.chips.show_webui(webui)
        self.result.show_webui(self.shown.webui, is_running=bool(webui.running))
        self.notices.show_webui(webui)

    @Slot(object)
    def _on_audited(self, sessions: tuple[SessionAudit, ...]) -> None:
        self.table.add(sessions)
        self.chips.show_counts(self.table.sessions.counts())
        if self.table.current_id in (session.session_id for session in sessions):
            self._ask(self.table.current_id)  # what is shown of it is from the check before

    @Slot(object)
    def _on_scanned(self, audit: Audit) -> None:
        self.shown.audit = audit
        self.watcher.watch(audit.store.sessions_dir)
        self._end_scan(complete=True)
        self.shown.checked = self.tr("{} checked at {}.").format(counted(len(audit.sessions), "session"), now())
        self.foot.end(self._status())
        counts = self.table.sessions.counts()
        self.chips.show_counts(counts)
        self.notices.show_audit(audit, counts)
        self.backups.show_places(audit.places)
        if not audit.sessions and not audit.store_findings:
            self.no_store.show_empty(str(audit.store.sessions_dir))
            self.middle.setCurrentWidget(self.no_store)
        if not self.table.selected_ids():
            self.table.select_beside("", 1)
        self._turn(Event.SCANNED)
        self.search.again()

    def _end_scan(self, *, complete: bool) -> None:
        self.table.sessions.end_scan(complete=complete)
        if not self.review.session_id and not self.table.current_id:
            self._show_none()

    def _status(self) -> str:
        """What was checked and done last."""
        done = self.shown.last_done or self.tr("Nothing was changed.")
        return f"{self.shown.checked} {done}" if self.shown.audit is not None else ""

    @Slot(object)
    def _on_scan_failed(self, error: Exception) -> None:
        self.foot.end("")
        self._end_scan(complete=False)
        is_of_store = isinstance(error, (RescueError, OSError))
        if not is_of_store:
            self.report_error(error)
        if not is_of_store and any(self.table.sessions.counts().values()):
            self._turn(Event.SCANNED)
            return
        self._turn(Event.LOST)
        self.chips.reset()
        self.foot.show_runs(0)
        if isinstance(error, StoreNotFoundError):
            self.tools.show_no_store()
            self.no_store.show_missing(error.where)
        else:
            self.no_store.show_unreadable(message_of(error)[0])
        self.middle.setCurrentWidget(self.no_store)

    # --- one session ------------------------------------------------------------------------------------------------

    @Slot(str)
    def _show_session(self, session_id: str) -> None:
        self.actions_["history"].setChecked(False)
        if session_id:
            self._ask(session_id)
        else:
            self._show_none()
        self._enable()

    def _show_none(self) -> None:
        """Say what can be done where no session is shown."""
        has_some = self.table.sessions.total_count > 0
        self.review.clear(self.tr("Select a session to see what is in its copies.") if has_some else "")

    def _ask(self, session_id: str) -> None:
        """Have a session read in full; where it is the one that is shown, with the same two versions compared."""
        row = self.table.sessions.known(session_id)
        self.review.expect(session_id, row.session.title if row is not None else "")
        pair = self.review.pair if session_id == self.review.session_id else USUAL_PAIR
        self.reading.ask(session_id, self.shown.choices.get(session_id), pair)

    @Slot(object)
    def _on_detail(self, detail: Detail | None) -> None:
        if detail is None:
            self.review.clear(self.tr("The session is no longer there. Rescan to see what is."))
            return
        session_id = detail.audited.session_id
        if self.review.shows(detail) and session_id in self.shown.choices:
            self.review.update_summary(detail)
        else:
            self.review.show_detail(detail)

    @Slot(str, str)
    def _compare(self, left: str, right: str) -> None:
        session_id = self.review.session_id
        self.reading.ask(session_id, self.shown.choices.get(session_id), (left, right))

    @Slot(int)
    def _next_session(self, direction: int) -> None:
        session_id = self.table.select_beside(self.review.session_id, direction)
        if direction < 0:
            self.review.enter_at_end(session_id)

    # --- repair, undo, report -----------------------------------------------------------------------------------------

    @Slot(str)
    def _on_written_over(self, text: str) -> None:
        self.result.show_outcome(text, good=False)
        self._check_again(keeps_order=True)

    def _take_back(self) -> None:
        """Undo what was chosen last; where nothing was, ask about the newest repair."""
        if not self.choosing.take_back():
            self.requests.undo("", "")

    @Slot(object)
    def _make_demo(self, folder: Path) -> None:
        if self.state.work is None:
            self.writer.make_demo(folder)

    @Slot(bool)
    def _on_about_to_write(self, is_store: bool) -> None:
        self._turn(Event.WRITE)
        if is_store:
            self.reading.stop()
            self.search.stop()
            self.watcher.rest()

    @Slot(object)
    def _on_work_ended(self, outcome: Outcome) -> None:
        self.foot.end(self._status())
        if self.state.phase is Phase.CLOSING:
            self.close()
            return
        place = self.state.next
        self._turn(Event.END)
        if outcome.error is not None:
            self.report_error(outcome.error)
        if outcome.demo is not None:
            place = place or StoreLocation(outcome.demo)
        if place is not None:
            self.open(place)
        else:
            self._show_result(outcome)

    def _show_result(self, outcome: Outcome) -> None:
        """Show what a work came to, and what the store is like now."""
        self.choosing.forget(outcome.sessions)
        if outcome.text:
            self.shown.last_run = run_id = outcome.run_id
            page = page_of(self.shown.webui, outcome.sessions) if run_id else ""
            show = partial(self.result.show_outcome, outcome.text, good=outcome.good, beside=outcome.beside)
            show(can_undo=bool(run_id), page=page, saved=outcome.saved)
            self.shown.last_done = outcome.done or self.shown.last_done
        if outcome.is_outdated:
            self._check_again(keeps_order=True)
        run_id, reasons = outcome.refused
        if reasons:
            self.history_controller.show_refused(run_id, reasons)

    def _cancel(self) -> None:
        if self.state.work is not None:
            self.writer.cancel()
            self.foot.progress(self.tr("Stopping after the current session…"), 0, 0, can_cancel=False)
        elif self._turn(Event.SCANNED):
            self.reading.stop()
            self._end_scan(complete=False)
            self.foot.end(self.tr("The check was stopped. Rescan to look at the rest."))

    # --- what the window shows ----------------------------------------------------------------------------------------

    def _enable(self) -> None:
        selected = self.places.selected_ids()
        repairable = self.table.sessions.counts()[Standing.REPAIRABLE]
        picked = self.table.sessions.repairable(selected) if len(selected) > 1 else 0
        self.tools.show_repairable(picked or repairable, of_selection=bool(picked))
        self.review.head.show_picked(picked)
        for name, on in possible(self.state, self.shown, repairable, selected=selected).items():
            self.actions_[name].setEnabled(on)
        self.review.head.set_idle(self.state.work is None)

    @Slot(object)
    def _on_runs(self, runs: tuple[Run, ...]) -> None:
        self.shown.runs = runs
        self.history.set_runs(runs)
        self.foot.show_runs(len(runs))
        if any(run.status == "interrupted" for run in runs):
            text = self.tr("A repair was interrupted. Repair again to finish it, or roll it back in the history.")
            self.result.show_outcome(text, good=False)
        self._enable()

    def report_error(self, error: BaseException) -> None:
        """An error in a dialog with details that can be copied."""
        show_error(self, error)

    # --- looks and memory ---------------------------------------------------------------------------------------------

    @Slot(object)
    def _draw(self, theme: Theme) -> None:
        for bar in (self.actions_, self.tools, self.chips, self.search, self.notices, self.result, self.foot):
            bar.set_theme(theme)
        for pane in (self.table, self.review, self.history, self.no_store):
            pane.set_theme(theme)
        self.writer.theme = self.history_controller.theme = theme

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask while something is written, and close at the next safe point; what only looks or prepares is asked to
        stop and not waited for. Remember how the window was.
        """
        if self.state.phase is Phase.WRITING and not self.writer.ask_to_stop():
            event.ignore()
            return
        if self.state.phase is Phase.PREPARING:
            self.writer.abandon()
        self._turn(Event.CLOSE)
        if self.writer.is_busy:
            self._cancel()
            event.ignore()
            return
        for end in (self.reading.stop, self.watcher.rest, self.webui.rest, self.second_look.drop):
            end()
        self.review.clear("")
        self.jobs.stop()
        self.choosing.keep()
        self.layout_.save()
        super().closeEvent(event)
