"""How the window looks: colour tokens (light, dark, high contrast), one style sheet, icons drawn in a token's colour.

The colours are in ``resources/tokens.json``, the drawings in ``resources/icons``. Widgets ask the theme and know no
colour themselves. These dynamic properties are in the style sheet:

- ``primary=true`` on a button: the one that does what the window is for.
- ``chip=<token>`` on a button or label: a pill in a token and its ``-bg``, framed while checked.
- ``notice=<token>`` on a frame: a strip in the ``-bg`` of a token.
- ``segment=first|middle|last`` on buttons that stand together as one switch.
- ``flat=true`` on a button: no frame until the mouse or the keyboard is on it.
- ``link=true`` on a button: words that stand in line with the text above.
- ``muted=true``, ``title=true`` on a label; ``card=true`` on a frame.
- ``bar=true`` on a widget at the top, with a line below it; ``foot=true`` on one at the bottom, with a line above it.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Final

from PySide6.QtCore import QByteArray, QDir, QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontDatabase,
    QFontInfo,
    QGuiApplication,
    QIcon,
    QIconEngine,
    QPainter,
    QPalette,
    QPixmap,
    QPixmapCache,
)
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication

NAMES: Final = ("light", "dark", "contrast")
"""The themes there are."""

CHIPS: Final = ("repair", "lost", "ask", "ok", "info")
"""The tokens that a chip can have; each has a background named with ``-bg``."""

ICON_SIZE: Final = QSize(20, 16)
"""For an icon beside a text: the drawing is square, so this leaves a little air on its left and right."""

_RESOURCES: Final = files("hermes_rescue.resources")
_SEARCH_PREFIX: Final = "drawings"
_clones: Final[list[QIconEngine]] = []


class Theme:
    """One set of colours, and what is drawn with them. Made by :func:`load`."""

    def __init__(self, name: str, tokens: dict[str, str]) -> None:
        self.name = name
        self._colors = {token: QColor(value) for token, value in tokens.items()}
        self._icons: dict[tuple[str, str], QIcon] = {}
        self._colors |= {
            "hover": _mixed(self.color("surface"), self.color("text"), 0.05),
            "pressed": _mixed(self.color("surface"), self.color("text"), 0.11),
            "accent-hover": _mixed(self.color("accent"), self.color("text"), 0.14),
            "disabled": _mixed(self.color("muted"), self.color("surface"), 0.4),
            "handle": _mixed(self.color("line"), self.color("muted"), 0.45),
        }

    def color(self, token: str) -> QColor:
        """The colour of a token of ``tokens.json``, or of hover, pressed, accent-hover, disabled, handle, which are
        mixed from them; it belongs to the theme, so whoever changes it takes a copy. Raises KeyError for any other.
        """
        return self._colors[token]

    @property
    def is_dark(self) -> bool:
        """Whether light text stands on a dark background."""
        return self.color("bg").lightness() < self.color("text").lightness()

    def icon(self, name: str, token: str = "text") -> QIcon:
        """The drawing ``resources/icons/<name>.svg`` in the colour of a token, sharp at every size and scale.

        A disabled one is drawn in the colour of disabled text. Raises FileNotFoundError where there is no such drawing.
        """
        key = (name, token)
        if key not in self._icons:
            drawing = _RESOURCES.joinpath("icons", f"{name}.svg").read_text("utf-8")
            self._icons[key] = QIcon(_DrawnIcon(name, drawing, self.color(token), self.color("disabled")))
        return self._icons[key]

    def palette(self) -> QPalette:
        """The palette for every widget that the style sheet leaves to the Fusion style."""
        palette = QPalette()
        groups = QPalette.ColorGroup
        for role, token in _ROLES.items():
            palette.setColor(role, self.color(token))
        for role in _TEXT_ROLES:
            palette.setColor(groups.Disabled, role, self.color("disabled"))
        palette.setColor(groups.Disabled, QPalette.ColorRole.Highlight, self.color("line"))
        palette.setColor(groups.Disabled, QPalette.ColorRole.Accent, self.color("disabled"))
        return palette

    def style_sheet(self) -> str:
        """The style sheet of the application, to be set on top of the Fusion style."""
        title_size = f"{QFontInfo(QGuiApplication.font()).pointSizeF() * 1.25:.1f}pt"
        rules = _RULES.replace("TITLE_SIZE", title_size)
        rules = rules.replace("CHECK", "light" if self.is_dark else "dark")  # the accent of a dark theme is light
        rules += "".join(_CHIP_RULES.replace("NAME", token) for token in CHIPS)
        return re.sub(r"@([a-z-]+)", lambda found: self.color(found[1]).name(), rules)


def load(name: str) -> Theme:
    """The theme "light", "dark" or "contrast". Raises KeyError for any other name."""
    return Theme(name, json.loads(_RESOURCES.joinpath("tokens.json").read_text("utf-8"))[name])


def name_of(choice: str) -> str:
    """The theme that is meant by a choice: one of NAMES, or that of the system."""
    app = QGuiApplication.instance()
    if choice in NAMES:
        return choice
    return system_theme_name(app) if isinstance(app, QGuiApplication) else NAMES[0]


def system_theme_name(app: QGuiApplication) -> str:
    """The theme that the system asks for. Where it names no colour scheme, the palette of the application decides."""
    hints = app.styleHints()
    if hasattr(hints, "accessibility"):  # from Qt 6.10 on
        preference = hints.accessibility().contrastPreference()
        if preference == Qt.ContrastPreference.HighContrast:
            return "contrast"
    scheme = hints.colorScheme()
    if scheme == Qt.ColorScheme.Unknown:
        palette = app.palette()
        is_dark = palette.window().color().lightness() < palette.windowText().color().lightness()
    else:
        is_dark = scheme == Qt.ColorScheme.Dark
    return "dark" if is_dark else "light"


def heading_font(font: QFont) -> QFont:
    """The font of a heading above text in a font."""
    heading = QFont(font)
    heading.setPointSizeF(QFontInfo(font).pointSizeF() * 1.25)
    heading.setBold(True)
    return heading


def fixed_font(font: QFont) -> QFont:
    """The font for code among text in a font. It looks larger than that, so it is a little smaller."""
    fixed = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    fixed.setPointSizeF(QFontInfo(font).pointSizeF() * 0.94)
    return fixed


def apply(app: QApplication, theme: Theme) -> None:
    """Let every window of the application, open or to come, look like the theme."""
    sheet = theme.style_sheet()
    if app.styleSheet() == sheet:  # else Qt would dress every widget anew
        return
    QDir.setSearchPaths(_SEARCH_PREFIX, [str(_RESOURCES.joinpath("icons"))])
    app.setStyle("Fusion")
    app.setPalette(theme.palette())
    app.setStyleSheet(sheet)


def _mixed(color: QColor, other: QColor, share: float) -> QColor:
    """A colour with a share (0 to 1) of another."""
    return QColor.fromRgbF(
        *(
            a + (b - a) * share
            for a, b in zip(color.getRgbF()[:3], other.getRgbF()[:3], strict=True)  # type: ignore[index]
        )
    )


class _DrawnIcon(QIconEngine):
    """Draws an SVG in one colour; what has a colour of its own keeps it."""

    def __init__(self, name: str, drawing: str, color: QColor, disabled: QColor) -> None:
        super().__init__()
        self._name, self._drawing, self._color, self._disabled = name, drawing, color, disabled

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        """Called by Qt to draw on whatever the painter paints on, at its own resolution."""
        side = min(rect.width(), rect.height())
        square = QRectF(0, 0, side, side)
        square.moveCenter(QRectF(rect).center())
        self._renderer(mode).render(painter, square)

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        """Called by Qt; ``size`` is in pixels. The pixmap cache keeps what was drawn."""
        if size.isEmpty():
            return QPixmap()
        key = f"rescue {self._name} {self._ink(mode).rgb():x} {size.width()}x{size.height()}"
        pixmap = QPixmap()
        if not QPixmapCache.find(key, pixmap):
            pixmap = QPixmap(size)
            pixmap.fill(Qt.GlobalColor.transparent)
            painter = QPainter(pixmap)
            self.paint(painter, QRect(QPoint(), size), mode, state)
            painter.end()
            QPixmapCache.insert(key, pixmap)
        return pixmap

    def scaledPixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State, scale: float) -> QPixmap:
        """Called by Qt; ``size`` is in points, ``scale`` the pixels to a point."""
        return self.pixmap(size * scale, mode, state)

    def actualSize(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QSize:
        """Called by Qt: a drawing has every size."""
        return size

    def clone(self) -> QIconEngine:
        """Called by Qt when a copy of the icon is about to change, which is rare. Qt deletes what it gets, but does not
        show Python so; unless Python keeps it as well, it is gone before Qt has it.
        """
        _clones.append(_DrawnIcon(self._name, self._drawing, self._color, self._disabled))
        return _clones[-1]

    def isNull(self) -> bool:
        """Called by Qt: there is always something to draw."""
        return False

    def _ink(self, mode: QIcon.Mode) -> QColor:
        return self._disabled if mode == QIcon.Mode.Disabled else self._color

    def _renderer(self, mode: QIcon.Mode) -> QSvgRenderer:
        drawing = self._drawing.replace("currentColor", self._ink(mode).name())
        return QSvgRenderer(QByteArray(drawing.encode()))


_Role = QPalette.ColorRole
_ROLES: Final = {
    _Role.Window: "bg",
    _Role.WindowText: "text",
    _Role.Base: "surface",
    _Role.AlternateBase: "raised",
    _Role.Text: "text",
    _Role.PlaceholderText: "muted",
    _Role.Button: "surface",
    _Role.ButtonText: "text",
    _Role.BrightText: "lost",
    _Role.ToolTipBase: "raised",
    _Role.ToolTipText: "text",
    _Role.Highlight: "accent",
    _Role.HighlightedText: "accent-text",
    _Role.Accent: "accent",
    _Role.Link: "accent",
    _Role.LinkVisited: "ask",
    _Role.Light: "raised",
    _Role.Midlight: "fold",
    _Role.Mid: "line",
    _Role.Dark: "handle",
    _Role.Shadow: "handle",
}
_TEXT_ROLES: Final = (_Role.WindowText, _Role.Text, _Role.ButtonText, _Role.PlaceholderText, _Role.HighlightedText)

# In Qt's style sheets one em is the height of a line. The ring of the focus takes the place of the frame, one pixel
# wider; the padding gives that pixel back, so that nothing moves.
_RULES: Final = """
QMainWindow, QDialog { background: @bg; }
QDialogButtonBox { dialogbuttonbox-buttons-have-icons: 0; }
QLabel { background: transparent; }
QLabel[muted="true"] { color: @muted; }
QLabel[title="true"] { font-size: TITLE_SIZE; font-weight: 600; }
QWidget[foot="true"] { background: @surface; border-top: 1px solid @line; }
QWidget[bar="true"] { background: @surface; border-bottom: 1px solid @line; }
QFrame[notice] { border-bottom: 1px solid @line; }
QFrame[card="true"] { background: @raised; border: 1px solid @line; border-radius: 5px; }

