"""Search: what any copy says is found by its words, with what has become of it."""

from __future__ import annotations

import json
import sqlite3
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.base.progress import Cancelled
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.search import folding
from hermes_rescue.core.search.folding import Needle, fold, place_of
from hermes_rescue.core.search.query import Query, QueryError
from hermes_rescue.core.search.session_search import Held, Hit, SessionHits
from hermes_rescue.core.search.store_search import Unread, search
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ..conftest import LONG

Rescue = Callable[..., tuple[int, str, str]]

SID = "3f2a9c51b7d0"
OTHER = "telegram-77"
EVIL = "\x1b[31mwicked\x07\x9b2J\u202eabc\ud83d"


def found(hermes: Any, *words: str, pattern: str | None = None) -> dict[str, SessionHits]:
    """What a search finds, by session."""
    query = Query.of_words(words) if pattern is None else Query.of_pattern(pattern)
    batches = search(find_store(home=hermes.home), query)
    return {each.session_id: each for batch in batches for each in batch if isinstance(each, SessionHits)}


def hits(hermes: Any, *words: str) -> tuple[Hit, ...]:
    """The hits in the session of the tests."""
    sessions = found(hermes, *words)
    return sessions[SID].hits if SID in sessions else ()


def said(*texts: str) -> list[dict[str, Any]]:
    """Messages of these texts, prompts and answers in turn."""
    return [
        {"role": ("user", "assistant")[k % 2], "content": text, "timestamp": 1_777_000_000.0 + 10 * k}
        for k, text in enumerate(texts)
    ]


TALK = said("How long is the ferry to Naxos?", "Four hours.", "And back?", "The same.")


def test_a_message_that_every_copy_holds_is_one_hit(hermes: Any) -> None:
    hermes.write_live(TALK)
    hermes.write_backup(TALK)
    hermes.write_rows(TALK)
    session = found(hermes, "naxos")[SID]
    assert session.count == 1
    (hit,) = session.hits
    assert hit.held is Held.LIVE
    assert set(hit.copies) == {"live", "backup", "database"}
    assert (hit.role, hit.place) == ("user", 0)
    text, start, end = hit.excerpt.text, hit.excerpt.start, hit.excerpt.end
    assert text[start:end] == "Naxos"


@pytest.mark.parametrize("copy", ["backup", "temp", "database"])
def test_what_one_copy_alone_holds_is_told_so(hermes: Any, copy: str) -> None:
    hermes.write_live(TALK[:2])
    write = {"backup": hermes.write_backup, "temp": hermes.write_temp, "database": hermes.write_rows}[copy]
    write([*TALK[:2], *said("Is there a lighthouse?", "On the cape.")])
    (hit,) = hits(hermes, "lighthouse")
    assert hit.copies == (copy,)
    assert hit.held is Held.LOST


def test_the_same_words_said_again_are_hits_of_their_own(hermes: Any) -> None:
    talk = said("continue", "first", "continue", "second", "continue", "third")
    hermes.write_live(talk[:2])
    hermes.write_backup(talk)
    session = found(hermes, "continue")[SID]
    assert session.counts == {Held.LIVE: 1, Held.LOST: 2}


def test_what_only_another_place_has_is_found_there(hermes: Any) -> None:
    hermes.write_live(TALK[:2])
    hermes.write(hermes.sessions / f"{SID} (DESK's conflicted copy 2026-08-07).json", hermes.session(TALK))
    (hit,) = hits(hermes, "back")
    assert (hit.held, hit.copies) == (Held.LEFT_OUT, ("conflict copy of DESK",))
    (both,) = hits(hermes, "naxos")
    assert both.held is Held.LIVE
    assert set(both.copies) == {"live", "conflict copy of DESK"}


