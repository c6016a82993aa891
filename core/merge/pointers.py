"""What points into the message list: tool cards, activity scenes, and the context that the model sees.

They follow their messages (recovery.md, section 2). The context never comes from a copy that an act superseded, and
where no copy determines it, it stays empty: the WebUI sends it to the model and merges it into the transcript.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hermes_rescue.core.base.jsontext import NOTHING, NotJSONError, loads
from hermes_rescue.core.hermes import sidecar
from hermes_rescue.core.hermes.message import LONG_ID, Message, message
from hermes_rescue.core.hermes.sidecar import Sidecar
from hermes_rescue.core.merge import transcript
from hermes_rescue.core.merge.transcript import Entry

_SNIPPET, _ARGUMENT, _ARGUMENTS = 4000, 120, 6
"""Characters of a tool's result and of an argument that a card shows, and how many arguments: as the WebUI writes them.
"""

_LONG_ARGUMENTS = frozenset(
    ("command", "cmd", "script", "code", "patch", "diff", "old_string", "new_string", "content", "path", "file_path")
)
"""Arguments that are shown as long as a result."""

_PENDING = "transcript"


def cards(copy: Sidecar | None, name: str, entries: Sequence[Entry]) -> list[Any]:
    """The tool cards of a recovered transcript (its ``entries``, in order): those of ``copy``, which is called ``name``
    among their versions, each at its message's new place, and new ones for calls that this copy does not know. The
    message of a card is the one that makes its call: the places in a run's own list can be others.

    A card whose message is gone stays where it points, past the end, as the WebUI leaves it after an undo.
    """
    to = {e.places[name]: k for k, e in enumerate(entries) if name in e.places}
    callers = {call: k for k in to.values() for call in entries[k].merged.calls if len(call) >= LONG_ID}
    listed = copy.get("tool_calls") if copy is not None else None
    result: list[Any] = []
    for card in listed if isinstance(listed, list) else ():
        position = card.get("assistant_msg_idx") if isinstance(card, dict) else None
        if not isinstance(position, int) or position < 0:
            result.append(card)
            continue
        tid, place = str(card.get("tid")), to.get(position)
        if place is None or tid not in entries[place].merged.calls:
            place = callers.get(tid, place)
        if place is not None:
            result.append({**card, "assistant_msg_idx": place})
        elif position >= len(entries):
            result.append(card)
    return result + _new_cards(name, entries)


def _new_cards(name: str, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Cards for the answered calls of messages that a copy does not have."""
    calls: dict[str, tuple[int, Mapping[str, Any]]] = {}
    result = []
    for k, e in enumerate(entries):
        m = e.merged
        if m.role == "user":
            calls = {}  # an id names a call within its turn
        elif m.calls and name not in e.places:
            calls |= {call: (k, each) for call, each in zip(m.calls, m.part("tool_calls"), strict=False)}
        elif m.answers in calls:
            at, call = calls[m.answers]
            function = call.get("function") if isinstance(call, dict) else None
            if isinstance(function, dict) and function.get("name"):
                result.append(
                    {
                        "name": function["name"],
                        "snippet": _snippet(m),
                        "tid": m.answers,
                        "assistant_msg_idx": at,
                        "args": _arguments(function.get("arguments")),
                    }
                )
    return result


def _snippet(m: Message) -> str:
    try:
        value = loads(m.text)
    except NotJSONError:
        value = None
    shown = (
        next((value[key] for key in ("output", "result", "error") if value.get(key)), None)
        if isinstance(value, dict)
        else None
    )
    return str(m.text if shown is None else shown)[:_SNIPPET]


def _arguments(text: Any) -> dict[str, str]:
    try:
        value = loads(text) if isinstance(text, str) else text
    except NotJSONError:
        value = None
    if not isinstance(value, dict):
        return {}
    shown = {}
    for key, each in list(value.items())[:_ARGUMENTS]:
        text, limit = str(each), _SNIPPET if key.lower() in _LONG_ARGUMENTS else _ARGUMENT
        shown[key] = text if len(text) <= limit else f"{text[:limit]}..."
    return shown


def scenes(copy: Sidecar, name: str, entries: Sequence[Entry]) -> dict[str, Any]:
    """The activity scenes of a copy, each at its message's new place."""
    to = {e.places[name]: k for k, e in enumerate(entries) if name in e.places}

    def moved(scene: Any) -> Any:
        position = scene.get("message_index") if isinstance(scene, dict) else None
        return {**scene, "message_index": to[position]} if isinstance(position, int) and position in to else scene

    listed = copy.get("anchor_activity_scenes")
    return {key: moved(scene) for key, scene in listed.items()} if isinstance(listed, dict) else {}


def context(copy: Sidecar | None, name: str, entries: Sequence[Entry]) -> list[Any]:
    """The context of a recovered transcript: that of the copy which has it, and what was said after this copy."""
    listed = copy.get("context_messages") if copy is not None else None
    held = sum(name in e.places for e in entries)
    if copy is None or not isinstance(listed, list) or listed in NOTHING or held < len(copy.messages):
        return []  # also where the newest act cut what this copy still holds
    last = max((k for k, e in enumerate(entries) if name in e.places), default=-1)
    after = [e.merged for e in entries[last + 1 :]]
    if not after:
        return listed
    known: Iterable[Message] = (message(sidecar.message_piece(each)) for each in listed)
    merged = transcript.merge([transcript.entry(name, m, k) for k, m in enumerate(known)], _PENDING, after)
    return [e.merged.value for e in merged]
