"""Entries and heights of a long list say what a plain list of all of them would say."""

from __future__ import annotations

import random
from bisect import bisect_right
from itertools import accumulate

import pytest
from hermes_rescue.gui.view_model.diff_heights import Heights
from hermes_rescue.gui.view_model.diff_outline import FOLD, Entries, Entry, Stretch

from tests.conftest import LONG


def chosen(chance: random.Random) -> list[Stretch]:
    """Messages, folded and open runs and long texts, rising."""
    found: list[Stretch] = []
    row = 0
    for _ in range(chance.randrange(8)):
        match chance.randrange(4):
            case 0:
                found.append(Stretch(Entry(row, 0), length := chance.randrange(5)))
            case 1:  # a run that is folded
                found.append(Stretch(Entry(row, FOLD), 1))
                length = chance.randrange(2, 6)
            case 2:  # a run that is open
                length = chance.randrange(2, 6)
                found += [Stretch(Entry(row, FOLD), 1), Stretch(Entry(row, 0), length)]
            case _:
                found.append(Stretch(Entry(row, 0), chance.randrange(1, 4), is_text=True))
                length = 1
        row += length
    return found


def plain(stretches: list[Stretch]) -> list[Entry]:
    entries = []
    for (row, part), length, is_text in stretches:
        entries += [Entry(row, k) if is_text else Entry(row + k, part) for k in range(length)]
    return entries


@pytest.mark.parametrize("seed", range(200 if LONG else 40))
def test_stretches_are_the_entries_that_they_stand_for(seed: int) -> None:
    stretches = chosen(random.Random(seed))
    entries, wanted = Entries(stretches), plain(stretches)
    assert list(entries) == wanted
    assert len(entries) == len(wanted)
    assert entries[1:3] == wanted[1:3]
    for at, entry in enumerate(wanted):
        assert entries.last_until(entry) == at
    for row in range(30):
        assert entries.last_until(Entry(row, 0)) == bisect_right(wanted, (row, 0)) - 1
    with pytest.raises(IndexError):
        entries[len(wanted)]


@pytest.mark.parametrize("seed", range(100 if LONG else 20))
def test_heights_add_up(seed: int) -> None:
    chance = random.Random(seed)
    count, usual = chance.randrange(1, 40), chance.randrange(1, 50)
    known = {at: chance.randrange(1, 90) for at in chance.sample(range(count), chance.randrange(count))}
    heights = Heights(count, usual, known)
    for _ in range(3):
        wanted = [known.get(at, usual) for at in range(count)]
        tops = list(accumulate(wanted, initial=0))
        assert list(map(heights.__getitem__, range(count))) == wanted
        assert list(map(heights.top, range(count + 1))) == tops
        assert heights.total == tops[-1]
        for y in range(-5, tops[-1] + 5):
            assert heights.entry_at(y) == min(bisect_right(tops, max(0, y)) - 1, count - 1)
        learnt = {at: chance.randrange(1, 90) for at in chance.sample(range(count), min(3, count))}
        heights.learn(learnt)
        known |= learnt


def test_where_nothing_is_no_entry_is_anywhere() -> None:
    assert Heights(0, 20, {}).entry_at(7) == -1
    assert Heights(0, 20, {}).total == 0
    assert Entries().last_until(Entry(0, 0)) == -1
