"""The head of a session says what is true in plain text, and clips nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from hermes_rescue.core.audit.findings import SessionAudit, finding
from hermes_rescue.core.audit.session import examine
from hermes_rescue.core.demo.demo_store import make_demo_store
from hermes_rescue.core.hermes.copies import Inventory
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.hermes.webui_status import webui_status
from hermes_rescue.core.merge.proposal import Proposal
from hermes_rescue.gui.session_head import AnswerBoxes, ElidedLabel, SessionHead, outcome_words
from hermes_rescue.gui.theme import apply, load
from PySide6.QtCore import Qt
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QApplication, QLabel, QSplitter, QWidget
from pytestqt.qtbot import QtBot

LIGHT = load("light")
EVIL = "<b>bold</b> <img src='x'>\x1b[31m\u202e & more"
EVIL_SHOWN = "<b>bold</b> <img src='x'>\\x1b[31m\\x202e & more"

Sessions = dict[str, tuple[SessionAudit, Proposal]]


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


def show(head: SessionHead, audited: SessionAudit, proposal: Proposal) -> None:
    head.show_session(audited, proposal, outcome_words(audited, proposal))


def head_of(qtbot: QtBot, audited: SessionAudit, proposal: Proposal) -> SessionHead:
    head = SessionHead(LIGHT)
    qtbot.addWidget(head)
    show(head, audited, proposal)
    head.resize(640, 300)
    with qtbot.waitExposed(head):
        head.show()
    return head


@pytest.mark.parametrize(
    ("story", "words"),
    [
        ("wiped", "102 messages can come back"),
        ("undone_before_marks", "Your decision"),
        ("healthy", "Healthy"),
        ("wrong_count", "Wrong count"),
    ],
)
def test_the_chip_says_how_it_stands(qtbot: QtBot, sessions: Sessions, story: str, words: str) -> None:
    head = head_of(qtbot, *sessions[story])
    assert head.chip.words == words
    assert head.chip.accessibleName() == words


def test_evidence_and_answers_are_those_of_the_most_urgent_finding(qtbot: QtBot, sessions: Sessions) -> None:
    audited, proposal = sessions["wiped"]
    note = finding("worktree_gone", audited.session_id, "The worktree folder is gone.")
    head = head_of(qtbot, dataclasses.replace(audited, findings=(note, *audited.findings)), proposal)
    main = audited.findings[0]
    assert head.evidence.text() == main.evidence
    assert main.kind.outcome in {label.text() for label in head.answers.findChildren(QLabel)}
    assert not head.others.isVisible()
    assert head.more.text() == "and 1 more"
    qtbot.mouseClick(head.more, Qt.MouseButton.LeftButton)
    assert head.others.isVisible()
    assert head.others.text() == "The worktree folder is gone."
    qtbot.keyClick(head.more, Qt.Key.Key_Space)
    assert not head.others.isVisible()


def test_a_healthy_session_has_nothing_to_answer(qtbot: QtBot, sessions: Sessions) -> None:
    head = head_of(qtbot, *sessions["healthy"])
    assert "nothing to repair" in head.evidence.text()
    assert not head.answers.isVisible()
    assert not head.more.isVisible()


def test_the_worktree_is_named_with_its_state(qtbot: QtBot, sessions: Sessions) -> None:
    audited, proposal = sessions["healthy_worktree"]
    head = head_of(qtbot, audited, proposal)
    assert head.worktree.isVisible()
    assert head.worktree.text() == f"Worktree {audited.worktree_path}"
    assert head.worktree_state.text() == "is there"
    show(head, *sessions["healthy"])
    assert not head.worktree.isVisible()


def test_clear_leaves_nothing(qtbot: QtBot, sessions: Sessions) -> None:
    head = head_of(qtbot, *sessions["wiped"])
    head.clear()
    assert not [w for w in head.findChildren(QWidget) if w.isVisible()]
    show(head, *sessions["wiped"])
    assert head.title.isVisible()


def test_what_a_session_says_stays_text(qtbot: QtBot, sessions: Sessions) -> None:
    audited, proposal = sessions["wiped"]
    evil = dataclasses.replace(
        audited, title=EVIL * 20, findings=(dataclasses.replace(audited.findings[0], evidence=EVIL),)
    )
    head = head_of(qtbot, evil, proposal)
    assert head.title.text() == EVIL_SHOWN * 20
    assert head.evidence.text().replace("\u200b", "") == EVIL_SHOWN
    assert {label.textFormat() for label in (head.title, head.evidence, head.others)} == {Qt.TextFormat.PlainText}
    assert "<img" not in head.title.toolTip()
    assert "&lt;img" in head.title.toolTip()


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("story", ["wiped", "undone_before_marks", "behind_the_database", "healthy_worktree"])
def test_nothing_is_clipped_in_a_narrow_pane_or_with_large_letters(
    qtbot: QtBot, sessions: Sessions, look: None, story: str, size: int
) -> None:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    font = QFont(app.font())
    font.setPointSizeF(font.pointSizeF() * size)
    app.setFont(font)
    audited, proposal = sessions[story]
    long = finding("not_a_file", audited.session_id, "/home/someone/" + "a-long-folder-name" * 9 + " is a named pipe.")
    splitter = QSplitter(Qt.Orientation.Vertical)
    qtbot.addWidget(splitter)
    head = SessionHead(LIGHT)
    show(head, dataclasses.replace(audited, findings=(*audited.findings, long)), proposal)
    head.more.setChecked(True)
    splitter.addWidget(head)
    splitter.addWidget(QWidget())
    splitter.resize(560, 1400)
    with qtbot.waitExposed(splitter):
        splitter.show()
    qtbot.waitUntil(lambda: clipped(head) == [])
    assert splitter.width() == 560
    assert head.chip.visibleRegion().boundingRect().size() == head.chip.size()


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
