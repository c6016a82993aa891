"""What is told of the work on one session while it is done: it moves, it never goes back, and it can be stopped."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit import session
from hermes_rescue.core.audit.store_audit import audit
from hermes_rescue.core.base import progress
from hermes_rescue.core.base.progress import Cancelled, Steps
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.store import Store, find_store
from hermes_rescue.core.hermes.webui_status import webui_status
from hermes_rescue.core.repair.outcomes import State

SID = "3f2a9c51b7d0"


@pytest.fixture
def store(hermes: Any, monkeypatch: pytest.MonkeyPatch) -> Store:
    """One session that takes long: each of its messages is told. Its file lacks the last ones."""
    monkeypatch.setattr(progress, "INTERVAL", 0)
    said = hermes.turns(*(f"word {k}" for k in range(100)))
    hermes.write_live(said[:-4])
    hermes.write_rows(said, message_count=len(said))
    return find_store(home=hermes.home)


class Watch:
    """Takes note of the progress, and asks to stop when it has come so far."""

    def __init__(self, stop_at: float = 2.0) -> None:
        self.told: list[float] = []
        self._stop_at = stop_at

    def progress(self, done: float, total: int) -> None:
        assert total == 1
        self.told.append(done)

    def should_cancel(self) -> bool:
        return bool(self.told) and self._stop_at <= self.told[-1] < 1


def work(name: str, store: Store) -> Callable[[Watch], Any]:
    if name == "audit":
        return lambda watch: audit(store, progress=watch.progress, should_cancel=watch.should_cancel)
    if name == "plan":
        return lambda watch: api.plan(store, progress=watch.progress, should_cancel=watch.should_cancel)
    plan = api.plan(store)
    return lambda watch: api.apply(plan, progress=watch.progress, should_cancel=watch.should_cancel)


@pytest.mark.parametrize("name", ["audit", "plan", "apply"])
def test_the_progress_moves_within_a_session_and_ends_at_its_end(store: Store, name: str) -> None:
    watch = Watch()
    work(name, store)(watch)
    assert all(one <= next_ for one, next_ in pairwise(watch.told))
    assert (watch.told[0], watch.told[-1]) == (0, 1)
    steps_between = [next_ - one for one, next_ in pairwise(sorted({*watch.told}))]
    assert len(steps_between) > 200  # the messages of the file, the rows of the database


@pytest.mark.parametrize("part", [0.05, 0.3, 0.5])
@pytest.mark.parametrize("name", ["audit", "plan"])
def test_looking_at_a_session_stops_in_the_midst_of_it(store: Store, name: str, part: float) -> None:
    watch = Watch(part)
    with pytest.raises(Cancelled):
        work(name, store)(watch)
    assert part <= watch.told[-1] < part + 0.2


def test_a_session_that_is_merged_is_handed_back(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asked decides how to let go of it: a long one is too much for one moment."""
    merged: list[object] = []
    propose = session.propose  # type: ignore[attr-defined]

    def noted(*args: Any, **named: Any) -> Any:
        merged.append(propose(*args, **named))
        return merged[-1]

    monkeypatch.setattr(session, "propose", noted)
    with Inventory(store) as inventory:
        found = session.examine(inventory, webui_status(store), SID, steps=Steps(should_cancel=lambda: bool(merged)))
    assert merged == [found.proposal]


@pytest.mark.parametrize("part", [0.05, 0.3])
def test_a_repair_that_is_stopped_before_it_writes_a_session_leaves_that_as_it_was(
    hermes: Any, store: Store, part: float
) -> None:
    before = hermes.live.read_bytes()
    result = work("apply", store)(Watch(part))
    assert ([o.state for o in result.outcomes], result.cancelled) == ([State.CANCELLED], True)
    assert hermes.live.read_bytes() == before
    assert hermes.repair().count(State.REPAIRED) == 1


def test_a_repair_that_has_begun_to_write_a_session_writes_it_whole(hermes: Any, store: Store) -> None:
    watch = Watch()
    result = api.apply(api.plan(store), progress=watch.progress, should_cancel=lambda: watch.told[-1:] > [0.8])
    assert (result.count(State.REPAIRED), result.cancelled) == (1, False)
    assert len(hermes.texts()) == 200


def test_however_wrong_the_count_is_the_way_goes_on() -> None:
    for count in (-5, 0, 3, 10**12):
        told: list[float] = []
        way = Steps(told.append)
        way._next = 0.0
        for share in (0.5, 1.0):
            assert list(way.over(iter("abcdef"), count, share)) == list("abcdef")
        way.step(1.0)
        assert all(0 <= one <= next_ <= 1 for one, next_ in pairwise(told))
