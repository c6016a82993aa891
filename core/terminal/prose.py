"""Sentences on a terminal: lines that can be read, commands that can be copied. What is piped is never wrapped."""

from __future__ import annotations

import shutil
import sys

from hermes_rescue.core.base.files import shown
from hermes_rescue.core.base.program import NAME
from hermes_rescue.core.base.words import typed
from hermes_rescue.core.terminal import progress
from hermes_rescue.core.terminal.call import program
from rich.cells import cell_len

WIDTH = 80
"""Cells of a line of prose at most, also on a wider terminal."""

GAP = "    "
"""What stands between a suggested command and the next suggestion."""


def wrapped(text: str, width: int, hang: int | None = None) -> list[str]:
    """A text as lines of at most so many cells, broken between words only. A command of this program, up to a ``GAP``
    or the end, stays one line, which the terminal itself wraps where it is too long: so it can be copied. ``hang``:
    where further lines begin, in characters; usually where the first does.
    """
    if cell_len(text) <= width:
        return [text]
    hang = len(text) - len(text.lstrip()) if hang is None else hang
    line, rest = text[:hang], text[hang:]
    call = f"{typed(program())} "
    lines = []
    for part in rest.split(GAP) if call in rest else [rest]:
        prose, named, words = part.partition(call)
        is_begun = False
        for unit in (*prose.split(), *([named + words] if named else [])):
            if is_begun and cell_len(line) + 1 + cell_len(unit) > width:
                lines.append(line)
                line, is_begun = " " * hang, False
            line += f" {unit}" if is_begun else unit
            is_begun = True
        lines.append(line)
        line = " " * hang
    return lines


def announce(text: str, status: int | None = None) -> None:
    """A sentence on stderr, under the name of this program; to a program that asked for it, a line of JSON. ``status``:
    the exit status where the command ends with it.
    """
    if progress.is_asked():
        print(progress.notice(text, status), file=sys.stderr)
        return
    text = f"{NAME}: {shown(text)}"
    width = min(WIDTH, shutil.get_terminal_size().columns)
    print(*(wrapped(text, width) if sys.stderr.isatty() else [text]), sep="\n", file=sys.stderr)
