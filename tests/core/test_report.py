"""A report says the same in each of its forms, nothing of what was said, and means what it says: no text in it acts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.findings import KINDS, Standing, how_they_stand
from hermes_rescue.core.audit.store_audit import audit
from hermes_rescue.core.demo.demo_store import make_demo_store
from hermes_rescue.core.hermes.store import Store, find_store
from hermes_rescue.core.repair.vault import Vault
from hermes_rescue.core.report import excerpts, report
from hermes_rescue.core.report.report import FORMATS, Report, render, run_report, written
from msgspec import structs

EVIL = "<script>alert('x')</script>\"'><img src=http://e.vil onerror=x> & {{ 7*7 }} `|*_ \x1b[31m\u202e\x00"
EVIL_SHOWN = "<script>alert('x')</script>\"'><img src=http://e.vil onerror=x> & {{ 7*7 }} `|*_ \\x1b[31m\\x202e\\x00"
VOID = {"meta", "br"}
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "section", "h1", "h2", "h3", "p", "ul", "li"),
    *("footer", "a", "br", "svg", "rect"),
    *("dl", "dt", "dd", "span", "code", "b", "pre", "table", "thead", "tbody", "tr", "th", "td"),
}


class Page(HTMLParser):
    """The texts, tags and attributes of a page; fails where its tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.style = ""
        self._texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] == ["style"]:
            self.style += data
        else:
            self._texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._texts).split())


def plain(markdown: str) -> str:
    """A Markdown report without its escapes."""
    return " ".join(markdown.replace("\\\\", "\0").replace("\\", "").replace("\0", "\\").split())


def near(path: str, facts: dict[str, Any]) -> str:
    """A path as it is seen from the home of the store."""
    return path.replace(f"{facts['store']['home']}/", "")


def audit_facts(facts: dict[str, Any]) -> Iterator[str]:
    """What a person must be able to read in a report of an audit."""
    store, titles = facts["store"], {session["session_id"]: session for session in facts["sessions"]}
    yield from (facts["made_at"], facts["version"], store["home"], near(store["sessions_dir"], facts))
    yield from (near(path, facts) for path in (facts["webui"]["evidence"], *store["databases"]))
    for standing, n in facts["standings"].items():
        yield f"{n} {how_they_stand(n, Standing(standing))}" if n else ""
    yield f"{facts['totals']['back']} come back"
    for item in facts["items"]:
        yield from (KINDS[item["kind"]].label, near(item["evidence"], facts), item["kind"], item["category"])
        yield from (item["how_serious"], item["what_to_do"], item["what_happens"], item["meanwhile"])
        if item["session_id"]:
            session = titles[item["session_id"]]
            yield from (f"{session['number']}. {session['title']}", session["session_id"])
            yield from (
                f"{session[name]} in the {name}" for name in ("backup", "database") if session[name] is not None
            )


def run_facts(facts: dict[str, Any]) -> Iterator[str]:
    """What a person must be able to read in a report of a run."""
    store = facts["store"]
    yield from (facts["made_at"], facts["version"], facts["run"], facts["status"], facts["started_at"])
    yield from (facts["finished_at"], store["home"], near(store["sessions_dir"], facts))
    yield from (near(path, facts) for path in store["databases"])
    yield f"{facts['totals']['back']} came back"
    for session in facts["sessions"]:
        yield from (f"{session['number']}. {session['title']}", session["session_id"])
        yield from (KINDS[kind].label for kind in session["found"])
        before = "–" if session["messages_before"] is None else str(session["messages_before"])
        yield f"{before} before, {session['messages_after']} after"
        for op in session["operations"]:
            yield from (op["file"], op["action"], op["note"])
            yield from (op["sha256_before"] or "–", op["sha256_after"] or "–")
    for op in facts["index"]:
        yield from (op["sha256_before"], op["sha256_after"])


