"""What is right whatever a clock said that was set back: places, marks, counts and the turn journal tell it."""

from __future__ import annotations

import json

import pytest
from hermes_rescue.core.audit.findings import Category
from hermes_rescue.core.merge.intent import MARK_FIELDS

from .conftest import ACT, SID, START, Hermes, Value
from .test_acts import EARLIER, bounded, compressed, cut, is_quiet
from .test_witnesses import categories, is_left_alone, stepped

LATER = 9000
"""Seconds after the session began at which the clock was set back to nearly its beginning."""


def waiting(prompt: Value) -> Value:
    """The fields of a file that waits for this prompt, and was saved when it was sent."""
    sent = prompt["timestamp"]
    fields = {"pending_user_message": prompt["content"], "pending_started_at": sent, "active_stream_id": "f1"}
    return fields | {"updated_at": sent + 0.04}


def write_turns(hermes: Hermes, sent: dict[str, Value]) -> None:
    """The turn journal: for each stream its prompt, in this order; all of them ended."""
    journal = hermes.sessions / "_turn_journal"
    journal.mkdir()
    begun = [
        {"event": "submitted", "turn_id": f"t-{stream}", "stream_id": stream, "session_id": SID, "role": "user"}
        | {"content": prompt["content"], "created_at": prompt["timestamp"]}
        for stream, prompt in sent.items()
    ]
    lines = (line for one in begun for line in (one, {**one, "event": "completed", "role": None, "terminal": True}))
    (journal / f"{SID}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")


@pytest.mark.parametrize("is_torn", [False, True])
def test_a_run_from_before_an_undo_is_older_than_the_prompt_that_the_file_waits_for(
    hermes: Hermes, is_torn: bool
) -> None:
    """The run that was taken back ended later by its clock than the act and the prompt after it."""
    kept, undone = hermes.turns("a", start=LATER), hermes.turns("b", start=LATER + 100)
    killed = hermes.turns("now", start=100)
    hermes.write_live(kept, **hermes.undo_marks(kept) | waiting(killed[0]))
    if is_torn:
        hermes.tear_live("answer a")
    hermes.write_run([*kept, *undone], updated_at=undone[-1]["timestamp"])
    hermes.write_rows([*kept, *undone, killed[0]])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, killed[0]])


def test_a_run_from_before_an_undo_says_nothing_of_a_file_that_was_emptied_since(hermes: Hermes) -> None:
    """The backup is the file before that: no turn was saved since the act."""
    kept, undone = hermes.turns("a", start=LATER), hermes.turns("b", start=LATER + 100)
    marks = hermes.undo_marks(kept) | {"updated_at": START + 50}
    hermes.write_live([], **marks)
    hermes.write_backup(kept, **marks)
    hermes.write_run([*kept, *undone], updated_at=undone[-1]["timestamp"])
    hermes.repair()
    assert hermes.texts() == hermes.said(kept)


def test_an_emptied_file_that_waits_for_a_prompt_comes_back_as_its_backup_has_it(hermes: Hermes) -> None:
    """Of a version that left no boundary, what a run has besides is asked, although it ended later by its clock. The
    session list has the time of that prompt."""
    kept, undone = hermes.turns("a", start=LATER), hermes.turns("b", start=LATER + 100)
    killed = hermes.turns("now", start=100)
    saved = waiting(killed[0]) | {"truncation_watermark": kept[-1]["timestamp"]}
    old = ("truncation_boundary", "clear_generation", "intentional_shrink_generation")
    for name, messages in (("", []), (".bak", kept)):
        session = hermes.session(messages, **saved)
        path = hermes.sessions / f"{SID}.json{name}"
        hermes.write(path, {key: value for key, value in session.items() if key not in old})
    row = hermes.listed(kept, **saved)
    listed = {"last_message_at": saved["pending_started_at"], "has_pending_user_message": True}
    hermes.write_index(row | listed)
    hermes.write_run([*kept, *undone], updated_at=undone[-1]["timestamp"])
    hermes.write_rows([*kept, *undone, killed[0]])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, killed[0]])


