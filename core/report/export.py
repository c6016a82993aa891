"""A conversation as a file to keep: the recovered one, or any one copy, as Markdown, HTML, JSON or PDF.

The same copy always gives the same bytes, whichever front asks; only a PDF also holds its moment and an id of its own.
"""

from __future__ import annotations

import math
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from hermes_rescue.core.audit.session import merge_session
from hermes_rescue.core.audit.workers import Failure, Progress
from hermes_rescue.core.base import files
from hermes_rescue.core.base.errors import RescueError, UnknownSessionError
from hermes_rescue.core.base.jsontext import Piece, number
from hermes_rescue.core.base.progress import Steps, stop_if_asked
from hermes_rescue.core.base.words import counted
from hermes_rescue.core.hermes import sidecar
from hermes_rescue.core.hermes.copies import INDEX, SessionCopies
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.store import Store, is_sessions_folder
from hermes_rescue.core.hermes.webui_status import webui_status
from hermes_rescue.core.merge.choices import OUTDATED, Choices
from hermes_rescue.core.merge.metadata import row_fields
from hermes_rescue.core.merge.proposal import Proposal
from hermes_rescue.core.report import markdown
from hermes_rescue.core.report.conversation import clean, speeches
from hermes_rescue.core.report.diff import RECOVERED, Version, versions
from hermes_rescue.core.report.plain_text import moment, plain_markdown

if TYPE_CHECKING:
    import jinja2

FORMS = ("md", "html", "json", "pdf")

PrintPage: TypeAlias = Callable[[str, str], bytes]
"""Makes a PDF from the title of a conversation and its HTML form: the engine itself cannot."""

NAME_LENGTH = 80
"""Characters of a title that are used in the name of a file."""

_NO_NAME = re.compile(r'[\0-\x1f\x7f-\x9f<>:"/\\|?*\u2028\u2029]+')
_RENDER = 0.9
"""The share of what is left to do for a session, after it was merged, that laying it out takes."""

