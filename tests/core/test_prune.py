"""What is kept of past repairs, and its end."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.repair import prune, run_record
from hermes_rescue.core.repair.vault import Vault

Rescue = Callable[..., tuple[int, str, str]]
DAY = 86_400
NOW = 1_800_000_000.0


@pytest.fixture
def kept(hermes: Any, monkeypatch: pytest.MonkeyPatch) -> Vault:
    """Repairs of one session, one a day for thirty days; the oldest died, and the second cannot be read."""
    made = Vault.of(find_store(home=hermes.home))
    for day in range(30, 0, -1):
        monkeypatch.setattr(time, "time", lambda day=day: NOW - day * DAY)
        with made.begin_run([], 0) as run:
            name = f"{hermes.live.stem}.json"
            hermes.live.unlink(missing_ok=True)
            run.create(hermes.live.stem, name, b"{}")
    monkeypatch.setattr(time, "time", lambda: NOW)
    oldest = made.list_runs()[-1]
    folder = made.runs_folder
    run_record.write(folder / oldest.run_id, made.list_runs()[-1].__class__(*_fields(oldest, status="running")))
    (folder / made.run_ids()[-2] / "manifest.json").write_text("torn")
    return made


def _fields(run: Any, **changed: Any) -> list[Any]:
    return [changed.get(name, getattr(run, name)) for name in run.__slots__]


def test_the_size_is_that_of_the_files(kept: Vault, hermes: Any, rescue: Rescue) -> None:
    found = json.loads(rescue("vault", "--json", "--home", hermes.home)[1])
    assert found["bytes"] == sum(path.stat().st_size for path in kept.root.rglob("*") if path.is_file())
    assert [each["run"] for each in found["runs"]] == list(kept.run_ids())
    status, out, _ = rescue("vault", "--home", hermes.home)
    assert status == 0 and "30 repairs" in out and "KiB" in out


def test_old_runs_go_and_what_an_undo_may_need_stays(
    kept: Vault, hermes: Any, rescue: Rescue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    before = kept.run_ids()
    oldest, torn = before[-1], before[-2]
    home = ("--home", hermes.home)
    status, _, err = rescue("vault", "prune", "--older-than", "20d", *home)
    assert status == 3 and "Nothing was changed" in err
    assert kept.run_ids() == before
    assert rescue("vault", "prune", "--older-than", "20d", "--yes", *home)[0] == 0
    left = kept.run_ids()
    assert {oldest, torn} <= set(left)
    assert len(left) == 22  # twenty days, the one that died and the one that nobody can read
    assert rescue("vault", "prune", "--older-than", "0d", "--yes", *home)[0] == 0
    assert list(kept.run_ids()) == [*before[: prune.KEPT_RUNS], torn, oldest]
    assert [path for path in kept.runs_folder.iterdir() if path.name.startswith(".gone")] == []
    assert rescue("undo", "--yes", *home)[0] == 0


def test_an_age_has_to_be_one(hermes: Any, rescue: Rescue) -> None:
    for age in ("", "90", "-1d", "1e9d", "d"):
        assert rescue("vault", "prune", "--older-than", age, "--yes", "--home", hermes.home)[0] == 2


def test_the_newest_run_is_found_without_reading_the_others(
    kept: Vault, monkeypatch: pytest.MonkeyPatch, hermes: Any, rescue: Rescue
) -> None:
    read: list[str] = []
    monkeypatch.setattr(
        run_record,
        "_read_journal",
        lambda folder, plain=run_record._read_journal: (read.append(folder.name), plain(folder))[1],
    )
    assert rescue("undo", "--yes", "--home", hermes.home)[0] == 0
    assert set(read) <= {*kept.run_ids()[:2], kept.run_ids()[-1]}
