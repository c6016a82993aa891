"""The search in the window: by keyboard and mouse, in every copy of the demo store, and while others act."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core.audit.findings import Standing
from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.core.merge.choices import Choices
from hermes_rescue.core.search import store_search
from hermes_rescue.core.search.query import Query
from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.repairs.repair_dialog import RepairDialog
from hermes_rescue.gui.review.review_pane import CHANGES, CONVERSATION
from hermes_rescue.gui.sessions import search as gui_search
from hermes_rescue.gui.sessions import search_hits
from hermes_rescue.gui.shell.main_window import MainWindow
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

Open = Callable[..., MainWindow]
Keys = Qt.Key
WORDS = "ferry to Naxos"


def typed(qtbot: QtBot, window: MainWindow, words: str) -> None:
    """Type words into the search, with the keyboard, and wait for the end of it."""
    with qtbot.waitActive(window):
        window.activateWindow()
    qtbot.keyClick(window, Keys.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.focusWidget() is window.tools.filter
    qtbot.keyClicks(window.tools.filter, words)
    searched(qtbot, window)


def searched(qtbot: QtBot, window: MainWindow) -> None:
    qtbot.waitUntil(lambda: not window.search.is_busy, timeout=60_000)


def found(window: MainWindow) -> dict[str, str]:
    """What the list says of each session that was found, by its title."""
    hits = window.search.hits
    rows = [hits.found(at) for at in range(hits.rowCount())]
    return {each.title: f"{hits.excerpt_of(each)} / {hits.whereabouts(each)[0]}" for each in rows}


def titles_that_have(demo: DemoStore, words: str) -> set[str]:
    """The sessions any file or row of which has the words, looked up without the search."""
    ids = {
        path.name.partition(".")[0]
        for path in (demo.home / "webui" / "sessions").glob("*.json*")
        if words in path.read_text("utf-8")
    }
    with sqlite3.connect(demo.home / "state.db") as database:
        ids |= {
            row[0] for row in database.execute("SELECT session_id FROM messages WHERE content LIKE ?", (f"%{words}%",))
        }
    return {story.session_id for story in demo.stories} & ids


def test_what_was_said_is_found_in_every_copy(qtbot: QtBot, open_window: Open, demo: DemoStore) -> None:
    window = open_window(StoreLocation(demo.home))
    typed(qtbot, window, WORDS)
    hits = window.search.hits
    ids = {hits.found(at).session_id for at in range(hits.rowCount())}
    assert ids == titles_that_have(demo, WORDS)
    assert window.search.list.isVisible() and not window.table.isVisible()
    assert all(WORDS in each for each in found(window).values())
    lost = found(window)["Two weeks by train"]
    assert "lost" in lost and "backup" in lost and "database" in lost
    assert "damaged file" in found(window)["A walk around Naxos"]
    assert f"{hits.rowCount()} sessions" in window.search.row.text and WORDS in window.search.row.text


@pytest.mark.parametrize("hand", ["", "at the keys", "at the mouse"])
def test_what_is_found_stands_as_in_the_list_unless_somebody_is_at_it_already(
    qtbot: QtBot, open_window: Open, demo: DemoStore, gate: threading.Event, monkeypatch: pytest.MonkeyPatch, hand: str
) -> None:
    monkeypatch.setattr(search_hits, "HAND_AT_REST", 600_000)
    window = open_window(StoreLocation(demo.home))
    with qtbot.waitActive(window):
        window.activateWindow()
    window.tools.filter.setText("the")
    qtbot.waitUntil(lambda: window.search.hits.rowCount() > 0, timeout=60_000)
    hits = window.search.hits
    first = [hits.found(at).session_id for at in range(hits.rowCount())]
    if hand == "at the keys":
        qtbot.keyClick(window.tools.filter, Keys.Key_Return)
    elif hand:
        qtbot.mouseMove(window.search.list.viewport(), QPoint(40, 40))
        qtbot.mouseMove(window.search.list.viewport(), QPoint(42, 40))
        qtbot.waitUntil(lambda: window.search.list.is_in_hand)
    gate.set()
    searched(qtbot, window)
    ids = [hits.found(at).session_id for at in range(hits.rowCount())]
    assert [hits.row_of(session_id) for session_id in ids] == [*range(len(ids))]
    if hand:
        assert ids[: len(first)] == first
        assert window.search.list.current_id == (first[0] if hand == "at the keys" else "")
    else:
        in_list = [row.session.session_id for row in window.table.sessions.every()]
        own = [session_id for session_id in in_list if session_id in ids]
        assert len(own) > 3 and ids[: len(own)] == own, "other programs come last"


def test_a_session_that_is_remembered_by_a_word_is_restored_with_three_clicks(
    qtbot: QtBot, open_window: Open, demo: DemoStore
) -> None:
    story = next(story for story in demo.stories if story.title == "Two weeks by train")
    window = open_window(StoreLocation(demo.home))
    with qtbot.waitActive(window):
        window.activateWindow()
    qtbot.keyClicks(QApplication.focusWidget(), "Naxos")
    searched(qtbot, window)
    assert window.table.current_id != story.session_id

    hit = window.search.list.visualRect(window.search.hits.index(window.search.hits.row_of(story.session_id)))
    qtbot.mouseClick(window.search.list.viewport(), Qt.MouseButton.LeftButton, pos=hit.center())
    qtbot.waitUntil(lambda: window.review.session_id == story.session_id)
    qtbot.mouseClick(window.review.head.repair, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: isinstance(QApplication.activeModalWidget(), RepairDialog), timeout=20_000)
    dialog = QApplication.activeModalWidget()
    assert isinstance(dialog, RepairDialog)
    qtbot.mouseClick(dialog.accept_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: f"{story.title} is back" in window.result.text, timeout=60_000)
    with qtbot.waitActive(window):
        window.activateWindow()
    assert QApplication.focusWidget() is window.search.list


def test_several_that_were_found_are_repaired_together_and_nothing_else(
    qtbot: QtBot, open_window: Open, demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    typed(qtbot, window, WORDS)
    hits, found = window.search.hits, window.search.list
    open_ones = [at for at in range(hits.rowCount()) if hits.known(hits.found(at).session_id).session.has_repair]  # type: ignore[union-attr]
    wanted = [hits.found(at).session_id for at in open_ones[:3]]
    assert len(wanted) == 3
    for at in open_ones[:3]:
        where = found.visualRect(hits.index(at)).center()
        qtbot.mouseClick(found.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ControlModifier, pos=where)
    assert window.review.head.repair.text() == "Restore 3 sessions"
    assert "Repair 3 sessions" in window.tools._buttons["repair_all"].text()
    qtbot.waitUntil(lambda: window.review.session_id == wanted[-1], timeout=20_000)
    window.actions_["repair"].trigger()
    qtbot.waitUntil(lambda: isinstance(QApplication.activeModalWidget(), RepairDialog), timeout=20_000)
    dialog = QApplication.activeModalWidget()
    assert isinstance(dialog, RepairDialog)
    assert {each.session_id for each in dialog._plan.sessions} == set(wanted)
    dialog.reject()
    qtbot.waitUntil(lambda: not window.writer.is_busy)
    window.search.clear()
    assert window.review.head.repair.text() == "Restore this session"


@pytest.mark.parametrize("key", [Keys.Key_Return, Keys.Key_Down, Keys.Key_Escape, Keys.Key_F6])
def test_who_types_nothing_goes_on_to_the_sessions_with_one_key(
    qtbot: QtBot, open_window: Open, wait_scanned: Callable[[MainWindow], None], demo: DemoStore, key: Qt.Key
) -> None:
    window = open_window(StoreLocation(demo.home))
    with qtbot.waitActive(window):
        window.activateWindow()
    qtbot.keyClick(window.tools.filter, key)
    assert QApplication.focusWidget() is window.table.view
    before = window.table.current_id
    qtbot.keyClick(window.table.view, Keys.Key_S)
    assert window.table.current_id != before
    wait_scanned(window)


def test_the_key_of_undo_is_about_the_words_only_where_some_were_typed(
    qtbot: QtBot, open_window: Open, wait_scanned: Callable[[MainWindow], None], demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    with qtbot.waitActive(window):
        window.activateWindow()
    wiped = next(each.session_id for each in demo.stories if each.name == "wiped")
    window.shown.choose(wiped, Choices(exclude=frozenset({0})))
    window._enable()
    window.tools.filter.setFocus()
    qtbot.keyClicks(window.tools.filter, "x")
    qtbot.keyClick(window.tools.filter, Keys.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert (window.tools.filter.text(), [*window.shown.choices]) == ("", [wiped])
    qtbot.keyClick(window.tools.filter, Keys.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert window.shown.choices == {}
    wait_scanned(window)


def test_the_keyboard_leads_from_the_words_to_the_first_hit_and_back(
    qtbot: QtBot, open_window: Open, demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    window.review.tabs.setCurrentIndex(CHANGES)
    typed(qtbot, window, "naxos ferry")
    qtbot.keyClick(window.tools.filter, Keys.Key_Down)
    assert QApplication.focusWidget() is window.search.list
    qtbot.keyClick(window.search.list, Keys.Key_Down)
    wanted = window.search.hits.found(1).session_id
    qtbot.waitUntil(lambda: window.review.session_id == wanted)
    view = window.review.conversation
    qtbot.waitUntil(lambda: not view.finder.is_busy and bool(view.finder.hits))
    assert window.review.tabs.currentIndex() == CONVERSATION
    assert view.finder.at == 0 and view.current_row == view.finder.hits[0].spot.row
    messages = {hit.spot.row for hit in view.finder.hits}  # one of them can say the words more than once
    assert found(window)[window.search.hits.found(1).title].partition(" / ")[2].startswith(f"{len(messages)} message")
    assert window.table.selected_ids() == [wanted]
    qtbot.keyClick(window.search.list, Keys.Key_Return)
    assert QApplication.focusWidget() is view.list
    window.search.list.setFocus()
    qtbot.keyClick(window.search.list, Keys.Key_Escape)
    assert QApplication.focusWidget() is window.tools.filter
    qtbot.keyClick(window.tools.filter, Keys.Key_Escape)
    assert window.tools.filter.text() == "" and window.table.isVisible()
    assert view.finder.hits == []
    assert window.table.selected_ids() == [wanted]


def test_a_title_is_found_at_once(qtbot: QtBot, open_window: Open, demo: DemoStore) -> None:
    window = open_window(StoreLocation(demo.home))
    window.tools.filter.setText("wálk naxos")
    assert [*found(window)] == ["A walk around Naxos"]
    searched(qtbot, window)


def test_words_that_only_a_title_has_are_not_missed_in_the_conversation(
    qtbot: QtBot, open_window: Open, wait_scanned: Callable[[MainWindow], None], demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    bar = window.review.conversation.find_bar
    for words, is_said in (("visa which month", False), ("fridge", True)):
        typed(qtbot, window, words)
        window.search.list.enter()
        wait_scanned(window)
        assert bar.field.text() == (words if is_said else "")
        assert bar.count.isVisible() is is_said


def test_a_chip_does_not_hide_what_is_found(qtbot: QtBot, open_window: Open, demo: DemoStore) -> None:
    window = open_window(StoreLocation(demo.home))
    qtbot.mouseClick(window.chips._chips[Standing.REVIEW], Qt.MouseButton.LeftButton)
    typed(qtbot, window, "Two weeks by train")
    where = window.search.list.visualRect(window.search.hits.index(0)).center()
    qtbot.mouseClick(window.search.list.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert window.table.current_id == window.search.hits.found(0).session_id


def test_where_nothing_is_found_it_is_said_what_was_searched(qtbot: QtBot, open_window: Open, demo: DemoStore) -> None:
    window = open_window(StoreLocation(demo.home))
    typed(qtbot, window, "nobody said this")
    said = window.search.list.face
    assert said.isVisible() and "nobody said this" in said.text and str(len(demo.stories)) in said.text
    qtbot.mouseClick(said.button, Qt.MouseButton.LeftButton)
    assert window.tools.filter.text() == "" and window.table.isVisible()


def test_a_session_of_another_program_is_shown_and_cannot_be_repaired(
    qtbot: QtBot, open_window: Open, demo: DemoStore
) -> None:
    with sqlite3.connect(demo.home / "state.db") as database:
        database.execute("INSERT INTO sessions (id, source, title, started_at) VALUES ('t1', 'telegram', 'Plans', 1)")
        database.execute(
            "INSERT INTO messages (session_id, role, content, timestamp) VALUES ('t1', 'user', 'Zanzibar, soon?', 2)"
        )
    window = open_window(StoreLocation(demo.home))
    typed(qtbot, window, "zanzibar")
    assert "telegram" in found(window)["Plans"]
    qtbot.keyClick(window.tools.filter, Keys.Key_Return)
    assert "telegram" in window.review.conversation.text and "Zanzibar" in window.review.conversation.text
    assert window.table.selected_ids() == [] and not window.actions_["repair"].isEnabled()
    assert "1 of other programs" in window.search.row.text


# --- while others act -------------------------------------------------------------------------------------------------


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Holds up each search after its first hit until it is set; a search that was cancelled goes on."""
    opened = threading.Event()

    def held(store: Any, query: Query, *, progress: Any, should_cancel: Callable[[], bool]) -> Iterator[Any]:
        for batch in store_search.search(store, query, progress=progress, should_cancel=should_cancel):
            yield batch
            while batch and not opened.wait(0.01) and not should_cancel():
                pass

    monkeypatch.setattr(gui_search, "search", held)
    yield opened
    opened.set()


