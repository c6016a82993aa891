"""The list of sessions says what happened to each, sorts and filters by what is meant, and never jumps under a hand."""

from __future__ import annotations

import dataclasses
import gc
import random
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import pytest
from hermes_rescue.core.audit.findings import KINDS, LEFT, Category, Finding, SessionAudit, Standing, finding
from hermes_rescue.core.audit.store_audit import audit
from hermes_rescue.core.demo.demo_store import make_demo_store
from hermes_rescue.core.hermes.heads import SessionHeader
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.hermes.worktree import Worktree
from hermes_rescue.gui.sessions.session_model import Role, SessionModel
from hermes_rescue.gui.sessions.session_table import SessionTable
from hermes_rescue.gui.view_model.session_rows import ALL, STEP, Column, row_for
from hermes_rescue.gui.view_model.session_status import status_of
from hermes_rescue.gui.widgets import theme
from msgspec.structs import replace
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QContextMenuEvent, QFontMetrics, QHelpEvent
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import (
    QApplication,
    QLabel,
    QLineEdit,
    QPushButton,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)
from pytestqt.qtbot import QtBot

Key = Qt.Key
ASCENDING, DESCENDING = Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder


def session(name: str, *findings: Finding, title: str = "", **other: object) -> SessionAudit:
    plain = SessionAudit(
        session_id=name,
        title=title or f"Title of {name}",
        findings=findings,
        live=4,
        backup=None,
        database=4,
        after=4,
        backup_time=None,
        updated=None,
        size=100,
        profile=None,
        worktree_path=None,
        worktree=Worktree.NONE,
    )
    return replace(plain, **other)


def lost(n: int) -> Finding:
    return finding("shrunken_live", None, f"{n} messages are missing.", messages=n)


QUESTION = finding("shrunken_live_unmarked", None, "Only you know.", messages=3)
FOUND: tuple[tuple[Finding, ...], ...] = ((), (lost(1),))
NOTE = finding("state_db_deleted_webui_tombstone", None, "You deleted it.")


@pytest.fixture
def model(qapp: QApplication) -> SessionModel:
    return SessionModel(theme.load("light"))


@pytest.fixture
def table(qtbot: QtBot) -> SessionTable:
    light = theme.load("light")
    made = SessionTable(SessionModel(light), light)
    qtbot.addWidget(made)
    made.resize(640, 400)
    with qtbot.waitActive(made):
        made.show()
    made.setFocus()
    return made


def add(table: SessionTable, sessions: list[SessionAudit | SessionHeader]) -> None:
    table.make_room(sessions)
    table.sessions.add(sessions)


def ids(model: SessionModel) -> list[str]:
    return [model.id_at(row) for row in range(model.rowCount())]


def text(model: SessionModel, row: int, column: Column) -> str:
    return str(model.index(row, column).data())


def column(model: SessionModel, column: Column) -> list[str]:
    return [text(model, row, column) for row in range(model.rowCount())]


# What it says


def test_every_mishap_of_the_demo_store_has_its_words(tmp_path: Path, model: SessionModel) -> None:
    store = find_store(home=make_demo_store(tmp_path / "demo").home)
    model.add(audit(store).sessions)
    said = dict(zip(column(model, Column.TITLE), column(model, Column.STATUS), strict=True))
    assert said["Billing migration, the long week"] == "102 lost"
    assert said["Rounding in the nightly export"] == "10 lost"
    assert said["Packing list for October"] == "2 unsaved"
    assert said["Sunday bread"] == "File missing"
    assert said["Jam for the whole street"] == "File damaged"
    assert said["Line numbers in error messages"] == "Parts missing"
    assert said["Kyoto in three days"] == said["Dumplings for ten"] == "Your decision"
    assert said["Old price list"] == "Deleted by you"
    assert said["Which visa for which month"] == "Wrong count"
    assert said["The museum of words"] == "Not listed"
    assert said["Daily word"] == "22 left out"
    assert said["A small grammar"] == "Healthy"


@pytest.mark.parametrize("category", Category)
def test_every_kind_of_finding_has_words_an_icon_and_a_colour(qapp: QApplication, category: Category) -> None:
    light = theme.load("light")
    for name in KINDS:
        status = status_of(session("x", finding(name, "x", "Evidence.", category=category, messages=7)))
        assert status.text and "%" not in status.text, name
        assert "icloud" not in str(status), name  # a name keeps its letters
        assert not light.icon(status.icon, status.token).isNull(), name
        assert light.color(f"{status.token}-bg").isValid(), name


