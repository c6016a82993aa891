"""A figure: what was measured, what it is compared with in the same run, and what it should be at most."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import stores


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of the table. ``name`` is what one asks for, ``what`` says what was measured.

    ``value`` is what ``target`` is about (None: there is none): mostly how many times the floor it took; ``unit`` says
    what else. Seconds are those of the work and of its floor; ``processor`` is what all its processes took of the
    processors, in seconds. ``megabytes`` are of all processes together, at most ``memory_target``; ``sessions`` is how
    many there were, for the picture of growth; ``note`` is what else was seen; ``version`` is the one that was
    measured, if it was not the newest.
    """

    name: str
    what: str
    value: float
    unit: str = "x"
    target: float | None = None
    seconds: float | None = None
    floor: str = ""
    floor_seconds: float | None = None
    processor: float | None = None
    floor_processor: float | None = None
    megabytes: int | None = None
    memory_target: int | None = None
    sessions: int | None = None
    note: str = ""
    version: str = ""

    @property
    def is_reached(self) -> bool:
        """Whether it is within its targets."""
        in_time = self.target is None or self.value <= self.target
        return in_time and (self.memory_target is None or (self.megabytes or 0) <= self.memory_target)


class Spent(NamedTuple):
    """The seconds that a work took, and those of the processors: of the processes that it ran, else of this one."""

    seconds: float
    processor: float


def beside(spent: Spent | float, least: Spent | float, **rest: Any) -> Figure:
    """The figure that says how many times its floor something took."""
    if isinstance(spent, Spent) and isinstance(least, Spent):
        rest |= {"processor": spent.processor, "floor_processor": least.processor}
        spent, least = spent.seconds, least.seconds
    return Figure(value=spent / least, seconds=spent, floor_seconds=least, **rest)


@dataclass(frozen=True, slots=True)
class Bench:
    """Where the stores lie, and how large they are: 1 as the targets say."""

    folder: Path
    scale: float

    def scaled(self, number: int) -> int:
        """A number of sessions or messages."""
        return max(20, round(number * self.scale))

    def store(self, name: str, sessions: Iterable[int], **shape: object) -> Path:
        """A store, made unless it is there from the last time; ``shape`` as :func:`stores.make_store` has it."""
        home = self.folder / f"{name}-{self.scale:g}"
        if not home.exists():
            unfinished = home.with_name(f"{home.name}-unfinished")
            stores.make_store(unfinished, sessions=sessions, **shape)
            unfinished.rename(home)
            os.sync()
        return home


def best(*works: Callable[[], float], turns: int = 3) -> Sequence[Spent]:
    """The least of each work. They take turns, so that a busy moment meets all of them."""
    found = [[_spent(work) for work in works] for _ in range(turns)]
    return [Spent(*map(min, zip(*column, strict=True))) for column in zip(*found, strict=True)]


def _spent(work: Callable[[], float]) -> Spent:
    before, mine = os.times(), time.process_time()
    seconds = work()
    mine, after = time.process_time() - mine, os.times()
    processes = (after.children_user + after.children_system) - (before.children_user + before.children_system)
    return Spent(seconds, processes or mine)


def _line(what: str, columns: Sequence[str]) -> str:
    return f"{what:46}" + "".join(f"{column:>12}" for column in columns)


HEADING = _line("", ("measured", "target", "seconds", "floor", "MB"))


def table(figures: Iterable[Figure]) -> str:
    """The figures for a terminal, below ``HEADING``."""
    lines = []
    for each in figures:
        columns = (
            f"{each.value:.2f} {each.unit}",
            "" if each.target is None else f"{each.target:g}",
            "" if each.seconds is None else f"{each.seconds:.3g}",
            "" if each.floor_seconds is None else f"{each.floor_seconds:.3g}",
            "" if each.megabytes is None else f"{each.megabytes}",
        )
        lines.append(f"{_line(each.what, columns)}  {'' if each.is_reached else 'over'}".rstrip())
        lines += [f"    {line}" for line in (each.floor and f"floor: {each.floor}", each.note) if line]
    return "\n".join(lines)


def load(path: Path) -> list[Figure]:
    """The figures in a file, none where there is no file."""
    return [Figure(**each) for each in json.loads(path.read_text())["figures"]] if path.exists() else []


def save(path: Path, figures: Sequence[Figure]) -> None:
    """Write figures to a file, in place of those of the same names that are there."""
    known = {each.name: each for each in (*load(path), *figures)}
    machine = f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    path.write_text(json.dumps({"machine": machine, "figures": list(map(asdict, known.values()))}, indent=2) + "\n")
