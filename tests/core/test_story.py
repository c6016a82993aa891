"""What is told first of a session: what happened, when, and how much, and no more of it than the copies prove."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hermes_rescue.core.audit.session import examine
from hermes_rescue.core.audit.story import part_words
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.hermes.webui_status import webui_status

from tests.core.conftest import SID, START
from tests.core.test_audit import CASES


def since_start(time: float) -> str:
    """Times of a story as seconds after the session began."""
    return f"[{time - START:.0f}]"


def stories(hermes: Any) -> list[str]:
    return [f.text(since_start) for f in hermes.audit().findings]


def test_a_save_is_told_with_what_it_lost_and_what_was_written_since(hermes: Any) -> None:
    lost, new = hermes.turns("a", "b"), hermes.turns("c", start=30)
    hermes.write_live(new)
    hermes.write_backup(lost)
    hermes.write_rows([*lost, *new])
    (story,) = stories(hermes)
    assert story.startswith(
        "A save between [14] and [30] lost all 4 messages; other copies have them. 2 were written since."
    )


def test_a_time_that_is_certain_to_the_minute_is_told_as_one(hermes: Any) -> None:
    lost, new = hermes.turns("a", "b"), hermes.turns("c", start=19)  # the clock shows the next minute at 20
    hermes.write_live(new)
    hermes.write_backup(lost)
    hermes.write_rows([*lost, *new])
    (story,) = stories(hermes)
    assert story.startswith("A save at [14] lost")


def test_the_save_of_a_file_that_did_not_go_on_is_when_that_says(hermes: Any) -> None:
    hermes.write_live([], updated_at=START + 900)
    hermes.write_backup(hermes.turns("a"))
    hermes.write_rows(hermes.turns("a"))
    (story,) = stories(hermes)
    assert story.startswith("A save between [4] and [900] lost all 2 messages; other copies have them.")


def test_the_end_of_a_session_is_told_as_that(hermes: Any) -> None:
    hermes.write_live(hermes.turns("a"))
    hermes.write_rows([*hermes.turns("a"), *hermes.turns("b", start=50)])
    (story,) = stories(hermes)
    assert story == "The last 2 messages, from [50] on, never reached the file; the database has them."


@pytest.mark.parametrize("stamp", [float("inf"), 1e300, -5.0, "yesterday", None])
def test_what_is_no_time_is_not_told(hermes: Any, stamp: object) -> None:
    hermes.live.write_text(json.dumps(hermes.session([], updated_at=stamp)))
    hermes.write_backup([{**message, "timestamp": stamp} for message in hermes.turns("a")])
    hermes.write_rows([])
    assert all("[" not in story for story in stories(hermes))


def test_what_a_person_leaves_out_was_lost_all_the_same(hermes: Any) -> None:
    hermes.write_live([])
    hermes.write_rows(hermes.turns("a", "b"))
    before = stories(hermes)
    store = find_store(home=hermes.home)
    with Inventory(store) as inventory:
        audited = examine(inventory, webui_status(store), SID, hermes.choose(exclude=[0])[SID]).audited
    assert audited is not None
    assert [f.text(since_start) for f in audited.findings] == before


@pytest.mark.parametrize("kind", CASES)
def test_every_kind_is_told_in_words(hermes: Any, kind: str) -> None:
    """No name of a field, and one thing is not "1 things"."""
    CASES[kind][0](hermes)
    for finding in (each for session in hermes.audit().sessions for each in session.findings):
        story = finding.text(lambda _: "noon")
        assert story.endswith((".", ")"))
        assert "_" not in story.replace(str(hermes.home), "").replace("_of_the_webui", "")
        assert " 1 messages" not in f" {story}"
        assert "  " not in story


def test_the_terminal_tells_it_before_the_copies(hermes: Any, rescue: Callable[..., tuple[int, str, str]]) -> None:
    hermes.write_live([], updated_at=START + 900)
    hermes.write_rows(hermes.turns("a"))
    out = rescue("show", SID, "--home", hermes.home)[1]
    assert out.index("A save between") < out.index("database")
    assert "lost all 2 messages" in out


def test_lost_calls_are_named_once_and_lost_links_where_the_calls_are_there() -> None:
    assert part_words(("tool_call_id", "tool_calls", "reasoning")) == "reasoning and tool calls"
    assert part_words(("tool_call_id",)) == "links to their tool calls"
