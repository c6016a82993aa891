"""What happened to a session, in plain words: the sentences that a front shows first, in place of the evidence.

A story is a sequence of texts and of times in seconds since 1970, which each front writes in its own way. It says no
more of a time than the copies prove: one time, two between which it was, or only the one after which it was.
"""

from __future__ import annotations

from collections.abc import Sequence

from hermes_rescue.core.audit.findings import Story
from hermes_rescue.core.base.jsontext import number
from hermes_rescue.core.base.words import counted, plural
from hermes_rescue.core.hermes.copies import LIVE
from hermes_rescue.core.hermes.sidecar import Sidecar
from hermes_rescue.core.merge.item import Item
from hermes_rescue.core.merge.proposal import Proposal

_END_OF_TIME = 253402300800.0  # the year 10000

_PART_WORDS = {
    "tool_calls": "tool calls",
    "tool_call_id": "links to their tool calls",
    "reasoning_content": "reasoning",
    "reasoning_details": "reasoning",
    "content": "text",
}
"""The parts of a message whose names say nothing to a person."""


def part_words(names: Sequence[str]) -> str:
    """The parts of messages by their names, as people call them; calls that are lost need no word about their links."""
    names = [name for name in names if name != "tool_call_id" or "tool_calls" not in names]
    words = sorted({_PART_WORDS.get(name, name.replace("_", " ")) for name in names})
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)


def lost_by_a_save(lost: Sequence[int], proposal: Proposal, live: Sidecar) -> Story:
    """Of messages (positions in ``Proposal.items``) that the file had once and other copies still have."""
    items = proposal.items
    since = [item for item in items[lost[-1] + 1 :] if LIVE in item.copies]
    is_all = len(lost) > 1 and len(lost) + len(since) == len(items)
    what = f" lost {'all ' if is_all else ''}{counted(len(lost), 'message')}"
    after = _first(since) if since else _time(number(live.get("updated_at")))
    held = f"; other copies have {plural(len(lost), 'it', 'them')}."
    new = f" {counted(len(since), 'was', 'were')} written since." if since else ""
    return ("A save", *_between(_last([items[k] for k in lost]), after), f"{what}{held}{new}")


def never_saved(lost: Sequence[int], proposal: Proposal, where: str) -> Story:
    """Of the last messages of a session, which only what ``where`` names has."""
    begins = _first([proposal.items[k] for k in lost])
    n = len(lost)
    subject = f"The last {counted(n, 'message')}" if n > 1 else "The last message"
    of = () if begins is None else (", from ", begins, " on,") if n > 1 else (", of ", begins, ",")
    return (subject, *of, f" never reached the file; {where} {plural(n, 'has it', 'has them')}.")


def missing_between(lost: Sequence[int]) -> Story:
    """Of messages from the middle or the beginning of a file, which the database has."""
    n = len(lost)
    return (f"{counted(n, 'message')} from before the end of the file {plural(n, 'is', 'are')} in the database only.",)


def interrupted_save(lost: Sequence[int], proposal: Proposal) -> Story:
    """Of messages that only the temporary file of a save has."""
    what = f" was interrupted: its temporary file alone has {counted(len(lost), 'message')}."
    return ("A save", *_between(_last([proposal.items[k] for k in lost]), None), what)


def parts_lost(n: int, parts: Sequence[str]) -> Story:
    """Of messages that are poorer in the file than in other copies."""
    return (f"{counted(n, 'message')} lost {plural(n, 'its', 'their')} {part_words(parts)}; other copies have them.",)


def stuck(live: Sidecar) -> Story:
    """Of a session that waits for an answer which nothing writes any more."""
    began = _time(number(live.get("pending_started_at")))
    of = () if began is None else (" to your prompt of ", began)
    return ("Hermes was stopped before its answer", *of, " was complete; the session still waits for it.")


def damaged(what: str, proposal: Proposal) -> Story:
    """Of a file that the WebUI cannot load. ``what`` says how it is damaged."""
    after = len(proposal.sidecar.messages) if proposal.sidecar is not None else 0
    whole = sum(item.included and LIVE in item.copies for item in proposal.items)
    rest = after - whole
    if not whole:
        return (f"{what}; the other copies have {counted(after, 'message')}.",)
    others = f", other copies have {rest} more" if rest else ""
    return (f"{what}; {counted(whole, 'message')} in it can still be read{others}.",)


def unanswered(asked: Sequence[Item]) -> Story:
    """Of prompts that only the journal of prompts has."""
    if len(asked) > 1:
        return (
            f"{len(asked)} prompts that you sent were not answered, and are not in the conversation. They were kept.",
        )
    sent = _first(asked)
    of = () if sent is None else (" of ", sent)
    return ("Your prompt", *of, " was not answered, and is not in the conversation. It was kept.")


def _between(after: float | None, before: float | None) -> Story:
    """When it was that is known to be after one time and not after another, to the minute."""
    if after is None:
        return () if before is None else (" at or before ", before)
    if before is None or before < after:
        return (" after ", after)
    if after // 60 == before // 60:
        return (" at ", after)
    return (" between ", after, " and ", before)


def _first(items: Sequence[Item]) -> float | None:
    return next((time for item in items if (time := _time(item.message.time)) is not None), None)


def _last(items: Sequence[Item]) -> float | None:
    return _first(items[::-1])


def _time(seconds: float | None) -> float | None:
    """A time that a clock can have shown."""
    return seconds if seconds is not None and 0 < seconds < _END_OF_TIME else None
