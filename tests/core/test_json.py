"""What programs read: every answer in JSON is as its schema and its page of the documents say."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core.demo.demo_store import make_demo_store
from hermes_rescue.core.report.report import SCHEMA_VERSION
from hermes_rescue.core.terminal.commands import app, main
from hermes_rescue.core.terminal.progress import as_lines

Rescue = Callable[..., tuple[int, str, str]]

SCHEMA = json.loads(
    resources.files("hermes_rescue.resources").joinpath("schemas", f"v{SCHEMA_VERSION}.json").read_text("utf-8")
)
PAGE = Path(__file__).parents[2] / "docs" / "json.md"
DOCUMENTED = {
    name: (command, json.loads(example))
    for name, command, example in re.findall(
        r"^## [^\n]* \((\w+)\)$.*?^    hermes-rescue ([^\n]*)$.*?^```json\n(.*?)^```$", PAGE.read_text(), re.M | re.S
    )
}
VERSIONED = [name for name, each in SCHEMA["$defs"].items() if "schema_version" in each.get("properties", {})]
LINES = [name for name in VERSIONED if "event" in SCHEMA["$defs"][name]["properties"]]
ANSWERS = [name for name in VERSIONED if name not in LINES]
TYPES: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
CHECKED = {"$ref", "anyOf", "const", "enum", "type", "required", "properties", "additionalProperties", "items"}


def problems(value: Any, schema: dict[str, Any], at: str = "") -> Iterator[str]:
    """Where a value is not as its schema says; also a name that the schema does not have."""
    assert schema.keys() <= CHECKED | {"description"}, at  # nothing in it goes unchecked
    if "$ref" in schema:
        yield from problems(value, SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")], at)
    if "anyOf" in schema and all([*problems(value, each, at)] for each in schema["anyOf"]):
        yield f"{at}: none of them"
    allowed = [schema["const"]] if "const" in schema else schema.get("enum", [value])
    types = schema.get("type", [])
    is_of_type = any(TYPES[each](value) for each in ([types] if isinstance(types, str) else types))
    if value not in allowed or (types and not is_of_type):
        yield f"{at}: {value!r:.60}"
        return
    if isinstance(value, dict) and "type" in schema:
        yield from (f"{at}.{name}: missing" for name in schema.get("required", ()) if name not in value)
        for name, each in value.items():
            found = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            yield from [f"{at}.{name}: not in the schema"] if found is None else problems(each, found, f"{at}.{name}")
    if isinstance(value, list) and "items" in schema:
        for k, each in enumerate(value):
            yield from problems(each, schema["items"], f"{at}[{k}]")


def test_every_answer_has_a_schema_and_an_example() -> None:
    assert sorted(DOCUMENTED) == sorted(VERSIONED)
    for name in ANSWERS:
        assert "json" in DOCUMENTED[name][0]


def test_every_command_that_answers_in_json_is_documented() -> None:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr("sys.argv", ["hermes-rescue", "--help"])
        main()  # has every command loaded

    def with_json(group: Any, name: str = "") -> Iterator[str]:
        for word, command in getattr(group, "commands", {}).items():
            yield from with_json(command, f"{name} {word}".strip())
        if any("--json" in each.opts for each in group.params):
            yield name

    documented = [command for command, _ in DOCUMENTED.values()]
    page = PAGE.read_text()
    for name in with_json(app):
        assert any(command.startswith(f"{name} ") for command in documented) or f"`{name} " in page, name


@pytest.mark.parametrize("name", DOCUMENTED)
def test_an_example_is_as_its_schema(name: str) -> None:
    assert [*problems(DOCUMENTED[name][1], SCHEMA["$defs"][name])] == []


def test_real_answers_are_as_their_schemas(rescue: Rescue, tmp_path: Path) -> None:
    home = ("--home", tmp_path / "demo")
    asked: set[str] = set()

    def ask(name: str, *words: object) -> Any:
        out = rescue(*words, *(home if name not in ("demo", "licences") else ()))[1]
        answer = json.loads(out)
        assert [*problems(answer, SCHEMA["$defs"][name])] == [], words
        assert next(iter(answer)) == "schema_version"
        asked.add(name)
        return answer

    ask("demo", "demo", tmp_path / "demo", "--json")
    old = make_demo_store(tmp_path / "old").home / "webui" / "sessions"
    ask("audit", "audit", "--json", "--also", old)
    listed = [each["session_id"] for each in ask("list", "list", "--json")["sessions"]]
    for sid in listed:
        ask("show", "show", sid, "--json")
    ask("find", "find", "the", "--json")
    ask("export", "export", *listed[:2], "-o", f"{tmp_path}/copies/", "--json")
    ask("diagnostics", "diagnostics", "--json")
    ask("licences", "licences", "--json")
    plan = ask("plan", "repair", "--all", "--dry-run", "--json")
    for each in plan["sessions"]:
        ask("diff", "diff", each["session_id"], "--json")
    ask("leave", "leave", plan["need_decision"][0], "--json")
    ask("leave", "leave", plan["need_decision"][0], "--forget", "--json")
    ask("report", "report", "--texts", "--format", "json")
    run = ask("repair", "repair", "--all", "--yes", "--json")["run"]
    ask("plan", "repair", "--all", "--yes", "--json")
    ask("plan", "import", old, "--dry-run", "--json")
    ask("report_run", "report", run, "--texts", "--format", "json")
    ask("diff", "diff", plan["sessions"][0]["session_id"], "--run", run, "--json")
    (done,) = ask("history", "history", "--json")["runs"]
    assert Path(done["store"]["home"], done["store"]["sessions_dir"]) == tmp_path / "demo" / "webui" / "sessions"
    ask("vault", "vault", "--json")
    ask("vault_prune", "vault", "prune", "--older-than", "1d", "--yes", "--json")
    ask("undo", "undo", "--yes", "--json")
    ask("undo", "undo", "--yes", "--json")
    assert sorted(asked) == sorted(ANSWERS)


def test_an_answer_without_a_store_is_as_its_schema(rescue: Rescue, tmp_path: Path) -> None:
    answer = json.loads(rescue("diagnostics", "--json", "--home", tmp_path)[1])
    assert [*problems(answer, SCHEMA["$defs"]["diagnostics"])] == []
    assert "problem" in answer["store"]


COMMANDS: list[list[str]] = [
    ["audit", "--json"],
    ["list"],
    ["find", "the"],
    ["export", "--all", "-o", "COPIES"],
    ["repair", "--all", "--dry-run"],
    ["repair", "--all", "--yes", "--quiet"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_program_is_told_how_far_the_work_is(rescue: Rescue, tmp_path: Path, words: list[str]) -> None:
    home = make_demo_store(tmp_path / "demo").home
    words = [word.replace("COPIES", f"{tmp_path}/copies/") for word in words]
    usual = rescue(*words, "--home", make_demo_store(tmp_path / "other").home)
    status, out, err = rescue(*words, "--json-progress", "--home", home)
    assert status == usual[0]
    assert "{" not in usual[2]  # nobody else is told
    lines = [line for each in err.splitlines() if (line := json.loads(each))["event"] == "progress"]
    assert lines
    for line in lines:
        assert [*problems(line, SCHEMA["$defs"]["progress"])] == []
    ends = {line["task"]: (line["done"], line["total"]) for line in lines}
    assert all(done == total > 0 for done, total in ends.values())
    for before, after in pairwise(lines):
        assert before["task"] != after["task"] or before["done"] < after["done"]
    if "--json" in words:
        json.loads(out)


ENDS: list[tuple[int, list[str]]] = [
    (2, ["audit", "--nonsense"]),
    (3, ["show", "nobody"]),
    (3, ["repair", "--all"]),  # nobody is there to be asked
    (1, ["export", "--all", "-o", "COPIES"]),  # of which one is there already
    (0, ["report", "--sid", "Two weeks", "--format", "json"]),
]


@pytest.mark.parametrize(("status", "words"), ENDS, ids=lambda each: str(each))
def test_a_program_is_told_what_went_wrong_in_lines_as_well(
    rescue: Rescue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, words: list[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    home = ("--home", make_demo_store(tmp_path / "demo").home)
    copies = tmp_path / "copies"
    rescue("export", "Two weeks by train", "-o", f"{copies}/", *home)
    words = [word.replace("COPIES", str(copies)) for word in words]
    found, _, err = rescue(*words, "--json-progress", *home)
    lines = [json.loads(line) for line in err.splitlines()]
    told = [line for line in lines if line["event"] == "notice"]
    assert found == status
    assert told
    assert all([*problems(line, SCHEMA["$defs"][line["event"]])] == [] for line in lines)
    assert told[-1]["exit_status"] == (status if status > 1 else None)


def test_an_end_that_is_told_twice_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    report = as_lines("Checking sessions")
    for done in (0.0, 0.25, 1.0, 1.0):
        report(done, 1)
    assert [json.loads(line)["done"] for line in capsys.readouterr().err.splitlines()] == [0, 1]
