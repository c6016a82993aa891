"""Measures the window on large stores: how long its event loop stands still at worst, and what it needs of memory.

    python tests/bench/window.py [NAME]... [--json FILE] [--keep FOLDER] [--turns 3]

A timer beats every 5 ms while the window is used, offscreen; the longest time between two beats is the gap of a phase.
It is told twice, by the clock and by what the window's own thread worked in it: on a shared machine the second one is
what the window can be blamed for. Each store is opened in a process of its own, some times, and the best time counts.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))

from figures import Figure, save

BEAT = 5  # milliseconds
PATIENCE = 600.0  # seconds

Value = dict[str, Any]

FEW = ("wiped", "", "shrunken", "")
"""What became of the sessions where there are so few."""

STORES: dict[str, dict[str, Any]] = {
    "10,000 sessions": {"sessions": range(10_000), "messages": 4, "length": 200},
    "100,000 sessions": {"sessions": range(100_000), "messages": 4, "length": 200},
    "100,000 messages": {
        "sessions": range(4),
        "messages": 100_000,
        "length": 200,
        "spread": 0.0,
        "became": FEW.__getitem__,
        "journals": False,
    },
    "a message of 2 MB": {
        "sessions": range(4),
        "messages": 8,
        "length": 800_000,
        "spread": 0.0,
        "became": FEW.__getitem__,
        "journals": False,
    },
}


def use(home: Path, scratch: Path) -> Value:
    """Open a store in the window, use it, and tell what was measured."""
    # Worker processes load this file once more: they shall not load Qt.
    from hermes_rescue.gui.background.store_location import StoreLocation
    from hermes_rescue.gui.review.review_pane import CHANGES
    from hermes_rescue.gui.shell.app import let_the_window_go_first
    from hermes_rescue.gui.shell.main_window import MainWindow
    from hermes_rescue.gui.view_model.session_rows import Column
    from PySide6.QtCore import QEventLoop, QSettings, Qt, QTimer
    from PySide6.QtWidgets import QApplication
    from stores import session_id

    let_the_window_go_first()
    app = QApplication([])
    phase = "opening"
    gaps = {phase: (0.0, 0.0)}
    last = (time.perf_counter(), time.thread_time())

    def beat() -> None:
        nonlocal last
        now = (time.perf_counter(), time.thread_time())
        known = gaps.get(phase, (0.0, 0.0))
        gaps[phase] = (max(known[0], now[0] - last[0]), max(known[1], now[1] - last[1]))
        last = now

    timer = QTimer(timerType=Qt.TimerType.PreciseTimer, interval=BEAT)
    timer.timeout.connect(beat)
    loop = QEventLoop()

    def live(seconds: float) -> None:
        QTimer.singleShot(round(seconds * 1000), loop.quit)
        loop.exec()

    def live_until(holds: Callable[[], bool]) -> float:
        start = time.perf_counter()
        while not holds():
            if time.perf_counter() - start > PATIENCE:
                raise TimeoutError(phase)
            live(0.01)
        return time.perf_counter() - start

    window = MainWindow(StoreLocation(home), QSettings(str(scratch / "settings.ini"), QSettings.Format.IniFormat))
    window.resize(1280, 800)
    window.show()
    app.processEvents()
    table, difference, conversation = window.table, window.review.difference, window.review.conversation
    timer.start()
    last = (time.perf_counter(), time.thread_time())
    first_rows = live_until(lambda: table.sessions.visible_count > 0)
    phase = "scanning"
    scan = live_until(window.actions_["export"].isEnabled)
    phase = "after it"
    live(1)
    memory = {"scanned": resident()}

    def sort() -> Iterator[float]:
        for column in (1, 2, 4, 8, 10, 0):
            for order in Qt.SortOrder:
                table.sort(Column(column), order)
                yield 0.2

    def filter_words() -> Iterator[float]:
        for text in ("7", "77", "777", "session", "lost", "nothing like it", ""):
            window.tools.filter.setText(text)
            yield 0.2

    def search_messages() -> Iterator[float]:
        window.tools.filter.setText("the")
        for _ in range(100):  # the hits come
            yield 0.05
        window.tools.filter.setText("")
        yield 0.5

    def scroll() -> Iterator[float]:
        bar = table.view.verticalScrollBar()
        for step in range(41):
            bar.setValue(bar.maximum() * step // 40)
            yield 0.03

    def walk() -> Iterator[float]:
        for row in range(0, min(table.sessions.visible_count, 200), 10):
            table.select(table.sessions.id_at(row))
            yield 0.05
        yield 0.5

    def read_conversations() -> Iterator[float]:
        for opened in map(session_id, range(3)):
            table.select(opened)
            live_until(lambda wanted=opened: window.review.session_id == wanted)
            yield 0.5
            for at in range(len(conversation.rows.entries[:3]) - 1, -1, -1):
                conversation.rows.expand(at, True)
                yield 0.2
            bar = conversation.list.verticalScrollBar()
            for step in range(41):
                bar.setValue(bar.maximum() * step // 40)
                yield 0.03
            conversation.find_words("the")
            live_until(lambda: not conversation.finder.is_busy)
            conversation.finder.step(-1)
            yield 0.2
            conversation.find_words("")
            for _ in range(200):  # as the wheel goes
                bar.setValue(bar.value() - 60)
                yield 0.01

    def open_sessions() -> Iterator[float]:
        window.review.tabs.setCurrentIndex(CHANGES)
        for opened in map(session_id, range(3)):
            table.select(opened)
            live_until(lambda wanted=opened: window.review.session_id == wanted)
            yield 0.5
            if len(difference.rows.entries):
                difference.rows.expand(0, True)
                yield 0.3
            bar = difference.list.verticalScrollBar()
            for step in range(41):
                bar.setValue(bar.maximum() * step // 40)
                yield 0.03
            difference.set_mode("split")
            yield 0.3
            difference.set_mode("unified")
            yield 0.3

    def resize() -> Iterator[float]:
        for width in (*range(1280, 1700, 60), *range(1700, 1000, -70), 1280):
            window.resize(width, 800)
            yield 0.03
        yield 0.3

    for name, steps in {
        "sorting": sort,
        "filtering": filter_words,
        "searching": search_messages,
        "scrolling": scroll,
        "walking": walk,
        "reading one": read_conversations,
        "opening one": open_sessions,
        "resizing": resize,
    }.items():
        phase = name
        for seconds in steps():
            live(seconds)
    memory |= {"used": resident(), "most": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}
    timer.stop()
    window.close()
    window.jobs.wait()
    milliseconds = {name: [round(seconds * 1000) for seconds in found] for name, found in gaps.items()}
    return {"first rows s": first_rows, "scan s": scan, "gaps ms": milliseconds, "memory MB": memory}


def glances(home: Path, count: int | None) -> Value:
    """What the first rows of a store cost (None: all of them), beside listing the folder and reading as many heads."""
    from hermes_rescue.core.hermes.heads import session_headers
    from hermes_rescue.core.hermes.sidecar import HEAD_LIMIT
    from hermes_rescue.core.hermes.store import find_store

    store = find_store(home=home)

    def floor() -> None:
        with os.scandir(store.sessions_dir) as entries:
            paths = [entry.path for entry in entries if entry.name.endswith(".json")]
        for path in paths[:count]:
            with open(path, "rb") as file:
                file.read(HEAD_LIMIT)

    def rows() -> None:
        for _ in islice(session_headers(store), count):
            pass

    pairs = [(worked(rows), worked(floor)) for _ in range(5)]
    mine, least = (min(column) for column in zip(*pairs, strict=True))
    return {"ms": round(mine * 1000, 1), "floor ms": round(least * 1000, 1), "ratio": round(mine / least, 2)}


def worked(work: Callable[[], None]) -> float:
    """Seconds that this process works at something: others on the same machine do not count."""
    start = time.process_time()
    work()
    return time.process_time() - start


def resident() -> int:
    """Megabytes that this process has in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") // 2**20


