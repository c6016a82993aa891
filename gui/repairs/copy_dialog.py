"""The last look before a session is restored under a new id: that before a repair, in other words."""

from __future__ import annotations

from hermes_rescue.core.repair.plan import Plan
from hermes_rescue.gui.repairs.repair_dialog import RepairDialog
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtWidgets import QWidget


class CopyDialog(RepairDialog):
    """Asks whether the plan of a copy is to be carried out."""

    def __init__(self, plan: Plan, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(plan, theme, parent)
        self.setWindowTitle(self.tr("Restore as a copy"))

    def _question(self) -> str:
        return self.tr("Restore as a copy?") if self._plan.sessions else super()._question()

    def _verb(self) -> str:
        return self.tr("Restore as a copy") if self._plan.sessions else super()._verb()

    def _summary(self) -> str:
        if self._plan.sessions:
            return self.tr("A new session is made of what is recovered. The session itself stays as it is.")
        return super()._summary()
