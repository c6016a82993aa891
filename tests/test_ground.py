"""What holds for the project as a whole, whatever its parts do."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CONSTRAINTS = [
    Requirement(line)
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
]
EXTRAS = PROJECT["optional-dependencies"]
PACKAGES = ("core", "gui", "resources")
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def exact_version(constraint: Requirement) -> Version:
    (specifier,) = constraint.specifier
    assert specifier.operator == "==", f"{constraint} is not exact"
    return Version(specifier.version)


EXACT = {canonicalize_name(constraint.name): exact_version(constraint) for constraint in CONSTRAINTS}


@pytest.mark.parametrize(
    "requirement",
    [*PROJECT["dependencies"], *(each for extra in EXTRAS.values() for each in extra)],
)
def test_the_tested_versions_are_within_the_ranges(requirement: str) -> None:
    wanted = Requirement(requirement)
    assert EXACT[canonicalize_name(wanted.name)] in wanted.specifier


def test_constraints_hold_all_that_is_pulled_in() -> None:
    def needed(name: str, extras: frozenset[str] = frozenset()) -> None:
        for line in requirements(name):
            requirement = Requirement(line)
            key = canonicalize_name(requirement.name)
            asked_for = requirement.marker is None or any(
                requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras)
            )
            if asked_for and key not in found:
                found.add(key)
                needed(requirement.name, frozenset(requirement.extras))

    def requirements(name: str) -> list[str]:
        try:
            return importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:  # of an extra that is not installed
            return []

    found: set[str] = set()
    needed("hermes-rescue", frozenset(EXTRAS))
    assert found <= EXACT.keys()


def test_constraints_name_no_place_to_download_from() -> None:
    text = (ROOT / "constraints.txt").read_text("utf-8")
    assert "://" not in text
    assert "--" not in text
    assert not [constraint for constraint in CONSTRAINTS if constraint.url]


def test_this_qt_does_not_lose_references() -> None:
    bad = Version("6.12.0")
    assert Version(importlib.metadata.version("PySide6-Essentials")) != bad
    (requirement,) = map(Requirement, EXTRAS["gui"])
    assert bad not in requirement.specifier


def test_no_room_is_crowded() -> None:
    lines = {str(path.relative_to(ROOT)): len(path.read_bytes().splitlines()) for path in SOURCES}
    assert {name: count for name, count in lines.items() if count > 500} == {}


def test_the_engine_runs_without_a_window() -> None:
    program = """
import importlib, pkgutil, sys
from hermes_rescue import core
for module in pkgutil.walk_packages(core.__path__, "hermes_rescue.core."):
    importlib.import_module(module.name)
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"PySide6", "shiboken6"}))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_a_snapshot_sees_every_kind_of_change(tmp_path: Path, snapshot: Callable[[Path], object]) -> None:
    (tmp_path / "folder").mkdir()
    file = tmp_path / "folder" / "file"
    file.write_bytes(b"one")
    seen = [snapshot(tmp_path)]
    assert snapshot(tmp_path) == seen[0]

    for change in (
        lambda: file.write_bytes(b"two"),
        lambda: file.chmod(0o400),
        lambda: (tmp_path / "folder" / "link").symlink_to("file"),
        lambda: os.utime(file, ns=(1, 1)),
        lambda: file.rename(tmp_path / "folder" / "other"),
    ):
        change()
        seen.append(snapshot(tmp_path))
        assert seen[-1] not in seen[:-1]


def test_a_corpus_copy_is_private_and_keeps_its_times(
    corpus: Callable[[str], Path], unpacked_corpus: Callable[[str], Path], snapshot: Callable[[Path], object]
) -> None:
    original = unpacked_corpus("a")
    before = snapshot(original)
    copy = corpus("a")
    assert snapshot(copy) == before
    (copy / "truth.json").unlink()
    assert corpus("a") == copy
    assert snapshot(original) == before


def test_what_is_shown_is_made_without_widgets() -> None:
    """Rows, outlines and words are values: no screen is needed to make or to test them."""
    with_widgets = ("PySide6.QtWidgets", "PySide6.QtGui")
    found = {
        path.name
        for path in (ROOT / "gui" / "view_model").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module in with_widgets
    }
    assert found == set()


def test_nothing_undeclared_is_imported() -> None:
    declared = {canonicalize_name(Requirement(each).name) for each in [*PROJECT["dependencies"], *EXTRAS["gui"]]}
    distributions = importlib.metadata.packages_distributions()
    imported: set[str] = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.partition(".")[0])
    foreign = imported - sys.stdlib_module_names - {"hermes_rescue"}
    assert {
        name for name in foreign if not declared & set(map(canonicalize_name, distributions.get(name, [])))
    } == set()


def test_every_section_that_a_docstring_names_is_in_the_page() -> None:
    headings = {
        page: {line.lstrip("# ") for line in (ROOT / "docs" / page).read_text("utf-8").splitlines() if line[:1] == "#"}
        for page in ("formats.md", "measured.md", "recovery.md")
    }
    named = re.compile(r'(formats|measured|recovery)\.md,\s+"([^"]+)"')
    texts = [" ".join(path.read_text("utf-8").split()) for path in SOURCES]
    found = [(f"{page}.md", name) for text in texts for page, name in named.findall(text)]
    assert found
    assert [(page, name) for page, name in found if name not in headings[page]] == []


def test_the_version_is_written_once() -> None:
    assert importlib.metadata.version("hermes-rescue") == PROJECT["version"]
    literal = re.compile(rf"""["']{re.escape(PROJECT["version"])}["']""")
    assert [path.name for path in SOURCES if literal.search(path.read_text("utf-8"))] == []
