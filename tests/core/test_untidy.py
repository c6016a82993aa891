"""A healthy file need not be tidy: what the server merged, moved or shortened itself is no reason to write."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.hermes.store import find_store

from .conftest import ACT, SID, START, Hermes

Value = dict[str, Any]
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
DUPLICATE = "[Duplicate tool output - same content as a more recent call]"


def is_left_alone(hermes: Hermes) -> bool:
    """Whether nothing is found, nothing planned, and no byte of the file changed."""
    before = hermes.live.read_bytes()
    found, plan = hermes.kinds(), api.plan(find_store(home=hermes.home))
    hermes.repair()
    return found == [] and plan.is_empty and hermes.live.read_bytes() == before


def steps(name: str, ids: Iterable[str], start: float, result: str = "") -> list[Value]:
    """A turn with a call for each id, and a text before each."""
    at = START + start
    found: list[Value] = [{"role": "user", "content": f"ask {name}", "timestamp": at}]
    for call in ids:
        calls = [{"id": call, "type": "function", "function": {"name": "terminal", "arguments": "{}"}}]
        found.append({"role": "assistant", "content": f"look {call}", "timestamp": at + 4, "tool_calls": calls})
        content = result or f"result of {call}"
        found.append(
            {"role": "tool", "content": content, "tool_call_id": call, "timestamp": at + 4, "name": "terminal"}
        )
    return [*found, {"role": "assistant", "content": f"answer {name}", "timestamp": at + 4}]


def test_an_image_with_the_workspace_tag_inside_its_text(hermes: Hermes) -> None:
    """The sidecar has it so, while the row has a placeholder."""
    prompt, answer = hermes.turns("a")
    text = {"type": "text", "text": "[Workspace::v1: /srv/notes]\nwhat is this"}
    hermes.write_live([{**prompt, "content": [text, IMAGE]}, answer, *hermes.turns("b", start=100)])
    hermes.write_rows([{**prompt, "content": "what is this\n[screenshot]"}, answer, *hermes.turns("b", start=100)])
    assert is_left_alone(hermes)


def test_a_result_that_the_server_replaced_because_it_was_there_twice(hermes: Hermes) -> None:
    rows = [*steps("a", ("call_0123456789", "call_1234567890"), 0, "long " * 100), *hermes.turns("b", start=100)]
    live = [dict(m) for m in rows]
    live[2]["content"] = DUPLICATE
    hermes.write_live(live)
    hermes.write_rows(rows)
    assert is_left_alone(hermes)


def test_prompts_that_the_server_merged_cumulatively(hermes: Hermes) -> None:
    """Each prompt carries those before it that got the same answer; every row has its own."""
    rows = hermes.turns("a", "b", "c", "d")
    live = [dict(m) for m in rows]
    live[2]["content"] = "\n\n".join(rows[k]["content"] for k in (2, 0))
    live[4]["content"] = "\n\n".join(rows[k]["content"] for k in (4, 2, 0))
    hermes.write_live(live)
    hermes.write_rows(rows)
    assert is_left_alone(hermes)


def test_stamps_that_step_back_and_a_result_that_is_there_twice(hermes: Hermes) -> None:
    first, second = steps("a", ("call_0123456789",), 0), steps("b", ("call_1234567890",), 100)
    live = [*first[:3], first[2], *first[3:], *[{**m, "timestamp": m["timestamp"] - 150} for m in second]]
    hermes.write_live(live, updated_at=START + ACT)
    hermes.write_rows([*first, *second])
    assert is_left_alone(hermes)


def test_a_result_that_the_file_has_elsewhere_comes_back_to_the_call_that_waits_for_it(hermes: Hermes) -> None:
    """Some providers count ids from 0 in every turn, and two commands can print the same."""
    first, second = (
        steps(name, ("call_0",), start, "nothing to commit, working tree clean")
        for name, start in (("a", 0), ("b", 100))
    )
    newest = hermes.turns("c", start=200)
    hermes.write_live([*first, *second[:2], *newest])
    hermes.write_rows([*first, *second, *newest])
    hermes.repair()
    assert hermes.texts() == hermes.said([*first, *second, *newest])


def test_prior_context_that_the_file_shows(hermes: Hermes) -> None:
    """After a compaction the file can hold what the model was told of the part before it; no row has that."""
    said = hermes.turns("a", "b", "c")
    prior = {
        "role": "assistant",
        "content": "[PRIOR CONTEXT — for reference only; not a new message]",
        "timestamp": START,
    }
    hermes.write_live([*said[:4], prior, *said[4:]])
    hermes.write_rows(said)
    assert is_left_alone(hermes)


def as_gateway(rows: Iterable[Value]) -> list[Value]:
    """What a sidecar of the gateway backend has of these rows: no tool messages, one message for each answer."""
    found: list[Value] = []
    for m in rows:
        if m["role"] == "user":
            found.append({k: m[k] for k in ("role", "content", "timestamp")})
        elif m["role"] == "assistant" and found[-1]["role"] == "assistant":
            found[-1] |= {"content": f"{found[-1]['content']}\n\n{m['content']}", "timestamp": m["timestamp"]}
        elif m["role"] == "assistant":
            found.append({k: m[k] for k in ("role", "content", "timestamp")})
    return found


def gateway_rows() -> list[Value]:
    """Sixteen rows for four turns."""
    return [m for k in range(4) for m in steps(f"turn {k}", (f"call_{k:010}",), 100.0 * k)]


def test_a_session_of_the_gateway_has_fewer_messages_than_rows_and_is_healthy(hermes: Hermes) -> None:
    rows = gateway_rows()
    hermes.write_live(as_gateway(rows))
    hermes.write_rows(rows, source="api_server", title=None)
    assert len(as_gateway(rows)) == 8
    assert len(rows) == 16
    assert is_left_alone(hermes)


@pytest.mark.parametrize("wiped", [True, False])
def test_a_session_of_the_gateway_is_rebuilt_in_the_form_of_its_sidecar(hermes: Hermes, wiped: bool) -> None:
    rows = gateway_rows()
    if wiped:
        hermes.write_live([], updated_at=START + ACT)
    else:
        head = hermes.listed(as_gateway(rows))
        hermes.write_index(head)
    hermes.write_rows(rows, source="api_server", title=None)
    hermes.repair(SID)
    session = hermes.load()
    assert [(m["role"], m["content"]) for m in session["messages"]] == [
        (m["role"], m["content"]) for m in as_gateway(rows)
    ]
    assert session["tool_calls"] == []


@pytest.mark.parametrize("has_row", [True, False])
def test_the_partial_answer_of_a_killed_run_comes_back_once(hermes: Hermes, has_row: bool) -> None:
    """The prompt is pending in the file, mostly there as a row; what was seen of the answer is in the journal only."""
    said, stream = hermes.turns("a"), "70943de8d779"
    prompt = {"role": "user", "content": "ask b", "timestamp": START + 100}
    waiting = {"pending_user_message": "ask b", "pending_started_at": START + 100, "active_stream_id": stream}
    hermes.write_live(said, **waiting, updated_at=START + 100)
    hermes.write_rows([*said, *([prompt] if has_row else ())])
    words = ["The answer ", "as far as ", "it was seen"]
    hermes.write_events([("token", START + 101 + k, {"text": word}) for k, word in enumerate(words)], stream)
    hermes.repair()
    session = hermes.load()
    assert hermes.said(session["messages"]) == [*hermes.said(said), "ask b", "".join(words)]
    assert not any(session[name] for name in waiting)
    after = json.dumps(session)
    assert api.plan(find_store(home=hermes.home)).is_empty
    hermes.repair()
    assert json.dumps(hermes.load()) == after


@pytest.mark.parametrize("state", ["whole", "lost", "torn"])
def test_a_result_that_the_server_moved_behind_a_merged_prompt(hermes: Hermes, state: str) -> None:
    """Between a call and its result a compaction can show a prompt of its own making: the rest of the turn stands in
    another one then, and the rows have it in its place."""
    call = "call_0123456789"
    rows = [*hermes.turns("first"), *steps("a", (call,), 100, "long " * 100), *hermes.turns("b", start=200)]
    merged = {"role": "user", "content": "ask b\n\nask a", "timestamp": START + 200}
    live = [*rows[:4], merged, {**rows[4], "content": DUPLICATE}, *rows[5:]]
    hermes.write_live(live)
    if state != "whole":
        hermes.write_backup(live)
        if state == "lost":
            hermes.live.unlink()
        else:
            hermes.tear_live('"content": "answer a"')
    hermes.write_rows(rows)
    if state == "whole":
        assert is_left_alone(hermes)
    hermes.repair()
    assert hermes.texts() == hermes.said(live)


def test_an_answer_that_the_user_stopped_is_not_finished(hermes: Hermes) -> None:
    """The program wrote on for a moment: what the user saw is what the file has."""
    prompt, answer = hermes.turns("b", start=100)
    stopped = {**answer, "content": "answer b as far", "_partial": True}
    notice = {"role": "assistant", "content": "**Task cancelled:** Task cancelled.", "_error": True}
    after = hermes.turns("c", start=200)
    hermes.write_live([*hermes.turns("a"), prompt, stopped, notice | {"timestamp": answer["timestamp"]}, *after])
    row = {**answer, "content": "answer b as far as it went"}
    hermes.write_rows([*hermes.turns("a"), prompt, row, *after], source="api_server", title=None)
    assert is_left_alone(hermes)


@pytest.mark.parametrize("killed", [True, False])
def test_what_the_gateway_writes_when_it_is_stopped_is_no_part_of_an_answer(hermes: Hermes, killed: bool) -> None:
    said, rows = hermes.turns("a"), steps("b", ("call_0123456789",), 100)
    rows[-1]["content"] = "Operation interrupted."
    pending = {"pending_user_message": "ask b", "pending_started_at": START + 100, "active_stream_id": "70943de8d779"}
    shown = as_gateway(rows[:-1])
    if killed:
        hermes.write_live(said, **pending, updated_at=START + 100)
    else:
        hermes.write_live([*said, *shown])
    hermes.write_rows([*said, *rows], source="api_server", title=None)
    if not killed:
        assert is_left_alone(hermes)
    hermes.repair()
    assert hermes.texts() == hermes.said([*said, *shown])


def test_the_summary_of_a_compaction_within_a_turn_does_not_end_it(hermes: Hermes) -> None:
    """The ids of its calls prove nothing, and a silent call has no words: its place in the turn tells what it is."""
    said = [*hermes.turns("first"), *steps("a", ("call_0", "call_1"), 100), *hermes.turns("b", start=200)]
    for message in said:
        if message.get("tool_calls"):
            message["content"] = ""
    summary = {"role": "user", "content": "[CONTEXT COMPACTION - REFERENCE ONLY] earlier", "timestamp": START + 102}
    hermes.write_live(said)
    hermes.write_rows([*said[:5], summary, *said[5:]])
    assert is_left_alone(hermes)


@pytest.mark.parametrize("ending", [[], ["Operation interrupted."]])
def test_the_steps_of_a_cancelled_answer_are_in_the_message_that_the_server_made_of_it(
    hermes: Hermes, ending: list[str]
) -> None:
    """Until the next turn the file names only what was called, while the rows have each call with its result, and what
    the agent wrote when it was stopped."""
    before, rows = hermes.turns("a"), steps("b", ("call_0123456789", "call_1"), 100)[:-1]
    rows += [{"role": "assistant", "content": text, "timestamp": START + 106} for text in ending]
    calls = ("call_0123456789", "call_1")
    cards = [{"name": "terminal", "tid": call, "done": True, "snippet": "result"} for call in calls]
    at = START + 105
    partial = {"role": "assistant", "content": "", "_partial": True, "_partial_tool_calls": cards, "timestamp": at}
    notice = {"role": "assistant", "content": "**Task cancelled:** Task cancelled.", "_error": True, "timestamp": at}
    live = [*before, rows[0], partial, notice]
    hermes.write_live(live)
    hermes.write_rows([*before, *rows])
    assert is_left_alone(hermes)
    hermes.write_live(live[:-2])
    hermes.repair()
    assert hermes.texts() == hermes.said([*before, *rows])  # without that message they are missing


def test_the_result_of_a_call_that_a_cancelled_answer_never_began_is_none_of_its_steps(hermes: Hermes) -> None:
    """The agent writes one for each call of a message; the file names those that had begun."""
    before, (prompt, step, result, _) = hermes.turns("a"), steps("b", ("call_0",), 100)
    both = {**step, "content": "", "tool_calls": [*step["tool_calls"], {**step["tool_calls"][0], "id": "call_1"}]}
    skipped = {**result, "content": "[Tool execution skipped]", "tool_call_id": "call_1"}
    cards = [{"name": "terminal", "tid": "call_0", "done": True, "snippet": "result"}]
    at = START + 105
    partial = {"role": "assistant", "content": "", "_partial": True, "_partial_tool_calls": cards, "timestamp": at}
    notice = {"role": "assistant", "content": "**Task cancelled:** Task cancelled.", "_error": True, "timestamp": at}
    hermes.write_live([*before, prompt, partial, notice])
    hermes.write_rows([*before, prompt, both, result, skipped])
    assert is_left_alone(hermes)


def test_a_short_turn_that_the_server_moved_is_there_once(hermes: Hermes) -> None:
    """Its prompt is known by its stamp, and so is its answer, which says too little to be known by its words; what
    stands around it was asked with one word again and again. As recorded from 0.51.850, without the rest."""
    step, again = (steps(name, ("call_0",), at)[1] | {"content": ""} for name, at in (("a", -4), ("b", 13.5)))
    asked = {"role": "user", "content": "slow continue"}
    told = {"role": "assistant", "content": "saffron pepper orchard granite willow basket basket orchard"}
    short = [{"role": "user", "content": "Tell me of silver"}, {"role": "assistant", "content": "Yes."}]
    at = lambda time, *messages: [{**m, "timestamp": START + time + k / 10**6} for k, m in enumerate(messages)]  # noqa: E731
    marks = {"truncation_boundary": START + 3.912157, "truncation_watermark": START + 3.912156}
    moved = at(3.912156, *short)
    live = [step, *at(17.4722, asked, told), *moved, *at(17.472202, asked, again)]
    hermes.write_old(hermes.live, live, **marks, updated_at=START + 17.4745)
    backup = [step, *moved, *at(13.1586, asked, told)]
    hermes.write_old(hermes.sessions / f"{SID}.json.bak", backup, **marks, updated_at=START + 13.1607)
    short = at(3.87, *short)
    hermes.write_rows([step, *short, *at(5.2, asked), *at(8.7, asked), *at(13.1, told), *at(13.4, asked, again)])
    assert is_left_alone(hermes)


@pytest.mark.parametrize("notice", ["**Task cancelled:** Task cancelled.", "*Task cancelled.*", "An answer."])
def test_what_the_agent_wrote_after_a_person_stopped_it_is_no_loss(hermes: Hermes, notice: str) -> None:
    """It can go on for a while in its thread; the file has the prompt and the notice."""
    before, (prompt, step, result, answer) = hermes.turns("a"), steps("b", ("call_0123456789",), 100)
    told = {"role": "assistant", "content": notice, "timestamp": START + 101}
    stopped = {**told, "_error": True} if notice.startswith("*") else told
    hermes.write_live([*before, prompt, stopped])
    hermes.write_rows([*before, prompt, step, result, answer])
    assert is_left_alone(hermes) is notice.startswith("*")


@pytest.mark.parametrize("time", [None, START + 4])
def test_reasoning_that_an_old_compress_left_out_is_no_loss(hermes: Hermes, time: float | None) -> None:
    """It marks the last message that it saw; that has no time where the messages were stripped before."""
    said = hermes.turns("a", "b")
    key = {"role": "assistant", "ts": time, "text": said[3]["content"], "attachments": 0}
    hermes.write_live(said, compression_anchor_visible_idx=3, compression_anchor_message_key=key)
    hermes.write_rows([said[0], {**said[1], "reasoning": "hm"}, *said[2:]])
    assert is_left_alone(hermes) is (time is None)


@pytest.mark.parametrize("is_there", [True, False])
def test_the_reasoning_of_a_turn_is_wanted_once(hermes: Hermes, is_there: bool) -> None:
    """The WebUI writes it at each message of a turn; what it builds from rows, or compresses, has it at one of them."""
    prompt, step, result, answer = steps("a", ("call_0123456789",), 0)
    thought = {"reasoning": "hm", "reasoning_content": "hm"}
    hermes.write_live([prompt, step, result, {**answer, **(thought if is_there else {})}])
    hermes.write_run([prompt, {**step, "reasoning": "hm"}, result, {**answer, **thought}])
    hermes.write_rows([prompt, step, result, {**answer, **thought}])
    assert is_left_alone(hermes) is is_there


def test_a_row_that_joins_answers_of_the_file(hermes: Hermes) -> None:
    """A compaction can write several answers as one row."""
    said = hermes.turns("a longer question", "b longer question", "c longer question")
    joined = {**said[3], "content": "\n\n".join(hermes.said([said[1], said[3]]))}
    hermes.write_live(said)
    hermes.write_rows([*said[:4], joined, *said[4:]])
    assert is_left_alone(hermes)
