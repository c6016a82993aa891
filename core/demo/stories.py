"""The sessions of the demo store: small talk of a person with an assistant, and what then happened to it.

A story is a title, a topic and a chain of acts: ``talk(12), wipe, talk(3)``. An act does to a `Scene` what the real
programs (or a crash) do to a session, so that backups and marks of intent arise where the WebUI would leave them. How
all this looks on disk is the business of `core.demo.demo_store`.
"""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any, Literal

Message = dict[str, Any]
Sidecar = dict[str, Any]
Expect = Literal["repaired", "untouched", "absent", "review"]

MODEL = "anthropic/claude-sonnet-5"
UNTITLED = "Untitled"
MORNING = datetime(2026, 5, 3, 7, tzinfo=UTC).timestamp()
PHOTO = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
    "AAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


@dataclass(frozen=True, slots=True)
class Story:
    """One session of the demo store, and what a repair owes it.

    ``expect`` says what ``repair --all`` does: ``repaired``, ``untouched`` (its files keep every byte), ``absent`` (no
    sidecar appears) or ``review`` (nothing, until the user decides). ``wanted`` is the visible text of each message of
    the right transcript in order, empty for a pure tool call; under ``review``, of the one that a yes brings.
    """

    session_id: str
    name: str
    title: str
    promise: str
    wanted: tuple[str, ...]
    expect: Expect


@dataclass(frozen=True, slots=True)
class Topic:
    """What a conversation is about: questions with their answers, asked of one thing (``{0}``) after the other."""

    project: str
    things: tuple[str, ...]
    exchanges: tuple[tuple[str, str], ...]
    tool: str
    argument: tuple[str, str]
    result: str
    thought: str


KITCHEN = Topic(
    "kitchen",
    ("lentil soup", "apricot jam", "rye bread", "the birthday cake 🎂", "味噌汁", "roast fennel", "plum dumplings"),
    (
        ("How long does {0} keep?", "Four days in the fridge, if {0} has cooled down first; longer in the freezer."),
        ("Can I make {0} for six?", "Yes: half as much again of everything for {0}, but only a third more salt."),
        ("What goes well with {0}?", "Something sour. I would put a quick cucumber pickle beside {0}."),
        ("A shopping list for {0}, please.", "For {0}:\n- butter\n- one lemon\n- onions\n- the spices you are out of"),
        ("{0} came out too salty. Why?", "Most likely the stock. Salt {0} at the very end, and taste before you do."),
        ("continue", "Then comes the slow part: leave {0} alone for twenty minutes, and resist stirring."),
    ),
    "web_search",
    ("query", "{0} recipe"),
    "3 results for {0}. The second one gives times and an oven temperature.",
    "I know {0} only roughly; a recipe with measured times is better than a guess.",
)
TRAVEL = Topic(
    "travel",
    ("Ljubljana", "the night train", "京都", "the ferry to Naxos", "Reykjavík", "the Danube cycle path", "Oaxaca"),
    (
        ("How many days for {0}?", "Three are enough for {0}; with a fourth you need not look at the clock."),
        ("What does {0} cost in October?", "About a third less than in August. Book {0} five weeks ahead."),
        ("What should I pack for {0}?", "For {0}: layers, a rain jacket, and shoes that have already been walked in."),
        ("Can we do {0} with two children?", "Yes, if you plan one thing a day. {0} is easier in the morning."),
        ("Put {0} into the itinerary.", "Done: {0} now stands between the two free days ✈️"),
        ("continue", "After {0} there is a gap of half a day, which is a good place for doing nothing."),
    ),
    "web_search",
    ("query", "timetable and prices: {0}"),
    "Timetable for {0}: daily except Tuesdays, first departure 07:40, last return 19:15.",
    "Prices for {0} change with the season, so look at this year's timetable.",
)
BILLING = Topic(
    "billing",
    ("the invoices table", "the retry worker", "the tax column", "the nightly export", "the rounding", "the old ids"),
    (
        ("Where is {0} used?", "In two places only, and both read. We can move {0} without touching the writers."),
        ("Write the migration for {0}.", "Here is the step for {0}: add, copy in batches of 500, switch over, drop."),
        ("Is there a test for {0}?", "There is one, but it never fails. I wrote a second test for {0} that does."),
        ("What happens to {0} if we roll back?", "Nothing is lost: {0} stays readable under its old name for a week."),
        ("Explain {0} to the support team.", "In a sentence: {0} works as before, only the reports are a day late."),
        ("continue", "The next step after {0} is the dry run on last month's copy. It should report no difference."),
    ),
    "terminal",
    ("cmd", 'grep -rn "{0}" services/'),
    "services/ledger.py:118: # {0}\nservices/ledger.py:204: # see {0} above\n2 matches",
    "Before I change {0} I want to see every place that relies on it.",
)
PARSER = Topic(
    "parser",
    ("the nested quotes", "the trailing comma", "the heredoc", "the last line", "the CRLF files", "a naïve 変数"),
    (
        ("Why does {0} break the parser?", "The lexer decides too early; {0} needs one more token of look-ahead."),
        ("Show me the smallest input for {0}.", "Four characters are enough for {0}: `{{\\n}}` and nothing after it."),
        ("Fix {0}.", "Fixed. {0} now takes the same path as everything else, and the special case is gone."),
        ("Did the fix for {0} make it slower?", "By less than one percent on the corpus, so {0} costs us nothing."),
        ("Add a test for {0}.", "Added: one that fails without the fix for {0} and one for the case next to it."),
        ("continue", "With {0} out of the way, the error message can finally name the right line ✅"),
    ),
    "terminal",
    ("cmd", 'pytest -q -k "{0}"'),
    "F.\n1 failed, 1 passed\nparse error at 3:14, expected a name: {0}",
    "Reproduce {0} first; a fix without a failing test is a guess.",
)
GREEK = Topic(
    "greek",
    ("καλημέρα", "ευχαριστώ", "η θάλασσα", "το βιβλίο", "ο δρόμος", "θα ήθελα", "πόσο κάνει"),
    (
        ("How do I pronounce “{0}”?", "Slowly at first: the accent mark in “{0}” shows which syllable is loud."),
        ("Use “{0}” in a sentence.", "Listen: «Πάντα λέω {0} όταν φτάνω στην αγορά.» Now you, with “{0}”."),
        ("Where does “{0}” come from?", "“{0}” is old; you would recognise it on a stone in the museum."),
        ("Test me on “{0}”.", "Good. Close the book, write “{0}” three times from memory, and send me the third."),
        ("When would I say “{0}”?", "“{0}” fits in every shop and on every ferry. Nobody will find it odd."),
        ("continue", "Next exercise: put “{0}” into the past, and then into a question."),
    ),
    "dictionary",
    ("word", "{0}"),
    "{0}: common, all registers. See also the grammar table, page 41.",
    "The learner has met “{0}” once before, so build on that.",
)


