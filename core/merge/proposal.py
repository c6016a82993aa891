"""The best sidecar for one session from all its copies, and where each part of it came from (recovery.md, 2 to 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hermes_rescue.core.base.jsontext import LIST_FIELD, NOTHING, Piece, number
from hermes_rescue.core.hermes import sidecar
from hermes_rescue.core.hermes.copies import BACKUP, LIVE, RUN, SessionCopies
from hermes_rescue.core.hermes.held_up import is_the_same
from hermes_rescue.core.hermes.same_text import folded
from hermes_rescue.core.hermes.sidecar import FIELD_DEFAULTS, IDLE_STREAM, Sidecar
from hermes_rescue.core.merge import further, metadata, pointers, second_look, server_merge
from hermes_rescue.core.merge.choices import Choices, fingerprint, left_out_before
from hermes_rescue.core.merge.evidence import (
    Evidence,
    FileState,
    Verdict,
    Witness,
    has_all_messages,
    has_title_of_turn,
    is_untitled,
    reasons_of_rows,
    state_of,
)
from hermes_rescue.core.merge.intent import FROM_ELSEWHERE, MARK_FIELDS, Marks, Reason, has_marks, marks
from hermes_rescue.core.merge.item import Item
from hermes_rescue.core.merge.metadata import Found
from hermes_rescue.core.merge.restored_turns import RestoredCard, broken_off, cards_of, killed, restore, stream_of
from hermes_rescue.core.merge.sequence import one_sequence
from hermes_rescue.core.merge.sidecar_copies import marked_copy, raw_copies, session_of, sidecar_copies
from hermes_rescue.core.merge.transcript import Entry
from hermes_rescue.core.merge.witnesses import judge

FIRST_MESSAGE = "first message"
LAST_MESSAGE = "last message"
DEFAULT = "default"

TITLE_LENGTH = 64
"""Characters of the first prompt that make a title where none is left."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A metadata field that a repair changes. ``origin`` is the copy that the new value is from."""

    field: str
    before: Any
    after: Any
    origin: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a repair of one session would write: ``sidecar`` is None where there is nothing to write or nothing to build
    from.

    ``origins`` says for each field of a rebuilt sidecar, and for each that a person chose, which copy it is from;
    ``offers`` what each copy says of a field (core.merge.metadata.offers), ``chosen`` the choices among them that hold.
    ``fuller``: the copies of each message that a copy from another place has more of.
    ``is_outdated``: the choices were made on another proposal, so nothing of them is in this one.
    """

    session_id: str
    items: tuple[Item, ...]
    sidecar: Sidecar | None
    changes: tuple[FieldChange, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    offers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    chosen: Mapping[str, str] = field(default_factory=dict)
    doubt: str | None = None
    fuller: tuple[frozenset[str], ...] = ()
    is_outdated: bool = False

    @property
    def fingerprint(self) -> str:
        """What distinguishes it from every other proposal, whatever a person chose of it: see
        hermes_rescue.core.merge.choices. Reads every message.
        """
        left_out = (item.reason for item in self.items)
        reasons = (None if reason is Reason.CHOSEN else reason for reason in left_out)
        return fingerprint((item.masked or item.message for item in self.items), reasons, self.offers)

    @property
    def included(self) -> tuple[Item, ...]:
        """The recovered transcript."""
        return tuple(item for item in self.items if item.included)

    @property
    def gained(self) -> tuple[Item, ...]:
        """Messages that come back: not in the live file, in the proposal."""
        return tuple(item for item in self.items if item.included and LIVE not in item.copies)

    @property
    def lost(self) -> tuple[Item, ...]:
        """Messages of the live file that the proposal leaves out: only ever a person's choice."""
        return tuple(item for item in self.items if not item.included and LIVE in item.copies)

    @property
    def asks_only_what_is_apart(self) -> bool:
        """Whether nothing is to be done or asked but about messages that may be of another conversation."""
        asked = {item.reason for item in self.items if item.reason is not None and item.reason.is_question}
        return asked == {Reason.APART} and self.sidecar is None

    @property
    def left_out_before(self) -> int:
        """How many messages stay out because a person left them out of an earlier repair."""
        return sum(item.reason is Reason.LEFT_OUT and not item.included for item in self.items)

    @property
    def enriched(self) -> tuple[Item, ...]:
        """Messages of the live file that get back a part of themselves."""
        return tuple(item for item in self.items if item.included and LIVE in item.copies and item.enriched)

    @property
    def masked(self) -> tuple[Item, ...]:
        """Messages with a mask in the live file, under which another copy has the secret."""
        return tuple(item for item in self.items if item.masked is not None)


