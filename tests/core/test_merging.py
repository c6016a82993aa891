"""What comes back from which copy, one mishap a test: files and rows in, the repaired file out."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.findings import Category
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.merge import align
from hermes_rescue.core.merge.proposal import propose
from hermes_rescue.core.merge.turns import turns

from .conftest import START


def test_people_say_continue_ten_times(hermes: Any) -> None:
    before = hermes.turns("a", *["b"] * 5)
    for k, m in enumerate(before[2:]):
        m["content"] = "continue" if k % 2 == 0 else "done"
    after = [{**m, "timestamp": m["timestamp"] + 500} for m in before[2:6]]
    hermes.write_live(after)
    hermes.write_backup(before)
    hermes.write_rows([*before, *after])
    hermes.repair()
    assert hermes.load()["messages"] == [*before, *after]


def test_repeated_texts_without_a_database_are_not_taken_for_one(hermes: Any) -> None:
    before = hermes.turns("same", "same", "same")
    after = hermes.turns("same", "same", start=900)
    hermes.write_live(after)
    hermes.write_backup(before)
    hermes.repair()
    assert hermes.load()["messages"] == [*before, *after]


def test_a_prompt_that_was_sent_again_after_an_edit_stays_once(hermes: Any) -> None:
    kept = hermes.turns("a")
    first, again = hermes.turns("b", start=20), hermes.turns("b", start=60)
    live = [*kept, *again]
    hermes.write_live(live, **hermes.undo_marks(kept, again[0]["timestamp"]))
    hermes.write_backup([*kept, *first])
    hermes.write_rows([*kept, *first, *again])
    before = hermes.live.read_bytes()
    assert hermes.kinds() == []
    hermes.repair()
    assert hermes.live.read_bytes() == before


def test_archived_rows_are_history_and_their_copies_are_not_twice(hermes: Any) -> None:
    """A compression in place archives every row and inserts the first, a summary and the last ones anew."""
    old, new = hermes.turns("a", "b", "continue", "continue"), hermes.turns("continue", start=300)
    summary = {"role": "user", "content": "[CONTEXT COMPACTION — REFERENCE ONLY] earlier", "timestamp": 1_777_000_200.0}
    archived = [{**m, "active": 0, "compacted": 1} for m in old]
    again = [{**m, "timestamp": 1_777_000_200.0} for m in (*old[:1], *old[-3:])]
    hermes.write_rows([*archived, again[0], summary, *again[1:], *new])
    hermes.repair()
    assert hermes.texts() == hermes.said([*old, *new])


def test_multimodal_rows_are_decoded(hermes: Any) -> None:
    parts = [
        {"type": "text", "text": "[Workspace::v1: /srv/notes]\nlook"},
        {"type": "image_url", "image_url": {"url": "data:"}},
    ]
    hermes.write_rows([{"role": "user", "content": parts, "timestamp": 1_777_000_000.0}, hermes.turns("x")[1]])
    hermes.repair()
    assert hermes.texts()[0] == [{"type": "text", "text": "look"}, parts[1]]


def test_an_image_and_its_placeholder_are_one_message(hermes: Any) -> None:
    answer = hermes.turns("x")[1]
    parts = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    prompt = {"role": "user", "content": parts, "timestamp": answer["timestamp"] - 4}
    hermes.write_live([prompt, answer])
    hermes.write_rows([{**prompt, "content": "look\n[screenshot]"}, answer])
    assert hermes.kinds() == []


@pytest.mark.parametrize(
    "columns",
    [
        {"source": "cli"},
        {"source": "telegram"},
        {"source": "subagent"},
        {"title": "btw: quick question"},
        {"title": "bg: sweep"},
        {"model_config": '{"_delegate_from": "0123456789ab"}'},
        {"source": "api_server", "session_key": "agent:main"},
    ],
)
def test_sessions_that_were_never_the_webuis_get_no_sidecar(hermes: Any, columns: dict[str, Any]) -> None:
    hermes.write_rows(hermes.turns("a"), **columns)
    assert hermes.audit().sessions == ()
    assert hermes.repair().run_id is None
    assert list(hermes.sessions.iterdir()) == []


@pytest.mark.parametrize("source", ["cli", "telegram"])
def test_what_another_program_has_of_a_lost_file_is_asked(hermes: Any, source: str) -> None:
    """The WebUI shows it without a file, too; the index row says that there was one."""
    turns = hermes.turns("a", "b")
    hermes.write_rows(turns, source=source)
    hermes.write_index({"session_id": hermes.live.stem, "title": "My own name", "message_count": 4, "pinned": True})
    assert hermes.repair().run_id is None
    assert "state_db_missing_sidecar" in hermes.kinds()
    hermes.repair(hermes.live.stem)
    assert hermes.texts() == hermes.said(turns)
    assert (hermes.load()["title"], hermes.load()["pinned"]) == ("My own name", True)


@pytest.mark.parametrize("shown", [0, 2])
def test_a_file_need_not_keep_up_with_another_program(hermes: Any, shown: int) -> None:
    turns = hermes.turns("a", "b")
    before = hermes.write_live(turns[:shown])
    hermes.write_rows(turns, source="telegram")
    assert hermes.repair().run_id is None
    assert hermes.live.read_bytes() == before


@pytest.mark.parametrize("is_torn", [True, False])
def test_a_damaged_file_gets_back_what_another_program_has_of_it(hermes: Any, is_torn: bool) -> None:
    """A person took a conversation of the terminal's into the WebUI: nothing else has what the damage took."""
    turns = hermes.turns("a", "b")
    data = hermes.write_live(turns, is_cli_session=True, source_tag="cli")
    hermes.write_rows(turns, source="cli")
    if is_torn:
        hermes.tear_live("ask b")
    else:
        hermes.live.write_bytes(bytes(len(data)))
    hermes.repair()
    assert hermes.texts() == hermes.said(turns)


