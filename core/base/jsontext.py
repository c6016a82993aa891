"""JSON documents as Hermes writes them, whole or damaged, split into the pieces that a repair moves about.

A piece is the UTF-8 JSON text of one value exactly as it stands in the file, so that what a repair does not change
keeps its bytes. The fast parsers come first; Python's own ``json``, which wrote the files, decides whatever they refuse
(NaN, lone surrogates, huge integers). What it refuses as well is damaged: ``charset`` finds its text, and ``salvage``
what is whole in it.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate, chain
from secrets import token_hex
from typing import Any

import msgspec
import orjson
from hermes_rescue.core.base import charset, salvage

LIST_FIELD = salvage.LIST_FIELD

NOTHING: tuple[Any, ...] = (None, "", [], {})
"""Values with which a field says nothing."""

NESTING = salvage.NESTING
"""Levels of a value that are looked at. Parsers go deeper than comparing, printing and writing can follow."""

LARGE = 2**20
"""Bytes of a document from which on it is worth the time to hold less of it in memory."""

_LOOKED_AT = 16 * 1024
"""Bytes of a text that are looked at in one go: as text they still fit into the cache of a processor."""

_SHORT = 256

_CONTAINERS = frozenset((list, dict))

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])

_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])

_EXACT = json.JSONDecoder(parse_int=salvage.integer)  # json.loads makes a new one each time

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
    SYNTAX = "syntax"
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
    def token(self) -> bytes:
        """What distinguishes its text from others: the text, or of a long one the digest."""
        raw = self.raw
        return raw if len(raw) <= _SHORT else hashlib.sha256(raw).digest()

    @property
    def value(self) -> Any:
        """The value. Raises :class:`NotJSONError` for a text that was never checked to be JSON."""
        if self._value is _NOT_PARSED:
            self._value = loads(self.raw)
        return self._value


class LargeElement(Piece):
    """A piece of a large document: its value is made anew, unless it was one of the last two that were asked for. The
    values of all messages together take several times the memory of their file.
    """

    __slots__ = ()

    @property
    def value(self) -> Any:
        """The value, which nobody may change. Raises as that of :class:`Piece`."""
        global _latest
        for piece, value in _latest:
            if piece is self:
                return value
        value = self._made()
        _latest = ((self, value), _latest[0])
        return value

    def _made(self) -> Any:
        return loads(self.raw)


class FileElement(LargeElement):
    """An element of a large document that is whole in ``data``, the bytes of the file, from ``start`` to ``end``."""

    __slots__ = ("_end", "_start")

    def __init__(self, data: bytes, start: int, end: int) -> None:
        super().__init__(data)
        self._start = start
        self._end = end

    @property
    def raw(self) -> bytes:
        """The JSON text."""
        assert isinstance(self._raw, bytes)
        return self._raw[self._start : self._end]


_latest: tuple[tuple[LargeElement | None, Any], tuple[LargeElement | None, Any]] = ((None, None), (None, None))
"""Whoever looks at a message, or compares two, mostly asks for their values several times in a row."""


class PackedObject(LargeElement):
    """An object that comes from no file, kept small: without what ``like``, another object, has as well. Its JSON text
    is made anew each time too. Raises UnicodeEncodeError, OverflowError for what has no such form.
    """

    __slots__ = ("_like", "_shared")

    def __init__(self, value: Mapping[str, Any], level: int, like: Piece | None = None) -> None:
        other = {} if like is None else like.value
        self._shared = tuple([key for key in value if key in other and is_same(value[key], other[key])])
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
            other = self._like.value
            value |= {key: other[key] for key in self._shared}
        return value


def is_compact_form(text: bytes, piece: Piece) -> bool:
    """Whether a JSON text is that of a piece without the white space between its parts."""
    try:
        return msgspec.json.format(piece.raw, indent=-1) == text
    except msgspec.MsgspecError:  # only Python reads it
        return False


def is_same(one: Any, other: Any) -> bool:
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

    ``complete`` says that nothing of the object is missing: a document can be damaged for the WebUI (a byte order mark)
    and complete. ``after_end`` are whole elements after it: of a longer file that was written over from its beginning.
    ``lost_bytes`` counts the bytes of the file that belong to no whole field or element, wherever they stand, and those
    within one that could not be read. Separators and brackets are no loss. Zero bytes are one, for they stand where
    something was, but not around a complete object, where they only fill the file up. ``encoding`` names the codec that
    read the file.
    """

    fields: dict[str, Piece]
    elements: tuple[Piece, ...] | None
    damage: Damage | None = None
    complete: bool = True
    after_end: tuple[Piece, ...] = ()
    lost_bytes: int = 0
    encoding: str = "utf-8"


