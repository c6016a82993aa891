"""One message of a merged transcript, and why it stays or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hermes_rescue.core.hermes.message import Message
from hermes_rescue.core.merge.intent import Reason


@dataclass(frozen=True, slots=True)
class Item:
    """One message of the merged transcript. ``copies``: who holds it, the most trusted first; ``enriched``: fields that
    were taken over from another copy; ``reason``: why it is (or without a choice would be) left out; ``places``: where;
    ``masked``: as it is in the live file, where another copy has the secret under its mask: that is a question.
    """

    message: Message
    copies: tuple[str, ...]
    enriched: Mapping[str, str]
    included: bool
    reason: Reason | None = None
    places: Mapping[str, int] = field(default_factory=dict)
    masked: Message | None = None
