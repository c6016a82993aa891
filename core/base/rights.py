"""Which right is missing at a file or folder, and what helps: whose it is, as whom this runs, the command.

Only of systems with owners and modes; elsewhere there is nothing to say.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from hermes_rescue.core.base.words import typed


def user(uid: int) -> str:
    """A user in words."""
    name = _name(uid)
    return f"{name} (uid {uid})" if name else f"uid {uid}"


def login(uid: int) -> str:
    """A user as ``sudo -u`` takes it."""
    return _name(uid) or f"#{uid}"


def is_denied(path: Path | str) -> bool:
    """Whether something is there, or may be, that this user may not read."""
    try:
        return not os.access(path, os.R_OK) and not stat.S_ISLNK(os.lstat(path).st_mode)
    except PermissionError:
        return True
    except OSError:
        return False


def cure(path: Path) -> str:
    """Why this user is refused at a path that was just named, and what helps; "" where nobody knows."""
    if sys.platform == "win32":
        return ""
    found = _refusing(path)
    if found is None:
        return ""
    place, status = found
    me, quoted = os.geteuid(), typed([str(place)])
    it = "It" if place == path.absolute() else str(place)
    if status.st_uid == me:
        wanted = stat.S_IRWXU if stat.S_ISDIR(status.st_mode) else stat.S_IRUSR | stat.S_IWUSR
        if status.st_mode & wanted == wanted:
            return ""  # something else refuses
        return f"{it} is closed to its own user, {user(me)}. Open it: chmod u+rwX {quoted}"
    if place == path.absolute() or os.stat(place.parent).st_uid == me:
        helps = f"Give it away: sudo chown {'-R ' if stat.S_ISDIR(status.st_mode) else ''}{_name(me) or me} {quoted}"
    else:  # above all that is this user's
        helps = f"Let others pass: sudo chmod o+x {quoted}"
    run = f"Run it as {user(status.st_uid)}. Or: " if status.st_uid else ""
    return f"{it} belongs to {user(status.st_uid)}, and this runs as {user(me)}. {run}{helps}"


def _refusing(path: Path) -> tuple[Path, os.stat_result] | None:
    """The file, or the folder above it, that refuses, as far as this user can see."""
    found = None
    for place in (*reversed(path.absolute().parents), path.absolute()):
        try:
            status = os.stat(place)
        except OSError:
            break  # the folder above refuses, or is where something would be made
        found = place, status
    return found


def _name(uid: int) -> str:
    if sys.platform == "win32":
        return ""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""