def test_the_first_hits_show_while_the_search_goes_on_and_nothing_moves_under_a_hand(
    qtbot: QtBot, open_window: Open, demo: DemoStore, gate: threading.Event
) -> None:
    window = open_window(StoreLocation(demo.home))
    before = [window.splitter.geometry(), window.review.mapTo(window, window.review.pos())]
    window.tools.filter.setText(WORDS)
    qtbot.waitUntil(lambda: any(WORDS in each for each in found(window).values()))
    assert window.search.is_busy and window.search.row.is_busy
    assert [window.splitter.geometry(), window.review.mapTo(window, window.review.pos())] == before
    first = [*found(window)]
    qtbot.keyClick(window.tools.filter, Keys.Key_Down)
    gate.set()
    searched(qtbot, window)
    assert [*found(window)][: len(first)] == first and not window.search.row.is_busy
    assert [window.splitter.geometry(), window.review.mapTo(window, window.review.pos())] == before


def test_typing_on_takes_the_place_of_a_running_search(
    qtbot: QtBot, open_window: Open, demo: DemoStore, gate: threading.Event
) -> None:
    window = open_window(StoreLocation(demo.home))
    window.tools.filter.setText("naxos")
    qtbot.waitUntil(lambda: any("ferry" in each for each in found(window).values()))
    window.tools.filter.setText("visa")
    assert all("visa" in title.lower() for title in found(window))
    gate.set()
    searched(qtbot, window)
    assert all("visa" in f"{title} {said}".lower() for title, said in found(window).items())


