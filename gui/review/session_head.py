"""The head of the session that is shown: title, what happened and what comes back, and its own button.

It has one height, whatever it says: what there is more to say opens over the window.
"""

from __future__ import annotations

from collections.abc import Sequence

from hermes_rescue.core.audit.findings import Category, SessionAudit, Standing
from hermes_rescue.core.merge.proposal import Proposal
from hermes_rescue.gui.review.answers import AnswersPopup
from hermes_rescue.gui.view_model.formatting import counted, long_day
from hermes_rescue.gui.view_model.session_line import worktree_words
from hermes_rescue.gui.widgets.elided_label import ElidedLabel
from hermes_rescue.gui.widgets.panes import ENTRY, in_reading_order
from hermes_rescue.gui.widgets.short_text import ShortText
from hermes_rescue.gui.widgets.theme import Theme, heading_font
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtGui import QFont, QFontMetrics, QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

translate = QCoreApplication.translate

_GAP, _SIDE = 10, 16  # points between the parts, and beside everything
_HEIGHT = 13.0  # lines of text
_MANY = 999
"""Messages that a button beside the words has room for."""
_LINES = 2
"""Lines that there are for what happened."""
_NARROW = 72
"""Average characters that fit beside the buttons where it takes one line more to say what happened."""


class SessionHead(QWidget):
    """The head of the review, with the picture of the copies below the words and the buttons beside both."""

    def __init__(self, picture: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = ElidedLabel()
        self.about = ElidedLabel()
        self.about.setProperty("muted", True)
        self.evidence = ShortText()
        self.repair = QPushButton(self.tr("Restore this session"))
        self.repair.setProperty("primary", True)
        self.repair.setProperty(ENTRY, True)
        self.leave = QPushButton(self.tr("Leave it as it is"))
        self.why = QToolButton()
        self.why.setText(self.tr("Why? What happens?"))
        self.why.setProperty("link", True)
        self.popup = AnswersPopup(self)
        self.why.clicked.connect(lambda: self.popup.open_below(self.why))
        self._usual = self._restores = self.repair.text()
        self._picked = 0
        self._has_answer = self._can_restore = False
        self._lay_out(picture)
        self._fit_to_font()
        self.clear()

    def _lay_out(self, picture: QWidget) -> None:
        self._content = QWidget()
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self._content)
        row = QHBoxLayout(self._content)
        row.setContentsMargins(0, 12, _SIDE, 0)
        row.setSpacing(0)
        words = QVBoxLayout()
        words.setContentsMargins(_SIDE, 0, _SIDE, 0)
        words.setSpacing(5)
        top = QHBoxLayout()
        top.setSpacing(_GAP)
        top.addWidget(self.title)
        top.addWidget(self.about, 0, Qt.AlignmentFlag.AlignBottom)
        top.addStretch()
        words.addLayout(top)
        words.addWidget(self.evidence)
        left = QVBoxLayout()
        left.setSpacing(0)
        left.addLayout(words)
        view = QScrollArea(widgetResizable=True)
        view.setFrameShape(QFrame.Shape.NoFrame)
        view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        view.setWidget(picture)
        for moved in (view.verticalScrollBar().valueChanged, view.verticalScrollBar().rangeChanged):
            moved.connect(lambda *_: picture.update())  # some of it stays where it is
        left.addWidget(view, 1)
        row.addLayout(left, 1)
        self._side = QWidget()
        self._buttons = QVBoxLayout(self._side)
        self._buttons.setContentsMargins(0, 2, 0, 0)
        self._buttons.setSpacing(8)
        self._buttons.addWidget(self.repair)
        self._buttons.addWidget(self.why, alignment=Qt.AlignmentFlag.AlignHCenter)
        self._buttons.addWidget(self.leave)
        self._buttons.addStretch()
        row.addWidget(self._side)
        for kept in (self.repair, self._side):  # what is below and beside stays where it is
            policy = kept.sizePolicy()
            policy.setRetainSizeWhenHidden(True)
            kept.setSizePolicy(policy)

    def add_button(self, button: QWidget) -> None:
        """Put one more button below that of the session, also on the way of the Tab key."""
        self._buttons.insertWidget(1, button)
        in_reading_order(self.repair, button)
        QWidget.setTabOrder(self.repair, button)

    def usual_height(self, width: int) -> int:
        """The height that it has for any session where it is as wide as that: room for four lanes and what is left out;
        more of them scroll.
        """
        metrics = self.fontMetrics()
        return round(_HEIGHT * metrics.height()) + (self._lines(width) - _LINES) * metrics.lineSpacing()

    def _room(self, width: int) -> int:
        """The width that there is for words, of all."""
        return width - self._side.minimumWidth() - 3 * _SIDE

    def _lines(self, width: int) -> int:
        """The lines that there are for what happened."""
        return _LINES + (self._room(width) < _NARROW * self.fontMetrics().averageCharWidth())

    def clear(self) -> None:
        """Show nothing."""
        self._content.hide()
        self.popup.hide()

    def show_expected(self, title: str, text: str) -> None:
        """Say where a session will stand what goes on until it does, at the places that its own words have."""
        self._show_words(title, text)
        self._side.hide()
        self.popup.hide()

    def _show_words(self, title: str, text: str, about: Sequence[str] = ()) -> None:
        self.title.show_text(title)
        self.title.setAccessibleName(self.title.text())
        self.about.show_text(*(" · ".join(about[:n]) for n in range(len(about), 0, -1)))
        self._fit_title()
        self.evidence.show_text(text)
        self._content.show()

    @property
    def is_about_several(self) -> bool:
        """Whether the button is about several selected sessions."""
        return self._picked > 0

    def set_idle(self, is_idle: bool) -> None:
        """Whether the session can be decided now."""
        for button in (self.repair, self.leave):
            button.setEnabled(is_idle)

    def show_picked(self, count: int) -> None:
        """Say on the button how many sessions it repairs: the one that is shown (0), or so many of those selected."""
        self._picked = count
        self._name_button()

    def show_session(self, audited: SessionAudit, proposal: Proposal, sentence: str) -> None:
        """Show what was found of a session, and what the proposal makes of it; ``sentence`` says both."""
        main = audited.main
        self._show_words(audited.title, sentence, [*filter(None, _about(audited))])
        self._side.show()
        is_way_back = audited.standing in (Standing.LEFT_OUT, Standing.DELETED)
        is_nothing_left = audited.category is not Category.REPAIRABLE and not proposal.items
        has_repair = audited.has_repair and not is_nothing_left
        self._can_restore = has_repair or proposal.sidecar is not None or is_way_back
        self.repair.setProperty("primary", not is_way_back and not audited.is_left)
        self.repair.style().polish(self.repair)
        n = main.details.get("messages", 0) if main is not None else 0
        self._restores = self._usual
        if audited.category is Category.REVIEW and n:
            self._restores = self.tr("Restore {}").format(counted(n, "message"))
        if is_way_back:
            n = audited.left_out + audited.left_out_by_you
            self._restores = self.tr("Bring {} back").format(counted(n, "message")) if n else self.tr("Bring it back")
        self._has_answer = audited.is_left or (audited.standing is Standing.REVIEW and audited.basis != "")
        self.leave.setText(self.tr("Ask me again") if audited.is_left else self.tr("Leave it as it is"))
        self._name_button()
        self.why.setVisible(main is not None)
        if main is not None:
            order = list(Category)
            rest = sorted((f for f in audited.findings if f is not main), key=lambda f: order.index(f.category))
            self.popup.show_findings((main, *rest))

    def _name_button(self) -> None:
        several = self.tr("Restore {}").format(counted(self._picked, "session"))
        self.repair.setText(several if self.is_about_several else self._restores)
        self.repair.setVisible(self.is_about_several or self._can_restore)
        self.leave.setVisible(self._has_answer and not self.is_about_several)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Called by Qt."""
        super().resizeEvent(event)
        self.evidence.set_lines(self._lines(self.width()))
        self._fit_title()

    def _fit_title(self) -> None:
        """Let what is beside the title make room for it, but for the date."""
        room = self._room(self.width()) - _GAP - self.title.sizeHint().width() - 2
        self.about.setMaximumWidth(max(room, self.about.minimumSizeHint().width()))

    def changeEvent(self, event: QEvent) -> None:
        """Called by Qt: the title stays larger than the text, whatever its size."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit_to_font()

    def set_theme(self, _: Theme) -> None:
        """Draw everything anew: a new style sheet has put older fonts back."""
        self._fit_to_font()

    def _fit_to_font(self) -> None:
        self.title.setFont(heading_font(self.font()))
        bold = QFont(self.font())
        bold.setBold(True)  # as it is on the primary button
        usual = QFontMetrics(bold).horizontalAdvance(self._usual)
        other = self.fontMetrics().horizontalAdvance(self.tr("Bring {} back").format(counted(_MANY, "message")))
        self._side.setFixedWidth(max(usual, other) + 3 * _GAP)
        self.evidence.set_lines(self._lines(self.width()))


def _about(audited: SessionAudit) -> tuple[str, ...]:
    """Date, profile and worktree of a session."""
    profile = translate("SessionHead", "profile {}").format(audited.profile or translate("SessionHead", "default"))
    worktree = ""
    if audited.worktree_path:
        name = audited.worktree_path.rstrip("/").rsplit("/", 1)[-1]
        worktree = translate("SessionHead", "worktree {}, {}").format(name, worktree_words(audited.worktree))
    return long_day(audited.updated), profile, worktree
