"""Whose conversation a row of ``sessions`` is part of: compactions, side runs, subagents (formats.md, "Lineage").

A compaction by rotation ends a session's row and goes on under a child. What the WebUI does then differs by version: it
renames the file to the child's id; it leaves the old file as a hidden snapshot beside the child's, which has the whole;
or it keeps the old id, and nothing but the database knows the child. Which of these it was shows in what else of the
WebUI knows an id (a file, an index row, a journal), not in a version number. Only rows with a parent are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from hermes_rescue.core.hermes.database.statedb_rows import SIDE_RUNS, Claim, SessionRow

COMPRESSION = "compression"
SNAPSHOT_FIELD = "pre_compression_snapshot"

_RACE = 1.0
"""Seconds by which a child may seem to begin before its parent was ended: the agent writes both at once."""

_TOGETHER_SECONDS = 0.1
"""Seconds within which nobody sends a second prompt: such prompts were written together, as a copy."""

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Known:
    """What of the WebUI knows an id, apart from the databases.

    ``sidecars``: those with a live file; ``kept``: those with a backup, a leftover temp, an index row; ``others``:
    those with a journal or a tombstone. ``head``: the fields of a session as its file's head or else its index row
    has them, empty where there is neither.
    """

    sidecars: Container[str]
    kept: Sequence[Container[str]]
    others: Sequence[Container[str]]
    head: Callable[[str], Mapping[str, Any]]

    def __contains__(self, session_id: object) -> bool:
        return self.is_left(session_id) or any(session_id in each for each in self.others)

    def is_left(self, session_id: object) -> bool:
        """Whether more than journals says that it had a file."""
        return session_id in self.sidecars or any(session_id in each for each in self.kept)

    def is_snapshot(self, session_id: str) -> bool:
        """Whether it is a hidden half from before a compaction: whoever made it follows its child."""
        return self.head(session_id).get(SNAPSHOT_FIELD) is True

    def is_followed(self, session_id: str, by: str) -> bool:
        """Whether the WebUI went on from one id to another: the second holds what the first one did."""
        is_left = session_id not in self.sidecars or self.is_snapshot(session_id)
        return is_left or self.head(by).get("parent_session_id") == session_id


@dataclass(frozen=True, slots=True)
class Lineage:
    """What the parents of the rows say of sessions; whoever is not in it stands alone.

    ``parts``: from the id of a session to those of the rows that its conversation lies under, in order, its own among
    them (see :func:`core.hermes.database.continuation.joined`). ``owners``: from the id of a row that is no session of
    its own to the session whose conversation it is part of. ``goes_on``: from a session to the rows under which its
    conversation goes on, up to the session that holds all of it. ``side_runs``: subagents, which agents up to 0.16 gave
    the source of their parent. ``doubtful``: continuations beside another one of the same session.
    """

    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)
    goes_on: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    side_runs: frozenset[str] = frozenset()
    doubtful: frozenset[str] = frozenset()

    def of(self, session_ids: Collection[str]) -> Self:
        """The part that is about some sessions."""
        return type(self)(
            {each: self.parts[each] for each in session_ids if each in self.parts},
            {each: self.owners[each] for each in session_ids if each in self.owners},
            {each: self.goes_on[each] for each in session_ids if each in self.goes_on},
            self.side_runs.intersection(session_ids),
            self.doubtful.intersection(session_ids),
        )

    def about(self, session_id: str) -> tuple[object, ...]:
        """All that is said of one session: what an answer that is kept for it depends on."""
        return (
            self.parts.get(session_id),
            self.owners.get(session_id),
            self.goes_on.get(session_id),
            session_id in self.side_runs,
            session_id in self.doubtful,
        )

    def is_own(self, session_id: str) -> bool:
        """Whether a session of that id is meant to exist, as far as parents show."""
        return session_id not in self.owners and session_id not in self.side_runs


def recognised(row: SessionRow, known: Known) -> tuple[SessionRow, str]:
    """The row, marked where something else of the WebUI knows its id and that decides whose it is, and the id of the
    sidecar that it is about (its own where it is about none).
    """
    claim = row.claim
    if claim is Claim.YES:
        return row, row.named or row.id
    if row.can_be_taken_over:  # while the file is there, the rows are no copy of it: it need not keep up with them
        is_known = row.id in known and row.id not in known.sidecars
    elif claim is Claim.IF_KEPT:
        is_known = row.id in known.sidecars
    else:
        is_known = claim is not Claim.NO and row.id in known
    if is_known:
        row = row.as_known()
    return row, row.sidecar_id or row.id


def beside_damage(rows: Sequence[SessionRow]) -> tuple[SessionRow, ...]:
    """The rows of a session whose file cannot be loaded as it is: those of another program's conversation, which a
    person took into the WebUI, are copies of it then.
    """
    return tuple(row.as_known() if row.can_be_taken_over else row for row in rows)


def as_one(rows: Sequence[SessionRow], session_id: str) -> SessionRow:
    """The row of a session whose conversation lies under several ids, parents first: its own, or the newest, with the
    beginning of the first one and its title, which the agent only numbers (``... #2``).
    """
    own = next((row for row in rows if row.id == session_id), rows[-1])
    first = {name: value for name in ("title", "started_at") if (value := rows[0].get(name)) is not None}
    return own if own is rows[0] else SessionRow.of(own.id, {**own.columns, **first}, is_known=own.is_known)


def trace(
    databases: Sequence[Mapping[str, SessionRow]], known: Known, has_summary: Callable[[str], bool] = lambda _: False
) -> Lineage:
    """Follow the parents of all rows. ``databases``: the session rows of each by id; ``has_summary``: whether the
    messages of a session begin with a compaction's (asked only of children whose parent does not say it was compacted).
    """
    rows = _Rows(databases, known, has_summary)
    return _Forest(rows, known).lineage()


class _Rows:
    """Rows with a parent: ``parents`` of continuations, by the ids of the sidecars that the rows are about."""

    def __init__(
        self, databases: Sequence[Mapping[str, SessionRow]], known: Known, has_summary: Callable[[str], bool]
    ) -> None:
        self.parents: dict[str, str] = {}
        self.started: dict[str, float] = {}
        self.side_runs: set[str] = set()
        for database in databases:
            for row in database.values():
                parent_id = row.get("parent_session_id")
                if isinstance(parent_id, str) and parent_id and parent_id != row.id and row.claim is not Claim.NO:
                    parents = [each[parent_id] for each in databases if parent_id in each]
                    self._note(row, parent_id, parents, known, has_summary)

    def _note(
        self,
        row: SessionRow,
        parent_id: str,
        parents: Sequence[SessionRow],
        known: Known,
        has_summary: Callable[[str], bool],
    ) -> None:
        if row.branched_from is not None or (parents and all(each.claim is Claim.NO for each in parents)):
            return
        name = _name(row)
        if any(_continues(row, each) for each in parents) or has_summary(row.id):
            self.parents[name] = next(map(_name, parents), parent_id)
            self.started[name] = row.started_at or 0.0
        elif parents and row.title is None and name not in known:
            self.side_runs.add(name)


def _name(row: SessionRow) -> str:
    """The id of the sidecar that a row is about."""
    return row.sidecar_id or row.id


def _continues(row: SessionRow, parent: SessionRow) -> bool:
    """Whether a row goes on where a compaction ended its parent; a subagent was started while the parent still ran."""
    if parent.end_reason != COMPRESSION:
        return False
    began, ended = row.started_at, parent.ended_at
    return began is None or ended is None or began >= ended - _RACE


class _Forest:
    """Finds out in each tree whose conversation every node is part of."""

    def __init__(self, rows: _Rows, known: Known) -> None:
        self._rows = rows
        self._known = known
        self._parts: dict[str, tuple[str, ...]] = {}
        self._owners: dict[str, str] = {}
        self._goes_on: dict[str, tuple[str, ...]] = {}
        self._doubtful: set[str] = set()

    def lineage(self) -> Lineage:
        """What all trees say."""
        for tree in self._trees():
            self._follow(tree)
        side_runs = frozenset(self._rows.side_runs)
        return Lineage(self._parts, self._owners, self._goes_on, side_runs, frozenset(self._doubtful))

    def _trees(self) -> Iterator[dict[str, list[str]]]:
        """Each node of a tree, parents before their children, with its children, the oldest first.

        Whoever is its own ancestor, which only a damaged database says, is in none.
        """
        parents = self._rows.parents
        children: dict[str, list[str]] = {}
        for child in sorted(parents, key=self._age):
            children.setdefault(parents[child], []).append(child)
        for root in children.keys() - parents.keys():
            tree: dict[str, list[str]] = {}
            layer = [root]
            while layer:
                tree |= {node: children.get(node, []) for node in layer}
                layer = [child for node in layer for child in tree[node]]
            yield tree

    def _follow(self, tree: Mapping[str, Sequence[str]]) -> None:
        owned: dict[str, list[str]] = {}
        for node in tree:
            owner = self._owner(tree, node)
            owned.setdefault(owner, []).append(node)
            if owner != node:
                self._owners[node] = owner
        for session_id, nodes in owned.items():
            before = self._before(session_id, nodes)
            if len(before) + len(nodes) > 1:
                self._parts[session_id] = (*before, *nodes)

    def _owner(self, tree: Mapping[str, Sequence[str]], node: str) -> str:
        """The session that a node is part of: the node itself where it is one of its own."""
        known = self._known
        below = self._known_below(tree, node)
        if node in known:
            if below is None or not known.is_followed(node, below):
                return node
            if not known.is_left(node):
                return below  # journals stay under the old id when the file is renamed
            self._goes_on[node] = self._path(node, below)
            return node
        if below is not None:
            return below
        top, above = node, self._rows.parents.get(node)
        while above is not None and above not in known:
            top, above = above, self._rows.parents.get(above)
        if above is not None and not known.is_snapshot(above):
            return above  # the WebUI kept this id
        tip = self._tip(tree, top)
        if above is not None and self._known_below(tree, above) is not None:
            self._doubtful.add(tip)
        return tip

    def _known_below(self, tree: Mapping[str, Sequence[str]], node: str) -> str | None:
        """The nearest descendant that the WebUI knows, the newest of equals."""
        layer = tree[node]
        while layer:
            found = [each for each in layer if each in self._known]
            if found:
                return self._newest(found)
            layer = [child for each in layer for child in tree[each]]
        return None

    def _path(self, node: str, below: str) -> tuple[str, ...]:
        """The nodes from one, which is not among them, down to another one."""
        found = [below]
        while (above := self._rows.parents[found[-1]]) != node:
            found.append(above)
        return tuple(found[::-1])

    def _tip(self, tree: Mapping[str, Sequence[str]], node: str) -> str:
        """Where a conversation that nothing of the WebUI knows any more came to last."""
        leaves = []
        layer: Sequence[str] = [node]
        while layer:
            leaves += [each for each in layer if not tree[each]]
            layer = [child for each in layer for child in tree[each]]
        return self._newest(leaves)

    def _newest(self, nodes: Iterable[str]) -> str:
        return max(nodes, key=self._age)

    def _age(self, node: str) -> tuple[float, str]:
        return self._rows.started.get(node, 0.0), node

    def _before(self, session_id: str, nodes: Collection[str]) -> list[str]:
        """The rows above those of a session that its conversation began with, the oldest first."""
        found: list[str] = []
        last, above = session_id, self._rows.parents.get(session_id)
        while above is not None:
            if above in self._known and not self._known.is_followed(above, last):
                break
            if above in self._known:
                last = above
            if above not in nodes:
                found.append(above)
            above = self._rows.parents.get(above)
        return found[::-1]


class Doubt(StrEnum):
    """Why bringing a session without a file back is a question."""

    GOES_ON = "goes on"
    """Its last turn lies in part with the session that goes on, so that where it ended is not known."""
    SIDE_RUN = "side run"
    NO_SOURCE = "no source"
    TAKEN_OVER = "taken over"
    """Another program began it, so that it is not lost without its file."""
    SIBLING = "sibling"
    IN_CLOUD = "in cloud"
    OTHER_FOLDER = "other folder"

    def sentence(self, goes_on: str | None = None) -> str:
        """The reason in words for a person. ``goes_on``: the session that the conversation goes on in."""
        return _SENTENCES[self].format(goes_on)


_SENTENCES = {
    Doubt.GOES_ON: "It is the hidden part from before a compaction; session {} holds all of it and goes on.",
    Doubt.SIDE_RUN: "It has one prompt and no title, like a /btw or /background run, whose file Hermes removes.",
    Doubt.NO_SOURCE: "The database does not say which program the session belongs to.",
    Doubt.TAKEN_OVER: "Another program began it, and Hermes WebUI still shows it from the database, without a file.",
    Doubt.IN_CLOUD: "The file itself is in iCloud: download it, then look again.",
    Doubt.OTHER_FOLDER: "Another sessions folder has its file: check which folder your WebUI uses, or import that one.",
    Doubt.SIBLING: "Another session continues the same conversation.",
}


def is_side_title(title: object) -> bool:
    """Whether a title is one that the WebUI gives to a ``/btw`` or ``/background`` run."""
    return isinstance(title, str) and title.startswith(SIDE_RUNS)


def side_run(
    titles: Iterable[object], turns: Iterable[Event], runs: Iterable[Event], *, is_whole: bool = True
) -> bool | None:
    """Whether a session without a file was a ``/btw`` or ``/background`` run: True, False, or None where nothing says.

    ``titles``: those of its index row and database rows; ``turns`` and ``runs``: the events of its turn and run
    journals, ``is_whole`` that no line of the turn journal is damaged. Such a run is never submitted as a turn:
    ``/background`` starts its worker without that, ``/btw`` leaves no turn and ends with an ``ephemeral`` event
    (formats.md, section state.db).
    """
    events = {event.get("event") for event in turns}
    if "submitted" in events:
        return False
    all_titles = [*titles]
    for event in runs:
        payload = event.get("payload")
        if isinstance(payload, Mapping):
            if payload.get("ephemeral") is True:
                return True
            session = payload.get("session")
            all_titles.append(session.get("title") if isinstance(session, Mapping) else None)
    if any(map(is_side_title, all_titles)) or ("worker_started" in events and is_whole):
        return True
    return False if any(isinstance(title, str) and title for title in all_titles) else None


def is_one_run(started_at: float | None, prompts: Iterable[float | None]) -> bool:
    """Whether just one prompt was sent in a session: a side run has no more, and no less.

    ``prompts``: the times of its user messages, in order. A copy of an older conversation at its beginning, as a
    ``/btw`` run can have, does not count: its prompts are older than the session, or were written at once.
    """
    bursts: list[int] = []
    last: float | None = None
    times = [*prompts]
    for time in times:
        if started_at is not None and time is not None and time < started_at - _RACE:
            continue
        if bursts and last is not None and time is not None and time - last < _TOGETHER_SECONDS:
            bursts[-1] += 1
        else:
            bursts.append(1)
        last = time
    return bool(times) and bursts.count(1) <= 1


def conversations(rows: Sequence[SessionRow], parts: Container[str]) -> Iterator[tuple[SessionRow, ...]]:
    """The rows of a session whose messages are one sequence: all those that its lineage names, and each other one."""
    of_one = tuple(row for row in rows if (row.sidecar_id or row.id) in parts)
    if of_one:
        yield of_one
    yield from ((row,) for row in rows if row not in of_one)
