"""What a person took back stays out of a healthy file, whatever the clock, a later act or an older version did to its
marks; and what was cleared stays out when a killed answer comes back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hermes_rescue.core.audit.findings import Category
from hermes_rescue.core.merge.intent import MARK_FIELDS

from .conftest import ACT, SID, START, Hermes

Value = dict[str, Any]

EARLIER = "5b1d8e0f2a3c4d6e9f8a7b6c5d4e3f2a"
"""The mark of the act before the newest one."""


def is_quiet(hermes: Hermes) -> bool:
    """Whether nothing is offered or asked, and a repair of everything leaves the live file as it is."""
    before = hermes.live.read_bytes()
    told = {f.category for s in hermes.audit().sessions for f in s.findings}
    hermes.repair()
    return told <= {Category.INFO} and hermes.live.read_bytes() == before


def write_sent(hermes: Hermes, prompt: Value, stream: str) -> None:
    """The turn journal of a prompt whose run did not end."""
    journal = hermes.sessions / "_turn_journal"
    journal.mkdir()
    sent = {"event": "submitted", "turn_id": "t1", "stream_id": stream, "role": "user", "content": prompt["content"]}
    (journal / f"{SID}.jsonl").write_text(json.dumps({**sent, "created_at": prompt["timestamp"]}))


def write_listed_empty(hermes: Hermes) -> None:
    """The row of a file that was saved empty, as the WebUI writes it then."""
    saved = START + ACT
    hermes.write_index(hermes.session([]) | {"message_count": 0, "last_message_at": saved, "updated_at": saved})


def bounded(hermes: Hermes, name: str, messages: list[Value], **fields: Any) -> None:
    """A file of a version that marked acts by a boundary and had no generation for an undo."""
    session = hermes.session(messages, clear_generation=None) | fields
    session.pop("intentional_shrink_generation")
    hermes.write(hermes.sessions / f"{SID}.json{name}", session)


def cut(kept: list[Value], watermark: float | None = None) -> Value:
    at = kept[-1]["timestamp"]
    return {"truncation_boundary": at, "truncation_watermark": at if watermark is None else watermark}


# --- a clock that was set back --------------------------------------------------------------------------------------


def test_rows_before_those_that_an_undo_took_back_are_older_than_it(hermes: Hermes) -> None:
    """Two turns were taken back one after the other; the file was saved with a time from before both."""
    kept, first, second = (hermes.turns(word, start=100 * k) for k, word in enumerate("abc"))
    hermes.write_live(kept, **hermes.undo_marks(kept) | {"updated_at": START + 90})
    marks = hermes.undo_marks(kept, second[0]["timestamp"]) | {"intentional_shrink_generation": EARLIER}
    hermes.write_backup([*kept, *second], **marks | {"updated_at": START + 210})
    hermes.write_rows([*kept, *first, *second])
    assert is_quiet(hermes)


def test_rows_that_stand_before_one_from_before_the_save_are_older_than_it(hermes: Hermes) -> None:
    """The clock was set back between two turns, both of which were taken back."""
    kept, first, second = hermes.turns("a"), hermes.turns("b", start=9000), hermes.turns("c", start=100)
    hermes.write_live(kept, **hermes.undo_marks(kept) | {"updated_at": START + 110})
    hermes.write_rows([*kept, *first, *second])
    assert is_quiet(hermes)


def test_a_file_that_was_saved_before_its_own_messages_does_not_say_what_is_newer(hermes: Hermes) -> None:
    """An undo that left no mark, after the clock was set back: that, or the turn was lost."""
    kept, undone = hermes.turns("a", start=9000), hermes.turns("b", start=9100)
    hermes.write_old(hermes.live, kept, updated_at=START + 90)
    hermes.write_rows([*kept, *undone])
    before = hermes.live.read_bytes()
    hermes.repair()
    assert hermes.live.read_bytes() == before
    hermes.repair(SID)
    assert hermes.texts() == hermes.said([*kept, *undone])


def test_two_undos_at_one_place_are_told_apart_by_what_a_torn_file_counts(hermes: Hermes) -> None:
    """Of a version without generations; the backup is from before the second undo, with the first one's marks."""
    kept, first, second = (hermes.turns(word, start=100 * k) for k, word in enumerate("abc"))
    marks = {name: value for name, value in hermes.undo_marks(kept).items() if "generation" not in name}
    hermes.write_old(hermes.live, kept, **marks)
    hermes.tear_live('"content": "answer a"')
    moved = marks | {"truncation_watermark": second[0]["timestamp"], "updated_at": START + 210}
    hermes.write_old(hermes.sessions / f"{SID}.json.bak", [*kept, *second], **moved)
    hermes.write_rows([*kept, *first, *second])
    hermes.repair()
    assert hermes.texts() == hermes.said(kept)


def test_two_undos_at_one_place_are_told_apart_where_the_file_is_torn_in_its_generation(hermes: Hermes) -> None:
    kept, first, second = (hermes.turns(word, start=100 * k) for k, word in enumerate("abc"))
    hermes.write_live(kept, **hermes.undo_marks(kept) | {"updated_at": START + 211})
    hermes.tear_live(hermes.shrink[8:])
    moved = {"truncation_watermark": second[0]["timestamp"], "intentional_shrink_generation": EARLIER}
    hermes.write_backup([*kept, *second], **hermes.undo_marks(kept) | moved | {"updated_at": START + 210})
    hermes.write_run([*kept, *second], updated_at=START + 210)
    hermes.write_rows([*kept, *first, *second])
    hermes.write_index({"session_id": SID, "message_count": len(kept), "last_message_at": kept[-1]["timestamp"]})
    hermes.repair()
    assert hermes.texts() == hermes.said(kept)
    assert is_quiet(hermes)


@pytest.mark.parametrize("title", ["Untitled", "Notes on c"])
def test_a_torn_file_with_the_title_of_a_clear_was_cleared_after_the_run(hermes: Hermes, title: str) -> None:
    """Cleared, a turn, and cleared again; or only once, and then the turn was lost."""
    gone, later = hermes.turns("a", "b"), hermes.turns("c", start=100)
    hermes.write_run(later, updated_at=START + ACT - 1, title="Notes on c")
    hermes.write_live([], **hermes.cleared, title=title)
    hermes.tear_live('"message_count"')
    hermes.write_rows([*gone, *later])
    hermes.repair()
    assert hermes.texts() == ([] if title == "Untitled" else hermes.said(later))


def test_an_undo_after_a_clear_is_known_where_the_file_is_torn_between_the_marks(hermes: Hermes) -> None:
    """The boundary can be read, the generations of both acts cannot; the backup has those of the clear."""
    gone, kept, undone = (hermes.turns(word, start=100 * k) for k, word in enumerate("abc"))
    hermes.write_live(kept, **hermes.undo_marks(kept) | {"clear_generation": hermes.clear, "updated_at": START + 211})
    hermes.tear_live('"clear_generation"')
    hermes.write_backup([*kept, *undone], **hermes.cleared | {"updated_at": START + 210})
    hermes.write_rows([*gone, *kept, *undone])
    hermes.repair()
    assert hermes.texts() == hermes.said(kept)
    assert is_quiet(hermes)


