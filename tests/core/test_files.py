"""What must hold for the user: nobody's save is lost, nothing is half written, nothing is followed, nothing hangs."""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core.base import files, own_temps
from hermes_rescue.core.base.errors import ChangedMeanwhileError, UnreadableError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

OLD, NEW = b'{"messages": ["old"]}', b'{"messages": ["old", "new"]}'


@pytest.fixture
def sidecar(tmp_path: Path) -> Path:
    path = tmp_path / "abc.json"
    path.write_bytes(OLD)
    return path


@pytest.fixture
def wide_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def save_like_the_webui(path: Path, data: bytes) -> None:
    temp = path.with_name(f"{path.stem}.tmp.{os.getpid()}.{threading.get_ident()}")
    temp.write_bytes(data)
    os.replace(temp, path)


def refusing(code: int) -> Callable[..., None]:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    return refuse


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


# Reading


def test_reads_bytes_and_state_alike(sidecar: Path) -> None:
    os.chmod(sidecar, 0o640)
    os.utime(sidecar, ns=(5, 1_700_000_000_123_456_789))
    state, data = files.snapshot(sidecar)
    assert data == files.read_regular(sidecar) == OLD
    assert (
        state
        == files.look(sidecar)
        == files.FileState(files.digest_of(OLD), len(OLD), 0o640, 1_700_000_000_123_456_789)
    )
    assert files.read_regular(sidecar, 5) == OLD[:5]


