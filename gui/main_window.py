"""The window: sessions on the left, the selected one on the right, and what may be done with them above.

It puts the parts together and carries their wishes to the reader and the jobs; it reads and writes no store itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QByteArray, QPoint, QSettings, Qt, Slot
from PySide6.QtGui import QActionGroup, QCloseEvent, QDragEnterEvent, QDropEvent, QGuiApplication
from PySide6.QtWidgets import (
    QApplication,
    QFileDialog,
    QMainWindow,
    QMenu,
    QMessageBox,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core import repair as repairs
from core import vault
from core.audit import Audit, SessionAudit
from core.errors import StoreNotFoundError
from core.findings import Category
from core.manifest import Run
from core.proposal import Choices
from core.store import Store, WebUIStatus
from gui import theme as themes
from gui.bars import ChipRow, FootRow, ResultBar, ToolRow
from gui.commands import COMMANDS, MENUS, Actions, command_line
from gui.faces import HelpDialog, NoStore, show_about, show_error
from gui.history_panel import HistoryPanel
from gui.memory import Memory
from gui.place import Place, short_path
from gui.reader import Detail, Reading
from gui.review_pane import ReviewPane
from gui.session_table import SessionTable
from gui.theme import Theme
from gui.watcher import Watcher
from gui.writer import Writer


class MainWindow(QMainWindow):
    """One store in a window. ``place`` says which; what the window remembers is in ``settings``."""

    def __init__(self, place: Place, settings: QSettings) -> None:
        super().__init__()
        self.setWindowTitle(self.tr("Hermes Rescue"))
        self.setAcceptDrops(True)
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
        self.chips = ChipRow(self.theme)
        self.result = ResultBar(self.theme)
        self.table = SessionTable(self.theme)
        self.review = ReviewPane(self.theme)
        self.history = HistoryPanel(self.theme)
        self.no_store = NoStore(self.theme)
        self.foot = FootRow(self.actions_, self.theme)
        self.side = QStackedWidget()
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
        for part in (self.tools, self.chips, self.result, self.middle, self.foot):
            column.addWidget(part, int(part is self.middle))
        self.setCentralWidget(body)
        for names in (("unified", "split"), ("theme_system", "theme_light", "theme_dark", "theme_contrast")):
            group = QActionGroup(self)
            for each in names:
                group.addAction(self.actions_[each])

    def _connect(self) -> None:
        slots: dict[str, Callable[[], object]] = {
            "open": self._choose_store,
            "demo": self._open_demo,
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
            "history": self._toggle_history,
            "help": lambda: HelpDialog(COMMANDS, self).exec(),
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
        self.writer.failed.connect(self.tell_error)
        self.writer.demo_made.connect(lambda home: self.open(Place(home)))
        self.no_store.choose_requested.connect(self._choose_store)
        self.no_store.demo_requested.connect(self._open_demo)
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
        self.middle.setCurrentWidget(self.splitter)
        self.table.sessions.begin_scan()
        self.foot.progress(self.tr("Looking for sessions…"), 0, 0)
        self.reading.start(self._place.find)
        self._enable()

    @Slot(object, object)
    def _on_found(self, store: Store, webui: WebUIStatus) -> None:
        self._store = store
        self.tools.show_store(short_path(store), str(store.sessions_dir))
        words = (
            self.tr("Hermes WebUI is running: only what grows is replaced")
            if webui.running
            else self.tr("Hermes WebUI is not running: all repairs are possible")
        )
        self.chips.show_webui(words, webui.evidence)
        self._show_runs()
        if any(run.status == "interrupted" for run in self._runs):
            text = self.tr("A repair was interrupted. Repair again to finish it, or roll it back in the history.")
            self.result.tell(text, good=False, can_undo=False)
        self._memory.opened(str(store.home or store.sessions_dir))
        self._show_recent()

    @Slot(object)
    def _on_audited(self, sessions: tuple[SessionAudit, ...]) -> None:
        self.table.sessions.add(sessions)
        self.chips.show_counts(self.table.sessions.counts())

    @Slot(int, int)
    def _on_scan_progress(self, done: int, total: int) -> None:
        self.foot.progress(self.tr("Checking… {} of {} sessions").format(done, total), done, total)

    @Slot(object)
    def _on_scanned(self, audit: Audit) -> None:
        self._audit = audit
        self.watcher.watch(audit.store.sessions_dir)
        self.table.sessions.end_scan()
        text = self.tr("Checked {} sessions in {:.1f} s. Nothing was changed.").format(
            len(audit.sessions), audit.seconds
        )
        notes = [f.evidence for f in audit.store_findings]
        self.foot.end(" ".join((text, *notes[:1])))
        self.chips.show_counts(self.table.sessions.counts())
        if not self.table.selected_ids() and self.table.sessions.visible_count:
            self.table.select(self.table.sessions.session_at(0).session_id)
        self._enable()

    @Slot()
    def _on_changed_outside(self) -> None:
        self.foot.end(self.tr("The sessions have changed on the disk. Rescan (F5) to look again."))

    @Slot(object)
    def _on_scan_failed(self, error: Exception) -> None:
        self.foot.end("")
        self.table.sessions.end_scan(complete=False)
        if isinstance(error, StoreNotFoundError):
            self.no_store.tell(str(error))
            self.middle.setCurrentWidget(self.no_store)
        else:
            self.tell_error(error)
        self._enable()

    # --- one session ------------------------------------------------------------------------------------------------

    @Slot(str)
    def _show_session(self, session_id: str) -> None:
        self.actions_["history"].setChecked(False)
        self.side.setCurrentWidget(self.review)
        if session_id:
            self.reading.ask(session_id, self._choices.get(session_id))
        else:
            self.review.clear(self.tr("Select a session to see what is in its copies."))
        self._enable()

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
        self._choices[session_id] = choices
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
            self.table.select(self.table.sessions.session_at(row).session_id)

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
        self.result.tell(text, good=good, can_undo=bool(run_id))

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
        repairable = self.table.sessions.counts().get(Category.REPAIRABLE, 0)
        self.tools.show_repairable(repairable)
        unfinished = any(run.status == "interrupted" for run in self._runs)
        enabled = {
            "repair_all": free and (repairable > 0 or unfinished),
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

    def _show_runs(self) -> None:
        self._runs = vault.list_runs(self._store.vault_root) if self._store is not None else ()
        self.history.set_runs(self._runs)
        self.foot.show_runs(len(self._runs))
        self._enable()

    def _toggle_history(self) -> None:
        shown = self.actions_["history"].isChecked()
        self.side.setCurrentWidget(self.history if shown else self.review)

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
        QGuiApplication.clipboard().setText(command_line(command, self._place.options, self.table.selected_ids()[:1]))

    def tell_error(self, error: BaseException) -> None:
        """An error in a dialog with details that can be copied."""
        show_error(self, error)

    # --- opening others -----------------------------------------------------------------------------------------------

    def _open_path(self, path: str) -> None:
        self.open(Place.of(Path(path)))

    def _choose_store(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, self.tr("Choose a Hermes home or a sessions folder"))
        if folder:
            self.open(Place.of(Path(folder)))

    def _open_demo(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, self.tr("Choose a folder for the demo store"))
        if folder:
            self.writer.make_demo(Path(folder))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take a folder."""
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open the folder that was dropped."""
        for url in event.mimeData().urls():
            if url.isLocalFile():
                self.open(Place.of(Path(url.toLocalFile())))
                return

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
        parts = (self.actions_, self.tools, self.chips, self.result, self.table, self.review, self.history, self.foot)
        for part in parts:
            part.set_theme(theme)
        self.no_store.set_theme(theme)
        self.writer.theme = theme
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
        self._show_recent()

    def _save(self) -> None:
        columns = QByteArray(self.table.save_state())
        self._memory.keep(
            [("geometry", self.saveGeometry()), ("splitter", self.splitter.saveState()), ("columns", columns)]
        )
        self._memory.mode = self.review.difference.mode

    def _show_recent(self) -> None:
        menu = self.tools.store_menu
        menu.clear()
        for path in self._memory.recent:
            menu.addAction(path).triggered.connect(partial(self._open_path, path))
        menu.addSeparator()
        menu.addAction(self.actions_["open"])
        menu.addAction(self.actions_["demo"])

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask while something is written, and wait for the safe point; remember how the window was."""
        if self.writer.is_busy:
            if not self._closing:
                self._ask_to_close()
            event.ignore()
            return
        self.reading.stop()
        self.writer.jobs.stop()
        self._save()
        super().closeEvent(event)

    def _ask_to_close(self) -> None:
        question = self.tr("Something is being written. Stop after the current file and close?")
        buttons = QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.No
        no = QMessageBox.StandardButton.No
        if QMessageBox.question(self, self.windowTitle(), question, buttons, no) == QMessageBox.StandardButton.Yes:
            self._closing = True
            if self.writer.is_busy:
                self._cancel()
            else:
                self.close()
