"""The conversation page: everything that was said is there, safe to look at, to be read, found, copied and chosen."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.core.hermes.copies import BACKUP, LIVE
from hermes_rescue.core.hermes.message import Message, message
from hermes_rescue.core.hermes.sidecar import message_piece, read
from hermes_rescue.core.merge.intent import Reason
from hermes_rescue.core.merge.item import Item
from hermes_rescue.core.report.diff import Change, MessageRow, text_of
from hermes_rescue.core.search import folding
from hermes_rescue.gui.background.jobs import Jobs
from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.repairs.repair_dialog import RepairDialog
from hermes_rescue.gui.repairs.undo_dialog import UndoDialog
from hermes_rescue.gui.review import conversation_blocks, pictures
from hermes_rescue.gui.review.conversation import Conversation
from hermes_rescue.gui.review.diff_view import MESSAGES
from hermes_rescue.gui.review.review_pane import CHANGES, CONVERSATION
from hermes_rescue.gui.shell.main_window import MainWindow
from hermes_rescue.gui.view_model import conversation_outline
from hermes_rescue.gui.view_model.boxes import Boxes
from hermes_rescue.gui.view_model.conversation_rows import RESULT, TAKE
from hermes_rescue.gui.view_model.diff_outline import FOLD, Gap, outlined
from hermes_rescue.gui.view_model.diff_rows import REASONING, RUN, TEXT
from hermes_rescue.gui.view_model.formatting import number
from hermes_rescue.gui.widgets import markdown_text
from hermes_rescue.gui.widgets.theme import load
from PySide6.QtCore import QBuffer, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QAccessible, QColor, QDesktopServices, QGuiApplication, QImage
from PySide6.QtWidgets import QApplication, QMenu
from pytestqt.qtbot import QtBot

from tests.gui.test_window import finished, when_asked

Open = Callable[..., MainWindow]
Scanned = Callable[[MainWindow], None]

T = 1_777_809_742.0


@pytest.fixture
def view(qtbot: QtBot) -> Iterator[Conversation]:
    boxes = Boxes()
    view = Conversation(boxes, load("light"))
    qtbot.addWidget(view)
    view.resize(700, 500)
    with qtbot.waitExposed(view):
        view.show()
    yield view
    view.close()
    Jobs.wait()


def said(role: str, text: Any, time: float = T, **more: Any) -> Message:
    return message(message_piece({"role": role, "content": text, "timestamp": time, **more}))


def row(m: Message, at: int, *, copies: tuple[str, ...] = (LIVE,), reason: Reason | None = None) -> MessageRow:
    """A row of a review: in the file, back from another copy, or left out for a reason."""
    item = Item(m, copies, {}, reason is None, reason)
    if reason is not None:
        return MessageRow(Change.LEFT_OUT, right=m, position=at, item=item)
    if LIVE not in copies:
        return MessageRow(Change.ADDED, right=m, right_at=at, position=at, item=item)
    return MessageRow(Change.SAME, m, m, at, at, position=at, item=item)


def talk(*texts: str) -> list[MessageRow]:
    return [row(said("assistant" if k % 2 else "user", text, T + 60 * k), k) for k, text in enumerate(texts)]


def show(view: Conversation, rows: list[MessageRow], *, is_same: bool = False) -> None:
    view.show_rows(outlined(tuple(rows)), is_same=is_same)


def lines(view: Conversation) -> list[str]:
    return [view.rows.index(at).data(Qt.ItemDataRole.AccessibleTextRole) for at in range(view.rows.rowCount())]


def block(view: Conversation, at: int) -> conversation_blocks.ConversationBlock:
    return view.list.delegate.block(at, view.list.viewport().width())


def document_text(view: Conversation, at: int) -> str:
    return "\n".join(placed.text.document.toPlainText() for placed in block(view, at).texts)


def words(view: Conversation, at: int) -> list[str]:
    return [label.text for label in block(view, at).labels]


def place_of(view: Conversation, at: int, what: str) -> QPoint:
    """Where a click on an entry does something."""
    rect = next(rect for rect, target in block(view, at).targets if target == what)
    return view.list.visualRect(view.rows.index(at)).topLeft() + rect.center().toPoint()


def click(qtbot: QtBot, view: Conversation, at: int, what: str) -> None:
    qtbot.mouseClick(view.list.viewport(), Qt.MouseButton.LeftButton, pos=place_of(view, at, what))


def character(view: Conversation, at: int, position: int) -> QPoint:
    """Where a character of the text of an entry stands in the viewport."""
    placed = block(view, at).texts[0]
    found = placed.text.document.findBlock(position)
    line = found.layout().lineForTextPosition(position - found.position())
    x: float = line.cursorToX(position - found.position())[0]  # type: ignore[index]  # its stubs say object
    y = placed.text.document.documentLayout().blockBoundingRect(found).top() + line.y() + line.height() / 2
    corner = view.list.visualRect(view.rows.index(at)).topLeft()
    return corner + (placed.rect.topLeft() + QPointF(x, y)).toPoint()


def drag(qtbot: QtBot, view: Conversation, start: QPoint, end: QPoint) -> None:
    viewport = view.list.viewport()
    qtbot.mousePress(viewport, Qt.MouseButton.LeftButton, pos=start)
    QApplication.sendEvent(viewport, _move(view, end))
    qtbot.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=end)


def _move(view: Conversation, to: QPoint) -> Any:
    from PySide6.QtCore import QEvent
    from PySide6.QtGui import QMouseEvent

    button, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    where = QPointF(view.list.viewport().mapToGlobal(to))
    return QMouseEvent(QEvent.Type.MouseMove, QPointF(to), where, button, button, none)


def copied(qtbot: QtBot, view: Conversation) -> str:
    QGuiApplication.clipboard().setText("nothing yet")
    qtbot.keyClick(view.list, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: QGuiApplication.clipboard().text() != "nothing yet")
    return QGuiApplication.clipboard().text()


def picture(width: int, height: int, form: str = "PNG") -> str:
    image = QImage(width, height, QImage.Format.Format_RGB32)
    image.fill(QColor("#2a6f97"))
    buffer = QBuffer()
    buffer.open(QBuffer.OpenModeFlag.WriteOnly)
    image.save(buffer, form)  # type: ignore[call-overload]
    return f"data:image/{form.lower()};base64,{base64.b64encode(buffer.data().data()).decode()}"


def story(demo: DemoStore, name: str) -> str:
    return next(s.session_id for s in demo.stories if s.name == name)


def opened(open_window: Open, wait_scanned: Scanned, demo: DemoStore, name: str) -> MainWindow:
    window = open_window(StoreLocation(demo.home))
    window.table.select(story(demo, name))
    wait_scanned(window)
    return window


# What is shown


def test_it_is_the_page_that_opens_and_shows_every_message_of_the_recovered_session(
    open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    window = opened(open_window, wait_scanned, demo, "wiped")
    review = window.review
    assert review.tabs.currentIndex() == CONVERSATION
    assert review.conversation.list.isVisible()
    wanted = next(s.wanted for s in demo.stories if s.name == "wiped")
    rows = review.conversation.rows
    assert [entry.part for entry in rows.entries] == [0] * len(wanted)
    assert [" ".join(text_of(each.right).split()) for each in rows.rows if each.right] == [
        " ".join(text.split()) for text in wanted
    ]


def test_a_healthy_session_is_shown_as_it_is_without_a_word_about_its_copies(
    open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    conversation = opened(open_window, wait_scanned, demo, "healthy").review.conversation
    assert conversation.rows.rowCount() > 0
    assert not any(conversation.rows.origin_of(each.row) for each in conversation.rows.entries)


def test_who_speaks_when_and_where_it_comes_from(view: Conversation) -> None:
    rows = talk("In the file", "So is this")
    rows.append(row(said("user", "Lost", T + 90_000), 2, copies=(BACKUP, "database")))
    show(view, rows)
    assert words(view, 0)[0] == "You"
    assert words(view, 1)[0] == "Hermes"
    assert "in the file" in words(view, 0)
    assert "back from the backup" in words(view, 2)
    assert [any("2026" in word for word in words(view, at)) for at in range(3)] == [True, False, True]
    assert block(view, 2).tone is conversation_blocks.Tone.BACK
    assert block(view, 0).tone is conversation_blocks.Tone.USUAL


def test_what_comes_back_has_a_bar_and_a_ground_in_every_theme(view: Conversation) -> None:
    show(view, [row(said("user", "Lost"), 0, copies=(BACKUP,)), *talk("Here")])
    for name in ("light", "dark", "contrast"):
        theme = load(name)
        view.set_theme(theme)
        image = view.list.viewport().grab().toImage()
        y = view.list.visualRect(view.rows.index(0)).center().y()
        seen = {image.pixelColor(x, y).name() for x in range(12, 40)}
        assert theme.color("add").name() in seen
        assert image.pixelColor(image.width() - 12, 2).name() == theme.color("surface").name()


def test_calls_results_and_reasoning_are_folded_to_one_line_each(qtbot: QtBot, view: Conversation) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "web_search", "arguments": '{"q": "ferry to Naxos"}'}}
    rows = [
        row(said("assistant", "", tool_calls=[call], reasoning="First I look it up."), 0),
        row(said("tool", "Wed Piraeus 07:40", tool_call_id="c1", name="web_search"), 1),
    ]
    show(view, rows)
    assert not block(view, 0).texts and not block(view, 1).texts
    assert {"reasoning, 5 words", "web_search", "ferry to Naxos"} <= set(words(view, 0))
    assert words(view, 1) == ["web_search: result, 17 characters"]
    click(qtbot, view, 0, REASONING)
    assert document_text(view, 0) == "First I look it up."
    view.list.jump_to(1)
    qtbot.keyClick(view.list, Qt.Key.Key_Return)
    assert document_text(view, 1) == "Wed Piraeus 07:40"
    qtbot.keyClick(view.list, Qt.Key.Key_Return)
    assert not block(view, 1).texts
    click(qtbot, view, 1, RESULT)
    assert document_text(view, 1) == "Wed Piraeus 07:40"


@pytest.mark.parametrize(
    "value",
    [
        {"role": "assistant", "tool_calls": [None, 7, {"function": None}, {"function": {"name": 1, "arguments": 2}}]},
        {"role": "assistant", "tool_calls": {"a": 1}, "reasoning_details": [{"text": "thought"}, "more", None, {}]},
        {"role": ["x"], "content": {"a": 1}, "timestamp": 1e300, "attachments": [None, {}, 3, {"name": "a.png"}]},
        {"role": "user", "content": [None, 3, {"type": "image_url", "image_url": 3}, {"type": "image", "source": {}}]},
        {"role": "tool", "content": None, "name": {"a": 1}, "timestamp": float("nan"), "reasoning": 12},
        {},
    ],
)
def test_a_message_of_an_odd_shape_is_shown_all_the_same(view: Conversation, value: dict[str, Any]) -> None:
    show(view, [row(message(message_piece(value)), 0)])
    view.rows.expand(0, True)
    assert not view.grab().isNull()
    assert lines(view)[0]


# Markdown that may be hostile


MARKDOWN = """## Ferries

