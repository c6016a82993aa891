"""One copy of a session as a person reads it: who said what, with the steps of each answer where they belong.

Every text of every message is in it once: the result of a tool stands with its call, what is no text beside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from hermes_rescue.core.base.jsontext import NOTHING, NotJSONError, loads, number
from hermes_rescue.core.hermes.message import REASONING, Message, decoded, image_address, is_image_part, visible_text
from hermes_rescue.core.report.diff import Version
from hermes_rescue.core.report.markdown import is_picture

# Drawing for a terminal is no text; what else steers a reader's eye, or has no form in a file, is shown by its number.
_DRAWING = re.compile(r"\x1b\[[0-9;:?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_STEERING = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_BREAK = re.compile(r"\r\n?")

_PARSED = 200_000
"""Characters of a tool's JSON that is laid out for reading."""


class Kind(StrEnum):
    """What a block of a conversation is."""

    TEXT = "text"
    TYPED = "typed"
    PICTURE = "picture"
    NOTE = "note"
    FOLD = "fold"
    CALL = "call"


@dataclass(slots=True)
class Block:
    """A piece of what somebody said. ``text`` is Markdown (TEXT, and FOLD for what stands beside the conversation), as
    a person typed it (TYPED), the address that holds a picture (PICTURE), one line (NOTE), or what a tool was given
    (CALL); ``title`` names the fold or the tool, ``result`` is what the tool said.
    """

    kind: Kind
    text: str
    title: str = ""
    result: str | None = None


@dataclass(frozen=True, slots=True)
class Speech:
    """What somebody said without being interrupted. ``time`` in seconds, None where nobody knows."""

    speaker: str
    time: float | None
    blocks: list[Block] = field(default_factory=list)


YOU, HERMES, SYSTEM = "You", "Hermes", "System"
_SPEAKERS = {"user": YOU, "assistant": HERMES, "tool": HERMES, "system": SYSTEM}


def speeches(version: Version) -> tuple[Speech, ...]:
    """The conversation in a version of a session."""
    cards = _cards(version)
    result: list[Speech] = []
    open_calls: dict[str, Block] = {}
    for at, m in enumerate(version.messages):
        speaker = _SPEAKERS.get(m.role) or clean(m.role) or "?"
        if not result or result[-1].speaker != speaker or speaker == YOU:
            result.append(Speech(speaker, m.time))
            open_calls = {}
        result[-1].blocks.extend(_blocks(m, cards.get(at, ()), open_calls))
    return tuple(each for each in result if each.blocks)


def clean(text: str) -> str:
    """An untrusted text without anything that steers a terminal or a reader's eye; a line ends with one sign."""
    if text.isprintable():
        return text
    text = _BREAK.sub("\n", _DRAWING.sub("", text))
    return _STEERING.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _blocks(m: Message, cards: Sequence[Mapping[str, Any]], open_calls: dict[str, Block]) -> Iterator[Block]:
    value = m.value
    if m.role == "tool":
        name = value.get("tool_name") or value.get("name") or "tool"
        yield from _result(m.answers, _text_of(m), clean(str(name)), open_calls)
        return
    content = decoded(value.get("content"))
    for thought in _reasoning(value):
        yield Block(Kind.FOLD, thought, "Reasoning")
    text = _text_of(m)
    if text.strip():
        if m.is_summary or m.role == "system":
            yield Block(Kind.FOLD, text, "Summary of what was said before" if m.is_summary else SYSTEM)
        else:
            yield Block(Kind.TYPED if m.role == "user" else Kind.TEXT, text)
    if isinstance(content, list):
        yield from _other_parts(content)
    yield from _attachments(value.get("attachments"))
    if isinstance(value.get("provider_details"), str):
        yield Block(Kind.FOLD, clean(value["provider_details"]), "Details")
    for block, call_id in _calls(value.get("tool_calls"), cards):
        yield block
        if call_id and block.result is None:
            open_calls[call_id] = block


def _text_of(m: Message) -> str:
    """The text of a message without the placeholders for its pictures."""
    content = decoded(m.value.get("content")) if m.value else m.text
    if isinstance(content, list):
        content = [part for part in content if not is_image_part(part)]
    return clean(visible_text(content, m.role))


