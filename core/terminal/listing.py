"""The command ``list`` of the terminal front."""

from __future__ import annotations

from hermes_rescue.core.terminal.call import Call, on_a_store
from hermes_rescue.core.terminal.commands import NOTHING_LEFT, _audited, _print_json, _view, app, json_option


@app.command("list")
@json_option
@on_a_store
def list_(call: Call, *, as_json: bool) -> int:
    """List every session of a store, the newest first: its state, counts, size, dates and title. Changes nothing."""
    from hermes_rescue.core.report.report import list_json

    store, view = call.find_store(), _view(call)
    found = _audited(view, store)
    if as_json:
        _print_json(list_json(found))
    else:
        view.sessions(found)
    return NOTHING_LEFT
