"""Search in one session: what every copy of it says, and what has become of that.

What copies say is one hit where they say it of the same message. Where the live file has every message that was found,
nothing has to be merged to see that; else the proposal decides which messages are the same, and which are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from hermes_rescue.core.audit.session import stream_is_live
from hermes_rescue.core.base.jsontext import Piece, number, require_utf8
from hermes_rescue.core.base.progress import Steps
from hermes_rescue.core.hermes.copies import BACKUP, INDEX, LIVE, RUN, TURNS, CopyReader, temp_name
from hermes_rescue.core.hermes.database.statedb_rows import MessageRow, SessionRow, StoredRow
from hermes_rescue.core.hermes.message import Message, message
from hermes_rescue.core.hermes.places.candidate import Candidate, Form
from hermes_rescue.core.hermes.places.forms import contents_of
from hermes_rescue.core.hermes.runs.run_journal import Done
from hermes_rescue.core.hermes.sidecar import FIELD_DEFAULTS, Sidecar, SidecarFile
from hermes_rescue.core.hermes.webui_status import WebUIStatus
from hermes_rescue.core.merge.item import Item
from hermes_rescue.core.merge.proposal import propose
from hermes_rescue.core.merge.sidecar_copies import session_of
from hermes_rescue.core.search.message_texts import Part, parts_of, strings
from hermes_rescue.core.search.query import Excerpt, Query

SUBAGENT = "subagent"
"""The program of a session that an agent of the WebUI's started for itself."""

HITS_SHOWN = 20
"""Hits of a session that are shown one by one; all are counted."""

_FILE = 0.5
"""The share of what is left to do for a session that looking through one of its files takes, about."""

_BLOCK = 2**20
"""Bytes of a file that are looked through in one go."""

_TOGETHER = 2**18
"""Bytes of the texts of rows that are."""

_Key = tuple[str, int, str, tuple[str, ...]]
"""What distinguishes messages: :attr:`hermes_rescue.core.hermes.message.Message.strict_identity` with the hash of the
text.
"""


_Named = Sequence[tuple[str, SidecarFile]]
"""Session files with the names of the copies."""


class Held(StrEnum):
    """What has become of what was found."""

    LIVE = "live"
    LOST = "lost"
    LEFT_OUT = "left out"
    DELETED = "deleted"
    OTHER = "other program"


@dataclass(frozen=True, slots=True)
class Hit:
    """One message, or another part of a session, that has what was looked for. ``copies`` hold it, the most trusted
    first; ``place`` is its position among the messages of the first of them, None for what is no message of its list.
    ``held``: in the live file, lost (a repair brings it back), left out for a ``reason``, in a deleted session, or in
    another program's. ``time`` is in seconds.
    """

    part: Part
    role: str
    time: float | None
    excerpt: Excerpt
    held: Held
    copies: tuple[str, ...]
    place: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SessionHits:
    """The hits of one session, in the order of the conversation, the title first: how many there are by what has become
    of them, and the first ``HITS_SHOWN``. ``program``: whose session it is, None for one of the WebUI's; ``updated`` is
    in seconds.
    """

    session_id: str
    title: str
    updated: float | None
    program: str | None
    counts: Mapping[Held, int]
    hits: tuple[Hit, ...]

    @property
    def count(self) -> int:
        """How many hits there are."""
        return sum(self.counts.values())


class Looked(NamedTuple):
    """What came of a session: its hits, None where it has none, and what of it cannot be read, a sentence each."""

    session_id: str
    hits: SessionHits | None
    problems: tuple[str, ...]


def look(reader: CopyReader, webui: WebUIStatus, session_id: str, steps: Steps, *, query: Query) -> Looked:
    """Search in every copy of a session: a :data:`core.audit.workers.Task`."""
    return _Search(reader, webui, session_id, steps, query).looked()


class _Match(NamedTuple):
    """What one copy has. ``id``: of a row; ``text``: that of the part, where it may be shown."""

    id: int
    key: _Key
    copy: str
    place: int | None
    time: float | None
    part: Part
    text: str | None
    is_foreign: bool = False


