"""Who knows what the user took back: the marks, and whoever saw the session before or after that."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hermes_rescue.core.audit.findings import Category

from .conftest import ACT, SID, START, Hermes

CLEAR = "0d3f1c2b4a5968778695a4b3c2d1e0f9"
SHRINK = "5b1d8e0f2a3c4d6e9f8a7b6c5d4e3f2a"

Value = dict[str, Any]


def categories(hermes: Hermes) -> set[Category]:
    return {f.category for s in hermes.audit().sessions for f in s.findings}


def is_left_alone(hermes: Hermes) -> bool:
    """Whether a repair of everything leaves the live file as it is."""
    before = hermes.live.read_bytes()
    hermes.repair()
    return hermes.live.read_bytes() == before


def test_a_clear_before_an_undo_is_not_forgotten(hermes: Hermes) -> None:
    """The undo's marks stand beside those of the clear; its backup is from after the clear. Only the rows still have
    what was cleared."""
    gone, kept, undone = (hermes.turns(word, word * 2, start=100 * i) for i, word in enumerate("abc"))
    marks = {**hermes.undo_marks(kept), "clear_generation": CLEAR}
    hermes.write_live(kept, **marks)
    clear = {**hermes.cleared, "clear_generation": CLEAR, "intentional_shrink_generation": SHRINK}
    hermes.write_backup([*kept, *undone], **clear | {"updated_at": START + 300})
    hermes.write_rows([*gone, *kept, *undone])
    assert categories(hermes) <= {Category.INFO}
    assert is_left_alone(hermes)


@pytest.mark.parametrize("is_listed", [True, False])
def test_an_answer_that_was_stopped_before_a_clear_stays_out_of_a_session_that_was_named_since(
    hermes: Hermes, is_listed: bool
) -> None:
    """The name takes the title of the clear away; the newest run that ended is from before the stopped one. Where no
    list knows the file empty, it can have been emptied after the clear."""
    said, stopped = hermes.turns("a", "b"), hermes.turns("c", start=100)
    named = {"title": "My notes", "manual_title": True, "clear_generation": CLEAR}
    hermes.write_live([], **hermes.cleared | named)
    if is_listed:
        saved = START + ACT
        hermes.write_index({**hermes.listed([], **named, updated_at=saved), "last_message_at": saved})
    hermes.write_run(said)
    hermes.write_rows([*said, *stopped])
    assert (categories(hermes) <= {Category.INFO}) is is_listed
    assert is_left_alone(hermes)


def test_what_was_cleared_stays_out_when_the_file_is_wiped_after_a_later_undo(hermes: Hermes) -> None:
    gone, kept, undone = (hermes.turns(word, word * 2, start=100 * i) for i, word in enumerate("abc"))
    marks = {**hermes.undo_marks(kept), "clear_generation": CLEAR}
    hermes.write_live([], **marks | {"updated_at": START + 2 * ACT})
    hermes.write_backup(kept, **marks)
    hermes.write_rows([*gone, *kept, *undone])
    hermes.repair()
    assert hermes.texts() == hermes.said(kept)


@pytest.mark.parametrize("later", [1, 2, 5])
def test_a_later_turn_is_not_taken_back_because_the_watermark_moved_on(hermes: Hermes, later: int) -> None:
    """It moves to the newest prompt with every turn; the undo's own backup says what it took back."""
    kept, undone = hermes.turns("a", "b"), hermes.turns("c", start=100)
    after = hermes.turns(*[f"later {k}" for k in range(later)], start=6000)
    marks = hermes.undo_marks(kept, after[-2]["timestamp"]) | {"updated_at": START + 7000}
    hermes.write_live([], **marks)
    hermes.write_backup([*kept, *undone])
    hermes.write_rows([*kept, *undone, *after])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *after])


def test_what_an_act_cut_off_within_a_turn_stays_out(hermes: Hermes) -> None:
    """An edit at a place that the page counted otherwise kept a prompt and its first step; the rows of the rest of the
    turn are older than the stamp of that step in the file."""
    prompt, step = hermes.turns("a")
    rest = {**step, "content": "the end of answer a", "timestamp": step["timestamp"] + 0.01}
    after = hermes.turns("b", start=100)
    hermes.write_live([prompt, step, *after], **hermes.undo_marks([prompt, step], after[0]["timestamp"]))
    hermes.write_backup([prompt, step, rest])
    hermes.write_rows([prompt, step, rest, *after])
    assert categories(hermes) <= {Category.INFO}
    assert is_left_alone(hermes)


