"""Whether the WebUI of a store is said to be running, and what is known of it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hermes_rescue.core.audit.store_audit import audit
from hermes_rescue.core.hermes import webui_servers
from hermes_rescue.core.hermes import webui_status as status_module
from hermes_rescue.core.hermes.store import Store, find_store
from hermes_rescue.core.hermes.webui_servers import reloads
from hermes_rescue.core.hermes.webui_status import webui_status
from hermes_rescue.core.repair.plan import unnoticed
from hermes_rescue.core.report.report import audit_json

from ..faults.webui import server_process

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the processes")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return store_in(tmp_path / "home")


@pytest.fixture
def other(tmp_path: Path) -> Store:
    """Another home, whose WebUI must not be taken for that of the store."""
    return store_in(tmp_path / "other")


@pytest.fixture
def no_servers() -> None:
    """Here they are looked for."""


@pytest.fixture
def no_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that does not show its processes."""
    monkeypatch.setattr(webui_servers, "_PROC", tmp_path / "no proc")


def store_in(home: Path) -> Store:
    (home / "webui" / "sessions").mkdir(parents=True)
    return find_store(home=home)


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


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as test:
        test.bind((host, 0))
        return int(test.getsockname()[1])


def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


# --- the processes say it --------------------------------------------------------------------------------------------


@linux
@pytest.mark.parametrize("environ", ["home", "state dir", "user", "profile", "link"])
def test_a_server_that_was_started_by_hand_is_seen(store: Store, tmp_path: Path, environ: str) -> None:
    """On any port, without a note, however it was told which home is its own."""
    assert store.home is not None
    (tmp_path / "link").symlink_to(store.home)
    if environ == "user":
        store = store_in(tmp_path / ".hermes")
    named = {
        "home": {"HERMES_HOME": str(store.home)},
        "state dir": {"HERMES_HOME": str(tmp_path / "nowhere"), "HERMES_WEBUI_STATE_DIR": str(store.state_dir)},
        "user": {"HOME": str(tmp_path)},
        "profile": {"HOME": str(tmp_path), "HERMES_WEBUI_STATE_DIR": "~/home/webui"},
        "link": {"HERMES_HOME": str(tmp_path / "link")},
    }[environ]
    port = free_port()
    with server_process(tmp_path, HERMES_WEBUI_PORT=str(port), **named) as webui:
        webui("listen")
        status = webui_status(store)
        assert status.running
        [server] = status.servers
        assert (server.pid, server.address, server.version) == (webui.pid, f"http://127.0.0.1:{port}", "0.52.262")
        assert (status.active_streams, status.reloads) == (0, True)
        assert f"kill {webui.pid} " in status.how_to_stop
        assert str(port) in status.how_to_stop
        assert webui_status(find_store(session_dir=store.sessions_dir)).servers == status.servers
    assert webui_status(store).running is False


@linux
def test_a_server_that_does_not_answer_runs_all_the_same(store: Store) -> None:
    """It is suspended, or just starting: its version is unknown, so it counts as one that never reloads."""
    port = free_port()
    with server_process(Path(), HERMES_HOME=str(store.home), HERMES_WEBUI_PORT=str(port)) as webui:
        status = webui_status(store)
        assert (status.running, status.reloads, status.active_streams) == (True, False, None)
        webui("listen")
        os.kill(webui.pid, signal.SIGSTOP)
        status = webui_status(store, timeout=0.2)
        os.kill(webui.pid, signal.SIGCONT)
        assert (status.running, status.reloads, status.active_streams) == (True, False, None)
        assert str(port) in status.how_to_stop


@linux
def test_a_server_that_ctl_started_is_stopped_by_it(store: Store) -> None:
    assert store.home is not None
    with server_process(store.home, HERMES_HOME=str(store.home)) as webui:
        webui("start")
        status = webui_status(store)
        assert status.how_to_stop.startswith(f"env HERMES_HOME={store.home} /")
        assert "/ctl.sh stop (process " in status.how_to_stop


@linux
def test_two_servers_on_one_home_are_both_told(store: Store) -> None:
    """The older one of the two says what may be done."""
    ports = free_port(), free_port()
    with (
        server_process(Path(), HERMES_HOME=str(store.home), HERMES_WEBUI_PORT=str(ports[0])) as one,
        server_process(Path(), HERMES_HOME=str(store.home), HERMES_WEBUI_PORT=str(ports[1])) as another,
    ):
        one("listen")
        another("listen", "0.50.285")
        status = webui_status(store)
        assert {server.pid for server in status.servers} == {one.pid, another.pid}
        assert not status.reloads
        assert all(f"kill {each.pid} " in status.how_to_stop for each in (one, another))
        note(store, one.pid, PORT=ports[0])
        one.leave()
        assert [server.pid for server in webui_status(store).servers] == [another.pid]