def propose(copies: SessionCopies, choices: Choices | None = None, *, stream_is_live: bool = False) -> Proposal:
    """Merge the copies of one session. Reads nothing and writes nothing.

    ``stream_is_live``: a running WebUI still writes this session, so its stream fields stay as they are. A field that
    is chosen from a copy which does not offer it is proposed as if nothing was chosen, and so is everything where the
    choices were made on another proposal.
    """
    choices = choices or Choices()
    live = session_of(copies.live)
    entries = one_sequence(copies)
    reasons, verdict = _reasons(copies, live, entries)
    runs, cards = killed(copies, live, stream_is_live=stream_is_live), cards_of(live)
    new_cards = restore(entries, reasons, runs, cards)
    if not stream_is_live and (broken := broken_off(entries, reasons)) is not None:
        new_cards += restore(entries, reasons, [broken], cards)
    offers = metadata.offers(copies, live)
    created = offers.get("created_at", {})
    found = further.offer(entries, reasons, copies.further, created, lambda: _evidence(copies, live))
    entries, reasons = found.entries, reasons | found.reasons
    reasons |= left_out_before(entries, copies.left_out)
    is_outdated = choices.need_a_proposal and choices.made_on != fingerprint(
        (e.merged for e in entries), (reasons.get(id(e)) for e in entries), offers
    )
    if is_outdated:
        choices = Choices()
    if choices.answer_questions:
        found.accept()
    elif choices.imported:
        found.accept(but_from={copy.name for copy in copies.further} - choices.imported)
    items = tuple(_item(i, e, reasons.get(id(e)), choices) for i, e in enumerate(entries))
    chosen = {
        name: Found(offers[name][copy], copy) for name, copy in choices.fields.items() if copy in offers.get(name, {})
    }
    kept = [e for e, item in zip(entries, items, strict=True) if item.included]
    if choices.imported:
        copies = replace(copies, further=tuple(copy for copy in copies.further if copy.name in choices.imported))
    elif not any(item.reason in FROM_ELSEWHERE for item in items if item.included):
        copies = replace(copies, further=())  # what is not taken from there gives nothing else either
    if live is None and copies.deleted and not choices.are_about_messages:
        proposal = Proposal(copies.session_id, items, None)
    elif live is not None and live.damage is None:
        proposal = _amended(copies, live, items, kept, verdict, new_cards, chosen, stream_is_live=stream_is_live)
    else:
        proposal = _rebuilt(copies, live, items, kept, verdict, new_cards, chosen)
    taken = {name: found.origin for name, found in chosen.items()}
    leading_messages = replace(proposal, doubt=verdict.doubt, offers=offers, chosen=taken, fuller=found.fuller_in)
    return replace(leading_messages, is_outdated=is_outdated)