def test_a_lost_turn_in_the_middle_is_not_taken_back_because_the_watermark_moved_on(hermes: Hermes) -> None:
    kept, undone = hermes.turns("a", "b"), hermes.turns("c", start=100)
    after = hermes.turns("d", "e", "f", start=6000)
    marks = hermes.undo_marks(kept, after[-2]["timestamp"]) | {"updated_at": START + 7000}
    hermes.write_live([*kept, *after[:2], *after[4:]], **marks)
    hermes.write_backup([*kept, *undone])
    hermes.write_rows([*kept, *undone, *after])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *after])


def test_an_answer_that_an_edit_left_behind_says_nothing_of_the_turns_after_it(hermes: Hermes) -> None:
    """The server shows such an answer once more with the edited turn, without its prompt; the rest stays taken back."""
    kept, undone = hermes.turns("a", "b"), hermes.turns("c", "d", "e", start=100)
    after = hermes.turns("edited", start=6000)
    shown = [*kept, undone[1], *after]
    hermes.write_live(shown, **hermes.undo_marks(kept, after[0]["timestamp"]) | {"updated_at": START + 7000})
    hermes.write_run(shown)
    hermes.write_rows([*kept, *undone, *after])
    assert categories(hermes) <= {Category.INFO}
    assert is_left_alone(hermes)


@pytest.mark.parametrize("rows", ["active", "taken back", "gone"])
def test_an_answer_that_only_a_run_showed_once_more_after_an_edit_does_not_return(hermes: Hermes, rows: str) -> None:
    """Its prompt is left in the database at most; the file was saved later, without the answer."""
    kept, undone = hermes.turns("a", "b"), hermes.turns("c", start=100)
    after = hermes.turns("edited", start=6000)
    hermes.write_live([*kept, *after], **hermes.undo_marks(kept, after[0]["timestamp"]) | {"updated_at": START + 7000})
    hermes.write_run([*kept, undone[1], *after])
    gone = [] if rows == "gone" else [{**m, "active": int(rows == "active")} for m in undone]
    hermes.write_rows([*kept, *gone, *after])
    assert categories(hermes) <= {Category.INFO}
    assert is_left_alone(hermes)


def test_a_run_from_before_two_acts_does_not_know_what_the_first_of_them_took_back(hermes: Hermes) -> None:
    """Its journal is the newest that is left; what it shows before the newest act can have been edited away since."""
    kept, edited = hermes.turns("a"), hermes.turns("b", start=100)
    newer, undone = hermes.turns("edited", start=200), hermes.turns("c", start=300)
    hermes.write_live([*kept, *newer], **hermes.undo_marks([*kept, *newer]))
    hermes.write_run([*kept, *edited])
    hermes.write_rows([*kept, *edited, *newer, *undone])
    assert Category.REPAIRABLE not in categories(hermes)
    assert is_left_alone(hermes)


def test_a_prompt_that_a_retry_sent_again_is_another_message_than_the_one_in_the_backup(hermes: Hermes) -> None:
    """The server sends it without the attachments of the first one."""
    kept, asked, again = hermes.turns("a"), hermes.turns("b", start=100), hermes.turns("b", start=100.5)
    asked[0]["attachments"] = ["chart.png"]
    again[1]["content"] = "another answer"
    hermes.write_live([*kept, *again], **hermes.undo_marks(kept, again[0]["timestamp"]))
    hermes.write_backup([*kept, *asked])
    assert categories(hermes) <= {Category.INFO}
    assert is_left_alone(hermes)


def test_a_summary_that_a_later_turn_dropped_is_no_loss(hermes: Hermes) -> None:
    """The server shows a compaction's summary in one turn and no more in the next, in the middle of a healthy file."""
    said, newer = hermes.turns("a", "b"), hermes.turns("c", start=100)
    summary = {"role": "user", "content": "[CONTEXT COMPACTION - REFERENCE ONLY] Said so far.", "timestamp": START + 5}
    shown = [*said[:2], summary, *said[2:]]
    hermes.write_live([*said, *newer])
    hermes.write_run(shown)
    hermes.write_rows([*shown, *newer])
    assert categories(hermes) <= {Category.INFO}
    assert is_left_alone(hermes)


