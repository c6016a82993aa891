"""A start of the WebUI that would throw messages away, or bring back what the user took back, is known before."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hermes_rescue.core.hermes.sidecar import Sidecar, parse
from hermes_rescue.core.hermes.webui_recovery import (
    BELIEVED_SINCE,
    RESTORES_SINCE,
    Act,
    RecoveryFacts,
    Version,
    file_facts,
    marks_that_keep_out,
    message_count,
    open_prompts,
    recovery_items,
    startup_would_restore,
)

SUMMARY = {"role": "assistant", "content": [{"type": "text", "text": "\n[Context Compaction] So far."}]}
COMPRESSED = {"compression_anchor_mode": "manual", "context_messages": [SUMMARY]}


def copy_of(hermes: Any, messages: list[Any], **fields: Any) -> Sidecar:
    return parse(json.dumps(hermes.session(messages, **fields)).encode())


def before(version: Version) -> Version:
    """A version from before this one."""
    return version[0], version[1], version[2] - 1


def test_a_wiped_session_that_went_on_would_lose_what_was_said_since(hermes: Any) -> None:
    old, new = hermes.turns("a", "b", "c"), hermes.turns("d", start=100)
    assert startup_would_restore(copy_of(hermes, new), copy_of(hermes, old))


def test_once_everything_is_in_the_file_nothing_is_replaced(hermes: Any) -> None:
    old, new = hermes.turns("a", "b", "c"), hermes.turns("d", start=100)
    assert not startup_would_restore(copy_of(hermes, [*old, *new]), copy_of(hermes, old))


def test_an_empty_backup_would_replace_a_torn_file(hermes: Any) -> None:
    """What could still be read of the torn file would be gone."""
    torn = parse(json.dumps(hermes.session(hermes.turns("a", "b"))).encode()[:-9])
    assert torn.messages
    assert startup_would_restore(torn, copy_of(hermes, []))


def test_what_was_lost_after_a_compress_would_be_restored_although_newer_messages_go(hermes: Any) -> None:
    """The backup is from after the compress as well: the compress explains nothing."""
    kept, lost, new = hermes.turns("a"), hermes.turns("b", "c"), hermes.turns("d", start=100)
    live, backup = copy_of(hermes, [*kept, *new], **COMPRESSED), copy_of(hermes, [*kept, *lost], **COMPRESSED)
    assert startup_would_restore(live, backup)


MARKED: dict[Act, tuple[dict[str, Any], dict[str, Any]]] = {
    Act.COMPRESS: (COMPRESSED, {"context_messages": ["any"] * 3}),
    Act.CLEAR: ({"truncation_watermark": 0.0, "truncation_boundary": 0.0, "clear_generation": "c" * 32}, {}),
    Act.SHRINK: ({"intentional_shrink_generation": "f3ece896034044d595d19fdba191bbac"}, {}),
}


@pytest.mark.parametrize("act", Act)
def test_a_webui_from_before_a_mark_restores_over_what_it_records(hermes: Any, act: Act) -> None:
    live_marks, backup_marks = MARKED[act]
    live = copy_of(hermes, hermes.turns("a"), **live_marks)
    backup = copy_of(hermes, hermes.turns("a", "b"), **backup_marks)
    assert not startup_would_restore(live, backup)
    assert not startup_would_restore(live, backup, BELIEVED_SINCE[act])
    assert startup_would_restore(live, backup, before(BELIEVED_SINCE[act]))


def test_a_webui_from_before_backups_restores_nothing(hermes: Any) -> None:
    live, backup = copy_of(hermes, []), copy_of(hermes, hermes.turns("a"))
    assert startup_would_restore(live, backup, RESTORES_SINCE)
    assert not startup_would_restore(live, backup, before(RESTORES_SINCE))


@pytest.mark.parametrize("data", [b"", b"\0" * 9, b"[]", b'{"messages": null}', b"\xff\xfe{\0}\0", b'{"messages": [}'])
def test_what_the_webui_cannot_count(data: bytes) -> None:
    assert message_count(parse(data)) == -1


@pytest.mark.parametrize("data", [b'{"messages": [1, null, {}]}', b'{"workspace": null, "messages": [NaN, 1, 2]}'])
def test_what_the_webui_counts_though_it_may_not_load_it(data: bytes) -> None:
    assert message_count(parse(data)) == 3


def test_the_last_event_of_a_turn_decides_whether_its_prompt_is_open() -> None:
    sent = {"event": "submitted", "content": " and now? ", "turn_id": "t2", "created_at": 7.0}
    later = {"event": "worker_started", "turn_id": "t2", "created_at": 9.0}
    earlier = {"event": "submitted", "content": "first", "turn_id": "t1", "created_at": 8.0}
    assert open_prompts([sent, earlier]) == ("first", "and now?")
    assert open_prompts([later, sent]) == ()
    assert open_prompts([sent, {**later, "created_at": 7.0}]) == ()
    assert open_prompts([sent, {**sent, "turn_id": None}, {**sent, "turn_id": " "}, {"created_at": "soon"}]) == (
        "and now?",
    )


def test_two_open_prompts_are_two_items_and_one_that_was_said_is_none(hermes: Any) -> None:
    live = copy_of(hermes, hermes.turns("a"))
    prompts = ("ask a", "ask b", "ask c")
    items = recovery_items(RecoveryFacts(file_facts(live, None, prompts), live_exists=True, in_index=True))
    assert [(item.kind, item.live_messages) for item in items] == [("turn_journal_pending_turn", 2)] * 2


TALK = [("user", 10.0), ("assistant", 14.0), ("user", 20.0), ("assistant", 26.0)]


def test_a_file_with_every_row_in_it_needs_no_marks() -> None:
    assert marks_that_keep_out(TALK, [0, 1, 2, 3]) is None
    assert marks_that_keep_out(TALK, []) is None


def test_what_was_taken_back_last_is_newer_than_the_newest_stamp() -> None:
    stepped_back = [("user", 10.0), ("assistant", 99.0), ("user", 20.0), ("assistant", 26.0)]
    assert marks_that_keep_out(TALK, [0, 1, 2, 3, None, None]) == (26.0, 26.0)
    assert marks_that_keep_out(stepped_back, [0, 1, 2, 3, None, None]) == (99.0, 99.0)
    assert marks_that_keep_out(TALK, [None, None]) == (26.0, 26.0)


def test_what_was_taken_back_before_newer_turns_lies_between_the_cut_and_the_newest_prompt() -> None:
    assert marks_that_keep_out(TALK, [0, 1, None, None, 2, 3]) == (20.0, 14.0)
    assert marks_that_keep_out(TALK, [None, None, 0, 1, 2, 3]) == (20.0, 0.0)


def test_a_clock_that_was_set_back_since_moves_no_boundary() -> None:
    stepped_back = [("user", 910.0), ("assistant", 914.0), ("user", 20.0), ("assistant", 26.0)]
    assert marks_that_keep_out(stepped_back, [0, 1, None, None, 2, 3]) == (914.0, 914.0)


def test_a_session_of_which_nothing_was_kept_lets_no_row_in() -> None:
    assert marks_that_keep_out([], [None, None]) == (0.0, 0.0)


def test_without_any_stamp_no_marks_are_made_up() -> None:
    assert marks_that_keep_out([("user", None), ("assistant", None)], [0, 1, None]) is None
