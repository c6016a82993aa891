"""A person's answer that a session stays as it is, and its way back. Nothing of the session is changed."""

from __future__ import annotations

from collections.abc import Callable

from hermes_rescue.core.audit import left
from hermes_rescue.core.audit.findings import SessionAudit
from hermes_rescue.core.audit.session import examine
from hermes_rescue.core.base import files
from hermes_rescue.core.base.errors import RescueError, UnknownSessionError, VaultError
from hermes_rescue.core.hermes import remembered
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.hermes.webui_status import webui_status
from hermes_rescue.core.repair.vault import Vault


def leave(store: Store, session_id: str) -> SessionAudit:
    """Leave a session as it is: until one of its copies changes it counts as settled. Returns it so.

    Raises RescueError where there is no such session, or nothing of it that could be repaired or decided; BusyError and
    VaultError where that cannot be kept.
    """
    with Inventory(store, only=(session_id,)) as inventory:
        is_known = session_id in inventory.session_ids()
        found = examine(inventory, webui_status(store), session_id).audited if is_known else None
    if found is None:
        raise UnknownSessionError((session_id,), store.sessions_dir)
    if not found.basis:
        raise RescueError(f"There is nothing to leave: the session {session_id} needs no repair and no decision.")
    kept = {session_id: found.basis}
    _keep(store, lambda sessions: {**sessions, **kept})
    return left.marked(found, kept)


def take_back_leave(store: Store, session_id: str) -> bool:
    """Have a session counted again that was left as it is; False where it was not. Raises BusyError, VaultError."""
    if session_id not in left.read(store):
        return False
    _keep(store, lambda sessions: {sid: basis for sid, basis in sessions.items() if sid != session_id})
    return True


def _keep(store: Store, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    with Vault.of(store).lock():
        path = left.path_of(store)
        try:
            remembered.keep(path, change(left.read(store)))
        except (RescueError, OSError) as error:
            raise VaultError(f"That could not be remembered: {files.sentence(error, path)}") from error