def test_a_wiped_file_that_was_saved_before_its_own_messages_does_not_say_what_is_newer(hermes: Hermes) -> None:
    """The clock was set back, then two turns were taken back."""
    kept, undone = hermes.turns("a", start=9000), hermes.turns("b", "c", start=9100)
    marks = hermes.undo_marks(kept) | {"updated_at": START + 90}
    hermes.write_live([], **marks)
    hermes.write_backup(kept, **marks)
    hermes.write_rows([*kept, *undone])
    hermes.repair()
    assert hermes.texts() == hermes.said(kept)


def test_an_emptied_file_of_a_version_without_marks_is_asked_about_where_the_list_counts_fewer(hermes: Hermes) -> None:
    """Its newest turn was undone, or the count is late; its backup has the turn."""
    kept, undone = hermes.turns("a"), hermes.turns("b", start=100)
    said = [{name: value for name, value in m.items() if name != "timestamp"} for m in (*kept, *undone)]
    for path, messages in ((hermes.live, []), (hermes.sessions / f"{SID}.json.bak", said)):
        session = hermes.session(messages, updated_at=START + 200)
        hermes.write(path, {name: value for name, value in session.items() if name not in MARK_FIELDS})
    row = {"session_id": SID, "message_count": len(kept), "updated_at": START + 200, "last_message_at": START + 200}
    hermes.write_index(row)
    before = hermes.live.read_bytes()
    hermes.repair()
    assert hermes.live.read_bytes() == before
    hermes.repair(SID)
    assert hermes.texts() == hermes.said(said)


def test_the_session_list_knows_which_turn_came_after_an_undo(hermes: Hermes) -> None:
    """Cleared, a turn, undone, a turn; then the file was emptied. Only rows are left, and they can be counted in two
    ways: a watermark of some versions stays at an earlier prompt."""
    gone, kept, undone, after = (hermes.turns(word, start=100 * k) for k, word in enumerate("abcd"))
    marks = hermes.undo_marks(kept, kept[0]["timestamp"]) | {"clear_generation": hermes.clear}
    session = hermes.session([], **marks | {"updated_at": START + 305})
    session.pop("intentional_shrink_generation")
    hermes.write(hermes.live, session)
    hermes.write_rows([*gone, *kept, *undone, *after])
    last = after[-1]["timestamp"]
    hermes.write_index({"session_id": SID, "message_count": 4, "updated_at": START + 305, "last_message_at": last})
    before = hermes.live.read_bytes()
    hermes.repair()
    assert hermes.live.read_bytes() == before


def test_a_run_that_goes_further_than_a_backup_that_an_undo_made_shorter_ended_before_that(hermes: Hermes) -> None:
    """One turn was taken back, then the one before it; the run had shown both, but no more what an edit replaced."""
    kept, edited, second, first = (hermes.turns(word, start=100 * k) for k, word in enumerate("abcd"))
    hermes.write_run([*kept, *second, *first], updated_at=START + 304)
    earlier = hermes.undo_marks([*kept, *second]) | {"intentional_shrink_generation": EARLIER}
    hermes.write_backup([*kept, *second], **earlier | {"updated_at": START + 310})
    hermes.write_live(kept, **hermes.undo_marks(kept) | {"updated_at": START + 311})
    hermes.write_rows([*kept, *edited, *second, *first])
    assert is_quiet(hermes)


def test_a_torn_backup_whose_watermark_is_the_prompt_of_a_run_was_saved_with_it(hermes: Hermes) -> None:
    """The undo was saved with a time from before the turn that it took back."""
    kept, first, second = (hermes.turns(word, start=100 * k) for k, word in enumerate("abc"))
    hermes.write_live(kept, **hermes.undo_marks(kept) | {"updated_at": START + 90})
    marks = hermes.undo_marks(kept, second[0]["timestamp"]) | {"intentional_shrink_generation": EARLIER}
    data = hermes.write_backup([*kept, *second], **marks | {"updated_at": START + 210})
    (hermes.sessions / f"{SID}.json.bak").write_bytes(data[: data.index(b'"content": "answer a"')])
    hermes.write_run([*kept, *second], updated_at=START + 204)
    hermes.write_rows([*kept, *first, *second])
    assert is_quiet(hermes)


@pytest.mark.parametrize("began", [-5.0, -0.1])
def test_a_run_that_was_under_way_when_an_undo_was_saved_had_ended(hermes: Hermes, began: float) -> None:
    kept = hermes.turns("a")
    undone = hermes.turns("b", start=ACT + began)
    hermes.write_live(kept, **hermes.undo_marks(kept))
    hermes.write_run([*kept, *undone])
    hermes.write_rows([*kept, *hermes.turns("c", start=100), *undone])
    assert is_quiet(hermes)


@pytest.mark.parametrize("is_listed", [True, False])
def test_of_a_run_that_ended_later_than_an_undo_the_session_list_knows_more(hermes: Hermes, is_listed: bool) -> None:
    """Without the backup of the act, it is the clock or the newer file that is gone."""
    kept, undone, later = hermes.turns("a"), hermes.turns("b", start=100), hermes.turns("c", start=ACT + 10)
    hermes.write_live(kept, **hermes.undo_marks(kept))
    hermes.write_run([*kept, *later])
    hermes.write_rows([*kept, *undone, *later])
    known = [*kept, *later] if is_listed else kept
    hermes.write_index({"session_id": SID, "message_count": len(known), "last_message_at": known[-1]["timestamp"]})
    hermes.repair()
    assert hermes.texts() == hermes.said(known)
    hermes.repair(SID)  # a yes
    assert hermes.texts() == hermes.said([*kept, *later])


def test_without_marks_what_is_newer_than_a_shortened_file_is_asked(hermes: Hermes) -> None:
    """The file was saved after a turn that it lacks, so somebody may have taken that back; the clock can have been set
    back before.
    """
    kept, undone, newer = hermes.turns("a"), hermes.turns("b", start=100), hermes.turns("c", start=9000)
    hermes.write_old(hermes.live, kept, updated_at=START + 110)
    hermes.write_rows([*kept, *undone, *newer])
    before = hermes.live.read_bytes()
    hermes.repair()
    assert hermes.live.read_bytes() == before
    hermes.repair(SID)
    assert hermes.texts() == hermes.said([*kept, *undone, *newer])


def test_what_is_newer_than_the_watermark_of_an_old_version_is_asked(hermes: Hermes) -> None:
    kept, undone = hermes.turns("a"), hermes.turns("b", start=9000)
    marks = {"truncation_watermark": kept[-1]["timestamp"], "truncation_boundary": None}
    hermes.write_old(hermes.live, kept, **marks, updated_at=START + 90)
    hermes.write_rows([*kept, *undone])
    before = hermes.live.read_bytes()
    hermes.repair()
    assert hermes.live.read_bytes() == before


