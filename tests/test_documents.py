"""The documents: what they tell people to type can be typed, their links lead somewhere, every finding is explained."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hermes_rescue.core.audit.findings import KINDS
from hermes_rescue.core.audit.store_audit import audit
from hermes_rescue.core.demo.demo_store import make_demo_store
from hermes_rescue.core.hermes.store import find_store
from hermes_rescue.gui import start
from hermes_rescue.gui.view_model import guide_pages

ROOT = Path(__file__).parents[1]
GUIDE, PICTURES = ROOT / "resources" / "guide", ROOT / "resources" / "pictures"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *GUIDE.glob("*.md")])
CODE = re.compile(r"^```.*?^```$|^    .*?$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
PARTS = ("What it means.", "What to do.", "What the repair will not do.")

of_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def lines_to_type(text: str) -> list[str]:
    """The calls of this program that a page tells people to type."""
    found = []
    for code in CODE.findall(text):
        for line in code.strip("`").splitlines():
            call = re.search(r"(?<![\w./-])hermes-rescue (?=[a-z-])[^#|>&]*", line)
            if call:
                found.append(re.split(r"\s{2,}|$", call[0].strip())[0])
    return found


@pytest.fixture(scope="module")
def known(documents: ModuleType) -> dict[str, set[str]]:
    """Every command with the names of its options."""
    return {each.name: {name for o in each.options for name in o.names} for each in documents.commands()}


def wrong_with(line: str, known: dict[str, set[str]]) -> str:
    """Why the terminal would not understand a line; "" where it would."""
    name, words = "", shlex.split(line)[1:]
    while words and f"{name} {words[0]}".strip() in known:
        name = f"{name} {words.pop(0)}".strip()
    if not name and words and not words[0].startswith("-"):
        return f"no command {words[0]}"
    unknown = [
        word for word in words if word != "-" and word.startswith("-") and word.partition("=")[0] not in known[name]
    ]
    return f"no option {unknown}" if unknown else ""


@of_page
def test_what_a_page_tells_people_to_type_can_be_typed(page: Path, known: dict[str, set[str]]) -> None:
    assert [
        (line, wrong) for line in lines_to_type(page.read_text("utf-8")) if (wrong := wrong_with(line, known))
    ] == []


@of_page
def test_what_a_page_says_of_the_window_can_be_typed(page: Path) -> None:
    for words in re.findall(r"(?<![\w/-])hermes-rescue-gui( --[^`\n|#]*)", page.read_text("utf-8")):
        start.options(shlex.split(words))  # ends the program where they are wrong


def test_a_command_or_option_that_does_not_exist_is_noticed(known: dict[str, set[str]]) -> None:
    assert wrong_with("hermes-rescue mend --all", known)
    assert wrong_with("hermes-rescue repair --everything", known)
    assert not wrong_with("hermes-rescue vault prune --older-than 90d", known)
    assert lines_to_type("Type `hermes-rescue mend SID`.\n\n    hermes-rescue audit --json   what is wrong") == [
        "hermes-rescue mend SID",
        "hermes-rescue audit --json",
    ]


@of_page
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    text = CODE.sub("", page.read_text("utf-8"))
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        if page.parent == GUIDE:  # which has nothing else beside it where it is installed
            assert target.resolve().parent in (GUIDE, PICTURES), link
        if anchor:
            headings = HEADING.findall(target.read_text("utf-8"))
            assert anchor in [re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings], link


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_finding_is_explained_once_by_the_words_of_the_list(kind: Any) -> None:
    """What it means, what to do, what the repair will not do; and the index leads there by the same words."""
    sections = {}
    for page in GUIDE.glob("*.md"):
        for section in re.split(r"^## ", page.read_text("utf-8"), flags=re.MULTILINE)[1:]:
            if f"`{kind.name}`" in section.partition("\n")[0]:
                sections[page.name] = section
    assert len(sections) == 1
    ((name, section),) = sections.items()
    assert section.lower().startswith(kind.label.lower())
    assert [part for part in PARTS if f"**{part}**" not in section] == []
    index = (GUIDE / "README.md").read_text("utf-8")
    assert f"[{kind.label}]({guide_pages.place_of(kind.name)})" in index
    assert f"]({name})" in index


def test_a_finding_that_the_demo_store_has_is_pictured(tmp_path: Path) -> None:
    """As the window shows it, in the section that F1 opens; all of them together are no weight."""
    make_demo_store(tmp_path / "demo")
    main = [each.main for each in audit(find_store(home=tmp_path / "demo")).sessions]
    found = {each.name for each in main if each is not None}
    pictures = {path.stem.removeprefix("finding-"): path for path in PICTURES.glob("finding-*.png")}
    assert found and pictures.keys() == found
    for kind, path in pictures.items():
        name = guide_pages.place_of(kind).partition("#")[0]
        sections = (GUIDE / name).read_text("utf-8").split("\n## ")
        assert any(f"`{kind}`" in each.partition("\n")[0] and path.name in each for each in sections)
        assert path.stat().st_size < 40_000


def test_the_guide_names_no_finding_that_does_not_exist() -> None:
    headings = "\n".join(HEADING.findall("\n".join(page.read_text("utf-8") for page in GUIDE.glob("*.md"))))
    assert set(re.findall(r"`(\w+)`", headings)) == KINDS.keys()


def test_the_page_of_the_terminal_is_as_the_commands_are(documents: ModuleType) -> None:
    assert documents.REFERENCE.read_text("utf-8") == documents.reference(documents.commands()), "make docs"
