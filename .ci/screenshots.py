"""Draws the pictures of the README and of the guide from the demo store, without a screen: python .ci/screenshots.py

It wants fonts that have every character of the stories: fonts-noto-color-emoji and fonts-wqy-zenhei on Debian.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from hermes_rescue.core.audit.store_audit import audit
from hermes_rescue.core.demo.demo_store import DemoStore, make_demo_store
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.gui.background.store_location import StoreLocation
from hermes_rescue.gui.repairs.repair_dialog import RepairDialog
from hermes_rescue.gui.shell.main_window import MainWindow
from PySide6.QtCore import QElapsedTimer, QSettings
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication, QWidget

PICTURES = Path(__file__).parent.parent / "resources" / "pictures"
SIZE, GUIDE_SIZE = (1280, 800), (1120, 800)
COLORS, SHADE = 256, 0xC0C0C0
PATIENCE = 20_000  # milliseconds
WORD = "Naxos"


@contextmanager
def window_on(home: Path, theme: str, session_id: str, size: tuple[int, int] = SIZE) -> Iterator[MainWindow]:
    """The window with a session selected."""
    with tempfile.TemporaryDirectory() as private:
        settings = QSettings(str(Path(private) / "settings.ini"), QSettings.Format.IniFormat)
        settings.setValue("theme", theme)
        window = MainWindow(StoreLocation(home), settings)
        window.resize(*size)
        window.show()
        wait(lambda: window.actions_["export"].isEnabled())
        select(window, session_id)
        yield window
        window.close()
        window.jobs.wait()


def select(window: MainWindow, session_id: str) -> None:
    """Open a session."""
    window.table.select(session_id)
    wait(lambda: window.review.session_id == session_id)


def wait(is_there: Callable[[], bool]) -> None:
    """Let the window work until something is there, and has been painted."""
    clock = QElapsedTimer()
    clock.start()
    while not is_there() and clock.elapsed() < PATIENCE:
        QApplication.processEvents()
    assert is_there()
    for _ in range(50):
        QApplication.processEvents()


def draw(shown: QWidget, name: str) -> None:
    """Keep what it looks like, in few colours: one of each hue and shade, then the most frequent ones. That is
    a third of the bytes, and no eye sees it.
    """
    image = shown.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    pixels = Counter(memoryview(image.constBits()).cast("I"))
    colors = [color for color, _ in pixels.most_common()]
    shades = {color & SHADE: color for color in reversed(colors)}
    table = [*dict.fromkeys([*shades.values(), *colors])][:COLORS]
    image.convertToFormat(QImage.Format.Format_Indexed8, table).save(str(PICTURES / name), quality=0)


def draw_findings(made: DemoStore) -> None:
    """Keep what the window says of each kind of finding that the demo store has."""
    main = {each.session_id: each.main for each in audit(find_store(home=made.home)).sessions}
    examples = {found.name: sid for sid, found in main.items() if found is not None}
    with window_on(made.home, "light", next(iter(main)), GUIDE_SIZE) as window:
        for kind, session_id in examples.items():
            select(window, session_id)
            draw(window.review.head, f"finding-{kind}.png")


def search(window: MainWindow, session_id: str) -> None:
    """Type a word, and open a session that has it."""
    window.tools.filter.setText(WORD)
    hits = window.search.list
    wait(lambda: not window.search.is_busy and hits.hits.row_of(session_id) >= 0)
    hits.setFocus()
    hits.setCurrentIndex(hits.hits.index(hits.hits.row_of(session_id)))
    wait(lambda: window.review.conversation.find_bar.field.text() == WORD)


def repair(window: MainWindow) -> None:
    """Restore the session that is shown."""
    window.review.head.repair.click()
    wait(lambda: isinstance(QApplication.activeModalWidget(), RepairDialog))
    dialog = QApplication.activeModalWidget()
    assert isinstance(dialog, RepairDialog)
    dialog.accept()
    wait(lambda: window.result.isVisible() and window.actions_["export"].isEnabled())
    wait(lambda: not window.review.head.repair.isVisible())


def main() -> None:
    """Draw all of them."""
    app = QApplication(["screenshots"])
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="hermes-") as folder:
        os.environ["HOME"] = folder  # so that the pictures say ~/.hermes
        made = make_demo_store(Path(folder) / ".hermes")
        chosen = {story.name: story.session_id for story in made.stories}
        with window_on(made.home, "dark", chosen["behind_the_database"]) as window:
            draw(window, "window-dark.png")
        draw_findings(made)
        session_id = chosen["wiped_and_continued"]
        with window_on(made.home, "light", session_id) as window:
            draw(window, "window-light.png")
            search(window, session_id)
            draw(window, "window-search.png")
            window.tools.filter.clear()
            repair(window)
            draw(window, "window-done.png")
    app.quit()


if __name__ == "__main__":
    main()
