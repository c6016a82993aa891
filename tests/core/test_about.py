"""What the program says of itself: versions, licences, and diagnostics that anybody may read."""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit import cache
from hermes_rescue.core.base import program
from hermes_rescue.core.demo.demo_store import make_demo_store
from hermes_rescue.core.hermes.store import find_store

Rescue = Callable[..., tuple[int, str, str]]
VERSION = importlib.metadata.version("hermes-rescue")


def test_diagnostics_count_findings_by_their_kinds(rescue: Rescue, tmp_path: Path) -> None:
    home = make_demo_store(tmp_path / "demo").home
    status, out, _ = rescue("diagnostics", "--home", home, "--json")
    facts = json.loads(out)
    found = api.audit(find_store(home=home))
    assert status == 0
    assert facts["hermes_rescue"] == VERSION
    assert facts["packages"]["orjson"] == importlib.metadata.version("orjson")
    assert facts["store"]["sessions"] == len(found.sessions)
    assert facts["store"]["findings"] == Counter(each.kind.name for each in found.findings)
    assert sum(facts["store"]["standings"].values()) == len(found.sessions)


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_diagnostics_tell_nothing_of_what_is_in_the_store(rescue: Rescue, tmp_path: Path, form: list[str]) -> None:
    home = make_demo_store(tmp_path / "a private name").home
    store = find_store(home=home)
    found = api.audit(store)
    _, out, _ = rescue("diagnostics", "--home", home, *form)
    for audited in found.sessions:
        assert audited.session_id not in out
        assert audited.title not in out
    said = {text for path in store.sessions_dir.glob("*.json") for text in texts(path)}
    assert said
    assert not [text for text in said if text in out]
    assert str(tmp_path) not in out
    assert "a private name" not in out
    assert str(Path.home()) not in out


def texts(path: Path) -> set[str]:
    try:
        messages = json.loads(path.read_bytes())["messages"]
    except (ValueError, KeyError, TypeError):
        return set()
    return {each["content"] for each in messages if isinstance(each.get("content"), str) and len(each["content"]) > 12}


def test_diagnostics_without_a_store_say_so_without_naming_a_place(rescue: Rescue, tmp_path: Path) -> None:
    status, out, err = rescue("diagnostics", "--home", tmp_path / "mistyped")
    assert status == 0
    assert "StoreNotFoundError" in out
    assert "mistyped" not in out + err


def test_the_licences_of_all_parts_are_handed_on(rescue: Rescue) -> None:
    status, out, _ = rescue("licences")
    assert status == 0
    listed, _, in_full = out.partition("=" * 40)
    for name in ("orjson", "PySide6", "shiboken6", "rich", "markdown-it-py"):
        assert re.search(rf"^{name}\S* \d\S*: \S", listed, re.MULTILINE), name
    assert "pytest" not in listed
    assert "Mozilla Public License Version 2.0" in in_full
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in in_full
    assert not [part.name for part in program.parts() if not part.licence]
    assert not [part.name for part in program.parts() if not part.texts]


def test_the_cache_tells_one_bundle_from_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle has no files of source to know the engine by, so what an older one found must not be believed."""
    bundle = tmp_path / "bundle"
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", str(bundle))
    marks = []
    for contents in ("one", "the next version"):
        bundle.write_text(contents)
        cache._engine.cache_clear()
        marks.append(cache._engine())
    cache._engine.cache_clear()
    assert marks[0] != marks[1]
