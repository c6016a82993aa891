"""What a screen reader gets to know of the window: its parts in order, with names, and nothing of their markup."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.repairs.repair_dialog import RepairDialog
from hermes_rescue.gui.review.review_pane import CHANGES, CONVERSATION
from hermes_rescue.gui.shell.main_window import MainWindow
from hermes_rescue.gui.view_model.formatting import day
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QAccessibleInterface
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.test_window import when_asked

Open = Callable[..., MainWindow]
Scanned = Callable[[MainWindow], None]
Part = tuple[QAccessible.Role, str, str]


def parts(node: QAccessibleInterface) -> Iterator[Part]:
    """Role, name and description of all that shows, in the order in which it is read out."""
    if node.state().invisible:
        return
    yield node.role(), node.text(QAccessible.Text.Name), node.text(QAccessible.Text.Description)
    for at in range(min(node.childCount(), 30)):
        child = node.child(at)
        if child is not None and child.isValid():
            yield from parts(child)


def read_out(window: MainWindow) -> list[Part]:
    return [*parts(QAccessible.queryAccessibleInterface(window))]


def test_the_sessions_come_first_then_the_head_then_the_conversation(
    qtbot: QtBot, open_window: Open, demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    names = [name for role, name, _ in read_out(window) if role is not QAccessible.Role.MenuItem]
    wanted = ["Search titles and messages", "Sessions", window.review.head.title.text(), "Restore this session"]
    places = [names.index(name) for name in wanted]
    assert places == sorted(places)
    lists = [name for role, name, _ in read_out(window) if role is QAccessible.Role.List]
    assert lists == ["Sessions", "Conversation"]
    assert [role for role, _, _ in read_out(window)].count(QAccessible.Role.PageTab) == 4


def test_nothing_is_read_out_as_markup_and_no_button_is_nameless(
    qtbot: QtBot, open_window: Open, demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    window.resize(700, 500)  # where texts are cut, and have tips
    window.tools.filter.setText("naxos")
    qtbot.waitUntil(lambda: not window.search.is_busy and window.search.hits.rowCount() > 0, timeout=60_000)
    found = read_out(window)
    assert [part for part in found if any(mark in text for text in part[1:] for mark in ("<qt>", "<br>", "&lt;"))] == []
    fields = [part for part in found if part[0] is QAccessible.Role.EditableText]
    assert fields
    assert [part for part in fields if part[1] == part[2]] == []  # Qt says a placeholder once more
    takes_a_press = (QAccessible.Role.Button, QAccessible.Role.ButtonMenu, QAccessible.Role.CheckBox)
    window.review.conversation.find_words("the")
    found += read_out(window)  # with what comes beside the words
    assert [part for part in found if part[0] in takes_a_press and not part[1]] == []


def test_one_key_goes_round_the_panes(qtbot: QtBot, open_window: Open, demo: DemoStore) -> None:
    window = open_window(StoreLocation(demo.home))
    with qtbot.waitActive(window):
        window.activateWindow()
    window.table.view.setFocus()
    panes = (window.review.head.repair, window.review.conversation.list, window.table.view)
    for wanted in (*panes, *panes):
        qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_F6)
        assert QApplication.focusWidget() is wanted


@pytest.mark.parametrize("page", range(CHANGES, CHANGES + 3))
def test_the_same_key_leads_to_what_a_page_shows_and_tab_back_to_what_stands_above_it(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, page: int
) -> None:
    window = open_window(StoreLocation(demo.home))
    with qtbot.waitActive(window):
        window.activateWindow()
    window.table.select(next(each.session_id for each in demo.stories if each.name == "wiped"))
    wait_scanned(window)
    window.review.tabs.setCurrentIndex(page)
    window.review.head.repair.setFocus()
    qtbot.keyClick(window.review.head.repair, Qt.Key.Key_F6)
    shown = window.review.difference.pages.currentWidget()
    entry = QApplication.focusWidget()
    assert shown is not None and entry is not None
    assert shown is entry or shown.isAncestorOf(entry)
    before = set[QWidget | None]()
    while (widget := QApplication.focusWidget()) not in before:
        before.add(widget)
        qtbot.keyClick(widget, Qt.Key.Key_Tab, Qt.KeyboardModifier.ShiftModifier)
    assert {window.review.difference.left_picker, window.review.difference.right_picker} <= before


def test_a_screen_reader_gets_to_the_result_and_to_the_answers(
    qtbot: QtBot, open_window: Open, demo: DemoStore, heard: list[str]
) -> None:
    window = open_window(StoreLocation(demo.home))
    window.result.show_outcome("It is back.", good=True, can_undo=True)
    names = [name for _, name, _ in read_out(window)]
    assert "It is back." in names
    window.review.head.why.click()
    labels = [label.text() for label in window.review.head.popup.findChildren(QLabel)]
    assert labels and all(text.rstrip(".") in heard[-1] for text in labels)
    assert window.review.head.popup.guide.hasFocus()
    window.review.head.popup.hide()


def test_buttons_are_read_in_the_order_in_which_they_stand_and_the_picture_is_no_mere_box(
    qtbot: QtBot, open_window: Open, demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    head = window.review.head
    buttons = sorted((b for b in head._side.findChildren(QAbstractButton) if b.isVisible()), key=lambda b: b.y())
    wanted = [button.text() for button in buttons]
    assert [name for _, name, _ in read_out(window) if name in wanted] == wanted
    assert (QAccessible.Role.StaticText, window.review.coverage.accessibleName()) in [
        part[:2] for part in read_out(window)
    ]


def test_the_message_that_a_key_leads_to_is_the_selected_one(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    """A screen reader looks in a list for what is selected, and reads nothing where that is nothing."""
    window = open_window(StoreLocation(demo.home))
    window.table.select(next(each.session_id for each in demo.stories if each.name == "wiped"))
    wait_scanned(window)
    for page, shown in ((CONVERSATION, window.review.conversation.list), (CHANGES, window.review.difference.list)):
        window.review.tabs.setCurrentIndex(page)
        shown.setFocus()
        for key in (Qt.Key.Key_Home, Qt.Key.Key_Down, Qt.Key.Key_Down, Qt.Key.Key_End, Qt.Key.Key_PageUp):
            qtbot.keyClick(shown, key)
            assert [index.row() for index in shown.selectedIndexes()] == [shown.current()]


def test_a_row_says_its_date_and_every_sentence_ends_once(qtbot: QtBot, open_window: Open, demo: DemoStore) -> None:
    window = open_window(StoreLocation(demo.home))
    model = window.table.sessions
    for at in range(model.rowCount()):
        said = model.index(at, 0).data(Qt.ItemDataRole.AccessibleTextRole)
        assert day(model.row_at(at).session.updated) in said
        assert not [twice for twice in ("..", "?.", "!.") if twice in said]


def test_enter_presses_the_button_that_has_the_keyboard(qtbot: QtBot, open_window: Open, demo: DemoStore) -> None:
    window = open_window(StoreLocation(demo.home))
    with qtbot.waitActive(window):
        window.activateWindow()
    when_asked(qtbot, RepairDialog, lambda dialog: qtbot.keyClick(dialog.cancel, Qt.Key.Key_Return))
    with qtbot.waitSignal(window.writer.ended, timeout=60_000):
        window.review.head.repair.setFocus()
        qtbot.keyClick(window.review.head.repair, Qt.Key.Key_Return)
