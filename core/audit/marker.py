"""What is remembered of a store beside its repairs, as it shows in the sessions of an audit."""

from __future__ import annotations

from collections.abc import Callable

from hermes_rescue.core.audit import left, written_over
from hermes_rescue.core.audit.findings import SessionAudit
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.hermes.webui_status import WebUIStatus


def marker(store: Store, webui: WebUIStatus) -> Callable[[SessionAudit], SessionAudit]:
    """What marks a session that a person left as it is, or whose repair was written over."""
    left_alone, brought = left.read(store), written_over.read(store)
    return lambda session: left.marked(written_over.marked(session, brought, store, webui), left_alone)
