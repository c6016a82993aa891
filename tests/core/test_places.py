"""Copies that lie elsewhere than the session's own files: what they add is offered."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sqlite3
import tarfile
import time
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.cache import AuditCache
from hermes_rescue.core.audit.findings import Category
from hermes_rescue.core.audit.store_audit import audit
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.places.reader import FurtherReader
from hermes_rescue.core.hermes.store import find_store

from tests.core.conftest import SID, START


@pytest.mark.parametrize("ending", ["json.recover.tmp", "json.reconcile.tmp.4242.139", "json.bak.tmp.4242.139"])
def test_every_unfinished_write_of_the_webui_is_a_copy(hermes: Any, ending: str) -> None:
    said = hermes.turns("one", "two")
    hermes.write(hermes.sessions / f"{SID}.{ending}", hermes.session(said))
    hermes.write_live([])
    hermes.repair()
    assert hermes.texts() == hermes.said(said)


def conflict(hermes: Any, name: str, messages: Any, **fields: Any) -> None:
    """A copy beside the session files."""
    hermes.write(hermes.sessions / name, hermes.session(messages, **fields))


@pytest.mark.parametrize("indent", [2, 1, None])
@pytest.mark.parametrize("is_sorted", [False, True])
def test_a_file_under_another_name_is_a_copy_in_whatever_layout(
    hermes: Any, indent: int | None, is_sorted: bool
) -> None:
    """Also where somebody put its fields in the order of their names, so that the id stands after the messages."""
    session = hermes.session(hermes.turns("one", "two"), session_id="0123456789ab")
    hermes.live.write_text(json.dumps(session, indent=indent, sort_keys=is_sorted))
    with Inventory(find_store(home=hermes.home)) as inventory:
        assert inventory.listing.places.misnamed == {SID: "0123456789ab"}


BESIDE = (
    f"{SID}.sync-conflict-20260807-101112-ABCDEFG.json",
    f"{SID} (desk's conflicted copy 2026-08-07).json",
    f"{SID} 2.json",
    f"{SID} - Copy.json",
    f"{SID}-DESK.json",
    f"{SID}.json~",
    f"{SID}.json.old",
    f"{SID}.json.bak2",
    f"hermes-{SID} (1).json",
    "what a person called it.json",
)


@pytest.mark.parametrize("name", BESIDE)
def test_a_copy_beside_the_file_is_offered_and_never_taken_by_itself(hermes: Any, name: str) -> None:
    said = hermes.turns("one", "two")
    hermes.write_live(said[:2])
    conflict(hermes, name, said)
    copy = (hermes.sessions / name).read_bytes()
    before = hermes.live.read_bytes()
    assert hermes.kinds() == ["further_copy"]
    hermes.repair()
    assert hermes.live.read_bytes() == before
    hermes.repair(SID)
    assert hermes.texts() == hermes.said(said)
    assert (hermes.sessions / name).read_bytes() == copy
    assert hermes.kinds() == []


@pytest.mark.parametrize("name", BESIDE)
def test_a_session_of_which_only_such_a_copy_is_left(hermes: Any, name: str) -> None:
    said = hermes.turns("one", "two")
    conflict(hermes, name, said, title="Kept elsewhere")
    hermes.repair()
    assert not hermes.live.exists()
    hermes.repair(SID)
    assert hermes.texts() == hermes.said(said)
    assert hermes.load()["title"] == "Kept elsewhere"


def test_a_copy_of_another_conversation_is_told_from_one_that_goes_on(hermes: Any) -> None:
    said, other = hermes.turns("one", "two"), hermes.turns("for tea", "for coffee", start=5000)
    hermes.write_live(said[:2])
    conflict(hermes, BESIDE[0], said)
    conflict(hermes, BESIDE[1], other, created_at=START + 5000)
    (session,) = hermes.audit().sessions
    one, two = session.findings
    ours, theirs = sorted(session.offered, key=lambda name: session.offered[name])
    assert ours in one.evidence and "another conversation" not in one.evidence
    assert theirs in two.evidence and "another conversation" in two.evidence
    assert ours not in two.evidence


def test_a_copy_that_may_be_of_another_conversation_is_not_taken_before_its_messages_are_chosen(
    hermes: Any, rescue: Callable[..., tuple[int, str, str]]
) -> None:
    said, other = hermes.turns("one", "two"), hermes.turns("for tea", start=5000)
    hermes.write_live(said[:2])
    conflict(hermes, BESIDE[1], other, created_at=START + 5000)
    status, out, _ = rescue("repair", SID, "--yes", "--home", hermes.home)
    assert status == 1 and "unless you choose its messages" in out
    conflict(hermes, BESIDE[0], said)
    status, out, _ = rescue("repair", SID, "--yes", "--home", hermes.home)
    assert status == 1 and "unless you choose its messages" in out
    assert hermes.texts() == hermes.said(said)
    api.apply(api.plan(find_store(home=hermes.home), [SID], choices=hermes.choose(include=[4, 5])))
    assert hermes.texts() == hermes.said(said + other)


def test_a_copy_that_began_when_the_session_did_is_of_it_whatever_it_shares(hermes: Any) -> None:
    said, later = hermes.turns("one"), hermes.turns("two", start=5000)
    hermes.write_live(later)
    conflict(hermes, BESIDE[0], said)
    hermes.repair(SID)
    assert hermes.texts() == hermes.said(said + later)


def test_what_was_taken_back_since_is_not_offered(hermes: Any) -> None:
    said = hermes.turns("one", "two", "three")
    hermes.write_live(said[:4], **hermes.undo_marks(said[:4]))
    conflict(hermes, BESIDE[0], said, updated_at=said[-1]["timestamp"])
    assert hermes.kinds() == []
    hermes.repair(SID)
    assert hermes.texts() == hermes.said(said[:4])


def test_a_cleared_session_stays_empty(hermes: Any) -> None:
    hermes.write_live([], **hermes.cleared)
    conflict(hermes, BESIDE[0], hermes.turns("one"))
    assert hermes.kinds() == []


def test_an_own_copy_is_repaired_by_itself_and_the_rest_stays_a_question(hermes: Any) -> None:
    said = hermes.turns("one", "two", "three")
    hermes.write_backup(said[:4])
    hermes.write_live([])
    conflict(hermes, BESIDE[0], said)
    hermes.repair()
    assert hermes.texts() == hermes.said(said[:4])
    assert hermes.kinds() == ["further_copy"]


@pytest.mark.parametrize("form", ["gzip", "bom", "crlf"])
def test_a_copy_is_read_in_whatever_spelling(hermes: Any, form: str) -> None:
    said = hermes.turns("one", "two")
    data = json.dumps(hermes.session(said), indent=2).encode()
    changed = {
        "gzip": gzip.compress(data),
        "bom": b"\xef\xbb\xbf" + data,
        "crlf": data.replace(b"\n", b"\r\n"),
    }[form]
    (hermes.sessions / f"{SID}.json.gz").write_bytes(changed)
    hermes.repair(SID)
    assert hermes.texts() == hermes.said(said)


def snapshot(hermes: Any, messages: Any) -> None:
    """The agent's own snapshot: no times, the workspace tag in the prompts."""
    folder = hermes.home / "sessions"
    folder.mkdir(exist_ok=True)
    said = [{name: value for name, value in each.items() if name != "timestamp"} for each in messages]
    for each in said:
        if each["role"] == "user":
            each["content"] = f"[Workspace::v1: /srv/notes]\n{each['content']}"
    head = {
        "session_id": SID,
        "platform": "webui",
        "session_start": "2026-04-24T10:00:00",
        "system_prompt": "x" * 90_000,
    }
    hermes.write(folder / f"session_{SID}.json", {**head, "message_count": len(said), "messages": said})