class NotJSONError(ValueError):
    """A text that Python's ``json`` refuses as well."""


def loads(text: bytes | str) -> Any:
    """Parse one JSON value as Python's ``json`` would, down to ``NESTING`` levels. Raises :class:`NotJSONError`."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return loads_exactly(text)
    return _pruned(value) if _may_be_deep(value, text) else value


def loads_exactly(text: bytes | str) -> Any:
    """The same without bending a number (orjson turns integers from 2**64 on into floats)."""
    try:
        text = text if isinstance(text, str) else text.decode(json.detect_encoding(text), "surrogatepass")
        value = _EXACT.decode(text)
    except (ValueError, RecursionError) as error:
        raise NotJSONError(str(error)) from None
    return _pruned(value) if _may_be_deep(value, text) else value


def _may_be_deep(value: Any, text: bytes | str) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if len(text) <= 2 * NESTING or _CONTAINERS.isdisjoint(map(type, inner)):
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
    encoded = _encoded(value)
    return encoded.replace(b"\n", b"\n" + b"  " * level) if level else encoded


def _encoded(value: Any) -> bytes:
    if _is_usual(value):  # then orjson writes the same bytes, in a tenth of the time
        with suppress(orjson.JSONEncodeError):
            return orjson.dumps(value, option=orjson.OPT_INDENT_2)
    try:
        return json.dumps(value, ensure_ascii=False, indent=2).encode()
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8 form; its escape has
        return json.dumps(value, indent=2).encode()


def _is_usual(value: Any) -> bool:
    """Whether every number in a value is one that all programs write alike: without an exponent, and finite."""
    if isinstance(value, float):
        return value == 0 or 1e-4 <= abs(value) < 1e15
    if isinstance(value, dict):
        return all(map(_is_usual, value.values()))
    return all(map(_is_usual, value)) if isinstance(value, list) else True


def parse_object(data: bytes, *, is_utf8: bool = False) -> Document:
    """Split a document into its pieces; never raises, whatever the bytes are. ``is_utf8``: somebody has looked.

    One without damage is what ``json.loads`` accepts once it is decoded as UTF-8 (so the WebUI reads its files), and an
    object with a message list.
    """
    try:
        if not is_utf8:
            require_utf8(data)
        return _split(data)
    except (UnicodeDecodeError, msgspec.MsgspecError, RecursionError, NotJSONError):
        return _unusual(data)


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


def _split(data: bytes) -> Document:
    """The fast way for a healthy document. Raises when anything is unusual.

    What msgspec passes over it checks as strictly as Python's ``json`` does, but for the length of integers. So the
    pieces need not be parsed.
    """
    if _may_have_huge_integer(data):
        raise NotJSONError("Python may refuse it")
    if len(data) >= LARGE and (document := _split_in_parts(data)):
        return document
    raw = _FIELDS.decode(data)
    listed = raw.get(LIST_FIELD)
    if listed is None or bytes(memoryview(listed)[:1]) != b"[":
        return Document({key: Piece(value) for key, value in raw.items()}, None, Damage.WRONG_SHAPE)
    kind = LargeElement if len(data) >= LARGE else Piece
    return _document_of(raw, map(kind, _ELEMENTS.decode(listed)))


def _document_of(raw: Mapping[str, msgspec.Raw], elements: Iterable[Piece]) -> Document:
    fields = {key: MESSAGES_HERE if key == LIST_FIELD else Piece(value) for key, value in raw.items()}
    return Document(fields, tuple(elements))


_LIST_NAME = b'\n  "messages": '
_LIST_BEGINS = b"[\n    "
_OBJECT_ENDS = b"\n    }"
_SEPARATOR = b",\n    "
_LIST_ENDS = b"\n  ]"

_PART = 256 * 1024
"""Bytes of a message list that are parsed in one go."""


def _split_in_parts(data: bytes) -> Document | None:
    """The same for a large document as the WebUI lays it out. None: it is laid out otherwise, or damaged.

    A parser stops all threads while it works, and so the window. Here it gets the list in parts, and the rest with a
    mark in place of the list. Text never looks like a place to cut, as JSON has no line breaks in it; whatever else
    does (an object in an object, at the margin of a message) makes a part or the rest one that the parser refuses, or
    the mark no value of this field.
    """
    name = data.find(_LIST_NAME + _LIST_BEGINS)
    if name < 0:
        return None
    begin = name + len(_LIST_NAME)
    at = begin + len(_LIST_BEGINS)
    end = -1
    elements: list[Piece] = []
    try:
        while end < 0:
            object_end = data.find(_OBJECT_ENDS + _SEPARATOR, at + _PART)
            end = data.find(_LIST_ENDS, at, object_end if object_end >= 0 else len(data))
            part = data[at : object_end + len(_OBJECT_ENDS) if end < 0 else end]
            found = places_of_elements(part, _SEPARATOR)
            if not found:
                return None
            elements += (FileElement(data, at + start, at + end) for start, end in found)
            at += len(part) + len(_SEPARATOR)
        mark = b'"%b"' % token_hex().encode()
        raw = _FIELDS.decode(data[:begin] + mark + data[end + len(_LIST_ENDS) :])
    except msgspec.MsgspecError:
        return None
    listed = raw.get(LIST_FIELD)
    return None if listed is None or bytes(listed) != mark else _document_of(raw, elements)


def places_of_elements(inner: bytes, separator: bytes) -> list[tuple[int, int]] | None:
    """Where each element of a list begins and ends, in its JSON text without the brackets; None where something else
    than ``separator`` is between two of them. Raises ``msgspec.MsgspecError``.
    """
    found = _ELEMENTS.decode(b"[%b]" % inner)
    if separator.join(found) != inner:
        return None
    sizes = [memoryview(each).nbytes for each in found]
    starts = accumulate((size + len(separator) for size in sizes), initial=0)
    return [(start, start + size) for start, size in zip(starts, sizes, strict=False)]


_LONGEST_INTEGER = 4300
"""Digits of the longest integer that Python converts from a text (sys.int_info.default_max_str_digits)."""


def _may_have_huge_integer(data: bytes) -> bool:
    """Whether there may be more digits in a row than Python reads. Such a row has one at a multiple of that number, and
    fills one of the halves beside it.
    """
    half = _LONGEST_INTEGER // 2
    for i, digit in enumerate(data[::_LONGEST_INTEGER]):
        at = i * _LONGEST_INTEGER
        if 48 <= digit <= 57 and (data[at : at + half].isdigit() or data[max(0, at - half) : at].isdigit()):
            return True
    return False


def _unusual(data: bytes) -> Document:
    """A document that the fast parsers refuse: one that only Python reads, or a damaged one."""
    large = len(data) >= LARGE
    try:
        walk = salvage.Walk(data.decode(), strict=True)
        walk.read()
        return _document(walk, charset.Decoded(walk.text), large=large)
    except (UnicodeDecodeError, salvage.DamagedError, RecursionError):
        pass
    decoded = charset.decode(data, _is_json)
    if not decoded.text.strip():
        return Document({}, None, Damage.NUL if data else Damage.EMPTY, complete=False, lost_bytes=len(data))
    if not decoded.text.lstrip().startswith("{") and _is_json(decoded.text):
        return Document({}, None, Damage.WRONG_SHAPE, encoding=decoded.encoding)
    walk = salvage.Walk(decoded.text, strict=False)
    walk.read()
    return _document(walk, decoded, large=large)


def _document(walk: salvage.Walk, decoded: charset.Decoded, *, large: bool) -> Document:
    def piece(value: salvage.Value, level: int) -> Piece:
        is_json = value.is_json
        raw = walk.text[value.start : value.end].encode() if is_json else dumps(_pruned(value.value), level)
        return LargeElement(raw) if large and level == 2 else Piece(raw)

    gaps = salvage.merged(chain(walk.gaps, walk.rest))
    complete = walk.is_closed and not walk.gaps
    return Document(
        {key: MESSAGES_HERE if value is None else piece(value, 1) for key, value in walk.fields.items()},
        None if walk.elements is None else tuple(piece(value, 2) for value in walk.elements),
        _damage(walk, decoded),
        complete,
        tuple(piece(value, 2) for value in walk.after_end),
        sum(decoded.size(*gap) for gap in gaps) + (0 if complete else decoded.around),
        decoded.encoding,
    )


_NAMED = (salvage.Flaw.TORN, salvage.Flaw.TRAILING)
"""Damage that leaves pieces of characters behind."""


def _damage(walk: salvage.Walk, decoded: charset.Decoded) -> Damage | None:
    if not walk.fields and not walk.text.lstrip().startswith("{"):
        return Damage.WRONG_SHAPE  # it can be anything
    if decoded.encoding.startswith("utf-16"):
        return Damage.UTF16
    if decoded.has_bom:
        return Damage.BOM
    if decoded.encoding != "utf-8" or (decoded.escaped and walk.flaw not in _NAMED):
        return Damage.BAD_UTF8
    if decoded.around:
        return Damage.NUL
    return Damage(walk.flaw) if walk.flaw else None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