def test_a_file_is_older_than_a_run_whose_prompt_was_sent_after_those_of_the_file(hermes: Hermes) -> None:
    """The turn journal has the prompts in their order. The newest turn was said instead of one that was taken back, and
    an older file was put back: nobody knows but the user."""
    kept, undone = hermes.turns("a", start=LATER), hermes.turns("b", start=LATER + 100)
    again = hermes.turns("c", start=100)
    hermes.write_live([*kept, *undone])
    hermes.write_run([*kept, *undone], "s2", updated_at=undone[-1]["timestamp"])
    hermes.write_run([*kept, *again], "s3", updated_at=again[-1]["timestamp"])
    write_turns(hermes, {"s1": kept[0], "s2": undone[0], "s3": again[0]})
    assert is_left_alone(hermes)


def test_rows_from_before_the_clock_was_set_back_were_counted_in_the_session_list(hermes: Hermes) -> None:
    """The beginning of a file is all that is left of it, and an old version had left no mark of an undo."""
    kept, undone = hermes.turns("a", start=LATER), hermes.turns("b", "c", start=LATER + 100)
    after = hermes.turns("d", start=100)
    said = [*kept, *after]
    row = hermes.listed(said)
    hermes.write_index({**row, "updated_at": START + 110, "last_message_at": after[-1]["timestamp"]})
    hermes.write_old(hermes.live, said)
    hermes.tear_live('"workspace"')
    hermes.write_rows([*kept, *undone, *after])
    assert is_left_alone(hermes)


@pytest.mark.parametrize("is_emptied", [False, True])
def test_a_compress_says_which_message_it_saw_last(hermes: Hermes, is_emptied: bool) -> None:
    """Its own time, to which it moved the boundary, is earlier than that of every message."""
    kept, undone = hermes.turns("a", "b", start=LATER), hermes.turns("c", start=LATER + 15)
    after = hermes.turns("d", start=LATER + 500)
    whole = [kept[0], kept[1], *undone, *kept[2:]] if is_emptied else [*kept, *undone]
    seen = {"role": "assistant", "ts": kept[-1]["timestamp"], "text": kept[-1]["content"], "attachments": 0}
    marks = compressed(hermes, ACT - 6000) | {"compression_anchor_message_key": seen}
    later = marks | {"truncation_watermark": after[0]["timestamp"], "updated_at": after[-1]["timestamp"]}
    hermes.write_rows([*whole, *after])
    if is_emptied:
        hermes.write_backup(kept, **marks)
        hermes.write_live(after, **later)
        hermes.write_run(after)
        hermes.repair()
        assert hermes.texts() == hermes.said([*kept, *after])
    else:
        hermes.write_live([*kept, *after], **later)
        hermes.write_run([*kept, *after])
        assert is_quiet(hermes)


def test_two_prompts_whose_answers_are_alike_by_chance_are_two(hermes: Hermes) -> None:
    """Each has a call that is counted from 0, with the result that it mostly has; the second was sent right after the
    file had been emptied."""
    first, again = stepped(hermes, "a", 0), stepped(hermes, "b", 3)
    again[2]["content"] = first[2]["content"]
    hermes.write_live(again)
    hermes.write_backup(first, updated_at=START + 4)
    hermes.repair()
    assert hermes.texts() == hermes.said([*first, *again])


def test_the_prompt_that_an_emptied_file_waits_for_stands_last(hermes: Hermes) -> None:
    """No row is left of it, and all that the backup has was said later by the clock."""
    said, killed = hermes.turns("a", start=LATER), hermes.turns("now", start=100)
    hermes.write_live([], **waiting(killed[0]))
    hermes.write_backup(said, **waiting(killed[0]))
    hermes.repair()
    assert hermes.texts() == hermes.said([*said, killed[0]])


