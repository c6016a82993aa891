"""Draws the pictures of the README from the demo store, without a screen: python .ci/screenshots.py"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from hermes_rescue.core.demo.demo_store import make_demo_store
from hermes_rescue.gui.background.place import Place
from hermes_rescue.gui.shell.main_window import MainWindow
from PySide6.QtCore import QElapsedTimer, QSettings
from PySide6.QtWidgets import QApplication

PICTURES = Path(__file__).parent.parent / "resources" / "pictures"
PATIENCE = 20_000  # milliseconds


def draw(app: QApplication, home: Path, theme: str, session_id: str, size: tuple[int, int], target: Path) -> None:
    """One picture of the window with a session selected."""
    with tempfile.TemporaryDirectory() as private:
        settings = QSettings(str(Path(private) / "settings.ini"), QSettings.Format.IniFormat)
        settings.setValue("theme", theme)
        window = MainWindow(Place(home), settings)
        window.resize(*size)
        window.show()
        wait(app, lambda: window.actions_["export"].isEnabled())
        window.table.select(session_id)
        wait(app, lambda: window.review.session_id == session_id)
        for _ in range(50):
            app.processEvents()
        window.grab().save(str(target))
        window.close()
        window.jobs.wait()


def wait(app: QApplication, is_there: object) -> None:
    """Let the window work until something is there."""
    clock = QElapsedTimer()
    clock.start()
    while callable(is_there) and not is_there() and clock.elapsed() < PATIENCE:
        app.processEvents()


def main() -> None:
    """Draw all of them."""
    app = QApplication(["screenshots"])
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="hermes-") as folder:
        os.environ["HOME"] = folder  # so that the pictures say ~/.hermes
        made = make_demo_store(Path(folder) / ".hermes")
        chosen = {story.name: story.session_id for story in made.stories}
        draw(app, made.home, "light", chosen["wiped_and_continued"], (1280, 800), PICTURES / "window-light.png")
        draw(app, made.home, "dark", chosen["behind_the_database"], (1280, 800), PICTURES / "window-dark.png")


if __name__ == "__main__":
    main()
