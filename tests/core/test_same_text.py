"""Two texts in the same place: whether they are one, and which is the better."""

from __future__ import annotations

import unicodedata

import pytest
from hermes_rescue.core.hermes import same_text
from hermes_rescue.core.hermes.same_text import Comparison, Relation, Text, folded
from hypothesis import given
from hypothesis import strategies as st

SECRET = "sk-proj-Zx81kQpLm4Tn7Rv2Wy5Bc9Df3Gh6Jk0"
LONG = " ".join(f"line {i} of the output\n" for i in range(200))


def compare(one: str, other: str) -> Comparison | None:
    return same_text.compare(Text(folded(one)), Text(folded(other)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a  b\t c ", "a b c"),
        ("first\r\nsecond\r\n", "first\nsecond"),
        ("10\xa0km", "10 km"),
        ("line\u2028separator", "line separator"),
        ("zero\u200bwidth\u2060joiner\ufeff", "zerowidthjoiner"),
        (unicodedata.normalize("NFD", "Überprüfung é 한국어"), "Überprüfung é 한국어"),
        ("it’s “quoted” – and so on…", 'it\'s "quoted" - and so on...'),
        ("👍\ufe0f", "👍"),
    ],
)
def test_how_a_text_is_typed_makes_no_other_and_no_better_text(one: str, other: str) -> None:
    assert compare(one, other) == compare(other, one) == Comparison(Relation.SPELLING, 0)


LESSER = [
    # secrets, as the agent and the WebUI mask them
    (f"my key is {SECRET[:6]}...{SECRET[-4:]} use it", f"my key is {SECRET} use it", Relation.MASKED),
    (f"my key is {SECRET[:4]}...{SECRET[-4:]}", f"my key is {SECRET}", Relation.MASKED),
    ("export OPENAI_API_KEY=*** now", "export OPENAI_API_KEY=hunter2 now", Relation.MASKED),
    ('{"password": "***"}', '{"password": "two words"}', Relation.MASKED),
    ("postgres://me:***@host/db", "postgres://me:secret@host/db", Relation.MASKED),
    ("call +155****1234 or +449****7788", "call +15551231234 or +44912347788", Relation.MASKED),
    ("key: «redacted:ghp_…» end", "key: ghp_abcdefghijklmnop end", Relation.MASKED),
    ("key: «redacted-secret» end", "key: abcdefghijklmnop end", Relation.MASKED),
    (
        "see\n[REDACTED PRIVATE KEY]\nabove",
        "see\n-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nabove",
        Relation.MASKED,
    ),
    ("Send [REDACTED CREDENTIAL] with it", "Send Authorization: Bearer abc with it", Relation.MASKED),
    (f"{SECRET[:6]}...{SECRET[-4:]} twice {SECRET[:6]}...{SECRET[-4:]}", f"{SECRET} twice {SECRET}", Relation.MASKED),
    (f"masked {SECRET[:6]}...{SECRET[-4:]} and", f"masked {SECRET} and not yet at its end", Relation.MASKED),
    # the limits of tools and of the compressor
    (LONG[:500] + "\n... [truncated]", LONG, Relation.SHORTENED),
    (LONG[:500] + "...[truncated]", LONG, Relation.SHORTENED),
    (LONG[:500] + "… [truncated]", LONG, Relation.SHORTENED),
    (LONG[:500] + "\n...(truncated)", LONG, Relation.SHORTENED),
    (LONG[:500] + "\n... (4700 chars total, truncated)", LONG, Relation.SHORTENED),
    (LONG[:500] + "...[truncated 4200 chars]", LONG, Relation.SHORTENED),
    (LONG[:300] + "\n...[truncated]...\n" + LONG[-200:], LONG, Relation.SHORTENED),
    (
        LONG[:300] + "\n\n... [OUTPUT TRUNCATED - 4,000 chars omitted out of 4,500 total] ...\n\n" + LONG[-200:],
        LONG,
        Relation.SHORTENED,
    ),
    (LONG[:300] + "\n[... 4000 chars omitted ...]\n" + LONG[-200:], LONG, Relation.SHORTENED),
    (
        LONG[:300] + "\n\n[WebUI compressed-context budget: omitted 4200 of 4500 chars (~1050 rough tokens) from this"
        " tool result; the full output remains in the visible transcript/tool log.]",
        LONG,
        Relation.SHORTENED,
    ),
    (LONG[:117] + "...", LONG, Relation.SHORTENED),
    # characters that were lost
    ("caf\ufffd and na\ufffd\ufffdve", "café and naïve", Relation.GARBLED),
    ("half of \ufffd\ufffd", "half of 🚀", Relation.GARBLED),
    ("a lone \ufffd sign", "a lone \ud83d sign", Relation.GARBLED),
    ("V\ufffdrifie le caf\ufffd d\ufffdj\ufffd", "Vérifie le café déjà", Relation.GARBLED),
    # the end of a text that was still being written
    ("Answer: the first half", "Answer: the first half and the second", Relation.BEGINNING),
]


