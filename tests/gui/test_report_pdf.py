"""The report on paper says what every other form says, and is made where the window does not wait for it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from random import Random
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.store_audit import audit
from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.repair.run_record import Operation, Run
from hermes_rescue.core.repair.vault import Vault
from hermes_rescue.core.report import excerpts
from hermes_rescue.core.report.diff import Change
from hermes_rescue.core.report.report import Report, audit_report, render, run_report
from hermes_rescue.gui.background.jobs import Jobs
from hermes_rescue.gui.background.paper import EMPTY, Row, pages_of, rows_of
from hermes_rescue.gui.background.report_pdf import document_of, pdf_of
from PySide6.QtCore import QThread
from pytestqt.qtbot import QtBot

HEIGHT = 600.0
LARGEST = 60.0
"""Height of a page, and of the few lines that go on to the next one with the line that has no room."""


class Page(HTMLParser):
    """The words of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self._texts: list[str] = []
        self.feed(re.sub(r"<(style|title)>.*?</\1>", "", page, flags=re.DOTALL))

    @property
    def words(self) -> list[str]:
        return " ".join(self._texts).split()

    def handle_data(self, data: str) -> None:
        self._texts.append(data)


@pytest.fixture
def reports(demo: DemoStore) -> tuple[Report, Report]:
    store = find_store(home=demo.home)
    found = audit(store)
    made = audit_report(found, excerpts.of_audit(found))
    done = api.apply(api.plan(store))
    assert done.run_id is not None
    run = Vault.of(store).read_run(done.run_id)
    return made, run_report(run, excerpts.of_run(store, run))


def test_it_says_what_the_page_says(qtbot: QtBot, reports: tuple[Report, Report]) -> None:
    for report in reports:
        said = Page(render(report, "html")).words, document_of(report).toPlainText().split()
        page, paper = ({word.strip(":·") for word in words} - {""} for words in said)
        assert len(page) > 500
        assert page ^ paper <= {"\ufffc"}


def test_the_picture_of_each_copy_is_drawn(qtbot: QtBot, reports: tuple[Report, Report]) -> None:
    for report in reports:
        lanes = sum(len((session["picture"] or {"copies": ()})["copies"]) for session in report.facts["sessions"])
        assert lanes > 30
        assert document_of(report).toHtml().count("bar:") > lanes


@pytest.mark.parametrize("seed", range(20))
def test_a_page_ends_with_no_heading_and_is_not_half_empty(seed: int) -> None:
    random = Random(seed)
    rows: list[Row] = []
    top = 0.0
    for _ in range(300):
        level = random.choice((0, 0, 0, 0, 1, 2))
        for is_heading in [True] * level + [False] * random.randint(1, 3 + 40 * (random.random() < 0.1)):
            top += random.choice((0, 2, 9))
            rows.append(Row(top, top + random.choice((10, 12, 30)), is_heading))
            top = rows[-1].bottom
    pages = list(pages_of(rows, HEIGHT))
    shown = [[row for row in rows if top <= row.top < bottom] for top, bottom in pages]
    assert [row for page in shown for row in page] == rows
    for (top, bottom), page in zip(pages, shown, strict=True):
        assert page[-1].bottom <= top + HEIGHT
        if page is not shown[-1]:
            assert not page[-1].is_heading
            assert page[-1].bottom - top >= HEIGHT * (1 - EMPTY) - LARGEST
            assert bottom == next(row.top for row in rows if row.top > page[-1].top)


def test_what_is_higher_than_a_page_is_on_several() -> None:
    assert list(pages_of([Row(0, 10), Row(10, 250), Row(250, 260)], 100)) == [
        (0, 10),
        (10, 110),
        (110, 210),
        (210, 310),
    ]


def test_real_pages_end_well(qtbot: QtBot, reports: tuple[Report, Report]) -> None:
    for report in reports:
        document = document_of(report)
        document.setTextWidth(660)
        rows = rows_of(document)
        assert sum(row.is_heading for row in rows) > 30
        pages = list(pages_of(rows, 980))
        assert len(pages) > 3
        for top, bottom in pages[:-1]:
            last = [row for row in rows if top <= row.top < bottom][-1]
            assert not last.is_heading
            assert last.bottom - top > 980 * (1 - EMPTY) - 80


def test_it_has_pages_and_a_title_and_is_made_in_the_thread_of_a_job(
    qtbot: QtBot, reports: tuple[Report, Report]
) -> None:
    jobs = Jobs()
    threads = []

    def work(_: Any) -> bytes:
        threads.append(QThread.currentThread())
        return pdf_of(reports[0])

    job = jobs.prepare("pdf", work)
    with qtbot.waitSignal(job.done, timeout=30_000) as done:
        job.start()
    jobs.wait()
    assert threads[0] is not QThread.currentThread()
    assert done.args is not None
    [pdf] = done.args
    assert pdf.startswith(b"%PDF-")
    assert pdf.rstrip().endswith(b"%%EOF")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) > 3
    assert reports[0].title.encode("utf-16-be") in pdf


def test_an_anonymous_one_has_nothing_of_anybody(qtbot: QtBot, demo: DemoStore) -> None:
    found = audit(find_store(home=demo.home))
    document = document_of(audit_report(found, excerpts.of_audit(found), is_anonymous=True))
    page = document.toPlainText() + document.toHtml()
    for story in demo.stories:
        assert story.session_id not in page
        assert story.title not in page or story.title == "Untitled"
    assert demo.home.name not in page


def test_what_was_said_is_not_read_as_a_page(qtbot: QtBot) -> None:
    evil = "<h2>big</h2><img src='file:///etc/hostname'></section><section><style>p{}</style>&amp;<table><tr><td><dl>"
    said = excerpts.SessionExcerpts("0123456789ab", evil, (excerpts.Excerpt(Change.ADDED, evil, None, None, evil),))
    change = Operation(
        1, "0123456789ab", "create", "0123456789ab.json", None, "0" * 64, None, "done", "", {"title": "x"}
    )
    run = Run("20260503T141200Z-3f2a9c", 0.0, None, (), "finished", (), (change,))
    document = document_of(run_report(run, excerpts.Details((said,))))
    assert document.toPlainText().count(evil) == 3
    assert "<img" not in document.toHtml().replace('<img src="bar:', "")
