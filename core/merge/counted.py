"""What the number of messages that a file was saved with settles of what an act took back (recovery.md, section 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hermes_rescue.core.hermes.copies import LIVE
from hermes_rescue.core.merge.backups import Backups
from hermes_rescue.core.merge.evidence import FileState, Verdict, Witness
from hermes_rescue.core.merge.intent import Reason
from hermes_rescue.core.merge.listed_length import ListedLength
from hermes_rescue.core.merge.stamps import WHOLE, is_after


class Counted(Backups, ListedLength):
    """A timeline, and what its count says of the newest act."""

    def without_leftovers(self, reasons: dict[int, Reason], count: int) -> Verdict:
        """The transcript of the newest run, if it has as many messages as the head of the file gives, or the session
        list, which can be late.
        """
        held = [k for k in self.held(reasons) if self.kept[k]]
        is_late = not self.known.is_of_head and self.is_late_count(held)
        if len(held) <= count or self.marks.act is None or is_late:
            return Verdict(reasons)
        orphans = [k for k in held if self.is_leftover(k)]
        if len(held) - len(orphans) == count:
            return Verdict(reasons | dict.fromkeys(orphans, Reason.UNDONE))
        return Verdict(reasons, self.miscounted(len(held)))

    def lacks_act(self, reasons: Mapping[int, Reason]) -> bool:
        """Whether the head of a torn file counts fewer than its backup makes of it, or the session list knows that it
        was saved empty, or as it is where that act cut once more: another act can have come between them that kept as
        many as the one before it.
        """
        known, base = self.known, self.base
        if known.count is None or base is None or base is not known.backup or self.marks.act is None:
            return False
        held = self.held(reasons)
        is_listed = known.state is FileState.TORN and (known.is_listed_empty or self._counts_cut_again(base, held))
        return (known.is_of_head or is_listed) and len(held) > known.count

    def _counts_cut_again(self, base: Witness, held: Sequence[int]) -> bool:
        """Whether the list counts of these messages what stands up to the boundary and what was said after the base,
        which went on after its act; the file is torn before what tells one act there from another.
        """
        older, cut = base.marks, self._cut
        if older is None or cut is None or self.marks.knows_generations:
            return False
        has_gone_on = older.knows_generations and not older.is_fresh
        return has_gone_on and sum(k <= cut or not self.kept[k] for k in held) == self.known.count

    def settled_by_count(self, reasons: dict[int, Reason], cut: int) -> dict[int, Reason]:
        """These reasons, settled as far as they can be: an act takes back one turn at least, the newest prompt came
        after it, and of the others as many of the newest belong as there were messages, whole turns.
        """
        settled = {k: reason for k, reason in reasons.items() if not reason.is_question or self._is_read_past(k)}
        asked = [k for k in reasons if k not in settled]
        after_cut = [k for k in asked if k > cut]
        if after_cut and after_cut[0] == cut + 1 and self.marks.act:
            prompts = self.prompts_in(after_cut)
            first_turn = after_cut[: after_cut.index(prompts[1])] if len(prompts) > 1 else after_cut
            later = prompts[self.marks.is_fresh :]  # what it took back can be gone, or be marked so in the database
            newest = next((k for k in later if self._is_newest_prompt(k)), None)
            if newest != first_turn[0] and not self.hides_act:  # a compress takes nothing back
                settled |= dict.fromkeys(first_turn, Reason.UNDONE)
            after_cut = [k for k in after_cut if k not in settled and (newest is None or k < newest)]
            if not after_cut and len(asked) == len(settled.keys() & set(asked)) + sum(
                newest is not None and k >= newest for k in asked
            ):
                return settled
        count = self.known.count
        if not asked or count is None or self.is_empty_before_run():
            return reasons
        want = count - (len(self.entries) - len(settled) - len(after_cut))
        at, last = len(after_cut) - want, self.known.last
        if want and last is not None and any(is_after(self.began[k], last + WHOLE) for k in after_cut):
            return reasons  # the session list ends before them
        if 0 <= want <= len(after_cut) and (at == len(after_cut) or self.entries[after_cut[at]].merged.role == "user"):
            return settled | dict.fromkeys(after_cut[:at], Reason.UNDONE)
        return reasons

    def _is_read_past(self, k: int) -> bool:
        """Whether a message stands before one that can be read of a torn file, and was not in it."""
        is_torn = self.known.state is FileState.TORN and self.known.is_of_head
        return is_torn and any(LIVE in e.versions for e in self.entries[k:])

    def _is_newest_prompt(self, k: int) -> bool:
        """Whether a prompt is the newest one that the file was saved with: its watermark is its time, or the session
        list ends with its turn.
        """
        later = next((t for t in self.began[k + 1 :] if t is not None and t != self.began[k]), None)
        time, mark, last = self.times[k], self.marks.watermark, self.known.last
        if time is None:
            return False
        if last is not None and time <= last and (later is None or later > last) and last != self.known.saved:
            return True  # of an empty file it is the date of the save
        return mark is not None and abs(time - mark) < 1.0 and (later is None or later > mark)

    def is_empty_before_run(self) -> bool:
        """Whether a run ended later than the file, and the session list with it, was saved empty, or the clock was set
        back before it; and shows nothing of what the act's own backup has: it can have begun anew after it.
        """
        run, marked = self.known.run, self.known.marked
        if not self.known.was_seen_empty or self.known.is_untitled or run is None:
            return False
        files = [w for w in self.before_act if w is not run]
        held = [k for k in range(len(self.entries)) if self.holds([run], k)]
        if any(self.holds(files, k) for k in held):
            return False
        is_later = is_after(run.saved, marked or 0.0) and not self.was_taken_back(held, marked or 0.0)
        return is_later or self.known.is_set_back
