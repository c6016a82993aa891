"""Sessions that a person leaves as they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.cache import AuditCache
from hermes_rescue.core.base.errors import RescueError
from hermes_rescue.core.hermes.store import Store, find_store

Rescue = Callable[..., tuple[int, str, str]]


@pytest.fixture
def store(hermes: Any) -> Store:
    """One session that was wiped, its backup beside it."""
    hermes.write_live([])
    hermes.write_backup(hermes.turns("a", "b"))
    return find_store(home=hermes.home)


def test_a_session_that_was_left_counts_no_more(hermes: Any, store: Store, rescue: Rescue) -> None:
    sid, home = hermes.live.stem, ("--home", hermes.home)
    before = hermes.live.read_bytes()
    assert rescue("audit", *home)[0] == 1
    status, out, _ = rescue("leave", sid, *home)
    assert status == 0 and f"--forget --home {hermes.home}" in out
    for words in (("audit",), ("show", sid)):
        status, out, _ = rescue(*words, *home)
        assert status == 0
        assert "left as it is (by you)" in out and "can be repaired:" not in out
    assert "0 can be repaired" in rescue("audit", *home)[1]
    found = json.loads(rescue("audit", "--json", *home)[1])
    assert found["status"] == "ok" and found["summary"]["repairable"] == 0
    assert [each["left_by_you"] for each in found["sessions"]] == [True]
    status, out, _ = rescue("repair", "--all", "--yes", *home)
    assert status == 0 and "nothing to repair" in out
    assert hermes.live.read_bytes() == before
    (session,) = api.audit(store).sessions
    assert session.is_left and session.has_repair


def test_it_can_be_repaired_by_its_name_all_the_same(hermes: Any, store: Store, rescue: Rescue) -> None:
    api.leave(store, hermes.live.stem)
    assert rescue("repair", hermes.live.stem, "--yes", "--home", hermes.home)[0] == 0
    assert len(hermes.load()["messages"]) == 4


def test_it_can_be_taken_back(hermes: Any, store: Store, rescue: Rescue) -> None:
    sid, home = hermes.live.stem, ("--home", hermes.home)
    rescue("leave", sid, *home)
    assert rescue("leave", sid, "--forget", *home)[0] == 0
    assert rescue("audit", *home)[0] == 1
    assert rescue("repair", "--all", "--yes", *home)[0] == 0
    assert not api.take_back_leave(store, sid)


@pytest.mark.parametrize("copy", ["live", "backup"])
def test_it_holds_until_a_copy_changes(hermes: Any, store: Store, copy: str, tmp_path: Path) -> None:
    cache = lambda: AuditCache(store, tmp_path / "cache")  # noqa: E731
    api.leave(store, hermes.live.stem)
    assert api.audit(store, cache=cache()).sessions[0].is_left
    assert api.audit(store, cache=cache()).sessions[0].is_left
    if copy == "live":
        hermes.write_live(hermes.turns("a"))
    else:
        hermes.write_backup(hermes.turns("a", "b", "c"))
    (session,) = api.audit(store, cache=cache()).sessions
    assert not session.is_left and session.findings
    assert len(api.plan(store).sessions) == 1


def test_a_question_can_be_left_too(hermes: Any) -> None:
    hermes.write_rows([], cwd="/srv")
    store = find_store(home=hermes.home)
    assert api.plan(store).questions == (hermes.live.stem,)
    api.leave(store, hermes.live.stem)
    assert api.plan(store).questions == ()
    assert api.audit(store).sessions[0].is_left


def test_only_what_waits_can_be_left(hermes: Any) -> None:
    hermes.write_live(hermes.turns("a"))
    store = find_store(home=hermes.home)
    for session_id in (hermes.live.stem, "0123456789ab"):
        with pytest.raises(RescueError):
            api.leave(store, session_id)
    assert not store.vault_root.exists()


@pytest.mark.parametrize("text", ["", "[]", '{"sessions": [1]}', '{"sessions": {"../x": "y", "a": 7}}', "\0" * 99])
def test_an_edited_list_leaves_nothing(hermes: Any, store: Store, text: str) -> None:
    sid = hermes.live.stem
    api.leave(store, sid)
    (store.vault_root / "left.json").write_text(text)
    assert not api.audit(store).sessions[0].is_left
    api.leave(store, sid)
    assert api.audit(store).sessions[0].is_left
