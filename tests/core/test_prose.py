"""Sentences on a terminal are wrapped between words, and their commands can be copied; a pipe gets them whole."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hermes_rescue.core.audit.findings import KINDS, ONE_STANDS, Standing
from hermes_rescue.core.base.words import typed
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.terminal.call import program
from hermes_rescue.core.terminal.prose import GAP, WIDTH, wrapped
from rich.cells import cell_len

from tests.core.conftest import SID
from tests.core.test_cli import on_a_terminal

Rescue = Callable[..., tuple[int, str, str]]
HEADS = ("status   ", "session   ")
"""What the first lines of tables begin with; they fit the terminal by rules of their own."""

CALL_OF_MODULE = f"{sys.executable} -m hermes_rescue.core"
CALL = shlex.join(program())
DEEP = "a folder with spaces in its name/and another one that makes the command longer than any line of prose is"


@pytest.fixture
def wiped(hermes: Any) -> Any:
    """A session with a question, in a home whose name is long; one of its files is damaged."""
    hermes.write_live([], title="Kept title")
    hermes.write_backup(hermes.turns("a", "b"), title="Another title")
    hermes.write_index({"session_id": SID, "title": "A third title", "message_count": 0})
    (hermes.sessions / "notes about everything.json").write_text("[]")
    home = hermes.home.parent / DEEP
    home.parent.mkdir()
    return type(hermes)(hermes.home.rename(home))


def printed(*words: object, columns: int) -> list[str]:
    """The lines of a command on a terminal."""
    text = on_a_terminal(*words, COLUMNS=str(columns), NO_COLOR="1")
    return re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", text).splitlines()


def sentences(wiped: Any, rescue: Rescue) -> dict[tuple[object, ...], str]:
    home = ("--home", wiped.home)
    return {words: rescue(*words, *home)[1] for words in (("audit",), ("show", SID), ("repair", SID, "--dry-run"))}


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_prose_is_wrapped_between_words(wiped: Any, rescue: Rescue, columns: int) -> None:
    for words, whole in sentences(wiped, rescue).items():
        lines = printed(*words, "--home", wiped.home, columns=columns)
        prose = [line for line in lines if not any(part in line for part in (SID, "hermes-rescue ", *HEADS))]
        assert len(prose) > 3
        for line in prose:
            assert cell_len(line) <= min(columns, WIDTH) or " " not in line, words  # one word can be longer
            assert set(line.split()) <= set(whole.split()), words


@pytest.mark.parametrize("columns", [60, 200])
def test_a_command_on_a_terminal_can_be_copied(wiped: Any, columns: int) -> None:
    lines = printed("audit", "--home", wiped.home, columns=columns)
    suggested = [shlex.split(line[line.index("hermes-rescue ") :]) for line in lines if "hermes-rescue " in line]
    for words in suggested:
        assert words[-2:] == ["--home", str(wiped.home)]
    assert [words[1] for words in suggested] == ["repair", "show"]


@pytest.mark.parametrize("started", ["./hermes-rescue-VERSION", "a folder/hermes-rescue", "hermes-rescue"])
def test_a_command_starts_as_this_one_was_started(started: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell does not look into the folder that it is in for a bare name."""
    monkeypatch.setattr("sys.argv", [started, "audit"])
    assert program() == (started,)


