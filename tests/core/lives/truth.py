"""What is right for what is left of a life, from the witnesses that are left (recovery.md, section 4).

Nothing here looks at what the engine does, nor at what really happened: the rules see only what lies on disk, with the
one advantage that they know which messages are the same. Whatever they determine must be what really was shown, and
:func:`truth` says so with an assertion; where they leave it open, it is a question.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .left import Copy, Left
from .life import ClockStep
from .said import Identity
from .state import Killed, Marks, State

Numbers = tuple[int, ...]
Known = tuple[Numbers, str] | None
"""A transcript, and which rule determined it."""


@dataclass(frozen=True, slots=True)
class Tail:
    """A run that was killed: its prompt, what its rows and its journal have of it. ``texts`` may stand in an answer,
    ``streamed`` has to where an answer stands at all (empty: no journal is left)."""

    prompt: Identity
    texts: tuple[str, ...]
    streamed: str


@dataclass(frozen=True, slots=True)
class Truth:
    """What is right for one session. ``want``: "untouched", "exact", "ask" (``wanted``, one of ``alts`` or left as it
    is), or "absent"; ``why``: the rule; ``taken``: what was taken back; ``quiet``: the audit has only info to say.
    """

    session_id: str
    want: str
    why: str
    wanted: tuple[Identity, ...]
    alts: tuple[tuple[Identity, ...], ...] = ()
    taken: frozenset[Identity] = frozenset()
    tail: Tail | None = None
    quiet: bool = False

    @property
    def is_healthy(self) -> bool:
        """Nothing may be offered for it, or changed in it."""
        return self.want in ("untouched", "absent")


def truth(left: Left) -> Truth:
    """What is right for a session of which this is left."""
    world, sid, live = left.world, left.world.session_id, left.live
    if world.deleted:
        return Truth(sid, "absent", "the user deleted it", ())
    held = left.held()
    wanted = tuple(n for n in world.shown if n in held)
    told = _identities(left, wanted)
    taken = frozenset(world.said[n].identity() for n in world.taken)
    tail = None if world.killed is None or not _knows_prompt(left, world.killed) else _tail(left, world.killed)
    if _is_whole(left):
        if tail is not None:
            return Truth(sid, "exact", "the file is whole, but for a run that was killed", told, taken=taken, tail=tail)
        if _has_lost_a_picture(left):
            return Truth(sid, "exact", "the file is whole, but for a picture", told, taken=taken)
        quiet = (world.era.boundary or not world.acts) and world.life.damage.also == "" and not _may_be_edited(left)
        return Truth(sid, "untouched", "the file is whole", told, taken=taken, quiet=quiet)
    known, twice = determined(left), _written_twice(left)
    is_open = (live is None and not left.rows) or bool(twice)  # it may be deleted; or a program said it twice
    is_open = is_open or _is_only_witness(left, wanted)
    if known is not None and not is_open:
        assert known[0] == wanted, f"{known[1]}: {known[0]}, but {wanted} was shown ({world.life})"
        return Truth(sid, "exact", known[1], told, taken=taken, tail=tail)
    weak = [reading for reading in weak_readings(left) if reading[0]]
    if weak and weak[0] == (wanted, True) and not is_open:
        return Truth(sid, "exact", "nothing says otherwise", told, taken=taken, tail=tail)
    as_it_is = (live.numbers,) if live is not None and not live.damaged else ()  # but for what makes it fuller
    readings = (world.shown, *as_it_is, *(numbers for numbers, _ in weak))
    told_again = (twice, *({turn} for turn in twice)) if twice else ()  # a compaction carries some of them over once
    readings += tuple(_with_again(left, numbers, some) for numbers in (wanted, *readings) for some in told_again)
    alts = tuple(_identities(left, numbers) for numbers in readings)
    return Truth(sid, "ask", "the copies leave it open", told, alts, taken, tail)


def _is_whole(left: Left) -> bool:
    """The damage has not reached what the live file holds."""
    live, world = left.live, left.world
    if live is None or live.damaged or (left.is_stale and live.state != world.history[-1]):
        return False
    return live.numbers == world.shown


def _is_only_witness(left: Left, wanted: Numbers) -> bool:
    """A version that leaves no mark put a longer backup in the place of the file when it starts, so a repair takes it
    away, and nothing else shows what it asks: taken back or lost."""
    backup, live = left.backup, left.live
    if (
        backup is None
        or backup.damaged
        or live is None
        or left.world.era.boundary
        or len(backup.numbers) <= len(wanted)
    ):
        return False
    others = {row.number for row in left.rows}
    others |= {n for run in left.runs if run.done is not None for n in run.done.numbers}
    return not others.issuperset(backup.numbers) and not set(wanted) <= set(backup.numbers)


def _has_lost_a_picture(left: Left) -> bool:
    """The server filled the live file from the rows, which have no pictures, and another copy still has one."""
    assert left.live is not None
    lost = {n for n in left.live.state.row_form if left.world.said[n].image}
    others = [(run.done.numbers, run.done) for run in left.runs if run.done is not None]
    others += ((copy.numbers, copy.state) for copy in (left.backup, left.temp) if copy is not None)
    return any(n in numbers and n not in state.row_form for numbers, state in others for n in lost)


def determined(left: Left) -> Known:
    """The transcript that the copies left determine, None where they leave it open; the first rule that speaks."""
    for rule in (_own_list, _unfinished_save, _backup_of_the_wipe, _newest_done, _counted_rows):
        found = rule(left)
        if found is not None:
            return found, rule.__name__.strip("_").replace("_", " ")
    return None


def weak_readings(left: Left) -> Iterator[tuple[Numbers, bool]]:
    """What another life would have been, that would have left the same bytes: nothing contradicts it, nothing says it.
    With each, whether it is what an engine has to give back where it is right (else a question is right, too)."""
    live, done, rows = left.live, left.newest_done, _rows_of_ended_runs(left)
    yield from _uncounted(left, rows)
    if left.is_stale and live is not None:
        yield from _ahead_of(left, live.state)
    elif done is None and not rows and left.backup is not None and not left.backup.damaged:
        yield left.backup.numbers, False  # all that is left: what was said since is gone, and an act as well
    elif (live is None or live.marks is None or not (live.numbers or left.world.era.boundary)) and left.index is None:
        backup = left.backup
        if done is not None and backup is None and not _cancelled_since(left):
            yield done.numbers, True
        elif done is None and backup is not None and not backup.damaged and rows:
            yield _and_behind(backup.numbers, rows), False
        elif done is None and backup is None:
            yield rows, False


def _uncounted(left: Left, rows: Numbers) -> Iterator[tuple[Numbers, bool]]:
    """The session list counts a turn late after a restart, and after a wipe only what was said since: where it counts
    just all but the newest turn, or just the newest turns, no act need have taken the others back."""
    if left.index is None or left.newest_done is not None or (left.live is not None and left.live.numbers):
        return
    prompts = [k for k, n in enumerate(rows) if left.world.said[n].is_user]
    is_late = bool(prompts) and left.index.count == prompts[-1]
    has_backup = left.backup is not None and not left.backup.damaged
    if is_late or (not has_backup and len(rows) - left.index.count in prompts[1:]):
        yield rows, False


# --- the rules ------------------------------------------------------------------------------------------------------


def _own_list(left: Left) -> Numbers | None:
    """A file that is torn behind its message list, or is whole in another form, has lost no message."""
    live = left.live
    return live.numbers if live is not None and live.damaged and live.list_whole else None


def _unfinished_save(left: Left) -> Numbers | None:
    """A temporary file that is whole and has what the live file has, and more."""
    live, temp = left.live, left.temp
    if live is None or temp is None or not set(live.numbers) < set(temp.numbers):
        return None
    return temp.numbers


def _backup_of_the_wipe(left: Left) -> Numbers | None:
    """A backup that carries the marks of the live file, and has messages that this one lacks, is the file before a save
    that lost them; what the live file has besides came later. Where marks do not stay, only an empty file tells."""
    live, backup = left.live, left.backup
    if live is None or backup is None or live.damaged or backup.damaged or left.is_stale:
        return None
    if not left.world.era.boundary and (live.numbers or live.state.title == "Untitled"):
        return None  # an old clear sets the title, too
    if _may_be_edited(left):
        return None
    if not _same_act(live.state.marks, backup.state.marks) or set(backup.numbers) <= set(live.numbers):
        return None
    return backup.numbers + tuple(n for n in live.numbers if n not in backup.numbers)


def _newest_done(left: Left) -> Numbers | None:
    """The newest ``done`` is what was shown at the end of that run; marks or session list say what came after it."""
    done, live = left.newest_done, left.live
    went_on = live is not None and not live.damaged and bool(live.numbers)
    if done is None or went_on or left.is_stale or _cancelled_since(left):
        return None
    marks = None if live is None else live.marks
    if marks is not None and left.world.era.boundary:
        if _may_be_wiped(left, marks, done.numbers):
            return None
        found = _by_marks(left, marks, done.numbers)
        if found is not None:
            return found
    if left.index is not None:
        return _by_index(left, done.numbers)
    begins = done.numbers[0] == left.folded_rows[0] if left.folded_rows else True
    return done.numbers if marks is None and begins and _is_older(left.backup, done) else None


def _counted_rows(left: Left) -> Numbers | None:
    """Nobody takes rows away: where something counts them, or no act was ever made, they are all there was."""
    world, live = left.world, left.live
    rows = _rows_of_ended_runs(left)
    if not rows or left.is_stale or _ambiguous_copies(left):
        return None
    others = left.held() - {row.number for row in left.rows}
    if others or (live is not None and not is_part(live.numbers, rows)):
        return None  # the WebUI's own notices and merged prompts are in no row
    counts = [left.index.count] if left.index is not None else []
    if live is not None and live.damaged and live.count is not None:
        counts = [live.count]  # that of a head is never stale
    if counts == [len(rows)]:
        return rows
    marks = None if live is None else live.marks
    proven = marks is not None and world.era.boundary and (marks.none or _only_compressed(left, marks))
    contradicted = live is not None and live.damaged and bool(counts)
    return rows if proven and not contradicted else None


# --- their parts ----------------------------------------------------------------------------------------------------


def _rows_of_ended_runs(left: Left) -> Numbers:
    """The rows without those of a run that was killed, which is judged by itself."""
    killed = left.world.killed
    return tuple(n for n in left.folded_rows if killed is None or n < killed.prompt.number)


def _by_marks(left: Left, marks: Marks, numbers: Numbers) -> Numbers | None:
    said, live = left.world.said, left.live
    if marks.none or _only_compressed(left, marks):
        return numbers
    if marks.boundary == 0.0:  # a clear or an edit of the first prompt: how much was said since?
        counted = live is not None and live.damaged and live.count == len(numbers) and live.count > 0
        return numbers if counted else None
    if marks.boundary == marks.watermark:  # nothing was said since
        kept = [k for k, n in enumerate(numbers) if said[n].time == marks.boundary]
        return numbers[: kept[0] + 1] if len(kept) == 1 else None
    prompts = [said[n].time for n in numbers if said[n].is_user]
    return numbers if prompts and prompts[-1] == marks.watermark else None


def _by_index(left: Left, numbers: Numbers) -> Numbers | None:
    row, said = left.index, left.world.said
    assert row is not None
    if row.pending is not None:
        return numbers if row.count == len(numbers) else None
    if said[numbers[-1]].time == row.last:
        return numbers
    cut = 0 < row.count <= len(numbers) and said[numbers[row.count - 1]].time == row.last
    return numbers[: row.count] if cut else None


def _ahead_of(left: Left, state: State) -> Iterator[tuple[Numbers, bool]]:
    """Readings of an older file: what the newest run, or the rows from after its save, have behind it."""
    world, done, marks = left.world, left.newest_done, state.marks
    firm = state.acts == world.history[-1].acts  # what was taken back since, nothing but the newest file says
    later = {row.number for row in left.rows if row.time > state.updated}
    rows = tuple(n for n in left.folded_rows if n in later)
    if world.era.boundary and _has_clock_step(left):  # places tell, whatever the clock said
        rows = left.folded_rows
    last = world.said[state.numbers[-1]].time if state.numbers else state.updated
    if world.era.boundary:
        at_the_act = marks.boundary is not None and marks.boundary == marks.watermark
    else:  # what was said before the save, and is behind the file
        at_the_act = any(n > max(state.numbers, default=-1) and n not in later for n in left.folded_rows)
        at_the_act = at_the_act or marks.watermark == last
    is_newest = at_the_act and (left.index.last == last if left.index is not None else not state.numbers)
    if done is not None and not _cancelled_since(left):
        is_later = done.updated > state.updated
        if is_later or done.numbers[: len(state.numbers)] == state.numbers:  # or before that the clock was set back
            yield done.numbers, is_later and firm and not is_newest  # an act, before which it can have been, too
    if rows:
        found = _and_behind(state.numbers, rows)
        counted = left.index is None or left.index.count in (len(found), len(state.numbers))
        listed = world.era.watermark or (left.index is not None and left.index.last > state.updated)
        yield found, firm and counted and listed and not at_the_act and not _has_clock_step(left)


def _has_clock_step(left: Left) -> bool:
    return any(isinstance(event, ClockStep) for event in left.world.life.events)


def _and_behind(numbers: Numbers, rows: Numbers) -> Numbers:
    """A copy and the rows that stand behind the last one of its own."""
    mine = [k for k, n in enumerate(rows) if n in numbers]
    behind = rows[mine[-1] + 1 :] if mine else rows
    return numbers + tuple(n for n in behind if n not in numbers)


def _same_act(mine: Marks, other: Marks) -> bool:
    return (mine.clear, mine.shrink, mine.boundary) == (other.clear, other.shrink, other.boundary)


def _may_be_edited(left: Left) -> bool:
    """A version without generations leaves after an edit of the first prompt since a clear what it leaves where the
    file is wiped and goes on (formats.md: watermark and boundary 0.0)."""
    live = left.live
    if live is None or not live.numbers or not left.world.era.boundary or left.world.era.shrink:
        return False
    return live.state.marks.boundary == 0.0 and left.backup is not None


def _may_be_wiped(left: Left, marks: Marks, numbers: Numbers) -> bool:
    """The same of a damaged file with these marks, which had these messages and none of its backup's."""
    backup = left.backup
    if marks.boundary != 0.0 or left.world.era.shrink or backup is None or backup.damaged:
        return False
    if not _same_act(marks, backup.state.marks):
        return False
    return set(backup.numbers).isdisjoint(numbers)


