"""About: the version, whose work this is made with, and what a bug report has to say."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from typing import Any

from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.shell.about import AboutDialog
from PySide6.QtWidgets import QApplication, QLabel, QPlainTextEdit
from pytestqt.qtbot import QtBot


def test_about_names_version_and_licences_and_copies_the_diagnostics(
    qtbot: QtBot, open_window: Callable[..., Any], demo: DemoStore
) -> None:
    window = open_window(StoreLocation(demo.home))
    window.actions_["about"].trigger()
    (about,) = window.findChildren(AboutDialog)
    with qtbot.waitActive(about):
        pass
    version = importlib.metadata.version("hermes-rescue")
    assert any(f"Hermes Rescue {version}" in label.text() for label in about.findChildren(QLabel))
    (texts,) = about.findChildren(QPlainTextEdit)
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in texts.toPlainText()
    about.copy.click()
    copied = QApplication.clipboard().text()
    assert f"hermes rescue: {version}" in copied
    assert f"sessions: {len(window.shown.audit.sessions)}" in copied
    assert str(demo.home) not in copied
    about.close()
