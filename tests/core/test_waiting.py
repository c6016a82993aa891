"""``repair --when-stopped``: what a running WebUI forbids is repaired when it has stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO, Any

import pytest
from hermes_rescue.core.terminal import commands, repairs
from hermes_rescue.core.terminal import waiting as waiting_room

from tests.core.test_repair import running_webui

SECOND = "9c0000000000"
PATIENCE = 60.0


@pytest.fixture
def two(hermes: Any) -> Any:
    """One session that can be repaired beside a WebUI, and one with a wrong count, which cannot."""
    hermes.write_live([])
    hermes.write_backup(hermes.turns("a", "b"))
    wrong = hermes.session(hermes.turns("c"), session_id=SECOND)
    hermes.write(hermes.sessions / f"{SECOND}.json", {**wrong, "message_count": 9})
    return hermes


@contextmanager
def waiting(hermes: Any) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """The command, when it has come to its wait, and its output."""
    code = "from hermes_rescue.core.terminal.commands import main; main()"
    command = [sys.executable, "-u", "-c", code, "repair", "--all", "--yes", "--when-stopped", "--home", hermes.home]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith("Waiting"):
                    break
            yield process, process.stdout
        finally:
            process.kill()


def count_of(hermes: Any) -> int:
    return json.loads((hermes.sessions / f"{SECOND}.json").read_bytes())["message_count"]


def test_the_rest_is_repaired_when_it_stops(two: Any) -> None:
    with ExitStack() as until:
        with running_webui(two.home, 0):
            process, out = until.enter_context(waiting(two))
            assert len(two.load()["messages"]) == 4  # what can be done beside it is done
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(2)
            assert count_of(two) == 9
        assert process.wait(PATIENCE) == 0
        assert "repaired and verified" in out.read()
    assert count_of(two) == 2


def test_a_wait_can_be_stopped(two: Any) -> None:
    with running_webui(two.home, 0), waiting(two) as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 128 + signal.SIGTERM
        assert process.stderr is not None
        said = process.stderr.read()
        assert "Traceback" not in said
        assert "--when-stopped" in said  # how to go on
    assert len(two.load()["messages"]) == 4
    assert count_of(two) == 9


def stop(*_: object) -> int:
    signal.raise_signal(signal.SIGTERM)
    return 0


def test_a_stop_before_the_wait_does_not_deny_what_was_repaired(
    two: Any, rescue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_room, "repair_the_rest", lambda *_, **__: stop())
    with running_webui(two.home, 0):
        status, _, err = rescue("repair", "--all", "--yes", "--when-stopped", "--home", two.home)
    assert status == 128 + signal.SIGTERM
    assert len(two.load()["messages"]) == 4
    assert "No session was changed" not in err
    assert "--when-stopped" in err  # how to go on


def test_a_stop_at_the_end_of_the_first_repair_is_no_wait(
    two: Any, rescue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repairs, "_announce_unread", stop)
    monkeypatch.setattr(waiting_room, "_wait", lambda *_: pytest.fail("it waits, and no signal would end that"))
    with running_webui(two.home, 0):
        status, _, err = rescue("repair", "--all", "--yes", "--when-stopped", "--home", two.home)
    assert status == 128 + signal.SIGTERM
    assert "--when-stopped" in err


@pytest.mark.parametrize("words", [["repair", "--all", "--yes"], ["undo", "--yes"]], ids=" ".join)
def test_a_stop_after_the_work_does_not_deny_it(
    two: Any, rescue: Any, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    if words[0] == "undo":
        two.repair()
    before = two.live.read_bytes()
    monkeypatch.setattr(commands, "_end", stop)
    status, _, err = rescue(*words, "--home", two.home)
    assert status == 128 + signal.SIGTERM
    assert two.live.read_bytes() != before
    assert "No session was changed" not in err


def test_a_stop_of_what_only_reads_says_so(two: Any, rescue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_end", stop)
    status, _, err = rescue("audit", "--home", two.home)
    assert status == 128 + signal.SIGTERM
    assert "No session was changed" in err


def test_nobody_waits_for_a_webui_that_does_not_run(two: Any, rescue: Any) -> None:
    assert rescue("repair", "--all", "--yes", "--when-stopped", "--home", two.home)[0] == 0
    assert count_of(two) == 2


@pytest.mark.parametrize("other", ["--json", "--dry-run"])
def test_it_tells_as_it_goes(two: Any, rescue: Any, other: str) -> None:
    before = two.live.read_bytes()
    status, out, _ = rescue("repair", "--all", "--yes", "--when-stopped", other, "--home", two.home)
    assert (status, out) == (2, "")
    assert two.live.read_bytes() == before
