"""Metrics for Prometheus, and the units of systemd that have them written."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import stat
import subprocess
from collections import Counter
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.findings import KINDS, Standing
from hermes_rescue.core.demo.demo_store import make_demo_store
from hermes_rescue.core.hermes.store import find_store

Rescue = Callable[..., tuple[int, str, str]]
Series = dict[tuple[str, frozenset[tuple[str, str]]], float]

UNITS = resources.files("hermes_rescue.resources").joinpath("systemd")


def read(text: str) -> Series:
    """Metrics as Prometheus reads them: each has its help and its type once, before its values."""
    found: Series = {}
    described: list[tuple[str, str]] = []
    assert text.endswith("\n")
    for line in text.splitlines():
        if about := re.fullmatch(r"# (HELP|TYPE) ([a-z_]+) (.+)", line):
            described.append((about[1], about[2]))
            assert about[1] == "HELP" or about[3] == "gauge"
            continue
        value = re.fullmatch(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+)\})? (\S+)', line)
        assert value is not None, line
        assert described[-2:] == [("HELP", value[1]), ("TYPE", value[1])], line
        labels = frozenset(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', value[2] or ""))
        assert (value[1], labels) not in found, line
        found[value[1], labels] = float(value[3])
    assert len(described) == len(set(described))
    return found


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    return make_demo_store(tmp_path / "a private name").home


def test_they_say_what_the_audit_found(demo: Path, rescue: Rescue) -> None:
    status, out, err = rescue("audit", "--home", demo, "--metrics", "-")
    assert (status, err) == (1, "")
    series = read(out)
    found = api.audit(find_store(home=demo))
    kinds = Counter(each.name for each in found.findings)
    for state in Standing:
        assert series["hermes_rescue_sessions", frozenset({("state", str(state))})] == found.standings[state]
    for kind in KINDS:
        assert series["hermes_rescue_findings", frozenset({("kind", kind)})] == kinds[kind]
    version = importlib.metadata.version("hermes-rescue")
    assert series["hermes_rescue_info", frozenset({("version", version)})] == 1
    assert series["hermes_rescue_audit_duration_seconds", frozenset()] > 0
    before = series["hermes_rescue_last_audit_timestamp_seconds", frozenset()]
    assert read(rescue("audit", "--home", demo, "--metrics", "-")[1])[
        "hermes_rescue_last_audit_timestamp_seconds", frozenset()
    ] > before  # fmt: skip


def test_the_messages_to_come_back_are_those_that_a_repair_brings(hermes: Any, rescue: Rescue) -> None:
    def restorable() -> float:
        out = rescue("audit", "--home", hermes.home, "--metrics", "-")[1]
        return read(out)["hermes_rescue_restorable_messages", frozenset()]

    hermes.write_live(hermes.turns("a"))
    hermes.write_backup(hermes.turns("a", "b", "c"))
    hermes.write_rows(hermes.turns("a", "b", "c"))
    expected = restorable()
    before = len(hermes.load()["messages"])
    hermes.repair()
    assert len(hermes.load()["messages"]) - before == expected > 0
    assert restorable() == 0


def test_a_file_is_written_beside_the_usual_answer(demo: Path, rescue: Rescue, tmp_path: Path) -> None:
    target = tmp_path / "alice.prom"
    usual = rescue("audit", "--home", demo)
    for _ in range(2):  # also over the last one
        assert rescue("audit", "--home", demo, "--metrics", target) == usual
        series = read(target.read_text())
        assert {dict(labels)["store"] for _, labels in series} == {"alice"}  # two files in one folder never collide
        assert stat.S_IMODE(target.stat().st_mode) == 0o644  # node exporter is another user
    assert {path.name for path in tmp_path.iterdir()} == {"alice.prom", demo.name}
    text = target.read_text()
    assert demo.name not in text and str(tmp_path) not in text
    assert not [s.title for s in api.audit(find_store(home=demo)).sessions if s.title in text]


def test_a_name_with_signs_of_its_own_stays_one_label(demo: Path, rescue: Rescue, tmp_path: Path) -> None:
    target = tmp_path / 'a "b"\\c\n.prom'
    assert rescue("audit", "--home", demo, "--quiet", "--metrics", target)[0] == 1
    assert {dict(labels)["store"] for _, labels in read(target.read_text())} == {r"a \"b\"\\c\n"}


def test_nothing_is_written_into_the_home(
    demo: Path, rescue: Rescue, tmp_path: Path, snapshot: Callable[[Path], object]
) -> None:
    link = tmp_path / "link"
    link.symlink_to(demo / "webui")
    before = snapshot(demo)
    for place in (demo / "x.prom", demo / "webui" / "sessions" / "x.json", link / "x.prom", demo / "state.db"):
        status, out, err = rescue("audit", "--home", demo, "--metrics", place)
        assert (status, out) == (3, "")
        assert "Hermes" in err
    assert snapshot(demo) == before


def test_only_one_of_two_answers_can_be_printed(demo: Path, rescue: Rescue) -> None:
    status, out, err = rescue("audit", "--home", demo, "--json", "--metrics", "-")
    assert (status, out) == (2, "")
    assert "--metrics" in err


def test_a_file_of_before_stays_where_there_is_no_audit(demo: Path, rescue: Rescue, tmp_path: Path) -> None:
    target = tmp_path / "x.prom"
    rescue("audit", "--home", demo, "--metrics", target)
    before = target.read_bytes()
    assert rescue("audit", "--home", tmp_path / "none", "--metrics", target)[0] == 3
    assert target.read_bytes() == before


def test_the_units_call_commands_that_are_there(rescue: Rescue) -> None:
    names = [each.name for each in UNITS.iterdir()]
    assert any(name.endswith(".timer") for name in names)
    for name in names:
        text = UNITS.joinpath(name).read_text("utf-8")
        for command, options in re.findall(r"^ExecStart=.*?hermes-rescue (\w+)(.*)$", text, re.M):
            told = rescue(command, "--help")[1]
            assert all(option in told for option in re.findall(r"--[a-z-]+", options)), name


def test_the_page_names_what_is_there(demo: Path, rescue: Rescue) -> None:
    page = (Path(__file__).parents[2] / "docs" / "many-machines.md").read_text("utf-8")
    metrics = {name for name, _ in read(rescue("audit", "--home", demo, "--metrics", "-")[1])}
    assert set(re.findall(r"hermes_rescue_[a-z_]+", page)) == metrics
    called = re.findall(r"hermes-rescue ([a-z]+)((?: --?[a-z-]+| [\w\"$.{}]+)*)", page)
    assert {"audit", "watch", "repair"} <= {command for command, _ in called}
    for command, options in called:
        told = rescue(command, "--help")[1]
        assert all(option in told for option in re.findall(r"--?[a-z-]+", options)), command


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    units = [str(UNITS.joinpath(each.name)) for each in UNITS.iterdir()]
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    words = ["systemd-analyze", "--user", "verify", *units]
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
