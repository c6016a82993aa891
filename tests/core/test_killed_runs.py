"""A run that was killed comes back once, from its rows and its journal, in the form that the WebUI gives it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core.hermes.runs.killed_runs import (
    DeadRun,
    Recovered,
    asked,
    dead_runs,
    may_have_sent,
    prompt_message,
    recover,
)
from hermes_rescue.core.hermes.runs.run_journal import RunJournal
from hermes_rescue.core.hermes.runs.turn_journal import SubmittedTurn
from hypothesis import given
from hypothesis import strategies as st

SENT = 1_777_000_000.0
STREAM = "70943de8d779"
ASK = {"role": "user", "content": "look first", "timestamp": SENT}
RUN = DeadRun(STREAM, prompt_message("look first", (), SENT), SENT)
Value = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """One reply of the model: what it thinks, says, and calls (ids of the calls)."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[str, ...] = ()


def events(*replies: Reply, names_calls: bool = True) -> list[Value]:
    """What the journal has of these replies, word by word; each call is done before the next."""
    found: list[tuple[str, Value]] = []
    for k, reply in enumerate(replies):
        found += [("reasoning", {"text": word}) for word in words(reply.reasoning)]
        found += [("token", {"text": word}) for word in words(reply.text)]
        if k and reply.text:
            found[-len(words(reply.text))][1]["text"] = "\n\n" + words(reply.text)[0]
        if reply.text and reply.calls:
            found.append(("interim_assistant", {"text": reply.text, "already_streamed": True}))
        for call in reply.calls:
            tid = {"tid": call} if names_calls else {}
            found.append(("tool", {"name": "terminal", "preview": None, "args": {"command": call}, **tid}))
            found.append(("tool_complete", {"name": "terminal", "preview": f"out {call}", "is_error": False, **tid}))
    return [
        {"event": name, "seq": k + 1, "created_at": SENT + k + 1, "payload": payload}
        for k, (name, payload) in enumerate(found)
    ]


def words(text: str) -> list[str]:
    return [f"{word} " for word in text.split()]


def rows(*replies: Reply) -> list[Value]:
    """What the agent wrote of these replies."""
    found: list[Value] = [ASK]
    for reply in replies:
        message: Value = {"role": "assistant", "content": reply.text, "timestamp": SENT + 5}
        if reply.reasoning:
            message["reasoning"] = reply.reasoning
        if reply.calls:
            message["tool_calls"] = [
                {
                    "id": call,
                    "type": "function",
                    "function": {"name": "terminal", "arguments": f'{{"command": "{call}"}}'},
                }
                for call in reply.calls
            ]
        found.append(message)
        found += [result(call) for call in reply.calls]
    return found


def result(call: str) -> Value:
    content = json.dumps({"output": f"out {call}", "exit_code": 0})
    return {"role": "tool", "content": content, "tool_call_id": call, "name": "terminal", "timestamp": SENT + 6}


def messages(recovered: Recovered) -> list[Value]:
    return [restored.message for restored in recovered.messages]


def texts(recovered: Recovered) -> list[str]:
    """What is said by whom: "u ..." and "a ..."; results of tools without their text."""
    return [
        f"{each['role'][0]} {each['content'] if each['role'] != 'tool' else ''}".strip() for each in messages(recovered)
    ]


def is_sound(recovered: Recovered) -> None:
    """What must hold of whatever comes back: no call without its result, no result without its call, each once."""
    calls = [call["id"] for each in messages(recovered) for call in each.get("tool_calls") or ()]
    results = [each["tool_call_id"] for each in messages(recovered) if each["role"] == "tool"]
    assert sorted(calls) == sorted(results)
    assert len({*calls}) == len(calls)
    tids = [card["tid"] for card in recovered.cards]
    assert len({*tids}) == len(tids)
    for card in recovered.cards:
        assert messages(recovered)[card["assistant_msg_idx"]]["role"] == "assistant"


TWO = (Reply("Let me look.", "hm", ("c1",)), Reply("It is there, and it is red.", "so"))


