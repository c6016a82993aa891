"""Every state of the window has a face, and what it tells is read out: in the real window, on real stores."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.findings import Standing
from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.hermes.webui_status import Server, WebUIStatus
from hermes_rescue.gui.background import reader, webui_poll
from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.repairs.report_dialog import ReportDialog
from hermes_rescue.gui.review.diff_view import FIELDS, NOTHING
from hermes_rescue.gui.review.review_pane import CHANGES
from hermes_rescue.gui.shell.main_window import MainWindow
from hermes_rescue.gui.view_model.formatting import moment
from hermes_rescue.gui.view_model.session_rows import Column
from hermes_rescue.gui.widgets.commands import COMMANDS
from hermes_rescue.gui.widgets.guide import GuideWindow
from hermes_rescue.gui.widgets.help_dialog import HelpDialog
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QFont
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QHeaderView,
    QLabel,
    QLineEdit,
    QMessageBox,
    QScrollArea,
    QWidget,
)
from pytestqt.qtbot import QtBot

Open = Callable[..., MainWindow]
Scanned = Callable[[MainWindow], None]
LEFT = Qt.MouseButton.LeftButton


def chosen(demo: DemoStore, name: str) -> str:
    return next(story.session_id for story in demo.stories if story.name == name)


def go_to(window: MainWindow, scanned: Scanned, session_id: str) -> None:
    assert window.table.select(session_id)
    scanned(window)


def healthy_store(folder: Path, sessions: int) -> Path:
    """A home with some sessions that nothing is wrong with."""
    home = folder / "healthy"
    (home / "webui" / "sessions").mkdir(parents=True)
    for k in range(sessions):
        says = [{"role": "user", "content": "How long do eggs boil?", "timestamp": 1_777_800_000.0}]
        session = {"session_id": f"00000000000{k}", "title": "Eggs", "messages": says, "message_count": 1}
        (home / "webui" / "sessions" / f"00000000000{k}.json").write_text(json.dumps(session))
    return home


# --- the store --------------------------------------------------------------------------------------------------------


def test_a_store_that_cannot_be_read_says_which_folder_and_why_and_can_be_tried_again(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, monkeypatch: Any
) -> None:
    sessions = demo.home / "webui" / "sessions"
    real = os.listdir

    def listed(path: Any) -> list[str]:  # also where the tests run as root, whom no rights keep out
        if Path(path) == sessions:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr("hermes_rescue.core.hermes.listing.os.listdir", listed)
        window = open_window(StoreLocation(demo.home), wait=False)
        qtbot.waitUntil(window.no_store.isVisible, timeout=60_000)
        text = window.no_store.text.replace("\u200b", "")
        assert str(sessions) in text
        assert os.strerror(errno.EACCES) in text
        assert not window.actions_["repair_all"].isEnabled()
    again = next(b for b in window.no_store.findChildren(QAbstractButton) if b.isVisible() and "again" in b.text())
    qtbot.mouseClick(again, LEFT)
    wait_scanned(window)
    assert window.table.sessions.visible_count == len(demo.stories)
    assert window.splitter.isVisible()


def test_an_empty_store_says_which_it_is_and_what_can_be_done(
    qtbot: QtBot, open_window: Open, tmp_path: Path, demo: DemoStore
) -> None:
    sessions = tmp_path / "empty" / "webui" / "sessions"
    sessions.mkdir(parents=True)
    window = open_window(StoreLocation(tmp_path / "empty"))
    assert window.no_store.isVisible()
    assert str(sessions) in window.no_store.text.replace("\u200b", "")
    buttons = [b for b in window.no_store.findChildren(QAbstractButton) if b.isVisible()]
    assert [b.text() for b in buttons if b.isEnabled()] == ["Choose folder…", "Add a backup…", "Try with a demo store"]
    assert window.actions_["history"].isEnabled()
    window.actions_["history"].trigger()
    assert window.history.isVisible()
    window.open(StoreLocation(demo.home))
    qtbot.waitUntil(window.splitter.isVisible)


@pytest.mark.parametrize("damage", ["malformed", "locked"])
def test_a_database_that_cannot_be_read_stays_told_until_it_can(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, damage: str
) -> None:
    path = demo.home / "state.db"
    whole = path.read_bytes()
    holder = sqlite3.connect(path, isolation_level=None)
    if damage == "malformed":
        path.write_bytes(b"no database at all" * 300)
    else:
        holder.execute("PRAGMA locking_mode=EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
    window = open_window(StoreLocation(demo.home))
    told = window.notices.store
    assert told.isVisible()
    assert str(path) in told.text.replace("\u200b", "")
    assert "look again" in told.text
    go_to(window, wait_scanned, chosen(demo, "wiped"))
    window.tools.filter.setText("naxos")
    window.tools.filter.clear()
    assert told.isVisible()
    holder.close()
    if damage == "malformed":
        path.write_bytes(whole)
    qtbot.mouseClick(told.buttons[0], LEFT)
    wait_scanned(window)
    assert told.isHidden()


def test_a_list_of_sessions_that_is_damaged_alone_can_be_repaired(
    qtbot: QtBot, open_window: Open, tmp_path: Path
) -> None:
    home = healthy_store(tmp_path, 2)
    (home / "webui" / "sessions" / "_index.json").write_text("[{")
    window = open_window(StoreLocation(home))
    assert "_index.json" in window.notices.store.text or "session list" in window.notices.store.text
    assert window.actions_["repair_all"].isEnabled()


def test_a_mistake_of_the_program_during_the_check_is_not_called_an_empty_store(
    qtbot: QtBot, open_window: Open, demo: DemoStore, monkeypatch: Any
) -> None:
    monkeypatch.setattr("hermes_rescue.gui.background.reader.ReaderThread._scan", lambda *_: 1 // 0)
    window = open_window(StoreLocation(demo.home), wait=False)
    qtbot.waitUntil(window.no_store.isVisible, timeout=60_000)
    assert "Something went wrong" in window.no_store.text
    boxes = window.findChildren(QMessageBox)
    assert ["ZeroDivisionError" in box.detailedText() for box in boxes] == [True]
    boxes[0].close()


def test_what_is_to_be_known_of_a_store_is_told_in_a_few_lines(qtbot: QtBot, open_window: Open, tmp_path: Path) -> None:
    home = healthy_store(tmp_path, 1)
    for k in range(50):
        (home / "webui" / "sessions" / f"no id {k}.json").write_text("{}")
    window = open_window(StoreLocation(home))
    (line,) = window.notices.store.text.splitlines()
    assert "no session id" in line
    assert "47 more" in line
    assert window.table.sessions.visible_count == 1


def test_where_all_is_well_it_says_so_and_when_that_was_checked(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, tmp_path: Path, monkeypatch: Any
) -> None:
    home = healthy_store(tmp_path, 3)
    monkeypatch.setattr("time.time", lambda: 1_777_809_742.0)
    window = open_window(StoreLocation(home))
    told = window.notices.healthy
    assert told.isVisible()
    assert "Nothing to repair" in told.text
    assert "3 sessions" in told.text
    assert moment(1_777_809_742.0) in told.text
    (home / "webui" / "sessions" / "000000000000.json").write_text('{"session_id": "0')
    window.rescan()
    wait_scanned(window)
    assert told.isHidden()


def test_it_does_not_call_a_store_healthy_that_waits_for_a_decision(
    qtbot: QtBot, open_window: Open, demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    assert window.notices.healthy.isHidden()


@pytest.mark.parametrize("version", ["0.52.1", "0.50.285"])
def test_with_a_running_webui_it_says_what_is_possible(
    qtbot: QtBot,
    open_window: Open,
    wait_scanned: Scanned,
    demo: DemoStore,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
) -> None:
    """And how to stop it; without a sign of one it denies nothing."""
    server = Server(4711, "http://127.0.0.1:8787", version, 0, answers=True, stop="kill 4711")
    for asked in (reader, webui_poll):
        monkeypatch.setattr(asked, "webui_status", lambda store: WebUIStatus(True, (server,), "It is running."))
    window = open_window(StoreLocation(demo.home))
    told = window.notices.webui
    assert told.isVisible()
    assert "Lost sessions" in told.text
    assert ("only gain messages" in told.text) is (version == "0.52.1")
    assert "kill 4711" in told.text
    for unseen in (False, None):
        nothing = WebUIStatus(unseen, (), "No sign of one.")
        for asked in (reader, webui_poll):
            monkeypatch.setattr(asked, "webui_status", lambda store, nothing=nothing: nothing)
        window.rescan()
        wait_scanned(window)
        assert told.isHidden()
        assert "No sign" in window.chips._webui.text()


def test_what_filters_nothing_cannot_be_chosen(qtbot: QtBot, open_window: Open, tmp_path: Path) -> None:
    window = open_window(StoreLocation(healthy_store(tmp_path, 1)))
    assert not window.chips._chips[Standing.REPAIRABLE].isEnabled()
    assert window.chips._chips[Standing.HEALTHY].isEnabled()


@pytest.fixture
def large_font(qapp: QApplication) -> Iterator[None]:
    """The system asks for 14 points."""
    usual = qapp.font()
    large = QFont(usual)
    large.setPointSizeF(14)
    qapp.setFont(large)
    yield
    qapp.setFont(usual)


@pytest.mark.usefixtures("large_font")
def test_with_a_large_font_the_window_stays_as_large_as_it_is_and_no_button_is_cut(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    ids = [window.table.sessions.id_at(row) for row in range(window.table.sessions.visible_count)]
    size = window.size()
    (demo.home / "state.db").write_bytes(b"no database at all" * 300)
    window.rescan()
    wait_scanned(window)
    assert window.notices.store.isVisible()
    for session_id in ids:
        if window.table.select(session_id):
            wait_scanned(window)
            QApplication.processEvents()
            assert window.size() == size
    shown = (b for b in window.findChildren(QAbstractButton) if b.isVisible() and b.text())
    buttons = [b for b in shown if not isinstance(b.parent(), QLineEdit)]  # those show their picture alone
    assert [b.text() for b in buttons if b.width() < b.sizeHint().width()] == []
    for name in ("rescan", "undo", "export"):  # known by their icon, and by name to a screen reader
        button = window.tools._buttons[name]
        assert button.text() or button.accessibleName()


# --- one session ------------------------------------------------------------------------------------------------------


def test_one_bad_session_is_a_row_with_its_reason(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, tmp_path: Path
) -> None:
    home = healthy_store(tmp_path, 3)
    bad = home / "webui" / "sessions" / "000000000001.json"
    bad.unlink()
    bad.mkdir()
    (home / "webui" / "sessions" / "000000000002.json").write_bytes(b"\x00" * 99)
    window = open_window(StoreLocation(home))
    assert window.table.sessions.visible_count == 3
    for session_id, reason in (("000000000001", "folder"), ("000000000002", "zero bytes")):
        go_to(window, wait_scanned, session_id)
        status = window.table.sessions.index(window.table.sessions.row_of(session_id), Column.STATUS)
        assert reason in status.data(Qt.ItemDataRole.ToolTipRole)
        assert reason in window.review.head.evidence.accessibleName()
        assert window.review.head.evidence.isVisible()
        assert window.review.difference.pages.currentIndex() == NOTHING


def test_a_session_that_takes_long_to_read_does_not_look_like_the_one_before(
    qtbot: QtBot, open_window: Open, demo: DemoStore, monkeypatch: Any
) -> None:
    window = open_window(StoreLocation(demo.home))
    monkeypatch.setattr(window.reading, "ask", lambda *_: None)  # the answer does not come
    window.table.select(chosen(demo, "undone"))
    qtbot.waitUntil(lambda: window.review.session_id == "", timeout=60_000)
    qtbot.waitUntil(lambda: "Reading" in window.review.head.evidence.text(), timeout=60_000)


def test_the_way_back_leads_to_the_last_change_of_the_session_before(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    ids = [window.table.sessions.id_at(row) for row in range(window.table.sessions.visible_count)]
    place = window.review.difference._place
    total = 0
    for before, behind in pairwise(ids):  # noqa: B007  (what comes behind the loop needs it)
        go_to(window, wait_scanned, before)
        total = window.review.difference.position[1]
        if total > 1:
            break
    assert total > 1
    go_to(window, wait_scanned, behind)
    window.actions_["previous"].trigger()
    wait_scanned(window)
    assert window.table.current_id == before
    assert window.review.difference.position == (total, total)
    assert place.text() == f"{total} of {total}"
    for at in range(total - 1, 0, -1):
        window.actions_["previous"].trigger()
        assert window.review.difference.position == (at, total)
    for _ in range(total):
        window.actions_["next"].trigger()
    wait_scanned(window)
    assert window.table.current_id == behind
    behind_total = window.review.difference.position[1]
    assert window.review.difference.position == (min(1, behind_total), behind_total)


# --- read out ---------------------------------------------------------------------------------------------------------


def test_a_missing_store_is_said_aloud(qtbot: QtBot, open_window: Open, tmp_path: Path, heard: list[str]) -> None:
    open_window(StoreLocation(tmp_path / "nowhere"))
    assert any("No Hermes conversations found" in text for text in heard)


def test_without_a_store_none_is_named_and_no_option_of_the_terminal(
    qtbot: QtBot, open_window: Open, demo: DemoStore, tmp_path: Path
) -> None:
    window = open_window(StoreLocation(demo.home))
    window.open(StoreLocation(tmp_path / "nowhere"))
    qtbot.waitUntil(window.no_store.isVisible)
    assert "nowhere" in window.no_store.text.replace("\u200b", "")
    assert "--" not in window.no_store.text
    assert demo.home.name not in window.tools.store_button.text()


def test_of_a_store_that_was_removed_nothing_is_left_to_see_or_to_press(
    qtbot: QtBot, open_window: Open, demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    shutil.rmtree(demo.home)
    window.actions_["rescan"].trigger()
    qtbot.waitUntil(window.no_store.isVisible, timeout=60_000)
    chips = [b for b in window.chips.findChildren(QAbstractButton) if b.isVisible()]
    assert [chip.text() for chip in chips if not chip.toolTip().startswith("0 ")] == []
    for name in ("repair_all", "undo", "export", "add_backup", "add_folder", "import"):
        assert not window.actions_[name].isEnabled()
    assert window.actions_["rescan"].isEnabled()


def stops_tab(window: QWidget, widget: QWidget) -> bool:
    """Whether Tab is to stop at a widget: of buttons that stand together as a switch, at the one that is down."""
    takes_it = widget.isVisible() and widget.isEnabled() and widget.focusPolicy() & Qt.FocusPolicy.TabFocus
    is_part = widget.focusProxy() is not None or isinstance(widget, QHeaderView) or widget.window() is not window
    is_up = isinstance(widget, QAbstractButton) and widget.group() is not None and not widget.isChecked()
    return bool(takes_it) and not is_part and not is_up


def where(root: QWidget, widget: QWidget) -> tuple[int, int]:
    """Where a widget begins: from the top, then from the left."""
    corner = widget.mapTo(root, widget.rect().topLeft())
    return corner.y(), corner.x()


@pytest.mark.parametrize("face", ["sessions", "history", "changes", "fields", "raw", "no store"])
def test_tab_walks_through_all_of_the_window_as_people_read_and_back(
    qtbot: QtBot, open_window: Open, demo: DemoStore, tmp_path: Path, face: str
) -> None:
    if face == "history":
        api.apply(api.plan(find_store(home=demo.home)))
    window = open_window(StoreLocation(tmp_path / "nowhere" if face == "no store" else demo.home))
    if face == "history":
        window.actions_["history"].trigger()
    elif face in ("changes", "fields", "raw"):
        window.review.tabs.setCurrentIndex(CHANGES + ("changes", "fields", "raw").index(face))
    with qtbot.waitActive(window):
        window.activateWindow()
    expected = {w for w in window.findChildren(QWidget) if stops_tab(window, w)}
    start, line = window.tools.store_button, window.fontMetrics().height()
    walks = []
    for key in (Qt.Key.Key_Tab, Qt.Key.Key_Backtab):
        start.setFocus()
        walk: list[QWidget] = [start]
        for _ in range(len(expected) + 5):
            focused = QApplication.focusWidget()
            assert focused is not None
            qtbot.keyClick(focused, key)
            focused = QApplication.focusWidget()
            if focused is start:
                break
            assert focused is not None
            walk.append(focused)
        walks.append(walk)
    there, back = walks
    assert set(there) == expected
    assert len(there) == len(expected)  # each once
    assert back[1:] == there[:0:-1]
    # Line by line within each part of the window, and part by part; what begins less than a line apart is one line.
    # The buttons of a session stand beside what is said of it.
    buttons = window.review.head._side
    for part in (window.tools, window.chips, window.table, buttons, window.side, window.no_store):
        within = [w for w in there if w is part or part.isAncestorOf(w)]
        places = [where(window, w) for w in within if part is buttons or not buttons.isAncestorOf(w)]
        for (y, x), (next_y, next_x) in pairwise(places):
            assert next_x > x if abs(next_y - y) < line else next_y > y
    parts = (window.tools, window.chips, window.table, window.side, window.no_store, window.foot)
    order = [next(k for k, part in enumerate(parts) if w is part or part.isAncestorOf(w)) for w in there]
    assert order == sorted(order)


def test_the_arrow_keys_go_through_the_tabs(qtbot: QtBot, open_window: Open, demo: DemoStore) -> None:
    window = open_window(StoreLocation(demo.home))
    tabs = window.review.tabs
    with qtbot.waitActive(window):
        window.activateWindow()
    tabs.setFocus()
    for _ in range(2):
        qtbot.keyClick(tabs, Qt.Key.Key_Right)
    assert window.review.difference.pages.currentIndex() == FIELDS
    assert window.review.pages.currentWidget() is window.review.difference
    assert QApplication.focusWidget() is tabs


def test_everything_that_takes_the_keyboard_has_a_name_that_can_be_read_out(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    report = ReportDialog(window.looks.theme, window)
    help_, guide = HelpDialog(COMMANDS, window), GuideWindow(window)
    for dialog in (report, help_, guide):
        dialog.show()
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    widgets = [w for top in (window, report, help_, guide) for w in top.findChildren(QWidget)]
    nameless = []
    for widget in widgets:
        if not widget.focusPolicy() & Qt.FocusPolicy.TabFocus or isinstance(widget, QHeaderView):
            continue
        if not QAccessible.queryAccessibleInterface(widget).text(QAccessible.Text.Name):
            nameless.append(f"{type(widget).__name__} in {type(widget.parent()).__name__}")
    for dialog in (report, help_, guide):
        dialog.close()
    assert nameless == []
    assert any(isinstance(w, QScrollArea) for w in widgets)


def test_the_help_has_the_keys_of_the_lists_and_those_of_the_commands(
    qtbot: QtBot, open_window: Open, demo: DemoStore
) -> None:
    dialog = HelpDialog(COMMANDS, open_window(StoreLocation(demo.home)))
    qtbot.addWidget(dialog)
    keys = [label.text() for label in dialog.findChildren(QLabel)]
    assert {"Return", "Space", "Shift+Space", "Esc", "F3, Shift+F3", "S", "F6", "F7, Alt+Down"} <= set(keys)


def test_rows_are_read_out_as_sentences(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    go_to(window, wait_scanned, chosen(demo, "wiped"))
    window.table.show_table(True)
    table = QAccessible.queryAccessibleInterface(window.table.view)
    assert table.role() == QAccessible.Role.Table
    row = window.table.sessions.row_of(chosen(demo, "wiped"))
    at = (row + 1) * (len(Column) + 1) + 1 + Column.STATUS  # behind the heads of the columns and of the rows
    assert table.child(at).role() == QAccessible.Role.Cell
    spoken = table.child(at).text(QAccessible.Text.Name)
    assert spoken.startswith("102 lost: Billing migration")
    assert "102 in the backup" in spoken
    messages = QAccessible.queryAccessibleInterface(window.review.difference.list)
    assert messages.childCount() > 0
    assert "from backup" in messages.child(0).text(QAccessible.Text.Name)
