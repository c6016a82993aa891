"""The window: sessions on the left, the selected one on the right, and what may be done with them above.

It puts the parts together and carries their wishes to the reader and the jobs; it reads and writes no store itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from PySide6.QtCore import QByteArray, QPoint, QSettings, Qt, Slot
from PySide6.QtGui import QActionGroup, QCloseEvent, QGuiApplication
from PySide6.QtWidgets import (
    QApplication,
    QMainWindow,
    QMenu,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core import repair as repairs
from core.audit import Audit
from core.errors import RescueError, StoreNotFoundError
from core.findings import Category, SessionAudit
from core.manifest import Run
from core.proposal import Choices
from core.store import Store
from core.webui_status import WebUIStatus
from gui import theme as themes
from gui.bars import ChipRow, FootRow, ToolRow
from gui.commands import COMMANDS, MENUS, Actions, command_line
from gui.faces import HelpDialog, NoStore, message_of, show_about, show_error
from gui.history_panel import HistoryPanel
from gui.lookback import Lookback
from gui.memory import Memory
from gui.notices import ResultBar, StoreNotices
from gui.place import Place, short_path
from gui.reader import USUAL_PAIR, Detail, Reading
from gui.review_pane import ReviewPane
from gui.session_table import SessionTable
from gui.store_chooser import StoreChooser
from gui.theme import Theme
from gui.watcher import Watcher
from gui.writer import Writer


class MainWindow(QMainWindow):
    """One store in a window. ``place`` says which; what the window remembers is in ``settings``."""

    def __init__(self, place: Place, settings: QSettings) -> None:
        super().__init__()
        self.setWindowTitle(self.tr("Hermes Rescue"))
        self._memory = Memory(settings)
        self._place = place
        self._store: Store | None = None
        self._audit: Audit | None = None
        self._runs: tuple[Run, ...] = ()
        self._choices: dict[str, Choices] = {}
        self._last_run = ""
        self._closing = False
        self.theme: Theme = themes.load(self._theme_name())
        self.reading = Reading(self)
        self.watcher = Watcher(self)
        self.writer = Writer(self, self.theme)
        self.actions_ = Actions(self, self.theme)
        self._build()
        self._connect()
        self._restore()
        self.set_theme(self.theme)
        self.table.setFocus()
        self.open(place)

    # --- building ---------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        for name, title in MENUS:
            menu = self.menuBar().addMenu(QApplication.translate("Commands", title))
            for action in self.actions_.in_menu(name):
                menu.addAction(action)
        self.tools = ToolRow(self.actions_, self.theme)
        self.chooser = StoreChooser(self, self.tools.store_menu, self.actions_, self._memory)
        self.chips = ChipRow(self.theme)
        self.notices = StoreNotices(self.theme)
        self.result = ResultBar(self.theme)
        self.table = SessionTable(self.theme)
        self.review = ReviewPane(self.theme)
        self.history = HistoryPanel(self.theme)
        self.lookback = Lookback(self.history, self, self.theme)
        self.no_store = NoStore(self.theme)
        self.foot = FootRow(self.actions_, self.theme)
        self.side = QStackedWidget()  # the history comes second: its action, checked or not, is the index
        self.side.addWidget(self.review)
        self.side.addWidget(self.history)
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.addWidget(self.table)
        self.splitter.addWidget(self.side)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setStretchFactor(0, 1)
        self.splitter.setStretchFactor(1, 1)
        self.middle = QStackedWidget()
        self.middle.addWidget(self.splitter)
        self.middle.addWidget(self.no_store)
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        for part in (self.tools, self.chips, self.notices, self.result, self.middle, self.foot):
            column.addWidget(part, int(part is self.middle))
        self.setCentralWidget(body)
        for names in (("unified", "split"), ("theme_system", "theme_light", "theme_dark", "theme_contrast")):
            group = QActionGroup(self)
            for each in names:
                group.addAction(self.actions_[each])

    def _connect(self) -> None:
        slots: dict[str, Callable[[], object]] = {
            "rescan": self.rescan,
            "export": lambda: self._export(""),
            "quit": self.close,
            "repair_all": lambda: self._repair(None),
            "repair": lambda: self._repair(self.table.selected_ids()),
            "find": self.tools.filter.setFocus,
            "copy_id": lambda: QGuiApplication.clipboard().setText("\n".join(self.table.selected_ids())),
            "copy_command": lambda: self._copy_command("copy_command"),
            "compare": lambda: self._copy_command("compare"),
            "next": self.review.difference.next_change,
            "previous": self.review.difference.previous_change,
            "unified": lambda: self.review.difference.set_mode("unified"),
            "split": lambda: self.review.difference.set_mode("split"),
            "theme_system": lambda: self._choose_theme("system"),
            "theme_light": lambda: self._choose_theme("light"),
            "theme_dark": lambda: self._choose_theme("dark"),
            "theme_contrast": lambda: self._choose_theme("contrast"),
            "undo": lambda: self._undo("", ""),
            "help": lambda: HelpDialog(COMMANDS, self).open(),
            "about": lambda: show_about(self),
        }
        for name, slot in slots.items():
            self.actions_.connect(name, slot)
        self.tools.filter_changed.connect(self.table.sessions.set_filter)
        self.chips.chosen.connect(self.table.sessions.set_category)
        self.table.current_changed.connect(self._show_session)
        self.table.selection_changed.connect(lambda _: self._enable())
        self.table.context_menu_requested.connect(self._context_menu)
        self.table.clear_filter_requested.connect(self._clear_filter)
        self.reading.listed.connect(self.table.add)
        self.reading.found.connect(self._on_found)
        self.reading.audited.connect(self._on_audited)
        self.reading.progressed.connect(self._on_scan_progress)
        self.reading.scanned.connect(self._on_scanned)
        self.reading.detailed.connect(self._on_detail)
        self.reading.failed.connect(self._on_scan_failed)
        self.review.choices_changed.connect(self._on_choices)
        self.review.comparison_wanted.connect(self._compare)
        self.review.next_session_wanted.connect(self._next_session)
        self.result.undo_requested.connect(lambda: self._undo(self._last_run, ""))
        self.result.export_requested.connect(lambda: self._export(self._last_run))
        self.foot.cancel_requested.connect(self._cancel)
        self.lookback.runs_read.connect(self._on_runs)
        self.lookback.failed.connect(self.tell_error)
        self.lookback.shown.connect(lambda: self.actions_["history"].setChecked(True))
        self.actions_["history"].toggled.connect(self.side.setCurrentIndex)
        self.history.undo_requested.connect(self._undo)
        self.history.report_requested.connect(self._export)
        self.history.finish_requested.connect(lambda _: self._repair(None))
        self.history.show_requested.connect(self.table.select)
        self.watcher.changed.connect(self._on_changed_outside)
        self.writer.started.connect(self._on_work_started)
        self.writer.progressed.connect(self.foot.progress)
        self.writer.ended.connect(self._on_work_ended)
        self.writer.about_to_write.connect(self.reading.stop)
        self.writer.about_to_write.connect(self.watcher.rest)
        self.writer.told.connect(self._on_told)
        self.writer.store_changed.connect(self._on_store_changed)
        self.writer.store_untouched.connect(self._reopen)
        self.writer.refused.connect(self.lookback.show_refused)
        self.writer.failed.connect(self.tell_error)
        self.writer.demo_made.connect(lambda home: self.open(Place(home)))
        self.notices.rescan_requested.connect(self.rescan)
        self.no_store.retry_requested.connect(self.rescan)
        self.no_store.choose_requested.connect(self.chooser.ask)
        self.no_store.demo_requested.connect(self.chooser.ask_for_demo)
        self.chooser.chosen.connect(self.open)
        self.chooser.demo_wanted.connect(self.writer.make_demo)
        hints = QGuiApplication.styleHints()
        hints.colorSchemeChanged.connect(lambda _: self._choose_theme(self._memory.theme))

    # --- the store --------------------------------------------------------------------------------------------------

    def open(self, place: Place) -> None:
        """Look at another store."""
        self._place = place
        self._store = None
        self._choices.clear()
        self.table.sessions.clear()
        self.review.clear("")
        self.rescan()

    @Slot()
    def rescan(self) -> None:
        """Check every session again; what is selected stays selected."""
        if self.writer.is_busy:
            return
        self._audit = None
        self._runs = ()
        self.middle.setCurrentWidget(self.splitter)
        self.notices.begin()
        self.review.outdate()
        self.table.sessions.begin_scan()
        self.foot.progress(self.tr("Looking for sessions…"), 0, 0)
        self.reading.start(self._place.find)
        self._enable()

    @Slot(object, object)
    def _on_found(self, store: Store, webui: WebUIStatus) -> None:
        self._store = store
        self.tools.show_store(short_path(store), str(store.sessions_dir))
        self.chips.show_webui(webui)
        self.notices.tell_webui(webui)
        self.lookback.read(store)
        self.chooser.opened(str(store.home or store.sessions_dir))

    @Slot(object)
    def _on_audited(self, sessions: tuple[SessionAudit, ...]) -> None:
        self.table.add(sessions)
        self.chips.show_counts(self.table.sessions.counts())
        if self.table.current_id in (session.session_id for session in sessions):
            self._ask(self.table.current_id)  # what is shown of it is from the check before

    @Slot(float, int)
    def _on_scan_progress(self, done: float, total: int) -> None:
        self.foot.progress(self.tr("Checking… {} of {} sessions").format(int(done), total), done, total)

    @Slot(object)
    def _on_scanned(self, audit: Audit) -> None:
        self._audit = audit
        self.watcher.watch(audit.store.sessions_dir)
        self.table.sessions.end_scan()
        text = self.tr("Checked {} sessions in {:.1f} s. Nothing was changed.").format(
            len(audit.sessions), audit.seconds
        )
        self.foot.end(text)
        counts = self.table.sessions.counts()
        self.chips.show_counts(counts)
        self.notices.tell_audit(audit, counts, time.time())
        if not self.table.selected_ids() and self.table.sessions.visible_count:
            self.table.select(self.table.sessions.id_at(0))
        self._enable()

    @Slot()
    def _on_changed_outside(self) -> None:
        self.notices.tell_changed()

    @Slot(object)
    def _on_scan_failed(self, error: Exception) -> None:
        self.foot.end("")
        self.table.sessions.end_scan(complete=False)
        if isinstance(error, StoreNotFoundError):
            self.no_store.tell_missing(str(error))
            self.middle.setCurrentWidget(self.no_store)
        else:
            is_of_store = isinstance(error, (RescueError, OSError))
            if not is_of_store:
                self.tell_error(error)
            if is_of_store or not any(self.table.sessions.counts().values()):
                self.no_store.tell_unreadable(message_of(error)[0])
                self.middle.setCurrentWidget(self.no_store)
        self._enable()

    # --- one session ------------------------------------------------------------------------------------------------

    @Slot(str)
    def _show_session(self, session_id: str) -> None:
        self.actions_["history"].setChecked(False)
        if session_id:
            self._ask(session_id)
        else:
            self.review.clear(self.tr("Select a session to see what is in its copies."))
        self._enable()

    def _ask(self, session_id: str) -> None:
        """Have a session read in full; where it is the one that is shown, with the same two versions compared."""
        self.review.expect(session_id)
        pair = self.review.pair if session_id == self.review.session_id else USUAL_PAIR
        self.reading.ask(session_id, self._choices.get(session_id), pair)

    @Slot(object)
    def _on_detail(self, detail: Detail | None) -> None:
        if detail is None:
            self.review.clear(self.tr("The session is no longer there. Rescan to see what is."))
        elif self.review.shows(detail) and detail.audited.session_id in self._choices:
            self.review.update_summary(detail)
        else:
            self.review.show_detail(detail)

    @Slot(str, object)
    def _on_choices(self, session_id: str, choices: Choices) -> None:
        self._choices = {sid: c for sid, c in {**self._choices, session_id: choices}.items() if c != Choices()}
        self.reading.ask(session_id, choices)
        self._enable()

    @Slot(str, str)
    def _compare(self, left: str, right: str) -> None:
        session_id = self.review.session_id
        self.reading.ask(session_id, self._choices.get(session_id), (left, right))

    @Slot(int)
    def _next_session(self, direction: int) -> None:
        row = self.table.sessions.row_of(self.review.session_id) + direction
        if 0 <= row < self.table.sessions.visible_count:
            session_id = self.table.sessions.id_at(row)
            if direction < 0:
                self.review.enter_at_end(session_id)
            self.table.select(session_id)

    # --- repair, undo, report -----------------------------------------------------------------------------------------

    def _repair(self, session_ids: Sequence[str] | None) -> None:
        if self._store is not None and not self.writer.is_busy and session_ids != []:
            chosen = {sid: c for sid, c in self._choices.items() if session_ids is None or sid in session_ids}
            self.writer.repair(self._store, session_ids, chosen)

    @Slot(str, str)
    def _undo(self, run_id: str, session_id: str) -> None:
        undoable = repairs.undoable(self._runs)
        run_id = run_id or (undoable[0].run_id if undoable else "")
        if self._store is not None and run_id and not self.writer.is_busy:
            self.writer.undo(self._store, run_id, session_id)

    def _export(self, run_id: str) -> None:
        if self._store is not None and not self.writer.is_busy and (run_id or self._audit is not None):
            self.writer.export(self._store, self._audit, run_id)

    @Slot(str, bool, str)
    def _on_told(self, text: str, good: bool, run_id: str) -> None:
        self._last_run = run_id
        self.result.tell_outcome(text, good=good, can_undo=bool(run_id))

    @Slot(str)
    def _on_work_started(self, text: str) -> None:
        self.foot.progress(text, 0, 0)
        self._enable()

    @Slot()
    def _on_work_ended(self) -> None:
        self.foot.end("")
        self._enable()
        if self._closing:
            self.close()

    def _on_store_changed(self) -> None:
        self._choices.clear()
        self._reopen()

    def _reopen(self) -> None:
        if not self._closing:
            self.rescan()

    def _cancel(self) -> None:
        if self.writer.is_busy:
            self.writer.cancel()
            self.foot.progress(self.tr("Stopping after the current file…"), 0, 0, can_cancel=False)
        elif self.reading.is_open:
            self.reading.stop()
            self.table.sessions.end_scan(complete=False)
            self.foot.end(self.tr("The check was stopped. Rescan to look at the rest."))

    # --- what the window shows ----------------------------------------------------------------------------------------

    def _enable(self) -> None:
        free = self._store is not None and not self.writer.is_busy
        selected = self.table.selected_ids()
        repairable = self.table.sessions.counts()[Category.REPAIRABLE]
        of_store = self._audit.store_findings if self._audit is not None else ()
        self.tools.show_repairable(repairable)
        unfinished = any(run.status == "interrupted" for run in self._runs)
        enabled = {
            "repair_all": free
            and (repairable > 0 or unfinished or any(f.category is Category.REPAIRABLE for f in of_store)),
            "repair": free and bool(selected),
            "undo": free and bool(repairs.undoable(self._runs)),
            "export": free and self._audit is not None,
            "rescan": not self.writer.is_busy,
            "copy_id": bool(selected),
            "copy_command": bool(selected),
            "compare": bool(selected),
            "history": self._store is not None,
        }
        for name, on in enabled.items():
            self.actions_[name].setEnabled(on)

    @Slot(object)
    def _on_runs(self, runs: tuple[Run, ...]) -> None:
        self._runs = runs
        self.history.set_runs(runs)
        self.foot.show_runs(len(runs))
        if any(run.status == "interrupted" for run in runs):
            text = self.tr("A repair was interrupted. Repair again to finish it, or roll it back in the history.")
            self.result.tell_outcome(text, good=False, can_undo=False)
        self._enable()

    def _context_menu(self, where: QPoint) -> None:
        menu = QMenu(self)
        for name in ("repair", "copy_id", "copy_command", "compare"):
            menu.addAction(self.actions_[name])
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(where)

    def _clear_filter(self) -> None:
        self.tools.filter.clear()
        self.chips.clear()

    def _copy_command(self, name: str) -> None:
        command = next(c for c in COMMANDS if c.name == name)
        line = command_line(command, self._place.options, self.table.selected_ids()[:1], self._choices)
        QGuiApplication.clipboard().setText(line)

    def tell_error(self, error: BaseException) -> None:
        """An error in a dialog with details that can be copied."""
        show_error(self, error)

    # --- looks and memory ---------------------------------------------------------------------------------------------

    def _theme_name(self) -> str:
        app = QGuiApplication.instance()
        if self._memory.theme in themes.NAMES or not isinstance(app, QGuiApplication):
            return self._memory.theme if self._memory.theme in themes.NAMES else themes.NAMES[0]
        return themes.system_theme_name(app)

    def _choose_theme(self, choice: str) -> None:
        self._memory.theme = choice
        self.set_theme(themes.load(self._theme_name()))

    def set_theme(self, theme: Theme) -> None:
        """Draw everything in other colours."""
        self.theme = theme
        app = QApplication.instance()
        if isinstance(app, QApplication):
            themes.apply(app, theme)
        parts = (
            self.actions_,
            self.tools,
            self.chips,
            self.notices,
            self.result,
            self.table,
            self.review,
            self.history,
            self.foot,
        )
        for part in parts:
            part.set_theme(theme)
        self.no_store.set_theme(theme)
        self.writer.theme = self.lookback.theme = theme
        self.actions_[f"theme_{self._memory.theme}"].setChecked(True)

    def _restore(self) -> None:
        self.resize(1280, 800)
        self.splitter.setSizes([self.width() // 2] * 2)
        if (geometry := self._memory.state("geometry")) is not None:
            self.restoreGeometry(geometry)
        if (sizes := self._memory.state("splitter")) is not None:
            self.splitter.restoreState(sizes)
        if (columns := self._memory.state("columns")) is not None:
            self.table.restore_state(bytes(columns.data()))
        self.review.difference.set_mode(self._memory.mode)
        self.actions_[self._memory.mode].setChecked(True)

    def _save(self) -> None:
        columns = QByteArray(self.table.save_state())
        self._memory.keep(
            [("geometry", self.saveGeometry()), ("splitter", self.splitter.saveState()), ("columns", columns)]
        )
        self._memory.mode = self.review.difference.mode

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask while something is written, and wait for the safe point; remember how the window was."""
        if self.writer.is_busy:
            if not self._closing and self.writer.ask_to_stop():
                self._closing = True
                self._cancel()
            if self.writer.is_busy:
                event.ignore()
                return
        self.reading.stop()
        self.watcher.rest()
        self.review.clear("")
        self.writer.jobs.stop()
        self.lookback.jobs.stop()
        self._save()
        super().closeEvent(event)
