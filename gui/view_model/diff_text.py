"""What a row of a comparison says, in words: who, when, where from, which calls. Texts of sessions come out plain.

Everything here is a function of values of ``core``; nothing is laid out or painted.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hermes_rescue.core.base.files import shown
from hermes_rescue.core.base.jsontext import NotJSONError, dumps, loads
from hermes_rescue.core.hermes.copies import BACKUP, INDEX, LIVE, TEMP
from hermes_rescue.core.hermes.message import REASONING, Message
from hermes_rescue.core.merge.item import Item
from hermes_rescue.core.report.diff import RECOVERED, WORD_LIMIT, Change, MessageRow, text_of
from hermes_rescue.core.report.history import AFTER, BEFORE, NOW, OF_BACKUP
from hermes_rescue.gui.view_model.formatting import local_time, long_date, number
from PySide6.QtCore import QCoreApplication, QDateTime, QLocale

translate = QCoreApplication.translate

LONG_DETAIL = 10_000
"""Characters of a call's arguments or of a reasoning that are shown when it is opened."""

_ARGUMENTS = 4_000
"""Characters of arguments up to which they are read to be shown in one line; of longer ones, the beginning is shown."""

_ONE_LINE = 240

# What could steer a terminal, a layout or a reader's eye: controls, marks of direction, odd line ends, half characters.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]",
)


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call: its name and its arguments, shortened to one safe line, and in full as they are."""

    name: str
    line: str
    arguments: str


def plain(text: str) -> str:
    """Text of a session as text that is safe to show, its lines kept: control characters as in
    hermes_rescue.core.base.files.shown."""
    return _STEERING.sub(lambda found: shown(found[0]), text.replace("\r\n", "\n").replace("\t", "    "))


def one_line(text: str, limit: int = _ONE_LINE) -> str:
    """The beginning of a text in one line."""
    line = plain(" ".join(text[: limit * 2].split()))
    return line if len(line) <= limit and len(text) <= limit * 2 else line[: limit - 1] + "…"


def copy_name(name: str) -> str:
    """The name of a copy or version (hermes_rescue.core.hermes.copies, hermes_rescue.core.report.diff) in a sentence:
    "live file", "database of work"."""
    for known, words in (
        (LIVE, translate("Difference", "live file")),
        (BACKUP, translate("Difference", "backup")),
        (INDEX, translate("Difference", "session list")),
        (RECOVERED, translate("Difference", "recovered")),
        (TEMP, translate("Difference", "leftover temp")),
        (BEFORE, translate("Difference", "before")),
        (AFTER, translate("Difference", "after")),
        (NOW, translate("Difference", "now")),
        (OF_BACKUP + BEFORE, translate("Difference", "backup before")),
        (OF_BACKUP + AFTER, translate("Difference", "backup after")),
        (OF_BACKUP + NOW, translate("Difference", "backup now")),
    ):
        if name == known or (known == TEMP and name.startswith(f"{TEMP} ")):
            return words + name.removeprefix(known)
    return plain(name)


def title_of(name: str) -> str:
    """The name of a version at the beginning of a line: "Live file"."""
    words = copy_name(name)
    return words[:1].upper() + words[1:]


def listed(words: Iterable[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    *first, last = words
    return translate("Difference", "{} and {}").format(", ".join(first), last) if first else last


def change_word(change: Change) -> str:
    """The word for a change that stands beside its sign; empty for no change."""
    return {
        Change.SAME: "",
        Change.ADDED: translate("Difference", "added"),
        Change.REMOVED: translate("Difference", "removed"),
        Change.CHANGED: translate("Difference", "changed"),
        Change.MOVED: translate("Difference", "moved"),
        Change.LEFT_OUT: translate("Difference", "left out"),
    }[change]


def message_of(row: MessageRow) -> Message:
    """The message that stands for a row: the right version, else the left one."""
    found = row.right or row.left
    assert found is not None
    return found


def time_of(row: MessageRow) -> QDateTime | None:
    """When the message of a row was written, in local time; None where no copy knows."""
    return local_time(message_of(row).time)


def clock(time: QDateTime, *, with_date: bool) -> str:
    """The time of day, or date and time, in the place's own way."""
    words = QLocale().toString(time.time(), QLocale.FormatType.ShortFormat)
    return f"{long_date(time.date())}, {words}" if with_date else words


def speaker(m: Message) -> str:
    """Who speaks, as a person would say it, and for a tool which one."""
    if m.role == "tool":
        name = m.value.get("name") or m.value.get("tool_name") or ""
        return one_line(f"{translate('Conversation', 'Tool')} {name}".rstrip(), 60)
    return {
        "user": translate("Conversation", "You"),
        "assistant": translate("Conversation", "Hermes"),
        "system": translate("Conversation", "System"),
    }.get(m.role) or one_line(m.role or "?", 60)


