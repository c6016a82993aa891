"""Output that goes nowhere, or into something odd: the work is done all the same, and what was lost is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import HEALTHY, WIPED, small_store
from .stage import command

COMMAND = [sys.executable, "-m", "hermes_rescue.core"]
ODD = "Zoë – 漢字 \x1b[31mred\x07 \u202e"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The small store with a title that is hard to print."""
    sessions = small_store(tmp_path / "hermes")
    for name in (f"{WIPED}.json", f"{WIPED}.json.bak"):
        fields = json.loads((sessions / name).read_text())
        (sessions / name).write_text(json.dumps({**fields, "title": ODD, "enabled_toolsets": [float("nan")]}))
    return tmp_path / "hermes"


def run(*arguments: object, redirections: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as a shell runs it, with what it does to the streams."""
    return subprocess.run(
        ["bash", "-c", f'set -o pipefail; "$@" {redirections}', "-", *COMMAND, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
    )


def repaired(home: Path) -> bool:
    return bool(json.loads((home / "webui" / "sessions" / f"{WIPED}.json").read_text())["messages"])


@pytest.mark.parametrize("redirections", ["| true", "> /dev/full", ">&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_repair_whose_output_is_lost_is_done_and_says_so(
    home: Path, redirections: str, form: tuple[str, ...]
) -> None:
    done = run("repair", "--all", "--yes", *form, "--home", home, redirections=redirections)
    assert repaired(home)
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    if redirections in ("| true", "> /dev/full"):
        assert "3 of 3 sessions were repaired" in done.stderr and " undo " in done.stderr
    runs = json.loads(command("history", "--json", "--home", home).out)["runs"]
    assert [each["status"] for each in runs] == ["finished"]


def test_a_repair_that_nobody_can_read_asks_nobody(home: Path) -> None:
    done = run("repair", "--all", "--home", home, redirections="<&- | true")
    assert not repaired(home)
    assert done.returncode == 3
    assert "Nothing was changed" in done.stderr


def test_a_full_disk_is_named(home: Path, tmp_path: Path) -> None:
    done = run("audit", "--home", home, redirections="> /dev/full")
    assert done.returncode == 3
    assert "/dev/full" in done.stderr and "No space left on device" in done.stderr


@pytest.mark.parametrize(("session", "status"), [(HEALTHY, 3), ("--all", 1)])
def test_every_file_for_which_there_is_no_room_is_named(home: Path, tmp_path: Path, session: str, status: int) -> None:
    """A process that may write nothing hears it as from a full disk: without the name of the file."""
    arguments = [*COMMAND, "export", session, "-o", f"{tmp_path}/kept", "--home", str(home)]
    done = subprocess.run(["bash", "-c", 'ulimit -f 0; "$@"', "-", *arguments], capture_output=True, text=True)
    assert done.returncode == status
    assert all(f"{tmp_path}/kept" in line and "File too large" in line for line in done.stderr.splitlines())


@pytest.mark.parametrize("words", [("audit",), ("show", WIPED), ("diff", WIPED), ("report",), ("find", "question")])
@pytest.mark.parametrize(
    "environment",
    [{"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"PYTHONIOENCODING": "ascii"}],
    ids=["C", "ascii"],
)
def test_every_encoding_will_do(home: Path, words: tuple[str, ...], environment: dict[str, str]) -> None:
    done = run(*words, "--home", home, **environment)
    assert done.returncode in (0, 1), done.stderr
    assert "\x1b" not in done.stdout and "\x07" not in done.stdout
    assert done.stdout.isascii()


def no_constant(name: str) -> Any:
    raise AssertionError(name)


@pytest.mark.parametrize("words", [("audit",), ("show", WIPED), ("diff", WIPED), ("repair", "--all", "--dry-run")])
def test_json_is_json(home: Path, words: tuple[str, ...]) -> None:
    done = command(*words, "--json", "--home", home)
    assert json.loads(done.out, parse_constant=no_constant)


def test_no_closed_stream_becomes_a_file_of_the_store(home: Path) -> None:
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    run("audit", "--home", home, redirections="<&- >&- 2>&-")
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before
