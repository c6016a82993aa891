"""What a person adds as a further place, and archives found in the home: files, folders, old homes, archives of one."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from hermes_rescue.core.base.files import shown
from hermes_rescue.core.hermes.places import archives, forms
from hermes_rescue.core.hermes.places.archives import ArchiveError, Unpacked
from hermes_rescue.core.hermes.places.beside import session_in
from hermes_rescue.core.hermes.places.candidate import date_in
from hermes_rescue.core.hermes.places.search import Search

_KINDS = "Unpack it, or name a session file or export (JSON), a database, a folder, or a zip or tar archive."
_NO_SESSION = "it is not of Hermes WebUI, or this kind of export is not read here (JSON and JSON lines are)."


class Given:
    """Adds places to a search. ``new_folder`` makes a private folder for what is unpacked; ``notes`` says what could
    not be read, ``torn`` are the places that this is about, ``partly`` the archives that were not wanted in full.
    """

    def __init__(self, search: Search, new_folder: Callable[[], Path]) -> None:
        self._search = search
        self._new_folder = new_folder
        self.notes: list[str] = []
        self.torn: set[Path] = set()
        self.partly: set[Path] = set()

    def add(self, path: Path) -> None:
        """A file, a folder or an archive that a person named."""
        self._search.looked.append(str(path))
        noted = len(self.notes)
        if os.path.isdir(path):
            self._many(path, self._walked(path), is_near=True)
        elif not os.access(path, os.R_OK):
            self._note_denied(path)
        elif archives.is_archive(path) or archives.is_packed(path):
            self._many(path, archives.unpack(path, self._new_folder()), is_near=True)
        elif not forms.is_known(path):
            self.notes.append(f"This kind of file is not read here: {shown(path)}. {_KINDS}")
        else:
            self._search.root = path
            if not self._search.given(path, str(path)):
                self.notes.append(f"No session can be read in {shown(path)}: {_NO_SESSION}")
            self._search.root = None
        if len(self.notes) > noted:
            self.torn.add(path)

    def archive(self, path: Path, ids: Collection[str], *, with_databases: bool) -> None:
        """An archive in the home, of which only some sessions are wanted, or its databases too."""
        self._search.looked.append(str(path))

        def wanted(name: str) -> bool:
            is_wanted = (with_databases and ".db" in name) or session_in(name) in ids
            if not is_wanted:
                self.partly.add(path)
            return is_wanted

        self._many(path, archives.unpack(path, self._new_folder(), wanted), is_near=False)

    def _many(self, root: Path, found: Iterator[Unpacked], *, is_near: bool) -> None:
        self._search.root, date = root, date_in(root.name)
        try:
            for each in found:
                where = f"{shown(root)}: {each.name}"
                self._search.given(each.path, where, date or each.changed, is_near=is_near)
        except ArchiveError as error:
            self.notes.append(str(error))
            self.torn.add(root)
        self._search.root = None

    def _note_denied(self, path: Path | str) -> None:
        self.notes.append(f"{shown(path)} could not be read: there is no permission.")

    def _walked(self, folder: Path) -> Iterator[Unpacked]:
        """The files of a folder and those below it, but no links. Raises ArchiveError where there are too many."""
        seen, inner_archives = 0, list[str]()
        for at, folders, names in os.walk(folder, onerror=lambda error: self._note_denied(error.filename)):
            folders[:] = sorted(name for name in folders if name not in archives.PASSED_OVER)
            for name in sorted(names):
                seen += 1
                if seen > archives.MOST_MEMBERS:
                    raise ArchiveError(f"{shown(folder)} was not read in full: it has more than {seen - 1} files.")
                path = Path(at, name)
                if archives.is_archive(path):
                    inner_archives.append(os.path.relpath(path, folder))
                elif archives.may_hold_sessions(name) and path.is_file() and not path.is_symlink():
                    if os.access(path, os.R_OK):
                        yield Unpacked(path, os.path.relpath(path, folder), path.lstat().st_mtime)
                    else:
                        self._note_denied(path)
        if inner_archives:
            raise ArchiveError(f"{shown(folder)} was not read in full: {archives.not_read(inner_archives)}.")
