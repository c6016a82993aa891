"""Merging the copies of a transcript into one sequence, with every copy's version of each message kept.

Order (recovery.md, section 3): the sequence that is there stands; what only the new copy has goes between the
neighbours that it has in that copy; where nothing else decides, by time, whole turns at a time so that no tool result
leaves its call.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hermes_rescue.core.base.jsontext import NOTHING, loads_exactly
from hermes_rescue.core.hermes import sidecar
from hermes_rescue.core.hermes.message import IMAGE, PARTS, REASONING, Message, decoded, message
from hermes_rescue.core.hermes.same_text import Relation, Text, compare
from hermes_rescue.core.hermes.workspace_tag import untag
from hermes_rescue.core.merge.align import Alignment, align

LIVE = "live"
"""The name of the live file among the copies."""

_NONE: Mapping[str, str] = {}

_Dated: TypeAlias = "tuple[list[Entry], float | None]"
"""A turn, and when it was said."""


@dataclass(slots=True)
class Entry:
    """One message of the merged transcript. ``versions`` maps a copy's name to the message as that copy has it, the
    most trusted first; ``merged`` is the fullest form; ``enriched`` maps each field that was taken over to the copy
    it is from; ``places`` are its positions in the copies. ``unmasked`` is the copy that has what the live file masks.
    """

    versions: dict[str, Message]
    merged: Message
    enriched: Mapping[str, str]
    places: dict[str, int]
    unmasked: str | None = None

    def add(self, copy: str, version: Message, place: int, *, without: Collection[str] = ()) -> None:
        """Another copy's version of this message: what it has more is taken over, but for some fields."""
        is_live = LIVE in self.versions and "content" not in self.enriched
        self.versions[copy] = version
        self.places[copy] = place
        found = missing_parts(self.merged, version, unmask=not is_live)
        if (
            is_live
            and self.merged.text_token != version.text_token
            and "content" not in found
            and self.unmasked is None
        ):
            self.unmasked = copy if _fuller_content(self.merged, version) else None
        gains = [part for part in found if part not in without]
        if gains:
            self.merged = fuller(self.merged, version, gains, without)
            self.enriched = {**self.enriched, **dict.fromkeys(gains, copy)}

    def take(self, other: Entry) -> None:
        """The versions of a group of further copies that were merged already, as by :meth:`add`."""
        if other.merged is self.merged:
            self.versions |= other.versions
            self.places |= other.places
            return
        for copy, version in other.versions.items():
            self.add(copy, version, other.places[copy])

    def settle(self, trust: Sequence[str], raw: Container[str]) -> None:
        """Merge the versions again with the most trusted copy's as the base, whichever came first. ``raw``: the copies
        that were made of rows as they were.
        """
        if len(self.versions) == 1:
            return
        named = [name for name in trust if name in self.versions]
        if named != list(self.versions):
            self._merge(named, raw)

    def _merge(self, names: Sequence[str], raw: Container[str], *, without: Collection[str] = ()) -> None:
        first, *others = names
        again = entry(first, self.versions[first], self.places[first], is_raw=first in raw)
        for name in others:
            again.add(name, self.versions[name], self.places[name], without=without)
        self.versions, self.merged, self.enriched = again.versions, again.merged, again.enriched
        self.unmasked = again.unmasked

    def unmask(self) -> None:
        """Show what the live file masks."""
        if self.unmasked is not None:
            self.merged = fuller(self.merged, self.versions[self.unmasked], ("content",))
            self.enriched = {**self.enriched, "content": self.unmasked}

    def take_nothing_from(self, copies: Container[str], raw: Container[str]) -> None:
        """Merge the versions again without what these copies have more; ``raw`` as for :meth:`settle`."""
        if any(copy in copies for copy in self.enriched.values()):
            versions = self.versions
            self._merge([name for name in versions if name not in copies], raw)
            self.versions = versions

    def drop(self, parts: Collection[str], raw: Container[str]) -> None:
        """Leave these fields to the copies that have them; ``raw`` as for :meth:`settle`."""
        self._merge([*self.versions], raw, without=parts)


