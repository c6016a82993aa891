"""What real servers leave after acts of a person, as recorded from several versions of them."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hermes_rescue.core.audit.findings import Category
from hermes_rescue.core.hermes.message import LAST_WORDS
from hermes_rescue.core.merge.intent import MARK_FIELDS

from .conftest import ACT, SID, START, Hermes, Value
from .test_acts import EARLIER, bounded, compressed, cut
from .test_identity import with_tools
from .test_listed_length import write_unmarked
from .test_witnesses import categories, is_left_alone


def asked_again(hermes: Hermes) -> tuple[list[Value], list[Value], list[Value]]:
    """A turn, another one, and that one after its answer was asked for again."""
    kept, old, new = hermes.turns("a"), hermes.turns("b", start=100), hermes.turns("b", start=200)
    old[1]["content"] = "the first answer, long enough to be known wherever it stands in a copy of this session"
    new[1]["content"] = "quite another answer to the same prompt, just as long and just as well known as the first"
    return kept, old, new


def asked_with_a_call(hermes: Hermes, start: int) -> list[Value]:
    """The same prompt each time: its call, the result, and an answer."""
    prompt, answer = hermes.turns("b", start=start)
    call = {"id": f"call_{start}", "type": "function", "function": {"name": "terminal", "arguments": "{}"}}
    at = prompt["timestamp"]
    return [
        prompt,
        {"role": "assistant", "content": "", "tool_calls": [call], "timestamp": at + 1},
        {"role": "tool", "content": f"result {start}", "tool_call_id": call["id"], "timestamp": at + 2},
        answer | {"content": f"answer {start}, long enough to be known wherever it stands in a copy of the session"},
    ]


def without(hermes: Hermes, messages: Sequence[Value], *fields: str, **values: object) -> None:
    """The file of a version that does not know these fields."""
    session = hermes.session(messages, **values)
    hermes.write(hermes.live, {name: value for name, value in session.items() if name not in fields})


def test_the_first_answer_does_not_return_where_only_rows_have_the_one_that_was_asked_for(hermes: Hermes) -> None:
    """The prompt got the time of the second answer, so it stands in the rows twice; the file had it once."""
    kept, old, new = asked_again(hermes)
    hermes.write_live([], **hermes.undo_marks(old[:1], new[0]["timestamp"]))
    hermes.write_backup([*kept, *old])
    hermes.write_rows([*kept, *old, *new])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *new])


@pytest.mark.parametrize("is_torn", [True, False])
def test_a_count_from_after_an_act_is_not_taken_for_one_that_is_late(hermes: Hermes, is_torn: bool) -> None:
    """The list counts as many as there were before the newest turn; but the backup is from before a save of fewer, and
    nothing that it has would stay out. The file is torn before its marks, and the newest prompt is the backup's once
    more; or it was put back from that backup."""
    kept, old, new = asked_again(hermes)
    whole = hermes.write_live([*kept, *old])
    hermes.write_backup([*kept, *old])
    if is_torn:
        hermes.live.write_bytes(whole[:150])
    hermes.write_rows([*kept, *old, *new])
    last = new[-1]["timestamp"]
    hermes.write_index({"session_id": SID, "message_count": 4, "last_message_at": last, "updated_at": last + 1})
    assert is_left_alone(hermes)


def test_a_compress_by_hand_hides_an_undo_of_a_version_without_generations(hermes: Hermes) -> None:
    """Its marks are those of the compress, so that no act is known is no proof that there was none."""
    kept, undone = hermes.turns("a", "b"), hermes.turns("c", start=100)
    marks = {"truncation_boundary": START + ACT, "truncation_watermark": START + ACT, "updated_at": START + ACT}
    without(hermes, kept, "intentional_shrink_generation", compression_anchor_mode="manual", **marks)
    hermes.write_rows([*kept, *undone])
    assert Category.REPAIRABLE not in categories(hermes)
    assert is_left_alone(hermes)


def test_a_file_that_an_old_compression_wrote_anew_lacks_nothing_of_its_answers(hermes: Hermes) -> None:
    """It left their reasoning out; its summary stands in an answer, not as a message."""
    turns = hermes.turns("a", "b", "c")
    reasoned = [{**m, "reasoning": "why"} if m["role"] == "assistant" else m for m in turns]
    summary = "[PRIOR CONTEXT]\nanswer b\n[END OF PRIOR CONTEXT]\n[CONTEXT COMPACTION] what was said"
    rewritten = [{**m, "content": summary} if m["content"] == "answer b" else m for m in turns]
    without(hermes, rewritten, "compression_anchor_mode", *MARK_FIELDS, updated_at=START + ACT)
    hermes.write_backup(reasoned)
    hermes.write_rows(reasoned)
    assert Category.REPAIRABLE not in categories(hermes)


def test_a_prompt_to_which_the_server_moved_the_second_answer_stands_once(hermes: Hermes) -> None:
    """It had cut behind the prompt and sent it again: the file has the new answer behind both, the rows have each
    answer with a prompt of its own, stamped by another clock."""
    kept, old, new = asked_again(hermes)
    notice = {**new[1], "content": "**No response from provider.**"}
    moved = {"role": "assistant", "content": new[1]["content"]}
    marks = {"truncation_boundary": old[0]["timestamp"], "truncation_watermark": float(int(new[0]["timestamp"]))}
    messages = [*kept, old[0], moved, *new, notice]
    without(hermes, messages, "intentional_shrink_generation", **marks, updated_at=START + ACT)
    hermes.write_backup([*kept, *old])
    rows = [{**old[0], "timestamp": old[0]["timestamp"] - 1}, old[1], {**new[0], "timestamp": new[0]["timestamp"] + 7}]
    hermes.write_rows([*kept, *rows, {**new[1], "timestamp": new[1]["timestamp"] + 7}])
    before = json.loads(hermes.live.read_bytes())["messages"]
    assert Category.REPAIRABLE not in categories(hermes)
    hermes.repair()
    assert json.loads(hermes.live.read_bytes())["messages"] == before


def with_a_tool(word: str, start: float) -> list[Value]:
    """A turn with a call, as a server stamps it: all of it when it ends, a millionth of a second apart."""
    call = {"id": f"call_{word * 8}", "type": "function", "function": {"name": "terminal", "arguments": "{}"}}
    turn: list[Value] = [
        {"role": "user", "content": "look it up"},
        {"role": "assistant", "content": f"I look up {word}.", "tool_calls": [call]},
        {"role": "tool", "content": f"result {word}", "tool_call_id": call["id"]},
        {"role": "assistant", "content": f"It is {word}."},
    ]
    return [{**m, "timestamp": START + start + n * 1e-6} for n, m in enumerate(turn)]


def as_rows(turn: Sequence[Value], seconds: float = 8.0) -> list[Value]:
    """The rows of such a turn: the agent stamps each when it writes it."""
    return [{**m, "timestamp": m["timestamp"] - seconds + 2 * n} for n, m in enumerate(turn)]


def test_an_answer_that_was_cut_off_stays_out_of_a_file_that_was_emptied_since(hermes: Hermes) -> None:
    """The boundary is the stamp of the result before it; the row of the answer is older than that."""
    first, old, new = hermes.turns("a"), with_a_tool("old", 100), with_a_tool("new", 200)
    marks = {"truncation_boundary": old[2]["timestamp"], "truncation_watermark": new[0]["timestamp"]}
    without(hermes, [], "intentional_shrink_generation", **marks, updated_at=START + ACT)
    hermes.write_backup([*first, *old])
    hermes.write_rows([*first, *as_rows(old), *as_rows(new)])
    hermes.repair()
    assert hermes.texts() == hermes.said([*first, *old[:3], *new])


def test_a_count_that_lacks_the_answer_before_the_same_prompt_is_a_question(hermes: Hermes) -> None:
    """Only the database is left, and the user may have asked for another answer or said the same again."""
    first, old, new = hermes.turns("a"), with_a_tool("old", 100), with_a_tool("new", 200)
    last = new[-1]["timestamp"]
    without(hermes, [], *MARK_FIELDS, updated_at=last + 1)
    hermes.write_rows([*first, *as_rows(old), *as_rows(new)])
    hermes.write_index({"session_id": SID, "message_count": 9, "last_message_at": last, "updated_at": last + 1})
    assert is_left_alone(hermes)


def test_an_emptied_file_whose_first_prompt_an_old_version_edited_is_a_question(hermes: Hermes) -> None:
    """Its watermark says that an act kept nothing, and the list counts only what was said after it."""
    gone, edited = with_a_tool("old", 100), hermes.turns("edited", "more", start=200)
    last = edited[-1]["timestamp"]
    unknown = [name for name in MARK_FIELDS if name != "truncation_watermark"]
    without(hermes, [], *unknown, truncation_watermark=0.0, updated_at=last + 1)
    hermes.write_rows([*gone, *edited])
    hermes.write_index({"session_id": SID, "message_count": 4, "last_message_at": last, "updated_at": last + 1})
    assert is_left_alone(hermes)


def test_an_undo_takes_the_newest_turn_back_though_its_answer_has_the_stamp_of_the_one_before(hermes: Hermes) -> None:
    """The server gives an answer that says what another one said the time of that."""
    turns = hermes.turns("a", "b", "c")
    turns[-1] |= {"content": turns[-3]["content"], "timestamp": turns[-3]["timestamp"]}
    hermes.write_live([], **hermes.undo_marks(turns[:-2]))
    hermes.write_backup(turns)
    hermes.write_rows(turns)
    hermes.repair()
    assert hermes.texts() == hermes.said(turns[:-2])


def test_a_file_torn_right_behind_the_marks_of_an_act_knows_of_it(hermes: Hermes) -> None:
    """A version without generations: nothing of its messages is left, and what a retry replaced is in the backup."""
    kept, old, new = asked_again(hermes)
    marks = {"truncation_boundary": kept[-1]["timestamp"], "truncation_watermark": new[0]["timestamp"]}
    without(hermes, [*kept, *new], "intentional_shrink_generation", **marks, updated_at=START + ACT)
    data = hermes.live.read_bytes()
    hermes.live.write_bytes(data[: data.index(b'"messages"')])
    hermes.write_backup([*kept, *old])
    hermes.write_rows([*kept, *old, *new])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *new])


@pytest.mark.parametrize("is_torn", [True, False])
def test_a_retry_of_an_old_version_is_asked_about_where_the_list_counts_what_it_left(
    hermes: Hermes, is_torn: bool
) -> None:
    """It left no mark: the file is the one from before, or nothing is left of it but its backup, and another turn was
    said since."""
    kept, old, new = asked_again(hermes)
    without(hermes, [*kept, *old], *MARK_FIELDS, updated_at=old[-1]["timestamp"])
    if is_torn:
        new += hermes.turns("c", start=300)
        hermes.live.write_bytes(hermes.live.read_bytes()[:150])
        hermes.write_backup([*kept, *old])
    hermes.write_rows([*kept, *old, *new])
    count, last = len(kept) + len(new), new[-1]["timestamp"] + 0.1
    hermes.write_index({"session_id": SID, "message_count": count, "last_message_at": last, "updated_at": last})
    assert Category.REVIEW in categories(hermes)
    assert is_left_alone(hermes)


def test_what_was_said_since_an_old_version_cleared_returns_to_the_file_of_then(hermes: Hermes) -> None:
    """The clear left an empty file without a name and no mark; the session list knows of the turn after it."""
    cleared, since = hermes.turns("a"), hermes.turns("b", start=200)
    without(hermes, [], *MARK_FIELDS, title="Untitled", updated_at=START + 100)
    hermes.write_rows([*cleared, *since])
    last = since[-1]["timestamp"]
    hermes.write_index({"session_id": SID, "message_count": 2, "last_message_at": last, "updated_at": last + 1})
    hermes.repair()
    assert hermes.texts() == hermes.said(since)


@pytest.mark.parametrize("shown", [True, False])
def test_an_answer_that_was_given_again_does_not_return_where_the_prompt_is_there_twice(
    hermes: Hermes, shown: bool
) -> None:
    """A version without generations takes the last message of an answer back, and leaves its call; the watermark of the
    act begins at the prompt. The backup is from after the act, and the newest run shows no more than the file."""
    kept, later = hermes.turns("a"), hermes.turns("c", start=400)
    first, second, third = (asked_with_a_call(hermes, start) for start in (100, 200, 300))
    file = [*kept, *first[:3], *second[:3], *third]
    marks = {"truncation_boundary": second[2]["timestamp"], "truncation_watermark": second[0]["timestamp"]}
    hermes.write_old(hermes.sessions / f"{SID}.json.bak", file, **marks)
    hermes.write_old(hermes.live, [*file, *later], **marks | {"truncation_watermark": third[0]["timestamp"]})
    hermes.write_rows([*kept, *first, *second[:3], *third, *later])
    if shown:
        hermes.write_run([*file, *later])
    assert is_left_alone(hermes)
    assert categories(hermes) <= {Category.INFO if shown else Category.REVIEW}


def test_an_answer_that_was_replaced_does_not_return_between_what_a_torn_file_shows(hermes: Hermes) -> None:
    """Up to the tear the file has all that it had: the first answer was taken back, or lost, before that."""
    kept, old, new = asked_again(hermes)
    after = hermes.turns("c", "d", start=300)
    without(hermes, [*kept, *new, *after], *MARK_FIELDS)
    hermes.tear_live("answer d")
    write_unmarked(hermes, hermes.live.with_suffix(".json.bak"), [*kept, *old])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *new, *after[:3]])
    assert Category.REVIEW in categories(hermes)


def test_what_an_old_version_edited_stays_out_though_a_torn_file_counts_as_many(hermes: Hermes) -> None:
    """The first prompt was edited, so the file began anew. What can be read of it and the backup from before that are
    by chance as many messages as it had."""
    edited, after = hermes.turns("a", "b")[:3], hermes.turns("c", "d", start=100)
    without(hermes, after, *MARK_FIELDS)
    hermes.tear_live("answer c")
    write_unmarked(hermes, hermes.live.with_suffix(".json.bak"), edited)
    hermes.write_rows([*edited, *after])
    hermes.repair()
    assert not set(hermes.said(edited)) & set(hermes.texts())
    assert Category.REVIEW in categories(hermes)


def test_what_an_old_version_undid_does_not_return_to_an_emptied_file_because_a_clock_was_set_back(
    hermes: Hermes,
) -> None:
    """No copy but the database has the turn, and the session list knows nothing newer than the backup."""
    kept, undone = hermes.turns("a", "b"), hermes.turns("c", start=9000)
    saved = kept[-1]["timestamp"] + 10
    without(hermes, [], *MARK_FIELDS, updated_at=saved)
    write_unmarked(hermes, hermes.live.with_suffix(".json.bak"), kept, updated_at=saved)
    row = hermes.listed(kept, updated_at=saved)
    hermes.write_index({**row, "last_message_at": kept[-1]["timestamp"]})
    hermes.write_rows([*kept, *undone])
    hermes.repair()
    assert hermes.texts() == hermes.said(kept)
    assert Category.REVIEW in categories(hermes)


def test_the_end_of_the_turn_that_an_undo_kept_comes_back_where_the_file_is_torn_in_it(hermes: Hermes) -> None:
    """The result before it has the same stamp, as two messages within a microsecond have, and can be read."""
    kept, undone = with_a_tool("kept", 0), hermes.turns("b", start=100)
    kept[-1]["timestamp"] = kept[-2]["timestamp"]
    hermes.write_live(kept, **hermes.undo_marks(kept))
    hermes.tear_live("It is kept.")
    hermes.write_rows([*kept, *undone])
    hermes.repair()
    assert hermes.texts() == hermes.said(kept)


def test_two_acts_at_one_place_are_told_apart_by_the_run_that_shows_a_torn_file(hermes: Hermes) -> None:
    """Of a version without generations; the backup is from before the second one, with the marks of the first."""
    kept, first, second = hermes.turns("a"), hermes.turns("b", start=100), hermes.turns("c", start=200)
    bounded(hermes, "", [*kept, *second], **cut(kept, second[0]["timestamp"]))
    hermes.tear_live("answer a")
    bounded(hermes, ".bak", [*kept, *first], **cut(kept, first[0]["timestamp"]))
    hermes.write_run([*kept, *second])
    hermes.write_rows([*kept, *first, *second])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *second])


def test_what_a_torn_file_lacks_between_the_messages_that_are_read_was_not_in_it(hermes: Hermes) -> None:
    """They were undone, and a compress by hand hides that; a turn of as many was said after it, before the newest."""
    first, undone, kept, after, newest = (hermes.turns(word, start=100 * k) for k, word in enumerate("abcde"))
    said = [*first, *kept, *after, *newest]
    at = newest[0]["timestamp"]
    marks = compressed(hermes, 250) | {"truncation_watermark": at, "updated_at": newest[-1]["timestamp"]}
    hermes.write_live(said, **marks)
    hermes.tear_live("answer c")
    hermes.write_rows([*first, *undone, *kept, *after, *newest])
    assert is_left_alone(hermes)
    hermes.repair(SID)
    assert {*hermes.said(said)} <= {*hermes.texts()}


@pytest.mark.parametrize("title", ["Untitled", "Notes"])
def test_a_clear_of_0_51_850_leaves_the_marks_of_the_edit_before_it(hermes: Hermes, title: str) -> None:
    """It empties the file and sets the title; the backup is from before that, with the same marks. A wipe keeps the
    title."""
    kept, edited = hermes.turns("a", "b"), hermes.turns("c", start=200)
    unknown = ("clear_generation", "intentional_shrink_generation")
    marks = {"truncation_boundary": kept[-1]["timestamp"], "truncation_watermark": edited[0]["timestamp"]}
    without(hermes, [], *unknown, **marks, title=title, updated_at=START + ACT)
    session = hermes.session([*kept, *edited], **marks, updated_at=START + 210)
    hermes.write(
        hermes.sessions / f"{SID}.json.bak", {name: value for name, value in session.items() if name not in unknown}
    )
    hermes.write_run([*kept, *edited])
    hermes.write_rows([*kept, *hermes.turns("x", start=100), *edited])
    assert is_left_alone(hermes) is (title == "Untitled")


@pytest.mark.parametrize("of", ["live", "rows"])
def test_what_the_agent_asked_for_itself_where_the_steps_of_a_turn_ran_out_is_not_shown(
    hermes: Hermes, of: str
) -> None:
    """The server leaves that request out of the file; the rows have it."""
    said = hermes.turns("a", "b")
    request = {"role": "user", "content": LAST_WORDS, "timestamp": said[-1]["timestamp"] - 1}
    if of == "live":
        hermes.write_live(said)
    hermes.write_rows([*said[:-1], request, said[-1]])
    hermes.repair()
    assert hermes.texts() == hermes.said(said)


def test_what_the_agent_asked_for_itself_comes_back_where_an_old_server_showed_it(hermes: Hermes) -> None:
    said = hermes.turns("a", "b")
    said.insert(3, {"role": "user", "content": LAST_WORDS, "timestamp": said[-1]["timestamp"] - 1})
    hermes.write_backup(said)
    hermes.write_rows(said)
    hermes.repair()
    assert hermes.texts() == hermes.said(said)


@pytest.mark.parametrize("goes_on", [True, False])
def test_an_empty_file_that_was_put_back_is_asked_about_where_no_version_marked_an_act(
    hermes: Hermes, goes_on: bool
) -> None:
    """The session went on after it was saved: an act can have emptied it. One that was wiped last is filled again."""
    before, after = hermes.turns("a", "b"), hermes.turns("c", start=ACT + 100)
    without(hermes, [], *MARK_FIELDS, updated_at=START + ACT)
    hermes.write_rows([*before, *after] if goes_on else before)
    hermes.repair()
    assert hermes.texts() == ([] if goes_on else hermes.said(before))


@pytest.mark.parametrize("has_left_calls", [True, False])
def test_a_turn_of_which_only_the_calls_stay_was_taken_back(hermes: Hermes, has_left_calls: bool) -> None:
    """The server shows them once more with the next turn; one that a whole file lost, it lost with its calls."""
    kept, (prompt, step, result, answer) = hermes.turns("a"), with_tools(hermes, ["call_0123456789"], 100.0, 50.0)
    after, undone, newest = (hermes.turns(name, start=start) for name, start in (("c", 200), ("d", 300), ("e", 400)))
    live = [*kept, *([step] if has_left_calls else []), *after, *newest]
    hermes.write_live(live, **hermes.undo_marks([*kept, *after], newest[0]["timestamp"]))
    earlier = hermes.undo_marks([*kept, *after]) | {"intentional_shrink_generation": EARLIER}
    hermes.write_backup([*live[: -len(newest)], undone[0]], **earlier)
    hermes.write_rows([*kept, prompt, step, result, answer, *after, *undone, *newest])
    assert is_left_alone(hermes)
    assert (Category.REVIEW not in categories(hermes)) is has_left_calls
