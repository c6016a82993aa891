"""Nothing wanders: whatever session is chosen, and whatever the window tells, its controls stay in their places."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from hermes_rescue.core.audit.findings import Standing
from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.gui.background.reader import ReaderThread
from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.repairs.repair_dialog import RepairDialog
from hermes_rescue.gui.shell.main_window import MainWindow
from hermes_rescue.gui.view_model.coverage import lane_count, lane_label
from hermes_rescue.gui.view_model.session_line import line_of
from PySide6.QtCore import QPoint, QRect
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.test_window import finished, when_asked

Open = Callable[..., MainWindow]
Scanned = Callable[[MainWindow], None]


def controls(window: MainWindow) -> dict[str, QWidget]:
    """What a hand goes to, by a name."""
    review = window.review
    return {
        "store": window.tools.store_button,
        "filter": window.tools.filter,
        "first chip": window.chips._chips[Standing.REPAIRABLE],
        "list": window.table.view,
        "head": review.head,
        "title": review.head.title,
        "restore": review.head.repair,
        "why": review.head.why,
        "tabs": review.tabs,
        "find": review.conversation.find_bar.field,
        "conversation": review.conversation.list,
        "history": window.foot.history,
        "undo": window.tools._buttons["undo"],
    }


def corners(window: MainWindow) -> dict[str, QPoint]:
    """Where the controls that show begin."""
    QApplication.processEvents()
    return {name: w.mapTo(window, QPoint()) for name, w in controls(window).items() if w.isVisible()}


@pytest.mark.parametrize("size", [(1280, 760), (1920, 1080)])
def test_every_story_leaves_the_controls_where_they_are(
    open_window: Open, wait_scanned: Scanned, demo: DemoStore, size: tuple[int, int]
) -> None:
    window = open_window(StoreLocation(demo.home))
    window.resize(*size)
    first = corners(window)
    height = window.review.head.height()
    for story in demo.stories:
        assert window.table.select(story.session_id), story.name
        wait_scanned(window)
        now = corners(window)
        assert {name: at for name, at in now.items() if first.get(name, at) != at} == {}, story.name
        first |= now
        assert window.review.head.height() == height, story.name
        for part in (window.review.head.repair, window.review.head.why):
            shown = QRect(part.mapTo(window, QPoint()), part.size())
            assert not part.isVisible() or window.rect().contains(shown), story.name


def test_the_head_has_one_height_for_a_size_of_the_window_whatever_that_was_before(
    open_window: Open, demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    usual, head = window.splitter.sizes(), window.review.head
    first = head.height()
    for sizes in ([900, 380], usual):
        window.splitter.setSizes(sizes)
        QApplication.processEvents()
    assert head.height() == first
    window.actions_["zoom_in"].trigger()
    QApplication.processEvents()
    assert head.height() == head.usual_height(head.width()) > first
    window.actions_["zoom_usual"].trigger()
    QApplication.processEvents()
    assert head.height() == first


def test_what_stands_there_during_the_check_is_where_it_is_after_it(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, scan = threading.Event(), ReaderThread._scan

    def held(self: ReaderThread, *of: Any) -> None:
        opened.wait(60)
        scan(self, *of)

    monkeypatch.setattr(ReaderThread, "_scan", held)
    try:
        window = open_window(StoreLocation(demo.home), wait=False)
        window.resize(1280, 760)
        qtbot.waitUntil(lambda: window.table.sessions.total_count > 0 and window.shown.store is not None)
        first, height = corners(window), window.review.head.height()
        assert window.review.head.title.isVisible()
        assert "being checked" in window.review.head.title.text()
        assert not window.review.head.repair.isVisible()
    finally:
        opened.set()
    wait_scanned(window)
    now = corners(window)
    assert {name: at for name, at in first.items() if now.get(name, at) != at} == {}
    assert window.review.head.height() == height


def test_a_check_that_is_stopped_says_what_can_be_done(
    qtbot: QtBot, open_window: Open, demo: DemoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = threading.Event()
    monkeypatch.setattr(ReaderThread, "_scan", lambda *_: opened.wait(60))
    try:
        window = open_window(StoreLocation(demo.home), wait=False)
        qtbot.waitUntil(lambda: window.table.sessions.total_count > 0, timeout=60_000)
        window.foot.cancel_requested.emit()
        assert "Select a session" in window.review.conversation._face.text
    finally:
        opened.set()


def test_the_list_and_the_head_say_the_same_of_every_story(
    open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    for story in demo.stories:
        window.table.select(story.session_id)
        wait_scanned(window)
        row = window.table.sessions.row_at(window.table.sessions.row_of(story.session_id))
        line, lanes = line_of(row), window.review.coverage._lanes
        assert window.review.head.title.text() == line.title
        if not lanes:  # no copy has a message
            assert line.after in ("", "0"), story.name
            continue
        live, recovered = lanes[0], lanes[-1]
        assert (lane_count(live) if lane_label(live) == "Live" else "–") == line.before.removesuffix(" → "), story.name
        if row.standing is Standing.REPAIRABLE:
            assert lane_count(recovered) == (line.after or line.before), story.name
        can_do = row.session.has_repair or row.standing in (Standing.LEFT_OUT, Standing.DELETED)
        assert window.review.head.repair.isVisible() is can_do, story.name


def test_what_the_window_tells_pushes_nothing(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    first = corners(window)
    order = [window.table.sessions.id_at(row) for row in range(window.table.sessions.visible_count)]
    chosen = window.table.current_id
    when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept())
    window.actions_["repair"].trigger()
    finished(qtbot, window, wait_scanned)
    window.notices.show_changed()
    assert window.result.isVisible()
    assert window.notices.changed.isVisible()
    now = corners(window)
    assert {name: at for name, at in now.items() if first.get(name, at) != at} == {}
    assert [window.table.sessions.id_at(row) for row in range(window.table.sessions.visible_count)] == order
    assert window.table.selected_ids() == [window.table.current_id] == [chosen]


@pytest.mark.parametrize("name", ["cleared", "deleted"])
def test_what_was_taken_back_comes_back_by_its_button(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, name: str
) -> None:
    standing = Standing.DELETED if name == "deleted" else Standing.LEFT_OUT
    window = open_window(StoreLocation(demo.home))
    window.chips._chips[standing].click()
    session_id = window.table.sessions.id_at(0)
    window.table.select(session_id)
    wait_scanned(window)
    held = len(window.review._detail.proposal.items)  # type: ignore[union-attr]
    when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept())
    window.review.head.repair.click()
    finished(qtbot, window, wait_scanned)
    row = window.table.sessions.row_at(window.table.sessions.row_of(session_id))
    assert row.standing is Standing.HEALTHY
    assert row.session.live == held


def test_finding_words_in_a_conversation_moves_nothing_below(qtbot: QtBot, open_window: Open, demo: DemoStore) -> None:
    window = open_window(StoreLocation(demo.home))
    first = corners(window)
    conversation = window.review.conversation
    conversation.find_words("the")
    qtbot.waitUntil(lambda: not conversation.finder.is_busy)
    assert conversation.find_bar.next.isVisible()
    now = corners(window)
    assert {name: at for name, at in now.items() if name != "find" and first[name] != at} == {}
    assert conversation.find_bar.next.height() >= conversation.find_bar.next.iconSize().height()
