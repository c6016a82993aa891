"""Whole damaged stores: the demo store that everybody has, and the corpus of stores that the real programs wrote."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.findings import Category
from hermes_rescue.core.audit.store_audit import audit
from hermes_rescue.core.demo.demo_store import Story, make_demo_store
from hermes_rescue.core.hermes.message import message
from hermes_rescue.core.hermes.sidecar import read
from hermes_rescue.core.hermes.store import find_store

from ..conftest import LONG, as_stranger

SCORER = Path(__file__).parents[3] / "shared" / "tools" / "score_corpus.py"
CORPORA = ("a", "b", "c")
STORES = ("demo", *CORPORA)


def stores(real: str) -> pytest.MarkDecorator:
    """The test on the demo store and on one with real sessions; on request on all."""
    return pytest.mark.parametrize("name", STORES if LONG else ("demo", real))


Home = Callable[[str], Path]
Snapshot = Callable[[Path], dict[str, Any]]
Rescue = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(corpus: Callable[[str], Path], tmp_path: Path) -> Home:
    """A private copy of a store by name."""

    def make(name: str) -> Path:
        if name == "demo":
            return make_demo_store(tmp_path / "demo").home
        return corpus(name) / "store"

    return make


def without_vault(snapshot: dict[str, Any]) -> dict[str, Any]:
    """Names, types, modes and bytes; folders without their size and time, which any new name in them changes."""
    kept = {name: entry for name, entry in snapshot.items() if not Path(name).is_relative_to("webui/rescue")}
    return {name: entry if entry[0] == "file" else (*entry[:2], entry[4]) for name, entry in kept.items()}


@pytest.fixture
def scorer() -> ModuleType:
    if not SCORER.is_file():
        pytest.skip("the scoring tool is not here: no shared/tools beside the checkout")
    spec = importlib.util.spec_from_file_location("score_corpus", SCORER)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", CORPORA)
def test_every_session_of_the_corpus_comes_back_right(
    corpus: Callable[[str], Path], rescue: Rescue, scorer: ModuleType, name: str
) -> None:
    root = corpus(name)
    status, _, err = rescue("repair", "--all", "--yes", "--home", root / "store")
    assert status in (0, 1), err
    truth = json.loads((root / "truth.json").read_text("utf-8"))
    scores = {sid: scorer.judge(sid, wanted, root / "store" / "webui" / "sessions") for sid, wanted in truth.items()}
    assert [(sid, truth[sid]["class"], dict(s)) for sid, s in scores.items() if not s["right_fields"]] == []


def story_texts(story: Story) -> list[str]:
    return [" ".join(text.split()) for text in story.wanted]


def test_every_story_of_the_demo_store_comes_back_right(tmp_path: Path) -> None:
    made = make_demo_store(tmp_path / "demo")
    sessions = made.home / "webui" / "sessions"
    before = {path.name: path.read_bytes() for path in sessions.glob("*.json")}
    store = find_store(home=made.home)
    api.apply(api.plan(store))
    for story in made.stories:
        path = sessions / f"{story.session_id}.json"
        if story.expect == "absent":
            assert not path.exists(), story.name
        elif story.expect == "repaired":
            parsed = read(path).sidecar
            assert parsed is not None and parsed.damage is None, story.name
            texts = [" ".join(message(piece).text.split()) for piece in parsed.messages]
            assert [text.removesuffix(" [screenshot]") for text in texts] == story_texts(story), story.name
            assert parsed.get("message_count") == len(story.wanted), story.name
        else:
            assert before.get(path.name) == (path.read_bytes() if path.exists() else None), story.name
    questions = {story.session_id for story in made.stories if story.expect == "review"}
    assert {s.session_id for s in audit(store).of(Category.REVIEW)} == questions
    api.apply(api.plan(store, sorted(questions)))
    for story in made.stories:
        if story.expect == "review":
            parsed = read(sessions / f"{story.session_id}.json").sidecar
            assert parsed is not None
            assert [" ".join(message(piece).text.split()) for piece in parsed.messages] == story_texts(story)


@stores("a")
def test_a_second_repair_finds_nothing_and_changes_no_byte(home: Home, snapshot: Snapshot, name: str) -> None:
    store = find_store(home=home(name))
    assert api.apply(api.plan(store)).run_id is not None
    assert store.home is not None
    before = snapshot(store.home)
    plan = api.plan(store)
    assert plan.is_empty
    assert api.apply(plan).run_id is None
    assert snapshot(store.home) == before


@stores("b")
def test_an_undo_gives_back_every_byte_name_and_mode(home: Home, snapshot: Snapshot, name: str) -> None:
    store = find_store(home=home(name))
    assert store.home is not None
    before = snapshot(store.home)
    result = api.apply(api.plan(store))
    assert result.run_id is not None
    assert without_vault(snapshot(store.home)) != without_vault(before)
    undone = api.undo(store, result.run_id)
    assert not undone.refused
    assert without_vault(snapshot(store.home)) == without_vault(before)


@stores("c")
def test_an_undo_of_one_session_leaves_the_others_repaired(home: Home, name: str) -> None:
    store = find_store(home=home(name))
    before = {path.name: path.read_bytes() for path in store.sessions_dir.iterdir() if path.is_file()}
    result = api.apply(api.plan(store))
    assert result.run_id is not None
    repaired = {path.name: path.read_bytes() for path in store.sessions_dir.iterdir() if path.is_file()}
    one = result.outcomes[0].session_id
    assert api.undo(store, result.run_id, one).undone == (one,)
    after = {path.name: path.read_bytes() for path in store.sessions_dir.iterdir() if path.is_file()}
    mine = {f"{one}.json", f"{one}.json.bak"}
    assert {k: v for k, v in after.items() if k in mine} == {k: v for k, v in before.items() if k in mine}
    rest = {*mine, "_index.json"}
    assert {k: v for k, v in after.items() if k not in rest} == {k: v for k, v in repaired.items() if k not in rest}


READING = (
    ["audit"],
    ["audit", "--json"],
    ["show", "SID"],
    ["diff", "SID"],
    ["history"],
    ["report"],
    ["repair", "--all", "--dry-run"],
)


def damaged_session(home: Path) -> str:
    return audit(find_store(home=home)).of(Category.REPAIRABLE)[0].session_id


@stores("a")
def test_reading_leaves_no_trace(home: Home, rescue: Rescue, snapshot: Snapshot, name: str) -> None:
    place = home(name)
    before = snapshot(place)
    sid = damaged_session(place)
    for command in READING:
        status, out, err = rescue(*(sid if word == "SID" else word for word in command), "--home", place)
        assert status in (0, 1), (command, err)
        assert out
    assert snapshot(place) == before


def open_to_all(place: Path) -> None:
    for folder, _, names in os.walk(place):
        os.chmod(folder, 0o555)
        for each in names:
            if not os.path.islink(os.path.join(folder, each)):
                os.chmod(os.path.join(folder, each), 0o444)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
@stores("b")
def test_reading_works_as_a_user_who_may_not_write_in_a_read_only_folder(
    home: Home, rescue: Rescue, snapshot: Snapshot, name: str
) -> None:
    with tempfile.TemporaryDirectory() as public:
        os.chmod(public, 0o755)
        place = Path(public) / "store"
        shutil.copytree(home(name), place)
        open_to_all(place)
        before = snapshot(place)
        sid = damaged_session(place)
        commands = [[sid if word == "SID" else word for word in command] for command in READING]
        as_root = [rescue(*command, "--home", place)[0] for command in commands]
        commands.append(["repair", "--all", "--yes"])
        seen = as_stranger(lambda: [rescue(*command, "--home", place) for command in commands])
        assert [status for status, _, _ in seen] == [*as_root, 3], [err for _, _, err in seen]
        assert seen[-1][2].startswith("hermes-rescue: ")
        assert seen[-1][2].count("\n") == 1
        assert snapshot(place) == before
