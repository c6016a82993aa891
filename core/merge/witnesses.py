"""Who knows what the user took back (recovery.md, section 4): for every message that the live file lacks, whether it
was lost.

Each copy is a witness of the transcript as it stood when that copy was saved. The newest act is known from the marks of
the file; what it took back, from whoever saw the transcript before it (the act's own backup, a run that ended before)
or after it (the live file, a run that ended later, the count in a head or in the session list). Where nobody knows, it
is a question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from hermes_rescue.core.hermes.message import MessageIdentity
from hermes_rescue.core.merge.contained import Contained
from hermes_rescue.core.merge.counted import Counted
from hermes_rescue.core.merge.evidence import (
    BEGINNING,
    CONTRADICTED,
    OLDER,
    SHORTENED,
    UNDECIDED,
    UNREAD,
    Evidence,
    FileState,
    Verdict,
    Witness,
)
from hermes_rescue.core.merge.intent import Reason
from hermes_rescue.core.merge.stamps import STAMP, WHOLE, is_after, is_same
from hermes_rescue.core.merge.transcript import Entry


def judge(entries: Sequence[Entry], evidence: Evidence) -> Verdict:
    """What of a merged transcript stays out."""
    if not entries and evidence.can_have_held_messages:
        return Verdict({}, UNREAD)
    judgement = _Judge(entries, evidence)
    base = judgement.base
    verdict = judgement.verdict()
    if evidence.counts_messages and len(verdict.reasons) == len(entries):  # what would be written is empty
        verdict = Verdict(dict.fromkeys(verdict.reasons, Reason.UNDECIDED), CONTRADICTED)
    return replace(
        verdict,
        base=base.name if base is not None else None,
        origin=judgement.origin,
        again=judgement.again,
        older=frozenset(w.name for w in judgement.before_act),
    )


class _Judge(Contained, Counted):
    @property
    def origin(self) -> str | None:
        """The copy that what points into the messages is taken from."""
        rank = lambda w: (w.is_whole, w.saved or 0.0, w.marks is None)  # noqa: E731
        newest = self.base or max(self.before_act, key=rank, default=None)
        return newest.name if newest is not None else None

    @property
    def again(self) -> frozenset[int]:
        """The messages of a whole file that were said after the newest act."""
        if self._cut is None or self.known.state is not FileState.WHOLE:
            return frozenset()
        return frozenset(k for k in range(self._cut + 1, len(self.kept)) if self.kept[k])

    def verdict(self) -> Verdict:
        act, known = self.marks.act, self.known
        if emptied := self.emptied_since_clear():
            return Verdict(emptied, SHORTENED)
        if self._is_cleared_after_act(act):
            return Verdict({k: Reason.CLEARED for k in range(len(self.entries)) if not self._is_since_clear(k)})
        reasons = self._with_their_prompts(self._after(act) if act is not None else self._without_mark())
        reasons |= dict.fromkeys(self.replaced(), Reason.UNDONE)
        reasons |= self.rows_apart(reasons) | dict.fromkeys(self.twins(), Reason.CONTAINED)
        if act is None and known.state is not FileState.WHOLE and (gone := self.gone_by_list(reasons)):
            return Verdict({**reasons, **dict.fromkeys(gone, Reason.UNDONE)})
        reasons |= dict.fromkeys((k for k in self.shown_once_more() if k not in reasons), Reason.UNDONE)
        if (
            known.state is FileState.TORN
            and self.base is not None
            and self.base is known.run
            and known.count is not None
            and not known.is_torn_unmarked
        ):
            return self.without_leftovers(reasons, known.count)
        if self.lacks_act(reasons):
            return Verdict(reasons, self.miscounted(len(self.held(reasons))))
        is_asked = act is not None and not self._is_of_file and any(r.is_question for r in reasons.values())
        if is_asked or self.goes_on_by_list(reasons):
            return Verdict(reasons, UNDECIDED)
        if known.state is FileState.WHOLE and self._is_older_than_run(reasons):
            return Verdict(reasons, OLDER)
        is_wiped = known.state is FileState.EMPTY and act is None and not self.marks.records_acts
        held = self.held(reasons)
        is_emptied = known.state is FileState.EMPTY and self.kept_nothing and known.count != len(held)
        if is_emptied or (is_wiped and self._went_on_elsewhere(reasons)):
            return Verdict(reasons, SHORTENED)
        if known.state is not FileState.WHOLE and self.lacks_answers(held):
            return Verdict(reasons, self.miscounted(len(held)))
        is_hidden = self.hides_act and self.base is None
        is_open = known.state is FileState.LOST or (is_wiped and known.count is not None) or is_hidden
        if not is_open and not known.is_torn_unmarked and not self.is_older_than_list:
            return Verdict(reasons)
        if is_hidden and known.last is None and known.count is None:
            return Verdict(reasons, UNDECIDED)
        if Reason.UNDECIDED in reasons.values() and known.state is not FileState.WHOLE:
            return Verdict(reasons, BEGINNING)
        base = self.base
        if known.is_torn_untitled and self.entries:
            return Verdict(reasons, SHORTENED)
        is_unlisted = known.last is None or is_same(known.last, known.sent)  # it says no more than that this was sent
        if is_unlisted and base is not None and base is known.backup and self._is_all(base, reasons):
            return Verdict(reasons, SHORTENED)
        return self.by_list(reasons)

    def _went_on_elsewhere(self, reasons: Mapping[int, Reason]) -> bool:
        """Whether an empty file, which nothing counts, was saved between the turns that are left: a wiped one would
        have what came after that. So it was put back, and an act can have emptied it before it went on.
        """
        if self.base is not None or self.known.pending is not None or self.known.count is not None:
            return False
        return len({self.was_saved_after(k) for k in self.missing() if k not in reasons}) > 1

    def _is_all(self, base: Witness, reasons: Mapping[int, Reason]) -> bool:
        """Whether the base has everything that was said until the file was saved once more: nothing beyond it is left
        but the turn of the newest prompt that was sent.
        """
        sent = self.known.sent
        held = [k for k in range(len(self.entries)) if k not in reasons]
        if not any(self.holds([base], k) for k in held) or sent is None or is_same(base.saved, self.known.saved):
            return False
        times = {k: t for k in held if self.entries[k].merged.role == "user" and (t := self.times[k]) is not None}
        last = max(times, default=0)
        is_there = last in times and sent - STAMP <= times[last] <= sent + WHOLE
        if not (is_there or self.known.is_set_back) and any(t > sent + WHOLE for t in times.values()):
            return False
        return all(base.name in self.entries[k].versions for k in held if k < last or not is_there)

    def _with_their_prompts(self, reasons: dict[int, Reason]) -> dict[int, Reason]:
        """An answer comes back or is asked with its prompt, also where the file has the same words elsewhere."""
        back = {k for k, reason in reasons.items() if reason is Reason.CONTAINED and self._is_of_prompt(k, reasons)}
        found = {k: reason for k, reason in reasons.items() if k not in back}
        for k in self.missing():
            prompt = self.prompt_of(k)
            if k not in found and prompt in found and found[prompt].is_question:
                found[k] = found[prompt]
        return found

    def _is_of_prompt(self, k: int, reasons: Mapping[int, Reason]) -> bool:
        """Whether a message is of a turn whose prompt comes back or is asked about, and the file does not have it right
        there.
        """
        prompt = self.prompt_of(k)
        if (
            prompt is None
            or prompt == k
            or self.kept[prompt]
            or (prompt in reasons and not reasons[prompt].is_question)
        ):
            return False
        after = next((j for j in range(k, len(self.kept)) if self.kept[j]), None)
        return after is None or self.entries[after].merged.folded_identity != self.entries[k].merged.folded_identity

    def _is_older_than_run(self, reasons: Mapping[int, Reason]) -> bool:
        """Whether the newest run ended after the file was saved, and shows no more what the file has."""
        run, saved = self.known.run, self.known.saved
        if run is None or run.saved is None or saved is None:
            return False
        if run.saved <= saved + STAMP and not self.was_set_back_before(run):
            return False
        gained = [k for k in self.missing() if k not in reasons and self.holds([run], k)]
        gone = [k for k, is_kept in enumerate(self.kept) if is_kept and not self.holds([run], k)]
        begins_anew = len(gone) == sum(self.kept)  # then nothing but time tells which of the two comes first
        is_open = begins_anew or self.known.is_set_back
        is_of_user = (self.entries[k].merged.role == "user" for k in gone if is_open or k < gained[-1])
        return bool(gained) and any(is_of_user)

    def _without_mark(self) -> dict[int, Reason]:
        """No act is known: with a version that marks them, what is missing was lost."""
        known, result = self.known, dict[int, Reason]()
        kept = [k for k, is_kept in enumerate(self.kept) if is_kept]
        is_cleared = known.is_whole_untitled or (known.is_untitled and known.pending is not None and not kept)
        if is_cleared and not self.marks.records_acts:
            before = range(kept[0] if known.state is FileState.WHOLE else self.pending_turn)
            result |= dict.fromkeys((k for k in before if not self._is_since_clear(k)), Reason.CLEARED)
            if known.state is not FileState.WHOLE:
                return result
        ahead = self._run_is_ahead(kept)
        for k in self.missing():
            if not kept or k in result:
                continue
            if (passed_over := self._passed_over(k)) is not None:
                result[k] = passed_over
                continue
            reason: Reason | None
            if self.was_saved_after(k):
                if reason := self._newer(k, kept, result):
                    result[k] = reason
                continue
            if not self.holds(self.after_act, k) and self.holds(self.before_act, k):
                reason = Reason.UNDONE  # left out by a person, which leaves a generation and no boundary
            elif self.base is not None and self.base.marks is None and known.state is FileState.LOST:
                is_taken = self.takes_rows_back() and not known.databases.isdisjoint(self.entries[k].versions)
                reason = Reason.UNDECIDED if not is_taken and self._may_be_lost(k, kept) else Reason.UNDONE
            elif not self.marks.records_acts and (self._is_of_file or self._can_be_cut(k, kept) or self.base_lacks(k)):
                reason = Reason.CONTAINED if self.is_contained(k, kept) else Reason.OLD_UNDO
            elif self.holds(self.after_act, k):
                reason = self._lost_since(k, kept)
            elif ahead and self.has_run_ended_after(k) and not self.is_after_run(k):
                # the transcript as the user saw it at the end of that run lacks it
                reason = Reason.EARLIER_UNDO if known.state in (FileState.TORN, FileState.EMPTY) else Reason.UNDONE
            elif self.is_contained(k, kept):
                reason = Reason.CONTAINED
            else:
                reason = None
            if reason is not None:
                result[k] = reason
        return result

    def _is_cleared_after_act(self, act: float | None) -> bool:
        """Whether a file was cleared by a version whose clear sets the title and leaves the marks of the act before."""
        is_empty = self.known.state is FileState.EMPTY and self.known.pending is None
        return bool(act) and is_empty and self.known.is_untitled and not self.marks.knows_acts

    def _is_since_clear(self, k: int) -> bool:
        """Whether a message was said, or the base that has it was saved, after a file that was saved empty, and so was
        the session list.
        """
        saved = self.base.saved if self.base is not None else None
        is_of_later = self.kept[k] and is_after(saved, self.known.saved or 0.0)
        return self.known.is_behind_list and (is_of_later or self.was_saved_after(k))

    def _newer(self, k: int, kept: Sequence[int], reasons: Mapping[int, Reason]) -> Reason | None:
        """Of what looks newer than a file without marks."""
        if self.is_listed_without(k, kept):
            return Reason.UNDECIDED
        return Reason.OLD_UNDO if self._may_be_of_act(k, kept, reasons) else None

    def _may_be_of_act(self, k: int, kept: Sequence[int], reasons: Mapping[int, Reason]) -> bool:
        """Whether what looks newer than a file without marks can be from before an act that saved it: the file ends at
        the watermark of one, or before what was said by then (and is left out for these ``reasons``), or its version
        leaves no watermark and the session list knows nothing newer; and nobody but the database, or a clock that can
        have been set back, speaks for more.
        """
        known = self.known
        if not self._is_of_file or known.pending is not None or self.marks.records_acts:
            return False
        is_of_act = any(kept[-1] < j < k and reason is Reason.OLD_UNDO for j, reason in reasons.items())
        is_of_act = is_of_act or self._ends_at_old_act
        is_of_act = is_of_act or not (self.marks.knows_watermark or is_after(known.last, known.saved or 0.0))
        return is_of_act and self.is_end_by_list(k, kept)

    @cached_property
    def _ends_at_old_act(self) -> bool:
        """Whether what is kept ends at the watermark of an act."""
        return self.has_stamp(max(k for k, is_kept in enumerate(self.kept) if is_kept), self.marks.old_act)

    def _passed_over(self, k: int) -> Reason | None:
        """Of a message from after the file was saved, which the newest run goes on without."""
        if not self.is_passed_over(k):
            return None
        return Reason.UNDONE if self.run_begins < k else Reason.UNDECIDED

    def _can_be_cut(self, k: int, kept: Sequence[int]) -> bool:
        """Whether a torn file of a version without marks can have been made shorter by a message before it was torn:
        the first message that can be read comes after it; or a later one does, and all copies hold another number than
        was counted; or nothing counts how long the file was, and the backup from before that has the message.
        """
        known = self.known
        if known.state is not FileState.TORN:
            return False
        is_of_backup = known.backup is not None and self.holds([known.backup], k)
        is_within = k < kept[-1] and known.count not in (None, len(self.entries))
        return k < kept[0] or is_within or (known.count is None and is_of_backup)

    @cached_property
    def _is_of_file(self) -> bool:
        """Whether the transcript as it was last saved is known: from a file of which nothing is missing, or from what
        is left of a torn one and a copy that has it, if these are as many messages as were counted.
        """
        known, base = self.known, self.base
        if known.state is FileState.WHOLE:
            return True
        if known.state is FileState.TORN and known.count == sum(self.kept):
            return True
        return base is not None and base.marks is not None and is_same(base.saved, known.saved)

    def _may_be_lost(self, k: int, kept: Sequence[int]) -> bool:
        """Whether a message can have been lost before the newest run went on without it: it stands before all that the
        run shows, and no list shows that this is all. A clear removes the backup.
        """
        is_known = self.is_whole_by_list(kept) or self.is_late_count(kept)
        return bool(kept) and k < kept[0] and self.known.backup is not None and not is_known

    def _run_is_ahead(self, kept: Sequence[int]) -> bool:
        """Whether the newest run shows what was said after the last message of the base, or is the base."""
        run = self.known.run
        if run is None or not kept:
            return False
        held = [k for k, e in enumerate(self.entries) if run.name in e.versions]
        return self.base is run or (bool(held) and held[-1] > kept[-1])

    def _after(self, act: float) -> dict[int, Reason]:
        cut = self._cut
        assert cut is not None  # there is an act
        kept = [k for k, is_kept in enumerate(self.kept) if is_kept]
        result: dict[int, Reason] = {}
        taken = Reason.CLEARED if act == 0.0 and self.marks.clear_generation is not None else Reason.UNDONE
        files = self.files_since
        shown = (k for k in range(cut + 1, len(self.kept)) if self.kept[k] or self.holds(files, k))
        first = next((k for k in shown if self.lost_prompt(k) is None), None)
        cut_before = Reason.EARLIER_UNDO if self._may_be_stale(cut) else taken
        edited = self._may_be_edited(act)
        for k in self.missing():
            if (passed_over := self._passed_over(k)) is not None:
                result[k] = passed_over
                continue
            if self.was_saved_after(k):
                if self.is_row_of_act(k):
                    result[k] = taken
                elif self.known.pending is None and self._should_be_in_file(k, act, kept):
                    result[k] = Reason.UNDECIDED
                continue
            reason: Reason | None
            if (
                self.base is not None
                and self.base.marks is None
                and (self.known.state is FileState.LOST or (k > cut and not self.holds(files, k)))
                and not self.is_after_run(k)
            ):
                reason = taken if k > cut else Reason.UNDECIDED if self._may_be_lost(k, kept) else Reason.UNDONE
            elif k > cut and not self.holds(files, k) and self.holds(self.before_act, k):
                reason = cut_before
            elif self.holds(edited, k):
                reason = Reason.EARLIER_UNDO
            elif self.holds(self.after_act, k):
                reason = self._lost_since(k, kept)
            elif k <= cut:
                reason = self._before_boundary(k, kept, result)
            elif act == 0.0 and self._is_unsaid:
                reason = taken
            elif first is not None and k > first:
                reason = self._lost_since(k, kept) or (
                    Reason.UNDECIDED if self._should_be_in_file(k, act, kept) else None
                )
            elif first is not None or self.known.state is FileState.WHOLE:
                reason = self._between(k, taken)
            else:
                reason = self._behind_boundary(k, act, taken)
            if reason is not None:
                result[k] = reason
        result |= self._lost_as_well(range(cut + 1, cut + 1 if first is None else first), result)
        is_open = self.known.state is FileState.WHOLE or edited  # of an edit and of damage as many are left
        return result if is_open else self.settled_by_count(result, cut)

    def _lost_as_well(self, between: range, reasons: Mapping[int, Reason]) -> dict[int, Reason]:
        """Of the rows between the boundary and the first message from after the act, where a whole file lost a turn
        that came later still: it can have lost these, too, but for the first turn, which the act took back.
        """
        if self.known.state is not FileState.WHOLE or not between:
            return {}
        later = self.prompts_in(range(between.stop, len(self.kept)))
        newest = max((k for k in later if self.kept[k]), default=0)
        if not any(k < newest and not self.kept[k] and k not in reasons for k in later):
            return {}
        prompts = self.prompts_in(between)
        taken = max((k for k in between if self.holds(self.before_act, k)), default=next(iter(prompts), between.stop))
        begins = next((k for k in prompts if k > taken), between.stop)
        return {k: Reason.EARLIER_UNDO for k in between if k >= begins and k in reasons}

    @cached_property
    def _is_unsaid(self) -> bool:
        """Whether no turn has ended since a whole file was cleared, and only times order what it has and the rows."""
        return (self.known.is_whole_untitled or self.known.was_named_empty) and not self._base_rows

    def _may_be_edited(self, act: float) -> Sequence[Witness]:
        """The backup of a file that was cleared or whose first prompt was edited: a version without generations marks
        them alike, and its backup has nothing of what the file has, or had by a run. None where that cannot be.
        """
        known = self.known
        is_known = known.state is FileState.WHOLE or len(self.names_of_file) > 1
        if act != 0.0 or self.marks.knows_generations or not is_known or known.backup is None:
            return ()
        is_other = not any(is_kept and self.holds([known.backup], j) for j, is_kept in enumerate(self.kept))
        return (known.backup,) if is_other else ()

    def _should_be_in_file(self, k: int, act: float, kept: Sequence[int]) -> bool:
        """Whether the file would have to hold a turn that began after an act, and only the database does, or a run
        where no file from before the act shows what it took back: the marks say that nothing was said since, and a
        clock that was set back makes what is from before the act look newer.
        """
        if act == 0.0:
            return self.known.state is FileState.EMPTY
        if self.known.state is not FileState.WHOLE or not self.marks.is_fresh:
            return False
        is_of_rows = self.entries[k].versions.keys() <= self.known.databases
        has_own = any(w is not self.known.run for w in self.before_act)
        return is_of_rows or (not has_own and self.is_end_by_list(k, kept))

    def _may_be_stale(self, cut: int) -> bool:
        """Whether the file can also be an older one that was saved too late: it is empty, and a run ended later; or its
        act cut where the one before it had cut, and more turns had been said since than an undo takes back.
        """
        if self.is_empty_before_run():
            return True
        own = next((w for w in self.before_act if w.marks is not None), None)
        if own is None or own.marks is None or not self.marks.is_fresh or own.marks.act != self.marks.act:
            return False
        if any(self.kept[cut + 1 :]):
            return False  # the marks of a file that was emptied stay as they are when it goes on
        turns = [e for e in self.entries[cut + 1 :] if own.name in e.versions and e.merged.role == "user"]
        return len(turns) > 1

    def _lost_since(self, k: int, kept: Sequence[int]) -> Reason | None:
        """Of a message from after the newest act: no later one took it back."""
        if kept and self.is_contained(k, kept):
            return Reason.CONTAINED
        run = self.known.run
        held = self.entries[k].versions
        names = held.keys() - self.known.databases - {w.name for w in self.before_act if w is not run}
        if run is not None and names == {run.name}:
            files = (w for w in (self.base, self.known.backup, *self.known.others) if w is not None)
            others = (w for w in files if w is not run and w.name not in held)
            if any(w.is_whole and is_same(w.saved, run.saved) for w in others):
                return Reason.UNDONE  # the file was saved at the end of that run, without it
            if self.is_leftover(k):
                return Reason.UNDONE
        return None

    def _before_boundary(self, k: int, kept: Sequence[int], reasons: Mapping[int, Reason]) -> Reason | None:
        """Of a message that stood before the boundary and is missing all the same; ``reasons``: of those before it."""
        if self.known.is_whole_untitled and kept and k < kept[0]:
            return Reason.CLEARED
        if self.was_gone_by_compress(k):
            return Reason.UNDONE
        if self.holds(self.before_act, k):
            if self.known.state is not FileState.WHOLE:
                return None
            return self._lost_since(k, kept) or (Reason.EARLIER_UNDO if self.was_before_more(k) else None)
        first = next((j for j in range(len(self.kept)) if self.kept[j] or self.holds(self.files_since, j)), k)
        if self.marks.clear_generation is not None and k < first:
            return Reason.CLEARED
        if kept and self.is_contained(k, kept):
            return Reason.CONTAINED
        if self.was_taken_back_before(k):
            return Reason.UNDONE
        if self.backup_is_from_before_any() or self._is_half_a_turn(k, reasons):
            return None
        if k in self.left_calls:
            return Reason.UNDONE
        if self.has_run_ended_after(k) and not self.is_wiped:
            return Reason.UNDONE  # the newest run that ended showed a transcript without it
        return Reason.EARLIER_UNDO if self.known.state is FileState.WHOLE or self.known.count else None

    def _is_half_a_turn(self, k: int, reasons: Mapping[int, Reason]) -> bool:
        """Whether the prompt of an answer is there, or comes back: an undo cuts before a prompt."""
        prompt = self.prompt_of(k)
        return prompt is not None and prompt != k and prompt not in reasons and not self.was_replaced(k)

    def _between(self, k: int, taken: Reason) -> Reason | None:
        """Of a row after the boundary and before the first message from after the act, which took back the turns whose
        prompts a copy from before it has: of an answer that was stopped it has not the steps.
        """
        if self.is_wiped:
            return Reason.EARLIER_UNDO
        if self.marks.is_fresh or not self.backup_is_from_before_any():
            return taken
        prompt = self.prompt_of(k)
        first = k if prompt is None or self.kept[prompt] else prompt
        return taken if self.entries[first].merged.folded_identity in self._said_before_act else None

    @cached_property
    def _said_before_act(self) -> frozenset[MessageIdentity]:
        """What the messages say that a copy from before the act has."""
        names = self.before_act.names
        return frozenset(v.folded_identity for e in self.entries for name, v in e.versions.items() if name in names)

    def _behind_boundary(self, k: int, act: float, taken: Reason) -> Reason | None:
        """Of a row after the boundary where the file holds nothing from after the act."""
        is_fresh = self.known.is_untitled if act == 0.0 else self.marks.is_fresh
        if is_fresh or self.was_taken_back_before(k):
            return taken
        if self.backup_is_from_before_any():
            return None
        if act == 0.0 and self.known.state is FileState.EMPTY and not self.known.has_title_of_turn:
            return Reason.UNDECIDED  # a person gave it its title, before or after what was said
        run = self.known.run
        if run is not None and run.saved is not None and self.times[k] is not None:
            # it ended before the act and does not show it
            return Reason.UNDONE if self.has_run_ended_after(k) else None
        return Reason.UNDECIDED
