"""Whatever lies in the place of a file of Hermes: nothing hangs, dies, follows it or writes elsewhere, the healthy
sessions beside it stay what they are, what can be repaired is repaired, and the audit says what is wrong."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from core import sidecar
from core.message import message

from ..core.conftest import SID, Hermes
from .hostile import (
    DELETED,
    FOLDERS,
    HEALTHY,
    JSON,
    OF_SESSION,
    POSITIONS,
    RAW,
    SPECIAL,
    Case,
    Rescue,
    bounded,
    clone,
    everything,
    put,
    sound_home,
)

SAID = ["ask a", "answer a", "ask b", "answer b"]
HOLD_MESSAGES = ("live", "backup", "temp", "turn journal", "run journal")


def cases_at(place: str) -> list[Case]:
    cases = [*SPECIAL, *RAW, *(JSON if place != "database" else ())]
    return [case for case in cases if place in HOLD_MESSAGES or not case.name.endswith("in a message")]


def run_json(rescue: Rescue, hermes: Hermes, *arguments: object) -> Any:
    with bounded():
        status, out, err = rescue(*arguments, "--json", "--home", hermes.home)
    assert status in (0, 1), err
    return json.loads(out)


def told(rescue: Rescue, hermes: Hermes) -> set[tuple[str, str | None, str]]:
    """What an audit says of anything: kind, session and evidence."""
    return {(item["kind"], item["session_id"], item["evidence"]) for item in run_json(rescue, hermes, "audit")["items"]}


def transcript(hermes: Hermes, sid: str) -> list[str] | None:
    """What the live file says, None where the WebUI could not load it; what no sound file has is left out."""
    session = sidecar.read(hermes.sessions / f"{sid}.json").sidecar
    if session is None or session.damage is not None:
        return None
    return [text for text in (message(piece).text for piece in session.messages) if text in SAID]


def walk(rescue: Rescue, hermes: Hermes, outside: Path, repairable: Collection[str]) -> None:
    """Audit, repair, repair again and undo: what must hold whatever lies there. ``repairable`` are the sessions whose
    files may change, and which are right afterwards."""
    before, untouched = everything(hermes.home), everything(outside)
    repaired = run_json(rescue, hermes, "repair", "--all", "--yes")
    after = everything(hermes.home)
    mine = {f"webui/sessions/{sid}.json" for sid in repairable} | {"webui/sessions/_index.json"}
    assert {name: entry for name, entry in after.items() if name not in mine} == {
        name: entry for name, entry in before.items() if name not in mine
    }
    assert {sid: said for sid in repairable if (said := transcript(hermes, sid)) != SAID} == {}
    assert run_json(rescue, hermes, "repair", "--all", "--yes").get("run") is None
    assert everything(hermes.home) == after
    if repaired.get("run") is not None:
        assert run_json(rescue, hermes, "undo", repaired["run"], "--yes")["refused"] == {}
        assert everything(hermes.home) == before
    assert everything(outside) == untouched


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    return tmp_path / "outside"


@pytest.mark.parametrize("place", OF_SESSION)
def test_a_file_of_a_session(tmp_path: Path, outside: Path, rescue: Rescue, place: str) -> None:
    """All cases at once, each in a session of its own: none may stop the others."""
    hermes = sound_home(tmp_path)
    cases: Mapping[str, Case] = {f"{k:012x}": case for k, case in enumerate(cases_at(place))}
    clone(hermes, list(cases))
    sound = told(rescue, hermes)
    for sid, case in cases.items():
        (outside / sid).mkdir()
        put(case, Path(str(POSITIONS[place](hermes)).replace(SID, sid)), outside / sid, sid)
    before = everything(hermes.home)
    new = {sid for _, sid, _ in told(rescue, hermes) - sound}
    assert everything(hermes.home) == before
    assert {case.name for sid, case in cases.items() if sid not in new and place not in case.harmless} == set()
    assert HEALTHY not in new
    blocked = {sid for sid, case in cases.items() if place == "live" and case.special}
    walk(rescue, hermes, outside, cases.keys() - blocked)


def of_the_home() -> list[Any]:
    found = [(case, place) for place in POSITIONS if place not in OF_SESSION for case in cases_at(place)]
    found += [(case, place) for place in FOLDERS for case in SPECIAL if case.name != "folder"]
    return [pytest.param(case, place, id=f"{place}: {case.name}") for case, place in found]


@pytest.mark.parametrize(("case", "place"), of_the_home())
def test_a_file_of_the_home(tmp_path: Path, outside: Path, rescue: Rescue, case: Case, place: str) -> None:
    """Beside a session that has lost its file, so that the others are all that is left of it."""
    hermes = sound_home(tmp_path)
    hermes.live.unlink()
    sound = told(rescue, hermes)
    put(case, {**POSITIONS, **FOLDERS}[place](hermes), outside)
    before = everything(hermes.home)
    new = told(rescue, hermes) - sound
    assert everything(hermes.home) == before
    assert {sid for kind, sid, _ in new if kind != "index_missing_entry"} <= {None, SID, DELETED}
    assert place in case.harmless or new, "the audit says nothing about it"
    asked = place == "tombstones" and place not in case.harmless
    walk(rescue, hermes, outside, [] if asked else [SID])
    if asked:
        assert run_json(rescue, hermes, "repair", SID, "--yes")["run"] is not None
        assert transcript(hermes, SID) == SAID
    assert not (hermes.sessions / f"{DELETED}.json").exists()
