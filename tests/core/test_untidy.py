"""A healthy file need not be tidy: what the server merged, moved or shortened itself is no reason to write."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from core import repair
from core.store import find_store

from .conftest import ACT, SID, START, Hermes

Value = dict[str, Any]
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
DUPLICATE = "[Duplicate tool output - same content as a more recent call]"


def is_left_alone(hermes: Hermes) -> bool:
    """Whether nothing is found, nothing planned, and no byte of the file changed."""
    before = hermes.live.read_bytes()
    found, plan = hermes.kinds(), repair.plan(find_store(home=hermes.home))
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
        head = {name: value for name, value in hermes.session(as_gateway(rows)).items() if name != "messages"}
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
    assert repair.plan(find_store(home=hermes.home)).is_empty
    hermes.repair()
    assert json.dumps(hermes.load()) == after