def test_the_agents_snapshot_gives_back_what_only_it_has(hermes: Any) -> None:
    said = hermes.turns("one", "two")
    snapshot(hermes, said)
    hermes.write_live(said[:2])
    assert hermes.kinds() == ["further_copy"]
    hermes.repair(SID)
    assert hermes.texts() == hermes.said(said)


def test_snapshots_of_other_programs_are_none_of_the_webuis(hermes: Any) -> None:
    snapshot(hermes, hermes.turns("one"))
    path = hermes.home / "sessions" / f"session_{SID}.json"
    path.write_text(path.read_text().replace('"webui"', '"telegram"'))
    assert hermes.audit().sessions == ()


def test_a_snapshot_of_a_whole_session_is_no_finding(hermes: Any) -> None:
    said = hermes.turns("one", "two")
    snapshot(hermes, said)
    hermes.write_live(said)
    hermes.write_rows(said)
    assert hermes.kinds() == []


ASIDE = (
    "state.db.backup",
    "state.db.corrupt-20260701.bak",
    "state.db.malformed-backup-20260701",
    "archive/state-2026-07.db",
    "state-snapshots/20260801-030000-pre-update/state.db",
    "state.db.retired-wal-1/state.db",
)


@pytest.mark.parametrize("name", ASIDE)
def test_a_database_that_was_set_aside_is_a_copy_of_its_own(hermes: Any, name: str) -> None:
    said = hermes.turns("one", "two")
    hermes.write_rows(said)
    target = hermes.home / name
    target.parent.mkdir(parents=True, exist_ok=True)
    (hermes.home / "state.db").rename(target)
    hermes.write_index({"session_id": SID, "title": "Kept", "message_count": 4})
    hermes.repair()
    assert not hermes.live.exists()
    assert "Kept" in (hermes.sessions / "_index.json").read_text()
    hermes.repair(SID)
    assert hermes.texts() == hermes.said(said)
    assert hermes.load()["title"] == "Kept"


def test_the_last_trace_of_a_session_stays_in_the_list_until_it_is_named(hermes: Any) -> None:
    hermes.write_index({"session_id": SID, "title": "All that is left", "message_count": 4})
    (finding,) = hermes.audit().findings
    assert str(hermes.sessions) in finding.evidence
    hermes.repair()
    assert "All that is left" in (hermes.sessions / "_index.json").read_text()
    hermes.repair(SID)
    assert "All that is left" not in (hermes.sessions / "_index.json").read_text()


