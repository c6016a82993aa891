"""The tag that the WebUI puts before what a user typed, to tell the model where it works."""

from __future__ import annotations

import re

_TAG = re.compile(r"\[Workspace(?:::v1)?: ((?:\\.|[^\]\\\r\n])*)\](?:\r?\n|\Z)")
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
