"""Measures Hermes Rescue on large stores, each figure beside its floor in the same run: ``make bench``.

    python tests/bench/measure.py [NAME]... [--json FILE] [--keep FOLDER] [--scale NUMBER]

Bare times mean little on a shared machine; the ratios do. Nothing here is a test.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import alignments
import audits
import leftovers
import long_session
import repairs
import starts
from commands import WEBUI
from figures import HEADING, Bench, Figure, save, table

MEASURES: dict[str, Callable[[Bench], list[Figure]]] = {
    measure.__name__: measure
    for measure in (
        starts.start_of_a_command,
        starts.start_of_the_window,
        alignments.alignment,
        audits.first_rows,
        audits.audit_of_a_gigabyte,
        audits.audits_beside_the_webui,
        audits.audit_of_journals,
        leftovers.leftovers,
        audits.audit_again,
        audits.search_of_a_gigabyte,
        repairs.repair_of_a_gigabyte,
        repairs.repairs_beside_the_webui,
        audits.growth,
        repairs.repair_of_ten,
        audits.audit_of_many_rows,
        long_session.long_session,
        long_session.million_messages,
    )
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MEASURES))
    parser.add_argument("--json", type=Path, metavar="FILE", help="put the figures into this file as well")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="make the stores in this folder, and leave them there"
    )
    parser.add_argument("--scale", type=float, default=1.0, metavar="NUMBER", help="0.05: a twentieth of every size")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(MEASURES):
        parser.error(f"there is no {', '.join(unknown)}")
    with tempfile.TemporaryDirectory(prefix="hermes-bench-") as temporary:
        bench = Bench(asked.keep or Path(temporary), asked.scale)
        bench.folder.mkdir(parents=True, exist_ok=True)
        if WEBUI is None:
            print("HERMES_WEBUI_TREE names no checkout of Hermes WebUI: its own audit and repair are not measured.")
        print(HEADING)
        for name in asked.names or MEASURES:
            found = MEASURES[name](bench)
            print(table(found), flush=True)
            if asked.json is not None:
                save(asked.json, found)


if __name__ == "__main__":
    main()
