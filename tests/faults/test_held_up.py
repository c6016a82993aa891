"""A repair that had one right answer, and that a WebUI held up which leaves no marks: it stays certain."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.hermes.held_up import path_of
from hermes_rescue.core.hermes.store import Store

from .test_webui_running import SID, WORDS, live, rescue, words, write
from .test_webui_running import store as store
from .webui import OtherProcess, server_process


@pytest.fixture(params=["halved", "wiped"])
def old(store: Store, request: pytest.FixtureRequest) -> Iterator[OtherProcess]:
    """A WebUI that knows no marks and never reads a file again, with the damaged session in its memory."""
    assert store.home is not None
    if request.param == "wiped":
        write(live(store), [])
    with server_process(store.home, HERMES_HOME=str(store.home)) as process:
        process("listen", "0.50.285")
        process("open", SID)
        process("know_no_marks", SID)
        yield process


def repair(store: Store, old: OtherProcess) -> int:
    """Repair once the WebUI has stopped; returns the exit status."""
    old.leave()
    return rescue(store, "repair", "--all", "--yes")[0]


@pytest.mark.parametrize("act", ["say", "save"])
def test_what_was_certain_is_repaired_once_it_has_stopped(store: Store, old: OtherProcess, act: str) -> None:
    status, out, _ = rescue(store, "repair", "--all", "--yes")
    assert status == 1 and "Stop it first" in " ".join(out.split())
    before = words(store)
    said = old(act, SID)
    assert words(store) == [*before, *filter(None, [said])]
    assert repair(store, old) == 0
    assert words(store) == [*WORDS, *filter(None, [said])]
    assert json.loads(path_of(store.vault_root).read_bytes())["sessions"] == {}


def looked(store: Store, old: OtherProcess) -> None:
    """It was only looked at, and nobody wanted a repair."""
    rescue(store, "repair", "--all", "--dry-run")
    old("say", SID)


def forgotten(store: Store, old: OtherProcess) -> None:
    rescue(store, "repair", "--all", "--yes")
    old("say", SID)
    path_of(store.vault_root).write_bytes(b"[")


def restored(store: Store, old: OtherProcess) -> None:
    """The next start of the WebUI brings the backup back, and then just what had been lost is taken back."""
    write(live(store), WORDS[:4])
    rescue(store, "repair", "--all", "--yes")
    backup = (store.sessions_dir / f"{SID}.json.bak").read_bytes()
    old("restore")
    old("open", SID)
    old("know_no_marks", SID)
    old("undo", SID)
    assert words(store) == WORDS[:4] and (store.sessions_dir / f"{SID}.json.bak").read_bytes() == backup


def edited(store: Store, old: OtherProcess) -> None:
    """A version that marks an edit of the first prompt with a zero alone."""
    rescue(store, "repair", "--all", "--yes")
    old("say", SID)
    session = json.loads(live(store).read_bytes())
    live(store).write_text(json.dumps({**session, "truncation_watermark": 0.0}, indent=2))


@pytest.mark.parametrize("how", [looked, forgotten, restored, edited])
def test_what_can_have_been_taken_back_since_is_asked(
    store: Store, old: OtherProcess, how: Callable[[Store, OtherProcess], None]
) -> None:
    how(store, old)
    before = live(store).read_bytes()
    assert repair(store, old) == 1
    assert live(store).read_bytes() == before
    (session,) = api.audit(store).sessions
    assert [f.category.value for f in session.findings] == ["review"]


def test_a_turn_that_is_taken_back_of_what_was_repaired_then_is_asked(store: Store, old: OtherProcess) -> None:
    rescue(store, "repair", "--all", "--yes")
    old("save", SID)
    assert repair(store, old) == 0
    assert store.home is not None
    with server_process(store.home, HERMES_HOME=str(store.home)) as again:
        again("open", SID)
        again("know_no_marks", SID)
        again("undo", SID)
    assert words(store) == WORDS[:4]
    assert rescue(store, "repair", "--all", "--yes")[0] == 1
    assert words(store) == WORDS[:4]


@pytest.mark.parametrize("old", ["halved"], indirect=True)
def test_a_turn_that_the_file_had_and_that_is_gone_is_asked(store: Store, old: OtherProcess) -> None:
    write(live(store), WORDS[:4])
    old("open", SID)
    old("know_no_marks", SID)
    rescue(store, "repair", "--all", "--yes")
    old("undo", SID)
    before = live(store).read_bytes()
    assert repair(store, old) == 1
    assert live(store).read_bytes() == before
