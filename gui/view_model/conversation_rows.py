"""The rows of a conversation as a list shows them: who says what, what of it is open, what stays out.

It knows nothing of widths and colours. What a person includes or leaves out goes into the boxes of the review.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from hermes_rescue.core.report.diff import Change, MessageRow, text_of
from hermes_rescue.gui.view_model import conversation_outline as outlines
from hermes_rescue.gui.view_model import diff_text
from hermes_rescue.gui.view_model.boxes import Boxes
from hermes_rescue.gui.view_model.conversation_outline import Content
from hermes_rescue.gui.view_model.diff_outline import FOLD, Entries, Entry, Gap, Outline, overlaps, stretches, without
from hermes_rescue.gui.view_model.diff_rows import CALL, REASONING, TEXT
from hermes_rescue.gui.view_model.diff_text import message_of
from hermes_rescue.gui.view_model.entry_rows import EntryRows, Index
from PySide6.QtCore import QObject, Qt

RESULT, TAKE = "result", "take"
"""What a click can act on beside what gui.diff_rows names: the result of a tool, and what stays out."""

_FIRST_CALL = 2
_CACHED_TEXTS, _HELD = 300, 20_000_000
"""How many contents, and how many characters in them, are kept for the next time."""


class Passage(NamedTuple):
    """A text that an entry shows. ``rank`` is its place: it rises in the order in which they stand."""

    rank: int
    what: str
    source: str
    is_markdown: bool


class ConversationRows(EntryRows):
    """The list model of one conversation."""

    def __init__(self, boxes: Boxes, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.boxes = boxes
        self.rows: Sequence[MessageRow] = ()
        self.sample: tuple[tuple[int, int], ...] = ()
        self.has_changes = False
        self.is_same = False
        """Whether the rows are those of before, some of them in or out: what is in view stays there."""
        self.gaps: list[Gap] = []
        self._base: tuple[Gap, ...] = ()
        self._unfolded: list[range] = []
        self._opened: dict[int, set[str]] = {}
        self._parts: dict[int, tuple[str, ...]] = {}  # of texts that are shown in full
        self._contents: dict[int, Content] = {}  # of the messages that were asked for last
        self._held = 0  # characters in them
        boxes.turned.connect(self._on_turned)

    def show(self, outline: Outline, *, is_same: bool) -> None:
        """Take over the rows of a review. ``is_same``: it is the session that is shown, and what is open stays so."""
        self.is_same = is_same
        self.beginResetModel()
        self.rows, self.sample, self._base = outline.rows, outline.sample, outline.gaps
        self.has_changes = bool(outline.changes)
        if not is_same:
            self._unfolded.clear()
            self._opened.clear()
            self._parts.clear()
        self._contents.clear()
        self.boxes.show(outline)
        self._group()
        if not is_same and len(self.rows) == sum(len(gap.rows) for gap in self.gaps):  # there is nothing else to read
            self._unfolded += [gap.rows for gap in self.gaps if gap.reason is not None and gap.reason.is_question]
            self.entries = self._build()
        self.endResetModel()

    def _group(self) -> None:
        self.gaps = outlines.gaps(self._base, self.boxes.turned_rows)
        self.entries = self._build()

    def _on_turned(self, _rows: Sequence[int]) -> None:
        self.is_same = True
        self.beginResetModel()
        self._group()
        self.endResetModel()

    def _build(self) -> Entries:
        runs = [gap.rows for gap in self.gaps]
        lengths = {row: len(parts) for row, parts in self._parts.items()}
        return Entries(stretches(len(self.rows), runs, self.is_open, lengths))

    # What is shown

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Called by Qt: a message with all that its entry shows, as a screen reader says it."""
        if not index.isValid() or role not in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return None
        entry = self.entries[index.row()]
        gap = self.gap_at(index.row())
        if gap is not None:
            state = self.tr("shown") if self.is_open(gap.rows) else self.tr("not shown")
            return f"{outlines.gap_words(gap, self.rows)}, {state}"
        row = self.rows[entry.row]
        m = message_of(row)
        if m.role == "tool" and not self.is_opened(entry.row, RESULT):
            return f"{outlines.heading(row)}: {outlines.opening_words(m, self.text_of(entry.row))}"
        text = "\n".join(passage.source for passage in self.passages(entry))
        return diff_text.plain(text) if entry.part else outlines.sentence(row, self.boxes.change_of(entry.row), text)

    def gap_at(self, at: int) -> Gap | None:
        """What the line of an entry stands for; None for a message."""
        row, part = self.entries[at]
        return self.gap_of(row) if part == FOLD else None

    def gap_of(self, row: int) -> Gap | None:
        """What stays out together with a row; None where the row is in the session."""
        k = bisect_right(self.gaps, row, key=lambda gap: gap.rows.start) - 1
        return self.gaps[k] if k >= 0 and row in self.gaps[k].rows else None

    def is_open(self, run: range) -> bool:
        """Whether the messages of a gap are shown."""
        return overlaps(run, self._unfolded)

    def is_opened(self, row: int, detail: str) -> bool:
        """Whether a detail of a message is shown."""
        return detail in self._opened.get(row, ())

    def is_last_part(self, entry: Entry) -> bool:
        """Whether a message ends with this entry."""
        return entry.part == len(self._parts.get(entry.row, ("",))) - 1

    def passages(self, entry: Entry) -> Iterator[Passage]:
        """The texts that an entry shows, in their order."""
        row, part = entry
        for passage in self._details(row):
            if passage.what in (TEXT, RESULT):
                if passage.what == TEXT or self.is_opened(row, RESULT):
                    parts = self._parts.get(row)
                    source = parts[part] if parts is not None else outlines.first_part(passage.source)
                    yield passage._replace(source=source)
            elif self.is_opened(row, passage.what) and (
                part == 0 if passage.what == REASONING else self.is_last_part(entry)
            ):
                yield passage

    def all_passages(self, row: int) -> Iterator[tuple[int, Passage]]:
        """Every text of a message, whether it is shown or not, in parts."""
        for passage in self._details(row):
            if passage.what in (TEXT, RESULT):
                for part, source in enumerate(outlines.parts(passage.source)):
                    yield part, passage._replace(source=source)
            else:
                yield 0, passage

    def _details(self, row: int) -> Iterator[Passage]:
        m = message_of(self.rows[row])
        if m.role == "tool":
            yield Passage(1, RESULT, self.text_of(row), False)
            return
        reasoning = diff_text.reasoning_of(m)
        if reasoning:
            yield Passage(0, REASONING, reasoning[: diff_text.LONG_DETAIL], True)
        text = self.text_of(row)
        if text and not text.isspace():
            yield Passage(1, TEXT, text, True)
        for k, call in enumerate(diff_text.calls_of(m)):
            yield Passage(_FIRST_CALL + k, f"{CALL}{k}", call.arguments[: diff_text.LONG_DETAIL], False)

    def content_of(self, row: int) -> Content:
        """What a message says, which may take a while to be read."""
        if row not in self._contents:
            if len(self._contents) >= _CACHED_TEXTS or self._held > _HELD:
                self._contents.clear()
                self._held = 0
            found = self._contents[row] = outlines.content_of(message_of(self.rows[row]))
            self._held += len(found.text) + sum(map(len, found.pictures))
        return self._contents[row]

    def text_of(self, row: int) -> str:
        """What somebody said, without the placeholders of pictures that are shown; or what a tool did."""
        return self.content_of(row).text

    def is_long(self, row: int) -> bool:
        """Whether the text of a message is too long for one entry."""
        text = self.text_of(row)
        return len(outlines.first_part(text)) < len(text)

    def shows_date(self, at: int) -> bool:
        """Whether the time of a message needs its date: it is another day than that of the message before."""
        row = self.entries[at].row
        if row == 0:
            return True
        mine, other = diff_text.time_of(self.rows[row]), diff_text.time_of(self.rows[row - 1])
        return mine is None or other is None or mine.date() != other.date()

    def goes_on(self, row: int) -> bool:
        """Whether the result of a tool stands right below a message."""
        following = row + 1
        if following >= len(self.rows) or message_of(self.rows[following]).role != "tool":
            return False
        return self.gap_of(row) == self.gap_of(following)

    def origin_of(self, row: int) -> str:
        """Where a message comes from; empty where all of the session is in its file."""
        change = self.boxes.change_of(row)
        if not self.has_changes and change is Change.SAME:
            return ""
        return outlines.origin(self.rows[row], change)

    # What a person does

    def act(self, at: int, what: str) -> None:
        """Do what a click does: show or hide a gap (RUN), take it in (TAKE), open and close a detail."""
        gap, row = self.gap_at(at), self.entries[at].row
        if gap is None:
            self._set_opened(row, {what}, not self.is_opened(row, what))
        elif what == TAKE:
            self.boxes.set_checked(gap.rows, True)
        else:
            self._set_unfolded(gap.rows, not self.is_open(gap.rows))

    def expand(self, at: int, is_open: bool) -> None:
        """Show or hide a gap, or open or close all details of a message."""
        gap, row = self.gap_at(at), self.entries[at].row
        if gap is not None:
            if self.is_open(gap.rows) != is_open:
                self._set_unfolded(gap.rows, is_open)
            return
        details = {passage.what for passage in self._details(row)}
        if not self.is_long(row):
            details -= {TEXT}
        self._set_opened(row, details if is_open else self._opened.get(row, set()), is_open)

    def is_expanded(self, at: int) -> bool:
        """Whether a gap is shown, or any detail of a message."""
        gap = self.gap_at(at)
        return bool(self._opened.get(self.entries[at].row)) if gap is None else self.is_open(gap.rows)

    def run_of(self, at: int) -> int | None:
        """The line of the gap that a message is in."""
        row, part = self.entries[at]
        gap = self.gap_of(row) if part != FOLD else None
        return self.entries.last_until(Entry(gap.rows.start, FOLD)) if gap is not None else None

    def copied_text(self, at: int) -> str:
        """What goes to the clipboard: the whole text of a message, as it is; for a gap, its line."""
        gap = self.gap_at(at)
        return outlines.gap_words(gap, self.rows) if gap else text_of(message_of(self.rows[self.entries[at].row]))

    def entry_of(self, row: int, part: int = 0) -> int:
        """The entry that shows a part of a row, or the line of the gap that the row is in."""
        return self.entries.last_until(Entry(row, part))

    def reveal(self, row: int, what: str = "", part: int = 0) -> int:
        """Show a row, and of it a detail and a part of its text; its entry."""
        gap = self.gap_of(row)
        if gap is not None and not self.is_open(gap.rows):
            self._set_unfolded(gap.rows, True)
        if (part or (what and what != TEXT)) and not self.is_opened(row, what):
            self._set_opened(row, {what}, True)
        return self.entry_of(row, part)

    def _set_unfolded(self, run: range, is_open: bool) -> None:
        self._unfolded = [*self._unfolded, run] if is_open else without(run, self._unfolded)
        at = self.entries.last_until(Entry(run.start, FOLD))
        self._replace(at)
        self._changed(at, at)

    def _set_opened(self, row: int, details: Collection[str], is_open: bool) -> None:
        opened = self._opened.get(row, set())
        self._opened[row] = opened | set(details) if is_open else opened - set(details)
        self._parts.pop(row, None)
        for passage in self._details(row):
            if passage.what in (TEXT, RESULT) and self.is_opened(row, passage.what):
                self._parts[row] = tuple(outlines.parts(passage.source))
        at = self.entry_of(row)
        self._replace(at)
        self._changed(at, at)