@pytest.mark.parametrize("counted", [2, 4])
def test_a_file_that_is_older_than_the_session_list_is_asked_about(hermes: Hermes, counted: int) -> None:
    """The list ends with the file, and was written after a turn that this lacks; or it knows of the newest turn, and
    counts fewer than the file has with that.
    """
    kept, later, newest = hermes.turns("a", "b"), hermes.turns("c", start=100), hermes.turns("d", start=200)
    hermes.write_live(kept)
    hermes.write_rows([*kept, *later, *([] if counted == 4 else newest)])
    end = kept[-1] if counted == 4 else newest[-1]
    known = {"message_count": counted, "last_message_at": end["timestamp"], "updated_at": START + 300}
    hermes.write_index({"session_id": SID, **known})
    before = hermes.live.read_bytes()
    hermes.repair()
    assert hermes.live.read_bytes() == before
    hermes.repair(SID)
    assert len(hermes.texts()) == (6 if counted == 4 else 8)


def test_a_lost_file_is_asked_about_where_the_list_of_that_save_ends_before_its_backup(hermes: Hermes) -> None:
    """The backup has the stamp of the save that the list is of, and not what the list counts: something was undone."""
    kept, gone = hermes.turns("a"), hermes.turns("b", start=100)
    saved = gone[-1]["timestamp"]
    hermes.write_live(kept)
    hermes.write_backup([*kept, *gone], updated_at=saved)
    hermes.live.unlink()
    hermes.write_rows([*kept, *gone])
    hermes.write_index(
        hermes.session([]) | {"message_count": len(kept), "last_message_at": kept[-1]["timestamp"], "updated_at": saved}
    )
    hermes.repair()
    assert not hermes.live.exists()
    hermes.repair(SID)
    assert hermes.texts() == hermes.said([*kept, *gone])


def test_a_file_is_older_than_a_run_that_goes_further_whatever_the_clock_said(hermes: Hermes) -> None:
    kept, gone, later = hermes.turns("a"), hermes.turns("b", start=9000), hermes.turns("c", start=100)
    hermes.write_live([*kept, *gone])
    hermes.write_run([*kept, *later])
    hermes.write_rows([*kept, *gone, *later])
    before = hermes.live.read_bytes()
    hermes.repair()
    assert hermes.live.read_bytes() == before


def test_the_backup_of_an_act_is_older_than_the_file_whatever_the_clock_said(hermes: Hermes) -> None:
    kept, first, again = hermes.turns("a"), hermes.turns("b", start=9000), hermes.turns("b", start=9100)
    later = hermes.turns("c", start=100)
    bounded(hermes, "", [*kept, *again, *later], **cut(kept, later[0]["timestamp"]), updated_at=START + 104)
    bounded(hermes, ".bak", [*kept, *first], **cut(kept, first[0]["timestamp"]), updated_at=START + 9004)
    hermes.write_rows([*kept, *first, *again, *later])
    assert is_quiet(hermes)


def test_a_run_that_goes_further_than_the_backup_ended_later_whatever_the_clock_said(hermes: Hermes) -> None:
    kept, undone, later = hermes.turns("a"), hermes.turns("b", start=9000), hermes.turns("c", start=100)
    hermes.write_backup([*kept, *undone])
    hermes.write_run([*kept, *later])
    hermes.write_rows([*kept, *undone, *later])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *later])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *later])


@pytest.mark.parametrize("has_since", [True, False])
def test_a_prompt_stands_after_rows_of_a_clock_that_was_set_back_since(hermes: Hermes, has_since: bool) -> None:
    """Cleared and killed: once it is repaired, what was cleared is still older than the prompt."""
    before, since = hermes.turns("a", start=9000), hermes.turns("b", start=10)[: 2 * has_since]
    prompt = {"pending_user_message": "ask c", "pending_started_at": START + 30, "active_stream_id": "5feceb66ffc86f38"}
    marks = {"truncation_watermark": 0.0, "truncation_boundary": 0.0, "clear_generation": EARLIER}
    marks |= {"intentional_shrink_generation": hermes.shrink}
    hermes.write_live([], **marks, title="Untitled", **prompt, updated_at=START + 30)
    hermes.write_rows([*before, *since])
    for _ in "12":
        hermes.repair()
        assert hermes.texts() == ["ask c"]


def test_a_run_after_an_undo_comes_back(hermes: Hermes) -> None:
    kept, undone, later = hermes.turns("a"), hermes.turns("b", start=100), hermes.turns("c", start=ACT + 10)
    hermes.write_live(kept, **hermes.undo_marks(kept))
    hermes.write_run([*kept, *later])
    hermes.write_rows([*kept, *undone, *later])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *later])


# --- a compress by hand, which moves the boundary -------------------------------------------------------------------


@pytest.mark.parametrize("words", ["b", "bc"])
@pytest.mark.parametrize("has_run", [True, False])
def test_what_was_taken_back_before_a_compress_stays_out(hermes: Hermes, words: str, has_run: bool) -> None:
    kept, undone = hermes.turns("a"), hermes.turns(*words, start=100)
    hermes.write_live(kept, **compressed(hermes, ACT))
    if has_run:
        hermes.write_run([*kept, *undone])
    hermes.write_rows([*kept, *undone])
    assert is_quiet(hermes)


def test_what_was_taken_back_before_a_compress_stays_out_when_the_session_goes_on(hermes: Hermes) -> None:
    kept, undone, later = hermes.turns("a"), hermes.turns("b", start=100), hermes.turns("c", start=ACT + 100)
    end = later[-1]["timestamp"]
    marks = compressed(hermes, ACT) | {"truncation_watermark": later[0]["timestamp"], "updated_at": end}
    hermes.write_live([*kept, *later], **marks)
    hermes.write_rows([*kept, *undone, *later])
    assert is_quiet(hermes)


def test_a_file_that_was_emptied_after_a_compress_does_not_say_what_it_had_by_then(hermes: Hermes) -> None:
    """It was compressed after an undo, emptied, and went on; what it had had then was called taken back."""
    kept, undone, later = hermes.turns("a"), hermes.turns("b", start=100), hermes.turns("c", start=ACT + 100)
    end = later[-1]["timestamp"]
    marks = compressed(hermes, ACT) | {"truncation_watermark": later[0]["timestamp"], "updated_at": end}
    hermes.write_live(later, **marks)
    hermes.write_rows([*kept, *undone, *later])
    assert not is_quiet(hermes)
    hermes.repair(SID)
    assert hermes.texts()[:2] == hermes.said(kept)


@pytest.mark.parametrize("words", ["", "c"])
def test_a_compress_after_the_clock_was_set_back_brings_nothing_back(hermes: Hermes, words: str) -> None:
    kept, undone = hermes.turns("a", start=9000), hermes.turns("b", start=9100)
    after, later = hermes.turns(*words, start=100), hermes.turns("d", start=300)
    marks = compressed(hermes, 200) | {"truncation_watermark": later[0]["timestamp"], "updated_at": START + 304}
    hermes.write_live([*kept, *after, *later], **marks)
    hermes.write_run([*kept, *after, *later])
    hermes.write_rows([*kept, *undone, *after, *later])
    assert is_quiet(hermes)


def test_what_was_said_after_a_compress_returns_to_a_file_that_was_put_back(hermes: Hermes) -> None:
    """Nothing is left of what was taken back before it; the session list ends with the newest turn."""
    kept, after = hermes.turns("a"), hermes.turns("b", start=ACT + 100)
    hermes.write_live(kept, **compressed(hermes, ACT))
    row = hermes.listed([*kept, *after])
    hermes.write_index({**row, "last_message_at": after[-1]["timestamp"]})
    hermes.write_run([*kept, *after])
    hermes.write_rows([*kept, *after])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *after])


