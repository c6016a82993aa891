"""Finding words in a conversation: every place where they stand, also in what is folded or left out."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from hermes_rescue.core.search import folding
from hermes_rescue.core.search.query import Query, QueryError
from hermes_rescue.gui.background.slices import Slices
from hermes_rescue.gui.view_model.conversation_outline import Spot
from hermes_rescue.gui.view_model.conversation_rows import ConversationRows
from hermes_rescue.gui.view_model.formatting import number
from hermes_rescue.gui.widgets.markdown_text import units, words_of
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QSizePolicy, QToolButton, QWidget

MOST_HITS = 10_000

_WORD, _ALONE = 11, 7
"""Letters for which the field has room in the smallest window: in use, and while nobody looks for anything."""

_MARKUP = re.compile(r"[*_`~\\]+")
"""Signs of Markdown that can stand within a word: it is found all the same."""


class Hit(NamedTuple):
    """Where words were found, how long they are there, and the detail of the message that has them."""

    spot: Spot
    length: int
    what: str


class Finder(QObject):
    """Looks through a conversation, some messages at a time. ``changed`` is emitted when there is more to show;
    ``reached`` carries a hit that is to be shown.
    """

    changed = Signal()
    reached = Signal(object)

    def __init__(self, rows: ConversationRows, parent: QObject) -> None:
        super().__init__(parent)
        self._rows = rows
        self._slices = Slices(self)
        self._slices.paused.connect(self._on_paused)
        self._slices.ended.connect(self._on_paused)
        self._words = ""
        self._start: int | None = 0
        self.hits: list[Hit] = []
        self.marks: dict[tuple[int, int, int], list[tuple[int, int]]] = {}
        """What to mark: for a row, a part of its text and a passage where each hit begins and how long it is."""
        self.at = -1
        """The hit that is looked at; -1 where there is none."""
        rows.modelReset.connect(self._again)

    @property
    def is_busy(self) -> bool:
        """Whether there may be more."""
        return self._slices.is_busy

    @property
    def is_asked(self) -> bool:
        """Whether anything is looked for."""
        return bool(self._words)

    def find(self, words: str, start: int | None = 0) -> None:
        """Look for messages that have all of some words, as the search in the store does, and show the first place from
        a row on (None: none is shown); nothing is looked for without any.
        """
        self._words, self._start = words, start
        self.hits, self.marks, self.at = [], {}, -1
        try:
            self._slices.run(self._steps(Query.parsed(words)))
        except QueryError:
            self._words = ""
            self._slices.stop()
        self.changed.emit()

    def stop(self) -> None:
        """Leave the rest."""
        self._slices.stop()

    def step(self, direction: int) -> None:
        """Show the next hit (1) or the one before (-1), around the ends."""
        if self.hits:
            self.at = (self.at + direction) % len(self.hits) if self.at >= 0 else 0
            self.reached.emit(self.hits[self.at])
            self.changed.emit()

    def _again(self) -> None:
        """The conversation is another one now, or some of it is in or out: look again, and leave what is in view."""
        if self._words:
            self.find(self._words, None)

    def _on_paused(self) -> None:
        if self.at < 0 and self.hits and self._start is not None:
            at = bisect_left(self.hits, self._start, key=lambda hit: hit.spot.row)
            if at < len(self.hits) or not self.is_busy:
                self.at = at % len(self.hits)
                self.reached.emit(self.hits[self.at])
        self.changed.emit()

    def _steps(self, query: Query) -> Iterator[None]:
        yield from folding.get_ready()
        for row in range(len(self._rows.rows)):
            hits: list[tuple[frozenset[int], Hit]] = []
            for part, passage in self._rows.all_passages(row):
                if _may_hold(passage.source, query):
                    text = words_of(passage.source, is_markdown=passage.is_markdown)
                    for start, end, terms in query.places(text):
                        spot = Spot(row, part, passage.rank, units(text[:start]))
                        hits.append((terms, Hit(spot, units(text[start:end]), passage.what)))
                yield
            if len(frozenset[int]().union(*(terms for terms, _ in hits))) == query.size:
                most = max(len(terms) for terms, _ in hits)  # beside each other, if the message has them so
                for hit in (hit for terms, hit in hits if len(terms) == most):
                    self._add(hit)
            if len(self.hits) >= MOST_HITS:
                return

    def _add(self, hit: Hit) -> None:
        self.hits.append(hit)
        self.marks.setdefault(hit.spot[:3], []).append((hit.spot.position, hit.length))


def _may_hold(source: str, query: Query) -> bool:
    """Whether it is worth while to look for words in what a reader sees of a text."""
    if query.may_touch(source):
        return True
    return any(sign in source for sign in "*_`~\\") and query.may_touch(_MARKUP.sub("", source))


class _Field(QLineEdit):
    """As wide as what it says when it is empty, narrower where there is no room, and beside the hits."""

    def sizeHint(self) -> QSize:
        """Called by Qt: what it needs; whatever is beside it comes first. In use it needs room for a word and for the
        button that clears it.
        """
        metrics = self.fontMetrics()
        chars, button = (_WORD, 3 * metrics.height()) if self.hasFocus() or self.text() else (_ALONE, 0)
        return QSize(chars * metrics.averageCharWidth() + button, super().sizeHint().height())

    minimumSizeHint = sizeHint

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Called by Qt."""
        super().focusInEvent(event)
        self.updateGeometry()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Called by Qt."""
        super().focusOutEvent(event)
        self.updateGeometry()

    def fit(self) -> None:
        """Take more room than that only for what it says."""
        words = self.placeholderText() if not self.text() else "m" * 9
        self.setMaximumWidth(self.fontMetrics().horizontalAdvance(words) + 2 * self.fontMetrics().height())
        self.updateGeometry()

    def changeEvent(self, event: QEvent) -> None:
        """Called by Qt."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self.fit()


