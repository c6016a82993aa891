"""The text in the bytes of a JSON document, whatever encoding an editor left it in.

UTF-8 is the rule (formats.md, "The sidecar"). UTF-16 and UTF-32 show in their byte order mark, or in the zero bytes of
the first characters. Where other bytes are no UTF-8, either a few of them stand in a text that is, or the whole text is
in another encoding; then it is read in the one in which it looks most like what people write: the letters of every word
belong to one language, and Chinese, Japanese and Korean characters are common ones. Where no reading is convincing, the
bytes stay unread. A text that is UTF-8 is never doubted, even one encoded twice: people write about such things.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, islice

UNREAD = "\x1a"
"""Stands for a byte that could not be read: ASCII's own substitute character, which no JSON has without an escape."""

_CONVINCING = 0.15
"""Share of the characters beyond ASCII that may look odd in a reading that is believed."""

_SAMPLE = 64 * 1024
"""Bytes of a text by which its encoding is chosen."""

_LEAD = 200
"""Characters of a sample before the first one of a line that is not ASCII."""

_WORDS = 4_000
"""Words of a sample that are looked at."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins with the one of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ZEROS = {"x000": "utf-32-le", "000x": "utf-32-be", "x0x0": "utf-16-le", "0x0x": "utf-16-be"}
"""Where zero bytes stand among the first four, for a text that begins with two ASCII characters."""

_ERASED = re.compile(b"\xff{24,}")  # what a flash memory gives that nothing was written to
_STRAY = re.compile("[\udc80-\udcff]+")
_BROKEN = re.compile(b"[\xe0-\xf4][\x80-\xbf]+")  # the beginning of a character in UTF-8
_SINGLE_SIGNS = frozenset("€‘’“”–—…«»°·©®™§£¿¡\xa0")
_BEYOND_ASCII = bytes(range(128, 256))
_ESCAPE = re.compile(r"\\[bfnrt]")
_HIGH = re.compile(rb"[\x80-\xff]")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text, the codec that read it, and whether a byte order mark stood before it.

    ``around`` counts bytes that are no part of it: zero bytes before and after it, and a character at its end that is
    cut off. ``escaped`` is the same text, character for character, with bytes that are no UTF-8 escaped as Python's
    "surrogateescape" does ("" where there are none); the text has a character for each of those, or UNREAD.
    """

    text: str
    encoding: str = "utf-8"
    has_bom: bool = False
    around: int = 0
    escaped: str = ""

    def size(self, start: int, end: int) -> int:
        """Bytes that a stretch of the text takes in the document."""
        text = (self.escaped or self.text)[start:end]
        return len(text.encode(self.encoding, "surrogateescape" if self.encoding == "utf-8" else "replace"))


def decode(data: bytes, is_sound: Callable[[str], bool]) -> Decoded:
    """The text of a document. ``is_sound`` prefers one of two readings that are both convincing."""
    bom, encoding = next(((bom, name) for bom, name in _BOMS if data.startswith(bom)), (b"", ""))
    encoding = encoding or _ZEROS.get("".join("x" if byte else "0" for byte in data[:4]), "utf-8")
    data = data[len(bom) :]
    if encoding != "utf-8":
        return _decoded_wide(data, encoding, has_bom=bool(bom))
    size = len(data)
    data = data.strip(b"\0")
    around = size - len(data)
    try:
        return Decoded(data.decode(), has_bom=bool(bom), around=around)
    except UnicodeDecodeError:
        data = _ERASED.sub(lambda found: bytes(len(found[0])), data)
    escaped = data.decode("utf-8", "surrogateescape")
    if not bom and _may_be_another(data) and (other := _other_encoding(data, is_sound)):
        return replace(other, around=other.around + around)

    def read_strays(found: re.Match[str]) -> str:
        start, end = found.span()
        return _read_strays(escaped[max(start - 1, 0) : start], found[0], escaped[end : end + 1])

    text = _STRAY.sub(read_strays, escaped)
    return Decoded(text, "utf-8", bool(bom), around, escaped)


