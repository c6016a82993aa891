"""What a conversation shows, in which order and in which words: its gaps, its speakers, the parts of its long texts.

Everything here is a function of values of ``core``; nothing is laid out or painted.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from hermes_rescue.core.hermes.copies import LIVE
from hermes_rescue.core.hermes.message import IMAGE, Message, decoded, image_address, is_image_part, visible_text
from hermes_rescue.core.merge.intent import FROM_ELSEWHERE, Reason
from hermes_rescue.core.report.diff import Change, MessageRow
from hermes_rescue.gui.view_model import diff_text
from hermes_rescue.gui.view_model.diff_outline import Gap
from hermes_rescue.gui.view_model.diff_text import copy_name, listed, message_of, one_line, translate
from hermes_rescue.gui.view_model.formatting import counted

PART = 4_000
"""Characters of a text that one entry shows, so that no text is ever laid out at once."""

PART_LINES = 120
"""Lines of a text that one entry shows: many short ones take as long as few long ones."""

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[^\n`]*$", re.MULTILINE)
_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp|bmp);base64,", re.IGNORECASE)
_PICTURES = 20
"""Pictures of a message that are shown."""

_NAMED = 2
"""Copies that a line names."""


class Spot(NamedTuple):
    """A place in a text that is shown: the row, the part of its text, the passage (see :func:`passages`) and the
    character, counted as Qt does.
    """

    row: int
    part: int
    passage: int
    position: int


def gaps(shown: Sequence[Gap], turned: Collection[int]) -> list[Gap]:
    """What stays out of a session after a person has turned the boxes of some rows."""
    found: list[Gap] = []
    rising = sorted(turned)
    own = set(turned)
    for rows, reason in shown:
        start = rows.start
        within = rising[bisect_left(rising, rows.start) : bisect_left(rising, rows.stop)]
        for row in (*within, rows.stop):
            if start < row:
                found.append(Gap(range(start, row), reason))
            start = row + 1
        own.difference_update(within)
    for _, group in groupby(enumerate(sorted(own)), lambda pair: pair[1] - pair[0]):
        run = [row for _, row in group]
        found.append(Gap(range(run[0], run[-1] + 1), Reason.CHOSEN))
    return sorted(found, key=lambda gap: gap.rows.start)


def gap_words(gap: Gap, rows: Sequence[MessageRow]) -> str:
    """The line that stands for those of ``rows`` that stay out: "2 messages that you took back"."""
    one, many = _gap_texts(gap.reason)
    places = _places(rows[gap.rows.start : gap.rows.stop]) if gap.reason in FROM_ELSEWHERE else ""
    return counted(len(gap.rows), one, many).format(places=places)


def left_out_words(left_out: Mapping[Reason | None, int]) -> list[str]:
    """The messages that stay out, as many for each reason, in the same words; what has one word for it is one."""
    counts: Counter[tuple[str, str]] = Counter()
    for reason, n in left_out.items():
        counts[_gap_texts(reason)] += n
    places = translate("Conversation", "another place")
    return [counted(n, *texts).format(places=places) for texts, n in counts.items()]


def _places(rows: Iterable[MessageRow]) -> str:
    """The copies from other places that have messages: "the snapshot of 2 May 2026"; of many only how many."""
    names = dict.fromkeys(name for row in rows if row.item is not None for name in row.item.copies)
    if len(names) > _NAMED:
        return translate("Conversation", "{} copies from other places").format(len(names))
    return listed(translate("Conversation", "the {}").format(copy_name(name)) for name in names)


def _gap_texts(reason: Reason | None) -> tuple[str, str]:
    """What one message, or more of them, are called that stay out for a reason."""
    if reason in (Reason.UNDONE, Reason.REWOUND):
        return (
            translate("Conversation", "message that you took back"),
            translate("Conversation", "messages that you took back"),
        )
    if reason is Reason.CLEARED:
        return (
            translate("Conversation", "message that you cleared"),
            translate("Conversation", "messages that you cleared"),
        )
    if reason is Reason.HIDDEN:
        return (
            translate("Conversation", "message that Hermes wrote for itself"),
            translate("Conversation", "messages that Hermes wrote for itself"),
        )
    if reason is Reason.SUMMARY:
        return (
            translate("Conversation", "summary that a compression wrote"),
            translate("Conversation", "summaries that a compression wrote"),
        )
    if reason is Reason.CONTAINED:
        return (
            translate("Conversation", "message that is a part of another one"),
            translate("Conversation", "messages that are parts of others"),
        )
    if reason is Reason.UNANSWERED:
        return (
            translate("Conversation", "prompt without an answer. Do you want it back?"),
            translate("Conversation", "prompts without an answer. Do you want them back?"),
        )
    if reason in FROM_ELSEWHERE:
        return (
            translate("Conversation", "message only in {places}. Do you want it back?"),
            translate("Conversation", "messages only in {places}. Do you want them back?"),
        )
    if reason is not None and reason.is_question:
        return (
            translate("Conversation", "message that you took back or lost: only you know"),
            translate("Conversation", "messages that you took back or lost: only you know"),
        )
    if reason in (Reason.CHOSEN, Reason.LEFT_OUT):
        return (
            translate("Conversation", "message that you left out"),
            translate("Conversation", "messages that you left out"),
        )
    return translate("Conversation", "message left out"), translate("Conversation", "messages left out")


def speaker(m: Message) -> str:
    """Who speaks: what a tool says, Hermes shows."""
    return translate("Conversation", "Hermes") if m.role == "tool" else diff_text.speaker(m)


def origin(row: MessageRow, change: Change) -> str:
    """Where a message comes from: "back from the backup, call from the database"."""
    if row.item is None:
        return ""
    taken = diff_text.taken_over(row.item, translate("Conversation", "{} from the {}"))
    if change is Change.ADDED:
        back = translate("Conversation", "back from the {}").format(copy_name(row.item.copies[0]))
        return ", ".join((back, *taken))
    if change is Change.CHANGED:
        return translate("Conversation", "back: {}").format(", ".join(taken)) if taken else ""
    if change in (Change.LEFT_OUT, Change.REMOVED):
        return translate("Conversation", "left out")
    return translate("Conversation", "in the file") if LIVE in row.item.copies else ""


def holders(row: MessageRow) -> tuple[str, ...]:
    """The names of the copies that hold a message."""
    return row.item.copies if row.item is not None else ()


class Content(NamedTuple):
    """What a message says: its text without the placeholders of pictures that are shown, and these as data URIs."""

    text: str
    pictures: tuple[str, ...]


def content_of(m: Message) -> Content:
    """The content of a message. A picture that lies elsewhere is not among those that are shown: nothing is fetched."""
    content = decoded(m.value.get("content"))
    found: list[str] = []
    if isinstance(content, list):
        found = [address for part in content if (address := _address(part))]
        content = [part for part in content if not _address(part)] if found else content
    return Content(visible_text(content, m.role), tuple(found[:_PICTURES]))


def _address(part: Any) -> str:
    """The data URI of a part of a content; empty where it has none."""
    address = image_address(part) if is_image_part(part) else ""
    return address if _PICTURE.match(address) else ""


def first_part(text: str) -> str:
    """The beginning of a text that one entry shows; the text itself where it is not long."""
    return next(parts(text))


def parts(text: str) -> Iterator[str]:
    """A text in Markdown in pieces that one entry can show: cut after a line, else after a word, else anywhere. A block
    of code that is cut ends and begins again.
    """
    start, opener = 0, ""
    while True:
        end = _end_of_part(text, start)
        part = text[start:end]
        fence, marker = _open_fence(opener, part)
        yield (f"{opener}\n" if opener else "") + part + (f"\n{marker}" if fence and end < len(text) else "")
        if end >= len(text):
            return
        start, opener = end, fence


def _end_of_part(text: str, start: int) -> int:
    end = start + PART
    if end < len(text):
        half = start + PART // 2
        end = next((at + 1 for sign in "\n " if (at := text.rfind(sign, half, end)) >= 0), end)
    lines = text[start:end].split("\n", PART_LINES)
    return min(end - len(lines[-1]) if len(lines) > PART_LINES else end, len(text))


def _open_fence(opener: str, part: str) -> tuple[str, str]:
    """The line that opens the block of code in which a part ends, and the sign that closes it; empty outside of one.
    ``opener``: that of the block in which the part begins.
    """
    line = opener.strip()
    marker = line[: len(line) - len(line.lstrip("`~"))]
    if not any(sign in part for sign in ((marker,) if marker else ("```", "~~~"))):
        return opener, marker
    for found in _FENCE.finditer(part):
        if not opener:
            opener, marker = found[0], found[1]
        elif found[1].startswith(marker) and found[0].strip() == found[1]:
            opener, marker = "", ""
    return opener, marker


def opening_words(m: Message, text: str) -> str:
    """The line of a tool's result that is folded: "web_search: result, 96 characters"."""
    name = m.value.get("name") or m.value.get("tool_name")
    words = translate("Conversation", "result, {}").format(counted(len(text), "character"))
    return f"{one_line(str(name), 60)}: {words}" if name else words


def reasoning_words(text: str) -> str:
    """The line of a reasoning that is folded."""
    count = text.count(" ") + text.count("\n") + 1  # about; to split a huge text takes too long
    return translate("Conversation", "reasoning, {}").format(counted(count, "word"))


def heading(row: MessageRow) -> str:
    """Who said a message and when, for a text that was copied: "You, 3 May 2026, 07:30"."""
    m, time = message_of(row), diff_text.time_of(row)
    return ", ".join(filter(None, (speaker(m), diff_text.clock(time, with_date=True) if time is not None else "")))


def sentence(row: MessageRow, change: Change, text: str) -> str:
    """A message for a screen reader: "You, 3 May 2026, 07:30, back from the backup: How many days …"."""
    m = message_of(row)
    calls = [translate("Conversation", "calls {}").format(call.name) for call in diff_text.calls_of(m)]
    attached = diff_text.attachments_of(m)
    more = [translate("Conversation", "attached: {}").format(", ".join(attached))] if attached else []
    pictures = [translate("Conversation", "with a picture")] if IMAGE in m.text else []
    head = ", ".join(filter(None, (heading(row), origin(row, change), *calls, *more, *pictures)))
    return ": ".join(filter(None, (head, diff_text.plain(text).strip())))