def test_a_turn_that_was_lost_before_a_compress_and_no_act_comes_back(hermes: Hermes) -> None:
    kept, lost = hermes.turns("a"), hermes.turns("b", start=100)
    hermes.write_live(kept, **compressed(hermes, ACT) | {"intentional_shrink_generation": None})
    hermes.write_run([*kept, *lost])
    hermes.write_rows([*kept, *lost])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *lost])


@pytest.mark.parametrize("has_backup", [True, False])
@pytest.mark.parametrize("is_torn", [True, False])
def test_what_was_taken_back_before_a_compress_does_not_return_to_a_damaged_file(
    hermes: Hermes, has_backup: bool, is_torn: bool
) -> None:
    """The backup is the file as it was compressed; without one the session list says how it ended."""
    kept, undone = hermes.turns("a", "b"), hermes.turns("c", start=100)
    marks = compressed(hermes, ACT)
    hermes.write_live(kept if is_torn else [], **marks)
    if is_torn:
        hermes.tear_live("answer a")
    if has_backup:
        hermes.write_backup(kept, **marks)
    listed(hermes, kept)
    hermes.write_run([*kept, *undone])
    hermes.write_rows([*kept, *undone])
    hermes.repair()
    assert hermes.texts() == hermes.said(kept)


def test_a_clear_after_a_compress_hides_no_act(hermes: Hermes) -> None:
    """The file is empty as the clear left it; only its count is wrong."""
    said = hermes.turns("a", "b")
    marks = hermes.cleared | {"compression_anchor_mode": "manual", "title": "Untitled"}
    hermes.write_live([], message_count=3, **marks)
    hermes.write_rows(said)
    hermes.write_run(said)
    hermes.repair()
    assert hermes.load()["message_count"] == 0
    assert hermes.texts() == []


def test_an_act_before_a_compress_is_a_question_where_nothing_says_how_far_it_went(hermes: Hermes) -> None:
    said = hermes.turns("a", "b", "c")
    hermes.write_live([], **compressed(hermes, ACT))
    hermes.write_rows(said)
    assert is_quiet(hermes) is False
    assert hermes.load()["messages"] == []


@pytest.mark.parametrize("is_empty", [True, False])
def test_an_answer_that_was_cut_within_its_turn_does_not_return_to_an_emptied_file(
    hermes: Hermes, is_empty: bool
) -> None:
    """The backup is the file as it was saved after the act: it says itself where the act cut."""
    call = [{"id": "call_4f1c9ab2", "type": "function", "function": {"name": "terminal", "arguments": "{}"}}]
    prompt, answer = hermes.turns("b", start=100)
    steps = [
        {"role": "assistant", "content": "first a look", "tool_calls": call, "timestamp": START + 104},
        {"role": "tool", "content": "seen", "tool_call_id": "call_4f1c9ab2", "timestamp": START + 104.000001},
    ]
    kept = [*hermes.turns("a"), prompt, *steps]
    hermes.write_live([] if is_empty else kept, **hermes.undo_marks(kept))
    hermes.write_backup(kept, **hermes.undo_marks(kept))
    hermes.write_rows([*kept, answer | {"timestamp": START + 104.000002}])
    hermes.repair()
    assert hermes.texts() == hermes.said(kept)


def compressed(hermes: Hermes, at: float) -> Value:
    """The marks of a compress by hand, in a session that was shortened before."""
    both = {"truncation_boundary": START + at, "truncation_watermark": START + at, "updated_at": START + at}
    return {**both, "compression_anchor_mode": "manual", "intentional_shrink_generation": hermes.shrink}


# --- another answer to the same prompt ------------------------------------------------------------------------------


def answered_again(hermes: Hermes, *times: float) -> tuple[list[list[Value]], Value]:
    """The same prompt with an answer of its own at each of these times, as it is when another answer is asked for: the
    prompt stays and has the new time, while the boundary is its old one.
    """
    answers = [hermes.turns("b", start=at) for at in times]
    for k, turn in enumerate(answers):
        turn[1] = {**turn[1], "content": f"answer {k}"}
    marks = hermes.undo_marks(answers[-2][:1], answers[-1][0]["timestamp"]) | {"updated_at": START + times[-1] + 5}
    return answers, marks


@pytest.mark.parametrize(("times", "has_backup"), [((100, 200), True), ((100, 200), False), ((100, 200, 300), True)])
def test_an_answer_that_was_generated_again_stays_taken_back(
    hermes: Hermes, times: tuple[float, ...], has_backup: bool
) -> None:
    first, later = hermes.turns("a"), hermes.turns("c", start=400)
    answers, marks = answered_again(hermes, *times)
    hermes.write_live([*first, *answers[-1], *later], **marks | {"truncation_watermark": later[0]["timestamp"]})
    if has_backup:
        before = (
            answered_again(hermes, *times[:-1])[1] | {"intentional_shrink_generation": EARLIER} if times[2:] else {}
        )
        hermes.write_backup([*first, *answers[-2]], **before)
    hermes.write_rows([*first, *(m for turn in answers for m in turn), *later])
    assert is_quiet(hermes)


@pytest.mark.parametrize("has_backup", [True, False])
def test_an_answer_to_a_prompt_that_was_sent_once_more_replaces_the_one_before(
    hermes: Hermes, has_backup: bool
) -> None:
    """Before 0.52.248 another answer was asked for so: the prompt stays, and stands there again with the same stamp."""
    first, answers = hermes.turns("a"), answered_again(hermes, 100, 200)[0]
    (prompt, old), (_, new) = answers
    hermes.write_live([*first, prompt, prompt, new], **hermes.undo_marks([prompt]))
    if has_backup:
        hermes.write_backup([*first, prompt, old])
    hermes.write_run([*first, prompt, prompt, new])
    hermes.write_rows([*first, *answers[0], *answers[1]])
    assert is_quiet(hermes)


@pytest.mark.parametrize("goes_on", [False, True])
@pytest.mark.parametrize("words", [None, "answer a"])
def test_an_answer_that_was_replaced_stays_so_when_the_session_is_compressed(
    hermes: Hermes, words: str | None, goes_on: bool
) -> None:
    """The compress moves the marks on; that the prompt stands twice still tells of the answer between."""
    first, answers = hermes.turns("a"), answered_again(hermes, 100, 200)[0]
    later = hermes.turns("c", start=400) if goes_on else []
    (prompt, _), (_, new) = answers
    said = [*first, prompt, prompt, new, *later]
    marks = compressed(hermes, 300)
    if goes_on:
        marks |= {"truncation_watermark": later[0]["timestamp"], "updated_at": START + 405}
    hermes.write_live(said, **marks)
    if words:
        hermes.tear_live(words)
    hermes.write_run(said)
    hermes.write_rows([*first, *answers[0], *answers[1], *later])
    hermes.repair()
    assert hermes.texts() == hermes.said(said)


