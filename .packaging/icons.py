"""The icon of the program in the sizes and forms that desktops ask for: icons.py FOLDER"""

from __future__ import annotations

import os
import sys
from importlib.resources import files
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"

from PySide6.QtGui import QGuiApplication, QIcon, QPixmap

SIZES = (16, 22, 24, 32, 48, 64, 128, 256, 512)
NAME = "hermes-rescue"


def main() -> None:
    """Write them below the folder that is named: ``hicolor`` for Linux, one file each for Windows and macOS."""
    folder = Path(sys.argv[1])
    _application = QGuiApplication([NAME])
    drawing = files("hermes_rescue.resources").joinpath("icons", "app.svg")
    icon = QIcon(str(drawing))
    for size in SIZES:
        save(icon.pixmap(size), folder / "hicolor" / f"{size}x{size}" / "apps" / f"{NAME}.png")
    scalable = folder / "hicolor" / "scalable" / "apps" / f"{NAME}.svg"
    scalable.parent.mkdir(parents=True, exist_ok=True)
    scalable.write_bytes(drawing.read_bytes())
    save(icon.pixmap(256), folder / f"{NAME}.ico")
    save(icon.pixmap(512), folder / f"{NAME}.icns")


def save(picture: QPixmap, path: Path) -> None:
    """Write a picture in the form that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not picture.save(str(path)):
        raise SystemExit(f"{path} could not be written.")


if __name__ == "__main__":
    main()
