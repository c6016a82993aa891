"""What can be done with the selected sessions besides repairing them: copied, or saved as a copy to keep."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hermes_rescue.core.report.diff import RECOVERED
from hermes_rescue.core.report.export import FORMS
from hermes_rescue.gui.repairs.save_dialog import form_words
from hermes_rescue.gui.shell.state import Shown
from hermes_rescue.gui.view_model.diff_text import title_of
from hermes_rescue.gui.widgets.commands import COMMANDS, Actions, command_line
from PySide6.QtCore import QObject, QPoint, Qt, Signal, Slot
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMenu, QPushButton, QWidget


class SessionActions(QObject):
    """``save_wanted`` carries a form and the name of a copy. ``selected`` gives the selected sessions, ``shown`` what
    is known of the store, ``copies`` the copies of the session that is shown.
    """

    save_wanted = Signal(str, str)

    def __init__(
        self,
        window: QWidget,
        actions: Actions,
        selected: Callable[[], list[str]],
        shown: Callable[[], Shown],
        copies: Callable[[], tuple[str, ...]],
    ) -> None:
        super().__init__(window)
        self._window, self._actions = window, actions
        self._selected, self._shown, self._copies = selected, shown, copies
        self.save_menu = QMenu(self.tr("Save a &copy as"), window)
        self.save_menu.aboutToShow.connect(self._fill_save_menu)
        self.save_button = QPushButton(self.tr("Save a copy as…"))
        self.save_button.setMenu(self.save_menu)
        actions.connect("copy_id", lambda: QGuiApplication.clipboard().setText("\n".join(selected())))
        for name in ("copy_command", "compare"):
            actions.connect(name, partial(self._copy_command, name))
        for form in FORMS:
            actions.connect(f"save_{form}", partial(self.save_wanted.emit, form, RECOVERED))
        self._fill_save_menu()
        above = actions["copy_id"]
        sessions = next(each for each in above.associatedObjects() if isinstance(each, QMenu))
        sessions.insertMenu(above, self.save_menu)

    def _copy_command(self, name: str) -> None:
        command = next(c for c in COMMANDS if c.name == name)
        line = command_line(command, self._shown().place.options, self._selected()[:1], self._shown().choices)
        QGuiApplication.clipboard().setText(line)

    @Slot()
    def _fill_save_menu(self) -> None:
        """The recovered conversation in each form; of one session also each of its copies."""
        menu = self.save_menu
        for action in menu.actions():
            if (copies := action.menu()) is not None:
                copies.deleteLater()
        menu.clear()
        menu.addActions([self._actions[f"save_{form}"] for form in FORMS])
        if len(self._selected()) == 1 and self._copies():
            menu.addSection(self.tr("One copy alone"))
            for name in self._copies():
                forms = menu.addMenu(title_of(name))
                for form in FORMS:
                    forms.addAction(self.tr("{}…").format(form_words(form)), partial(self.save_wanted.emit, form, name))

    @Slot(QPoint)
    def show_menu(self, where: QPoint) -> None:
        """The context menu of the selected sessions."""
        menu = QMenu(self._window)
        menu.addActions([self._actions[name] for name in ("repair", "repair_copy", "reset_choices")])
        menu.addMenu(self.save_menu)
        menu.addAction(self._actions["export_selected"])
        menu.addSeparator()
        for name in ("copy_id", "copy_command", "compare"):
            menu.addAction(self._actions[name])
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(where)
