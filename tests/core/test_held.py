"""What is held of each session of a large store, for as long as it is looked at, is little."""

from __future__ import annotations

import gc
import pickle
import sqlite3
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hermes_rescue.core.audit.findings import SessionAudit
from hermes_rescue.core.hermes.database.statedb import open_statedb
from hermes_rescue.core.hermes.listing import Listing, listed, session_files
from hermes_rescue.core.hermes.session_files import SomeFilesEach
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.hermes.webui_recovery import FileFacts

SESSIONS = 2_000


def held_by(make: Callable[[], object]) -> float:
    """Bytes of memory that something has, for each session."""
    tracemalloc.start()
    try:
        made = make()
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert made is not None
    return held / SESSIONS


def test_the_paths_of_files_are_not_held(tmp_path: Path) -> None:
    sessions = tmp_path / "sessions"
    for k in range(SESSIONS):
        session_id, run = f"{k:012x}", f"{k:032x}.jsonl"
        in_runs = f"_run_journal/{session_id}/"
        turns = f"_turn_journal/{session_id}~1029.jsonl"
        for name in (in_runs + run, f"{in_runs}two.jsonl", turns, f"{session_id}.json", f"{session_id}.json.bak"):
            (sessions / name).parent.mkdir(parents=True, exist_ok=True)
            (sessions / name).touch()
    store = Store(None, tmp_path, sessions, (), ())

    def listing() -> Listing:
        return listed(store, session_files(sessions))[0]

    found = listing()
    runs = sessions / "_run_journal/000000000001"
    assert found.run_journals["000000000001"] == (runs / f"{1:032x}.jsonl", runs / "two.jsonl")
    assert found.turn_journals["000000000001"] == (sessions / "_turn_journal/000000000001~1029.jsonl",)
    assert found.sidecars["000000000001"] == sessions / "000000000001.json"
    assert held_by(listing) < 300  # with paths it is four times that


@pytest.mark.parametrize("name", ["{0}~1.jsonl", "{0}/{0}.jsonl", "other.jsonl", "x{0}.jsonl", "{0}"])
def test_files_have_their_names_also_as_those_of_a_part(name: str) -> None:
    files = SomeFilesEach.named(Path("folder"), {"part": [name.format("part"), "b"], "none": []})
    path = Path("folder", name.format("part"))
    assert files["part"] == (path, Path("folder/b")) and [*map(Path, files.texts("part"))] == [*files["part"]]
    assert "none" not in files and files.texts("none") == []
    assert files.with_parts({"whole": ("none", "part")})["whole"] == files["part"]
    with pytest.raises(KeyError):
        files["none"]


def test_the_columns_of_rows_are_named_once_for_many(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    names = ("id", "source", "title", "started_at", "message_count", "input_tokens", "output_tokens", "archived", "cwd")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"CREATE TABLE sessions ({', '.join(names)}, model, parent_session_id)")
        rows = ((f"{k:012x}", "webui", None, *[1] * (len(names) - 3)) for k in range(SESSIONS))
        database.executemany(f"INSERT INTO sessions ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})", rows)
    with open_statedb(path) as found:
        row = found.sessions()["000000000001"]
        assert {**row.columns} == dict.fromkeys(names[3:], 1) | {"id": "000000000001", "source": "webui"}

    def read() -> object:
        with open_statedb(path) as database:
            return database.sessions()

    assert held_by(read) < 250  # with a dictionary of each row it is more than twice that


def test_what_answers_from_another_process_have_alike_is_held_once() -> None:
    one, other = (pickle.loads(pickle.dumps(SessionAudit("s", "Title", (), files=FileFacts(7)))) for _ in range(2))
    assert one == other == SessionAudit("s", "Title", (), files=FileFacts(7))
    assert one.session_id is other.session_id and one.files is other.files and one.offered is other.offered
