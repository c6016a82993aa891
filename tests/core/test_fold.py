"""A message that one copy has several times is one message; one that was said several times is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import pytest
from hermes_rescue.core.base.jsontext import Piece
from hermes_rescue.core.hermes.database.fold import Folded, fold, repeated
from hermes_rescue.core.hermes.database.statedb_rows import Status
from hermes_rescue.core.hermes.message import Message, message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

START = 1_784_000_000.0
SUMMARY = "[CONTEXT COMPACTION \N{EM DASH} REFERENCE ONLY] Earlier turns were compacted into the summary below."
END = "--- END OF CONTEXT SUMMARY \N{EM DASH} respond to the message below, not the summary above ---"
MERGED = (
    "[PRIOR CONTEXT \N{EM DASH} for reference only; not a new message]\n{}\n\n"
    "[END OF PRIOR CONTEXT \N{EM DASH} COMPACTION SUMMARY BELOW]\n\n" + SUMMARY + "\n\n" + END
)
LONG = "The tests fail because the cache is cleared before the last worker has written what it found."

Value = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """A row: what it says, its status, and which message it is (None: a summary)."""

    value: Value
    which: int | None
    status: Status = "active"

    def again(self, time: float | None = None, **changes: Any) -> Self:
        """The same message in a new row, with its own time or another one."""
        when = self.value["timestamp"] if time is None else time
        return replace(self, value={**self.value, **changes, "timestamp": when}, status="active")


@dataclass
class Agent:
    """Writes rows as the agent does: ``context`` is what the model is sent, ``said`` counts the messages."""

    rows: list[Row] = field(default_factory=list)
    context: list[Row] = field(default_factory=list)
    clock: float = START
    said: int = 0

    def say(self, role: str, text: str, wait: float = 5.0, **fields: Any) -> Row:
        self.clock += wait
        row = Row({"role": role, "content": text, "timestamp": self.clock, **fields}, self.said)
        self.said += 1
        self.rows.append(row)
        self.context.append(row)
        return row

    def call(self, *ids: str, text: str = "", result: str = "ok", wait: float = 5.0) -> None:
        calls = [{"id": i, "type": "function", "function": {"name": "terminal", "arguments": "{}"}} for i in ids]
        self.say("assistant", text, wait, tool_calls=calls)
        for i in ids:
            self.say("tool", f"{result} {i}", wait, tool_call_id=i)

    def turn(self, prompt: str, answer: str, *ids: str, wait: float = 5.0) -> None:
        self.say("user", prompt, wait)
        for i in ids:
            self.call(i, wait=wait)
        self.say("assistant", answer, wait)

    def flush(self) -> None:
        """Write the whole transcript once more, each message and the summary at its first place."""
        live = {row.which: row for row in self.rows if row.status == "active"}
        again = [row.again() for row in live.values()]
        self.rows += again
        self.context = [row for row in again if row.which is not None]

    def compact(
        self,
        tail: int,
        head: int = 0,
        *,
        times: Callable[[int], bool] = lambda _: False,
        merges: bool = False,
        archives: bool = True,
    ) -> None:
        """``times`` says of which carried messages the times are kept; ``archives`` is False for one that failed."""
        self.clock += 2.0
        if archives:
            self.rows = [replace(row, status="compacted") if row.status == "active" else row for row in self.rows]
        carried = [*self.context[:head], None, *self.context[len(self.context) - tail :]]
        block: list[Row] = []
        for k, row in enumerate(carried):
            now = self.clock + k * 1e-6
            if row is None:
                if not merges or not tail:
                    block.append(Row({"role": "user", "content": SUMMARY, "timestamp": now}, None))
            elif merges and k == head + 1:
                block.append(row.again(now, content=MERGED.format(row.value["content"])))
            else:
                block.append(row.again(None if times(k) else now))
        self.rows += block
        self.context = block
        self.clock += len(carried) * 1e-6

    @property
    def messages(self) -> list[Message]:
        return [message(Piece(None, row.value, 2)) for row in self.rows]

    @property
    def statuses(self) -> list[Status]:
        return [row.status for row in self.rows]

    def folded(self, *links: int) -> tuple[Folded, ...]:
        return fold(self.messages, self.statuses, links)

    def found(self, *links: int) -> list[int]:
        """Which messages the folded rows are, in order; without summaries."""
        which = (self.rows[f.first].which for f in self.folded(*links))
        return [number for number in which if number is not None]

    @property
    def all(self) -> list[int]:
        """All messages, each once."""
        return list(range(self.said))


def texts(found: Sequence[Folded]) -> list[str]:
    return [f.message.text for f in found]


OLD_OR_NEW = pytest.mark.parametrize("times", [lambda _: True, lambda _: False, lambda k: k % 2 == 0])


def test_what_was_really_said_again_stays() -> None:
    agent = Agent()
    for _ in range(10):
        agent.turn("continue", "Done.", "call_0", "call_1")  # ids count from 0 in each turn
    agent.turn("thanks", "Done.")
    agent.turn("thanks", "Done.", wait=0.2)  # nobody types so fast, but a program does
    agent.turn("thanks", "Done.", wait=0.2)
    assert agent.found() == agent.all


def test_a_flush_that_writes_the_whole_transcript_again_adds_nothing() -> None:
    agent = Agent()
    for number in range(4):
        agent.turn("continue", f"part {number}", "call_0")
        agent.rows += [row.again() for row in agent.context]
    assert agent.found() == agent.all


def test_a_prompt_that_was_written_twice_is_one() -> None:
    agent = Agent()
    for _ in range(5):
        prompt = agent.say("user", "continue")
        agent.rows.append(prompt.again(agent.clock + 0.02))
        agent.say("assistant", "Done.")
    assert agent.found() == agent.all


@pytest.mark.parametrize("written", [2, 3, 4])
def test_a_retry_after_a_flush_that_failed_adds_nothing(written: int) -> None:
    agent = Agent()
    agent.turn("continue", "Done.")
    agent.turn("continue", LONG, "call_0", wait=0.001)
    turn = agent.rows[2:]
    agent.rows[2:] = [*turn[:written], *(row.again(row.value["timestamp"] + 0.4) for row in turn)]
    agent.turn("continue", "Done.")
    assert agent.found() == agent.all


@pytest.mark.parametrize(("sent", "left"), [((), 4), ((0.0,), 2), ((0.0, 0.5), 4), ((-30.0,), 4)])
def test_a_short_turn_that_stands_twice_within_a_second_is_one_if_one_prompt_was_sent(
    sent: Sequence[float], left: int
) -> None:
    agent = Agent()
    for wait in (5.0, 0.3):
        agent.say("user", "yes", wait)
        agent.say("assistant", "Done.", 0.2)
    times = [agent.rows[0].value["timestamp"] + t for t in sent]
    assert len(fold(agent.messages, agent.statuses, sent=times)) == left


def test_a_prompt_that_was_sent_again_after_no_answer_came_stays() -> None:
    agent = Agent()
    for _ in range(3):
        agent.say("user", "continue")
    assert agent.found() == agent.all


@OLD_OR_NEW
@pytest.mark.parametrize("merges", [False, True])
@pytest.mark.parametrize("archives", [False, True])
def test_what_a_compaction_carries_over_is_there_once(
    times: Callable[[int], bool], *, merges: bool, archives: bool
) -> None:
    agent = Agent()
    for number in range(4):
        agent.turn(f"question {number}", f"answer {number}", "call_0", "call_1")
    agent.compact(tail=9, head=3, times=times, merges=merges, archives=archives)
    agent.turn("go on", "answer", "call_0")
    agent.compact(tail=5, times=times, merges=merges, archives=archives)
    agent.turn("go on", "answer", "call_0")
    agent.compact(tail=5, head=2, times=times, merges=merges, archives=archives)
    agent.turn("and now?", "answer")
    assert agent.found() == agent.all


@OLD_OR_NEW
def test_where_all_turns_are_the_same_a_compaction_takes_none_of_the_later_ones(times: Callable[[int], bool]) -> None:
    agent = Agent()
    for _ in range(5):
        agent.turn("continue", "Done.")
    agent.compact(tail=4, times=times)
    for _ in range(5):
        agent.turn("continue", "Done.")
    agent.compact(tail=6, times=times)
    agent.turn("continue", "Done.")
    assert agent.found() == agent.all


def test_the_prompt_that_a_compaction_came_before_is_new() -> None:
    agent = Agent()
    for _ in range(3):
        agent.turn("continue", "Done.")
    agent.compact(tail=4)
    agent.say("user", "continue", wait=1e-6)  # written with the block, not before it
    agent.say("assistant", "Done.")
    assert agent.found() == agent.all


def test_what_the_webui_took_back_before_a_compaction_does_not_hide_what_was_carried_over() -> None:
    agent = Agent()
    for number in range(6):
        agent.turn(f"question {number}", f"answer {number}")
    del agent.context[6:10]  # an undo; the rows stay
    agent.compact(tail=5, head=1)
    agent.turn("go on", "answer")
    assert agent.found() == agent.all


def test_a_turn_after_a_compaction_is_new_whatever_the_clock_says() -> None:
    """It was set back before the compaction, so that all that follows is older than what was carried over; the calls
    of each turn are counted from 0."""
    agent = Agent()
    agent.turn("question 0", "answer 0", "call_0", "call_1")
    agent.turn("question 1", "answer 1", "call_0", "call_1", "call_2")
    agent.clock -= 3600
    agent.compact(tail=5)
    agent.turn("thanks", "answer 2", "call_0", "call_1", "call_2")
    assert agent.found() == agent.all


def test_what_a_flush_writes_again_after_a_compaction_says_nothing_of_what_that_carried_over() -> None:
    """Nor does its summary, which the flush wrote again, too; an earlier compaction had failed."""
    agent = Agent()
    agent.turn("question 0", "answer 0", "call_0")
    agent.turn("question 1", "answer 1", "call_0", "call_1")
    agent.compact(tail=5, times=lambda _: True, archives=False)
    agent.flush()
    agent.turn("question 2", "answer 2")
    agent.compact(tail=7)
    agent.flush()
    agent.turn("thanks", "answer 3", "call_0", "call_1")
    assert agent.found() == agent.all


def test_what_a_compaction_changes_is_still_the_same_message() -> None:
    agent = Agent()
    agent.turn("question", "answer")
    agent.say("user", [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "data:,"}}])  # type: ignore[arg-type]
    agent.call("call_7", result="a long result " * 40)
    agent.turn("thanks", "Done.")
    agent.compact(tail=5)
    stripped = {"type": "text", "text": "[Attached image \N{EM DASH} stripped after compression]"}
    changes = {-5: [{"type": "text", "text": "look"}, stripped], -3: "[terminal] ran `x` -> exit 0, 1 lines output"}
    for at, content in changes.items():
        agent.rows[at] = agent.rows[at].again(content=content)
    assert agent.found() == agent.all
    assert "a long result " * 40 + " call_7" in texts(agent.folded())


def test_a_summary_of_older_agents_before_the_text_of_a_message_is_that_message() -> None:
    agent = Agent()
    for number in range(3):
        agent.turn(f"question {number}", f"answer {number}")
    agent.compact(tail=3)
    del agent.rows[6]
    agent.rows[6] = agent.rows[6].again(content=f"{SUMMARY}\n\n{END}\n\nanswer 1")
    assert agent.found() == agent.all


def test_what_only_the_block_of_a_compaction_has_comes_at_its_place() -> None:
    agent = Agent()
    for number in range(4):
        agent.turn(f"question {number}", f"answer {number}")
    agent.compact(tail=5)
    lost = agent.rows.pop(5).which
    agent.turn("go on", "answer")
    assert lost == 5
    assert agent.found() == agent.all


def test_a_session_that_a_compaction_has_continued_elsewhere_repeats_nothing() -> None:
    agent = Agent()
    for number in range(4):
        agent.turn(f"question {number}", f"answer {number}", "call_0")
    link = len(agent.rows)
    agent.compact(tail=7, head=3, archives=False)
    agent.turn("go on", "answer", "call_0")
    assert agent.found(link) == agent.all


def test_the_whole_result_of_a_call_wins_over_the_short_one_and_keeps_its_time() -> None:
    agent = Agent()
    agent.turn("read it", "Done.", "call_0")
    short = agent.rows[2].again(content="[Duplicate tool output]")
    agent.rows[2:3] = [short, agent.rows[2].again(agent.clock, content="the whole text of the file")]
    agent.turn("read it", "Done.", "call_0")
    found = agent.folded()
    assert texts(found)[2] == "the whole text of the file"
    assert found[2].message.time == found[2].message.value["timestamp"] == short.value["timestamp"]
    assert agent.found() == agent.all


def test_two_calls_of_one_id_in_one_turn_keep_their_results() -> None:
    agent = Agent()
    agent.say("user", "look")
    agent.call("call_0", text="first this")
    agent.call("call_0", text="then that", result="something else")
    assert agent.found() == agent.all


def test_what_was_taken_back_after_a_compaction_stays_taken_back() -> None:
    agent = Agent()
    for number in range(3):
        agent.turn(f"question {number}", f"answer {number}")
    agent.compact(tail=4)
    agent.rows[-2:] = [replace(row, status="rewound") for row in agent.rows[-2:]]
    agent.turn("question 2", "another answer")
    kept = [f.message.text for f in agent.folded() if f.status != "rewound"]
    assert kept == ["question 0", "answer 0", "question 1", "answer 1", SUMMARY, "question 2", "another answer"]
    assert agent.found() == agent.all


def test_what_was_said_again_after_it_was_taken_back_is_not_taken_back() -> None:
    agent = Agent()
    agent.say("user", "continue")
    agent.rows[-1] = replace(agent.rows[-1], status="rewound")
    agent.say("user", "continue", wait=0.5)
    assert [f.status for f in agent.folded()] == ["rewound", "active"]


def test_a_row_that_was_written_again_after_it_was_archived_is_live() -> None:
    agent = Agent()
    agent.turn("question", "answer")
    agent.turn("question 2", "answer 2")
    agent.compact(tail=2)
    assert [f.status for f in agent.folded()] == ["compacted", "compacted", "active", "active", "active"]


def test_a_large_session_is_folded_like_a_small_one() -> None:
    agent = Agent()
    for number in range(6):
        agent.turn(f"{LONG} {number}", f"{LONG} {number}!", "call_0")
    agent.compact(tail=8, head=3)
    agent.rows += [row.again() for row in agent.context]
    pieces = [Piece(None, row.value, 2) for row in agent.rows]
    # the first rows are held with their texts, later ones without
    messages = [message(piece, is_brief=k > 10) for k, piece in enumerate(pieces)]
    assert repeated(messages, agent.statuses) == repeated(agent.messages, agent.statuses)
    assert agent.found() == agent.all


def test_a_session_of_nothing_but_repeats_is_folded_soon() -> None:
    agent = Agent()
    for _ in range(20_000):
        agent.turn("continue", "Done.", wait=0.01)
    agent.compact(tail=10_000)
    agent.rows += [row.again() for row in agent.context]
    assert agent.found() == agent.all


def test_rows_without_times_stay() -> None:
    messages = [message(Piece(None, {"role": role, "content": "continue"}, 2)) for role in ("user", "assistant") * 3]
    assert repeated(messages) == {}


def written_again(hermes: Any) -> tuple[list[Value], list[Value]]:
    """Some turns, and their rows as a flush wrote them that wrote everything again after each turn."""
    said = hermes.turns("a", "continue", "continue", "b")
    return said, [row for end in range(2, len(said) + 1, 2) for row in said[:end]]


def test_a_session_is_healthy_whatever_its_rows_repeat(hermes: Any) -> None:
    said, rows = written_again(hermes)
    hermes.write_live(said)
    hermes.write_rows(rows)
    assert hermes.kinds() == []


def test_a_lost_file_comes_back_from_such_rows_with_each_message_once(hermes: Any) -> None:
    said, rows = written_again(hermes)
    hermes.write_rows(rows)
    hermes.repair()
    assert hermes.texts() == hermes.said(said)


real_texts = st.sampled_from(("continue", "thanks", "look at it", LONG))


@st.composite
def lives(draw: st.DrawFn) -> Agent:
    """A conversation with real repeats, and with everything that the agent is known to write again."""
    agent = Agent()
    counts_from_zero = draw(st.booleans())
    calls = 0
    for _ in range(draw(st.integers(1, 7))):
        if counts_from_zero:
            calls = 0
        begin = len(agent.rows)
        flush = draw(st.sampled_from(("once", "once", "prompt twice", "all again", "retry")))
        wait = 0.002 if flush == "retry" else draw(st.sampled_from((0.05, 5.0)))
        agent.say("user", draw(real_texts), wait=max(wait, 1.5))
        if flush == "prompt twice":
            agent.rows.append(agent.rows[-1].again(agent.clock + 0.01))
        for _ in range(draw(st.integers(0, 2))):
            ids = [f"call_{calls + k}" for k in range(draw(st.integers(1, 2)))]
            calls += len(ids)
            agent.call(*ids, result=draw(real_texts), wait=wait)
        if draw(st.booleans()) or flush == "retry":
            agent.say("assistant", LONG if flush == "retry" else draw(real_texts), wait=wait)
        if flush == "all again":
            agent.rows += [row.again() for row in agent.context]
        elif flush == "retry":
            turn = agent.rows[begin:]
            written = draw(st.integers(2, len(turn)))
            if any("tool_calls" in row.value for row in turn[:written]) or written == len(turn):
                again = [row.again(row.value["timestamp"] + 0.5) for row in turn]
                agent.rows[begin:] = [*turn[:written], *again]
                agent.context[-len(turn) :] = [*turn[:written], *again[written:]]
                agent.clock += 0.5
        if len(agent.context) > 1 and draw(st.integers(0, 2)) == 0:
            tail = draw(st.integers(1, len(agent.context) - 1))
            head = draw(st.integers(0, min(3, len(agent.context) - tail - 1)))
            agent.compact(
                tail,
                head,
                times=draw(
                    st.sampled_from((lambda _: True, lambda _: False, lambda k: k % 2 == 0, lambda k: k % 3 == 0))
                ),
                merges=draw(st.booleans()) and agent.context[-tail].value["role"] != "tool",
                archives=draw(st.booleans()),
            )
    return agent


@settings(
    derandomize=True, max_examples=200, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(lives())
def test_whatever_was_written_again_each_message_is_there_once_and_in_order(agent: Agent) -> None:
    assert agent.found() == agent.all
