"""What a plan has prepared is written where nothing has changed; where anything has, the copies are read once more."""

from __future__ import annotations

import errno
import gc
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit import cache, written_over
from hermes_rescue.core.audit.session import merge_session
from hermes_rescue.core.base import files
from hermes_rescue.core.base.errors import VaultError
from hermes_rescue.core.base.private_folder import private_folder, sweep
from hermes_rescue.core.hermes import journals, left_out
from hermes_rescue.core.hermes.store import Store, find_store
from hermes_rescue.core.hermes.webui_status import Server, WebUIStatus
from hermes_rescue.core.repair import apply, prepared, run_record
from hermes_rescue.core.repair.outcomes import State
from hermes_rescue.core.repair.vault import Vault


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files count as at rest as soon as they are written; and a folder for temporary files that nobody else uses."""
    monkeypatch.setattr(cache, "FRESH", 0.0)
    monkeypatch.setattr(cache, "FRESH_TEMP", 0.0)
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def merged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sessions that a repair has merged once more."""
    found: list[str] = []

    def noted(reader: Any, webui: Any, session_id: str, *rest: Any, **more: Any) -> Any:
        found.append(session_id)
        return merge_session(reader, webui, session_id, *rest, **more)

    monkeypatch.setattr(apply, "merge_session", noted)
    return found


@pytest.fixture
def store(hermes: Any) -> Store:
    """One session that was wiped: a backup beside it, a leftover save, runs, rows and a row in the session list."""
    told = hermes.turns("a", "b", "c")
    hermes.write_live([])
    hermes.write_backup(told[:4])
    hermes.write_index({"session_id": hermes.live.stem, "title": "Notes", "message_count": 6})
    hermes.write_rows(told)
    return find_store(home=hermes.home)


def kept_folders(temporary: Path) -> list[Path]:
    return [each for each in temporary.iterdir() if list(each.glob("*.prepared"))]


def only(result: api.Result) -> api.Outcome:
    (outcome,) = result.outcomes
    return outcome


def written(store: Store) -> dict[str, Any]:
    """Everything that a repair leaves: names, modes and bytes of the sessions folder, and what is remembered of it."""
    found = (path for path in store.sessions_dir.iterdir() if path.is_file())
    there = {path.name: (path.stat().st_mode, path.read_bytes()) for path in found}
    brought = {sid: (each.after, each.acts, each.signs) for sid, each in written_over.read(store).items()}
    runs = [
        (each.path, each.action, each.state, each.after, each.digest_before, dict(each.info))
        for run in Vault.of(store).list_runs()
        for each in run.operations
    ]
    return {"files": there, "brought": brought, "runs": runs}


def test_where_nothing_changed_it_is_written_without_another_merge(
    hermes: Any, store: Store, merged: list[str], tmp_path: Path
) -> None:
    """And it is the same to the byte, with the same records and the same way back."""
    twin = tmp_path / "twin"
    shutil.copytree(hermes.home, twin)
    before = hermes.live.read_bytes()
    result = api.apply(api.plan(store))
    assert only(result).state is State.REPAIRED and merged == []
    api.apply(api.plan(find_store(home=twin), prepare=False))
    assert merged == [hermes.live.stem]
    assert written(store) == written(find_store(home=twin))
    assert api.undo(store, str(result.run_id)).undone == (hermes.live.stem,)
    assert hermes.live.read_bytes() == before


def test_a_backup_moves_to_the_vault_as_it_was_planned(hermes: Any, merged: list[str]) -> None:
    kept = hermes.turns("a", "b")
    hermes.write_live(kept, **hermes.undo_marks(kept), message_count=9)
    hermes.write_old(hermes.live.with_name(f"{hermes.live.name}.bak"), hermes.turns("a", "b", "c"))
    plan = api.plan(find_store(home=hermes.home))
    assert [planned.backup_moves for planned in plan.sessions] == [True]
    assert only(api.apply(plan)).state is State.REPAIRED and merged == []
    assert not hermes.live.with_name(f"{hermes.live.name}.bak").exists()


def test_what_is_prepared_leaves_no_trace_in_the_home_and_is_for_its_user_alone(
    hermes: Any, store: Store, snapshot: Callable[[Path], Any], temporary: Path
) -> None:
    before = snapshot(hermes.home)
    plan = api.plan(store)
    (folder,) = kept_folders(temporary)
    assert {path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())} == {0o700, 0o600}
    assert snapshot(hermes.home) == before
    del plan
    gc.collect()
    assert [*temporary.iterdir()] == []


def test_nothing_is_prepared_for_a_dry_run(store: Store, temporary: Path) -> None:
    plan = api.plan(store, prepare=False)
    assert plan.sessions and [*temporary.iterdir()] == []


