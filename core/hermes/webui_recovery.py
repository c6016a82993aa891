"""What Hermes WebUI's own recovery sees in a session, and what it does to it when the server starts.

The WebUI compares counts and swaps files: where a backup holds more messages than the session file and no mark says
that the user shrank the session, the backup replaces the file at the next start. Its audit reports what it would do,
and what it cannot do, one item a session and kind. Both are worked out here from facts, without reading anything, for
two reasons: ``audit --json`` has an item wherever theirs has one, and a start that would throw messages away is known
before it happens.

Facts of WebUI exp-v0.52.262 (``recover_all_sessions_on_startup``, ``audit_session_recovery``), seen by running it and
the releases on both sides of each version that is named here; the marks are those of formats.md, "Marks of intent".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from hermes_rescue.core.base.jsontext import LIST_FIELD, MESSAGES_HERE, Damage, number
from hermes_rescue.core.hermes.sidecar import Sidecar

_UUID4 = re.compile(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}")
_SUMMARY = "[context compaction"
_BARE_SUMMARY = "context compaction"
_ENDED = ("completed", "interrupted")

_CLEARED: Mapping[str, Any] = {
    LIST_FIELD: [],
    "context_messages": [],
    "truncation_watermark": 0.0,
    "truncation_boundary": 0.0,
    "active_stream_id": None,
    "pending_user_message": None,
    "pending_attachments": [],
    "pending_started_at": None,
    "pending_user_source": None,
}
"""What a session looks like that was cleared and nothing was said in since; every field has to be there."""

Version = tuple[int, int, int]


class Act(StrEnum):
    """Something that the user did on purpose and that leaves a larger backup behind."""

    COMPRESS = "compress"
    CLEAR = "clear"
    SHRINK = "shrink"


BELIEVED_SINCE: Mapping[Act, Version] = {
    Act.COMPRESS: (0, 51, 710),
    Act.CLEAR: (0, 51, 875),
    Act.SHRINK: (0, 52, 216),
}
"""The first WebUI whose start-up leaves the file alone for the marks of an act (undo, retry, edit and truncate are
``SHRINK``). Before it the backup came back over what the user had done, and with it whatever was taken back."""

RESTORES_SINCE: Version = (0, 50, 284)
"""The first WebUI that restores larger backups when it starts (this one stops where it meets the session list)."""


class FileFacts(NamedTuple):
    """What the files of one name say to the WebUI's recovery: the messages that it counts in the session file and in
    the backup (:func:`message_count`), whether its next start replaces the one with the other, and how many open
    prompts of the turn journal the session file lacks.
    """

    live_messages: int = -1
    bak_messages: int = -1
    is_replaced: bool = False
    absent: int = 0


NO_FILES = FileFacts()
"""Those of a name whose value could not be read."""


@dataclass(frozen=True, slots=True)
class RecoveryFacts:
    """What the WebUI's recovery looks at, of one name ``<name>.json``.

    ``files`` is what could be read there. ``live_exists`` and ``backup_exists`` say whether anything has the name, a
    folder and an unreadable file too. ``has_row``: the database of the active profile has a row of that id, of whatever
    source (None: there is no such database, or it cannot be read). ``row_messages``: whether there are message rows,
    whatever their flags, of a row whose source is exactly ``webui`` (None: no such row). ``deleted``: the id is among
    the tombstones. ``in_index``: the session list has the id (None: there is no list; one that cannot be read has
    none).
    """

    files: FileFacts = NO_FILES
    live_exists: bool = False
    backup_exists: bool = False
    has_row: bool | None = None
    row_messages: bool | None = None
    deleted: bool = False
    in_index: bool | None = None


class RecoveryItem(NamedTuple):
    """An item of the WebUI's audit: its kind, and the counts that it states (-1: absent or unreadable)."""

    kind: str
    live_messages: int = -1
    bak_messages: int = -1


def message_count(session: Sidecar | None) -> int:
    """The number of messages as the WebUI's recovery counts them: -1 for what is absent or what Python's ``json`` does
    not read as an object with a message list. Other than for a load, ``"workspace": null`` does not matter.
    """
    if session is None or session.head.get(LIST_FIELD) is not MESSAGES_HERE:
        return -1
    return len(session.messages) if session.damage in (None, Damage.WRONG_SHAPE) else -1


