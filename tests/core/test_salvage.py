"""Files that are damaged, and files that only look like it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hermes_rescue.core.base.jsontext import Damage, parse_object
from hermes_rescue.core.hermes.sidecar import Sidecar, parse, read_head, serialise
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ..conftest import LONG


@pytest.mark.parametrize("value", ["NaN", '"\\ud83d"', "9" * 400, "1e999", '"\\u0000"'])
def test_odd_but_loadable_values_make_no_session_damaged(hermes: Any, value: str) -> None:
    data = hermes.write_live(hermes.turns("a"), odd="HERE")
    hermes.live.write_bytes(data.replace(b'"HERE"', value.encode()))
    assert hermes.kinds() == []


def test_a_duplicate_key_means_its_last_value(hermes: Any) -> None:
    data = hermes.write_live(hermes.turns("a"))
    hermes.live.write_bytes(data.replace(b'"title": "Notes"', b'"title": "First",\n  "title": "Notes"'))
    assert hermes.kinds() == []
    assert hermes.audit().sessions[0].title == "Notes"


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.decode().encode("utf-16"),
        lambda data: data.decode().encode("utf-16-le"),
        lambda data: data + b"\0" * 512,
        lambda data: data + data[40:],
        lambda data: data.replace(b"ask a", b"ask\x01 a"),
        lambda data: data.rstrip(b"}\n ]"),
    ],
    ids=["bom", "utf-16", "utf-16-le", "zero tail", "old tail", "control", "no end"],
)
def test_a_file_that_only_looks_broken_is_decoded_whole(hermes: Any, damage: Any) -> None:
    turns = hermes.turns("a", "é", "日本")
    data = hermes.write_live(turns, truncation_watermark=None, context_messages=[])
    hermes.live.write_bytes(damage(data))
    hermes.repair()
    assert [t.replace("\x01", "") for t in hermes.texts()] == hermes.said(turns)


def test_a_hole_in_the_middle_loses_only_what_stood_there(hermes: Any) -> None:
    turns = hermes.turns("a", "b", "c", "d")
    data = hermes.write_live(turns)
    at = data.index(b"ask b")
    hermes.live.write_bytes(data[:at] + b"\0" * 200 + data[at + 200 :])
    hermes.repair()
    assert set(hermes.texts()) >= {"ask a", "answer a", "ask d", "answer d"}
    hermes.write_rows(turns)
    hermes.repair()
    assert hermes.texts() == hermes.said(turns)


def test_every_whole_message_before_a_tear_is_found_wherever_it_tears(hermes: Any) -> None:
    turns = hermes.turns("a", 'q"uote\\', "日本 🚀")
    data = hermes.write_live(turns, **hermes.cleared)
    ends = [data.index(json.dumps(m["content"], ensure_ascii=False)[1:-1].encode()) for m in turns]
    for cut in range(len(data)):
        torn = parse(data[:cut])
        assert torn.damage is not None
        found = [piece.value for piece in torn.messages]
        assert found == turns[: len(found)]
        assert len(found) >= sum(data.find(b"}", end) < cut for end in ends)
        assert all(torn.get(name) == value for name, value in hermes.cleared.items() if name in torn.head)
    assert parse(data).damage is None
    assert serialise(parse(data)) == data


@given(st.binary(max_size=300), st.integers(0, 400))
def test_no_bytes_make_the_reader_stumble(noise: bytes, at: int) -> None:
    whole = b'{"session_id": "s", "messages": [{"role": "user", "content": "x"}, {"role": "assistant"}], "k": [1]}'
    for data in (noise, whole[:at] + noise, whole[:at] + noise + whole[at:]):
        found = parse(data)
        serialise(found)
        assert found.damage is not None or json.loads(data)["messages"] == [p.value for p in found.messages]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=12,
    ),
    st.booleans(),
)
def test_whatever_python_writes_is_read_and_keeps_its_bytes(value: Any, ascii_only: bool) -> None:
    document = {
        "session_id": "s",
        "odd": value,
        "messages": [{"role": "user", "content": value}, value],
        "message_count": 2,
    }
    try:
        data = json.dumps(document, indent=2, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:
        assume(False)
    found = parse(data)
    assert found.damage is None
    assert serialise(found) == data


def test_deep_nesting_costs_only_the_message_it_is_in(hermes: Any) -> None:
    turns = hermes.turns("a", "b")
    data = hermes.write_live(turns)
    deep = b"[" * 100_000 + b"]" * 100_000
    hermes.live.write_bytes(data.replace(b'"ask b"', deep))
    assert hermes.kinds() == ["malformed_live"]
    hermes.repair()
    assert hermes.texts() == ["ask a", "answer a", "answer b"]


def test_a_head_is_read_without_its_messages(hermes: Any) -> None:
    hermes.write_live([{"role": "user", "content": "x" * 200_000}])
    head = read_head(hermes.live)
    assert head["title"].value == "Notes"
    assert head["message_count"].value == 1
    assert not isinstance(head, Sidecar), "what has no messages could be saved over a session that has some"


def test_a_part_of_a_torn_message_is_not_taken_for_a_message(hermes: Any) -> None:
    quoting = {"role": "user", "content": [{"role": "system", "content": "quoted"}], "timestamp": 2.0}
    data = hermes.write_live([*hermes.turns("a"), quoting])
    torn = data[: data.index(b'"timestamp": 2.0')]
    assert [piece.value for piece in parse(torn).messages] == hermes.turns("a")


TIDY = json.dumps(
    {
        "session_id": "s",
        "title": "Tïtle",
        "numbers": [1, 2.5, -3e5, True, None],
        "messages": [
            {"role": "user", "content": 'a "b" \\ \U0001f680', "timestamp": 1.5},
            {"role": "assistant", "content": [{"type": "text", "text": "x"}]},
        ],
        "tool_calls": [],
    },
    indent=2,
    ensure_ascii=False,
)
SNIPPETS = (
    *",:{}[]\"'\\\0\x01\x7f\t\n\x0b\x0c\u00a0\u2028\ufeff",
    *(
        "NaN",
        "-Infinity",
        "nan",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "1e999",
        "+1",
        "0x1",
        "1_0",
        "\u0661",
        "9" * 4300,
        "9" * 4301,
    ),
    *(
        "true",
        "True",
        "None",
        "//c\n",
        "/*c*/",
        "\\ud800",
        "\\u00",
        "\\x",
        "\\u0000",
        "[]",
        "{}",
        '""',
        '"a"',
        '"a":1,',
    ),
    *('"messages":[],', '"messages":null,', ',"messages":5', '"mess\\u0061ges":[],'),
)


def loaded_as_the_webui_does(data: bytes) -> Any:
    """The session in a file, None where the WebUI finds none: it decodes UTF-8 and asks Python's ``json``."""
    try:
        value = json.loads(data.decode())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and isinstance(value.get("messages"), list) else None


