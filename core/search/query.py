"""What somebody looks for: words that one message says all of, phrases, or a regular expression.

A text is compared folded (:mod:`core.search.folding`). What cannot have it is passed over as the bytes that it lies in.
"""

from __future__ import annotations

import re
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple, Self

from hermes_rescue.core.base.errors import RescueError
from hermes_rescue.core.search.folding import Needle, fold, place_of

_TERM = re.compile(r'["“„]([^"“”„]*)["”“]?|([^\s"“”„]+)')

_NOT_AS_IT_IS = re.compile(r'[\x00-\x20"\\/\x7f]+')
"""What a JSON text may have as something else than itself."""

_CHARACTER_ESCAPE = re.compile(rb"\\u(?!00[01])")
"""The escape of what is no control character."""

_BEFORE, _HIT, _AFTER = 60, 200, 120
"""Characters of an excerpt at most: before the hit, of it, and after it."""


class QueryError(RescueError):
    """Nothing to look for, or a regular expression that is none."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A piece of a text, white space folded; ``start`` and ``end`` of the hit in it. It can have any character."""

    text: str
    start: int
    end: int


class Place(NamedTuple):
    """Where terms stand beside each other in a text, and which of the terms they are."""

    start: int
    end: int
    terms: frozenset[int]


class Query:
    """What to look for. Make one with :meth:`parsed`, :meth:`of_words` or :meth:`of_pattern`."""

    def __init__(self, terms: Sequence[str], pattern: str | None = None) -> None:
        self._made_of = (tuple(terms), pattern)
        self._phrases = sorted({" ".join(fold(term).split()) for term in terms} - {""}, key=len, reverse=True)
        self.is_pattern = pattern is not None
        self._patterns = [*map(_spaced, self._phrases)] if pattern is None else [_compiled(pattern)]
        if not self._patterns:
            raise QueryError("There is nothing to look for: give a word.")

    def __reduce__(self) -> tuple[type[Query], tuple[tuple[str, ...], str | None]]:
        return type(self), self._made_of

    @classmethod
    def parsed(cls, text: str) -> Self:
        """The words of a line; what is in quotes is a phrase. Raises QueryError."""
        return cls([phrase or word for phrase, word in _TERM.findall(text)])

    @classmethod
    def of_words(cls, words: Iterable[str]) -> Self:
        """Words and phrases as a shell gives them: one with a space in it is a phrase, as is what is still in quotes.
        Raises QueryError.
        """
        terms: list[str] = []
        for word in words:
            quoted = word.count('"') >= 2 and (word.startswith('"') or ' "' in word)
            terms += (phrase or each for phrase, each in _TERM.findall(word)) if quoted else [word]
        return cls(terms)

    @classmethod
    def of_pattern(cls, pattern: str) -> Self:
        """A regular expression of Python's, for which capitals and accents count no more than for words. Raises
        QueryError.
        """
        return cls((), pattern)

    def may_be_in(self, texts: Sequence[bytes]) -> bool:
        """Whether a message may be found whose JSON text, or the texts of whose row, are a part of these."""
        plain = b"\n".join(texts)
        try:
            return all(needle.is_in(plain) or _may_be_escaped(texts, needle) for needle in self._unescaped)
        except UnicodeDecodeError:
            return True

    def found_in(self, texts: Sequence[str]) -> int | None:
        """Which of the texts of one message has the first part of what is looked for; None where the message has not
        all of it.
        """
        data = [text.encode("utf-8", "surrogatepass") for text in texts]
        places = []
        for needle in self._needles:
            places.append(next((k for k, each in enumerate(data) if needle.is_in(each)), None))
            if places[-1] is None:
                return None
        if self.is_pattern or any(" " in phrase for phrase in self._phrases):
            folded = [*map(fold, texts)]
            places = [next((k for k, text in enumerate(folded) if each.search(text)), None) for each in self._patterns]
        return None if None in places else places[0]

    @property
    def size(self) -> int:
        """How many terms one message has to have."""
        return len(self._patterns)

    def may_touch(self, text: str) -> bool:
        """Whether one of the terms may be in a text."""
        data = text.encode("utf-8", "surrogatepass")
        return self.is_pattern or any(needle.is_in(data) for needle in self._needles)

    def places(self, text: str) -> list[Place]:
        """Every place of the terms in a text, in order; different terms with nothing but white space between
        them are one."""
        folded = fold(text)
        spans = [(*hit.span(), term) for term, each in enumerate(self._patterns) for hit in each.finditer(folded)]
        ends = range(1, len(text) + 1) if text.isascii() else [*accumulate(len(fold(each)) for each in text)]
        found: list[Place] = []
        for start, end, term in sorted(span for span in spans if span[0] < span[1]):
            start, end = bisect_right(ends, start), bisect_right(ends, end - 1) + 1
            last = found[-1] if found else None
            if last is not None and term not in last.terms and not text[last.end : start].strip():
                found[-1] = Place(last.start, max(last.end, end), last.terms | {term})
            else:
                found.append(Place(start, end, frozenset((term,))))
        return found

    def marked(self, text: str) -> list[Place]:
        """Those of the places that have the most terms."""
        found = self.places(text)
        most = max((len(each.terms) for each in found), default=0)
        return [each for each in found if len(each.terms) == most]

    def excerpt(self, text: str) -> Excerpt:
        """The neighbourhood of the first hit in a text that has one."""
        start, end = self._place(text) or (0, 0)
        end = min(end, start + _HIT)
        before = _on_one_line(text[max(0, start - _BEFORE) : start], is_cut=start > _BEFORE)
        hit = _on_one_line(text[start:end])
        after = _on_one_line(text[end : end + _AFTER][::-1], is_cut=len(text) > end + _AFTER)[::-1]
        return Excerpt(before + hit + after, len(before), len(before) + len(hit))

    def _place(self, text: str) -> tuple[int, int] | None:
        """Where the first of the terms that a text has stands in it."""
        lowered = text.lower()
        if not self.is_pattern and len(lowered) == len(text):
            for phrase in self._phrases:
                if (at := lowered.find(phrase)) >= 0:
                    return at, at + len(phrase)
        folded = fold(text)
        for pattern in self._patterns:
            if (found := pattern.search(folded)) and text:
                start, end = found.span()
                return place_of(text, start, max(end, start + 1))
        return None

    @cached_property
    def _needles(self) -> tuple[Needle, ...]:
        """Every word, the longest first: mostly it is the one that is not there."""
        words = {word for phrase in self._phrases for word in phrase.split()}
        return tuple(map(Needle, sorted(words, key=len, reverse=True)))

    @cached_property
    def _unescaped(self) -> tuple[Needle, ...]:
        """The longest part of each word that a JSON text writes as it is."""
        parts = (max(_NOT_AS_IT_IS.split(needle.folded), key=len) for needle in self._needles)
        return tuple(Needle(part) for part in parts if part)


def _compiled(pattern: str) -> re.Pattern[str]:
    folded = re.sub(r"[^\x00-\x7f]", lambda found: re.escape(fold(found[0])), pattern)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.compile(folded, re.IGNORECASE | re.MULTILINE)
    except (re.error, OverflowError, RecursionError) as error:
        raise QueryError(f"This is no regular expression: {error}.") from None


def _spaced(phrase: str) -> re.Pattern[str]:
    """Finds a folded phrase, whatever white space is between its words."""
    return re.compile(r"\s+".join(map(re.escape, phrase.split())))


def _may_be_escaped(texts: Iterable[bytes], needle: Needle) -> bool:
    """Whether JSON texts may have characters of a word as escapes."""
    escaped = [text for text in texts if b"\\" in text and _CHARACTER_ESCAPE.search(text)]
    if any(b"\\\\u" in text or not text.isascii() for text in escaped):  # JSON within JSON, or more than one text
        return True
    plain = b"\n".join(escaped).decode("raw_unicode_escape").encode("utf-16", "surrogatepass")
    return needle.is_in(plain.decode("utf-16", "replace").encode())


def _on_one_line(text: str, *, is_cut: bool = False) -> str:
    return ("…" if is_cut else "") + re.sub(r"\s+", " ", text)