@pytest.mark.parametrize(("later", "is_of_file"), [(0.0, False), (30.0, True)])
def test_a_summary_that_a_run_has_from_the_rows_is_not_built_into_a_lost_file(
    hermes: Hermes, later: float, is_of_file: bool
) -> None:
    """What a page is sent has the rows that the file lacks as they are; what the file had got the stamp of its turn."""
    said, newer = hermes.turns("a", "b"), hermes.turns("c", start=100)
    summary = {"role": "user", "content": "[CONTEXT COMPACTION - REFERENCE ONLY] Said so far.", "timestamp": START + 50}
    shown = [*said, {**summary, "timestamp": START + 50 + later}, *newer]
    hermes.write_run(shown)
    hermes.write_rows([*said, summary, *newer])
    hermes.repair(SID)
    assert hermes.texts() == hermes.said(shown if is_of_file else [*said, *newer])


@pytest.mark.parametrize("undoes", [True, False])
def test_a_done_vetoes_nothing_for_want_of_a_mark(hermes: Hermes, undoes: bool) -> None:
    """The newest run ended before the undo, or there was none: that it has no marks does not say that what it lacks is
    gone, nor that what it holds is there."""
    kept, other, newer = hermes.turns("a", "b"), hermes.turns("c", start=100), hermes.turns("d", start=200)
    if undoes:
        before = hermes.write_live(kept, **hermes.undo_marks(kept))
        hermes.write_run([*kept, *other])
        hermes.write_backup([*kept, *other])
        hermes.write_rows([*kept, *other])
        hermes.repair()
        assert hermes.live.read_bytes() == before
    else:
        hermes.write_live([*kept, *other])
        hermes.write_run([*kept, *other])
        hermes.write_rows([*kept, *other, *newer])
        hermes.repair()
        assert hermes.texts() == hermes.said([*kept, *other, *newer])


def test_a_run_from_before_the_wipe_does_not_keep_out_what_the_backup_still_has(hermes: Hermes) -> None:
    said, newer = hermes.turns("a", "b", "c"), hermes.turns("d", start=100)
    hermes.write_live([], updated_at=START + ACT)
    hermes.write_run(said)
    hermes.write_backup([*said, *newer])
    hermes.repair()
    assert hermes.load()["messages"] == [*said, *newer]


def without_marks(session: Value) -> Value:
    """The session as a version from before marks existed writes it."""
    marks = ("truncation_watermark", "truncation_boundary", "clear_generation", "intentional_shrink_generation")
    return {name: value for name, value in session.items() if name not in marks}


@pytest.mark.parametrize("backup", [True, False])
def test_what_an_unmarked_version_lacks_is_asked_and_never_done_by_all(hermes: Hermes, backup: bool) -> None:
    """The file was saved after all that it lacks: an undo that left no mark looks the same."""
    kept, gone = hermes.turns("a", "b"), hermes.turns("c", start=100)
    hermes.write(hermes.live, without_marks(hermes.session(kept, updated_at=START + ACT)))
    if backup:
        bak = hermes.sessions / f"{hermes.live.stem}.json.bak"
        hermes.write(bak, without_marks(hermes.session([*kept, *gone])))
    hermes.write_rows([*kept, *gone])
    assert categories(hermes) == {Category.REVIEW}
    assert is_left_alone(hermes)
    hermes.repair(hermes.live.stem)  # naming it is the yes
    assert hermes.texts() == hermes.said([*kept, *gone])


def test_an_answer_is_asked_about_with_its_prompt_although_the_file_has_its_words(hermes: Hermes) -> None:
    said = hermes.turns("a", "b", "c")
    said[3]["content"] = said[1]["content"]
    hermes.write(hermes.live, without_marks(hermes.session([*said[:2], *said[4:]], updated_at=START + ACT)))
    hermes.write_rows(said)
    assert categories(hermes) == {Category.REVIEW}
    hermes.repair(hermes.live.stem)  # naming it is the yes
    assert hermes.texts() == hermes.said(said)


@pytest.mark.parametrize("listed", [True, False])
def test_an_unmarked_file_that_only_lags_is_brought_up_to_date_if_the_list_says_so(
    hermes: Hermes, listed: bool
) -> None:
    """It was saved before what it lacks was said, so nobody took that back; but the clock can have been set back."""
    kept, newer = hermes.turns("a", "b"), hermes.turns("c", start=100)
    hermes.write(hermes.live, without_marks(hermes.session(kept)))
    hermes.write_rows([*kept, *newer])
    known = [*kept, *newer] if listed else kept
    row = {"session_id": hermes.live.stem, "message_count": len(known), "last_message_at": known[-1]["timestamp"]}
    hermes.write_index(row)
    if not listed:
        assert categories(hermes) == {Category.REVIEW}
    hermes.repair()
    assert hermes.texts() == hermes.said(known)


