"""How numbers, times and untrusted texts are written for people, wherever in the window they stand."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Final, TypeGuard

from hermes_rescue.core.base.files import shown
from hermes_rescue.core.base.words import plural
from PySide6.QtCore import QCoreApplication, QDate, QDateTime, QLocale, QTime

_SHORT: Final = QLocale.FormatType.ShortFormat
_END_OF_TIME = 253402300800  # seconds; the year 10000: what a session says beyond it is no time
_BETWEEN: Final = r"(?:'[^']*'|[^dMy'])*"
_DAY_AND_MONTH: Final = re.compile(rf"(?<![d'])dd?(?!d){_BETWEEN}M+|M+{_BETWEEN}(?<!d)dd?(?!d)[日일]?")
"""The part of a locale's long date format that has the day of the month and the month, in their order."""

_WEEKDAY: Final = re.compile(r"[\s,،]*dddd[\s,،]*")
"""The part of it that has the day of the week."""


def number(n: int) -> str:
    """A count, as people of the system's language write it."""
    return QLocale().toString(n)


def counted(n: int, one: str, many: str = "") -> str:
    """A count with its word: "1 message", "2 messages"."""
    return f"{number(n)} {plural(n, one, many)}"


def is_time(seconds: float | None) -> TypeGuard[float]:
    """Whether it is a time (in seconds since 1970) that a clock can have shown."""
    return seconds is not None and 0 <= seconds < _END_OF_TIME


def local_time(seconds: float | None) -> QDateTime | None:
    """A time in seconds since 1970 as local time; None for what is none."""
    return QDateTime.fromSecsSinceEpoch(int(seconds)) if is_time(seconds) else None


def moment(seconds: float | None) -> str:
    """A time for a person, in the place's own way; empty for what is none."""
    time = local_time(seconds)
    if time is None:
        return ""
    return time.toString("yyyy-MM-dd HH:mm") if _is_nowhere() else QLocale().toString(time, _SHORT)


def moment_in_text(seconds: float) -> str:
    """A time within a sentence: "07:37 on 3 May"; empty for what is no time."""
    time = local_time(seconds)
    if time is None:
        return ""
    clock = QLocale().toString(time.time(), _SHORT)
    return QCoreApplication.translate("Wording", "{time} on {day}").format(time=clock, day=day(seconds))


def recent_moment(seconds: float | None) -> str:
    """The same, where it was today by the time of day: "today at 22:25"."""
    time = local_time(seconds)
    if time is None or time.date() != QDate.currentDate():
        return moment(seconds)
    return QCoreApplication.translate("Wording", "today at {}").format(QLocale().toString(time.time(), _SHORT))


def now() -> str:
    """The time of day, in the place's own way."""
    return QLocale().toString(QTime.currentTime(), _SHORT)


def day(seconds: float | None) -> str:
    """A date for a person, in the place's own way: this year's as day and month; empty for what is none."""
    time = local_time(seconds)
    if time is None:
        return ""
    date, locale = time.date(), QLocale()
    found = _DAY_AND_MONTH.search(locale.dateFormat(QLocale.FormatType.LongFormat))
    if found is None or date.year() != QDate.currentDate().year():
        return long_day(seconds)
    return locale.toString(date, found[0].replace("MMMM", "MMM"))


def long_day(seconds: float | None) -> str:
    """A date with its year, in the place's own way; empty for what is none."""
    time = local_time(seconds)
    if time is None:
        return ""
    return long_date(time.date())


def long_date(date: QDate) -> str:
    """A date with the month in letters, in the place's own way: "3 May 2026"."""
    locale = QLocale()
    form = _WEEKDAY.sub(" ", locale.dateFormat(QLocale.FormatType.LongFormat)).strip()
    return locale.toString(date, form.replace("MMMM", "MMM"))


def _is_nowhere() -> bool:
    """Whether the system names no language: its short dates, as "3 05 2026", could be read in two ways."""
    return QLocale().language() is QLocale.Language.C


def sentences(texts: Iterable[str]) -> str:
    """Texts as they are read out one after the other, each but the empty ones as a sentence."""
    return " ".join(text if text[-1] in ".?!…" else f"{text}." for text in map(str.strip, texts) if text)


def plain_tip(text: str) -> str:
    """A tool tip that shows an untrusted text as it is: Qt takes for HTML whatever looks like it."""
    return "<qt>" + "<br>".join(html.escape(shown(line)) for line in text.split("\n")) + "</qt>"


def breakable(text: str) -> str:
    """An untrusted text that wraps inside its long words too, so that no path makes a label wider than its place."""
    words = (
        "\u200b".join(word[k : k + 24] for k in range(0, len(word), 24)) if len(word) > 24 else word
        for word in shown(text).split(" ")
    )
    return " ".join(words)
