"""The right side: what is wrong with the selected session, which copy holds what, and its pages: the conversation, and
what differs between two of its copies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from hermes_rescue.core.audit.findings import Standing
from hermes_rescue.core.hermes.copies import INDEX
from hermes_rescue.core.merge.choices import Choices
from hermes_rescue.core.merge.intent import TAKEN_BACK, Reason
from hermes_rescue.core.report.coverage import Coverage
from hermes_rescue.core.report.diff import RECOVERED
from hermes_rescue.gui.background.deferred_free import Release
from hermes_rescue.gui.background.reader import USUAL_PAIR, Detail
from hermes_rescue.gui.background.slices import Slices
from hermes_rescue.gui.review.conversation import Conversation
from hermes_rescue.gui.review.coverage_map import CoverageMap
from hermes_rescue.gui.review.diff_view import FIELDS, MESSAGES, DiffView
from hermes_rescue.gui.review.session_head import SessionHead
from hermes_rescue.gui.widgets.page_tabs import PageTabs
from hermes_rescue.gui.widgets.panes import focus_next_pane, in_reading_order
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QAbstractScrollArea,
    QHBoxLayout,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

LARGEST_HEAD = 0.6
"""The part of the height that what stands above the pages gets at most by itself."""

CONVERSATION, CHANGES = 0, 1
"""Pages; after them stand the others of the difference, in its order."""

PATIENCE = 300
"""Milliseconds for which the session before may stay in view while another one is read."""


class ReviewPane(QWidget):
    """Shows one session in full. ``choices_changed`` carries its id and what the person chose of the proposal shown."""

    choices_changed = Signal(str, object)
    comparison_wanted = Signal(str, str)
    next_session_wanted = Signal(int)
    repair_wanted = Signal(str)
    leave_wanted = Signal(str, bool)
    """Carries a session, and whether it is to stay as it is, or to be asked about again."""
    session_shown = Signal(str)
    """Carries a session of which everything shows now."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.coverage = CoverageMap(theme)
        self.head = SessionHead(self.coverage)
        self.difference = DiffView(theme)
        self.conversation = Conversation(self.difference.rows.boxes, theme)
        names = (self.tr("Conversation"), self.tr("Changes"), self.tr("Fields"), self.tr("Raw"))
        self.tabs = PageTabs(names, counted=(CHANGES + MESSAGES, CHANGES + FIELDS))
        self._detail: Detail | None = None
        self._release = Release(self)
        self._filling = Slices(self)
        self._read_id = ""
        """The session that is shown, or about to be."""
        self._is_outdated = self._is_choice_missed = False
        self._is_line_moved = False
        self._entered_at_end = ""
        self._awaited_row: int | None = None
        self._are_linked = False
        """Whether both pages show the messages of the proposal, so that one can go along with the other."""
        self._expected = ""
        self._reading = QTimer(self, singleShot=True, interval=PATIENCE)
        self._reading.timeout.connect(
            lambda: self.show_text(self._expected, self.tr("Reading the copies of the session…"))
        )
        self.splitter = QSplitter(Qt.Orientation.Vertical)
        parts = (self.head, self._build_pages())
        for part in parts:
            self.splitter.addWidget(part)
        in_reading_order(*parts)
        self.splitter.setStretchFactor(1, 1)
        stops = (self.head.evidence.more, self.head.repair, self.head.why, self.head.leave, self.coverage, self.tabs)
        for widget, following in pairwise(stops):
            QWidget.setTabOrder(widget, following)
        self.splitter.setChildrenCollapsible(False)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.splitter)
        self.splitter.splitterMoved.connect(self._on_line_moved)
        self.head.repair.clicked.connect(self._restore)
        self.head.leave.clicked.connect(self._leave)
        self.coverage.jumped.connect(self._go_to_position)
        self.difference.versions_chosen.connect(self.comparison_wanted)
        self.difference.choice_changed.connect(self._on_choice)
        self.difference.end_reached.connect(self.next_session_wanted)
        self.difference.position_changed.connect(self._follow_difference)
        self.conversation.list.current_changed.connect(self._follow_conversation)
        self.conversation.change_wanted.connect(self._show_change)
        self.conversation.copy_wanted.connect(lambda copy: self._show_comparison(copy, USUAL_PAIR[1]))
        self.clear("")

    def _build_pages(self) -> QWidget:
        """The tabs, the field to find words, and below them the pages."""
        self.pages = QStackedWidget()
        self.pages.addWidget(self.conversation)
        self.pages.addWidget(self.difference)
        top = QWidget()
        top.setProperty("bar", True)
        top.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        row = QHBoxLayout(top)
        row.setContentsMargins(12, 5, 12, 5)
        row.addWidget(self.tabs)
        row.addWidget(self.conversation.find_bar, 1)
        whole = QWidget()
        column = QVBoxLayout(whole)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(top)
        column.addWidget(self.pages, 1)
        for widget, following in pairwise((self.tabs, *self.conversation.find_bar.stops, self.conversation.list)):
            QWidget.setTabOrder(widget, following)
        self.tabs.currentChanged.connect(self._show_page)
        self.difference.page_shown.connect(self._on_page_shown)
        self.difference.counted.connect(self._show_counts)
        return whole

    @property
    def session_id(self) -> str:
        """The session that is shown, "" for none."""
        return self._detail.audited.session_id if self._detail is not None else ""

    def shows(self, detail: Detail) -> bool:
        """Whether the same comparison of the same session is shown already."""
        mine = self._detail
        is_same = mine is not None and (self.session_id, mine.pair) == (detail.audited.session_id, detail.pair)
        return is_same and not self._is_outdated

    @property
    def copies(self) -> tuple[str, ...]:
        """The copies of the session that is shown, without what is recovered from them."""
        names = self._detail.versions if self._detail is not None else ()
        return tuple(name for name in names if name not in (INDEX, RECOVERED))

    @property
    def pair(self) -> tuple[str, str]:
        """The two versions that are compared."""
        return self._detail.pair if self._detail is not None else USUAL_PAIR

    def outdate(self) -> None:
        """What is shown may no longer be so: the next answer is shown in full, even for the same session."""
        self._is_outdated = True

    def expect(self, session_id: str, title: str) -> None:
        """Another session is being read: where that takes long, say so instead of showing the one before."""
        if session_id != self._read_id:
            self._expected = title
            self._reading.start()

    def enter_at_end(self, session_id: str) -> None:
        """Begin at the last change of a session when it is shown next: one comes back to it from the one after."""
        self._entered_at_end = session_id

    def show_detail(self, detail: Detail) -> None:
        """Show a session that was read: a page at a time between other events, but all of it at once to the eye."""
        self._reading.stop()
        self._filling.run(self._fill(detail))

    def _fill(self, detail: Detail) -> Iterator[None]:
        is_same, self._read_id = detail.audited.session_id == self._read_id, detail.audited.session_id
        self._is_outdated = self._is_choice_missed = False
        before = self._take(None)  # while the pages are of two sessions, nothing is done to either
        self.setUpdatesEnabled(False)
        try:
            self.difference.set_versions(detail.versions, *detail.pair)
            self.difference.show_rows(detail.outline, detail.fields, detail.raw, choosing=detail.is_review)
            yield
            self.conversation.show_rows(detail.review, is_same=is_same)
            yield
            self._take(detail)
            self._show_summary()
        finally:
            self.setUpdatesEnabled(True)
            self._let_go(before)
        self._are_linked = detail.is_review
        if self._awaited_row is not None and detail.is_review:
            self._show_change(self._awaited_row)
        if self._entered_at_end == self.session_id:
            self.difference.last_change()
        self._entered_at_end = ""
        if self._is_choice_missed:
            self.difference.emit_choices()
        self.session_shown.emit(self.session_id)

    def update_summary(self, detail: Detail) -> None:
        """The same session after a choice: what is counted and the fields change, the messages stay where they are."""
        before = self._take(detail)
        self._show_summary()
        if detail.is_review:
            self.difference.show_changes(detail.outline)
            self.difference.show_fields(detail.fields, detail.raw, choosing=True)
        else:
            self.difference.show_rows(detail.outline, detail.fields, detail.raw, choosing=False)
        self._are_linked = detail.is_review
        self._let_go(before)
        self.session_shown.emit(self.session_id)

    def clear(self, text: str) -> None:
        """Nothing is selected, or it is being read, or cannot be."""
        self._filling.stop()
        before = self._take(None)
        self._reading.stop()
        self._read_id = ""
        self.head.clear()
        self.coverage.set_proposal(None, Coverage())
        self.difference.clear(text)
        self.conversation.clear(text)
        self._let_go(before)

    def show_text(self, title: str, text: str) -> None:
        """Say in the head what goes on, where a session will be shown."""
        self.clear("")
        self.head.show_expected(title, text)

    def _take(self, detail: Detail | None) -> Detail | None:
        """Show another detail from now on; the one before, to be let go when nothing shows it any more."""
        before, self._detail = self._detail, detail
        self._are_linked = False
        return before

    def _let_go(self, detail: Detail | None) -> None:
        if detail is not None:
            self._release.take(*detail.parts, [detail])

    def _show_summary(self) -> None:
        detail = self._detail
        assert detail is not None
        self.head.show_session(detail.audited, detail.proposal, detail.sentence)
        self.coverage.set_proposal(detail.proposal, detail.coverage)

    # The pages

    def focus_page(self) -> None:
        """Give the keyboard to the page that shows."""
        focus_next_pane((self.pages,))

    @Slot(int)
    def make_room_below(self, covered: int) -> None:
        """So many points at its foot are covered: what the pages show can be scrolled above that."""
        for each in (self.conversation.list, self.difference.list):
            each.make_room_below(covered)

    @Slot(int)
    def turn_page(self, direction: int) -> None:
        """Scroll the page that shows by its height: down (1) or up (-1)."""
        shown = next((area for area in self.pages.findChildren(QAbstractScrollArea) if area.isVisible()), None)
        if shown is not None:
            bar = shown.verticalScrollBar()
            bar.setValue(bar.value() + direction * bar.pageStep())

    @Slot(int)
    def _show_page(self, page: int) -> None:
        self.conversation.find_bar.setVisible(page == CONVERSATION)
        self.pages.setCurrentIndex(min(page, CHANGES))
        if page >= CHANGES:
            self.difference.show_page(page - CHANGES)

    @Slot(int)
    def _on_page_shown(self, page: int) -> None:
        if self.tabs.currentIndex() >= CHANGES:
            self.tabs.setCurrentIndex(CHANGES + page)

    @Slot(int, int)
    def _show_counts(self, changes: int, fields: int) -> None:
        self.tabs.show_count(CHANGES + MESSAGES, changes)
        self.tabs.show_count(CHANGES + FIELDS, fields)

    @Slot(int)
    def _go_to_position(self, position: int) -> None:
        """Go to the message at a position of the proposal, on the page that shows messages."""
        if self.tabs.currentIndex() == CONVERSATION:
            self.conversation.go_to_position(position)
        else:
            self.difference.go_to_position(position)

    @Slot()
    def _follow_difference(self) -> None:
        """The conversation goes along with the way through the changes."""
        row = self.difference.current_row
        if self._are_linked and row not in (None, self.conversation.current_row) and self.difference.position[0]:
            self.conversation.go_to_row(row)

    @Slot()
    def _follow_conversation(self) -> None:
        """The way through the changes goes on from the current message of the conversation, where that is on show."""
        row = self.conversation.current_row
        is_on_show = self.tabs.currentIndex() == CONVERSATION
        if self._are_linked and is_on_show and row not in (None, self.difference.current_row):
            self.difference.follow(row)

    @Slot(int)
    def _show_change(self, row: int) -> None:
        """Show a message of the conversation among the changes."""
        if self._detail is None:
            return
        self.tabs.setCurrentIndex(CHANGES)
        self._awaited_row = None if self._detail.is_review else row
        if self._detail.is_review:
            self.difference.go_to_row(row)
        else:
            self.comparison_wanted.emit(*USUAL_PAIR)

    @Slot()
    def _restore(self) -> None:
        """Have the session repaired; what the user took back or left out, or what may be another conversation, comes
        back with it where nothing else is to be done.
        """
        detail = self._detail
        if detail is None:
            return
        kept_out = frozenset[Reason | None]()
        if not self.head.is_about_several:
            if detail.audited.standing is Standing.LEFT_OUT:
                kept_out = TAKEN_BACK | {Reason.LEFT_OUT}
            elif detail.proposal.asks_only_what_is_apart:
                kept_out = frozenset({Reason.APART})
        if kept_out:
            items = detail.proposal.items
            wanted = frozenset(at for at, item in enumerate(items) if not item.included and item.reason in kept_out)
            mine = self.difference.rows.boxes.choices() if detail.is_review else Choices()
            self._on_choice(replace(mine, include=mine.include | wanted, fields=detail.proposal.chosen))
        self.repair_wanted.emit(self.session_id)

    @Slot()
    def _leave(self) -> None:
        if self._detail is not None:
            self.leave_wanted.emit(self.session_id, not self._detail.audited.is_left)

    def _show_comparison(self, left: str, right: str) -> None:
        self.tabs.setCurrentIndex(CHANGES)
        self.comparison_wanted.emit(left, right)

    @Slot(object)
    def _on_choice(self, choices: Choices) -> None:
        self._is_choice_missed = self._detail is None
        if self._detail is not None:
            if not self._detail.is_review:  # the fields that are shown are those of other copies
                choices = replace(choices, fields=self._detail.proposal.chosen)
            self.choices_changed.emit(self.session_id, replace(choices, made_on=self._detail.fingerprint))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Called by Qt."""
        super().resizeEvent(event)
        self._share_height()

    def _share_height(self) -> None:
        """Give the head its height, whatever it says, but no more than leaves room for the messages. Where a person has
        moved the line between the two, it stays.
        """
        if not self._is_line_moved:
            height = self.splitter.height() - self.splitter.handleWidth()
            top = min(self.head.usual_height(self.width()), round(height * LARGEST_HEAD))
            self.splitter.setSizes([top, height - top])

    @Slot()
    def _on_line_moved(self) -> None:
        self._is_line_moved = True

    def set_theme(self, theme: Theme) -> None:
        """Draw everything anew."""
        for part in (self.head, self.coverage, self.difference, self.conversation):
            part.set_theme(theme)
        self._share_height()  # the size of the text may be another one
