"""What only the end of an earlier run still shows: offered, never taken by itself."""

from __future__ import annotations

import time

from hermes_rescue.core.audit.findings import Category
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.store import find_store

from .conftest import ACT, SID, START, Hermes
from .test_witnesses import categories, is_left_alone


def test_what_only_an_earlier_run_shows_is_asked_and_comes_back(hermes: Hermes) -> None:
    """The file was wiped and the conversation went on twice; the database was lost with it."""
    lost, newer = hermes.turns("a", "b"), hermes.turns("c", "d", start=100)
    hermes.write_run(lost, "run1")
    hermes.write_run(newer[:2], "run2")
    hermes.write_run(newer, "run3")
    hermes.write_live(newer)
    assert categories(hermes) == {Category.REVIEW}
    assert is_left_alone(hermes)
    hermes.repair(SID)
    assert hermes.texts() == hermes.said([*lost, *newer])
    assert categories(hermes) <= {Category.INFO}


def test_what_several_earlier_runs_show_comes_back_once(hermes: Hermes) -> None:
    first, second, newer = hermes.turns("a"), hermes.turns("b", "c", start=100), hermes.turns("d", start=200)
    hermes.write_run(first, "run1")
    hermes.write_run(second[:2], "run2")
    hermes.write_run(second, "run3")
    hermes.write_run(newer, "run4")
    hermes.write_live(newer)
    hermes.repair(SID)
    assert hermes.texts() == hermes.said([*first, *second, *newer])


def test_runs_of_a_session_that_only_grew_add_nothing(hermes: Hermes) -> None:
    said = hermes.turns("go on", "go on", "go on")
    for k in (2, 4, 6):
        hermes.write_run(said[:k], f"run{k}")
    hermes.write_live(said)
    assert hermes.kinds() == []


def test_what_was_undone_since_an_earlier_run_stays_out(hermes: Hermes) -> None:
    """The act has its mark; rows and backup of the time before it are gone."""
    kept, undone, after = hermes.turns("a"), hermes.turns("b", start=100), hermes.turns("c", start=200)
    hermes.write_run([*kept, *undone], "run1")
    marks = hermes.undo_marks(kept, after[0]["timestamp"])
    hermes.write_run([*kept, *after], "run2", updated_at=START + ACT)
    hermes.write_live([*kept, *after], **marks)
    assert categories(hermes) <= {Category.INFO}
    assert is_left_alone(hermes)


def test_earlier_runs_of_one_day_are_told_apart_by_their_times(hermes: Hermes) -> None:
    first, second, newer = hermes.turns("a"), hermes.turns("b", start=300), hermes.turns("c", start=600)
    hermes.write_run(first, "run1")
    hermes.write_run(second, "run2")
    hermes.write_run(newer, "run3")
    hermes.write_live(newer)
    with Inventory(find_store(home=hermes.home)) as inventory:
        names = [copy.name for copy in inventory.copies(SID).further]
    times = [time.strftime("%H:%M", time.localtime(said[-1]["timestamp"])) for said in (second, first)]
    assert [name.rpartition(", ")[2] for name in names] == times