def _written_twice(left: Left) -> set[int]:
    """The turns that rows alone know, and have twice within a second: a flush wrote them again, or a program said them
    again so fast. What takes longer, makes calls or is long is no such thing, nor what the turn journal has once."""
    said, again = left.world.said, set[int]()
    copies = (left.live, left.backup, left.temp)
    known = {n for copy in copies if copy is not None for n in copy.numbers}
    known |= set(left.newest_done.numbers) if left.newest_done is not None else set()
    places: dict[int, list[int]] = {}
    for k, row in enumerate(left.rows):
        places.setdefault(row.number, []).append(k)
    for prompt in (m for m in said if m.is_user and m.number in places and m.number not in known and not left.turns):
        turn = [m.number for m in said if m.turn == prompt.turn and m.number in places]
        is_short = len(turn) == 2 and not said[turn[1]].calls and len(said[turn[1]].text) <= 64
        if is_short and all(len(places[n]) > 1 for n in turn):
            again.add(prompt.turn)
    return again


def _with_again(left: Left, numbers: Numbers, twice: set[int]) -> Numbers:
    """A transcript with these turns twice."""
    found: Numbers = ()
    for n in numbers:
        turn = tuple(k for k in numbers if left.world.said[k].turn == left.world.said[n].turn)
        found += (turn * 2 if turn[0] == n else ()) if left.world.said[n].turn in twice else (n,)
    return found