def test_an_absent_copy_is_a_dash_and_a_change_is_bold(model: SessionModel) -> None:
    model.add([session("a", lost(98), live=2, backup=100, database=None, after=1102)])
    row = [text(model, 0, c) for c in (Column.LIVE, Column.BACKUP, Column.DATABASE, Column.WORKTREE)]
    assert row == ["2", "100", "–", "–"]
    assert model.look(model.index(0, Column.AFTER)).is_bold
    model.add([session("a", live=2, after=2)])
    assert not model.look(model.index(0, Column.AFTER)).is_bold


@pytest.mark.parametrize(
    ("state", "said"),
    [(Worktree.THERE, "is there"), (Worktree.BRANCH_LEFT, "branch is still"), (Worktree.GONE, "gone")],
)
def test_a_worktree_shows_its_name_and_whether_it_is_there(model: SessionModel, state: Worktree, said: str) -> None:
    model.add([session("a", worktree_path="/home/ida/parser/.worktrees/hermes-3fa2b1cd", worktree=state)])
    cell = model.index(0, Column.WORKTREE)
    assert cell.data() == "hermes-3fa2b1cd"
    assert "/home/ida/parser" in cell.data(Role.ToolTipRole)
    assert said in cell.data(Role.ToolTipRole)
    assert said in model.index(0, 0).data(Role.AccessibleTextRole)
    assert not cell.data(Role.DecorationRole).isNull()


def test_the_first_cell_reads_out_the_whole_row(model: SessionModel) -> None:
    model.add([session("a", lost(98), title="Deploy notes", live=2, backup=100, database=None, after=102)])
    sentence = model.index(0, Column.STATUS).data(Role.AccessibleTextRole)
    assert "98 lost: Deploy notes. 2 live, 100 in the backup, none in the database, 102 after repair." in sentence
    assert model.index(0, Column.STATUS).data(Role.AccessibleDescriptionRole) == "98 messages are missing."


def test_odd_values_are_shown_as_nothing_or_made_safe(model: SessionModel) -> None:
    odd = [session(f"n{k}", updated=value) for k, value in enumerate((float("nan"), float("inf"), -5.0, 1e300, None))]
    odd.append(session("t", title="\x1b[31m\u202e\ud83d" + "x" * 1_000_000, profile="a\nb", worktree_path="\x00/"))
    model.add(odd)
    model.sort(Column.UPDATED, DESCENDING)
    assert set(column(model, Column.UPDATED)) == {"–"}
    row = model.row_of("t")
    assert text(model, row, Column.TITLE).startswith(r"\x1b[31m\x202e\xd83d" + "x")
    assert len(text(model, row, Column.TITLE)) < 1000
    assert all(text(model, row, c).isprintable() for c in Column)


# Sorting and filtering


def test_the_most_urgent_comes_first(model: SessionModel) -> None:
    stuck, parts = finding("stale_stream", None, "Stuck."), finding("lossy_rebuild", None, "Poor.", messages=2)
    missing = finding("orphan_backup", None, "Missing.")
    found = {
        "lost": [lost(98)], "missing": [missing], "fewer": [lost(6), stuck], "parts": [parts], "stuck": [stuck],
        "question": [QUESTION], "note": [NOTE], "fine, newer": [], "fine, older": [],
    }  # fmt: skip
    wanted = list(found)
    sessions = [
        session(name, *findings, after=34, updated=1e9 - 99 * wanted.index(name)) for name, findings in found.items()
    ]
    random.Random(5).shuffle(sessions)
    model.add(sessions)
    assert ids(model) == wanted