def test_rows_of_the_api_server_belong_to_the_sidecar_that_their_key_names(hermes: Any) -> None:
    turns = hermes.turns("a")
    hermes.write_rows(turns, sid="api_1234", source="api_server", session_key=f"webui:{hermes.live.stem}")
    hermes.repair()
    assert hermes.texts() == hermes.said(turns)
    assert not (hermes.sessions / "api_1234.json").exists()


def test_rows_in_a_profiles_database_count(hermes: Any, tmp_path: Any) -> None:
    turns = hermes.turns("a")
    other = hermes.home / "profiles" / "work"
    other.mkdir(parents=True)
    hermes.write_rows(turns)
    (hermes.home / "state.db").rename(other / "state.db")
    hermes.repair()
    assert hermes.texts() == hermes.said(turns)
    assert hermes.load()["profile"] == "work"


def test_an_id_that_is_no_file_name_never_becomes_one(hermes: Any) -> None:
    hermes.write_rows(hermes.turns("a"), sid="../evil")
    hermes.write_rows(hermes.turns("b"), title="Other")
    found = hermes.audit()
    assert [f.kind.name for f in found.store_findings] == ["unsafe_id"]
    hermes.repair()
    assert [p.name for p in hermes.sessions.iterdir()] == [hermes.live.name]
    assert not (hermes.home / "webui" / "evil.json").exists()


def test_rows_that_nobody_should_see_make_no_session_damaged(hermes: Any) -> None:
    turns = hermes.turns("a", "b")
    hermes.write_live(turns)
    system = {"role": "system", "content": "You are helpful", "timestamp": 1_777_000_000.0}
    empty = {"role": "assistant", "content": "", "timestamp": 1_777_000_004.5}
    hermes.write_rows([system, *turns[:2], empty, *turns[2:]])
    assert hermes.kinds() == []


def test_what_the_program_adds_to_a_prompt_makes_no_second_prompt(hermes: Any) -> None:
    turns = hermes.turns("a", "b")
    hermes.write_live(turns)
    before, behind = {**turns[0]}, {**turns[2]}
    before["content"] = f"[Context: today is Sunday]\n\n{before['content']}"
    behind["content"] += "\n\n[Attached files: /srv/notes/plan.pdf]"
    hermes.write_rows([before, turns[1], behind, turns[3]])
    assert hermes.kinds() == []


