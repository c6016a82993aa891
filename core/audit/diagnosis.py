"""What is wrong with one session: what the merge of its copies would change is the finding, each loss once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hermes_rescue.core.audit import story
from hermes_rescue.core.audit.elsewhere import apart_words, listed
from hermes_rescue.core.audit.findings import Category, Counts, Finding, Story, finding
from hermes_rescue.core.base.jsontext import NOTHING, Damage, number
from hermes_rescue.core.base.rights import is_denied
from hermes_rescue.core.base.words import counted, plural
from hermes_rescue.core.hermes.copies import BACKUP, DATABASE, LIVE, RUN, TEMP, SessionCopies
from hermes_rescue.core.hermes.database.lineage import SNAPSHOT_FIELD
from hermes_rescue.core.hermes.sidecar import IDLE_STREAM, Sidecar, SidecarFile
from hermes_rescue.core.hermes.store import is_session_name
from hermes_rescue.core.hermes.webui_recovery import startup_would_restore
from hermes_rescue.core.merge.intent import FROM_ELSEWHERE, Reason
from hermes_rescue.core.merge.item import Item
from hermes_rescue.core.merge.proposal import Proposal
from hermes_rescue.core.merge.sidecar_copies import session_of
from msgspec.structs import replace


def diagnose(copies: SessionCopies, proposal: Proposal, counts: Counts, *, streaming: bool) -> tuple[Finding, ...]:
    """The findings of one session, by what a merge of its copies would change. ``counts``: messages in the live file
    and in the backup; ``streaming``: a running WebUI may be writing it right now.
    """
    found = [*_of_live(copies, proposal, counts, streaming=streaming), *_questions(copies, proposal, counts)]
    if copies.doubt is not None:
        why = copies.doubt.sentence(copies.goes_on)
        found = [
            f if f.category is not Category.REPAIRABLE else replace(f.with_more(why), category=Category.REVIEW)
            for f in found
        ]
    found = [*_with_next_start(copies, proposal, found, counts)]
    denied = [file.problem or "" for file in _beside(copies) if file.problem is not None and is_denied(file.path)]
    problems = [problem for problem in _problems_beside(copies, found) if problem not in denied]
    for kind, lines in (("copy_denied", denied), ("damaged_file", problems)):
        if lines:
            found.append(finding(kind, copies.session_id, " ".join(lines), counts=counts))
    return tuple(found)


def _beside(copies: SessionCopies) -> tuple[SidecarFile, ...]:
    return (*copies.temps, copies.backup) if copies.backup is not None else copies.temps


def _of_live(copies: SessionCopies, proposal: Proposal, counts: Counts, *, streaming: bool) -> Iterator[Finding]:
    sid = copies.session_id
    live = session_of(copies.live)
    if copies.live is not None and copies.live.problem is not None:
        known = bool(copies.backup or copies.rows or copies.index_row)
        if is_denied(copies.live.path):
            yield finding("live_denied", sid, copies.live.problem, counts=counts)
        else:
            category = Category.REVIEW if known else None
            yield finding("not_a_file", sid, copies.live.problem, counts=counts, category=category)
    elif live is not None and isinstance(inner := live.get("session_id"), str) and inner != sid:
        evidence = f"The file is named {sid}, but carries the id {inner}."
        is_copy = is_session_name(inner)
        evidence += " It is a copy of that session, and offered there." if is_copy else ""
        category = None if is_copy else Category.REVIEW
        yield finding("id_mismatch", sid, evidence, counts=counts, category=category, session=inner)
    elif copies.live is None:
        yield from _missing(copies, proposal, counts)
    elif live is None or live.damage is not None:
        yield _malformed(copies.live, proposal, sid, counts)
    elif not (copies.goes_on_in_turn and live.messages and live.get(SNAPSHOT_FIELD) is True):
        # a hidden part from before a compaction stays as it is: the session that goes on has the rest
        yield from _losses(proposal, live, counts, sid, streaming=streaming, row=copies.index_row or {})


def _with_next_start(
    copies: SessionCopies, proposal: Proposal, found: Sequence[Finding], counts: Counts
) -> Iterator[Finding]:
    """The findings, and that the next start of the WebUI replaces the file with its backup, where it does: a sentence
    more where a repair of the file or a decision is asked for anyway, else a finding of its own.
    """
    live = copies.live.sidecar if copies.live is not None else None
    backup = copies.backup.sidecar if copies.backup is not None else None
    if live is None or backup is None or not startup_would_restore(live, backup):
        yield from found
        return
    gone = sum(LIVE in item.copies and BACKUP not in item.copies for item in proposal.items)
    lacks = f", which lacks {counted(gone, 'message')} of it" if gone else ""
    will = f"The next start of Hermes WebUI replaces the file with its backup{lacks}."
    main = next((f for f in found if f.category is not Category.INFO), None)
    yield from (f.with_more(will) if f is main else f for f in found)
    if main is None:
        back = sum(BACKUP in item.copies and LIVE not in item.copies for item in proposal.items)
        will += f" {counted(back, 'message')} that the file leaves out would be back." if back else ""
        yield finding("backup_would_return", copies.session_id, will, counts=counts)


def _problems_beside(copies: SessionCopies, found: Sequence[Finding]) -> list[str]:
    """What cannot be read of the copies beside the live file, a sentence each; not again what is a finding already."""
    is_named = any(f.kind.name == "malformed_orphan_backup" for f in found)
    problems = []
    for file in copies.temps if is_named else _beside(copies):
        if file.problem is not None:
            problems.append(file.problem)
        elif file.sidecar is not None and file.sidecar.damage is not None:
            problems.append(f"{file.path.name}: {_DAMAGE[file.sidecar.damage]}.")
    return [*problems, *copies.problems]


def _missing(copies: SessionCopies, proposal: Proposal, counts: Counts) -> Iterator[Finding]:
    """Findings of a session without a file: one, by the best copy that is left."""
    sid = copies.session_id
    after = len(proposal.sidecar.messages) if proposal.sidecar is not None else 0
    in_all, in_backup = counted(after, "message"), counted(counts[1] or 0, "message")
    backup = session_of(copies.backup)
    category, doubt = None, ""
    if proposal.doubt is not None:
        category, doubt = Category.REVIEW, f" {proposal.doubt}"
    if copies.deletions_unknown:
        category, doubt = Category.REVIEW, " You may have deleted it: the list of deleted sessions is damaged."
    if copies.deleted:
        if copies.backup or copies.rows:
            yield finding(
                "state_db_deleted_webui_tombstone",
                sid,
                "You deleted this session; copies of it are left.",
                counts=counts,
            )
    elif any(session_of(temp) is not None for temp in copies.temps):
        yield finding(
            "unsaved_temp",
            sid,
            f"The file is missing; a temporary file of an interrupted save is left ({in_all} in all).{doubt}",
            counts=counts,
            category=category,
            story=(f"The session file is gone; an interrupted save left {in_all}.{doubt}",),
        )
    elif backup is not None and (copies.rows or copies.databases_unknown):
        yield finding(
            "orphan_backup",
            sid,
            f"The file is missing; the backup holds {in_backup}, all copies together {after}.{doubt}",
            counts=counts,
            category=category,
            story=(*_left(counts[1] or 0, after), doubt),
        )
    elif backup is not None and backup.complete:
        yield finding(
            "orphan_backup_without_state_row",
            sid,
            f"The file is missing; the backup holds {in_backup} and no database knows the session.",
            counts=counts,
            story=(
                "The session file is gone and no database knows the session: you deleted it, or it was lost. "
                f"The backup has {in_backup}.",
            ),
        )
    elif copies.rows:
        if proposal.sidecar is not None:
            what = f"its {in_all}" if after else "an empty session with a worktree"
            yield finding(
                "state_db_missing_sidecar",
                sid,
                f"The file is missing; the database still has {what}.{doubt}",
                counts=counts,
                category=category,
                story=(f"The session file is gone; the database still has {what}.{doubt}",),
            )
        else:
            yield finding(
                "state_db_orphan_webui_row",
                sid,
                "The database knows this session, but has no message of it.",
                counts=counts,
            )
    elif copies.backup is not None:
        yield finding(
            "malformed_orphan_backup",
            sid,
            f"The file is missing and the backup is damaged; {in_all} in it can be read.",
            counts=counts,
            story=(f"Only a damaged backup is left of this session; {in_all} can be read in it.",),
        )
    elif copies.run is not None:
        yield finding(
            "run_journal_only",
            sid,
            f"Only the run journal knows this session; it holds {in_all}.",
            counts=counts,
        )
    elif proposal.sidecar is not None and not any(item.reason in FROM_ELSEWHERE for item in proposal.items):
        count = number((copies.index_row or {}).get("message_count"))
        yield finding(
            "index_only_worktree",
            sid,
            "The file is missing; the session list still has the session and its worktree.",
            counts=counts,
            story=("The session file is gone; the session list still has the session and its worktree.",),
            category=Category.REVIEW if count else category,
        )


def _left(backup: int, after: int) -> Story:
    """Of a session whose file is gone: what its backup has, and what other copies have beyond it."""
    others = f", other copies have {after - backup} more" if after > backup else ""
    return (f"The session file is gone; its backup has {counted(backup, 'message')}{others}.",)


_DAMAGE = {
    Damage.EMPTY: "The file is empty",
    Damage.NUL: "The file is filled with zero bytes",
    Damage.BOM: "The file begins with a byte order mark, which the WebUI cannot read",
    Damage.UTF16: "The file is UTF-16, which the WebUI cannot read",
    Damage.BAD_UTF8: "The file has bytes that are not UTF-8",
    Damage.TORN: "The file is torn",
    Damage.TRAILING: "The file has extra data after its end",
    Damage.TOO_DEEP: "The file is nested too deeply to be read",
    Damage.CONTROL: "The file has control characters inside a text",
    Damage.SYNTAX: "The file is not valid JSON: a comma or another sign is missing or too many",
    Damage.WRONG_SHAPE: "The file is not in the form of a session",
}


def _malformed(file: SidecarFile, proposal: Proposal, sid: str, counts: Counts) -> Finding:
    what = _DAMAGE[file.sidecar.damage] if file.sidecar is not None and file.sidecar.damage else "The file is damaged"
    if proposal.sidecar is None:
        return finding(
            "malformed_live",
            sid,
            f"{what}, and no other copy of the session is left.",
            counts=counts,
            category=Category.REVIEW,
        )
    after = len(proposal.sidecar.messages)
    category, doubt = (Category.REVIEW, f" {proposal.doubt}") if proposal.doubt is not None else (None, "")
    evidence = f"{what}; all copies together hold {counted(after, 'message')}.{_unread(file)}{doubt}"
    lines = (*story.damaged(what, proposal), _unread(file), doubt)
    return finding("malformed_live", sid, evidence, counts=counts, category=category, story=lines)


def _unread(file: SidecarFile) -> str:
    """What of a damaged file is not merged, and what it was taken for where that was a guess; a sentence each."""
    found = file.sidecar
    if found is None or found.damage in (Damage.EMPTY, Damage.NUL):
        return ""
    lost, left_over = found.lost_bytes, len(found.after_end)
    lines = f" {counted(lost, 'byte')} of it cannot be read and may have held more." if lost else ""
    lines += f" Left out: {counted(left_over, 'message')} of an older file, after its end." if left_over else ""
    is_guess = not found.encoding.startswith("utf")
    return lines + (f" It is read as {found.encoding}." if is_guess else "")


def _losses(
    proposal: Proposal, live: Sidecar, counts: Counts, sid: str, *, streaming: bool, row: Mapping[str, Any]
) -> Iterator[Finding]:
    """Findings of a file that the WebUI can load: what the merge gives back, each loss once, by the best copy that has
    it. ``row``: that of the session list.
    """
    doubtful = Category.REVIEW if proposal.doubt is not None else None
    category = Category.INFO if streaming else doubtful
    last = max((k for k, item in enumerate(proposal.items) if LIVE in item.copies), default=-1)
    lost: dict[str, list[int]] = {}
    for k, item in enumerate(proposal.items):
        if _is_lost(item):
            kind = _loss_kind(item.copies, live, is_after=k > last)
            if kind:
                lost.setdefault(kind, []).append(k)
    if "shrunken_live" in lost and "state_db_gap" in lost:
        lost["shrunken_live"] = sorted(lost["shrunken_live"] + lost.pop("state_db_gap"))
    words = {
        "shrunken_live": "{n} missing from the file; other copies, the backup first, still have {it}.",
        "unsaved_temp": "{n} in a temporary file of an interrupted save only.",
        "emptied_live": "The file is empty; the database has {bare}.",
        "state_db_ahead": "The database has {bare} after the last one in the file.",
        "state_db_gap": "{n} in the database only, before the last one in the file.",
        "run_journal_ahead": "{n} in the run journal only.",
    }
    for kind, positions in lost.items():
        if n := sum(proposal.items[k].included for k in positions):
            lines = _loss_story(kind, positions, proposal, live)
            evidence = words[kind].format(n=_are(n), bare=counted(n, "message"), it=plural(n, "it", "them"))
            yield finding(kind, sid, evidence, counts=counts, category=category, story=lines, messages=n)
    is_by_item = any(item.reason is not None and item.reason.is_question for item in proposal.items)
    beside = None if is_by_item else doubtful  # to repair it is to write all that comes back
    if proposal.enriched:
        parts = sorted({part for item in proposal.enriched for part in item.enriched})
        n = len(proposal.enriched)
        yield finding(
            "lossy_rebuild",
            sid,
            f"{counted(n, 'message lacks', 'messages lack')} parts that other copies have: {', '.join(parts)}.",
            counts=counts,
            category=category,
            story=story.parts_lost(n, parts),
            messages=n,
        )
    if not streaming and any(live.get(name) not in NOTHING for name in IDLE_STREAM):
        yield finding(
            "stale_stream",
            sid,
            "The session is still marked as generating a reply, but nothing is running.",
            counts=counts,
            category=beside,
            story=story.stuck(live),
        )
    stated = live.get("message_count")
    if stated is not None and stated != len(live.messages):
        # to mend the number is to forget that there were any, unless the session list knows that none was saved
        was_empty = row.get("message_count") == 0 and row.get("last_message_at") == live.get("updated_at")
        is_last_trace = not proposal.items and not was_empty
        yield finding(
            "wrong_count",
            sid,
            f"The header says {stated!s:.20} messages; the file contains {len(live.messages)}"
            f"{', and no other copy has any' if is_last_trace else ''}.",
            counts=counts,
            category=Category.REVIEW if is_last_trace else beside,
        )


def _are(n: int) -> str:
    return counted(n, "message is", "messages are")


def _is_lost(item: Item) -> bool:
    """Whether a message comes back without a question, or would but for a person's choice."""
    if LIVE in item.copies or (item.reason is not None and item.reason.is_question):
        return False
    return item.included or item.reason is Reason.CHOSEN


