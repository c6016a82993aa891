"""Tries what ``dist`` has, from an empty environment and home: the terminals repair a demo store, the windows open.

A window needs a screen: that of DISPLAY, else one of Xvfb's where that is installed, else none of it is tried.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

DIST = Path(__file__).parents[1] / "dist"
MANY = 1200
"""Sessions from which on the engine works in processes of its own."""

PATIENCE = 15
"""Seconds after which a window that still runs has been opened."""


def main() -> None:
    """Ends with a message where something does not do what it has to."""
    programs = [path for path in sorted(DIST.iterdir()) if os.access(path, os.X_OK)]
    with tempfile.TemporaryDirectory(prefix="a place with spaces ") as name:
        place = Path(name)
        for packed in DIST.glob("hermes-rescue*-*-*.tar.xz"):
            with tarfile.open(packed) as archive:
                archive.extractall(place)
            (folder,) = place.iterdir()
            require(not (DIST / folder.name).exists(), folder, "unpacked beside the others it replaces one of them")
            require(any(folder.rglob("resources/guide/README.md")), folder, "the guide is missing")
            programs += [folder / "hermes-rescue", folder / "hermes-rescue-gui"]
        for number, program in enumerate(programs):
            home = place / f"home {number}"
            home.mkdir()
            is_window = "-gui" in program.name
            (try_window if is_window else try_terminal)(program, home)
            print(f"{program.name}: {'opens' if is_window else 'repairs the demo store'}")


def try_terminal(program: Path, home: Path) -> None:
    """It makes the demo store, repairs it, and reads a large store in several processes."""
    store = home / "demo"
    run(program, home, "demo", store)
    repaired = run(program, home, "repair", "--all", "--yes", "--home", store)
    require("repaired and verified" in repaired.stdout, program, repaired)
    left = json.loads(run(program, home, "audit", "--json", "--home", store).stdout)
    require(left["standings"]["repairable"] == 0 and left["standings"]["healthy"] > 4, program, repaired)
    run(program, home, "report", "--home", store, "-o", home / "report.html", "--format", "html")
    texts = run(program, home, "licences").stdout
    require("Mozilla Public License" in texts and "PYTHON SOFTWARE FOUNDATION LICENSE" in texts, program, texts)
    sessions = store / "webui" / "sessions"
    whole = next(path for path in sessions.glob("[0-9a-f]*.json"))
    many = home / "many" / "webui" / "sessions"
    many.mkdir(parents=True)
    for number in range(MANY):
        copy = json.loads(whole.read_bytes()) | {"session_id": f"{number:012x}"}
        (many / f"{number:012x}.json").write_text(json.dumps(copy))
    found = json.loads(run(program, home, "audit", "--json", "--home", home / "many").stdout)
    require(found["summary"]["sessions"] == MANY, program, found)


def try_window(program: Path, home: Path) -> None:
    """It is still open after a while, and has nothing to complain of."""
    screen = [] if "DISPLAY" in os.environ else ["xvfb-run", "-a"]
    if screen and not shutil.which(screen[0]):
        print(f"{program.name}: not tried, there is no screen")
        return
    command = [*screen, "timeout", str(PATIENCE), str(program)]
    kept = {name: os.environ[name] for name in ("DISPLAY", "XAUTHORITY", "PATH") if name in os.environ}
    done = subprocess.run(command, env={**kept, "HOME": str(home)}, capture_output=True, text=True)
    require(done.returncode == 124 and "Traceback" not in done.stderr, program, done)


def run(program: Path, home: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """What a command says in an environment with nothing but a home."""
    done = subprocess.run(
        [program, *map(str, arguments)], env={"HOME": str(home)}, cwd=home, capture_output=True, text=True
    )
    require(done.returncode in (0, 1) and not done.stderr, program, done)
    return done


def require(holds: bool, program: Path, seen: object) -> None:
    """Ends this program, with what was seen, where something does not hold."""
    if not holds:
        sys.exit(f"{program.name} does not do what it has to: {seen}")


if __name__ == "__main__":
    main()
