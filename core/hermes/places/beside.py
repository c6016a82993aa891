"""Copies beside the session files: of sync tools, editors and people, and exports that were put back there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from hermes_rescue.core.base.errors import UnreadableError
from hermes_rescue.core.base.own_temps import own_temp
from hermes_rescue.core.hermes.places import forms
from hermes_rescue.core.hermes.places.candidate import Candidate, Form, date_in, day
from hermes_rescue.core.hermes.store import is_session_name

APPLE = "._"
"""What the names of AppleDouble files begin with: macOS keeps attributes in them on foreign disks."""

_USUAL_ID = re.compile(r"[0-9a-f]{12}|\d{8}_\d{6}_[0-9a-f]{6,8}")
_PLACEHOLDER = re.compile(r"\.([0-9A-Za-z_-]+)\.json\.icloud")
_IN_HOME = re.compile(r"(?:session_|hermes-)?([0-9A-Za-z_-]+)\.json(?:\.bak)?")
_LEADING_ID = re.compile(r"(?:hermes-)?([0-9a-f]{12}|\d{8}_\d{6}_[0-9a-f]{6,8}|[0-9A-Za-z_-]+)")
_EXPORT = re.compile(r"hermes-|.*\.jsonl")
_CONFLICT_OF = re.compile(r"\((.+?)(?:'s|’s)? conflicted copy", re.IGNORECASE)
_CONFLICT = re.compile(r"sync-conflict|conflicted copy|conflict", re.IGNORECASE)
_HOST = re.compile(r"-([A-Za-z][0-9A-Za-z_.-]{1,62})\.json")


def is_usual(session_id: str) -> bool:
    """Whether an id has the form that Hermes gives to one."""
    return _USUAL_ID.fullmatch(session_id) is not None


def placeholder_of(name: str) -> str | None:
    """The session whose file iCloud has taken away, where a name is that of its placeholder."""
    found = _PLACEHOLDER.fullmatch(name)
    return found[1] if found else None


def session_in(name: str) -> str | None:
    """The session that a file is of by its name alone, as it is in every home; None where it names none."""
    found = _IN_HOME.fullmatch(name)
    return found[1] if found and is_session_name(found[1]) else None


def copies_in(folder: Path, names: Iterable[str]) -> Iterator[tuple[str, Candidate]]:
    """The sessions that files of these names hold, each with the candidate. What cannot be read holds none, and what a
    dead run left is no copy.
    """
    for name in names:
        if not name.startswith((APPLE, "_")) and own_temp(name) is None:
            yield from of_file(folder / name)


def of_file(path: Path, *, shown: str = "", label: str = "", is_near: bool = True) -> Iterator[tuple[str, Candidate]]:
    """The same of one file. ``label`` names its copies, else its own name does; ``shown``: where it lies."""
    try:
        status = os.lstat(path)
    except OSError:
        return
    if not status.st_size:
        return
    name = path.name
    is_lines = name.lower().removesuffix(".gz").endswith(".jsonl")
    if is_lines:
        try:
            ids = [*dict.fromkeys(forms.ids_in_lines(path))] if forms.may_have_lines(path) else []
        except (OSError, UnreadableError):
            ids = []
    else:
        facts = forms.head(path)
        ids = [facts.session_id or (_by_name(name) if facts.is_session else "")]
    form = Form.LINES if is_lines else Form.FILE
    for session_id in filter(is_session_name, ids):
        title = label or f"{name_of(path.name, session_id)}"
        title = f"{title} of {day(date_in(name) or status.st_mtime)}" if " of " not in title else title
        where = shown or str(path)
        yield (
            session_id,
            Candidate(title, path, form, status.st_mtime, status.st_size, is_near, where),
        )


def name_of(name: str, session_id: str) -> str:
    """What kind of copy a file is, by its name."""
    if conflict := _CONFLICT_OF.search(name):
        return f"conflict copy of {conflict[1]}"
    if _CONFLICT.search(name):
        return "conflict copy"
    if name.startswith(session_id) and (host := _HOST.fullmatch(name[len(session_id) :])):
        return f"conflict copy of {host[1]}"
    if name.startswith("session_"):
        return "snapshot"
    return "export" if _EXPORT.match(name) else "other copy"


def _by_name(name: str) -> str:
    found = _LEADING_ID.match(name.removeprefix("session_"))
    return found[1] if found else ""
