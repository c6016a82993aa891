"""What is copied of a conversation: a part of a message as it is read, whole messages as they were written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hermes_rescue.gui.view_model import conversation_outline as outlines
from hermes_rescue.gui.view_model import diff_text
from hermes_rescue.gui.view_model.conversation_outline import Spot
from hermes_rescue.gui.view_model.conversation_rows import RESULT, ConversationRows
from hermes_rescue.gui.view_model.diff_outline import FOLD, Entry
from hermes_rescue.gui.view_model.diff_text import message_of
from hermes_rescue.gui.widgets.markdown_text import between, units, words_of


def selected(rows: ConversationRows, first: Spot, last: Spot) -> Iterator[str]:
    """The text between two places, message by message; who said it stands above each where there are several."""
    for row in shown_rows(rows, first, last):
        if row in (first.row, last.row):
            text, is_whole = _part(rows, row, first, last)
        else:
            text, is_whole = "", True
        if is_whole:
            m = message_of(rows.rows[row])
            text = "" if m.role == "tool" and not rows.is_opened(row, RESULT) else diff_text.plain(rows.text_of(row))
        if text and first.row != last.row:
            text = f"{outlines.heading(rows.rows[row])}\n{text}"
        yield text


def shown_rows(rows: ConversationRows, first: Spot, last: Spot) -> Iterator[int]:
    """The messages between two places of which something is shown."""
    for row in range(first.row, min(last.row, len(rows.rows) - 1) + 1):
        gap = rows.gap_of(row)
        if gap is None or rows.is_open(gap.rows):
            yield row


def as_markdown(rows: ConversationRows, wanted: Iterable[int]) -> Iterator[str]:
    """Whole messages as a text in Markdown."""
    for row in wanted:
        text = diff_text.plain(rows.text_of(row)).strip()
        if text:
            yield f"**{outlines.heading(rows.rows[row])}**\n\n{text}"


def _part(rows: ConversationRows, row: int, first: Spot, last: Spot) -> tuple[str, bool]:
    """What is selected of the texts of a message that are shown; whether that is all of them."""
    found: list[str] = []
    is_whole = True
    at = rows.entry_of(row)
    while at < len(rows.entries) and rows.entries[at].row == row and rows.entries[at].part != FOLD:
        entry = rows.entries[at]
        for passage in rows.passages(Entry(row, entry.part)):
            place = (row, entry.part, passage.rank)
            words = words_of(passage.source, is_markdown=passage.is_markdown)
            start = first.position if place == first[:3] else 0
            end = last.position if place == last[:3] else units(words)
            if first[:3] <= place <= last[:3]:
                found.append(between(words, start, end))
            is_whole &= first[:3] <= place <= last[:3] and start == 0 and end >= units(words)
        at += 1
    return "\n".join(found), is_whole and bool(found)
