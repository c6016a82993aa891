"""How long a session was when it was last counted: what its row in the session list shows of a file that is lost
(recovery.md, section 4).
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from itertools import pairwise

from hermes_rescue.core.base.words import counted
from hermes_rescue.core.hermes.copies import LIVE
from hermes_rescue.core.merge.contained import is_stop
from hermes_rescue.core.merge.evidence import FileState, Verdict, written_again
from hermes_rescue.core.merge.intent import Reason
from hermes_rescue.core.merge.stamps import STAMP, WHOLE, is_after, is_same
from hermes_rescue.core.merge.timeline import Timeline


class ListedLength(Timeline):
    """A timeline with what the session list counted."""

    def by_list(self, reasons: dict[int, Reason]) -> Verdict:
        """How far a file that is not whole went by its row in the session list: the stamp of its last message is right,
        its count can be older.
        """
        last, count = self.known.last, self.known.count
        held = self.held(reasons)
        is_counted = last is not None or (self.known.state is FileState.TORN and count is not None)
        if not is_counted or not held or self._is_never_shortened(held):
            return Verdict(reasons)
        named = self._named(held)
        cut = self._end_by_list(held, reasons) if named is None else named
        after = [k for k in held if k > cut]
        undecided = {**reasons, **dict.fromkeys(after, Reason.UNDECIDED)}
        prompts = len(self._prompts_of(held))
        if count == len(held) and self.known.prompts not in (None, prompts):
            return Verdict(undecided, self.misasked(prompts))
        if count == len(self.entries) - len(reasons) or (not after and last is not None and self._are_listed(held)):
            return Verdict(reasons)
        if not after:
            is_known = named is not None and self.kept[cut] and not self._is_notice_again(held)
            is_doubtful = count not in (None, len(held)) and not is_known and self._can_be_miscounted(held)
            return Verdict(reasons, self.miscounted(len(held)) if is_doubtful else None)
        if named is not None and self.known.run is not None and count in (None, len(held) - len(after)):
            return Verdict({**reasons, **dict.fromkeys(after, Reason.UNDONE)})
        return Verdict(undecided, self.miscounted(len(held)))

    def _end_by_list(self, held: Sequence[int], reasons: Mapping[int, Reason]) -> int:
        """The last of these by the time that the session list gives for its last message, which no file has."""
        last = self.known.last
        if last is None or is_same(last, self.known.pending) or not self._held_by(reasons, self._counted_at):
            return held[-1]  # it is of the prompt that came after them, or of another clock
        end = last + (last.is_integer() and WHOLE)  # of a cancelled turn: cut to whole seconds
        by_then = self.rows_by(end)  # rows are stamped before the message that they are
        later = (k for k in held if self.entries[k].merged.role == "user" and is_after(self.times[k], end))
        return next((k for k in later if not self.is_before(by_then, k)), held[-1] + 1) - 1

    def _can_be_miscounted(self, held: Sequence[int]) -> bool:
        """Whether the session list can count other messages than these for another reason than that it is late."""
        if self.known.state is FileState.WHOLE:  # an older file, which had at least the newest turn besides
            newest = max((k for k in held if self.entries[k].merged.role == "user"), default=0)
            least = sum(self.kept[k] or k >= newest for k in held)
            return (self.known.count or 0) < least and not self.is_late_count(held)
        if self.known.is_missing or self._is_stopped_elsewhere(held):
            return True
        return any(map(self._can_be_shortened, (held, self._once(held))))

    def _are_listed(self, held: Sequence[int]) -> bool:
        """Whether the session list counts just the prompts of these, and as many messages, or as there were before one
        of the turns that any copy knows: after a restart it keeps that count for a turn.
        """
        everything = range(len(self.entries))
        earlier = (*self._prompts_of(held), *self._prompts_of(everything), len(everything))
        is_counted = self.known.count in (None, len(held), *earlier)
        return is_counted and self.known.prompts == len(self._prompts_of(held))

    def _is_stopped_elsewhere(self, held: Sequence[int]) -> bool:
        """Whether only rows have the newest turn, which no run ended with, and the list counts something else than all
        before it and this turn, or the two or three messages that the server makes of one that a person stopped.
        """
        prompts = self._prompts_of(held)
        if not prompts or self.known.run is None or self.known.count is None:
            return False
        newest = held[prompts[-1] :]
        is_of_rows = all(self.entries[k].versions.keys() <= self.known.databases for k in newest)
        return is_of_rows and self.known.count - prompts[-1] not in (0, 2, 3, len(newest))

    def _is_notice_again(self, held: Sequence[int]) -> bool:
        """Whether the list can count the notice that an answer was stopped without its turn: where this is taken back
        at once, the server gives the notice behind what is left, with the same stamp.
        """
        prompts = self._prompts_of(held)
        return bool(prompts) and self.known.count == prompts[-1] + 1 and is_stop(self.entries[held[-1]].merged)

    def _prompts_of(self, held: Sequence[int]) -> list[int]:
        """Which of these, counted from 0, are prompts."""
        return [n for n, k in enumerate(held) if self.entries[k].merged.role == "user"]

    def _once(self, held: Sequence[int]) -> list[int]:
        """The same without the turns that a flush may have written again."""
        pairs = written_again(self.entries, self.known.databases)
        again = {k for turn, beside in pairs if beside.start < turn.start for k in range(turn.start, turn.end)}
        return [k for k in held if k not in again]

    def _named(self, held: Sequence[int]) -> int | None:
        """The message that the session list ends with, if a file has it. Where files have answers without times, the
        list names their prompt.
        """
        ends = [n for n, k in enumerate(held, 1) if self.has_stamp(k, self.known.last)]
        named = held[(self.known.count if self.known.count in ends else ends[-1]) - 1] if ends else None
        files = (v for e in self.entries for name, v in e.versions.items() if name not in self.known.databases)
        if named is None or self.entries[named].merged.role != "user" or all(v.time is not None for v in files):
            return named
        return next((k for k in held if k > named and self.entries[k].merged.role == "user"), len(self.entries)) - 1

    @property
    def is_older_than_list(self) -> bool:
        """Whether a whole file without a mark of an act is older than its row in the session list: this ends with a
        message from after the file was saved. Or it ends with one that the file lacks, and rows behind those of the
        file are no newer: the clock was set back.
        """
        known, last = self.known, self.known.last
        if known.state is not FileState.WHOLE or self.marks.act is not None or known.saved is None or last is None:
            return False
        if is_same(known.listed, known.saved):
            return False  # it was written when the file was saved
        is_set_back = not self.has_last_of_list and any(
            began is not None and began <= last and not self.kept[k] and not self.is_before(self._base_rows, k)
            for k, began in enumerate(self.began)
        )
        return is_set_back or is_after(last, known.saved)

    def goes_on_by_list(self, reasons: Container[int]) -> bool:
        """Whether a lost file went on after the one that takes its place, since each save writes the session list and
        this one ends otherwise; and whether that is what the clock, which was set back between, makes look older.
        """
        base, known = self.base, self.known
        if known.state is not FileState.LOST or base is None or known.listed is None:
            return False
        is_set_back = is_after(base.saved, known.listed) and not self._is_listed(base)
        return is_set_back and any(k in reasons for k in self.missing() if not self.is_before(self._base_rows, k))

    def is_whole_by_list(self, kept: Sequence[int]) -> bool:
        """Whether the session list knows just these messages."""
        return (
            self.known.count == len(kept) and self.known.last is not None and self.has_stamp(kept[-1], self.known.last)
        )

    def is_end_by_list(self, k: int, kept: Sequence[int]) -> bool:
        """Whether nothing but the database has a message, or the session list ends with the file: a file that was
        put back would be older than the list.
        """
        is_of_rows = self.entries[k].versions.keys() <= self.known.databases
        return is_of_rows or self.is_whole_by_list(kept)

    def is_late_count(self, held: Sequence[int]) -> bool:
        """Whether the session list counts these messages but for the newest turn, whose end it knows: after a restart
        it keeps the count of before for a turn. What a whole backup had lost by then it never counted.
        """
        backup = self.known.backup
        prompts = self._prompts_of(held)
        own = (n for n, k in enumerate(held) if backup and backup.is_whole and self.holds([backup], k))
        newest = prompts[-1] if prompts else 0
        if (self.known.count or 0) not in (newest, newest - next(own, 0)) or self._was_made_shorter(held):
            return False
        if self.known.is_listed_empty:
            return False  # it knows the end of no turn
        last = held[-1]
        return self._named(held) == last or self.entries[last].versions.keys() <= self.known.databases

    def _was_made_shorter(self, held: Sequence[int]) -> bool:
        """Whether these are all that an older file has (the backup, which is from before a save of fewer, or the file
        itself), and something shows that an act took the rest back: the very file was put back since, or its newest
        prompt follows once more, which no run shows beside it, or the backup lacks nothing but the newest turn.
        """
        known, backup = self.known, self.known.backup
        is_alone = backup is None and known.state is FileState.WHOLE
        if not is_alone and (backup is None or not backup.is_whole):
            return False
        older = {k for k, is_kept in enumerate(self.kept) if (is_kept if backup is None else self.holds([backup], k))}
        if not older.issubset(held):
            return False
        if backup is not None and known.state is FileState.WHOLE:
            return is_same(backup.saved, known.saved)
        prompts = self.prompts_in(held)
        own = [k for k in prompts if k in older]
        after = next((k for k in prompts if own and k > own[-1]), None)
        if after is None:
            return False
        if backup is not None and after == prompts[-1] and older.issuperset(k for k in held if k < after):
            return True
        runs = [known.run] if known.run is not None else []
        is_again = self.entries[own[-1]].merged.folded_identity == self.entries[after].merged.folded_identity
        return is_again and not (self.holds(runs, own[-1]) and self.holds(runs, after))

    def is_listed_without(self, k: int, kept: Sequence[int]) -> bool:
        """Whether the session list was written after a file, and after a turn that this lacks, and says that the
        session ended as the file does.
        """
        known, began = self.known, self.began[k]
        if known.state is not FileState.WHOLE or known.saved is None or known.pending is not None:
            return False
        is_later = is_after(known.listed, known.saved)
        return is_later and began is not None and began <= (known.listed or 0.0) and self.is_whole_by_list(kept)

    def gone_by_list(self, reasons: Mapping[int, Reason]) -> list[int]:
        """What was taken back, where the newest run has the last message that the session list knows and shows up to
        there as many as it counts.
        """
        run, last, count = self.known.run, self.known.last, self.known.count
        shown = [k for k in range(len(self.entries)) if run is not None and self.holds([run], k)]
        ends = [k for k in shown if self.has_stamp(k, last)]
        shown = [k for k in shown if ends and k <= ends[-1]]
        return [k for k in self.held(reasons) if k not in shown] if shown and len(shown) == count else []

    def _can_be_shortened(self, held: Sequence[int]) -> bool:
        """Whether an act can have left as many of these as the session list counts: it takes back whole turns, of its
        own backup the last ones; calls of theirs can stay in the file without their prompt.
        """
        count, backup = self.known.count or 0, self.known.backup
        prompts = self._prompts_of(held)
        if self._is_notice_again(held):
            return True
        is_late = self.known.state is FileState.LOST  # by the newest turn, as well as by what an act took back
        if is_late and self.is_late_count(held) and not self._was_saved_between_acts():
            return False  # a head counts what it was saved with
        own = [n for n, k in enumerate(held) if backup and backup.is_whole and self.holds([backup], k)]
        ends = [own[-1] + 1] if own else [*prompts[1:], len(held)] if backup is None or self.known.pending else []
        if backup is not None:  # a torn one does not say where the act cut, and one from after another act not all
            ends += self._said_by(backup.saved or 0.0, held, own)
        is_old = self.known.state is FileState.EMPTY and not self.marks.knows_watermark  # then no act left a mark
        can_end = self.known.pending is not None or self.known.state is FileState.TORN or is_old
        if (backup is None or not backup.is_whole) and self._lacks_turns(held, prompts, can_end=can_end or is_late):
            return True
        left = {end: count - (len(held) - end) for end in ends if end < len(held) or can_end}
        newest = len(held) - prompts[-1] if is_late and prompts else 0
        of_own = {n for n, k in enumerate(own) if k in prompts}  # rows between them can be gone before
        return count == 0 or any(
            (
                0 <= n < end
                and (n in prompts or self._leaves_calls(held, n, end))
                and (n or own or self.known.is_behind_list)
            )
            or not of_own.isdisjoint((n, n + newest))
            for end, n in left.items()
        )

    def _was_saved_between_acts(self) -> bool:
        """Whether the session was shortened before its whole backup was saved, or can have been without a mark: what
        made it the backup, a save of fewer, is an act rather than a loss then.
        """
        backup = self.known.backup
        return backup is not None and backup.is_whole and (self.marks.is_marked or not self.marks.records_acts)

    def _said_by(self, saved: float, held: Sequence[int], own: Sequence[int]) -> list[int]:
        """How many of these can have been said when their backup was saved, which has its ``own``: all that their times
        say, or, behind its own, those up to where the clock was set back, before that save or after it.
        """
        began = [self.began[k] or 0.0 for k in held]
        ends = [n for n, (one, other) in enumerate(pairwise(began), 1) if other < one <= saved]
        ends.append(next((n for n, time in enumerate(began) if time > saved), len(held)))
        return [sum(time <= saved for time in began), *(n for n in ends if not own or n > own[-1])]

    def _lacks_turns(self, held: Sequence[int], prompts: Sequence[int], *, can_end: bool) -> bool:
        """Whether several acts can have taken back the turns of some of these prompts, with the newest only where they
        ``can_end`` so. Not just the first ones: where a session was emptied and went on, the session list counts only
        what was said since.
        """
        lacking, ends = len(held) - (self.known.count or 0), [*prompts[1:], len(held)]
        sums = 1  # the bits of all numbers of messages that some of the turns have together
        for prompt, end in zip(prompts, ends if can_end else ends[:-1], strict=False):
            if not self.kept[held[prompt]]:
                sums |= sums << (end - prompt)
        return (
            lacking > 0
            and bool(sums >> lacking & 1)
            and (lacking not in ends or LIVE in self.entries[held[0]].versions)
        )

    @property
    def kept_nothing(self) -> bool:
        """Whether an act of an old version kept nothing, and no copy from after it is known to be left: each such act
        leaves the same marks, and the session list knows the file empty.
        """
        base = self.base.marks if self.base is not None else None
        if self.marks.act == 0.0 and not self.marks.knows_generations:
            return base is not None and self.known.was_seen_empty
        return self.marks.old_act == 0.0 and (base is None or base.old_act != 0.0)

    def lacks_answers(self, held: Sequence[int]) -> bool:
        """Whether the session can have been counted without answers to a prompt that was sent again: a server that
        knows no generations takes the last message of an answer back to give another one.
        """
        lacking = len(held) - (self.known.count or 0)
        prompts = self._prompts_of(held)
        if self.marks.knows_generations or not 0 < lacking < len(prompts):
            return False
        if self._named(held) == held[-lacking - 1]:
            return False  # it is the end that is not there
        words = [self.entries[held[n]].merged.folded_identity for n in prompts]
        again = sum(m == n and j - i > 1 for (i, m), (j, n) in pairwise(zip(prompts, words, strict=True)))
        return lacking <= again

    def _leaves_calls(self, held: Sequence[int], n: int, end: int) -> bool:
        """Whether as many messages are left of those up to ``end`` as an act leaves that does not cut at the first
        prompt: the calls of what it took back stay, without their prompt.
        """
        calls = [bool(self.entries[k].merged.calls) for k in held[:end]]
        prompts = (p for p, k in enumerate(held[:end]) if p and self.entries[k].merged.role == "user")
        return self.known.backup is not None and any(p + sum(calls[p:]) == n for p in prompts)

    def held(self, reasons: Mapping[int, Reason]) -> list[int]:
        """What stays of the messages that were there when the session was last counted, as those of its backup were,
        whatever the clock said; all of them where the clock was set back before that, and its time says nothing, or
        where some were counted and none is that old: the clock of the rows is another one.
        """
        return self._held_by(reasons, self._counted_at) or (self._held_by(reasons, None) if self.known.count else [])

    @property
    def _counted_at(self) -> float | None:
        """When the session was last counted; None where the clock was set back before that."""
        return None if self.known.is_listed_first else self.known.listed or self.known.saved

    def _held_by(self, reasons: Mapping[int, Reason], saved: float | None) -> list[int]:
        pending, backup = self.known.pending, self.known.backup
        waits_from = 0 if pending is None else self.pending_turn
        by_then = self.rows_by(saved or 0.0)
        return [
            k
            for k, began in enumerate(self.began)
            if k not in reasons
            if saved is None
            or began is None
            or began <= saved
            or self.is_before(by_then, k)
            or self.kept[k]
            or (backup is not None and backup.name in self.entries[k].versions)
            or k < waits_from
            if pending is None or began is None or began < pending - STAMP or k < waits_from
        ]

    def _is_never_shortened(self, held: Sequence[int]) -> bool:
        """Whether a copy from the last save, which has the newest message, shows that there never was an act; that the
        list counts less is then no more than late.
        """
        marked, saved = self.known.marked, self.known.saved
        is_recorded = self.marks.records_acts and not self.marks.is_marked and self.kept[-1]
        is_from_then = is_recorded and marked is not None and is_same(marked, saved)
        return is_from_then and (self.known.state is not FileState.LOST or self.is_late_count(held))

    def misasked(self, held: int) -> str:
        """The doubt where the list counts other prompts than those that are held."""
        return (
            f"The session list counts {counted(self.known.prompts or 0, 'prompt')}, the copies that are left hold "
            f"{held}: you took some back, or they are lost."
        )

    def miscounted(self, held: int) -> str:
        """The doubt where as many messages are held as nothing counts."""
        return (
            f"The session had {counted(self.known.count or 0, 'message')} when it was last counted, "
            f"the copies that are left hold {held}: you took messages back, or the count is out of date."
        )