def test_what_came_after_the_last_row_is_in_the_journal_only() -> None:
    killed = events(*TWO)[:-2]
    recovered = recover(RUN, killed, rows(TWO[0]))
    assert texts(recovered) == ["u look first", "a Let me look.", "t", "a It is there, and it"]
    assert [restored.there for restored in recovered.messages] == [0, 1, 2, None]
    assert messages(recovered)[3] == {
        "role": "assistant",
        "content": "It is there, and it",
        "timestamp": killed[-6]["created_at"],
        "_recovered_from_run_journal": True,
        "_recovered_stream_id": STREAM,
        "reasoning": "so",
    }
    assert recovered.cards == (
        {"name": "terminal", "snippet": "out c1", "tid": "c1", "args": {"command": "c1"}, "assistant_msg_idx": 1},
    )


def test_without_rows_the_prompt_and_cards_for_the_calls_come_back() -> None:
    recovered = recover(RUN, events(*TWO)[:-2])
    assert texts(recovered) == ["u look first", "a Let me look.", "a It is there, and it"]
    assert messages(recovered)[0] == {**ASK, "_recovered": True}
    assert messages(recovered)[1]["reasoning"] == "hm"
    assert recovered.cards == (
        {
            "name": "terminal",
            "preview": "out c1",
            "snippet": "out c1",
            "tid": "c1",
            "args": {"command": "c1"},
            "done": True,
            "is_error": False,
            "assistant_msg_idx": 1,
            "_recovered_from_run_journal": True,
            "_recovered_stream_id": STREAM,
        },
    )


def test_the_model_sees_neither_thoughts_of_the_journal_nor_empty_messages() -> None:
    silent = Reply("", "hm", ("c1",))
    assert list(recover(RUN, events(silent, TWO[1])).context) == [
        {key: value for key, value in message.items() if key != "reasoning"}
        for message in messages(recover(RUN, events(silent, TWO[1])))
        if message["content"]
    ]
    assert [each["role"] for each in recover(RUN, [], rows(silent)).context] == ["user", "assistant", "tool"]


def test_a_gateway_that_went_on_left_the_whole_answer() -> None:
    recovered = recover(RUN, events(*TWO)[:-4], rows(*TWO))
    assert messages(recovered) == rows(*TWO)
    assert texts(recovered)[-1] == "a It is there, and it is red."


def test_a_call_that_nothing_answered_is_a_card_and_no_call() -> None:
    unanswered = rows(TWO[0])[:-1]
    killed = [each for each in events(TWO[0]) if each["event"] != "tool_complete"]
    recovered = recover(RUN, killed, unanswered)
    is_sound(recovered)
    assert texts(recovered) == ["u look first", "a Let me look."]
    assert [(card["tid"], card["done"], card["assistant_msg_idx"]) for card in recovered.cards] == [("c1", False, 1)]
    assert "tool_calls" in unanswered[1]  # what is handed in stays as it is


def test_of_calls_made_at_once_those_with_a_result_stay() -> None:
    three = Reply("", "hm", ("c1", "c2", "c3"))
    there = [each for each in rows(three) if each.get("tool_call_id") in (None, "c2")]
    recovered = recover(RUN, events(three)[:2], there)
    is_sound(recovered)
    assert [call["id"] for call in messages(recovered)[1]["tool_calls"]] == ["c2"]
    assert [(card["tid"], card.get("done")) for card in recovered.cards] == [("c1", False), ("c2", None), ("c3", False)]


def test_a_run_can_begin_with_a_call() -> None:
    recovered = recover(RUN, events(Reply("", "", ("c1",)), Reply("Done."))[:-1])
    is_sound(recovered)
    assert texts(recovered) == ["u look first", "a"]
    assert [card["assistant_msg_idx"] for card in recovered.cards] == [1]
    assert texts(recover(RUN, events(Reply("", "", ("c1",)), Reply("Done.")))) == ["u look first", "a", "a Done."]


