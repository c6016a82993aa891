"""What is still whole in a JSON text that is damaged: the fields of one object, and the elements of its message list.

It works on text and knows places in it, no bytes and no sessions. Where a value is damaged, the walk goes on where the
WebUI's layout (``indent=2``, formats.md, "The sidecar") shows that the next field or message begins, and notes the gap.
Python's own scanner reads the values, so whatever a strict walk accepts, ``json`` accepts as well, and the other way
round.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from enum import StrEnum
from json.decoder import scanstring  # type: ignore[attr-defined]  # the C scanner behind json.loads
from typing import Any, NamedTuple

LIST_FIELD = "messages"

NESTING = 200
"""Levels of a value that are looked at. Parsers go deeper than comparing, printing and writing can follow."""

_HOLE = re.compile("\0{24}")
"""A hole in a text that can have swallowed the end of one message and the beginning of the next: nothing shorter than
``"},{"role":"","content":"`` can."""

_CONTROL = re.compile("[\0-\x1f]")
_GONE = re.compile("[\0\x1a]")  # zero bytes, and what charset.UNREAD stands for
_SPACE = re.compile(r"[ \t\n\r]*")
_BETWEEN = " \t\n\r,"
_STRUCTURE = _BETWEEN + ":{}[]"
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_VALUE_BEGINS = tuple('{["-0123456789tfnNI')
_OBJECT = re.compile(r'\{[ \t\n\r]*"')
_MESSAGE = re.compile(r'\{[ \t\n\r]*"(?:role|id|content|timestamp|session_id)"[ \t\n\r]*:')
_LIST = rf'"{LIST_FIELD}"[ \t\n\r]*:[ \t\n\r]*\['
_NAME = r'"(?:[^"\\\n]|\\.)*"[ \t]*:'
_CLOSE = r"\][ \t\n\r]*[,}]"


_LOOK = 100
"""Characters that could be read in the time that it takes to try whether a value begins somewhere."""


class Flaw(StrEnum):
    """Why Python's ``json`` or the WebUI refuses a text, the gravest first."""

    TOO_DEEP = "too_deep"
    TORN = "torn"
    TRAILING = "trailing"
    CONTROL = "control"
    SYNTAX = "syntax"
    WRONG_SHAPE = "wrong_shape"


class Value(NamedTuple):
    """A whole value: ``start`` and ``end`` of its text, what it says, and whether that text is JSON as it stands."""

    start: int
    end: int
    value: Any
    is_json: bool = True

    def kept(self) -> Value:
        """The same without what can be read again."""
        return Value(self.start, self.end, None) if self.is_json else self


class Gap(NamedTuple):
    """A stretch of a text, from ``start`` to ``end``, that belongs to no whole value."""

    start: int
    end: int


def merged(gaps: Iterable[Gap]) -> list[Gap]:
    """The same stretches in order, without those that lie inside others."""
    found: list[Gap] = []
    for gap in sorted(gaps):
        if found and gap.start < found[-1].end:
            found[-1] = Gap(found[-1].start, max(gap.end, found[-1].end))
        else:
            found.append(gap)
    return found


def integer(digits: str) -> int | float:
    """The value of an integer; of one that is longer than Python converts, the nearest float."""
    try:
        return int(digits)
    except ValueError:
        return float(digits)


class DamagedError(ValueError):
    """There is no whole value at a place; ``reached`` says how far its text was looked at."""

    def __init__(self, reached: int) -> None:
        super().__init__(reached)
        self.reached = reached


