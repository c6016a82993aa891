"""Plan, apply, verify: what a repair promises about the files it touches."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.store_audit import audit
from hermes_rescue.core.audit.workers import Cancelled
from hermes_rescue.core.base import files, progress
from hermes_rescue.core.base.errors import BusyError, RescueError, UnreadableError
from hermes_rescue.core.hermes import sidecar
from hermes_rescue.core.hermes.store import Store, find_store
from hermes_rescue.core.hermes.webui_recovery import startup_would_restore
from hermes_rescue.core.repair import apply, put_back, run_record, vault
from hermes_rescue.core.repair.outcomes import State
from hermes_rescue.core.repair.vault import Vault


@pytest.fixture
def store(hermes: Any) -> Store:
    """One session that was wiped, its backup beside it."""
    hermes.write_live([])
    hermes.write_backup(hermes.turns("a", "b"))
    return find_store(home=hermes.home)


def only(result: api.Result) -> api.Outcome:
    (outcome,) = result.outcomes
    return outcome


def test_a_plan_says_what_will_happen_and_changes_nothing(
    hermes: Any, store: Store, snapshot: Callable[[Path], Any]
) -> None:
    before = snapshot(hermes.home)
    (planned,) = api.plan(store).sessions
    assert (planned.messages_before, planned.messages_after, planned.messages_lost) == (0, 4, 0)
    assert planned.kinds == ("shrunken_live",)
    assert planned.operations == (f"replace {hermes.live.name} (the old file is kept in the vault)",)
    assert snapshot(hermes.home) == before


def test_a_list_that_is_not_there_is_not_promised(hermes: Any, store: Store) -> None:
    assert not api.plan(store).rebuilds_list
    hermes.write_index({"session_id": hermes.live.stem, "title": "Notes", "message_count": 4})
    assert api.plan(store).rebuilds_list


@pytest.mark.parametrize("kind", ["not_a_file", "id_mismatch"])
def test_what_stands_in_the_way_is_told_and_is_no_question(hermes: Any, store: Store, kind: str) -> None:
    """Naming the session does not help against it."""
    if kind == "id_mismatch":
        hermes.write_live(hermes.turns("a"), session_id="abcdef012345")
    else:
        hermes.live.unlink()
        os.mkfifo(hermes.live)
    sid = hermes.live.stem
    found = (f for session in hermes.audit().sessions if session.session_id == sid for f in session.findings)
    (finding,) = (f for f in found if f.name == kind)
    plan = api.plan(store, [sid])
    assert plan.refused == {sid: finding.evidence} and plan.is_empty and not plan.questions
    assert sid not in api.plan(store).questions


def test_a_file_that_changed_since_the_plan_is_left_alone(hermes: Any, store: Store) -> None:
    plan = api.plan(store)
    newer = hermes.write_live(hermes.turns("new"))
    assert only(api.apply(plan)).state is State.SKIPPED
    assert hermes.live.read_bytes() == newer


def test_a_copy_that_changed_since_the_plan_is_not_written(hermes: Any, store: Store) -> None:
    plan = api.plan(store)
    before = hermes.live.read_bytes()
    hermes.write_backup(hermes.turns("a", "b", "c"))
    assert only(api.apply(plan)).state is State.SKIPPED
    assert hermes.live.read_bytes() == before


def test_a_save_in_the_very_moment_of_the_replacement_wins(
    hermes: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = api.plan(store)
    newer = json.dumps(hermes.session(hermes.turns("new"))).encode()
    real = files._exchange

    def exchange(one: Path, other: Path) -> None:
        if other == hermes.live and hermes.live.read_bytes() != newer:
            temp = hermes.live.with_suffix(".tmp.1.1")
            temp.write_bytes(newer)
            os.replace(temp, hermes.live)
        real(one, other)

    monkeypatch.setattr(files, "_exchange", exchange)
    assert only(api.apply(plan)).state is State.SKIPPED
    assert hermes.live.read_bytes() == newer


@pytest.mark.parametrize(
    "wrong",
    [
        b"{",
        b'{"session_id": "3f2a9c51b7d0", "workspace": "", "messages": [], "message_count": 0}',
        b'{"session_id": "3f2a9c51b7d0", "workspace": "", "messages": [%s], "message_count": 9}',
        b'{"session_id": "3f2a9c51b7d0", "workspace": nul, "messages": [%s]}',
    ],
)
def test_what_does_not_hold_what_was_promised_is_never_written(
    hermes: Any, store: Store, monkeypatch: pytest.MonkeyPatch, snapshot: Callable[[Path], Any], wrong: bytes
) -> None:
    """A defect of this program: what it would write is not what it shows."""
    before = snapshot(hermes.home)
    real = sidecar.serialise

    def serialise(proposed: sidecar.Sidecar) -> bytes:
        listed = b", ".join(piece.raw for piece in proposed.messages)
        return wrong.replace(b"%s", listed)

    monkeypatch.setattr(sidecar, "serialise", serialise)
    plan = api.plan(store)
    assert (plan.sessions, list(plan.refused)) == ((), [hermes.live.stem])
    assert api.apply(plan).outcomes == ()
    assert snapshot(hermes.home) == before
    monkeypatch.setattr(sidecar, "serialise", real)
    assert len(api.plan(store).sessions) == 1


def test_what_cannot_be_read_back_is_rolled_back(hermes: Any, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    before = hermes.live.read_bytes()
    plan = api.plan(store)
    real = files.look
    failed: list[Path] = []

    def look(path: Path, link: str | None = None) -> files.FileState | None:
        state = real(path, link)
        if not failed and path == hermes.live and state and state.digest == plan.sessions[0].after:
            failed.append(path)
            raise UnreadableError(f"{path} cannot be read (Input/output error).")
        return state

    monkeypatch.setattr(files, "look", look)
    assert only(api.apply(plan)).state is State.ROLLED_BACK
    assert hermes.live.read_bytes() == before


def test_a_backup_that_was_left_for_nothing_goes_again(
    hermes: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A save that shrinks leaves a backup first; then somebody else saves."""
    hermes.write_live(hermes.turns("a", "b"))
    backup = hermes.live.with_name(f"{hermes.live.name}.bak")
    backup.unlink()
    newer = json.dumps(hermes.session(hermes.turns("a", "b", "c"))).encode()
    real = files.create_exclusive

    def create(path: Path, *arguments: Any, **options: Any) -> None:
        real(path, *arguments, **options)
        if path == backup:
            hermes.live.write_bytes(newer)

    monkeypatch.setattr(files, "create_exclusive", create)
    plan = api.plan(store, [hermes.live.stem], choices=hermes.choose(exclude=(3,)))
    assert only(api.apply(plan)).state is State.SKIPPED
    assert hermes.live.read_bytes() == newer
    assert not backup.exists()


