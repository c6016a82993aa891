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
    "merging": "Each message of each copy is compared part by part, in Python.",
    "first_rows": "Listing the folder and opening the files; decoding the heads is the smaller part.",
    "audit_of_a_gigabyte": "Every row is read and compared with its message, byte by byte: SQLite takes a fifth of the"
    " time, reading the files and looking at their UTF-8 another, the damaged sessions, which are merged, a quarter."
    " Reaching the target would take not reading the rows of sessions whose counts agree, which would miss what a"
    " rebuilt file lacks, or doing the comparison in C.",
    "audit_of_ascii": "The same. No real store is like this; the floor is lower here, as Python keeps such texts as"
    " they lie in the file.",
    "audit_again": "The start of the command, and the times of every file.",
    "audit_after_a_change": "Somebody has written to the database, so the rows of every session are read and digested"
    " again: nothing else proves that they are the same. Less would take knowing which pages belong to which session.",
    "repair_of_a_gigabyte": "Every session is audited before, which alone is many times the floor; each damaged one is"
    " merged twice (for the plan, and again before it is written); each file is digested, kept in the vault and goes"
    " to the disk twice, with its journal. The rules of the vault stand before speed here.",
    "audit_of_1000": "The start of the processes.",
    "audit_of_10000": "The start of the processes, and Python's handling of each session and each message.",
    "audit_of_100000": "Python's handling of each session and each message.",
    "growth": "The listing, the session list and the rows of sessions lie in the first process; the others get those of"
    " their sessions.",
    "repair_of_ten": "Listing the folder and reading the table of sessions, for the plan and once more for the repair.",
    "audit_of_many_rows": "The grouped count by the index, and one walk over the table that shows damage; no message of"
    " other fronts is read.",
    "long_session_audit": "The file, and what Python needs to tell each message and each row, without their texts; two"
    " processes.",
    "long_session_show": "The same in one process, and what is shown.",
    "long_session_repair": "The old file and the new one, which is read back as a check before it is written. Less"
    " would take checking it piece by piece.",
    "long_session_second_audit": "The file, and the pieces of it that are compared with the rows.",
    "long_session_stop": "Only a call into C that handles the whole file cannot be stopped.",
    "standstill, 10,000 sessions": "While scanning the window takes in what the processes found; not profiled further.",
    "standstill, 100,000 sessions": "The same.",
    "standstill, 100,000 messages": "Half of it is the window's own work on the new list; the rest is probably the"
    " thread that reads the session and holds the interpreter. Less would take reading it in a process that sends what"
    " is shown, page by page.",
    "long_session_progress": "Only the rows and the messages that are read are counted; other steps are told when they"
    " are done. Less would take counting in each of them.",
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
