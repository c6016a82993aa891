"""The libraries of the system that the window needs, by the Debian packages that have them.

It imports nothing of this program: ``.ci/prepare`` runs it by its path, before anything is installed.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping

QT: Mapping[str, str] = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libfontconfig.so.1": "libfontconfig1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libdbus-1.so.3": "libdbus-1-3",
    "libglib-2.0.so.0": "libglib2.0-0",
}
"""What Qt itself needs, also to make a PDF without a screen."""

X11: Mapping[str, str] = {
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
}
"""What a window needs besides on an X11 screen."""

WAYLAND: Mapping[str, str] = {"libwayland-cursor.so.0": "libwayland-cursor0"}
"""What a window needs besides on a Wayland screen."""


def missing_packages(*groups: Mapping[str, str]) -> list[str]:
    """The packages whose library cannot be loaded; none on systems other than Linux, where Qt brings what it needs."""
    if sys.platform != "linux":
        return []
    return [package for libraries in groups for library, package in libraries.items() if not _loads(library)]


def install_line(packages: list[str]) -> str:
    """What an administrator types on Debian and Ubuntu."""
    return f"sudo apt-get install -y {' '.join(packages)}"


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    print(*missing_packages(QT, *([X11, WAYLAND] if "screen" in sys.argv else [])))
