"""How a command names its store and itself again, and what it tells of it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Rescue = Callable[..., tuple[int, str, str]]


@pytest.fixture
def wiped(hermes: Any) -> Any:
    hermes.write_live([], title="Kept title")
    hermes.write_backup(hermes.turns("a", "b"), title="Another title")
    return hermes


def suggestions(text: str) -> Iterator[list[str]]:
    """The commands of this program that a text suggests."""
    for line in text.splitlines():
        for found in re.findall(r"hermes-rescue [a-z].*?(?=    |$)", line):
            yield shlex.split(found)


def walk(wiped: Any, rescue: Rescue, options: tuple[object, ...]) -> Iterator[tuple[list[str], str]]:
    """What every command says on a store that is named by options."""
    sid = wiped.live.stem
    for words in (
        ["audit"],
        ["show", sid],
        ["show", "0123"],
        ["diff", sid],
        ["repair", "--all", "--dry-run"],
        ["leave", sid],
        ["repair", sid, "--yes"],
        ["history"],
        ["undo", "--yes"],
    ):
        _, out, err = rescue(*words, *options)
        yield words, out + err


def test_every_suggestion_names_the_store(wiped: Any, rescue: Rescue, tmp_path: Path) -> None:
    other = tmp_path / "old one"
    other.mkdir()
    options = ("--home", str(wiped.home), "--also", str(other))
    found = {words[0]: list(suggestions(text)) for words, text in walk(wiped, rescue, options)}
    assert [name for name, commands in found.items() if not commands] == ["undo"]
    for name, commands in found.items():
        assert all(shlex.join(options) in shlex.join(command) for command in commands), name


def test_a_suggestion_works_as_it_is_printed(wiped: Any, rescue: Rescue) -> None:
    named = ("--session-dir", wiped.sessions)
    _, out, _ = rescue("audit", *named)
    command = next(command for command in suggestions(out) if command[1] == "repair")
    assert rescue(*command[1:], "--yes")[0] == 0
    assert len(wiped.load()["messages"]) == 4


def test_a_store_that_nobody_named_needs_no_options(
    wiped: Any, rescue: Rescue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERMES_HOME", str(wiped.home))
    assert ["hermes-rescue", "repair", "--all"] in list(suggestions(rescue("audit")[1]))


def test_a_suggestion_is_called_as_the_command_was(wiped: Any) -> None:
    command = [sys.executable, "-m", "hermes_rescue.core", "audit", "--home", str(wiped.home)]
    out = subprocess.run(command, capture_output=True, text=True).stdout
    line = next(line for line in out.splitlines() if line.startswith("Next: "))
    suggested = shlex.split(line.removeprefix("Next: ").split("    ")[0])
    done = subprocess.run([*suggested, "--yes"], env={**os.environ, "PATH": os.path.dirname(sys.executable)})
    assert done.returncode == 0
    assert len(wiped.load()["messages"]) == 4


def test_options_before_a_command_of_the_vault_are_not_passed_over(wiped: Any, rescue: Rescue) -> None:
    status, out, err = rescue("vault", "--home", wiped.home, "prune", "--older-than", "1d", "--yes")
    assert (status, out) == (2, "")
    assert "prune" in err


def test_quiet_tells_by_the_status_only(wiped: Any, rescue: Rescue) -> None:
    home = ("--home", wiped.home)
    sid = wiped.live.stem
    assert rescue("audit", "--quiet", *home) == (1, "", "")
    assert rescue("diff", sid, "-q", *home) == (1, "", "")
    before = wiped.live.read_bytes()
    status, out, err = rescue("repair", "--all", "--quiet", *home)
    assert (status, out) == (2, "")
    assert "--yes" in err
    assert wiped.live.read_bytes() == before
    assert rescue("repair", "--all", "--quiet", "--yes", *home) == (0, "", "")
    assert len(wiped.load()["messages"]) == 4
    assert json.loads(rescue("audit", "--quiet", "--json", *home)[1])["status"] == "ok"
    status, out, err = rescue("show", "0123", "--quiet", *home)
    assert (status, out) == (3, "")
    assert err


def test_of_many_repairs_the_newest_are_shown_and_read(wiped: Any, rescue: Rescue) -> None:
    home = ("--home", wiped.home)
    assert rescue("repair", "--all", "--yes", *home)[0] == 0
    runs = wiped.home / "webui" / "rescue" / "runs"
    (newest,) = (each.name for each in runs.iterdir())
    older = [f"20200101T0000{k:02}Z-000000" for k in range(30)]
    for name in older:
        (runs / name).mkdir()  # which nobody can read
    out = rescue("history", *home)[1]
    assert newest in out
    assert older[-1] in out and older[0] not in out
    (command,) = (each for each in suggestions(out) if each[1] == "history")
    assert all(name in rescue(*command[1:])[1] for name in [newest, *older])
    assert len(json.loads(rescue("history", "--json", *home)[1])["runs"]) == 31


@pytest.mark.parametrize(
    ("words", "about"),
    [
        (["export", "--bogus"], ["export"]),
        (["watch", "--interval", "never"], ["watch"]),
        (["find"], ["find"]),
        (["vault", "prune"], ["vault", "prune"]),
        (["bogus"], []),
    ],
)
def test_what_is_typed_wrongly_leads_to_the_help_on_it(rescue: Rescue, words: list[str], about: list[str]) -> None:
    status, out, err = rescue(*words)
    assert (status, out) == (2, "")
    assert err.endswith(f". See: {shlex.join(['hermes-rescue', *about, '--help'])}\n")
    assert rescue(*about, "--help")[0] == 0