def test_an_unmarked_clear_sets_the_title_and_is_no_wipe(hermes: Hermes) -> None:
    gone = hermes.turns("a", "b")
    hermes.write(hermes.live, without_marks(hermes.session([], title="Untitled", updated_at=START + ACT)))
    hermes.write_rows(gone)
    assert is_left_alone(hermes)


def test_an_unmarked_wipe_keeps_the_title(hermes: Hermes) -> None:
    lost = hermes.turns("a", "b")
    hermes.write(hermes.live, without_marks(hermes.session([], updated_at=START + ACT)))
    hermes.write_rows(lost)
    hermes.repair()
    assert hermes.texts() == hermes.said(lost)


@pytest.mark.parametrize("torn", [True, False])
@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("soon", [0.1, 3.0])
def test_a_turn_that_was_said_right_after_an_undo_comes_back(
    hermes: Hermes, torn: bool, at_once: bool, soon: float
) -> None:
    """The database marks what was taken back, and its rows can have the very stamps of the file: the only turn behind
    the boundary is the one at which the watermark stands."""
    kept, after = hermes.turns("a", "b"), hermes.turns("d", start=14 + soon)
    undone = [{**m, "active": 0, "timestamp": kept[-1]["timestamp"] + soon / 4} for m in hermes.turns("c")]
    marks = hermes.undo_marks(kept, after[0]["timestamp"])
    hermes.write_live([*kept, *after] if torn else [], **marks)
    if torn:
        hermes.tear_live('"content": "answer b"')
    late = 1.0 if at_once else 0.0  # the rows of an answer are stamped a second before it
    hermes.write_rows(
        {**m, "timestamp": m["timestamp"] + late * (m["role"] != "user")} for m in [*kept, *undone, *after]
    )
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *after])


def test_a_turn_that_was_sent_as_the_one_before_it_ended_is_taken_back_whole(hermes: Hermes) -> None:
    """Its row has the stamp of the boundary, which is that of the last message that the file kept."""
    kept, undone = hermes.turns("a", "b"), hermes.turns("c", start=14)
    after = hermes.turns("d", start=100)
    hermes.write_live([*kept, *after], **hermes.undo_marks(kept, after[0]["timestamp"]))
    hermes.tear_live('"content": "answer d"')
    hermes.write_rows([*kept, *undone, *after])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *after])


def test_a_newest_turn_comes_back_to_a_file_with_the_watermark_of_an_older_version(hermes: Hermes) -> None:
    """It has outgrown that act; what was said after its last save was not taken back."""
    said, newer = hermes.turns("a", "b", "c"), hermes.turns("d", start=100)
    hermes.write_live(said, truncation_watermark=said[1]["timestamp"])
    hermes.write_rows([*said, *newer])
    hermes.repair()
    assert hermes.texts() == hermes.said([*said, *newer])


@pytest.mark.parametrize("turns_after", [1, 2, 3])
def test_the_count_in_a_torn_head_settles_which_rows_belong(hermes: Hermes, turns_after: int) -> None:
    """After the boundary the rows have what was taken back and what was said since; the head has the count."""
    kept, undone = hermes.turns("a", "b"), hermes.turns("c", "d", start=100)
    after = hermes.turns(*[f"later {k}" for k in range(turns_after)], start=6000)
    marks = hermes.undo_marks(kept, after[-2]["timestamp"]) | {"updated_at": START + 7000}
    hermes.write_live([*kept, *after], **marks)
    hermes.tear_live("answer b")
    hermes.write_rows([*kept, *undone, *after])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *after])


def test_a_torn_head_whose_count_fits_nothing_is_a_question(hermes: Hermes) -> None:
    kept, undone, after = hermes.turns("a", "b"), hermes.turns("c", "d", start=100), hermes.turns("e", "f", start=6000)
    marks = hermes.undo_marks(kept, after[-2]["timestamp"]) | {"updated_at": START + 7000}
    hermes.write_live([*kept, *after], message_count=7, **marks)
    hermes.tear_live("answer b")
    hermes.write_rows([*kept, *undone, *after])
    assert Category.REVIEW in categories(hermes)
    assert is_left_alone(hermes)


