"""What the database has besides, and the file says in another form (formats.md, "A healthy file need not be tidy")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import takewhile
from math import floor

from hermes_rescue.core.hermes.message import Message, MessageIdentity
from hermes_rescue.core.merge.evidence import FileState
from hermes_rescue.core.merge.stamps import is_same
from hermes_rescue.core.merge.timeline import Timeline
from hermes_rescue.core.merge.turns import Turn, turns

_STOPPED = "Task cancelled"


class Contained(Timeline):
    """A timeline, and what its rows repeat of the messages that stay."""

    def is_contained(self, k: int, kept: Sequence[int]) -> bool:
        """A row whose text the file has already: the server itself drops, merges and moves what is said twice."""
        e = self.entries[k]
        if not e.versions.keys() <= self.known.databases:
            return False
        if self._is_cut_short(k) or self._is_joined(e.merged):
            return True
        is_older = self.known.state is not FileState.WHOLE  # what stays is that of torn copies, or of older ones
        if is_older and k > kept[-1] and not self._is_of_then(k, kept):
            return False  # of what was said since the tear the file had a message of its own
        if self._is_awaited(k):
            return False
        is_short = (e.merged.calls or e.merged.answers) and not e.merged.is_distinctive
        if is_short and (e.merged.answers or repr(e.merged.part("tool_calls")) not in self._calls):
            return False  # some providers count ids from 0 in every turn
        has_row_of_its_own = self._texts.get(e.merged.folded_identity)
        if has_row_of_its_own is None or (k <= kept[0] and has_row_of_its_own):
            return False
        if e.merged.role == "user" and k + 1 < len(self.entries):  # a prompt goes with an answer that is new
            return all(m.folded_identity in self._in_files for m in self._answers(k))
        return True

    def _is_awaited(self, k: int) -> bool:
        """Whether a message is the result of a call that stays, and that nothing else answers in its turn."""
        answers = self.entries[k].merged.answers
        prompt = self.prompt_of(k) if answers else None
        if prompt is None:
            return False
        turn = takewhile(lambda j: self.entries[j].merged.role != "user", range(prompt + 1, len(self.kept)))
        kept = [self.entries[j].merged for j in turn if self.kept[j]]
        return any(answers in m.calls for m in kept) and all(m.answers != answers for m in kept)

    def _answers(self, prompt: int) -> Iterator[Message]:
        """What follows a prompt until the next one."""
        rest = (e.merged for e in self.entries[prompt + 1 :])
        return takewhile(lambda m: m.role != "user", rest)

    def _is_of_then(self, k: int, kept: Sequence[int]) -> bool:
        """Whether a message is of a turn that does not stay, and one that stays has the time of its prompt."""
        prompt, began = self.prompt_of(k), self.began[k]
        if prompt is None or self.kept[prompt] or began is None:
            return False
        times = (version.time for j in kept for version in self.entries[j].versions.values())
        return any(is_same(time, began) or (time is not None and time == floor(began)) for time in times)

    def _is_cut_short(self, k: int) -> bool:
        """A step of an answer that the user cancelled, of which the file has only that it was called; or what the agent
        says at the end of such a turn, or after it, as it may go on for a while.
        """
        m, named = self.entries[k].merged, self._cut_short[k]
        if self._is_stopped[k] and m.role != "user":
            return True
        if m.role == "assistant" and not m.calls:
            return bool(named)
        return ({*m.calls} or {m.answers}) <= named

    @cached_property
    def _turns(self) -> Sequence[Turn]:
        return turns([e.merged for e in self.entries])

    @cached_property
    def _cut_short(self) -> Sequence[frozenset[str]]:
        """For each message the calls that a message of its turn which stays names as those of a cancelled answer."""
        found: list[frozenset[str]] = []
        for turn in self._turns:
            listed = (self.entries[k].merged.partial_calls for k in range(turn.start, turn.end) if self.kept[k])
            cards = [card for cards in listed if isinstance(cards, list) for card in cards if isinstance(card, dict)]
            named = frozenset(tid for card in cards if isinstance(tid := card.get("tid"), str) and tid)
            steps = (v.calls for e in self.entries[turn.start : turn.end] for v in e.versions.values())
            named = named.union(*(calls for calls in steps if not named.isdisjoint(calls)))  # some never began
            found += [named] * (turn.end - turn.start)
        return found

    @cached_property
    def _is_stopped(self) -> Sequence[bool]:
        """For each message whether one of its turn which stays says that the user cancelled it."""
        found: list[bool] = []
        for turn in self._turns:
            of_turn = range(turn.start, turn.end)
            found += [any(self.kept[k] and is_stop(self.entries[k].merged) for k in of_turn)] * len(of_turn)
        return found

    def _is_joined(self, m: Message) -> bool:
        """A row with nothing but several answers that stay, one after another: some compactions write them so."""
        if m.role != "assistant" or m.calls or not m.is_distinctive:
            return False
        rest, parts = m.text, 0
        for e, is_kept in zip(self.entries, self.kept, strict=True):
            text = e.merged.text if is_kept and e.merged.role == "assistant" else ""
            if text and rest.startswith(text):
                rest, parts = rest[len(text) :].lstrip(), parts + 1
        return not rest and parts > 1

    @cached_property
    def _in_files(self) -> frozenset[MessageIdentity]:
        """What the messages say that another copy than the rows has."""
        return frozenset(
            e.merged.folded_identity for e in self.entries if not e.versions.keys() <= self.known.databases
        )

    @cached_property
    def _calls(self) -> frozenset[str]:
        """The calls that stay, with all that they say."""
        kept = (e.merged.part("tool_calls") for e, is_kept in zip(self.entries, self.kept, strict=True) if is_kept)
        return frozenset(map(repr, filter(None, kept)))

    @cached_property
    def _texts(self) -> Mapping[MessageIdentity, bool]:
        """What the messages that stay say, and whether all that say it have a row of their own."""
        found: dict[MessageIdentity, bool] = {}
        for e, is_kept in zip(self.entries, self.kept, strict=True):
            if is_kept:
                key = e.merged.folded_identity
                found[key] = found.get(key, True) and not self.known.databases.isdisjoint(e.versions)
        return found


def is_stop(m: Message) -> bool:
    """Whether a message is the server's notice that a user cancelled an answer."""
    return m.role == "assistant" and m.text.lstrip("*").startswith(_STOPPED) and m.value.get("_error") is True
