"""One session of which much was left over: saves that were not finished, prompts that nobody answered, and what was
undone. Each beside half as much, since all of it must grow in proportion.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from audits import first_audit
from commands import RESCUE, fresh_place
from figures import Bench, Figure, beside, best
from stores import make_store, session_id

OLD = 1.75e9  # seconds; a save of which a server may still be at work is not read
SHRINK = "f3ece896034044d595d19fdba191bbac"


def leftovers(bench: Bench) -> list[Figure]:
    """5,000 saves, 2,000 prompts in 8,000 messages, and 4,000 messages of which an undo kept a hundred."""
    saves = "audit, 5,000 leftover saves of one session"
    prompts = "audit, 2,000 unanswered prompts in 8,000 messages"
    undone = "plan of a repair, 4,000 messages of which an undo kept 100"
    return [
        _twice(bench, "leftover_saves", saves, (40, 40), 5000, _add_saves, first_audit),
        _twice(bench, "unanswered_prompts", prompts, (8000, 4000), 2000, _add_prompts, first_audit),
        _twice(bench, "undone_messages", undone, (4000, 2000), 3900, _undo, _plan),
    ]


def _twice(
    bench: Bench,
    name: str,
    what: str,
    messages: tuple[int, int],
    number: int,
    add: Callable[[Path, int], None],
    work: Callable[[Path], float],
) -> Figure:
    """What ``work`` takes on a session of as many messages, to which ``number`` of something was added, and on half of
    it.
    """
    homes = [bench.folder / f"{name}-{part}-{bench.scale:g}" for part in ("all", "half")]
    for home, length, of in zip(homes, messages, (number, number // 2), strict=True):
        if not home.exists():
            shape = {"messages": bench.scaled(length), "length": 300, "spread": 0.0}
            make_store(home, sessions=[0], journals=False, **shape)
            add(home / "webui" / "sessions", bench.scaled(of))
    ours, least = best(*(partial(work, home) for home in homes))
    return beside(
        ours,
        least,
        name=name,
        what=what,
        target=2.2,
        floor="half of it",
    )


def _plan(home: Path) -> float:
    with fresh_place() as place:
        return place.run(*RESCUE, "repair", session_id(0), "--dry-run", "--home", home)


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


def _undo(sessions: Path, number: int) -> None:
    """The newest messages taken back, with the marks of an undo; the backup and the rows still have them."""
    path = sessions / f"{session_id(0)}.json"
    path.with_name(f"{path.name}.bak").write_bytes(path.read_bytes())
    session = json.loads(path.read_bytes())
    kept = session["messages"][: max(2, len(session["messages"]) - number)]
    at = kept[-1]["timestamp"]
    marks = {"truncation_boundary": at, "truncation_watermark": at, "intentional_shrink_generation": SHRINK}
    session |= {**marks, "updated_at": session["updated_at"] + 60.0, "messages": kept, "message_count": len(kept)}
    path.write_text(json.dumps(session, indent=2, ensure_ascii=False))