def test_what_a_first_undo_took_back_stays_out_when_the_count_could_mean_it(hermes: Hermes) -> None:
    """The backup of the second undo was saved by the first one; the count in the torn head has two messages that no
    copy has."""
    kept, second, first = hermes.turns("a"), hermes.turns("b", start=100), hermes.turns("c", start=200)
    after = hermes.turns("d", "e", start=6000)
    marks = hermes.undo_marks(kept, after[-2]["timestamp"]) | {"updated_at": START + 7000}
    hermes.write_live([*kept, *after], **marks, message_count=len([*kept, *first, *after]))
    hermes.tear_live('"messages"')
    older = {**hermes.undo_marks([*kept, *second]), "intentional_shrink_generation": SHRINK}
    hermes.write_backup([*kept, *second], **older | {"updated_at": START + 300})
    hermes.write_rows([*kept, *second, *first, *after])
    hermes.repair(hermes.live.stem)
    assert hermes.texts() == hermes.said([*kept, *after])


def test_a_clock_that_was_set_back_after_an_undo_takes_nothing_of_it_back(hermes: Hermes) -> None:
    """The watermark moves to the prompt of each later turn, then earlier than the last message that was kept."""
    kept, undone = hermes.turns("a", "b", start=5000), hermes.turns("c", start=5100)
    later = hermes.turns("d", "e")
    marks = hermes.undo_marks(kept, later[2]["timestamp"]) | {"updated_at": later[3]["timestamp"]}
    hermes.write_live([*kept, *later[2:]], **marks)
    hermes.write_backup([*kept, *later[:2]], **marks | {"truncation_watermark": later[0]["timestamp"]})
    hermes.write_rows([*kept, *undone, *later])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *later])


def test_the_marks_of_a_torn_backup_tell_what_was_taken_back_before_it_was_saved(hermes: Hermes) -> None:
    """The file is gone and nothing says when it was saved; the backup is from after the act."""
    kept, undone, after = (hermes.turns(word, word * 2, start=100 * i) for i, word in enumerate("abc"))
    marks = hermes.undo_marks(kept, after[2]["timestamp"])
    data = hermes.write_backup([*kept, *after], **marks)
    bak = hermes.sessions / f"{hermes.live.stem}.json.bak"
    bak.write_bytes(data[: data.index(b'"content": "answer cc"')])
    hermes.write_rows([*kept, *undone, *after])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *after])


def test_an_undo_whose_backup_is_torn_leaves_what_the_newest_run_showed_before_it(hermes: Hermes) -> None:
    """A second undo cuts where the first had cut; how far the torn backup once went, what is left of it cannot say."""
    kept, gone, again = (hermes.turns(word, word * 2, start=100 * i) for i, word in enumerate("abc"))
    first = hermes.undo_marks(kept, again[2]["timestamp"]) | {"updated_at": again[-1]["timestamp"]}
    hermes.write_live(kept, **hermes.undo_marks(kept) | {"intentional_shrink_generation": SHRINK})
    data = hermes.write_backup([*kept, *again], **first)
    bak = hermes.sessions / f"{hermes.live.stem}.json.bak"
    bak.write_bytes(data[: data.index(b'"content": "answer aa"')])
    hermes.write_run([*kept, *again])
    hermes.write_rows([*kept, *gone, *again])
    assert categories(hermes) <= {Category.INFO}
    assert is_left_alone(hermes)


def stepped(hermes: Hermes, word: str, start: float) -> list[Value]:
    """A turn with a call that is counted from 0 in every turn, and says nothing."""
    prompt, answer = hermes.turns(word, start=start)
    call = {"id": "call_1", "type": "function", "function": {"name": "terminal", "arguments": "{}"}}
    step = {"role": "assistant", "content": "", "tool_calls": [call], "timestamp": answer["timestamp"] - 2}
    result = {"role": "tool", "content": f"result {word}", "tool_call_id": "call_1", "timestamp": step["timestamp"]}
    return [prompt, step, result, answer]


def test_a_call_that_is_counted_from_0_is_not_contained_in_another_turn(hermes: Hermes) -> None:
    first, lost, last = stepped(hermes, "a", 0), stepped(hermes, "b", 100), hermes.turns("c", start=200)
    undone = hermes.turns("d", start=300)
    whole = [*first, *lost, *last]
    hermes.write_live([*first, *last], **hermes.undo_marks(whole))
    hermes.write_backup([*first, *last, *undone])
    hermes.write_rows([*whole, *undone])
    hermes.repair(hermes.live.stem)
    assert hermes.texts() == hermes.said(whole)