def _reasoning(value: Mapping[str, Any]) -> Iterator[str]:
    """What the assistant thought: the fields hold it in several forms, the first that is there is shown."""
    for name in REASONING:
        values = value.get(name)
        parts = [values] if isinstance(values, str) else values if isinstance(values, list) else []
        texts = [part.get("text") or part.get("summary") if isinstance(part, dict) else part for part in parts]
        found = "\n\n".join(clean(text) for text in texts if isinstance(text, str) and text.strip())
        if found:
            yield found
            return


def _other_parts(parts: Sequence[Any]) -> Iterator[Block]:
    """The parts of a content that have no text: pictures, and whatever a later version may bring."""
    for part in parts:
        if is_image_part(part):
            address = image_address(part)
            if is_picture(address):
                yield Block(Kind.PICTURE, address)
            else:
                yield Block(Kind.NOTE, f"Picture: {_line(address)}" if address else "Picture, which was not kept")
        elif isinstance(part, dict) and not isinstance(part.get("text"), str):
            yield Block(Kind.CALL, laid_out(part), _line(str(part.get("type") or "part")))


def _attachments(attached: Any) -> Iterator[Block]:
    for each in attached if isinstance(attached, list) else ():
        name = each.get("name") or each.get("path") or "?" if isinstance(each, dict) else each
        yield Block(Kind.NOTE, f"Attached: {_line(str(name))}")


def _calls(calls: Any, cards: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Block, str]]:
    """The calls of a message, each with its id; those that only a card of the session has come with their result."""
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            yield Block(Kind.CALL, laid_out(call), "tool"), ""
            continue
        name = _line(str(function.get("name") or "tool"))
        yield (
            Block(Kind.CALL, laid_out(function.get("arguments")), name),
            str(call.get("id") or call.get("call_id") or ""),
        )
    for card in cards:
        snippet = card.get("snippet")
        result = laid_out(snippet) if snippet not in NOTHING else None
        yield Block(Kind.CALL, laid_out(card.get("args")), _line(str(card.get("name") or "tool")), result), ""


def _result(call_id: str, text: str, name: str, open_calls: dict[str, Block]) -> Iterator[Block]:
    """Give a call its result; one whose call is not there is a block of its own."""
    call = open_calls.pop(call_id, None)
    if call is not None:
        call.result = laid_out(text)
    else:
        yield Block(Kind.CALL, "", _line(name), laid_out(text))


def _cards(version: Version) -> dict[int, list[Mapping[str, Any]]]:
    """The session's own list of tool calls by the position of their message, without those that a message has."""
    listed = version.fields.get("tool_calls")
    cards = [card for card in listed if isinstance(card, dict)] if isinstance(listed, list) else []
    if not cards:
        return {}
    turns: list[int] = []
    known: set[tuple[int, str]] = set()
    for m in version.messages:
        turns.append((turns[-1] if turns else 0) + (m.role == "user"))
        known.update((turns[-1], each) for each in (*m.calls, m.answers) if each)
    found: dict[int, list[Mapping[str, Any]]] = {}
    for card in cards:
        at = number(card.get("assistant_msg_idx"))
        if at is not None and 0 <= at < len(turns) and (turns[int(at)], str(card.get("tid"))) not in known:
            found.setdefault(int(at), []).append(card)
    return found


def laid_out(value: Any) -> str:
    """What a tool was given or gave as lines to read: a JSON object field by field, with its line breaks."""
    if isinstance(value, str):
        parsed = _parsed(value)
        if not isinstance(parsed, dict):
            return clean(value)
        value = parsed
    if value in NOTHING:
        return ""
    if not isinstance(value, dict):
        return clean(_json(value))
    lines = []
    for name, each in value.items():
        text = each if isinstance(each, str) else _json(each)
        lines.append(f"{name}:\n{text}" if "\n" in text.strip() else f"{name}: {text}")
    return clean("\n".join(lines))


def _parsed(text: str) -> Any:
    if len(text) > _PARSED or not text.lstrip().startswith("{"):
        return None
    try:
        return loads(text)
    except NotJSONError:
        return None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _line(text: str) -> str:
    return " ".join(clean(text).split())
