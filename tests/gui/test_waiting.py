"""What a running WebUI forbids waits for its end: confirmed, seen, called off, and nothing else is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.findings import Standing
from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.core.hermes.store import Store, find_store
from hermes_rescue.gui.background import webui_poll
from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.repairs.repair_dialog import RepairDialog
from hermes_rescue.gui.shell.main_window import MainWindow
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from tests.faults.webui import OtherProcess, webui_process
from tests.gui.test_window import finished, when_asked

Open = Callable[..., MainWindow]
Scanned = Callable[[MainWindow], None]
Snapshot = Callable[[Path], Any]

NEVER_RELOADS = "0.50.285"


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webui_poll, "INTERVAL", 20)


@pytest.fixture
def store(demo: DemoStore) -> Store:
    return find_store(home=demo.home)


def start(qtbot: QtBot, window: MainWindow, webui: OtherProcess) -> None:
    """Have a server run beside the window that notices no change of a file."""
    webui("start", NEVER_RELOADS)
    qtbot.waitUntil(lambda: window.shown.webui != "", timeout=30_000)


def confirm_waiting(qtbot: QtBot, window: MainWindow, webui: OtherProcess, scanned: Scanned) -> set[str]:
    """Repair all beside the server, and agree to the rest; the ids of the rest."""
    start(qtbot, window, webui)
    waiting: set[str] = set()

    def agree(dialog: RepairDialog) -> None:
        assert not dialog.waits.isChecked()
        dialog.waits.setChecked(True)
        waiting.update(each.session_id for each in dialog._plan.forbidden)
        dialog.accept()

    when_asked(qtbot, RepairDialog, agree)
    window.actions_["repair_all"].trigger()
    finished(qtbot, window, scanned)
    assert len(waiting) > 1
    return waiting


def repairable(store: Store) -> set[str]:
    return {s.session_id for s in api.audit(store).sessions if s.standing is Standing.REPAIRABLE}


def live(store: Store, session_ids: set[str]) -> dict[str, bytes]:
    paths = {session_id: store.sessions_dir / f"{session_id}.json" for session_id in session_ids}
    return {session_id: path.read_bytes() for session_id, path in paths.items() if path.exists()}


def test_the_rest_waits_in_sight_and_is_repaired_when_the_server_stops(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, store: Store
) -> None:
    window = open_window(StoreLocation(demo.home))
    with webui_process(demo.home) as webui:
        waiting = confirm_waiting(qtbot, window, webui, wait_scanned)
        before = live(store, waiting)
        assert str(len(waiting)) in window.notices.waiting.text
        assert window.notices.waiting.isVisible()
        qtbot.wait(20 * webui_poll.INTERVAL)
        assert live(store, waiting) == before
    qtbot.waitUntil(lambda: window.notices.waiting.text == "", timeout=30_000)
    finished(qtbot, window, wait_scanned)
    assert QApplication.activeModalWidget() is None
    assert f"{len(waiting)} sessions repaired" in window.result.text
    assert not waiting & repairable(store)


def test_the_wait_is_called_off(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, store: Store
) -> None:
    window = open_window(StoreLocation(demo.home))
    with webui_process(demo.home) as webui:
        waiting = confirm_waiting(qtbot, window, webui, wait_scanned)
        before = live(store, waiting)
        qtbot.mouseClick(window.notices.waiting.buttons[0], Qt.MouseButton.LeftButton)
        assert not window.notices.waiting.isVisible()
    qtbot.waitUntil(lambda: window.shown.webui == "", timeout=30_000)
    qtbot.wait(20 * webui_poll.INTERVAL)
    assert not window.writer.is_busy
    assert live(store, waiting) == before


def test_what_changed_while_it_waited_is_not_written(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, store: Store
) -> None:
    window = open_window(StoreLocation(demo.home))
    with webui_process(demo.home) as webui:
        waiting = confirm_waiting(qtbot, window, webui, wait_scanned)
        changed = next(s.session_id for s in demo.stories if s.name == "wiped_and_continued")
        assert changed in waiting
        path = store.sessions_dir / f"{changed}.json"
        session = json.loads(path.read_bytes())
        session["messages"].append({"role": "user", "content": "said meanwhile", "timestamp": 1_790_000_000.0})
        session["message_count"] = len(session["messages"])
        path.write_text(json.dumps(session))
        saved = path.read_bytes()
    qtbot.waitUntil(lambda: window.notices.waiting.text == "", timeout=30_000)
    finished(qtbot, window, wait_scanned)
    assert path.read_bytes() == saved
    assert "1 not repaired" in window.result.text
    assert waiting & repairable(store) == {changed}


def test_without_the_agreement_nothing_waits(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, snapshot: Snapshot
) -> None:
    window = open_window(StoreLocation(demo.home))
    with webui_process(demo.home) as webui:
        start(qtbot, window, webui)
        before = snapshot(demo.home / "webui" / "sessions")

        def think_again(dialog: RepairDialog) -> None:
            dialog.waits.setChecked(True)
            dialog.cancel.click()

        when_asked(qtbot, RepairDialog, think_again)
        window.actions_["repair_all"].trigger()
        finished(qtbot, window, wait_scanned)
        assert window.notices.waiting.text == ""
    qtbot.waitUntil(lambda: window.shown.webui == "", timeout=30_000)
    qtbot.wait(20 * webui_poll.INTERVAL)
    assert snapshot(demo.home / "webui" / "sessions") == before


def test_what_only_waits_needs_the_agreement_before_the_button_does_anything(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, store: Store
) -> None:
    window = open_window(StoreLocation(demo.home))
    wiped = next(s.session_id for s in demo.stories if s.name == "wiped")
    with webui_process(demo.home) as webui:
        start(qtbot, window, webui)
        window.table.select(wiped)
        wait_scanned(window)

        def agree(dialog: RepairDialog) -> None:
            assert not dialog.accept_button.isEnabled()
            dialog.waits.setChecked(True)
            assert dialog.accept_button.isEnabled()
            dialog.accept()

        when_asked(qtbot, RepairDialog, agree)
        window.actions_["repair"].trigger()
        finished(qtbot, window, wait_scanned)
        assert "1 session" in window.notices.waiting.text
    qtbot.waitUntil(lambda: window.notices.waiting.text == "", timeout=30_000)
    finished(qtbot, window, wait_scanned)
    assert wiped not in repairable(store)
    assert "is back" in window.result.text


# --- the second look --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_written_over", [True, False])
def test_a_repair_that_the_server_wrote_over_is_told_some_time_later(
    qtbot: QtBot,
    open_window: Open,
    wait_scanned: Scanned,
    demo: DemoStore,
    store: Store,
    is_written_over: bool,
) -> None:
    window = open_window(StoreLocation(demo.home))
    with webui_process(demo.home) as webui:
        webui("start")
        qtbot.waitUntil(lambda: window.shown.webui != "", timeout=30_000)
        continued = next(s for s in demo.stories if s.name == "wiped_and_continued")
        path = store.sessions_dir / f"{continued.session_id}.json"
        before = path.read_bytes()
        window.table.select(continued.session_id)
        wait_scanned(window)
        when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept())
        window.actions_["repair"].trigger()
        finished(qtbot, window, wait_scanned)
        assert "Reload the page of Hermes WebUI" in window.result.text
        repaired = path.read_bytes()
        assert len(json.loads(repaired)["messages"]) > len(json.loads(before)["messages"])
        if is_written_over:
            path.write_bytes(before)
        assert window.second_look._next._timer.isActive()
        window.second_look._next._timer.start(0)  # some minutes go by
        qtbot.waitUntil(lambda: not window.second_look._next._timer.isActive(), timeout=20_000)
        qtbot.waitUntil(lambda: window.second_look._next._job is None, timeout=20_000)
        wait_scanned(window)
        assert ("saved over the repair" in window.result.text) is is_written_over
        assert ("is back" in window.result.text) is not is_written_over
        assert ("Reload the page" in window.result.text) is not is_written_over
    qtbot.waitUntil(lambda: window.shown.webui == "", timeout=30_000)
    assert ("is back" in window.result.text) is not is_written_over
    assert "Reload the page" not in window.result.text
    assert path.read_bytes() == (before if is_written_over else repaired)
