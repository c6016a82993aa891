"""JSON documents as Hermes writes them, whole or damaged, split into the pieces that a repair moves about.

A piece is the UTF-8 JSON text of one value exactly as it stands in the file, so that what a repair does not change
keeps its bytes. The fast parsers come first; Python's own ``json``, which wrote the files, decides whatever they refuse
(NaN, lone surrogates, huge integers), and a walker over it finds what is still whole in a torn document.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from json.decoder import scanstring  # type: ignore[attr-defined]  # the C scanner behind json.loads
from typing import Any

import msgspec
import orjson

LIST_FIELD = "messages"

NOTHING: tuple[Any, ...] = (None, "", [], {})
"""Values with which a field says nothing."""

NESTING = 200
"""Levels of a value that are looked at. Parsers go deeper than comparing, printing and writing can follow."""

LARGE = 2**20
"""Bytes of a document from which on it is worth the time to hold less of it in memory."""

_LOOKED_AT = 8 * 1024
"""Bytes of a text that are looked at in one go."""

_NOT_PARSED: Any = ...  # no JSON value, and the same one in every process


class Damage(StrEnum):
    """Why the WebUI could not load a document as it stands."""

    EMPTY = "empty"
    NUL = "nul"
    BOM = "bom"
    UTF16 = "utf16"
    BAD_UTF8 = "bad_utf8"
    TORN = "torn"
    TRAILING = "trailing"
    TOO_DEEP = "too_deep"
    CONTROL = "control"
    WRONG_SHAPE = "wrong_shape"


class Piece:
    """One JSON value: ``raw`` is its UTF-8 text as it stands in the file, ``value`` what it says.

    Each is made from the other when it is asked for: most values are never looked at, and a value that comes from no
    file gets its text in the WebUI's layout, at a nesting ``level``.
    """

    __slots__ = ("_level", "_raw", "_value")

    def __init__(self, raw: bytes | msgspec.Raw | None, value: Any = _NOT_PARSED, level: int = 0) -> None:
        self._raw = raw
        self._value = value
        self._level = level

    @property
    def raw(self) -> bytes:
        """The JSON text."""
        if self._raw is None:
            self._raw = dumps(self._value, self._level)
        return bytes(self._raw)

    @property
    def value(self) -> Any:
        """The value. Raises :class:`NotJSONError` for a text that was never checked to be JSON."""
        if self._value is _NOT_PARSED:
            self._value = loads(self.raw)
        return self._value


class Element(Piece):
    """A piece of a large document: its value is made anew, unless it was the last one that was asked for. The values of
    all messages together take several times the memory of their file.
    """

    __slots__ = ()

    @property
    def value(self) -> Any:
        """The value, which nobody may change. Raises as that of :class:`Piece`."""
        global _latest
        piece, value = _latest
        if piece is not self:
            value = self._made()
            _latest = (self, value)
        return value

    def _made(self) -> Any:
        return loads(self.raw)


_latest: tuple[Element | None, Any] = (None, None)
"""Whoever looks at a message mostly asks for its value several times in a row."""


class Packed(Element):
    """An object that comes from no file, kept small: without what ``like``, another object, has as well. Its JSON text
    is made anew each time too. Raises UnicodeEncodeError, OverflowError for what has no such form.
    """

    __slots__ = ("_like", "_shared")

    def __init__(self, value: Mapping[str, Any], level: int, like: Piece | None = None) -> None:
        said = {} if like is None else like.value
        self._shared = tuple(key for key in value if key in said and _is_same(value[key], said[key]))
        self._like = like
        super().__init__(msgspec.msgpack.encode({**value, **dict.fromkeys(self._shared)}), level=level)

    @property
    def raw(self) -> bytes:
        """The JSON text."""
        return dumps(self.value, self._level)

    def _made(self) -> Any:
        assert self._raw is not None
        value: dict[str, Any] = msgspec.msgpack.decode(self._raw)
        if self._like is not None:
            said = self._like.value
            value |= {key: said[key] for key in self._shared}
        return value


def _is_same(one: Any, other: Any) -> bool:
    """Whether two values are the same to the letter: 1 is not True, and fields have an order."""
    if one != other or isinstance(one, str):
        return bool(one == other)
    return msgspec.msgpack.encode(one) == msgspec.msgpack.encode(other)


MESSAGES_HERE = Piece(b"", None)
"""Stands in ``Document.fields`` where the message list was."""


@dataclass(frozen=True, slots=True)
class Document:
    """A top-level object: ``fields`` maps each whole field to its piece, in file order (``MESSAGES_HERE`` for the
    message list), ``elements`` are the whole elements of that list (None: there is no such list).

    ``complete`` says that nothing is missing: a document can be damaged for the WebUI (a byte order mark) and complete.
    """

    fields: dict[str, Piece]
    elements: tuple[Piece, ...] | None
    damage: Damage | None = None
    complete: bool = True


class NotJSONError(ValueError):
    """A text that Python's ``json`` refuses as well."""


