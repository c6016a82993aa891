"""What a person chooses on the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hermes_rescue.core.merge.choices import Choices
from hermes_rescue.core.terminal.commands import USAGE, _fail


def choices_of(fields: Sequence[str], include: Sequence[str], exclude: Sequence[str], proposal: str) -> Choices:
    """What the options of ``repair`` choose; ends with a sentence where they are wrong."""
    pairs = [text.partition("=") for text in fields]
    if wrong := next((text for text, (name, _, copy) in zip(fields, pairs, strict=True) if not (name and copy)), None):
        _fail(f"--field is NAME=COPY, not {wrong}.", USAGE)
    if (include or exclude) and not proposal:
        _fail("--include and --exclude need --proposal: show and diff print it beside the numbers.", USAGE)
    chosen = {name: copy for name, _, copy in pairs}
    return Choices(_positions("--include", include), _positions("--exclude", exclude), fields=chosen, made_on=proposal)


def _positions(option: str, texts: Sequence[str]) -> frozenset[int]:
    """Positions (from 0) of messages that are given by their numbers (from 1): 3,7-9."""
    positions: set[int] = set()
    for part in ",".join(texts).split(",") if texts else ():
        found = re.fullmatch(r"([1-9]\d{0,5})(?:-([1-9]\d{0,5}))?", part.strip(), re.ASCII)
        if found is None:
            _fail(f"{option} is a list of numbers such as 3,7-9, not {part}.", USAGE)
            return frozenset()
        positions.update(range(int(found[1]) - 1, int(found[2] or found[1])))
    return frozenset(positions)


def require_answer(*, as_json: bool, is_quiet: bool, yes: bool) -> None:
    """End with a sentence where nothing is to be shown and a question would have to be asked."""
    if (as_json or is_quiet) and not yes:
        _fail(f"{'--json' if as_json else '--quiet'} does not ask: give --yes with it.", USAGE)
