"""A vault that somebody edited: an undo writes nowhere else, loses nothing and says why; history and audit go on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.base.files import digest_of
from hermes_rescue.core.hermes.store import find_store

from ..conftest import some, take_snapshot
from ..core.conftest import Value
from .hostile import HEALTHY, SPECIAL, Case, Rescue, bounded, nested, sound_home, write_session
from .test_hostile_files import run_json

pytestmark = pytest.mark.usefixtures("no_servers")

Edit = Callable[[Value], Any]


class Repaired:
    """A home with a repaired session, and the run that did it."""

    def __init__(self, folder: Path) -> None:
        self.hermes = sound_home(folder)
        self.old = self.hermes.write_live([])
        write_session(self.hermes, "bbbbbbbbbbbb", [])
        (self.hermes.sessions / "bbbbbbbbbbbb.json.bak").write_bytes(
            (self.hermes.sessions / f"{HEALTHY}.json").read_bytes().replace(HEALTHY.encode(), b"bbbbbbbbbbbb")
        )
        run_id = self.hermes.repair().run_id
        assert run_id is not None
        self.run_id = run_id
        self.folder = self.hermes.home / "webui" / "rescue" / "runs" / run_id
        self.new = self.hermes.live.read_bytes()
        self.outside = folder / "outside"
        self.outside.mkdir()
        (self.outside / "precious.json").write_text("{}")
        self.before = take_snapshot(self.outside)
        self.sessions = self.texts()

    def texts(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.hermes.sessions.iterdir() if path.is_file()}

    def edit(self, edit: Edit, *, journal: bool = True) -> None:
        """Change the manifest, and make the journal say the same (or nothing: ``journal`` False leaves it as it is)."""
        path = self.folder / "manifest.json"
        manifest = json.loads(path.read_bytes())
        edit(manifest)
        path.write_text(json.dumps(manifest))
        if journal:
            (self.folder / "journal.jsonl").write_bytes(b"")

    def nothing_is_lost(self) -> None:
        """All bytes of before are in the sessions folder or the vault, and nothing changed anywhere else."""
        assert take_snapshot(self.outside) == self.before
        vault = self.hermes.home / "webui" / "rescue"
        kept = {path.read_bytes() for path in vault.rglob("*") if path.is_file() and not path.is_symlink()}
        now = self.texts()
        assert {name for name, data in self.sessions.items() if now.get(name) != data and data not in kept} == set()
        assert {*self.hermes.home.iterdir()} == {self.hermes.home / "webui", self.hermes.home / "state.db"}

    def goes_on(self, rescue: Rescue) -> None:
        """History, audit and report answer, and the audit knows the healthy session."""
        with bounded():
            assert rescue("history", "--home", self.hermes.home)[0] == 0
            runs = run_json(rescue, self.hermes, "history")["runs"]
            rescue("report", self.run_id, "--home", self.hermes.home)
        assert [run["run"] for run in runs]
        assert HEALTHY in {s["session_id"] for s in run_json(rescue, self.hermes, "audit")["sessions"]}


def op(**fields: Any) -> Edit:
    return lambda manifest: manifest["operations"][0].update(fields)


def before(**fields: Any) -> Edit:
    return lambda manifest: manifest["operations"][0]["before"].update(fields)


def top(**fields: Any) -> Edit:
    return lambda manifest: manifest.update(fields)


CLIMBING = (
    "../../outside/precious.json",
    "/etc/passwd",
    "..",
    "",
    "a/b.json",
    "\0.json",
    "_index.json",
    "x.json.bak.json",
    "x\n.json",
    ".x.json",
    "-.exe",
)
_ODD: tuple[Any, ...] = (None, 7.5e300, "x", [[]], {"a": 1}, -1)
_VERSIONS: tuple[Any, ...] = (2, 0, -1, None, "1", 1.0, True, [], 2**70)

REFUSED: dict[str, Edit] = {
    **{f"path {path!r}": op(path=path) for path in CLIMBING},
    **{f"kept {kept!r}": op(kept=kept) for kept in ("../manifest.json", "/etc/passwd", "..", "", "0001/../../x", "x")},
    **{f"session {sid!r}": op(session_id=sid) for sid in ("../evil", "", None, "_x", "a/b", 7)},
    **{f"action {action!r}": op(action=action) for action in ("delete", "", None, 7, "create", "remove")},
    **{f"state {state!r}": op(state=state) for state in ("gone", "", None, 7)},
    **{f"after {after!r}": op(after=after) for after in ("x", "0" * 63, "0" * 65, "A" * 64, 7, None)},
    **{f"mode {mode}": before(mode=mode) for mode in (-1, 0o10000, 2**70, "x", None)},
    **{f"time {time}": before(mtime_ns=time) for time in (2**63, -(2**64), 1.5, "x", None)},
    **{f"digest {digest!r}": before(digest=digest) for digest in ("x", "", None, "../..")},
    **{f"number {number}": op(number=number) for number in (0, -1, 7, 2**70, "1", None)},
    **{
        f"{name} {value!r:.20}": top(**{name: value})
        for name in ("run_id", "created_at", "stores", "status", "turns", "operations")
        for value in _ODD
    },
    **{f"version {version!r}": top(version=version) for version in _VERSIONS},
    "operations deep": top(operations=json.loads(nested(900))),
    "an operation is missing": lambda manifest: manifest["operations"].pop(0),
    "info deep": op(info={"a": json.loads(nested(500))}),
    "half a character": top(turns=[{"\ud800": None}]),
    "no fields": lambda manifest: manifest.clear(),
}


@pytest.fixture
def made(tmp_path: Path) -> Repaired:
    return Repaired(tmp_path)


def undo(rescue: Rescue, made: Repaired, *more: object) -> tuple[int, str]:
    with bounded():
        status, out, err = rescue("undo", made.run_id, "--yes", *more, "--home", made.hermes.home)
    assert status in (0, 1, 3), err
    return status, out + err


def test_a_manifest_with_an_impossible_value(made: Repaired, rescue: Rescue) -> None:
    """One value after the other: each is refused in a sentence, and not a byte is written."""
    path = made.folder / "manifest.json"
    manifest, journal = path.read_bytes(), (made.folder / "journal.jsonl").read_bytes()
    for name, edit in some(REFUSED.items(), 3):
        made.edit(edit)
        whole = take_snapshot(made.hermes.home / "webui" / "sessions")
        status, said = undo(rescue, made)
        assert (status, said.count("\n")) == (3, 1), (name, said)
        assert made.run_id in said, name
        assert take_snapshot(made.hermes.home / "webui" / "sessions") == whole, name
        made.nothing_is_lost()
        path.write_bytes(manifest)
        (made.folder / "journal.jsonl").write_bytes(journal)
    made.edit(op(path="../x.json"))
    made.goes_on(rescue)


@pytest.mark.parametrize("name", ["manifest.json", "journal.jsonl"])
def test_torn_and_damaged(made: Repaired, rescue: Rescue, name: str) -> None:
    path = made.folder / name
    whole = path.read_bytes()
    for data in (
        b"",
        b"\0" * 99,
        b"[]",
        b"null",
        b"{}",
        b'{"version": NaN}',
        b"\xff\xfe",
        whole[:-9],
        whole[: len(whole) // 2],
        nested(100_000).encode(),
        b'{"a":' * 100_000,
        b'{"operation": 7}\n',
        b'{"number": 99, "state": "done"}\n',
        b'{"turn": {"pid": -1, "number": "x"}}\n',
    ):
        path.write_bytes(data)
        sessions = take_snapshot(made.hermes.sessions)
        status, said = undo(rescue, made)
        assert status == 0 or (
            said.startswith("hermes-rescue: The run") and take_snapshot(made.hermes.sessions) == sessions
        )
        made.nothing_is_lost()
        made.goes_on(rescue)
        if status == 0:  # the torn end of a journal: what it says before that counts
            assert name == "journal.jsonl"
            break


def test_a_huge_manifest(made: Repaired, rescue: Rescue) -> None:
    path = made.folder / "manifest.json"
    os.truncate(path, 1 << 40)
    status, said = undo(rescue, made)
    assert status == 3
    assert "too large" in said
    made.goes_on(rescue)


PLACES = ("manifest.json", "journal.jsonl", "files", "files/0001", ".", "..", "../../lock")
IN_PLACES = [(place, case) for place in PLACES for case in SPECIAL]


@pytest.mark.parametrize(("place", "case"), some(IN_PLACES, 3), ids=lambda each: getattr(each, "name", each))
def test_what_is_no_file(made: Repaired, rescue: Rescue, case: Case, place: str) -> None:
    path = (made.folder / place).resolve()
    sound = path.read_bytes() if path.is_file() else b""
    path.rename(path.with_name("moved away")) if path.is_dir() else path.unlink()
    case.make(path, sound, made.outside)
    made.before = take_snapshot(made.outside)
    if place == "files" and case.name == "folder":
        return
    status, said = undo(rescue, made)
    assert status in (1, 3), said
    made.nothing_is_lost()
    assert made.hermes.live.read_bytes() == made.new
    assert place == "files/0001" or made.texts() == made.sessions
    with bounded():
        assert rescue("history", "--home", made.hermes.home)[0] in (0, 3)
        assert rescue("audit", "--home", made.hermes.home)[0] in (0, 1, 3)


@pytest.mark.parametrize("kept", ["missing", "other bytes", "longer", "torn"])
def test_a_kept_file_that_is_not_what_was_kept(made: Repaired, rescue: Rescue, kept: str) -> None:
    for path in sorted((made.folder / "files").iterdir()):
        data = path.read_bytes()
        path.unlink()
        changed = {"other bytes": b"evil" + data[4:], "longer": data + b"x", "torn": data[:-1]}
        if kept != "missing":
            path.write_bytes(changed[kept])
    status, said = undo(rescue, made)
    assert status == 1
    assert "kept copy" in " ".join(said.split())
    assert made.texts() == made.sessions
    made.goes_on(rescue)


def test_digests_that_were_chosen_to_fit_a_healthy_file(made: Repaired, rescue: Rescue) -> None:
    """A manifest made to say that the run wrote what is really a healthy session: an undo of it loses nothing."""
    evil = b'{"session_id": "x", "messages": []}'
    live = (made.hermes.sessions / f"{HEALTHY}.json").read_bytes()
    (made.folder / "files" / "0001").write_bytes(evil)

    def edit(manifest: Value) -> None:
        first = manifest["operations"][0]
        first.update(
            session_id=HEALTHY,
            path=f"{HEALTHY}.json",
            after=digest_of(live),
            action="replace",
            kept="0001",
            state="done",
        )
        first["before"].update(digest=digest_of(evil), size=len(evil))

    made.edit(edit)
    undo(rescue, made)
    made.nothing_is_lost()
    made.goes_on(rescue)


def test_what_an_undo_takes_away_is_kept(made: Repaired, rescue: Rescue) -> None:
    """Invariant 2 holds for an undo as well: the repaired file that it replaces lies in the vault."""
    assert undo(rescue, made)[0] == 0
    assert made.hermes.live.read_bytes() == made.old
    made.nothing_is_lost()


def test_run_ids_that_climb(made: Repaired, rescue: Rescue) -> None:
    sessions = made.texts()
    for run_id in (
        "../../sessions",
        "..",
        ".",
        "",
        "/etc",
        "20260503T141200Z-3f2a9c/..",
        "x" * 5000,
        "20260503T141200Z-3f2a9c\n",
        "\0",
    ):
        for command in ("undo", "report"):
            status, _, err = rescue(
                command, *(["--yes"] if command == "undo" else []), "--home", made.hermes.home, "--", run_id
            )
            assert status == 3, run_id
            assert err.count("\n") == 1
    assert made.texts() == sessions
    made.nothing_is_lost()


def test_a_vault_whose_runs_lie_elsewhere(made: Repaired, rescue: Rescue) -> None:
    """A whole and valid run behind a link: it is not followed, so nothing is noted there either."""
    runs = made.folder.parent
    runs.rename(made.outside / "runs")
    runs.symlink_to(made.outside / "runs")
    made.before = take_snapshot(made.outside)
    assert undo(rescue, made)[0] == 3
    assert made.texts() == made.sessions
    assert take_snapshot(made.outside) == made.before


def test_folders_in_the_vault_that_are_no_runs(made: Repaired, rescue: Rescue) -> None:
    runs = made.folder.parent
    for name in ("20260503T141200Z-3f2a9c", "20260503T141200Z-000000", "evil\n", "..x", "20260503T141200Z-ABCDEF"):
        (runs / name).mkdir()
    (runs / "20260503T141200Z-111111").symlink_to(made.outside)
    (runs / ".new").symlink_to(made.outside)
    made.goes_on(rescue)
    assert undo(rescue, made)[0] == 3 or made.hermes.live.read_bytes() == made.old
    made.hermes.live.unlink()
    with bounded():
        rescue("repair", "--all", "--yes", "--home", made.hermes.home)
    assert take_snapshot(made.outside) == made.before
    assert api.interrupted_runs(find_store(home=made.hermes.home)) == ()
