"""The session at the ends of runs before the newest one, as far as no other copy has what it said then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from operator import or_

from hermes_rescue.core.hermes.message import Message, MessageIdentity, message
from hermes_rescue.core.hermes.places.candidate import FurtherCopy, clock, day, told_apart
from hermes_rescue.core.hermes.runs.run_journal import Done, RunJournal
from hermes_rescue.core.hermes.sidecar import Sidecar


def earlier_runs(journal: RunJournal, copies: Iterable[Sequence[Message]]) -> Iterator[FurtherCopy]:
    """The newest run first, each with more of a message than all ``copies`` and those after it have.

    What a later run shows no more was taken back, or lost before it began: so they only ever offer something, as copies
    from another place do.
    """
    known: Counter[MessageIdentity] | None = None
    found: list[Done] = []
    for done in journal.earlier:
        if known is None:
            assert journal.newest is not None  # as there is an earlier one
            known = reduce(or_, map(_counted, (*copies, _messages(journal.newest))))
        held = _counted(_messages(done))
        if held - known:
            found.append(done)
        known |= held
    times = [done.created_at or 0.0 for done in found]
    names = told_apart([(f"earlier run of {day(saved)}", clock(saved)) for saved in times])
    for name, saved, done in zip(names, times, found, strict=True):
        session = Sidecar(done.fields, done.messages)
        yield FurtherCopy(name, str(done.path), saved, session, None, _messages(done), is_run=True)


def _messages(done: Done) -> tuple[Message, ...]:
    return tuple(map(message, done.messages))


def _counted(messages: Iterable[Message]) -> Counter[MessageIdentity]:
    return Counter(m.folded_identity for m in messages)