def loads(text: bytes | str) -> Any:
    """Parse one JSON value as Python's ``json`` would, down to ``NESTING`` levels. Raises :class:`NotJSONError`."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return loads_exactly(text)
    return _pruned(value) if _may_be_deep(text) else value


def loads_exactly(text: bytes | str) -> Any:
    """The same without bending a number (orjson turns integers from 2**64 on into floats)."""
    try:
        value = json.loads(text, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise NotJSONError(str(error)) from None
    return _pruned(value) if _may_be_deep(text) else value


def _may_be_deep(text: bytes | str) -> bool:
    if len(text) <= 2 * NESTING:
        return False
    if isinstance(text, str):
        return text.count("[") + text.count("{") > NESTING
    return text.count(b"[") + text.count(b"{") > NESTING


def _pruned(value: Any) -> Any:
    """A value that was just parsed, emptied below ``NESTING`` levels."""
    level = [value] if isinstance(value, list | dict) else []
    for _ in range(NESTING):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, list | dict)
        ]
        if not level:
            break
    for each in level:
        each.clear()
    return value


def dumps(value: Any, level: int = 0) -> bytes:
    """The JSON text of a value in the WebUI's layout (``indent=2``, no ASCII escapes), nested ``level`` deep."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    try:
        encoded = text.encode()
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8 form; its escape has
        encoded = json.dumps(value, indent=2).encode()
    return encoded.replace(b"\n", b"\n" + b"  " * level) if level else encoded


def parse_object(data: bytes) -> Document:
    """Split a document into its pieces; never raises, whatever the bytes are."""
    try:
        require_utf8(data)
        return _split(data)
    except (UnicodeDecodeError, msgspec.MsgspecError, RecursionError, NotJSONError):
        return _salvage(data)


def require_utf8(data: bytes) -> None:
    """Look at what msgspec passes over. Raises ``UnicodeDecodeError``.

    In pieces: the text of a large document takes up to four times its bytes.
    """
    if data.isascii():
        return
    at = 0
    while at < len(data):
        end = at + _LOOKED_AT
        at += codecs.utf_8_decode(memoryview(data)[at:end], "strict", end >= len(data))[1]


