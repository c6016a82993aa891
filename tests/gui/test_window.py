"""The real window: from start to a verified repair, its undo and its report, with the keyboard and with the mouse."""

from __future__ import annotations

import json
import shlex
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.findings import Category, SessionAudit, Standing
from hermes_rescue.core.audit.store_audit import audit
from hermes_rescue.core.base import progress
from hermes_rescue.core.base.private_folder import private_folder
from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.core.hermes.message import message
from hermes_rescue.core.hermes.sidecar import read
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.repair import apply, vault
from hermes_rescue.gui.background import reader
from hermes_rescue.gui.background.reader import ReaderThread
from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.repairs.repair_dialog import RepairDialog
from hermes_rescue.gui.repairs.report_dialog import ReportDialog
from hermes_rescue.gui.repairs.undo_dialog import UndoDialog
from hermes_rescue.gui.review.diff_view import FIELDS
from hermes_rescue.gui.review.review_pane import CHANGES
from hermes_rescue.gui.shell.app import show_what_goes_wrong_in
from hermes_rescue.gui.shell.main_window import MainWindow
from hermes_rescue.gui.view_model.session_rows import Column
from PySide6.QtCore import QMimeData, QPoint, QPointF, QSettings, Qt, QTimer, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication
from PySide6.QtWidgets import QApplication, QDialog, QMenu, QMessageBox, QProgressBar, QPushButton, QWidget
from pytestqt.qtbot import QtBot

Open = Callable[..., MainWindow]
Scanned = Callable[[MainWindow], None]
Snapshot = Callable[[Path], Any]


def when_asked(qtbot: QtBot, kind: type[QDialog], answer: Callable[[Any], object]) -> None:
    """Answer the next dialog of a kind as soon as it is open."""

    def look() -> None:
        found = QApplication.activeModalWidget()
        if isinstance(found, kind) and found.isVisible():
            try:
                answer(found)
            except BaseException:
                found.reject()  # or its event loop would wait for ever
                raise
        else:
            QTimer.singleShot(10, look)

    QTimer.singleShot(0, look)


def finished(qtbot: QtBot, window: MainWindow, scanned: Scanned) -> None:
    qtbot.waitUntil(lambda: not window.writer.is_busy, timeout=60_000)
    scanned(window)
    if window.isVisible():
        with qtbot.waitActive(window):  # no window manager does it here after a dialog
            window.activateWindow()


def texts(path: Path) -> list[str]:
    parsed = read(path).sidecar
    assert parsed is not None and parsed.damage is None
    return [" ".join(message(piece).text.split()).removesuffix(" [screenshot]") for piece in parsed.messages]


