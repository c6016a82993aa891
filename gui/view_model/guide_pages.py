"""The pages of the guide, and which of them is about what. They lie in ``resources/guide`` as Markdown, so that they
are there wherever the program is.

A heading that ends with the names of findings in backticks is where these are explained.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

INDEX = "README.md"
"""The page that leads to all others."""

_FOLDER = "guide"
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def text_of(name: str) -> str:
    """A page; "" where there is none of that name."""
    found = files("hermes_rescue.resources").joinpath(_FOLDER, name)
    return found.read_text("utf-8") if name.endswith(".md") and found.is_file() else ""


def picture(name: str) -> bytes:
    """What a page shows, by its name in ``resources/pictures``; nothing where it is not there."""
    found = files("hermes_rescue.resources").joinpath("pictures", name)
    return found.read_bytes() if found.is_file() else b""


def names() -> list[str]:
    """Every page by name."""
    folder = files("hermes_rescue.resources").joinpath(_FOLDER)
    return sorted(each.name for each in folder.iterdir() if each.name.endswith(".md"))


def anchor(heading: str) -> str:
    """What links call a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@cache
def place_of(kind: str) -> str:
    """Where a kind of finding is explained, as a link: page and heading. The index where that is nowhere."""
    for name in names():
        for heading in _HEADING.findall(text_of(name)):
            if f"`{kind}`" in heading:
                return f"{name}#{anchor(heading)}"
    return INDEX
