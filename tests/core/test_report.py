"""A report says the same in each of its forms, nothing of what was said, and means what it says: no text in it acts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from core import repair, report, vault
from core.audit import audit
from core.findings import KINDS
from core.report import FORMATS, Report, render, run_report
from core.store import Store, find_store

EVIL = "<script>alert('x')</script>\"'><img src=http://e.vil onerror=x> & {{ 7*7 }} `|*_ \x1b[31m\u202e\x00"
EVIL_SHOWN = "<script>alert('x')</script>\"'><img src=http://e.vil onerror=x> & {{ 7*7 }} `|*_ \\x1b[31m\\x202e\\x00"
VOID = {"meta"}
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "section", "h1", "h2", "h3", "p", "ul", "li"),
    *("dl", "dt", "dd", "span", "code", "table", "thead", "tbody", "tr", "th", "td"),
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


def audit_facts(facts: dict[str, Any]) -> Iterator[str]:
    """What a person must be able to read in a report of an audit."""
    yield from (facts["made_at"], facts["store"]["sessions_dir"], facts["store"]["webui"], *facts["store"]["databases"])
    yield from (f"{facts['summary']['healthy']} healthy", f"{facts['summary']['repairable']} can be repaired")
    yield from (f"{facts['summary']['unsafe_to_repair']} need a decision", f"{facts['summary']['info']} notes")
    for item in facts["items"]:
        yield from (item["session_id"] or "The store", KINDS[item["kind"]].label, item["evidence"])
        yield f"({item['kind']}, {item['category']})"
        counts = [str(n) if n >= 0 else "–" for n in (item["live_messages"], item["bak_messages"])]
        yield "{} in the live file, {} in the backup".format(*counts)
        yield from (item["how_serious"], item["what_to_do"], item["what_happens"], item["meanwhile"])


def run_facts(facts: dict[str, Any]) -> Iterator[str]:
    """What a person must be able to read in a report of a run."""
    yield from (facts["made_at"], facts["run"], facts["status"], facts["started_at"], facts["finished_at"])
    yield from (facts["store"]["sessions_dir"], *facts["store"]["databases"])
    for session in facts["sessions"]:
        yield from (session["title"], session["session_id"], *(KINDS[kind].label for kind in session["found"]))
        before = str(session["messages_before"]) if session["messages_before"] >= 0 else "–"
        yield f"{before} before, {session['messages_after']} after"
        for op in session["operations"]:
            yield from (op["file"], op["action"], op["state"], op["note"])
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


def reports(store: Store) -> tuple[Report, Report]:
    """The report of an audit, and that of the repair of everything."""
    found = report.audit_report(audit(store))
    done = repair.apply(repair.plan(store))
    assert done.run_id is not None
    return found, report.run_report(vault.read_run(store.vault_root, done.run_id))


def test_the_three_forms_carry_the_same_facts(damaged: Store) -> None:
    for made, facts_of in zip(reports(damaged), (audit_facts, run_facts), strict=True):
        facts = list(facts_of(json.loads(render(made, "json"))))
        assert len(facts) > 10
        for form, text in (("md", plain(render(made, "md"))), ("html", Page(render(made, "html")).text)):
            folded = text.casefold()
            missing = [fact for fact in facts if fact.casefold() not in folded]
            assert not missing, form


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
            *("lang", "charset", "http-equiv", "content", "name", "class", "scope")
        }
        assert not [value for _, value in page.attributes if value and "http" in value.casefold()]
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


def test_there_is_no_other_form(damaged: Store) -> None:
    with pytest.raises(ValueError, match="pdf"):
        render(report.audit_report(audit(damaged)), "pdf")


def test_an_edited_manifest_makes_no_report_impossible(hermes: Any) -> None:
    hermes.write_backup(hermes.turns("a"))
    run_id = hermes.repair().run_id
    run = vault.read_run(find_store(home=hermes.home).vault_root, run_id)
    odd = replace(run.operations[0], info={"messages_before": "many", "messages_after": "x", "title": 7, "kinds": 3})
    made = run_report(replace(run, operations=(odd,)))
    assert all(render(made, form) for form in FORMATS)
