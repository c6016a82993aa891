"""The fields of a session in words: whatever a damaged file says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hermes_rescue.gui.view_model.field_words import offered_words
from hermes_rescue.gui.view_model.formatting import moment


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "123456789012345678901234567890"])
def test_a_number_that_is_no_time_is_shown_as_it_stands(qapp: Any, text: str) -> None:
    value = json.loads(text)
    assert offered_words(value) in (text, json.dumps(value))


def test_a_time_is_read_as_a_date(qapp: Any) -> None:
    assert offered_words(1_777_809_742.5) == moment(1_777_809_742)
