"""Whatever is left of a session, a second repair finds what the first one left: nothing comes back that was left out,
and what was asked is still asked.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import pytest
from hermes_rescue.core.audit.findings import Category

from .conftest import ACT, SID, START, Hermes

Harm = Callable[[Random, bytes, int, int], bytes]

HARMS: dict[str, Harm] = {
    "cut off": lambda rng, data, a, b: data[:a],
    "a hole": lambda rng, data, a, b: data[:a] + data[b:],
    "zero bytes": lambda rng, data, a, b: data[:a] + bytes(b - a) + data[b:],
    "zero bytes in front": lambda rng, data, a, b: bytes(b) + data[b:],
    "all zero bytes": lambda rng, data, a, b: bytes(len(data)),
    "an older end": lambda rng, data, a, b: data[:a] + data[:b],
    "the front is gone": lambda rng, data, a, b: data[a:],
    "other bytes": lambda rng, data, a, b: data[:a] + rng.randbytes(b - a) + data[b:],
}
"""What happens to the bytes of a file, between two places."""

LISTED: list[Any] = [
    None,
    "",
    "x",
    0,
    -1,
    3,
    6,
    10**400,
    True,
    [],
    {},
    float("nan"),
    float("inf"),
    START,
    START + 14,
    4e9,
]
"""What can stand in a field of a row of the session list."""


def draw(hermes: Hermes, seed: int, *, is_torn: bool = True) -> None:
    """A session of three turns, and of each copy a part, another date or none at all; its file is damaged, if it
    ``is_torn``.
    """
    rng = Random(seed)
    said = hermes.turns("a", "b", "c")
    parts = [said, said[:4], said[4:], said[2:]]
    live = rng.choice(parts)
    is_old = rng.random() < 0.5
    kept = rng.choice([live[:2], live])
    newest = live[-2]["timestamp"] if rng.random() < 0.5 else None
    marks = rng.choice([{}, hermes.undo_marks(kept, newest)])
    write = hermes.write_old if is_old else hermes.write_new
    write(hermes.live, live, **marks)
    if rng.random() < 0.75:
        backup = hermes.live.with_name(f"{SID}.json.bak")
        write(backup, rng.choice(parts))
        if rng.random() < 0.3:
            harm(backup, rng)
    if rng.random() < 0.6:
        hermes.write_rows(said)
    if rng.random() < 0.6:
        hermes.write_run(rng.choice(parts), updated_at=START + rng.choice([14, 24, 9999]))
    if rng.random() < 0.7:
        row = {"session_id": SID, "title": "Notes", "message_count": 6, "last_message_at": START + 24}
        listed = {name: rng.choice(LISTED) for name in ("message_count", "last_message_at") if rng.random() < 0.4}
        hermes.write_index({**row, "updated_at": START + 24, **listed})
    if is_torn:
        harm(hermes.live, rng)


def harm(path: Path, rng: Random) -> None:
    data = path.read_bytes()
    a = rng.randrange(len(data))
    b = min(len(data), a + rng.choice([1, 7, 40, 300, 2000]))
    path.write_bytes(HARMS[rng.choice([*HARMS])](rng, data, a, b))


def asked(hermes: Hermes) -> bool:
    return any(s.category is Category.REVIEW for s in hermes.audit().sessions)


ONCE_WRONG = (
    *(125, 187, 308, 368, 389, 395, 434, 526, 602, 641, 692, 718, 780, 803, 916, 953, 969, 1131, 1155, 1278, 1290),
    *(1295, 1348, 1489, 1513, 1533, 1554, 1685, 1795, 1817, 1964, 1998, 2059, 2091, 2146, 2243, 2279, 2299, 2518),
    *(2602, 2645, 2808, 2858),
)
"""Here belongs each that brought something back, once that is mended."""


@pytest.mark.parametrize("seed", [*range(20), *ONCE_WRONG])
def test_what_a_repair_left_out_does_not_come_back_and_what_it_asked_is_asked(hermes: Hermes, seed: int) -> None:
    draw(hermes, seed)
    hermes.repair()
    first, is_asked = hermes.live.read_bytes(), asked(hermes)
    hermes.repair()
    assert hermes.live.read_bytes() == first
    assert asked(hermes) == is_asked


def test_nothing_comes_back_in_stores_that_no_run_had_before(tmp_path: Path) -> None:
    """Others in every run; the seed that is told draws the same once more."""
    first = SystemRandom().getrandbits(40)
    for seed in range(first, first + 40):
        hermes = Hermes(tmp_path / str(seed))
        hermes.sessions.mkdir(parents=True)
        draw(hermes, seed, is_torn=seed % 4 != 0)
        hermes.repair()
        once = hermes.live.read_bytes()
        hermes.repair()
        assert hermes.live.read_bytes() == once, f"seed {seed}, {seed % 4 != 0}: once mended, it belongs to ONCE_WRONG"


def test_a_repair_that_would_not_last_is_a_question(hermes: Hermes) -> None:
    """The backup alone tells that the last turns were taken back; an older version put it over the file, so it cannot
    stay beside that."""
    draw(hermes, 526)
    damaged = hermes.live.read_bytes()
    hermes.repair()
    assert hermes.live.read_bytes() == damaged
    assert asked(hermes)
    hermes.repair(SID)
    assert hermes.texts()[:3] == ["ask a", "answer a", "ask b"]


def test_the_witness_of_an_undo_stays_beside_a_torn_file_that_is_repaired(hermes: Hermes) -> None:
    said = hermes.turns("a", "b", "c")
    hermes.write_live(said[:4], **hermes.undo_marks(said[:4]))
    hermes.write_backup(said)
    hermes.write_rows(said)
    hermes.tear_live('"tool_calls": []')
    hermes.repair()
    assert hermes.texts() == hermes.said(said[:4])
    assert hermes.live.with_name(f"{SID}.json.bak").exists()
    assert hermes.kinds() == []


def test_a_run_says_nothing_of_what_a_torn_file_has_behind_it(hermes: Hermes) -> None:
    """The answer to a prompt that stands in the file, and that the newest finished run does not know."""
    said = hermes.turns("a", "b", "c")
    hermes.write_live(said)
    hermes.write_run(said[:4], updated_at=START + ACT)
    hermes.write_rows(said)
    hermes.tear_live("answer c")
    hermes.repair()
    assert hermes.texts() == hermes.said(said)


def test_a_backup_that_has_a_turn_is_no_witness_that_the_newest_run_lost_it(hermes: Hermes) -> None:
    """It was saved when that run ended, but is older than the newest act of the file."""
    said = hermes.turns("a", "b", "c")
    hermes.write_live(said[4:], **hermes.undo_marks(said[4:], said[4]["timestamp"]))
    hermes.write_backup(said)
    hermes.write_run(said[2:], updated_at=START + 24)
    hermes.write_rows(said)
    hermes.repair()
    assert hermes.texts() == hermes.said(said)


def test_what_the_session_list_says_was_taken_back_stays_out_of_the_file_that_is_written(hermes: Hermes) -> None:
    """Only the newest run still has it, and no mark is left of the act."""
    said = hermes.turns("a", "b", "c")
    hermes.write_live(said[:4])
    hermes.tear_live('"pinned"')
    hermes.write_run(said, updated_at=START + ACT)
    last = {"updated_at": START + ACT, "last_message_at": said[3]["timestamp"]}
    hermes.write_index({"session_id": SID, "title": "Notes", "message_count": 4, **last})
    hermes.repair()
    assert hermes.texts() == hermes.said(said[:4])
    assert hermes.kinds() == []


def test_a_question_about_a_lost_file_is_still_asked_when_that_is_written(hermes: Hermes) -> None:
    """The only file that is left is of a version that marks no act, so what is written must not say there was none."""
    said = hermes.turns("a", "b", "c")
    hermes.write_live([])
    hermes.live.write_bytes(bytes(hermes.live.stat().st_size))
    hermes.write_old(hermes.live.with_name(f"{SID}.json.bak"), said[4:])
    hermes.write_rows(said)
    last = {"updated_at": START + 24, "last_message_at": START + 24}
    hermes.write_index({"session_id": SID, "title": "Notes", "message_count": 2, **last})
    hermes.repair()
    assert hermes.texts() == hermes.said(said[4:])
    assert asked(hermes)
    hermes.repair(SID)
    assert hermes.texts() == hermes.said(said)


def test_what_an_older_file_was_put_back_without_gets_marks_of_the_act_that_it_does_not_know(hermes: Hermes) -> None:
    """It has those of the act before that one, and of the newest act only the run knows that followed it."""
    kept, first, again = hermes.turns("a"), hermes.turns("b", start=100), hermes.turns("c", start=200)
    second, newest = hermes.turns("d", start=300), hermes.turns("e", start=400)
    saved = {"updated_at": again[-1]["timestamp"]}
    hermes.write_live([*kept, *again], **hermes.undo_marks(kept, again[0]["timestamp"]) | saved)
    hermes.write_run([*kept, *again, *newest])
    hermes.write_rows([*kept, *first, *again, *second, *newest])
    for _ in range(2):
        hermes.repair()
        assert hermes.texts() == hermes.said([*kept, *again, *newest])


def test_a_torn_file_is_mended_where_an_earlier_run_still_asks_what_its_backup_asks(hermes: Hermes) -> None:
    """An old version whose mark does not say what an edit of the first prompt took back. The backup cannot stay beside
    the file, which it would be put over; the run has as much, and so the question stays."""
    edited, after = hermes.turns("a", "b"), hermes.turns("c", start=100)
    marks = {"truncation_watermark": 0.0}
    old = ("truncation_boundary", "clear_generation", "intentional_shrink_generation")
    for name, messages, fields in (("", after, marks), (".bak", edited, {})):
        session = hermes.session(messages, **fields)
        path = hermes.sessions / f"{SID}.json{name}"
        hermes.write(path, {key: value for key, value in session.items() if key not in old})
    hermes.tear_live('"tool_calls": []')
    hermes.write_run(edited, "run1")
    hermes.write_run(after, "run2")
    hermes.repair()
    assert hermes.texts() == hermes.said(after)
    assert asked(hermes)
    hermes.repair(SID)
    assert hermes.texts() == hermes.said([*edited, *after])