def test_what_only_a_shorter_snapshot_has_is_found_there(hermes: Any) -> None:
    hermes.write_live(said("one", "first", "two", "second", "three", "third"))
    (hermes.home / "sessions").mkdir()
    kept = {"session_id": SID, "platform": "webui", "messages": said("one", "first", "Is there a lighthouse?")}
    hermes.write(hermes.home / "sessions" / f"session_{SID}.json", kept)
    (hit,) = hits(hermes, "lighthouse")
    assert hit.held is Held.LEFT_OUT
    assert [copy.partition(" ")[0] for copy in hit.copies] == ["snapshot"]


def test_a_session_that_only_another_place_has_is_found(hermes: Any) -> None:
    hermes.write(hermes.home / f"hermes-{SID}.json", hermes.session(TALK, title="To the islands"))
    session = found(hermes, "naxos")[SID]
    assert session.title == "To the islands"
    assert [hit.held for hit in session.hits] == [Held.LEFT_OUT]
    assert found(hermes, "islands")[SID].count == 1


def test_what_was_taken_back_is_left_out(hermes: Any) -> None:
    hermes.write_backup(TALK)
    hermes.write_live(TALK[:2], **hermes.undo_marks(TALK[:2]))
    (hit,) = hits(hermes, "back")
    assert hit.held is Held.LEFT_OUT
    assert "took" in hit.reason


def test_a_deleted_session_is_searched(hermes: Any) -> None:
    hermes.write_rows(TALK)
    hermes.write(hermes.sessions / "_deleted_webui_sessions.json", {"version": 1, "ids": [SID]})
    (hit,) = hits(hermes, "ferry")
    assert hit.held is Held.DELETED


@pytest.mark.parametrize("source", ["telegram", "cli", "api_server"])
def test_sessions_of_other_programs_are_marked_so(hermes: Any, source: str) -> None:
    hermes.write_live(TALK)
    key = {"session_key": "chat:9"} if source == "api_server" else {}
    hermes.write_rows(said("Is there a lighthouse?", "Yes."), OTHER, source=source, **key)
    session = found(hermes, "lighthouse")[OTHER]
    assert session.program == source
    assert session.hits[0].held is Held.OTHER


def test_rows_that_were_taken_back_or_summarised_are_found(hermes: Any) -> None:
    hermes.write_live(TALK[:2])
    rows = [*TALK[:2], {**said("lighthouse")[0], "active": 0, "compacted": 0}]
    hermes.write_rows([*rows, {**said("harbour")[0], "active": 0, "compacted": 1}])
    assert hits(hermes, "lighthouse")[0].held is Held.LEFT_OUT
    assert hits(hermes, "harbour")


def test_every_part_of_a_message_is_looked_at_and_named(hermes: Any) -> None:
    arguments = json.dumps({"command": 'echo "Straße" > pier.txt'})
    call = {"id": "call_1", "type": "function", "function": {"name": "terminal", "arguments": arguments}}
    talk = [
        {**said("look")[0], "attachments": [{"name": "timetable.pdf"}]},
        {
            "role": "assistant",
            "content": "",
            "timestamp": 1_777_000_001.0,
            "reasoning": "Perhaps a buoy.",
            "tool_calls": [call],
        },
        {
            "role": "tool",
            "content": "anchorage",
            "tool_call_id": "call_1",
            "name": "terminal",
            "timestamp": 1_777_000_002.0,
        },
    ]
    hermes.write_live(talk)
    parts = {"buoy": "reasoning", "anchorage": "tool result", "pier": "tool call", "timetable": "attachment"}
    assert {word: "".join(each.part for each in hits(hermes, word)) for word in parts} == parts
    assert hits(hermes, "strasse")
    assert not hits(hermes, "function")
    assert hits(hermes, "buoy", "pier"), "all words are in one message, in two parts of it"


def test_words_come_in_any_order_from_one_message(hermes: Any) -> None:
    hermes.write_live(TALK)
    assert hits(hermes, "naxos", "ferry")
    assert not hits(hermes, "ferry", "same")
    assert hits(hermes, "ferry to naxos")
    assert not hits(hermes, "naxos ferry")
    assert hits(hermes, '"ferry to" long')