def entry(copy: str, version: Message, place: int, *, is_raw: bool = False) -> Entry:
    """A message that one copy has, at a place; an encoding that only the database's own form carries is taken out.
    ``is_raw``: the copy was made of rows as they were, so that a prompt's tag was not typed.
    """
    cleaned = clean(version, is_raw=is_raw)
    return Entry({copy: version}, cleaned, _NONE if cleaned is version else {"content": copy}, {copy: place})


def merge(
    entries: Sequence[Entry],
    copy: str,
    messages: Sequence[Message],
    found: Alignment | None = None,
    *,
    older: bool = False,
    is_raw: bool = False,
) -> list[Entry]:
    """The merged transcript with one more copy in it; ``found`` is their alignment where it is known already,
    ``is_raw`` as for :func:`entry`.

    ``older``: this copy was written before the others (a backup), which decides where times do not.
    """
    found = found or align([e.merged for e in entries], messages)
    for i, j in (*found.pairs, *found.moved):
        entries[i].add(copy, messages[j], j)
    return _placed(entries, found, len(messages), lambda k: entry(copy, messages[k], k, is_raw=is_raw), older=older)


def join(entries: Sequence[Entry], others: Sequence[Entry], found: Alignment | None = None) -> list[Entry]:
    """The merged transcript with that of a group of further copies in it; ``found`` is their alignment where it is
    known already.
    """
    found = found or align([e.merged for e in entries], [e.merged for e in others])
    for i, j in (*found.pairs, *found.moved):
        entries[i].take(others[j])
    return _placed(entries, found, len(others), others.__getitem__)


def _placed(
    entries: Sequence[Entry], found: Alignment, number: int, fresh: Callable[[int], Entry], *, older: bool = False
) -> list[Entry]:
    """The entries with those of another sequence that only this has, of which ``fresh`` gives each."""
    moved = {j for _, j in found.moved}
    result: list[Entry] = []
    i0 = j0 = 0
    for i, j in (*found.pairs, (len(entries), number)):
        if i0 < i or j0 < j:
            between = [fresh(k) for k in range(j0, j) if k not in moved]
            result += _interleave(entries[i0:i], between, older=older)
        result += entries[i : i + 1]
        i0, j0 = i + 1, j + 1
    return result


def _interleave(there: Sequence[Entry], fresh: Sequence[Entry], *, older: bool) -> list[Entry]:
    """Two runs between the same neighbours, by time, turn by turn."""
    if not there or not fresh:
        return [*there, *fresh]
    a, b = _dated(_turns(there)), _dated(_turns(fresh))
    result: list[Entry] = []
    while a and b:
        result += (b if _first(b[0], a[0], older=older) else a).pop(0)[0]
    return [*result, *(e for turn, _ in (*a, *b) for e in turn)]


def _dated(turns: Sequence[list[Entry]]) -> list[_Dated]:
    """Each turn with its time, which is no later than that of those after it: a clock is set back now and then."""
    dated, latest = list[_Dated](), None
    for turn in reversed(turns):
        time = next((e.merged.time for e in turn if e.merged.time is not None), None)
        latest = min((t for t in (time, latest) if t is not None), default=None)
        dated.append((turn, latest if time is not None else None))
    return dated[::-1]


def _turns(entries: Iterable[Entry]) -> list[list[Entry]]:
    turns: list[list[Entry]] = []
    for e in entries:
        if not turns or e.merged.role == "user":
            turns.append([])
        turns[-1].append(e)
    return turns


def _first(one: _Dated, another: _Dated, *, older: bool) -> bool:
    """Whether one turn stands before another: the earlier one, else the rest of a turn that began before both. What
    only an older file has is older than what the live one has, whatever their clocks said; a result comes after its
    call.
    """
    (turn, time), (other, other_time) = one, another
    if _answers(turn[0], other) or _answers(other[0], turn):
        return _answers(other[0], turn)
    if older and any(LIVE in e.versions for e in other):
        return True
    if time is not None and other_time is not None and time != other_time:
        return time < other_time
    rest, other_rest = turn[0].merged.role != "user", other[0].merged.role != "user"
    return rest if rest != other_rest else older