Take **the ferry** with `clock`.
And look here.

```python
def ferry(): return 1
```

- one
- two

| Day | From |
|---|---|
| Wed | Piraeus |
"""


def test_markdown_is_rendered(view: Conversation) -> None:
    show(view, talk(MARKDOWN))
    text = document_text(view, 0)
    assert "**" not in text and "##" not in text and "```" not in text and "|" not in text
    assert "Take the ferry with clock.\nAnd look here." in text
    assert [code.language for code in block(view, 0).texts[0].text.code] == ["python"]


def test_code_is_coloured_beside_the_window(qtbot: QtBot, view: Conversation) -> None:
    show(view, talk(MARKDOWN))
    view.grab()
    theme = load("light")

    def colours() -> set[str]:
        view.grab()
        text = block(view, 0).texts[0].text
        formats = text.document.findBlockByNumber(text.code[0].first).layout().formats()
        return {each.format.foreground().color().name() for each in formats}

    qtbot.waitUntil(lambda: theme.color("chg").name() in colours(), timeout=20_000)


@pytest.fixture
def asked_for(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Addresses that anything was asked to open, and files that were read as pictures."""
    seen: list[Any] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: seen.append(url))
    return seen


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=http://evil.example/x.png>",
    '<a href="javascript:alert(1)">x</a>',
    "<iframe src='file:///etc/passwd'></iframe>",
    "<style>* { display: none }</style>",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_html_is_shown_as_it_was_written(view: Conversation, text: str) -> None:
    show(view, talk(text, f"before\n\n{text}\n\nbehind"))
    assert document_text(view, 0) == text
    assert text in document_text(view, 1)


