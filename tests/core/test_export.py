"""A saved copy holds the conversation, all of it, once, and does nothing but be read."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core.base.errors import RescueError
from hermes_rescue.core.base.jsontext import Piece
from hermes_rescue.core.hermes.message import message
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.core.report import export
from hermes_rescue.core.report.diff import Version
from hermes_rescue.core.report.export import Copy, render
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

Rescue = Callable[..., tuple[int, str, str]]

PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
VOID = {"meta", "img", "hr", "br"}

HOSTILE = (
    "{}",
    "<script>alert('{}')</script>",
    "</details></article></main> {}",
    "[{}](javascript:alert(1))",
    "[{}](java&#115;cript:alert(1))",
    "[x{}]: javascript:alert(1)\n\n[x]",
    "![p](http://e.example/{}.png)",
    "```\nopen {}",
    "~~~~ python\n{}\n```\n<b>",
    "foo ` bar\nbaz ` <img src=x onerror=alert(1)> ` {}",
    "- `\n- <iframe>{}",
    "<!-- {}",
    "<div>\n```\n{}",
    "> " * 80 + "{}",
    "[" * 3000 + "{}",
    "\x1b[31m{}\x1b[0m \x00 \u202e \ud800 \x85",
    "| a | b |\n|---|---|\n| {} | <b> |",
    "# {}\n\n---\n\n## You",
    "    indented {}\n<script>",
    "a \\<b> \\`{}\\` {{{{ 7*7 }}}} {{% x %}}",
    "[{}]: not a link",
    "word " * 25_000 + "\n\n<b>{}",
)


class Page(HTMLParser):
    """The words, tags and attributes of a page; fails where its tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] not in (["style"], ["title"]):
            self.text += data


def copy_of(values: list[Any], name: str = "recovered", title: str = "Notes", **fields: Any) -> Copy:
    """A copy of a session with these messages."""
    return Copy("3f2a9c51b7d0", title, name, Version(name, tuple(message(Piece(None, v, 2)) for v in values), fields))


def page(values: list[Any], **fields: Any) -> Page:
    return Page(render(copy_of(values, **fields), "html").decode())


def markdown(values: list[Any], **fields: Any) -> str:
    return render(copy_of(values, **fields), "md").decode()


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[str]]:
    """Messages, and a word of each text in them that stands nowhere else."""
    words: list[str] = []

    def text() -> str:
        words.append(f"word{len(words)}end")
        return draw(st.sampled_from(HOSTILE)).format(words[-1])

    values: list[dict[str, Any]] = []
    for k in range(draw(st.integers(1, 4))):
        at = 1_777_000_000.0 + 60 * k
        if draw(st.booleans()):
            prompt: Any = text()
            if draw(st.booleans()):
                prompt = [{"type": "text", "text": prompt}, {"type": "image_url", "image_url": {"url": PIXEL}}]
            values.append({"role": "user", "content": prompt, "timestamp": at})
        answer: dict[str, Any] = {"role": "assistant", "content": text(), "timestamp": at}
        if draw(st.booleans()):
            answer["reasoning"] = text()
        if draw(st.booleans()):
            given = json.dumps({"q": text()}) if draw(st.booleans()) else text()
            answer["tool_calls"] = [{"id": "c1", "type": "function", "function": {"name": "run", "arguments": given}}]
            if draw(st.booleans()):
                values.append(answer)
                answer = {"role": "tool", "tool_call_id": draw(st.sampled_from(("c1", "?"))), "content": text()}
        values.append(answer)
    return values, words


@settings(max_examples=50)
@given(conversations())
def test_every_text_is_in_every_form_once(made: tuple[list[dict[str, Any]], list[str]]) -> None:
    values, words = made
    texts = {
        "md": markdown(values),
        "html": render(copy_of(values), "html").decode(),
        "json": render(copy_of(values), "json").decode(),
    }
    assert [(form, word) for form, text in texts.items() for word in words if text.count(word) != 1] == []


@settings(max_examples=50)
@given(conversations())
def test_a_page_does_nothing_but_be_read(made: tuple[list[dict[str, Any]], list[str]]) -> None:
    found = page(made[0], title="<script>1</script>")
    assert not {"script", "iframe", "link", "object", "form", "base"} & {*found.tags}
    for tag, name, value in found.attributes:
        assert name in {
            *("lang", "charset", "http-equiv", "content", "name", "class", "dir", "href", "rel", "src", "alt", "style"),
            "start",
        }
        assert name != "src" or value.startswith("data:image/")
        assert name != "href" or value.startswith(("http://", "https://", "mailto:"))
        assert name != "style" or tag in ("td", "th")
    assert ("meta", "content", "default-src 'none'; style-src 'unsafe-inline'; img-src data:") in found.attributes


