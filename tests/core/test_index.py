"""The session list is read row by row, and says what Python's json says of it, in whatever layout it was left."""

from __future__ import annotations

import errno
import gc
import json
import tracemalloc
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

import pytest
from hermes_rescue.core.hermes import journals
from hermes_rescue.core.hermes.journals import INDEX_NAME, read_index

ROWS: list[Any] = [
    {"session_id": "a", "title": "Größe", "gateway_routing": {"x": [{"y": {}}, {"z": 1}]}, "read_only": False},
    {"session_id": "b", "title": "},\n  {", "composer_draft": {}},
    {"session_id": "../b", "title": "unsafe"},
    {"title": "no id"},
    {"session_id": ["c"], "title": "another kind"},
    {"session_id": "c"},
    {"session_id": "a", "title": "once more", "created_at": 2**80},
    {"session_id": "d", "title": "\ud83d"},
]
ODD: list[Any] = [7, None, [{"session_id": "x"}], "row", True]


@pytest.fixture(autouse=True, params=[1, 100, 1 << 20])
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the pieces are in which it is read."""
    monkeypatch.setattr(journals, "_CHUNK_BYTES", request.param)


def expected(rows: list[Any]) -> dict[str, Any]:
    found = {}
    for row in rows:
        if isinstance(row, dict) and row.get("session_id") in ("a", "b", "c", "d"):
            found[row["session_id"]] = row
    return found


@pytest.mark.parametrize("indent", [2, None, 0, 1, 4])
@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("rows", [ROWS, ROWS + ODD, ROWS[:1], ODD, []])
def test_every_row_is_found_in_every_layout(
    tmp_path: Path, indent: int | None, ascii_only: bool, rows: list[Any]
) -> None:
    text = json.dumps(rows, indent=indent, ensure_ascii=ascii_only)
    (tmp_path / INDEX_NAME).write_bytes(text.encode("utf-8", "replace"))
    index = read_index(tmp_path)
    assert index.problem is None
    assert list(index.rows) == list(expected(rows))
    wanted = expected(json.loads(text.encode("utf-8", "replace")))
    if "a" in wanted and len(rows) > 1:
        wanted["a"]["created_at"] = float(2**80)  # as everywhere in a store: see jsontext.loads
    assert {name: index.row(name) for name in index.rows} == wanted


def test_what_only_pythons_json_reads_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / INDEX_NAME).write_text(
        '[\n  {\n    "session_id": "a",\n    "cost": NaN\n  },\n  {\n    "session_id": "b"\n  }\n]'
    )
    index = read_index(tmp_path)
    assert index.problem is None
    assert list(index.rows) == ["a", "b"]


@pytest.mark.parametrize("indent", [2, None])
def test_torn_anywhere_the_rows_before_are_known(tmp_path: Path, indent: int | None) -> None:
    rows = [{"session_id": name, "title": f"Title {name}"} for name in "abcd"]
    data = json.dumps(rows, indent=indent).encode()
    for length in range(1, len(data)):
        (tmp_path / INDEX_NAME).write_bytes(data[:length])
        index = read_index(tmp_path)
        assert index.problem == "_index.json is damaged"
        whole = data[:length].count(b"}")
        assert [index.row(row["session_id"]) for row in rows[:whole]] == rows[:whole]


def test_bytes_that_are_no_text_are_damage_wherever_they_stand(tmp_path: Path) -> None:
    rows = [{"session_id": name, "title": "TITLE"} for name in "abcd"]
    data = json.dumps(rows, indent=2).encode()
    for k in range(4):
        parts = data.split(b"TITLE")
        broken = b"TITLE".join(parts[: k + 1]) + b"\xff\xfe" + b"TITLE".join(parts[k + 1 :])
        (tmp_path / INDEX_NAME).write_bytes(broken)
        assert read_index(tmp_path).problem == "_index.json is damaged"


def usual(tmp_path: Path, count: int = 2_000) -> list[Any]:
    """An index of some length, in the WebUI's layout; returns its rows."""
    rows = [{"session_id": f"{k:012x}", "title": f"Title {k}", "summary": "x" * 1_500} for k in range(count)]
    (tmp_path / INDEX_NAME).write_text(json.dumps(rows, indent=2))
    return rows


def test_what_is_written_over_it_later_changes_no_row_that_was_read(tmp_path: Path) -> None:
    rows = usual(tmp_path)
    index = read_index(tmp_path)
    with (tmp_path / INDEX_NAME).open("r+b") as file:
        file.write(b"[" * (tmp_path / INDEX_NAME).stat().st_size)
    assert [index.row(row["session_id"]) for row in rows] == rows


def test_a_long_one_is_read_where_no_temporary_file_has_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(SpooledTemporaryFile[bytes]):
        def rollover(self) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journals, "SpooledTemporaryFile", Full)
    rows = usual(tmp_path)
    index = read_index(tmp_path)
    assert [index.row(row["session_id"]) for row in rows] == rows


def test_the_rows_of_a_long_one_are_not_held_in_memory(tmp_path: Path) -> None:
    rows = usual(tmp_path)
    tracemalloc.start()
    try:
        index = read_index(tmp_path)
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(index.rows) == len(rows)
    assert held < len(rows) * 400  # bytes: ids and places, and no row, which has 1,500
