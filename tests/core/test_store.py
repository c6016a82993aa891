"""Where a Hermes installation is found, and whether its WebUI is said to be running."""

from __future__ import annotations

import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from core import store as store_module
from core.errors import StoreNotFoundError
from core.store import Store, WebUIStatus, find_store, is_safe_session_id, is_session_name, webui_status

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
    sessions = sessions_in(tmp_path / "webui-mvp")
    assert find_store(home=tmp_path).other_session_dirs == (sessions,)


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


def test_the_error_says_how_to_name_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_DOCKER_HOME", tmp_path / "docker")
    with pytest.raises(StoreNotFoundError) as caught:
        find_store(environ={"HOME": str(tmp_path)})
    for part in (tmp_path / ".hermes" / "webui" / "sessions", tmp_path / "docker" / "state.db", "--home DIR"):
        assert str(part) in str(caught.value)


def test_the_real_stores(corpus: Callable[[str], Path]) -> None:
    home = corpus("b") / "store"
    store = find_store(home=home)
    assert (store.sessions_dir, store.databases) == (home / "webui" / "sessions", (home / "state.db",))


# --- is its WebUI running ------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Store:
    sessions_in(tmp_path / "home" / "webui")
    return find_store(home=tmp_path / "home")


class Answer(socketserver.BaseRequestHandler):
    """Sends fixed bytes to whoever asks, then waits until the other side or the test has enough."""

    server: Server

    def handle(self) -> None:
        self.server.asked.append(self.request.recv(4096))
        try:
            self.request.sendall(self.server.answer)
        except OSError:  # the other side had enough
            return
        if self.server.hold:
            self.server.done.wait()


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, answer: bytes, hold: bool) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.answer, self.hold = answer, hold
        self.asked: list[bytes] = []
        self.done = threading.Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])


def http(body: bytes, status: str = "200 OK", header: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{header}\r\n".encode() + body


@contextmanager
def serving(answer: bytes, *, hold: bool = False) -> Iterator[Server]:
    with Server(answer, hold) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.done.set()
            server.shutdown()
            thread.join()


def note(store: Store, pid: object = None, **lines: object) -> None:
    assert store.home is not None
    if pid is not None:
        (store.home / "webui.pid").write_text(f"{pid}\n")
    (store.home / "webui.ctl.env").write_text("".join(f"{key}={value}\n" for key, value in lines.items()))


def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_no_notes_no_webui(store: Store) -> None:
    status = webui_status(store)
    assert (status.running, status.pid, status.port, status.active_streams) == (False, None, None, None)
    assert str(store.home) in status.evidence


@pytest.mark.parametrize("body", [b'{"active_streams": 2, "active_runs": 1}', b'{"active_streams": 2, "x": NaN}'])
def test_a_running_webui(body: bytes, store: Store) -> None:
    with serving(http(body)) as server:
        note(store, os.getpid(), PID=os.getpid(), HOST="192.0.2.1", PORT=server.port, STATE_DIR=f'"{store.state_dir}"')
        status = webui_status(store)
        assert status == WebUIStatus(True, os.getpid(), server.port, 2, status.evidence)
        assert server.asked[0].startswith(b"GET /health HTTP/1.")


def test_one_note_is_enough(store: Store) -> None:
    with serving(http(b'{"active_streams": 0}')) as server:
        note(store, PID=os.getpid(), PORT=server.port)
        assert webui_status(store).active_streams == 0


def test_a_state_dir_named_through_a_symlink(store: Store, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(store.state_dir)
    note(store, os.getpid(), STATE_DIR=tmp_path / "link", PORT=1)
    assert webui_status(store).running


def test_a_dead_process_does_not_run(store: Store) -> None:
    with serving(http(b'{"active_streams": 2}')) as server:
        note(store, dead_pid(), PORT=server.port)
        assert not webui_status(store).running
        assert not server.asked


def test_notes_that_came_along_with_a_copied_store(store: Store) -> None:
    with serving(http(b'{"active_streams": 2}')) as server:
        note(store, os.getpid(), PORT=server.port, STATE_DIR="/home/someone/.hermes/webui")
        assert not webui_status(store).running
        assert not server.asked


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        http(b"<html>login</html>"),
        http(b'{"active_streams": 2}', "500 Oops"),
        http(b'{"active_streams": 2}', "302 Found", "Location: http://192.0.2.1/health\r\n"),
        http(b'["active_streams"]'),
        http(b'{"active_streams": "2"}'),
        http(b'{"active_streams": true}'),
        http(b'{"active_streams": -1}'),
        http(b"{}"),
        http(b"[" * 60_000),
        http(b'{"active_streams": 2, "pad": "' + b"x" * 10_000_000 + b'"}'),
    ],
)
def test_an_odd_answer_leaves_the_streams_unknown(answer: bytes, store: Store) -> None:
    with serving(answer) as server:
        note(store, os.getpid(), PORT=server.port)
        status = webui_status(store)
        assert (status.running, status.pid, status.active_streams) == (True, os.getpid(), None)


@pytest.mark.parametrize(("answer", "streams"), [(http(b'{"active_streams": 3}'), 3), (http(b'{"active_str'), None)])
def test_an_answer_that_does_not_end(answer: bytes, streams: int | None, store: Store) -> None:
    with serving(answer, hold=True) as server:
        note(store, os.getpid(), PORT=server.port)
        assert webui_status(store, timeout=0.2).active_streams == streams


@pytest.mark.parametrize(
    "pid", ["", "0", "-1", "1e3", "99999999999", "٣", "4294967297", "abc", "1 2", "\0", "9" * 5000]
)
def test_a_hostile_process_number(pid: str, store: Store) -> None:
    note(store, pid, PID=pid)
    assert not webui_status(store).running


@pytest.mark.parametrize("port", ["0", "65536", "-1", "80x", "", "9" * 5000])
def test_a_hostile_port(port: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(http(b'{"active_streams": 1}')) as server:
        monkeypatch.setattr(store_module, "DEFAULT_PORT", server.port)
        note(store, os.getpid(), PORT=port)
        assert webui_status(store).port == server.port


def test_notes_that_are_no_files(store: Store) -> None:
    assert store.home is not None
    os.mkfifo(store.home / "webui.pid")
    (store.home / "webui.ctl.env").mkdir()
    assert not webui_status(store).running


@pytest.mark.parametrize("notes", [None, "dead"])
def test_the_default_port_counts_only_for_the_store_of_this_user(
    notes: str | None, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A WebUI started by hand leaves no notes; one that serves another store must not block the repair of a copy."""
    with serving(http(b'{"active_streams": 1}')) as server:
        monkeypatch.setattr(store_module, "DEFAULT_PORT", server.port)
        if notes:
            note(store, dead_pid())
        assert not webui_status(store).running
        assert not server.asked
        monkeypatch.setenv("HERMES_HOME", str(store.home))
        status = webui_status(store)
        assert (status.running, status.pid, status.port, status.active_streams) == (True, None, server.port, 1)


def test_a_store_named_by_its_sessions_folder(store: Store) -> None:
    note(store, os.getpid(), PORT=1)
    assert webui_status(find_store(session_dir=store.sessions_dir)).running


def test_looking_leaves_no_trace(store: Store, snapshot: Callable[[Path], object]) -> None:
    assert store.home is not None
    note(store, os.getpid(), PORT=1)
    before = snapshot(store.home)
    webui_status(find_store(home=store.home))
    assert snapshot(store.home) == before