_UNSTORABLE = re.compile(rb"NaN|Infinity|\\u[dD][89a-fA-F]")
_HALF = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy of a session. ``name`` as in :func:`core.report.diff.versions`."""

    session_id: str
    title: str
    name: str
    version: Version

    @property
    def last(self) -> float | None:
        """When the last message was written, in seconds; None where nobody knows."""
        times = [m.time for m in self.version.messages if m.time is not None]
        return max(times, default=number(self.version.fields.get("updated_at")))


@dataclass(frozen=True, slots=True)
class Exported:
    """The files that were written, and the sessions that could not be, each with the reason."""

    written: tuple[Path, ...]
    failed: tuple[Failure, ...]


def copy_of(copies: SessionCopies, proposal: Proposal, name: str = RECOVERED) -> Copy:
    """One copy of a session that was read and merged. Raises RescueError for a copy that it does not have."""
    known = versions(copies, proposal, (name,))
    index = known.pop(INDEX, None)  # which has no messages
    if name not in known:
        reason = "Nothing of this session is recovered" if name == RECOVERED else f"This session has no copy '{name}'"
        raise RescueError(f"{reason}. " + (f"It has: {', '.join(known)}." if known else "No copy of it has messages."))
    version = known[name]
    row = next((each for each in copies.databases if each.name == name), None)
    if row is not None:
        workspace = {"workspace": row.workspaces[-1]} if row.workspaces else {}
        version = replace(version, fields=row_fields(row.row, row.profile) | workspace)
    others = (known.get(RECOVERED), index, *known.values())
    titles = (each.fields.get("title") for each in (version, *others) if each is not None)
    title = next((line for each in titles if isinstance(each, str) and (line := " ".join(clean(each).split()))), "")
    return Copy(copies.session_id, title or "Untitled", name, version)


def read_copies(
    store: Store,
    session_ids: Sequence[str] | None = None,
    name: str = RECOVERED,
    *,
    choices: Mapping[str, Choices] | None = None,
    progress: Progress | None = None,
    should_cancel: Callable[[], bool] | None = None,
) -> Iterator[tuple[Copy | Failure, Steps]]:
    """One copy of each session (None: of every session of the store), with the steps of what is still to be done for
    it. Changes nothing. Raises RescueError for a session that no copy knows, Cancelled.
    """
    webui = webui_status(store)
    with Inventory(store, only=None if session_ids is None else frozenset(session_ids)) as inventory:
        known = inventory.session_ids()
        wanted = known if session_ids is None else tuple(dict.fromkeys(session_ids))
        if unknown := sorted(set(wanted) - set(known)):
            raise UnknownSessionError(unknown, store.sessions_dir)
        for done, session_id in enumerate(wanted):

            def show(part: float, done: int = done) -> None:
                if progress is not None:
                    progress(done + part, len(wanted))

            steps = Steps(show, should_cancel)
            try:
                chosen = (choices or {}).get(session_id)
                copies, proposal = merge_session(inventory, webui, session_id, chosen, steps=steps)
                if proposal.is_outdated:
                    raise RescueError(OUTDATED)
                yield copy_of(copies, proposal, name), steps
            except RescueError as error:
                yield Failure(session_id, str(error)), steps
            stop_if_asked(should_cancel)
            show(1.0)


def export(
    store: Store,
    session_ids: Sequence[str] | None,
    form: str,
    target: Path,
    name: str = RECOVERED,
    *,
    overwrite: bool = False,
    choices: Mapping[str, Choices] | None = None,
    print_page: PrintPage | None = None,
    progress: Progress | None = None,
    should_cancel: Callable[[], bool] | None = None,
) -> Exported:
    """Write one copy of each session (None: of every session) to a file: ``target`` itself for one session, unless that
    is a folder; for several it is a folder, made where there is none. Files that are there stay, unless ``overwrite``.

    One session that fails never stops the others. Raises RescueError where nothing can be written there, Cancelled.
    """
    folder = target if target.is_dir() or session_ids is None or len(session_ids) > 1 else None
    _require_foreign_folder(store, folder or target.parent)
    if folder is not None:
        if folder.exists() and not folder.is_dir():
            raise RescueError(f"{folder} is a file. Several sessions need a folder.")
        folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    failed: list[Failure] = []
    taken: Counter[str] = Counter()
    copies = read_copies(store, session_ids, name, choices=choices, progress=progress, should_cancel=should_cancel)
    for copy, steps in copies:
        if isinstance(copy, Failure):
            failed.append(copy)
            continue
        path = target
        if folder is not None:
            path = folder / file_name(copy, form)
            taken[path.name.casefold()] += 1
            if taken[path.name.casefold()] > 1:
                path = path.with_name(f"{path.stem} ({copy.session_id}).{form}")
        try:
            is_hermes = is_of_hermes(store, path)
            if is_hermes and os.path.lexists(path):
                raise FileExistsError
            files.write(path, render(copy, form, print_page, steps), overwrite=overwrite and not is_hermes)
            written.append(path)
        except RescueError as error:
            failed.append(Failure(copy.session_id, str(error)))
        except FileExistsError:
            whose = "is in a folder of Hermes and" if is_hermes else "already"
            failed.append(Failure(copy.session_id, f"{path} {whose} exists; it was not changed."))
        except OSError as error:
            failed.append(Failure(copy.session_id, files.sentence(error, path)))
    return Exported(tuple(written), tuple(failed))


def render(copy: Copy, form: str, print_page: PrintPage | None = None, steps: Steps | None = None) -> bytes:
    """A copy in one of ``FORMS``. Raises ValueError for another form, or for a PDF that nobody can print."""
    if form == "json":
        return _session_file(copy)
    steps = steps or Steps()
    if form == "pdf" and print_page is not None:
        return print_page(copy.title, _page(copy, "html", steps))
    if form not in ("md", "html"):
        raise ValueError(form)
    return _page(copy, form, steps).encode()


def file_name(copy: Copy, form: str) -> str:
    """A name for the file, from the date of the last message and the title, that every system takes."""
    date = moment(copy.last)[:10]
    title = _NO_NAME.sub(" ", unicodedata.normalize("NFC", copy.title))
    title = " ".join(title.split())[:NAME_LENGTH]
    title = title.encode()[: 2 * NAME_LENGTH].decode(errors="ignore").strip(" .")
    return f"{date or copy.session_id} {title}".strip() + f".{form}"


def _require_foreign_folder(store: Store, folder: Path) -> None:
    """Raises RescueError for a folder whose files Hermes would take for its own, that of another store as well."""
    if os.path.realpath(folder) == os.path.realpath(store.sessions_dir) or is_sessions_folder(folder):
        raise RescueError(f"{folder} is a folder of Hermes' sessions themselves. Choose another one.")


def require_foreign(store: Store, path: Path) -> None:
    """Raises RescueError for a file that Hermes would take for its own, or that is there and may be one of its own."""
    _require_foreign_folder(store, path.parent)
    if os.path.lexists(path) and is_of_hermes(store, path):
        raise RescueError(f"{path} is in a folder of Hermes. Choose another name.")


def is_of_hermes(store: Store, path: Path) -> bool:
    """Whether a file that is there may be one of Hermes' own, also of another home, and so is never replaced."""
    real = Path(os.path.realpath(path.parent)) / path.name
    if real.name == "state.db" or is_sessions_folder(real.parent):
        return True
    homes = {each for each in (store.home, store.state_dir, store.sessions_dir) if each is not None}
    known = (f"{database}{end}" for database in store.databases for end in ("", "-wal", "-shm"))
    return any(real.is_relative_to(os.path.realpath(each)) for each in homes) or str(real) in map(
        os.path.realpath, known
    )


