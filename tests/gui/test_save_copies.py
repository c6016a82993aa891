"""A copy of a conversation saved from the window, and what an undo asks before it does anything."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.hermes.webui_status import Server, WebUIStatus
from hermes_rescue.gui.background import reader, webui_poll
from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.repairs import save_dialog
from hermes_rescue.gui.repairs.repair_dialog import RepairDialog
from hermes_rescue.gui.repairs.report_dialog import ReportDialog
from hermes_rescue.gui.repairs.undo_dialog import UndoDialog
from hermes_rescue.gui.shell.main_window import MainWindow
from PySide6.QtCore import QPoint, QStandardPaths, Qt, QUrl
from PySide6.QtGui import QAction, QDesktopServices
from PySide6.QtWidgets import QFileDialog, QMenu, QPushButton
from pytestqt.qtbot import QtBot

from tests.gui.test_window import finished, when_asked

Open = Callable[..., MainWindow]
Scanned = Callable[[MainWindow], None]


@pytest.fixture
def documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The documents folder of the person."""
    folder = tmp_path / "documents"
    folder.mkdir()
    monkeypatch.setattr(QStandardPaths, "writableLocation", lambda _: str(folder))
    return folder


def story(demo: DemoStore, name: str) -> str:
    return next(each.session_id for each in demo.stories if each.name == name)


def go_to(window: MainWindow, scanned: Scanned, session_id: str) -> None:
    assert window.table.select(session_id)
    scanned(window)


def save_as_suggested(dialog: QFileDialog) -> None:
    dialog.accept()


def entry(menu: QMenu, text: str) -> QAction:
    menu.aboutToShow.emit()
    return next(each for each in menu.actions() if each.text().replace("&", "").startswith(text))


@pytest.mark.parametrize("form", ["md", "html", "json"])
def test_a_copy_has_the_bytes_of_the_terminals(
    qtbot: QtBot,
    open_window: Open,
    wait_scanned: Scanned,
    demo: DemoStore,
    rescue: Any,
    documents: Path,
    tmp_path: Path,
    form: str,
) -> None:
    session_id = story(demo, "wiped_and_continued")
    window = open_window(StoreLocation(demo.home))
    go_to(window, wait_scanned, session_id)
    when_asked(qtbot, QFileDialog, save_as_suggested)
    window.actions_[f"save_{form}"].trigger()
    finished(qtbot, window, wait_scanned)
    (saved,) = documents.iterdir()
    assert saved.suffix == f".{form}" and "Two weeks by train" in saved.name
    other = tmp_path / f"other.{form}"
    assert rescue("export", session_id, "--form", form, "-o", str(other), "--home", str(demo.home))[0] == 0
    assert saved.read_bytes() == other.read_bytes()
    assert str(saved) in window.result.text


def test_a_pdf_is_one(qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, documents: Path) -> None:
    window = open_window(StoreLocation(demo.home))
    go_to(window, wait_scanned, story(demo, "wiped_and_continued"))
    when_asked(qtbot, QFileDialog, save_as_suggested)
    window.actions_["save_pdf"].trigger()
    finished(qtbot, window, wait_scanned)
    (saved,) = documents.iterdir()
    assert saved.read_bytes().startswith(b"%PDF")


def test_one_copy_alone_is_saved_from_the_button_of_the_session(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, documents: Path
) -> None:
    session_id = story(demo, "wiped_and_continued")
    window = open_window(StoreLocation(demo.home))
    go_to(window, wait_scanned, session_id)
    button = window.of_sessions.save_button
    assert button.isVisible()
    backup = entry(button.menu(), "Backup").menu()
    assert isinstance(backup, QMenu)
    when_asked(qtbot, QFileDialog, save_as_suggested)
    entry(backup, "JSON").trigger()
    finished(qtbot, window, wait_scanned)
    (saved,) = documents.iterdir()
    kept = json.loads((demo.home / "webui" / "sessions" / f"{session_id}.json.bak").read_text())
    assert json.loads(saved.read_text())["messages"] == kept["messages"]