def test_a_phrase_goes_over_a_line_break(hermes: Any) -> None:
    hermes.write_live(said("the ferry\n\tto  Naxos"))
    (hit,) = hits(hermes, "FERRY TO NAXOS")
    assert hit.excerpt.text[hit.excerpt.start : hit.excerpt.end] == "ferry to Naxos"


def test_a_title_is_found_in_whatever_copy(hermes: Any) -> None:
    hermes.write_live(TALK, title="Small boats")
    hermes.write_backup(TALK, title="Large boats")
    assert hits(hermes, "small")[0].part == "title"
    (hit,) = hits(hermes, "large")
    assert hit.held is Held.LEFT_OUT
    assert hit.copies == ("backup",)


def test_journals_are_searched(hermes: Any) -> None:
    hermes.write_live([])
    hermes.write_run(said("Is there a lighthouse?", "On the cape."))
    assert hits(hermes, "lighthouse")[0].copies == ("run journal",)


def test_what_only_the_end_of_an_earlier_run_shows_is_found(hermes: Any) -> None:
    """The file was wiped and the conversation went on; the database was lost with it."""
    newer = hermes.turns("c", "d", start=100)
    hermes.write_run(said("Is there a lighthouse?", "On the cape."), "run1")
    hermes.write_run(newer[:2], "run2")
    hermes.write_run(newer, "run3")
    hermes.write_live(newer)
    (hit,) = hits(hermes, "lighthouse")
    assert hit.held is Held.LEFT_OUT
    assert [copy.startswith("earlier run") for copy in hit.copies] == [True]


def test_what_an_earlier_run_shows_as_well_is_one_hit(hermes: Any) -> None:
    hermes.write_run(TALK[:2], "run1")
    hermes.write_run(TALK, "run2")
    hermes.write_live(TALK)
    (hit,) = hits(hermes, "naxos")
    assert hit.held is Held.LIVE


def test_what_a_killed_run_had_said_is_found(hermes: Any) -> None:
    hermes.write_live(
        TALK, active_stream_id="run1", pending_user_message="Is there a harbour?", pending_started_at=1_777_000_100.0
    )
    hermes.write_events(
        [("token", 1_777_000_101.0, {"text": "There is a light"}), ("token", 1_777_000_102.0, {"text": "house."})],
        "run1",
    )
    assert hits(hermes, "lighthouse")
    assert len(hits(hermes, "harbour")) == 1


def test_a_torn_file_is_searched_as_far_as_it_goes(hermes: Any) -> None:
    hermes.write_live(TALK)
    hermes.tear_live("The same")
    (hit,) = hits(hermes, "naxos")
    assert hit.held is Held.LOST
    assert hit.copies == ("live",)


def test_a_file_in_another_encoding_is_searched(hermes: Any) -> None:
    hermes.live.write_text(json.dumps(hermes.session(said("Füße")), ensure_ascii=False), "utf-16")
    assert hits(hermes, "fusse")


def test_one_bad_file_does_not_stop_the_search(hermes: Any) -> None:
    hermes.write_live(TALK)
    (hermes.sessions / "ffff00001111.json").mkdir()
    (hermes.home / "state.db").write_bytes(b"no database at all, but long enough to look like one" * 20)
    batches = [*search(find_store(home=hermes.home), Query.of_words(["naxos"]))]
    listed = [each for batch in batches for each in batch]
    assert [each.session_id for each in listed if isinstance(each, SessionHits)] == [SID]
    unread = [each for each in listed if isinstance(each, Unread)]
    assert "ffff00001111" in {each.session_id for each in unread}
    assert any("state.db" in each.reason for each in unread)


