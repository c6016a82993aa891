"""The metadata fields of a session as people read them: names without underscores, dates in place of seconds."""

from __future__ import annotations

from typing import Any

from hermes_rescue.core.base.jsontext import dumps
from hermes_rescue.core.report.diff import Change, FieldRow, is_time
from hermes_rescue.gui.view_model.diff_text import one_line, plain
from hermes_rescue.gui.view_model.formatting import moment, number
from PySide6.QtCore import QCoreApplication

LEFT, RIGHT = 1, 2
"""The columns of the two values."""


def field_name(field: str) -> str:
    """The name of a field within a sentence: "message count"."""
    return plain(" ".join(field.replace("_", " ").split()) or field)


def raw_value(row: FieldRow, column: int) -> str:
    """A value as it stands: nothing where that side has no such field or null in it, JSON for all but texts."""
    missing = Change.ADDED if column == LEFT else Change.REMOVED
    return "" if row.change is missing else _raw(_value(row, column))


def value_words(row: FieldRow, column: int) -> str:
    """A value in one line of words; two that differ never read the same."""
    if not raw_value(row, column):
        return "–"
    words = offered_words(_value(row, column))
    is_same = row.change is Change.CHANGED and words == offered_words(_value(row, LEFT + RIGHT - column))
    return one_line(raw_value(row, column)) if is_same else words


def offered_words(value: Any, limit: int = 240) -> str:
    """A value that a copy has, in one line of so many characters."""
    if isinstance(value, bool):
        return (
            QCoreApplication.translate("Difference", "yes") if value else QCoreApplication.translate("Difference", "no")
        )
    if is_time(value):
        return moment(value)
    if isinstance(value, int):
        return number(value) if abs(value) < 10**9 else str(value)
    return one_line(_raw(value), limit) or "–"


def _value(row: FieldRow, column: int) -> Any:
    return row.left if column == LEFT else row.right


def _raw(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else dumps(value).decode("utf-8", "replace")
