"""Commands that are stopped: Ctrl+C and a closed terminal on a real one, SIGTERM, SIGKILL, at any moment."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from ..conftest import LONG, some
from .conftest import small_store

COMMAND = [sys.executable, "-m", "hermes_rescue.core"]
STOPS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
MANY = 60
LARGE = 34 << 20  # bytes, from which on a store is read in processes
PATIENCE = 60.0


@pytest.fixture(autouse=True)
def nothing_ignored() -> Iterator[None]:
    """The commands that are started here ignore neither a closed terminal nor Ctrl+C, as a process that runs the
    tests may (nohup, a job in the background).
    """
    hang_up = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGHUP, hang_up)
    signal.signal(signal.SIGINT, interrupt)


class Terminal:
    """A command on a terminal of its own, as its session's leader."""

    def __init__(self, *arguments: object, **environment: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, **environment},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        os.set_blocking(self._ours, False)
        self.text = ""

    def press(self, keys: bytes) -> None:
        """What a person types; the terminal makes signals of some."""
        os.write(self._ours, keys)

    def hang_up(self) -> None:
        """Close the terminal: the kernel sends its processes SIGHUP."""
        os.close(self._ours)
        self._ours = -1

    def read(self) -> None:
        """Take what has been printed."""
        with suppress(OSError):
            while self._ours >= 0 and (data := os.read(self._ours, 65_536)):
                self.text += data.decode()

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Read on until something is so, or the process has ended."""
        end = time.monotonic() + PATIENCE
        while not is_so() and self.process.poll() is None:
            assert time.monotonic() < end, self.text
            self.read()
            time.sleep(0.002)

    def end(self) -> int:
        """The exit status."""
        self.wait_until(lambda: False)
        self.read()
        if self._ours >= 0:
            os.close(self._ours)
        return self.process.wait()


@contextmanager
def on_terminal(*arguments: object, **environment: str) -> Iterator[Terminal]:
    terminal = Terminal(*arguments, **environment)
    try:
        yield terminal
    finally:
        terminal.process.kill()
        terminal.process.wait()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A store with many sessions that were wiped; the backups have everything."""
    home = tmp_path / "a home"
    sessions = small_store(home)
    (model,) = (path for path in sessions.glob("*.bak") if len(json.loads(path.read_text())["messages"]) == 6)
    whole = json.loads(model.read_text())
    for k in range(MANY):
        session_id = f"9{k:011d}"
        for name, messages in ((f"{session_id}.json", []), (f"{session_id}.json.bak", whole["messages"])):
            fields = {**whole, "session_id": session_id, "message_count": len(messages), "messages": messages}
            (sessions / name).write_text(json.dumps(fields))
    return home


def live_files(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (home / "webui" / "sessions").glob("[0-9]*.json")}


def has_begun(home: Path, changes: int) -> Callable[[], bool]:
    """Whether a repair has put other files in the place of so many."""

    def files() -> dict[str, int]:
        with os.scandir(home / "webui" / "sessions") as entries:
            return {entry.name: entry.inode() for entry in entries if entry.name.endswith(".json")}

    before = files()
    return lambda: len(before.items() - files().items()) >= changes


def run(words: str) -> subprocess.CompletedProcess[str]:
    """A command that was printed, as a shell runs it."""
    typed = shlex.split(words)
    typed = [*COMMAND, *typed[1:]] if typed[0] == "hermes-rescue" else typed
    return subprocess.run(typed, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("number", some(STOPS, 3, first=1))  # the terminal sends the others below
def test_a_repair_that_is_stopped_says_how_far_it_is_and_both_ways_on(
    home: Path, number: signal.Signals, tmp_path: Path
) -> None:
    before = live_files(home)
    errors = tmp_path / "errors"
    with errors.open("w") as stderr:
        words = [*COMMAND, "repair", "--all", "--yes", "--home", str(home)]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=stderr)
        begun = has_begun(home, 5)
        while not begun() and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(number)
        assert process.wait(PATIENCE) == STOPS[number]
    said = errors.read_text()
    assert "Traceback" not in said
    found = re.search(r"Stopped after (\d+) of (\d+)\. Finish: (.+?)    Roll back: (.+)", said)
    assert found is not None, said
    changed = {name for name, data in live_files(home).items() if data != before.get(name)}
    assert int(found[1]) == len(changed) >= 5
    assert int(found[2]) == MANY + 3
    assert run(f"{found[3]} --json").returncode == 0
    assert len(live_files(home)) == MANY + 4
    assert run(found[4] + " --yes").returncode in (0, 1)
    again = live_files(home)
    assert all(again.get(name) == before.get(name) for name in changed)