@pytest.mark.parametrize(
    ("by", "field", "values"),
    [
        (Column.LIVE, "live", [None, 0, 9, 100]),
        (Column.BACKUP, "backup", [None, 7, 20]),
        (Column.DATABASE, "database", [None, 7, 20]),
        (Column.AFTER, "after", [None, 7, 20]),
        (Column.SIZE, "size", [0, 900, 5_000, 10**9]),
        (Column.UPDATED, "updated", [None, 9.0, 1_000_000_000.0, 1_700_000_000.0]),
        (Column.TITLE, "title", ["apple", "Banana", "banana 2"]),
        (Column.PROFILE, "profile", [None, "home", "work"]),
        (Column.WORKTREE, "worktree", [Worktree.GONE, Worktree.BRANCH_LEFT, Worktree.THERE, Worktree.NONE]),
        (Column.ID, "session_id", ["a1", "a2", "b"]),
    ],
)
def test_a_column_sorts_by_its_values_and_not_by_their_words(
    model: SessionModel, by: Column, field: str, values: list[Any]
) -> None:
    plain = [session(f"s{k}", title="Same") for k in range(len(values))]
    sessions = [replace(one, **{field: value}) for one, value in zip(plain, values, strict=True)]
    model.add(sessions[1::2] + sessions[::2])
    model.sort(by, ASCENDING)
    value_of = {one.session_id: getattr(one, field) for one in sessions}
    assert [value_of[session_id] for session_id in ids(model)] == values
    model.sort(by, DESCENDING)
    assert [value_of[session_id] for session_id in ids(model)] == values[::-1]


def test_a_standing_shows_its_sessions_and_the_counts_stay(model: SessionModel) -> None:
    model.add(
        [
            session("a", lost(1)),
            session("b", QUESTION, lost(2)),
            session("c", QUESTION),
            session("d", NOTE),
            session("e"),
            session("f", left_out=3),
            session("g", finding("damaged_file", None, "The backup is torn.")),
            session("h", finding("worktree_gone", None, "The folder is gone.")),
            session("i", replace(QUESTION, category=Category.INFO, details={LEFT: True})),
        ]
    )
    counts = dict.fromkeys(Standing, 1) | {Standing.REPAIRABLE: 2}
    for standing, count in counts.items():
        model.set_standing(standing)
        assert model.visible_count == count
        assert model.counts() == counts
    model.set_standing(ALL)
    model.add([session("a")])
    assert model.visible_count == 9
    assert model.counts() == dict.fromkeys(Standing, 1) | {Standing.HEALTHY: 2}


def test_whatever_comes_and_in_whatever_order_the_right_rows_show(model: SessionModel) -> None:
    """Against the plain way: all sessions, filtered, then sorted."""
    QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Warning, model)
    chance = random.Random(11)
    known: dict[str, SessionAudit] = {}
    filters: tuple[Literal["all"] | Standing, ...] = (ALL, Standing.REPAIRABLE, Standing.HEALTHY, Standing.DELETED)
    by, order, standing = Column.LIVE, ASCENDING, filters[0]
    model.sort(by, order)
    for _ in range(120):
        match chance.randrange(5):
            case 0:
                by, order = chance.choice((Column.LIVE, Column.SIZE)), chance.choice((ASCENDING, DESCENDING))
                model.sort(by, order)
            case 1:
                standing = chance.choice(filters)
                model.set_standing(standing)
            case _:
                batch = [
                    session(f"s{chance.randrange(60)}", *chance.choice(FOUND), live=n, size=chance.randrange(10**9))
                    for n in chance.sample(range(10**6), 4)
                ]
                batch = list({new.session_id: new for new in batch}.values())
                model.add(batch)
                known |= {new.session_id: new for new in batch}
        wanted = [s for s in known.values() if standing in (ALL, s.standing)]
        wanted.sort(
            key=lambda s: (-1 if s.live is None else s.live) if by is Column.LIVE else s.size,
            reverse=order is DESCENDING,
        )
        assert ids(model) == [s.session_id for s in wanted]
        assert all(model.row_of(s.session_id) == row for row, s in enumerate(wanted))


# A scan


def many(n: int, start: int = 0) -> list[SessionAudit]:
    return [session(f"s{k:04}", lost(k + 1), title=f"Session {k:04}") for k in range(start, start + n)]


def test_rows_that_come_in_leave_the_chosen_one_where_it_is(table: SessionTable) -> None:
    table.sessions.begin_scan()
    table.sessions.add(many(100))
    table.select("s0050")
    row = table.currentIndex().row()
    before = table.rowViewportPosition(row)
    told: list[object] = []
    table.current_changed.connect(told.append)
    table.selection_changed.connect(told.append)
    table.sessions.add(many(100, 100))  # more is lost in these: all of them come above
    assert table.current_id == "s0050"
    assert table.selected_ids() == ["s0050"]
    assert table.currentIndex().row() == row + 100
    assert table.rowViewportPosition(row + 100) == before
    assert told == []