def test_an_older_file_is_asked_about_where_the_session_list_ends_with_rows_behind_it(hermes: Hermes) -> None:
    """All that the file has was taken back after the clock was set back, and the list counts only what came then."""
    undone, after = hermes.turns("a", "b", start=LATER), hermes.turns("c", start=100)
    hermes.write_live(undone)
    row = hermes.listed(after)
    hermes.write_index({**row, "last_message_at": after[-1]["timestamp"]})
    hermes.write_rows([*undone, *after])
    assert is_left_alone(hermes)
    hermes.repair(SID)
    assert hermes.texts() == hermes.said([*undone, *after])


@pytest.mark.parametrize("mode", [None, "manual"])
def test_a_run_that_goes_further_than_the_backup_is_newer_than_the_act_that_this_has(
    hermes: Hermes, mode: str | None
) -> None:
    """The turn that the backup was saved with was taken back after the clock was set back; the file is zeros. Whether
    the session was ever compressed by hand says nothing of that."""
    kept, undone = hermes.turns("a", start=LATER), hermes.turns("b", start=LATER + 100)
    after = hermes.turns("c", start=100)
    marks = hermes.undo_marks(kept, undone[0]["timestamp"]) | {"updated_at": undone[-1]["timestamp"]}
    marks |= {"compression_anchor_mode": mode}
    hermes.live.write_bytes(bytes(2000))
    hermes.write_backup([*kept, *undone], **marks)
    hermes.write_run([*kept, *after], updated_at=after[-1]["timestamp"])
    hermes.write_rows([*kept, *undone, *after])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *after])


def test_rows_behind_those_of_the_newest_run_were_written_after_it(hermes: Hermes) -> None:
    """The clock was set back before the last turn, whose run ended without showing the session; the file is zeros."""
    said, after = hermes.turns("a", start=LATER), hermes.turns("b", start=100)
    hermes.live.write_bytes(bytes(2000))
    row = hermes.listed([*said, *after])
    hermes.write_index({**row, "updated_at": START + 110, "last_message_at": after[-1]["timestamp"]})
    hermes.write_run(said)
    hermes.write_rows([*said, *after])
    hermes.repair()
    assert hermes.texts() == hermes.said([*said, *after])


def test_a_run_that_the_session_list_ends_with_is_newer_than_the_backup_of_an_act(hermes: Hermes) -> None:
    """The turn that the backup was saved with was taken back before the clock was set back; the version marked that,
    without a generation. The database is lost with the file."""
    kept, undone, after = hermes.turns("a", start=LATER), hermes.turns("b", start=LATER + 100), hermes.turns("c")
    hermes.live.write_bytes(bytes(2000))
    marks = cut(kept, undone[0]["timestamp"]) | {"updated_at": undone[-1]["timestamp"]}
    bounded(hermes, ".bak", [*kept, *undone], **marks)
    hermes.write_run([*kept, *after])
    row = hermes.listed([*kept, *after])
    hermes.write_index({**row, "updated_at": START + 5, "last_message_at": after[-1]["timestamp"]})
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *after])


@pytest.mark.parametrize("has_watermark_alone", [False, True])
def test_a_backup_that_was_saved_with_a_turn_is_older_than_a_run_whose_rows_go_on_behind_it(
    hermes: Hermes, has_watermark_alone: bool
) -> None:
    """That turn was taken back, then the clock was set back. The version marks acts without ids, or by a watermark
    alone, which the next turn takes away; nothing is listed."""
    kept, undone, after = hermes.turns("a"), hermes.turns("b", start=LATER), hermes.turns("c", start=100)
    hermes.live.write_bytes(bytes(2000))
    bounded(hermes, ".bak", [*kept, *undone], updated_at=undone[-1]["timestamp"])
    if has_watermark_alone:
        backup = hermes.live.with_suffix(".json.bak")
        later = ("truncation_boundary", "clear_generation")
        session = json.loads(backup.read_bytes())
        hermes.write(backup, {key: value for key, value in session.items() if key not in later})
    hermes.write_run([*kept, *after])
    hermes.write_rows([*kept, *undone, *after])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *after])