@pytest.mark.parametrize(
    ("there", "row"),
    [
        ("Überprüfung é 한국어", unicodedata.normalize("NFD", "Überprüfung é 한국어")),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("it’s “quoted” – and so on…", 'it\'s "quoted" - and so on...'),
        ("a long result\n" * 30 + "... [truncated]", "a long result\n" * 90),
    ],
)
def test_a_text_that_is_spelled_otherwise_or_was_shortened_is_no_other_message(
    hermes: Any, there: str, row: str
) -> None:
    turns = hermes.turns("a", "b", "c", "d")
    turns[0]["content"], turns[3]["content"] = f"ask: {there}", there
    rows = [dict(each) for each in turns]
    rows[0]["content"], rows[3]["content"] = f"ask: {row}", row
    hermes.write_live(turns)
    hermes.write_rows(rows)
    assert hermes.kinds() == []


@pytest.mark.parametrize("row", ["it is done, and the rest of", "it is done, and the rest of it was \ufffd\ufffdblich"])
@pytest.mark.parametrize("others_are_lost", [True, False])
def test_a_text_that_lost_something_in_its_row_stays_as_the_file_has_it(
    hermes: Any, row: str, others_are_lost: bool
) -> None:
    turns = hermes.turns("a", "b")
    turns[1]["content"] = "it is done, and the rest of it was üblich as well"
    before = hermes.write_live(turns[:2] if others_are_lost else turns)
    hermes.write_rows([turns[0], {**turns[1], "content": row}, *turns[2:]])
    hermes.repair()
    assert hermes.texts() == hermes.said(turns)
    assert others_are_lost or hermes.live.read_bytes() == before


def test_a_masked_text_gives_way_to_the_plain_one(hermes: Any) -> None:
    turns = hermes.turns("a", "b")
    plain = "the key is sk-proj-aaaabbbbccccddddeeeeffff and nothing else"
    turns[1]["content"] = plain
    masked = {**turns[1], "content": "the key is sk-pro...ffff and nothing else"}
    run = hermes.sessions / "_run_journal" / hermes.live.stem
    run.mkdir(parents=True)
    done = {"event": "done", "created_at": 1.0, "payload": {"session": hermes.session([turns[0], masked, *turns[2:]])}}
    (run / "s1.jsonl").write_text(json.dumps(done) + "\n")
    hermes.write_rows(turns[:2])
    hermes.repair()
    assert hermes.texts() == hermes.said(turns)


def test_a_secret_that_a_person_masked_in_the_file_is_a_question(hermes: Any) -> None:
    turns = hermes.turns("a", "b")
    turns[1]["content"] = "the key is sk-proj-aaaabbbbccccddddeeeeffff and nothing else"
    hermes.write_rows(turns)
    masked = [turns[0], {**turns[1], "content": "the key is sk-pro...ffff and nothing else"}, *turns[2:]]
    before = hermes.write_live(masked)
    assert [f.category for s in hermes.audit().sessions for f in s.findings] == [Category.REVIEW]
    hermes.repair()
    assert hermes.live.read_bytes() == before
    hermes.write_live(masked[:2])
    hermes.repair()
    assert hermes.texts() == hermes.said(masked)
    hermes.repair(hermes.live.stem)
    assert hermes.texts() == hermes.said(turns)
    assert hermes.kinds() == []


def test_one_masked_secret_is_shown_by_its_number_in_the_preview(hermes: Any) -> None:
    turns = hermes.turns("a", "b")
    plain = "the key is sk-proj-aaaabbbbccccddddeeeeffff and nothing else"
    turns[1]["content"] = turns[3]["content"] = plain
    masked = [{**m, "content": m["content"].replace("oj-aaaabbbbccccddddeeee", "...")} for m in turns]
    hermes.write_live(masked)
    hermes.write_rows(turns)
    store = find_store(home=hermes.home)
    api.apply(api.plan(store, [hermes.live.stem], choices=hermes.choose(include=[1])))
    assert hermes.texts() == hermes.said([*turns[:2], *masked[2:]])


