"""What is said of the time that a work still takes."""

from __future__ import annotations

from hermes_rescue.gui.view_model.time_left import TimeLeft


def say(reports: list[tuple[float, float]], total: int) -> list[str]:
    """What is said at each report (a moment, and how much is done)."""
    left = TimeLeft()
    return [left.words(done, total, now) for now, done in reports]


def test_nothing_is_said_before_there_is_a_pace_and_close_to_the_end() -> None:
    said = say([(k, k) for k in range(100)], 99)
    assert said[:3] == ["", "", ""]
    assert said[10]
    assert said[-1] == ""


def test_seconds_minutes_and_hours_are_said_in_round_numbers() -> None:
    assert say([(0, 0), (10, 10)], 41)[-1] == "about 40 seconds left"
    assert say([(0, 0), (10, 10)], 130)[-1] == "about 2 minutes left"
    assert say([(0, 0), (10, 10)], 70)[-1] == "about 1 minute left"
    assert say([(0, 0), (10, 10)], 7300)[-1] == "about 3 hours left"


def test_what_was_quick_at_first_does_not_count_for_ever() -> None:
    quick = [(k / 10, 100.0 * k) for k in range(50)]
    slow = [(5.0 + k, 4900.0 + k) for k in range(60)]
    assert say(quick + slow, 5500)[-1] == "about 10 minutes left"


def test_another_work_begins_anew() -> None:
    left = TimeLeft()
    for k in range(20):
        left.words(k, 1000, k)
    assert left.words(0, 1000, 20) == ""
    assert left.words(1, 1000, 21) == ""
    assert left.words(500, 30, 22) == ""


def test_nothing_is_said_of_a_work_that_stands_still_or_has_no_total() -> None:
    assert say([(k, 3) for k in range(60)], 10) == [""] * 60
    assert say([(k, 0) for k in range(60)], 0) == [""] * 60
