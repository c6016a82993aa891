"""What ``watch`` reports to a program: how a store stood at the start, and each change since. Without message texts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

from hermes_rescue.core.audit.findings import Finding, SessionAudit, Standing
from hermes_rescue.core.audit.store_audit import Audit
from hermes_rescue.core.base.program import version


def start(audit: Audit, interval: float) -> dict[str, Any]:
    """How a store stands: its totals, and every session that is not simply healthy. ``interval``: seconds between two
    looks.
    """
    return {
        "event": "start",
        "time": time.time(),
        "hermes_rescue": version(),
        "sessions_dir": str(audit.store.sessions_dir),
        "interval": interval,
        "standings": {str(standing): audit.standings[standing] for standing in Standing},
        "sessions": [_session(s) for s in audit.sessions if s.standing is not Standing.HEALTHY],
        "findings": [_finding(f) for f in audit.store_findings],
    }


def changes(before: Audit, now: Audit) -> Iterator[dict[str, Any]]:
    """What differs between two audits of a store: a value for each session that is new, is gone, or stands otherwise
    than before, and one for the findings of the store itself.
    """
    old = {s.session_id: s for s in before.sessions}
    for session in now.sessions:
        earlier = old.pop(session.session_id, None)
        if earlier is None or _state(earlier) != _state(session):
            yield {"event": "session", "time": time.time(), **_changed(earlier, session), **_session(session)}
    for session in old.values():
        yield {"event": "gone", "time": time.time(), "session_id": session.session_id, "title": session.title,
               "before": str(session.standing)}  # fmt: skip
    if _what(before.store_findings) != _what(now.store_findings):
        yield {"event": "store", "time": time.time(), "findings": [_finding(f) for f in now.store_findings]}


def problem(text: str | None) -> dict[str, Any]:
    """Why the store could not be looked at; None: it can be again."""
    return {"event": "problem", "time": time.time(), "problem": text}


def _changed(before: SessionAudit | None, now: SessionAudit) -> dict[str, Any]:
    old = [f.kind.name for f in before.findings] if before is not None else []
    new = [f.kind.name for f in now.findings]
    return {
        "before": str(before.standing) if before is not None else None,
        "appeared": [name for name in new if name not in old],
        "resolved": [name for name in old if name not in new],
    }


def _session(s: SessionAudit) -> dict[str, Any]:
    return {
        "session_id": s.session_id,
        "title": s.title,
        "standing": str(s.standing),
        "live": s.live,
        "after": s.after,
        "findings": [_finding(f) for f in s.findings],
    }


def _finding(f: Finding) -> dict[str, Any]:
    return {"kind": f.kind.name, "category": f.category.webui, "evidence": f.evidence}


def _state(s: SessionAudit) -> tuple[object, ...]:
    return s.standing, _what(s.findings)


def _what(findings: Iterable[Finding]) -> list[object]:
    """Findings without their words."""
    return [(f.name, f.category, f.details) for f in findings]