def test_ctrl_c_on_a_terminal_ends_the_repair_at_the_next_safe_point(home: Path) -> None:
    with on_terminal("repair", "--all", "--yes", "--home", home) as terminal:
        terminal.wait_until(has_begun(home, 5))
        terminal.press(b"\x03")
        assert terminal.end() == 130
    assert "Traceback" not in terminal.text
    assert re.search(r"Stopped after \d+ of \d+", terminal.text), terminal.text
    assert "interrupted" not in run(f"hermes-rescue audit --home {shlex.quote(str(home))}").stdout


def test_a_terminal_that_is_closed_leaves_no_repair_open(home: Path) -> None:
    with on_terminal("repair", "--all", "--yes", "--home", home) as terminal:
        terminal.wait_until(has_begun(home, 5))
        terminal.hang_up()
        assert terminal.process.wait(PATIENCE) == 129
    done = run(f"hermes-rescue history --json --home {shlex.quote(str(home))}")
    assert [each["status"] for each in json.loads(done.stdout)["runs"]] == ["finished"]


def test_a_question_can_be_left_by_ctrl_c(home: Path) -> None:
    before = live_files(home)
    with on_terminal("repair", "--all", "--home", home) as terminal:
        terminal.wait_until(lambda: "[y/N]" in terminal.text)
        terminal.press(b"\x03")
        assert terminal.end() == 130
    assert "Traceback" not in terminal.text
    assert "No session was changed" in terminal.text
    assert live_files(home) == before


def test_nothing_prints_a_traceback_whenever_it_is_stopped(home: Path, tmp_path: Path) -> None:
    """From the first moment on, also in the processes that a large store is read in."""
    steps = 60 if LONG else 8
    large = home / "webui" / "sessions" / f"{0:012d}.json.bak"
    large.write_text(json.dumps({"session_id": f"{0:012d}", "messages": [{"role": "user", "content": "x" * LARGE}]}))
    for k in range(steps):
        with on_terminal("audit", "--no-cache", "--home", home, TMPDIR=str(tmp_path)) as terminal:
            time.sleep(1.6 * k / steps)
            terminal.press(b"\x03")
            status = terminal.end()
        if "init_import_site" in terminal.text or "<frozen runpy>" in terminal.text:
            continue  # Python itself was not up yet
        assert status in (130, -signal.SIGINT, 0, 1), terminal.text
        assert "Traceback" not in terminal.text and "KeyboardInterrupt" not in terminal.text, (k, terminal.text)


