"""The journals of a session: what of them is read, in what order, and what becomes of damage."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hermes_rescue.core.base import files, jsontext
from hermes_rescue.core.base.json_lines import LineFile, fields_of, objects
from hermes_rescue.core.base.jsontext import LARGE
from hermes_rescue.core.hermes.journals import JournalFiles, run_journals, turn_journals
from hermes_rescue.core.hermes.runs.run_journal import ENDS, RunJournal
from hermes_rescue.core.hermes.runs.turn_journal import read_turn_journal
from hypothesis import example, given
from hypothesis import strategies as st

SID = "3f2a9c51b7d0"
Value = dict[str, Any]


def event(name: str, at: float, payload: Value | None = None, **fields: Any) -> Value:
    """An event as the WebUI writes it."""
    usual = {"version": 1, "session_id": SID, "event": name, "type": name, "created_at": at, "terminal": name in ENDS}
    return {**usual, **fields, "payload": payload or {}}


def whole(name: str, at: float, *texts: str, **fields: Any) -> Value:
    """An event that holds a session with these messages."""
    messages = [{"role": "user", "content": text, "timestamp": at} for text in texts]
    return event(name, at, {"session": {"session_id": SID, "title": "Notes", **fields, "messages": messages}})


def write(path: Path, *events: Value, end: str = "\n") -> Path:
    lines = [json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in events]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(("\n".join(lines) + end).encode("utf-8", "surrogatepass"))
    return path


def said(journal: RunJournal) -> list[list[Any]]:
    return [[piece.value["content"] for piece in done.messages] for done in journal.dones]


@pytest.fixture
def amount(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The bytes that are read of each file, by name."""
    read: dict[str, int] = {}
    opened = files.open_regular

    class Counted(io.BufferedReader):
        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            read[str(self.name)] = read.get(str(self.name), 0) + len(data)
            return data

    @contextmanager
    def counting(path: Path) -> Iterator[tuple[io.BufferedReader, os.stat_result]]:
        with opened(path) as (_, status), Counted(io.FileIO(path)) as handle:
            yield handle, status

    monkeypatch.setattr(files, "open_regular", counting)
    return read


class Chunks:
    """Any lines, as long as the blocks in which a file is read or a little off."""

    sizes = st.sampled_from((0, 1, 2, 30, 4093, 4094, 4095, 4096, 4097, 8191, 8192, 12288, 30_000)) | st.integers(0, 99)


@given(st.lists(Chunks.sizes, max_size=12), st.booleans())
def test_a_file_says_the_same_from_both_ends(sizes: Sequence[int], ends: bool) -> None:
    values = [{"k": k, "text": "x" * size} for k, size in enumerate(sizes)]
    data = b"\n".join(json.dumps(value).encode() for value in values) + b"\n" * ends

    def read(lines: Iterator[Any]) -> list[Any]:
        return [{key: piece.value for key, piece in found.items()} for found in lines]

    assert read(LineFile(io.BytesIO(data), len(data)).forwards()) == values
    assert read(LineFile(io.BytesIO(data), len(data)).backwards(fields_of)) == values[::-1]


@pytest.mark.parametrize("ages", [(1, 2, 3), (3, 2, 1), (5, 5, 5)])
def test_the_newest_comes_first_whatever_the_file_system_says(tmp_path: Path, ages: tuple[int, ...]) -> None:
    names = ("b", "c", "a")
    for name, at, age in zip(names, (10.0, 20.0, 30.0), ages, strict=True):
        path = write(tmp_path / f"{name}.jsonl", event("token", at), whole("done", at + 5, f"of {name}"))
        os.utime(path, (age, age))
    journal = RunJournal(SID, sorted(tmp_path.iterdir()))
    assert said(journal) == [["of a"], ["of c"], ["of b"]]
    assert [run.started_at for run in journal.runs] == [30.0, 20.0, 10.0]
    assert [journal.end(run).at for run in journal.runs] == [35.0, 25.0, 15.0]
    assert journal.newest is not None
    assert (journal.newest.stream_id, journal.newest.created_at, journal.newest.event) == ("a", 35.0, "done")


