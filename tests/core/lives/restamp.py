"""The same life with other times: those of one copy moved by a rising function, those of rows within their turns."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

from .forms import written
from .left import Left
from .state import SUMMARY

Rising: TypeAlias = Callable[[float], float]
COPIES = ("live", "backup", "rows", "done")


def rising(rng: Random, since: float) -> Rising:
    """A rising function of times from about ``since`` on: stretched or squeezed, shifted, and with a leap in it."""
    stretch, shift = rng.choice((0.7, 1.0, 60.0, 600.0)), rng.choice((0.0, -5000.0, 40.0, 1e6))
    leap_at, leap = since + rng.choice((10.0, 100.0, 10_000.0)), rng.choice((0.0, 3.0, 86_400.0))
    return lambda t: round(since + (t - since) * stretch + shift + (leap if t > leap_at else 0.0), 6)


def restamp(home: Path, session_id: str, copy: str, by: Rising) -> None:
    """Moves the times of the messages in one copy (one of COPIES) of a written home; other copies keep theirs. A file
    that cannot be parsed stays as it is."""
    sessions = home / "webui" / "sessions"
    if copy == "rows":
        with closing(sqlite3.connect(home / "state.db")) as database, database:
            database.create_function("moved", 1, by)
            database.execute("UPDATE messages SET timestamp = moved(timestamp) WHERE session_id = ?", (session_id,))
    elif copy == "done":
        for path in sorted((sessions / "_run_journal" / session_id).glob("*.jsonl")):
            events = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            for event in events:
                _move(event["payload"].get("session", {}), by)
            path.write_text("".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events), "utf-8")
    else:
        path = sessions / (f"{session_id}.json" if copy == "live" else f"{session_id}.json.bak")
        try:
            document = json.loads(path.read_text("utf-8"))  # of bytes it would take what the WebUI cannot load
        except (FileNotFoundError, ValueError):
            return
        _move(document, by)
        path.write_bytes(written(document))


def _move(document: dict[str, Any], by: Rising) -> None:
    for value in document.get("messages", ()):
        if "timestamp" in value:
            value["timestamp"] = by(value["timestamp"])


def redrawn(left: Left, rng: Random) -> Left:
    """Every row with another time between its turn's start and end, in the order of the rows of that turn."""
    said = left.world.said
    turns: dict[int, list[int]] = {}
    for number in dict.fromkeys(row.number for row in left.rows if row.number != SUMMARY):
        turns.setdefault(said[number].turn, []).append(number)
    times: dict[int, float] = {}
    for numbers in turns.values():
        start = said[numbers[0]].start
        end = max(start + 0.05, *(float(said[n].time) for n in numbers))
        drawn = sorted(rng.uniform(start, end) for _ in numbers)
        times |= {n: round(t, 6) for n, t in zip(numbers, drawn, strict=True)}
    rows = (
        row if row.number == SUMMARY or row.time != said[row.number].row_time else replace(row, time=times[row.number])
        for row in left.rows
    )
    return replace(left, rows=tuple(rows))
