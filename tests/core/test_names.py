"""Every session in a list, and a session or run by the beginning of its id or by its title."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core.base.program import version
from rich.cells import cell_len

from tests.core.test_cli import on_a_terminal

Rescue = Callable[..., tuple[int, str, str]]

FERRY, SLOW, WIDE = "20260503_141200_a1b2c3", "20260503_171200_ffffff", "9c0000000000"
LONG = "旅行の計画" * 30


@pytest.fixture
def three(hermes: Any) -> Any:
    """Three sessions, the first of which lost its messages."""
    for sid, title, messages in (
        (FERRY, "The ferry to Naxos", []),
        (SLOW, "The slow train", hermes.turns("c")),
        (WIDE, LONG, hermes.turns("d", "e")),
    ):
        fields = {"session_id": sid, "title": title}
        hermes.write(hermes.sessions / f"{sid}.json", hermes.session(messages, **fields))
    backup = hermes.session(hermes.turns("a", "b"), session_id=FERRY, title="The ferry to Naxos")
    hermes.write(hermes.sessions / f"{FERRY}.json.bak", backup)
    return hermes


def messages_of(three: Any, sid: str) -> int:
    return len(json.loads((three.sessions / f"{sid}.json").read_bytes())["messages"])


def test_the_version_is_that_of_the_package(rescue: Rescue) -> None:
    status, out, _ = rescue("--version")
    assert status == 0
    assert out.split() == ["hermes-rescue", version()]


def test_where_no_repair_is_meant_the_list_of_them_is_named(three: Any, rescue: Rescue) -> None:
    for words in (["undo", "monday", "--yes"], ["report", "monday"], ["diff", SLOW, "--run", "monday"]):
        status, out, err = rescue(*words, "--home", three.home)
        assert (status, out) == (3, "")
        assert "monday" in err
        assert f"hermes-rescue history --home {three.home}" in err


def test_h_is_help_everywhere(rescue: Rescue) -> None:
    for words in ([], ["repair"], ["vault", "prune"]):
        assert rescue(*words, "-h") == rescue(*words, "--help")
        assert rescue(*words, "-h")[0] == 0


def test_the_list_has_every_session_on_a_line_of_its_own(three: Any, rescue: Rescue) -> None:
    status, out, _ = rescue("list", "--home", three.home)
    assert status == 0
    _, *lines = out.splitlines()
    assert {line.split()[0] for line in lines} == {FERRY, SLOW, WIDE}
    assert len(lines) == 3
    assert LONG in out  # a pipe is never cut
    ferry = next(line for line in lines if line.startswith(FERRY))
    assert "can be repaired" in ferry
    sessions = json.loads(rescue("list", "--json", "--home", three.home)[1])["sessions"]
    facts = {s["session_id"]: (s["title"], s["live"], s["after"], s["category"]) for s in sessions}
    assert facts == {
        FERRY: ("The ferry to Naxos", 0, 4, "repairable"),
        SLOW: ("The slow train", 2, 2, "healthy"),
        WIDE: (LONG, 4, 4, "healthy"),
    }
    for s in sessions:
        file = three.sessions / f"{s['session_id']}.json"
        held = json.loads(file.read_bytes())
        assert (s["size"], s["created"], s["updated"]) == (file.stat().st_size, held["created_at"], held["updated_at"])


def test_an_empty_store_has_an_empty_list(hermes: Any, rescue: Rescue) -> None:
    hermes.sessions.mkdir(parents=True, exist_ok=True)
    status, out, _ = rescue("list", "--home", hermes.home)
    assert status == 0
    assert "no session" in out
    assert json.loads(rescue("list", "--json", "--home", hermes.home)[1])["sessions"] == []


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_a_session_is_one_line_of_a_terminal(three: Any, columns: int) -> None:
    for words in (["list"], ["audit"], ["repair", "--all", "--dry-run"]):
        printed = on_a_terminal(*words, "--home", three.home, COLUMNS=str(columns), NO_COLOR="1")
        lines = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", printed).splitlines()
        rows = [line for line in lines if any(sid in line for sid in (FERRY, SLOW, WIDE))]
        assert len(rows) == (3 if words == ["list"] else 1), (words, lines)
        for row in rows:
            assert cell_len(row.rstrip()) <= columns
            assert "fer" in row if FERRY in row else "train" in row or "旅行" in row


def test_a_session_is_named_by_the_beginning_of_its_id(three: Any, rescue: Rescue) -> None:
    home = ("--home", three.home)
    status, out, _ = rescue("show", FERRY[:-4], *home)
    assert status == 1
    assert FERRY in out
    assert rescue("diff", FERRY[:-4], *home)[1] == rescue("diff", FERRY, *home)[1]
    status, _, err = rescue("repair", FERRY[:-4], "--yes", *home)
    assert status == 0
    assert FERRY in err  # which one was meant
    assert "The ferry to Naxos" in err
    assert messages_of(three, FERRY) == 4


def test_a_session_is_named_by_its_title(three: Any, rescue: Rescue, tmp_path: Path) -> None:
    home = ("--home", three.home)
    for title in ("The ferry to Naxos", "the  FERRY", "naxos"):
        assert rescue("export", title, "-o", "-", *home)[1] == rescue("export", FERRY, "-o", "-", *home)[1]
    assert rescue("leave", "naxos", *home)[0] == 0
    assert rescue("audit", *home)[0] == 0
    assert rescue("leave", "naxos", "--forget", *home)[0] == 0
    assert rescue("audit", *home)[0] == 1


@pytest.mark.parametrize("words", [["show"], ["diff"], ["repair", "--yes"], ["leave"], ["export", "-o", "-"]])
def test_what_can_be_several_sessions_names_them(three: Any, rescue: Rescue, words: list[str]) -> None:
    before = (three.sessions / f"{FERRY}.json").read_bytes()
    for text in (FERRY[:8], "the"):
        status, out, err = rescue(*words, text, "--home", three.home)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert FERRY in err and "The ferry to Naxos" in err
        assert SLOW in err and "The slow train" in err
    assert (three.sessions / f"{FERRY}.json").read_bytes() == before


def test_an_id_means_its_session_whatever_others_are_called(three: Any, rescue: Rescue) -> None:
    three.write(three.sessions / f"{SLOW}.json", three.session(three.turns("c"), session_id=SLOW, title=FERRY))
    assert "The ferry to Naxos" in rescue("show", FERRY, "--home", three.home)[1]


@pytest.mark.parametrize("text", ["", " ", "0000", "no such title"])
def test_what_is_no_session_is_said(three: Any, rescue: Rescue, text: str) -> None:
    status, out, err = rescue("show", text, "--home", three.home)
    assert (status, out, err.count("\n")) == (3, "", 1)
    assert "list" in err


def test_runs_and_their_sessions_are_named_by_their_beginnings(three: Any, rescue: Rescue) -> None:
    home = ("--home", three.home)
    before = (three.sessions / f"{FERRY}.json").read_bytes()
    assert rescue("repair", "--all", "--yes", *home)[0] == 0
    (run,) = (each.name for each in (three.home / "webui" / "rescue" / "runs").iterdir())
    assert FERRY in rescue("report", run[:8], "--format", "json", *home)[1]
    assert rescue("diff", "naxos", "--run", run[:8], *home)[0] == 1
    status, _, err = rescue("undo", run[:8], "--session", "The ferry", "--yes", *home)
    assert status == 0
    assert run in err and FERRY in err
    assert (three.sessions / f"{FERRY}.json").read_bytes() == before