def provenance(row: MessageRow, change: Change) -> str:
    """Where a message is from, or what of it differs: "from backup and database", "call from database"."""
    if row.item is None:
        return ", ".join((*map(part_name, row.parts), *_too_long(row)))
    sources = listed(map(copy_name, row.item.copies))
    taken = taken_over(row.item, translate("Difference", "{} from {}"))
    if change is Change.ADDED:
        from_where = translate("Difference", "from {}").format(sources if not taken else copy_name(row.item.copies[0]))
        return ", ".join((from_where, *taken))
    if change is Change.CHANGED:
        return ", ".join((*taken, *_too_long(row)))
    return translate("Difference", "in {}").format(sources)


def _too_long(row: MessageRow) -> Iterator[str]:
    """What is said where a changed text is too long to have its words compared."""
    if "content" in row.parts and max(len(text_of(m)) for m in (row.left, row.right) if m is not None) > WORD_LIMIT:
        yield translate("Difference", "too long to mark its words")


def taken_over(item: Item, words: str) -> tuple[str, ...]:
    """The parts of a message that are from another copy than itself, with ``words`` for each copy: "{} from {}"."""
    parts: dict[str, list[str]] = defaultdict(list)
    for field, copy in item.enriched.items():
        if copy != item.copies[0] and (name := part_name(field)) not in parts[copy]:
            parts[copy].append(name)
    return tuple(words.format(listed(names), copy_name(copy)) for copy, names in parts.items() if names)


def part_name(part: str) -> str:
    """A part of a message (``MessageRow.parts``, ``Item.enriched``) in words."""
    if part in REASONING:
        return translate("Difference", "reasoning")
    return {
        "content": translate("Difference", "text"),
        "tool_calls": translate("Difference", "call"),
        "tool_call_id": translate("Difference", "id of the call"),
        "attachments": translate("Difference", "attachments"),
    }.get(part, plain(part))


def run_words(change: Change, count: int) -> str:
    """The line of a folded run of ``count`` (at least 2) rows that are unchanged, removed or left out."""
    if change is Change.SAME:
        return translate("Difference", "%n unchanged messages", None, count)
    if change is Change.REMOVED:
        return translate("Difference", "%n messages are removed", None, count)
    return translate("Difference", "%n messages are left out", None, count)


def reason_sentence(row: MessageRow) -> str:
    """Why the message of a row is left out; empty where there is no reason."""
    reason = row.item.reason if row.item is not None else None
    return translate("Reason", reason.sentence) if reason is not None else ""


def calls_of(m: Message) -> tuple[Call, ...]:
    """The tool calls of an assistant's message."""
    calls = m.part("tool_calls")
    return tuple(map(_call, calls)) if isinstance(calls, list) else ()


def _call(call: Any) -> Call:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return Call("?", "", str(call))
    arguments = function.get("arguments")
    if isinstance(arguments, str) and len(arguments) <= _ARGUMENTS:
        with suppress(NotJSONError):
            arguments = loads(arguments)
    if isinstance(arguments, str):
        line = full = arguments
    else:
        line, full = ", ".join(_short_arguments(arguments)), dumps(arguments).decode("utf-8", "replace")
    return Call(one_line(str(function.get("name") or "?"), 60), one_line(line), full)


def _short_arguments(arguments: Any) -> Iterator[str]:
    if isinstance(arguments, dict) and len(arguments) > 1:
        yield from (f"{name}: {str(value)[:_ONE_LINE]}" for name, value in arguments.items())
    elif isinstance(arguments, dict):
        yield from (str(value)[: _ONE_LINE * 3] for value in arguments.values())
    elif arguments is not None:
        yield str(arguments)[: _ONE_LINE * 3]


def reasoning_of(m: Message) -> str:
    """What an assistant thought, in the first form that it is kept in; empty where it is not."""
    value = next((m.part(name) for name in REASONING if name in m.parts), "")
    if isinstance(value, list):
        texts = (part.get("text") or part.get("summary") if isinstance(part, dict) else part for part in value)
        return "\n".join(str(text) for text in texts if text)
    return str(value)


def attachments_of(m: Message) -> tuple[str, ...]:
    """The names of what was attached to a message."""
    found = m.part("attachments")
    if not isinstance(found, list):
        return ()
    names = (a.get("name") or a.get("filename") or a.get("path") or "?" if isinstance(a, dict) else a for a in found)
    return tuple(one_line(str(name), 80) for name in names)


def clipped(text: str) -> str:
    """A text with what goes beyond LONG_DETAIL characters replaced by its length."""
    if len(text) <= LONG_DETAIL:
        return plain(text)
    more = translate("Difference", "… the first {} of {} characters")
    return plain(text[:LONG_DETAIL]) + "\n" + more.format(number(LONG_DETAIL), number(len(text)))


def sentence(row: MessageRow, change: Change) -> str:
    """A row for a screen reader: "added, user, 3 May 2026, 13:58, from backup: how do I roll back"."""
    m, time = message_of(row), time_of(row)
    calls = [translate("Difference", "calls {}").format(call.name) for call in calls_of(m)]
    reason = reason_sentence(row) if change in (Change.LEFT_OUT, Change.REMOVED) else ""
    head = (
        change_word(change) or translate("Difference", "unchanged"),
        speaker(m),
        clock(time, with_date=True) if time is not None else "",
        provenance(row, change),
        *calls,
        reason,
    )
    return ": ".join(part for part in (", ".join(filter(None, head)), one_line(text_of(m))) if part)
