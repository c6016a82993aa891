"""Draws how time and memory of an audit grow with the sessions, as an SVG that can be read on light and on dark."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from figures import Figure

WIDTH, HEIGHT = 360, 220
"""Of the inside of one panel, in pixels."""

LEFT, TOP, RIGHT, BOTTOM = 70, 40, 60, 50

STYLE = """
text { font: 12px sans-serif; fill: #59636e }
text.title { font-weight: bold; fill: #1f2328 }
path { fill: none; stroke: #d1d9e0 }
path.ours, path.floor { stroke-width: 2 }
path.ours { stroke: #0969da }
path.floor { stroke: #9a6700; stroke-dasharray: 6 3 }
path.linear { stroke: #818b98; stroke-dasharray: 2 4 }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1 }
  text.title { fill: #f0f6fc }
  path { stroke: #3d444d }
  path.ours { stroke: #4493f8 }
  path.floor { stroke: #d29922 }
}
"""

Points = Sequence[tuple[float, float]]


def picture(figures: Sequence[Figure]) -> str:
    """Seconds and megabytes over sessions, side by side. The figures rise by their sessions."""
    ours = [(each.sessions, each.seconds) for each in figures]
    floor = [(each.sessions, each.floor_seconds) for each in figures]
    memory = [(each.sessions, each.megabytes) for each in figures]
    linear = [(x, ours[0][1] * x / ours[0][0]) for x, _ in ours]
    panel = LEFT + WIDTH + RIGHT
    parts = [
        *_panel("Time of a first audit", "s", {"audit": ours, "parsing": floor, "": linear}, LEFT),
        *_panel("Memory of all its processes", "MB", {"audit": memory}, panel + LEFT),
    ]
    return "\n".join((
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * panel} {TOP + HEIGHT + BOTTOM}" role="img">',
        "<title>How time and memory of an audit grow with the number of small sessions</title>",
        f"<style>{STYLE}</style>",
        *parts,
        "</svg>\n",
    ))  # fmt: skip


def _panel(title: str, unit: str, lines: Mapping[str, Points], left: int) -> Iterator[str]:
    """One pair of logarithmic axes with lines by their names; the one without a name grows in proportion."""
    points = [point for line in lines.values() for point in line]
    across, up = (_decades([point[axis] for point in points]) for axis in (0, 1))

    def x(value: float) -> float:
        return left + WIDTH * (math.log10(value) - across[0]) / (across[-1] - across[0])

    def y(value: float) -> float:
        return TOP + HEIGHT * (1 - (math.log10(value) - up[0]) / (up[-1] - up[0]))

    yield _text(left, TOP - 16, title, "start", "title")
    for power in across:
        yield f'<path d="M{x(10.0**power):.1f} {TOP}v{HEIGHT}"/>'
        yield _text(x(10.0**power), TOP + HEIGHT + 18, f"{10**power:,}", "middle")
    yield _text(left + WIDTH / 2, TOP + HEIGHT + 38, "sessions", "middle")
    for power in up:
        yield f'<path d="M{left} {y(10.0**power):.1f}h{WIDTH}"/>'
        yield _text(left - 8, y(10.0**power) + 4, f"{10.0**power:g} {unit}", "end")
    for name, line in lines.items():
        kind = {"audit": "ours", "": "linear"}.get(name, "floor")
        yield f'<path class="{kind}" d="M{" L".join(f"{x(a):.1f} {y(b):.1f}" for a, b in line)}"/>'
        if name:
            yield _text(x(line[-1][0]) + 6, y(line[-1][1]) + 4, name, "start")


def _decades(values: Sequence[float]) -> range:
    """The powers of ten between which all the values lie."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return range(low, max(high, low + 1) + 1)


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'
