"""What the window shows across its whole width, above the sessions, and how it is read out.

Each notice stays until its reason is gone or somebody hides it; none of them stands in the way of anything.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from hermes_rescue.core.audit.findings import NO_ADVICE, Finding, Standing
from hermes_rescue.core.audit.store_audit import Audit
from hermes_rescue.core.hermes.webui_status import WebUIStatus
from hermes_rescue.gui.view_model.formatting import breakable, counted, moment
from hermes_rescue.gui.widgets.theme import ICON_SIZE, Theme
from hermes_rescue.gui.widgets.tips import show_tip
from PySide6.QtCore import QEvent, QObject, QSize, Qt, QUrl, Signal, Slot
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QDesktopServices,
    QHideEvent,
    QKeyEvent,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QGridLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

_MAX_LINES_SHOWN = 2
"""Findings about the store that are shown in full; there may be thousands."""

_AROUND = 12
"""Points around a result that lies over something."""

_FOLDERS = re.compile(r"/(?:[^/\s]+/)+(?=[^/\s])")
"""The folders of a path: where a sentence that begins with it has one line, what has become of it is more."""

_ICONS = {"ok": "healthy", "repair": "warning", "info": "info"}
"""The icon of each token that a notice can have."""


def announce(source: QObject, text: str) -> None:
    """Let a screen reader say a text, wherever the keyboard is."""
    if text:
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(source, text))


class Notice(QFrame):
    """A sentence with an icon, and buttons for what one may want to do about it. Hidden until there is something to
    tell. ``is_folded``: it takes one line, and has a button that opens the rest; ``can_hide``: it can be put away.
    """

    def __init__(
        self, theme: Theme, actions: Sequence[str] = (), *, is_folded: bool = False, can_hide: bool = True
    ) -> None:
        super().__init__()
        self._shown = ""
        self._can_fold = self._is_folded = is_folded
        self._theme = theme
        self._token = "info"
        self._icon = QLabel()
        self._text = QLabel()
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setWordWrap(not is_folded)
        if is_folded:
            self._text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._fold = QToolButton()
        self._fold.setText(self.tr("More"))
        self._fold.setProperty("link", True)
        self._fold.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._fold.clicked.connect(self._turn)
        self.buttons = tuple(QPushButton(words) for words in actions)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(14, 6, 14, 6)
        self._grid.setHorizontalSpacing(8)
        self._grid.setColumnStretch(1, 1)
        self._grid.addWidget(self._icon, 0, 0)
        self._grid.addWidget(self._text, 0, 1)
        for at, button in enumerate((self._fold, *self.buttons), 2):
            self._grid.addWidget(button, 0, at)
        self._close = QToolButton()
        self._close.setProperty("flat", True)
        self._close.setToolTip(self.tr("Hide this message"))
        self._close.setAccessibleName(self._close.toolTip())
        self._close.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._close.clicked.connect(self.put_away)
        self._close.setVisible(can_hide)
        self._grid.addWidget(self._close, 0, 2 + len((self._fold, *self.buttons)))
        self.hide()

    @property
    def text(self) -> str:
        """What it says; nothing while it is hidden."""
        return "" if self.isHidden() else self._shown

    def show_text(self, text: str, token: str) -> None:
        """Show a sentence, in the colours of "ok", "repair" or "info", and have it read out where it is new."""
        is_new = text != self.text
        self._token = token
        if is_new:
            self._is_folded = self._can_fold
        self._shown = text
        self._fit()
        self.setAccessibleName(text)
        self.setProperty("notice", token)
        self.style().polish(self)
        self.set_theme(self._theme)
        self.show()
        if is_new:
            announce(self, text)

    @Slot()
    def put_away(self) -> None:
        """Somebody has read it."""
        self.hide()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Called by Qt."""
        super().resizeEvent(event)
        self._fit()

    @Slot()
    def _turn(self) -> None:
        self._is_folded = not self._is_folded
        self._fit()

    def _fit(self) -> None:
        """Show what there is room for: everything, or the beginning of the first line."""
        line = self._shown.split("\n", 1)[0]
        first = line[path.end() :] if (path := _FOLDERS.match(line)) else line
        metrics = self._text.fontMetrics()
        is_long = first != self._shown or metrics.horizontalAdvance(first) > self._text.width()
        if self._can_fold:  # open, it has the whole width, below the buttons
            self._grid.addWidget(self._text, *((0, 1) if self._is_folded else (1, 0, 1, self._grid.columnCount())))
        self._fold.setText(self.tr("More") if self._is_folded else self.tr("Less"))
        self._fold.setVisible(self._can_fold and (is_long or not self._is_folded))
        self._text.setWordWrap(not self._is_folded)
        self._grid.activate()  # the button takes room from the text
        beginning = metrics.elidedText(first, Qt.TextElideMode.ElideRight, self._text.width())
        self._text.setText(beginning if self._is_folded else self._shown)

    def set_theme(self, theme: Theme) -> None:
        """Draw the icons anew."""
        self._theme = theme
        self._icon.setPixmap(theme.icon(_ICONS[self._token], self._token).pixmap(ICON_SIZE))
        self._close.setIcon(theme.icon("close", self._token))
        self._close.setIconSize(QSize(14, 14))


