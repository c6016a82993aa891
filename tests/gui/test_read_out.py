"""What a screen reader gets to know of the window: its parts in order, with names, and nothing of their markup."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.gui.background.place import Place
from hermes_rescue.gui.shell.main_window import MainWindow
from PySide6.QtGui import QAccessible, QAccessibleInterface
from pytestqt.qtbot import QtBot

Open = Callable[..., MainWindow]
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
    window = open_window(Place(demo.home))
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
    window = open_window(Place(demo.home))
    window.resize(700, 500)  # where texts are cut, and have tips
    window.tools.filter.setText("naxos")
    qtbot.waitUntil(lambda: not window.search.is_busy and window.search.hits.rowCount() > 0, timeout=60_000)
    found = read_out(window)
    assert [part for part in found if any(mark in text for text in part[1:] for mark in ("<qt>", "<br>", "&lt;"))] == []
    takes_a_press = (QAccessible.Role.Button, QAccessible.Role.ButtonMenu, QAccessible.Role.CheckBox)
    assert [part for part in found if part[0] in takes_a_press and not part[1]] == []