def test_what_a_backup_from_before_the_newest_run_has_is_older_than_that(hermes: Hermes) -> None:
    """The clock was set back after its first turn; then the first prompt was edited. The file is zeros."""
    early, edited, after = hermes.turns("a", start=LATER), hermes.turns("b", start=10), hermes.turns("c", start=100)
    hermes.live.write_bytes(bytes(2000))
    hermes.write_backup([*early, *edited], updated_at=edited[-1]["timestamp"])
    hermes.write_run(after)
    row = hermes.listed(after)
    hermes.write_index({**row, "last_message_at": after[-1]["timestamp"]})
    hermes.repair()
    assert hermes.texts() == hermes.said(after)


@pytest.mark.parametrize("listed", [-50, ACT])
def test_a_lost_session_that_was_counted_empty_before_it_began_is_a_question(hermes: Hermes, listed: float) -> None:
    """The clock was set back, so the list can have counted it after all that rows have, when it had been cleared. Of a
    list that was written when the session was new this says nothing."""
    said = hermes.turns("a", "b", start=100 if listed < 0 else 2 * ACT)
    row = hermes.listed([])
    hermes.write_index({**row, "updated_at": START + listed, "last_message_at": START + listed})
    hermes.write_rows(said)
    hermes.repair()
    assert hermes.live.exists() == (listed > 0)


def test_an_empty_file_that_was_put_back_is_asked_about_where_the_clock_was_set_back(hermes: Hermes) -> None:
    """Its first prompt was edited, and the clock set back after the first turn of what followed. The list is as old."""
    edited, first, later = (hermes.turns(w, start=n) for w, n in (("a", LATER), ("b", LATER + 100), ("c", 100)))
    marks = hermes.cleared | {"clear_generation": None, "updated_at": START + LATER + 50}
    hermes.write_live([], **marks)
    row = hermes.listed([])
    hermes.write_index({**row, "updated_at": START + LATER + 50, "last_message_at": START + LATER + 50})
    hermes.write_run([*first, *later], "f2", updated_at=later[-1]["timestamp"])
    hermes.write_rows([*edited, *first, *later])
    write_turns(hermes, {"f0": edited[0], "f1": first[0], "f2": later[0]})
    assert is_left_alone(hermes)
    hermes.repair(SID)
    assert hermes.texts() == hermes.said([*first, *later])


def test_a_prompt_that_was_sent_again_is_not_contained_where_its_answer_only_begins_alike(hermes: Hermes) -> None:
    """The clock was set back between the two; the calls of both are counted from 0. The file is lost with its marks."""
    first, again = stepped(hermes, "a", LATER), stepped(hermes, "a", 100)
    again[-1]["content"] = "another answer"
    hermes.write_backup(first)
    hermes.write_rows([*first, *again])
    hermes.repair()
    assert hermes.texts() == hermes.said([*first, *again])


def test_a_backup_that_has_all_before_the_newest_prompt_is_asked_about_whatever_the_clock_said(hermes: Hermes) -> None:
    """A save of fewer made it, by an undo or by damage, after the clock was set back; the session list is lost, too."""
    early, undone, newest = hermes.turns("a", start=LATER), hermes.turns("b", start=10), hermes.turns("c", start=100)
    hermes.live.write_bytes(bytes(2000))
    hermes.write_backup([*early, *undone], updated_at=undone[-1]["timestamp"])
    hermes.write_rows([*early, *undone, newest[0]])
    write_turns(hermes, {"f0": early[0], "f1": undone[0], "f2": newest[0]})
    assert is_left_alone(hermes)
    hermes.repair(SID)
    assert hermes.texts() == hermes.said([*early, *undone, newest[0]])