class _Finder:
    """Finds what is looked for in one copy after another."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self._shown: Counter[str] = Counter()

    def message(self, m: Message, copy: str, place: int | None = None, row_id: int = 0) -> _Match | None:
        """A message, if it has what is looked for."""
        key = (m.role, hash(m.text), m.answers, m.calls)
        return self.parts(parts_of(m), copy, key, m.time, place, row_id)

    def text(self, part: Part, text: object, copy: str, role: str = "") -> _Match | None:
        """Another text of the session, if it is one and has what is looked for."""
        return self.parts([(part, text)], copy, (role, hash(text), "", ())) if isinstance(text, str) else None

    def card(self, card: Any, copy: str) -> _Match | None:
        """A tool card, if it has what is looked for; it answers the call that it shows."""
        texts = [*strings(card)]
        call = card.get("tid") if isinstance(card, dict) else None
        key = ("tool", hash("\n".join(texts)), call if isinstance(call, str) else "", ())
        return self.parts([(Part.CARD, text) for text in texts], copy, key)

    def parts(
        self,
        parts: Sequence[tuple[Part, str]],
        copy: str,
        key: _Key,
        time: float | None = None,
        place: int | None = None,
        row_id: int = 0,
    ) -> _Match | None:
        """The parts of one message, if they have together what is looked for."""
        at = self.query.found_in([text for _, text in parts])
        if at is None:
            return None
        part, text = parts[at]
        self._shown[copy] += 1
        return _Match(row_id, key, copy, place, time, part, text if self._shown[copy] <= HITS_SHOWN else None)

    def messages(self, pieces: Iterable[Piece], copy: str) -> Iterator[_Match]:
        """Those of a message list that have it."""
        for k, piece in enumerate(pieces):
            if found := self.message(message(piece), copy, k):
                yield found


class _Tally:
    """The hits of a session: all are counted, the first are shown."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self.counts: Counter[Held] = Counter()
        self.shown: list[Hit] = []

    def add(
        self, matches: Sequence[_Match], copies: tuple[str, ...], held: Held, place: int | None = None, reason: str = ""
    ) -> None:
        """What ``copies`` have of one message, of which ``matches`` have what is looked for."""
        self.counts[held] += 1
        one = next((each for each in matches if each.text is not None), None)
        if one is not None and one.text is not None and len(self.shown) < HITS_SHOWN:
            excerpt = self._query.excerpt(one.text)
            self.shown.append(Hit(one.part, one.key[0], one.time, excerpt, held, copies, place, reason))