def test_exported_lines_hold_sessions(hermes: Any) -> None:
    said = hermes.turns("one", "two")
    line = {"id": SID, "source": "webui", "started_at": START, "title": "Notes", "cwd": "/srv/notes"}
    (hermes.home / "backup.jsonl").write_text(json.dumps({**line, "messages": said}) + "\n")
    hermes.repair(SID)
    assert hermes.texts() == hermes.said(said)
    assert hermes.load()["workspace"] == "/srv/notes"


@pytest.mark.parametrize("kind", ["zip", "gztar"])
def test_an_archive_in_the_home_is_opened_for_a_session_that_needs_it(hermes: Any, kind: str) -> None:
    said = hermes.turns("one", "two")
    old = hermes.home.parent / "old"
    (old / "webui" / "sessions").mkdir(parents=True)
    hermes.write(old / "webui" / "sessions" / f"{SID}.json", hermes.session(said))
    shutil.make_archive(str(hermes.home / "hermes-backup-2026-08-01-030000"), kind, old)
    hermes.write_index({"session_id": SID, "title": "Kept", "message_count": 4})
    hermes.repair()
    assert not hermes.live.exists()
    hermes.repair(SID)
    assert hermes.texts() == hermes.said(said)


def names_of_further(hermes: Any, *also: Path) -> list[str]:
    with Inventory(find_store(home=hermes.home, also=also)) as inventory:
        return [copy.name for copy in inventory.copies(SID).further]


def backup_of(hermes: Any, archive: Path, messages: Any, *, at: str = "2026-11-29 14:05:00") -> Path:
    """An archive with one session, whose file in it is of a moment."""
    with zipfile.ZipFile(archive, "w") as packed:
        moment = time.strptime(at, "%Y-%m-%d %H:%M:%S")[:6]
        packed.writestr(zipfile.ZipInfo(f"webui/sessions/{SID}.json", moment), json.dumps(hermes.session(messages)))
    return archive


def test_two_backups_of_one_day_are_told_apart_by_their_times(hermes: Any, tmp_path: Path) -> None:
    """By that in the name of the archive, else by that of the file in it."""
    said = hermes.turns("one", "two", "three")
    hermes.write_live(said[:2])
    early = backup_of(hermes, tmp_path / "hermes-backup-2026-11-29-090710.zip", said[:4])
    late = backup_of(hermes, tmp_path / "hermes-backup-2026-11-29-140500.zip", said)
    assert names_of_further(hermes, early) == ["backup of 29 November 2026"]
    named = {"backup of 29 November 2026, 09:07", "backup of 29 November 2026, 14:05"}
    assert set(names_of_further(hermes, early, late)) == named
    early = backup_of(hermes, tmp_path / "a.zip", said[:4], at="2026-11-29 09:07:10")
    late = backup_of(hermes, tmp_path / "b.zip", said)
    assert set(names_of_further(hermes, early, late)) == named


def test_backups_of_one_day_without_a_time_are_counted(hermes: Any, tmp_path: Path) -> None:
    said = hermes.turns("one", "two", "three")
    hermes.write_live(said[:2])
    one = backup_of(hermes, tmp_path / "hermes-backup-20261129.zip", said[:4])
    other = backup_of(hermes, tmp_path / "copy-20261129.zip", said)
    assert names_of_further(hermes, one, other) == ["backup of 29 November 2026", "backup of 29 November 2026 (2)"]


def test_databases_of_one_day_are_told_apart_by_their_times(hermes: Any) -> None:
    said = hermes.turns("one", "two")
    hermes.write_live(said[:2])
    hermes.write_rows(said)
    early, late = (hermes.home / f"state.db.{name}" for name in ("20261129-090710", "20261129-140500"))
    shutil.copy(hermes.home / "state.db", early)
    (hermes.home / "state.db").rename(late)
    assert set(names_of_further(hermes)) == {
        "database of 29 November 2026, 09:07 (set aside)",
        "database of 29 November 2026, 14:05 (set aside)",
    }


@pytest.mark.parametrize("what", ["home", "sessions", "file", "database"])
def test_a_place_that_is_given_counts(hermes: Any, tmp_path: Any, what: str) -> None:
    said = hermes.turns("one", "two")
    old = tmp_path / "old"
    hermes.write_rows(said) if what == "database" else conflict(hermes, f"{SID}.json", said)
    hermes.home.rename(old)
    hermes.sessions.mkdir(parents=True)
    hermes.write_live(said[:2])
    places = {
        "home": old,
        "sessions": old / "webui" / "sessions",
        "file": old / "webui" / "sessions" / f"{SID}.json",
        "database": old / "state.db",
    }
    store = find_store(home=hermes.home, also=(places[what],))
    api.apply(api.plan(store))
    assert hermes.texts() == hermes.said(said[:2])
    api.apply(api.plan(store, (SID,)))
    assert hermes.texts() == hermes.said(said)