def test_a_backup_from_after_an_undo_is_asked_about_though_prompts_in_it_look_newer_than_that(hermes: Hermes) -> None:
    """The clock was set back before the undone prompt, the newest that was sent; a save of fewer made the backup."""
    kept, undone = hermes.turns("a", "b", start=LATER), hermes.turns("c", start=100)
    hermes.live.write_bytes(bytes(2000))
    hermes.write_backup(kept, **hermes.undo_marks(kept) | {"updated_at": START + 120})
    hermes.write_run([*kept, *undone], stream="f1", updated_at=START + 110)
    hermes.write_rows([*kept, *undone])
    write_turns(hermes, {"f0": kept[2], "f1": undone[0]})
    assert is_left_alone(hermes)


def write_watermarked(hermes: Hermes, name: str, messages: list[Value], **fields: object) -> None:
    """A file of a version that marked acts by a watermark only, which a new turn took away."""
    session = hermes.session(messages, **fields)
    known = {key: value for key, value in session.items() if key not in MARK_FIELDS or key in fields}
    hermes.write(hermes.sessions / f"{SID}.json{name}", {"truncation_watermark": None, **known})


def test_a_torn_file_is_asked_about_where_the_list_ends_with_what_an_undo_left(hermes: Hermes) -> None:
    """Its backup, which was saved later by the clock, has what was taken back; a file is never older than its
    backup."""
    kept, undone = hermes.turns("a"), hermes.turns("b", start=LATER)
    write_watermarked(hermes, "", kept, truncation_watermark=kept[-1]["timestamp"], updated_at=START + 50)
    hermes.tear_live("answer a")
    write_watermarked(hermes, ".bak", [*kept, *undone])
    row = hermes.listed(kept, updated_at=START + 50)
    hermes.write_index({**row, "last_message_at": kept[-1]["timestamp"]})
    hermes.write_rows([*kept, *undone])
    assert is_left_alone(hermes)


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_run_that_goes_on_behind_an_old_watermark_is_from_before_the_undo(hermes: Hermes, goes_on: bool) -> None:
    """All rows behind the watermark are those of the run, so they are what was taken back; with a row from before that
    the run lacks, that is, and the run came later. The file was emptied, as its backup shows."""
    kept, undone, shown = hermes.turns("a"), hermes.turns("b", start=100), hermes.turns("c", start=LATER)
    marks = {"truncation_watermark": kept[-1]["timestamp"], "updated_at": START + 200}
    for name, messages in (("", []), (".bak", kept)):
        write_watermarked(hermes, name, messages, **marks)
    hermes.write_run([*kept, *shown])
    hermes.write_rows([*kept, *undone, *shown] if goes_on else [*kept, *shown])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *shown] if goes_on else kept)


def test_rows_that_go_on_right_behind_what_an_undo_kept_are_what_it_took_back(hermes: Hermes) -> None:
    """They are newer than the file by the clock. No row is gone, so there is nothing else that it took back."""
    kept, undone = hermes.turns("a"), hermes.turns("b", start=2 * ACT)
    hermes.write_live([], **hermes.undo_marks(kept))
    hermes.write_backup(kept, **hermes.undo_marks(kept))
    hermes.write_rows([*kept, *undone])
    hermes.repair()
    assert hermes.texts() == hermes.said(kept)


@pytest.mark.parametrize("gap", ["another row", "another save"])
def test_rows_behind_what_an_undo_kept_came_later_where_something_else_can_be_what_it_took_back(
    hermes: Hermes, gap: str
) -> None:
    kept, undone, after = hermes.turns("a"), hermes.turns("b", start=100), hermes.turns("c", start=2 * ACT)
    hermes.write_live([], **hermes.undo_marks(kept) | {"updated_at": START + ACT + (gap == "another save")})
    hermes.write_backup(kept, **hermes.undo_marks(kept))
    hermes.write_rows([*kept, *(undone if gap == "another row" else []), *after])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *after])


