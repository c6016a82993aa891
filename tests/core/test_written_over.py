"""What is gone again after a repair, and no WebUI has saved over: that it did is not said of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit import written_over
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.hermes.webui_status import webui_status

from .conftest import ACT, Hermes

Value = dict[str, Any]


def behind_its_rows(hermes: Hermes) -> list[Value]:
    """Write a session whose last turn only the rows have; the messages of all."""
    turns = hermes.turns("a", "b", "c")
    hermes.write_live(turns[:4])
    hermes.write_rows(turns)
    return turns


def lose_more(hermes: Hermes, turns: Sequence[Value], **fields: Any) -> None:
    """The session goes on with two turns, and the file loses the second of them."""
    kept = hermes.load()["messages"]
    later = hermes.turns("d", "e", start=ACT + 900.0)
    hermes.write_live([*kept, *later[:2]], **fields, updated_at=later[1]["timestamp"])
    (hermes.home / "state.db").unlink()
    hermes.write_rows([*turns, *later])


def takes_back(hermes: Hermes, turns: Sequence[Value]) -> None:
    marks = hermes.undo_marks(turns[:4])
    hermes.write_live(turns[:4], **marks)
    del marks["updated_at"]
    lose_more(hermes, turns, **marks)


def leaves_out(hermes: Hermes, turns: Sequence[Value]) -> None:
    api.apply(api.plan(find_store(home=hermes.home), choices=hermes.choose(exclude=[4, 5])))
    lose_more(hermes, turns)


def clears(hermes: Hermes, turns: Sequence[Value]) -> None:
    cleared = hermes.cleared
    hermes.write_live([], **cleared)
    del cleared["updated_at"]
    lose_more(hermes, turns, **cleared)


@pytest.mark.parametrize("acts", [takes_back, leaves_out, clears])
def test_nor_of_what_is_lost_after_a_person_acted(
    hermes: Hermes, acts: Callable[[Hermes, Sequence[Value]], None]
) -> None:
    turns = behind_its_rows(hermes)
    hermes.repair()
    assert hermes.texts() == hermes.said(turns)
    acts(hermes, turns)
    (session,) = hermes.audit().sessions
    assert session.findings and not session.is_written_over


def test_nor_of_a_file_that_was_put_back(hermes: Hermes) -> None:
    behind_its_rows(hermes)
    copy = shutil.copy2(hermes.live, hermes.home)
    hermes.repair()
    shutil.copy2(copy, hermes.live)
    (session,) = hermes.audit().sessions
    assert session.findings and not session.is_written_over


def test_nor_of_a_file_that_is_gone_by_now(hermes: Hermes) -> None:
    turns = behind_its_rows(hermes)
    hermes.repair()
    hermes.write_live(turns[:4])
    store = find_store(home=hermes.home)
    (session,) = hermes.audit().sessions
    hermes.live.unlink()
    found = written_over.marked(session, written_over.read(store), store, webui_status(store))
    assert found == session


def test_nor_of_what_an_older_version_may_have_taken_back(hermes: Hermes) -> None:
    turns = hermes.turns("a", "b", "c")
    hermes.write_old(hermes.live, turns[:4])
    hermes.write_rows(turns)
    hermes.repair(hermes.live.stem)
    repaired = hermes.load()
    assert hermes.said(repaired["messages"]) == hermes.said(turns)
    later = {"updated_at": repaired["updated_at"] + ACT, "message_count": 4, "messages": turns[:4]}
    hermes.write(hermes.live, {**repaired, **later})
    assert api.plan(find_store(home=hermes.home)).questions
    assert not hermes.audit().sessions[0].is_written_over


def test_it_is_said_of_what_was_saved_over(hermes: Hermes) -> None:
    turns = behind_its_rows(hermes)
    hermes.repair()
    later = hermes.turns("d", start=ACT)
    hermes.write_live([*turns[:4], *later])
    assert hermes.audit().sessions[0].is_written_over
