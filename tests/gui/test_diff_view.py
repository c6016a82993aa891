"""The comparison: every row can be reached and is told in words, boxes become choices, nothing is laid out unseen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
from hermes_rescue.core.audit.session import examine
from hermes_rescue.core.demo.demo_store import make_demo_store
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.message import Message, message
from hermes_rescue.core.hermes.sidecar import message_piece
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.hermes.webui_status import webui_status
from hermes_rescue.core.merge.choices import Choices
from hermes_rescue.core.merge.proposal import Proposal, propose
from hermes_rescue.core.report.diff import (
    Change,
    Difference,
    FieldRow,
    MessageRow,
    Version,
    compare,
    review,
    text_of,
    versions,
)
from hermes_rescue.gui.review import diff_blocks
from hermes_rescue.gui.review.diff_fields import FieldsTable
from hermes_rescue.gui.review.diff_view import FIELDS, MESSAGES, NOTHING, RAW, DiffView
from hermes_rescue.gui.view_model import diff_text
from hermes_rescue.gui.view_model.diff_outline import FOLD, outlined
from hermes_rescue.gui.view_model.diff_rows import CHECK, PART, RUN, TEXT, Side
from hermes_rescue.gui.view_model.formatting import moment
from hermes_rescue.gui.widgets.theme import load
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QAccessible, QGuiApplication
from PySide6.QtWidgets import QApplication, QMenu, QWidget
from pytestqt.qtbot import QtBot


@dataclass(frozen=True)
class Case:
    """A session of the demo store."""

    versions: dict[str, Version]
    proposal: Proposal
    again: Callable[[Choices], Proposal]

    def review(self, choices: Choices | None = None) -> tuple[MessageRow, ...]:
        made = replace(choices, made_on=self.proposal.fingerprint) if choices else None
        return review(self.versions.get("live"), self.again(made) if made else self.proposal)

    def compare(self, left: str, right: str) -> Difference:
        return compare(self.versions[left], self.versions[right], self.proposal)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    store = find_store(home=make_demo_store(tmp_path_factory.mktemp("demo") / "home").home)
    found: dict[str, Case] = {}
    with Inventory(store) as inventory:
        for session_id in inventory.session_ids():
            each = examine(inventory, webui_status(store), session_id)
            if each.audited is not None:
                again = partial(propose, each.copies)
                found[each.audited.title] = Case(versions(each.copies, each.proposal), each.proposal, again)
    return found


@pytest.fixture
def view(qtbot: QtBot) -> Iterator[DiffView]:
    view = DiffView(load("light"))
    qtbot.addWidget(view)
    view.resize(660, 600)
    with qtbot.waitExposed(view):
        view.show()
    yield view


def said(role: str, text: Any, time: float = 1_777_809_742.0, **more: Any) -> Message:
    return message(message_piece({"role": role, "content": text, "timestamp": time, **more}))


def same(k: int, words: int = 3) -> MessageRow:
    m = said("user" if k % 2 else "assistant", f"{k} " + "word " * words, 1_777_809_742.0 + 60 * k)
    return MessageRow(Change.SAME, m, m, k, k)


def added(k: int, words: int = 3) -> MessageRow:
    return MessageRow(Change.ADDED, right=same(k, words).right, right_at=k)


def changed(left: Any, right: Any, role: str = "assistant") -> MessageRow:
    return MessageRow(Change.CHANGED, said(role, left), said(role, right), 0, 0, ("content",))


def show(view: DiffView, rows: Any, *, choosing: bool = False) -> None:
    view.show_rows(outlined(tuple(rows)), (), ("", ""), choosing=choosing)


def lines(view: DiffView) -> list[str]:
    return [view.rows.index(at).data(Qt.ItemDataRole.AccessibleTextRole) for at in range(view.rows.rowCount())]


def shown_rows(view: DiffView) -> list[int]:
    return [row for row, part in view.rows.entries if part == 0]


def current_row(view: DiffView) -> int:
    return view.rows.entries[view.list.current()].row


def place_of(view: DiffView, at: int, what: str) -> QPoint:
    """Where a click on an entry does something."""
    rect = view.list.visualRect(view.rows.index(at)).intersected(view.list.viewport().rect())
    points = (
        QPoint(x, y) for y in range(rect.top(), rect.bottom(), 3) for x in range(rect.left() + 1, rect.right(), 3)
    )
    return next(point for point in points if view.list.target_at(QPointF(point)) == what)


def click(qtbot: QtBot, view: DiffView, at: int, what: str) -> None:
    qtbot.mouseClick(view.list.viewport(), Qt.MouseButton.LeftButton, pos=place_of(view, at, what))


def press(qtbot: QtBot, view: DiffView, *keys: Qt.Key) -> None:
    for key in keys:
        qtbot.keyClick(view.list, key)


LONG_WEEK = "Billing migration, the long week"
LOSSY = "Line numbers in error messages"
UNDONE = "Soup, second attempt"
ASKED = "Heredoc edge cases"


# What is shown


def test_what_comes_back_is_never_folded(view: DiffView, cases: dict[str, Case]) -> None:
    rows = cases[LONG_WEEK].review()
    assert {row.change for row in rows} == {Change.ADDED}
    show(view, rows, choosing=True)
    assert [entry.row for entry in view.rows.entries] == shown_rows(view) == list(range(102))


def test_what_stays_out_is_folded_and_every_message_of_it_can_be_seen(
    qtbot: QtBot, view: DiffView, cases: dict[str, Case]
) -> None:
    show(view, cases["Daily word"].review(), choosing=True)
    run = view.rows.run_at(0)
    assert run is not None
    assert {view.rows.rows[row].change for row in run} == {Change.LEFT_OUT}
    assert not set(run) & set(shown_rows(view))
    click(qtbot, view, 0, RUN)
    assert set(run) <= set(shown_rows(view))
    click(qtbot, view, 0, RUN)
    assert not set(run) & set(shown_rows(view))


def test_unchanged_messages_are_folded_but_for_those_beside_a_change(view: DiffView) -> None:
    show(view, [*map(same, range(10)), added(10), *map(same, range(11, 30))])
    assert [line for line in lines(view) if "unchanged messages" in line] == [
        "9 unchanged messages, folded",
        "18 unchanged messages, folded",
    ]
    assert shown_rows(view) == [9, 10, 11]


def test_a_session_without_differences_is_shown_in_full(view: DiffView) -> None:
    show(view, map(same, range(30)))
    assert shown_rows(view) == list(range(30))
    assert view.position == (0, 0)


def test_a_row_is_told_in_one_sentence(view: DiffView, cases: dict[str, Case]) -> None:
    show(view, cases[LOSSY].review(), choosing=True)
    told = next(line for line in lines(view) if line.startswith("changed, Hermes"))
    assert "call and reasoning from database" in told
    assert "calls terminal" in told
    show(view, cases[UNDONE].review(), choosing=True)
    told = next(line for line in lines(view) if line.startswith("left out, You"))
    assert "in backup and database" in told
    assert "You took this message back" in told
    assert told.endswith(": continue")


def test_a_screen_reader_finds_the_list_and_its_rows(view: DiffView, cases: dict[str, Case]) -> None:
    show(view, cases[UNDONE].review(), choosing=True)
    found = QAccessible.queryAccessibleInterface(view.list)
    assert found.role() == QAccessible.Role.List
    names = [found.child(k).text(QAccessible.Text.Name) for k in range(found.childCount())]
    assert names == lines(view)
    checkable = [found.child(k).state().checkable for k in range(found.childCount())]
    assert checkable == [view.rows.has_box(at) for at in range(len(names))]


def test_everything_that_takes_the_focus_has_a_name(view: DiffView) -> None:
    nameless = [
        w
        for w in view.findChildren(QWidget)
        if w.focusPolicy() & Qt.FocusPolicy.TabFocus and w.focusProxy() is None
        if not QAccessible.queryAccessibleInterface(w).text(QAccessible.Text.Name)
        if w.window() is view and "Header" not in type(w).__name__ and not w.objectName().startswith("qt_")
    ]
    assert nameless == []


def test_texts_of_a_session_are_never_markup_and_never_steer(view: DiffView) -> None:
    show(view, [changed("a", "a"), MessageRow(Change.ADDED, right=said("us\x1ber", "e\x07nd\u202e <b>x</b>\r\nok"))])
    told = lines(view)[-1]
    assert "us\\x1ber" in told
    assert told.endswith("e\\x07nd\\x202e <b>x</b> ok")
    assert diff_text.plain("\ud83d\ttab\nline") == "\\xd83d    tab\nline"


@pytest.mark.parametrize(
    "value",
    [
        {"role": "assistant", "tool_calls": [None, 7, {"function": None}, {"function": {"name": 1, "arguments": 2}}]},
        {"role": "assistant", "tool_calls": {"a": 1}, "reasoning_details": [{"text": "thought"}, "more", None, {}]},
        {"role": ["x"], "content": {"a": 1}, "timestamp": 1e300, "attachments": [None, {}, 3, {"name": "a.png"}]},
        {"role": "tool", "content": None, "name": {"a": 1}, "timestamp": float("nan"), "reasoning": 12},
        {},
    ],
)
def test_a_message_of_an_odd_shape_is_shown_all_the_same(view: DiffView, value: dict[str, Any]) -> None:
    show(view, [MessageRow(Change.ADDED, right=message(message_piece(value)))])
    view.rows.expand(0, True)
    assert not view.grab().isNull()
    assert lines(view)[0].startswith("added, ")


# Choosing


def test_boxes_become_choices(qtbot: QtBot, view: DiffView, cases: dict[str, Case]) -> None:
    case = cases[ASKED]
    show(view, case.review(), choosing=True)
    assert view.rows.choices() == Choices()
    left_out = next(k for k, row in enumerate(case.review()) if row.change is Change.LEFT_OUT)
    with qtbot.waitSignal(view.choice_changed) as told:
        click(qtbot, view, view.rows.entry_of(left_out), CHECK)
    assert told.args == [Choices(include=frozenset({left_out}))]
    assert lines(view)[view.rows.entry_of(left_out)].startswith("added, ")
    with qtbot.waitSignal(view.choice_changed) as told:
        click(qtbot, view, view.rows.entry_of(left_out - 1), CHECK)
    assert told.args == [Choices(include=frozenset({left_out}), exclude=frozenset({left_out - 1}))]
    assert lines(view)[view.rows.entry_of(left_out - 1)].startswith("removed, ")


def test_rows_that_follow_a_choice_leave_the_choice_and_the_place_as_they_are(
    qtbot: QtBot, view: DiffView, cases: dict[str, Case]
) -> None:
    case = cases[LONG_WEEK]
    show(view, case.review(), choosing=True)
    view.go_to_position(50)
    y = view.list.visualRect(view.list.currentIndex()).top()
    press(qtbot, view, Qt.Key.Key_Space)
    choices = view.rows.choices()
    assert choices == Choices(exclude=frozenset({50}))
    show(view, case.review(choices), choosing=True)
    assert view.rows.choices() == choices
    assert current_row(view) == 50
    assert shown_rows(view) == list(range(102))
    assert (
        abs(view.list.visualRect(view.list.currentIndex()).top() - y)
        <= 2 * view.list.visualRect(view.rows.index(0)).height()
    )
    press(qtbot, view, Qt.Key.Key_Space)
    assert view.rows.choices() == Choices()


def test_the_box_of_a_run_stands_for_all_its_messages(qtbot: QtBot, view: DiffView, cases: dict[str, Case]) -> None:
    show(view, cases["Daily word"].review(), choosing=True)
    assert lines(view)[0] == "19 messages are left out, folded"
    assert view.rows.check_state(0) is Qt.CheckState.Unchecked
    click(qtbot, view, 0, CHECK)
    assert view.rows.choices() == Choices(include=frozenset(range(19)))
    view.rows.act(0, RUN)
    click(qtbot, view, 1, CHECK)
    assert view.rows.check_state(0) is Qt.CheckState.PartiallyChecked
    click(qtbot, view, 0, CHECK)
    assert view.rows.check_state(0) is Qt.CheckState.Checked
    click(qtbot, view, 0, CHECK)
    assert view.rows.choices() == Choices()


def test_where_nothing_is_to_be_chosen_there_are_no_boxes(qtbot: QtBot, view: DiffView, cases: dict[str, Case]) -> None:
    show(view, cases[LOSSY].compare("live", "database").messages)
    assert not any(view.rows.has_box(at) for at in range(view.rows.rowCount()))
    with qtbot.assertNotEmitted(view.choice_changed):
        press(qtbot, view, Qt.Key.Key_Space)


# The way through


def test_next_and_previous_visit_each_change_once_and_go_on_at_the_ends(
    qtbot: QtBot, view: DiffView, cases: dict[str, Case]
) -> None:
    rows = cases[LOSSY].review()
    starts = [k for k, row in enumerate(rows) if row.change is Change.CHANGED and rows[k - 1].change is Change.SAME]
    show(view, rows, choosing=True)
    visited = [current_row(view)]
    for _ in starts[1:]:
        view.next_change()
        visited.append(current_row(view))
        assert view.list.viewport().rect().contains(view.list.visualRect(view.list.currentIndex()).topLeft())
    assert visited == starts
    assert view.position == (len(starts), len(starts))
    with qtbot.waitSignal(view.end_reached) as told:
        view.next_change()
    assert told.args == [1]
    back = [current_row(view)]
    for _ in starts[1:]:
        view.previous_change()
        back.append(current_row(view))
    assert back == starts[::-1]
    with qtbot.waitSignal(view.end_reached) as told:
        view.previous_change()
    assert told.args == [-1]
    view.last_change()
    assert current_row(view) == starts[-1]


def test_the_position_is_told(qtbot: QtBot, view: DiffView) -> None:
    told: list[tuple[int, int]] = []
    view.position_changed.connect(lambda current, total: told.append((current, total)))
    show(view, [same(0), added(1), same(2), changed("x y", "x z"), same(4)])
    view.next_change()
    press(qtbot, view, Qt.Key.Key_Home)
    assert [position for position in told if position[1]] == [(1, 2), (2, 2), (0, 2)]


def test_a_position_of_the_proposal_is_unfolded_and_shown(view: DiffView, cases: dict[str, Case]) -> None:
    show(view, cases["Daily word"].review(), choosing=True)
    assert 7 not in shown_rows(view)
    view.go_to_position(7)
    assert 7 in shown_rows(view)
    assert current_row(view) == 7
    assert view.list.viewport().rect().contains(view.list.visualRect(view.list.currentIndex()))


def test_a_click_on_the_overview_goes_there(qtbot: QtBot, view: DiffView) -> None:
    show(view, [same(k) if k % 100 else added(k) for k in range(1000)])
    middle = QPoint(view.strip.width() // 2, view.strip.height() // 2)
    qtbot.mouseClick(view.strip, Qt.MouseButton.LeftButton, pos=middle)
    assert abs(current_row(view) - 500) <= 2


def test_the_keyboard_is_enough(qtbot: QtBot, view: DiffView, cases: dict[str, Case]) -> None:
    rows = cases[UNDONE].review()
    show(view, rows, choosing=True)
    view.list.setFocus()
    press(qtbot, view, Qt.Key.Key_Home)
    assert view.rows.entries[view.list.current()].part == FOLD
    press(qtbot, view, Qt.Key.Key_Right)
    assert view.rows.is_expanded(0)
    press(qtbot, view, Qt.Key.Key_Down, Qt.Key.Key_Down)
    assert current_row(view) == 1
    press(qtbot, view, Qt.Key.Key_Left, Qt.Key.Key_Left)
    assert view.list.current() == 0
    assert not view.rows.is_expanded(0)
    view.next_change()
    press(qtbot, view, Qt.Key.Key_Down)
    at = view.list.current()
    closed = view.list.visualRect(view.rows.index(at)).height()
    press(qtbot, view, Qt.Key.Key_Return)
    assert view.list.visualRect(view.rows.index(at)).height() > closed
    press(qtbot, view, Qt.Key.Key_Return)
    assert view.list.visualRect(view.rows.index(at)).height() == closed
    press(qtbot, view, Qt.Key.Key_End)
    assert view.list.current() == view.rows.rowCount() - 1
    qtbot.keyClick(view.list, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    last = rows[current_row(view)].right
    assert last is not None
    assert QGuiApplication.clipboard().text() == text_of(last)


def test_a_message_that_is_higher_than_the_view_can_be_read_with_the_keys(qtbot: QtBot, view: DiffView) -> None:
    show(view, [added(0), MessageRow(Change.ADDED, right=said("user", "line\n" * 100)), added(2)])
    view.list.jump_to(1)
    press(qtbot, view, Qt.Key.Key_Right)
    offset = view.list.verticalOffset()
    press(qtbot, view, Qt.Key.Key_Down)
    assert current_row(view) == 1
    assert view.list.verticalOffset() > offset
    for _ in range(100):
        press(qtbot, view, Qt.Key.Key_Down)
    assert current_row(view) == 2


# Two views of one model


def test_split_and_unified_show_the_same_rows_and_the_same_place(
    qtbot: QtBot, view: DiffView, cases: dict[str, Case]
) -> None:
    show(view, cases[LOSSY].review(), choosing=True)
    view.last_change()
    unified, row = lines(view), current_row(view)
    qtbot.mouseClick(view._modes[diff_blocks.Mode.SPLIT], Qt.MouseButton.LeftButton)
    assert view.mode == "split"
    assert lines(view) == unified
    assert current_row(view) == row
    assert view.list.visualRect(view.list.currentIndex()).intersects(view.list.viewport().rect())
    view.set_mode("unified")
    assert lines(view) == unified


def test_each_half_has_its_own_version_and_the_empty_one_is_shaded(view: DiffView) -> None:
    theme = load("light")
    show(view, [MessageRow(Change.REMOVED, left=said("user", "gone")), added(1)])
    view.set_mode("split")
    image = view.list.viewport().grab().toImage()
    ratio = image.devicePixelRatio()
    at = [view.list.visualRect(view.rows.index(k)) for k in (0, 1)]

    def ground(rect: Any, share: float) -> str:
        return image.pixelColor(int(rect.width() * share * ratio), int((rect.top() + 3) * ratio)).name()

    colors = {name: theme.color(name).name() for name in ("del-bg", "add-bg", "bg")}
    assert [ground(at[0], 0.4), ground(at[0], 0.9)] == [colors["del-bg"], colors["bg"]]
    assert [ground(at[1], 0.4), ground(at[1], 0.9)] == [colors["bg"], colors["add-bg"]]


def test_split_tells_what_happened_in_words_too(view: DiffView) -> None:
    show(view, [MessageRow(Change.REMOVED, left=said("user", "gone")), added(1)])
    view.set_mode("split")
    maker = diff_blocks.BlockMaker(view.rows, load("light"), view.font())
    maker.mode = diff_blocks.Mode.SPLIT
    words = [[label.text for label in maker.block(at, 660).labels] for at in (0, 1)]
    assert {"−", "removed"} <= set(words[0])
    assert {"+", "added"} <= set(words[1])


def test_another_theme_paints_in_its_colours(view: DiffView) -> None:
    show(view, [added(0), added(1)])
    view.list.jump_to(1)
    for name in ("dark", "contrast", "light"):
        view.set_theme(load(name))
        image = view.list.viewport().grab().toImage()
        assert image.pixelColor(2, 2).name() == load(name).color("add-bg").name()


def test_changed_words_are_marked_and_each_side_keeps_its_text(view: DiffView) -> None:
    left, right = "roll back the tables 🎂", "roll back all tables 🎂"
    show(view, [changed(left, right)])
    both = view.rows.spans(0, Side.BOTH)
    assert [span for span in both if span[0] is not Change.SAME] == [(Change.REMOVED, "the"), (Change.ADDED, "all")]
    assert "".join(text for _, text in view.rows.spans(0, Side.LEFT)) == left
    assert "".join(text for _, text in view.rows.spans(0, Side.RIGHT)) == right
    image = view.list.viewport().grab().toImage()
    seen = {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height() // 6)}
    assert {load("light").color(token).name() for token in ("add-word", "del-word", "chg-bg")} <= seen


def test_a_clipped_text_shows_its_first_changed_word(view: DiffView) -> None:
    text = "\n".join(f"line {k}" for k in range(1000))
    show(view, [changed(text, text.replace("line 500\n", "row 500\n"))])
    beginning, is_whole = diff_blocks._beginning(view.rows.spans(0, Side.BOTH))
    assert not is_whole
    assert (Change.ADDED, "row") in beginning


def test_a_changed_text_that_is_too_long_for_words_says_so(view: DiffView) -> None:
    show(view, [changed("word " * 5_000, "word " * 5_001)])
    assert lines(view)[0].startswith("changed, Hermes, 3 May 2026")
    assert "text, too long to mark its words" in lines(view)[0]
    assert view.rows.spans(0, Side.BOTH) == ((Change.SAME, "word " * 5_001),)


# Size


@pytest.fixture
def laid_out(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The entries that were laid out, and how long the texts were."""
    seen: list[int] = []
    block = diff_blocks.BlockMaker.block

    def counted(self: diff_blocks.BlockMaker, at: int, width: float) -> diff_blocks.Block:
        made = block(self, at, width)
        assert all(len(layout.text()) <= PART + 100 for layout, _, _ in made.texts)
        seen.append(at)
        return made

    monkeypatch.setattr(diff_blocks.BlockMaker, "block", counted)
    return seen


