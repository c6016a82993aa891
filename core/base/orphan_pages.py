"""Rows on pages that damage cut off from their table, such as the leaves below a branch page that was overwritten.

No query finds them any more. SQLite's own recovery, where it is there, gives whatever lies on such pages, deleted or
not. Here a row counts only where two things that the damage spared vouch for it: its page is none of the free ones, and
an index of its table has it, with the same values.

The layout of pages, cells and records is that of the SQLite file format (sections 1.3 to 2.3).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from mmap import mmap
from typing import Any

_LEAF = 13
_HEADER = 100
"""Bytes at the beginning of page 1 that belong to the file."""

_SIZES = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0)
"""Bytes of a field by its kind: NULL, integers, a float, the constants 0 and 1, and two kinds that no file has."""

_CONSTANTS = {0: None, 8: 0, 9: 1, 10: None, 11: None}
_ENCODINGS = {1: "utf-8", 2: "utf-16-le", 3: "utf-16-be"}
_LOOK = 256  # pages between two looks at the clock

Values = tuple[Any, ...]


class _DamagedError(Exception):
    """A page, cell or record is not what it should be."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table in the order of its records. ``is_rowid``: it is another name of the row id, and the record
    has NULL there. ``default`` is SQL text, for records that are older than the column.
    """

    name: str
    is_rowid: bool
    default: str | None


@dataclass(frozen=True, slots=True)
class _Cell:
    """Where a row lies: on which page, where its record begins there, and the record's size in bytes."""

    page: int
    at: int
    size: int


class CutOffRows:
    """The rows of one table that are found on pages which nothing leads to.

    ``data`` is the whole file, its log folded in; ``vouched`` has the values that an index gives the columns ``key``,
    for each row id that is looked for. ``is_late`` ends the search, which then has found nothing.
    """

    def __init__(
        self,
        data: bytes | mmap,
        columns: Sequence[Column],
        key: Sequence[str],
        vouched: Mapping[int, Values],
        is_late: Callable[[], bool],
    ) -> None:
        self._columns = columns
        self._place = {column.name: at for at, column in enumerate(columns)}
        self._cells: dict[int, _Cell] = {}
        with suppress(_DamagedError):
            self._pages = _Pages(memoryview(data))
            self._cells = self._found([self._place[name] for name in key], vouched, is_late)

    def row(self, rowid: int, names: Sequence[str]) -> Values | None:
        """Some columns of a row, after its row id; None where the row was not found."""
        cell = self._cells.get(rowid)
        if cell is None:
            return None
        return (rowid, *self._values(rowid, self._pages.record(cell), [self._place[name] for name in names]))

    def _found(
        self, key: Sequence[int], vouched: Mapping[int, Values], is_late: Callable[[], bool]
    ) -> dict[int, _Cell]:
        found: dict[int, _Cell] = {}
        records: dict[int, int] = {}
        doubtful: set[int] = set()
        for rowid, cell in self._pages.cells(self._pages.free(), is_late):
            if rowid not in vouched:
                continue
            if is_late():
                return {}
            try:
                record = self._pages.record(cell)
                if self._values(rowid, record, key) != vouched[rowid]:
                    continue
            except _DamagedError:
                continue
            found[rowid] = cell
            if records.setdefault(rowid, hash(record)) != hash(record):
                doubtful.add(rowid)  # two versions of it, and nothing says which is the last
        return {rowid: cell for rowid, cell in found.items() if rowid not in doubtful}

    def _values(self, rowid: int, record: bytes, places: Sequence[int]) -> Values:
        """The values of some columns. Raises _DamagedError where the record is not one of this table."""
        fields = _fields(record)
        if len(fields) > len(self._columns):
            raise _DamagedError
        defaults = [_literal(column.default) for column in self._columns[len(fields) :]]
        values = []
        for at in places:
            if self._columns[at].is_rowid:
                values.append(rowid)
            elif at < len(fields):
                values.append(_value(record, *fields[at], self._pages.encoding))
            else:
                values.append(defaults[at - len(fields)])
        return tuple(values)