QMenuBar { background: @surface; border-bottom: 1px solid @line; padding: 1px 6px; }
QMenuBar::item { background: transparent; color: @muted; padding: 5px 10px; border-radius: 4px; }
QMenuBar::item:selected { background: @select; color: @text; }
QMenu { background: @surface; border: 1px solid @handle; padding: 4px; }
QMenu::item { padding: 5px 24px 5px 10px; border-radius: 4px; }
QMenu::item:selected { background: @select; color: @text; }
QMenu::item:disabled { color: @disabled; }
QMenu::icon { padding-left: 8px; }
QMenu::separator { height: 1px; background: @line; margin: 4px 6px; }
QToolBar { background: @surface; border: none; border-bottom: 1px solid @line; padding: 7px 10px; spacing: 8px; }
QToolBar::separator { background: @line; width: 1px; margin: 4px; }
QStatusBar { background: @surface; border-top: 1px solid @line; color: @muted; }
QStatusBar::item { border: none; }

QPushButton, QToolButton {
    background: @surface; color: @text; border: 1px solid @line; border-radius: 5px; padding: 5px 11px;
}
QToolButton { padding: 5px 9px; }
QPushButton:hover, QToolButton:hover { background: @hover; border-color: @handle; }
QPushButton:pressed, QToolButton:pressed, QPushButton:open, QToolButton:open { background: @pressed; }
QPushButton:checked, QToolButton:checked { background: @select; color: @accent; border-color: @accent; }
QPushButton:focus, QToolButton:focus { border: 2px solid @accent; padding: 4px 10px; }
QToolButton:focus { padding: 4px 8px; }
QPushButton:disabled, QToolButton:disabled { background: transparent; color: @disabled; border-color: @line; }
QPushButton::menu-indicator, QToolButton::menu-indicator {
    image: url(drawings:arrow-down.svg); width: 10px; height: 10px;
    subcontrol-origin: padding; subcontrol-position: right center; right: 6px;
}
QToolButton[popupMode="2"] { padding-right: 24px; }
QPushButton[primary="true"], QToolButton[primary="true"] {
    background: @accent; color: @accent-text; border-color: @accent; font-weight: 600;
}
QPushButton[primary="true"]:hover, QToolButton[primary="true"]:hover { background: @accent-hover; }
QPushButton[primary="true"]:focus, QToolButton[primary="true"]:focus {
    border: 3px double @accent-text; padding: 3px 9px;
}
QToolButton[primary="true"]:focus { padding: 3px 7px; }
QPushButton[primary="true"]:disabled, QToolButton[primary="true"]:disabled {
    background: transparent; color: @disabled; border-color: @line;
}
QPushButton[flat="true"], QToolButton[flat="true"] { background: transparent; border-color: transparent; }
[link="true"] { background: transparent; border: 1px solid transparent; padding: 1px 0; color: @accent; }
[link="true"]:hover { text-decoration: underline; }
[link="true"]:focus { border: 1px solid @accent; padding: 1px 0; }
QPushButton[flat="true"]:hover, QToolButton[flat="true"]:hover { background: @pressed; }
QPushButton[flat="true"]:focus, QToolButton[flat="true"]:focus { border-color: @accent; }
[segment="first"] { border-top-right-radius: 0; border-bottom-right-radius: 0; }
[segment="middle"] { border-radius: 0; border-left-width: 0; }
[segment="last"] { border-top-left-radius: 0; border-bottom-left-radius: 0; border-left-width: 0; }
[segment]:checked { border-color: @line; }
[segment]:focus { border: 2px solid @accent; }

