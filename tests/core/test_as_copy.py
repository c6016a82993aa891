"""A session restored under a new id: a whole session of its own, beside one that stays as it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.findings import Standing
from hermes_rescue.core.demo.demo_store import DemoStore, make_demo_store
from hermes_rescue.core.hermes.sidecar import FIELD_DEFAULTS, IDLE_STREAM
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.merge.choices import Choices

Rescue = Callable[..., tuple[int, str, str]]


@pytest.fixture
def demo(tmp_path: Path) -> DemoStore:
    return make_demo_store(tmp_path / "demo")


def files_of(demo: DemoStore) -> dict[str, bytes]:
    folder = demo.home / "webui" / "sessions"
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name != "_index.json"}


def the_new(demo: DemoStore, before: dict[str, bytes]) -> dict[str, Any]:
    (name,) = files_of(demo).keys() - before.keys()
    found: dict[str, Any] = json.loads(files_of(demo)[name])
    assert name == f"{found['session_id']}.json"
    return found


def test_each_session_is_restored_beside_itself_and_undone(demo: DemoStore) -> None:
    store, before = find_store(home=demo.home), files_of(demo)
    databases = [(path, path.read_bytes()) for path in store.databases]
    for story in demo.stories:
        plan = api.copy_plan(store, story.session_id)
        if not plan.sessions:
            assert plan.refused.keys() == {story.session_id}
            continue
        result = api.apply(plan)
        assert result.count(api.State.REPAIRED) == 1
        assert {name: files_of(demo).get(name) for name in before} == before
        assert [(path, path.read_bytes()) for path in store.databases] == databases
        made = the_new(demo, before)
        assert made["title"].startswith(story.title) and made["title"] != story.title
        assert made["message_count"] == len(made["messages"]) == plan.sessions[0].messages_after
        of_one_session = [*IDLE_STREAM, "parent_session_id", "share_token", "intentional_shrink_generation"]
        of_one_session += ["clear_generation", "truncation_watermark", "truncation_boundary"]
        of_one_session += [name for name in FIELD_DEFAULTS if name.startswith("worktree_")]
        assert {name: made[name] for name in of_one_session} == {name: FIELD_DEFAULTS[name] for name in of_one_session}
        audited = next(s for s in api.audit(store).sessions if s.session_id == made["session_id"])
        assert audited.standing is Standing.HEALTHY
        assert audited.database is None
        assert api.undo(store, str(result.run_id)).undone == (made["session_id"],)
        assert files_of(demo) == before
    assert sum(bool(api.copy_plan(store, story.session_id).sessions) for story in demo.stories) > 20


def test_the_copy_has_what_a_repair_would_give_and_outlives_it(demo: DemoStore, rescue: Rescue) -> None:
    sid = next(story.session_id for story in demo.stories if story.name == "wiped")
    before = files_of(demo)
    status, out, _ = rescue("repair", sid, "--as-copy", "--yes", "--home", demo.home)
    assert status == 0 and "Undo:" in out and sid in out
    made = the_new(demo, before)
    assert rescue("repair", sid, "--yes", "--home", demo.home)[0] == 0
    repaired = json.loads(files_of(demo)[f"{sid}.json"])
    assert made["messages"] == repaired["messages"]
    assert made["model"] == repaired["model"] and made["created_at"] == repaired["created_at"]
    index = json.loads((demo.home / "webui" / "sessions" / "_index.json").read_bytes())
    assert {sid, made["session_id"]} <= {row["session_id"] for row in index}


def test_what_a_person_chose_is_left_out_of_the_copy_too(demo: DemoStore) -> None:
    store, before = find_store(home=demo.home), files_of(demo)
    sid = next(story.session_id for story in demo.stories if story.name == "wiped")
    whole = api.copy_plan(store, sid).sessions[0].messages_after
    plan = api.copy_plan(store, sid, Choices(exclude=frozenset((0, 1))))
    assert plan.refused  # made on no proposal
    from hermes_rescue.core.audit.session import merge_session
    from hermes_rescue.core.base.progress import Steps
    from hermes_rescue.core.hermes.inventory import Inventory
    from hermes_rescue.core.hermes.webui_status import webui_status

    with Inventory(store) as inventory:
        _, proposal = merge_session(inventory, webui_status(store), sid, steps=Steps())
    plan = api.copy_plan(store, sid, Choices(exclude=frozenset((0, 1)), made_on=proposal.fingerprint))
    api.apply(plan)
    assert len(the_new(demo, before)["messages"]) == whole - 2


def test_a_copy_that_changed_since_the_plan_is_not_written(demo: DemoStore) -> None:
    store, before = find_store(home=demo.home), files_of(demo)
    sid = next(story.session_id for story in demo.stories if story.name == "wiped")
    plan = api.copy_plan(store, sid)
    live = demo.home / "webui" / "sessions" / f"{sid}.json"
    now = json.loads(live.read_bytes())
    now["messages"].append({"role": "user", "content": "And one thing more.", "timestamp": now["updated_at"] + 60})
    live.write_text(json.dumps(now | {"message_count": len(now["messages"])}))
    assert api.apply(plan).count(api.State.REPAIRED) == 0
    assert files_of(demo).keys() == before.keys()


def test_it_is_for_one_session_that_there_is(demo: DemoStore, rescue: Rescue) -> None:
    assert rescue("repair", "--all", "--as-copy", "--yes", "--home", demo.home)[0] == 2
    ids = [story.session_id for story in demo.stories[:2]]
    assert rescue("repair", *ids, "--as-copy", "--yes", "--home", demo.home)[0] == 2
    status, _, err = rescue("repair", "nobody", "--as-copy", "--yes", "--home", demo.home)
    assert status != 0 and "nobody" in err