@pytest.fixture
def damaged(hermes: Any) -> Store:
    """A wiped session, an interrupted save, a torn list, and rows of a session whose id is no name."""
    hermes.write_live([], title="Notes")
    hermes.write_backup(hermes.turns("a", "b", "c"), title="Notes")
    hermes.write_rows(hermes.turns("a", "b"))
    hermes.write_rows(hermes.turns("x"), sid="../evil", title="Evil")
    hermes.write_index({"session_id": "0123456789ab", "title": "Gone"})
    return find_store(home=hermes.home)


def reports(store: Store, *, with_texts: bool = False) -> tuple[Report, Report]:
    """The report of an audit, and that of the repair of everything."""
    found = audit(store)
    made = report.audit_report(found, excerpts.of_audit(found, with_texts=with_texts))
    done = api.apply(api.plan(store))
    assert done.run_id is not None
    run = Vault.of(store).read_run(done.run_id)
    return made, report.run_report(run, excerpts.of_run(store, run, with_texts=with_texts), home=store.home)


def test_the_three_forms_carry_the_same_facts(damaged: Store) -> None:
    for made, facts_of in zip(reports(damaged), (audit_facts, run_facts), strict=True):
        facts = list(facts_of(json.loads(render(made, "json"))))
        assert len(facts) > 10
        for form, text in (("md", plain(render(made, "md"))), ("html", Page(render(made, "html")).text)):
            folded = text.casefold()
            missing = [fact for fact in facts if fact.casefold() not in folded]
            assert not missing, form


def test_paths_begin_at_the_home_of_the_store(damaged: Store) -> None:
    for made in reports(damaged):
        for text in (plain(render(made, "md")), Page(render(made, "html")).text):
            assert f"{damaged.home}/" not in text
            assert str(damaged.home) in text
            assert "webui/sessions" in text


def test_a_home_of_one_letter_is_left_off_too(damaged: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "h").symlink_to(str(damaged.home))
    monkeypatch.chdir(tmp_path)
    for made in reports(find_store(home=Path("h"))):
        assert json.loads(render(made, "json"))["store"]["sessions_dir"] == "webui/sessions"


def test_in_json_too_paths_are_relative_to_the_home_that_is_named(damaged: Store) -> None:
    for made in reports(damaged):
        text = render(made, "json")
        store = json.loads(text)["store"]
        assert f"{damaged.home}/" not in text
        assert Path(store["home"], store["sessions_dir"]) == damaged.sessions_dir
        assert [Path(store["home"], each) for each in store["databases"]] == list(damaged.databases)


def test_a_title_that_has_a_path_stays_as_it_is(hermes: Any) -> None:
    title = f"Look at {hermes.home}/webui"
    hermes.write_live(hermes.turns("a"), title=title)
    for form in ("json", "md"):
        assert title in plain(render(report.audit_report(audit(find_store(home=hermes.home))), form))


def test_a_path_that_only_looks_like_one_of_the_home_stays(hermes: Any) -> None:
    hermes.write_live([])
    hermes.write_backup(hermes.turns("a"))
    inner = f"/mnt{hermes.home}/webui"
    found = audit(find_store(home=hermes.home))
    odd = structs.replace(found.findings[0], evidence=f"{inner} and {hermes.home}/webui and {hermes.home}-old/webui")
    made = report.audit_report(replace(found, store_findings=(odd,)))
    text = Page(render(made, "html")).text
    assert f"{inner} and webui and {hermes.home}-old/webui" in text


def test_a_session_has_one_number_and_what_came_back_is_told_in_all(damaged: Store) -> None:
    found, done = reports(damaged, with_texts=True)
    for made, back in ((found, "come back"), (done, "came back")):
        facts = made.facts
        assert [session["number"] for session in facts["sessions"]] == [*range(1, len(facts["sessions"]) + 1)]
        gains = {s["session_id"]: s["messages"]["back"] for s in facts["sessions"]}
        assert gains["3f2a9c51b7d0"] == 6
        assert sum(gains.values()) == facts["totals"]["back"]
        number = next(s["number"] for s in facts["sessions"] if s["session_id"] == "3f2a9c51b7d0")
        text = render(made, "md")
        assert f"{facts['totals']['back']} {back}" in text
        assert f"| {number} | Notes |" in text
        assert text.count(f"### {number}. Notes") == 2  # the session, and what was said in it
    assert f"| {number} | 3f2a9c51b7d0.json |" in plain(text)
    assert plain(text).index("## Checksums") > plain(text).index("## Texts of messages")