@pytest.mark.parametrize("runs", [["token", "done", "stream_end"], ["token", "done"], ["done"]])
def test_of_the_others_only_the_beginning_is_read(tmp_path: Path, amount: dict[str, int], runs: list[str]) -> None:
    for k in range(9):
        events = [whole(name, 10.0 * k, "x" * LARGE) if name == "done" else event(name, 10.0 * k) for name in runs]
        write(tmp_path / f"{k}.jsonl", *events)
    journal = RunJournal(SID, sorted(tmp_path.iterdir()))
    assert journal.newest is not None
    assert journal.newest.stream_id == "8"
    assert journal.problems == ()
    newest = amount.pop(str(tmp_path / "8.jsonl"))
    assert newest < 3 * LARGE
    assert len(amount) == 8
    assert max(amount.values()) < LARGE / 50


def test_an_end_is_seen_without_the_session_before_it(tmp_path: Path, amount: dict[str, int]) -> None:
    write(tmp_path / "a.jsonl", event("token", 1.0), whole("done", 2.0, "x" * LARGE), event("stream_end", 3.0))
    assert RunJournal(SID, [tmp_path / "a.jsonl"]).has_ended("a") is True
    assert sum(amount.values()) < LARGE / 50


@pytest.mark.parametrize(
    "last",
    [
        b'{"event": "stream_end", "terminal": true, "created_at": 3.5}',
        b'{"event": "stream_end", "created_at": 3.5}\n\n',
        b'{"event": "metering", "terminal": true, "created_at": 3.5}\n\0\0\0',
        b'{"event": "stream_end", "created_at": "late", "terminal": 1}\n{"event": "metering", "created_at": 3.5}',
        b'{"event": "stream_end", "created_at": 3.5, "payload": "\xff"}\n',
        b'{"event": "stream_end", "created_at": 3.5}\n{"event": "metr',
    ],
)
def test_however_the_last_line_looks_the_end_is_seen(tmp_path: Path, last: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(json.dumps(event("token", 1.0)).encode() + b"\n" + last)
    journal = RunJournal(SID, [path])
    assert [journal.end(run) for run in journal.runs] == [(True, 3.5)]


def test_a_line_that_is_not_utf8_is_damaged_however_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"event": "token", "created_at": 1.0, "payload": {"text": "a\xed\xa0\x80b"}}\n')
    assert objects(path)[1] == 1
    journal = RunJournal(SID, [path])
    assert len(journal.unended) == 1 and len(journal.problems) == 1


def test_a_large_session_has_the_layout_of_a_sidecar(tmp_path: Path) -> None:
    texts = ["a\n\u2028b \u00fc \N{ROCKET}", *("x" * 9999 for _ in range(200))]
    path = write(tmp_path / "a.jsonl", whole("done", 1.0, *texts, tool_calls=[{"tid": "t"}]))
    done = RunJournal(SID, [path]).newest
    assert path.stat().st_size > LARGE
    assert done is not None
    assert [piece.value["content"] for piece in done.messages] == texts
    assert all(piece.raw == jsontext.dumps(piece.value, 2) for piece in done.messages)
    assert done.fields["tool_calls"].raw == jsontext.dumps([{"tid": "t"}], 1)


def test_only_what_a_sidecar_has_is_a_field(tmp_path: Path) -> None:
    passing = {"is_streaming": False, "has_pending_user_message": False, "last_message_at": 1.0, "cache_hit_percent": 3}
    path = write(tmp_path / "a.jsonl", whole("done", 1.0, "one", pinned=True, **passing))
    done = RunJournal(SID, [path]).newest
    assert done is not None
    assert {name: piece.value for name, piece in done.fields.items()} == {
        "session_id": SID,
        "title": "Notes",
        "pinned": True,
    }


