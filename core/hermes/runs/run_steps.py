"""What a run said, read from the events of its journal: the messages that the WebUI makes of them when it recovers one.

A message begins with the first words or thoughts, and with those after a call. Calls are tool cards and no part of the
message: of a result the journal has what a card shows of it, and never the result itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from hermes_rescue.core.base.jsontext import number


class Call(NamedTuple):
    """A tool call that a run made: its ``id`` as in the messages ("" where the journal does not say), when it began (in
    seconds), the number of its event, and its tool card, which says no position yet.
    """

    id: str
    name: str
    at: float | None
    seq: Any
    card: dict[str, Any]


class Step(NamedTuple):
    """What a run said up to its next words after a call: one message of the assistant. ``at`` is when it began."""

    text: str
    reasoning: str
    at: float | None
    calls: tuple[Call, ...]


def steps(stream_id: str, events: Iterable[Mapping[str, Any]]) -> tuple[Step, ...]:
    """What a run said, as messages of the assistant: a new one begins with the first words after a call."""
    reader = _Reader(stream_id)
    for event in events:
        reader.read(event)
    return tuple(reader.steps())


class _Draft:
    """A step that is still being read."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.at: float | None = None
        self.calls: list[Call] = []
        self.is_complete = False


class _Reader:
    def __init__(self, stream_id: str) -> None:
        self._stream_id = stream_id
        self._drafts: list[_Draft] = []
        self._calls: dict[str, Call] = {}  # by id
        self._undone: list[Call] = []  # those without an id that have not come to an end

    def steps(self) -> Iterator[Step]:
        for draft in self._drafts:
            text, reasoning = "".join(draft.text).strip(), "".join(draft.reasoning).strip()
            if text or reasoning or draft.calls:
                yield Step(text, reasoning, draft.at, tuple(draft.calls))

    def read(self, event: Mapping[str, Any]) -> None:
        payload = event.get("payload")
        if not isinstance(payload, dict):
            return
        name = event.get("event")
        when = number(event.get("created_at"))
        if name == "token":
            self._add_text(_text(payload, "text"), when)
        elif name == "reasoning":
            self._think(_text(payload, "text", "reasoning", "thinking"), when)
        elif name == "interim_assistant":
            self._interim(payload, when)
        elif name == "tool":
            self._call(payload, event.get("seq"), when)
        elif name == "tool_complete":
            self._complete(payload, event.get("seq"), when)

    def _add_text(self, text: str, when: float | None) -> None:
        if text:
            self._open(when).text.append(text)

    def _think(self, text: str, when: float | None) -> None:
        if text:
            self._open(when).reasoning.append(text)

    def _interim(self, payload: Mapping[str, Any], when: float | None) -> None:
        """Words before a call, said once more as a whole; or only now."""
        text = _text(payload, "text").strip()
        if text and not payload.get("already_streamed"):
            draft = self._open(when)
            if draft.text and not draft.text[-1].endswith(("\n", " ")):
                text = f"\n\n{text}"
            draft.text.append(text)
        if self._drafts:
            self._drafts[-1].is_complete = True

    def _call(self, payload: Mapping[str, Any], seq: Any, when: float | None) -> Call:
        call_id = _text(payload, "tid")
        if call_id in self._calls:
            return self._calls[call_id]
        draft = self._drafts[-1] if self._drafts else self._open(when)
        draft.is_complete = True
        name, preview, args = _text(payload, "name") or "tool", _text(payload, "preview"), payload.get("args")
        card = {
            "name": name,
            "preview": preview,
            "snippet": preview,
            "tid": call_id or f"journal-{seq}",
            "args": args if isinstance(args, dict) else {},
            "done": False,
            **marked(self._stream_id),
        }
        call = Call(call_id, name, when, seq, card)
        draft.calls.append(call)
        if call_id:
            self._calls[call_id] = call
        else:
            self._undone.append(call)
        return call

    def _complete(self, payload: Mapping[str, Any], seq: Any, when: float | None) -> None:
        call_id, name = _text(payload, "tid"), _text(payload, "name")
        if call_id:
            found = self._calls.get(call_id)
        else:
            at = next((k for k in reversed(range(len(self._undone))) if name in ("", self._undone[k].name)), None)
            found = None if at is None else self._undone.pop(at)
        if found is None:  # the line of its beginning is damaged
            found = self._call(payload, seq, when)
            self._undone = [call for call in self._undone if call is not found]
        preview = _text(payload, "preview")
        found.card.update({"done": True, "is_error": payload.get("is_error") is True})
        if preview:
            found.card.update({"preview": preview, "snippet": preview})
        if number(payload.get("duration")) is not None:
            found.card["duration"] = payload["duration"]

    def _open(self, when: float | None) -> _Draft:
        """The step that the next words belong to."""
        if not self._drafts or self._drafts[-1].is_complete:
            self._drafts.append(_Draft())
        draft = self._drafts[-1]
        draft.at = when if draft.at is None else draft.at
        return draft


def marked(stream_id: str) -> dict[str, Any]:
    """What the WebUI writes on whatever it takes from a run journal."""
    return {"_recovered_from_run_journal": True, "_recovered_stream_id": stream_id}


def _text(payload: Mapping[str, Any], *names: str) -> str:
    return next((value for name in names if isinstance(value := payload.get(name), str) and value), "")