def test_what_was_said_stands_in_the_order_of_the_numbers(tmp_path: Path) -> None:
    found = audit(find_store(home=make_demo_store(tmp_path / "demo").home))
    told = render(report.audit_report(found, excerpts.of_audit(found)), "md").partition("## Texts of messages")[2]
    numbers = [int(number) for number in re.findall(r"^### (\d+)\.", told, re.MULTILINE)]
    assert len(numbers) > 10 and numbers == sorted(numbers)


def test_the_picture_says_which_copy_holds_what(damaged: Store) -> None:
    found, done = reports(damaged)
    [of_audit, of_run] = (
        next(s["picture"] for s in made.facts["sessions"] if s["session_id"] == "3f2a9c51b7d0")
        for made in (found, done)
    )
    held = {copy["copy"]: (copy["messages"], copy["spans"]) for copy in of_audit["copies"]}
    assert of_audit["messages"] == 6
    assert held["live"] == (0, [])
    assert held["backup"] == held["recovered"] == (6, [[0, 6, "whole"]])
    assert held["database"] == (4, [[0, 4, "whole"]])
    assert [(c["copy"], c["spans"]) for c in of_run["copies"]] == [("before", []), ("after", [[0, 6, "whole"]])]
    for made in (found, done):
        page = Page(render(made, "html"))
        assert page.tags.count("svg") >= 5
        assert ("class", "back") in page.attributes


def test_a_file_that_was_torn_is_damaged_in_both_reports(hermes: Any) -> None:
    data = hermes.write_live(hermes.turns("a", "b"))
    hermes.live.write_bytes(data[:-2])
    for made in reports(find_store(home=hermes.home)):
        first = made.facts["sessions"][0]["picture"]["copies"][0]
        assert (first["damaged"], first["messages"]) == (True, 4), first["copy"]


def test_the_pages_say_what_the_colours_of_a_copy_mean(hermes: Any, damaged: Store) -> None:
    def seen() -> Report:
        found = audit(damaged)
        return report.audit_report(found, excerpts.of_audit(found))

    words = "with something that the file lacks"
    pages = [written(seen(), form) for form in ("html", "pdf")]
    assert not any(words in page for page in pages)  # where no copy has such a message
    said = hermes.turns("a", "b", "c")
    hermes.write_live([each | {"reasoning": ""} for each in said], title="Notes")
    hermes.write_backup([each | {"reasoning": "Thought."} for each in said], title="Notes")
    pages = [written(seen(), form) for form in ("html", "pdf")]
    assert all(words in page for page in pages)


def test_what_waits_for_a_decision_does_not_come_back_by_itself(hermes: Any) -> None:
    hermes.write_backup(hermes.turns("a", "b"))  # no live file and no row: deleted, or lost
    hermes.write(hermes.sessions / "0123456789ab.json", hermes.session(hermes.turns("c"), session_id="0123456789ab"))
    hermes.write_rows(hermes.turns("c"), sid="0123456789ab")
    found = audit(find_store(home=hermes.home))
    made = report.audit_report(found, excerpts.of_audit(found))
    assert made.facts["totals"] == {"there": 2, "back": 0, "asked": 4, "left_out": 0}
    assert "4 wait for your decision" in render(made, "md")


def test_an_address_in_a_title_is_no_link(hermes: Any) -> None:
    title = "see http://e.vil/x, HTTPS://E.VIL, www.e.vil and me@e.vil"
    hermes.write_live([], title=title)
    hermes.write_backup(hermes.turns("a"), title=title)
    for made in reports(find_store(home=hermes.home)):
        markdown = render(made, "md")
        assert title in plain(markdown)
        assert not [sign for sign in ("http:", "HTTPS:", "www.", "me@") if sign in markdown]
        page = Page(render(made, "html"))
        assert title in page.text
        assert all((value or "").startswith("#s") for name, value in page.attributes if name == "href")