@pytest.mark.parametrize("name", ["apperror", "cancel"])
def test_a_run_that_failed_can_hold_the_session_too(tmp_path: Path, name: str) -> None:
    write(tmp_path / "a.jsonl", event("token", 1.0), whole("done", 2.0, "one"), event("stream_end", 2.0))
    write(tmp_path / "b.jsonl", event("token", 3.0), whole(name, 4.0, "one", "two"))
    write(tmp_path / "c.jsonl", event("token", 5.0), event(name, 6.0, {"message": "no session"}))
    journal = RunJournal(SID, sorted(tmp_path.iterdir()))
    assert [(done.stream_id, done.event) for done in journal.dones] == [("b", name), ("a", "done")]


def test_a_session_that_got_its_id_in_a_run_is_in_the_folder_of_the_old_id(tmp_path: Path) -> None:
    ended_as_another = whole("done", 2.0, "one", session_id="20260101_120000_abcdef")
    path = write(tmp_path / "a.jsonl", whole("done", 1.0, "before"), ended_as_another)
    assert said(RunJournal(SID, [path])) == [["before"]]
    assert said(RunJournal("20260101_120000_abcdef", [path])) == [["one"]]


@pytest.mark.parametrize("name", ENDS)
def test_a_run_that_ended(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "a.jsonl", event("token", 1.0), event(name, 2.0), event("title", 3.0))
    journal = RunJournal(SID, [path])
    assert journal.unended == ()
    assert journal.end(journal.runs[0]) == (True, 3.0)


def test_a_run_that_was_killed(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", event("token", 1.0, {"text": "one"}), whole("done", 2.0, "one"))
    path = write(tmp_path / "b.jsonl", event("token", 3.0, {"text": "tw"}), event("token", 4.0, {"text": "o"}))
    write(tmp_path / "c.jsonl", end="")
    journal = RunJournal(SID, sorted(tmp_path.iterdir()))
    (killed,) = journal.unended
    assert (killed.stream_id, killed.path, killed.started_at) == ("b", path, 3.0)
    assert journal.end(killed) == (False, 4.0)
    assert [each["payload"]["text"] for each in journal.events(killed)] == ["tw", "o"]
    assert (journal.has_ended("a"), journal.has_ended("b"), journal.has_ended("no such")) == (True, False, None)
    assert journal.problems == ()


@pytest.mark.parametrize(
    "damage",
    [b'{"event": "token", "crea', b"\0" * 600, b"\xff\xfe\x80", b"[]", b'{"a": NaN,', b'{"event": "token"}\xc3\x28'],
)
def test_a_damaged_last_line(tmp_path: Path, damage: bytes) -> None:
    path = write(tmp_path / "a.jsonl", event("token", 1.0), whole("done", 2.0, "one"))
    path.write_bytes(path.read_bytes() + damage)
    journal = RunJournal(SID, [path])
    assert said(journal) == [["one"]]
    assert journal.problems == (f"{path} has 1 damaged line.",)


def test_a_line_that_was_appended_to_the_zero_bytes_of_a_power_failure_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", event("token", 1.0, {"text": "one"}))
    path.write_bytes(path.read_bytes() + b"\0" * 600 + path.read_bytes().replace(b"one", b"two"))
    journal = RunJournal(SID, [path])
    (run,) = journal.unended
    assert [each["payload"]["text"] for each in journal.events(run)] == ["one", "two"]
    assert journal.problems == (f"{path} has 1 damaged line.",)


def test_damage_in_a_killed_run_takes_only_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", event("token", 1.0, {"text": "one"}), event("token", 2.0, {"text": "two"}))
    path.write_bytes(b"{torn\n" + path.read_bytes().replace(b"\n", b'\n{"event": {\n', 1) + b'{"event":"token","payl')
    journal = RunJournal(SID, [path])
    (run,) = journal.unended
    assert [each["payload"]["text"] for each in journal.events(run)] == ["one", "two"]
    assert journal.problems == (f"{path} has 3 damaged lines.",)


def test_text_that_is_no_utf_8_is_read_and_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", whole("done", 1.0, "caf\u00e9"))
    path.write_bytes(path.read_bytes().replace("\u00e9".encode(), b"\xe9"))
    journal = RunJournal(SID, [path])
    assert said(journal) == [["caf\N{REPLACEMENT CHARACTER}"]]
    assert journal.problems == (f"{path} has 1 damaged line.",)


def test_what_only_python_reads_is_read(tmp_path: Path) -> None:
    value = whole("done", 1.0, "\ud83d half a letter", last_prompt_tokens=float("nan"))
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(value) + "\n")
    journal = RunJournal(SID, [path])
    assert said(journal) == [["\ud83d half a letter"]]
    assert journal.problems == ()