@settings(max_examples=20_000 if LONG else 200)
@given(
    st.booleans(),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3), st.sampled_from(SNIPPETS)), min_size=1, max_size=3),
)
def test_nothing_is_called_healthy_or_damaged_unless_python_says_so(
    compact: bool, cuts: list[tuple[float, int, str]]
) -> None:
    text = json.dumps(json.loads(TIDY), ensure_ascii=False) if compact else TIDY
    for share, length, snippet in cuts:
        at = int(share * len(text))
        text = text[:at] + snippet + text[at + length :]
    data = text.encode()
    found, whole = parse_object(data), loaded_as_the_webui_does(data)
    assert (found.damage is None) == (whole is not None)
    if whole is not None:
        assert found.fields.keys() == whole.keys()
        assert [json.loads(piece.raw) for piece in found.elements or ()] == whole["messages"] or "NaN" in text
        assert found.complete and not found.lost_bytes


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("}\n  ]", "},\n  ]"),
        ("\n  ]", "\n  ],"),
        ("\n}", ",\n}"),
        ("},\n    {", "}\n    {"),
        ("},\n    {", "},,\n    {"),
        ('"messages": [', '"messages": [,'),
        ("\n    }", ",\n    }"),
        (',\n      "timestamp"', '\n      "timestamp"'),
        ('ask a"', 'ask\na"'),
    ],
)
def test_a_slip_of_somebody_who_edited_the_file_costs_nothing(hermes: Any, old: str, new: str) -> None:
    turns = hermes.turns("a", "b")
    data = hermes.write_live(turns, note="kept").decode()
    head, found, tail = data.partition(old)
    assert found
    hermes.live.write_bytes((head + new + tail).encode())
    parsed = parse(hermes.live.read_bytes())
    assert parsed.damage is not None
    assert parsed.complete and parsed.lost_bytes == 0
    assert [piece.value["content"].replace("\n", " ") for piece in parsed.messages] == hermes.said(turns)
    assert parsed.get("note") == "kept"
    assert parse(serialise(parsed)).damage is None