QLineEdit, QPlainTextEdit, QComboBox {
    background: @surface; color: @text; border: 1px solid @line; border-radius: 5px; padding: 5px 8px;
    selection-background-color: @accent; selection-color: @accent-text;
}
QPlainTextEdit { padding: 2px; }
QLineEdit:hover, QComboBox:hover { border-color: @handle; }
QLineEdit:focus, QComboBox:focus { border: 2px solid @accent; padding: 4px 7px; }
QPlainTextEdit:focus { border: 2px solid @accent; padding: 1px; }
QLineEdit:disabled, QComboBox:disabled { color: @disabled; background: transparent; }
QCheckBox::indicator, QMenu::indicator, QAbstractItemView::indicator {
    width: 14px; height: 14px; border: 1px solid @muted; border-radius: 3px; background: @surface;
}
QMenu::indicator { margin-left: 8px; }
QCheckBox::indicator:checked, QMenu::indicator:checked, QAbstractItemView::indicator:checked {
    background: @accent; border-color: @accent; image: url(drawings:check-on-CHECK.svg);
}
QCheckBox::indicator:disabled { border-color: @line; }
QCheckBox::indicator:checked:disabled { background: @disabled; border-color: @disabled; }
QCheckBox:focus, QRadioButton:focus { color: @accent; }
QRadioButton::indicator, QMenu::indicator:exclusive {
    width: 14px; height: 14px; border: 1px solid @muted; border-radius: 8px; background: @surface;
}
QRadioButton::indicator:checked, QMenu::indicator:exclusive:checked {
    width: 6px; height: 6px; border: 5px solid @accent; background: @accent-text; image: none;
}
QRadioButton::indicator:disabled { border-color: @line; }

