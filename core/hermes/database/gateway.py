"""The rows of the WebUI's gateway backend in the form that its sidecars have (formats.md, section state.db).

Such a sidecar has no tool messages and no cards, and one message for all texts that the assistant said within a turn;
the rows have every step. So the rows are read as that: eight messages against sixteen rows are one conversation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from hermes_rescue.core.hermes import sidecar
from hermes_rescue.core.hermes.message import Message, message

_NOTICE = "Operation interrupted"
"""What the agent writes where a run was broken off: no part of the answer, and nothing that the WebUI shows."""


def is_notice(m: Message) -> bool:
    """Whether the agent wrote a row for itself, when it was stopped."""
    return m.role == "assistant" and m.folded_text.startswith(_NOTICE)


def as_shown(messages: Sequence[Message]) -> list[tuple[int, Message]]:
    """The messages of a gateway's rows as the WebUI keeps them, each with the place of the row that it ends with."""
    result: list[tuple[int, Message]] = []
    parts: list[int] = []
    for k, m in enumerate((*messages, None)):
        if m is not None and m.role != "user" and not is_notice(m):
            if m.role == "assistant" and m.folded_text:
                parts.append(k)
            continue
        if parts:
            result.append((parts[-1], _joined(messages[j] for j in parts)))
        parts = []
        if m is not None:
            result.append((k, m))
    return result


def _joined(steps: Iterable[Message]) -> Message:
    listed = [*steps]
    value: dict[str, Any] = {"role": "assistant", "content": "\n\n".join(m.text for m in listed)}
    if listed[-1].time is not None:
        value |= {"timestamp": listed[-1].time}
    return message(sidecar.message_piece(value, listed[-1].piece))