def _evidence(copies: SessionCopies, live: Sidecar | None) -> Evidence:
    """What is known of the session beside its messages."""
    sidecars = sidecar_copies(copies)
    run = sidecars.pop(RUN, None)
    newest = marked_copy(sidecars)
    state = state_of(live)
    if state is FileState.WHOLE and newest != LIVE:
        state = FileState.TORN  # an older object of the server, which was saved too late: a part of what is newer
    index = copies.index_row or {}
    saved = number((live.get("updated_at") if live is not None else None) or index.get("updated_at"))
    count = live.get("message_count") if live is not None and state is FileState.TORN and not live.complete else None
    is_of_head = isinstance(count, int)
    if not is_of_head:
        count = index.get("message_count")
    files = {
        name: Witness(name, number(copy.get("updated_at")), marks(copy), has_all_messages(copy), has_marks(copy))
        for name, copy in sidecars.items()
    }
    last = number(index.get("last_message_at"))
    if last is not None and last <= 0.0:  # no clock has shown that
        last = None
    listed = number(index.get("updated_at"))
    stream = stream_of(copies, live)
    sent = next((turn for turn in copies.turns if turn.is_last), None)
    return Evidence(
        state,
        marks(sidecars[newest]) if newest is not None else Marks(),
        files[newest].saved if newest is not None else None,
        saved,
        number(stream.get("pending_started_at")),
        count if isinstance(count, int) and not isinstance(count, bool) else None,
        last,
        files.get(BACKUP),
        Witness(RUN, number(run.get("updated_at"))) if run is not None else None,
        tuple(w for name, w in files.items() if name not in (LIVE, BACKUP)),
        is_untitled(live) or (state is FileState.LOST and index.get("title") == FIELD_DEFAULTS["title"]),
        copies.live is None,
        frozenset(copy.name for copy in copies.databases),
        None if sent is None else sent.created_at,
        folded(str(stream.get("pending_user_message") or "")),
        listed,
        copies.run is not None and copies.run.sent is not None and copies.run.sent.is_set_back,
        has_title_of_turn(live),
        listed is not None and listed < (number(index.get("created_at")) or listed),
        is_of_head,
        "" if sent is None else folded(sent.text),
        None if is_of_head else _prompts(index),
    )


def _prompts(row: Mapping[str, Any]) -> int | None:
    """How many prompts a row of the session list counts: the server does that anew at each save. None where one was
    still unanswered, which is among the messages or not.
    """
    prompts = row.get("user_message_count")
    is_known = type(prompts) is int and not row.get("has_pending_user_message")
    return prompts if is_known else None


def _reasons(
    copies: SessionCopies, live: Sidecar | None, entries: Sequence[Entry]
) -> tuple[dict[int, Reason], Verdict]:
    """Why an entry (by identity) is left out, with the verdict of the witnesses."""
    own = reasons_of_rows(entries, copies, live, sidecar_copies(copies))
    left = [e for k, e in enumerate(entries) if k not in own]
    verdict, raw = judge(left, _evidence(copies, live)), raw_copies(copies)
    for k in verdict.again:
        left[k].take_nothing_from(verdict.older, raw)
    reasons = {id(left[k]): reason for k, reason in verdict.reasons.items() if LIVE not in left[k].versions}
    if live is not None and _is_held_up(copies, live, left, reasons):
        reasons = {e: reason for e, reason in reasons.items() if not reason.is_question}
        verdict = replace(verdict, doubt=None)
    return reasons | {id(entries[k]): reason for k, reason in own.items()}, verdict


def _is_held_up(copies: SessionCopies, live: Sidecar, entries: Sequence[Entry], reasons: Mapping[int, Reason]) -> bool:
    """Whether all that is asked was to come back for certain when a running WebUI held the repair up."""
    if copies.held_up is None or any(live.get(name) is not None for name in MARK_FIELDS):
        return False
    file = [e.merged for e in entries if LIVE in e.versions]
    whole = [e.merged for e in entries if id(e) not in reasons or reasons[id(e)].is_question]
    return is_the_same(copies.held_up, file, whole, backup_known_by(copies))


def backup_known_by(copies: SessionCopies) -> str:
    """The digest of the backup and when it was saved, "" where there is none: a turn that is taken back of a session
    which was restored from its backup leaves the same bytes, later.
    """
    return f"{copies.backup.digest} {copies.backup.mtime}" if copies.backup is not None else ""


