"""Sessions that a person wants to stay as they are: remembered beside the repairs, until a copy of them changes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hermes_rescue.core.audit.findings import LEFT, Category, SessionAudit
from hermes_rescue.core.base import files, jsontext
from hermes_rescue.core.base.errors import UnreadableError
from hermes_rescue.core.hermes.store import Store, is_session_name

NAME = "left.json"
_LIMIT = 1 << 26  # bytes; far more than a list of all sessions takes


def path_of(store: Store) -> Path:
    """Where the list of a store lies."""
    return store.vault_root / NAME


def read(store: Store) -> dict[str, str]:
    """Session id -> what it was made from (:attr:`SessionAudit.basis`) when it was left as it is. What cannot be read
    is as if nothing had been left.
    """
    try:
        files.require_folder(store.vault_root)
        found = jsontext.loads_exactly(files.read_regular(path_of(store), _LIMIT))
    except (OSError, UnreadableError, jsontext.NotJSONError):
        return {}
    sessions = found.get("sessions") if isinstance(found, dict) else None
    if not isinstance(sessions, dict):
        return {}
    return {sid: basis for sid, basis in sessions.items() if is_session_name(sid) and isinstance(basis, str)}


def packed(sessions: Mapping[str, str]) -> bytes:
    """The bytes of such a list."""
    return json.dumps({"version": 1, "sessions": dict(sorted(sessions.items()))}, indent=2).encode()


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
