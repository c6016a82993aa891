"""What the damage leaves of a life's files."""

from __future__ import annotations

from dataclasses import dataclass, replace

from . import forms
from .life import Damage, Turn, Wipe
from .said import Value
from .state import IndexRow, Marks, Pending, Row, Run, State
from .world import World


@dataclass(frozen=True, slots=True)
class Copy:
    """A sidecar or its backup as it lies on disk: ``numbers`` of the messages that are whole in it, ``marks`` and
    ``count`` (its ``message_count``) where they can be read, ``list_whole``: its message list has its end;
    ``damaged``: it is not as the WebUI wrote it."""

    data: bytes
    state: State
    numbers: tuple[int, ...]
    marks: Marks | None
    count: int | None
    list_whole: bool
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a life. ``is_stale``: the live file is an older one that was put back; ``temp``: a save that was
    not finished."""

    world: World
    live: Copy | None
    backup: Copy | None
    rows: tuple[Row, ...]
    runs: tuple[Run, ...]
    turns: tuple[Value, ...]
    index: IndexRow | None
    is_stale: bool = False
    temp: Copy | None = None

    @property
    def newest_done(self) -> State | None:
        """The session in the newest ``done``."""
        return next((run.done for run in reversed(self.runs) if run.done is not None), None)

    @property
    def folded_rows(self) -> tuple[int, ...]:
        """The numbers of the messages that the rows hold, each once, in their order."""
        numbers = (row.number for row in self.rows if row.number >= 0 and (row.active or row.compacted))
        return tuple(dict.fromkeys(numbers))

    def held(self) -> set[int]:
        """The numbers of all messages that a copy still holds whole."""
        found = {row.number for row in self.rows}
        for copy in (self.live, self.backup, self.temp):
            found |= set(copy.numbers) if copy is not None else set()
        for run in self.runs:
            found |= set(run.done.numbers) if run.done is not None else set()
        return found

    def unmasked(self) -> set[int]:
        """Those that a copy holds with its secrets."""
        return replace(self, runs=()).held()


def whole(world: World, state: State) -> Copy:
    """A copy with nothing wrong."""
    return Copy(
        forms.written(forms.document(world, state)),
        state,
        state.numbers,
        state.marks,
        len(state.numbers),
        list_whole=True,
    )


def torn(world: World, state: State, at: float) -> Copy:
    """A copy of which only the beginning is left, the fraction ``at`` of its bytes."""
    document = forms.document(world, state)
    data = forms.written(document)
    end = min(int(len(data) * at), len(data) - 1)
    numbers, place = [], data.index(b'"messages": [')
    behind = data.index(b"]" if not state.numbers else b"\n  ],", place)
    for number, value in zip(state.numbers, document["messages"], strict=True):
        piece = forms.written(value).replace(b"\n", b"\n    ")
        place = data.index(piece, place) + len(piece)
        if place <= end:
            numbers.append(number)
    marks = state.marks if end > data.index(b'"gateway_routing"') else None
    count = len(state.numbers) if end > data.index(b'"anchor_scene_index"') else None
    return Copy(data[:end], state, tuple(numbers), marks, count, list_whole=end > behind + 3, damaged=True)


def damage(world: World) -> Left:
    """The damage of the world's life, done."""
    done = world.life.damage
    live: Copy | None = whole(world, world.live)
    backup = None if world.backup is None else whole(world, world.backup)
    if world.deleted:
        return Left(world, None, None, tuple(world.rows), (), (), world.index)
    left = Left(world, live, backup, tuple(world.rows), tuple(world.runs), tuple(world.turns), world.index)
    left = _on_live(left, done)
    match done.also:
        case "backup torn" if left.backup is not None:
            return replace(left, backup=torn(world, left.backup.state, done.at))
        case "backup lost":
            return replace(left, backup=None)
        case "rows lost":
            return replace(left, rows=())
        case "journals gone":
            return replace(left, runs=(), turns=())
        case "index gone":
            return replace(left, index=None)
    return left


def _on_live(left: Left, done: Damage) -> Left:
    world = left.world
    match done.live:
        case "wiped":
            world.wipe(Wipe())
            state = replace(world.live, pending=world.history[-1].pending)  # the head stays as it was
            world.live = state
            backup = None if world.backup is None else whole(world, world.backup)
            return replace(left, live=whole(world, state), backup=backup)
        case "lost":
            return replace(left, live=None)
        case "torn":
            return replace(left, live=torn(world, world.live, done.at))
        case "zeroed":
            assert left.live is not None
            data = bytes(len(left.live.data)) if done.back > 1 else b""
            return replace(left, live=Copy(data, State(), (), None, None, list_whole=False, damaged=True))
        case "bom" | "utf16":
            text = forms.written(forms.document(world, world.live)).decode()
            data = text.encode("utf-8-sig" if done.live == "bom" else "utf-16")
            return replace(left, live=replace(whole(world, world.live), data=data, damaged=True))
        case "miscounted":
            return replace(left, live=_miscounted(world))
        case "lossy" if set(world.live.numbers) <= {row.number for row in left.rows} and done.also != "rows lost":
            return replace(left, live=_lossy(world))
        case "unsaved" if isinstance(world.life.events[-1], Turn) and len(world.history) > 1:
            return _unsaved(left)
        case "stale" if len(world.history) > done.back and world.killed is None:
            state = world.history[-1 - done.back]
            return replace(left, live=whole(world, state), backup=None, index=_index_of(left, state), is_stale=True)
    return left


def _miscounted(world: World) -> Copy:
    document = forms.document(world, world.live)
    document["message_count"] += 3
    data = forms.written(document)
    return replace(whole(world, world.live), data=data, count=None, damaged=True)


def _lossy(world: World) -> Copy:
    """The list as the WebUI's own recovery once made it from the rows: without calls and reasoning."""
    document = forms.document(world, world.live)
    for value in document["messages"]:
        for key in ("tool_calls", "reasoning", "reasoning_content"):
            value.pop(key, None)
    document["_recovered_from_state_db"] = True
    data = forms.written(document)
    return replace(whole(world, world.live), data=data, damaged=True)


def _unsaved(left: Left) -> Left:
    """The server died when it had written the last turn to its temporary file: the file before it stands, its stream
    still set; the run has no end yet, and the session list does not know of it."""
    world = left.world
    prompt = next(world.said[n] for n in world.live.numbers if world.said[n].turn == world.said[-1].turn)
    stream = world.stream(prompt)
    before = replace(world.history[-2], pending=Pending(prompt, stream))
    runs = tuple(replace(run, done=None) if run.stream == stream else run for run in left.runs)
    ended = ("assistant_started", "completed")
    turns = tuple(e for e in left.turns if e["stream_id"] != stream or e["event"] not in ended)
    backup = None if world.backup_before is None else whole(world, world.backup_before)
    index = world.index_before
    copies = replace(left, live=whole(world, before), temp=whole(world, world.live), backup=backup)
    return replace(copies, runs=runs, turns=turns, index=index)


def _index_of(left: Left, state: State) -> IndexRow | None:
    """The session list beside an older file: as it was, or made anew from that file."""
    row, said = left.index, [left.world.said[n] for n in state.numbers]
    if row is None or left.world.life.damage.at < 0.5:
        return row
    last = said[-1].time if said else state.updated
    users = sum(m.is_user for m in said)
    return replace(row, count=len(said), users=users, last=last, title=state.title, updated=state.updated)
