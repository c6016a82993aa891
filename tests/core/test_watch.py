"""``watch``: one line of JSON for each change of a store, and nothing of it is touched."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core.terminal import watch as watching

from tests.core.conftest import SID
from tests.core.test_json import LINES, SCHEMA, problems

PATIENCE = 60.0
QUICK = 0.1  # seconds between two looks


class Watch:
    """The command on a store, and what it prints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def next(self) -> dict[str, Any]:
        """The next line; each is as its schema says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        told = json.loads(line)
        assert isinstance(told, dict)
        assert [*problems(told, SCHEMA["$defs"][f"watch_{told['event']}"])] == [], line
        return told

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """The exit status, and what is on stderr, after a signal."""
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, err


@contextmanager
def watch(home: Path, interval: float = QUICK) -> Iterator[Watch]:
    words = [sys.executable, "-m", "hermes_rescue.core", "watch", "--interval", str(interval), "--home", str(home)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Watch(process)
        finally:
            process.kill()


def kinds(told: dict[str, Any]) -> list[str]:
    return [each["kind"] for each in told["findings"]]


def test_a_session_that_loses_messages_is_told_once_and_so_is_its_repair(hermes: Any) -> None:
    whole = hermes.turns("a", "b")
    hermes.write_live(whole)
    hermes.write_backup(whole)
    with watch(hermes.home) as watched:
        start = watched.next()
        assert (start["event"], start["sessions"]) == ("start", [])
        hermes.write_live([])
        lost = watched.next()
        hermes.repair()
        found = watched.next()
    assert (lost["event"], lost["session_id"], lost["before"]) == ("session", SID, "healthy")
    assert (lost["standing"], lost["live"], lost["after"]) == ("repairable", 0, 4)
    assert kinds(lost) == lost["appeared"] != []
    assert (found["before"], found["standing"], found["resolved"]) == ("repairable", "healthy", kinds(lost))


def test_a_session_that_comes_or_goes_is_told(hermes: Any) -> None:
    hermes.write_live(hermes.turns("a"))
    other = "9c0000000000"
    with watch(hermes.home) as watched:
        watched.next()
        path = hermes.sessions / f"{other}.json"
        hermes.write(path, hermes.session(hermes.turns("b"), session_id=other))
        came = watched.next()
        path.unlink()
        went = watched.next()
    assert (came["event"], came["session_id"], came["before"]) == ("session", other, None)
    assert (went["event"], went["session_id"], went["before"]) == ("gone", other, came["standing"])


def test_what_is_wrong_at_the_start_is_in_the_first_line(hermes: Any) -> None:
    hermes.write_live([])
    hermes.write_backup(hermes.turns("a"))
    with watch(hermes.home) as watched:
        start = watched.next()
    (session,) = start["sessions"]
    assert (session["session_id"], session["standing"]) == (SID, "repairable")
    assert start["standings"]["repairable"] == 1


def test_a_damaged_session_list_is_told_as_a_finding_of_the_store(hermes: Any) -> None:
    hermes.write_live(hermes.turns("a"))
    hermes.write_index({"session_id": SID, "title": "Notes", "message_count": 2})
    with watch(hermes.home) as watched:
        watched.next()
        (hermes.sessions / "_index.json").write_text("[{")
        told = watched.next()
    assert told["event"] == "store"
    assert kinds(told) == ["malformed_index"]


def test_a_store_that_is_away_is_told_and_watched_on(hermes: Any) -> None:
    hermes.write_live(hermes.turns("a"))
    away = hermes.home.with_name("away")
    with watch(hermes.home) as watched:
        watched.next()
        hermes.home.rename(away)
        gone = watched.next()
        away.rename(hermes.home)
        back = watched.next()
        hermes.write_backup(hermes.turns("a", "b"))
        changed = watched.next()
    assert gone["event"] == "problem" and str(hermes.home) in gone["problem"]
    assert (back["event"], back["problem"]) == ("problem", None)
    assert (changed["event"], changed["session_id"]) == ("session", SID)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_at_a_signal_and_has_touched_nothing(
    hermes: Any, snapshot: Callable[[Path], object], number: signal.Signals
) -> None:
    hermes.write_live([])
    hermes.write_backup(hermes.turns("a"))
    hermes.write_rows(hermes.turns("a"))
    with watch(hermes.home) as watched:
        watched.next()
        hermes.write_live(hermes.turns("a"))  # and so it audits twice
        watched.next()
        before = snapshot(hermes.home)
        status, err = watched.end(number)
        assert snapshot(hermes.home) == before
    assert status == 128 + number
    assert "Traceback" not in err
    assert not (hermes.home / "webui" / "rescue").exists()


def test_it_ends_where_nobody_reads_any_more(hermes: Any) -> None:
    hermes.write_live(hermes.turns("a"))
    with watch(hermes.home) as watched:
        watched.next()
        assert watched.process.stdout is not None
        watched.process.stdout.close()
        hermes.write_backup(hermes.turns("a", "b"))
        assert watched.process.wait(PATIENCE) == 0


def test_without_a_store_it_ends_at_once(tmp_path: Path, rescue: Callable[..., tuple[int, str, str]]) -> None:
    status, out, err = rescue("watch", "--home", tmp_path)
    assert (status, out) == (3, "")
    assert "No Hermes data" in err


class Clock:
    """Looks without waiting; what each pause is to do before the next look."""

    def __init__(self, *between: Callable[[], object]) -> None:
        self.between = list(between)
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if not self.between:
            raise KeyboardInterrupt
        self.between.pop(0)()


def told_by(hermes: Any, rescue: Any, patch: pytest.MonkeyPatch, *between: Callable[[], object]) -> list[Any]:
    clock = Clock(*between)
    patch.setattr(time, "sleep", clock.sleep)
    _, out, _ = rescue("watch", "--home", hermes.home)
    return [json.loads(line) for line in out.splitlines()]


def test_files_that_are_still_changing_are_left_alone_for_a_while(
    hermes: Any, rescue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hermes.write_live(hermes.turns("a"))
    more = [hermes.turns("a", *map(str, range(k))) for k in range(1, 8)]
    told = told_by(hermes, rescue, monkeypatch, *(partial(hermes.write_backup, each) for each in more), lambda: None)
    assert [each["event"] for each in told] == ["start", "session"]
    assert told[1]["after"] == len(more[-1])


def test_a_store_that_never_settles_is_audited_all_the_same(
    hermes: Any, rescue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hermes.write_live(hermes.turns("a"))
    more = [hermes.turns("a", *map(str, range(k))) for k in range(watching.MOST_LOOKS)]
    told = told_by(hermes, rescue, monkeypatch, *(partial(hermes.write_backup, each) for each in more))
    assert [each["event"] for each in told] == ["start", "session"]


def test_what_leaves_no_trace_in_the_files_is_told_in_the_end(
    hermes: Any, rescue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = hermes.home / "tree"
    folder.mkdir()
    hermes.write_live(hermes.turns("a"), worktree_path=str(folder))
    still = [lambda: None] * watching.MOST_LOOKS
    told = told_by(hermes, rescue, monkeypatch, folder.rmdir, *still)
    assert [each["event"] for each in told] == ["start", "session"]
    assert told[1]["appeared"] == ["worktree_gone"]


def test_it_rests_much_longer_than_it_works(hermes: Any, rescue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hermes.write_live(hermes.turns("a"))
    monkeypatch.setattr(watching, "IDLE", 1e9)  # times the seconds of a look
    clock = Clock(lambda: None)
    monkeypatch.setattr(time, "sleep", clock.sleep)
    rescue("watch", "--interval", "1", "--home", hermes.home)
    assert len(clock.pauses) == 2 and clock.pauses[-1] > 1000


def test_every_line_has_a_schema() -> None:
    assert {name for name in LINES if name.startswith("watch_")} == {
        f"watch_{event}" for event in ("start", "session", "gone", "store", "problem")
    }
