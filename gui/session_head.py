"""What is wrong with one session, in words: title, status, evidence, and the answers to the four questions."""

from __future__ import annotations

from collections.abc import Sequence

from hermes_rescue.core.audit.findings import Category, Finding, SessionAudit
from hermes_rescue.core.base.files import shown
from hermes_rescue.core.hermes.worktree import Worktree
from hermes_rescue.core.merge.proposal import Proposal
from hermes_rescue.gui.diff_text import copy_name
from hermes_rescue.gui.session_status import status_of
from hermes_rescue.gui.theme import Theme, heading_font
from hermes_rescue.gui.wording import breakable, number, plain_tip
from PySide6.QtCore import QCoreApplication, QEvent, QRect, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QBoxLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

translate = QCoreApplication.translate

_GAP = 10  # points between the boxes
_SIDE = 16  # points left free beside everything


def outcome_words(audited: SessionAudit, proposal: Proposal) -> str:
    """What a repair would bring back, else the status that the list shows; takes a moment for a long session."""
    if audited.category is Category.REPAIRABLE:
        if n := len(proposal.gained):
            one = translate("SessionHead", "1 message can come back")
            return one if n == 1 else translate("SessionHead", "{n} messages can come back").format(n=number(n))
        if n := len(proposal.enriched):
            one = translate("SessionHead", "1 message can be made whole")
            return one if n == 1 else translate("SessionHead", "{n} messages can be made whole").format(n=number(n))
    return status_of(audited).text


def _chosen_words(proposal: Proposal) -> str:
    """The fields that a person took from other copies, as far as that changes them: "title from backup"."""
    words = translate("SessionHead", "{} from {}")
    taken = (c for c in proposal.changes if c.field in proposal.chosen)
    return ", ".join(words.format(shown(c.field), copy_name(c.origin)) for c in taken)


def main_finding(audited: SessionAudit) -> Finding | None:
    """The first of the most urgent findings; None for a healthy session."""
    return next((f for f in audited.findings if f.category is audited.category), None)


