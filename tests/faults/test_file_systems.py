"""File systems that cannot do everything, for real: full ones, read-only ones, a vault on another one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..conftest import some
from .conftest import HEALTHY, small_store
from .stage import Done, Stage, mountless, unavailable

Snapshot = Callable[[Path], dict[str, Any]]
Mounted = Callable[[str], Stage]


@pytest.fixture(scope="module")
def apart() -> Iterator[Stage]:
    """A stage with mounts of its own. Skips where the machine has none."""
    reason = unavailable() or mountless()
    if reason is not None:
        pytest.skip(reason)
    with Stage(own_mounts=True) as stage:
        yield stage


@pytest.fixture
def stage_with(apart: Stage) -> Mounted:
    """A stage that sees what a shell command mounts. Skips where nobody may mount that."""

    def mounted(words: str) -> Stage:
        reason = apart.mount(words)
        if reason is not None:
            pytest.skip(reason)
        return apart

    return mounted


def repair(stage: Stage, home: Path) -> Done:
    return stage.run("repair", "--all", "--yes", "--home", home, below=home)


def undo(stage: Stage, home: Path) -> Done:
    return stage.run("undo", "--yes", "--home", home, below=home)


def contents(home: Path) -> dict[str, bytes]:
    """The files of the sessions folder."""
    return {path.name: path.read_bytes() for path in (home / "webui" / "sessions").iterdir()}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The small store."""
    small_store(tmp_path / "hermes")
    return tmp_path / "hermes"


def leave_free(folder: Path, size: int) -> None:
    """Fill the disk of a folder up to so many bytes."""
    status = os.statvfs(folder)
    (folder / "ballast").write_bytes(bytes(max(status.f_bavail * status.f_frsize - size, 0)))


