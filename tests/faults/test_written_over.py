"""Repairs that a running WebUI writes over, since it has the session as it was in its memory: they are told as that."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.findings import SessionAudit
from hermes_rescue.core.audit.written_over import path_of
from hermes_rescue.core.hermes.store import Store

from .test_webui_running import SID, WORDS, live, rescue, write
from .test_webui_running import store as store
from .webui import OtherProcess, server_process

REASONING = "first this, then that"


@pytest.fixture
def old(store: Store) -> Iterator[OtherProcess]:
    """A WebUI of a version that never reads a file again, with the halved session in its memory."""
    assert store.home is not None
    with server_process(store.home, HERMES_HOME=str(store.home)) as process:
        process("listen", "0.50.285")
        process("get", SID)
        yield process


def audited(store: Store) -> SessionAudit:
    return next(each for each in api.audit(store).sessions if each.session_id == SID)


def said(text: str) -> str:
    return " ".join(text.split())


def test_a_repair_that_was_written_over_is_told_as_that_everywhere(store: Store, old: OtherProcess) -> None:
    assert rescue(store, "repair", "--all", "--yes", "--force")[0] == 0
    assert audited(store).findings == ()
    old("say", SID)
    session = audited(store)
    assert session.main is not None
    assert session.is_written_over
    how = f"saved over the repair of 12:00. Stop it (kill {old.pid} "
    assert how in session.main.text(lambda _: "12:00")
    _, out, _ = rescue(store, "audit")
    assert "repair written over" in out and f"Stop it (kill {old.pid} " in said(out)
    for words in (("show", SID), ("report",)):
        assert "Hermes WebUI saved over the repair of 20" in said(rescue(store, *words)[1]).replace("\\", "")
    (item,) = [each for each in json.loads(rescue(store, "audit", "--json")[1])["items"] if each.get("written_over")]
    assert "saved over the repair of 20" in item["evidence"] and "4 messages" in item["evidence"]
    assert item["what_to_do"].startswith("Stop Hermes WebUI")


def test_a_repair_of_parts_that_was_written_over_is_told_as_that(store: Store, old: OtherProcess) -> None:
    """The count of messages is the same all the while."""
    whole = json.loads(write(store.sessions_dir / f"{SID}.json.bak", WORDS))
    whole["messages"][1]["reasoning"] = REASONING
    (store.sessions_dir / f"{SID}.json.bak").write_text(json.dumps(whole))
    write(live(store), WORDS)
    old("open", SID)
    rescue(store, "repair", "--all", "--yes", "--force")
    assert json.loads(live(store).read_bytes())["messages"][1]["reasoning"] == REASONING
    old("save", SID)
    assert [f.name for f in audited(store).findings] == ["lossy_rebuild"]
    assert audited(store).is_written_over


@pytest.mark.parametrize("how", ["undo", "forgotten", "garbled", "later", "deleted"])
def test_nothing_else_is_taken_for_that(store: Store, old: OtherProcess, how: str) -> None:
    rescue(store, "repair", "--all", "--yes", "--force")
    kept = path_of(store)
    assert WORDS[5] not in kept.read_text()
    match how:
        case "undo":  # the old state is back, and meant
            assert rescue(store, "undo", "--yes", "--force")[0] == 0
        case "forgotten":
            kept.unlink()
            old("say", SID)
        case "garbled":
            kept.write_text('{"version": 1, "sessions": {"a": 3}}')
            old("say", SID)
        case "later":  # the WebUI went on with what was repaired; what it lost since is something else
            session = json.loads(live(store).read_bytes())
            more = [*WORDS, "question", "answer"]
            write(store.sessions_dir / f"{SID}.json.bak", more)
            write(live(store), more[:-1], title=session["title"])
        case "deleted":
            live(store).unlink()
    session = audited(store)
    assert session.findings and not session.is_written_over


def test_what_is_remembered_of_repairs_is_for_their_user_alone_and_ends(store: Store, old: OtherProcess) -> None:
    rescue(store, "repair", "--all", "--yes", "--force")
    kept = path_of(store)
    assert kept.stat().st_mode & 0o777 == 0o600
    found = json.loads(kept.read_bytes())
    found["sessions"] = {SID: {**found["sessions"][SID], "at": 1e9}, "another": found["sessions"][SID]}
    kept.write_text(json.dumps(found))
    write(store.sessions_dir / "third.json", [], session_id="third")
    write(store.sessions_dir / "third.json.bak", WORDS, session_id="third")
    assert rescue(store, "repair", "third", "--yes", "--force")[0] == 0
    assert json.loads(kept.read_bytes())["sessions"].keys() == {"another", "third"}
