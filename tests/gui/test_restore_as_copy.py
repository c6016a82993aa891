"""A session is restored as a copy from the window: asked about, made beside the old one, and taken back."""

from __future__ import annotations

import json
from collections.abc import Callable

from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.repairs.copy_dialog import CopyDialog
from hermes_rescue.gui.repairs.undo_dialog import UndoDialog
from hermes_rescue.gui.shell.main_window import MainWindow
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QApplication, QLabel, QMenu
from pytestqt.qtbot import QtBot

Open = Callable[..., MainWindow]
Scanned = Callable[[MainWindow], None]


def test_a_session_is_restored_as_a_copy_and_the_copy_is_undone(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    story = next(story for story in demo.stories if story.name == "wiped")
    folder = demo.home / "webui" / "sessions"

    def files() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.glob("*.json*") if path.name != "_index.json"}

    def asked() -> CopyDialog:
        window.actions_["repair_copy"].trigger()
        qtbot.waitUntil(lambda: isinstance(QApplication.activeModalWidget(), CopyDialog), timeout=20_000)
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, CopyDialog)
        return dialog

    def over() -> None:
        qtbot.waitUntil(lambda: not window.writer.is_busy, timeout=60_000)
        wait_scanned(window)

    window = open_window(StoreLocation(demo.home))
    window.table.select(story.session_id)
    wait_scanned(window)
    before = files()
    qtbot.keyClick(asked(), Qt.Key.Key_Return)  # Cancel has the keyboard
    over()
    assert files() == before

    dialog = asked()
    assert any("stays as it is" in label.text() for label in dialog.findChildren(QLabel))
    dialog.accept_button.click()
    over()
    (name,) = files().keys() - before.keys()
    made = json.loads(files()[name])
    assert story.title in made["title"] and made["title"] in window.result.text
    assert "restored at" in window.result.text and "1 restored at" in window.foot.text
    assert {each: files()[each] for each in before} == before
    assert window.table.current_id == story.session_id
    assert window.table.select(made["session_id"])
    wait_scanned(window)

    window.actions_["undo"].trigger()
    qtbot.waitUntil(lambda: isinstance(QApplication.activeModalWidget(), UndoDialog), timeout=20_000)
    dialog_of_undo = QApplication.activeModalWidget()
    assert isinstance(dialog_of_undo, UndoDialog)
    dialog_of_undo.undo.click()
    over()
    assert files() == before


def test_it_stands_in_the_menu_of_one_session(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    action = window.actions_["repair_copy"]
    window.of_sessions.show_menu(QPoint(0, 0))
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu) and action in menu.actions() and action.isEnabled()
    menu.close()
    window.table.view.selectAll()
    assert not action.isEnabled()
    wait_scanned(window)
