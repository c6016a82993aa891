"""Runs what is measured as processes of their own: how long they take, what memory all of them need together, how soon
Ctrl+C ends them, and what their progress bar shows meanwhile. Linux only.

``HERMES_WEBUI_TREE`` names a checkout of Hermes WebUI, which is then measured beside (``HERMES_WEBUI_PYTHON``: the
Python that has what it requires).
"""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

RESCUE = (sys.executable, "-m", "hermes_rescue.core")
"""The command of Hermes Rescue; more words follow it."""

WEBUI = os.environ.get("HERMES_WEBUI_TREE")
"""A checkout of Hermes WebUI, None where there is none to measure beside."""

_FOUND_OR_NOT = (0, 1)
"""The exit codes of a command that did its work: an audit ends with 1 where it found something."""

PAUSE = 0.01
"""Seconds between two looks at the memory, at least."""

_PSS = re.compile(rb"^Pss: +(\d+) kB", re.MULTILINE)
_TURNING = frozenset((b"|", b"/", b"-", b"\\"))
"""What turns beside a progress bar whether that moves or not."""

_PAINT = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True, slots=True)
class CleanHome:
    """Where commands find nothing of their user's, and no cache of an earlier run."""

    environment: Mapping[str, str]

    def run(self, *words: object, good: Sequence[int] = _FOUND_OR_NOT) -> float:
        """Run a command to its end; returns seconds. RuntimeError where its exit code is none of ``good``."""
        start = time.perf_counter()
        done = subprocess.run(list(map(str, words)), env=self.environment, cwd=ROOT, capture_output=True, check=False)
        seconds = time.perf_counter() - start
        if done.returncode not in good:
            raise RuntimeError(f"{words} ended with {done.returncode}: {done.stderr.decode(errors='replace')}")
        return seconds

    def watched(self, *words: object) -> tuple[float, int]:
        """Run a command; returns seconds, and the megabytes that it and all its processes needed together at most."""
        start = time.perf_counter()
        process = self._started(words)
        most = 0
        while process.poll() is None:
            looked = time.perf_counter()
            most = max(most, sum(map(_proportional, _family(process.pid))))
            time.sleep(max(PAUSE, 10 * (time.perf_counter() - looked)))  # a look at a large process is work for it too
        seconds = time.perf_counter() - start
        if process.returncode not in _FOUND_OR_NOT:
            raise RuntimeError(f"{words} ended with {process.returncode}")
        return seconds, most // 1024

    def seconds_to_stop(self, after: float, *words: object) -> float:
        """Run a command, and press Ctrl+C after some seconds; returns how long it went on."""
        signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
        process = self._started(words)
        time.sleep(after)
        start = time.perf_counter()
        os.killpg(process.pid, signal.SIGINT)
        process.wait()
        return time.perf_counter() - start

    def longest_standstill(self, *words: object) -> tuple[float, float]:
        """Run a command on a terminal; returns seconds, and the longest in which it showed nothing new."""
        terminal, theirs = pty.openpty()
        start = last = time.perf_counter()
        process = subprocess.Popen(
            list(map(str, words)),
            env={**self.environment, "TERM": "xterm"},
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
        )
        os.close(theirs)
        longest, shown = 0.0, set[bytes]()
        for drawn in _read(terminal):
            before, shown = shown, set(_PAINT.sub(b"\n", drawn).split()) - _TURNING
            if shown - before:
                longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
        os.close(terminal)
        process.wait()
        return time.perf_counter() - start, max(longest, time.perf_counter() - last)

    def _started(self, words: Sequence[object]) -> subprocess.Popen[bytes]:
        quiet = subprocess.DEVNULL
        return subprocess.Popen(
            list(map(str, words)), env=self.environment, cwd=ROOT, stdout=quiet, stderr=quiet, start_new_session=True
        )


@contextmanager
def fresh_place() -> Iterator[CleanHome]:
    """A new place with an empty cache. It goes away again."""
    with tempfile.TemporaryDirectory(prefix="hermes-bench-") as folder:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR", "PYTHONPATH") if name in os.environ}
        yield CleanHome({**kept, "HOME": folder, "XDG_CACHE_HOME": f"{folder}/cache", "QT_QPA_PLATFORM": "offscreen"})


def webui_recovery(action: str, home: Path) -> tuple[object, ...]:
    """The WebUI's own command on a store: ``--audit`` or ``--repair-safe``."""
    python = os.environ.get("HERMES_WEBUI_PYTHON", sys.executable)
    of_the_store = ("--session-dir", home / "webui" / "sessions", "--state-db", home / "state.db")
    return ("env", f"PYTHONPATH={WEBUI}", python, "-m", "api.session_recovery", action, *of_the_store)


def forget_pages(home: Path) -> None:
    """Have the system drop what it holds in memory of the files of a store."""
    os.sync()
    for folder, _, names in os.walk(home):
        for name in names:
            file = os.open(os.path.join(folder, name), os.O_RDONLY)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)


def _read(terminal: int) -> Iterator[bytes]:
    """What is drawn on a terminal, until nobody holds it any more."""
    with suppress(OSError):
        while drawn := os.read(terminal, 65536):
            yield drawn


def _family(pid: int) -> Iterator[int]:
    """A process and all that it started, as far as they live."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found = children.read_text().split()
        except OSError:
            continue
        for child in found:
            yield from _family(int(child))


def _proportional(pid: int) -> int:
    """The memory of a process in kB, what it shares with others divided among them (PSS)."""
    try:
        found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_bytes())
    except OSError:
        return 0
    return int(found[1]) if found else 0
