"""A WebUI that starts or stops while the window is open shows there by itself, and nothing waits for its answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.gui.background import webui_poll
from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.shell.main_window import MainWindow
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from tests.faults.webui import webui_process

Open = Callable[..., MainWindow]


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webui_poll, "INTERVAL", 20)


def test_a_webui_appears_with_its_address_and_disappears(qtbot: QtBot, open_window: Open, demo: DemoStore) -> None:
    window = open_window(StoreLocation(demo.home))
    chip = window.chips._webui
    assert "is running" not in chip.text()
    with webui_process(demo.home) as webui:
        port = webui("start")
        qtbot.waitUntil(lambda: str(port) in window.shown.webui, timeout=30_000)
        assert "is running" in chip.text()
        assert window.notices.webui.text.startswith("Some repairs wait: Hermes WebUI is running.")
    qtbot.waitUntil(lambda: window.notices.webui.text == "", timeout=30_000)
    assert "is running" not in chip.text()
    assert window.shown.webui == ""


def test_no_key_waits_for_its_answer_and_the_next_look_waits_for_this_one(
    qtbot: QtBot, open_window: Open, demo: DemoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = open_window(StoreLocation(demo.home))
    answers, looks = threading.Event(), []
    look = webui_poll.webui_status  # type: ignore[attr-defined]

    def slow(*of: Any) -> Any:
        looks.append(of)
        answers.wait(60)
        return look(*of)

    monkeypatch.setattr(webui_poll, "webui_status", slow)
    try:
        qtbot.waitUntil(lambda: bool(looks), timeout=20_000)
        before = window.table.current_id
        qtbot.keyClick(window.table.view, Qt.Key.Key_Down)
        assert window.table.current_id != before
        qtbot.wait(10 * webui_poll.INTERVAL)
        assert len(looks) == 1
    finally:
        answers.set()
    qtbot.waitUntil(lambda: len(looks) > 1, timeout=20_000)


def test_what_was_looked_at_for_another_store_is_not_shown(
    qtbot: QtBot, open_window: Open, demo: DemoStore, tmp_path: Any
) -> None:
    window = open_window(StoreLocation(demo.home))
    with webui_process(demo.home) as webui:
        webui("start")
        qtbot.waitUntil(lambda: window.shown.webui != "", timeout=30_000)
        window.open(StoreLocation(tmp_path / "nothing"))
        assert window.notices.webui.text == window.chips._webui.text() == ""
        assert window.shown.webui == ""
        qtbot.waitUntil(window.no_store.isVisible, timeout=20_000)
        qtbot.wait(10 * webui_poll.INTERVAL)
        assert window.shown.webui == ""
