"""A large file is parsed in parts, so that no other thread waits long: what is read is the same."""

from __future__ import annotations

import json
import random
import re
from typing import Any
from unittest.mock import patch

import pytest
from hermes_rescue.core.base import jsontext
from hypothesis import given, settings
from hypothesis import strategies as st

LAYOUT = ["\n    },\n    {", "\n  ]", '\n  "messages": [\n    ', '\n  "messages": ', ",\n    ", "\n    }", "[", "]"]
"""What marks a place to cut in the WebUI's layout."""

TEXTS = st.text(max_size=5) | st.sampled_from([*LAYOUT, json.dumps(LAYOUT)])
VALUES = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "messages"]) | TEXTS, inner, max_size=3)
    ),
    max_leaves=12,
)
DOCUMENTS = st.fixed_dictionaries(
    {"session_id": TEXTS, "messages": st.lists(VALUES, max_size=6) | VALUES, "context_messages": st.lists(VALUES)},
)


def read(data: bytes) -> Any:
    """All that a document says, piece by piece."""
    found = jsontext.parse_object(data)
    fields = [(key, piece is jsontext.MESSAGES_HERE or piece.raw) for key, piece in found.fields.items()]
    elements = None if found.elements is None else [piece.raw for piece in found.elements]
    return fields, elements, found.damage, found.complete, found.lost_bytes


def assert_same_in_parts(data: bytes) -> None:
    """However small the parts are."""
    whole = read(data)
    for size in (0, 20, 200):
        with patch.object(jsontext, "LARGE", 0), patch.object(jsontext, "_PART", size):
            assert read(data) == whole


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS, st.randoms(use_true_random=False))
def test_whatever_a_large_file_says_is_read_in_parts(value: dict[str, Any], chance: random.Random) -> None:
    """In the WebUI's layout and, with the same values, in one that only looks like it."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    assert_same_in_parts(text.encode("utf-8", "surrogatepass"))
    other = re.sub(r"\n +", lambda _: "\n" + chance.choice(["  ", "    ", "      "]), text)
    assert_same_in_parts(other.encode("utf-8", "surrogatepass"))


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS, st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), st.sampled_from(["", *LAYOUT]))))
def test_what_is_damaged_is_read_as_before(value: dict[str, Any], changes: list[tuple[float, int, str]]) -> None:
    """Cut, written over, and with what looks like a place to cut where it does not belong."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    for where, gone, new in changes:
        at = int(where * len(text))
        text = text[:at] + new + text[at + gone :]
    assert_same_in_parts(text.encode("utf-8", "surrogatepass"))


def test_another_list_of_that_name_is_not_taken_for_the_messages() -> None:
    """A field of a field, laid out as if it were one of the session."""
    inner = '{\n  "messages": [\n    {\n      "a": 1\n    },\n    {\n      "b": 2\n    }\n  ]\n}'
    for text in (f'{{"x": {inner}, "messages": [3]}}', f'{{"messages": [3], "x": {inner}}}'):
        assert_same_in_parts(text.encode())
        with patch.object(jsontext, "LARGE", 0):
            assert read(text.encode())[1] == [b"3"]


def test_no_call_to_the_parser_takes_more_than_a_part(hermes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said = hermes.turns(*map(str, range(2000)))
    for each in said:
        each["content"] += " and so on" * 100
    data = hermes.write_live(said, context_messages=[])
    sizes: list[int] = []

    class Seen:
        def __init__(self, decoder: Any) -> None:
            self.decoder = decoder

        def decode(self, text: Any) -> Any:
            sizes.append(memoryview(text).nbytes)
            return self.decoder.decode(text)

    for name in ("_FIELDS", "_ELEMENTS"):
        monkeypatch.setattr(jsontext, name, Seen(getattr(jsontext, name)))
    assert [json.loads(piece.raw) for piece in jsontext.parse_object(data).elements or ()] == said
    longest = max(len(json.dumps(each)) for each in said)
    assert len(data) > jsontext.LARGE
    assert max(sizes) < jsontext._PART + 2 * longest < len(data)