def test_a_result_about_another_store_is_not_shown(
    qtbot: QtBot,
    open_window: Open,
    wait_scanned: Callable[[MainWindow], None],
    demo: DemoStore,
    tmp_path: Path,
    gate: threading.Event,
) -> None:
    other = tmp_path / "other" / "webui" / "sessions"
    other.mkdir(parents=True)
    message = {"role": "user", "content": f"the {WORDS}, again", "timestamp": 1.0}
    session = {"session_id": "0123456789ab", "title": "Elsewhere", "messages": [message], "updated_at": 1.0}
    (other / "0123456789ab.json").write_text(json.dumps(session))
    window = open_window(StoreLocation(demo.home))
    window.tools.filter.setText(WORDS)
    qtbot.waitUntil(lambda: any(WORDS in each for each in found(window).values()))
    window.open(StoreLocation(tmp_path / "other"))
    assert found(window) == {}
    gate.set()
    wait_scanned(window)
    searched(qtbot, window)
    assert [*found(window)] == ["Elsewhere"]


def test_closing_does_not_wait_for_a_search(
    qtbot: QtBot, open_window: Open, demo: DemoStore, gate: threading.Event
) -> None:
    window = open_window(StoreLocation(demo.home))
    window.tools.filter.setText(WORDS)
    qtbot.waitUntil(lambda: any(WORDS in each for each in found(window).values()))
    window.close()
    assert not window.isVisible()


def test_another_check_looks_again_and_keeps_the_rows_where_they_are(
    qtbot: QtBot, open_window: Open, wait_scanned: Callable[[MainWindow], None], demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    typed(qtbot, window, WORDS)
    before = [*found(window)]
    session_id = window.search.hits.found(0).session_id
    for path in (demo.home / "webui" / "sessions").glob(f"{session_id}*"):
        path.unlink()
    with sqlite3.connect(demo.home / "state.db") as database:
        database.execute("DELETE FROM messages WHERE session_id = ?", (session_id,))
    window.rescan()
    wait_scanned(window)
    searched(qtbot, window)
    assert [*found(window)] == before[1:]


def test_looking_leaves_no_trace(
    qtbot: QtBot, open_window: Open, demo: DemoStore, snapshot: Callable[[Path], Any]
) -> None:
    before = snapshot(demo.home)
    window = open_window(StoreLocation(demo.home))
    typed(qtbot, window, WORDS)
    QTest.keyClick(window.tools.filter, Keys.Key_Return)
    assert snapshot(demo.home) == before
