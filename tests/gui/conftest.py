"""The real window on real stores: private settings, no thread or dialog left behind, no warning of Qt unseen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from core.demo import DemoStore, make_demo_store
from gui.main_window import MainWindow
from gui.place import Place


@pytest.fixture
def settings(tmp_path: Path) -> QSettings:
    return QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)


@pytest.fixture
def demo(tmp_path: Path) -> DemoStore:
    return make_demo_store(tmp_path / "demo")


Open = Callable[[Place], MainWindow]


@pytest.fixture
def open_window(qtbot: QtBot, settings: QSettings) -> Iterator[Open]:
    """Opens windows; each has checked its store when it is returned. At the end all are closed: nothing may be left."""
    windows: list[MainWindow] = []

    def open_one(place: Place, *, wait: bool = True) -> MainWindow:
        window = MainWindow(place, settings)
        windows.append(window)
        with qtbot.waitExposed(window):
            window.show()
        if wait:
            scanned(qtbot, window)
        return window

    yield open_one
    for window in windows:
        window.close()
        assert not window.isVisible()
    left = [w for w in QApplication.topLevelWidgets() if w.isVisible()]
    assert left == []


def scanned(qtbot: QtBot, window: MainWindow) -> None:
    """Wait until the store was checked and the selected session is shown."""
    qtbot.waitUntil(lambda: not window.lookback.is_reading, timeout=20_000)
    qtbot.waitUntil(lambda: window.actions_["export"].isEnabled() or window.no_store.isVisible(), timeout=20_000)
    qtbot.waitUntil(lambda: window.review.session_id == window.table.current_id, timeout=20_000)


@pytest.fixture
def wait_scanned(qtbot: QtBot) -> Callable[[MainWindow], None]:
    return lambda window: scanned(qtbot, window)


@pytest.fixture(autouse=True)
def no_qt_warnings(qtlog: Any) -> Iterator[None]:
    """Whatever Qt warns about is a defect of ours, but for what the offscreen platform cannot do."""
    yield
    said = [record.message for record in qtlog.records if not record.message.startswith("This plugin does not support")]
    assert said == []
