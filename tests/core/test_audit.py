"""Each kind of finding, on the smallest store that shows it, and what an audit does about odd places."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.findings import KINDS, Category, Standing
from hermes_rescue.core.hermes.store import find_store

from .conftest import START, Hermes


def shrunken(h: Any) -> None:
    h.write_live(h.turns("a"))
    h.write_backup([*h.turns("z", start=-100), *h.turns("a")])


def unmarked(h: Any) -> None:
    kept = h.turns("a")
    h.write_live(kept, truncation_watermark=kept[-1]["timestamp"], updated_at=1_777_009_000.0)
    h.write_backup([*kept, *h.turns("b", start=50)])


def emptied(h: Any) -> None:
    h.write_live([])
    h.write_rows(h.turns("a"))


def orphan(h: Any) -> None:
    h.write_backup(h.turns("a"))
    h.write_rows([])


def orphan_without_row(h: Any) -> None:
    h.write_backup(h.turns("a"))
    h.write_rows([], sid="0123456789ab", source="cli")


def malformed_orphan(h: Any) -> None:
    h.write_rows([], sid="0123456789ab", source="cli")
    (h.sessions / f"{h.live.name}.bak").write_bytes(h.write_backup(h.turns("a"))[:-60])


def malformed(h: Any) -> None:
    h.write_live(h.turns("a", "b"))
    h.tear_live("answer b")


def cleared_long_ago(h: Any) -> None:
    """Cleared and gone on with in a version before v0.51.875, whose marks no start of the WebUI believes."""
    marks = {"truncation_watermark": 0.0, "truncation_boundary": 0.0}
    h.write_old(h.live, h.turns("c", start=500), **marks)
    h.write_old(h.live.with_suffix(".json.bak"), h.turns("a", "b"))


def missing(h: Any) -> None:
    h.write_rows(h.turns("a"))


def empty_row(h: Any) -> None:
    h.write_rows([], cwd="/srv")


def ahead(h: Any) -> None:
    h.write_live(h.turns("a"))
    h.write_rows([*h.turns("a"), *h.turns("b", start=50)])


def gap(h: Any) -> None:
    h.write_live(h.turns("b", start=50))
    h.write_rows([*h.turns("a"), *h.turns("b", start=50)])


def lossy(h: Any) -> None:
    poor = h.turns("a")
    h.write_live(poor)
    h.write_rows([poor[0], {**poor[1], "reasoning": "because"}])


def temp(h: Any) -> None:
    h.write_live(h.turns("a"))
    h.write_temp([*h.turns("a"), *h.turns("b", start=50)])


def run_journal(h: Any, *, with_file: bool) -> None:
    if with_file:
        h.write_live(h.turns("a"))
    folder = h.sessions / "_run_journal" / h.live.stem
    folder.mkdir(parents=True)
    session = h.session([*h.turns("a"), *h.turns("b", start=50)])
    (folder / "s.jsonl").write_text(json.dumps({"event": "done", "payload": {"session": session}}))


def stuck(h: Any) -> None:
    h.write_live(h.turns("a"), active_stream_id="s1")


def unanswered(h: Any) -> None:
    h.write_live(h.turns("a"))
    (h.sessions / "_turn_journal").mkdir()
    event = {"event": "submitted", "turn_id": "t", "role": "user", "content": "lost", "created_at": 1_777_000_050.0}
    (h.sessions / "_turn_journal" / f"{h.live.stem}.jsonl").write_text(json.dumps(event))


def deleted(h: Any) -> None:
    h.write_backup(h.turns("a"))
    (h.sessions / "_deleted_webui_sessions.json").write_text(json.dumps({"version": 1, "ids": [h.live.stem]}))


def unlisted(h: Any) -> None:
    h.write_live(h.turns("a"))
    h.write_index()


def listed_only(h: Any) -> None:
    h.write_index({"session_id": h.live.stem, "title": "Gone"})


def bad_index(h: Any) -> None:
    h.write_live(h.turns("a"))
    (h.sessions / "_index.json").write_text("{")


def other_id(h: Any) -> None:
    h.write_live(h.turns("a"), session_id="_of_the_webui")


def no_folder(h: Any) -> None:
    h.write_rows(h.turns("a"))
    h.sessions.rmdir()


def from_elsewhere(h: Any) -> None:
    h.write(h.sessions / f"{h.live.stem}.json.old", h.session(h.turns("a", "b")))
    h.write_live(h.turns("a"))


def only_placeholder(h: Any) -> None:
    (h.sessions / f".{h.live.name}.icloud").write_bytes(b"bplist00")
    h.write_index({"session_id": h.live.stem, "title": "Gone"})


def miscounted(h: Any) -> None:
    h.write_live(h.turns("a"), message_count=7)


def unsafe(h: Any) -> None:
    h.write_rows(h.turns("a"), sid="../evil")


def no_worktree(h: Any) -> None:
    h.write_live(h.turns("a"), worktree_path="/nowhere/.worktrees/hermes-00000000")


def no_profile(h: Any) -> None:
    h.write_live(h.turns("a"), profile="gone")


def empty_worktree(h: Any) -> None:
    tree = str(h.home)  # any folder that is there
    h.write_index({"session_id": h.live.stem, "workspace": tree, "worktree_path": tree, "message_count": 0})


def elsewhere(h: Any) -> None:
    h.write_live(h.turns("a"))
    other = h.home / "webui-mvp" / "sessions"
    other.mkdir(parents=True)
    (other / "0123456789ab.json").write_bytes(h.live.read_bytes())


def no_database(h: Any) -> None:
    h.write_live(h.turns("a"))
    (h.home / "state.db").write_bytes(b"\0" * 4096)


def folder(h: Any) -> None:
    h.live.mkdir()


def bad_backup(h: Any) -> None:
    h.write_live(h.turns("a"))
    h.live.with_name(h.live.name + ".bak").write_bytes(b"{")


CASES: dict[str, tuple[Callable[[Any], None], Category]] = {
    "shrunken_live": (shrunken, Category.REPAIRABLE),
    "shrunken_live_unmarked": (unmarked, Category.REVIEW),
    "emptied_live": (emptied, Category.REPAIRABLE),
    "orphan_backup": (orphan, Category.REPAIRABLE),
    "orphan_backup_without_state_row": (orphan_without_row, Category.REVIEW),
    "malformed_orphan_backup": (malformed_orphan, Category.REVIEW),
    "malformed_live": (malformed, Category.REPAIRABLE),
    "backup_would_return": (cleared_long_ago, Category.INFO),
    "state_db_missing_sidecar": (missing, Category.REPAIRABLE),
    "state_db_orphan_webui_row": (empty_row, Category.REVIEW),
    "state_db_ahead": (ahead, Category.REPAIRABLE),
    "state_db_gap": (gap, Category.REPAIRABLE),
    "lossy_rebuild": (lossy, Category.REPAIRABLE),
    "unsaved_temp": (temp, Category.REPAIRABLE),
    "run_journal_ahead": (lambda h: run_journal(h, with_file=True), Category.REPAIRABLE),
    "run_journal_only": (lambda h: run_journal(h, with_file=False), Category.REVIEW),
    "stale_stream": (stuck, Category.REPAIRABLE),
    "turn_journal_pending_turn": (unanswered, Category.REVIEW),
    "state_db_deleted_webui_tombstone": (deleted, Category.INFO),
    "index_missing_entry": (unlisted, Category.REPAIRABLE),
    "index_missing_file": (listed_only, Category.REVIEW),
    "further_copy": (from_elsewhere, Category.REVIEW),
    "in_cloud": (only_placeholder, Category.REVIEW),
    "malformed_index": (bad_index, Category.REPAIRABLE),
    "id_mismatch": (other_id, Category.REVIEW),
    "wrong_count": (miscounted, Category.REPAIRABLE),
    "unsafe_id": (unsafe, Category.INFO),
    "worktree_gone": (no_worktree, Category.INFO),
    "profile_gone": (no_profile, Category.INFO),
    "index_only_worktree": (empty_worktree, Category.REPAIRABLE),
    "other_state_dir": (elsewhere, Category.REVIEW),
    "no_sessions_folder": (no_folder, Category.REVIEW),
    "state_db_unreadable": (no_database, Category.INFO),
    "damaged_file": (bad_backup, Category.INFO),
    "not_a_file": (folder, Category.INFO),
}


def test_every_kind_has_a_case() -> None:
    # one takes a fault of this program (test_workers.py), two a second user (test_owners.py)
    assert CASES.keys() | {"not_examined", "live_denied", "copy_denied"} == KINDS.keys()


@pytest.mark.parametrize("kind", CASES)
def test_each_kind_is_found_once_and_alone(hermes: Any, kind: str, snapshot: Callable[[Path], Any]) -> None:
    make, category = CASES[kind]
    make(hermes)
    before = snapshot(hermes.home)
    found = hermes.audit().findings
    assert [(f.kind.name, f.category) for f in found] == [(kind, category)]
    assert found[0].evidence
    assert all(
        (found[0].kind.severity_text, found[0].kind.advice, found[0].kind.effect, found[0].kind.usable_meanwhile)
    )
    assert snapshot(hermes.home) == before


@pytest.mark.parametrize("kind", [kind for kind, (_, category) in CASES.items() if category is Category.REPAIRABLE])
def test_what_can_be_repaired_is_repaired_and_not_found_again(hermes: Any, kind: str) -> None:
    CASES[kind][0](hermes)
    hermes.repair()
    assert [f.kind.name for f in hermes.audit().findings] == []


@pytest.mark.parametrize("kind", [kind for kind, (_, category) in CASES.items() if category is not Category.REPAIRABLE])
def test_what_needs_a_decision_is_never_done_by_itself(hermes: Any, kind: str, snapshot: Callable[[Path], Any]) -> None:
    CASES[kind][0](hermes)
    before = snapshot(hermes.home)
    assert hermes.repair().run_id is None
    assert snapshot(hermes.home) == before


def test_links_and_pipes_are_reported_and_not_followed(hermes: Any, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.write_text(json.dumps(hermes.session([])))
    hermes.live.symlink_to(outside)
    os.mkfifo(hermes.sessions / "pipe.json")
    (hermes.sessions / "loop.json").symlink_to("loop.json")
    hermes.write_backup(hermes.turns("a"))
    found = {s.session_id: [f.kind.name for f in s.findings] for s in hermes.audit().sessions}
    assert found == {hermes.live.stem: ["not_a_file"], "pipe": ["not_a_file"], "loop": ["not_a_file"]}
    hermes.repair(hermes.live.stem)
    assert hermes.live.is_symlink()
    assert json.loads(outside.read_text())["messages"] == []


def test_a_link_within_the_home_is_read_and_replaced_as_the_webui_does_it(
    hermes: Any, snapshot: Callable[[Path], dict[str, Any]]
) -> None:
    said = hermes.turns("a", "b")
    target = hermes.home / "disk" / hermes.live.name
    target.parent.mkdir()
    hermes.write(target, hermes.session(said))
    hermes.live.symlink_to(target)
    hermes.write_rows(said)
    assert hermes.kinds() == []
    hermes.write(target, hermes.session([]))
    hermes.write_backup(said)
    before = snapshot(hermes.home)
    (planned,) = api.plan(find_store(home=hermes.home)).sessions
    assert str(target) in planned.operations[0]
    result = hermes.repair()
    assert hermes.texts() == hermes.said(said)
    assert not hermes.live.is_symlink()  # as a save of the WebUI leaves it
    assert json.loads(target.read_text())["messages"] == []
    assert hermes.kinds() == []
    assert result.run_id is not None
    api.undo(find_store(home=hermes.home), result.run_id)
    for name, entry in snapshot(hermes.home).items():
        assert "rescue" in name or (entry[0], entry[4]) == (before[name][0], before[name][4])


def test_a_missing_sessions_folder_is_told_as_that(hermes: Any, rescue: Callable[..., tuple[int, str, str]]) -> None:
    hermes.write_rows(hermes.turns("a"))
    hermes.sessions.rmdir()
    hermes.sessions.parent.rmdir()
    found = hermes.audit()
    assert found.sessions == ()
    (finding,) = found.findings
    assert finding.name == "no_sessions_folder"
    assert str(hermes.sessions) in finding.evidence
    assert "sessions folder" in api.plan(find_store(home=hermes.home)).problem
    assert rescue("repair", "--all", "--yes", "--home", hermes.home)[0] == 1
    assert not hermes.sessions.exists()
    hermes.repair(hermes.live.stem)
    assert hermes.texts() == hermes.said(hermes.turns("a"))


@pytest.mark.parametrize("is_chosen", [True, False])
def test_beside_a_link_whose_file_is_right_a_repair_changes_nothing_else(hermes: Any, is_chosen: bool) -> None:
    """A larger backup goes to the vault, a choice is put down, and both can be undone."""
    said = hermes.turns("a", "b")
    act = {"truncation_boundary": said[1]["timestamp"], "truncation_watermark": said[1]["timestamp"]}
    hermes.write_old(hermes.live, said[:2], **({} if is_chosen else act))
    hermes.write_old(backup := hermes.sessions / f"{hermes.live.stem}.json.bak", said)
    hermes.live.rename(target := hermes.home / "kept.json")
    hermes.live.symlink_to(target)
    store = find_store(home=hermes.home)
    choices = hermes.choose(exclude=[2, 3]) if is_chosen else None
    result = api.apply(api.plan(store, [hermes.live.stem], choices=choices))
    assert result.count(api.State.REPAIRED) == 1
    assert hermes.live.is_symlink() and not backup.exists()
    assert hermes.kinds() == []
    api.undo(store, str(result.run_id))
    assert hermes.live.is_symlink() and backup.exists()
    assert hermes.kinds() != []


def test_a_session_whose_link_leads_nowhere_is_not_lost(hermes: Any) -> None:
    """Its disk may be away."""
    said = hermes.turns("a", "b")
    hermes.write_backup(said)
    hermes.live.symlink_to(target := hermes.home / "disk" / hermes.live.name)
    (finding,) = hermes.audit().sessions[0].findings
    assert finding.name == "not_a_file" and str(target) in finding.evidence
    hermes.repair(hermes.live.stem)
    assert hermes.live.is_symlink()
    target.parent.mkdir()
    hermes.write(target, hermes.session(said))
    assert hermes.kinds() == []


@contextmanager
def held(database: Path) -> Iterator[None]:
    """Another program has the database for itself alone."""
    with closing(sqlite3.connect(database, isolation_level=None)) as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        yield


def test_a_session_is_healthy_as_far_as_it_could_be_read_while_a_database_is_held(hermes: Hermes) -> None:
    hermes.write_rows(hermes.turns("a"))
    hermes.write_live(hermes.turns("a"))
    assert [s.standing for s in hermes.audit().sessions] == [Standing.HEALTHY]
    with held(hermes.home / "state.db"):
        assert [s.standing for s in hermes.audit().sessions] == [Standing.PARTLY_READ]
    assert [s.standing for s in hermes.audit().sessions] == [Standing.HEALTHY]


@pytest.mark.parametrize("is_listed", [False, True])
def test_a_count_is_mended_where_the_session_list_knows_that_the_file_was_saved_empty(
    hermes: Hermes, is_listed: bool
) -> None:
    """Else the wrong count is all that tells of messages that it had."""
    hermes.write_live([], message_count=3, updated_at=START + 50)
    row = hermes.listed([], updated_at=START + 50)
    hermes.write_index(row | {"last_message_at": START + 50} if is_listed else row | {"message_count": 3})
    (finding,) = (f for s in hermes.audit().sessions for f in s.findings if f.kind.name == "wrong_count")
    assert finding.category is (Category.REPAIRABLE if is_listed else Category.REVIEW)
    hermes.repair()
    assert json.loads(hermes.live.read_bytes())["message_count"] == (0 if is_listed else 3)