@settings(max_examples=50)
@given(conversations())
def test_markdown_stays_in_its_place(made: tuple[list[dict[str, Any]], list[str]]) -> None:
    """A viewer that trusts everything sees our headings, our folds, and nothing else that acts."""
    values, _ = made
    viewer = MarkdownIt("commonmark", {"html": True}).enable("table")
    viewer.validateLink = lambda url: True  # type: ignore[method-assign]
    tokens = viewer.parse(markdown(values))
    inner = [child for token in tokens for child in token.children or ()]
    raw = [token.content.strip() for token in (*tokens, *inner) if token.type in ("html_block", "html_inline")]
    assert {each for each in raw if not each.startswith("<details><summary>")} <= {"</details>"}
    assert raw.count("</details>") * 2 == len(raw)
    links = [str(token.attrGet("href") or token.attrGet("src") or "") for token in inner]
    assert not [link for link in links if "script:" in link or (link and not link.startswith("http"))]
    assert not [token for token in inner if token.type == "image"]
    heads = [tokens[k + 1].content for k, token in enumerate(tokens) if token.tag == "h2" and token.nesting == 1]
    speakers = [head for head in heads if head.startswith(("You – 2026", "Hermes – 2026"))]
    turns = sum(v["role"] == "user" for v in values)
    answers = sum(v["role"] != "user" and (not k or values[k - 1]["role"] == "user") for k, v in enumerate(values))
    assert len(speakers) == turns + answers


def test_markdown_is_shown_as_what_it_means_and_code_is_kept() -> None:
    answer = "**Bold**, `x < y`:\n\n1. one\n\n| a |\n|---|\n| b |\n\n```python\nif x < 1:\n    pass\n```\n"
    found = page([{"role": "assistant", "content": answer}])
    assert {"strong", "ol", "table", "pre", "code"} <= {*found.tags}
    assert "if x < 1:\n    pass" in found.text
    assert answer.strip() in markdown([{"role": "assistant", "content": answer}])


def test_what_a_person_typed_is_shown_as_typed() -> None:
    typed = "#include <stdio.h>\n  * not a list *\n\n```\ncode\n```"
    found = page([{"role": "user", "content": typed}])
    assert "#include <stdio.h>\n  * not a list *" in found.text
    assert "li" not in found.tags
    assert "h3" not in found.tags
    assert "pre" in found.tags


def test_a_fence_in_a_fence_stays_in_it() -> None:
    inner = "```python\nprint()\n```"
    result = {"role": "tool", "tool_call_id": "c", "content": f"{inner}\n````\nmore"}
    text = markdown([result, {"role": "assistant", "content": f"````md\n{inner}\n````"}])
    blocks = [token.content.strip() for token in MarkdownIt().parse(text) if token.type == "fence"]
    assert blocks == [f"{inner}\n````\nmore", inner]


def test_a_result_stands_with_its_call_and_the_steps_of_an_answer_are_one_speech() -> None:
    values = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": "", "tool_calls": [call("a", "first"), call("b", "second")]},
        {"role": "tool", "tool_call_id": "b", "content": "result of b"},
        {"role": "tool", "tool_call_id": "a", "content": "result of a"},
        {"role": "assistant", "content": "done"},
    ]
    found = page(values)
    assert found.tags.count("article") == 2
    order = [found.text.index(each) for each in ("first", "result of a", "second", "result of b", "done")]
    assert order == sorted(order)


def call(call_id: str, name: str, **given: Any) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}


def test_a_call_that_only_the_session_tells_is_shown_once() -> None:
    values = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": "", "tool_calls": [call("a", "told", q="by the message")]},
        {"role": "assistant", "content": "done"},
    ]
    cards = [
        {"name": "told", "tid": "a", "assistant_msg_idx": 1, "args": {"q": "by a card"}},
        {"name": "card", "tid": "b", "assistant_msg_idx": 2, "args": {"q": "only here"}, "snippet": "what came"},
        *("odd", {"assistant_msg_idx": 99}, {"assistant_msg_idx": "x"}),
    ]
    text = page(values, tool_calls=cards).text
    assert [text.count(each) for each in ("by the message", "by a card", "only here", "what came")] == [1, 0, 1, 1]


