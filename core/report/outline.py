"""What a report says, in which order and in which words: the same for each form that a person reads.

Every session has one number, wherever it stands in a report. The facts have their paths from the home of the store on.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hermes_rescue.core.audit.findings import KINDS, ONE_STANDS, Standing, how_they_stand
from hermes_rescue.core.base.files import shown
from hermes_rescue.core.base.words import plural
from hermes_rescue.core.report.amounts import Amounts

_AMOUNTS = {
    "there": ("message in place", "messages in place"),
    "back": ("comes back", "come back"),
    "asked": ("waits for your decision", "wait for your decision"),
    "left_out": ("stays out", "stay out"),
}
"""What there is to say of each number of messages (:class:`core.report.amounts.Amounts`), of one and of several."""

_LISTED = 20
"""How many healthy sessions are listed, where a report has no others."""

_STATES = {
    "done": "repaired",
    "undone": "put back",
    "skipped": "not repaired",
    "failed": "failed",
    "planned": "interrupted",
}
"""What has become of a session, by the first of these states that a change of one of its files has."""

_ACTIONS = {"create": "created", "replace": "replaced", "remove": "moved to the vault"}
"""What was done with a file."""

_WORST_FIRST = ("failed", "planned", "skipped", "undone", "done")

_SHAPES = {"some": (6, 6), "asked": (3, 6), "left_out": (5, 2)}
"""Top and height of the stretches that are less than the whole bar high: to be distinguished without their colours
too.
"""

_HOLDS = {
    "whole": "the message",
    "part": "the message with something that the file lacks",
    "some": "some of these messages",
    "left_out": "a message that stays out",
}
"""What the stretches in the lane of a copy say."""

Facts = Mapping[str, Any]
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the picture: stretches of ``length``, each of a kind with a colour and a height; in words as well."""

    length: int
    spans: tuple[tuple[int, int, str], ...]
    words: str = ""

    @property
    def areas(self) -> Iterator[tuple[int, int, int, int, str]]:
        """What is to be painted: left, top, width and height of each stretch in a bar 12 high, and its kind."""
        for start, end, kind in self.spans:
            top, height = _SHAPES.get(kind, (0, 12))
            yield start, top, end - start, height, kind


@dataclass(frozen=True, slots=True)
class Lane:
    """What one copy holds."""

    label: str
    count: str
    bar: Bar


@dataclass(frozen=True, slots=True)
class Found:
    """A finding of a session, or of the store."""

    label: str
    category: str
    evidence: str
    advice: str


@dataclass(frozen=True, slots=True)
class Section:
    """A session: its line of the overview and what there is to say about it."""

    number: int
    title: str
    session_id: str
    state: str
    css: str
    before: str
    change: str
    bar: Bar
    facts: Pairs
    lanes: tuple[Lane, ...] = ()
    found: tuple[Found, ...] = ()


@dataclass(frozen=True, slots=True)
class Meaning:
    """What holds for every finding of a kind, said once: ``sessions`` are the numbers of those that have it."""

    label: str
    name: str
    category: str
    sessions: tuple[int, ...]
    facts: Pairs


@dataclass(frozen=True, slots=True)
class Check:
    """The checksums of a file that a run changed."""

    number: int | None
    file: str
    facts: Pairs


@dataclass(frozen=True, slots=True)
class Page:
    """All that a report says; ``unlisted`` is about the sessions that have no line of their own; ``holds``: the legend
    of their lanes.
    """

    title: str
    head: Pairs
    chips: tuple[tuple[str, str], ...]
    bar: Bar
    legend: tuple[tuple[Bar, str], ...]
    columns: tuple[str, str]
    sections: tuple[Section, ...]
    unlisted: str
    of_store: tuple[Found, ...] = ()
    places: tuple[str, ...] = ()
    meanings: tuple[Meaning, ...] = ()
    checks: tuple[Check, ...] = ()
    texts: tuple[Facts, ...] | None = None
    numbers: Mapping[str, int] = field(default_factory=dict)
    foot: str = ""
    holds: tuple[tuple[Bar, str], ...] = ()


def page_of(title: str, facts: Facts) -> Page:
    """The outline of the facts of a report (:mod:`core.report.report`)."""
    return _Audit(facts).page(title) if facts["kind"] == "audit" else _Run(facts).page(title)


