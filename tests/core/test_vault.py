"""What must hold for the user: nothing is replaced that is not kept, and whatever was done can be put back, wherever it
or the putting back was cut off."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core.base import files, own_temps
from hermes_rescue.core.base.errors import BusyError, VaultError
from hermes_rescue.core.base.files import digest_of
from hermes_rescue.core.repair import room, run_record, vault
from hermes_rescue.core.repair.vault import ActiveRun, Vault

Snapshot = Callable[[Path], dict[str, Any]]

A, A_BACKUP, B, INDEX = "aaa.json", "aaa.json.bak", "bbb.json", "_index.json"
LIVE, BACKUP, INDEX_ROWS = b'{"messages": [1]}', b'{"messages": [1, 2, 3]}', b"[1]"
REPAIRED, REBUILT, NEW_INDEX = b'{"messages": [1, 2, 3, 4]}', b'{"messages": [7, 8]}', b"[1, 2]"
NEWER = b'{"messages": ["a newer save"]}'


class Store:
    """A sessions folder with one shrunken session, one lost session and an index; and a vault."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.sessions = state_dir / "sessions"
        self.root = state_dir / "rescue"
        self.vault = Vault(self.root, self.sessions)

    def fill(self) -> Store:
        self.sessions.mkdir(parents=True)
        for name, data, mode, mtime in (
            (A, LIVE, 0o644, 1_700_000_000_111_111_111),
            (A_BACKUP, BACKUP, 0o600, 1_690_000_000_222_222_222),
            (INDEX, INDEX_ROWS, 0o640, 1_710_000_000_333_333_333),
        ):
            path = self.sessions / name
            path.write_bytes(data)
            path.chmod(mode)
            os.utime(path, ns=(mtime, mtime))
        return self

    def link(self) -> None:
        """Make the shrunken session's file a link to where it lies then."""
        disk = self.state_dir / "disk"
        disk.mkdir()
        (self.sessions / A).rename(disk / A)
        (self.sessions / A).symlink_to(f"../disk/{A}")

    def begin(self, bytes_needed: int = 1000) -> Any:
        return self.vault.begin_run([self.state_dir], bytes_needed)

    def repair(self) -> str:
        """A run with a change of each kind; returns its id."""
        with self.begin() as run:
            change_everything(run)
        return str(run.run_id)

    def undo(self, run_id: str, session_id: str | None = None) -> vault.UndoResult:
        return self.vault.undo(run_id, session_id)

    def only_run(self) -> run_record.Run:
        (run,) = self.vault.list_runs()
        return run

    def contents(self) -> dict[str, tuple[bytes, int, int]]:
        return {
            path.name: (os.readlink(path).encode(), 0, 0)
            if path.is_symlink()
            else (path.read_bytes(), stat.S_IMODE(path.stat().st_mode), path.stat().st_mtime_ns)
            for path in self.sessions.iterdir()
        }

    def kept(self, run_id: str) -> list[bytes]:
        return [path.read_bytes() for path in sorted((self.root / "runs" / run_id / "files").iterdir())]


def change_everything(run: ActiveRun) -> None:
    run.replace("aaa", A, REPAIRED, digest_of(LIVE), info={"title": "A title \ud83d", "messages_before": 1})
    run.remove("aaa", A_BACKUP, digest_of(BACKUP))
    run.create("bbb", B, REBUILT, mtime_ns=1_720_000_000_444_444_444)
    run.replace(None, INDEX, NEW_INDEX, digest_of(INDEX_ROWS))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "webui").fill()


def save_like_the_webui(path: Path, data: bytes, replace: Callable[[Path, Path], None] = os.replace) -> None:
    temp = path.with_name(f"{path.stem}.tmp.1.2")
    temp.write_bytes(data)
    replace(temp, path)


# Runs


def test_a_run_changes_the_files_and_keeps_what_was_there(store: Store) -> None:
    run_id = store.repair()
    assert {name: data for name, (data, _, _) in store.contents().items()} == {
        A: REPAIRED,
        B: REBUILT,
        INDEX: NEW_INDEX,
    }
    assert store.contents()[A][1] == 0o644
    run = store.only_run()
    assert (run.run_id, run.status, run.problem, run.session_ids) == (run_id, "finished", "", ("aaa", "bbb"))
    assert run.stores == (str(store.state_dir),)
    assert run.finished_at is not None
    assert run.finished_at - run.created_at >= 0
    assert [(each.action, each.path, each.state) for each in run.operations] == [
        ("replace", A, "done"),
        ("remove", A_BACKUP, "done"),
        ("create", B, "done"),
        ("replace", INDEX, "done"),
    ]
    assert run.operations[0].info == {"title": "A title \ud83d", "messages_before": 1}
    assert run.operations[0].before == files.FileState(digest_of(LIVE), len(LIVE), 0o644, 1_700_000_000_111_111_111)
    assert store.kept(run_id) == [LIVE, BACKUP, INDEX_ROWS]
    assert json.loads((store.root / "runs" / run_id / "manifest.json").read_bytes())["operations"][2]["path"] == B