def test_a_plan_without_anything_to_write_keeps_no_folder(hermes: Any, temporary: Path) -> None:
    hermes.write_live(hermes.turns("a"))
    plan = api.plan(find_store(home=hermes.home))
    assert plan.is_empty and [*temporary.iterdir()] == []


def test_what_was_prepared_goes_when_it_is_written(store: Store, temporary: Path) -> None:
    plan = api.plan(store)
    api.apply(plan)
    assert [*temporary.iterdir()] == []
    assert plan.sessions  # what was done is still told from it


def test_what_a_killed_process_had_prepared_is_swept(store: Store, temporary: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from hermes_rescue.core import api\n"
        "from hermes_rescue.core.audit import cache\n"
        "from hermes_rescue.core.hermes.store import find_store\n"
        "cache.FRESH = 0.0\n"
        "plan = api.plan(find_store(home=__import__('pathlib').Path(sys.argv[1])))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(store.home)], env={**os.environ, "TMPDIR": str(temporary)}, check=False
    )
    assert ended.returncode == -signal.SIGKILL and kept_folders(temporary)
    sweep()
    assert [*temporary.iterdir()] == []


# --- several sessions at a time -----------------------------------------------------------------------------------

SEVERAL = [f"{k:012x}" for k in range(20)]


@pytest.fixture
def several(hermes: Any, store: Store) -> Store:
    """Sessions that were wiped, some lost altogether, each with a backup, rows, and a row in the session list."""
    rows = json.loads((hermes.sessions / "_index.json").read_text())
    for k, sid in enumerate(SEVERAL):
        path = hermes.sessions / f"{sid}.json"
        if k % 4:
            path.write_text(json.dumps(hermes.session([], session_id=sid, title=f"Notes {k}")))
        told = hermes.turns("a", f"b {k}")
        backup = hermes.session(told, session_id=sid, title=f"Notes {k}")
        path.with_name(f"{path.name}.bak").write_text(json.dumps(backup))
        hermes.write_rows(told, sid, title=f"Notes {k}")
        rows.append({"session_id": sid, "title": f"Notes {k}", "message_count": 4, "cache_hit_percent": k})
    (hermes.sessions / "_index.json").write_text(json.dumps(rows))
    return store


def test_several_at_a_time_come_to_what_each_by_itself_comes_to(
    hermes: Any, several: Store, merged: list[str], tmp_path: Path
) -> None:
    """The same files, rows of the list and records, and all of it can be put back."""
    twin = tmp_path / "twin"
    shutil.copytree(hermes.home, twin)
    before = {path.name: path.read_bytes() for path in several.sessions_dir.glob("*.json*")}
    plan = api.plan(several)
    result = api.apply(plan)
    assert merged == []
    assert [each.session_id for each in result.outcomes] == [each.session_id for each in plan.sessions]
    assert result.count(State.REPAIRED) == len(SEVERAL) + 1
    api.apply(api.plan(find_store(home=twin), prepare=False))
    assert len(merged) == len(SEVERAL) + 1
    here, there = written(several), written(find_store(home=twin))
    for each in (here, there):
        each["runs"].sort(key=lambda operation: operation[0])
    assert here == there
    assert api.undo(several, str(result.run_id)).refused == {}
    after = {path.name: path.read_bytes() for path in several.sessions_dir.glob("*.json*")}
    assert {**after, "_index.json": b""} == {**before, "_index.json": b""}


def test_stopping_leaves_every_session_whole_and_says_which_are_done(several: Store) -> None:
    asked: list[int] = []

    def should_cancel() -> bool:
        asked.append(1)
        return len(asked) > 10

    plan = api.plan(several)
    before = {each.session_id: each.before for each in plan.sessions}
    result = api.apply(plan, should_cancel=should_cancel)
    assert result.cancelled
    assert [each.state for each in result.outcomes] == [State.REPAIRED] * 10 + [State.CANCELLED] * (len(before) - 10)
    for planned, outcome in zip(plan.sessions, result.outcomes, strict=True):
        now = _now(several, planned.session_id)
        assert now == (planned.after if outcome.state is State.REPAIRED else planned.before)
    assert api.apply(api.plan(several)).count(State.REPAIRED) == len(before) - 10


def test_one_that_cannot_be_written_stops_no_other(several: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    real = files.replace_if_unchanged

    def replace_(path: Path, *rest: Any, **more: Any) -> None:
        if path.name == f"{SEVERAL[5]}.json":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, *rest, **more)

    monkeypatch.setattr(files, "replace_if_unchanged", replace_)
    result = api.apply(api.plan(several))
    states = {each.session_id: each.state for each in result.outcomes}
    assert states.pop(SEVERAL[5]) is State.FAILED
    assert {*states.values()} == {State.REPAIRED}


