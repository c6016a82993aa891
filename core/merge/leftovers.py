"""Answers that a run shows once more after a retry or an edit took them back (formats.md, "Marks of intent")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from itertools import pairwise, takewhile

from hermes_rescue.core.hermes.message import MessageIdentity
from hermes_rescue.core.merge.evidence import FileState
from hermes_rescue.core.merge.intent import TAKEN_BACK, Reason
from hermes_rescue.core.merge.stamps import STAMP, is_same
from hermes_rescue.core.merge.timeline import Timeline


class Leftovers(Timeline):
    """A timeline, and which of its answers are such ones."""

    def shown_once_more(self) -> Iterator[int]:
        """Those that the newest run shows right before its own prompt: the file has none of them until another turn is
        said. Of a file that was saved after it there is nothing to say.
        """
        run = self.known.run
        if run is None or (self.base is not run and not self._is_later(run.saved)):
            return
        prompts = (k for k, e in enumerate(self.entries) if run.name in e.versions and e.merged.role == "user")
        for k in range(max(prompts, default=0) - 1, -1, -1):
            if run.name not in self.entries[k].versions:
                continue
            if not self.is_leftover(k):
                return
            yield k

    def replaced(self) -> Iterator[int]:
        """Those before the same prompt was sent once more, to have another: it stands twice in one copy, with one stamp
        (formats.md, "Marks of intent"). What that copy has between the two is steps of theirs that stayed.
        """
        prompts = self.prompts_in(range(len(self.entries)))
        for first, again in pairwise(prompts):
            names = {name for name in self.entries[first].versions if self._is_twice(name, first, again)}
            if names:
                between = range(first + 1, again)
                yield from (k for k in between if not self.kept[k] and names.isdisjoint(self.entries[k].versions))

    def _is_twice(self, name: str, first: int, again: int) -> bool:
        """Whether a copy has one prompt at two places, to the stamp."""
        one, other = (self.entries[k].versions.get(name) for k in (first, again))
        if one is None or other is None or name in self.known.databases:
            return False
        return is_same(one.time, other.time) and one.folded_identity == other.folded_identity

    def twins(self) -> Iterator[int]:
        """Prompts that are missing at one place and stay at another, each with what of its answer does: the server
        moves whole turns.
        """
        missing = {k: self._stamps(k) for k in self.missing() if self.entries[k].merged.role == "user"}
        stamps = set[float]().union(*missing.values())
        kept: dict[float, list[int]] = {}
        for j, is_kept in enumerate(self.kept) if stamps else ():
            for stamp in self._stamps(j) & stamps if is_kept else ():
                kept.setdefault(stamp, []).append(j)
        for k, own in missing.items():
            others = (j for stamp in own for j in kept.get(stamp, ()))
            if (twin := next((j for j in others if self.is_twin(k, j)), None)) is not None:
                yield k
                yield from takewhile(partial(self._stays, twin - k), range(k + 1, len(self.kept)))

    def _stays(self, further: int, k: int) -> bool:
        """Whether a message of an answer is missing, and stays to the stamp so many places further."""
        j = k + further
        if self.kept[k] or not 0 <= j < len(self.kept) or not self.kept[j] or self.entries[k].merged.role == "user":
            return False
        says_the_same = self.entries[k].merged.folded_identity == self.entries[j].merged.folded_identity
        return says_the_same and not self._stamps(k).isdisjoint(self._stamps(j))

    def _stamps(self, k: int) -> set[float]:
        """The times that files have of a message."""
        versions = self.entries[k].versions.items()
        return {v.time for name, v in versions if name not in self.known.databases and v.time is not None}

    def rows_apart(self, reasons: Mapping[int, Reason]) -> dict[int, Reason]:
        """Rows of answers that were taken back and that only files have elsewhere: the server moved another answer to
        their prompt, so that they are not aligned with it.
        """
        databases = self.known.databases
        taken = {
            self._known_by(k): reason
            for k, reason in reasons.items()
            if reason in TAKEN_BACK and self._is_known(k) and databases.isdisjoint(self.entries[k].versions)
        }
        if not taken:
            return {}
        rows = (k for k in self.missing() if k not in reasons and self.entries[k].versions.keys() <= databases)
        return {k: taken[self._known_by(k)] for k in rows if self._is_known(k) and self._known_by(k) in taken}

    def _is_known(self, k: int) -> bool:
        """Whether a message is an answer that nobody gives twice."""
        return self.entries[k].merged.role != "user" and self.entries[k].merged.is_distinctive

    def _known_by(self, k: int) -> tuple[MessageIdentity, MessageIdentity | None]:
        """What a message says, and its prompt."""
        prompt = self.prompt_of(k)
        asked = self.entries[prompt].merged.folded_identity if prompt is not None else None
        return self.entries[k].merged.folded_identity, asked

    def _is_later(self, run: float | None) -> bool:
        saved = self.known.saved
        return self.known.state is FileState.WHOLE and run is not None and saved is not None and run > saved + STAMP

    def is_leftover(self, k: int) -> bool:
        """An answer that only a finished run still shows, without its prompt (formats.md: after a retry or an edit)."""
        e, run, prompt = self.entries[k], self.known.run, self.lost_prompt(k)
        if run is None or e.merged.role == "user" or prompt is None:
            return False
        asked = self.entries[prompt].versions.keys()
        others = e.versions.keys() - self.known.databases - {w.name for w in self.before_act}
        is_alone = others <= {run.name, *asked} and run.name in e.versions
        return is_alone and (run.name not in asked or self._is_cut_off(prompt, k))

    @cached_property
    def left_calls(self) -> frozenset[int]:
        """The messages of the turns, as they lie in a database, of which calls stay without their prompt: a server
        shows those of a turn that was taken back once more with the next one.
        """
        found: set[int] = set()
        for name in self.known.databases:
            rows = [k for _, k in sorted((e.places[name], k) for k, e in enumerate(self.entries) if name in e.places)]
            begins = [n for n, k in enumerate(rows) if self.entries[k].merged.role == "user"]
            for begin, end in pairwise([*begins, len(rows)]):
                turn = rows[begin:end]
                if not self.kept[turn[0]] and any(self.kept[k] and self.entries[k].merged.calls for k in turn):
                    found.update(turn)
        return frozenset(found)

    def was_replaced(self, k: int) -> bool:
        """Whether a message can be the end of an answer that was given again: a version without generations takes the
        last message of an answer back and sends its prompt once more.
        """
        prompt, after = self.prompt_of(k), k + 1
        if self.marks.knows_generations or prompt is None or prompt == k:
            return False
        if after == len(self.entries) or not self.kept[after]:
            return False
        asked, again = self.entries[prompt].merged, self.entries[after].merged
        return again.role == "user" and again.folded_identity == asked.folded_identity

    def lost_prompt(self, k: int) -> int | None:
        """The prompt of an answer that stays without it, as one that a run showed once more after a retry or an edit;
        None for any other message.
        """
        prompt = self.prompt_of(k)
        is_lost = prompt is not None and prompt != k and (not self.kept[prompt] or self._is_cut_off(prompt, k))
        return prompt if is_lost else None

    def _is_cut_off(self, prompt: int, k: int) -> bool:
        """Whether the newest act cut between a prompt and an answer, which then is that of another prompt: the one that
        it took back, and that no copy has.
        """
        return self._cut is not None and prompt <= self._cut < k

    @cached_property
    def _cut(self) -> int | None:
        """The position of the last message that the newest act kept."""
        return None if self.marks.act is None else self.last_kept(self.marks.act)