def test_messages_that_the_database_refused_are_offered_in_their_order(hermes: Any) -> None:
    said = hermes.turns("one", "two", "three")
    hermes.write_live(said[:2])
    folder = hermes.home / "pending_messages"
    folder.mkdir()
    for k, each in enumerate(said[2:]):
        spooled = {"session_key": SID, "reason": "transcript_cap_drop", "ts": 1, "seq": k}
        spooled["data"] = {"session_id": SID, "message": each}
        hermes.write(folder / f"pending-{9 - k}.json", spooled)
    hermes.write(folder / "pending-x.json", {"session_key": "telegram:1", "reason": "shutdown", "data": {"text": "no"}})
    assert hermes.kinds() == ["further_copy"]
    hermes.repair(SID)
    assert hermes.texts() == hermes.said(said)


def test_what_an_agent_could_not_save_at_its_end_is_offered(hermes: Any) -> None:
    said = hermes.turns("one", "two")
    hermes.write_live(said[:2])
    folder = hermes.home / "pending_messages"
    folder.mkdir()
    kept = {"reason": "shutdown-with-unpersisted-agent-history", "session_id": SID, "count": 4, "messages": said}
    (folder / "pending-77.json").write_text(json.dumps(kept, indent=2))
    assert hermes.kinds() == ["further_copy"]
    hermes.repair(SID)
    assert hermes.texts() == hermes.said(said)


def test_what_was_said_last_stands_last_wherever_it_was_kept(hermes: Any) -> None:
    said = hermes.turns("one", "two", "three")
    hermes.write_live([*said[:2], *said[4:]])
    lines = "".join(json.dumps({"session_id": SID, **each}) + "\n" for each in said[2:4])
    spool = hermes.home / "sessions" / f"{SID}.jsonl"
    spool.parent.mkdir()
    spool.write_text(lines)
    os.utime(spool, (START + 15, START + 15))
    hermes.repair(SID)
    assert hermes.texts() == hermes.said(said)


def test_a_sessions_folder_alone_leads_to_the_home_around_it(hermes: Any) -> None:
    said = hermes.turns("one", "two")
    snapshot(hermes, said)
    hermes.write_live(said[:2])
    found = audit(find_store(session_dir=hermes.sessions))
    assert [f.name for f in found.findings if f.session_id == SID] == ["further_copy"]


def test_an_archive_in_the_home_is_opened_for_a_session_that_was_larger_there(hermes: Any) -> None:
    said = hermes.turns("one", "two", "three")
    hermes.write_live(said, session_note="x" * 5000)
    hermes.write_rows([])
    shutil.make_archive(str(hermes.home / "hermes-backup-20260701"), "zip", hermes.sessions)
    hermes.write_live(said[:2], session_note="x" * 5000)
    assert hermes.kinds() == ["further_copy"]


def test_an_archive_is_not_opened_for_other_sessions_than_the_one_that_is_looked_at(hermes: Any) -> None:
    said = hermes.turns("one", "two")
    hermes.write_live(said, session_note="x" * 5000)
    hermes.write(hermes.sessions / "20260807_101112_abcdef.json", hermes.session(said))
    archive = shutil.make_archive(str(hermes.home / "hermes-backup-20260701"), "zip", hermes.sessions)
    (hermes.sessions / "20260807_101112_abcdef.json").unlink()
    store = find_store(home=hermes.home)
    with Inventory(store) as whole, Inventory(store, only=(SID,)) as one:
        assert archive in whole.listing.places.looked
        assert archive not in one.listing.places.looked


def test_a_session_that_only_a_database_in_an_archive_has_comes_back_by_its_name(hermes: Any) -> None:
    said = hermes.turns("one", "two")
    hermes.write_rows(said)
    old = hermes.home.parent / "old"
    old.mkdir()
    shutil.move(hermes.home / "state.db", old / "state.db")
    shutil.make_archive(str(hermes.home / "hermes-backup-20260701"), "zip", old)
    hermes.write(
        hermes.sessions / "20260807_101112_abcdef.json", hermes.session([], session_id="20260807_101112_abcdef")
    )
    assert SID in [f.session_id for f in hermes.audit().findings]
    hermes.repair(SID)
    assert hermes.texts() == hermes.said(said)


@pytest.mark.parametrize("what", ["folder", "zip"])
def test_a_smaller_backup_that_is_given_is_read_in_full(hermes: Any, tmp_path: Any, what: str) -> None:
    said = hermes.turns("one", "two", "three", "four")
    old = tmp_path / "old home"
    old.mkdir()
    hermes.write(old / f"{SID}.json", hermes.session(said[:4]))
    hermes.write_live([*said[:2], *said[4:]], session_note="x" * 5000)
    given = old if what == "folder" else Path(shutil.make_archive(str(old), "zip", old))
    with_it = find_store(home=hermes.home, also=[given])
    assert [f.name for f in audit(with_it).findings] == ["further_copy"]
    (place,) = audit(with_it).places
    assert (place.path, place.is_given, dict(place.adds)) == (given, True, {SID: 2})
    api.apply(api.plan(with_it, [SID]))
    assert hermes.texts() == hermes.said(said)


