"""How soon something is there: the help of the command, and the window without a store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from commands import RESCUE, ROOT, fresh_place
from figures import Bench, Figure, beside, best

NEEDLESS = ("PySide6", "jinja2", "rapidfuzz")

BARE = """
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QMainWindow
application = QApplication(["bare"])
window = QMainWindow()
window.resize(1280, 800)
window.show()
QTimer.singleShot(0, window.close)
application.exec()
"""

OURS = Path(__file__).with_name("empty_window.py")


def start_of_a_command(bench: Bench) -> list[Figure]:
    """``--help``, and the audit of a single session."""
    home = bench.store("single", [0], messages=8, length=300)
    return [
        _start("start_of_help", "hermes-rescue --help", *RESCUE, "--help"),
        _start("start_of_audit", "hermes-rescue audit, one session", *RESCUE, "audit", "--home", home),
    ]


def _start(name: str, what: str, *words: object) -> Figure:
    with fresh_place() as place:
        _, megabytes = place.watched(*words)
        ours, least = best(lambda: place.run(*words), lambda: place.run(sys.executable, "-c", "import click"), turns=10)
    return beside(
        ours,
        least,
        name=name,
        what=what,
        floor="importing click",
        megabytes=megabytes,
        note=_imports(*words),
    )


def _imports(*words: object) -> str:
    """What a command imports, in a sentence: how much, which of it takes longest, and what it does not need."""
    profiled = [words[0], "-X", "importtime", *map(str, words[1:])]
    with fresh_place() as place:
        done = subprocess.run(profiled, cwd=ROOT, env=place.environment, capture_output=True, text=True, check=False)
    rows = [line.split("|") for line in done.stderr.splitlines() if line.startswith("import time:")][1:]
    packages: dict[str, int] = {}
    for spent, _, module in rows:
        package = module.strip().partition(".")[0]
        packages[package] = packages.get(package, 0) + int(spent.removeprefix("import time:"))
    own = {package: spent for package, spent in packages.items() if package not in sys.stdlib_module_names}
    foreign = sorted((package for package, spent in own.items() if spent >= 500), key=packages.get)  # microseconds
    longest = ", ".join(f"{package} {packages[package] / 1000:.0f} ms" for package in foreign[:-6:-1])
    needless = ", ".join(package for package in NEEDLESS if package in packages)
    return f"imports {len(rows)} modules: {longest}; {needless or 'none'} of {', '.join(NEEDLESS)}"


def start_of_the_window(_: Bench) -> list[Figure]:
    """From nothing to the empty window's first idle moment, and closed again, with no screen."""
    with fresh_place() as place:
        ours, least = best(
            lambda: place.run(sys.executable, OURS, good=(0,)),
            lambda: place.run(sys.executable, "-c", BARE, good=(0,)),
            turns=7,
        )
        _, megabytes = place.watched(sys.executable, OURS)
    return [
        beside(
            ours,
            least,
            name="start_of_the_window",
            what="the empty window",
            floor="an empty QMainWindow",
            megabytes=megabytes,
        )
    ]
