"""Every user action once: its words, icon, shortcut and tip, and the line of the terminal that does the same.

Menus, tool bar, context menus, "Copy command" and the help come from this table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from hermes_rescue.core.base.words import typed
from hermes_rescue.core.merge.choices import Choices
from hermes_rescue.gui.widgets.theme import Theme
from PySide6.QtCore import QT_TRANSLATE_NOOP, QCoreApplication, QObject
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMenuBar

PROGRAM = "hermes-rescue"
CONTEXT = "Commands"


@dataclass(frozen=True, slots=True)
class Command:
    """One action. ``cli`` is what follows the program's name on the terminal, with ``{sessions}`` for the selected
    session ids; empty where only a window can do it. ``cli_chosen`` takes its place, with ``{choices}``, where a person
    has chosen what to take of the session. ``menu`` names the menu that it stands in; of those with one ``group`` one
    is checked. ``begins_group``: a line goes before it in the menu.
    """

    name: str
    menu: str
    text: str
    tip: str
    icon: str = ""
    shortcuts: tuple[str, ...] = ()
    cli: str = ""
    cli_chosen: str = ""
    checkable: bool = False
    group: str = ""
    begins_group: bool = False


def _t(text: str) -> str:
    return str(QT_TRANSLATE_NOOP(CONTEXT, text))


MENUS: tuple[tuple[str, str], ...] = (
    ("file", _t("&File")),
    ("sessions", _t("&Sessions")),
    ("view", _t("&View")),
    ("history", _t("H&istory")),
    ("help", _t("&Help")),
)
"""The menus from left to right; that to save a copy is in the one of the sessions."""

COMMANDS: tuple[Command, ...] = (
    Command("open", "file", _t("&Open store…"), _t("Choose a Hermes home or a sessions folder"), "store", ("Ctrl+O",)),
    Command(
        "demo",
        "file",
        _t("Open a &demo store"),
        _t("Make a damaged store to try everything on"),
        "play",
        cli="demo DIR",
    ),
    Command(
        "add_backup",
        "file",
        _t("Add a &backup…"),
        _t("Look for further copies in a file, an archive or a database; it is only read"),
        "add",
        ("Ctrl+B",),
        "audit --also PATH",
        begins_group=True,
    ),
    Command(
        "add_folder",
        "file",
        _t("Add a backup &folder…"),
        _t("Look for further copies in a folder or an old home; it is only read"),
        "add",
        cli="audit --also PATH",
    ),
    Command(
        "import",
        "file",
        _t("&Import sessions…"),
        _t("Bring in sessions from exports, session files or archives; asks first and can be undone"),
        "",
        ("Ctrl+I",),
        "import FILE",
    ),
    Command(
        "rescan", "file", _t("&Rescan"), _t("Check every session again"), "rescan", ("F5",), "audit", begins_group=True
    ),
    Command(
        "export",
        "file",
        _t("&Export report…"),
        _t("Save a report of findings or of a repair"),
        "export",
        ("Ctrl+E",),
        "report -o FILE",
    ),
    Command(
        "export_selected",
        "file",
        _t("Export report of &selected…"),
        _t("Save a report of what was found in the selected sessions"),
    ),
    Command("quit", "file", _t("&Quit"), _t("Close the window"), "", ("Ctrl+Q",), begins_group=True),
    Command(
        "repair_all",
        "sessions",
        _t("&Repair all…"),
        _t("Repair every session that has one right answer"),
        "repair",
        ("Ctrl+R",),
        "repair --all",
    ),
    Command(
        "repair",
        "sessions",
        _t("Repair &selected…"),
        _t("Repair the selected sessions; a dialog first shows what that does"),
        "repair",
        ("R", "Ctrl+Shift+R"),
        "repair {sessions}",
    ),
    Command(
        "repair_copy",
        "sessions",
        _t("Restore &as a copy…"),
        _t("Restore the selected session under a new id; the session itself stays as it is"),
        "",
        (),
        "repair {sessions} --as-copy",
        "repair {sessions} --as-copy {choices}",
    ),
    Command(
        "reset_choices",
        "sessions",
        _t("Rese&t my choices"),
        _t("Choose nothing of the selected sessions any more; undo takes that back"),
    ),
    Command(
        "next_open",
        "sessions",
        _t("Next &open session"),
        _t("Go to the next session that can be repaired or asks something"),
        "next",
        ("S",),
    ),
    Command(
        "find",
        "sessions",
        _t("&Search"),
        _t("Find sessions by their titles and by what was said in any copy"),
        "search",
        ("Ctrl+F", "/"),
        "find WORDS",
        begins_group=True,
    ),
    Command(
        "save_md",
        "save",
        _t("&Markdown…"),
        _t("Save the recovered conversation as Markdown"),
        "export",
        ("Ctrl+S",),
        "export {sessions}",
    ),
    Command(
        "save_html",
        "save",
        _t("&Web page…"),
        _t("Save the recovered conversation as one HTML file"),
        cli="export {sessions} --form html",
    ),
    Command(
        "save_pdf",
        "save",
        _t("&PDF…"),
        _t("Save the recovered conversation as PDF"),
        cli="export {sessions} --form pdf",
    ),
    Command(
        "save_json",
        "save",
        _t("&JSON of Hermes WebUI…"),
        _t("Save the recovered conversation in the form that Hermes WebUI imports"),
        cli="export {sessions} --form json",
    ),
    Command(
        "copy_id",
        "sessions",
        _t("Copy &id"),
        _t("Copy the ids of the selected sessions"),
        "copy",
        ("Ctrl+Shift+I",),
        begins_group=True,
    ),
    Command(
        "copy_command",
        "sessions",
        _t("&Copy command"),
        _t("Copy the terminal command that shows this session, or repairs it as you chose"),
        "copy",
        ("Ctrl+Shift+C",),
        "show {sessions}",
        "repair {sessions} {choices}",
    ),
    Command(
        "compare",
        "sessions",
        _t("Copy the command that com&pares"),
        _t("Copy the terminal command that shows the differences"),
        "copy",
        (),
        "diff {sessions}",
    ),
    Command(
        "next",
        "view",
        _t("&Next change"),
        _t("Go to the next change, or to the next session after the last one"),
        "next",
        ("F7", "Alt+Down"),
    ),
    Command(
        "previous", "view", _t("&Previous change"), _t("Go to the previous change"), "previous", ("Shift+F7", "Alt+Up")
    ),
    Command(
        "unified",
        "view",
        _t("&Unified"),
        _t("Show both versions in one column"),
        "unified",
        ("Ctrl+1",),
        checkable=True,
        group="mode",
        begins_group=True,
    ),
    Command(
        "split",
        "view",
        _t("&Side by side"),
        _t("Show both versions beside each other"),
        "split",
        ("Ctrl+2",),
        checkable=True,
        group="mode",
    ),
    Command(
        "table",
        "view",
        _t("&Table"),
        _t("Show the sessions as a table"),
        "",
        ("Ctrl+T",),
        checkable=True,
        begins_group=True,
    ),
    Command(
        "zoom_in", "view", _t("&Larger text"), _t("Show every text larger"), "", ("Ctrl++", "Ctrl+="), begins_group=True
    ),
    Command("zoom_out", "view", _t("&Smaller text"), _t("Show every text smaller"), "", ("Ctrl+-",)),
    Command("zoom_usual", "view", _t("Usual text si&ze"), _t("Show every text in the system's size"), "", ("Ctrl+0",)),
    Command("pane", "view", _t("Next &pane"), _t("Go to the sessions, the head, the pages"), "", ("F6",)),
    Command(
        "theme_system",
        "view",
        _t("Colours of the s&ystem"),
        _t("Follow the system"),
        "theme",
        checkable=True,
        group="theme",
        begins_group=True,
    ),
    Command(
        "theme_light", "view", _t("&Light"), _t("Dark text on a light background"), "", checkable=True, group="theme"
    ),
    Command("theme_dark", "view", _t("&Dark"), _t("Light text on dark ground"), "", checkable=True, group="theme"),
    Command(
        "theme_contrast",
        "view",
        _t("High &contrast"),
        _t("Strong colours, strong lines"),
        "",
        checkable=True,
        group="theme",
    ),
    Command(
        "undo",
        "history",
        _t("&Undo"),
        _t("Take back what you chose last; after that, put back what the last repair changed"),
        "undo",
        ("Ctrl+Z",),
        "undo",
    ),
    Command(
        "history",
        "history",
        _t("&Show history"),
        _t("Every repair that was made"),
        "history",
        ("Ctrl+H",),
        "history",
        checkable=True,
    ),
    Command(
        "guide", "help", _t("&Guide"), _t("What was found in the selected session, and what to do"), "help", ("F1",)
    ),
    Command(
        "help",
        "help",
        _t("&Keyboard shortcuts and terms"),
        _t("What the keys do and what the terms mean"),
        shortcuts=("Ctrl+F1",),
    ),
    Command("about", "help", _t("&About Hermes Rescue"), _t("Version and licence"), begins_group=True),
)
"""Every action of the window, in the order of the menus."""


def command_line(
    command: Command, place: Sequence[str], sessions: Sequence[str], choices: Mapping[str, Choices] | None = None
) -> str:
    """The line to type on a terminal; ``place`` are the options that name the store, ``choices`` what was chosen for
    sessions (a line with choices is about one of them). Empty where there is none.
    """
    if not command.cli or ("{sessions}" in command.cli and not sessions):
        return ""
    chosen = (choices or {}).get(sessions[0]) if len(sessions) == 1 and command.cli_chosen else None
    line = command.cli if chosen is None else command.cli_chosen
    line = line.format(sessions=typed(sessions), choices=typed(_options(chosen or Choices())))
    return " ".join((PROGRAM, line, typed(place))) if place else f"{PROGRAM} {line}"


def _options(choices: Choices) -> list[str]:
    """What was chosen as options of the terminal."""
    options = ["--proposal", choices.made_on] if choices.made_on else []
    for option, positions in (("--include", choices.include), ("--exclude", choices.exclude)):
        if positions:
            options += [option, ",".join(_numbers(sorted(positions)))]
    for name, copy in choices.fields.items():
        options += ["--field", f"{name}={copy}"]
    return options


def _numbers(positions: Sequence[int]) -> Iterator[str]:
    """Positions (from 0) as the terminal counts (from 1): "3", "7-9"."""
    for _, run in groupby(enumerate(positions, 1), lambda pair: pair[1] - pair[0]):
        numbers = [position + 1 for _, position in run]
        yield f"{numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else str(numbers[0])


class Actions:
    """The table as QActions of a window; ``actions["repair"]`` is one of them."""

    def __init__(self, parent: QObject, theme: Theme) -> None:
        self._actions: dict[str, QAction] = {}
        groups: dict[str, QActionGroup] = {}
        for command in COMMANDS:
            action = QAction(self._label(command.text), parent)
            action.setObjectName(command.name)
            action.setToolTip(self._tip(command))
            action.setStatusTip(self._label(command.tip))
            action.setShortcuts([QKeySequence(keys) for keys in command.shortcuts])
            action.setCheckable(command.checkable)
            if command.group:
                groups.setdefault(command.group, QActionGroup(parent)).addAction(action)
            self._actions[command.name] = action
        self.set_theme(theme)

    def __getitem__(self, name: str) -> QAction:
        return self._actions[name]

    def connect(self, name: str, slot: Callable[[], object]) -> None:
        """Call ``slot`` when the action is triggered."""
        self._actions[name].triggered.connect(lambda _=False: slot())

    def fill(self, bar: QMenuBar) -> None:
        """Put the menus into a menu bar."""
        for name, title in MENUS:
            menu = bar.addMenu(self._label(title))
            for command in COMMANDS:
                if command.menu == name and command.begins_group:
                    menu.addSeparator()
                if command.menu == name:
                    menu.addAction(self._actions[command.name])

    def set_theme(self, theme: Theme) -> None:
        """Draw the icons anew."""
        for command in COMMANDS:
            if command.icon:
                self._actions[command.name].setIcon(theme.icon(command.icon))

    @staticmethod
    def _label(text: str) -> str:
        return QCoreApplication.translate(CONTEXT, text)

    def _tip(self, command: Command) -> str:
        keys = ", ".join(QKeySequence(k).toString(QKeySequence.SequenceFormat.NativeText) for k in command.shortcuts)
        tip = self._label(command.tip)
        return f"{tip} ({keys})" if keys else tip
