"""The right side: what is wrong with the selected session, which copy holds what, and the difference message by
message.
"""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QScrollArea, QSplitter, QVBoxLayout, QWidget

from core.choices import Choices
from gui.coverage_map import Coverage, CoverageMap
from gui.diff_view import DiffView
from gui.reader import USUAL_PAIR, Detail
from gui.release import Release
from gui.session_head import SessionHead
from gui.theme import Theme

LARGEST_SUMMARY = 0.6
"""The part of the height that what stands above the difference gets at most by itself."""

PATIENCE = 300
"""Milliseconds for which the session before may stay in view while another one is read."""


class _Summary(QScrollArea):
    """What stands above the difference; ``needs_changed`` when it may need another height."""

    needs_changed = Signal()

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        self._content = content
        self.setWidget(content)
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        content.installEventFilter(self)

    @property
    def needed(self) -> int:
        """The height that shows all of it."""
        return self._content.minimumSizeHint().height()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Called by Qt for every event of the content."""
        done = super().eventFilter(watched, event)
        if event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Resize):
            self.needs_changed.emit()
        return done


class ReviewPane(QWidget):
    """Shows one session in full. ``choices_changed`` carries its id and what the person chose of the proposal shown."""

    choices_changed = Signal(str, object)
    comparison_wanted = Signal(str, str)
    next_session_wanted = Signal(int)
    repair_wanted = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.head = SessionHead(theme)
        self.coverage = CoverageMap(theme)
        self.difference = DiffView(theme)
        self._detail: Detail | None = None
        self._release = Release(self)
        self._is_outdated = False
        self._is_line_moved = False
        self._entered_at_end = ""
        self._reading = QTimer(self, singleShot=True, interval=PATIENCE)
        self._reading.timeout.connect(lambda: self.clear(self.tr("Reading the copies of the session…")))
        top = QWidget()
        layout = QVBoxLayout(top)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.head)
        layout.addWidget(self.coverage)
        self.splitter = QSplitter(Qt.Orientation.Vertical)
        self._summary = _Summary(top)
        self.splitter.addWidget(self._summary)
        self.splitter.addWidget(self.difference)
        self.splitter.setStretchFactor(1, 1)
        self.splitter.setChildrenCollapsible(False)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.splitter)
        self._summary.needs_changed.connect(self._share_height)
        self.splitter.splitterMoved.connect(self._on_line_moved)
        self.head.repair.clicked.connect(lambda: self.repair_wanted.emit(self.session_id))
        self.coverage.jumped.connect(self.difference.go_to_position)
        self.difference.versions_chosen.connect(self.comparison_wanted)
        self.difference.choice_changed.connect(self._on_choice)
        self.difference.end_reached.connect(self.next_session_wanted)
        self.clear("")

    @property
    def session_id(self) -> str:
        """The session that is shown, "" for none."""
        return self._detail.audited.session_id if self._detail is not None else ""

    def shows(self, detail: Detail) -> bool:
        """Whether the same comparison of the same session is shown already."""
        mine = self._detail
        is_same = mine is not None and (self.session_id, mine.pair) == (detail.audited.session_id, detail.pair)
        return is_same and not self._is_outdated

    @property
    def pair(self) -> tuple[str, str]:
        """The two versions that are compared."""
        return self._detail.pair if self._detail is not None else USUAL_PAIR

    def outdate(self) -> None:
        """What is shown may no longer be so: the next answer is shown in full, even for the same session."""
        self._is_outdated = True

    def expect(self, session_id: str) -> None:
        """Another session is being read: where that takes long, say so instead of showing the one before."""
        if session_id != self.session_id:
            self._reading.start()

    def enter_at_end(self, session_id: str) -> None:
        """Begin at the last change of a session when it is shown next: one comes back to it from the one behind."""
        self._entered_at_end = session_id

    def show_detail(self, detail: Detail) -> None:
        """Show a session that was read."""
        before = self._take(detail)
        self._show_summary()
        self.difference.set_versions(detail.versions, *detail.pair)
        self.difference.show_rows(detail.outline, detail.fields, detail.raw, choosing=detail.is_review)
        if self._entered_at_end == self.session_id:
            self.difference.last_change()
        self._entered_at_end = ""
        self._is_outdated = False
        self._release.take(before)

    def update_summary(self, detail: Detail) -> None:
        """The same session after a choice: what is counted and the fields change, the messages stay where they are."""
        before = self._take(detail)
        self._show_summary()
        self.difference.show_fields(detail.fields, detail.raw, choosing=detail.is_review)
        self._release.take(before)

    def clear(self, text: str) -> None:
        """Nothing is selected, or it is being read, or cannot be."""
        before = self._take(None)
        self._reading.stop()
        self.head.clear()
        self.coverage.set_proposal(None, Coverage())
        self.difference.clear(text)
        self._release.take(before)

    def _take(self, detail: Detail | None) -> list[object]:
        """Show another detail from now on; the parts of the one before, for when nothing shows them any more."""
        before = self._detail.parts() if self._detail is not None else []
        self._detail = detail
        return before

    def _show_summary(self) -> None:
        self._reading.stop()
        detail = self._detail
        assert detail is not None
        self.head.show_session(detail.audited, detail.proposal, detail.outcome)
        self.coverage.set_proposal(detail.proposal, detail.coverage)

    @Slot(object)
    def _on_choice(self, choices: Choices) -> None:
        if self._detail is not None:
            self.choices_changed.emit(self.session_id, replace(choices, made_on=self._detail.fingerprint))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Called by Qt."""
        super().resizeEvent(event)
        self._share_height()

    @Slot()
    def _share_height(self) -> None:
        """Give the summary what it needs, but no more than leaves room for the messages; after that it scrolls. Where a
        person has moved the line between the two, it stays.
        """
        if not self._is_line_moved:
            height = self.splitter.height() - self.splitter.handleWidth()
            top = min(self._summary.needed, round(height * LARGEST_SUMMARY))
            self.splitter.setSizes([top, height - top])

    @Slot()
    def _on_line_moved(self) -> None:
        self._is_line_moved = True

    def set_theme(self, theme: Theme) -> None:
        """Draw everything anew."""
        for part in (self.head, self.coverage, self.difference):
            part.set_theme(theme)
