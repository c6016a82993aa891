"""What happened to a session and what comes back, in words. Of many messages that takes a moment, which the window has
not: the reader does it.
"""

from __future__ import annotations

from hermes_rescue.core.audit.findings import SessionAudit, Standing
from hermes_rescue.core.merge.intent import Reason
from hermes_rescue.core.merge.proposal import Proposal
from hermes_rescue.gui.view_model.diff_text import copy_name
from hermes_rescue.gui.view_model.field_words import field_name
from hermes_rescue.gui.view_model.formatting import counted, moment_in_text, number
from PySide6.QtCore import QCoreApplication

translate = QCoreApplication.translate


def sentence(audited: SessionAudit, proposal: Proposal) -> str:
    """What happened to a session and what comes back, and what a person chose of it."""
    main, chosen = audited.main, _chosen_words(proposal)
    wish = translate("SessionHead", "You chose: {}. A repair of this session writes it.").format(chosen)
    evidence = main.text(moment_in_text) if main is not None else "" if chosen else _healthy_words(audited, proposal)
    return " ".join(filter(None, (evidence, _earlier_words(audited), wish if chosen else "")))


def _healthy_words(audited: SessionAudit, proposal: Proposal) -> str:
    if audited.standing is Standing.LEFT_OUT and audited.left_out:
        words = translate("SessionHead", "You took messages of this session back. Other copies still have {n}.")
        if audited.is_cleared:
            words = translate("SessionHead", "You cleared this session. Other copies still have {n} of before.")
        return words.format(n=counted(audited.left_out, "message"))
    n = sum(item.included for item in proposal.items)
    if n == 0:
        words = translate("SessionHead", "The session has no messages, and no copy has any.")
    elif n == 1:
        words = translate("SessionHead", "Its message is in the file.")
    else:
        words = translate("SessionHead", "All {n} messages are in the file.").format(n=number(n))
    if audited.standing is Standing.PARTLY_READ:
        return f"{words} {translate('SessionHead', 'A database that may hold more cannot be read.')}"
    return f"{words} {translate('SessionHead', 'There is nothing to repair.')}" if n else words


def _earlier_words(audited: SessionAudit) -> str:
    """What a person left out of earlier repairs, and the way back."""
    words = translate("SessionHead", "{n} left out by you in a repair: check it to have it back.")
    if audited.left_out_by_you > 1:
        words = translate("SessionHead", "{n} left out by you in a repair: check those that you want back.")
    return words.format(n=counted(audited.left_out_by_you, "message")) if audited.left_out_by_you else ""


def _chosen_words(proposal: Proposal) -> str:
    """The messages that a person left out or restored, and the fields taken from other copies, as far as that changes
    them: "2 messages left out, title from backup".
    """
    counts = (
        (translate("SessionHead", "{} left out"), sum(item.reason is Reason.CHOSEN for item in proposal.items)),
        (
            translate("SessionHead", "{} restored"),
            sum(item.included and item.reason is not None for item in proposal.items),
        ),
    )
    parts = [words.format(counted(n, "message")) for words, n in counts if n]
    words = translate("SessionHead", "{} from {}")
    taken = (c for c in proposal.changes if c.field in proposal.chosen)
    return ", ".join([*parts, *(words.format(field_name(c.field), copy_name(c.origin)) for c in taken)])
