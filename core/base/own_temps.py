"""The names of the temps that this program writes beside a file."""

from __future__ import annotations

import itertools
import os
import re
import threading
import time
from dataclasses import dataclass
from pathlib import Path

_TEMP_NAME = re.compile(
    r"\.(?P<target>.+)\.rescue\.tmp\.(?P<pid>\d+)\.\d+\.(?P<number>\d+)(?P<part>\.part)?", re.DOTALL
)
# From the time on, so that a process which gets the id of a dead one goes on above the numbers of that.
_numbers = itertools.count(time.time_ns())


@dataclass(frozen=True, slots=True)
class OwnTemp:
    """What the name of one of our temps says: the file it stands beside, the process that made it, the number that this
    drew for it, and whether it was still being written (``partial``). One that is not partial can hold what was taken
    out of the target's name."""

    target: str
    pid: int
    number: int
    partial: bool


def own_temp(name: str) -> OwnTemp | None:
    """Read the name of a temp; None where it is not one of ours."""
    match = _TEMP_NAME.fullmatch(name)
    if match is None:
        return None
    return OwnTemp(match["target"], int(match["pid"]), int(match["number"]), match["part"] is not None)


def next_number() -> int:
    """A number above those of all temps that this process has made, and below those of all that it will make."""
    return next(_numbers)


def temp_beside(path: Path) -> Path:
    """A name for a temp beside a file that none has had."""
    return path.with_name(f".{path.name}.rescue.tmp.{os.getpid()}.{threading.get_ident()}.{next_number()}")
