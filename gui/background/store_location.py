"""Which store the window is about."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hermes_rescue.core.demo.demo_store import make_demo_store
from hermes_rescue.core.hermes.store import Store, find_store
from hermes_rescue.gui.background.jobs import Context
from PySide6.QtCore import QMimeData


@dataclass(frozen=True, slots=True)
class StoreLocation:
    """Which store to open: as on the terminal, nothing named means the usual places. ``also``: where to look for copies
    as well, which lasts as long as it is open.
    """

    home: Path | None = None
    session_dir: Path | None = None
    state_dbs: tuple[Path, ...] = ()
    also: tuple[Path, ...] = ()

    @classmethod
    def of(cls, folder: Path) -> StoreLocation:
        """The place of a folder that a person chose or dropped: a home, or a sessions folder."""
        return cls(session_dir=folder) if folder.name == "sessions" else cls(home=folder)

    def find(self) -> Store:
        """Raises RescueError; a further place that is no longer there is passed over."""
        also = [path for path in self.also if os.path.exists(path)]
        return find_store(home=self.home, session_dir=self.session_dir, state_dbs=self.state_dbs, also=also)

    @property
    def options(self) -> Sequence[str]:
        """The options that name it on the terminal."""
        options = ["--home", str(self.home)] if self.home is not None else []
        options += ["--session-dir", str(self.session_dir)] if self.session_dir is not None else []
        for path in self.state_dbs:
            options += ["--state-db", str(path)]
        for path in self.also:
            options += ["--also", str(path)]
        return options


def dropped_paths(data: QMimeData) -> tuple[Path, ...]:
    """The files and folders in what is dropped."""
    return tuple(Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile())


def make_demo(folder: Path) -> Callable[[Context], Path]:
    """A job that makes a demo store in a folder, or in a new one inside it; its result is the home."""

    def work(_: Context) -> Path:
        home = folder if not any(folder.iterdir()) else folder / "hermes-demo"
        return make_demo_store(home).home

    return work


def page_of(address: str, session_ids: Sequence[str]) -> str:
    """Where a running WebUI shows a session, or of several its list; "" where its address is not known."""
    if not address or len(session_ids) != 1:
        return address
    return f"{address.rstrip('/')}/session/{session_ids[0]}"


def short_path(store: Store) -> str:
    """Where a store is, as one would say it."""
    place = store.home or store.sessions_dir
    try:
        return f"~/{place.relative_to(Path.home())}"
    except ValueError:
        return str(place)
