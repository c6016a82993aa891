"""One message of a life, and the form that each program gives it on disk (formats.md, "The sidecar", "state.db")."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, TypeAlias

Value: TypeAlias = dict[str, Any]

WORKSPACE = "/home/me/[projects]/café"
TAG = "[Workspace::v1: /home/me/[projects\\]/café]\n"
PICTURE = "data:image/png;base64,iVBORw0KGgo="

_SECRET = re.compile(r"sk-proj-\w+")
_TAG = re.compile(r"^\[Workspace(?:::v1)?: (?:\\.|[^\]\\])*\]\n")

Identity: TypeAlias = tuple[str, str, tuple[str, ...], str]
"""What makes a message the one that it is to a person: role, visible text, ids of its calls, id of the answered one."""


def masked(text: str) -> str:
    """A text as the run journal writes it."""
    return _SECRET.sub(lambda found: f"{found[0][:6]}...{found[0][-4:]}", text)


@dataclass(frozen=True, slots=True)
class Said:
    """A message that was really said, or that the WebUI itself put into its file.

    ``turn``: the number of its turn; ``start``: when that began; ``time``: the WebUI's stamp, ``row_time`` the agent's
    (seconds; whole ones in a cancelled turn). ``kind``: "plain"; "partial" and "notice": what a cancelled turn leaves;
    "merged": a prompt that the WebUI made of several, in no database.
    """

    number: int
    role: str
    text: str
    turn: int
    start: float
    time: float
    row_time: float
    calls: tuple[str, ...] = ()
    answers: str = ""
    reasoning: str = ""
    image: bool = False
    kind: str = "plain"

    @property
    def is_user(self) -> bool:
        """Whether the person said it."""
        return self.role == "user"

    @property
    def has_secret(self) -> bool:
        """Whether the run journal shows it masked."""
        return _SECRET.search(self.text) is not None

    def identity(self, *, mask: bool = False) -> Identity:
        """What a person sees of it, ``mask``: as the run journal has it."""
        text = masked(self.text) if mask else self.text
        if self.image:
            text += " [image]"
        return self.role, " ".join(text.split()), self.calls, self.answers

    def in_sidecar(self, position: int, *, newest: bool, api_content: bool, untimed: bool, modern: bool) -> Value:
        """Its value in a sidecar's message list, at a position from 0 on. ``newest``: it belongs to the last turn,
        whose prompt has no ``api_content`` yet; ``modern``: with the fields that the WebUI adds since it has run
        journals."""
        value: Value = {"role": self.role}
        if self.role == "tool":
            value |= {"name": "terminal", "tool_name": "terminal"}
        value["content"] = self.text
        if self.image:
            picture = {"type": "image_url", "image_url": {"url": PICTURE}}
            value["content"] = [{"type": "text", "text": TAG + self.text}, picture]
        if self.role == "assistant" and self.kind == "plain":
            value |= {"reasoning": self.reasoning or None, "finish_reason": "tool_calls" if self.calls else "stop"}
            if self.calls:
                value |= {"reasoning_content": self.reasoning, "tool_calls": self.tool_calls}
        elif self.kind in ("partial", "notice"):
            value["_partial" if self.kind == "partial" else "_error"] = True
        if self.answers:
            value["tool_call_id"] = self.answers
        if modern and self.kind == "plain":
            value |= {"_db_persisted": True, "id": position + 1}
        if self.is_user or not untimed:
            value["timestamp"] = self.time
        if modern and self.is_user and self.kind == "plain":
            value["_active_turn_token"] = f"{self.number:032x}:{self.time}"
            if api_content and not newest and not self.image:
                value["api_content"] = TAG + self.text
        return value

    def in_done(self, position: int) -> Value:
        """Its value in the session that a run journal's ``done`` holds."""
        value = self.in_sidecar(position, newest=True, api_content=False, untimed=False, modern=True)
        value.pop("_active_turn_token", None)
        if isinstance(value["content"], str):
            value["content"] = masked(value["content"])
        else:
            value["content"] = [
                part | {"text": masked(part["text"])} if "text" in part else part for part in value["content"]
            ]
        return value

    def in_context(self) -> Value:
        """Its value in the list that the model sees, where only prompts have a time."""
        return self.in_sidecar(0, newest=True, api_content=False, untimed=True, modern=False)

    def in_row(self, *, api_content: bool) -> Value:
        """Its columns in the agent's database; ``api_content``: the tag of the workspace stands there (since 0.19)."""
        row: Value = {"role": self.role, "content": self.text, "timestamp": self.row_time}
        if self.image:
            row["content"] = f"{TAG}{self.text}\n[screenshot]"
        elif self.is_user and api_content:
            row["api_content"] = TAG + self.text
        elif self.is_user:
            row["content"] = TAG + self.text
        if self.role == "assistant":
            row |= {"finish_reason": "tool_calls" if self.calls else "stop", "reasoning": self.reasoning or None}
            if self.calls:
                row |= {"tool_calls": json.dumps(self.tool_calls), "reasoning_content": self.reasoning}
        if self.answers:
            row |= {"tool_call_id": self.answers, "tool_name": "terminal"}
        return row

    @property
    def tool_calls(self) -> list[Value]:
        """Its calls in the form that both programs write."""
        arguments = json.dumps({"command": f"echo {self.number}"})
        return [
            {"id": i, "call_id": i, "type": "function", "function": {"name": "terminal", "arguments": arguments}}
            for i in self.calls
        ]


def identity(value: Value) -> Identity:
    """What a person sees of one element of a sidecar's message list."""
    content, role = value.get("content"), str(value.get("role"))
    if isinstance(content, list):
        parts = (_TAG.sub("", p.get("text", "[image]")) for p in content if isinstance(p, dict))
        content = " ".join(parts)
    text = str(content or "")
    if role == "user":
        text = _TAG.sub("", text).replace("[screenshot]", "[image]")
    calls = tuple(str(c.get("id")) for c in value.get("tool_calls") or [] if isinstance(c, dict))
    return role, " ".join(text.split()), calls, str(value.get("tool_call_id") or "")
