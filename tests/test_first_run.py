"""``make run`` for the first time: what it opens, and that it takes no demo store for what somebody has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

Start = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """``start(HOME=..., ...)``: what ``.ci/start`` does in a prepared checkout without a screen."""
    checkout = tmp_path / "a checkout"
    commands = checkout / ".venv" / "bin"
    commands.mkdir(parents=True)
    shutil.copytree(ROOT / ".ci", checkout / ".ci")
    for name, module in (("python", ""), ("hermes-rescue", "-m hermes_rescue.core")):
        command = commands / name
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
        command.chmod(0o755)

    def run(**environment: object) -> subprocess.CompletedProcess[str]:
        named = ("DISPLAY", "WAYLAND_DISPLAY")
        kept = {name: value for name, value in os.environ.items() if name not in named}
        return subprocess.run(
            [checkout / ".ci" / "start"],
            env={**kept, **{name: str(value) for name, value in environment.items()}},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


def test_nothing_at_the_usual_place_shows_a_demo_store(start: Start, tmp_path: Path) -> None:
    done = start(HOME=tmp_path)
    assert done.returncode == 0
    assert "demo store" in done.stdout
    assert "can be repaired" in done.stdout


@pytest.mark.parametrize("name", ["HERMES_HOME", "HERMES_BASE_HOME", "HERMES_WEBUI_STATE_DIR"])
def test_a_mistyped_home_is_told_and_no_demo_takes_its_place(start: Start, tmp_path: Path, name: str) -> None:
    done = start(HOME=tmp_path, **{name: tmp_path / "mistyped"})
    assert done.returncode != 0
    assert "mistyped" in done.stderr
    assert "demo" not in done.stdout
    assert not (tmp_path / "a checkout" / ".demo").exists()


def test_a_home_without_data_is_told_and_no_demo_takes_its_place(start: Start, tmp_path: Path) -> None:
    (tmp_path / ".hermes").symlink_to("a disk that is not there")
    done = start(HOME=tmp_path)
    assert done.returncode != 0
    assert str(tmp_path / ".hermes") in done.stderr
    assert "demo" not in done.stdout