@pytest.mark.parametrize("is_torn", [False, True])
def test_a_run_is_from_before_an_undo_whose_session_list_ends_with_what_it_kept(hermes: Hermes, is_torn: bool) -> None:
    """It ended later by the clock, after an earlier undo. The file was emptied or torn, and its backup is torn."""
    kept, earlier, undone = hermes.turns("a"), hermes.turns("b", start=100), hermes.turns("c", start=LATER)
    hermes.write_live(kept if is_torn else [], **hermes.undo_marks(kept))
    backup = hermes.live.with_suffix(".json.bak")
    backup.write_bytes(hermes.live.read_bytes()[:300])
    if is_torn:
        hermes.tear_live("answer a")
    row = hermes.listed(kept, updated_at=START + ACT)
    hermes.write_index({**row, "last_message_at": kept[-1]["timestamp"]})
    hermes.write_run([*kept, *undone])
    hermes.write_rows([*kept, *earlier, *undone])
    hermes.repair()
    assert hermes.texts() == hermes.said(kept)


def test_a_session_list_that_was_written_with_a_file_takes_nothing_back_that_came_since(hermes: Hermes) -> None:
    """The clock was set back before both, to before the session began. The file has no times of answers."""
    said, after = hermes.turns("a", start=LATER), hermes.turns("b", start=200)
    write_watermarked(hermes, "", [said[0], {"role": "assistant", "content": "answer a"}], updated_at=START - 100)
    row = hermes.listed(said, updated_at=START - 100)
    hermes.write_index({**row, "last_message_at": said[-1]["timestamp"]})
    hermes.write_run([*said, *after], updated_at=after[-1]["timestamp"])
    hermes.write_rows([*said, *after])
    hermes.repair()
    assert hermes.texts() == hermes.said([*said, *after])


def test_a_save_that_has_the_prompt_that_the_file_waits_for_is_newer_than_it(hermes: Hermes) -> None:
    """An old version, whose file was shortened once; the server died when it had written the newest turn."""
    undone, said, newest = hermes.turns("u"), hermes.turns("a", start=LATER), hermes.turns("b", start=100)
    old = {"updated_at": said[-1]["timestamp"]}
    waits = waiting(newest[0]) | old
    hermes.write_old(hermes.live, said, **waits)
    hermes.write_old(hermes.live.with_suffix(".json.bak"), undone, updated_at=START + 50)
    hermes.write_old(hermes.sessions / f"{SID}.tmp.77.1403", [*said, *newest], updated_at=START + 110)
    hermes.repair()
    assert hermes.texts() == hermes.said([*said, *newest])


def test_a_session_list_that_knows_an_empty_save_counts_no_turn_late(hermes: Hermes) -> None:
    """An old version cleared the session after the clock was set back; the file is torn in its head."""
    early, cleared = hermes.turns("a"), hermes.turns("b", start=LATER)
    write_watermarked(hermes, "", [], title="Untitled", updated_at=START + 100)
    hermes.tear_live('"pinned"')
    hermes.write_index(hermes.listed([], updated_at=START + 100) | {"last_message_at": START + 100})
    hermes.write_rows([*early, *cleared])
    assert is_left_alone(hermes)


def test_a_run_that_ended_after_a_compress_came_after_it_where_nothing_is_listed(hermes: Hermes) -> None:
    """The boundary is that of the compress; all rows behind it are those of the run, and newer than the file."""
    kept, after = hermes.turns("a"), hermes.turns("b", start=2 * ACT)
    hermes.write_live(kept, **compressed(hermes, ACT))
    hermes.write_run([*kept, *after])
    hermes.write_rows([*kept, *after])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *after])


def test_a_prompt_that_was_sent_again_at_once_and_answered_otherwise_is_another(hermes: Hermes) -> None:
    """Both have the stamp of the server, a second apart; an older file was put back beside the run of the newer one."""
    kept, first, again = hermes.turns("a"), stepped(hermes, "b", 100), stepped(hermes, "b", 101)
    again[-1]["content"] = "something else"
    for turn in (first, again):
        turn[0]["timestamp"] += 0.25
    hermes.write_live([*kept, *first])
    hermes.write_run([*kept, *again])
    write_turns(hermes, {"s1": kept[0], "s2": first[0], "s3": again[0]})
    assert is_left_alone(hermes)
    hermes.repair(SID)
    assert hermes.texts() == hermes.said([*kept, *first, *again])