def test_one_session_that_fails_does_not_stop_the_next(
    hermes: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = hermes.sessions / "ffffffffffff.json"
    other.write_text(json.dumps(hermes.session([], session_id="ffffffffffff")))
    other.with_suffix(".json.bak").write_text(json.dumps(hermes.session(hermes.turns("z"), session_id="ffffffffffff")))
    real = files.replace_if_unchanged

    def replace(path: Path, *arguments: Any, **options: Any) -> None:
        if path == hermes.live:
            raise OSError(28, "No space left on device", str(path))
        real(path, *arguments, **options)

    monkeypatch.setattr(files, "replace_if_unchanged", replace)
    result = api.apply(api.plan(store))
    assert [o.state for o in result.outcomes] == [State.FAILED, State.REPAIRED]
    assert "No space left" in result.outcomes[0].reason
    assert json.loads(other.read_text())["message_count"] == 2
    assert hermes.load()["messages"] == []


def test_cancelling_takes_effect_between_sessions_and_keeps_what_is_done(hermes: Any, store: Store) -> None:
    for k in range(3):
        sid = f"00000000000{k}"
        (hermes.sessions / f"{sid}.json.bak").write_text(json.dumps(hermes.session(hermes.turns("z"), session_id=sid)))
    plan = api.plan(store)
    asked: list[int] = []

    def should_cancel() -> bool:
        asked.append(1)
        return len(asked) > 2

    result = api.apply(plan, should_cancel=should_cancel)
    assert result.cancelled
    assert [o.state for o in result.outcomes] == [State.REPAIRED] * 2 + [State.CANCELLED] * 2
    assert api.apply(api.plan(store)).count(State.REPAIRED) == 2


def test_an_audit_can_be_cancelled(store: Store) -> None:
    with pytest.raises(Cancelled):
        audit(store, should_cancel=lambda: True)


def test_a_session_that_nobody_knows_is_an_error(store: Store) -> None:
    with pytest.raises(RescueError, match="0123456789ab"):
        api.plan(store, ["0123456789ab"])


def test_only_one_repair_at_a_time(hermes: Any, store: Store) -> None:
    plan = api.plan(store)
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with Vault.of(store).lock():
            inside.set()
            leave.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    inside.wait()
    try:
        with pytest.raises(BusyError):
            api.apply(plan)
    finally:
        leave.set()
        holder.join()
    assert hermes.load()["messages"] == []


def test_a_run_that_died_is_finished_by_the_next_repair(
    hermes: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(apply, "_new_index", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            api.apply(api.plan(store))
    assert [run.status for run in api.interrupted_runs(store)] == ["interrupted"]
    hermes.write_temp(hermes.turns("a", "b", "c"))
    assert api.apply(api.plan(store)).count(State.REPAIRED) == 1
    assert api.interrupted_runs(store) == ()
    assert [run.status for run in Vault.of(store).list_runs()] == ["finished", "finished"]


def test_what_a_run_that_died_left_open_is_done_though_every_session_is_well(
    hermes: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index and the larger backup come last; nothing about the session itself would bring them back to mind."""
    kept = hermes.turns("a", "b")
    shorten_old(hermes, kept)
    hermes.write_index({"session_id": hermes.live.stem, "title": "Notes", "message_count": 9, "updated_at": 1.0})
    with monkeypatch.context() as patch:
        patch.setattr(vault.ActiveRun, "remove", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            api.apply(api.plan(store))
    plan = api.plan(store)
    assert (plan.sessions, len(plan.unfinished), plan.is_empty) == ((), 1, False)
    assert api.apply(plan).index_rebuilt
    assert api.interrupted_runs(store) == ()
    assert not hermes.live.with_name(f"{hermes.live.name}.bak").exists()
    (row,) = json.loads((hermes.sessions / "_index.json").read_text())
    assert row["message_count"] == 4


def test_what_a_run_that_died_left_open_is_done_though_the_repair_is_stopped(
    hermes: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "INTERVAL", 0)
    with monkeypatch.context() as patch:
        patch.setattr(vault.ActiveRun, "remove", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        shorten_old(hermes, hermes.turns("a", "b"))
        with pytest.raises(KeyboardInterrupt):
            api.apply(api.plan(store))
    other = json.dumps(hermes.session(hermes.turns("z"), session_id="000000000001"))
    (hermes.sessions / "000000000001.json.bak").write_text(other)
    told: list[float] = []
    result = api.apply(api.plan(store), progress=lambda done, _: told.append(done), should_cancel=lambda: bool(told))
    assert [o.state for o in result.outcomes] == [State.CANCELLED]
    assert api.interrupted_runs(store) == ()
    assert not hermes.live.with_name(f"{hermes.live.name}.bak").exists()


def test_the_backup_of_what_a_person_left_out_stays_when_a_run_that_died_is_finished(
    hermes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run wrote it, as the WebUI does before it shortens a file; without generations no mark keeps it there."""
    hermes.write_old(hermes.live, hermes.turns("a", "b"))
    before = hermes.live.read_bytes()
    store = find_store(home=hermes.home)
    with monkeypatch.context() as patch:
        patch.setattr(vault.Vault, "_finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            api.apply(api.plan(store, [hermes.live.stem], choices=hermes.choose(exclude=(2, 3))))
    assert len(hermes.load()["messages"]) == 2
    api.apply(api.plan(store))
    assert api.interrupted_runs(store) == ()
    assert hermes.live.with_name(f"{hermes.live.name}.bak").read_bytes() == before


def test_a_backup_that_holds_no_more_than_what_is_written_stays(hermes: Any) -> None:
    """No version puts it in the place of the file, whatever it knows of acts."""
    hermes.write_old(hermes.live, [])
    hermes.write_old(hermes.live.with_name(f"{hermes.live.name}.bak"), hermes.turns("a", "b"))
    hermes.repair(hermes.live.stem)
    assert len(hermes.load()["messages"]) == 4
    assert hermes.live.with_name(f"{hermes.live.name}.bak").exists()


def test_a_file_that_somebody_copied_beside_its_session_is_not_listed(hermes: Any, store: Store) -> None:
    """The WebUI takes the id from the file, so it would list the session twice."""
    (hermes.sessions / f"{hermes.live.stem}-copy.json").write_bytes(hermes.write_backup(hermes.turns("a", "b")))
    hermes.write_index({"session_id": hermes.live.stem, "title": "Notes", "message_count": 0, "updated_at": 1.0})
    assert api.apply(api.plan(store)).index_rebuilt
    assert [row["session_id"] for row in json.loads((hermes.sessions / "_index.json").read_text())] == [
        hermes.live.stem
    ]


def test_an_index_that_cannot_be_written_leaves_the_repair_to_be_finished(
    hermes: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    hermes.write_index({"session_id": hermes.live.stem, "title": "Notes", "message_count": 0, "updated_at": 1.0})
    real = files.replace_if_unchanged

    def full(path: Path, *arguments: Any, **options: Any) -> None:
        if path.name == "_index.json":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(files, "replace_if_unchanged", full)
        with pytest.raises(RescueError, match=r"_index\.json: No space left on device"):
            api.apply(api.plan(store))
    assert len(hermes.load()["messages"]) == 4
    assert api.apply(api.plan(store)).index_rebuilt
    (row,) = json.loads((hermes.sessions / "_index.json").read_text())
    assert row["message_count"] == 4
    assert api.interrupted_runs(store) == ()


def test_a_backup_that_cannot_be_moved_takes_the_repair_back(
    hermes: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside it, the WebUI's own start-up restore would undo the repair."""
    before = shorten_old(hermes, hermes.turns("a", "b"))

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patch:
        patch.setattr(files, "remove_if_unchanged", refuse)
        outcome = only(api.apply(api.plan(store)))
    assert outcome.state is State.ROLLED_BACK
    assert "Permission denied" in outcome.reason
    assert hermes.live.read_bytes() == before


def test_an_undo_that_died_is_found_and_can_go_either_way(
    hermes: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = hermes.live.read_bytes()
    result = api.apply(api.plan(store))
    assert result.run_id is not None
    with monkeypatch.context() as patch:
        patch.setattr(put_back, "revert", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            api.undo(store, result.run_id)
    assert [run.run_id for run in api.interrupted_runs(store)] == [result.run_id]
    api.undo(store, result.run_id)
    assert api.interrupted_runs(store) == ()
    assert hermes.live.read_bytes() == before


def test_a_run_that_died_can_be_rolled_back(hermes: Any, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    before = hermes.live.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(apply, "_new_index", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            api.apply(api.plan(store))
    (run,) = api.interrupted_runs(store)
    assert api.undo(store, run.run_id).undone == (hermes.live.stem,)
    assert hermes.live.read_bytes() == before


def test_an_undo_is_refused_where_the_file_has_changed_since(hermes: Any, store: Store) -> None:
    result = api.apply(api.plan(store))
    assert result.run_id is not None
    newer = hermes.write_live(hermes.turns("a", "b", "c"))
    undone = api.undo(store, result.run_id)
    assert undone.undone == ()
    assert "changed" in undone.refused[hermes.live.stem]
    assert hermes.live.read_bytes() == newer


def test_the_index_follows_an_undo_of_one_session(hermes: Any, store: Store) -> None:
    sid = "000000000001"
    (hermes.sessions / f"{sid}.json.bak").write_text(json.dumps(hermes.session(hermes.turns("z"), session_id=sid)))
    hermes.write_index({"session_id": hermes.live.stem, "title": "Notes", "message_count": 0, "updated_at": 1.0})
    result = api.apply(api.plan(store))
    assert result.run_id is not None
    index = hermes.sessions / "_index.json"
    assert {r["session_id"]: r["message_count"] for r in json.loads(index.read_text())} == {hermes.live.stem: 4, sid: 2}
    api.undo(store, result.run_id, sid)
    assert {r["session_id"]: r["message_count"] for r in json.loads(index.read_text())} == {hermes.live.stem: 4}


# A WebUI that runs: it reloads a file only when the message count on disk grows, and else writes over it.


@contextmanager
def running_webui(home: Path, active_streams: int | None) -> Iterator[None]:
    class Health(BaseHTTPRequestHandler):
        def version_string(self) -> str:
            return "HermesWebUI/exp-v0.52.262"

        def do_GET(self) -> None:
            body = json.dumps({"status": "ok", "active_streams": active_streams}).encode()
            self.send_response(200 if self.path == "/health" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Health)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    note = home / "webui.ctl.env"
    note.write_text(f"PID={os.getpid()}\nHOST=0.0.0.0\nPORT={server.server_port}\nSTATE_DIR={home / 'webui'}\n")
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        note.unlink()


def test_under_a_running_webui_a_growing_replacement_is_done(hermes: Any, store: Store) -> None:
    with running_webui(hermes.home, 0):
        assert only(api.apply(api.plan(store))).state is State.REPAIRED


def test_under_a_running_webui_a_lost_file_is_created(hermes: Any, store: Store) -> None:
    hermes.live.unlink()
    with running_webui(hermes.home, 3):
        assert only(api.apply(api.plan(store))).state is State.REPAIRED


def test_under_a_running_webui_a_replacement_that_does_not_grow_waits(hermes: Any, store: Store) -> None:
    before = hermes.write_live(hermes.turns("a", "b"), message_count=9)
    with running_webui(hermes.home, 0):
        plan = api.plan(store)
        assert plan.sessions == ()
        assert "Stop it first" in plan.refused[hermes.live.stem]
        assert hermes.live.read_bytes() == before
        assert only(api.apply(api.plan(store, force=True))).state is State.REPAIRED


def test_a_session_that_is_being_answered_is_not_replaced(hermes: Any, store: Store) -> None:
    hermes.write_live([], active_stream_id="s1", pending_user_message="wait")
    with running_webui(hermes.home, 1):
        found = audit(store)
        assert "stale_stream" not in [f.kind.name for f in found.sessions[0].findings]
        plan = api.plan(store, [hermes.live.stem])
        assert plan.sessions == ()
        assert "answer" in plan.refused[hermes.live.stem]
    assert api.plan(store).sessions[0].messages_after == 5  # it has stopped: the prompt comes back too


def test_a_temp_that_a_running_webui_has_just_written_does_not_stop_the_repair(hermes: Any, store: Store) -> None:
    hermes.write_temp(hermes.turns("a", "b", "c"))
    with running_webui(hermes.home, 0):
        assert only(api.apply(api.plan(store))).state is State.REPAIRED
    assert hermes.texts() == hermes.said(hermes.turns("a", "b"))


def test_a_webui_that_was_started_since_the_plan_is_respected(hermes: Any, store: Store) -> None:
    before = hermes.write_live(hermes.turns("a", "b"), message_count=9)
    plan = api.plan(store)
    with running_webui(hermes.home, 0):
        outcome = only(api.apply(plan))
    assert outcome.state is State.SKIPPED
    assert "Stop it first" in outcome.reason
    assert hermes.live.read_bytes() == before


def test_a_copy_that_cannot_be_read_is_told(hermes: Any, store: Store, rescue: Any) -> None:
    backup = hermes.live.with_suffix(".json.bak")
    backup.unlink(missing_ok=True)
    backup.mkdir()
    assert [str(backup) in text for text in api.plan(store).unread] == [True]
    assert str(backup) in rescue("repair", "--all", "--dry-run", "--home", hermes.home)[1].replace("\n", "")


def shorten_old(hermes: Any, kept: list[Any]) -> bytes:
    """A file with a wrong count that an old version shortened, beside the larger backup, which its start puts back."""
    hermes.write_old(hermes.live.with_suffix(".json.bak"), hermes.turns("a", "b", "c"))
    written: bytes = hermes.write_old(hermes.live, kept, message_count=9, **hermes.undo_marks(kept))
    return written


def test_a_backup_that_tells_what_was_taken_back_stays(hermes: Any, store: Store) -> None:
    """The next start of the WebUI believes the marks of the file, and the next audit what was undone."""
    kept = hermes.turns("a", "b")
    hermes.write_live(kept, message_count=9, **hermes.undo_marks(kept))
    hermes.write_backup(hermes.turns("a", "b", "c"))
    assert only(api.apply(api.plan(store))).state is State.REPAIRED
    assert hermes.live.with_suffix(".json.bak").exists()
    assert not returns(hermes)
    assert hermes.texts() == hermes.said(kept)
    assert hermes.audit().findings == ()


@pytest.fixture
def cleared(hermes: Any) -> Any:
    """A session that an old version cleared, which then went on: the file is right, but the next start of the WebUI
    would replace it with the larger backup."""
    hermes.write_old(hermes.live, hermes.turns("c", start=500), truncation_watermark=0.0, truncation_boundary=0.0)
    hermes.write_old(hermes.live.with_suffix(".json.bak"), hermes.turns("a", "b"))
    return hermes


def returns(hermes: Any) -> bool:
    backup = hermes.live.with_suffix(".json.bak")
    return backup.exists() and startup_would_restore(sidecar.read(hermes.live).sidecar, sidecar.read(backup).sidecar)


def test_a_backup_that_would_replace_the_file_moves_only_where_the_session_is_named(
    cleared: Any, snapshot: Callable[[Path], Any]
) -> None:
    assert returns(cleared)
    before = snapshot(cleared.home)
    assert cleared.repair().run_id is None
    assert snapshot(cleared.home) == before
    assert only(cleared.repair(cleared.live.stem)).state is State.REPAIRED
    assert not returns(cleared)
    assert (
        snapshot(cleared.home)[f"webui/sessions/{cleared.live.name}"] == before[f"webui/sessions/{cleared.live.name}"]
    )
    assert cleared.audit().findings == ()


def test_the_plan_of_such_a_session_names_the_one_operation(cleared: Any) -> None:
    (planned,) = api.plan(find_store(home=cleared.home), [cleared.live.stem]).sessions
    assert planned.operations == (f"move {cleared.live.name}.bak to the vault",)
    assert planned.messages_before == planned.messages_after == 2
    assert planned.why == "old backup"


def test_a_backup_that_was_moved_away_can_be_put_back(cleared: Any, snapshot: Callable[[Path], Any]) -> None:
    before = snapshot(cleared.sessions)
    run = cleared.repair(cleared.live.stem).run_id
    assert run is not None
    api.undo(find_store(home=cleared.home), run)
    names = (cleared.live.name, f"{cleared.live.name}.bak")
    assert [snapshot(cleared.sessions)[name] for name in names] == [before[name] for name in names]


def test_a_running_webui_does_not_keep_such_a_backup_from_moving(cleared: Any) -> None:
    with running_webui(cleared.home, 0):
        assert only(cleared.repair(cleared.live.stem)).state is State.REPAIRED
    assert not returns(cleared)


def test_a_session_that_was_saved_since_keeps_its_backup(cleared: Any) -> None:
    plan = api.plan(find_store(home=cleared.home), [cleared.live.stem])
    cleared.write_old(cleared.live, cleared.turns("c", "d", start=500), truncation_watermark=0.0)
    assert only(api.apply(plan)).state is State.SKIPPED
    assert cleared.live.with_suffix(".json.bak").exists()


def test_no_start_of_the_webui_undoes_a_repair(hermes: Any) -> None:
    """The backup has more messages than the file although it lacks some that are in the rows only."""
    hermes.write_live(hermes.turns("d", start=300))
    hermes.write_backup(hermes.turns("a", "b"))
    hermes.write_rows([*hermes.turns("a", "b"), *hermes.turns("c", start=100), *hermes.turns("d", start=300)])
    assert returns(hermes)
    hermes.repair()
    assert not returns(hermes)


def test_a_damaged_file_says_that_a_start_replaces_it(hermes: Any) -> None:
    hermes.live.write_bytes(hermes.write_live(hermes.turns("a", "b", "c"))[:-20])
    hermes.write_backup(hermes.turns("a"))
    (found,) = hermes.audit().findings
    assert found.kind.name == "malformed_live"
    assert "The next start of Hermes WebUI replaces the file with its backup, which lacks 4 messages" in found.evidence


def test_a_run_that_cannot_be_ended_says_what_it_has_done(
    hermes: Any, store: Store, rescue: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = hermes.live.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(store.vault_root))

    write = run_record.write
    with monkeypatch.context() as patch:
        patch.setattr(run_record, "write", lambda *each: full() if each[1].status == "finished" else write(*each))
        status, out, err = rescue("repair", "--all", "--yes", "--home", hermes.home)
    assert status == 3
    assert hermes.live.read_bytes() != before
    assert "1 of 1 session was repaired" in err and os.strerror(errno.ENOSPC) in err
    assert "nothing was changed" not in (out + err).lower()
    (run,) = api.interrupted_runs(store)
    assert f"Finish: hermes-rescue repair --all --yes --home {hermes.home}" in err
    assert f"Roll back: hermes-rescue undo {run.run_id} --home {hermes.home}" in err


def test_sessions_behind_a_link_have_one_vault_and_one_lock(
    hermes: Any, tmp_path: Path, rescue: Callable[..., tuple[int, str, str]]
) -> None:
    hermes.write_live([])
    hermes.write_backup(hermes.turns("a", "b"))
    before = hermes.live.read_bytes()
    real = tmp_path / "disk" / "sessions"
    real.parent.mkdir()
    hermes.live.parent.rename(real)
    named = hermes.home / "webui" / "sessions"
    named.symlink_to(real)
    ways = [("--home", hermes.home), ("--session-dir", named), ("--session-dir", real)]
    roots = {find_store(home=hermes.home).vault_root, *(find_store(session_dir=d).vault_root for d in (named, real))}
    assert len({root.resolve() for root in roots}) == 1
    for there, back in zip(ways, ways[1:] + ways[:1], strict=True):
        assert rescue("repair", "--all", "--yes", *there)[0] == 0
        assert (real / hermes.live.name).read_bytes() != before
        with Vault.of(find_store(home=hermes.home)).lock():
            pass
        assert rescue("undo", "--yes", *back)[0] == 0
        assert (real / hermes.live.name).read_bytes() == before
