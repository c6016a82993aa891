"""Whether two texts that stand in the same place are one, and which of them is the better.

Copies of a message differ in ways that make it no other message (recovery.md, section 2): white space and typography,
secrets that were masked on the way, a part of a long text that was left out, characters that could not be read. None of
it proves that two texts of *different* places are one: ``ask ***`` can be any question. The forms are those of Hermes
Agent 0.13 to 0.19 (its redactor, the limits of its tools, its compressor) and Hermes WebUI up to exp-v0.52.262.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import cache, partial
from typing import NamedTuple

from core.workspace_tag import strip_workspace_tag

REPLACED = "\N{REPLACEMENT CHARACTER}"

_ENOUGH = 4
"""Characters that a masked or shortened text must still have in common with the other."""


class Relation(StrEnum):
    """What the lesser of two texts is to the better one, or why they are equally good (the first two, and the last)."""

    SAME = "same"
    SPELLING = "spelling"  # white space, normal form, invisible characters, typographic signs
    STAND_IN = "stand_in"  # a note in place of what a tool gave: alone it proves nothing
    SHORTENED = "shortened"  # a part left out, and a note that says so
    MASKED = "masked"  # secrets blotted out
    GARBLED = "garbled"  # characters that could not be written or read
    BEGINNING = "beginning"  # it ends early, and nothing says so; of two prompts that can be chance ("continue")
    ADORNED = "adorned"  # the program added something of its own to a prompt


class Comparison(NamedTuple):
    """How two texts are one; ``better`` is 1 where the second is the better one, -1 where the first is, else 0."""

    relation: Relation
    better: int


def compare(one: str, other: str) -> Comparison | None:
    """How two texts in the same place are one, None where they are two. Takes linear time."""
    if one == other:
        return Comparison(Relation.SAME, 0)
    if not _may_be_one(one, other):
        return None
    mine, theirs = folded(one), folded(other)
    if mine == theirs:
        return Comparison(Relation.SPELLING, 0)
    if is_stand_in(mine) or is_stand_in(theirs):
        return Comparison(Relation.STAND_IN, is_stand_in(mine) - is_stand_in(theirs))
    for lesser, whole, better in ((mine, theirs, 1), (theirs, mine, -1)):
        if relation := _with_gaps(lesser, whole):
            return Comparison(relation, better)
    if found := _misread(one, other):
        return found
    longer, shorter, better = (theirs, mine, 1) if len(theirs) > len(mine) else (mine, theirs, -1)
    if shorter and _is_adorned(longer, shorter):
        return Comparison(Relation.ADORNED, 0)
    if shorter and longer.startswith(shorter):
        return Comparison(Relation.BEGINNING, better)
    return None


_LOOKED_AT = 256
"""Characters from a difference on by which most pairs of texts are told apart."""

_PLAIN = re.compile("[0-9A-Za-z]")
_MAY_DIFFER = frozenset(".[(*<- ?")
"""ASCII characters with which a difference can begin that makes no other text."""


def _may_be_one(one: str, other: str) -> bool:
    """Whether the first difference of two texts leaves open that they are one. Cheap, for most pairs are two."""
    at = _equal_characters(one, other)
    if _PLAIN.match(one, at) and _PLAIN.match(other, at):
        return False
    at = max(0, at - 16)
    mine, theirs = folded(one[at : at + _LOOKED_AT]), folded(other[at : at + _LOOKED_AT])
    signs = next(((x, y) for x, y in zip(mine, theirs, strict=False) if x != y), ("", ""))
    return signs == ("", "") or any(sign in _MAY_DIFFER or not sign.isascii() for sign in signs)


def _equal_characters(one: str, other: str) -> int:
    """How many characters two texts begin with that are the same."""
    equal, end, step = 0, min(len(one), len(other)), 64
    while equal < end and one[equal : equal + step] == other[equal : equal + step]:
        equal, step = equal + step, 2 * step
    end = min(end, equal + step)
    while equal < end:
        middle = (equal + end + 1) // 2
        if one[equal:middle] == other[equal:middle]:
            equal = middle
        else:
            end = middle - 1
    return min(equal, end)


# ---- spelling ----

_INVISIBLE = "\u00ad\u034f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\ufeff"
_TYPOGRAPHY = {
    **dict.fromkeys("‘’‚‛′ʼ", "'"),
    **dict.fromkeys("“”„‟″", '"'),
    **dict.fromkeys("‐‑‒–—―−", "-"),
    "…": "...",
    "\u2028": "\n",
    "\u2029": "\n",
}
_UNUSUAL = re.compile(f"[{_INVISIBLE}{''.join(_TYPOGRAPHY)}]")


def folded(text: str) -> str:
    """The text without what is not seen or is a matter of typing: one space for white space, composed characters, plain
    quotes, dashes and dots, nothing invisible.
    """
    if not text.isascii():
        text = _UNUSUAL.sub(lambda found: _TYPOGRAPHY.get(found[0], ""), unicodedata.normalize("NFC", text))
    return " ".join(text.split())


# ---- masks, notes of what was left out, characters that were lost ----

_STAND_IN = re.compile(
    r"\[Duplicate tool output\b|\[Old tool output cleared\b|\[WebUI compressed-context budget: omitted \d+ chars"
    r"|\[screenshot removed\b|<persisted-output>"
    r"|\[\w+\] .*(?: -> exit \S+, \d+ lines output|\([\d,]+ chars(?: result)?\)|\(\d+ lines\)| -> \S+ matches"
    r"|\(\d+ lines output\))\Z"
    r"|\[(?:todo\] updated task list|clarify\] asked user a question|memory\] \S+ on \S+|cronjob\] \S*"
    r"|process\] \S+ session=\S*)\Z"
)


def is_stand_in(text: str) -> bool:
    """Whether the agent or the WebUI put this in the place of what a tool gave (when it compressed the context)."""
    return text.startswith(("[", "<")) and len(text) < 5000 and _STAND_IN.match(text) is not None


class _Gap(NamedTuple):
    """A stretch of a text that stands for another one, and what that means."""

    start: int
    end: int
    relation: Relation


_LEFT_OUT = re.compile(
    r"\[[^\[\]]{0,300}(?:truncated|TRUNCATED|omitted)[^\[\]]{0,300}\]|\([^()]{0,60}truncated\)|(?<=.{20})\.\.\.\Z"
)
_AROUND = " .-─"
"""What stands before and after a note of what was left out, and belongs to it."""

_MASKS = (
    ("...", re.compile(r"\.\.\.(?<=[^\s.]{4}\.\.\.)(?=[^\s.]{2})")),  # the first and the last characters are kept
    ("***", re.compile(r"\*{3,}")),
    ("•••", re.compile(r"•{3,}")),
    ("[REDACTED", re.compile(r"\[REDACTED[^\[\]]{0,40}\]")),
    ("«redacted", re.compile(r"«redacted[^»]{0,40}»")),
)
_LOST = re.compile(f"{REPLACED}+")


def _gaps(text: str) -> list[_Gap]:
    """The gaps of a folded text in their order."""
    found = []
    if text.endswith("...") or "truncated" in text or "TRUNCATED" in text or "omitted" in text:
        for note in _LEFT_OUT.finditer(text):
            start, end = note.span()
            while start and end - start < 400 and text[start - 1] in _AROUND:
                start -= 1
            while text[end : end + 1] and text[end] in _AROUND:
                end += 1
            found.append(_Gap(start, end, Relation.SHORTENED))
    for hint, mask in _MASKS:
        if hint in text:
            found += (_Gap(*gap.span(), Relation.MASKED) for gap in mask.finditer(text))
    if REPLACED in text:
        found += (_Gap(*gap.span(), Relation.GARBLED) for gap in _LOST.finditer(text))
    gaps: list[_Gap] = []
    for gap in sorted(found, key=lambda gap: (gap.start, -gap.end)):
        if not gaps or gap.start >= gaps[-1].end:
            gaps.append(gap)
    return gaps


def _with_gaps(lesser: str, whole: str) -> Relation | None:
    """What ``lesser`` lost if it is ``whole``, or the beginning of it, but for what its gaps stand for.

    Both are folded. Every piece between two gaps is looked for from where the last one ended, so that a gap is as short
    as can be and none that fits is missed.
    """
    gaps = _gaps(lesser)
    if not gaps or not whole.startswith(lesser[: gaps[0].start]):
        return None
    relations = set[Relation]()
    at = common = gaps[0].start
    for gap, end_of_piece in zip(gaps, [*(gap.start for gap in gaps[1:]), len(lesser)], strict=True):
        piece = lesser[gap.end : end_of_piece]
        is_last = end_of_piece == len(lesser)
        end = len(whole) - len(piece) if is_last and whole.endswith(piece) else whole.find(piece, at + 1)
        if end < at or not _may_fill(whole[at:end], lesser, gap):
            return None
        if whole[at:end] != lesser[gap.start : gap.end]:
            relations.add(gap.relation)
        at, common = end + len(piece), common + len(piece)
    if common < _ENOUGH:
        return None
    return next((relation for relation in Relation if relation in relations), None)


def _may_fill(filled: str, text: str, gap: _Gap) -> bool:
    standing = text[gap.start : gap.end]
    if filled == standing:
        return True
    if gap.relation is Relation.GARBLED:  # one character stands for a byte or for a whole one
        return 0 < len(filled) <= len(standing) and REPLACED not in filled
    if gap.relation is Relation.MASKED and standing[0] not in "[«":  # secrets are words, but for quoted ones
        is_quoted = text[gap.start - 1 : gap.start] == '"'
        return bool(filled) and ('"' if is_quoted else " ") not in filled
    return bool(filled)


# ---- characters that were written or read in another encoding ----

_ENCODINGS = ("cp1252", "gbk", "cp932", "big5", "cp949", "cp1251", "cp1250", "cp1254", "latin-1")
_BEYOND_ASCII = re.compile("[^\0-\x7f]")
_SAMPLE = 32
"""Characters by which most ways to garble a text are ruled out."""


def _misread(one: str, other: str) -> Comparison | None:
    """Whether one text is what became of the other in an encoding that could not write it, or in a wrong one.

    Of two readings of the same bytes neither is called the better one, unless they are UTF-8: that is no accident.
    """
    for lesser, whole, better in ((one, other, 1), (other, one, -1)):
        beyond = _BEYOND_ASCII.search(whole)
        if beyond is None or not lesser.startswith(whole[: beyond.start()]):
            continue
        rest, garbled_rest = whole[beyond.start() :], lesser[beyond.start() :]
        for garbled, is_certain in _garblings():
            if len(rest) > _SAMPLE and not garbled_rest.startswith(garbled(rest[:_SAMPLE])[: _SAMPLE // 2] or "\0"):
                continue  # the last characters of a sample can come out otherwise
            if garbled(rest) == garbled_rest:
                return Comparison(Relation.GARBLED, better if is_certain else 0)
    return None


@cache
def _garblings() -> tuple[tuple[Callable[[str], str], bool], ...]:
    """Ways to garble a text, which give "" where it cannot be that, and whether each tells what was garbled."""
    return (
        *((partial(_unwritten, encoding), True) for encoding in ("ascii", *_ENCODINGS)),
        *((partial(_reread, "utf-8", encoding), True) for encoding in (*_ENCODINGS, _BROWSER)),
        *((partial(_reread, encoding, "utf-8"), True) for encoding in _ENCODINGS),
        *((partial(_reread, one, other), False) for one in _ENCODINGS for other in _ENCODINGS if one != other),
    )


def _unwritten(encoding: str, text: str) -> str:
    """The text with a question mark for what an encoding lacks."""
    return text.encode(encoding, "replace").decode(encoding)


_BROWSER = "browser"
"""Windows-1252 as browsers read it, in which the five bytes that it lacks are control characters."""


def _reread(written: str, read: str, text: str) -> str:
    """The text written in one encoding and read in another."""
    try:
        data = text.encode(written)
    except UnicodeEncodeError:
        return ""
    if read == _BROWSER:
        return "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in data)
    found = data.decode(read, "replace")
    return "" if read == "utf-8" and REPLACED not in found else found


# ---- what the program adds to a prompt, and texts that it joins ----

_BEFORE = re.compile(r"(?:\[IMPORTANT: Background process .*\] |(?:\[screenshot\] )+)")
_AFTER = re.compile(r"(?: \[Attached files: [^\[\]]+\]| \[screenshot\])+")


def _is_adorned(longer: str, shorter: str) -> bool:
    """Whether a text is another one between a note of a process, the names of attachments, or places of images."""
    if longer.endswith(shorter) and _BEFORE.fullmatch(longer[: -len(shorter)]):
        return True
    return longer.startswith(shorter) and _AFTER.fullmatch(longer[len(shorter) :]) is not None


def is_join(text: str, parts: Sequence[str]) -> bool:
    """Whether a text is these parts in order, which only white space separates.

    So a gateway's sidecar holds what the assistant said in a turn (joined by an empty line), and the agent's own repair
    joins answers that follow each other (by a line end).
    """
    return folded(text) == " ".join(filter(None, map(folded, parts)))


def parts_of(merged: str, prompts: Sequence[str]) -> tuple[int, ...]:
    """Which prompts stand in a merged one, by their places in ``prompts``, in the order in which they stand there.

    The agent and the WebUI merge prompts that follow each other, by an empty line and over and over (formats.md, "A
    healthy file need not be tidy"). A prompt may have empty lines itself, so it counts where a run of the paragraphs of
    the merged one is all of it. What is in no prompt is passed over; () where no prompt stands in it.
    """
    paragraphs = _paragraphs(merged)
    places: dict[tuple[str, ...], list[int]] = {}
    begins: dict[str, list[tuple[str, ...]]] = {}
    for i, prompt in enumerate(prompts):
        own = _paragraphs(prompt)
        if own and own not in places:
            begins.setdefault(own[0], []).append(own)
        places.setdefault(own, []).append(i)
    found: list[int] = []
    at = 0
    while at < len(paragraphs):
        fitting = (own for own in begins.get(paragraphs[at], ()) if paragraphs[at : at + len(own)] == own)
        longest = max(fitting, key=len, default=())
        if longest:  # a prompt that was said several times stands for the first of them, then for the next
            own_places = places[longest]
            found.append(own_places.pop(0) if len(own_places) > 1 else own_places[0])
        at += max(len(longest), 1)
    return tuple(found)


def _paragraphs(text: str) -> tuple[str, ...]:
    """The paragraphs of a prompt, folded, without workspace tags: each prompt of a merged one has its own."""
    parts = (strip_workspace_tag(part.lstrip("\n"))[0] for part in text.replace("\r\n", "\n").split("\n\n"))
    return tuple(part for part in map(folded, parts) if part)