def test_no_picture_of_a_text_is_fetched_and_no_link_is_followed(
    qtbot: QtBot, view: Conversation, asked_for: list[Any], tmp_path: Path
) -> None:
    there = tmp_path / "there.png"
    data = base64.b64decode(picture(8, 8).partition(",")[2])
    there.write_bytes(data)
    show(view, talk(f"![a map]({QUrl.fromLocalFile(str(there)).toString()}) ![b](http://evil.example/x.png)"))
    assert "a map" in document_text(view, 0) and "http://evil.example/x.png" in document_text(view, 0)
    assert "\ufffc" not in document_text(view, 0)
    show(view, talk("[passwd](file:///etc/passwd) and [site](https://example.org/)"))
    for position in (1, 14):
        point = character(view, 0, position)
        assert view.list.link_at(point).startswith(("file:", "https:"))
        qtbot.mouseClick(view.list.viewport(), Qt.MouseButton.LeftButton, pos=point)
    assert asked_for == []


def test_a_document_loads_nothing_even_when_qt_asks() -> None:
    text = markdown_text.StillDocument()
    text.setMarkdown("![x](file:///etc/passwd)")
    text.size()
    assert text.resource(2, QUrl("file:///etc/passwd")) is None


def test_control_characters_never_steer(view: Conversation) -> None:
    show(view, talk("e\x07nd\u202e **x**\r\nok"))
    assert document_text(view, 0) == "e\\x07nd\\x202e x\nok"


@pytest.mark.parametrize(
    "text",
    [
        ">" * 6000 + " x",
        "- " * 3000 + "x",
        "\n".join("  " * k + "- x" for k in range(500)),
        "|a" * 1500 + "|\n" + "|-" * 1500 + "|\n" + "|b" * 500 + "|",
        "|a|b|\n|-|-|\n" + "|1|2|\n" * 1000,
        "[" * 6000,
        "*_" * 3000,
        "[a](" * 1500,
    ],
    ids=["quotes", "lists", "deep", "wide table", "long table", "brackets", "stars", "links"],
)
def test_what_would_take_long_to_lay_out_is_shown_as_it_was_written(view: Conversation, text: str) -> None:
    show(view, talk(text))
    first = conversation_outline.first_part(text)
    assert not markdown_text.is_tame(first)
    assert document_text(view, 0) == first


