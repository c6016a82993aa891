"""The dialogs say what is going to be, and nothing is by accident."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.demo.demo_store import DemoStore, make_demo_store
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.gui.background.tasks import Wanted
from hermes_rescue.gui.repairs.import_dialog import ImportDialog
from hermes_rescue.gui.repairs.planned_sessions import Column
from hermes_rescue.gui.repairs.repair_dialog import RepairDialog
from hermes_rescue.gui.repairs.report_dialog import ReportDialog
from hermes_rescue.gui.widgets.enter_key import EnterKey
from hermes_rescue.gui.widgets.theme import load
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtTest import QSignalSpy
from PySide6.QtWidgets import QAbstractItemView, QApplication, QDialog, QLabel, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

LIGHT = load("light")
EVIL = "<b>bold</b> <img src='x'>\x1b[31m\u202e & more"
EVIL_SHOWN = "<b>bold</b> <img src='x'>\\x1b[31m\\x202e & more"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> DemoStore:
    return make_demo_store(tmp_path_factory.mktemp("demo") / "store")


def unnamed(root: QWidget) -> list[QWidget]:
    """The widgets that take the focus and have no name for who cannot see them."""
    reachable = [w for w in root.findChildren(QWidget) if w.focusPolicy() & Qt.FocusPolicy.TabFocus and w.isVisible()]
    inner = [w for w in reachable if isinstance(w.parent(), QAbstractItemView)]
    return [w for w in reachable if w not in inner and not (w.accessibleName() or getattr(w, "text", str)())]


# --- the question before a repair -----------------------------------------------------------------------------------


def ask(qtbot: QtBot, plan: api.Plan) -> RepairDialog:
    dialog = RepairDialog(plan, LIGHT)
    qtbot.addWidget(dialog)
    with qtbot.waitActive(dialog):
        dialog.open()
    return dialog


def cells(dialog: RepairDialog, column: Column) -> list[str]:
    return [dialog.sessions.index(row, column).data() for row in range(dialog.sessions.rowCount())]


@pytest.fixture(scope="module")
def plan(made: DemoStore) -> api.Plan:
    return api.plan(find_store(home=made.home))


def test_it_says_what_each_session_gets(qtbot: QtBot, plan: api.Plan) -> None:
    dialog = ask(qtbot, plan)
    n = len(plan.sessions) + 1  # with the one that only the session list lacks
    assert dialog.heading.text() == f"Repair {n} sessions?"
    assert dialog.accept_button.text() == f"Repair {n} sessions"
    assert cells(dialog, Column.TITLE) == [session.title for session in plan.sessions]
    assert cells(dialog, Column.AFTER) == [str(session.messages_after) for session in plan.sessions]
    assert set(cells(dialog, Column.LOST)) == {"nothing"}
    assert cells(dialog, Column.BEFORE)[cells(dialog, Column.WHY).index("messages lost")] == "0"
    assert "–" in cells(dialog, Column.BEFORE)
    assert dialog.kept.text() == str(plan.store.vault_root)
    assert unnamed(dialog) == []
    left_open = dialog.left_open.toPlainText()
    assert plan.questions and all(plan.titles[session_id] in left_open for session_id in plan.questions)


def test_it_says_what_may_be_another_conversation_of_the_sessions_that_are_checked(
    qtbot: QtBot, plan: api.Plan
) -> None:
    first, *others = plan.sessions
    mixed = dataclasses.replace(first, title=EVIL, apart=("conflict copy of DESK",))
    dialog = ask(qtbot, dataclasses.replace(plan, sessions=(mixed, *others)))
    assert dialog.warning.isVisible()
    assert dialog.warning.text().startswith(f"{EVIL_SHOWN}: No message of the conflict copy of DESK is in the session")
    dialog.sessions.turn(0)
    assert not dialog.warning.isVisible()
    assert not ask(qtbot, plan).warning.isVisible()


def test_the_operations_are_there_for_who_asks(qtbot: QtBot, plan: api.Plan) -> None:
    dialog = ask(qtbot, plan)
    assert not dialog.operations.isVisible()
    qtbot.mouseClick(dialog.details, Qt.MouseButton.LeftButton)
    assert dialog.operations.isVisible()
    told = dialog.operations.toPlainText().splitlines()
    assert told[:-1] == [operation for session in plan.sessions for operation in session.operations]
    assert told[-1].startswith("rebuild _index.json")


def test_sessions_are_sorted_and_those_that_are_unchecked_are_not_in_the_plan(qtbot: QtBot, plan: api.Plan) -> None:
    dialog = ask(qtbot, plan)
    assert [each.session_id for each in dialog.plan.sessions] == [each.session_id for each in plan.sessions]
    dialog.table.sortByColumn(Column.AFTER, Qt.SortOrder.DescendingOrder)
    counts = [int(text) for text in cells(dialog, Column.AFTER)]
    assert counts == sorted(counts, reverse=True)
    largest = max(plan.sessions, key=lambda each: each.messages_after)
    assert cells(dialog, Column.TITLE)[0] == largest.title
    total = dialog.totals.text()
    dialog.table.setCurrentIndex(dialog.sessions.index(0, Column.SIZE))
    qtbot.keyClick(dialog.table, Qt.Key.Key_Space)
    rest = [each for each in plan.sessions if each is not largest]
    assert list(dialog.plan.sessions) == rest
    assert largest.session_id in dialog.plan.remaining
    n = plan.count - 1
    assert (dialog.heading.text(), dialog.accept_button.text()) == (f"Repair {n} sessions?", f"Repair {n} sessions")
    assert dialog.totals.text() != total
    assert str(sum(each.messages_after for each in rest)) in dialog.totals.text()
    dialog.details.click()
    assert largest.session_id not in dialog.operations.toPlainText()
    qtbot.keyClick(dialog.table, Qt.Key.Key_Space)
    assert dialog.plan.sessions == plan.sessions


@pytest.mark.parametrize("kind", [RepairDialog, ImportDialog])
def test_where_nothing_is_checked_that_is_what_it_says(qtbot: QtBot, plan: api.Plan, kind: type[RepairDialog]) -> None:
    """Not that there was nothing to do."""
    dialog = kind(dataclasses.replace(plan, sessions=plan.sessions[:2], rebuild_index=False, relisted=()), LIGHT)
    qtbot.addWidget(dialog)
    for row in range(2):
        dialog.table.setCurrentIndex(dialog.sessions.index(row, 0))
        qtbot.keyClick(dialog.table, Qt.Key.Key_Space)
    assert dialog.heading.text() == "No session is checked."
    assert not dialog.accept_button.isEnabled()


def test_what_waits_for_a_decision_is_checked_by_the_person_beside_other_sessions(
    qtbot: QtBot, made: DemoStore
) -> None:
    store = find_store(home=made.home)
    every = api.plan(store, [each.session_id for each in made.stories])
    asked = [each for each in every.sessions if each.is_asked]
    certain = {each.session_id for each in api.plan(store).sessions}
    assert asked and certain.isdisjoint(each.session_id for each in asked)
    dialog = ask(qtbot, every)
    assert {each.session_id for each in dialog.plan.sessions} == certain
    assert {each.session_id for each in asked} <= set(dialog.plan.remaining)
    for n, each in enumerate(asked):
        waiting = len(asked) - n
        assert dialog.decisions.text().startswith(f"{waiting} session{'s wait' if waiting > 1 else ' waits'} for your")
        row = cells(dialog, Column.TITLE).index(each.title)
        dialog.table.setCurrentIndex(dialog.sessions.index(row, 0))
        qtbot.keyClick(dialog.table, Qt.Key.Key_Space)
        assert each in dialog.plan.sessions and len(dialog.plan.sessions) == len(certain) + n + 1
    assert dialog.decisions.isVisible()
    assert "wait" not in dialog.decisions.text()
    alone = api.plan(store, [each.session_id for each in asked])
    assert ask(qtbot, alone).plan.sessions == alone.sessions  # nothing but what was picked for its question


def test_what_would_be_lost_is_said_in_red(qtbot: QtBot, plan: api.Plan) -> None:
    loses = dataclasses.replace(plan.sessions[0], messages_lost=3, left_out=3, title=EVIL)
    refused = {"0123456789ab": "Stop it first."}
    dialog = ask(qtbot, dataclasses.replace(plan, sessions=(loses,), relisted=(), refused=refused))
    cell = dialog.sessions.index(0, Column.LOST)
    assert cell.data() == "3 messages"
    assert cell.data(Qt.ItemDataRole.ForegroundRole) == LIGHT.color("lost")
    assert cell.data(Qt.ItemDataRole.AccessibleTextRole) == "Lost: 3 messages"
    assert cells(dialog, Column.TITLE) == [EVIL_SHOWN]
    assert "<img" not in dialog.sessions.index(0, Column.TITLE).data(Qt.ItemDataRole.ToolTipRole)
    assert "leave 3 messages out" in " ".join(label.text() for label in dialog.findChildren(QLabel))
    assert "0123456789ab: Stop it first." in dialog.left_open.toPlainText()
    assert dialog.accept_button.text() == "Repair 1 session"


def test_what_is_left_open_has_a_line_each(qtbot: QtBot, plan: api.Plan) -> None:
    nothing = dataclasses.replace(plan, sessions=(), rebuild_index=False, relisted=(), questions=plan.questions[:2])
    first, second = nothing.questions
    dialog = ask(qtbot, dataclasses.replace(nothing, titles={first: "Of two\nlines\tand a tab", second: "Other"}))
    assert dialog.left_open.toPlainText().splitlines()[0].startswith("Of two lines and a tab: ")
    bar = dialog.left_open.verticalScrollBar()
    assert bar.maximum() == 0, "nothing is cut off"


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape, Qt.Key.Key_Space])
def test_no_key_repairs_by_accident(qtbot: QtBot, plan: api.Plan, key: Qt.Key) -> None:
    dialog = ask(qtbot, plan)
    assert dialog.cancel.hasFocus()
    assert dialog.cancel.isDefault()
    results = QSignalSpy(dialog.finished)
    qtbot.keyClick(dialog.focusWidget(), key)
    assert [results.at(k)[0] for k in range(results.count())] == [QDialog.DialogCode.Rejected.value]


def test_many_reasons_leave_room_for_the_title(qtbot: QtBot, plan: api.Plan) -> None:
    first, *others = plan.sessions
    chosen = dict.fromkeys(("title", "pinned", "archived", "project_id", "model", "profile", "tags"), "backup")
    dialog = ask(qtbot, dataclasses.replace(plan, sessions=(dataclasses.replace(first, fields_from=chosen), *others)))
    assert dialog.table.horizontalScrollBar().maximum() == 0
    header = dialog.table.horizontalHeader()
    assert header.sectionSize(Column.WHY) <= dialog.table.viewport().width() / 4
    assert header.sectionSize(Column.TITLE) > header.sectionSize(Column.LOST)


def test_who_comes_to_the_table_by_key_sees_which_row_has_it(qtbot: QtBot, plan: api.Plan) -> None:
    dialog = ask(qtbot, plan)
    dialog.table.setFocus(Qt.FocusReason.TabFocusReason)
    assert [index.row() for index in dialog.table.selectionModel().selectedRows()] == [
        dialog.table.currentIndex().row()
    ]
    assert dialog.table.currentIndex().isValid()


def test_enter_in_the_table_does_not_repair(qtbot: QtBot, plan: api.Plan) -> None:
    dialog = ask(qtbot, plan)
    dialog.table.setFocus()
    qtbot.keyClick(dialog.table, Qt.Key.Key_Return)
    assert dialog.result() == QDialog.DialogCode.Rejected.value


def test_enter_presses_the_button_that_has_the_keyboard_and_no_other(
    qtbot: QtBot, qapp: QApplication, plan: api.Plan
) -> None:
    enter = EnterKey(qapp)
    dialog = ask(qtbot, plan)
    for is_shown in (True, False):
        dialog.details.setFocus()
        qtbot.keyClick(dialog.details, Qt.Key.Key_Return)
        assert dialog.operations.isVisible() is is_shown  # Qt's own answer is to press Cancel
    dialog.accept_button.setFocus()
    qtbot.keyClick(dialog.accept_button, Qt.Key.Key_Enter)
    assert dialog.result() == QDialog.DialogCode.Accepted.value
    enter.deleteLater()


def test_who_wants_it_gets_it_by_key_and_by_mouse(qtbot: QtBot, plan: api.Plan) -> None:
    by_mouse, by_key = ask(qtbot, plan), ask(qtbot, plan)
    qtbot.mouseClick(by_mouse.accept_button, Qt.MouseButton.LeftButton)
    reached = []
    for _ in range(8):
        qtbot.keyClick(by_key.focusWidget(), Qt.Key.Key_Tab)
        reached.append(by_key.focusWidget())
    assert {by_key.accept_button, by_key.table, by_key.details, by_key.kept} <= set(reached)
    by_key.accept_button.setFocus()
    qtbot.keyClick(by_key.accept_button, Qt.Key.Key_Space)
    assert (by_mouse.result(), by_key.result()) == (QDialog.DialogCode.Accepted.value,) * 2


def test_where_nothing_would_be_done_nothing_can_be_accepted(qtbot: QtBot, plan: api.Plan) -> None:
    empty = dataclasses.replace(plan, sessions=(), rebuild_index=False, questions=(), relisted=())
    dialog = ask(qtbot, empty)
    assert dialog.heading.text() == "There is nothing to repair."
    assert not dialog.accept_button.isEnabled()
    reason = "The sessions folder is not here."
    assert ask(qtbot, dataclasses.replace(empty, problem=reason)).heading.text() == reason
    only_list = ask(qtbot, dataclasses.replace(empty, rebuild_index=True))
    assert only_list.heading.text() == "Rebuild the session list?"
    assert only_list.accept_button.isEnabled()
    assert only_list.accept_button.text() == "Rebuild the session list"


def test_asking_changes_nothing(
    qtbot: QtBot, made: DemoStore, plan: api.Plan, snapshot: Callable[[Path], object]
) -> None:
    before = snapshot(made.home)
    ask(qtbot, plan).accept()
    assert snapshot(made.home) == before


# --- the report -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "texts"), [("html", False), ("md", True), ("json", False), ("pdf", True)])
def test_the_report_dialog_returns_what_is_wanted(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str, texts: bool
) -> None:
    dialog = ReportDialog(LIGHT)
    qtbot.addWidget(dialog)
    asked: list[tuple[Path, str]] = []

    def answer(suggested: Path, chosen: str) -> Path:
        asked.append((suggested, chosen))
        return tmp_path / "report"

    monkeypatch.setattr(dialog, "ask_path", answer)
    dialog.forms[form].setChecked(True)
    dialog.texts.setChecked(texts)
    dialog.save.click()
    assert dialog.result() == ReportDialog.DialogCode.Accepted
    assert dialog.wanted == Wanted(form, tmp_path / "report", texts)
    [(suggested, chosen)] = asked
    assert (suggested.suffix, chosen) == (f".{form}", form)
    assert suggested.name.startswith("hermes-rescue-")


def test_without_a_file_there_is_no_report(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    dialog = ReportDialog(LIGHT)
    qtbot.addWidget(dialog)
    monkeypatch.setattr(dialog, "ask_path", lambda *_: None)
    with qtbot.waitActive(dialog):
        dialog.open()
    qtbot.mouseClick(dialog.save, Qt.MouseButton.LeftButton)
    assert dialog.isVisible()
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()
    assert dialog.wanted is None


def test_it_says_what_a_report_holds(qtbot: QtBot) -> None:
    of_audit, of_run = ReportDialog(LIGHT), ReportDialog(LIGHT, run_id="20260503T141200Z-3f2a9c")
    for dialog in (of_audit, of_run):
        qtbot.addWidget(dialog)
        assert "no text of any message" in dialog.privacy.text()
        assert not dialog.texts.isChecked()
        dialog.texts.setChecked(True)
        assert "can read the text of every message" in dialog.privacy.text()
        with qtbot.waitExposed(dialog):
            dialog.show()
        assert unnamed(dialog) == []
    assert "every finding" in of_audit.contents.text()
    assert "SHA-256" in of_run.contents.text()
    assert of_run.suggested().name == "hermes-rescue-20260503T141200Z-3f2a9c.html"


def test_the_file_is_asked_for_with_its_suffix(qtbot: QtBot, tmp_path: Path) -> None:
    dialog = ReportDialog(LIGHT)
    qtbot.addWidget(dialog)

    def type_name() -> None:
        asked: Any = QApplication.activeModalWidget()
        name = asked.findChild(QLineEdit)
        name.setText(str(tmp_path / "mine"))
        asked.accept()

    QTimer.singleShot(0, type_name)
    assert dialog.ask_path(tmp_path / "report.md", "md") == tmp_path / "mine.md"


def test_an_anonymous_report_has_no_texts(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    dialog = ReportDialog(LIGHT)
    qtbot.addWidget(dialog)
    monkeypatch.setattr(dialog, "ask_path", lambda *_: tmp_path / "report")
    with qtbot.waitExposed(dialog):
        dialog.show()
    dialog.texts.setChecked(True)
    qtbot.mouseClick(dialog.anonymous, Qt.MouseButton.LeftButton, pos=QPoint(8, dialog.anonymous.height() // 2))
    assert not dialog.texts.isEnabled()
    assert "no title, id, path or text" in dialog.privacy.text()
    assert "where the store" not in dialog.contents.text()
    dialog.save.click()
    assert dialog.wanted == Wanted("html", tmp_path / "report", texts=False, is_anonymous=True)


def test_it_is_about_all_sessions_or_those_that_are_meant(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for some, words in (({"a": EVIL}, EVIL_SHOWN.replace("&", "&&")), ({"a": "A", "b": "B"}, "2 selected sessions")):
        dialog = ReportDialog(LIGHT, some=some)
        qtbot.addWidget(dialog)
        monkeypatch.setattr(dialog, "ask_path", lambda *_: tmp_path / "report")
        assert words[:40] in dialog.of_some.text()
        for button, wanted in ((dialog.of_some, tuple(some)), (dialog.of_all, ())):
            button.click()
            dialog.forms["md"].click()
            assert (button.isChecked(), dialog.form) == (True, "md")
            dialog.save.click()
            assert dialog.wanted is not None
            assert dialog.wanted.session_ids == wanted


def test_the_folder_of_the_last_file_is_suggested_where_it_is_still_there(qtbot: QtBot, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "gone"):
        dialog = ReportDialog(LIGHT, folder=folder)
        qtbot.addWidget(dialog)
        assert dialog.suggested().parent.is_dir()
        assert (dialog.suggested().parent == folder) is folder.is_dir()


def test_it_says_when_the_list_is_built_again_too(qtbot: QtBot, made: DemoStore) -> None:
    plan = api.plan(find_store(home=made.home))
    for rebuild in (True, False):
        dialog = RepairDialog(dataclasses.replace(plan, rebuild_index=rebuild), LIGHT)
        qtbot.addWidget(dialog)
        said = " ".join(label.text() for label in dialog.findChildren(QLabel))
        assert ("session list" in said) is rebuild
        dialog.deleteLater()


def test_it_promises_no_way_back_where_only_the_list_is_built_again(qtbot: QtBot, made: DemoStore) -> None:
    store = find_store(home=made.home)
    (listed,) = api.plan(store).relisted
    dialog = ask(qtbot, api.plan(store, (listed,)))
    said = " ".join(label.text() for label in dialog.findChildren(QLabel))
    assert "Nothing is lost." in said and "comes back into the session list" in said
    assert "can be put back" not in said


@pytest.mark.parametrize("running", [True, False, None])
def test_it_says_before_the_repair_that_the_way_back_waits_for_the_webui(
    qtbot: QtBot, plan: api.Plan, running: bool | None
) -> None:
    dialog = ask(qtbot, dataclasses.replace(plan, webui=dataclasses.replace(plan.webui, running=running)))
    said = " ".join(label.text() for label in dialog.findChildren(QLabel))
    assert "can be put back" in said
    assert ("once Hermes WebUI is stopped" in said) is (running is True)


def test_no_sentence_of_it_is_cut_off(qtbot: QtBot) -> None:
    dialog = ReportDialog(LIGHT)
    qtbot.addWidget(dialog)
    with qtbot.waitExposed(dialog):
        dialog.show()
    labels = (dialog.heading, dialog.contents, dialog.privacy)
    for texts in (False, True):
        dialog.texts.setChecked(texts)
        dialog.resize(dialog.minimumWidth(), 1)
        qtbot.waitUntil(lambda: all(label.height() >= label.heightForWidth(label.width()) for label in labels))
