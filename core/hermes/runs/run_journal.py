"""The run journal of a session: a file of events for each run, of which mostly a few lines are worth reading.

Shapes as in formats.md, "In the state dir". The newest event that holds the whole session is the best witness of what
the user saw; it stands near the end of the newest file, and can be a line of megabytes. So of each file only the
beginning is read to put the runs in order, and more of one, from its end, where somebody asks for it. Times are those
in the events: what the file system says of a copied store is worth nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, zip_longest
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

import msgspec
from hermes_rescue.core.base import files, jsontext
from hermes_rescue.core.base.errors import UnreadableError
from hermes_rescue.core.base.json_lines import LineFile, damage, fields_of, objects
from hermes_rescue.core.base.jsontext import LIST_FIELD, LargeElement, NotJSONError, Piece, is_compact_form, number
from hermes_rescue.core.hermes.message import visible_text
from hermes_rescue.core.hermes.runs.turn_journal import SubmittedTurn, TurnJournal
from hermes_rescue.core.hermes.sidecar import FIELD_DEFAULTS

ENDS = ("done", "cancel", "apperror", "error", "stream_end")  # no set: what is looked up in it can be anything
"""Events after which nothing more of an answer comes."""

SUFFIX = ".jsonl"

NOTHING_SENT = TurnJournal()

_STAMP = 1e-3
"""Seconds within which two stamps are one."""

_HEAD = 4 * 1024
_BEGUN = re.compile(rb'\s*\{[^{}]*?"created_at"\s*:\s*(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)')
"""The time of an event whose line is too long to be read for it: what stands before the payload says it."""


class _Shown(msgspec.Struct):
    session_id: Any = None
    messages: msgspec.Raw = msgspec.Raw()


class _Payload(msgspec.Struct):
    session: _Shown | None = None


class _Event(msgspec.Struct):
    """What is asked of an event."""

    event: Any = None
    terminal: Any = None
    created_at: Any = None
    payload: _Payload = msgspec.field(default_factory=_Payload)


class _Line(NamedTuple):
    """An event, and its text, which a parser of JSON or Python's reads."""

    event: _Event
    text: bytes


_EVENT = msgspec.json.Decoder(_Event)
_WHOLE: Any = msgspec.json.Decoder(
    msgspec.defstruct("_Whole", [("payload", msgspec.defstruct("_Holder", [("session", msgspec.Raw)]))])
)
_SESSION_BEGINS = b'"session":{'
_LIST_BEGINS = b'"messages":['

_T = TypeVar("_T")
Pieces: TypeAlias = Callable[[], Sequence[Piece]]