class _Pages:
    """A database file as numbered pages."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        if len(data) < _HEADER:
            raise _DamagedError
        (size,) = struct.unpack_from(">H", data, 16)
        self._size = 65536 if size == 1 else max(size, 512)
        self._usable = self._size - data[20]
        self._count = len(data) // self._size
        self.encoding = _ENCODINGS.get(self._number_at(56), "utf-8")

    def free(self) -> set[int]:
        """The numbers of the free pages. Raises _DamagedError unless all of them are known."""
        stated, total, trunk = self._number_at(28), self._number_at(36), self._number_at(32)
        free: set[int] = set()
        while trunk:
            page = self._page(trunk)
            following, listed = struct.unpack_from(">II", page)
            if listed > self._usable // 4 - 2:
                raise _DamagedError
            for number in (trunk, *struct.unpack_from(f">{listed}I", page, 8)):
                if number in free or not 1 < number <= max(stated, self._count):
                    raise _DamagedError
                free.add(number)
            trunk = following
        if len(free) != total:
            raise _DamagedError
        return free

    def cells(self, without: Collection[int], is_late: Callable[[], bool]) -> Iterator[tuple[int, _Cell]]:
        """Every row id on every leaf of a table, with its cell, some pages apart."""
        for number in range(1, self._count + 1):
            if number % _LOOK == 0 and is_late():
                raise _DamagedError
            start = _HEADER if number == 1 else 0
            if number not in without and self._page(number)[start] == _LEAF:
                yield from self._cells_of(number, start)

    def _cells_of(self, number: int, start: int) -> Iterator[tuple[int, _Cell]]:
        page = self._page(number)
        (count,) = struct.unpack_from(">H", page, start + 3)
        if start + 8 + 2 * count > self._usable:
            return
        for at in struct.unpack_from(f">{count}H", page, start + 8):
            try:
                size, content_at = _varint(page, at)
                rowid, content_at = _varint(page, content_at)
            except _DamagedError:
                continue
            yield rowid - (1 << 64) if rowid >> 63 else rowid, _Cell(number, content_at, size)

    def record(self, cell: _Cell) -> bytes:
        """The record of a row, also where it goes on over other pages. Raises _DamagedError."""
        local = size = cell.size
        if size > self._usable - 35:
            least = (self._usable - 12) * 32 // 255 - 23
            local = least + (size - least) % (self._usable - 4)
            local = local if local <= self._usable - 35 else least
        end = cell.at + local
        if size > len(self._data) or end + 4 * (local < size) > self._usable:
            raise _DamagedError
        page = self._page(cell.page)
        parts, left = [bytes(page[cell.at : end])], size - local
        while left:
            page, end = self._page(struct.unpack_from(">I", page, end)[0]), 0
            parts.append(bytes(page[4 : 4 + min(left, self._usable - 4)]))
            left -= len(parts[-1])
        return b"".join(parts)

    def _page(self, number: int) -> memoryview:
        if not 1 <= number <= self._count:
            raise _DamagedError
        return self._data[(number - 1) * self._size : number * self._size]

    def _number_at(self, at: int) -> int:
        (number,) = struct.unpack_from(">I", self._data, at)
        return int(number)


def _varint(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, and where it ends."""
    value = 0
    for place in range(at, at + 9):
        if place >= len(data):
            raise _DamagedError
        byte = data[place]
        if place == at + 8:
            return value << 8 | byte, place + 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + 1
    raise _DamagedError


def _fields(record: bytes) -> list[tuple[int, int, int]]:
    """The kind of each field of a record, where it begins and where it ends. Raises _DamagedError unless the header of
    the record and its size agree."""
    end, at = _varint(record, 0)
    if end > len(record):
        raise _DamagedError
    fields, begin = [], end
    while at < end:
        kind = record[at]
        if kind < 0x80:
            at += 1
        else:
            kind, at = _varint(record, at)
        size = (kind - 12) // 2 if kind >= 12 else _SIZES[kind]
        fields.append((kind, begin, begin + size))
        begin += size
    if at != end or begin != len(record):
        raise _DamagedError
    return fields


def _value(record: bytes, kind: int, begin: int, end: int, encoding: str) -> Any:
    data = record[begin:end]
    if kind >= 12:
        return data.decode(encoding, "replace") if kind % 2 else data
    if kind == 7:
        return struct.unpack(">d", data)[0]
    return _CONSTANTS[kind] if kind in _CONSTANTS else int.from_bytes(data, "big", signed=True)


def _literal(text: str | None) -> Any:
    """The value of a column's default. Raises _DamagedError for anything but a plain number, text or NULL."""
    if text is None or text.upper() == "NULL":
        return None
    if re.fullmatch(r"-?\d{1,18}", text):
        return int(text)
    if re.fullmatch(r"'(?:[^']|'')*'", text):
        return text[1:-1].replace("''", "'")
    raise _DamagedError