class _Outline:
    """What the two kinds of reports have in common."""

    back = _AMOUNTS["back"]
    columns = ("In the file", "Comes back")
    holds: Mapping[str, str] = _HOLDS

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.home = facts["store"]["home"]
        self.numbers = {session["session_id"]: session["number"] for session in facts["sessions"]}
        self.totals = Amounts(**facts["totals"])

    def page(self, title: str) -> Page:
        facts = self.facts
        sections = tuple(self.section(session) for session in self.listed())
        version = facts["version"]
        return Page(
            title,
            tuple((name, text) for name, text in self.head() if text),
            tuple(self.chips()),
            self.bar(self.totals),
            _swatches(self.legend(self.totals)),
            self.columns,
            sections,
            self.unlisted(len(sections)),
            tuple(self.of_store()),
            tuple(self.near(place["evidence"]) for place in facts.get("places", ())),
            tuple(self.meanings()),
            tuple(self.checks()),
            self.texts(),
            self.numbers,
            f"Hermes Rescue {version}" if version else "Hermes Rescue",
            _swatches(self.held(sections)),
        )

    def texts(self) -> tuple[Facts, ...] | None:
        """What was said in the sessions, in the order of their numbers."""
        found = self.facts["texts"]
        return found if found is None else tuple(sorted(found, key=lambda it: self.numbers.get(it["session_id"], 0)))

    def held(self, sections: Iterable[Section]) -> Iterator[tuple[str, str]]:
        """What the lanes have, in words; nothing where a lane only has the message or not."""
        kinds = {kind for section in sections for lane in section.lanes for *_, kind in lane.bar.spans}
        if kinds - {"whole"}:
            yield from ((kind, words) for kind, words in self.holds.items() if kind in kinds)

    def head(self) -> Iterator[tuple[str, str]]:
        """The first facts."""
        facts, store = self.facts, self.facts["store"]
        yield "Made", facts["made_at"]
        yield "Hermes Rescue", facts["version"] or ""
        yield from self.about()
        yield "Hermes home", _below_home(self.home) if self.home else ""
        yield "Sessions folder", self.near(store["sessions_dir"])
        yield plural(len(store["databases"]), "Database"), ", ".join(map(self.near, store["databases"]))

    def near(self, text: str) -> str:
        """A text with its paths as they are seen by whoever runs this."""
        return _below_home(shown(text))

    def bar(self, amounts: Amounts) -> Bar:
        """How many messages are there, come back, are asked about or stay out."""
        spans, at = [], 0
        for name in _AMOUNTS:
            if n := getattr(amounts, name):
                spans.append((at, at + n, name))
                at += n
        return Bar(at, tuple(spans), ", ".join(words for _, words in self.legend(amounts)) or "no messages")

    def legend(self, amounts: Amounts) -> Iterator[tuple[str, str]]:
        """The amounts in words."""
        for name in _AMOUNTS:
            if n := getattr(amounts, name):
                yield name, self.verb(name, n)

    def verb(self, name: str, n: int) -> str:
        """One of the amounts in words."""
        one, several = self.back if name == "back" else _AMOUNTS[name]
        return f"{n:,} {plural(n, one, several)}"

    def common(self, session: Facts) -> dict[str, Any]:
        """What both kinds of reports say of a session."""
        amounts = Amounts(**session["messages"])
        return {
            "number": session["number"],
            "title": session["title"] or session["session_id"],
            "session_id": session["session_id"],
            "change": f"+{amounts.back:,}" if amounts.back else "",
            "bar": self.bar(amounts),
            "lanes": tuple(_lanes(session["picture"])),
        }

    def listed(self) -> Sequence[Facts]:
        """The sessions that have a line of their own."""
        return list(self.facts["sessions"])

    def unlisted(self, listed: int) -> str:
        """About the others."""
        return ""

    def about(self) -> Iterator[tuple[str, str]]:
        """What the report is about."""
        yield from ()

    def chips(self) -> Iterator[tuple[str, str]]:
        """How many sessions stand how, each with its colour."""
        yield from ()

    def section(self, session: Facts) -> Section:
        """A session."""
        raise NotImplementedError

    def of_store(self) -> Iterator[Found]:
        """What is wrong with no single session."""
        yield from ()

    def meanings(self) -> Iterator[Meaning]:
        """What the findings mean."""
        yield from ()

    def checks(self) -> Iterator[Check]:
        """What was written, to be checked."""
        yield from ()


