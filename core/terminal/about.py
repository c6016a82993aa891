"""The commands ``diagnostics`` and ``licences`` of the terminal front: this program and this computer."""

from __future__ import annotations

from dataclasses import asdict

from hermes_rescue.core.base.errors import RescueError
from hermes_rescue.core.terminal.call import Call, on_a_store
from hermes_rescue.core.terminal.commands import (
    NOTHING_LEFT,
    _audited,
    _print_json,
    _view,
    app,
    json_option,
)


@app.command()
@json_option
@on_a_store
def diagnostics(call: Call, *, as_json: bool) -> int:
    """Print versions, platform and counts of findings for a bug report: no path, no title, no text."""
    from hermes_rescue.core.report import diagnostics as facts_of

    found, problem = None, ""
    try:
        found = _audited(_view(call), call.find_store())
    except RescueError as error:  # its text names places
        problem = type(error).__name__
    facts = facts_of.diagnostics(found, problem)
    if as_json:
        _print_json(facts)
    else:
        print(facts_of.text_of(facts))
    return NOTHING_LEFT


@app.command()
@json_option
def licences(*, as_json: bool) -> int:
    """Print the licences of this program and of all that it is made with."""
    from hermes_rescue.core.base import program

    if as_json:
        _print_json(
            {
                "hermes_rescue": program.version(),
                "licence": program.LICENCE,
                "parts": [asdict(part) for part in program.parts()],
            }
        )
    else:
        print(program.licences())
    return NOTHING_LEFT