def test_several_sessions_go_into_a_folder_and_leave_what_is_there(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, documents: Path
) -> None:
    window = open_window(StoreLocation(demo.home))
    window.table.view.selectAll()
    when_asked(qtbot, QFileDialog, save_as_suggested)
    window.actions_["save_md"].trigger()
    finished(qtbot, window, wait_scanned)
    saved = {path.name: path.read_bytes() for path in documents.iterdir()}
    assert len(saved) > 20 and all(name.endswith(".md") for name in saved)
    assert f"{len(saved)} copies saved" in window.result.text
    first = next(documents.iterdir())
    first.write_text("mine")
    when_asked(qtbot, QFileDialog, save_as_suggested)
    window.actions_["save_md"].trigger()
    finished(qtbot, window, wait_scanned)
    assert first.read_text() == "mine"
    assert re.search(r"\d+ not saved: [0-9a-f]+: .*already exists", window.result.text)


@pytest.mark.parametrize("name", ["state.db", "webui/settings.json", "webui/sessions/new.md"])
def test_files_of_hermes_are_never_replaced(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, documents: Path, name: str
) -> None:
    target = demo.home / name
    if not target.exists() and "sessions" not in name:
        target.write_text("{}")
    before = target.read_bytes() if target.exists() else None
    window = open_window(StoreLocation(demo.home))
    go_to(window, wait_scanned, story(demo, "wiped_and_continued"))

    def choose(dialog: QFileDialog) -> None:
        dialog.selectedFiles = lambda: [str(target)]  # type: ignore[method-assign]
        dialog.done(QFileDialog.DialogCode.Accepted)

    when_asked(qtbot, QFileDialog, choose)
    window.actions_["save_md"].trigger()
    qtbot.waitUntil(lambda: not window.writer.is_busy, timeout=60_000)
    assert (target.read_bytes() if target.exists() else None) == before
    assert str(target.parent) in window.result.text


@pytest.mark.parametrize("has_program", [True, False])
def test_what_was_saved_can_be_opened(
    qtbot: QtBot,
    open_window: Open,
    wait_scanned: Scanned,
    demo: DemoStore,
    documents: Path,
    monkeypatch: pytest.MonkeyPatch,
    has_program: bool,
) -> None:
    opened: list[QUrl] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: (opened.append(url), has_program)[1])
    window = open_window(StoreLocation(demo.home))
    go_to(window, wait_scanned, story(demo, "wiped_and_continued"))
    when_asked(qtbot, QFileDialog, save_as_suggested)
    window.actions_["save_md"].trigger()
    finished(qtbot, window, wait_scanned)
    for button in [each for each in window.result.findChildren(QPushButton) if each.isVisible()]:
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert [Path(each.toLocalFile()) for each in opened] == [next(documents.iterdir()), documents]
    assert window.result.text.startswith("Saved" if has_program else "No program was found that opens")


