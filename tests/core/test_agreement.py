"""The short way past the merge is taken by whole sessions, and never hides what the merge would find."""

from __future__ import annotations

import copy
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import audit
from core.copies import Inventory
from core.demo import make_demo_store
from core.store import Store, find_store, webui_status

from .conftest import SID, Hermes
from .test_lives import lives, played, thorough

CALL = {"id": "call_7", "type": "function", "function": {"name": "terminal", "arguments": "{}"}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def transcript() -> list[dict[str, Any]]:
    """Two turns, one with a tool call, in the words of a sidecar."""
    said = [
        {"role": "user", "content": 'look\tat "it"'},
        {"role": "assistant", "content": "", "tool_calls": [CALL], "reasoning": "why\nnot"},
        {"role": "tool", "content": "größer", "tool_call_id": "call_7", "tool_name": "terminal"},
        {"role": "assistant", "content": "done \\ 🚀", "finish_reason": "stop"},
        {"role": "user", "content": "continue"},
        {"role": "assistant", "content": "continued"},
    ]
    return [{**message, "timestamp": 1.75e9 + 20 * k} for k, message in enumerate(said)]


def took_the_short_way(inventory: Inventory, session_id: str) -> bool:
    """Whether one session needs no merge; whatever way it takes, the result must be that of the merge."""
    webui = webui_status(inventory.store)
    merged, _, proposal = audit.examine(inventory, webui, session_id)
    assert audit.examine_unless_whole(inventory, webui, session_id)[0] == merged
    is_short = audit.whole(inventory.files(session_id), inventory.spoken(session_id)) is not None
    assert not (is_short and proposal.sidecar is not None)
    return is_short


def short_ways(store: Store) -> dict[str, bool]:
    with Inventory(store) as inventory:
        return {session_id: took_the_short_way(inventory, session_id) for session_id in inventory.session_ids()}


@contextmanager
def stored(live: list[Any], rows: list[Any], **fields: Any) -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as folder:
        hermes = Hermes(Path(folder) / "hermes")
        hermes.sessions.mkdir(parents=True)
        hermes.write_live(live, **fields)
        hermes.write_rows(rows)
        yield find_store(home=hermes.home)


def test_a_whole_session_takes_the_short_way() -> None:
    with stored(transcript(), transcript()) as store:
        assert short_ways(store) == {SID: True}


def test_a_whole_session_with_a_picture_takes_the_short_way() -> None:
    said = transcript()
    said[0]["content"] = [{"type": "text", "text": "look"}, PICTURE]
    rows = copy.deepcopy(said)
    rows[0]["content"][0]["text"] = "[Workspace::v1: /srv/notes]\nlook"
    with stored(said, rows) as store:
        assert short_ways(store) == {SID: True}


def test_a_row_whose_text_is_a_blob_has_the_findings_of_the_merge() -> None:
    with stored(transcript(), transcript()) as store:
        with closing(sqlite3.connect(store.databases[0])) as database:
            database.execute("UPDATE messages SET content = CAST(content AS BLOB)")
            database.commit()
        short_ways(store)


def test_a_session_of_which_the_database_has_a_part_takes_the_short_way() -> None:
    with stored(transcript(), transcript()[2:5]) as store:
        assert short_ways(store) == {SID: True}


OTHER: dict[str, list[Any]] = {
    "role": ["assistant", "user", "system", None],
    "content": ["continue", "continued", "look at it", "", None, ["parts"], [{"type": "text", "text": "continue"}],
                "[Workspace::v1: /srv/notes]\ncontinue", "\0json:[1]", "continu", "***", "\ud83d", [],
                [{"type": "text", "text": "[Workspace::v1: /srv/notes]\nlook"}, PICTURE], [PICTURE], [{"type": "text"}],
                [PICTURE, {"type": "text", "text": "look"}], [{"type": "text", "text": "look"}, PICTURE, 2**70]],
    "timestamp": [1.75e9 + 14, 1.75e9 + 16, 1.75e9 + 80, 5, None, "late"],
    "tool_calls": [[], [CALL], [{**CALL, "id": "call_8"}], [{**CALL, "id": None, "call_id": "call_7"}], None, "none"],
    "tool_call_id": ["call_7", "call_8", "", None],
    "reasoning": ["because", "", None],
    "reasoning_content": ["because", None],
    "attachments": [[{"name": "a.png"}]],
}  # fmt: skip

CHANGES: list[Any] = [(name, value) for name, values in OTHER.items() for value in values]
EDITS = [(at, what) for at in range(6) for what in ("drop", "twice", "swap", *CHANGES)]
STATUSES = [("active", 0), ("compacted", 1)]


def edited(messages: list[dict[str, Any]], edit: tuple[int, Any]) -> list[dict[str, Any]]:
    at, what = edit
    messages = copy.deepcopy(messages)
    if what == "drop":
        del messages[at]
    elif what == "twice":
        messages.insert(at, copy.deepcopy(messages[at]))
    elif what == "swap":
        messages[at - 1], messages[at] = messages[at], messages[at - 1]
    else:
        messages[at][what[0]] = what[1]
    return messages


def storable(row: dict[str, Any]) -> bool:
    """Whether the agent's own table could hold it."""
    is_told = isinstance(row["role"], str) and isinstance(row["timestamp"], float)
    return is_told and "attachments" not in row and "\ud83d" not in (row["content"] or "")


def test_whatever_differs_in_one_place_the_result_is_that_of_the_merge(hermes: Hermes) -> None:
    cases = [(edited(transcript(), edit), transcript()) for edit in EDITS]
    cases += [(transcript(), edited(transcript(), edit)) for edit in EDITS]
    cases += [(edited(transcript(), edit), edited(transcript(), edit)) for edit in EDITS]
    cases += [(transcript(), edited(transcript(), (at, status))) for at in range(6) for status in STATUSES]
    for number, (live, rows) in enumerate(cases):
        sid = f"{number:012x}"
        hermes.write(hermes.sessions / f"{sid}.json", hermes.session(live, session_id=sid))
        hermes.write_rows(filter(storable, rows), sid=sid, title=sid)
    found = short_ways(find_store(home=hermes.home))
    assert len(found) == len(cases) and any(found.values())


@thorough
@given(st.lists(st.sampled_from(EDITS), max_size=3), st.lists(st.sampled_from(EDITS), max_size=3))
def test_whatever_differs_in_some_places_the_result_is_that_of_the_merge(on_live: Any, on_rows: Any) -> None:
    live, rows = transcript(), transcript()
    for at, what in on_live:
        live = edited(live, (min(at, len(live) - 1), what))
    for at, what in on_rows:
        rows = edited(rows, (min(at, len(rows) - 1), what))
    with stored(live, [*filter(storable, rows)]) as store:
        short_ways(store)


@pytest.mark.parametrize(
    "fields",
    [
        {"active_stream_id": "s1"},
        {"pending_user_message": "and?"},
        {"message_count": 99},
        {"workspace": None},
        {"session_id": "0123456789ab"},
        {"title": None, "worktree_path": "/nowhere", "updated_at": "late"},
    ],
)
def test_a_head_with_something_wrong_in_it_is_found(fields: dict[str, Any]) -> None:
    with stored(transcript(), transcript(), **fields) as store:
        short_ways(store)


@thorough
@given(st.lists(lives, min_size=1, max_size=2))
def test_random_lives_have_the_findings_of_the_merge(drawn: Any) -> None:
    with played(drawn) as (store, _):
        short_ways(store)


def test_every_story_of_the_demo_store_has_the_findings_of_the_merge(tmp_path: Path) -> None:
    assert any(short_ways(find_store(home=make_demo_store(tmp_path / "demo").home)).values())


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_every_real_session_has_the_findings_of_the_merge(corpus: Callable[[str], Path], name: str) -> None:
    assert any(short_ways(find_store(home=corpus(name) / "store")).values())