def test_a_store_without_findings_says_so_in_each_form(hermes: Any) -> None:
    hermes.write_live(hermes.turns("a"))
    made = report.audit_report(audit(find_store(home=hermes.home)))
    assert json.loads(render(made, "json"))["items"] == []
    assert "Every session is healthy." in render(made, "md")
    assert "Every session is healthy." in Page(render(made, "html")).text


def test_no_form_holds_what_was_said(hermes: Any, damaged: Store) -> None:
    for made in reports(damaged):
        for form in report.FORMATS:
            text = render(made, form)
            assert not [said for said in hermes.said(hermes.turns("a", "b", "c", "x")) if said in text]


def test_what_was_said_is_in_every_form_when_asked_for(hermes: Any, damaged: Store) -> None:
    for made in reports(damaged, with_texts=True):
        for form in report.FORMATS:
            text = render(made, form)
            assert [said for said in hermes.said(hermes.turns("a", "b", "c")) if said not in text] == [], form
        sessions = json.loads(render(made, "json"))["texts"]
        said = next(session for session in sessions if session["session_id"] == "3f2a9c51b7d0")
        assert [m["role"] for m in said["messages"]] == ["user", "assistant"] * 3
        assert {m["change"] for m in said["messages"]} == {"added"}
        assert [m["time"] for m in said["messages"]] == [m["timestamp"] for m in hermes.turns("a", "b", "c")]


def test_a_changed_message_is_told_as_it_was_and_as_it_is(hermes: Any) -> None:
    whole = hermes.turns("a")
    hermes.write_live([whole[0], {**whole[1], "content": "answer a, which was cut"}])
    hermes.write_rows([whole[0], {**whole[1], "content": "answer a, which was cut off here"}])
    for made in reports(find_store(home=hermes.home), with_texts=True):
        [session] = json.loads(render(made, "json"))["texts"]
        [message] = session["messages"]
        assert (message["change"], message["parts"]) == ("changed", ["content"])
        assert message["before"].endswith("was cut")
        assert message["after"].endswith("off here")
        for text in (plain(render(made, "md")), Page(render(made, "html")).text):
            assert text.index(message["before"]) < text.index(message["after"])


def test_what_is_left_out_is_told_with_its_reason(hermes: Any) -> None:
    hermes.write_live([], **hermes.cleared)
    hermes.write_backup(hermes.turns("a"))
    hermes.write_temp(hermes.turns("b"))
    hermes.write_index({"session_id": "0123456789ab", "title": "Gone"})
    found = audit(find_store(home=hermes.home))
    made = report.audit_report(found, excerpts.of_audit(found))
    messages = [m for session in json.loads(render(made, "json"))["texts"] for m in session["messages"]]
    assert {m["change"] for m in messages} == {"left out"}
    assert {m["reason"] for m in messages} == {"You cleared the conversation after this message."}
    assert "You cleared the conversation" in render(made, "md")
    assert "You cleared the conversation" in Page(render(made, "html")).text


SAID = (
    "# no heading\n\n- no list\n```\n<script>alert(1)</script>\n~~~\n</pre></section><img src=x>\r\n| a | b |\n"
    "\ttab {{ 7*7 }} \x1b[31m\u202e\u2028[link](http://e.vil)\n[ref]: http://e.vil\n    indented\n\n\n---\nend"
)