def test_the_suggested_folder_exists(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(QStandardPaths, "writableLocation", lambda _: str(tmp_path / "never made"))
    assert save_dialog.usual_folder().is_dir()


def test_one_session_is_reported_alone(
    qtbot: QtBot,
    open_window: Open,
    wait_scanned: Scanned,
    demo: DemoStore,
    documents: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ReportDialog, "ask_path", lambda _, suggested, form: suggested)
    window = open_window(StoreLocation(demo.home))
    go_to(window, wait_scanned, story(demo, "wiped_and_continued"))
    when_asked(qtbot, ReportDialog, lambda dialog: dialog.save.click())
    window.actions_["export_selected"].trigger()
    finished(qtbot, window, wait_scanned)
    (saved,) = documents.iterdir()
    text = saved.read_text()
    wanted = story(demo, "wiped_and_continued")
    assert [each.session_id for each in demo.stories if each.session_id in text] == [wanted]
    assert all(button.isVisible() for button in window.result.buttons[1:3])  # open it, show it in its folder


def test_what_a_repair_did_to_one_session_is_reported_alone(
    qtbot: QtBot,
    open_window: Open,
    wait_scanned: Scanned,
    demo: DemoStore,
    documents: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = api.apply(api.plan(find_store(home=demo.home)))
    wanted = next(each for each in demo.stories if each.name == "wiped_and_continued")
    monkeypatch.setattr(ReportDialog, "ask_path", lambda _, suggested, form: suggested)
    window = open_window(StoreLocation(demo.home))
    for is_anonymous in (False, True):

        def answer(dialog: ReportDialog, is_anonymous: bool = is_anonymous) -> None:
            assert wanted.title in dialog.of_some.text()
            dialog.anonymous.setChecked(is_anonymous)
            dialog.save.click()

        when_asked(qtbot, ReportDialog, answer)
        window.history.report_requested.emit(done.run_id, wanted.session_id)
        finished(qtbot, window, wait_scanned)
        (saved,) = documents.iterdir()
        text = saved.read_text()
        titles = [each.title for each in demo.stories if each.title in text]
        assert titles == ([] if is_anonymous else [wanted.title])


# --- repaired, and put back -------------------------------------------------------------------------------------------


def repaired(qtbot: QtBot, window: MainWindow, scanned: Scanned, session_id: str) -> None:
    go_to(window, scanned, session_id)
    when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept())
    qtbot.mouseClick(window.review.head.repair, Qt.MouseButton.LeftButton)
    finished(qtbot, window, scanned)


def test_an_undo_says_what_it_puts_back_and_is_not_done_by_enter_or_escape(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    session_id = story(demo, "wiped_and_continued")
    path = demo.home / "webui" / "sessions" / f"{session_id}.json"
    before = json.loads(path.read_text())["messages"]
    window = open_window(StoreLocation(demo.home))
    repaired(qtbot, window, wait_scanned, session_id)
    after = path.read_bytes()
    said: list[str] = []
    for key in (Qt.Key.Key_Return, Qt.Key.Key_Escape):

        def answer(dialog: UndoDialog, key: Qt.Key = key) -> None:
            said.append(f"{dialog.text()} {dialog.informativeText()}")
            qtbot.keyClick(dialog, key)

        when_asked(qtbot, UndoDialog, answer)
        qtbot.waitUntil(window.actions_["undo"].isEnabled, timeout=20_000)
        asked = len(said)
        window.actions_["undo"].trigger()
        qtbot.waitUntil(partial(lambda before: len(said) > before, asked), timeout=60_000)
        finished(qtbot, window, wait_scanned)
        assert path.read_bytes() == after
    messages = json.loads(after)["messages"]
    assert "Two weeks by train" in said[0]
    assert f"{len(messages)} messages now, {len(before)} then" in said[0]


def test_a_repair_has_its_moment_over_the_conversation(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    where = window.review.mapTo(window, QPoint()), window.review.size()
    repaired(qtbot, window, wait_scanned, story(demo, "wiped_and_continued"))
    assert "Two weeks by train is back: 40 messages" in window.result.text
    assert "1 other session is in the session list again" in window.result.text
    assert window.result.isVisible()
    assert (window.review.mapTo(window, QPoint()), window.review.size()) == where
    assert window.side.rect().contains(window.result.geometry())
    assert "1 repaired at " in window.foot.text and "Nothing was changed" not in window.foot.text


def test_a_repaired_session_opens_in_the_webui_as_long_as_that_runs(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(None, "http://127.0.0.1:8787", "0.51.400", 0, answers=True, stop=None)
    seen = [WebUIStatus(True, (server,), "It runs.")]
    for module in (reader, webui_poll):
        monkeypatch.setattr(module, "webui_status", lambda _: seen[-1])
    opened: list[QUrl] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", opened.append)
    session_id = story(demo, "wiped_and_continued")
    window = open_window(StoreLocation(demo.home))
    repaired(qtbot, window, wait_scanned, session_id)
    button = next(each for each in window.result.findChildren(QPushButton) if "WebUI" in each.text())
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert [each.toString() for each in opened] == [f"http://127.0.0.1:8787/session/{session_id}"]
    seen.append(WebUIStatus(False, (), "It does not."))
    window.rescan()
    qtbot.waitUntil(button.isHidden, timeout=20_000)
    assert window.result.isVisible()