def test_the_result_of_a_counted_call_stays_taken_back_with_its_turn(hermes: Hermes) -> None:
    """The same words were said again after the undo, with a call of the same number."""
    kept, undone, again = hermes.turns("a"), stepped(hermes, "b", 100), stepped(hermes, "b", 106)
    again[2]["content"] = "another result"
    hermes.write_live([*kept, *again], **hermes.undo_marks(kept, again[0]["timestamp"]))
    hermes.write_backup([*kept, *undone])
    hermes.write_rows([*kept, *undone, *again])
    assert Category.REPAIRABLE not in categories(hermes)
    assert is_left_alone(hermes)


def test_the_steps_of_a_stopped_answer_stay_taken_back_with_its_prompt(hermes: Hermes) -> None:
    """Only rows have them: of an answer that was stopped the server keeps its text alone."""
    kept, after = hermes.turns("a"), hermes.turns("c", start=200)
    prompt, step, result, answer = stepped(hermes, "b", 100)
    hermes.write_live([*kept, *after], **hermes.undo_marks(kept, after[0]["timestamp"]))
    hermes.write_backup([*kept, prompt, {**answer, "_partial": True}])
    hermes.write_rows([*kept, prompt, step, result, answer, *after])
    assert Category.REPAIRABLE not in categories(hermes)
    assert is_left_alone(hermes)


def test_a_turn_from_another_program_comes_back_whole_beside_one_that_was_taken_back(hermes: Hermes) -> None:
    """Only rows have it; its first call has the number of one that a copy from before the act has."""
    kept, other, after = stepped(hermes, "a", 0), stepped(hermes, "b", 100), hermes.turns("d", start=300)
    undone = hermes.turns("c", start=200)
    hermes.write_live([*kept, *after], **hermes.undo_marks(kept, after[0]["timestamp"]))
    hermes.write_backup([*kept, *undone])
    hermes.write_rows([*kept, *other, *undone, *after])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *other, *after])


def test_a_prompt_that_the_newest_run_went_on_without_stays_out_of_an_older_file(hermes: Hermes) -> None:
    """The file lags behind two acts: its marks are those of the first, only the run is from after the second."""
    kept, undone, newer = hermes.turns("a", "b"), hermes.turns("c", start=100), hermes.turns("d", start=7000)
    hermes.write_live(kept, **hermes.undo_marks(kept))
    hermes.write_run([*kept, *newer])
    failed = [{**newer[0], "content": "ask what failed", "timestamp": START + 6500}]
    hermes.write_rows([*kept, *undone, *failed, *newer])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *newer])


def write_turns(hermes: Hermes, messages: list[Value]) -> None:
    """The turn journal: every prompt was sent and its turn came to an end."""
    lines = []
    for k, m in enumerate(m for m in messages if m["role"] == "user"):
        turn = {"version": 1, "session_id": hermes.live.stem, "turn_id": f"turn {k}", "created_at": m["timestamp"]}
        lines += [{**turn, "event": "submitted", "role": "user", "content": m["content"]}]
        lines += [{**turn, "event": "completed", "terminal": True}]
    folder = hermes.sessions / "_turn_journal"
    folder.mkdir()
    (folder / f"{hermes.live.stem}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")


@pytest.mark.parametrize("unsaid", [True, False])
def test_a_lost_file_that_was_shortened_after_all_that_was_said_is_a_question(hermes: Hermes, unsaid: bool) -> None:
    """A backup is left by a save that shortened the file. If it has the newest prompt that was sent, nothing was said
    since; of a prompt that no journal knows nobody can say when it was the newest."""
    said, later = hermes.turns("a", "b", "c"), hermes.turns("d", start=100)
    write_turns(hermes, said)
    hermes.write_backup([*said, *later] if unsaid else said)
    hermes.write_rows(said)
    hermes.repair()
    assert hermes.live.exists() is unsaid
    hermes.repair(hermes.live.stem)
    assert hermes.texts() == hermes.said([*said, *later] if unsaid else said)


@pytest.mark.parametrize("late", [0.0, 60.0])
def test_it_is_one_also_where_the_row_of_the_newest_prompt_is_late(hermes: Hermes, late: float) -> None:
    """Its turn was killed after the file had been shortened; the agent can have written it long after it was sent."""
    said, (prompt, _) = hermes.turns("a", "b"), hermes.turns("c", start=100)
    write_turns(hermes, [*said, prompt])
    hermes.write_backup(said)
    hermes.write_rows([*said, {**prompt, "timestamp": prompt["timestamp"] + late}])
    hermes.repair()
    assert not hermes.live.exists()


