"""The tag that the WebUI puts before what a user typed, to tell the model where it works."""

from __future__ import annotations

import re
from typing import Any

_TAG = re.compile(r"\[Workspace(?:::v1)?: ([^\]\\\r\n]*(?:\\.[^\]\\\r\n]*)*)\](?:\r?\n|\Z)")
_ESCAPED = re.compile(r"\\([\\\]])")
_ABSOLUTE = re.compile(r"/|[A-Za-z]:[\\/]|\\\\[^\\]")


def strip_workspace_tag(text: str) -> tuple[str, str | None]:
    """Split a user row's text into what the user typed and the workspace that its tag names.

    Both forms count, ``[Workspace::v1: PATH]`` and the older ``[Workspace: PATH]``, and only with an absolute path
    (POSIX, drive letter or UNC): anything else was typed by a person. The older form may hold backslashes that nobody
    escaped. Returns the text as it is and None where there is no tag (formats.md, section state.db).
    """
    tag = _TAG.match(text)
    if tag is None:
        return text, None
    for path in (_ESCAPED.sub(r"\1", tag[1]), tag[1]):
        if _ABSOLUTE.match(path):
            return text[tag.end() :], path
    return text, None


def untag(content: Any) -> tuple[Any, str | None]:
    """The same for the content of a message: a text, or a list of parts whose first text carries the tag."""
    if isinstance(content, str):
        return strip_workspace_tag(content)
    for at, part in enumerate(content if isinstance(content, list) else ()):
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            text, workspace = strip_workspace_tag(part["text"])
            return [*content[:at], {**part, "text": text}, *content[at + 1 :]], workspace
    return content, None