# Pictures


def test_pictures_of_a_message_are_shown_small(qtbot: QtBot, view: Conversation) -> None:
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": picture(900, 600)}},
    ]
    show(view, [row(said("user", content), 0)])
    assert document_text(view, 0) == "What is this?"
    ((rect, name),) = block(view, 0).pictures
    assert rect.width() < 200 and abs(rect.width() / rect.height() - 1.5) < 0.05
    studio = view.list.delegate._studio
    qtbot.waitUntil(lambda: name in studio.pictures, timeout=20_000)
    assert studio.pictures[name].pixelColor(5, 5).name() == "#2a6f97"


def test_a_picture_that_is_none_or_lies_elsewhere_is_no_picture() -> None:
    svg = base64.b64encode(b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>').decode()
    content = [
        {"type": "image_url", "image_url": {"url": "http://evil.example/x.png"}},
        {"type": "image_url", "image_url": {"url": f"data:image/svg+xml;base64,{svg}"}},
    ]
    assert conversation_outline.content_of(said("user", content)).pictures == ()
    assert pictures.small_picture(f"data:image/png;base64,{svg}", 100).isNull()
    assert pictures.small_picture("data:image/png;base64,%%%", 100).isNull()
    assert not pictures.small_picture(picture(3, 3, "BMP"), 100).isNull()


# What stays out, and choosing


def test_only_the_messages_at_the_first_change_are_laid_out(
    view: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid_out: list[int] = []
    make = view.list.delegate.maker.block

    def noted(at: int, width: float) -> conversation_blocks.ConversationBlock:
        laid_out.append(view.rows.entries[at].row)
        return make(at, width)

    monkeypatch.setattr(view.list.delegate.maker, "block", noted)
    show(view, [*talk(*["in the file"] * 90), row(said("user", "back"), 90, copies=(BACKUP,))])
    QApplication.processEvents()
    assert 90 in laid_out
    assert min(laid_out) > 60


def test_the_first_change_stays_in_view_when_the_page_gets_less_room(view: Conversation) -> None:
    show(view, [*talk(*(f"message {k}" for k in range(60))), *undone()[2:4]])
    view.resize(700, 260)
    rect = view.list.visualRect(view.list.currentIndex())
    assert view.rows.entries[view.list.current()].part == FOLD
    assert view.list.viewport().rect().contains(rect)


def undone(count: int = 2) -> list[MessageRow]:
    rows = talk("first", "second")
    rows += [row(said("user", f"taken back {k}"), 2 + k, copies=(BACKUP,), reason=Reason.UNDONE) for k in range(count)]
    return [*rows, row(said("user", "last"), 2 + count)]


def test_what_was_left_out_is_one_line_in_its_place(qtbot: QtBot, view: Conversation) -> None:
    show(view, undone())
    assert [entry.part for entry in view.rows.entries] == [0, 0, FOLD, 0]
    assert lines(view)[2].startswith("2 messages that you took back")
    assert {"show", "restore them"} <= set(words(view, 2))
    click(qtbot, view, 2, RUN)
    assert [entry.row for entry in view.rows.entries] == [0, 1, 2, 2, 3, 4]
    assert document_text(view, 3) == "taken back 0"
    assert "left out" in words(view, 3)
    view.list.jump_to(2)
    qtbot.keyClick(view.list, Qt.Key.Key_Return)
    assert len(view.rows.entries) == 4


def test_what_only_another_place_has_is_offered_by_the_names_of_its_copies(view: Conversation) -> None:
    at = "snapshot of 2 May 2026", "database of 1 July 2026 (set aside)"
    rows = talk("first", "second")
    rows += [row(said("user", "lost"), 2 + k, copies=at[k:], reason=Reason.FURTHER) for k in range(2)]
    show(view, rows)
    line = lines(view)[2]
    assert line.startswith("2 messages only in ")
    assert all(name in line for name in at)
    assert "took back" not in line
    show(view, rows[:3])
    assert all(name in lines(view)[2] for name in at)
    show(view, [*rows[:2], row(said("user", "lost"), 2, copies=at[:1], reason=Reason.FURTHER)])
    assert lines(view)[2].startswith("1 message only in the snapshot of 2 May 2026.")
    show(view, [*rows[:2], row(said("user", "lost"), 2, copies=(*at, "export"), reason=Reason.FURTHER)])
    assert lines(view)[2].startswith("1 message only in 3 copies from other places.")


def test_they_are_taken_in_with_a_click_and_left_out_again(qtbot: QtBot, view: Conversation) -> None:
    show(view, undone())
    click(qtbot, view, 2, TAKE)
    assert [entry.part for entry in view.rows.entries] == [0] * 5
    assert view._boxes.choices().include == {2, 3}
    menu = view.menu_for(2)
    assert "Restore" not in titles(menu)
    action(menu, "Leave out").trigger()
    assert view._boxes.choices().include == {3}
    assert lines(view)[2].startswith("1 message that you took back")
    menu = view.menu_for(0)
    action(menu, "Leave out").trigger()
    assert lines(view)[0].startswith("1 message that you left out")
    assert view._boxes.choices().exclude == {0}


def titles(menu: QMenu) -> list[str]:
    return [each.text() for each in menu.actions()]


def action(menu: QMenu, title: str) -> Any:
    return next(each for each in menu.actions() if each.text() == title)


def test_gaps_follow_the_boxes() -> None:
    base = [Gap(range(2, 5), Reason.UNDONE)]
    gaps = conversation_outline.gaps
    assert gaps(base, ()) == base
    assert gaps(base, {3}) == [Gap(range(2, 3), Reason.UNDONE), Gap(range(4, 5), Reason.UNDONE)]
    assert gaps(base, {2, 3, 4}) == []
    assert gaps(base, {0, 1, 7}) == [Gap(range(2), Reason.CHOSEN), *base, Gap(range(7, 8), Reason.CHOSEN)]


def test_the_end_of_a_conversation_stays_in_view_when_the_same_one_is_shown_again(view: Conversation) -> None:
    """As after its repair: its heights are not known any more then, and it seems shorter than it is."""
    rows = talk(*("words " * (3, 3, 3, 60, 200)[k * k % 5] for k in range(24)))
    show(view, rows)
    for _ in range(3):  # what it is measured by comes with each
        view.list.verticalScrollBar().setValue(view.list.verticalScrollBar().maximum())
    last = view.rows.index(view.rows.rowCount() - 1)
    before = view.list.visualRect(last)
    assert before.bottom() <= view.list.viewport().height()
    show(view, rows, is_same=True)
    assert view.list.visualRect(last) == before


def test_what_is_in_view_stays_where_it_is_when_messages_are_left_out(view: Conversation) -> None:
    show(view, talk(*(f"message {k}\n\nmore of it" for k in range(200))))
    view.go_to_row(100)
    y = view.list.visualRect(view.list.currentIndex()).top()
    view._boxes.set_checked(range(20, 60), False)
    assert view.current_row == 100
    assert view.list.visualRect(view.list.currentIndex()).top() == y


def test_both_pages_agree_and_what_is_chosen_is_written(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    window = opened(open_window, wait_scanned, demo, "undone")
    review = window.review
    path = demo.home / "webui" / "sessions" / f"{review.session_id}.json"
    parsed = read(path).sidecar
    assert parsed is not None
    before = len(parsed.messages)
    gap = next(k for k, entry in enumerate(review.conversation.rows.entries) if entry.part == FOLD)
    rows = review.conversation.rows.gaps[0].rows
    review.conversation.list.jump_to(gap)
    click(qtbot, review.conversation, gap, TAKE)
    changes = review.difference.rows
    assert {changes.change_of(each) for each in rows} == {Change.ADDED}
    changes.act(changes.reveal(rows[0]), "check")
    assert review.conversation.rows.gap_of(rows[0]) is not None
    assert review.conversation.rows.gap_of(rows[-1]) is None
    qtbot.waitUntil(lambda: len(window.shown.choices) == 1)
    when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept())
    window.actions_["repair"].trigger()
    finished(qtbot, window, wait_scanned)
    parsed = read(path).sidecar
    assert parsed is not None
    assert len(parsed.messages) == before + len(rows) - 1


def test_ctrl_z_takes_back_a_choice_before_it_asks_about_a_repair(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    window = opened(open_window, wait_scanned, demo, "wiped")
    when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept())
    window.actions_["repair"].trigger()
    finished(qtbot, window, wait_scanned)
    chosen_of = story(demo, "undone")
    window.table.select(chosen_of)
    qtbot.waitUntil(lambda: window.review.session_id == chosen_of, timeout=60_000)
    boxes = window.review.difference.rows.boxes
    rows = window.review.conversation.rows.gaps[0].rows[:2]
    for row in rows:
        boxes.set_checked([row], True)
    with qtbot.waitActive(window):
        window.activateWindow()
    for kept in (1, 0):
        qtbot.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
        wanted = [kept > 0, False]
        qtbot.waitUntil(partial(lambda wanted: [*map(boxes.is_checked, rows)] == wanted, wanted), timeout=60_000)
    assert window.shown.choices == {}
    asked: list[UndoDialog] = []
    when_asked(qtbot, UndoDialog, lambda dialog: (asked.append(dialog), dialog.reject()))
    qtbot.keyClick(window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: bool(asked))
    qtbot.waitUntil(window.actions_["undo"].isEnabled, timeout=20_000)


def test_after_a_repair_the_whole_conversation_is_shown(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    window = opened(open_window, wait_scanned, demo, "wiped")
    count = window.review.conversation.rows.rowCount()
    when_asked(qtbot, RepairDialog, lambda dialog: dialog.accept())
    window.actions_["repair"].trigger()
    finished(qtbot, window, wait_scanned)
    conversation = window.review.conversation
    qtbot.waitUntil(lambda: not conversation.rows.has_changes, timeout=20_000)
    assert window.review.tabs.currentIndex() == CONVERSATION
    assert conversation.rows.rowCount() == count
    assert all(conversation.rows.boxes.change_of(entry.row) is Change.SAME for entry in conversation.rows.entries)


def test_the_menu_leads_to_the_changes_and_to_the_copies(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    review = opened(open_window, wait_scanned, demo, "wiped").review
    menu = review.conversation.menu_for(40)
    held = action(menu, "Copies that hold it").menu()
    assert titles(held) == ["Backup", "Database"]
    action(menu, "Show in changes").trigger()
    assert review.tabs.currentIndex() == CHANGES + MESSAGES
    assert review.difference.current_row == 40
    held.actions()[0].trigger()
    qtbot.waitUntil(lambda: review.pair == (BACKUP, "recovered"), timeout=20_000)
    action(review.conversation.menu_for(41), "Show in changes").trigger()
    qtbot.waitUntil(lambda: review.pair == (LIVE, "recovered") and review.difference.current_row == 41, timeout=20_000)


# Selecting and copying


def test_text_is_selected_across_messages_and_copied_as_it_is_read(qtbot: QtBot, view: Conversation) -> None:
    show(view, talk("How many **days**?", "Three are *enough*.\n\n- one", "And in October?"))
    drag(qtbot, view, character(view, 0, 9), character(view, 2, 3))
    text = copied(qtbot, view)
    first, second, third = text.split("\n\n", 1)[0], text, text[-3:]
    assert first == f"{conversation_outline.heading(view.rows.rows[0])}\ndays?"
    assert "Three are *enough*.\n\n- one" in second  # a whole message as it was written
    assert third == "And"


def test_a_part_of_one_message_is_copied_alone(qtbot: QtBot, view: Conversation) -> None:
    show(view, talk("How many **days** 🎂 for Naxos?"))
    drag(qtbot, view, character(view, 0, 9), character(view, 0, 13))
    assert copied(qtbot, view) == "days"
    qtbot.mouseDClick(view.list.viewport(), Qt.MouseButton.LeftButton, pos=character(view, 0, 22))
    assert copied(qtbot, view) == "Naxos"
    qtbot.keyClick(view.list, Qt.Key.Key_Escape)
    assert copied(qtbot, view) == "How many **days** 🎂 for Naxos?"


def test_what_is_selected_is_painted(qtbot: QtBot, view: Conversation) -> None:
    show(view, talk("one two", "three four"))
    drag(qtbot, view, character(view, 0, 4), character(view, 1, 5))
    image = view.list.viewport().grab().toImage()
    accent = load("light").color("accent").name()
    for at in (0, 1):
        y = view.list.visualRect(view.rows.index(at)).center().y()
        rows = range(y, view.list.visualRect(view.rows.index(at)).bottom() - 6)
        assert accent in {image.pixelColor(x, y).name() for x in range(40, 160) for y in rows}


def test_everything_is_selected_and_copied_with_the_keys(qtbot: QtBot, view: Conversation) -> None:
    show(view, talk(*(f"message {k}" for k in range(3_000))))
    view.list.setFocus()
    qtbot.keyClick(view.list, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    text = copied(qtbot, view)
    assert text.count("message ") == 3_000
    view.list.jump_to(10)
    qtbot.keyClick(view.list, Qt.Key.Key_Escape)
    for _ in range(2):
        qtbot.keyClick(view.list, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert [line for line in copied(qtbot, view).split("\n") if "message" in line] == ["message 10", "message 11"]


def test_messages_are_copied_as_markdown(qtbot: QtBot, view: Conversation) -> None:
    show(view, talk("plain", MARKDOWN))
    action(view.menu_for(1), "Copy as Markdown").trigger()
    qtbot.waitUntil(lambda: MARKDOWN.strip() in QGuiApplication.clipboard().text())
    assert QGuiApplication.clipboard().text().startswith("**Hermes")


# Finding


def find(qtbot: QtBot, view: Conversation, text: str) -> None:
    view.find_words(text)
    qtbot.waitUntil(lambda: not view.finder.is_busy)


def test_the_first_find_lets_the_window_go_on(
    qtbot: QtBot, view: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    show(view, talk("Wie heißt der Käse?", "Er heißt Kåse."))
    folds = folding._Folds()
    monkeypatch.setattr(folding, "_FOLDS", folds)
    folding._changed.cache_clear()
    view.find_words("kase")
    looked_at = len(folds)
    qtbot.waitUntil(lambda: not view.finder.is_busy)
    assert [hit.spot.row for hit in view.finder.hits] == [0, 1]
    assert looked_at < len(folds) / 2


def test_words_are_found_counted_and_marked(qtbot: QtBot, view: Conversation) -> None:
    show(
        view, talk("How many days for the ferry to Naxos?", "The **ferry** to\nNaxos: [x](http://ferry.to/Naxos)", "no")
    )
    find(qtbot, view, "FERRY to naxos")
    assert [hit.spot.row for hit in view.finder.hits] == [0, 1]
    assert view.find_bar.count.text() == "1 of 2"
    image = view.list.viewport().grab().toImage()
    seen = {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height() // 2)}
    assert {load("light").color(token).name() for token in ("accent", "add-word")} <= seen
    find(qtbot, view, "nowhere")
    assert view.find_bar.count.text() == "not found"


def test_the_keys_lead_to_the_field_and_from_hit_to_hit(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    window = opened(open_window, wait_scanned, demo, "wiped")
    view = window.review.conversation
    with qtbot.waitActive(window):
        window.activateWindow()
    view.list.setFocus()
    qtbot.keyClick(view.list, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    field = view.find_bar.field
    assert QApplication.focusWidget() is field
    qtbot.keyClicks(field, "the")
    qtbot.waitUntil(lambda: not view.finder.is_busy)
    total = len(view.finder.hits)
    assert total > 2
    start = view.finder.at
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert view.finder.at == start + 1
    view.list.setFocus()
    qtbot.keyClick(view.list, Qt.Key.Key_F3)
    assert view.finder.at == start + 2
    for _ in range(3):
        qtbot.keyClick(view.list, Qt.Key.Key_F3, Qt.KeyboardModifier.ShiftModifier)
    assert view.finder.at == (start - 1) % total
    hit = view.finder.hits[view.finder.at]
    assert view.current_row == hit.spot.row
    assert view.list.visualRect(view.list.currentIndex()).intersects(view.list.viewport().rect())
    field.setFocus()
    qtbot.keyClick(field, Qt.Key.Key_Escape)
    assert field.text() == "" and view.finder.hits == []
    assert QApplication.focusWidget() is view.list


def test_what_is_folded_left_out_or_clipped_is_found_and_shown(qtbot: QtBot, view: Conversation) -> None:
    rows = undone()
    rows.append(row(said("tool", "a needle in a result"), 5))
    rows.append(row(said("user", "hay " * 10_000 + "needle " + "hay " * 100), 6))
    rows[2] = row(said("user", "a needle that you took back"), 2, copies=(BACKUP,), reason=Reason.UNDONE)
    show(view, rows)
    find(qtbot, view, "needle")
    assert [hit.spot.row for hit in view.finder.hits] == [2, 5, 6]
    shown = []
    for _ in view.finder.hits:
        shown.append("needle" in document_text(view, view.list.current()))
        view.finder.step(1)
    assert shown == [True] * 3


def test_hits_follow_when_another_session_is_shown(qtbot: QtBot, view: Conversation) -> None:
    show(view, talk("needle", "hay"))
    find(qtbot, view, "needle")
    show(view, talk("hay", "needle needle"))
    qtbot.waitUntil(lambda: len(view.finder.hits) == 2)


# Size


@pytest.fixture
def laid_out(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The entries that were laid out, and how long their texts were."""
    seen: list[int] = []
    make = conversation_blocks.ConversationMaker.block

    def counted(
        self: conversation_blocks.ConversationMaker, at: int, width: float
    ) -> conversation_blocks.ConversationBlock:
        made = make(self, at, width)
        limit = conversation_outline.PART + 100
        assert all(placed.text.document.characterCount() <= limit for placed in made.texts)
        seen.append(at)
        return made

    monkeypatch.setattr(conversation_blocks.ConversationMaker, "block", counted)
    return seen


def test_of_many_messages_only_those_in_view_are_laid_out(
    qtbot: QtBot, view: Conversation, laid_out: list[int]
) -> None:
    thousand = talk(*(f"message {k} " + "word " * (k % 90) for k in range(1_000)))
    show(view, thousand * 100)
    bar = view.list.verticalScrollBar()
    for act in (
        lambda: view.go_to_row(50_000),
        lambda: view.resize(900, 500),
        lambda: qtbot.keyClick(view.list, Qt.Key.Key_End),
        lambda: bar.setValue(bar.maximum() // 3),
        lambda: view._boxes.set_checked([70_000], False),
    ):
        laid_out.clear()
        act()
        view.grab()
        assert len(laid_out) < 100


def test_what_is_in_view_stays_in_its_place_while_messages_above_become_known(view: Conversation) -> None:
    show(view, talk(*(f"message {k} " + "word " * (k * 7 % 200) for k in range(1_000))))
    view.go_to_row(500)
    bar = view.list.verticalScrollBar()
    for _ in range(100):
        first, last = view.list.entries_in_view()
        middle = view.rows.index((first + last) // 2)
        y = view.list.visualRect(middle).top()
        bar.setValue(bar.value() - 20)
        assert view.list.visualRect(middle).top() == y + 20


@pytest.mark.parametrize("text", ["word and another\n" * 120_000, "x" * 2_000_000], ids=["lines", "one line"])
def test_a_message_of_two_megabytes_is_clipped_and_can_be_shown_in_full(
    qtbot: QtBot, view: Conversation, laid_out: list[int], text: str
) -> None:
    show(view, [*talk("before"), row(said("assistant", text), 1), row(said("user", "behind"), 2)])
    assert any("Show all" in word and number(len(text)) in word for word in words(view, 1))
    rect = next(rect for rect, target in block(view, 1).targets if target == TEXT)
    view.list.jump_to(1)
    view.list.verticalScrollBar().setValue(view.list._heights.top(1) + int(rect.top()) - 100)
    click(qtbot, view, 1, TEXT)
    pieces = [next(view.rows.passages(entry)).source for entry in view.rows.entries if entry.row == 1]
    assert "".join(pieces) == text
    laid_out.clear()
    qtbot.keyClick(view.list, Qt.Key.Key_End)
    view.grab()
    assert len(laid_out) < 20
    view.list.jump_to(1)
    qtbot.keyClick(view.list, Qt.Key.Key_Left)
    assert len(view.rows.entries) == 3


def test_a_block_of_code_that_is_cut_goes_on_as_code() -> None:
    code = "".join(f"line {k}\n" for k in range(2_000))
    parts = list(conversation_outline.parts(f"Look:\n\n```python\n{code}```\n\nThat is **all**."))
    assert len(parts) > 2
    assert all(part.count("```") % 2 == 0 for part in parts)
    assert all(part.startswith("```python\n") for part in parts[1:-1])
    read_out = "\n".join(markdown_text.words_of(part, is_markdown=True) for part in parts)
    assert [line for line in read_out.split("\n") if line.startswith("line ")] == code.split("\n")[:-1]
    assert read_out.endswith("That is all.")


@pytest.mark.parametrize("points", [9, 10, 14])
def test_nothing_reaches_out_of_a_message_at_any_size_of_the_letters(view: Conversation, points: int) -> None:
    font = view.font()
    font.setPointSize(points)
    view.list.setFont(font)
    call = {"function": {"name": "terminal", "arguments": '{"command": "' + "git log " * 60 + '"}'}}
    rows = [*undone(), row(said("assistant", MARKDOWN + "x" * 300, tool_calls=[call]), 5, copies=(BACKUP,))]
    show(view, rows)
    width = view.list.viewport().width()
    for at in range(view.rows.rowCount()):
        made = block(view, at)
        rects = [label.rect for label in made.labels] + [placed.rect for placed in made.texts] + made.chips
        assert all(rect.left() >= 0 and rect.right() <= width for rect in rects)
        assert all(rect.bottom() <= made.height + 1 for rect in rects)


# Reading out


def test_a_screen_reader_reads_the_messages_in_order(view: Conversation) -> None:
    show(view, undone())
    found = QAccessible.queryAccessibleInterface(view.list)
    assert found.role() == QAccessible.Role.List
    assert found.text(QAccessible.Text.Name) == "Conversation"
    names = [found.child(k).text(QAccessible.Text.Name) for k in range(found.childCount())]
    assert names == lines(view)
    assert [name.rpartition(": ")[2] for name in (names[0], names[1], names[3])] == ["first", "second", "last"]
    assert names[0].startswith("You, 3 May 2026")


def test_all_of_a_message_is_read_out(view: Conversation) -> None:
    text = "word " * 600
    show(view, talk(text))
    assert lines(view)[0].count("word") == 600


def test_the_focus_is_seen(qtbot: QtBot, view: Conversation) -> None:
    show(view, talk("one", "two"))
    view.list.jump_to(1)
    accent = load("light").color("accent").name()

    def ring() -> bool:
        image = view.list.viewport().grab().toImage()
        rect = view.list.visualRect(view.rows.index(1))
        return accent in {image.pixelColor(x, rect.center().y()).name() for x in range(6, 14)}

    with qtbot.waitActive(view):
        view.activateWindow()
    view.list.setFocus()
    assert ring()
    view.find_bar.field.setFocus()
    view.list.clearFocus()
    assert not ring()


def test_tabs_are_tabs_and_say_how_much_there_is(open_window: Open, wait_scanned: Scanned, demo: DemoStore) -> None:
    review = opened(open_window, wait_scanned, demo, "wiped").review
    found = QAccessible.queryAccessibleInterface(review.tabs)
    assert found.role() == QAccessible.Role.PageTabList
    names = [found.child(k).text(QAccessible.Text.Name) for k in range(4)]
    assert names[0] == "Conversation" and names[1] == "Changes 1" and names[3] == "Raw"


def test_the_way_through_the_changes_leads_through_the_conversation(
    open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    window = opened(open_window, wait_scanned, demo, "lossy_rebuild")
    review = window.review
    starts = [run.start for run in review.difference.rows.changes]
    assert len(starts) > 1
    assert review.conversation.current_row == starts[0]
    window.actions_["next"].trigger()
    assert review.conversation.current_row == starts[1]
    review.conversation.go_to_row(0)
    window.actions_["next"].trigger()
    assert review.conversation.current_row == next(start for start in starts if start > 0)
