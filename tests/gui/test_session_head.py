"""The head of a session says what is true in plain text, and clips nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from hermes_rescue.core.audit.findings import LEFT, Category, SessionAudit, Standing, finding
from hermes_rescue.core.audit.session import examine
from hermes_rescue.core.demo.demo_store import make_demo_store
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.hermes.webui_status import webui_status
from hermes_rescue.core.merge.proposal import Proposal
from hermes_rescue.core.report.coverage import coverage
from hermes_rescue.gui.review.answers import AnswerBoxes
from hermes_rescue.gui.review.coverage_map import CoverageMap
from hermes_rescue.gui.review.session_head import SessionHead
from hermes_rescue.gui.view_model.formatting import moment_in_text
from hermes_rescue.gui.view_model.session_line import line_of
from hermes_rescue.gui.view_model.session_rows import row_for
from hermes_rescue.gui.view_model.session_sentence import sentence
from hermes_rescue.gui.widgets.elided_label import ElidedLabel
from hermes_rescue.gui.widgets.theme import apply, load
from msgspec import structs
from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QApplication, QLabel, QScrollArea, QWidget
from pytestqt.qtbot import QtBot

LIGHT = load("light")
EVIL = "<b>bold</b> <img src='x'>\x1b[31m\u202e & more"
EVIL_SHOWN = "<b>bold</b> <img src='x'>\\x1b[31m\\x202e & more"

Sessions = dict[str, tuple[SessionAudit, Proposal]]


def show(head: SessionHead, audited: SessionAudit, proposal: Proposal) -> None:
    head.show_session(audited, proposal, sentence(audited, proposal))


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Sessions:
    """Each story of the demo store, by its name: what was found and what is proposed."""
    made = make_demo_store(tmp_path_factory.mktemp("demo") / "store")
    names = {story.session_id: story.name for story in made.stories}
    store = find_store(home=made.home)
    with Inventory(store) as inventory:
        found = [examine(inventory, webui_status(store), session_id) for session_id in inventory.session_ids()]
    return {names[x.copies.session_id]: (x.audited, x.proposal) for x in found if x.audited is not None}


@pytest.fixture
def look() -> Iterator[None]:
    """The application as it looks in the window."""
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    font, palette, sheet = app.font(), app.palette(), app.styleSheet()
    apply(app, LIGHT)
    yield
    app.setStyleSheet(sheet)
    app.setPalette(palette)
    app.setFont(font)


def clipped(root: QWidget) -> list[str]:
    """The texts of the labels that are not shown whole."""
    found = []
    for label in root.findChildren(QLabel):
        if label.isVisible() and label.text() and not isinstance(label, ElidedLabel):
            needed = label.heightForWidth(label.width()) if label.wordWrap() else label.sizeHint().height()
            visible = label.visibleRegion().boundingRect()
            if (
                visible.height() < min(needed, label.height())
                or label.height() < needed
                or visible.width() < label.width()
            ):
                found.append(label.text())
    return found


def head_of(qtbot: QtBot, audited: SessionAudit, proposal: Proposal) -> SessionHead:
    head = SessionHead(CoverageMap(LIGHT))
    qtbot.addWidget(head)
    show(head, audited, proposal)
    head.resize(840, head.usual_height(840))
    with qtbot.waitExposed(head):
        head.show()
    return head


def test_what_happened_stands_there_and_the_answers_open_over_the_window(qtbot: QtBot, sessions: Sessions) -> None:
    audited, proposal = sessions["wiped"]
    note = finding("worktree_gone", audited.session_id, "The worktree folder is gone.")
    head = head_of(qtbot, structs.replace(audited, findings=(note, *audited.findings)), proposal)
    main = audited.findings[0]
    assert head.evidence.text().replace("\n", "") == main.text(moment_in_text)
    assert main.evidence not in head.evidence.text()
    before = head.height()
    qtbot.mouseClick(head.why, Qt.MouseButton.LeftButton)
    assert head.popup.isVisible()
    assert head.height() == before
    texts = [label.text() for label in head.popup.findChildren(QLabel)]
    assert {main.kind.severity_text, main.advice, main.kind.effect, main.kind.usable_meanwhile} <= set(texts)
    assert texts[0].split("\n") == [main.evidence, "The worktree folder is gone."]
    assert clipped(head.popup) == []
    qtbot.keyClick(head.popup, Qt.Key.Key_Escape)
    assert not head.popup.isVisible()


def test_a_whole_session_has_no_button_and_nothing_to_answer(qtbot: QtBot, sessions: Sessions) -> None:
    audited, proposal = sessions["healthy"]
    head = head_of(qtbot, audited, proposal)
    assert str(len(proposal.items)) in head.evidence.text()
    assert not head.repair.isVisible()
    assert not head.why.isVisible()


def test_what_could_not_be_read_whole_is_nowhere_called_healthy_without_that(qtbot: QtBot, sessions: Sessions) -> None:
    audited, proposal = sessions["healthy"]
    partly = structs.replace(audited, is_partly_read=True)
    assert line_of(row_for(audited)).state == "Healthy"
    assert line_of(row_for(partly)).state == "Healthy as far as it could be read"
    assert head_of(qtbot, audited, proposal).evidence.text().endswith("There is nothing to repair.")
    assert head_of(qtbot, partly, proposal).evidence.text().endswith("A database that may hold more cannot be read.")


@pytest.mark.parametrize("story", ["undone_before_marks", "wiped"])
def test_the_button_says_what_it_does(qtbot: QtBot, sessions: Sessions, story: str) -> None:
    audited, proposal = sessions[story]
    head = head_of(qtbot, audited, proposal)
    own = head.repair.text()
    asked = sum(item.reason is not None and item.reason.is_question for item in proposal.items)
    assert own == (f"Restore {asked} messages" if asked else "Restore this session")
    head.show_picked(3)
    assert head.repair.text() == "Restore 3 sessions"
    head.show_picked(0)
    assert head.repair.text() == own


def test_what_no_copy_has_anything_of_can_only_be_left(qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "0123456789ab.json.bak").write_bytes(b"\0" * 40)
    store = find_store(session_dir=tmp_path)
    with Inventory(store) as inventory:
        found = examine(inventory, webui_status(store), "0123456789ab")
    assert found.audited is not None and found.audited.standing is Standing.REVIEW
    head = head_of(qtbot, found.audited, found.proposal)
    assert not head.repair.isVisible()
    assert head.leave.isVisible()
    head.show_picked(3)
    assert head.repair.isVisible()
    head.show_picked(0)
    left = structs.replace(found.audited.findings[0], category=Category.INFO, details={LEFT: True})
    show(head, structs.replace(found.audited, findings=(left,)), found.proposal)
    assert not head.repair.isVisible() and head.leave.text() == "Ask me again"


def test_date_profile_and_worktree_stand_beside_the_title(qtbot: QtBot, sessions: Sessions) -> None:
    audited, proposal = sessions["healthy_worktree"]
    head = head_of(qtbot, audited, proposal)
    assert audited.worktree_path is not None
    assert f"worktree {audited.worktree_path.rsplit('/', 1)[-1]}" in head.about.text()
    show(head, *sessions["healthy"])
    assert "worktree" not in head.about.text()
    assert "profile" in head.about.text()


def test_clear_leaves_nothing(qtbot: QtBot, sessions: Sessions) -> None:
    head = head_of(qtbot, *sessions["wiped"])
    head.clear()
    assert not [w for w in head.findChildren(QWidget) if w.isVisible()]
    show(head, *sessions["wiped"])
    assert head.title.isVisible()


def test_what_a_session_says_stays_text(qtbot: QtBot, sessions: Sessions) -> None:
    audited, proposal = sessions["wiped"]
    evil = structs.replace(
        audited, title=EVIL * 20, findings=(structs.replace(audited.findings[0], evidence=EVIL, story=()),)
    )
    head = head_of(qtbot, evil, proposal)
    assert head.title.text() == EVIL_SHOWN * 20
    assert head.evidence.text().replace("\u200b", "") == EVIL_SHOWN
    labels = (head.title, head.about, head.evidence, head.popup.evidence)
    assert {label.textFormat() for label in labels} == {Qt.TextFormat.PlainText}
    assert "<img" not in head.title.toolTip()
    assert "&lt;img" in head.title.toolTip()


def test_a_sentence_that_is_cut_off_is_opened_by_the_mouse_and_by_the_keyboard(
    qtbot: QtBot, sessions: Sessions
) -> None:
    audited, proposal = sessions["wiped"]
    long = structs.replace(audited.findings[0], evidence="A sentence that goes on and on. " * 30, story=())
    head = head_of(qtbot, structs.replace(audited, findings=(long,)), proposal)
    words = head.evidence
    assert words.more.isVisible()
    assert words.text().endswith("…")
    room = words.fontMetrics().horizontalAdvance(words.text().rsplit("\n", 1)[1])
    assert room < words.more.x()
    assert words.rect().contains(words.more.geometry())
    for open_it in (
        lambda: qtbot.mouseClick(words.more, Qt.MouseButton.LeftButton),
        lambda: qtbot.keyClick(words.more, Qt.Key.Key_Space),
    ):
        open_it()
        assert words.popup.isVisible()
        assert words.text_of_popup.text().count("goes on") == 30
        assert clipped(words.popup) == []
        qtbot.keyClick(words.popup, Qt.Key.Key_Escape)
        assert not words.popup.isVisible()
    show(head, *sessions["healthy"])
    assert not words.more.isVisible()
    assert words.toolTip() == ""


@pytest.mark.parametrize("size", [1, 1.6])
def test_the_head_has_one_height_and_its_buttons_one_place_for_every_story(
    qtbot: QtBot, sessions: Sessions, look: None, size: float
) -> None:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    font = QFont(app.font())
    font.setPointSizeF(font.pointSizeF() * size)
    app.setFont(font)
    head = head_of(qtbot, *sessions["wiped"])
    parts = (head, head.title, head.evidence, head.why)
    places = set()
    for audited, proposal in sessions.values():
        show(head, audited, proposal)
        app.processEvents()
        places.add(tuple((w.x(), w.y(), w.height()) for w in parts if w is not head.why or w.isVisible())[:3])
        for button in (head.repair, head.why):
            if button.isVisible():
                assert button.width() >= button.sizeHint().width(), audited.title
                assert head.rect().contains(button.mapTo(head, button.rect().bottomRight())), audited.title
    assert len(places) == 1


def test_the_answers_take_two_rows_where_four_do_not_fit(qtbot: QtBot) -> None:
    boxes = AnswerBoxes(["One?", "Two?", "Three?", "Four?"])
    qtbot.addWidget(boxes)
    boxes.show_answers(["A sentence that is as long as most of the answers are."] * 4)
    tops = []
    for width in (900, 260):
        boxes.resize(width, boxes.heightForWidth(width))
        with qtbot.waitExposed(boxes):
            boxes.show()
        frames = [box for box in boxes.findChildren(QWidget) if box.parent() is boxes]
        tops.append(len({box.y() for box in frames}))
        assert max(box.geometry().bottom() for box in frames) < boxes.height()
        assert max(box.geometry().right() for box in frames) < width
    assert tops == [1, 2]


def image_of_live(area: QScrollArea) -> bytes:
    """What the first lane looks like, with its name."""
    lines = area.fontMetrics().height()
    image = area.viewport().grab(QRect(0, 8, area.viewport().width() // 4, lines)).toImage()
    return bytes(image.constBits())


@pytest.mark.parametrize("copies", [5, 9])
def test_the_live_file_and_the_result_stay_in_view_however_many_copies_there_are(
    qtbot: QtBot, sessions: Sessions, look: None, copies: int
) -> None:
    audited, proposal = sessions["wiped"]
    further = tuple(f"snapshot of {day} May 2026" for day in range(1, copies + 1))
    items = tuple(dataclasses.replace(item, copies=("live", "backup", *further)) for item in proposal.items)
    proposal = dataclasses.replace(proposal, items=items)
    head = head_of(qtbot, audited, proposal)
    [picture] = head.findChildren(CoverageMap)
    picture.set_proposal(proposal, coverage(proposal, further=further))
    [area] = (each for each in head.findChildren(QScrollArea) if each.widget() is picture)
    qtbot.waitUntil(lambda: area.verticalScrollBar().maximum() > 0)

    def bars() -> list[str]:
        """The colours of the lanes in view, from above, each as often as it has a stretch of its own."""
        image = area.viewport().grab().toImage()
        known = {LIGHT.color(token).name(): token for token in ("add", "ok")}
        column = [known.get(image.pixelColor(image.width() // 2, y).name(), "") for y in range(image.height())]
        return [token for token, before in zip(column, ["", *column], strict=False) if token and token != before]

    begins = [image_of_live(area)]
    for at in (area.verticalScrollBar().maximum() // 2, area.verticalScrollBar().maximum(), 0):
        area.verticalScrollBar().setValue(at)
        shown = bars()
        assert (shown[0], shown.count("ok")) == ("add", 1)
        assert len(shown) >= 3
        begins.append(image_of_live(area))
    assert len(set(begins)) == 1
