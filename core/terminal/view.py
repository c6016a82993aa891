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
    Finding,
    SessionAudit,
    Standing,
    how_they_stand,
)
from hermes_rescue.core.audit.store_audit import Audit
from hermes_rescue.core.audit.workers import Progress as Report
from hermes_rescue.core.audit.written_over import what_to_do
from hermes_rescue.core.base.files import shown
from hermes_rescue.core.base.words import counted, plural
from hermes_rescue.core.hermes.copies import LIVE, SessionCopies
from hermes_rescue.core.hermes.message import Message, called
from hermes_rescue.core.hermes.worktree import Worktree
from hermes_rescue.core.merge.proposal import Proposal
from hermes_rescue.core.report.diff import (
    Change,
    Difference,
    FieldRow,
    MessageRow,
    compare_words,
    fold,
    is_time,
    review_fields,
    text_of,
)
from hermes_rescue.core.report.plain_text import moment, plain_lines
from hermes_rescue.core.terminal.call import Call
from hermes_rescue.core.terminal.copies import listed_copies
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

CLIPPED_LINES, CLIPPED_CHARACTERS = 4, 400
FOUND_SHOWN = 3
"""Hits of a session that are shown; all are counted."""

_STYLE = {Category.REPAIRABLE: "yellow", Category.REVIEW: "magenta", Category.INFO: "blue", None: "green"}
_WORD = {
    Category.REPAIRABLE: "can be repaired",
    Category.REVIEW: "your decision",
    Category.INFO: "note",
    None: "healthy",
}
_SIGN = {
    Change.SAME: " ",
    Change.ADDED: "+",
    Change.REMOVED: "-",
    Change.CHANGED: "~",
    Change.MOVED: ">",
    Change.LEFT_OUT: "/",
}
_SIGN_STYLE = {
    Change.SAME: "",
    Change.ADDED: "green",
    Change.REMOVED: "red",
    Change.CHANGED: "magenta",
    Change.MOVED: "blue",
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

    def session(self, audited: SessionAudit, copies: SessionCopies, proposal: Proposal) -> None:
        """One session: copies, findings with their four answers, the map of the copies, what is left out, fields."""
        state = Text(_state(audited), _STYLE[audited.category])
        self._headed(audited.title, Text.assemble(shown(audited.session_id), "  ", state))
        if (main := audited.main) is not None:
            self.line(main.text(lambda time: moment(time)[:_TO_MINUTES]))
        table = Table((Column("copy"), Column("messages", is_number=True), Column("")))
        for name, n, note in listed_copies(audited, copies, proposal):
            table.add_row(Text(name), _count(n), Text(note))
        table.add_row(
            Text("after a repair"),
            _count(audited.after if proposal.sidecar is None else len(proposal.included)),
            Text(""),
        )
        self.table(table)
        if audited.worktree is not Worktree.NONE:
            self.line(f"Worktree: {audited.worktree_path} ({audited.worktree})")
        for f in audited.findings:
            self._finding(f)
        self._lanes(proposal)
        left_out = [(k, item) for k, item in enumerate(proposal.items, 1) if not item.included]
        if left_out:
            self.line("Left out:")
            for number, item in left_out:
                reason = item.reason.sentence if item.reason is not None else ""
                self.line(f"  #{number} {_head(item.message)} {_short(text_of(item.message), 60)}  [{reason}]")
        if proposal.changes and audited.live is not None:
            self.line("Fields that change:")
            for change in proposal.changes:
                before, after = _field_words(change.before, change.after)
                self.line(f"  {change.field}: {_short(before, 40)} -> {_short(after, 60)}  [from {change.origin}]")
        elif proposal.origins:
            self.line("Fields that come back:")
            for origin in dict.fromkeys(proposal.origins.values()):
                names = (name for name, its in proposal.origins.items() if its == origin)
                self.line(f"  from {origin}: {', '.join(names)}", hang=4)
        disputed = [row for row in review_fields(copies, proposal) if row.is_disputed]
        if disputed:
            self.line("Fields whose value differs between copies:")
            for row in disputed:
                self.line(f"  {row.field}: {_offers(row)}")
        options = [*(["--include NUMBERS"] if left_out else ()), *(["--field NAME=COPY"] if disputed else ())]
        if options:
            self.how_to_choose(audited.session_id, proposal, options)

    def how_to_choose(self, session_id: str, proposal: Proposal, options: Iterable[str]) -> None:
        """The command that repairs a session as a person chooses, from this very proposal."""
        command = self.command("repair", session_id, "--proposal", proposal.fingerprint)
        self.line(f"To choose yourself: {command} {' '.join(options)}")

    def _finding(self, f: Finding) -> None:
        self.labelled(f.label, _STYLE[f.category], f.evidence)
        answers = {
            "How serious?": f.kind.severity_text,
            "What should I do?": f.advice,
            "What happens?": f.kind.effect,
            "Can I keep using this session?": f.kind.usable_meanwhile,
        }
        wide = max(map(len, answers))
        for question, answer in answers.items():
            self.line(f"  {question:<{wide}}  {answer}", hang=wide + 4)

    def _lanes(self, proposal: Proposal) -> None:
        """Which copy holds what: a lane for each, along the recovered transcript and what is left out of it."""
        items = proposal.items
        names = list(dict.fromkeys(name for item in items for name in item.copies))
        if not items or len(names) < 2:
            return
        wide = max(12, *map(len, names)) + 2
        width = WIDTH if self._width is None else min(self._width, WIDTH)
        beside = len(f"  {'':<{wide}}  {len(items)}")
        cells = min(max(width - beside, 20), len(items))
        chunks = [items[k * len(items) // cells : (k + 1) * len(items) // cells] for k in range(cells)]
        self.line("Which copy holds what (# all, + some, . none; / left out):")
        for name in names:
            lane = "".join(_cell(sum(name in item.copies for item in chunk), len(chunk)) for chunk in chunks)
            self.whole(f"  {name:<{wide}}{lane}  {sum(name in item.copies for item in items)}")
        recovered = "".join(
            "/" if not any(i.included for i in c) else _cell(sum(i.included for i in c), len(c)) for c in chunks
        )
        self.whole(f"  {'recovered':<{wide}}{recovered}  {len(proposal.included)}")

    def difference(self, found: Difference, *, full: bool, notes: Sequence[str] = ()) -> None:
        """Messages and fields that differ, unchanged runs folded; ``notes`` say what could not be read."""
        for note in notes:
            self.line(note)
        self.line(f"--- {found.left}")
        self.line(f"+++ {found.right}")
        for row in found.messages if full else fold(found.messages):
            if isinstance(row, int):
                self.line(f"  ... {row} unchanged {plural(row, 'message')} ...")
            else:
                self._row(row, full=full)
        if found.is_empty:
            self.line("No difference.")
        if found.fields:
            self.line("Fields whose value differs between copies:" if found.is_empty else "Fields:")
        for field in found.fields:
            origin = f"  [from {field.origin}]" if field.origin else ""
            left, right = _field_words(field.left, field.right)
            values = f"{_short(left, 60)} -> {_short(right, 60)}{origin}"
            if field.is_disputed:
                values = _offers(field) if field.change is Change.SAME else f"{values}  ({_offers(field)})"
            text = f"{_SIGN[field.change]} {field.field}: {values}"
            self._out.print(Text(shown(text), _SIGN_STYLE[field.change]))

    def _row(self, row: MessageRow, *, full: bool) -> None:
        style = _SIGN_STYLE[row.change]
        side = row.right or row.left
        if side is None:
            return
        parts = f"  ({', '.join(row.parts)} differ)" if row.parts else ""
        parts += f"  #{row.position + 1}" if row.position is not None else ""
        self._out.print(Text(f"{_SIGN[row.change]} {_head(side)}{parts}", style))
        if row.left is not None and row.right is not None and "content" in row.parts:
            line = Text()
            for word in compare_words(text_of(row.left), text_of(row.right)).words:
                line.append(plain_lines(word.text), _SIGN_STYLE[word.change])
            self._indented(line)
            return
        for line_ in _body(side, full=full):
            self._indented(Text(line_, style))

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
        for line in table.lines(self._width):
            self._out.print(line, soft_wrap=True)


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


def _offers(row: FieldRow) -> str:
    """What the copies say of a field, those together that say the same."""
    values: list[tuple[object, list[str]]] = []
    for copy, value in row.offers.items():
        holders = next((copies for other, copies in values if other == value), None)
        if holders is None:
            values.append((value, [copy]))
        else:
            holders.append(copy)
    words = _field_words(*(value for value, _ in values))
    return "; ".join(
        f"{_short(text, 40)} in {', '.join(copies)}" for text, (_, copies) in zip(words, values, strict=True)
    )


def _field_words(*values: object) -> list[str]:
    """Values of a field side by side, times as times; two that differ within a second have its fraction as well."""
    words = [moment(value) if is_time(value) else str(value) for value in values]
    if len({*words}) == len({*map(str, values)}):
        return words
    return [
        word + f"{value % 1:.6f}".removeprefix("0") if is_time(value) and words.count(word) > 1 else word
        for word, value in zip(words, values, strict=True)
    ]


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


def _cell(held: int, of: int) -> str:
    return "#" if held == of else "+" if held else "."


def _head(m: Message) -> str:
    names = list(map(shown, called(m)))
    extras = [f"calls: {', '.join(names)}"] if names else []
    extras += [f"result of {shown(str(m.value.get('name') or m.value.get('tool_name')))}"] if m.role == "tool" else []
    return "  ".join(part for part in (f"{shown(m.role):<9}", moment(m.time), *extras) if part)


def _body(m: Message, *, full: bool) -> list[str]:
    text = text_of(m)
    lines = text.splitlines() if full else text[:CLIPPED_CHARACTERS].splitlines()[:CLIPPED_LINES]
    lines = list(map(plain_lines, lines))
    if not full and sum(map(len, lines)) + len(lines) < len(text):
        lines.append(f"... ({len(text):,} characters; --full shows all)")
    return lines


def _short(value: object, limit: int) -> str:
    text = _one_line(str(value))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _one_line(value: str) -> str:
    return shown(" ".join(value.split()))


def _count(n: int | None) -> Text:
    return Text("–" if n is None else str(n))
