"""Root in another user's home: the program becomes that user, for good, before anything there is opened.

What it makes is theirs then, they can read it, and whatever they put in the way leads nowhere they could not go
themselves.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from hermes_rescue.core.base.errors import RescueError
from hermes_rescue.core.base.rights import login, user

_PART = re.compile(r"hermes_rescue\.\w+")
LOADED_LATE = (
    "email.parser",
    "fcntl",
    "filelock",
    "importlib.metadata",
    "importlib.readers",
    "jinja2",
    "multiprocessing.popen_spawn_posix",
    "multiprocessing.resource_tracker",
    "multiprocessing.spawn",
    "ssl",
)
"""What this program and Python load only when it is needed."""


class Owner(NamedTuple):
    """A user and a group."""

    uid: int
    gid: int


_process = {"is ours": False}


def take_process() -> None:
    """This process does nothing but run this program, so it may become another user."""
    _process["is ours"] = True


def become_owner(folders: Sequence[Path]) -> None:
    """Where root runs this, become the owner of the first of some folders that is there. There is no way back, so it is
    done only in a process that was taken for it (:func:`take_process`).

    Raises RescueError where that is impossible, or does not open that folder.
    """
    owner = _foreign_owner(folders) if _process["is ours"] else None
    if owner is None:
        return
    _load_everything()
    place = next(folder for folder in folders if folder.exists())
    try:
        _become(owner)
    except OSError as error:
        raise _impossible(place, owner, error.strerror or str(error)) from error
    try:
        os.scandir(place).close()
    except OSError as error:
        from hermes_rescue.core.base.files import sentence

        raise RescueError(f"{sentence(error, place)} Nothing was changed.") from error


def require_owner(folders: Sequence[Path]) -> None:
    """Raises RescueError where root would write into another user's folders."""
    owner = _foreign_owner(folders)
    if owner is not None:
        raise _impossible(folders[0], owner, "it was not tried")


def _impossible(place: Path, owner: Owner, why: str) -> RescueError:
    from hermes_rescue.core.base.files import shown

    who = shlex.quote(login(owner.uid))
    return RescueError(
        f"{shown(place)} belongs to {user(owner.uid)}, and this runs as root and cannot become that user: {why}."
        f" Nothing was changed. Run the same as that user, with this before it: sudo -u {who}"
    )


def _foreign_owner(folders: Sequence[Path]) -> Owner | None:
    """Whom root has to become; None for anybody but root, and where everything is root's."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    for folder in folders:
        with suppress(OSError):
            found = os.lstat(folder)
            if stat.S_ISLNK(found.st_mode) and found.st_uid != 0:
                return Owner(found.st_uid, found.st_gid)  # wherever it leads
    for folder in folders:
        with suppress(OSError):
            found = os.stat(folder)
            owner = Owner(found.st_uid, found.st_gid)
            if owner.uid == 0:
                owner = _usual_owner(folder, owner)
            return owner if owner.uid != 0 else None
    return None


def usual_mode(folder: Path) -> int | None:
    """The permissions of most session files in a folder, for one that is made there. None where there are none."""
    modes = Counter(stat.S_IMODE(each.st_mode) for each in _session_files(folder))
    return modes.most_common(1)[0][0] & 0o666 | 0o600 if modes else None


def _usual_owner(folder: Path, otherwise: Owner) -> Owner:
    """The owner of most session files in a folder: root can have made it for somebody else."""
    owners = Counter(Owner(each.st_uid, each.st_gid) for each in _session_files(folder))
    return owners.most_common(1)[0][0] if owners else otherwise


def _session_files(folder: Path) -> list[os.stat_result]:
    found = []
    with suppress(OSError), os.scandir(folder) as entries:
        for each in entries:
            if each.name.endswith((".json", ".json.bak")) and each.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):
                    found.append(each.stat(follow_symlinks=False))
    return found


def _become(owner: Owner) -> None:
    if sys.platform == "win32":  # nobody is root there
        return
    import pwd

    try:
        known = pwd.getpwuid(owner.uid)
    except KeyError:  # of another computer, or of the host of a container
        os.setgroups([owner.gid])
        os.setgid(owner.gid)
        os.setuid(owner.uid)
        return
    groups = os.getgrouplist(known.pw_name, known.pw_gid)
    os.setgroups(groups)
    os.setgid(owner.gid if owner.gid in groups else known.pw_gid)
    os.setuid(owner.uid)
    os.environ.update(HOME=known.pw_dir, USER=known.pw_name, LOGNAME=known.pw_name)


def _load_everything() -> None:
    """Load what would be loaded later: it may lie where only root can read it."""
    import encodings
    import pkgutil

    for package in (encodings, *(sys.modules[name] for name in [*sys.modules] if _PART.fullmatch(name))):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                with suppress(ImportError):  # of another system
                    import_module(module.name)
    for name in LOADED_LATE:
        import_module(name)
    unpacked = getattr(sys, "_MEIPASS", "")
    if os.path.basename(unpacked).startswith("_MEI"):  # what a single file unpacks for root alone: this program only
        for folder, _, names in os.walk(unpacked):
            for path in (folder, *(os.path.join(folder, name) for name in names)):
                os.chmod(path, 0o755)
