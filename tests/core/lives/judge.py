"""Whether what a repair made of a session is right."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from .said import Identity, identity
from .truth import Tail, Truth, is_part


def judge(truth: Truth, before: bytes | None, after: bytes | None, *, asks: bool = False) -> str:
    """What is wrong with the file of a session after a repair ("" where all is right); None: there is no file.
    ``asks``: the session has a question, so that of what the copies leave open only a part may have come back.
    """
    if truth.want == "absent":
        return "appeared" if after is not None else ""
    if truth.want == "untouched" or (truth.want == "ask" and after == before):
        return (
            "" if after == before else f"touched: {_differs(truth, transcript(after), truth.wanted) or 'same messages'}"
        )
    document = _document(after)
    if document is None:
        return "left unreadable" if after == before else "written unreadable"
    accepted = (truth.wanted, *(truth.alts if truth.want == "ask" else ()))
    found = [_of_one(truth, document, wanted) for wanted in accepted]
    wrong = "" if "" in found else found[0]
    if asks and truth.want == "ask" and truth.tail is None and _is_part_of(document, before, accepted):
        return ""
    return f"left: {wrong}" if wrong and after == before else wrong


def _is_part_of(document: dict[str, Any], before: bytes | None, accepted: Sequence[Sequence[Identity]]) -> bool:
    told = [identity(value) for value in document["messages"]]
    is_sound = document.get("message_count") == len(told) and not _torn_calls(told)
    return is_sound and is_part(transcript(before) or (), told) and any(is_part(told, each) for each in accepted)


def _of_one(truth: Truth, document: dict[str, Any], wanted: Sequence[Identity]) -> str:
    told = [identity(value) for value in document["messages"]]
    if truth.tail is not None:
        wrong = _differs(truth, told[: len(wanted)], wanted) or _tail(truth.tail, document, told[len(wanted) :])
    else:
        wrong = _differs(truth, told, wanted)
    if not wrong and document.get("message_count") != len(told):
        wrong = "message_count is not that of the messages"
    return wrong or _torn_calls(told)


def _differs(truth: Truth, told: Sequence[Identity] | None, wanted: Sequence[Identity]) -> str:
    if told is None:
        return "unreadable"
    got, want = Counter(told), Counter(wanted)
    wrong = {"missing": sum((want - got).values())}
    for each, n in (got - want).items():
        kind = "doubled" if each in want else "taken back" if each in truth.taken else "foreign"
        wrong[kind] = wrong.get(kind, 0) + n
    text = ", ".join(f"{kind} {n}" for kind, n in wrong.items() if n)
    return text or ("" if list(told) == list(wanted) else "in another order")


def _torn_calls(told: Sequence[Identity]) -> str:
    """A tool result stands behind its call, with nothing but other results of it between."""
    open_calls: tuple[str, ...] = ()
    for role, _, calls, answers in told:
        if role == "tool" and answers not in open_calls:
            return "a tool result is torn from its call"
        open_calls = open_calls if role == "tool" else calls
    return ""


def _tail(tail: Tail, document: dict[str, Any], told: Sequence[Identity]) -> str:
    """What may stand of a run that was killed: nothing, with the fields that the WebUI's own recovery needs; or its
    prompt, and once what rows and journal have of its answer (recovery.md, section 4)."""
    if not told:
        kept = document.get("pending_user_message") and document.get("active_stream_id")
        return "" if kept else "the prompt of the killed run is missing"
    if told[0] != tail.prompt:
        return "something else stands in place of the killed run's prompt"
    said = [text for role, text, _, _ in told[1:] if role == "assistant" and text]
    known = {" ".join(text.split()) for text in tail.texts}
    results = [answers for role, _, _, answers in told if role == "tool"]
    calls = [call for _, _, calls, _ in told for call in calls]
    if any(role == "user" for role, *_ in told[1:]) or len(set(results)) < len(results) or len(set(calls)) < len(calls):
        return "doubled in the killed run"
    if not all(text in known or any(part in text for part in known if part) for text in said):
        return "foreign in the killed run"
    if sorted(calls) != sorted(results):
        return "a call without a result in the killed run"
    streamed = " ".join(tail.streamed.split())
    if streamed and not any(streamed in text for text in said):
        return "the partial answer of the killed run is missing"
    return ""


def _document(data: bytes | None) -> dict[str, Any] | None:
    try:
        value = json.loads(data or b"")
    except ValueError:
        return None
    return value if isinstance(value, dict) and isinstance(value.get("messages"), list) else None


def transcript(data: bytes | None) -> tuple[Identity, ...] | None:
    """What a person sees of a session file, None where it cannot be read."""
    document = _document(data)
    return None if document is None else tuple(identity(value) for value in document["messages"])
