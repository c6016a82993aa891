"""Sessions of a few messages, written by the real programs and damaged, each with what is right for it and why."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hermes_rescue.core import api
from hermes_rescue.core.hermes.store import Store, find_store

from ..conftest import CORPUS

HERE = Path(__file__).parents[1] / "data" / "small"
ARCHIVE = CORPUS / "small.tar.xz"


@dataclass(frozen=True, slots=True)
class Case:
    """A home, and what is right: the texts of the ``messages``; ``untouched``: no byte may change; ``ask``: leaving it
    as it is is right as well; ``card``: the text of the message that the tool cards point at; ``partial``: what
    the journal of a killed run has of its answer follows, or its prompt and stream still stand in the file."""

    store: Store
    messages: list[str]
    why: str
    untouched: bool = False
    ask: bool = False
    card: str = ""
    partial: bool = False

    @property
    def file(self) -> Path:
        """The session's file (each home has one session)."""
        rows = json.loads((self.store.sessions_dir / "_index.json").read_text("utf-8"))
        return self.store.sessions_dir / f"{rows[0]['session_id']}.json"


def case(folder: Path) -> Case:
    right = json.loads((folder / "right.json").read_text("utf-8"))
    known = {name: right[name] for name in ("messages", "why", "untouched", "ask", "card", "partial") if name in right}
    return Case(find_store(home=folder / "store"), **known)


def of_here() -> list[str]:
    return sorted(path.parent.name for path in HERE.glob("*/right.json"))


def of_archive() -> list[str]:
    if not ARCHIVE.is_file():
        return []
    with tarfile.open(ARCHIVE) as tar:
        return sorted(name.split("/")[0] for name in tar.getnames() if name.endswith("/right.json"))


@pytest.fixture
def small(tmp_path: Path) -> Callable[[str], Case]:
    """A case of this repository by name, in a folder of its own."""

    def make(name: str) -> Case:
        folder = tmp_path / name
        shutil.copytree(HERE / name, folder)
        script = folder / "store" / "state.sql"
        with closing(sqlite3.connect(folder / "store" / "state.db")) as database, database:
            database.executescript(script.read_text("utf-8"))
        script.unlink()
        return case(folder)

    return make


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("small")
    with tarfile.open(ARCHIVE) as tar:
        tar.extraction_filter = getattr(tarfile, "data_filter", None)  # not yet in Python 3.11.2
        tar.extractall(root)
    return root


def hold(wanted: Case) -> None:
    """A repair of everything makes of the session what is right; a second one, and an undo, keep what they promise."""
    before = content(wanted.file)
    result = api.apply(api.plan(wanted.store))
    after = content(wanted.file)
    if wanted.untouched:
        assert after == before, wanted.why
    elif not (wanted.ask and after == before):
        assert after is not None, wanted.why
        hold_messages(wanted, json.loads(after), untouched=after == before)
    assert api.plan(wanted.store).is_empty
    if result.run_id is not None:
        api.undo(wanted.store, result.run_id)
    assert content(wanted.file) == before


def hold_messages(wanted: Case, session: dict[str, Any], *, untouched: bool) -> None:
    told = [text(message) for message in session["messages"]]
    if wanted.partial:
        waits = bool(session.get("pending_user_message") and session.get("active_stream_id"))
        known = told[: len(wanted.messages)] == wanted.messages
        assert untouched or (known and (waits or len(told) > len(wanted.messages))), wanted.why
        return
    assert told == wanted.messages, wanted.why
    assert session["message_count"] == len(told)
    for card in session["tool_calls"] if wanted.card else ():
        assert told[card["assistant_msg_idx"]] in (wanted.card, "calling"), wanted.why


def content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content or [] if isinstance(part, dict))


@pytest.mark.parametrize("name", of_here())
def test_a_small_store_comes_back_right(small: Callable[[str], Case], name: str) -> None:
    hold(small(name))


@pytest.mark.skipif(not ARCHIVE.is_file(), reason="the small stores are not here: no shared/corpus beside the checkout")
@pytest.mark.parametrize("name", of_archive())
def test_every_small_store_of_the_corpus_comes_back_right(unpacked: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(unpacked / name, tmp_path / name)
    hold(case(tmp_path / name))