def test_rows_that_come_in_leave_the_view_where_it_is(table: SessionTable) -> None:
    table.sessions.add(many(100))
    table.verticalScrollBar().setValue(table.rowHeight(0) * 30 + 5)
    first = table.sessions.id_at(table.rowAt(0))
    top = table.rowViewportPosition(table.rowAt(0))
    table.sessions.add(many(50, 100))
    assert table.sessions.id_at(table.rowAt(0)) == first
    assert table.rowViewportPosition(table.rowAt(0)) == top


def test_at_the_top_the_most_urgent_stay_in_sight(table: SessionTable) -> None:
    table.sessions.add(many(100))
    table.sessions.add(many(1, 500))
    assert table.rowAt(0) == 0
    assert table.sessions.id_at(0) == "s0500"


def test_a_selection_of_many_outlives_batches_sorting_and_a_repair(table: SessionTable) -> None:
    table.sessions.add(many(30))
    table.selectAll()
    chosen = set(table.selected_ids())
    assert len(chosen) == 30
    table.sessions.add(many(10, 100))
    table.sortByColumn(Column.TITLE, DESCENDING)
    table.sessions.add([session("s0003", title="Session 0003")])
    assert set(table.selected_ids()) == chosen
    assert table.selected_ids() == sorted(chosen, reverse=True)


def test_what_a_whole_scan_no_longer_finds_is_gone(table: SessionTable) -> None:
    table.sessions.add(many(3))
    table.select("s0001")
    table.sessions.begin_scan()
    assert table.sessions.visible_count == 3
    table.sessions.add(many(2))
    table.sessions.end_scan(complete=False)
    assert table.sessions.visible_count == 3
    table.sessions.begin_scan()
    table.sessions.add(many(2))
    table.sessions.end_scan()
    assert ids(table.sessions) == ["s0001", "s0000"]
    assert table.selected_ids() == [table.current_id] == ["s0001"]
    assert table.sessions.counts()[Standing.REPAIRABLE] == 2


def test_a_repaired_session_moves_and_stays_the_current_one(table: SessionTable) -> None:
    table.sessions.add(many(5))
    table.select("s0004")
    assert table.currentIndex().row() == 0
    table.sessions.add([session("s0004", title="Session 0004")])
    assert table.current_id == "s0004"
    assert table.currentIndex().row() == 4


# Choosing


def test_it_tells_once_what_is_chosen(table: SessionTable) -> None:
    table.sessions.add(many(5))
    current: list[str] = []
    selected: list[list[str]] = []
    table.current_changed.connect(current.append)
    table.selection_changed.connect(selected.append)
    assert table.select("s0003")
    table.sessions.set_standing(Standing.REVIEW)
    table.sessions.set_standing(ALL)
    assert not table.select("unknown")
    assert current == ["s0003", ""]
    assert selected == [["s0003"], []]


def test_a_click_selects_a_row_and_control_adds_one(table: SessionTable, qtbot: QtBot) -> None:
    table.sessions.add(many(5))
    for row, modifier in ((1, Qt.KeyboardModifier.NoModifier), (3, Qt.KeyboardModifier.ControlModifier)):
        at = table.visualRect(table.sessions.index(row, Column.TITLE)).center()
        qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, modifier, at)
    assert table.selected_ids() == ["s0003", "s0001"]
    assert table.current_id == "s0001"


