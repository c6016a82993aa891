"""What happens to a session: turns, acts of the person, what the programs do by themselves, and then damage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Era:
    """A version of the WebUI by what its acts leave behind (formats.md, "What acts leave behind differs by version").

    ``backups``: a save that shrinks leaves a .bak; ``journals``: there are run and turn journals; ``watermark``,
    ``boundary``, ``clear``, ``shrink``: the marks that its files have (the others are no keys of the head);
    ``retires``: a new turn resets a watermark to null; ``drops_backup``: clear and compress remove the .bak;
    ``api_content``: the agent keeps the tag of the workspace apart from the prompt.
    """

    name: str
    backups: bool = True
    journals: bool = True
    watermark: bool = True
    boundary: bool = True
    clear: bool = True
    shrink: bool = True
    retires: bool = False
    drops_backup: bool = True
    api_content: bool = True


MODERN = Era("exp-0.52.262")
MODERN_OLD_AGENT = Era("exp-0.52.262, agent 0.18", api_content=False)
BOUNDED = Era("0.52.76", shrink=False, api_content=False)
_PLAIN = Era("", boundary=False, clear=False, shrink=False, drops_backup=False, api_content=False)
RETIRED = replace(_PLAIN, name="0.51.450", retires=True)
BACKUPS = replace(_PLAIN, name="0.51.42", watermark=False, journals=False)
ANCIENT = replace(BACKUPS, name="0.50.240", backups=False)
OLD_ERAS = (BOUNDED, RETIRED, BACKUPS, ANCIENT)


@dataclass(frozen=True, slots=True)
class Turn:
    """A prompt and its answer, ``gap`` seconds after what was before, ``length`` seconds long; ``tools``: the results
    of each round of calls. A ``prompt`` or ``answer`` of None is a text that is said once only."""

    prompt: str | None = None
    answer: str | None = None
    tools: tuple[int, ...] = ()
    gap: float = 30.0
    length: float = 8.0
    image: bool = False
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Undo:
    """Undo, as often as ``times`` says, one turn each."""

    times: int = 1


@dataclass(frozen=True, slots=True)
class Retry:
    """The last prompt once more, soon after the answer that is taken back."""

    again: Turn


@dataclass(frozen=True, slots=True)
class Edit:
    """The prompt of turn ``turn`` (from 0; negative from the end) is said otherwise; what followed is taken back."""

    turn: int
    again: Turn


@dataclass(frozen=True, slots=True)
class Truncate:
    """Everything from turn ``turn`` on is taken back."""

    turn: int


@dataclass(frozen=True, slots=True)
class Clear:
    """The person empties the conversation."""


@dataclass(frozen=True, slots=True)
class Compress:
    """The person has the context summarised; what is shown stays."""


@dataclass(frozen=True, slots=True)
class Compaction:
    """The agent summarises its rows in place, and copies the last ``carried`` messages behind the summary row;
    ``failed``: it did not get to archive what is summarised."""

    carried: int
    same_times: bool
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Untidy:
    """The WebUI shows the last prompts merged into one, in an earlier place, its stamp stepped back."""


@dataclass(frozen=True, slots=True)
class ClockStep:
    """The clock is set back by these seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Restart:
    """The server starts anew: for a turn the session list keeps the count that it knew."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """A turn that the person stopped; ``answered``: the agent wrote a row of its answer all the same."""

    turn: Turn
    answered: bool


@dataclass(frozen=True, slots=True)
class Kill:
    """The server dies within a turn, after ``rounds`` of its tool calls; ``row``: the agent had written what there was;
    ``torn_call``: it had written a call, whose result never came."""

    turn: Turn
    rounds: int
    row: bool
    torn_call: bool


@dataclass(frozen=True, slots=True)
class Delete:
    """The person deletes the session; its rows may stay."""

    rows_stay: bool


@dataclass(frozen=True, slots=True)
class Wipe:
    """A save of a head that was loaded without its messages. ``refilled``: what the server puts back from the rows when
    the session goes on: nothing, what its marks let it ("marks"), or all."""

    refilled: str = "nothing"


Event: TypeAlias = (
    Turn
    | Undo
    | Retry
    | Edit
    | Truncate
    | Clear
    | Compress
    | Compaction
    | Untidy
    | ClockStep
    | Restart
    | Cancel
    | Kill
    | Delete
    | Wipe
)


@dataclass(frozen=True, slots=True)
class Habits:
    """How the programs of a life write: ids of calls, how often a row is written, whether sidecars have times."""

    counted_ids: bool = False
    rows: str = "once"
    untimed: bool = False


@dataclass(frozen=True, slots=True)
class Damage:
    """What happens to the files at the end. ``live``: "none", "wiped", "lost", "torn" (at the fraction ``at`` of its
    bytes), "zeroed", "stale" (the state ``back`` saves ago is put back), "bom", "utf16", "miscounted", "lossy" (rebuilt
    without calls and reasoning), "unsaved" (its last save is a leftover temporary file); ``also``: "backup torn",
    "backup lost", "rows lost", "journals gone", "index gone" or nothing. What cannot reach a life leaves it whole.
    """

    live: str = "none"
    also: str = ""
    at: float = 0.5
    back: int = 1


@dataclass(frozen=True, slots=True)
class Life:
    """All that happens to one session; ``act`` and ``damage_name`` say it in a word."""

    seed: int
    act: str
    era: Era
    habits: Habits
    events: tuple[Event, ...]
    damage: Damage

    @property
    def damage_name(self) -> str:
        """The damage in a word."""
        on = [e for e in self.events if isinstance(e, Wipe)]
        live = f"wiped on, {on[0].refilled} refilled" if on else self.damage.live
        return f"{live} + {self.damage.also}" if self.damage.also else live


# --- drawing one ----------------------------------------------------------------------------------------------------

PROMPTS = ("continue", "thanks", "да 🚀", "two\nlines\there")
ANSWERS = ("Done.", "ok 👍", "Error code: 429. The provider is overloaded, please try again in a few moments.")


def _turn(rng: Random, *, repeats: float = 0.35) -> Turn:
    repeated = rng.random() < repeats
    return Turn(
        prompt=rng.choice(PROMPTS) if repeated else None,
        answer=rng.choice(ANSWERS) if rng.random() < (0.7 if repeated else 0.1) else None,
        tools=tuple(rng.randint(1, 2) for _ in range(rng.choice((0, 0, 1, 1, 2, 3)))),
        gap=rng.choice((2.0, 20.0, 20.0, 300.0, 90_000.0)) * rng.uniform(1.0, 2.0),
        length=rng.choice((0.1, 2.0, 8.0, 30.0, 200.0, 1200.0)) * rng.uniform(0.5, 1.0),
        image=rng.random() < 0.06,
        secret=rng.random() < 0.08,
    )


def _soon(rng: Random) -> Turn:
    """A turn like those that follow a retry or an edit: soon, and in other words than what was taken back."""
    return replace(_turn(rng, repeats=0.0), gap=rng.uniform(1.5, 20.0), image=False)


Story: TypeAlias = Callable[[Random], list[Event]]


def _then(*made: Callable[[Random], Event], after: int = 0) -> Story:
    """Some turns, what is made, and ``after`` or more turns."""

    def story(rng: Random) -> list[Event]:
        begun: list[Event] = [_turn(rng) for _ in range(rng.randint(2, 4))]
        ended: list[Event] = [_turn(rng) for _ in range(rng.randint(after, after + 2) if after else 0)]
        return [*begun, *(make(rng) for make in made), *ended]

    return story


def _repeats(rng: Random) -> list[Event]:
    prompt, answer = rng.choice(PROMPTS), rng.choice(ANSWERS)
    return [replace(_turn(rng), prompt=prompt, answer=answer, image=False) for _ in range(rng.randint(3, 6))]


def _mixed(rng: Random) -> list[Event]:
    story: list[Event] = [_turn(rng), _turn(rng)]
    for _ in range(rng.randint(2, 4)):
        act: Event = rng.choice(
            (
                Undo(),
                Retry(_soon(rng)),
                Edit(rng.choice((0, -1, -2)), _soon(rng)),
                Truncate(-1),
                Clear(),
                Compress(),
                ClockStep(rng.uniform(1, 7200)),
                Restart(),
            )
        )
        story += [act, *(_turn(rng) for _ in range(rng.randint(0, 2)))]
    return story


def _kill(rng: Random) -> Kill:
    turn = replace(_turn(rng), image=False, secret=False, prompt=None, answer=None)
    return Kill(turn, rng.randint(0, len(turn.tools)), rng.random() < 0.7, rng.random() < 0.3)


def _compaction(rng: Random) -> Compaction:
    return Compaction(rng.randint(1, 4), rng.random() < 0.5, rng.random() < 0.2)


STORIES: dict[str, Story] = {
    "plain": _then(),
    "repeats": _repeats,
    "undo": _then(lambda _: Undo()),
    "undo, turns": _then(lambda _: Undo(), after=1),
    "undo twice": _then(lambda _: Undo(2)),
    "undo of all": _then(lambda _: Undo(9)),
    "undo, turn, undo": _then(lambda _: Undo(), _turn, lambda _: Undo()),
    "retry": _then(lambda rng: Retry(_soon(rng))),
    "retry, turns": _then(lambda rng: Retry(_soon(rng)), after=1),
    "edit": _then(lambda rng: Edit(-rng.randint(1, 2), _soon(rng))),
    "edit, turns": _then(lambda rng: Edit(-rng.randint(1, 2), _soon(rng)), after=1),
    "edit of the first": _then(lambda rng: Edit(0, _soon(rng))),
    "edit of the first, turns": _then(lambda rng: Edit(0, _soon(rng)), after=1),
    "truncate": _then(lambda rng: Truncate(-rng.randint(1, 2))),
    "truncate, turns": _then(lambda rng: Truncate(-rng.randint(1, 2)), after=1),
    "clear": _then(lambda _: Clear()),
    "clear, turns": _then(lambda _: Clear(), after=1),
    "clear, turns, undo": _then(lambda _: Clear(), _turn, _turn, lambda _: Undo()),
    "compress": _then(lambda _: Compress()),
    "compress, turns": _then(lambda _: Compress(), after=1),
    "compress, undo": _then(lambda _: Compress(), _turn, lambda _: Undo()),
    "mixed": _mixed,
    "cancel": _then(lambda rng: Cancel(_soon(rng), rng.random() < 0.5)),
    "cancel, turns": _then(lambda rng: Cancel(_soon(rng), rng.random() < 0.5), after=1),
    "killed": _then(_kill),
    "undo, killed": _then(lambda _: Undo(), _kill),
    "clear, killed": _then(lambda _: Clear(), _kill),
    "compaction": _then(_compaction, after=1),
    "compactions": _then(_compaction, _turn, _compaction, _turn, _compaction, _turn),
    "untidy": _then(lambda _: Untidy(), after=1),
    "clock": _then(lambda rng: ClockStep(rng.choice((0.5, 40.0, 5000.0))), after=1),
    "restart": _then(lambda _: Restart(), after=1),
    "deleted": _then(lambda rng: Delete(rng.random() < 0.7)),
}

_NEEDS_MARKS = frozenset({"compress", "compress, turns", "compress, undo", "undo of all"})
"""Stories that an old version tells in a way of its own, which is not played here."""

DAMAGES = (
    "none",
    "wiped",
    "wiped on",
    "lost",
    "torn",
    "zeroed",
    "stale",
    "bom",
    "utf16",
    "miscounted",
    "lossy",
    "unsaved",
)
_USUAL = ("none", "wiped", "wiped on", "lost", "torn", "zeroed", "stale")
ALSO = ("backup torn", "backup lost", "rows lost", "journals gone", "index gone")


def life(seed: int, act: str = "", damage: str = "") -> Life:
    """The life that a number stands for; ``act`` (one of STORIES) and ``damage`` (one of DAMAGES) can be chosen."""
    rng = Random(seed)
    era = rng.choice((*(MODERN,) * 12, *(MODERN_OLD_AGENT,) * 4, *OLD_ERAS))
    act = act or rng.choice((*STORIES, "plain", "plain", "undo, turns", "retry, turns", "mixed", "mixed"))
    if act in _NEEDS_MARKS and era in OLD_ERAS:
        era = MODERN
    events = STORIES[act](rng)
    if era in OLD_ERAS:
        events = [e for e in events if not isinstance(e, Compress)]
    acted = any(isinstance(e, Undo | Retry | Edit | Truncate | Clear | Compress) for e in events)
    rows = rng.choice(("once", "once", "once", "prompt twice", "turn twice", "rewritten"))
    habits = Habits(rng.random() < 0.4, rows, untimed=not acted and rng.random() < 0.1)
    if rng.random() < 0.15 and act not in ("killed", "deleted"):
        events.insert(rng.randint(1, len(events)), ClockStep(rng.choice((0.3, 20.0, 3600.0))))
    name = damage or (rng.choice(_USUAL) if rng.random() < 0.85 else rng.choice(DAMAGES[7:]))
    last = events[-1]
    if name == "wiped on":
        if any(isinstance(event, Kill | Delete) for event in events):
            name = "wiped"
        else:
            events += [Wipe(rng.choice(("nothing", "nothing", "marks", "all"))), _turn(rng)]
            events += [_turn(rng)] if rng.random() < 0.3 else []
    if isinstance(last, Delete):
        name = "lost"
    also = rng.choice(("", *ALSO)) if rng.random() < 0.55 else ""
    live = "none" if name == "wiped on" else name
    return Life(seed, act, era, habits, tuple(events), Damage(live, also, rng.random(), rng.randint(1, 3)))
