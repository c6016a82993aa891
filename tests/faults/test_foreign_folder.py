"""Started in a folder that is anybody's, such as an agent's workspace: no code comes from there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hermes_rescue.core.audit.workers import MANY
from hermes_rescue.core.demo.demo_store import make_demo_store

NAMES = ("multiprocessing", "signal", "json", "gc", "sqlite3", "__future__", "runpy", "typing", "hermes_rescue_extra")
"""Modules that this program or the Python below it loads."""

MODULE = "import sys; open({mark!r}, 'a').write(f'{{__name__}} in {{sys.argv}}\\n'); sys.exit(9)"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A folder full of modules; ``ran`` beside it says which were loaded."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.py").write_text(MODULE.format(mark=str(tmp_path / "ran")))
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A store so large that processes work on it."""
    home = make_demo_store(tmp_path / "demo").home
    sessions = home / "webui" / "sessions"
    session = {**json.loads(next(sessions.glob("[!_]*.json")).read_bytes()), "messages": []}
    for k in range(MANY):
        (sessions / f"more{k}.json").write_text(json.dumps({**session, "session_id": f"more{k}"}))
    return home


@pytest.mark.parametrize("first", ["", os.pathsep], ids=["named", "an empty place"])
def test_no_module_of_the_current_folder_is_loaded(home: Path, workspace: Path, first: str) -> None:
    places = first + os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-m", "hermes_rescue.core", "audit", "--json", "--no-cache", "--home", str(home)]
    done = subprocess.run(
        command, cwd=workspace, env={**os.environ, "PYTHONPATH": places}, capture_output=True, timeout=300
    )
    ran = workspace.with_name("ran")
    assert not ran.exists(), ran.read_text()
    assert done.returncode == 1 and not done.stderr, done.stderr
    assert len(json.loads(done.stdout)["items"]) >= MANY
