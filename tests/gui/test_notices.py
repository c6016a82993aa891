"""A notice about the store takes one line of the list, and opens."""

from __future__ import annotations

from hermes_rescue.gui.widgets.banners import StoreNotices
from hermes_rescue.gui.widgets.theme import load
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLabel, QToolButton
from pytestqt.qtbot import QtBot

LINES = ["3 places add messages.", *(f"/srv/backups/of-may/{k}: adds 12 messages to 4 sessions." for k in range(3))]


def test_many_lines_take_one_until_they_are_opened(qtbot: QtBot) -> None:
    notices = StoreNotices(load("light"))
    qtbot.addWidget(notices)
    notices.resize(400, 10)
    notices.places.show_text(LINES[0], "info")
    with qtbot.waitExposed(notices):
        notices.show()
    notices.adjustSize()
    notices.resize(400, notices.sizeHint().height())
    one, more = notices.places.height(), notices.places.findChild(QToolButton)
    assert more is not None and not more.isVisible()
    notices.places.show_text("\n".join(LINES), "info")
    assert notices.places.sizeHint().height() <= one + 4
    assert notices.places.text == "\n".join(LINES)
    label = next(each for each in notices.places.findChildren(QLabel) if each.text())
    assert label.text() == LINES[0]
    qtbot.mouseClick(more, Qt.MouseButton.LeftButton)
    assert label.text() == "\n".join(LINES)
    assert notices.places.heightForWidth(400) > 2 * one
    qtbot.mouseClick(more, Qt.MouseButton.LeftButton)
    assert label.text() == LINES[0]


def test_a_long_sentence_is_cut_and_read_out_in_full(qtbot: QtBot) -> None:
    notices = StoreNotices(load("light"))
    qtbot.addWidget(notices)
    sentence = "Hermes WebUI is running. " + "Everything else waits until it is stopped. " * 3
    notices.webui.show_text(sentence, "info")
    notices.resize(400, 60)
    with qtbot.waitExposed(notices):
        notices.show()
    label = next(each for each in notices.webui.findChildren(QLabel) if each.text())
    assert label.text().endswith("…")
    assert notices.webui.accessibleName() == sentence
    notices.webui.show_text("Short.", "info")
    assert label.text() == "Short."
    notices.webui.hide()
    QApplication.processEvents()
    notices.webui.show_text(sentence, "info")  # its button comes now, and takes room from it
    QApplication.processEvents()
    assert label.text().endswith("…") and label.fontMetrics().horizontalAdvance(label.text()) <= label.width()


def test_one_line_says_what_has_become_of_a_file_rather_than_where_it_lies(qtbot: QtBot) -> None:
    notices = StoreNotices(load("light"))
    qtbot.addWidget(notices)
    sentence = "/srv/people/home/of/somebody/.hermes/state.db: Another program holds it for itself alone."
    notices.store.show_text(sentence, "repair")
    notices.resize(400, 60)
    with qtbot.waitExposed(notices):
        notices.show()
    label = next(each for each in notices.store.findChildren(QLabel) if each.text())
    more = notices.store.findChild(QToolButton)
    assert more is not None and more.isVisible()
    assert label.text().startswith("state.db: A")
    qtbot.mouseClick(more, Qt.MouseButton.LeftButton)
    assert label.text() == sentence


def test_that_all_is_well_is_said_in_full_in_a_narrow_place(qtbot: QtBot) -> None:
    notices = StoreNotices(load("light"))
    qtbot.addWidget(notices)
    notices.healthy.show_text("Nothing to repair in 43 sessions, 29 November 2026 at 14:05.", "ok")
    notices.show()
    notices.resize(300, notices.heightForWidth(300))
    (label,) = (each for each in notices.healthy.findChildren(QLabel) if each.text())
    assert label.text() == notices.healthy.text
    assert label.height() >= label.heightForWidth(label.width())
