"""The command ``export`` of the terminal front."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
from hermes_rescue.core.base import system_libraries
from hermes_rescue.core.base.errors import RescueError
from hermes_rescue.core.terminal import saving
from hermes_rescue.core.terminal.call import Call, named, on_a_store
from hermes_rescue.core.terminal.commands import (
    NOTHING_LEFT,
    REMAINS,
    _print_json,
    _view,
    app,
    json_option,
)

if TYPE_CHECKING:
    from hermes_rescue.core.report.export import PrintPage


@app.command()
@click.argument("sids", nargs=-1, metavar="[SID]...", help="The sessions to save.")
@click.option(
    "--form", "given_form", metavar="md|html|json|pdf", help="The form of the copy (default: as -o FILE ends, else md)."
)
@click.option(
    "--from",
    "name",
    default="recovered",
    show_default=True,
    metavar="COPY",
    help="recovered (what a repair would give), live, backup, database, ... as in diff.",
)
@click.option(
    "--output",
    "-o",
    default="./",
    show_default=True,
    type=named,
    metavar="FILE|FOLDER",
    help="Where to write; - is the terminal.",
)
@click.option("--all", "everything", is_flag=True, help="Every session of the store.")
@json_option
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@on_a_store
def export(
    call: Call,
    *,
    sids: tuple[str, ...],
    given_form: str | None,
    name: str,
    output: str,
    everything: bool,
    as_json: bool,
    overwrite: bool,
) -> int:
    """Save conversations as Markdown, HTML, PDF, or JSON that Hermes WebUI imports. Changes nothing in the store."""
    from hermes_rescue.core.base.files import shown
    from hermes_rescue.core.report import export as exports
    from hermes_rescue.core.terminal.names import sessions_named
    from hermes_rescue.core.terminal.prose import announce

    if bool(sids) == everything:
        raise click.BadParameter("Name the sessions to save, or give --all.")
    form = saving.form_of(given_form, output, exports.FORMS)
    if form not in exports.FORMS:
        raise click.BadParameter(f"--form is one of: {', '.join(exports.FORMS)}.")
    if output == saving.STDOUT and (everything or len(sids) > 1):
        raise click.BadParameter("-o - is for one session. Name a folder.")
    if output == saving.STDOUT and as_json:
        raise click.BadParameter("--json says which files were written. Name a file or folder.")
    store, view = call.find_store(), _view(call)
    ids = None if everything else sessions_named(call, store, sids)
    print_page = _print_page() if form == "pdf" else None
    if output == saving.STDOUT:
        with view.progress("Reading the session") as progress:
            for copy, steps in exports.read_copies(store, ids, name, progress=progress):
                if not isinstance(copy, exports.Copy):
                    raise RescueError(copy.reason)
                data = exports.render(copy, form, print_page, steps)
        sys.stdout.buffer.write(data)
        return NOTHING_LEFT
    target = Path(output)
    if output.endswith(("/", os.sep)):
        target.mkdir(parents=True, exist_ok=True)
    with view.progress("Saving") as progress:
        done = exports.export(
            store, ids, form, target, name, overwrite=overwrite, print_page=print_page, progress=progress
        )
    if done.failed and len(ids or ()) == 1:
        raise RescueError(done.failed[0].reason)
    if as_json:
        _print_json({"written": [str(path) for path in done.written], "failed": [asdict(each) for each in done.failed]})
    else:
        for path in done.written:
            view.whole(shown(str(path)))
    for each in done.failed:
        announce(f"Not saved: {each.session_id}: {each.reason}")
    return REMAINS if done.failed else NOTHING_LEFT


def _print_page() -> PrintPage:
    """The window makes a PDF, where it is installed: the engine and its terminal front do without it."""
    try:
        return cast("PrintPage", import_module("hermes_rescue.gui.background.conversation_pdf").pdf_of)
    except ImportError as error:
        if getattr(sys, "frozen", False) and find_spec("PySide6") is None:
            raise RescueError(
                "This single file comes without the window, which makes PDFs. Use --form html and print that."
            ) from None
        missing = system_libraries.missing_packages(system_libraries.QT)
        also = f"; on Debian and Ubuntu also: {system_libraries.install_line(missing)}" if missing else ""
        raise RescueError(
            f"A PDF needs the libraries of the window, and one is missing ({error}). Type: pip install"
            f" 'hermes-rescue[gui]'{also}. Or use --form html and print that."
        ) from None