def places(data: bytes, parsed: Sidecar) -> list[tuple[int, int]]:
    """Where each message of a whole file begins and ends in it."""
    found: list[tuple[int, int]] = []
    for piece in parsed.messages:
        begin = data.index(piece.raw, found[-1][1] if found else 0)
        found.append((begin, begin + len(piece.raw)))
    return found


def test_of_a_torn_file_the_bytes_of_the_cut_message_are_lost(hermes: Any) -> None:
    data = hermes.write_live(hermes.turns("é", "日本"))
    spans = places(data, parse(data))
    for cut in range(spans[0][0] + 1, spans[-1][1] + 1):
        torn = parse(data[:cut])
        assert not torn.complete
        kept = len(data[:cut].rstrip(b" \n,"))
        begin = next((begin for begin, end in spans if begin < cut < end), kept)
        assert torn.lost_bytes == max(kept - begin, 0) or data[begin:cut].strip() == b"{"


@pytest.mark.parametrize("fill", [b"\0", b"\xff", b'"'], ids=repr)
def test_of_a_hole_its_bytes_and_those_of_the_messages_that_it_touches_are_lost(hermes: Any, fill: bytes) -> None:
    turns = hermes.turns("a", "b", "c", "d", "e")
    data = hermes.write_live(turns, context_messages=hermes.turns("no transcript"))
    spans = places(data, parse(data))
    begin, end = spans[3][0] + 40, spans[5][1] - 30
    torn = parse(data[:begin] + fill * (end - begin) + data[end:])
    assert [piece.value for piece in torn.messages] == turns[:3] + turns[6:]
    assert torn.lost_bytes == spans[5][1] - spans[3][0]
    assert torn.damage is not None and not torn.complete
    assert torn.get("context_messages") == hermes.turns("no transcript")


def test_a_hole_makes_no_message_of_the_beginning_of_one_and_the_end_of_another(hermes: Any) -> None:
    turns = hermes.turns("a", "b", "c")
    data = hermes.write_live(turns)
    begin, end = data.index(b"ask b") + 2, data.index(b"swer b")
    torn = parse(data[:begin] + b"\0" * (end - begin) + data[end:])
    assert [piece.value for piece in torn.messages] == turns[:2] + turns[4:]


def test_what_is_left_of_two_messages_whose_middle_is_gone_is_no_message(hermes: Any) -> None:
    """Nothing stands where bytes were; what is left has one field twice, and would be a prompt that nobody sent."""
    turns = hermes.turns("a", "b", "c")
    turns[2]["attachments"] = ["plan.pdf"]
    data = hermes.write_live(turns)
    begin = data.index(b'"ask b"') + len(b'"ask b"')
    hermes.live.write_bytes(data[:begin] + data[data.index(b'"content": "answer b"') :])
    found = [piece.value for piece in parse(hermes.live.read_bytes()).messages]
    assert found == [*turns[:2], *turns[4:]]


def test_a_few_lost_bytes_cost_only_themselves(hermes: Any) -> None:
    data = hermes.write_live(hermes.turns("a", "b"))
    torn = parse(data.replace(b"answer a", b"ans\0\0r a"))
    assert [piece.value["content"] for piece in torn.messages][1:] == ["ans\ufffd\ufffdr a", "ask b", "answer b"]
    assert torn.lost_bytes == len("\0\0") and not torn.complete


def test_zero_bytes_are_no_loss_where_they_only_fill_a_whole_file_up(hermes: Any) -> None:
    data = hermes.write_live(hermes.turns("a"))
    for filled in (data + b"\0" * 512, b"\0" * 512 + data):
        assert parse(filled).damage is Damage.NUL
        assert parse(filled).complete and parse(filled).lost_bytes == 0
    torn = data[: data.index(b"\n    }") + 7]
    assert parse(torn).lost_bytes == 0
    assert parse(torn + b"\0" * 512).lost_bytes == 512
    assert parse(b"\0" * 512).lost_bytes == 512
    assert parse(b"").lost_bytes == 0


