"""What the backup of a session says of the acts of the user: its own, which it is from before, and earlier ones
(recovery.md, section 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import takewhile

from hermes_rescue.core.merge.evidence import FileState, Witness
from hermes_rescue.core.merge.intent import Reason
from hermes_rescue.core.merge.leftovers import Leftovers
from hermes_rescue.core.merge.stamps import STAMP, is_same


class Backups(Leftovers):
    """A timeline, and what its files from before and after the newest act tell."""

    @cached_property
    def files_since(self) -> Sequence[Witness]:
        """The files from after the newest act."""
        return [w for w in self.after_act if w.marks is not None]

    @cached_property
    def is_wiped(self) -> bool:
        """Whether a whole file lost messages after the newest act, and what it had is not known: its backup, which is
        torn, has the same marks.
        """
        backup = self.known.backup
        is_torn = backup is not None and backup.has_marks and not backup.is_whole
        return is_torn and self.known.state is FileState.WHOLE and backup in self.after_act

    def was_before_more(self, k: int) -> bool:
        """Whether only a run shows a message, and more was said between its end and the newest act: another act may
        have come between them.
        """
        run, act = self.known.run, self.marks.act
        if run is None or run.saved is None or act is None:
            return False
        return act > run.saved + STAMP and not self.holds((w for w in self.before_act if w is not run), k)

    def is_row_of_act(self, k: int) -> bool:
        """Whether a row that looks newer than the file is of what its newest act took back."""
        return self._cut is not None and k > self._cut and self._has_rows_of_act

    @cached_property
    def _has_rows_of_act(self) -> bool:
        """Whether all rows behind what the newest act kept are what it took back, whatever the clock said: the file was
        saved by that act, as the copy shows that it was before it was damaged, nothing was said since, and the rows go
        on right behind. Nobody takes rows away, so what it took back is among them; and they all look newer.
        """
        base, cut, known = self.base, self._cut, self.known
        if cut is None or base is None or known.state is FileState.WHOLE or known.pending is not None:
            return False
        if base.marks != self.marks or not self.marks.is_fresh or not is_same(base.saved, known.saved):
            return False
        behind = range(cut + 1, len(self.entries))
        if not behind or not self.marks.act or any(self.kept[k] or not self.was_saved_after(k) for k in behind):
            return False
        kept, first = self.entries[cut].places, self.entries[cut + 1].places
        is_next = any(name in kept and kept[name] + 1 == first.get(name) for name in known.databases)
        return is_next and all(self.entries[k].versions.keys() <= known.databases for k in behind)

    def was_taken_back_before(self, k: int) -> bool:
        """Whether the marks of the act's own backup say that an act before it took a message back."""
        own = next((w for w in self.before_act if w.marks is not None and w.marks.act is not None), None)
        if own is None or own.marks is None or own.marks.act is None:
            return False
        cut, began = self.last_kept(own.marks.act), self.began[k]
        held = (j for j in range(cut + 1, len(self.entries)) if own.name in self.entries[j].versions)
        was_there = k <= (self._cut or 0) or (began is not None and own.saved is not None and began <= own.saved)
        was_there = was_there or self.is_before(self.rows_of([own]), k)  # whatever the clock said
        return was_there and cut < k < next(held, len(self.entries))

    def backup_is_from_before_any(self) -> bool:
        """Whether the act's own backup says that no act came before this one."""
        own = next((w.marks for w in self.before_act if w.marks is not None and w.is_whole), None)
        return own is not None and own.records_acts and not own.is_marked

    def takes_rows_back(self) -> bool:
        """Whether the server fills a file with its rows after a wipe, as most do: the backup lacks none before it."""
        backup, rows = self.known.backup, self.known.databases
        before = takewhile(lambda e: backup is not None and backup.name not in e.versions, self.entries)
        return all(rows.isdisjoint(e.versions) for e in before)

    def base_lacks(self, k: int) -> bool:
        """Whether the base is a whole file that has what comes after a message, and not that."""
        base, after = self.base, range(k + 1, len(self.kept))
        return base is not None and base.marks is not None and any(self.holds([base], j) for j in after)

    @cached_property
    def hides_act(self) -> bool:
        """Whether a compress by hand moved the boundary of an act on to a time that no message has: the file that was
        compressed ended with its last message, and what came after that had been taken back.
        """
        marks, act = self.marks, self.marks.act
        if not marks.by_hand or marks.shrink_generation is None or not act:  # 0.0 is no time of a compress
            return False
        return not any(self.has_stamp(k, act) for k in range(len(self.entries)))

    def was_gone_by_compress(self, k: int) -> bool:
        """Whether a message is of a whole turn that the file, known as it was compressed, had no more at its end."""
        prompt, end = self.prompt_of(k), self._compressed_end
        return prompt is not None and end is not None and prompt > end

    @cached_property
    def _compressed_end(self) -> int | None:
        """The position of the last message of the file as it was compressed, if that is known and hides an act. A file
        that has none of before was emptied since: nobody compresses nothing.
        """
        if not self.hides_act or self.base is None or self.base.marks is None:
            return None
        act = self.marks.act or 0.0
        return max(
            (k for k, is_kept in enumerate(self.kept) if is_kept and (self.began[k] or 0.0) <= act), default=None
        )

    def emptied_since_clear(self) -> dict[int, Reason]:
        """What is known of a cleared session that was emptied once more after a turn, where no file tells by whom: the
        newest run shows what came after the clear, for a turn did. Nothing of any other session.
        """
        if not self.known.was_emptied_after_turn or self.base is not None:
            return {}
        if any(w.marks is not None for w in self.before_act):
            return {}
        first = self.run_begins if self.run_ends is not None else 0
        return {k: Reason.CLEARED if k < first else Reason.UNDECIDED for k in range(len(self.entries))}
