"""What a message says, whatever copy it comes from, and when two messages are the same one.

The rules are those of recovery.md, section 2: role, visible text and tool ids; time decides between equal candidates,
because people say "continue" ten times.
"""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from core.jsontext import Element, NotJSONError, Piece, loads, number
from core.workspace_tag import strip_workspace_tag

SPEAKERS = frozenset({"user", "assistant", "tool"})
"""Roles of the messages that a person sees."""

PARTS = ("tool_calls", "tool_call_id", "attachments")
REASONING = ("reasoning", "reasoning_content", "reasoning_details")
"""Fields that each hold an assistant's reasoning in one form."""

_SHORT = 64
"""Characters of a text that are kept even in a large session, and that tell enough to be known again when damaged."""

IMAGE = "[screenshot]"
JSON_PREFIX = "\0json:"
SUMMARY_PREFIX = "[CONTEXT COMPACTION"
_SHORTENED = ("[PRIOR CONTEXT", "[Duplicate tool output")
_IMAGE_PARTS = ("image_url", "image", "input_image")  # no set: what is looked up in it can be anything
_MASK_SIGNS = ("...", "***", "[REDACTED", "\N{REPLACEMENT CHARACTER}")  # one of them is in every mask
_MASK = re.compile(r"(?<=\S{3})\.\.\.(?=\S{2})|\*{3,}|\[REDACTED[^\]]*\]|\N{REPLACEMENT CHARACTER}+")

_RICH = frozenset({*PARTS, *REASONING})

Sign: TypeAlias = str | int
"""What tells a text from others: the text itself, or in a large session a number for a long one that is not all white
space. It holds the length and Python's 64-bit hash, which is another one in each process: signs of two processes cannot
be compared.
"""

Key: TypeAlias = tuple[str, Sign, str, tuple[str, ...]]
"""Role, text, id of the call that a tool result answers, ids of the calls that an assistant makes."""


_FOLDED = 512
_folded: dict[Sign, str] = {}
"""Texts with their white space folded, not more than ``_FOLDED``: the copies of a session have mostly the same ones."""


class Message(NamedTuple):
    """One message as one copy tells it; of a large session without what can be long, which is read from its bytes when
    it is asked for.

    ``piece`` holds its bytes, ``role`` who speaks (user, assistant, tool, system), ``sign`` stands for the visible
    text, ``answers`` is the id of the call that a tool result answers, ``calls`` are the ids of those that an assistant
    makes, ``time`` its stamp in seconds. ``parts`` are those of PARTS and REASONING that it has; ``is_plain`` says that
    its content is the visible text and nothing else.
    """

    piece: Piece
    role: str
    sign: Sign
    answers: str = ""
    calls: tuple[str, ...] = ()
    time: float | None = None
    parts: tuple[str, ...] = ()
    is_plain: bool = False

    @property
    def value(self) -> dict[str, Any]:
        """The message as a JSON object (empty for an element of a message list that is none)."""
        value = self.piece.value
        return value if isinstance(value, dict) else {}

    def part(self, name: str) -> Any:
        """What it has of one of PARTS and REASONING, None where it has nothing of it."""
        return self.value[name] if name in self.parts else None

    @property
    def said(self) -> str:
        """The visible text as it stands."""
        return self.sign if isinstance(self.sign, str) else _said(self.piece, self.piece.value, self.role)

    @property
    def text(self) -> str:
        """The visible text, white space folded."""
        found = _folded.get(self.sign)
        if found is None:
            if len(_folded) >= _FOLDED:
                _folded.clear()
            found = _folded[self.sign] = " ".join(self.said.split())
        return found

    @property
    def exact(self) -> Key:
        """What makes it the message that it is, to the letter."""
        return self[1:5]

    @property
    def key(self) -> Key:
        """The same with white space folded, which a copy may have changed."""
        return (self.role, self.text, self.answers, self.calls)

    @property
    def says_nothing(self) -> bool:
        """Neither text nor a call nor an answer to one, no reasoning and no attachment."""
        if self.answers or self.calls or isinstance(self.sign, int) or (self.sign and not self.sign.isspace()):
            return False
        return not any(part in self.parts for part in ("attachments", *REASONING))

    @property
    def is_summary(self) -> bool:
        """Written by a compression of the context, not by anyone in the conversation."""
        return self.said.lstrip().startswith(SUMMARY_PREFIX)

    @property
    def is_shortened(self) -> bool:
        """Shortened by the server itself, which is no damage."""
        return self.said.startswith(_SHORTENED)


