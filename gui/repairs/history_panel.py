"""All repairs that were made: what each did to which session, and the ways back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from hermes_rescue.core.base.files import shown
from hermes_rescue.core.repair.run_record import Operation, Run
from hermes_rescue.gui.view_model.diff_text import one_line
from hermes_rescue.gui.view_model.formatting import breakable, counted, moment, number, plain_tip
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import QAbstractItemModel, QModelIndex, QPersistentModelIndex, QPoint, Qt, Signal, Slot
from PySide6.QtGui import QAction, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QMenu,
    QStackedLayout,
    QToolButton,
    QTreeView,
    QVBoxLayout,
    QWidget,
)

Index = QModelIndex | QPersistentModelIndex

_NAMED = 4  # titles that the line of a run names
_OF_RUN = -1  # where a run keeps its own line among those of its sessions


class Column(IntEnum):
    """The columns of the tree."""

    NAME = 0
    WHAT = 1
    STATUS = 2


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the tree: a run, or a session of it. ``problem`` says in a sentence what is wrong with it."""

    run_id: str
    session_id: str
    words: tuple[str, str, str]
    icon: tuple[str, str]
    problem: str
    can_undo: bool
    can_report: bool
    can_compare: bool
    is_interrupted: bool


class _ShownRun:
    """A run in words, and its sessions, each put into words when somebody looks at it."""

    def __init__(self, run: Run) -> None:
        operations: dict[str, list[Operation]] = {}
        for operation in run.operations:
            if operation.session_id is not None:
                operations.setdefault(operation.session_id, []).append(operation)
        lists = [each for each in run.operations if each.session_id is None]
        self.run = run
        self.sessions = [*operations.items(), *((sid, lists) for sid in run.relisted)]
        self.refusals: Mapping[str, str] = {}
        self.entries: dict[int, Entry] = {}

    @property
    def undone(self) -> int:
        """How many sessions were put back."""
        return len(self.run.undone)

    @property
    def can_undo(self) -> bool:
        """Whether an undo would put back any session."""
        return self.run.status != "running" and any(
            each.may_stand and each.session_id not in (None, *self.refusals) for each in self.run.operations
        )

    def row_of(self, session_id: str) -> int | None:
        """Where a session stands, None where it is not in the run."""
        return next((row for row, (sid, _) in enumerate(self.sessions) if sid == session_id), None)


