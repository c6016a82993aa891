"""Large text on a small screen: at 1280x800 and 14 points nothing that people need is cut off or out of reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.shell.main_window import MainWindow
from hermes_rescue.gui.view_model.formatting import long_day
from hermes_rescue.gui.view_model.session_rows import Column
from hermes_rescue.gui.widgets.elided_label import ElidedLabel
from PySide6.QtCore import QPoint, QRect, QSize
from PySide6.QtGui import QFont, QFontInfo, QScreen
from PySide6.QtWidgets import QAbstractButton, QApplication, QDialog, QPlainTextEdit, QScrollArea, QWidget
from pytestqt.qtbot import QtBot

Open = Callable[..., MainWindow]
Scanned = Callable[[MainWindow], None]
ROOM = (1280, 760)  # what a title bar and a panel leave of 1280x800
FRAME = 37  # points of the title bar and the borders of a usual desktop


@pytest.fixture(params=[9, 14])
def points(request: pytest.FixtureRequest) -> Iterator[int]:
    """The size of the system's text, in points."""
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    before, font = app.font(), QFont(app.font())
    font.setPointSizeF(request.param)
    app.setFont(font)
    yield request.param
    app.setFont(before)
    app.setProperty("systemPointSize", None)


@pytest.fixture
def window(open_window: Open, demo: DemoStore, points: int) -> MainWindow:
    shown = open_window(StoreLocation(demo.home))
    shown.resize(*ROOM)
    assert (shown.width(), shown.height()) == ROOM
    return shown


def cut(parts: list[QWidget], window: MainWindow) -> list[str]:
    """The texts of buttons that are narrower than these, or reach out of the window."""
    buttons = [part for part in parts if isinstance(part, QAbstractButton) and part.isVisible() and part.text()]
    return [
        part.text()
        for part in buttons
        if part.width() < part.sizeHint().width()
        or not window.rect().contains(QRect(part.mapTo(window, QPoint()), part.size()))
    ]


def shown(label: ElidedLabel) -> str:
    return label._elided()


def test_every_story_has_its_date_its_buttons_and_what_was_left_out_in_view(
    window: MainWindow, wait_scanned: Scanned, demo: DemoStore
) -> None:
    head, picture = window.review.head, window.review.coverage
    (area,) = (each for each in head.findChildren(QScrollArea) if each.widget() is picture)
    for story in demo.stories:
        assert window.table.select(story.session_id)
        wait_scanned(window)
        QApplication.processEvents()
        assert cut(head.findChildren(QWidget), window) == [], story.name
        assert area.verticalScrollBar().maximum() == 0, story.name
        row = window.table.sessions.known(story.session_id)
        assert row is not None
        assert long_day(row.session.updated), story.name
        assert shown(head.about).startswith(long_day(row.session.updated)), story.name
        assert "…" not in shown(head.about), story.name
        assert ("…" in head.evidence.text()) == head.evidence.more.isVisible(), story.name
        assert not head.evidence.more.isVisible() or len(head.evidence.accessibleName()) > 150, story.name


@pytest.mark.parametrize("is_table", [False, True])
def test_every_page_can_be_reached_beside_the_list_and_beside_the_table(window: MainWindow, is_table: bool) -> None:
    if is_table:
        window.actions_["table"].trigger()
    QApplication.processEvents()
    tabs = window.review.tabs
    for at in range(tabs.count()):
        assert tabs.tabRect(at).width() >= tabs.tabSizeHint(at).width(), tabs.tabText(at)
        assert tabs.rect().contains(tabs.tabRect(at)), tabs.tabText(at)
    assert window.width() == ROOM[0]


def test_whether_a_webui_runs_is_said_in_whole_words(window: MainWindow) -> None:
    said = shown(window.chips._webui)
    assert said
    assert "…" not in said


def test_the_json_is_as_large_as_every_other_text(window: MainWindow, points: int) -> None:
    for page in window.review.difference.raw.findChildren(QPlainTextEdit):
        assert QFontInfo(page.font()).pointSizeF() == pytest.approx(points, rel=0.1)