def test_what_was_said_cannot_break_out_of_its_place(hermes: Any) -> None:
    turns = hermes.turns("a")
    said = [{**turn, "content": SAID, "role": role} for turn, role in zip(turns, ("user", "<b>|*x"), strict=True)]
    said[1]["tool_calls"] = [{"id": "1", "function": {"name": "<i>*run*"}}, "odd", {"function": 7}]
    half = {"role": "tool", "content": "\ud800 half", "tool_call_id": "1", "timestamp": 1e300}
    (hermes.sessions / f"{hermes.live.name}.bak").write_text(json.dumps(hermes.session([*said, half])))
    for made in reports(find_store(home=hermes.home), with_texts=True):
        page = Page(render(made, "html"))
        assert set(page.tags) <= TAGS
        assert "<script>alert(1)</script>" in page.text
        assert "<i>*run*" in page.text
        assert render(made, "html").replace("\n", "").isprintable()
        markdown = render(made, "md")
        assert markdown.replace("\n", "").isprintable()
        loose = [line for line in markdown.split("\n") if not line.startswith("    ")]
        assert not [
            line for line in loose if any(word in line for word in ("script", "heading", "vil", "tab", "---\n"))
        ]
        assert [line for line in markdown.split("\n") if line.startswith("    <script>")]
        text = render(made, "json")
        assert text.isascii()
        [session] = json.loads(text)["texts"]
        assert session["messages"][0]["after"] == SAID
        assert session["messages"][2]["after"] == "\ud800 half"


def test_much_is_cut_and_the_report_says_how_much(hermes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excerpts, "TEXT_LIMIT", 50)
    monkeypatch.setattr(excerpts, "SESSION_LIMIT", 1000)
    turns = hermes.turns(*(f"{k:02}" for k in range(20)))
    turns[0]["content"] = "x" * 80
    hermes.write_backup(turns)
    for made in reports(find_store(home=hermes.home), with_texts=True):
        [session] = json.loads(render(made, "json"))["texts"]
        shown = session["messages"]
        assert (shown[0]["after"], shown[0]["cut"]) == ("x" * 50, 30)
        assert len(shown) + session["left_off"] == len(turns)
        assert 0 < len(shown) < 10
        for text in (plain(render(made, "md")), Page(render(made, "html")).text):
            assert "30 more characters are not in this report." in text
            assert f"{session['left_off']} more messages are not in this report" in text


def test_the_whole_report_is_bounded_too(hermes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excerpts, "REPORT_LIMIT", 900)
    for sid in ("0123456789ab", "0123456789ac"):
        hermes.write_rows(hermes.turns("a", "b", "c", "d"), sid=sid, title=sid)
    found = audit(find_store(home=hermes.home))
    first, second = excerpts.of_audit(found).texts or ()
    assert (len(first.messages), second.messages, second.left_off) == (8, (), 8)


def test_what_a_run_left_and_nobody_holds_any_more_is_not_made_up(hermes: Any, damaged: Store) -> None:
    made = reports(damaged, with_texts=True)[1]
    run = Vault.of(damaged).read_run(made.facts["run"])
    left = hermes.live.read_bytes()
    backup = hermes.live.with_name(f"{hermes.live.name}.bak")
    backup.unlink()
    hermes.write_live(hermes.turns("other"))
    for form in report.FORMATS:
        text = render(report.run_report(run, excerpts.of_run(damaged, run)), form)
        assert "cannot be shown" in text
        assert "ask a" not in text
    backup.write_bytes(left)
    assert "ask a" in render(report.run_report(run, excerpts.of_run(damaged, run)), "json")


def test_the_texts_are_read_without_a_trace(hermes: Any, damaged: Store, snapshot: Callable[[Path], object]) -> None:
    found = audit(damaged)
    before = snapshot(hermes.home)
    excerpts.of_audit(found)
    assert snapshot(hermes.home) == before
    done = api.apply(api.plan(damaged))
    assert done.run_id is not None
    run = Vault.of(damaged).read_run(done.run_id)
    before = snapshot(hermes.home)
    excerpts.of_run(damaged, run)
    assert snapshot(hermes.home) == before


def test_hostile_texts_stay_texts(tmp_path: Path, hermes: Any) -> None:
    home = tmp_path / "<b>&\"'\x1b"
    hermes.home.rename(home)
    evil = type(hermes)(home)
    evil.write_live([], title=EVIL)
    evil.write_backup(evil.turns("a"), title=EVIL, session_id=EVIL, worktree_path=f"/x{EVIL}")
    evil.write_rows(evil.turns("x"), sid=EVIL)
    (evil.sessions / f"{EVIL}.json".replace("/", "_").replace("\0", "")).write_text("{}")
    for made in reports(find_store(home=home)):
        text = render(made, "html")
        page = Page(text)
        assert set(page.tags) <= TAGS
        assert "<b>&\"'\\x1b" in page.text
        assert "{{ 7*7 }}" in page.text
        assert text.replace("\n", "").isprintable()
        markdown = render(made, "md")
        assert "<" not in markdown.replace("\\<", "")
        assert markdown.replace("\n", "").isprintable()
    title = " ".join(EVIL_SHOWN.split())
    assert title in page.text
    assert title in plain(markdown)


