"""What the window says of repairs that were made: what has changed since, and that somebody else is at work."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.findings import Standing
from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.core.hermes.store import Store, find_store
from hermes_rescue.core.merge.choices import Choices
from hermes_rescue.core.repair.vault import Vault
from hermes_rescue.core.report.diff import Change, text_of
from hermes_rescue.core.report.history import AFTER, BEFORE, NOT_THERE, NOW
from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.repairs.changes_dialog import ChangesDialog
from hermes_rescue.gui.repairs.repair_dialog import RepairDialog
from hermes_rescue.gui.repairs.report_dialog import ReportDialog
from hermes_rescue.gui.repairs.undo_dialog import UndoDialog
from hermes_rescue.gui.shell.main_window import MainWindow
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtWidgets import QApplication, QMessageBox
from pytestqt.qtbot import QtBot

from tests.gui.test_window import finished, when_asked

Open = Callable[..., MainWindow]
Scanned = Callable[[MainWindow], None]
Snapshot = Callable[[Path], Any]

HOLDER = """
import sys
from pathlib import Path
from hermes_rescue.core.repair.vault import Vault
with Vault(Path(sys.argv[1]), Path(sys.argv[2])).lock():
    print("locked", flush=True)
    sys.stdin.read()
"""


@contextmanager
def somebody_at_work(store: Store) -> Iterator[None]:
    """Another process that holds the vault."""
    arguments = [sys.executable, "-c", HOLDER, str(store.vault_root), str(store.sessions_dir)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        try:
            yield
        finally:
            other.stdin.close()
            assert other.wait(timeout=20) == 0


@pytest.fixture
def store(demo: DemoStore) -> Store:
    return find_store(home=demo.home)


def run_all(store: Store) -> str:
    done = api.apply(api.plan(store))
    assert done.run_id is not None
    return done.run_id


def save_over(store: Store, session_id: str) -> bytes:
    """Another save of a session, as the WebUI makes it: one more message."""
    path = store.sessions_dir / f"{session_id}.json"
    session = json.loads(path.read_bytes())
    session["messages"].append({"role": "user", "content": "written since", "timestamp": 1_790_000_000.0})
    session["message_count"] = len(session["messages"])
    path.write_text(json.dumps(session, indent=2))
    return path.read_bytes()


def changes_shown(qtbot: QtBot) -> ChangesDialog:
    """The dialog with the comparison, once it is there and has been read."""

    def shown() -> bool:
        dialog = QApplication.activeModalWidget()
        return isinstance(dialog, ChangesDialog) and not dialog.is_busy

    qtbot.waitUntil(shown, timeout=60_000)
    dialog = QApplication.activeModalWidget()
    assert isinstance(dialog, ChangesDialog)
    return dialog


def texts(dialog: ChangesDialog, *changes: Change) -> list[str]:
    rows = [row for row in dialog.difference.rows.rows if row.change in changes]
    return [text_of(m) for row in rows if (m := row.right or row.left) is not None]


# --- what has changed since -------------------------------------------------------------------------------------------


def test_a_refused_undo_shows_the_reason_and_the_difference(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, store: Store
) -> None:
    run_id = run_all(store)
    session_id = next(s.session_id for s in demo.stories if s.name == "wiped_and_continued")
    saved = save_over(store, session_id)
    window = open_window(StoreLocation(demo.home))
    when_asked(qtbot, UndoDialog, lambda dialog: dialog.undo.click())
    window.history.undo_requested.emit(run_id, session_id)
    dialog = changes_shown(qtbot)
    finished(qtbot, window, wait_scanned)
    assert "has changed since the run" in window.result.text
    for button in window.history.buttons.values():  # of which none is covered by what is said
        place = window.result.mapFromGlobal(button.mapToGlobal(QPoint()))
        assert not window.result.rect().intersects(QRect(place, button.size()))
    assert "has changed since the run" in dialog.notes.text().replace("\u200b", "")
    assert NOT_THERE in dialog.notes.text()
    assert (dialog.difference.left_picker.currentData(), dialog.difference.right_picker.currentData()) == (BEFORE, NOW)
    assert texts(dialog, Change.ADDED)[-1] == "written since"
    dialog.reject()
    assert (store.sessions_dir / f"{session_id}.json").read_bytes() == saved
    assert window.side.currentWidget() is window.history
    selected = window.history.selected()
    assert selected is not None
    assert selected.session_id == session_id


def test_of_several_that_are_refused_the_history_shows_each(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, store: Store
) -> None:
    run_id = run_all(store)
    changed = [s.session_id for s in demo.stories if s.name in ("wiped", "wiped_and_continued")]
    saved = {session_id: save_over(store, session_id) for session_id in changed}
    window = open_window(StoreLocation(demo.home))
    when_asked(qtbot, UndoDialog, lambda dialog: dialog.undo.click())
    window.history.undo_requested.emit(run_id, "")
    finished(qtbot, window, wait_scanned)
    assert "1 more was not changed" in window.result.text
    assert QApplication.activeModalWidget() is None
    selected = window.history.selected()
    assert selected is not None
    assert selected.session_id in changed
    for session_id, data in saved.items():
        assert (store.sessions_dir / f"{session_id}.json").read_bytes() == data


def test_the_history_tells_it_before_anybody_clicks(
    qtbot: QtBot, open_window: Open, demo: DemoStore, store: Store, snapshot: Snapshot
) -> None:
    run_id = run_all(store)
    session_id = next(s.session_id for s in demo.stories if s.name == "wiped")
    other = next(s.session_id for s in demo.stories if s.name == "wiped_and_continued")
    save_over(store, session_id)
    before = snapshot(demo.home)
    window = open_window(StoreLocation(demo.home))
    window.actions_["history"].trigger()
    window.history.select(run_id, session_id)
    qtbot.waitUntil(lambda: "has changed since" in window.history.problem.text().replace("\u200b", ""), timeout=60_000)
    assert not window.history.undo.isEnabled()
    window.history.select(run_id, other)
    assert window.history.undo.isEnabled()
    assert snapshot(demo.home) == before


def test_before_after_and_now_are_compared_from_the_history(
    qtbot: QtBot, open_window: Open, demo: DemoStore, store: Store, snapshot: Snapshot
) -> None:
    run_id = run_all(store)
    session_id = next(s.session_id for s in demo.stories if s.name == "wiped_and_continued")
    before = snapshot(demo.home)
    window = open_window(StoreLocation(demo.home))
    window.actions_["history"].trigger()
    window.history.select(run_id, session_id)
    qtbot.mouseClick(window.history.buttons[window.history.changes], Qt.MouseButton.LeftButton)
    dialog = changes_shown(qtbot)
    come_back = texts(dialog, Change.ADDED)
    assert come_back
    picker = dialog.difference.right_picker
    assert [picker.itemData(k) for k in range(picker.count())] == [BEFORE, AFTER, NOW]
    dialog.difference.versions_chosen.emit(AFTER, NOW)
    qtbot.waitUntil(lambda: not dialog.is_busy, timeout=60_000)
    assert texts(dialog, Change.ADDED, Change.REMOVED, Change.CHANGED) == []
    dialog.difference.versions_chosen.emit(BEFORE, AFTER)
    qtbot.waitUntil(lambda: not dialog.is_busy, timeout=60_000)
    assert texts(dialog, Change.ADDED) == come_back
    qtbot.keyClick(dialog, Qt.Key.Key_F7)
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert QApplication.activeModalWidget() is None
    assert snapshot(demo.home) == before


def test_what_cannot_be_compared_is_said(qtbot: QtBot, open_window: Open, demo: DemoStore, store: Store) -> None:
    run_id = run_all(store)
    [run] = Vault.of(store).list_runs()
    operation = next(each for each in run.operations if each.kept and each.session_id)
    (store.vault_root / "runs" / run_id / "files" / str(operation.kept)).write_bytes(b"")
    window = open_window(StoreLocation(demo.home))
    window.history_controller.show_changes(run_id, str(operation.session_id), "")
    dialog = changes_shown(qtbot)
    assert "is damaged" in dialog.difference._face.text
    dialog.reject()


def test_closing_while_it_reads_waits_for_nothing(
    qtbot: QtBot, open_window: Open, demo: DemoStore, store: Store
) -> None:
    run_id = run_all(store)
    session_id = Vault.of(store).list_runs()[0].session_ids[0]
    window = open_window(StoreLocation(demo.home))
    window.history_controller.show_changes(run_id, session_id, "")
    dialog = QApplication.activeModalWidget()
    assert isinstance(dialog, ChangesDialog)
    assert dialog.is_busy
    dialog.reject()
    assert QApplication.activeModalWidget() is None


# --- somebody else is at work -----------------------------------------------------------------------------------------


def test_while_another_works_on_the_store_nothing_is_lost_and_it_can_be_tried_again(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, store: Store, snapshot: Snapshot
) -> None:
    window = open_window(StoreLocation(demo.home))
    assert window.shown.audit is not None
    shown = next(s for s in window.shown.audit.sessions if s.session_id == window.table.current_id)
    chosen = {shown.session_id: Choices(answer_questions=True, made_on=shown.fingerprint)}
    window.shown.choices.update(chosen)
    with somebody_at_work(store):
        before = snapshot(store.sessions_dir)
        when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept())
        window.actions_["repair_all"].trigger()
        finished(qtbot, window, wait_scanned)
        assert "Another Hermes Rescue" in window.result.text and "is working on this store" in window.result.text
        assert "try again" in window.result.text
        assert snapshot(store.sessions_dir) == before
        assert window.shown.choices == chosen
        assert not [w for w in QApplication.topLevelWidgets() if isinstance(w, QMessageBox) and w.isVisible()]
        assert window.table.sessions.counts()[Standing.REPAIRABLE] > 0
    when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept())
    window.actions_["repair_all"].trigger()
    finished(qtbot, window, wait_scanned)
    assert "and verified" in window.result.text
    with somebody_at_work(store):
        when_asked(qtbot, UndoDialog, lambda dialog: dialog.undo.click())
        qtbot.waitUntil(window.actions_["undo"].isEnabled, timeout=20_000)
        window.actions_["undo"].trigger()
        finished(qtbot, window, wait_scanned)
        assert "Another Hermes Rescue" in window.result.text and "is working on this store" in window.result.text
    when_asked(qtbot, UndoDialog, lambda dialog: dialog.undo.click())
    qtbot.waitUntil(window.actions_["undo"].isEnabled, timeout=20_000)
    window.actions_["undo"].trigger()
    finished(qtbot, window, wait_scanned)
    assert "put back" in window.result.text
    assert snapshot(store.sessions_dir).keys() == before.keys()


# --- the report -------------------------------------------------------------------------------------------------------


def test_the_window_writes_every_form_with_and_without_texts(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, tmp_path: Path, monkeypatch: Any
) -> None:
    window = open_window(StoreLocation(demo.home))
    target = tmp_path / "report"
    monkeypatch.setattr(ReportDialog, "ask_path", lambda *_: target)
    target.write_text("an older report")
    target.chmod(0o644)

    def write(form: str, *, texts: bool) -> bytes:
        def answer(dialog: ReportDialog) -> None:
            qtbot.mouseClick(dialog.forms[form], Qt.MouseButton.LeftButton)
            if texts:
                dialog.texts.setFocus()
                qtbot.keyClick(dialog.texts, Qt.Key.Key_Space)
            qtbot.mouseClick(dialog.save, Qt.MouseButton.LeftButton)

        when_asked(qtbot, ReportDialog, answer)
        window.actions_["export"].trigger()
        finished(qtbot, window, wait_scanned)
        assert str(target) in window.result.text
        assert target.stat().st_mode & 0o777 == 0o600
        return target.read_bytes()

    for form in ("html", "md", "json"):
        assert b"Put the night train into the itinerary." not in write(form, texts=False)
        assert b"Put the night train into the itinerary." in write(form, texts=True)
    short, long = write("pdf", texts=False), write("pdf", texts=True)
    assert short.startswith(b"%PDF-")
    assert len(short) < len(long)


@pytest.mark.parametrize("of_hermes", [False, True])
def test_a_report_that_cannot_be_written_costs_neither_a_choice_nor_a_file(
    qtbot: QtBot, open_window: Open, demo: DemoStore, tmp_path: Path, monkeypatch: Any, of_hermes: bool
) -> None:
    session = find_store(home=demo.home).sessions_dir / f"{demo.stories[0].session_id}.json"
    before = session.read_bytes()
    target = session if of_hermes else tmp_path / "no" / "such" / "folder.html"
    monkeypatch.setattr(ReportDialog, "ask_path", lambda *_: target)
    window = open_window(StoreLocation(demo.home))
    assert window.shown.audit is not None
    shown = next(s for s in window.shown.audit.sessions if s.session_id == window.table.current_id)
    chosen = {shown.session_id: Choices(answer_questions=True, made_on=shown.fingerprint)}
    window.shown.choices.update(chosen)
    when_asked(qtbot, ReportDialog, lambda dialog: dialog.save.click())
    window.actions_["export"].trigger()
    qtbot.waitUntil(lambda: not window.writer.is_busy, timeout=60_000)
    [box] = [w for w in QApplication.topLevelWidgets() if isinstance(w, QMessageBox) and w.isVisible()]
    assert ("sessions" if of_hermes else target.name) in box.text()
    box.close()
    assert session.read_bytes() == before
    assert window.shown.choices == chosen
    assert window.actions_["export"].isEnabled()
