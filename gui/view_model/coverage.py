"""The copies of a session, and how much they hold, in words."""

from __future__ import annotations

from hermes_rescue.core.base.files import shown
from hermes_rescue.core.hermes.copies import BACKUP, DATABASE, LIVE, RUN, TEMP, TURNS
from hermes_rescue.core.merge.restored_turns import PENDING
from hermes_rescue.core.report.coverage import COPIES, Lane
from hermes_rescue.gui.view_model.formatting import number
from PySide6.QtCore import QCoreApplication

translate = QCoreApplication.translate


def lane_label(lane: Lane) -> str:
    """What a lane is of, as a heading."""
    if lane.is_result:
        return translate("CoverageMap", "Recovered")
    return translate("CoverageMap", "Live, damaged") if lane.is_damaged else copy_label(lane.name)


def lane_count(lane: Lane) -> str:
    """How many messages are in it."""
    return "–" if lane.count is None else number(lane.count)


def copy_label(name: str) -> str:
    """The name of a copy as a heading: "Live", "Backup", "Database of work"."""
    words = {
        LIVE: translate("CoverageMap", "Live"),
        TEMP: translate("CoverageMap", "Temp"),
        BACKUP: translate("CoverageMap", "Backup"),
        DATABASE: translate("CoverageMap", "Database"),
        RUN: translate("CoverageMap", "Run journal"),
        TURNS: translate("CoverageMap", "Turn journal"),
        PENDING: translate("CoverageMap", "Pending prompt"),
    }
    known = next((known for known in COPIES if name.startswith(known)), name[:1])
    return words.get(known, known.upper()) + shown(name[len(known) :])