def test_the_page_loads_nothing_runs_nothing_and_suits_screen_and_paper(damaged: Store) -> None:
    for made in reports(damaged):
        page = Page(render(made, "html"))
        assert "script" not in page.tags
        assert {name for name, _ in page.attributes} <= {
            *("lang", "charset", "http-equiv", "content", "name", "class", "scope", "id", "href", "role", "aria-label"),
            *("viewbox", "preserveaspectratio", "x", "y", "width", "height", "aria-hidden"),
        }
        assert not [value for _, value in page.attributes if value and "http" in value.casefold()]
        assert all((value or "").startswith("#s") for name, value in page.attributes if name == "href")
        assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes
        assert "prefers-color-scheme: dark" in page.style
        assert "@media print" in page.style
        assert not [word for word in ("url(", "@import", "http") if word in page.style]


def test_the_terminal_writes_the_page(
    damaged: Store, rescue: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    target = tmp_path / "report.html"
    home = damaged.state_dir.parent
    assert rescue("report", "--format", "html", "-o", target, "--home", home)[0] == 0
    assert "Messages are missing from the session" in Page(target.read_text("utf-8")).text


def test_the_terminal_tells_what_was_said_only_when_asked(
    hermes: Any, damaged: Store, rescue: Callable[..., tuple[int, str, str]]
) -> None:
    run_id = hermes.repair().run_id
    for form in FORMATS:
        for what in ((), (run_id,)):
            arguments = ("report", *what, "--format", form, "--home", hermes.home)
            assert "answer b" not in rescue(*arguments)[1]
    assert "answer b" in rescue("report", run_id, "--texts", "--home", hermes.home)[1]
    hermes.live.unlink()
    status, text, _ = rescue("report", "--texts", "--format", "json", "--home", hermes.home)
    assert (status, "answer b" in text) == (0, True)


def test_the_terminal_says_who_makes_a_pdf(rescue: Callable[..., tuple[int, str, str]], damaged: Store) -> None:
    status, _, said = rescue("report", "--format", "pdf", "--home", damaged.state_dir.parent)
    assert (status, said.count("\n")) == (2, 1)
    assert "hermes-rescue-gui" in said


def test_there_is_no_other_form(damaged: Store) -> None:
    with pytest.raises(ValueError, match="pdf"):
        render(report.audit_report(audit(damaged)), "pdf")


def test_an_edited_manifest_makes_no_report_impossible(hermes: Any) -> None:
    hermes.write_backup(hermes.turns("a"))
    run_id = hermes.repair().run_id
    run = Vault.of(find_store(home=hermes.home)).read_run(run_id)
    odd = replace(run.operations[0], info={"messages_before": "many", "messages_after": "x", "title": 7, "kinds": 3})
    made = run_report(replace(run, operations=(odd,)))
    assert all(render(made, form) for form in FORMATS)


def test_a_session_that_only_the_session_list_lacked_counts_wherever_a_repair_is_told(tmp_path: Path) -> None:
    store = find_store(home=make_demo_store(tmp_path / "demo").home)
    plan = api.plan(store)
    [listed] = plan.relisted
    api.apply(plan)
    n = len(plan.sessions) + 1
    [run] = Vault.of(store).list_runs()
    assert f"{n} repaired" in render(run_report(run), "md")
    assert plan.titles[listed] in render(run_report(run), "md")
    anonymous = render(run_report(run, is_anonymous=True), "json")
    assert f'"Session {n}"' in anonymous
    assert listed not in anonymous
    assert plan.titles[listed] not in anonymous
