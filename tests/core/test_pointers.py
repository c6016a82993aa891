"""Tool cards, activity scenes and the context follow their messages (recovery.md, section 2)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.hermes.store import find_store

from .conftest import ACT, SID, START, Hermes

Value = dict[str, Any]
SUMMARY = {"role": "user", "content": "[CONTEXT COMPACTION — REFERENCE ONLY] earlier", "timestamp": START + 50}


def worked(name: str, start: float) -> list[Value]:
    """A turn with a call, its result and an answer."""
    at = START + start
    function = {"name": "terminal", "arguments": json.dumps({"command": f"run {name}"})}
    call = {"id": f"call_{name:_>12}", "type": "function", "function": function}
    result = json.dumps({"output": f"output {name}", "exit_code": 0})
    return [
        {"role": "user", "content": f"ask {name}", "timestamp": at},
        {"role": "assistant", "content": f"let me see {name}", "timestamp": at + 4, "tool_calls": [call]},
        {"role": "tool", "content": result, "tool_call_id": call["id"], "name": "terminal", "timestamp": at + 4},
        {"role": "assistant", "content": f"answer {name}", "timestamp": at + 4},
    ]


def cards(messages: Sequence[Value]) -> list[Value]:
    """The settled cards of a transcript, as the WebUI keeps them."""
    found = []
    for k, m in enumerate(messages):
        for call in m.get("tool_calls", ()):
            command = json.loads(call["function"]["arguments"])
            card = {"name": "terminal", "snippet": f"output {m['content'][11:]}", "tid": call["id"]}
            found.append({**card, "assistant_msg_idx": k, "args": command})
    return found


def shown(session: Value) -> dict[str, str]:
    """What the message says at which each card is shown."""
    return {card["tid"]: session["messages"][card["assistant_msg_idx"]]["content"] for card in session["tool_calls"]}


def scenes(messages: Sequence[Value]) -> Value:
    """An activity scene for each message that calls."""
    return {f"m{k}": {"message_index": k, "title": m["content"]} for k, m in enumerate(messages) if "tool_calls" in m}


def test_a_card_points_at_its_message_when_others_come_before_it(hermes: Hermes) -> None:
    first, lost, last = worked("a", 0), worked("b", 100), worked("c", 200)
    live, whole = [*first, *last], [*first, *lost, *last]
    hermes.write_live(live, tool_calls=cards(live), anchor_activity_scenes=scenes(live))
    hermes.write_backup(whole, tool_calls=cards(whole), anchor_activity_scenes=scenes(whole))
    hermes.write_rows(whole)
    hermes.repair()
    session = hermes.load()
    assert hermes.said(session["messages"]) == hermes.said(whole)
    assert shown(session) == shown({"messages": whole, "tool_calls": cards(whole)})
    for scene in session["anchor_activity_scenes"].values():
        assert session["messages"][scene["message_index"]]["content"] == scene["title"]


@pytest.mark.parametrize("has_backup", [True, False])
def test_a_card_points_at_its_message_in_a_file_that_is_rebuilt(hermes: Hermes, has_backup: bool) -> None:
    """The backup is from before the newest turn, and lacks one in the middle, which only the rows have."""
    first, lost, last, newest = (worked(name, 100.0 * k) for k, name in enumerate("abcd"))
    whole, old = [*first, *lost, *last, *newest], [*first, *last]
    if has_backup:
        hermes.write_backup(old, tool_calls=cards(old), anchor_activity_scenes=scenes(old))
    hermes.write_rows(whole)
    hermes.repair()
    session = hermes.load()
    assert hermes.said(session["messages"]) == hermes.said(whole)
    assert shown(session) == shown({"messages": whole, "tool_calls": cards(whole)})


@pytest.mark.parametrize("witness", ["backup", "run", "rows"])
def test_cards_come_back_after_a_wipe(hermes: Hermes, witness: str) -> None:
    whole = [*worked("a", 0), *worked("b", 100)]
    hermes.write_live([], updated_at=START + ACT)
    if witness == "backup":
        hermes.write_backup(whole, tool_calls=cards(whole))
    if witness == "run":
        hermes.write_run(whole, tool_calls=cards(whole))
    hermes.write_rows(whole)
    hermes.repair()
    session = hermes.load()
    assert hermes.said(session["messages"]) == hermes.said(whole)
    assert shown(session) == shown({"messages": whole, "tool_calls": cards(whole)})
    assert [card["snippet"] for card in session["tool_calls"]] == ["output a", "output b"]


def test_a_card_of_what_was_taken_back_does_not_come_back(hermes: Hermes) -> None:
    kept, gone = worked("a", 0), worked("b", 100)
    before = [*kept, *gone]
    hermes.write_live([], **hermes.undo_marks(kept) | {"updated_at": START + 2 * ACT})
    hermes.write_backup(before, tool_calls=cards(before))
    hermes.write_rows(before)
    hermes.repair()
    session = hermes.load()
    assert hermes.said(session["messages"]) == hermes.said(kept)
    known = {card["tid"] for card in session["tool_calls"] if card["assistant_msg_idx"] < len(kept)}
    assert known == {card["tid"] for card in cards(kept)}


def test_the_context_is_never_that_of_a_copy_from_before_an_act(hermes: Hermes) -> None:
    """The undo's own backup still has the taken-back turn in the context, and the model would be sent it."""
    kept, gone = hermes.turns("a", "b"), hermes.turns("c", start=100)
    hermes.write_live([], **hermes.undo_marks(kept) | {"updated_at": START + 2 * ACT})
    hermes.write_backup([*kept, *gone], context_messages=[SUMMARY, *kept[2:], *gone])
    hermes.write_rows([*kept, *gone])
    hermes.repair()
    session = hermes.load()
    assert hermes.said(session["messages"]) == hermes.said(kept)
    assert {m["content"] for m in gone}.isdisjoint(hermes.said(session["context_messages"]))
    assert session["context_messages"] == []