def test_where_the_vault_fails_the_run_can_be_finished_or_put_back(
    hermes: Any, several: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in several.sessions_dir.glob("*.json*")}
    plan = api.plan(several)
    real = run_record.keep
    kept: list[str] = []

    def keep(folder: Path, name: str, *rest: Any) -> None:
        kept.append(name)
        if len(kept) > 8:
            raise VaultError("What is replaced could not be kept, so it stays: No space left on device.")
        real(folder, name, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(run_record, "keep", keep)
        with pytest.raises(api.RunBrokenError) as broken:
            api.apply(plan)
    done = [each for each in plan.sessions if _now(several, each.session_id) == each.after]
    assert f"{len(done)} of {len(plan.sessions)} sessions were repaired" in str(broken.value)
    assert all(_now(several, each.session_id) in (each.before, each.after) for each in plan.sessions)
    twin = tmp_path / "twin"
    shutil.copytree(hermes.home, twin)
    assert api.undo(several, broken.value.run_id).refused == {}
    assert {path.name: path.read_bytes() for path in several.sessions_dir.glob("*.json*")} == before
    again = find_store(home=twin)
    assert api.apply(api.plan(again)).count(State.REPAIRED) == len(plan.sessions) - len(done)
    assert api.interrupted_runs(again) == ()


def _now(store: Store, session_id: str) -> str | None:
    path = store.sessions_dir / f"{session_id}.json"
    return files.digest_of(path.read_bytes()) if path.exists() else None


def test_the_list_has_what_somebody_saved_right_after_it_was_repaired(
    hermes: Any, several: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that was made with the plan counts only for the file that was written."""
    path = several.sessions_dir / f"{SEVERAL[3]}.json"
    real = apply._new_index

    def new_index(*arguments: Any) -> Any:
        newer = hermes.session(hermes.turns("a", "b 3", "c"), session_id=SEVERAL[3], title="Another")
        path.with_suffix(".new").write_text(json.dumps(newer))
        os.replace(path.with_suffix(".new"), path)
        return real(*arguments)

    monkeypatch.setattr(apply, "_new_index", new_index)
    api.apply(api.plan(several))
    rows = {row["session_id"]: row for row in json.loads((several.sessions_dir / "_index.json").read_text())}
    assert (rows[SEVERAL[3]]["title"], rows[SEVERAL[3]]["message_count"]) == ("Another", 6)


# --- what has changed since the plan ------------------------------------------------------------------------------


def _longer_backup(hermes: Any) -> None:
    hermes.write_backup(hermes.turns("a", "b", "c", "d"))


def _same_backup_saved_again(hermes: Any) -> None:
    backup = hermes.live.with_name(f"{hermes.live.name}.bak")
    data = backup.read_bytes()
    status = backup.stat()
    backup.write_bytes(data.replace(b"ask b", b"ask x"))
    os.utime(backup, ns=(status.st_atime_ns, status.st_mtime_ns))


def _new_temp(hermes: Any) -> None:
    temp = hermes.live.with_name(f"{hermes.live.stem}.tmp.1.1")
    shutil.copy2(hermes.live.with_name(f"{hermes.live.name}.bak"), temp)


def _backup_gone(hermes: Any) -> None:
    hermes.live.with_name(f"{hermes.live.name}.bak").unlink()


def _new_row(hermes: Any) -> None:
    with closing(sqlite3.connect(hermes.home / "state.db")) as database:
        values = (hermes.live.stem, "user", "ask d", 1_777_000_900.0)
        database.execute("INSERT INTO messages (session_id, role, content, timestamp) VALUES (?, ?, ?, ?)", values)
        database.commit()


def _renamed(hermes: Any) -> None:
    hermes.write_index({"session_id": hermes.live.stem, "title": "Another name", "message_count": 6})


def _deleted(hermes: Any) -> None:
    (hermes.sessions / journals.TOMBSTONES_NAME).write_text(f'{{"ids": ["{hermes.live.stem}"]}}')


def _run(hermes: Any) -> None:
    folder = hermes.sessions / "_run_journal" / hermes.live.stem
    folder.mkdir(parents=True)
    (folder / "run1.jsonl").write_text('{"event": "apperror", "payload": {}}\n')


def _other_file(hermes: Any) -> None:
    hermes.write_live(hermes.turns("new"))


CHANGES = [
    _longer_backup,
    _same_backup_saved_again,
    _new_temp,
    _backup_gone,
    _new_row,
    _renamed,
    _deleted,
    _run,
    _other_file,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__.strip("_"))
def test_what_changed_is_read_once_more_and_nothing_else_is_written_than_what_was_planned(
    hermes: Any, store: Store, merged: list[str], tmp_path: Path, change: Callable[[Any], None]
) -> None:
    """It comes to what it comes to without anything prepared."""
    plan = api.plan(store)
    change(hermes)
    now = hermes.live.read_bytes()
    twin = tmp_path / "twin"
    shutil.copytree(hermes.home, twin)
    there = replace(plan, store=find_store(home=twin), prepared=None)
    outcome = only(api.apply(plan))
    assert merged == [hermes.live.stem]
    assert outcome == only(api.apply(there))
    assert written(store) == written(there.store)
    (planned,) = plan.sessions
    wanted = planned.after if outcome.state is State.REPAIRED else files.digest_of(now)
    assert files.digest_of(hermes.live.read_bytes()) == wanted


def test_a_webui_that_was_started_since_is_asked_again(
    hermes: Any, merged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it writes no answer: it forbids a repair that does not let the session grow."""
    hermes.write_live(hermes.turns("a"), message_count=9)
    store = find_store(home=hermes.home)
    before = hermes.live.read_bytes()
    plan = api.plan(store)
    server = Server(77, "127.0.0.1:8787", "0.52.113", 0, answers=True, stop=None)
    monkeypatch.setattr(apply, "webui_status", lambda _: WebUIStatus(True, (server,), "It answers."))
    outcome = only(api.apply(plan))
    assert outcome.state is State.SKIPPED and merged == [hermes.live.stem]
    assert hermes.live.read_bytes() == before


def test_what_a_person_leaves_out_is_put_down_as_ever(hermes: Any, store: Store, merged: list[str]) -> None:
    sid = hermes.live.stem
    plan = api.plan(store, [sid], choices=hermes.choose(exclude=(0, 1)))
    assert only(api.apply(plan)).state is State.REPAIRED and merged == [sid]
    assert left_out.read(store.vault_root)[sid]


def test_a_file_that_was_just_saved_is_read_once_more(
    store: Store, merged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another save within the same tick of the clock would show nowhere."""
    monkeypatch.setattr(cache, "FRESH", 60.0)
    assert only(api.apply(api.plan(store))).state is State.REPAIRED and merged


# --- what becomes of the folder -----------------------------------------------------------------------------------


def _torn(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _removed(path: Path) -> None:
    shutil.rmtree(path.parent)


def _overwritten(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"ask a", b"ask z"))


def _link(path: Path) -> None:
    moved = path.rename(path.with_name("elsewhere"))
    path.symlink_to(moved)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("harm", [_torn, _removed, _overwritten, _link, _pipe], ids=lambda harm: harm.__name__[1:])
def test_what_is_no_longer_what_was_prepared_is_merged_once_more(
    hermes: Any, store: Store, merged: list[str], temporary: Path, harm: Callable[[Path], None]
) -> None:
    plan = api.plan(store)
    ((path,),) = (list(folder.glob("*.prepared")) for folder in kept_folders(temporary))
    harm(path)
    assert only(api.apply(plan)).state is State.REPAIRED and merged == [hermes.live.stem]
    (planned,) = plan.sessions
    assert files.digest_of(hermes.live.read_bytes()) == planned.after


def test_a_link_in_the_place_of_what_is_prepared_is_not_followed(
    hermes: Any, store: Store, merged: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")

    @contextmanager
    def set_up() -> Iterator[Path]:
        with private_folder() as folder:
            (folder / f"{os.getpid()}.prepared").symlink_to(victim)
            yield folder

    monkeypatch.setattr(prepared, "private_folder", set_up)
    assert only(api.apply(api.plan(store))).state is State.REPAIRED
    assert merged == [hermes.live.stem] and victim.read_bytes() == b"precious"


def test_more_than_is_kept_is_merged_once_more(
    store: Store, merged: list[str], temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared, "MOST", 100)
    plan = api.plan(store)
    assert kept_folders(temporary) == []
    assert only(api.apply(plan)).state is State.REPAIRED and merged


def test_no_room_for_it_stops_nothing(store: Store, merged: list[str]) -> None:
    """The disk is full in the middle of it: here the largest file that this process may write."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, usual[1]))
    try:
        plan = api.plan(store)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert only(api.apply(plan)).state is State.REPAIRED and merged


def test_without_a_folder_for_temporary_files_a_repair_goes_on(
    store: Store, merged: list[str], temporary: Path
) -> None:
    temporary.rmdir()
    assert only(api.apply(api.plan(store))).state is State.REPAIRED and merged