def test_rows_of_a_database_without_an_index_are_searched(hermes: Any) -> None:
    hermes.write_rows(TALK)
    with closing(sqlite3.connect(hermes.home / "state.db")) as database:
        indexes = database.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql <> ''").fetchall()
        for (name,) in indexes:
            database.execute(f"DROP INDEX {name}")
    assert hits(hermes, "naxos")


def test_nothing_changes_on_disk(hermes: Any, snapshot: Callable[[Path], object]) -> None:
    hermes.write_live(TALK[:2])
    hermes.write_backup(TALK)
    hermes.write_rows(TALK)
    before = snapshot(hermes.home)
    assert hits(hermes, "naxos")
    assert snapshot(hermes.home) == before


def test_what_was_restored_is_live_afterwards(hermes: Any) -> None:
    hermes.write_live([])
    hermes.write_backup(TALK)
    assert hits(hermes, "naxos")[0].held is Held.LOST
    api.apply(api.plan(find_store(home=hermes.home), None))
    assert hits(hermes, "naxos")[0].held is Held.LIVE


def test_the_search_stops_when_asked(hermes: Any) -> None:
    for k in range(20):
        hermes.write(hermes.sessions / f"{k:012}.json", {**hermes.session(TALK), "session_id": f"{k:012}"})
    got: list[SessionHits | Unread] = []
    batches = search(find_store(home=hermes.home), Query.of_words(["naxos"]), should_cancel=lambda: bool(got))
    with pytest.raises(Cancelled):
        for batch in batches:
            got.extend(batch)
    assert len(got) == 1


def test_a_search_that_was_stopped_looks_at_no_session(hermes: Any) -> None:
    hermes.write_live(TALK)
    with pytest.raises(Cancelled):
        next(search(find_store(home=hermes.home), Query.of_words(["naxos"]), should_cancel=lambda: True))


@pytest.mark.parametrize(("torn", "odd"), [(0, True), (0, 10**400), (2, True)])
def test_what_was_changed_last_is_searched_first(hermes: Any, torn: int, odd: int) -> None:
    times = {"a": 5.0, "b": 7.5, "c": "yesterday", "d": odd, "e": 6}
    for sid in times:
        hermes.write(hermes.sessions / f"{sid}.json", {**hermes.session(TALK), "session_id": sid})
    rows = json.dumps([{"session_id": sid, "updated_at": at} for sid, at in times.items()])
    (hermes.sessions / "_index.json").write_text(rows[: len(rows) - torn])
    batches = search(find_store(home=hermes.home), Query.of_words(["naxos"]))
    found = [each.session_id for batch in batches for each in batch]
    assert found == ["b", "e", "a", "c", "d"]


def test_progress_comes_to_its_end(hermes: Any) -> None:
    hermes.write_live(TALK)
    told: list[tuple[float, int]] = []
    list(search(find_store(home=hermes.home), Query.of_words(["x"]), progress=lambda *done: told.append(done)))
    assert told[-1] == (1, 1)


def test_many_hits_are_counted_and_a_few_told(hermes: Any) -> None:
    hermes.write_live(said(*(f"buoy {k}" for k in range(100))))
    session = found(hermes, "buoy")[SID]
    assert session.count == 100
    assert 0 < len(session.hits) < 100


def test_a_regular_expression(hermes: Any) -> None:
    hermes.write_live(said("Épsilon 42", "no number"))
    assert found(hermes, pattern=r"epsilon\s+\d+")[SID].count == 1
    assert found(hermes, pattern=r"^ÉPS")[SID].count == 1
    assert not found(hermes, pattern=r"\d{3}")


@pytest.mark.parametrize("wrong", ["(", "[", "*", "(?P<"])
def test_what_is_no_regular_expression_is_said(wrong: str) -> None:
    with pytest.raises(QueryError, match="regular expression"):
        Query.of_pattern(wrong)


