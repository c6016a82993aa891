"""Where the files of sessions lie, held by their names: a store has hundreds of thousands, and a path of each takes
several times the memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_BETWEEN = "\0"
"""No name of a file has it."""


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
    """From the id of a session to its files. ``names``: the path of each below a folder, joined with zero bytes."""

    folder: Path = Path()
    names: dict[str, str] = field(default_factory=dict)

    @classmethod
    def named(cls, folder: Path, names: Mapping[str, Iterable[str]]) -> SomeFilesEach:
        """The files with these names; a session without any is none of them."""
        joined = {session_id: _BETWEEN.join(some) for session_id, some in names.items()}
        return cls(folder, {session_id: some for session_id, some in joined.items() if some})

    def __getitem__(self, session_id: str) -> tuple[Path, ...]:
        return tuple([self.folder / name for name in self.names[session_id].split(_BETWEEN)])

    def texts(self, session_id: str) -> list[str]:
        """The paths of its files as texts, which takes far less time."""
        begin = f"{self.folder}{os.sep}"
        names = self.names.get(session_id)
        return [begin + name for name in names.split(_BETWEEN)] if names else []

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
        found = {
            session_id: [self.names[part] for part in of if part in self.names] for session_id, of in parts.items()
        }
        return SomeFilesEach(self.folder, {**self.names, **SomeFilesEach.named(self.folder, found).names})
