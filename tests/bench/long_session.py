"""One session of 500 MB whose last messages are only in the database: the memory that it takes, and the way out."""

from __future__ import annotations

from commands import RESCUE, fresh_place
from figures import Bench, Figure
from repairs import as_before
from stores import session_id

MESSAGES = 100_000


def long_session(bench: Bench) -> list[Figure]:
    """Audit, show and repair it; look at it once more when it is whole; and stop each of them on its way."""
    shape = {"messages": bench.scaled(MESSAGES), "length": 4800, "spread": 0.0, "journals": False}
    home = bench.store("long", [0], became=lambda _: "behind", **shape)
    sid = session_id(0)
    size = (home / "webui" / "sessions" / f"{sid}.json").stat().st_size / 2**20
    audit = (*RESCUE, "audit", "--home", home)
    show = (*RESCUE, "show", sid, "--home", home)
    repair = (*RESCUE, "repair", sid, "--yes", "--home", home)

    def needs(what: str, *words: object) -> Figure:
        with fresh_place() as place:
            seconds, megabytes = place.watched(*words)
        return Figure(
            name=f"long_session_{what.replace(' ', '_')}",
            what=f"{what}, a session of {size:.0f} MB",
            value=megabytes / size,
            unit="x file",
            target=2.5,
            seconds=seconds,
            megabytes=megabytes,
        )

    with as_before(home, [0]):
        found = [needs("audit", *audit), needs("show", *show), needs("repair", *repair), needs("second audit", *audit)]
    stops = []
    for figure, words in zip(found, (audit, show, repair), strict=False):
        for part in (0.3, 0.7):
            with as_before(home, [0]), fresh_place() as place:
                seconds = place.seconds_to_stop(part * figure.seconds, *words)
            stops.append((seconds, f"slowest: {figure.what}, after {part:.0%} of its time"))
    stills = []
    for figure, words in zip(found, (audit, show, repair), strict=False):
        with as_before(home, [0]), fresh_place() as place:
            seconds, standstill = place.longest_standstill(*words)
        stills.append((standstill / seconds, standstill, f"slowest: {figure.what}"))
    share, standstill, slowest = max(stills)
    stop = Figure(
        name="long_session_stop",
        what="Ctrl+C in any of these",
        value=max(stops)[0],
        unit="s",
        target=1.0,
        note=max(stops)[1],
    )
    progress = Figure(
        name="long_session_progress",
        what="longest standstill of the progress bar in any of these",
        value=share,
        unit="x its time",
        seconds=standstill,
        note=slowest,
    )
    return [*found, stop, progress]


def million_messages(bench: Bench) -> list[Figure]:
    """One session of a million small messages whose last ones are only in the database."""
    shape = {"messages": bench.scaled(1_000_000), "length": 40, "spread": 0.0, "journals": False}
    home = bench.store("million", [0], became=lambda _: "behind", **shape)
    size = (home / "webui" / "sessions" / f"{session_id(0)}.json").stat().st_size / 2**20
    with fresh_place() as place:
        seconds, megabytes = place.watched(*RESCUE, "audit", "--home", home)
    return [
        Figure(
            name="million_messages",
            what=f"audit, a session of a million messages, {size:.0f} MB",
            value=seconds,
            unit="s",
            target=12.0,
            seconds=seconds,
            megabytes=megabytes,
            memory_target=round(2.5 * size),
        )
    ]