def test_a_missing_file_is_no_error_to_look_at(tmp_path: Path) -> None:
    assert files.look(tmp_path / "none.json") is None
    with pytest.raises(FileNotFoundError):
        files.read_regular(tmp_path / "none.json")


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        here = os.getcwd()
        os.chdir(path.parent)  # a socket address has room for some hundred characters only
        try:
            bound.bind(path.name)
        finally:
            os.chdir(here)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.symlink_to("/etc/hostname"), "symbolic link"),
        (lambda path: path.symlink_to(path.name), "symbolic link"),
        (lambda path: path.symlink_to("/nowhere"), "symbolic link"),
        (os.mkfifo, "named pipe"),
        (lambda path: path.mkdir(), "folder"),
        (make_socket, "socket"),
    ],
    ids=["symlink", "looping symlink", "dangling symlink", "pipe", "folder", "socket"],
)
def test_what_is_no_regular_file_is_reported_and_left_alone(
    tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    path = tmp_path / "abc.json"
    make(path)
    before = os.lstat(path)
    for action in (
        files.read_regular,
        files.look,
        files.snapshot,
        lambda path: files.replace_if_unchanged(path, NEW, files.digest_of(OLD)),
        lambda path: files.remove_if_unchanged(path, files.digest_of(OLD)),
    ):
        with pytest.raises(UnreadableError, match=reason):
            action(path)
    with pytest.raises(FileExistsError):
        files.create_exclusive(path, NEW)
    assert os.lstat(path).st_ino == before.st_ino
    assert names(tmp_path) == ["abc.json"]


def test_a_device_is_not_opened() -> None:
    with pytest.raises(UnreadableError, match="device"):
        files.look(Path("/dev/null"))


def test_a_link_that_replaces_the_file_after_the_look_is_not_followed(
    sidecar: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_open = os.open

    def swap_then_open(path: Any, *rest: Any) -> int:
        sidecar.unlink()
        sidecar.symlink_to("/etc/hostname")
        return really_open(path, *rest)

    monkeypatch.setattr(os, "open", swap_then_open)
    with pytest.raises(UnreadableError, match="symbolic link"):
        files.read_regular(sidecar)


def test_a_folder_in_the_way_or_an_endless_name_is_a_plain_sentence(sidecar: Path) -> None:
    for path in (sidecar / "child.json", sidecar.with_name("x" * 300)):
        with pytest.raises(UnreadableError, match=r"cannot be read \(.+\)\.$"):
            files.look(path)


def test_an_error_text_cannot_steer_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[2J\n\udcff.json"
    path.mkdir()
    with pytest.raises(UnreadableError) as caught:
        files.look(path)
    assert str(caught.value).isprintable()
    str(caught.value).encode()


# Replacing


def test_replaces_and_keeps_mode_and_sets_time(sidecar: Path) -> None:
    os.chmod(sidecar, 0o664)
    files.replace_if_unchanged(sidecar, NEW, files.digest_of(OLD), mtime_ns=1_600_000_000_000_000_001)
    assert sidecar.read_bytes() == NEW
    status = sidecar.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o664, 1_600_000_000_000_000_001)
    files.replace_if_unchanged(sidecar, OLD, files.digest_of(NEW), mode=0o600)
    assert stat.S_IMODE(sidecar.stat().st_mode) == 0o600
    assert names(sidecar.parent) == ["abc.json"]


@pytest.mark.parametrize("code", [None, errno.ENOSYS, errno.EINVAL, errno.EPERM])
def test_a_newer_save_stays(sidecar: Path, monkeypatch: pytest.MonkeyPatch, code: int | None) -> None:
    if code:
        monkeypatch.setattr(files, "_exchange", refusing(code))
    with pytest.raises(ChangedMeanwhileError):
        files.replace_if_unchanged(sidecar, NEW, files.digest_of(b"what was seen"))
    assert sidecar.read_bytes() == OLD
    files.replace_if_unchanged(sidecar, NEW, files.digest_of(OLD))
    assert sidecar.read_bytes() == NEW
    sidecar.unlink()
    with pytest.raises(ChangedMeanwhileError):
        files.replace_if_unchanged(sidecar, NEW, files.digest_of(NEW))
    assert names(sidecar.parent) == []


@pytest.mark.parametrize("action", ["replace", "create", "remove"])
def test_bytes_are_durable_before_their_name_is_and_the_name_before_the_return(
    sidecar: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    events: list[str] = []

    def noting(really: Callable[..., Any], event: Callable[..., str]) -> Callable[..., Any]:
        def perform(*args: Any) -> Any:
            events.append(event(*args))
            return really(*args)

        return perform

    def synced(descriptor: int) -> str:
        name = os.readlink(f"/proc/self/fd/{descriptor}")
        return "folder" if name == str(sidecar.parent) else "bytes"

    monkeypatch.setattr(os, "fsync", noting(os.fsync, synced))
    monkeypatch.setattr(files, "_exchange", noting(files._exchange, lambda *_: "name"))
    monkeypatch.setattr(os, "link", noting(os.link, lambda *_: "name"))
    if action == "create":
        sidecar.unlink()
    act(action, sidecar)
    assert events == (["folder"] if action == "remove" else ["bytes", "name", "folder"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    saves=st.lists(st.integers(0, 2), max_size=6),
    same_bytes=st.booleans(),
    removed_after=st.one_of(st.none(), st.integers(0, 6)),
)
def test_whatever_lands_between_the_exchanges_the_newest_save_wins(
    tmp_path: Path, saves: list[int], same_bytes: bool, removed_after: int | None
) -> None:
    """``saves[i]`` saves land before the i-th exchange, perhaps with the bytes that we write; then perhaps a delete."""
    sidecar = tmp_path / "abc.json"
    sidecar.write_bytes(OLD)
    newest: list[bytes | None] = [OLD]
    exchange, calls = files._exchange, iter(range(100))

    def exchange_in_traffic(one: Path, other: Path) -> None:
        step = next(calls)
        for number in range(saves[step] if step < len(saves) else 0):
            newest.append(NEW if same_bytes else f"save {step}.{number}".encode())
            save_like_the_webui(sidecar, newest[-1] or b"")
        if step == removed_after:
            newest.append(None)
            sidecar.unlink()
        exchange(one, other)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_exchange", exchange_in_traffic)
        try:
            files.replace_if_unchanged(sidecar, NEW, files.digest_of(OLD))
            replaced = True
        except ChangedMeanwhileError:
            replaced = False
    assert replaced == (newest == [OLD])
    assert (sidecar.read_bytes() if sidecar.exists() else None) == (NEW if replaced else newest[-1])
    assert names(tmp_path) == (["abc.json"] if sidecar.exists() else [])


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/etc/hostname"), lambda path: path.mkdir()])
def test_a_thing_that_is_no_file_but_took_the_name_in_between_gets_it_back(
    sidecar: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]
) -> None:
    exchange = files._exchange

    def exchange_after_change(one: Path, other: Path) -> None:
        monkeypatch.setattr(files, "_exchange", exchange)
        sidecar.unlink()
        make(sidecar)
        exchange(one, other)

    monkeypatch.setattr(files, "_exchange", exchange_after_change)
    with pytest.raises(ChangedMeanwhileError):
        files.replace_if_unchanged(sidecar, NEW, files.digest_of(OLD))
    assert not stat.S_ISREG(os.lstat(sidecar).st_mode)
    assert names(sidecar.parent) == ["abc.json"]


def test_a_sweep_of_old_temps_in_the_middle_does_no_harm(sidecar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = files._exchange

    def exchange_and_sweep(one: Path, other: Path) -> None:
        exchange(one, other)
        one.unlink()

    monkeypatch.setattr(files, "_exchange", exchange_and_sweep)
    files.replace_if_unchanged(sidecar, NEW, files.digest_of(OLD))
    assert sidecar.read_bytes() == NEW


WRITER = """
import os, sys
path, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for number in range(first, last):
    temp = f"{path}.tmp.{os.getpid()}.1"
    with open(temp, "w") as handle:
        handle.write(f'{{"save": {number}}}')
    os.replace(temp, path)
"""


def repair(path: Path) -> None:
    """As a repair does: look, decide by what was seen, replace only that."""
    state, data = files.snapshot(path)
    document = json.loads(data)
    document["repairs"] = document.get("repairs", 0) + 1
    with suppress(ChangedMeanwhileError):
        files.replace_if_unchanged(path, json.dumps(document).encode(), state.digest)


def test_no_save_of_a_busy_thread_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "abc.json"
    save_like_the_webui(path, b'{"save": 0}')
    for round_number in range(1, 60):
        together = threading.Barrier(2)

        def write(last: int = round_number * 4, together: threading.Barrier = together) -> None:
            together.wait()
            for number in range(last - 3, last + 1):
                save_like_the_webui(path, b'{"save": %d}' % number)

        writer = threading.Thread(target=write)
        writer.start()
        together.wait()
        while writer.is_alive():
            repair(path)
        writer.join()
        assert json.loads(path.read_bytes())["save"] == round_number * 4
    assert names(tmp_path) == ["abc.json"]


def test_no_save_of_a_busy_process_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "abc.json"
    for last in (400, 800, 1200):
        path.write_bytes(b'{"save": -1}')
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(last - 400), str(last)])
        while writer.poll() is None:
            repair(path)
        assert writer.returncode == 0
        assert json.loads(path.read_bytes())["save"] == last - 1
    assert names(tmp_path) == ["abc.json"]


# Creating


@pytest.mark.parametrize("code", [None, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES])
@pytest.mark.parametrize("rename_code", [None, errno.EINVAL, errno.ENOSYS])
def test_creates_or_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wide_umask: None, code: int | None, rename_code: int | None
) -> None:
    if code:
        monkeypatch.setattr(os, "link", refusing(code))
    if rename_code:
        monkeypatch.setattr(files, "_renameat2", refusing(rename_code))
    path = tmp_path / "abc.json"
    files.create_exclusive(path, NEW, mtime_ns=1_600_000_000_000_000_001)
    assert path.read_bytes() == NEW
    status = path.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o600, 1_600_000_000_000_000_001)
    with pytest.raises(FileExistsError):
        files.create_exclusive(path, OLD)
    assert path.read_bytes() == NEW
    assert names(tmp_path) == ["abc.json"]


