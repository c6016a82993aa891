"""The first window: it opens, tells what an audit finds, changes nothing in the store, and closes at any time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from PySide6.QtCore import QSettings, Qt
from pytestqt.qtbot import QtBot

from core.audit import audit
from core.store import find_store
from gui.app import AuditThread, MainWindow


@pytest.fixture
def settings(tmp_path: Path) -> QSettings:
    return QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)


Open = Callable[[Path], MainWindow]


@pytest.fixture
def open_window(qtbot: QtBot, settings: QSettings) -> Iterator[Open]:
    """Opens windows on Hermes homes. All are closed at the end: a window must outlive its thread."""
    windows: list[MainWindow] = []

    def open_one(home: Path) -> MainWindow:
        windows.append(MainWindow(AuditThread(partial(find_store, home=home)), settings))
        with qtbot.waitActive(windows[-1]):
            windows[-1].show()
        return windows[-1]

    yield open_one
    for window in windows:
        window.close()


def test_it_tells_how_much_was_found_and_leaves_no_trace(
    qtbot: QtBot, open_window: Open, corpus: Callable[[str], Path], snapshot: Callable[[Path], object]
) -> None:
    home = corpus("a") / "store"
    findings = len(audit(find_store(home=home)).findings)
    before = snapshot(home)
    window = open_window(home)
    qtbot.waitUntil(lambda: window.label.text().startswith(f"{findings} findings "), timeout=30_000)
    assert "hermes-rescue" in window.label.text()
    window.close()
    assert snapshot(home) == before


def test_where_there_is_no_store_it_says_where_it_looked(qtbot: QtBot, open_window: Open, tmp_path: Path) -> None:
    window = open_window(tmp_path / "nowhere")
    qtbot.waitUntil(lambda: str(tmp_path / "nowhere") in window.label.text())


def test_quit_closes_it_while_the_audit_runs(qtbot: QtBot, open_window: Open, corpus: Callable[[str], Path]) -> None:
    window = open_window(corpus("b") / "store")
    qtbot.keyClick(window, Qt.Key.Key_Q, Qt.KeyboardModifier.ControlModifier)
    assert not window.isVisible()
    assert window.audit_thread.isFinished()


def test_its_place_is_remembered(qtbot: QtBot, open_window: Open, tmp_path: Path) -> None:
    first = open_window(tmp_path)
    first.setGeometry(40, 50, 333, 222)
    first.close()
    second = open_window(tmp_path)
    assert (second.width(), second.height()) == (333, 222)


PROGRAM = """
from PySide6.QtCore import QTimer
from gui import app

class ClosesAtOnce(app.MainWindow):
    def showEvent(self, event):
        QTimer.singleShot(0, self.close)

app.MainWindow = ClosesAtOnce
app.main()
"""


@pytest.mark.parametrize(("arguments", "status"), [([], 0), (["--reset-settings"], 0), (["--help"], 0), (["--huh"], 2)])
def test_the_command_starts_and_ends(arguments: list[str], status: int) -> None:
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stderr