@pytest.mark.parametrize("is_cut", [False, True])
@pytest.mark.parametrize("goes_on", [False, True])
def test_an_answer_that_was_killed_stays_a_part_though_the_replaced_one_began_alike(
    hermes: Hermes, goes_on: bool, is_cut: bool
) -> None:
    """The stamp of the prompt is that of its row, or cut to whole seconds; the replaced answer has another."""
    first, old, again = hermes.turns("a"), hermes.turns("b", start=100), hermes.turns("b", start=200.25)
    later = hermes.turns("c", start=400) if goes_on else []
    old[1]["content"] = "answer b, which goes on for some more words"
    prompt = again[0] | ({"timestamp": START + 200} if is_cut else {})
    part = {"role": "assistant", "content": "answer b, which", "timestamp": START + 202, "_recovered_stream_id": "r1"}
    marks = hermes.undo_marks(old[:1], (later or again)[0]["timestamp"])
    hermes.write_live([*first, prompt, part, *later], **marks | {"updated_at": START + 405})
    hermes.write_backup([*first, *old], updated_at=START + 105)
    hermes.write_rows([*first, *old, again[0], *later])
    assert is_quiet(hermes)


@pytest.mark.parametrize("words", ["answer a", "answer 1"])
def test_an_answer_that_was_generated_again_comes_back_alone(hermes: Hermes, words: str) -> None:
    first, later = hermes.turns("a"), hermes.turns("c", start=400)
    answers, marks = answered_again(hermes, 100, 200)
    whole = [*first, *answers[-1], *later]
    hermes.write_live(whole, **marks | {"truncation_watermark": later[0]["timestamp"]})
    hermes.tear_live(words)
    hermes.write_backup([*first, *answers[0]])
    hermes.write_run(whole)
    hermes.write_rows([*first, *answers[0], *answers[1], *later])
    hermes.repair()
    assert hermes.texts() == hermes.said(whole)


# --- versions without generations -----------------------------------------------------------------------------------


@pytest.mark.parametrize("goes_on", [False, True])
def test_an_act_that_cuts_where_the_one_before_it_cut_is_another(hermes: Hermes, goes_on: bool) -> None:
    kept, first, second = (hermes.turns(word, start=100 * k) for k, word in enumerate("abc"))
    later = hermes.turns("d", start=ACT + 5) if goes_on else []
    marks = cut(kept, later[0]["timestamp"] if later else None)
    bounded(hermes, "", [*kept, *later], **marks, updated_at=START + ACT + 20)
    bounded(hermes, ".bak", [*kept, *second], **cut(kept, second[0]["timestamp"]), updated_at=START + 210)
    hermes.write_rows([*kept, *first, *second, *later])
    assert is_quiet(hermes)


def test_a_file_that_was_filled_from_its_rows_after_a_wipe_gets_the_rest_back(hermes: Hermes) -> None:
    """It has the times of the rows, not the stamp where the act cut."""
    kept, undone, lost = (hermes.turns(word, start=100 * k) for k, word in enumerate("abc"))
    later = hermes.turns("d", start=ACT + 5)
    refilled = [kept[0], {**kept[1], "timestamp": kept[1]["timestamp"] - 1}]
    bounded(hermes, "", [*refilled, *later], **cut(kept, later[0]["timestamp"]), updated_at=START + ACT + 20)
    bounded(hermes, ".bak", [*kept, *lost], **cut(kept, lost[0]["timestamp"]), updated_at=START + 210)
    hermes.write_rows([*kept, *undone, *lost, *later])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *lost, *later])


def test_a_retry_in_a_session_that_was_cleared_once_is_an_act(hermes: Hermes) -> None:
    kept, undone, again = (hermes.turns(word, start=100 * k) for k, word in enumerate("abc"))
    marks = cut(kept, again[0]["timestamp"]) | {"clear_generation": hermes.clear}
    bounded(hermes, "", [*kept, *again], **marks, updated_at=START + 210)
    cleared = {"truncation_boundary": 0.0, "truncation_watermark": 0.0, "clear_generation": hermes.clear}
    bounded(hermes, ".bak", [*kept, *undone], **cleared, updated_at=START + 110)
    hermes.write_rows([*kept, *undone, *again])
    assert is_quiet(hermes)


@pytest.mark.parametrize("is_listed", [True, False])
def test_a_retry_of_the_first_prompt_is_an_act_where_only_a_run_has_what_a_torn_file_had(
    hermes: Hermes, is_listed: bool
) -> None:
    """The version has no mark of it beside that of the clear before; the run shows as many as the list counts, or ended
    when the file was saved last."""
    undone, again = hermes.turns("a"), hermes.turns("a", start=100)
    again[1]["content"] = "another answer"
    marks = {"truncation_boundary": 0.0, "truncation_watermark": 0.0, "clear_generation": hermes.clear}
    bounded(hermes, "", again, **marks, updated_at=START + 110)
    hermes.tear_live('"messages"' if is_listed else '"message_count"')
    bounded(hermes, ".bak", undone, **marks, updated_at=START + 10)
    if is_listed:
        hermes.write_index({**hermes.listed(again), "last_message_at": again[-1]["timestamp"]})
    hermes.write_run(again, updated_at=START + 110)
    hermes.write_rows([*undone, *again])
    hermes.repair()
    assert hermes.texts() == hermes.said(again)


def test_an_edit_of_the_first_prompt_may_be_what_a_torn_file_lacks_of_its_backup(hermes: Hermes) -> None:
    """The version marks it as it marks a clear; the file had as many messages as the run shows, none of the backup."""
    edited, after = hermes.turns("a", "b"), hermes.turns("c", start=100)
    marks = {"truncation_boundary": 0.0, "truncation_watermark": 0.0}
    bounded(hermes, "", after, **marks)
    hermes.tear_live("answer c")
    bounded(hermes, ".bak", edited, **marks)
    row = hermes.listed(after)
    hermes.write_index({**row, "last_message_at": after[-1]["timestamp"]})
    hermes.write_run(after)
    hermes.write_rows([*edited, *after])
    assert is_left_alone(hermes)
    hermes.repair(SID)
    assert hermes.texts() == hermes.said([*edited, *after])


def test_a_boundary_counts_where_the_clock_was_set_back_and_the_watermark_with_it(hermes: Hermes) -> None:
    kept, undone, later = hermes.turns("a", start=9000), hermes.turns("b", start=9100), hermes.turns("c", start=100)
    bounded(hermes, "", [*kept, *later], **cut(kept, later[0]["timestamp"]), updated_at=START + 104)
    bounded(hermes, ".bak", [*kept, *undone], updated_at=START + 9104)
    hermes.write_rows([*kept, *undone, *later])
    assert is_quiet(hermes)


# --- a session that was emptied -------------------------------------------------------------------------------------


def test_a_session_whose_first_prompt_was_edited_twice_is_no_older_file(hermes: Hermes) -> None:
    """Its marks stay 0.0 with every turn, so they tell nothing of whether it went on."""
    first, second, third = (hermes.turns(word, word * 2, start=100 * k) for k, word in enumerate("abc"))
    emptied = {"truncation_boundary": 0.0, "truncation_watermark": 0.0}
    hermes.write_live(third, **emptied, intentional_shrink_generation=hermes.shrink)
    hermes.write_backup(second, **emptied, intentional_shrink_generation=EARLIER)
    hermes.write_rows([*first, *second, *third])
    assert is_quiet(hermes)