def test_a_thought_whose_call_was_taken_out_is_the_row_that_makes_the_call(hermes: Any) -> None:
    """Nothing answered the call; some providers count the ids of calls from 0."""
    turns = hermes.turns("a", "b")
    call = {"id": "call_1", "type": "function", "function": {"name": "terminal", "arguments": "{}"}}
    thought = {"role": "assistant", "content": "", "reasoning": "hm", "timestamp": turns[2]["timestamp"] + 1}
    answer = {**turns[3], "timestamp": thought["timestamp"] + 1}
    hermes.write_live([*turns[:3], thought, answer])
    hermes.write_rows([*turns[:3], {**thought, "tool_calls": [call]}, answer])
    assert hermes.kinds() == []


def test_the_tag_beside_a_picture_stays_in_a_file_that_was_made_of_rows(hermes: Any) -> None:
    """The server itself writes it there."""
    turns = hermes.turns("a", "b")
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    turns[0]["content"] = [{"type": "text", "text": "[Workspace::v1: /srv/notes]\nask a"}, picture]
    hermes.write_live(turns, _recovered_from_state_db=True)
    hermes.write_backup(turns)
    assert hermes.kinds() == []


def test_parts_come_back_and_the_rest_keeps_its_bytes(hermes: Any) -> None:
    call = [{"id": "call_0123456789", "type": "function", "function": {"name": "terminal", "arguments": "{}"}}]
    full = [
        {"role": "user", "content": "go", "timestamp": 1_777_000_000.0, "attachments": ["a.png"]},
        {"role": "assistant", "content": "", "timestamp": 1_777_000_001.0, "tool_calls": call, "reasoning": "hm"},
        {
            "role": "tool",
            "content": "ok",
            "timestamp": 1_777_000_002.0,
            "tool_call_id": "call_0123456789",
            "name": "terminal",
        },
        {"role": "assistant", "content": "done", "timestamp": 1_777_000_003.0, "x": 1e400},
    ]
    poor = [{k: v for k, v in m.items() if k not in ("tool_calls", "reasoning", "attachments")} for m in full]
    data = hermes.write_live(poor, odd={"b": 1, "a": 12345678901234567890123})
    hermes.write_temp(full[:2])
    hermes.repair()
    got = hermes.live.read_bytes()
    assert json.loads(got)["messages"][:2] == full[:2]
    for piece in (b'"x": Infinity', b'"a": 12345678901234567890123', b'"tool_call_id": "call_0123456789"'):
        assert piece in data
        assert piece in got
    tail = data[data.index(b'{\n      "role": "tool"') :]
    assert got.endswith(tail)


def test_a_message_gets_what_only_its_row_tells_together_with_what_it_lost(hermes: Any) -> None:
    turns = hermes.turns("a", "b")
    hermes.write_live(turns)
    row = {**turns[1], "reasoning": "hm", "finish_reason": "stop"}
    hermes.write_rows([turns[0], row, *turns[2:]])
    hermes.repair()
    assert hermes.load()["messages"] == [turns[0], row, *turns[2:]]


def test_raw_database_forms_in_a_rebuilt_file_are_cleaned(hermes: Any) -> None:
    turns = hermes.turns("a", "b")
    raw = [
        {**m, "content": f"[Workspace::v1: /srv/notes]\n{m['content']}"} if m["role"] == "user" else m for m in turns
    ]
    hermes.write_live(raw, _recovered_from_state_db=True)
    hermes.write_rows(turns)
    assert hermes.kinds() == ["lossy_rebuild"]
    hermes.repair()
    assert hermes.texts() == hermes.said(turns)
    assert hermes.kinds() == []


def test_a_result_comes_after_its_call_whatever_the_stamps(hermes: Any) -> None:
    """A torn file ends with a call, and the rows begin with its result: one moment, and two parts of one turn."""
    call = {"id": "call_2", "type": "function", "function": {"name": "terminal", "arguments": "{}"}}
    at = START + 100
    step = {"role": "assistant", "content": "", "tool_calls": [call], "timestamp": at}
    rest = [
        {"role": "tool", "content": "result of it", "tool_call_id": "call_2", "timestamp": at},
        {"role": "assistant", "content": "answer b", "timestamp": at},
    ]
    said = [*hermes.turns("a"), {"role": "user", "content": "ask b", "timestamp": at}, step]
    hermes.write_live([*said, *rest])
    hermes.tear_live('"content": "result of it"')
    hermes.write_rows([*rest, *hermes.turns("c", start=200)])
    hermes.repair()
    assert hermes.texts() == hermes.said([*said, *rest, *hermes.turns("c", start=200)])


