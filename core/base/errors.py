"""Errors for people: one family, each with a text that is safe to show and says what to do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class RescueError(Exception):
    """Something could not be done. ``str(error)`` is a plain sentence, safe to show, without message texts."""


class StoreNotFoundError(RescueError):
    """No Hermes data at the place that was named, or at any of the usual places. ``where`` says where was looked;
    ``in_terminal`` what can be typed instead.
    """

    def __init__(self, where: str, in_terminal: str = "") -> None:
        super().__init__(" ".join(filter(None, (where, in_terminal))))
        self.where = where


class UnknownSessionError(RescueError):
    """No copy of the sessions ``session_ids`` is known in a store."""

    def __init__(self, session_ids: Iterable[str], sessions_dir: Path) -> None:
        super().__init__(f"No copy of a session {', '.join(session_ids)} is known in {sessions_dir}.")


class UnreadableError(RescueError):
    """A file or database could not be read; the text names it and the reason."""


class ChangedMeanwhileError(RescueError):
    """A file is no longer what was looked at before; nothing was written over it."""


class VaultError(RescueError):
    """The vault cannot be read or written, or a run in it cannot be undone."""


class BusyError(RescueError):
    """Another Hermes Rescue works on this store right now."""
