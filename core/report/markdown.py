"""Markdown that somebody else wrote: as HTML that runs and loads nothing, and as Markdown that stays in its place.

Whatever a text says is shown. What Markdown itself would drop or follow (reference definitions, raw HTML, links to
other places than the web, pictures from elsewhere) stands there as it was written.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

LONGEST, MOST_BRACKETS = 100_000, 2_000
"""Characters of a text that is read as Markdown, and opening brackets in it, for which the parser needs squares of
time; one with more is shown as it is.
"""

LONGEST_CODE = 20_000
"""Characters of a block of code that is coloured."""

DEEPEST = 60
"""Levels of lists and quotes within each other; the parser drops what lies deeper."""

_WEB = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)
_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]+", re.IGNORECASE)
_SCHEME = re.compile(r"[\s\0-\x1f]*[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_MARKED = re.compile(r"[<\]`~]")
_SINGLE_BREAK = re.compile(r"(?<=\S)\n(?=[^\n])")
_END = "end of the text"

# A backslash pair and a span of code mean themselves already; a web address in angle brackets is a link.
_KEPT = r"(\\[!-/:-@\[-`{-~]|(?<!`)(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`)|<(?:https?://|mailto:)[^\s<>]*>)"
_ACTIVE = re.compile(_KEPT + r"|(?P<tag><(?=[A-Za-z/!?]))|(?P<picture>!(?=\[))", re.DOTALL)
_ANY = re.compile(r"(\\[!-/:-@\[-`{-~])|(?P<sign>[<\[`])")


def is_picture(address: object) -> bool:
    """Whether an address holds the picture itself, in a form that every browser shows and that runs nothing."""
    return isinstance(address, str) and _PICTURE.fullmatch(address) is not None


def is_web(address: object) -> bool:
    """Whether an address leads to the web or to somebody's mail."""
    return isinstance(address, str) and _WEB.match(address) is not None


def page(text: str) -> str:
    """A text in Markdown as HTML."""
    tokens = _tokens(_reader(), text)
    if tokens is None:
        return as_written(text)
    reader = _reader()
    return str(reader.renderer.render(tokens, reader.options, {}))


def typed(text: str) -> str:
    """A text that a person typed as HTML, line by line; only its blocks of code are Markdown, as in Hermes WebUI."""
    reader = _plain_reader()
    tokens = _tokens(reader, text)
    return as_written(text) if tokens is None else str(reader.renderer.render(tokens, reader.options, {}))


def as_written(text: str) -> str:
    """A text as HTML that shows every character of it."""
    return f"<pre>{html.escape(text)}</pre>\n"


