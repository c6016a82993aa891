"""Where the files of sessions lie, held by their names: a store has hundreds of thousands, and a path of each takes
several times the memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

_BETWEEN, _ID = "\0", "/"
"""No name of a file has them, nor does a path below a folder begin with the second."""


@dataclass(frozen=True, slots=True, eq=False)
class OneFileEach(Mapping[str, Path]):
    """From the id of a session to its file in a folder, whose name is the id and an ending."""

    folder: Path = Path()
    ending: str = ""
    ids: dict[str, None] = field(default_factory=dict)

    def __getitem__(self, session_id: str) -> Path:
        if session_id not in self.ids:
            raise KeyError(session_id)
        return self.folder / f"{session_id}{self.ending}"

    def texts(self, session_id: str) -> list[str]:
        """The path of its file as a text, which takes far less time; nothing where there is none."""
        return [f"{self.folder}{os.sep}{session_id}{self.ending}"] if session_id in self.ids else []

    def __contains__(self, session_id: object) -> bool:
        return session_id in self.ids

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def of(self, session_ids: Iterable[str]) -> OneFileEach:
        """Those of some sessions."""
        return OneFileEach(self.folder, self.ending, {each: None for each in session_ids if each in self.ids})


@dataclass(frozen=True, slots=True, eq=False)
class SomeFilesEach(Mapping[str, tuple[Path, ...]]):
    """From the id of a session to its files. ``names``: the path of each below a folder, joined with zero bytes; one
    that begins with the id has a slash in its place.
    """

    folder: Path = Path()
    names: dict[str, str] = field(default_factory=dict)

    @classmethod
    def named(cls, folder: Path, names: Mapping[str, Iterable[str]]) -> SomeFilesEach:
        """The files with these names; a session without any is none of them."""
        return cls(folder, {each: joined for each, some in names.items() if (joined := _joined(each, some))})

    def __getitem__(self, session_id: str) -> tuple[Path, ...]:
        if session_id not in self.names:
            raise KeyError(session_id)
        return tuple([self.folder / name for name in self._of(session_id)])

    def texts(self, session_id: str) -> list[str]:
        """The paths of its files as texts, which takes far less time."""
        begin = f"{self.folder}{os.sep}"
        return [begin + name for name in self._of(session_id)]

    def _of(self, session_id: str) -> list[str]:
        names = self.names.get(session_id)
        split = names.split(_BETWEEN) if names else ()
        return [session_id + name[1:] if name.startswith(_ID) else name for name in split]

    def __contains__(self, session_id: object) -> bool:
        return session_id in self.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def of(self, session_ids: Iterable[str]) -> SomeFilesEach:
        """Those of some sessions."""
        return SomeFilesEach(self.folder, {each: self.names[each] for each in session_ids if each in self.names})

    def with_parts(self, parts: Mapping[str, Sequence[str]]) -> SomeFilesEach:
        """With the files of several ids under the one that they are parts of."""
        found = {session_id: [name for part in of for name in self._of(part)] for session_id, of in parts.items()}
        return SomeFilesEach(self.folder, {**self.names, **SomeFilesEach.named(self.folder, found).names})


def _joined(session_id: str, names: Iterable[str]) -> str:
    short = (_ID + name.removeprefix(session_id) if name.startswith(session_id) else name for name in names)
    return _shared(_BETWEEN.join(short))


@lru_cache(maxsize=64)
def _shared(names: str) -> str:
    """The same text for sessions whose files differ in the id alone, as those of one server do."""
    return names
