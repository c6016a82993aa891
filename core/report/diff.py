"""What differs between two versions of a session: messages, fields and words, as data that any front can draw."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeGuard

from hermes_rescue.core.base.jsontext import LIST_FIELD, NOTHING
from hermes_rescue.core.hermes.copies import BACKUP, INDEX, LIVE, RUN, SessionCopies, temp_name
from hermes_rescue.core.hermes.message import PARTS, REASONING, Message, message, visible_text
from hermes_rescue.core.hermes.sidecar import Sidecar
from hermes_rescue.core.merge.align import align
from hermes_rescue.core.merge.item import Item
from hermes_rescue.core.merge.proposal import Proposal
from hermes_rescue.core.merge.sidecar_copies import session_of

RECOVERED = "recovered"

WORD_LIMIT = 20_000
"""Characters of the longer text up to which words are compared; a longer one is marked as a whole."""

_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")


class Change(StrEnum):
    """What happened to a message, a field or a word on the way from the left version to the right one."""

    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MOVED = "moved"
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a session. ``fields`` are its metadata (empty for database rows, which have none of a sidecar's
    own); ``is_partial``: it may be of a form that has only some of them, so one that it lacks says nothing.
    """

    name: str
    messages: tuple[Message, ...]
    fields: dict[str, Any]
    is_partial: bool = False


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One row of a comparison: the message on either side with its position there, and the parts that differ.

    ``position`` and ``item`` are the place in a proposal and what it says, where the rows are a review of one.
    """

    change: Change
    left: Message | None = None
    right: Message | None = None
    left_at: int | None = None
    right_at: int | None = None
    parts: tuple[str, ...] = ()
    position: int | None = None
    item: Item | None = None


@dataclass(frozen=True, slots=True)
class FieldRow:
    """A metadata field that differs, or that a copy has otherwise (SAME). ``origin``: the copy that the right value is
    from, where that is known. ``offers``: what the copies say that a person can choose from, the most trusted first;
    ``chosen``: somebody did.
    """

    field: str
    change: Change
    left: Any
    right: Any
    origin: str | None = None
    offers: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    chosen: bool = False

    @property
    def is_disputed(self) -> bool:
        """Whether a copy offers something else than the right version has."""
        nothing = self.right in NOTHING
        return any(_differ(value, self.right) and not (nothing and value in NOTHING) for value in self.offers.values())


@dataclass(frozen=True, slots=True)
class Word:
    """A piece of a changed text."""

    change: Change
    text: str


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a changed text; ``complete`` is False where the texts were too long or the caller asked to stop."""

    words: tuple[Word, ...]
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Difference:
    """Two versions side by side."""

    left: str
    right: str
    messages: tuple[MessageRow, ...]
    fields: tuple[FieldRow, ...]

    @property
    def is_empty(self) -> bool:
        """The versions say the same."""
        changes = [row.change for row in self.messages] + [row.change for row in self.fields]
        return all(change is Change.SAME for change in changes)


