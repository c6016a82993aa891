"""The command, killed at every step that it does on the disk: nothing is lost, and the next start can go either way."""

from __future__ import annotations

import errno
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.base import own_temps
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.repair.vault import Vault

from ..conftest import LONG, some
from .conftest import WIPED, small_store
from .stage import CALLS, Done, Stage

REPAIR = ("repair", "--all", "--yes", "--home")
UNDO = ("undo", "--yes", "--home")

FILE_SYSTEMS: dict[str, dict[str, int]] = {
    "links and exchange": {},
    "no links": {"link": errno.EPERM, "linkat": errno.EPERM},
    "no exchange": {"renameat2": errno.EINVAL},
    "neither": {"link": errno.EOPNOTSUPP, "linkat": errno.EOPNOTSUPP, "renameat2": errno.ENOSYS},
}
AT_REST = "prepared"
"""The first of them, where all files have lain there for long, and more sessions are damaged: then what the plan
prepared is written, several sessions at a time."""

MORE = 5

NORMAL_STRIDE = 31
"""The normal run tries every thirty-first point on each file system, and not the same ones."""

Snapshot = Callable[[Path], dict[str, Any]]
Point = tuple[int, bool]


@dataclass
class Trial:
    """The small store before and after a repair, on one of the file systems, and copies of both to be killed."""

    folder: Path
    snapshot: Snapshot
    number: int

    def __post_init__(self) -> None:
        self.at_rest = self.number == len(FILE_SYSTEMS)
        self.never = {} if self.at_rest else list(FILE_SYSTEMS.values())[self.number]
        self.old = self.folder / "old"
        small_store(self.old, MORE if self.at_rest else 0)
        self.before = self.sessions(self.old)

    def run(self, stage: Stage, command: tuple[str, ...], home: Path, **control: Any) -> Done:
        return stage.run(*command, home, below=home, never=self.never, at_rest=self.at_rest, **control)

    def kill(self, stage: Stage, command: tuple[str, ...], home: Path, point: Point) -> None:
        step, torn = point
        done = self.run(stage, command, home, kill=step, torn=torn, installed=LONG and not self.at_rest)
        # what is put on record together takes fewer steps: it can come to its end before
        is_through = self.at_rest and command == REPAIR and done.status == 0 and len(done.steps) <= step
        assert done.status == -signal.SIGKILL or is_through

    def copy(self, home: Path, name: str) -> Path:
        target = home.with_name(name)
        shutil.copytree(home, target)
        return target

    def sessions(self, home: Path) -> dict[str, Any]:
        """Name -> kind, mode, size, time of change and digest, of everything in the sessions folder."""
        found = self.snapshot(home / "webui" / "sessions")
        del found["."]
        return found

    def repaired(self, home: Path) -> dict[str, Any]:
        """The same without the times, which are those of the repair."""
        return {name: (*entry[:3], entry[4]) for name, entry in self.sessions(home).items()}

    def each_point(self, attempt: Callable[[Point], None], steps: tuple[str, ...]) -> None:
        """Try before every step, and in the middle of every write; in the normal run a part of them."""
        points = [(n, False) for n in range(len(steps))]
        points += [(n, True) for n, step in enumerate(steps) if step.startswith("write:")]
        tried = some(points, NORMAL_STRIDE, first=8 * self.number)
        for point in tried:
            attempt(point)
        print(f"\nkilled at {len(tried)} of {len(points)} points")

    def check_killed(self, home: Path, after: dict[str, Any]) -> None:
        """Every session is its old or its new self, and Hermes sees no file that is not one."""
        names = {path.name for path in (home / "webui" / "sessions").iterdir()}
        listed = {name for name in names if name.endswith((".json", ".json.bak"))}
        assert listed <= self.before.keys() | after.keys()
        found = self.repaired(home)
        for name in self.before.keys() | after.keys():
            was = self.before.get(name)
            whole = found.get(name) in (after.get(name), was and (*was[:3], was[4]))
            assert whole or self.is_beginning(home / "webui" / "sessions" / name), name

    def is_beginning(self, path: Path) -> bool:
        """Where nothing can be named in one step: the file is not all there yet, but its temp is."""
        temps = [
            each for each in path.parent.iterdir() if (own := own_temps.own_temp(each.name)) and own.target == path.name
        ]
        held = [temp.read_bytes() for temp in temps if not temp.name.endswith(".part")]
        in_place = {"link", "renameat2"} <= self.never.keys()
        return in_place and any(data.startswith(path.read_bytes()) for data in held)

    def check_offer(self, stage: Stage, home: Path, after: dict[str, Any]) -> str | None:
        """An unfinished run is offered at the next start; returns its id, None where there is no run yet."""
        runs = Vault(home / "webui" / "rescue", home / "webui" / "sessions").list_runs()
        said = self.run(stage, ("audit", "--home"), home).out
        for run in runs:
            assert not run.problem
            offered = f"The repair {run.run_id} was interrupted." in said
            assert offered == (run.status == "interrupted")
            assert offered or self.sessions(home) == self.before or self.repaired(home) == after
        assert runs or self.sessions(home) == self.before
        assert len(runs) <= 1
        return runs[0].run_id if runs else None

    def check_finish(self, stage: Stage, home: Path, after: dict[str, Any]) -> None:
        """Finishing gives the same result as a run that was not killed, and all of it can be undone."""
        done = self.run(stage, REPAIR, home)
        assert (done.status, done.err) == (0, "")
        assert self.repaired(home) == after
        store = find_store(home=home)
        assert api.interrupted_runs(store) == ()
        assert self.run(stage, ("audit", "--home"), home).status == 0
        while api.undoable(Vault.of(store).list_runs()):
            assert self.run(stage, UNDO, home).status == 0
        assert {name: entry for name, entry in self.sessions(home).items() if name != "_index.json"} == {
            name: entry for name, entry in self.before.items() if name != "_index.json"
        }

    def check_roll_back(self, stage: Stage, home: Path, run_id: str) -> None:
        """Rolling back restores what was there before: bytes, modes, times, and nothing else."""
        done = self.run(stage, ("undo", run_id, "--yes", "--home"), home)
        assert (done.status, done.err) == (0, "")
        assert self.sessions(home) == self.before
        assert api.interrupted_runs(find_store(home=home)) == ()


