"""The comparison of two versions of a session: which versions, their messages, fields and JSON, and the way through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from hermes_rescue.core.report.diff import Change, FieldRow
from hermes_rescue.gui.review.diff_blocks import Mode
from hermes_rescue.gui.review.diff_fields import FieldsTable, RawPage
from hermes_rescue.gui.review.diff_list import DiffList
from hermes_rescue.gui.review.overview_strip import Mark, OverviewStrip
from hermes_rescue.gui.view_model.diff_outline import Outline, outlined
from hermes_rescue.gui.view_model.diff_rows import DiffRows
from hermes_rescue.gui.view_model.diff_text import title_of
from hermes_rescue.gui.view_model.formatting import number
from hermes_rescue.gui.widgets.panes import ENTRY
from hermes_rescue.gui.widgets.placeholders import Placeholder
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

MESSAGES, FIELDS, RAW, NOTHING = range(4)
"""The pages; the last one says in words why there is nothing on the others."""

_MARKS = {
    Change.ADDED: "add",
    Change.REMOVED: "del",
    Change.CHANGED: "chg",
    Change.MOVED: "chg",
    Change.LEFT_OUT: "handle",
}


class DiffView(QWidget):
    """Shows one comparison and knows nothing of where it is from.

    ``versions_chosen``: the names of the versions that a person wants to see. ``choice_changed``: the Choices after a
    box was checked or unchecked, or a field taken from another copy. ``position_changed``: the number of the current
    change (0: none yet) and of all. ``end_reached``: a person wants to go on after the last change (1) or before the
    first (-1). ``counted``: how many changes and how many changed fields there are. ``page_shown``: one of the pages.
    """

    versions_chosen = Signal(str, str)
    choice_changed = Signal(object)
    position_changed = Signal(int, int)
    end_reached = Signal(int)
    counted = Signal(int, int)
    page_shown = Signal(int)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = DiffRows(self)
        self.list = DiffList(self.rows, theme)
        self.strip = OverviewStrip(theme)
        self.fields = FieldsTable(theme)
        self.raw = RawPage()
        self._face = Placeholder()
        self._position = (0, 0)
        self._changed_fields = 0
        self._page = MESSAGES
        self._is_narrow = False
        self._build_tools()
        self._build_pages()
        self.rows.choices_changed.connect(self.emit_choices)
        self.fields.fields.choices_changed.connect(self.emit_choices)
        self.list.current_changed.connect(self._show_position)
        self.list.view_changed.connect(self._show_view)
        self.strip.picked.connect(self.go_to_row)
        self.set_theme(theme)
        self.clear("")

    @property
    def mode(self) -> str:
        """ "unified" or "split"."""
        return self.list.mode.value

    @property
    def position(self) -> tuple[int, int]:
        """The number of the current change, 0 before the first one, and of all changes."""
        return self._position

    @property
    def counts(self) -> tuple[int, int]:
        """How many changes there are, and how many fields that differ."""
        return len(self.rows.changes), self._changed_fields

    def set_mode(self, mode: str) -> None:
        """Show the messages "unified" or "split". Raises ValueError for anything else."""
        self.list.set_mode(Mode(mode))
        self._modes[Mode(mode)].setChecked(True)

    def set_theme(self, theme: Theme) -> None:
        """Paint with other colours."""
        self.list.set_theme(theme)
        self.strip.set_theme(theme)
        self.fields.fields.set_theme(theme)
        self._previous.setIcon(theme.icon("previous"))
        self._next.setIcon(theme.icon("next"))

    def set_versions(self, names: Sequence[str], left: str, right: str) -> None:
        """Fill the pickers with the names of the versions that there are, and show which two are compared."""
        for picker, chosen in ((self.left_picker, left), (self.right_picker, right)):
            picker.clear()
            for name in names:
                picker.addItem(title_of(name), name)
            picker.setCurrentIndex(picker.findData(chosen))

    def show_rows(self, outline: Outline, fields: Sequence[FieldRow], raw: tuple[str, str], *, choosing: bool) -> None:
        """Show a comparison. ``choosing``: the rows are a review of a proposal (core.report.diff.review), with check
        boxes.

        Rows with the same messages as those shown (after a choice) leave the view where it is; else it goes to the
        first change.
        """
        self.show_fields(fields, raw, choosing=choosing)
        self._set_enabled(True)
        self._face.show_text("" if outline.rows else self.tr("Neither version has a message."))
        self._show_messages(outline, choosing=choosing)

    def _show_messages(self, outline: Outline, *, choosing: bool) -> None:
        rows = outline.rows
        at, offset = self.current_row, self.list.verticalOffset()
        is_same_session = self.rows.show(outline, choosing=choosing)
        self._show_marks(outline)
        self.show_page(self._page)
        self.counted.emit(*self.counts)
        if is_same_session and at is not None:
            self.list.setCurrentIndex(self.rows.index(self.rows.entry_of(at)))
            self.list.verticalScrollBar().setValue(offset)
            self.list.scrollTo(self.list.currentIndex())
        elif self.rows.changes:
            self._go_to_change(0)
        elif rows:
            self.list.jump_to(0)
        self._show_position()

    def _show_marks(self, outline: Outline) -> None:
        rows = outline.rows
        marks = [Mark(run.start, run.stop, _MARKS[rows[run.start].change]) for run in outline.changes]
        self.strip.set_marks(marks, len(rows))

    def show_changes(self, outline: Outline) -> None:
        """Where the changes are after a choice; the messages stay where they are."""
        self.rows.changes = outline.changes
        self._show_marks(outline)
        self._show_position()
        self.counted.emit(*self.counts)

    def show_fields(self, fields: Sequence[FieldRow], raw: tuple[str, str], *, choosing: bool) -> None:
        """Show the fields and the JSON of a comparison. ``choosing``: each field can be taken from another copy."""
        names = (self.left_picker.currentData() or "", self.right_picker.currentData() or "")
        self.fields.fields.show(fields, *names, choosing=choosing)
        self.raw.show_raw(raw, *names)
        self._changed_fields = sum(row.change is not Change.SAME for row in fields)
        self.counted.emit(*self.counts)
        if self._page == RAW:
            self.raw.fill()

    def clear(self, text: str) -> None:
        """Show a sentence instead of a comparison: nothing is selected, it is being read, it cannot be read."""
        self._show_messages(outlined(()), choosing=False)
        self.show_fields((), ("", ""), choosing=False)
        self._face.show_text(text)
        self._set_enabled(False)
        self.pages.setCurrentIndex(NOTHING)
        self._show_position()

    def show_page(self, page: int) -> None:
        """Show MESSAGES, FIELDS or RAW."""
        self._page = page
        self.pages.setCurrentIndex(NOTHING if page == MESSAGES and not self.rows.rows else page)
        for button in (*self._modes.values(), self._previous, self._next):
            button.setEnabled(page == MESSAGES)
        if page == RAW:
            self.raw.fill()
        self.page_shown.emit(page)

    def go_to_row(self, row: int) -> None:
        """Go to a row, and unfold the run that it is in."""
        self.list.jump_to(self.rows.reveal(row))

    def follow(self, row: int) -> None:
        """Go on from a row: it is the current one, wherever the list is scrolled to."""
        self.list.setCurrentIndex(self.rows.index(self.rows.entry_of(row)))

    @property
    def current_row(self) -> int | None:
        """The row that is the current one; None where there is none."""
        at = self.list.current()
        return self.rows.entries[at].row if at >= 0 else None

    def next_change(self) -> None:
        """Go to the first change after the current row, or say that there is none."""
        at = self.current_row
        self._go_on(next((k for k, run in enumerate(self.rows.changes) if at is None or run.start > at), None), 1)

    def previous_change(self) -> None:
        """Go to the last change that begins before the current row, or say that there is none."""
        at = self.current_row
        before = [k for k, run in enumerate(self.rows.changes) if at is None or run.start < at]
        self._go_on(before[-1] if before else None, -1)

    def last_change(self) -> None:
        """Go to the last change: where the way back from the next session leads."""
        if self.rows.changes:
            self._go_to_change(len(self.rows.changes) - 1)

    def go_to_position(self, item_position: int) -> None:
        """Go to the message at a position of the proposal; nowhere, if no row has it."""
        row = next((k for k, row in enumerate(self.rows.rows) if row.position == item_position), None)
        if row is not None:
            self.show_page(MESSAGES)
            self.go_to_row(row)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Called by Qt: where the tools need more room than there is, half of them go into a line below."""
        super().resizeEvent(event)
        self._arrange_tools()

    # The tool row

    def _build_tools(self) -> None:
        self.left_picker = self._picker(self.tr("Left version"))
        self.right_picker = self._picker(self.tr("Right version"))
        self._swap = self._button("⇄", self.tr("Swap the two versions"))
        self._swap.clicked.connect(self._swap_versions)
        modes = QButtonGroup(self)
        self._modes = dict(zip(Mode, self._switch(modes, (self.tr("Unified"), self.tr("Split"))), strict=True))
        for mode, button in self._modes.items():
            button.clicked.connect(partial(self.set_mode, mode))
        self._modes[Mode.UNIFIED].setChecked(True)
        self._previous = self._button("", self.tr("Previous change"))
        self._previous.clicked.connect(self.previous_change)
        self._next = self._button("", self.tr("Next change"))
        self._next.clicked.connect(self.next_change)
        self._place = QLabel(textFormat=Qt.TextFormat.PlainText, alignment=Qt.AlignmentFlag.AlignCenter)
        self._place.setMinimumWidth(self._place.fontMetrics().horizontalAdvance(self.tr("no changes")) + 4)
        self._first = _row(self.left_picker, self._swap, self.right_picker)
        self._second = _row(*self._modes.values(), None, self._previous, self._place, self._next)
        self._tools = QWidget()
        self._tools.setProperty("bar", True)
        self._tools.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._grid = QGridLayout(self._tools)
        self._grid.setContentsMargins(12, 6, 12, 6)
        self._grid.setHorizontalSpacing(0)
        self._grid.setColumnStretch(1, 1)
        self._grid.addWidget(self._first, 0, 0)
        self._grid.addWidget(self._second, 0, 2)

    def _picker(self, name: str) -> QComboBox:
        picker = QComboBox()
        picker.setAccessibleName(name)
        picker.setToolTip(name)
        picker.view().setAccessibleName(name)
        picker.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        picker.setMinimumContentsLength(8)
        picker.activated.connect(self._show_versions)
        return picker

    def _button(self, text: str, name: str) -> QToolButton:
        button = QToolButton()
        button.setText(text)
        button.setAccessibleName(name)
        button.setToolTip(name)
        button.setProperty("flat", True)
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        return button

    def _switch(self, group: QButtonGroup, names: Sequence[str]) -> list[QToolButton]:
        """Buttons that stand together as one switch; the first is down."""
        buttons = []
        for at, name in enumerate(names):
            button = QToolButton()
            button.setText(name)
            button.setCheckable(True)
            button.setProperty("segment", "first" if at == 0 else "last" if at == len(names) - 1 else "middle")
            button.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
            button.toggled.connect(partial(_fit, button))
            group.addButton(button, at)
            buttons.append(button)
        buttons[0].setChecked(True)
        return buttons

    def _build_pages(self) -> None:
        messages = QWidget()
        beside = QHBoxLayout(messages)
        beside.setContentsMargins(0, 0, 0, 0)
        beside.setSpacing(0)
        beside.addWidget(self.list)
        beside.addWidget(self.strip)
        self.pages = QStackedWidget()
        for page in (messages, self.fields, self.raw, self._face):
            self.pages.addWidget(page)
        for shown in (self.list, self.fields, *self.raw.pages):
            shown.setProperty(ENTRY, True)
        below = QVBoxLayout(self)
        below.setContentsMargins(0, 0, 0, 0)
        below.setSpacing(0)
        below.addWidget(self._tools)
        below.addWidget(self.pages, 1)

    def _arrange_tools(self) -> None:
        margins = self._grid.contentsMargins()
        around = margins.left() + margins.right()
        widths = self._first.sizeHint().width(), self._second.sizeHint().width()
        self._tools.setMinimumWidth(max(widths) + around)  # less than the layout asks for as long as it is one line
        is_narrow = sum(widths) + margins.left() > self.width() - around
        if is_narrow != self._is_narrow:
            self._is_narrow = is_narrow
            self._grid.removeWidget(self._second)
            self._grid.addWidget(self._second, *((1, 0, 1, 3) if is_narrow else (0, 2)))
        for part in (self._first, self._second, self._tools):
            part.updateGeometry()
        for layout in (self._grid, self.layout()):  # at once: a frame with squeezed buttons would flicker
            if layout is not None:
                layout.invalidate()
                layout.activate()

    def _set_enabled(self, is_enabled: bool) -> None:
        self._first.setEnabled(is_enabled)
        self._second.setEnabled(is_enabled)

    # What a person does

    def _show_versions(self) -> None:
        self.versions_chosen.emit(self.left_picker.currentData(), self.right_picker.currentData())

    def _swap_versions(self) -> None:
        left, right = self.left_picker.currentIndex(), self.right_picker.currentIndex()
        self.left_picker.setCurrentIndex(right)
        self.right_picker.setCurrentIndex(left)
        self._show_versions()

    def emit_choices(self) -> None:
        """Tell what is chosen."""
        self.choice_changed.emit(replace(self.rows.choices(), fields=self.fields.fields.chosen))

    # The way through

    def _go_on(self, change: int | None, direction: int) -> None:
        if change is None:
            self.end_reached.emit(direction)
        else:
            self._go_to_change(change)

    def _go_to_change(self, change: int) -> None:
        """Go to where a change begins; a folded run is not unfolded for that."""
        self.list.jump_to(self.rows.entry_of(self.rows.changes[change].start))

    def _show_position(self) -> None:
        at = self.current_row
        current = 0 if at is None else sum(run.start <= at for run in self.rows.changes)
        total = len(self.rows.changes)
        self._place.setText(
            self.tr("{} of {}").format(number(current), number(total)) if total else self.tr("no changes")
        )
        if (current, total) != self._position:
            self._position = (current, total)
            self.position_changed.emit(current, total)
        self._arrange_tools()

    def _show_view(self) -> None:
        first, last = self.list.entries_in_view()
        entries = self.rows.entries
        if first <= last:
            following = entries[last + 1].row if last + 1 < len(entries) else len(self.rows.rows)
            self.strip.set_view(range(entries[first].row, max(following, entries[first].row + 1)))


def _fit(button: QToolButton, is_checked: bool) -> None:
    """A checked button of a switch is the one that Tab stops at; it is bold, and Qt does not see that it is wider."""
    button.setFocusPolicy(Qt.FocusPolicy.StrongFocus if is_checked else Qt.FocusPolicy.ClickFocus)
    button.updateGeometry()


def _row(*widgets: QWidget | None) -> QWidget:
    """Widgets in a row; None is a gap that grows. The buttons of a switch touch."""
    holder = QWidget()
    layout = QHBoxLayout(holder)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(0)
    for widget in widgets:
        if widget is None:
            layout.addSpacing(10)
            layout.addStretch()
        else:
            layout.addWidget(widget)
    return holder
