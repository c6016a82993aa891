"""Whatever lies in the place of a file of Hermes: nothing hangs, dies, follows it or writes elsewhere, the healthy
sessions beside it stay what they are, what can be repaired is repaired, and the audit says what is wrong."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.hermes import sidecar
from hermes_rescue.core.hermes.message import message
from hermes_rescue.core.hermes.store import find_store

from ..conftest import LONG, STRANGER, as_stranger, some
from ..core.conftest import SID, START, Hermes
from .hostile import (
    DELETED,
    FOLDERS,
    HARD_LINK,
    HEALTHY,
    JSON,
    OF_SESSION,
    POSITIONS,
    RAW,
    SPECIAL,
    Case,
    Rescue,
    as_root,
    bounded,
    clone,
    everything,
    put,
    sound_home,
)

pytestmark = pytest.mark.usefixtures("no_servers")

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
    """Many cases at once, each in a session of its own: none may stop the others."""
    hermes = sound_home(tmp_path)
    tried = some(cases_at(place), 3, first=OF_SESSION.index(place))
    cases: Mapping[str, Case] = {f"{k:012x}": case for k, case in enumerate(tried)}
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
    # a list of other things, without any mark, can be what an old version's undo left: a question
    asked = {sid for sid, case in cases.items() if place == "live" and case.name == "messages of every type"}
    blocked = asked | {sid for sid, case in cases.items() if place == "live" and case.special}
    walk(rescue, hermes, outside, cases.keys() - blocked)


def of_the_home() -> list[Any]:
    found = [(case, place) for place in POSITIONS if place not in OF_SESSION for case in some(cases_at(place), 9)]
    found += [(case, place) for place in FOLDERS for case in some(SPECIAL, 3) if case.name != "folder"]
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


def test_torn_at_every_byte(tmp_path: Path, outside: Path, rescue: Rescue) -> None:
    """A small file torn at each of its bytes (on request; else at every 100th), each time in a session of its own, with
    all copies beside it."""
    hermes = sound_home(tmp_path)
    data = hermes.write_live(hermes.turns("a", "b"), odd="é\n\\")
    tears = range(0, len(data), 1 if LONG else 100)
    sids = [f"{k:012x}" for k in tears]
    clone(hermes, sids)
    for k, sid in zip(tears, sids, strict=True):
        path = hermes.sessions / f"{sid}.json"
        path.write_bytes(path.read_bytes()[:k])
    with bounded(300):
        repaired = hermes.repair()
        assert {o.session_id: o for o in repaired.outcomes if o.state is not api.State.REPAIRED} == {}
        assert {o.session_id for o in repaired.outcomes} == {*sids}
        assert {sid for sid in sids if transcript(hermes, sid) != SAID} == set()
        assert api.plan(find_store(home=hermes.home)).is_empty


def test_a_hole_costs_only_the_message_that_it_is_in(tmp_path: Path) -> None:
    """Wherever 20 bytes are overwritten, in the head too, every message that they do not touch is found (at every byte
    on request, else at every 7th)."""
    hermes = Hermes(tmp_path)
    data = json.dumps(hermes.session(hermes.turns("a", "b")), indent=2).encode()
    begin = data.index(b'"messages"') + len(b'"messages": [')
    spans = [found.span() for found in re.finditer(rb'\{\s+"role".*?\}', data, re.DOTALL)]
    for k in range(2, spans[-1][1], 1 if LONG else 7):
        if data.index(b'"messages"') - 23 <= k < begin:
            continue
        texts = [message(piece).text for piece in sidecar.parse(data[:k] + bytes(20) + data[k + 20 :]).messages]
        # what stands right before the hole or behind it may be cut with it
        whole = [said for said, (start, end) in zip(SAID, spans, strict=True) if end < k or start >= k + 20]
        assert [text for text in texts if text in whole] == whole, k


@pytest.mark.parametrize("tiny", ["{}", "7", '{"role": "user", "content": "x"}'])
def test_a_great_many_tiny_messages(tmp_path: Path, tiny: str) -> None:
    """Two thousand of them (a million on request) in the file, and one more in the backup."""
    many = 1_000_000 if LONG else 2_000
    hermes = sound_home(tmp_path)
    for path, count in ((hermes.live, many), (POSITIONS["backup"](hermes), many + 1)):
        path.write_text(json.dumps(hermes.session([json.loads(tiny)] * count)))
    with bounded(300):
        assert hermes.repair(hermes.live.stem).count(api.State.REPAIRED) == 1
    session = sidecar.read(hermes.live).sidecar
    assert session is not None
    assert [piece.raw for piece in session.messages].count(tiny.encode()) == many + 1
    assert transcript(hermes, SID) == SAID


BIG = """
import resource, sys
from pathlib import Path
from hermes_rescue.core import api as repair
from hermes_rescue.core.hermes.store import find_store
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]), int(sys.argv[2])))
result = repair.apply(repair.plan(find_store(home=Path(sys.argv[1]))))
print(*(outcome.state for outcome in result.outcomes))
"""


def test_one_huge_message(tmp_path: Path) -> None:
    """One message of 20 MB (200 MB on request), that only the backup has, within twenty times its size of memory."""
    size = (200 if LONG else 20) << 20
    hermes = sound_home(tmp_path)
    huge = {"role": "user", "content": "lorem ipsum " * (size // 12), "timestamp": START + 100}
    hermes.write_backup([*hermes.turns("a", "b"), huge])
    limit = str(20 * size + (1 << 30))
    command = [sys.executable, "-c", BIG, str(hermes.home), limit]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == ["repaired"], done.stderr
    assert hermes.load()["messages"][-1] == huge


@as_root
@pytest.mark.parametrize("place", POSITIONS)
@pytest.mark.parametrize("numbers", [(1, 5), (1, 3)], ids=["zero", "null"])
def test_a_device(tmp_path: Path, outside: Path, rescue: Rescue, place: str, numbers: tuple[int, int]) -> None:
    hermes = sound_home(tmp_path)
    sound = told(rescue, hermes)
    path = POSITIONS[place](hermes)
    path.unlink()
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(*numbers))
    except PermissionError:
        pytest.skip("this machine lets nobody make a device")
    new = told(rescue, hermes) - sound
    assert [evidence for _, _, evidence in new if "device" in evidence or "regular file" in evidence]
    walk(rescue, hermes, outside, [] if place == "live" else [SID])


@as_root
@pytest.mark.parametrize("place", POSITIONS)
def test_a_file_that_may_not_be_read(outside: Path, rescue: Rescue, place: str) -> None:
    """As a user who owns everything but that one file."""
    with tempfile.TemporaryDirectory() as public:
        os.chmod(public, 0o755)
        hermes = sound_home(Path(public))
        for path in [hermes.home, *hermes.home.rglob("*")]:
            os.chown(path, STRANGER, STRANGER)
        sound = told(rescue, hermes)
        secret = POSITIONS[place](hermes)
        os.chown(secret, 0, 0)
        os.chmod(secret, 0o600)
        before = everything(hermes.home)
        new = [
            item
            for item in as_stranger(lambda: [list(each) for each in told(rescue, hermes)])
            if tuple(item) not in sound
        ]
        assert [
            evidence for _, _, evidence in new if "Permission denied" in evidence or "unable to open" in evidence
        ], new
        as_stranger(lambda: run_json(rescue, hermes, "repair", "--all", "--yes"))
        assert everything(hermes.home) == before
        assert transcript(hermes, SID) == SAID


def test_a_hard_link(tmp_path: Path, outside: Path, rescue: Rescue) -> None:
    """A session file that has another name elsewhere is replaced, and the other name keeps the old bytes."""
    hermes = sound_home(tmp_path)
    hermes.write_live([])
    put(HARD_LINK, hermes.live, outside)
    walk(rescue, hermes, outside, [SID])
