"""Writes the figures into docs/performance.md, between its two markers, and draws docs/growth.svg:

python tests/bench/document.py [docs/performance.json]
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from figures import Figure, load
from growth import picture

DOCS = Path(__file__).parents[2] / "docs"
WIDTH = 100
"""Columns in which the page can be read as it is."""

START, END = "<!-- figures: tests/bench/document.py writes them -->", "<!-- end of the figures -->"

LIMITS = {
    "start_of_help": "Python's own start and the parser of the command line. Only another parser would be faster.",
    "start_of_audit": "Imports: what draws the table is a part of the modules, the engine's own are most. What writes"
    " reports and draws one session, the progress bar, the lock and the vault are loaded where they are needed.",
    "start_of_the_window": "Imports of the engine and of the panes, then the style sheet.",
    "alignment": "Profile: three fifths are the tables of keys in which anchors are found (five hashes of a message),"
    " a quarter the gaps and what moved, where white space is folded. The floor is one hash of each, in C. More would"
    " take anchors found in C.",
    "merging": "Each message of each copy is compared part by part, in Python.",
    "first_rows": "Listing the folder and opening the files; decoding the heads is the smaller part.",
    "audit_of_a_gigabyte": "Every row is read and compared with its message, byte by byte. Profile: half is the"
    " sessions that are merged, a fifth of all: the damaged ones, and those that lived through an undo; of all of it"
    " 8 % is SQLite, 7 % looking at UTF-8, 4 % digests; the rest is flat, in Python, for each message. Reaching the"
    " target would take not reading the rows of sessions whose counts agree, which would miss what a rebuilt file"
    " lacks, or comparing in C.",
    "audit_of_ascii": "The same. No real store is like this; the floor is lower here, as Python keeps such texts as"
    " they lie in the file.",
    "audit_of_journals": "Every run is opened, for its beginning and its end; the newest one is read to its last"
    " session, which is compared with the file. Less would take believing the"
    " turn journal, or the times of files, which a copied store does not keep. Profile of a healthy session: a seventh"
    " is the beginnings and ends of the runs, another the last session of the newest one. Of a session that is merged"
    " every run is read.",
    "leftover_saves": "Reading the files. Those of the same bytes are held, parsed and aligned once.",
    "unanswered_prompts": "Reading the session and its rows; all prompts find their places in one pass.",
    "undone_messages": "Reading and merging the copies; what was taken back is judged in one pass.",
    "audit_again": "The start of the command, most of all; then listing the folders of the journals, and the times of"
    " every file.",
    "audit_after_a_change": "Somebody has written to the database. What an index has of the rows of each session shows"
    " whose have changed; counting the table, which walks most of its pages, shows damage.",
    "search": "Every text is looked at once: as it is, then for characters with other forms; the rest is SQLite.",
    "search_common": "Each message that is found is parsed, and told from the others, in every copy: half of it are the"
    " rows. Less would take seeing that a row is a message of the file before it is parsed.",
    "repair_of_a_gigabyte": "Each file is kept, written beside, read back and compared, brought to the disk"
    " and renamed; the session list is written anew at the end. Six times for each session something is brought to the"
    " disk: what is kept and its name, what is intended, the new file and its name, what came of it; the floor does it"
    " twice. Several sessions at a time wait for that together, so most of the time is that of the processor. Profile:"
    " a third of it SHA-256, a third the system's own (above all copying to and from files), a third Python's.",
    "repair_webui": "Theirs writes what it finds in one copy; this merges all of them, and verifies what it wrote.",
    "repair_webui_small": "The start of the processes, the plan, and four files brought to the disk for each session.",
    "audit_processor": "Two processes, which both start Python and the engine.",
    "audit_cold": "Of what it takes longer, half is the processor's: pages come into memory, and nothing is in its"
    " caches. The rest is waiting for many small reads: rows, and both ends of every run journal.",
    "audit_webui": "Theirs compares counts; this what every message says in every copy.",
    "audit_webui_small": "The start of the processes, and Python's handling of each message.",
    "million_messages": "Python's handling of each message and each row: a merge looks at all of them. Profile: 54 %"
    " reading the rows (13 % making a message of each, 12 % keeping that small, 9 % SQLite), 24 % the merge, 12 % the"
    " look whether it is needed.",
    "audit_of_1000": "The start of the processes.",
    "audit_of_10000": "The start of the processes, and Python's handling of each session and each message.",
    "audit_of_100000": "Python's handling of each session and each message.",
    "growth": "The listing, the session list and the rows of sessions lie in the first process; the others get those"
    " of their sessions. With the answers that is 1.6 KB for each. Time: the floor itself grows with a slope of 1.4"
    " here, from 10,000 files on.",
    "repair_of_ten": "Profile of what is beyond the ten: reading the table of sessions and counting the rows of all,"
    " for the plan; the repair itself reads only what is about the ten. 1.3 to 1.6 in eight runs, the middle one 1.43.",
    "audit_of_many_rows": "The grouped count by the index, and one walk over the table that shows damage; no message of"
    " other fronts is read.",
    "long_session_audit": "The file, and what Python needs to tell each message and each row, without their texts; two"
    " processes.",
    "long_session_show": "The same in one process, and what is shown.",
    "long_session_repair": "The old file and the new one, which is read back as a check before it is written. Less"
    " would take checking it piece by piece.",
    "long_session_second_audit": "The file, and the pieces of it that are compared with the rows.",
    "long_session_stop": "Only a call into C that handles the whole file cannot be stopped.",
    "standstill, 10,000 sessions": "Painting the rows anew. In brackets, here and below, what the window's own thread"
    " worked of it: the rest went to the thread that reads, or to other programs, which kept the machine busy"
    " during these measurements.",
    "standstill, a message of 2 MB": "Laying out the messages that show, and parsing each once; most for the first"
    " session that is shown, which loads fonts.",
    "standstill, 100,000 sessions": "Painting the rows anew after some were taken in, beside the thread that reads, or"
    " the one that finds out which sessions a search has to look at. To let go of all that is known of the files and"
    " rows of 100,000 sessions holds the interpreter for 60 ms, once after each search.",
    "standstill, 100,000 messages": "The thread that reads lets go of what its merge needed of 100,000 messages, in a"
    " few calls into C, which hold the interpreter; laying out the first messages loads fonts, once. Less would take a"
    " process that reads, and sends what is shown page by page.",
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
    parts = (table(figures), f"Measured on {machine}.", "### What limits each of them", limits(figures))
    page.write_text("\n\n".join((f"{before}{START}", *parts, f"{END}{after}")), "utf-8")
    (DOCS / "growth.svg").write_text(picture([each for each in figures if each.sessions]), "utf-8")


def table(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table, narrow enough to be read as it is."""
    rows = [("what", "measured", "seconds: it / floor", "processor time", "target", "memory")]
    rows.append(("---",) * len(rows[0]))
    rows += [
        (_what(each), _value(each), _seconds(each), _processor(each), _target(each), _memory(each)) for each in figures
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def limits(figures: Sequence[Figure]) -> str:
    """What each figure is measured beside, what limits it, and what else was seen, as a list."""
    told = [(each, " ".join(filter(None, (_beside(each), LIMITS.get(each.name, ""), _note(each))))) for each in figures]
    items = (f"- **{each.what}**{': ' if each.floor == '' else ', '}{text}" for each, text in told if text)
    return "\n".join(textwrap.fill(item, WIDTH, subsequent_indent="  ", break_on_hyphens=False) for item in items)


def _what(figure: Figure) -> str:
    return f"{figure.what} (version {figure.version})" if figure.version else figure.what


def _beside(figure: Figure) -> str:
    return f"beside {figure.floor}." if figure.floor else ""


def _note(figure: Figure) -> str:
    return f"({figure.note})" if figure.note else ""


def _target(figure: Figure) -> str:
    targets = [f"{figure.target:.3g} {figure.unit}"] if figure.target is not None else []
    targets += [f"{figure.memory_target} MB"] if figure.memory_target is not None else []
    return ", ".join(targets)


def _value(figure: Figure) -> str:
    value = f"{figure.value:.2f} {figure.unit}"
    return value if figure.is_reached else f"**{value}**"


def _seconds(figure: Figure) -> str:
    return " / ".join(f"{each:.3g}" for each in (figure.seconds, figure.floor_seconds) if each is not None)


def _processor(figure: Figure) -> str:
    mine, least = figure.processor, figure.floor_processor
    return f"{mine / least:.2f} x: {mine:.3g} / {least:.3g}" if mine and least else ""


def _memory(figure: Figure) -> str:
    return "" if figure.megabytes is None else f"{figure.megabytes} MB"


if __name__ == "__main__":
    main()