class Walk:
    """One object read value by value. After :meth:`read`:

    ``fields`` are its whole fields in file order (None stands for the message list), ``elements`` the whole elements of
    that list (None: there is none), ``after_end`` those of another list after the end of the object, or after a gap:
    what a longer file left there when this one was written over it. ``gaps`` lie inside the object, ``rest`` after its
    end. ``is_closed`` says that its end was reached. Only of a value that is not JSON as it stands, what it says is
    kept.
    """

    def __init__(self, text: str, *, strict: bool) -> None:
        self.text = text
        self.fields: dict[str, Value | None] = {}
        self.elements: list[Value] | None = None
        self.after_end: list[Value] = []
        self.gaps: list[Gap] = []
        self.rest: list[Gap] = []
        self.is_closed = False
        self._flaws: set[Flaw] = set()
        self._strict = strict
        self._margin = "\n  "  # what stands before each field in the WebUI's layout
        self._before = "\n    "  # and before each message
        self._sought: dict[str, tuple[int, int]] = {}  # what was looked for: from where, and where it was found
        self._patience = 4 * len(text)  # characters to look at again in search of where a damaged text goes on
        self._exact = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
        self._loose = json.JSONDecoder(strict=False, parse_int=integer).scan_once  # type: ignore[attr-defined]

    @property
    def flaw(self) -> Flaw | None:
        """The gravest of what is wrong with the text."""
        return next((flaw for flaw in Flaw if flaw in self._flaws), None)

    def read(self) -> None:
        """Walk the text. Raises :class:`DamagedError` and RecursionError at the first flaw if the walk is strict."""
        at = self._skip(0)
        if self._is_at(at, "{") and not self._is_message(at):
            begin, at = at + 1, self._skip(at + 1)
            if self._is_at(at, '"'):
                self._margin = self.text[begin:at]
        else:
            self._note(Flaw.TORN)
            if not self._is_at(at, f'"{LIST_FIELD}"') and self._next_message(at, self._next_field(at)) is not None:
                at = self._leap(at)  # it begins with a message, or inside one, whose end is not that of the object
        at = self._skip(self._object(at))
        if at < len(self.text):
            self._note(Flaw.TRAILING)
            self._read_rest(at)
        if self.elements is None:
            self._note(Flaw.WRONG_SHAPE)
        elif self.gaps:
            self._set_aside_older(self.elements)

    def _is_message(self, at: int) -> bool:
        """Whether the text begins with one of the elements, because what was before it is gone."""
        if self._strict:
            return False
        try:
            value, end = self._exact(self.text, at)
        except (StopIteration, ValueError, RecursionError):
            return False
        is_element = LIST_FIELD not in value and isinstance(value.get("role"), str)
        return is_element and self.text.startswith((",", "]"), self._skip(end))

    def _set_aside_older(self, elements: list[Value]) -> None:
        """Take out what an older file left after a gap, where the writing of this one over it broke off: it begins
        before what stands in front of the gap, and comes to an element that stands there already.
        """
        there: dict[int, int] = {}
        texts = (hash(self.text[each.start : each.end]) for each in elements)
        same = ((there.setdefault(text, k), k) for k, text in enumerate(texts))
        first, again = next(((i, k) for i, k in same if i != k), (0, 0))
        gap = max((gap.start for gap in self.gaps if again and gap.start < elements[again].start), default=-1)
        seam = next((k for k, each in enumerate(elements) if each.start > gap), 0)
        if first < seam <= again and self._stamp(elements[seam]) < self._stamp(elements[seam - 1]):
            self.elements, self.after_end = elements[:seam], [*elements[seam:], *self.after_end]

    def _stamp(self, element: Value) -> float:
        value = self._value(element.start).value if element.is_json else element.value
        stamp = value.get("timestamp") if isinstance(value, dict) else None
        return stamp if isinstance(stamp, (int, float)) else 0.0

    def _read_rest(self, at: int) -> None:
        rest = Walk(self.text, strict=False)
        rest._margin, rest._before = self._margin, self._before
        while at < len(self.text):
            at = rest._skip(rest._object(at))
        self.after_end, self.rest = rest.elements or [], rest.gaps

    def _note(self, flaw: Flaw) -> None:
        if self._strict:
            raise DamagedError(0)
        self._flaws.add(flaw)

    def _skip(self, at: int) -> int:
        return _SPACE.match(self.text, at).end()  # type: ignore[union-attr]  # it matches nothing at least

    def _is_at(self, at: int, sign: str) -> bool:
        return self.text.startswith(sign, at)

    def _next(self, at: int, end: str, *, first: bool) -> int:
        """Where the next value begins, or ``end`` or the text ends. A comma stands before every value but the first."""
        at = self._skip(at)
        commas = 0
        while self._is_at(at, ","):
            commas += 1
            at = self._skip(at + 1)
        if commas != (0 if first or self._is_at(at, end) else 1):
            self._note(Flaw.SYNTAX)
        return at

    def _object(self, at: int) -> int:
        """Read fields from a place on where one may begin. Where the object ends."""
        first = True
        while at < len(self.text):
            at = self._next(at, "}", first=first)
            if self._is_at(at, "}"):
                self.is_closed = True
                return at + 1
            try:
                at = self._field(at)
            except DamagedError:
                at = self._leap(at)
            first = False
        self._note(Flaw.TORN)
        return at

    def _field(self, at: int) -> int:
        """Read one field. Where it ends."""
        start = at
        if not self._is_at(at, '"'):
            raise DamagedError(at)
        try:
            key, at = scanstring(self.text, at + 1, self._strict)
        except ValueError:
            raise DamagedError(at) from None
        if _GONE.search(self.text, start, at):
            raise DamagedError(at)
        if _CONTROL.search(self.text, start, at):
            self._note(Flaw.CONTROL)
        at = self._skip(at)
        if not self._is_at(at, ":"):
            raise DamagedError(at)
        at = self._skip(at + 1)
        if key == LIST_FIELD:
            self.elements = None  # as in Python, the last of several fields of one name counts
        if key == LIST_FIELD and self._is_at(at, "["):
            self.fields[key] = None
            self._find_layout(at + 1)
            return self._list(at + 1)
        try:
            value = self._value(at)
        except RecursionError:
            return self._too_deep(start, at)
        end = self._skip(value.end)
        if not self.text.startswith((",", "}", '"'), end) and (end < len(self.text) or self._may_go_on(value)):
            raise DamagedError(end)
        self.fields[key] = value.kept()
        return value.end

    def _may_go_on(self, value: Value) -> bool:
        return value.end == len(self.text) and self.text[value.end - 1].isdigit()

    def _find_layout(self, at: int) -> None:
        """See how the first element of a list is set apart."""
        begin = self._skip(at)
        if self.text.startswith(_VALUE_BEGINS, begin):
            self._before = self.text[at:begin]

    def _list(self, at: int) -> int:
        """Read elements from a place on where one may begin. Where the list ends."""
        elements: list[Value] = []
        self.elements = elements
        first = True
        while at < len(self.text):
            at = self._next(at, "]", first=first)
            if self._is_at(at, "]"):
                return at + 1
            first = False
            try:
                value = self._value(at)
            except RecursionError:
                at = self._too_deep(at, at)
                continue
            except DamagedError:
                at, goes_on = self._leap_in_list(at)
                if goes_on:
                    continue
                return at
            elements.append(value.kept())
            at = value.end
        self._note(Flaw.TORN)
        return at

    def _value(self, at: int) -> Value:
        """Read one value. Raises DamagedError, RecursionError."""
        try:
            value, end = self._exact(self.text, at)
            return Value(at, end, value)
        except (StopIteration, ValueError):
            if self._strict:
                raise DamagedError(at) from None
        flaw = Flaw.CONTROL
        try:
            value, end = self._loose(self.text, at)
        except (StopIteration, ValueError):
            value, end = self._untidy(at)
            flaw = Flaw.SYNTAX
        text = self.text[at:end]
        if _HOLE.search(text):
            raise DamagedError(end)
        if gone := [at + found.start() for found in _GONE.finditer(text)]:
            self.gaps += (Gap(i, i + 1) for i in gone)
            value = Walk(_GONE.sub("\N{REPLACEMENT CHARACTER}", text), strict=False)._value(0).value
        self._note(flaw)
        return Value(at, end, value, is_json=False)

    def _untidy(self, at: int, depth: int = 0) -> tuple[Any, int]:
        """Read one value in which commas are missing or too many, as people leave them. Raises DamagedError.

        No field may come twice: where a part of a text is gone, the beginning of one object and the end of another look
        like one of them.
        """
        if not self.text.startswith(("{", "["), at):
            try:
                return self._loose(self.text, at)  # type: ignore[no-any-return]
            except (StopIteration, ValueError):
                raise DamagedError(at) from None
        if depth == NESTING:
            raise DamagedError(at)
        end = "}" if self._is_at(at, "{") else "]"
        fields: dict[str, Any] = {}
        elements: list[Any] = []
        at = self._next(at + 1, end, first=True)
        while not self._is_at(at, end):
            if end == "]":
                value, at = self._untidy(at, depth + 1)
                elements.append(value)
            else:
                key, at = self._untidy(at, depth + 1)
                at = self._skip(at)
                if not isinstance(key, str) or key in fields or not self._is_at(at, ":"):
                    raise DamagedError(at)
                fields[key], at = self._untidy(self._skip(at + 1), depth + 1)
            at = self._next(at, end, first=False)
        return (fields if end == "}" else elements), at + 1

    def _too_deep(self, start: int, at: int) -> int:
        """Step over a value at ``at`` that no parser follows to its bottom. Where it ends."""
        self._note(Flaw.TOO_DEEP)
        depth = 0
        for token in _TOKEN.finditer(self.text, at):
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
            if depth == 0:
                return self._leave_out(start, token.end())
        return self._leave_out(start, len(self.text))

    def _leave_out(self, start: int, end: int) -> int:
        text = self.text[start:end].rstrip(_BETWEEN)
        if text.strip(_STRUCTURE):
            self.gaps.append(Gap(start, start + len(text)))
        return end

    def _leap(self, at: int) -> int:
        """Where a damaged object goes on: at its next field, or after the message list if its beginning is gone."""
        self._note(Flaw.TORN)
        field = self._next_field(at + 1)
        message = self._next_message(at, field) if self.elements is None else None
        if message is None:
            return self._leave_out(at, field)
        self._leave_out(at, message)
        end = self._list(message)
        if self._is_at(self._skip(end), "}"):
            self.elements = None  # the last list of all is the context, not the transcript
        elif self.elements:
            self.fields[LIST_FIELD] = None
        return end

    def _leap_in_list(self, at: int) -> tuple[int, bool]:
        """Where a damaged list goes on, and whether that is inside it."""
        self._note(Flaw.TORN)
        stop = self._next_field(at + 1)
        close = min(self._seek(self._margin, _CLOSE, at), stop) if self._is_laid_out() else stop
        message = self._next_message(at + 1, close)
        if message is not None:
            return self._leave_out(at, message), True
        return self._leave_out(at, close) + (close < stop), False

    def _next_field(self, at: int) -> int:
        """Where the layout shows the next field of the object, or the text ends."""
        if self._is_laid_out():
            return self._seek(self._margin, _NAME, at)
        return self._seek("", _LIST, at) if self.elements is None else len(self.text)

    def _is_laid_out(self) -> bool:
        return "\n" in self._margin and not self._margin.endswith("\n")

    def _seek(self, margin: str, pattern: str, at: int) -> int:
        """Where a pattern follows its margin next, or the text ends. Nothing is searched twice for the same."""
        begin, found = self._sought.get(pattern, (0, -1))
        if not begin <= at <= found:
            match = re.compile(f"{re.escape(margin)}(?={pattern})").search(self.text, max(0, at - len(margin)))
            found = match.end() if match else len(self.text)
            self._sought[pattern] = (at, found)
        return found

    def _is_inside(self, at: int) -> bool:
        """Whether an object seems to be a part of an element, as far as a damaged layout shows."""
        if "\n" not in self._before:
            return self.text[max(0, at - 1000) : at].rstrip(" ").endswith(":")
        if self.text.endswith(self._before, 0, at):
            return False
        return self.text[max(0, at - 1000) : at].rstrip(" ").endswith(("\n", ":", "[", ","))

    def _next_message(self, at: int, stop: int) -> int | None:
        """Where the layout shows the next whole element of the list before ``stop``."""
        for found in (_OBJECT if "\n" in self._before else _MESSAGE).finditer(self.text, at, stop):
            start = found.start()
            if self._is_inside(start):
                continue
            value = None
            try:
                _, reached, value, _ = self._value(start)
            except RecursionError:
                return None
            except DamagedError as error:
                reached = error.reached
            if isinstance(value, dict) and any(isinstance(value.get(name), str) for name in ("role", "session_id")):
                return start
            self._patience -= reached - start + _LOOK
            if self._patience < 0:
                break
        return None
