"""How a command was called: on which store, how loud, and how it is called again."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from hermes_rescue.core.base.errors import RescueError
from hermes_rescue.core.base.program import NAME
from hermes_rescue.core.base.words import typed

if TYPE_CHECKING:
    from hermes_rescue.core.hermes.store import Store

_MODULE = ("-m", "hermes_rescue.core")


@dataclass(frozen=True, slots=True)
class Call:
    """The options that every command on a store has: what names the store, as it was given, ``is_quiet``, and whether
    progress is reported to a program, in lines.
    """

    home: Path | None = None
    session_dir: Path | None = None
    state_dbs: Sequence[Path] = ()
    also: Sequence[Path] = ()
    is_quiet: bool = False
    has_progress_lines: bool = False

    @property
    def options(self) -> tuple[str, ...]:
        """The words that name the store."""
        return tuple(word for option, path in self._named() for word in (option, str(path)))

    def command(self, *words: str) -> str:
        """A command of this program on the same store, to be copied into a shell."""
        return typed((*program(), *words, *self.options))

    def find_store(self) -> Store:
        """The store that is meant. Raises RescueError where there is none."""
        from hermes_rescue.core.hermes.store import find_store, has_any_session

        store = find_store(home=self.home, session_dir=self.session_dir, state_dbs=self.state_dbs, also=self.also)
        if self.session_dir is not None and not has_any_session(store):
            raise RescueError(
                f"There is no session in {store.sessions_dir}. Name the folder that holds the *.json files."
            )
        return store

    def _named(self) -> Iterator[tuple[str, Path]]:
        for option, path in (("--home", self.home), ("--session-dir", self.session_dir)):
            if path is not None:
                yield option, path
        for option, paths in (("--state-db", self.state_dbs), ("--also", self.also)):
            yield from ((option, path) for path in paths)


def program() -> tuple[str, ...]:
    """The words that this program was started with, as a person types them."""
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        return ("python3" if shutil.which("python3") == sys.executable else sys.executable, *_MODULE)
    if not os.path.dirname(sys.argv[0]) or shutil.which(started.name) == str(started):
        return (NAME if started.name in ("", "-c") else started.name,)
    return (sys.argv[0],)  # a Path would lose the "./"


def again(words: Sequence[str] | None = None) -> str:
    """This very command once more, or with other words; to be copied into a shell."""
    return typed((*program(), *(sys.argv[1:] if words is None else words)))


def named(text: str) -> str:
    """A word that names a file or folder. Raises BadParameter for an empty one, which Python takes for the current
    folder: it is what a variable gives that nobody has set.
    """
    if not text:
        raise click.BadParameter("It is empty. Name a file or folder (the current one is called '.').")
    return text


def place(text: str) -> Path:
    """The same as a path."""
    return Path(named(text))


_OPTIONS = (
    click.option("--home", type=place, metavar="DIR", help="The Hermes home (default: found as Hermes does)."),
    click.option("--session-dir", type=place, metavar="DIR", help="A sessions folder, in place of a home."),
    click.option(
        "--state-db",
        "state_dbs",
        multiple=True,
        type=place,
        metavar="FILE",
        help="A state.db to read; can be given more than once.",
    ),
    click.option(
        "--also",
        multiple=True,
        type=place,
        metavar="PATH",
        help="A further place to look in: a file, a folder, an old home, an archive, a database; repeatable.",
    ),
    click.option(
        "--quiet",
        "-q",
        "is_quiet",
        is_flag=True,
        help="Print errors only; the exit status says the rest. JSON is still printed.",
    ),
    click.option(
        "--json-progress",
        "has_progress_lines",
        is_flag=True,
        help="Write progress and errors to stderr as JSON lines, for programs.",
    ),
)


def on_a_store(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options of a :class:`Call`, behind its own; it gets them as its argument ``call``."""

    @wraps(command)
    def called(**given: Any) -> int:
        return command(call=Call(**{each.name: given.pop(each.name) for each in fields(Call)}), **given)

    for option in reversed(_OPTIONS):  # decorators are applied from below
        called = option(called)
    return called
