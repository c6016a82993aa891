"""What a message says, whatever copy it comes from."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple, TypeAlias

from hermes_rescue.core.base.jsontext import LargeElement, NotJSONError, Piece, loads, number
from hermes_rescue.core.hermes.same_text import folded
from hermes_rescue.core.hermes.workspace_tag import strip_workspace_tag

SPEAKERS = frozenset({"user", "assistant", "tool"})
"""Roles of the messages that a person sees."""

PARTS = ("tool_calls", "tool_call_id", "attachments")
REASONING = ("reasoning", "reasoning_content", "reasoning_details")
"""Fields that each hold an assistant's reasoning in one form."""

PARTIAL_CALLS = "_partial_tool_calls"
"""What a cancelled answer had called, in the message that the server makes of it: the steps themselves are left out."""

SHORT = 64
"""Characters of a text that are kept even in a large session, and that are enough to recognise it by when damaged."""

LONG_ID, _LONG_TEXT = 12, 24
"""Characters of an id and of a text that are hardly ever the same by chance: some providers count calls from 0."""

_BEGINNING = 64
"""Characters of a text that mostly show whether it is a long one."""

IMAGE = "[screenshot]"
JSON_PREFIX = "\0json:"
SUMMARY_PREFIX = "[CONTEXT COMPACTION"
LAST_WORDS = (
    "You've reached the maximum number of tool-calling iterations allowed. Please provide a final response "
    "summarizing what you've found and accomplished so far, without calling any more tools."
)
"""What the agent itself asks where a turn used up its steps. The server does not show it."""

TURN_TOKEN = "_active_turn_token"
"""What the server notes beside a prompt: its stream, a colon, and when it was sent."""

_SHORTENED = ("[PRIOR CONTEXT", "[Duplicate tool output")
_IMAGE_PARTS = ("image_url", "image", "input_image")  # no set: what is looked up in it can be anything

_RICH = (*PARTS, *REASONING)

TextToken: TypeAlias = str | int
"""What distinguishes a text from others: the text itself, or in a large session a number for a long one that is not all
white space. It holds the length and Python's 64-bit hash, which is another one in each process: signs of two processes
cannot be compared.
"""

MessageIdentity: TypeAlias = tuple[str, TextToken, str, tuple[str, ...]]
"""Role, text, id of the call that a tool result answers, ids of the calls that an assistant makes."""


_FOLDED = 2**21
_folded: dict[TextToken, str] = {}
_folded_size = 0
"""Folded texts, not more than ``_FOLDED`` characters of them: the copies of a session have mostly the same ones."""


class Message(NamedTuple):
    """One message as one copy has it; of a large session without what can be long, which is read from its bytes when
    it is asked for.

    ``piece`` holds its bytes, ``role`` who speaks (user, assistant, tool, system), ``text_token`` stands for the
    visible text, ``answers`` is the id of the call that a tool result answers, ``calls`` are the ids of those that an
    assistant makes, ``time`` its stamp in seconds. ``parts`` are those of PARTS and REASONING that it has; ``is_plain``
    says that its content is the visible text and nothing else, ``is_partial`` that it has PARTIAL_CALLS.
    """

    piece: Piece
    role: str
    text_token: TextToken
    answers: str = ""
    calls: tuple[str, ...] = ()
    time: float | None = None
    parts: tuple[str, ...] = ()
    is_plain: bool = False
    is_partial: bool = False

    @property
    def value(self) -> dict[str, Any]:
        """The message as a JSON object (empty for an element of a message list that is none)."""
        value = self.piece.value
        return value if isinstance(value, dict) else {}

    def part(self, name: str) -> Any:
        """What it has of one of PARTS and REASONING, None where it has nothing of it."""
        return self.value[name] if name in self.parts else None

    @property
    def partial_calls(self) -> Any:
        """What it has as PARTIAL_CALLS, None where it has none."""
        return self.value[PARTIAL_CALLS] if self.is_partial else None

    @property
    def sent(self) -> float | None:
        """When the server noted that a prompt was sent, which is the time of its row, also where the prompt was stamped
        anew; None for any other message.
        """
        value = self.piece.value if self.role == "user" else None
        token = value.get(TURN_TOKEN) if isinstance(value, dict) else None
        try:
            return number(float(token.rpartition(":")[2])) if isinstance(token, str) else None
        except ValueError:
            return None

    @property
    def text(self) -> str:
        """The visible text as it stands."""
        return (
            self.text_token if isinstance(self.text_token, str) else _visible(self.piece, self.piece.value, self.role)
        )

    @property
    def folded_text(self) -> str:
        """The visible text without what is a matter of spelling (:func:`core.hermes.same_text.folded`)."""
        global _folded_size
        found = _folded.get(self.text_token)
        if found is None:
            found = folded(self.text)
            if _folded_size + len(found) > _FOLDED:
                _folded.clear()
                _folded_size = 0
            _folded[self.text_token] = found
            _folded_size += len(found)
        return found

    @property
    def strict_identity(self) -> MessageIdentity:
        """What makes it the message that it is, to the letter."""
        return self[1:5]

    @property
    def brief_identity(self) -> MessageIdentity:
        """The same as for a message of a large session."""
        token = self.text_token
        return (self.role, _brief(token) if isinstance(token, str) else token, self.answers, self.calls)

    @property
    def folded_identity(self) -> MessageIdentity:
        """The same without what is a matter of spelling, which a copy may have changed."""
        return (self.role, self.folded_text, self.answers, self.calls)

    @property
    def is_empty(self) -> bool:
        """Neither text nor a call nor an answer to one, no reasoning and no attachment."""
        if (
            self.answers
            or self.calls
            or isinstance(self.text_token, int)
            or (self.text_token and not self.text_token.isspace())
        ):
            return False
        return not any(part in self.parts for part in ("attachments", *REASONING))

    @property
    def is_distinctive(self) -> bool:
        """Whether it says enough to be known again: a long text, or the id of a call."""
        if len(self.answers) >= LONG_ID or any(len(call) >= LONG_ID for call in self.calls):
            return True
        if isinstance(self.text_token, int):  # a long text of a large session
            return True
        if len(self.text_token) < _LONG_TEXT:
            return False
        # the beginning mostly shows it, without folding all of a text
        return len(" ".join(self.text_token[:_BEGINNING].split())) >= _LONG_TEXT or len(self.folded_text) >= _LONG_TEXT

    @property
    def is_summary(self) -> bool:
        """Written by a compression of the context, not by anyone in the conversation."""
        return self.text.lstrip().startswith(SUMMARY_PREFIX)

    @property
    def is_shortened(self) -> bool:
        """Shortened by the server itself, which is no damage."""
        return self.text.startswith(_SHORTENED)