def test_a_run_can_be_killed_while_it_thinks() -> None:
    thinking = events(Reply("", "hm so it"))
    recovered = recover(RUN, thinking, rows())
    assert [each.get("reasoning") for each in messages(recovered)] == [None, "hm so it"]
    went_on = recover(RUN, thinking, rows(Reply("It is red.")))
    assert texts(went_on) == ["u look first", "a It is red."]
    assert messages(went_on)[1]["reasoning"] == "hm so it"


def test_a_run_that_said_nothing_leaves_its_prompt() -> None:
    assert texts(recover(RUN, [])) == ["u look first"]
    assert recover(RUN, [], rows()).messages == ((ASK, 0),)


def test_the_image_of_a_prompt_comes_back_to_its_row() -> None:
    shot = {"name": "shot.png", "path": "/a/shot.png", "mime": "image/png", "is_image": True}
    run = RUN._replace(prompt=prompt_message("see", [shot], SENT))
    row = {"role": "user", "content": "see\n[screenshot]", "timestamp": SENT}
    assert messages(recover(run, [], [row])) == [{**row, "attachments": [shot]}]
    assert messages(recover(run, [])) == [
        {"role": "user", "content": "see", "timestamp": SENT, "_recovered": True, "attachments": [shot]}
    ]


def test_a_message_that_joins_what_was_said_in_steps_is_not_doubled() -> None:
    joined = [
        ASK,
        {"role": "assistant", "content": "Let me look.\n\nIt is there, and it is red.", "timestamp": SENT + 9},
    ]
    recovered = recover(RUN, events(*TWO)[:-3], joined)
    assert texts(recovered) == texts(recover(RUN, [], joined))
    assert [(card["tid"], card["assistant_msg_idx"]) for card in recovered.cards] == [("c1", 1)]


def test_what_the_journal_runs_together_is_found_in_its_rows() -> None:
    together = [each for each in events(*TWO) if each["event"] in ("reasoning", "token")][:-2]
    recovered = recover(RUN, together, rows(Reply("Let me look.")))
    assert texts(recovered) == ["u look first", "a Let me look.", "a It is there, and it"]


def test_words_that_come_only_as_a_whole() -> None:
    whole = {
        "event": "interim_assistant",
        "created_at": SENT,
        "payload": {"text": "Let me look.", "already_streamed": False},
    }
    assert texts(recover(RUN, [whole, *events(TWO[1])])) == [
        "u look first",
        "a Let me look.",
        "a It is there, and it is red.",
    ]


@pytest.mark.parametrize(
    ("journal", "row"),
    [
        ("The key is sk-ab...yz and that is all", "The key is sk-abcdefghijklmnopqrstuvwxyz and that is all"),
        ("The key is sk-abcdefghijklmnopqrstuvwxyz and that is all", "The key is sk-ab...yz and that is all"),
        ("The key is sk-abcdefghijklmnopqrstuvwxyz and", "The key is *** and that is all"),
        ("The key is [REDACTED] and", "The key is sk-abcdefghijklmnopqrstuvwxyz and that is all"),
        ("The key is sk-abcdefgh", "The key is sk-ab...yz and that is all"),
        ("a <b>tag</b>\n\tof  it", "a <b>tag</b> of it"),
        ("<think>so\nthat</think>It is red", "It is red."),
    ],
)
def test_the_same_words_in_another_form(journal: str, row: str) -> None:
    said = [{"event": "token", "created_at": SENT, "payload": {"text": journal}}]
    assert texts(recover(RUN, said, rows(Reply(row)))) == ["u look first", f"a {row}"]


@pytest.mark.parametrize(
    ("journal", "row"),
    [
        ("Okay then", "Ok"),
        ("The key is [REDACTED] and", "The door is sk-abcdefghijklmnopqrstuvwxyz and"),
        ("It is red", "It was red, and more"),
    ],
)
def test_other_words_are_not_taken_for_the_same(journal: str, row: str) -> None:
    said = [{"event": "token", "created_at": SENT, "payload": {"text": journal}}]
    assert sorted(texts(recover(RUN, said, rows(Reply(row))))[1:]) == sorted([f"a {row}", f"a {journal}"])