@pytest.mark.parametrize("clock", [0.0, 3600.0])
@pytest.mark.parametrize("is_marked", [True, False])
def test_what_was_cleared_stays_out_when_a_killed_answer_comes_back(
    hermes: Hermes, clock: float, is_marked: bool
) -> None:
    """Also when everything is repaired once more; ``clock``: seconds by which it was set back after the clear."""
    gone = hermes.turns("a", "b", start=clock)
    prompt = {"role": "user", "content": "and now?", "timestamp": START + 100}
    pending = {"pending_user_message": "and now?", "pending_started_at": START + 100, "active_stream_id": "f1"}
    marks = hermes.cleared if is_marked else {}
    session = {**marks, **pending, "title": "Untitled", "updated_at": START + 101}
    hermes.write_live([], **session) if is_marked else hermes.write_old(hermes.live, [], **session)
    hermes.write_rows([*gone, prompt])
    hermes.write_run(gone)
    hermes.repair()
    assert hermes.texts() == ["and now?"]
    assert is_quiet(hermes)


def test_a_prompt_that_was_taken_back_stays_out_though_its_answer_was_killed(hermes: Hermes) -> None:
    kept, undone = hermes.turns("a", "b"), hermes.turns("c", start=100)
    hermes.write_live(kept, **hermes.undo_marks(kept))
    hermes.write_backup([*kept, undone[0]])
    hermes.write_events([("token", undone[1]["timestamp"], {"text": "answer"})], "f1")
    write_sent(hermes, undone[0], "f1")
    assert is_quiet(hermes)


def test_a_killed_answer_comes_back_once_before_a_turn_that_was_taken_back(hermes: Hermes) -> None:
    """Its prompt was answered by nothing, the next turn was undone, and every repair looks at the session anew."""
    prompt, undone = hermes.turns("b", start=100)[:1], hermes.turns("c", start=200)
    kept = [*hermes.turns("a"), *prompt]
    hermes.write_live(kept, **hermes.undo_marks(kept))
    hermes.write_backup([*kept, *undone])
    hermes.write_rows([*kept, *undone])
    hermes.write_events([("token", prompt[0]["timestamp"] + 2, {"text": "half an answer"})], "f1")
    write_sent(hermes, prompt[0], "f1")
    hermes.repair()
    assert hermes.texts() == [*hermes.said(kept), "half an answer"]
    assert is_quiet(hermes)


@pytest.mark.parametrize("ended", [-1.0, 60.0])
def test_a_file_that_the_session_list_saw_empty_is_not_filled_again(hermes: Hermes, ended: float) -> None:
    """The newest run ended before the file was emptied, or after it by a clock that was set back, which is asked."""
    cleared, undone = hermes.turns("a"), hermes.turns("b", start=ACT + ended - 4)
    hermes.write_live([], **hermes.cleared | {"clear_generation": None})
    write_listed_empty(hermes)
    hermes.write_rows([*cleared, *undone])
    hermes.write_run(undone)
    before = hermes.live.read_bytes()
    hermes.repair()
    assert hermes.live.read_bytes() == before
    assert (hermes.kinds() == []) == (ended < 0)


@pytest.mark.parametrize("has_run", [True, False])
def test_a_cleared_session_that_was_emptied_after_a_turn_is_asked_about(hermes: Hermes, has_run: bool) -> None:
    """A clear takes the title away, so a turn gave the file its own: an undo took that turn back, or it was lost."""
    cleared, later = hermes.turns("a"), hermes.turns("b", start=100)
    hermes.write_live([], **hermes.cleared)
    write_listed_empty(hermes)
    hermes.write_rows([*cleared, *later])
    if has_run:
        hermes.write_run(later)
    assert {f.category for s in hermes.audit().sessions for f in s.findings} == {Category.REVIEW}
    assert is_left_alone(hermes)
    hermes.repair(SID)
    assert hermes.texts() == hermes.said(later if has_run else [*cleared, *later])


def test_what_the_session_list_counts_since_a_clear_comes_back_to_an_emptied_file(hermes: Hermes) -> None:
    cleared, later = hermes.turns("a"), hermes.turns("b", start=100)
    hermes.write_live([], **hermes.cleared)
    hermes.write_index(hermes.session(later) | {"message_count": 2, "last_message_at": later[-1]["timestamp"]})
    hermes.write_rows([*cleared, *later])
    hermes.repair()
    assert hermes.texts() == hermes.said(later)


@pytest.mark.parametrize(("title", "by_hand"), [("Untitled", False), ("Notes", True)])
def test_a_cleared_session_with_no_title_of_a_turn_stays_empty(hermes: Hermes, title: str, by_hand: bool) -> None:
    """The title is that of a clear, or a person gave it since."""
    said = hermes.turns("a", "b")
    before = hermes.write_live([], **hermes.cleared | {"title": title, "manual_title": by_hand})
    write_listed_empty(hermes)
    hermes.write_rows(said)
    hermes.repair()
    assert hermes.kinds() == []
    assert hermes.live.read_bytes() == before


def test_an_undo_of_all_since_a_clear_stays_out_where_its_backup_tells(hermes: Hermes) -> None:
    cleared, undone = hermes.turns("a"), hermes.turns("b", start=100)
    before = hermes.write_live([], **hermes.cleared)
    hermes.write_backup(undone, **hermes.cleared | {"intentional_shrink_generation": EARLIER})
    write_listed_empty(hermes)
    hermes.write_rows([*cleared, *undone])
    hermes.repair()
    assert hermes.kinds() == []
    assert hermes.live.read_bytes() == before


@pytest.mark.parametrize("shown", [2, 4])
def test_an_older_file_that_was_saved_too_late_does_not_say_what_was_taken_back(hermes: Hermes, shown: int) -> None:
    """It has no marks, while its backup, which was saved as the next prompt was sent, has some: what was said from then
    on was lost.
    """
    kept, undone, newer = hermes.turns("a", "b"), hermes.turns("c", start=100), hermes.turns("d", "e", start=200)
    hermes.write_live(kept[:shown], updated_at=START + ACT)
    hermes.write_backup(kept, **hermes.undo_marks(kept, newer[0]["timestamp"]) | {"updated_at": newer[0]["timestamp"]})
    hermes.write_rows([*kept, *undone, *newer])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *newer])


def test_rows_alone_do_not_say_that_something_followed_an_undo(hermes: Hermes) -> None:
    """The marks say that nothing did. The clock was set back before it, or the turn was lost: that is asked."""
    kept, undone, later = hermes.turns("a"), hermes.turns("b", start=100), hermes.turns("c", start=ACT + 10)
    hermes.write_live(kept, **hermes.undo_marks(kept))
    hermes.write_rows([*kept, *undone, *later])
    before = hermes.live.read_bytes()
    hermes.repair()
    assert hermes.live.read_bytes() == before
    hermes.repair(SID)
    assert hermes.texts() == hermes.said([*kept, *later])


