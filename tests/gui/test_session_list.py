"""The list of sessions says what there is in two lines, follows keys and mouse, and keeps still under a hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hermes_rescue.core.audit.findings import SessionAudit, Standing
from hermes_rescue.core.hermes.worktree import Worktree
from hermes_rescue.gui.sessions.session_list import SessionList
from hermes_rescue.gui.sessions.session_pane import SessionPane
from hermes_rescue.gui.view_model.diff_text import clock
from hermes_rescue.gui.view_model.formatting import day, long_day, moment
from hermes_rescue.gui.view_model.session_line import line_of
from hermes_rescue.gui.view_model.session_rows import ALL, Column, row_for
from hermes_rescue.gui.widgets import theme
from msgspec.structs import replace
from PySide6.QtCore import QDate, QDateTime, QLocale, QPoint, QPointF, Qt, QTime
from PySide6.QtGui import QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from tests.gui.test_session_table import QUESTION, ids, lost, many, session

Key = Qt.Key


@pytest.fixture
def pane(qtbot: QtBot) -> SessionPane:
    made = SessionPane(theme.load("light"))
    qtbot.addWidget(made)
    made.resize(404, 500)
    with qtbot.waitActive(made):
        made.show()
    made.view.setFocus()
    return made


def centre(view: SessionList, row: int) -> QPoint:
    return view.visualRect(view.sessions.index(row, 0)).center()


def box(view: SessionList, row: int) -> QPoint:
    return QPoint(20, centre(view, row).y())


def move_over(pane: SessionPane, row: int) -> None:
    at = QPointF(centre(pane.list, row))
    none = Qt.MouseButton.NoButton
    event = QMouseEvent(
        QMouseEvent.Type.MouseMove, at, pane.list.viewport().mapToGlobal(at), none, none, Qt.KeyboardModifier.NoModifier
    )
    QApplication.sendEvent(pane.list.viewport(), event)


# What a row says


def test_a_row_says_what_is_lost_and_what_a_repair_makes_of_it() -> None:
    line = line_of(row_for(session("a", lost(98), live=2, backup=100, database=None, after=100)))
    assert (line.state, line.detail) == ("98 lost", " · backup 100")
    assert line.before.split()[0] == "2"
    assert line.after == "100"


def test_a_question_stands_in_the_row_and_nothing_is_promised() -> None:
    line = line_of(row_for(session("a", QUESTION, live=4, after=4)))
    assert line.state.endswith("?")
    assert (line.before, line.after) == ("4", "")


def test_one_message_and_more_of_them_are_asked_about_in_words_that_fit() -> None:
    asked = [replace(QUESTION, details={"messages": n}) for n in (1, 3)]
    lines = [line_of(row_for(session("a", each, live=4, after=4))).state for each in asked]
    assert lines == ["1 after the end: did you take it back?", "3 after the end: did you take them back?"]


def test_a_worktree_has_a_third_line_and_a_higher_row(pane: SessionPane) -> None:
    path = "/home/ida/parser/.worktrees/hermes-3fa2b1cd"
    pane.add([session("a", title="A"), session("b", title="B", worktree_path=path, worktree=Worktree.GONE)])
    pane.sort(Column.TITLE)
    line = line_of(pane.sessions.row_at(1))
    assert line.worktree.endswith(".worktrees/hermes-3fa2b1cd")
    assert line.worktree_state
    heights = [pane.list.visualRect(pane.sessions.index(row, 0)).height() for row in (0, 1)]
    assert heights[1] > heights[0]


@pytest.mark.parametrize("name", ["en_GB", "en_US", "de_DE", "ja_JP", "es_ES", "ar_EG"])
def test_a_date_is_written_as_the_place_writes_it(name: str) -> None:
    before = QLocale()
    QLocale.setDefault(QLocale(name))
    try:
        year = datetime.now(tz=UTC).year
        this, other = (datetime(y, 5, 3, 12, tzinfo=UTC).timestamp() for y in (year, 2001))
        month = QLocale().toString(QDate(year, 5, 3), "MMM")
        assert month.rstrip(".") in day(this)
        assert str(year) not in day(this)
        assert month.rstrip(".") in day(other)
        assert QLocale().toString(QDate(2001, 5, 3), "yyyy") in day(other)
        evening = QTime(19, 5)
        written = clock(QDateTime(QDate(2001, 5, 3), evening), with_date=True)
        assert written == f"{day(other)}, {QLocale().toString(evening, QLocale.FormatType.ShortFormat)}"
    finally:
        QLocale.setDefault(before)


def test_without_a_language_of_the_system_a_date_can_be_read_in_one_way_only() -> None:
    before = QLocale()
    QLocale.setDefault(QLocale.c())
    try:
        seconds = QDateTime(QDate(2001, 5, 3), QTime(7, 37)).toSecsSinceEpoch()
        assert (long_day(seconds), moment(seconds)) == ("3 May 2001", "2001-05-03 07:37")
    finally:
        QLocale.setDefault(before)


def test_only_what_is_in_view_is_asked_for(pane: SessionPane, monkeypatch: pytest.MonkeyPatch) -> None:
    pane.add(many(3_000))
    painted: list[str] = []
    line = line_of
    monkeypatch.setattr(
        "hermes_rescue.gui.sessions.session_list.line_of",
        lambda row: painted.append(row.session.session_id) or line(row),
    )
    pane.list.viewport().grab()
    assert 0 < len(set(painted)) < 30


# Keys and mouse


def test_the_keys_of_the_list(pane: SessionPane, qtbot: QtBot) -> None:
    pane.add(many(100))
    pane.sort(Column.TITLE)
    pane.select("s0050")

    def at(key: Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> str:
        qtbot.keyClick(pane.view, key, modifier)
        assert pane.view.visualRect(pane.view.currentIndex()).intersects(pane.view.viewport().rect())
        return pane.current_id

    assert at(Key.Key_End) == "s0099"
    assert at(Key.Key_Home) == "s0000"
    assert at(Key.Key_Down) == "s0001"
    assert at(Key.Key_PageDown) > "s0004"
    assert at(Key.Key_PageUp) == "s0001"
    at(Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert pane.selected_ids() == ["s0001", "s0002"]
    at(Key.Key_Escape)
    assert pane.selected_ids() == ["s0002"]
    with qtbot.assertNotEmitted(pane.clear_filter_requested):
        at(Key.Key_Escape)  # which the window has another use for
    pane.show_only(Standing.REPAIRABLE)
    with qtbot.waitSignal(pane.clear_filter_requested):
        at(Key.Key_Escape)
    pane.show_only(ALL)
    with qtbot.waitSignal(pane.opened):
        at(Key.Key_Return)
    with qtbot.waitSignal(pane.paged) as paged:
        at(Key.Key_Space)
    assert paged.args == [1]
    qtbot.keyClicks(pane.view, "session 007")
    assert pane.selected_ids() == ["s0070"]


def test_a_letter_of_a_title_that_is_being_typed_is_no_command(pane: SessionPane, qtbot: QtBot) -> None:
    pane.add(many(3))

    def is_taken() -> bool:
        event = QKeyEvent(QKeyEvent.Type.ShortcutOverride, Key.Key_S, Qt.KeyboardModifier.NoModifier, "s")
        event.ignore()
        QApplication.sendEvent(pane.view, event)
        return event.isAccepted()

    assert not is_taken()
    qtbot.keyClicks(pane.view, "e")
    assert is_taken()


def test_boxes_choose_one_more_and_one_less(pane: SessionPane, qtbot: QtBot) -> None:
    pane.add(many(5))
    qtbot.mouseClick(pane.list.viewport(), Qt.MouseButton.LeftButton, pos=centre(pane.list, 0))
    assert pane.selected_ids() == ["s0004"]
    for row in (2, 3):
        qtbot.mouseClick(pane.list.viewport(), Qt.MouseButton.LeftButton, pos=box(pane.list, row))
    assert pane.selected_ids() == ["s0004", "s0002", "s0001"]
    qtbot.mouseClick(pane.list.viewport(), Qt.MouseButton.LeftButton, pos=box(pane.list, 2))
    assert pane.selected_ids() == ["s0004", "s0001"]


def test_the_next_open_one_is_found_around_the_end(pane: SessionPane) -> None:
    pane.add([session("a"), session("b", QUESTION), session("c"), session("d", lost(3))])
    pane.sort(Column.ID)
    pane.select("a")
    found = []
    for _ in range(3):
        assert pane.select_next_open()
        found.append(pane.current_id)
    assert found == ["b", "d", "b"]


# Order


@pytest.mark.parametrize(
    ("by", "order"),
    [
        (Column.UPDATED, ["new", "old", "none"]),
        (Column.LOSS, ["old", "new", "none"]),
        (Column.TITLE, ["none", "new", "old"]),
    ],
)
def test_it_is_sorted_from_its_menu(pane: SessionPane, by: Column, order: list[str]) -> None:
    pane.add(
        [
            session("old", lost(9), title="c", updated=1e9),
            session("new", lost(2), title="b", updated=1.7e9),
            session("none", title="a"),
        ]
    )
    next(action for action in pane.order_menu.actions() if action.data() == by).trigger()
    assert ids(pane.sessions) == order


def test_the_table_shows_the_same_order_and_choice(pane: SessionPane) -> None:
    pane.add(many(9))
    pane.sort(Column.TITLE)
    pane.select("s0003")
    told: list[object] = []
    pane.current_changed.connect(told.append)
    pane.selection_changed.connect(told.append)
    for table in (True, False):
        pane.show_table(table)
        assert pane.is_table is table
        assert pane.view.isVisible()
        assert pane.selected_ids() == [pane.current_id] == ["s0003"]
        assert pane.sessions.row_of("s0003") == 3
    assert told == []


def test_rows_keep_their_places_under_the_mouse_and_go_on_when_it_rests(pane: SessionPane, qtbot: QtBot) -> None:
    pane.add(many(5))
    before = ids(pane.sessions)
    move_over(pane, 1)
    pane.add([session("s0004", title="Session 0004"), session("new", lost(99))])
    assert ids(pane.sessions) == before
    assert sum(pane.sessions.counts().values()) == 6  # what waits is counted
    assert line_of(pane.sessions.row_at(0)).state != line_of(row_for(many(5)[4])).state
    qtbot.waitUntil(lambda: ids(pane.sessions) != before, timeout=10_000)
    assert ids(pane.sessions) == ["new", *before[1:], "s0004"]


def test_after_a_repair_every_row_stays_until_a_person_sorts(pane: SessionPane) -> None:
    pane.add(many(5))
    before = ids(pane.sessions)
    pane.select("s0003")
    top = centre(pane.list, 1)
    repaired: list[SessionAudit] = [session(name, title=name) for name in ("s0003", "s0004")]
    pane.sessions.begin_scan(keeps_order=True)
    pane.add([*many(3), *repaired])
    pane.sessions.end_scan()
    assert ids(pane.sessions) == before
    assert pane.selected_ids() == [pane.current_id] == ["s0003"]
    assert centre(pane.list, 1) == top
    pane.sessions.begin_scan()
    pane.add([*many(3), *repaired])
    pane.sessions.end_scan()
    assert ids(pane.sessions) == ["s0002", "s0001", "s0000", "s0003", "s0004"]


def test_the_current_row_stays_in_view_where_a_notice_takes_the_foot_of_the_list(pane: SessionPane) -> None:
    pane.add(many(40))
    QApplication.processEvents()
    view = pane.list
    last = max(row for row in range(40) if view.visualRect(pane.sessions.index(row, 0)).bottom() < view.height())
    view.setCurrentIndex(pane.sessions.index(last, 0))
    before = view.visualRect(view.currentIndex()).top()
    pane.resize(pane.width(), pane.height() - 50)
    QApplication.processEvents()
    rect = view.visualRect(view.currentIndex())
    assert rect.top() < before and view.viewport().rect().contains(rect)
    view.verticalScrollBar().setValue(0)
    view.setCurrentIndex(pane.sessions.index(0, 0))
    pane.resize(pane.width(), pane.height() - 50)
    QApplication.processEvents()
    assert view.verticalScrollBar().value() == 0  # nothing moves for a row that shows anyway


def test_a_great_many_rows_are_reached_at_once(pane: SessionPane) -> None:
    path = "/home/ida/parser/.worktrees/hermes-3fa2b1cd"
    pane.add([session(f"s{k:05}", worktree_path=path if k % 3 else None) for k in range(20_000)])
    pane.select("s19999")
    pane.view.executeDelayedItemsLayout()
    rect = pane.view.visualRect(pane.view.currentIndex())
    assert rect.bottom() < pane.view.viewport().height()
    assert pane.view.indexAt(rect.center()) == pane.view.currentIndex()
