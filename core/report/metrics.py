"""What an audit found as metrics for Prometheus, in the text format that node exporter's textfile collector reads.

There is no path, title or text of anybody's in them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from hermes_rescue.core.audit.findings import KINDS, Standing
from hermes_rescue.core.audit.store_audit import Audit
from hermes_rescue.core.base.program import version


def metrics(audit: Audit, at: float, store: str = "") -> str:
    """All metrics of an audit that ended ``at`` seconds since 1970. ``store`` distinguishes those of several stores, as
    a label of that name; without it they have none. Every state and every kind of finding is there, also with 0.
    """
    kinds = Counter(f.name for f in audit.findings)
    known: tuple[tuple[str, str, Mapping[tuple[str, str], float]], ...] = (
        ("info", "The version of Hermes Rescue.", {("version", version()): 1}),
        ("sessions", "Sessions by how they stand.", {("state", str(s)): audit.standings[s] for s in Standing}),
        ("findings", "Findings by their kind.", {("kind", name): kinds[name] for name in KINDS}),
        ("restorable_messages", "Messages that repair --all would bring back.", {("", ""): _restorable(audit)}),
        ("audit_duration_seconds", "How long the last audit took.", {("", ""): round(audit.seconds, 3)}),
        ("last_audit_timestamp_seconds", "When the last audit ended.", {("", ""): round(at, 3)}),
    )
    common = {"store": store} if store else {}
    lines: list[str] = []
    for name, about, values in known:
        lines += (f"# HELP hermes_rescue_{name} {about}", f"# TYPE hermes_rescue_{name} gauge")
        for (label, value), number in values.items():
            labels = {**common, **({label: value} if label else {})}
            lines.append(f"hermes_rescue_{name}{_text_of(labels)} {number}")
    return "\n".join(lines) + "\n"


def _restorable(audit: Audit) -> int:
    sessions = (s for s in audit.sessions if s.standing is Standing.REPAIRABLE)
    return sum(max((s.after or 0) - (s.live or 0), 0) for s in sessions)


def _text_of(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
