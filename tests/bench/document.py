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

LIMITS: dict[str, str] = {}
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
    times = f" ({' / '.join(f'{each:.2f}' for each in seconds)} s)" if seconds else ""
    return (value if figure.is_reached else f"**{value}**") + times


def _memory(figure: Figure) -> str:
    return "" if figure.megabytes is None else f"{figure.megabytes} MB"


def _limit(figure: Figure) -> str:
    return " ".join(text for text in (LIMITS.get(figure.name, ""), figure.note and f"({figure.note})") if text)


if __name__ == "__main__":
    main()
