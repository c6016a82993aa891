"""The line that says what a work came to: read, and put away with Esc wherever nothing else needs that key."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hermes_rescue.core.audit.findings import Standing
from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.shell.main_window import MainWindow
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

Open = Callable[..., MainWindow]


@pytest.fixture
def window(qtbot: QtBot, open_window: Open, demo: DemoStore) -> MainWindow:
    shown = open_window(StoreLocation(demo.home))
    with qtbot.waitActive(shown):
        shown.activateWindow()
    shown.result.show_outcome("It is back.", good=True, can_undo=True)
    return shown


def press_esc(qtbot: QtBot) -> None:
    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Escape)


def test_esc_in_it_puts_it_away_and_the_keyboard_goes_to_the_sessions(qtbot: QtBot, window: MainWindow) -> None:
    window.result.buttons[3].setFocus()
    press_esc(qtbot)
    assert window.result.isHidden()
    assert window.table.view.hasFocus()


def test_so_it_does_with_its_own_button(qtbot: QtBot, window: MainWindow) -> None:
    qtbot.mouseClick(window.result._close, Qt.MouseButton.LeftButton)
    assert window.result.isHidden()
    assert window.table.view.hasFocus()


@pytest.mark.parametrize("where", ["sessions", "a button"])
def test_esc_puts_it_away_where_nothing_else_takes_that_key(qtbot: QtBot, window: MainWindow, where: str) -> None:
    keyboard = window.table.view if where == "sessions" else window.review.head.repair
    keyboard.setFocus()
    press_esc(qtbot)
    assert window.result.isHidden()
    assert keyboard.hasFocus()


def test_esc_in_the_sessions_first_goes_back_to_one_and_then_to_all_of_them(qtbot: QtBot, window: MainWindow) -> None:
    window.chips._chips[Standing.REPAIRABLE].click()
    view = window.table.view
    view.setFocus()
    view.selectAll()
    press_esc(qtbot)
    assert len(view.selected_ids()) == 1 and not window.result.isHidden()
    press_esc(qtbot)
    assert window.table.sessions.visible_count == window.table.sessions.total_count and not window.result.isHidden()
    press_esc(qtbot)
    assert window.result.isHidden()


def test_esc_in_a_search_first_ends_that(qtbot: QtBot, window: MainWindow) -> None:
    window.tools.filter.setFocus()
    with qtbot.waitSignal(window.search.begun):
        qtbot.keyClicks(window.tools.filter, "ferry")
    press_esc(qtbot)
    assert window.tools.filter.text() == "" and not window.result.isHidden()


def test_what_is_said_last_can_be_scrolled_above_it_and_nothing_moves_for_that(
    qtbot: QtBot, window: MainWindow, demo: DemoStore, wait_scanned: Callable[[MainWindow], None]
) -> None:
    window.result.hide()
    window.table.select(next(each.session_id for each in demo.stories if each.name == "wiped"))
    wait_scanned(window)
    shown = window.review.conversation.list
    shown.jump_to(shown.model().rowCount() - 1)
    bar, last = shown.verticalScrollBar(), shown.currentIndex()
    before = bar.value()
    assert before == bar.maximum()
    window.result.show_outcome("It is back.", good=True)
    assert bar.value() == before
    bar.setValue(bar.maximum())
    end = shown.viewport().mapToGlobal(shown.visualRect(last).bottomLeft())
    assert end.y() < window.result.mapToGlobal(QPoint()).y()
    window.table.view.setFocus()
    press_esc(qtbot)
    assert bar.value() == bar.maximum() == before
