"""What was seen when, of one session (recovery.md, section 4): which copies are from before the newest act and which
from after it, and which of them has the transcript as it was last saved.

Each copy is a witness of the transcript as it stood when that copy was saved. Places prove more than times: a clock
that was set back makes a save look older than what is in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import compress
from operator import not_

from hermes_rescue.core.hermes.copies import LIVE
from hermes_rescue.core.merge.evidence import Evidence, FileState, Witness, Witnesses
from hermes_rescue.core.merge.intent import Marks
from hermes_rescue.core.merge.seen import Seen
from hermes_rescue.core.merge.stamps import STAMP, WHOLE, is_after, is_same
from hermes_rescue.core.merge.transcript import Entry


class Timeline(Seen):
    """A merged transcript, and what each witness saw of it.

    ``base`` is the copy that holds the transcript as it was last saved, as far as one does; what it holds stays, what
    was said after it was saved comes after it, and only what was there before and is missing in it is in question.
    ``kept`` says of each message whether it stays for that; ``before_act`` and ``after_act`` are the other copies.
    """

    def __init__(self, entries: Sequence[Entry], evidence: Evidence) -> None:
        super().__init__(entries, evidence)
        self.kept = [evidence.state is FileState.WHOLE and LIVE in e.versions for e in entries]
        files = [w for w in (*evidence.others, evidence.backup) if w is not None]
        is_before = [self._is_before_act(w) for w in files]
        self.before_act = Witnesses(compress(files, is_before))
        self.after_act = Witnesses(compress(files, map(not_, is_before)))
        run = evidence.run
        if run is not None and self._is_after_act(run):
            self.after_act = Witnesses((*self.after_act, run))
        elif run is not None:
            self.before_act = Witnesses((*self.before_act, run))
        self.base = self._base()
        self.kept = [self._is_kept(e) for e in entries]
        self._base_rows = self.last_rows(e for e, is_kept in zip(entries, self.kept, strict=True) if is_kept)
        self._run_rows = self.rows_of([run] if run is not None else [])

    def _is_before_act(self, file: Witness) -> bool:
        if file.has_marks and not self._is_torn_in_marks(file):
            return file.marks is not None and (
                self.marks.supersede(file.marks) or self._was_cut_since(file, file.marks)
            )
        return self.marks.act is not None and not is_same(file.saved, self.known.marked)

    def _is_torn_in_marks(self, file: Witness) -> bool:
        """Whether the same act is all that is left of the marks of a torn file, without what tells it from another."""
        found = file.marks
        if found is None or file.is_whole or found.knows_generations or not self.marks.knows_generations:
            return False
        return found.act == self.marks.act

    def _was_cut_since(self, file: Witness, older: Marks) -> bool:
        """Whether an act came after an older file that no generation tells of, because the version has none or the file
        is torn before it. It cut elsewhere; or it cut where the one before it had cut, when turns had been saved since
        in the older file, which moved its watermark on, and this one has the last message that was kept (to the stamp,
        which a file that was filled from the rows has not) or, torn, as many as were. Where none was kept, it begins
        with the prompt of the older one: a retry.
        """
        mine, marked = self.marks, self.known.marked
        is_later = file.saved is None or marked is None or file.saved > marked
        if mine.act is None or (is_later and file is not self.known.backup):  # which is older, whatever the clock said
            return False
        is_torn_there = self.known.state is FileState.TORN and not mine.knows_generations and older.knows_generations
        if mine.act != older.act:
            return is_torn_there
        if not is_torn_there and (mine.generations != older.generations or mine.shrink_generation is not None):
            return False
        if mine.act == 0.0:
            first, again = (
                next((e for e in self.entries if not names.isdisjoint(e.versions)), None)
                for names in (frozenset((file.name,)), self.names_of_file)
            )
            is_retry = (
                first is not None and again is not None and first.merged.folded_identity == again.merged.folded_identity
            )
            return is_retry and first is not again and not mine.knows_generations
        return not older.is_fresh and (self._has_last_before_act or self._counts_what_was_kept_of(file))

    def _counts_what_was_kept_of(self, file: Witness) -> bool:
        """Whether a torn file had as many messages as another one has up to the newest act."""
        times = [e.versions[file.name].time for e in self.entries if file.name in e.versions]
        kept = sum(time is not None and not is_after(time, self.marks.act or 0.0) for time in times)
        return self.known.state is FileState.TORN and self.known.count == kept

    @cached_property
    def _has_last_before_act(self) -> bool:
        """Whether the file has a message with the stamp of the last one that the newest act kept; of a torn one so has
        the run that shows as many as it had.
        """
        names = self.names_of_file
        return any(is_same(v.time, self.marks.act) for e in self.entries for n, v in e.versions.items() if n in names)

    @cached_property
    def names_of_file(self) -> frozenset[str]:
        """The copies that have what the file has: itself; of a torn one also the run that shows as many as it had, or
        at whose end it was saved, where nothing counts them.
        """
        known = self.known
        if known.run is None or known.state is not FileState.TORN:
            return frozenset((LIVE,))
        shown = sum(known.run.name in e.versions for e in self.entries)
        is_file = known.count == shown or (known.count is None and is_same(known.run.saved, known.saved))
        return frozenset((LIVE, known.run.name) if is_file else (LIVE,))

    def _is_after_act(self, run: Witness) -> bool:
        """Whether a run ended after the newest act, whose marks it has not: what it holds proves it before its time, or
        that it goes further than a file from after that act.
        """
        held = [k for k in range(len(self.entries)) if self.holds([run], k)]
        if self.marks.act is None:
            return not self._was_undone_since(held)
        return any(map(self._is_overtaken, self.after_act)) or self._is_after_mark(run, held, self.marks.act)

    def _is_after_mark(self, run: Witness, held: Sequence[int], act: float) -> bool:
        """The same of a run with these messages and an act that left a mark."""
        marked, mark = self.known.marked, self.marks.watermark
        is_lost = self.known.state is FileState.LOST
        is_unsaid = self.known.is_untitled and not is_lost and not self.known.is_behind_list
        if act == 0.0 and is_unsaid and not any(self.kept[k] for k in held):
            return False  # no run has come to an end since the file was cleared
        if act == 0.0 and self.known.was_seen_empty:
            return False
        is_torn = self.known.state is FileState.TORN
        if act == 0.0 and is_torn and any(self.has_one_stamp(LIVE, run.name, k) for k in held):
            return True  # what is left of the file was said after it was cleared
        if mark != act and any(self.entries[k].merged.role == "user" and self.has_stamp(k, mark) for k in held):
            return True
        is_of_turn = mark != act and self.known.state is FileState.WHOLE
        if is_of_turn and self.goes_further(run, Witness(LIVE, self.known.saved)):
            return True  # it ended after a turn that the file has from after the act
        last = self.last_kept(act)
        others = [k for k in range(last + 1, len(self.entries)) if self._is_witnessed(k)]
        has_kept = last < 0 or self.holds([run], last)
        is_compressed = self.marks.by_hand and self._goes_on_after_compress(run)
        if others and has_kept and not is_compressed and all(self.holds([run], k) for k in others):
            return False  # nothing was taken back yet
        own = next((w for w in self.before_act if w.saved is not None), None)
        if own is not None and own.marks is not None and self._ends_at(held, own.marks):
            return False  # its last turn is the one that the act's own backup was saved with
        if own is not None and own.is_whole and (is_later := self.goes_further(run, own)) is not None:
            # the act's own backup is the file as it was saved last before it; a torn one ends anywhere, and one that an
            # earlier act made shorter can end before a run that this act took back
            is_shorter = is_later and own.marks is not None and own.marks.is_fresh
            if not is_shorter:
                return is_later
        if run.saved is None:
            return False
        if is_same(run.saved, marked):
            return True  # the file was saved at its end
        if marked is not None and run.saved > marked + STAMP:
            return not self.was_taken_back(held, marked)
        if own is not None and own.saved is not None:
            return run.saved > own.saved + STAMP
        if act == 0.0:
            return bool(held) and held[0] > 0
        return mark is not None and act < mark <= run.saved + STAMP

    def _was_undone_since(self, held: Sequence[int]) -> bool:
        """Whether an undo of a version that left no boundary is newer than a run (that holds these messages), whatever
        the clock said: the run goes on behind the watermark, and so does every row, while a file with that mark is
        whole. A new turn would have taken the mark away.
        """
        mark, state = self.marks.old_act, self.known.state
        if state is FileState.WHOLE or not any(w.is_whole and w.marks == self.marks for w in self.after_act):
            return False
        cut = max((k for k in range(len(self.entries)) if self.has_stamp(k, mark)), default=None)
        if cut is None or self.entries[cut].merged.role == "user":
            return False
        rows = [k for k in range(cut + 1, len(self.entries)) if self._is_witnessed(k)]
        return bool(rows) and {cut, *rows}.issubset(held)

    def _goes_on_after_compress(self, run: Witness) -> bool:
        """Whether the session went on after the file was compressed by hand: so the session list says; where there is
        none, so does a run that ended later, if the boundary is that of the compress and not of a message.
        """
        if self.known.last is not None:
            return self._list_goes_on
        is_own = not any(self.has_stamp(k, self.marks.act) for k in range(len(self.entries)))
        return is_own and is_after(run.saved, self.known.marked or 0.0)

    @property
    def _list_goes_on(self) -> bool:
        """Whether the session list ends with a message from after the file was saved, and not with one that it has."""
        return is_after(self.known.last, self.known.saved or 0.0) and not self.has_last_of_list

    @cached_property
    def has_last_of_list(self) -> bool:
        """Whether the file has the message that the session list ends with."""
        mine = (e.versions[LIVE].time for e in self.entries if LIVE in e.versions)
        return any(is_same(time, self.known.last) for time in mine)

    def _ends_at(self, held: Sequence[int], older: Marks) -> bool:
        """Whether the newest prompt among these messages is the one to which the watermark of an older file moved."""
        prompt = next((k for k in reversed(held) if self.entries[k].merged.role == "user"), None)
        return prompt is not None and not older.is_fresh and self.has_stamp(prompt, older.watermark)

    def was_taken_back(self, held: Sequence[int], marked: float) -> bool:
        """Whether the act that saved the marks took back the last turn of a run (that holds these messages), though the
        clock says that it ended later: it had begun by then, and nobody takes anything back while a run goes on; or no
        turn was saved between, and the file waits for a later prompt, or lacked the turn before it was emptied, as a
        copy or the session list shows.
        """
        act, state = self.marks.act, self.known.state
        is_unsaid = self.marks.is_fresh and (bool(act) or self.known.was_seen_empty)
        prompt = next((k for k in reversed(held) if self.entries[k].merged.role == "user"), None)
        if act is None or not is_unsaid or state is FileState.LOST or prompt is None:
            return False
        if self.kept[prompt] or not self.last_kept(act) < prompt < self.pending_turn:
            return False
        is_known = any(w.is_whole and w.marks == self.marks for w in self.after_act) or self._is_listed_with_act(act)
        if self.known.pending is not None or (state is not FileState.WHOLE and is_known):
            return True
        began = self.times[prompt]
        return state is not FileState.TORN and began is not None and began <= marked

    def _is_listed_with_act(self, act: float) -> bool:
        """Whether the session list, written when the file was saved, ends with the last message that an act kept."""
        return is_same(self.known.listed, self.known.saved) and is_same(self.known.last, act)

    def _is_witnessed(self, k: int) -> bool:
        """Whether the database, or a file from before the act, has a message."""
        return self.holds(self.before_act, k) or not self.known.databases.isdisjoint(self.entries[k].versions)

    def goes_further(self, one: Witness, other: Witness) -> bool | None:
        """Whether the last message of one copy was written after that of another; None where no database has both."""
        mine, theirs = self.rows_of([one]), self.rows_of([other])
        return next((mine[name] > theirs[name] for name in mine if name in theirs), None)

    def was_set_back_before(self, run: Witness) -> bool:
        """Whether a run ended after the file was saved, before which the clock was set back: it goes further in the
        database, or the journals know of the clock, and ended before the times that messages of the file have.
        """
        base, ended = self.base, run.saved
        if base is None or ended is None or not (self.known.is_set_back or self.goes_further(run, base)):
            return False
        return any(is_kept and is_after(time, ended) for time, is_kept in zip(self.times, self.kept, strict=True))

    def _base(self) -> Witness | None:
        if self.known.state is FileState.WHOLE:
            return Witness(LIVE, self.known.saved, self.marks)
        # a file before a run of the same moment, which can show answers that were taken back; where the live file waits
        # for a prompt, no run ended after the file that was saved with that
        then = None if self.known.pending is None else self.known.saved
        rank = lambda w: (is_same(w.saved, then), w.saved or 0.0, w.marks is not None)  # noqa: E731
        whole = (w for w in self.after_act if w.is_whole and not self._can_be_outdated(w) and not self._is_overtaken(w))
        return max(whole, key=rank, default=None)

    def _is_overtaken(self, file: Witness) -> bool:
        """Whether a file was saved at the end of a turn and the newest run goes further, whatever the clock said since:
        then that run ended later; as one did that the session list ends with. A file that an act made shorter may end
        before it.
        """
        run, marks = self.known.run, file.marks
        if run is None or marks is None:
            return False
        is_named = self.known.state is FileState.LOST and self._is_listed(run) and not self._is_listed(file)
        is_of_turn = not marks.is_fresh or (marks.act == 0.0 and any(file.name in e.versions for e in self.entries))
        is_known = marks.knows_acts or (marks.knows_watermark and marks.old_act is None)
        return is_named or (is_of_turn and is_known and self.goes_further(run, file) is True)

    def _is_listed(self, copy: Witness) -> bool:
        """Whether the session list ends with the last message of a copy, and counts as many as it has or was written
        when that was saved.
        """
        held = [k for k in range(len(self.entries)) if self.holds([copy], k)]
        is_of_copy = len(held) == self.known.count or is_same(self.known.listed, copy.saved)
        return bool(held) and is_of_copy and self.has_stamp(held[-1], self.known.last)

    def _can_be_outdated(self, file: Witness) -> bool:
        """Whether an act can have come between a file and the torn one: of a version that leaves no mark of it the
        backup is from before the file was made shorter, so that they differ before the damage, in number, or at the end
        that the session list knows.
        """
        known = self.known
        if not known.is_torn_unmarked or file is not known.backup or is_same(file.saved, known.saved):
            return False
        # of a torn file is read what stands before the damage: there it lacks nothing
        read = max((k for k, e in enumerate(self.entries) if LIVE in e.versions), default=0)
        is_cut = any(file.name in e.versions and LIVE not in e.versions for e in self.entries[:read])
        own = [e for e in self.entries if not e.versions.keys().isdisjoint((file.name, LIVE))]
        times = (v.time for e in own for name, v in e.versions.items() if name in (file.name, LIVE))
        is_end = known.last is None or known.pending is not None or any(is_same(time, known.last) for time in times)
        return is_cut or known.count != len(own) or not is_end

    def _is_kept(self, e: Entry) -> bool:
        if self.known.state is FileState.TORN and LIVE in e.versions:
            return True
        if self.base is not None:
            return self.base.name in e.versions
        return not e.versions.keys().isdisjoint(self._parts)

    @cached_property
    def _parts(self) -> frozenset[str]:
        """The copies from after the newest act of which something is missing."""
        return frozenset(w.name for w in self.after_act if not w.is_whole and not self._can_be_outdated(w))

    def was_saved_after(self, k: int) -> bool:
        """Whether a message is from a turn that began, or was first saved, after the base."""
        base, known = self.base, self.known
        saved = base.saved if base is not None else known.saved or known.marked
        if saved is None:
            return base is None
        if self.holds(self._older, k) or self.is_before(self._base_rows, k) or self.is_before(self._rows_of_older, k):
            return False
        if known.pending is not None:
            return k >= self.pending_turn  # the turn that the file still waits for is its newest
        if self.holds(self._saved_since, k) or (base is known.run and self._is_behind_run(k)):
            return True
        began = self.began[k]
        if self._is_clock_behind or began is None:
            return False
        return began > saved and not self.is_before(self._rows_by_then, k)

    def _is_behind_run(self, k: int) -> bool:
        """Whether the row of a message stands behind all that the newest run has: it was written after that ended."""
        places = self.entries[k].places
        return any(places.get(name, 0) > end for name, end in self._run_rows.items())

    @cached_property
    def _saved_since(self) -> Witnesses:
        """The copies from after the newest act that were saved after the base."""
        saved = self.base.saved if self.base is not None else self.known.saved or self.known.marked
        return Witnesses(w for w in self.after_act if is_after(w.saved, saved or 0.0))

    @cached_property
    def _is_clock_behind(self) -> bool:
        """Whether the base was saved with a time from before messages in it: then no time makes another newer. The row
        of an answer can be written after the file.
        """
        base = self.base
        if base is None or base.marks is None or base.saved is None:
            return False
        own = (e.versions[base.name].time for e in self.entries if base.name in e.versions)
        began = (time for time, is_kept in zip(self.began, self.kept, strict=True) if is_kept)
        return any(is_after(time, base.saved) for time in (*own, *began))

    @cached_property
    def _rows_by_then(self) -> Mapping[str, int]:
        saved = self.base.saved if self.base is not None else self.known.saved or self.known.marked
        return self.rows_by(saved or 0.0)

    @cached_property
    def _older(self) -> Sequence[Witness]:
        """The copies from before the base: those from before the act, those that were saved earlier, and those that are
        older whatever the clock said then.
        """
        known, saved = self.known, self.base.saved if self.base is not None else None
        found = [*self.before_act, *(w for w in self.after_act if saved and is_after(saved, w.saved or saved))]
        if known.pending is not None and self.pending_turn < len(self.entries):
            found = [w for w in found if not self.holds([w], self.pending_turn)]
        if known.run is not None and self.base is known.run:
            found += filter(self._is_overtaken, self.after_act)
        beside = known.backup if known.state is FileState.WHOLE or self.base is None else None
        return Witnesses(found if beside is None else (*found, beside))

    @cached_property
    def _rows_of_older(self) -> Mapping[str, int]:
        return self.rows_of(self._older)

    @cached_property
    def pending_turn(self) -> int:
        """The position of the prompt that the file waits for; after the last message where no copy has it. The agent
        can have written it much later than it was sent; what was said before a clock was set back says something else.
        """
        sent, prompt = self.known.pending, self.known.prompt
        for k, (e, time) in enumerate(zip(self.entries, self.times, strict=True)):
            if e.merged.role != "user" or sent is None or time is None or time < sent - WHOLE:
                continue
            if self.says(k, prompt):
                return k
        return len(self.entries)

    def has_run_ended_after(self, k: int) -> bool:
        """Whether the newest run ended after a message was said."""
        run, time = self.known.run, self.times[k]
        if self.is_before(self._run_rows, k):
            return True
        return run is not None and run.saved is not None and time is not None and run.saved > time

    def is_passed_over(self, k: int) -> bool:
        """Whether the newest run, which ended after the file was saved, went on without a message of a turn that began
        after that. What stands before a row of the file is older, whatever the clock said.
        """
        run, saved, began = self.known.run, self.known.saved, self.began[k]
        if self.known.state is not FileState.WHOLE or run is None or self.holds([run], k) or self._is_clock_behind:
            return False
        if self.is_before(self._base_rows, k):
            return False
        is_later = run.saved is not None and saved is not None and run.saved > saved + STAMP
        return is_later and began is not None and began > (saved or 0.0) and self.is_before(self._run_rows, k)

    @cached_property
    def run_begins(self) -> int:
        """The position of the first message that the newest run has; after the last one where it has none."""
        name = self.known.run.name if self.known.run is not None else ""
        return next((k for k, e in enumerate(self.entries) if name in e.versions), len(self.entries))

    @cached_property
    def run_ends(self) -> int | None:
        """The position of the last message that the newest run shows."""
        name = self.known.run.name if self.known.run is not None else ""
        return max((k for k, e in enumerate(self.entries) if name in e.versions), default=None)

    def is_after_run(self, k: int) -> bool:
        """Whether a message stands after all that the newest run shows, and so does what is left of the file: it was
        said after that run.
        """
        end = self.run_ends
        return end is not None and k > end and any(self.kept[end + 1 :])

    def last_kept(self, act: float) -> int:
        """The position of the last message that the act kept, -1 where it kept none."""
        if act == 0.0:
            return -1
        if (asked_again := self._asked_again(act)) is not None:
            return asked_again
        exact = [k for k in range(len(self.entries)) if self.has_stamp(k, act)]
        if exact:  # a stamp can stand at several messages, as the server moves them: before the newest prompt, and kept
            newest = self.marks.watermark if self.marks.watermark != act else None
            turns = (k for k, is_kept in enumerate(self.kept) if is_kept and self.has_stamp(k, newest))
            prompt = next(turns, len(self.entries))
            before = [k for k in exact if k < prompt] or exact
            # a whole file that was saved after the act says itself where its turn ends
            whole = [w for w in self.after_act if w.is_whole and w.marks is not None]
            kept = [k for k in before if self.kept[k] or self.holds(whole, k)]
            if not kept:
                return self._end_of_turn(self._last_left(before), act)
            is_part = self.known.state is FileState.TORN and self.base is None  # it can be torn at another one of them
            end = self._end_of_turn(kept[-1], act) if is_part else kept[-1]
            return next((k for k in before if k < kept[-1] and self.is_twin(k, kept[-1])), end)
        prompts = self.prompts_in(range(len(self.entries)))
        later = [k for k in prompts if is_after(self.times[k], act)]
        if self.marks.by_hand:  # of a compress, before which the clock can have been set back
            later = [k for k in later if k > max(set(prompts).difference(later), default=-1)]
            later.sort(key=lambda k: self.times[k] or 0.0)
        end = next(iter(later), len(self.entries)) - 1
        if act != self.marks.act:
            return end
        seen = (k for k in range(end + 1, len(self.entries)) if self.has_stamp(k, self.marks.compressed))
        return max(seen, default=end)  # whatever the clock said

    def _asked_again(self, act: float) -> int | None:
        """The last message that stays of what an act kept which ended with a prompt, to have another answer to it; None
        for any other act. The boundary is the stamp of that prompt. Newer servers give it a new one then, so the file
        has no message of that stamp any more; older ones sent it once more, with the stamp that it had.
        """
        old = [k for k, e in enumerate(self.entries) if any(is_same(v.time, act) for v in e.versions.values())]
        if not old or any(self.entries[k].merged.role != "user" for k in old):
            return None
        words = self.entries[old[0]].merged.folded_identity
        holders = [name for k in old for name, v in self.entries[k].versions.items() if is_same(v.time, act)]
        if len({*holders}) < len(holders):  # one copy has it twice
            return old[0]
        if any(is_same(e.versions[LIVE].time, act) for e in self.entries if LIVE in e.versions):
            return None
        again = [k for k in range(old[0], len(self.entries)) if self.entries[k].merged.folded_identity == words]
        if self.marks.knows_generations and again[-1] > old[-1] and self.entries[old[-1] + 1].merged.role != "user":
            return old[0] - 1  # only such an act cuts between a prompt and its answer
        versions = (pair for k in again for pair in self.entries[k].versions.items())
        files = (v.time for name, v in versions if name not in self.known.databases)
        return old[0] - 1 if any(is_after(time, act) for time in files) else None

    def _last_left(self, places: Sequence[int]) -> int:
        """The last of these places at which an act can have left the session: it took back the last message of what
        was saved before it.
        """
        whole = [w for w in self.before_act if w.is_whole]
        end = max((k for k in range(len(self.entries)) if self.holds(whole, k)), default=None)
        return next((k for k in reversed(places) if k != end), places[-1])

    def _end_of_turn(self, k: int, act: float) -> int:
        """The last message of the turn whose end an act kept, where a copy lacks it: an act cuts before a prompt, or
        where a file from before it has a later stamp.
        """
        versions = self.entries[k].versions.items()
        files = {name for name, v in versions if name not in self.known.databases and is_same(v.time, act)}
        for e, time in zip(self.entries[k + 1 :], self.times[k + 1 :], strict=True):
            is_later = any(is_after(e.versions[name].time, act) for name in files & e.versions.keys())
            if e.merged.role == "user" or time is None or is_after(time, act) or is_later:
                break
            k += 1
        return k

    def missing(self) -> list[int]:
        """The positions of what the base lacks."""
        return [k for k, is_kept in enumerate(self.kept) if not is_kept]
