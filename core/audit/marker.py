"""What is known of a store beside its sessions, as it shows in the sessions of an audit."""

from __future__ import annotations

from collections.abc import Callable

from hermes_rescue.core.audit import left, written_over
from hermes_rescue.core.audit.findings import SessionAudit
from hermes_rescue.core.hermes.copies import CopyReader
from hermes_rescue.core.hermes.webui_status import WebUIStatus
from msgspec.structs import replace


def marker(reader: CopyReader, webui: WebUIStatus) -> Callable[[SessionAudit], SessionAudit]:
    """What marks a session that a person left as it is, whose repair was written over, or of which a database that
    cannot be read may hold more.
    """
    store = reader.store
    left_alone, brought = left.read(store), written_over.read(store)

    def marked(session: SessionAudit) -> SessionAudit:
        if reader.has_unread_databases:
            session = replace(session, is_partly_read=True)
        return left.marked(written_over.marked(session, brought, store, webui), left_alone)

    return marked
