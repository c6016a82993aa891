"""The table of commands: the window and the terminal can do the same things, and say so."""

from __future__ import annotations

import shlex
from importlib import import_module
from typing import Any

import pytest
from hermes_rescue.core.base.errors import RescueError
from hermes_rescue.core.merge.choices import Choices
from hermes_rescue.core.terminal.commands import app, main
from hermes_rescue.gui.widgets import theme
from hermes_rescue.gui.widgets.commands import COMMANDS, Actions, command_line
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMainWindow, QMenu
from pytestqt.qtbot import QtBot

for file in ("about", "export", "find", "importing", "listing", "repairs", "vault", "watch"):
    import_module(f"hermes_rescue.core.terminal.{file}")  # brings its commands
TERMINAL = {*app.commands}


def test_what_the_terminal_can_do_the_window_can() -> None:
    no_command = {"leave", "list", "diagnostics", "licences", "vault"}  # where they belong, without a command
    for_programs = {"watch"}
    assert {command.cli.split()[0] for command in COMMANDS if command.cli} | no_command | for_programs == TERMINAL


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.cli], ids=lambda command: command.name)
def test_the_line_of_a_command_is_one_that_the_terminal_understands(command: Any, rescue: Any, tmp_path: Any) -> None:
    """It may find no store there, but it must not be wrong usage."""
    place = [] if command.cli.startswith("demo") else ["--home", str(tmp_path / "a b")]
    line = command_line(command, place, ["0123456789ab"])
    words = [
        {"DIR": str(tmp_path), "FILE": str(tmp_path / "x.md"), "PATH": str(tmp_path)}.get(word, word)
        for word in shlex.split(line)
    ]
    assert words[0] == "hermes-rescue"
    status, _, err = rescue(*words[1:])
    assert status in (0, 3), err


def test_a_command_for_sessions_needs_one() -> None:
    assert command_line(next(c for c in COMMANDS if c.name == "copy_command"), [], []) == ""


@given(
    st.frozensets(st.integers(0, 300)),
    st.frozensets(st.integers(0, 300)),
    st.dictionaries(st.sampled_from(["title", "pinned", "it's"]), st.sampled_from(["backup", "run journal", "temp 2"])),
)
def test_what_was_chosen_in_the_window_can_be_typed_on_the_terminal(
    include: frozenset[int], exclude: frozenset[int], fields: dict[str, str]
) -> None:
    choices = Choices(
        include, exclude, fields=fields, made_on="0123456789ab" if include | exclude | set(fields) else ""
    )
    told: list[Any] = []

    def plan(_: Any, session_ids: Any, *, choices: Any, **__: Any) -> Any:
        told.append((session_ids, choices))
        raise RescueError("enough")

    copied = next(c for c in COMMANDS if c.name == "copy_command")
    line = command_line(copied, ["--home", "/tmp"], ["0123"], {"0123": choices} if choices != Choices() else {})
    if choices == Choices():
        assert line == "hermes-rescue show 0123 --home /tmp"
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hermes_rescue.core.hermes.store.find_store", lambda **_: None)
        patch.setattr("hermes_rescue.core.terminal.names._is_id", lambda *_: True)
        patch.setattr("hermes_rescue.core.api.plan", plan)
        patch.setattr("sys.argv", shlex.split(line))
        with pytest.raises(SystemExit):
            main()
    assert told == [(["0123"], {"0123": choices})]


def test_names_and_shortcuts_are_used_once() -> None:
    names = [command.name for command in COMMANDS]
    keys = [QKeySequence(key).toString() for command in COMMANDS for key in command.shortcuts]
    assert len(set(names)) == len(names)
    assert len(set(keys)) == len(keys)
    assert all(keys)


def test_every_action_has_words_a_tip_and_a_menu(qtbot: QtBot) -> None:
    window = QMainWindow()
    qtbot.addWidget(window)
    actions = Actions(window, theme.load("light"))
    actions.fill(window.menuBar())
    menus = [menu for action in window.menuBar().actions() if isinstance(menu := action.menu(), QMenu)]
    listed = [action for menu in menus for action in menu.actions() if not action.isSeparator()]
    assert len(listed) == len([command for command in COMMANDS if command.menu != "save"])  # which has its own menu
    for action in listed:
        assert isinstance(action, QAction)
        assert action.text()
        assert action.toolTip() != action.text()