def _answers(e: Entry, turn: list[Entry]) -> bool:
    """Whether a message is the result that a call of a turn lacks."""
    call = e.merged.answers
    is_open = bool(call) and all(each.merged.answers != call for each in turn)
    return is_open and any(call in each.merged.calls for each in turn)


def drop_unanswered(entries: Iterable[Entry], raw: Container[str]) -> None:
    """A message does not get back calls that no copy has an answer to: those of a run that was killed were taken out of
    it, since a model must never see them. ``raw`` as for :meth:`Entry.settle`.
    """
    for turn in _turns(entries):
        answered = {e.merged.answers for e in turn}
        for e in turn:
            if "tool_calls" in e.enriched and answered.isdisjoint(e.merged.calls):
                e.drop(("tool_calls",), raw)


def drop_repeated_reasoning(entries: Iterable[Entry], raw: Container[str]) -> None:
    """A message does not get back the reasoning that another one of its turn has in the live file: the WebUI writes
    that of a whole turn at each of its messages, and what it then builds from rows, or compresses, has it once. ``raw``
    as for :meth:`Entry.settle`.
    """
    for turn in _turns(e for e in entries if LIVE in e.versions):
        there = [e.merged.part(name) for e in turn for name in REASONING if name not in e.enriched]
        for e in turn:
            gained = [name for name in REASONING if name in e.enriched]
            if gained and all(e.merged.part(name) in there for name in gained):
                e.drop(gained, raw)


def missing_parts(there: Message, other: Message, *, unmask: bool = True) -> tuple[str, ...]:
    """The fields in which ``other`` is the fuller version of the same message, if any of them matters to a reader.

    ``unmask``: a text with the secret is fuller than one with a mask. Not so where ``there`` is of the live file, in
    which a person can have put the mask (programs mask journals only).
    """
    if there is other:
        return ()
    mine, theirs = there.parts, other.parts
    gains = [part for part in theirs if part not in mine and (part in PARTS or not any(p in mine for p in REASONING))]
    if "tool_calls" in gains and there.partial_calls:
        gains.remove("tool_calls")  # it tells of them already, as of calls of an answer that was cancelled
    if _fuller_content(there, other, unmask=unmask):
        gains.append("content")
    return tuple(gains)


def _fuller_content(there: Message, other: Message, *, unmask: bool = True) -> bool:
    if there.text_token == other.text_token or there.folded_text == other.folded_text:
        return (
            not other.is_plain
            and IMAGE in there.text
            and isinstance(other.value.get("content"), list)
            and not isinstance(there.value.get("content"), list)
        )
    if there.is_shortened or other.is_shortened or there.value.get("_partial"):
        return False  # the server shortened it, or the user stopped it there
    if not there.folded_text:
        return True
    found = compare(Text(there.folded_text), Text(other.folded_text))
    if found is None or found.better != 1:
        return False
    is_cut_off = found.relation is Relation.BEGINNING and there.role == "assistant"
    return is_cut_off or found.relation is Relation.GARBLED or (unmask and found.relation is Relation.MASKED)


def fuller(there: Message, other: Message, gains: Sequence[str], without: Collection[str] = ()) -> Message:
    """``there`` with the fields ``gains`` of ``other``, and whatever else only ``other`` says ``without`` some."""
    value = dict(loads_exactly(there.piece.raw))
    theirs = other.value
    for key in theirs:
        if key not in without and (key in gains or value.get(key) in NOTHING):
            value[key] = theirs[key]
    return clean(message(sidecar.message_piece(value, there.piece)))


def clean(version: Message, *, is_raw: bool = False) -> Message:
    """The message without the database's own encoding. A tag in a sidecar's own text stays, since the server writes it
    there, unless ``is_raw`` (as for :func:`entry`).
    """
    if version.is_plain and not (is_raw and version.role == "user"):
        return version
    content = version.value.get("content")
    fresh = content if version.is_plain else decoded(content)
    if is_raw and version.role == "user" and isinstance(fresh, str):  # among parts the server's own text has it too
        fresh, _ = untag(fresh)
    if fresh == content:
        return version
    return message(sidecar.message_piece({**version.value, "content": fresh}, version.piece))
