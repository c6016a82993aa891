"""Where a Hermes installation is found."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hermes_rescue.core.base.errors import StoreNotFoundError
from hermes_rescue.core.hermes import store as store_module
from hermes_rescue.core.hermes.store import Store, find_store, is_safe_session_id, is_session_name

from ..conftest import as_stranger

SIDECAR = '{\n  "session_id": "abc123",\n  "messages": []\n}'


def sessions_in(state_dir: Path, *, content: str = SIDECAR) -> Path:
    """A sessions folder with one session."""
    folder = state_dir / "sessions"
    folder.mkdir(parents=True)
    (folder / "abc123.json").write_text(content)
    return folder


def database_in(home: Path) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    path = home / "state.db"
    path.write_bytes(b"")
    return path


# --- session ids ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["a", "853b88ded4df", "A-b_9", "-", "x" * 180])
def test_safe_ids(value: str) -> None:
    assert is_safe_session_id(value)
    assert is_session_name(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        ".",
        "..",
        "../evil",
        "a/b",
        "a\\b",
        "a.json",
        "a b",
        "a\n",
        "é",
        "１",
        "a\0",
        "x" * 181,
        None,
        12,
        b"a",
        ["a"],
    ],
)
def test_ids_that_never_become_a_path(value: object) -> None:
    assert not is_safe_session_id(value)
    assert not is_session_name(value)


@pytest.mark.parametrize("value", ["_index", "_", "_deleted_webui_sessions"])
def test_a_leading_underscore_is_safe_but_no_session(value: str) -> None:
    assert is_safe_session_id(value)
    assert not is_session_name(value)


# --- finding a store -----------------------------------------------------------------------------------------------


def test_a_named_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    sessions = sessions_in(home / "webui")
    databases = [database_in(home), database_in(home / "profiles" / "alpha"), database_in(home / "profiles" / "beta")]
    store = find_store(home=home, environ={"HERMES_HOME": "/elsewhere", "HERMES_WEBUI_STATE_DIR": "/elsewhere"})
    assert store == Store(home, home / "webui", sessions, tuple(databases), ())
    assert store.vault_root == home / "webui" / "rescue"


def test_a_home_that_lost_its_sessions_folder(tmp_path: Path) -> None:
    database = database_in(tmp_path)
    store = find_store(home=tmp_path)
    assert (store.sessions_dir, store.databases) == (tmp_path / "webui" / "sessions", (database,))


def test_a_home_whose_only_sessions_lie_under_another_root(tmp_path: Path) -> None:
    sessions = sessions_in(tmp_path / "old")
    database_in(tmp_path)
    assert find_store(home=tmp_path).other_session_dirs == (sessions,)


@pytest.mark.parametrize("root", ["webui-mvp", ".hermes/webui", ".hermes/webui-mvp"])
def test_the_only_state_dir_in_a_home_is_the_one_in_use(tmp_path: Path, root: str) -> None:
    sessions = sessions_in(tmp_path / root)
    database = database_in(tmp_path)
    store = find_store(home=tmp_path)
    assert (store.sessions_dir, store.databases, store.other_session_dirs) == (sessions, (database,), ())


def test_the_state_dir_that_the_launcher_noted(tmp_path: Path) -> None:
    home, sessions = tmp_path / "home", sessions_in(tmp_path / "my state")
    database_in(home)
    (home / "webui.ctl.env").write_text(f"PID=7\nSTATE_DIR='{sessions.parent}'\n")
    assert find_store(home=home).sessions_dir == sessions
    own = sessions_in(home / "webui")
    store = find_store(home=home)
    assert (store.sessions_dir, store.other_session_dirs) == (own, (sessions,))


@pytest.mark.parametrize("named", ["", "webui", "webui/sessions", ".."])
def test_a_home_is_known_by_what_is_in_it(tmp_path: Path, named: str) -> None:
    home = tmp_path / "user" / ".hermes"
    sessions, database = sessions_in(home / "webui"), database_in(home)
    store = find_store(home=home / named if named != ".." else home.parent)
    assert (store.home, store.sessions_dir, store.databases) == (home, sessions, (database,))


def test_the_agents_own_folder_is_no_sessions_folder(tmp_path: Path) -> None:
    agents = sessions_in(tmp_path)
    (agents / "abc123.json").rename(agents / "session_abc123.json")
    with pytest.raises(StoreNotFoundError):
        find_store(home=tmp_path)


@pytest.mark.parametrize("named", ["", "webui", "webui/sessions", "webui/sessions/_run_journal"])
def test_a_sessions_folder_is_known_by_what_is_in_it(tmp_path: Path, named: str) -> None:
    sessions = sessions_in(tmp_path / "webui")
    (sessions / "_run_journal").mkdir()
    (tmp_path / "webui" / "projects.json").write_text("[]")
    assert find_store(session_dir=tmp_path / named).sessions_dir == sessions


def test_a_home_and_a_sessions_folder_go_together(tmp_path: Path) -> None:
    sessions, database = sessions_in(tmp_path / "elsewhere"), database_in(tmp_path / "home")
    store = find_store(home=tmp_path / "home", session_dir=sessions)
    assert (store.home, store.sessions_dir, store.databases) == (tmp_path / "home", sessions, (database,))


def test_the_home_of_a_named_profile(tmp_path: Path) -> None:
    sessions = sessions_in(tmp_path / "webui")
    databases = database_in(tmp_path), database_in(tmp_path / "profiles" / "work")
    store = find_store(home=tmp_path / "profiles" / "work")
    assert (store.sessions_dir, store.databases) == (sessions, databases)
    own = sessions_in(tmp_path / "profiles" / "work" / "webui")
    store = find_store(home=tmp_path / "profiles" / "work")
    assert (store.sessions_dir, store.other_session_dirs) == (own, (sessions,))


def test_a_sessions_folder_alone(tmp_path: Path) -> None:
    sessions = sessions_in(tmp_path / "webui")
    databases = database_in(tmp_path), database_in(tmp_path / "profiles" / "work")
    assert find_store(session_dir=sessions) == Store(None, tmp_path / "webui", sessions, databases, ())


def test_a_relative_sessions_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = sessions_in(tmp_path / "webui")
    database = database_in(tmp_path)
    monkeypatch.chdir(sessions.parent)
    store = find_store(session_dir=Path("sessions"))
    assert (store.state_dir, store.databases) == (tmp_path / "webui", (database,))


def test_named_databases_are_the_only_ones(tmp_path: Path) -> None:
    sessions_in(tmp_path / "webui")
    database_in(tmp_path)
    other = database_in(tmp_path / "backup")
    assert find_store(home=tmp_path, state_dbs=[other]).databases == (other,)


def test_a_database_that_cannot_be_read_is_still_named(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    assert find_store(home=tmp_path).databases == (tmp_path / "state.db",)


def test_a_database_that_two_profiles_share_is_read_once(tmp_path: Path) -> None:
    database = database_in(tmp_path)
    (tmp_path / "profiles" / "work").mkdir(parents=True)
    (tmp_path / "profiles" / "work" / "state.db").symlink_to(database)
    assert find_store(home=tmp_path).databases == (database,)


def test_paths_are_shown_as_they_were_named(tmp_path: Path) -> None:
    sessions_in(tmp_path / "real" / "webui")
    link = tmp_path / "link"
    link.symlink_to("real")
    store = find_store(home=link)
    assert (store.home, store.sessions_dir) == (link, link / "webui" / "sessions")
    assert store.other_session_dirs == ()


@pytest.mark.parametrize(
    "environ",
    [
        {"HOME": "{tmp}/user"},
        {"HOME": "/nowhere", "HERMES_HOME": "{tmp}/user/.hermes"},
        {"HOME": "/nowhere", "HERMES_BASE_HOME": "{tmp}/user/.hermes"},
        {"HOME": "/nowhere", "HERMES_HOME": "{tmp}/user/.hermes/profiles/work"},
        {"HOME": "/nowhere", "HERMES_HOME": "/x", "HERMES_BASE_HOME": "{tmp}/user/.hermes"},
        {"HOME": "{tmp}/user", "HERMES_HOME": "", "HERMES_WEBUI_STATE_DIR": " "},
        {"HOME": "/nowhere", "HERMES_HOME": "/x", "HERMES_WEBUI_STATE_DIR": "{tmp}/user/.hermes/webui"},
    ],
)
def test_the_environment(environ: Mapping[str, str], tmp_path: Path) -> None:
    sessions = sessions_in(tmp_path / "user" / ".hermes" / "webui")
    store = find_store(environ={key: value.format(tmp=tmp_path) for key, value in environ.items()})
    assert store.sessions_dir == sessions


def test_a_moved_state_dir_keeps_the_homes_databases(tmp_path: Path) -> None:
    database = database_in(tmp_path / "home")
    left = sessions_in(tmp_path / "home" / "webui")
    sessions = sessions_in(tmp_path / "moved")
    environ = {"HERMES_HOME": str(tmp_path / "home"), "HERMES_WEBUI_STATE_DIR": str(tmp_path / "moved")}
    store = find_store(environ=environ)
    assert (store.sessions_dir, store.databases, store.other_session_dirs) == (sessions, (database,), (left,))


def test_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    environ = {"LOCALAPPDATA": str(tmp_path / "local"), "USERPROFILE": str(tmp_path / "user")}
    older = sessions_in(tmp_path / "user" / ".hermes" / "webui")
    assert find_store(environ=environ).sessions_dir == older
    newer = sessions_in(tmp_path / "local" / "hermes" / "webui")
    assert find_store(environ=environ).sessions_dir == newer


def test_other_roots(tmp_path: Path) -> None:
    home = tmp_path / "home"
    own = sessions_in(home / "webui")
    others = {
        sessions_in(home / "webui-mvp"),
        sessions_in(home / "webui-old"),
        sessions_in(home / "profiles" / "work" / "webui"),
        sessions_in(home / "hermes-webui" / "data"),
    }
    (home / "empty" / "sessions").mkdir(parents=True)
    (home / "link").symlink_to("webui")
    sessions_in(home / "other-program", content='{"session_id": "abc123", "turns": []}')
    sessions_in(home, content=SIDECAR)  # the agent's own logs
    named_otherwise = sessions_in(home / "notes")
    (named_otherwise / "abc123.json").rename(named_otherwise / "_index.json")
    pipe = sessions_in(home / "pipe") / "abc123.json"
    pipe.unlink()
    os.mkfifo(pipe)
    store = find_store(home=home)
    assert store.sessions_dir == own
    assert set(store.other_session_dirs) == others
    assert len(store.other_session_dirs) == len(others)


def test_a_backup_alone_makes_a_root(tmp_path: Path) -> None:
    database_in(tmp_path)
    other = sessions_in(tmp_path / "old")
    (other / "abc123.json").rename(other / "abc123.json.bak")
    assert find_store(home=tmp_path).other_session_dirs == (other,)


@pytest.mark.parametrize(
    "named",
    [
        {"home": "missing"},
        {"home": "empty"},
        {"session_dir": "missing"},
        {"home": "good", "session_dir": "missing"},
        {"home": "good", "state_dbs": ["missing"]},
        {"environ": {"HERMES_HOME": "missing", "HOME": "good"}},
    ],
)
def test_what_was_named_and_is_not_there(named: dict[str, object], tmp_path: Path) -> None:
    sessions_in(tmp_path / "good" / "webui")
    sessions_in(tmp_path / "good" / ".hermes" / "webui")
    (tmp_path / "empty").mkdir()

    def place(value: object) -> object:
        if isinstance(value, list):
            return [tmp_path / each for each in value]
        return {k: str(tmp_path / v) for k, v in value.items()} if isinstance(value, dict) else tmp_path / str(value)

    with pytest.raises(StoreNotFoundError) as caught:
        find_store(**{key: place(value) for key, value in named.items()})  # type: ignore[arg-type]
    assert str(tmp_path / ("empty" if "empty" in named.values() else "missing")) in str(caught.value)


@pytest.mark.parametrize("option", ["home", "session_dir"])
def test_the_folder_of_the_agents_snapshots_leads_to_the_store_beside_it(option: str, tmp_path: Path) -> None:
    sessions = tmp_path / "webui" / "sessions"
    for folder, name in ((sessions, "0123456789ab.json"), (tmp_path / "sessions", "session_0123456789ab.json")):
        folder.mkdir(parents=True)
        (folder / name).write_text('{"session_id": "0123456789ab", "messages": []}')
    assert find_store(**{option: tmp_path / "sessions"}).sessions_dir == sessions  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("option", "sessions"), [("home", "any/sessions"), ("session_dir", "any/sessions"), ("session_dir", "any")]
)
def test_a_folder_one_level_too_high_leads_to_the_only_one_with_sessions(
    option: str, sessions: str, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / sessions).mkdir(parents=True)
    (tmp_path / sessions / "0123456789ab.json").write_text('{"session_id": "0123456789ab", "messages": []}')
    assert find_store(**{option: tmp_path}).sessions_dir == tmp_path / sessions  # type: ignore[arg-type]


@pytest.mark.parametrize("option", ["home", "session_dir"])
def test_of_two_folders_with_sessions_none_is_taken_for_the_one_above(option: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "sessions").mkdir(parents=True)
        (tmp_path / name / "sessions" / "0123456789ab.json").write_text(
            '{"session_id": "0123456789ab", "messages": []}'
        )
    try:
        found = find_store(**{option: tmp_path}).sessions_dir  # type: ignore[arg-type]
    except StoreNotFoundError:
        return
    assert found.parent.name not in ("one", "two")


def test_the_error_says_how_to_name_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_DOCKER_HOME", tmp_path / "docker")
    with pytest.raises(StoreNotFoundError) as caught:
        find_store(environ={"HOME": str(tmp_path)})
    for part in (tmp_path / ".hermes" / "webui" / "sessions", tmp_path / "docker" / "state.db", "--home DIR"):
        assert str(part) in str(caught.value)


def test_a_home_that_this_user_may_not_look_into_is_told_as_that(tmp_path: Path) -> None:
    def told(home: Path) -> str:
        with pytest.raises(StoreNotFoundError) as caught:
            find_store(home=home)
        return str(caught.value)

    sessions_in(tmp_path / "home" / "webui")
    tmp_path.chmod(0)
    homes = (tmp_path / "home", Path("/nowhere"))
    try:
        closed, missing = as_stranger(lambda: [*map(told, homes)]) if os.geteuid() == 0 else map(told, homes)
    finally:
        tmp_path.chmod(0o700)
    assert re.search("belongs to|is closed to", closed) and "--home" not in closed
    assert missing.startswith("No Hermes data")


def test_the_real_stores(corpus: Callable[[str], Path]) -> None:
    home = corpus("b") / "store"
    store = find_store(home=home)
    assert (store.sessions_dir, store.databases) == (home / "webui" / "sessions", (home / "state.db",))
