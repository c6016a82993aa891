"""A WebUI that runs: what a repair may do beside it, and that what it did is still there when the WebUI saves again."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.session import examine
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.sidecar import FIELD_DEFAULTS
from hermes_rescue.core.hermes.store import Store, find_store
from hermes_rescue.core.hermes.webui_status import webui_status
from hermes_rescue.core.merge.choices import Choices
from hermes_rescue.core.repair.outcomes import State

from .stage import command
from .webui import OtherProcess, server_process, webui_process

SID = "3f2a9c51b7d0"
WORDS = [f"message {k}" for k in range(6)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """One session that a stale save has halved, beside the backup that has all of it."""
    sessions = tmp_path / "hermes" / "webui" / "sessions"
    sessions.mkdir(parents=True)
    write(sessions / f"{SID}.json", WORDS[:2])
    write(sessions / f"{SID}.json.bak", WORDS)
    return find_store(home=tmp_path / "hermes")


@pytest.fixture
def webui(store: Store) -> Iterator[OtherProcess]:
    """A WebUI that serves the store, and has opened nothing yet."""
    assert store.home is not None
    with webui_process(store.home) as process:
        process("start")
        yield process


def write(path: Path, words: list[str], **fields: Any) -> bytes:
    """A session file as the WebUI writes it."""
    messages = [
        {"role": ("user", "assistant")[k % 2], "content": word, "timestamp": 1_777_000_000.0 + k}
        for k, word in enumerate(words)
    ]
    usual = {"session_id": SID, "title": "Notes", "workspace": "/srv", "updated_at": 1_777_000_100.0}
    session = {**FIELD_DEFAULTS, **usual, "message_count": len(messages), **fields, "messages": messages}
    path.write_text(json.dumps(session, indent=2))
    return path.read_bytes()


def live(store: Store) -> Path:
    return store.sessions_dir / f"{SID}.json"


def words(store: Store) -> list[str]:
    return [message["content"] for message in json.loads(live(store).read_bytes())["messages"]]


def rescue(store: Store, *arguments: str) -> tuple[int, str, str]:
    """The real command in a process of its own: its exit status, stdout and stderr."""
    ended = command(*arguments, "--home", store.home)
    return ended.status, ended.out, ended.err


def test_its_answer_and_its_notes_are_understood(store: Store, webui: OtherProcess) -> None:
    assert (webui_status(store).running, webui_status(store).active_streams) == (True, 0)
    webui("stream", SID, "s1")
    assert webui_status(store).active_streams == 1


def test_a_growing_file_is_replaced_and_the_webui_goes_on_with_it(store: Store, webui: OtherProcess) -> None:
    """The WebUI has the halved session in its memory; it reads the longer file before it saves again."""
    webui("get", SID)
    assert rescue(store, "repair", "--all", "--yes")[0] == 0
    new = webui("say", SID)
    assert words(store) == [*WORDS, new]


def test_a_lost_file_is_created_also_while_answers_stream(store: Store, webui: OtherProcess) -> None:
    write(store.sessions_dir / "another.json", WORDS, session_id="another")
    webui("stream", "another", "s1")
    live(store).unlink()
    assert rescue(store, "repair", "--all", "--yes")[0] == 0
    assert words(store) == WORDS
    new = webui("say", SID)
    assert words(store) == [*WORDS, new]


def test_a_session_that_is_being_answered_is_left_alone_until_it_is_done(store: Store, webui: OtherProcess) -> None:
    webui("stream", SID, "s1")
    before = live(store).read_bytes()
    status, said, _ = rescue(store, "repair", SID, "--yes")
    assert status == 1
    assert "may be writing an answer" in " ".join(said.split())
    assert live(store).read_bytes() == before
    webui("stream", SID, None)
    assert rescue(store, "repair", "--all", "--yes")[0] == 0
    assert words(store) == WORDS


def test_what_the_webui_would_not_notice_is_refused_and_force_names_the_risk(store: Store, webui: OtherProcess) -> None:
    """The count on disk does not grow, so the WebUI goes on with what it has in its memory, and saves that."""
    webui("get", SID)
    before = write(live(store), WORDS, message_count=9)
    status, said, _ = rescue(store, "repair", "--all", "--yes")
    assert status == 1
    assert "would not notice the change, but write over it. Stop it first: " in " ".join(said.split())
    assert live(store).read_bytes() == before
    risk = " ".join(rescue(store, "repair", "--help")[1].replace("│", " ").split())
    assert "although Hermes WebUI is running: what it saves afterwards can undo the repair" in risk
    assert rescue(store, "repair", "--all", "--yes", "--force")[0] == 0
    assert json.loads(live(store).read_bytes())["message_count"] == len(WORDS)


@pytest.mark.parametrize("version", ["0.51.326", None])
def test_beside_a_version_that_never_reloads_nothing_is_replaced(store: Store, version: str | None) -> None:
    """It would go on with the halved session that it has in its memory, and save that."""
    assert store.home is not None
    before = live(store).read_bytes()
    lost = write(store.sessions_dir / "another.json", WORDS, session_id="another")
    (store.sessions_dir / "another.json.bak").write_bytes(lost)
    (store.sessions_dir / "another.json").unlink()
    with webui_process(store.home) as webui:
        webui("start", version)
        webui("get", SID)
        status, said, _ = rescue(store, "repair", "another", SID, "--yes")
        assert status == 1
        told = " ".join(said.split())
        assert "would not notice the change, but write over it. Stop it first: " in told
        assert f"kill {webui.pid} (process {webui.pid}, http://127.0.0.1:" in told
        assert live(store).read_bytes() == before
        assert (store.sessions_dir / "another.json").read_bytes()
    assert rescue(store, "repair", "--all", "--yes")[0] == 0
    assert words(store) == WORDS


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the processes")
def test_a_webui_that_was_started_by_hand_is_noticed(store: Store) -> None:
    """Without a note and on a port of its own; stopped, it leaves nothing that keeps anyone from repairing."""
    assert store.home is not None
    before = live(store).read_bytes()
    with server_process(store.home, HERMES_HOME=str(store.home)) as webui:
        webui("listen", "0.50.285")
        assert rescue(store, "repair", "--all", "--yes")[0] == 1
        assert live(store).read_bytes() == before
    assert rescue(store, "repair", "--all", "--yes")[0] == 0
    assert words(store) == WORDS


@pytest.mark.parametrize("begin", ["start", "stream"])
def test_a_webui_that_starts_between_plan_and_apply_is_noticed(store: Store, begin: str) -> None:
    """Both that it runs and that it streams into the very session."""
    assert store.home is not None
    if begin == "start":
        write(live(store), WORDS, message_count=9)
    plan = api.plan(store)
    assert [planned.session_id for planned in plan.sessions] == [SID]
    with webui_process(store.home) as webui:
        webui("start")
        if begin == "stream":
            webui("stream", SID, "s1")
        before = live(store).read_bytes()
        outcome = api.apply(plan).outcomes[0]
        assert outcome.state is State.SKIPPED
        assert ("Stop it first" if begin == "start" else "answer") in outcome.reason
        assert live(store).read_bytes() == before


def test_a_repair_survives_the_start_of_the_webui(store: Store) -> None:
    """At its start the WebUI puts a backup that holds more than its file in the place of it."""
    assert store.home is not None
    write(store.sessions_dir / f"{SID}.json.bak", [*WORDS, "brought back"])
    with Inventory(store) as inventory:
        proposal = examine(inventory, webui_status(store), SID).proposal
    choices = {SID: Choices(exclude=frozenset({len(WORDS)}), made_on=proposal.fingerprint)}
    assert api.apply(api.plan(store, [SID], choices=choices)).count(State.REPAIRED) == 1
    assert words(store) == WORDS
    with webui_process(store.home) as webui:
        assert webui("restore") == []
        new = webui("say", SID)
    assert words(store) == [*WORDS, new]


def test_an_undo_that_the_webui_would_write_over_is_refused(
    store: Store, webui: OtherProcess, snapshot: Callable[[Path], Any]
) -> None:
    """The WebUI has read the repaired session, and what comes back is shorter. The output of the repair says so."""
    status, said, _ = rescue(store, "repair", "--all", "--yes")
    assert status == 0 and "can be put back, once Hermes WebUI is stopped: " in " ".join(said.split())
    webui("get", SID)
    repaired = snapshot(store.sessions_dir)
    status, _, said = rescue(store, "undo", "--yes")
    assert status == 3
    assert "would not notice the change, but write over it. Stop it first: " in " ".join(said.split())
    assert snapshot(store.sessions_dir) == repaired
    status, said, _ = rescue(store, "undo", "--yes", "--force")
    assert status == 0 and "Restart Hermes WebUI now" in said
    assert words(store) == WORDS[:2]