def _page(copy: Copy, form: str, steps: Steps) -> str:
    found = speeches(copy.version)
    return "".join(
        _template(form).generate(
            title=copy.title, facts=tuple(_facts(copy)), speeches=steps.over(found, len(found), _RENDER)
        )
    )


def _facts(copy: Copy) -> Iterator[str]:
    """What the head of a page says of a copy."""
    times = [m.time for m in copy.version.messages if m.time is not None]
    span = dict.fromkeys(moment(each)[:10] for each in (min(times), max(times))) if times else {}
    yield from filter(None, [" to ".join(filter(None, span))])
    count = len(copy.version.messages)
    yield counted(count, "message")
    model = copy.version.fields.get("model")
    if isinstance(model, str) and model:
        yield clean(model)
    yield f"session {copy.session_id}"
    if copy.name != RECOVERED:
        yield f"from the copy: {copy.name}"


@cache
def _template(form: str) -> jinja2.Template:
    import jinja2  # not on the way to a list of findings

    environment = jinja2.Environment(
        autoescape=form == "html", trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= _FILTERS[form]
    environment.filters["moment"] = lambda seconds: moment(seconds)[:16]
    return environment.from_string(
        resources.files("hermes_rescue.resources").joinpath(f"conversation.{form}.j2").read_text("utf-8")
    )


def _typed_markdown(text: str) -> str:
    return markdown.hard_breaks(markdown.contained(text))


_FILTERS: dict[str, dict[str, Callable[..., str]]] = {
    "html": {"page": markdown.page, "typed": markdown.typed, "as_written": markdown.as_written},
    "md": {
        "plain": plain_markdown,
        "page": markdown.contained,
        "typed": _typed_markdown,
        "as_written": markdown.fenced,
    },
}
"""What makes a text of a session safe to stand in each form."""


def _session_file(copy: Copy) -> bytes:
    """A copy as the file of a session, which Hermes WebUI imports as a new one. That fails for a workspace that is not
    there or not allowed, so the file names none; which one it was stays in ``created_workspace``.
    """
    fields = {name: _storable(value) for name, value in copy.version.fields.items() if name != "session_id"}
    fields["created_workspace"] = fields.get("created_workspace") or fields.get("workspace")
    fields |= {"workspace": "", "title": copy.title}
    if not isinstance(fields.get("tool_calls"), list):
        fields["tool_calls"] = []
    pieces = (
        Piece(None, _storable(m.piece.value), 2) if _UNSTORABLE.search(m.piece.raw) else m.piece
        for m in copy.version.messages
    )
    return sidecar.serialise(sidecar.new(copy.session_id, fields, pieces)) + b"\n"


def _storable(value: Any) -> Any:
    """A value without what a browser cannot read (numbers that are none) or the WebUI not write (half characters)."""
    if isinstance(value, dict):
        return {_storable(key): _storable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_storable(each) for each in value]
    if isinstance(value, str):
        return value if value.isascii() else _HALF.sub("\N{REPLACEMENT CHARACTER}", value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