@pytest.mark.parametrize(("lesser", "whole", "relation"), LESSER)
def test_the_text_that_lost_nothing_is_the_better_one(lesser: str, whole: str, relation: Relation) -> None:
    assert compare(lesser, whole) == Comparison(relation, 1)
    assert compare(whole, lesser) == Comparison(relation, -1)


@pytest.mark.parametrize(("lesser", "whole", "relation"), LESSER)
def test_white_space_does_not_hide_what_was_lost(lesser: str, whole: str, relation: Relation) -> None:
    if relation is not Relation.GARBLED:
        assert compare(lesser, whole.replace("\n", "\r\n").replace(" ", "  ")) == Comparison(relation, 1)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ask one", "ask two"),
        ("", "something"),
        ("ask *** now", "ask something quite different now"),
        (f"my key is {SECRET[:6]}...{SECRET[-4:]} use it", f"my door is {SECRET} use it"),
        (f"my key is {SECRET[:6]}...{SECRET[-4:]}", f"my key is {SECRET[:-1]}x"),
        ("***", "anything"),
        ("wait...what", "wait, so what"),
        (LONG[:500] + "\n... [truncated]", LONG[600:]),
        ("caf\ufffd", "coffee"),
        ("\ufffd\ufffd", "words"),
        ("naïve", "native"),
        ("?", "what"),
        ("Ok", "Okay"[::-1]),
        ("你好", "再见"),
        ("do it", "do it now please"[3:]),
    ],
)
def test_other_words_are_another_text(one: str, other: str) -> None:
    assert compare(one, other) is None
    assert compare(other, one) is None


texts = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(" .*[]?\n\u200bé\ufffd’"), max_size=40)


@given(texts, texts)
def test_every_pair_has_one_answer_from_both_sides(one: str, other: str) -> None:
    found, back = compare(one, other), compare(other, one)
    assert (found is None) == (back is None)
    if found is not None and back is not None:
        assert found.relation is back.relation and found.better == -back.better
    assert compare(one, one) == Comparison(Relation.SPELLING, 0)
    assert folded(folded(one)) == folded(one)


@given(texts, st.integers(0, 40))
def test_a_text_is_at_least_as_good_as_its_beginning(text: str, cut: int) -> None:
    found = compare(text[:cut], text)
    assert not folded(text[:cut]) or (found is not None and found.better >= 0)


def test_long_and_hostile_texts_are_compared_as_short_ones_are() -> None:
    """What takes more than linear time takes minutes here."""
    plain = f"naïve {SECRET} x=1 … *** [ ( ... " * 5_000
    masked = plain.replace(SECRET, f"{SECRET[:6]}...{SECRET[-4:]}")
    assert compare(masked, plain) == Comparison(Relation.MASKED, 1)
    hostile = ("[" * 50 + "..." + "*** \ufffd truncated (" + "-" * 50) * 5_000
    assert compare(hostile, hostile.replace("...", "x z") + "q") is None
    assert compare(hostile + "x", hostile + "y") is None


@pytest.mark.parametrize("end", ["", " the key *** of the host was read"], ids=["at the end", "in the middle"])
def test_texts_of_one_form_are_told_apart_without_a_look_at_every_mask(
    monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Hundreds of answers can be the same report with other numbers in it, and nothing else tells them apart."""
    looks = []
    may_fill = same_text._may_fill
    monkeypatch.setattr(same_text, "_may_fill", lambda *at: looks.append(at) or may_fill(*at))
    report = "the key *** of the host was read and " * 100
    texts = [Text(folded(f"{report} it was the {k}th time{end * 50}")) for k in range(20)]
    assert not any(same_text.compare(one, other) for one in texts for other in texts if one is not other)
    assert len(looks) < 10 * len(texts) ** 2
    assert compare(f"{report} the end", f"{report.replace('***', 'sk-123')} the end") == Comparison(Relation.MASKED, 1)
