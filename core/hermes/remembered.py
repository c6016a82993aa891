"""What is remembered of sessions in the folder of the vault: one small file for each kind of thing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hermes_rescue.core.base import files, jsontext
from hermes_rescue.core.base.errors import UnreadableError
from hermes_rescue.core.hermes.store import is_session_name

_MAX_BYTES = 1 << 26  # bytes; far more than a list of all sessions takes


def read(path: Path) -> dict[str, Any]:
    """Session id -> what is remembered of it. What cannot be read is as if nothing were."""
    try:
        files.require_folder(path.parent)
        found = jsontext.loads_exactly(files.read_regular(path, _MAX_BYTES))
    except (OSError, UnreadableError, jsontext.NotJSONError):
        return {}
    sessions = found.get("sessions") if isinstance(found, dict) else None
    return {sid: of for sid, of in sessions.items() if is_session_name(sid)} if isinstance(sessions, dict) else {}


def keep(path: Path, sessions: Mapping[str, Any]) -> None:
    """Write that down instead. Raises RescueError, OSError."""
    data = jsontext.dumps({"version": 1, "sessions": dict(sorted(sessions.items()))})
    files.write(path, data, overwrite=True)