@pytest.fixture(params=range(len(FILE_SYSTEMS) + 1), ids=[*FILE_SYSTEMS, AT_REST])
def trial(request: pytest.FixtureRequest, tmp_path: Path, snapshot: Snapshot) -> Trial:
    return Trial(tmp_path, snapshot, request.param)


def test_a_repair_killed_anywhere_is_finished_or_rolled_back(trial: Trial, stage: Stage) -> None:
    new = trial.copy(trial.old, "new")
    done = trial.run(stage, REPAIR, new)
    assert done.status == 0
    after = trial.repaired(new)
    assert after != trial.repaired(trial.old)

    def attempt(point: Point) -> None:
        killed = trial.copy(trial.old, str(point))
        trial.kill(stage, REPAIR, killed, point)
        trial.check_killed(killed, after)
        back = trial.copy(killed, f"{point}-back")
        run_id = trial.check_offer(stage, killed, after)
        trial.check_finish(stage, killed, after)
        if run_id is not None:
            trial.check_roll_back(stage, back, run_id)
        shutil.rmtree(killed)
        shutil.rmtree(back)

    trial.each_point(attempt, done.steps)


def test_what_lay_there_for_long_is_read_once(tmp_path: Path, snapshot: Snapshot, stage: Stage) -> None:
    """So that the kills above meet what was prepared."""
    reads = []
    for number in (0, len(FILE_SYSTEMS)):
        folder = tmp_path / str(number)
        folder.mkdir()
        trial = Trial(folder, snapshot, number)
        done = trial.run(stage, REPAIR, trial.old, reads=True)
        assert done.status == 0
        reads.append(sum(step.startswith("read:") and f"{WIPED}.json.bak" in step for step in done.steps))
    assert reads[1] < reads[0]


def test_an_undo_killed_anywhere_is_repeated_or_repaired_again(trial: Trial, stage: Stage) -> None:
    new = trial.copy(trial.old, "new")
    trial.run(stage, REPAIR, new)
    after = trial.repaired(new)
    done = trial.run(stage, UNDO, trial.copy(new, "undone"))
    assert done.status == 0

    def attempt(point: Point) -> None:
        killed = trial.copy(new, str(point))
        trial.kill(stage, UNDO, killed, point)
        trial.check_killed(killed, after)
        back = trial.copy(killed, f"{point}-back")
        run_id = trial.check_offer(stage, killed, after)
        assert run_id is not None
        trial.check_finish(stage, killed, after)
        trial.check_roll_back(stage, back, run_id)
        shutil.rmtree(killed)
        shutil.rmtree(back)

    trial.each_point(attempt, done.steps)


def test_the_stage_stops_every_call_that_changes_something(stage: Stage, tmp_path: Path) -> None:
    """Checked against strace, which records every system call of the installed command below the home."""
    strace = shutil.which("strace")
    if strace is None or subprocess.run([strace, "-o", "/dev/null", "true"], capture_output=True).returncode:
        pytest.skip("there is no strace here, or it may not trace")
    home = tmp_path / "hermes"
    small_store(home)
    seen = set()
    command = Path(sys.executable).with_name("hermes-rescue")
    for words in (REPAIR, UNDO):
        traced = [strace, "-f", "-y", "-qq", "-o", str(tmp_path / "log"), command, *words, home]
        subprocess.run(traced, check=True, capture_output=True)
        for line in (tmp_path / "log").read_text().splitlines():
            call, _, rest = line.partition(" ")[2].strip().partition("(")
            reads = call.startswith("open") and not re.search("O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", rest)
            if str(home) in rest and not reads:
                seen.add(call)
    assert {"write", "fsync", "renameat2"} <= seen
    harmless = {
        "execve",
        "stat",
        "newfstatat",
        "fstat",
        "lstat",
        "statx",
        "access",
        "faccessat",
        "faccessat2",
        "readlink",
    }
    harmless |= {"lseek", "close", "getdents64", "ioctl", "fcntl", "mmap", "statfs", "fstatfs", "dup", "readlinkat"}
    assert seen - harmless <= CALLS.keys()
