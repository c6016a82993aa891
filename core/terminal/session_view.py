"""How the terminal front draws one session, and what differs between two versions of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hermes_rescue.core.audit.findings import Finding, SessionAudit
from hermes_rescue.core.base.files import shown
from hermes_rescue.core.base.words import plural
from hermes_rescue.core.hermes.copies import SessionCopies
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
from hermes_rescue.core.terminal.copies import listed_copies
from hermes_rescue.core.terminal.prose import WIDTH
from hermes_rescue.core.terminal.table import Column, Table
from hermes_rescue.core.terminal.view import _STYLE, _TO_MINUTES, View, _count, _short, _state
from rich.text import Text

CLIPPED_LINES, CLIPPED_CHARACTERS = 4, 400

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


class SessionView(View):
    """Draws one session."""

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
