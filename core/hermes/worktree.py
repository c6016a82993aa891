"""Git worktrees as Hermes makes them: ``<repo>/.worktrees/hermes-<8 hex>`` (formats.md, "Worktrees").
Git itself is not run, since a repository's configuration can make it run programs. Its own files are read.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from hermes_rescue.core.base import files
from hermes_rescue.core.base.errors import UnreadableError

_PATH = re.compile(r"(?P<root>.+)/\.worktrees/(?P<name>hermes-[0-9a-f]{8})(?:/.*)?", re.DOTALL)
_MAX_GIT_FILE_BYTES = 1 << 24  # bytes; a larger file is none of git's


class Worktree(StrEnum):
    """The state of a session's worktree folder."""

    NONE = "none"
    THERE = "there"
    BRANCH_LEFT = "gone, branch left"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class WorktreePath:
    """What the path of a worktree says: the root of its repository and its own name."""

    root: str
    name: str

    @property
    def path(self) -> str:
        """The worktree's folder."""
        return f"{self.root}/.worktrees/{self.name}"

    @property
    def usual_branch(self) -> str:
        """The branch that Hermes makes for it."""
        return f"hermes/{self.name}"

    def is_of(self, session_id: str) -> bool:
        """Whether it is named after a session."""
        return self.name.removeprefix("hermes-") == session_id[:8]


def worktree_path_of(path: object) -> WorktreePath | None:
    """Read a path that lies in a worktree; None for any other."""
    found = _PATH.fullmatch(path) if isinstance(path, str) else None
    return WorktreePath(found["root"], found["name"]) if found else None


def state_of(path: str | None, branch: str | None, repo_root: str | None) -> Worktree:
    """Whether a worktree's folder and branch are there."""
    if not path:
        return Worktree.NONE
    if os.path.isdir(path):
        return Worktree.THERE
    if branch and repo_root:
        git = Path(repo_root, ".git")
        if _read(git / "refs" / "heads" / branch) or f" refs/heads/{branch}\n" in _read(git / "packed-refs"):
            return Worktree.BRANCH_LEFT
    return Worktree.GONE


def _read(path: Path) -> str:
    try:
        return files.read_regular(path, _MAX_GIT_FILE_BYTES).decode("utf-8", "replace")
    except (OSError, ValueError, UnreadableError):
        return ""