class _Audit(_Outline):
    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self.items: dict[str | None, list[Facts]] = {}
        for item in facts["items"]:
            self.items.setdefault(item["session_id"], []).append(item)

    def about(self) -> Iterator[tuple[str, str]]:
        yield "Hermes WebUI", self.near(self.facts["webui"]["evidence"])
        yield "Sessions", f"{self.facts['summary']['sessions']:,}"

    def chips(self) -> Iterator[tuple[str, str]]:
        for standing, n in self.facts["standings"].items():
            if n:
                yield _CSS.get(standing, "info"), f"{n:,} {how_they_stand(n, Standing(standing))}"

    def listed(self) -> Sequence[Facts]:
        found = [session for session in self.facts["sessions"] if session["session_id"] in self.items]
        return found or self.facts["sessions"][:_LISTED]

    def unlisted(self, listed: int) -> str:
        if not self.facts["items"]:
            return "Nothing was found. Every session is healthy."
        rest = len(self.facts["sessions"]) - listed
        return f"{rest:,} more {plural(rest, 'session has', 'sessions have')} no finding." if rest else ""

    def section(self, session: Facts) -> Section:
        def words(n: int | None) -> str:
            return "none that can be read" if n is None else f"{n:,}"

        counts = ("In the session file", "live"), ("In the backup", "backup"), ("In the database", "database")
        parts = [
            f"{words(session[name])} {label[0].lower()}{label[1:]}"
            for label, name in counts
            if session[name] is not None or name == "live"
        ]
        facts = [("Messages", ", ".join(parts)), ("After a repair", self._after(session))]
        amounts = Amounts(**session["messages"])
        if amounts.asked or amounts.left_out:
            more = [text for name, text in self.legend(amounts) if name in ("asked", "left_out")]
            more += [f"{n:,} left out by you"] if (n := session["left_out_by_you"]) else []
            facts.append(("Other messages", ", ".join(more)))
        return Section(
            **self.common(session),
            state=ONE_STANDS[Standing(session["standing"])],
            css=_CSS.get(session["standing"], "info"),
            before="–" if session["live"] is None else f"{session['live']:,}",
            facts=tuple((name, text) for name, text in facts if text),
            found=tuple(map(self._found, self.items.get(session["session_id"], ()))),
        )

    def _after(self, session: Facts) -> str:
        if session["standing"] != Standing.REPAIRABLE or session["after"] is None:
            return ""
        back = session["messages"]["back"]
        words = _count(session["after"], "message")
        return f"{words}; {self.verb('back', back)}" if back else words

    def _found(self, item: Facts) -> Found:
        kind = KINDS[item["kind"]]
        advice = item["what_to_do"] if item["what_to_do"] != kind.advice else ""
        return Found(kind.label, item["category"], self.near(item["evidence"]), advice)

    def of_store(self) -> Iterator[Found]:
        yield from map(self._found, self.items.get(None, ()))

    def meanings(self) -> Iterator[Meaning]:
        of: dict[str, list[int]] = {}
        for item in self.facts["items"]:
            of.setdefault(item["kind"], []).extend(filter(None, [self.numbers.get(item["session_id"])]))
        for name in sorted(of, key=list(KINDS).index):
            kind = KINDS[name]
            facts = (
                ("How serious", kind.severity_text),
                ("What to do", kind.advice),
                ("What happens", kind.effect),
                ("Can I keep using this session", kind.usable_meanwhile),
            )
            yield Meaning(kind.label, name, kind.category.webui, tuple(sorted(of[name])), facts)