def test_a_call_at_the_end_of_the_rows_that_nothing_answers_becomes_a_card(hermes: Any) -> None:
    """The run was killed in it, and neither file nor journal is left to tell."""
    call = {"id": "call_2", "type": "function", "function": {"name": "terminal", "arguments": "{}"}}
    prompt = {"role": "user", "content": "ask b", "timestamp": START + 100}
    step = {"role": "assistant", "content": "I look.", "tool_calls": [call], "timestamp": START + 101}
    hermes.live.write_bytes(bytes(2000))
    hermes.write_rows([*hermes.turns("a"), prompt, step])
    hermes.repair()
    repaired = hermes.load()
    assert hermes.texts() == hermes.said([*hermes.turns("a"), prompt, step])
    assert "tool_calls" not in repaired["messages"][-1]
    assert [card["assistant_msg_idx"] for card in repaired["tool_calls"] if card["tid"] == "call_2"] == [3]
    assert hermes.kinds() == []


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("is_rest_in_file", [True, False])
def test_the_rest_of_a_turn_comes_before_the_next_prompt(hermes: Any, timed: bool, is_rest_in_file: bool) -> None:
    """Also of one moment, or without times."""
    said, end = hermes.turns("a", "b"), hermes.turns("c", start=20)
    rest = {"role": "assistant", "content": "more of b", "timestamp": end[0]["timestamp"]}
    if not timed:
        for m in (rest, *end):
            del m["timestamp"]
    copies = [*said, rest], [*said, *end]
    hermes.write_live(copies[not is_rest_in_file])
    hermes.write_temp(copies[is_rest_in_file])
    hermes.repair()
    assert hermes.texts() == hermes.said([*said, rest, *end])


def test_a_result_is_not_taken_for_that_of_another_call_though_both_say_the_same(hermes: Any) -> None:
    turns = hermes.turns("a", "b")
    at = turns[2]["timestamp"] + 2
    function = {"name": "terminal", "arguments": "{}"}
    calls = [{"id": f"call_{k:0>12}", "type": "function", "function": function} for k in range(2)]
    caller = {"role": "assistant", "content": "let me see", "tool_calls": calls, "timestamp": at}
    first, second = (
        {"role": "tool", "content": "ok", "tool_call_id": call["id"], "name": "terminal", "timestamp": at}
        for call in calls
    )
    begin, end = [*turns[:3], caller], turns[3:]
    hermes.write_live([*begin, first, *end])
    hermes.write_rows([*begin, second, *end])
    hermes.repair()
    found = hermes.load()["messages"]
    assert len(found) == len([*begin, first, second, *end])
    assert {m["tool_call_id"] for m in found if m["role"] == "tool"} == {call["id"] for call in calls}


def test_answers_that_are_much_alike_make_no_two_prompts_one(hermes: Any) -> None:
    first, second, third = (hermes.turns(word, start=100 * k) for k, word in enumerate("abc"))
    for turn in (first, second, third):
        turn[1]["content"] = f"{'the same log, line after line. ' * 20}{turn[0]['content']}"
    hermes.write_backup([*second, *third])
    hermes.write_live([], updated_at=START + 200)
    hermes.write_rows([*first, *third])
    hermes.repair()
    assert hermes.texts() == hermes.said([*first, *second, *third])


def test_leftover_saves_of_the_same_bytes_are_held_once_and_each_is_named(hermes: Any) -> None:
    turns = hermes.turns("a", "b", "c")
    hermes.write_live(turns[:2])
    for k, messages in enumerate([turns[:4], turns, turns[:4], turns]):
        hermes.write(hermes.sessions / f"{hermes.live.stem}.tmp.77.{k}", hermes.session(messages))
    with Inventory(find_store(home=hermes.home)) as inventory:
        copies = inventory.copies(hermes.live.stem)
    assert len({id(temp.data) for temp in copies.temps}) == len({id(temp.sidecar) for temp in copies.temps}) == 2
    items = propose(copies).items
    assert [item.message.value for item in items] == turns
    assert [sorted(item.copies) for item in items[4:]] == [["temp 2", "temp 4"]] * 2
    assert [sorted(item.copies) for item in items[2:4]] == [["temp", "temp 2", "temp 3", "temp 4"]] * 2


