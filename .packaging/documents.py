"""What is made from the commands themselves.

documents.py FOLDER    the man page and the completions of the shells, below the folder
documents.py           docs/terminal.md, anew
"""

from __future__ import annotations

import inspect
import pkgutil
import re
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from hermes_rescue.core import terminal
from hermes_rescue.core.base.program import version
from hermes_rescue.core.terminal.commands import app

NAME = "hermes-rescue"
SHARED = ("--home", "--session-dir", "--state-db", "--also", "--quiet", "--json-progress")
"""The options that every command on a store has."""

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "terminal.md"


@dataclass(frozen=True, slots=True)
class Option:
    """An option: its spellings, what follows it ("" for a switch), what it is for."""

    names: tuple[str, ...]
    value: str
    help: str

    @property
    def is_place(self) -> bool:
        """Whether a file or folder follows it."""
        return bool({"DIR", "FILE", "PATH", "FOLDER"} & set(self.value.split("|")))

    @property
    def choices(self) -> list[str]:
        """The words that can follow it, where these are all."""
        words = self.value.split("|")
        return words if len(words) > 1 and self.value.islower() else []


@dataclass(frozen=True, slots=True)
class Command:
    """A command with its sub-commands' names in its own: "vault prune"."""

    name: str
    arguments: str
    help: str
    options: tuple[Option, ...]

    @property
    def summary(self) -> str:
        """The first sentence of its help."""
        return self.help.split(". ")[0].split("\n")[0].rstrip(".")


def commands() -> list[Command]:
    """Every command of the terminal, by name; the first is the program itself."""
    for module in pkgutil.iter_modules(terminal.__path__, f"{terminal.__name__}."):
        import_module(module.name)  # each brings its commands
    found: list[Command] = []

    def gather(group: object, name: str) -> None:
        options = [
            Option(tuple(each.opts), "" if each.is_flag else each.metavar or "VALUE", each.help or "")
            for each in group.params  # type: ignore[attr-defined]
            if each.param_type_name == "option" and not each.hidden
        ]
        arguments = [
            each.metavar
            for each in group.params  # type: ignore[attr-defined]
            if each.param_type_name == "argument"
        ]
        options.append(Option(("-h", "--help"), "", "Say what can be typed here."))
        help_text = inspect.cleandoc(group.help or "")  # type: ignore[attr-defined]
        found.append(Command(name, " ".join(arguments), help_text, tuple(options)))
        for inner, command in sorted(getattr(group, "commands", {}).items()):
            if not command.hidden:
                gather(command, f"{name} {inner}".strip())

    gather(app, "")
    return found


def released() -> str:
    """The date of this version, as the list of changes has it."""
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    found = re.search(rf"^## {re.escape(version())} \((.*)\)$", changes, re.MULTILINE)
    return found[1] if found else ""


def man_page(all_commands: list[Command]) -> str:
    """The page as roff."""
    program, *rest = all_commands
    lines = [
        f'.TH {NAME.upper()} 1 "{released()}" "Hermes Rescue {version()}" "User Commands"',
        ".SH NAME",
        rf"{NAME} \- {_roff(program.summary)}",
        ".SH SYNOPSIS",
        rf".B {NAME}",
        ".I COMMAND",
        "[options]",
        ".SH DESCRIPTION",
        _roff(program.help),
        ".SH COMMANDS",
    ]
    for command in rest:
        lines += [f".SS {_roff(' '.join(filter(None, (command.name, command.arguments))))}", _roff(command.help)]
        for option in command.options:
            names = ", ".join(option.names)
            lines += [".TP", rf"\fB{_roff(names)}\fR \fI{_roff(option.value)}\fR".rstrip(), _roff(option.help)]
    epilog = app.epilog
    lines += [
        ".SH EXIT STATUS",
        _roff((epilog or "").removeprefix("Exit status: ")),
        ".SH SEE ALSO",
        rf"\fB{NAME}-gui\fR, the window.",
    ]
    return "\n".join(line for line in lines if line) + "\n"


def reference(all_commands: list[Command]) -> str:
    """The same as a page of the documents. What every command on a store has stands in it once."""
    program, *rest = all_commands
    on_a_store = next(command for command in rest if command.name == "audit")
    shared = [option for option in on_a_store.options if option.names[0] in SHARED]
    lines = [
        "# The terminal",
        "",
        "<!-- made from the commands: make docs -->",
        "",
        program.help,
        "",
        f"    {NAME} COMMAND [options]",
        "",
        app.epilog or "",
        "",
        "A session (SID) is named by its id, by how that begins, or by its title; a run (RUN) by how its id begins.",
        "",
        "## Options of every command on a store",
        "",
        *map(_item, shared),
        "",
        "## Options of the program itself",
        "",
        *map(_item, program.options),
    ]
    for command in rest:
        own = [option for option in command.options if option not in shared and "--help" not in option.names]
        is_on_a_store = all(option in command.options for option in shared)
        lines += [
            "",
            f"## {command.name}",
            "",
            f"    {' '.join(filter(None, (NAME, command.name, command.arguments)))}",
        ]
        lines += ["", command.help, "", *map(_item, own)]
        if is_on_a_store:
            lines += ["- the options of every command on a store"]
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def bash(all_commands: list[Command]) -> str:
    """The completion for bash."""
    cases = []
    for command in all_commands:
        words = [name for option in command.options for name in option.names] + _inner(command, all_commands)
        cases.append(f"        {_quoted(command.name)}) words={_quoted(' '.join(words))} ;;")
    places = sorted({name for each in all_commands for o in each.options if o.is_place for name in o.names})
    chosen = {o.names: o.choices for each in all_commands for o in each.options if o.choices}
    values = [f"        {'|'.join(names)}) words={_quoted(' '.join(words))} ;;" for names, words in chosen.items()]
    groups = sorted(each.name for each in all_commands if each.name and _inner(each, all_commands))
    return "\n".join(
        (
            f"# bash completion of {NAME}, made from its commands",
            "_hermes_rescue() {",
            "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}",
            "    local command='' words='' word",
            '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
            "        case $command:$word in",
            "            *:-*) ;;",
            "            :*) command=$word ;;",
            *(f'            {group}:*) command+=" $word"; break ;;' for group in groups),
            "            *) break ;;",
            "        esac",
            "    done",
            "    case $command in",
            *cases,
            "    esac",
            "    case $previous in",
            *values,
            f"        {'|'.join(places)}) words= ;;",
            "    esac",
            '    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")',
            "}",
            f"complete -o default -F _hermes_rescue {NAME}",
            "",
        )
    )