def _is_older(backup: Copy | None, done: State) -> bool:
    """The save that made the backup was before a ``done``: this one lacks some of it, and has gone on."""
    if backup is None or backup.damaged:
        return False
    mine, other = set(backup.numbers), set(done.numbers)
    return not mine <= other and not other <= mine


def _only_compressed(left: Left, marks: Marks) -> bool:
    """A manual compress, and nothing was ever taken back; only where an undo would have left a mark that stays."""
    return left.world.era.shrink and marks.anchor is not None and marks.shrink is None and marks.clear is None


def _cancelled_since(left: Left) -> bool:
    """A run was stopped after the newest ``done``: what the file had of it is in no other copy."""
    events = [event["event"] for event in left.turns]
    return "interrupted" in events and "completed" not in events[events.index("interrupted") :]


def _ambiguous_copies(left: Left) -> bool:
    """Rows that a compaction copied with new times look like repeats where texts do repeat."""
    if not left.world.compacted_anew:
        return False
    told = [left.world.said[n].identity() for n in left.folded_rows]
    return len(set(told)) < len(told)


def is_part(some: Sequence[object], of: Sequence[object]) -> bool:
    """Whether these are some of the others, in the same order."""
    rest = iter(of)
    return all(each in rest for each in some)


# --- as a person sees it --------------------------------------------------------------------------------------------


def _identities(left: Left, numbers: Numbers) -> tuple[Identity, ...]:
    """What a person sees of messages, with secrets where a copy still has them."""
    clear = left.unmasked()
    return tuple(left.world.said[n].identity(mask=n not in clear) for n in numbers)


def _knows_prompt(left: Left, killed: Killed) -> bool:
    """Whether anything is left of a run that was killed: journals, rows, or the file or the list that wait for it."""
    prompt = json.dumps(killed.prompt.text, ensure_ascii=False)
    spellings = prompt.encode(), prompt.encode("utf-16")[2:]
    is_awaited = left.index is not None or (left.live is not None and any(s in left.live.data for s in spellings))
    return is_awaited or bool(left.turns or left.runs) or not {row.number for row in left.rows}.isdisjoint(killed.rows)


def _tail(left: Left, killed: Killed) -> Tail:
    said = left.world.said
    texts = tuple(m.text for m in said[killed.prompt.number :])
    has_journal = any(run.done is None for run in left.runs)
    return Tail(killed.prompt.identity(), texts, killed.text if has_journal else "")
