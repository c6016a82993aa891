"""Audits of one session of which much was left over: saves that were not finished, prompts that nobody answered."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from audits import first_audit
from figures import Bench, Figure, best
from stores import make_store, session_id

OLD = 1.75e9  # seconds; a save of which a server may still be at work is not read


def leftovers(bench: Bench) -> list[Figure]:
    """5,000 saves of one session, and 2,000 prompts in 8,000 messages, each beside half as many."""
    prompts = "audit, 2,000 unanswered prompts in 8,000 messages"
    return [
        _audit(bench, "leftover_saves", "audit, 5,000 leftover saves of one session", (40, 40), 5000, _add_saves),
        _audit(bench, "unanswered_prompts", prompts, (8000, 4000), 2000, _add_prompts),
    ]


def _audit(
    bench: Bench,
    name: str,
    what: str,
    messages: tuple[int, int],
    number: int,
    add: Callable[[Path, int], None],
) -> Figure:
    homes = [bench.folder / f"{name}-{part}-{bench.scale:g}" for part in ("all", "half")]
    for home, length, of in zip(homes, messages, (number, number // 2), strict=True):
        if not home.exists():
            shape = {"messages": bench.scaled(length), "length": 300, "spread": 0.0}
            make_store(home, sessions=[0], journals=False, **shape)
            add(home / "webui" / "sessions", bench.scaled(of))
    seconds, floor = best(*(partial(first_audit, home) for home in homes))
    return Figure(
        name=name,
        what=what,
        value=seconds / floor,
        target=2.2,
        seconds=seconds,
        floor="half of it",
        floor_seconds=floor,
    )


def _add_saves(sessions: Path, number: int) -> None:
    sid = session_id(0)
    session = json.loads((sessions / f"{sid}.json").read_bytes())
    session |= {"messages": session["messages"][:-4], "message_count": len(session["messages"]) - 4}
    for k in range(number):
        path = sessions / f"{sid}.tmp.{1000 + k}.140303735766451"
        path.write_text(json.dumps(session, indent=2, ensure_ascii=False))
        os.utime(path, (OLD, OLD))


def _add_prompts(sessions: Path, number: int) -> None:
    sent = {"event": "submitted", "role": "user", "version": 1, "session_id": session_id(0)}
    events = (
        {**sent, "turn_id": f"t{k}", "content": f"What of number {k}?", "created_at": OLD + 50 * k}
        for k in range(number)
    )
    journal = sessions / "_turn_journal" / f"{session_id(0)}~8997.jsonl"
    journal.parent.mkdir()
    journal.write_text("".join(json.dumps(event) + "\n" for event in events))
