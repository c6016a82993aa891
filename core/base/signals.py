"""The signals that a terminal sends to every process of a command: the first process decides for all of them."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

GROUP_WIDE = tuple(getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name))
"""Ctrl+C, and a closed terminal."""


@contextmanager
def deaf_children() -> Iterator[None]:
    """Whoever is started inside never hears of :data:`GROUP_WIDE`, from its first instruction on; this process hears
    of what came meanwhile at the end. Does nothing where the system has no signal masks.
    """
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # the first child would start it, and that lets signals through
    old = signal.pthread_sigmask(signal.SIG_BLOCK, GROUP_WIDE)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)
