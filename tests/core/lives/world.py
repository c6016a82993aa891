"""The programs of a life: what the WebUI and the agent have on disk after each event (formats.md; each rule was seen on
the real server, exp-0.52.262 with agent 0.19.0, driven over HTTP)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from .life import (
    Cancel,
    Clear,
    ClockStep,
    Compaction,
    Compress,
    Delete,
    Edit,
    Era,
    Event,
    Kill,
    Life,
    Restart,
    Retry,
    Truncate,
    Turn,
    Undo,
    Untidy,
    Wipe,
)
from .said import TAG, WORKSPACE, Said, Value
from .state import START, SUMMARY, IndexRow, Killed, Marks, Pending, Row, Run, State

NOTICE = "**Task cancelled:** Task cancelled.\n\n*The run was cancelled by the user before Hermes finished.*"


@dataclass(slots=True)
class World:
    """Lives a life. ``said``: everything by number; ``shown``: what the person would see now had nothing been damaged;
    ``taken``: what was taken back."""

    session_id: str
    life: Life
    rng: Random = field(init=False)
    clock: float = START
    said: list[Said] = field(default_factory=list)
    live: State = field(default_factory=State)
    backup: State | None = None
    shown: tuple[int, ...] = ()
    history: list[State] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    turns: list[Value] = field(default_factory=list)
    index: IndexRow | None = None
    backup_before: State | None = None
    index_before: IndexRow | None = None
    taken: set[int] = field(default_factory=set)
    killed: Killed | None = None
    deleted: bool = False
    acts: int = 0
    compacted_anew: bool = False
    _stale_count: int | None = None
    _turn: int = -1

    def __post_init__(self) -> None:
        self.rng = Random(self.life.seed + 1)
        self.live = State(title="New Chat")
        for event in self.life.events:
            self.play(event)

    @property
    def era(self) -> Era:
        """The version of the WebUI."""
        return self.life.era

    def play(self, event: Event) -> None:
        """One event."""
        match event:
            case Turn():
                self.turn(event)
            case Cancel():
                self.cancel(event)
            case Kill():
                self.kill(event)
            case Compaction():
                self.compaction(event)
            case Untidy():
                self.untidy()
            case Wipe():
                self.wipe(event)
            case ClockStep():
                self.clock -= event.seconds
            case Restart():
                self._stale_count = len(self.live.numbers)
            case _ if self.live.numbers:
                self.act(event)

    def act(self, event: Event) -> None:
        """One act of the person."""
        match event:
            case Undo():
                for _ in range(min(event.times, len(self.prompts))):
                    self.cut(-1)
            case Retry():
                prompt = self.said[self.live.numbers[self.prompts[-1]]]
                self.cut(-1, again=True)
                self.turn(replace(event.again, prompt=prompt.text, image=prompt.image), same=True)
            case Edit():
                self.cut(event.turn, again=True)
                self.turn(event.again)
            case Truncate():
                self.cut(event.turn)
            case Clear():
                self.clear()
            case Compress() if len(self.live.numbers) > 3:
                self.compress()
            case Delete():
                self.delete(event)

    # --- turns ------------------------------------------------------------------------------------------------------

    def turn(self, turn: Turn, *, same: bool = False) -> None:
        """A whole turn; ``same``: its prompt stands as it was said before, image and all."""
        told = self.tell(turn, same=same)
        numbers = tuple(m.number for m in told)
        self.write_rows(told)
        self.shown += numbers
        cards = tuple((call, len(self.live.numbers) + k) for k, m in enumerate(told) for call in m.calls)
        state = replace(
            self.live,
            numbers=self.live.numbers + numbers,
            context=self.live.context + numbers,
            cards=tuple(c for c in self.live.cards if c[1] < len(self.live.numbers)) + cards,
            marks=self.advanced(told[0]),
            title=self.titled(told[0]),
            pending=None,
        )
        self.clock += 0.02
        self.save(state, count=self._stale_count)
        if self.era.journals:
            self.journal(told, self.live)

    def tell(self, turn: Turn, *, same: bool = False) -> list[Said]:
        """The messages of a turn, stamped: the prompt with its start, what follows with the turn's end."""
        self._turn += 1
        self.clock += turn.gap
        first, start = len(self.said), round(self.clock, 6)
        end = start + turn.length
        prompt = turn.prompt if turn.prompt is not None else f"Frage {first}: wo hängt der Worker? 索引 🚀"
        if turn.secret and not same:
            prompt += f" sk-proj-Zx81kQpLm4Tn{first:04d}"
        plan: list[Value] = [{"role": "user", "text": prompt, "image": turn.image}]
        count = 0
        for results in turn.tools:
            ids = [f"call_{count + k}" if self.life.habits.counted_ids else f"call_{first + len(plan):04x}{k}"
                   for k in range(results)]  # fmt: skip
            count += results
            text = self.rng.choice(("", "", "Let me look.", "I check the next one."))
            plan.append({"role": "assistant", "text": text, "calls": tuple(ids), "reasoning": f"Думаю {first + count}"})
            plan += [{"role": "tool", "text": self.output(first, i), "answers": i} for i in ids]
        plan.append({"role": "assistant", "text": turn.answer or f"Antwort {first}: naïve “café” エラー"})
        times = self.row_times(start, end, len(plan))
        for k, value in enumerate(plan):
            time = start if k == 0 else round(end + k * 1e-6, 6)
            self.said.append(Said(first + k, **value, turn=self._turn, start=start, time=time, row_time=times[k]))
        self.clock = end + 1e-3
        return self.said[first:]

    def output(self, first: int, call: str) -> str:
        """What a tool gives back; half of them the same."""
        said = "same" if self.rng.random() < 0.5 else f"out-{first}-{call}"
        return f'{{"output": "{said}", "exit_code": 0, "error": null}}'

    def row_times(self, start: float, end: float, count: int) -> list[float]:
        """When the agent writes the rows of a turn: at its start or a moment later, then anywhere up to its end; the
        answer mostly at the end."""
        prompt = start if self.rng.random() < 0.6 else start + self.rng.uniform(0, min(0.5, (end - start) / 4))
        later = sorted(self.rng.uniform(prompt, end) for _ in range(count - 1))
        if self.rng.random() < 0.8:
            later[-1] = max(*later, end - 0.01)
        return [round(t, 6) for t in (prompt, *later)]

    def write_rows(self, told: Sequence[Said]) -> None:
        """A turn's rows, once or as flushes repeat them (formats.md, "One message can have several active rows")."""
        rows = [Row(m.number, m.row_time) for m in told]
        match self.life.habits.rows:
            case "prompt twice":
                self.rows += [rows[0], replace(rows[0], time=round(rows[0].time + 0.004, 6))]
                self.rows += rows[1:]
            case "turn twice":
                later = self.rng.uniform(0.001, 0.9)
                self.rows += rows[: self.rng.randint(1, len(rows))]
                self.rows += [replace(row, time=round(row.time + later, 6)) for row in rows]
            case "rewritten" if len(self.rows) < 60:
                self.rows += [*{row.number: row for row in self.rows if row.active}.values(), *rows]
            case _:
                self.rows += rows

    def advanced(self, prompt: Said) -> Marks:
        """The marks when a new turn is saved: the watermark moves to its prompt (0.0 and null never do)."""
        marks = self.live.marks
        if not marks.watermark:
            return marks
        return replace(marks, watermark=None if self.era.retires else prompt.time)

    def titled(self, prompt: Said) -> str:
        return f"Notes on {prompt.number}" if self.live.title in ("New Chat", "Untitled") else self.live.title

    def save(self, state: State, *, count: int | None = None) -> None:
        """Writes the sidecar and the session list; a save that shrinks keeps the file before as backup. ``count``: what
        the list says of it, where that is not its own."""
        state = replace(state, updated=round(self.clock, 6), acts=self.acts)
        self.backup_before, self.index_before = self.backup, self.index
        if self.era.backups and len(state.numbers) < len(self.live.numbers):
            self.backup = self.live
        self.live = state
        self.history.append(state)
        said = [self.said[n] for n in state.numbers]
        last = said[-1].time if said else state.updated
        if said and self.life.habits.untimed and not said[-1].is_user:
            last = next(m.time for m in reversed(said) if m.is_user)
        count = len(said) if count is None else count
        self._stale_count = None
        if state.pending is not None:
            last = state.pending.prompt.start
        users = sum(m.is_user for m in said)
        self.index = IndexRow(count, users, last, state.title, state.updated, state.pending)

    def journal(self, told: Sequence[Said], state: State) -> None:
        """The journals of a turn that ended."""
        stream = self.stream(told[0])
        self.submit(told[0], stream)
        end = told[-1].time
        for name, extra in (("assistant_started", {}), ("completed", {"terminal": True})):
            self.turns.append({"event": name, "created_at": end, "stream_id": stream, **extra})
        self.runs.append(Run(stream, tuple(self.streamed(told)), state))

    def submit(self, prompt: Said, stream: str) -> None:
        """What the turn journal says when a turn begins."""
        event = {"event": "submitted", "stream_id": stream, "role": "user", "content": prompt.text, "attachments": []}
        self.turns.append({**event, "workspace": WORKSPACE, "model": "m", "created_at": prompt.start})
        self.turns.append({"event": "worker_started", "created_at": prompt.start + 0.01, "stream_id": stream})

    def streamed(self, told: Sequence[Said]) -> Iterator[tuple[float, str, Value]]:
        """What was streamed of these messages, as a run's journal has it."""
        for m in told:
            if m.reasoning:
                yield m.row_time, "reasoning", {"text": m.reasoning}
            if m.role == "assistant" and m.text:
                half = len(m.text) // 2
                for part in (m.text[:half], m.text[half:]):
                    yield m.row_time, "token", {"text": part}
                if m.calls:  # the same once more
                    yield m.row_time, "interim_assistant", {"text": m.text, "already_streamed": True}
            for call in m.calls:
                args = {"command": f"echo {m.number}"}
                tool = {"event_type": "tool.started", "name": "terminal", "preview": None, "args": args, "tid": call}
                yield m.row_time, "tool", tool
                result = next((each for each in told if each.answers == call), None)
                if result is not None:
                    done = {**tool, "event_type": "tool.completed", "preview": json.loads(result.text)["output"]}
                    yield result.row_time, "tool_complete", {**done, "is_error": False}

    def stream(self, prompt: Said) -> str:
        """The id of the run that answers a prompt."""
        return uuid.UUID(int=(int(self.session_id, 16) << 64) + prompt.number + 1).hex

    # --- acts -------------------------------------------------------------------------------------------------------

    @property
    def prompts(self) -> list[int]:
        """The positions of the user messages in the live file."""
        return [k for k, n in enumerate(self.live.numbers) if self.said[n].is_user]

    def cut(self, turn: int, *, again: bool = False) -> None:
        """Undo, retry, edit and truncate: all from a user message on is taken back. ``again``: a new turn follows at
        once; a session without marks is emptied only then, since it would look like one that was wiped."""
        prompts = self.prompts
        keep = prompts[max(turn, -len(prompts))] if turn < 0 else prompts[min(turn, len(prompts) - 1)]
        if keep == 0 and not self.era.shrink and not again:
            return
        self.acts += 1
        gone = set(self.live.numbers[keep:])
        self.taken |= gone
        self.shown = tuple(n for n in self.shown if n not in gone)
        kept = self.live.numbers[:keep]
        boundary = self.said[kept[-1]].time if kept else 0.0
        marks = replace(
            self.live.marks,
            watermark=boundary if self.era.watermark else None,
            boundary=boundary if self.era.boundary else None,
            shrink=self.generation() if self.era.shrink else None,
        )
        context = tuple(n for n in self.live.context if n not in gone)
        self.clock += 0.5
        self.save(replace(self.live, numbers=kept, context=context, marks=marks))

    def clear(self) -> None:
        """The conversation is emptied; the modern WebUI removes the backup, too."""
        self.acts += 1
        self.taken |= set(self.live.numbers)
        self.shown = ()
        marks = replace(
            self.live.marks,
            watermark=0.0 if self.era.clear else self.live.marks.watermark,
            boundary=0.0 if self.era.clear else None,
            clear=self.generation() if self.era.clear else None,
            shrink=self.generation() if self.era.shrink else None,
        )
        self.clock += 0.5
        self.save(replace(self.live, numbers=(), context=(), cards=(), marks=marks, title="Untitled"))
        if self.era.drops_backup:
            self.backup = None

    def compress(self) -> None:
        """The context is summarised; watermark and boundary are the time of the act, behind every message."""
        self.acts += 1
        self.clock += 2.0
        now = round(self.clock, 6)
        numbers = self.live.numbers
        context = (*numbers[:1], SUMMARY, *numbers[self.prompts[-1] :])
        anchored = tuple(n for n in numbers if self.said[n].role != "tool" and self.said[n].text)
        marks = replace(self.live.marks, watermark=now, boundary=now, anchor=now, anchored=anchored)
        self.save(replace(self.live, context=context, marks=marks))
        self.backup = None

    def generation(self) -> str:
        """A mark as the WebUI makes it: ``uuid4().hex``."""
        return uuid.UUID(int=self.rng.getrandbits(128), version=4).hex

    # --- what the programs do by themselves -------------------------------------------------------------------------

    def compaction(self, event: Compaction) -> None:
        """Every live row is archived; behind them a summary and copies of the last messages that the model was sent are
        live. Where that failed, the rows before them stay live, but the model is not sent them any more.
        """
        live = {row.number: row for row in self.rows if row.active}
        sent = [live[n] for n in self.live.context if n != SUMMARY]
        tail = sent[-event.carried :]
        while tail and self.said[tail[0].number].role == "tool":
            tail = sent[-len(tail) - 1 :]  # never without the call
        self.clock += 1.0
        archived = self.rows
        if not event.failed:
            archived = [replace(row, active=False, compacted=True) if row.active else row for row in self.rows]
        time = round(self.clock, 6)
        copies = [
            row if event.same_times else replace(row, time=round(time + k * 1e-3, 6)) for k, row in enumerate(tail)
        ]
        self.rows = [*archived, Row(SUMMARY, time), *copies]
        self.compacted_anew = self.compacted_anew or not event.same_times
        self.live = replace(self.live, context=(SUMMARY, *(row.number for row in tail)))

    def untidy(self) -> None:
        """A merged prompt, before the last turn and with its stamp."""
        prompts = self.prompts[-2:]
        said = [self.said[self.live.numbers[k]] for k in prompts]
        text = f"\n\n{TAG}".join(m.text for m in reversed(said))
        number = len(self.said)
        merged = Said(number, "user", text, said[-1].turn, said[0].start, said[0].time, said[0].row_time, kind="merged")
        self.said.append(merged)
        at = prompts[-1]
        numbers = (*self.live.numbers[:at], number, *self.live.numbers[at:])
        cards = tuple((call, k + 1 if k >= at else k) for call, k in self.live.cards)
        self.shown = numbers
        self.save(replace(self.live, numbers=numbers, cards=cards))

    def cancel(self, event: Cancel) -> None:
        """A turn that was stopped: whole seconds, what was streamed, and a notice that no row has."""
        told = self.tell(replace(event.turn, tools=()))
        prompt, answer = told
        end = int(answer.time)
        partial = replace(answer, text=answer.text[: len(answer.text) // 2], kind="partial", time=end)
        prompt = replace(prompt, time=int(prompt.time))
        notice = replace(partial, number=answer.number + 1, text=NOTICE, kind="notice")
        self.said[prompt.number :] = [prompt, partial, notice]
        self.write_rows([prompt, partial] if event.answered else [prompt])
        numbers = tuple(m.number for m in (prompt, partial, notice))
        self.shown += numbers
        self.clock += 0.02
        marks, title = self.advanced(prompt), self.titled(prompt)
        context = (*self.live.context, prompt.number)
        self.save(replace(self.live, numbers=self.live.numbers + numbers, context=context, marks=marks, title=title))
        if self.era.journals:
            stream = self.stream(prompt)
            self.submit(prompt, stream)
            ended = {"event": "interrupted", "created_at": self.clock, "stream_id": stream, "reason": "cancelled"}
            self.turns.append({**ended, "terminal": True})
            events = (*self.streamed([partial]), (self.clock, "cancel", {"session_id": self.session_id}))
            self.runs.append(Run(stream, events, None))

    def kill(self, event: Kill) -> None:
        """The server dies: the file has the stream's fields, the journals have what was streamed, the rows perhaps."""
        told = self.tell(event.turn)
        stream, prompt = self.stream(told[0]), told[0]
        rounds = [k for k, m in enumerate(told) if m.calls]
        end = rounds[event.rounds] if event.rounds < len(rounds) else len(told) - 1
        told = [*told[:end], replace(told[-1], text=told[-1].text[:12])]
        self.said[prompt.number :] = [replace(m, number=prompt.number + k) for k, m in enumerate(told)]
        told = self.said[prompt.number :]
        written = told[:-1] if event.row else []
        if event.torn_call and written and written[-1].role == "tool":
            written = written[:-1]
        self.rows += [Row(m.number, m.row_time) for m in written]
        self.clock = prompt.start + 0.04
        self.save(replace(self.live, pending=Pending(prompt, stream)))
        if self.era.journals:
            self.submit(prompt, stream)
            self.runs.append(Run(stream, tuple(self.streamed(told)), None))
        self.killed = Killed(prompt, tuple(m.number for m in written), told[-1].text)

    def delete(self, event: Delete) -> None:
        """File, backup and journals go, and mostly the rows."""
        self.deleted = True
        self.shown = ()
        self.backup, self.index = None, None
        self.runs, self.turns = [], []
        if not event.rows_stay:
            self.rows = []

    def wipe(self, event: Wipe) -> None:
        """The list is lost, the head stays. The session list hears nothing of it."""
        before, index = self.live, self.index
        kept: tuple[int, ...] = ()
        boundary = self.live.marks.boundary
        if event.refilled != "nothing":
            rows = list(dict.fromkeys(row.number for row in self.rows if row.number != SUMMARY))
            kept = tuple(n for n in rows if n in before.numbers)
            if boundary is not None or event.refilled == "marks":
                kept = tuple(n for n in kept if self.said[n].row_time <= (boundary or 0.0))
        if self.era.backups and before.numbers:
            self.backup = before
        form = frozenset(kept)
        self.live = replace(before, numbers=kept, context=kept, cards=(), pending=None, row_form=form)
        self.index = index
