"""How soon something is there: the help of the command, and the window without a store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from commands import fresh_place, rescue
from figures import Bench, Figure, best

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

OURS = """
import sys
from PySide6.QtCore import QSettings, QTimer
from PySide6.QtWidgets import QApplication
from gui import app
from gui.main_window import MainWindow
from gui.place import Place
sys.setswitchinterval(app.SWITCH_INTERVAL)
application = QApplication(["ours"])
window = MainWindow(Place(), QSettings(app.NAME, app.NAME))
window.show()
QTimer.singleShot(0, window.close)
application.exec()
"""


def start_of_help(_: Bench) -> list[Figure]:
    """``--help``, and what is imported on the way to it."""
    with fresh_place() as place:
        _, megabytes = place.watched("--help")
        seconds, floor = best(
            lambda: place.rescue("--help"), lambda: place.run(sys.executable, "-c", "import typer"), turns=10
        )
    return [
        Figure(
            name="start_of_help",
            what="hermes-rescue --help",
            value=seconds / floor,
            seconds=seconds,
            floor="import typer",
            floor_seconds=floor,
            megabytes=megabytes,
            note=_imports(),
        )
    ]


def _imports() -> str:
    """What ``--help`` imports, in a sentence: how much, what it need not, and what of it takes longest."""
    words = [sys.executable, "-X", "importtime", *rescue("--help")[1:]]
    done = subprocess.run(words, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    modules = [line.split("|") for line in done.stderr.splitlines() if line.startswith("import time:")][1:]
    own = {name.strip(): int(spent.removeprefix("import time:")) for spent, _, name in modules}
    packages: dict[str, int] = {}
    for name, spent in own.items():
        package = name.partition(".")[0]
        if package not in sys.stdlib_module_names:
            packages[package] = packages.get(package, 0) + spent
    longest = ", ".join(
        f"{package} {spent / 1000:.0f} ms" for package, spent in sorted(packages.items(), key=lambda item: -item[1])[:5]
    )
    needless = ", ".join(package for package in NEEDLESS if package in packages) or "none of " + ", ".join(NEEDLESS)
    return f"imports {len(own)} modules ({longest}); of what it does not need: {needless}"


def start_of_the_window(_: Bench) -> list[Figure]:
    """From nothing to the empty window's first idle moment, and closed again, with no screen."""
    with fresh_place() as place:
        seconds, floor = best(
            lambda: place.run(sys.executable, "-c", OURS), lambda: place.run(sys.executable, "-c", BARE), turns=7
        )
    return [
        Figure(
            name="start_of_the_window",
            what="the empty window",
            value=seconds / floor,
            seconds=seconds,
            floor="an empty QMainWindow",
            floor_seconds=floor,
        )
    ]