def digest(*parts: str) -> bytes:
    """Bytes that look random and are the same each time."""
    return hashlib.sha256("\0".join(parts).encode()).digest()


def uuid4_hex(*parts: str) -> str:
    """Such bytes in the form of ``uuid4().hex``."""
    return uuid.UUID(bytes=digest(*parts)[:16], version=4).hex


def visible_text(message: Message) -> str:
    """The text a reader sees in a message: its content, or the text parts of a multimodal one."""
    content = message["content"]
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part["type"] == "text")


@dataclass(slots=True)
class Scene:
    """One session while its story happens: what the WebUI has in memory, and which copies lie on disk.

    A sidecar (``live``, ``backup``, ``temp``) is held as the fields that are not at their default; ``harm`` is what
    happened to the bytes of the live one. ``index`` is the sidecar that the index knows. ``rows`` are the messages in
    the agent's database (None: it does not know the session), stamped ``lag`` seconds later than in the sidecar.
    """

    story: str
    title: str
    topic: Topic
    head: Sidecar
    random: random.Random
    clock: float
    lag: float
    messages: list[Message] = field(default_factory=list)
    wanted: list[Message] = field(default_factory=list)
    rows: list[Message] | None = field(default_factory=list)
    prompts: list[Message] = field(default_factory=list)
    live: Sidecar | None = None
    backup: Sidecar | None = None
    temp: Sidecar | None = None
    index: Sidecar | None = None
    harm: Callable[[bytes], bytes] | None = None
    deleted: bool = False
    _subjects: list[tuple[str, tuple[str, str]]] = field(default_factory=list)

    @property
    def session_id(self) -> str:
        """Twelve lower-case hex digits."""
        return str(self.head["session_id"])

    def now(self, low: float = 0.5, high: float = 4.0) -> float:
        """Let some seconds pass and read the clock."""
        self.clock += self.random.uniform(low, high)
        return round(self.clock, 6)

    def prompt(self) -> tuple[Message, str, str]:
        """The next question, with the thing it is about and its answer; none comes twice before all have come."""
        if not self._subjects:
            self._subjects = list(product(self.topic.things, self.topic.exchanges))
            self.random.shuffle(self._subjects)
        thing, (ask, answer) = self._subjects.pop()
        return _message("user", ask.format(thing), self.now(8, 40)), thing, answer.format(thing)

    def converse(self, turns: int, photo: bool = False) -> list[Message]:
        """New turns, which the agent notes in its database if it knows the session. They are all worth keeping."""
        new = [message for turn in range(turns) for message in self.turn(photo=photo and turn == 0)]
        self.wanted += new
        if self.rows is not None:
            self.rows += new
        return new

    def turn(self, photo: bool = False) -> list[Message]:
        """A question, every other time a tool call with its result, and the answer."""
        question, thing, answer = self.prompt()
        if photo:
            image = {"type": "image_url", "image_url": {"url": PHOTO}}
            question["content"] = [{"type": "text", "text": question["content"]}, image]
        turn = [question]
        if self.random.random() < 0.5:
            turn += self._look_up(thing)
        return [*turn, _message("assistant", answer, self.now(2, 15))]

    def _look_up(self, thing: str) -> list[Message]:
        topic, asked_at, answered_at = self.topic, self.now(), self.now()
        name, value = topic.argument
        arguments = json.dumps({name: value.format(thing)}, ensure_ascii=False)
        call_id = "call_" + digest(self.story, str(asked_at)).hex()[:10]
        call = {"id": call_id, "type": "function", "function": {"name": topic.tool, "arguments": arguments}}
        return [
            _message("assistant", "", asked_at) | {"reasoning": topic.thought.format(thing), "tool_calls": [call]},
            _message("tool", topic.result.format(thing), answered_at)
            | {"tool_call_id": call_id, "name": topic.tool, "tool_name": topic.tool},
        ]

    def save(self, **fields: Any) -> None:
        """What the WebUI's save does: it dates the file, and where messages get fewer, the one that was there becomes
        the backup.
        """
        if self.live and len(self.messages) < len(self.live["messages"]):
            self.backup = self.live
        self.clock += 2.0  # so that no row is later
        self.head["updated_at"] = self.clock
        self.live = self.index = self.head | {"messages": list(self.messages)} | fields


