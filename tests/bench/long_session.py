"""One session of 500 MB whose last messages are only in the database: the memory that it takes, and the way out."""

from __future__ import annotations

from commands import RESCUE, fresh_place
from figures import Bench, Figure
from repairs import as_before
from stores import session_id

MESSAGES = 100_000
PATIENCE = 1.0
"""Seconds after Ctrl+C."""


def long_session(bench: Bench) -> list[Figure]:
    """Audit, show and repair it; look at it once more when it is whole; and stop each of them on its way."""
    home = bench.store("long", [0], messages=bench.scaled(MESSAGES), length=4800, spread=0.0, became=lambda _: "behind")
    sid = session_id(0)
    size = (home / "webui" / "sessions" / f"{sid}.json").stat().st_size / 2**20
    commands = {
        "audit": ("audit",),
        "show": ("show", sid),
        "repair": ("repair", sid, "--yes"),
        "audit of the whole one": ("audit",),
    }
    found: list[Figure] = []
    slowest = (0.0, "")
    with as_before(home, [0]):
        for what, words in commands.items():
            with fresh_place() as place:
                seconds, megabytes = place.watched(*RESCUE, *words, "--home", home)
            found.append(
                Figure(
                    name=f"long_session_{what.replace(' ', '_')}",
                    what=f"{what}, a session of {size:.0f} MB",
                    value=megabytes / size,
                    unit="x file",
                    target=2.5,
                    seconds=seconds,
                    megabytes=megabytes,
                )
            )
    for figure, words in zip(found, commands.values(), strict=True):
        for part in (0.2, 0.5, 0.8):
            with as_before(home, [0]), fresh_place() as place:
                stopped = place.seconds_to_stop(part * figure.seconds, *RESCUE, *words, "--home", home)
                slowest = max(slowest, (stopped, f"{figure.what}, after {part:.0%} of its time"))
    with fresh_place() as place:
        standstill = place.longest_standstill(*RESCUE, "audit", "--home", home)
    return [
        *found,
        Figure(
            name="long_session_stop",
            what="Ctrl+C in any of these",
            value=slowest[0],
            unit="s",
            target=PATIENCE,
            note=f"slowest: {slowest[1]}",
        ),
        Figure(
            name="long_session_progress",
            what="longest standstill of its progress bar",
            value=standstill / found[0].seconds,
            unit="x audit",
            seconds=standstill,
        ),
    ]