def _is_torn_in_marks(sidecars: Mapping[str, Sidecar]) -> bool:
    """Whether the file is torn before its generation, and other copies have one."""
    live, *others = (marks(copy).knows_generations for copy in sidecars.values())
    return not sidecars[LIVE].complete and not live and any(others)


def _item(position: int, e: Entry, reason: Reason | None, choices: Choices) -> Item:
    included = reason is None or (reason.is_answered_by_name and choices.answer_questions)
    included = (included or position in choices.include) and position not in choices.exclude
    if not included and reason is None:
        reason = Reason.CHOSEN
    masked = e.merged if e.unmasked is not None else None
    if choices.answer_questions or position in choices.include:
        e.unmask()
    return Item(e.merged, tuple(e.versions), e.enriched, included, reason, e.places, masked)


def _amended(
    copies: SessionCopies,
    live: Sidecar,
    items: Sequence[Item],
    kept: Sequence[Entry],
    verdict: Verdict,
    new_cards: Sequence[RestoredCard],
    chosen: Mapping[str, Found],
    *,
    stream_is_live: bool,
) -> Proposal:
    """A live file that the WebUI can load: its metadata changes only where something is wrong, or was chosen."""
    pieces = [item.message.piece for item in items if item.included]
    fields, taken = dict[str, Any](), dict[str, Found]()
    if not stream_is_live and any(live.get(name) not in NOTHING for name in IDLE_STREAM):
        fields |= {name: value for name, value in IDLE_STREAM.items() if name in live.head}
    changed_messages = len(pieces) != len(live.messages) or any(
        piece is not old and piece.raw != old.raw for piece, old in zip(pieces, live.messages, strict=True)
    )
    if changed_messages:
        pieces = server_merge.with_tokens(pieces, copies.turns, untouched=live.messages)
        fields |= _pointers(copies, live, verdict, kept, new_cards)
        is_recorded = marks(live).is_marked and not (verdict.again and second_look.goes_on_after_act(items))
        if second_look.has_act(items) and not is_recorded:
            fields |= server_merge.marks(kept, copies)
        if second_look.leaves_out(items):
            date = second_look.date(items, sidecar_copies(copies).get(RUN))
            fields |= {"updated_at": date} if date > (number(live.get("updated_at")) or 0.0) else {}
        if live.get("_recovered_from_state_db"):
            found = metadata.recover(copies, live)
            taken = {name: f for name, f in found.items() if f.origin != LIVE and live.get(name) in NOTHING}
    taken |= chosen
    fields |= {name: f.value for name, f in taken.items() if f.origin != LIVE}
    origins = {name: f.origin for name, f in taken.items()}
    proposed = live.with_fields(fields).with_messages(pieces)
    changes = tuple(
        FieldChange(name, live.get(name), piece.value, origins.get(name, LIVE))
        for name, piece in proposed.head.items()
        if name != LIST_FIELD and _differs(live.head.get(name), piece)
    )
    if not changes and not changed_messages:
        return Proposal(copies.session_id, tuple(items), None)
    return Proposal(copies.session_id, tuple(items), proposed, changes, origins)


