"""Whatever happened to a session, a repair gives back all that is left of it, nothing that the user took back, and can
be undone. Hypothesis draws the lives; HERMES_RESCUE_LONG=1 makes it a long run with new ones."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import repair
from core.audit import audit
from core.store import Store, find_store

from .lives import Act, Clear, ClockStep, Faults, Life, Stale, Truth, Turn, Undo, Wipe, write

LONG = os.environ.get("HERMES_RESCUE_LONG") == "1"
thorough = settings(
    derandomize=not LONG,
    max_examples=5000 if LONG else 150,
    deadline=None,
    report_multiple_bugs=False,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

REPEATED = ("continue", "ok", "да 🚀", "two\nlines")
ANSWERS = ("ok", "Error code: 429. The provider is overloaded, please try again in a few moments.")

turns = st.builds(
    Turn,
    prompt=st.none() | st.sampled_from(REPEATED),
    answer=st.none() | st.sampled_from(ANSWERS),
    tools=st.lists(st.integers(1, 2), max_size=2).map(tuple),
    saved_in=st.sampled_from(("both", "both", "both", "sidecar", "database")),
    drift=st.sampled_from((0.0, 0.2, 1.0, 3.0)),
    gap=st.integers(20, 90),
    image=st.booleans(),
    ids=st.sampled_from(("unique", "unique", "short", "counted")),
)
_damage: st.SearchStrategy[Any] = st.sampled_from(("lose", "nul", "zero", "bom", "utf16")) | st.floats(0, 1)


acts: st.SearchStrategy[Act] = st.one_of(
    turns,
    turns,
    st.builds(Stale, st.integers(1, 3)),
    st.builds(Wipe),
    st.builds(Undo, st.integers(1, 3), st.booleans(), st.none() | turns),
    st.builds(Clear),
    st.builds(ClockStep, st.sampled_from((-7200, -3600, -90, -30, 30, 600, 7200))),
)
faults = st.builds(
    Faults,
    live=st.none() | _damage,
    backup=st.none() | st.just("lose") | st.floats(0, 1),
    rows=st.none() | st.just("all") | st.floats(0, 1),
    index_row=st.none() | st.just("lose"),
    temp=st.none() | st.none() | turns,
    lossy=st.sampled_from((False, False, False, True)),
    count=st.none() | st.integers(0, 50),
    pending=st.none() | st.sampled_from(("continue", "What about the tests?")),
)


lives = st.builds(
    lambda began, then, end: Life((*began, *then), end),
    st.lists(turns, min_size=1, max_size=3),
    st.lists(acts, max_size=6),
    faults,
)

Tree = dict[str, tuple[int, int, str]]


@contextmanager
def played(drawn: Sequence[Life]) -> Iterator[tuple[Store, list[Truth]]]:
    with tempfile.TemporaryDirectory() as folder:
        truths = write(Path(folder), drawn)
        yield find_store(home=Path(folder)), truths


def tree(store: Store) -> Tree:
    """Name -> (mode, modification time in ns, digest) of all that lies in the home, the vault apart."""
    assert store.home is not None
    found: Tree = {}
    for path in sorted(store.home.rglob("*")):
        if path == store.vault_root or store.vault_root in path.parents:
            continue
        status = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        found[str(path.relative_to(store.home))] = (stat.S_IMODE(status.st_mode), status.st_mtime_ns, content)
    return found


def contents(of: Tree) -> dict[str, tuple[int, str]]:
    """Without the times, which an undo cannot give back."""
    return {name: (mode, digest) for name, (mode, _, digest) in of.items()}


def repaired(store: Store, truth: Truth) -> dict[str, Any] | None:
    path = store.sessions_dir / f"{truth.session_id}.json"
    if not path.exists():
        return None
    try:
        document = json.loads(path.read_text("utf-8"))
    except ValueError:
        return None
    assert isinstance(document, dict)
    return document


def check(store: Store, truth: Truth) -> None:
    """All that a person may expect of one repaired session."""
    document = repaired(store, truth)
    if document is None:
        assert not truth.wanted, f"no readable file, although {len(truth.wanted)} messages are left"
        return
    messages = document["messages"]
    numbers = [truth.times.get(round(float(m.get("timestamp", -1)), 3), -1) for m in messages]
    assert -1 not in numbers, f"a message that nobody said: {messages[numbers.index(-1)]}"
    assert len(set(numbers)) == len(numbers), f"twice: {numbers}"
    missing = [n for n in truth.wanted if n not in numbers]
    assert not missing, f"missing: {missing} of {list(truth.wanted)}, found {numbers}"
    back = sorted(truth.forbidden & set(numbers))
    assert not back, f"back although taken back: {back} in {numbers}"
    check_order(truth, numbers)
    for number, found in zip(numbers, messages, strict=True):
        check_whole(truth, number, found)
    check_calls(truth, numbers)
    assert document["message_count"] == len(messages)
    if truth.wanted:
        assert document["session_id"] == truth.session_id
        assert not any(document.get(name) for name in ("active_stream_id", "pending_user_message"))


def check_order(truth: Truth, numbers: list[int]) -> None:
    place = {number: at for at, number in enumerate(numbers)}
    told = truth.orders if truth.stepped else (*truth.orders, tuple(sorted(truth.wanted)))
    for order in told:
        here = [number for number in order if number in place]
        assert here == sorted(here, key=place.__getitem__), f"out of order: {numbers}, a copy had {order}"


def check_whole(truth: Truth, number: int, found: dict[str, Any]) -> None:
    if number in truth.wanted:
        wanted = truth.wanted[number]
        for part in ("role", "content", "reasoning", "tool_calls", "tool_call_id"):
            if wanted.get(part):
                assert found.get(part) == wanted[part], f"{part} of {number} is not whole: {found}"


def check_calls(truth: Truth, numbers: list[int]) -> None:
    """A tool result stands right behind its call, or behind another result of it."""
    for before, number in pairwise(numbers):
        call = truth.calls.get(number)
        if call in numbers:
            assert before == call or truth.calls.get(before) == call, f"{number} is torn from its call: {numbers}"


@thorough
@given(st.lists(lives, min_size=1, max_size=2))
def test_a_repair_gives_back_what_is_left_and_nothing_that_was_taken_back(drawn: list[Life]) -> None:
    with played(drawn) as (store, truths):
        before = tree(store)
        repair.apply(repair.plan(store))
        after = tree(store)
        for truth in truths:
            name = f"webui/sessions/{truth.session_id}.json"
            if truth.untouched:
                assert after.get(name) == before.get(name), "a file that needed nothing was changed"
            check(store, truth)


@thorough
@given(st.lists(lives, min_size=1, max_size=2))
def test_looking_leaves_no_trace_and_a_second_repair_has_nothing_to_do(drawn: list[Life]) -> None:
    with played(drawn) as (store, _):
        before = tree(store)
        audit(store)
        plan = repair.plan(store)
        assert tree(store) == before
        repair.apply(plan)
        after = tree(store)
        again = repair.plan(store)
        assert again.is_empty, again
        assert repair.apply(again).run_id is None
        assert tree(store) == after


@thorough
@given(st.lists(lives, min_size=1, max_size=2))
def test_undoing_a_repair_gives_back_every_byte_name_and_mode(drawn: list[Life]) -> None:
    with played(drawn) as (store, _):
        before = tree(store)
        result = repair.apply(repair.plan(store))
        if result.run_id is not None:
            repair.undo(store, result.run_id)
        assert contents(tree(store)) == contents(before)
