"""What the user took back stays out, and what only looks like it is a question."""

from __future__ import annotations

from typing import Any

import pytest
from hermes_rescue.core.audit.findings import Category
from hermes_rescue.core.audit.store_audit import audit
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.repair.apply import apply
from hermes_rescue.core.repair.outcomes import State
from hermes_rescue.core.repair.plan import plan

SHRINK = "f3ece896034044d595d19fdba191bbac"
OTHER_SHRINK = "a27d1c0b8d5e4f6f9c3e2b1a0d9c8e7f"
CLEAR = "419b3d535343911761a19ef3e1e41582"


def test_several_undos_do_not_make_a_healthy_session_a_damaged_one(hermes: Any) -> None:
    """The marks of the first undo are overwritten by the second; the second one's backup still has them."""
    k, gone, n, gone_too = (hermes.turns(word, start=100 * i) for i, word in enumerate("abcd"))
    before = hermes.write_live([*k, *n], **hermes.undo_marks(n))
    first = hermes.undo_marks(k, gone_too[0]["timestamp"]) | {"intentional_shrink_generation": OTHER_SHRINK}
    hermes.write_backup([*k, *n, *gone_too], **first)
    hermes.write_rows([*k, *gone, *n, *gone_too])
    assert hermes.kinds() == []
    hermes.repair()
    assert hermes.live.read_bytes() == before


def test_what_two_undos_or_a_loss_may_have_taken_is_a_question(hermes: Any) -> None:
    """Nothing is left that saw the session before its last undo."""
    k, gone, n, gone_too = (hermes.turns(word, start=100 * i) for i, word in enumerate("abcd"))
    before = hermes.write_live([*k, *n], **hermes.undo_marks(n))
    hermes.write_rows([*k, *gone, *n, *gone_too])
    found = hermes.audit().sessions[0]
    assert [(f.kind.name, f.category) for f in found.findings] == [("state_db_gap", Category.REVIEW)]
    hermes.repair()
    assert hermes.live.read_bytes() == before
    hermes.repair(hermes.live.stem)  # naming it is the yes
    assert hermes.texts() == hermes.said([*k, *gone, *n])


def test_what_the_backup_of_a_first_undo_lacks_was_lost_before(hermes: Any) -> None:
    """It has no marks, so no act came before: the turn that it lacks was never taken back."""
    k, lost, n, gone = (hermes.turns(word, start=100 * i) for i, word in enumerate("abcd"))
    hermes.write_live([*k, *n], **hermes.undo_marks(n))
    hermes.write_backup([*k, *n, *gone])
    hermes.write_rows([*k, *lost, *n, *gone])
    hermes.repair()
    assert hermes.texts() == hermes.said([*k, *lost, *n])


def test_a_turn_missing_in_the_middle_of_a_session_that_was_never_shortened_comes_back(hermes: Any) -> None:
    a, b, c = (hermes.turns(word, start=100 * i) for i, word in enumerate("abc"))
    hermes.write_live([*a, *c])
    hermes.write_rows([*a, *b, *c])
    assert hermes.kinds() == ["state_db_gap"]
    hermes.repair()
    assert hermes.texts() == hermes.said([*a, *b, *c])


def test_half_a_turn_is_never_an_undo(hermes: Any) -> None:
    k, n = hermes.turns("a", "b"), hermes.turns("n", start=200)
    hermes.write_live([*k[:3], *n], **hermes.undo_marks(n))
    hermes.write_rows([*k, *n])
    hermes.repair()
    assert hermes.texts() == hermes.said([*k, *n])


def test_rows_behind_a_clear_are_from_after_it(hermes: Any) -> None:
    gone, live, lost = (hermes.turns(word, start=100 * i) for i, word in enumerate("abc"))
    hermes.write_live(live, **hermes.cleared)
    hermes.write_backup(gone)
    hermes.write_rows([*gone, *live, *lost])
    hermes.repair()
    assert hermes.texts() == hermes.said([*live, *lost])


def test_a_clear_with_nothing_after_it_keeps_everything_out(hermes: Any) -> None:
    gone = hermes.turns("a", "b")
    before = hermes.write_live([], **hermes.cleared)
    hermes.write_backup(gone)
    hermes.write_rows(gone)
    assert hermes.kinds() == []
    assert hermes.repair().run_id is None
    assert hermes.live.read_bytes() == before


def test_an_undo_of_the_very_first_turn_keeps_it_out(hermes: Any) -> None:
    gone, live = hermes.turns("a"), hermes.turns("b", start=100)
    marks = {"truncation_boundary": 0.0, "truncation_watermark": 0.0, "intentional_shrink_generation": hermes.shrink}
    hermes.write_live(live, **marks)
    hermes.write_backup(gone)
    hermes.write_rows([*gone, *live])
    assert hermes.kinds() == []


