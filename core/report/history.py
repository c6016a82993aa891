"""A session around a run: as it was before, as the run left it, as it is now. Read without a trace.

The vault keeps what a run replaced, not what it wrote. So the version that a run left is known only as long as some
file still holds those very bytes: the session's own, its backup, or what a later run kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hermes_rescue.core.base.errors import VaultError
from hermes_rescue.core.base.files import shown
from hermes_rescue.core.hermes import sidecar
from hermes_rescue.core.hermes.sidecar import Sidecar, SidecarFile, backup_path
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.repair.run_record import Operation, Run
from hermes_rescue.core.repair.vault import Vault
from hermes_rescue.core.report.diff import Version, version_of

BEFORE, AFTER, NOW = "before", "after", "now"
"""Versions of a session's file; those of its backup have ``OF_BACKUP`` in front."""

OF_BACKUP = "backup "

NOT_THERE = "What the repair left is in no file any more, so it cannot be shown."


@dataclass(frozen=True, slots=True)
class SessionVersions:
    """The versions of one session around a run, by name: empty where there was no file, missing where it is unknown.

    ``pair`` is what an undo would put back and what is there now, of the file that has changed since the run, or else
    of the session's own. ``notes``: a sentence for each thing that could not be read.
    """

    versions: dict[str, Version]
    pair: tuple[str, str]
    notes: tuple[str, ...]


class History:
    """Looks at the sessions around one run; what the vault holds is listed at most once."""

    def __init__(self, store: Store, run: Run) -> None:
        self._store = store
        self._run = run
        self._changes: dict[tuple[str | None, str], list[Operation]] = {}
        for each in run.operations:
            if each.may_have_changed:
                self._changes.setdefault((each.session_id, each.path), []).append(each)

    def versions(self, session_id: str) -> SessionVersions:
        """Raises VaultError where the run has not changed the session, or what it kept of it is not whole."""
        path = self._store.sessions_dir / f"{session_id}.json"
        now = {"": self._file(path), OF_BACKUP: self._file(backup_path(path))}
        versions: dict[str, Version] = {}
        notes = [file.problem for file in now.values() if file.problem]
        changed: list[str] = []
        for mark, file in now.items():
            changes = self._changes.get((session_id, file.path.name))
            if not changes:
                continue
            first, after = changes[0], changes[-1].after
            old = Vault.of(self._store).kept(self._run, first) if first.before is not None else None
            versions[mark + BEFORE] = _version(mark + BEFORE, None if old is None else sidecar.parse(old))
            left = self._holding(after, tuple(now.values())) if after is not None else None
            if after is None or left is not None:
                versions[mark + AFTER] = _version(mark + AFTER, left)
            else:
                notes.append(NOT_THERE)
            versions[mark + NOW] = _version(mark + NOW, file.sidecar)
            if file.digest != after:
                changed.append(mark)
        if not versions:
            raise VaultError(f"The run {self._run.run_id} has not changed the session {shown(session_id)}.")
        mark = (changed or ["" if BEFORE in versions else OF_BACKUP])[0]
        return SessionVersions(versions, (mark + BEFORE, mark + NOW), tuple(notes))

    def _file(self, path: Path) -> SidecarFile:
        """A session file; one without anything where nothing is there."""
        try:
            return sidecar.read_linked(path, self._store.reach)
        except FileNotFoundError:
            return SidecarFile(path, None)

    def _holding(self, digest: str, now: tuple[SidecarFile, ...]) -> Sidecar | None:
        """The session in whatever still holds these very bytes."""
        for file in now:
            if file.digest == digest:
                return file.sidecar
        run, operation = self._kept.get(digest, (None, None))
        if run is None or operation is None:
            return None
        try:
            return sidecar.parse(Vault.of(self._store).kept(run, operation))
        except VaultError:
            return None

    @cached_property
    def _kept(self) -> dict[str, tuple[Run, Operation]]:
        """Whatever the vault holds, by its SHA-256."""
        runs = Vault.of(self._store).list_runs()
        return {each.before.digest: (run, each) for run in runs for each in run.operations if each.kept and each.before}


def _version(name: str, session: Sidecar | None) -> Version:
    return version_of(name, session) if session is not None else Version(name, (), {})
