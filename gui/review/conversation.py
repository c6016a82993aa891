"""The conversation page: the whole recovered conversation of a session, to be read, searched and chosen from."""

from __future__ import annotations

from functools import partial

from hermes_rescue.gui.background.errands import Errands
from hermes_rescue.gui.review import conversation_copy
from hermes_rescue.gui.review.conversation_blocks import Studio
from hermes_rescue.gui.review.conversation_find import FindBar, Finder, Hit
from hermes_rescue.gui.review.conversation_list import ConversationList
from hermes_rescue.gui.view_model.boxes import Boxes
from hermes_rescue.gui.view_model.conversation_outline import holders
from hermes_rescue.gui.view_model.conversation_rows import ConversationRows
from hermes_rescue.gui.view_model.diff_outline import Outline, outlined
from hermes_rescue.gui.view_model.diff_text import title_of
from hermes_rescue.gui.widgets.placeholders import Placeholder
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QGuiApplication, QHideEvent
from PySide6.QtWidgets import QMenu, QStackedWidget, QVBoxLayout, QWidget


class Conversation(QWidget):
    """Shows one conversation. ``change_wanted`` carries the row of a message that is to be seen among the changes,
    ``copy_wanted`` the name of a copy that is to be compared with what is recovered.
    """

    change_wanted = Signal(int)
    copy_wanted = Signal(str)

    def __init__(self, boxes: Boxes, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._boxes = boxes
        self.errands = Errands(self)
        self.rows = ConversationRows(boxes, self)
        self.list = ConversationList(self.rows, Studio(self.errands), theme)
        self.finder = Finder(self.rows, self)
        self.find_bar = FindBar(self.finder, theme)
        self._face = Placeholder()
        self._pages = QStackedWidget()
        self._pages.addWidget(self.list)
        self._pages.addWidget(self._face)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._pages)
        self.errands.made.connect(lambda *_: self.list.viewport().update())
        self.list.menu_requested.connect(self._show_menu)
        self.list.find_requested.connect(self._begin_to_find)
        self.list.step_requested.connect(self.finder.step)
        self.list.left.connect(self.find_bar.field.clear)
        self.find_bar.left.connect(self.list.setFocus)
        self.find_bar.field.textChanged.connect(self._find)
        self.finder.changed.connect(self._mark)
        self.finder.reached.connect(self._go_to_hit)
        self.clear("")

    @property
    def text(self) -> str:
        """What it says where there is no conversation."""
        return self._face.text if self._pages.currentWidget() is self._face else ""

    def set_theme(self, theme: Theme) -> None:
        """Paint with other colours."""
        self.list.set_theme(theme)
        self.find_bar.set_theme(theme)

    def show_rows(self, outline: Outline, *, is_same: bool) -> None:
        """Show the rows of a review from the first change on. ``is_same``: it is the session that is shown (after a
        choice, a check or a repair), and what is in view stays there.
        """
        is_same = is_same and len(outline.rows) == len(self.rows.rows)
        if not is_same:
            self.errands.drop()
        self.rows.show(outline, is_same=is_same)
        self._face.show_text(self.tr("No copy has a message of this session."))
        if not is_same and outline.rows:
            self.go_to_row(outline.changes[0].start if outline.changes else 0)
        self._pages.setCurrentIndex(0 if outline.rows else 1)
        self.find_bar.setEnabled(bool(outline.rows))

    def clear(self, text: str) -> None:
        """Show a sentence instead of a conversation."""
        self.errands.drop()
        self.list.stop()
        self.rows.show(outlined(()), is_same=False)
        self.finder.stop()
        self._face.show_text(text)
        self._pages.setCurrentIndex(1)
        self.find_bar.setEnabled(False)

    def find_words(self, words: str) -> None:
        """Look for words from the beginning on, as if they were typed into the field."""
        self.find_bar.field.setText(words)
        self.finder.find(words)

    @property
    def current_row(self) -> int | None:
        """The row of the current message; None where there is none."""
        at = self.list.current()
        return self.rows.entries[at].row if at >= 0 else None

    def go_to_row(self, row: int) -> None:
        """Make a message the current one and show it; of what stays out, its line."""
        self.list.jump_to(self.rows.entry_of(row))

    def go_to_position(self, item_position: int) -> None:
        """Go to the message at a position of the proposal, also if it stays out; nowhere, if no row has it."""
        row = next((k for k, row in enumerate(self.rows.rows) if row.position == item_position), None)
        if row is not None:
            self.list.jump_to(self.rows.reveal(row))

    def hideEvent(self, event: QHideEvent) -> None:
        """Called by Qt: where the window itself goes, nothing goes on behind it."""
        super().hideEvent(event)
        if not self.window().isVisible():
            self.errands.stop()
            self.finder.stop()
            self.list.stop()

    # Finding

    def _begin_to_find(self) -> None:
        self.find_bar.field.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.find_bar.field.selectAll()

    def _find(self, words: str) -> None:
        first, last = self.list.entries_in_view()
        self.finder.find(words, self.rows.entries[first].row if first <= last else 0)

    def _mark(self) -> None:
        delegate = self.list.delegate
        delegate.marks = self.finder.marks
        delegate.mark = self.finder.hits[self.finder.at].spot if self.finder.at >= 0 else None
        self.list.viewport().update()

    def _go_to_hit(self, hit: Hit) -> None:
        at = self.rows.reveal(hit.spot.row, hit.what, hit.spot.part)
        self.list.setCurrentIndex(self.rows.index(at))
        self.list.show_spot(at, hit.spot)

    # What can be done with a message

    def chosen_rows(self, at: int) -> list[int]:
        """The messages that a menu at an entry is about: those that are selected, else those of the entry."""
        gap, row = self.rows.gap_at(at), self.rows.entries[at].row
        if gap is not None:
            return list(gap.rows)
        selection = self.list.selection
        if selection is not None and selection[0].row <= row <= selection[1].row:
            return list(conversation_copy.shown_rows(self.rows, *selection))
        return [row]

    def menu_for(self, at: int, link: str = "") -> QMenu:
        """What can be done with an entry. ``link``: the address of the link that the mouse is on."""
        rows = self.chosen_rows(at)
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(self.tr("Copy"), self.list.copy)
        texts = conversation_copy.as_markdown(self.rows, rows)
        menu.addAction(self.tr("Copy as Markdown"), lambda: self.list.put_on_clipboard(texts))
        if link:
            menu.addAction(self.tr("Copy link address"), lambda: QGuiApplication.clipboard().setText(link))
        menu.addSeparator()
        if any(self._boxes.is_checked(row) for row in rows):
            menu.addAction(self.tr("Leave out"), lambda: self._boxes.set_checked(rows, False))
        if not all(self._boxes.is_checked(row) for row in rows):
            menu.addAction(self.tr("Restore"), lambda: self._boxes.set_checked(rows, True))
        menu.addAction(self.tr("Show in changes"), lambda: self.change_wanted.emit(rows[0]))
        copies = menu.addMenu(self.tr("Copies that hold it"))
        for name in holders(self.rows.rows[rows[0]]):
            copies.addAction(title_of(name), partial(self.copy_wanted.emit, name))
        return menu

    def _show_menu(self, where: QPoint, at: int) -> None:
        self.menu_for(at, self.list.link_at(self.list.viewport().mapFromGlobal(where))).popup(where)