@pytest.mark.parametrize("umask", [0, 0o077, 0o777])
def test_the_mode_is_the_one_asked_for(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        files.create_exclusive(tmp_path / "abc.json", NEW, mode=0o664)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "abc.json").stat().st_mode) == 0o664


def test_a_link_error_that_means_something_else_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", refusing(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        files.create_exclusive(tmp_path / "abc.json", NEW)
    assert names(tmp_path) == []


# Removing


def remove_in_traffic(sidecar: Path, monkeypatch: pytest.MonkeyPatch, newer: bytes, yet_newer: bytes | None) -> None:
    """Removes while one save lands just before the file is taken away, and perhaps one more just after it."""
    rename = os.rename

    def rename_in_traffic(source: Any, target: Any) -> None:
        save_like_the_webui(sidecar, newer)
        rename(source, target)
        if yet_newer:
            save_like_the_webui(sidecar, yet_newer)

    monkeypatch.setattr(os, "rename", rename_in_traffic)
    files.remove_if_unchanged(sidecar, files.digest_of(OLD))


def test_removes_what_was_seen_and_nothing_else(sidecar: Path) -> None:
    with pytest.raises(ChangedMeanwhileError):
        files.remove_if_unchanged(sidecar, files.digest_of(NEW))
    assert sidecar.read_bytes() == OLD
    files.remove_if_unchanged(sidecar, files.digest_of(OLD))
    assert names(sidecar.parent) == []
    with pytest.raises(FileNotFoundError):
        files.remove_if_unchanged(sidecar, files.digest_of(OLD))


