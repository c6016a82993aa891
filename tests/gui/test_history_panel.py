"""The history tells every repair as its record does, and asks for what a person wants done about it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.core.hermes.store import Store, find_store
from hermes_rescue.core.repair import vault
from hermes_rescue.core.repair.run_record import Run
from hermes_rescue.core.repair.vault import Vault
from hermes_rescue.gui.repairs.history_panel import HistoryPanel
from hermes_rescue.gui.repairs.undo_dialog import UndoDialog
from hermes_rescue.gui.widgets.theme import load
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtTest import QSignalSpy
from pytestqt.qtbot import QtBot

LIGHT = load("light")
EVIL = "<b>bold</b> <img src='x'>\x1b[31m\u202e & more"
EVIL_SHOWN = "<b>bold</b> <img src='x'>\\x1b[31m\\x202e & more"


@pytest.fixture
def store(demo: DemoStore) -> Store:
    return find_store(home=demo.home)


@pytest.fixture
def panel(qtbot: QtBot) -> HistoryPanel:
    panel = HistoryPanel(LIGHT)
    qtbot.addWidget(panel)
    panel.resize(640, 480)
    with qtbot.waitExposed(panel):
        panel.show()
    return panel


def runs_of(store: Store) -> tuple[Run, ...]:
    return Vault.of(store).list_runs()


def repaired(store: Store) -> str:
    done = api.apply(api.plan(store))
    assert done.run_id is not None
    return done.run_id


def lines(panel: HistoryPanel, below: QModelIndex | None = None) -> list[list[str]]:
    model, parent = panel.runs, below or QModelIndex()
    return [[model.index(row, k, parent).data() for k in range(3)] for row in range(model.rowCount(parent))]


def test_without_repairs_it_says_so(panel: HistoryPanel) -> None:
    assert panel.empty.isVisible()
    assert panel.empty.text() == "No repair was made yet."
    assert not panel.tree.isVisible()


def test_a_repair_is_listed_with_its_sessions(panel: HistoryPanel, store: Store) -> None:
    repaired(store)
    panel.set_runs(runs_of(store))
    [[when, what, status]] = lines(panel)
    assert when
    assert status == "Finished"
    [run] = runs_of(store)
    assert what.startswith(f"{run.count} sessions: ")
    below = lines(panel, panel.runs.index(0, 0))
    assert len(below) == run.count
    assert ["Billing migration, the long week", "0 → 102 messages", "Repaired"] in below


def test_it_counts_the_sessions_that_the_repair_counted(qtbot: QtBot, panel: HistoryPanel, store: Store) -> None:
    plan = api.plan(store)
    [listed] = plan.relisted
    run_id = api.apply(plan).run_id
    assert run_id is not None
    n = len(plan.sessions) + 1

    def shown() -> tuple[str, list[str]]:
        panel.set_runs(runs_of(store))
        return lines(panel)[0][1].partition(":")[0], lines(panel, panel.runs.index(0, 0))[-1]

    title = plan.titles[listed]
    assert shown() == (f"{n} sessions", [title, "was only missing from the session list", "Repaired"])
    panel.tree.setCurrentIndex(panel.runs.find(run_id, listed))
    assert [panel.undo.isEnabled(), panel.report.isEnabled(), panel.changes.isEnabled()] == [False] * 3
    dialog = UndoDialog(runs_of(store)[0], "", panel)
    qtbot.addWidget(dialog)
    assert dialog.text().startswith(f"Undo {n} sessions, ")
    undone = api.undo(store, run_id).undone
    assert len(undone) == n
    assert listed in undone
    assert shown() == (f"{n} sessions", [title, "was only missing from the session list", "Undone"])


def test_what_the_session_list_alone_lacked_is_put_back_with_the_whole_repair(
    qtbot: QtBot, panel: HistoryPanel, store: Store
) -> None:
    run_id = repaired(store)
    first, *others = runs_of(store)[0].session_ids
    api.undo(store, run_id, first)
    run = next(each for each in runs_of(store) if each.run_id == run_id)
    dialog = UndoDialog(run, "", panel)
    qtbot.addWidget(dialog)
    assert dialog.text().startswith(f"Undo {len(others)} sessions, ")
    assert set(api.undo(store, run_id).undone) == set(others)


def test_undo_of_one_session_says_what_becomes_of_it(
    qtbot: QtBot, panel: HistoryPanel, store: Store, demo: DemoStore
) -> None:
    """Also of one that only the session list lacked, and of one that had no file."""
    (listed,) = api.plan(store).relisted
    lost = next(each for each in demo.stories if each.name == "lost_rows_only")
    told = {}
    for session_id in (listed, lost.session_id):
        run_id = api.apply(api.plan(store, (session_id,))).run_id
        dialog = UndoDialog(next(each for each in runs_of(store) if each.run_id == run_id), "", panel)
        qtbot.addWidget(dialog)
        told[session_id] = dialog.text(), dialog.informativeText()
    asked, what = told[listed]
    assert asked.startswith("Undo The museum of words, ") and "in the session list no longer" in what
    asked, what = told[lost.session_id]
    assert asked.startswith(f"Undo {lost.title}, ") and what.endswith("now, then no file.")


def test_undo_is_asked_for_by_run_and_by_session(qtbot: QtBot, panel: HistoryPanel, store: Store) -> None:
    run_id = repaired(store)
    panel.set_runs(runs_of(store))
    asked = QSignalSpy(panel.undo_requested)
    qtbot.mouseClick(panel.buttons[panel.undo], Qt.MouseButton.LeftButton)
    session = panel.runs.index(2, 0, panel.runs.index(0, 0))
    panel.tree.setCurrentIndex(session)
    session_id = panel.runs.entry(session).session_id
    qtbot.mouseClick(panel.buttons[panel.undo], Qt.MouseButton.LeftButton)
    assert [asked.at(k) for k in range(asked.count())] == [[run_id, ""], [run_id, session_id]]
    assert panel.undo.text() == "Undo this session…"


def test_what_was_undone_is_said_and_not_offered_again(panel: HistoryPanel, store: Store) -> None:
    run_id = repaired(store)
    session_id = runs_of(store)[0].session_ids[0]
    api.undo(store, run_id, session_id)
    panel.set_runs(runs_of(store))
    run = panel.runs.find(run_id, "")
    assert run.siblingAtColumn(2).data() == "Partly undone"
    panel.tree.setCurrentIndex(panel.runs.find(run_id, session_id))
    assert panel.selected() is not None
    assert lines(panel, run)[0][2] == "Undone"
    assert not panel.undo.isEnabled()
    api.undo(store, run_id)
    panel.set_runs(runs_of(store))
    panel.tree.setCurrentIndex(panel.runs.find(run_id, ""))
    assert panel.tree.currentIndex().siblingAtColumn(2).data() == "Undone"
    assert not panel.undo.isEnabled()
    assert panel.report.isEnabled()


def test_what_is_open_and_selected_stays_so(panel: HistoryPanel, store: Store) -> None:
    run_id = repaired(store)
    panel.set_runs(runs_of(store))
    panel.tree.expand(panel.runs.index(0, 0))
    session = panel.runs.index(1, 0, panel.runs.index(0, 0))
    panel.tree.setCurrentIndex(session)
    before = panel.selected()
    assert before is not None
    api.undo(store, run_id, before.session_id)
    repaired(store)  # which stands above it
    panel.set_runs(runs_of(store))
    after = panel.selected()
    assert after is not None
    assert (after.run_id, after.session_id) == (run_id, before.session_id)
    panel.tree.setCurrentIndex(panel.runs.index(0, 0))
    panel.set_runs(runs_of(store))
    assert panel.tree.isExpanded(panel.runs.find(run_id, ""))
    assert not panel.tree.isExpanded(panel.runs.index(0, 0))


def test_a_repair_that_died_can_be_finished_or_rolled_back(qtbot: QtBot, panel: HistoryPanel, store: Store) -> None:
    class PowerCut(Exception):
        pass

    with (
        pytest.raises(PowerCut),
        Vault.of(store).begin_run((store.sessions_dir,), 0) as run,
    ):
        run.create("0123456789ab", "0123456789ab.json", b"{}", info={"title": EVIL, "messages_after": "many"})
        raise PowerCut
    panel.set_runs(runs_of(store))
    [[_, what, status]] = lines(panel)
    assert (what, status) == (f"1 session: {EVIL_SHOWN}", "Interrupted")
    assert "<img" not in panel.runs.index(0, 1).data(Qt.ItemDataRole.ToolTipRole)
    [run_id] = [each.run_id for each in runs_of(store)]
    finish, undo = QSignalSpy(panel.finish_requested), QSignalSpy(panel.undo_requested)
    assert panel.undo.text() == "Roll back…"
    qtbot.mouseClick(panel.buttons[panel.finish], Qt.MouseButton.LeftButton)
    qtbot.mouseClick(panel.buttons[panel.undo], Qt.MouseButton.LeftButton)
    assert (finish.at(0), undo.at(0)) == ([run_id], [run_id, ""])


def test_a_run_that_cannot_be_read_is_listed_with_its_problem(panel: HistoryPanel, store: Store) -> None:
    run_id = repaired(store)
    (store.vault_root / "runs" / run_id / "manifest.json").write_text("{")
    panel.set_runs(runs_of(store))
    [[name, what, status]] = lines(panel)
    assert (name, status) == (run_id, "Unreadable")
    assert "cannot be read" in what
    assert panel.problem.isVisible()
    assert not any(panel.buttons[action].isEnabled() for action in (panel.undo, panel.report))


def test_what_was_in_the_way_of_a_session_is_told(panel: HistoryPanel, store: Store) -> None:
    planned = api.plan(store)
    created = next(session for session in planned.sessions if session.before is None)
    with Vault.of(store).begin_run((store.sessions_dir,), 0) as run:
        (store.sessions_dir / f"{created.session_id}.json").write_bytes(b"{}")
        run.create(created.session_id, f"{created.session_id}.json", b"[]", info={"title": created.title})
    panel.set_runs(runs_of(store))
    panel.tree.setCurrentIndex(panel.runs.index(0, 0, panel.runs.index(0, 0)))
    assert lines(panel, panel.runs.index(0, 0))[0][2] == "Skipped"
    assert panel.problem.text().replace("\u200b", "") == vault.APPEARED


def test_sessions_and_reports_are_reached_by_the_keys(qtbot: QtBot, panel: HistoryPanel, store: Store) -> None:
    run_id = repaired(store)
    panel.set_runs(runs_of(store))
    show, report = QSignalSpy(panel.show_requested), QSignalSpy(panel.report_requested)
    panel.tree.setFocus()
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Down, Qt.Key.Key_Return):
        qtbot.keyClick(panel.tree, key)
    session_id = runs_of(store)[0].session_ids[0]
    assert [show.at(k) for k in range(show.count())] == [[session_id]]
    panel.buttons[panel.report].setFocus()
    qtbot.keyClick(panel.buttons[panel.report], Qt.Key.Key_Space)
    assert [report.at(k) for k in range(report.count())] == [[run_id, session_id]]


def test_the_menu_offers_the_same(qtbot: QtBot, panel: HistoryPanel, store: Store) -> None:
    repaired(store)
    panel.set_runs(runs_of(store))
    menu = panel.menu()
    qtbot.addWidget(menu)
    assert [action.text() for action in menu.actions() if action.isVisible()] == ["Undo this repair…", "Report…"]
    asked = QSignalSpy(panel.report_requested)
    next(action for action in menu.actions() if action.text() == "Report…").trigger()
    assert asked.count() == 1


def test_what_cannot_be_undone_is_said_before_anybody_tries(panel: HistoryPanel, store: Store) -> None:
    run_id = repaired(store)
    looked_at = QSignalSpy(panel.check_requested)
    [run] = runs_of(store)
    panel.set_runs([run])
    assert looked_at.at(0) == [run_id]
    panel.tree.setCurrentIndex(panel.runs.index(0, 0, panel.runs.index(0, 0)))
    assert looked_at.count() == 1
    first, second = run.session_ids[:2]
    panel.set_refusals(run_id, {second: "It has changed since."})
    panel.select(run_id, second)
    assert lines(panel, panel.runs.index(0, 0))[1][2] == "Cannot be undone"
    assert panel.problem.text() == "It has changed since."
    assert not panel.undo.isEnabled()
    assert panel.changes.isEnabled()
    panel.select(run_id, first)
    assert panel.undo.isEnabled()
    panel.select(run_id, "")
    assert panel.undo.isEnabled()
    assert f"1 of {run.count} sessions" in panel.problem.text()
    assert not panel.buttons[panel.changes].isVisible()
    panel.set_refusals(run_id, dict.fromkeys(run.session_ids, "It has changed since."))
    assert not panel.undo.isEnabled()


def test_what_changed_since_is_asked_for_with_the_reason(qtbot: QtBot, panel: HistoryPanel, store: Store) -> None:
    run_id = repaired(store)
    [run] = runs_of(store)
    panel.set_runs([run])
    panel.set_refusals(run_id, {run.session_ids[0]: "It has changed since."})
    panel.select(run_id, run.session_ids[0])
    asked = QSignalSpy(panel.changes_requested)
    qtbot.mouseClick(panel.buttons[panel.changes], Qt.MouseButton.LeftButton)
    assert [asked.at(k) for k in range(asked.count())] == [[run_id, run.session_ids[0], "It has changed since."]]


def test_its_buttons_do_not_touch_each_other(store: Store, panel: HistoryPanel) -> None:
    repaired(store)
    panel.set_runs(runs_of(store))
    shown = sorted((b.geometry() for b in panel.buttons.values() if b.isVisible()), key=lambda place: place.left())
    assert len(shown) > 1
    assert all(right.left() - left.right() > 4 for left, right in pairwise(shown))
