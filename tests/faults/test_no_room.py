"""No room, no right, a bad disk: the command says what and where, and whatever it could not do is as it was."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from hermes_rescue.core.base import own_temps

from ..conftest import some
from .conftest import small_store
from .stage import Done, Stage, possible

REPAIR = ("repair", "--all", "--yes", "--home")
UNDO = ("undo", "--yes", "--home")

REFUSALS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES, errno.EMFILE)

NORMAL_STRIDE = 67
"""The normal run tries every sixty-seventh point, so that each reason meets every kind of step."""

Contents = dict[str, tuple[bytes, int]]
Point = tuple[int, int, bool]


def contents(home: Path) -> Contents:
    """The files of the sessions folder: bytes and mode."""
    folder = home / "webui" / "sessions"
    return {path.name: (path.read_bytes(), path.stat().st_mode) for path in folder.iterdir()}


def check_words(done: Done, home: Path, code: int) -> None:
    """A command that could not do all of it says so in plain sentences, with the place and the reason."""
    assert done.status in (0, 1, 3), done
    said = done.out + done.err
    assert "Traceback" not in said
    assert "error of this program" not in said, said
    assert "Errno" not in said, said
    if done.status == 3:
        assert done.err.startswith("hermes-rescue: ")
        assert done.err.count("\n") == 1
        assert str(home) in done.err, done.err
        assert os.strerror(code) in done.err, done.err


def refuse_everywhere(
    stage: Stage, old: Path, command: tuple[str, ...], expected: Contents, folder: Path, *, reads: bool
) -> None:
    """Refuse each step of a command in turn, for each reason, once and from then on."""
    before = contents(old)
    plain = folder / "plain"

    def wanted(found: Contents, step: str) -> Contents:
        """Without what may come out otherwise: a repair goes on without a copy that it cannot read, and leaves its row
        in the index; an undo that is not done all at once builds the index again in place of putting it back."""
        name = Path(step.split()[-1]).name
        is_read = step.startswith(("openat: ", "read: ", "pread64: ")) and not own_temps.own_temp(name)
        spared = {"_index.json"} if is_read or command == UNDO else set()
        spared |= {name} if is_read and command == REPAIR else set()
        return {name: each for name, each in found.items() if name not in spared}

    def attempt(point: Point) -> None:
        step, code, lasting = point
        home = folder / "-".join(map(str, point))
        shutil.copytree(old, home)
        done = stage.run(*command, home, below=home, refuse=(step, code), lasting=lasting, reads=reads)
        check_words(done, home, code)
        found = contents(home)
        strays = found.keys() - before.keys() - expected.keys()
        assert all(map(own_temps.own_temp, strays))
        assert lasting or not strays or steps[step].startswith("unlink"), strays
        for name in (before.keys() | expected.keys()) - {"_index.json"}:
            assert found.get(name) in (before.get(name), expected.get(name)), name
        is_reported = "Copy not readable: " in done.out and Path(steps[step].split()[-1]).name in done.out
        if done.status == 0 and not is_reported and "state.db" not in steps[step]:
            assert wanted(found, steps[step]) == wanted(expected, steps[step]), (point, steps[step], done)
        # And when the cause is gone, the same command comes to its end.
        stage.run(*command, home, below=home)
        assert wanted(contents(home), steps[step]) == wanted(expected, steps[step]), (point, steps[step])
        shutil.rmtree(home)

    shutil.copytree(old, plain)
    steps = stage.run(*command, plain, below=plain, reads=reads).steps
    points = [
        (n, code, lasting)
        for n, step in enumerate(steps)
        for code in REFUSALS
        for lasting in (False, True)
        if possible(step.partition(":")[0], code)
    ]
    tried = some(points, NORMAL_STRIDE)
    for point in tried:
        attempt(point)
    print(f"\nrefused at {len(tried)} of {len(points)} points")


def damaged_and_repaired(stage: Stage, folder: Path) -> tuple[Path, Path]:
    """Two homes: the small store as it was made, and the same after a repair."""
    old, new = folder / "old", folder / "new"
    small_store(old)
    shutil.copytree(old, new)
    stage.run(*REPAIR, new, below=new)
    return old, new


@pytest.mark.parametrize("reads", [False, True], ids=["changing", "reading too"])
def test_a_repair_that_is_refused_anything_says_so_and_loses_nothing(stage: Stage, tmp_path: Path, reads: bool) -> None:
    old, new = damaged_and_repaired(stage, tmp_path)
    refuse_everywhere(stage, old, REPAIR, contents(new), tmp_path, reads=reads)


@pytest.mark.parametrize("reads", [False, True], ids=["changing", "reading too"])
def test_an_undo_that_is_refused_anything_says_so_and_loses_nothing(stage: Stage, tmp_path: Path, reads: bool) -> None:
    old, new = damaged_and_repaired(stage, tmp_path)
    refuse_everywhere(stage, new, UNDO, contents(old), tmp_path, reads=reads)
