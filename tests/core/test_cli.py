"""The terminal front as a person or a script meets it."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hermes_rescue.core.demo.demo_store import make_demo_store

Rescue = Callable[..., tuple[int, str, str]]

COMMAND = [sys.executable, "-c", "from hermes_rescue.core.terminal.commands import main; main()"]
EVIL = "\x1b[31mred\x07\x9b2J\u202eabc"


@pytest.fixture
def wiped(hermes: Any) -> Any:
    hermes.write_live([])
    hermes.write_backup(hermes.turns("a", "b"))
    return hermes


def test_the_whole_walk(wiped: Any, rescue: Rescue) -> None:
    home = ("--home", wiped.home)
    sid = wiped.live.stem
    before = wiped.live.read_bytes()
    status, out, _ = rescue("audit", *home)
    assert status == 1
    assert sid in out
    status, out, _ = rescue("show", sid, *home)
    assert status == 1
    assert "How serious?" in out
    assert "Can I keep using this session?" in out
    status, out, _ = rescue("diff", sid, *home)
    assert status == 1
    assert "+ assistant" in out
    assert "answer b" in out
    assert rescue("repair", "--all", "--dry-run", *home)[0] == 1
    assert wiped.live.read_bytes() == before
    status, out, _ = rescue("repair", "--all", "--yes", *home)
    assert status == 0
    assert "1 session repaired and verified" in out
    assert len(wiped.load()["messages"]) == 4
    assert rescue("audit", *home)[0] == 0
    status, out, _ = rescue("history", *home)
    assert status == 0
    run = json.loads(rescue("history", "--json", *home)[1])["runs"][0]["run"]
    assert run in out
    assert "hermes-rescue undo RUN" in out
    status, out, _ = rescue("report", run, *home)
    assert status == 0
    assert "SHA-256" in out
    assert rescue("undo", "--yes", *home)[0] == 0
    assert wiped.live.read_bytes() == before
    status, out, _ = rescue("undo", "--yes", *home)
    assert status == 0
    assert "nothing to undo" in out
    assert "undo RUN" not in rescue("history", *home)[1]


def test_a_repair_counts_as_many_sessions_as_the_history_and_its_undo(tmp_path: Path, rescue: Rescue) -> None:
    demo = make_demo_store(tmp_path / "demo")
    out = rescue("repair", "--all", "--yes", "--home", demo.home)[1]
    found = re.search(r"(\d+) sessions repaired and verified.*\s(\d+) of them \w+ only missing there", out, re.DOTALL)
    assert found is not None
    assert int(found[2])

    def in_the_history() -> list[str]:
        return rescue("history", "--home", demo.home)[1].splitlines()[1].split()[-2:]

    assert in_the_history() == [found[1], "0"]
    undone = json.loads(rescue("undo", "--yes", "--json", "--home", demo.home)[1])["undone"]
    assert len(undone) == int(found[1])
    assert in_the_history() == [found[1], found[1]]


def test_a_repair_says_of_every_session_that_the_list_has_again(tmp_path: Path, rescue: Rescue) -> None:
    """Also of those that it was not about, since the list is built again as a whole."""
    demo = make_demo_store(tmp_path / "demo")

    def repairable() -> int:
        return int(json.loads(rescue("audit", "--json", "--home", demo.home)[1])["standings"]["repairable"])

    before = repairable()
    out = rescue(
        "repair",
        next(each.session_id for each in demo.stories if each.name == "wiped_and_continued"),
        "--yes",
        "--home",
        demo.home,
    )[1]
    assert "1 session repaired" in out
    found = re.search(r"(\d+) other session again", out)
    assert found is not None
    assert before - repairable() == 1 + int(found[1])


def test_an_undo_that_is_repeated_counts_what_it_puts_back(hermes: Any, wiped: Any, rescue: Rescue) -> None:
    """A session that has changed since is refused each time; the others are put back once."""
    other = hermes.session(hermes.turns("z"), session_id="000000000001")
    (hermes.sessions / "000000000001.json.bak").write_text(json.dumps(other))
    home = ("--home", wiped.home)
    rescue("repair", "--all", "--yes", *home)
    wiped.live.write_text(wiped.live.read_text() + " ")
    runs = json.loads(rescue("history", "--json", *home)[1])["runs"]
    counts = [json.loads(rescue("undo", "--yes", "--json", *home)[1])["undone"] for _ in range(2)]
    assert counts == [["000000000001"], []]
    assert json.loads(rescue("history", "--json", *home)[1])["runs"][0]["run"] == runs[0]["run"]


def test_fields_that_come_back_are_named_by_the_copy_that_has_them(wiped: Any, rescue: Rescue) -> None:
    wiped.live.unlink()
    out = rescue("show", wiped.live.stem, "--home", wiped.home)[1]
    [line] = [line for line in out.partition("Fields that come back:")[2].splitlines() if "from backup" in line]
    assert line.startswith("  from backup: title, ")


def test_the_audit_has_the_shape_of_the_webuis_own(wiped: Any, rescue: Rescue) -> None:
    status, out, _ = rescue("audit", "--json", "--home", wiped.home)
    assert status == 1
    found = json.loads(out)
    assert found["status"] == "warn"
    assert {name: found["summary"][name] for name in ("ok", "repairable", "unsafe_to_repair")} == {
        "ok": 1,
        "repairable": 1,
        "unsafe_to_repair": 0,
    }
    (item,) = found["items"]
    shape = ("session_id", "kind", "category", "recommendation", "live_messages", "bak_messages")
    assert [item[name] for name in shape] == [wiped.live.stem, "shrunken_live", "repairable", "restore_from_bak", 0, 4]


def test_a_question_makes_the_audit_ask_for_review(hermes: Any, rescue: Rescue) -> None:
    hermes.write_rows([], cwd="/srv")
    found = json.loads(rescue("audit", "--json", "--home", hermes.home)[1])
    assert found["status"] == "needs_manual_review"
    assert found["items"][0]["category"] == "unsafe_to_repair"
    assert found["items"][0]["live_messages"] == -1


def test_a_sessions_folder_and_databases_can_be_named(wiped: Any, rescue: Rescue, tmp_path: Path) -> None:
    wiped.write_rows(wiped.turns("a", "b", "c"))
    database = tmp_path / "else where.db"
    (wiped.home / "state.db").rename(database)
    named = ("--session-dir", wiped.sessions, "--state-db", database)
    assert rescue("repair", wiped.live.stem, "--yes", *named)[0] == 0
    assert len(wiped.load()["messages"]) == 6


@pytest.mark.parametrize(
    "arguments",
    [
        ["repair"],
        ["repair", "--all", "0123"],
        ["repair", "--all", "--json"],
        ["repair", "--all", "--field", "title=backup"],
        ["repair", "0123", "4567", "--include", "1"],
        ["repair", "0123", "--field", "title"],
        ["repair", "0123", "--field", "=backup"],
        ["repair", "0123", "--include", "x"],
        ["repair", "0123", "--include", "0"],
        ["repair", "0123", "--exclude", "3-"],
        ["report", "--format", "doc"],
        ["nonsense"],
        ["audit", "--nonsense"],
        ["show"],
        *(["audit", option, ""] for option in ("--home", "--session-dir", "--state-db", "--also", "--metrics")),
        ["repair", "--all", "--yes", "--home", ""],
        ["report", "-o", ""],
        ["export", "--all", "-o", ""],
        ["import", "", "--yes"],
        *(["watch", "--interval", seconds] for seconds in ("0", "soon", "nan")),
        ["demo", ""],
    ],
)
def test_wrong_usage_is_status_2_and_one_line(rescue: Rescue, arguments: list[str]) -> None:
    status, out, err = rescue(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("hermes-rescue: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["audit", "--home", "/nowhere"],
        ["show", "0123456789ab", "--home", "HOME"],
        ["show", "../evil", "--home", "HOME"],
        ["repair", "0123456789ab", "--yes", "--home", "HOME"],
        ["diff", "SID", "--from", "moon", "--home", "HOME"],
        ["undo", "20260503T141200Z-3f2a9c", "--yes", "--home", "HOME"],
        ["report", "../../etc", "--home", "HOME"],
        ["report", "-o", "/nowhere/x.md", "--home", "HOME"],
        ["audit", "--session-dir", "HOME", "--state-db", "/nowhere.db"],
    ],
)
def test_what_cannot_be_done_is_status_3_and_one_line(wiped: Any, rescue: Rescue, arguments: list[str]) -> None:
    words = {"HOME": str(wiped.home), "SID": wiped.live.stem}
    status, out, err = rescue(*(words.get(word, word) for word in arguments))
    assert (status, out) == (3, "")
    assert err.startswith("hermes-rescue: ")
    assert err.count("\n") == 1


def test_an_undo_does_not_pass_over_a_run_that_cannot_be_read(wiped: Any, rescue: Rescue) -> None:
    """The one before it would be the wrong one."""
    home = ("--home", wiped.home)
    assert rescue("repair", "--all", "--yes", *home)[0] == 0
    repaired = wiped.live.read_bytes()
    newer = wiped.home / "webui" / "rescue" / "runs" / "99990101T000000Z-000000"
    newer.mkdir()
    status, out, err = rescue("undo", "--yes", *home)
    assert (status, out) == (3, "")
    assert newer.name in err
    assert wiped.live.read_bytes() == repaired


def test_a_report_never_overwrites_a_file(wiped: Any, rescue: Rescue, tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    assert rescue("report", "--format", "json", "-o", target, "--home", wiped.home)[0] == 0
    written = target.read_bytes()
    assert json.loads(written)["summary"]["repairable"] == 1
    assert rescue("report", "-o", target, "--home", wiped.home)[0] == 3
    assert target.read_bytes() == written


def test_reports_hold_no_message_text(wiped: Any, rescue: Rescue) -> None:
    home = ("--home", wiped.home)
    rescue("repair", "--all", "--yes", *home)
    run = json.loads(rescue("history", "--json", *home)[1])["runs"][0]["run"]
    outputs = [
        rescue("report", *which, "--format", form, *home)[1] for which in ((), (run,)) for form in ("json", "md")
    ]
    outputs += [rescue("audit", "--json", *home)[1], rescue("show", wiped.live.stem, "--json", *home)[1]]
    assert all(out for out in outputs)
    assert not [out for out in outputs if "answer a" in out or "ask b" in out]


def test_nothing_of_a_session_steers_the_terminal(hermes: Any, rescue: Rescue) -> None:
    said = [
        {"role": f"user{EVIL}", "content": f"[bold]{EVIL}\n[/] :smile: \r\n{EVIL}", "timestamp": 1.0},
        {"role": "assistant", "content": EVIL, "tool_calls": [{"function": {"name": EVIL}}], "timestamp": 1e300},
        {"role": "tool", "name": EVIL, "content": EVIL, "timestamp": -5},
    ]
    hermes.write_live([], title=f"T{EVIL}")
    hermes.write_backup(said, title=f"U{EVIL}", worktree_path=f"/x{EVIL}", workspace=EVIL)
    (hermes.sessions / f"{EVIL}.json".replace("/", "_")).write_text("{}")
    hermes.write_rows(hermes.turns("x"), sid=EVIL, title=EVIL)
    home = ("--home", hermes.home)
    commands = (
        ["audit"],
        ["audit", "--json"],
        ["show", hermes.live.stem],
        ["show", hermes.live.stem, "--json"],
        ["diff", hermes.live.stem, "--full"],
        ["diff", hermes.live.stem, "--json"],
        ["diff", hermes.live.stem, "--from", "backup", "--to", "index"],
        ["report"],
        ["repair", "--all", "--yes"],
        ["history"],
        ["show", EVIL],
        [EVIL],
    )
    for command in commands:
        _, out, err = rescue(*command, *home)
        steering = {c for c in out + err if not c.isprintable()} - {"\n"}
        assert not steering, (command, steering)


def test_without_an_answer_nothing_is_repaired(wiped: Any) -> None:
    before = wiped.live.read_bytes()
    command = [*COMMAND, "repair", "--all", "--home", str(wiped.home)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 3
    assert "--yes" in done.stderr
    assert wiped.live.read_bytes() == before
    done = subprocess.run(command, input="n\n", capture_output=True, text=True)
    assert (done.returncode, wiped.live.read_bytes()) == (3, before)
    done = subprocess.run(command, input="y\n", capture_output=True, text=True)
    assert done.returncode == 0
    assert len(wiped.load()["messages"]) == 4


def on_a_terminal(*arguments: object, **environ: str) -> str:
    """What a command prints on a terminal, without the progress of what takes long."""
    try:
        parent, child = pty.openpty()
    except OSError:
        pytest.skip("this machine has no pseudo-terminals")
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", **environ}
    command = [*COMMAND, *map(str, arguments)]
    process = subprocess.Popen(command, stdin=child, stdout=child, stderr=subprocess.DEVNULL, env=env)
    os.close(child)
    printed = b""
    try:
        while chunk := os.read(parent, 65536):
            printed += chunk
    except OSError:  # the other side is closed
        pass
    os.close(parent)
    assert process.wait() in (0, 1)
    return printed.decode()


def test_colours_only_on_a_terminal_that_wants_them(wiped: Any, rescue: Rescue) -> None:
    assert "\x1b[" in on_a_terminal("audit", "--home", wiped.home)
    assert "\x1b[3" not in on_a_terminal("audit", "--home", wiped.home, NO_COLOR="1")
    assert "\x1b" not in rescue("audit", "--home", wiped.home)[1]


def test_a_reader_that_goes_away_ends_the_command_quietly(wiped: Any) -> None:
    command = [*COMMAND, "audit", "--home", str(wiped.home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""


def test_help_needs_neither_a_store_nor_heavy_imports(tmp_path: Path) -> None:
    code = (
        "import sys; from hermes_rescue.core.terminal.commands import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\n"
        "heavy = {'PySide6', 'jinja2', 'rapidfuzz', 'sqlite3', 'msgspec', 'orjson'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "repair" in done.stdout


def test_an_audit_does_not_wait_for_imports_of_other_commands(wiped: Any, tmp_path: Path) -> None:
    code = (
        "import sys; from hermes_rescue.core.terminal.commands import main\n"
        "try: main()\nexcept SystemExit as end: assert end.code == 1\n"
        "needless = {'hermes_rescue.core.report.report', 'filelock', 'rich.progress', 'jinja2'} & set(sys.modules)\n"
        "assert not needless, needless"
    )
    command = [sys.executable, "-c", code, "audit", "--home", str(wiped.home)]
    nothing_left = {**os.environ, "TMPDIR": str(tmp_path)}  # of dead processes, which would be swept
    done = subprocess.run(command, env=nothing_left, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_help_has_words_that_people_type_and_breaks_none_off(documents: ModuleType, rescue: Rescue) -> None:
    """No word of a programmer (<str>, list[Path], TEXT), and no sentence that ends in the middle."""
    for command in documents.commands():
        status, out, _ = rescue(*command.name.split(), "--help")
        assert (command.name, status) == (command.name, 0)
        assert re.findall(r"<\w+|\blist\[|\b(?:TEXT|INTEGER|FLOAT)\b|\{|<=|[a-z]\.\.\.$", out, re.MULTILINE) == []


def test_an_error_of_the_program_is_one_line(wiped: Any, rescue: Rescue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hermes_rescue.core.audit.store_audit.audit", lambda *_, **__: 1 / 0)
    status, _, err = rescue("audit", "--home", wiped.home)
    assert status == 3
    assert "ZeroDivisionError" in err
    assert err.count("\n") == 1