@dataclass(frozen=True)
class Done:
    """The whole session as it was at the end of a run. ``event`` is the one that holds it: done, or apperror or cancel.

    ``created_at`` is in seconds, ``line`` the text of the event, ``listed`` that of the messages in it. Secrets in the
    title and in the messages are masked by default, and none of the marks of intent is in it, so that their absence
    proves nothing. ``sent``: the prompt of the run, where it is known. ``like``: the messages of a file, each of which
    stands for the one at its place that says the same to the letter, as most do.
    """

    stream_id: str
    event: str
    created_at: float | None
    path: Path
    line: bytes
    listed: msgspec.Raw
    sent: SubmittedTurn | None = None
    like: Pieces = tuple

    @cached_property
    def session(self) -> bytes:
        """The JSON text of the session."""
        try:
            return bytes(_WHOLE.decode(self.line).payload.session)
        except msgspec.MsgspecError:  # only Python reads it
            return jsontext.dumps(jsontext.loads(self.line)["payload"]["session"])

    @cached_property
    def _held(self) -> _Held:
        return _held(self.session, self.like()) or _Held({}, ())

    @cached_property
    def fields(self) -> dict[str, Piece]:
        """Those of the fields that a sidecar has."""
        return _known(self._held.fields)

    @cached_property
    def messages(self) -> tuple[Piece, ...]:
        """All that the session said, the prompt of the run once: after a turn that failed it can stand right before
        the prompt of that turn as well, stamped when it was sent. No message that a user sent earlier is looked at.
        """
        said = self._held.messages
        if self.sent is None or self.sent.created_at is None:
            return said
        again: list[int] = []
        is_found = False
        role = ""
        for k in range(len(said) - 1, -1, -1):
            value = said[k].value
            after, role = role, str(value.get("role") or "") if isinstance(value, dict) else ""
            if role != "user":
                continue
            early = (number(value.get("timestamp")) or 0.0) - self.sent.created_at
            if early < -_STAMP:
                break
            if visible_text(value.get("content"), "user") == self.sent.text:
                if is_found and after == "user" and early <= _STAMP:
                    again.append(k)
                is_found = True
        return tuple(piece for k, piece in enumerate(said) if k not in again) if again else said

    def begins_as(self, events: bytes) -> bool:
        """Whether its messages begin with all those of the only session in a file of events, to the byte. False also
        where only parsing the file would tell.
        """
        at = events.find(_LIST_BEGINS)  # near the beginning of a long line, so that few bytes are looked at
        if at < 0 or events.find(_SESSION_BEGINS, events.rfind(b"\n", 0, at) + 1, at) < 0:
            return False
        at += len(_LIST_BEGINS)
        listed, ends = self._ends
        may_end = (end for end in ends if events.startswith(b"]", at + end))
        found = next((end for end in may_end if events.startswith(listed[:end], at)), None)
        return found is not None and events.find(_LIST_BEGINS, at + found) < 0

    @cached_property
    def _ends(self) -> tuple[bytes, Sequence[int]]:
        """The text of its messages, and how much of it the first ones are, for any number of them. Nothing where that
        is not laid out as the WebUI does.
        """
        try:
            listed = bytes(self.listed)[1:-1]
            places = jsontext.places_of_elements(listed, b",")
        except (msgspec.MsgspecError, RecursionError):
            places = None
        return (b"", ()) if places is None else (listed, (0, *(end for _, end in places)))


@dataclass(frozen=True, slots=True)
class Run:
    """The answer to one prompt, named by its stream. ``started_at`` is the time of its first event (seconds), None
    where no event can be read.
    """

    stream_id: str
    path: Path
    started_at: float | None


class End(NamedTuple):
    """Whether a run came to an end, and the time of its last event in seconds. One that did not was killed, or still
    goes on.
    """

    is_ended: bool
    at: float | None


