"""Two texts in the same place: whether they are one, and which is the better."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.same_text import Comparison, Relation, compare, folded, is_join, is_stand_in, parts_of

SECRET = "sk-proj-Zx81kQpLm4Tn7Rv2Wy5Bc9Df3Gh6Jk0"
LONG = " ".join(f"line {i} of the output\n" for i in range(200))


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
    # what stands in the place of a whole result
    ("[Duplicate tool output — same content as a more recent call]", LONG, Relation.STAND_IN),
    ("[Old tool output cleared to save context space]", LONG, Relation.STAND_IN),
    ("[terminal] ran `npm test` -> exit 0, 47 lines output", LONG, Relation.STAND_IN),
    ("[read_file] read config.py from line 1 (1,200 chars)", LONG, Relation.STAND_IN),
    ("[search_files] content search for 'x' in . -> 12 matches", LONG, Relation.STAND_IN),
    ("<persisted-output>\nFull output saved to: /tmp/x\n\nPreview\n</persisted-output>", LONG, Relation.STAND_IN),
    # characters that were lost
    ("caf\ufffd and na\ufffd\ufffdve", "café and naïve", Relation.GARBLED),
    ("half of \ufffd\ufffd", "half of 🚀", Relation.GARBLED),
    ("a lone \ufffd sign", "a lone \ud83d sign", Relation.GARBLED),
    ("na?ve ??", "naïve 日本", Relation.GARBLED),
    ("naïve ??", "naïve 日本", Relation.GARBLED),
    ("Ã¼ber cafÃ©", "über café", Relation.GARBLED),
    ("itâ€™s", "it’s", Relation.GARBLED),
    ("ðŸš€", "🚀", Relation.GARBLED),
    ("浣犲ソ锛屼笘鐣�", "你好，世界", Relation.GARBLED),
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


def test_of_two_readings_of_the_same_bytes_neither_is_called_better() -> None:
    text = "Merhaba, şu dosyayı çalıştır"
    assert compare(text, text.encode("cp1254").decode("cp1252")) == Comparison(Relation.GARBLED, 0)


@pytest.mark.parametrize(
    ("prompt", "longer"),
    [
        ("look at it", "look at it\n[screenshot]"),
        ("look at it", "[screenshot]\nlook at it"),
        ("look at it", "look at it\n\n[Attached files: a b.png, c.pdf]"),
        ("go on", "[IMPORTANT: Background process p1 completed (exit code 0).\nCommand: x\nOutput:\n[y]]\n\ngo on"),
    ],
)
def test_what_the_program_adds_to_a_prompt_makes_it_no_better(prompt: str, longer: str) -> None:
    assert compare(prompt, longer) == compare(longer, prompt) == Comparison(Relation.ADORNED, 0)


def test_a_note_in_place_of_a_result_is_told_from_a_result() -> None:
    assert not is_stand_in("[1, 2, 3]")
    assert not is_stand_in("[info] server ready")
    assert not is_stand_in("a [Duplicate tool output")
    assert is_stand_in("[Duplicate tool output — same content as a more recent call]")


texts = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(" .*[]?\n\u200bé\ufffd’"), max_size=40)


@given(texts, texts)
def test_every_pair_has_one_answer_from_both_sides(one: str, other: str) -> None:
    found, back = compare(one, other), compare(other, one)
    assert (found is None) == (back is None)
    if found is not None and back is not None:
        assert found.relation is back.relation and found.better == -back.better
    assert compare(one, one) == Comparison(Relation.SAME, 0)
    assert folded(folded(one)) == folded(one)


@given(texts, st.integers(0, 40))
def test_a_text_is_at_least_as_good_as_its_beginning(text: str, cut: int) -> None:
    found = compare(text[:cut], text)
    assert not folded(text[:cut]) or (found is not None and found.better >= 0)


def test_what_a_gateway_joins_is_known_by_its_parts() -> None:
    steps = ["Let me look.", "", "I check the  next one.", "It is\n\nred."]
    assert is_join("Let me look.\n\nI check the next one.\n\nIt is\n\nred.", steps)
    assert is_join("Let me look.\nI check the next one.\nIt is\n\nred.", steps)
    assert not is_join("Let me look.\n\nIt is\n\nred.", steps)
    assert not is_join("Let me look.\n\nI check the next one.\n\nIt is\n\nred. And more", steps)


@pytest.mark.parametrize(
    ("merged", "prompts", "places"),
    [
        ("c\n\nb\n\na", ["a", "b", "c"], (2, 1, 0)),
        ("a", ["a"], (0,)),
        ("a\r\n\r\n[Workspace::v1: /srv/x]\nb", ["a", "b"], (0, 1)),
        ("continue\n\ncontinue\n\ncontinue", ["continue", "x", "continue"], (0, 2, 2)),
        ("first\n\nsecond\n\nthird", ["first\n\nsecond", "third", "first"], (0, 1)),
        ("summary\n\nb\n\n\n\na", ["a", "b"], (1, 0)),
        ("abc", ["a", "b"], ()),
        ("ask\nmore", ["ask"], ()),
        ("", ["", "a"], ()),
    ],
)
def test_the_prompts_in_a_merged_one_are_found(merged: str, prompts: list[str], places: tuple[int, ...]) -> None:
    assert parts_of(merged, prompts) == places


def test_long_and_hostile_texts_are_compared_as_short_ones_are() -> None:
    """What takes more than linear time takes minutes here."""
    plain = f"naïve {SECRET} x=1 … *** [ ( ... " * 5_000
    masked = plain.replace(SECRET, f"{SECRET[:6]}...{SECRET[-4:]}")
    assert compare(masked, plain) == Comparison(Relation.MASKED, 1)
    hostile = ("[" * 50 + "..." + "*** \ufffd truncated (" + "-" * 50) * 5_000
    assert compare(hostile, hostile.replace("...", "x z") + "q") is None
    assert compare(hostile + "x", hostile + "y") is None
    assert compare("é" * 500_000 + "?", "é" * 500_000 + "日") == Comparison(Relation.GARBLED, 1)
    merged = "\n\n".join(["a", "b", "c"] * 5_000)
    assert len(parts_of(merged, ["a\n\nb", "c", "a"] * 1_000)) == 2 * 5_000
