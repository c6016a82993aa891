"""Other programs: the example of docs/embedding.md does what the page says, and the page names every function."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from hermes_rescue.core import api

PAGE = Path(__file__).parents[2] / "docs" / "embedding.md"
SMALL = Path(__file__).parents[1] / "data" / "small" / "clock_back_wipe"


def example(folder: Path) -> Path:
    """The program of the page as a file."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    program = folder / "example.py"
    program.write_text(code, "utf-8")
    return program


def home_of(folder: Path) -> Path:
    home = folder / "home"
    shutil.copytree(SMALL / "store", home)
    with closing(sqlite3.connect(home / "state.db")) as database, database:
        database.executescript((home / "state.sql").read_text("utf-8"))
    (home / "state.sql").unlink()
    return home


def test_the_example_repairs_a_store_and_puts_it_back(tmp_path: Path) -> None:
    home = home_of(tmp_path)
    (file,) = (home / "webui" / "sessions").glob("[0-9a-f]*.json")
    before, session_id = file.read_bytes(), file.stem
    right = json.loads((SMALL / "right.json").read_text("utf-8"))["messages"]
    done = subprocess.run([sys.executable, example(tmp_path), home], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    told = done.stdout.splitlines()
    assert f"{session_id} repairable {len(json.loads(before)['messages'])} -> {len(right)}" in told
    assert f"{session_id} repaired" in [line.strip() for line in told]
    assert f"as before: {session_id}" in told
    assert file.read_bytes() == before
    api.apply(api.plan(api.find_store(home=home)))  # what it had written in between
    assert [message["content"] for message in json.loads(file.read_bytes())["messages"]] == right


def test_where_there_is_no_store_the_example_says_so_in_a_sentence(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, example(tmp_path), tmp_path / "nowhere"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_page_names_every_public_function() -> None:
    functions = {name for name in api.__all__ if name[0].islower()}
    named = set(re.findall(r"`(\w+)`", PAGE.read_text("utf-8").partition("## An example")[0]))
    assert functions <= named
    assert named - {"core"} <= set(api.__all__) | {"hermes_rescue"}