def test_what_a_longer_file_left_behind_the_end_is_told_apart(hermes: Any) -> None:
    old = hermes.write_live(hermes.turns("a", "b", "c"), context_messages=hermes.turns("context"))
    new = hermes.write_live(hermes.turns("z"))
    mixed = new + old[len(new) :]
    parsed = parse(mixed)
    assert parsed.damage is Damage.TRAILING and parsed.complete
    assert [piece.value for piece in parsed.messages] == hermes.turns("z")
    spans = places(old, parse(old))
    kept = [turn for turn, (begin, _) in zip(hermes.turns("a", "b", "c"), spans, strict=True) if begin >= len(new)]
    assert kept and [piece.value for piece in parsed.after_end] == kept
    assert parsed.lost_bytes == next(end for _, end in spans if end > len(new)) - len(new)
    within_a_character = hermes.write_live(hermes.turns("日本語")) + "é".encode()[1:] + old[len(new) :]
    assert parse(within_a_character).damage is Damage.TRAILING
    assert parse(new + b"\n garbage \n").lost_bytes == len(b"garbage")
    behind_all_messages = new + old[old.index(b'"context_messages"') + 30 :]
    assert parse(behind_all_messages).after_end == ()


def test_without_its_beginning_a_file_still_gives_what_follows(hermes: Any) -> None:
    turns = hermes.turns("a", "b")
    data = hermes.write_live(turns, context_messages=hermes.turns("context"))
    for begin in (1, data.index(b'"title"') + 3, data.index(b'"workspace"') + 2):
        for head in (b"", b"\0" * begin, b"\xfe" * begin):
            torn = parse(head + data[begin:])
            assert [piece.value for piece in torn.messages] == turns
            assert torn.get("context_messages") == hermes.turns("context")
            assert not torn.complete or begin == 1
    torn = parse(data[data.index(b"ask a") :])
    assert [piece.value for piece in torn.messages] == turns[1:]
    behind = parse(data[data.index(b'"context_messages"') + 30 :])
    assert behind.messages == ()


@pytest.mark.parametrize("fill", [b"", b"\0"], ids=["cut off", "zero bytes"])
def test_every_whole_message_behind_a_lost_beginning_is_found_wherever_it_ends(hermes: Any, fill: bytes) -> None:
    turns = hermes.turns("a", "b", "c")
    data = hermes.write_live(turns, context_messages=[{"role": "user", "content": "not the transcript"}])
    begins = [data.index(b"{", data.rindex(b"}", 0, data.index(t.encode()))) for t in hermes.said(turns)[1:]]
    for at in range(data.index(b'"messages"') + 1, begins[-1] + 1):
        whole = sum(begin >= at for begin in begins)
        found = parse(fill * at + data[at:])
        said = [piece.value["content"] for piece in found.messages]
        assert said[-whole:] == hermes.said(turns)[-whole:], at
        assert {"content", "timestamp"}.isdisjoint(found.head), at


def test_a_damaged_field_costs_no_other(hermes: Any) -> None:
    turns = hermes.turns("a")
    data = hermes.write_live(turns, odd="HERE", context_messages=hermes.turns("context"))
    for name in (b'"title": "Notes"', b'"odd": "HERE"', b'"tool_calls": []'):
        assert name in data or name.startswith(b'"tool')
        torn = parse(data.replace(name, name[:-2] + b"\x01" * 30 + b"{"))
        assert [piece.value for piece in torn.messages] == turns
        assert torn.get("context_messages") == hermes.turns("context")
        assert name.split(b'"')[1].decode() not in torn.head or name not in data
    quoted = parse(data.replace(b'"Notes"', b'"Notes "of" a day"'))
    assert "title" not in quoted.head and quoted.lost_bytes == len('"title": "Notes "of" a day"')


@pytest.mark.parametrize("compact", [False, True])
def test_rows_after_a_hole_in_a_list_of_objects_are_found(compact: bool) -> None:
    rows = [{"session_id": f"s{i}", "tags": [1], "row": {"messages": []}} for i in range(9)]
    data = json.dumps(rows, indent=None if compact else 2).encode()
    begin, end = data.index(b'"s3"'), data.index(b'"s5"')
    found = parse_object(b'{"messages": ' + data[:begin] + b"\0" * (end - begin) + data[end:] + b"}")
    assert [piece.value for piece in found.elements or ()] == rows[:3] + rows[6:]


def test_a_list_without_an_end_does_not_hold_the_reader_up() -> None:
    found = parse_object(b'{\n  "a": x,\n  "messages"\x0b: [],\n  "b": 1\n}')
    assert found.damage is Damage.TORN and found.fields["b"].value == 1