LONG = "Everything that you asked for is in the folder, tested and written down; say so if more is to be done."


def same_turns(hermes: Any, *starts: float) -> list[dict[str, Any]]:
    """The same prompt with the same long answer, at these times."""
    said = [m for start in starts for m in hermes.turns("again", start=start)]
    return [m if m["role"] == "user" else {**m, "content": LONG} for m in said]


@pytest.mark.parametrize("cells", [align.GAP_CELLS, 0])
def test_of_turns_that_say_the_same_the_one_of_that_time_gets_its_thought_back(
    hermes: Any, monkeypatch: pytest.MonkeyPatch, cells: int
) -> None:
    """Of hundreds of turns as well: so many are not compared one by one."""
    monkeypatch.setattr(align, "GAP_CELLS", cells)
    said = same_turns(hermes, 0, 100, 200)
    thought = [*said[:5], {**said[5], "reasoning": "the newest"}]
    hermes.write_live(said)
    hermes.write_rows(thought[4:])
    hermes.repair()
    assert hermes.load()["messages"] == thought


@pytest.mark.parametrize("cells", [align.GAP_CELLS, 0])
@pytest.mark.parametrize("timed", [True, False])
def test_of_turns_that_say_the_same_those_before_the_one_that_is_left_come_back(
    hermes: Any, monkeypatch: pytest.MonkeyPatch, cells: int, timed: bool
) -> None:
    """Also where the first of them have no times."""
    monkeypatch.setattr(align, "GAP_CELLS", cells)
    said = same_turns(hermes, 0, 100, 200)
    hermes.write_live(said[4:])
    if not timed:
        for m in said[:4]:
            del m["timestamp"]
    said[5]["reasoning"] = "the newest"
    hermes.write_backup(said)
    hermes.repair()
    assert hermes.load()["messages"] == said


def test_a_turn_without_times_is_not_taken_for_one_that_has_the_very_time(hermes: Any) -> None:
    said = same_turns(hermes, 0, 100)
    for m in said[:2]:
        del m["timestamp"]
    thought = [*said[:3], {**said[3], "reasoning": "the newest"}]
    hermes.write_live(said)
    hermes.write_rows(thought[2:])
    hermes.repair()
    assert hermes.load()["messages"] == thought


