"""The window while the terminal works on the same store: nothing is done twice or lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.findings import Standing
from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.repair.vault import Vault
from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.repairs.repair_dialog import RepairDialog
from hermes_rescue.gui.shell.main_window import MainWindow
from pytestqt.qtbot import QtBot

Open = Callable[..., MainWindow]
Scanned = Callable[[MainWindow], None]
COMMAND = Path(sys.executable).with_name("hermes-rescue")


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """``answer(step)``: when the window asks, ``step`` is done while the question stands; the answer is yes."""

    def prepare(step: Callable[[], object]) -> None:
        def open_(dialog: RepairDialog) -> None:
            step()
            dialog.accept()

        monkeypatch.setattr(RepairDialog, "open", open_)

    return prepare


def repair_all(qtbot: QtBot, window: MainWindow, wait_scanned: Scanned) -> None:
    window.actions_["repair_all"].trigger()
    qtbot.waitUntil(lambda: not window.writer.is_busy, timeout=30_000)
    wait_scanned(window)


def on_the_terminal(demo: DemoStore) -> None:
    command = [str(COMMAND), "repair", "--all", "--yes", "--json", "--home", str(demo.home)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert json.loads(ended.stdout)["repaired"] == 16


def test_what_the_terminal_repaired_while_the_window_asked_is_not_repaired_again(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, answer: Callable[..., None]
) -> None:
    window = open_window(StoreLocation(demo.home))
    store = find_store(home=demo.home)
    repaired: dict[str, bytes] = {}

    def meanwhile() -> None:
        on_the_terminal(demo)
        repaired.update({path.name: path.read_bytes() for path in store.sessions_dir.glob("*.json")})

    answer(meanwhile)
    repair_all(qtbot, window, wait_scanned)
    assert "16 not repaired" in window.result.text
    assert {path.name: path.read_bytes() for path in store.sessions_dir.glob("*.json")} == repaired
    assert window.table.sessions.counts()[Standing.REPAIRABLE] == 0
    newest = api.undoable(Vault.of(store).list_runs())
    assert len(newest) == 1  # the terminal's