def test_a_page_without_fields_says_so(
    qtbot: QtBot, window: MainWindow, wait_scanned: Scanned, demo: DemoStore
) -> None:
    assert window.table.select(next(each.session_id for each in demo.stories if each.name == "healthy"))
    wait_scanned(window)
    window.review.tabs.setCurrentIndex(2)
    fields = window.review.difference.fields
    assert fields.isVisible()
    assert fields._face.isVisible() == (fields.fields.rowCount() == 0)


def test_the_table_shows_status_title_and_date_without_a_sideways_scroll(window: MainWindow) -> None:
    window.actions_["table"].trigger()
    QApplication.processEvents()
    table = window.table.table
    assert table.horizontalScrollBar().maximum() == 0
    for column in (Column.STATUS, Column.TITLE, Column.UPDATED, Column.LIVE, Column.AFTER):
        assert not table.isColumnHidden(column), column.name


def test_a_link_that_has_the_keyboard_keeps_its_words(window: MainWindow) -> None:
    window.review.head.why.click()
    link = window.review.head.popup.guide
    assert link.hasFocus()
    assert link.sizeHint().width() <= link.width()
    window.review.head.popup.hide()


def test_no_scroll_bar_is_left_where_there_is_no_picture(
    qtbot: QtBot, window: MainWindow, wait_scanned: Scanned, demo: DemoStore
) -> None:
    window.table.select(next(story.session_id for story in demo.stories if story.name == "undone"))
    (area,) = (each for each in window.review.head.findChildren(QScrollArea) if each.widget() is window.review.coverage)
    wait_scanned(window)
    window.resize(ROOM[0], 420)  # the picture of three copies does not fit
    qtbot.waitUntil(lambda: area.verticalScrollBar().maximum() > 0)
    window.review.show_text("A title", "Its copies are being read.")
    qtbot.waitUntil(lambda: area.verticalScrollBar().maximum() == 0)


def test_the_list_has_its_share_of_a_large_window_until_a_person_moves_the_line(
    qtbot: QtBot, window: MainWindow, points: int
) -> None:
    line = 60 * window.table.fontMetrics().averageCharWidth()
    window.resize(2560, 1400)
    assert window.splitter.sizes()[0] >= line
    window.resize(*ROOM)
    assert window.splitter.sizes()[0] < ROOM[0] // 3
    window.splitter.moveSplitter(500, 1)
    chosen = window.splitter.sizes()[0]
    window.resize(2560, 1400)
    assert window.splitter.sizes()[0] == chosen


def test_the_first_window_fits_the_screen_with_its_frame(open_window: Open, demo: DemoStore) -> None:
    window = open_window(StoreLocation(demo.home))
    assert window.height() + FRAME <= window.screen().availableSize().height()


def test_in_a_small_window_a_word_can_be_typed_to_be_found_and_every_page_has_its_name(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    window.resize(825, 516)
    window.table.select(next(each.session_id for each in demo.stories if each.name == "wiped"))
    wait_scanned(window)
    bar, tabs, width = window.review.conversation.find_bar, window.review.tabs, window.review.width()
    assert width > window.width() / 2
    with qtbot.waitSignal(window.review.conversation.finder.changed):
        window.review.conversation.find_words("migration")
    QApplication.processEvents()
    assert bar.next.isVisible()
    assert bar.field.cursorPositionAt(QPoint(0, bar.field.height() // 2)) == 0
    assert window.review.width() == width  # nothing moves for that
    letters = tabs.fontMetrics().horizontalAdvance("Raw")
    assert [tabs.tabText(k) for k in range(tabs.count()) if tabs.tabRect(k).width() < letters + 24] == []
    assert tabs.tabRect(tabs.count() - 1).right() <= tabs.width()


@pytest.mark.parametrize("name", ["guide", "help", "about"])
def test_no_dialog_is_larger_than_a_small_screen(
    open_window: Open, demo: DemoStore, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    window = open_window(StoreLocation(demo.home))
    monkeypatch.setattr(QScreen, "availableSize", lambda _: QSize(825, 516))
    before = set(QApplication.topLevelWidgets())
    window.actions_[name].trigger()
    (dialog,) = (each for each in set(QApplication.topLevelWidgets()) - before if isinstance(each, QDialog))
    size = dialog.size()
    dialog.close()
    assert size.width() <= 825 and size.height() <= 516 - FRAME
