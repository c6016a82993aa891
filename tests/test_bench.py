"""The stores that the benchmarks measure on are what their figures say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_fifteen_of_a_hundred_sessions_need_a_repair_and_the_others_nothing(
    tmp_path: Path, rescue: Callable[..., tuple[int, str, str]]
) -> None:
    store = tmp_path / "store"
    options = ["--sessions", "100", "--messages", "12", "--length", "200"]
    subprocess.run([sys.executable, ROOT / "tests/bench/stores.py", store, *options], check=True)
    _, out, _ = rescue("audit", "--home", store, "--json")
    summary = json.loads(out)["summary"]
    assert (summary["repairable"], summary["healthy"], summary["sessions"]) == (15, 85, 100)
    journals = [len([*folder.iterdir()]) for folder in (store / "webui/sessions/_run_journal").iterdir()]
    assert len(journals) == 100 and min(journals) == 2 < max(journals)
