"""The short way past the merge is taken by whole sessions, and never hides what the merge would find."""

from __future__ import annotations

import copy
import json
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core.audit import session
from hermes_rescue.core.base.progress import Steps
from hermes_rescue.core.demo.demo_store import make_demo_store
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.store import Store, find_store
from hermes_rescue.core.hermes.webui_status import webui_status
from hypothesis import given
from hypothesis import strategies as st

from ..conftest import some
from .conftest import SID, Hermes
from .lives import life
from .test_lives import lives, played, thorough

CALL = {"id": "call_7", "type": "function", "function": {"name": "terminal", "arguments": "{}"}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def transcript() -> list[dict[str, Any]]:
    """Two turns, one with a tool call, in the words of a sidecar."""
    said: list[dict[str, Any]] = [
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
    merged = session.examine(inventory, webui, session_id)
    found = session.examine_unless_up_to_date(inventory, webui, session_id, Steps())
    assert (found.audited if isinstance(found, session.Examined) else found) == merged.audited
    is_short = not isinstance(found, session.Examined)
    assert not (is_short and merged.proposal.sidecar is not None)
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
    with stored(transcript(), transcript()[4:]) as store:
        assert short_ways(store) == {SID: True}


def test_a_session_whose_last_turn_the_agent_wrote_twice_takes_the_short_way() -> None:
    with stored(transcript(), [*transcript(), *transcript()[4:]]) as store:
        assert short_ways(store) == {SID: True}


def test_rows_of_one_moment_that_differ_have_the_findings_of_the_merge() -> None:
    said = transcript()
    other = {**said[5], "content": said[5]["content"][::-1]}
    with stored(said, [*said, other]) as store:
        assert short_ways(store) == {SID: False}


def test_other_prompts_within_a_second_take_the_short_way() -> None:
    """As a program sends them, to which a provider answers at once."""
    said = [{**message, "timestamp": 1.75e9 + 0.1 * k} for k, message in enumerate(transcript())]
    with stored(said, said) as store:
        assert short_ways(store) == {SID: True}


PAUSES = st.sampled_from([0.0, 0.1, 0.7, 2.0])


@thorough
@given(st.lists(st.tuples(st.sampled_from("go"), st.sampled_from(["on", "on" * 40]), PAUSES, PAUSES), max_size=5))
def test_whatever_is_said_within_a_second_the_result_is_that_of_the_merge(
    turns: list[tuple[str, str, float, float]],
) -> None:
    """A prompt with a long answer that stands there twice was written again; a short one can be said twice."""
    said, now = list[Any](), 1.75e9
    for prompt, answer, before, after in turns:
        asked = {"role": "user", "content": prompt, "timestamp": now + before}
        now += before + after
        said += (asked, {"role": "assistant", "content": answer, "timestamp": now})
    with stored(said, said) as store:
        short_ways(store)


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

STRIDE = 6
"""The normal run tries every sixth case, so that each change is met at one of the six places."""


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
    cases = some(cases, STRIDE)
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


@lives()
def test_random_lives_have_the_findings_of_the_merge(seed: int) -> None:
    with played([life(seed)]) as (store, _):
        short_ways(store)


def test_every_story_of_the_demo_store_has_the_findings_of_the_merge(tmp_path: Path) -> None:
    assert any(short_ways(find_store(home=make_demo_store(tmp_path / "demo").home)).values())


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_every_real_session_has_the_findings_of_the_merge(corpus: Callable[[str], Path], name: str) -> None:
    assert any(short_ways(find_store(home=corpus(name) / "store")).values())


def journalled(hermes: Hermes, sid: str, events: list[dict[str, Any]]) -> None:
    """A run journal of one run, event after event, a second apart from the end of the session on."""
    folder = hermes.sessions / "_run_journal" / sid
    folder.mkdir(parents=True)
    lines = [
        {"version": 1, "seq": k, "session_id": sid, "created_at": 1.75e9 + 200 + k, **e} for k, e in enumerate(events)
    ]
    (folder / "stream.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def prompted(hermes: Hermes, sid: str, events: list[dict[str, Any]]) -> None:
    """A turn journal with the events of one turn."""
    folder = hermes.sessions / "_turn_journal"
    folder.mkdir(exist_ok=True)
    shared = {"version": 1, "session_id": sid, "turn_id": "t1", "stream_id": "stream", "created_at": 1.75e9 + 200}
    (folder / f"{sid}.jsonl").write_text("".join(json.dumps({**shared, **e}) + "\n" for e in events))


SENT = {"event": "submitted", "role": "user", "content": "and what else?"}
WORDS = {"event": "token", "payload": {"text": "Half of an answer"}}


def done(sid: str, messages: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    session = {"session_id": sid, "title": "Notes", "messages": messages, "is_streaming": False, **fields}
    return {"event": "done", "terminal": True, "payload": {"session": session}}


def test_a_session_whose_newest_run_shows_what_the_file_says_takes_the_short_way(hermes: Hermes) -> None:
    hermes.write_live(transcript(), updated_at=1.75e9 + 300)
    hermes.write_rows(transcript())
    journalled(hermes, SID, [WORDS, done(SID, transcript(), updated_at=1.75e9 + 300)])
    prompted(hermes, SID, [SENT, {"event": "completed", "terminal": True}])
    assert short_ways(find_store(home=hermes.home)) == {SID: True}


def test_a_session_that_went_on_after_its_newest_run_takes_the_short_way(hermes: Hermes) -> None:
    hermes.write_live(transcript(), updated_at=1.75e9 + 300)
    hermes.write_rows(transcript())
    journalled(hermes, SID, [done(SID, transcript()[:4], updated_at=1.75e9 + 70)])
    assert short_ways(find_store(home=hermes.home)) == {SID: True}


def test_whatever_a_run_shows_the_result_is_that_of_the_merge(hermes: Hermes) -> None:
    shown = [edited(transcript(), edit) for edit in EDITS]
    shown += [[*transcript(), {"role": "user", "content": "more", "timestamp": 1.75e9 + 190}]]
    lives = [transcript(), edited(transcript(), (1, ("content", "my key is sk-12345678"))), transcript()[:4]]
    cases = [(live, each) for live in lives for each in (*shown, transcript(), transcript()[:2])]
    cases += [(lives[1], edited(transcript(), (1, ("content", "my key is ***"))))]
    cases = some(cases, STRIDE)
    for number, (live, each) in enumerate(cases):
        sid = f"{number:012x}"
        hermes.write(hermes.sessions / f"{sid}.json", hermes.session(live, session_id=sid))
        journalled(hermes, sid, [done(sid, each, updated_at=1.75e9 + 150)])
    found = short_ways(find_store(home=hermes.home))
    assert len(found) == len(cases) and any(found.values())


def kept_by_the_agent(hermes: Hermes, sid: str, messages: list[dict[str, Any]]) -> None:
    """The agent's snapshot of a session: no times, and the workspace in the prompts."""
    said = [{name: value for name, value in each.items() if name != "timestamp"} for each in messages]
    for each in said:
        if each.get("role") == "user" and isinstance(each.get("content"), str):
            each["content"] = f"[Workspace::v1: /srv/notes]\n{each['content']}"
    folder = hermes.home / "sessions"
    folder.mkdir(exist_ok=True)
    head = {"session_id": sid, "platform": "webui", "session_start": "2026-04-24T10:00:00"}
    hermes.write(folder / f"session_{sid}.json", {**head, "messages": said})


@pytest.mark.parametrize("part", [slice(None), slice(4), slice(2, None)], ids=["all", "the beginning", "the end"])
def test_a_snapshot_that_says_nothing_else_leaves_a_session_on_the_short_way(hermes: Hermes, part: slice) -> None:
    hermes.write_live(transcript())
    hermes.write_rows(transcript())
    kept_by_the_agent(hermes, SID, transcript()[part])
    assert short_ways(find_store(home=hermes.home)) == {SID: True}


def test_whatever_a_snapshot_says_the_result_is_that_of_the_merge(hermes: Hermes) -> None:
    cases = some([edited(transcript(), edit) for edit in EDITS], STRIDE)
    for number, each in enumerate(cases):
        sid = f"{number:012x}"
        hermes.write(hermes.sessions / f"{sid}.json", hermes.session(transcript(), session_id=sid))
        kept_by_the_agent(hermes, sid, each)
    found = short_ways(find_store(home=hermes.home))
    assert len(found) == len(cases) and any(found.values())


@pytest.mark.parametrize(
    ("events", "turn", "fields"),
    [
        ([WORDS], [SENT], {}),
        ([], [SENT], {}),
        ([WORDS], [SENT], {"active_stream_id": "stream", "pending_user_message": "and what else?"}),
        ([], [], {"pending_user_message": "and what else?", "pending_started_at": 1.75e9 + 200}),
    ],
)
def test_a_turn_that_did_not_end_has_the_findings_of_the_merge(
    hermes: Hermes, events: list[dict[str, Any]], turn: list[dict[str, Any]], fields: dict[str, Any]
) -> None:
    hermes.write_live(transcript(), **fields)
    hermes.write_rows(transcript())
    if events:
        journalled(hermes, SID, events)
    if turn:
        prompted(hermes, SID, turn)
    assert short_ways(find_store(home=hermes.home)) == {SID: False}


WHAT_A_RUN_SAID: list[dict[str, Any]] = [
    {"event": "token", "payload": {"text": text}} for text in ("Half of", " an answer")
]
CALLED = {"event": "tool", "payload": {"name": "terminal", "tid": "call_9", "args": {}}}


@pytest.mark.parametrize(
    ("events", "turn", "is_short"),
    [
        (WHAT_A_RUN_SAID, [SENT], True),
        (WHAT_A_RUN_SAID[:1], [SENT], True),
        (WHAT_A_RUN_SAID, [SENT, {"event": "interrupted"}], True),
        ([], [SENT], True),
        ([WORDS], [], True),  # of a prompt that nobody knows
        ([done(SID, transcript())], [SENT], True),
        ([*WHAT_A_RUN_SAID, CALLED], [SENT], True),  # whose card would be all that there is to write
        ([*WHAT_A_RUN_SAID, CALLED, WORDS], [SENT], False),
        (WHAT_A_RUN_SAID, [{**SENT, "content": "and?"}], False),
    ],
)
def test_a_session_that_has_what_a_killed_run_said_takes_the_short_way(
    hermes: Hermes, events: list[dict[str, Any]], turn: list[dict[str, Any]], *, is_short: bool
) -> None:
    asked = {"role": "user", "content": SENT["content"], "timestamp": 1.75e9 + 200}
    said = [*transcript(), asked, {"role": "assistant", "content": "Half of an answer", "timestamp": 1.75e9 + 202}]
    hermes.write_live(said)
    hermes.write_rows(said)
    journalled(hermes, SID, events)
    if turn:
        prompted(hermes, SID, turn)
    assert short_ways(find_store(home=hermes.home)) == {SID: is_short}
