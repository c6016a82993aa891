"""How a session stands: one answer for each, from which every list and every total takes its numbers."""

from __future__ import annotations

from pathlib import Path

from hermes_rescue.core.audit.findings import SessionAudit, Standing, finding
from hermes_rescue.core.audit.store_audit import audit
from hermes_rescue.core.demo.demo_store import make_demo_store
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.report.report import audit_json


def test_every_story_stands_as_it_was_made_and_the_totals_are_their_sum(tmp_path: Path) -> None:
    made = make_demo_store(tmp_path / "demo")
    found = audit(find_store(home=made.home))
    standings = {s.session_id: s.standing for s in found.sessions}
    expected = {"review": Standing.REVIEW, "repaired": Standing.REPAIRABLE}
    for story in made.stories:
        if story.expect in expected:
            assert standings[story.session_id] is expected[story.expect], story.name
        elif story.name.startswith("healthy"):
            assert standings[story.session_id] is Standing.HEALTHY, story.name
    by_name = {
        story.name: next(s for s in found.sessions if s.session_id == story.session_id) for story in made.stories
    }
    assert by_name["undone"].standing is Standing.LEFT_OUT
    assert not by_name["undone"].is_cleared
    cleared = [s for s in found.sessions if s.is_cleared]
    assert cleared
    assert all(s.left_out and s.standing is Standing.LEFT_OUT for s in cleared)
    assert found.standings.total() == len(found.sessions)
    assert audit_json(found)["standings"] == {str(each): found.standings[each] for each in Standing}


def test_the_main_finding_is_the_first_of_the_most_urgent_ones() -> None:
    names = ("worktree_gone", "state_db_ahead", "lossy_rebuild", "turn_journal_pending_turn")
    found = tuple(finding(name, "s", "") for name in names)
    main = SessionAudit("s", "", found).main
    assert main is not None
    assert main.name == "state_db_ahead"
    assert SessionAudit("s", "", ()).main is None
