"""Every text larger or smaller, by keys and by the wheel; the window is so the next time as well."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.shell.main_window import MainWindow
from hermes_rescue.gui.shell.window_settings import WindowSettings
from PySide6.QtCore import QPoint, QPointF, QSettings, Qt
from PySide6.QtGui import QFontInfo, QWheelEvent
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

Open = Callable[..., MainWindow]
CTRL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture(autouse=True)
def size_of_the_system() -> Iterator[float]:
    """The size of the text before, which is put back."""
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    font = app.font()
    yield QFontInfo(font).pointSizeF()
    app.setFont(font)
    app.setProperty("systemPointSize", None)


def turn(over: QWidget, steps: int) -> None:
    at = QPointF(over.rect().center())
    event = QWheelEvent(
        at, over.mapToGlobal(at), QPoint(), QPoint(0, 120 * steps), Qt.MouseButton.NoButton, CTRL,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(over, event)


def sizes(window: MainWindow) -> set[int]:
    """The heights of a line in parts that are drawn in different ways."""
    parts = (window.table.view, window.review.head.evidence, window.review.conversation.list, window.foot._text)
    return {part.fontMetrics().height() for part in parts}


def test_keys_and_wheel_change_every_text_and_the_next_window_is_so(
    qtbot: QtBot, open_window: Open, demo: DemoStore, size_of_the_system: float
) -> None:
    window = open_window(StoreLocation(demo.home))
    (usual,) = sizes(window)
    qtbot.keyClick(window, Qt.Key.Key_Plus, CTRL)
    (larger,) = sizes(window)
    assert larger > usual
    head = window.review.head
    assert head.title.font().pointSizeF() > 1.2 * head.font().pointSizeF()
    conversation = window.review.conversation.list
    scrolled = conversation.verticalScrollBar().value()
    turn(conversation.viewport(), 1)
    (largest,) = sizes(window)
    assert largest > larger
    assert conversation.verticalScrollBar().value() == scrolled
    turn(conversation.viewport(), -1)
    assert sizes(window) == {larger}
    window.close()
    again = open_window(StoreLocation(demo.home))
    assert sizes(again) == {larger}
    qtbot.keyClick(again, Qt.Key.Key_0, CTRL)
    assert sizes(again) == {usual}
    assert QFontInfo(QApplication.font()).pointSizeF() == size_of_the_system


def test_a_program_that_has_just_started_is_as_the_one_before(
    qtbot: QtBot, open_window: Open, demo: DemoStore, settings: QSettings, size_of_the_system: float
) -> None:
    settings.setValue("zoom", 1.5)
    window = open_window(StoreLocation(demo.home))
    (larger,) = sizes(window)
    assert QFontInfo(QApplication.font()).pointSizeF() > size_of_the_system
    assert larger == window.fontMetrics().height()
    qtbot.keyClick(window, Qt.Key.Key_0, CTRL)
    (usual,) = sizes(window)
    assert larger > usual


def test_it_ends_at_the_smallest_and_the_largest_size(qtbot: QtBot, open_window: Open, demo: DemoStore) -> None:
    window = open_window(StoreLocation(demo.home))
    for key in (Qt.Key.Key_Plus, Qt.Key.Key_Minus):
        seen = [sizes(window)]
        while len(seen) < 20 and seen[-1] not in seen[:-1]:
            qtbot.keyClick(window, key, CTRL)
            seen.append(sizes(window))
        assert seen[-1] == seen[-2] and len(seen) > 3
        assert window.width() <= 2_000


@pytest.mark.parametrize("kept", ["nan", "", "large"])
def test_what_is_no_size_counts_as_forgotten(tmp_path: Path, kept: str) -> None:
    settings = QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)
    usual = WindowSettings(settings).zoom
    settings.setValue("zoom", kept)
    assert WindowSettings(settings).zoom == usual
