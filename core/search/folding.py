"""Texts without what a person who looks for a word does not mean: case, accents, ligatures, width, marks of no width.

What a character is folded to does not depend on its neighbours. So a place in a folded text is one in the text, and a
word can be looked for in a text that was not folded: most of a store is passed over at the speed of ``bytes.find``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache, cached_property
from itertools import chain

_ASCII = bytes(range(128))

_LETTERS = frozenset((0, 6, 7, 8, 9))
"""Combining classes of marks that make another letter of one: vowel signs, nuktas, the voicing of a kana."""

_UNSEEN = frozenset(map(chr, (0x34F, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
"""What nobody sees besides the format characters (Cf): joiners and variation selectors."""

_FOLDED_RANGES = (
    (0x80, 0x3400), (0xA600, 0xD800), (0xF900, 0x1_2000), (0x1_3400, 0x1_3500), (0x1_6A00, 0x1_7000),
    (0x1_BC00, 0x1_BD00), (0x1_D100, 0x1_F300), (0x1_FB00, 0x1_FC00), (0x2_F800, 0x2_FB00), (0xE_0000, 0xE_0200),
)  # fmt: skip
"""Where every character is that is folded to something else: to look at all takes half a second."""

_STEP = 64
"""Characters that are looked at in one step."""

_BEYOND = re.compile("[\U00010000-\U0010ffff]")


def fold(text: str) -> str:
    """The text, character by character: compatibility decomposition and full case folding, without accents and what
    has no width.
    """
    return text.lower() if text.isascii() else text.translate(_FOLDS)


class _Folds(dict[int, str]):
    """What each character is folded to, found out when it is first met."""

    def __missing__(self, code: int) -> str:
        folded = self[code] = _folded(chr(code))
        return folded


_FOLDS = _Folds()


def _folded(character: str) -> str:
    folded = character
    for _ in range(2):  # a decomposition can have capitals, a folded one parts
        folded = unicodedata.normalize("NFKD", folded).casefold()
    folded = unicodedata.normalize("NFKD", folded).replace("ı", "i")  # whose capital is that of i
    return "".join(each for each in folded if not _is_unseen(each))


def _is_unseen(character: str) -> bool:
    if unicodedata.combining(character) not in _LETTERS or character in _UNSEEN:
        return True
    return unicodedata.category(character) == "Cf"


def get_ready() -> Iterator[None]:
    """Look at every character that is folded, in steps of some milliseconds at most. Without it the first needle does
    so at once, which takes a tenth of a second.
    """
    for code in _folded_codes():
        _FOLDS[code]
        if code % _STEP == 0:
            yield
    yield
    _changed()
    yield


def _folded_codes() -> Iterator[int]:
    return chain.from_iterable(range(*each) for each in _FOLDED_RANGES)


@cache
def _changed() -> dict[str, str]:
    """Every character beyond ASCII that is folded to something else."""
    return {chr(code): folded for code in _folded_codes() if (folded := _FOLDS[code]) != chr(code)}


class Needle:
    """A folded word without white space, to be found in UTF-8 that is not folded."""

    def __init__(self, folded: str) -> None:
        self.folded = folded
        self._bytes = folded.encode("utf-8", "surrogatepass")

    def is_in(self, data: bytes) -> bool:
        """Whether the text of ``data`` has it, in whatever spelling. Raises UnicodeDecodeError for some of what is no
        UTF-8.
        """
        data = data.lower()  # of ASCII
        if self._bytes in data:
            return True
        if data.isascii():
            return False
        others = data.translate(None, _ASCII).decode("utf-8", "surrogatepass")
        found = {*self._pattern.findall(others), *_BEYOND.findall(others)}
        folds = {each: self._spellings[each] for each in found if each in self._spellings}
        return bool(folds) and self._is_in_folded(data, folds)

    def _is_in_folded(self, data: bytes, folds: dict[str, str]) -> bool:
        """``folds``: what the characters in it are folded to that stand for a part of the word, or for nothing."""
        for each in (each for each, folded in folds.items() if not folded):
            data = data.replace(each.encode(), b"")
        letters = {*chain.from_iterable(folds.values())}
        # what none of them stands for must be there as it is
        rest = "".join("\n" if letter in letters else letter for letter in self.folded).split("\n")
        if max(rest, key=len).encode("utf-8", "surrogatepass") not in data:
            return False
        for each, folded in folds.items():
            data = data.replace(each.encode(), folded.encode("utf-8", "surrogatepass"))
        return self._bytes in data

    @cached_property
    def _spellings(self) -> dict[str, str]:
        """The characters that are folded to a part of the word, or to nothing."""
        letters = {*self.folded}
        return {each: to for each, to in _changed().items() if not to or not letters.isdisjoint(to)}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """Finds most of them: one for characters beyond U+FFFF as well would be slow."""
        usual = (each for each in self._spellings if not _BEYOND.match(each))
        return re.compile(f"[{''.join(map(re.escape, usual))}]")

    def __reduce__(self) -> tuple[type[Needle], tuple[str]]:
        return Needle, (self.folded,)


def place_of(text: str, start: int, end: int) -> tuple[int, int]:
    """The place in a text whose folded form is from ``start`` to ``end`` of its folded form."""
    return _original(text, start), _original(text, end - 1) + 1


def _original(text: str, at: int) -> int:
    """The character that makes the one at this place of the folded text."""
    low, high = 0, len(text)
    while high - low > 1:
        middle = (low + high) // 2
        length = len(fold(text[low:middle]))
        if length <= at:
            low, at = middle, at - length
        else:
            high = middle
    return low