def test_the_context_stays_empty_where_no_copy_determines_it(hermes: Hermes) -> None:
    """Rows and runs know messages, not what the model was sent of them after a compaction."""
    whole = hermes.turns("a", "b", "c")
    hermes.write_rows(whole)
    hermes.repair()
    session = hermes.load()
    assert hermes.said(session["messages"]) == hermes.said(whole)
    assert session["context_messages"] == []


def test_a_compacted_context_comes_back_with_what_was_said_after_it(hermes: Hermes) -> None:
    whole, newer = hermes.turns("a", "b", "c"), hermes.turns("d", start=100)
    context = [SUMMARY, *whole[4:]]
    hermes.write_backup(whole, context_messages=context)
    hermes.write_rows([*whole, *newer])
    hermes.repair()
    session = hermes.load()
    assert hermes.said(session["messages"]) == hermes.said([*whole, *newer])
    assert hermes.said(session["context_messages"]) == hermes.said([*context, *newer])


def test_the_context_of_a_file_goes_on_with_what_comes_back_at_its_end(hermes: Hermes) -> None:
    whole, newer = hermes.turns("a", "b", "c"), hermes.turns("d", start=100)
    context = [SUMMARY, *whole[4:]]
    hermes.write_live(whole, context_messages=context)
    hermes.write_rows([*whole, *newer])
    hermes.repair()
    session = hermes.load()
    assert hermes.said(session["context_messages"]) == hermes.said([*context, *newer])


def test_a_card_is_shown_where_its_call_is_whatever_the_run_counted(hermes: Hermes) -> None:
    """After an edit a run can still list answers that were taken back, while its cards count without them."""
    first, gone, last = worked("a", 0), worked("b", 100), worked("c", 200)
    hermes.write_live([*first, *last], **hermes.undo_marks(first, last[0]["timestamp"]), tool_calls=[])
    hermes.tear_live('"tool_calls": []')
    hermes.write_backup([*first, *gone])
    hermes.write_run([*first, gone[3], *last], tool_calls=cards([*first, *last]), updated_at=START + ACT)
    hermes.write_rows([*first, *gone, *last])
    hermes.repair()
    session = hermes.load()
    assert hermes.said(session["messages"]) == hermes.said([*first, *last])
    assert shown(session) == {"call____________a": "let me see a", "call____________c": "let me see c"}


def test_neither_a_card_nor_the_context_tells_of_what_a_person_left_out(hermes: Hermes) -> None:
    first, gone, last = worked("a", 0), worked("b", 100), worked("c", 200)
    whole = [*first, *gone, *last]
    hermes.write_live(whole, tool_calls=cards(whole), context_messages=[SUMMARY, *gone, *last])
    store = find_store(home=hermes.home)
    api.apply(api.plan(store, [SID], choices=hermes.choose(exclude=range(4, 8))))
    session = hermes.load()
    assert session["messages"] == [*first, *last]
    assert shown(session) == shown({"messages": whole, "tool_calls": [*cards(first), *cards(whole)[2:]]})
    assert session["context_messages"] == []


def test_calls_that_are_counted_from_0_have_a_card_in_each_turn(hermes: Hermes) -> None:
    lost, there = worked("a", 0), worked("b", 100)
    for turn in (lost, there):
        turn[1]["tool_calls"][0]["id"] = turn[2]["tool_call_id"] = "call_0"
    hermes.write_live(there, tool_calls=cards(there))
    hermes.write_backup([*lost, *there])
    hermes.repair()
    found = {(card["assistant_msg_idx"], card["snippet"]) for card in hermes.load()["tool_calls"]}
    assert hermes.load()["messages"] == [*lost, *there]
    assert found == {(1, "output a"), (5, "output b")}
