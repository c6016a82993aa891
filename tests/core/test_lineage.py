"""Whose conversation a row is part of: compactions, side runs, subagents, rows that say nothing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import pytest
from hermes_rescue.core.base.jsontext import Piece
from hermes_rescue.core.hermes.database import lineage
from hermes_rescue.core.hermes.database.continuation import Segment, copied, joined
from hermes_rescue.core.hermes.database.lineage import Doubt, Known, Lineage, trace
from hermes_rescue.core.hermes.database.statedb_rows import Claim, SessionRow
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.message import Message, message
from hermes_rescue.core.hermes.store import find_store
from hypothesis import given
from hypothesis import strategies as st

SID = OLD = "3f2a9c51b7d0"  # that of the fixture
NEW = "20260807_101112_ab12cd"
START = 1_777_000_000.0
SUMMARY = {"role": "user", "content": "[CONTEXT COMPACTION — REFERENCE ONLY] Earlier turns were compacted."}


def row(sid: str, parent: str | None = None, *, began: float = 0.0, ended: float | None = None, **columns: Any) -> Any:
    """A session row; one that has ended was compacted unless it says otherwise."""
    reason = "compression" if ended is not None else None
    usual = {"source": "webui", "parent_session_id": parent, "started_at": began, "ended_at": ended}
    return SessionRow.of(sid, {"id": sid, "title": None, "end_reason": reason, **usual, **columns})


def known(*sidecars: str, index: Mapping[str, Mapping[str, Any]] = {}, journals: tuple[str, ...] = ()) -> Known:
    """What the WebUI knows: live files, index rows, journals."""
    return Known(sidecars, (index,), (journals,), lambda sid: index.get(sid, {}))


def traced(known: Known, *rows: SessionRow, has_summary: Any = lambda _: False) -> Lineage:
    return trace([{each.id: each for each in rows}], known, has_summary)


CHAIN = (row("a", ended=10.0), row("b", "a", began=10.0, ended=20.0), row("c", "b", began=20.0))


class TestOwners:
    """Which session a row of a compacted conversation is part of."""

    def test_a_file_that_was_renamed_leaves_rows_without_a_file(self) -> None:
        found = traced(known("c"), *CHAIN)
        assert (found.owners, found.parts) == ({"a": "c", "b": "c"}, {"c": ("a", "b", "c")})

    def test_journals_stay_under_the_old_id_of_a_renamed_file(self) -> None:
        assert not traced(known("c", journals=("a", "c")), *CHAIN).is_own("a")

    def test_an_id_that_was_kept_has_the_rows_of_its_children(self) -> None:
        found = traced(known("a"), *CHAIN)
        assert (found.owners, found.parts) == ({"b": "a", "c": "a"}, {"a": ("a", "b", "c")})

    def test_the_link_between_two_compactions_of_one_turn_is_no_session(self) -> None:
        index: dict[str, dict[str, Any]] = {"a": {"pre_compression_snapshot": True}, "c": {"parent_session_id": "a"}}
        found = traced(known("a", "c", index=index), *CHAIN)
        assert found.owners == {"b": "c"}
        assert found.parts["c"] == ("a", "b", "c")
        assert found.goes_on == {"a": ("b", "c")}

    def test_a_child_is_lost_where_its_parent_is_a_snapshot(self) -> None:
        found = traced(known("a", index={"a": {"pre_compression_snapshot": True}}), *CHAIN[:2])
        assert found.is_own("b")
        assert found.parts["b"] == ("a", "b")

    def test_a_conversation_that_nothing_else_knows_is_one_session(self) -> None:
        found = traced(known(), *CHAIN)
        assert [sid for sid in "abc" if found.is_own(sid)] == ["c"]
        assert found.parts["c"] == ("a", "b", "c")

    def test_two_files_that_do_not_follow_each_other_stay_apart(self) -> None:
        found = traced(known("a", "b"), *CHAIN[:2])
        assert (found.parts, found.owners, found.goes_on) == ({}, {}, {})

    def test_a_deleted_conversation_keeps_its_rows(self) -> None:
        assert not traced(known(journals=("c",)), *CHAIN).is_own("a")

    def test_a_second_continuation_is_in_doubt(self) -> None:
        snapshot = {"a": {"pre_compression_snapshot": True}}
        found = traced(known("a", "b", index=snapshot), *CHAIN[:2], row("x", "a", began=11.0))
        assert found.doubtful == {"x"}

    def test_ancestors_in_a_circle_end(self) -> None:
        found = traced(known(), row("a", "b", ended=1.0), row("b", "a", ended=1.0))
        assert found == Lineage()

    def test_the_parts_of_some_sessions_go_to_another_process(self) -> None:
        found = traced(known("c"), *CHAIN, row("x", "c", began=1.0))
        assert found.of(["c", "x"]).about("c") == found.about("c")
        assert found.of(["x"]).parts == {}
        assert found.of(["x"]).side_runs == {"x"}


class TestChildren:
    """A parent alone makes no continuation."""

    def test_a_subagent_is_started_while_its_parent_runs(self) -> None:
        """Agents up to 0.16 gave it the source of the parent, and no mark."""
        assert traced(known("a"), row("a"), row("x", "a", began=5.0)).side_runs == {"x"}
        assert traced(known("a"), row("a", ended=9.0), row("x", "a", began=5.0)).side_runs == {"x"}

    @pytest.mark.parametrize(
        "columns",
        [{"title": "Notes"}, {"model_config": '{"_branched_from": "a"}'}, {"source": "cli"}],
        ids=["titled", "branch", "other source"],
    )
    def test_any_other_child_stands_alone(self, columns: dict[str, Any]) -> None:
        assert traced(known("a"), row("a"), row("x", "a", began=5.0, **columns)).is_own("x")

    def test_a_child_that_the_webui_knows_is_a_session(self) -> None:
        assert traced(known("a", "x"), row("a"), row("x", "a", began=5.0)).is_own("x")

    def test_a_summary_tells_where_the_parent_was_opened_again(self) -> None:
        found = traced(known("a"), row("a"), row("x", "a", began=5.0), has_summary=lambda sid: sid == "x")
        assert found.parts == {"a": ("a", "x")}

    def test_a_parent_that_is_not_the_webuis_hands_nothing_on(self) -> None:
        assert traced(known(), row("a", ended=1.0, source="telegram"), row("x", "a", began=1.0)).is_own("x")


class TestClaims:
    """What a row says of itself."""

    @pytest.mark.parametrize(
        ("columns", "claim"),
        [
            ({"source": "webui"}, Claim.YES),
            ({"source": None}, Claim.ASK),
            ({"title": "Notes"}, Claim.ASK),
            ({"source": "api_server", "session_key": "webui:x"}, Claim.YES),
            ({"source": "api_server", "session_key": None}, Claim.IF_KNOWN),
            ({"source": "api_server", "session_key": "agent:main"}, Claim.NO),
            ({"source": "webui", "title": "bg: tidy up"}, Claim.IF_KEPT),
            ({"source": "webui", "model_config": '{"_delegate_from": "__orphaned__"}'}, Claim.ASK),
            ({"source": "webui", "model_config": '{"_delegate_from": "x"}'}, Claim.NO),
            ({"source": "cli"}, Claim.NO),
            ({}, Claim.IF_KNOWN),
        ],
    )
    def test_of_a_row(self, columns: dict[str, Any], claim: Claim) -> None:
        assert SessionRow.of("s", columns).claim is claim

    @pytest.mark.parametrize("claim", [Claim.ASK, Claim.IF_KNOWN])
    def test_the_webui_knowing_its_id_decides_an_open_one(self, claim: Claim) -> None:
        columns = {"title": None} if claim is Claim.ASK else {"source": "api_server"}
        stranger, own = (lineage.recognised(SessionRow.of(sid, columns), known("own"))[0] for sid in ("s", "own"))
        assert (stranger.is_certain, own.is_certain) == (False, True)
        assert stranger.is_webui is (claim is Claim.ASK)

    def test_a_side_title_counts_only_without_a_file(self) -> None:
        columns = {"source": "webui", "title": "btw: really?"}
        assert lineage.recognised(SessionRow.of("s", columns), known("s"))[0].is_webui
        assert not lineage.recognised(SessionRow.of("s", columns), known(index={"s": {}}))[0].is_webui


class TestSideRuns:
    """/btw and /background: no title in the row, no submitted turn."""

    SUBMITTED, STARTED, DONE = ({"event": name} for name in ("submitted", "worker_started", "completed"))

    @pytest.mark.parametrize(
        ("titles", "turns", "runs", "expected"),
        [
            ([None], [SUBMITTED, STARTED, DONE], [], False),
            ([None], [STARTED, DONE], [], True),
            ([None], [DONE], [], None),  # the end of a turn that began under another id
            ([None], [], [{"event": "done", "payload": {"ephemeral": True, "session": {"messages": []}}}], True),
            ([None], [], [{"event": "done", "payload": {"session": {"title": "bg: tidy up"}}}], True),
            ([None], [], [{"event": "done", "payload": {"session": {"title": "Notes"}}}], False),
            (["btw: really?", None], [], [], True),
            (["btw: really?"], [SUBMITTED], [], False),
            (["Notes", None], [], [], False),
            ([None], [], [{"event": "token", "payload": "text"}], None),
        ],
    )
    def test_what_is_left_beside_the_row_tells(
        self, titles: list[Any], turns: list[Any], runs: list[Any], expected: bool | None
    ) -> None:
        assert lineage.side_run(titles, turns, runs) is expected

    def test_a_damaged_journal_may_have_lost_the_prompt(self) -> None:
        assert lineage.side_run([None], [self.STARTED], [], is_whole=False) is None

    @pytest.mark.parametrize(
        ("times", "expected"),
        [
            ([], False),
            ([100.0], True),
            ([100.0, 160.0], False),
            ([20.0, 50.0, 100.0], True),  # a copy of the parent with the old times
            ([100.0, 100.01, 100.02, 103.0], True),  # or with new ones
            ([None], True),
        ],
    )
    def test_a_side_run_has_one_prompt(self, times: list[float | None], expected: bool) -> None:
        assert lineage.is_one_run(99.0, times) is expected


def said(role: str, text: str, time: float | None = None, **parts: Any) -> Message:
    return message(Piece(None, {"role": role, "content": text, "timestamp": time, **parts}, 2))


def texts(segments: list[Segment]) -> list[str]:
    return [segments[k].messages[at].text for k, at in joined(segments)]


def segment(first: int, *messages: Message) -> Segment:
    return Segment(range(first, first + len(messages)), messages)


PLAIN = st.lists(st.sampled_from(["go on", "ok", "one", "two", "three"]), min_size=2, max_size=12)


class TestJoining:
    """What a compaction copied is said once."""

    def turns(self, *words: str, start: float) -> list[Message]:
        pairs = [
            (said("user", w, start + 60 * k), said("assistant", f"re {w}", start + 60 * k + 9))
            for k, w in enumerate(words)
        ]
        return [each for pair in pairs for each in pair]

    def batch(self, messages: list[Message], at: float) -> list[Message]:
        return [said(m.role, m.text, at) for m in messages]

    @given(PLAIN, PLAIN, st.integers(0, 4), st.integers(0, 8))
    def test_a_conversation_comes_back_as_it_was(self, old: list[str], new: list[str], head: int, tail: int) -> None:
        before, after = self.turns(*old, start=0.0), self.turns(*new, start=5000.0)
        kept = before[max(head, len(before) - tail) :]
        summary = said("user", SUMMARY["content"], 4000.0)
        copy = [*self.batch(before[:head], 4000.0), summary, *self.batch(kept, 4000.001)]
        found = texts([segment(1, *before), segment(100, *copy, *after)])
        assert [text for text in found if text != summary.text] == [m.text for m in (*before, *after)]

    def test_results_that_were_cut_down_are_copies(self) -> None:
        calls = [{"id": "call_1", "function": {"name": "terminal"}}]
        old = [
            said("user", "run it", 1.0),
            said("assistant", "", 2.0, tool_calls=calls),
            said("tool", "x" * 99, 3.0, tool_call_id="call_1"),
        ]
        cut = said("tool", "[Duplicate tool output — same content as a more recent call]", 50.0, tool_call_id="call_1")
        child = [said("user", SUMMARY["content"], 50.0), old[1], cut, said("assistant", "done", 60.0)]
        assert copied(old, child) == {1, 2}

    def test_a_summary_in_the_first_message_of_the_tail(self) -> None:
        old = self.turns("a", "b", start=0.0)
        header, end = (
            "[PRIOR CONTEXT — for reference only; not a new message]",
            "[END OF PRIOR CONTEXT — SUMMARY BELOW]",
        )
        merged = f"{header}\nre a\n\n{end}\n\n{SUMMARY['content']}"
        child = [said("assistant", merged, 500.0), *self.batch(old[2:], 500.0), said("user", "c", 600.0)]
        assert copied(old, child) == {0, 1, 2}

    def test_a_repeated_prompt_that_only_the_child_has_stays(self) -> None:
        """Older agents wrote the turn of the moment under the child alone, all at once."""
        old = self.turns("continue", "more", start=0.0)
        child = [
            said("assistant", SUMMARY["content"], 500.0),
            said("user", "continue", 500.0),
            said("assistant", "new", 500.1),
        ]
        assert copied(old, child) == frozenset()

    def test_an_older_end_of_a_file_that_lagged_behind_is_a_copy(self) -> None:
        calls = [{"id": "call_7", "function": {"name": "terminal"}}]
        tail = [
            said("assistant", "", 5.0, tool_calls=calls),
            said("tool", "out", 6.0, tool_call_id="call_7"),
            said("assistant", "so", 7.0),
        ]
        old = [said("user", "a", 1.0), *tail, *self.turns("b", start=100.0)]
        assert copied(old, [said("user", SUMMARY["content"], 300.0), *tail, *self.turns("c", start=400.0)]) == {1, 2, 3}

    def test_an_id_that_is_taken_up_again_goes_on_behind_its_child(self) -> None:
        first, second, third = (
            self.turns(word, start=start) for word, start in (("a", 0.0), ("b", 100.0), ("c", 200.0))
        )
        old = Segment([1, 2, 30, 31], [*first, *third])
        child = Segment(
            [10, 11, 12, 13, 14], [said("user", SUMMARY["content"], 90.0), *self.batch(first, 90.0), *second]
        )
        assert [t for t in texts([old, child]) if t[0] != "["] == ["a", "re a", "b", "re b", "c", "re c"]

    def test_rows_that_were_imported_out_of_order(self) -> None:
        first, second = self.turns("a", start=0.0), self.turns("b", start=100.0)
        assert texts([segment(50, *first), segment(1, *second)]) == ["a", "re a", "b", "re b"]


@contextmanager
def inventory(hermes: Any, *only: str) -> Iterator[Inventory]:
    with Inventory(find_store(home=hermes.home), only=only or None) as found:
        yield found


def rotated(hermes: Any, old: list[Any], new: list[Any], **child: Any) -> None:
    """A conversation in the database that was compacted by rotation: the tail stands again under the child."""
    ended = old[-1]["timestamp"] + 3
    hermes.write_rows(old, sid=OLD, ended_at=ended, end_reason="compression")
    copy = [{**m, "timestamp": ended} for m in (SUMMARY, *old[-2:])]
    columns = {"title": None, "started_at": ended, "parent_session_id": OLD, **child}
    hermes.write_rows([*copy, *new], sid=NEW, **columns)


class TestInAStore:
    """The same with files and a database."""

    def test_later_turns_come_back_into_the_same_conversation(self, hermes: Any) -> None:
        old, new = hermes.turns("a", "b"), hermes.turns("c", start=100)
        hermes.write_live(old)
        rotated(hermes, old, new)
        with inventory(hermes) as found:
            assert found.session_ids() == (OLD,)
        hermes.repair()
        assert hermes.texts() == hermes.said([*old, *new])
        assert [path.name for path in hermes.sessions.glob("2*.json")] == []

    def test_nothing_is_lost_where_the_file_holds_all(self, hermes: Any) -> None:
        old, new = hermes.turns("a", "b"), hermes.turns("c", start=100)
        before = hermes.write_live([*old, *new])
        rotated(hermes, old, new)
        assert hermes.kinds() == []
        hermes.repair()
        assert hermes.live.read_bytes() == before

    def test_a_renamed_file_is_no_lost_one(self, hermes: Any) -> None:
        old, new = hermes.turns("a", "b"), hermes.turns("c", start=100)
        hermes.write(hermes.sessions / f"{NEW}.json", hermes.session([*old, *new], session_id=NEW))
        rotated(hermes, old, new)
        with inventory(hermes) as found:
            assert found.session_ids() == (NEW,)
        hermes.repair()
        assert not hermes.live.exists()

    def test_all_of_a_lost_conversation_comes_back_under_its_last_id(self, hermes: Any) -> None:
        old, new = hermes.turns("a", "b"), hermes.turns("c", start=100)
        rotated(hermes, old, new)
        hermes.repair()
        assert [path.stem for path in hermes.sessions.glob("*.json") if path.stem[0] != "_"] == [NEW]
        got = json.loads((hermes.sessions / f"{NEW}.json").read_bytes())
        assert hermes.said(got["messages"]) == hermes.said([*old, *new])
        assert (got["title"], got["created_at"]) == ("Notes", START)

    @pytest.mark.parametrize("only", [(), (NEW,)], ids=["all", "one"])
    def test_one_session_is_read_as_in_the_whole_store(self, hermes: Any, only: tuple[str, ...]) -> None:
        rotated(hermes, hermes.turns("a", "b"), hermes.turns("c", start=100))
        with inventory(hermes, *only) as found:
            (copy,) = found.copies(NEW).databases
        assert sum(m.role == "user" and not m.is_summary for m in copy.messages) == 3

    def test_a_run_that_ended_under_another_id_is_in_the_journal_of_the_first(self, hermes: Any) -> None:
        old, new = hermes.turns("a", "b"), hermes.turns("c", start=100)
        rotated(hermes, old, new)
        journal = hermes.sessions / "_run_journal" / OLD
        journal.mkdir(parents=True)
        session = hermes.session([*old, *new], session_id=NEW)
        done = {"event": "done", "session_id": OLD, "created_at": 1.0, "payload": {"session": session}}
        (journal / "r.jsonl").write_text(json.dumps(done) + "\n")
        hermes.write_index({"session_id": NEW, "title": "Notes", "parent_session_id": OLD})
        with inventory(hermes) as found:
            run = found.copies(NEW).run
        assert run is not None and len(run.messages) == 6

    def test_the_hidden_part_of_a_turn_that_went_on_elsewhere_is_a_question(self, hermes: Any) -> None:
        old, new = hermes.turns("a", "b"), hermes.turns("c", start=100)
        snapshot = {"session_id": OLD, "title": "Notes", "pre_compression_snapshot": True}
        hermes.write_index(snapshot, {"session_id": NEW, "title": "Notes", "parent_session_id": OLD})
        rotated(hermes, old[:-1], [old[-1], *new])
        with inventory(hermes) as found:
            copies = found.copies(OLD)
            assert (copies.goes_on, copies.doubt) == (NEW, Doubt.GOES_ON)
            assert found.copies(NEW).doubt is None

    def test_a_hidden_part_that_ends_with_a_turn_is_whole(self, hermes: Any) -> None:
        old, new = hermes.turns("a", "b"), hermes.turns("c", start=100)
        hermes.write_live(old, pre_compression_snapshot=True)
        hermes.write(hermes.sessions / f"{NEW}.json", hermes.session([*old, *new], session_id=NEW))
        rotated(hermes, old, new)
        with inventory(hermes) as found:
            copies = found.copies(OLD)
            assert (copies.goes_on, copies.doubt) == (NEW, None)

    def test_a_row_without_a_trace_of_a_side_run_is_a_question(self, hermes: Any) -> None:
        hermes.write_rows(hermes.turns("a"), title=None)
        with inventory(hermes) as found:
            assert found.copies(SID).doubt is Doubt.SIDE_RUN

    @pytest.mark.parametrize("words", [("a", "b"), ()], ids=["two prompts", "none"])
    def test_more_than_a_side_run_has_is_a_lost_chat(self, hermes: Any, words: tuple[str, ...]) -> None:
        hermes.write_rows(hermes.turns(*words), title=None)
        with inventory(hermes) as found:
            assert found.copies(SID).doubt is None

    @pytest.mark.parametrize(
        ("event", "expected"), [({"event": "submitted"}, False), ({"event": "worker_started"}, True)]
    )
    def test_the_turn_journal_knows_a_side_run(self, hermes: Any, event: dict[str, str], expected: bool) -> None:
        hermes.write_rows(hermes.turns("a"), title=None)
        journal = hermes.sessions / "_turn_journal"
        journal.mkdir()
        (journal / f"{SID}~7.jsonl").write_text(json.dumps({"turn_id": "t", "session_id": SID, **event}) + "\n")
        with inventory(hermes) as found:
            copies = found.copies(SID)
        assert (copies.is_side_run, copies.doubt) == (expected, None)

    def test_a_side_run_is_never_offered(self, hermes: Any) -> None:
        hermes.write_rows(hermes.turns("a"), title=None)
        hermes.write_index({"session_id": SID, "title": "bg: tidy up"})
        assert hermes.kinds() == []
        hermes.repair(SID)
        assert not hermes.live.exists()

    @pytest.mark.parametrize("columns", [{"title": None}, {"model_config": '{"_delegate_from": "__orphaned__"}'}])
    def test_what_may_be_no_lost_chat_is_asked(self, hermes: Any, columns: dict[str, Any]) -> None:
        turns = hermes.turns("a")
        hermes.write_rows(turns, **columns)
        hermes.repair()
        assert not hermes.live.exists()
        assert hermes.kinds() == ["state_db_missing_sidecar"]
        hermes.repair(SID)
        assert hermes.texts() == hermes.said(turns)

    def test_a_hidden_part_stays_as_it_is(self, hermes: Any) -> None:
        old, new = hermes.turns("a", "b"), hermes.turns("c", start=100)
        before = hermes.write_live(old[:2], pre_compression_snapshot=True)
        hermes.write(hermes.sessions / f"{NEW}.json", hermes.session([*old, *new], session_id=NEW))
        rotated(hermes, old[:-1], [old[-1], *new])
        assert hermes.kinds() == []
        hermes.repair()
        assert hermes.live.read_bytes() == before

    def test_a_file_is_a_session_whatever_its_row_lacks(self, hermes: Any) -> None:
        hermes.write_live(hermes.turns("a"))
        hermes.write_rows(hermes.turns("a"), title=None)
        with inventory(hermes) as found:
            copies = found.copies(SID)
        assert (copies.is_side_run, copies.doubt) == (False, None)

    def test_without_a_source_it_is_asked(self, hermes: Any) -> None:
        hermes.write_rows(hermes.turns("a", "b"))
        with closing(sqlite3.connect(hermes.home / "state.db")) as database:
            database.executescript("DROP INDEX IF EXISTS idx_sessions_source; ALTER TABLE sessions DROP COLUMN source;")
        with inventory(hermes) as found:
            assert found.session_ids() == (SID,)
            assert found.copies(SID).doubt is Doubt.NO_SOURCE
        hermes.write_index({"session_id": SID, "title": "Notes"})
        with inventory(hermes) as found:
            assert found.copies(SID).doubt is None

    def test_the_gateway_writes_for_a_session_that_the_webui_knows(self, hermes: Any) -> None:
        hermes.write_rows(hermes.turns("a"), source="api_server")
        with inventory(hermes) as found:
            assert found.session_ids() == ()
        hermes.write_index({"session_id": SID, "title": "Notes"})
        with inventory(hermes) as found:
            assert [len(copy.messages) for copy in found.copies(SID).databases] == [2]
