"""What an undo would put back, asked before it does."""

from __future__ import annotations

from hermes_rescue.core.repair.run_record import Operation, Run
from hermes_rescue.gui.view_model.formatting import counted, number, recent_moment
from hermes_rescue.gui.view_model.session_rows import one_line
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox, QWidget

_NAMED = 8
"""Sessions that are named one by one."""


class UndoDialog(QMessageBox):
    """Asks whether a run, or one session of it, is to be put back. Cancel is the default."""

    def __init__(self, run: Run, session_id: str, window: QWidget) -> None:
        super().__init__(window)
        sessions: dict[str, Operation] = {}
        for each in run.operations:
            if each.session_id is not None and each.may_stand and session_id in ("", each.session_id):
                sessions.setdefault(each.session_id, each)
        operations = [*sessions.values()]
        listed = [title or sid for sid, title in run.relisted.items() if sid in run.standing and not session_id]
        n, when = len(operations) + len(listed), recent_moment(run.created_at)
        self.setWindowTitle(self.tr("Undo"))
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setIcon(QMessageBox.Icon.Question)
        if n == 1:
            title = _title(operations[0]) if operations else one_line(listed[0])
            self.setText(self.tr("Undo {}, repaired {}?").format(title, when))
            self.setInformativeText(self._of_one(operations[0] if operations else None))
        else:
            self.setText(self.tr("Undo {}, repaired {}?").format(counted(n, "session"), when))
            lines = [self._line(each) for each in operations]
            lines += [self.tr("{}: no longer in the session list").format(one_line(title)) for title in listed]
            if n > _NAMED:
                lines[_NAMED:] = [self.tr("and {} more").format(number(n - _NAMED))]
            self.setInformativeText("\n".join((self._sum(operations), "", *lines)))
        self.undo = self.addButton(self.tr("Undo"), QMessageBox.ButtonRole.AcceptRole)
        self.cancel = self.addButton(self.tr("Cancel"), QMessageBox.ButtonRole.RejectRole)
        self.setDefaultButton(self.cancel)
        self.setEscapeButton(self.cancel)

    def _of_one(self, operation: Operation | None) -> str:
        """What becomes of the only session; None: of one that only the session list lacked."""
        if operation is None:
            return self.tr("It is in the session list no longer. Its file stays as it is.")
        if operation.action == "create":
            now = counted(operation.count("messages_after") or 0, "message")
            return self.tr("Its file is taken away again: {} now, then no file.").format(now)
        return self._sum([operation])

    def _sum(self, operations: list[Operation]) -> str:
        """How many messages the session files have now, and then."""
        now, then = (sum(each.count(key) or 0 for each in operations) for key in ("messages_after", "messages_before"))
        return self.tr("The session files are put back as they were: {} now, {} then.").format(
            counted(now, "message"), number(then)
        )

    def _line(self, operation: Operation) -> str:
        title, now = _title(operation), counted(operation.count("messages_after") or 0, "message")
        if operation.action == "create":
            return self.tr("{}: {} now, then no file").format(title, now)
        then = number(operation.count("messages_before") or 0)
        return self.tr("{}: {} now, {} then").format(title, now, then)


def _title(operation: Operation) -> str:
    return one_line(str(operation.info.get("title") or operation.session_id))