def test_a_lost_file_whose_list_knows_no_more_than_a_prompt_that_was_sent_is_a_question(hermes: Hermes) -> None:
    """The newest prompt was said once more, and no answer came: a retry, or the same again. The list has its time."""
    said = hermes.turns("a", "b")
    again = {**said[2], "timestamp": START + 100}
    write_turns(hermes, [*said, again])
    hermes.write_backup(said)
    hermes.write_rows(said)
    last = {"message_count": len(said), "last_message_at": again["timestamp"], "updated_at": again["timestamp"]}
    hermes.write_index({"session_id": hermes.live.stem, "title": "Notes", **last})
    hermes.repair()
    assert not hermes.live.exists()
    hermes.repair(hermes.live.stem)
    assert hermes.texts()[: len(said)] == hermes.said(said)


def test_a_torn_file_that_was_saved_when_its_backup_was_is_not_shortened(hermes: Hermes) -> None:
    said = hermes.turns("a", "b", "c")
    write_turns(hermes, said)
    hermes.write_live([], updated_at=said[-1]["timestamp"])
    hermes.tear_live('"pinned"')
    hermes.write_backup(said)
    hermes.write_run(said)
    hermes.repair()
    assert hermes.texts() == hermes.said(said)


@pytest.mark.parametrize("is_marked", [True, False])
def test_a_conversation_that_the_newest_run_began_anew_is_a_question(hermes: Hermes, is_marked: bool) -> None:
    """An edit of the first prompt looks like a wipe and a new prompt, once the file is lost. Many servers fill a wiped
    file with its rows again, which would tell them apart; the one that saved this backup did not."""
    said, newer = hermes.turns("a", "b", "c"), hermes.turns("d", start=6000)
    hermes.write_backup(said[:4], **hermes.undo_marks(said[:4])) if is_marked else hermes.write_backup(said[2:4])
    hermes.write_run(newer)
    hermes.write_rows([*said[:4], *newer])
    hermes.repair()
    assert not hermes.live.exists()
    hermes.repair(hermes.live.stem)
    assert hermes.texts() == hermes.said([*said[:4], *newer])


def test_a_clock_that_was_set_back_before_an_undo_makes_no_new_message(hermes: Hermes) -> None:
    """The file was saved by the undo, with a time from before the turn that it took back."""
    kept, undone = hermes.turns("a", "b"), hermes.turns("c", start=100)
    hermes.write_live(kept, **hermes.undo_marks(kept) | {"updated_at": START + 90})
    hermes.write_backup([*kept, *undone], updated_at=START + 120)
    hermes.write_rows([*kept, *undone])
    assert categories(hermes) <= {Category.INFO}
    assert is_left_alone(hermes)


@pytest.mark.parametrize("seconds", [0.2, 0.9])
def test_a_short_turn_that_a_flush_wrote_again_after_the_save_is_no_loss(hermes: Hermes, seconds: float) -> None:
    said = [*hermes.turns("a"), *short_turn(100.0)]
    hermes.write_live(said)
    hermes.write_rows([*said, *short_turn(100.0 + seconds)])
    assert hermes.kinds() == []
    assert is_left_alone(hermes)


def test_a_stopped_turn_that_a_flush_wrote_again_is_no_loss(hermes: Hermes) -> None:
    """The file has a notice of the server with it, which no row has."""
    said = [*hermes.turns("a"), *short_turn(100.0)]
    hermes.write_live([*said, {"role": "assistant", "content": "**Task cancelled**", "timestamp": START + 100.2}])
    hermes.write_rows([*said, *short_turn(100.7)])
    assert is_left_alone(hermes)


def test_what_was_taken_back_does_not_return_because_a_flush_wrote_it_again(hermes: Hermes) -> None:
    said = short_turn(100.0)
    marks = {"truncation_boundary": 0.0, "truncation_watermark": 0.0, "intentional_shrink_generation": SHRINK}
    hermes.write_live([], **marks | {"updated_at": START + ACT})
    hermes.write_run(said)
    hermes.write_rows([*said, *short_turn(100.5)])
    assert categories(hermes) <= {Category.INFO}
    assert is_left_alone(hermes)