def zsh(all_commands: list[Command]) -> str:
    """The completion for zsh."""
    lines = [
        f"#compdef {NAME}",
        f"# made from the commands of {NAME}",
        "",
        "_hermes_rescue() {",
        "  local context state line",
    ]
    program = all_commands[0]
    names = [c for c in all_commands if c.name and " " not in c.name]
    lines += ["  local -a commands=("]
    lines += [f"    {_quoted(f'{c.name}:{c.summary}')}" for c in names]
    lines += ["  )", "  if (( CURRENT == 2 )); then"]
    lines += [
        "    _describe command commands",
        f"    _arguments {' '.join(map(_zsh_option, program.options))}",
        "    return",
    ]
    lines += ["  fi", "  case $words[2] in"]
    for command in names:
        inner = _inner(command, all_commands)
        subs = [c for c in all_commands if c.name.startswith(f"{command.name} ")]
        options = {o.names: o for c in (command, *subs) for o in c.options}
        arguments = [_zsh_option(o) for o in options.values()]
        if inner:
            arguments.append(_quoted(f"1:command:({' '.join(inner)})"))
        arguments.append(_quoted("*:file:_files"))
        lines += [f"    {command.name}) shift words; (( CURRENT-- ))", f"      _arguments {' '.join(arguments)} ;;"]
    lines += ["  esac", "}", "", '_hermes_rescue "$@"', ""]
    return "\n".join(lines)


def fish(all_commands: list[Command]) -> str:
    """The completion for fish."""
    lines = [f"# fish completion of {NAME}, made from its commands"]
    for command in all_commands:
        words = command.name.split()
        seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in words) or "__fish_use_subcommand"
        if words:
            before = "__fish_use_subcommand" if len(words) == 1 else f"__fish_seen_subcommand_from {words[0]}"
            lines.append(f"complete -c {NAME} -f -n '{before}' -a {words[-1]} -d {_quoted(command.summary)}")
        for option in command.options:
            spelt = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names)
            value = f" -x -a {_quoted(' '.join(option.choices))}" if option.choices else " -r" if option.value else ""
            value += " -F" if option.is_place else ""
            lines.append(f"complete -c {NAME} -n '{seen}' {spelt}{value} -d {_quoted(option.help)}")
    return "\n".join(lines) + "\n"


DOCUMENTS = {
    "man/man1/hermes-rescue.1": man_page,
    "bash-completion/completions/hermes-rescue": bash,
    "zsh/site-functions/_hermes-rescue": zsh,
    "fish/vendor_completions.d/hermes-rescue.fish": fish,
}
"""Each where the system looks for it below ``share``."""


def main() -> None:
    """Write them below the folder that is named, or the page of the documents where none is."""
    all_commands = commands()
    if len(sys.argv) == 1:
        REFERENCE.write_text(reference(all_commands), "utf-8")
        return
    for name, make in DOCUMENTS.items():
        path = Path(sys.argv[1], name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make(all_commands), "utf-8")


def _inner(command: Command, all_commands: list[Command]) -> list[str]:
    """The names of what can follow a command."""
    depth = len(command.name.split()) + 1
    return [
        c.name.split()[-1]
        for c in all_commands
        if c is not command and len(c.name.split()) == depth and c.name.startswith(f"{command.name} ".lstrip())
    ]


def _zsh_option(option: Option) -> str:
    about = option.help.replace("[", "(").replace("]", ")").replace(":", " -")
    value = f":{option.value}:" if option.value else ""
    if option.choices:
        value += f"({' '.join(option.choices)})"
    elif option.is_place:
        value += "_files"
    return " ".join(_quoted(f"*{name}[{about}]{value}") for name in option.names)


def _item(option: Option) -> str:
    """An option as an item of a list in Markdown."""
    names = ", ".join(f"`{name}`" for name in option.names)
    return f"- {names} {option.value}".rstrip() + f": {option.help}"


def _quoted(text: str) -> str:
    """For each of the three shells: fish knows the way of the others too."""
    return "'" + text.replace("'", "'\\''") + "'"


def _roff(text: str) -> str:
    lines = (line.strip() for line in text.replace("\\", "\\e").replace("-", "\\-").splitlines())
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line or ".PP" for line in lines)


if __name__ == "__main__":
    main()