QComboBox::drop-down { border: none; width: 22px; }
QComboBox::down-arrow { image: url(drawings:arrow-down.svg); width: 10px; height: 10px; }
QComboBox QAbstractItemView {
    background: @surface; border: 1px solid @handle; selection-background-color: @select; selection-color: @text;
}

QAbstractItemView { background: @surface; color: @text; border: none; outline: none; }
QAbstractItemView::item:selected { background: @select; color: @text; }
QHeaderView { background: @raised; border: none; }
QHeaderView::section {
    background: @raised; color: @muted; border: none; border-bottom: 1px solid @line; padding: 0.4em 9px;
}
QHeaderView::section:hover { color: @text; background: @hover; }
QHeaderView::up-arrow { image: url(drawings:arrow-up.svg); width: 9px; height: 9px; }
QHeaderView::down-arrow { image: url(drawings:arrow-down.svg); width: 9px; height: 9px; }
QFileDialog {
    filedialog-parent-directory-icon: url(drawings:arrow-up.svg);
    backward-icon: url(drawings:arrow-left.svg); forward-icon: url(drawings:arrow-right.svg);
}
QTableCornerButton::section { background: @raised; border: none; border-bottom: 1px solid @line; }

QSplitter::handle { background: @surface; }
QSplitter::handle:horizontal { width: 5px; border-left: 1px solid @line; }
QSplitter::handle:vertical { height: 5px; border-top: 1px solid @line; }
QSplitter::handle:hover { background: @select; }
QScrollBar { background: transparent; border: none; }
QScrollBar:vertical { width: 12px; }
QScrollBar:horizontal { height: 12px; }
QScrollBar::handle { background: @handle; border-radius: 3px; margin: 3px; }
QScrollBar::handle:vertical { min-height: 32px; }
QScrollBar::handle:horizontal { min-width: 32px; }
QScrollBar::handle:hover { background: @muted; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
QProgressBar {
    background: @fold; border: none; border-radius: 3px; max-height: 6px; text-align: center; color: transparent;
}
QProgressBar::chunk { background: @accent; border-radius: 3px; }
QToolTip { background: @raised; color: @text; border: 1px solid @handle; padding: 4px 6px; }
QTabWidget::pane { border: none; border-top: 1px solid @line; }
QTabBar { background: transparent; }
QTabBar::tab {
    background: transparent; color: @text; border: 2px solid transparent; border-radius: 5px; padding: 5px 10px;
}
QTabBar::tab:hover { background: @hover; }
QTabBar::tab:selected { background: @select; color: @accent; font-weight: 600; }
QTabBar::tab:selected:focus { border-color: @accent; }
"""

_CHIP_RULES: Final = """
QFrame[notice="NAME"] { background: @NAME-bg; }
QFrame[result="true"][notice="NAME"] { border: 1px solid @NAME; border-radius: 6px; }
QPushButton[chip="NAME"], QLabel[chip="NAME"] {
    background: @NAME-bg; color: @NAME; border: 1px solid transparent; border-radius: 0.7em; padding: 0.2em 10px;
}
QPushButton[chip="NAME"]:hover, QPushButton[chip="NAME"]:checked { border-color: @NAME; }
QPushButton[chip="NAME"]:checked { background: @NAME-bg; color: @NAME; }
QPushButton[chip="NAME"]:focus { border: 2px solid @NAME; padding: 0.2em 9px; }
QPushButton[chip="NAME"]:disabled { background: @fold; color: @disabled; border-color: transparent; }
"""
