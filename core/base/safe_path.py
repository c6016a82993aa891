"""No code from the folder in which the program happens to be started: it is anybody's, as an agent's workspace is.

Loads nothing that is not part of every Python already.
"""

import os
import sys


def leave_current_folder(*, is_module: bool) -> None:
    """Keep Python from looking for modules in the current folder. ``is_module``: it was started with ``-m``, which
    looks there first.
    """
    if is_module and not sys.flags.safe_path:
        del sys.path[0]
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if "" in named:  # an empty place is the current folder, also to every Python that is started from here
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, named))
        sys.path[:] = [place for place in sys.path if place in named or not _is_current_folder(place)]


def _is_current_folder(place: str) -> bool:
    try:
        return os.path.samefile(place, os.curdir)
    except OSError:
        return False