def test_a_row_that_is_written_after_its_file_does_not_say_that_the_clock_was_set_back(hermes: Hermes) -> None:
    """An older file of an old version was put back; only rows show when its answers were given."""
    said, after = hermes.turns("a"), hermes.turns("b", start=100)
    untimed = [said[0], {key: said[1][key] for key in ("role", "content")}]
    hermes.write(hermes.live, {k: v for k, v in hermes.session(untimed).items() if k not in MARK_FIELDS})
    row = hermes.listed([*said, *after])
    hermes.write_index({**row, "last_message_at": after[-1]["timestamp"]})
    hermes.write_rows([*said, *after])
    hermes.repair()
    assert hermes.texts() == hermes.said([*said, *after])


def test_rows_before_those_of_a_file_were_cleared_before_it_whatever_the_clock_said(hermes: Hermes) -> None:
    """They are newer than the file by the clock. The file was put back, and the newest run goes on behind it."""
    cleared, kept = hermes.turns("a", start=LATER), hermes.turns("b", start=100)
    undone, said, after = hermes.turns("c", start=200), hermes.turns("d", start=300), hermes.turns("e", start=LATER)
    marks = hermes.undo_marks(kept, said[0]["timestamp"]) | {"clear_generation": hermes.clear}
    hermes.write_live([*kept, *said], **marks | {"updated_at": said[-1]["timestamp"]})
    hermes.write_run([*kept, *said, *after])
    hermes.write_rows([*cleared, *kept, *undone, *said, *after])
    assert Category.REVIEW not in categories(hermes)
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, *said, *after])


def test_a_run_that_goes_on_behind_a_file_which_went_on_after_an_act_is_newer_than_that(hermes: Hermes) -> None:
    """The first prompt was edited after the clock was set back, and then an older file was put back."""
    kept, undone, later, lost = (hermes.turns(word, start=LATER + 100 * k) for k, word in enumerate("abcd"))
    after = hermes.turns("e", start=200)
    bounded(hermes, "", [*kept, *later], **cut(kept, later[0]["timestamp"]), updated_at=later[-1]["timestamp"])
    hermes.write_run(after)
    hermes.write_rows([*kept, *undone, *later, *lost, *after])
    assert Category.REVIEW in categories(hermes)
    assert is_left_alone(hermes)


def test_what_an_act_before_that_of_the_backup_took_back_is_counted_out_whatever_the_clock_said(hermes: Hermes) -> None:
    """Two turns were taken back one after the other, then the clock was set back. The file is zeros."""
    kept, first, second = (hermes.turns(word, start=LATER + 100 * k) for k, word in enumerate("abc"))
    kept.append({**kept[1], "content": "more of a", "timestamp": LATER + START + 5})
    after = hermes.turns("d", "e", start=200)
    hermes.live.write_bytes(bytes(2000))
    hermes.write_backup([*kept, *first], updated_at=second[-1]["timestamp"] + 1)
    row = hermes.listed([*kept, *after])
    hermes.write_index({**row, "last_message_at": after[-1]["timestamp"], "updated_at": after[-1]["timestamp"]})
    hermes.write_rows([*kept, *first, *second, *after])
    assert is_left_alone(hermes)


def test_what_was_taken_back_before_the_backup_was_saved_is_counted_out_though_the_clock_was_set_back_after_it(
    hermes: Hermes,
) -> None:
    """A turn was taken back, then the first one was edited, and the session went on. The file is zeros."""
    first, undone, again = (hermes.turns(word, start=LATER + 100 * k) for k, word in enumerate("abc"))
    after = hermes.turns("d", start=200)
    after.append({**after[1], "content": "more of d", "timestamp": after[1]["timestamp"] + 5})
    hermes.live.write_bytes(bytes(2000))
    hermes.write_backup(first, updated_at=undone[-1]["timestamp"] + 1)
    row = hermes.listed([*again, *after])
    hermes.write_index({**row, "last_message_at": after[-1]["timestamp"], "updated_at": after[-1]["timestamp"]})
    hermes.write_rows([*first, *undone, *again, *after])
    assert is_left_alone(hermes)