def _rebuilt(
    copies: SessionCopies,
    live: Sidecar | None,
    items: Sequence[Item],
    kept: Sequence[Entry],
    verdict: Verdict,
    new_cards: Sequence[RestoredCard],
    chosen: Mapping[str, Found],
) -> Proposal:
    """A live file that is lost or cannot be loaded: what is left of its head, then every other copy, but for what was
    chosen.
    """
    found = metadata.recover(copies, live)
    pieces = [item.message.piece for item in items if item.included]
    sidecars = sidecar_copies(copies) or further.files(copies.further)
    if not pieces and not sidecars and "worktree_path" not in found:
        return Proposal(copies.session_id, tuple(items), None)
    if "title" not in found:
        first = next((item.message.text for item in items if item.included and item.message.role == "user"), "")
        if title := " ".join(first.split())[:TITLE_LENGTH]:
            found["title"] = Found(title, FIRST_MESSAGE)
    saved = number(found["updated_at"].value) if "updated_at" in found else None
    if (last := second_look.date(items, sidecars.get(RUN))) > (saved or 0.0):
        found["updated_at"] = Found(last, LAST_MESSAGE)
    found |= chosen
    values = {name: f.value for name, f in found.items() if f.origin != LIVE}
    values |= _pointers(copies, live, verdict, kept, new_cards)
    if "workspace" not in values and (live is None or live.get("workspace") is None):
        values["workspace"] = ""  # null makes the WebUI's load fail
    marked = marked_copy(sidecars)
    if marked is not None and marked != LIVE:
        values |= {name: sidecars[marked].get(name) for name in MARK_FIELDS if name in sidecars[marked].head}
    is_recorded = marked is not None and marks(sidecars[marked]).is_marked
    if marked == LIVE and _is_torn_in_marks(sidecars):
        is_recorded = False
    elif marked is not None and is_recorded:
        is_recorded = second_look.knows_acts(items, marked, is_whole=sidecars[marked].complete)
    if second_look.has_act(items) and not is_recorded:
        values |= server_merge.marks(kept, copies)
    pieces = server_merge.with_tokens(pieces, copies.turns)
    if live is None:
        proposed = sidecar.new(copies.session_id, values, pieces)
    else:
        missing = {
            name: value
            for name, value in FIELD_DEFAULTS.items()
            if name not in live.head and name not in (LIST_FIELD, *MARK_FIELDS)  # not to be there says who wrote it
        }
        fields = {**missing, **values, **IDLE_STREAM, "session_id": copies.session_id}
        proposed = live.with_fields(fields).with_messages(pieces)
    proposed = second_look.without_claim(proposed, items)
    changes = tuple(
        FieldChange(
            name,
            live.get(name) if live is not None else None,
            piece.value,
            found[name].origin if name in found else DEFAULT,
        )
        for name, piece in proposed.head.items()
        if name != LIST_FIELD and (live is None or _differs(live.head.get(name), piece))
    )
    return Proposal(copies.session_id, tuple(items), proposed, changes, {name: f.origin for name, f in found.items()})


def _differs(before: Piece | None, after: Piece) -> bool:
    """Whether a field says something else now; what was not touched does not, though NaN is never equal to itself."""
    return before is not after and (before.value if before is not None else None) != after.value


def _pointers(
    copies: SessionCopies,
    live: Sidecar | None,
    verdict: Verdict,
    kept: Sequence[Entry],
    new_cards: Sequence[RestoredCard],
) -> dict[str, Any]:
    """The fields that point into the message list, for these messages; what is as it was is not among them."""
    sidecars = sidecar_copies(copies) or further.files(copies.further)
    is_loaded = live is not None and live.damage is None and bool(live.messages)
    sources = [LIVE] if is_loaded else [verdict.origin or LIVE, RUN, *(copy.name for copy in copies.further)]
    name = next((n for n in sources if n in sidecars and "tool_calls" in sidecars[n].head), LIVE)
    copy = sidecars.get(name)
    place = {id(e): k for k, e in enumerate(kept)}
    restored = [{**card, "assistant_msg_idx": place[id(e)]} for card, e in new_cards if id(e) in place]
    listed = pointers.cards(copy, name, kept)
    known = {card.get("tid") for card in restored}
    fields: dict[str, Any] = {
        "tool_calls": [c for c in listed if not isinstance(c, dict) or c.get("tid") not in known] + restored
    }
    if copy is not None and "anchor_activity_scenes" in copy.head:
        fields["anchor_activity_scenes"] = pointers.scenes(copy, name, kept)
    if not is_loaded:
        base = verdict.base if verdict.base != RUN else None
        fields["context_messages"] = pointers.context(sidecars.get(base or ""), base or "", kept)
    elif live is not None and live.get("context_messages") not in NOTHING:
        fields["context_messages"] = pointers.context(live, LIVE, kept)
    return {
        field: value
        for field, value in fields.items()
        if live is None or live.get(field, FIELD_DEFAULTS[field]) != value
    }
