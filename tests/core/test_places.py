"""Copies that lie elsewhere than the session's own files: what they add is offered."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.conftest import SID


@pytest.mark.parametrize("ending", ["json.recover.tmp", "json.reconcile.tmp.4242.139", "json.bak.tmp.4242.139"])
def test_every_unfinished_write_of_the_webui_is_a_copy(hermes: Any, ending: str) -> None:
    said = hermes.turns("one", "two")
    hermes.write(hermes.sessions / f"{SID}.{ending}", hermes.session(said))
    hermes.write_live([])
    hermes.repair()
    assert hermes.texts() == hermes.said(said)