@pytest.mark.parametrize("words", [(), ("",), (" ",), ("\u200b",)])
def test_nothing_to_look_for(words: Sequence[str]) -> None:
    with pytest.raises(QueryError):
        Query.of_words(words)


def test_a_line_of_words_and_phrases() -> None:
    query = Query.parsed('night "ferry to Naxos" “two weeks" "still open')
    assert query.found_in(["still open at night: two weeks, then the ferry to Naxos"]) == 0
    assert query.found_in(["still open at night: two weeks, then to Naxos the ferry"]) is None


def test_hostile_texts_steer_no_terminal(hermes: Any, rescue: Rescue) -> None:
    hermes.write_live(said(EVIL), title=EVIL)
    status, out, _ = rescue("find", "wicked", "--home", hermes.home)
    assert status == 0
    assert all(character.isprintable() or character == "\n" for character in out)
    status, out, _ = rescue("find", "wicked", "--json", "--home", hermes.home)
    assert out.isascii()
    (session,) = json.loads(out)["sessions"]
    assert session["count"] == 2


def test_the_command(hermes: Any, rescue: Rescue) -> None:
    hermes.write_live(TALK[:2])
    hermes.write_backup(TALK)
    home = ("--home", hermes.home)
    status, out, _ = rescue("find", "same", *home)
    assert status == 0
    assert SID in out
    assert "only in the backup" in out
    assert rescue("find", "nowhere", *home)[0] == 1
    status, _, error = rescue("find", "--regex", "(", *home)
    assert status == 2
    assert "regular expression" in error
    assert rescue("find", *home)[0] == 2
    told = json.loads(rescue("find", "same", "--json", *home)[1])
    assert told["is_complete"] is True
    assert told["sessions"][0]["hits"][0]["copies"] == ["backup"]
    assert json.loads(rescue("find", "nowhere", "--json", *home)[1])["sessions"] == []


CASES = (str.upper, str.lower, str.title, str.swapcase)
LETTERS = st.sampled_from("aeikns ßﬁéÉüÜåK\u0301\u0308\u200b\ufe0fıİςΣЖжёй京がか\u3099½Ⅳｆ１Ệǅᾳΐ\"\\/u0'")
"""What has several spellings, and what JSON writes in several ways."""

TEXTS = st.text(LETTERS | st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40)


def words_of(text: str) -> list[str]:
    """The words of a text that have anything to look for."""
    return [word for word in text.split() if fold(word).split()]


def spellings(word: str) -> set[str]:
    """A word in any case, composed and decomposed."""
    return {unicodedata.normalize(form, case(word)) for form in ("NFC", "NFD") for case in CASES}


@settings(max_examples=400 if LONG else 15, deadline=None)
@given(text=TEXTS)
@example("Straße ﬁn İstanbul kapı ΣΊΣΥΦΟΣ")
@example('say "hi" C:\\users\\new \\u0041 a/b')
@example("zero\u200bwidth ｆｕｌｌ １２")
def test_any_word_of_a_text_is_found_in_any_spelling(text: str) -> None:
    for word in words_of(text)[:4]:
        for spelled in spellings(word):
            query = Query([spelled])
            assert query.found_in(["", text]) == 1, spelled
            assert query.may_be_in([text.encode()])
            for is_ascii in (True, False):
                assert query.may_be_in([json.dumps({"content": text}, ensure_ascii=is_ascii).encode()])
            excerpt = query.excerpt(text)
            assert fold(spelled).strip() in fold(excerpt.text[excerpt.start : excerpt.end])


@settings(max_examples=150, deadline=None)
@given(text=TEXTS, other=TEXTS)
def test_a_word_is_found_where_the_folded_text_has_it_and_nowhere_else(text: str, other: str) -> None:
    for word in words_of(other[:3]):
        needle = Needle(fold(word).split()[0])
        assert needle.is_in(text.encode()) == (needle.folded in fold(text))


