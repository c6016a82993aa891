"""Links the packages into ``build/editable/hermes_rescue`` for an editable installation.

They are installed as ``hermes_rescue.core``, ``.gui`` and ``.resources``, while their folders lie at the top of the
checkout.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGES = ("core", "gui", "resources")


class EditableLinks(BuildHookInterface[Any]):
    """Makes the links where they are missing; a build of anything else is left alone."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before each build; ``version`` is "editable" for an editable installation."""
        if version != "editable":
            return
        namespace = Path(self.root, "build", "editable", "hermes_rescue")
        namespace.mkdir(parents=True, exist_ok=True)
        for package in PACKAGES:
            link = namespace / package
            if not link.is_symlink():
                link.symlink_to(Path("..", "..", "..", package), target_is_directory=True)
