"""Audits of large stores, each beside parsing the same files once in one thread."""

from __future__ import annotations

import math
import os
import sqlite3
import time
from contextlib import closing
from itertools import islice, pairwise
from pathlib import Path

import orjson
from commands import RESCUE, WEBUI, CleanHome, forget_pages, fresh_place, webui_recovery
from figures import Bench, Figure, beside, best
from hermes_rescue.core.hermes.heads import session_headers
from hermes_rescue.core.hermes.store import find_store
from stores import say_more

PARSING = "parsing the session files once with orjson"


def gigabyte(bench: Bench) -> Path:
    """2,000 sessions, 1 GB, a state.db of 180,000 rows; 300 of them are damaged."""
    return bench.store("gigabyte", range(bench.scaled(2000)), messages=90, length=4800)


def small(bench: Bench, sessions: int) -> Path:
    """So many sessions of a dozen short messages."""
    return bench.store(f"small-{sessions}", range(bench.scaled(sessions)), messages=12, length=300)


def parse(home: Path) -> float:
    """Parse every session file once, in one thread; returns seconds."""
    start = time.perf_counter()
    for path in (home / "webui" / "sessions").glob("*.json"):
        try:
            orjson.loads(path.read_bytes())
        except orjson.JSONDecodeError:
            continue
    return time.perf_counter() - start


def first_audit(home: Path) -> float:
    """An audit that nothing is known for from before; returns seconds."""
    with fresh_place() as place:
        return place.run(*RESCUE, "audit", "--home", home)


def audit_memory(home: Path) -> int:
    """Megabytes of an audit that nothing is known for from before."""
    with fresh_place() as place:
        return place.watched(*RESCUE, "audit", "--home", home)[1]


def first_rows(bench: Bench) -> list[Figure]:
    """What the heads of the first session files say, before any content is compared."""
    store = find_store(home=gigabyte(bench))

    def heads() -> float:
        start = time.perf_counter()
        list(islice(session_headers(store), 100))
        return time.perf_counter() - start

    def reading() -> float:
        start = time.perf_counter()
        with os.scandir(store.sessions_dir) as entries:
            paths = [entry.path for entry in entries if entry.name.endswith(".json")]
        for path in paths[:100]:
            file = os.open(path, os.O_RDONLY)
            os.read(file, 64 * 1024)
            os.close(file)
        return time.perf_counter() - start

    ours, least = best(heads, reading, turns=50)
    return [
        beside(
            ours.seconds,
            least.seconds,
            name="first_rows",
            what="the first 100 of 2,000 rows, from their heads",
            target=3.0,
            floor="scandir, and reading the first 64 KB of 100 files",
        )
    ]


def audit_of_a_gigabyte(bench: Bench) -> list[Figure]:
    """The first audit, its processor time, the same with nothing of the store in memory, and one where all texts are
    ASCII, which is parsed much faster, but also read much faster.
    """
    home = gigabyte(bench)
    ascii_only = bench.store("ascii", range(bench.scaled(1000)), messages=90, length=5100, ascii_only=True)
    audit = _audit("audit_of_a_gigabyte", "audit, 2,000 sessions, 1 GB", home, 1.7)
    return [
        audit,
        Figure(
            name="audit_processor",
            what="processor time of the same",
            value=audit.processor / audit.floor_processor,
            target=3.0,
            seconds=audit.processor,
            floor=PARSING,
            floor_seconds=audit.floor_processor,
        ),
        _cold(home),
        _audit("audit_of_ascii", "audit, 1,000 sessions, 0.5 GB of ASCII", ascii_only, None),
    ]


def _audit(name: str, what: str, home: Path, target: float | None) -> Figure:
    megabytes = audit_memory(home)
    ours, least = best(lambda: first_audit(home), lambda: parse(home))
    return beside(
        ours,
        least,
        name=name,
        what=what,
        target=target,
        floor=PARSING,
        megabytes=megabytes,
        memory_target=400,
    )


def _cold(home: Path) -> Figure:
    def cold() -> float:
        forget_pages(home)
        return first_audit(home)

    ours, least = best(cold, lambda: first_audit(home))
    return beside(
        ours,
        least,
        name="audit_cold",
        what="the same, nothing of it in memory",
        target=1.3,
        floor="the same with all of it in memory",
    )


def audits_beside_the_webui(bench: Bench) -> list[Figure]:
    """The first audit of large and of many small sessions, beside the WebUI's own; nothing where there is none."""
    if WEBUI is None:
        return []
    return [
        _beside_the_webui("audit_webui", "audit, 2,000 sessions, 1 GB, beside the WebUI's", gigabyte(bench), 0.7),
        _beside_the_webui(
            "audit_webui_small", "audit, 10,000 small sessions, beside the WebUI's", small(bench, 10_000), 1.0
        ),
    ]


