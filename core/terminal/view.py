"""How the terminal front draws what the engine found. Everything from a session is untrusted: control characters never
reach the terminal, and nothing is read as markup."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hermes_rescue.core.audit.findings import (
    ONE_STANDS,
    OTHER_STATE_DIR,
    Category,
    SessionAudit,
    Standing,
    how_they_stand,
)
from hermes_rescue.core.audit.store_audit import Audit
from hermes_rescue.core.audit.workers import Progress as Report
from hermes_rescue.core.audit.written_over import what_to_do
from hermes_rescue.core.base.files import shown
from hermes_rescue.core.base.words import counted
from hermes_rescue.core.hermes.copies import LIVE
from hermes_rescue.core.report.plain_text import moment, plain_lines
from hermes_rescue.core.terminal.call import Call
from hermes_rescue.core.terminal.progress import as_lines
from hermes_rescue.core.terminal.prose import GAP, WIDTH, wrapped
from hermes_rescue.core.terminal.table import Column, Table
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from hermes_rescue.core.repair.run_record import Run
    from hermes_rescue.core.search.session_search import Hit, SessionHits
    from hermes_rescue.core.search.store_search import Unread
    from rich.progress import Progress

PATIENCE = 0.5
"""Seconds after which a progress bar appears."""

FOUND_SHOWN = 3
"""Hits of a session that are shown; all are counted."""

_STYLE = {Category.REPAIRABLE: "yellow", Category.REVIEW: "magenta", Category.INFO: "blue", None: "green"}
_WORD = {
    Category.REPAIRABLE: "can be repaired",
    Category.REVIEW: "your decision",
    Category.INFO: "note",
    None: "healthy",
}
_AUDIT = (
    Column("status"),
    Column("session"),
    Column("title", least=12),
    Column("live", is_number=True, is_spare=True),
    Column("after", is_number=True, is_spare=True),
    Column("backup", is_number=True, is_spare=True),
    Column("database", is_number=True, is_spare=True),
    Column("what was found", least=16),
)
_LIST = (
    Column("session"),
    Column("state"),
    Column("live", is_number=True, is_spare=True),
    Column("after", is_number=True, is_spare=True),
    Column("changed", is_spare=True),
    Column("bytes", is_number=True, is_spare=True),
    Column("begun", is_spare=True),
    Column("title", least=16),
)
_TO_MINUTES = len("2026-05-03 14:12")


class View:
    """Draws on stdout; progress goes to stderr, and only to a terminal."""

    def __init__(self, call: Call) -> None:
        """``call`` has the store that is shown, for the commands that are suggested."""
        self.command = call.command
        self._is_quiet = call.is_quiet
        self._has_progress_lines = call.has_progress_lines
        is_terminal = sys.stdout.isatty()  # else nothing is wrapped
        self._out = Console(highlight=False, markup=False, emoji=False, soft_wrap=not is_terminal, quiet=self._is_quiet)
        self._width = self._out.width if is_terminal else None
        self._err = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._bar: Progress | None = None

    @contextmanager
    def progress(self, what: str) -> Iterator[Report]:
        """A bar for work that takes longer than ``PATIENCE``; nothing where stderr is no terminal. Lines for a program
        where it asked for them.
        """
        if self._has_progress_lines:
            yield as_lines(what)
            return
        start = time.monotonic()

        def report(done: float, total: int) -> None:
            if self._bar is None:
                if self._is_quiet or not self._err.is_terminal or time.monotonic() - start <= PATIENCE:
                    return
                self._bar = _bar(what, self._err)
                self._bar.start()
            self._bar.update(self._bar.task_ids[0], completed=done, total=total)

        try:
            yield report
        finally:
            if self._bar is not None:
                self._bar.stop()
                self._bar = None

    @contextmanager
    def beside_the_bar(self) -> Iterator[None]:
        """For what is printed while a bar may be shown."""
        if self._bar is None:
            yield
            return
        self._bar.stop()
        yield
        self._bar.start()

    def audit(self, found: Audit, interrupted: Sequence[Run]) -> None:
        """The sessions with findings, the store's own findings, and what to do next."""
        self.line(f"Sessions: {found.store.sessions_dir}")
        self.line(found.webui.evidence)
        listed = [s for category in Category for s in found.of(category)]
        if listed:
            table = Table(_AUDIT)
            for s in listed:
                table.add_row(
                    Text(_state(s), _STYLE[s.category]), Text(shown(s.session_id)), Text(_one_line(s.title)),
                    *(_count(n) for n in (s.live, s.after, s.backup, s.database)),
                    Text("; ".join(f.label for f in s.findings)),
                )  # fmt: skip
            self.table(table)
        if over := sum(s.is_written_over for s in found.sessions):
            of = "a repaired session" if over == 1 else f"{over} repaired sessions"
            self.line(f"Hermes WebUI saved over {of}. {what_to_do(found.webui)}")
        for f in found.store_findings:
            self.labelled(_WORD[f.category], _STYLE[f.category], f.evidence)
            if f.name == OTHER_STATE_DIR:
                self.line(f"Take its sessions over: {self.command('import', str(f.details['path']))}")
        for place in found.places:
            self.line(f"elsewhere: {place.sentence}")
        counts = found.standings
        shown_always = (Standing.REPAIRABLE, Standing.REVIEW, Standing.HEALTHY)
        standings = (f"{counts[s]} {how_they_stand(counts[s], s)}" for s in Standing if counts[s] or s in shown_always)
        self.line(", ".join(standings) + ".")
        self._interrupted(interrupted)
        if found.of(Category.REPAIRABLE):
            self.line(f"Next: {self.command('repair', '--all')}    One session closely: {self.command('show', 'SID')}")
        elif asked := found.of(Category.REVIEW):
            sid = asked[0].session_id if len(asked) == 1 else "SID"
            self.line(f"Look: {self.command('show', sid)}    Repair one: {self.command('repair', sid)}")

    def _interrupted(self, runs: Sequence[Run]) -> None:
        for run in runs:
            self.line(
                f"The repair {run.run_id} was interrupted. "
                f"Finish it: {self.command('repair', '--all')}    Roll it back: {self.command('undo', run.run_id)}"
            )

    def sessions(self, found: Audit) -> None:
        """Every session, the newest first."""
        table = Table(_LIST)
        for s in sorted(found.sessions, key=lambda s: (-(s.updated or 0), s.session_id)):
            table.add_row(
                Text(shown(s.session_id)), Text(ONE_STANDS[s.standing], _STYLE[s.category]), _count(s.live),
                _count(s.after), Text(moment(s.updated)[:_TO_MINUTES]), Text(f"{s.size:,}"),
                Text(moment(s.created)[:_TO_MINUTES]), Text(_one_line(s.title)),
            )  # fmt: skip
        if table.rows:
            self.table(table)
        else:
            self.line(f"There is no session in {found.store.sessions_dir}.")

    def found(self, each: SessionHits) -> None:
        """What was found in one session, of many hits the first."""
        from hermes_rescue.core.search.message_texts import Part

        whose = f"  a session of {each.program}" if each.program is not None else ""
        note = f"{each.session_id}  {moment(each.updated)}  {counted(each.count, 'hit')}{whose}"
        self._headed(each.title, Text(shown(note)))
        for hit in each.hits[:FOUND_SHOWN]:
            part = f" ({hit.part})" if hit.part is not Part.TEXT else ""
            self.line(f"  {shown(hit.role)}{part}  {moment(hit.time)}  {_whereabouts(hit)}".replace("  " * 2, "  "))
            text, start, end = hit.excerpt.text, hit.excerpt.start, hit.excerpt.end
            marked = (shown(text[start:end]), "bold reverse")
            self._indented(Text.assemble(shown(text[:start]), marked, shown(text[end:])))
        if each.count > FOUND_SHOWN:
            self.line(f"  ... {each.count - FOUND_SHOWN} more")

    def searched(self, sessions: int, hits: int, unread: Iterable[Unread]) -> None:
        """What a search came to."""
        for each in unread:
            self.line(f"Not searched: {f'{each.session_id}: ' if each.session_id else ''}{each.reason}")
        if sessions:
            self.line(f"{counted(hits, 'hit')} in {counted(sessions, 'session')}.")
        else:
            self.line("Nothing was found.")

    def line(self, text: str, hang: int | None = None) -> None:
        """A sentence of this program's own; ``hang``: as in :func:`core.terminal.prose.wrapped`."""
        for line in self._lines(plain_lines(text), hang):
            self.whole(line)

    def labelled(self, label: str, style: str, text: str) -> None:
        """A sentence after a label that has a style."""
        first, *others = map(Text, self._lines(f"{label}: {shown(text)}"))
        first.stylize(style, 0, len(label) + 1)
        for line in (first, *others):
            self._out.print(line, soft_wrap=True)

    def _headed(self, title: str, note: Text) -> None:
        """The title of a session and a note beside it, or below where both do not fit."""
        head = Text(_short(title, 100), "bold")
        if self._width is not None and head.cell_len + 2 + note.cell_len > self._width:
            self._out.print(head)
            self._out.print(Text("  ").append_text(note))
        else:
            self._out.print(Text.assemble(head, "  ", note))

    def _indented(self, text: Text) -> None:
        """What a session says, set off from what this program says of it."""
        for line in [text] if self._width is None else text.wrap(self._out, self._width - len(GAP)):
            self._out.print(Text(GAP).append_text(line), soft_wrap=True)

    def whole(self, text: str) -> None:
        """A line that stays one: a path, or what is wrapped already."""
        self._out.print(Text(text), soft_wrap=True)

    def _lines(self, text: str, hang: int | None = None) -> list[str]:
        return [text] if self._width is None else wrapped(text, min(self._width, WIDTH), hang)

    def table(self, table: Table) -> None:
        """A table, fitted into the terminal where there is one."""
        self._out.print(Text("\n").join(table.lines(self._width)), soft_wrap=True)


def _bar(what: str, console: Console) -> Progress:
    """A bar for one piece of work, which is not shown yet."""
    from rich.progress import (  # most commands are done before one is shown
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        SpinnerColumn("line"),  # one session can be so large that nothing else moves for a while
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    bar.add_task(what, total=None)
    return bar


def _state(session: SessionAudit) -> str:
    return how_they_stand(1, Standing.LEFT) if session.is_left else _WORD[session.category]


def _whereabouts(hit: Hit) -> str:
    """Which copies hold what was found, and what has become of it."""
    from hermes_rescue.core.search.session_search import Held

    copies = " and ".join(hit.copies)
    return {
        Held.LIVE: "in the live file",
        Held.LOST: f"only in the {'damaged file' if LIVE in hit.copies else copies}",
        Held.LEFT_OUT: f"left out, in the {copies}: {hit.reason}",
        Held.DELETED: f"in a session that you deleted ({copies})",
        Held.OTHER: f"in the {copies}",
    }[hit.held]


def _short(value: object, limit: int) -> str:
    text = _one_line(str(value))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _one_line(value: str) -> str:
    return shown(" ".join(value.split()))


def _count(n: int | None) -> Text:
    return Text("–" if n is None else str(n))