class RunTree(QAbstractItemModel):
    """Runs, and below each its sessions. An index knows its run: its id is 0 for a run, else the run's row and 1."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme
        self._shown: list[_ShownRun] = []

    def set_theme(self, theme: Theme) -> None:
        """Answer with other colours."""
        self.layoutAboutToBeChanged.emit()
        self._theme = theme
        self.layoutChanged.emit()

    def set_runs(self, runs: Sequence[Run]) -> None:
        """Show other runs, the newest first."""
        self.beginResetModel()
        self._shown = [_ShownRun(run) for run in runs]
        self.endResetModel()

    def set_refusals(self, run_id: str, refusals: Mapping[str, str]) -> None:
        """Say of sessions of a run why an undo would leave them as they are."""
        run = self.find(run_id, "")
        if not run.isValid() or not refusals:
            return
        of_run = self._shown[run.row()]
        of_run.refusals = refusals
        of_run.entries.clear()
        last = len(Column) - 1
        self.dataChanged.emit(run, run.siblingAtColumn(last))
        self.dataChanged.emit(self.index(0, 0, run), self.index(len(of_run.sessions) - 1, last, run))

    def entry(self, index: Index) -> Entry:
        """The line at a valid index."""
        of_run = self._shown[index.internalId() - 1 if index.internalId() else index.row()]
        row = index.row() if index.internalId() else _OF_RUN
        if row not in of_run.entries:
            of_run.entries[row] = (
                self._entry(of_run) if row == _OF_RUN else self._session(of_run, *of_run.sessions[row])
            )
        return of_run.entries[row]

    def find(self, run_id: str, session_id: str) -> QModelIndex:
        """Where a run or a session of it is; an invalid index where it is not."""
        for row, of_run in enumerate(self._shown):
            if of_run.run.run_id == run_id:
                run = self.index(row, 0)
                below = of_run.row_of(session_id)
                return self.index(below, 0, run) if below is not None else run
        return QModelIndex()

    def index(self, row: int, column: int, parent: Index = QModelIndex()) -> QModelIndex:  # noqa: B008 (Qt's own)
        """Called by Qt."""
        if not (0 <= row < self.rowCount(parent) and 0 <= column < len(Column)):
            return QModelIndex()
        return self.createIndex(row, column, parent.row() + 1 if parent.isValid() else 0)

    def hasChildren(self, parent: Index = QModelIndex()) -> bool:  # noqa: B008
        """Called by Qt for each line: sessions have nothing below them."""
        return not parent.internalId() and self.rowCount(parent) > 0

    def parent(self, index: Index = QModelIndex()) -> QModelIndex:  # type: ignore[override]  # noqa: B008
        """Called by Qt."""
        return (
            self.createIndex(index.internalId() - 1, 0, 0) if index.isValid() and index.internalId() else QModelIndex()
        )

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Called by Qt."""
        if not parent.isValid():
            return len(self._shown)
        return 0 if parent.internalId() or parent.column() else len(self._shown[parent.row()].sessions)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Called by Qt."""
        return len(Column)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Called by Qt."""
        heads = (self.tr("Repair"), self.tr("What"), self.tr("Status"))
        return heads[section] if role == Qt.ItemDataRole.DisplayRole else None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Called by Qt."""
        entry, column = self.entry(index), Column(index.column())
        words = entry.words[column]
        if role == Qt.ItemDataRole.DisplayRole:
            return words
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip("\n".join(part for part in (words, entry.problem) if part))
        if role == Qt.ItemDataRole.AccessibleTextRole and column is Column.NAME:
            return ", ".join(part for part in (*entry.words, entry.problem) if part)
        icon, token = entry.icon
        if column is Column.STATUS and role == Qt.ItemDataRole.DecorationRole:
            return self._theme.icon(icon, token)
        if column is Column.STATUS and role == Qt.ItemDataRole.ForegroundRole:
            return self._theme.color(token)
        return None

    def _entry(self, of_run: _ShownRun) -> Entry:
        run = of_run.run
        when = moment(run.created_at) if run.status != "unreadable" else run.run_id
        problem = shown(run.problem)
        if of_run.refusals:
            left = self.tr("An undo would leave {n} of {total} as before; each says why.")
            problem = left.format(n=number(len(of_run.refusals)), total=counted(len(of_run.sessions), "session"))
        status, icon = self._status(run, of_run.undone, len(of_run.sessions))
        return Entry(
            run.run_id,
            "",
            (when, shown(run.problem) or self._what(of_run), status),
            icon,
            problem,
            of_run.can_undo,
            run.status not in ("unreadable", "running"),
            False,
            run.status == "interrupted",
        )

    def _what(self, of_run: _ShownRun) -> str:
        n = len(of_run.sessions)
        if not n:
            return self.tr("The session list was rebuilt")
        titles = ", ".join(_title(*session) for session in of_run.sessions[:_NAMED]) + (", …" if n > _NAMED else "")
        return self.tr("{}: {}").format(counted(n, "session"), titles)

    def _status(self, run: Run, undone: int, sessions: int) -> tuple[str, tuple[str, str]]:
        if run.status == "unreadable":
            return self.tr("Unreadable"), ("missing", "lost")
        if run.status == "interrupted":
            return self.tr("Interrupted"), ("warning", "repair")
        if run.status == "running":
            return self.tr("Running"), ("play", "info")
        if run.status == "undone" or (undone and undone == sessions):
            return self.tr("Undone"), ("undo", "info")
        if undone:
            return self.tr("Partly undone"), ("undo", "info")
        return self.tr("Finished"), ("healthy", "ok")

    def _session(self, of_run: _ShownRun, session_id: str, operations: Sequence[Operation]) -> Entry:
        failed = next((operation for operation in operations if operation.state in ("failed", "skipped")), None)
        problem = shown(failed.note) if failed is not None else ""
        refusal = of_run.refusals.get(session_id)
        if refusal is not None:
            status, icon, problem = self.tr("Cannot be undone"), ("warning", "repair"), shown(refusal)
        elif any(operation.state == "undone" for operation in operations):
            status, icon = self.tr("Undone"), ("undo", "info")
        elif failed is not None:
            words = {"failed": self.tr("Failed"), "skipped": self.tr("Skipped")}
            status, icon = words[failed.state], ("warning", "repair")
        elif any(operation.state == "planned" for operation in operations):
            status, icon = self.tr("Not finished"), ("warning", "repair")
        else:
            status, icon = self.tr("Repaired"), ("healthy", "ok")
        has_files = operations[0].session_id is not None
        may_stand = any(operation.may_stand for operation in operations)
        return Entry(
            of_run.run.run_id,
            session_id,
            (_title(session_id, operations), self._counts(operations[0]), status),
            icon,
            problem,
            has_files and of_run.run.status != "running" and may_stand and refusal is None,
            has_files,
            has_files and any(operation.may_have_changed for operation in operations),
            False,
        )

    def _counts(self, operation: Operation) -> str:
        if operation.session_id is None:
            return self.tr("was only missing from the session list")
        counts = (operation.count(name) for name in ("messages_before", "messages_after"))
        text = " → ".join("–" if n is None else number(n) for n in counts)
        return self.tr("{counts} messages").format(counts=text)


def _title(session_id: str, operations: Sequence[Operation]) -> str:
    name = "title" if operations[0].session_id is not None else session_id
    return one_line(str(operations[0].info.get(name, ""))) or session_id


class HistoryPanel(QWidget):
    """The repairs of a store, newest first, with what can be done about the selected one.

    ``undo_requested`` carries a run and a session of it ("" for all of them); ``finish_requested`` a run that was
    interrupted; ``changes_requested`` a run, a session of it and what is wrong with it. ``check_requested``: somebody
    looks at a run, and it is not known yet what of it can still be undone.
    """

    undo_requested = Signal(str, str)
    changes_requested = Signal(str, str, str)
    check_requested = Signal(str)
    report_requested = Signal(str, str)
    finish_requested = Signal(str)
    show_requested = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.runs = RunTree(theme, self)
        self.tree = QTreeView()
        self.tree.setModel(self.runs)
        self.problem = QLabel()
        self.problem.setTextFormat(Qt.TextFormat.PlainText)
        self.problem.setWordWrap(True)
        self.empty = QLabel(self.tr("No repair was made yet."))
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty.setProperty("muted", True)
        self.undo, self.finish, self.changes, self.report, self.show_session = (QAction(self) for _ in range(5))
        self._checked: set[str] = set()
        self._set_up_tree()
        self._lay_out()
        self.undo.triggered.connect(self._undo)
        self.finish.triggered.connect(self._finish)
        self.changes.triggered.connect(self._changes)
        self.report.triggered.connect(self._report)
        self.show_session.triggered.connect(self._show_session)
        self.set_theme(theme)
        self.set_runs(())

    def set_theme(self, theme: Theme) -> None:
        """Paint in other colours."""
        self.runs.set_theme(theme)
        self.undo.setIcon(theme.icon("undo"))
        self.finish.setIcon(theme.icon("healthy"))
        self.changes.setIcon(theme.icon("split"))
        self.report.setIcon(theme.icon("export"))
        self.show_session.setIcon(theme.icon("next"))

    def set_runs(self, runs: Sequence[Run]) -> None:
        """Show the runs, newest first. What was open stays open, what was selected stays selected."""
        selected = self.selected()
        opened = [self.runs.entry(index).run_id for index in self._run_indexes() if self.tree.isExpanded(index)]
        self._checked.clear()
        self.runs.set_runs(runs)
        for run_id in opened:
            self.tree.expand(self.runs.find(run_id, ""))
        index = self.runs.find(selected.run_id, selected.session_id) if selected is not None else QModelIndex()
        self.tree.setCurrentIndex(index if index.isValid() else self.runs.index(0, 0))
        self._pages.setCurrentIndex(0 if runs else 1)
        self._offer()

    def set_refusals(self, run_id: str, refusals: Mapping[str, str]) -> None:
        """Say which sessions of a run cannot be undone now, each with the reason."""
        self.runs.set_refusals(run_id, refusals)
        self._offer()

    def select(self, run_id: str, session_id: str) -> None:
        """Select a run or a session of it, where it is there."""
        index = self.runs.find(run_id, session_id)
        if index.isValid():
            self.tree.setCurrentIndex(index)

    def title_of(self, run_id: str, session_id: str) -> str:
        """The title of a session of a run, or its id where nobody knows one."""
        index = self.runs.find(run_id, session_id)
        return self.runs.entry(index).words[Column.NAME] if index.isValid() else session_id

    def showEvent(self, event: QShowEvent) -> None:
        """Called by Qt: what is only looked up for somebody who sees it is looked up now."""
        super().showEvent(event)
        self._offer()

    def selected(self) -> Entry | None:
        """The selected line."""
        index = self.tree.currentIndex()
        return self.runs.entry(index) if index.isValid() else None

    def _run_indexes(self) -> Iterator[QModelIndex]:
        return (self.runs.index(row, 0) for row in range(self.runs.rowCount()))

    def _set_up_tree(self) -> None:
        self.tree.setAccessibleName(self.tr("Repairs"))
        self.tree.setUniformRowHeights(True)
        self.tree.setStyleSheet("QTreeView::item { padding: 0.3em 6px; }")
        self.tree.setAllColumnsShowFocus(True)
        self.tree.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.tree.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.tree.customContextMenuRequested.connect(self._open_menu)
        self.tree.activated.connect(self._show_session)
        self.tree.selectionModel().currentChanged.connect(self._offer)
        header = self.tree.header()
        header.setStretchLastSection(False)
        header.setResizeContentsPrecision(200)
        header.setSectionResizeMode(Column.NAME, QHeaderView.ResizeMode.Interactive)
        header.resizeSection(Column.NAME, 48 * self.fontMetrics().averageCharWidth())
        header.setSectionResizeMode(Column.STATUS, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(Column.WHAT, QHeaderView.ResizeMode.Stretch)

    def _lay_out(self) -> None:
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        self.problem.setContentsMargins(16, 10, 16, 12)
        row = QHBoxLayout()  # above, since what a repair came to is shown over the foot
        row.setContentsMargins(16, 10, 16, 10)
        row.setSpacing(8)
        self.buttons = {action: QToolButton() for action in self._actions()}
        for action, button in self.buttons.items():
            button.setDefaultAction(action)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            row.addWidget(button)
        row.addStretch()
        layout.addLayout(row)
        layout.addWidget(self.tree, 1)
        layout.addWidget(self.problem)
        self._pages = QStackedLayout(self)
        self._pages.addWidget(page)
        self._pages.addWidget(self.empty)

    def _actions(self) -> tuple[QAction, ...]:
        return self.undo, self.finish, self.changes, self.report, self.show_session

    @Slot()
    def _offer(self) -> None:
        """Name and enable what can be done about the selected line."""
        entry = self.selected()
        is_session = entry is not None and bool(entry.session_id)
        is_interrupted = entry is not None and entry.is_interrupted
        undo = self.tr("Undo this session…") if is_session else self.tr("Undo this repair…")
        self.undo.setText(self.tr("Roll back…") if is_interrupted else undo)
        self.undo.setIconText(self.undo.text())  # Qt's own takes the dots away
        self.finish.setText(self.tr("Finish this repair"))
        self.changes.setText(self.tr("Show what changed since…"))
        self.changes.setIconText(self.changes.text())
        self.report.setText(self.tr("Report…"))
        self.report.setIconText(self.report.text())
        self.show_session.setText(self.tr("Show session"))
        self.undo.setEnabled(entry is not None and entry.can_undo)
        self.report.setEnabled(entry is not None and entry.can_report)
        self.changes.setEnabled(entry is not None and entry.can_compare)
        self.changes.setVisible(is_session)
        self.finish.setVisible(is_interrupted)
        self.show_session.setVisible(is_session)
        for action, button in self.buttons.items():
            button.setVisible(action.isVisible())
        self.problem.setText(breakable(entry.problem) if entry is not None else "")
        self.problem.setVisible(bool(self.problem.text()))
        if entry is not None and entry.can_undo and self.isVisible() and entry.run_id not in self._checked:
            self._checked.add(entry.run_id)
            self.check_requested.emit(entry.run_id)

    def _undo(self) -> None:
        if (entry := self.selected()) is not None:
            self.undo_requested.emit(entry.run_id, entry.session_id)

    def _finish(self) -> None:
        if (entry := self.selected()) is not None:
            self.finish_requested.emit(entry.run_id)

    def _changes(self) -> None:
        if (entry := self.selected()) is not None:
            self.changes_requested.emit(entry.run_id, entry.session_id, entry.problem)

    def _report(self) -> None:
        if (entry := self.selected()) is not None:
            self.report_requested.emit(entry.run_id, entry.session_id)

    def _show_session(self) -> None:
        entry = self.selected()
        if entry is not None and entry.session_id:
            self.show_requested.emit(entry.session_id)

    def menu(self) -> QMenu:
        """What can be done about the selected line, as a menu."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addActions(self._actions())
        return menu

    def _open_menu(self, place: QPoint) -> None:
        self.menu().popup(self.tree.viewport().mapToGlobal(place))
