"""What each copy has of a session: which messages, at which places, in which rows, and with which stamps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from hermes_rescue.core.merge.evidence import Evidence, Witness, Witnesses
from hermes_rescue.core.merge.stamps import earliest, is_same
from hermes_rescue.core.merge.transcript import Entry


class Seen:
    """A merged transcript and what is known beside it. ``times``: when each message was said, as the earliest stamp
    has it, and the newest prompt when it was sent, as the agent can have written it much later; ``began``: when its
    turn began (seconds, None where nobody says).
    """

    def __init__(self, entries: Sequence[Entry], evidence: Evidence) -> None:
        self.entries = entries
        self.known = evidence
        self.marks = evidence.marks
        self.times = [earliest(v.time for v in e.versions.values()) for e in entries]
        if evidence.sent is not None and (newest := self._newest_prompt_of_rows(evidence.sent)) is not None:
            self.times[newest] = evidence.sent
        self.began = list(self._turn_times())

    def _newest_prompt_of_rows(self, sent: float) -> int | None:
        """The position of the newest prompt, which was ``sent`` then, where only rows have it."""
        for k in range(len(self.entries) - 1, -1, -1):
            time = self.times[k]
            is_prompt = self.entries[k].merged.role == "user" and time is not None and time >= sent
            if is_prompt and self.says(k, self.known.sent_prompt):
                return k if self.entries[k].versions.keys() <= self.known.databases else None
        return None

    def _turn_times(self) -> Iterator[float | None]:
        """When the turn of each message began: the agent stamps its answer at any time until the turn ends."""
        prompts: dict[str, float | None] = {}
        for e, time in zip(self.entries, self.times, strict=True):
            if e.merged.role == "user":
                prompts |= dict.fromkeys(e.versions, time)
            yield next((prompts[name] for name in e.versions if name in prompts), time)

    def says(self, k: int, prompt: str) -> bool:
        """Whether a message says a prompt (folded): a program can have added something to one of them."""
        text = self.entries[k].merged.folded_text
        return text.startswith(prompt) or prompt.startswith(text)

    def is_before(self, rows: Mapping[str, int], k: int) -> bool:
        """Whether one of these rows stands after a message."""
        places = self.entries[k].places
        return any(places.get(name, end) < end for name, end in rows.items())

    def prompt_of(self, k: int) -> int | None:
        """The position of the prompt of a turn that a message is in."""
        return next((j for j in range(k, -1, -1) if self.entries[j].merged.role == "user"), None)

    def prompts_in(self, positions: Iterable[int]) -> list[int]:
        """Those of the positions at which a prompt is."""
        return [k for k in positions if self.entries[k].merged.role == "user"]

    def holds(self, witnesses: Iterable[Witness], k: int) -> bool:
        """Whether one of these copies has a message."""
        names = witnesses.names if isinstance(witnesses, Witnesses) else {w.name for w in witnesses}
        return not self.entries[k].versions.keys().isdisjoint(names)

    def rows_of(self, witnesses: Sequence[Witness]) -> dict[str, int]:
        """Of each database the place of the last row that one of these copies has."""
        names = {w.name for w in witnesses}
        return self.last_rows(e for e in self.entries if not names.isdisjoint(e.versions))

    def last_rows(self, held: Iterable[Entry]) -> dict[str, int]:
        """Of each database the place of the last row that is one of these messages."""
        entries, found = tuple(held), dict[str, int]()
        for name in self.known.databases:
            places = [e.places[name] for e in entries if name in e.versions]
            if places:
                found[name] = max(places)
        return found

    def rows_by(self, time: float) -> Mapping[str, int]:
        """Of each database the place of the last row of a turn that had begun by then: what stands before it was there
        by then, whatever a clock said that was set back since.
        """
        by_then = (e for e, began in zip(self.entries, self.began, strict=True) if began and began <= time)
        return self.last_rows(by_then)

    def has_one_stamp(self, one: str, other: str, k: int) -> bool:
        """Whether two copies have a message to the stamp."""
        versions = self.entries[k].versions
        return one in versions and other in versions and is_same(versions[one].time, versions[other].time)

    def is_twin(self, k: int, j: int) -> bool:
        """Whether two places are those of one prompt: two files have it to the stamp, and other answers between."""
        one, other = self.entries[k], self.entries[j]
        if one.merged.role != "user" or one.merged.folded_identity != other.merged.folded_identity:
            return False
        files = one.versions.keys() - other.versions.keys() - self.known.databases
        return any(self.has_stamp(j, one.versions[name].time) for name in files)

    def has_stamp(self, k: int, time: float | None) -> bool:
        """Whether a file has a message with exactly this stamp (rows are stamped earlier)."""
        versions = self.entries[k].versions.items()
        return any(is_same(v.time, time) for name, v in versions if name not in self.known.databases)
