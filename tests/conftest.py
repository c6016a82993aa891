"""Fixtures for every test: a home of its own, real damaged stores, and a proof that nothing was touched."""

from __future__ import annotations

import gc
import hashlib
import importlib.util
import json
import os
import shutil
import stat
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import pytest
from hermes_rescue.core.hermes import webui_servers
from hypothesis import settings

CORPUS = Path(__file__).parents[2] / "shared" / "corpus"

LONG = os.environ.get("HERMES_RESCUE_LONG") == "1"
"""Whether all of it is tried, however long that takes: ``CONTRIBUTING.md`` says what this adds."""

STRANGER = 65534
"""The id of a user who owns nothing here."""

# How long an example takes says more about the machine than about us.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

_Case = TypeVar("_Case")

Entry = tuple[str, int, int, int, str]
Snapshot = dict[str, Entry]

# Windows open nowhere unless somebody asks for a screen by name.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


def pytest_xdist_auto_num_workers() -> int:
    """Two for each processor: about half of the time of the tests is waiting, for a window, a process or the disk."""
    return 2 * (len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1)


def some(cases: Iterable[_Case], every: int, first: int = 0) -> list[_Case]:
    """All cases where ``LONG``, else every n-th, beginning at ``first``, so that the normal run stays short."""
    return [*cases] if LONG else [*cases][first % every :: every]


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the home of each test: pytest looks through all that lie in its own for every new one."""
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(autouse=True)
def no_real_home(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts every test into an empty home, so that no mistake in one can reach the Hermes data of whoever runs it."""
    home = tempfile.mkdtemp(dir=homes)
    for name in os.environ:
        if name.startswith(("HERMES_", "GIT_")) or (name.startswith("XDG_") and name.endswith("_HOME")):
            monkeypatch.delenv(name)
    for name in ("HOME", "USERPROFILE", "LOCALAPPDATA", "APPDATA"):
        monkeypatch.setenv(name, home)


@pytest.fixture(scope="session", autouse=True)
def loaded_for_good() -> None:
    """What was loaded to find the tests stays to the end, so nobody need look through it again: neither Python for what
    can go, nor a test for what another left.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process has written outlives it without being synced, and waiting for the disk is most of what a repair
    costs. That files are synced, and in which order, is checked by tests that record the calls.
    """
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def no_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """No WebUI runs: nobody looks at the processes of this computer, where those of whoever runs the tests are too."""
    monkeypatch.setattr(webui_servers, "processes", lambda: iter(()))


@pytest.fixture(scope="session")
def unpacked_corpus(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Unpacks each corpus at most once a run; what it returns is shared by all tests and must not be changed."""
    unpacked: dict[str, Path] = {}

    def unpack(name: str) -> Path:
        if name not in unpacked:
            archive = CORPUS / f"{name}.tar.xz"
            if not archive.is_file():
                pytest.skip(f"the damaged stores are not here: no {archive.name} in shared/corpus beside the checkout")
            root = tmp_path_factory.mktemp(f"corpus-{name}")
            with tarfile.open(archive) as tar:
                tar.extraction_filter = getattr(tarfile, "data_filter", None)  # not yet in Python 3.11.2
                tar.extractall(root)
            unpacked[name] = next(root.rglob("truth.json")).parent
        return unpacked[name]

    return unpack


@pytest.fixture
def corpus(unpacked_corpus: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """``corpus("a")``: a copy of that corpus for this test alone, a folder with ``store`` (the Hermes home) and
    ``truth.json``. A second call with the same name returns the same copy. Skips the test where there is no corpus."""

    def copy(name: str) -> Path:
        target = tmp_path / f"corpus-{name}"
        if not target.exists():
            shutil.copytree(unpacked_corpus(name), target, symlinks=True)
        return target

    return copy


@pytest.fixture
def rescue(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """``rescue("audit", "--home", folder)``: runs the command line; its exit status, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        from hermes_rescue.core.terminal.commands import main

        monkeypatch.setattr("sys.argv", ["hermes-rescue", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.fixture
def snapshot() -> Callable[[Path], Snapshot]:
    """``snapshot(folder)``: relative name -> (type, mode, size, mtime in ns, SHA-256) of everything in the folder,
    itself included. Two equal snapshots show that what ran between them left no trace."""
    return take_snapshot


def take_snapshot(folder: Path) -> Snapshot:
    """See the fixture ``snapshot``."""
    return {str(path.relative_to(folder)): describe(path) for path in (folder, *sorted(folder.rglob("*")))}


def describe(path: Path) -> Entry:
    """Type, mode, size, mtime and digest of one file, folder, symlink (never followed) or special file."""
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        kind, content = "symlink", os.fsencode(path.readlink())
    elif stat.S_ISREG(status.st_mode):
        kind, content = "file", path.read_bytes()
    else:
        kind, content = "folder" if stat.S_ISDIR(status.st_mode) else "special", b""
    return kind, stat.S_IMODE(status.st_mode), status.st_size, status.st_mtime_ns, hashlib.sha256(content).hexdigest()


def as_stranger(work: Callable[[], Any]) -> Any:
    """What ``work`` gives (as JSON can say it) to a user who owns nothing here, in a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(STRANGER)
            os.setuid(STRANGER)
            os.write(writer, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        received = answer.read()
    os.waitpid(child, 0)
    return json.loads(received)


@pytest.fixture(scope="session")
def documents() -> ModuleType:
    """What makes the documents of the commands."""
    spec = importlib.util.spec_from_file_location(
        "documents", Path(__file__).parents[1] / ".packaging" / "documents.py"
    )
    assert spec is not None and spec.loader is not None
    module = sys.modules["documents"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