def _beside_the_webui(name: str, what: str, home: Path, target: float) -> Figure:
    def theirs() -> float:
        with fresh_place() as place:
            return place.run(*webui_recovery("--audit", home))

    ours, least = best(lambda: first_audit(home), theirs)
    return beside(ours, least, name=name, what=what, target=target, floor="the WebUI's own audit")


def search_of_a_gigabyte(bench: Bench) -> list[Figure]:
    """A word that nobody has said, and one that every session has, beside the first audit of the store."""
    home = gigabyte(bench)
    return [
        _search("search", "find a word that is not there, 1 GB", home, "zebra"),
        _search("search_common", "find a word in half of all messages, 1 GB", home, "journal"),
    ]


def _search(name: str, what: str, home: Path, word: str) -> Figure:
    command = (*RESCUE, "find", word, "--json", "--home", home)
    with fresh_place() as place:
        megabytes = place.watched(*command)[1]
        ours, least = best(lambda: place.run(*command), lambda: first_audit(home))
    return beside(
        ours,
        least,
        name=name,
        what=what,
        target=1.0,
        floor="the first audit",
        megabytes=megabytes,
        memory_target=400,
    )


def audit_of_journals(bench: Bench) -> list[Figure]:
    """The first audit of a store, beside that of the same without journals."""
    shape = {"messages": 90, "length": 1500}
    with_journals, without = (
        bench.store(name, range(bench.scaled(400)), journals=name == "journals", **shape)
        for name in ("journals", "no-journals")
    )
    ours, least = best(lambda: first_audit(with_journals), lambda: first_audit(without), turns=5)
    return [
        beside(
            ours,
            least,
            name="audit_of_journals",
            what="audit, 400 sessions with journals",
            target=1.3,
            floor="the same without journals",
        )
    ]


def audit_again(bench: Bench) -> list[Figure]:
    """The audits that come after a first one: nothing has changed, and one session has."""
    home = gigabyte(bench)

    def turn(place: CleanHome) -> tuple[float, float, float]:
        first, again = (place.run(*RESCUE, "audit", "--home", home) for _ in range(2))
        say_more(home, 0)
        return first, again, place.run(*RESCUE, "audit", "--home", home)

    turns = []
    for _ in range(3):
        with fresh_place() as place:
            turns.append(turn(place))
            memory = place.watched(*RESCUE, "audit", "--home", home)[1]
    first, again, after = map(min, zip(*turns, strict=True))
    found = {"floor": "the first audit", "floor_seconds": first, "unit": "s"}
    return [
        Figure(
            name="audit_again",
            what="audit again, nothing has changed",
            value=again,
            target=0.55,
            seconds=again,
            megabytes=memory,
            **found,
        ),
        Figure(
            name="audit_after_a_change",
            what="audit again, one session has changed",
            value=after,
            target=again + 0.15,
            seconds=after,
            **found,
        ),
    ]


def growth(bench: Bench) -> list[Figure]:
    """Audits of ever more small sessions, and how steep the time grows at its steepest."""
    found = []
    for sessions, turns in ((1_000, 5), (10_000, 3), (100_000, 1)):
        home = small(bench, sessions)
        megabytes = audit_memory(home)
        ours, least = best(lambda home=home: first_audit(home), lambda home=home: parse(home), turns=turns)
        found.append(
            beside(
                ours,
                least,
                name=f"audit_of_{sessions}",
                what=f"audit, {sessions:,} small sessions",
                floor=PARSING,
                megabytes=megabytes,
                memory_target=250 if sessions == 100_000 else None,
                sessions=bench.scaled(sessions),
            )
        )
    steps = [
        math.log(more.seconds / less.seconds) / math.log(more.sessions / less.sessions)
        for less, more in pairwise(found)
    ]
    memory = ", ".join(f"{each.megabytes} MB" for each in found)
    slope = Figure(
        name="growth",
        what="growth from 1,000 to 100,000 small sessions",
        value=max(steps),
        unit="slope",
        target=1.1,
        note=f"slopes {', '.join(f'{step:.2f}' for step in steps)}; memory {memory}",
    )
    return [*found, slope]


def audit_of_many_rows(bench: Bench) -> list[Figure]:
    """A database of 2 million rows, nearly all of which other fronts wrote, beside a few small sessions."""
    rows = bench.scaled(2_000_000)
    home = bench.store("rows", range(bench.scaled(2000)), messages=12, length=300, foreign_rows=rows)

    def least() -> float:
        start = time.perf_counter()
        with closing(sqlite3.connect(f"file:{home / 'state.db'}?mode=ro&immutable=1", uri=True)) as database:
            database.execute("SELECT session_id, count(*) FROM messages GROUP BY session_id").fetchall()
        return time.perf_counter() - start + parse(home)

    megabytes = audit_memory(home)
    ours, least = best(lambda: first_audit(home), least)
    return [
        beside(
            ours,
            least,
            name="audit_of_many_rows",
            what="audit, state.db of 2 million rows",
            floor=f"counting the rows of each session by the index, and {PARSING}",
            megabytes=megabytes,
        )
    ]
