"""What the status of a session is called: its most urgent finding in a word or two, with an icon and a colour."""

from __future__ import annotations

import msgspec
from hermes_rescue.core.audit.findings import Category, Finding, SessionAudit, Standing
from hermes_rescue.core.base.words import plural
from hermes_rescue.gui.view_model.formatting import number
from PySide6.QtCore import QCoreApplication


class Status(msgspec.Struct, frozen=True, gc=False):
    """What is most urgent about a session, in a word or two: with an icon, a colour token, and how urgent it is (0
    most), then how many messages are at stake.
    """

    text: str
    icon: str
    token: str
    urgency: int
    at_stake: int
    sentence: str = ""

    @property
    def line(self) -> str:
        """The same where there is room for a short sentence."""
        return self.sentence or self.text


def status_of(session: SessionAudit) -> Status:
    """The status of a session: of its findings the most urgent, of those the one with most messages at stake."""
    if session.standing is Standing.LEFT:
        return Status(QCoreApplication.translate("SessionStatus", "Left as it is"), "left-out", "info", 5, 0)
    if session.standing is Standing.LEFT_OUT:
        return _left_out(session)
    found = [_status(finding, session) for finding in session.findings]
    if found:
        return min(found, key=lambda status: (status.urgency, -status.at_stake))
    if session.standing is Standing.PARTLY_READ:
        return Status(_partly_read(), "missing", "info", 5, 0)
    return Status(QCoreApplication.translate("SessionStatus", "Healthy"), "healthy", "ok", 6, 0)


def unexamined() -> Status:
    """The status of a session of which only the head was read. It ranks where a healthy one does."""
    return Status(QCoreApplication.translate("SessionStatus", "Not checked yet"), "search", "muted", 6, 0)


def _status(finding: Finding, session: SessionAudit) -> Status:
    kind, n = finding.kind.name, finding.details.get("messages", 0)
    translate = QCoreApplication.translate
    is_file_missing = kind in ("orphan_backup", "state_db_missing_sidecar") or (kind == "unsaved_temp" and not n)
    if kind == "malformed_live":
        return Status(translate("SessionStatus", "File damaged"), "missing", "lost", 0, session.after or 0)
    if finding.category is Category.REVIEW:
        return Status(translate("SessionStatus", "Your decision"), "question", "ask", 4, n, _question(finding, n))
    if finding.category is Category.INFO:
        text, icon = _note(finding)
        return Status(text, icon, "info", 5, 0)
    if is_file_missing:
        return Status(translate("SessionStatus", "File missing"), "missing", "lost", 0, session.after or 0)
    match kind:
        case "shrunken_live" | "emptied_live" | "state_db_gap" | "state_db_ahead" | "run_journal_ahead":
            return Status(translate("SessionStatus", "%n lost", "messages", n), "warning", "repair", 0, n)
        case "unsaved_temp":
            return Status(translate("SessionStatus", "%n unsaved", "messages", n), "warning", "repair", 0, n)
        case "lossy_rebuild":
            return Status(translate("SessionStatus", "Parts missing"), "warning", "repair", 1, n)
        case "stale_stream":
            return Status(translate("SessionStatus", "Stuck"), "stuck", "repair", 2, 0)
        case "wrong_count":
            return Status(translate("SessionStatus", "Wrong count"), "warning", "repair", 3, 0)
        case "index_missing_entry":
            return Status(translate("SessionStatus", "Not listed"), "warning", "repair", 3, 0)
        case "index_missing_file":
            return Status(translate("SessionStatus", "Listed, gone"), "warning", "repair", 3, 0)
    return Status(_label(finding), "warning", "repair", 3, n)


def _partly_read() -> str:
    return QCoreApplication.translate("SessionStatus", "Healthy as far as it could be read")


def _left_out(session: SessionAudit) -> Status:
    translate, n = QCoreApplication.translate, session.left_out
    if n == 0:
        by_you = translate("SessionStatus", "%n left out by you", "messages", session.left_out_by_you)
        return Status(by_you, "left-out", "info", 5, 0)
    by_clear = translate("SessionStatus", "%n left out: you cleared it", "messages", n)
    by_undo = _of_them(n, translate("SessionStatus", "{n} left out: you took {them} back"))
    text = translate("SessionStatus", "%n left out", "messages", n)
    return Status(text, "left-out", "info", 5, 0, by_clear if session.is_cleared else by_undo)


def _question(finding: Finding, n: int) -> str:
    """What a session asks."""
    translate = QCoreApplication.translate
    match finding.kind.name:
        case "shrunken_live_unmarked":
            return _of_them(n, translate("SessionStatus", "{n} after the end: did you take {them} back?"))
        case "state_db_gap":
            return _of_them(n, translate("SessionStatus", "{n} only in other copies: did you take {them} back?"))
        case "further_copy" if n:
            return _of_them(n, translate("SessionStatus", "{n} in another place only: do you want {them}?"))
        case "turn_journal_pending_turn":
            return translate("SessionStatus", "A prompt was not answered")
        case "orphan_backup_without_state_row":
            return translate("SessionStatus", "Only a backup is left")
        case "malformed_orphan_backup":
            return translate("SessionStatus", "Only a damaged backup is left")
        case "run_journal_only":
            return translate("SessionStatus", "Only the run journal is left")
    return _label(finding)


def _of_them(n: int, words: str) -> str:
    """Words about so many messages."""
    them = QCoreApplication.translate("SessionStatus", "it"), QCoreApplication.translate("SessionStatus", "them")
    return words.format(n=number(n), them=plural(n, *them))


def _label(finding: Finding) -> str:
    """What a finding is called, where nothing more is said of it."""
    return finding.label[:1].upper() + finding.label[1:]


def _note(finding: Finding) -> tuple[str, str]:
    """Words and icon of a finding for which there is nothing to do."""
    match finding.kind.name:
        case "state_db_deleted_webui_tombstone":
            return QCoreApplication.translate("SessionStatus", "Deleted by you"), "deleted"
        case "worktree_gone":
            return QCoreApplication.translate("SessionStatus", "Worktree gone"), "worktree"
        case "not_a_file":
            return QCoreApplication.translate("SessionStatus", "Not a file"), "info"
        case "damaged_file":
            return _partly_read(), "missing"
        case "copy_denied":
            return QCoreApplication.translate("SessionStatus", "No permission"), "info"
        case "profile_gone":
            return QCoreApplication.translate("SessionStatus", "Profile gone"), "info"
        case "backup_would_return":
            return QCoreApplication.translate("SessionStatus", "Old backup"), "info"
        case "id_mismatch":
            return QCoreApplication.translate("SessionStatus", "Copy of another session"), "info"
    if finding.kind.category is Category.INFO:
        return _label(finding), "info"
    # What would be repaired or asked at another time: the WebUI is writing into the session right now.
    return QCoreApplication.translate("SessionStatus", "Being written"), "info"
