"""What the session list counted of a file that is lost, and what an act can have left of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core.audit.findings import Category

from .conftest import ACT, START, Hermes, Value
from .test_acts import bounded, cut, write_sent
from .test_witnesses import CLEAR, SHRINK, categories, is_left_alone, stepped


def test_the_last_stamp_in_the_session_list_cuts_a_lost_file(hermes: Hermes) -> None:
    """The user took the newest turn back, then the file was lost: the newest run and the rows still hold that turn."""
    kept, gone = hermes.turns("a", "b"), hermes.turns("c", start=100)
    row = hermes.listed(kept, updated_at=START + ACT)
    hermes.write_index({**row, "last_message_at": kept[-1]["timestamp"]})
    hermes.write_run([*kept, *gone])
    hermes.write_rows([*kept, *gone])
    hermes.repair()
    assert hermes.texts() == hermes.said(kept)


def test_a_session_list_that_knows_the_last_message_cuts_nothing(hermes: Hermes) -> None:
    """Its count is behind, as after every restart; its stamps are right."""
    said = hermes.turns("a", "b", "c")
    row = hermes.listed(said)
    hermes.write_index({**row, "message_count": 2, "last_message_at": said[-1]["timestamp"]})
    hermes.write_run(said)
    hermes.write_rows(said)
    hermes.repair()
    assert hermes.texts() == hermes.said(said)


def test_the_count_tells_which_of_two_messages_with_one_stamp_a_list_ends_with(hermes: Hermes) -> None:
    """Old versions cut stamps to whole seconds, and a short turn takes less than one."""
    said = [{**m, "timestamp": START + 100} for m in hermes.turns("a", "b", "c")]
    row = hermes.listed(said[:4], updated_at=START + ACT)
    hermes.write_index({**row, "message_count": 4, "last_message_at": START + 100})
    hermes.write_old(hermes.sessions / f"{hermes.live.stem}.json.bak", said, updated_at=START + 101)
    hermes.write_rows(said)
    assert Category.REVIEW in categories(hermes)
    hermes.repair()
    assert not hermes.live.exists()


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_a_count_is_compared_with_rows_of_another_clock_too(hermes: Hermes, shift: float) -> None:
    """By their times all of them were said after the session list was written, which counts other messages."""
    said = hermes.turns("a", "b", "c")
    row = hermes.listed(said, updated_at=START + 100)
    hermes.write_index({**row, "message_count": 4, "last_message_at": said[-1]["timestamp"]})
    hermes.write_rows({**m, "timestamp": m["timestamp"] + shift} for m in said)
    assert Category.REVIEW in categories(hermes)
    hermes.repair()
    assert not hermes.live.exists()


@pytest.mark.parametrize(("prompts", "comes_back"), [(4, True), (3, False)])
def test_a_count_that_is_two_turns_late_is_told_from_an_act_by_the_prompts_that_are_counted(
    hermes: Hermes, prompts: int, comes_back: bool
) -> None:
    """After a restart the server keeps the count of the messages for a while; that of the prompts is made at each save.
    Only the database is left."""
    said = hermes.turns("a", "b", "c", "d")
    row = hermes.listed(said) | {"message_count": 4, "user_message_count": prompts}
    hermes.write_index({**row, "last_message_at": said[-1]["timestamp"]})
    hermes.write_rows(said)
    assert (Category.REVIEW not in categories(hermes)) is comes_back
    hermes.repair()
    assert hermes.live.exists() is comes_back


@pytest.mark.parametrize(("prompts", "comes_back"), [(3, True), (2, False)])
def test_a_count_from_before_an_act_does_not_prove_that_nothing_was_taken_back(
    hermes: Hermes, prompts: int, comes_back: bool
) -> None:
    """It is as late as ever after a restart: all that the backup has."""
    said = hermes.turns("a", "b", "c")
    row = hermes.listed(said, updated_at=START + ACT) | {"user_message_count": prompts}
    hermes.write_index({**row, "last_message_at": said[2 * prompts - 1]["timestamp"]})
    hermes.write_backup(said)
    hermes.write_rows(said)
    assert (Category.REVIEW not in categories(hermes)) is comes_back
    hermes.repair()
    assert hermes.live.exists() is comes_back


@pytest.mark.parametrize(("more", "is_known"), [(1, False), (3, True)])
def test_a_count_that_a_stopped_turn_does_not_explain_is_asked_about(hermes: Hermes, more: int, is_known: bool) -> None:
    """The file, which cannot be read, had a notice of the server's besides, and perhaps a part of the answer; or it
    lacked what an undo before that took back."""
    said, undone, stopped = hermes.turns("a", "b"), hermes.turns("c", start=100), hermes.turns("d", start=200)
    whole = [*said, *undone]
    hermes.write_backup(whole)
    hermes.live.write_bytes(b"\0" * 500)
    row = hermes.listed(whole, updated_at=START + 300)
    hermes.write_index({**row, "message_count": len(whole) + more, "last_message_at": float(int(START + 210))})
    hermes.write_run(whole)
    hermes.write_rows([*whole, *stopped])
    assert (Category.REVIEW not in categories(hermes)) is is_known


@pytest.mark.parametrize("title", ["Untitled", "Notes"])
def test_a_session_list_with_the_title_of_a_clear_speaks_for_a_file_that_cannot_be_read(
    hermes: Hermes, title: str
) -> None:
    """It counts one message more than none: the notice of a run that was stopped by the clear."""
    said = hermes.turns("a", "b")
    hermes.live.parent.mkdir(parents=True, exist_ok=True)
    hermes.live.write_bytes(b"\0" * 500)
    row = hermes.listed(said, title=title, updated_at=START + 200)
    hermes.write_index({**row, "message_count": 1, "last_message_at": START + 200})
    hermes.write_run(said)
    hermes.write_rows(said)
    assert (Category.REVIEW in categories(hermes)) is (title == "Untitled")


@pytest.mark.parametrize("is_listed", [True, False])
def test_two_acts_that_kept_nothing_leave_the_same_marks(hermes: Hermes, is_listed: bool) -> None:
    """An edit of the first prompt, then an undo of what came after it, or damage: only a list that counts more of the
    file tells."""
    gone, said = hermes.turns("a"), hermes.turns("b", start=100)
    marks = {"truncation_boundary": 0.0, "truncation_watermark": 0.0}
    hermes.write_old(hermes.live, [], **marks, updated_at=START + 300)
    hermes.write_old(hermes.sessions / f"{hermes.live.stem}.json.bak", said, **marks, updated_at=START + 110)
    listed = hermes.listed([] if is_listed else said, updated_at=START + (300 if is_listed else 110))
    last = START + 300 if is_listed else said[-1]["timestamp"]
    hermes.write_index({**listed, "message_count": 0 if is_listed else 2, "last_message_at": last})
    hermes.write_rows([*gone, *said])
    hermes.repair()
    assert hermes.texts() == ([] if is_listed else hermes.said(said))


@pytest.mark.parametrize("is_stale", [True, False])
def test_a_session_list_names_the_prompt_where_answers_have_no_times(hermes: Hermes, is_stale: bool) -> None:
    """Its count is that of before a restart. The file was emptied, or an older one put back, beside a run that ended
    with all that was said; a run has the times."""
    said = hermes.turns("a", "b", "c")
    untimed = [m if m["role"] == "user" else {key: m[key] for key in ("role", "content")} for m in said]
    saved = said[-1]["timestamp"] + 0.02
    if is_stale:
        hermes.write_live(untimed[:2], updated_at=said[1]["timestamp"])
        hermes.write_run(said)
    else:
        hermes.write_old(hermes.live, [], updated_at=saved)
        hermes.write_old(hermes.live.with_suffix(".json.bak"), untimed, updated_at=saved)
    row = hermes.listed([])
    hermes.write_index({**row, "message_count": 4, "last_message_at": said[-2]["timestamp"], "updated_at": saved})
    hermes.write_rows(said)
    hermes.repair()
    assert hermes.texts() == hermes.said(said)


@pytest.mark.parametrize("count", [2, 4])
def test_what_the_session_list_knows_beside_a_run_that_began_anew_is_what_the_file_was(
    hermes: Hermes, count: int
) -> None:
    """The first prompt was edited; after a restart the list counts the newest turn late."""
    edited, after = hermes.turns("a", "b"), hermes.turns("c", "d", start=100)
    hermes.live.write_bytes(bytes(2000))
    marks = hermes.undo_marks(edited[:2], edited[2]["timestamp"]) | {"updated_at": START + 50}
    hermes.write_backup(edited, **marks)
    hermes.write_run(after)
    row = hermes.listed(after)
    hermes.write_index({**row, "message_count": count, "last_message_at": after[-1]["timestamp"]})
    hermes.write_rows([*edited, *after])
    hermes.repair()
    assert hermes.texts() == hermes.said(after)


def test_a_session_list_that_ends_before_the_newest_turn_lacks_no_answer_before_it(hermes: Hermes) -> None:
    """The same prompt was sent three times, and the last time taken back, with a version without ids of acts. The
    backup, from before that, was saved with a later time: the clock was set back."""
    first, undone, said = hermes.turns("0"), hermes.turns("1", start=10), hermes.turns("a", "b", "c", start=100)
    said = [m | {"content": "try again"} if m["role"] == "user" else m for m in said]
    hermes.live.write_bytes(bytes(2000))
    bounded(hermes, ".bak", [*first, *said], **cut(first, said[4]["timestamp"]), updated_at=START + 130)
    hermes.write_run([*first, *said], updated_at=START + 130)
    left = [*first, *said[:4]]
    row = hermes.listed(left, updated_at=START + 125)
    hermes.write_index({**row, "last_message_at": said[3]["timestamp"]})
    hermes.write_rows([*first, *undone, *said])
    hermes.repair()
    assert hermes.texts() == hermes.said(left)


@pytest.mark.parametrize("left", [0, 1])
def test_a_session_list_that_counts_what_an_act_left_makes_a_file_of_zeros_a_question(
    hermes: Hermes, left: int
) -> None:
    """The user took the end of the backup back and went on; the file with the marks of that is lost."""
    before, after = hermes.turns("a", "b", "c"), hermes.turns("d", start=100)
    row = hermes.listed(after)
    hermes.write_index({**row, "message_count": 2 * left + 2, "last_message_at": after[-1]["timestamp"]})
    hermes.live.write_bytes(bytes(2000))
    hermes.write_backup(before)
    hermes.write_rows([*before, *after])
    assert Category.REVIEW in categories(hermes)
    assert is_left_alone(hermes)


def test_calls_that_an_act_left_behind_are_counted_with_what_it_kept(hermes: Hermes) -> None:
    """The server shows the calls of a turn that was taken back once more with the next one, without their prompt."""
    kept, gone, after = hermes.turns("a", "b"), stepped(hermes, "c", 100), hermes.turns("d", start=200)
    row = hermes.listed(after)
    hermes.write_index({**row, "message_count": len(kept) + 1 + len(after), "last_message_at": after[-1]["timestamp"]})
    hermes.live.write_bytes(bytes(2000))
    hermes.write_backup([*kept, *gone])
    hermes.write_rows([*kept, *gone, *after])
    assert Category.REVIEW in categories(hermes)
    assert is_left_alone(hermes)


@pytest.mark.parametrize(("is_stopped", "last"), [(True, 101.0), (True, 101.6), (False, 101.6)])
def test_a_notice_that_comes_again_behind_what_an_undo_left_is_counted(
    hermes: Hermes, is_stopped: bool, last: float
) -> None:
    """A person stopped an answer and took it back at once; the server says only then that it was stopped."""
    kept, (prompt, answer) = hermes.turns("a", "b"), hermes.turns("c", start=100)
    notice = {"role": "assistant", "content": "**Task cancelled:** Task cancelled.", "timestamp": START + 101}
    row = hermes.listed([*kept, notice], updated_at=START + ACT)
    hermes.write_index({**row, "message_count": len(kept) + 1, "last_message_at": START + last})
    hermes.live.write_bytes(bytes(2000))
    hermes.write_backup([*kept, prompt, answer, {**notice, "_error": is_stopped}])
    hermes.write_rows([*kept, prompt, answer])
    assert is_left_alone(hermes) is is_stopped


def test_a_session_list_that_counts_nothing_makes_a_file_of_zeros_a_question(hermes: Hermes) -> None:
    said = hermes.turns("a", "b")
    row = hermes.listed([])
    hermes.write_index({**row, "updated_at": START + ACT, "last_message_at": START + ACT})
    hermes.live.write_bytes(bytes(2000))
    hermes.write_backup(said)
    hermes.write_rows(said)
    assert Category.REVIEW in categories(hermes)
    assert is_left_alone(hermes)


@pytest.mark.parametrize("count", [4, 9])
def test_a_count_that_no_act_can_have_left_keeps_nothing_of_a_file_of_zeros_back(hermes: Hermes, count: int) -> None:
    """It is that of before the newest turn, as after a restart, or there was more than any copy has."""
    said = hermes.turns("a", "b", "c")
    row = hermes.listed(said)
    hermes.write_index({**row, "message_count": count, "last_message_at": said[-1]["timestamp"]})
    hermes.live.write_bytes(bytes(2000))
    hermes.write_rows(said)
    hermes.repair()
    assert hermes.texts() == hermes.said(said)


def test_what_a_torn_head_counts_is_heeded_though_the_backup_is_torn_too(hermes: Hermes) -> None:
    """An old version left no mark of an undo, and the backup does not say any more where that cut."""
    kept, gone, after = hermes.turns("a"), hermes.turns("b", start=100), hermes.turns("c", "d", start=200)
    hermes.write_old(hermes.live, [*kept, *after])
    hermes.tear_live("answer a")
    backup = hermes.live.with_suffix(".json.bak")
    data = hermes.write_old(backup, [*kept, *gone])
    backup.write_bytes(data[: data.index(b"ask b")])
    row = hermes.listed([*kept, *after])
    hermes.write_index({**row, "last_message_at": after[-1]["timestamp"]})
    hermes.write_rows([*kept, *gone, *after])
    assert Category.REVIEW in categories(hermes)
    assert is_left_alone(hermes)


def test_what_an_act_before_that_of_the_backup_took_back_is_not_counted_with_what_came_later(hermes: Hermes) -> None:
    """The rows of it stand behind what the backup has, and all that this has was taken back as well."""
    kept, gone, after = hermes.turns("a"), hermes.turns("b", start=100), hermes.turns("c", "d", start=200)
    row = hermes.listed(after)
    hermes.write_index({**row, "last_message_at": after[-1]["timestamp"]})
    hermes.live.write_bytes(bytes(2000))
    hermes.write_old(hermes.live.with_suffix(".json.bak"), kept, updated_at=gone[-1]["timestamp"] + 1)
    hermes.write_rows([*kept, *gone, *after])
    assert Category.REVIEW in categories(hermes)
    assert is_left_alone(hermes)


def test_a_torn_head_that_counts_less_than_the_backup_is_heeded_though_nothing_was_said_since(hermes: Hermes) -> None:
    kept, gone = hermes.turns("a", "b"), hermes.turns("c", start=100)
    hermes.write_old(hermes.live, kept, updated_at=START + ACT)
    hermes.tear_live("answer a")
    hermes.write_old(hermes.live.with_suffix(".json.bak"), [*kept, *gone])
    hermes.write_rows([*kept, *gone])
    assert Category.REVIEW in categories(hermes)
    assert is_left_alone(hermes)


def write_unmarked(hermes: Hermes, path: Path, messages: list[Value], **fields: Any) -> bytes:
    """A file of a version that left no mark of an act."""
    session = hermes.session(messages, **fields)
    marks = ("truncation", "generation")
    return hermes.write(path, {key: value for key, value in session.items() if not any(map(key.__contains__, marks))})


def shortened_twice(hermes: Hermes) -> tuple[list[Value], list[Value]]:
    """What an old version shows of a session, and its rows: two turns were taken back one after the other, and the
    longer of them stands between two that stayed. One act, which takes back what stands together, leaves no such count.
    """
    a, b, c, d, e = (hermes.turns(word, start=100 * k) for k, word in enumerate("abcde"))
    b.append({**b[1], "content": "more of b", "timestamp": START + 105})
    d += [
        {**d[1], "content": f"{word} of d", "timestamp": START + 305 + k}
        for k, word in enumerate(("more", "yet more", "all"))
    ]
    return [*a, *c, *e], [*a, *b, *c, *d, *e]


@pytest.mark.parametrize("is_torn", [True, False])
def test_a_count_that_several_acts_can_have_left_is_heeded(hermes: Hermes, is_torn: bool) -> None:
    """What stood between messages that a torn file still shows was not in it: that is asked, and its end comes back."""
    shown, rows = shortened_twice(hermes)
    write_unmarked(hermes, hermes.live, shown if is_torn else [], updated_at=shown[-1]["timestamp"])
    if is_torn:
        hermes.tear_live("answer e")
    row = hermes.listed(shown)
    hermes.write_index({**row, "last_message_at": shown[-1]["timestamp"]})
    hermes.write_rows(rows)
    hermes.repair()
    assert Category.REVIEW in categories(hermes)
    assert hermes.texts() == hermes.said(shown if is_torn else [])


def test_a_torn_backup_from_the_last_save_does_not_say_where_an_act_cut(hermes: Hermes) -> None:
    """It was written when an old version emptied the file, which left no mark."""
    kept, gone, after = hermes.turns("a", "b"), hermes.turns("c", start=100), hermes.turns("d", start=200)
    gone.append({**gone[1], "content": "more of c"})
    write_unmarked(hermes, hermes.live, [], updated_at=after[-1]["timestamp"])
    backup = hermes.live.with_suffix(".json.bak")
    data = write_unmarked(hermes, backup, [*kept, *after])
    backup.write_bytes(data[: data.index(b'"workspace"')])
    row = hermes.listed([*kept, *after])
    hermes.write_index({**row, "last_message_at": after[-1]["timestamp"]})
    hermes.write_rows([*kept, *gone, *after])
    assert Category.REVIEW in categories(hermes)
    assert is_left_alone(hermes)


@pytest.mark.parametrize("has_row", [False, True])
def test_a_backup_of_which_all_was_cleared_makes_no_question_of_the_prompt_after_that(
    hermes: Hermes, has_row: bool
) -> None:
    """An old version cleared the session, and died in the middle of the next answer."""
    cleared, prompt = hermes.turns("a", "b"), hermes.turns("c", start=200)[0]
    sent = prompt["timestamp"]
    waiting = {"pending_user_message": prompt["content"], "pending_started_at": sent, "active_stream_id": "f1"}
    write_unmarked(hermes, hermes.live, [], title="Untitled", updated_at=sent, **waiting)
    write_unmarked(hermes, hermes.live.with_suffix(".json.bak"), cleared)
    row = hermes.listed([], updated_at=sent)
    hermes.write_index({**row, "last_message_at": sent})
    write_sent(hermes, prompt, "f1")
    hermes.write_run(cleared)
    hermes.write_rows([*cleared, prompt] if has_row else cleared)
    hermes.repair()
    assert hermes.texts() == [prompt["content"]]


def test_a_count_that_is_late_by_a_turn_can_lack_what_an_act_took_back_besides(hermes: Hermes) -> None:
    """The file is zeros; only rows are left of it."""
    first, undone, after = (hermes.turns(word, start=100 * k) for k, word in enumerate("abc"))
    newest = hermes.turns("d", start=300)
    newest.append({**newest[1], "content": "more of d"})
    said = [*first, *after, *newest]
    hermes.live.write_bytes(bytes(2000))
    row = hermes.listed(said)
    hermes.write_index({**row, "message_count": 4, "last_message_at": newest[-1]["timestamp"]})
    hermes.write_rows([*first, *undone, *after, *newest])
    assert is_left_alone(hermes)


def test_a_turn_that_replaced_one_as_long_is_counted_and_not_late(hermes: Hermes) -> None:
    """Its prompt was edited, or the session was emptied and the count is late: the backup is from before a save of
    fewer. The file is empty."""
    kept, edited, again = (hermes.turns(word, start=100 * k) for k, word in enumerate("abc"))
    hermes.live.write_bytes(b"")
    hermes.write_backup([*kept, *edited])
    row = hermes.listed([*kept, *again])
    hermes.write_index({**row, "last_message_at": again[-1]["timestamp"]})
    hermes.write_rows([*kept, *edited, *again])
    assert is_left_alone(hermes)


def flushed_twice(turn: list[Value]) -> list[Value]:
    """The rows of a quick turn that the agent wrote again, or that was said again."""
    began = turn[0]["timestamp"]
    return [m | {"timestamp": began + 0.5 * time + 0.1 * k} for time in range(2) for k, m in enumerate(turn)]


def test_a_turn_that_a_flush_may_have_written_again_is_counted_once(hermes: Hermes) -> None:
    """What the count lacks besides is the end of the backup. The file is zeros; were that turn there twice, half of
    another would be gone."""
    kept, undone, quick, newest = (hermes.turns(word, start=100 * k) for k, word in enumerate("abcd"))
    kept.append({**kept[1], "content": "more of a", "timestamp": START + 5})
    undone.append({**undone[1], "content": "more of b", "timestamp": START + 105})
    hermes.live.write_bytes(bytes(2000))
    hermes.write_backup([*kept, *undone])
    row = hermes.listed([*kept, *quick, *newest])
    hermes.write_index({**row, "last_message_at": newest[-1]["timestamp"]})
    hermes.write_rows([*kept, *undone, *flushed_twice(quick), *newest])
    assert is_left_alone(hermes)


def test_a_torn_backup_is_from_before_an_act_that_a_torn_file_counts(hermes: Hermes) -> None:
    """The first prompt was edited with a version that leaves no mark: the file begins with the turn after that."""
    edited, after = hermes.turns("a", "b"), hermes.turns("c", start=200)
    write_unmarked(hermes, hermes.live, after)
    hermes.tear_live("answer c")
    backup = hermes.live.with_suffix(".json.bak")
    data = write_unmarked(hermes, backup, edited)
    backup.write_bytes(data[: data.index(b"answer b")])
    row = hermes.listed(after)
    hermes.write_index({**row, "last_message_at": after[-1]["timestamp"]})
    hermes.write_rows([*edited, *after])
    hermes.repair()
    assert not {*hermes.said(edited)} & {*hermes.texts()}
    assert Category.REVIEW in categories(hermes)


def write_counted(hermes: Hermes, counted: list[Value], rows: list[Value]) -> None:
    """A file of zeros of which the session list counted these messages, and the rows, with which it ends."""
    hermes.live.write_bytes(bytes(2000))
    row = hermes.listed(counted)
    hermes.write_index({**row, "last_message_at": rows[-1]["timestamp"], "updated_at": rows[-1]["timestamp"]})
    hermes.write_rows(rows)


@pytest.mark.parametrize("was_marked", [True, False])
def test_a_count_that_is_late_or_lacks_the_end_of_the_backup_is_a_question_where_acts_are_known(
    hermes: Hermes, was_marked: bool
) -> None:
    """A save of fewer made it the backup: in a session that was shortened before, that is an act."""
    kept, undone = hermes.turns("a", "b"), hermes.turns("c", start=100)
    later = hermes.turns("d", "e", start=200)
    marks = hermes.undo_marks(kept, undone[0]["timestamp"]) if was_marked else {}
    hermes.write_backup([*kept, *undone], **marks | {"updated_at": START + 110})
    write_counted(hermes, [*kept, *later], [*kept, *undone, *later])
    if was_marked:
        assert is_left_alone(hermes)
    else:
        hermes.repair()
        assert hermes.texts() == hermes.said([*kept, *undone, *later])


def test_a_count_that_is_late_can_lack_the_end_of_the_backup_besides(hermes: Hermes) -> None:
    kept, undone, later, newest = (hermes.turns(word, start=100 * k) for k, word in enumerate("abcd"))
    undone.append({**undone[1], "content": "more of b", "timestamp": START + 105})
    newest += [{**newest[1], "content": f"{word} of d", "timestamp": START + 306} for word in ("more", "the rest")]
    hermes.write_backup([*kept, *undone])
    write_counted(hermes, [*kept, *later], [*kept, *undone, *later, *newest])
    assert is_left_alone(hermes)


def test_a_backup_with_as_many_messages_is_not_what_a_torn_file_of_an_old_version_was(hermes: Hermes) -> None:
    """Its last turn was taken back, and another as long was said; the list ends with that."""
    kept, undone, after = (hermes.turns(word, start=100 * k) for k, word in enumerate("abc"))
    write_unmarked(hermes, hermes.live, [*kept, *after])
    hermes.tear_live("answer a")
    write_unmarked(hermes, hermes.live.with_suffix(".json.bak"), [*kept, *undone])
    row = hermes.listed([*kept, *after])
    hermes.write_index({**row, "last_message_at": after[-1]["timestamp"]})
    hermes.write_rows([*kept, *undone, *after])
    assert is_left_alone(hermes)


def test_the_head_of_a_torn_file_that_counts_fewer_than_its_backup_and_the_rows_have_is_heeded(hermes: Hermes) -> None:
    """Two acts kept the same; the version has no ids for them, and the clock was set back before."""
    first, kept, undone, after = (hermes.turns(word, start=100 * k) for k, word in enumerate("abcd"))
    first = [m | {"timestamp": m["timestamp"] + 9000} for m in first]
    at = after[0]["timestamp"]
    bounded(hermes, "", [*first, *kept, *after], **cut(kept, at), updated_at=at + 4)
    hermes.tear_live("ask b")
    saved = undone[-1]["timestamp"]
    bounded(hermes, ".bak", [*first, *kept, *undone], **cut(kept, undone[0]["timestamp"]), updated_at=saved)
    hermes.write_rows([*first, *kept, *undone, *after])
    assert Category.REVIEW in categories(hermes)
    assert is_left_alone(hermes)


def test_a_late_count_of_a_file_that_is_torn_before_its_own_says_nothing_against_the_newest_run(hermes: Hermes) -> None:
    """The session was cleared and went on; no rows are left."""
    said = hermes.turns("a", "b")
    marks = {"truncation_watermark": 0.0, "truncation_boundary": 0.0, "clear_generation": CLEAR}
    hermes.write_live(said, **marks, intentional_shrink_generation=SHRINK)
    hermes.tear_live('"message_count"')
    row = hermes.listed(said)
    hermes.write_index({**row, "message_count": 2, "last_message_at": said[-1]["timestamp"]})
    hermes.write_run(said)
    hermes.repair()
    assert hermes.texts() == hermes.said(said)


def test_a_late_count_is_late_where_the_newest_run_shows_a_prompt_that_was_said_twice(hermes: Hermes) -> None:
    """An older file was put back; its last prompt follows once more, and no act took the first of the two back."""
    first, again, newest = hermes.turns("a"), hermes.turns("a", start=100), hermes.turns("b", start=200)
    newest.append({**newest[1], "content": "more of b", "timestamp": START + 205})
    said = [*first, *again, *newest]
    hermes.write_old(hermes.live, first)
    row = hermes.listed(said)
    hermes.write_index({**row, "message_count": 4, "last_message_at": said[-1]["timestamp"]})
    hermes.write_run(said)
    hermes.write_rows(said)
    hermes.repair()
    assert hermes.texts() == hermes.said(said)


def test_the_newest_rows_are_not_what_a_session_list_counts_that_ends_before_them(hermes: Hermes) -> None:
    """The file of right after a clear was put back; two turns were said since, and the second one was taken back."""
    cleared, after, undone = (hermes.turns(word, start=100 * k) for k, word in enumerate("abc"))
    marks = {"truncation_watermark": 0.0, "truncation_boundary": 0.0, "clear_generation": CLEAR}
    shrink = {"intentional_shrink_generation": SHRINK, "updated_at": START + 50}
    hermes.write_live([], title="Untitled", **marks, **shrink)
    row = hermes.listed(after, updated_at=START + ACT)
    hermes.write_index({**row, "last_message_at": after[-1]["timestamp"]})
    hermes.write_rows([*cleared, *after, *undone])
    assert is_left_alone(hermes)


def test_a_file_that_was_listed_when_it_was_saved_empty_is_asked_about_where_it_is_torn_in_its_marks(
    hermes: Hermes,
) -> None:
    """The session was cleared, and the one turn after that taken back; the backup is from before the second act."""
    cleared, undone = hermes.turns("a"), hermes.turns("b", start=100)
    marks = {"truncation_watermark": 0.0, "truncation_boundary": 0.0, "clear_generation": CLEAR}
    saved = {"updated_at": START + ACT}
    hermes.write_live([], **marks, **saved, intentional_shrink_generation=SHRINK)
    hermes.tear_live('"intentional_shrink_generation"')
    hermes.write_backup(undone, **marks, intentional_shrink_generation=hermes.shrink)
    hermes.write_index({**hermes.listed([]), **saved, "last_message_at": START + ACT})
    hermes.write_rows([*cleared, *undone])
    assert is_left_alone(hermes)


def test_a_count_that_is_late_or_lacks_what_an_act_took_back_again_is_a_question_where_a_file_is_torn_in_its_marks(
    hermes: Hermes,
) -> None:
    """A turn was taken back, so was what came then, and what came after that is as long. Only the backup and the rows
    have messages."""
    kept, first, second, after = (hermes.turns(word, start=100 * k) for k, word in enumerate("abcd"))
    hermes.write_live([*kept, *after], **hermes.undo_marks(kept, after[0]["timestamp"]))
    hermes.tear_live('"intentional_shrink_generation"')
    marks = hermes.undo_marks(kept, second[0]["timestamp"]) | {"updated_at": second[-1]["timestamp"]}
    hermes.write_backup([*kept, *second], **marks)
    hermes.write_index({**hermes.listed([*kept, *after]), "last_message_at": after[-1]["timestamp"]})
    hermes.write_rows([*kept, *first, *second, *after])
    assert is_left_alone(hermes)
