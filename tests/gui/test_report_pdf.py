"""The report on paper says what every other form says, and is made where the window does not wait for it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.audit.store_audit import audit
from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.repair.run_record import Run
from hermes_rescue.core.repair.vault import Vault
from hermes_rescue.core.report import excerpts
from hermes_rescue.core.report.diff import Change
from hermes_rescue.core.report.report import Report, audit_report, render, run_report
from hermes_rescue.gui.background.jobs import Jobs
from hermes_rescue.gui.background.report_pdf import document_of, pdf_of
from PySide6.QtCore import QThread
from pytestqt.qtbot import QtBot


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
        words = Page(render(report, "html")).words
        assert len(words) > 1000
        assert " ".join(document_of(report).toPlainText().split()) == " ".join(words)


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


def test_what_was_said_is_not_read_as_a_page(qtbot: QtBot) -> None:
    evil = "<h2>big</h2><img src='file:///etc/hostname'></section><section><style>p{}</style>&amp;<table><tr><td><dl>"
    said = excerpts.SessionQuotes("0123456789ab", evil, (excerpts.Quote(Change.ADDED, evil, None, None, evil),))
    run = Run("20260503T141200Z-3f2a9c", 0.0, None, (), "finished", (), ())
    document = document_of(run_report(run, [said]))
    assert document.toPlainText().count(evil) == 3
    assert "img" not in document.toHtml().replace("&lt;img", "")
