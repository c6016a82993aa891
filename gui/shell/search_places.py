"""Where the search is in the window: its row, its list in place of all sessions, its words in the conversation."""

from __future__ import annotations

from hermes_rescue.core.base.files import shown
from hermes_rescue.gui.review.review_pane import CONVERSATION, ReviewPane
from hermes_rescue.gui.sessions.search import Search
from hermes_rescue.gui.sessions.session_pane import SessionPane
from hermes_rescue.gui.shell.filter_bar import FilterBar
from hermes_rescue.gui.widgets.panes import focus_next_pane
from PySide6.QtCore import QModelIndex, QObject, Qt, Signal, Slot
from PySide6.QtWidgets import QApplication, QStackedWidget


class SearchPlaces(QObject):
    """Has the list on the ``left``, with all sessions or those that were found, and the row ``above`` it, with the
    chips or what the search says. Whoever goes to a session that was found sees it with the words marked.
    ``selection_changed``: other sessions are selected in the list that shows.
    """

    selection_changed = Signal()

    def __init__(self, search: Search, table: SessionPane, chips: FilterBar, review: ReviewPane) -> None:
        super().__init__(search)
        self._search, self._table, self._chips, self._review = search, table, chips, review
        self._awaited = ""  # the session that is to be shown with the words marked, as soon as it was read
        self.left, self.above = QStackedWidget(), QStackedWidget()
        for stack, widgets in ((self.left, (table, search.list)), (self.above, (chips, search.row))):
            for widget in widgets:
                stack.addWidget(widget)
        search.list.selection_changed.connect(self.selection_changed)
        table.selection_changed.connect(lambda _: self.selection_changed.emit())
        search.begun.connect(lambda: self._show(True))
        search.ended.connect(lambda: self._show(False))
        search.chosen.connect(self._choose)
        review.session_shown.connect(self.show_words)
        search.passed.connect(lambda: table.view.setFocus(Qt.FocusReason.OtherFocusReason))
        search.opened.connect(lambda: review.conversation.list.setFocus(Qt.FocusReason.OtherFocusReason))
        for wanted in (review.repair_wanted, review.leave_wanted):  # whose button goes, and the keyboard would with it
            wanted.connect(lambda *_: focus_next_pane((self.left,)))

    def selected_ids(self) -> list[str]:
        """The sessions that are selected in the list that shows, from the top."""
        found = self._search.list.selected_ids() if self.left.currentWidget() is self._search.list else []
        return found or self._table.selected_ids()

    def _show(self, on: bool) -> None:
        had_keyboard = any(part.isAncestorOf(QApplication.focusWidget() or part) for part in (self.left, self.above))
        self.left.setCurrentIndex(int(on))
        self.above.setCurrentIndex(int(on))
        if had_keyboard:  # what had it goes out of sight
            focus_next_pane((self.left,))
        self._awaited = ""
        if not on:
            self._review.conversation.find_words("")
        self.selection_changed.emit()

    @Slot(str)
    def _choose(self, session_id: str) -> None:
        self._awaited = session_id
        if not self._table.select(session_id):
            self._chips.clear()
            if not self._table.select(session_id):
                self._show_foreign(session_id)
                return
        self.show_words(self._review.session_id)

    def _show_foreign(self, session_id: str) -> None:
        """A session of another program is in the database only, and nothing of it is repaired."""
        found = self._search.hits.found(self._search.hits.row_of(session_id))
        self._table.view.clearSelection()
        self._table.view.setCurrentIndex(QModelIndex())
        words = self.tr("This is a session of another program ({}) in the database, not one of Hermes WebUI.\n\n{}")
        self._review.clear(words.format(shown(found.program or ""), shown(found.excerpt)))

    @Slot(str)
    def show_words(self, session_id: str) -> None:
        """A session was read: mark the words in it, and go to the first of them, where somebody came here for that.
        Where only its title has them, there is nothing to look for in it.
        """
        if session_id and session_id == self._awaited:
            self._awaited = ""
            self._review.tabs.setCurrentIndex(CONVERSATION)
            at = self._search.hits.row_of(session_id)
            is_said = at < 0 or self._search.is_busy or self._search.hits.found(at).excerpt
            self._review.conversation.find_words(self._search.words if is_said else "")
