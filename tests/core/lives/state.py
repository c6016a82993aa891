"""What the programs have on disk of one session, as values: sidecar, rows, journals, session list."""

from __future__ import annotations

from dataclasses import dataclass

from .said import Said, Value

SUMMARY = -1
"""Stands in a context or among the rows for the summary that a compression wrote."""
START = 1_784_000_000.25


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of intent of a save; ``anchor`` is what a manual compress leaves (formats.md, "Marks of intent"),
    ``anchored`` the numbers of what had words by then."""

    watermark: float | None = None
    boundary: float | None = None
    clear: str | None = None
    shrink: str | None = None
    anchor: float | None = None
    anchored: tuple[int, ...] = ()

    @property
    def none(self) -> bool:
        """Nothing was ever taken back or summarised."""
        return self == Marks()


@dataclass(frozen=True, slots=True)
class Pending:
    """The stream fields of a head whose turn goes on: its prompt and the stream's id."""

    prompt: Said
    stream: str


@dataclass(frozen=True, slots=True)
class State:
    """A sidecar as it was saved: the numbers of its messages and of its context, its cards (id of a call, position)."""

    numbers: tuple[int, ...] = ()
    context: tuple[int, ...] = ()
    cards: tuple[tuple[str, int], ...] = ()
    marks: Marks = Marks()
    title: str = ""
    updated: float = START
    pending: Pending | None = None
    acts: int = 0
    """How often the person had taken something back by then."""
    row_form: frozenset[int] = frozenset()
    """Those that the server took from the database, with the times and the text that they have there."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the database; ``number`` is SUMMARY for a summary."""

    number: int
    time: float
    active: bool = True
    compacted: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """A run's journal: its events, and the state in its ``done`` (None: cancelled or killed)."""

    stream: str
    events: tuple[tuple[float, str, Value], ...]
    done: State | None


@dataclass(frozen=True, slots=True)
class IndexRow:
    """A session's row of ``_index.json``, as far as it tells something."""

    count: int
    users: int
    last: float
    title: str
    updated: float
    pending: Pending | None = None


@dataclass(frozen=True, slots=True)
class Killed:
    """What a run that was killed left: its prompt, the numbers of its rows, the text that was streamed."""

    prompt: Said
    rows: tuple[int, ...]
    text: str
