"""What this program is: version, licences, and what a bug report has to say."""

from __future__ import annotations

from hermes_rescue.core.audit.store_audit import Audit
from hermes_rescue.core.base.program import licences, version
from hermes_rescue.core.report.diagnostics import diagnostics, text_of
from hermes_rescue.gui.widgets.fitting import resize_within_screen
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QDialog, QDialogButtonBox, QLabel, QPlainTextEdit, QVBoxLayout, QWidget


class AboutDialog(QDialog):
    """Shows version and licences, and copies the diagnostics of what is known of the store."""

    def __init__(self, audit: Audit | None, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("About Hermes Rescue"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._audit = audit
        words = QLabel(
            self.tr("Hermes Rescue {}\nFinds and repairs lost or damaged Hermes conversations.\nMIT licence.").format(
                version()
            )
        )
        made_with = QLabel(self.tr("&Made with the work of others, under these licences:"))
        texts = QPlainTextEdit(licences())
        texts.setReadOnly(True)
        texts.setTabChangesFocus(True)
        texts.setAccessibleName(self.tr("Licences"))
        made_with.setBuddy(texts)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.copy = buttons.addButton(self.tr("&Copy diagnostics"), QDialogButtonBox.ButtonRole.ActionRole)
        self.copy.setToolTip(
            self.tr("Versions, platform and counts of findings for a bug report: no path, title or text")
        )
        self.copy.clicked.connect(self._copy)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(10)
        for widget in (words, made_with, texts, buttons):
            column.addWidget(widget)
        resize_within_screen(self, 680, 520)

    def _copy(self) -> None:
        QApplication.clipboard().setText(text_of(diagnostics(self._audit)))
        self.copy.setText(self.tr("Diagnostics copied"))
