"""The rows of state.db as values: what a session and a message say, in whatever columns there are (formats.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import lru_cache
from typing import Any, Literal, NamedTuple, Self, TypeAlias

import msgspec
from hermes_rescue.core.base.jsontext import NOTHING, NotJSONError, loads_exactly, number
from hermes_rescue.core.hermes.message import JSON_PREFIX, decoded
from hermes_rescue.core.hermes.workspace_tag import untag
from msgspec.structs import replace

SESSION_COLUMNS = frozenset((
    "id", "source", "user_id", "session_key", "chat_id", "chat_type", "thread_id", "display_name", "origin_json",
    "model", "model_config", "parent_session_id", "started_at", "ended_at", "end_reason", "message_count",
    "tool_call_count", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
    "estimated_cost_usd", "actual_cost_usd", "cwd", "git_branch", "git_repo_root", "title", "profile_name",
    "rewind_count", "archived", "workspace", "worktree_path", "worktree_branch", "worktree_repo_root",
    "worktree_created_at",
))  # fmt: skip
"""Columns of ``sessions`` that say something about a sidecar; ``system_prompt`` is long and says nothing."""

MESSAGE_COLUMNS = frozenset((
    "id", "session_id", "role", "content", "tool_call_id", "tool_calls", "tool_name", "timestamp", "finish_reason",
    "reasoning", "reasoning_content", "reasoning_details", "active", "compacted", "display_kind", "api_content",
))  # fmt: skip
"""Columns of ``messages`` that a sidecar's message is made of."""

SIDE_RUNS = ("btw: ", "bg: ")
"""What the WebUI's own titles of ``/btw`` and ``/background`` runs begin with."""

_WEBUI_KEY = "webui:"
_ORPHANED = "__orphaned__"
_NO = (0, "0", b"0")
_values = lru_cache(maxsize=16)(msgspec.msgpack.Decoder(list[Any]).decode)  # one row is asked for several columns
_TEXTS = (str, bytes)

Status = Literal["active", "compacted", "rewound"]


class Claim(Enum):
    """How far a row of ``sessions`` says by itself that the WebUI was meant to keep a sidecar of it."""

    YES = "yes"
    ASK = "ask"
    """Nothing in the row says whose it is: the WebUI's if anything else of the WebUI knows its id, else a question."""
    IF_KNOWN = "if known"
    """The WebUI's if anything else of the WebUI knows its id, else somebody else's."""
    IF_KEPT = "if kept"
    """A side run: the WebUI removes its file at the end. Where there is one (it was killed, or a person gave a chat
    such a title), the row belongs to it."""
    NO = "no"