def is_time(value: object) -> TypeGuard[float]:
    """Whether the value of a field is taken for a time: seconds since 1970. Of a session, no count is as large."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 10**9 <= value < 10**10


def versions(copies: SessionCopies, proposal: Proposal, wanted: Container[str] | None = None) -> dict[str, Version]:
    """Every version of a session that can be compared, by name: the copies, and ``recovered`` as the repair would leave
    it. Those that are not ``wanted`` come without their messages (None: all are).
    """
    leading = copies.leading

    def version(name: str, session: Sidecar) -> Version:
        if wanted is not None and name not in wanted:
            return Version(name, (), _fields(session))
        if session is proposal.sidecar:  # these were read already
            return Version(name, tuple(item.message for item in proposal.included), _fields(session))
        if leading is not None and session is leading.sidecar:
            return Version(name, copies.leading_messages, _fields(session))
        return version_of(name, session)

    found: dict[str, Sidecar | None] = {LIVE: session_of(copies.live), BACKUP: session_of(copies.backup)}
    found |= {temp_name(k): session_of(temp) for k, temp in enumerate(copies.temps)}
    if copies.run is not None:
        found[RUN] = Sidecar(copies.run.fields, copies.run.messages)
    result = {name: version(name, session) for name, session in found.items() if session is not None}
    for copy in copies.databases:
        left_out = copy.rewound | copy.hidden
        result[copy.name] = Version(copy.name, tuple(m for k, m in enumerate(copy.messages) if k not in left_out), {})
    for further in copies.further:
        result[further.name] = Version(further.name, tuple(further.messages), _fields(further.session), is_partial=True)
    if copies.index_row is not None:
        result[INDEX] = Version(INDEX, (), dict(copies.index_row), is_partial=True)
    recovered = proposal.sidecar or found[LIVE]
    if recovered is not None:
        result[RECOVERED] = version(RECOVERED, recovered)
    return result


def version_of(name: str, session: Sidecar) -> Version:
    """What a session file has, as a version of that name."""
    return Version(name, tuple(map(message, session.messages)), _fields(session))


def _fields(session: Sidecar | None) -> dict[str, Any]:
    head = session.head if session is not None else {}
    return {key: piece.value for key, piece in head.items() if key != LIST_FIELD}


def compare(left: Version, right: Version, proposal: Proposal | None = None) -> Difference:
    """The difference from one version to another; ``proposal`` as for :func:`compare_fields`."""
    messages = compare_messages(left.messages, right.messages)
    return Difference(left.name, right.name, messages, compare_fields(left, right, proposal))


def compare_fields(left: Version, right: Version, proposal: Proposal | None = None) -> tuple[FieldRow, ...]:
    """What becomes of each field from one version to another; ``proposal`` has where the recovered fields are from,
    and from the live file to the recovered one what they can be taken from instead.
    """
    if proposal is None or right.name != RECOVERED:
        return tuple(_field_rows(left, right, {}))
    if left.name == LIVE:
        return tuple(_reviewed_fields(left, right, proposal))
    return tuple(_field_rows(left, right, proposal.origins))


def review(live: Version | None, proposal: Proposal) -> tuple[MessageRow, ...]:
    """A proposal row by row beside the live file: what stays, comes back, gets fuller or goes, and what is left out."""
    rows = []
    left_at = right_at = -1
    for position, item in enumerate(proposal.items):
        in_live = live is not None and LIVE in item.copies
        left_at += in_live
        right_at += item.included
        left = live.messages[left_at] if live is not None and in_live else None
        if item.included and left is not None:
            parts = differing_parts(left, item.message) if item.enriched else ()
            change = Change.CHANGED if parts else Change.SAME
        else:
            parts = ()
            change = Change.ADDED if item.included else Change.LEFT_OUT if left is None else Change.REMOVED
        right = item.message if item.included or left is None else None
        at = (left_at if in_live else None, right_at if item.included else None)
        rows.append(MessageRow(change, left, right, *at, parts, position, item))
    return tuple(rows)


def review_fields(copies: SessionCopies, proposal: Proposal) -> tuple[FieldRow, ...]:
    """What becomes of the fields of the live file, and those that stay although a copy has them otherwise; of a lost
    file those that come back.
    """
    live = session_of(copies.live)
    recovered = Version(RECOVERED, (), _fields(proposal.sidecar or live))
    return tuple(_reviewed_fields(Version(LIVE, (), _fields(live)), recovered, proposal))


def _reviewed_fields(live: Version, recovered: Version, proposal: Proposal) -> Iterator[FieldRow]:
    for name in dict.fromkeys((*recovered.fields, *live.fields, *proposal.offers)) if recovered.fields else ():
        change = _field_change(name, live, recovered)
        origin = proposal.origins.get(name, LIVE if change is Change.SAME and name in live.fields else None)
        values = live.fields.get(name), recovered.fields.get(name)
        offers, is_chosen = proposal.offers.get(name, {}), name in proposal.chosen
        row = FieldRow(name, change, *values, origin, offers, is_chosen)
        if (change is not Change.SAME or is_chosen or row.is_disputed) and (live.fields or name in proposal.origins):
            yield row


def compare_messages(left: Sequence[Message], right: Sequence[Message]) -> tuple[MessageRow, ...]:
    """The messages of two versions, aligned."""
    return tuple(_message_rows(left, right))


def _message_rows(left: Sequence[Message], right: Sequence[Message]) -> Iterator[MessageRow]:
    found = align(left, right)
    moved_left, moved_right = dict(found.moved), {j: i for i, j in found.moved}
    i0 = j0 = 0
    for i, j in (*found.pairs, (len(left), len(right))):
        for k in range(i0, i):
            if k not in moved_left:
                yield MessageRow(Change.REMOVED, left=left[k], left_at=k)
        for k in range(j0, j):
            if k in moved_right:
                at = moved_right[k]
                yield MessageRow(Change.MOVED, left[at], right[k], at, k, differing_parts(left[at], right[k]))
            else:
                yield MessageRow(Change.ADDED, right=right[k], right_at=k)
        if i < len(left) and j < len(right):
            parts = differing_parts(left[i], right[j])
            yield MessageRow(Change.CHANGED if parts else Change.SAME, left[i], right[j], i, j, parts)
        i0, j0 = i + 1, j + 1


def differing_parts(left: Message, right: Message) -> tuple[str, ...]:
    """The parts in which two versions of one message differ for a reader. Time stamps differ between programs; they do
    not count.
    """
    parts = ["content"] if left.text_token != right.text_token and left.folded_text != right.folded_text else []
    if not left.parts and not right.parts:  # most messages are a plain text
        return tuple(parts)
    one, other = left.value, right.value
    parts += [part for part in PARTS if _part(one, part) != _part(other, part)]
    mine, theirs = ([_part(value, part) for part in REASONING if _part(value, part)] for value in (one, other))
    if bool(mine) != bool(theirs) or (mine and mine[0] not in theirs and theirs[0] not in mine):
        parts.append("reasoning")
    return tuple(parts)


def _part(message: Mapping[str, Any], part: str) -> Any:
    value = message.get(part)
    return None if value in NOTHING else value


def _field_rows(left: Version, right: Version, origins: Mapping[str, str]) -> Iterator[FieldRow]:
    if not left.fields or not right.fields:
        return
    for name in dict.fromkeys((*right.fields, *left.fields)):
        change = _field_change(name, left, right)
        if change is not Change.SAME:
            yield FieldRow(name, change, left.fields.get(name), right.fields.get(name), origins.get(name))


def _differ(value: Any, other: Any) -> bool:
    return value is not other and value != other  # the same NaN is not equal to itself


def _field_change(name: str, left: Version, right: Version) -> Change:
    mine, theirs = left.fields.get(name), right.fields.get(name)
    if name in left.fields and name in right.fields:
        return Change.CHANGED if _differ(mine, theirs) else Change.SAME
    if left.is_partial or right.is_partial or (mine in NOTHING and theirs in NOTHING):
        return Change.SAME
    return Change.ADDED if name in right.fields else Change.REMOVED


def fold(rows: Sequence[MessageRow], context: int = 1) -> Iterator[MessageRow | int]:
    """The rows with each run of unchanged ones, but for ``context`` rows beside a change, given as its length."""
    run: list[MessageRow] = []
    seen_change = False
    for row in (*rows, None):
        if row is not None and row.change is Change.SAME:
            run.append(row)
            continue
        head = run[:context] if seen_change else []
        tail = run[max(len(head), len(run) - context) :] if row is not None else []
        hidden = len(run) - len(head) - len(tail)
        yield from head
        if hidden:
            yield hidden
        yield from tail
        if row is not None:
            yield row
        run, seen_change = [], True


def compare_words(
    left: str, right: str, *, limit: int = WORD_LIMIT, should_cancel: Callable[[], bool] | None = None
) -> Words:
    """What changed inside a text, word by word. Linear in the output up to ``limit`` characters."""
    if max(len(left), len(right)) > limit or (should_cancel is not None and should_cancel()):
        whole = (Word(Change.REMOVED, left), Word(Change.ADDED, right))
        return Words(tuple(word for word in whole if word.text), complete=False)
    from rapidfuzz.distance import Indel  # not on the way to a plain list of findings

    a, b = _TOKEN.findall(left), _TOKEN.findall(right)
    changes = {"equal": Change.SAME, "delete": Change.REMOVED, "insert": Change.ADDED}
    return Words(
        tuple(
            Word(
                changes[op.tag],
                "".join(a[op.src_start : op.src_end] if op.tag != "insert" else b[op.dest_start : op.dest_end]),
            )
            for op in Indel.opcodes(a, b)
        )
    )


def text_of(m: Message) -> str:
    """The text of a message as a person sees it, white space and all."""
    return visible_text(m.value.get("content"), m.role)
