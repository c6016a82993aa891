"""Runs that were killed: what is left of a prompt and its answer, in the form that the WebUI gives it.

recovery.md, section 4: the prompt and what rows and journal have of the answer are put in, once. The agent writes a row
at the start and after every tool step, with calls and whole results; the journal has every word that the user saw, but
of a result only a preview. So the rows lead, and what the journal has beyond them goes in between: texts and thoughts
as messages of their own, calls without a result as tool cards. A message never keeps a call that nothing answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from hermes_rescue.core.base.jsontext import NotJSONError, loads, number
from hermes_rescue.core.hermes.message import IMAGE, REASONING, visible_text
from hermes_rescue.core.hermes.runs.run_journal import RunJournal
from hermes_rescue.core.hermes.runs.run_steps import Call, Step, marked, steps
from hermes_rescue.core.hermes.runs.turn_journal import SubmittedTurn

_SNIPPET = 4000
"""Characters of a result that a tool card shows."""

_WHOLE_SECOND = 1.0
"""Seconds by which the stamp of a prompt can be early: some are cut to whole seconds, none else is before its turn."""

_THOUGHT = re.compile(r"<think(?:ing)?\b[^>]*>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_BLOT = re.compile(r"\S{3,8}\.\.\.\S{2,6}|\*{3,}|\[REDACTED[^\]]*\]")
_PROOF = 8
"""Characters before a blotted secret that make two texts the same one."""


class DeadRun(NamedTuple):
    """A run that did not come to an end. ``prompt`` is its user message, None where nothing says what was asked;
    ``started_at`` is in seconds.
    """

    stream_id: str
    prompt: dict[str, Any] | None
    started_at: float | None


class Restored(NamedTuple):
    """A message of the turn. ``there``: its position among the messages that were there, None for a new one."""

    message: dict[str, Any]
    there: int | None


@dataclass(frozen=True, slots=True)
class Recovered:
    """A turn as it is to be: each message once, in order, and the tool cards that are not there yet.

    ``assistant_msg_idx`` of a card counts from the first of these messages.
    """

    messages: tuple[Restored, ...]
    cards: tuple[dict[str, Any], ...]

    @property
    def context(self) -> tuple[dict[str, Any], ...]:
        """What the model is to see of it: no thoughts that only the journal has, and no message without words."""
        return tuple(
            message if there is not None else {key: value for key, value in message.items() if key not in REASONING}
            for message, there in self.messages
            if there is not None or visible_text(message.get("content")).strip()
        )


def dead_runs(head: Mapping[str, Any], turns: Sequence[SubmittedTurn], journal: RunJournal) -> tuple[DeadRun, ...]:
    """The runs of a session that did not come to an end, the oldest first, each with its prompt.

    ``head`` are the fields of the live file. A run is known by its stream: the name of its file, the ``stream_id`` of
    its submitted turn, and ``active_stream_id``; each of them can be missing. Whether a WebUI is still at one of them
    is for the caller to know; and the transcript may hold what is left of one already.
    """
    active = head.get("active_stream_id")
    sent = {turn.stream_id: turn for turn in turns if turn.stream_id}
    runs = {run.stream_id: run for run in journal.unended}
    streams = {*runs, *(stream for stream, turn in sent.items() if not turn.ended)}
    if isinstance(active, str) and active:
        streams.add(active)
    found = []
    for stream in streams:
        if stream not in runs and journal.has_ended(stream):
            continue
        turn = sent.get(stream)
        prompt = pending_prompt(head) if stream == active else None
        if prompt is None and turn is not None:
            prompt = prompt_message(turn.content, turn.attachments, turn.created_at)
        begun = number(prompt.get("timestamp")) if prompt is not None else None
        found.append(DeadRun(stream, prompt, runs[stream].started_at if begun is None and stream in runs else begun))
    return tuple(sorted(found, key=lambda run: (run.started_at or 0.0, run.stream_id)))


def prompt_message(
    content: Any, attachments: Iterable[Any] = (), sent_at: float | None = None, source: Any = None
) -> dict[str, Any]:
    """The message of a prompt that no copy of the transcript holds."""
    message: dict[str, Any] = {"role": "user", "content": content}
    if sent_at is not None:
        message["timestamp"] = sent_at
    message["_recovered"] = True
    if isinstance(source, str) and source not in ("", "webui"):
        message["_source"] = source
    if listed := list(attachments):
        message["attachments"] = listed
    return message


def asked(prompt: Mapping[str, Any]) -> tuple[str, ...]:
    """What a prompt asks; of a run and of its message it is the same."""
    return tuple(visible_text(prompt.get("content"), "user").replace(IMAGE, "").split())


def may_have_sent(run: DeadRun, arrived: float | None) -> bool:
    """Whether a message of this time can be the prompt of a run: it was not sent before it."""
    sent = None if run.prompt is None else number(run.prompt.get("timestamp"))
    return sent is None or arrived is None or arrived > sent - _WHOLE_SECOND


def pending_prompt(head: Mapping[str, Any]) -> dict[str, Any] | None:
    """The message of the prompt that waits in these fields of a live file, None where none does."""
    content, attachments = head.get("pending_user_message"), head.get("pending_attachments")
    if not isinstance(content, str) or not content.strip():
        return None
    return prompt_message(
        content,
        attachments if isinstance(attachments, list) else (),
        number(head.get("pending_started_at")),
        head.get("pending_user_source"),
    )


def recover(
    run: DeadRun,
    events: Iterable[Mapping[str, Any]],
    there: Sequence[Mapping[str, Any]] = (),
    cards: Sequence[Any] = (),
) -> Recovered:
    """The turn of a run that was killed: everything that the other copies have of it, and the journal's events, once.

    ``there`` are the messages of this turn in the form of a sidecar, in order, from its prompt on where that is there,
    without repetitions; ``cards`` the tool cards of the session.
    """
    union = _Union(run, there)
    for step in steps(run.stream_id, events):
        union.add(step)
    return union.finished(cards)


class _Union:
    """Puts the steps of a run among the messages that are there, in the order of both."""

    def __init__(self, run: DeadRun, there: Sequence[Mapping[str, Any]]) -> None:
        self._stream_id = run.stream_id
        self._there = [dict(message) for message in there]
        self._made = [_calls(message) for message in self._there]
        self._callers = {call.id: k for k, calls in enumerate(self._made) for call in calls if call.id}
        self._next = 0  # the first message that is not taken over yet
        self._out: list[Restored] = []
        self._row: int | None = None  # the message of _there that said the last words
        self._unplaced = ""  # what it says beyond them
        self._cards: dict[int, list[Call]] = {}  # calls that no message has, by the position in _out that shows them
        self._calls: dict[str, Call] = {}  # calls that a message of _there has, by the id that they have there
        self._take_prompt(run.prompt)

    def _take_prompt(self, prompt: dict[str, Any] | None) -> None:
        if self._there and self._there[0].get("role") == "user":
            if prompt is not None and prompt.get("attachments") and not self._there[0].get("attachments"):
                self._there[0]["attachments"] = prompt["attachments"]
            self._take(1)
        elif prompt is not None:
            self._out.append(Restored(prompt, None))

    def add(self, step: Step) -> None:
        """Add a step, or find that it is there."""
        words = _plain(step.text)
        caller = self._caller(step, words)
        rest, found_row = self._find(words, caller)
        if found_row is None and caller is None and not words:
            found_row = self._row_of_thought(step)
        row = caller if found_row is None else found_row
        if row is not None:
            self._take_row(row)
            self._give_thought(row, step.reasoning)
        if caller is not None and caller != found_row:
            self._take_row(caller)
            self._unplaced = ""
            if rest and not _words(self._there[caller]):
                self._there[caller]["content"] = step.text if found_row is None else rest
        elif rest or (row is None and (step.text or step.reasoning)):
            self._add(step if found_row is None else step._replace(text=rest, reasoning=""))
        for call in step.calls:
            self._place(call, is_new=caller is None and bool(rest))

    def _caller(self, step: Step, words: str) -> int | None:
        """The message that makes the first call of a step which any message makes."""
        row = next((self._callers[call.id] for call in step.calls if call.id in self._callers), None)
        if row is None and step.calls and not words and not step.calls[0].id:
            row = self._silent_caller(step.calls[0].name)
        return row

    def _find(self, rest: str, caller: int | None) -> tuple[str, int | None]:
        """The words of a step that no message says, and the last message that says some of them. One message can say
        what several steps did, and the other way round.
        """
        found_row = None
        if rest and self._unplaced and self._row is not None:
            rest, found_row = self._matched(self._unplaced, rest, self._row)
        for k in range(self._next, len(self._there) if caller is None else caller + 1):
            if rest and (words := _words(self._there[k])):
                rest, found = self._matched(words, rest, k)
                found_row = found_row if found is None else found
        return rest, found_row

    def _matched(self, words: str, rest: str, row: int) -> tuple[str, int | None]:
        """Hold the words of a message against those of a step: what is left of the step, and the message if it says
        the same.
        """
        left = _after(words, rest)
        if left is not None:
            self._unplaced = left.strip()
            return "", row
        beyond = _after(rest, words)
        if beyond is not None and beyond[:1].isspace():  # a message ends with a word; a run can be killed within one
            self._unplaced = ""
            return beyond.strip(), row
        return rest, None

    def _row_of_thought(self, step: Step) -> int | None:
        """The next message, if it is what came of the thought of a step that says nothing."""
        message = self._there[self._next] if self._next < len(self._there) else {}
        if not step.reasoning or message.get("role") != "assistant" or message.get("_error"):
            return None
        thought = next((text for name in REASONING if isinstance(text := message.get(name), str) and text), "")
        if thought:
            fits = _after(thought, step.reasoning) is not None and not (step.calls and _words(message))
        else:
            fits = not step.calls  # the run was killed before the words
        return self._next if fits else None

    def _give_thought(self, row: int, reasoning: str) -> None:
        message = self._there[row]
        if reasoning and not any(message.get(name) for name in REASONING):
            message["reasoning"] = reasoning

    def _add(self, step: Step) -> None:
        """A message that only the journal has."""
        message: dict[str, Any] = {"role": "assistant", "content": step.text}
        if step.at is not None:
            message["timestamp"] = step.at
        message |= marked(self._stream_id)
        if step.reasoning:
            message["reasoning"] = step.reasoning
        self._out.append(Restored(message, None))

    def _place(self, call: Call, *, is_new: bool) -> None:
        """Find the message that makes a call; one that none makes belongs to what was said last. ``is_new``: only the
        journal has that.
        """
        row, call_id = self._callers.get(call.id), call.id
        if row is None and not call.id and not is_new:
            candidates = (self._row, self._silent_caller(call.name))
            named = ((k, i) for k in candidates if k is not None and (i := self._named(k, call.name)) is not None)
            row, call_id = next(named, (None, ""))
        if row is not None:
            self._take_row(row)
            self._calls[call_id] = call
            return
        if not is_new and self._next < len(self._there) and self._is_holder(self._next):
            self._take_row(self._next)
        answers = (k for k in reversed(range(len(self._out))) if self._out[k].message.get("role") == "assistant")
        anchor = next(answers, None)
        if anchor is None:
            self._add(Step("", "", call.at, ()))
            anchor = len(self._out) - 1
        self._cards.setdefault(anchor, []).append(call)

    def _is_holder(self, row: int) -> bool:
        """Whether a message is there only to hold the cards of this run's calls."""
        message = self._there[row]
        is_mine = message.get("_recovered_stream_id") == self._stream_id
        return is_mine and not (_words(message) or self._made[row] or any(message.get(name) for name in REASONING))

    def _silent_caller(self, name: str) -> int | None:
        """The next message with calls, if it says nothing else and one of them is of that name."""
        row = next((k for k in range(self._next, len(self._there)) if self._made[k]), None)
        return None if row is None or _words(self._there[row]) or self._named(row, name) is None else row

    def _named(self, row: int, name: str) -> str | None:
        """The id of a call of that name in a message, of which the journal has not had yet."""
        return next((i for i, called, _ in self._made[row] if i and called == name and i not in self._calls), None)

    def _take_row(self, row: int) -> None:
        """Take over all messages up to one, and the results of its calls."""
        if row < self._next:
            return
        self._take(row + 1)
        while self._next < len(self._there) and self._there[self._next].get("role") == "tool":
            self._take(self._next + 1)
        self._row = row

    def _take(self, end: int) -> None:
        for k in range(self._next, end):
            self._out.append(Restored(self._there[k], k))
        self._next = max(self._next, end)

    def finished(self, cards: Sequence[Any]) -> Recovered:
        """The whole turn, without the calls that nothing answers and the cards that are there."""
        self._take(len(self._there))
        results = {str(each.get("tool_call_id")): each for each in self._there if each.get("role") == "tool"}
        if not (self._cards or any(self._made)):
            return Recovered(tuple(self._out), ())
        known = {(card.get("tid"), card.get("_recovered_stream_id")) for card in cards if isinstance(card, dict)}
        shown = {tid for tid, _ in known}
        found: list[dict[str, Any]] = []
        for position, (message, there) in enumerate(self._out):
            calls = () if there is None else self._made[there]
            made = [self._card(call, results) for call in calls if call.id]
            made += [(call.card, call.seq) for call in self._cards.get(position, ())]
            found += [
                {**card, "assistant_msg_idx": position}
                for card, seq in made
                if card["tid"] not in shown and (f"journal-{seq}", self._stream_id) not in known
            ]
            self._drop_unanswered(message, results)
        return Recovered(tuple(self._out), tuple(found))

    def _card(self, call: _Called, results: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
        """The card of a call that a message makes, and the number of its event."""
        placed = self._calls.get(call.id)
        seq = None if placed is None else placed.seq
        if call.id in results:
            snippet = _snippet(results[call.id].get("content"))
            return {"name": call.name, "snippet": snippet, "tid": call.id, "args": call.args}, seq
        if placed is not None:
            return placed.card, seq
        empty = {"name": call.name, "preview": "", "snippet": "", "tid": call.id, "args": call.args, "done": False}
        return {**empty, **marked(self._stream_id)}, None

    def _drop_unanswered(self, message: dict[str, Any], results: Mapping[str, Any]) -> None:
        listed = message.get("tool_calls")
        if not isinstance(listed, list):
            return
        kept = [call for call in listed if not (call_id := _id(call)) or call_id in results]
        if len(kept) == len(listed):
            return
        if kept:
            message["tool_calls"] = kept
            return
        del message["tool_calls"]
        if not _words(message):
            message |= marked(self._stream_id)


class _Called(NamedTuple):
    """A call in a message, its arguments as a tool card shows them."""

    id: str
    name: str
    args: dict[str, Any]


def _calls(message: Mapping[str, Any]) -> list[_Called]:
    listed = message.get("tool_calls")
    found = []
    for call in listed if isinstance(listed, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        function = function if isinstance(function, dict) else {}
        found.append(_Called(_id(call), str(function.get("name") or "tool"), _arguments(function.get("arguments"))))
    return found


def _id(call: Any) -> str:
    return str(call.get("id") or call.get("call_id") or "") if isinstance(call, dict) else ""


def _arguments(written: Any) -> dict[str, Any]:
    try:
        value = loads(written) if isinstance(written, str) else written
    except NotJSONError:
        return {}
    return {name: str(each)[:_SNIPPET] for name, each in value.items()} if isinstance(value, dict) else {}


def _snippet(result: Any) -> str:
    """What a tool card shows of a result: what the tool printed, of a result in the usual form."""
    text = visible_text(result)
    try:
        value = loads(text)
    except NotJSONError:
        return text[:_SNIPPET]
    if isinstance(value, dict):
        text = str(value.get("output") or value.get("result") or value.get("error") or text)
    return text[:_SNIPPET]


def _words(message: Mapping[str, Any]) -> str:
    """What a message of the assistant says; a notice that its answer was interrupted says nothing of the answer."""
    if message.get("role") != "assistant" or message.get("_error"):
        return ""
    return _plain(visible_text(message.get("content")))


def _plain(text: str) -> str:
    """A text without the thoughts in it, which a row keeps apart."""
    return _THOUGHT.sub("", text).strip()


def _after(whole: str, beginning: str) -> str | None:
    """What follows when one text begins with another, whatever the white space; None where it does not. A secret that
    is blotted out in one of them stands for whatever the other has there.
    """
    if not beginning.strip() or whole.lstrip()[:1] != beginning.lstrip()[:1]:
        return None
    plain, begun = "".join(whole.split()), "".join(beginning.split())
    if plain.startswith(begun):
        return _skip(whole, len(begun))
    blots = _BLOT.split(beginning)
    if len(blots) > 1:
        return _after_all(whole, blots)
    return _after_some(_BLOT.split(whole), beginning)


def _skip(text: str, count: int) -> str:
    """The text after so many characters that are no white space."""
    for found in re.finditer(r"\S+", text):
        if count <= len(found[0]):
            return text[found.start() + count :]
        count -= len(found[0])
    return ""


def _after_all(whole: str, pieces: Sequence[str]) -> str | None:
    """What follows the pieces of a text with blotted secrets."""
    if len(pieces[0]) < _PROOF or not whole.startswith(pieces[0]):
        return None
    at = 0
    for piece in pieces:
        at = whole.find(piece, at)
        if at < 0:
            return None
        at += len(piece)
    return whole[at:]


def _after_some(pieces: Sequence[str], beginning: str) -> str | None:
    """What is left of the pieces of a text with blotted secrets, of which the beginning is known in full."""
    if len(pieces) < 2 or len(pieces[0]) < _PROOF or not beginning.startswith(pieces[0]):
        return None
    at = 0
    for k, piece in enumerate(pieces):
        found = beginning.find(piece, at)
        if found < 0:
            return "".join(pieces[k:])
        at = found + len(piece)
    return "" if not beginning[at:].strip() or not pieces[-1] else None
