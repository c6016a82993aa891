"""Writes the figures into docs/performance.md, between its two markers, and draws docs/growth.svg:

python tests/bench/document.py [docs/performance.json]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from figures import Figure, load
from growth import picture

DOCS = Path(__file__).parents[2] / "docs"
START, END = "<!-- figures: tests/bench/document.py writes them -->", "<!-- end of the figures -->"

LIMITS = {
    "start_of_help": "Python's own start and the parser of the command line. Only another parser would be faster.",
    "start_of_audit": "Imports: the parser of the command line checks its values with pydantic, and brings it along.",
    "start_of_the_window": "Imports of the engine and of the panes, then the style sheet.",
    "alignment": "Python looks at each message of each copy some ten times; the floor is one call into C for each."
    " More would take the keys of messages as hashes, and anchors found in C.",
    "first_rows": "Listing the folder and opening the files; decoding the heads is the smaller part.",
    "audit_of_a_gigabyte": "The texts of the sessions that have to be merged: read as rows, folded, compared. Whole"
    " sessions cost little more than decoding them. More would take C, or more processors: it grows with them.",
    "audit_of_ascii": "The same. No real store is like this; the floor is lower here, as Python keeps such texts as"
    " they lie in the file.",
    "audit_again": "Listing and stating every file, and the start of the command.",
    "audit_after_a_change": "The same, and the rows of one session.",
    "repair_of_a_gigabyte": "Every session is audited before, each damaged one merged twice (for the plan and for the"
    " write); each file goes to the disk twice, with its journal, and is read back.",
    "audit_of_1000": "The start of the processes.",
    "audit_of_10000": "The start of the processes, and Python's handling of each session and each message.",
    "audit_of_100000": "The same; each process reads the whole session list and every row of the table of sessions.",
    "growth": "Each process knows the whole session list and all rows of sessions; the messages it has one session at"
    " a time.",
    "repair_of_ten": "Listing the folder and reading the table of sessions, for the plan and once more for the repair.",
    "audit_of_many_rows": "The grouped count in each process, and a row of the table of sessions for each session of"
    " another front; no message of theirs is read.",
    "long_session_audit": "Every text of each copy as a Python string: one character outside ASCII makes two bytes of"
    " each, an emoji four. More would take comparing the bytes of the copies piece by piece.",
    "long_session_show": "The same.",
    "long_session_repair": "The same, twice: for the plan, and to read back what was written.",
    "long_session_second_audit": "The file, and the texts of the messages and of the rows.",
    "long_session_stop": "Only a call into C that handles the whole file cannot be stopped.",
    "long_session_progress": "It counts sessions.",
}
"""What limits each figure, and what more would take."""


def main() -> None:
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS / "performance.json"
    figures = load(source)
    page = DOCS / "performance.md"
    before, _, rest = page.read_text("utf-8").partition(START)
    _, _, after = rest.partition(END)
    machine = json.loads(source.read_text("utf-8"))["machine"]
    page.write_text(f"{before}{START}\n\n{table(figures)}\n\nMeasured on {machine}.\n\n{END}{after}", "utf-8")
    (DOCS / "growth.svg").write_text(picture([each for each in figures if each.sessions]), "utf-8")


def table(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table."""
    rows = [("what", "target", "measured", "memory", "what the limit is, and what more would take")]
    rows.append(("---",) * len(rows[0]))
    rows += [(_what(each), _target(each), _measured(each), _memory(each), _limit(each)) for each in figures]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _what(figure: Figure) -> str:
    return f"{figure.what}; floor: {figure.floor}" if figure.floor else figure.what


def _target(figure: Figure) -> str:
    targets = [f"{figure.target:g} {figure.unit}"] if figure.target is not None else []
    targets += [f"{figure.memory_target} MB"] if figure.memory_target is not None else []
    return ", ".join(targets)


def _measured(figure: Figure) -> str:
    seconds = [each for each in (figure.seconds, figure.floor_seconds) if each is not None]
    value = f"{figure.value:.2f} {figure.unit}"
    times = f" ({' / '.join(f'{each:.3g}' for each in seconds)} s)" if seconds else ""
    return (value if figure.is_reached else f"**{value}**") + times


def _memory(figure: Figure) -> str:
    return "" if figure.megabytes is None else f"{figure.megabytes} MB"


def _limit(figure: Figure) -> str:
    return " ".join(text for text in (LIMITS.get(figure.name, ""), figure.note and f"({figure.note})") if text)


if __name__ == "__main__":
    main()
