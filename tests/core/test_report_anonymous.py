"""An anonymous report can be pasted where everybody reads it: nothing in it is anybody's, and it still helps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.findings import KINDS
from hermes_rescue.core.audit.store_audit import audit
from hermes_rescue.core.demo.demo_store import make_demo_store
from hermes_rescue.core.hermes.store import Store, find_store
from hermes_rescue.core.repair.vault import Vault
from hermes_rescue.core.report import excerpts, report
from hermes_rescue.core.report.report import FORMATS, Report, render

Rescue = Callable[..., tuple[int, str, str]]

MARKER = "Zebrafink"
OTHER = "0123456789ab"


@pytest.fixture
def marked(tmp_path: Path, hermes: Any) -> Store:
    """A store in which whatever a person, a folder or a program could name has the marker in it."""
    home = tmp_path / f"{MARKER} home"
    hermes.home.rename(home)
    made = type(hermes)(home)
    fields = {
        "title": f"{MARKER} title",
        "workspace": f"/srv/{MARKER}",
        "profile": f"{MARKER}-profile",
        "worktree_path": f"/srv/{MARKER}/tree",
        "worktree_branch": f"{MARKER}/branch",
        "worktree_repo_root": f"/srv/{MARKER}",
        "parent_session_id": f"{MARKER}-parent",
        "active_stream_id": f"{MARKER}stream",
        "pending_user_message": f"{MARKER} pending",
    }
    turns = made.turns(f"{MARKER} a", f"{MARKER} b")
    turns[1]["tool_calls"] = [{"id": MARKER, "function": {"name": MARKER, "arguments": MARKER}}]
    made.write_live([], **fields)
    made.write_backup(turns, **fields)
    made.write_rows(turns, title=f"{MARKER} title")
    made.write_rows(made.turns(MARKER), sid=f"{MARKER}-rows", title=f"{MARKER} rows")
    made.write_rows(made.turns(MARKER), sid=f"../{MARKER}", title=MARKER)
    made.write_temp(made.turns(MARKER))
    made.write_run(made.turns(f"{MARKER} run"), stream=f"{MARKER}run")
    made.write_index({"session_id": f"{MARKER}-gone", "title": f"{MARKER} gone", "worktree_path": f"/srv/{MARKER}"})
    made.write(made.sessions / f"{MARKER}.json.bak", made.session(made.turns(MARKER), session_id=MARKER, title=MARKER))
    made.write(made.sessions / f"{MARKER}-damaged.json", made.session(turns, session_id=f"{MARKER}-other"))
    (made.sessions / f"{MARKER}-torn.json").write_text(f'{{"session_id": "{MARKER}-torn", "title": "{MARKER}')
    (made.sessions / f"{MARKER} stranger.json").write_text(f'"{MARKER}"')
    (made.sessions / f"{MARKER}-folder.json").mkdir()
    work = home / "profiles" / f"{MARKER}-work"
    work.mkdir(parents=True)
    type(hermes)(work).write_rows(made.turns(f"{MARKER} a", f"{MARKER} b", f"{MARKER} c"))
    profile = home / "profiles" / f"{MARKER}-2"
    profile.mkdir()
    (profile / "state.db").write_text(f"{MARKER} is no database" * 200)
    other = home / f"old-{MARKER}" / "webui" / "sessions"
    other.mkdir(parents=True)
    made.write_old(other / f"{OTHER}.json", made.turns(f"{MARKER} old"), session_id=OTHER, title=f"{MARKER} old")
    made.write_live([], **fields)
    return find_store(home=home, also=(other,))


def anonymous(store: Store) -> Iterator[Report]:
    """The anonymous report of an audit, then that of the repair of everything that can be repaired or asked; made of
    whatever a report can be made of.
    """
    found = audit(store)
    yield report.audit_report(found, excerpts.of_audit(found), is_anonymous=True)
    done = api.apply(api.plan(store, [s.session_id for s in found.sessions if s.has_repair]))
    assert done.run_id is not None
    run = Vault.of(store).read_run(done.run_id)
    noted = tuple(replace(each, note=f"{MARKER} at {store.home}") for each in run.operations)
    run = replace(run, operations=noted)
    yield report.run_report(run, excerpts.of_run(store, run), home=store.home, is_anonymous=True)


def parts_of(session_id: str) -> set[str]:
    """An id, and what of it would still say which one it is."""
    return {session_id, session_id[:8]} | {part for part in session_id.split("_") if len(part) > 5}


def test_no_form_has_anything_of_anybody(marked: Store) -> None:
    found = audit(marked)
    kinds = {f.name for f in found.findings}
    assert {"emptied_live", "copy_denied", "unsafe_id", "not_a_file"} & kinds  # the marker was read in many ways
    assert len(kinds) > 5
    ids = {part for s in found.sessions for part in parts_of(s.session_id)}
    own = report.audit_report(found, excerpts.of_audit(found))
    copies = {copy["copy"] for s in own.facts["sessions"] if s["picture"] for copy in s["picture"]["copies"]}
    assert [name for name in copies if MARKER in name]
    assert own.facts["texts"]
    for form in FORMATS:
        assert MARKER in render(own, form)
    for made in anonymous(marked):
        for form in FORMATS:
            text = render(made, form)
            assert MARKER.casefold() not in text.casefold(), form
            assert not [each for each in ids if each in text], form
            assert str(Path.home()) not in text
            assert str(marked.sessions_dir.parent.parent.parent) not in text


def test_nothing_of_the_demo_store_is_in_it(tmp_path: Path) -> None:
    demo = make_demo_store(tmp_path / "demo")
    for made in anonymous(find_store(home=demo.home)):
        for form in FORMATS:
            text = render(made, form)
            for story in demo.stories:
                assert not [part for part in parts_of(story.session_id) if part in text]
                assert story.title not in text.replace("\\", "") or story.title == "Untitled"
                assert not [said for said in story.wanted if said and said in text]
            assert "tmp" not in text.replace("temporary", "")


def test_it_still_says_what_is_wrong(hermes: Any) -> None:
    hermes.write_live([])
    hermes.write_backup(hermes.turns("a", "b", "c"))
    hermes.write_rows(hermes.turns("a", "b"))
    found, done = (json.loads(render(made, "json")) for made in anonymous(find_store(home=hermes.home)))
    whole = report.audit_report(audit(find_store(home=hermes.home))).facts
    assert whole["summary"]["sessions"] == found["summary"]["sessions"]
    [item] = found["items"]
    assert (item["session_id"], item["kind"]) == ("session-1", "shrunken_live")
    assert (item["live_messages"], item["bak_messages"]) == (0, 6)
    assert item["evidence"] == KINDS["shrunken_live"].severity_text
    [session] = done["sessions"]
    assert (session["session_id"], session["messages_before"], session["messages_after"]) == ("session-1", 0, 6)


def test_one_session_has_the_same_number_wherever_it_stands(marked: Store) -> None:
    facts = report.audit_report(audit(marked), is_anonymous=True).facts
    ids = {session["session_id"] for session in facts["sessions"]}
    assert len(ids) == len(facts["sessions"])
    assert {item["session_id"] for item in facts["items"]} <= {*ids, None}
    for place in facts["places"]:
        assert set(place["adds"]) <= ids


def test_the_terminal_makes_it_and_asks_for_no_texts_with_it(rescue: Rescue, marked: Store) -> None:
    home = ("--home", marked.home)
    status, text, _ = rescue("report", "--anonymous", *home)
    assert status == 0
    assert MARKER not in text
    assert KINDS["further_copy"].severity_text in text
    status, text, said = rescue("report", "--anonymous", "--texts", *home)
    assert (status, text) == (2, "")
    assert "--texts" in said


def test_a_report_can_be_of_some_sessions(rescue: Rescue, hermes: Any) -> None:
    hermes.write_live([], title="Notes")
    hermes.write_backup(hermes.turns("a"), title="Notes")
    for sid, title in ((OTHER, "Ferries"), ("0123456789ac", "Trains")):
        hermes.write_rows(hermes.turns("b"), sid=sid, title=title)
    home = ("--home", hermes.home)

    def reported(*words: object) -> set[str]:
        status, text, said = rescue("report", *words, "--format", "json", *home)
        assert status == 0, said
        return {session["session_id"] for session in json.loads(text)["sessions"]}

    assert reported("--sid", OTHER) == {OTHER}
    assert reported("--sid", "ferries", "--sid", "0123456789ac") == {OTHER, "0123456789ac"}
    assert len(reported()) == 3
    run = hermes.repair().run_id
    assert reported(run, "--sid", "Ferries") == {OTHER}
    assert len(reported(run)) == 3
    for what in ((), (run,)):
        status, _, said = rescue("report", *what, "--sid", "nobody", *home)
        assert status not in (0, 1)
        assert "nobody" in said
        assert rescue("report", *what, "--sid", "ferr", *home)[2] != ""  # which one that is
        status, text, said = rescue("report", *what, "--sid", "ferr", "--anonymous", *home)
        assert (status, said) == (0, "")
        assert "Ferries" not in text and OTHER not in text