class ResultBar(Notice):
    """What a work came to, with what one may want next. It lies over the foot of another widget, and moves nothing. Esc
    puts it away wherever no other part of the window takes that key. ``left``: it was put away, with the keyboard;
    ``covering`` carries how many points at the foot of the other widget are covered now.
    """

    left = Signal()
    covering = Signal(int)

    def __init__(self, theme: Theme, over: QWidget) -> None:
        words = (
            self.tr("Open in Hermes WebUI"),
            self.tr("Open"),
            self.tr("Show in folder"),
            self.tr("Undo"),
            self.tr("Export report…"),
        )
        super().__init__(theme, words)
        self._webui, self._open, self._folder, undo, export = self.buttons
        self._undoing = (undo, export)
        self.undo_requested, self.export_requested = undo.clicked, export.clicked
        self._page, self._saved, self._beside = "", Path(), ""
        self._webui.clicked.connect(lambda: self._open_there(QUrl(self._page), self._page))
        self._open.clicked.connect(lambda: self._open_file(self._saved))
        self._folder.clicked.connect(lambda: self._open_file(self._saved.parent))
        self.setProperty("result", True)
        self.setParent(over)
        over.installEventFilter(self)

    def show_outcome(
        self,
        text: str,
        *,
        good: bool,
        can_undo: bool = False,
        page: str = "",
        saved: Path | None = None,
        beside: str = "",
    ) -> None:
        """Show an outcome. ``page``: the address of what was repaired in the WebUI; ``saved``: the file that was
        written, or the folder of several; ``beside``: the end of ``text`` that holds only while the WebUI runs.
        """
        self._page, self._saved, self._beside = page, saved or Path(), beside
        for button in self._undoing:
            button.setVisible(can_undo)
        self._webui.setVisible(bool(page))
        self._open.setVisible(saved is not None)
        self._folder.setVisible(saved is not None and not saved.is_dir())
        self.show_text(text, "ok" if good else "repair")
        self._place()

    def _open_file(self, path: Path) -> None:
        self._open_there(QUrl.fromLocalFile(str(path)), str(path))

    def _open_there(self, url: QUrl, name: str) -> None:
        """Open something in the program that the system has for it; say so where it has none."""
        if not QDesktopServices.openUrl(url):
            self.show_text(self.tr("No program was found that opens {}.").format(breakable(name)), "repair")
            self._place()

    def show_webui(self, address: str, *, is_running: bool) -> None:
        """Offer the page, and say what is to be done there, as long as the WebUI runs. ``address``: where one answers
        now, "" for none.
        """
        self._webui.setVisible(bool(address) and self._page.startswith(address))
        if self._beside and not is_running and not self.isHidden():
            self.show_text(self.text.removesuffix(self._beside), self._token)
            self._beside = ""
        self._place()

    @Slot()
    def put_away(self) -> None:
        """Somebody has read it."""
        focused = QApplication.focusWidget()
        had_keyboard = focused is not None and self.isAncestorOf(focused)
        super().put_away()
        if had_keyboard:
            self.left.emit()

    def showEvent(self, event: QShowEvent) -> None:
        """Called by Qt."""
        super().showEvent(event)
        self.window().installEventFilter(self)

    def hideEvent(self, event: QHideEvent) -> None:
        """Called by Qt."""
        super().hideEvent(event)
        self.covering.emit(0)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Called by Qt for every event of the widget below, and of the window: that has the keys that nobody took."""
        if event.type() in (QEvent.Type.Resize, QEvent.Type.Show, QEvent.Type.LayoutRequest):
            self._place()
        pressed = event.key() if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress else None
        if pressed == Qt.Key.Key_Escape and not self.isHidden():
            self.put_away()
            return True
        return super().eventFilter(watched, event)

    def _place(self) -> None:
        over = self.parentWidget()
        if over is not None and not self.isHidden():
            width = max(over.width() - 2 * _AROUND, 1)
            layout = self.layout()
            height = max(self.sizeHint().height(), layout.totalHeightForWidth(width) if layout is not None else 0)
            self.setGeometry(_AROUND, over.height() - height - _AROUND, width, height)
            self.raise_()
            self.covering.emit(height + 2 * _AROUND)


class StoreNotices(QWidget):
    """What is to be known about the store as a whole."""

    rescan_requested = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        rescan = (self.tr("Rescan"),)
        self.webui = Notice(theme, is_folded=True)
        self.waiting = Notice(theme, (self.tr("Do not wait"),), is_folded=True, can_hide=False)
        self.store = Notice(theme, rescan, is_folded=True)
        self.changed = Notice(theme, rescan, is_folded=True)
        self.places = Notice(theme, (self.tr("Import…"),), is_folded=True)
        self.healthy = Notice(theme)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        for notice in self._all():
            column.addWidget(notice)
        for notice in (self.store, self.changed):
            notice.buttons[0].clicked.connect(self.rescan_requested)

    def _all(self) -> tuple[Notice, ...]:
        return self.webui, self.waiting, self.store, self.changed, self.places, self.healthy

    def begin(self) -> None:
        """A check begins: what the last one said about the store is no longer known."""
        for notice in (self.store, self.changed, self.places, self.healthy):
            notice.hide()

    def reset(self) -> None:
        """Another store: nothing is known of it."""
        self.begin()
        self.webui.hide()

    def show_webui(self, webui: WebUIStatus) -> None:
        """Say what is and what is not possible while the WebUI runs."""
        if webui.running:
            now = (
                self.tr("Lost sessions, and those that only gain messages, can be restored now.")
                if webui.reloads
                else self.tr("Lost sessions can be restored now.")
            )
            text = self.tr("Some repairs wait: Hermes WebUI is running. {} For the others, stop it: {}.")
            self.webui.show_text(text.format(now, breakable(webui.how_to_stop)), "info")
            show_tip(self.webui, webui.evidence)
        else:
            self.webui.hide()

    def show_audit(self, audit: Audit, counts: Mapping[Standing, int]) -> None:
        """Say what was found about the store itself just now, or else, where nothing is to be done, that all is well
        and when that was checked.
        """
        found = audit.store_findings
        if found:
            lines = [self._sentence(finding) for finding in found[:_MAX_LINES_SHOWN]]
            if len(found) > _MAX_LINES_SHOWN:
                lines.append(
                    self.tr("{} in the report.").format(counted(len(found) - _MAX_LINES_SHOWN, "more is", "more are"))
                )
            self.store.show_text("\n".join(lines), "repair")
            show_tip(self.store, "\n".join(f.evidence for f in found[:10]))
        elif audit.sessions and not counts[Standing.REPAIRABLE] and not counts[Standing.REVIEW]:
            text = self.tr("Nothing to repair in {}, {}.")
            self.healthy.show_text(text.format(counted(len(audit.sessions), "session"), moment(time.time())), "ok")

    @staticmethod
    def _sentence(finding: Finding) -> str:
        evidence = breakable(finding.evidence).removesuffix(".") + "."
        return evidence if finding.advice == NO_ADVICE else f"{evidence} {finding.advice}"

    def show_changed(self) -> None:
        """Say that what is shown may no longer be so."""
        self.changed.show_text(self.tr("The sessions have changed on the disk since they were checked."), "info")

    def set_theme(self, theme: Theme) -> None:
        """Draw the icons anew."""
        for notice in self._all():
            notice.set_theme(theme)