def _loss_story(kind: str, lost: Sequence[int], proposal: Proposal, live: Sidecar) -> Story:
    match kind:
        case "unsaved_temp":
            return story.interrupted_save(lost, proposal)
        case "state_db_ahead":
            return story.never_saved(lost, proposal, "the database")
        case "run_journal_ahead":
            return story.never_saved(lost, proposal, "the run journal")
        case "state_db_gap":
            return story.missing_between(lost)
    return story.lost_by_a_save(lost, proposal, live)


def _loss_kind(names: Sequence[str], live: Sidecar, *, is_after: bool) -> str | None:
    if BACKUP in names:
        return "shrunken_live"
    if any(name.startswith(TEMP) for name in names):
        return "unsaved_temp"
    if any(name.startswith(DATABASE) for name in names):
        return "emptied_live" if not live.messages else "state_db_ahead" if is_after else "state_db_gap"
    return "run_journal_ahead" if RUN in names else None


_QUESTIONS = {
    Reason.OLD_UNDO: ("shrunken_live_unmarked", "{n} in other copies only, after the end of the file. {why}"),
    Reason.EARLIER_UNDO: ("state_db_gap", "{n} in other copies only. {why}"),
    Reason.UNDECIDED: ("state_db_gap", "{n} in other copies only. {why}"),
    Reason.FURTHER: (
        "further_copy",
        "{missing}{n} in {copies} only: taken back by you since, or lost.",
    ),
    Reason.APART: (
        "further_copy",
        "{n} in {copies} only. {apart} A repair takes nothing of it unless you choose its messages.",
    ),
    Reason.UNANSWERED: (
        "turn_journal_pending_turn",
        "A prompt that you sent was not answered, and is not in the conversation.",
    ),
}
"""What asks about messages that are left out for a reason: the kind of finding, and its evidence."""


