"""Measures Hermes Rescue on large stores, each figure beside its floor in the same run: ``make bench``.

    python tests/bench/measure.py [NAME]... [--json FILE] [--keep FOLDER]

Bare times mean little on a shared machine; the ratios do. Nothing here is a test.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

sys.path.insert(0, str(Path(__file__).parent))

from stores import make_store

COMMAND = [sys.executable, "-m", "core"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement: seconds of what was measured and of its floor; memory in MB of the largest process."""

    name: str
    seconds: float
    floor: str
    floor_seconds: float
    ratio: float
    megabytes: int


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def command(*arguments: object) -> Callable[[], object]:
    words = [*COMMAND, *map(str, arguments)]
    return lambda: subprocess.run(words, capture_output=True, check=False)


def figure(name: str, work: Callable[[], object], floor: str, least: Callable[[], object], turns: int = 3) -> Figure:
    """The best of some turns, work and floor taking turns so that a busy moment meets both."""
    pairs = [(timed(work), timed(least)) for _ in range(turns)]
    seconds, floor_seconds = (min(column) for column in zip(*pairs, strict=True))
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    return Figure(name, seconds, floor, floor_seconds, seconds / floor_seconds, memory)


def parse_all(home: Path) -> Callable[[], object]:
    """Parse every session file once with orjson, in one thread."""

    def work() -> None:
        for path in (home / "webui" / "sessions").iterdir():
            try:
                orjson.loads(path.read_bytes())
            except orjson.JSONDecodeError:
                continue

    return work


def audit_of_a_gigabyte(folder: Path) -> Figure:
    home = made(folder / "gigabyte", sessions=2000, messages=90, bytes_per_message=5200)
    return figure("audit, 2,000 sessions, 1 GB", command("audit", "--home", home), "orjson", parse_all(home))


def audit_of_small_sessions(folder: Path) -> Figure:
    home = made(folder / "small", sessions=10_000, messages=12, bytes_per_message=300)
    return figure("audit, 10,000 small sessions", command("audit", "--home", home), "orjson", parse_all(home))


def start_of_help(_: Path) -> Figure:
    bare = [sys.executable, "-c", "import typer"]
    return figure("--help", command("--help"), "import typer", lambda: subprocess.run(bare, check=True), turns=7)


FIGURES = {work.__name__: work for work in (audit_of_a_gigabyte, audit_of_small_sessions, start_of_help)}


def made(home: Path, *, sessions: int, messages: int, bytes_per_message: int) -> Path:
    """A store, made unless it is there from the last time."""
    if home.exists():
        return home
    return make_store(home, sessions=sessions, messages=messages, bytes_per_message=bytes_per_message)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FIGURES))
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    parser.add_argument("--keep", type=Path, help="make the stores in this folder, and leave them there")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hermes-bench-") as temporary:
        folder = asked.keep or Path(temporary)
        found = [FIGURES[name](folder) for name in asked.names or FIGURES]
    print(f"{'':32}{'seconds':>10}{'floor':>16}{'seconds':>10}{'ratio':>8}{'MB':>7}")
    for each in found:
        floor = f"{each.floor:>16}{each.floor_seconds:>10.2f}"
        print(f"{each.name:32}{each.seconds:>10.2f}{floor}{each.ratio:>8.2f}{each.megabytes:>7}")
    if asked.json is not None:
        asked.json.write_text(json.dumps([asdict(each) for each in found], indent=2))


if __name__ == "__main__":
    main()
