"""Files that a command writes for a person or another program: where, in which form, and what they may replace."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from hermes_rescue.core.base import files
from hermes_rescue.core.base.errors import RescueError

if TYPE_CHECKING:
    from hermes_rescue.core.audit.store_audit import Audit
    from hermes_rescue.core.hermes.store import Store

STDOUT = "-"
"""What stands for the terminal in place of a file."""

USUAL_FORM = "md"
_OTHER_SUFFIXES = {"htm": "html", "markdown": "md"}


def form_of(given: str | None, output: Path | str | None, forms: Collection[str]) -> str:
    """The form of what is written: the one that is given, else what the name of the file ends in, else Markdown."""
    if given is not None:
        return given
    suffix = Path(output or "").suffix.removeprefix(".").lower()
    suffix = _OTHER_SUFFIXES.get(suffix, suffix)
    return suffix if suffix in forms else USUAL_FORM


def save(store: Store, path: Path, text: str, *, overwrite: bool) -> None:
    """Write a text to a file for its user alone. Raises RescueError where the file is there already, without
    ``overwrite``, or where it is one of Hermes' own or would be taken for one.
    """
    from hermes_rescue.core.report.export import require_foreign

    if path.is_dir():
        raise RescueError(f"{path} is a folder. Name a file.")
    require_foreign(store, path)
    try:
        _write(path, text, overwrite=overwrite)
    except FileExistsError:
        raise RescueError(f"{path} is there already. Choose another name, or give --overwrite.") from None


def save_metrics(found: Audit, at: float, target: str) -> None:
    """Write the metrics of an audit that ended ``at`` seconds since 1970, to stdout or to a file that others can read;
    one that is there is replaced. Raises RescueError for a file in the Hermes home, which an audit leaves as it is.
    """
    from hermes_rescue.core.report.export import is_of_hermes
    from hermes_rescue.core.report.metrics import metrics

    if target == STDOUT:
        print(metrics(found, at), end="")
        return
    path = Path(target)
    if is_of_hermes(found.store, path):
        raise RescueError(f"{target} is in a folder of Hermes, where an audit writes nothing. Choose another place.")
    _write(path, metrics(found, at, path.stem), overwrite=True, mode=0o644)


def _write(path: Path, text: str, *, overwrite: bool, mode: int = 0o600) -> None:
    """As :func:`core.base.files.write`, with every refusal of the system but that as a RescueError that names the file
    itself, not the temp beside it.
    """
    try:
        files.write(path, text.encode("utf-8", "replace"), overwrite=overwrite, mode=mode)
    except FileExistsError:
        raise
    except OSError as error:
        raise RescueError(files.sentence(error, path)) from error
