"""One report model, and its forms: what was found, what was done. Message texts are in it only when asked for."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from hermes_rescue.core.audit.elsewhere import FoundPlace, added_by
from hermes_rescue.core.audit.findings import KINDS, NO_ADVICE, Category, Finding, SessionAudit, Standing
from hermes_rescue.core.audit.store_audit import Audit
from hermes_rescue.core.audit.webui_audit import Reported
from hermes_rescue.core.base import files, program
from hermes_rescue.core.base.words import counted
from hermes_rescue.core.hermes.copies import SessionCopies
from hermes_rescue.core.hermes.webui_status import WebUIStatus
from hermes_rescue.core.merge.proposal import Proposal
from hermes_rescue.core.report import amounts
from hermes_rescue.core.report.amounts import Amounts
from hermes_rescue.core.report.anonymous import anonymous_audit, anonymous_pictures, anonymous_run, named
from hermes_rescue.core.report.coverage import Coverage
from hermes_rescue.core.report.diff import Change, Difference, MessageRow, review_fields
from hermes_rescue.core.report.outline import from_home, page_of
from hermes_rescue.core.report.plain_text import code_markdown, moment, plain_lines, plain_markdown, stamp

if TYPE_CHECKING:
    import jinja2
    from hermes_rescue.core.repair.outcomes import Result
    from hermes_rescue.core.repair.plan import Plan
    from hermes_rescue.core.repair.run_record import Operation, Run
    from hermes_rescue.core.report.excerpts import Details, SessionExcerpts

FORMATS = ("json", "md", "html")

SCHEMA_VERSION = 1
"""What ``resources/schemas`` and docs/json.md describe; it grows where a name goes or means something else."""

CHANGES = {
    Change.ADDED: "comes back",
    Change.CHANGED: "changes",
    Change.REMOVED: "is taken out",
    Change.MOVED: "moves",
    Change.LEFT_OUT: "stays out",
}
"""What a repair does to a message, in words."""


@dataclass(frozen=True, slots=True)
class Report:
    """The facts of an audit or of a run, as JSON values; every form shows the same."""

    title: str
    facts: Mapping[str, Any]


def audit_json(audit: Audit) -> dict[str, Any]:
    """The audit in the shape of Hermes WebUI's own ``/api/session/recovery/audit``, with more keys and kinds.

    ``summary.ok`` is the number of session files, as there; ``summary.healthy`` the number of sessions without a
    finding. ``standings`` has the numbers that the window and the terminal show. Every item of the WebUI's audit is
    there: what is no finding of ours is an ``info`` marked ``"webui": true``, since the WebUI compares counts, and says
    so of healthy sessions too.
    """
    found = audit.findings
    own = {(f.session_id, f.kind.name) for f in found}
    items = [_item(f) for f in found]
    items += [_webui_item(each) for each in audit.webui_items if (each.session_id, each.item.kind) not in own]
    categories = Counter(item["category"] for item in items)
    summary = {
        "ok": audit.session_files,
        **{category.webui: categories[category.webui] for category in Category},
        "healthy": len(audit.of(None)),
        "sessions": len(audit.sessions),
    }
    status = "needs_manual_review" if summary["unsafe_to_repair"] else "warn" if summary["repairable"] else "ok"
    return {
        "status": status,
        "summary": summary,
        "standings": {str(standing): audit.standings[standing] for standing in Standing},
        "items": items,
        "sessions": [_session(s) for s in audit.sessions],
        "store": {
            "home": str(audit.store.home) if audit.store.home is not None else None,
            "sessions_dir": str(audit.store.sessions_dir),
            "databases": [str(path) for path in audit.store.databases],
            "webui_running": audit.webui.running is True,
            "webui": audit.webui.evidence,
        },
        "webui": _webui(audit.webui),
        "places": [_place(place) for place in audit.places],
        "seconds": round(audit.seconds, 3),
    }


def list_json(audit: Audit) -> dict[str, Any]:
    """Every session of a store, as in :func:`audit_json`."""
    return {"sessions_dir": str(audit.store.sessions_dir), "sessions": [_session(s) for s in audit.sessions]}


def _place(place: FoundPlace) -> dict[str, Any]:
    """A place other than the store's own, and what it adds."""
    return {
        "path": str(place.path),
        "named": place.is_given,
        "sessions": place.sessions,
        "adds": dict(place.adds),
        "evidence": place.sentence,
    }


