"""All messages of all copies of a session in one sequence (recovery.md, section 3)."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from itertools import islice
from operator import is_not

from hermes_rescue.core.base.jsontext import Piece, number
from hermes_rescue.core.hermes.copies import BACKUP, LIVE, RUN, SessionCopies, temp_name
from hermes_rescue.core.hermes.database.blocks import carried_text
from hermes_rescue.core.hermes.message import Message, message
from hermes_rescue.core.hermes.sidecar import Sidecar
from hermes_rescue.core.merge import server_merge, transcript
from hermes_rescue.core.merge.align import align_all
from hermes_rescue.core.merge.evidence import has_all_messages
from hermes_rescue.core.merge.sidecar_copies import raw_copies, session_of, sidecar_copies
from hermes_rescue.core.merge.transcript import Entry

_NEAREST = 8
"""Copies that are merged one by one, each with all before it: of more leftover temps, halves are merged first, and of
others those that share most with the first one are aligned again as the merge grows.
"""


def one_sequence(copies: SessionCopies) -> list[Entry]:
    """All messages of all copies in one sequence. The copy that shares most with what is merged so far comes next, the
    most trusted of equals: one that shares nothing waits for another that knows both.
    """
    sequences = _file_messages(copies)
    run = sequences.pop(RUN, None)
    sequences |= {copy.name: copy.messages for copy in copies.databases}
    if run is not None:
        sequences[RUN] = run
    first = _newest(copies, sequences)
    trust = [first, *(name for name in sequences if name != first)]
    order = [first]
    raw = raw_copies(copies)
    temps = [name for name in map(temp_name, range(len(copies.temps))) if name in sequences and name != first]
    many: list[Entry] = []
    if len(temps) > _NEAREST:
        many = _joined(temps, sequences, raw)
        for name in temps[1:]:
            del sequences[name]
        sequences[temps[0]] = [e.merged for e in many]
    entries = [transcript.entry(first, m, k, is_raw=first in raw) for k, m in enumerate(sequences.pop(first, ()))]
    there = [e.merged for e in entries]
    torn = {name for name, copy in sidecar_copies(copies).items() if not has_all_messages(copy)}
    found = align_all(there, sequences, torn, is_torn_there=first in torn)
    near = dict.fromkeys(found)
    while sequences:
        now = [e.merged for e in entries]
        if not found or len(now) != len(there) or any(map(is_not, now, there)):
            nearest = {*islice(near, _NEAREST)}
            is_torn = bool(entries) and entries[-1].versions.keys() <= torn
            left = {name: m for name, m in sequences.items() if name in nearest}
            there, found = now, align_all(now, left, torn, is_torn_there=is_torn)
        closest = next(iter(found))
        del near[closest]
        messages, alignment = sequences.pop(closest), found.pop(closest)
        if many and closest == temps[0]:
            entries = transcript.join(entries, many, alignment)
            order += temps
            continue
        entries = transcript.merge(
            entries, closest, messages, alignment, older=closest == BACKUP, is_raw=closest in raw
        )
        order.append(closest)
    if order != trust:
        for e in entries:
            e.settle(trust, raw)
    transcript.drop_unanswered(entries, raw)
    transcript.drop_repeated_reasoning(entries, raw)
    if first == RUN:
        for e in entries:
            server_merge.take_calls(e, [copy.name for copy in copies.databases])
    live = session_of(copies.live)
    if live is not None and _is_rewritten(live, [e.versions[LIVE] for e in entries if LIVE in e.versions]):
        for e in entries:  # an old compression rewrote the file: what it left out of a message is no loss
            if LIVE in e.versions:
                e.merged, e.enriched = e.versions[LIVE], {}
    return entries


def _is_rewritten(live: Sidecar, messages: Sequence[Message]) -> bool:
    """Whether an old compression wrote the file anew: its summary stands among the messages, or in one of them where
    the version is one that leaves no mode (formats.md, "Marks of intent"); or it marks the last message that it saw
    without a time, as it left all with nothing but their words and calls.
    """
    leaves_mode = "compression_anchor_mode" in live.head
    seen = live.get("compression_anchor_message_key")
    if isinstance(seen, dict) and "ts" in seen and seen["ts"] is None:
        return True
    return any(m.is_summary or not (leaves_mode or carried_text(m) is None) for m in messages)


def _joined(names: Sequence[str], sequences: Mapping[str, Sequence[Message]], raw: Container[str]) -> list[Entry]:
    """These copies merged by halves, so that each message is aligned as often as the number can be halved."""
    if len(names) > 1:
        middle = len(names) // 2
        return transcript.join(_joined(names[:middle], sequences, raw), _joined(names[middle:], sequences, raw))
    name = names[0]
    return [transcript.entry(name, m, k, is_raw=name in raw) for k, m in enumerate(sequences[name])]


def _newest(copies: SessionCopies, sequences: Mapping[str, Sequence[Message]]) -> str:
    """The copy whose order stands: the live file's, where it is damaged or lost that of the whole file or run that was
    saved last.
    """
    sidecars = {name: copy for name, copy in sidecar_copies(copies).items() if copy.messages}
    if not sidecars:
        return next(iter(sequences), LIVE)
    if LIVE in sidecars and sidecars[LIVE].complete:
        return LIVE
    rank = lambda name: (sidecars[name].complete, number(sidecars[name].get("updated_at")) or 0.0, name != RUN)  # noqa: E731
    return max(sidecars, key=rank)


def _file_messages(copies: SessionCopies) -> dict[str, Sequence[Message]]:
    """The messages of each file, one object where they are the same bytes, as most are in every file."""
    sidecars = sidecar_copies(copies)
    leading = copies.leading_messages
    known: dict[bytes, Message] = {}
    found = {id(session_of(copies.leading) if leading else None): leading}
    for copy in sidecars.values():
        if id(copy) not in found:
            found[id(copy)] = _as_known(copy.messages, leading, known)
    return {name: found[id(copy)] for name, copy in sidecars.items()}


def _as_known(pieces: Sequence[Piece], leading: Sequence[Message], known: dict[bytes, Message]) -> tuple[Message, ...]:
    """The messages of these pieces; ``known`` are others by their bytes, among them the leading ones once they are
    looked for elsewhere than at their place.
    """
    found = []
    for k, piece in enumerate(pieces):
        if k < len(leading) and (piece is leading[k].piece or piece.raw == leading[k].piece.raw):
            found.append(leading[k])
            continue
        if not known:
            known.update((m.piece.token, m) for m in leading)
        key = piece.token
        found.append(known.get(key) or known.setdefault(key, message(piece)))
    return tuple(found)
