"""The command ``vault`` of the terminal front: what is kept of past repairs, and the end of what is old."""

from __future__ import annotations

import re
import time

import click
from hermes_rescue.core.base.words import counted
from hermes_rescue.core.terminal.call import Call, on_a_store
from hermes_rescue.core.terminal.commands import (
    NOTHING_LEFT,
    USAGE,
    _confirm,
    _fail,
    _print_json,
    _view,
    app,
    json_option,
    yes_option,
)

_DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}


@app.group(invoke_without_command=True)
@json_option
@on_a_store
def vault(call: Call, *, as_json: bool) -> int:
    """Show what past repairs have kept; prune what is old."""
    from hermes_rescue.core.repair import prune as pruning
    from hermes_rescue.core.repair.vault import Vault

    subcommand = click.get_current_context().invoked_subcommand
    if subcommand is not None:
        if call != Call():  # else another store would be pruned than the one that is named
            _fail(f"Give the options after {subcommand}, not before it.", USAGE)
        return NOTHING_LEFT
    kept = Vault.of(call.find_store())
    sizes = {run_id: pruning.size_of(kept.runs_folder / run_id) for run_id in kept.run_ids()}
    total = pruning.size_of(kept.root)
    if as_json:
        runs = [{"run": run_id, "bytes": size} for run_id, size in sizes.items()]
        _print_json({"folder": str(kept.root), "bytes": total, "runs": runs})
        return NOTHING_LEFT
    view = _view(call)
    view.line(f"{kept.root}: {_size(total)}, {counted(len(sizes), 'repair')}")
    for run_id, size in sizes.items():
        view.line(f"  {run_id}  {_size(size):>10}")
    if len(sizes) > pruning.KEPT_RUNS:
        view.line(f"Delete what is old: {call.command('vault', 'prune', '--older-than', '90d')}")
    return NOTHING_LEFT


@vault.command()
@click.option("--older-than", required=True, metavar="AGE", help="Days, weeks, months or years: 90d, 12w, 6m, 1y.")
@yes_option
@json_option
@on_a_store
def prune(call: Call, *, older_than: str, yes: bool, as_json: bool) -> int:
    """Delete what old repairs have kept, so that they cannot be undone any more. The newest ones always stay."""
    from hermes_rescue.core.repair import prune as pruning
    from hermes_rescue.core.repair.vault import Vault
    from hermes_rescue.core.terminal.choose import require_answer

    age = re.fullmatch(r"(\d{1,5})([dwmy])", older_than, re.ASCII)
    if age is None:
        _fail(f"--older-than is an age such as 90d, 12w, 6m or 1y, not {older_than}.", USAGE)
        return USAGE
    require_answer(as_json=as_json, is_quiet=call.is_quiet, yes=yes)
    kept, view = Vault.of(call.find_store()), _view(call)
    runs = pruning.prunable(kept, time.time() - int(age[1]) * _DAYS[age[2]] * 86_400)
    size = sum(pruning.size_of(kept.runs_folder / run_id) for run_id in runs)
    what = f"{counted(len(runs), 'repair')} ({_size(size)})"
    if runs:
        if not yes:
            _confirm(f"Delete what {what} kept? They cannot be undone afterwards.")
        pruning.prune(kept, runs)
    if as_json:
        _print_json({"runs": list(runs), "bytes": size})
    elif runs:
        view.line(f"What {what} kept is deleted.")
    else:
        view.line(f"Nothing to prune: the newest {pruning.KEPT_RUNS} repairs always stay.")
    return NOTHING_LEFT


def _size(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB" if size >= 1 << 20 else f"{size / (1 << 10):.1f} KiB"