def test_a_short_turn_that_was_said_again_comes_back(hermes: Hermes) -> None:
    said = [*hermes.turns("a"), *short_turn(100.0)]
    hermes.write_live(said)
    hermes.write_rows([*said, *short_turn(103.0)])
    hermes.repair()
    assert hermes.texts() == hermes.said([*said, *short_turn(103.0)])


def short_turn(start: float) -> list[Value]:
    """A turn that says nothing to be known again, within a tenth of a second."""
    prompt = {"role": "user", "content": "go on", "timestamp": START + start}
    return [prompt, {"role": "assistant", "content": "Done.", "timestamp": START + start + 0.1}]


@pytest.mark.parametrize("is_lost", [False, True])
def test_what_the_backup_of_an_old_version_went_on_without_is_asked(hermes: Hermes, is_lost: bool) -> None:
    """An undo of a version without marks, then a turn; the file was emptied or lost, and so was the session list."""
    kept, undone, after = (hermes.turns(word, start=100 * k) for k, word in enumerate("abc"))
    if not is_lost:
        hermes.write_old(hermes.live, [], updated_at=START + 400)
    hermes.write_old(hermes.sessions / f"{SID}.json.bak", [*kept, *after])
    hermes.write_rows([*kept, *undone, *after])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *after])
    assert Category.REVIEW in categories(hermes)
    hermes.repair(SID)
    assert hermes.texts() == hermes.said([*kept, *undone, *after])


@pytest.mark.parametrize("title", ["Untitled", "Notes"])
def test_a_torn_file_with_the_title_of_a_clear_is_asked_about(hermes: Hermes, title: str) -> None:
    """The first turn names a session, and a clear takes the name away. The file is torn before its marks, and no list
    counts."""
    turns = hermes.turns("a", "b")
    hermes.write_live([], **hermes.cleared, title=title)
    hermes.tear_live('"truncation_watermark"')
    hermes.write_rows(turns)
    is_asked = title == "Untitled"
    assert (Category.REVIEW in categories(hermes)) is is_asked
    assert is_left_alone(hermes) is is_asked


def test_a_run_that_the_file_was_saved_with_is_from_after_the_clear(hermes: Hermes) -> None:
    """Nothing but its head is left of the file; it begins with the first message that any copy has."""
    said = hermes.turns("a", "b")
    saved = {"updated_at": said[-1]["timestamp"] + 1}
    hermes.write_live(said, **hermes.cleared | saved)
    hermes.tear_live("ask a")
    hermes.write_run(said, **saved)
    hermes.repair()
    assert hermes.texts() == hermes.said(said)


@pytest.mark.parametrize("counted", [0, None])
def test_a_torn_file_of_an_empty_session_is_built_again(hermes: Hermes, counted: int | None) -> None:
    """Where nothing counts its messages, it may have held some, and a person decides."""
    hermes.write_live([], title="Untitled", worktree_path="/srv/notes/.worktrees/hermes-0a1b2c3d")
    hermes.tear_live('"truncation_watermark"')
    if counted is not None:
        hermes.write_index({"session_id": SID, "message_count": counted})
    assert is_left_alone(hermes) is (counted is None)
    hermes.repair(SID)
    assert hermes.load()["messages"] == []


def test_the_count_of_an_empty_file_is_not_forgotten_unasked(hermes: Hermes) -> None:
    """It is all that is left of the messages."""
    hermes.write_live([], message_count=6)
    assert is_left_alone(hermes)
    assert Category.REVIEW in categories(hermes)


def test_a_file_that_is_torn_in_its_first_message_is_not_emptied_unasked(hermes: Hermes) -> None:
    hermes.write_live(hermes.turns("a"))
    hermes.tear_live("ask a")
    assert is_left_alone(hermes)
    assert Category.REVIEW in categories(hermes)


@pytest.mark.parametrize("torn_before", ["ask a", '"message_count"'])
def test_a_torn_file_that_held_messages_is_not_emptied_for_what_its_backup_held_before_an_act(
    hermes: Hermes, torn_before: str
) -> None:
    """The act kept nothing, and the server filled the file from the database again. Its head counts the messages; or
    the session list does."""
    said = hermes.turns("a", "b")
    hermes.write_live(said, truncation_watermark=0.0, truncation_boundary=0.0, intentional_shrink_generation=SHRINK)
    hermes.write_index(hermes.listed(said) | {"user_message_count": 2, "last_message_at": said[-1]["timestamp"]})
    hermes.write_backup(said)
    hermes.tear_live(torn_before)
    assert Category.REVIEW in categories(hermes)
    assert is_left_alone(hermes)
