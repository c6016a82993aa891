"""What an index has of the message rows in state.db: enough to see that a session has others, without reading one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping
from sys import intern
from typing import Any, NamedTuple, TypeAlias, TypeVar

import msgspec
from hermes_rescue.core.base.sqlite_readonly import ReadOnlyDatabase

Mark: TypeAlias = bytes
"""The number of the rows of a session, the highest of their ids, and the sums of their ids, their times, and the ids of
those that are active, packed: there are many.
"""

_Read = TypeVar("_Read")

_EXTENT = "count(*), total(timestamp), max(_rowid_)"


class Extent(NamedTuple):
    """How many rows a session has, the sum of their times, and the highest of their ids."""

    rows: int
    times: float
    newest: int


class RowIndex:
    """Asks the indexes of a database; ``columns`` are those of its messages. Nothing raises: where a number is in no
    index it is not known.
    """

    def __init__(self, database: ReadOnlyDatabase | None, columns: Collection[str]) -> None:
        self._database = database if "timestamp" in columns else None
        self._active = "total(_rowid_ * active)" if "active" in columns else "0.0"

    def extents(self) -> Mapping[str, Extent]:
        """How far the rows of each session go; of none where that is not known."""
        found = self._numbers(_EXTENT, "GROUP BY session_id", read=list)
        return {key: Extent(*values) for key, *values in found or ()}

    def extent_until(self, session_id: str, newest: int) -> Extent | None:
        """The same of one session, without the rows that have a higher id; None where it has none, or is not known."""
        which = "WHERE session_id = ? AND _rowid_ <= ? GROUP BY session_id"
        found = self._numbers(_EXTENT, which, session_id, newest, read=list)
        return Extent(*found[0][1:]) if found else None

    def marks(self) -> Mapping[str, Mark] | None:
        """The mark of each session that has rows, None where that is not known. It changes with every row that is
        added, removed, hidden or shown again, and not with a text that is written over in place.
        """

        def read(rows: Iterable[tuple[Any, ...]]) -> Mapping[str, Mark]:
            return {intern(key): msgspec.msgpack.encode(mark) for key, *mark in rows if isinstance(key, str)}

        numbers = f"count(*), max(_rowid_), total(_rowid_), total(timestamp), {self._active}"
        return self._numbers(numbers, "GROUP BY session_id", read=read)

    def _numbers(
        self, numbers: str, which: str, *parameters: Any, read: Callable[[Iterable[tuple[Any, ...]]], _Read]
    ) -> _Read | None:
        """What is made of the numbers of each session's rows, behind its key; None where they are in no index."""
        if self._database is None:
            return None
        query = f"SELECT session_id, {numbers} FROM messages {which}"
        try:
            plan = self._database.query(f"EXPLAIN QUERY PLAN {query}", parameters).fetchall()
            is_fast = all("COVERING INDEX" in step[-1] for step in plan)
            return read(self._database.query(query, parameters)) if is_fast else None
        except (sqlite3.Error, MemoryError):
            return None