class _Run(_Outline):
    back = ("came back", "came back")
    columns = ("Before", "Came back")
    holds: Mapping[str, str] = {**_HOLDS, "part": "the message, changed"}

    def about(self) -> Iterator[tuple[str, str]]:
        yield "Run", f"{self.facts['run']} ({self.facts['status']})"
        yield "Started", self.facts["started_at"]
        yield "Finished", self.facts["finished_at"] or ""

    def chips(self) -> Iterator[tuple[str, str]]:
        states = Counter(_state(session) for session in self.facts["sessions"])
        for op in self.facts["index"]:
            states[op["state"]] += len(self.facts["relisted"])
        yield from ((state, f"{states[state]:,} {_STATES[state]}") for state in reversed(_WORST_FIRST) if states[state])
        files = [op for session in self.facts["sessions"] for op in session["operations"] if op["state"] == "done"]
        if files:
            yield "info", f"{_count(len(files), 'file')} changed, verified and kept as they were before"

    def unlisted(self, listed: int) -> str:
        lists = [op["state"] for op in self.facts["index"]]
        words = {"done": "The session list was rebuilt.", "undone": "The session list was put back."}
        text = " ".join(words.get(state, f"The session list was not rebuilt ({state}).") for state in lists)
        titles = ", ".join(shown(each["title"] or each["session_id"]) for each in self.facts["relisted"])
        return f"{text} Only missing there: {titles}." if titles else text

    def section(self, session: Facts) -> Section:
        before, after = (
            "–" if session[f"messages_{when}"] is None else f"{session[f'messages_{when}']:,}"
            for when in ("before", "after")
        )
        facts = [("Found", ", ".join(KINDS[name].label for name in session["found"]))]
        left_out = f", {n:,} left out by you" if (n := session["left_out_by_you"]) else ""
        facts.append(("Messages", f"{before} before, {after} after{left_out}"))
        for op in session["operations"]:
            action = _ACTIONS[op["action"]] if op["state"] == "done" else f"{op['action']}: {op['state']}"
            facts.append((self.near(op["file"]), f"{action}. {self.near(op['note'])}" if op["note"] else action))
        state = _state(session)
        return Section(
            **self.common(session),
            state=_STATES[state],
            css=state,
            before=before,
            facts=tuple(pair for pair in facts if pair[1]),
        )

    def checks(self) -> Iterator[Check]:
        for session in self.facts["sessions"]:
            yield from (_check(session["number"], op) for op in session["operations"] if _is_checked(op))
        yield from (_check(None, op) for op in self.facts["index"] if _is_checked(op))


_CSS = {"repairable": "repairable", "review": "unsafe_to_repair", "healthy": "healthy"}
_AT_START = r"(?<![\w/.-])"
"""Where a path begins in a sentence."""


def from_home(text: str, home: str) -> str:
    """A text with its paths as they are seen from the home of a store; also where the text was made to be printed."""
    if home in ("", "/"):
        return text
    return re.sub(rf"{_AT_START}(?:{re.escape(home)}|{re.escape(shown(home))})/", "", text)


def _below_home(text: str) -> str:
    home = shown(Path.home())
    return re.sub(_AT_START + re.escape(home) + r"(?=/|$)", "~", text) if len(home) > 1 else text


def _state(session: Facts) -> str:
    states = {op["state"] for op in session["operations"]}
    return next((state for state in _WORST_FIRST if state in states), "planned")


def _is_checked(op: Facts) -> bool:
    return bool(op["sha256_before"] or op["sha256_after"])


def _check(number: int | None, op: Facts) -> Check:
    sums = (("before", op["sha256_before"] or "–"), ("after", op["sha256_after"] or "–"))
    return Check(number, shown(op["file"]), sums)


def _lanes(picture: Facts | None) -> Iterator[Lane]:
    if picture is None:
        return
    for copy in picture["copies"]:
        label = shown(copy["copy"])
        label = f"{label[:1].upper()}{label[1:]}{', damaged' if copy['damaged'] else ''}"
        count = "–" if copy["messages"] is None else f"{copy['messages']:,}"
        spans = tuple((start, end, kind) for start, end, kind in copy["spans"])
        yield Lane(label, count, Bar(picture["messages"], spans, f"{count} of {picture['messages']:,}"))


def _swatches(legend: Iterable[tuple[str, str]]) -> tuple[tuple[Bar, str], ...]:
    return tuple((Bar(1, ((0, 1, kind),)), words) for kind, words in legend)


def _count(n: int, word: str) -> str:
    return f"{n:,} {plural(n, word)}"
