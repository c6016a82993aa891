"""What a row of the list of sessions says, in words."""

from __future__ import annotations

from dataclasses import dataclass

from hermes_rescue.core.audit.findings import SessionAudit, Standing
from hermes_rescue.core.hermes.worktree import Worktree
from hermes_rescue.core.merge.choices import Choices
from hermes_rescue.gui.view_model.formatting import day, number
from hermes_rescue.gui.view_model.session_rows import Row, one_line
from PySide6.QtCore import QCoreApplication

translate = QCoreApplication.translate


@dataclass(frozen=True, slots=True)
class Line:
    """The texts of a row: ``state`` and ``detail`` follow each other, and so do ``before`` and ``after``, the
    numbers of messages. ``token`` is the colour of the state.
    """

    title: str
    date: str
    state: str
    detail: str
    before: str
    after: str
    icon: str
    token: str
    worktree: str = ""
    worktree_state: str = ""
    worktree_tip: str = ""


def line_of(row: Row) -> Line:
    """What the row of a session says."""
    session, status = row.session, row.status
    before, after = _count(session.live), ""
    detail = ""
    if row.is_examined:
        copies = [
            words.format(n=number(n))
            for words, n in (
                (translate("SessionLine", "backup {n}"), session.backup),
                (translate("SessionLine", "database {n}"), session.database),
            )
            if n is not None
        ]
        chosen = _chosen_words(row.choices, session)
        detail = f" · {chosen or ', '.join(copies)}" if chosen or copies else ""
        if (chosen or row.standing is Standing.REPAIRABLE) and row.after != session.live:
            before, after = f"{before} → ", _count(row.after)
    path = one_line(session.worktree_path) if session.worktree_path else ""
    state = worktree_words(session.worktree) if row.is_examined and path else ""
    return Line(
        one_line(session.title),
        day(session.updated),
        status.line,
        detail,
        before,
        after,
        status.icon,
        status.token,
        "/".join(path.rstrip("/").split("/")[-3:]),
        state,
        path and f"{path} · {state}",
    )


def _chosen_words(choices: Choices, session: SessionAudit) -> str:
    """What a person chose of the messages of a session, now and in earlier repairs; not again what its state says."""
    is_named = session.standing is Standing.LEFT_OUT and not session.left_out
    before = 0 if is_named else session.left_out_by_you
    counts = (
        (translate("SessionLine", "{} left out by you"), len(choices.exclude) + before),
        (translate("SessionLine", "{} restored by you"), len(choices.include)),
    )
    return ", ".join(words.format(number(n)) for words, n in counts if n)


def worktree_words(state: Worktree) -> str:
    """Whether a worktree is there, in a word or two."""
    match state:
        case Worktree.THERE:
            return translate("SessionLine", "there")
        case Worktree.BRANCH_LEFT:
            return translate("SessionLine", "gone, branch left")
        case Worktree.GONE:
            return translate("SessionLine", "gone")
    return ""


def _count(n: int | None) -> str:
    return "–" if n is None else number(n)
