"""What a maintainer has to know of a computer and its store, without a path, title or text of anybody's.

It can be pasted where everybody reads it. So it has numbers, and words that stand in this program or in Python; what a
session, a file name or a server says goes in only where it is nothing but a version.
"""

from __future__ import annotations

import locale
import platform
import sqlite3
import sys
from collections import Counter
from contextlib import suppress
from typing import Any

from hermes_rescue.core.audit.store_audit import Audit
from hermes_rescue.core.base import program
from hermes_rescue.core.report.anonymous import VERSION


def diagnostics(audit: Audit | None, problem: str = "") -> dict[str, Any]:
    """Versions, platform, and how many findings of which kinds an audit has. Without an audit, ``problem`` is the kind
    of the error that there was.
    """
    return {
        "hermes_rescue": program.version() or "not installed",
        "is_bundle": bool(getattr(sys, "frozen", False)),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": _system(),
        "encodings": f"{sys.getfilesystemencoding()}, {locale.getencoding()}",
        "sqlite": sqlite3.sqlite_version,
        "packages": {part.name: part.version for part in program.parts() if part.version},
        "store": _store(audit) if audit is not None else {"problem": problem or "not read"},
    }


def text_of(facts: dict[str, Any], indent: str = "") -> str:
    """Diagnostics as lines for a person."""
    lines = []
    for name, value in facts.items():
        name = name.replace("_", " ") if not indent else name
        if isinstance(value, dict):
            inner = text_of(value, indent + "  ")
            lines.append(f"{indent}{name}:\n{inner}" if inner else f"{indent}{name}: none")
        else:
            lines.append(f"{indent}{name}: {'unknown' if value is None else value}")
    return "\n".join(lines)


def _system() -> str:
    words = [platform.system(), platform.release(), platform.machine(), *platform.libc_ver()]
    with suppress(OSError):
        known = platform.freedesktop_os_release()
        words.insert(0, f"{known.get('ID', '')} {known.get('VERSION_ID', '')}".strip())
    return " ".join(filter(None, words))


def _store(audit: Audit) -> dict[str, Any]:
    versions = {server.version for server in audit.webui.servers if server.version}
    return {
        "sessions": len(audit.sessions),
        "session_files": audit.session_files,
        "databases": len(audit.store.databases),
        "other_session_folders": len(audit.store.other_session_dirs),
        "standings": {str(standing): n for standing, n in sorted(audit.standings.items())},
        "findings": dict(sorted(Counter(finding.kind.name for finding in audit.findings).items())),
        "webui_running": audit.webui.running,
        "webui_versions": ", ".join(sorted(each for each in versions if VERSION.fullmatch(each))) or None,
        "seconds": round(audit.seconds, 1),
    }
