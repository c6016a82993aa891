"""What was found or done without a title, path, id or text of anybody: it can be pasted where everybody reads it.

Everything here is made anew of numbers, of words that stand in this program and of names that it gives itself. Nothing
is taken over because it looks harmless.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hermes_rescue.core.audit.elsewhere import FoundPlace
from hermes_rescue.core.audit.findings import Finding, SessionAudit
from hermes_rescue.core.audit.store_audit import Audit
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.hermes.webui_status import Server, WebUIStatus
from hermes_rescue.core.report.coverage import COPIES, Coverage
from hermes_rescue.core.report.diff import RECOVERED
from hermes_rescue.core.report.history import AFTER, BEFORE

if TYPE_CHECKING:
    from hermes_rescue.core.repair.run_record import Operation, Run

VERSION = re.compile(r"v?\d[0-9A-Za-z.+-]{0,40}")
"""What a server may say of its version: no more than one."""

_SESSIONS = "sessions"
"""What the folder of the session files is called; the databases beside it are numbered."""

_RUNNING = {
    True: "Hermes WebUI is running.",
    False: "There is no sign of a running Hermes WebUI.",
    None: "Whether Hermes WebUI is running is not known.",
}


def anonymous_audit(audit: Audit, numbers: Mapping[str, int]) -> Audit:
    """What was found, without what could be anybody's. ``numbers`` are those of the sessions."""
    ids = {session_id: named(number) for session_id, number in numbers.items()}
    return Audit(
        Store(None, Path(), Path(_SESSIONS), tuple(map(Path, _databases(len(audit.store.databases)))), ()),
        _webui(audit.webui),
        tuple(_session(each, numbers[each.session_id]) for each in audit.sessions),
        tuple(_finding(each, None) for each in audit.store_findings),
        audit.seconds,
        audit.session_files,
        places=tuple(_place(each, number, ids) for number, each in enumerate(audit.places, 1)),
    )


def anonymous_run(run: Run, numbers: Mapping[str, int]) -> Run:
    """What a run did, without what could be anybody's: no checksums either, since whoever has a file can make those."""
    stores = (_SESSIONS, *_databases(len(run.stores) - 1)) if run.stores else ()
    operations = tuple(_operation(each, numbers) for each in run.operations)
    return replace(run, stores=stores, turns=(), operations=operations, problem="")


def anonymous_pictures(pictures: Mapping[str, Coverage], numbers: Mapping[str, int]) -> dict[str, Coverage]:
    """Which copy holds what, with copies that have only the names that this program gives them."""
    return {
        named(numbers[session_id]): replace(
            seen, lanes=tuple(replace(lane, name=_copy(lane.name, k)) for k, lane in enumerate(seen.lanes))
        )
        for session_id, seen in pictures.items()
    }


def _copy(name: str, number: int) -> str:
    if name in (*COPIES, RECOVERED, BEFORE, AFTER):
        return name
    return f"{next((known for known in COPIES if name.startswith(known)), 'copy')} {number}"


def named(number: int) -> str:
    """What stands in the place of the id of a session."""
    return f"session-{number}"


def _titled(number: int) -> str:
    return f"Session {number}"


def _databases(count: int) -> Sequence[str]:
    return [f"database {number}" for number in range(1, count + 1)]


def _webui(webui: WebUIStatus) -> WebUIStatus:
    servers = tuple(
        Server(
            None,
            None,
            each.version if VERSION.fullmatch(each.version or "") else None,
            each.active_streams,
            each.answers,
            None,
        )
        for each in webui.servers
    )
    return WebUIStatus(webui.running, servers, _RUNNING[webui.running])


def _session(session: SessionAudit, number: int) -> SessionAudit:
    return SessionAudit(
        named(number),
        _titled(number),
        tuple(_finding(each, named(number)) for each in session.findings),
        session.live,
        session.backup,
        session.database,
        session.after,
        size=session.size,
        worktree=session.worktree,
        files=session.files,
        left_out=session.left_out,
        is_cleared=session.is_cleared,
        left_out_by_you=session.left_out_by_you,
        offered={f"copy {k}": n for k, n in enumerate(session.offered.values(), 1)},
    )


def _finding(found: Finding, session_id: str | None) -> Finding:
    """With the sentence of its kind in the place of the evidence, which may name anything."""
    numbers = {name: value for name, value in found.details.items() if isinstance(value, int)}
    counts = found.live_messages, found.bak_messages
    return Finding(found.name, found.category, session_id, found.kind.severity_text, *counts, numbers)


def _place(place: FoundPlace, number: int, ids: Mapping[str, str]) -> FoundPlace:
    adds = {ids[session_id]: n for session_id, n in place.adds.items() if session_id in ids}
    return replace(place, path=Path(f"Place {number}"), adds=adds)


def _operation(operation: Operation, numbers: Mapping[str, int]) -> Operation:
    number = numbers.get(operation.session_id or "")
    info: dict[str, str | int] = {"kinds": str(operation.info.get("kinds", ""))}  # only those that are known are shown
    info |= {name: n for name in ("messages_before", "messages_after") if (n := operation.count(name)) is not None}
    if number is not None:
        info["title"] = _titled(number)
    if operation.session_id is None:
        info = {named(numbers[sid]): _titled(numbers[sid]) for sid in operation.info if sid in numbers}
    return replace(
        operation,
        session_id=named(number) if number is not None else None,
        path=_file(operation.path, number),
        before=None,
        after=None,
        kept=None,
        note="",
        info=info,
    )


def _file(name: str, number: int | None) -> str:
    """A file by what it is."""
    if number is None:
        return "session list"
    for end, words in ((".json", "session file"), (".json.bak", "backup")):
        if name.endswith(end):
            return words
    return "temporary file"
