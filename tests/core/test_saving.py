"""Files that commands write: their form, and what they may replace."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Rescue = Callable[..., tuple[int, str, str]]


@pytest.fixture
def wiped(hermes: Any) -> Any:
    hermes.write_live([], title="Kept title")
    hermes.write_backup(hermes.turns("a", "b"))
    return hermes


def form_of(text: str) -> str:
    if text.startswith("<!"):
        return "html"
    try:
        json.loads(text)
    except ValueError:
        return "md"
    return "json"


NAMES = {
    "a.md": "md",
    "a.html": "html",
    "a.HTM": "html",
    "a.json": "json",
    "a.markdown": "md",
    "a.txt": "md",
    "a": "md",
}


@pytest.mark.parametrize("name", NAMES)
def test_the_name_of_a_file_says_its_form(wiped: Any, rescue: Rescue, tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    assert rescue("report", "-o", target, "--home", wiped.home) == (0, "", "")
    assert form_of(target.read_text()) == NAMES[name]
    assert rescue("export", wiped.live.stem, "--overwrite", "-o", target, "--home", wiped.home)[0] == 0
    assert form_of(target.read_text()) == NAMES[name]
    assert wiped.said(wiped.turns("b"))[0] in target.read_text()


def test_what_is_asked_for_counts_more_than_the_name(wiped: Any, rescue: Rescue, tmp_path: Path) -> None:
    target = tmp_path / "a.html"
    assert rescue("report", "--format", "json", "-o", target, "--home", wiped.home)[0] == 0
    assert form_of(target.read_text()) == "json"
    arguments = ("export", wiped.live.stem, "--form", "json", "--overwrite", "-o", target, "--home", wiped.home)
    assert rescue(*arguments)[0] == 0
    assert json.loads(target.read_text())["title"] == "Kept title"


def test_a_report_as_pdf_is_the_windows(wiped: Any, rescue: Rescue, tmp_path: Path) -> None:
    target = tmp_path / "a.pdf"
    status, _, err = rescue("report", "-o", target, "--home", wiped.home)
    assert status == 2
    assert "hermes-rescue-gui" in err
    assert not target.exists()


def test_a_report_replaces_another_only_where_it_is_told_to(wiped: Any, rescue: Rescue, tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    target.write_text("older")
    target.chmod(0o644)
    status, _, err = rescue("report", "-o", target, "--home", wiped.home)
    assert status == 3
    assert "--overwrite" in err
    assert target.read_text() == "older"
    assert rescue("report", "--overwrite", "-o", target, "--home", wiped.home) == (0, "", "")
    assert json.loads(target.read_text())["kind"] == "audit"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if path != wiped.home] == ["a.json"]


def test_no_report_becomes_a_file_of_hermes(
    wiped: Any, rescue: Rescue, tmp_path: Path, snapshot: Callable[[Path], object]
) -> None:
    link = tmp_path / "link"
    link.symlink_to(wiped.sessions)
    database = wiped.home / "state.db"
    database.touch()
    before = snapshot(wiped.home)
    for target in (wiped.live, link / wiped.live.name, database, wiped.sessions / "new.json"):
        status, _, err = rescue("report", "--overwrite", "-o", target, "--home", wiped.home)
        assert status == 3
        assert "folder" in err
    assert snapshot(wiped.home) == before


@pytest.mark.parametrize("command", ["report", "audit", "export"])
def test_none_replaces_a_file_of_another_home(
    wiped: Any, rescue: Rescue, tmp_path: Path, snapshot: Callable[[Path], object], command: str
) -> None:
    other = tmp_path / "other"
    shutil.copytree(wiped.home, other)
    (other / "state.db").touch()
    (tmp_path / "link").symlink_to(other / "webui" / "sessions")
    before = snapshot(other)
    words = {
        "report": ("report", "--overwrite", "-o"),
        "audit": ("audit", "--metrics"),
        "export": ("export", wiped.live.stem, "--overwrite", "-o"),
    }
    sessions = other / "webui" / "sessions"
    for target in (sessions / wiped.live.name, tmp_path / "link" / wiped.live.name, other / "state.db"):
        status, _, err = rescue(*words[command], target, "--home", wiped.home)
        assert status == 3
        assert "of Hermes" in err
    assert snapshot(other) == before


def test_a_copy_of_a_session_in_a_folder_of_ones_own_can_be_replaced(
    wiped: Any, rescue: Rescue, tmp_path: Path
) -> None:
    target = tmp_path / "mine" / "sessions" / "A walk.json"
    target.parent.mkdir(parents=True)
    for _ in range(2):
        words = ("export", wiped.live.stem, "--form", "json", "--overwrite", "-o", target)
        assert rescue(*words, "--home", wiped.home)[0] == 0


@pytest.mark.parametrize("name", [".", "folder"])
def test_a_report_is_a_file_and_no_folder(
    wiped: Any, rescue: Rescue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    for more in ((), ("--overwrite",)):
        status, out, err = rescue("report", "-o", name, *more, "--home", wiped.home)
        assert (status, out) == (3, "")
        assert "is a folder" in err


def test_a_dash_is_the_terminal(wiped: Any, rescue: Rescue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, _ = rescue("report", "-o", "-", "--format", "json", "--home", wiped.home)
    assert status == 0
    assert json.loads(out)["kind"] == "audit"
    assert not (tmp_path / "-").exists()


@pytest.mark.parametrize("words", [("report", "-o"), ("audit", "--metrics")], ids=" ".join)
def test_a_place_that_is_not_there_is_named_as_it_was_typed(
    wiped: Any, rescue: Rescue, tmp_path: Path, words: tuple[str, ...]
) -> None:
    target = tmp_path / "nowhere" / "a.md"
    status, out, err = rescue(*words, target, "--home", wiped.home)
    assert (status, out) == (3, "")
    assert f"{target}: No such file" in err