def test_each_place_says_whether_it_adds_anything(hermes: Any, tmp_path: Any) -> None:
    said = hermes.turns("one", "two")
    hermes.write_live(said, session_note="x" * 5000)
    snapshot(hermes, said[:2])
    shutil.make_archive(str(hermes.home / "hermes-backup-20260701"), "zip", hermes.sessions)
    empty, unread = tmp_path / "empty", tmp_path / "torn.zip"
    empty.mkdir()
    unread.write_bytes(b"PK\3\4 and no more")
    fuller = tmp_path / f"hermes-{SID}.json"
    hermes.write(fuller, hermes.session([*said, *hermes.turns("three", start=20)]))
    found = audit(find_store(home=hermes.home, also=[empty, unread, fuller]))
    assert {place.path: dict(place.adds) for place in found.places} == {
        fuller: {SID: 2},
        empty: {},
        unread: {},
        hermes.home / "sessions": {},
        hermes.home / "hermes-backup-20260701.zip": {},
    }
    assert [place.path for place in found.places if place.is_unread] == [hermes.home / "hermes-backup-20260701.zip"]
    assert any(str(unread) in f.evidence for f in found.store_findings)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_what_may_not_be_read_in_a_place_is_told(hermes: Any, tmp_path: Any) -> None:
    hermes.write_live(hermes.turns("one"))
    inside = tmp_path / "old" / f"{SID}.json"
    inside.parent.mkdir()
    hermes.write(inside, hermes.session(hermes.turns("one", "two")))
    inside.chmod(0)
    found = audit(find_store(home=hermes.home, also=[tmp_path / "old"]))
    assert any(str(inside) in f.evidence for f in found.store_findings)


def test_a_missing_folder_is_told_in_json_too(hermes: Any, rescue: Callable[..., tuple[int, str, str]]) -> None:
    hermes.write_rows(hermes.turns("one"))
    hermes.sessions.rmdir()
    status, out, _ = rescue("repair", "--all", "--yes", "--json", "--home", hermes.home)
    assert status == 1
    assert "sessions folder is not here" in json.loads(out)["problem"]
    assert not hermes.sessions.exists()


def test_a_set_aside_database_that_cannot_be_read_is_told_and_stops_nothing(hermes: Any) -> None:
    hermes.write_live(hermes.turns("one"))
    (hermes.home / "state.db.corrupt-20260701").write_bytes(b"no database" * 500)
    found = hermes.audit()
    assert [s.findings for s in found.sessions] == [()]
    (note,) = found.store_findings
    assert "state.db.corrupt-20260701" in note.evidence


def test_a_snapshot_of_fewer_messages_with_another_middle_is_offered(hermes: Any) -> None:
    said = hermes.turns("one", "two", "three", "four")
    snapshot(hermes, said[:4])
    now = [*said[:2], *said[4:]]
    hermes.write_live(now, session_note="x" * 200_000)
    hermes.write_rows(now)
    assert hermes.kinds() == ["further_copy"]
    hermes.repair(SID)
    assert hermes.texts() == hermes.said(said)
    assert hermes.kinds() == []


def test_a_database_of_fewer_messages_with_another_middle_is_offered(hermes: Any) -> None:
    said = hermes.turns("one", "two", "three", "four")
    hermes.write_rows(said[:4])
    (hermes.home / "state.db").rename(hermes.home / "state.db.backup")
    now = [*said[:2], *said[4:]]
    hermes.write_live(now)
    hermes.write_rows(now)
    assert hermes.kinds() == ["further_copy"]
    hermes.repair(SID)
    assert hermes.texts() == hermes.said(said)
    assert hermes.kinds() == []