def test_the_keyboard_goes_everywhere(table: SessionTable, qtbot: QtBot) -> None:
    table.sessions.add(many(100))
    table.sortByColumn(Column.TITLE, ASCENDING)
    table.select("s0050")

    def at(key: Key) -> str:
        qtbot.keyClick(table, key)
        return table.current_id

    assert at(Key.Key_End) == "s0099"
    assert at(Key.Key_Home) == "s0000"
    assert at(Key.Key_Down) == "s0001"
    assert at(Key.Key_PageDown) > "s0005"
    assert at(Key.Key_PageUp) == "s0001"
    qtbot.keyClicks(table, "session 007")
    assert table.current_id == "s0070"
    assert table.selected_ids() == ["s0070"]
    assert table.visualRect(table.currentIndex()).intersects(table.viewport().rect())
    qtbot.keyClick(table, Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    assert len(table.selected_ids()) == 100


def test_tab_comes_to_a_selected_row_and_leaves_again(qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    light = theme.load("light")
    before, table, behind = QLineEdit(), SessionTable(SessionModel(light), light), QLineEdit()
    layout = QVBoxLayout(window)
    for widget in (before, table, behind):
        layout.addWidget(widget)
    table.sessions.add(many(3))
    with qtbot.waitActive(window):
        window.show()
    before.setFocus()
    qtbot.keyClick(before, Key.Key_Tab)
    assert table.hasFocus()
    assert table.selected_ids() == [table.current_id] == ["s0002"]
    qtbot.keyClick(table, Key.Key_Tab)
    assert behind.hasFocus()


def test_the_menu_key_asks_for_a_menu_at_the_current_row(table: SessionTable) -> None:
    table.sessions.add(many(5))
    table.select("s0002")
    asked: list[QPoint] = []
    table.context_menu_requested.connect(asked.append)
    event = QContextMenuEvent(QContextMenuEvent.Reason.Keyboard, QPoint(0, 0), table.mapToGlobal(QPoint(0, 0)))
    QApplication.sendEvent(table.viewport(), event)
    (at,) = asked
    assert table.indexAt(table.viewport().mapFromGlobal(at)).row() == table.currentIndex().row()


def test_it_has_a_name_for_those_who_listen(table: SessionTable) -> None:
    assert table.accessibleName() and table.horizontalHeader().accessibleName()


def test_only_what_is_being_written_is_said_to_be(table: SessionTable) -> None:
    """Every other note says in the list what it is about, as the head does."""
    written = []
    for kind in KINDS.values():
        status = status_of(session("x", finding(kind.name, "x", "Evidence.", category=Category.INFO, messages=7)))
        if status.text == "Being written":
            written.append(kind)
    assert written
    assert [kind.name for kind in written if kind.category is Category.INFO] == []


def test_a_title_of_several_lines_stands_in_one_without_codes(table: SessionTable) -> None:
    add(table, [session("a", title="Two\tlines\nof a title")])
    assert text(table.sessions, 0, Column.TITLE) == "Two lines of a title"


# Columns


def test_at_the_usual_width_no_heading_and_no_number_is_cut_off(table: SessionTable) -> None:
    add(table, [session("a", lost(98), live=10_234, backup=100_234, database=10_234, after=100_234)])
    assert table.horizontalScrollBar().maximum() == 0
    bold = table.font()
    bold.setBold(True)
    for at in (Column.LIVE, Column.BACKUP, Column.DATABASE, Column.AFTER):
        shown = table.sessions.index(0, at).data()
        assert table.columnWidth(at) >= QFontMetrics(bold).horizontalAdvance(shown) + 18, shown
    for at in (Column.STATUS, Column.TITLE, Column.LIVE, Column.BACKUP, Column.DATABASE, Column.AFTER, Column.UPDATED):
        heading = table.sessions.headerData(at, Qt.Orientation.Horizontal)
        assert table.columnWidth(at) >= table.fontMetrics().horizontalAdvance(heading) + 18, heading
        assert not table.isColumnHidden(at), heading
    assert all(table.isColumnHidden(at) for at in (Column.PROFILE, Column.SIZE, Column.ID))


def test_a_wide_table_shows_every_column_until_a_person_chooses(table: SessionTable) -> None:
    actions = dict(zip(Column, table.columns_menu.actions(), strict=True))
    narrow = table.size()
    table.resize(2 * narrow.width(), narrow.height())
    assert not any(table.isColumnHidden(at) for at in Column)
    assert all(action.isChecked() for action in actions.values())
    assert table.horizontalScrollBar().maximum() == 0
    actions[Column.SIZE].trigger()
    table.resize(narrow)
    assert [at for at in Column if table.isColumnHidden(at)] == [Column.SIZE]


def test_no_column_beside_the_counts_takes_the_room_that_titles_need(table: SessionTable) -> None:
    character = table.fontMetrics().averageCharWidth()
    for width in range(640, 1400, 20):
        table.resize(width, 400)
        if not all(table.isColumnHidden(at) for at in (Column.WORKTREE, Column.LOSS, Column.PROFILE)):
            assert table.columnWidth(Column.TITLE) > 30 * character, width
    assert not table.isColumnHidden(Column.WORKTREE)


def test_columns_come_and_go_by_the_menu_and_are_remembered(table: SessionTable, qtbot: QtBot) -> None:
    actions = dict(zip(Column, table.columns_menu.actions(), strict=True))
    actions[Column.AFTER].trigger()
    actions[Column.ID].trigger()
    table.horizontalHeader().moveSection(0, 1)
    table.setColumnWidth(Column.BACKUP, 123)
    table.sortByColumn(Column.LIVE, DESCENDING)
    state = table.save_state()

    light = theme.load("light")
    other = SessionTable(SessionModel(light), light)
    qtbot.addWidget(other)
    other.resize(table.size())
    assert other.restore_state(state)
    assert (other.isColumnHidden(Column.AFTER), other.isColumnHidden(Column.ID)) == (True, False)
    shown = {at for at, action in zip(Column, other.columns_menu.actions(), strict=True) if action.isChecked()}
    assert shown == {at for at in Column if not other.isColumnHidden(at)}
    assert other.horizontalHeader().visualIndex(Column.TITLE) == 0
    assert other.columnWidth(Column.BACKUP) == 123
    other.sessions.add([session("few", live=2), session("many", live=10)])
    assert ids(other.sessions) == ["many", "few"]


@pytest.mark.parametrize("state", [b"", b"garbage", b"sessions-12-1:", b"sessions-12-0:garbage", b"sessions-3-1:xyz"])
def test_a_state_that_is_none_changes_nothing(table: SessionTable, state: bytes) -> None:
    before = table.save_state()
    assert not table.restore_state(state)
    assert table.save_state() == before


def test_python_looks_through_no_rows_for_cycles() -> None:
    rows = [row_for(session("a")), row_for(session("b", lost(3))), row_for(glanced("c"))]
    kept = [*rows, *(row.session for row in rows), *chain.from_iterable(row.session.findings for row in rows)]
    assert rows[1].session.findings
    assert not any(map(gc.is_tracked, kept))


def test_the_title_cannot_be_hidden(table: SessionTable) -> None:
    assert not table.columns_menu.actions()[Column.TITLE].isEnabled()


# Sessions that were only glanced at


def glanced(name: str, **other: object) -> SessionHeader:
    plain = SessionHeader(name, f"Title of {name}", 4, None, None, None)
    return dataclasses.replace(plain, **other)  # type: ignore[arg-type]


def test_a_head_tells_what_is_in_it_and_nothing_is_said_of_the_rest(model: SessionModel, table: SessionTable) -> None:
    path = "/home/ida/parser/.worktrees/hermes-3fa2b1cd"
    model.add([glanced("a", title="Deploy notes", live=12, updated=1.7e9, profile="work", worktree_path=path)])
    said = {c: text(model, 0, c) for c in Column}
    assert said[Column.STATUS] == "Not checked yet"
    assert [said[c] for c in (Column.TITLE, Column.LIVE, Column.PROFILE, Column.WORKTREE, Column.ID)] == [
        "Deploy notes",
        "12",
        "work",
        "hermes-3fa2b1cd",
        "a",
    ]
    assert said[Column.UPDATED].startswith("2023") or "2023" in said[Column.UPDATED]
    assert {said[c] for c in (Column.BACKUP, Column.DATABASE, Column.AFTER, Column.SIZE)} == {""}
    cell = model.index(0, Column.STATUS)
    assert "12 live, not known yet in the backup" in cell.data(Role.AccessibleTextRole)
    assert "not been compared" in cell.data(Role.ToolTipRole)
    assert model.index(0, Column.WORKTREE).data(Role.ToolTipRole) == path
    assert model.look(cell).color == theme.load("light").color("muted")


def test_a_session_that_nobody_examined_is_neither_healthy_nor_anything_else(model: SessionModel) -> None:
    model.add([glanced("a"), glanced("b")])
    assert set(model.counts().values()) == {0}
    for standing in Standing:
        model.set_standing(standing)
        assert model.visible_count == 0
    model.add([session("a")])
    assert ids(model) == ["a"]
    model.set_standing(ALL)
    assert set(ids(model)) == {"a", "b"}


def test_a_glance_says_nothing_new_of_an_examined_session(model: SessionModel) -> None:
    model.add([session("a", lost(98))])
    model.begin_scan()
    model.add([glanced("a", live=0), glanced("b")])
    assert column(model, Column.STATUS) == ["98 lost", "Not checked yet"]
    model.add([glanced("b", title="Newer")])
    assert text(model, 1, Column.TITLE) == "Newer"


def test_after_a_whole_scan_nothing_unexamined_is_left_and_after_a_stopped_one_it_says_so(model: SessionModel) -> None:
    for complete, left in ((False, ["a", "b", "no session"]), (True, ["a", "b"])):
        model.begin_scan()
        model.add([glanced(name) for name in ("a", "b", "no session")])
        model.add([session("a"), session("b")] if complete else [session("a")])
        model.end_scan(complete=complete)
        assert sorted(ids(model)) == left
        assert column(model, Column.STATUS).count("Not checked yet") == len(left) - (2 if complete else 1)


def test_what_turns_out_healthy_stays_in_its_place_with_view_and_selection(table: SessionTable) -> None:
    table.sessions.begin_scan()
    names = [f"s{k:03}" for k in range(200)]
    table.sessions.add([glanced(name, updated=1.7e9 - 600 * k) for k, name in enumerate(names)])
    table.verticalScrollBar().setValue(table.rowHeight(0) * 90 + 7)
    table.select("s100")
    top = table.rowViewportPosition(100)
    told: list[object] = []
    table.current_changed.connect(told.append)
    table.selection_changed.connect(told.append)
    for name in names[::-1]:
        table.sessions.add([session(name, updated=1.7e9 - 600 * int(name[1:]))])
        assert ids(table.sessions) == names
    table.sessions.add([session("s150", lost(3)), session("s007", lost(2))])
    assert ids(table.sessions)[:2] == ["s150", "s007"]
    assert table.selected_ids() == [table.current_id] == ["s100"]
    assert table.rowViewportPosition(table.currentIndex().row()) == top
    assert told == []


def test_the_widths_of_the_columns_do_not_jump_when_a_status_comes(table: SessionTable) -> None:
    add(table, [glanced("a")])
    before = [table.columnWidth(c) for c in Column]
    words = table.fontMetrics().horizontalAdvance("Not checked yet")
    assert words + 16 < table.columnWidth(Column.STATUS)
    add(table, [session("a")])
    assert [table.columnWidth(c) for c in Column] == before


# A great many sessions


def test_a_new_order_of_a_great_many_is_made_in_steps_and_what_comes_meanwhile_waits(
    table: SessionTable, qtbot: QtBot
) -> None:
    count = 2 * STEP + 500
    chance = random.Random(3)
    table.sessions.add([session(f"s{k:05}", live=chance.randrange(50)) for k in range(count)])
    table.select("s00077")
    table.sortByColumn(Column.LIVE, DESCENDING)
    table.sessions.set_standing(Standing.HEALTHY)
    assert table.sessions.is_arranging
    table.sessions.add([session("newer", live=99), session("s00001", live=98)])
    qtbot.waitUntil(lambda: not table.sessions.is_arranging)
    live = [int(text(table.sessions, row, Column.LIVE)) for row in range(table.sessions.visible_count)]
    assert live == sorted(live, reverse=True)
    assert ids(table.sessions)[:2] == ["newer", "s00001"]
    assert table.sessions.visible_count == table.sessions.total_count == count + 1
    assert table.selected_ids() == ["s00077"]
    table.sessions.sort(Column.ID)
    table.sessions.clear()
    assert not table.sessions.is_arranging
    assert table.sessions.visible_count == 0


def test_what_is_equal_stays_in_the_order_in_which_it_was_found(model: SessionModel) -> None:
    model.add([session(f"s{k}", live=k % 2) for k in range(6)])
    model.sort(Column.LIVE)
    assert ids(model) == ["s0", "s2", "s4", "s1", "s3", "s5"]
    model.sort(Column.LIVE, DESCENDING)
    assert ids(model) == ["s5", "s3", "s1", "s4", "s2", "s0"]
    model.add([session("s2", live=0, title="changed"), session("s4", live=1)])
    assert ids(model) == ["s5", "s4", "s3", "s1", "s2", "s0"]


# What is painted and told


Tip = Callable[[int, Column], str]


@pytest.fixture
def tip(table: SessionTable, monkeypatch: pytest.MonkeyPatch) -> Tip:
    """What a cell would tell the mouse that rests on it. The tip itself does not open: offscreen, Qt warns of that."""
    told: list[str] = []
    monkeypatch.setattr(
        "hermes_rescue.gui.sessions.session_table.QToolTip.showText", lambda at, text, widget: told.append(text)
    )

    def ask(row: int, column: Column) -> str:
        option = QStyleOptionViewItem()
        option.initFrom(table)
        index = table.sessions.index(row, column)
        option.rect = table.visualRect(index)
        at = option.rect.center()
        event = QHelpEvent(QEvent.Type.ToolTip, at, table.viewport().mapToGlobal(at))
        assert table.itemDelegate().helpEvent(event, table, option, index)
        return told[-1]

    return ask


def test_a_title_that_does_not_fit_is_told_and_never_read_as_markup(table: SessionTable, tip: Tip) -> None:
    markup = "<b>bold</b> <img src='file:///etc/passwd'> " * 9
    table.sessions.add([session("a", title=markup), session("b", title="short")])
    assert "&lt;b&gt;bold&lt;/b&gt;" in tip(0, Column.TITLE)
    assert "<img" not in tip(0, Column.TITLE)
    assert tip(1, Column.TITLE) == ""


def test_the_tip_of_a_status_is_the_evidence(table: SessionTable, tip: Tip) -> None:
    table.sessions.add([session("a", lost(98), NOTE)])
    assert tip(0, Column.STATUS) == "<p>98 messages are missing.<br>You deleted it.</p>"


def test_the_tip_of_a_backup_is_its_age(model: SessionModel) -> None:
    model.add([session("a", backup=3, backup_time=1_700_000_000.0)])
    assert "days ago" in model.index(0, Column.BACKUP).data(Role.ToolTipRole)


def test_the_selected_row_has_a_bar_and_another_ground_in_every_theme(table: SessionTable) -> None:
    table.sessions.add(many(5))
    table.select("s0002")
    chosen, other = (table.visualRect(table.sessions.index(row, 0)) for row in (2, 0))
    for name in theme.NAMES:
        look = theme.load(name)
        table.sessions.set_theme(look)
        table.set_theme(look)
        picture = table.viewport().grab().toImage()
        assert picture.pixelColor(1, chosen.center().y()) == look.color("accent")
        assert picture.pixelColor(5, chosen.center().y()) == look.color("select")
        assert picture.pixelColor(1, other.center().y()) == look.color("surface")
        assert picture.pixelColor(300, other.bottom()) == look.color("line")


def test_rows_follow_the_font(table: SessionTable) -> None:
    table.sessions.add(many(2))
    before = table.rowHeight(0), table.columnWidth(Column.STATUS)
    font = table.font()
    font.setPointSizeF(font.pointSizeF() * 2)
    table.setFont(font)
    assert table.rowHeight(0) > 1.6 * before[0]
    assert table.columnWidth(Column.STATUS) > 1.3 * before[1]


# Nothing to show


def face(table: SessionTable) -> Sequence[str]:
    """The texts that stand in the place of the rows."""
    texts = [child.text() for child in table.findChildren(QPushButton) if child.isVisible()]
    return [label.text() for label in table.findChildren(QLabel) if label.isVisible() and label.text()] + texts


def test_every_empty_state_has_its_face(table: SessionTable, qtbot: QtBot) -> None:
    assert face(table) == ["There are no sessions here."]
    table.sessions.begin_scan()
    assert face(table) == ["Looking for sessions…"]
    table.sessions.add(many(2))
    assert face(table) == []
    table.sessions.set_standing(Standing.REVIEW)
    assert face(table) == ["No session matches the filter.", "Clear filter"]
    with qtbot.waitSignal(table.clear_filter_requested):
        next(b for b in table.findChildren(QPushButton) if b.isVisible()).click()
    table.sessions.set_standing(ALL)
    assert face(table) == []
    table.sessions.clear()
    assert face(table) == ["Looking for sessions…"]
