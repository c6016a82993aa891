"""Work spread over processes: the same results, one session lost with a process that dies, nothing left behind."""

from __future__ import annotations

import multiprocessing
import multiprocessing.spawn
import os
import signal
import sqlite3
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core.audit import session as audit_session
from hermes_rescue.core.audit import store_audit, workers
from hermes_rescue.core.audit.findings import Category
from hermes_rescue.core.audit.workers import Cancelled, Failure, over_sessions
from hermes_rescue.core.base import progress
from hermes_rescue.core.base.progress import Steps
from hermes_rescue.core.demo.demo_store import make_demo_store
from hermes_rescue.core.hermes.copies import CopyReader
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.store import Store, find_store
from hermes_rescue.core.hermes.webui_status import WebUIStatus, webui_status
from hermes_rescue.core.repair.plan import plan

DEADLY = "deadly"
SECRET = "what the user said"


@pytest.fixture
def spread(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Every store counts as large; whatever is left of the processes at the end is a defect."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(workers, "MANY", 1)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    yield
    assert multiprocessing.active_children() == []
    assert list(temporary.iterdir()) == []


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return find_store(home=make_demo_store(tmp_path / "demo").home)


def results(store: Store, task: Callable[..., Any], ids: list[str], **options: Any) -> list[Any]:
    with Inventory(store) as inventory:
        return [each for batch in over_sessions(task, inventory, webui_status(store), ids, **options) for each in batch]


def echo(reader: CopyReader, webui: WebUIStatus, session_id: str, steps: Steps) -> str:
    return session_id


def dies(reader: CopyReader, webui: WebUIStatus, session_id: str, steps: Steps) -> str:
    if session_id == DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)
    return session_id


def fails(reader: CopyReader, webui: WebUIStatus, session_id: str, steps: Steps) -> str:
    if session_id == DEADLY:
        raise ValueError(SECRET)
    return session_id


def never_ends(reader: CopyReader, webui: WebUIStatus, session_id: str, steps: Steps) -> str:
    if session_id == DEADLY:
        signal.pause()
    return session_id


def private_copies(reader: CopyReader, webui: WebUIStatus, session_id: str, steps: Steps) -> list[tuple[str, int, int]]:
    """All copies of databases that there are now, with the modes of folder and file."""
    found = Path(tempfile.gettempdir()).parent.rglob("state.db")
    return sorted((str(path), path.parent.stat().st_mode & 0o777, path.stat().st_mode & 0o777) for path in found)


def messages_in_databases(reader: CopyReader, webui: WebUIStatus, session_id: str, steps: Steps) -> tuple[str, int]:
    return session_id, sum(len(copy.messages) for copy in reader.copies(session_id).databases)


def tells(reader: CopyReader, webui: WebUIStatus, session_id: str, steps: Steps) -> str:
    progress.INTERVAL = 0
    steps._next = 0.0
    assert len([*steps.over(range(10), 10, 1.0)]) == 10
    return session_id