class FindBar(QWidget):
    """The field for the words, and how many there are. ``left``: Esc, the keys go back to the conversation."""

    left = Signal()

    def __init__(self, finder: Finder, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._finder = finder
        self.field = _Field()
        self.field.setAcceptDrops(False)  # a file that is dropped here is dropped on the window
        self.field.setPlaceholderText(self.tr("Find in this conversation"))
        self.field.setAccessibleName(self.tr("Find in this conversation"))
        self.field.setAccessibleDescription(self.tr("Words in any order; F3 goes to the next hit"))
        self.field.setClearButtonEnabled(True)
        for clear in self.field.findChildren(QToolButton):
            clear.setAccessibleName(self.tr("Find nothing"))
        self.field.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.count = QLabel(textFormat=Qt.TextFormat.PlainText)
        self.previous, self.next = QToolButton(), QToolButton()
        for button, name in ((self.previous, self.tr("Previous hit")), (self.next, self.tr("Next hit"))):
            button.setProperty("flat", True)
            button.setAccessibleName(name)
            button.setToolTip(name)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.previous.clicked.connect(lambda: finder.step(-1))
        self.next.clicked.connect(lambda: finder.step(1))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addStretch(1)
        row.addWidget(self.field, 1000)
        for widget in (self.previous, self.count, self.next):
            row.addWidget(widget)
            policy = widget.sizePolicy()
            policy.setVerticalPolicy(QSizePolicy.Policy.Ignored)  # what comes and goes makes the row no higher
            widget.setSizePolicy(policy)
        finder.changed.connect(self._show)
        self.set_theme(theme)
        self._show()

    @property
    def stops(self) -> tuple[QWidget, ...]:
        """Where Tab stops, in order."""
        return self.field, self.previous, self.next

    def set_theme(self, theme: Theme) -> None:
        """Draw the icons anew."""
        self.previous.setIcon(theme.icon("previous"))
        self.next.setIcon(theme.icon("next"))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Called by Qt for what the field leaves: Enter goes on, with Shift back; Esc goes back to the conversation."""
        keys = Qt.Key
        if event.key() in (keys.Key_Return, keys.Key_Enter, keys.Key_F3):
            self._finder.step(-1 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1)
        elif event.key() == keys.Key_Escape:
            self.field.clear()
            self.left.emit()
        else:
            super().keyPressEvent(event)

    def _show(self) -> None:
        finder = self._finder
        for widget in (self.count, self.previous, self.next):
            widget.setVisible(finder.is_asked)
        self.field.fit()
        total = number(len(finder.hits)) + ("+" if len(finder.hits) >= MOST_HITS else "…" if finder.is_busy else "")
        at = finder.at + 1
        words = self.tr("{} of {}").format(number(at), total) if at else self.tr("{} found").format(total)
        none = self.tr("searching…") if finder.is_busy else self.tr("not found")
        self.count.setText(words if finder.hits else none)
        self.previous.setEnabled(len(finder.hits) > 1)
        self.next.setEnabled(len(finder.hits) > 1)