def number(value: Any) -> float | None:
    """A finite number, or None: timestamps in hostile files are anything."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        result = float(value)
    except OverflowError:
        return None
    return result if math.isfinite(result) else None


def _integer(digits: str) -> int | float:
    try:
        return int(digits)
    except ValueError:  # longer than Python's limit for conversions
        return float(digits)


def _split(data: bytes) -> Document:
    """The fast way for a healthy document. Raises when anything is unusual.

    What msgspec passes over it checks as strictly as Python's ``json`` does, so that the pieces need not be parsed.
    """
    raw = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    listed = raw.get(LIST_FIELD)
    if listed is None or bytes(memoryview(listed)[:1]) != b"[":
        return Document({key: Piece(value) for key, value in raw.items()}, None, Damage.WRONG_SHAPE)
    kind = Element if len(data) >= LARGE else Piece
    elements = tuple(map(kind, msgspec.json.decode(listed, type=list[msgspec.Raw])))
    return Document({key: MESSAGES_HERE if key == LIST_FIELD else Piece(value) for key, value in raw.items()}, elements)


def _salvage(data: bytes) -> Document:
    text, damage = _decode(data)
    if not text.strip():
        return Document({}, None, damage or Damage.EMPTY, complete=False)
    walker = _Walker(text, strict=True)
    if not walker.walk():
        walker = _Walker(text, strict=False)
        if walker.walk():
            walker.damage = Damage.CONTROL
    damage = damage or walker.damage
    complete = (
        walker.damage in (None, Damage.TRAILING, Damage.CONTROL, Damage.WRONG_SHAPE) and damage is not Damage.BAD_UTF8
    )
    return Document(walker.fields, None if walker.elements is None else tuple(walker.elements), damage, complete)


def _decode(data: bytes) -> tuple[str, Damage | None]:
    """Text of a document in whatever encoding it was left in, and what is wrong with that encoding."""
    if data.startswith(b"\xef\xbb\xbf"):
        return data[3:].decode("utf-8", "replace"), Damage.BOM
    stripped = data.strip(b"\0")
    if not stripped:
        return "", Damage.NUL if data else Damage.EMPTY
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or (data[0:1] == b"\0") != (data[1:2] == b"\0"):
        codec = (
            "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
        )
        return data.decode(codec, "replace"), Damage.UTF16
    damage = Damage.NUL if stripped != data else None
    try:
        return stripped.decode(), damage
    except UnicodeDecodeError as error:
        at_the_end = error.end >= len(stripped) - 1 and error.reason == "unexpected end of data"
        return stripped.decode("utf-8", "replace"), damage or (None if at_the_end else Damage.BAD_UTF8)


_SPACE = re.compile(r"[ \t\n\r]*")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_LIST_BEGINS = re.compile(r'(?<=\n  )"messages"\s*:\s*(?=\[)')  # in the WebUI's layout: not one inside another value
_VALUE_BEGINS = tuple('{["-0123456789tfnNI')
_NEXT_MESSAGE = re.compile(r'\{\s*"(?:role|id|content|timestamp)"\s*:')


class _Walker:
    """Walks one top-level object value by value and keeps what is whole, in ``fields`` and ``elements``."""

    def __init__(self, text: str, *, strict: bool) -> None:
        self.text = text
        self.fields: dict[str, Piece] = {}
        self.elements: list[Piece] | None = None
        self.damage: Damage | None = None
        self._strict = strict
        self._before = ""  # what stands before each message: the WebUI indents them
        self._patience = 4 * len(text)  # characters to look at again in search of where a damaged text goes on
        self._scan = json.JSONDecoder(strict=strict, parse_int=_integer).scan_once  # type: ignore[attr-defined]

    def walk(self) -> bool:
        """True when the text is one healthy object with a message list."""
        try:
            at = self._object(self._skip(0))
        except (StopIteration, ValueError, IndexError):
            self.damage = self.damage or Damage.TORN
            return False
        if self.damage is None and at < len(self.text):
            self.damage = Damage.TRAILING
        if self.elements is None:
            self.damage = Damage.WRONG_SHAPE
        return self.damage is None

    def _skip(self, at: int) -> int:
        return _SPACE.match(self.text, at).end()  # type: ignore[union-attr]  # it matches nothing at least

    def _expect(self, at: int, sign: str) -> int:
        if self.text[at] != sign:
            raise ValueError(at)
        return self._skip(at + 1)

    def _object(self, at: int) -> int:
        if self.text[at] != "{":
            self.damage = Damage.WRONG_SHAPE
            raise ValueError(at)
        at = self._skip(at + 1)
        while self.text[at] != "}":
            try:
                at = self._skip(self._pair(at))
                if self.text[at] == ",":
                    at = self._skip(at + 1)
                elif self.text[at] != "}":
                    raise ValueError(at)
            except (StopIteration, ValueError):
                found = None if self._strict or self.elements is not None else _LIST_BEGINS.search(self.text, at)
                if found is None:
                    raise
                self.damage = Damage.TORN
                at = found.start()
        return self._skip(at + 1)

    def _pair(self, at: int) -> int:
        """A key and its value; where they end."""
        if self.text[at] != '"':
            raise ValueError(at)
        key, at = scanstring(self.text, at + 1, self._strict)
        at = self._expect(self._skip(at), ":")
        if key != LIST_FIELD or self.text[at] != "[":
            return self._field(key, at)
        self.fields[key] = MESSAGES_HERE
        return self._list(at)

    def _list(self, at: int) -> int:
        self.elements = []
        begin, at = at + 1, self._skip(at + 1)
        if self.text.startswith(_VALUE_BEGINS, at):
            self._before = self.text[begin:at]
        while self.text[at] != "]":
            try:
                value, end = self._scan(self.text, at)
                self.elements.append(self._piece(at, end, value, level=2))
            except RecursionError:
                self.damage = Damage.TOO_DEEP
                end = self._end_of_nested(at)
            except (StopIteration, ValueError):
                if self._strict:
                    raise
                self.damage = Damage.TORN
                at = self._resume(at + 1)
                continue
            at = self._skip(end)
            if self.text[at] == ",":
                at = self._skip(at + 1)
            elif self.text[at] != "]":
                if self._strict:
                    raise ValueError(at)
                self.damage = Damage.TORN
                at = self._resume(at)
        return at + 1

    def _field(self, key: str, at: int) -> int:
        try:
            value, end = self._scan(self.text, at)
        except RecursionError:
            self.damage = Damage.TOO_DEEP
            return self._end_of_nested(at)
        self.fields[key] = self._piece(at, end, value, level=1)
        return int(end)

    def _piece(self, at: int, end: int, value: Any, *, level: int) -> Piece:
        raw = self.text[at:end].encode("utf-8", "surrogatepass")
        value = _pruned(value)
        if not self._strict:
            try:
                loads(raw)
            except NotJSONError:  # control characters that stand in a text without an escape
                raw = dumps(value, level)
        return Piece(raw, value)

    def _end_of_nested(self, at: int) -> int:
        depth = 0
        for token in _TOKEN.finditer(self.text, at):
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
            if depth == 0:
                return token.end()
        raise ValueError(at)

    def _is_inside(self, at: int) -> bool:
        """Whether an object seems to be a part of a message, as far as a damaged layout tells."""
        lead = self.text[max(0, at - 1000) : at]
        margin = lead.rstrip(" ")
        if margin.endswith("\n"):
            return not lead.endswith(self._before)
        return margin.endswith((":", "[", ",") if "\n" in self._before else ":")

    def _resume(self, at: int) -> int:
        """Where the next message begins, from a damaged place on (a hole in the middle of a file)."""
        for found in _NEXT_MESSAGE.finditer(self.text, at):
            if self._is_inside(found.start()):
                continue
            try:
                value, end = self._scan(self.text, found.start())
            except json.JSONDecodeError as error:
                value, end = None, error.pos
            except StopIteration as error:
                value, end = None, error.value
            except RecursionError:
                break
            if isinstance(value, dict) and isinstance(value.get("role"), str):
                return found.start()
            self._patience -= end - found.start()
            if self._patience < 0:
                break
        raise ValueError(at)