def test_a_retry_is_another_turn_though_its_calls_count_from_0_again(hermes: Hermes) -> None:
    """Its first call has the id and the result of the one that was taken back; no rows are left to tell them apart."""
    kept = hermes.turns("a")
    undone, again = (
        [
            {"role": "user", "content": "look", "timestamp": START + start},
            {"role": "assistant", "content": said, "tool_calls": [{"id": "call_0"}], "timestamp": START + start + 3},
            {"role": "tool", "content": '{"output": "nothing to do", "exit_code": 0}', "tool_call_id": "call_0"},
            {"role": "assistant", "content": f"It is {start} now.", "timestamp": START + start + 3},
        ]
        for start, said in ((100.0, "I look."), (110.0, ""))
    )
    hermes.write_live([*kept, *again], **hermes.undo_marks(kept, START + 110))
    hermes.write_backup([*kept, *undone], updated_at=START + 104)
    assert is_quiet(hermes)


@pytest.mark.parametrize("is_retry", [True, False])
def test_a_first_prompt_that_was_said_again_in_a_cleared_session(hermes: Hermes, is_retry: bool) -> None:
    """A version without generations marks it as the clear before it. The same prompt again is a retry; another one can
    be an edit, or what was said after the file was wiped: a question."""
    first, again = hermes.turns("b"), hermes.turns("c", start=100)
    if is_retry:
        again[0]["content"] = first[0]["content"]
    cleared = {"truncation_boundary": 0.0, "truncation_watermark": 0.0, "clear_generation": hermes.clear}
    bounded(hermes, "", again, **cleared)
    bounded(hermes, ".bak", first, **cleared)
    hermes.write_rows([*first, *again])
    before = hermes.live.read_bytes()
    hermes.repair()
    assert hermes.live.read_bytes() == before
    hermes.repair(SID)
    assert hermes.texts() == hermes.said(again if is_retry else [*first, *again])


@pytest.mark.parametrize("act", ["clear", "undo"])
def test_a_killed_prompt_is_the_newest_though_the_clock_was_set_back(hermes: Hermes, act: str) -> None:
    kept, undone = hermes.turns("a", start=9000), hermes.turns("b", start=9100)
    prompt = {"role": "user", "content": "and now?", "timestamp": START + 100}
    pending = {"pending_user_message": "and now?", "pending_started_at": START + 100, "active_stream_id": "f1"}
    saved = {**pending, "updated_at": START + 101}
    said = [] if act == "clear" else kept
    hermes.write_live(said, **(hermes.cleared if act == "clear" else hermes.undo_marks(kept)) | saved)
    hermes.write_rows([*kept, *undone, *([prompt] if act == "clear" else [])])
    hermes.repair()
    assert hermes.texts() == [*hermes.said(said), "and now?"]


def test_what_is_in_doubt_does_not_come_with_what_stands_beside_it(hermes: Hermes) -> None:
    """Shortened and killed with an old version, then emptied: the session list counts fewer than the rows."""
    kept, undone = hermes.turns("a", "b"), hermes.turns("c", start=100)
    pending = {"pending_user_message": "ask d", "pending_started_at": START + 200, "active_stream_id": "f1"}
    hermes.write_old(hermes.live, [], **pending, message_count=3, updated_at=START + 200)
    hermes.write_rows([*kept, *undone])
    known = {"message_count": len(kept), "last_message_at": START + 200, "updated_at": START + 200}
    hermes.write_index({"session_id": SID, **known, "has_pending_user_message": True})
    before = hermes.live.read_bytes()
    hermes.repair()
    assert hermes.live.read_bytes() == before


def test_the_prompt_that_a_lost_file_waited_for_comes_back_from_the_session_list(hermes: Hermes) -> None:
    """Hermes was killed before it wrote the prompt anywhere else, and the journals are gone with the file."""
    said = hermes.turns("a", "b")
    hermes.write_rows(said)
    sent = {"active_stream_id": "f1", "pending_user_message": "ask c", "has_pending_user_message": True}
    known = {"message_count": len(said), "last_message_at": START + 200, "updated_at": START + 200, **sent}
    hermes.write_index({"session_id": SID, **known})
    hermes.repair()
    assert hermes.texts()[:5] == [*hermes.said(said), "ask c"]
    assert hermes.load()["pending_user_message"] is None


def test_a_call_that_a_compaction_left_behind_is_the_one_of_the_file(hermes: Hermes) -> None:
    """Its id counts from 0 in each turn, but it says what the file has, with all its arguments."""
    call = {"id": "call_0", "type": "function", "function": {"name": "terminal", "arguments": '{"command": "ls -la"}'}}
    look = [
        {"role": "user", "content": "look", "timestamp": START + 100},
        {"role": "assistant", "content": "I look.", "tool_calls": [call], "timestamp": START + 103},
        {"role": "tool", "content": "nothing", "tool_call_id": "call_0", "timestamp": START + 103},
        {"role": "assistant", "content": "There is nothing.", "timestamp": START + 103},
    ]
    said = [*hermes.turns("a"), *look, *hermes.turns("b", start=200)]
    hermes.write_live(said)
    rows = [{**m, "tool_calls": json.dumps(m["tool_calls"])} if "tool_calls" in m else m for m in said]
    hermes.write_rows([*rows, {**rows[3], "timestamp": START + 300}])
    assert is_quiet(hermes)


@pytest.mark.parametrize("fits", [True, False])
def test_a_torn_file_of_an_old_version_goes_as_far_as_its_head_counts(hermes: Hermes, fits: bool) -> None:
    """The newest run has what is left of it, and as many messages as the file had: the rest of the backup was not in it
    when it was saved, and no mark says whether it was taken back."""
    kept, other, again = hermes.turns("a"), hermes.turns("b", "c", start=100), hermes.turns("d", start=300)
    said = [*kept, *again]
    hermes.write_old(hermes.live, said, message_count=len(said) + (0 if fits else 4))
    hermes.tear_live("answer d")
    hermes.write_old(hermes.sessions / f"{SID}.json.bak", [*kept, *other])
    hermes.write_run(said)
    hermes.write_rows([*kept, *other, *again])
    hermes.repair()
    assert hermes.texts() == hermes.said(said if fits else [*kept, *other, *again])


def listed(hermes: Hermes, said: list[Value]) -> None:
    """The row of a session in the list, written after an act that left these messages."""
    row = hermes.listed(said, updated_at=START + ACT)
    hermes.write_index({**row, "message_count": len(said), "last_message_at": said[-1]["timestamp"]})


def test_the_stamp_in_the_session_list_is_that_of_one_message(hermes: Hermes) -> None:
    """Turns of a copied session are stamped together, microseconds apart: the list says with which of them it ended."""
    said = hermes.turns("a", "b", "c")
    said = [m | {"timestamp": START + 100 + k * 1e-6} for k, m in enumerate(said)]
    hermes.write_old(hermes.live, said[:4], updated_at=START + 200)
    hermes.tear_live("answer a")
    hermes.write_backup(said)
    listed(hermes, said[:4])
    hermes.repair()
    assert "ask c" not in hermes.live.read_text("utf-8")