def test_a_stop_that_breaks_the_loading_of_a_module_is_no_error_of_the_program() -> None:
    """Python's compiler swallows what a signal raises while it loads ``unicodedata``, and speaks of wrong syntax."""
    script = """if True:
        import signal
        from hermes_rescue.core.terminal import commands, stops

        @commands.app.command()
        def load():
            try:
                signal.raise_signal(signal.SIGINT)
            except stops.Stopped:
                raise SyntaxError("(unicode error) can't load unicodedata module")

        commands.main()
    """
    done = subprocess.run([sys.executable, "-c", script, "load"], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 130, done.stderr
    assert "error of this program" not in done.stderr and "Stopped" in done.stderr


def test_ctrl_c_while_the_program_is_being_loaded_shows_no_traceback(home: Path) -> None:
    """From its first module on, as slow as the computer may be."""
    program = """
import os, signal, sys
class Late:
    def find_spec(self, name, *_):
        if name == "hermes_rescue.core.base.safe_path":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Late())
from hermes_rescue.core.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", program, "audit", "--home", home], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


@pytest.mark.parametrize("watch", ["begins", "ends"])
def test_ctrl_c_while_the_watch_for_it_begins_or_ends_shows_no_traceback(watch: str) -> None:
    program = """
import signal, sys
calls, set_handler = [], signal.signal
at = {"begins": 1, "ends": 4}[sys.argv.pop()]
def stopped(number, handler):
    before = set_handler(number, handler)
    calls.append(number)
    if len(calls) == at:
        signal.raise_signal(calls[at // 4])
    return before
signal.signal = stopped
from hermes_rescue.core.terminal import commands
commands.main()
"""
    arguments = [sys.executable, "-c", program, "--version", watch]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE)
    assert "Traceback" not in done.stderr and done.returncode in (130, 143), done.stderr


def test_an_undo_that_is_stopped_goes_on(home: Path) -> None:
    before = live_files(home)
    place = shlex.quote(str(home))
    assert run(f"hermes-rescue repair --all --yes --home {place}").returncode == 0
    with on_terminal("undo", "--yes", "--home", home) as terminal:
        terminal.wait_until(has_begun(home, 5))
        terminal.press(b"\x03")
        assert terminal.end() == 130
    found = re.search(r"Stopped after (\d+) of (\d+)\. Go on:\s+(.+)", terminal.text.replace("\r", ""))
    assert found is not None, terminal.text
    assert 5 <= int(found[1]) < int(found[2])
    assert run(found[3]).returncode == 0
    assert live_files(home) == before


def private_copies(folder: Path) -> list[Path]:
    return sorted(folder.glob("hermes-rescue-*"))


@pytest.mark.parametrize("number", some([*STOPS, signal.SIGKILL], 3))
def test_private_copies_go_at_the_latest_with_the_next_start(
    home: Path, tmp_path: Path, number: signal.Signals
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    (temporary / "hermes-rescue-somebody").mkdir()  # not one of ours, or one that is being made
    wal = home / "state.db-wal"
    wal.write_bytes(b"\0" * 64)  # read through a private copy
    words = [*COMMAND, "audit", "--no-cache", "--home", str(home)]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(temporary.glob("*/state.db")) and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(number)
    process.wait(PATIENCE)
    if number is signal.SIGKILL:
        assert len(private_copies(temporary)) == 2
    subprocess.run([*COMMAND, "history", "--home", str(home)], env=environment, capture_output=True, check=True)
    assert private_copies(temporary) == [temporary / "hermes-rescue-somebody"]


def test_a_command_that_runs_keeps_its_private_copies(home: Path, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from hermes_rescue.core.base.private_folder import private_folder\n"
        "with private_folder() as folder:\n"
        "    print(folder, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        old = time.time() - 86_400
        os.utime(folder, (old, old))
        subprocess.run([*COMMAND, "history", "--home", str(home)], env=environment, capture_output=True, check=True)
        assert folder.is_dir()
        assert folder.stat().st_mode & 0o777 == 0o700
        process.kill()
    subprocess.run([*COMMAND, "history", "--home", str(home)], env=environment, capture_output=True, check=True)
    assert not folder.exists()


def test_a_suspended_repair_is_named_to_whoever_waits_for_it(home: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "repair", "--all", "--yes", "--home", str(home)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        begun = has_begun(home, 1)
        while not begun() and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGSTOP)
        done = run(f"hermes-rescue undo --yes --home {shlex.quote(str(home))}")
        assert done.returncode == 3
        assert f"process {process.pid}" in done.stderr and "suspended" in done.stderr
        assert f"kill -CONT {process.pid}" in done.stderr
    finally:
        process.send_signal(signal.SIGCONT)
    assert process.wait(PATIENCE) == 0


def test_a_signal_that_the_shell_ignores_stays_ignored(home: Path) -> None:
    def ignore() -> Any:
        return signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = subprocess.Popen(
        [*COMMAND, "repair", "--all", "--yes", "--home", str(home)],
        preexec_fn=ignore,
        stdout=subprocess.DEVNULL,
    )
    begun = has_begun(home, 1)
    while not begun() and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGHUP)
    assert process.wait(PATIENCE) == 0
