"""What a session was before a repair, what the repair left and what is there now, and whether an undo is possible."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.base.errors import VaultError
from hermes_rescue.core.base.files import digest_of
from hermes_rescue.core.hermes.store import Store, find_store
from hermes_rescue.core.repair.run_record import Run
from hermes_rescue.core.repair.vault import Vault
from hermes_rescue.core.report.history import AFTER, BEFORE, NOT_THERE, NOW, OF_BACKUP, History, SessionVersions

Rescue = Callable[..., tuple[int, str, str]]
SID = "3f2a9c51b7d0"


@pytest.fixture
def store(hermes: Any) -> Store:
    """A session that lost two of its three turns, and a lost one."""
    hermes.write_live(hermes.turns("a"))
    hermes.write_backup(hermes.turns("a", "b", "c"), title="Old notes")
    hermes.write_rows(hermes.turns("x"), sid="0123456789ab", title="Lost")
    return find_store(home=hermes.home)


def repaired(store: Store) -> Run:
    done = api.apply(api.plan(store))
    assert done.run_id is not None
    return Vault.of(store).read_run(done.run_id)


def said(past: SessionVersions) -> dict[str, list[str]]:
    """What each version says, without the answers."""
    return {name: [m.text for m in version.messages if m.role == "user"] for name, version in past.versions.items()}


def refusals(store: Store, run: Run) -> dict[str, str | None]:
    return dict(Vault.of(store).undo_refusals(Vault.of(store).read_run(run.run_id)))


def test_right_after_a_repair_the_file_is_what_it_left(store: Store) -> None:
    past = History(store, repaired(store)).versions(SID)
    assert said(past) == {BEFORE: ["ask a"], AFTER: ["ask a", "ask b", "ask c"], NOW: ["ask a", "ask b", "ask c"]}
    assert past.pair == (BEFORE, NOW)
    assert past.notes == ()


def test_a_created_file_had_nothing_before(store: Store) -> None:
    past = History(store, repaired(store)).versions("0123456789ab")
    assert said(past) == {BEFORE: [], AFTER: ["ask x"], NOW: ["ask x"]}


def test_what_nobody_holds_any_more_is_said_to_be_gone(hermes: Any, store: Store) -> None:
    run = repaired(store)
    hermes.write_live(hermes.turns("a", "b", "c", "d"))
    past = History(store, run).versions(SID)
    assert said(past) == {BEFORE: ["ask a"], NOW: ["ask a", "ask b", "ask c", "ask d"]}
    assert past.notes == (NOT_THERE,)


def test_what_a_later_repair_replaced_is_found_in_the_vault(hermes: Any, store: Store) -> None:
    first = repaired(store)
    left = hermes.live.read_bytes()
    session = json.loads(left)
    hermes.write_rows(hermes.turns("a", "b", "c", "d"))
    second = repaired(store)
    assert first.run_id != second.run_id
    assert len(hermes.load()["messages"]) == len(session["messages"]) + 2
    past = History(store, first).versions(SID)
    assert said(past)[AFTER] == ["ask a", "ask b", "ask c"]
    assert said(past)[NOW] == ["ask a", "ask b", "ask c", "ask d"]
    assert past.notes == ()


def test_a_file_that_is_gone_now_is_empty_now(hermes: Any, store: Store) -> None:
    run = repaired(store)
    hermes.live.unlink()
    past = History(store, run).versions(SID)
    assert said(past)[NOW] == []
    assert refusals(store, run)[SID] is not None


def test_what_cannot_be_read_now_is_said(hermes: Any, store: Store, tmp_path: Path) -> None:
    run = repaired(store)
    hermes.live.unlink()
    hermes.live.symlink_to(tmp_path)
    past = History(store, run).versions(SID)
    assert said(past)[NOW] == []
    assert "symbolic link" in " ".join(past.notes)


def test_where_only_the_backup_has_changed_it_is_the_backup_that_is_compared(hermes: Any) -> None:
    hermes.write_live(hermes.turns("a"))
    backup = hermes.write_backup(hermes.turns("b"))
    store = find_store(home=hermes.home)
    with Vault.of(store).begin_run((), 0) as active:
        active.remove(SID, f"{SID}.json.bak", digest_of(backup))
    run = Vault.of(store).read_run(active.run_id)
    assert refusals(store, run) == {SID: None}
    hermes.write_backup(hermes.turns("z"))
    past = History(store, run).versions(SID)
    assert past.pair == (OF_BACKUP + BEFORE, OF_BACKUP + NOW)
    assert said(past)[OF_BACKUP + NOW] == ["ask z"]
    assert said(past)[OF_BACKUP + AFTER] == []
    assert "has changed since the run" in str(refusals(store, run)[SID])


def test_a_kept_copy_that_is_damaged_is_no_version(hermes: Any, store: Store) -> None:
    run = repaired(store)
    operation = next(each for each in run.operations if each.session_id == SID)
    kept = store.vault_root / "runs" / run.run_id / "files" / str(operation.kept)
    kept.write_bytes(b"{}")
    with pytest.raises(VaultError, match="is damaged"):
        History(store, run).versions(SID)
    assert "is damaged" in str(refusals(store, run)[SID])


def test_a_session_that_the_run_has_not_changed_has_no_past(store: Store) -> None:
    with pytest.raises(VaultError, match="has not changed"):
        History(store, repaired(store)).versions("ffffffffffff")


def test_what_would_be_refused_is_what_is_refused(hermes: Any, store: Store) -> None:
    run = repaired(store)
    assert refusals(store, run) == {SID: None, "0123456789ab": None}
    hermes.write_live(hermes.turns("mine"))
    told = refusals(store, run)
    result = api.undo(store, run.run_id)
    assert {sid: reason for sid, reason in told.items() if reason} == dict(result.refused)
    assert set(result.refused) == {SID}
    assert refusals(store, run) == told


def test_looking_back_leaves_no_trace(
    hermes: Any, store: Store, snapshot: Callable[[Path], object], rescue: Rescue
) -> None:
    run = repaired(store)
    hermes.write_live(hermes.turns("mine"))
    before = snapshot(hermes.home)
    refusals(store, run)
    History(store, run).versions(SID)
    assert rescue("diff", SID, "--run", run.run_id, "--home", hermes.home)[0] == 1
    assert snapshot(hermes.home) == before


def test_the_terminal_shows_what_changed_since(hermes: Any, store: Store, rescue: Rescue) -> None:
    run = repaired(store)
    hermes.write_live(hermes.turns("mine"))
    status, _, _ = rescue("undo", run.run_id, "--yes", "--home", hermes.home)
    assert status == 1
    _, text, _ = rescue("diff", SID, "--run", run.run_id, "--home", hermes.home)
    assert "--- before\n+++ now\n" in text
    assert "- user" in text
    assert "+ user" in text
    assert "ask a" in text
    assert "ask mine" in text
    assert NOT_THERE in text
    status, text, _ = rescue("diff", SID, "--run", run.run_id, "--to", "before", "--json", "--home", hermes.home)
    assert (status, json.loads(text)["to"]) == (0, "before")
    status, _, told = rescue("diff", SID, "--run", run.run_id, "--to", "live", "--home", hermes.home)
    assert status == 3
    assert "It has: before, now." in told