class SessionRow(msgspec.Struct, frozen=True, gc=False):
    """A row of ``sessions``: every known column that is not NULL, as read (texts, numbers, bytes); none for a session
    of which only messages are left. ``is_known``: something else of the WebUI (a file, an index row, a journal) has
    this id, which decides where the row leaves it open (:class:`Claim`).

    There are many, so the values are packed, and ``places``, which says where among them each column is, is shared by
    the rows that have the same ones.
    """

    id: str
    places: Mapping[str, int]
    packed: bytes
    is_known: bool = False

    @classmethod
    def of(cls, session_id: str, columns: Mapping[str, Any], *, is_known: bool = False) -> Self:
        """The row with these columns."""
        return cls(session_id, _places((*columns,)), msgspec.msgpack.encode([*columns.values()]), is_known)

    def as_known(self) -> Self:
        """The same, known to something else of the WebUI."""
        return replace(self, is_known=True)

    @property
    def columns(self) -> dict[str, Any]:
        """The columns by their names."""
        return dict(zip(self.places, _values(self.packed), strict=True))

    def get(self, column: str) -> Any:
        """A column; None where it is missing."""
        at = self.places.get(column)
        return None if at is None else _values(self.packed)[at]

    def text(self, column: str) -> str | None:
        """A column's text; None where the column is missing or holds no text."""
        value = self.get(column)
        return value if isinstance(value, str) else None

    @property
    def source(self) -> str | None:
        """Which front the session belongs to: webui, cli, telegram, ..."""
        return self.text("source")

    @property
    def session_key(self) -> str | None:
        """How a front that is not the agent's own names the session."""
        return self.text("session_key")

    @property
    def title(self) -> str | None:
        """The title, often with a suffix that makes it unique."""
        return self.text("title")

    @property
    def model_config(self) -> str | None:
        """The model's settings as JSON text."""
        return self.text("model_config")

    @property
    def cwd(self) -> str | None:
        """The folder that the agent worked in."""
        return self.text("cwd")

    @property
    def git_branch(self) -> str | None:
        """The branch that was checked out in ``cwd``."""
        return self.text("git_branch")

    @property
    def git_repo_root(self) -> str | None:
        """The repository that ``cwd`` lay in."""
        return self.text("git_repo_root")

    @property
    def started_at(self) -> float | None:
        """When the session began, in seconds since 1970."""
        return number(self.get("started_at"))

    @property
    def ended_at(self) -> float | None:
        """When the agent ended the session, in seconds since 1970; None while it is open."""
        return number(self.get("ended_at"))

    @property
    def end_reason(self) -> str | None:
        """Why the agent ended it: ``compression`` where the conversation goes on under another id."""
        return self.text("end_reason")

    @property
    def parent_id(self) -> str | None:
        """The session that this one continues, or was started from."""
        return self.text("parent_session_id")

    @property
    def message_count(self) -> int:
        """How many messages the agent has counted, 0 where it does not say."""
        count = self.get("message_count")
        return count if isinstance(count, int) else 0

    @property
    def is_webui(self) -> bool:
        """Whether the session is one whose sidecar was meant to stay, or may be one (formats.md, section state.db)."""
        return self.sidecar_id is not None

    @property
    def is_certain(self) -> bool:
        """Whether that it is the WebUI's is beyond doubt: else its rebuilding is a question."""
        claim = self.claim
        return claim is Claim.YES or (self.is_known and claim is not Claim.NO)

    @property
    def sidecar_id(self) -> str | None:
        """The id of the session's sidecar, None where it was never meant to have one that stays."""
        if self.claim in (Claim.NO, Claim.IF_KNOWN, Claim.IF_KEPT) and not self.is_known:
            return None
        return self.named or self.id

    @property
    def claim(self) -> Claim:
        """What the row says by itself.

        Messages without a row in ``sessions`` may be anybody's, and must not bring a session into being; nor must the
        rows of the API server, which serves other programs too (the WebUI's gateway backend gives them no key). Without
        a source nothing says whose a row is. Schema 16 of the agent marked every small untitled session with tools as
        delegated (``__orphaned__``), so that mark alone proves nothing.
        """
        if not self.places:
            return Claim.IF_KNOWN
        source = self.source
        if source == "api_server":
            found = Claim.YES if self.named else Claim.IF_KNOWN if not self.session_key else Claim.NO
        elif source == "webui":
            found = Claim.YES
        else:
            found = Claim.ASK if self.get("source") is None else Claim.NO
        if found is not Claim.NO:
            delegated_from = self.delegated_from
            if delegated_from is not None:
                return Claim.ASK if delegated_from == _ORPHANED else Claim.NO
            if (self.title or "").startswith(SIDE_RUNS):
                return Claim.IF_KEPT
        return found

    @property
    def can_be_taken_over(self) -> bool:
        """Whether another program's conversation is one that a person can take into the WebUI, which then shows it from
        these rows with whatever its own file has (formats.md, section state.db).
        """
        return self.claim is Claim.NO and self.source != "api_server" and self.delegated_from is None

    @property
    def named(self) -> str | None:
        """The id of the sidecar that a row of the API server names as its session, None for any other row."""
        key = (self.session_key or "") if self.source == "api_server" else ""
        return key.removeprefix(_WEBUI_KEY) or None if key.startswith(_WEBUI_KEY) else None

    @property
    def is_gateway(self) -> bool:
        """Whether the WebUI's gateway backend wrote it: its rows have each step of a turn, its sidecar no tool messages
        and one message for the texts of a turn.
        """
        return self.source == "api_server" and not self.session_key

    @property
    def delegated_from(self) -> Any:
        """The session whose agent started this one as a subagent, as its model's settings name it; None for any other.
        Settings that cannot be read count as they stand.
        """
        return self._setting("_delegate_from")

    @property
    def branched_from(self) -> Any:
        """The session that a person branched off, in the same way: no continuation of it."""
        return self._setting("_branched_from")

    def _setting(self, name: str) -> Any:
        text = self.model_config or ""
        if name not in text and "\\" not in text:  # nor in another spelling; parsing takes its time
            return None
        try:
            config = loads_exactly(text)
        except NotJSONError:
            return text if name in text else None
        return config.get(name) if isinstance(config, dict) else None


