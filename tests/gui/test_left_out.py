"""What a person left out of a repair in the window, afterwards; and one proposal, whoever tells of it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hermes_rescue.core.audit.findings import Standing
from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.repairs.planned_sessions import Column
from hermes_rescue.gui.repairs.repair_dialog import RepairDialog
from hermes_rescue.gui.shell.main_window import MainWindow
from hermes_rescue.gui.view_model.session_line import Line, line_of
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from tests.gui.test_window import finished, when_asked

Open = Callable[..., MainWindow]
Scanned = Callable[[MainWindow], None]
Rescue = Callable[..., tuple[int, str, str]]


def id_of(demo: DemoStore, name: str) -> str:
    return next(each.session_id for each in demo.stories if each.name == name)


def line(window: MainWindow, session_id: str) -> Line:
    return line_of(window.table.sessions.row_at(window.table.sessions.row_of(session_id)))


def said(dialog: RepairDialog) -> str:
    return "\n".join(label.text() for label in dialog.findChildren(QLabel))


def repair(qtbot: QtBot, window: MainWindow, wait_scanned: Scanned) -> list[str]:
    """Restore the session on show, by its button; what the dialog said."""
    told: list[str] = []

    def accept(dialog: RepairDialog) -> None:
        told.append(said(dialog))
        dialog.accept()

    when_asked(qtbot, RepairDialog, accept)
    window.review.head.repair.click()
    finished(qtbot, window, wait_scanned)
    return told


def test_what_was_left_out_stays_out_is_told_and_comes_back_by_its_button(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    sid = id_of(demo, "wiped")
    window = open_window(StoreLocation(demo.home))
    window.table.select(sid)
    wait_scanned(window)
    head, boxes = window.review.head, window.review.difference.rows.boxes
    total = len(window.review._detail.outline.rows)  # type: ignore[union-attr]
    boxes.set_checked([1, 2], False)
    qtbot.waitUntil(lambda: sid in window.shown.choices)
    wait_scanned(window)
    (told,) = repair(qtbot, window, wait_scanned)
    assert "leave 2 messages out" in told
    row = window.table.sessions.row_at(window.table.sessions.row_of(sid))
    assert (row.session.live, row.standing) == (total - 2, Standing.LEFT_OUT)
    assert line(window, sid).state == "2 left out by you"
    qtbot.waitUntil(lambda: head.repair.text() == "Bring 2 messages back", timeout=60_000)
    assert "2 messages left out by you" in head.evidence.accessibleName()
    assert [boxes.is_checked(k) for k in range(3)] == [True, False, False]

    window.rescan()
    wait_scanned(window)
    assert line(window, sid).state == "2 left out by you"
    boxes.set_checked([2], True)  # one of them after all
    qtbot.waitUntil(lambda: sid in window.shown.choices)
    wait_scanned(window)
    when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept())
    window.actions_["repair"].trigger()
    finished(qtbot, window, wait_scanned)
    assert line(window, sid).state == "1 left out by you"
    qtbot.waitUntil(lambda: head.repair.text() == "Bring 1 message back", timeout=60_000)
    repair(qtbot, window, wait_scanned)
    row = window.table.sessions.row_at(window.table.sessions.row_of(sid))
    assert (row.session.live, row.standing) == (total, Standing.HEALTHY)


def test_all_that_would_come_back_can_be_left_out(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    sid = id_of(demo, "newer_temp")
    window = open_window(StoreLocation(demo.home))
    window.table.select(sid)
    wait_scanned(window)
    boxes, detail = window.review.difference.rows.boxes, window.review._detail
    assert detail is not None
    gained = [k for k, row in enumerate(detail.outline.rows) if row.item in detail.proposal.gained]
    boxes.set_checked(gained, False)
    qtbot.waitUntil(lambda: sid in window.shown.choices)
    wait_scanned(window)
    repair(qtbot, window, wait_scanned)
    assert f"{len(gained)} messages left out of it" in window.result.text
    assert not any(button.isVisible() for button in window.result.buttons)  # no file was changed
    assert line(window, sid).state == f"{len(gained)} left out by you"


def test_of_what_is_asked_the_rest_is_left_out(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    """Who takes back one of several messages is not asked about the others again."""
    window = open_window(StoreLocation(demo.home))
    asked: list[int] = []
    for story in (story for story in demo.stories if story.expect == "review"):
        window.table.select(story.session_id)
        wait_scanned(window)
        items = window.review._detail.proposal.items  # type: ignore[union-attr]
        asked = [k for k, item in enumerate(items) if item.reason is not None and item.reason.is_question]
        if len(asked) > 1:
            break
    sid = window.table.current_id
    boxes = window.review.difference.rows.boxes
    boxes.set_checked(asked[:1], True)
    qtbot.waitUntil(lambda: sid in window.shown.choices)
    wait_scanned(window)
    (told,) = repair(qtbot, window, wait_scanned)
    n = len(asked) - 1
    assert f"leave {n} message" in told
    assert line(window, sid).state == f"{n} left out by you"


@pytest.mark.parametrize("is_chosen", [False, True])
def test_picture_boxes_list_dialog_and_terminal_have_one_number(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, rescue: Rescue, is_chosen: bool
) -> None:
    """In every story that a repair by name writes; also where a person has it otherwise with the first message."""
    window = open_window(StoreLocation(demo.home))
    planned: list[str] = []

    def look(dialog: RepairDialog) -> None:
        planned[:] = [
            str(dialog.sessions.index(row, Column.AFTER).data(Qt.ItemDataRole.DisplayRole))
            for row in range(dialog.sessions.rowCount())
        ]
        dialog.reject()

    def turn_the_first_box(sid: str) -> list[str]:
        """What the terminal is told for the same choice."""
        before = window.review._detail
        boxes.set_checked([0], not boxes.is_checked(0))
        qtbot.waitUntil(lambda: sid in window.shown.choices)
        qtbot.waitUntil(lambda: window.review._detail not in (before, None), timeout=60_000)
        chosen = window.shown.choices[sid]
        numbers = ",".join(str(k + 1) for k in chosen.include | chosen.exclude)
        return ["--proposal", chosen.made_on, "--include" if chosen.include else "--exclude", numbers]

    compared = 0
    boxes = window.review.difference.rows.boxes
    for story in demo.stories:
        sid = story.session_id
        if not window.table.select(sid):
            continue
        wait_scanned(window)
        detail = window.review._detail
        if detail is None or not detail.proposal.items:
            continue
        is_question = detail.audited.standing is Standing.REVIEW
        options = turn_the_first_box(sid) if is_chosen else []
        when_asked(qtbot, RepairDialog, look)
        window.actions_["repair"].trigger()
        finished(qtbot, window, wait_scanned)
        answer = json.loads(rescue("repair", sid, *options, "--dry-run", "--json", "--home", demo.home)[1])
        terminal = [str(each["messages_after"]) for each in answer["sessions"]]
        assert planned == terminal, story.name
        if not planned or (is_question and not is_chosen):
            continue  # naming it answers the question, which nobody has done yet
        checked = sum(boxes.is_checked(k) for k in range(len(detail.outline.rows)))
        assert planned == [str(checked)] == [str(window.review.coverage._lanes[-1].count)], story.name
        if is_chosen or detail.audited.standing is Standing.REPAIRABLE:  # else nothing is done by itself
            told = line(window, sid)
            assert planned == [told.after or told.before], story.name
        compared += 1
    assert compared > 8