Act = Callable[[Scene], None]


def _message(role: str, content: str, timestamp: float) -> Message:
    return {"role": role, "content": content, "timestamp": timestamp}


def talk(turns: int, *, photo: bool = False) -> Act:
    """So many turns, saved by the WebUI and by the agent; the first question may come with a photo."""

    def act(scene: Scene) -> None:
        scene.messages += scene.converse(turns, photo)
        scene.head["title"] = scene.title
        scene.save()

    return act


def go_on_unseen(turns: int) -> Act:
    """The stream to the WebUI breaks in mid-turn: the agent writes on, the sidecar still waits for it."""

    def act(scene: Scene) -> None:
        prompt = scene.converse(turns)[0]
        scene.head |= {
            "active_stream_id": uuid4_hex(scene.story, "stream"),
            "pending_user_message": prompt["content"],
            "pending_started_at": prompt["timestamp"],
        }
        scene.save(updated_at=prompt["timestamp"])

    return act


def wipe(scene: Scene) -> None:
    """A session that was loaded without its messages is saved: the live file keeps only the head."""
    scene.messages = []
    scene.save()


def clear(scene: Scene) -> None:
    """The user clears the conversation, and the WebUI removes the backup. The next turn gives it a title again."""
    scene.messages, scene.wanted = [], []
    scene.head |= {
        "title": UNTITLED,
        "truncation_watermark": 0.0,
        "truncation_boundary": 0.0,
        "clear_generation": uuid4_hex(scene.story, "clear"),
        "intentional_shrink_generation": uuid4_hex(scene.story, "shrink"),
    }
    scene.save()
    scene.backup = None


def undo(scene: Scene) -> None:
    """The user takes the last turn back."""
    _cut_last_turn(scene)
    scene.wanted = list(scene.messages)
    scene.head["truncation_boundary"] = scene.head["truncation_watermark"]
    scene.head["intentional_shrink_generation"] = uuid4_hex(scene.story, "shrink")
    scene.save()


def undo_before_marks(scene: Scene) -> None:
    """The same with a WebUI from before August 2026, which left a watermark and no generation."""
    _cut_last_turn(scene)
    scene.save()


def _cut_last_turn(scene: Scene) -> None:
    start = max(place for place, message in enumerate(scene.messages) if message["role"] == "user")
    scene.messages = scene.messages[:start]
    scene.head["truncation_watermark"] = scene.messages[-1]["timestamp"]


