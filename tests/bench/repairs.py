"""Repairs of large stores. What a repair changes is put back from copies, so that every turn meets the same."""

from __future__ import annotations

import filecmp
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from audits import gigabyte, small
from commands import RESCUE, WEBUI, fresh_place, webui_recovery
from figures import Bench, Figure, beside, best
from hermes_rescue.core.api import apply, find_store, plan
from hermes_rescue.core.audit.cache import FRESH
from stores import KINDS, mishap, session_id


@contextmanager
def as_before(home: Path, sessions: Iterable[int]) -> Iterator[Path]:
    """The sessions folder of a store in which these sessions may be repaired; afterwards everything is as it was."""
    folder = home / "webui" / "sessions"
    names = {session_id(session) for session in sessions} | {"_index"}

    def touched() -> list[Path]:
        return [path for path in folder.iterdir() if path.name.partition(".")[0] in names]

    with tempfile.TemporaryDirectory(prefix="aside-", dir=home.parent) as aside:
        for path in touched():
            shutil.copy2(path, aside)
        os.sync()
        try:
            yield folder
        finally:
            for path in touched():
                kept = Path(aside, path.name)
                if not (kept.exists() and filecmp.cmp(path, kept)):
                    path.unlink()
            for kept in Path(aside).iterdir():
                if not (folder / kept.name).exists():  # what lay there for long still does
                    shutil.copy2(kept, folder)
            shutil.rmtree(home / "webui" / "rescue", ignore_errors=True)
            os.sync()
            time.sleep(FRESH)  # what was just changed may change again, so a plan keeps nothing of it


def damaged(bench: Bench, sessions: int) -> list[int]:
    """The sessions that something is wrong with, of so many."""
    return [session for session in range(bench.scaled(sessions)) if mishap(session) in KINDS]


def copy_twice(texts: Sequence[bytes], folder: Path) -> float:
    """Write each text to two files and bring both to the disk; returns seconds."""
    with tempfile.TemporaryDirectory(prefix="copies-", dir=folder) as copies:
        start = time.perf_counter()
        for number, text in enumerate(texts):
            for copy in range(2):
                with Path(copies, f"{number}.{copy}").open("wb") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
        return time.perf_counter() - start


def repair_of_a_gigabyte(bench: Bench) -> list[Figure]:
    """Carrying out the plan for 300 damaged sessions: what it keeps, writes, reads back and puts into the list."""
    home, sessions = gigabyte(bench), damaged(bench, 2000)
    with as_before(home, sessions) as folder, fresh_place() as place:
        _, megabytes = place.watched(*_repair(home))
        texts = [(folder / f"{session_id(session)}.json").read_bytes() for session in sessions]

    def carry_out() -> float:
        with as_before(home, sessions):
            found = plan(find_store(home=home))
            start = time.perf_counter()
            apply(found)
            return time.perf_counter() - start

    ours, least = best(carry_out, lambda: copy_twice(texts, bench.folder))
    return [
        beside(
            ours.seconds,
            least.seconds,
            name="repair_of_a_gigabyte",
            what=f"carrying out the plan for {len(sessions)} of 2,000 sessions, 1 GB",
            target=2.5,
            floor=f"writing the {sum(map(len, texts)) / 1e6:.0f} MB of these files twice, with fsync",
            megabytes=megabytes,
            note="memory: that of the whole command",
        )
    ]


def repairs_beside_the_webui(bench: Bench) -> list[Figure]:
    """``repair --all`` of large and of many small sessions, beside the WebUI's own; nothing where there is none."""
    if WEBUI is None:
        return []
    return [
        _beside_the_webui(
            "repair_webui",
            "repair --all, 300 of 2,000 sessions, 1 GB, beside the WebUI's",
            gigabyte(bench),
            damaged(bench, 2000),
            0.4,
        ),
        _beside_the_webui(
            "repair_webui_small",
            "repair --all, 1,500 of 10,000 small sessions, beside the WebUI's",
            small(bench, 10_000),
            damaged(bench, 10_000),
            0.7,
        ),
    ]


def _repair(home: Path) -> tuple[object, ...]:
    return (*RESCUE, "repair", "--all", "--yes", "--home", home)


def _beside_the_webui(name: str, what: str, home: Path, sessions: Sequence[int], target: float) -> Figure:
    def run(*words: object) -> float:
        with as_before(home, sessions), fresh_place() as place:
            return place.run(*words)

    ours, least = best(lambda: run(*_repair(home)), lambda: run(*webui_recovery("--repair-safe", home)))
    return beside(ours, least, name=name, what=what, target=target, floor="the WebUI's own repair")


def repair_of_ten(bench: Bench) -> list[Figure]:
    """Ten damaged sessions in a large store, and the same ten alone; neither store has a session list to write anew."""
    ten = damaged(bench, 10_000)[:10]
    large = small(bench, 10_000)
    alone = bench.store("ten", ten, messages=12, length=300)
    ids = list(map(session_id, ten))

    def repair(home: Path) -> tuple[float, int]:
        with as_before(home, ten) as folder, fresh_place() as place:
            (folder / "_index.json").unlink()
            return place.watched(*RESCUE, "repair", *ids, "--yes", "--home", home)

    ours, least = best(lambda: repair(large)[0], lambda: repair(alone)[0], turns=5)
    return [
        beside(
            ours,
            least,
            name="repair_of_ten",
            what="repair of 10 sessions among 10,000",
            target=1.5,
            floor="repair of the same 10 alone",
            megabytes=repair(large)[1],
            note="without a session list, which is read and written as a whole",
        )
    ]