@settings(max_examples=200, deadline=None)
@given(before=TEXTS, text=TEXTS)
def test_a_place_in_a_folded_text_is_one_in_the_text(before: str, text: str) -> None:
    start, end = len(fold(before)), len(fold(before + text))
    if start < end:
        first, last = place_of(before + text, start, end)
        assert fold((before + text)[first:last]) == fold(before + text)[start:end]


def test_a_first_needle_can_be_made_ready_in_short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []

    def folded(character: str, of: Callable[[str], str] = folding._folded) -> str:
        looked_at.append(character)
        return of(character)

    monkeypatch.setattr(folding, "_FOLDS", folding._Folds())
    monkeypatch.setattr(folding, "_folded", folded)
    folding._changed.cache_clear()
    steps = [len(looked_at) for _ in folding.get_ready()]
    assert max(after - before for before, after in pairwise((0, *steps, len(looked_at)))) <= folding._STEP
    known = len(looked_at)
    assert folding._changed.cache_info().currsize == 1  # nor has the needle to gather them
    folding._changed.__wrapped__()
    assert len(looked_at) == known


def test_folding_knows_no_case() -> None:
    for code in (*range(0x20, 0xD800), *range(0xE000, 0x20000)):
        character = chr(code)
        assert {fold(case(character)) for case in CASES} == {fold(character)}, hex(code)


def test_every_character_that_is_folded_is_looked_for() -> None:
    characters = map(chr, (*range(0x80, 0xD800), *range(0xE000, 0x110000)))
    assert {each for each in characters if fold(each) != each} == folding._changed().keys()


WRITTEN = ("live", "backup", "temp", "database", "deleted", "other program", "run journal", "title")


@settings(
    max_examples=400 if LONG else 25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(text=TEXTS.filter(words_of), copy=st.sampled_from(WRITTEN), data=st.data())
def test_whatever_was_written_into_a_copy_is_found_by_any_of_its_words(
    hermes: Any, tmp_path_factory: pytest.TempPathFactory, text: str, copy: str, data: st.DataObject
) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / "webui" / "sessions").mkdir(parents=True)
    store = type(hermes)(home)
    talk = said("\N{CHECK MARK}", text, "\N{CHECK MARK}")
    if copy not in ("live", "deleted", "other program", "title"):
        store.write_live(talk[:1])
    if copy == "deleted":
        store.write(store.sessions / "_deleted_webui_sessions.json", {"version": 1, "ids": [SID]})
    if copy == "title":
        store.write_live(talk[:1], title=text)
    elif copy in ("database", "deleted"):
        store.write_rows(talk)
    elif copy == "other program":
        store.write_rows(talk, OTHER, source="cli")
    else:
        write = {"live": store.write_live, "backup": store.write_backup, "temp": store.write_temp}
        write.get(copy, store.write_run)(talk)
    word = data.draw(st.sampled_from([each for word in words_of(text) for each in sorted(spellings(word))]))
    query = Query([word])
    batches = search(find_store(home=home), query)
    sessions = [each for batch in batches for each in batch if isinstance(each, SessionHits)]
    assert len(sessions) == 1
    assert sessions[0].count == 1


@pytest.mark.parametrize(
    ("query", "text", "parts"),
    [
        ("naxos ferry", "the Ferry to Náxos", ["Ferry", "Náxos"]),
        ("ferry to naxos", "to go: the ferry  to Naxos", ["to", "ferry  to Naxos"]),
        ('"to Naxos"', "go to\nNaxos", ["to\nNaxos"]),
        ("strasse", "Die Straße \N{SKULL}\N{SKULL} STRASSE", ["Straße", "STRASSE"]),
        ("ferry", "ferry ferry", ["ferry", "ferry"]),
    ],
)
def test_the_places_of_words_are_those_in_the_text_as_it_is(query: str, text: str, parts: list[str]) -> None:
    assert [text[each.start : each.end] for each in Query.parsed(query).places(text)] == parts
