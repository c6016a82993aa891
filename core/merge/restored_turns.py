"""Puts the turns of killed runs into a merged transcript (recovery.md, section 4).

What is left of such a turn lies in three places: the file has its prompt, or it is still pending there; the database
has rows of it; the run journal every word that the user saw. :mod:`core.hermes.runs.killed_runs` makes one turn of
them; here it finds its place.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple

from hermes_rescue.core.hermes import sidecar
from hermes_rescue.core.hermes.message import message
from hermes_rescue.core.hermes.runs.killed_runs import DeadRun, Recovered, is_prompt, recover
from hermes_rescue.core.merge.intent import Reason
from hermes_rescue.core.merge.transcript import LIVE, Entry


class KilledRun(NamedTuple):
    """A run that did not come to an end, with the events of its journal. ``is_active``: the file still waits for it."""

    run: DeadRun
    events: tuple[Mapping[str, Any], ...]
    is_active: bool


class RestoredCard(NamedTuple):
    """A tool card of a restored turn, and the message that it belongs to."""

    card: dict[str, Any]
    entry: Entry


def restore(
    entries: list[Entry],
    reasons: MutableMapping[int, Reason],
    runs: Sequence[KilledRun],
    cards: Sequence[Any],
    names: tuple[str, str],
) -> list[RestoredCard]:
    """Put what is left of killed runs into a transcript. ``reasons``: why entries, by identity, are left out; a prompt
    that nothing answered is added to them as a question, unless the file waits for it. ``cards`` are the session's tool
    cards, ``names`` what a prompt and an answer that no other copy has are called as copies.
    """
    found: list[RestoredCard] = []
    for killed in runs:
        at = _place_of(killed.run, entries)
        if at is None:
            if killed.run.prompt is None:
                continue
            start = end = _place_by_time(killed.run, entries, is_last=killed.is_active)
        else:
            if id(entries[at]) in reasons:
                continue  # the user took the prompt back
            start, end = at, _end_of_turn(entries, at)
        there = [e for e in entries[start:end] if id(e) not in reasons]
        recovered = recover(killed.run, killed.events, [e.merged.value for e in there], cards)
        turn = _entries(recovered, there, names)
        if at is None and len(turn) == 1 and not killed.is_active:
            reasons[id(turn[0])] = Reason.UNANSWERED
        left_out = [e for e in entries[start:end] if id(e) in reasons]
        entries[start:end] = [*turn, *left_out]
        found += (RestoredCard(card, turn[card["assistant_msg_idx"]]) for card in recovered.cards if recovered.messages)
    return found


def _place_of(run: DeadRun, entries: Sequence[Entry]) -> int | None:
    places = (k for k in reversed(range(len(entries))) if is_prompt(run, entries[k].merged.value))
    return next(places, None)


def _place_by_time(run: DeadRun, entries: Sequence[Entry], *, is_last: bool) -> int:
    """Before the first turn that began after the run. ``is_last``: the file waits for it, so what that has is older,
    whatever the clock said.
    """
    behind = max((k + 1 for k, e in enumerate(entries) if is_last and LIVE in e.versions), default=0)
    if run.started_at is None:
        return len(entries)
    later = (
        k
        for k, e in enumerate(entries[behind:], behind)
        if e.merged.role == "user" and e.merged.time is not None and e.merged.time > run.started_at
    )
    return next(later, len(entries))


def _end_of_turn(entries: Sequence[Entry], start: int) -> int:
    following = (k for k in range(start + 1, len(entries)) if entries[k].merged.role == "user")
    return next(following, len(entries))


def _entries(recovered: Recovered, there: Sequence[Entry], names: tuple[str, str]) -> list[Entry]:
    turn = []
    prompt, answer = names
    for restored, at in recovered.messages:
        if at is None:
            made = message(sidecar.message_piece(restored))
            turn.append(Entry({prompt if made.role == "user" else answer: made}, made, {}, {}))
            continue
        e = there[at]
        before = e.merged.value
        if restored != before:
            e.merged = message(sidecar.message_piece(restored, e.merged.piece))
            changed = (key for key in {*before, *restored} if before.get(key) != restored.get(key))
            e.enriched = {**e.enriched, **dict.fromkeys(changed, answer)}
        turn.append(e)
    return turn