@pytest.mark.parametrize(
    "half",
    [
        {"intentional_shrink_generation": "not-a-generation"},
        {"intentional_shrink_generation": 7},
        {"intentional_shrink_generation": SHRINK.upper()},
        {"intentional_shrink_generation": "f3ece896034014d595d19fdba191bbac"},  # a uuid, but no uuid4
        {"truncation_boundary": 0.0, "truncation_watermark": 0.0},
        {"clear_generation": CLEAR},
        {"truncation_boundary": 0.0, "clear_generation": CLEAR},
        {"truncation_boundary": "0.0", "truncation_watermark": 0.0, "clear_generation": CLEAR},
        {"truncation_boundary": 0.0, "truncation_watermark": 0.0, "clear_generation": "x"},
    ],
)
def test_a_mark_that_is_malformed_or_half_there_suppresses_nothing(hermes: Any, half: dict[str, Any]) -> None:
    lost = hermes.turns("a", "b", "c")
    hermes.write_live([], **half)
    hermes.write_backup(lost)
    hermes.repair()
    assert hermes.load()["messages"] == lost


@pytest.mark.parametrize("mark", [("truncation_boundary", "truncation_watermark"), ("truncation_boundary",)])
def test_a_time_before_all_times_is_no_mark(hermes: Any, mark: tuple[str, ...]) -> None:
    """Of a version whose two times alone mark an act."""
    lost = hermes.turns("a", "b", "c")
    times = {"truncation_boundary": 0.0, "truncation_watermark": 0.0, **dict.fromkeys(mark, -1.0)}
    hermes.write_old(hermes.live, [], **times)
    hermes.write_old(hermes.live.with_name(f"{hermes.live.name}.bak"), lost)
    hermes.repair(hermes.live.stem)
    assert hermes.load()["messages"] == lost


def test_a_malformed_generation_in_the_backup_is_not_an_older_one(hermes: Any) -> None:
    kept, lost = hermes.turns("a"), hermes.turns("b", start=100)
    hermes.write_live(kept, **hermes.undo_marks(kept))
    hermes.write_backup([*kept, *lost], intentional_shrink_generation="broken")
    hermes.repair()
    assert hermes.load()["messages"] == [*kept, *lost]


@pytest.mark.parametrize("seconds", [1, 100])
def test_a_wipe_after_an_undo_brings_back_only_what_the_undo_kept(hermes: Any, seconds: int) -> None:
    """Also where what was taken back had been said right after what was kept."""
    kept, gone = hermes.turns("a", "b"), hermes.turns("c", start=14 + seconds)
    hermes.write_live([], **hermes.undo_marks(kept))
    hermes.write_rows([*kept, *gone])
    hermes.repair()
    assert hermes.texts() == hermes.said(kept)


def test_a_torn_file_still_says_what_was_taken_back(hermes: Any) -> None:
    kept, gone = hermes.turns("a", "b", "c"), hermes.turns("d", start=100)
    data = hermes.write_live(kept, **hermes.undo_marks(kept))
    hermes.live.write_bytes(data[: data.index(b"answer b")])
    hermes.write_backup([*kept, *gone])
    hermes.write_rows([*kept, *gone])
    hermes.repair()
    assert hermes.texts() == hermes.said(kept)


@pytest.mark.parametrize("mark", ["truncation_boundary", "clear_generation", "intentional_shrink_generation"])
@pytest.mark.parametrize("backup", [True, False])
def test_what_was_cleared_stays_out_of_a_file_that_is_torn_right_after_a_mark(
    hermes: Any, mark: str, backup: bool
) -> None:
    gone = hermes.turns("a", "b")
    data = hermes.write_live([], title="Untitled", **hermes.cleared)
    hermes.live.write_bytes(data[: data.index(b"\n", data.index(mark.encode()))])
    if backup:
        hermes.write_backup(gone)
    hermes.write_rows(gone)
    hermes.repair()
    assert hermes.texts() == []


def test_a_backup_that_is_torn_between_its_marks_is_not_from_before_them(hermes: Any) -> None:
    """The first prompt was edited and the file emptied since; the backup, which is from then, does not tell the act."""
    gone, again = hermes.turns("a", "b"), hermes.turns("c", start=100)
    marks = {name: value for name, value in hermes.cleared.items() if name != "clear_generation"}
    marks["updated_at"] = again[-1]["timestamp"] + 1
    hermes.write_live([], **marks)
    data, backup = hermes.write_backup(again, **marks), hermes.live.with_suffix(".json.bak")
    backup.write_bytes(data[: data.index(b'"clear_generation"')])
    row = hermes.listed(again, **marks)
    hermes.write_index({**row, "last_message_at": again[-1]["timestamp"]})
    hermes.write_run(again, updated_at=marks["updated_at"])
    hermes.write_rows([*gone, *again])
    hermes.repair()
    assert hermes.texts() == hermes.said(again)