def _webui(webui: WebUIStatus) -> dict[str, Any]:
    """What is known of the WebUI of a store. ``running`` is null where it is unknown; of several servers, the first."""
    server = next(iter(webui.servers), None)
    return {
        "running": webui.running if webui.is_certain or server is None else None,
        "pid": server.pid if server is not None else None,
        "version": server.version if server is not None else None,
        "address": server.address if server is not None else None,
        "active_streams": webui.active_streams,
        "evidence": webui.evidence,
    }


def _item(f: Finding) -> dict[str, Any]:
    return {
        "session_id": f.session_id,
        "kind": f.kind.name,
        "category": f.category.webui,
        "recommendation": f.kind.recommendation,
        "live_messages": _as_theirs(f.live_messages),
        "bak_messages": _as_theirs(f.bak_messages),
        "evidence": f.evidence,
        "how_serious": f.kind.severity_text,
        "what_to_do": f.advice,
        "what_happens": f.kind.effect,
        "meanwhile": f.kind.usable_meanwhile,
        **f.details,
    }


def _as_theirs(count: int | None) -> int:
    """A count as the WebUI's audit writes it."""
    return -1 if count is None else count


def _webui_item(reported: Reported) -> dict[str, Any]:
    """An item of the WebUI's own audit that is no finding of ours."""
    kind, *counts = reported.item
    live, backup = (counted(n, "message") if n >= 0 else "none that it can read" for n in counts)
    return {
        "session_id": reported.session_id,
        "kind": kind,
        "category": Category.INFO.webui,
        "recommendation": KINDS[kind].recommendation,
        "live_messages": reported.item.live_messages,
        "bak_messages": reported.item.bak_messages,
        "evidence": f"Hermes WebUI's own audit reports this. In the session file: {live}; in the backup: {backup}.",
        "how_serious": "The other items of this session say whether anything is missing.",
        "what_to_do": NO_ADVICE,
        "what_happens": "Nothing is changed.",
        "meanwhile": "Yes.",
        "webui": True,
    }


def _session(s: SessionAudit) -> dict[str, Any]:
    values = msgspec.structs.asdict(s)
    del values["findings"], values["files"], values["basis"], values["proposed"], values["is_partly_read"]
    category = str(s.category) if s.category else "healthy"
    return {
        **values,
        "worktree": str(s.worktree),
        "category": category,
        "standing": str(s.standing),
        "left_by_you": s.is_left,
    }


def session_json(s: SessionAudit, copies: SessionCopies, proposal: Proposal) -> dict[str, Any]:
    """One session: its counts, findings, what comes back and what is left out. Without message texts."""
    return {
        **_session(s),
        "proposal": proposal.fingerprint,
        "findings": [_item(f) for f in s.findings],
        "copies": list(dict.fromkeys(name for item in proposal.items for name in item.copies)),
        "messages": [
            {
                "role": item.message.role,
                "time": item.message.time,
                "copies": list(item.copies),
                "parts_from": dict(item.enriched),
                "included": item.included,
                "reason": str(item.reason) if item.reason is not None else None,
            }
            for item in proposal.items
        ],
        "fields": [asdict(change) for change in proposal.changes],
        "offers": {row.field: dict(row.offers) for row in review_fields(copies, proposal) if row.is_disputed},
        "deleted": copies.deleted,
        "elsewhere": [
            {"name": c.name, "path": c.shown, "messages": len(c.messages), "adds": added_by(proposal, c.name)}
            for c in copies.further
        ],
    }


def difference_json(session_id: str, found: Difference) -> dict[str, Any]:
    """A comparison of two copies, with the texts of what differs."""
    return {
        "session_id": session_id,
        "from": found.left,
        "to": found.right,
        "messages": [_message_row(row) for row in found.messages],
        "fields": [{**asdict(row), "change": str(row.change)} for row in found.fields],
    }


def _message_row(row: MessageRow) -> dict[str, Any]:
    values: dict[str, Any] = {"change": str(row.change), "from_position": row.left_at, "to_position": row.right_at}
    if row.change is not Change.SAME:
        values |= {"parts": list(row.parts), "from": row.left and row.left.value, "to": row.right and row.right.value}
    return values


