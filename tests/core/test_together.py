"""Sessions that are written at the same time: what is on record of them, and what becomes of them when one fails."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core.base.errors import VaultError
from hermes_rescue.core.base.files import digest_of
from hermes_rescue.core.repair import run_record
from hermes_rescue.core.repair.together import Together
from hermes_rescue.core.repair.vault import ActiveRun, Vault

SESSIONS = [f"{k:012x}" for k in range(6)]


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """That of a store with some sessions."""
    sessions = tmp_path / "sessions"
    sessions.mkdir()
    for sid in SESSIONS:
        (sessions / f"{sid}.json").write_text(f"old {sid}")
    return Vault(tmp_path / "rescue", sessions)


def journal_of(vault: Vault, run: ActiveRun) -> Path:
    return vault.root / "runs" / run.run_id / run_record.JOURNAL


def replace(run: ActiveRun, sid: str) -> None:
    done = run.replace(sid, f"{sid}.json", f"new {sid}".encode(), digest_of(f"old {sid}".encode()))
    assert done.state == "done"


def all_at_once(monkeypatch: pytest.MonkeyPatch, vault: Vault, run: ActiveRun) -> None:
    """Replace all sessions, each in a thread of its own; the first line of the journal reaches the disk only when all
    others wait for theirs."""
    journal, waiting = journal_of(vault, run), threading.Semaphore(0)
    first = threading.Event()
    put = run_record.Journal._put

    def counted(self: run_record.Journal, record: dict[str, Any]) -> None:
        if "operation" in record:
            waiting.release()
        put(self, record)

    def sync(descriptor: int) -> None:
        if os.fstat(descriptor).st_ino == journal.stat().st_ino and not first.is_set():
            first.set()
            for _ in SESSIONS:
                assert waiting.acquire(timeout=60)

    monkeypatch.setattr(run_record.Journal, "_put", counted)
    monkeypatch.setattr(os, "fsync", sync)
    with Together(len(SESSIONS)) as together:
        for sid in SESSIONS:
            together.begin(partial(replace, run, sid))


def test_what_waits_is_put_on_record_together_and_can_be_undone(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in vault.sessions_dir.iterdir()}
    with vault.begin_run([], 1000) as run:
        all_at_once(monkeypatch, vault, run)
        lines = journal_of(vault, run).read_bytes().splitlines()
    assert len(lines) < 2 * len(SESSIONS)
    (done,) = vault.list_runs()
    assert sorted(done.session_ids) == SESSIONS
    assert [each.number for each in done.operations] == [k + 1 for k in range(len(SESSIONS))]
    assert {each.state for each in done.operations} == {"done"}
    assert vault.undo(done.run_id).refused == {}
    assert {path.name: path.read_bytes() for path in vault.sessions_dir.iterdir()} == before


def test_a_line_of_several_that_was_torn_counts_for_nothing(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """The power went before it was all on the disk; none of what it begins was touched yet."""
    with vault.begin_run([], 1000) as run:
        all_at_once(monkeypatch, vault, run)
        journal = journal_of(vault, run)
        lines = journal.read_bytes().splitlines(keepends=True)
        place, several = next((k, line) for k, line in enumerate(lines) if "together" in json.loads(line))
        journal.write_bytes(b"".join(lines[:place]) + several[:-20])
        found = run_record.read(journal.parent, locked=True)
        assert not found.problem
        assert len(found.operations) < len(SESSIONS)
        run_record.take_up(journal.parent)
        assert journal.read_bytes().startswith(b"".join(lines[:place]))
        assert not run_record.read(journal.parent, locked=True).problem


def test_where_nothing_can_be_put_on_record_no_file_is_touched_and_no_number_is_missing(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = run_record._append
    full = True

    def refuse(folder: Path, record: dict[str, Any]) -> None:
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        append(folder, record)

    monkeypatch.setattr(run_record, "_append", refuse)
    with vault.begin_run([], 1000) as run:
        for sid in SESSIONS[:2]:
            with pytest.raises(VaultError, match="No space left"):
                replace(run, sid)
        assert (vault.sessions_dir / f"{SESSIONS[0]}.json").read_text() == f"old {SESSIONS[0]}"
        full = False
        replace(run, SESSIONS[2])
    (done,) = vault.list_runs()
    assert (done.problem, done.session_ids) == ("", (SESSIONS[2],))


def test_where_one_fails_the_others_come_to_their_end_and_no_other_is_begun() -> None:
    done: list[int] = []
    begun = threading.Event()

    def fail() -> None:
        begun.wait(60)
        raise VaultError("The vault cannot be used.")

    def work(number: int) -> None:
        begun.set()
        done.append(number)

    works: list[Callable[[], None]] = [fail, partial(work, 1), *(partial(work, k) for k in range(2, 50))]
    with pytest.raises(VaultError), Together(2) as together:
        for each in works:
            together.begin(each)
    assert 1 in done
    assert 49 not in done or len(done) == 49
