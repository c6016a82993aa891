"""The turn journal of a session: the prompts that the user sent, and what became of their turns.

Shapes as in formats.md, "In the state dir". Several processes can have written it, each to a file of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from hermes_rescue.core.base.errors import UnreadableError
from hermes_rescue.core.base.json_lines import damage, objects
from hermes_rescue.core.base.jsontext import number
from hermes_rescue.core.hermes.message import visible_text

ENDED = ("completed", "interrupted", "cancelled", "failed", "error")  # no set: what is looked up in it can be anything


@dataclass(frozen=True, slots=True)
class SubmittedTurn:
    """A prompt that the user sent. ``ended``: its turn is known to have come to an end; with the gateway backend the
    turn journal never says so, and the run of ``stream_id`` shows it. ``created_at`` is in seconds; ``is_set_back``: an
    earlier prompt has a later time; ``is_last``: none was sent after it, whatever the times say.
    """

    turn_id: str
    content: Any
    attachments: tuple[Any, ...]
    workspace: str | None
    created_at: float | None
    ended: bool
    stream_id: str | None = None
    is_set_back: bool = False
    is_last: bool = False

    @property
    def text(self) -> str:
        """The prompt as a person sees it."""
        return visible_text(self.content, "user")


@dataclass(frozen=True, slots=True)
class TurnJournal:
    """The prompts of a session in the order of their times. ``streams``: the ids of their runs in the order in which
    they began, whatever the clock said; ``problems``: what could not be read, a sentence each.
    """

    turns: tuple[SubmittedTurn, ...] = ()
    streams: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def sent_in(self, stream_id: str) -> SubmittedTurn | None:
        """The prompt of a run."""
        return next((turn for turn in self.turns if turn.stream_id == stream_id), None)


def read_turn_journal(session_id: str, paths: Sequence[Path]) -> TurnJournal:
    """Read the turn journal of a session. What is damaged is skipped and reported; nothing raises."""
    read: list[list[dict[str, Any]]] = []
    problems = []
    for path in paths:
        try:
            found, damaged = objects(path)
        except FileNotFoundError:
            continue
        except UnreadableError as error:
            problems.append(str(error))
            continue
        read.append(found)
        if damaged:
            problems.append(damage(path, damaged))
    read.sort(
        key=lambda events: next((at for each in events if (at := number(each.get("created_at"))) is not None), 0.0)
    )
    events = [*chain.from_iterable(read)]  # one process after another, each in the order of its lines
    streams = (stream for each in events if (stream := _text(each.get("stream_id"))) is not None)
    return TurnJournal(_submitted(session_id, events), tuple(dict.fromkeys(streams)), tuple(problems))


def _submitted(session_id: str, events: Sequence[dict[str, Any]]) -> tuple[SubmittedTurn, ...]:
    turns: dict[str, dict[str, Any]] = {}
    ended: set[str] = set()
    for event in events:
        turn_id = event.get("turn_id")
        if not isinstance(turn_id, str) or event.get("session_id", session_id) != session_id:
            continue
        if event.get("event") == "submitted" and event.get("role", "user") == "user":
            turns.setdefault(turn_id, event)
        if event.get("terminal") is True or event.get("event") in ENDED:
            ended.add(turn_id)
    found, latest = list[SubmittedTurn](), 0.0
    for turn_id, event in turns.items():
        found.append(_turn(turn_id, event, turn_id in ended, latest))
        latest = max(latest, found[-1].created_at or 0.0)
    if found:
        found[-1] = replace(found[-1], is_last=True)
    return tuple(sorted(found, key=lambda turn: turn.created_at or 0.0))


def _turn(turn_id: str, event: dict[str, Any], ended: bool, latest: float) -> SubmittedTurn:
    attachments, created_at = event.get("attachments"), number(event.get("created_at"))
    return SubmittedTurn(
        turn_id,
        event.get("content"),
        tuple(attachments) if isinstance(attachments, list) else (),
        _text(event.get("workspace")),
        created_at,
        ended,
        _text(event.get("stream_id")),
        created_at is not None and created_at < latest,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def turn_events(path: Path) -> Sequence[Mapping[str, Any]]:
    """The events of a turn journal as they stand there; what cannot be read is reported by
    :func:`read_turn_journal`.
    """
    try:
        return objects(path)[0]
    except (FileNotFoundError, UnreadableError):
        return ()