@pytest.mark.parametrize("umask", [0, 0o777])
def test_nobody_else_can_read_the_vault(store: Store, umask: int) -> None:
    store.root.mkdir(mode=0o755)
    before = os.umask(umask)
    try:
        run_id = store.repair()
        store.undo(run_id)
    finally:
        os.umask(before)
    for path in (store.root, *store.root.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("primitive", ["replace_if_unchanged", "remove_if_unchanged", "create_exclusive"])
def test_intent_and_kept_bytes_are_on_disk_before_a_file_is_touched(
    store: Store, monkeypatch: pytest.MonkeyPatch, primitive: str
) -> None:
    really = getattr(files, primitive)
    seen: list[str] = []

    def checking(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.parent == store.sessions:
            operation = store.only_run().operations[-1]
            assert (operation.path, operation.state) == (path.name, "planned")
            assert operation.after == (digest_of(args[0]) if primitive != "remove_if_unchanged" else None)
            if operation.kept:
                assert store.kept(store.only_run().run_id)[-1] == path.read_bytes()
            seen.append(path.name)
        return really(path, *args, **kwargs)

    monkeypatch.setattr(files, primitive, checking)
    store.repair()
    assert seen


def test_no_file_is_touched_before_the_disk_has_what_the_run_promises(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only the system has it: when the power goes, what was written and not synced is gone."""
    on_disk: dict[tuple[int, int], int] = {}
    seen: list[str] = []

    def sync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        on_disk[status.st_dev, status.st_ino] = status.st_size

    def checked(primitive: Callable[..., None], path: Path, *args: Any, **kwargs: Any) -> None:
        if path.parent == store.sessions:
            seen.append(path.name)
            run = store.only_run()
            kept = (f"{run_record.KEPT}/{each.kept}" for each in run.operations if each.kept)
            for name in (run_record.JOURNAL, run_record.MANIFEST, *kept):
                status = (store.root / "runs" / run.run_id / name).stat()
                assert on_disk[status.st_dev, status.st_ino] == status.st_size > 0
        primitive(path, *args, **kwargs)

    monkeypatch.setattr(os, "fsync", sync)
    for each in ("replace_if_unchanged", "remove_if_unchanged", "create_exclusive"):
        monkeypatch.setattr(files, each, partial(checked, getattr(files, each)))
    store.repair()
    assert sorted(seen) == [INDEX, A, A_BACKUP, B]


def test_a_file_that_is_another_by_now_is_skipped_and_stays(store: Store) -> None:
    (store.sessions / B).write_bytes(NEWER)
    before = store.contents()
    with store.begin() as run:
        replaced = run.replace("aaa", A, REPAIRED, digest_of(b"what was seen"))
        removed = run.remove("aaa", A_BACKUP, digest_of(b"what was seen"))
        created = run.create("bbb", B, REBUILT)
        missing = run.replace("ccc", "ccc.json", REPAIRED, digest_of(LIVE))
    assert [each.state for each in (replaced, removed, created, missing)] == ["skipped"] * 4
    assert created.note == vault.APPEARED
    assert all(note.isprintable() and note for note in (replaced.note, removed.note, missing.note))
    assert store.contents() == before
    assert store.undo(run.run_id) == vault.UndoResult(run.run_id, ("bbb",) * 0, {}, False)
    assert store.contents() == before


def test_one_bad_file_does_not_stop_the_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(store.sessions / "pipe.json")
    really = files.replace_if_unchanged

    def full_disk(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.name == A:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return really(path, *args, **kwargs)

    monkeypatch.setattr(files, "replace_if_unchanged", full_disk)
    with store.begin() as run:
        pipe = run.replace("pipe", "pipe.json", REPAIRED, digest_of(LIVE))
        full = run.replace("aaa", A, REPAIRED, digest_of(LIVE))
        good = run.create("bbb", B, REBUILT)
    assert [each.state for each in (pipe, full, good)] == ["failed", "failed", "done"]
    assert "named pipe" in pipe.note
    assert "No space" in full.note
    save_like_the_webui(store.sessions / A, NEWER)  # what failed has changed nothing, so it is no business of the undo
    result = store.undo(run.run_id)
    assert (result.refused, set(result.undone)) == ({}, {"aaa", "bbb"})
    assert (store.sessions / A).read_bytes() == NEWER


@pytest.mark.parametrize(
    ("session_id", "name"),
    [
        ("aaa", "../aaa.json"),
        ("aaa", "/etc/aaa.json"),
        ("aaa", ".aaa.json"),
        ("aaa", "aaa.txt"),
        ("aaa", "aaa.json\n"),
        ("aaa", "aaa.tmp.."),
        ("aaa", "aaa\\x.json"),
        ("aaa", "_deleted_webui_sessions.json"),
        ("aaa", INDEX),
        ("../a", A),
        ("", A),
        (None, A),
    ],
)
def test_a_run_cannot_leave_the_files_of_sessions(store: Store, session_id: str | None, name: str) -> None:
    before = store.contents()
    with store.begin() as run, pytest.raises(VaultError):
        run.create(session_id, name, REBUILT)
    assert store.contents() == before


def test_a_temp_of_the_webui_can_be_moved_to_the_vault_and_back(store: Store) -> None:
    name = "aaa.tmp.4711.140335"
    (store.sessions / name).write_bytes(NEWER)
    before = store.contents()
    with store.begin() as run:
        assert run.remove("aaa", name, digest_of(NEWER)).state == "done"
    assert name not in store.contents()
    store.undo(run.run_id)
    assert store.contents() == before


def test_without_space_nothing_begins(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 40, 1 << 40, room.LEAST + 999))
    with pytest.raises(VaultError, match="MiB free"), store.begin(1000):
        pytest.fail("began")
    assert store.vault.list_runs() == ()
    with store.begin(999):
        pass


def test_nothing_is_replaced_that_was_not_kept_whole(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    really = files.create_exclusive

    def lossy(path: Path, data: bytes, **kwargs: Any) -> Any:
        return really(path, data[:-1] if path.parent.name == "files" else data, **kwargs)

    monkeypatch.setattr(files, "create_exclusive", lossy)
    before = store.contents()
    with pytest.raises(VaultError, match="not kept whole"):
        store.repair()
    assert store.contents() == before


def test_a_journal_that_cannot_be_written_stops_the_run_before_the_file(store: Store) -> None:
    def refuse(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = store.contents()
    with store.begin() as run, pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", refuse)
        with pytest.raises(VaultError, match="No space"):
            run.replace("aaa", A, REPAIRED, digest_of(LIVE))
    assert store.contents() == before
    assert store.only_run().operations == ()


def test_run_ids_sort_by_time_also_within_a_moment(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = []
    for now in (1_777_777_777.25, 1_777_777_777.9999999, 1_777_777_777.9999999, 1_777_777_778.0, 1_777_777_779.5):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        with store.begin() as run:
            ids.append(run.run_id)
    assert ids == sorted(set(ids))
    assert ids[0] == "20260503T030937Z-400000"
    assert [run.run_id for run in store.vault.list_runs()] == ids[::-1]


# Locking


HOLDER = """
import sys; from pathlib import Path; from hermes_rescue.core.repair.vault import Vault
with Vault(Path(sys.argv[1]), Path(sys.argv[2])).begin_run([], 0):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other_process(store: Store) -> Iterator[subprocess.Popen[str]]:
    """Another process in the middle of a run."""
    here = Path(__file__).parents[2]
    command = [sys.executable, "-c", HOLDER, str(store.root), str(store.sessions)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=here) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_only_one_process_at_a_time(store: Store, other_process: subprocess.Popen[str]) -> None:
    run = store.only_run()
    assert run.status == "running"
    with pytest.raises(BusyError, match="Another Hermes Rescue"), store.begin():
        pytest.fail("began")
    with pytest.raises(BusyError):
        store.undo(run.run_id)
    other_process.send_signal(signal.SIGKILL)
    other_process.wait()
    assert store.only_run().status == "interrupted"
    with store.begin():
        pass
    assert [run.status for run in store.vault.list_runs()] == ["finished", "interrupted"]


def test_only_one_thread_at_a_time_which_may_lock_again(store: Store) -> None:
    caught: list[BaseException] = []

    def other() -> None:
        try:
            with store.vault.lock():
                pass
        except BusyError as error:
            caught.append(error)

    with store.vault.lock(), store.vault.lock():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(caught) == 1
    other()
    assert len(caught) == 1


def test_looking_leaves_no_trace(store: Store, snapshot: Snapshot) -> None:
    before = snapshot(store.state_dir)
    assert store.vault.list_runs() == ()
    with pytest.raises(VaultError):
        store.vault.read_run("20260503T141200Z-3f2a9c")
    assert snapshot(store.state_dir) == before
    run_id = store.repair()
    before = snapshot(store.state_dir)
    assert store.vault.list_runs() == (store.vault.read_run(run_id),)
    assert snapshot(store.state_dir) == before


# Undo


def test_an_undo_puts_everything_back(store: Store) -> None:
    before = store.contents()
    run_id = store.repair()
    expected = vault.UndoResult(run_id, ("bbb", "aaa"), {}, index_stale=False)
    assert store.undo(run_id) == expected
    assert store.contents() == before
    assert REBUILT in store.kept(run_id)
    run = store.only_run()
    assert run.status == "undone"
    assert {each.state for each in run.operations} == {"undone"}
    assert store.undo(run_id) == expected
    assert store.contents() == before
    assert store.only_run().operations == run.operations


def test_an_undone_run_can_be_followed_by_another(store: Store) -> None:
    before = store.contents()
    first = store.repair()
    store.undo(first)
    second = store.repair()
    repaired = store.contents()
    store.undo(first)
    assert store.contents() == repaired
    store.undo(second)
    assert store.contents() == before


def test_one_session_can_be_undone_and_then_the_rest(store: Store) -> None:
    before = store.contents()
    run_id = store.repair()
    repaired = store.contents()
    assert store.undo(run_id, "aaa") == vault.UndoResult(run_id, ("aaa",), {}, index_stale=True)
    assert store.contents() == {**before, B: repaired[B], INDEX: repaired[INDEX]}
    assert store.only_run().status == "finished"
    assert store.undo(run_id) == vault.UndoResult(run_id, ("bbb", "aaa"), {}, index_stale=False)
    assert store.contents() == before
    with pytest.raises(VaultError):
        store.undo(run_id, "ccc")


@pytest.mark.parametrize("changed", [A, A_BACKUP])
def test_a_session_that_went_on_is_refused_as_a_whole(store: Store, changed: str) -> None:
    before = store.contents()
    run_id = store.repair()
    save_like_the_webui(store.sessions / changed, NEWER)
    went_on = store.contents()
    result = store.undo(run_id)
    assert (result.undone, list(result.refused), result.index_stale) == (("bbb",), ["aaa"], True)
    assert "changed" in result.refused["aaa"]
    assert store.contents() == {name: went_on[name] for name in went_on if name != B}
    assert store.only_run().status == "finished"
    if changed == A_BACKUP:  # once what is in the way is gone, the rest can follow
        (store.sessions / changed).unlink()
        assert store.undo(run_id).refused == {}
        assert store.contents() == before


def test_an_index_that_went_on_is_left_to_be_rebuilt(store: Store) -> None:
    run_id = store.repair()
    save_like_the_webui(store.sessions / INDEX, b"[3]")
    assert store.undo(run_id) == vault.UndoResult(run_id, ("bbb", "aaa"), {}, index_stale=True)
    assert (store.sessions / INDEX).read_bytes() == b"[3]"
    assert store.only_run().status == "undone"


@pytest.mark.parametrize("harm", ["damage", "lose", "replace by a link"])
def test_without_a_sound_copy_a_session_stays_as_it_is(store: Store, harm: str) -> None:
    run_id = store.repair()
    repaired = store.contents()
    kept = store.root / "runs" / run_id / "files" / "0001"  # what the undo would come to last
    if harm == "damage":
        kept.write_bytes(LIVE[::-1])
    else:
        kept.rename(store.state_dir / "elsewhere")
        if harm == "replace by a link":
            kept.symlink_to(store.state_dir / "elsewhere")
    result = store.undo(run_id)
    assert (result.undone, list(result.refused), result.index_stale) == (("bbb",), ["aaa"], True)
    assert store.contents() == {name: repaired[name] for name in (A, INDEX)}


def test_a_session_can_be_rolled_back_inside_its_run(store: Store) -> None:
    before = store.contents()
    with store.begin() as run:
        run.replace("aaa", A, REPAIRED, digest_of(LIVE))
        assert store.undo(run.run_id, "aaa").undone == ("aaa",)
        assert run.create("bbb", B, REBUILT).state == "done"
        assert store.only_run().status == "running"
    assert store.only_run().status == "finished"
    assert [each.state for each in store.only_run().operations] == ["undone", "done"]
    assert {**store.contents(), B: None} == {**before, B: None}
    store.undo(run.run_id)
    assert store.contents() == before


def test_a_file_changed_twice_in_a_run_goes_all_the_way_back(store: Store) -> None:
    before = store.contents()
    with store.begin() as run:
        run.replace("aaa", A, REPAIRED, digest_of(LIVE))
        run.remove("aaa", A, digest_of(REPAIRED))
        run.create("aaa", A, REBUILT)
        run.replace("aaa", A, LIVE, digest_of(REBUILT))
    assert store.undo(run.run_id).refused == {}
    assert store.contents() == before


def test_an_undo_needs_the_sessions_folder(store: Store) -> None:
    run_id = store.repair()
    with pytest.raises(VaultError, match="no sessions folder"):
        Vault(store.root, store.state_dir / "nowhere").undo(run_id)


# Ends in the middle


class Dead(BaseException):
    """The process is no more."""


def end_at(
    step: int, action: Callable[[], object], links: bool = True, on_exchange: Callable[[], None] | None = None
) -> bool:
    """Do something that ends, as if the process were killed, right before its step-th change on the disk.

    From then on every attempt to change anything fails, so that no clean-up can do what a dead process would not.
    ``links`` False: on a file system that knows neither links nor exchanges. Returns whether it came to its end.
    """
    steps = itertools.count()

    def dying(really: Callable[..., Any]) -> Callable[..., Any]:
        def perform(*args: Any, **kwargs: Any) -> Any:
            if next(steps) >= step:
                raise Dead
            return really(*args, **kwargs)

        return perform

    opened, created = os.open, dying(os.open)

    def dying_open(path: Any, flags: int, *rest: Any) -> Any:
        return (created if flags & os.O_CREAT else opened)(path, flags, *rest)

    def busy_exchange(one: Path, other: Path, exchange: Any = files._exchange) -> None:
        if on_exchange:
            on_exchange()
        exchange(one, other)

    def unknown(*_: Any) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    with pytest.MonkeyPatch.context() as patch:
        for name in ("rename", "replace", "unlink", "write", "ftruncate", "chmod", "utime", "mkdir", "symlink"):
            patch.setattr(os, name, dying(getattr(os, name)))
        patch.setattr(os, "supports_fd", {*os.supports_fd, os.chmod, os.utime})
        patch.setattr(os, "open", dying_open)
        patch.setattr(os, "link", dying(os.link) if links else unknown)
        patch.setattr(files, "_exchange", dying(busy_exchange))
        if not links:
            patch.setattr(files, "_renameat2", unknown)
        try:
            action()
        except Dead:
            return False
    return True


def copied(store: Store, target: Path) -> Store:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(store.state_dir, target, symlinks=True)
    return Store(target)


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
@pytest.mark.parametrize("linked", [False, True], ids=["a file", "a linked file"])
def test_a_run_that_died_anywhere_can_be_rolled_back(store: Store, tmp_path: Path, links: bool, linked: bool) -> None:
    if linked:
        store.link()
    before = store.contents()
    for step in range(1000):
        broken = copied(store, tmp_path / "broken")
        through = end_at(step, broken.repair, links)
        for run in broken.vault.list_runs():
            assert run.status == ("finished" if through else run.status)
            assert not run.problem
            result = broken.undo(run.run_id)
            assert (result.refused, result.index_stale) == ({}, False), step
            assert broken.vault.read_run(run.run_id).status == "undone"
        assert broken.contents() == before, step
        if through:
            return
    pytest.fail("never came to its end")


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
@pytest.mark.parametrize("linked", [False, True], ids=["a file", "a linked file"])
def test_a_run_that_died_anywhere_can_be_closed_and_still_undone(
    store: Store, tmp_path: Path, links: bool, linked: bool
) -> None:
    if linked:
        store.link()
    before = store.contents()
    for step in range(1000):
        broken = copied(store, tmp_path / "broken")
        through = end_at(step, broken.repair, links)
        for run in broken.vault.list_runs():
            with broken.vault.finish_run(run.run_id):
                pass
            closed = broken.vault.read_run(run.run_id)
            assert closed.status == "finished"
            assert {each.state for each in closed.operations} <= {"done", "skipped"}, step
            assert not [name for name in broken.contents() if own_temps.own_temp(name)]
            assert broken.undo(run.run_id).refused == {}
        assert broken.contents() == before, step
        if through:
            return
    pytest.fail("never came to its end")


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
@pytest.mark.parametrize("linked", [False, True], ids=["a file", "a linked file"])
def test_an_undo_that_died_anywhere_can_be_repeated(store: Store, tmp_path: Path, links: bool, linked: bool) -> None:
    if linked:
        store.link()
    before = store.contents()
    run_id = store.repair()
    for step in range(1000):
        broken = copied(store, tmp_path / "broken")
        through = end_at(step, partial(broken.undo, run_id), links)
        assert broken.undo(run_id) == vault.UndoResult(run_id, ("bbb", "aaa"), {}, index_stale=False), step
        assert broken.contents() == before, step
        if through:
            return
    pytest.fail("never came to its end")


def test_what_a_replaced_link_leads_to_stays_and_the_link_returns(store: Store) -> None:
    store.link()
    before, disk = store.contents(), store.state_dir / "disk" / A
    run_id = store.repair()
    assert not (store.sessions / A).is_symlink()
    assert ((store.sessions / A).read_bytes(), disk.read_bytes()) == (REPAIRED, LIVE)
    disk.write_bytes(NEWER)  # the link came back to whatever lies there by then
    assert store.undo(run_id).refused == {}
    assert store.contents() == before


def test_a_save_in_the_place_of_a_link_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.link()
    exchange = files._exchange

    def exchange_after_a_save(one: Path, other: Path) -> None:
        monkeypatch.setattr(files, "_exchange", exchange)
        saved = store.sessions / "aaa.tmp.1.2"
        saved.write_bytes(LIVE)  # the very bytes that the link led to
        os.replace(saved, store.sessions / A)
        exchange(one, other)

    monkeypatch.setattr(files, "_exchange", exchange_after_a_save)
    with store.begin() as run:
        assert run.replace("aaa", A, REPAIRED, digest_of(LIVE)).state == "skipped"
    assert (store.sessions / A).read_bytes() == LIVE
    assert not (store.sessions / A).is_symlink()


def refusing_once(really: Callable[..., Any], count: Iterator[int], step: int) -> Callable[..., Any]:
    def perform(*args: Any, **kwargs: Any) -> Any:
        if next(count) == step:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return really(*args, **kwargs)

    return perform


def test_an_undo_that_failed_anywhere_can_be_repeated(store: Store, tmp_path: Path) -> None:
    """As above, but the process lives on: the system refuses one change."""
    before = store.contents()
    run_id = store.repair()
    for primitive in ("rename", "unlink", "link", "fsync", "write"):
        for step in range(1000):
            broken = copied(store, tmp_path / "broken")
            count = iter(range(1000))

            with pytest.MonkeyPatch.context() as patch, suppress(VaultError):
                patch.setattr(os, primitive, refusing_once(getattr(os, primitive), count, step))
                broken.undo(run_id)
            last = next(count) <= step
            assert broken.undo(run_id) == vault.UndoResult(run_id, ("bbb", "aaa"), {}, index_stale=False)
            assert broken.contents() == before, (primitive, step)
            if last:
                break
        else:
            pytest.fail("never came to its end")


@pytest.mark.parametrize("again", ["undo", "finish"])
def test_a_save_that_came_while_a_run_died_is_not_lost(store: Store, tmp_path: Path, again: str) -> None:
    """Hermes saves right before the exchange, its save comes out and has to go back; and the run dies anywhere."""
    for step in range(1000):
        broken = copied(store, tmp_path / "broken")
        saved = broken.state_dir / "saved"

        def save_once(broken: Store = broken, saved: Path = saved) -> None:
            if not saved.exists():
                save_like_the_webui(broken.sessions / A, NEWER)
                saved.write_bytes(b"")

        def repair_one(broken: Store = broken) -> None:
            with broken.begin() as run:
                run.replace("aaa", A, REPAIRED, digest_of(LIVE))

        through = end_at(step, repair_one, on_exchange=save_once)
        in_temp = any(own_temps.own_temp(name) and data == NEWER for name, (data, _, _) in broken.contents().items())
        for run in broken.vault.list_runs():
            if again == "undo":
                # Where the save is back but that is not on record, it may as well have come after the change.
                allowed = {"aaa"} if saved.exists() and not in_temp else set()
                assert set(broken.undo(run.run_id).refused) <= allowed, step
            else:
                with broken.vault.finish_run(run.run_id):
                    pass
                assert broken.vault.read_run(run.run_id).status == "finished"
                assert broken.undo(run.run_id).refused == {}
        assert (broken.sessions / A).read_bytes() == (NEWER if saved.exists() else LIVE), step
        assert set(broken.contents()) == {A, A_BACKUP, INDEX}
        if through:
            return
    pytest.fail("never came to its end")


def test_a_save_that_came_while_an_undo_died_is_not_lost(store: Store, tmp_path: Path) -> None:
    run_id = store.repair()
    for step in range(1000):
        broken = copied(store, tmp_path / "broken")
        saved = broken.state_dir / "saved"

        def save_once(broken: Store = broken, saved: Path = saved) -> None:
            if not saved.exists():
                save_like_the_webui(broken.sessions / A, NEWER)
                saved.write_bytes(b"")

        through = end_at(step, partial(broken.undo, run_id, "aaa"), on_exchange=save_once)
        result = broken.undo(run_id, "aaa")
        assert (broken.sessions / A).read_bytes() == (NEWER if saved.exists() else LIVE), step
        assert list(result.refused) == (["aaa"] if saved.exists() else [])
        assert not [name for name in broken.contents() if own_temps.own_temp(name)]
        if through:
            return
    pytest.fail("never came to its end")


def test_what_another_run_left_behind_is_not_taken_for_a_save(store: Store) -> None:
    """In a container every process may have the same id."""
    with store.begin() as first:
        temp = store.sessions / f".{A}.rescue.tmp.{os.getpid()}.1.{own_temps.next_number()}"
        temp.write_bytes(b"what the first run was about to write")
    before = store.contents()
    second = store.repair()
    assert store.undo(second).refused == {}
    assert store.contents() == before
    store.undo(first.run_id)
    assert set(store.contents()) == {A, A_BACKUP, INDEX, temp.name}  # no operation of that run was on this file
    assert ".tmp." in temp.name


# Manifests and journals that are torn, foreign or hostile


def test_a_journal_torn_anywhere_in_its_last_line_is_read_and_gone_on_with(store: Store, tmp_path: Path) -> None:
    before = store.contents()
    with suppress(InterruptedError), store.begin() as run:
        change_everything(run)
        raise InterruptedError
    journal = Path("runs", run.run_id, "journal.jsonl")
    whole = (store.root / journal).read_bytes()
    start = whole[:-1].rindex(b"\n") + 1
    for torn in (
        *(whole[:end] for end in range(start, len(whole), 7)),
        whole[:start] + b"\0" * 40,
        whole[:-9] + b"\0\n",
    ):
        broken = copied(store, tmp_path / "broken")
        (broken.root / journal).write_bytes(torn)
        assert broken.only_run().status == "interrupted"
        assert broken.only_run().operations[-1].state == "planned"
        assert broken.undo(run.run_id).refused == {}
        assert broken.contents() == before
        assert broken.vault.read_run(run.run_id).status == "undone"


def test_a_journal_damaged_in_the_middle_is_reported_and_nothing_is_guessed(store: Store) -> None:
    run_id = store.repair()
    journal = store.root / "runs" / run_id / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([lines[0], b"{}}\n", *lines[2:]]))
    repaired = store.contents()
    assert "Line 2" in store.only_run().problem
    with pytest.raises(VaultError, match="Line 2"):
        store.undo(run_id)
    assert store.contents() == repaired


def rewritten(data: bytes) -> Callable[[Path], None]:
    return by_other(lambda path: path.write_bytes(data))


def edited(**fields: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "manifest.json"
        path.write_text(json.dumps({**json.loads(path.read_bytes()), **fields}))

    return edit


def edited_operation(**fields: Any) -> Callable[[Path], None]:
    """Changes the removal of the backup: its undo would create a file."""

    def edit(folder: Path) -> None:
        document = json.loads((folder / "manifest.json").read_bytes())
        document["operations"][1].update(fields)
        (folder / "manifest.json").write_text(json.dumps(document))
        (folder / "journal.jsonl").write_bytes(b"")

    return edit


def by_other(make: Callable[[Path], object], name: str = "manifest.json") -> Callable[[Path], None]:
    def put(folder: Path) -> None:
        shutil.move(folder / name, folder.parent.parent / "moved")
        make(folder / name)

    return put


def journaled(line: str) -> Callable[[Path], None]:
    def append(folder: Path) -> None:
        path = folder / "journal.jsonl"
        path.write_bytes(path.read_bytes() + line.encode() + b'\n{"number": 1, "state": "done", "note": ""}\n')

    return append


def behind_a_link(folder: Path) -> None:
    shutil.move(folder, folder.parent.parent / "moved")
    folder.symlink_to("../moved")


HOSTILE: dict[str, Callable[[Path], None]] = {
    "climbs out": edited_operation(path="../../victim.json"),
    "absolute": edited_operation(path="/tmp/victim.json"),
    "hidden": edited_operation(path=".aaa.json"),
    "tombstones": edited_operation(path="_deleted_webui_sessions.json"),
    "line feed": edited_operation(path="aaa.json\n"),
    "odd session": edited_operation(session_id="../aaa"),
    "index of a session": edited_operation(session_id="aaa", path=INDEX),
    "kept elsewhere": edited_operation(kept="../../../secret"),
    "nothing kept": edited_operation(kept=None),
    "no digest": edited_operation(after="../x"),
    "wrong action": edited_operation(action="chmod"),
    "removal with a result": edited_operation(after="0" * 64),
    "odd mode": edited_operation(before={"digest": "0" * 64, "size": 1, "mode": 1 << 40, "mtime_ns": 1}),
    "odd time of a file": edited_operation(before={"digest": "0" * 64, "size": 1, "mode": 1, "mtime_ns": 1 << 90}),
    "gap": edited_operation(number=7),
    "number too large": edited_operation(number=int("9" * 4000)),
    "odd info": edited_operation(info={"a": ["b"]}),
    "another run": edited(run_id="20200101T000000Z-000000"),
    "future version": edited(version=2),
    "no version": edited(version=None),
    "odd status": edited(status="interrupted"),
    "not a number": edited(created_at=float("nan")),
    "end of time": edited(finished_at=1e300),
    "operations missing": edited(operations=None),
    "no object": rewritten(b"[]"),
    "no JSON": rewritten(bytes(100)),
    "deep": rewritten(b"[" * 200_000),
    "deep journal": journaled("[" * 200_000),
    "manifest missing": lambda folder: (folder / "manifest.json").unlink(),
    "manifest a link": by_other(lambda path: path.symlink_to("../../moved")),
    "manifest a pipe": by_other(os.mkfifo),
    "manifest a folder": by_other(lambda path: path.mkdir()),
    "journal missing": lambda folder: (folder / "journal.jsonl").unlink(),
    "journal a link": by_other(lambda path: path.symlink_to("../../moved"), "journal.jsonl"),
    "journal a pipe": by_other(os.mkfifo, "journal.jsonl"),
    "outcome of nothing": journaled('{"number": 99, "state": "done", "note": ""}'),
    "files a link": by_other(lambda path: path.symlink_to("../../moved"), "files"),
    "run a link": behind_a_link,
}


@pytest.mark.parametrize("harm", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_run_is_reported_stops_nothing_and_is_never_acted_on(
    store: Store, snapshot: Snapshot, harm: Callable[[Path], None]
) -> None:
    good = store.repair()
    store.undo(good)
    bad = store.repair()
    harm(store.root / "runs" / bad)
    before = snapshot(store.state_dir)
    first, second = store.vault.list_runs()
    assert (first.run_id, first.status) == (bad, "unreadable")
    assert first.problem.startswith(f"The run {bad} cannot be read: ")
    assert first.problem.isprintable()
    assert (second.run_id, second.status, second.problem) == (good, "undone", "")
    with pytest.raises(VaultError):
        store.vault.undo(bad)
    with pytest.raises(VaultError), store.vault.finish_run(bad):
        pass
    assert snapshot(store.state_dir) == before


@pytest.mark.parametrize(
    "run_id", ["../runs", "", ".", "20260503T141200Z-3f2a9c/..", "20260503T141200Z-3F2A9C", "\x1b[2J"]
)
def test_what_is_no_run_id_becomes_no_path(store: Store, run_id: str) -> None:
    store.repair()
    with pytest.raises(VaultError) as caught:
        store.undo(run_id)
    assert str(caught.value).isprintable()


def test_litter_in_the_vault_is_passed_over(store: Store) -> None:
    run_id = store.repair()
    for name in (".new", "notes", ".DS_Store", "20260503"):
        (store.root / "runs" / name).mkdir()
    assert store.only_run().run_id == run_id


@pytest.mark.parametrize(
    "make", [lambda path: path.symlink_to("/tmp"), lambda path: path.touch()], ids=["link", "file"]
)
def test_a_vault_that_is_no_folder_is_refused(store: Store, make: Callable[[Path], None]) -> None:
    make(store.root)
    before = store.contents()
    with pytest.raises(VaultError), store.begin():
        pytest.fail("began")
    assert store.contents() == before


def test_the_newest_run_is_the_last_one_whatever_the_clock_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = []
    for now in (1_900_000_000.0, 1_777_777_777.0, 1_777_777_776.0, 1_900_000_000.0):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        with store.begin() as run:
            ids.append(run.run_id)
    assert [run.run_id for run in store.vault.list_runs()] == ids[::-1]
    assert {run.created_at for run in store.vault.list_runs()} == {1_900_000_000.0, 1_777_777_777.0, 1_777_777_776.0}


def test_a_folder_with_the_last_of_all_names_is_no_end(store: Store) -> None:
    (store.vault.root / "runs" / "99991231T235959Z-ffffff").mkdir(parents=True)
    with store.begin() as run:
        pass
    assert run.run_id in [each.run_id for each in store.vault.list_runs()]


@pytest.mark.parametrize("made", ["before the repair", "after it", "after a repair that died"])
def test_nothing_changes_a_snapshot_made_of_links(
    store: Store, tmp_path: Path, made: str, snapshot: Callable[[Path], dict[str, Any]]
) -> None:
    copy = tmp_path / "copy"

    def take() -> dict[str, Any]:
        subprocess.run(["cp", "-al", store.state_dir, copy], check=True)
        return snapshot(copy)

    kept = take() if made == "before the repair" else {}
    with suppress(KeyboardInterrupt), store.begin() as run:
        run.replace("aaa", A, REPAIRED, digest_of(LIVE))
        run.create("bbb", B, REPAIRED)
        if made == "after a repair that died":
            raise KeyboardInterrupt
    if made != "before the repair":
        kept = take()
    assert set(store.undo(run.run_id).undone) == {"aaa", "bbb"}
    with store.begin() as run:
        run.replace("aaa", A, REPAIRED, digest_of(LIVE))
    now = snapshot(copy)
    lock = "rescue/lock"
    assert {**now, lock: None} == {**kept, lock: None}