def test_pictures_are_in_the_page_only_where_they_are_in_the_session() -> None:
    addresses = [
        "http://e.example/a.png",
        "file:///etc/passwd",
        "data:image/svg+xml;base64,AAAA",
        "javascript:1",
        PIXEL,
    ]
    parts = [{"type": "image_url", "image_url": {"url": each}} for each in addresses]
    inline = {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": PIXEL.split(",")[1]}}
    found = page([{"role": "user", "content": [*parts, inline, {"type": "input_image"}]}])
    assert [value for _, name, value in found.attributes if name == "src"] == [PIXEL, PIXEL]
    assert all(each in found.text for each in addresses[:4])


def test_emoji_and_scripts_that_need_joiners_stay_whole() -> None:
    text = "👨‍👩‍👧 नमस्ते می‌خواهم 京都 l’été à Noël"
    values: list[dict[str, Any]] = [{"role": role, "content": text} for role in ("user", "assistant")]
    assert page(values).text.count(text) == markdown(values).count(text) == 2


def test_odd_sessions_are_saved_in_every_form() -> None:
    values: list[Any] = [
        *("text", 7, None, [], {}, {"role": 5, "content": {"a": float("nan")}}),
        {"role": "assistant", "content": "x", "tool_calls": [3, {"function": {"name": None, "arguments": {"q": 1}}}]},
        {"role": "assistant", "content": [5, {"type": {}}, {"type": "thinking", "thinking": "deep"}], "reasoning": 5},
        {"role": "tool", "content": None, "name": 7},
        {"role": "system", "content": "rules", "attachments": [{"size": 1}, 5, None], "timestamp": 1e300},
    ]
    made = copy_of(values, title="Odd", tool_calls="odd", model=5, updated_at="never")
    assert "deep" in Page(render(made, "html").decode()).text
    assert "rules" in render(made, "md").decode()
    assert len(json.loads(render(made, "json"))["messages"]) == len(values)
    assert "No messages." in page([]).text
    with pytest.raises(ValueError, match="docx"):
        render(made, "docx")


def test_the_json_is_what_hermes_webui_imports() -> None:
    """Its import wants two lists, a workspace that it allows (none is always), and what a browser reads as JSON and
    Python writes as UTF-8."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    values = [{"role": "user", "content": "half \ud800 ü", "x": float("inf")}, {"role": "assistant", "content": "NaN"}]
    data = render(copy_of(values, tool_calls=None, workspace="/gone", pinned=True, cost=float("nan")), "json")
    loaded = json.loads(data, parse_constant=refuse)
    json.dumps(loaded, ensure_ascii=False).encode()
    assert loaded["messages"][1] == values[1]
    assert "ü" in loaded["messages"][0]["content"]
    assert (loaded["tool_calls"], loaded["workspace"], loaded["created_workspace"]) == ([], "", "/gone")
    assert (loaded["title"], loaded["pinned"], loaded["message_count"]) == ("Notes", True, 2)


@pytest.fixture
def wiped(hermes: Any) -> Any:
    """A session with two turns in its backup, one more in the database, and another that was undone."""
    hermes.write_live([])
    hermes.write_backup(hermes.turns("a", "b"))
    hermes.write_rows(
        [*hermes.turns("a", "b"), *({**m, "active": 0} for m in hermes.turns("undone", start=30))],
    )
    return hermes


def test_a_copy_has_what_a_repair_would_give_and_looking_changes_nothing(
    wiped: Any, rescue: Rescue, tmp_path: Path, snapshot: Callable[[Path], Any]
) -> None:
    before = snapshot(wiped.home)
    target = tmp_path / "copy.json"
    status, out, _ = rescue("export", wiped.live.stem, "--form", "json", "-o", target, "--home", wiped.home)
    assert (status, out) == (0, f"{target}\n")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert snapshot(wiped.home) == before
    wiped.repair()
    assert json.loads(target.read_bytes())["messages"] == wiped.load()["messages"]
    for form in ("md", "html"):
        text = rescue("export", wiped.live.stem, "--form", form, "-o", "-", "--home", wiped.home)[1]
        assert ("answer b" in text, "undone" in text) == (True, False)


def test_any_copy_can_be_saved_by_the_name_that_diff_knows(wiped: Any, rescue: Rescue) -> None:
    def saved(name: str) -> list[Any]:
        _, out, _ = rescue("export", sid, "--form", "json", "--from", name, "-o", "-", "--home", wiped.home)
        return wiped.said(json.loads(out)["messages"])

    sid = wiped.live.stem
    turns = ["ask a", "answer a", "ask b", "answer b"]
    assert (saved("live"), saved("backup"), saved("database"), saved("recovered")) == ([], turns, turns, turns)
    status, _, said = rescue("export", sid, "--from", "nowhere", "-o", "-", "--home", wiped.home)
    assert (status, said.count("\n")) == (3, 1)
    assert all(name in said for name in ("nowhere", "live", "backup", "database", "recovered"))


def test_a_file_that_is_there_stays_unless_it_is_meant(wiped: Any, rescue: Rescue, tmp_path: Path) -> None:
    target = tmp_path / "mine.md"
    target.write_text("mine")
    arguments = ("export", wiped.live.stem, "-o", target, "--home", wiped.home)
    status, _, said = rescue(*arguments)
    assert (status, target.read_text(), said.count("\n")) == (3, "mine", 1)
    assert rescue(*arguments, "--overwrite")[0] == 0
    assert "answer b" in target.read_text()


def sessions(hermes: Any, titles: dict[str, str]) -> Iterator[str]:
    for sid, title in titles.items():
        session = hermes.session(hermes.turns(sid), session_id=sid, title=title)
        hermes.write(hermes.sessions / f"{sid}.json", session)
        yield sid


def test_several_sessions_get_names_of_their_own_in_a_folder(hermes: Any, rescue: Rescue, tmp_path: Path) -> None:
    titles = {
        "aaaaaaaaaaaa": "Notes",
        "bbbbbbbbbbbb": "NOTES",
        "cccccccccccc": "../../<x>|\x1b[31m\u202e: con. ",
        "dddddddddddd": "ü" * 300,
    }
    ids = [*sessions(hermes, titles)]
    folder = tmp_path / "new" / "folder"
    status, out, _ = rescue("export", *ids, "-o", folder, "--home", hermes.home)
    files = sorted(folder.iterdir())
    assert (status, out.count("\n")) == (0, len(ids))
    assert len({path.name.casefold() for path in files}) == len(ids)
    assert all(path.name.startswith("2026-04-2") and len(path.name.encode()) < 255 for path in files)
    assert not [sign for path in files for sign in '<>:"/\\|?*\x1b\u202e' if sign in path.name]
    texts = [path.read_text() for path in files]
    assert all(sum(f"answer {sid}" in text for text in texts) == 1 for sid in ids)
    status, _, said = rescue("export", "--all", "-o", folder, "--home", hermes.home)
    assert (status, said.count("Not saved")) == (1, len(ids))


def test_one_session_that_fails_does_not_stop_the_others(hermes: Any, rescue: Rescue, tmp_path: Path) -> None:
    ids = [*sessions(hermes, {"aaaaaaaaaaaa": "Notes"})]
    hermes.write(hermes.sessions / "_deleted_webui_sessions.json", {"session_ids": ["bbbbbbbbbbbb"]})
    hermes.write(
        hermes.sessions / "bbbbbbbbbbbb.json.bak", hermes.session(hermes.turns("x"), session_id="bbbbbbbbbbbb")
    )
    status, out, said = rescue(
        "export", *ids, "bbbbbbbbbbbb", "-o", tmp_path / "f", "--from", "live", "--home", hermes.home
    )
    assert (status, out.count("\n"), said.count("\n")) == (1, 1, 1)
    assert "bbbbbbbbbbbb" in said


def test_what_hermes_would_read_is_not_written_among_its_sessions(wiped: Any) -> None:
    store = find_store(home=wiped.home)
    for target in (wiped.sessions, wiped.sessions / "copy.json"):
        with pytest.raises(RescueError, match="Choose another"):
            export.export(store, [wiped.live.stem], "json", target)
    assert sorted(path.name for path in wiped.sessions.glob("*.json")) == [wiped.live.name]


@pytest.mark.parametrize(
    "arguments",
    [(), ("3f2a9c51b7d0", "--all"), ("3f2a9c51b7d0", "--form", "docx"), ("--all", "-o", "-")],
)
def test_wrong_usage_says_what_is_right(wiped: Any, rescue: Rescue, arguments: tuple[str, ...]) -> None:
    status, _, said = rescue("export", *arguments, "--home", wiped.home)
    assert (status, said.count("\n")) == (2, 1)


def test_a_session_that_nobody_knows_is_no_file(wiped: Any, rescue: Rescue, tmp_path: Path) -> None:
    status, _, said = rescue("export", "ffffffffffff", "-o", tmp_path / "x.md", "--home", wiped.home)
    assert (status, "ffffffffffff" in said, list(tmp_path.glob("*.md"))) == (3, True, [])


def test_the_terminal_makes_a_pdf_where_the_window_is_installed(wiped: Any, tmp_path: Path) -> None:
    target = tmp_path / "copy.pdf"
    command = [
        sys.executable,
        "-m",
        "hermes_rescue.core",
        "export",
        wiped.live.stem,
        "--form",
        "pdf",
        "-o",
        str(target),
    ]
    subprocess.run([*command, "--home", str(wiped.home)], check=True, cwd=Path(__file__).parents[2])
    assert target.read_bytes().startswith(b"%PDF-")


def test_without_the_window_the_terminal_says_what_to_install(
    wiped: Any, rescue: Rescue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hermes_rescue.gui.background.conversation_pdf", None)
    target = tmp_path / "copy.pdf"
    status, _, said = rescue("export", wiped.live.stem, "--form", "pdf", "-o", target, "--home", wiped.home)
    assert (status, said.count("\n"), target.exists()) == (3, 1, False)
    assert "hermes-rescue[gui]" in said