class _Search:
    """The search in one session."""

    def __init__(self, reader: CopyReader, webui: WebUIStatus, session_id: str, steps: Steps, query: Query) -> None:
        self._reader = reader
        self._webui = webui
        self._finder = _Finder(query)
        self._id = session_id
        self._steps = steps
        self._files = reader.files(session_id, steps)
        self._further = reader.elsewhere(self._files, steps, self._may_hold)
        self._rows: list[tuple[str, SessionRow]] = []
        self._has_rows = False

    def _may_hold(self, candidate: Candidate) -> bool:
        """Whether what is looked for may be in another place."""
        if candidate.form is not Form.FILE:
            return True
        return any(map(self._may_be_in, contents_of([candidate])))

    def _may_be_in(self, data: bytes) -> bool:
        """Whether what is looked for may be in a JSON text."""
        return any(map(self._finder.query.may_be_in, _blocks(data)))

    def looked(self) -> Looked:
        """What came of it."""
        files = self._files
        named = [(LIVE, files.live), *((temp_name(k), each) for k, each in enumerate(files.temps))]
        sidecars = [(name, file) for name, file in (*named, (BACKUP, files.backup)) if file is not None]
        holding = [(name, file) for name, file in sidecars if self._may_be_in_file(file)]
        run = files.run
        if run is not None and not self._may_be_in(run.session):
            run = None
        found = [*self._in_files(holding), *self._in_rows(), *self._in_journals(run), *self._elsewhere()]
        found = _without_known_cards(found)
        titles = self._titles(holding, run)
        titles_found = [each for title, copy in titles if (each := self._finder.text(Part.TITLE, title, copy))]
        program = self._program()
        tally = _Tally(self._finder.query)
        if program is not None:
            for each in {(found.key, found.time): found for found in (*titles_found, *found)}.values():
                tally.add([each], (each.copy,), Held.OTHER)
        else:
            self._add_titles(titles_found, tally)
            self._add_messages(found, tally)
        hits = None
        if tally.shown:
            title = next((title for title, _ in self._titles(sidecars, files.run)), FIELD_DEFAULTS["title"])
            hits = SessionHits(self._id, title, self._updated(sidecars), program, tally.counts, tuple(tally.shown))
        problems = (*(file.problem for _, file in sidecars if file.problem is not None), *files.problems)
        return Looked(self._id, hits, problems)

    def _may_be_in_earlier_runs(self) -> bool:
        """Whether an earlier run may have it, where no row shows what was said before the newest: what rows show is not
        looked for there, since reading all runs would cost more (as in :mod:`core.merge.fast_path`).
        """
        return not self._has_rows and any(self._may_be_in(done.session) for done in self._files.journal.earlier)

    def _may_be_in_file(self, file: SidecarFile) -> bool:
        """Whether a file may have it. Of one whose text is not what its bytes are only its messages would tell."""
        data = file.data or b""
        try:
            require_utf8(data)
        except UnicodeDecodeError:
            return True
        blocks = self._steps.over(_blocks(data), file.size // _BLOCK, _FILE)
        return b"\0" in data or any(map(self._finder.query.may_be_in, blocks))

    def _titles(self, sidecars: _Named, run: Done | None) -> Iterator[tuple[str, str]]:
        """What each copy calls the session, the most trusted first."""
        yield from ((title, name) for title, name in self._named(sidecars, run) if isinstance(title, str) and title)

    def _named(self, sidecars: _Named, run: Done | None) -> Iterator[tuple[object, str]]:
        yield from ((session.get("title"), name) for name, _, session in _sessions(sidecars))
        yield (self._files.index_row or {}).get("title"), INDEX
        yield from ((row.title, name) for name, row in self._rows)
        if run is not None and "title" in run.fields:
            yield run.fields["title"].value, RUN
        yield from ((each.session.get("title"), each.name) for each in self._further if each.session is not None)

    def _updated(self, sidecars: _Named) -> float | None:
        heads = [session.get("updated_at") for _, _, session in _sessions(sidecars)]
        heads.append((self._files.index_row or {}).get("updated_at"))
        heads += (each.session.get("updated_at") for each in self._further if each.session is not None)
        rows = (time for _, row in self._rows for time in (row.ended_at, row.started_at))
        return next((time for time in (*map(number, heads), *rows) if time is not None), None)

    def _program(self) -> str | None:
        """Whose session it is, None for one of the WebUI's."""
        files, rows = self._files, [row for _, row in self._rows]
        if files.live or files.temps or files.backup or files.run or files.turns or not rows:
            return None
        if any(row.is_webui for row in rows) and self._reader.listing.lineage.is_own(self._id):
            return None
        source = rows[0].source or "unknown"
        return SUBAGENT if source == "webui" else source

    def _is_deleted(self) -> bool:
        return self._files.live is None and self._files.deleted

    def _is_live(self) -> bool:
        """Whether the WebUI can load the live file."""
        live = session_of(self._files.live)
        return live is not None and live.damage is None

    def _add_titles(self, found: Sequence[_Match], tally: _Tally) -> None:
        of: dict[_Key, list[_Match]] = {}
        for each in found:
            of.setdefault(each.key, []).append(each)
        for matches in of.values():
            copies = tuple(dict.fromkeys(each.copy for each in matches))
            if self._is_deleted():
                tally.add(matches, copies, Held.DELETED)
            elif LIVE in copies and self._is_live():
                tally.add(matches, copies, Held.LIVE)
            elif self._files.live is None or LIVE in copies:
                tally.add(matches, copies, Held.LOST)
            else:
                tally.add(matches, copies, Held.LEFT_OUT, reason="The session has another title.")

    def _add_messages(self, found: Sequence[_Match], tally: _Tally) -> None:
        own = [each for each in found if not each.is_foreign]
        files = self._files
        is_merged = files.killed or self._may_be_in_earlier_runs()
        if is_merged or not (self._is_live() and _are_all_live(own)):
            known = self._add_merged(own, tally) if own or is_merged else set()
        else:
            copies: dict[_Key, dict[str, None]] = {}
            for each in own:
                copies.setdefault(each.key, {})[each.copy] = None
            for each in own:
                if each.copy == LIVE:
                    tally.add([each], tuple(copies[each.key]), Held.LIVE, each.place)
            known = set(copies)
        for each in found:
            if each.is_foreign and each.key not in known:
                tally.add([each], (each.copy,), Held.OTHER)

    def _add_merged(self, found: Sequence[_Match], tally: _Tally) -> set[_Key]:
        """Hits as the proposal has the messages. Returns what was found."""
        copies = self._reader.with_databases(self._files, self._steps)
        proposal = propose(copies, stream_is_live=stream_is_live(copies, self._webui))
        there = {(each.copy, each.place): each for each in found if each.place is not None}
        merged: list[tuple[str, Sequence[Message]]] = [(copy.name, copy.messages) for copy in copies.databases]
        merged += ((copy.name, copy.messages) for copy in copies.further if copy.is_run)
        for name, messages in merged:
            for k, m in enumerate(messages):
                if (each := self._finder.message(m, name, k)) is not None:
                    there[name, k] = each
        known: set[_Key] = set()
        for item in proposal.items:
            matches = [there[name, item.places[name]] for name in item.copies if (name, item.places.get(name)) in there]
            if not item.places and (restored := self._finder.message(item.message, item.copies[0])) is not None:
                matches = [restored]
            if matches:
                known.update(each.key for each in matches)
                reason = item.reason.sentence if item.reason is not None and not item.included else ""
                held = self._held(item.copies, is_left_out=not item.included)
                tally.add(matches, item.copies, held, item.places.get(item.copies[0]), reason)
        joined = {copy.name for copy in copies.databases if copy.row.is_gateway}
        prompts = {hash(turn.text): turn.text for turn in copies.turns}
        for each in found:
            if each.key in known or (each.copy in joined and each.part is Part.TEXT):
                continue
            if each.copy == TURNS and _is_asked(prompts[each.key[1]], proposal.items):
                continue
            known.add(each.key)
            tally.add([each], (each.copy,), self._held((each.copy,)), each.place)
        return known

    def _held(self, copies: Iterable[str], *, is_left_out: bool = False) -> Held:
        if self._is_deleted():
            return Held.DELETED
        if is_left_out:
            return Held.LEFT_OUT
        return Held.LIVE if LIVE in copies and self._is_live() else Held.LOST

    def _in_files(self, sidecars: _Named) -> Iterator[_Match]:
        finder, steps = self._finder, self._steps
        for name, file, session in _sessions(sidecars):
            yield from finder.messages(steps.over(session.messages, len(session.messages), _FILE), name)
            left_over = (found._replace(place=None) for found in finder.messages(session.after_end, name))
            others = (
                *(
                    finder.text(Part.PROMPT, text, name, "user")
                    for field in ("pending_user_message", "composer_draft")
                    for text in strings(session.get(field))
                ),
                *(finder.card(card, name) for card in _cards(session) if file is self._files.leading),
            )
            yield from (found for found in (*left_over, *others) if found is not None)

    def _in_rows(self) -> Iterator[_Match]:
        def read(rows: Iterable[MessageRow]) -> Iterator[_Match]:
            for row in rows:
                if found := self._finder.message(message(Piece(None, row.message, 2)), "", row_id=row.id):
                    yield found

        for name, row, matches in self._reader.messages_with(self._id, self._wanted, read, self._steps):
            self._rows.append((name, row))
            yield from (each._replace(copy=name, is_foreign=not row.is_webui) for each in matches)

    def _wanted(self, rows: Iterator[StoredRow]) -> Iterator[StoredRow]:
        """Those of the rows that may have it."""
        may_be_in = self._finder.query.may_be_in
        for some in _together(rows):
            self._has_rows = self._has_rows or bool(some)
            if may_be_in([text for row in some for text in _texts(row)]):
                yield from (row for row in some if may_be_in(_texts(row)))

    def _elsewhere(self) -> Iterator[_Match]:
        for copy in self._further:
            found = (self._finder.message(m, copy.name, k) for k, m in enumerate(copy.messages))
            yield from (each for each in found if each is not None)

    def _in_journals(self, run: Done | None) -> Iterator[_Match]:
        if run is not None:
            yield from self._finder.messages(run.messages, RUN)
        prompts = (self._finder.text(Part.PROMPT, turn.text, TURNS, "user") for turn in self._files.turns)
        yield from (each for each in prompts if each is not None)


def _sessions(sidecars: _Named) -> Iterator[tuple[str, SidecarFile, Sidecar]]:
    for name, file in sidecars:
        session = session_of(file)
        if session is not None:
            yield name, file, session


def _blocks(data: bytes) -> Iterator[tuple[bytes]]:
    """A file in pieces, cut where no word is: at spaces."""
    start = 0
    while start < len(data):
        end = data.find(b" ", start + _BLOCK) + 1 or len(data)
        yield (data[start:end],)
        start = end


def _together(rows: Iterable[StoredRow]) -> Iterator[list[StoredRow]]:
    """Rows in groups that are not long: to look through many in one go takes a fraction of the time."""
    some: list[StoredRow] = []
    size = 0
    for row in rows:
        some.append(row)
        size += sum(map(len, _texts(row)))
        if size >= _TOGETHER:
            yield some
            some, size = [], 0
    yield some


def _texts(row: Iterable[Any]) -> list[bytes]:
    return [value for value in row if isinstance(value, bytes)]


def _cards(session: Sidecar) -> Sequence[Any]:
    cards = session.get("tool_calls")
    return cards if isinstance(cards, list) else ()


def _without_known_cards(found: Sequence[_Match]) -> list[_Match]:
    """Without the cards of calls that are found as messages as well."""
    calls = {call for each in found if each.part is not Part.CARD for call in (each.key[2], *each.key[3]) if call}
    return [each for each in found if each.part is not Part.CARD or each.key[2] not in calls]


def _are_all_live(found: Iterable[_Match]) -> bool:
    """Whether the live file has everything that was found in other copies, as often."""
    of: dict[str, Counter[_Key]] = {LIVE: Counter()}
    for each in found:
        of.setdefault(each.copy, Counter())[each.key] += 1
    return all(counts <= of[LIVE] for counts in of.values())


def _is_asked(prompt: str, items: Sequence[Item]) -> bool:
    return any(prompt.strip() in item.message.text for item in items if item.message.role == "user")
