"""Whose files: root in another user's home, and the modes of what is made. With a real second user."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.workers import MANY
from hermes_rescue.core.base.errors import RescueError

from ..conftest import LONG, STRANGER, some, take_snapshot
from . import stage
from .conftest import HEALTHY, LOST, WIPED, small_store

pytestmark = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can work in another user's home"
)

Rescue = Callable[..., tuple[int, str, str]]

ACCESS_LIST = "system.posix_acl_access"

UNKNOWN = 48_231
"""The id of a user whom this computer does not know by name."""

PR_CAPBSET_DROP, CAP_SETGID, CAP_SETUID = 24, 6, 7


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody may enter."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(params=some([STRANGER, UNKNOWN], 2), ids=some(["a known user", "an unknown user"], 2))
def home(public: Path, request: pytest.FixtureRequest) -> Path:
    """The small store of another user."""
    small_store(public / "hermes")
    give(public / "hermes", request.param)
    return public / "hermes"


def give(place: Path, uid: int) -> None:
    for path in (place, *place.rglob("*")):
        os.lchown(path, uid, uid)


def owners(place: Path) -> dict[str, int]:
    """Whose everything in a folder is."""
    return {str(path.relative_to(place)): path.lstat().st_uid for path in (place, *place.rglob("*"))}


def command(*arguments: object, **environ: str) -> stage.Done:
    """Run a command, which as another user cannot tell whose WebUI it is that another test has started."""
    return stage.command(*arguments, alone=True, **environ)


def run(*arguments: object, environ: dict[str, str] | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """Start the command as root: what it loads it loads as the owner. Where that matters less than what it does,
    ``command`` is ten times as quick.
    """
    return subprocess.run(
        [sys.executable, "-m", "hermes_rescue.core", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **(environ or {})},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


def sessions_lost(home: Path) -> None:
    shutil.rmtree(home / "webui" / "sessions")


def state_lost(home: Path) -> None:
    shutil.rmtree(home / "webui")


def nothing_lost(home: Path) -> None:
    """All is there."""


LOSSES = [(STRANGER, nothing_lost), (STRANGER, sessions_lost), (STRANGER, state_lost), (UNKNOWN, state_lost)]


@pytest.mark.parametrize(("home", "lose"), LOSSES, indirect=["home"])
def test_what_root_makes_in_a_users_home_is_the_users(home: Path, lose: Callable[[Path], None]) -> None:
    uid = home.stat().st_uid
    lose(home)
    done = run("repair", LOST, "--yes", "--home", home)
    assert done.returncode == 0, done.stderr
    assert {*owners(home).values()} == {uid}
    made = home / "webui" / "sessions" / f"{LOST}.json"
    assert made.stat().st_gid == uid and made.stat().st_mode & 0o600 == 0o600
    assert run("undo", "--yes", "--home", home).returncode == 0
    assert {*owners(home).values()} == {uid}


def test_every_command_works_as_the_owner(home: Path, rescue: Rescue) -> None:
    """Also where only root can read the program itself."""
    where = ("--home", home)
    commands = [
        ("audit", "--json", "--no-cache"),
        ("show", WIPED),
        ("diff", WIPED),
        ("find", "question"),
        ("export", WIPED, "-o", "-"),
        ("repair", "--all", "--dry-run"),
        ("history",),
        ("report", "--format", "html"),
    ]
    as_owner = [run(*words, *where) for words in commands]
    for done in as_owner:
        assert "error of this program" not in done.stderr, done.stderr
    give(home, 0)
    as_root = [rescue(*words, *where) for words in commands]
    for done, (status, _, said) in zip(as_owner, as_root, strict=True):
        assert (done.returncode, done.stderr) == (status, said)


def test_root_leaves_nothing_of_its_own_in_the_users_cache(public: Path, home: Path) -> None:
    user, uid = public / "user", home.stat().st_uid
    user.mkdir()
    give(user, uid)
    environ = {"HOME": str(user), "XDG_CACHE_HOME": str(user / ".cache")}
    for words in (("audit",), ("report",), ("show", HEALTHY)):
        assert run(*words, "--home", home, environ=environ).returncode in (0, 1)
    assert {*owners(user).values()} == {uid} and (user / ".cache").is_dir()


@pytest.mark.parametrize("home", [STRANGER], indirect=True)
def test_a_store_for_many_processes_is_read_where_the_owner_can_start_none(home: Path) -> None:
    sessions = home / "webui" / "sessions"
    session = json.loads((sessions / f"{HEALTHY}.json").read_bytes())
    for k in range(MANY):
        (sessions / f"more{k}.json").write_text(json.dumps({**session, "session_id": f"more{k}"}))
    give(home, STRANGER)
    done = run("audit", "--json", "--no-cache", "--home", home)
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout)["summary"]["sessions"] == MANY + 4


@pytest.mark.parametrize("home", [STRANGER], indirect=True)
def test_the_window_becomes_the_owner_too(public: Path, home: Path) -> None:
    user = public / "user"
    user.mkdir()
    give(user, STRANGER)
    environ = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "XDG_CACHE_HOME": str(user), "HOME": str(user)}
    words = [sys.executable, "-m", "hermes_rescue.gui", "--home", str(home)]
    with subprocess.Popen(words, env={**os.environ, **environ}, cwd="/", stderr=subprocess.DEVNULL) as window:
        try:
            for _ in range(600):
                status = Path(f"/proc/{window.pid}/status").read_text()
                if f"Uid:\t{STRANGER}" in status and any(user.rglob("*.audit")):
                    break
                time.sleep(0.1)
        finally:
            window.kill()
    assert f"Uid:\t{STRANGER}\t{STRANGER}\t{STRANGER}\t{STRANGER}" in status
    assert {*owners(home).values(), *owners(user).values()} == {STRANGER}


def without_the_right_to_become_anybody() -> None:
    for right in (CAP_SETGID, CAP_SETUID):
        assert ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, right, 0, 0, 0) == 0


COMMANDS = [(STRANGER, "audit"), (STRANGER, "repair --all --yes"), (STRANGER, "undo --yes"), (UNKNOWN, "audit")]


@pytest.mark.parametrize(("home", "words"), COMMANDS, indirect=["home"])
def test_where_root_cannot_become_the_owner_it_says_so_and_writes_nothing(home: Path, words: str) -> None:
    before = take_snapshot(home)
    done = run(*words.split(), "--home", home, preexec_fn=without_the_right_to_become_anybody)
    assert done.returncode == 3 and "Operation not permitted" in done.stderr
    assert f"uid {home.stat().st_uid}" in done.stderr and "sudo -u" in done.stderr
    assert take_snapshot(home) == before


def test_where_the_owner_cannot_come_nothing_is_written(home: Path) -> None:
    home.parent.chmod(0o700)
    before = take_snapshot(home)
    done = command("repair", "--all", "--yes", "--home", home)
    assert done.status == 3 and "Permission denied" in done.err
    assert take_snapshot(home) == before


def test_the_engine_refuses_what_would_be_roots(home: Path) -> None:
    before = take_snapshot(home)
    store = api.find_store(home=home)
    planned = api.plan(store)
    with pytest.raises(RescueError, match="runs as root"):
        api.apply(planned)
    with pytest.raises(RescueError, match="runs as root"):
        api.undo(store, "20260503T141200Z-3f2a9c")
    assert take_snapshot(home) == before


@pytest.mark.parametrize("home", [STRANGER], indirect=True)
def test_a_link_that_the_owner_swaps_in_leads_root_nowhere(public: Path, home: Path) -> None:
    """The owner exchanges the vault for a link to a folder of root's, again and again, while root repairs."""
    foreign = public / "foreign"
    foreign.mkdir(mode=0o755)
    (foreign / "lock").write_text("root's")
    before = {path: (path.stat().st_mode, path.stat().st_uid) for path in (foreign, foreign / "lock")}
    vault, aside = home / "webui" / "rescue", home / "webui" / "aside"
    swapper = os.fork()
    if swapper == 0:
        try:
            os.setgid(STRANGER)
            os.setuid(STRANGER)
            os.symlink(foreign, aside)
            while True:
                if vault.exists():
                    os.rename(vault, home / "webui" / "third")
                    os.rename(aside, vault)
                    os.rename(home / "webui" / "third", aside)
        finally:
            os._exit(0)
    try:
        for _ in range(6 if LONG else 3):
            command("repair", "--all", "--yes", "--home", home)
            command("undo", "--yes", "--home", home)
    finally:
        os.kill(swapper, 9)
        os.waitpid(swapper, 0)
    assert {path: (path.stat().st_mode, path.stat().st_uid) for path in before} == before
    assert sorted(path.name for path in foreign.iterdir()) == ["lock"]
    assert {path.lstat().st_uid for path in home.rglob("*")} == {STRANGER}


