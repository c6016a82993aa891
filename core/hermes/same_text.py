"""Whether two texts that stand in the same place are one, and which of them is the better.

Copies of a message differ in ways that make it no other message (recovery.md, section 2): white space and typography,
secrets that were masked on the way, a part of a long text that was left out, characters that could not be read. None of
it proves that two texts of *different* places are one: ``ask ***`` can be any question. The forms are those of Hermes
Agent 0.13 to 0.19 (its redactor, the limits of its tools, its compressor) and Hermes WebUI up to exp-v0.52.262.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

REPLACED = "\N{REPLACEMENT CHARACTER}"

_ENOUGH = 4
"""Characters that a masked or shortened text must still have in common with the other."""


class Relation(StrEnum):
    """What the lesser of two texts is to the better one, or why they are equally good (the first)."""

    SPELLING = "spelling"  # white space, normal form, invisible characters, typographic signs
    SHORTENED = "shortened"  # a part left out, and a note that says so
    MASKED = "masked"  # secrets blotted out
    GARBLED = "garbled"  # characters that could not be written or read
    BEGINNING = "beginning"  # it ends early, and nothing says so; of two prompts that can be chance ("continue")


class Comparison(NamedTuple):
    """How two texts are one; ``better`` is 1 where the second is the better one, -1 where the first is, else 0."""

    relation: Relation
    better: int


class Text:
    """A text that was :func:`folded`, with what to compare it with many others takes."""

    def __init__(self, text: str) -> None:
        self.folded = text

    @cached_property
    def gaps(self) -> tuple[_Gap, ...]:
        """What stands for something else in it, in order."""
        return tuple(_gaps(self.folded))

    @cached_property
    def telling(self) -> str:
        """The piece between its gaps that is looked for first: the last one, or the one by which it was another text
        than the one before. It distinguishes most texts of one form without a look at every gap.
        """
        return self.folded[self.gaps[-1].end :] if self.gaps else self.folded

    @cached_property
    def backwards(self) -> str:
        """The text from its end to its beginning."""
        return self.folded[::-1]

    @property
    def intact(self) -> int:
        """How many characters at its beginning are those of the whole text."""
        return self.gaps[0].start if self.gaps else len(self.folded)


def compare(one: Text, other: Text) -> Comparison | None:
    """How two texts in the same place are one, None where they are two. Takes linear time."""
    if one.folded == other.folded:
        return Comparison(Relation.SPELLING, 0)
    for lesser, whole, better in ((one, other, 1), (other, one, -1)):
        if relation := _with_gaps(lesser, whole.folded):
            return Comparison(relation, better)
    for lesser, whole, better in ((one, other, 1), (other, one, -1)):
        if lesser.folded and whole.folded.startswith(lesser.folded):
            return Comparison(Relation.BEGINNING, better)
    return None


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


def _with_gaps(text: Text, whole: str) -> Relation | None:
    """What a text lost if it is ``whole``, or the beginning of it, but for what its gaps stand for.

    Every piece between two gaps is looked for from where the last one ended, so that a gap is as short
    as can be and none that fits is missed.
    """
    lesser, gaps = text.folded, text.gaps
    if not gaps or not whole.startswith(lesser[: gaps[0].start]) or text.telling not in whole:
        return None
    relations = set[Relation]()
    at = common = gaps[0].start
    for k, gap in enumerate(gaps, 1):
        end_of_piece = gaps[k].start if k < len(gaps) else len(lesser)
        piece = lesser[gap.end : end_of_piece]
        is_last = end_of_piece == len(lesser)
        end = len(whole) - len(piece) if is_last and whole.endswith(piece) else whole.find(piece, at + 1)
        if end < 0:
            text.telling = piece
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
