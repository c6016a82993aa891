"""Answers that a run shows once more after a retry or an edit took them back."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Hermes
from .test_untidy import is_left_alone, steps

CALL = "call_0123456789abcdef"

Value = dict[str, Any]


def story(hermes: Hermes) -> tuple[list[Value], list[Value], list[Value]]:
    """What was kept, a turn with a call that was taken back, and what was said then."""
    again = [{**m, "timestamp": m["timestamp"] + 6000} for m in steps("b", (), 100)]
    return hermes.turns("a"), steps("b", (CALL,), 100), again


@pytest.mark.parametrize("rows", [True, False])
def test_the_calls_of_a_retried_turn_stay_out_of_a_lost_file(hermes: Hermes, rows: bool) -> None:
    """The run of the retry shows them right before its own prompt; the file had none of them."""
    kept, gone, again = story(hermes)
    hermes.write_backup([*kept, *gone])
    hermes.write_run([*kept, gone[1], *again])
    if rows:
        hermes.write_rows([*kept, *gone, *again])
    hermes.repair(hermes.live.stem)
    assert hermes.texts() == hermes.said([*kept, *again])


def test_calls_that_a_later_run_still_shows_come_back(hermes: Hermes) -> None:
    """Once another turn was said, the file has them too."""
    kept, gone, again = story(hermes)
    later = hermes.turns("c", start=7000)
    hermes.write_backup([*kept, *gone])
    hermes.write_run([*kept, gone[1], *again, *later])
    hermes.write_rows([*kept, *gone, *again, *later])
    hermes.repair(hermes.live.stem)
    assert hermes.texts() == hermes.said([*kept, gone[1], *again, *later])


def test_a_call_beside_a_prompt_that_the_server_moved_is_no_loss(hermes: Hermes) -> None:
    """The file was saved at the end of the run, without the call that the run shows and the backup has."""
    _, gone, again = story(hermes)
    kept = hermes.turns("what has a longer answer")
    shown = [kept[0], gone[0], *kept[1:], *again]
    hermes.write_live(shown, **hermes.undo_marks(kept, again[0]["timestamp"]) | {"updated_at": again[-1]["timestamp"]})
    hermes.write_backup([*kept, *gone])
    hermes.write_run([kept[0], gone[0], gone[1], *kept[1:], *again])
    hermes.write_rows([*kept, *gone, *again])
    assert is_left_alone(hermes)