class RunJournal:
    """The runs of one session. ``paths`` are its files; those of a parent can be among them, for a run that gave the
    session another id ends with the session under the new one, in the folder of the old one. ``known``: the turn
    journal, which knows the order in which the runs began, and their prompts; ``like``: as in :class:`Done`.

    Nothing is read before it is asked for, and nothing that lies on the disk raises.
    """

    def __init__(
        self, session_id: str, paths: Sequence[Path], known: TurnJournal = NOTHING_SENT, like: Pieces = tuple
    ) -> None:
        self.session_id = session_id
        self._paths = paths
        self._known = known
        self._like = like
        self._damaged: dict[Path, int] = {}
        self._unreadable: dict[Path, str] = {}
        self._ends: dict[Path, End] = {}

    @property
    def problems(self) -> tuple[str, ...]:
        """What was wrong with the files as far as they were read, a sentence each: every file that cannot be opened,
        and damaged lines where somebody came upon them. In a run of which nothing is needed they are not looked for:
        nothing would come back from it.
        """
        _ = self.runs
        sentences = {path: damage(path, lines) for path, lines in self._damaged.items() if lines} | self._unreadable
        return tuple(sentences[path] for path in sorted(sentences))

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Every run, the newest first."""
        return tuple(sorted(self._found, key=lambda run: (*self._age[run.stream_id], run.stream_id)))

    @cached_property
    def _found(self) -> tuple[Run, ...]:
        return tuple(Run(path.name.removesuffix(SUFFIX), path, self._started_at(path)) for path in self._paths)

    def _started_at(self, path: Path) -> float | None:
        """When a run began. Whether its last line says that it ended is looked at with that, for opening a file takes
        longer than reading both.
        """
        nothing: tuple[float | None, End | None] = (None, None)
        started_at, end = self._read(path, lambda lines: (_started_at(lines), _seen_end(lines)), nothing)
        if end is not None:
            self._ends[path] = end
        return started_at

    @cached_property
    def _age(self) -> Mapping[str, tuple[bool, float, int]]:
        """What puts the runs in their order: one that began after another did so whatever the clock said."""
        started = {run.stream_id: run.started_at for run in self._found}
        ages = {stream: (at is None, -(at or 0.0), 1) for stream, at in started.items()}
        latest = float("-inf")
        for k, stream in enumerate(self._known.streams):
            if (at := started.get(stream)) is not None:
                latest = max(latest, at)
                ages[stream] = (False, -latest, -k)
        return ages

    @property
    def dones(self) -> Iterator[Done]:
        """The session as it was at the end of each run, the newest first; each is read when it is asked for, and anew
        each time. A run begins after the one before it has ended, so their beginnings show their order.
        """
        return self._dones(self.runs)

    @property
    def earlier(self) -> Iterator[Done]:
        """Those before the newest, without most of those that show no more than how a later one of them begins."""
        later = newest = self.newest
        others = (run for run in self.runs if newest is not None and run.stream_id != newest.stream_id)
        for done in self._dones(run for run in others if not self._is_beginning(run, later)):
            yield done
            later = done

    def _is_beginning(self, run: Run, later: Done | None) -> bool:
        return later is not None and self._read(run.path, lambda lines: later.begins_as(lines.whole()), False)

    def _dones(self, runs: Iterable[Run]) -> Iterator[Done]:
        for _, group in groupby(runs, key=lambda run: self._age[run.stream_id]):
            found = (done for run in group if (done := self.done(run)) is not None)
            yield from sorted(found, key=lambda done: done.created_at or 0.0, reverse=True)

    @cached_property
    def newest(self) -> Done | None:
        """The first of :attr:`dones`."""
        return next(self.dones, None)

    @property
    def unended(self) -> tuple[Run, ...]:
        """The runs that did not come to an end, the newest first. A file without a single event is no run."""
        return tuple(run for run in self.runs if run.started_at is not None and not self.end(run).is_ended)

    def run(self, stream_id: str) -> Run | None:
        """The run of a stream, None where there is no file of it."""
        return next((run for run in self.runs if run.stream_id == stream_id), None)

    def done(self, run: Run) -> Done | None:
        """The session as it was at the end of a run, None where the run does not say."""
        return self._read(run.path, lambda lines: self._last_session(lines, run), None)

    def end(self, run: Run) -> End:
        """How a run ended. Mostly the last line says it; a run that was killed is read whole."""
        if run.path not in self._ends:
            self._ends[run.path] = self._read(run.path, _end, End(False, None))
        return self._ends[run.path]

    def has_ended(self, stream_id: str) -> bool | None:
        """Whether the run of a stream came to an end; None where there is no file of it."""
        run = self.run(stream_id)
        return None if run is None else self.end(run).is_ended

    def events(self, run: Run) -> tuple[dict[str, Any], ...]:
        """Everything that a run says, in order. A run that was killed is small; one that ended holds the session."""
        try:
            found, self._damaged[run.path] = objects(run.path)
        except FileNotFoundError:
            return ()
        except UnreadableError as error:
            self._unreadable[run.path] = str(error)
            return ()
        return tuple(found)

    def _last_session(self, lines: LineFile, run: Run) -> Done | None:
        """The last event that holds this session; a parent's run can hold the parent, too."""
        for event, line in lines.backwards(_event):
            shown = event.payload.session
            if shown is not None and _is_list(shown.messages) and shown.session_id in (None, self.session_id):
                name, when = str(event.event or ""), number(event.created_at)
                sent = self._known.sent_in(run.stream_id)
                return Done(run.stream_id, name, when, run.path, line, shown.messages, sent, self._like)
        return None

    def _read(self, path: Path, read: Callable[[LineFile], _T], otherwise: _T) -> _T:
        try:
            with files.open_regular(path) as (handle, status):
                lines = LineFile(handle, status.st_size)
                found = read(lines)
                self._damaged[path] = max(self._damaged.get(path, 0), lines.damaged)
                return found
        except FileNotFoundError:
            return otherwise
        except UnreadableError as error:
            self._unreadable[path] = str(error)
            return otherwise


