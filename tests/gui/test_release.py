"""Long sessions are let go a part at a time, and altogether in the end."""

from __future__ import annotations

import time
import weakref
from typing import Any

import pytest
from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.gui.background import reader
from hermes_rescue.gui.background.deferred_free import FEW, Release, release
from hermes_rescue.gui.background.jobs import Context
from PySide6.QtCore import QObject, QTimer
from pytestqt.qtbot import QtBot


class Part:
    """Something that there are many of."""

    def __del__(self) -> None:
        time.sleep(0.0005)  # as long as the layout of a message needs


def watched(count: int) -> tuple[list[object], list[weakref.ref[object]]]:
    parts: list[object] = [Part() for _ in range(count)]
    return parts, [weakref.ref(part) for part in parts]


def alive(seen: list[weakref.ref[object]]) -> int:
    return sum(ref() is not None for ref in seen)


def test_a_list_is_emptied() -> None:
    parts, seen = watched(3 * FEW + 1)
    release(parts)
    assert alive(seen) == 0


def test_the_window_lives_on_while_much_is_let_go(qtbot: QtBot) -> None:
    parts, seen = watched(4 * FEW)
    whole = tuple(parts)
    owner = QObject()
    left: list[int] = []
    timer = QTimer(owner, interval=0)
    timer.timeout.connect(lambda: left.append(alive(seen)))
    timer.start()
    Release(owner).take(parts, [whole])
    del whole
    assert alive(seen) == 4 * FEW, "what is asked for is painted first"
    qtbot.waitUntil(lambda: bool(left) and left[-1] == 0)
    timer.stop()
    assert len(set(left)) >= 3
    assert left == sorted(left, reverse=True)
    qtbot.waitUntil(lambda: not any(timer.isActive() for timer in owner.findChildren(QTimer)))


def test_a_session_that_nobody_waits_for_any_more_is_not_shown(
    demo: DemoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one was asked for when it had just been merged."""
    one, other = (story.session_id for story in demo.stories[:2])
    thread = reader.ReaderThread(lambda: find_store(home=demo.home))
    examine = reader.examine  # type: ignore[attr-defined]

    def overtaken(inventory: Any, webui: Any, session_id: str, *rest: Any, **named: Any) -> Any:
        found = examine(inventory, webui, session_id, *rest, **named)
        if session_id == one:
            thread.ask(other, None, reader.USUAL_PAIR)
        return found

    monkeypatch.setattr(reader, "examine", overtaken)
    monkeypatch.setattr(reader.ReaderThread, "_scan", lambda *_: None)
    shown: list[str] = []

    class Hearer(Context):
        def __init__(self) -> None: ...

        def partial(self, result: Any) -> None:
            name, what = result
            if name == "detailed":
                shown.append(what[1].audited.session_id)

        def should_cancel(self) -> bool:
            return bool(shown)

    thread.ask(one, None, reader.USUAL_PAIR)
    thread.run(Hearer())
    assert shown == [other]