def test_a_notice_of_the_webui_is_no_answer() -> None:
    notice = {"role": "assistant", "content": "**Response interrupted.**", "_error": True, "timestamp": SENT + 99}
    recovered = recover(RUN, events(TWO[1])[:5], [ASK, notice])
    assert texts(recovered) == ["u look first", "a It is there, and", "a **Response interrupted.**"]


def test_what_the_webui_itself_put_back_stays_alone() -> None:
    card = {"name": "terminal", "tid": "journal-6", "_recovered_stream_id": STREAM, "assistant_msg_idx": 1}
    back = messages(recover(RUN, events(*TWO)))
    assert recover(RUN, events(*TWO), back, [card]).cards == ()
    assert recover(RUN, events(*TWO), back, [{**card, "_recovered_stream_id": "another"}]).cards != ()


def test_events_of_any_form_are_passed_over() -> None:
    odd: list[Any] = [
        {},
        {"event": "token"},
        {"event": "token", "payload": {"text": 5}},
        {"event": ["token"], "payload": {"text": "no"}},
        {"event": "tool", "payload": {"name": None, "args": "x", "tid": 7}, "seq": {}},
        {"event": "tool_complete", "payload": {"duration": "long"}},
        {"event": "interim_assistant", "payload": {}},
    ]
    assert texts(recover(RUN, [*odd, *events(TWO[1])])) == ["u look first", "a", "a It is there, and it is red."]
    there: list[Any] = [
        ASK,
        {"role": "assistant", "content": None, "tool_calls": ["x", {"function": 3}, {"id": "c", "function": None}]},
    ]
    assert len(recover(RUN, odd, there).messages) == 2


few = st.sampled_from(("", "Let me look.", "I check the next one.", "It is red."))
some = st.sampled_from(("", "hm", "thinking about it"))


@st.composite
def lives(draw: st.DrawFn) -> tuple[list[Reply], int, int]:
    """A turn, how many of its events the journal has, and how many messages the agent wrote beyond the prompt."""
    replies = []
    for k in range(draw(st.integers(1, 4))):
        calls = tuple(f"c{k}{n}" for n in range(draw(st.integers(1, 3))))
        replies.append(Reply(draw(few), draw(some), calls))
    replies.append(Reply(draw(few.filter(bool)), draw(some)))
    return replies, draw(st.integers(0, len(events(*replies)))), draw(st.integers(0, len(rows(*replies)) - 1))


@given(lives(), st.booleans(), st.booleans())
def test_every_life_comes_back_once(life: tuple[list[Reply], int, int], names_calls: bool, has_prompt: bool) -> None:
    replies, told, written = life
    killed, there = events(*replies, names_calls=names_calls)[:told], rows(*replies)[: written + 1]
    if written == 0 and not has_prompt:
        there = []
    recovered = recover(RUN, killed, there)
    is_sound(recovered)
    assert said_by(recovered) == known(replies, killed, there)
    assert [each.there for each in recovered.messages if each.there is not None] == [*range(len(there))]
    calls = {call for reply in replies for call in reply.calls}
    begun = sum(each["event"] == "tool" for each in killed)
    made = {call["id"] for each in there for call in each.get("tool_calls") or ()}
    assert len(recovered.cards) == max(begun, len(made))
    if names_calls:
        assert {card["tid"] for card in recovered.cards} <= calls
    again = recover(RUN, killed, messages(recovered), recovered.cards)
    assert messages(again) == messages(recovered)
    assert again.cards == ()


def said_by(recovered: Recovered) -> tuple[list[str], str]:
    """What the assistant said, message by message, and all that it thought."""
    spoken = [each for each in messages(recovered) if each["role"] == "assistant"]
    return [each["content"] for each in spoken if each["content"]], "".join(
        each.get("reasoning", "") for each in spoken
    )


