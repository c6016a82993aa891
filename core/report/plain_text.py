"""Times and texts of a session as a person reads them, without anything that acts: plain, or in Markdown."""

from __future__ import annotations

import re
import time
from typing import Any

from hermes_rescue.core.base import files

_ADDRESS = re.compile(r"(\b[a-z][a-z0-9+.-]*)(:(?=//))|(\bwww)(\.)", re.IGNORECASE)
"""Where what readers of Markdown take for a link begins."""

LATEST = 1e11
"""Seconds since 1970 from which on a time stamp is no time."""


def stamp(seconds: float) -> str:
    """A moment for a person, in the local time of this machine."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(seconds))


def moment(seconds: float | None) -> str:
    """When a message was written, as :func:`stamp` says it; empty where nobody knows, or where it is no time."""
    return stamp(seconds)[:19] if seconds is not None and 0 <= seconds < LATEST else ""


def plain_markdown(value: Any) -> str:
    """A text of a session that means itself in Markdown, on one line and without control characters; an address in it
    becomes no link.
    """
    text = " ".join(files.shown(str(value)).split())
    text = "".join("\\" + c if c in "\\`*_[]<>|~&@" else c for c in text)
    return _ADDRESS.sub(lambda found: "\\".join(filter(None, found.groups())), text)


def plain_lines(text: str) -> str:
    """A text of several lines without anything that steers a terminal or a reader's eye."""
    return "\n".join(files.shown(line.replace("\t", "    ")) for line in text.split("\n"))


def code_markdown(text: str) -> str:
    """A text as an indented block of Markdown: every line of it is one of the block, so nothing in it gets out."""
    return "\n".join(f"    {line}".rstrip() for line in plain_lines(text).split("\n"))
