"""What differs between two versions of a session, as data."""

from __future__ import annotations

from typing import Any

import pytest
from hermes_rescue.core.audit.session import examine
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.hermes.webui_status import webui_status
from hermes_rescue.core.report.diff import (
    Change,
    Difference,
    MessageRow,
    compare,
    compare_words,
    fold,
    review,
    versions,
)
from hypothesis import given
from hypothesis import strategies as st


def difference(hermes: Any, left: str = "live", right: str = "recovered") -> Difference:
    store = find_store(home=hermes.home)
    with Inventory(store) as inventory:
        found = examine(inventory, webui_status(store), hermes.live.stem)
        known = versions(found.copies, found.proposal)
        return compare(known[left], known[right], found.proposal)


def changes(found: Difference) -> list[Change]:
    return [row.change for row in found.messages]


def test_messages_that_come_back_are_added(hermes: Any) -> None:
    lost, live = hermes.turns("a"), hermes.turns("b", start=100)
    hermes.write_live(live)
    hermes.write_backup(lost)
    found = difference(hermes)
    assert changes(found) == [Change.ADDED] * 2 + [Change.SAME] * 2
    assert [(row.left_at, row.right_at) for row in found.messages] == [(None, 0), (None, 1), (0, 2), (1, 3)]
    changed = [(row.field, row.left, row.right) for row in found.fields if row.change is not Change.SAME]
    assert changed == [("message_count", 2, 4)]
    backwards = difference(hermes, "recovered", "live")
    assert changes(backwards) == [Change.REMOVED] * 2 + [Change.SAME] * 2


def test_parts_that_differ_are_named(hermes: Any) -> None:
    turns = hermes.turns("a")
    fuller = [turns[0], {**turns[1], "reasoning": "because", "attachments": ["a.png"]}]
    hermes.write_live(turns)
    hermes.write_temp(fuller)
    found = difference(hermes)
    assert changes(found) == [Change.SAME, Change.CHANGED]
    assert set(found.messages[1].parts) == {"attachments", "reasoning"}


def test_times_that_differ_between_programs_are_no_difference(hermes: Any) -> None:
    turns = hermes.turns("a", "b")
    hermes.write_live(turns)
    hermes.write_rows(turns)
    found = difference(hermes, "live", "database")
    assert changes(found) == [Change.SAME] * 4
    assert found.is_empty


def test_a_turn_that_stands_elsewhere_has_moved(hermes: Any) -> None:
    turns = hermes.turns("a", "b", "c")
    hermes.write_live(turns)
    hermes.write_backup([*turns[2:4], *turns[:2], *turns[4:]])
    found = difference(hermes, "live", "backup")
    assert sorted(changes(found)) == sorted([*[Change.MOVED] * 2, *[Change.SAME] * 4])


def test_recovered_fields_know_where_they_are_from(hermes: Any) -> None:
    hermes.write_backup(hermes.turns("a"), title="Kept")
    hermes.live.write_bytes(b"")
    hermes.write_index({"session_id": hermes.live.stem, "pinned": True, "updated_at": 9e9})
    by_name = {row.field: (row.right, row.origin) for row in difference(hermes, "backup", "recovered").fields}
    assert by_name["pinned"] == (True, "index")


@given(st.lists(st.sampled_from(list(Change)), max_size=40), st.integers(0, 3))
def test_folding_hides_only_what_is_unchanged(kinds: list[Change], context: int) -> None:
    rows = [MessageRow(change, left_at=k) for k, change in enumerate(kinds)]
    folded = list(fold(rows, context))
    shown = [row for row in folded if isinstance(row, MessageRow)]
    assert [row for row in shown if row.change is not Change.SAME] == [r for r in rows if r.change is not Change.SAME]
    assert sum(1 if isinstance(row, MessageRow) else row for row in folded) == len(rows)
    assert [row.left_at for row in shown] == sorted(row.left_at or 0 for row in shown)
    for k, change in enumerate(kinds):
        beside = kinds[max(0, k - context) : k + context + 1]
        if change is Change.SAME and any(other is not Change.SAME for other in beside):
            assert rows[k] in shown


@given(st.text(max_size=80), st.text(max_size=80))
def test_words_put_both_texts_together_again(left: str, right: str) -> None:
    words = compare_words(left, right)
    assert words.complete
    assert "".join(w.text for w in words.words if w.change is not Change.ADDED) == left
    assert "".join(w.text for w in words.words if w.change is not Change.REMOVED) == right


def test_words_that_stay_are_marked_as_such() -> None:
    words = compare_words("roll back the tables", "roll back both tables")
    changed = {(w.change, w.text) for w in words.words if w.change is not Change.SAME}
    assert changed == {(Change.REMOVED, "the"), (Change.ADDED, "both")}


@pytest.mark.parametrize("cancelled", [False, True])
def test_too_long_a_text_is_marked_as_a_whole(cancelled: bool) -> None:
    long = "x " * 20_000
    words = compare_words(long if not cancelled else "a", "b", should_cancel=lambda: cancelled)
    assert not words.complete
    assert [w.change for w in words.words] == [Change.REMOVED, Change.ADDED]


def test_a_review_shows_every_message_once_with_what_becomes_of_it(hermes: Any) -> None:
    lost, kept, gone = (hermes.turns(word, start=100 * k) for k, word in enumerate("abc"))
    poor = [kept[0], {**kept[1], "content": ""}]
    hermes.write_live(poor, **hermes.undo_marks(kept))
    hermes.write_backup([*kept, *gone])  # without marks: what it lacks was lost before it
    hermes.write_rows([*lost, *kept, *gone])
    store = find_store(home=hermes.home)
    with Inventory(store) as inventory:
        found = examine(inventory, webui_status(store), hermes.live.stem)
        rows = review(versions(found.copies, found.proposal)["live"], found.proposal)
    assert [str(row.change) for row in rows] == ["added"] * 2 + ["same", "changed"] + ["left out"] * 2
    assert [row.position for row in rows] == list(range(6))
    assert [(row.left_at, row.right_at) for row in rows] == [
        (None, 0),
        (None, 1),
        (0, 2),
        (1, 3),
        (None, None),
        (None, None),
    ]
    assert rows[3].parts == ("content",)
    assert [row.right.folded_text for row in rows if row.right] == hermes.said([*lost, *kept, *gone])
