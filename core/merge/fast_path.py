"""Whether every copy of a session says what its live file says: then there is nothing to merge.

Most sessions are whole, and to see that takes far less than to merge. The answer is sound and not complete: where a
copy has anything that the live file lacks, or has it in another form, or where in doubt, the merge finds out
(``tests/core/test_agreement.py`` holds the two together).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec
from hermes_rescue.core.base.jsontext import LIST_FIELD, NOTHING, NotJSONError, loads, number, require_utf8
from hermes_rescue.core.hermes.copies import FileCopies
from hermes_rescue.core.hermes.database.statedb import UnindexedReadError
from hermes_rescue.core.hermes.database.statedb_rows import RawMessageRow
from hermes_rescue.core.hermes.message import JSON_PREFIX, REASONING, SPEAKERS, decoded, visible_text
from hermes_rescue.core.hermes.runs.run_journal import Done
from hermes_rescue.core.hermes.sidecar import IDLE_STREAM
from hermes_rescue.core.hermes.workspace_tag import strip_workspace_tag, untag
from hermes_rescue.core.merge.restored_turns import has_all_of_killed
from hermes_rescue.core.merge.turns import SLACK
from msgspec import UNSET, Raw

_ROLES = {role.encode(): role for role in SPEAKERS}
_USER = b"user"
_PARTS = JSON_PREFIX.encode()
_ESCAPES = ((b"\\", b"\\\\"), (b'"', b'\\"'), (b"\n", b"\\n"), (b"\t", b"\\t"), (b"\r", b"\\r"))
_SUMMARIES = (b"[CONTEXT COMPACTION", b"[CONTEXT SUMMARY]", b"[PRIOR CONTEXT")
_LATEST = 1e12  # seconds; what is beyond is no time
_BESIDE = ("attachments", *REASONING)
_PARTS_BESIDE = attrgetter(*_BESIDE)
_EMPTY = frozenset((b"", b"null", b'""', b"[]", b"{}"))


class _Call(msgspec.Struct, gc=False):
    id: str | None = None
    call_id: str | None = None


class _Message(msgspec.Struct, gc=False):
    """A message of a sidecar; one of another form does not decode."""

    role: str
    content: Raw = Raw(b"null")
    timestamp: float | None = None
    tool_call_id: str | None = None
    tool_calls: list[_Call] | None = None
    reasoning: Raw = Raw()
    reasoning_content: Raw = Raw()
    reasoning_details: Raw = Raw()
    attachments: Raw = Raw()


_HEAD = (
    *("session_id", "workspace", "message_count", *IDLE_STREAM),  # what must be right
    *("title", "profile", "created_at", "updated_at"),  # what a list shows
    *("worktree_path", "worktree_branch", "worktree_repo_root"),
)
_SESSION: Any = msgspec.json.Decoder(
    msgspec.defstruct(
        "_Session",
        [(LIST_FIELD, list[_Message]), *((name, Any, UNSET) for name in _HEAD)],
        gc=False,
    )
)
_RUN: Any = msgspec.json.Decoder(msgspec.defstruct("_Run", [(LIST_FIELD, list[_Message])], gc=False))
_LIST = msgspec.json.Decoder(list[_Message])
_CALLS = msgspec.json.Decoder(list[_Call])


class _Differs(Exception):
    """A row is none of the messages."""


@dataclass(frozen=True, slots=True)
class UpToDate:
    """A session that no copy has anything to add to: what a list shows of it, the number of its messages, and of its
    rows in a database (None where no database has it).
    """

    head: dict[str, Any]
    messages: int
    rows: int | None


def up_to_date(
    files: FileCopies, databases: Iterable[Iterable[RawMessageRow]], further: Iterable[bytes] = ()
) -> UpToDate | None:
    """The session, if a merge of its files with its rows in each database, and with ``further`` files of other places,
    would change nothing; else None.

    The rows are only read, and then all of them, where the files leave it open; the further files only after that.
    """
    data = files.live.data if files.live is not None else None
    if data is None or files.backup or files.temps or files.problems:
        return None
    try:
        require_utf8(data)
        session = _SESSION.decode(data)
        messages: list[_Message] = session.messages
        head = {name: value for name in _HEAD if (value := getattr(session, name)) is not UNSET}
        if any(map(_is_dressed, messages)) or not _is_at_rest(head, files.session_id, len(messages)):
            return None
        if files.run is not None and not _is_beginning(messages, files.run):
            return None
        counts = [_matched(messages, rows) for rows in databases]
        if not any(counts) and not all(_is_beginning(messages, run) for run in files.journal.dones):
            return None  # no row shows what was said before the newest run; where one does, reading all would cost more
        if not all(_are_among(messages, _RUN.decode(data).messages) for data in further):
            return None
        if (files.killed or not files.are_turns_ended) and not has_all_of_killed(files):
            return None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, NotJSONError, UnindexedReadError, _Differs):
        return None
    return UpToDate(head, len(messages), max(counts, default=None))


def _is_at_rest(head: Mapping[str, Any], session_id: str, messages: int) -> bool:
    """Whether the head says what it should: the session's own id, a workspace, the right count, and no stream."""
    return (
        head.get("session_id") == session_id
        and head.get("workspace", "") is not None
        and head.get("message_count") in (None, messages)
        and all(head.get(name) in NOTHING for name in IDLE_STREAM)
    )


