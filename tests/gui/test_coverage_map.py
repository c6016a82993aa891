"""The map of the copies shows who holds what, is true at every scale, and leads to each message by mouse and keys."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest
from hermes_rescue.core.audit.session import examine
from hermes_rescue.core.demo.demo_store import make_demo_store
from hermes_rescue.core.hermes.copies import BACKUP, LIVE
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.hermes.webui_status import webui_status
from hermes_rescue.core.merge.intent import Reason
from hermes_rescue.core.merge.item import Item
from hermes_rescue.core.merge.proposal import Proposal
from hermes_rescue.core.report.coverage import Coverage, coverage
from hermes_rescue.gui.review.coverage_map import CoverageMap
from hermes_rescue.gui.view_model.coverage import lane_label
from hermes_rescue.gui.view_model.formatting import plain_tip
from hermes_rescue.gui.widgets.theme import load
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtTest import QSignalSpy
from pytestqt.qtbot import QtBot

Proposals = dict[str, Proposal]

LIGHT = load("light")
MARGIN = 8  # points above and below the rows


@pytest.fixture(scope="module")
def proposals(tmp_path_factory: pytest.TempPathFactory) -> Proposals:
    """The proposal for each story of the demo store, by its name."""
    demo = make_demo_store(tmp_path_factory.mktemp("demo") / "store")
    store = find_store(home=demo.home)
    names = {story.session_id: story.name for story in demo.stories}
    with Inventory(store) as inventory:
        return {names[i]: examine(inventory, webui_status(store), i).proposal for i in inventory.session_ids()}


@pytest.fixture
def shown(qtbot: QtBot, proposals: Proposals) -> CoverageMap:
    """The map of the wiped session: nothing live, 102 messages in backup and database."""
    return show(qtbot, proposals["wiped"])


def show(qtbot: QtBot, proposal: Proposal, width: int = 640) -> CoverageMap:
    made = CoverageMap(LIGHT)
    qtbot.addWidget(made)
    made.set_proposal(proposal, coverage(proposal))
    made.resize(width, 100)
    made.resize(width, made.sizeHint().height())
    with qtbot.waitExposed(made):
        made.show()
    return made


def many(proposal: Proposal, holders: Sequence[tuple[str, ...]], left_out: frozenset[int] = frozenset()) -> Proposal:
    """As many messages as there are holders, each of them a copy of the first."""
    item = dataclasses.replace(proposal.items[0], enriched={}, included=True, reason=None)
    items = [dataclasses.replace(item, copies=copies) for copies in holders]
    for position in left_out:
        items[position] = dataclasses.replace(items[position], included=False, reason=Reason.UNDONE)
    return dataclasses.replace(proposal, items=tuple(items))


def reach(made: CoverageMap) -> tuple[int, int]:
    """Where the lanes begin and end: the leftmost and the rightmost place that belongs to a message."""
    places = [x for x in range(made.width()) if made.position_at(x) is not None]
    return places[0], places[-1]


def colors(image: QImage, x: int, lane: int, of: int) -> set[str]:
    """The colours on the vertical line through one lane."""
    pitch = lane_pitch(image, of)
    return {image.pixelColor(x, y).name() for y in range(MARGIN + lane * pitch, MARGIN + (lane + 1) * pitch)}


def lane_pitch(image: QImage, of: int) -> int:
    """The height of each of ``of`` rows."""
    return (image.height() - 2 * MARGIN) // of


def test_each_copy_has_a_lane_and_the_result_is_last(proposals: Proposals) -> None:
    found = [(lane_label(lane), lane.count, lane.is_result) for lane in coverage(proposals["wiped"]).lanes]
    assert found == [("Live", 0, False), ("Backup", 102, False), ("Database", 102, False), ("Recovered", 102, True)]


def test_lanes_stand_in_the_order_of_trust(proposals: Proposals) -> None:
    copies = (
        "turn journal",
        "run journal",
        "database of work",
        "database",
        "backup",
        "temp 2",
        "temp",
        "pending prompt",
    )
    order = [lane_label(lane) for lane in coverage(many(proposals["wiped"], [copies])).lanes]
    assert order == [
        *("Live", "Temp", "Temp 2", "Backup", "Database", "Database of work", "Run journal", "Turn journal"),
        *("Pending prompt", "Recovered"),
    ]


def test_copies_from_other_places_stand_after_those_of_the_session_by_name_and_date(proposals: Proposals) -> None:
    further = "backup of 2 May 2026", "database of 1 July 2026 (set aside)", "snapshot of 2 May 2026"
    made = coverage(many(proposals["wiped"], [(*further, "backup", "database")]), further=further)
    assert [lane_label(lane) for lane in made.lanes[1:-1]] == [
        *("Backup", "Database", "Backup of 2 May 2026", "Database of 1 July 2026 (set aside)"),
        "Snapshot of 2 May 2026",
    ]


def test_what_it_shows_is_said_to_who_cannot_see_it(qtbot: QtBot, proposals: Proposals) -> None:
    made = show(qtbot, proposals["undone_before_marks"])
    assert made.accessibleName() == "Which copy holds what"
    assert made.accessibleDescription() == (
        "Live holds 16 of 20; Backup holds 20 of 20; Database holds 20 of 20; Recovered holds 16 of 20."
        " 4 messages that you took back or lost: only you know."
    )


def test_what_stays_out_is_called_as_in_the_conversation_and_once(qtbot: QtBot, proposals: Proposals) -> None:
    items = many(proposals["undone_before_marks"], [(BACKUP,)] * 6).items
    reasons = (Reason.UNDONE, Reason.REWOUND, Reason.CHOSEN, Reason.LEFT_OUT, Reason.CLEARED, None)
    out = tuple(
        dataclasses.replace(item, included=reason is None, reason=reason)
        for item, reason in zip(items, reasons, strict=True)
    )
    made = show(qtbot, dataclasses.replace(proposals["undone_before_marks"], items=out))
    words = made.accessibleDescription().partition(". ")[2]
    assert words == "2 messages that you took back. 2 messages that you left out. 1 message that you cleared."


def test_a_lane_is_filled_where_the_copy_has_something(qtbot: QtBot, proposals: Proposals) -> None:
    holders = [(BACKUP,)] * 60 + [(LIVE,)] * 40
    made = show(qtbot, many(proposals["wiped"], holders))
    image = made.grab().toImage()
    left, right = reach(made)
    first, last = left + 20, right - 20
    filled, empty = (LIGHT.color(token).name() for token in ("add", "fold"))
    assert (filled in colors(image, first, 0, 3), filled in colors(image, last, 0, 3)) == (False, True)
    assert (filled in colors(image, first, 1, 3), filled in colors(image, last, 1, 3)) == (True, False)
    assert empty in colors(image, first, 0, 3)
    assert {LIGHT.color("ok").name() in colors(image, x, 2, 3) for x in (first, last)} == {True}


@pytest.mark.parametrize("n", [40, 20_000])
def test_left_out_is_hatched_whatever_the_scale(qtbot: QtBot, proposals: Proposals, n: int) -> None:
    made = show(qtbot, many(proposals["wiped"], [(LIVE,)] * n, frozenset(range(n // 2, n))))
    image = made.grab().toImage()
    left, right = reach(made)
    rows = 3  # two lanes and the legend
    filled, hatch, empty = (LIGHT.color(token).name() for token in ("add", "muted", "fold"))
    out = set().union(*(colors(image, x, 0, rows) for x in range(right - 30, right - 10)))
    assert {hatch, empty} <= out
    assert filled not in out
    assert filled in colors(image, left + 20, 0, rows)


def test_whole_partly_and_nothing_differ_where_messages_share_a_pixel(qtbot: QtBot, proposals: Proposals) -> None:
    holders = [(LIVE, BACKUP)] * 10_000 + [(BACKUP,), (LIVE, BACKUP)] * 5_000 + [(BACKUP,)] * 10_000
    made = show(qtbot, many(proposals["wiped"], holders))
    image = made.grab().toImage()
    left, right = reach(made)
    filled = QColor(LIGHT.color("add"))
    pitch = lane_pitch(image, 3)
    heights = [
        sum(image.pixelColor(left + (right - left) * sixth // 6, MARGIN + y) == filled for y in range(pitch))
        for sixth in (1, 3, 5)
    ]
    assert heights[0] > heights[1] > heights[2] == 0


def test_a_single_message_that_is_missing_among_thousands_can_be_seen(qtbot: QtBot, proposals: Proposals) -> None:
    holders = [(LIVE, BACKUP)] * 5_000 + [(BACKUP,)] + [(LIVE, BACKUP)] * 5_000
    made = show(qtbot, many(proposals["wiped"], holders))
    image = made.grab().toImage()
    left, right = reach(made)
    lane = [[image.pixel(x, MARGIN + y) for y in range(lane_pitch(image, 3))] for x in range(left + 1, right)]
    assert any(column != lane[0] for column in lane)


def test_who_gives_missing_parts_back_is_marked(qtbot: QtBot, proposals: Proposals) -> None:
    made = show(qtbot, next(proposal for proposal in proposals.values() if len(proposal.enriched) > 2))
    image = made.grab().toImage()
    marked = LIGHT.color("chg").name()
    left, right = reach(made)
    rows = 4  # three lanes and the legend
    assert not [x for x in range(left, right) if marked in colors(image, x, 0, rows)]
    assert [x for x in range(left, right) if marked in colors(image, x, 1, rows)]
    assert "completed from this copy" in made.accessibleDescription()


def test_the_keys_choose_a_message(qtbot: QtBot, shown: CoverageMap) -> None:
    jumps = QSignalSpy(shown.jumped)
    keys = Qt.Key
    for key in (
        keys.Key_Right,
        keys.Key_Right,
        keys.Key_Left,
        keys.Key_Left,
        keys.Key_End,
        keys.Key_Right,
        keys.Key_Home,
    ):
        qtbot.keyClick(shown, key)
    assert [jumps.at(k)[0] for k in range(jumps.count())] == [0, 1, 0, 0, 101, 101, 0]
    assert shown.current == 0


def test_a_click_and_a_drag_choose_a_message(qtbot: QtBot, shown: CoverageMap) -> None:
    jumps = QSignalSpy(shown.jumped)
    left, right = reach(shown)
    qtbot.mouseClick(shown, Qt.MouseButton.LeftButton, pos=QPoint(left, 20))
    qtbot.mouseClick(shown, Qt.MouseButton.LeftButton, pos=QPoint(right, 20))
    qtbot.mouseClick(shown, Qt.MouseButton.LeftButton, pos=QPoint(left - 5, 20))
    qtbot.mousePress(shown, Qt.MouseButton.LeftButton, pos=QPoint((left + right) // 2, 20))
    assert [jumps.at(k)[0] for k in range(jumps.count())] == [0, 101, 50]


def test_every_message_of_a_short_session_can_be_clicked(qtbot: QtBot, proposals: Proposals) -> None:
    made = show(qtbot, proposals["healthy_short"], width=300)
    assert {made.position_at(x) for x in range(*reach(made))} == set(range(len(proposals["healthy_short"].items)))


def test_the_mark_stays_with_its_session(qtbot: QtBot, shown: CoverageMap, proposals: Proposals) -> None:
    shown.set_current(7)
    shown.set_proposal(proposals["wiped"], coverage(proposals["wiped"]))
    assert shown.current == 7
    shown.set_proposal(proposals["healthy"], coverage(proposals["healthy"]))
    assert shown.current is None
    for nowhere in (-1, 10_000, None):
        shown.set_current(nowhere)
        assert shown.current is None


def test_a_message_says_where_it_is_who_spoke_and_who_holds_it(qtbot: QtBot, proposals: Proposals) -> None:
    made = show(qtbot, proposals["undone_before_marks"])
    first, last = made.message_words(0), made.message_words(19)
    assert first.startswith("Message 1 of 20 · user · ")
    assert "In: Live, Backup, Database" in first
    assert "Left out" not in first
    assert last.endswith(f"Left out. {Reason.OLD_UNDO.sentence}")


def test_a_hostile_message_cannot_speak_html(qtbot: QtBot, proposals: Proposals) -> None:
    item = proposals["wiped"].items[0]
    evil = item.message._replace(role="<img src='x'>\x1b", time=1e300)
    items: tuple[Item, ...] = (dataclasses.replace(item, message=evil, copies=("database of <b>\u202e",)),)
    made = show(qtbot, dataclasses.replace(proposals["wiped"], items=items))
    assert (
        lane_label(coverage(dataclasses.replace(proposals["wiped"], items=items)).lanes[1]) == "Database of <b>\\x202e"
    )
    tip = plain_tip(made.message_words(0))
    assert "<img" not in tip
    assert "&lt;img src=&#x27;x&#x27;&gt;\\x1b" in tip


def test_without_messages_there_is_no_map(qtbot: QtBot, shown: CoverageMap, proposals: Proposals) -> None:
    for nothing in (None, dataclasses.replace(proposals["wiped"], items=())):
        shown.set_proposal(nothing, coverage(nothing) if nothing is not None else Coverage())
        assert shown.isHidden()
        assert shown.position_at(200) is None
    shown.set_proposal(proposals["wiped"], coverage(proposals["wiped"]))
    assert not shown.isHidden()


def test_another_theme_is_another_picture(qtbot: QtBot, shown: CoverageMap) -> None:
    before = shown.grab().toImage()
    shown.set_theme(load("dark"))
    assert shown.grab().toImage() != before