@pytest.mark.parametrize("count", [10_000, 100_000])
def test_of_many_rows_only_those_in_view_are_laid_out(
    qtbot: QtBot, view: DiffView, laid_out: list[int], count: int
) -> None:
    rows = [added(k, words=k % 60) for k in range(1_000)]
    show(view, rows * (count // 1_000))
    assert view.pages.currentIndex() == MESSAGES
    for act in (
        lambda: view.list.jump_to(5_000),
        lambda: view.resize(900, 600),
        lambda: view.set_mode("split"),
        lambda: press(qtbot, view, Qt.Key.Key_End),
        lambda: view.list.verticalScrollBar().setValue(view.list.verticalScrollBar().maximum() // 3),
    ):
        laid_out.clear()
        act()
        assert 0 < len(laid_out) < 100
        view.grab()
    assert view.rows.entry_of(count - 1) == count - 1


def test_what_is_in_view_stays_in_its_place_while_rows_above_become_known(view: DiffView) -> None:
    show(view, [added(k, words=k % 60) for k in range(2_000)])
    view.list.jump_to(1_000)
    bar = view.list.verticalScrollBar()
    for _ in range(200):
        first, last = view.list.entries_in_view()
        middle = view.rows.index((first + last) // 2)
        y = view.list.visualRect(middle).top()
        bar.setValue(bar.value() - 20)
        assert view.list.visualRect(middle).top() == y + 20


def test_the_last_row_ends_where_the_scroll_bar_ends(view: DiffView) -> None:
    show(view, [added(k, words=k % 60) for k in range(500)])
    view.rows.act(0, RUN)
    bar = view.list.verticalScrollBar()
    bar.setValue(bar.maximum())
    last = view.list.visualRect(view.rows.index(view.rows.rowCount() - 1))
    assert last.bottom() + 1 == view.list.viewport().height()


@pytest.mark.parametrize("text", ["word and another\n" * 120_000, "x" * 2_000_000], ids=["lines", "one line"])
def test_a_message_of_two_megabytes_is_clipped_and_can_be_shown_in_full(
    qtbot: QtBot, view: DiffView, laid_out: list[int], text: str
) -> None:
    show(view, [added(0), MessageRow(Change.ADDED, right=said("user", text)), added(2)])
    assert view.list.visualRect(view.rows.index(1)).height() < view.height()
    click(qtbot, view, 1, TEXT)
    parts = [entry for entry in view.rows.entries if entry.row == 1]
    pieces = ["".join(piece for _, piece in view.rows.part_of(entry, Side.BOTH)) for entry in parts]
    assert "".join(pieces) == text
    assert max(map(len, pieces)) <= PART
    laid_out.clear()
    press(qtbot, view, Qt.Key.Key_End)
    view.grab()
    assert len(laid_out) < 20
    view.list.jump_to(1)
    press(qtbot, view, Qt.Key.Key_Left)
    assert shown_rows(view) == [0, 1, 2]
    assert view.rows.rowCount() == 3


def test_folding_takes_the_current_row_along(view: DiffView) -> None:
    show(view, [*map(same, range(50)), added(50)])
    view.rows.act(0, RUN)
    view.list.jump_to(20)
    view.rows.act(0, RUN)
    assert view.list.current() == 0
    assert view.rows.rowCount() == 3


# Fields, raw, pickers, nothing


def test_fields_tell_both_values_and_where_they_are_from(view: DiffView) -> None:
    view.set_versions(["live", "recovered"], "live", "recovered")
    fields = [
        FieldRow("worktree_path", Change.ADDED, None, "/w/<b>tree</b>", "index"),
        FieldRow("title", Change.CHANGED, "Old\x1b", "N" * 500, None),
    ]
    view.show_rows(outlined((added(0),)), fields, ("", ""), choosing=False)
    model = view.fields.fields
    assert [model.headerData(k, Qt.Orientation.Horizontal) for k in range(4)] == [
        "Field",
        "Live file",
        "Recovered",
        "From",
    ]
    table = [[model.index(row, column).data() for column in range(4)] for row in range(2)]
    assert table[0] == ["worktree path", "–", "/w/<b>tree</b>", "session list"]
    assert table[1][1] == "Old\\x1b"
    assert len(table[1][2]) < 300
    tip = Qt.ItemDataRole.ToolTipRole
    assert "N" * 500 in model.index(1, 2).data(tip)
    assert "&lt;b&gt;" in model.index(0, 2).data(tip)
    assert model.index(0, 0).data(Qt.ItemDataRole.AccessibleTextRole).startswith("added, worktree path")
    assert view.counts[1] == 2


def test_fields_are_read_as_words_and_dates_and_two_values_never_as_the_same(view: DiffView) -> None:
    seconds = 1777793820.25
    view.set_versions(["live", "recovered"], "live", "recovered")
    fields = [
        FieldRow("updated_at", Change.CHANGED, seconds, seconds + 86_400, None),
        FieldRow("created_at", Change.CHANGED, seconds, seconds + 0.5, None),
        FieldRow("pinned", Change.CHANGED, False, True, None),
        FieldRow("input_tokens", Change.CHANGED, 7, 1.5, None),
    ]
    view.show_rows(outlined((added(0),)), fields, ("", ""), choosing=False)
    model = view.fields.fields
    table = [[model.index(row, column).data() for column in range(3)] for row in range(4)]
    assert table[0] == ["updated at", moment(seconds), moment(seconds + 86_400)]
    assert table[1] == ["created at", str(seconds), str(seconds + 0.5)]
    assert table[2] == ["pinned", "no", "yes"]
    assert table[3] == ["input tokens", "7", "1.5"]
    assert "updated_at" in model.index(0, 0).data(Qt.ItemDataRole.ToolTipRole)
    assert str(seconds) in model.index(0, 1).data(Qt.ItemDataRole.ToolTipRole)


OFFERS = {"live": "Now", "backup": "Was & <b>is</b>\x1b", "database": None}


def fields_page(qtbot: QtBot, view: DiffView, *rows: FieldRow, choosing: bool = True) -> FieldsTable:
    view.set_versions(["live", "recovered"], "live", "recovered")
    view.show_rows(outlined(()), rows, ("", ""), choosing=choosing)
    view.show_page(FIELDS)
    view.fields.selectRow(len(rows) - 1)
    return view.fields


def opened_menu(qtbot: QtBot) -> QMenu:
    qtbot.waitUntil(lambda: isinstance(QApplication.activePopupWidget(), QMenu))
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    return menu


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Space, Qt.Key.Key_F4])
def test_a_field_is_taken_from_another_copy_with_the_keyboard(qtbot: QtBot, view: DiffView, key: Qt.Key) -> None:
    other = FieldRow("model", Change.CHANGED, "a", "b", "backup")
    table = fields_page(qtbot, view, other, FieldRow("title", Change.SAME, "Now", "Now", "live", OFFERS))
    assert view.counts[1] == 1
    told = table.fields.index(1, 0).data(Qt.ItemDataRole.AccessibleTextRole)
    assert told == "title, left: Now, right: Now, from live file, can be taken from live file, backup and database"
    qtbot.keyClick(table, key)
    menu = opened_menu(qtbot)
    assert menu.accessibleName() == "Where title is taken from"
    assert [action.text() for action in menu.actions()] == [
        "Live file: Now",
        "Backup: Was && <b>is</b>\\x1b",
        "Database: –",
        "",
        "As proposed",
    ]
    assert [action.isChecked() for action in menu.actions()[:3]] == [True, False, False]
    assert not menu.actions()[-1].isEnabled()
    qtbot.keyClick(menu, Qt.Key.Key_Down)
    with qtbot.waitSignal(view.choice_changed) as chosen:
        qtbot.keyClick(menu, Qt.Key.Key_Return)
    assert chosen.args == [Choices(fields={"title": "backup"})]

    taken = FieldRow("title", Change.CHANGED, "Now", OFFERS["backup"], "backup", OFFERS, chosen=True)
    view.show_fields((other, taken), ("", ""), choosing=True)
    assert table.currentIndex().row() == 1
    assert table.fields.index(1, 3).data() == "backup, chosen"
    assert view.counts[1] == 2
    qtbot.keyClick(table, key)
    menu = opened_menu(qtbot)
    assert [action.isChecked() for action in menu.actions()[:3]] == [False, True, False]
    with qtbot.waitSignal(view.choice_changed) as chosen:
        menu.actions()[-1].trigger()
    assert chosen.args == [Choices()]
    menu.close()


def test_a_click_on_where_a_field_is_from_opens_the_copies(qtbot: QtBot, view: DiffView) -> None:
    table = fields_page(qtbot, view, FieldRow("title", Change.CHANGED, "Now", "Was", "backup", OFFERS))
    for column, opens in ((1, False), (3, True)):
        place = table.visualRect(table.fields.index(0, column)).center()
        qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
        assert (QApplication.activePopupWidget() is not None) == opens
    opened_menu(qtbot).close()


def test_boxes_and_fields_are_chosen_together(qtbot: QtBot, view: DiffView, cases: dict[str, Case]) -> None:
    case = next(c for c in cases.values() if any(item.included for item in c.proposal.items))
    taken = FieldRow("title", Change.CHANGED, "Now", "Was", "backup", OFFERS, chosen=True)
    view.show_rows(outlined(case.review()), (taken,), ("", ""), choosing=True)
    box = next(at for at in range(view.rows.rowCount()) if view.rows.has_box(at))
    with qtbot.waitSignal(view.choice_changed) as chosen:
        view.rows.act(box, CHECK)
    assert chosen.args is not None
    assert chosen.args[0].fields == {"title": "backup"}
    assert chosen.args[0].are_about_messages


def test_nothing_can_be_chosen_where_two_copies_are_compared(qtbot: QtBot, view: DiffView) -> None:
    row = FieldRow("title", Change.CHANGED, "Now", "Was", "backup", OFFERS)
    table = fields_page(qtbot, view, row, choosing=False)
    qtbot.keyClick(table, Qt.Key.Key_Return)
    assert QApplication.activePopupWidget() is None


def test_raw_shows_the_json_clipped(qtbot: QtBot, view: DiffView) -> None:
    view.set_versions(["live", "recovered"], "live", "recovered")
    view.show_rows(outlined((added(0),)), (), ('{"a": 1}', '{"b": 2}\n' * 100_000 + "\x1b"), choosing=False)
    view.show_page(RAW)
    left, right = (page.toPlainText() for page in view.raw.pages)
    assert left == '{"a": 1}'
    assert right.startswith('{"b": 2}\n')
    assert right.endswith("characters are shown.")
    assert len(right) < 210_000
    view.show_rows(outlined((added(0),)), (), ("", "{}"), choosing=False)
    assert [page.isVisible() for page in view.raw.pages] == [False, True]


def test_the_pickers_show_the_versions_and_tell_what_is_picked(qtbot: QtBot, view: DiffView) -> None:
    show(view, [added(0)])
    with qtbot.assertNotEmitted(view.versions_chosen):
        view.set_versions(["live", "backup", "temp 2", "database of work", "recovered"], "live", "recovered")
    assert [view.left_picker.itemText(k) for k in range(5)] == [
        "Live file",
        "Backup",
        "Leftover temp 2",
        "Database of work",
        "Recovered",
    ]
    with qtbot.waitSignal(view.versions_chosen) as told:
        qtbot.mouseClick(view._swap, Qt.MouseButton.LeftButton)
    assert told.args == ["recovered", "live"]
    with qtbot.waitSignal(view.versions_chosen) as told:
        qtbot.keyClick(view.right_picker, Qt.Key.Key_Down)
    assert told.args == ["recovered", "backup"]


def test_a_sentence_stands_where_there_is_nothing_to_compare(view: DiffView) -> None:
    show(view, [added(0)])
    view.clear("Reading <b>this</b>…")
    assert view.pages.currentIndex() == NOTHING
    assert view.rows.rowCount() == 0
    assert view.position == (0, 0)
    view.next_change()
    show(view, [added(0)])
    assert view.list.isVisible()


@pytest.mark.parametrize("width", [560, 660, 1000])
def test_no_tool_is_clipped_whatever_the_width(qtbot: QtBot, view: DiffView, width: int) -> None:
    view.resize(width, 500)
    view.show_rows(outlined((added(0),)), [FieldRow("title", Change.CHANGED, "a", "b")], ("", ""), choosing=False)
    tools = (view.left_picker, view.right_picker, view._swap, *view._modes.values(), view._next)
    qtbot.waitUntil(lambda: all(tool.width() >= tool.sizeHint().width() for tool in tools))
    assert all(tool.mapTo(view, QPoint(tool.width(), 0)).x() <= view.width() for tool in tools)


def test_every_session_of_the_demo_can_be_painted(view: DiffView, cases: dict[str, Case]) -> None:
    for case in cases.values():
        for mode in ("unified", "split"):
            view.set_mode(mode)
            show(view, case.review(), choosing=True)
            for at in range(view.rows.rowCount() - 1, -1, -1):
                view.rows.expand(at, True)
            assert not view.grab().isNull()