def _is_dressed(message: _Message) -> bool:
    """Whether the live file may itself have a text in the form of the database, which a merge would clean."""
    begin = memoryview(message.content)[:3].tobytes()
    if begin == b'"\\u':  # a prefix in whatever spelling
        return True
    return message.role == "user" and begin.startswith((b'"[', b"[")) and untag(_value(message))[1] is not None


def _is_beginning(messages: Sequence[_Message], run: Done) -> bool:
    """Whether what a run showed at its end is what the messages begin with, and nothing more of any."""
    shown = _LIST.decode(run.listed)
    return len(shown) <= len(messages) and all(map(_is_shown, messages, shown))


def _are_among(messages: Sequence[_Message], copies: Iterable[_Message]) -> bool:
    """Whether all that another place holds are some of these messages in their order, and it has no more of any."""
    left = iter(messages)
    return all(any(_is_copy(one, each) for one in left) for each in copies)


def _is_copy(message: _Message, copy: _Message) -> bool:
    """Whether a message is this one, but for the time and the tag of its workspace."""
    return (
        copy.role == message.role
        and copy.role in SPEAKERS
        and (copy.tool_call_id or "") == (message.tool_call_id or "")
        and (copy.content == message.content or _is_tagged(bytes(copy.content), bytes(message.content)))
        and (copy.tool_calls == message.tool_calls or _ids(copy.tool_calls) == _ids(message.tool_calls))
        and not _has_more(copy, message)
    )


def _is_tagged(copy: bytes, message: bytes) -> bool:
    """Whether a content is the other one in another spelling, or with the tag of a workspace before it."""
    if message[:1] == b'"' and copy.endswith(message[1:]):
        return _is_tag(copy[: 1 - len(message)])
    return bool(untag(loads(copy))[0] == loads(message))


@lru_cache(maxsize=64)  # the prompts of a session mostly have the same
def _is_tag(begin: bytes) -> bool:
    """Whether the beginning of a text in JSON is the tag of a workspace and nothing else, whatever follows its line."""
    return begin.endswith(b"\\n") and not untag(loads(begin + b'"'))[0]


def _is_shown(message: _Message, shown: _Message) -> bool:
    """Whether a message of a run is this one to the letter and has no part that it lacks."""
    return (
        shown.role == message.role
        and shown.timestamp == message.timestamp
        and (shown.tool_call_id or "") == (message.tool_call_id or "")
        and (shown.content == message.content or _value(shown) == _value(message))
        and (shown.tool_calls == message.tool_calls or _ids(shown.tool_calls) == _ids(message.tool_calls))
        and not _has_more(shown, message)
    )


def _has_more(other: _Message, message: _Message) -> bool:
    """Whether another copy of a message has a part that it lacks."""
    if _PARTS_BESIDE(other) == _PARTS_BESIDE(message):
        return False
    return any(_has(other, name) and not _has(message, name) for name in _BESIDE)


def _has(message: _Message, name: str) -> bool:
    return bytes(getattr(message, name)) not in _EMPTY


def _matched(messages: Sequence[_Message], rows: Iterable[RawMessageRow]) -> int:
    """The number of rows without those that were written again to the letter, stamp and all. Raises :class:`_Differs`
    unless every other row is one of the messages, in that order and turn by turn, each turn beginning at the same time.
    """
    left = iter(messages)
    count = 0
    before = _Before()
    at: dict[Any, _Message] = {}  # by the moment, role, length and calls, of which a merge folds those that are equal
    for row in rows:
        _, role, text, answers, calls, time, _, _ = row
        moment = None if time is None else (time, role, len(text) if isinstance(text, bytes) else None, answers, calls)
        if (again := at.get(moment)) is not None:
            if number(time) is not None and _is_same(again, row):
                continue
            raise _Differs
        if before.may_have(row):
            raise _Differs
        begins = count == 0 or role == _USER
        for one in left:
            if _is_same(one, row) and (not begins or _is_at_once(one.timestamp, time)):
                break
            if not begins and one.role == "user":
                raise _Differs
        else:
            raise _Differs
        if moment is not None:
            at[moment] = one
        count += 1
    return count