def known(replies: Sequence[Reply], killed: Sequence[Value], there: Sequence[Value]) -> tuple[list[str], str]:
    """What the journal or the rows still know of it: of each reply the longer of the two."""
    rows_left = [each for each in there if each["role"] == "assistant"]
    at = 0
    texts, thoughts = [], []
    for k in range(len(replies)):
        mine = killed[at : at + len(events(*replies[: k + 1])) - len(events(*replies[:k]))]
        at = len(events(*replies[: k + 1]))
        told = ["".join(e["payload"]["text"] for e in mine if e["event"] == n).strip() for n in ("token", "reasoning")]
        row = rows_left[k] if k < len(rows_left) else {}
        texts.append(max(told[0], row.get("content", ""), key=len))
        thoughts.append(max(told[1], row.get("reasoning", ""), key=len))
    return [text for text in texts if text], "".join(thoughts)


def journal(folder: Path, **runs: Sequence[Value]) -> RunJournal:
    paths = []
    for stream, told in runs.items():
        paths.append(folder / f"{stream}.jsonl")
        paths[-1].write_text("".join(json.dumps(each) + "\n" for each in told))
    return RunJournal("sid", paths)


def turn(stream: str | None, text: str, at: float, *, ended: bool = False) -> SubmittedTurn:
    return SubmittedTurn(text, text, ("notes.txt",), None, at, ended, stream)


def test_each_dead_stream_has_its_own_prompt(tmp_path: Path) -> None:
    done = {"event": "done", "terminal": True, "created_at": SENT + 3, "payload": {}}
    token = {"event": "token", "created_at": SENT + 2, "payload": {"text": "so"}}
    runs = journal(tmp_path, whole=[token, done], first=[token], second=[token], unknown=[token])
    turns = [
        turn("whole", "ended, though the turn does not say so", SENT),
        turn("first", "the first", SENT + 10),
        turn("second", "the second", SENT + 20),
        turn("early", "killed before a word", SENT + 5),
        turn("over", "ended without a run", SENT + 6, ended=True),
        turn(None, "of an older WebUI", SENT),
    ]
    head = {
        "active_stream_id": "second",
        "pending_user_message": "the second",
        "pending_attachments": [{"name": "shot.png"}],
        "pending_started_at": SENT + 19.5,
        "pending_user_source": "webui",
    }
    found = dead_runs(head, turns, runs)
    assert [(run.stream_id, run.prompt and run.prompt["content"], run.started_at) for run in found] == [
        ("unknown", None, SENT + 2),
        ("early", "killed before a word", SENT + 5),
        ("first", "the first", SENT + 10),
        ("second", "the second", SENT + 19.5),
    ]
    assert [run.prompt["attachments"] for run in found if run.prompt] == [
        ["notes.txt"],
        ["notes.txt"],
        [{"name": "shot.png"}],
    ]


def test_a_stream_that_ended_is_not_dead_though_the_file_still_names_it(tmp_path: Path) -> None:
    done = {"event": "cancel", "terminal": True, "created_at": SENT, "payload": {}}
    head = {"active_stream_id": "a", "pending_user_message": "ask"}
    assert dead_runs(head, [], journal(tmp_path, a=[done])) == ()
    (run,) = dead_runs(head, [], RunJournal("sid", []))
    assert (run.stream_id, run.prompt, run.started_at) == ("a", prompt_message("ask"), None)


@pytest.mark.parametrize(
    ("content", "at", "it_is"),
    [
        ("[Workspace::v1: /srv/notes]\nlook  first\n[screenshot]", SENT + 0.4, True),
        ([{"type": "text", "text": "look first"}, {"type": "image_url", "image_url": {"url": "data:"}}], SENT, True),
        ("look first", float(int(SENT)), True),
        ("look first", None, True),
        ("look first", SENT - 9, False),
        ("look again", SENT, False),
    ],
)
def test_the_row_of_a_prompt_is_known(content: Any, at: float | None, it_is: bool) -> None:
    run = RUN._replace(prompt=prompt_message("look first", (), SENT + 0.7))
    assert run.prompt is not None
    assert (asked(run.prompt) == asked({"content": content}) and may_have_sent(run, at)) is it_is


def test_a_prompt_that_a_program_sent_says_so() -> None:
    assert prompt_message("wake", (), 1.0, "process_wakeup")["_source"] == "process_wakeup"
    assert "_source" not in prompt_message("ask", (), 1.0, "webui")
