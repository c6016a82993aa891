"""When a repair is the same that a running WebUI held up once."""

from __future__ import annotations

import pytest
from hermes_rescue.core.hermes.held_up import held_up, is_the_same
from hermes_rescue.core.hermes.message import Message, message
from hermes_rescue.core.hermes.sidecar import message_piece

BACKUP = "its digest and time"


def said(words: str) -> list[Message]:
    return [message(message_piece({"role": "user", "content": word})) for word in words]


@pytest.mark.parametrize(
    ("file", "whole", "backup", "expected"),
    [
        ("ab", "abcd", BACKUP, True),
        ("abxy", "abcdxy", BACKUP, True),  # it went on
        ("abx", "abcd", BACKUP, False),
        ("a", "abcd", BACKUP, False),  # something of it is gone
        ("ax", "abcd", BACKUP, False),
        ("ab", "abc", BACKUP, False),  # the copies have something else now
        ("ab", "abcx", BACKUP, False),
        ("ab", "abcde", BACKUP, False),
        ("abx", "abcdy", BACKUP, False),
        ("ab", "abcd", "", False),
        ("ab", "abcd", "another", False),
    ],
)
def test_it_is_the_same_but_for_what_was_said_since(file: str, whole: str, backup: str, expected: bool) -> None:
    held = held_up(said("ab"), said("abcd"), BACKUP, 1.0)
    assert is_the_same(held, said(file), said(whole), backup) is expected


def test_a_file_that_was_emptied_went_on() -> None:
    held = held_up([], said("abcd"), "", 1.0)
    assert is_the_same(held, said("xy"), said("abcdxy"), "")
    assert not is_the_same(held, said("xy"), said("abcd"), "")
