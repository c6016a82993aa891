"""Aligning and merging three copies of one long session, beside hashing their messages."""

from __future__ import annotations

import gc
import hashlib
import multiprocessing
import random
import resource
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from figures import Bench, Figure, beside, best
from hermes_rescue.core.base.jsontext import PackedObject, dumps
from hermes_rescue.core.hermes.message import Message, message
from hermes_rescue.core.hermes.sidecar import message_piece
from hermes_rescue.core.merge.align import align
from hermes_rescue.core.merge.transcript import entry, merge
from stores import Talk

COPIES = ("live", "backup", "database")

_LARGE = PackedObject({}, 2)  # what is like it is held as the messages of a large file are


def copies_of(number: int) -> list[list[Message]]:
    """Three copies of a transcript. Of each 5 % is different: half of that is missing, half was cut short."""
    transcript = Talk(0, number, 250, spread=0.0).transcript()
    chance = random.Random(2)
    found = []
    for _ in COPIES:
        copy = []
        for value in transcript:
            dice = chance.random()
            if dice < 0.025:
                continue
            if dice < 0.05:
                value = {**value, "content": value["content"][: len(value["content"]) // 2]}
            copy.append(message(message_piece(dict(value), _LARGE)))
        found.append(copy)
    return found


def merging(copies: list[list[Message]]) -> float:
    """Merge the copies one by one; returns seconds."""
    start = time.perf_counter()
    entries = [entry(COPIES[0], each, k) for k, each in enumerate(copies[0])]
    for name, copy in zip(COPIES[1:], copies[1:], strict=True):
        entries = merge(entries, name, copy)
    return time.perf_counter() - start


def aligning(copies: list[list[Message]]) -> float:
    """Align the other copies with the first one; returns seconds."""
    start = time.perf_counter()
    for copy in copies[1:]:
        align(copies[0], copy)
    return time.perf_counter() - start


def strangers(number: int) -> list[list[Message]]:
    """Two copies without stamps that have no turn in common, each text masked: nothing takes more comparing."""
    found = []
    for session in (0, 2):  # without a picture
        values = Talk(session, 4 * number, 1000, spread=0.0).transcript()
        stampless = ({k: v for k, v in value.items() if k != "timestamp"} for value in values)
        masked = ({**value, "content": value["content"].replace(" ", " *** ", 3)} for value in stampless)
        found.append([message(message_piece(value)) for value in masked])
    return found


def hashing(texts: list[bytes]) -> float:
    """Hash every message; returns seconds."""
    start = time.perf_counter()
    for text in texts:
        hashlib.sha256(text).digest()
    return time.perf_counter() - start


def _measured(number: int) -> tuple[Sequence[float], int]:
    """Seconds of aligning, merging, aligning strangers and hashing; megabytes that merging needed beside the copies."""
    gc.disable()  # as in core.__main__
    copies = copies_of(number)
    texts = [dumps(each.value) for copy in copies for each in copy]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    merging(copies)
    megabytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    # new copies each time: Python remembers the hash of a text that it has seen
    turns = min(number // 200, 490)  # more are only paired where they are equal
    works = (
        lambda: aligning(copies_of(number)),
        lambda: merging(copies_of(number)),
        lambda: aligning(strangers(turns)),
        lambda: hashing(texts),
    )
    return [each.seconds for each in best(*works)], megabytes


def alignment(bench: Bench) -> list[Figure]:
    """Three copies of 100,000 messages."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as child:
        (aligned, merged, unlike, floor), megabytes = child.submit(_measured, bench.scaled(100_000)).result()
    hashed = partial(beside, least=floor, floor="hashing these messages with SHA-256")
    return [
        hashed(aligned, name="alignment", what="aligning 3 copies of 100,000 messages", target=3.0),
        hashed(
            merged,
            name="merging",
            what="merging these copies, each message in its fullest form",
            megabytes=megabytes,
            note="memory beside that of the copies themselves",
        ),
        hashed(
            unlike,
            name="alignment_of_strangers",
            what="aligning 2 copies of 490 turns that have nothing in common, secrets masked",
        ),
    ]
