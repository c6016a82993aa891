"""What a person said stays with that person: in no report or error, readable by nobody else, sent nowhere."""

from __future__ import annotations

import json
import os
import re
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core.hermes.store import find_store

from ..conftest import some
from .conftest import HEALTHY, LOST, MARKED, MARKER, WIPED, small_store
from .stage import Done, Stage

Rescue = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    small_store(tmp_path / "hermes")
    return tmp_path / "hermes"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777], ids=oct)
def test_nobody_else_can_read_what_is_kept_or_made(stage: Stage, home: Path, umask: int) -> None:
    sessions = home / "webui" / "sessions"
    modes = {path.name: path.stat().st_mode for path in sessions.iterdir()}
    report = home / "report.md"

    def check() -> None:
        kept = [home / "webui" / "rescue", *(home / "webui" / "rescue").rglob("*")]
        for path in kept:
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
        for path in sessions.iterdir():
            assert path.stat().st_mode == modes.get(path.name, modes[f"{HEALTHY}.json"]), path

    for words in (["repair", "--all", "--yes"], ["report", "-o", report], ["undo", "--yes"], ["repair", LOST, "-y"]):
        done = stage.run(*words, "--home", home, below=home, umask=umask)
        assert done.status in (0, 1), done
        check()
    assert stat.S_IMODE(report.stat().st_mode) == 0o600


def test_nothing_is_ever_wider_open_than_it_ends(stage: Stage, home: Path) -> None:
    """Killed at every step that makes something, with the widest umask: what is there then is closed already."""

    def attempt(step: int) -> None:
        copy = home.with_name(f"killed-{step}")
        small_store(copy)
        old = {path: path.stat().st_mode for path in copy.rglob("*")}
        stage.run("repair", "--all", "--yes", "--home", copy, below=copy, umask=0, kill=step)
        for path in copy.rglob("*"):
            mode = path.stat().st_mode
            # A session has the mode of what it replaces in the end, a new one that of the others, and never more.
            is_session = path.name.startswith(".") or path.name == f"{LOST}.json"
            assert path in old or not mode & 0o077 or is_session, (step, path)
            assert not mode & 0o022 or path in old, (step, path)

    done = stage.run("repair", "--all", "--yes", "--home", home, below=home, umask=0)
    made = [n for n, step in enumerate(done.steps) if step.startswith(("mkdir", "openat", "link", "rename"))]
    for step in some([n + 1 for n in made if n + 1 < len(done.steps)], 4):
        attempt(step)


def test_a_private_copy_of_a_database_is_private(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database with a log is read from a copy in the folder for temporary files."""
    from hermes_rescue.core.base import sqlite_readonly

    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (home / "state.db-wal").write_bytes(b"\0" * 64)
    umask = os.umask(0)
    try:
        database = sqlite_readonly.open_without_trace(home / "state.db", timeout=1)
        made = list((tmp_path / "tmp").rglob("*"))
        assert made
        for path in made:
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
        database.close()
    finally:
        os.umask(umask)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_no_message_text_is_printed_unasked(rescue: Rescue, home: Path) -> None:
    at = ("--home", home)
    looks = ["audit"], ["audit", "--json"], ["audit", "--metrics", "-"], ["repair", "--all", "--dry-run"]
    said = [rescue(*words, *at) for words in looks]
    said += [rescue("show", sid, "--json", *at) for sid in (HEALTHY, WIPED, MARKED, LOST)]
    said += [rescue("report", "--format", form, *at) for form in ("md", "html", "json")]
    said.append(rescue("repair", "--all", "--yes", "--json", *at))
    run = json.loads(said[-1][1])["run"]
    said += [rescue("report", run, "--format", form, *at) for form in ("md", "html", "json")]
    said += [rescue("history", *at), rescue("history", "--json", *at), rescue("undo", "--yes", "--json", *at)]
    said += [rescue("repair", "--all", "--yes", *at), rescue("undo", "--yes", *at)]
    assert all(out for _, out, _ in said)
    assert not [out for _, out, err in said if MARKER in out + err]
    assert MARKER in rescue("diff", WIPED, *at)[1]  # asked for, it is shown
    for path in (home / "webui" / "rescue").rglob("*.json*"):
        assert MARKER not in path.read_text(), path


def test_no_error_contains_a_message_text(stage: Stage, home: Path) -> None:
    """Whatever is refused to whichever command: the words about it are about places and reasons."""

    def attempt(command: str, step: int) -> Done:
        copy = home.with_name(f"{command}-{step}")
        small_store(copy)
        words = ["repair", "--all", "--yes"] if command == "repair" else [command]
        return stage.run(*words, "--home", copy, below=copy, reads=True, refuse=(step, 5), lasting=bool(step % 2))

    ended = [attempt(command, step) for command in ("audit", "repair", "report") for step in some(range(60), 7)]
    assert any(done.status == 3 for done in ended)
    for done in ended:
        assert MARKER not in done.out + done.err


@contextmanager
def webui() -> Iterator[int]:
    """Something that answers on this computer; its port."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"status": "ok", "active_streams": 0}')

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_the_network_is_asked_nothing_but_health_on_this_computer(stage: Stage, home: Path) -> None:
    """Every address that the kernel was asked to reach, in every command."""
    commands = [["audit"], ["show", WIPED], ["diff", WIPED], ["report"], ["repair", "--all", "--yes", "--force"]]
    commands += [["history"], ["undo", "--yes", "--force"], ["audit", "--json"], ["--help"]]

    def walk(port: int) -> list[Done]:
        note = f"PID={os.getpid()}\nHOST=198.51.100.7\nPORT={port}\nSTATE_DIR={home / 'webui'}\n"
        (home / "webui.ctl.env").write_text(note)
        environ = {"HERMES_HOME": str(home), "http_proxy": "http://198.51.100.8:3128"}
        return [stage.run(*words, below=home, environ=environ) for words in commands]

    with webui() as port:
        ended = walk(port)
    assert {done.status for done in ended} <= {0, 1}
    peers = {peer for done in ended for peer in done.peers}
    assert peers == {"127.0.0.1"}


def test_the_engine_imports_nothing_that_speaks_to_the_network() -> None:
    """Two modules have a socket: the one that asks for health, and the one that asks whether a screen is there, which
    is a socket of this computer's files."""
    root = Path(find_store.__code__.co_filename).parents[2]
    speaking = r"^\s*(import|from) (socket|ssl|http|urllib|requests|ftplib|smtplib|asyncio|PySide6\.QtNetwork)\b"
    found = {
        path.name
        for folder in ("core", "gui")
        for path in (root / folder).rglob("*.py")
        if re.search(speaking, path.read_text(), re.MULTILINE)
    }
    assert found == {"webui_servers.py", "start.py"}
    sockets = re.findall(r"socket\.(?!socket\b)\w+", (root / "gui" / "start.py").read_text())
    assert sockets == ["socket.AF_UNIX"]