def file_facts(live: Sidecar | None, backup: Sidecar | None, prompts: Collection[str] = ()) -> FileFacts:
    """The facts of a session file and its backup (None: nothing there, or nothing that could be read; what is no
    session file counts all the same). ``prompts``: what :func:`open_prompts` found in the turn journal.
    """
    counts = message_count(live), message_count(backup)
    absent = 0
    if prompts:
        messages = [piece.value for piece in live.messages] if live is not None and counts[0] >= 0 else []
        present = {_text_of(m.get("content")) for m in messages if isinstance(m, dict) and m.get("role") == "user"}
        absent = sum(prompt not in present for prompt in prompts)
    return FileFacts(*counts, startup_would_restore(live, backup), absent)


def startup_would_restore(live: Sidecar | None, backup: Sidecar | None, version: Version | None = None) -> bool:
    """Whether the next start of the WebUI replaces this session file with its backup, without asking.

    ``version``: of the WebUI that starts (None: the newest known). A file that cannot be read (``live`` None, or a
    damaged one) has fewer messages than any backup that can, also than an **empty** one.
    """
    if version is not None and version < RESTORES_SINCE:
        return False
    if backup is None or message_count(backup) <= message_count(live):
        return False
    if live is None or message_count(live) < 0:
        return True
    believed = [act for act, since in BELIEVED_SINCE.items() if version is None or version >= since]
    return not any(_MARKED[act](live, backup) for act in believed)


def marks_that_keep_out(
    transcript: Sequence[tuple[str, float | None]], rows: Sequence[int | None]
) -> tuple[float, float] | None:
    """Watermark and boundary with which the WebUI leaves out what was taken back, where no copy has them any more.

    Whenever the WebUI shows a session or goes on with it, it merges the active rows of the database into the file, and
    only these two times show it which of them were taken back: without them an undone turn returns with the next one.
    ``transcript``: role and stamp of each message of the file; ``rows``: of each active row, by id, the place of its
    message, None for one that is left out. None: no row is left out, or no message has a stamp; the file needs none.

    They are those that the WebUI has after the newest act: where nothing was kept, 0.0 both; where nothing of the
    database came after what was taken back, the newest stamp both (a stamp below another one would let newer rows in);
    else the newest prompt, and the last message that was kept before; that one both where the clock was set back since.
    """
    if None not in rows:
        return None
    if not transcript:
        return 0.0, 0.0
    times = [time for _, time in transcript if time is not None]
    if not times:
        return None
    prompts = [time for role, time in transcript if role == "user" and time is not None]
    if rows[-1] is None or not prompts:
        return max(times), max(times)
    end = max(k for k, at in enumerate(rows) if at is None)
    boundary = _last_stamp(transcript, rows[:end])
    return max(prompts[-1], boundary), boundary


def marks_that_supersede(
    transcript: Sequence[tuple[str, float | None]],
    backup: Sequence[int | None],
    found: tuple[float, float] | None,
) -> tuple[float, float] | None:
    """The same marks (``found``), or the first ones, so that they also record what was taken back of a backup: it
    begins after the boundary. ``backup`` has its messages as ``rows`` has those of the database.
    """
    stamps = [time for role, time in transcript if role == "user" and time is not None]
    if None not in backup or (found is not None and found[0] == found[1]) or not stamps:
        return found
    boundary = _last_stamp(transcript, backup[: backup.index(None)])
    return (max(stamps[-1], boundary), boundary) if found is None else (found[0], min(found[1], boundary))


def _last_stamp(transcript: Sequence[tuple[str, float | None]], places: Sequence[int | None]) -> float:
    times = (transcript[at][1] for at in reversed(places) if at is not None)
    return next((time for time in times if time is not None), 0.0)


def recovery_items(facts: RecoveryFacts) -> tuple[RecoveryItem, ...]:
    """The items that the WebUI's own audit has for a session, in its order; mostly none.

    What the items of their kind are called there: ``shrunken_live``, ``orphan_backup``, ``index_missing_file``,
    ``index_missing_entry``, ``state_db_missing_sidecar`` and ``turn_journal_pending_turn`` repairable; the others
    ``unsafe_to_repair``.
    """
    return (*_of_files(facts), *_of_index(facts), *_of_rows(facts), *_of_prompts(facts))