def _may_be_another(data: bytes) -> bool:
    """Whether too little of a text is UTF-8 to be called that. One that only ends within a character is."""
    try:
        codecs.utf_8_decode(data, "strict", False)
        return False
    except UnicodeDecodeError:
        strays = len(data) - len(data.decode("utf-8", "ignore").encode())
        beyond_ascii = len(data) - len(data.translate(None, _BEYOND_ASCII))
        return 5 * strays >= beyond_ascii


def _decoded_wide(data: bytes, encoding: str, *, has_bom: bool) -> Decoded:
    width = 4 if "32" in encoding else 2
    text = data[: len(data) // width * width].decode(encoding, "replace").strip("\0")
    return Decoded(text, encoding, has_bom, len(data) - len(text.encode(encoding)))


@lru_cache
def _read_strays(before: str, escaped: str, after: str) -> str:
    """A few bytes in a text that otherwise is UTF-8: as Windows-1252 where that gives letters or one usual sign.

    What a broken UTF-8 sequence leaves looks different: the beginning of one, or a byte between letters that are not
    Latin. ``before`` and ``after``: the characters beside it.
    """
    data = escaped.encode("utf-8", "surrogateescape")
    text = data.decode("cp1252", "replace")
    is_broken = _BROKEN.fullmatch(data) or (text in ("Â", "Ã") and not after.isupper())
    is_latin = all(sign < "\u0250" or "\u2010" <= sign < "\u2070" for sign in before + after)
    if is_latin and not is_broken and (text in _SINGLE_SIGNS or (len(text) <= 3 and text.isalpha())):
        return text
    return UNREAD * len(text)


def _other_encoding(data: bytes, is_sound: Callable[[str], bool]) -> Decoded | None:
    sample = _sample(data)
    doubts: list[tuple[float, float, int, str]] = []
    for encoding in (*_LEVELS, *_ALPHABETS, *_SCRIPTS):
        try:
            share, unusual = _Reading(encoding).doubt(_ESCAPE.sub(" ", _decoded(sample, encoding).text))
        except UnicodeDecodeError:
            continue
        if share <= _CONVINCING:
            doubts.append((share, unusual, len(doubts), encoding))
    best: Decoded | None = None
    for *_, encoding in sorted(doubts):
        try:
            found = _decoded(data, encoding)
        except UnicodeDecodeError:
            continue
        if is_sound(found.text):
            return found
        best = best or found
    return best


def _decoded(data: bytes, encoding: str) -> Decoded:
    """The text, but for a character whose end is cut off. Raises UnicodeDecodeError."""
    decoder = codecs.getincrementaldecoder(encoding)()
    text = decoder.decode(data)
    return Decoded(text, encoding, around=len(decoder.getstate()[0]))


def _sample(data: bytes) -> bytes:
    """Lines that are not all ASCII: a line end is no part of a character in any of the encodings."""
    lines = []
    size = at = 0
    while size < _SAMPLE and (found := _HIGH.search(data, at)):
        start = max(data.rfind(b"\n", at, found.start()) + 1, at, found.start() - _LEAD)
        end = data.find(b"\n", found.start())
        at = len(data) if end < 0 else end
        lines.append(data[start : min(at, start + _SAMPLE)])
        size += len(lines[-1]) + 1
    return b"\n".join(lines)


# ---- how odd a reading looks ----

_SEGMENT = re.compile(
    "(?P<latin>[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff]+)"
    "|(?P<cyrillic>[\u0400-\u04ff]+)|(?P<greek>[\u0386-\u03ff]+)"
    "|(?P<hebrew>[\u05d0-\u05ea][\u0591-\u05ea]*)|(?P<arabic>[\u0620-\u064a][\u0620-\u0652\u0670-\u06d3]*)"
    "|(?P<thai>[\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46][\u0e01-\u0e4e]*)"
    "|(?P<kana>[\u3041-\u30ff]+)|(?P<hangul>[\uac00-\ud7a3]+)|(?P<han>[\u3400-\u9fff]+)|(?P<sign>[^\0-\x7f])"
)
"""Words and parts of words of one script each, and single characters that are no letters."""

_ALPHABETIC = frozenset(("latin", "cyrillic", "greek", "hebrew", "arabic"))
_ANYWHERE = frozenset("‘’–—…·\xa0\xad\u200c\u200d\u200e\u200f")  # signs that stand between letters as well
_APART = frozenset("“”„‚«»‹›•°©®™§€£¥¿¡½¼¾×÷²³№")
_FINAL_LETTERS = frozenset("ךםןףץ")

_CENTRAL = ("ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîşţ", "čćđšž", "äöüß")
_ALPHABETS = {
    "cp1252": (
        "àâæçéèêëîïôœùûüÿ", "äöüß", "áéíóúüñ", "áâãàçéêíóôõúü", "àèéìíîòóùú", "åäöæøéèü", "áéíóúýðþæö", "áéíóúàèëïöü",
        "àçéèíïóòúü",
    ),
    "cp1250": _CENTRAL,
    "iso8859_2": _CENTRAL,
    "cp1254": ("çğıöşüâîû", "äöüß"),
    "cp1257": ("ąčęėįšųūž", "āčēģīķļņšūž", "äõöüšž"),
}  # fmt: skip
"""Letters beyond ASCII of the languages that are written in an encoding of Latin letters."""

_SCRIPTS = {
    "cp1255": "hebrew",  # before Cyrillic, for read as that it looks well, too
    "cp1251": "cyrillic",
    "koi8_r": "cyrillic",
    "cp1253": "greek",
    "cp1256": "arabic",
    "cp874": "thai",
}
"""The script of an encoding that is made for one."""

_NEEDED = {"cyrillic": (frozenset("аеёиоуыэюяіїєў"), 2), "greek": (frozenset("άέήίόύώΐΰ"), 4)}
"""Letters of which a word in lower case has one, if it is longer than that."""

_LEVELS = {
    "gb18030": ("gb2312", b"\xa1\xa2\xa3\xa9", range(0xB0, 0xD8)),
    "cp949": ("euc_kr", b"\xa1\xa2\xa3\xa8", range(0xB0, 0xFE)),
    **dict.fromkeys(("cp950", "big5hkscs", "big5"), ("big5", b"\xa1\xa2\xa3", range(0xA4, 0xC7))),
    "cp932": ("shift_jis", b"\x81\x82", range(0x88, 0x99)),
    "euc_jp": ("euc_jp", b"\xa1\xa2\xa3", range(0xB0, 0xD0)),
}
"""For an encoding with two bytes a character: the standard it comes from, the first bytes of signs in it, and those of
its common characters.
"""

_JAPANESE = ("cp932", "euc_jp")
_NATIVE = {"euc_jp": "kana", "cp949": "hangul"}
"""What no text in one of these encodings is without."""

_FREQUENT = {
    "gb18030": "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过"
    "发后作里用道行所然请好吗谢继续没什么怎样看想知让帮检查错误文件代码问题数据库开始结束新改加删现明天今",
    "cp950": "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過"
    "發後作裡用道行所然請好嗎謝繼續沒什麼怎樣看想知讓幫檢查錯誤檔案程式碼問題資料庫開始結束新改加刪現明天今",
    "cp949": "이다는을가에의로고하은를한도지서사기어나자리시그아인대라해스정수일만부전보제상구게과주니안요습세"
    "러었으면있할것들네계속감사합오류파찾없확버",
}  # fmt: skip
"""Characters that are among the most frequent of a language."""


class _Reading:
    """Counts in one reading of a text the characters beyond ASCII, and those that do not fit where they stand."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding
        self.total = self.odd = 0
        self._usual = self._native = self._alone = self._capitals = 0
        self._alphabets = _ALPHABETS.get(encoding) or tuple(chain.from_iterable(_ALPHABETS.values()))
        self._misfits = Counter[str]()

    def doubt(self, text: str) -> tuple[float, float]:
        """The share of odd characters, and how unusual the others are (0 to 1)."""
        segments = islice(_SEGMENT.finditer(text), _WORDS)
        before: re.Match[str] | None = None
        found = next(segments, None)
        while found is not None:
            after = next(segments, None)
            if not found[0].isascii():
                beside = [s for s in (before, after) if s and (s.end() == found.start() or s.start() == found.end())]
                self._count(found, {str(s.lastgroup) for s in beside}, len(beside))
            before, found = found, after
        total = max(self.total, 1)
        if self.encoding in _NATIVE and not self._native:
            return 1.0, 1.0  # what else is in it are Chinese characters as well
        if self.encoding in _LEVELS:
            return self.odd / total, 0.85 * (1 - self._usual / total)
        if self.encoding in _SCRIPTS:
            return self.odd / total, 0.9 + 0.05 * self._capitals / total
        misfits = min(self._misfits.values(), default=0)
        return self.odd / total, 0.8 + 0.1 * (1.5 * self._alone + misfits) / total

    def _count(self, found: re.Match[str], beside: set[str], neighbours: int) -> None:
        script, word = str(found.lastgroup), found[0]
        beyond = sum(sign >= "\x80" for sign in word)
        self.total += beyond
        if script == "sign":
            self.odd += self._is_odd_sign(word, neighbours, beside)
        elif script in _ALPHABETIC and (
            beside & _ALPHABETIC or (len(word) == 1 and beside & {"han", "kana", "hangul"})
        ):
            self.odd += beyond
        elif script == "latin":
            self.odd += self._odd_latin(word, beyond)
        elif script in ("han", "hangul", "kana"):
            self.odd += self._odd_wide(script, word, beside)
        elif not _is_cased(word) or not _has_needed(script, word) or self._is_foreign(script):
            self.odd += beyond
        else:
            self.odd += sum(sign in _FINAL_LETTERS for sign in word[:-1])
            self._capitals += sum(sign.isupper() for sign in word[1:])

    def _is_foreign(self, script: str) -> bool:
        return _SCRIPTS.get(self.encoding, script) != script

    def _is_odd_sign(self, sign: str, neighbours: int, beside: set[str]) -> bool:
        if self.encoding in _LEVELS:
            code = sign.encode(self.encoding, "ignore")
            return len(code) != 2 or code[0] not in _LEVELS[self.encoding][1]
        is_between = neighbours == 2 and "sign" not in beside
        return sign not in _ANYWHERE and (sign not in _APART or (is_between and sign not in "²³"))

    def _odd_latin(self, word: str, beyond: int) -> int:
        letters = [sign for sign in word.lower() if sign >= "\x80"]
        counts = {alphabet: sum(sign not in alphabet for sign in letters) for alphabet in self._alphabets}
        self._misfits.update(counts)
        self._alone += beyond if 1 < len(word) == beyond else 0
        worst = min(counts.values()) or not _is_cased(word)
        return beyond if worst and beyond > 0.6 * len(word) else worst

    def _odd_wide(self, script: str, word: str, beside: set[str]) -> int:
        standard, _, common = _LEVELS.get(self.encoding, ("ascii", b"", range(0)))
        self._native += script == _NATIVE.get(self.encoding)
        if script == "kana":
            self._usual += len(word) if self.encoding in _JAPANESE else 0
            return len(word) if len(word) == 1 and self.encoding not in _JAPANESE else 0
        if "hangul" in beside and script == "han":
            return len(word)
        self._usual += sum(sign in _FREQUENT.get(self.encoding, "") for sign in word)
        return sum((sign.encode(standard, "ignore") or b"\0")[0] not in common for sign in word)


def _is_cased(word: str) -> bool:
    """Whether capitals stand where they do in words: first, or everywhere."""
    return word[1:] == word[1:].lower() or word == word.upper()


def _has_needed(script: str, word: str) -> bool:
    letters, length = _NEEDED.get(script, (frozenset[str](), len(word)))
    return len(word) <= length or word.isupper() or not letters.isdisjoint(word.lower())