def test_turns_that_stand_in_another_order_in_a_copy_come_back_once(
    hermes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of so many turns that they are not compared one by one."""
    monkeypatch.setattr(align, "GAP_CELLS", 0)
    said, newer = hermes.turns("a", "b", "c"), hermes.turns("d", start=100)
    hermes.write_live(said)
    hermes.write_rows([*said[2:4], *said[:2], *said[4:], *newer])
    hermes.repair()
    assert hermes.texts() == hermes.said([*said, *newer])


def test_leftovers_of_a_growing_answer_are_aligned_a_few_at_a_time(
    hermes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has a little more of the answer than the one before, so that every one of them changes what is merged."""
    number, aligned = 60, list[Any]()
    align_two = align.align
    monkeypatch.setattr(align, "align", lambda *both, **torn: aligned.append(both) or align_two(*both, **torn))
    hermes.write_live(hermes.turns("a"))
    for k in range(number):
        turn = hermes.turns("a", "b")
        turn[-1]["content"] = "word " * (k + 1)
        hermes.write_new(hermes.sessions / f"{hermes.live.stem}.tmp.77.{k}", turn)
    (session,) = api.audit(find_store(home=hermes.home)).sessions
    assert session.after == 4
    assert len(aligned) < 12 * number


def test_leftovers_that_each_end_differently_are_aligned_by_halves(
    hermes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has a turn of its own: what is merged grows with every one of them, and need not be aligned with all."""
    number, aligned = 64, list[Any]()
    monkeypatch.setattr(align, "turns", lambda messages: aligned.extend(messages) or turns(messages))
    hermes.write_live(hermes.turns("a"))
    own = [hermes.turns(f"question {k:02}", start=100 * k + 100) for k in range(number)]
    for k, turn in enumerate(own):
        name = f"{hermes.live.stem}.tmp.77.{(k * 37) % number}"
        hermes.write_new(hermes.sessions / name, [*hermes.turns("a"), *turn])
    hermes.repair()
    assert hermes.texts() == hermes.said([*hermes.turns("a"), *(m for turn in own for m in turn)])
    assert len(aligned) < 8 * number * number.bit_length()


@pytest.mark.parametrize("gap", [2, 36])
def test_a_copy_that_says_the_same_at_the_same_time_is_merged_before_one_that_said_it_earlier(
    hermes: Any, gap: int
) -> None:
    """The file was wiped and the same said again, to which an overloaded provider gave the same answer; the backup has
    the first of the two, with steps, and the rows have both."""
    words = {"role": "assistant", "content": "Error 429: the provider is overloaded, please try again in a moment."}
    first, again = hermes.turns("a"), hermes.turns("a", start=gap)
    step = {"role": "assistant", "content": "I look.", "timestamp": first[0]["timestamp"] + 1}
    first = [first[0], step, first[1] | words]
    again = [again[0], again[1] | words]
    hermes.write_live(again)
    hermes.write_backup(first)
    hermes.write_rows([*first, *again])
    hermes.repair()
    assert hermes.texts() == hermes.said([*first, *again])


def test_a_summary_behind_a_turn_in_the_rows_does_not_make_it_another(hermes: Any) -> None:
    """The file was wiped and the same said again, with the same answer; the backup has the first of the two, behind
    which the agent compacted its context. Its rows have times of their own."""
    words = {"role": "assistant", "content": "Error 429: the provider is overloaded, please try again in a moment."}
    before, after = hermes.turns("a"), hermes.turns("b", start=400)
    first, again = ([turn[0], turn[1] | words] for turn in (hermes.turns("x", start=n) for n in (100, 500)))
    summary = {
        "role": "user",
        "content": "[CONTEXT COMPACTION \N{EM DASH} REFERENCE ONLY] Earlier turns were compacted.",
    }
    hermes.write_live(again)
    hermes.write_backup([*before, *first, *after])
    rows = [*before, *first, {**summary, "timestamp": START + 110}, *after, *again]
    hermes.write_rows({**m, "timestamp": m["timestamp"] + 0.3} for m in rows)
    hermes.repair()
    assert hermes.texts() == hermes.said([*before, *first, *after, *again])


def test_a_turn_that_a_flush_wrote_again_right_before_a_compaction_comes_back_once(hermes: Any) -> None:
    """The file was emptied and went on; its backup has the turn once."""
    quick, later, after = (hermes.turns(word, start=100 * k) for k, word in enumerate("abc"))
    quick[1]["timestamp"] = START + 0.1
    words = "[CONTEXT COMPACTION \N{EM DASH} REFERENCE ONLY] Earlier turns were compacted."
    again = [m | {"timestamp": m["timestamp"] + 0.5} for m in quick]
    block = [{"role": "user", "content": words, "timestamp": START + 2}, again[1]]
    hermes.write_live(after)
    hermes.write_backup([*quick, *later])
    hermes.write_rows([*quick, *again, *block, *later, *after])
    hermes.repair()
    assert hermes.texts() == hermes.said([*quick, *later, *after])


def test_an_answer_behind_the_end_of_a_torn_backup_comes_back_though_another_says_the_same(hermes: Any) -> None:
    """The file was emptied."""
    said = hermes.turns("a", "b")
    said[3] |= {"content": said[1]["content"]}
    hermes.write_live([], updated_at=said[-1]["timestamp"])
    data = hermes.write_backup(said)
    hermes.live.with_suffix(".json.bak").write_bytes(data[: data.rindex(b"answer a")])
    hermes.write_rows(said)
    hermes.repair()
    assert hermes.texts() == hermes.said(said)
