"""Sessions that a person wants to stay as they are: remembered beside the repairs, until a copy of them changes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hermes_rescue.core.audit.findings import LEFT, Category, SessionAudit
from hermes_rescue.core.hermes import remembered
from hermes_rescue.core.hermes.store import Store
from msgspec.structs import replace

NAME = "left.json"


def path_of(store: Store) -> Path:
    """Where the list of a store lies."""
    return store.vault_root / NAME


def read(store: Store) -> dict[str, str]:
    """Session id -> what it was made from (:attr:`SessionAudit.basis`) when it was left as it is."""
    return {sid: basis for sid, basis in remembered.read(path_of(store)).items() if isinstance(basis, str)}


def is_left(session: SessionAudit, left: Mapping[str, str]) -> bool:
    """Whether a session was left as it is, and no copy of it has changed since."""
    return session.basis != "" and left.get(session.session_id) == session.basis


def marked(session: SessionAudit, left: Mapping[str, str]) -> SessionAudit:
    """The session with its findings as notes where it was left as it is."""
    if not is_left(session, left):
        return session
    details = {LEFT: True}
    notes = (replace(f, category=Category.INFO, details={**f.details, **details}) for f in session.findings)
    return replace(session, findings=tuple(notes))