def best(turns: list[Value]) -> Value:
    """The least of each figure in some turns."""
    first = turns[0]
    if isinstance(first, dict):
        return {name: best([turn[name] for turn in turns]) for name in first}
    if isinstance(first, list):
        return [best(list(column)) for column in zip(*turns, strict=True)]  # type: ignore[return-value]
    return min(turns)  # type: ignore[type-var]


def measured(home: Path, turns: int) -> Value:
    """A store, opened in processes of their own."""
    found = []
    for _ in range(turns):
        with tempfile.TemporaryDirectory(prefix="hermes-bench-") as scratch:
            words = [sys.executable, __file__, "--use", str(home), scratch]
            environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "HOME": scratch}
            found.append(json.loads(subprocess.check_output(words, env=environment, text=True)))
    return {"first 100 rows": glances(home, 100), "all rows": glances(home, None), **best(found)}


def figures_of(name: str, found: Value) -> list[Figure]:
    """The same for the table of all figures."""
    gaps = found["gaps ms"]
    return [
        Figure(
            name=f"first rows, {name}",
            what=f"window, {name}: first rows",
            value=found["first rows s"],
            unit="s",
            target=0.5,
        ),
        Figure(
            name=f"standstill, {name}",
            what=f"window, {name}: longest standstill",
            value=float(max(wall for wall, _ in gaps.values())),
            unit="ms",
            target=50.0,
            megabytes=found["memory MB"]["used"],
            note=", ".join(f"{phase} {wall} ms ({work})" for phase, (wall, work) in gaps.items()),
        ),
        Figure(
            name=f"own work, {name}",
            what=f"window, {name}: most of it its own work",
            value=float(max(work for _, work in gaps.values())),
            unit="ms",
            target=40.0,
        ),
    ]


def show(name: str, found: Value) -> None:
    """Print what was measured on one store."""
    memory = ", ".join(f"{mb} MB {when}" for when, mb in found["memory MB"].items())
    print(
        f"{name}: first rows in the window after {found['first rows s']:.2f} s, scan {found['scan s']:.1f} s; {memory}"
    )
    for rows in ("first 100 rows", "all rows"):
        print("    {}: {ms} ms, floor {floor ms} ms, ratio {ratio}".format(rows, **found[rows]))
    for phase, (wall, work) in found["gaps ms"].items():
        print(f"    {phase:14}{wall:>6} ms by the clock{work:>6} ms of work")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(STORES))
    parser.add_argument("--json", type=Path, metavar="FILE", help="put the figures into this file as well")
    parser.add_argument("--keep", type=Path, help="make the stores in this folder, and leave them there")
    parser.add_argument("--turns", type=int, default=3, help="how often each store is opened")
    parser.add_argument("--use", type=Path, nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.use:
        print(json.dumps(use(*asked.use)))
        return
    from stores import make_store

    with tempfile.TemporaryDirectory(prefix="hermes-bench-") as temporary:
        for name in asked.names or STORES:
            home = (asked.keep or Path(temporary)) / name.replace(" ", "-").replace(",", "")
            if not home.exists():
                make_store(home, **STORES[name])
            found = measured(home, asked.turns)
            show(name, found)
            if asked.json is not None:
                save(asked.json, figures_of(name, found))


if __name__ == "__main__":
    main()
