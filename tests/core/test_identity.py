"""Which message is which: contents and places say it, times only between equals (recovery.md, section 2)."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.store_audit import audit
from hermes_rescue.core.base.jsontext import Piece
from hermes_rescue.core.hermes.message import message
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.merge.align import align
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ..conftest import LONG
from .conftest import ACT, SID, START, Hermes

relaxed = settings(
    max_examples=400 if LONG else 20,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
)

Value = dict[str, Any]
Rising = Callable[[float], float]
Made = tuple[tuple[tuple[str, str], ...], tuple[str, ...], tuple[tuple[str, ...], int] | None, tuple[Any, ...]]

LOSSES = ("none", "wiped", "lost", "cut", "lags")
COPIES = ("live", "backup", "rows", "done")


def made_of(home: Path) -> Made:
    """What the engine makes of a session: its findings, the questions, its plan, and what a repair leaves."""
    store = find_store(home=home)
    found = next((s for s in audit(store).sessions if s.session_id == SID), None)
    findings = () if found is None else tuple((f.kind.name, str(f.category)) for f in found.findings)
    plan = api.plan(store)
    planned = next(((p.kinds, p.messages_after) for p in plan.sessions if p.session_id == SID), None)
    api.apply(plan)
    path = store.sessions_dir / f"{SID}.json"
    left = json.loads(path.read_bytes())["messages"] if path.exists() else ()
    return findings, plan.questions, planned, tuple((m["role"], m["content"]) for m in left)


def stretched(by: float, shift: float, leap: float) -> Rising:
    """A clock that runs at another speed, is wrong by some seconds, and was set forward in the middle."""
    return lambda t: START + shift + (t - START) * by + (leap if t > START + 25 else 0.0)


def moved(messages: Sequence[Value], by: Rising) -> list[Value]:
    return [{**m, "timestamp": by(m["timestamp"])} for m in messages]


def lay_out(home: Path, loss: str, messages: Sequence[Value], restamped: str | None, by: Rising) -> None:
    """A session of which something was lost; the messages of one of its copies have other times."""
    (home / "webui" / "sessions").mkdir(parents=True)
    hermes = Hermes(home)
    as_in = {copy: moved(messages, by) if copy == restamped else list(messages) for copy in COPIES}
    end = START + 10 * len(messages)
    kept = {"none": len(messages), "wiped": 0, "cut": 6, "lags": len(messages) - 2, "lost": 0}[loss]
    if loss != "lost":
        saved = messages[kept - 1]["timestamp"] if loss == "lags" else end + 60
        hermes.write_live(as_in["live"][:kept], updated_at=saved)
    if loss in ("cut", "wiped", "lost"):
        hermes.write_backup(as_in["backup"], updated_at=end)
    hermes.write_rows(as_in["rows"])
    if loss in ("none", "wiped", "cut"):
        hermes.write_run(as_in["done"], updated_at=end)


rising = st.builds(
    stretched,
    st.sampled_from((0.01, 0.7, 1.0, 60.0, 600.0)),
    st.floats(-1e6, 1e6),
    st.sampled_from((0.0, 3.0, 86_400.0)),
)


@relaxed
@given(st.sampled_from(LOSSES), st.sampled_from(COPIES), rising)
def test_the_times_of_one_copy_change_nothing_where_contents_decide(loss: str, copy: str, by: Rising) -> None:
    words = [f"{word}, at the length of a sentence" for word in ("alpha", "beta", "gamma", "delta")]
    words.insert(1, "on")  # so little says nothing by itself, but where it stands does
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        messages = Hermes(home).turns(*words)
        lay_out(home / "as it was", loss, messages, None, by)
        lay_out(home / "restamped", loss, messages, copy, by)
        assert made_of(home / "restamped") == made_of(home / "as it was")


def with_tools(hermes: Hermes, ids: Sequence[str], start: float = 0.0, length: float = 600.0) -> list[Value]:
    """A turn of ten minutes with one call for each id; the server stamps all of its answer as it ends."""
    at, end = START + start, START + start + length
    found: list[Value] = [{"role": "user", "content": f"ask {start}", "timestamp": at}]
    for k, call in enumerate(ids):
        function = {"name": "terminal", "arguments": json.dumps({"command": f"step {k} of {start}"})}
        calls = [{"id": call, "type": "function", "function": function}]
        found.append({"role": "assistant", "content": "", "timestamp": end, "tool_calls": calls})
        result = {"role": "tool", "content": f"result {k} of {start}", "tool_call_id": call, "tool_name": "terminal"}
        found.append({**result, "timestamp": end})
    return [*found, {"role": "assistant", "content": f"answer {start}", "timestamp": end}]


@relaxed
@given(st.lists(st.floats(0.0, 1.0), min_size=5, max_size=5).map(sorted))
def test_a_row_is_written_at_any_time_of_its_turn(parts: Sequence[float]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "webui" / "sessions").mkdir(parents=True)
        hermes = Hermes(Path(folder))
        live = with_tools(hermes, ("call_0123456789ab", "call_ba9876543210"))
        hermes.write_live(live)
        hermes.write_rows(live)
        with closing(sqlite3.connect(hermes.home / "state.db")) as database, database:
            times = [(START + 600 * part, k + 2) for k, part in enumerate(parts)]
            database.executemany("UPDATE messages SET timestamp = ? WHERE id = ?", times)
        assert hermes.kinds() == []
        assert api.plan(find_store(home=hermes.home)).is_empty


def test_where_no_answer_is_stamped_a_row_is_written_at_any_time_of_its_turn_too(hermes: Hermes) -> None:
    """As servers left them once: only a next prompt would show when a turn had ended."""
    said = [*hermes.turns("a"), *hermes.turns("on", start=1000)]
    late = [{**m, "timestamp": START + 1500} if m["content"] in ("ask on", "answer on") else m for m in said]
    hermes.write_live([{k: v for k, v in m.items() if k != "timestamp" or m["role"] == "user"} for m in said])
    hermes.write_rows(late)
    assert hermes.kinds() == []
    assert api.plan(find_store(home=hermes.home)).is_empty


def test_a_copy_with_a_clock_and_a_spelling_of_its_own_says_the_same(hermes: Hermes) -> None:
    """Nothing is the same to the letter but what says too little to be known by itself."""
    said = hermes.turns("alpha, at the length of a sentence", "on", "beta, at the length of a sentence")
    spelled = [{**m, "content": m["content"].replace(", ", ",\u200b ")} for m in said]
    one, other = ([message(Piece(None, m, 2)) for m in copy] for copy in (moved(spelled, lambda t: t + 400.0), said))
    assert align(one, other).pairs == tuple((k, k) for k in range(len(said)))


@pytest.mark.parametrize("kept", [0, 2, 6, 20])
def test_continue_said_ten_times_is_ten_messages(hermes: Hermes, kept: int) -> None:
    """Whatever the file still has of them, and although the answers are all the same, too."""
    said = hermes.turns(*map(str, range(10)))
    for k, m in enumerate(said):
        m["content"] = "continue" if k % 2 == 0 else "Done."
    hermes.write_live(said[:kept], updated_at=START + ACT)
    hermes.write_backup(said)
    hermes.write_rows(said)
    hermes.repair()
    assert hermes.load()["messages"] == said
    assert hermes.kinds() == []


def test_ids_of_calls_that_are_counted_from_0_prove_nothing_beyond_their_turn(hermes: Hermes) -> None:
    turns = [with_tools(hermes, ("call_0", "call_1"), start=1000.0 * k) for k in range(3)]
    hermes.write_live([*turns[0], *turns[2]])
    hermes.write_rows([m for turn in turns for m in turn])
    hermes.repair()
    assert hermes.said(hermes.load()["messages"]) == hermes.said([m for turn in turns for m in turn])
    assert hermes.kinds() == []


def test_within_its_turn_such_an_id_tells_that_two_results_are_one(hermes: Hermes) -> None:
    """The server has shortened the result; the row has the whole, under the same id."""
    turns = [with_tools(hermes, ("call_0", "call_1"), start=1000.0 * k) for k in range(2)]
    live = [dict(m) for turn in turns for m in turn]
    live[2]["content"] = "[Duplicate tool output - same content as a more recent call]"
    before = hermes.write_live(live)
    hermes.write_rows([m for turn in turns for m in turn])
    assert hermes.kinds() == []
    hermes.repair()
    assert hermes.live.read_bytes() == before


@pytest.mark.parametrize("step", [-3600.0, -30.0, -2.0, 3600.0])
def test_a_clock_that_was_set_makes_no_new_message(hermes: Hermes, step: float) -> None:
    """The clock was set between two turns: what the agent wrote after it, and the server later, is all of that time."""
    before, after = hermes.turns("a", "b", "continue"), hermes.turns("continue", "d", start=100 + step)
    data = hermes.write_live([*before, *after], updated_at=after[-1]["timestamp"] + 1)
    hermes.write_rows([*before, *after])
    assert hermes.kinds() == []
    hermes.repair()
    assert hermes.live.read_bytes() == data


@pytest.mark.parametrize("step", [-3600.0, -30.0])
def test_what_was_said_after_the_clock_was_set_back_stays_at_the_end(hermes: Hermes, step: float) -> None:
    before, after = hermes.turns("a", "b", "c"), hermes.turns("d", "e", start=100 + step)
    hermes.write_live([*before, *after[:2]], updated_at=after[1]["timestamp"])
    hermes.write_rows([*before, *after])
    hermes.repair()
    assert hermes.texts() == hermes.said([*before, *after])


@pytest.mark.parametrize("later", [6.0, 60.0, 6000.0])
def test_an_undone_prompt_does_not_swallow_a_pending_one_that_says_the_same(hermes: Hermes, later: float) -> None:
    """The user took a turn back and sent the same words again; the server died before the answer. Nor does the answer
    that was taken back come back with the next repair."""
    kept, gone = hermes.turns("a"), hermes.turns("b", start=20)
    sent = gone[0]["timestamp"] + later
    waiting = {"active_stream_id": "70943de8d779", "pending_user_message": "ask b", "pending_started_at": sent}
    hermes.write_live(kept, **hermes.undo_marks(kept) | {"updated_at": sent}, **waiting)
    hermes.write_backup([*kept, *gone])
    hermes.write_rows([*kept, *gone])
    hermes.repair()
    assert hermes.texts() == hermes.said([*kept, gone[0]])
    assert hermes.load()["messages"][-1]["timestamp"] == sent
    assert api.plan(find_store(home=hermes.home)).is_empty


def test_two_turns_with_the_same_words_and_other_calls_are_two(hermes: Hermes) -> None:
    """Both prompts and both answers say the same, hours apart; what the tools were asked and gave back was another."""
    notice = "Error code: 429. The provider is overloaded, please try again in a few moments."
    lost, kept = (
        [prompt | {"content": "go on"}, *steps, answer | {"content": notice}]
        for prompt, *steps, answer in (
            with_tools(hermes, [call], start, 60.0) for call, start in (("call_1f40", 0.0), ("call_2b77", 9000.0))
        )
    )
    hermes.write_live(kept)
    hermes.write_backup(lost)
    hermes.repair()
    assert hermes.texts() == hermes.said([*lost, *kept])


def short_turns(hermes: Hermes, number: int, start: float = 0.0) -> list[Value]:
    """Turns with nothing in them by which one is known, ten seconds apart."""
    said = hermes.turns(*map(str, range(number)), start=start)
    return [m | {"content": "continue" if m["role"] == "user" else "Done."} for m in said]


@pytest.mark.parametrize("by", [stretched(60.0, 0.0, 0.0), stretched(0.7, 0.0, 0.0), stretched(1.0, 6.0, 0.0)])
def test_a_clock_of_its_own_makes_no_new_turn_of_those_that_are_all_alike(hermes: Hermes, by: Rising) -> None:
    """By two times of one clock each copy would have lost every other turn."""
    said = short_turns(hermes, 4)
    hermes.write_live(said)
    hermes.write_run(moved(said, by), updated_at=START + 100)
    assert hermes.kinds() == []


def test_a_copy_that_answers_after_the_next_prompt_of_another_has_a_clock_of_its_own(hermes: Hermes) -> None:
    """Though both begin with the same turn at the same time."""
    said = [*with_tools(hermes, ["call_0123456789ab"], length=40.0), *short_turns(hermes, 1, start=60.0)]
    hermes.write_live(said)
    hermes.write_run(moved(said, stretched(60.0, 0.0, 0.0)), updated_at=START + 100)
    assert hermes.kinds() == []


def test_a_short_turn_that_a_copy_with_a_clock_of_its_own_brought_back_is_known_in_the_next_copy(
    hermes: Hermes,
) -> None:
    words = [f"{word}, at the length of a sentence" for word in ("alpha", "beta")]
    first, last = hermes.turns(words[0]), hermes.turns(words[1], start=200.0)
    said = [*first, *short_turns(hermes, 1, start=100.0), *last]
    hermes.write_live([*first, *last])
    hermes.write_backup(moved(said, stretched(1.0, 1e6, 0.0)))
    hermes.write_run(said, updated_at=START + 210)
    hermes.repair()
    assert hermes.texts() == hermes.said(said)
    assert hermes.kinds() == []


@pytest.mark.parametrize("is_cleared", [False, True])
def test_a_prompt_with_which_a_torn_file_ends_is_the_row_that_was_written_minutes_later(
    hermes: Hermes, is_cleared: bool
) -> None:
    """When its turn ended is lost with the answer. Only rows have what came before it, where that was cleared."""
    first, said = hermes.turns("a"), short_turns(hermes, 1, start=100.0)
    said[-1]["timestamp"] = START + 900
    marks = hermes.cleared | {"updated_at": START + 901} if is_cleared else {}
    hermes.write_live(said if is_cleared else [*first, *said], **marks)
    hermes.tear_live("Done.")
    hermes.write_rows([*first, said[0] | {"timestamp": START + 700}, said[1]])
    hermes.repair()
    assert hermes.texts() == hermes.said(said if is_cleared else [*first, *said])


def test_a_short_turn_behind_a_tear_is_no_other_though_that_ended_less_than_a_second_before(hermes: Hermes) -> None:
    first, *more = (short_turns(hermes, 1, start=time) for time in (0.0, 100.0, 200.0))
    said = [*first, *hermes.turns("a", start=50.0), *more[0], *more[1]]
    said[3]["timestamp"] = more[0][0]["timestamp"] - 0.4
    hermes.write_live(said)
    data = hermes.live.read_text()
    hermes.live.write_text(data[: data.index("}", data.index(said[3]["content"])) + 1])
    hermes.write_rows(said)
    hermes.repair()
    assert hermes.texts() == hermes.said(said)


@pytest.mark.parametrize("is_torn", [True, False])
def test_a_prompt_that_was_stamped_anew_is_the_row_of_when_it_was_sent(hermes: Hermes, is_torn: bool) -> None:
    """The server notes that beside it. All of the turns say the same."""
    said = [m for k in range(4) for m in short_turns(hermes, 1, start=100.0 * k)]
    live = [m | {"_active_turn_token": f"{k:032}:{m['timestamp']}"} for k, m in enumerate(said[:4])]
    live[2]["timestamp"] = said[4]["timestamp"] - 1
    hermes.write_live(live if is_torn else [*live, *said[4:]])
    if is_torn:
        data = hermes.live.read_text()
        hermes.live.write_text(data[: data.rindex('"role"')])
    hermes.write_rows(said)
    hermes.repair()
    assert hermes.texts() == hermes.said(said)


def test_a_row_that_is_written_late_in_its_turn_is_of_the_clock_of_the_file(hermes: Hermes) -> None:
    """So what each of them has behind that turn, of the same words at another time, are two turns."""
    first = with_tools(hermes, ["call_0123456789ab"], length=600.0)
    late = [first[0] | {"timestamp": START + 300}, *first[1:]]
    one, other = short_turns(hermes, 1, start=1000.0), short_turns(hermes, 1, start=9000.0)
    found = align(*([message(Piece(None, m, 2)) for m in copy] for copy in ([*first, *one], [*late, *other])))
    assert found.pairs == tuple((k, k) for k in range(len(first)))


@pytest.mark.parametrize(("calls", "is_one"), [(1, False), (2, True)])
def test_several_results_of_short_ids_make_a_turn_known_at_any_time(hermes: Hermes, calls: int, is_one: bool) -> None:
    """In one copy it has lost its calls. One result alone does not: a tool gives the same twice, and people say
    "continue" ten times."""
    turn, begin = with_tools(hermes, [f"call_{k}" for k in range(calls)]), short_turns(hermes, 1)
    turn[0]["content"], turn[-1]["content"] = "continue", "Done."
    turn = [m | {"content": f"{m['content']}, at the length of a sentence"} if m["role"] == "tool" else m for m in turn]
    lossy = [{key: value for key, value in m.items() if key != "tool_calls"} for m in turn]
    copies = [*begin, *moved(turn, stretched(1.0, 1000.0, 0.0))], [*begin, *moved(lossy, stretched(1.0, 90_000.0, 0.0))]
    found = align(*([message(Piece(None, m, 2)) for m in copy] for copy in copies))
    assert ((len(begin), len(begin)) in found.pairs) == is_one