@lru_cache(maxsize=64)
def _places(columns: tuple[str, ...]) -> Mapping[str, int]:
    return {column: at for at, column in enumerate(columns)}


class MessageRow(NamedTuple):
    """A row of ``messages``. ``message`` has the form and the key order of a sidecar's message, without empty fields.

    ``hidden``: the WebUI does not show it. ``workspace`` is what the row's workspace tag named, None without a tag: it
    stands before the text, since agent 0.19 in ``api_content`` only. ``size``: characters of what it says.
    """

    id: int
    status: Status
    hidden: bool
    message: dict[str, Any]
    workspace: str | None
    size: int


StoredRow: TypeAlias = tuple[Any, ...]
"""The row id and every column that a message is made of, as they lie there: texts as bytes."""

Wanted: TypeAlias = Callable[[Iterator[StoredRow]], Iterator[StoredRow]]
"""Gives back those of some rows that somebody wants."""


class RawMessageRow(NamedTuple):
    """What a row of ``messages`` says, as it lies in the database (texts as bytes): enough to see that a sidecar says
    the same.

    ``plain`` is False for a row that is not simply shown (taken back, summarised away, hidden); ``has_reasoning`` may
    be True without need.
    """

    rowid: int
    role: Any
    content: Any
    tool_call_id: Any
    tool_calls: Any
    timestamp: Any
    has_reasoning: bool
    plain: bool


def status_of(active: object = 1, compacted: object = 0) -> Status:
    """``active``/``compacted``: 1/0 live, 0/1 summarised away, 0/0 taken back. NULL or a missing column is live."""
    if active not in _NO:
        return "active"
    return "rewound" if compacted is None or compacted in _NO else "compacted"


def message_row(rowid: int, row: Mapping[str, object]) -> MessageRow:
    """What a row of ``messages``, by its columns, says in the form of a sidecar."""
    role = _text(row.get("role")) or ""
    text = _text(row.get("content")) or ""
    content = _content(text)
    workspace = None
    if role == "user":
        content, workspace = untag(content)
        workspace = workspace or untag(decoded(_text(row.get("api_content"))))[1]
    said: dict[str, Any] = {"role": role, "content": content}
    size = len(text)
    for name, read in _FIELDS:
        value = row.get(name)
        if value is None:
            continue
        if isinstance(value, _TEXTS):
            size += len(value)
        value = read(value)
        if not value and value in NOTHING:
            continue
        if name == "tool_name" and role == "tool":
            said["name"] = value
        said[name] = value
    key = row.get("id")
    return MessageRow(
        key if isinstance(key, int) else rowid,
        status_of(row.get("active"), row.get("compacted")),
        row.get("display_kind") == "hidden",
        said,
        workspace,
        size,
    )


def _content(text: str) -> Any:
    """A string or a list of parts, as a sidecar has it; what claims to be JSON and is not stays the text that it is."""
    content = decoded(text)
    return content if isinstance(content, (str, list)) else text.removeprefix(JSON_PREFIX)


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _json(value: object) -> Any:
    """What a JSON column says; None where it does not parse."""
    text = _text(value)
    if not text:
        return None
    try:
        return loads_exactly(text)
    except NotJSONError:
        return None


def _calls(value: object) -> list[Any] | None:
    found = _json(value)
    return found if isinstance(found, list) else None


_FIELDS: tuple[tuple[str, Callable[[object], Any]], ...] = (
    ("timestamp", number),
    ("reasoning", _text),
    ("reasoning_content", _text),
    ("reasoning_details", _json),
    ("tool_calls", _calls),
    ("tool_call_id", _text),
    ("tool_name", _text),
    ("finish_reason", _text),
)
"""The fields of a message beside its role and content in the order of a sidecar, and how the column of each is read."""