def test_a_file_without_a_title_was_cleared_though_only_a_later_undo_has_left_marks(hermes: Any) -> None:
    gone, kept, undone = (hermes.turns(word, word * 2, start=100 * i) for i, word in enumerate("abc"))
    before = hermes.write_live(kept, title="Untitled", **hermes.undo_marks(kept))
    hermes.write_rows([*gone, *kept, *undone])
    assert hermes.kinds() == []
    hermes.repair()
    assert hermes.live.read_bytes() == before


def test_rows_that_the_agent_took_back_stay_out(hermes: Any) -> None:
    kept, gone = hermes.turns("a"), hermes.turns("b", start=100)
    hermes.write_rows([*kept, *({**m, "active": 0, "compacted": 0} for m in gone)])
    hermes.repair()
    assert hermes.texts() == hermes.said(kept)


def test_a_compression_hides_no_loss(hermes: Any) -> None:
    """It shortens what the model sees, never the messages, and leaves a watermark that is no undo's."""
    old, kept = hermes.turns("a", "b"), hermes.turns("c", "d", start=200)
    summary = {"role": "user", "content": "[CONTEXT COMPACTION — REFERENCE ONLY] earlier", "timestamp": 1_777_000_150.0}
    marks = {"truncation_watermark": kept[2]["timestamp"], "truncation_boundary": kept[1]["timestamp"]}
    hermes.write_live(kept, compression_anchor_mode="manual", context_messages=[summary, *kept[2:]], **marks)
    hermes.write_rows([*old, *kept])
    hermes.repair()
    assert hermes.texts() == hermes.said([*old, *kept])
    assert hermes.load()["context_messages"] == [summary, *kept[2:]]


def test_an_undo_from_before_marks_existed_is_a_question(hermes: Any) -> None:
    kept, gone = hermes.turns("a", "b"), hermes.turns("c", start=100)
    before = hermes.write_live(kept, truncation_watermark=kept[-1]["timestamp"], updated_at=gone[-1]["timestamp"] + 60)
    hermes.write_backup([*kept, *gone])
    hermes.write_rows([*kept, *gone])
    assert hermes.kinds() == ["shrunken_live_unmarked"]
    assert hermes.repair().run_id is None
    assert hermes.live.read_bytes() == before
    hermes.repair(hermes.live.stem)
    assert hermes.load()["messages"] == [*kept, *gone]


def test_a_person_can_take_in_what_was_left_out_and_leave_out_what_was_not(hermes: Any) -> None:
    kept, gone = hermes.turns("a", "b"), hermes.turns("c", start=100)
    hermes.write_live(kept, **hermes.undo_marks(kept))
    hermes.write_backup([*kept, *gone])
    store = find_store(home=hermes.home)
    sid = hermes.live.stem
    made = plan(store, [sid], choices=hermes.choose(include=(4, 5), exclude=(0, 1)))
    assert [(s.messages_after, s.messages_lost) for s in made.sessions] == [(4, 2)]
    assert [o.state for o in apply(made).outcomes] == [State.REPAIRED]
    assert hermes.load()["messages"] == [*kept[2:], *gone]


def test_what_a_person_left_out_does_not_come_back_by_itself(hermes: Any) -> None:
    """The save shrinks, so the old file is left as the backup; the marks say that it was on purpose."""
    turns = hermes.turns("a", "b")
    before = hermes.write_live(turns)
    store = find_store(home=hermes.home)
    sid = hermes.live.stem
    apply(plan(store, [sid], choices=hermes.choose(exclude=(2, 3))))
    assert hermes.load()["messages"] == turns[:2]
    assert (hermes.sessions / f"{sid}.json.bak").read_bytes() == before
    assert audit(store).of(Category.REPAIRABLE) == ()


def test_a_file_torn_before_its_marks_leaves_them_to_the_next_copy(hermes: Any) -> None:
    gone, fresh = hermes.turns("a"), hermes.turns("b", start=100)
    data = hermes.write_live([], **hermes.cleared)
    hermes.live.write_bytes(data[: data.index(b"truncation_watermark")])
    hermes.write_backup(gone)
    hermes.write_temp(fresh, **hermes.cleared)
    hermes.write_rows(gone)
    hermes.repair()
    assert hermes.texts() == hermes.said(fresh)
