"""Random bytes and random documents, mutated: the parsers never raise what they do not promise, and what they keep is
what was there. A few seconds each; HERMES_RESCUE_LONG=1 makes it a long run with new examples each time."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hermes_rescue.core.base import jsontext
from hermes_rescue.core.base.jsontext import MESSAGES_HERE, NotJSONError
from hermes_rescue.core.hermes import journals, sidecar
from hermes_rescue.core.hermes.database.statedb_rows import message_row
from hermes_rescue.core.hermes.message import message
from hermes_rescue.core.hermes.runs.run_journal import RunJournal
from hermes_rescue.core.hermes.runs.turn_journal import read_turn_journal
from hermes_rescue.core.hermes.workspace_tag import strip_workspace_tag
from hermes_rescue.core.merge.likeness import Look, likeness
from hermes_rescue.core.repair import run_record
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ..conftest import LONG

fuzzed = settings(
    derandomize=not LONG,
    max_examples=20_000 if LONG else 60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

texts = st.text(st.characters(codec=None), max_size=8) | st.sampled_from(
    ("role", "content", "messages", "\ud83d", "\0json:[", "ok")
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)
MESSAGE = ("role", "content", "timestamp", "tool_calls", "tool_call_id", "tool_name", "reasoning", "attachments", "id")
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(("user", "assistant", "tool")) | values}, optional=dict.fromkeys(MESSAGE[1:], values)
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "session_id": texts,
        "title": values,
        "workspace": texts,
        "messages": st.lists(messages | values, max_size=5) | values,
        "odd": values,
    },
)


def mutated(sound: bytes, cuts: Sequence[tuple[int, int, bytes]]) -> bytes:
    """The bytes with some pieces of them overwritten, cut out or put in."""
    for at, length, data in cuts:
        at %= len(sound) + 1
        sound = sound[:at] + data + sound[at + length :]
    return sound


cuts = st.lists(
    st.tuples(
        st.integers(0, 5000),
        st.integers(0, 40),
        st.binary(max_size=6) | st.sampled_from((b"{", b'"', b"\\", b"]}", b"\0" * 9, b'"messages": [')),
    ),
    max_size=4,
)
damaged = st.builds(
    lambda value, cuts: mutated(json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "surrogatepass"), cuts),
    documents | values,
    cuts,
)
anything = damaged | st.binary(max_size=200) | st.builds(lambda text: text.encode("utf-16"), st.text(max_size=40))


@fuzzed
@given(anything)
def test_parsing_never_raises_and_invents_nothing(data: bytes) -> None:
    document = jsontext.parse_object(data)
    for key, piece in document.fields.items():
        assert isinstance(key, str)
        if piece is not MESSAGES_HERE:
            jsontext.loads(piece.raw)
    for piece in document.elements or ():
        jsontext.loads(piece.raw)
        message(piece)
    if document.damage is None:
        whole = json.loads(data)
        assert isinstance(whole, dict) and len(whole["messages"]) == len(document.elements or ())


@fuzzed
@given(documents, st.integers(0, 10_000))
def test_a_torn_document_gives_the_beginning_of_the_whole_one(value: dict[str, Any], at: int) -> None:
    data = json.dumps(value, indent=2).encode()
    whole, torn = jsontext.parse_object(data), jsontext.parse_object(data[: at % (len(data) + 1)])
    kept, there = [piece.raw for piece in torn.elements or ()], [piece.raw for piece in whole.elements or ()]
    assert kept[:-1] == there[: max(len(kept) - 1, 0)]  # the last can be a number that goes on
    assert torn.fields.keys() <= whole.fields.keys()


@fuzzed
@given(documents)
def test_what_was_read_and_written_reads_the_same(value: dict[str, Any]) -> None:
    parsed = sidecar.parse(json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    if parsed.damage is not None:
        return
    again = sidecar.parse(sidecar.serialise(parsed))
    assert [piece.raw for piece in again.messages] == [piece.raw for piece in parsed.messages]
    assert {k: p.raw for k, p in again.head.items() if p is not MESSAGES_HERE} == {
        k: p.raw for k, p in parsed.head.items() if p is not MESSAGES_HERE
    }
    assert sidecar.serialise(again) == sidecar.serialise(parsed)


@fuzzed
@given(values)
def test_a_value_survives_writing(value: Any) -> None:
    assert repr(jsontext.loads_exactly(jsontext.dumps(value, 2))) == repr(json.loads(json.dumps(value)))


def on_disk(data: bytes, read: Callable[[Path, Path], object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        read(Path(folder), path)


SUBMITTED = {"event": "submitted", "turn_id": "t", "role": "user", "content": "x", "created_at": 1.0}
DONE = {"event": "done", "created_at": 2.0, "payload": {"session": {"messages": [{"role": "user", "content": "x"}]}}}
events = st.lists(
    st.builds(
        lambda base, odd: json.dumps({**base, **odd}),
        st.sampled_from((SUBMITTED, DONE)),
        st.dictionaries(
            st.sampled_from((*SUBMITTED, "payload", "terminal", "attachments", "workspace", "session_id")),
            values,
            max_size=3,
        ),
    ),
    max_size=4,
)
journal_bytes = (
    st.builds(lambda lines, cuts: mutated("\n".join(lines).encode("utf-8", "surrogatepass"), cuts), events, cuts)
    | anything
)


@fuzzed
@given(journal_bytes)
def test_journals(data: bytes) -> None:
    def read(_: Path, path: Path) -> None:
        for turn in read_turn_journal("sid", [path]).turns:
            assert isinstance(turn.text, str)
        runs = RunJournal("sid", [path])
        for done in runs.dones:
            for piece in done.messages:
                message(piece)
        for run in runs.unended:
            assert isinstance(runs.events(run), tuple)

    on_disk(data, read)


@fuzzed
@given(
    st.builds(
        lambda rows, cuts: mutated(json.dumps(rows).encode(), cuts), st.lists(documents | values, max_size=4), cuts
    )
    | anything
)
def test_the_index_and_the_lists_of_ids(data: bytes) -> None:
    def read(folder: Path, path: Path) -> None:
        path.rename(folder / journals.INDEX_NAME)
        assert all(row.value["session_id"] == sid for sid, row in journals.read_index(folder).rows.items())
        (folder / "ids").write_bytes(data)
        assert all(isinstance(each, str) for each in journals.read_id_list(folder / "ids").ids)
        (folder / journals.PROJECTS_NAME).write_bytes(data)
        journals.projects_problem(folder)

    on_disk(data, read)


RUN = "20260503T141200Z-3f2a9c"
OPERATION = {
    "number": 1,
    "session_id": "x",
    "action": "create",
    "path": "x.json",
    "before": None,
    "after": "0" * 64,
    "kept": None,
    "state": "done",
    "note": "",
    "info": {},
}
MANIFEST = {
    "version": 1,
    "run_id": RUN,
    "created_at": 1.0,
    "finished_at": None,
    "stores": [],
    "status": "finished",
    "turns": [],
    "operations": [OPERATION],
}
odd_operations = st.builds(
    lambda odd: {**OPERATION, **odd},
    st.dictionaries(
        st.sampled_from(tuple(OPERATION)), values | st.sampled_from(("../x", "0001", "a" * 64)), max_size=3
    ),
)
odd_manifests = st.builds(
    lambda odd, operations: {**MANIFEST, "operations": operations, **odd},
    st.dictionaries(st.sampled_from(tuple(MANIFEST)), values, max_size=2),
    st.lists(odd_operations, max_size=3),
)
odd_lines = st.lists(
    st.builds(lambda o: {"operation": o}, odd_operations)
    | st.dictionaries(st.sampled_from(("number", "state", "note", "turn")), values | st.just("done"), max_size=3),
    max_size=3,
)


@fuzzed
@given(
    st.builds(lambda value, cuts: mutated(json.dumps(value).encode(), cuts), odd_manifests, cuts) | anything,
    odd_lines,
    cuts,
)
def test_a_run_is_read_or_refused(data: bytes, lines: list[Any], journal_cuts: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / RUN
        (folder / "files").mkdir(parents=True)
        (folder / "manifest.json").write_bytes(data)
        (folder / "journal.jsonl").write_bytes(
            mutated("".join(json.dumps(line) + "\n" for line in lines).encode(), journal_cuts)
        )
        run = run_record.read(folder, locked=False)
        assert (run.status == "unreadable") == bool(run.problem)
        assert run.problem.isprintable()
        for operation in run.operations:
            assert run_record.is_operable(operation.session_id, operation.path)
            assert "/" not in operation.path and "\0" not in operation.path
            assert operation.kept is None or operation.kept.isdecimal()


columns = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | texts
    | st.binary(max_size=20)
    | st.builds(lambda v: "\0json:" + json.dumps(v), values)
    | st.builds(json.dumps, values)
)


@fuzzed
@given(
    st.dictionaries(
        st.sampled_from((*MESSAGE, "finish_reason", "reasoning_details", "active", "compacted", "display_kind")),
        columns,
    )
)
def test_rows(row: dict[str, Any]) -> None:
    found = message_row(7, row)
    assert found.status in ("active", "compacted", "rewound")
    piece = sidecar.message_piece(found.message)
    jsontext.loads(piece.raw)
    message(piece)


@fuzzed
@given(messages, messages)
def test_two_messages(one: dict[str, Any], other: dict[str, Any]) -> None:
    a, b = (Look(message(sidecar.message_piece(each))) for each in (one, other))
    assert likeness(a, b) == likeness(b, a)
    assert likeness(a, a) == 4


@fuzzed
@given(st.text(max_size=60) | st.builds("[Workspace::v1: {}".format, st.text(max_size=20)))
def test_tags(text: str) -> None:
    rest, workspace = strip_workspace_tag(text)
    assert text.endswith(rest)
    assert (rest == text) == (workspace is None)


@fuzzed
@given(anything)
def test_texts_that_are_no_json(data: bytes) -> None:
    for load in (jsontext.loads, jsontext.loads_exactly):
        with suppress(NotJSONError):
            load(data)