def fenced(text: str, language: str = "") -> str:
    """A text as a block of code in Markdown, whatever fences it holds itself."""
    longest = max(map(len, re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def contained(text: str) -> str:
    """A text in Markdown that another document can hold: it does nothing, loads nothing, and ends where it ends. Most
    texts are that already and stay as they are; the others are escaped as little as will do.
    """
    if not _MARKED.search(text):
        return text
    for signs in (None, _ACTIVE, _ANY):
        escaped = _outside_code(text, signs) if signs is not None else text
        found = _harmless(escaped) if escaped is not None else None
        if found is not None:
            return found
    return fenced(text)


def hard_breaks(text: str) -> str:
    """Markdown in which each line break outside of code stays one."""
    parts = _parts(text) if "\n" in text else None
    if parts is None:
        return text
    return "".join(part if is_code else _SINGLE_BREAK.sub("  \n", part) for is_code, part in parts)


@cache
def _reader() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": False, "xhtmlOut": False, "maxNesting": DEEPEST}).enable(
        ["table", "strikethrough"]
    )
    reader.disable("reference")  # it drops the definition, and a note can look like one
    reader.validateLink = lambda url: is_web(url) or is_picture(url)  # type: ignore[method-assign]
    reader.add_render_rule("image", _image)
    reader.add_render_rule("link_open", _link)
    reader.add_render_rule("fence", _fence)
    reader.add_render_rule("heading_open", _heading)
    reader.add_render_rule("heading_close", _heading)
    return reader


@cache
def _plain_reader() -> MarkdownIt:
    reader = MarkdownIt("zero", {"html": False, "maxNesting": DEEPEST}).enable("fence")
    reader.add_render_rule("fence", _fence)
    return reader


@cache
def _viewer() -> MarkdownIt:
    """Reads a text as the most trusting program would that shows it."""
    viewer = MarkdownIt("commonmark", {"html": True, "maxNesting": DEEPEST}).enable(["table", "strikethrough"])
    viewer.validateLink = lambda url: True  # type: ignore[method-assign]
    return viewer


def _tokens(reader: MarkdownIt, text: str, env: dict[str, Any] | None = None) -> list[Token] | None:
    """What a reader makes of a text; None where it would take too long, or lose something."""
    if len(text) > LONGEST or text.count("[") > MOST_BRACKETS:
        return None
    tokens = reader.parse(text, env)
    return tokens if all(token.level < DEEPEST - 2 for token in tokens) else None


def _image(_: Any, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    address, words = str(tokens[at].attrGet("src") or ""), html.escape(tokens[at].content)
    if is_picture(address):
        return f'<img src="{html.escape(address)}" alt="{words}">'
    return f'<a href="{html.escape(address)}" rel="noreferrer">{words or html.escape(address)}</a>'


def _link(renderer: Any, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    tokens[at].attrSet("rel", "noreferrer")
    return str(renderer.renderToken(tokens, at, options, env))


def _heading(renderer: Any, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    level = min(int(tokens[at].tag[1:]) + 2, 6)  # above it stand the title, and who speaks
    return f"<h{level}>" if tokens[at].nesting == 1 else f"</h{level}>\n"


def _fence(_: Any, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    info = tokens[at].info.strip()
    words = f'<p class="language">{html.escape(info)}</p>' if info else ""
    coloured = code(tokens[at].content, info.split()[0] if info else "").removesuffix("\n")
    return f"{words}<pre><code>{coloured}</code></pre>\n"


def code(text: str, language: str) -> str:
    """A piece of code as HTML, with a ``span`` around each word that has a colour."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter

    lexer = _lexer(language) if language and len(text) <= LONGEST_CODE else None
    return html.escape(text) if lexer is None else str(highlight(text, lexer, HtmlFormatter(nowrap=True)))


@lru_cache(maxsize=64)
def _lexer(language: str) -> Any:
    """What splits a language into words; None for one that nobody knows."""
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


def _harmless(text: str) -> str | None:
    """The text, with its last fence closed where it is open; None where it does more than to be read."""
    env: dict[str, Any] = {}
    tokens = _tokens(_viewer(), f"{text}\n\n{_END}", env)
    if tokens is not None and tokens[-1].type == "fence":
        text = f"{text}\n{tokens[-1].markup}"
        tokens = _tokens(_viewer(), f"{text}\n\n{_END}", env)
    if tokens is None or len(tokens) < 2 or tokens[-2].content != _END or tokens[-2].level != 1:
        return None
    inner = [child for token in tokens for child in token.children or ()]
    if any(token.type in ("html_block", "html_inline") for token in (*tokens, *inner)):
        return None
    addresses = [token.attrGet("href") for token in inner] + [
        each["href"] for each in env.get("references", {}).values()
    ]
    if any(_SCHEME.match(str(address)) and not is_web(address) for address in addresses if address):
        return None
    pictures = (token.attrGet("src") for token in inner if token.type == "image")
    return text if all(map(is_picture, pictures)) else None


def _outside_code(text: str, signs: re.Pattern[str]) -> str | None:
    """The text with these signs escaped wherever they are not in a block of code; None for what no reader reads."""
    parts = _parts(text)
    if parts is None:
        return None
    escape = lambda found: found[1] or "\\" + found[0]  # noqa: E731
    return "".join(part if is_code else signs.sub(escape, part) for is_code, part in parts)


def _parts(text: str) -> list[tuple[bool, str]] | None:
    """The text in parts, each with whether it is a block of code; None for what no reader reads."""
    tokens = _tokens(_reader(), text)
    if tokens is None:
        return None
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)  # no other sign ends a line in Markdown
    parts, at = [], 0
    for token in tokens:
        if token.type in ("fence", "code_block") and token.map is not None:
            start, end = token.map
            parts += [(False, "".join(lines[at:start])), (True, "".join(lines[start:end]))]
            at = end
    return [*parts, (False, "".join(lines[at:]))]
