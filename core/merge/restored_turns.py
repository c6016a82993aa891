"""Puts the turns of killed runs into a merged transcript (recovery.md, section 4).

What is left of such a turn lies in three places: the file has its prompt, or it is still pending there; the database
has rows of it; the run journal every word that the user saw. :mod:`core.hermes.runs.killed_runs` makes one turn of
them; here it finds its place.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping, MutableMapping, Sequence
from itertools import accumulate
from math import inf
from operator import is_
from typing import Any, NamedTuple

from hermes_rescue.core.hermes import sidecar
from hermes_rescue.core.hermes.copies import LIVE, RUN, FileCopies
from hermes_rescue.core.hermes.message import message
from hermes_rescue.core.hermes.runs.killed_runs import (
    DeadRun,
    Recovered,
    asked,
    dead_runs,
    may_have_sent,
    pending_prompt,
    prompt_message,
    recover,
)
from hermes_rescue.core.hermes.sidecar import IDLE_STREAM, Sidecar
from hermes_rescue.core.merge.evidence import FileState, state_of
from hermes_rescue.core.merge.intent import Reason
from hermes_rescue.core.merge.sidecar_copies import session_of
from hermes_rescue.core.merge.transcript import Entry, entry

PENDING = "pending prompt"
"""What a prompt that no other copy has is called as a copy."""


class KilledRun(NamedTuple):
    """A run that did not come to an end, with the events of its journal. ``is_active``: the file still waits for it."""

    run: DeadRun
    events: tuple[Mapping[str, Any], ...]
    is_active: bool


class RestoredCard(NamedTuple):
    """A tool card of a restored turn, and the message that it belongs to."""

    card: dict[str, Any]
    entry: Entry


def stream_of(copies: FileCopies, live: Sidecar | None) -> dict[str, Any]:
    """The stream fields of a session: those of its file; of one that is lost, what the session list has of them."""
    found = {} if live is None else {name: live.get(name) for name in IDLE_STREAM}
    row = copies.index_row or {}
    is_known = state_of(live) is not FileState.LOST or found.get("pending_started_at") is not None
    if is_known or row.get("has_pending_user_message") is not True:
        return found
    return found | {
        "active_stream_id": row.get("active_stream_id"),
        "pending_user_message": row.get("pending_user_message"),
        "pending_started_at": row.get("last_message_at") or None,
    }


def killed(copies: FileCopies, live: Sidecar | None, *, stream_is_live: bool) -> list[KilledRun]:
    """The runs that were killed, the oldest first."""
    head = stream_of(copies, live)
    active = head.get("active_stream_id")
    found = [
        KilledRun(run, tuple(copies.killed.get(run.stream_id, ())), run.stream_id == active)
        for run in dead_runs(head, copies.turns, copies.journal)
    ]
    found += (
        KilledRun(
            DeadRun("", prompt_message(turn.content, turn.attachments, turn.created_at), turn.created_at), (), False
        )
        for turn in copies.turns
        if not turn.ended and not turn.stream_id and turn.text
    )
    prompt = None if active else pending_prompt(head)
    if prompt is not None:
        found.append(KilledRun(DeadRun("", prompt, prompt.get("timestamp")), (), is_active=True))
    return [each for each in found if not (stream_is_live and each.is_active)]


def cards_of(live: Sidecar | None) -> Sequence[Any]:
    """The tool cards of a session."""
    value = live.get("tool_calls") if live is not None else None
    return value if isinstance(value, list) else []


def has_all_of_killed(files: FileCopies) -> bool:
    """Whether the live file, which no other copy has anything to add to, has the turns of all killed runs as well."""
    live = session_of(files.live)
    if live is None or not (runs := killed(files, live, stream_is_live=False)):
        return live is not None
    said = [message(piece) for piece in live.messages]
    entries = [entry(LIVE, m, k) for k, m in enumerate(said)]
    reasons: dict[int, Reason] = {}
    restore(entries, reasons, runs, cards_of(live))  # a card alone is no reason to write
    return not reasons and len(entries) == len(said) and all(map(is_, (e.merged for e in entries), said))


def restore(
    entries: list[Entry], reasons: MutableMapping[int, Reason], runs: Sequence[KilledRun], cards: Sequence[Any]
) -> list[RestoredCard]:
    """Put what is left of killed runs into a transcript. ``reasons``: why entries, by identity, are left out; a prompt
    that nothing answered is added to them as a question, unless the file waits for it. ``cards`` are the session's tool
    cards.
    """
    found: list[RestoredCard] = []
    places = _Places(entries if runs else [])
    for killed in runs:
        at = places.of(killed.run)
        if at is None:
            if killed.run.prompt is None:
                continue
            start = end = places.by_time(killed.run, is_last=killed.is_active)
        else:
            if id(entries[at]) in reasons:
                continue  # the user took the prompt back
            start, end = at, _end_of_turn(entries, at, reasons)
        there = [e for e in entries[start:end] if id(e) not in reasons]
        recovered = recover(killed.run, killed.events, [e.merged.value for e in there], cards)
        turn = _entries(recovered, there)
        if at is None and len(turn) == 1 and not killed.is_active:
            reasons[id(turn[0])] = Reason.UNANSWERED
        left_out = [e for e in entries[start:end] if id(e) in reasons]
        places.put(start, end, [*turn, *left_out])
        found += (RestoredCard(card, turn[card["assistant_msg_idx"]]) for card in recovered.cards if recovered.messages)
    return found


def broken_off(entries: Sequence[Entry], reasons: Collection[int]) -> KilledRun | None:
    """The turn that a transcript ends with, if the file lacks its end and nothing answers a call of it: its run was
    killed, although no journal tells so.
    """
    kept = [e for e in entries if id(e) not in reasons]
    prompt = next((k for k in range(len(kept) - 1, -1, -1) if _is_prompt(kept[k])), None)
    if prompt is None or LIVE in kept[-1].versions:
        return None
    turn = [e.merged for e in kept[prompt:]]
    if {call for m in turn for call in m.calls} <= {m.answers for m in turn}:
        return None
    return KilledRun(DeadRun("", turn[0].value, turn[0].time), (), is_active=False)


class _Places:
    """Where the prompts stand in a transcript that grows. However many runs there are, each message is read once."""

    def __init__(self, entries: list[Entry]) -> None:
        self._entries = entries
        self._ids: list[int] = []
        self._latest: list[float] = []  # up to each message, when the latest prompt was sent
        self._asked: dict[tuple[str, ...], list[Entry]] = {}  # the prompts of the same words, in their order
        self._note(0, entries)
        for e in filter(_is_prompt, entries):
            self._asked.setdefault(asked(e.merged.value), []).append(e)

    def of(self, run: DeadRun) -> int | None:
        """The place of the prompt of a run. Where an earlier one said the same, the last one that can be it is."""
        same = () if run.prompt is None else self._asked.get(asked(run.prompt), ())
        found = next((e for e in reversed(same) if may_have_sent(run, e.merged.time)), None)
        return None if found is None else self._place(found)

    def by_time(self, run: DeadRun, *, is_last: bool) -> int:
        """Before the first turn that began after the run. ``is_last``: the file waits for it, so what that has is
        older, whatever the clock said, and where it has nothing, all else.
        """
        began, entries = run.started_at, self._entries
        if began is None:
            return len(entries)
        if not is_last:
            return bisect_right(self._latest, began)
        begin = max((k + 1 for k, e in enumerate(entries) if LIVE in e.versions), default=len(entries))
        times = ((k, entries[k].merged.time) for k in range(begin, len(entries)) if _is_prompt(entries[k]))
        return next((k for k, time in times if time is not None and time > began), len(entries))

    def put(self, start: int, end: int, turn: Sequence[Entry]) -> None:
        """Put a turn where it was in part, or at a place."""
        there = self._ids[start:end]
        self._entries[start:end] = turn
        del self._ids[start:end], self._latest[start:end]
        self._note(start, turn)
        for e in filter(_is_prompt, turn):
            if id(e) not in there:
                same = self._asked.setdefault(asked(e.merged.value), [])
                same.insert(bisect_left(same, start, key=self._place), e)

    def _place(self, e: Entry) -> int:
        return self._ids.index(id(e))

    def _note(self, start: int, turn: Sequence[Entry]) -> None:
        latest = self._latest[start - 1] if start else -inf
        sent = (e.merged.time if _is_prompt(e) and e.merged.time is not None else -inf for e in turn)
        found = [*accumulate(sent, max, initial=latest)][1:]
        self._ids[start:start] = map(id, turn)
        self._latest[start:start] = found
        for k in range(start + len(turn), len(self._latest)):
            if self._latest[k] >= found[-1]:
                break
            self._latest[k] = found[-1]


def _is_prompt(e: Entry) -> bool:
    return e.merged.role == "user"


def _end_of_turn(entries: Sequence[Entry], start: int, reasons: Collection[int]) -> int:
    """The next prompt that stays: what is left out can stand before an answer that was restored already."""
    following = (k for k in range(start + 1, len(entries)) if _is_prompt(entries[k]) and id(entries[k]) not in reasons)
    return next(following, len(entries))


def _entries(recovered: Recovered, there: Sequence[Entry]) -> list[Entry]:
    turn = []
    for restored, at in recovered.messages:
        if at is None:
            made = message(sidecar.message_piece(restored))
            turn.append(Entry({PENDING if made.role == "user" else RUN: made}, made, {}, {}))
            continue
        e = there[at]
        before = e.merged.value
        if restored != before:
            e.merged = message(sidecar.message_piece(restored, e.merged.piece))
            changed = (key for key in {*before, *restored} if before.get(key) != restored.get(key))
            e.enriched = {**e.enriched, **dict.fromkeys(changed, RUN)}
        turn.append(e)
    return turn