class _Held(NamedTuple):
    """A session in an event: all of its fields, and its messages."""

    fields: dict[str, Piece]
    messages: tuple[Piece, ...]


class _Compact(LargeElement):
    """A message of a long line. Its text is made anew in the WebUI's layout, as it would stand in a sidecar."""

    __slots__ = ()

    @property
    def raw(self) -> bytes:
        """The JSON text."""
        return jsontext.dumps(self.value, self._level)

    def _made(self) -> Any:
        assert self._raw is not None
        return jsontext.loads(bytes(self._raw))


def _is_list(raw: msgspec.Raw) -> bool:
    return bytes(memoryview(raw)[:1]) == b"["


def _held(raw: bytes, like: Sequence[Piece] = ()) -> _Held | None:
    document = jsontext.parse_object(raw, is_utf8=True)
    if document.elements is None:
        return None
    messages = tuple(
        other if other is not None and is_compact_form(piece.raw, other) else _laid_out(piece)
        for piece, other in zip_longest(document.elements, like[: len(document.elements)])
    )
    return _Held(document.fields, messages)


def _laid_out(piece: Piece) -> Piece:
    """A message of a line as it would stand in a sidecar."""
    return _Compact(piece.raw, level=2) if isinstance(piece, LargeElement) else Piece(None, piece.value, 2)


def _known(fields: Mapping[str, Piece]) -> dict[str, Piece]:
    """Those that a sidecar has; others are about the moment (``is_streaming``) and must never be written back."""
    return {
        key: Piece(None, piece.value, 1) for key, piece in fields.items() if key in FIELD_DEFAULTS and key != LIST_FIELD
    }


def _value(fields: Mapping[str, Piece], name: str) -> Any:
    piece = fields.get(name)
    return None if piece is None else piece.value


def _started_at(lines: LineFile) -> float | None:
    head = lines.beginning(_HEAD)
    line, is_whole, _ = head.partition(b"\n")
    first = _usual(line) if is_whole else None
    if first is not None and (at := number(first.created_at)) is not None:
        return at
    begun = None if is_whole else _BEGUN.match(head)
    if begun is not None:
        return number(float(begun[1]))
    times = (number(_value(event, "created_at")) for event in lines.forwards())
    return next((at for at in times if at is not None), None)


def _seen_end(lines: LineFile) -> End | None:
    """How a run ended, if a short last line says it, as that of most does; else None."""
    _, is_whole, line = lines.ending(_HEAD).removesuffix(b"\n").rpartition(b"\n")
    last = _usual(line) if is_whole else None
    return End(True, number(last.created_at)) if last is not None and _is_end(last) else None


def _event(line: bytes) -> tuple[_Line | None, bool]:
    """One line as an event, as :meth:`LineFile.backwards` wants it. A session is not parsed where it need not be."""
    usual = _usual(line)
    if usual is not None:
        return _Line(usual, line), True
    found, is_whole = fields_of(line)
    if found is None:
        return None, is_whole
    try:
        payload = _value(found, "payload")
        event, terminal, created_at = (_value(found, name) for name in ("event", "terminal", "created_at"))
    except NotJSONError:  # a number longer than Python reads
        return None, False
    session = payload.get("session") if isinstance(payload, dict) else None
    if not isinstance(session, dict):
        return _Line(_Event(event, terminal, created_at), b""), is_whole
    shown = _Shown(session.get("session_id"), msgspec.Raw(jsontext.dumps(session.get(LIST_FIELD))))
    text = jsontext.dumps({"payload": {"session": session}})
    return _Line(_Event(event, terminal, created_at, _Payload(shown)), text), is_whole


def _usual(line: bytes) -> _Event | None:
    """The same; None where anything is unusual."""
    try:
        jsontext.require_utf8(line)
        return _EVENT.decode(line)
    except (UnicodeDecodeError, msgspec.MsgspecError, RecursionError):
        return None


def _is_end(event: _Event) -> bool:
    return event.terminal is True or event.event in ENDS


def _end(lines: LineFile) -> End:
    at = None
    for event, _ in lines.backwards(_event):
        at = number(event.created_at) if at is None else at
        if _is_end(event):
            return End(True, at)
    return End(False, at)
