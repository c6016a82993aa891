"""What a person left out of a repair stays out of the next ones, and is neither lost nor asked about again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit import cache
from hermes_rescue.core.audit.cache import AuditCache
from hermes_rescue.core.audit.findings import Category, SessionAudit, Standing
from hermes_rescue.core.audit.session import Examined, examine
from hermes_rescue.core.base import files
from hermes_rescue.core.demo.demo_store import DemoStore, make_demo_store
from hermes_rescue.core.hermes.copies import LIVE
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.store import Store, find_store
from hermes_rescue.core.hermes.webui_status import webui_status
from hermes_rescue.core.merge.choices import Choices
from hermes_rescue.core.merge.intent import Reason
from hermes_rescue.core.merge.proposal import Proposal
from hermes_rescue.core.repair.vault import ActiveRun, Vault

Rescue = Callable[..., tuple[int, str, str]]


def seen(hermes: Any) -> Examined:
    """The session as it is now."""
    return of(find_store(home=hermes.home), hermes.live.stem)


def of(store: Store, session_id: str) -> Examined:
    with Inventory(store, only=(session_id,)) as inventory:
        return examine(inventory, webui_status(store), session_id)


def left(proposal: Proposal) -> list[str]:
    """What the messages say that an earlier repair left out."""
    return [item.message.text for item in proposal.items if item.reason is Reason.LEFT_OUT and not item.included]


def needs_something(session: SessionAudit) -> bool:
    return session.category in (Category.REPAIRABLE, Category.REVIEW)


def leave_out(hermes: Any, *texts: str, include: tuple[str, ...] = ()) -> api.Result:
    """Repair the session without the messages that say this, and with those that another one left out."""
    store, sid = find_store(home=hermes.home), hermes.live.stem
    said = [item.message.text for item in seen(hermes).proposal.items]
    choices = hermes.choose(exclude=map(said.index, texts), include=map(said.index, include))
    return api.apply(api.plan(store, [sid], choices=choices))


@pytest.fixture
def wiped(hermes: Any) -> Any:
    """A session whose file is empty; its backup and the database have three turns."""
    turns = hermes.turns("a", "b", "c")
    hermes.write_live([])
    hermes.write_backup(turns)
    hermes.write_rows(turns)
    return hermes


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoStore:
    return make_demo_store(tmp_path_factory.mktemp("demo") / "home")


def offered(proposal: Proposal) -> list[int]:
    """The messages that a repair of the session by its name brings back."""
    return [
        k
        for k, item in enumerate(proposal.items)
        if LIVE not in item.copies and (item.included or (item.reason is not None and item.reason.is_question))
    ]


@pytest.mark.parametrize("which", [0, -1])
def test_in_no_story_is_it_lost_or_asked_about_again(which: int, demo: DemoStore, tmp_path: Path) -> None:
    home = make_demo_store(tmp_path / "home").home
    store = find_store(home=home)
    choices: dict[str, Choices] = {}
    for story in demo.stories:
        proposal = of(store, story.session_id).proposal
        if at := offered(proposal):
            wanted, out = frozenset(at) - {at[which]}, frozenset({at[which]})
            choices[story.session_id] = Choices(wanted, out, made_on=proposal.fingerprint)
    result = api.apply(api.plan(store, [*choices], choices=choices))
    assert result.count(api.State.REPAIRED) == len(choices) > 10
    after = {s.session_id: s for s in api.audit(store).sessions}
    assert [sid for sid in choices if needs_something(after[sid])] == []
    assert {*choices}.isdisjoint(api.plan(store).remaining)
    for sid in choices:
        assert offered(of(store, sid).proposal) == []
    told = sum(after[sid].left_out_by_you for sid in choices)
    assert told == sum(len(left(of(store, sid).proposal)) for sid in choices) > 10
    undone = api.undo(store, str(result.run_id))
    assert not undone.refused
    assert not any(left(of(store, sid).proposal) for sid in choices)


def test_it_stays_out_of_every_other_repair_and_comes_back_by_its_number(wiped: Any, rescue: Rescue) -> None:
    sid, home = wiped.live.stem, ("--home", wiped.home)
    leave_out(wiped, "ask b")
    assert wiped.texts() == ["ask a", "answer a", "answer b", "ask c", "answer c"]
    assert rescue("audit", *home)[0] == 0
    (session,) = wiped.audit().sessions
    assert (session.standing, session.left_out_by_you, session.findings) == (Standing.LEFT_OUT, 1, ())
    for words in (("repair", "--all"), ("repair", sid)):
        status, out, _ = rescue(*words, "--yes", *home)
        assert status == 0 and "nothing to repair" in out
    status, out, _ = rescue("show", sid, *home)
    number = out.index("#2") if "#2" in out else out.index("#3")
    assert "You left this message out of a repair." in out[number:]
    shown = json.loads(rescue("show", sid, "--json", *home)[1])
    assert shown["left_out_by_you"] == 1 and not shown["findings"]
    at = next(k for k, each in enumerate(shown["messages"], 1) if not each["included"])
    assert shown["messages"][at - 1]["reason"] == "left_out"
    status, *_ = rescue("repair", sid, "--proposal", shown["proposal"], "--include", str(at), "--yes", *home)
    assert status == 0 and "ask b" in wiped.texts()
    wiped.write_live([])
    wiped.repair()
    assert "ask b" in wiped.texts()  # it was wanted: now it is lost like any other


def test_what_several_repairs_left_out_adds_up(wiped: Any) -> None:
    leave_out(wiped, "ask b")
    wiped.write_live([])
    leave_out(wiped, "answer c")
    assert wiped.texts() == ["ask a", "answer a", "answer b", "ask c"]
    assert left(seen(wiped).proposal) == ["ask b", "answer c"]
    wiped.write_live([])
    (session,) = wiped.audit().sessions
    assert (session.after, session.left_out_by_you) == (4, 2)
    leave_out(wiped, include=("ask b",))
    wiped.write_live([])
    assert left(seen(wiped).proposal) == ["answer c"]


def test_an_undo_brings_back_what_was_so_before(wiped: Any) -> None:
    store = find_store(home=wiped.home)
    first = leave_out(wiped, "ask b")
    before = wiped.live.read_bytes()
    second = leave_out(wiped, include=("ask b",))
    api.undo(store, str(second.run_id))
    assert wiped.live.read_bytes() == before
    assert left(seen(wiped).proposal) == ["ask b"]
    api.undo(store, str(first.run_id))
    assert left(seen(wiped).proposal) == []
    assert wiped.audit().sessions[0].after == 6


def test_a_choice_on_the_session_as_it_is_then_counts(wiped: Any) -> None:
    leave_out(wiped, "ask b")
    wiped.write_live([])
    leave_out(wiped, "ask a")
    assert wiped.texts() == ["answer a", "answer b", "ask c", "answer c"]


def test_it_is_known_again_when_hermes_goes_on(wiped: Any) -> None:
    leave_out(wiped, "ask b", "answer b")
    later = wiped.turns("d", "e", start=900.0)
    kept = wiped.load()
    wiped.write_live([*wiped.turns("z", start=-50.0), *kept["messages"], *later])
    proposal = seen(wiped).proposal
    assert left(proposal) == ["ask b", "answer b"]
    assert not needs_something(wiped.audit().sessions[0])


def test_the_same_words_said_another_time_are_another_message(hermes: Any) -> None:
    """The third "go on" is left out; of the others, and of one that is said later, nothing is."""
    turns = [m for k in range(4) for m in hermes.turns("on", start=100.0 * k)]
    hermes.write_live(turns[:2])
    hermes.write_rows(turns)
    said = [item.message.text for item in seen(hermes).proposal.items]
    assert said == ["ask on", "answer on"] * 4
    api.apply(api.plan(find_store(home=hermes.home), choices=hermes.choose(exclude=[4, 5])))
    hermes.write_live([])
    proposal = seen(hermes).proposal
    assert [k for k, item in enumerate(proposal.items) if item.reason is Reason.LEFT_OUT] == [4, 5]


@pytest.mark.parametrize("goes_on", [False, True])
def test_what_says_the_same_as_a_message_that_is_left_out_and_gone_comes_back(hermes: Any, goes_on: bool) -> None:
    """The second of three "go on" is left out, and with the old backup the only copy of it is gone."""
    turns = [m for k in range(3) for m in hermes.turns("on", start=100.0 * k)]
    hermes.write_live([])
    hermes.write_backup(turns)
    api.apply(api.plan(find_store(home=hermes.home), choices=hermes.choose(exclude=[2, 3])))
    wanted = [*hermes.load()["messages"], *(hermes.turns("on", start=1e9) if goes_on else ())]
    hermes.write_backup(wanted)
    hermes.write_live([])
    hermes.repair()
    assert hermes.load()["messages"] == wanted


def test_what_is_said_after_the_repair_is_never_taken_for_it(hermes: Any) -> None:
    turns = hermes.turns("on")
    hermes.write_live([])
    hermes.write_backup([*turns, *hermes.turns("off", start=50.0)])
    leave_out(hermes, "ask on", "answer on")
    (hermes.sessions / f"{hermes.live.stem}.json.bak").unlink(missing_ok=True)
    hermes.write_rows(hermes.turns("on", start=1e9))
    proposal = seen(hermes).proposal
    assert [item.message.text for item in proposal.gained] == ["ask on", "answer on"]
    assert needs_something(hermes.audit().sessions[0])


def test_all_that_would_come_back_can_be_left_out(wiped: Any, rescue: Rescue) -> None:
    wiped.write_live(wiped.turns("a"))
    result = leave_out(wiped, "ask b", "answer b", "ask c", "answer c")
    assert result.count(api.State.REPAIRED) == 1
    assert wiped.texts() == ["ask a", "answer a"]
    assert wiped.audit().sessions[0].left_out_by_you == 4
    assert rescue("audit", "--home", wiped.home)[0] == 0
    api.undo(find_store(home=wiped.home), str(result.run_id))
    assert wiped.audit().sessions[0].after == 6


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_choice_that_changes_no_file_is_listed_and_can_be_undone(hermes: Any, rescue: Rescue, goes_on: bool) -> None:
    turns, home = hermes.turns("a", "b"), ("--home", hermes.home)
    before = hermes.write_live(turns[:2])
    hermes.write_rows(turns)
    run_id = str(leave_out(hermes, "ask b", "answer b").run_id)
    (run,) = json.loads(rescue("history", "--json", *home)[1])["runs"]
    assert hermes.live.stem in json.dumps(run)
    if goes_on:
        before = hermes.write_live([*turns[:2], *hermes.turns("c", start=1e9)])
    assert run_id in rescue("report", run_id, "--texts", *home)[1]
    assert json.loads(rescue("undo", "--json", "--yes", *home)[1])["undone"] == [hermes.live.stem]
    assert hermes.live.read_bytes() == before
    assert hermes.audit().sessions[0].left_out_by_you == 0
    assert rescue("undo", "--yes", *home)[1].startswith("There is nothing to undo.")


def test_a_choice_is_undone_beside_a_session_that_has_gone_on(hermes: Any, rescue: Rescue) -> None:
    turns = hermes.turns("a", "b")
    hermes.write_live(turns[:2])
    hermes.write_rows(turns)
    other = hermes.sessions / "other.json"
    hermes.write(other, {**hermes.session([]), "session_id": "other"})
    hermes.write(hermes.sessions / "other.json.bak", {**hermes.session(turns), "session_id": "other"})
    store, choices = find_store(home=hermes.home), hermes.choose(exclude=[2, 3])
    result = api.apply(api.plan(store, [hermes.live.stem, "other"], choices=choices))
    hermes.write(other, {**hermes.session(turns[:1]), "session_id": "other"})
    undone = api.undo(store, str(result.run_id))
    assert (undone.undone, [*undone.refused]) == ((hermes.live.stem,), ["other"])
    assert left(seen(hermes).proposal) == []


def test_a_question_that_was_answered_with_no_is_not_asked_again(hermes: Any) -> None:
    turns = hermes.turns("a", "b")
    hermes.write_old(hermes.live, turns[:2], truncation_watermark=turns[1]["timestamp"])
    hermes.write_old(hermes.sessions / f"{hermes.live.stem}.json.bak", turns)
    hermes.write_rows(turns)
    assert api.plan(find_store(home=hermes.home)).questions
    leave_out(hermes, "ask b", "answer b")
    assert not api.plan(find_store(home=hermes.home)).questions
    assert hermes.audit().sessions[0].left_out_by_you == 2


def test_who_takes_one_of_several_has_answered_for_the_others(hermes: Any, rescue: Rescue) -> None:
    turns = hermes.turns("a", "b", "c")
    hermes.write_old(hermes.live, turns[:2], truncation_watermark=turns[1]["timestamp"])
    hermes.write_old(hermes.sessions / f"{hermes.live.stem}.json.bak", turns)
    hermes.write_rows(turns)
    (planned,) = api.plan(find_store(home=hermes.home), choices=hermes.choose(include=[2, 3])).sessions
    assert planned.left_out == 2  # it is said before
    leave_out(hermes, include=("ask b", "answer b"))
    assert hermes.texts() == ["ask a", "answer a", "ask b", "answer b"]
    assert rescue("audit", "--home", hermes.home)[0] == 0
    assert hermes.audit().sessions[0].left_out_by_you == 2


def test_who_imports_a_file_has_answered_nothing_else(hermes: Any, tmp_path: Path) -> None:
    turns = hermes.turns("a", "b", "c")
    hermes.write_live(turns[:2])
    for name, messages in (("one", turns[:4]), ("other", [*turns[:2], *turns[4:]])):
        (tmp_path / name).mkdir()
        hermes.write(tmp_path / name / f"{hermes.live.stem}.json", hermes.session(messages))
    one, other = (tmp_path / name / f"{hermes.live.stem}.json" for name in ("one", "other"))
    store = find_store(home=hermes.home, also=(one, other))
    plan = api.import_plan(store, [one])
    assert [each.left_out for each in plan.sessions] == [0]
    api.apply(plan)
    assert hermes.texts() == ["ask a", "answer a", "ask b", "answer b"]
    assert api.plan(store).questions == (hermes.live.stem,)


def test_an_audit_from_before_is_not_believed(wiped: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither when a decision was put down nor when it is gone."""
    monkeypatch.setattr(cache, "FRESH", 0.0)  # files count as at rest as soon as they are written
    store = find_store(home=wiped.home)

    def audited() -> SessionAudit:
        (session,) = api.audit(store, cache=AuditCache(store, tmp_path / "cache")).sessions
        return session

    wiped.write_live(wiped.turns("a"))
    audited()
    leave_out(wiped, "ask b", "answer b", "ask c", "answer c")
    assert audited().left_out_by_you == audited().left_out_by_you == 4
    (store.vault_root / "left_out.json").unlink()
    assert audited().left_out_by_you == 0


