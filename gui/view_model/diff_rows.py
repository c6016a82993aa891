"""The rows of a comparison as a list shows them: runs folded or open, details open, boxes checked.

One model for the unified and the split view. It knows nothing of widths and colours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import groupby
from typing import Any

from hermes_rescue.core.hermes.message import Message
from hermes_rescue.core.merge.choices import Choices
from hermes_rescue.core.report.diff import Change, MessageRow, Words, compare_words, text_of
from hermes_rescue.gui.view_model import diff_text
from hermes_rescue.gui.view_model.boxes import Boxes
from hermes_rescue.gui.view_model.diff_outline import FOLD, Entries, Entry, Outline, overlaps, stretches, without
from hermes_rescue.gui.view_model.diff_text import message_of, plain
from hermes_rescue.gui.view_model.entry_rows import EntryRows, Index
from PySide6.QtCore import QObject, Qt, Signal

PART = 8_000
"""Characters of a text that one entry shows when all of it is asked for; the rest follows in entries of its own, so
that no text is ever laid out at once."""

CHECK, RUN, TEXT, REASONING, CALL = "check", "run", "text", "reasoning", "call "
"""What a click or a key can act on in an entry; a call has its number after the name."""

_CACHED_TEXTS = 300

Span = tuple[Change, str]
"""A piece of a text, and whether it is only in the left version (removed), only in the right one (added) or in both."""


class Side(StrEnum):
    """Which version of a message is shown: both in one text, or one of them."""

    BOTH = "both"
    LEFT = "left"
    RIGHT = "right"


class DiffRows(EntryRows):
    """The list model. ``choices_changed`` is emitted after a person checks or unchecks a box, here or elsewhere."""

    choices_changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: Sequence[MessageRow] = ()
        self.boxes = Boxes(self)
        self.boxes.turned.connect(self._on_turned)
        self.changes: tuple[range, ...] = ()
        """Each change: neighbouring rows of one kind."""
        self.choosing = False
        self.sample: tuple[tuple[int, int], ...] = ()
        """How many characters and calls some of the messages have."""
        self._messages_hash = 0
        self._runs: dict[int, range] = {}  # by where they begin
        self._unfolded: list[range] = []  # of rows
        self._opened: dict[int, set[str]] = {}
        self._cuts: dict[int, dict[Side, list[int]]] = {}
        self._spans: dict[tuple[int, Side], tuple[Span, ...]] = {}

    def show(self, outline: Outline, *, choosing: bool) -> bool:
        """Take over the rows of a comparison. What is unfolded and open stays so where the messages are the same
        ones as before (a proposal after a choice); the answer is whether they are.
        """
        rows = outline.rows
        again = (choosing, outline.messages_hash) == (self.choosing, self._messages_hash)
        self.beginResetModel()
        self.rows, self.changes, self.choosing = rows, outline.changes, choosing
        self._messages_hash = outline.messages_hash
        self.sample = outline.sample
        if choosing:
            self.boxes.show(outline)
        self._spans.clear()
        self._runs = {run.start: run for run in outline.runs}
        if not again:
            self._opened.clear()
            self._cuts.clear()
            # where nothing differs, there is nothing to make room for
            self._unfolded = [] if self.changes else [range(len(rows))]
        self.entries = self._build()
        self.endResetModel()
        return again

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Called by Qt: one sentence for a screen reader, the line as text, and the state of the box."""
        if not index.isValid():
            return None
        at = index.row()
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return self._sentence(self.entries[at])
        if role == Qt.ItemDataRole.CheckStateRole and self.has_box(at):
            return self.check_state(at)
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Called by Qt: an entry with a box can be checked."""
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        return flags | Qt.ItemFlag.ItemIsUserCheckable if self.has_box(index.row()) else flags

    def run_at(self, at: int) -> range | None:
        """The rows of the run that the entry stands for; None for a message."""
        row, part = self.entries[at]
        return self._runs[row] if part == FOLD else None

    def is_open(self, run: range) -> bool:
        """Whether the rows of a run are shown."""
        return overlaps(run, self._unfolded)

    def is_opened(self, row: int, detail: str) -> bool:
        """Whether a detail of a message (TEXT, REASONING, a CALL) is shown in full."""
        return detail in self._opened.get(row, ())

    def has_box(self, at: int) -> bool:
        """Whether the entry has a check box: a message of a proposal, or a run of changed ones."""
        if not self.choosing:
            return False
        row, part = self.entries[at]
        return part == 0 or (part == FOLD and self.rows[row].change is not Change.SAME)

    def check_state(self, at: int) -> Qt.CheckState:
        """The state of the box; a run of which only some are checked is partly so."""
        row, _ = self.entries[at]
        run = self.run_at(at) or range(row, row + 1)
        if 0 < self.boxes.count_turned(run) < len(run):  # as shown, all of a run were the same
            return Qt.CheckState.PartiallyChecked
        return Qt.CheckState.Checked if self.boxes.is_checked(row) else Qt.CheckState.Unchecked

    def change_of(self, row: int) -> Change:
        """What happens to a message, with the boxes as they are now."""
        return self.boxes.change_of(row) if self.choosing else self.rows[row].change

    def choices(self) -> Choices:
        """The boxes that differ from what the proposal would do by itself."""
        return self.boxes.choices()

    def shows_date(self, at: int) -> bool:
        """Whether the time of a message needs its date: it is another day than that of the message right above."""
        row = self.entries[at].row
        above = self.entries[at - 1] if at else None
        if above is None or above.part == FOLD:
            return True
        mine, other = diff_text.time_of(self.rows[row]), diff_text.time_of(self.rows[above.row])
        return mine is None or other is None or mine.date() != other.date()

    def spans(self, row: int, side: Side) -> tuple[Span, ...]:
        """The whole text of a message in pieces, the changed words marked where both versions have a text of their own.

        Words are compared when they are first asked for.
        """
        key = (row, side)
        if key not in self._spans:
            if len(self._spans) >= _CACHED_TEXTS:
                self._spans.clear()
            self._spans[key] = _text_spans(self.rows[row], side)
        return self._spans[key]

    def part_of(self, entry: Entry, side: Side) -> tuple[Span, ...]:
        """The piece of a text that an entry shows when all of the text is shown."""
        cuts = self._cuts[entry.row].get(side, [0])
        if entry.part + 1 >= len(cuts):
            return ()
        return tuple(cut(self.spans(entry.row, side), cuts[entry.part], cuts[entry.part + 1]))

    def is_last_part(self, entry: Entry) -> bool:
        """Whether a text that is shown in full ends with this entry."""
        return entry.part == self._parts(entry.row) - 1

    def entry_of(self, row: int) -> int:
        """The entry that shows a row: its own, or that of the folded run that it is in."""
        return self.entries.last_until(Entry(row, 0))

    def run_of(self, at: int) -> int | None:
        """The entry of the open run that a message is in."""
        row, part = self.entries[at]
        run = next((run for run in self._runs.values() if row in run), None)
        return self._line_of(run) if run is not None and part != FOLD else None

    def _line_of(self, run: range) -> int:
        """The entry that stands for a run."""
        return self.entries.last_until(Entry(run.start, FOLD))

    def reveal(self, row: int) -> int:
        """Unfold the run that a row is in; the entry of the row."""
        run = next((run for run in self._runs.values() if row in run), None)
        if run is not None and not self.is_open(run):
            self._set_unfolded(run, True)
        return self.entry_of(row)

    def act(self, at: int, what: str) -> None:
        """Do what a click on a part of an entry does: CHECK, RUN, or open and close a detail."""
        entry = self.entries[at]
        run = self.run_at(at)
        if what == CHECK:
            self._toggle(at)
        elif what == RUN and run is not None:
            self._set_unfolded(run, not self.is_open(run))
        elif run is None:
            self._set_opened(entry.row, {what}, not self.is_opened(entry.row, what))

    def expand(self, at: int, is_open: bool) -> None:
        """Open or close a run, or all details of a message."""
        run = self.run_at(at)
        if run is None:
            row = self.entries[at].row
            self._set_opened(row, set(self.details(row)) if is_open else self._opened.get(row, set()), is_open)
        elif self.is_open(run) != is_open:
            self._set_unfolded(run, is_open)

    def is_expanded(self, at: int) -> bool:
        """Whether a run is open, or any detail of a message."""
        run = self.run_at(at)
        return bool(self._opened.get(self.entries[at].row)) if run is None else self.is_open(run)

    def details(self, row: int) -> Iterator[str]:
        """What of a message can be opened. The text always can: whether it needs to be depends on the width."""
        m = message_of(self.rows[row])
        yield TEXT
        yield from (f"{CALL}{k}" for k, _ in enumerate(diff_text.calls_of(m)))
        if diff_text.reasoning_of(m):
            yield REASONING

    def copied_text(self, at: int) -> str:
        """What goes to the clipboard: the whole text of a message, as it is; for a run, its line."""
        if self.run_at(at) is not None:
            return self._sentence(self.entries[at])
        return text_of(message_of(self.rows[self.entries[at].row]))

    def run_words(self, run: range) -> str:
        """The line of a run."""
        return diff_text.run_words(self.rows[run.start].change, len(run))

    def _sentence(self, entry: Entry) -> str:
        if entry.part == FOLD:
            run = self._runs[entry.row]
            state = self.tr("shown") if self.is_open(run) else self.tr("folded")
            return f"{self.run_words(run)}, {state}"
        row = self.rows[entry.row]
        if entry.part:
            return diff_text.one_line("".join(text for _, text in self.part_of(entry, Side.BOTH)))
        return diff_text.sentence(row, self.change_of(entry.row))

    def _toggle(self, at: int) -> None:
        if self.has_box(at):
            rows = self.run_at(at) or (self.entries[at].row,)
            self.boxes.set_checked(rows, self.check_state(at) is not Qt.CheckState.Checked)

    def _on_turned(self, rows: Sequence[int]) -> None:
        if self.choosing:
            run = next((run for run in self._runs.values() if rows[0] in run), None)
            self._changed(self.entry_of(rows[0]) if run is None else self._line_of(run), self.entry_of(rows[-1]))
        self.choices_changed.emit()

    def _set_unfolded(self, run: range, is_open: bool) -> None:
        if is_open:
            self._unfolded.append(run)
        else:
            self._unfolded = without(run, self._unfolded)
        at = self._line_of(run)
        self._replace(at)
        self._changed(at, at)

    def _set_opened(self, row: int, details: set[str], is_open: bool) -> None:
        opened = self._opened.get(row, set())
        self._opened[row] = opened | details if is_open else opened - details
        if TEXT in self._opened[row]:
            self._cuts[row] = {side: _cuts(_joined(self.spans(row, side))) for side in Side}
        else:
            self._cuts.pop(row, None)
        at = self.entry_of(row)
        self._replace(at)
        self._changed(at, at)

    def _build(self) -> Entries:
        lengths = {row: self._parts(row) for row in self._cuts}
        return Entries(stretches(len(self.rows), self._runs.values(), self.is_open, lengths))

    def _parts(self, row: int) -> int:
        """The entries that a message takes, whichever view shows it."""
        return max((len(cuts) - 1 for cuts in self._cuts.get(row, {}).values()), default=1)


def cut(spans: Sequence[Span], start: int, end: int) -> Iterator[Span]:
    """The pieces of a text from one character to another."""
    at = 0
    for change, text in spans:
        if at < end and at + len(text) > start:
            yield change, text[max(0, start - at) : end - at]
        at += len(text)


def _joined(spans: Sequence[Span]) -> str:
    return "".join(text for _, text in spans)


def _cuts(text: str) -> list[int]:
    """Where a text is cut into parts, its ends included: after a line, else after a word, else anywhere."""
    cuts = [0]
    while len(text) - cuts[-1] > PART:
        half, end = cuts[-1] + PART // 2, cuts[-1] + PART
        cuts.append(next((at + 1 for sign in "\n " if (at := text.rfind(sign, half, end)) >= 0), end))
    return [*cuts, len(text)]


def _text_spans(row: MessageRow, side: Side) -> tuple[Span, ...]:
    if row.left is not None and row.right is not None and "content" in row.parts:
        words = _words(row.left, row.right)
        if words.complete:
            hidden = {Side.BOTH: None, Side.LEFT: Change.ADDED, Side.RIGHT: Change.REMOVED}[side]
            return tuple(_in_order((word.change, word.text) for word in words.words if word.change is not hidden))
    m = {Side.BOTH: row.right or row.left, Side.LEFT: row.left, Side.RIGHT: row.right or row.left}[side]
    return ((Change.SAME, text_of(m)),) if m is not None else ()


def _in_order(spans: Iterable[Span]) -> Iterator[Span]:
    """The spans with what was removed before what was added in its place."""
    for _, between in groupby(spans, lambda span: span[0] is Change.SAME):
        for change, pieces in groupby(sorted(between, key=lambda span: span[0] is Change.ADDED), lambda span: span[0]):
            yield change, "".join(text for _, text in pieces)


def _words(left: Message, right: Message) -> Words:
    return compare_words(plain(text_of(left)), plain(text_of(right)))
