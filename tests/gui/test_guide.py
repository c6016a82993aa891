"""The guide: F1 leads to what was found in the selected session, and every page can be reached without a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core.audit.findings import KINDS
from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.shell.main_window import MainWindow
from hermes_rescue.gui.view_model import guide_pages
from hermes_rescue.gui.widgets.guide import GuideWindow
from PySide6.QtCore import QPoint, Qt, QUrl
from PySide6.QtGui import QTextDocument
from pytestqt.qtbot import QtBot

Open = Callable[..., MainWindow]
Scanned = Callable[[MainWindow], None]
F1 = Qt.Key.Key_F1


def guide_of(window: MainWindow) -> GuideWindow:
    (guide,) = window.findChildren(GuideWindow)
    return guide


def press_f1(qtbot: QtBot, window: MainWindow) -> GuideWindow:
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    qtbot.keyClick(window, F1)
    guide = guide_of(window)
    qtbot.waitUntil(guide.isVisible)
    return guide


def heading_at_top(guide: GuideWindow) -> str:
    """The heading that is nearest to the upper edge of what is shown."""
    block = guide.pages.cursorForPosition(QPoint(20, 4)).block()
    while block.isValid() and not block.blockFormat().headingLevel():
        block = block.next()
    return block.text()


@pytest.mark.parametrize(
    ("story", "kind"), [("wiped", "shrunken_live"), ("behind_the_database", "state_db_ahead"), ("undone", "")]
)
def test_f1_opens_the_guide_at_what_was_found(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, story: str, kind: str
) -> None:
    window = open_window(StoreLocation(demo.home))
    assert window.table.select(next(each.session_id for each in demo.stories if each.name == story))
    wait_scanned(window)
    guide = press_f1(qtbot, window)
    if kind:
        assert kind in heading_at_top(guide)
        assert KINDS[kind].label in heading_at_top(guide).lower()
    else:  # a healthy session
        assert guide.pages.place == guide_pages.INDEX
    guide.close()


@pytest.mark.parametrize("by_key", [False, True])
def test_the_answers_lead_to_the_same_place(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, by_key: bool
) -> None:
    window = open_window(StoreLocation(demo.home))
    assert window.table.select(next(each.session_id for each in demo.stories if each.name == "behind_the_database"))
    wait_scanned(window)
    window.review.head.why.click()
    popup = window.review.head.popup
    if by_key:
        qtbot.keyClick(popup, F1)
    else:
        qtbot.mouseClick(popup.guide, Qt.MouseButton.LeftButton)
    assert not popup.isVisible()
    guide = guide_of(window)
    qtbot.waitUntil(guide.isVisible)
    assert "state_db_ahead" in heading_at_top(guide)
    guide.close()


def test_without_a_session_f1_opens_the_index_and_the_window_stays_usable(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore, tmp_path: Path
) -> None:
    nowhere = open_window(StoreLocation(tmp_path / "nowhere"), wait=False)
    qtbot.waitUntil(nowhere.no_store.isVisible)
    guide = press_f1(qtbot, nowhere)
    assert guide.pages.place == guide_pages.INDEX
    assert not guide.isModal()
    guide.close()


def test_there_is_one_guide_that_follows_and_leads_back(
    qtbot: QtBot, open_window: Open, wait_scanned: Scanned, demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    for name in ("wiped", "behind_the_database"):
        assert window.table.select(next(each.session_id for each in demo.stories if each.name == name))
        wait_scanned(window)
        guide = press_f1(qtbot, window)
    assert "state_db_ahead" in heading_at_top(guide)
    guide.index.click()
    assert guide.pages.place == guide_pages.INDEX
    guide.back.click()
    assert "state_db_ahead" in heading_at_top(guide)
    guide.back.click()
    assert "shrunken_live" in heading_at_top(guide)
    assert not guide.back.isEnabled()
    guide.forward.click()
    assert guide.forward.isEnabled()
    guide.close()


def test_other_colours_reach_the_links_of_the_page_that_is_open(
    qtbot: QtBot, open_window: Open, demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    guide = press_f1(qtbot, window)
    place = guide.pages.place
    for theme in ("light", "contrast"):
        window.actions_[f"theme_{theme}"].trigger()
        qtbot.waitUntil(lambda: link_colours(guide) == {guide.palette().link().color().name()})
    assert guide.pages.place == place
    guide.close()


def link_colours(guide: GuideWindow) -> set[str]:
    found = set()
    block = guide.pages.document().begin()
    while block.isValid():
        at = block.begin()
        while not at.atEnd():
            form = at.fragment().charFormat()
            if form.anchorHref():
                found.add(form.foreground().color().name())
            at += 1
        block = block.next()
    return found


@pytest.fixture
def guide(qtbot: QtBot) -> Any:
    window = GuideWindow(None)  # type: ignore[arg-type]
    window.show()
    yield window
    window.close()


def test_every_page_is_shown_with_its_links_and_pictures(qtbot: QtBot, guide: GuideWindow) -> None:
    reached, waiting = set(), [guide_pages.INDEX]
    while waiting:
        place = waiting.pop()
        if place in reached:
            continue
        reached.add(place)
        guide.show_place(place)
        assert guide.pages.toPlainText().strip()
        block = guide.pages.document().begin()
        while block.isValid():
            at = block.begin()
            while not at.atEnd():
                form = at.fragment().charFormat()
                if form.isImageFormat():
                    name = QUrl(form.toImageFormat().name())
                    picture = guide.pages.loadResource(QTextDocument.ResourceType.ImageResource.value, name)
                    assert not picture.isNull()
                    assert picture.width() <= guide.pages.viewport().width()
                elif form.anchorHref():
                    waiting.append(form.anchorHref())
                at += 1
            block = block.next()
    assert {place.partition("#")[0] for place in reached} == set(guide_pages.names())


@pytest.mark.parametrize("place", ["file", "beside", "absolute", "net"])
def test_nothing_but_the_guide_is_loaded(qtbot: QtBot, guide: GuideWindow, tmp_path: Path, place: str) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text("secret")
    addresses = {
        "file": secret.as_uri(),
        "beside": f"guide:/../../../../../..{secret}",
        "absolute": f"guide:/{secret}",
        "net": "http://127.0.0.1:9/secret.md",
    }
    guide.show_place(guide_pages.INDEX)
    assert not guide.pages.loadResource(QTextDocument.ResourceType.MarkdownResource.value, QUrl(addresses[place]))
