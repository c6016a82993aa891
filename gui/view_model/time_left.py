"""How long a work still takes, by the pace of its last seconds."""

from __future__ import annotations

import math
from collections import deque

from hermes_rescue.gui.view_model.formatting import counted
from PySide6.QtCore import QCoreApplication

_PACE = 20.0  # seconds that count: what was quick before (a cache, small sessions) says nothing of what comes
_FIRST = 3.0  # seconds until there is a pace
_SHORT = 5.0  # seconds that are not worth a word
_STEP = 10  # seconds: what is said does not change at each report


class TimeLeft:
    """Gets each report of a work, and says what is left of it."""

    def __init__(self) -> None:
        self._reports: deque[tuple[float, float]] = deque()
        self._total = 0

    def words(self, done: float, total: int, now: float) -> str:
        """What is left where ``done`` of ``total`` is done at a moment (seconds of any clock that only goes on); ""
        where that is not known yet, or next to nothing. Another total, or less than before, is another work.
        """
        if total != self._total or (self._reports and done < self._reports[-1][1]):
            self._reports.clear()
            self._total = total
        self._reports.append((now, done))
        while now - self._reports[1 if len(self._reports) > 1 else 0][0] > _PACE:
            self._reports.popleft()
        start, before = self._reports[0]
        if now - start < _FIRST or done <= before:
            return ""
        return _words((total - done) * (now - start) / (done - before))


def _words(seconds: float) -> str:
    if seconds < _SHORT:
        return ""
    if seconds <= 60 - _STEP:
        amount = counted(math.ceil(seconds / _STEP) * _STEP, "second")
    elif seconds < 3600:
        amount = counted(math.ceil(seconds / 60), "minute")
    else:
        amount = counted(math.ceil(seconds / 3600), "hour")
    return QCoreApplication.translate("TimeLeft", "about {} left").format(amount)
