"""The real window on real stores: private settings, no thread or dialog left behind, no warning of Qt unseen."""

from __future__ import annotations

import gc
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import shiboken6
from hermes_rescue.core.demo.demo_store import DemoStore, make_demo_store
from hermes_rescue.gui.background.jobs import Jobs
from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.shell.main_window import MainWindow
from hermes_rescue.gui.widgets import banners
from PySide6.QtCore import QEvent, QObject, QSettings, QThread, QTimer
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QApplication, QDialog, QMenu
from pytestqt.qtbot import QtBot


@pytest.fixture(autouse=True)
def private_settings(tmp_path: Path) -> None:
    """Settings that a test opens by the program's name are its own too."""
    for form in (QSettings.Format.NativeFormat, QSettings.Format.IniFormat):
        QSettings.setPath(form, QSettings.Scope.UserScope, str(tmp_path / "config"))


@pytest.fixture(autouse=True)
def nothing_left(qapp: QApplication) -> Iterator[None]:
    """Whatever a test started has ended with it: no thread runs, no timer is on, no window, dialog or menu is open."""
    threads = set(threading.enumerate())
    before = _running()  # what another test left is that test's fault
    yield
    qapp.processEvents()
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    # What Qt's threads leave in Python's list as soon as they have asked who they are is no thread any more.
    left: list[object] = [t for t in set(threading.enumerate()) - threads if not isinstance(t, threading._DummyThread)]
    assert [*left, *(each for each in _running() if each not in before)] == []


def _running() -> list[QObject]:
    kinds = _kinds(QObject)
    return [found for found in gc.get_objects() if type(found) in kinds and shiboken6.isValid(found) and _is_on(found)]


def _kinds(of: type) -> set[type]:
    return {of}.union(*map(_kinds, of.__subclasses__()))


def _is_on(found: QObject) -> bool:
    if isinstance(found, QThread):
        return found.isRunning() and found is not QApplication.instance().thread()  # type: ignore[union-attr]
    if isinstance(found, QTimer):
        return found.isActive()
    return isinstance(found, QDialog) or (isinstance(found, QMenu | MainWindow) and found.isVisible())


@pytest.fixture
def settings(tmp_path: Path) -> QSettings:
    return QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)


@pytest.fixture(scope="session")
def new_demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[DemoStore, Path]:
    """The demo store, and where it is kept as it was made. Its sessions name the place that it is made for."""
    made = make_demo_store(tmp_path_factory.mktemp("demo") / "demo")
    return made, made.home.rename(made.home.with_name("kept"))


@pytest.fixture
def demo(new_demo: tuple[DemoStore, Path]) -> DemoStore:
    """The demo store as it was made; what the test before did to it is gone."""
    made, kept = new_demo
    shutil.rmtree(made.home, ignore_errors=True)
    shutil.copytree(kept, made.home, symlinks=True)
    return made


Open = Callable[[StoreLocation], MainWindow]


@pytest.fixture
def open_window(qapp: QApplication, qtbot: QtBot, settings: QSettings) -> Iterator[Open]:
    """Opens windows; each has checked its store when it is returned. At the end all are closed: nothing may be left but
    the threads that were told to stop, which no window waits for.
    """
    windows: list[MainWindow] = []

    def open_one(place: StoreLocation, *, wait: bool = True) -> MainWindow:
        if not windows:  # as in a program that has just started; else Qt dresses each widget anew wherever it is put
            qapp.setStyleSheet("")
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
    Jobs.wait()
    for window in windows:
        window.deleteLater()


def scanned(qtbot: QtBot, window: MainWindow) -> None:
    """Wait until the store was checked and the selected session is shown."""
    qtbot.waitUntil(lambda: not window.history_controller.is_reading, timeout=60_000)
    qtbot.waitUntil(lambda: window.actions_["export"].isEnabled() or window.no_store.isVisible(), timeout=60_000)
    qtbot.waitUntil(lambda: window.review.session_id == window.table.current_id, timeout=60_000)


@pytest.fixture
def wait_scanned(qtbot: QtBot) -> Callable[[MainWindow], None]:
    return lambda window: scanned(qtbot, window)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a screen reader was asked to say, in order."""
    said: list[str] = []

    class Reader(QAccessible):
        @staticmethod
        def updateAccessibility(event: Any) -> None:
            said.append(event.message())

    monkeypatch.setattr(banners, "QAccessible", Reader)
    return said


@pytest.fixture(autouse=True)
def no_qt_warnings(qtlog: Any) -> Iterator[None]:
    """Whatever Qt warns about is a defect of ours, but for what the offscreen platform cannot do."""
    yield
    said = [record.message for record in qtlog.records if not record.message.startswith("This plugin does not support")]
    assert said == []