def test_a_database_with_the_rows_that_the_store_has_is_not_read_for_a_whole_session(
    hermes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = hermes.turns("one", "two", "three")
    hermes.write_live(said)
    hermes.write_rows(said[:4])
    shutil.copy(hermes.home / "state.db", hermes.home / "state.db.backup")
    with closing(sqlite3.connect(hermes.home / "state.db")) as database:
        rows = "INSERT INTO messages (session_id, role, content, timestamp) VALUES (?, ?, ?, ?)"
        database.executemany(rows, [(SID, each["role"], each["content"], each["timestamp"]) for each in said[4:]])
        database.execute("CREATE INDEX IF NOT EXISTS idx_messages_session ON messages(session_id, timestamp)")
        database.commit()
    with closing(sqlite3.connect(hermes.home / "state.db.backup")) as database:
        database.execute("CREATE INDEX IF NOT EXISTS idx_messages_session ON messages(session_id, timestamp)")
        database.commit()
    read: list[str] = []
    monkeypatch.setattr(FurtherReader, "raw_message_rows", lambda _, sid, *__: read.append(sid) or ())
    monkeypatch.setattr(FurtherReader, "copies", lambda _, of, *__: read.append(of.session_id) or ())
    assert hermes.kinds() == []
    assert read == []


@pytest.mark.parametrize("name", [SID, f"{SID}.bak", f"{SID}.txt", f".{SID}.json.a1B2c3", f".syncthing.{SID}.json.tmp"])
def test_whose_a_file_is_says_its_content_under_any_name(hermes: Any, name: str) -> None:
    said = hermes.turns("one", "two")
    hermes.write_live(said[:2])
    conflict(hermes, name, said)
    hermes.repair(SID)
    assert hermes.texts() == hermes.said(said)


def test_a_session_whose_file_is_in_icloud_is_not_built_from_what_is_left(hermes: Any) -> None:
    said = hermes.turns("one", "two")
    hermes.write_rows(said)
    hermes.write_index({"session_id": SID, "title": "Away"})
    (hermes.sessions / f".{SID}.json.icloud").write_bytes(b"bplist00")
    hermes.repair()
    assert not hermes.live.exists()
    (finding,) = hermes.audit().findings
    assert "iCloud" in finding.evidence
    (hermes.sessions / f".{SID}.json.icloud").unlink()
    hermes.repair()
    assert hermes.texts() == hermes.said(said)


def test_an_answer_that_was_kept_does_not_outlive_a_placeholder(hermes: Any, tmp_path: Path) -> None:
    hermes.write_rows(hermes.turns("one"))
    placeholder = hermes.sessions / f".{SID}.json.icloud"
    placeholder.write_bytes(b"bplist00")
    store, folder = find_store(home=hermes.home), tmp_path / "cache"
    assert audit(store, cache=AuditCache(store, folder)).of(Category.REVIEW)
    placeholder.unlink()
    assert audit(store, cache=AuditCache(store, folder)).of(Category.REPAIRABLE)


def test_files_of_the_same_kind_are_one_note(hermes: Any) -> None:
    hermes.write_live(hermes.turns("one"))
    hermes.write_index(hermes.load())
    for k in range(9):
        (hermes.sessions / f"._{k:012x}.json").write_bytes(b"\x00\x05\x16\x07")
        (hermes.sessions / f"a {k}.json").write_text("[]")
        (hermes.sessions / f".{k:012x}.json.icloud").write_bytes(b"bplist00")
        conflict(hermes, f"{SID} {k}.json", hermes.turns("one"))
    notes = [each.evidence for each in hermes.audit().store_findings]
    assert len(notes) == 4
    assert all("9" in each or "and 6 more" in each for each in notes)
    assert sum("can be deleted" in each or "download" in each for each in notes) == 2


def test_an_audit_that_leaves_only_questions_says_what_comes_next(
    hermes: Any, rescue: Callable[..., tuple[int, str, str]]
) -> None:
    hermes.write_live(hermes.turns("one"))
    hermes.write_index(hermes.load())
    conflict(hermes, BESIDE[0], hermes.turns("one", "two"))
    _, out, _ = rescue("audit", "--home", hermes.home)
    assert f"show {SID}" in out and f"repair {SID}" in out


def test_the_journals_in_an_archive_are_no_copies_of_their_own(hermes: Any, tmp_path: Any) -> None:
    said = hermes.turns("one", "two")
    hermes.write_live(said[:2])
    event = {"event": "submitted", "session_id": SID, "role": "user", "content": "one", "turn_id": "t", "version": 1}
    with zipfile.ZipFile(tmp_path / "old.zip", "w") as packed:
        packed.writestr(f"webui/sessions/{SID}.json", json.dumps(hermes.session(said)))
        packed.writestr(f"webui/sessions/_turn_journal/{SID}~42.jsonl", json.dumps(event))
    (session,) = audit(find_store(home=hermes.home, also=(tmp_path / "old.zip",))).sessions
    assert len(session.offered) == 1


def test_an_archive_that_is_given_is_known_by_what_is_in_it(hermes: Any, tmp_path: Any) -> None:
    said = hermes.turns("one", "two")
    hermes.write_live(said[:2])
    with zipfile.ZipFile(tmp_path / "backup (1)", "w") as packed:
        packed.writestr(f"webui/sessions/{SID}.json", json.dumps(hermes.session(said)))
    (session,) = audit(find_store(home=hermes.home, also=(tmp_path / "backup (1)",))).sessions
    assert session.offered


@pytest.mark.parametrize(
    "data", [b"7z\xbc\xaf\x27\x1c\x00\x04", b"\x28\xb5\x2f\xfd\x04", b"<!doctype html>", b"# Notes"]
)
def test_a_place_of_a_kind_that_is_not_read_here_is_told(hermes: Any, tmp_path: Any, data: bytes) -> None:
    hermes.write_live(hermes.turns("one"))
    (tmp_path / "home").write_bytes(data)
    found = audit(find_store(home=hermes.home, also=(tmp_path / "home",)))
    assert any("This kind of file is not read here" in each.evidence for each in found.store_findings)
    assert [each.words for each in found.places] == ["could not be read."]


def test_what_hermes_backup_left_beside_the_home_is_opened_for_a_lost_session(hermes: Any, tmp_path: Path) -> None:
    said = hermes.turns("one", "two")
    home = tmp_path / ".hermes"
    hermes.home.rename(home)
    with zipfile.ZipFile(tmp_path / "hermes-backup-2026-08-01-030000.zip", "w") as packed:
        packed.writestr(f"webui/sessions/{SID}.json", json.dumps(hermes.session(said)))
    hermes.write(home / "webui" / "sessions" / "_index.json", [{"session_id": SID, "message_count": 4}])
    (session,) = audit(find_store(home=home)).sessions
    assert [*session.offered.values()] == [len(said)]


def test_a_session_whose_file_lies_in_another_folder_is_not_built_from_its_rows(hermes: Any) -> None:
    said = hermes.turns("one", "two")
    hermes.write_rows(said)
    other = hermes.home / "webui-mvp" / "sessions"
    other.mkdir(parents=True)
    hermes.write(other / f"{SID}.json", hermes.session(said[:2]))
    hermes.write(hermes.sessions / "0123456789ab.json", hermes.session(said, session_id="0123456789ab"))
    hermes.repair()
    assert not hermes.live.exists()
    kinds = {each.name: each for each in hermes.audit().findings}
    assert kinds["state_db_missing_sidecar"].category is Category.REVIEW
    assert "1 session that has no file here" in kinds["other_state_dir"].evidence


@pytest.mark.parametrize("left", ["rows", "empty file", "backup"])
def test_the_marks_of_a_copy_elsewhere_count_where_the_file_is_lost(hermes: Any, left: str) -> None:
    said = hermes.turns("one", "two", "three", "four")
    hermes.write_rows(said)
    marks = hermes.undo_marks(said[:4]) | {"updated_at": said[5]["timestamp"] + 1}
    conflict(hermes, BESIDE[0], said[:4], **marks)
    if left == "empty file":
        hermes.write_live([])
    elif left == "backup":
        hermes.write_backup(said[:6])
    hermes.repair()
    assert hermes.texts() == hermes.said([*said[:4], *said[6:]])
    assert hermes.kinds() == []


def test_an_older_copy_elsewhere_without_marks_takes_nothing_back(hermes: Any) -> None:
    said = hermes.turns("one", "two", "three")
    hermes.write_rows(said)
    conflict(hermes, BESIDE[0], said[:4], updated_at=said[5]["timestamp"] + 1)
    hermes.repair()
    assert hermes.texts() == hermes.said(said)


def numbers(hermes: Any, included: str) -> list[str]:
    """Words that choose messages of the session as it is now."""
    (choices,) = hermes.choose().values()
    return ["--proposal", choices.made_on, "--include", included]


def test_a_plan_says_that_what_it_takes_may_be_another_conversation(
    hermes: Any, rescue: Callable[..., tuple[int, str, str]]
) -> None:
    said, other = hermes.turns("one", "two"), hermes.turns("for tea", "for coffee", start=5000)
    hermes.write_live(said[:2])
    conflict(hermes, BESIDE[0], said)
    ours = rescue("repair", SID, "--dry-run", "--home", hermes.home)[1]
    conflict(hermes, BESIDE[1], other, created_at=START + 5000)
    both = rescue("repair", SID, "--dry-run", "--home", hermes.home)[1]
    chosen = rescue("repair", SID, "--dry-run", "--home", hermes.home, *numbers(hermes, "3-8"))[1]
    own_part = rescue("repair", SID, "--dry-run", "--home", hermes.home, *numbers(hermes, "3-4"))[1]
    assert ["another conversation" in out for out in (ours, both, chosen, own_part)] == [False, True, True, False]
    assert "put into this one" in chosen
    assert chosen.count("copy elsewhere") == 1  # both findings have that name


def test_of_an_archive_that_was_opened_for_one_session_it_is_said_that_the_rest_was_not_read(
    hermes: Any, tmp_path: Path
) -> None:
    said, lost = hermes.turns("one", "two", "three", "four"), "20260807_101112_abcdef"
    archive = hermes.home / "hermes-backup-20260701.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr(f"webui/sessions/{SID}.json", json.dumps(hermes.session(said[:4])))
        packed.writestr(f"webui/sessions/{lost}.json", json.dumps(hermes.session(said, session_id=lost)))
    hermes.write_live([*said[:2], *said[4:]], session_note="x" * 5000)
    (found,) = hermes.audit().places
    assert (dict(found.adds), found.sessions) == ({lost: len(said)}, 1)
    assert "The rest of it was not looked into" in found.words and "--also" in found.words
    (named,) = audit(find_store(home=hermes.home, also=[archive])).places
    assert dict(named.adds) == {lost: len(said), SID: 2}
    assert "not looked into" not in named.words


@pytest.mark.parametrize("what", ["zip", "folder"])
def test_an_archive_within_a_place_is_told_as_not_read(hermes: Any, tmp_path: Path, what: str) -> None:
    hermes.write_live(hermes.turns("one"))
    outer = tmp_path / "outer"
    outer.mkdir()
    shutil.make_archive(str(outer / "inner"), "zip", hermes.sessions)
    place = outer if what == "folder" else Path(shutil.make_archive(str(tmp_path / "all"), "zip", outer))
    found = audit(find_store(home=hermes.home, also=[place]))
    assert [each.words for each in found.places] == ["could not be read."]
    (note,) = found.store_findings
    assert "inner.zip" in note.evidence and "not read" in note.evidence


@pytest.mark.parametrize("name", ["trace.jsonl", "trace.json", "export.html"])
def test_a_file_in_which_no_session_can_be_read_does_not_add_nothing(hermes: Any, tmp_path: Path, name: str) -> None:
    hermes.write_live(hermes.turns("one"))
    event = json.dumps({"type": "user", "sessionId": SID, "message": {"role": "user", "content": "ask one"}})
    (tmp_path / name).write_text(f"<!doctype html>{event}" if name.endswith("html") else event)
    found = audit(find_store(home=hermes.home, also=[tmp_path / name]))
    assert [each.words for each in found.places] == ["could not be read."]
    assert any("read here" in each.evidence for each in found.store_findings)


def test_fields_that_differ_between_three_further_copies_are_shown_and_compared_as_they_are(
    hermes: Any, rescue: Callable[..., tuple[int, str, str]]
) -> None:
    said = hermes.turns("one", "two")
    hermes.write_live(said)
    snapshot(hermes, said)
    conflict(hermes, BESIDE[0], said, created_at=START + 3600)
    conflict(hermes, BESIDE[1], said, created_at=START + 0.25)
    _, shown, _ = rescue("show", SID, "--home", hermes.home)
    _, out, _ = rescue("diff", SID, "--home", hermes.home)
    assert "created_at: " in shown and "created_at: " in out
    assert str(START)[:6] not in shown + out
    assert out.index("No difference.") < out.index("differs between copies:")
    (name,) = (line[: line.index("  ")] for line in shown.splitlines() if line.startswith("snapshot of"))
    _, out, _ = rescue("diff", SID, "--from", name, "--home", hermes.home)
    assert "~ created_at" in out and "+ " not in out.partition("Fields:")[2]


def test_a_damaged_archive_in_the_home_does_not_add_nothing(hermes: Any) -> None:
    said, archive = hermes.turns("one"), hermes.home / "hermes-backup-20260701.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr(f"webui/sessions/{SID}.json", json.dumps(hermes.session(said)))
    data = archive.read_bytes()
    archive.write_bytes(data.replace(b'"messages"', b'"massages"'))
    hermes.write_live([])
    hermes.write_index({"session_id": SID, "message_count": 2}, {"session_id": "0123456789ab", "message_count": 2})
    (place,) = hermes.audit().places
    assert "could not be read in full" in place.words


def test_a_clear_that_only_a_copy_elsewhere_marks_counts_where_the_file_is_lost(hermes: Any) -> None:
    said = hermes.turns("one", "two", "three")
    hermes.write_rows(said)
    conflict(hermes, BESIDE[0], [], **hermes.cleared | {"updated_at": said[3]["timestamp"] + 1, "title": "Untitled"})
    hermes.repair()
    assert hermes.texts() == hermes.said(said[4:])
    assert hermes.kinds() == []


def test_an_archive_is_not_opened_for_a_healthy_store(hermes: Any) -> None:
    said = hermes.turns("one", "two")
    hermes.write_live(said)
    hermes.write_rows(said)
    hermes.write(hermes.sessions / "0123456789ab.json", hermes.session([], session_id="0123456789ab", title="Untitled"))
    old = hermes.home.parent / "old"
    for name in (
        "webui/settings.json",
        "auth.json",
        "sessions/sessions.json",
        "sessions/session_20260101_120000_ab12cd.json",
    ):
        (old / name).parent.mkdir(parents=True, exist_ok=True)
        (old / name).write_text('{"version": 1, "messages": []}')
    shutil.copytree(hermes.sessions, old / "webui" / "sessions")
    archive = shutil.make_archive(str(hermes.home / "hermes-backup-20260701"), "zip", old)
    with Inventory(find_store(home=hermes.home)) as inventory:
        assert archive not in inventory.listing.places.looked
    hermes.live.unlink()
    with Inventory(find_store(home=hermes.home)) as inventory:
        assert archive in inventory.listing.places.looked


def test_marks_without_a_date_are_not_of_the_webui_and_take_nothing_back(hermes: Any) -> None:
    said = hermes.turns("one", "two", "three")
    hermes.write_rows(said)
    marked = hermes.session(said[:4], **hermes.undo_marks(said[:4]))
    del marked["updated_at"]
    hermes.write(hermes.sessions / BESIDE[0], marked)
    hermes.repair()
    assert hermes.texts() == hermes.said(said)


def test_links_in_an_archive_and_many_damaged_members_are_told_in_few_words(hermes: Any, tmp_path: Path) -> None:
    linked, damaged = tmp_path / "linked.tar", tmp_path / "damaged.zip"
    with tarfile.open(linked, "w") as packed:
        for name, kind in ((f"{SID}.json", tarfile.SYMTYPE), ("0123456789ab.json", tarfile.LNKTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/hostname"
            packed.addfile(member)
    with zipfile.ZipFile(damaged, "w") as packed_zip:
        for k in range(500):
            packed_zip.writestr(f"{k:012x}.json", '{"messages": []}')
    damaged.write_bytes(damaged.read_bytes().replace(b'"messages"', b'"massages"'))
    store = find_store(home=hermes.home, also=[linked, damaged])
    with Inventory(store) as inventory:
        one, two = inventory.listing.places.notes
    assert "links and devices in it are passed over" in one
    assert "is damaged" in two and len(two) < 1000