def message(piece: Piece, *, is_brief: bool = False) -> Message:
    """Read one element of a message list. ``is_brief``: do not hold its text, as for the elements of a large one."""
    value = piece.value
    sign = _brief if is_brief or isinstance(piece, Element) else str
    if not isinstance(value, dict):
        return Message(piece, "", sign(_said(piece, value, "")))
    role = sys.intern(str(value.get("role") or ""))
    content = value.get("content")
    text = visible_text(content, role)
    answers = value.get("tool_call_id")
    calls = value.get("tool_calls")
    ids = (
        tuple(str(call.get("id") or call.get("call_id") or "") for call in calls if isinstance(call, dict))
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
        () if _RICH.isdisjoint(value) else tuple(part for part in (*PARTS, *REASONING) if value.get(part)),
        content is text,
    )


def _said(piece: Piece, value: Any, role: str) -> str:
    """The visible text of an element of a message list with this value."""
    return visible_text(value.get("content"), role) if isinstance(value, dict) else piece.raw.decode("utf-8", "replace")


def _brief(text: str) -> Sign:
    return text if len(text) <= _SHORT or text.isspace() else len(text) << 64 ^ hash(text)


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


def _part_text(part: Any) -> str:
    if not isinstance(part, dict):
        return str(part)
    if is_image_part(part):
        return IMAGE
    text = part.get("text")
    return text if isinstance(text, str) else ""


def likeness(a: Message, b: Message) -> int:
    """How surely two messages in the same place are the same one: 0 they are not, up to 4 beyond doubt.

    Time says nothing here (recovery.md, section 2). What one copy lost (tool calls, unmasked text, the end of an answer
    that was still being written) does not make it another message.
    """
    if a.role != b.role:
        return 0
    same_calls = a.answers == b.answers and a.calls == b.calls
    if same_calls and a.sign == b.sign:
        return 4
    same_call = (a.answers and a.answers == b.answers) or (a.calls and a.calls == b.calls)
    if ((a.answers and b.answers) or (a.calls and b.calls)) and not same_call:
        return 0
    text, other = a.text, b.text
    if same_calls and text == other:
        return 4
    if same_call or (text and text == other):
        return 3
    if not text or not other:
        return 1 if any(m.says_nothing for m in (a, b)) else 0
    if masked_form(text, other) or masked_form(other, text):
        return 2
    longer, shorter = (a, b) if len(text) > len(other) else (b, a)
    # the beginning of an answer, or a prompt to which the program has added something of its own
    parts = longer.text.startswith(shorter.text) or (a.role == "user" and longer.text.endswith(shorter.text))
    return 2 if parts else 0


def is_mostly_same(a: Message, b: Message) -> bool:
    """Whether two answers in the same place are one text of which a stretch in the middle was damaged."""
    longer, shorter = (a.text, b.text) if len(a.text) > len(b.text) else (b.text, a.text)
    if a.role != b.role or a.role == "user" or a.answers != b.answers or a.calls != b.calls:
        return False
    if len(shorter) < _SHORT or len(longer) > 2 * len(shorter):
        return False
    head = _equal(longer, shorter)
    return head + _equal(longer[::-1], shorter[::-1]) >= 0.75 * len(longer)


def has_fewer_calls(one: Message, other: Message) -> bool:
    """Whether two messages are one that lacks some of its calls: what nothing answered is taken out."""
    mine, theirs = set(one.calls), set(other.calls)
    return one.text == other.text and bool(mine and theirs) and (mine < theirs or theirs < mine)


def _equal(one: str, other: str) -> int:
    """How many characters two texts begin with that are the same."""
    return next((k for k, (x, y) in enumerate(zip(one, other, strict=False)) if x != y), min(len(one), len(other)))


@lru_cache(maxsize=512)
def masked_form(masked: str, plain: str) -> bool:
    """``masked`` is ``plain`` with secrets (or undecodable bytes) blotted out."""
    if not any(sign in masked for sign in _MASK_SIGNS):
        return False
    pieces = _MASK.split(masked)
    if len(pieces) == 1 or sum(map(len, pieces)) < 8:
        return False
    if not plain.startswith(pieces[0]) or not plain.endswith(pieces[-1]):
        return False
    at = 0
    for piece in pieces:
        at = plain.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return True