class _Before:
    """The rows so far: whether one more may say what an earlier one says at another moment, so that a merge folds the
    two (core.hermes.database.fold)."""

    def __init__(self) -> None:
        self._role: Any = None
        self._text: Any = None
        self._sent: dict[int, list[Any]] = {}  # the prompts of each second
        self._seen: set[Any] = set()  # the calls and answers of each turn
        self._turn = 0

    def may_have(self, row: RawMessageRow) -> bool:
        """Whether the row may be a repeat, or the summary that repeats stand around; rather once too often."""
        _, role, text, answers, calls, time, _, _ = row
        is_prompt, linked = role == _USER, answers or calls
        if not linked and not is_prompt and role == self._role and text == self._text:
            return True
        self._role, self._text = role, text
        is_text = isinstance(text, bytes)
        if is_text and text.lstrip()[:1] == b"[" and any(sign in text for sign in _SUMMARIES):
            return True
        if is_prompt:
            self._turn += not answers
            seconds = _seconds(time)
            if any(_is_prompt_again(text, other) for each in seconds for other in self._sent.get(each, ())):
                return True
            for second in seconds[:1]:
                self._sent.setdefault(second, []).append(text)
        if linked:
            if (self._turn, linked) in self._seen:
                return True
            self._seen.add((self._turn, linked))
        return False


def _is_prompt_again(text: Any, other: Any) -> bool:
    """Whether two prompts may say the same, as a person sees them."""
    if not isinstance(text, bytes) or not isinstance(other, bytes):
        return True
    return visible_text(text.decode(), "user") == visible_text(other.decode(), "user")


def _seconds(time: Any) -> Sequence[int]:
    """The second of a stamp, and those beside it."""
    if not isinstance(time, (int, float)) or not abs(time) < _LATEST:
        return ()
    second = int(time)
    return second, second - 1, second + 1


def _is_at_once(one: float | None, other: Any) -> bool:
    """Whether nothing says that two stamps are of two moments."""
    return one is None or other is None or (isinstance(other, (int, float)) and abs(one - other) <= SLACK)


def _is_same(message: _Message, row: RawMessageRow) -> bool:
    """Whether a row is this message and has nothing more."""
    _, role, text, tool_call_id, tool_calls, _, has_reasoning, plain = row
    if _ROLES.get(role) != message.role or not plain:
        return False
    if (tool_call_id or b"") != (message.tool_call_id or "").encode() or not _is_content(message, text or b""):
        return False
    if has_reasoning and _EMPTY.issuperset(
        map(bytes, (message.reasoning, message.reasoning_content, message.reasoning_details))
    ):
        return False
    ids: list[str] = []
    if tool_calls or message.tool_calls:
        ids = _ids(message.tool_calls)
        if ids != _ids(_CALLS.decode(tool_calls) if tool_calls else None):
            return False
    return bool(text or ids or tool_call_id)


def _is_content(message: _Message, text: Any) -> bool:
    """Whether the content of a row, as it is stored, is that of the message."""
    if not isinstance(text, bytes):
        return False
    if text.startswith(_PARTS):
        parts, mine = decoded(text.decode()), _value(message)
        if message.role == "user":
            parts, _ = untag(parts)
        return isinstance(mine, list) and parts == mine and visible_text(mine) != ""
    written = bytes(message.content)
    if message.role == "user" and text.startswith(b"["):
        copy = _escaped(text)
        is_end = written[:1] == b'"' and len(written) > 2 and copy.endswith(written[1:-1])
        if is_end and _is_tag(b'"' + copy[: 2 - len(written)]):
            return True
        text = strip_workspace_tag(text.decode())[0].encode()
        if not text:
            return False
    if written[:1] != b'"':
        return written == b"null" and not text
    return written[1:-1] == (_escaped(text) if b"\\" in written else text) or _value(message) == text.decode()


def _escaped(text: bytes) -> bytes:
    """A text as Python's ``json`` writes it, but for rare control characters."""
    for plain, escaped in _ESCAPES:
        if plain in text:
            text = text.replace(plain, escaped)
    return text


def _value(message: _Message) -> Any:
    return loads(bytes(message.content))


def _ids(calls: list[_Call] | None) -> list[str]:
    return [call.id or call.call_id or "" for call in calls or ()]