@pytest.mark.usefixtures("spread")
def test_processes_find_and_plan_what_one_process_does(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    audited, planned = store_audit.audit(store), plan(store)
    monkeypatch.setattr(workers, "MANY", 10**9)
    alone = store_audit.audit(store)
    assert (audited.sessions, audited.store_findings) == (alone.sessions, alone.store_findings)
    assert planned == plan(store)


@pytest.mark.usefixtures("spread")
def test_a_process_that_dies_takes_one_session_with_it(store: Store) -> None:
    others = [f"s{k}" for k in range(40)]
    found = results(store, dies, [*others[:20], DEADLY, *others[20:]])
    assert sorted(each for each in found if isinstance(each, str)) == sorted(others)
    assert [each.session_id for each in found if isinstance(each, Failure)] == [DEADLY]


@pytest.mark.usefixtures("spread")
def test_a_process_that_dies_before_its_first_session_takes_none_with_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    hired, start = [], workers._Worker.__init__

    def dead_on_arrival(worker: workers._Worker, *arguments: Any) -> None:
        start(worker, *arguments)
        hired.append(worker)
        if len(hired) == 1:
            worker._process.kill()
            worker._process.join()

    monkeypatch.setattr(workers._Worker, "__init__", dead_on_arrival)
    ids = [f"s{k}" for k in range(40)]
    assert len(ids) == len(found := results(store, echo, ids))
    assert {each.session_id if isinstance(each, Failure) else each for each in found} == {*ids}
    assert sum(isinstance(each, Failure) for each in found) <= 1


@pytest.mark.usefixtures("spread")
def test_damage_that_only_another_process_came_upon_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    path = store.databases[0]
    with closing(sqlite3.connect(path)) as database:
        (size,) = database.execute("PRAGMA page_size").fetchone()
        database.execute("UPDATE messages SET content = ? WHERE id = (SELECT max(id) FROM messages)", ("MARK" * 5000,))
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    overflow = [at for at in range(0, len(data), size) if data[at + 4 : at + 804] == b"MARK" * 200]
    for at in overflow:  # pages that only whoever reads this one message comes to
        data[at : at + size] = bytes(size)
    path.write_bytes(data)
    assert overflow
    told = store_audit.audit(store).store_findings
    assert [(each.kind.name, each.details["lost_rows"]) for each in told] == [("state_db_unreadable", 1)]
    monkeypatch.setattr(workers, "MANY", 10**9)
    assert told == store_audit.audit(store).store_findings


def with_a_log_of_its_own(store: Store) -> None:
    """As a computer that went down leaves a database: only in a copy SQLite can read it."""
    path = store.databases[0]
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA wal_autocheckpoint = 0")
        database.execute("UPDATE sessions SET title = title")
        database.commit()
        log = path.with_name(path.name + "-wal").read_bytes()
    path.with_name(path.name + "-wal").write_bytes(log)


@pytest.mark.usefixtures("spread")
def test_all_processes_read_one_private_copy(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with_a_log_of_its_own(store)
    monkeypatch.setattr(workers, "_processors", lambda: 3)
    seen = results(store, private_copies, [f"s{k}" for k in range(60)])
    assert len(seen) == 60 and len(seen[0]) == 1
    assert seen[0][0][1:] == (0o700, 0o600)
    assert all(each == seen[0] for each in seen)


@pytest.mark.usefixtures("spread")
def test_what_only_this_process_can_read_is_read_by_this_process(store: Store) -> None:
    with_a_log_of_its_own(store)
    with Inventory(store) as inventory:
        copy = inventory.databases[0].copy
        assert copy is not None
        ids = inventory.session_ids()
        here = [messages_in_databases(inventory, webui_status(store), sid, Steps()) for sid in ids]
        copy.rename(copy.with_name("elsewhere"))
        batches = over_sessions(messages_in_databases, inventory, webui_status(store), ids)
        assert sorted(each for batch in batches for each in batch if not isinstance(each, Failure)) == sorted(here)
        assert {fact.state for fact in inventory.database_facts} == {"ok"}
    assert sum(count for _, count in here) > 0


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """``starts(script)``: what is started in place of Python for each process."""
    usual = multiprocessing.spawn.get_executable()

    def start(script: str) -> None:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        multiprocessing.set_executable(str(path))

    yield start
    multiprocessing.set_executable(usual)


@pytest.mark.usefixtures("spread")
@pytest.mark.parametrize(
    "script", ["exit 1", "kill -9 $$", "exec sleep 600", None], ids=["ends", "is killed", "hangs", "cannot be started"]
)
def test_where_no_process_ever_answers_the_work_is_done_here(
    store: Store, starts: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str | None
) -> None:
    monkeypatch.setattr(workers, "PATIENCE", 0.2)
    starts(script or "")
    if script is None:
        (tmp_path / "python").unlink()
    ids = [f"s{k}" for k in range(40)]
    told: list[float] = []
    assert sorted(results(store, echo, ids, progress=lambda done, total: told.append(done))) == sorted(ids)
    assert told[-1] == len(ids)


@pytest.mark.parametrize("many", [1, 10**9], ids=["processes", "one process"])
def test_a_session_that_the_program_fails_at_is_told_without_its_text(
    store: Store, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    monkeypatch.setattr(workers, "MANY", many)
    found = results(store, fails, ["a", DEADLY, "b"])
    (failure,) = (each for each in found if isinstance(each, Failure))
    assert (failure.session_id, sorted(each for each in found if each != failure)) == (DEADLY, ["a", "b"])
    assert "ValueError" in failure.reason and SECRET not in failure.reason


@pytest.mark.usefixtures("spread")
def test_a_wish_to_stop_is_heard_while_a_worker_hangs(store: Store) -> None:
    with pytest.raises(Cancelled):
        results(store, never_ends, [DEADLY, "a", "b"], should_cancel=lambda: True)


@pytest.mark.usefixtures("spread")
def test_processes_tell_how_far_they_are_within_a_session(store: Store) -> None:
    told: list[float] = []
    ids = [f"s{k}" for k in range(5)]
    assert sorted(results(store, tells, ids, progress=lambda done, total: told.append(done))) == ids
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0, 5)
    assert len({*told}) > 20


@pytest.mark.usefixtures("spread")
def test_whoever_stops_listening_leaves_no_process(store: Store) -> None:
    with Inventory(store) as inventory:
        batches = over_sessions(echo, inventory, webui_status(store), [f"s{k}" for k in range(1000)])
        assert isinstance(batches, Generator)
        next(batches)
        batches.close()


def test_an_audit_shows_the_session_that_it_failed_at(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = store_audit.audit(store)
    victim = whole.of(None)[0]
    propose = audit_session.propose  # type: ignore[attr-defined]

    def broken(copies: Any, *rest: Any, **options: Any) -> Any:
        if copies.session_id == victim.session_id:
            raise MemoryError
        return propose(copies, *rest, **options)

    monkeypatch.setattr(audit_session, "propose", broken)
    found = {session.session_id: session for session in store_audit.audit(store).sessions}
    assert found.keys() == {session.session_id for session in whole.sessions}
    row = found[victim.session_id]
    assert [f.kind.name for f in row.findings] == ["not_examined"] and row.category is Category.REVIEW
    assert row.title == victim.title
    assert victim.session_id in plan(store).refused