@linux
@pytest.mark.parametrize("host", ["::1", "::", "0.0.0.0", "localhost"])
def test_wherever_it_listens_on_this_computer(store: Store, host: str) -> None:
    try:
        port = free_port(host)
    except OSError:
        pytest.skip("there is no such address here")
    named = {"HERMES_HOME": str(store.home), "HERMES_WEBUI_HOST": host, "HERMES_WEBUI_PORT": str(port)}
    with server_process(Path(), **named) as webui:
        webui("listen")
        assert webui_status(store).reloads


@linux
@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to make a certificate with")
def test_a_server_that_speaks_tls_and_wants_a_password(store: Store, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    port = free_port()
    named = {"HERMES_HOME": str(store.home), "HERMES_WEBUI_PORT": str(port), "HERMES_WEBUI_PASSWORD": "a long one"}
    tls = {"HERMES_WEBUI_TLS_CERT": str(certificate), "HERMES_WEBUI_TLS_KEY": str(key)}
    with server_process(Path(), **named, **tls) as webui:
        webui("listen")
        [server] = webui_status(store).servers
        assert (server.address, server.version) == (f"https://127.0.0.1:{port}", "0.52.262")


@linux
@pytest.mark.parametrize("notes", ["none", "its pid", "its port", "all of it"])
def test_the_server_of_another_home_is_none(
    store: Store, other: Store, monkeypatch: pytest.MonkeyPatch, notes: str
) -> None:
    """Not where it has the port or the process number of ours now, nor where our home is a copy of its home."""
    assert other.home is not None
    port = free_port()
    with server_process(other.home, HERMES_HOME=str(other.home), HERMES_WEBUI_PORT=str(port)) as webui:
        webui("listen")
        told = {
            "none": {},
            "its pid": {"PID": webui.pid, "PORT": port, "STATE_DIR": store.state_dir},
            "its port": {"PID": dead_pid(), "PORT": port, "STATE_DIR": store.state_dir},
            "all of it": {"PID": webui.pid, "PORT": port, "STATE_DIR": other.state_dir},
        }[notes]
        note(store, **told)
        monkeypatch.setenv("HERMES_HOME", str(store.home))
        monkeypatch.setenv("HERMES_WEBUI_PORT", str(port))
        assert webui_status(store).running is False
        assert webui_status(other).running


@linux
def test_a_process_number_that_another_program_has_now_is_none(store: Store) -> None:
    note(store, os.getpid(), PORT=free_port())
    status = webui_status(store)
    assert status.running is False
    assert "another program" in status.evidence


@linux
def test_what_only_has_the_name_of_its_script_is_none(store: Store, tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text("input()")
    command = [sys.executable, "server.py"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, cwd=tmp_path, env={"HERMES_HOME": str(store.home)}
    ) as process:
        assert process.stdin is not None
        assert webui_status(store).running is False
        process.stdin.write(b"\n")


# --- processes that cannot be had here -------------------------------------------------------------------------------


@pytest.fixture
def process(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a server's process in a system of its own."""
    for part in ("api", "static"):
        (tmp_path / "tree" / part).mkdir(parents=True)
    folder = tmp_path / "proc" / "4711"
    for each in (tmp_path / "proc" / "1", tmp_path / "proc" / "self" / "ns", folder):
        each.mkdir(parents=True)
    (tmp_path / "proc" / "1" / "cmdline").write_bytes(b"init\0")
    (tmp_path / "proc" / "self" / "cmdline").write_bytes(b"hermes-rescue\0")
    (tmp_path / "proc" / "self" / "ns" / "pid").symlink_to("pid:[4026531836]")
    (folder / "cmdline").write_bytes(b"/usr/bin/python3.12\0-u\0server.py\0")
    (folder / "environ").write_bytes(f"HERMES_HOME={store.home}\0HERMES_WEBUI_PORT=1\0".encode())
    (folder / "cwd").symlink_to(tmp_path / "tree")
    (folder / "root").symlink_to("/")
    monkeypatch.setattr(webui_servers, "_PROC", tmp_path / "proc")
    return folder


@pytest.mark.parametrize(
    ("group", "stop"),
    [
        ("0::/system.slice/docker-" + "0123456789ab" * 5 + "cdef.scope", "docker stop 0123456789ab ("),
        ("12:pids:/docker/" + "0123456789ab" * 5 + "cdef", "docker stop 0123456789ab ("),
        ("0::/machine.slice/libpod-" + "0123456789ab" * 5 + "cdef.scope/container", "podman stop 0123456789ab ("),
        ("0::/system.slice/hermes-webui.service", "systemctl stop hermes-webui.service ("),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/hermes.service", "systemctl --user stop hermes"),
        ("0::/system.slice/cron.service", "kill 4711 ("),
        ("0::/user.slice/user-1000.slice/session-2.scope", "kill 4711 ("),
    ],
)
def test_what_would_start_it_again_is_what_is_stopped(store: Store, process: Path, group: str, stop: str) -> None:
    (process / "cgroup").write_text(f"{group}\n")
    assert webui_status(store).how_to_stop.startswith(stop)


def test_a_server_in_a_container_that_shares_the_folder(store: Store, process: Path, tmp_path: Path) -> None:
    """Its paths are those of the container, and so are those of its notes."""
    assert store.home is not None
    inside = tmp_path / "inside"
    (inside / "opt").mkdir(parents=True)
    (inside / "opt" / "data").symlink_to(store.home)
    for part in ("api", "static"):
        (inside / "app" / part).mkdir(parents=True)
    (process / "root").unlink()
    (process / "root").symlink_to(inside)
    (process / "cmdline").write_bytes(b"python\0/app/server.py\0")
    (process / "environ").write_bytes(b"HERMES_WEBUI_STATE_DIR=/opt/data/webui\0HERMES_WEBUI_PORT=1\0")
    note(store, 7, PID=7, HOST="0.0.0.0", PORT=1, STATE_DIR="/opt/data/webui", REPO_ROOT="/app")
    status = webui_status(store)
    assert (status.running, [server.pid for server in status.servers]) == (True, [4711])


@pytest.mark.parametrize(("is_owners", "running"), [(True, True), (False, None)])
def test_a_server_that_hides_its_environment(
    store: Store, process: Path, monkeypatch: pytest.MonkeyPatch, is_owners: bool, running: bool | None
) -> None:
    """It is another user's; that of the folder's owner is likely the one that serves it."""
    (process / "environ").unlink()
    (process / "environ").mkdir()
    if not is_owners:
        monkeypatch.setattr(status_module, "_owner", lambda store: -1)
    status = webui_status(store)
    assert status.running is running and not status.is_certain
    if running:
        assert "(process 4711)" in status.evidence and "only that user can see" in status.evidence
        assert not unnoticed(status).startswith("Hermes WebUI is running")
        assert audit_json(audit(store))["webui"]["running"] is None
    note(store, 4711)
    status = webui_status(store)
    assert status.running and status.is_certain


@pytest.mark.parametrize("hidden", ["others", "namespace"])
def test_where_not_everyone_is_seen_nothing_is_denied(
    store: Store, process: Path, monkeypatch: pytest.MonkeyPatch, hidden: str
) -> None:
    (process / "cmdline").write_bytes(b"python\0-m\0http.server\0")
    assert webui_status(store).running is False
    if hidden == "others":
        (process.parent / "1" / "cmdline").unlink()
    else:
        (process.parent / "self" / "ns" / "pid").unlink()
        (process.parent / "self" / "ns" / "pid").symlink_to("pid:[4026532500]")
        monkeypatch.setattr(webui_servers, "_is_mounted", lambda folder: False)
        assert webui_status(store).running is False  # nobody else can write there
        monkeypatch.setattr(webui_servers, "_is_mounted", lambda folder: True)
    assert webui_status(store).running is None


# --- what the notes say ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seen", [True, False])
def test_without_a_sign_nobody_is_told_that_it_is_not_running(
    store: Store, request: pytest.FixtureRequest, seen: bool
) -> None:
    if not seen:
        request.getfixturevalue("no_processes")
    for pid in (None, dead_pid()):
        note(store, pid)
        status = webui_status(store)
        assert status.running is (False if seen and sys.platform == "linux" else None)
        assert status.servers == ()
        assert str(store.home) in status.evidence
        assert "if yours runs, stop it first" in status.evidence
        assert "not running" not in status.evidence


@pytest.mark.parametrize("body", [b'{"active_streams": 2, "active_runs": 1}', b'{"active_streams": 2, "x": NaN}'])
def test_a_noted_process_that_answers(body: bytes, store: Store) -> None:
    """Under whatever name it was started; a proxy may have taken its name from the answer."""
    with serving(http(body)) as server:
        note(store, os.getpid(), PID=os.getpid(), HOST="192.0.2.1", PORT=server.port, STATE_DIR=f'"{store.state_dir}"')
        status = webui_status(store)
        assert (status.running, status.active_streams, status.reloads) == (True, 2, False)
        assert [each.pid for each in status.servers] == [os.getpid()]
        assert server.asked[0].startswith(b"GET /health HTTP/1.")


def test_one_note_is_enough(store: Store) -> None:
    with serving(http(b'{"active_streams": 0}')) as server:
        note(store, PID=os.getpid(), PORT=server.port)
        assert webui_status(store).active_streams == 0


def test_a_noted_process_is_believed_where_no_system_shows_it(store: Store, no_processes: None) -> None:
    """It may listen elsewhere, and a needless refusal is better than a lost save."""
    note(store, os.getpid(), PORT=1)
    status = webui_status(store)
    assert (status.running, status.reloads, status.active_streams) == (True, False, None)


@pytest.mark.parametrize("written", ["{}", '"{}"', "'{}'", "link"])
def test_a_state_dir_however_it_is_written(tmp_path: Path, no_processes: None, written: str) -> None:
    store = store_in(tmp_path / "a home")
    (tmp_path / "link").symlink_to(store.state_dir)
    text = {"{}": str(store.state_dir).replace(" ", "\\ "), "link": tmp_path / "link"}.get(
        written, written.format(store.state_dir)
    )
    note(store, os.getpid(), STATE_DIR=text, PORT=1)
    assert webui_status(store).running


def test_a_dead_process_does_not_run(store: Store) -> None:
    with serving(http(b'{"active_streams": 2}')) as server:
        note(store, dead_pid(), PORT=server.port)
        assert not webui_status(store).running
        assert not server.asked


@pytest.mark.skipif(sys.platform != "linux", reason="processes are shown by Linux")
def test_a_server_that_ends_while_it_is_looked_at_serves_nobody(tmp_path: Path) -> None:
    """Its folder in ``/proc`` is still there, and its root leads nowhere any more."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        process = webui_servers.Process(ended.pid, os.getuid(), "/srv/webui", {"HERMES_HOME": str(tmp_path / "home")})
        assert process.serves([tmp_path / "home" / "webui"]) is False


def test_notes_that_came_along_with_a_copied_store(store: Store, other: Store) -> None:
    with serving(http(b'{"active_streams": 2}')) as server:
        note(store, os.getpid(), PORT=server.port, STATE_DIR=other.state_dir)
        assert not webui_status(store).running
        assert not server.asked


@pytest.mark.parametrize(("answer", "running"), [(http(b'{"active_streams": 0}'), True), (http(b'{"ok": 1}'), False)])
def test_the_notes_of_a_container(store: Store, answer: bytes, running: bool) -> None:
    """Its process number means nothing here; only a WebUI that answers where it said counts."""
    with serving(answer) as server:
        note(store, os.getpid(), PORT=server.port, HOST="0.0.0.0", STATE_DIR="/home/hermeswebui/.hermes/webui")
        status = webui_status(store)
        assert bool(status.running) is running
        assert all(server.pid is None for server in status.servers)


@pytest.mark.parametrize(
    ("answer", "streams", "version"),
    [
        (http(b'{"active_streams": 3}', header="Server: HermesWebUI/0.51.400\r\n"), 3, "0.51.400"),
        (http(b'{"active_streams": 3}', header="server: HermesWebUI\r\n"), 3, None),
        (http(b'{"status": "ok"}', header="Server: HermesWebUI/abc123\r\n"), None, "abc123"),
        (http(b'{"active_streams": "2"}', header="Server: HermesWebUI\r\n"), None, None),
        (http(b'{"active_streams": true}', header="Server: HermesWebUI\r\n"), None, None),
        (http(b'{"active_streams": -1}', header="Server: HermesWebUI\r\n"), None, None),
        (http(b"busy", "503 Oops", "Server: HermesWebUI/0.52.1\r\n"), None, "0.52.1"),
        (http(b"[" * 60_000, header="Server: HermesWebUI\r\n"), None, None),
        (http(b'{"active_streams": 2, "pad": "' + b"x" * 9_000_000, header="Server: HermesWebUI\r\n"), None, None),
    ],
)
def test_what_a_webui_answers(answer: bytes, streams: int | None, version: str | None, store: Store) -> None:
    with serving(answer) as server:
        note(store, os.getpid(), PORT=server.port)
        status = webui_status(store)
        assert (status.running, status.active_streams) == (True, streams)
        assert [each.version for each in status.servers] == [version]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        http(b"<html>login</html>"),
        http(b"{}", "302 Found", "Location: http://192.0.2.1/health\r\n"),
        http(b'{"status": "ok", "version": "1.2"}', header="Server: uvicorn\r\n"),
        http(b'["active_streams"]'),
        http(b'{"note": "active_streams", "Server: HermesWebUI": 1}'),
    ],
)
def test_what_another_service_answers_is_no_webui(answer: bytes, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither on the port that was noted, nor on the one that a WebUI started without a word would have."""
    with serving(answer) as server:
        monkeypatch.setattr(status_module, "DEFAULT_PORT", server.port)
        monkeypatch.setenv("HERMES_HOME", str(store.home))
        assert not webui_status(store).running
        note(store, PORT=server.port, STATE_DIR="/home/hermeswebui/.hermes/webui")
        assert not webui_status(store).running


@pytest.mark.parametrize(("answer", "streams"), [(http(b'{"active_streams": 3}'), 3), (http(b'{"active_str'), None)])
def test_an_answer_that_does_not_end(answer: bytes, streams: int | None, store: Store, no_processes: None) -> None:
    with serving(answer, hold=True) as server:
        note(store, os.getpid(), PORT=server.port)
        assert webui_status(store, timeout=0.2).active_streams == streams


@pytest.mark.parametrize(
    "pid", ["", "0", "-1", "1e3", "99999999999", "٣", "4294967297", "abc", "1 2", "\0", "9" * 5000]
)
def test_a_hostile_process_number(pid: str, store: Store, no_processes: None) -> None:
    note(store, pid, PID=pid, STATE_DIR=f"{store.state_dir}")
    assert not webui_status(store).running


@pytest.mark.parametrize("port", ["0", "65536", "-1", "80x", "", "9" * 5000])
def test_a_hostile_port(port: str, store: Store, no_processes: None) -> None:
    note(store, os.getpid(), PORT=port)
    assert webui_status(store).running


@pytest.mark.parametrize("state_dir", ["\0", "a\0b", "x" * 5000, "~nobody/x", "'", "$(touch x)"])
def test_a_hostile_state_dir(state_dir: str, store: Store) -> None:
    note(store, os.getpid(), PORT=free_port(), STATE_DIR=state_dir)
    assert not webui_status(store).running


def test_notes_that_are_no_files(store: Store) -> None:
    assert store.home is not None
    os.mkfifo(store.home / "webui.pid")
    (store.home / "webui.ctl.env").mkdir()
    assert not webui_status(store).running


@pytest.mark.parametrize("notes", [None, "dead"])
def test_the_usual_port_counts_only_for_the_store_of_this_user(
    notes: str | None, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A WebUI in a container leaves no sign; one that serves another store must not block the repair of a copy."""
    with serving(http(b'{"active_streams": 1}')) as server:
        monkeypatch.setenv("HERMES_WEBUI_PORT", str(server.port))
        if notes:
            note(store, dead_pid())
        assert not webui_status(store).running
        assert not server.asked
        monkeypatch.setenv("HERMES_HOME", str(store.home))
        status = webui_status(store)
        assert (status.running, status.active_streams) == (True, 1)
        assert [each.pid for each in status.servers] == [None]
        assert str(server.port) in status.how_to_stop


def test_looking_leaves_no_trace(store: Store, snapshot: Callable[[Path], object]) -> None:
    assert store.home is not None
    note(store, os.getpid(), PORT=1)
    before = snapshot(store.home)
    webui_status(find_store(home=store.home))
    assert snapshot(store.home) == before


# --- what follows ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "is_new"),
    [
        ("0.51.327", True),
        ("0.51.326", False),
        ("0.50.285", False),
        ("v0.52.1", True),
        ("exp-v0.52.262", True),
        ("0.51.327-3-g1a2b3c4", True),
        ("1.0.0", True),
        ("1a2b3c4", False),
        ("0.52", False),
        ("", False),
        (None, False),
    ],
)
def test_which_versions_read_a_session_again(version: str | None, is_new: bool) -> None:
    assert reloads(version) is is_new


def test_the_report_says_what_is_known(store: Store, no_processes: None) -> None:
    said = audit_json(audit(store))["webui"]
    assert (said["running"], said["pid"], said["version"], said["address"]) == (None, None, None, None)
    with serving(http(b'{"active_streams": 1}', header="Server: HermesWebUI/0.51.400\r\n")) as server:
        note(store, os.getpid(), PORT=server.port)
        said = audit_json(audit(store))["webui"]
        assert (said["running"], said["pid"], said["version"]) == (True, os.getpid(), "0.51.400")
        assert said["address"] == f"http://127.0.0.1:{server.port}"