_NO_PATHS: tuple[Any, ...] = (None, 0, [], {}, ["/srv"], "/srv/\0x", "/srv/\ud83d")
_EMPTY: tuple[Any, ...] = (None, "", 0, [])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("workspace", value) for value in _NO_PATHS],
        *[(f, v) for f in ("created_workspace", "worktree_path", "worktree_repo_root") for v in (1, ["/srv"], "/\0")],
        *[("message_count", float("inf")), ("post_compression_context_tokens_estimate", float("inf"))],
        *[("parent_session_id", ["a"]), ("active_stream_id", {"a": 1}), ("self", 1)],
    ],
    ids=repr,
)
def test_a_field_that_the_webui_cannot_load_is_damage_and_no_part_of_the_session(field: str, value: Any) -> None:
    data = json.dumps({"session_id": "s", field: value, "message_count": 0, "messages": []} | {field: value}).encode()
    parsed = parse(data)
    assert parsed.damage is Damage.WRONG_SHAPE and parsed.complete
    assert field not in parsed.head and parsed.get("session_id") == "s"
    assert parse(serialise(parsed)).damage is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[(f, v) for f in ("created_workspace", "worktree_path") for v in _EMPTY],
        *[("workspace", ""), ("workspace", "/srv/\udc80x"), ("parent_session_id", []), ("message_count", float("nan"))],
        *[("message_count", "many"), ("title", 5), ("profile", ["x"]), ("pinned", "yes")],
    ],
    ids=repr,
)
def test_an_odd_field_that_the_webui_loads_is_no_damage(field: str, value: Any) -> None:
    parsed = parse(json.dumps({"session_id": "s", "messages": [], field: value}).encode())
    assert parsed.damage is None and field in parsed.head


def test_a_document_that_is_no_session_is_not_called_torn() -> None:
    for data in (b"[1, 2]", b'"text"', b"5", b"[ZoneTransfer]\nZoneId=3\n", b"\x1f\x8b\x08binary\xff\0\x01", b"null"):
        parsed = parse_object(data)
        assert parsed.damage is Damage.WRONG_SHAPE and parsed.elements is None
    assert parse_object(b"[1, 2]").lost_bytes == 0
    assert parse_object(b"text").lost_bytes == len(b"text")


def test_what_an_older_file_left_behind_a_write_that_broke_off_is_told_apart(hermes: Any) -> None:
    """A file that is written over in place begins new and ends old, with a seam in the middle of a message."""
    old, new = hermes.turns("a", "b", "c", "d"), hermes.turns("c", "d", "e", start=20)
    before, data = hermes.write_live(old), hermes.write_live(new)
    at = data.index(b'"content": "ask e"')
    mixed = data[:at] + before[before.index(b'ask b"') :]
    found = parse(mixed)
    assert [piece.value for piece in found.messages] == new[:4]
    assert [piece.value for piece in found.after_end] == old[3:]
    hermes.live.write_bytes(mixed)
    hermes.write_rows(new)
    hermes.repair()
    assert hermes.texts() == hermes.said(new)


def test_what_is_said_again_after_a_hole_is_no_older_file() -> None:
    """An older file shows by its earlier time, and these messages have none."""
    texts = ["continue", "Done.", "What now?", "Nothing. " * 9, "Then"]
    said = [{"role": ("user", "assistant")[k % 2], "content": text} for k, text in enumerate(texts)]
    said += said[:2]
    data = json.dumps({"session_id": "a", "messages": said}, indent=2).encode()
    hole = data.index(b"Nothing")
    found = parse(data[:hole] + bytes(40) + data[hole + 40 :])
    assert [piece.value for piece in found.messages] == [*said[:3], *said[4:]]
    assert found.after_end == ()


def evidence(hermes: Any) -> str:
    (found,) = (f for s in hermes.audit().sessions for f in s.findings if f.name == "malformed_live")
    return str(found.evidence)


def test_the_finding_tells_what_of_a_damaged_file_is_not_merged(hermes: Any) -> None:
    old, new = hermes.turns("a", "b", "c", "d"), hermes.turns("c", "d", "e", start=20)
    before, data = hermes.write_live(old), hermes.write_live(new)
    at = data.index(b'"content": "ask e"')
    hermes.live.write_bytes(data[:at] + before[before.index(b'ask b"') :])
    hermes.write_rows(new)
    mixed = parse(hermes.live.read_bytes())
    assert f" {mixed.lost_bytes} bytes " in evidence(hermes)
    assert f" {len(mixed.after_end)} messages of an older file, after its end" in evidence(hermes)
    hermes.live.write_bytes(data.replace(b"answer c", "café, déjà vu: l'été à la forêt".encode("cp1252")))
    assert parse(hermes.live.read_bytes()).encoding in evidence(hermes)
    hermes.live.write_bytes(data[: data.index(b"\n    }") + 7])
    assert "bytes" not in evidence(hermes)