class ElidedLabel(QLabel):
    """One line of an untrusted text, cut where there is no room for it; the tool tip then has all of it."""

    def __init__(self, mode: Qt.TextElideMode, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mode = mode
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)

    def show_text(self, text: str) -> None:
        """Show a text on one line."""
        self.setText(shown(" ".join(text.split())))

    def minimumSizeHint(self) -> QSize:
        """A few characters."""
        return QSize(min(self.sizeHint().width(), 6 * self.fontMetrics().averageCharWidth()), self.sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Called by Qt: the tip comes and goes with the room."""
        super().resizeEvent(event)
        self.setToolTip(plain_tip(self.text()) if self._elided() != self.text() else "")

    def paintEvent(self, event: QPaintEvent) -> None:
        """Called by Qt."""
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.drawText(self.contentsRect(), Qt.AlignmentFlag.AlignVCenter, self._elided())

    def _elided(self) -> str:
        return self.fontMetrics().elidedText(self.text(), self._mode, self.contentsRect().width())


class StatusChip(QWidget):
    """A pill with an icon and words."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._words, self._icon, self._token = "", "healthy", "ok"
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def set_theme(self, theme: Theme) -> None:
        """Paint in other colours."""
        self._theme = theme
        self.update()

    @property
    def words(self) -> str:
        """What it says."""
        return self._words

    def show_words(self, words: str, icon: str, token: str) -> None:
        """Say something else, with an icon and in the colours of a token."""
        self._words, self._icon, self._token = words, icon, token
        self.setAccessibleName(words)
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """As wide as the icon and the words."""
        metrics = self.fontMetrics()
        height = round(metrics.height() * 1.5)
        return QSize(metrics.horizontalAdvance(self._words) + metrics.ascent() + round(height * 1.2), height)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Called by Qt."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.color(f"{self._token}-bg"))
        radius = self.height() / 2
        painter.drawRoundedRect(self.rect(), radius, radius)
        side = self.fontMetrics().ascent()
        icon = QRect(round(radius * 0.8), (self.height() - side) // 2, side, side)
        self._theme.icon(self._icon, self._token).paint(painter, icon)
        painter.setPen(self._theme.color(self._token))
        words = self.rect().adjusted(icon.right() + round(radius * 0.45), 0, 0, 0)
        painter.drawText(words, Qt.AlignmentFlag.AlignVCenter, self._words)


class AnswerBoxes(QWidget):
    """Questions with their answers, each in a box; as many beside each other as make it the least high."""

    def __init__(self, questions: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._boxes = [QFrame(self) for _ in questions]
        self._answers: list[QLabel] = []
        for box, question in zip(self._boxes, questions, strict=True):
            box.setProperty("card", True)
            layout = QVBoxLayout(box)
            layout.setContentsMargins(10, 7, 10, 8)
            layout.setSpacing(2)
            head, answer = QLabel(question), QLabel()
            head.setProperty("muted", True)
            for label in (head, answer):
                label.setTextFormat(Qt.TextFormat.PlainText)
                label.setWordWrap(True)
                layout.addWidget(label)
            layout.addStretch()
            self._answers.append(answer)
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def show_answers(self, answers: Sequence[str]) -> None:
        """Show an answer to each question."""
        for label, answer in zip(self._answers, answers, strict=True):
            label.setText(answer)
        self.updateGeometry()
        self._place()

    def hasHeightForWidth(self) -> bool:
        """The text wraps."""
        return True

    def heightForWidth(self, width: int) -> int:
        """The height of all rows."""
        return self._height(self._columns(width), width)

    def sizeHint(self) -> QSize:
        """Two boxes wide."""
        width = 60 * self.fontMetrics().averageCharWidth()
        return QSize(width, self.heightForWidth(width))

    def minimumSizeHint(self) -> QSize:
        """One box wide."""
        return QSize(self._narrowest(), self.fontMetrics().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Called by Qt."""
        self._place()

    def event(self, event: QEvent) -> bool:
        """A box that needs another height (its font has changed) says so to its parent, not to the layout above."""
        if event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
            self._place()
        return super().event(event)

    def _narrowest(self) -> int:
        return max(box.minimumSizeHint().width() for box in self._boxes)

    def _columns(self, width: int) -> int:
        """How many boxes stand in a row: none is narrower than a short line or its longest word."""
        line = 15 * self.fontMetrics().averageCharWidth()
        least = max(self._narrowest(), line)
        fitting = [n for n in (4, 2) if self._box_width(n, width) >= least]
        return min(fitting or [1], key=lambda n: self._height(n, width))

    @staticmethod
    def _box_width(columns: int, width: int) -> int:
        return (width - (columns - 1) * _GAP) // columns

    def _rows(self, columns: int, width: int) -> list[int]:
        heights = [box.heightForWidth(self._box_width(columns, width)) for box in self._boxes]
        return [max(heights[k : k + columns]) for k in range(0, len(heights), columns)]

    def _height(self, columns: int, width: int) -> int:
        rows = self._rows(columns, width)
        return sum(rows) + (len(rows) - 1) * _GAP

    def _place(self) -> None:
        columns = self._columns(self.width())
        width, top = self._box_width(columns, self.width()), 0
        for row, height in enumerate(self._rows(columns, self.width())):
            for k, box in enumerate(self._boxes[row * columns : (row + 1) * columns]):
                box.setGeometry(k * (width + _GAP), top, width, height)
            top += height + _GAP


class SessionHead(QWidget):
    """The head of the review: what one session has, how sure that is, and what to do."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.title = ElidedLabel(Qt.TextElideMode.ElideRight)
        self.chip = StatusChip(theme)
        self.repair = QPushButton(self.tr("Restore this session"))
        self.repair.setProperty("primary", True)
        self.repair.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.evidence = _wrapped()
        self.others = _wrapped()
        self.more = QToolButton()
        self.more.setProperty("link", True)
        self.more.setCheckable(True)
        self.more.toggled.connect(self._expand)
        questions = (
            self.tr("How serious?"),
            self.tr("What should I do?"),
            self.tr("What happens?"),
            self.tr("Can I keep using this session?"),
        )
        self.answers = AnswerBoxes(questions)
        self._worktree_icon = QLabel()
        self.worktree = ElidedLabel(Qt.TextElideMode.ElideMiddle)
        self.worktree_state = QLabel()
        self.worktree_state.setProperty("muted", True)
        self._findings: tuple[Finding, ...] = ()
        self._worktree = Worktree.NONE
        self._lay_out()
        self._size_title()
        self.clear()

    def set_theme(self, theme: Theme) -> None:
        """Paint in other colours."""
        self._theme = theme
        self.chip.set_theme(theme)
        self._show_worktree_icon()

    def show_picked(self, count: int) -> None:
        """Say on the button how many sessions it is about: the one that is shown (0), or those that are selected."""
        several = self.tr("Restore {} sessions").format(number(count))
        self.repair.setText(several if count > 1 else self.tr("Restore this session"))

    def clear(self) -> None:
        """Show nothing."""
        self._content.hide()
        self.setMinimumHeight(0)

    def show_session(self, audited: SessionAudit, proposal: Proposal, outcome: str) -> None:
        """Show what was found of a session, and what the proposal makes of it; ``outcome`` in words on the chip."""
        main = main_finding(audited)
        self._findings = tuple(
            sorted(audited.findings, key=lambda f: (f is not main, list(Category).index(f.category)))
        )
        self.title.show_text(audited.title)
        self.title.setAccessibleName(self.title.text())
        status = status_of(audited)
        self.chip.show_words(outcome, status.icon, status.token)
        self.repair.setVisible(audited.has_repair or proposal.sidecar is not None)
        healthy = self.tr("Every message that any copy holds is in the session file. There is nothing to repair.")
        chosen = _chosen_words(proposal)
        wish = self.tr("You chose: {}. A repair of this session writes it.").format(chosen) if chosen else ""
        told = main.evidence if main is not None else "" if chosen else healthy
        self.evidence.setText(breakable(" ".join(filter(None, (told, wish)))))
        self.others.setText("\n".join(breakable(f.evidence) for f in self._findings[1:]))
        self.more.setVisible(len(self._findings) > 1)
        self.more.setChecked(False)
        self._expand(False)
        self.answers.setVisible(main is not None)
        if main is not None:
            kind = main.kind
            self.answers.show_answers((kind.serious, main.advice, kind.outcome, kind.meanwhile))
        self._show_worktree(audited)
        self._content.show()
        self._arrange()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Called by Qt."""
        super().resizeEvent(event)
        self._arrange()

    def event(self, event: QEvent) -> bool:
        """Called by Qt: shown, or with other needs, it looks again at its height."""
        done = super().event(event)
        if event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Show):
            self._arrange()
        return done

    def changeEvent(self, event: QEvent) -> None:
        """Called by Qt: the title stays larger than the text, whatever its size."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._size_title()

    def _size_title(self) -> None:
        self.title.setFont(heading_font(self.font()))

    def _lay_out(self) -> None:
        self._content = QWidget()
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self._content)
        layout = QVBoxLayout(self._content)
        layout.setContentsMargins(_SIDE, 14, _SIDE, 6)
        layout.setSpacing(_GAP)
        self._top = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._top.setSpacing(_GAP)
        self._top.addWidget(self.title)
        self._top.addWidget(self.chip)
        self._top.addStretch()
        self._first = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._first.setSpacing(_GAP)
        self._first.addLayout(self._top, 1)
        self._first.addWidget(self.repair, alignment=Qt.AlignmentFlag.AlignTop)
        layout.addLayout(self._first)
        said = QVBoxLayout()
        said.setSpacing(2)
        for widget in (self.evidence, self.others):
            said.addWidget(widget)
        said.addWidget(self.more, alignment=Qt.AlignmentFlag.AlignLeft)
        layout.addLayout(said)
        layout.addWidget(self.answers)
        self._worktree_line = QWidget()
        line = QHBoxLayout(self._worktree_line)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self._worktree_icon)
        line.addWidget(self.worktree)
        line.addWidget(self.worktree_state)
        line.addStretch()
        layout.addWidget(self._worktree_line)
        layout.addStretch()

    def _arrange(self) -> None:
        """The button and the chip go below the title where they would leave too little of it, and the wrapped texts get
        the height that they need, also in a splitter, which would not ask for it.
        """
        width = self.width() - 2 * _SIDE
        directions = QBoxLayout.Direction
        button = 0 if self.repair.isHidden() else self.repair.sizeHint().width() + _GAP
        is_tight = width - button < max(self.chip.sizeHint().width(), width // 2)
        self._first.setDirection(directions.TopToBottom if is_tight else directions.LeftToRight)
        width -= 0 if is_tight else button
        room = width - self.chip.sizeHint().width() - _GAP
        is_narrow = room < min(self.title.sizeHint().width(), width // 2)
        self._top.setDirection(directions.TopToBottom if is_narrow else directions.LeftToRight)
        if self.isVisible():
            self.setMinimumHeight(max(0, self.heightForWidth(self.width())))

    def _expand(self, expanded: bool) -> None:
        self.others.setVisible(expanded and len(self._findings) > 1)
        more = self.tr("and {n} more").format(n=number(len(self._findings) - 1))
        self.more.setText(self.tr("show less") if expanded else more)
        self._arrange()

    def _show_worktree(self, audited: SessionAudit) -> None:
        states = {
            Worktree.NONE: "",
            Worktree.THERE: self.tr("is there"),
            Worktree.BRANCH_LEFT: self.tr("is gone, its branch is left"),
            Worktree.GONE: self.tr("is gone"),
        }
        self._worktree = audited.worktree
        self._worktree_line.setVisible(audited.worktree is not Worktree.NONE)
        self.worktree.show_text(self.tr("Worktree {path}").format(path=audited.worktree_path))
        self.worktree_state.setText(states[audited.worktree])
        self._show_worktree_icon()

    def _show_worktree_icon(self) -> None:
        token = "muted" if self._worktree is Worktree.THERE else "repair"
        side = self.fontMetrics().height()
        self._worktree_icon.setPixmap(self._theme.icon("worktree", token).pixmap(side, side))


def _wrapped() -> QLabel:
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    return label
