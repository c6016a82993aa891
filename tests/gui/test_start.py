"""A window that cannot be opened says what to install, or to type instead; it never ends in a crash."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hermes_rescue.gui.start import options

WINDOW = "from hermes_rescue.gui.__main__ import main; main()"
WITHOUT_QT = f"import sys; sys.modules['PySide6'] = None; {WINDOW}"
WITHOUT_A_LIBRARY = f"""
from hermes_rescue.core.base import system_libraries
system_libraries.QT = {{"libnot-here.so.0": "libnot-here0"}}
{WINDOW}
"""


def start(program: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    screenless = {name: value for name, value in os.environ.items() if name not in SCREEN}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(
        command, env={**screenless, **environment}, capture_output=True, text=True, check=False, timeout=60
    )


SCREEN = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")


def test_without_qt_it_says_what_to_install_and_what_to_type_instead(tmp_path: Path) -> None:
    done = start(WITHOUT_QT, "--home", tmp_path / "a home")
    assert done.returncode == 3
    assert "pip install 'hermes-rescue[gui]'" in done.stderr
    assert f"hermes-rescue audit --home '{tmp_path / 'a home'}'" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_it_names_the_terminal_that_lies_beside_it(tmp_path: Path) -> None:
    terminal = tmp_path / "the folder" / "hermes-rescue"
    terminal.parent.mkdir()
    terminal.touch(0o755)
    beside = f"import sys; sys.argv[0] = {str(terminal.with_name('hermes-rescue-gui'))!r}; {WITHOUT_QT}"
    assert f"'{terminal}' audit" in start(beside).stderr
    assert ": hermes-rescue audit" in start(beside, PATH=str(terminal.parent)).stderr
    from_there = (
        f"import os, sys; os.chdir({str(terminal.parent)!r}); sys.argv[0] = './hermes-rescue-gui'; {WITHOUT_QT}"
    )
    assert ": ./hermes-rescue audit" in start(from_there).stderr
    terminal.unlink()
    assert ": hermes-rescue audit" in start(beside).stderr


def test_without_qt_its_options_can_be_read() -> None:
    done = start(WITHOUT_QT, "--help")
    assert done.returncode == 0
    assert "--session-dir" in done.stdout


@pytest.mark.parametrize("option", ["--home", "--session-dir", "--state-db", "--also"])
def test_an_empty_place_is_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        options([option, ""])
    assert ended.value.code == 2
    assert "empty" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a screen")
@pytest.mark.parametrize(
    "screen",
    [
        {},
        {"DISPLAY": ":9871"},
        {"WAYLAND_DISPLAY": "not-here"},
        {"WAYLAND_DISPLAY": "not-here", "QT_QPA_PLATFORM": "wayland"},
        {"DISPLAY": "not-here:0", "QT_QPA_PLATFORM": "xcb"},
    ],
)
def test_without_a_screen_it_names_the_command_of_the_terminal(screen: dict[str, str]) -> None:
    done = start(WINDOW, **screen)
    assert done.returncode == 3
    assert done.stderr.startswith("hermes-rescue-gui: There is no screen")
    assert done.stderr.endswith("hermes-rescue audit\n")


@pytest.mark.skipif(sys.platform != "linux", reason="Qt brings its libraries on other systems")
def test_the_window_takes_the_places_that_the_terminal_takes() -> None:
    words = ["--home", "/a", "--session-dir", "/a/b", "--state-db", "/c.db", "--also", "/old.zip", "--also", "/older"]
    asked = options(words)
    assert asked.place == words
    assert asked.also == (Path("/old.zip"), Path("/older"))


def test_missing_system_libraries_are_named_in_one_line_to_type() -> None:
    done = start(WITHOUT_A_LIBRARY, QT_QPA_PLATFORM="offscreen")
    assert done.returncode == 3
    assert "sudo apt-get install -y libnot-here0\n" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="Qt brings its libraries on other systems")
def test_a_pdf_names_missing_system_libraries_too(tmp_path: Path) -> None:
    from hermes_rescue.core.demo.demo_store import make_demo_store

    made = make_demo_store(tmp_path / "demo")
    arguments = ["export", made.stories[0].session_id, "--form", "pdf", "--home", str(made.home)]
    program = WITHOUT_A_LIBRARY.replace(
        WINDOW,
        f"import sys; sys.modules['PySide6'] = None; sys.argv[1:] = {arguments!r}\n"
        "from hermes_rescue.core.__main__ import main; main()",
    )
    done = start(program)
    assert done.returncode == 3
    assert "pip install 'hermes-rescue[gui]'" in done.stderr
    assert "sudo apt-get install -y libnot-here0" in done.stderr
    assert "--form html" in done.stderr
    assert "Traceback" not in done.stderr