def test_without_room_for_what_is_kept_nothing_begins(stage_with: Mounted, home: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    stage = stage_with(f"mount -t tmpfs -o size=32m none '{disk}'")
    shutil.copytree(home, stage.inside(disk) / "hermes")
    leave_free(stage.inside(disk), 1 << 19)
    done = repair(stage, disk / "hermes")
    assert done.status == 3
    assert "MiB free" in done.err and "nothing was changed" in done.err and str(disk / "hermes") in done.err
    assert contents(stage.inside(disk) / "hermes") == contents(home)


def test_little_room_is_enough_for_little(stage_with: Mounted, home: Path, tmp_path: Path) -> None:
    """The losses come from full disks: what a repair asks for follows what it needs."""
    disk = tmp_path / "disk"
    disk.mkdir()
    before = contents(home)
    stage = stage_with(f"mount -t tmpfs -o size=32m none '{disk}'")
    inside = stage.inside(disk) / "hermes"
    shutil.copytree(home, inside)
    leave_free(stage.inside(disk), 2 << 20)
    assert repair(stage, disk / "hermes").status == 0
    assert undo(stage, disk / "hermes").status == 0
    assert contents(inside) == before


def test_an_undo_without_room_for_the_session_list_says_what_is_back(
    stage_with: Mounted, home: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    before = contents(home)
    stage = stage_with(f"mount -t tmpfs -o size=32m none '{disk}'")
    inside = stage.inside(disk) / "hermes"
    shutil.copytree(home, inside)
    assert repair(stage, disk / "hermes").status == 0
    (inside / "webui" / "sessions" / "_index.json").write_text("[]")  # another program's, so it is built again
    leave_free(stage.inside(disk), 1 << 19)
    done = undo(stage, disk / "hermes")
    assert done.status == 1
    assert "3 sessions put back" in done.out and "nothing was changed" not in done.out.split("session list")[0]
    assert "The session list still has to be rebuilt" in done.out and "MiB free" in done.out
    assert {**contents(inside), "_index.json": b""} == {**before, "_index.json": b""}


def test_a_repair_that_the_disk_ends_says_how_far_it_came(stage_with: Mounted, home: Path, tmp_path: Path) -> None:
    """All sessions are written, and no file more can be made."""
    disk = tmp_path / "disk"
    disk.mkdir()
    stage = stage_with(f"mount -t tmpfs -o size=64m,nr_inodes=300 none '{disk}'")
    inside, ballast = stage.inside(disk) / "hermes", stage.inside(disk) / "ballast"
    said: set[str] = set()
    ballast.mkdir()
    for free in some(range(12, 60), 3):
        shutil.copytree(home, inside)
        for k in range(os.statvfs(ballast).f_favail - free):
            (ballast / str(k)).touch()
        before = contents(inside)
        done = repair(stage, disk / "hermes")
        changed = sum(before.get(name) != data for name, data in contents(inside).items())
        shutil.rmtree(inside)
        for path in ballast.iterdir():
            path.unlink()
        if done.status == 0:
            break
        assert not (changed and "nothing was changed" in done.out + done.err), (free, done)
        assert changed or "sessions were repaired" not in done.err, (free, done)
        said.add(done.err)
    assert done.status == 0
    assert any("more files" in each for each in said)


def test_the_room_for_the_sessions_counts_too_where_the_vault_is_elsewhere(
    stage_with: Mounted, home: Path, tmp_path: Path
) -> None:
    before = contents(home)
    sessions = home / "webui" / "sessions"
    shutil.copytree(sessions, tmp_path / "kept")
    mount = f"mount -t tmpfs -o size=1m none '{sessions}' && cp -a '{tmp_path}/kept/.' '{sessions}'"
    stage = stage_with(mount)
    done = repair(stage, home)
    assert done.status == 3
    assert "MiB free" in done.err and str(sessions) in done.err
    assert contents(stage.inside(home)) == before


def test_a_disk_that_is_really_full_stops_the_run_and_loses_nothing(
    stage_with: Mounted, home: Path, tmp_path: Path
) -> None:
    """A disk with room for more files from try to try, until the repair goes through."""
    disk = tmp_path / "disk"
    disk.mkdir()
    before = contents(home)
    stage = stage_with(f"mount -t tmpfs -o size=128m,nr_inodes=300 none '{disk}'")
    inside, ballast = stage.inside(disk) / "hermes", stage.inside(disk) / "ballast"
    for free in some(range(200), 2):
        shutil.copytree(home, inside)
        ballast.mkdir()
        for k in range(os.statvfs(ballast).f_favail - free):
            (ballast / str(k)).touch()
        done = repair(stage, disk / "hermes")
        shutil.rmtree(ballast)
        if done.status == 0:
            break
        assert done.status in (1, 3)
        said = done.out + done.err
        assert "No space left on device" in said and str(disk / "hermes") in said
        assert "Errno" not in said and "error of this program" not in said
        assert repair(stage, disk / "hermes").status == 0
        assert stage.run("audit", "--home", disk / "hermes", below=disk).status == 0
        while undo(stage, disk / "hermes").out != "There is nothing to undo.\n":
            pass
        after = contents(inside)
        after["_index.json"] = before["_index.json"]  # built again where it was not undone in one go
        assert after == before
        shutil.rmtree(inside)
    assert free > 5
    print(f"\nfull in {free} ways")


def test_a_disk_that_can_only_be_read_is_read_and_not_written(stage_with: Mounted, home: Path) -> None:
    stage = stage_with(f"mount --bind '{home}' '{home}' && mount -o remount,ro,bind '{home}'")
    before = contents(home)
    assert stage.run("audit", "--home", home, below=home).status == 1
    done = repair(stage, home)
    assert done.status == 3
    assert "Read-only file system" in done.err and str(home) in done.err
    assert contents(home) == before


def test_a_vault_on_another_file_system_keeps_and_gives_back(stage_with: Mounted, home: Path) -> None:
    before = contents(home)
    kept = home / "webui" / "rescue"
    kept.mkdir()
    stage = stage_with(f"mount -t tmpfs -o size=128m,mode=755 none '{kept}'")
    inside = stage.inside(kept)
    assert inside.stat().st_dev != kept.stat().st_dev
    assert repair(stage, home).status == 0
    assert contents(home) != before
    assert len(list(inside.glob("runs/*/files/*"))) >= 4
    assert stage.run("audit", "--home", home, below=home).status == 0
    assert undo(stage, home).status == 0
    assert contents(home) == before
    assert list(kept.iterdir()) == []


def test_a_vault_behind_a_link_is_refused(home: Path, rescue: Any, snapshot: Snapshot) -> None:
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    (home / "webui" / "rescue").symlink_to(elsewhere)
    before = snapshot(home)
    status, _, err = rescue("repair", "--all", "--yes", "--home", home)
    assert status == 3
    assert "needs a folder there" in err
    assert snapshot(home) == before


def test_a_folder_that_does_not_tell_capitals_apart(stage_with: Mounted, home: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    before = contents(home)
    stage = stage_with(f"mount -t tmpfs -o size=128m,casefold none '{disk}' && chattr +F '{disk}'")
    inside = stage.inside(disk) / "hermes"
    shutil.copytree(home, inside)
    assert (inside / "webui" / "sessions" / f"{HEALTHY.upper()}.JSON").exists()
    assert repair(stage, disk / "hermes").status == 0
    assert undo(stage, disk / "hermes").status == 0
    assert contents(inside) == before
