"""The last look before a repair: what it does to each session, what is kept where, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace

from hermes_rescue.core.base.files import shown
from hermes_rescue.core.repair.plan import Plan
from hermes_rescue.gui.repairs.planned_sessions import PlannedSessions, SessionsTable
from hermes_rescue.gui.view_model.diff_text import one_line
from hermes_rescue.gui.view_model.formatting import counted, number
from hermes_rescue.gui.widgets.theme import Theme, fixed_font, heading_font
from PySide6.QtCore import QEvent, QLocale, Qt, Slot
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)


class RepairDialog(QDialog):
    """Asks whether a plan is to be carried out; accepted means yes. It does nothing itself."""

    def __init__(self, plan: Plan, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.sessions = PlannedSessions(plan.sessions, theme, self)
        self._whole, self._plan = plan, self._chosen(plan)
        self.setWindowTitle(self.tr("Repair"))
        self.heading = QLabel(self._question())
        self.heading.setTextFormat(Qt.TextFormat.PlainText)
        self.heading.setWordWrap(True)
        self.sessions.chosen_changed.connect(self._count_again)
        self.table = SessionsTable(self.sessions)
        self.table.setAccessibleName(self.tr("Sessions that are repaired"))
        self.totals = QLabel()
        self.totals.setProperty("muted", True)
        self.kept = _path_field(str(plan.store.vault_root), self.tr("Where the old state is kept"))
        self.details = QToolButton()
        self.details.setText(self.tr("File operations"))
        self.details.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.details.setCheckable(True)
        self.details.setProperty("link", True)
        self.operations = _lines(self.tr("File operations"))
        self.operations.setFont(fixed_font(self.font()))
        self.operations.hide()
        self.warning = _sentence("")
        self.decisions = _sentence("")
        self.left_open = _lines(self.tr("Left open"))
        waiting = counted(len(plan.forbidden), "session")
        self.waits = QCheckBox(self.tr("Repair the rest when Hermes WebUI stops: {}").format(waiting))
        self.waits.setVisible(bool(plan.forbidden))
        self.cancel = QPushButton(self.tr("Cancel"))
        self.accept_button = QPushButton(self._verb())
        self.accept_button.setProperty("primary", True)
        self.accept_button.setEnabled(not plan.is_empty)
        self.waits.toggled.connect(lambda on: self.accept_button.setEnabled(on or not self._plan.is_empty))
        self._lay_out()
        self.set_theme(theme)
        self.details.toggled.connect(self._show_details)
        self.cancel.clicked.connect(self.reject)
        self.accept_button.clicked.connect(self.accept)
        self.cancel.setDefault(True)
        self.cancel.setFocus()

    @property
    def plan(self) -> Plan:
        """The plan of the sessions that are checked; the others keep their findings."""
        return self._plan

    @Slot()
    def _count_again(self) -> None:
        """Say everything of the sessions that are checked now."""
        self._plan = self._chosen(self._whole)
        self.heading.setText(self._question())
        self.accept_button.setText(self._verb())
        self.accept_button.setEnabled(not self._plan.is_empty)
        self.operations.setPlainText("\n".join(self._operation_lines()))
        self.totals.setText(self._total_words())
        self._warn()
        self._count_decisions()

    def _warn(self) -> None:
        """Say what must be known of the sessions that are checked."""
        found = [f"{one_line(each.title)}: {each.warning}" for each in self._plan.sessions if each.warning]
        more = [self.tr("This holds for {} more.").format(counted(n, "session"))] if (n := len(found) - 3) > 0 else []
        self.warning.setText("\n".join((*found[:3], *more)))
        self.warning.setVisible(bool(found))

    def _count_decisions(self) -> None:
        """Say how many of the sessions that are not checked are asked about."""
        words = self.tr("Those that need your decision are all checked.")
        if n := len(self.sessions.waiting):
            words = self.tr("{} for your decision. Check those that you want back.")
            words = words.format(counted(n, "session waits", "sessions wait"))
        self.decisions.setText(words)

    def _chosen(self, plan: Plan) -> Plan:
        """What of a plan is checked."""
        return replace(plan, sessions=self.sessions.chosen, questions=(*plan.questions, *self.sessions.left))

    def _total_words(self) -> str:
        sessions = self._plan.sessions
        if not sessions:
            return self.tr("No session is checked.")
        size = QLocale().formattedDataSize
        return self.tr("Together: {before} → {after}, files {size_before} → {size_after}").format(
            before=number(sum(each.messages_before or 0 for each in sessions)),
            after=counted(sum(each.messages_after for each in sessions), "message"),
            size_before=size(sum(each.size_before for each in sessions), 1),
            size_after=size(sum(each.size_after for each in sessions), 1),
        )

    def set_theme(self, theme: Theme) -> None:
        """Paint in other colours."""
        self._theme = theme
        self.sessions.set_theme(theme)
        self._turn_arrow()

    def changeEvent(self, event: QEvent) -> None:
        """Called by Qt: the heading stays larger than the text."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self.heading.setFont(heading_font(self.font()))

    def _question(self) -> str:
        if self._plan.count:
            return self.tr("Repair {}?").format(counted(self._plan.count, "session"))
        if self._plan.unfinished:
            return self.tr("Finish the interrupted repair?")
        if not self._plan.is_empty:
            return self.tr("Rebuild the session list?")
        if self._plan.forbidden:
            return self.tr("Nothing can be repaired while Hermes WebUI is running.")
        if self._whole.sessions:
            return self.tr("No session is checked.")
        return self._plan.problem or self._plan.nothing

    def _verb(self) -> str:
        if self._plan.count:
            return self.tr("Repair {}").format(counted(self._plan.count, "session"))
        if self._plan.unfinished:
            return self.tr("Finish the repair")
        if not self._plan.is_empty:
            return self.tr("Rebuild the session list")
        return self.tr("Repair when it stops") if self._plan.forbidden else self.tr("Repair")

    def _summary(self) -> str:
        """What happens to all of them together."""
        left_out = sum(s.left_out for s in (*self._plan.sessions, *self._plan.forbidden))
        if self._plan.is_empty and not left_out:
            return ""
        if not self._plan.sessions and not self._plan.forbidden:  # the session list alone, of which there is no undo
            return self.tr("Nothing is lost.")
        kept = self.tr("Whatever is replaced is kept, and can be put back.")
        if self._plan.undo_waits:
            kept = self.tr("Whatever is replaced is kept, and can be put back once Hermes WebUI is stopped.")
        if left_out:
            return f"{self.tr('You chose to leave {} out.').format(counted(left_out, 'message'))} {kept}"
        return f"{self.tr('Nothing is lost.')} {kept}"

    def _list_words(self) -> str:
        """What happens to the session list, and which sessions are repaired by that alone."""
        relisted = self._plan.relisted
        if not relisted:
            return self.tr("The session list no longer fits the files and is built again as well.")
        if len(relisted) == 1:
            words = self.tr("{} comes back into the session list, which is built again; its file stays as it is.")
            return words.format(self._name(relisted[0]))
        words = self.tr("{} come back into the session list, which is built again; their files stay as they are.")
        return words.format(counted(len(relisted), "session"))

    def _operation_lines(self) -> list[str]:
        lines = [operation for session in self._plan.sessions for operation in session.operations]
        if self._plan.rebuilds_list:
            lines.append(self.tr("rebuild _index.json where it no longer fits (the old list is kept in the vault)"))
        return lines

    def _open_lines(self) -> list[str]:
        refused = [f"{self._name(sid)}: {shown(reason)}" for sid, reason in self._plan.refused.items()]
        planned = {session.session_id for session in self._whole.sessions}
        partly = self.tr("{session}: partly waiting for your decision.")
        wholly = self.tr("{session}: it waits for your decision. Look at its messages first.")
        return refused + [
            (partly if sid in planned else wholly).format(session=self._name(sid))
            for sid in self._whole.questions
            if sid not in self._whole.refused
        ]

    def _name(self, session_id: str) -> str:
        return one_line(self._plan.titles.get(session_id, session_id))

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 18, 20, 16)
        layout.setSpacing(10)
        self.heading.setFont(heading_font(self.font()))
        layout.addWidget(self.heading)
        if summary := self._summary():
            layout.addWidget(_sentence(summary))
        layout.addWidget(self.warning)
        self._warn()
        layout.addWidget(self.decisions)
        self.decisions.setVisible(bool(self.sessions.waiting))
        self._count_decisions()
        if self._plan.count and self._plan.rebuild_index:
            layout.addWidget(_sentence(self._list_words()))
        self.table.setVisible(bool(self._whole.sessions))
        layout.addWidget(self.table, 3)
        self.totals.setText(self._total_words())
        self.totals.setVisible(len(self._whole.sessions) > 1)
        layout.addWidget(self.totals, alignment=Qt.AlignmentFlag.AlignRight)
        if not self._plan.is_empty:
            line = QHBoxLayout()
            label = QLabel(self.tr("The old state is kept in"))
            label.setProperty("muted", True)
            label.setBuddy(self.kept)
            line.addWidget(label)
            line.addWidget(self.kept, 1)
            layout.addLayout(line)
            layout.addWidget(self.details, alignment=Qt.AlignmentFlag.AlignLeft)
            layout.addWidget(self.operations, 2)
        if left_open := self._open_lines():
            n = len(left_open)
            words = self.tr("{} left open:").format(counted(n, "session is", "sessions are"))
            layout.addWidget(_sentence(words))
            self.left_open.setPlainText("\n".join(left_open))
            self.left_open.setFixedHeight(round((min(n, 4) + 1.5) * self.fontMetrics().lineSpacing()))
            layout.addWidget(self.left_open)
        layout.addWidget(self.waits)
        buttons = QDialogButtonBox()
        buttons.addButton(self.cancel, QDialogButtonBox.ButtonRole.RejectRole)
        buttons.addButton(self.accept_button, QDialogButtonBox.ButtonRole.AcceptRole)
        layout.addWidget(buttons)
        character = self.fontMetrics().averageCharWidth()
        parent = self.parentWidget()
        room = (parent.window() if parent is not None else self.screen()).size()
        if self._whole.sessions:
            rows = min(len(self._whole.sessions), 12) * self.table.verticalHeader().defaultSectionSize()
            width, height = 140 * character, self.sizeHint().height() - self.table.sizeHint().height() + rows + 60
            self.resize(min(width, room.width() - 40), min(height, room.height() - 40))
        else:  # a path, and a line of what is left open, have room
            self.setMinimumWidth(min(110 * character, room.width() - 40))

    @Slot(bool)
    def _show_details(self, expanded: bool) -> None:
        if expanded and not self.operations.toPlainText():
            self.operations.setPlainText("\n".join(self._operation_lines()))
        self.operations.setVisible(expanded)
        self._turn_arrow()

    def _turn_arrow(self) -> None:
        self.details.setIcon(self._theme.icon("fold" if self.details.isChecked() else "expand", "muted"))


def _sentence(text: str) -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    return label


def _path_field(path: str, name: str) -> QLineEdit:
    """A path that can be selected and copied, and that no length of it makes the dialog wider for."""
    field = QLineEdit(shown(path))
    field.setReadOnly(True)
    field.setCursorPosition(0)
    field.setAccessibleName(name)
    return field


def _lines(name: str) -> QPlainTextEdit:
    """Lines to read and copy; Tab goes on to the next widget."""
    lines = QPlainTextEdit()
    lines.setReadOnly(True)
    lines.setTabChangesFocus(True)
    lines.setAccessibleName(name)
    return lines
