"""What a repaired file holds so that the WebUI goes on with it rightly (docs/recovery.md, "When the WebUI goes on")."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import ACT, START, Hermes

Value = dict[str, Any]


def write_turn_journal(hermes: Hermes, messages: list[Value]) -> None:
    """What the WebUI notes of each prompt when it is sent, and that its turn ended."""
    folder = hermes.sessions / "_turn_journal"
    folder.mkdir()
    events: list[Value] = []
    for k, m in enumerate(each for each in messages if each["role"] == "user"):
        turn = {"turn_id": f"t{k}", "stream_id": f"{k:032x}", "session_id": hermes.live.stem}
        sent = {"event": "submitted", "role": "user", "content": m["content"], "created_at": m["timestamp"]}
        events += [turn | sent, turn | {"event": "completed", "created_at": m["timestamp"] + 3.0}]
    text = "".join(json.dumps(event) + "\n" for event in events)
    (folder / f"{hermes.live.stem}~7.jsonl").write_text(text, "utf-8")


@pytest.mark.parametrize("state", ["lost", "emptied", "shrunken"])
def test_a_prompt_that_was_said_again_comes_back_with_the_token_of_its_turn(hermes: Hermes, state: str) -> None:
    """Without it, the WebUI sends the model only the first of the prompts that say the same."""
    whole = hermes.turns("a") + [
        {"role": role, "content": said, "timestamp": START + 100 * turn + at}
        for turn in (1, 2, 3)
        for at, (role, said) in enumerate((("user", "continue"), ("assistant", f"part {turn}")))
    ]
    there = {"lost": None, "emptied": [], "shrunken": whole[:4]}[state]
    if there is not None:
        hermes.write_live(there, updated_at=START + ACT)
    hermes.write_rows(whole)
    write_turn_journal(hermes, whole)
    hermes.repair()
    messages = hermes.load()["messages"]
    assert hermes.said(messages) == hermes.said(whole)
    back = [m for m in messages[len(there or ()) :] if m["role"] == "user"]
    assert len({m["_active_turn_token"] for m in back}) == len(back)
    for m in back:
        stream, at = m["_active_turn_token"].split(":")
        assert stream in streams(hermes)
        assert float(at) == m["timestamp"]
    assert messages[: len(there or ())] == (there or [])


def streams(hermes: Hermes) -> set[str]:
    """The streams that the turn journal knows."""
    [journal] = (hermes.sessions / "_turn_journal").iterdir()
    return {json.loads(line)["stream_id"] for line in journal.read_text("utf-8").splitlines()}