@pytest.mark.parametrize(("code", "rename_code"), [(None, None), (errno.EPERM, None), (errno.EPERM, errno.EINVAL)])
@pytest.mark.parametrize("yet_newer", [None, b"yet newer"])
def test_a_save_in_the_middle_of_a_removal_stays(
    sidecar: Path, monkeypatch: pytest.MonkeyPatch, code: int | None, rename_code: int | None, yet_newer: bytes | None
) -> None:
    if code:
        monkeypatch.setattr(os, "link", refusing(code))
    if rename_code:
        monkeypatch.setattr(files, "_renameat2", refusing(rename_code))
    with pytest.raises(ChangedMeanwhileError):
        remove_in_traffic(sidecar, monkeypatch, b"newer", yet_newer)
    assert sidecar.read_bytes() == (yet_newer or b"newer")
    assert names(sidecar.parent) == ["abc.json"]


# Faults


class Killed(BaseException):
    """Stands for whatever ends the work in the middle."""


PRIMITIVES = ("open", "fsync", "chmod", "utime", "rename", "link", "replace")


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), Killed()], ids=["error", "end"])
@pytest.mark.parametrize("primitive", PRIMITIVES)
@pytest.mark.parametrize("action", ["replace", "create", "remove"])
def test_a_fault_anywhere_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, action: str, primitive: str, error: BaseException, links: bool
) -> None:
    """Faults at every call of each primitive until the action goes through."""
    sidecar = tmp_path / "abc.json"
    really = getattr(os, primitive)
    for step in range(60):
        sidecar.unlink(missing_ok=True)
        if action != "create":
            sidecar.write_bytes(OLD)
        calls = iter(range(1000))

        def faulty(*args: Any, calls: Iterator[int] = calls, step: int = step, **kwargs: Any) -> Any:
            if next(calls) == step:
                raise error
            return really(*args, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            if not links and primitive != "link":
                patch.setattr(os, "link", refusing(errno.EPERM))
                patch.setattr(files, "_renameat2", refusing(errno.EINVAL))
            patch.setattr(os, primitive, faulty)
            try:
                act(action, sidecar)
            except (OSError, UnreadableError, ChangedMeanwhileError, Killed):
                done = False
            else:
                done = True
        left = sidecar.read_bytes() if sidecar.exists() else None
        if done:
            assert left == {"replace": NEW, "create": NEW, "remove": None}[action]
        elif action == "create":
            assert left in (None, NEW)  # whole or not at all: where the folder could not be synced it is there
        elif action == "replace" and primitive in ("open", "fsync") and not links:
            assert left in (OLD, NEW)  # once its name is taken over it stays, also where the folder cannot be synced
        else:
            assert left == OLD
        assert [name for name in names(tmp_path) if name != "abc.json"] == []
        if next(calls) <= step:
            assert done
            return
    pytest.fail("never went through")


def act(action: str, sidecar: Path) -> None:
    if action == "replace":
        files.replace_if_unchanged(sidecar, NEW, files.digest_of(OLD), mtime_ns=1)
    elif action == "create":
        files.create_exclusive(sidecar, NEW, mtime_ns=1)
    else:
        files.remove_if_unchanged(sidecar, files.digest_of(OLD))


def test_a_disk_that_fills_up_leaves_no_beginning_behind(tmp_path: Path) -> None:
    """A real full disk: the size limit of a process of its own."""
    program = (
        "import resource, signal, sys; from pathlib import Path; from hermes_rescue.core.base import files\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: files.create_exclusive(Path(sys.argv[1]), b'x' * 5000)\n"
        "except OSError as error: print(error.errno)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "abc.json")],
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert int(ran.stdout) == errno.EFBIG
    assert names(tmp_path) == []


# Names


def test_temps_are_known_by_their_names_and_by_nothing_else(sidecar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    exchange = files._exchange

    def listing_exchange(one: Path, other: Path) -> None:
        seen.append(one.name)
        exchange(one, other)

    monkeypatch.setattr(files, "_exchange", listing_exchange)
    files.replace_if_unchanged(sidecar, NEW, files.digest_of(OLD))
    files.replace_if_unchanged(sidecar, OLD, files.digest_of(NEW))
    assert len(set(seen)) == 2
    for name in seen:
        number = int(name.rsplit(".", 1)[1])
        assert own_temps.own_temp(name) == own_temps.OwnTemp("abc.json", os.getpid(), number, partial=False)
        assert own_temps.own_temp(f"{name}.part") == own_temps.OwnTemp("abc.json", os.getpid(), number, partial=True)
        assert name.startswith(".abc.json.rescue.tmp.")
        assert not name.endswith(".json")
    for name in ("abc.json", "abc.tmp.12.34", ".abc.json.rescue.tmp.1.2", f"{seen[0]}.json", f"x{seen[0]}", ""):
        assert not own_temps.own_temp(name)
