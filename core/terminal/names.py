"""Which session or run is meant by what a person typed: an id, the beginning of one, or a title."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from hermes_rescue.core.base.errors import RescueError, UnknownSessionError
from hermes_rescue.core.terminal.commands import USAGE, _audited, _fail, _view

if TYPE_CHECKING:
    from hermes_rescue.core.hermes.store import Store
    from hermes_rescue.core.repair.run_record import Run
    from hermes_rescue.core.terminal.call import Call

_NAMED = 8  # candidates


def session_named(call: Call, store: Store, text: str) -> str:
    """The id of the session of a store. Raises RescueError where there is none; ends with the
    candidates where there are several."""
    if _is_id(store, text):
        return text
    found = _audited(_view(call), store)
    sid = _meant(call, text, {s.session_id: s.title for s in found.sessions})
    if sid is None:
        raise RescueError(f"{UnknownSessionError((text,), store.sessions_dir)} See: {call.command('list')}")
    return sid


def sessions_named(call: Call, store: Store, texts: Iterable[str]) -> list[str]:
    """The same for several, each session once."""
    return list(dict.fromkeys(session_named(call, store, text) for text in texts))


def session_of_run(call: Call, run: Run, text: str) -> str:
    """The id of a session that a run may have changed; the text itself where there is none."""
    titles = {op.session_id: str(op.info.get("title", "")) for op in run.operations if op.session_id is not None}
    return _meant(call, text, titles) or text


def run_named(call: Call, store: Store, text: str) -> str:
    """The id of a run. Raises RescueError where there is none; ends with the candidates for several."""
    from hermes_rescue.core.repair.vault import Vault

    run = _meant(call, text, dict.fromkeys(Vault.of(store).run_ids(), ""))
    if run is None:
        raise RescueError(f"There is no repair {text}. See: {call.command('history')}")
    return run


def _is_id(store: Store, text: str) -> bool:
    from hermes_rescue.core.hermes.inventory import Inventory
    from hermes_rescue.core.hermes.store import is_session_name

    if not is_session_name(text):
        return False
    if os.path.isfile(store.sessions_dir / f"{text}.json"):
        return True
    with Inventory(store, only=(text,)) as inventory:
        return text in inventory.session_ids()


def _meant(call: Call, text: str, titles: Mapping[str, str]) -> str | None:
    """The id of those that is meant, None for none; the first rule that finds any decides."""
    wanted = _folded(text)
    rules: tuple[Callable[[str, str], bool], ...] = (
        lambda sid, title: sid == text,
        lambda sid, title: title == wanted,
        lambda sid, title: sid.startswith(text) or title.startswith(wanted),
        lambda sid, title: wanted in title,
    )
    folded = {sid: _folded(title) for sid, title in titles.items()} if wanted else {}
    found = next(filter(None, ([sid for sid, title in folded.items() if rule(sid, title)] for rule in rules)), [])
    if not found:
        return None
    names = [f"{sid} ({titles[sid]})" if titles[sid] else sid for sid in found]
    if len(found) > 1:
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        _fail(f"{text} can be: {'; '.join(names[:_NAMED])}{more}. Name one by its id.", USAGE)
    if found[0] != text and not call.is_quiet:
        from hermes_rescue.core.terminal.prose import announce

        announce(f"{text} is {names[0]}.")
    return found[0]


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