def test_what_is_no_file_is_a_fact(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    good = write(folder / "good.jsonl", event("token", 1.0), whole("done", 2.0, "one"))
    os.mkfifo(folder / "pipe.jsonl")
    (folder / "link.jsonl").symlink_to(good)
    (folder / "folder.jsonl").mkdir()
    paths = [*sorted(folder.iterdir()), folder / "gone.jsonl"]
    journal = RunJournal(SID, paths)
    assert said(journal) == [["one"]]
    assert journal.unended == ()
    problems = journal.problems
    assert len(problems) == 3
    assert all(any(f"{name}.jsonl" in text for text in problems) for name in ("pipe", "link", "folder"))
    assert all(journal.events(run) == () for run in journal.runs if run.stream_id != "good")


@pytest.mark.parametrize("list_them", [run_journals, turn_journals])
def test_a_folder_of_journals_that_is_a_link_is_not_followed_but_told(
    tmp_path: Path, list_them: Callable[[Path], JournalFiles]
) -> None:
    other = tmp_path / "elsewhere" / SID
    write(other / "run.jsonl", event("token", 1.0))
    sessions = tmp_path / "sessions"
    folder = sessions / ("_run_journal" if list_them is run_journals else "_turn_journal")
    sessions.mkdir()
    folder.symlink_to(other.parent, target_is_directory=True)
    found = list_them(sessions)
    assert (len(found.of), len(found.problems)) == (0, 1) and folder.name in found.problems[0]


def test_the_runs_of_a_session_that_are_a_link_are_not_followed_but_told(tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    write(other / "run.jsonl", event("token", 1.0))
    folder = tmp_path / "sessions" / "_run_journal"
    write(folder / "a1" / "run.jsonl", event("token", 1.0))
    (folder / SID).symlink_to(other, target_is_directory=True)
    found = run_journals(tmp_path / "sessions")
    assert [*found.of] == ["a1"] and [SID in problem for problem in found.problems] == [True]


@pytest.mark.parametrize(
    "payload", [None, [], "session", {"session": []}, {"session": {"messages": {}}}, {"session": {}}]
)
def test_an_end_without_a_session_is_none(tmp_path: Path, payload: Any) -> None:
    path = write(tmp_path / "a.jsonl", whole("done", 1.0, "one"), {**event("done", 2.0), "payload": payload})
    assert said(RunJournal(SID, [path])) == [["one"]]


def test_a_prompt_names_the_stream_of_its_answer(tmp_path: Path) -> None:
    def submitted(turn: str, stream: Any, at: float) -> Value:
        return {
            "event": "submitted",
            "role": "user",
            "turn_id": turn,
            "stream_id": stream,
            "content": turn,
            "created_at": at,
        }

    write(tmp_path / f"{SID}~8.jsonl", submitted("second", "s2", 2.0), {"event": "worker_started", "turn_id": "second"})
    write(tmp_path / f"{SID}~7.jsonl", submitted("first", "s1", 1.0), {"event": "completed", "turn_id": "first"})
    write(tmp_path / f"{SID}.jsonl", submitted("old", None, 0.5), end='\n{"event": "comp')
    journal = read_turn_journal(SID, sorted(tmp_path.iterdir()))
    assert [(turn.text, turn.stream_id, turn.ended) for turn in journal.turns] == [
        ("old", None, False),
        ("first", "s1", True),
        ("second", "s2", False),
    ]
    assert journal.problems == (f"{tmp_path / SID}.jsonl has 1 damaged line.",)


def read_back(folder: Path, shown: list[Value]) -> list[Value]:
    """What a run that showed these messages at its end says of them; its prompt, "go on", was sent at 300.25."""
    done = event("done", 303, {"session": {"session_id": SID, "messages": shown}})
    path = write(folder / "b.jsonl", event("token", 300.3), done)
    turn = {"event": "submitted", "turn_id": "t", "stream_id": "b", "role": "user", "content": "go on"}
    turns = write(folder / "turns", {**turn, "created_at": 300.25})
    newest = RunJournal(SID, [path], read_turn_journal(SID, [turns])).newest
    assert newest is not None
    return [piece.value for piece in newest.messages]


def test_the_prompt_of_a_run_stands_once_behind_the_turn_that_failed_before_it(tmp_path: Path) -> None:
    """The server shows it before that turn as well, stamped when it was sent; what was said earlier stays."""
    said_before = {"role": "user", "content": "go on", "timestamp": 100.0}
    sent = {"role": "user", "content": "go on", "timestamp": 300.25}
    failed = [
        {"role": "user", "content": "[Workspace::v1: /srv/notes]\nask", "timestamp": 301.5},
        {"role": "assistant", "content": "**Error:** it failed", "timestamp": 299},
    ]
    answered = [{**sent, "timestamp": 301.6}, {"role": "assistant", "content": "answer", "timestamp": 301.7}]
    shown = [said_before, sent, *failed, *answered]
    assert read_back(tmp_path, shown) == [said_before, *failed, *answered]


def test_what_the_agent_asks_within_a_turn_does_not_make_its_prompt_one_that_stands_twice(tmp_path: Path) -> None:
    """An answer was too long: the agent itself asked for the rest of it, in the name of the user."""
    shown = [
        {"role": "user", "content": "go on", "timestamp": 300.25},
        {"role": "assistant", "content": "the first half", "timestamp": 302.1},
        {"role": "user", "content": "[System: Your previous response was truncated.]", "timestamp": 302.2},
        {"role": "assistant", "content": "the second half", "timestamp": 302.3},
    ]
    assert read_back(tmp_path, shown) == shown


def test_a_prompt_that_stands_twice_with_an_answer_between_is_what_the_server_showed(tmp_path: Path) -> None:
    """After a compress an edit leaves calls of the old answer behind the prompt, which got the time of the new one."""
    sent = {"role": "user", "content": "go on", "timestamp": 300.25}
    left = {"role": "assistant", "content": "Let me look", "timestamp": 290.5}
    shown = [sent, left, sent, {"role": "assistant", "content": "answer", "timestamp": 301.7}]
    assert read_back(tmp_path, shown) == shown


PARTS = st.recursive(
    st.sampled_from(["", '"messages":[', ',"messages":[]', "a"]) | st.integers(0, 2),
    lambda inner: st.lists(inner, max_size=3) | st.fixed_dictionaries({"messages": st.lists(inner, max_size=2)}),
    max_leaves=6,
)
SAID = st.lists(st.fixed_dictionaries({"content": PARTS}), max_size=4)


@example([{"content": [1, 2]}], [{"content": [1]}], 0, "", False)
@example([{"content": 1}], [{"content": 2}], 0, {"messages": []}, True)
@given(SAID, SAID, st.integers(0, 4), PARTS, st.booleans())
def test_only_a_run_that_shows_nothing_more_is_passed_over(
    later: list[Value], others: list[Value], shared: int, field: Any, is_first: bool
) -> None:
    """Whatever the messages and the other fields of the session look like; what is passed over is not parsed."""
    earlier = later[:shared] + others
    fields = {"draft": field, "messages": earlier} if is_first else {"messages": earlier, "draft": field}
    with TemporaryDirectory() as folder:
        last = write(Path(folder, "b.jsonl"), event("done", 9, {"session": {"session_id": SID, "messages": later}}))
        first = write(Path(folder, "a.jsonl"), event("done", 5, {"session": {"session_id": SID, **fields}}))
        journal = RunJournal(SID, [first, last])
        found = [[piece.value for piece in done.messages] for done in journal.earlier]
        is_plain = first.read_bytes().count(b'"messages":[') == 1
    is_beginning = later[: len(earlier)] == earlier
    assert found == [earlier] or (is_beginning and found == [])
    assert not (is_beginning and is_plain and found)
