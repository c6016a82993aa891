"""A conversation on paper says what its page says, and is made where the window does not wait for it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

from hermes_rescue.core.base.jsontext import Piece
from hermes_rescue.core.demo.demo_store import DemoStore
from hermes_rescue.core.hermes.message import message
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.report.diff import Version
from hermes_rescue.core.report.export import Copy, read_copies, render
from hermes_rescue.gui.background.conversation_pdf import PICTURE_HEIGHT, PICTURE_WIDTH, document_of, pdf_of
from hermes_rescue.gui.background.jobs import Jobs
from PySide6.QtCore import QBuffer, QThread
from PySide6.QtGui import QImage, QTextDocument
from pytestqt.qtbot import QtBot

EVIL = "<article class='you'><img src='file:///etc/hostname'></article><details><summary>\n<div></div></details>&amp;"


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


def copy_of(*values: dict[str, Any]) -> Copy:
    return Copy("3f2a9c51b7d0", "Notes", "live", Version("live", tuple(message(Piece(None, v, 2)) for v in values), {}))


def page_of(copy: Copy) -> str:
    return render(copy, "html").decode()


def words_of(document: QTextDocument) -> str:
    return " ".join(document.toPlainText().replace("\ufffc", " ").split())


def test_it_says_what_the_page_says(qtbot: QtBot, demo: DemoStore) -> None:
    ids = [story.session_id for story in demo.stories if len(story.wanted) > 10][:4]
    pages = [page_of(copy) for copy, _ in read_copies(find_store(home=demo.home), ids) if isinstance(copy, Copy)]
    assert len(pages) > 1
    for page in pages:
        assert words_of(document_of(page)) == " ".join(Page(page).words)


def test_it_is_made_in_the_thread_of_a_job_from_what_the_page_is_made_of(qtbot: QtBot) -> None:
    jobs = Jobs()
    threads = []
    copy = copy_of(*({"role": "user", "content": f"word {k} " * 60} for k in range(60)))

    def work(_: Any) -> bytes:
        threads.append(QThread.currentThread())
        return render(copy, "pdf", pdf_of)

    job = jobs.prepare("pdf", work)
    with qtbot.waitSignal(job.done, timeout=30_000) as done:
        job.start()
    jobs.stop()
    assert threads[0] is not QThread.currentThread()
    assert done.args is not None
    [pdf] = done.args
    assert pdf.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) > 2
    assert copy.title.encode("utf-16-be") in pdf


def test_what_was_said_is_not_read_as_a_page(qtbot: QtBot) -> None:
    call = {"function": {"name": EVIL, "arguments": EVIL}}
    values = ({"role": "user", "content": EVIL}, {"role": "assistant", "content": EVIL, "tool_calls": [call]})
    document = document_of(page_of(copy_of(*values)))
    assert words_of(document).count("<article class='you'>") == 4
    assert "hostname'>" in document.toPlainText()
    assert "img" not in document.toHtml().replace("&lt;img", "")


def test_pictures_are_small(qtbot: QtBot) -> None:
    image, buffer = QImage(4000, 500, QImage.Format.Format_RGB32), QBuffer()
    image.fill(0)
    image.save(buffer, "PNG")  # type: ignore[call-overload]  # its stubs want bytes, it takes text
    data = f"data:image/png;base64,{bytes(buffer.data().toBase64().data()).decode()}"
    parts = [{"type": "image_url", "image_url": {"url": each}} for each in (data, "data:image/png;base64,AAA")]
    html = document_of(page_of(copy_of({"role": "user", "content": parts}))).toHtml()
    sizes = [tuple(map(int, found)) for found in re.findall(r'<img[^>]*width="(\d+)" height="(\d+)"', html)]
    assert len(sizes) == 1
    assert sizes[0][0] <= PICTURE_WIDTH
    assert sizes[0][1] <= PICTURE_HEIGHT