def back_up(scene: Scene) -> None:
    """An earlier mishap, since mended, left a backup of what the live file holds now."""
    scene.backup = scene.live


def lose(scene: Scene) -> None:
    """The sidecar is gone, and so is its row in the index."""
    scene.live = scene.index = None


def delete(scene: Scene) -> None:
    """The user deletes the session."""
    lose(scene)
    scene.wanted = []
    scene.deleted = True


def tear(scene: Scene) -> None:
    """Power fails while the file is written: it ends in the middle of a message. What nothing else holds is gone."""
    whole = len(scene.messages) * 2 // 3
    end_of_next = f'"timestamp": {scene.messages[whole]["timestamp"]}'.encode()
    scene.harm = lambda text: text[: text.index(end_of_next) - 30]
    if scene.backup is None and scene.rows is None:
        scene.wanted = scene.wanted[:whole]


def empty(scene: Scene) -> None:
    """The file has its name but no bytes."""
    scene.harm = lambda text: b""


def fill_with_nul(scene: Scene) -> None:
    """The file has its size but no contents, as some file systems leave it after a crash."""
    scene.harm = lambda text: bytes(len(text))


def rebuild_lossy(scene: Scene) -> None:
    """An old recovery has rebuilt the sidecar from the database, without tool calls and reasoning."""
    scene.messages = [_message(m["role"], m["content"], m["timestamp"]) for m in scene.messages]
    scene.save(_recovered_from_state_db=True)


def stop_half_way(scene: Scene) -> None:
    """The WebUI ends after it wrote the temp file of a new turn, before the replace."""
    new = scene.converse(1)
    scene.temp = scene.head | {"updated_at": new[-1]["timestamp"], "messages": scene.messages + new}


def submit(scene: Scene) -> None:
    """A prompt reaches the turn journal, and nothing comes after it."""
    prompt, _, _ = scene.prompt()
    scene.prompts.append(prompt)
    scene.wanted.append(prompt)


def drop_rows(scene: Scene) -> None:
    """The database does not know the session (pruned, a fork, or never written)."""
    scene.rows = None


def leave_index(scene: Scene) -> None:
    """The index forgets the session."""
    scene.index = None


def miscount(scene: Scene) -> None:
    """The head claims more messages than there are."""
    scene.save(message_count=len(scene.messages) + 5)


@dataclass(frozen=True, slots=True)
class Plot:
    """A story before it happened."""

    name: str
    title: str
    topic: Topic
    expect: Expect
    promise: str
    acts: tuple[Act, ...]
    worktree: bool = False
    profile: str | None = None

    def play(self, home: Path, started_at: float) -> tuple[Story, Scene]:
        """Let it happen in a Hermes home, from a time on (seconds since 1970)."""
        chance = random.Random(f"demo {self.name}")
        session_id = digest("session", self.name).hex()[:12]
        place = home / "projects" / self.topic.project
        head: dict[str, Any] = {"session_id": session_id, "title": self.title, "model": MODEL, "profile": self.profile}
        head |= {"created_at": started_at, "updated_at": started_at}
        if self.worktree:
            branch, repository = f"hermes-{session_id[:8]}", place
            place = repository / ".worktrees" / branch
            head |= {"worktree_path": str(place), "worktree_branch": f"hermes/{branch}"}
            head |= {"worktree_repo_root": str(repository), "worktree_created_at": started_at - 24}
        head |= {"workspace": str(place), "created_workspace": str(place)}
        scene = Scene(self.name, self.title, self.topic, head, chance, started_at, lag=chance.choice((0.0, 0.21, 1.7)))
        scene.save()
        for act in self.acts:
            act(scene)
        wanted = tuple(visible_text(message) for message in scene.wanted)
        return Story(session_id, self.name, scene.head["title"], self.promise, wanted, self.expect), scene