def test_a_folder_that_root_made_is_used_as_the_owner_of_its_files(public: Path) -> None:
    sessions = small_store(public / "hermes")
    give(sessions, STRANGER)
    os.chown(sessions, 0, STRANGER)
    sessions.chmod(0o2770)
    (public / "hermes" / "webui").chmod(0o777)
    done = command("repair", "--all", "--yes", "--home", public / "hermes")
    assert done.status == 0, done.err
    assert {path.stat().st_uid for path in sessions.iterdir()} == {STRANGER}


@contextmanager
def masked(umask: int) -> Iterator[None]:
    """What is made inside is made with this mask."""
    before = os.umask(umask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("others", [0o600, 0o640, 0o664, 0o777])
def test_a_created_session_has_the_mode_of_the_others(public: Path, rescue: Rescue, others: int) -> None:
    """But nobody may execute it: on some mounted disks every file says so."""
    sessions = small_store(public / "hermes")
    for path in sessions.iterdir():
        path.chmod(others)
    with masked(0o027):
        assert rescue("repair", "--all", "--yes", "--home", public / "hermes")[0] == 0
    assert mode(sessions / f"{LOST}.json") == others & 0o666


@pytest.mark.parametrize("umask", [0o002, 0o022, 0o077])
def test_without_others_it_has_the_mode_that_the_webui_would_give_it(public: Path, rescue: Rescue, umask: int) -> None:
    sessions = small_store(public / "hermes")
    sessions_lost(public / "hermes")
    with masked(umask):
        assert rescue("repair", LOST, "--yes", "--home", public / "hermes")[0] == 0
    assert mode(sessions / f"{LOST}.json") == 0o666 & ~umask
    assert json.loads((sessions / f"{LOST}.json").read_bytes())["messages"]


@pytest.mark.parametrize("has_others", [True, False])
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_it_can_be_read_by_whom_the_folder_gives_to_by_default(
    public: Path, rescue: Rescue, umask: int, has_others: bool
) -> None:
    """The default access control list of the folder counts as for a session that the WebUI makes."""
    home = public / "hermes"
    sessions = small_store(home)
    for path in sessions.iterdir():
        path.unlink()
    give_by_default(sessions, STRANGER)
    other = sessions / "other.json"
    with masked(umask):
        other.write_text('{"session_id": "other", "messages": []}')  # made as the WebUI does
    wanted = os.getxattr(other, ACCESS_LIST)
    if not has_others:
        other.unlink()
    with masked(umask):
        assert rescue("repair", LOST, "--yes", "--home", home)[0] == 0
    made = sessions / f"{LOST}.json"
    assert os.getxattr(made, ACCESS_LIST) == wanted
    done = subprocess.run(["cat", made], user=STRANGER, group=STRANGER, extra_groups=[], capture_output=True)
    assert json.loads(done.stdout)["session_id"] == LOST


def give_by_default(folder: Path, uid: int) -> None:
    """Have what is made in a folder readable and writable for a user and the group, and for nobody else."""
    nobody = 0xFFFF_FFFF
    entries = ((1, 7, nobody), (2, 6, uid), (4, 7, nobody), (0x10, 7, nobody), (0x20, 0, nobody))
    packed = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(folder, "system.posix_acl_default", packed)
    except OSError as error:
        pytest.skip(f"this file system has no access control lists ({error.strerror})")


def test_it_has_the_group_of_a_folder_that_gives_its_own(public: Path, rescue: Rescue) -> None:
    sessions = small_store(public / "hermes")
    os.chown(sessions, 0, UNKNOWN)
    sessions.chmod(0o2770)
    assert rescue("repair", "--all", "--yes", "--home", public / "hermes")[0] == 0
    assert (sessions / f"{LOST}.json").stat().st_gid == UNKNOWN


def close_to_all_but_root(path: Path) -> None:
    os.chown(path, 0, 0)
    path.chmod(0o700 if path.is_dir() else 0o600)


COPIES = {
    "session": f"webui/sessions/{WIPED}.json",
    "backup": f"webui/sessions/{WIPED}.json.bak",
    "session list": "webui/sessions/_index.json",
    "database": "state.db",
}


@pytest.mark.parametrize("home", [STRANGER], indirect=True)
@pytest.mark.parametrize("copy", COPIES)
def test_a_missing_permission_is_reported_with_its_remedy(home: Path, copy: str) -> None:
    path = home / COPIES[copy]
    close_to_all_but_root(path)
    found = json.loads(command("audit", "--json", "--no-cache", "--home", home).out)
    kind = "live_denied" if copy == "session" else "copy_denied"
    (finding,) = (each for each in found["items"] if each["kind"] == kind)
    assert "uid 0" in finding["evidence"] and f"uid {STRANGER}" in finding["evidence"]
    assert f"sudo chown nobody {path}" in finding["evidence"]
    assert not any(each["kind"] in ("not_a_file", "damaged_file") for each in found["items"])


@pytest.mark.parametrize("home", [STRANGER], indirect=True)
def test_a_session_that_may_not_be_read_is_not_written_and_the_others_are(home: Path) -> None:
    path = home / COPIES["session"]
    close_to_all_but_root(path)
    before = path.read_bytes()
    done = command("repair", "--all", "--yes", "--home", home)
    assert done.status == 1
    assert f"sudo chown nobody {path}" in done.out
    assert path.read_bytes() == before and (path.parent / f"{LOST}.json").exists()
    os.chown(path, STRANGER, STRANGER)
    assert command("repair", "--all", "--yes", "--home", home).status == 0
    assert json.loads(path.read_bytes())["messages"]


@pytest.mark.parametrize("home", [STRANGER], indirect=True)
def test_a_closed_folder_is_reported_with_its_remedy(home: Path) -> None:
    sessions = home / "webui" / "sessions"
    sessions.chmod(0)
    done = command("repair", "--all", "--yes", "--home", home)
    assert done.status == 3 and f"chmod u+rwX {sessions}" in done.err
    sessions.chmod(0o700)
    close_to_all_but_root(home / "webui")
    done = command("repair", "--all", "--yes", "--home", home)
    assert done.status == 3 and f"sudo chown -R nobody {home / 'webui'}" in done.err
    home.parent.chmod(0o700)
    done = command("repair", "--all", "--yes", "--home", home)
    assert done.status == 3 and f"sudo chmod o+x {home.parent}" in done.err


@pytest.mark.parametrize("home", [STRANGER], indirect=True)
@pytest.mark.parametrize("broken", ["vault", "cache", "temporary folder"])
def test_what_only_reads_needs_neither_vault_nor_cache_nor_temporary_folder(home: Path, broken: str) -> None:
    environ = {}
    if broken == "vault":
        (home / "webui" / "rescue").mkdir()
        close_to_all_but_root(home / "webui" / "rescue")
    elif broken == "cache":
        environ["XDG_CACHE_HOME"] = "/proc/1"
    else:
        environ["TMPDIR"] = "/proc/1"
    warnings = []
    reading = (("audit",), ("show", WIPED), ("find", "question"), ("diff", WIPED), ("export", LOST, "-o", "-"))
    for words in some(reading, 2):
        done = command(*words, "--home", home, **environ)
        assert done.status in (0, 1), done.err
        warnings.append(done.err)
    assert any("sudo chown" in each for each in warnings) == (broken == "vault")
