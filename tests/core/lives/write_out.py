"""A life in words, for whoever looks into one that came out wrong."""

from __future__ import annotations

from .left import Copy, Left
from .state import SUMMARY, Marks, State
from .truth import Truth


def describe(left: Left, truth: Truth) -> str:
    """Its events, and every copy that is left: role and number of each message (u0 a1 t2), with its time."""
    world, life = left.world, left.world.life
    lines = [
        f"{life.act} x {life.damage_name}  {life.era.name}  {life.habits}",
        *map(str, life.events),
        str(life.damage),
    ]
    for name, copy in (("live", left.live), ("backup", left.backup), ("temp", left.temp)):
        lines.append(f"{name:7s}" + ("-" if copy is None else _copy(left, copy)))
    rows = (
        f"{_name(left, row.number)}@{row.time - world.clock:.1f}{_flags(row.active, row.compacted)}"
        for row in left.rows
    )
    lines.append("rows   " + (" ".join(rows) or "-"))
    for run in left.runs:
        lines.append(f"run    {run.stream[-6:]} " + ("no done" if run.done is None else _state(left, run.done)))
    row = left.index
    told = "-" if row is None else f"count {row.count}, last {row.last - world.clock:.1f}"
    lines.append(f"index  {told}")
    lines.append("shown  " + " ".join(_name(left, n) for n in world.shown))
    lines.append("taken  " + " ".join(_name(left, n) for n in sorted(world.taken)))
    lines.append(f"want   {truth.want}: {truth.why}" + (", and nothing but info is said" if truth.quiet else ""))
    lines += [f"alt    {len(alt)}: {[text[:20] for _, text, *_ in alt]}" for alt in truth.alts]
    return "\n".join(lines)


def _copy(left: Left, copy: Copy) -> str:
    if not copy.damaged:
        return _state(left, copy.state)
    whole = " ".join(_name(left, n) for n in copy.numbers)
    return f"torn ({len(copy.data)} bytes, count {copy.count}, marks {_marks(left, copy.marks)}) {whole}"


def _state(left: Left, state: State) -> str:
    said = left.world.said
    times = " ".join(f"{_name(left, n)}@{said[n].time - left.world.clock:.1f}" for n in state.numbers)
    return f"(updated {state.updated - left.world.clock:.1f}, {state.title!r}, {_marks(left, state.marks)}) {times}"


def _marks(left: Left, marks: Marks | None) -> str:
    if marks is None:
        return "unread"
    times = {"watermark": marks.watermark, "boundary": marks.boundary, "compressed at": marks.anchor}
    told = [f"{k} {v - left.world.clock if v else v:.1f}" for k, v in times.items() if v is not None]
    return " ".join((*told, *(v[:4] for v in (marks.clear, marks.shrink) if v))) or "no marks"


def _name(left: Left, number: int) -> str:
    return "S" if number == SUMMARY else f"{left.world.said[number].role[0]}{number}"


def _flags(active: bool, compacted: bool) -> str:
    return "" if active else f"/{int(active)}{int(compacted)}"