def open_prompts(events: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The texts of the turns of a turn journal that never began, in the order of their ids.

    ``events``: those of all files of one session. The last event of a turn decides, by its time and among equal times
    by its place: a turn is open if that is no end of it and has a text, which only ``submitted`` has. So a prompt whose
    worker has started is not among them, answered or not.
    """
    newest: dict[str, tuple[float, Mapping[str, Any]]] = {}
    for event in events:
        turn, time = str(event.get("turn_id") or "").strip(), number(event.get("created_at")) or 0.0
        if turn and (turn not in newest or time >= newest[turn][0]):
            newest[turn] = time, event
    last = [event for _, (_, event) in sorted(newest.items(), key=lambda found: found[0])]
    texts = [_text_of(event.get("content")) for event in last if str(event.get("event") or "") not in _ENDED]
    return tuple(filter(None, texts))


def _of_files(facts: RecoveryFacts) -> Iterator[RecoveryItem]:
    live, backup, is_replaced, _ = facts.files
    if facts.live_exists:
        if is_replaced:
            yield RecoveryItem("shrunken_live", live, backup)
    elif facts.backup_exists:
        if backup < 0:
            kind = "malformed_orphan_backup"
        elif facts.deleted:
            kind = "state_db_deleted_webui_tombstone"
        else:
            kind = "orphan_backup_without_state_row" if facts.has_row is False else "orphan_backup"
        yield RecoveryItem(kind, bak_messages=backup)


def _of_index(facts: RecoveryFacts) -> Iterator[RecoveryItem]:
    if facts.in_index is False and facts.live_exists:
        yield RecoveryItem("index_missing_entry", facts.files.live_messages)
    elif facts.in_index and not facts.live_exists and not facts.deleted:
        yield RecoveryItem("index_missing_file")


def _of_rows(facts: RecoveryFacts) -> Iterator[RecoveryItem]:
    if facts.row_messages is None or facts.live_exists:
        return
    if not facts.deleted:
        yield RecoveryItem("state_db_missing_sidecar" if facts.row_messages else "state_db_orphan_webui_row")
    elif facts.files.bak_messages < 0:  # else the backup has been reported as that of a deleted session
        yield RecoveryItem("state_db_deleted_webui_tombstone")


def _of_prompts(facts: RecoveryFacts) -> Iterator[RecoveryItem]:
    yield from [RecoveryItem("turn_journal_pending_turn", facts.files.live_messages)] * facts.files.absent


def _text_of(content: Any) -> str:
    return str(content or "").strip()


def _compress_marked(live: Sidecar, backup: Sidecar) -> bool:
    """A manual compress, and a backup from before it: one with a longer context and no summary in that."""
    context, marker = _context(live), live.get("truncation_watermark")
    is_shorter = isinstance(live.get("context_messages"), list) and len(context) < len(live.messages)
    is_anchored = bool(_text_of(live.get("compression_anchor_summary")))
    is_anchored = is_anchored and live.get("compression_anchor_message_key") is not None
    by_hand = _text_of(live.get("compression_anchor_mode")).lower() == "manual"
    if not by_hand and not (is_shorter and (is_anchored or marker is not None)):
        return False
    older = _context(backup)
    return len(older) > len(context) and not any(map(_is_summary, older))


def _clear_marked(live: Sidecar, backup: Sidecar) -> bool:
    """A clear that the backup does not know of, and either nothing said since or the two times still 0."""
    generation = live.get("clear_generation")
    if not isinstance(generation, str) or not generation or backup.get("clear_generation") == generation:
        return False
    if live.messages:
        return bool(live.get("truncation_watermark") == 0.0 and live.get("truncation_boundary") == 0.0)
    return all(
        name == LIST_FIELD or (name in live.head and live.get(name) == value) for name, value in _CLEARED.items()
    )


def _shrink_marked(live: Sidecar, backup: Sidecar) -> bool:
    """An undo, retry, edit or truncate that the backup does not know of; a malformed generation says nothing."""
    mine, older = live.get("intentional_shrink_generation"), backup.get("intentional_shrink_generation")
    return _is_generation(mine) and (older is None or (_is_generation(older) and older != mine))


def _is_generation(value: Any) -> bool:
    return isinstance(value, str) and _UUID4.fullmatch(value) is not None


def _context(session: Sidecar) -> list[Any]:
    context = session.get("context_messages")
    return context if isinstance(context, list) else []


def _is_summary(message: Any) -> bool:
    """Whether a message of a context is the summary that a compaction leaves."""
    if not isinstance(message, dict) or message.get("role") in (None, "", "tool"):
        return False
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    text = _text_of(content).lower()
    return text.startswith(_SUMMARY) or (bool(message.get("_compressed_summary")) and text.startswith(_BARE_SUMMARY))


_MARKED = {Act.COMPRESS: _compress_marked, Act.CLEAR: _clear_marked, Act.SHRINK: _shrink_marked}
