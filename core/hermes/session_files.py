"""Where the files of sessions lie, held by their names: a store has hundreds of thousands, and a path of each takes
several times the memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path


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
    """From the id of a session to its files, each named by its path below a folder."""

    folder: Path = Path()
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __getitem__(self, session_id: str) -> tuple[Path, ...]:
        return tuple(self.folder / name for name in self.names[session_id])

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
            session_id: tuple(chain.from_iterable(self.names.get(part, ()) for part in of))
            for session_id, of in parts.items()
        }
        return SomeFilesEach(self.folder, {**self.names, **{sid: names for sid, names in found.items() if names}})
