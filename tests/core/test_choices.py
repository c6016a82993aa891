"""Fields that a person takes from another copy: what can be chosen, and that nothing but the choice is written."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.session import Examined, examine
from hermes_rescue.core.audit.workers import Failure
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.sidecar import IDLE_STREAM
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.hermes.webui_status import webui_status
from hermes_rescue.core.merge.choices import OUTDATED, Choices
from hermes_rescue.core.merge.intent import MARK_FIELDS
from hermes_rescue.core.merge.proposal import propose
from hermes_rescue.core.report.diff import Change, FieldRow, review_fields
from hermes_rescue.core.report.export import Copy, read_copies
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Rescue = Callable[..., tuple[int, str, str]]


def merged(hermes: Any, **fields: str) -> Examined:
    """The session, with what is proposed with these fields taken from these copies."""
    store = find_store(home=hermes.home)
    with Inventory(store) as inventory:
        return examine(inventory, webui_status(store), hermes.live.stem, Choices(fields=fields))


def planned(hermes: Any, choices: Choices, *, named: bool = True) -> api.Plan:
    sid = hermes.live.stem
    return api.plan(find_store(home=hermes.home), [sid] if named else None, choices={sid: choices})


def rows(hermes: Any, **fields: str) -> dict[str, FieldRow]:
    found = merged(hermes, **fields)
    return {row.field: row for row in review_fields(found.copies, found.proposal)}


@pytest.fixture
def renamed(hermes: Any) -> Any:
    """A healthy session whose copies know other names of it."""
    turns = hermes.turns("a", "b")
    hermes.write_live(turns, title="Now", model="opus")
    hermes.write_backup(turns[:2], title="Before", model="sonnet", pinned=True, **hermes.cleared)
    hermes.write_index({"session_id": hermes.live.stem, "title": "Listed", "is_streaming": True, "updated_at": 1.0})
    hermes.write_rows(turns, title="In the rows")
    return hermes


def test_what_a_person_leaves_out_settles_no_question(hermes: Any) -> None:
    """The marks that keep it out would take back whatever is asked as well."""
    said, asked = hermes.turns("a", "b"), hermes.turns("c", start=100)
    hermes.write_old(hermes.live, said, updated_at=asked[-1]["timestamp"] + 60)
    hermes.write_rows([*said, *asked])
    api.apply(planned(hermes, hermes.choose(exclude=[0, 1])[hermes.live.stem]))
    assert hermes.texts() == hermes.said(said[2:])
    hermes.repair(hermes.live.stem)
    assert hermes.texts()[-2:] == hermes.said(asked)


def test_choices_that_were_made_on_another_proposal_change_nothing(hermes: Any) -> None:
    hermes.write_live(hermes.turns("a", "b"), title="Now")
    hermes.write_index({"session_id": hermes.live.stem, "title": "Listed", "updated_at": 1.0})
    made = hermes.choose(exclude=[0, 1])[hermes.live.stem]
    hermes.write_live(hermes.turns("a", "b", "c"), title="Now")
    with Inventory(find_store(home=hermes.home)) as inventory:
        copies = inventory.copies(hermes.live.stem)
    found = propose(copies, replace(made, fields={"title": "index"}))
    assert (found.sidecar, found.lost, found.chosen) == (None, (), {})


def test_a_choice_alone_is_written_and_nothing_else(renamed: Any) -> None:
    before = renamed.live.read_bytes()
    assert api.plan(find_store(home=renamed.home)).sessions == ()
    plan = planned(renamed, Choices(fields={"title": "backup"}))
    assert [(s.why, s.messages_before, s.messages_after, s.messages_lost) for s in plan.sessions] == [
        ("title from backup", 4, 4, 0)
    ]
    result = api.apply(plan)
    assert renamed.live.read_bytes() == before.replace(b'"title": "Now"', b'"title": "Before"')
    index = json.loads((renamed.sessions / "_index.json").read_text())
    assert [row["title"] for row in index] == ["Before"]
    api.undo(plan.store, str(result.run_id))
    assert renamed.live.read_bytes() == before


def test_every_copy_that_knows_a_field_offers_its_value(renamed: Any) -> None:
    proposal = merged(renamed).proposal
    assert proposal.sidecar is None
    assert proposal.offers["title"] == {
        "live": "Now",
        "backup": "Before",
        "index": "Listed",
        "database": "In the rows",
    }
    assert dict(proposal.offers["workspace"]) == {
        "live": "/srv/notes",
        "backup": "/srv/notes",
        "workspace tag": "/srv/notes",
        "database": "/srv/notes",
    }
    assert "is_streaming" not in proposal.offers  # nothing of a sidecar


def test_what_is_about_a_copy_itself_cannot_be_taken(renamed: Any) -> None:
    bound = {"session_id", "messages", "message_count", "context_messages", "tool_calls", "anchor_activity_scenes"}
    bound |= {"compression_anchor_visible_idx", *IDLE_STREAM, *MARK_FIELDS}
    before = renamed.live.read_bytes()
    assert bound.isdisjoint(merged(renamed).proposal.offers)
    for name in bound:
        plan = planned(renamed, Choices(fields={name: "backup"}))
        assert plan.sessions == ()
        assert name in plan.refused[renamed.live.stem]
        api.apply(plan)
    assert renamed.live.read_bytes() == before


@pytest.mark.parametrize(("field", "value"), [("title", ""), ("workspace", None), ("created_at", None)])
def test_a_needed_field_is_never_taken_from_a_copy_that_does_not_say_it(hermes: Any, field: str, value: Any) -> None:
    """The WebUI cannot load a session without a workspace."""
    hermes.write_live(hermes.turns("a"))
    hermes.write_backup(hermes.turns("a"), **{field: value})
    assert list(merged(hermes).proposal.offers[field]) == ["live"]


def test_a_choice_goes_before_what_would_be_taken_by_itself(hermes: Any) -> None:
    turns = hermes.turns("a")
    hermes.write_backup(turns, title="Old name", pinned=True)
    hermes.write_index({"session_id": hermes.live.stem, "title": "New name", "updated_at": 9e9, "pinned": False})
    assert merged(hermes).proposal.origins["title"] == "index"
    by_choice = rows(hermes, title="backup", updated_at="backup")["title"]
    assert (by_choice.right, by_choice.origin, by_choice.chosen) == ("Old name", "backup", True)
    api.apply(planned(hermes, Choices(fields={"title": "backup", "updated_at": "backup"})))
    got = hermes.load()
    assert (got["title"], got["updated_at"], got["messages"]) == ("Old name", turns[-1]["timestamp"], turns)


@pytest.mark.parametrize("damage", ["none", "lost", "torn"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_chosen_is_what_stands_there_and_the_rest_stays(
    renamed: Any, damage: str, data: st.DataObject
) -> None:
    if damage == "lost":
        renamed.live.unlink(missing_ok=True)
    elif damage == "torn":
        whole = renamed.write_live(renamed.turns("a", "b"), title="Now")
        renamed.live.write_bytes(whole[:-40])
    found = merged(renamed)
    copies, plain = found.copies, found.proposal
    names = data.draw(st.lists(st.sampled_from(sorted(plain.offers)), unique=True, min_size=1, max_size=6))
    fields = {name: data.draw(st.sampled_from(sorted(plain.offers[name])), label=name) for name in names}
    chosen = propose(copies, Choices(fields=fields))
    assert dict(chosen.chosen) == fields
    proposed, usual = (p.sidecar or (copies.live and copies.live.sidecar) for p in (chosen, plain))
    assert proposed and usual
    expected = {name: piece.value for name, piece in usual.head.items()}
    taken = {name: plain.offers[name][copy] for name, copy in fields.items()}
    assert {name: piece.value for name, piece in proposed.head.items()} == {**expected, **taken}
    assert [piece.raw for piece in proposed.messages] == [piece.raw for piece in usual.messages]
    told = {change.field: change.origin for change in chosen.changes if change.field in fields}
    assert told.items() <= fields.items()


def test_a_person_sees_what_the_copies_say_otherwise(renamed: Any) -> None:
    seen = rows(renamed)
    assert {name: row.change for name, row in seen.items()} == dict.fromkeys(
        ("title", "model", "pinned"), Change.SAME
    ) | ({"updated_at": Change.SAME})
    assert all(row.origin == "live" and row.is_disputed and not row.chosen for row in seen.values())
    after = rows(renamed, title="backup")
    assert list(after) == list(seen)
    assert (after["title"].left, after["title"].right, after["title"].change) == ("Now", "Before", Change.CHANGED)
    assert (after["title"].origin, after["title"].chosen) == ("backup", True)


def test_a_lost_session_shows_what_comes_back_and_from_where(hermes: Any) -> None:
    hermes.write_backup(hermes.turns("a"), title="Kept")
    seen = rows(hermes)
    assert (seen["title"].change, seen["title"].right, seen["title"].origin) == (Change.ADDED, "Kept", "backup")
    assert {row.origin for row in seen.values()} == {"backup"}  # no defaults of a new file


def test_a_lost_session_that_went_on_after_its_backup_was_last_changed_then(hermes: Any) -> None:
    turns = hermes.turns("a", "b")
    hermes.write_backup(turns[:2])
    hermes.write_rows(turns)
    seen = rows(hermes)["updated_at"]
    assert seen.origin == "last message"
    assert turns[2]["timestamp"] <= seen.right <= turns[3]["timestamp"]


def test_a_value_that_is_not_equal_to_itself_is_no_change(hermes: Any) -> None:
    """Python writes NaN, and NaN differs from NaN."""
    before = hermes.write_live(hermes.turns("a"), estimated_cost=float("nan"), output_tokens=float("inf"))
    assert rows(hermes) == {}
    assert planned(hermes, Choices(fields={"output_tokens": "live", "estimated_cost": "live"})).sessions == ()
    hermes.repair(hermes.live.stem)
    assert hermes.live.read_bytes() == before


def unanswered(hermes: Any) -> Any:
    turns = hermes.turns("a", "b")
    hermes.write_live(turns[:2], title="Now")
    hermes.write_backup(turns[:2], title="Before")
    journal = hermes.sessions / "_turn_journal"
    journal.mkdir()
    event = {"event": "submitted", "turn_id": "t", "role": "user", "content": "lost", "created_at": 1_777_000_090.0}
    (journal / f"{hermes.live.stem}~5.jsonl").write_text(json.dumps(event))


def test_naming_a_session_answers_its_questions_whatever_field_is_chosen(hermes: Any) -> None:
    unanswered(hermes)
    api.apply(planned(hermes, Choices(fields={"title": "backup"})))
    assert hermes.load()["title"] == "Before"
    assert hermes.texts() == ["ask a", "answer a", "lost"]


def test_a_field_that_was_chosen_answers_no_question_of_a_session_that_is_not_named(hermes: Any) -> None:
    unanswered(hermes)
    plan = planned(hermes, Choices(fields={"title": "backup"}), named=False)
    assert plan.questions == (hermes.live.stem,)
    api.apply(plan)
    assert hermes.load()["title"] == "Before"
    assert hermes.texts() == ["ask a", "answer a"]


def test_a_field_brings_no_deleted_session_back(hermes: Any) -> None:
    hermes.write_backup(hermes.turns("a"), title="Before")
    (hermes.sessions / "_deleted_webui_sessions.json").write_text(json.dumps({"version": 1, "ids": [hermes.live.stem]}))
    plan = planned(hermes, Choices(fields={"title": "backup"}), named=False)
    assert plan.is_empty


def test_a_copy_that_went_away_since_the_plan_changes_nothing(renamed: Any) -> None:
    before = renamed.live.read_bytes()
    plan = planned(renamed, Choices(fields={"title": "backup"}))
    (renamed.sessions / f"{renamed.live.stem}.json.bak").unlink()
    result = api.apply(plan)
    assert result.count(api.State.REPAIRED) == 0
    assert renamed.live.read_bytes() == before


def test_an_audit_finds_nothing_because_of_a_choice(renamed: Any) -> None:
    store = find_store(home=renamed.home)
    with Inventory(store) as inventory:
        choices = Choices(fields={"title": "backup"})
        found = examine(inventory, webui_status(store), renamed.live.stem, choices)
    assert found.audited is not None and found.proposal.sidecar is not None
    assert [f.kind.name for f in found.audited.findings] == renamed.kinds()


# --- on the terminal --------------------------------------------------------------------------------------------------


def test_the_terminal_shows_and_takes_fields(renamed: Any, rescue: Rescue) -> None:
    sid, home = renamed.live.stem, ("--home", renamed.home)
    before = renamed.live.read_bytes()
    for command in ("show", "diff"):
        out = rescue(command, sid, *home)[1]
        assert "title: Now in live; Before in backup; Listed in index; In the rows in database" in out
    assert json.loads(rescue("show", sid, "--json", *home)[1])["offers"]["title"]["backup"] == "Before"
    status, out, _ = rescue("repair", sid, "--field", "title=backup", "--field", "pinned=backup", "--yes", *home)
    assert status == 0
    assert "title from backup, pinned from backup" in out
    assert renamed.load() == {**json.loads(before), "title": "Before", "pinned": True}
    assert rescue("undo", "--yes", *home)[0] == 0
    assert renamed.live.read_bytes() == before


@pytest.mark.parametrize("choice", ["title=temp", "titel=backup", "message_count=backup"])
def test_a_field_that_no_copy_gives_is_refused(renamed: Any, rescue: Rescue, choice: str) -> None:
    before = renamed.live.read_bytes()
    status, out, _ = rescue("repair", renamed.live.stem, "--field", choice, "--yes", "--home", renamed.home)
    assert status == 1
    assert "Skipped" in out
    assert ("live, backup, index, database" in out) == choice.startswith("title")
    assert "nothing to repair" not in out
    assert renamed.live.read_bytes() == before


def proposal_id(said: str) -> str:
    """The proposal that a command printed for its numbers."""
    return said.split("--proposal ")[1].split()[0]


def test_messages_are_taken_and_left_by_their_numbers(hermes: Any, rescue: Rescue) -> None:
    kept, gone = hermes.turns("a", "b"), hermes.turns("c", "d", start=100)
    hermes.write_live(kept, **hermes.undo_marks(kept))
    hermes.write_rows([*kept, *gone])
    sid, home = hermes.live.stem, ("--home", hermes.home)
    shown = rescue("show", sid, *home)[1]
    numbers = [line.split()[0] for line in shown.splitlines() if line.startswith("  #")]
    assert numbers == ["#5", "#6", "#7", "#8"]
    compared = rescue("diff", sid, "--full", *home)[1]
    first = next(line for line in compared.splitlines() if "user" in line and "#" in line)
    assert first.split()[-1] == "#1"
    assert proposal_id(shown) == proposal_id(compared)
    assert proposal_id(shown) == json.loads(rescue("show", sid, "--json", *home)[1])["proposal"]
    chosen = ("--proposal", proposal_id(shown), "--include", "5-6", "--exclude", "1,2")
    assert rescue("repair", sid, *chosen, "--yes", *home)[0] == 0
    assert hermes.texts() == hermes.said([*kept[2:], *gone[:2]])


def test_numbers_without_their_proposal_mean_nothing(renamed: Any, rescue: Rescue) -> None:
    before = renamed.live.read_bytes()
    status, _, said = rescue("repair", renamed.live.stem, "--exclude", "1", "--yes", "--home", renamed.home)
    assert status == 2
    assert "--proposal" in said
    plan = planned(renamed, Choices(exclude=frozenset({0})))
    assert plan.is_empty
    assert plan.refused[renamed.live.stem] == OUTDATED
    assert renamed.live.read_bytes() == before


def test_a_number_that_no_message_has_is_refused(renamed: Any, rescue: Rescue) -> None:
    home = ("--home", renamed.home)
    shown = proposal_id(rescue("show", renamed.live.stem, *home)[1])
    status, out, _ = rescue("repair", renamed.live.stem, "--proposal", shown, "--include", "77", "--yes", *home)
    assert status == 1
    assert "no message 77" in out


# --- the proposal that was chosen from --------------------------------------------------------------------------------


def another_title(hermes: Any) -> None:
    hermes.write_backup(hermes.turns("a"), title="Somebody else's")


def another_text(hermes: Any) -> None:
    turns = hermes.turns("a", "b")
    turns[1]["content"] = "another answer"
    hermes.write_live(turns, title="Now", model="opus")


def another_message(hermes: Any) -> None:
    hermes.write_live(hermes.turns("early", start=-100) + hermes.turns("a", "b"), title="Now", model="opus")


@pytest.mark.parametrize("change", [another_title, another_text, another_message])
@pytest.mark.parametrize("choices", [Choices(exclude=frozenset({2})), Choices(fields={"title": "backup"})])
def test_a_choice_is_carried_out_on_its_own_proposal_or_refused(
    renamed: Any, rescue: Rescue, choices: Choices, change: Callable[[Any], None]
) -> None:
    sid = renamed.live.stem
    shown = merged(renamed).proposal.fingerprint
    choices = replace(choices, made_on=shown)
    assert planned(renamed, choices).sessions[0].messages_lost == len(choices.exclude)
    change(renamed)
    before = renamed.live.read_bytes()
    plan = planned(renamed, choices)
    assert (plan.sessions, plan.refused) == ((), {sid: OUTDATED})
    option = ("--exclude", "3") if choices.exclude else ("--field", "title=backup")
    status, out, _ = rescue("repair", sid, *option, "--proposal", shown, "--yes", "--home", renamed.home)
    assert status == 1
    assert f"{sid}: {OUTDATED}" in " ".join(out.split())
    assert renamed.live.read_bytes() == before


def test_the_third_message_is_left_out_or_none_after_a_locked_database_comes_back(hermes: Any, rescue: Rescue) -> None:
    """The rows put messages before it."""
    turns = hermes.turns("a", "b", "c")
    hermes.write_live(turns[2:])
    hermes.write_rows(turns)
    before = hermes.live.read_bytes()
    sid, home = hermes.live.stem, ("--home", hermes.home)
    with closing(sqlite3.connect(hermes.home / "state.db", isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        shown = rescue("diff", sid, "--full", *home)[1]
    chosen = ("--proposal", proposal_id(shown), "--exclude", "3")
    status, out, _ = rescue("repair", sid, *chosen, "--yes", *home)
    assert status == 1
    assert OUTDATED in " ".join(out.split())
    assert hermes.live.read_bytes() == before


def test_a_copy_is_saved_as_it_was_chosen_or_not_at_all(renamed: Any) -> None:
    sid, store = renamed.live.stem, find_store(home=renamed.home)
    choices = renamed.choose(exclude=(1,))
    [(saved, _)] = read_copies(store, [sid], choices=choices)
    assert isinstance(saved, Copy)
    assert len(saved.version.messages) == 3
    another_text(renamed)
    assert [each for each, _ in read_copies(store, [sid], choices=choices)] == [Failure(sid, OUTDATED)]


def test_what_is_chosen_of_a_proposal_makes_no_other_one(renamed: Any) -> None:
    found = merged(renamed)
    copies, proposal = found.copies, found.proposal
    choices = Choices(exclude=frozenset({1, 2}), fields={"title": "backup"}, made_on=proposal.fingerprint)
    chosen = propose(copies, choices)
    assert chosen.fingerprint == proposal.fingerprint
    assert not chosen.is_outdated
    assert len(chosen.lost) == 2


def test_a_question_that_is_answered_with_no_moves_the_backup_that_would_answer_it_with_yes(hermes: Any) -> None:
    """The next start of the WebUI would put the larger backup in the place of the file."""
    turns = hermes.turns("a", "b", "c")
    before = hermes.write_live(turns[:2])
    old = hermes.write_backup(turns)
    backup = hermes.sessions / f"{hermes.live.stem}.json.bak"
    proposal = merged(hermes).proposal
    asked = [k for k, item in enumerate(proposal.items) if item.reason is not None or item in proposal.gained]
    assert asked == [2, 3, 4, 5]
    plan = planned(hermes, Choices(exclude=frozenset(asked), made_on=proposal.fingerprint))
    assert [(s.is_written, s.backup_moves) for s in plan.sessions] == [(False, True)]
    result = api.apply(plan)
    assert result.count(api.State.REPAIRED) == 1
    assert hermes.live.read_bytes() == before
    assert not backup.exists()
    api.undo(plan.store, str(result.run_id))
    assert backup.read_bytes() == old
