"""The copies of a session as ``show`` lists them."""

from __future__ import annotations

from collections.abc import Iterator

from hermes_rescue.core.audit.elsewhere import added_by
from hermes_rescue.core.audit.findings import SessionAudit
from hermes_rescue.core.base.files import shown
from hermes_rescue.core.base.words import counted
from hermes_rescue.core.hermes.copies import LIVE, SessionCopies
from hermes_rescue.core.merge.proposal import Proposal
from hermes_rescue.core.report.plain_text import stamp


def listed_copies(
    audited: SessionAudit, copies: SessionCopies, proposal: Proposal
) -> Iterator[tuple[str, int | None, str]]:
    """Each copy with the number of its messages (None: unreadable), and where it is, or from when."""
    link = "" if copies.live is None or copies.live.target is None else f"a link to {shown(copies.live.target)}"
    yield LIVE, audited.live, link if copies.live is not None else "missing"
    for k, temp in enumerate(copies.temps):
        yield f"temp {k + 1}", len(temp.sidecar.messages) if temp.sidecar is not None else None, temp.path.name
    if copies.backup is not None:
        yield "backup", audited.backup, stamp(copies.backup.mtime)
    for copy in copies.databases:
        yield copy.name, len(copy.messages) - len(copy.rewound | copy.hidden), str(copy.path)
    if copies.run is not None:
        yield "run journal", len(copies.run.messages), copies.run.path.name
    for further in copies.further:
        n = added_by(proposal, further.name)
        adds = f"adds {counted(n, 'message')}" if n else "adds nothing"
        yield further.name, len(further.messages), f"{adds}: {further.shown}"
