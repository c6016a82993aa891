"""The colours can be read by everyone, in every theme; the icons are there, in their colour, sharp on every screen."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hermes_rescue.gui.widgets import theme
from hermes_rescue.gui.widgets.commands import COMMANDS
from hermes_rescue.gui.widgets.path_dialogs import folder_dialog
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QGuiApplication, QIcon, QImage, QPalette, QPixmap
from PySide6.QtWidgets import QApplication, QPushButton, QToolButton, QWidget
from pytestqt.qtbot import QtBot

PLAIN = ("bg", "surface", "raised", "select", "fold", "hover")
TINTED = ("add-bg", "del-bg", "chg-bg")
WORDS = ("add-word", "del-word")
MEANINGS = (*theme.CHIPS, "accent", "add", "del", "chg")

TEXTS = (
    [("text", ground) for ground in (*PLAIN, *TINTED, *WORDS, "pressed")]
    + [("muted", ground) for ground in (*PLAIN, *TINTED)]
    + [(meaning, ground) for meaning in MEANINGS for ground in PLAIN]
    + [(meaning, f"{meaning}-bg") for meaning in (*theme.CHIPS, "add", "del", "chg")]
    + [("text", f"{token}-bg") for token in theme.CHIPS]
    + [("accent-text", "accent"), ("accent-text", "accent-hover")]
)
MARKS = [(mark, ground) for mark in ("accent", "muted", "add", "del", "chg") for ground in ("surface", "bg", "select")]

# Machado, Oliveira and Fernandes (2009), full severity, on linear RGB.
BLIND = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
}
SRGB_TO_XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
WHITE = (0.9505, 1.0, 1.089)

Vector = Sequence[float]


def linear(color: QColor) -> list[float]:
    channels = (color.redF(), color.greenF(), color.blueF())
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def times(matrix: Sequence[Vector], vector: Vector) -> list[float]:
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def contrast(one: QColor, other: QColor) -> float:
    """The contrast ratio of WCAG 2.2."""
    dark, light = sorted(times(SRGB_TO_XYZ, linear(color))[1] for color in (one, other))
    return (light + 0.05) / (dark + 0.05)


def lab(rgb: Vector) -> tuple[float, float, float]:
    scaled = [max(v, 0) / w for v, w in zip(times(SRGB_TO_XYZ, rgb), WHITE, strict=True)]
    x, y, z = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in scaled)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def distance(one: Vector, other: Vector) -> float:
    """How different two colours look (CIE 1976); 2.3 can just be told apart side by side."""
    return math.dist(lab(one), lab(other))


@pytest.fixture(params=theme.NAMES)
def each(request: pytest.FixtureRequest, qapp: QApplication) -> Theme:
    return theme.load(request.param)


@pytest.fixture
def app(qapp: QApplication) -> Iterator[QApplication]:
    """The application, plain again afterwards."""
    style, palette = qapp.style().name(), QPalette(qapp.palette())
    yield qapp
    qapp.setStyleSheet("")
    qapp.setStyle(style)
    qapp.setPalette(palette)


def image(icon: QIcon, scale: float = 1.0, mode: QIcon.Mode = QIcon.Mode.Normal) -> QImage:
    return icon.pixmap(QSize(16, 16), scale, mode).toImage()


def inks(picture: QImage) -> set[str]:
    """The colours of the pixels that are covered wholly."""
    pixels = (picture.pixelColor(x, y) for x in range(picture.width()) for y in range(picture.height()))
    return {color.name() for color in pixels if color.alpha() == 255}


def test_every_text_can_be_read_on_every_ground_that_it_has(each: Theme) -> None:
    least = 4.5
    ratios = {pair: contrast(each.color(pair[0]), each.color(pair[1])) for pair in TEXTS}
    assert {pair: ratio for pair, ratio in ratios.items() if ratio < least} == {}


def test_high_contrast_is_higher(qapp: QApplication) -> None:
    high = theme.load("contrast")
    assert contrast(high.color("text"), high.color("bg")) == pytest.approx(21)
    for meaning in ("text", "muted", *MEANINGS):
        assert contrast(high.color(meaning), high.color("surface")) >= 7, meaning
    assert contrast(high.color("line"), high.color("surface")) >= 3


def test_marks_stand_out(each: Theme) -> None:
    ratios = {pair: contrast(each.color(pair[0]), each.color(pair[1])) for pair in MARKS}
    assert {pair: ratio for pair, ratio in ratios.items() if ratio < 3} == {}


@pytest.mark.parametrize("name", ["arrow-up", "arrow-down", "arrow-left", "arrow-right"])
def test_the_arrows_of_the_style_sheet_stand_out_in_every_theme(each: Theme, name: str) -> None:
    drawing = files("hermes_rescue.resources").joinpath("icons", f"{name}.svg").read_text()
    grey = re.search(r'stroke="(#[0-9a-f]{6})"', drawing)
    assert grey is not None
    assert all(contrast(QColor(grey[1]), each.color(ground)) >= 3 for ground in ("surface", "raised", "bg"))


@pytest.mark.parametrize("button", ["backButton", "forwardButton", "toParentButton"])
def test_the_arrows_of_a_file_dialog_stand_out_in_every_theme(
    app: QApplication, qtbot: QtBot, each: Theme, button: str
) -> None:
    theme.apply(app, each)
    window = QWidget()
    qtbot.addWidget(window)
    dialog = folder_dialog(window, "A folder", lambda _: None)
    (found,) = dialog.findChildren(QToolButton, button)
    picture = found.icon().pixmap(64).toImage()
    drawn = [picture.pixelColor(x, y) for x in range(picture.width()) for y in range(picture.height())]
    solid = [color for color in drawn if color.alpha() == 255]
    assert solid and all(contrast(color, each.color("surface")) >= 3 for color in solid)
    dialog.deleteLater()


@pytest.mark.parametrize("sight", BLIND)
@pytest.mark.parametrize(("added", "removed", "least"), [("add", "del", 40), ("add-word", "del-word", 20)])
def test_added_and_removed_differ_for_eyes_that_see_no_red_or_no_green(
    each: Theme, sight: str, added: str, removed: str, least: float
) -> None:
    seen = [times(BLIND[sight], linear(each.color(token))) for token in (added, removed)]
    assert distance(*seen) >= least


def used_icons() -> set[str]:
    """The names of the icons that the sources of the window ask for."""
    sources = [path.read_text("utf-8") for path in (Path(theme.__file__).parent).glob("*.py")]
    asked = {name for text in sources for name in re.findall(r'icon\("([a-z][a-z-]*)"', text)}
    return asked | {command.icon for command in COMMANDS if command.icon}


def test_every_icon_that_is_asked_for_is_drawn(qapp: QApplication) -> None:
    assert {"search", "store"} <= used_icons()
    light = theme.load("light")
    blank = {name for name in used_icons() if not inks(image(light.icon(name), 4))}
    assert blank == set()


def test_no_drawing_is_blank_or_touches_the_edge(qapp: QApplication) -> None:
    for path in files("hermes_rescue.resources").joinpath("icons").iterdir():
        picture = image(theme.load("light").icon(path.name.removesuffix(".svg")), 4)
        alpha = [[picture.pixelColor(x, y).alpha() for x in range(64)] for y in range(64)]
        assert sum(a > 127 for row in alpha for a in row) > 150, path.name
        edge = alpha[0] + alpha[-1] + [row[0] for row in alpha] + [row[-1] for row in alpha]
        assert max(edge) == 0, path.name


def test_an_icon_has_the_colour_of_its_token(each: Theme) -> None:
    for token in ("text", "repair", "accent-text"):
        assert inks(image(each.icon("missing", token), 4)) == {each.color(token).name()}
    disabled = inks(image(each.icon("missing", "accent-text"), 4, QIcon.Mode.Disabled))
    assert disabled == {each.color("disabled").name()}


@pytest.mark.parametrize("scale", [1.0, 1.25, 2.0, 3.0])
def test_an_icon_is_drawn_for_the_screen_that_it_is_on(qapp: QApplication, scale: float) -> None:
    pixmap = theme.load("dark").icon("search").pixmap(QSize(16, 16), scale)
    assert (pixmap.width(), pixmap.devicePixelRatio()) == (16 * scale, scale)
    assert pixmap.deviceIndependentSize().toSize() == QSize(16, 16)


def test_beside_a_text_the_drawing_stays_square_and_gets_air(qapp: QApplication) -> None:
    picture = theme.load("light").icon("close").pixmap(theme.ICON_SIZE, 1.0).toImage()
    assert picture.size() == QSize(20, 16)
    square = image(theme.load("light").icon("close"))
    assert picture.copy(2, 0, 16, 16) == square


def test_copies_of_an_icon_live_on_their_own(qapp: QApplication) -> None:
    icon = theme.load("light").icon("copy")
    before = image(icon)
    for _ in range(50):
        other = QIcon(icon)
        other.addPixmap(QPixmap(16, 16))  # makes Qt clone what draws it
        assert image(other) == before
    del other
    assert image(icon) == before


def test_an_unknown_icon_theme_or_token_is_an_error(qapp: QApplication) -> None:
    with pytest.raises(FileNotFoundError):
        theme.load("light").icon("no-such-icon")
    with pytest.raises(KeyError):
        theme.load("light").color("no-such-token")
    with pytest.raises(KeyError):
        theme.load("no-such-theme")


def test_every_theme_has_the_same_tokens(qapp: QApplication) -> None:
    names = re.findall(r'"([a-z-]+)": "#', files("hermes_rescue.resources").joinpath("tokens.json").read_text())
    assert {names.count(name) for name in names} == {len(theme.NAMES)}
    assert [theme.load(name).is_dark for name in theme.NAMES] == [False, True, True]


def test_the_style_sheet_is_understood_and_has_every_colour(
    each: Theme, app: QApplication, qtbot: QtBot, qtlog: Any
) -> None:
    assert not re.search(r"@|NAME|TITLE_SIZE|CHECK\b", each.style_sheet())
    theme.apply(app, each)
    button = QPushButton("Repair")
    qtbot.addWidget(button)
    button.setProperty("primary", True)
    button.ensurePolished()
    button.resize(button.sizeHint())
    picture = button.grab().toImage()
    assert picture.pixelColor(6, picture.height() // 2) == each.color("accent")
    assert [record.message for record in qtlog.records] == []


def test_what_is_disabled_looks_so(each: Theme) -> None:
    palette, groups = each.palette(), QPalette.ColorGroup
    for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
        assert palette.color(groups.Active, role) == palette.color(groups.Inactive, role) == each.color("text")
        assert palette.color(groups.Disabled, role) == each.color("disabled")


def hints(scheme: Qt.ColorScheme, *, high: bool = False, window: str = "white") -> QGuiApplication:
    """What an application tells of its system."""
    preference = Qt.ContrastPreference.HighContrast if high else Qt.ContrastPreference.NoPreference
    styles = SimpleNamespace(
        colorScheme=lambda: scheme, accessibility=lambda: SimpleNamespace(contrastPreference=lambda: preference)
    )
    palette = QPalette(QColor("grey"), QColor(window))
    palette.setColor(QPalette.ColorRole.WindowText, QColor("black" if window == "white" else "white"))
    return cast(QGuiApplication, SimpleNamespace(styleHints=lambda: styles, palette=lambda: palette))


def test_the_system_decides_where_nobody_else_does(app: QApplication) -> None:
    schemes = Qt.ColorScheme
    assert theme.system_theme_name(hints(schemes.Light)) == "light"
    assert theme.system_theme_name(hints(schemes.Dark)) == "dark"
    assert theme.system_theme_name(hints(schemes.Dark, high=True)) == "contrast"
    assert theme.system_theme_name(hints(schemes.Unknown)) == "light"
    assert theme.system_theme_name(hints(schemes.Unknown, window="black")) == "dark"
    assert theme.system_theme_name(app) in theme.NAMES


def test_an_icon_without_room_draws_nothing(each: Theme) -> None:
    for size in (QSize(), QSize(0, 0), QSize(16, 0)):
        assert each.icon("healthy").pixmap(size).isNull()