def message(piece: Piece, *, is_brief: bool = False) -> Message:
    """Read one element of a message list. ``is_brief``: do not hold its text, as for the elements of a large one."""
    value = piece.value
    sign = _brief if is_brief or isinstance(piece, LargeElement) else str
    if not isinstance(value, dict):
        return Message(piece, "", sign(_visible(piece, value, "")))
    role = sys.intern(str(value.get("role") or ""))
    content = value.get("content")
    text = visible_text(content, role)
    answers = value.get("tool_call_id")
    calls = value.get("tool_calls")
    ids = (
        tuple([str(call.get("id") or call.get("call_id") or "") for call in calls if isinstance(call, dict)])
        if isinstance(calls, list)
        else ()
    )
    return Message(
        piece,
        role,
        sign(text),
        str(answers) if answers else "",
        ids,
        number(value.get("timestamp")),
        tuple([part for part in _RICH if value.get(part)]),
        content is text,
        PARTIAL_CALLS in value,
    )


def asks_for_last_words(m: Message) -> bool:
    """Whether it is the agent's own request, in the name of the user, for an answer without any more steps."""
    return m.role == "user" and m.text_token in _LAST_WORDS


def _visible(piece: Piece, value: Any, role: str) -> str:
    """The visible text of an element of a message list with this value."""
    return visible_text(value.get("content"), role) if isinstance(value, dict) else piece.raw.decode("utf-8", "replace")


def _brief(text: str) -> TextToken:
    return text if len(text) <= SHORT or text.isspace() else len(text) << 64 ^ hash(text)


_LAST_WORDS = (LAST_WORDS, _brief(LAST_WORDS))


def called(m: Message) -> tuple[str, ...]:
    """The names of the functions that a message calls, "?" for one without a name."""
    calls = m.part("tool_calls")
    functions = (
        [call.get("function") if isinstance(call, dict) else None for call in calls] if isinstance(calls, list) else []
    )
    return tuple(str(f.get("name", "?")) if isinstance(f, dict) else "?" for f in functions)


def decoded(content: Any) -> Any:
    """The content as a sidecar holds it: the database's form of a list of parts is parsed."""
    if isinstance(content, str) and content.startswith(JSON_PREFIX):
        try:
            return loads(content[len(JSON_PREFIX) :])
        except NotJSONError:
            return content[len(JSON_PREFIX) :]
    return content


def visible_text(content: Any, role: str = "") -> str:
    """The text a person sees: parts joined, a placeholder for an image, the workspace tag of user rows stripped."""
    if not isinstance(content, str) or content.startswith(JSON_PREFIX):
        content = decoded(content)
        if isinstance(content, list):
            content = "\n".join(map(_part_text, content))
        elif not isinstance(content, str):
            content = "" if content is None else str(content)
    return strip_workspace_tag(content)[0] if role == "user" else content


def is_image_part(part: Any) -> bool:
    """Whether a part of a content is a picture."""
    return isinstance(part, dict) and part.get("type") in _IMAGE_PARTS


def image_address(part: dict[str, Any]) -> str:
    """Where the picture of a part of a content is, "" where nothing says so: each provider has a form of its own."""
    for name in ("image_url", "image", "source", "url"):
        found = part.get(name)
        if isinstance(found, dict):
            if isinstance(found.get("data"), str):
                return f"data:{found.get('media_type')};base64,{found['data']}"
            found = found.get("url")
        if isinstance(found, str):
            return found
    return ""


def _part_text(part: Any) -> str:
    if not isinstance(part, dict):
        return str(part)
    if is_image_part(part):
        return IMAGE
    text = part.get("text")
    return text if isinstance(text, str) else ""