def test_what_was_said_again_after_the_backup_comes_back_whatever_the_clock_said(hermes: Hermes) -> None:
    """The file is zeros; the clock was set back before an undo, and the backup is from after that."""
    first, undone, said = hermes.turns("a", start=LATER), hermes.turns("b", start=50), hermes.turns("c", start=100)
    again = [m | {"timestamp": m["timestamp"] + 300} for m in said]
    hermes.live.write_bytes(bytes(2000))
    marks = hermes.undo_marks(first) | {"updated_at": START + 150}
    hermes.write_backup([*first, *said], **marks)
    row = hermes.listed([*first, *said, *again])
    hermes.write_index({**row, "last_message_at": again[-1]["timestamp"]})
    hermes.write_rows([*first, *undone, *said, *again])
    hermes.repair()
    assert hermes.texts() == hermes.said([*first, *said, *again])


@pytest.mark.parametrize("has_backup", [True, False])
def test_rows_behind_what_an_undo_took_back_are_asked_about_where_a_later_turn_was_lost(
    hermes: Hermes, has_backup: bool
) -> None:
    """The file was wiped, and filled with the rows from before its boundary by the clock, which had been set back; then
    it went on. The act's own backup, where it is left, is from after another act and has what this one took back."""
    kept, undone, lost = (hermes.turns(word, start=LATER + 100 * k) for k, word in enumerate("abc"))
    early, lost_too, after = (hermes.turns(word, start=100 * k) for k, word in enumerate("def"))
    marks = hermes.undo_marks(kept, after[0]["timestamp"]) | {"updated_at": after[-1]["timestamp"]}
    hermes.write_live([*kept, *early, *after], **marks)
    if has_backup:
        older = hermes.undo_marks(kept, undone[0]["timestamp"]) | {"intentional_shrink_generation": EARLIER}
        hermes.write_backup([*kept, *undone], **older | {"updated_at": undone[-1]["timestamp"]})
    hermes.write_run([*kept, *early, *after])
    hermes.write_rows([*kept, *undone, *lost, *early, *lost_too, *after])
    assert categories(hermes) >= {Category.REVIEW, Category.REPAIRABLE}
    hermes.repair(SID)
    assert hermes.texts() == hermes.said([*kept, *lost, *early, *lost_too, *after])


@pytest.mark.parametrize("has_run", [True, False])
def test_a_lost_file_went_on_after_its_backup_as_the_session_list_did_whatever_the_clock_said(
    hermes: Hermes, has_run: bool
) -> None:
    """The backup is from after an undo; then the first prompt was edited, and the clock set back. The list, which was
    written when the newest run ended, counts late after a restart. Where that run is gone, it is asked about."""
    first, undone = hermes.turns("a", start=LATER), hermes.turns("b", start=LATER + 20)
    edited, since = hermes.turns("c", start=LATER + 200), hermes.turns("d", start=100)
    hermes.live.write_bytes(bytes(2000))
    hermes.write_backup(first, **hermes.undo_marks(first) | {"updated_at": START + LATER + 100})
    ended = since[-1]["timestamp"] + 0.1
    row = hermes.listed([*edited, *since], updated_at=ended)
    hermes.write_index({**row, "message_count": len(edited), "last_message_at": since[-1]["timestamp"]})
    hermes.write_rows([*first, *undone, *edited, *since])
    if has_run:
        hermes.write_run([*edited, *since], updated_at=ended)
        hermes.repair()
        assert hermes.texts() == hermes.said([*edited, *since])
    else:
        assert is_left_alone(hermes)
