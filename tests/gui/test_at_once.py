"""The real window while something goes on: another store, the close button and F5 come at any time."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.findings import Standing
from hermes_rescue.core.demo.demo_store import DemoStore, make_demo_store
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.merge.choices import OUTDATED, Choices
from hermes_rescue.core.repair import apply
from hermes_rescue.core.repair.vault import Vault
from hermes_rescue.gui.background import reader, slices
from hermes_rescue.gui.background.jobs import Job
from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.repairs.repair_dialog import RepairDialog
from hermes_rescue.gui.repairs.undo_dialog import UndoDialog
from hermes_rescue.gui.shell.main_window import MainWindow
from hermes_rescue.gui.shell.state import Phase
from hermes_rescue.gui.view_model.diff_outline import Outline
from hermes_rescue.gui.view_model.diff_rows import CHECK
from PySide6.QtCore import QEvent, QItemSelectionModel, QObject, Qt
from PySide6.QtWidgets import QApplication, QDialog, QLabel, QMessageBox
from pytestqt.qtbot import QtBot

from tests.core.conftest import SID, Hermes
from tests.core.test_audit import cleared_long_ago
from tests.gui.test_backups import drop
from tests.gui.test_window import finished, texts, when_asked

Open = Callable[..., MainWindow]
Scanned = Callable[[MainWindow], None]
Snapshot = Callable[[Path], Any]

A_STEP = 1e-5
"""Seconds: long work in the window goes on by one step between two other events."""


class Gate:
    """Holds up whoever comes to it in another thread until it is opened; ``passed`` are those who went on."""

    def __init__(self) -> None:
        self._opened = threading.Event()
        self.reached: list[object] = []
        self.passed: list[object] = []

    def open(self) -> None:
        self._opened.set()

    def around(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def held(*arguments: Any, **options: Any) -> Any:
            self.reached.append(arguments)
            self._opened.wait(5)
            self.passed.append(arguments)
            return work(*arguments, **options)

        return held


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
def hermes(tmp_path: Path) -> Hermes:
    home = tmp_path / "small"
    (home / "webui" / "sessions").mkdir(parents=True)
    return Hermes(home)


@pytest.fixture
def other(tmp_path: Path) -> DemoStore:
    return make_demo_store(tmp_path / "other")


def open_dialogs() -> list[QDialog]:
    return [w for w in QApplication.topLevelWidgets() if isinstance(w, QDialog) and w.isVisible()]


# --- a choice is about the proposal that it was made on ---------------------------------------------------------------


def leave_out(window: MainWindow, position: int) -> None:
    rows = window.review.difference.rows
    rows.act(rows.reveal(next(k for k, row in enumerate(rows.rows) if row.position == position)), CHECK)


def test_a_message_left_out_while_the_database_is_locked_is_never_another_one_afterwards(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, hermes: Hermes
) -> None:
    """The rows put messages before it."""
    turns = hermes.turns("a", "b", "c")
    hermes.write_live(turns[2:])
    hermes.write_rows(turns)
    before = hermes.live.read_bytes()
    with closing(sqlite3.connect(hermes.home / "state.db", isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        window = open_window(StoreLocation(hermes.home))
        assert len(window.review.difference.rows.rows) == 4
        leave_out(window, 2)
        qtbot.waitUntil(lambda: SID in window.shown.choices)
    said: list[str] = []

    def look(dialog: RepairDialog) -> None:
        said.append(dialog.left_open.toPlainText())
        assert not dialog.accept_button.isEnabled()
        dialog.reject()

    when_asked(qtbot, RepairDialog, look)
    window.actions_["repair"].trigger()
    finished(qtbot, window, wait_scanned)
    assert OUTDATED in said[0]
    assert hermes.live.read_bytes() == before
    qtbot.waitUntil(lambda: window.shown.choices == {}, timeout=20_000)
    assert "changed since you chose" in window.result.text
    qtbot.waitUntil(lambda: len(window.review.difference.rows.rows) == 6, timeout=20_000)
    rows = window.review.difference.rows
    assert rows.choices().are_none
    leave_out(window, 4)
    when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept())
    window.actions_["repair"].trigger()
    finished(qtbot, window, wait_scanned)
    assert texts(hermes.live) == ["ask a", "answer a", "ask b", "answer b", "answer c"]


def test_choices_outlive_the_repair_of_another_session(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    ids = {story.name: story.session_id for story in demo.stories}
    chosen, repaired = ids["healthy"], ids["wiped"]
    window = open_window(StoreLocation(demo.home))
    window.table.select(chosen)
    wait_scanned(window)
    leave_out(window, 1)
    kept = dict(window.shown.choices)
    assert list(kept) == [chosen]
    window.table.select(repaired)
    wait_scanned(window)
    when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept())
    window.actions_["repair"].trigger()
    finished(qtbot, window, wait_scanned)
    assert window.shown.choices == kept
    window.table.select(chosen)
    wait_scanned(window)
    assert window.review._detail is not None
    assert len(window.review._detail.proposal.lost) == 1


# --- a session is shown a page at a time ------------------------------------------------------------------------------


def test_pages_of_two_sessions_are_never_seen_together(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "SLICE", A_STEP)
    window = open_window(StoreLocation(demo.home))
    review = window.review
    seen: list[bool] = []

    class Watcher(QObject):
        def eventFilter(self, watched: QObject, event: QEvent) -> bool:
            if event.type() == QEvent.Type.Paint:
                rows = review._detail.review.rows if review._detail is not None else ()
                seen.append(len(review.conversation.rows.rows) == len(rows))
            return False

    watcher = Watcher()
    for part in (review.head, review.conversation.list.viewport()):
        part.installEventFilter(watcher)
    for story in demo.stories[:8]:
        if window.table.select(story.session_id):
            wait_scanned(window)
            qtbot.wait(20)
    assert len(seen) > 8
    assert all(seen)


def test_a_box_that_is_turned_before_all_pages_are_there_counts(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = open_window(StoreLocation(demo.home))
    show, boxes = window.review.conversation.show_rows, window.review.difference.rows.boxes

    def show_and_turn(outline: Outline, *, is_same: bool) -> None:
        show(outline, is_same=is_same)
        boxes.set_checked([0], False)

    monkeypatch.setattr(window.review.conversation, "show_rows", show_and_turn)
    following = window.table.select_beside(window.review.session_id, 1)
    wait_scanned(window)
    qtbot.waitUntil(lambda: following in window.shown.choices)
    assert window.shown.choices[following].exclude == {0}


def test_a_session_that_is_asked_for_again_while_its_pages_come_is_shown(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "SLICE", A_STEP)
    window = open_window(StoreLocation(demo.home))
    review, show = window.review, window.review.difference.show_rows

    def show_and_ask(*arguments: Any, **options: Any) -> None:
        show(*arguments, **options)
        review.expect(window.table.current_id, "the same")

    monkeypatch.setattr(review.difference, "show_rows", show_and_ask)
    review._reading.setInterval(0)
    assert window.table.select_beside(review.session_id, 1)
    wait_scanned(window)
    assert review.head.title.text() != "the same"


# --- another store ----------------------------------------------------------------------------------------------------


def test_what_a_repair_came_to_is_not_shown_over_another_store(
    qtbot: QtBot,
    open_window: Open,
    wait_scanned: Scanned,
    demo: DemoStore,
    other: DemoStore,
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window = open_window(StoreLocation(demo.home))
    monkeypatch.setattr(apply, "_repair_one", gate.around(apply._repair_one))
    when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept())
    window.actions_["repair_all"].trigger()
    qtbot.waitUntil(lambda: bool(gate.reached), timeout=20_000)
    window.open(StoreLocation(other.home))
    assert "as soon as this is done" in window.result.text
    gate.open()
    qtbot.waitUntil(lambda: window.shown.place == StoreLocation(other.home), timeout=20_000)
    finished(qtbot, window, wait_scanned)
    assert window.result.text == ""
    assert window.result.isHidden()
    assert not window.actions_["undo"].isEnabled()
    assert window.shown.store == find_store(home=other.home)
    [run] = Vault.of(find_store(home=demo.home)).list_runs()
    assert len(run.session_ids) == 16
    assert Vault.of(find_store(home=other.home)).list_runs() == ()


def test_another_store_takes_the_result_and_the_undo_of_the_one_before_away(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, other: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept())
    window.actions_["repair_all"].trigger()
    finished(qtbot, window, wait_scanned)
    assert "repaired" in window.result.text
    window.open(StoreLocation(other.home))
    assert window.result.isHidden()
    finished(qtbot, window, wait_scanned)
    assert not window.actions_["undo"].isEnabled()
    assert window.history.selected() is None


def test_a_repair_that_is_being_prepared_is_forgotten_for_another_store(
    qtbot: QtBot,
    open_window: Open,
    wait_scanned: Scanned,
    demo: DemoStore,
    other: DemoStore,
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window = open_window(StoreLocation(demo.home))
    monkeypatch.setattr(api, "plan", gate.around(api.plan))
    window.actions_["repair_all"].trigger()
    qtbot.waitUntil(lambda: bool(gate.reached), timeout=20_000)
    window.open(StoreLocation(other.home))
    gate.open()
    finished(qtbot, window, wait_scanned)
    qtbot.waitUntil(lambda: len(window.jobs.findChildren(Job)) == 1, timeout=20_000)  # the reader's
    assert open_dialogs() == []
    assert window.state.phase is Phase.READY


# --- closing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_asked", [False, True], ids=["while it is planned", "while it is asked about"])
def test_a_window_that_closes_while_a_repair_is_prepared_repairs_nothing(
    qtbot: QtBot,
    open_window: Open,
    demo: DemoStore,
    gate: Gate,
    snapshot: Snapshot,
    monkeypatch: pytest.MonkeyPatch,
    is_asked: bool,
) -> None:
    """Nothing is written, so nothing is asked."""
    said: list[object] = []
    monkeypatch.setattr(QMessageBox, "question", lambda *of: said.append(of) or QMessageBox.StandardButton.No)
    window = open_window(StoreLocation(demo.home))
    before = snapshot(demo.home)
    monkeypatch.setattr(api, "plan", gate.around(api.plan))
    if is_asked:
        gate.open()
    window.actions_["repair_all"].trigger()
    qtbot.waitUntil(lambda: bool(open_dialogs() if is_asked else gate.reached), timeout=20_000)
    window.close()
    assert not window.isVisible()
    gate.open()
    window.jobs.wait()
    QApplication.processEvents()
    assert (said, open_dialogs()) == ([], [])
    assert snapshot(demo.home) == before


@pytest.mark.parametrize(
    ("action", "question", "result"),
    [
        ("repair_all", "A repair is running", "17 sessions repaired"),
        ("repair_copy", "A session is being restored", "restored at"),
        ("import", "An import is running", "imported at"),
    ],
)
def test_what_is_asked_before_closing_is_true(
    qtbot: QtBot,
    open_window: Open,
    wait_scanned: Scanned,
    demo: DemoStore,
    gate: Gate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    action: str,
    question: str,
    result: str,
) -> None:
    said: list[str] = []
    monkeypatch.setattr(QMessageBox, "question", lambda *of: said.append(of[2]) or QMessageBox.StandardButton.No)
    window = open_window(StoreLocation(demo.home))
    begin: Callable[[], object] = window.actions_[action].trigger
    if action == "import":
        export = tmp_path / "hermes-20260502_101112_abcdef.json"
        messages = [{"role": "user", "content": "From elsewhere?", "timestamp": 1.0}]
        session = {"session_id": "20260502_101112_abcdef", "title": "From elsewhere", "messages": messages}
        export.write_text(json.dumps(session))
        drop(window, export)
        wait_scanned(window)
        begin = window.notices.places.buttons[0].click
    monkeypatch.setattr(apply, "_repair_one", gate.around(apply._repair_one))
    when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept())
    begin()
    qtbot.waitUntil(lambda: bool(gate.reached), timeout=20_000)
    window.close()
    assert window.isVisible()
    gate.open()
    finished(qtbot, window, wait_scanned)
    assert question in said[0]
    assert result in window.result.text


# --- nothing is waited for --------------------------------------------------------------------------------------------


def test_no_key_waits_for_a_webui_that_does_not_answer(
    qtbot: QtBot, open_window: Open, demo: DemoStore, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "webui_status", gate.around(reader.webui_status))  # type: ignore[attr-defined]
    window = open_window(StoreLocation(demo.home), wait=False)
    qtbot.waitUntil(lambda: bool(gate.reached), timeout=20_000)
    window.actions_["rescan"].trigger()
    window.actions_["rescan"].trigger()
    window.open(StoreLocation(demo.home))
    window.close()
    assert not window.isVisible()
    assert gate.passed == []


def test_a_repair_begins_when_the_reader_has_let_go_of_the_store(
    qtbot: QtBot,
    open_window: Open,
    wait_scanned: Scanned,
    demo: DemoStore,
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    window = open_window(StoreLocation(demo.home))
    order: list[str] = []
    examine, apply = reader.examine, api.apply  # type: ignore[attr-defined]

    def looking(*of: Any, **options: Any) -> Any:
        try:
            return gate.around(examine)(*of, **options)
        finally:
            order.append("read")

    monkeypatch.setattr(reader, "examine", looking)
    monkeypatch.setattr(api, "apply", lambda *of, **options: order.append("written") or apply(*of, **options))
    window.table.select(window.table.sessions.id_at(1))
    qtbot.waitUntil(lambda: bool(gate.reached), timeout=20_000)
    when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept())
    window.actions_["repair_all"].trigger()
    qtbot.waitUntil(lambda: window.state.phase is Phase.WRITING, timeout=20_000)
    gate.open()
    finished(qtbot, window, wait_scanned)
    assert order[:2] == ["read", "written"]


# --- the session's own button -----------------------------------------------------------------------------------------


def test_a_session_that_only_the_list_lacks_is_repaired_under_its_own_name(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    story = next(each for each in demo.stories if each.name == "missing_from_index")
    window = open_window(StoreLocation(demo.home))
    window.table.select(story.session_id)
    wait_scanned(window)
    asked: list[str] = []

    def confirm(dialog: RepairDialog) -> None:
        asked.extend((dialog.heading.text(), *(label.text() for label in dialog.findChildren(QLabel))))
        dialog.accept_button.click()

    when_asked(qtbot, RepairDialog, confirm)
    qtbot.mouseClick(window.review.head.repair, Qt.MouseButton.LeftButton)
    finished(qtbot, window, wait_scanned)
    assert asked[0] == "Repair 1 session?"
    assert any(story.title in text for text in asked)
    assert story.title in window.result.text
    assert "1 repaired" in window.foot.text
    assert window.table.sessions.counts()[Standing.REPAIRABLE] == 16


@pytest.mark.parametrize("picked", ["all", "one of each", "questions alone", "one was decided"])
def test_the_buttons_name_as_many_sessions_as_the_dialog_begins_with(
    qtbot: QtBot, open_window: Open, demo: DemoStore, picked: str
) -> None:
    """And the status bar keeps what it said meanwhile."""
    window = open_window(StoreLocation(demo.home))
    view, sessions = window.table.view, window.table.sessions
    by_standing = {each: [s.session.session_id for s in sessions.every() if s.standing is each] for each in Standing}
    certain, asked = by_standing[Standing.REPAIRABLE], by_standing[Standing.REVIEW]
    if picked == "all":
        view.selectAll()
    else:
        wanted = asked[:2] if picked != "one of each" else [certain[0], asked[0]]
        flags = QItemSelectionModel.SelectionFlag
        view.selectionModel().clearSelection()
        for each in wanted:
            index = sessions.index(sessions.row_of(each), 0)
            view.selectionModel().select(index, flags.Select | flags.Rows)
    if picked == "one was decided":
        window.shown.choose(asked[0], Choices(exclude=frozenset({0})))
        window.choosing.changed.emit()
    said = window.foot.text
    assert said
    seen: list[str] = []

    def look(dialog: RepairDialog) -> None:
        seen.extend((dialog.accept_button.text(), window.foot.text))
        dialog.reject()

    when_asked(qtbot, RepairDialog, look)
    window.actions_["repair"].trigger()
    qtbot.waitUntil(lambda: not window.writer.is_busy, timeout=20_000)
    assert window.tools._buttons["repair_all"].text() == f"{seen[0]}…"
    assert window.review.head.repair.text() == seen[0].replace("Repair", "Restore")
    assert seen[1] == said


def test_only_the_sessions_that_stay_checked_are_repaired(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    left: list[str] = []

    def confirm(dialog: RepairDialog) -> None:
        dialog.sessions.turn(2)
        left.extend(dialog.sessions.left)
        dialog.accept_button.click()

    when_asked(qtbot, RepairDialog, confirm)
    window.actions_["repair_all"].trigger()
    finished(qtbot, window, wait_scanned)
    assert window.result.text.startswith("16 sessions repaired at ")
    assert window.result.text.endswith("verified. 1 of them only in the session list. The old files are kept.")
    rows = (window.table.sessions.known(session_id) for session_id in left)
    assert [row.session.standing for row in rows if row is not None] == [Standing.REPAIRABLE]
    assert window.table.sessions.counts()[Standing.REPAIRABLE] == 1


def test_a_backup_that_would_return_can_be_moved_away(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, hermes: Hermes
) -> None:
    cleared_long_ago(hermes)
    before = hermes.live.read_bytes()
    backup = hermes.live.with_name(f"{SID}.json.bak")
    window = open_window(StoreLocation(hermes.home))
    told = " ".join(window.review.head.evidence.text().replace("\u200b", "").split())
    assert "replaces the file with its backup" in told
    assert not window.actions_["repair_all"].isEnabled()
    assert window.review.head.repair.isVisible()
    when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept())
    qtbot.mouseClick(window.review.head.repair, Qt.MouseButton.LeftButton)
    finished(qtbot, window, wait_scanned)
    assert "is repaired" in window.result.text
    assert hermes.live.read_bytes() == before
    assert not backup.exists()
    qtbot.waitUntil(lambda: not window.review.head.repair.isVisible(), timeout=20_000)
    when_asked(qtbot, UndoDialog, lambda dialog: dialog.undo.click())
    qtbot.waitUntil(window.actions_["undo"].isEnabled, timeout=20_000)
    window.actions_["undo"].trigger()
    finished(qtbot, window, wait_scanned)
    assert len(json.loads(backup.read_bytes())["messages"]) == 4
