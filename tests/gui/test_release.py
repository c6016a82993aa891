"""Long sessions are let go a part at a time, and altogether in the end."""

from __future__ import annotations

import weakref

from hermes_rescue.gui.background.deferred_free import AT_ONCE, Release, release
from PySide6.QtCore import QObject, QTimer
from pytestqt.qtbot import QtBot


class Part:
    """Something that there are many of."""


def watched(count: int) -> tuple[list[object], list[weakref.ref[object]]]:
    parts: list[object] = [Part() for _ in range(count)]
    return parts, [weakref.ref(part) for part in parts]


def test_a_list_is_emptied() -> None:
    parts, seen = watched(3 * AT_ONCE + 1)
    release(parts)
    assert [ref for ref in seen if ref() is not None] == []


def test_the_window_lives_on_while_much_is_let_go(qtbot: QtBot) -> None:
    parts, seen = watched(3 * AT_ONCE + 1)
    owner = QObject()
    left: list[int] = []
    timer = QTimer(owner, interval=0)
    timer.timeout.connect(lambda: left.append(sum(ref() is not None for ref in seen)))
    timer.start()
    Release(owner).take(parts)
    qtbot.waitUntil(lambda: bool(left) and left[-1] == 0)
    timer.stop()
    assert len(set(left)) >= 3
    assert left == sorted(left, reverse=True)


def test_what_is_little_is_gone_at_once(qtbot: QtBot) -> None:
    parts, seen = watched(7)
    Release(owner := QObject()).take(parts)
    assert [ref for ref in seen if ref() is not None] == []
    assert not any(timer.isActive() for timer in owner.findChildren(QTimer))