MASKED = "You hid it, or another program did; a repair of this session alone shows it again."


def _questions(copies: SessionCopies, proposal: Proposal, counts: Counts) -> Iterator[Finding]:
    sid = copies.session_id
    asked = [item.reason for item in proposal.items]
    if proposal.fuller and FROM_ELSEWHERE.isdisjoint(asked):
        fuller = len(proposal.fuller)
        evidence = f"{_are(fuller)} fuller in a copy from another place."
        yield finding("further_copy", sid, evidence, counts=counts, messages=fuller)
    for reason, (kind, words) in _QUESTIONS.items():
        n = asked.count(reason)
        if n:
            missing = "The file is missing; " if copies.live is None else ""
            held = dict.fromkeys(name for item in proposal.items if item.reason is reason for name in item.copies)
            places = listed(held) if reason in FROM_ELSEWHERE else ""
            apart = apart_words([*held]) if reason is Reason.APART else ""
            evidence = words.format(n=_are(n), why=reason.sentence, missing=missing, copies=places, apart=apart)
            lines: Story = ()
            if reason is Reason.UNANSWERED:
                lines = story.unanswered([item for item in proposal.items if item.reason is reason])
            yield finding(kind, sid, evidence, counts=counts, category=Category.REVIEW, story=lines, messages=n)
    if n := len(proposal.masked):
        has = counted(n, "message has", "messages have")
        evidence = f"{has} a mask (as sk-...1234) in the file; other copies have the text under it. {MASKED}"
        yield finding("lossy_rebuild", sid, evidence, counts=counts, category=Category.REVIEW, messages=n)
