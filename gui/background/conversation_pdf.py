"""A conversation on paper: the page of its HTML form, laid out by Qt."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from hermes_rescue.gui.background.paper import laid_out, printed
from PySide6.QtCore import QByteArray
from PySide6.QtGui import QGuiApplication, QImage, QTextDocument

PICTURE_WIDTH, PICTURE_HEIGHT = 240, 180
"""The largest size of a picture, in units of which 96 are an inch."""

_HEAD = re.compile(r"<!DOCTYPE.*?</head>", re.DOTALL)
_ARTICLES = re.compile(r"(?=<article)")
"""Where the page can be taken apart. What sessions say is escaped in it, so its tags are its own."""

_PICTURE = re.compile(r'<img src="data:[^,"]*,([^"]*)"')
_ON_PAPER = (
    ("<h2>", '<h6 class="who">'),
    ("</h2>", "</h6>"),
    ('<p class="note">Result</p>', '<h6 class="note">Result</h6>'),
    ('<span class="time">', '&nbsp; <span class="time">'),
    ("<table>", '<table class="listed" border="1" cellspacing="0" cellpadding="4">'),
    ("<details><summary>", '<h6 class="fold">'),
    ("</summary>\n<div>", '</h6><blockquote class="folded">'),
    ("</div></details>", "</blockquote>"),
)
"""Paper has nothing to open: a fold is a line and what was in it, in small letters. What must not be parted from the
text below it is a heading.
"""

_YOURS = (
    ('<article class="you">', '<table class="yours" width="100%" cellpadding="8"><tr><td class="you">'),
    ("</article>", "</td></tr></table>"),
)

_PAPER = """
h1 { font-size: 18pt; margin-bottom: 2px; }
h3, h4, h5, h6 { font-size: 10.5pt; margin-top: 10px; margin-bottom: 4px; }
p { margin-top: 3px; margin-bottom: 5px; }
ul, ol { margin-top: 2px; margin-bottom: 4px; }
pre { font-size: 8.5pt; margin-top: 4px; margin-bottom: 6px; white-space: pre-wrap; background-color: @fold; }
code { font-size: 8.5pt; background-color: @fold; }
pre code { background-color: transparent; }
blockquote { margin-top: 2px; margin-bottom: 4px; margin-left: 16px; margin-right: 0px; color: @muted; }
th { text-align: left; }
.listed { border-color: @line; }
.you { background-color: @select; }
.you pre { background-color: transparent; }
.typed p { white-space: pre-wrap; }
.yours { margin-top: 8px; }
.who { font-size: 9.5pt; font-weight: bold; margin-top: 0px; margin-bottom: 5px; }
.facts, .note, .language, .time, .fold { color: @muted; }
.note, .language, .time { font-size: 8pt; font-weight: normal; margin-top: 3px; margin-bottom: 5px; }
.fold { font-size: 8pt; font-weight: bold; margin-top: 3px; margin-bottom: 5px; }
.folded, .folded pre { font-size: 7.5pt; color: @muted; }
span[class^="k"], .ow { color: @ask; }
span[class^="s"], .gi { color: @ok; }
span[class^="c"] { color: @muted; font-style: italic; }
span[class^="m"] { color: @repair; }
.nf, .nc, .nb, .nt { color: @accent; }
.gd { color: @lost; }
"""


def pdf_of(title: str, page: str) -> bytes:
    """The HTML form of a conversation as PDF, with numbered pages. May be called in any thread of the window; a program
    without one gets what Qt needs to lay out texts, and no screen is asked for.
    """
    if QGuiApplication.instance() is None:
        global _application
        _application = QGuiApplication([sys.argv[0], "-platform", "offscreen"])
    return printed(title, document_of(page))


def document_of(page: str) -> QTextDocument:
    """What is printed."""
    return laid_out(_parts(page), _PAPER)


_application: QGuiApplication | None = None


def _parts(page: str) -> Iterator[str]:
    for part in _ARTICLES.split(_HEAD.sub("", page)):
        for tag, other in (*_ON_PAPER, *(_YOURS if part.startswith(_YOURS[0][0]) else ())):
            part = part.replace(tag, other)
        yield _PICTURE.sub(lambda found: f"{found[0]}{_size(found[1])}", part)


def _size(data: str) -> str:
    """The size of a picture on paper, as attributes."""
    image = QImage.fromData(QByteArray.fromBase64(data.encode()))
    if image.isNull():
        return ""
    shrunk = min(1.0, PICTURE_WIDTH / image.width(), PICTURE_HEIGHT / image.height())
    return f' width="{round(image.width() * shrunk)}" height="{round(image.height() * shrunk)}"'
