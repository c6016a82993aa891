"""Further places in the window: added or dropped, told of, imported, and never written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.repairs.import_dialog import ImportDialog
from hermes_rescue.gui.repairs.repair_dialog import RepairDialog
from hermes_rescue.gui.shell.main_window import MainWindow
from PySide6.QtCore import QDir, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QFileDialog, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.test_window import finished, texts, when_asked

Open = Callable[..., MainWindow]
Scanned = Callable[[MainWindow], None]
Snapshot = Callable[[Path], Any]


def drop(target: QWidget, *paths: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    entering = QDragEnterEvent(QPoint(9, 9), Qt.DropAction.CopyAction, data, buttons, keys)
    QApplication.sendEvent(target, entering)
    assert entering.isAccepted()
    QApplication.sendEvent(target, QDropEvent(QPointF(9, 9), Qt.DropAction.CopyAction, data, buttons, keys))


@pytest.fixture
def healthy(demo: DemoStore) -> str:
    return next(story.session_id for story in demo.stories if story.name == "healthy")


@pytest.fixture
def full(demo: DemoStore, healthy: str) -> list[str]:
    """What all copies of the healthy session say together."""
    return texts(live(demo, healthy))


def live(demo: DemoStore, session_id: str) -> Path:
    return demo.home / "webui" / "sessions" / f"{session_id}.json"


@pytest.fixture
def old_home(demo: DemoStore, healthy: str, full: list[str], tmp_path: Path) -> Path:
    """An old home with the session as it was; in the store, nothing but a part of it is left."""
    folder = tmp_path / "hermes-2026-05-02" / "webui" / "sessions"
    folder.mkdir(parents=True)
    path = live(demo, healthy)
    shutil.copy(path, folder)
    session = json.loads(path.read_text())
    session["messages"] = session["messages"][:2]
    session["message_count"] = 2
    for left in path.parent.glob(f"{healthy}*"):
        left.unlink()
    path.write_text(json.dumps(session))
    (demo.home / "state.db").unlink()
    return tmp_path / "hermes-2026-05-02"


@pytest.fixture
def export(tmp_path: Path, demo: DemoStore, healthy: str) -> Path:
    """An export of a session that the store does not know."""
    session = json.loads(live(demo, healthy).read_text())
    path = tmp_path / "hermes-20260502_101112_abcdef.json"
    path.write_text(json.dumps({**session, "session_id": "20260502_101112_abcdef", "title": "From elsewhere"}))
    return path


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_what_is_dropped_is_looked_into_and_offered_and_nothing_is_written(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, old_home: Path, healthy: str,
    full: list[str], snapshot: Snapshot, form: str,
) -> None:  # fmt: skip
    given = old_home if form == "folder" else Path(shutil.make_archive(str(old_home), "zip", old_home))
    window = open_window(StoreLocation(demo.home))
    before, theirs = snapshot(demo.home), snapshot(old_home)
    drop(window, given)
    wait_scanned(window)
    assert given.name in window.notices.places.text.replace("\u200b", "")
    assert f"adds {len(full) - 2} messages to 1 session" in window.notices.places.text
    assert window.notices.places.text.splitlines()[0] == "1 place adds messages."  # all that shows of it at first
    window.table.select(healthy)
    wait_scanned(window)
    assert window.review.head.repair.text() == f"Restore {len(full) - 2} messages"
    assert "backup of 2 May 2026" in window.review.copies
    assert snapshot(demo.home) == before
    when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept_button.click())
    window.review.head.repair.click()
    finished(qtbot, window, wait_scanned)
    assert texts(live(demo, healthy)) == full
    assert snapshot(old_home) == theirs


def test_a_session_of_which_all_is_asked_is_there_to_be_read(
    open_window: Open, wait_scanned: Scanned, demo: DemoStore, export: Path, full: list[str]
) -> None:
    window = open_window(StoreLocation(demo.home))
    drop(window, export)
    wait_scanned(window)
    window.table.select("20260502_101112_abcdef")
    wait_scanned(window)
    assert window.review.head.repair.text() == f"Restore {len(full)} messages"
    rows = window.review.conversation.rows
    assert rows.rowCount() == len(full) + 1  # and the line that says where they are
    rows.expand(0, False)
    assert rows.rowCount() == 1


def test_what_is_dropped_on_a_search_field_is_no_search(
    open_window: Open, wait_scanned: Scanned, demo: DemoStore, old_home: Path, healthy: str
) -> None:
    window = open_window(StoreLocation(demo.home))
    window.table.select(healthy)
    wait_scanned(window)
    for k, field in enumerate(window.findChildren(QLineEdit)):
        given = old_home.with_name(f"old home {k}")
        shutil.copytree(old_home, given)
        drop(field, given)
        wait_scanned(window)
        assert field.text() == ""
        assert given.name in window.notices.places.text.replace("\u200b", "")
    assert k > 0


def test_places_are_remembered_as_long_as_the_store_is_open(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, old_home: Path, healthy: str
) -> None:
    window = open_window(StoreLocation(demo.home))
    window.backups.add((old_home,))
    wait_scanned(window)
    window.rescan()
    wait_scanned(window)
    assert "adds" in window.notices.places.text
    window.table.select(healthy)
    window.actions_["copy_command"].trigger()
    assert f"--also {old_home}" in QApplication.clipboard().text()
    window.open(StoreLocation(demo.home))
    wait_scanned(window)
    assert window.notices.places.text == ""
    assert window.table.sessions.counts() and window.shown.place.also == ()


def test_each_place_says_whether_it_adds_anything_and_leads_to_it(
    qtbot: QtBot,
    open_window: Open,
    wait_scanned: Scanned,
    demo: DemoStore,
    old_home: Path,
    healthy: str,
    tmp_path: Path,
) -> None:
    empty, torn = tmp_path / "empty", tmp_path / "torn.zip"
    empty.mkdir()
    torn.write_bytes(b"PK\3\4 and no more")
    window = open_window(StoreLocation(demo.home))
    window.backups.add((empty, torn, old_home))
    wait_scanned(window)
    of = {place: action for action in window.backups.menu.actions() for place in (empty, torn, old_home)
          if str(place) in action.toolTip()}  # fmt: skip
    assert [of[place].isEnabled() for place in (empty, torn, old_home)] == [False, False, True]
    assert "adds nothing" in of[empty].toolTip()
    assert str(torn) in window.notices.store.text.replace("\u200b", "")
    of[old_home].trigger()
    assert window.table.current_id == healthy
    shutil.rmtree(old_home)
    window.rescan()
    wait_scanned(window)
    assert "no longer there" in window.notices.places.text
    window.backups.menu.actions()[-1].trigger()
    wait_scanned(window)
    assert window.notices.places.text == ""


def test_a_session_that_the_store_does_not_know_is_imported_when_it_was_agreed_to_and_undone(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, export: Path, snapshot: Snapshot
) -> None:
    window = open_window(StoreLocation(demo.home))
    sessions = demo.home / "webui" / "sessions"
    before = snapshot(sessions)
    drop(window, export)
    wait_scanned(window)
    made = live(demo, "20260502_101112_abcdef")
    assert window.table.sessions.row_of(made.stem) is not None
    when_asked(qtbot, ImportDialog, lambda dialog: dialog.reject())
    window.notices.places.buttons[0].click()
    finished(qtbot, window, wait_scanned)
    assert snapshot(sessions) == before
    when_asked(qtbot, ImportDialog, lambda dialog: dialog.accept_button.click())
    window.notices.places.buttons[0].click()
    finished(qtbot, window, wait_scanned)
    assert texts(made) == texts(export)
    assert "imported at" in window.result.text and "1 imported at" in window.foot.text
    assert "old file" not in window.result.text  # there was none
    assert window.shown.store is not None and window.shown.last_run
    window.writer.undo(window.shown.store, window.shown.last_run, "")
    finished(qtbot, window, wait_scanned)
    assert not made.exists()


def test_what_may_be_another_conversation_is_taken_by_the_button_that_says_so(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, healthy: str, full: list[str], export: Path
) -> None:
    other = json.loads(export.read_text())
    other |= {"session_id": healthy, "created_at": other["created_at"] + 1}
    for k, each in enumerate(other["messages"]):
        each["content"] = f"something else {k}"
        each.pop("tool_calls", None)
        each.pop("tool_call_id", None)
    (demo.home / "webui" / "sessions" / f"{healthy} 2.json").write_text(json.dumps(other))
    window = open_window(StoreLocation(demo.home))
    window.table.select(healthy)
    wait_scanned(window)
    warnings = []

    def accept(dialog: RepairDialog) -> None:
        warnings.append(dialog.warning.text())
        dialog.accept_button.click()

    when_asked(qtbot, RepairDialog, accept)
    window.review.head.repair.click()
    finished(qtbot, window, wait_scanned)
    assert "another conversation" in warnings[0]
    assert len(texts(live(demo, healthy))) == len(full) + len(other["messages"])


def test_importing_asks_for_files_and_forgets_them(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, export: Path
) -> None:
    window = open_window(StoreLocation(demo.home))
    window.actions_["import"].trigger()
    dialog = window.findChild(QFileDialog)
    assert dialog is not None
    assert dialog.directory().absolutePath() == str(Path.home())
    assert dialog.filter() & QDir.Filter.Hidden
    when_asked(qtbot, ImportDialog, lambda asked: asked.accept_button.click())
    dialog.filesSelected.emit([str(export)])
    dialog.reject()
    finished(qtbot, window, wait_scanned)
    assert live(demo, "20260502_101112_abcdef").is_file()
    assert window.shown.place.also == ()


def test_the_store_itself_is_no_further_place(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    drop(window, demo.home)
    wait_scanned(window)
    assert window.shown.place.also == ()
    assert "already" in window.notices.places.text


def test_a_store_is_chosen_from_the_home_with_what_is_hidden(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, tmp_path: Path
) -> None:
    window = open_window(StoreLocation(tmp_path / "nowhere"))
    window.actions_["open"].trigger()
    dialog = window.findChild(QFileDialog)
    assert dialog is not None
    assert dialog.directory().absolutePath() == str(Path.home())
    assert dialog.filter() & QDir.Filter.Hidden
    dialog.fileSelected.emit(str(demo.home / "webui"))
    dialog.reject()
    qtbot.waitUntil(lambda: window.table.sessions.total_count == len(demo.stories), timeout=60_000)
    wait_scanned(window)


def test_another_store_begins_without_the_numbers_and_the_filter_of_the_one_before(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, tmp_path: Path
) -> None:
    window = open_window(StoreLocation(demo.home))
    chip = next(iter(window.chips._chips.values()))
    chip.click()
    window.open(StoreLocation(tmp_path / "nowhere"))
    assert not any(each.isChecked() for each in window.chips._chips.values())
    assert all(each.toolTip().startswith("0 ") for each in window.chips._chips.values())
    qtbot.waitUntil(window.no_store.isVisible, timeout=60_000)
    window.open(StoreLocation(demo.home))
    wait_scanned(window)
    assert window.table.sessions.visible_count == window.table.sessions.total_count


def test_a_demo_store_opens_at_once(qtbot: QtBot, open_window: Open, wait_scanned: Scanned, tmp_path: Path) -> None:
    window = open_window(StoreLocation(tmp_path / "nowhere"))
    window.no_store._demo.setFocus()
    window.no_store._demo.click()
    assert window.findChild(QFileDialog) is None
    qtbot.waitUntil(lambda: window.shown.store is not None, timeout=60_000)
    wait_scanned(window)
    assert window.table.sessions.total_count > 10
    assert window.focusWidget() is window.tools.filter  # as where a window begins with a store
    store = window.shown.store
    assert store is not None and store.home is not None
    shutil.rmtree(store.home)