@pytest.mark.parametrize("has_gone_on", [False, True])
def test_a_file_that_an_old_version_undid_to_its_beginning_is_a_question(hermes: Hermes, has_gone_on: bool) -> None:
    """Its watermark is 0.0, with neither boundary nor generation. A backup with the same mark is from after that: what
    it has was said then, and the file emptied.
    """
    first, second = hermes.turns("a"), hermes.turns("b", start=100)
    mark = {"truncation_watermark": 0.0, "updated_at": START + 200}
    hermes.write_old(hermes.live, [], **mark)
    backup = hermes.live.with_name(f"{SID}.json.bak")
    hermes.write_old(backup, second if has_gone_on else first, **(mark if has_gone_on else {}))
    hermes.write_rows([*first, *second])
    hermes.repair()
    assert hermes.texts() == (hermes.said(second) if has_gone_on else [])


def test_what_an_old_version_cleared_does_not_return_with_the_end_of_a_torn_file(hermes: Hermes) -> None:
    """The front of the file can be read: what its backup has was not before it when it was saved."""
    cleared, after = hermes.turns("a", "b"), hermes.turns("c", "d", start=100)
    hermes.write_old(hermes.live, after, updated_at=START + ACT)
    hermes.tear_live("answer d")
    hermes.write_old(hermes.sessions / f"{SID}.json.bak", cleared)
    hermes.write_rows([*cleared, *after])
    listed(hermes, after)
    hermes.repair()
    assert hermes.texts() == hermes.said(after)


def test_what_an_old_version_edited_does_not_return_where_only_the_end_of_the_file_is_torn(hermes: Hermes) -> None:
    kept, edited, again = hermes.turns("a"), hermes.turns("b", start=100), hermes.turns("c", start=200)
    hermes.write_old(hermes.live, [*kept, *again], message_count=None, updated_at=START + ACT)
    hermes.live.write_bytes(hermes.live.read_bytes().rstrip().removesuffix(b"}").rstrip().removesuffix(b"]"))
    hermes.write_old(hermes.sessions / f"{SID}.json.bak", [*kept, *edited])
    hermes.write_rows([*kept, *edited, *again])
    listed(hermes, [*kept, *again])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *again])


@pytest.mark.parametrize("is_torn", [True, False])
def test_more_than_the_session_list_counts_of_an_old_version_is_asked(hermes: Hermes, is_torn: bool) -> None:
    """The file is torn, or older than its row in the list: an undo that left no mark came before that row."""
    kept, undone = hermes.turns("a", "b", "c"), hermes.turns("d", start=100)
    if is_torn:
        hermes.write_old(hermes.live, kept, message_count=None)
        hermes.tear_live("answer b")
    else:
        hermes.write_old(hermes.live, kept[:2])
    hermes.write_rows([*kept, *undone])
    listed(hermes, kept)
    assert Category.REVIEW in {f.category for s in hermes.audit().sessions for f in s.findings}
    assert is_left_alone(hermes)
    hermes.repair(SID)  # naming it is the yes
    assert hermes.texts() == hermes.said([*kept, *undone])


# --- a file that is older than the last save --------------------------------------------------------------------------


def test_what_the_newest_run_went_on_without_does_not_return_to_a_stale_file(hermes: Hermes) -> None:
    """The file is from before an undo; what was said after it comes back, and nothing more the next time."""
    kept, undone, later = hermes.turns("a"), hermes.turns("b", start=100), hermes.turns("c", start=200)
    hermes.write_live(kept)
    hermes.write_run([*kept, *later])
    hermes.write_rows([*kept, *undone, *later])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *later])
    assert is_quiet(hermes)


def test_what_stands_before_all_that_the_newest_run_shows_is_asked_of_a_stale_file(hermes: Hermes) -> None:
    """The file is from before its first turn; the run began anew, after an undo or a loss."""
    first, later = hermes.turns("a", start=100), hermes.turns("b", start=200)
    hermes.write_live(hermes.turns("draft"))
    hermes.write_run(later)
    hermes.write_rows([*first, *later])
    assert Category.REVIEW in {f.category for s in hermes.audit().sessions for f in s.findings}
    hermes.repair()
    assert not set(hermes.said(first)) & set(hermes.texts())


def test_what_was_undone_after_the_newest_run_does_not_return_to_a_stale_file(hermes: Hermes) -> None:
    """The session list knows how far the session went when it was last saved; the file is from long before."""
    kept, later, undone = hermes.turns("a"), hermes.turns("b", start=100), hermes.turns("c", start=200)
    hermes.write_live(kept)
    hermes.write_run([*kept, *later, *undone])
    hermes.write_rows([*kept, *later, *undone])
    listed(hermes, [*kept, *later])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *later])


def test_a_turn_that_a_stale_file_lacked_before_comes_back_whatever_the_session_list_counts(hermes: Hermes) -> None:
    """Only the rows had it when the list was written, which so counts less than all copies hold."""
    said, newer = hermes.turns("a", "b", "c"), hermes.turns("d", start=100)
    hermes.write_live([*said[:2], *said[4:]])
    hermes.write_temp([*said[:2], *said[4:], *newer])
    hermes.write_rows([*said, *newer])
    listed(hermes, [*said[:2], *said[4:], *newer])
    hermes.repair()
    assert hermes.texts() == hermes.said([*said, *newer])


def is_left_alone(hermes: Hermes) -> bool:
    """Whether a repair of everything leaves the live file as it is."""
    before = hermes.live.read_bytes()
    hermes.repair()
    return hermes.live.read_bytes() == before


@pytest.mark.parametrize("other", ["database", "run", "backup"])
def test_a_question_about_a_torn_file_stays_one_when_the_file_is_repaired(hermes: Hermes, other: str) -> None:
    """The file that is written says when its last message was said, and that nothing is missing from it; the backup
    that holds the rest would go to the vault."""
    said = hermes.turns("a", "b", "c")
    hermes.write_old(hermes.live, said[:4])
    data = hermes.live.read_bytes()
    behind = data.index(b'"messages"')
    hermes.live.write_bytes(bytes(behind) + data[behind:])
    if other in ("database", "run"):
        hermes.write_rows(said)
    if other == "run":
        hermes.write_run(said, updated_at=said[-1]["timestamp"] + 60)
        hermes.write_old(hermes.live.with_suffix(".json.bak"), said)
        backup = hermes.live.with_suffix(".json.bak")
        backup.write_bytes(backup.read_bytes()[:behind])
    if other == "backup":
        hermes.write_old(hermes.live.with_suffix(".json.bak"), said)
    for _ in range(3):
        assert "shrunken_live_unmarked" in hermes.kinds()
        hermes.repair()
        assert hermes.texts() == hermes.said(said[:4])
    hermes.repair(hermes.live.stem)
    assert hermes.texts() == hermes.said(said)


def test_a_backup_that_would_go_and_a_question_with_it_makes_the_whole_session_one(hermes: Hermes) -> None:
    """The next start of the WebUI would put the backup in the place of the file, so it cannot stay beside it."""
    said, newer = hermes.turns("a", "b", "c"), hermes.turns("d", start=500)
    hermes.write_old(hermes.live, [*said[:2], *newer])
    hermes.tear_live('  "tool_calls"')
    asked = hermes.turns("x", "y", start=60)
    hermes.write_old(hermes.live.with_suffix(".json.bak"), [*said, *asked])
    before = hermes.live.read_bytes()
    hermes.repair()
    assert hermes.live.read_bytes() == before
    hermes.repair(SID)
    assert hermes.texts() == hermes.said([*said, *asked, *newer])
