"""Whether a repair lasts: what the next start of the WebUI makes of it, and what a second look does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hermes_rescue.core.hermes.copies import BACKUP, SessionCopies
from hermes_rescue.core.hermes.sidecar import Sidecar, SidecarFile, serialise
from hermes_rescue.core.hermes.webui_recovery import startup_would_restore
from hermes_rescue.core.merge.intent import marks
from hermes_rescue.core.merge.proposal import Proposal, propose
from hermes_rescue.core.merge.second_look import asks_no_more, leaves_out
from hermes_rescue.core.merge.sidecar_copies import session_of


def lasts(copies: SessionCopies, proposal: Proposal) -> bool:
    """Whether a second look brings nothing back that is left out, and no question goes with the backup, once a damaged
    or lost file is written so.
    """
    live, after = session_of(copies.live), proposal.sidecar
    is_loaded = live is not None and live.damage is None
    if after is None or is_loaded or not leaves_out(proposal.items):
        return True
    written = SidecarFile(Path(f"{copies.session_id}.json"), serialise(after))
    moves = moves_backup(copies, proposal, after, is_decided=False)
    backup = None if moves else copies.backup
    again = propose(replace(copies, live=written, backup=backup, leading_messages=(), index_row=None))
    is_unasked = moves and asks_no_more(proposal.items, again.items)
    return again.doubt is not None or not (again.gained or is_unasked)


def moves_backup(copies: SessionCopies, proposal: Proposal, after: Sidecar, *, is_decided: bool) -> bool:
    """Whether the backup moves to the vault, because a WebUI of some version would put it in the place of the file,
    which is ``after`` then; not where a question depends on it, unless a person answered that (``is_decided``).
    """
    backup = session_of(copies.backup)
    if backup is None or (backup.damage is not None and not backup.complete):
        return False
    if proposal.lost or len(backup.messages) <= len(proposal.included):
        return False  # what a person leaves out is marked as that
    return (is_decided or not _is_asked(proposal)) and not is_believed(after, backup)


def is_believed(after: Sidecar, backup: Sidecar) -> bool:
    """Whether every version that can have written a backup leaves it where it is beside this file, as its marks say
    what was taken back. Then it stays: it is the witness of that.
    """
    return marks(backup).knows_generations and not startup_would_restore(after, backup)


def _is_asked(proposal: Proposal) -> bool:
    """Whether a question is open that only stays one with the backup, which has all else as well: a WebUI that puts it
    in the place of what is written loses nothing.
    """
    asked = any(
        item.reason is not None and item.reason.is_question and BACKUP in item.copies for item in proposal.items
    )
    return asked and all(BACKUP in item.copies for item in proposal.included)