def plan_json(plan: Plan) -> dict[str, Any]:
    """A dry run."""
    return {
        "sessions": [{**asdict(s), "operations": list(s.operations)} for s in plan.sessions],
        "refused": dict(plan.refused),
        "need_decision": list(plan.questions),
        "rebuild_index": plan.rebuilds_list,
        "bytes_needed": plan.bytes_needed,
        "unfinished_runs": list(plan.unfinished),
        "unread": list(plan.unread),
        "problem": plan.problem or None,
    }


def result_json(plan: Plan, result: Result) -> dict[str, Any]:
    """What a repair did."""
    from hermes_rescue.core.repair.outcomes import State
    from hermes_rescue.core.repair.planned import Done

    written = result.count(State.REPAIRED)
    return {
        "run": result.run_id,
        "repaired": written,
        "imported": written if plan.done is Done.IMPORTED else 0,
        "sessions": [{"session_id": o.session_id, "state": str(o.state), "reason": o.reason} for o in result.outcomes],
        "refused": dict(plan.refused),
        "need_decision": list(plan.questions),
        "index_rebuilt": result.index_rebuilt,
        "cancelled": result.cancelled,
    }


def audit_report(audit: Audit, details: Details | None = None, *, is_anonymous: bool = False) -> Report:
    """The report of an audit; ``details`` is what was read of its sessions for it. An anonymous one has nothing that
    could be anybody's, and no texts.
    """
    numbers = numbered(audit.sessions)
    texts, pictures = (details.texts, details.pictures) if details is not None else (None, {})
    own = replace(audit, webui_items=())  # for a person, who does not ask what another program says
    if is_anonymous:
        own, texts, pictures = anonymous_audit(own, numbers), None, anonymous_pictures(pictures, numbers)
        numbers = {named(number): number for number in numbers.values()}
    held = {s.session_id: amounts.of_session(s, pictures.get(s.session_id)) for s in own.sessions}
    facts = audit_json(own)
    facts["sessions"] = _in_order(facts["sessions"], numbers, held, pictures)
    seen = _from_home(facts, facts["store"]["home"] or "")
    return Report("What Hermes Rescue found", {**_head("audit"), **seen, **_foot(held, texts)})


def _from_home(value: Any, home: str) -> Any:
    """Facts with every path as it is seen from the home of the store; what a title says is none."""
    if isinstance(value, dict):
        kept = {"home", "title"} & value.keys()
        return {name: each if name in kept else _from_home(each, home) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_from_home(each, home) for each in value]
    return from_home(value, home) if isinstance(value, str) else value


def _head(kind: str) -> dict[str, Any]:
    return {"kind": kind, "made_at": stamp(time.time()), "version": program.version() or None}


def _foot(held: Mapping[str, Amounts], texts: Sequence[SessionExcerpts] | None) -> dict[str, Any]:
    excerpt_objects = [asdict(session) for session in texts] if texts is not None else None
    return {"totals": asdict(amounts.total(held.values())), "texts": excerpt_objects}


def _in_order(
    sessions: Iterable[Mapping[str, Any]],
    numbers: Mapping[str, int],
    held: Mapping[str, Amounts],
    pictures: Mapping[str, Coverage],
) -> list[dict[str, Any]]:
    """The sessions of a report by their numbers, each with how many messages it has, and who holds them."""
    found = []
    for session in sorted(sessions, key=lambda session: numbers[session["session_id"]]):
        sid = session["session_id"]
        more = {"messages": asdict(held[sid]), "picture": amounts.picture(pictures.get(sid))}
        found.append({"number": numbers[sid], **session, **more})
    return found


def numbered(sessions: Sequence[SessionAudit]) -> dict[str, int]:
    """The number of each session in a report: what can be repaired first, then what is asked, then notes; among those
    where most comes back, and the newest.
    """
    order = [*Category, None]

    def rank(s: SessionAudit) -> tuple[float | str, ...]:
        return order.index(s.category), s.is_left, (s.live or 0) - (s.after or 0), -(s.updated or 0), s.session_id

    return {session.session_id: number for number, session in enumerate(sorted(sessions, key=rank), 1)}


