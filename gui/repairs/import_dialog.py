"""The last look before sessions are brought in from files: that before a repair, in other words."""

from __future__ import annotations

from hermes_rescue.core.repair.plan import Plan
from hermes_rescue.gui.repairs.repair_dialog import RepairDialog
from hermes_rescue.gui.view_model.formatting import counted
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtWidgets import QWidget


class ImportDialog(RepairDialog):
    """Asks whether the plan of an import is to be carried out."""

    def __init__(self, plan: Plan, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(plan, theme, parent)
        self.setWindowTitle(self.tr("Import"))

    def _question(self) -> str:
        n = len(self._plan.sessions)
        if n:
            return self.tr("Import {}?").format(counted(n, "session"))
        if self._whole.sessions:
            return super()._question()
        return self.tr("There is nothing to import: what these files have is here already, or was taken back.")

    def _verb(self) -> str:
        n = len(self._plan.sessions)
        if self._whole.sessions and not n:
            return super()._verb()
        return self.tr("Import {}").format(counted(n, "session")) if n else self.tr("Import")
