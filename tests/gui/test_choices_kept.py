"""What a person chose of a session is there again in the next window, as long as its copies are the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.core.merge.choices import Choices
from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.repairs.repair_dialog import RepairDialog
from hermes_rescue.gui.review.review_pane import CHANGES
from hermes_rescue.gui.shell.main_window import MainWindow
from hermes_rescue.gui.view_model.session_line import line_of
from PySide6.QtCore import QSettings, Qt
from pytestqt.qtbot import QtBot

from tests.gui.test_window import finished, when_asked

Open = Callable[..., MainWindow]
Scanned = Callable[[MainWindow], None]
Snapshot = Callable[[Path], Any]


def id_of(demo: DemoStore, name: str) -> str:
    return next(each.session_id for each in demo.stories if each.name == name)


def leave_out(qtbot: QtBot, window: MainWindow, wait_scanned: Scanned, session_id: str) -> Choices:
    """Untick the first message that would come back; what is chosen then."""
    window.table.select(session_id)
    wait_scanned(window)
    boxes = window.review.difference.rows.boxes
    boxes.set_checked([0], not boxes.is_checked(0))
    qtbot.waitUntil(lambda: session_id in window.shown.choices)
    return window.shown.choices[session_id]


def close(window: MainWindow) -> None:
    window.close()
    window.jobs.wait()


def test_the_changes_are_counted_anew_after_a_choice(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    """What is left out amid what comes back parts it, at once as when the session is shown again."""
    window = open_window(StoreLocation(demo.home))
    window.table.select(id_of(demo, "wiped"))
    wait_scanned(window)
    shown = window.review.difference
    before = shown.position[1]
    shown.rows.boxes.set_checked([1], False)
    qtbot.waitUntil(lambda: shown.position[1] == before + 2, timeout=60_000)
    assert window.review.tabs.tabText(CHANGES).endswith(f" {before + 2}")
    shown.rows.boxes.set_checked([1], True)
    qtbot.waitUntil(lambda: shown.position[1] == before, timeout=60_000)


def test_the_row_that_is_unticked_by_key_keeps_the_keyboard(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    """Also where the conversation behind the changes was left at another message."""
    window = open_window(StoreLocation(demo.home))
    window.table.select(id_of(demo, "wiped"))
    wait_scanned(window)
    window.review.conversation.list.jump_to(4)
    window.review.tabs.setCurrentIndex(CHANGES)
    shown, before = window.review.difference, window.review.difference.position
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Down, Qt.Key.Key_Space):
        at = shown.current_row
        qtbot.keyClick(shown.list, key)
    qtbot.waitUntil(lambda: shown.position[1] != before[1], timeout=60_000)
    qtbot.wait(50)
    assert shown.current_row == at
    assert [index.row() for index in shown.list.selectedIndexes()] == [shown.list.current()]


@pytest.mark.parametrize("on_show", ["wiped", "wiped_and_continued"])
def test_a_choice_outlives_the_window_and_can_still_be_taken_back(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, snapshot: Snapshot, on_show: str
) -> None:
    """Also while another session is on show."""
    before, wiped = snapshot(demo.home), id_of(demo, "wiped")
    window = open_window(StoreLocation(demo.home))
    chosen = leave_out(qtbot, window, wait_scanned, wiped)
    close(window)
    again = open_window(StoreLocation(demo.home))
    assert again.shown.choices == {wiped: chosen}
    again.table.select(wiped)
    wait_scanned(again)
    boxes = again.review.difference.rows.boxes
    assert not boxes.is_checked(0)
    assert boxes.is_checked(1)
    line = line_of(again.table.sessions.row_at(again.table.sessions.row_of(wiped)))
    assert line.detail == " · 1 left out by you"
    assert int(line.after) == len(again.review._detail.proposal.included)  # type: ignore[union-attr]
    assert "1 message left out" in again.review.head.evidence.accessibleName()
    assert snapshot(demo.home) == before
    again.table.select(id_of(demo, on_show))
    wait_scanned(again)
    with qtbot.waitActive(again):
        again.activateWindow()
    qtbot.keyClick(again, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: boxes.is_checked(0) and again.review.session_id == wiped, timeout=60_000)
    line = line_of(again.table.sessions.row_at(again.table.sessions.row_of(wiped)))
    assert "by you" not in line.detail
    assert int(line.after) == len(again.review._detail.proposal.items)  # type: ignore[union-attr]
    close(again)
    assert open_window(StoreLocation(demo.home)).shown.choices == {}


def test_a_choice_is_dropped_and_that_is_said_where_the_copies_have_changed_or_the_session_is_gone(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    stays, changes, goes = id_of(demo, "wiped"), id_of(demo, "wiped_and_continued"), "20260503_070000_abc123"
    sessions = demo.home / "webui" / "sessions"
    alone = [sessions / f"{goes}.json", sessions / f"{goes}.json.bak"]
    for path in alone:
        copied = json.loads((sessions / path.name.replace(goes, stays)).read_text())
        path.write_text(json.dumps({**copied, "session_id": goes}))
    window = open_window(StoreLocation(demo.home))
    for session_id in (stays, changes, goes):
        leave_out(qtbot, window, wait_scanned, session_id)
    close(window)
    for path in alone:
        path.unlink()
    backup = sessions / f"{changes}.json.bak"
    whole = json.loads(backup.read_text())
    whole["messages"].pop(3)
    backup.write_text(json.dumps({**whole, "message_count": len(whole["messages"])}))
    window = open_window(StoreLocation(demo.home))
    assert set(window.shown.choices) == {stays}
    assert "2 sessions have changed since you chose" in window.result.text
    window.rescan()
    window.result.hide()
    wait_scanned(window)
    assert set(window.shown.choices) == {stays}
    assert window.result.text == ""


def test_what_a_repair_has_written_is_no_choice_any_more(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    wiped, other = id_of(demo, "wiped"), id_of(demo, "wiped_and_continued")
    window = open_window(StoreLocation(demo.home))
    leave_out(qtbot, window, wait_scanned, wiped)
    kept = leave_out(qtbot, window, wait_scanned, other)
    window.table.select(wiped)
    when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept())
    window.actions_["repair"].trigger()
    finished(qtbot, window, wait_scanned)
    close(window)
    assert open_window(StoreLocation(demo.home)).shown.choices == {other: kept}


def test_what_somebody_else_wrote_into_the_settings_chooses_nothing(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, settings: QSettings
) -> None:
    wiped = id_of(demo, "wiped")
    window = open_window(StoreLocation(demo.home))
    leave_out(qtbot, window, wait_scanned, wiped)
    close(window)
    settings.beginGroup("choices")
    (key,) = settings.childKeys()
    settings.setValue(key, json.dumps({wiped: {"include": "all", "made_on": 7}}))
    settings.endGroup()
    assert open_window(StoreLocation(demo.home)).shown.choices == {}


def test_all_choices_of_a_session_are_reset_and_that_can_be_taken_back(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    wiped, other = id_of(demo, "wiped"), id_of(demo, "wiped_and_continued")
    window = open_window(StoreLocation(demo.home))
    kept = leave_out(qtbot, window, wait_scanned, other)
    assert window.actions_["reset_choices"].isEnabled()
    leave_out(qtbot, window, wait_scanned, wiped)
    boxes = window.review.difference.rows.boxes
    boxes.set_checked([1, 2], False)
    qtbot.waitUntil(lambda: len(window.shown.choices[wiped].exclude) == 3)
    chosen = window.shown.choices[wiped]
    window.actions_["reset_choices"].trigger()
    assert window.shown.choices == {other: kept}
    qtbot.waitUntil(lambda: all(map(boxes.is_checked, range(3))), timeout=60_000)
    assert not window.actions_["reset_choices"].isEnabled()
    window.actions_["undo"].trigger()
    assert window.shown.choices == {other: kept, wiped: chosen}
    qtbot.waitUntil(lambda: not any(map(boxes.is_checked, range(3))), timeout=60_000)
