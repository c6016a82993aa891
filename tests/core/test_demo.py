"""The demo store: real files and real databases, each session in the state that its story tells."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core.base.errors import RescueError
from hermes_rescue.core.demo.demo_store import DemoStore, Story, make_demo_store

UNREADABLE = {"torn_with_backup", "torn_alone", "zero_byte", "nul_filled"}
TAG = re.compile(r"\A\[Workspace::v1: (?P<path>(?:\\.|[^]\\])*)\]\n")


@dataclass(frozen=True, slots=True)
class Copies:
    """What the disk holds of one story: the live bytes, whole sidecars, rows; None where there is none."""

    story: Story
    raw: Any
    live: Any
    backup: Any
    temp: Any
    database: Path | None
    session: Any
    rows: Any
    index: Any

    @property
    def texts(self) -> list[str] | None:
        return None if self.rows is None else [row_text(row) for row in self.rows]


Told = Callable[[str], Copies]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> DemoStore:
    return make_demo_store(tmp_path_factory.mktemp("demo") / "home")


@pytest.fixture
def told(store: DemoStore) -> Told:
    """``told("wiped")``: the copies of that story."""
    return lambda name: read_copies(store, next(story for story in store.stories if story.name == name))


def sessions_dir(store: DemoStore) -> Path:
    return store.home / "webui" / "sessions"


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def read_index(store: DemoStore) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_json(sessions_dir(store) / "_index.json")
    return rows


def databases(store: DemoStore) -> list[Path]:
    return [store.home / "state.db", store.home / "profiles" / "work" / "state.db"]


def query(path: Path, sql: str, *values: Any) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(sql, values)]


def read_copies(store: DemoStore, story: Story) -> Copies:
    path = sessions_dir(store) / f"{story.session_id}.json"
    backup = path.with_name(f"{path.name}.bak")
    temps = list(path.parent.glob(f"{story.session_id}.tmp.*"))
    known = [path for path in databases(store) if query(path, "SELECT 1 FROM sessions WHERE id=?", story.session_id)]
    assert len(known) <= 1
    database = known[0] if known else None
    messages = "SELECT * FROM messages WHERE session_id=? ORDER BY id"
    return Copies(
        story=story,
        raw=path.read_bytes() if path.exists() else None,
        live=read_json(path) if path.exists() and story.name not in UNREADABLE else None,
        backup=read_json(backup) if backup.exists() else None,
        temp=read_json(temps[0]) if temps else None,
        database=database,
        session=query(database, "SELECT * FROM sessions WHERE id=?", story.session_id)[0] if database else None,
        rows=query(database, messages, story.session_id) if database else None,
        index=next((row for row in read_index(store) if row["session_id"] == story.session_id), None),
    )


def text(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(part["text"] for part in content if "text" in part)


def texts(sidecar: dict[str, Any] | None) -> list[str] | None:
    return None if sidecar is None else [text(message["content"]) for message in sidecar["messages"]]


def row_text(row: dict[str, Any]) -> str:
    return TAG.sub("", plain_content(row)) if row["role"] == "user" else plain_content(row)


def workspace(row: dict[str, Any]) -> str | None:
    tag = TAG.match(plain_content(row))
    return re.sub(r"\\(.)", r"\1", tag["path"]) if tag else None


def plain_content(row: dict[str, Any]) -> str:
    content: str = row["content"]
    return text(json.loads(content[6:])) if content.startswith("\x00json:") else content


# The store as a whole


def test_a_store_tells_the_typical_stories_of_all_four_ends(store: DemoStore) -> None:
    assert {story.expect for story in store.stories} == {"repaired", "untouched", "absent", "review"}
    for tell in ("name", "session_id"):
        assert len({getattr(story, tell) for story in store.stories}) == len(store.stories)
    titles = [story.title for story in store.stories if story.title != "Untitled"]
    assert len({*titles}) == len(titles)
    assert all(re.fullmatch("[0-9a-f]{12}", story.session_id) for story in store.stories)
    assert all(re.fullmatch("[a-z_]+", story.name) and story.promise.endswith(".") for story in store.stories)


def test_conversations_are_short_and_long_and_hold_what_real_ones_hold(store: DemoStore) -> None:
    healthy = [copies for story in store.stories if (copies := read_copies(store, story)).live]
    lengths = [len(copies.story.wanted) for copies in healthy if copies.story.name.startswith("healthy")]
    assert min(lengths) <= 8
    assert max(lengths) >= 100
    messages = [message for copies in healthy for message in copies.live["messages"]]
    spoken = "".join(text(message["content"]) for message in messages)
    chinese, greek, emoji = "[\u4e00-\u9fff]", "[\u0370-\u03ff]", "[\U0001f300-\U0001faff]"
    assert all(re.search(script, spoken) for script in (chinese, greek, emoji))
    assert any(message.get("reasoning") for message in messages)
    images = [part for m in messages if isinstance(m["content"], list) for part in m["content"] if "image_url" in part]
    assert images
    pixels = [image["image_url"]["url"].removeprefix("data:image/png;base64,") for image in images]
    assert all(base64.b64decode(pixel, validate=True).startswith(b"\x89PNG") for pixel in pixels)


def test_every_tool_result_follows_its_call(store: DemoStore) -> None:
    for story in store.stories:
        copies = read_copies(store, story)
        for sidecar in (copies.live, copies.backup, copies.temp):
            if sidecar and story.name != "lossy_rebuild":
                called = [call["id"] for m in sidecar["messages"] for call in m.get("tool_calls", ())]
                answered = [m["tool_call_id"] for m in sidecar["messages"] if m["role"] == "tool"]
                assert called == answered


def test_two_stores_differ_only_in_their_paths(tmp_path: Path) -> None:
    def contents(home: Path) -> dict[str, list[str]]:
        files = {}
        for path in home.rglob("*"):
            if path.name == "state.db":
                with closing(sqlite3.connect(path)) as database:
                    lines = list(database.iterdump())
            elif path.is_file():
                lines = path.read_bytes().decode("latin-1").splitlines()
            else:
                lines = []
            files[path.relative_to(home).as_posix()] = [line.replace(str(home), "HOME") for line in lines]
        return files

    one, two = make_demo_store(tmp_path / "one"), make_demo_store(tmp_path / "two")
    assert one.stories == two.stories
    assert contents(one.home) == contents(two.home)


def test_a_relative_folder_becomes_an_absolute_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert make_demo_store(Path("../there")).home == tmp_path / "there"


# Where it refuses


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    assert make_demo_store(tmp_path).home == tmp_path


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(RescueError, match="not empty"):
        make_demo_store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_folder_whose_name_is_no_text_is_refused_and_not_made(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    with pytest.raises(RescueError, match="Name another folder"):
        make_demo_store(folder)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("mine")
    with pytest.raises(RescueError, match=re.escape(str(letter))):
        make_demo_store(letter)
    assert letter.read_text() == "mine"


# The forms on disk


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_the_home_is_for_its_owner_and_no_file_runs(store: DemoStore) -> None:
    assert stat.S_IMODE(store.home.stat().st_mode) == 0o700
    modes = [path.stat().st_mode for path in store.home.rglob("*") if path.is_file()]
    assert not any(mode & 0o111 for mode in modes)
    assert all(mode & 0o600 == 0o600 for mode in modes)


def test_the_webui_finds_only_sessions_and_each_is_a_story(store: DemoStore) -> None:
    ids = {story.session_id for story in store.stories}
    found = [path for path in sessions_dir(store).glob("*.json") if not path.name.startswith("_")]
    assert {path.stem for path in found} < ids
    assert all(path.is_file() for path in found)


def test_whole_sidecars_parse_and_count_right(store: DemoStore) -> None:
    for story in store.stories:
        copies = read_copies(store, story)
        for sidecar in (copies.live, copies.backup, copies.temp):
            if sidecar:
                assert (sidecar["session_id"], sidecar["title"]) == (story.session_id, story.title)
                right = sidecar["message_count"] == len(sidecar["messages"])
                assert right == (story.name != "wrong_count"), story.name
                stamps = [message["timestamp"] for message in sidecar["messages"]]
                assert stamps == sorted(set(stamps))


def test_unreadable_sidecars_are_unreadable(told: Told) -> None:
    for name in UNREADABLE:
        with pytest.raises(ValueError, match=r"."):
            json.loads(told(name).raw)


def test_the_forms_are_those_of_the_real_programs(store: DemoStore, unpacked_corpus: Callable[[str], Path]) -> None:
    real = unpacked_corpus("a")
    truth = read_json(real / "truth.json")
    session_id = next(sid for sid, facts in truth.items() if facts["class"] == "healthy")
    real_sidecar_path = real / "store" / "webui" / "sessions" / f"{session_id}.json"
    real_sidecar = read_json(real_sidecar_path)
    ours_path = sessions_dir(store) / f"{next(s for s in store.stories if s.name == 'healthy').session_id}.json"
    ours = read_json(ours_path)
    assert list(ours) == list(real_sidecar)
    own = {"session_id", "title", "workspace", "created_workspace", "created_at", "updated_at", "message_count"}
    assert {key for key in ours if ours[key] != real_sidecar[key]} <= own | {"messages"}
    assert ours_path.read_text(encoding="utf-8") == json.dumps(ours, indent=2, ensure_ascii=False)
    shapes = {tuple(message) for message in real_sidecar["messages"]}
    assert {tuple(message) for message in ours["messages"]} <= shapes

    real_index = read_json(real_sidecar_path.with_name("_index.json"))
    worktree = {"worktree_path", "worktree_branch", "worktree_repo_root", "worktree_created_at"}
    for row in read_index(store):
        assert [key for key in row if key not in worktree] == [key for key in real_index[0] if key not in worktree]

    for table in ("sessions", "messages"):
        columns = f"SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info('{table}')"
        for path in databases(store):
            assert query(path, columns) == query(real / "store" / "state.db", columns)


def test_the_databases_are_whole_write_ahead_and_closed(store: DemoStore, tmp_path: Path) -> None:
    for path in databases(store):
        assert [sibling.name for sibling in path.parent.glob("state.db*")] == ["state.db"]
        assert path.read_bytes()[18:20] == b"\x02\x02"  # the header's mark of WAL mode
        assert query(path, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]
        copy = shutil.copy(path, tmp_path)
        with closing(sqlite3.connect(copy)) as database:
            taken = database.execute("SELECT title FROM sessions WHERE title IS NOT NULL").fetchone()
            with pytest.raises(sqlite3.IntegrityError, match="title"):
                database.execute("INSERT INTO sessions (id, source, started_at, title) VALUES (1, 2, 3, ?)", taken)


def test_rows_agree_with_their_session_row_and_carry_the_workspace(store: DemoStore) -> None:
    for story in store.stories:
        copies = read_copies(store, story)
        if copies.session:
            rows, session = copies.rows, copies.session
            assert session["source"] == "webui"
            assert session["title"] == (story.title if rows else None)
            assert session["message_count"] == len(rows)
            assert session["tool_call_count"] == sum(len(json.loads(row["tool_calls"] or "[]")) for row in rows)
            assert all(row["active"] == 1 and row["compacted"] == 0 for row in rows)
            assert [workspace(row) for row in rows] == [session["cwd"] if r["role"] == "user" else None for r in rows]


def test_a_bracket_in_the_path_is_escaped_in_the_tag(tmp_path: Path) -> None:
    store = make_demo_store(tmp_path / "de]mo #1")
    row = read_copies(store, store.stories[0]).rows[0]
    assert "de\\]mo #1" in row["content"]
    assert workspace(row) == str(store.home / "projects" / "billing")


def test_rows_are_stamped_at_most_seconds_apart_from_the_sidecar(store: DemoStore) -> None:
    shifts = set()
    for story in store.stories:
        copies = read_copies(store, story)
        if story.name.startswith("healthy") and copies.live and copies.rows:
            pairs = zip(copies.rows, copies.live["messages"], strict=True)
            shifts |= {round(row["timestamp"] - message["timestamp"], 3) for row, message in pairs}
    assert len(shifts) > 1
    assert all(0 <= shift <= 5 for shift in shifts)


def test_the_index_says_what_the_heads_say_newest_first(store: DemoStore) -> None:
    rows = read_index(store)
    assert [row["updated_at"] for row in rows] == sorted((row["updated_at"] for row in rows), reverse=True)
    files = {path.stem for path in sessions_dir(store).glob("*.json") if not path.name.startswith("_")}
    missing = next(story for story in store.stories if story.name == "missing_from_index")
    assert {row["session_id"] for row in rows} == files - {missing.session_id}
    for row in rows:
        story = next(story for story in store.stories if story.session_id == row["session_id"])
        if story.name not in UNREADABLE:
            live = read_copies(store, story).live
            assert {key: row[key] for key in row if key in live} == {key: live[key] for key in row if key in live}
            assert row["user_message_count"] == sum(m["role"] == "user" for m in live["messages"])


def test_paths_point_into_the_store_and_exist(store: DemoStore) -> None:
    for story in store.stories:
        copies = read_copies(store, story)
        places = [sidecar["workspace"] for sidecar in (copies.live, copies.backup, copies.temp) if sidecar]
        places += [copies.session["cwd"]] if copies.session else []
        assert all(Path(place).is_relative_to(store.home) and Path(place).is_dir() for place in places)


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_git_knows_the_worktrees(told: Told) -> None:
    for name in ("healthy_worktree", "lost_worktree", "lost_worktree_empty"):
        session = told(name).session
        command = ["git", "-C", session["git_repo_root"], "worktree", "list", "--porcelain"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert f"worktree {Path(session['cwd']).as_posix()}\n" in listed
        assert f"branch refs/heads/{session['git_branch']}\n" in listed
        assert "prunable" not in listed
    live = told("healthy_worktree").live
    assert live["workspace"] == live["worktree_path"]


# The stories

# What the live sidecar, the backup and the rows hold, in words of the wanted transcript: see `shape`.
SHAPES = {
    "wiped": ("empty", "all", "all"),
    "wiped_and_continued": ("end", "start", "all"),
    "wiped_and_outgrown": ("end", "start", "all"),
    "lost_with_backup": ("absent", "all", "all"),
    "lost_rows_only": ("absent", "absent", "all"),
    "lost_with_stale_backup": ("absent", "start", "all"),
    "torn_with_backup": ("absent", "all", "all"),
    "torn_alone": ("absent", "absent", "absent"),
    "zero_byte": ("absent", "absent", "all"),
    "nul_filled": ("absent", "all", "all"),
    "behind_the_database": ("start", "absent", "all"),
    "lossy_rebuild": ("all", "absent", "all"),
    "newer_temp": ("start", "absent", "absent"),
    "lost_worktree": ("absent", "absent", "all"),
    "lost_worktree_empty": ("absent", "absent", "empty"),
    "cleared": ("empty", "absent", "other"),
    "undone": ("all", "all and more", "all and more"),
    "cleared_and_continued": ("all", "absent", "more and all"),
    "deleted": ("absent", "other", "other"),
    "orphan_backup": ("absent", "all", "absent"),
    "unanswered_prompt": ("start", "absent", "start"),
    "undone_before_marks": ("start", "all", "all"),
    "missing_from_index": ("all", "absent", "all"),
    "wrong_count": ("all", "absent", "all"),
    "healthy": ("all", "absent", "all"),
    "healthy_short": ("all", "absent", "all"),
    "healthy_with_old_backup": ("all", "start", "all"),
    "healthy_worktree": ("all", "absent", "all"),
}


def shape(held: list[str] | None, wanted: list[str]) -> str:
    if held is None:
        return "absent"
    if not held:
        return "empty"
    if held == wanted:
        return "all"
    if wanted[: len(held)] == held:
        return "start"
    if wanted[-len(held) :] == held:
        return "end"
    if wanted and held[: len(wanted)] == wanted:
        return "all and more"
    if wanted and held[-len(wanted) :] == wanted:
        return "more and all"
    return "other"


def test_each_copy_holds_what_its_story_says(store: DemoStore) -> None:
    found = {}
    for story in store.stories:
        copies = read_copies(store, story)
        held = (texts(copies.live), texts(copies.backup), copies.texts)
        found[story.name] = tuple(shape(copy, list(story.wanted)) for copy in held)
    assert found == SHAPES


def test_only_the_lost_have_no_file(store: DemoStore) -> None:
    missing = {story.name for story in store.stories if read_copies(store, story).raw is None}
    assert missing == {name for name in SHAPES if name.startswith("lost_")} | {"deleted", "orphan_backup"}


def test_only_one_of_the_wiped_has_grown_past_its_backup(told: Told) -> None:
    for name in ("wiped", "wiped_and_continued", "wiped_and_outgrown"):
        copies = told(name)
        grown = copies.live["message_count"] > copies.backup["message_count"]
        assert grown == (name == "wiped_and_outgrown")
        marks = ("truncation_watermark", "truncation_boundary", "clear_generation", "intentional_shrink_generation")
        assert [copies.live[mark] for mark in marks] == [None] * 4


def test_the_work_profile_has_its_own_database(store: DemoStore, told: Told) -> None:
    copies = told("lost_with_backup")
    assert copies.database == store.home / "profiles" / "work" / "state.db"
    assert copies.backup["profile"] == "work"


def test_the_photo_of_a_lost_session_is_in_its_row(told: Told) -> None:
    rows = told("lost_rows_only").rows
    parts = [json.loads(row["content"][6:]) for row in rows if row["content"].startswith("\x00json:")]
    assert [[part["type"] for part in content] for content in parts] == [["text", "image_url"]]


def test_the_torn_file_beside_a_backup_is_the_beginning_of_it(store: DemoStore, told: Told) -> None:
    copies = told("torn_with_backup")
    backup = (sessions_dir(store) / f"{copies.story.session_id}.json.bak").read_bytes()
    assert backup.startswith(copies.raw)
    assert len(copies.raw) < len(backup)


def test_a_torn_file_alone_promises_its_whole_messages_and_no_more(told: Told) -> None:
    copies = told("torn_alone")
    closed = re.findall(r"^    \{.*?^    \}", copies.raw.decode(), re.DOTALL | re.MULTILINE)
    whole = [text(json.loads(message)["content"]) for message in closed]
    assert whole == list(copies.story.wanted)
    assert copies.index["message_count"] > len(whole) > 0


def test_empty_and_nul_filled_files_hold_nothing(store: DemoStore, told: Told) -> None:
    assert told("zero_byte").raw == b""
    nul = told("nul_filled")
    size = (sessions_dir(store) / f"{nul.story.session_id}.json.bak").stat().st_size
    assert nul.raw == bytes(size)


def test_the_stale_stream_waits_for_a_prompt_that_the_rows_have(told: Told) -> None:
    copies = told("behind_the_database")
    assert copies.live["active_stream_id"]
    assert copies.live["pending_user_message"] == copies.story.wanted[copies.live["message_count"]]


def test_the_lossy_rebuild_is_poorer_than_its_rows(told: Told) -> None:
    copies = told("lossy_rebuild")
    assert copies.live["_recovered_from_state_db"] is True
    assert {tuple(message) for message in copies.live["messages"]} == {("role", "content", "timestamp")}
    assert any(row["tool_calls"] for row in copies.rows)
    assert any(row["reasoning"] for row in copies.rows)


def test_the_temp_of_an_unfinished_save_holds_all(told: Told) -> None:
    copies = told("newer_temp")
    assert texts(copies.temp) == list(copies.story.wanted)


def test_a_clear_carries_its_marks(told: Told) -> None:
    for name in ("cleared", "cleared_and_continued"):
        copies = told(name)
        assert copies.live["truncation_watermark"] == copies.live["truncation_boundary"] == 0.0
        assert re.fullmatch("[0-9a-f]{32}", copies.live["clear_generation"])
        assert copies.backup is None


def test_a_clear_takes_the_title_away_until_the_next_turn(told: Told) -> None:
    assert told("cleared").live["title"] == "Untitled"
    assert told("cleared_and_continued").live["title"] == "Daily word"


@pytest.mark.parametrize("name", ["wiped", "cleared", "undone"])
def test_a_save_that_shortens_a_session_dates_it(told: Told, name: str) -> None:
    copies = told(name)
    assert copies.live["updated_at"] == copies.index["updated_at"] > max(row["timestamp"] for row in copies.rows)


def test_an_undo_carries_its_marks(told: Told) -> None:
    copies = told("undone")
    mark = copies.live["intentional_shrink_generation"]
    assert uuid.UUID(mark).version == 4
    assert uuid.UUID(mark).hex == mark
    assert copies.backup["intentional_shrink_generation"] is None
    boundary = copies.live["messages"][-1]["timestamp"]
    assert copies.live["truncation_watermark"] == copies.live["truncation_boundary"] == boundary
    taken_back = copies.rows[copies.live["message_count"] :]
    assert taken_back[0]["role"] == "user"
    assert taken_back[0]["timestamp"] > boundary


def test_an_old_undo_has_only_the_watermark_at_the_cut(told: Told) -> None:
    live = told("undone_before_marks").live
    assert (live["intentional_shrink_generation"], live["truncation_boundary"]) == (None, None)
    assert live["truncation_watermark"] == live["messages"][-1]["timestamp"]


def test_only_the_deleted_session_has_a_tombstone(store: DemoStore, told: Told) -> None:
    story = told("deleted").story
    tombstones = read_json(sessions_dir(store) / "_deleted_webui_sessions.json")
    assert tombstones == {"version": 1, "ids": [story.session_id]}
    assert story.wanted == ()


def test_the_unanswered_prompt_is_only_in_the_journal(store: DemoStore, told: Told) -> None:
    copies = told("unanswered_prompt")
    [journal] = (sessions_dir(store) / "_turn_journal").iterdir()
    assert journal.name.startswith(f"{copies.story.session_id}~")
    [event] = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    assert (event["event"], event["session_id"]) == ("submitted", copies.story.session_id)
    assert event["created_at"] > copies.live["messages"][-1]["timestamp"]
    assert [*(texts(copies.live) or []), event["content"]] == list(copies.story.wanted)