def run_report(
    run: Run, details: Details | None = None, *, home: Path | None = None, is_anonymous: bool = False
) -> Report:
    """The report of a run: each file with its checksums before and after; ``details`` is what was read of its sessions
    for it, ``home`` that of its store. An anonymous one has neither checksums nor texts, and nothing else that could be
    anybody's.
    """
    numbers = {session_id: number for number, session_id in enumerate((*run.session_ids, *run.relisted), 1)}
    texts, pictures = (details.texts, details.pictures) if details is not None else (None, {})
    if is_anonymous:
        run, home, texts, pictures = anonymous_run(run, numbers), None, None, anonymous_pictures(pictures, numbers)
        numbers = {named(number): number for number in numbers.values()}
    of_session: dict[str, list[Operation]] = {}
    for operation in run.operations:
        if operation.session_id is not None:
            of_session.setdefault(operation.session_id, []).append(operation)
    held = {session_id: amounts.of_operations(operations) for session_id, operations in of_session.items()}
    sessions = (_run_session(session_id, operations) for session_id, operations in of_session.items())
    where = str(home) if home is not None else None
    facts = {
        "run": run.run_id,
        "status": run.status,
        "started_at": stamp(run.created_at),
        "finished_at": stamp(run.finished_at) if run.finished_at is not None else None,
        "store": {
            "home": where,
            "sessions_dir": run.stores[0] if run.stores else "",
            "databases": list(run.stores[1:]),
        },
        "sessions": _in_order(sessions, numbers, held, pictures),
        "relisted": [{"session_id": sid, "title": title} for sid, title in run.relisted.items()],
        "index": [_operation(op) for op in run.operations if op.session_id is None],
    }
    seen = _from_home(facts, where or "")
    return Report("What Hermes Rescue did", {**_head("run"), **seen, **_foot(held, texts)})


def _run_session(session_id: str, operations: Sequence[Operation]) -> dict[str, Any]:
    info = operations[0].info  # a manifest can be edited by anybody: nothing in it is sure to be of its kind
    return {
        "session_id": session_id,
        "title": str(info.get("title", "")),
        "found": [kind for kind in str(info.get("kinds", "")).split() if kind in KINDS],
        "messages_before": operations[0].count("messages_before"),
        "messages_after": operations[0].count("messages_after"),
        "left_out_by_you": operations[0].count("left_out") or 0,
        "operations": [_operation(op) for op in operations],
    }


def _operation(op: Operation) -> dict[str, Any]:
    return {
        "action": op.action,
        "file": op.path,
        "state": op.state,
        "note": op.note,
        "sha256_before": op.before.digest if op.before is not None else None,
        "bytes_before": op.before.size if op.before is not None else None,
        "sha256_after": op.after,
    }


def render(report: Report, form: str) -> str:
    """The report as ``json``, ``md`` or ``html`` (one file that loads nothing). Raises ValueError for another form."""
    if form == "json":
        # in ASCII: a half character, which no file can hold, and what steers a terminal are escaped as well
        return answer_of({"title": report.title, **report.facts}) + "\n"
    if form not in FORMATS:
        raise ValueError(form)
    return written(report, form)


def written(report: Report, form: str) -> str:
    """The report as its template says it: ``md``, ``html``, or ``pdf``, the page that the window lays out on paper."""
    return _template(form).render(page=page_of(report.title, report.facts), changes=CHANGES)


def answer_of(facts: Mapping[str, Any], indent: int | None = 2) -> str:
    """What a command answers a program, as JSON with the version of its names; without ``indent`` in one line."""
    return json_of({"schema_version": SCHEMA_VERSION, **facts}, indent)


def json_of(value: Any, indent: int | None = None) -> str:
    """A value as JSON that every reader accepts: a number that is none is null."""
    try:
        return json.dumps(value, indent=indent, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), indent=indent, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@cache
def _template(form: str) -> jinja2.Template:
    import jinja2  # not on the way to a list of findings

    environment = jinja2.Environment(
        autoescape=form != "md",  # Markdown has a filter of its own for what the sessions say
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["plain"] = plain_markdown if form == "md" else files.shown
    environment.filters["said"] = code_markdown if form == "md" else plain_lines
    environment.filters["moment"] = moment
    return environment.from_string(
        resources.files("hermes_rescue.resources").joinpath(f"report.{form}.j2").read_text("utf-8")
    )