HOSTILE = [
    "", "[]", "\0" * 99, '{"sessions": []}', '{"sessions": {"../x": [1]}}',
    '{"sessions": {"SID": 7}}', '{"sessions": {"SID": [7, {}, {"run": 1, "until": "x", "out": {}, "back": null}]}}',
    '{"sessions": {"SID": [{"run": "a", "until": 1e999, "out": {"x": 1}, "back": []}]}}',
    '{"sessions": {"SID": [{"run": "a", "until": 9e9, "out": {"x": "y", "z": 7}, "back": [null]}]}}',
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_an_edited_list_leaves_nothing_out(wiped: Any, text: str) -> None:
    leave_out(wiped, "ask b")
    wiped.write_live([])
    path = find_store(home=wiped.home).vault_root / "left_out.json"
    path.write_text(text.replace("SID", wiped.live.stem))
    assert wiped.audit().sessions[0].after == 6
    leave_out(wiped, "ask b")
    assert wiped.audit().sessions[0].left_out_by_you == 1


def test_where_it_cannot_be_put_down_nothing_is_changed(wiped: Any) -> None:
    store = find_store(home=wiped.home)
    before = wiped.live.read_bytes()
    (store.vault_root / "left_out.json").mkdir(parents=True)
    with pytest.raises(api.RunBrokenError):
        leave_out(wiped, "ask b")
    assert wiped.live.read_bytes() == before
    assert wiped.audit().sessions[0].after == 6
    wiped.repair()  # without a choice there is nothing to put down
    assert len(wiped.texts()) == 6


def test_a_session_that_was_not_repaired_has_nothing_left_out(wiped: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file cannot be written at the last moment."""
    replace = files.replace_if_unchanged

    def fails(path: Path, *rest: Any, **options: Any) -> None:
        if path == wiped.live:
            raise OSError(5, "Input/output error")
        replace(path, *rest, **options)

    monkeypatch.setattr(files, "replace_if_unchanged", fails)
    result = leave_out(wiped, "ask b")
    monkeypatch.undo()
    assert result.count(api.State.FAILED) == 1
    assert wiped.texts() == []
    assert wiped.audit().sessions[0].after == 6


def test_a_repair_that_leaves_nothing_out_puts_nothing_down(wiped: Any) -> None:
    wiped.repair()
    root = find_store(home=wiped.home).vault_root
    assert not (root / "left_out.json").exists()
    assert Vault.of(find_store(home=wiped.home)).run_ids()


def test_a_copy_of_the_session_leaves_nothing_out_of_it(wiped: Any) -> None:
    store, sid = find_store(home=wiped.home), wiped.live.stem
    choices = wiped.choose(exclude=[2])[sid]
    api.apply(api.copy_plan(store, sid, choices))
    (session,) = (s for s in api.audit(store).sessions if s.session_id == sid)
    assert session.after == 6


def test_a_deleted_session_comes_back_without_what_is_left_out(wiped: Any) -> None:
    store, sid = find_store(home=wiped.home), wiped.live.stem
    wiped.live.unlink()
    wiped.write(wiped.sessions / "_deleted_webui_sessions.json", [sid])
    (session,) = api.audit(store).sessions
    assert session.standing is Standing.DELETED
    leave_out(wiped, "ask b")
    assert wiped.texts() == ["ask a", "answer a", "answer b", "ask c", "answer c"]


@pytest.mark.parametrize("is_finished", [True, False])
def test_a_choice_outlives_a_repair_that_died_unless_it_is_rolled_back(
    wiped: Any, monkeypatch: pytest.MonkeyPatch, is_finished: bool
) -> None:
    store = find_store(home=wiped.home)

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ActiveRun, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        leave_out(wiped, "ask b")
    monkeypatch.undo()
    (run_id,) = api.plan(store).unfinished
    if is_finished:
        wiped.repair()
    else:
        api.undo(store, run_id)
    assert left(seen(wiped).proposal) == ["ask b"] * is_finished
    wiped.repair()
    assert ("ask b" in wiped.texts()) is not is_finished
