"""What comes before Qt is loaded: the options, and whether a window can be opened at all.

Qt ends the whole process where it finds no screen or misses a library, so that is looked at first.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from hermes_rescue.core.base import system_libraries
from hermes_rescue.core.base.program import NAME
from hermes_rescue.core.base.words import typed

FAILED = 3
"""The exit status of a window that cannot be opened, as the terminal has it for what could not be done."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for on the command line."""

    home: Path | None
    session_dir: Path | None
    state_dbs: tuple[Path, ...]
    also: tuple[Path, ...]
    reset_settings: bool

    @property
    def place(self) -> list[str]:
        """The options that name the store, as they are typed."""
        words = [("--home", self.home), ("--session-dir", self.session_dir)]
        words += [("--state-db", path) for path in self.state_dbs]
        words += [("--also", path) for path in self.also]
        return [word for name, path in words if path is not None for word in (name, str(path))]


def options(arguments: Sequence[str]) -> Options:
    """What some words on the command line ask for. Raises SystemExit where they are wrong, or ask for help."""
    parser = argparse.ArgumentParser(prog="hermes-rescue-gui", description="The window of Hermes Rescue.")
    parser.add_argument("--home", type=_place, help="the Hermes home, if not the usual one")
    parser.add_argument("--session-dir", type=_place, help="the sessions folder of a WebUI, alone or beside a home")
    parser.add_argument("--state-db", type=_place, action="append", default=[], help="a database of the agent")
    parser.add_argument(
        "--also", type=_place, action="append", default=[], help="a further place to look for copies in"
    )
    parser.add_argument("--reset-settings", action="store_true", help="forget how the window was")
    asked = parser.parse_args(arguments)
    return Options(
        asked.home, asked.session_dir, tuple(asked.state_db), tuple(asked.also), reset_settings=asked.reset_settings
    )


def _place(text: str) -> Path:
    """A path as it was typed. An empty one, which Python takes for the current folder, is refused."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty; name a file or folder (the current one is called '.')")
    return Path(text)


def require_window(asked: Options) -> None:
    """Ends the program, with what to install or to type instead, where no window can be opened."""
    reason = _reason()
    if reason:
        command = typed([_terminal(), "audit", *asked.place])
        _print(f"{reason}\nThe terminal does the same without a window: {command}")
        raise SystemExit(FAILED)


def _terminal() -> str:
    """The program of the terminal, as it is typed: that beside this one, unless the shell finds it by its name."""
    beside = os.path.join(os.path.dirname(sys.argv[0]), NAME)  # a Path would lose the "./"
    return NAME if shutil.which(NAME) == beside or not os.path.isfile(beside) else beside


def _reason() -> str:
    """Why no window can be opened, and what helps; empty where nothing is known to be in the way."""
    if find_spec("PySide6") is None:
        return "The window needs Qt, which is not installed. Type: pip install 'hermes-rescue[gui]'"
    screens = _screens()
    if not screens:
        return "There is no screen to open a window on (DISPLAY and WAYLAND_DISPLAY name none that answers)."
    missing = [system_libraries.missing_packages(system_libraries.QT, libraries) for libraries in screens]
    if all(missing):
        line = system_libraries.install_line(missing[0])
        return f"The window needs libraries that this system lacks. On Debian and Ubuntu, type: {line}"
    try:
        import PySide6.QtWidgets  # noqa: F401
    except ImportError as error:
        return f"Qt cannot be loaded here: {error}. Type: pip install --force-reinstall 'hermes-rescue[gui]'"
    return ""


def _screens() -> list[Mapping[str, str]]:
    """For each screen that Qt can open a window on, the libraries that it needs for that."""
    platform = os.environ.get("QT_QPA_PLATFORM", "").partition(":")[0]
    if sys.platform != "linux" or platform not in ("", "xcb", "wayland"):
        return [{}]
    screens = []
    if platform != "wayland" and _x11_answers():
        screens.append(system_libraries.X11)
    if platform != "xcb" and _wayland_answers():
        screens.append(system_libraries.WAYLAND)
    return screens


def _wayland_answers() -> bool:
    name = os.environ.get("WAYLAND_DISPLAY", "")
    if sys.platform == "win32" or not name:
        return False
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(os.path.join(os.environ.get("XDG_RUNTIME_DIR", ""), name))
        except OSError:
            return False
    return True


def _x11_answers() -> bool:
    """Whether the X server that DISPLAY names lets this user in."""
    if not os.environ.get("DISPLAY"):
        return False
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
    except OSError:
        return True  # the missing libraries are reported
    xcb.xcb_connect.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(xcb.xcb_connect(None, None))
    error: int = xcb.xcb_connection_has_error(connection)
    xcb.xcb_disconnect(connection)
    return error == 0


def _print(text: str) -> None:
    if sys.platform == "win32" and sys.stderr is None:  # a program without a console
        ctypes.windll.user32.MessageBoxW(None, text, "Hermes Rescue", 0x10)
    else:
        print(f"hermes-rescue-gui: {text}", file=sys.stderr)
