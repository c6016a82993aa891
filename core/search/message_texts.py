"""Every text of a message, by where it stands: what can be searched for in it."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from hermes_rescue.core.base.jsontext import NotJSONError, loads
from hermes_rescue.core.hermes.message import REASONING, Message

_LABELS = frozenset(("id", "call_id", "type", "index", "format", "signature"))
"""Fields with what programs call a value; nobody has said it."""


class Part(StrEnum):
    """Where in a session a text stands."""

    TEXT = "text"
    REASONING = "reasoning"
    CALL = "tool call"
    RESULT = "tool result"
    ATTACHMENT = "attachment"
    TITLE = "title"
    PROMPT = "unsent prompt"
    CARD = "tool card"


_PARTS = {
    **dict.fromkeys(REASONING, Part.REASONING),
    **dict.fromkeys(("tool_calls", "name", "tool_name"), Part.CALL),
    "attachments": Part.ATTACHMENT,
}
"""The fields of a message that can have texts, besides its content."""


def parts_of(m: Message) -> list[tuple[Part, str]]:
    """The texts of a message, the one that a person sees first."""
    found = [(Part.RESULT if m.role == "tool" else Part.TEXT, m.text)]
    value = m.value
    for name, part in _PARTS.items():
        if given := value.get(name):
            found += ((part, text) for text in (_called(given) if name == "tool_calls" else strings(given)))
    return [(part, text) for part, text in found if text]


def _called(calls: Any) -> Iterator[str]:
    """Names and arguments; arguments are a JSON text mostly, in which not every text stands as it is."""
    for text in strings(calls):
        yield text
        if "\\" in text:
            try:
                yield from strings(loads(text))
            except NotJSONError:
                continue


def strings(value: Any) -> Iterator[str]:
    """Every text in a JSON value, in order, but for names and labels of fields, and pictures."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            if not each.startswith("data:"):
                yield each
        elif isinstance(each, dict):
            waiting += (inner for name, inner in reversed(each.items()) if name not in _LABELS)
        elif isinstance(each, list):
            waiting += reversed(each)