def test_a_pipe_gets_each_sentence_in_one_line(wiped: Any, rescue: Rescue, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = sentences(wiped, rescue)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")
    for words, text in sentences(wiped, rescue).items():
        assert re.sub(r"\x1b\[[\d;]*m", "", text) == usual[words]
    found = json.loads(rescue("show", SID, "--json", "--home", wiped.home)[1])["findings"]
    whole = [f"{each[name]}\n" for each in found for name in ("evidence", "how_serious", "what_happens")]
    assert any(len(each) > WIDTH for each in whole)
    assert all(each in usual["show", SID] for each in whole)


def test_an_error_is_wrapped_on_a_terminal_only(wiped: Any, rescue: Rescue, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("show", "nothing", "--home", wiped.home)
    whole = rescue(*words)[2]
    assert whole.count("\n") == 1
    assert len(whole) > WIDTH
    monkeypatch.setattr("hermes_rescue.core.terminal.streams.SafeStream.isatty", lambda _: True, raising=False)
    lines = rescue(*words)[2].splitlines()
    assert len(lines) > 1
    assert " ".join(lines).split() == whole.split()


def test_suggestions_that_do_not_fit_have_lines_of_their_own() -> None:
    text = f"Undo: {CALL} undo RUN{GAP}Report: {CALL} report RUN"
    assert wrapped(text, 1000) == [text]
    lines = wrapped(text, cell_len(text) - 1)
    assert lines == text.split(GAP)
    tight = wrapped(text, 10)
    assert tight == ["Undo:", f"{CALL} undo RUN", "Report:", f"{CALL} report RUN"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="it is tried in bash")
def test_a_command_can_be_copied_whatever_is_in_a_name() -> None:
    words = [b"plain", b"a b", "Hôtel 旅".encode(), b"no text \xff\x9b7", b"it's \\ a\nb \x1b[31m", b"$(x) `y`", b""]
    command = typed(map(os.fsdecode, words))
    assert command.isprintable()
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {command}"], capture_output=True, check=True)
    assert done.stdout.split(b"\0")[:-1] == words


def test_the_next_command_names_a_home_whose_name_is_no_text(hermes: Any) -> None:
    hermes.write_live([])
    hermes.write_backup(hermes.turns("a"))
    home = hermes.home.rename(hermes.home.with_name(os.fsdecode(b"a \xff home")))
    run = partial(subprocess.run, capture_output=True, encoding="utf-8", env={**os.environ, "LC_ALL": "C"}, check=False)
    told = run([sys.executable, "-m", "hermes_rescue.core", "audit", "--home", home]).stdout
    (line,) = (line for line in told.splitlines() if "repair --all" in line)
    command = line[line.index(CALL_OF_MODULE) :].partition(GAP)[0]
    assert SID in run(["bash", "-c", f"{command} --dry-run"]).stdout


def test_further_lines_begin_where_they_are_told_to() -> None:
    text = "  What?     " + "word " * 30
    lines = wrapped(text, 40, hang=12)
    assert lines[0].startswith("  What?     word")
    assert all(line.startswith(" " * 12 + "word") for line in lines[1:])
    assert all(cell_len(line) <= 40 for line in lines)
    assert " ".join(lines).split() == text.split()


def test_a_narrow_terminal_says_of_each_session_how_it_stands(hermes: Any) -> None:
    """Also of one whose id is the agent's, which is the longest there is."""
    sid = "20260503_141201_a1b2c3"
    fields = {"session_id": sid, "title": "A title that has more words than such a terminal has room for"}
    hermes.write_new(hermes.sessions / f"{sid}.json", [], **fields)
    hermes.write_new(hermes.sessions / f"{sid}.json.bak", hermes.turns("a"), **fields)
    lines = printed("audit", "--home", hermes.home, columns=60)
    (row,) = (line for line in lines if sid in line)
    assert row.startswith(ONE_STANDS[Standing.REPAIRABLE])
    assert KINDS["shrunken_live"].label[:6] in row and "A title" in row
    assert cell_len(row) <= 60


def test_the_copies_of_a_session_can_be_compared_on_a_narrow_terminal(hermes: Any) -> None:
    """Each has one lane, and the lanes begin below each other."""
    hermes.write_live(hermes.turns(*map(str, range(40, 80))))
    hermes.write_backup(hermes.turns(*map(str, range(40))))
    lines = printed("show", SID, "--home", hermes.home, columns=60)
    lanes = [line for line in lines if re.search(r"[#+.]{20}", line)]
    assert [line.split()[0] for line in lanes] == ["backup", "live", "recovered"]
    assert len({re.search(r"[#+.]", line).start() for line in lanes}) == 1  # type: ignore[union-attr]
    assert all(cell_len(line) <= 60 for line in lanes)


def test_the_answers_about_a_finding_begin_below_each_other(wiped: Any) -> None:
    lines = printed("show", SID, "--home", wiped.home, columns=80)
    answers = [found.end() for line in lines if (found := re.match(r"  [A-Z].*\? +", line))]
    assert len(answers) >= 4 and len({*answers}) == 1


def test_what_was_found_stands_below_its_session(hermes: Any) -> None:
    hermes.write_live(hermes.turns(" ".join(["needle", *["straw"] * 30])))
    lines = printed("find", "needle", "--home", hermes.home, columns=60)
    first = next(k for k, line in enumerate(lines) if "needle" in line)
    assert lines[first].startswith("    ") and lines[first + 1].startswith("    straw")
    assert all(len(line) <= 60 for line in lines[first:])


def test_wide_characters_count_as_what_they_take() -> None:
    lines = wrapped("旅行 " * 30, 20)
    assert all(cell_len(line) <= 20 for line in lines)
    assert len(lines) > 5


def test_a_folder_with_more_sessions_is_taken_over_by_the_command_that_is_printed(hermes: Any, rescue: Rescue) -> None:
    hermes.write_live(hermes.turns("a"))
    other = "9c0000000000"
    theirs = hermes.home / "webui-mvp" / "sessions"
    theirs.mkdir(parents=True)
    hermes.write(theirs / f"{other}.json", hermes.session(hermes.turns("b"), session_id=other))
    _, out, _ = rescue("audit", "--home", hermes.home)
    (line,) = (line for line in out.splitlines() if " import " in line)
    words = shlex.split(line[line.index("hermes-rescue import") :])
    assert rescue(*words[1:], "--yes")[0] in (0, 1)
    assert (find_store(home=hermes.home).sessions_dir / f"{other}.json").is_file()