PLOTS = (
    Plot("wiped", "Billing migration, the long week", BILLING, "repaired",
         "The whole conversation is back, from the backup.", (talk(36), wipe)),
    Plot("wiped_and_continued", "Two weeks by train", TRAVEL, "repaired",
         "What was said before and after the wipe is there, in order.", (talk(11), wipe, talk(2))),
    Plot("wiped_and_outgrown", "Greek, lesson one to five", GREEK, "repaired",
         "The first lessons are back, although the file has since grown past its backup.", (talk(4), wipe, talk(12))),
    Plot("lost_with_backup", "Invoice wording for the work account", BILLING, "repaired",
         "The session of the work profile is back, from its backup.", (talk(8), back_up, lose), profile="work"),
    Plot("lost_rows_only", "What can I cook from this fridge?", KITCHEN, "repaired",
         "The session is rebuilt from the database, photo and tool calls included.", (talk(6, photo=True), lose)),
    Plot("lost_with_stale_backup", "Sunday bread", KITCHEN, "repaired",
         "The older half comes from the backup, the newer half from the database.", (talk(5), back_up, talk(4), lose)),
    Plot("torn_with_backup", "The parser and the quotes", PARSER, "repaired",
         "The torn file is whole again, with all its messages.", (talk(9), back_up, tear)),
    Plot("torn_alone", "A walk around Naxos", TRAVEL, "repaired",
         "Every message that stands whole before the tear is kept.", (talk(10), drop_rows, tear)),
    Plot("zero_byte", "Jam for the whole street", KITCHEN, "repaired",
         "The empty file is filled again from the database.", (talk(7), empty)),
    Plot("nul_filled", "Ordering in a taverna", GREEK, "repaired",
         "The backup replaces the file full of zeros.", (talk(6), back_up, fill_with_nul)),
    Plot("behind_the_database", "Rounding in the nightly export", BILLING, "repaired",
         "The turns that only the agent saved are there, and the session no longer waits for a dead stream.",
         (talk(4), go_on_unseen(3))),
    Plot("lossy_rebuild", "Line numbers in error messages", PARSER, "repaired",
         "Tool calls and reasoning are back in a session that an older recovery rebuilt without them.",
         (talk(8), rebuild_lossy)),
    Plot("newer_temp", "Packing list for October", TRAVEL, "repaired",
         "The last turn is taken from the temp file of a save that never finished.",
         (talk(5), drop_rows, stop_half_way)),
    Plot("lost_worktree", "Refactor the lexer in a worktree", PARSER, "repaired",
         "The session is back and still belongs to its worktree.", (talk(7), lose), worktree=True),
    Plot("lost_worktree_empty", UNTITLED, PARSER, "repaired",
         "The session without a word shows again, because it still has its worktree.", (lose,), worktree=True),
    Plot("cleared", "Scratch pad", GREEK, "untouched",
         "It was cleared on purpose and stays empty.", (talk(5), clear)),
    Plot("undone", "Soup, second attempt", KITCHEN, "untouched",
         "The turn that was taken back stays away.", (talk(6), undo)),
    Plot("cleared_and_continued", "Daily word", GREEK, "untouched",
         "Only what was said after the clear is there.", (talk(6), clear, talk(3))),
    Plot("deleted", "Old price list", BILLING, "absent",
         "It was deleted by the user and does not return.", (talk(5), back_up, delete)),
    Plot("orphan_backup", "Kyoto in three days", TRAVEL, "review",
         "Only a backup is left; it becomes a session again if the user wants it.",
         (talk(7), back_up, lose, drop_rows)),
    Plot("unanswered_prompt", "Dumplings for ten", KITCHEN, "review",
         "The prompt that never got an answer is put at the end if the user wants it.", (talk(4), submit)),
    Plot("undone_before_marks", "Heredoc edge cases", PARSER, "review",
         "This looks like an old undo; the last turn returns only if the user wants it.",
         (talk(6), undo_before_marks)),
    Plot("missing_from_index", "The museum of words", GREEK, "untouched",
         "The session shows in the list again; its file stays as it is.", (talk(4), leave_index)),
    Plot("wrong_count", "Which visa for which month", TRAVEL, "repaired",
         "The head says the true number of messages.", (talk(5), miscount)),
    Plot("healthy", "Billing migration, the retrospective", BILLING, "untouched",
         "Nothing is wrong and nothing changes.", (talk(36),)),
    Plot("healthy_short", "What is this on my plate?", KITCHEN, "untouched",
         "Nothing is wrong and nothing changes.", (talk(2, photo=True),)),
    Plot("healthy_with_old_backup", "A small grammar", GREEK, "untouched",
         "The backup is older and holds nothing that is missing.", (talk(5), back_up, talk(6))),
    Plot("healthy_worktree", "CRLF files in a worktree", PARSER, "untouched",
         "Nothing is wrong; the worktree is where it should be.", (talk(5),), worktree=True),
)  # fmt: skip


def play_all(home: Path) -> list[tuple[Story, Scene]]:
    """Every story of the demo store, one half an hour after the other from 2026-05-03 07:00 UTC on."""
    return [plot.play(home, MORNING + 1800.0 * number) for number, plot in enumerate(PLOTS)]