# --- before the check -------------------------------------------------------------------------------------------------


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Holds up the check of a store, before its first session, until it is set."""
    opened = threading.Event()
    scan = ReaderThread._scan

    def held(self: ReaderThread, *of: Any) -> None:
        opened.wait(60)
        scan(self, *of)

    monkeypatch.setattr(ReaderThread, "_scan", held)
    yield opened
    opened.set()


def statuses(window: MainWindow) -> set[str]:
    model = window.table.sessions
    return {str(model.index(row, Column.STATUS).data()) for row in range(model.rowCount())}


def test_the_sessions_show_before_they_are_checked_and_nothing_is_said_of_them(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, gate: threading.Event
) -> None:
    window = open_window(StoreLocation(demo.home), wait=False)
    names = [p.stem for p in (demo.home / "webui" / "sessions").glob("*.json") if not p.name.startswith("_")]
    qtbot.waitUntil(lambda: window.table.sessions.total_count == len(names), timeout=60_000)
    assert statuses(window) == {"Not checked yet"}
    assert set(window.table.sessions.counts().values()) == {0}
    assert not window.actions_["repair_all"].isEnabled()
    assert not window.actions_["export"].isEnabled()
    assert window.notices.healthy.isHidden()
    assert window.table.selected_ids() == []
    assert "being checked" in window.review.head.title.text()
    gate.set()
    wait_scanned(window)
    assert "being checked" not in window.review.head.title.text()
    assert "Not checked yet" not in statuses(window)
    assert window.table.view.currentIndex().row() == 0
    assert window.actions_["repair_all"].isEnabled()


def test_a_session_that_was_chosen_before_the_check_stays_chosen_and_is_shown(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, gate: threading.Event
) -> None:
    window = open_window(StoreLocation(demo.home), wait=False)
    wanted = next(story.session_id for story in demo.stories if story.name == "healthy")
    qtbot.waitUntil(lambda: window.table.select(wanted), timeout=60_000)
    gate.set()
    wait_scanned(window)
    assert window.table.selected_ids() == [wanted]
    assert window.review.session_id == wanted


def test_the_bar_moves_while_one_session_is_checked(
    open_window: Open, wait_scanned: Scanned, demo: DemoStore, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "INTERVAL", 0)
    monkeypatch.setattr(reader, "BATCH", 0)
    window = open_window(StoreLocation(demo.home), wait=False)
    bar = window.foot.findChild(QProgressBar)
    assert bar is not None
    shown: list[float] = []
    said: list[str] = []

    def note(value: int) -> None:
        if "sessions" in window.foot.text:
            shown.append(value / bar.maximum())
            said.append(window.foot.text)

    bar.valueChanged.connect(note)
    gate.set()
    wait_scanned(window)
    assert shown == sorted(shown)
    assert shown[-1] == 1
    assert len(shown) > 2 * len({*said})  # whole sessions are said, parts of them are shown


def test_a_session_that_nobody_waits_for_any_more_is_not_read_to_its_end(
    qtbot: QtBot, open_window: Open, demo: DemoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "INTERVAL", 0)
    window = open_window(StoreLocation(demo.home))
    begun: list[str] = []
    ended: list[str] = []
    go_on = threading.Event()
    examine = reader.examine  # type: ignore[attr-defined]

    def held(inventory: Any, webui: Any, session_id: str, choices: Any, **options: Any) -> Any:
        begun.append(session_id)
        go_on.wait(60)
        found = examine(inventory, webui, session_id, choices, **options)
        ended.append(session_id)
        return found

    monkeypatch.setattr(reader, "examine", held)
    first, second = (story.session_id for story in demo.stories if story.name in ("healthy", "behind_the_database"))
    assert window.table.select(first)
    qtbot.waitUntil(lambda: begun == [first], timeout=60_000)
    asked = window.reading._question
    assert window.table.select(second)
    qtbot.waitUntil(lambda: window.reading._question > asked, timeout=60_000)
    go_on.set()
    qtbot.waitUntil(lambda: window.review.session_id == second and bool(ended), timeout=60_000)
    assert (begun, ended) == ([first, second], [second])


def test_a_check_that_was_stopped_leaves_the_rest_unchecked(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, gate: threading.Event
) -> None:
    window = open_window(StoreLocation(demo.home), wait=False)
    qtbot.waitUntil(lambda: window.table.sessions.total_count > 0, timeout=60_000)
    threading.Timer(0.05, gate.set).start()
    window._cancel()
    assert statuses(window) == {"Not checked yet"}
    assert "stopped" in window.foot.text
    window.rescan()
    wait_scanned(window)
    assert "Not checked yet" not in statuses(window)


# --- repairing --------------------------------------------------------------------------------------------------------


def test_an_old_file_is_said_to_be_kept_only_where_there_was_one(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    lost = [each.session_id for each in demo.stories if each.name in ("lost_rows_only", "lost_worktree")]
    when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept_button.click())
    window.requests.repair(lost)
    finished(qtbot, window, wait_scanned)
    assert window.result.text.startswith("2 sessions repaired at ")
    assert "old file" not in window.result.text


def test_from_start_to_restored_in_three_clicks(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    """Repair, confirm: two clicks; the first session is selected by itself."""
    window = open_window(StoreLocation(demo.home))
    clicks = 0

    def confirm(dialog: RepairDialog) -> None:
        nonlocal clicks
        assert dialog.focusWidget() is dialog.cancel
        clicks += 1
        qtbot.mouseClick(dialog.accept_button, Qt.MouseButton.LeftButton)

    when_asked(qtbot, RepairDialog, confirm)
    button = window.tools._buttons["repair_all"]
    assert "17 sessions" in button.text()
    clicks += 1
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    finished(qtbot, window, wait_scanned)
    assert clicks <= 3
    sessions = demo.home / "webui" / "sessions"
    for story in demo.stories:
        path = sessions / f"{story.session_id}.json"
        if story.expect == "repaired":
            assert texts(path) == [" ".join(text.split()) for text in story.wanted], story.name
        elif story.expect == "absent":
            assert not path.exists()
    assert window.result.text.startswith("17 sessions repaired at ")
    assert "17 repaired at " in window.foot.text
    assert window.table.sessions.counts()[Standing.REPAIRABLE] == 0


def test_the_keyboard_alone_repairs_undoes_and_reports(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, tmp_path: Path, monkeypatch: Any
) -> None:
    window = open_window(StoreLocation(demo.home))
    sessions = demo.home / "webui" / "sessions"
    before = {path.name: path.read_bytes() for path in sessions.iterdir() if path.is_file()}
    repairable = window.table.sessions.counts()[Standing.REPAIRABLE]

    def confirm(dialog: RepairDialog) -> None:
        for _ in range(20):
            if dialog.focusWidget() is dialog.accept_button:
                break
            qtbot.keyClick(dialog.focusWidget(), Qt.Key.Key_Tab)
        qtbot.keyClick(dialog.focusWidget(), Qt.Key.Key_Space)

    when_asked(qtbot, RepairDialog, confirm)
    qtbot.keyClick(window, Qt.Key.Key_R, Qt.KeyboardModifier.ControlModifier)
    finished(qtbot, window, wait_scanned)
    assert {path.name: path.read_bytes() for path in sessions.iterdir() if path.is_file()} != before

    when_asked(qtbot, UndoDialog, lambda dialog: dialog.undo.click())
    qtbot.waitUntil(window.actions_["undo"].isEnabled, timeout=20_000)
    qtbot.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: "put back" in window.result.text, timeout=60_000)
    finished(qtbot, window, wait_scanned)
    assert f"{repairable} sessions put back." in window.result.text
    assert {path.name: path.read_bytes() for path in sessions.iterdir() if path.is_file()} == before

    target = tmp_path / "report.html"
    monkeypatch.setattr(ReportDialog, "ask_path", lambda *_: target)
    when_asked(qtbot, ReportDialog, lambda dialog: qtbot.keyClick(dialog, Qt.Key.Key_Return))
    qtbot.keyClick(window, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
    finished(qtbot, window, wait_scanned)
    assert target.read_text().startswith("<!DOCTYPE html>")


def test_escape_and_enter_repair_nothing_by_accident(
    qtbot: QtBot, open_window: Open, demo: DemoStore, snapshot: Snapshot
) -> None:
    window = open_window(StoreLocation(demo.home))
    before = snapshot(demo.home)
    for key in (Qt.Key.Key_Escape, Qt.Key.Key_Return):
        when_asked(qtbot, RepairDialog, partial(lambda key, dialog: qtbot.keyClick(dialog, key), key))
        window.actions_["repair_all"].trigger()
        qtbot.waitUntil(lambda: not window.writer.is_busy)
    assert snapshot(demo.home) == before


def test_a_question_is_answered_by_repairing_the_session_itself(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    asked = [story for story in demo.stories if story.expect == "review"]
    for story in asked:
        assert window.table.select(story.session_id)
        wait_scanned(window)
        when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept())
        window.actions_["repair"].trigger()
        finished(qtbot, window, wait_scanned)
        path = demo.home / "webui" / "sessions" / f"{story.session_id}.json"
        assert texts(path) == [" ".join(text.split()) for text in story.wanted], story.name


def test_a_question_is_answered_by_leaving_the_session_and_can_be_asked_again(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, snapshot: Snapshot
) -> None:
    window = open_window(StoreLocation(demo.home))
    head = window.review.head
    story = next(story for story in demo.stories if story.expect == "review")
    before = snapshot(demo.home / "webui" / "sessions")
    asked = window.table.sessions.counts()[Standing.REVIEW]

    def standing() -> Standing:
        found = audit(find_store(home=demo.home)).only((story.session_id,))
        shown = window.table.sessions.row_at(window.table.sessions.row_of(story.session_id)).session
        assert isinstance(shown, SessionAudit)
        assert shown.standing is found.sessions[0].standing
        return shown.standing

    assert window.table.select(story.session_id)
    wait_scanned(window)
    assert head.leave.text() == "Leave it as it is"
    qtbot.mouseClick(head.leave, Qt.MouseButton.LeftButton)
    finished(qtbot, window, wait_scanned)
    assert standing() is Standing.LEFT
    assert window.table.sessions.counts()[Standing.REVIEW] == asked - 1
    assert window.table.current_id == story.session_id
    qtbot.waitUntil(lambda: head.leave.text() == "Ask me again", timeout=60_000)

    qtbot.mouseClick(head.leave, Qt.MouseButton.LeftButton)
    finished(qtbot, window, wait_scanned)
    assert standing() is Standing.REVIEW
    qtbot.waitUntil(lambda: head.leave.text() == "Leave it as it is", timeout=60_000)
    assert snapshot(demo.home / "webui" / "sessions") == before


def test_only_a_question_has_a_second_answer(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    for story in demo.stories:
        if window.table.select(story.session_id):
            wait_scanned(window)
            assert window.review.head.leave.isVisible() is (story.expect == "review"), story.name


def test_a_choice_made_message_by_message_is_what_is_written(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    story = next(s for s in demo.stories if s.name == "undone")
    window = open_window(StoreLocation(demo.home))
    window.table.select(story.session_id)
    wait_scanned(window)
    rows = window.review.difference.rows
    assert window.review._detail is not None
    shown = window.review._detail.outline.rows
    left_out = [row.position for row in shown if row.item and not row.item.included and row.position is not None]
    assert left_out
    path = demo.home / "webui" / "sessions" / f"{story.session_id}.json"
    before = len(texts(path))
    from hermes_rescue.core.merge.choices import Choices

    window.review.difference.choice_changed.emit(Choices(include=frozenset(left_out)))
    assert rows is window.review.difference.rows
    when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept())
    window.actions_["repair"].trigger()
    finished(qtbot, window, wait_scanned)
    assert len(texts(path)) == before + len(left_out)


def test_a_field_is_taken_from_the_backup_and_put_back_with_the_keyboard(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, tmp_path: Path, rescue: Any
) -> None:
    """Nothing but the choice is written; the line for the terminal does the same."""
    story = next(s for s in demo.stories if s.name == "healthy_with_old_backup")
    sessions = demo.home / "webui" / "sessions"
    live, backup = (sessions / f"{story.session_id}.json{end}" for end in ("", ".bak"))
    backup.write_text(json.dumps({**json.loads(backup.read_text()), "title": "Its old name"}, indent=2))
    before = {path.name: path.read_bytes() for path in sessions.iterdir() if path.is_file()}
    shutil.copytree(demo.home, tmp_path / "copy")
    window = open_window(StoreLocation(demo.home))
    window.table.select(story.session_id)
    wait_scanned(window)

    window.actions_["copy_command"].trigger()
    looking = QGuiApplication.clipboard().text()
    difference = window.review.difference
    window.review.tabs.setCurrentIndex(CHANGES + FIELDS)
    fields = difference.fields.fields
    row = next(k for k in range(fields.rowCount()) if fields.index(k, 0).data() == "title")
    difference.fields.setFocus()
    for _ in range(fields.rowCount()):
        if difference.fields.currentIndex().row() != row:
            qtbot.keyClick(difference.fields, Qt.Key.Key_Down)
    qtbot.keyClick(difference.fields, Qt.Key.Key_Return)
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    qtbot.keyClick(menu, Qt.Key.Key_Down)
    qtbot.keyClick(menu, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: fields.index(row, 2).data() == "Its old name", timeout=60_000)
    assert "title from backup" in window.review.head.evidence.text()
    assert difference.fields.currentIndex().row() == row
    fields.choose(row, None)
    qtbot.waitUntil(lambda: fields.index(row, 2).data() != "Its old name", timeout=60_000)
    window.actions_["copy_command"].trigger()
    assert QGuiApplication.clipboard().text() == looking
    fields.choose(row, "backup")
    qtbot.waitUntil(lambda: fields.index(row, 2).data() == "Its old name", timeout=60_000)
    window.actions_["copy_command"].trigger()
    line = QGuiApplication.clipboard().text()
    made_on = window.shown.choices[story.session_id].made_on
    chosen = f"--proposal {made_on} --field title=backup"
    assert line == f"hermes-rescue repair {story.session_id} {chosen} --home {demo.home}"

    with qtbot.waitActive(window):
        window.activateWindow()  # no window manager does it here after a menu
    when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept())
    qtbot.keyClick(window, Qt.Key.Key_R, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    finished(qtbot, window, wait_scanned)
    after = {path.name: path.read_bytes() for path in sessions.iterdir() if path.is_file()}
    assert {name for name in after if after[name] != before.get(name)} == {live.name, "_index.json"}
    was, now = (json.loads(state[live.name]) for state in (before, after))
    assert now == {**was, "title": "Its old name"}
    assert after[live.name].splitlines()[3:] == before[live.name].splitlines()[3:]
    words = [str(tmp_path / "copy") if word == str(demo.home) else word for word in shlex.split(line)[1:]]
    assert rescue(*words, "--yes")[0] == 0
    assert (tmp_path / "copy" / "webui" / "sessions" / live.name).read_bytes() == after[live.name]

    when_asked(qtbot, UndoDialog, lambda dialog: dialog.undo.click())
    qtbot.waitUntil(window.actions_["undo"].isEnabled, timeout=20_000)
    qtbot.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    finished(qtbot, window, wait_scanned)
    assert live.read_bytes() == before[live.name]
    assert {path.name for path in sessions.iterdir() if path.is_file()} == set(before)


def test_what_changed_behind_the_windows_back_is_not_written_over(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    story = next(s for s in demo.stories if s.name == "wiped")
    window = open_window(StoreLocation(demo.home))
    path = demo.home / "webui" / "sessions" / f"{story.session_id}.json"
    newer = json.loads(path.read_text())
    newer["title"] = "Saved by Hermes meanwhile"

    def change_then_accept(dialog: RepairDialog) -> None:
        path.write_text(json.dumps(newer))
        dialog.accept()

    when_asked(qtbot, RepairDialog, change_then_accept)
    window.actions_["repair_all"].trigger()
    finished(qtbot, window, wait_scanned)
    assert json.loads(path.read_text()) == newer
    assert "16 sessions repaired" in window.result.text
    assert "changed" in window.result.text


def test_a_repair_is_cancelled_between_two_sessions(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, monkeypatch: Any
) -> None:
    window = open_window(StoreLocation(demo.home))
    real = apply._repair_one
    done: list[object] = []

    def one(*arguments: Any) -> api.Outcome:
        outcome = real(*arguments)
        done.append(outcome)
        if len(done) == 3:
            window.writer.cancel()
        return outcome

    monkeypatch.setattr(apply, "_repair_one", one)
    when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept())
    window.actions_["repair_all"].trigger()
    finished(qtbot, window, wait_scanned)
    assert len(done) == 3
    assert "4 sessions repaired" in window.result.text
    assert len(audit(find_store(home=demo.home)).of(Category.REPAIRABLE)) == 13  # the index is in order already


def test_closing_during_a_repair_asks_and_waits_for_the_safe_point(
    qtbot: QtBot, open_window: Open, demo: DemoStore, monkeypatch: Any
) -> None:
    window = open_window(StoreLocation(demo.home))
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.Yes)
    real = apply._repair_one
    done: list[api.Outcome] = []

    def one(*arguments: Any) -> api.Outcome:
        outcome = real(*arguments)
        done.append(outcome)
        if len(done) == 1:
            QTimer.singleShot(0, window, window.close)
            qtbot_wait.append(True)
        return outcome

    qtbot_wait: list[bool] = []
    monkeypatch.setattr(apply, "_repair_one", one)
    when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept())
    window.actions_["repair_all"].trigger()
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=60_000)
    assert all(o.state is api.State.REPAIRED for o in done)
    assert api.interrupted_runs(find_store(home=demo.home)) == ()


def test_a_run_of_another_time_is_undone_from_the_history(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    store = find_store(home=demo.home)
    before = {path.name: path.read_bytes() for path in store.sessions_dir.iterdir() if path.is_file()}
    result = api.apply(api.plan(store))
    window = open_window(StoreLocation(demo.home))
    window.actions_["history"].trigger()
    assert window.side.currentWidget() is window.history
    when_asked(qtbot, UndoDialog, lambda dialog: dialog.undo.click())
    window.history.undo_requested.emit(result.run_id, "")
    finished(qtbot, window, wait_scanned)
    assert {path.name: path.read_bytes() for path in store.sessions_dir.iterdir() if path.is_file()} == before


# --- looking ----------------------------------------------------------------------------------------------------------


def test_looking_leaves_no_trace(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, snapshot: Snapshot
) -> None:
    before = snapshot(demo.home)
    window = open_window(StoreLocation(demo.home))
    for row in range(window.table.sessions.visible_count):
        window.table.select(window.table.sessions.id_at(row))
        wait_scanned(window)
        window.actions_["next"].trigger()
    window.actions_["split"].trigger()
    window.actions_["rescan"].trigger()
    wait_scanned(window)
    window.close()
    assert snapshot(demo.home) == before


def test_the_chips_narrow_the_list(qtbot: QtBot, open_window: Open, demo: DemoStore) -> None:
    window = open_window(StoreLocation(demo.home))
    chip = window.chips._chips[Standing.REVIEW]
    qtbot.mouseClick(chip, Qt.MouseButton.LeftButton)
    assert window.table.sessions.visible_count == 3
    first = window.table.sessions.id_at(0)
    assert window.table.current_id == first  # the one before is none of them
    qtbot.mouseClick(chip, Qt.MouseButton.LeftButton)
    assert window.table.sessions.visible_count == len(demo.stories)
    assert window.table.current_id == first


def test_next_change_goes_on_into_the_next_session(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    first = window.table.current_id
    for _ in range(60):
        window.actions_["next"].trigger()
        wait_scanned(window)
        if window.table.current_id != first:
            break
    assert window.table.sessions.row_of(window.table.current_id) == 1


def test_a_command_can_be_copied_for_the_terminal(qtbot: QtBot, open_window: Open, demo: DemoStore) -> None:
    window = open_window(StoreLocation(demo.home))
    window.actions_["copy_command"].trigger()
    assert QGuiApplication.clipboard().text() == (f"hermes-rescue show {window.table.current_id} --home {demo.home}")


# --- every state has a face -------------------------------------------------------------------------------------------


def test_without_a_store_it_says_where_it_looked(qtbot: QtBot, open_window: Open, tmp_path: Path) -> None:
    window = open_window(StoreLocation(tmp_path / "nowhere"))
    assert window.middle.currentWidget() is window.no_store
    assert str(tmp_path / "nowhere") in window.no_store.text.replace("\u200b", "")
    assert not window.actions_["repair_all"].isEnabled()


def test_a_dropped_folder_opens(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, tmp_path: Path
) -> None:
    window = open_window(StoreLocation(tmp_path / "nowhere"))
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(demo.home / "webui" / "sessions"))])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    entering = QDragEnterEvent(QPoint(9, 9), Qt.DropAction.CopyAction, data, buttons, keys)
    QApplication.sendEvent(window, entering)
    assert entering.isAccepted()
    QApplication.sendEvent(window, QDropEvent(QPointF(9, 9), Qt.DropAction.CopyAction, data, buttons, keys))
    qtbot.waitUntil(lambda: window.table.sessions.total_count == len(demo.stories), timeout=60_000)
    wait_scanned(window)


def test_an_error_ends_in_a_dialog(
    qtbot: QtBot, open_window: Open, demo: DemoStore, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    window = open_window(StoreLocation(demo.home))
    monkeypatch.setattr("sys.excepthook", None)
    show_what_goes_wrong_in(window)
    import sys

    try:
        raise ZeroDivisionError("secret text of a message")
    except ZeroDivisionError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    box = next(w for w in QApplication.topLevelWidgets() if isinstance(w, QMessageBox) and w.isVisible())
    assert "ZeroDivisionError" in box.detailedText()
    assert "secret" not in box.detailedText() + box.text()
    box.close()


def test_what_the_window_was_like_is_remembered(
    qtbot: QtBot, open_window: Open, demo: DemoStore, settings: QSettings
) -> None:
    window = open_window(StoreLocation(demo.home))
    window.actions_["split"].trigger()
    window.actions_["theme_dark"].trigger()
    window.table.table.setColumnHidden(6, True)
    window.close()
    again = open_window(StoreLocation(demo.home))
    assert again.review.difference.mode == "split"
    assert again.looks.theme.name == "dark"
    assert again.table.table.isColumnHidden(6)
    assert str(demo.home) in [action.text() for action in again.tools.store_menu.actions()]


def test_every_part_that_takes_the_keyboard_has_a_name(qtbot: QtBot, open_window: Open, demo: DemoStore) -> None:
    window = open_window(StoreLocation(demo.home))
    nameless = [
        f"{type(widget).__name__} {widget.objectName()}"
        for widget in window.findChildren(QWidget)
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        and widget.isVisibleTo(window)
        and not (widget.accessibleName() or getattr(widget, "text", lambda: "")())
    ]
    assert nameless == []


def test_a_context_menu_offers_the_commands_of_the_menu_bar(qtbot: QtBot, open_window: Open, demo: DemoStore) -> None:
    window = open_window(StoreLocation(demo.home))
    window.table.context_menu_requested.emit(QPoint(10, 10))
    menu = QApplication.activePopupWidget()
    assert menu is not None
    named = {"repair", "repair_copy", "reset_choices", "export_selected", "copy_id", "copy_command", "compare"}
    assert {action.objectName() for action in menu.actions()} - {""} == named
    assert [action.menu() for action in menu.actions() if action.menu()] == [window.of_sessions.save_menu]
    menu.close()


def test_buttons_say_what_they_do(qtbot: QtBot, open_window: Open, demo: DemoStore) -> None:
    window = open_window(StoreLocation(demo.home))
    buttons = [b for b in window.findChildren(QPushButton) if b.isVisibleTo(window)]
    assert buttons
    assert [b for b in buttons if not (b.text() or b.toolTip())] == []


def test_a_change_from_outside_is_noticed_and_a_rescan_offered(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    (demo.home / "webui" / "sessions" / "0123456789ab.json").write_text('{"session_id": "')
    qtbot.waitUntil(lambda: "changed" in window.notices.changed.text, timeout=10_000)
    qtbot.mouseClick(window.notices.changed.buttons[0], Qt.MouseButton.LeftButton)
    wait_scanned(window)
    assert window.notices.changed.isHidden()
    assert window.table.sessions.row_of("0123456789ab") >= 0


def test_an_interrupted_repair_is_told_at_the_start(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, monkeypatch: Any
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(apply, "_new_index", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            api.apply(api.plan(find_store(home=demo.home)))
    window = open_window(StoreLocation(demo.home))
    assert "interrupted" in window.result.text
    when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept())
    window.actions_["repair_all"].trigger()
    finished(qtbot, window, wait_scanned)
    assert api.interrupted_runs(find_store(home=demo.home)) == ()


def test_what_a_repair_healed_is_shown_healed(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    wiped = next(s.session_id for s in demo.stories if s.name == "wiped")
    window = open_window(StoreLocation(demo.home))
    assert window.table.select(wiped)
    wait_scanned(window)
    assert window.review.difference.position[1] > 0
    when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept())
    window.actions_["repair"].trigger()
    qtbot.waitUntil(lambda: "repaired" in window.result.text, timeout=60_000)
    qtbot.waitUntil(lambda: "nothing to repair" in window.review.head.evidence.text(), timeout=60_000)
    assert window.review.session_id == wiped
    assert window.review.difference.position == (0, 0)


def test_results_are_said_aloud(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, heard: list[str]
) -> None:
    window = open_window(StoreLocation(demo.home))
    assert any("28 sessions checked" in text for text in heard)
    heard.clear()
    when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept())
    window.actions_["repair_all"].trigger()
    qtbot.waitUntil(lambda: any("17 sessions repaired" in text for text in heard), timeout=60_000)
    wait_scanned(window)
    heard.clear()
    (demo.home / "webui" / "sessions" / "0123456789ab.json").write_text("{")
    qtbot.waitUntil(lambda: any("changed on the disk" in text for text in heard), timeout=60_000)


def test_what_is_refused_is_said_aloud(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, heard: list[str]
) -> None:
    window = open_window(StoreLocation(demo.home))
    wiped = next(s.session_id for s in demo.stories if s.name == "wiped")
    path = demo.home / "webui" / "sessions" / f"{wiped}.json"

    def change_then_accept(dialog: RepairDialog) -> None:
        path.write_text(json.dumps({**json.loads(path.read_text()), "title": "Saved meanwhile"}))
        dialog.accept()

    when_asked(qtbot, RepairDialog, change_then_accept)
    window.actions_["repair_all"].trigger()
    qtbot.waitUntil(lambda: any("not repaired" in text for text in heard), timeout=60_000)


def test_an_interrupted_repair_can_be_finished_where_no_session_needs_it(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, monkeypatch: Any
) -> None:
    store = find_store(home=demo.home)
    with monkeypatch.context() as patch:
        patch.setattr(vault.Vault, "_finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            api.apply(api.plan(store))
    assert api.plan(store).sessions == ()
    window = open_window(StoreLocation(demo.home))
    wait_scanned(window)
    asked: list[str] = []

    def accept(dialog: RepairDialog) -> None:
        asked.append(dialog.heading.text())
        dialog.accept()

    when_asked(qtbot, RepairDialog, accept)
    window.actions_["repair_all"].trigger()
    finished(qtbot, window, wait_scanned)
    assert asked == ["Finish the interrupted repair?"]
    assert api.interrupted_runs(store) == ()


def test_the_window_takes_away_what_a_killed_one_left_in_the_folder_for_temporary_files(
    open_window: Open, demo: DemoStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with private_folder() as in_use:
        left = tmp_path / f"{in_use.name}-left"
        left.mkdir()
        (left / "owner.lock").write_text("held")
        (left / "state.db").write_text("what was said")
        open_window(StoreLocation(demo.home))
        assert not left.exists() and in_use.exists()
